"""The gate as an MCP server: over streamable HTTP inside the server, and over stdio; both eras of the protocol.

``calls`` and ``listing`` translate and work on plain dicts, ``handlers`` hands them to the SDK, ``http`` and ``stdio``
carry them. ``around`` is what stands between a call and its answer: ``asking`` asks for a tool that wants input,
``confirm`` asks whoever called to confirm, ``tasks`` answers with a task. Not here: anything that decides.
"""
