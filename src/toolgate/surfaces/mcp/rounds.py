"""How far one ``tools/call`` has come whose tool asks its user: what was answered, and in which piece of work.

Each round is a call of its own for the gate, in the same piece of work. Not here: who asks whom (``asking``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolgate.domain.answers import Answer
    from toolgate.domain.call import Workflow
    from toolgate.surfaces.mcp.reports import Reports


@dataclass(slots=True, kw_only=True)
class Rounds:
    """Of one call. Changed by whoever stands around it, read where the gate is asked.

    Attributes:
        answers: so far, by the keys of the questions.
        count: rounds that ended with a question.
        workflow: the id of the piece of work, once the gate was asked.
        reports: where progress goes; one for all rounds, because what it says must only rise.
    """

    answers: dict[str, Answer] = field(default_factory=dict)
    count: int = 0
    workflow: str | None = None
    reports: Reports | None = None

    def within(self, workflow: Workflow) -> Workflow:
        """``workflow``, or where nobody named one that of the first round."""
        if self.workflow is not None and not workflow.explicit:
            return replace(workflow, id=self.workflow)
        self.workflow = workflow.id
        return workflow
