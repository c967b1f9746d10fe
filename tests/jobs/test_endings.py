"""How jobs end otherwise: cancelled, too late, not allowed any more, by whoever may and nobody else."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.works import ANA, BEN, GIL, LEE, OPA, job_of, over, transitions
from tests.machines.stage import approve
from toolgate import (
    Approval,
    Caller,
    Failed,
    PendingApproval,
    Refused,
    Started,
    ToolContext,
    ToolError,
    Unknown,
    tool,
)
from toolgate.domain.commands import EndJob
from toolgate.domain.principal import Declined, Principal, in_person
from toolgate.operations.jobs import JobView, cancel_job, list_jobs, see_job
from toolgate.operations.run_job import OTHER_RELEASE
from toolgate.ports import JobFilter

if TYPE_CHECKING:
    from tests.jobs.works import Works
    from tests.machines.stage import Stage
    from toolgate import Gateway


async def cancelled(gateway: Gateway, asked: Any, *, by: Caller = ANA) -> JobView | Declined:
    return await gateway.operate(cancel_job, asked.job_id, by=in_person(by), reason="not needed")


@pytest.mark.req("M7.11")
async def test_a_job_that_waits_ends_at_once_and_never_runs(every_stage: Stage, works: Works) -> None:
    async with every_stage.gateway(works.pay()) as gateway:
        asked = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1}, delay=60)
        view = await cancelled(gateway, asked)
        assert isinstance(view, JobView)
        assert (view.state, view.row.cancelled_by, view.row.cancel_reason) == (
            "cancelled",
            "u-ana",
            "not needed",
        )
        every_stage.clock.advance(120)
        await gateway.sweep()
        ended = await over(gateway, asked)

        assert isinstance(ended, Failed)
        assert (ended.error_type, ended.effect) == ("cancelled", "none")
        assert works.done == []
        assert await transitions(gateway, asked.call_id) == ["job_started", "job_cancelled"]


@pytest.mark.req("M7.11")
async def test_a_read_that_runs_is_cancelled_and_an_effect_is_in_doubt(stage: Stage, works: Works) -> None:
    async with stage.gateway(works.crawl(), works.pay()) as gateway:
        reading = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        await works.stands()
        await cancelled(gateway, reading)
        ended = await over(gateway, reading)
        assert isinstance(ended, Failed)
        assert (ended.error_type, ended.effect) == ("cancelled", "none")
        assert (await job_of(gateway, reading)).state == "cancelled"

        paying = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1})
        await works.stands()
        await cancelled(gateway, paying)
        doubt = await over(gateway, paying)
        assert isinstance(doubt, Unknown)
        assert "job_cancel_asked" in await transitions(gateway, paying.call_id)


@pytest.mark.req("M7.11")
async def test_an_effect_that_says_it_did_nothing_is_cancelled(stage: Stage, works: Works) -> None:
    @tool(effect="write", roles={"support"}, timeout="1h", job=True)
    async def careful(context: ToolContext[Any]) -> None:
        """Undo it when cancelled."""
        try:
            await works.stand()
        except asyncio.CancelledError:
            assert context.cancelled
            raise ToolError("undone", effect="none") from None

    async with stage.gateway(careful) as gateway:
        asked = await gateway.call(careful, {}, caller=ANA)
        await works.stands()
        await cancelled(gateway, asked)
        ended = await over(gateway, asked)

    assert isinstance(ended, Failed)
    assert (ended.error_type, ended.effect) == ("cancelled", "none")


@pytest.mark.req("M7.11")
async def test_a_tool_that_does_not_look_is_answered_after_the_grace_and_heard_later(
    stage: Stage, works: Works
) -> None:
    @tool(effect="write", roles={"support"}, timeout="1h", job=True)
    def deaf() -> str:
        """Run on."""
        works.standing.set()
        assert works.go.wait(30.0)
        return "done after all"

    async with stage.gateway(deaf) as gateway:
        asked = await gateway.call(deaf, {}, caller=ANA)
        await works.stands()
        await cancelled(gateway, asked)
        stage.clock.advance(gateway.world.settle_grace)
        assert isinstance(await over(gateway, asked), Unknown)
        works.let_go()
        while not (await gateway.get_call(asked.call_id, caller=ANA)).ok:
            await asyncio.to_thread(lambda: None)
        assert "late_evidence" in await transitions(gateway, asked.call_id)


@pytest.mark.req("M7.12")
async def test_the_deadline_counts_from_the_first_run_over_all(every_stage: Stage, works: Works) -> None:
    store = every_stage.store()
    gateway = every_stage.gateway(works.crawl(timeout="10m"), store=store)
    async with gateway:
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        await works.stands()
        store.fall()
        works.let_go()
    every_stage.clock.advance(11 * 60)
    async with every_stage.gateway(works.crawl(timeout="10m")) as later:
        await later.sweep()
        ended = await over(later, asked)

    assert isinstance(ended, Failed)
    assert (ended.error_type, ended.effect) == ("timeout", "none")
    assert "third a" not in works.worked


@pytest.mark.req("M7.8")
async def test_a_job_runs_with_the_rights_of_now(stage: Stage, works: Works) -> None:
    async def nobody(_id: str, _tenant: str) -> Caller | None:
        return Caller("u-ana", roles={"other"}, tenant="acme")

    async with stage.gateway(works.pay(), callers=nobody) as gateway:
        asked = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1})
        ended = await over(gateway, asked)

        assert isinstance(ended, Refused)
        assert ended.effect == "none"
        assert works.done == []
        assert (await transitions(gateway, asked.call_id))[-1] == "job_ended"


@pytest.mark.req("M7.8")
async def test_a_job_of_another_contract_waits_for_its_release_and_is_then_refused(
    stage: Stage, works: Works
) -> None:
    async with stage.gateway(works.pay(), jobs=False) as gateway:
        asked = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1})
    changed = works.pay(description="Pay an order, now in euros.")
    async with stage.gateway(changed) as gateway:
        await gateway.sweep()
        assert (await job_of(gateway, asked)).state == "queued"
        stage.clock.advance(OTHER_RELEASE + 1)
        await gateway.sweep()
        ended = await over(gateway, asked)

    assert isinstance(ended, Refused)
    assert ended.error_type == "contract_changed"
    assert works.done == []


@pytest.mark.req("M7.14")
async def test_a_job_that_needs_a_person_is_queued_by_their_consent(every_stage: Stage, works: Works) -> None:
    async with every_stage.gateway(works.asks()) as gateway:
        held = await gateway.call("asks", {"order": 2000}, caller=ANA, workflow="w")
        assert isinstance(held, PendingApproval)
        await approve(gateway, held.approval_id, LEE)
        await gateway.sweep()
        ended = await over(gateway, held)

        assert ended.unwrap() == "u-lee"
        assert await transitions(gateway, held.call_id) == [
            "held",
            "approval_approved",
            "job_started",
            "intended",
            "settled",
        ]


@pytest.mark.req("M7.14")
async def test_a_business_that_asks_while_its_job_runs_gets_a_person_and_another_run(
    every_stage: Stage, works: Works
) -> None:
    async with every_stage.gateway(works.asks()) as gateway:
        asked = await gateway.call("asks", {"order": 20}, caller=ANA, workflow="w")
        assert isinstance(asked, Started)
        while (await job_of(gateway, asked)).state != "pending_approval":
            await asyncio.to_thread(lambda: None)
        held = await gateway.get_call(asked.call_id, caller=ANA)
        assert isinstance(held, PendingApproval)
        assert isinstance(await cancelled(gateway, asked), Declined)
        await approve(gateway, held.approval_id, LEE)
        await gateway.sweep()
        ended = await over(gateway, held)

    assert ended.unwrap() == "u-lee"
    assert works.done == [20]


@pytest.mark.req("M7.15")
async def test_who_may_not_see_a_call_sees_nothing_of_its_job(every_stage: Stage, works: Works) -> None:
    async with every_stage.gateway(works.crawl(), jobs=False) as gateway:
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA, agent="desk")
        assert isinstance(asked, Started)
        agent = Principal(caller=ANA, agent="other")
        for by in (in_person(BEN), in_person(GIL), agent):
            seen = await gateway.operate(see_job, asked.job_id, by=by)
            never = await gateway.operate(see_job, "job_01ABC", by=by)
            ended = await gateway.operate(cancel_job, asked.job_id, by=by, reason="mine")
            assert seen == never == ended == Declined("not_found", "there is no such job")
            listed = await gateway.operate(list_jobs, JobFilter(), by=by)
            assert not isinstance(listed, Declined)
            assert listed.rows == ()
        for by in (in_person(ANA), in_person(OPA), replace(agent, agent="desk")):
            listed = await gateway.operate(list_jobs, JobFilter(), by=by)
            assert not isinstance(listed, Declined)
            assert [view.row.job_id for view in listed.rows] == [asked.job_id]
        ended = await gateway.operate(cancel_job, asked.job_id, by=in_person(OPA), reason="too much")
        assert isinstance(ended, JobView)
        assert ended.state == "cancelled"
        assert ended.outcome is None


@pytest.mark.req("M7.2", "M7.15")
async def test_the_states_that_are_asked_for_are_found_page_by_page(every_stage: Stage, works: Works) -> None:
    async with every_stage.gateway(works.crawl(), jobs=False) as gateway:
        asked = [await gateway.call("crawl", {"site": str(n)}, caller=ANA) for n in range(5)]
        for one in asked[:2]:
            await cancelled(gateway, one)
        await gateway.store.execute(EndJob(asked[2].call_id, "boot", "permission_denied", ("no more",)))

        async def ids(state: str | None) -> list[str]:
            found: list[str] = []
            before: str | None = None
            while True:
                page = await gateway.store.jobs(JobFilter(tenant="acme", state=state, before=before, limit=2))
                found += [call.call_id for _, call in page.rows]
                if page.next is None:
                    return found
                before = page.next

        in_order = [one.call_id for one in reversed(asked)]
        assert await ids(None) == in_order
        assert await ids("queued") == in_order[:2]
        assert await ids("refused") == in_order[2:3]
        assert await ids("cancelled") == in_order[3:]
        assert await ids("failed") == await ids("running") == await ids("succeeded") == []


@pytest.mark.req("M7.14")
async def test_priority_and_delay_last_through_a_hold(stage: Stage, works: Works) -> None:
    needs = works.pay(approval=Approval(approvers={"lead"}))
    async with stage.gateway(needs) as gateway:
        held = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1}, priority=3, delay="5m")
        assert isinstance(held, PendingApproval)
        stage.clock.advance(60)
        await approve(gateway, held.approval_id, LEE)
        await gateway.sweep()
        while not isinstance(started := await gateway.get_call(held.call_id, caller=ANA), Started):
            await asyncio.to_thread(lambda: None)
        row = (await job_of(gateway, started)).row

    assert row.priority == 3
    assert row.not_before - row.created_at == 300_000_000
