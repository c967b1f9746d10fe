"""Real processes on a real ledger and a real business database, killed or stopped at every step of a call."""
