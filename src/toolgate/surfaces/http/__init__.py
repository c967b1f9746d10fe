"""The HTTP face: what REST, the console and MCP share. ``app`` shows what every request passes, in order.

``office`` is what routes are given, ``credentials`` says who sends a request, ``problems`` how a refusal is written,
``feed`` and ``streams`` tell what happens as it happens, ``server`` is the process. Not here: routes of the surfaces.
"""
