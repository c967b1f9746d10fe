"""Commands drawn at random over three calls, two keys and a few people: few enough that they meet each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.ledger import rows as make
from toolgate.domain.commands import BeginJob, CancelJob, EndJob, Lapse, MoveJob, Renew
from toolgate.domain.lifecycle import ApprovalCause, EffectCause

if TYPE_CHECKING:
    from toolgate.domain.commands import Command

IDS = ["call_1", "call_2", "call_3"]
KEYS = [b"k1", b"k2"]

ids = st.sampled_from(IDS)
keys = st.sampled_from(KEYS)
callers = st.sampled_from([make.REQUESTER, "u-eve"])
voters = st.sampled_from([make.person(), make.person("u-ann", "risk"), make.person(make.REQUESTER)])
owners = st.sampled_from([make.OWNER, "boot_b"])
leases = st.sampled_from([make.NOW + 5, make.LEASE])
results = st.sampled_from([None, b"one", b"two"])
requirements = st.sampled_from(
    [make.requirement(1), make.requirement(2), make.requirement(1, "billing", "risk")]
)

COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(make.record, ids, status=st.sampled_from(["succeeded", "refused"])),
    st.builds(make.intend, ids, st.none() | keys, caller_id=callers, owner=owners, lease_until=leases),
    st.builds(make.draft, ids, keys, required=requirements, attach_only=st.booleans()),
    st.builds(
        make.settle,
        ids,
        st.sampled_from([EffectCause.SETTLED_APPLIED, EffectCause.SETTLED_NOT_APPLIED, EffectCause.IN_DOUBT]),
        result=results,
        owner=owners,
    ),
    st.builds(make.rehold, ids, owner=owners),
    st.builds(make.approve, ids, voters, digest=st.sampled_from([b"digest", b"stale"])),
    st.builds(make.deny, ids, voters),
    st.builds(make.end, ids, st.sampled_from([ApprovalCause.LAPSED, ApprovalCause.WITHDRAWN])),
    st.builds(make.dispatch, ids, required=st.none() | requirements, owner=owners),
    st.builds(lambda call_id: make.dispatch(call_id, job=make.job_row(call_id)), ids),
    st.builds(Lapse, ids, owners, st.booleans()),
    st.builds(make.queue, ids, st.none() | keys, rerun=st.booleans(), caller_id=callers),
    st.builds(BeginJob, ids, owners, leases, st.sampled_from([b"digest", b"stale"])),
    st.builds(EndJob, ids, owners, st.sampled_from(["permission_denied", "contract_changed", "timeout"])),
    st.builds(CancelJob, ids, callers, st.just("no longer needed")),
    st.builds(
        MoveJob, ids, owners, st.sampled_from([1.0, 2.5]), st.none() | st.just(4.0), st.none() | st.just("on")
    ),
    st.builds(
        make.resolve,
        ids,
        st.sampled_from(
            [
                EffectCause.RESOLVED_APPLIED,
                EffectCause.RESOLVED_NOT_APPLIED,
                EffectCause.RECONCILED_APPLIED,
                EffectCause.RECONCILED_NOT_APPLIED,
                EffectCause.CORRECTED_APPLIED,
                EffectCause.CORRECTED_NOT_APPLIED,
            ]
        ),
        result=results,
        reopen=st.none() | st.builds(make.draft, st.just("call_4"), keys),
    ),
    st.builds(make.evidence, ids, applied=st.sampled_from([True, False, None]), owner=owners, result=results),
    st.builds(Renew, ids, owners, leases),
    st.builds(make.put_token, st.sampled_from(["tok_1", "tok_2"]), revoked_at=st.none() | st.just(make.NOW)),
)
