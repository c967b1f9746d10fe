"""The eight kinds of risky action, whatever destroys and whatever leaves the house need a person or a reason."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.checklist.specimens import AnyTool, CardDeclined, answer, check_one, noes
from toolgate import Approval, tool
from toolgate.domain.checklist import Question

pytestmark = pytest.mark.req("M12.1")
QUIET = "Add one line to the log of the day."


def acting(name: str, description: str = QUIET, **changed: Any) -> AnyTool:
    def function(count: Annotated[int, Field(ge=0, le=9)]) -> None: ...

    given = {
        "effect": "write",
        "roles": {"a"},
        "timeout": 2.0,
        "idempotency": "k:{count}",
        "raises": {CardDeclined},
        "name": name,
        "description": description,
    }
    given |= changed
    if given["effect"] == "read":
        given |= {"idempotency": None}
    made: AnyTool = tool(**given)(function)  # type: ignore[arg-type]
    return made


BY_NAME = {
    "sends mail": ["send_email", "send_newsletter", "email_customer", "reply_to_mail"],
    "refunds a payment": ["create_refund", "refund_payment", "issue_refunds", "reimburse_expense"],
    "edits production configuration": ["update_production_config", "set_feature_flag", "deploy_config"],
    "creates a pull request": ["create_pull_request", "open_pr", "merge_pull_request"],
    "deletes data": [
        "delete_customer",
        "purge_logs",
        "remove_notes",
        "drop_table",
        "truncate_table",
        "wipe_disk",
    ],
    "updates a customer's account": [
        "update_customer",
        "change_account_email",
        "close_account",
        "suspend_user",
    ],
    "runs a migration": ["run_migration", "apply_migrations", "migrate_database"],
    "calls an external webhook": ["call_webhook", "trigger_webhooks", "post_to_webhook"],
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in BY_NAME.items() for name in names]
)
def test_each_kind_is_known_by_its_name(kind: str, name: str) -> None:
    found = answer(acting(name), Question.APPROVAL)
    assert found.is_no
    assert kind in found.why


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sends mail", "Sends one mail to a customer."),
        ("refunds a payment", "Refunds what was paid for an order."),
        ("edits production configuration", "Changes the production configuration of a service."),
        ("creates a pull request", "Opens a pull request against the main branch."),
        ("deletes data", "This tool deletes all notes of a ticket."),
        ("updates a customer's account", "Updates the account of a customer."),
        ("runs a migration", "Runs the next migration."),
        ("calls an external webhook", "Calls the webhook of a partner."),
    ],
)
def test_each_kind_is_known_by_its_description(kind: str, text: str) -> None:
    found = answer(acting("finish_work", text), Question.APPROVAL)
    assert found.is_no
    assert kind in found.why


def test_a_tag_names_a_kind_too() -> None:
    assert noes(check_one(acting("finish_work", tags={"delete data"}))) == {10}


@pytest.mark.parametrize(
    "text",
    [
        "Opens a ticket. Sends no mail to anybody.",
        "Adds a note. Does not delete what was there.",
        "Adds a note, without refunding it.",
        "Opens a ticket about a refund or a deleted account.",
    ],
)
def test_what_a_tool_says_that_it_does_not_do_is_no_risk(text: str) -> None:
    assert noes(check_one(acting("open_ticket", text))) == set()


@pytest.mark.parametrize(
    "name", ["read_refund", "list_deleted_notes", "get_account", "search_mail", "check_migration"]
)
def test_reading_about_a_risky_action_is_no_risk(name: str) -> None:
    assert noes(check_one(acting(name, effect="read", raises=()))) == set()


def test_calling_a_deletion_a_read_does_not_help() -> None:
    assert 10 in noes(check_one(acting("delete_customer", effect="read")))


def test_a_verb_of_reading_does_not_hide_an_effect() -> None:
    assert 10 in noes(check_one(acting("get_refund")))


@pytest.mark.parametrize("changed", [{"effect": "destructive"}, {"external": True}], ids=str)
def test_what_destroys_or_leaves_the_house_needs_a_person(changed: dict[str, Any]) -> None:
    assert noes(check_one(acting("finish_work", **changed))) == {10}


def test_a_read_that_leaves_the_house_needs_a_reason_too() -> None:
    assert noes(check_one(acting("finish_work", effect="read", external=True))) == {10}


@pytest.mark.parametrize("changed", [{"effect": "destructive"}, {"external": True}, {}], ids=str)
def test_an_approval_answers_it(changed: dict[str, Any]) -> None:
    found = answer(
        acting("delete_notes", approval=Approval(approvers={"lead"}, quorum=2), **changed), Question.APPROVAL
    )
    assert not found.is_no
    assert "2 of lead" in found.why


@pytest.mark.req("M12.23")
@pytest.mark.parametrize("changed", [{"effect": "destructive"}, {"external": True}, {}], ids=str)
def test_the_callers_own_word_alone_is_no_approval_of_what_is_risky(changed: dict[str, Any]) -> None:
    own = Approval(approvers="caller")
    found = answer(acting("delete_notes", approval=own, **changed), Question.APPROVAL)
    assert found.is_no
    assert "nobody is asked but whoever calls" in found.defects[0].why

    both = own.and_also(Approval(approvers={"lead"}, when={"count": {"gt": 5}}))
    waived: dict[str, Any] = {"approval": own, "approval_waiver": "Notes lie in the bin for 30 days."}
    assert not answer(acting("delete_notes", approval=both, **changed), Question.APPROVAL).is_no
    assert not answer(acting("delete_notes", **waived, **changed), Question.APPROVAL).is_no


@pytest.mark.req("M12.23")
def test_the_callers_own_word_is_shown_where_nothing_is_risky() -> None:
    found = answer(acting("finish_work", approval=Approval(approvers="caller")), Question.APPROVAL)
    assert not found.is_no
    assert "whoever asks confirms it" in found.why


@pytest.mark.req("M13.8")
def test_a_waiver_answers_it_with_its_reason_which_is_shown() -> None:
    report = check_one(acting("delete_notes", approval_waiver="Notes lie in the bin for 30 days."))
    assert report.clean
    assert report.waiver == "Notes lie in the bin for 30 days."
    assert report.waiver in report.answer(Question.APPROVAL).why


@pytest.mark.req("M13.8")
@pytest.mark.parametrize("waiver", ["", "   ", "ok"])
def test_a_waiver_without_a_reason_is_none(waiver: str) -> None:
    with pytest.raises(ValueError, match="approval_waiver= is the reason"):
        acting("delete_notes", approval_waiver=waiver)
