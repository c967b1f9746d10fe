"""What came back to a question of a tool, and whether it is an answer to it. Pure.

An answer is the client's word about its user: untrusted, and no part of any decision of the gate. Not here: the
questions (``questions``), and how an answer travels (surfaces).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, assert_never

from toolgate.domain.form_fields import misfit, plain
from toolgate.domain.questions import Form, Question, Roots, Sample

Action = Literal["accept", "decline", "cancel"]
ACTIONS: Final = frozenset({"accept", "decline", "cancel"})
MOST_ANSWERS: Final = 64
"""To one call: eight rounds of eight questions."""
LONGEST_SAMPLE: Final = 16_000
"""Characters of a completion."""
MOST_ROOTS: Final = 100
LONGEST_URI: Final = 2_000
LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the user said, as their client tells it.

    Attributes:
        action: ``"accept"``, or ``"decline"`` (they said no) or ``"cancel"`` (they said nothing).
        content: of what was accepted. Of a ``Form`` its fields, as they were filled in: a default is the client's to
            show, and fills in nothing here. Of a ``Sample`` the ``text``, and the ``model`` as the client names it. Of
            ``Roots`` the ``roots``, each with a ``uri`` and maybe a ``name``. Empty otherwise.
    """

    action: Action
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Whether there is something to go on with."""
        return self.action == "accept"


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why an answer is none to its question. Nothing of the answer is repeated."""

    why: str


def fitting(question: Question, answer: Answer) -> Answer | Misfit:
    """``answer`` as the tool gets it, or why it is no answer to ``question``."""
    if answer.action not in ACTIONS or not isinstance(answer.content, Mapping):
        return Misfit("it is no answer at all")
    if not answer.accepted:
        return Answer(action=answer.action)
    found: dict[str, Any] | Misfit
    match question:
        case Form():
            found = _of_form(question, answer.content)
        case Sample():
            found = _of_sample(answer.content)
        case Roots():
            found = _of_roots(answer.content)
        case _:
            assert_never(question)
    return found if isinstance(found, Misfit) else Answer(action="accept", content=found)


def no_answers(answers: object) -> str | None:
    """Why this cannot be the answers to one call, in words for the application; None where it can."""
    if not isinstance(answers, Mapping) or not all(isinstance(each, Answer) for each in answers.values()):
        return "answers= is a mapping of keys to Answer"
    return None if len(answers) <= MOST_ANSWERS else f"answers= holds at most {MOST_ANSWERS}"


def _of_form(form: Form, content: Mapping[str, Any]) -> dict[str, Any] | Misfit:
    # Clients send null for what was left empty.
    given = {name: value for name, value in content.items() if value is not None}
    if given.keys() - form.fields.keys():
        return Misfit("it has a field that the form has not")
    found: dict[str, Any] = {}
    for name, schema in form.fields.items():
        value = given.get(name)
        if value is None and name in form.optional:
            continue
        why = "must be filled in" if value is None else misfit(schema, value)
        if why is not None:
            return Misfit(f"{name} {why}")
        found[name] = plain(value)
    return found


def _of_sample(content: Mapping[str, Any]) -> dict[str, Any] | Misfit:
    text, model = content.get("text"), content.get("model", "")
    if not isinstance(text, str) or len(text) > LONGEST_SAMPLE:
        return Misfit(f"it must be a text of at most {LONGEST_SAMPLE} characters")
    if not isinstance(model, str) or len(model) > LONGEST_NAME:
        return Misfit("the name of its model is no name")
    return {"text": text, "model": model}


def _of_roots(content: Mapping[str, Any]) -> dict[str, Any] | Misfit:
    roots = content.get("roots")
    if not isinstance(roots, list | tuple) or len(roots) > MOST_ROOTS:
        return Misfit(f"it must be a list of at most {MOST_ROOTS} roots")
    found = [_root(each) for each in roots]
    known = [each for each in found if each is not None]
    return (
        {"roots": known}
        if len(known) == len(found)
        else Misfit("each root is a file:// URI, maybe with a name")
    )


def _root(given: object) -> dict[str, str] | None:
    """MCP 2026-07-28, ``Root``: the URI starts with ``file://``."""
    if not isinstance(given, Mapping):
        return None
    uri, name = given.get("uri"), given.get("name")
    if not isinstance(uri, str) or not uri.startswith("file://") or len(uri) > LONGEST_URI:
        return None
    if name is None:
        return {"uri": uri}
    return {"uri": uri, "name": name} if isinstance(name, str) and len(name) <= LONGEST_NAME else None
