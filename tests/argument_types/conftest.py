"""What the tests of the guards share. Not here: the fake network itself, which is in ``fakes``."""

from __future__ import annotations

import pytest

from tests.argument_types.fakes import Fetch, fetch_async, fetch_sync


@pytest.fixture(params=["sync", "async"])
def fetch(request: pytest.FixtureRequest) -> Fetch:
    """Both clients are held to the same behaviour."""
    return fetch_sync if request.param == "sync" else fetch_async
