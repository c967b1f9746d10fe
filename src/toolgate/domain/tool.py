"""``@tool``: from a Python function to a contract with the functions beside it.

A ``Tool`` cannot be called: what it wraps runs through a gateway or, in the author's own test, as
``tool.function``. Not here: how it is run (``adapters.runners``) and what a contract may say (``contract``).
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, overload

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError, create_model
from pydantic.fields import FieldInfo

from toolgate.domain.caller import ANYONE
from toolgate.domain.canonical import UnfitJson
from toolgate.domain.content import mixes_content
from toolgate.domain.context import ToolContext
from toolgate.domain.contract import Contract, Effect, Retry
from toolgate.domain.duration import Duration, seconds
from toolgate.domain.errors import INPUT_REQUIRED, ContractError, ToolError
from toolgate.domain.jobs import Job
from toolgate.domain.limits import Breaker, Rate, size
from toolgate.domain.questions import NeedsInput
from toolgate.domain.redaction import sensitive_paths
from toolgate.domain.schema import Form, Shape, is_model

if TYPE_CHECKING:
    from toolgate.domain.approval import Approval

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)
D = TypeVar("D")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Predicate = Callable[..., Any]
"""``(context, args)``, sync or async: the one signature of ``authorize``, ``when``, ``preview`` and ``reconcile``."""

_CONTEXT = "context"
_ARGS = "args"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tool(Generic[A, R]):
    """A contract and what its author gave beside it. Made by ``tool``, or from the definition of an upstream's.

    ``needs_deps``: the gateway's ``deps`` are entered for a run of it; those of the code always are.
    """

    contract: Contract
    function: Callable[..., Any]
    input: Form[Any]
    output: Form[Any]
    takes_context: bool
    takes_model: bool
    is_async: bool
    needs_deps: bool = True
    authorize: Predicate | None = None
    when: Predicate | None = None
    preview: Predicate | None = None
    reconcile: Predicate | None = None
    raises: tuple[type[ToolError], ...] = ()

    @property
    def name(self) -> str:
        """The tool's one name."""
        return self.contract.name

    def __repr__(self) -> str:
        return f"<Tool {self.name} v{self.contract.version} {self.contract.effect.value}>"

    if not TYPE_CHECKING:
        # Hidden from type checkers, so that they report the call instead of believing that it never returns.
        def __call__(self, *_: object, **__: object) -> typing.NoReturn:
            """Refuse: what is called around the gate is neither judged nor recorded."""
            raise TypeError(
                f"{self.name} runs through a gateway: await gateway.call({self.name!r}, ...); "
                f"in a test of the function itself call {self.name}.function(...)"
            )

    def arguments(self, context: ToolContext[Any], args: Any) -> dict[str, Any]:
        """The keyword arguments of one run of ``function``."""
        given: dict[str, Any] = {_CONTEXT: context} if self.takes_context else {}
        if self.takes_model:
            given[_ARGS] = args
        else:
            given.update({name: getattr(args, name) for name in type(args).model_fields})
        return given

    def with_contract(self, contract: Contract) -> Tool[A, R]:
        """The same tool under a contract that an operator tightened."""
        when = contract.approval.when if contract.approval and callable(contract.approval.when) else None
        return replace(self, contract=contract, when=when)


class _WithContext(Protocol[D, A_contra, R_co]):
    def __call__(self, context: ToolContext[D], args: A_contra) -> R_co: ...


class _ArgsOnly(Protocol[A_contra, R_co]):
    def __call__(self, args: A_contra) -> R_co: ...


class _Decorator(Protocol):
    @overload
    def __call__(self, function: _WithContext[Any, A, Awaitable[R]], /) -> Tool[A, R]: ...
    @overload
    def __call__(self, function: _ArgsOnly[A, Awaitable[R]], /) -> Tool[A, R]: ...
    @overload
    def __call__(self, function: _WithContext[Any, A, R], /) -> Tool[A, R]: ...
    @overload
    def __call__(self, function: _ArgsOnly[A, R], /) -> Tool[A, R]: ...
    @overload
    def __call__(self, function: Callable[..., Awaitable[R]], /) -> Tool[Any, R]: ...
    @overload
    def __call__(self, function: Callable[..., R], /) -> Tool[Any, R]: ...


def tool(
    *,
    effect: Effect | Literal["read", "write", "destructive"] | None = None,
    roles: Iterable[str] | Literal["anyone"] = (),
    authorize: Predicate | None = None,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    version: str = "0",
    owner: str | None = None,
    external: bool = False,
    timeout: Duration | None = None,
    retries: Retry | int | None = None,
    idempotency: str | None = None,
    honours_key: bool = False,
    reconcile: Predicate | None = None,
    horizon: Duration = 3600.0,
    approval: Approval | None = None,
    approval_waiver: str | None = None,
    preview: Predicate | None = None,
    rate_limit: str | Rate | None = None,
    concurrency: int | None = None,
    breaker: Breaker | Literal["default"] | None = "default",
    result_size: int | str | None = None,
    raises: Iterable[type[ToolError]] = (),
    result_trust: Literal["trusted", "untrusted"] = "trusted",
    isolation: Literal["shared", "process"] = "shared",
    tags: Iterable[str] = (),
    job: bool | Job = False,
) -> _Decorator:
    """Make a function a governed tool.

    A parameter named ``args`` of a pydantic model type is the input; otherwise each parameter is a field.
    A parameter named ``context`` gets the ``ToolContext``. The docstring is the description.

    Args:
        effect: ``"read"``, ``"write"`` or ``"destructive"``. Left out, the tool counts as a write, and the
            checklist says so.
        roles: names, one of which the caller needs; ``"anyone"`` must be said aloud. Default: nobody.
        authorize: object-level permission, ``(context, args) -> bool | Denied``. It may only take away.
        name: of the tool; by default that of the function.
        title: a name for people.
        description: its one purpose; by default the docstring.
        version: raise it when what the tool does changes.
        owner: who answers for it.
        external: the effect leaves the house (mail, webhooks, third parties).
        timeout: the deadline of a call, retries and predicates included. Default 30 s, undeclared.
        retries: ``Retry(attempts=...)`` or a number of attempts; what may be retried follows from the effect.
        idempotency: template of the key over arguments and ``{workflow_id}``.
        honours_key: what the tool calls removes duplicates by ``context.idempotency_key``.
        reconcile: ``(context, args) -> Applied | NotApplied | None``, asked when an outcome is unknown.
        horizon: for how long ``NotApplied`` by reconcile stays "cannot tell" after the intent.
        approval: when a person must agree.
        approval_waiver: why nobody is asked, where one would expect it.
        preview: ``(context, args) -> str``, a plain line for the approver.
        rate_limit: per caller, such as ``"30/minute"``.
        concurrency: runs at once in this process.
        breaker: opens after failures in a row; ``None`` for none.
        result_size: bytes of result that a model may see; longer ones are cut and say so.
        raises: the ``ToolError`` classes that it declares.
        result_trust: ``"untrusted"`` for what outsiders write.
        isolation: ``"process"`` runs it in a child that is killed at the deadline; the tool and the
            gateway's ``deps`` must be importable.
        tags: words for lists and the checklist, such as the kinds of risky action.
        job: ``True``, or ``Job(...)`` with the limits of its queue: a call answers ``started`` with a job id at
            once, and a worker runs it. ``timeout`` then counts from its first run, over all of them.

    Raises:
        ContractError: at decoration, naming the keyword to change.
    """

    def decorate(function: Callable[..., Any]) -> Tool[Any, Any]:
        label: str = str(getattr(function, "__name__", "tool")) if name is None else name
        # An author's types may be local to where the tool is made, as in a test: pydantic looks there, too.
        signature = _Signature.of(function, label, names=sys._getframe(1).f_locals)  # noqa: SLF001
        given = Retry(attempts=retries) if isinstance(retries, int) else retries
        declared = tuple(raises)
        for error in declared:
            if not (isinstance(error, type) and issubclass(error, ToolError)):  # type: ignore[redundant-expr]
                raise ContractError(f"tool {label!r}: raises= takes subclasses of ToolError, not {error!r}")
            if error.code == INPUT_REQUIRED and not issubclass(error, NeedsInput):
                raise ContractError(
                    f"tool {label!r}: {error.__name__}.code: only NeedsInput has {INPUT_REQUIRED!r}"
                )
        if mixes_content(signature.returns):
            raise ContractError(
                f"tool {label!r}: returns Content or something else; answer Content alone, or a type without it"
            )
        output = Shape[Any](signature.returns, where=f"tool {label!r}, return type", mode="serialization")
        contract = Contract(
            name=label,
            title=title,
            description=inspect.cleandoc(description or function.__doc__ or ""),
            input_schema=signature.shape.schema,
            output_schema=output.schema if signature.returns is not Any else None,
            effect=_effect(effect, label),
            effect_declared=effect is not None,
            external=external,
            version=version,
            owner=owner,
            roles=_roles(roles, label),
            authorize=_named(authorize),
            timeout=30.0 if timeout is None else seconds(timeout, of=f"tool {label!r}: timeout"),
            timeout_declared=timeout is not None,
            retries=given,
            idempotency=idempotency,
            honours_key=honours_key,
            reconcile=_named(reconcile),
            horizon=seconds(horizon, of=f"tool {label!r}: horizon"),
            approval=approval,
            approval_waiver=approval_waiver,
            rate_limit=None
            if rate_limit is None
            else Rate.parse(rate_limit, of=f"tool {label!r}: rate_limit"),
            concurrency=concurrency,
            breaker=Breaker() if breaker == "default" else breaker,
            result_size=None if result_size is None else size(result_size, of=f"tool {label!r}: result_size"),
            raises=tuple(sorted(error.code for error in declared)),
            sensitive=sensitive_paths(signature.model),
            result_trust=result_trust,
            isolation=isolation,
            tags=frozenset(tags),
            job=_job(job, label),
        )
        return Tool(
            contract=contract,
            function=function,
            input=signature.shape,
            output=output,
            takes_context=signature.takes_context,
            takes_model=signature.takes_model,
            is_async=inspect.iscoroutinefunction(function),
            authorize=authorize,
            when=approval.when if approval and callable(approval.when) else None,
            preview=preview,
            reconcile=reconcile,
            raises=declared,
        )

    return decorate


@dataclass(frozen=True, slots=True)
class _Signature:
    model: type[BaseModel]
    shape: Shape[Any]
    returns: Any
    takes_context: bool
    takes_model: bool

    @classmethod
    def of(cls, function: Callable[..., Any], label: str, *, names: Mapping[str, Any]) -> _Signature:
        where = f"tool {label!r}"
        if inspect.isclass(function) or not inspect.isroutine(function):
            raise ContractError(f"{where}: @tool goes on a function")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ContractError(
                f"{where}: return a list instead of yielding; a result is checked and bounded as one"
            )
        try:
            hints = typing.get_type_hints(function, localns=dict(names), include_extras=True)
        except NameError as missing:
            raise ContractError(
                f"{where}: the type {missing.name!r} is not known at run time; import it outside TYPE_CHECKING"
            ) from missing
        parameters = dict(inspect.signature(function).parameters)
        takes_context = parameters.pop(_CONTEXT, None) is not None
        for parameter in parameters.values():
            if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                raise ContractError(f"{where}: *{parameter.name} has no schema; name each argument")
            if parameter.name not in hints:
                raise ContractError(f"{where}: give the parameter {parameter.name!r} a type")
        takes_model = list(parameters) == [_ARGS] and is_model(hints[_ARGS])
        model = hints[_ARGS] if takes_model else _model(label, parameters, hints)
        shape = Shape[Any](model, where=f"{where}, input")
        _check_defaults(model, shape, where)
        returns = hints.get("return", Any)
        return cls(model, shape, type(None) if returns is None else returns, takes_context, takes_model)


def _model(
    label: str, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any]
) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in parameters.values():
        default = ... if parameter.default is parameter.empty else parameter.default
        if parameter.name.startswith("_") or hasattr(BaseModel, parameter.name):
            raise ContractError(
                f"tool {label!r}: rename the parameter {parameter.name!r}; pydantic keeps that name"
            )
        if isinstance(default, FieldInfo) and default.alias:
            raise ContractError(f"tool {label!r}: {parameter.name!r} may have no alias; rename the parameter")
        fields[parameter.name] = (hints[parameter.name], default)
    made: type[BaseModel] = create_model(f"{label}_input", **fields)
    return made


def _check_defaults(model: type[BaseModel], shape: Shape[Any], where: str) -> None:
    """A default reaches the function like any argument, and pydantic itself would not look at it."""
    for name, field in model.model_fields.items():
        if field.is_required() or field.default_factory_takes_validated_data:
            continue
        first, second = (field.get_default(call_default_factory=True) for _ in range(2))
        if first != second:
            raise ContractError(
                f"{where}: the default of {name!r} differs from call to call, so equal arguments would not be "
                "equal; let the function choose it"
            )
        try:
            kind = TypeAdapter[Any](field.rebuild_annotation())
            kind.validate_python(first, strict=True)
            shape.check_form({field.alias or name: kind.dump_python(first, mode="json", by_alias=True)})
        except (ValidationError, UnfitJson):
            raise ContractError(f"{where}: the default of {name!r} does not fit its own type") from None
        except PydanticUserError:
            continue  # a type that only its model's own configuration allows


def _job(job: bool | Job, label: str) -> Job | None:  # noqa: FBT001 - as it was given
    if job is True:
        return Job()
    if job is False or isinstance(job, Job):
        return job or None
    raise ContractError(f"tool {label!r}: job= is True, False or Job(...), not {job!r}")


def _effect(effect: Effect | str | None, label: str) -> Effect:
    try:
        # Unsaid is judged as the more dangerous: a write gets every check that a read would escape.
        return Effect.WRITE if effect is None else Effect(effect)
    except ValueError:
        raise ContractError(
            f"tool {label!r}: effect= is 'read', 'write' or 'destructive', not {effect!r}"
        ) from None


def _roles(roles: Iterable[str] | Literal["anyone"], label: str) -> frozenset[str] | Literal["anyone"]:
    if roles == ANYONE:
        return ANYONE
    if isinstance(roles, str):
        raise ContractError(f"tool {label!r}: roles= takes a set of names such as {{{roles!r}}}, or 'anyone'")
    return frozenset(roles)


def _named(function: Predicate | None) -> str | None:
    return None if function is None else getattr(function, "__qualname__", type(function).__qualname__)
