"""The stores: one port, several adapters, one shared suite of tests."""
