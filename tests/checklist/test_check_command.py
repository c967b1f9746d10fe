"""`toolgate check` as people and builds use it: targets, exit codes, and three outputs that say the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from toolgate.cli.app import code
from toolgate.cli.check import check
from toolgate.domain.checklist import Question

GOOD = """
    from typing import Annotated
    from pydantic import Field
    from toolgate import tool

    Count = Annotated[int, Field(ge=0, le=9)]

    @tool(effect="read", roles={"support"}, timeout=2)
    def count_tickets(least: Count) -> int:
        \"\"\"Count the open tickets.\"\"\"
        raise RuntimeError("a check runs no tool")
"""
VAGUE = """
    from toolgate import tool

    @tool()
    def do(action: str, data: dict):
        \"\"\"Do any action.\"\"\"
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what was imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        module_file = getattr(sys.modules[name], "__file__", None) or ""
        if module_file.startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(dedent(text), encoding="utf-8")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(check, list(arguments))


def read_json(*arguments: str) -> dict[str, Any]:
    answered: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return answered


# --- exit codes and targets -----------------------------------------------------------------------------------


@pytest.mark.req("M13.3")
def test_the_exit_code_tells_clean_defective_and_unreadable_apart(here: Path) -> None:
    write(here, "good_desk.py", GOOD)
    write(here, "vague_desk.py", VAGUE)
    assert run("good_desk").exit_code == 0
    assert run("vague_desk").exit_code == 1
    assert run("no_such_desk").exit_code == 2
    assert run().exit_code == 2


@pytest.mark.req("M13.3")
@pytest.mark.parametrize("form", ["--json", "--sarif"])
def test_the_exit_code_is_the_same_for_programs(here: Path, form: str) -> None:
    write(here, "good_desk.py", GOOD)
    write(here, "vague_desk.py", VAGUE)
    assert run("good_desk", form).exit_code == 0
    assert run("vague_desk", form).exit_code == 1
    assert run("no_such_desk", form).exit_code == 2


@pytest.mark.req("M13.3")
def test_the_program_ends_with_the_same_codes_as_the_command(here: Path) -> None:
    write(here, "good_desk.py", GOOD)
    write(here, "vague_desk.py", VAGUE)
    assert [code(["check", name]) for name in ("good_desk", "vague_desk", "no_such_desk")] == [0, 1, 2]


@pytest.mark.req("M13.4")
@pytest.mark.parametrize(
    ("more", "target"),
    [
        ("", "desk"),
        ("", "desk:count_tickets"),
        ("tools = [count_tickets]", "desk:tools"),
        ("tools = (count_tickets,)", "desk"),
        ("from toolgate import Gateway\ngate = Gateway([count_tickets])", "desk:gate"),
        ("from toolgate import Gateway\ngate = Gateway([count_tickets])", "desk"),
        ("from toolgate import Gateway\ndef make(): return Gateway([count_tickets])", "desk:make"),
        ("from toolgate import Gateway\nasync def make(): return Gateway([count_tickets])", "desk:make"),
        ("def make():\n  yield count_tickets", "desk:make"),
        ("class App: tools = [count_tickets]", "desk:App.tools"),
    ],
)
def test_a_module_and_whatever_in_it_holds_tools_can_be_checked(here: Path, more: str, target: str) -> None:
    (here / "desk.py").write_text(dedent(GOOD) + "\n" + more, encoding="utf-8")
    assert [each["name"] for each in read_json(target)["tools"]] == ["count_tickets"]


@pytest.mark.req("M13.4")
def test_a_package_that_keeps_its_tools_in_a_module_of_that_name_can_be_checked(here: Path) -> None:
    (here / "office").mkdir()
    write(here, "office/__init__.py", "")
    write(here, "office/tools.py", GOOD)
    assert run("office").exit_code == 0
    assert run("office.tools").exit_code == 0
    assert run("office:nothing").exit_code == 2


@pytest.mark.req("M13.4")
def test_a_file_of_definitions_can_be_checked(here: Path) -> None:
    write(
        here,
        "tools.json",
        json.dumps({"tools": [{"name": "count_tickets", "inputSchema": {"type": "object"}}]}),
    )
    answered = read_json("tools.json")
    assert [each["name"] for each in answered["tools"]] == ["count_tickets"]
    assert answered["tools"][0]["source"] == {"file": "tools.json", "line": None}
    assert run("tools.json").exit_code == 1


@pytest.mark.req("M13.3")
@pytest.mark.parametrize(
    ("name", "text", "target", "told"),
    [
        ("a.json", "{", "a.json", "a.json"),
        ("a.json", '{"tools": [], "tools": []}', "a.json", "twice"),
        ("a.json", "[NaN]", "a.json", "a.json"),
        ("a.json", "[" * 10_000, "a.json", "nested"),
        ("a.json", '{"tools": 1}', "a.json", "no list of tools"),
        ("a.json", "\xff", "missing.json", "missing.json cannot be read"),
        ("desk.py", "raise RuntimeError('no database')", "desk", "no database"),
        ("desk.py", "import no_such_library", "desk", "'no_such_library', which is not installed"),
        ("desk.py", "import sys; sys.exit(0)", "desk", "SystemExit"),
        ("desk.py", "def broken(:", "desk", "SyntaxError"),
        ("desk.py", "x = 1", "desk", "holds no tool"),
        ("desk.py", "x = 1", "desk:y", "has no 'y'"),
        ("desk.py", "x = 1", "desk:x", "is no tool"),
        ("desk.py", "def make(): raise RuntimeError('no database')", "desk:make", "no database"),
        ("desk.py", "x = 1", "desk.py", "is no target"),
        ("desk.py", "x = 1", "not a name", "is no target"),
        ("desk.py", "from toolgate import tool\n@tool(timeout=-1)\ndef f() -> int: ...", "desk", "timeout"),
    ],
)
def test_what_cannot_be_read_is_told_in_words_and_never_by_a_traceback(
    here: Path, name: str, text: str, target: str, told: str
) -> None:
    (here / name).write_text(text, encoding="utf-8")
    result = run(target)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""


@pytest.mark.req("M13.3", "M13.7")
def test_what_a_module_prints_does_not_get_into_the_report(here: Path) -> None:
    (here / "desk.py").write_text("print('starting')\n" + dedent(GOOD), encoding="utf-8")
    result = run("desk", "--json")
    assert json.loads(result.stdout)["clean"]
    assert "starting" in result.stderr


@pytest.mark.req("M13.3")
def test_a_secret_in_an_import_error_is_not_shown(here: Path) -> None:
    write(here, "desk.py", "raise RuntimeError('cannot connect with password=hunter22hunter22')")
    assert "hunter22" not in run("desk").output


@pytest.mark.req("M13.3")
def test_the_working_directory_comes_first_and_only_while_checking(here: Path) -> None:
    write(here, "desk.py", GOOD)
    before = list(sys.path)
    assert run("desk").exit_code == 0
    assert sys.path == before


# --- the support desk -----------------------------------------------------------------------------------------


@pytest.mark.req("M13.6")
@pytest.mark.parametrize("target", ["", ":tools", ":gateway"])
def test_every_tool_of_the_support_desk_passes_every_question(target: str) -> None:
    answered = read_json(f"toolgate.examples.support_desk{target}")
    noes = [
        (tool["name"], answer["question"], answer["why"])
        for tool in answered["tools"]
        for answer in tool["answers"]
        if answer["standing"] == "absent"
    ]
    assert noes == []
    assert answered["clean"]
    assert answered["summary"]["tools"] >= 10


@pytest.mark.req("M13.8")
def test_the_reason_of_each_waiver_of_the_support_desk_is_shown() -> None:
    waived = [tool for tool in read_json("toolgate.examples.support_desk:tools")["tools"] if tool["waiver"]]
    table = " ".join(run("toolgate.examples.support_desk:tools").stdout.split())
    assert waived
    assert all(tool["waiver"] in table for tool in waived)


# --- outputs --------------------------------------------------------------------------------------------------


@pytest.mark.req("M13.7")
def test_the_table_and_the_json_say_the_same(here: Path) -> None:
    write(here, "good_desk.py", GOOD)
    write(here, "vague_desk.py", VAGUE + "\n    from good_desk import count_tickets\n")
    answered = read_json("vague_desk")
    table = run("vague_desk").stdout
    flat = " ".join(table.split())
    marks = {"verified": "V", "declared": "d", "absent": "NO"}
    for tool in answered["tools"]:
        row = [tool["name"], *(marks[answer["standing"]] for answer in tool["answers"])]
        assert row in [line.split() for line in table.splitlines()]
        for answer in tool["answers"]:
            for defect in answer["defects"]:
                assert defect["why"] in flat
                assert defect["how"] in flat
    counts = answered["summary"]["answers"]
    assert f"{counts['verified']} verified, {counts['declared']} declared, {counts['absent']} absent" in flat


@pytest.mark.req("M13.7")
def test_the_json_has_its_documented_shape(here: Path) -> None:
    write(here, "vague_desk.py", VAGUE)
    answered = read_json("vague_desk")
    assert set(answered) == {"format", "target", "clean", "summary", "tools"}
    assert answered["format"] == 1
    assert answered["target"] == "vague_desk"
    assert set(answered["summary"]) == {"tools", "defective_tools", "answers"}
    (tool,) = answered["tools"]
    assert set(tool) == {"name", "clean", "waiver", "source", "answers"}
    assert tool["source"] == {"file": "vague_desk.py", "line": 4}
    assert [each["number"] for each in tool["answers"]] == list(range(1, 12))
    assert [each["question"] for each in tool["answers"]] == [question.code for question in Question]
    for each in tool["answers"]:
        assert set(each) == {"number", "question", "title", "standing", "why", "defects"}
        assert all(set(defect) == {"place", "why", "how"} for defect in each["defects"])
        assert (each["standing"] == "absent") is bool(each["defects"])


@pytest.mark.req("M13.7")
def test_the_table_is_legible_at_eighty_columns_and_plain_where_nobody_watches(here: Path) -> None:
    write(here, "vague_desk.py", VAGUE)
    table = run("vague_desk").stdout
    assert max(map(len, table.splitlines())) <= 80
    assert "\x1b" not in table


@pytest.mark.req("M13.7")
def test_a_name_from_outside_cannot_steer_the_terminal(here: Path) -> None:
    write(here, "a.json", json.dumps([{"name": "clear\x1b[2J[red]x[/red]", "description": "\x07"}]))
    table = run("a.json").stdout
    assert "\x1b" not in table
    assert "[red]x[/red]" in table


@pytest.mark.req("M13.7")
def test_a_terminal_of_few_letters_gets_a_report_and_no_traceback(here: Path) -> None:
    write(here, "vague_desk.py", VAGUE)
    done = subprocess.run(
        [sys.executable, "-c", "from toolgate.cli.check import check; check()", "vague_desk"],
        cwd=here,
        env={"PYTHONIOENCODING": "ascii", "PATH": ""},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"1 with defects" in done.stdout


# What SARIF 2.1.0 (OASIS) asks of the objects that are written here: the required properties and their types.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}, "minItems": 1},
    },
    "additionalProperties": False,
    "$defs": {
        "run": {
            "type": "object",
            "required": ["tool"],
            "properties": {
                "tool": {"required": ["driver"], "properties": {"driver": {"$ref": "#/$defs/driver"}}},
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "driver": {
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "rules": {
                    "type": "array",
                    "uniqueItems": True,
                    "items": {
                        "required": ["id"],
                        "properties": {"id": {"type": "string"}, "shortDescription": {"required": ["text"]}},
                    },
                },
            },
        },
        "result": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": -1},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}},
                "locations": {"type": "array", "items": {"$ref": "#/$defs/location"}},
            },
        },
        "location": {
            "properties": {
                "physicalLocation": {
                    "required": ["artifactLocation"],
                    "properties": {
                        "artifactLocation": {
                            "properties": {"uri": {"type": "string", "pattern": "^[^/\\\\]"}}
                        },
                        "region": {"properties": {"startLine": {"type": "integer", "minimum": 1}}},
                    },
                },
                "logicalLocations": {"type": "array", "items": {"type": "object"}},
            }
        },
    },
}


@pytest.mark.req("M13.10")
def test_the_sarif_output_has_the_structure_that_its_standard_asks_for(here: Path) -> None:
    write(here, "vague_desk.py", VAGUE)
    log = json.loads(run("vague_desk", "--sarif").stdout)
    jsonschema.Draft202012Validator(SARIF).validate(log)
    (only,) = log["runs"]
    rules = only["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [f"TG{number:02}" for number in range(1, 12)]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in only["results"])
    locations = [result["locations"][0]["physicalLocation"] for result in only["results"]]
    assert {each["artifactLocation"]["uri"] for each in locations} == {"vague_desk.py"}
    assert {each["region"]["startLine"] for each in locations} == {4}


@pytest.mark.req("M13.10", "M13.7")
def test_the_sarif_output_names_each_defect_of_the_json_once(here: Path) -> None:
    write(here, "vague_desk.py", VAGUE)
    results = json.loads(run("vague_desk", "--sarif").stdout)["runs"][0]["results"]
    told = [
        (answer["number"], defect["why"])
        for tool in read_json("vague_desk")["tools"]
        for answer in tool["answers"]
        for defect in answer["defects"]
    ]
    assert len(results) == len(told)
    for result, (number, why) in zip(results, told, strict=True):
        assert result["ruleId"] == f"TG{number:02}"
        assert why in result["message"]["text"]


@pytest.mark.req("M13.10")
def test_a_clean_target_is_a_log_without_results(here: Path) -> None:
    write(here, "good_desk.py", GOOD)
    log = json.loads(run("good_desk", "--sarif").stdout)
    jsonschema.Draft202012Validator(SARIF).validate(log)
    assert log["runs"][0]["results"] == []


@pytest.mark.req("M13.10")
def test_no_output_names_a_folder_of_this_machine(here: Path) -> None:
    write(here, "vague_desk.py", VAGUE)
    for form in ([], ["--json"], ["--sarif"]):
        output = run("vague_desk", *form).output
        assert str(here) not in output
        assert not re.search(r"(?<!:/)/(?:root|home|work|tmp|usr)/", output)
