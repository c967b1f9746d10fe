"""The eleven answers about one tool, from what it declares and what trying it showed. READ FIRST of this package.

The rule of question 4: somebody must be granted the tool, and where an argument names an object (`order_id`,
`account_number`) roles say who may ask and not whose object it is, so `authorize=` has to. The one exception is a
read that is open to `"anyone"`, which says aloud that these objects are public.

Not here: trying things (an operation does), printing, and the rules of the other questions (a module each).
"""

from __future__ import annotations

from toolgate.domain.checklist.answers import (
    Answer,
    Defect,
    Question,
    Source,
    ToolReport,
    affirmed,
    denied,
)
from toolgate.domain.checklist.arguments import arguments_validated, strict_schema
from toolgate.domain.checklist.effects import fails_safely, idempotent, retries_safe
from toolgate.domain.checklist.evidence import NOTHING_TRIED, Evidence
from toolgate.domain.checklist.exhibit import Exhibit
from toolgate.domain.checklist.purpose import clear_purpose
from toolgate.domain.checklist.risky_actions import approval_where_risky
from toolgate.domain.checklist.sensitive_names import unmarked
from toolgate.domain.checklist.words import names_object
from toolgate.domain.contract import Effect


def review(
    exhibit: Exhibit, evidence: Evidence = NOTHING_TRIED, *, source: Source | None = None
) -> ToolReport:
    """The eleven answers, in order."""
    return ToolReport(
        name=exhibit.name,
        answers=(
            clear_purpose(exhibit),
            strict_schema(exhibit, evidence),
            arguments_validated(exhibit, evidence),
            permissions_checked(exhibit, evidence),
            has_timeout(exhibit),
            retries_safe(exhibit, evidence),
            idempotent(exhibit, evidence),
            audit_sanitised(exhibit, evidence),
            fails_safely(exhibit, evidence),
            approval_where_risky(exhibit),
            testable(exhibit, evidence),
        ),
        waiver=exhibit.approval_waiver,
        source=source,
    )


def permissions_checked(exhibit: Exhibit, evidence: Evidence) -> Answer:
    """Question 4."""
    question = Question.PERMISSION
    if not exhibit.roles:
        return denied(
            question,
            Defect(
                why="it does not say who may call it",
                how=exhibit.mend(
                    'roles={"support"}, or roles="anyone" if everybody may',
                    overlay='roles = ["support"], or roles = "anyone" if everybody may',
                ),
            ),
        )
    named = [place.shown for place in exhibit.arguments if place.name and names_object(place.name)]
    public = exhibit.roles == "anyone" and exhibit.effect is Effect.READ
    if named and exhibit.authorize is None and not public:
        return denied(
            question,
            Defect(
                place=named[0],
                why="it names an object, and nothing asks whether this caller may touch that one",
                how=exhibit.mend(
                    "authorize= with a predicate (context, args) over the object and its tenant"
                ),
            ),
        )
    rehearsal = evidence.rehearsal
    if rehearsal is not None and rehearsal.refused_stranger is False:
        return denied(
            question,
            Defect(
                why="a caller without its roles was not refused",
                how="look at roles= and the gate in front of it",
            ),
        )
    who = "anyone" if exhibit.roles == "anyone" else ", ".join(sorted(exhibit.roles))
    told = f"for {who}" + (f", if {exhibit.authorize} allows the object" if exhibit.authorize else "")
    if named and public and exhibit.authorize is None:
        told += f"; whatever {named[0]} names is public"
    if rehearsal is not None and rehearsal.refused_stranger:
        return affirmed(question, f"{told}; a caller without a role was tried and refused", verified=True)
    return affirmed(question, told)


def has_timeout(exhibit: Exhibit) -> Answer:
    """Question 5."""
    if exhibit.timeout is None and exhibit.job:
        return denied(
            Question.TIMEOUT,
            Defect(
                why="it does not say how long the job may take, so that 30 s after its first start it is cut off",
                how=exhibit.mend(
                    'timeout="2h" (over all its runs; seconds, "2m" or ISO 8601)',
                    overlay='timeout = "2h" (over all its runs)',
                ),
            ),
        )
    if exhibit.timeout is None:
        return denied(
            Question.TIMEOUT,
            Defect(
                why="it does not say how long a call may take",
                how=exhibit.mend(
                    'timeout=5.0 (seconds, "2m" or ISO 8601)', overlay='timeout = "5s" (or "2m", or ISO 8601)'
                ),
            ),
        )
    if exhibit.job:
        return affirmed(
            Question.TIMEOUT, f"{exhibit.timeout:g} s for the job, from its first start over all runs"
        )
    return affirmed(Question.TIMEOUT, f"{exhibit.timeout:g} s for a call, its retries included")


def audit_sanitised(exhibit: Exhibit, evidence: Evidence) -> Answer:
    """Question 8."""
    question = Question.AUDIT
    found = [
        Defect(
            place=place.shown,
            why="by its name it is sensitive, and nothing marks it",
            how="Annotated[..., Sensitive()]: the trail then holds a keyed digest of it"
            if exhibit.runs
            else "name it under sensitive in _meta",
        )
        for place in unmarked(exhibit)
    ]
    found += [
        Defect(place=shown, why="its value can be read in the trail", how="Annotated[..., Sensitive()]")
        for shown, readable in evidence.canaries or ()
        if readable
    ]
    if found:
        return denied(question, *found)
    if not exhibit.sensitive:
        return affirmed(
            question, "no argument looks sensitive; known secrets are removed wherever they stand"
        )
    hidden = f"keyed digests stand for {', '.join('.'.join(path) for path in exhibit.sensitive)}"
    if evidence.canaries:
        return affirmed(question, f"{hidden}; tried with a value each", verified=True)
    return affirmed(question, hidden)


def testable(exhibit: Exhibit, evidence: Evidence) -> Answer:
    """Question 11."""
    question = Question.TESTABLE
    rehearsal = evidence.rehearsal
    if rehearsal is None:
        if exhibit.tests:
            return affirmed(question, f"tested by {exhibit.tests}")
        return denied(
            question,
            Defect(
                why="there is nothing here to call, so no test without a model is shown",
                how="put the tool behind a gate and check that, or say in _meta where its tests are",
            ),
        )
    if rehearsal.problem or not rehearsal.refused_wrong_arguments:
        why = rehearsal.problem or "a gate in memory did not refuse a call with an unknown field"
        return denied(
            question, Defect(why=why, how="make Gateway([tool]) accept it, with nothing but the tool")
        )
    return affirmed(question, "a gate in memory refused a wrong call, and nothing ran", verified=True)
