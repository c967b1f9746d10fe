"""What happens when it is repeated, asked twice, or fails? Questions 6, 7 and 9.

The rules: a tool with effects may be repeated after dispatch only where downstream removes duplicates by the key,
which the function must then be given, or where a declared error says that nothing happened. A tool says what its
effect is, and one with effects has an idempotency key. A tool says what it returns, and one with effects says which
errors it raises. `reconcile=` is not demanded: what cannot be looked up ends as unknown and waits for a person, which
is safe; the answer says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from toolgate.domain.checklist.answers import Answer, Defect, Question, affirmed, denied
from toolgate.domain.checklist.evidence import Evidence
from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.checklist.long_work import after_a_death, not_repeated, unrecorded_steps
from toolgate.domain.checklist.places import places
from toolgate.domain.checklist.purpose import is_open_object
from toolgate.domain.errors import ToolError, TransientError


def retries_safe(exhibit: Exhibit, evidence: Evidence) -> Answer:
    """Question 6."""
    question = Question.RETRIES
    if evidence.unsafe_retries:
        kinds = ", ".join(evidence.unsafe_retries)
        return denied(
            question,
            Defect(
                why=f"it would be repeated after: {kinds}",
                how="retries= only with honours_key=True, or on a read",
            ),
        )
    if found := list(_unsafe_repeats(exhibit)):
        return denied(question, *found)
    tried = evidence.unsafe_retries is not None
    attempts = exhibit.retries.attempts if exhibit.retries else 1
    times = f"{attempts} attempts at most" if attempts > 1 else "asked once"
    lost = not_repeated(exhibit)
    if not exhibit.has_effects:
        return affirmed(question, f"a read may be repeated; {times}{lost}", verified=tried)
    if attempts == 1 and not exhibit.repeatable:
        return affirmed(question, f"nothing is tried again{lost}", verified=tried)
    if exhibit.honours_key or exhibit.repeatable:
        return affirmed(question, f"{times}; downstream removes duplicates{lost}", verified=tried)
    return affirmed(
        question,
        f"{times}, and only after an error that says nothing happened{lost}",
        verified=tried,
    )


def _unsafe_repeats(exhibit: Exhibit) -> Iterator[Defect]:
    retries = exhibit.retries
    if exhibit.honours_key and not exhibit.takes_context:
        yield Defect(
            why="honours_key=True, and the function is never given the key",
            how="take `context: ToolContext` and pass context.idempotency_key on to what it calls",
        )
    if (
        not exhibit.runs
        and exhibit.has_effects
        and not (retries or exhibit.repeatable or exhibit.honours_key)
    ):
        yield Defect(
            why="nothing says whether a client may repeat it when its reply is lost",
            how="idempotentHint: true if it may, or retries and honours_key in _meta",
        )
    if retries is None or retries.attempts == 1 or not exhibit.has_effects or exhibit.honours_key:
        return
    says_nothing_happened = [
        error for error in exhibit.error_types if issubclass(error, TransientError) and error.effect == "none"
    ]
    if not says_nothing_happened and not exhibit.repeatable:
        yield Defect(
            why="it asks for retries that are never safe: nothing downstream removes duplicates",
            how="honours_key=True if what it calls does, or a declared TransientError that says nothing happened, "
            "or no retries=",
        )


def idempotent(exhibit: Exhibit, evidence: Evidence) -> Answer:
    """Question 7."""
    question = Question.IDEMPOTENT
    if exhibit.effect is None:
        how = (
            'say effect="read", "write" or "destructive"'
            if exhibit.runs
            else "say readOnlyHint and destructiveHint"
        )
        return denied(question, Defect(why="it does not say what its effect is", how=how))
    if not exhibit.has_effects:
        return affirmed(question, "a read leaves nothing to double")
    if exhibit.idempotency is not None:
        if evidence.one_key:
            return denied(
                question, Defect(why=evidence.one_key, how="name in idempotency= what makes a call another")
            )
        return affirmed(question, f"keyed by {exhibit.idempotency}", verified=evidence.keys_tried)
    if exhibit.repeatable:
        return affirmed(question, "idempotentHint: a second call changes nothing more")
    return denied(
        question,
        Defect(
            why="it has effects and no key, so asking twice may do it twice",
            how=exhibit.mend(
                'idempotency="name:{field}:{workflow_id}" over what makes a call another',
                overlay='idempotency = "name:{field}:{workflow_id}" over what makes a call another',
            ),
        ),
    )


def fails_safely(exhibit: Exhibit, evidence: Evidence) -> Answer:
    """Question 9."""
    found = [
        *_result(exhibit),
        *_declared(exhibit),
        *unrecorded_steps(exhibit),
        *_classified(evidence),
    ]
    if found:
        return denied(Question.FAILURE, *found)
    told = [f"declares {', '.join(exhibit.raises)}"] if exhibit.raises else []
    if exhibit.has_effects:
        if exhibit.reconcile:
            told.append(f"{exhibit.reconcile} looks up what became of a lost call")
        elif exhibit.honours_key:
            told.append("a lost call is asked again under its key")
        else:
            told.append("a lost call ends as unknown and waits for a person")
    told += after_a_death(exhibit)
    if evidence.errors:
        silent = [each.code for each in evidence.errors if not each.claims and each.code]
        told.append(f"{len(evidence.errors)} failures tried")
        if silent and exhibit.has_effects:
            told.append(f"{', '.join(silent)} ends as unknown")
    return affirmed(
        Question.FAILURE, "; ".join(told) or "it says what it returns", verified=bool(evidence.errors)
    )


def _result(exhibit: Exhibit) -> Iterator[Defect]:
    schema = exhibit.output_schema
    if schema is None:
        how = (
            "annotate what the function returns (-> None too)" if exhibit.runs else "publish its outputSchema"
        )
        yield Defect(why="it does not say what it returns, so a wrong result passes", how=how)
    elif any(is_open_object(shape) for shape in places(schema)[0].shapes):
        yield Defect(
            why="any result passes", how="return a type whose fields are named: a model or a dataclass"
        )


def _declared(exhibit: Exhibit) -> Iterator[Defect]:
    if exhibit.has_effects and not exhibit.raises:
        yield Defect(
            why="it declares no error, so each failure ends as unknown and waits for a person",
            how=exhibit.mend(
                'raises={...}: a ToolError class for each way it can fail, with effect="none" where nothing happened'
            ),
        )
    for code, times in Counter(exhibit.raises).items():
        if times > 1 or (code == ToolError.code and exhibit.error_types):
            yield Defect(
                why=f"the code {code} does not tell its errors apart",
                how="give each class of raises= a code of its own",
            )


def _classified(evidence: Evidence) -> Iterator[Defect]:
    for each in evidence.errors or ():
        if each.problem:
            yield Defect(
                why=f"{each.error}: {each.problem}",
                how='a class with code and effect ("none", "applied" or "unknown") that the gate can read',
            )
        elif each.leaks:
            yield Defect(
                why=f"the text of {each.error} reaches the model", how="raise a ToolError made for the model"
            )
