"""What can be done with a gateway, one use a file. Surfaces and the CLI call these and nothing beneath."""
