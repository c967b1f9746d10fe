"""Tests of the eleven questions and of `toolgate check`."""
