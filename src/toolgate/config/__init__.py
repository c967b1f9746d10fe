"""``toolgate.toml``: what an operator says about a gateway, read strictly.

``load_settings`` is the door. ``sections`` knows every key, ``places`` finds a key's line, ``overrides`` holds
that a tool of the code is only ever tightened. Not here: opening anything (``bootstrap``).
"""

from toolgate.config.settings import DEFAULT_FILE, Settings, load_settings, read_text_settings

__all__ = ["DEFAULT_FILE", "Settings", "load_settings", "read_text_settings"]
