"""Which tools need a person: eight kinds of risky action, what destroys, what leaves the house. Question 10.

A kind is read from the name and the tags, and for tools with effects from the description's sentences too; a sentence
with a negation says what a tool does not do. A name that begins with a verb of reading is risky only if the tool has
effects. Whoever calls has no role to decide: their own confirmation is no approval of what is risky. Not here: when a
person is asked, and who (`approval`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from toolgate.domain.checklist.answers import Answer, Defect, Question, affirmed, denied
from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.checklist.words import READ_VERBS, affirmations, stems, words
from toolgate.domain.contract import Effect

MIN_WAIVER: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskyKind:
    """A verb and an object that together make one kind of risky action; ``also`` must be named beside them."""

    what: str
    verbs: frozenset[str]
    objects: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()

    def told_by(self, text: str) -> bool:
        """Whether these words name it."""
        found = stems(text)
        return all(found & wanted for wanted in (self.verbs, self.objects, self.also) if wanted)


_CHANGE: Final = frozenset({
    "apply", "change", "deploy", "edit", "modify", "overwrite", "patch", "put", "replace", "reset", "rotate", "set",
    "toggle", "update", "write",
})  # fmt: skip

KINDS: Final = (
    RiskyKind(
        what="sends mail",
        verbs=frozenset({"compose", "deliver", "dispatch", "forward", "reply", "send"}),
        objects=frozenset({"email", "letter", "mail", "newsletter"}),
    ),
    RiskyKind(
        what="refunds a payment", verbs=frozenset({"chargeback", "refund", "reimburse", "reimbursement"})
    ),
    RiskyKind(
        what="edits production configuration",
        verbs=_CHANGE,
        objects=frozenset({"config", "configuration", "env", "environment", "flag", "setting"}),
        also=frozenset(
            {"cluster", "config", "configuration", "deployment", "feature", "infra", "prod", "production"}
        ),
    ),
    RiskyKind(
        what="creates a pull request",
        verbs=frozenset({"create", "file", "merge", "open", "raise", "submit"}),
        objects=frozenset({"pull", "pr", "mr"}),
    ),
    RiskyKind(
        what="deletes data",
        verbs=frozenset(
            {"delete", "destroy", "drop", "erase", "prune", "purge", "remove", "truncate", "wipe"}
        ),
    ),
    RiskyKind(
        what="updates a customer's account",
        verbs=_CHANGE
        | frozenset(
            {"block", "close", "disable", "lock", "reactivate", "rename", "suspend", "unlock", "upgrade"}
        ),
        objects=frozenset(
            {"account", "client", "customer", "member", "profile", "subscriber", "subscription", "user"}
        ),
    ),
    RiskyKind(
        what="runs a migration",
        verbs=frozenset({"apply", "execute", "migrate", "perform", "run", "start"}),
        objects=frozenset({"migrate", "migration"}),
    ),
    RiskyKind(
        what="calls an external webhook",
        verbs=frozenset({"call", "fire", "invoke", "notify", "ping", "post", "send", "trigger"}),
        objects=frozenset({"callback", "webhook"}),
    ),
)
_LEAD_IN: Final = frozenset({
    "a", "can", "function", "it", "may", "simply", "the", "this", "to", "tool", "use", "used", "will",
})  # fmt: skip
_MAIL_VERBS: Final = frozenset({"email", "mail"})


def risks(exhibit: Exhibit) -> Iterator[str]:
    """Why a person should be asked before this tool runs; nothing if nobody need be."""
    for kind in KINDS:
        if _is(exhibit, kind):
            yield f"it {kind.what}"
    if exhibit.effect is Effect.DESTRUCTIVE:
        yield "its effect is destructive"
    if exhibit.external:
        yield (
            "it reaches outside of the house"
            if exhibit.external_said
            else "nothing says that it stays in the house"
        )


def _is(exhibit: Exhibit, kind: RiskyKind) -> bool:
    parts = words(exhibit.name)
    reads = bool(parts) and parts[0] in READ_VERBS and not exhibit.has_effects
    if not reads:
        if any(kind.told_by(text) for text in (exhibit.name, *exhibit.tags)):
            return True
        # "email_customer": the first word is what is done.
        if kind is KINDS[0] and len(parts) > 1 and parts[0] in _MAIL_VERBS:
            return True
    return exhibit.has_effects and any(
        kind.told_by(sentence)
        for sentence in affirmations(exhibit.description)
        if stems(_deed(sentence)) & kind.verbs
    )


def _deed(sentence: str) -> str:
    """What a sentence says is done, its first word: "Deletes …". A deed that is mentioned further on does not count."""
    return next((word for word in words(sentence) if word not in _LEAD_IN), "")


def approval_where_risky(exhibit: Exhibit) -> Answer:
    """Question 10."""
    question = Question.APPROVAL
    found = list(risks(exhibit))
    if exhibit.approval is not None and not exhibit.own_word:
        return affirmed(question, f"{exhibit.approval} must approve")
    if waiver := (exhibit.approval_waiver or "").strip():
        if len(waiver) >= MIN_WAIVER:
            return affirmed(question, f"waived: {waiver}")
        return denied(
            question, Defect(why="the waiver gives no reason", how="write why nobody need be asked")
        )
    if not found and exhibit.own_word:
        return affirmed(
            question, "whoever asks confirms it, and it does nothing that another has to agree to"
        )
    if not found:
        return affirmed(question, "it does nothing that a person has to agree to")
    return denied(
        question,
        Defect(
            why=f"{' and '.join(found)}, and nobody is asked{' but whoever calls' * exhibit.own_word}",
            how=exhibit.mend(
                "approval=Approval(approvers={...}), or approval_waiver= with the reason why nobody need be asked",
                overlay='approval = { approvers = ["…"] }, or approval_waiver = "why nobody need be asked"',
            ),
        ),
    )
