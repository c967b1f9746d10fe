"""Gateways and workers as processes on one store: behind a proxy, leaving, killed, stopped and cut off."""
