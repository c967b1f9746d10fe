"""The console: where people see what waits for them, decide, and look at what happened.

Pages are HTML that works without JavaScript; htmx and a small script of ours make them live. Nothing is loaded from
another host. Read ``routes`` first. Not here: any decision (``operations``), and who somebody is (``surfaces.http``).
"""
