"""Bad arguments through the real gate: a clear answer, a record of it, no effect, and nothing internal to the model."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bad_input.conftest import RAN, Item, Order
from tests.small_gate import ANA, trail
from toolgate import Gateway, Outcome, Refused, UsageError, validate
from toolgate.bootstrap import Gateway as _Gateway
from toolgate.domain.outcome import Advice, ErrorType

pytestmark = pytest.mark.req("M3.9", "M3.7", "M10.11")

GOOD: dict[str, Any] = {"customer": "ana", "items": [{"sku": "a", "count": 1}]}
INTERNAL = ("Traceback", 'File "', ".py", "pydantic", "/work", "/usr", "site-packages", "toolgate.")


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"customer": "ana"}
    value["items"] = [value]
    return value


class Strange(Mapping[str, Any]):
    """A mapping that fails in the midst of being read."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError("s3cret-inside")

    def __iter__(self) -> Iterator[str]:
        yield "customer"
        raise RuntimeError("s3cret-inside")

    def __len__(self) -> int:
        return 1


class Stranger:
    def __str__(self) -> str:
        raise RuntimeError("s3cret-inside")

    __repr__ = __str__


def nested(levels: int, opening: str, closing: str) -> str:
    return '{"customer": ' + opening * levels + "1" + closing * levels + "}"


BAD: dict[str, Any] = {
    "nothing": {},
    "none": None,
    "a list": [1],
    "a number": 7,
    "a bool": True,
    "a set": {1},
    "an object": object(),
    "an object that cannot be shown": Stranger(),
    "a class": Order,
    "another model": Item(sku="a", count=1),
    "a mapping that fails": Strange(),
    "a cycle": cyclic(),
    "deep nesting": GOOD | {"notes": deep(5_000)},
    "a deep dict": GOOD | {"notes": {"a": deep(70)}},
    "a huge string": GOOD | {"customer": "x" * 5_000_000},
    "many huge strings": GOOD | {"notes": {str(i): "x" * 200_000 for i in range(20)}},
    "a huge list": GOOD | {"items": [1] * 100_000},
    "a huge integer": GOOD | {"items": [{"sku": "a", "count": 10**5000}]},
    "NaN": GOOD | {"ratio": float("nan")},
    "Infinity": GOOD | {"ratio": float("inf")},
    "a lone surrogate": GOOD | {"customer": "\ud800"},
    "a surrogate in a key": GOOD | {"notes": {"\udfff": "x"}},
    "an int key": GOOD | {"notes": {1: "x"}},
    "a None key": {None: 1},
    "a bytes value": GOOD | {"customer": b"ana"},
    "a tuple": GOOD | {"items": ({"sku": "a", "count": 1},)},
    "a decimal": GOOD | {"ratio": Decimal("0.5")},
    "a subclass within": GOOD | {"notes": OrderedDict(a="b")},
    "a giant key": GOOD | {"x" * 300_000: 1},
    "a key of control characters": GOOD | {"\x00\x1b[31m\u202e": 1},
    "__proto__": GOOD | {"__proto__": {"admin": True}},
    "__proto__ within": GOOD | {"notes": {"__proto__": "x"}},
    "__entity": GOOD | {"notes": {"__entity": "x"}},
    "__extn": GOOD | {"items": [{"sku": "a", "count": 1, "__extn": {}}]},
    "an unknown field": GOOD | {"tenant": "globex"},
    "an idempotency key": GOOD | {"idempotency_key": "mine"},
    "a workflow": GOOD | {"workflow_id": "mine"},
    "a caller": GOOD | {"caller": {"id": "root", "roles": ["admin"]}},
    "empty bytes": b"",
    "an empty text": "",
    "garbage bytes": bytes(range(256)),
    "garbage text": "}{",
    "a text that is no object": '"hello"',
    "null in JSON": b"null",
    "a list in JSON": b"[]",
    "JSON twice": b"{}{}",
    "JSON with a tail": json.dumps(GOOD) + " x",
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "not UTF-8": b'{"customer": "\xff"}',
    "a surrogate in JSON": b'{"customer": "\\ud800", "items": []}',
    "a surrogate in text": '{"customer": "\ud800", "items": []}',
    "NaN in JSON": b'{"customer": "a", "items": [], "ratio": NaN}',
    "Infinity in JSON": b'{"customer": "a", "items": [], "ratio": -Infinity}',
    "overflow in JSON": b'{"customer": "a", "items": [], "ratio": 1e999}',
    "a huge integer in JSON": b'{"customer": "a", "items": [], "ratio": ' + b"9" * 100_000 + b"}",
    "deep arrays in JSON": nested(100_000, "[", "]"),
    "deep objects in JSON": nested(30_000, '{"a":', "}"),
    "an open end": "[" * 200_000,
    "a duplicate key": b'{"customer": "ana", "customer": "ben", "items": []}',
    "a duplicate key within": b'{"customer": "ana", "items": [{"sku": "a", "count": 1, "count": 99}]}',
    "a duplicate key, escaped": b'{"customer": "ana", "\\u0063ustomer": "ben", "items": []}',
    "__proto__ in JSON": b'{"customer": "a", "items": [], "__proto__": {}}',
    "single quotes": "{'customer': 'ana', 'items': []}",
    "a comment": '{"customer": "ana", "items": [] /* none */}',
    "a trailing comma": '{"customer": "ana", "items": [],}',
    "too many bytes": b'{"customer": "' + b"x" * 300_000 + b'"}',
}


async def settled(gateway: Gateway, outcome: Outcome[Any]) -> None:
    """What must hold after any bad input."""
    assert isinstance(outcome, Refused)
    assert outcome.error_type is ErrorType.INVALID_ARGUMENTS
    assert outcome.advice is Advice.FIX_ARGUMENTS
    said = json.dumps(outcome.to_model())
    assert len(said) < 4_000
    assert not [word for word in INTERNAL if word in said], said
    assert "s3cret-inside" not in said
    assert outcome.message.isprintable()
    records = await trail(gateway, outcome.call_id)
    assert [(r["toolgate.decision"], r["error.type"]) for r in records] == [("deny", "invalid_arguments")]
    assert len(json.dumps(records)) < 200_000
    assert "s3cret-inside" not in json.dumps(records)
    assert RAN == []


@pytest.mark.req("M3.6", "M3.8", "M9.7", "M4.1")
@pytest.mark.parametrize("name", ["place_order", "look_up"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_bad_arguments_are_answered_clearly_recorded_and_run_nothing(
    gate: Gateway, caplog: pytest.LogCaptureFixture, name: str, bad: Any
) -> None:
    with caplog.at_level(logging.DEBUG):
        await settled(gate, await gate.call(name, bad, caller=ANA, workflow="w-1"))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not await gate.store.unknown()


@pytest.mark.req("M3.1")
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_validate_says_beforehand_what_the_gate_will_say(gate: Gateway, bad: Any) -> None:
    tools = {tool.name: tool for tool in gate.tools(ANA)}
    before = validate(tools["look_up"], bad)
    outcome = await gate.call("look_up", bad, caller=ANA)
    assert before is not None
    assert isinstance(outcome, Refused)
    expected = {name: value for name, value in outcome.to_model().items() if name != "call_id"}
    assert {name: value for name, value in before.to_model().items() if name != "call_id"} == expected


@pytest.mark.req("M3.1")
async def test_validate_says_nothing_of_good_arguments(gate: Gateway) -> None:
    tools = {tool.name: tool for tool in gate.tools(ANA)}
    assert validate(tools["place_order"], GOOD) is None
    assert validate(tools["place_order"], json.dumps(GOOD)) is None
    assert validate(tools["place_order"], json.dumps(GOOD).encode()) is None
    assert validate(tools["place_order"], Order.model_validate(GOOD)) is None
    assert RAN == []


@pytest.mark.req("M3.1", "M10.12")
def test_validate_takes_a_tool_and_not_its_name() -> None:
    with pytest.raises(UsageError, match="validate takes what @tool returned, not str"):
        validate("look_up", GOOD)  # type: ignore[arg-type]


@pytest.mark.req("M3.10", "X3.1")
async def test_a_model_a_dict_and_json_of_the_same_arguments_are_judged_and_recorded_alike(
    gate: Gateway,
) -> None:
    forms: list[Any] = [Order.model_validate(GOOD), GOOD, json.dumps(GOOD), json.dumps(GOOD).encode()]
    seen = set()
    for form in forms:
        outcome = await gate.call("look_up", form, caller=ANA, workflow="w-1")
        assert outcome.ok
        (record,) = await trail(gate, outcome.call_id)
        for name in ("toolgate.call.id", "time"):
            record.pop(name)
        seen.add(json.dumps(record, sort_keys=True))
    assert len(seen) == 1
    assert RAN[0] == RAN[1] == RAN[2] == RAN[3]


@pytest.mark.req("M3.10", "M9.2")
async def test_every_form_of_the_same_arguments_is_the_same_key_and_fingerprint(gate: Gateway) -> None:
    full = Order.model_validate(GOOD).model_dump()
    forms: list[Any] = [
        GOOD,
        full,
        json.dumps(full),
        Order.model_validate(GOOD),
        dict(reversed(full.items())),
    ]
    for form in forms:
        outcome = await gate.call("place_order", form, caller=ANA, workflow="w-1")
        assert outcome.unwrap() == 1
    assert len(RAN) == 1


@pytest.mark.req("M3.10", "X3.1")
async def test_bad_arguments_leave_the_same_record_as_values_and_as_json(gate: Gateway) -> None:
    bad = GOOD | {"ratio": "half", "unknown": 1}
    shown = []
    for form in (bad, json.dumps(bad)):
        outcome = await gate.call("look_up", form, caller=ANA)
        (record,) = await trail(gate, outcome.call_id)
        shown.append((record["gen_ai.tool.call.arguments"], record["toolgate.reasons"]))
    assert shown[0] == shown[1]


@pytest.mark.req("M3.5")
async def test_a_refusal_names_every_wrong_field_and_what_would_be_right(gate: Gateway) -> None:
    bad = {"customer": "", "items": [{"sku": 5, "count": 100}], "ratio": "half", "colour": "red"}
    outcome = await gate.call("look_up", bad, caller=ANA)
    assert isinstance(outcome, Refused)
    for part in (
        "customer: String should have at least 1 character",
        "items.0.sku: Input should be a valid string",
        "items.0.count: Input should be less than or equal to 99",
        "ratio: Input should be a valid number",
        "colour: Extra inputs are not permitted",
    ):
        assert part in outcome.message


@pytest.mark.req("M3.5")
async def test_of_many_wrong_fields_the_first_are_named_and_the_others_counted(gate: Gateway) -> None:
    outcome = await gate.call("look_up", GOOD | {f"x{number}": 1 for number in range(40)}, caller=ANA)
    assert isinstance(outcome, Refused)
    assert outcome.message.endswith("; and 35 more")


@pytest.mark.req("M3.6")
async def test_a_duplicate_key_is_named(gate: Gateway) -> None:
    outcome = await gate.call("look_up", b'{"customer": "a", "items": [], "customer": "b"}', caller=ANA)
    assert isinstance(outcome, Refused)
    assert outcome.message == "the key 'customer' appears twice in one object"


@pytest.mark.req("M3.8")
async def test_a_reserved_key_is_named_with_its_place(gate: Gateway) -> None:
    outcome = await gate.call("look_up", GOOD | {"notes": {"__entity": "x"}}, caller=ANA)
    assert isinstance(outcome, Refused)
    assert outcome.message == 'notes: "__entity" is a reserved key; use another name'


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gate for all examples of a property; opened without a loop of its own."""
    from tests.bad_input.conftest import look_up, place_order

    folder = tmp_path_factory.mktemp("standing")
    with _Gateway(
        [place_order, look_up], store=f"sqlite:///{folder / 'gate.db'}", housekeeping=None
    ) as gateway:
        yield gateway


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=8)
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["__proto__", "__entity", "ana", "\ud800", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8) | st.integers() | st.sampled_from(["customer", "items"]), inner, max_size=4
        )
        | st.tuples(inner)
    ),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from([*GOOD, "notes", "ratio", "card", "other"]), ANY, max_size=4))
def test_whatever_is_put_into_good_arguments_is_accepted_or_refused_and_never_a_fault(
    standing: Gateway, changes: dict[str, Any]
) -> None:
    outcome = standing.call_sync("look_up", GOOD | changes, caller=ANA)
    assert outcome.ok or (isinstance(outcome, Refused) and outcome.error_type is ErrorType.INVALID_ARGUMENTS)
    json.dumps(outcome.to_model()).encode()


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(given_=ANY | st.binary(max_size=200) | st.text(st.characters(codec=None), max_size=200))
def test_whatever_is_sent_instead_of_arguments_is_refused(standing: Gateway, given_: Any) -> None:
    outcome = standing.call_sync("place_order", given_, caller=ANA, workflow="w-1")
    assert isinstance(outcome, Refused)
    assert outcome.error_type is ErrorType.INVALID_ARGUMENTS


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 200), byte=st.integers(0, 255), drop=st.integers(0, 3))
def test_json_with_one_byte_changed_is_accepted_or_refused_and_never_a_fault(
    standing: Gateway, position: int, byte: int, drop: int
) -> None:
    raw = bytearray(json.dumps(GOOD | {"notes": {"a": "b\\u00e9"}, "ratio": 0.25}).encode())
    at = position % len(raw)
    raw[at : at + drop] = bytes([byte])
    outcome = standing.call_sync("look_up", bytes(raw), caller=ANA)
    assert outcome.ok or (isinstance(outcome, Refused) and outcome.error_type is ErrorType.INVALID_ARGUMENTS)
