"""The description of REST says everything that REST does, and the application does nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.long_work import Stock
from tests.rest.desk import ALL, ANN, LEA, Business, Desk, ask, held, seen
from tests.rest.served import Served, served
from toolgate.domain.outcome import ErrorType, WorldEffect
from toolgate.surfaces.http.problems import KINDS
from toolgate.surfaces.rest.endpoints import ENDPOINTS, openapi_document
from toolgate.surfaces.rest.events import STREAM
from toolgate.surfaces.rest.statuses import REPEATED_UNASKED, status_of_error

pytestmark = pytest.mark.req("X3.7")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
DESCRIPTION = schemathesis.openapi.from_dict(openapi_document())
ENDLESS = "/v1/events"
"""Tested beside its end; a client that reads to the end would wait for it."""


class Known:
    """Things that are really there, for requests that would otherwise only meet what is not."""

    def __init__(self, place: Served) -> None:
        self.url = place.url
        self.token = place.run(lambda desk: desk.token(ALL))
        self.ids = place.run(_things)

    def id_for(self, path: str) -> str | None:
        """The id of something that ``path`` may name."""
        return next((id_ for start, id_ in self.ids.items() if path.startswith(start) and "{" in path), None)


async def _things(desk: Desk) -> dict[str, str]:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        ended = (await ask(ann, "refund", order=9)).json()["call_id"]
        job = (await ask(ann, "count", shelves=3)).json()["job_id"]
        # It is over, so that nobody who waits for its end waits long.
        assert (await ann.post(f"/v1/jobs/{job}/cancel", json={"reason": "enough"})).status_code == 200
        waits = (await held(ann, order=10))["approval_id"]
        assert (await seen(lea, waits))["state"] == "pending"
        grant = {
            "tool": "refund",
            "bounds": {},
            "caller_id": "ann",
            "lasting": "1h",
            "uses": 1,
            "reason": "some",
        }
        granted = (await lea.post("/v1/grants", json=grant)).json()["grant_id"]
    spare, _ = await desk.made(ANN)
    return {
        "/v1/calls/": ended,
        "/v1/jobs/": job,
        "/v1/approvals/": waits,
        "/v1/grants/": granted,
        "/v1/tokens/": spare,
        "/v1/tools/": "refund",
        "/v1/notifications/": "ntc_none",
    }


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    tools = [*Business().tools(), *Stock().tools()]
    with served(tmp_path_factory.mktemp("rest"), tools=tools, jobs=False) as place:
        yield Known(place)


@DESCRIPTION.exclude(path=ENDLESS).parametrize()
@settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_answer_is_one_that_is_described(case: Any, known: Known) -> None:
    headers = {"Authorization": f"Bearer {known.token}"}
    case.call_and_validate(base_url=known.url, headers=headers, checks=CHECKS)
    there = known.id_for(case.path)
    if there is not None and case.path_parameters:
        case.path_parameters = dict.fromkeys(case.path_parameters, there)
        case.call_and_validate(base_url=known.url, headers=headers, checks=CHECKS[:5])
    if case.path.endswith("/{name}/calls"):
        case.path_parameters = {"name": "notes"}
        case.call_and_validate(base_url=known.url, headers=headers, checks=CHECKS[:5])


def test_every_error_type_has_a_row_and_a_described_status() -> None:
    described = openapi_document()["paths"]["/v1/tools/{name}/calls"]["post"]["responses"]
    for error in ErrorType:
        assert error.value in KINDS
        for effect in WorldEffect:
            assert str(int(status_of_error(error, effect))) in described


@pytest.mark.req("M10.18")
def test_a_status_that_clients_repeat_by_themselves_means_that_nothing_happened() -> None:
    for error in ErrorType:
        for effect in (WorldEffect.APPLIED, WorldEffect.UNKNOWN):
            assert status_of_error(error, effect) not in REPEATED_UNASKED


def test_every_endpoint_has_words_and_a_name_of_its_own() -> None:
    paths = openapi_document()["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert len(operations) == len(ENDPOINTS)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"].endswith((".", ":")) for operation in operations)


def test_every_schema_that_is_named_is_there() -> None:
    document = openapi_document()
    named: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                named.add(reference.removeprefix("#/components/schemas/"))
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(document)
    assert named <= document["components"]["schemas"].keys()


async def test_the_description_needs_no_login_and_holds_no_tool(desk: Desk) -> None:
    async with desk.client(None) as anybody:
        answer = await anybody.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == openapi_document()
    assert "refund" not in answer.text


async def test_head_is_get_without_its_body_and_a_stream_has_none(desk: Desk) -> None:
    async with desk.person(ALL) as somebody:
        for row in ENDPOINTS:
            if row.method != "GET":
                continue
            path = row.path.replace("{id}", "call_none").replace("{name}", "none")
            streams = any(says.content == STREAM for says in row.answers.values())
            if row.path == "/v1/audit/export" or not streams:
                head, get = await somebody.head(path), await somebody.get(path)
                assert head.status_code == get.status_code
            else:
                assert (await somebody.head(path)).status_code == 405


async def test_another_method_is_refused_with_those_that_there_are(desk: Desk) -> None:
    async with desk.person(ALL) as somebody:
        answer = await somebody.delete("/v1/grants")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
