"""The console as a person meets it: a real browser, a real server, a real store."""
