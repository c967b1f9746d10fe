"""Attempts to break what the gate promises, through the doors that attackers have."""
