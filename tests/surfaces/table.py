"""The table of calls that every surface is sent. A row says what is sent, never what comes of it.

What comes of it is what a program in the same process is told: that is the suite's one measure, so a rule that changes
changes for all surfaces at once or fails here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, Literal

from tests.surfaces.business import SECRET
from toolgate import Caller

ANN: Final = Caller("ann", {"clerk"}, "acme")
NIL: Final = Caller("nil", set(), "acme")
LEA: Final = Caller("lea", {"lead"}, "acme")

Decision = Literal["approve", "deny"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, or several from the same client.

    Attributes:
        tool: its name, as the business calls it.
        arguments: JSON, byte for byte; one text for each time it is asked.
        caller: on whose behalf.
        workflow: the application's name for the piece of work; None where it gives none.
        agent: the program that acts for the caller, by its credential.
        between: what a person does after the first time.
        at_once: all of them are on their way before the first is answered.
        overdue: the tool never comes back; its deadline passes.
    """

    tool: str
    arguments: tuple[str, ...]
    caller: Caller = ANN
    workflow: str | None = "wf"
    agent: str | None = None
    between: Decision | None = None
    at_once: bool = False
    overdue: bool = False


def once(tool: str, arguments: str = "{}", **how: object) -> Asked:
    """One request."""
    return Asked(tool=tool, arguments=(arguments,), **how)  # type: ignore[arg-type]


def again(tool: str, *arguments: str, **how: object) -> Asked:
    """Several, one after another."""
    return Asked(tool=tool, arguments=arguments, **how)  # type: ignore[arg-type]


def _nested(levels: int) -> str:
    return '{"customer": ' + "[" * levels + "]" * levels + "}"


_GOOD = '{"order": 1, "cents": 500}'
_HELD = '{"order": 1, "cents": 5000}'

CASES: Final[dict[str, Asked]] = {
    # --- what runs
    "good": once("refund", _GOOD),
    "a read": once("notes", '{"customer": "c"}'),
    "a default that is filled in": once("look", '{"customer": "c"}'),
    "a read without arguments": once("leaky"),
    "a read without a workflow": once("notes", '{"customer": "c"}', workflow=None),
    "by an agent": once("refund", _GOOD, agent="desk"),
    "text of every kind": once("notes", '{"customer": "\\u00e9\\ud83d\\ude00 \\"\\\\ \u00fc\u4e2d"}'),
    "replayed": again("refund", _GOOD, _GOOD),
    "replayed, with its members in another order": again(
        "refund", '{"order": 1, "cents": 7}', '{"cents":7,"order":1}'
    ),
    "a result that is cut": once("big"),
    "a result with a secret in it": once("leaky"),
    "a picture": once("picture"),
    "pictures that are cut": once("film"),
    # --- what cannot be read
    "bad argument": once("refund", '{"order": "one", "cents": 500}'),
    "nothing that it needs": once("refund"),
    "unknown field": once("refund", '{"order": 1, "cents": 500, "as": "lea"}'),
    "a key that it makes itself": once("refund", '{"order": 1, "cents": 500, "workflow_id": "mine"}'),
    "out of bounds": once("refund", '{"order": 1000001, "cents": 500}'),
    "a key twice": once("refund", '{"order": 1, "cents": 500, "order": 2}'),
    "a key twice, deeper": once("notes", '{"customer": {"a": 1, "a": 1}}'),
    "a key twice, spelt two ways": once("refund", '{"order": 1, "cents": 500, "\\u006frder": 2}'),
    "a float for an integer": once("refund", '{"order": 1.0, "cents": 500}'),
    "a power for an integer": once("refund", '{"order": 1e0, "cents": 500}'),
    "less than nothing": once("refund", '{"order": -0, "cents": 500}'),
    "an integer beyond JSON's": once("refund", '{"order": 9007199254740993, "cents": 500}'),
    "an integer without end": once("refund", '{"cents": 500, "order": ' + "1" * 5000 + "}"),
    "a number without end": once("refund", '{"order": 1e999, "cents": 500}'),
    "not a number": once("refund", '{"order": NaN, "cents": 500}'),
    "half a character": once("notes", '{"customer": "\\ud800"}'),
    "no object": once("refund", "[1]"),
    "a text instead": once("refund", '"order"'),
    "an object in a text": once("refund", json.dumps(_GOOD)),
    "nothing instead": once("refund", "null"),
    "oversize": once("notes", json.dumps({"customer": "c" * 400_000})),
    "larger than a message may be": once("notes", json.dumps({"customer": "c" * 1_100_000})),
    "as deep as it may be": once("notes", _nested(63)),
    "too deep": once("notes", _nested(64)),
    "deeper than a message may be": once("notes", _nested(70)),
    # --- what is refused
    "a tool that is hidden": once("refund", _GOOD, caller=NIL),
    "denied by a predicate": once("refund", '{"order": 999999, "cents": 500}'),
    "too often": again("rarely", "{}", "{}", "{}"),
    "unknown tool": once("refunds", f'{{"order": 1, "card": "{SECRET}"}}'),
    "unknown tool, with a key twice": once("refunds", '{"order": 1, "order": 2}'),
    "a tool's name that is none": once("refund\u202e"),
    "a tool's name that is a path": once("refund/../notes\n"),
    "a tool's name without end": once("refund" * 1000),
    "a tool's name that is empty space": once(" "),
    "a key that needs a workflow, and none is given": once("refund", _GOOD, workflow=None),
    "the same key with something else": again("refund", _GOOD, '{"order": 1, "cents": 7}'),
    "the same thing twice at once": again("refund", _GOOD, _GOOD, at_once=True),
    # --- what waits for a person
    "held": once("refund", _HELD),
    "held, asked again": again("refund", _HELD, _HELD, _HELD),
    "held, asked for with something else": again("refund", _HELD, '{"order": 1, "cents": 6000}'),
    "held, approved, asked again": again("refund", _HELD, _HELD, between="approve"),
    "held, denied, asked again": again("refund", _HELD, _HELD, between="deny"),
    # --- what takes long: it is answered at once, and on a stage no worker takes it
    "a job": once("survey", '{"customer": "c"}'),
    "a job with a bad argument": once("survey", '{"customer": 1}'),
    "a job by somebody who may not": once("survey", '{"customer": "c"}', caller=NIL),
    "a job with effects": once("restock", _GOOD),
    "a job with effects, asked again": again("restock", _GOOD, _GOOD),
    "a job with effects, asked for with something else": again("restock", _GOOD, '{"order": 1, "cents": 7}'),
    "a job that people have to agree to": once("restock", _HELD),
    "a job that people agreed to, asked again": again("restock", _HELD, _HELD, between="approve"),
    "a job that people refused, asked again": again("restock", _HELD, _HELD, between="deny"),
    # --- how it fails
    "a deadline": once("never", overdue=True),
    "a deadline of what has effects": once("stuck", '{"order": 1}', overdue=True),
    "unknown": once("lost", '{"order": 1}'),
    "unknown, asked again": again("lost", '{"order": 1}', '{"order": 1}'),
    "refused by the business": once("closed", '{"order": 1}'),
    "an error that it declared": once("charge", '{"order": 1}'),
    "an error that it did not declare": once("broken"),
    "a result that is none": once("wrong"),
    "a result that is none, of what was done": again("wrongly", '{"order": 1}', '{"order": 1}'),
    # --- what is kept to itself
    "a secret where it belongs": once("move", f'{{"order": 1, "card": "{SECRET}"}}'),
    "a secret where it does not": once("notes", '{"customer": "AKIAIOSFODNN7EXAMPLE"}'),
    "a secret in a field that is none": once("notes", f'{{"customer": "c", "password": "{SECRET}"}}'),
}
"""By what makes each a case of its own."""
