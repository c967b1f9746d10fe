"""The shop of the command line's tests, for operators."""

from tests.cli.conftest import shop

__all__ = ["shop"]
