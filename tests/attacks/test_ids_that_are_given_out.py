"""An id that a list gives out is one that the endpoints beside the list take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rest.desk import ANN, EVE, OLA, held, opened
from toolgate.domain.commands import MoveDelivery, PlanNotice


@pytest.mark.req("M12.20", "X3.8")
async def test_a_delivery_that_was_given_up_is_begun_anew_by_the_id_under_which_it_is_listed(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as desk:
        async with desk.person(ANN) as ann:
            await held(ann)
        store = desk.gateway.store
        (notice,) = await store.unplanned()
        await store.execute(PlanNotice(notice.notice_id, ("ops",)))
        ((planned, _),) = await store.deliveries(state="pending")
        await store.execute(MoveDelivery(planned._replace(state="dead", attempts=30), planned.attempts))

        async with desk.person(OLA) as ola, desk.person(EVE) as eve:
            (listed,) = (await ola.get("/v1/notifications?state=dead")).json()["notifications"]
            where = f"/v1/notifications/{listed['notification_id']}/retry"
            elsewhere = await eve.post(where, json={"sink": listed["sink"]})
            answer = await ola.post(where, json={"sink": listed["sink"]})
        ((again, _),) = await store.deliveries(state="pending")

    assert (elsewhere.status_code, answer.status_code) == (404, 200)
    assert (again.notice_id, again.attempts) == (notice.notice_id, 0)
