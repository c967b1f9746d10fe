"""What a server writes on its terminal: one line a record, and never what an exception says."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from toolgate.cli.log_lines import OneLine, log_to

pytestmark = pytest.mark.req("M11.20")


@pytest.fixture
def loggers() -> Iterator[None]:
    """The loggers of this process as they were."""
    root, own = logging.getLogger(), logging.getLogger("toolgate")
    before = (root.handlers[:], root.level, own.level)
    yield
    root.handlers[:], root.level, own.level = before
    logging.captureWarnings(capture=False)


def line(message: str, *, error: BaseException | None = None) -> str:
    fault = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("toolgate.http", logging.ERROR, __file__, 1, message, None, fault)
    record.created = 0.5
    return OneLine().format(record)


def test_a_record_is_one_line_with_its_time_first() -> None:
    assert line("method=GET\nroute=/") == (
        "time=1970-01-01T00:00:00.500Z level=error logger=toolgate.http method=GET route=/"
    )


def test_of_an_exception_only_its_type_and_place_are_told() -> None:
    try:
        raise LookupError("the secret of /srv/internal")
    except LookupError as error:
        told = line("it failed", error=error)

    assert re.search(r"it failed \(LookupError at test_log_lines\.py:\d+\)$", told)


def test_a_secret_and_a_control_sequence_do_not_reach_the_terminal() -> None:
    told = line("Authorization: Bearer tgt_L2wTzr2RaSFkCJM8NiBTHncagYypGhNtBNCtm92TcGE \x1b[2J")

    assert "L2wTzr2" not in told
    assert "\x1b" not in told


@pytest.mark.usefixtures("loggers")
def test_other_libraries_are_heard_only_when_something_is_wrong() -> None:
    stream = io.StringIO()
    log_to(stream)

    logging.getLogger("toolgate.http").info("a request")
    logging.getLogger("another.library").info("chatter")
    logging.getLogger("another.library").warning("trouble")

    assert [said.partition("logger=")[2] for said in stream.getvalue().splitlines()] == [
        "toolgate.http a request",
        "another.library trouble",
    ]
