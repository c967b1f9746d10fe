"""The scan of definitions: what has to strike strikes, and what honest servers say passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.upstreams.scan.corpus import ATTACKS, BENIGN, OTHERS
from toolgate.domain.upstream.definition import Definition
from toolgate.domain.upstream.scan import LONG_DESCRIPTION, RULES, scan

pytestmark = pytest.mark.req("X3.24")

FALSE_POSITIVES = {"resolve_library"}
"""Benign descriptions of which the scan warns all the same: they do order the model about."""


def defined(said: dict[str, Any]) -> Definition:
    made = Definition.of({"name": "some_tool", "inputSchema": {"type": "object"}, **said})
    assert isinstance(made, Definition), made
    return made


@pytest.mark.parametrize(("said", "rules"), [case[1:] for case in ATTACKS], ids=[case[0] for case in ATTACKS])
def test_an_attack_is_found_by_each_of_its_rules(said: dict[str, Any], rules: set[str]) -> None:
    found = {finding.rule for finding in scan(defined(said), OTHERS)}

    assert rules <= found


def test_no_attack_can_be_pinned_without_somebody_accepting_it() -> None:
    for title, said, _ in ATTACKS:
        severities = {finding.severity for finding in scan(defined(said), OTHERS)}
        assert severities & {"warn", "refuse"}, title


def test_of_what_honest_servers_say_hardly_anything_has_to_be_accepted() -> None:
    struck = {
        name
        for name, text in BENIGN
        if any(each.severity != "note" for each in scan(defined({"name": name, "description": text}), OTHERS))
    }

    assert len(BENIGN) >= 60
    assert struck == FALSE_POSITIVES


def test_what_shows_on_a_terminal_of_a_finding_is_printable() -> None:
    for _, said, _ in ATTACKS:
        assert all(finding.excerpt.isprintable() for finding in scan(defined(said), OTHERS))


def test_every_rule_is_struck_by_the_corpus_or_by_a_case_here() -> None:
    found = {finding.rule for _, said, _ in ATTACKS for finding in scan(defined(said), OTHERS)}
    found |= {finding.rule for finding in scan(defined({"description": "x" * (LONG_DESCRIPTION + 1)}))}
    found |= {finding.rule for finding in scan(defined({"annotations": {"readOnlyHint": True}}))}

    assert found == set(RULES)


def test_a_tool_may_speak_of_itself_and_of_words_that_other_tools_are_named_after() -> None:
    own = defined({"name": "send_email", "description": "Before using send_email, choose a recipient."})
    plain = defined({"description": "Use search terms in quotes; never add more than ten."})

    assert scan(own, OTHERS) == ()
    assert scan(plain, OTHERS) == ()


def test_long_input_is_scanned_in_reasonable_time() -> None:
    nasty = "ignore " * 9_000 + "send " * 9_000
    found = scan(defined({"description": nasty}), {f"tool_{n}" for n in range(500)})

    assert {finding.rule for finding in found} >= {"long"}


def test_the_table_of_rules_in_the_documentation_is_the_rules_themselves() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "upstreams.md").read_text(encoding="utf-8")

    for name, rule in RULES.items():
        assert f"| `{name}` | {rule.severity} | {rule.title} | {rule.why} |" in page
    assert f"all of {len(ATTACKS)} published attacks" in " ".join(page.split())
    assert f"one of {len(BENIGN)} honest descriptions" in " ".join(page.split())
