"""What every request passes before a route sees it, one rule a module; their order stands in ``surfaces.http.app``.

Each is a plain ASGI class, so that none of them holds up a stream. Not here: who somebody is, and what they may do.
"""
