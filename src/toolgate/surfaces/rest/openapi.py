"""OpenAPI 3.1 from the table of endpoints and its models: what is in no row is not described.

Not here: the rows, and the schemas of the tools, which are data of the gate (``GET /v1/tools``).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from toolgate.domain.principal import ACCESS
from toolgate.surfaces.http.problems import MEDIA_TYPE
from toolgate.surfaces.rest.endpoint import JSON

if TYPE_CHECKING:
    from toolgate.surfaces.rest.endpoint import Endpoint, Says

VERSION: Final = "1"
_REF: Final = "#/components/schemas/{model}"
_FORM: Final = "application/x-www-form-urlencoded"
_PROBLEM: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "Problem details (RFC 9457). `outcome` is there where a call ended without a result.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "`/problems/` and a code that stays the same"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "for whoever asked: whose fault, and how to mend it"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
        "outcome": {"$ref": "#/components/schemas/OutcomeBody"},
    },
}
_FORM_ERROR: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "RFC 6749, section 5.2",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9_:]{1,128}$"}
_ANY_NAME: Final = {"type": "string", "minLength": 1}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The description of all ``endpoints``."""
    rows = tuple(endpoints)
    models = sorted({*_models(rows)}, key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    paths: dict[str, Any] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Toolgate",
            "version": VERSION,
            "description": "Ask for calls, decide approvals, read what happened. Every answer tells what was done.",
        },
        "paths": paths,
        "components": {
            "schemas": {**found["$defs"], "Problem": _PROBLEM, "FormError": _FORM_ERROR},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _models(rows: Iterable[Endpoint]) -> Iterator[type[BaseModel]]:
    for row in rows:
        yield row.query
        if row.takes_body:
            yield row.body
        if row.form is not None:
            yield row.form
        yield from (says.content for says in row.answers.values() if not isinstance(says.content, str))


def _operation(row: Endpoint) -> dict[str, Any]:
    described = inspect.getdoc(row.handler) or ""
    said: dict[str, Any] = {
        "operationId": operation_id(row),
        "summary": row.summary,
        "description": f"{described}\n\n{needs_in_words(row)}",
        "tags": [_words(row)[0].partition(".")[0]],
        "security": [{"bearer": []}] if row.login else [],
        "parameters": [*_in_path(row), *_in_query(row)],
        "responses": {str(int(status)): _response(row, status) for status in sorted(row.statuses())},
    }
    if row.takes_body:
        said["requestBody"] = {"required": True, "content": {JSON: {"schema": _ref(row.body)}}}
    elif row.form is not None:
        said["requestBody"] = {"required": True, "content": {_FORM: {"schema": _ref(row.form)}}}
    return said


def operation_id(row: Endpoint) -> str:
    """A name that stays: the path's words after the method."""
    return "_".join([row.method.lower(), *_words(row)]).replace("-", "_").replace(".", "_")


def _words(row: Endpoint) -> list[str]:
    return [part.strip("{}") for part in row.path.removeprefix("/v1").split("/")[1:]]


def needs_in_words(row: Endpoint) -> str:
    """Which scope and role it asks for."""
    if not row.login:
        return "Needs no credential of its own."
    if not row.needs:
        return "Needs a credential; what it opens follows from whose it is."
    ways = []
    for action in row.needs:
        need = ACCESS[action]
        role = (
            f" and the role {' or '.join(f'`{role}`' for role in sorted(need.roles))}" if need.roles else ""
        )
        ways.append(f"the scope `{need.scope.value}`{role}")
    return f"Needs {', or '.join(dict.fromkeys(ways))}."


def _in_path(row: Endpoint) -> list[dict[str, Any]]:
    if row.parameter is None:
        return []
    schema = _ANY_NAME if row.any_name else _ID
    return [{"name": row.parameter, "in": "path", "required": True, "schema": schema}]


def _in_query(row: Endpoint) -> list[dict[str, Any]]:
    schema = row.query.model_json_schema(ref_template=_REF)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _not_null(field)}
        for name, field in schema.get("properties", {}).items()
    ]


def _not_null(field: dict[str, Any]) -> dict[str, Any]:
    """A parameter is there or not; ``null`` is no value of a query string."""
    kept = {
        name: value for name, value in field.items() if name != "title" and (name, value) != ("default", None)
    }
    ways = [way for way in kept.pop("anyOf", []) if way != {"type": "null"}]
    return {**ways[0], **kept} if len(ways) == 1 else kept


def _response(row: Endpoint, status: HTTPStatus) -> dict[str, Any]:
    if (says := row.answers.get(status)) is not None:
        return _good(says)
    content: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if row.form is not None and status is HTTPStatus.BAD_REQUEST:
        content[JSON] = {"schema": {"$ref": "#/components/schemas/FormError"}}
    return {"description": status.phrase, "content": content}


def _good(says: Says) -> dict[str, Any]:
    if isinstance(says.content, str):
        content: dict[str, Any] = {says.content: {}}
    else:
        content = {JSON: {"schema": _ref(says.content)}}
    said: dict[str, Any] = {"description": says.description, "content": content}
    if says.headers:
        said["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in says.headers.items()
        }
    return said


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
