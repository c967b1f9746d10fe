"""What a child process can find by name: a tool and the gateway's ``deps``, by module and qualified name.

A child starts empty and imports; it is given names and never objects. Whatever cannot be found again
under its own name is refused when the gateway is made.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolgate.domain.errors import ContractError
from toolgate.domain.tool import Tool

if TYPE_CHECKING:
    from types import ModuleType


@dataclass(frozen=True, slots=True)
class Reference:
    """Where to import something from."""

    module: str
    path: str

    def load(self) -> Any:
        """The object. Raises whatever importing its module raises, or ``AttributeError``."""
        return _walk(importlib.import_module(self.module), self.path)


def _walk(found: Any, path: str) -> Any:
    for name in path.split("."):
        found = getattr(found, name)
    return found


def tool_reference(tool: Tool[Any, Any]) -> Reference:
    """Where a child finds ``tool``.

    Raises:
        ContractError: if it could not find this very tool, with words that say how to mend it.
    """
    where = f"tool {tool.name!r}: isolation='process' "
    module = _module_of(tool.function, where)
    path = tool.function.__qualname__
    _refuse_inner(path, where, "the function")
    reference = Reference(_import_name(module, where), path)
    if _is_tool(_found(module, path), tool):
        return reference
    # Made by ``other_name = tool(...)(function)``.
    for name, value in vars(module).items():
        if _is_tool(value, tool):
            return Reference(reference.module, name)
    raise ContractError(
        f"{where}needs a tool that a child process can import, but {reference.module}.{path} is something else; "
        "keep what @tool returns under a name of its module"
    )


def deps_reference(deps: Any) -> Reference:
    """Where a child finds the gateway's ``deps``.

    Raises:
        ContractError: if it could not find this very function.
    """
    where = "deps=: with a tool of isolation='process' "
    module = _module_of(deps, where)
    path = str(getattr(deps, "__qualname__", ""))
    _refuse_inner(path, where, "deps")
    reference = Reference(_import_name(module, where), path)
    if not path or _found(module, path) is not deps:
        raise ContractError(
            f"{where}deps must be a function that a child process can import, but {reference.module} has another "
            f"{path or type(deps).__name__!r}; define it at the top of a module, with @asynccontextmanager"
        )
    return reference


def _is_tool(value: Any, tool: Tool[Any, Any]) -> bool:
    return isinstance(value, Tool) and value.function is tool.function


def _found(module: ModuleType, path: str) -> Any:
    try:
        return _walk(module, path)
    except AttributeError:
        return None


def _module_of(thing: Any, where: str) -> ModuleType:
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    if module is None:
        raise ContractError(f"{where}needs something defined in a module that a child process can import")
    return module


def _refuse_inner(path: str, where: str, what: str) -> None:
    if "<lambda>" in path:
        raise ContractError(f"{where}cannot run a lambda, which has no name to import; write {what} with def")
    if "<locals>" in path:
        inner = path.replace(".<locals>", "")
        raise ContractError(
            f"{where}cannot import {inner}, which is local; move {what} to the top of its module"
        )


def _import_name(module: ModuleType, where: str) -> str:
    if module.__name__ != "__main__":
        return module.__name__
    spec = getattr(module, "__spec__", None)
    if spec is None or spec.name == "__main__":
        raise ContractError(
            f"{where}cannot import from a script that is run as a file; move it to a module, or start the program "
            "with python -m"
        )
    return str(spec.name)
