"""What a guard raises when the world is not what the argument's type allows.

Here: the exceptions. Not here: the rules. They are tool errors, so a tool need not catch them: the gate shows the
message to the model. They claim nothing about effects (``effect`` stays ``None``), because a guard cannot know what
its tool did before.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from toolgate.domain.argument_types.refusal import RefusalCode
from toolgate.domain.errors import ToolError

UrlRefusalCode = (
    RefusalCode | Literal["address_refused", "request_rewritten", "response_too_large", "response_compressed"]
)
PathRefusalCode = (
    RefusalCode
    | Literal[
        "path_not_found", "path_link", "path_not_a_file", "path_exists", "path_too_large", "path_denied"
    ]
)


class UrlRefused(ToolError):
    """A request, a redirect or a response was not what the tool's ``AllowedUrl`` allows."""

    code: ClassVar[str] = "url_refused"

    def __init__(self, message: str, *, code: UrlRefusalCode) -> None:
        super().__init__(message, code=code)


class PathRefused(ToolError):
    """A path does not lead to a plain file below the root, or the file is too large."""

    code: ClassVar[str] = "path_refused"

    def __init__(self, message: str, *, code: PathRefusalCode) -> None:
        super().__init__(message, code=code)
