"""The Postgres store, and the real server that every test of it runs on (``server``, ``fixtures``)."""
