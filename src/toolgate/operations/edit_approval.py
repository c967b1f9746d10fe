"""A person changes what a held call would do: validated and authorised again, and bound to a new digest.

Runs in a loop of tools: the tool's own predicates judge the new arguments, with the requester's current rights. An
edit is no vote, voids those that were given, and whoever makes it may not approve the result. Not here: the ledger's
own conditions (``domain.ledger.approvals``), which have the last word.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from toolgate.domain.commands import EditApproval
from toolgate.domain.errors import GateFault, StoreInDoubt, StoreUnavailable
from toolgate.domain.ledger import NO_OWN_EDIT, stored_requirement
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.rows import ApprovalRow, CallRow, ClaimRow, Resealed
from toolgate.domain.verdict import Deny, Hold
from toolgate.gateway import records
from toolgate.gateway.flight import Flight
from toolgate.gateway.gates import approval as approval_gate
from toolgate.gateway.gates import permission
from toolgate.gateway.gates.idempotency import attach_mac, attach_mac_of
from toolgate.gateway.prepare.find import NotFound, find
from toolgate.gateway.prepare.identify import identify
from toolgate.gateway.prepare.seal import Unfit, seal
from toolgate.gateway.scope import Scope
from toolgate.gateway.spine import leave_quietly
from toolgate.operations.answers import declined
from toolgate.operations.decide_approval import SAY_WHY, said
from toolgate.operations.may_decide import facts_of, forbidden_by_rule
from toolgate.operations.reread import reread
from toolgate.operations.reveal_masked import UNREADABLE
from toolgate.operations.review import Difference, Review, differences
from toolgate.operations.review_approval import NO_SUCH_APPROVAL, find_review, written_review

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.approval import Requirement
    from toolgate.domain.call import ReceivedCall, SealedCall
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World


NOTHING = Declined("invalid", "nothing would change")
UNSAID = "[masked]"
"""In place of the mark of a masked value that was just typed: equal values have equal marks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedEdit:
    """What an edit would come to; nothing of it is written. ``requirement``: what people would have to give."""

    arguments: Mapping[str, JsonValue]
    differences: tuple[Difference, ...]
    preview: str | None
    requirement: Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    review: Review
    sealed: SealedCall
    approval: ApprovalRow


async def propose_edit(
    world: World, approval_id: str, changes: Mapping[str, Any], *, by: Principal
) -> ProposedEdit | Declined:
    """What ``changes`` would come to: a dry run of ``edit_approval``.

    It is written nowhere, so it is no way to find a masked value out: a guess that is right looks like any other.
    """
    draft = await _draft(world, approval_id, changes, by=by)
    if isinstance(draft, Declined):
        return draft
    shown = json.loads(draft.approval.shown)
    guessed = _unsay(shown, {place["path"][0] for place in draft.review.shown["masked"]} & set(changes))
    if not guessed and draft.sealed.digest == draft.review.row.digest:
        return NOTHING
    return ProposedEdit(
        arguments=shown["arguments"],
        differences=differences(draft.review.shown["arguments"], shown["arguments"]),
        preview=shown["preview"],
        requirement=stored_requirement(draft.review.row).merged(stored_requirement(draft.approval)),
    )


async def edit_approval(
    world: World, approval_id: str, changes: Mapping[str, Any], *, by: Principal, reason: str, digest: bytes
) -> Review | Declined:
    """The approval as it is after the edit, or why it may not be edited so.

    ``changes``: new values of top-level arguments; those that are not named stay, masked ones too. ``digest`` is that
    of the revision that was looked at.
    """
    if not (text := said(reason)):
        return SAY_WHY
    draft = await _draft(world, approval_id, changes, by=by)
    if isinstance(draft, Declined):
        return draft
    sealed, call = draft.sealed, draft.review.call
    if sealed.digest == draft.review.row.digest:
        return NOTHING
    command = EditApproval(
        approval_id,
        by.caller,
        text,
        digest,
        Resealed(call.call_id, sealed.digest, sealed.fingerprint, sealed.key_mac),
        draft.approval,
        _claim(world, sealed, call.key_mac),
        records.request_row(world, sealed),
        sealed.redacted,
    )
    answer = await world.store.execute(command)
    if (refused := declined(answer, "it was decided meanwhile")) is not None:
        return refused
    return await written_review(world, approval_id, tenant=by.tenant)


def _claim(world: World, sealed: SealedCall, before: bytes | None) -> ClaimRow | None:
    """The claim of the key that the new arguments come to; without a key, of its workflow and arguments."""
    if sealed.key_mac is None:
        return records.claim_row(sealed, attach_mac(world, sealed), attach_only=True)
    return None if sealed.key_mac == before else records.claim_row(sealed, sealed.key_mac)


def _claimed(
    world: World, call: CallRow, before: tuple[tuple[bytes, bytes], ...]
) -> tuple[tuple[bytes, bytes], ...]:
    """The keys of every revision so far, each with the fingerprint that claimed it: all of them stay the call's."""
    mac = call.key_mac or attach_mac_of(world, call, call.fingerprint)
    return before if mac in dict(before) else (*before, (mac, call.fingerprint))


async def _draft(
    world: World, approval_id: str, changes: Mapping[str, Any], *, by: Principal
) -> _Draft | Declined:
    if why := forbids(by, Action.DECIDE):
        return Declined("forbidden", why)
    review = await find_review(world, approval_id, tenant=by.tenant)
    if review is None:
        return NO_SUCH_APPROVAL
    if why := review.may_look(by):
        return Declined("forbidden", why)
    if not review.is_open:
        return Declined("conflict", f"it is {review.state} already")
    if review.requirement.own:
        return Declined("conflict", NO_OWN_EDIT)
    if why := await forbidden_by_rule(world, by, {**facts_of(review), "action": "edit"}):
        return Declined("forbidden", why)
    registered = world.registry.get(review.row.tool)
    if registered is None or registered.contract.digest != review.call.contract_digest:
        return Declined(
            "conflict", "the tool's contract changed since it was asked for; nothing of it can be edited"
        )
    received = await _opened(world, review)
    if isinstance(received, Declined):
        return received
    if pasted := _pasted(changes, review.shown):
        why = f"{pasted}: this only stands in place of a masked value; leave it out, and the value stays"
        return Declined("invalid", why)
    return await _judged(world, review, received, {**received.arguments, **changes})


async def _opened(world: World, review: Review) -> ReceivedCall | Declined:
    try:
        received = await reread(world, review.call)
    except (StoreUnavailable, StoreInDoubt):
        raise
    except GateFault:
        return UNREADABLE
    return UNREADABLE if received is None else received


async def _judged(
    world: World, review: Review, received: ReceivedCall, arguments: Mapping[str, Any]
) -> _Draft | Declined:
    """The steps of the pipeline up to the hold, for the new arguments; nothing is reserved, claimed or run."""
    started = world.clock.monotonic()
    flight = Flight(
        replace(received, arguments=arguments, claimed=_claimed(world, review.call, received.claimed)),
        lambda _: None,
        started=started,
        deadline=started + world.registry[received.tool].contract.timeout,
        approval=review.row,
    )
    flight.scope = Scope(world)
    try:
        if (nobody := await identify(world, flight)) is not None:
            return Declined("conflict", f"it cannot run for its requester any more: {nobody.reason}")
        registered = find(world, flight.received)
        if isinstance(registered, NotFound):
            return Declined("conflict", f"it cannot run for its requester any more: {registered.reason}")
        sealed = seal(world, registered, flight.received)
        if isinstance(sealed, Unfit):
            return Declined("invalid", sealed.message)
        verdict = await permission.judge(world, flight, sealed)
        if isinstance(verdict, Deny):
            return Declined("invalid", f"its requester may not do this: {verdict.reason}")
        return await _drafted(world, flight, review, sealed)
    finally:
        await leave_quietly(flight, None)


async def _drafted(world: World, flight: Flight, review: Review, sealed: SealedCall) -> _Draft:
    required = stored_requirement(review.row)
    asked = await approval_gate.judge(world, flight, sealed)
    if isinstance(asked, Hold):
        required = required.merged(asked.requirement)
    # What the new arguments demand may leave less time than was left; the ledger takes the earlier end.
    row = await records.approval_row(world, flight, sealed, required, now=review.now)
    row = row._replace(approval_id=review.row.approval_id, revision=review.row.revision + 1)
    return _Draft(review=review, sealed=sealed, approval=row)


def _unsay(shown: dict[str, Any], fields: set[str]) -> set[str]:
    """Replace the marks within ``fields``; those fields."""
    for place in shown["masked"]:
        if place["path"][0] not in fields:
            continue
        *way, last = place["path"]
        value = shown["arguments"]
        for step in way:
            value = value[int(step)] if isinstance(value, list) else value[step]
        value[int(last) if isinstance(value, list) else last] = UNSAID
    return fields


def _pasted(changes: Mapping[str, Any], shown: Mapping[str, Any]) -> str | None:
    """The argument whose new value is the mark that was shown in place of the old one."""
    for place in shown["masked"]:
        field, value = place["path"][0], shown["arguments"]
        for step in place["path"]:
            value = value[int(step)] if isinstance(value, list) else value[step]
        if (
            field in changes
            and isinstance(value, str)
            and value in json.dumps(changes[field], ensure_ascii=False)
        ):
            return str(field)
    return None
