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

from comity.agreement.channels import Channel
from comity.agreement.lifecycle import Standing
from comity.agreement.terms import Terms
from comity.canonical import sha256_digest
from comity.errors import NotFoundError
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.node.node import Act, Node
from comity.node.standing import Collection, find_collection, judge_terms, list_collections
from comity.release.clauses import Condition, read_sql
from comity.release.decision import Decision, Redact, Release, Withhold, decide, decide_gate, decide_history
from comity.release.disclosure import Answer, DisclosedObject, EntryType, format_disclosure
from comity.release.history import find_threshold, read_history_sql
from comity.release.redaction import redact
from comity.store import Transaction, feeds, objects, parties
from comity.store.feeds import Admission, Candidate, Feed, Selection, VersionChoice

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

_NOTHING = Admission(label=Condition(sql="0", parameters=()), object=Condition(sql="0", parameters=()))
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
        feed = _catch_up(act, collection, node.party)
        items, more = _fill(act, _Channel(collection, feed, node.party), request=request)
        if items:
            _record(act, collection, request.answer, items=items)
    return Page(agreement=collection.dossier.id, terms=collection.terms.hash, items=tuple(items), more=more)


def list_open_collections(node: Node, recipient: PartyId) -> list[Collection]:
    """The collections that `recipient` may poll now."""
    with node.store.read() as transaction:
        return [
            item
            for item in list_collections(node, transaction, recipient)
            if ask_gate(node, transaction, item.standing, item.channel, recipient=recipient) is None
        ]


def ask_gate(
    node: Node, transaction: Transaction, standing: Standing, channel: Channel, *, recipient: PartyId
) -> Withhold | None:
    """What stops everything from this party to `recipient` in `channel` at this moment, if anything does.

    The state, this party's own recognition, or a party whose manifest has run out: its signatures could be a thief's.
    """
    now = node.clock()
    for party in sorted(standing.members & {node.party, recipient} | (standing.current or standing.latest).founders):
        expires_at = parties.read_expiry(transaction, party)
        if party not in standing.left and (expires_at is None or expires_at <= now):
            return Withhold(clause="parties", reason=f"the manifest of {party} has run out; pin its next version")
    terms, joining = standing.current or standing.latest, standing.joining_bases(node.party)
    recognition = judge_terms(node, terms, now=now, joining=joining, towards=recipient)
    return decide_gate(standing, recognition, channel=channel, giver=node.party, receiver=recipient)


def _find_open(node: Node, act: Act, request: PollRequest) -> Collection:
    found = find_collection(node, act.transaction, request.recipient, request.collection)
    if found is None or (
        ask_gate(node, act.transaction, found.standing, found.channel, recipient=request.recipient) is not None
    ):
        raise NotFoundError(_GONE)
    return found


def _catch_up(act: Act, collection: Collection, giver: PartyId) -> Feed:
    feed = feeds.open_feed(act.transaction, collection.dossier.id, collection.channel.id, collection.recipient)
    terms = collection.terms
    before: Admission | None = None
    if feed.under is not None and feed.under != terms.hash:
        # The terms last released under, not the version before these: several may have come and gone between two polls.
        last = next(version for version in collection.dossier.versions if version.hash == feed.under)
        before = _read_before(collection, feed, last, giver=giver)
    feeds.catch_up(
        act.transaction,
        feed,
        terms=terms.hash,
        admits=_admission(feed, collection.channel, giver, collection.recipient, joined=collection.joined),
        admitted=before,
        now=act.now,
    )
    return feed


def _read_before(collection: Collection, feed: Feed, last: Terms, *, giver: PartyId) -> Admission:
    """What `last` admitted in this channel; nothing, where it let other properties of an object go."""
    channel = last.channel(collection.channel.id)
    scope = collection.channel.scope
    if channel is None or (channel.scope.sanitise, channel.scope.attribution) != (scope.sanitise, scope.attribution):
        return _NOTHING
    return _admission(feed, channel, giver, collection.recipient, joined=collection.recipient not in last.founders)


def _admission(feed: Feed, channel: Channel, giver: PartyId, recipient: PartyId, *, joined: bool) -> Admission:
    return Admission(
        label=read_sql(channel.scope_for(giver), recipient=recipient),
        object=read_history_sql(find_threshold(channel.history, floor=feed.floor, joined=joined)),
    )


@dataclass(frozen=True, slots=True)
class _Channel:
    """What is decided by: the collection, how far its feed is, and who gives."""

    collection: Collection
    feed: Feed
    giver: PartyId


def _fill(act: Act, channel: _Channel, *, request: PollRequest) -> tuple[list[Released], bool]:
    """At most `limit` objects, and whether another one is waiting behind them."""
    items, size = list[Released](), 0
    limit = min(request.limit, MAX_PAGE_OBJECTS)
    for candidate, decision in _decided(act, channel, request=request):
        item = _release(act, candidate, decision, answer=request.answer)
        size += len(item.data)
        if len(items) == limit or (items and size > MAX_PAGE_BYTES):
            return items, True
        items.append(item)
    return items, False


def _decided(act: Act, channel: _Channel, *, request: PollRequest) -> Iterator[tuple[Candidate, Release | Redact]]:
    """The candidates that the decision admits, read a page at a time."""
    after, limit = request.selection.after, min(request.limit, MAX_PAGE_OBJECTS) + 1
    collection = channel.collection
    scope = collection.channel.scope_for(channel.giver)
    threshold = find_threshold(collection.channel.history, floor=channel.feed.floor, joined=collection.joined)
    decisions: dict[int, Decision] = {}
    while True:
        selection = _after(request.selection, after)
        candidates = feeds.read_candidates(act.transaction, channel.feed, selection, limit=limit)
        labels = objects.read_labels(act.transaction, {item.object.label for item in candidates} - decisions.keys())
        decisions |= {key: decide(scope, label, recipient=collection.recipient) for key, label in labels.items()}
        for candidate in candidates:
            item = candidate.object
            old = decide_history(threshold, first_seq=item.first_seq, added_at=item.added_at)
            match old or decisions[item.label]:
                case Withhold():
                    continue
                case (Release() | Redact()) as admitted:
                    yield candidate, admitted
        if len(candidates) < limit:
            return
        after = candidates[-1].at


def _after(selection: Selection, after: Instant) -> Selection:
    return Selection(
        after=after,
        ids=selection.ids,
        types=selection.types,
        spec_versions=selection.spec_versions,
        versions=selection.versions,
    )


def _release(act: Act, candidate: Candidate, decision: Release | Redact, *, answer: Answer) -> Released:
    redacted = tuple(sorted(decision.properties)) if isinstance(decision, Redact) else ()
    data = b""
    if answer in {Answer.OBJECTS, Answer.OBJECT}:
        data = objects.read_body(act.transaction, candidate.object.pk)
        if isinstance(decision, Redact):
            left = redact(data, decision.properties, only=decision.only)
            data, redacted = left.data, left.removed
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
