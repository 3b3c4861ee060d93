# SPDX-License-Identifier: Apache-2.0
"""What follows from a node's record, worked out a second time from the bytes in its store.

Nothing here asks the code that decides in the product: events are read as JSON, dates are compared as text of one form,
and each rule is written down again as the design says it, so that a mistake has to be made twice to go unseen. Only
signatures and parsing are the product's own.
"""

import json
from base64 import b64decode
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from comity.canonical import sha256_digest
from comity.exchange import parse_message, verify_message
from comity.ids import Instant, format_instant
from comity.node.node import Node
from tests.simulation.template import FOUNDED, manifests

__all__ = ["Account", "read_account", "say_why_closed"]

_SIGNING = frozenset({"propose", "counter", "accept"})
_CARRYING = _SIGNING | {"accede"}
_VERIFIED = dict[bytes, dict[str, Any]]()
"""Envelopes whose signatures were found good, with what they say: the same ones are met after every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One node's record of one agreement: what was said, and the texts that came with it, by hash."""

    said: tuple[dict[str, Any], ...]
    texts: dict[str, dict[str, Any]]

    @property
    def key(self) -> tuple[frozenset[str], frozenset[str]]:
        """What two nodes must have in common to have the same record."""
        return frozenset(self.texts), frozenset(event["digest"] for event in self.said)

    def without(self, texts: Collection[str]) -> "Account":
        """The same without some texts, and without what was said of them."""
        said = tuple(event for event in self.said if event["terms"] not in texts)
        return Account(said=said, texts={name: text for name, text in self.texts.items() if name not in texts})

    def of(self, terms: str, *kinds: str) -> Iterator[dict[str, Any]]:
        """What was said of a text by those kinds of event."""
        return (event for event in self.said if event["terms"] == terms and event["kind"] in kinds)

    def founders(self, terms: str) -> frozenset[str]:
        return frozenset(party["id"] for party in self.texts[terms]["parties"])

    def signers(self, terms: str) -> frozenset[str]:
        return frozenset(event["party"] for event in self.of(terms, *_SIGNING)) & self.founders(terms)

    def sealed(self) -> list[str]:
        """The texts that all their parties signed, oldest first."""
        found = [terms for terms in self.texts if self.signers(terms) == self.founders(terms)]
        return sorted(found, key=lambda terms: int(self.texts[terms]["version"]))

    def joined(self, terms: str) -> dict[str, dict[str, Any]]:
        """Who joined a text, each with the event by which it did."""
        founders = self.founders(terms)
        rule = self.texts[terms].get("structure", {}).get("accession", "closed")
        needed = {"any_member": 1, "majority": len(founders) // 2 + 1, "unanimous": len(founders)}.get(rule, 99)
        found = dict[str, dict[str, Any]]()
        for event in sorted(self.of(terms, "accede"), key=lambda event: str(event["digest"])):
            by = {
                each["party"]
                for each in self.of(terms, "admit")
                if each["party"] in founders
                and (each["joiner"], each["manifest"]) == (event["party"], event["manifest"])
            }
            if event["party"] not in founders and len(by) >= needed:
                found.setdefault(event["party"], event)
        return found

    def bound(self) -> frozenset[str]:
        """Whose stops count: the parties of the first text and of every one that all signed, and who joined them."""
        first = [terms for terms, text in self.texts.items() if text["version"] == 1]
        return frozenset[str]().union(*(self.founders(t) | self.joined(t).keys() for t in (*first, *self.sealed())))

    def left(self) -> frozenset[str]:
        return self.bound() & {event["party"] for event in self.said if event["kind"] in {"leave", "terminate"}}

    def members(self, terms: str) -> frozenset[str]:
        return (self.founders(terms) | self.joined(terms).keys()) - self.left()


def read_account(node: Node, agreement: str) -> Account | None:
    """What the store holds of an agreement, every signature verified; None when it holds nothing."""
    with node.store.read() as transaction:
        rows = transaction.rows("SELECT envelope FROM event WHERE agreement = ?", (agreement,))
    said = tuple(_read(bytes(row[0])) for row in rows)
    texts = {event["terms"]: json.loads(event["document"]) for event in said if event["kind"] in _CARRYING}
    return Account(said=said, texts=texts) if texts else None


def _read(envelope: bytes) -> dict[str, Any]:
    if envelope not in _VERIFIED:
        payload = b64decode(json.loads(envelope)["payload"])
        verify_message(parse_message(envelope), manifests(), now=FOUNDED)
        event: dict[str, Any] = json.loads(payload)
        if event["kind"] in _CARRYING:
            assert sha256_digest(event["document"].encode()) == event["terms"]
        _VERIFIED[envelope] = {**event, "digest": str(sha256_digest(payload))}
    return _VERIFIED[envelope]


def say_why_closed(
    account: Account, terms: str, channel: str, *, giver: str, receiver: str, now: Instant
) -> Iterator[str]:
    """Every reason for which nothing may go from `giver` to `receiver`; none when the gate may be open.

    The giver's own recognition is not asked here.
    """
    if terms not in account.sealed():
        yield "not signed by all"
        return
    yield from _say_stopped(account, terms, channel)
    yield from _say_run_out(account, terms, giver=giver, receiver=receiver, now=format_instant(now))
    members = account.members(terms)
    if not {giver, receiver} <= members:
        yield f"{giver} and {receiver} are not both members"
    found = next(item for item in account.texts[terms]["channels"] if item["id"] == channel)
    if found["giver"] not in {giver, "members"} or not {receiver, "members"} & set(found["receivers"]):
        yield "not the way of the channel"
    reserving = {
        event["party"]
        for event in account.of(terms, *_CARRYING)
        for reservation in event.get("reservations", ())
        if f"{reservation['clause']}.".startswith(f"channels.{channel}.")
    }
    if reserving & {giver, receiver}:
        yield "reserved"


def _say_stopped(account: Account, terms: str, channel: str) -> Iterator[str]:
    text = account.texts[terms]
    newest = account.sealed()[-1]
    if int(account.texts[newest]["version"]) > int(text["version"]):
        yield "a newer version is signed by all"
    founders = account.founders(terms)
    if any(event["party"] in founders for event in account.of(terms, "withdraw", "reject")):
        yield "withdrawn or rejected"
    for other, replacing in account.texts.items():
        by = {event["party"] for event in account.of(other, "counter")}
        if replacing.get("supersedes") == terms and by & founders:
            yield "countered"
    allowed = set(text.get("reservations", ()))
    if any(
        reservation["clause"] not in allowed
        for event in account.of(terms, *_SIGNING)
        if event["party"] in founders
        for reservation in event.get("reservations", ())
    ):
        yield "signed with a reservation that is not allowed"
    confirmed = {event["party"] for event in account.of(terms, "confirm")}
    if missing := founders - account.left() - confirmed:
        yield f"not confirmed by {sorted(missing)}"
    yield from _say_locked(account, channel)


def _say_locked(account: Account, channel: str) -> Iterator[str]:
    bound = account.bound()
    lifted = {(event["party"], event["re"]) for event in account.said if event["kind"] == "resume"}
    for event in account.said:
        held = event["kind"] == "suspend" and event["party"] in bound - account.left()
        if held and event.get("channel") in {None, channel} and (event["party"], event["digest"]) not in lifted:
            yield f"suspended by {event['party']}"
    texts = [terms for terms, text in account.texts.items() if text["version"] == 1 or terms in account.sealed()]
    between_two = [terms for terms in texts if not _is_group(account.texts[terms])]
    for event in account.said:
        if event["kind"] == "terminate" and any(event["party"] in account.founders(terms) for terms in between_two):
            yield f"terminated by {event['party']}"


def _is_group(text: dict[str, Any]) -> bool:
    return len(text["parties"]) > 2 or text.get("structure", {}).get("kind") == "group"


def _say_run_out(account: Account, terms: str, *, giver: str, receiver: str, now: str) -> Iterator[str]:
    """What dates alone close; written with six digits everywhere, times compare as text."""
    text = account.texts[terms]
    validity = text["validity"]
    if now < _long(validity["from"]) or ("until" in validity and now >= _long(validity["until"])):
        yield "outside its validity"
    bases = [*text["legal_bases"]]
    for event in account.joined(terms).values():
        bases += event["legal_bases"]
    for party in (giver, receiver):
        own = [basis for basis in bases if basis["party"] == party]
        if not any("valid_until" not in basis or now < _long(basis["valid_until"]) for basis in own):
            yield f"no basis of {party} is valid"
        if any(item["given_by"] == party and now >= _long(item["valid_until"]) for item in text.get("assurances", ())):
            yield f"an assurance of {party} ran out"


def _long(text: str) -> str:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{whole}.{fraction.ljust(6, '0')}Z"
