"""From a request to the models that its endpoint declares, or to the problem that names what is wrong.

A ladder, first failure wins: the media type, the JSON (strictly: RFC 7493), the fields. Members that an endpoint hands
on unjudged, such as a call's arguments, may hold what no JSON of ours may: the gate refuses that, and records it. Not
here: which forms there are (``requests``), and how large, slow or deep a body may be, which the middleware bounds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.surfaces.http.members import judged_later, slices
from toolgate.surfaces.http.problems import FieldError, Problem
from toolgate.surfaces.rest.requests import Body, OneOf, Query

if TYPE_CHECKING:
    from starlette.requests import Request

Q = TypeVar("Q", bound=Query)
B = TypeVar("B", bound=BaseModel)

_Place = tuple[int | str, ...]
_MOST_ERRORS: Final = 20
_LONGEST_NAME: Final = 100
_JSON: Final = re.compile(r"application/json(\s*;.*)?", re.IGNORECASE)


def read_query(request: Request, form: type[Q]) -> Q | Problem:
    """The query string as ``form``."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            return Problem(
                code="bad_request", detail=f"the parameter {name[:_LONGEST_NAME]!r} stands twice in the query"
            )
        given[name] = value
    try:
        # Strict by its own configuration, but for the fields that say otherwise.
        return form.model_validate_strings(given)
    except ValidationError as unfit:
        return _problem(unfit, "the query does not fit", prefix="?")


async def read_body(request: Request, form: type[B]) -> B | Problem:
    """The body as ``form``."""
    if not _JSON.fullmatch(request.headers.get("content-type", "")):
        return Problem(code="unsupported_media_type", detail="send the body as application/json")
    try:
        given = members(await request.body(), kept_raw=_kept_raw(form))
    except UnfitJson as unfit:
        return Problem(code="bad_request", detail=f"the body is no JSON object that can be read: {unfit}")
    try:
        return form.model_validate(given)
    except ValidationError as unfit:
        return _problem(unfit, "the body does not fit", prefix="#/", of=form)


def members(raw: bytes, *, kept_raw: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The members of one JSON object; those in ``kept_raw`` as bytes where they are no strict JSON.

    Raises:
        UnfitJson: for anything else than one object in UTF-8 without a name twice.
    """
    if not kept_raw:
        tree = parse_json(raw, max_bytes=len(raw))
        if not isinstance(tree, dict):
            raise UnfitJson("", "it is no object")
        return tree
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise UnfitJson("", "not valid UTF-8") from None
    return {
        name: judged_later(value) if name in kept_raw else parse_json(value, max_bytes=len(raw))
        for name, value in slices(text).items()
    }


def _kept_raw(form: type[BaseModel]) -> frozenset[str]:
    return form.kept_raw if issubclass(form, Body) else frozenset()


def _problem(
    unfit: ValidationError, detail: str, *, prefix: str, of: type[BaseModel] | None = None
) -> Problem:
    """What does not fit, field by field. Never the value: a secret in the wrong field must not come back."""
    found = unfit.errors(include_url=False, include_context=False, include_input=False)
    said = (_said(error["loc"], error["msg"], of) for error in found[:_MOST_ERRORS])
    errors = [FieldError(prefix + "/".join(_name(part) for part in place), why) for place, why in said]
    return Problem(code="bad_request", detail=detail, errors=errors)


def _said(place: _Place, why: str, of: type[BaseModel] | None) -> tuple[_Place, str]:
    """Where the value stands, and what is wrong with it. Of several forms the first step names the form."""
    if of is None or not issubclass(of, OneOf):
        return place, why
    # Without a form its tag is at fault, whose value pydantic would repeat.
    return (place[1:], why) if place else ((of.tag,), f"say one of {', '.join(of.tags())}")


def _name(part: int | str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    text = str(part)[:_LONGEST_NAME].replace("~", "~0").replace("/", "~1")
    return "".join(char if char.isprintable() else "?" for char in text)
