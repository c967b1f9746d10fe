"""Tools that are jobs, importable by name, as a configuration asks. See ``tests.long_work``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.long_work import Stock

if TYPE_CHECKING:
    from toolgate import Tool

stock = Stock()
tools: list[Tool[Any, Any]] = stock.tools()


def forget() -> None:
    """Begin anew."""
    stock.entered.clear()
    stock.proceed.clear()
    stock.filled.clear()
