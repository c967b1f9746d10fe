"""The gate as an MCP server: over streamable HTTP inside the server, and over stdio; both eras of the protocol.

``calls`` and ``listing`` translate and work on plain dicts, ``handlers`` hands them to the SDK, ``http`` and ``stdio``
carry them. ``confirm`` asks whoever called to confirm. Not here: anything that decides.
"""
