# SPDX-License-Identifier: Apache-2.0
"""Shell: what a partner disclosed and cannot show any more is let stand without its receipt, as two people say.

A giver may have purged what a receipt is made of, or have lost it. Then the receipt can never come, and nothing that
comes after it would be taken in. People who have asked the giver why can let its disclosures up to a number stand
without: the numbers, the reason and who said so are an entry in the log, which no purge takes. What is given after them
has to be shown as before, in a tree that is consistent with the largest one seen.

No object is taken in by this. What those disclosures held comes again with the next pages, or never.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from comity.agreement.people import Approval, make_matter
from comity.agreement.recognition import Refusal
from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.errors import MalformedError, MalformedRequest, NotFoundError, TransitionError
from comity.ids import Instant, PartyId, format_instant
from comity.node.node import Node
from comity.node.people import Actor, Approved, Waiting, approve
from comity.node.retention import check_texts
from comity.release.disclosure import EntryType
from comity.store import Transaction, parties, receipts, waivers
from comity.store.waivers import Waiver

__all__ = ["Blocked", "Waived", "Waiver", "list_blocked", "list_waived", "verify_waivers", "waive_receipts"]

_FORMAT = "comity-waiver/1"
_MOST = 10_000
"""Disclosures at once: a number with a digit too many must not let everything stand that ever comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waived:
    """What stands without receipts from here on, and who said so."""

    waiver: Waiver
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Nothing of `giver` is taken in since `since`, as it gives no receipt for its disclosure `number`."""

    giver: PartyId
    number: int
    since: Instant
    reason: str


def waive_receipts(node: Node, giver: PartyId, *, through: int, reason: str, by: Actor) -> Waived | Waiting | Refusal:
    """What became of letting the disclosures of `giver`, from the next one through number `through`, stand.

    Raises:
        NotFoundError: the giver is not pinned.
        MalformedRequest: the reason, or the number is none that comes next, or more than 10,000 further on.
        TransitionError: nothing was received of it yet, so that nothing is asked for that is not there.
    """
    reason = check_texts(reason, None)
    with node.act() as act:
        if parties.read_party(act.transaction, giver) is None:
            raise NotFoundError(f"{giver} is not a party this node knows")
        reached = waivers.read_reached(act.transaction, giver)
        if reached is None:
            raise TransitionError(f"no receipt of {giver} is here: the first that comes may be of any number")
        if not reached < through <= reached + _MOST:
            raise MalformedRequest(
                f"{giver}'s disclosures through {reached} are accounted for: name a number from {reached + 1} to"
                f" {reached + _MOST}",
                where="--through",
            )
        facts: dict[str, Json] = {
            "title": f"disclosures {reached + 1} to {through} of {giver} stand without receipts",
            "giver": giver,
            "first": reached + 1,
            "through": through,
            "reason": reason,
        }
        authorised = approve(act, by, make_matter("waive", agreement=None, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        entry = act.position
        waiver = Waiver(giver=giver, first=reached + 1, through=through, at=act.now, entry=entry)
        waivers.add_waiver(act.transaction, waiver)
        content = _format_content(waiver, reason=reason, approvals=authorised.approvals)
        act.record(EntryType.ACKNOWLEDGEMENT, content, terms=None, recipient=None, count=waiver.count)
    return Waived(waiver=waiver, approvals=authorised.approvals)


def list_waived(node: Node, giver: PartyId | None = None) -> list[Waiver]:
    """What stands without receipts, of all givers or of one, oldest first."""
    with node.store.read() as transaction:
        return waivers.list_waivers(transaction, giver)


def list_blocked(transaction: Transaction) -> list[Blocked]:
    """The givers whose last page was refused for want of a receipt, with the number that is asked for."""
    last = dict[PartyId, tuple[Instant, str, str]]()
    for page in receipts.list_refused(transaction):
        last.setdefault(page.giver, (page.at, page.part, page.reason))
        if page.part == "receipt":
            last[page.giver] = (page.at, page.part, page.reason)
    found = list[Blocked]()
    for giver, (at, part, reason) in sorted(last.items()):
        reached = waivers.read_reached(transaction, giver)
        if part != "receipt" or reached is None or _went_on(transaction, giver, reached, since=at):
            continue
        found.append(Blocked(giver=giver, number=reached + 1, since=at, reason=reason))
    return found


def verify_waivers(transaction: Transaction) -> tuple[list[Waiver], list[tuple[int, str]]]:
    """What stands without receipts, and what of it is not as the log has it: the entry, and what is wrong."""
    kept, wrong = waivers.list_waivers(transaction), list[tuple[int, str]]()
    by_entry = {waiver.entry: waiver for waiver in kept}
    named = waivers.find_contents(transaction, f'"format":"{_FORMAT}"'.encode())
    said = {position: content for position, content in named if _read(content).get("format") == _FORMAT}
    for entry in sorted(by_entry.keys() | said.keys()):
        waiver = by_entry.get(entry)
        if waiver is None:
            wrong.append((entry, "it lets disclosures stand without receipts, and the store does not say so"))
        elif entry not in said or not _says(said[entry], waiver):
            what = f"disclosures {waiver.first} to {waiver.through} of {waiver.giver}"
            wrong.append((entry, f"the store lets {what} stand without receipts, and this entry does not say so"))
    return kept, wrong


def _went_on(transaction: Transaction, giver: PartyId, reached: int, *, since: Instant) -> bool:
    kept = receipts.read_receipt(transaction, giver, reached)
    waived = [waiver.at for waiver in waivers.list_waivers(transaction, giver) if waiver.through == reached]
    return any(at >= since for at in (*waived, *([] if kept is None else [kept.received_at])))


def _format_content(waiver: Waiver, *, reason: str, approvals: tuple[Approval, ...]) -> bytes:
    said: list[Json] = [
        {"person": item.person, "role": item.role.value, "reason": item.reason, "at": format_instant(item.at)}
        for item in approvals
    ]
    return canonical_bytes({**_describe(waiver), "reason": reason, "approvals": said})


def _describe(waiver: Waiver) -> dict[str, Json]:
    return {"format": _FORMAT, "giver": waiver.giver, "first": waiver.first, "through": waiver.through}


def _read(content: bytes) -> Mapping[str, Json]:
    try:
        said = parse_signed_json(content)
    except MalformedError:
        return {}
    return said if isinstance(said, dict) else {}


def _says(content: bytes, waiver: Waiver) -> bool:
    return _describe(waiver).items() <= _read(content).items()
