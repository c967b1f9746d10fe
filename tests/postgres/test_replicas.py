"""Several stores on one database that race for the same rows: one winner, no deadlock that anybody hears of."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.ledger import rows as make
from tests.postgres.ledgers import all_at_once, opened, verified
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.canonical import canonical_json
from toolgate.domain.commands import Done, GrantUse, NotAllowed, PutGrant, RevokeGrant, Superseded, Taken
from toolgate.domain.lifecycle import EffectCause
from toolgate.domain.rows import ByApproval, ByCall, ByGrant, ByKey, GrantRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate.domain.commands import Answer, Command, Intend

GRANT = GrantRow(
    grant_id="grant_1",
    tenant="acme",
    tool="refund",
    contract_digest="d1",
    bounds=canonical_json({}),
    caller_id=make.REQUESTER,
    agent=None,
    until=make.EXPIRY,
    max_uses=5,
    uses=0,
    granted_by="u-ben",
    roles=frozenset({"billing"}),
    reason="a quiet week",
    created_at=make.NOW,
    approval_id=None,
    revoked_at=None,
    revoked_by=None,
)


async def replicas(stack: AsyncExitStack, dsn: str, count: int) -> list[PostgresStore]:
    return [await stack.enter_async_context(opened(dsn, f"boot_{number}")) for number in range(count)]


async def each_in_one_group(
    stores: list[PostgresStore], commands: list[list[Command]]
) -> list[list[Answer | BaseException]]:
    return list(
        await asyncio.gather(
            *(all_at_once(store, *mine) for store, mine in zip(stores, commands, strict=True))
        )
    )


@pytest.mark.req("X1.42", "M9.17")
async def test_of_replicas_that_claim_the_same_keys_in_any_order_one_wins_each(postgres_dsn: str) -> None:
    dice = random.Random(7)
    async with AsyncExitStack() as stack:
        stores = await replicas(stack, postgres_dsn, 3)
        for turn in range(5):
            keys = [b"%d %d" % (turn, number) for number in range(40)]
            commands: list[list[Command]] = [
                [
                    make.intend(f"call_{turn}_{mine}_{key.hex()}", key=key)
                    for key in dice.sample(keys, len(keys))
                ]
                for mine in range(len(stores))
            ]

            answers = await each_in_one_group(stores, commands)

            told = Counter(type(answer).__name__ for mine in answers for answer in mine)
            assert told == {"Done": 40, "Taken": 80}
            for key in keys:
                found = await stores[0].find(ByKey(key))
                assert found.call is not None
                assert found.call.key_mac == key
        assert await verified(stores[0]) >= 5 * 40


@pytest.mark.req("X1.42")
async def test_of_replicas_that_dispatch_one_approval_one_does(postgres_dsn: str) -> None:
    async with AsyncExitStack() as stack:
        stores = await replicas(stack, postgres_dsn, 3)
        names = [f"call_{number:02}" for number in range(30)]
        await asyncio.gather(*(stores[0].execute(make.draft(name, name.encode())) for name in names))
        await asyncio.gather(*(stores[1].execute(make.approve(name)) for name in names))
        orders = [names, names[::-1], names[15:] + names[:15]]

        answers = await each_in_one_group(
            stores,
            [[make.dispatch(name, owner=f"boot_{n}") for name in order] for n, order in enumerate(orders)],
        )

        told = Counter(type(answer).__name__ for mine in answers for answer in mine)
        assert told == {"Done": 30, "Superseded": 60}
        owners = {
            name: answer.call.owner
            for mine, order in zip(answers, orders, strict=True)
            for name, answer in zip(order, mine, strict=True)
            if isinstance(answer, Done) and answer.call is not None
        }
        for name in names:
            found = await stores[2].find(ByApproval(f"appr_{name}"))
            assert found.call is not None
            assert found.call.owner == owners[name]
        await verified(stores[0])


@pytest.mark.req("X1.42")
async def test_no_more_uses_of_a_grant_are_spent_than_there_are_whoever_asks(postgres_dsn: str) -> None:
    async with AsyncExitStack() as stack:
        stores = await replicas(stack, postgres_dsn, 3)
        await stores[0].execute(PutGrant(GRANT, make.note("grant_created")))
        use = GrantUse("grant_1", make.requirement(), "d1")

        def intend(mine: int, number: int) -> Intend:
            key = b"%d %d" % (mine, number)
            return make.intend(f"call_{mine}_{number}", key=key)._replace(grant=use)

        answers = await each_in_one_group(
            stores, [[intend(mine, number) for number in range(8)] for mine in range(3)]
        )

        told = Counter(type(answer).__name__ for mine in answers for answer in mine)
        found = await stores[0].find(ByGrant("grant_1"))
        assert found.grant is not None
        assert told["Done"] == found.grant.uses
        assert told == {"Done": 5, "NotAllowed": 19}
        await verified(stores[0])


@pytest.mark.req("X1.42")
async def test_a_vote_and_an_end_on_two_replicas_are_one_after_the_other(postgres_dsn: str) -> None:
    async with AsyncExitStack() as stack:
        first, second = await replicas(stack, postgres_dsn, 2)
        for number in range(25):
            name = f"call_{number}"
            await first.execute(make.draft(name, name.encode()))

            answers = await asyncio.gather(first.execute(make.approve(name)), second.execute(make.deny(name)))

            kinds = [type(answer) for answer in answers]
            found = await second.find(ByApproval(f"appr_{name}"))
            assert found.approval is not None
            if kinds == [Done, Done]:
                # Approved, and denied behind it: a denial takes back what was not dispatched yet.
                assert found.approval.state.value == "denied"
            else:
                assert sorted(kind.__name__ for kind in kinds) == ["Done", "NotAllowed"]
        await verified(first)


@pytest.mark.req("X1.42", "X1.16")
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_replicas_do_to_the_same_few_rows_nobody_waits_for_ever_and_all_of_it_adds_up(
    postgres_dsn: str, seed: int
) -> None:
    dice = random.Random(seed)
    keys = [b"key %d" % number for number in range(6)]
    grants = [GRANT._replace(grant_id=f"grant_{number}", max_uses=10_000) for number in range(3)]

    def any_command(mine: int, number: int) -> Command:
        name, key = f"call_{mine}_{number}", dice.choice(keys)
        before = f"call_{dice.randrange(4)}_{dice.randrange(number + 1)}"
        use = GrantUse(dice.choice(grants).grant_id, make.requirement(), "d1")
        ways: list[Callable[[], Command]] = [
            lambda: make.intend(name, key=key),
            lambda: make.intend(name, key=key)._replace(grant=use),
            lambda: make.intend(name)._replace(grant=use),
            lambda: make.draft(name, key),
            lambda: make.draft(name, key, attach_only=True)._replace(
                also=(make.claim_row(dice.choice(keys), name),)
            ),
            lambda: make.settle(before, EffectCause.SETTLED_NOT_APPLIED),
            lambda: make.settle(before),
            lambda: make.rehold(before)._replace(claim=make.claim_row(dice.choice(keys), before)),
            lambda: make.approve(before),
            lambda: make.deny(before),
            lambda: make.dispatch(before),
            lambda: make.evidence(before, applied=False),
            lambda: make.record(f"{name}_read"),
        ]
        return dice.choice(ways)()

    async with AsyncExitStack() as stack:
        stores = await replicas(stack, postgres_dsn, 4)
        for grant in grants:
            await stores[0].execute(PutGrant(grant, make.note("grant_created")))

        async def work(mine: int) -> list[Answer | BaseException]:
            given: list[Answer | BaseException] = []
            for number in range(0, 60, 12):
                commands = [any_command(mine, n) for n in range(number, number + 12)]
                given += await all_at_once(stores[mine], *commands)
            return given

        answers = [answer for mine in await asyncio.gather(*map(work, range(4))) for answer in mine]

        assert {type(answer) for answer in answers} <= {Done, Taken, Superseded, NotAllowed}
        assert sum(isinstance(answer, Done) for answer in answers) > 20
        await verified(stores[0])
        spent = [await stores[1].find(ByGrant(grant.grant_id)) for grant in grants]
        assert sum(found.grant.uses for found in spent if found.grant is not None) <= len(answers)


@pytest.mark.req("X1.42")
async def test_a_grant_that_is_revoked_on_one_replica_covers_nothing_on_another(postgres_dsn: str) -> None:
    async with AsyncExitStack() as stack:
        first, second = await replicas(stack, postgres_dsn, 2)
        await first.execute(PutGrant(GRANT, make.note("grant_created")))
        await first.execute(RevokeGrant("grant_1", "u-ops", "enough"))
        use = GrantUse("grant_1", make.requirement(), "d1")

        assert isinstance(await second.execute(make.intend()._replace(grant=use)), NotAllowed)

        assert (await second.find(ByCall("call_1"))).call is None
