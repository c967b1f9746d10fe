"""``[overrides.NAME]``: an operator tightens a tool of the code and never loosens it.

One function a keyword of ``@tool``; each answers the changed fields of the contract, or says why the value would
loosen it. What is the author's alone (functions, names, keys) is refused as such. Approvals are in ``consent``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from toolgate.config.consent import tightened_approval
from toolgate.config.jobs import read_job
from toolgate.config.problems import Where
from toolgate.config.sections import byte_size, duration, names, parsed, rate, table, text, whole
from toolgate.domain.caller import ANYONE
from toolgate.domain.contract import Contract, Effect, Retry
from toolgate.domain.duration import spoken
from toolgate.domain.errors import ContractError
from toolgate.domain.limits import Breaker, Rate

Changes = dict[str, Any]

AUTHORS: Final = frozenset(
    {"authorize", "description", "idempotency", "name", "preview", "raises", "reconcile", "version"}
)
"""What only the code can say."""

_EFFECTS: Final = tuple(Effect)


def tightened(contract: Contract, given: Mapping[str, Any], where: Where, *, result_size: int) -> Contract:
    """``contract`` under the keys of one override. ``result_size``: the gateway's own bound (bytes).

    Raises:
        ConfigurationError: for a key that is unknown or the author's, a value that cannot be used or loosens.
    """
    for key, value in given.items():
        inner = where.below(key)
        if key in AUTHORS:
            raise inner.wrong("only the code says this; change the tool itself")
        if key == "result_size":
            changes = _result_size(contract, value, inner, gateway=result_size)
        elif key in KEYWORDS:
            changes = KEYWORDS[key](contract, value, inner)
        else:
            raise inner.unknown({*KEYWORDS, *AUTHORS, "result_size"})
        contract = _changed(contract, changes, inner)
    return contract


def _changed(contract: Contract, changes: Changes, where: Where) -> Contract:
    try:
        return replace(contract, **changes)
    except ContractError as refused:
        raise where.wrong(str(refused)) from None


def looser(where: Where, what: str, write: str) -> Exception:
    """The error of a value that would loosen the tool."""
    return where.wrong(
        f"{what}; an override may tighten a tool and never loosen it: {write}, or change the tool"
    )


def _roles(contract: Contract, value: Any, where: Where) -> Changes:
    if value == ANYONE:
        if contract.roles == ANYONE:
            return {}
        raise looser(
            where, "'anyone' is wider than the tool's own roles", f"name some of {_set(contract.roles)}"
        )
    chosen = frozenset(names(value, where, example="['support']"))
    if not chosen:
        raise where.wrong("no role is left; to switch the tool off write enabled = false")
    if contract.roles != ANYONE and (more := chosen - contract.roles):
        raise looser(where, f"the tool does not grant {_set(more)}", f"name some of {_set(contract.roles)}")
    return {"roles": chosen}


def _timeout(contract: Contract, value: Any, where: Where) -> Changes:
    chosen = duration(value, where)
    if chosen > contract.timeout:
        own = spoken(contract.timeout)
        raise looser(where, f"{spoken(chosen)} is longer than the tool's own {own}", f"write at most {own}")
    return {"timeout": chosen, "timeout_declared": True}


def read_retries(value: Any, where: Where, own: Retry) -> Retry:
    """A number of attempts, or a table; what it leaves out is as ``own`` says."""
    given = value if isinstance(value, dict) else {"attempts": value}
    if unknown := next((key for key in given if key not in {"attempts", "delay", "max_delay"}), None):
        raise where.below(unknown).unknown({"attempts", "delay", "max_delay"})
    attempts = whole(given["attempts"], where) if "attempts" in given else own.attempts
    delay = duration(given["delay"], where.below("delay")) if "delay" in given else own.delay
    most = duration(given["max_delay"], where.below("max_delay")) if "max_delay" in given else own.max_delay
    return parsed(lambda _: Retry(attempts=attempts, delay=delay, max_delay=most), value, where)


def _retries(contract: Contract, value: Any, where: Where) -> Changes:
    own = contract.retries or Retry(attempts=1)
    chosen = read_retries(value, where, own)
    if chosen.attempts > own.attempts:
        raise looser(
            where, f"{chosen.attempts} attempts are more than the tool's {own.attempts}", "write fewer"
        )
    if chosen.delay < own.delay or chosen.max_delay < own.max_delay:
        raise looser(where, "attempts would follow faster than the tool says", "write longer delays")
    return {} if chosen == own else {"retries": chosen}


def _rate_limit(contract: Contract, value: Any, where: Where) -> Changes:
    chosen, own = rate(value, where), contract.rate_limit
    if own is not None and not _within(chosen, own):
        why = "allows more at once" if chosen.count > own.count else "allows more in the long run"
        raise looser(where, f"{chosen} {why} than the tool's own {own}", f"write at most {own}")
    return {"rate_limit": chosen}


def _within(chosen: Rate, own: Rate) -> bool:
    """Whether ``chosen`` never allows what ``own`` forbids: neither a larger burst nor a faster flow."""
    return chosen.count <= own.count and chosen.count * own.per <= own.count * chosen.per


def _concurrency(contract: Contract, value: Any, where: Where) -> Changes:
    chosen = whole(value, where)
    if contract.concurrency is not None and chosen > contract.concurrency:
        own = contract.concurrency
        raise looser(
            where, f"{chosen} runs at once are more than the tool's own {own}", f"write at most {own}"
        )
    return {"concurrency": chosen}


def _job(contract: Contract, value: Any, where: Where) -> Changes:
    """A tool becomes a job, or its queue gets narrower."""
    own = contract.job
    chosen = read_job(value, where, own)
    if own is None:
        return {"job": chosen}
    if chosen is None:
        raise looser(where, "the tool runs as a job", "take this key out")
    if own.concurrency is not None and (chosen.concurrency or own.concurrency) > own.concurrency:
        raise looser(
            where,
            f"{chosen.concurrency} at once are more than the tool's own {own.concurrency}",
            f"write at most {own.concurrency}",
        )
    if own.rate is not None and chosen.rate is not None and not _within(chosen.rate, own.rate):
        raise looser(
            where, f"{chosen.rate} is more than the tool's own {own.rate}", f"write at most {own.rate}"
        )
    return {"job": chosen}


def _breaker(contract: Contract, value: Any, where: Where) -> Changes:
    given = table(value, where, example="{ failures = 5, cooldown = '60s' }")
    for key in given:
        if key not in {"failures", "cooldown"}:
            raise where.below(key).unknown({"failures", "cooldown"})
    own = contract.breaker or Breaker()
    failures = whole(given["failures"], where.below("failures")) if "failures" in given else own.failures
    cooldown = duration(given["cooldown"], where.below("cooldown")) if "cooldown" in given else own.cooldown
    if contract.breaker is not None and (failures > own.failures or cooldown < own.cooldown):
        raise looser(
            where,
            f"the tool's own breaker opens after {own.failures} failures for {spoken(own.cooldown)}",
            "open sooner and stay open longer",
        )
    return {"breaker": Breaker(failures=failures, cooldown=cooldown)}


def _result_size(contract: Contract, value: Any, where: Where, *, gateway: int) -> Changes:
    chosen, own = byte_size(value, where), contract.result_size or gateway
    if chosen > own:
        raise looser(where, f"{chosen} bytes are more than the {own} that count now", f"write at most {own}")
    return {"result_size": chosen}


def _approval(contract: Contract, value: Any, where: Where) -> Changes:
    return {"approval": tightened_approval(contract.approval, value, where)}


def _approval_waiver(contract: Contract, value: Any, where: Where) -> Changes:  # noqa: ARG001 - one signature
    raise where.wrong("a waiver says why nobody is asked, which only loosens; the tool's author writes it")


def _enabled(contract: Contract, value: Any, where: Where) -> Changes:
    if not isinstance(value, bool):
        raise where.wrong("write true or false")
    if value and not contract.enabled:
        raise looser(where, "the tool was switched off before", "take this key out")
    return {"enabled": value}


def _effect(contract: Contract, value: Any, where: Where) -> Changes:
    if value not in tuple(effect.value for effect in _EFFECTS):
        raise where.wrong("write 'read', 'write' or 'destructive'")
    chosen = Effect(value)
    if _EFFECTS.index(chosen) < _EFFECTS.index(contract.effect):
        raise looser(
            where, f"the tool says {contract.effect.value}", f"write {contract.effect.value!r} or more"
        )
    return {"effect": chosen, "effect_declared": True}


def _external(contract: Contract, value: Any, where: Where) -> Changes:
    return _one_way(contract.external, value, where, "external", tight=True)


def _honours_key(contract: Contract, value: Any, where: Where) -> Changes:
    return _one_way(contract.honours_key, value, where, "honours_key", tight=False)


def _one_way(own: bool, value: Any, where: Where, key: str, *, tight: bool) -> Changes:  # noqa: FBT001 - own value
    if not isinstance(value, bool):
        raise where.wrong("write true or false")
    if value is not tight and own is tight:
        raise looser(where, f"the tool says {key} = {str(own).lower()}", "take this key out")
    if value is not tight and own is not tight:
        return {}
    return {key: tight}


def _horizon(contract: Contract, value: Any, where: Where) -> Changes:
    chosen = duration(value, where)
    if chosen < contract.horizon:
        own = spoken(contract.horizon)
        raise looser(where, f"{spoken(chosen)} is shorter than the tool's own {own}", f"write at least {own}")
    return {"horizon": chosen}


def _result_trust(contract: Contract, value: Any, where: Where) -> Changes:
    if value not in ("trusted", "untrusted"):
        raise where.wrong("write 'untrusted'")
    if value == "trusted" and contract.result_trust == "untrusted":
        raise looser(where, "the tool says that outsiders write its result", "take this key out")
    return {"result_trust": value}


def _isolation(contract: Contract, value: Any, where: Where) -> Changes:
    if value not in ("shared", "process"):
        raise where.wrong("write 'process'")
    if value == "shared" and contract.isolation == "process":
        raise looser(where, "the tool runs in a process of its own", "take this key out")
    return {"isolation": value}


def _sensitive(contract: Contract, value: Any, where: Where) -> Changes:
    """Fields that are masked besides those that the code marks."""
    fields = contract.input_schema.get("properties", {})
    added = []
    for place, path in enumerate(names(value, where, example="['body']")):
        steps = tuple(path.split("."))
        if steps[0] not in fields:
            raise where.below(place).wrong(f"{steps[0]!r} is no argument of the tool; it has {_set(fields)}")
        added.append(steps)
    return {"sensitive": tuple(dict.fromkeys((*contract.sensitive, *added)))}


def _owner(contract: Contract, value: Any, where: Where) -> Changes:  # noqa: ARG001 - one signature
    return {"owner": text(value, where, example="platform")}


def _title(contract: Contract, value: Any, where: Where) -> Changes:  # noqa: ARG001 - one signature
    return {"title": text(value, where, example="Refund a payment")}


def _tags(contract: Contract, value: Any, where: Where) -> Changes:
    return {"tags": contract.tags | frozenset(names(value, where, example="['billing']"))}


def _set(items: Any) -> str:
    return ", ".join(repr(item) for item in sorted(items)) or "nothing"


KEYWORDS: Final[Mapping[str, Callable[[Contract, Any, Where], Changes]]] = MappingProxyType(
    {
        "approval": _approval,
        "approval_waiver": _approval_waiver,
        "breaker": _breaker,
        "concurrency": _concurrency,
        "effect": _effect,
        "enabled": _enabled,
        "external": _external,
        "honours_key": _honours_key,
        "horizon": _horizon,
        "isolation": _isolation,
        "job": _job,
        "owner": _owner,
        "rate_limit": _rate_limit,
        "result_trust": _result_trust,
        "retries": _retries,
        "roles": _roles,
        "sensitive": _sensitive,
        "tags": _tags,
        "timeout": _timeout,
        "title": _title,
    }
)
"""What an operator may write, beside ``result_size``."""
