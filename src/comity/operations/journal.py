# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on the disclosure log. Verifying needs no node and is done by the command itself."""

import base64
from collections.abc import Mapping

from comity.ids import AgreementId, Digest, Instant, format_instant
from comity.node import journal, readers
from comity.node.given import count_given
from comity.node.journal import Entry
from comity.node.node import Node
from comity.node.proof import prove_entry
from comity.node.readers import LogReader
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Exit, Json
from comity.release.disclosure import NOT_SHARED, OF_NO_TERMS, EntryType
from comity.release.query import parse_query
from comity.tlog.note import parse_checkpoint, parse_note

__all__ = [
    "add_reader",
    "checkpoint",
    "count",
    "list_last",
    "list_readers",
    "list_relationships",
    "prove",
    "remove_reader",
    "show",
]

_MOST_LISTED = 100_000
_MOST = 2**53 - 1


def list_last(node: Node, arguments: Arguments) -> Outcome:
    """The last entries that a query asks for, oldest first; where they end, the next ones begin `before` that."""
    last = arguments.number("last", most=_MOST_LISTED)
    before = arguments.optional_number("before", most=_MOST)
    query = parse_query(arguments.optional("q") or "")
    listed, found = journal.search_entries(node, query, before=before, limit=last)
    agreements = journal.find_agreements(node, listed)
    return Outcome(
        result={
            "entries": [_describe(entry, agreements) for entry in listed],
            "looked": found.looked,
            "next": found.reached or None,
        }
    )


def show(node: Node, arguments: Arguments) -> Outcome:
    """One entry with its content."""
    entry = journal.find_entry(node, arguments.text("entry"))
    return Outcome(result={**_describe(entry, journal.find_agreements(node, [entry])), "content": entry.content})


def prove(node: Node, arguments: Arguments) -> Outcome:
    """One entry with the proof that it is in its log, and what came of checking each part of it again."""
    proof = prove_entry(node, journal.find_entry(node, arguments.text("entry")).position)
    checks: list[Json] = [
        {
            "check": each.check.value,
            "holds": each.holds,
            "said": each.said,
            "witness": each.witness,
            "at": None if each.at is None else format_instant(each.at),
        }
        for each in proof.checks
    ]
    return Outcome(
        result={
            "entry": proof.position,
            "log": proof.checkpoint.origin,
            "index": proof.index,
            "leaf": proof.leaf.decode("utf-8", "replace"),
            "leaf_hash": base64.b64encode(proof.hash).decode(),
            "hashes": [base64.b64encode(each).decode() for each in proof.hashes],
            "size": proof.checkpoint.size,
            "root": base64.b64encode(proof.checkpoint.root).decode(),
            "checkpoint": proof.note.decode(),
            "holds": proof.holds,
            "checks": checks,
        },
        code=Exit.DONE if proof.holds else Exit.VERIFICATION_FAILED,
    )


def count(node: Node, _: Arguments) -> Outcome:
    """How many disclosures there are, by recipient, agreement and month, without reading them."""
    given = count_given(node)
    return Outcome(
        result={
            "answers": given.total,
            "older": given.older,
            "recipients": [{"party": party, "answers": count} for party, count in given.recipients.items()],
            "agreements": [
                {"agreement": agreement, "title": given.titles.get(agreement), "answers": count}
                for agreement, count in given.agreements.items()
            ],
            "months": [{"month": month, "answers": count} for month, count in given.months],
        }
    )


def checkpoint(node: Node, arguments: Arguments) -> Outcome:
    """The last checkpoint this party signed of the house's log, or of the one that is named, as it was signed."""
    named = arguments.optional("log")
    signed = journal.read_checkpoint(node) if named is None else journal.read_checkpoint_of(node, named)
    head = parse_checkpoint(parse_note(signed).text)
    return Outcome(
        result={
            "origin": head.origin,
            "size": head.size,
            "root": base64.b64encode(head.root).decode(),
            "checkpoint": signed.decode(),
        }
    )


def list_relationships(node: Node, _: Arguments) -> Outcome:
    """The logs beside the house's: of whom each is, and how much is in it."""
    listed: list[Json] = [
        {
            "origin": item.origin,
            "agreement": item.agreement,
            "recipient": item.recipient,
            "size": item.size,
            "opened_at": format_instant(item.opened_at),
            "closed_at": None if item.closed_at is None else format_instant(item.closed_at),
        }
        for item in journal.list_relationships(node)
    ]
    return Outcome(result={"house": node.origin, "logs": listed})


def add_reader(node: Node, arguments: Arguments) -> Outcome:
    """A new permission to read the log; its secret can be read in this answer and never again."""
    days = arguments.number("days", most=readers.MAX_READER_DAYS)
    secret, reader = readers.add_reader(node, arguments.text("reader"), days=days)
    return Outcome(result={**_describe_reader(reader, now=node.clock()), "secret": secret})


def list_readers(node: Node, _: Arguments) -> Outcome:
    """Every permission to read the log that was ever given."""
    listed: list[Json] = [_describe_reader(item, now=node.clock()) for item in readers.list_readers(node)]
    return Outcome(result={"readers": listed})


def remove_reader(node: Node, arguments: Arguments) -> Outcome:
    """The permissions that let nobody read the log any more."""
    removed = readers.remove_reader(node, arguments.text("reader"))
    return Outcome(result={"readers": [_describe_reader(item, now=node.clock()) for item in removed]})


def _describe_reader(reader: LogReader, *, now: Instant) -> dict[str, Json]:
    day = reader.used_day
    return {
        "id": reader.id,
        "reader": reader.name,
        "good": reader.is_good(now),
        "created_at": format_instant(reader.created_at),
        "expires_at": format_instant(reader.expires_at),
        "removed_at": None if reader.removed_at is None else format_instant(reader.removed_at),
        "last_used": None if day is None else format_instant(Instant(day * 86_400_000_000))[:10],
    }


def _describe(entry: Entry, agreements: Mapping[Digest, AgreementId]) -> dict[str, Json]:
    leaf = entry.leaf
    content = entry.content if isinstance(entry.content, dict) else {}
    event = content if leaf.type in {EntryType.AGREEMENT_EVENT, EntryType.LETTER} else {}
    people = content if leaf.type in OF_NO_TERMS | {EntryType.RECALL, EntryType.CLASSIFICATION} else {}
    return {
        "entry": entry.position,
        "log": entry.origin,
        "index": entry.place,
        "type": leaf.type.value,
        "at": format_instant(leaf.at),
        "terms": leaf.terms,
        "agreement": None if leaf.terms is None else agreements.get(leaf.terms),
        "recipient": leaf.recipient,
        "sequence": leaf.sequence,
        "count": leaf.count,
        "commitment": leaf.commitment,
        "kind": event.get("kind") or people.get("change"),
        "party": event.get("party") or people.get("party"),
        "person": people.get("person"),
        "reader": people.get("reader"),
        "clause": content.get("clause") if leaf.type is EntryType.PURGE else None,
        "by": content.get("by") if leaf.type in NOT_SHARED else None,
        "purged": entry.content is None,
    }
