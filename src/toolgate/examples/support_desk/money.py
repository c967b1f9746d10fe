"""Amounts as people read them. The desk counts in cents of one currency and never in fractions."""

from __future__ import annotations

_CENTS = 100


def shown(cents: int) -> str:
    """Write cents as an amount: 250_000 is '2,500.00'."""
    sign = "-" if cents < 0 else ""
    whole, rest = divmod(abs(cents), _CENTS)
    return f"{sign}{whole:,}.{rest:02d}"
