"""SQLite through the standard library: one writer thread that groups commits, readers apart."""

from toolgate.adapters.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
