"""What `toolgate check` is pointed at: a module, something in a module, or a file of definitions.

Here: finding and importing it, and saying clearly why it cannot be read. Not here: judging it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from toolgate.bootstrap import Gateway
from toolgate.bootstrap.tools import upstreams_of
from toolgate.cli.exits import Exit
from toolgate.config import load_settings
from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.domain.checklist import Exhibit, read_definitions
from toolgate.domain.errors import ConfigurationError, ToolgateError
from toolgate.domain.redaction import redact_text
from toolgate.domain.tool import Tool

MAX_FILE: Final = 16 * 1024 * 1024
_HOW: Final = (
    "package.module, package.module:name (tools, a gateway, or a function that makes one), a toolgate.toml "
    "or a .json file"
)

AnyTool: TypeAlias = Tool[Any, Any]


class Unreadable(click.ClickException):
    """The target cannot be read, so nothing is known of it. Exit code 2, apart from 1 for defects."""

    exit_code = Exit.USAGE


def definitions_in(path: Path) -> tuple[Exhibit, ...]:
    """The definitions of a JSON file, at most `MAX_FILE` bytes.

    Raises:
        Unreadable: if there is no such file, or it is no list of tools.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise Unreadable(f"{path.name} is larger than {MAX_FILE} bytes")
        return read_definitions(parse_json(path.read_bytes(), max_bytes=MAX_FILE))
    except OSError as fault:
        raise Unreadable(f"{path.name} cannot be read: {fault.strerror or type(fault).__name__}") from fault
    except (UnfitJson, ConfigurationError) as unfit:
        raise Unreadable(f"{path.name}: {unfit}") from unfit


def served_by(path: Path) -> tuple[list[AnyTool], list[AnyTool]]:
    """All that a configuration serves, tightened by its overrides: of its code, and of upstreams. None is reached.

    Raises:
        Unreadable: if it cannot be read, or serves nothing.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            settings = load_settings(path)
            upstreams = upstreams_of(settings)
            found = settings.tools(), list(upstreams.tools) if upstreams is not None else []
    except ToolgateError as fault:
        raise Unreadable(redact_text(str(fault))) from fault
    if not any(found):
        raise Unreadable(f"{path.name} serves no tool")
    return found


def is_file(target: str) -> bool:
    """Whether a target names a file rather than a module."""
    return not target.endswith(".py") and (
        target.endswith(".json") or "/" in target or Path(target).is_file()
    )


def tools_in(target: str) -> list[AnyTool]:
    """The tools of ``package.module`` or ``package.module:name``, each once, in the order of the text.

    Raises:
        Unreadable: if it cannot be imported, or holds no tool.
    """
    name, _, attribute = target.partition(":")
    if target.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        raise Unreadable(f"{target!r} is no target: write {_HOW}")
    # What is imported may print, and may start what prints: the report on standard output stays whole.
    with _working_directory_first(), contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        # A gateway that is made to be looked at and never opened loses nothing in memory.
        warnings.filterwarnings("ignore", message=".*the memory store forgets")
        found = _named(_imported(name), name, attribute) if attribute else _everything(_imported(name))
        if not found and not attribute and _has_tools_module(name):
            found = _everything(
                _imported(f"{name}.tools")
            )  # a package that keeps them where one looks for them
    # A tool that also stands behind a gateway is checked as it stands there, after the operator's changes.
    tools = list({(tool.name, id(tool.function)): tool for tool in found}.values())
    if not tools:
        raise Unreadable(f"{target} holds no tool: write {_HOW}")
    return tools


@contextlib.contextmanager
def _working_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(here)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name and (name == missing.name or name.startswith(f"{missing.name}.")):
            raise Unreadable(f"there is no module {missing.name!r} here; write {_HOW}") from missing
        raise Unreadable(f"{name} imports {missing.name!r}, which is not installed") from missing
    except (Exception, SystemExit) as fault:
        raise Unreadable(f"{name} cannot be imported: {_told(fault)}") from fault


def _has_tools_module(name: str) -> bool:
    return hasattr(sys.modules[name], "__path__") and importlib.util.find_spec(f"{name}.tools") is not None


def _told(fault: BaseException) -> str:
    """An author's fault in its own words, which tell how to mend it; anything else with its kind."""
    text = redact_text(str(fault), max_characters=500)
    return text if isinstance(fault, ToolgateError) else f"{type(fault).__name__}: {text}".removesuffix(": ")


def _named(module: Any, name: str, attribute: str) -> list[AnyTool]:
    found = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise Unreadable(f"{name} has no {attribute!r}")
    tools = _everything(found) if inspect.ismodule(found) else _held(found)
    if tools is None and callable(found):
        tools = _held(_made(found, f"{name}:{attribute}"))
    if tools is None:
        raise Unreadable(f"{name}:{attribute} is no tool, no list of tools and no gateway, and makes none")
    return tools


def _made(make: Any, where: str) -> Any:
    try:
        made = make()
        return asyncio.run(made) if inspect.iscoroutine(made) else made
    except (Exception, SystemExit) as fault:
        raise Unreadable(f"{where}() failed: {_told(fault)}") from fault


def _held(found: Any) -> list[AnyTool] | None:
    """The tools in a value; ``None`` if it is no kind of value that holds tools."""
    if isinstance(found, Tool):
        return [found]
    if isinstance(found, Gateway):
        return [entry.tool.with_contract(entry.contract) for entry in found.world.registry.values()]
    if isinstance(found, str | bytes | dict) or not isinstance(found, Iterable):
        return None
    held = list(found)
    return held if all(isinstance(each, Tool) for each in held) else None


def _everything(module: Any) -> list[AnyTool]:
    """The tools and gateways that a module holds under its names, and in a list called ``tools``."""
    found: list[AnyTool] = []
    for name, value in vars(module).items():
        if isinstance(value, Tool | Gateway) or name == "tools":
            found += _held(value) or []
    return found
