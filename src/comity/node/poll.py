# SPDX-License-Identifier: Apache-2.0
"""Shell: gate → catch up → page → decide → redact → log → COMMIT → bytes.

One poll is one transaction. In it, in this order:

 1. the channel is found among those of the party that asks; what is not for it does not exist;
 2. the gate is asked: state by the events on record and the clock, recognition by this node's own policy;
 3. the feed catches up: what the terms now admit gets its release time;
 4. a page of candidates is read, and every row is decided again: the index proposes, the decision disposes;
 5. what granular markings forbid is removed;
 6. the disclosure is put on record: what, to whom, under which terms, when;
 7. COMMIT. Only then does `poll` return, so that no byte can leave before it.

A suspension commits before or after this transaction, never inside it. After COMMIT the bytes are still here: whoever
sends them must let `suspend` wait for it (`taxii.sends`). A crash after COMMIT leaves a record of what was never sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from comity.agreement.terms import Terms
from comity.canonical import sha256_digest
from comity.errors import NotFoundError
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.node.node import Act, Node
from comity.node.standing import Collection, Dossier, find_collection, judge_terms, list_collections
from comity.release.clauses import Condition, read_sql
from comity.release.decision import Decision, Redact, Release, Withhold, decide, decide_gate
from comity.release.disclosure import Answer, DisclosedObject, EntryType, format_disclosure
from comity.release.redaction import redact
from comity.stix.labels import Label
from comity.store import Transaction, feeds, objects, parties
from comity.store.feeds import Candidate, Feed, Selection, VersionChoice

__all__ = [
    "MAX_PAGE_BYTES",
    "MAX_PAGE_OBJECTS",
    "Page",
    "PollRequest",
    "Released",
    "Selection",
    "VersionChoice",
    "ask_gate",
    "list_open_collections",
    "poll",
]

MAX_PAGE_OBJECTS = 1_000
MAX_PAGE_BYTES = 16 * 1024 * 1024

_NOTHING = Condition(sql="0", parameters=())
"""What terms admit that do not have the channel."""

_GONE = "there is no such collection for who asks"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRequest:
    """What `recipient` asks of one collection; `limit` is at most MAX_PAGE_OBJECTS."""

    recipient: PartyId
    collection: str
    answer: Answer
    selection: Selection
    limit: int = MAX_PAGE_OBJECTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """One object of a page: `data` is what leaves (empty where the answer carries no objects)."""

    at: Instant
    id: ObjectId
    version: str
    spec_version: str
    data: bytes
    redacted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What may now be sent; `agreement` is the one that a suspension of must wait for."""

    agreement: AgreementId
    terms: Digest
    items: tuple[Released, ...]
    more: bool


def poll(node: Node, request: PollRequest) -> Page:
    """The page, committed to the log as disclosed.

    Raises:
        NotFoundError: no such collection for who asks, or nothing is in force: the two are one answer.
    """
    with node.act() as act:
        collection = _find_open(node, act, request)
        feed = _catch_up(act, collection)
        items, more = _fill(act, collection, feed=feed, request=request)
        if items:
            _record(act, collection, request.answer, items=items)
    return Page(agreement=collection.dossier.id, terms=collection.terms.hash, items=tuple(items), more=more)


def list_open_collections(node: Node, recipient: PartyId) -> list[Collection]:
    """The collections that `recipient` may poll now."""
    with node.store.read() as transaction:
        return [
            item
            for item in list_collections(node, transaction, recipient)
            if ask_gate(node, transaction, item.dossier, item.terms) is None
        ]


def ask_gate(node: Node, transaction: Transaction, dossier: Dossier, terms: Terms) -> Withhold | None:
    """What stops everything under `terms` at this moment, if anything does.

    The state, this party's own recognition, or a party whose manifest has run out: its signatures could be a thief's.
    """
    now = node.clock()
    for party in terms.parties:
        expires_at = parties.read_expiry(transaction, party.id)
        if expires_at is None or expires_at <= now:
            return Withhold(clause="parties", reason=f"the manifest of {party.id} has run out; pin its next version")
    return decide_gate(dossier.standing(now=now), judge_terms(node, terms, now=now))


def _find_open(node: Node, act: Act, request: PollRequest) -> Collection:
    collection = find_collection(node, act.transaction, request.recipient, request.collection)
    if collection is None or ask_gate(node, act.transaction, collection.dossier, collection.terms) is not None:
        raise NotFoundError(_GONE)
    return collection


def _catch_up(act: Act, collection: Collection) -> Feed:
    feed = feeds.open_feed(act.transaction, collection.dossier.id, collection.channel.id, collection.recipient)
    terms = collection.terms
    before = None
    if feed.under is not None and feed.under != terms.hash:
        # The terms last released under, not the version before these: several may have come and gone between two polls.
        last = next(version for version in collection.dossier.versions if version.hash == feed.under)
        scope = next((item.scope for item in last.channels if item.id == collection.channel.id), None)
        before = _NOTHING if scope is None else read_sql(scope, recipient=collection.recipient)
    feeds.catch_up(
        act.transaction,
        feed,
        terms=terms.hash,
        admits=read_sql(collection.channel.scope, recipient=collection.recipient),
        admitted=before,
        now=act.now,
    )
    return feed


def _fill(act: Act, collection: Collection, *, feed: Feed, request: PollRequest) -> tuple[list[Released], bool]:
    """At most `limit` objects, and whether another one is waiting behind them."""
    items, size = list[Released](), 0
    limit = min(request.limit, MAX_PAGE_OBJECTS)
    for candidate, decision in _decided(act, collection, feed=feed, request=request):
        item = _release(act, candidate, decision, answer=request.answer)
        size += len(item.data)
        if len(items) == limit or (items and size > MAX_PAGE_BYTES):
            return items, True
        items.append(item)
    return items, False


def _decided(
    act: Act, collection: Collection, *, feed: Feed, request: PollRequest
) -> Iterator[tuple[Candidate, Release | Redact]]:
    """The candidates that the decision admits, read a page at a time."""
    after, limit = request.selection.after, min(request.limit, MAX_PAGE_OBJECTS) + 1
    decisions: dict[int, Decision] = {}
    while True:
        selection = _after(request.selection, after)
        candidates = feeds.read_candidates(act.transaction, feed, selection, limit=limit)
        labels = objects.read_labels(act.transaction, {item.object.label for item in candidates} - decisions.keys())
        decisions |= {key: _decide(collection, label) for key, label in labels.items()}
        for candidate in candidates:
            match decisions[candidate.object.label]:
                case Withhold():
                    continue
                case (Release() | Redact()) as admitted:
                    yield candidate, admitted
        if len(candidates) < limit:
            return
        after = candidates[-1].at


def _decide(collection: Collection, label: Label) -> Decision:
    return decide(collection.channel.scope, label, recipient=collection.recipient)


def _after(selection: Selection, after: Instant) -> Selection:
    return Selection(
        after=after,
        ids=selection.ids,
        types=selection.types,
        spec_versions=selection.spec_versions,
        versions=selection.versions,
    )


def _release(act: Act, candidate: Candidate, decision: Release | Redact, *, answer: Answer) -> Released:
    data = b""
    if answer in {Answer.OBJECTS, Answer.OBJECT}:
        data = objects.read_body(act.transaction, candidate.object.pk)
    redacted: tuple[str, ...] = ()
    if isinstance(decision, Redact):
        redacted = tuple(sorted(decision.properties))
        data = redact(data, decision.properties) if data else data
    return Released(
        at=candidate.at,
        id=candidate.object.id,
        version=candidate.object.version,
        spec_version=candidate.object.spec_version,
        data=data,
        redacted=redacted,
    )


def _record(act: Act, collection: Collection, answer: Answer, *, items: list[Released]) -> None:
    content = format_disclosure(
        answer=answer,
        channel=collection.channel.id,
        epoch=collection.dossier.epoch,
        objects=[
            DisclosedObject(
                id=item.id,
                version=item.version,
                digest=sha256_digest(item.data) if item.data else None,
                redacted=item.redacted,
            )
            for item in items
        ],
    )
    act.record(
        EntryType.DISCLOSURE,
        content,
        terms=collection.terms.hash,
        recipient=collection.recipient,
        count=len(items),
    )
