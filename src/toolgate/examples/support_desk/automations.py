"""The desk's automations: small scripts that sort, answer and export, and that nobody has reviewed for a while.

Belongs here: the scripts, as text. They are read by `scanner` and never run. Some hold the mistakes that an engineer
would like to hear of.
"""

from __future__ import annotations

_BY_LANGUAGE = '''\
"""Send a ticket to whoever speaks its language."""

SPEAKERS = {"de": "u-lena", "en": "u-maya", "ja": "u-kenji"}


def route(ticket, seen=[]):
    seen.append(ticket["id"])
    return SPEAKERS.get(ticket["language"], "u-maya")
'''

_BY_PRIORITY = '''\
"""Put what is urgent in front."""


def rank(ticket):
    if ticket["parcel"] == None:
        return 2
    return 0 if ticket["priority"] == "high" else 1
'''

_LATE_PARCEL = '''\
"""Answer a customer whose parcel is late."""

import json
import urllib.request


def answer(tracking):
    with urllib.request.urlopen(f"https://carrier.example/{tracking}") as said:
        return json.load(said)["expected"]
'''

_REFUND_SENT = '''\
"""Tell a customer that the money is on its way."""


def answer(refund):
    amount = f"{refund['amount_cents'] / 100:.2f}"
    return f"Your refund of {amount} goes back to the card you paid with."
'''

_CLOSE_STALE = '''\
"""Close tickets that nobody has touched for thirty days."""


def sweep(tickets, close):
    for ticket in tickets:
        try:
            if ticket["idle_days"] > 30:
                close(ticket)
        except:
            pass
'''

_MERGE_DUPLICATES = '''\
"""Find tickets that say the same."""

import re


def same(first, second):
    return first["subject"].casefold() == second["subject"].casefold()
'''

_NIGHTLY = '''\
"""Write last night's refunds for the finance department."""


def export(rows, rule):
    kept = [row for row in rows if eval(rule, {"row": row})]
    return "\\n".join(f"{row['order_id']};{row['amount_cents']}" for row in kept)
'''

_TO_FINANCE = '''\
"""Send the nightly file to finance."""

import urllib.request


def send(body):
    request = urllib.request.Request("https://finance.example/in", data=body)
    with urllib.request.urlopen(request, timeout=10) as said:
        return said.status
'''

SCRIPTS = (
    ("export/nightly.py", _NIGHTLY),
    ("export/to_finance.py", _TO_FINANCE),
    ("hygiene/close_stale.py", _CLOSE_STALE),
    ("hygiene/merge_duplicates.py", _MERGE_DUPLICATES),
    ("replies/late_parcel.py", _LATE_PARCEL),
    ("replies/refund_sent.py", _REFUND_SENT),
    ("routing/by_language.py", _BY_LANGUAGE),
    ("routing/by_priority.py", _BY_PRIORITY),
)
FOLDERS = ("export", "hygiene", "replies", "routing")
