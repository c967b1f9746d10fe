"""What people agreed to, kept by a model that knows nothing of the gate's code: sets of names and plain comparisons.

Here: who may say what about which call, what is demanded of people, and whether something that ran was consented to.
Not here: the gate, and how a machine drives it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

KEY = "AKIAIOSFODNN7EXAMPLE"
ASKS_ONE, ASKS_TWO = 10, 30
"""Above so many cents one person is asked, and two."""
FORBIDDEN_ORDER = 4
OWNERS = {"bot": "lea"}


class Args(NamedTuple):
    """What is paid."""

    order: int
    cents: int
    note: str

    @property
    def demanded(self) -> int:
        """How many people have to agree."""
        return (self.cents > ASKS_ONE) + (self.cents > ASKS_TWO)


def who(name: str) -> str:
    """Whom a name means."""
    return name.strip().lower()


@dataclass(slots=True)
class Held:
    """One held call: what was shown in each revision, and what people said of it."""

    call_id: str
    approval_id: str
    caller: str
    agent: str | None
    version: str
    revisions: list[Args]
    ends_at: float
    quorum: int
    editors: set[str] = field(default_factory=set)
    votes: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    over: str | None = None

    @property
    def args(self) -> Args:
        """What would run."""
        return self.revisions[-1]

    @property
    def barred(self) -> set[str]:
        """Who can never agree to it."""
        owner = {OWNERS[self.agent]} if self.agent in OWNERS else set()
        return {who(self.caller), *owner, *self.editors}

    @property
    def approved(self) -> bool:
        """Whether enough people agreed to what would run, who may."""
        return len(self.votes - self.barred) >= self.quorum

    def waits(self, now: float) -> bool:
        """Whether a vote or an edit still counts."""
        return self.over is None and now < self.ends_at and not self.approved

    def edited(self, by: str, args: Args) -> None:
        """Another revision: votes and looks are void, and nothing that was demanded is forgotten."""
        self.revisions.append(args)
        self.quorum = max(self.quorum, args.demanded)
        self.editors.add(who(by))
        self.votes.clear()
        self.seen.clear()


@dataclass(slots=True)
class Granted:
    """Consent given beforehand."""

    grant_id: str
    tenant: str
    maker: str
    caller: str | None
    agent: str | None
    version: str
    cents: int
    until: float
    uses: int
    used: int = 0
    revoked: bool = False

    def covers(self, caller: str, agent: str | None, args: Args, *, version: str, now: float) -> bool:
        """Whether it stands for the one consent that this call needs."""
        owner = OWNERS.get(agent or "")
        return (
            self.tenant == "acme"
            and not self.revoked
            and now < self.until
            and self.used < self.uses
            and self.version == version
            and self.caller in {None, caller}
            and self.agent in {None, agent}
            and args.cents <= self.cents
            and args.demanded == 1
            and who(self.maker) not in {who(caller), owner}
        )


class Ran(NamedTuple):
    """One attempt, as the business saw it."""

    call_id: str
    caller: str
    agent: str | None
    args: Args
    consent: str | None
    by: tuple[str, ...]
    at: float
    version: str
    died: bool


@dataclass(slots=True)
class Claim:
    """Whose a key is, and for which arguments it was asked."""

    call_id: str
    caller: str
    args: Args
