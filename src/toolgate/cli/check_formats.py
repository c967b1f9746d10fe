"""The report as JSON and as SARIF. Both say what the table says.

Here: plain values. Not here: printing them, and the table (`check_table`).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from toolgate.domain.checklist import Answer, Defect, Question, Report, Source, Standing, ToolReport

FORMAT: Final = 1
SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(report: Report, *, target: str) -> dict[str, Any]:
    """The documented shape: fields may be added, none is renamed or removed while ``format`` stays the same.

    ``{format, target, clean, summary: {tools, defective_tools, answers: {declared, verified, absent}}, tools: [{name,
    clean, waiver | null, source: {file, line | null} | null, answers: [{number, question, title, standing, why,
    defects: [{place | null, why, how}]}]}]}``: eleven answers a tool, in order; ``question`` is the stable code of one;
    ``defects`` is empty unless ``standing`` is ``absent``; ``file`` is relative to the working directory.
    """
    return {
        "format": FORMAT,
        "target": target,
        "clean": report.clean,
        "summary": {
            "tools": len(report.tools),
            "defective_tools": sum(not tool.clean for tool in report.tools),
            "answers": {standing.value: report.count(standing) for standing in Standing},
        },
        "tools": [_tool(tool) for tool in report.tools],
    }


def _tool(tool: ToolReport) -> dict[str, Any]:
    return {
        "name": tool.name,
        "clean": tool.clean,
        "waiver": tool.waiver,
        "source": None if tool.source is None else {"file": tool.source.file, "line": tool.source.line},
        "answers": [_answer(answer) for answer in tool.answers],
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "number": answer.question.number,
        "question": answer.question.code,
        "title": answer.question.title,
        "standing": answer.standing.value,
        "why": answer.why,
        "defects": [{"place": each.place, "why": each.why, "how": each.how} for each in answer.defects],
    }


def as_sarif(report: Report) -> dict[str, Any]:
    """The defects as SARIF 2.1.0: one rule for each question, one result for each defect."""
    driver = {
        "name": "toolgate",
        "semanticVersion": version("toolgate"),
        "rules": [_rule(question) for question in Question],
    }
    results = [
        _result(tool, answer, defect)
        for tool in report.tools
        for answer in tool.answers
        for defect in answer.defects
    ]
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _rule_id(question: Question) -> str:
    return f"TG{question.number:02}"


def _rule(question: Question) -> dict[str, Any]:
    return {
        "id": _rule_id(question),
        "name": "".join(word.capitalize() for word in question.code.split("_")),
        "shortDescription": {"text": f"{question.title[0].upper()}{question.title[1:]}"},
        "defaultConfiguration": {"level": "error"},
    }


def _result(tool: ToolReport, answer: Answer, defect: Defect) -> dict[str, Any]:
    where = f"{tool.name}.{defect.place}" if defect.place else tool.name
    return {
        "ruleId": _rule_id(answer.question),
        "ruleIndex": answer.question.number - 1,
        "level": "error",
        "message": {"text": f"{where}: {defect.why}. To mend it: {defect.how}."},
        "locations": [_location(where, tool.source)],
    }


def _location(where: str, source: Source | None) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": where, "kind": "function"}],
    }
    if source is not None:
        physical: dict[str, Any] = {"artifactLocation": {"uri": source.file, "uriBaseId": "%SRCROOT%"}}
        if source.line is not None:
            physical["region"] = {"startLine": source.line}
        location["physicalLocation"] = physical
    return location
