"""Runs isolated tools in child processes that are truly ended at the deadline.

``runner`` is the port's side, ``worker`` owns one child, ``child`` is what runs in it, ``wire`` is what
passes between them, and ``importable`` says what a child can find by name. Nothing here decides anything.
"""

from toolgate.adapters.runners.process.runner import ProcessRunner

__all__ = ["ProcessRunner"]
