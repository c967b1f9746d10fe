"""Where each page is: the only place that spells a path of the console.

Not here: what answers under it (``routes``).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode

PREFIX: Final = "/console"
INBOX: Final = f"{PREFIX}/inbox"
SIGN_IN: Final = f"{PREFIX}/sign-in"
SIGN_OUT: Final = f"{PREFIX}/sign-out"
THEME: Final = f"{PREFIX}/theme"
STATIC: Final = "/static"
STOP: Final = f"{PREFIX}/stop"
GRANTS: Final = f"{PREFIX}/grants"
OVERVIEW: Final = f"{PREFIX}/overview"
CALLS: Final = f"{PREFIX}/calls"
JOBS: Final = f"{PREFIX}/jobs"
NEW_CALLS: Final = f"{CALLS}/new"
UNRESOLVED: Final = f"{PREFIX}/unresolved"
TOOLS: Final = f"{PREFIX}/tools"
AUDIT: Final = f"{PREFIX}/audit"
VERIFICATION: Final = f"{AUDIT}/verification"
VERIFY: Final = f"{AUDIT}/verify"
EXPORT: Final = f"{AUDIT}/export"
NOTIFICATIONS: Final = f"{PREFIX}/notifications"
TOKENS: Final = f"{PREFIX}/tokens"


def approval_path(approval_id: str) -> str:
    """The page of one approval."""
    return f"{PREFIX}/approvals/{quote(approval_id, safe='')}"


def call_path(call_id: str) -> str:
    """The page of one call."""
    return f"{CALLS}/{quote(call_id, safe='')}"


def job_path(job_id: str) -> str:
    """The page of one job."""
    return f"{JOBS}/{quote(job_id, safe='')}"


def grant_path(grant_id: str) -> str:
    """The page of one grant."""
    return f"{GRANTS}/{quote(grant_id, safe='')}"


def tool_path(name: str) -> str:
    """The page of one tool."""
    return f"{TOOLS}/{quote(name, safe='')}"


def with_query(path: str, **values: object) -> str:
    """``path`` with those of ``values`` that say something."""
    said = {name: str(value) for name, value in values.items() if value not in {None, ""}}
    return f"{path}?{urlencode(said)}" if said else path


def is_ours(path: str) -> bool:
    """Whether a browser may be sent to ``path`` after sign-in: a page of this console, never another host."""
    inside = path == PREFIX or path.startswith((f"{PREFIX}/", f"{PREFIX}?"))
    place = path.partition("?")[0]
    return inside and path.isprintable() and "\\" not in path and ".." not in place and "//" not in place
