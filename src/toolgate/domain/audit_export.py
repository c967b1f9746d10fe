"""The lines of an exported trail: JSON, one object each, from which every hash can be computed again.

A line is a record with its place in its chain and both hashes; the last line holds the heads that the store knew.
The record stands as the object that it is where its canonical form (RFC 8785) gives its very bytes, and in base64
where it does not, as after tampering. Not here: files, and verifying (``audit``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from toolgate.domain.audit import Head, StoredRecord
from toolgate.domain.canonical import NotCanonical, UnfitJson, canonical_json, parse_json

MAX_LINE: Final = 16 * 1024 * 1024
"""Bytes; a longer line is none of ours."""

_MAX_DEPTH: Final = 60
"""Below what `parse_json` reads, since a line wraps the record."""

_HEAD_PARTS: Final = 2


@dataclass(frozen=True, slots=True)
class FinalHeads:
    """The last line: where each chain ended, and how many records stand above."""

    heads: Mapping[str, Head]
    records: int


def record_line(found: StoredRecord) -> bytes:
    """``found`` as one line, without the line's end."""
    place = {
        "chain_id": found.chain_id,
        "seq": found.seq,
        "leaf": found.leaf_hash.hex(),
        "link": found.link_hash.hex(),
    }
    start = json.dumps(place)[:-1].encode()
    if _is_canonical(found.record):
        return start + b', "record": ' + found.record + b"}"
    return start + b', "record_base64": "' + base64.b64encode(found.record) + b'"}'


def heads_line(final: FinalHeads) -> bytes:
    """The last line, without the line's end."""
    heads = {chain_id: [seq, link.hex()] for chain_id, (seq, link) in sorted(final.heads.items())}
    return json.dumps({"heads": heads, "records": final.records}).encode()


def parse_line(line: bytes) -> StoredRecord | FinalHeads:
    """What a line says; nothing in it is believed before ``audit.verify_chains`` checked it.

    Raises:
        ValueError: if it is no line of an export, in words.
    """
    value: Any = parse_json(line, max_bytes=MAX_LINE, max_nodes=MAX_LINE)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - what was read is wrong, not what was passed
    if "left_out" in value:
        raise ValueError(
            "it is a part of a trail: what others did between its records is left out, so that their links cannot be "
            "checked; whoever owns the key file makes one that is whole: toolgate audit export"
        )
    try:
        if "heads" in value:
            return FinalHeads(
                {chain: _head(head) for chain, head in value["heads"].items()}, int(value["records"])
            )
        return StoredRecord(
            chain_id=str(value["chain_id"]),
            seq=int(value["seq"]),
            record=_record(value),
            leaf_hash=bytes.fromhex(value["leaf"]),
            link_hash=bytes.fromhex(value["link"]),
        )
    except (AttributeError, KeyError, TypeError, NotCanonical) as fault:
        raise ValueError(
            f"it is neither a record nor the heads of an export ({type(fault).__name__})"
        ) from None


def _record(value: Mapping[str, Any]) -> bytes:
    if "record_base64" in value:
        return base64.b64decode(value["record_base64"], validate=True)
    return canonical_json(value["record"])


def _head(value: Any) -> Head:
    if not isinstance(value, list) or len(value) != _HEAD_PARTS:
        raise TypeError
    return int(value[0]), bytes.fromhex(value[1])


def _is_canonical(record: bytes) -> bool:
    try:
        value = parse_json(record, max_bytes=MAX_LINE, max_depth=_MAX_DEPTH, max_nodes=MAX_LINE)
        return isinstance(value, dict) and canonical_json(value) == record
    except (UnfitJson, NotCanonical):
        return False
