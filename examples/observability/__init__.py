"""A dashboard and alert rules, written by `docs/build.py` from the definitions of what is counted."""
