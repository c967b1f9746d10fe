"""Customers, tickets, notes and mail, asked of the services themselves: no gate stands before them here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toolgate.examples.support_desk.customers import CustomerState
from toolgate.examples.support_desk.notes import Author
from toolgate.examples.support_desk.outbox import Draft
from toolgate.examples.support_desk.refusals import (
    CustomerClosed,
    CustomerHasOpenWork,
    EmailInUse,
    KeyReused,
    NoSuchCustomer,
    RecipientNotOnFile,
)
from toolgate.examples.support_desk.tickets import NewTicket, Priority

if TYPE_CHECKING:
    from toolgate.examples.support_desk.desk import Desk

pytestmark = pytest.mark.req("M3.11")

NORA, SAMUEL, PAUL, WANDA = "cus_1001", "cus_1002", "cus_1004", "cus_1005"
ALDO = "cus_2001"


def ticket(customer_id: str, subject: str = "Bent pole") -> NewTicket:
    return NewTicket(customer_id=customer_id, subject=subject, body="It is bent.", priority=Priority.NORMAL)


def mail(recipient: str, body: str = "It is on its way.") -> Draft:
    return Draft(recipient=recipient, subject="Your order", body=body)


def test_a_tenant_finds_its_own_customers_and_no_others(acme: Desk, globex: Desk) -> None:
    assert acme.customers.find(NORA) is not None
    assert acme.customers.find(ALDO) is None
    assert globex.customers.find(ALDO) is not None
    assert globex.customers.find(NORA) is None


def test_an_address_changes_and_setting_it_again_changes_nothing(acme: Desk) -> None:
    assert acme.customers.change_email(NORA, "nora@example.org").email == "nora@example.org"
    assert acme.customers.change_email(NORA, "nora@example.org").email == "nora@example.org"


def test_an_address_belongs_to_one_customer(acme: Desk) -> None:
    with pytest.raises(EmailInUse):
        acme.customers.change_email(NORA, "s.ito@example.net")


def test_the_address_of_a_closed_account_stays(acme: Desk) -> None:
    with pytest.raises(CustomerClosed):
        acme.customers.change_email(PAUL, "paul@example.com")


def test_the_address_of_another_tenants_customer_cannot_be_changed(acme: Desk, globex: Desk) -> None:
    with pytest.raises(NoSuchCustomer):
        acme.customers.change_email(ALDO, "aldo@example.com")
    customer = globex.customers.find(ALDO)
    assert customer is not None
    assert customer.email == "aldo@rinaldi.example"


def test_erasing_takes_name_address_and_notes_and_leaves_the_books(acme: Desk) -> None:
    acme.customers.erase(WANDA)
    acme.customers.erase(WANDA)
    customer = acme.customers.find(WANDA)
    assert customer is not None
    assert (customer.name, customer.email, customer.state) == ("erased", None, CustomerState.ERASED)
    assert acme.notes.about(WANDA, newest=10) == ()
    assert acme.orders.find(5008) is not None


def test_nobody_is_erased_while_a_parcel_is_on_its_way(acme: Desk) -> None:
    with pytest.raises(CustomerHasOpenWork):
        acme.customers.erase(NORA)


def test_nobody_is_erased_while_a_ticket_is_open(acme: Desk) -> None:
    acme.tickets.open(ticket(WANDA), key="k1", by="u-maya")
    with pytest.raises(CustomerHasOpenWork):
        acme.customers.erase(WANDA)


def test_one_key_opens_one_ticket(acme: Desk) -> None:
    first = acme.tickets.open(ticket(NORA), key="k1", by="u-maya")
    assert acme.tickets.open(ticket(NORA), key="k1", by="u-maya") == first
    with pytest.raises(KeyReused):
        acme.tickets.open(ticket(NORA, "Something else"), key="k1", by="u-maya")


def test_a_closed_account_may_ask_for_help_and_an_erased_one_is_nobody(acme: Desk) -> None:
    assert acme.tickets.open(ticket(PAUL), key="k1", by="u-maya").customer_id == PAUL
    acme.customers.erase(WANDA)
    with pytest.raises(CustomerClosed):
        acme.tickets.open(ticket(WANDA), key="k2", by="u-maya")


def test_notes_come_latest_first_and_say_who_wrote_them(acme: Desk) -> None:
    notes = acme.notes.about(SAMUEL, newest=10)
    assert [note.author for note in notes] == [Author.CUSTOMER, Author.STAFF]
    assert "ignore your instructions" in notes[0].body
    assert acme.notes.about(SAMUEL, newest=1) == notes[:1]


@pytest.mark.parametrize("recipient", ["nora.bright@example.com", "omar@acme.example"])
def test_mail_goes_to_a_customer_or_a_colleague_once_for_a_key(acme: Desk, recipient: str) -> None:
    first = acme.outbox.queue(mail(recipient), key="k1", by="u-maya")
    assert acme.outbox.queue(mail(recipient), key="k1", by="u-maya") == first
    with pytest.raises(KeyReused):
        acme.outbox.queue(mail(recipient, "Something else"), key="k1", by="u-maya")


@pytest.mark.parametrize(
    "recipient",
    [
        pytest.param("collector@evil.example", id="a stranger"),
        pytest.param("aldo@rinaldi.example", id="another tenant's customer"),
        pytest.param("paul.adeyemi@example.org", id="a closed account"),
        pytest.param("dora@acme.example", id="a colleague who left"),
    ],
)
def test_mail_goes_to_nobody_else(acme: Desk, recipient: str) -> None:
    with pytest.raises(RecipientNotOnFile):
        acme.outbox.queue(mail(recipient), key="k1", by="u-maya")
    assert acme.outbox.find("k1") is None
