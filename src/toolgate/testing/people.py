"""Fakes of those outside who vouch for people and hear of things: an issuer, its sign-in, a receiver of notices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from toolgate.domain.principal import Declined
from toolgate.ports import Sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import NoticeRow


class FakeIssuer:
    """An ``Issuer`` that believes what a test says: bearer → principal."""

    def __init__(self, people: Mapping[str, Principal]) -> None:
        self.people: Final = dict(people)

    async def principal(self, bearer: str) -> Principal | Declined:
        """Whom the bearer stands for."""
        return self.people.get(bearer) or Declined("forbidden", "nobody known")


class FakeSignIn:
    """A ``SignIn`` without an issuer: the ``code`` that comes back names the principal."""

    name = "issuer.test"

    def __init__(self, people: Mapping[str, Principal]) -> None:
        self.people: Final = dict(people)

    async def begin(self, *, redirect_uri: str, state: str, nonce: str, code_verifier: str) -> str | Declined:  # noqa: ARG002 - the port's signature
        """An address on nobody's host that carries what the browser must bring back."""
        return "https://issuer.test/authorize?" + urlencode({"redirect_uri": redirect_uri, "state": state})

    async def finish(
        self,
        answer: Mapping[str, str],
        *,
        redirect_uri: str,  # noqa: ARG002 - the port's signature
        nonce: str,  # noqa: ARG002 - the port's signature
        code_verifier: str,  # noqa: ARG002 - the port's signature
    ) -> Principal | Declined:
        """Whom the code names."""
        return self.people.get(answer.get("code", "")) or Declined("forbidden", "nobody known")


class KeptNotices:
    """A ``Notifier`` that takes everything and keeps it."""

    def __init__(self) -> None:
        self.notices: Final[list[NoticeRow]] = []

    async def send(self, notice: NoticeRow, *, now: int) -> Sent:  # noqa: ARG002 - the port's signature
        """Take it."""
        self.notices.append(notice)
        return Sent()
