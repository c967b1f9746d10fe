"""Everything in this process's memory: for tests, first trials and reads."""

from toolgate.adapters.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
