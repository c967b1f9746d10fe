"""Writes ``docs/reference/`` from the code; ``--check`` only tells whether it is up to date (exit 1 if not)."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

import toolgate
from toolgate.cli.app import app
from toolgate.cli.exits import MEANINGS
from toolgate.config.notify import KEYS as SINK_KEYS
from toolgate.domain.errors import ToolgateError
from toolgate.domain.lifecycle import diagrams
from toolgate.domain.metrics import METRICS
from toolgate.domain.notice import TOPICS
from toolgate.domain.outcome import ERRORS, ErrorType, WorldEffect
from toolgate.domain.trail import FLAT_NAMES
from toolgate.surfaces.http.problems import KINDS
from toolgate.surfaces.rest.endpoint import Endpoint
from toolgate.surfaces.rest.endpoints import ENDPOINTS
from toolgate.surfaces.rest.openapi import needs_in_words
from toolgate.surfaces.rest.requests import OneOf
from toolgate.surfaces.rest.statuses import DID_SOMETHING, status_of_error
from toolgate.webhooks import verify

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
EXAMPLES = ROOT / "examples" / "observability"
sys.path.insert(0, str(ROOT))
observability = importlib.import_module("examples.observability.generate")
HEADER = "<!-- Written by docs/build.py from the code. Change the code, then run `make docs`. -->\n\n"


def error_types() -> str:
    rows = [
        f"| `{error.value}` | `{rule.status.value}` | `{rule.effect.value}` | `{rule.advice.value}` | {rule.message} |"
        for error, rule in ERRORS.items()
    ]
    return "\n".join(
        [
            "# Error types\n",
            "Stable codes: new ones may come, none changes its meaning.",
            "`effect` is what the call did to the world unless the outcome knows better: an `invalid_result` after a",
            "write is `applied`, a declared error says its own.\n",
            "| error_type | status | effect | advice | what the model is told |",
            "| --- | --- | --- | --- | --- |",
            *rows,
        ]
    )


def lifecycle() -> str:
    drawn = diagrams()
    return (
        "# The life of a call\n\nDrawn from the tables in `toolgate/domain/lifecycle.py`, the only place where a state "
        "may change.\n\n## Effect\n\n```mermaid\n"
        + drawn["effect"]
        + "\n```\n\n## Approval\n\n```mermaid\n"
        + drawn["approval"]
        + "\n```"
    )


def contract() -> str:
    document = inspect.getdoc(toolgate.tool) or ""
    signature = inspect.signature(toolgate.tool)
    rows = [f"| `{name}` | `{_default(parameter)}` |" for name, parameter in signature.parameters.items()]
    return "\n".join(
        [
            "# The contract: `@tool`\n",
            "The same words are the keys of `[overrides.NAME]` in [toolgate.toml](../configuration.md).\n",
            "```text",
            document,
            "```\n",
            "| keyword | default |",
            "| --- | --- |",
            *rows,
        ]
    )


def _default(parameter: inspect.Parameter) -> str:
    return repr(parameter.default).replace("|", "\\|")


def names() -> str:
    lines = ["# Public names\n", "What `from toolgate import …` offers; anything else may change.\n"]
    for name in sorted(toolgate.__all__):
        thing = getattr(toolgate, name)
        lines += [f"## `{name}`\n", *_described(name, thing)]
    return "\n".join(lines)


def _described(name: str, thing: object) -> Iterator[str]:
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        # A constant or a type alias: its own docstring would be that of its type.
        yield "```text"
        yield _plain(repr(thing)) + "\n```\n"
        return
    yield "```text"
    yield _signature(name, thing)
    yield ""
    yield inspect.getdoc(thing) or ""
    if inspect.isclass(thing) and not issubclass(thing, BaseException | Enum):
        for method, function in sorted(_members(thing).items()):
            if not method.startswith("_") and (
                inspect.isfunction(function) or isinstance(function, classmethod)
            ):
                told = inspect.unwrap(getattr(thing, method))
                yield f"\n.{_signature(method, told)}"
                yield "    " + (inspect.getdoc(told) or "").partition("\n\n")[0].replace("\n", "\n    ")
    yield "```\n"


def _members(thing: type) -> dict[str, object]:
    """What a class of ours offers, by itself and by the parts that it is put together of."""
    parts = [
        part for part in reversed(thing.__mro__) if part.__module__.partition(".")[0] == toolgate.__name__
    ]
    return {name: member for part in parts for name, member in vars(part).items()}


def _signature(name: str, thing: Callable[..., object]) -> str:
    if inspect.isclass(thing) and issubclass(thing, Enum):
        # How one is called is the interpreter's business, and differs from one to the next.
        return f"{name}: {', '.join(str(member.value) for member in thing)}"
    try:
        return name + _plain(str(inspect.signature(thing)))
    except ValueError:
        return name


def _plain(text: str) -> str:
    """Without the addresses, module paths and quotes that nobody reads."""
    text = re.sub(r"<function \S+?(?:<lambda>)? at 0x[0-9a-f]+>|<object [^>]*>|<factory>", "…", text)
    text = re.sub(r"\b(?:toolgate|typing|collections|pathlib|datetime)(?:\.[a-z_]+)*\.", "", text)
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", text).replace("~", "")


def audit_record() -> str:
    rows = [f"| `{field}` | `{flat}` |" for field, flat in FLAT_NAMES.items()]
    return "\n".join(
        [
            "# The audit record\n",
            "A record is canonical JSON (RFC 8785). Fields without a value are left out; times are microseconds since",
            "the epoch, UTC. `toolgate audit tail --json` prints the short names.\n",
            "| field of the record | name in `audit tail --json` |",
            "| --- | --- |",
            *rows,
        ]
    )


def exceptions() -> str:
    lines = [
        "# Exceptions\n",
        "Refusals are values (`Outcome`); these are faults, and what a tool may raise.\n",
    ]
    for depth, kind in _tree(ToolgateError, 0):
        summary = (inspect.getdoc(kind) or "").split("\n", maxsplit=1)[0]
        lines.append(f"{'  ' * depth}- `{kind.__name__}`: {summary}")
    return "\n".join(lines)


def _tree(kind: type[BaseException], depth: int) -> Iterator[tuple[int, type[BaseException]]]:
    yield depth, kind
    for child in kind.__subclasses__():
        if child.__module__ in {"toolgate.domain.errors", "toolgate.domain.questions"}:
            yield from _tree(child, depth + 1)


def commands() -> str:
    codes = [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    lines = ["# The command line\n", "| exit code | meaning |", "| --- | --- |", *codes, ""]
    for path, command in _commands(app, ("toolgate",)):
        context = click.Context(command, info_name=" ".join(path), max_content_width=100)
        lines += [f"## `{' '.join(path)}`\n", "```text", command.get_help(context), "```\n"]
    return "\n".join(lines)


def _commands(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path[-1])
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from _commands(child, (*path, name))


def notifications() -> str:
    topics = [f"| `{topic}` | {meaning} |" for topic, meaning in TOPICS.items()]
    keys = [f"| `{key}` | {meaning} |" for key, meaning in SINK_KEYS.items()]
    return "\n".join(
        [
            "# Notifications\n",
            "New topics may come, none changes its meaning. How to receive them:",
            "[how to tell people](../how-to/notifications.md).\n",
            "| topic | says |",
            "| --- | --- |",
            *topics,
            "\n## Keys of `[[approvals.notify]]`\n",
            "| key | says |",
            "| --- | --- |",
            *keys,
            "\n## `toolgate.webhooks.verify`\n",
            "```text",
            _signature("verify", verify),
            "",
            inspect.getdoc(verify) or "",
            "```",
        ]
    )


def rest() -> str:
    summaries = [f"| [`{row.method} {row.path}`](#{_anchor(row)}) | {row.summary} |" for row in ENDPOINTS]
    ends = [
        f"| `{error.value}` | {int(status_of_error(error, WorldEffect.NONE))} | {KINDS[error.value].title} |"
        for error in ErrorType
    ]
    return "\n".join(
        [
            "# REST\n",
            "Drawn from the table in `toolgate/surfaces/rest/endpoints.py`, as `/openapi.json` is. How to use it:",
            "[how to use it over REST](../how-to/rest.md).\n",
            "| endpoint | what it does |",
            "| --- | --- |",
            *summaries,
            "\n## How a call ends\n",
            "The status of `POST /v1/tools/{name}/calls` by `error_type`, where the call did nothing. One that did",
            f"something, or may have, answers {int(DID_SOMETHING)} whatever its error type.\n",
            "| error_type | status | title |",
            "| --- | --- | --- |",
            *ends,
            "",
            *(line for row in ENDPOINTS for line in _endpoint(row)),
        ]
    )


def _anchor(row: Endpoint) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", f"{row.method} {row.path}".lower()).replace(" ", "-")


def _endpoint(row: Endpoint) -> Iterator[str]:
    yield f"## {row.method} {row.path}\n"
    yield f"{inspect.getdoc(row.handler)}\n\n{needs_in_words(row)}\n"
    for of, model in (("query", row.query), *_bodies(row), ("form", row.form)):
        if model is not None and model.model_fields:
            yield f"| {of} | type | default | |\n| --- | --- | --- | --- |"
            yield from _fields(model)
            yield ""
    yield "| status | answer |\n| --- | --- |"
    for status, says in row.answers.items():
        content = says.content if isinstance(says.content, str) else says.content.__name__
        yield f"| {int(status)} | {says.description} (`{content}`) |"
    others = sorted(row.statuses() - set(row.answers))
    yield f"| {', '.join(str(int(status)) for status in others)} | problem details |\n"


def _bodies(row: Endpoint) -> Iterator[tuple[str, type[BaseModel]]]:
    """The body, or each form that it may have."""
    for form in row.body.forms if issubclass(row.body, OneOf) else (row.body,):
        yield "body", form


def _fields(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema()
    for name, field in schema.get("properties", {}).items():
        ways = [way for way in field.get("anyOf", [field]) if way != {"type": "null"}]
        kinds = " or ".join(_kind(way) for way in ways)
        default = "required" if name in schema.get("required", []) else _default_of(field)
        said = str(field.get("description", "")).replace("|", "\\|")
        yield f"| `{name}` | {kinds} | {default} | {said} |"


def _kind(way: dict[str, Any]) -> str:
    if "const" in way:
        return f"`{way['const']}`"
    if "enum" in way:
        return ", ".join(f"`{value}`" for value in way["enum"])
    if "$ref" in way:
        return f"`{way['$ref'].rpartition('/')[2]}`"
    kind = str(way.get("format") or way.get("type", "any"))
    least = way.get("minLength", way.get("minimum", way.get("minItems")))
    most = way.get("maxLength", way.get("maximum", way.get("maxItems")))
    if most is None:
        return kind
    return f"{kind}, {'at most ' if least is None else f'{least} to '}{most}"


def _default_of(field: dict[str, object]) -> str:
    default = field.get("default")
    return "" if default is None else f"`{json.dumps(default)}`"


def problems() -> str:
    rows = [f"| `/problems/{code}` | {kind.status} | {kind.title} |" for code, kind in KINDS.items()]
    return "\n".join(
        [
            "# Problems\n",
            "What a refused request over HTTP is told, as problem details (RFC 9457, `application/problem+json`):",
            "`type`, `title`, `status`, `detail`, `instance`, `request_id`, `errors` where fields are wrong, and",
            "`outcome` where a call was made. New types may come, none changes its meaning.\n",
            "| type | status | title |",
            "| --- | --- | --- |",
            *rows,
        ]
    )


def metrics() -> str:
    rows = [
        f"| `{metric.prometheus}` | `{metric.name}` | {metric.kind} | {metric.unit.replace('{', '').replace('}', '')} "
        f"| {', '.join(f'`{label.name}`' for label in metric.labels)} | {metric.source} | {metric.help} |"
        for metric in METRICS
    ]
    attributes = {(label.name, label.attribute) for metric in METRICS for label in metric.labels}
    labels = [f"| `{name}` | `{attribute}` |" for name, attribute in sorted(attributes)]
    return "\n".join(
        [
            "# What is counted\n",
            "`/metrics` tells each under its name for Prometheus, the `otel` extra under its name in OpenTelemetry,",
            "which is that of the GenAI conventions where they have one. Who knows it says how the values of several",
            "processes go together: what a `process` or a `server` knows is added up; what the `store` knows is the",
            "same from each of them, so take the greatest. [How to watch it](../how-to/observe.md).\n",
            "| Prometheus | OpenTelemetry | kind | unit | labels | who knows it | what it is |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "\n## Labels\n",
            "They come from closed sets: no tenant, caller or text of anybody is among them.\n",
            "| Prometheus | OpenTelemetry |",
            "| --- | --- |",
            *labels,
            "\n## Alerts\n",
            "Those of `examples/observability/prometheus-rules.yaml`.\n",
            "| alert | severity | holds when | for | what it means, and what to do |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| `{alert.name}` | {alert.severity} | `{alert.holds.replace('|', chr(92) + '|')}` | {alert.lasting} "
                f"| {alert.what} {alert.do} |"
                for alert in observability.ALERTS
            ),
        ]
    )


PAGES: dict[str, Callable[[], str]] = {
    "error-types.md": error_types,
    "lifecycle.md": lifecycle,
    "contract.md": contract,
    "names.md": names,
    "audit-record.md": audit_record,
    "exceptions.md": exceptions,
    "commands.md": commands,
    "notifications.md": notifications,
    "problems.md": problems,
    "rest.md": rest,
    "metrics.md": metrics,
}
# Files that other programs read, beside the repository's examples: no header, for some of them know no comments.
FILES: dict[Path, Callable[[], str]] = {
    EXAMPLES / observability.DASHBOARD: observability.dashboard,
    EXAMPLES / observability.RULES: observability.rules,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if a page is out of date"
    )
    check = parser.parse_args().check
    stale = []
    written = {FOLDER / name: HEADER + page().rstrip() + "\n" for name, page in PAGES.items()}
    written |= {path: made().rstrip() + "\n" for path, made in FILES.items()}
    for path, text in written.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(ROOT))
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    verb = "out of date; run `make docs`" if check else "written"
    print("\n".join(f"{path}: {verb}" for path in stale) or "docs/reference is up to date")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
