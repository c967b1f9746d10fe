"""The pipeline. Start with ``spine``: it shows every step in order."""
