"""Drivers and the outside world, each behind a port. Adapters do not know each other."""
