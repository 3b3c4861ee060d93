# SPDX-License-Identifier: Apache-2.0
"""Shell: what receipts and refused pages of a partner say of what it gave, purged by order of two people, on record.

A receipt names every object by id, version and digest, with the salt that opens the leaf in the giver's log. What is
left of it is its place: the leaf, the proof and the signed head, which go on to verify, and from which nobody learns
what was given. So the numbers of the giver's disclosures go on to be counted here. A refused page goes whole, with the
receipt and the proof beside it: it was evidence, and nothing of it can be held against the giver after that.

Objects are none of this: they go by the terms they came under (`node.retention`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from comity.agreement.people import Approval, make_matter
from comity.agreement.recognition import Refusal
from comity.canonical import Json, canonical_bytes
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import Instant, PartyId, format_instant
from comity.node.node import Node
from comity.node.people import Actor, Approved, Waiting, approve
from comity.node.retention import check_texts, finish_deletions
from comity.release.disclosure import EntryType
from comity.release.purge import MAX_PURGED, Range, Ranges, merge_ranges
from comity.release.receipt import format_place, parse_receipt
from comity.store import backups, parties, received
from comity.store.backups import StoredBackup
from comity.store.received import WholeReceipt

__all__ = ["PurgedReceived", "purge_received"]

_FORMAT = "comity-received-purge/1"
_SALTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgedReceived:
    """What was purged, as entry `purge` says: the numbers of receipts, how many more of lost logs, and refused pages.

    `more` says that more fit. `gone` is False while a reader keeps something of it in the files. `salts` are some of
    those deleted, to look for in the files and nothing else. `backups` were made before, and hold it still.
    """

    purge: int
    ranges: Ranges
    set_aside: int
    refused: int
    more: bool
    gone: bool
    salts: tuple[bytes, ...]
    backups: tuple[StoredBackup, ...]
    approvals: tuple[Approval, ...]


def purge_received(
    node: Node, giver: PartyId, *, until: Instant, reason: str, by: Actor
) -> PurgedReceived | Waiting | Refusal:
    """What became of an order to purge what was received of `giver` before `until`.

    That has come, so that what arrives between the first approval and the second is none of what was approved.

    Raises:
        MalformedRequest: the reason, or `until` is in the future.
        NotFoundError: the giver is not pinned, or nothing of it fits.
    """
    reason = check_texts(reason, None)
    with node.act() as act:
        if parties.read_party(act.transaction, giver) is None:
            raise NotFoundError(f"{giver} is not a party this node knows")
        if until > act.now:
            raise MalformedRequest("name a time that has come: nobody approves what is not there yet", where="--before")
        whole = received.list_whole(act.transaction, giver, until=until, most=MAX_PURGED + 1)
        if not whole and not received.count_refused(act.transaction, giver, until=until):
            raise NotFoundError(f"no receipt and no refused page of {giver} fits that has its content")
        facts: dict[str, Json] = {
            "title": f"what receipts and refused pages of {giver} say of what it gave",
            "giver": giver,
            "before": format_instant(until),
            "reason": reason,
        }
        authorised = approve(act, by, make_matter("purge", agreement=None, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        more, whole = len(whole) > MAX_PURGED, whole[:MAX_PURGED]
        salts = [parse_receipt(item.data).salt for item in whole]
        for item in whole:
            received.shorten_receipt(act.transaction, item, place=format_place(parse_receipt(item.data)))
        refused = received.delete_refused(act.transaction, giver, until=until)
        ranges, aside = _name_receipts(whole), sum(item.origin is not None for item in whole)
        position = act.position
        content: dict[str, Json] = {
            "format": _FORMAT,
            "giver": giver,
            "before": facts["before"],
            "receipts": [list[Json]([each.first, each.last]) for each in ranges],
            "set_aside": aside,
            "refused": refused,
            "reason": reason,
            "approvals": _describe_approvals(authorised.approvals),
        }
        count = len(whole) + refused
        act.record(EntryType.PURGE, canonical_bytes(content), terms=None, recipient=None, count=count)
    gone = finish_deletions(node)
    with node.store.read() as transaction:
        made = backups.list_backups(transaction)
    return PurgedReceived(
        purge=position,
        ranges=ranges,
        set_aside=aside,
        refused=refused,
        more=more,
        gone=gone,
        salts=tuple(salts[:: max(1, len(salts) // _SALTS)]),
        backups=tuple(made),
        approvals=authorised.approvals,
    )


def _name_receipts(whole: Sequence[WholeReceipt]) -> Ranges:
    return merge_ranges(Range(item.sequence, item.sequence) for item in whole if item.origin is None)


def _describe_approvals(approvals: Sequence[Approval]) -> list[Json]:
    return [
        {"person": item.person, "role": item.role.value, "reason": item.reason, "at": format_instant(item.at)}
        for item in approvals
    ]
