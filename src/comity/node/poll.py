# SPDX-License-Identifier: Apache-2.0
"""Shell: gate → catch up → page → decide → redact → log → COMMIT → bytes.

One poll is one transaction, or shares one with others. In it, in this order:

 0. grants of consent whose time has passed end (`node.grants`), and so do threat assessments (`node.tagging`);
 1. the channel is found among those of the party that asks; what is not for it does not exist;
 2. the gate is asked: state by the events on record and the time of this act, recognition by this node's own policy;
 3. the feed catches up: what the terms now admit gets its release time, as far as the page needs it where much waits;
 4. a page of candidates is read, and every row is decided again: the index proposes, the decision disposes;
 5. what granular markings forbid is removed;
 6. the disclosure is put on record: what, to whom, under which terms, when;
 7. COMMIT. Only then does `poll` return, so that no byte can leave before it.

Steps 4 and 5 are a function of the feed's generation and of the terms; a page that was filled under the same ones is
taken from memory (`node.pages`). The other steps are never left out.

A suspension commits before or after this transaction, never inside it. After COMMIT the bytes are still here: whoever
sends them must let `suspend` wait for it (`taxii.sends`). A crash after COMMIT leaves a record of what was never sent.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, repeat
from typing import cast

from comity.agreement.channels import Channel
from comity.agreement.terms import Terms
from comity.canonical import sha256_digest
from comity.errors import NotFoundError
from comity.ids import AgreementId, Digest, PartyId
from comity.node.gate import find_open_collection
from comity.node.grants import end_run_out
from comity.node.node import Act, Node
from comity.node.pages import Filled, Released
from comity.node.parties import read_node_key
from comity.node.standing import Collection
from comity.node.tagging import lapse
from comity.release.clauses import Condition
from comity.release.decision import Decision, Redact, Release, Withhold, decide, read_decision_sql
from comity.release.disclosure import Answer, EntryType, format_disclosure, format_listing
from comity.release.grounds import format_grounds, tag_grounds
from comity.release.history import Threshold, admits_history, find_threshold, read_history_sql
from comity.release.redaction import redact
from comity.stix.labels import format_label
from comity.store import Transaction, feeds, objects
from comity.store.changes import read_changes
from comity.store.feeds import Admission, Candidates, Feed, Selection, VersionChoice
from comity.store.log import Grounds, Text

__all__ = [
    "MAX_PAGE_BYTES",
    "MAX_PAGE_OBJECTS",
    "Page",
    "PollRequest",
    "Selection",
    "VersionChoice",
    "poll",
    "poll_together",
    "prepare_together",
]

MAX_PAGE_OBJECTS = 1_000
MAX_PAGE_BYTES = 16 * 1024 * 1024

_NOTHING = Admission(read_label=lambda: Condition(sql="0", parameters=()), object=Condition(sql="0", parameters=()))
"""What terms admit that do not have the channel."""

_CARRY_OBJECTS = frozenset({Answer.OBJECTS, Answer.OBJECT})


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRequest:
    """What `recipient` asks of one collection; `limit` is at most MAX_PAGE_OBJECTS."""

    recipient: PartyId
    collection: str
    answer: Answer
    selection: Selection
    limit: int = MAX_PAGE_OBJECTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What may now be sent; `agreement` is the one that a suspension of must wait for.

    `sequence` is the number of this disclosure to its recipient; None for a page with nothing on it.
    """

    agreement: AgreementId
    terms: Digest
    filled: Filled
    sequence: int | None = None

    @property
    def items(self) -> tuple[Released, ...]:
        """The objects one by one."""
        return self.filled.items

    @property
    def more(self) -> bool:
        """Whether others wait behind them."""
        return self.filled.more


def poll(node: Node, request: PollRequest) -> Page:
    """The page, committed to the log as disclosed.

    Raises:
        NotFoundError: no such collection for who asks, or nothing is in force: the two are one answer.
    """
    (page,) = poll_together(node, [request])
    node.keep_head()
    if page is None:
        raise NotFoundError("there is no such collection for who asks")
    return page


def poll_together(
    node: Node, requests: Sequence[PollRequest], *, is_enough: Callable[[], bool] = lambda: False
) -> list[Page | None]:
    """The page of each, all committed at once; None where `poll` would raise NotFoundError.

    After each `is_enough` is asked: where it is, the rest have no page, and have to be asked anew. Whatever else one of
    them raises undoes all: ask each by itself then. The head of the log is kept outside the store by whoever asks
    (`Node.keep_head`).
    """
    with node.act(keeps_head=False) as act:
        end_run_out(act, node.party)
        lapse(act.transaction, now=act.now)
        # In this transaction nothing changes but a feed that catches up: what is open for one is open for the next.
        batch = _Batch(read_changes(act.transaction), read_node_key(act.transaction))
        pages = list[Page | None]()
        for request in requests:
            pages.append(_poll(node, act, request, batch))
            if is_enough():
                break
        return pages


def prepare_together(node: Node, requests: Sequence[PollRequest]) -> None:
    """Fill what is not in memory before it is this process's turn to write, so that the others do not wait for it.

    Nothing follows from it: the gate, the feed and the terms are asked again in the transaction that records, and what
    was filled here under others than those is not found then.
    """
    with node.store.read() as transaction:
        changes = read_changes(transaction)
        for request in requests:
            collection = find_open_collection(node, transaction, request.recipient, request.collection, changes=changes)
            if collection is None:
                continue
            feed = feeds.read_feed(transaction, collection.dossier.id, collection.channel.id, request.recipient)
            if feed is None or not feeds.is_caught_up(transaction, feed, collection.terms.hash):
                continue
            _find_or_fill(node, transaction, collection, feed, request=request, changes=changes)


_Opened = tuple[Collection, Feed, "_House"]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is the same for all polls of one transaction: what remembered facts are kept under, and the key of tags.

    `opened` has what was asked for one of them and is so for the next of the same collection.
    """

    changes: int
    key: bytes
    opened: dict[tuple[PartyId, str], _Opened | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _House:
    """What of this party's own goes on record with a disclosure: its policy, and the key of the tag."""

    policy: Text
    key: bytes


def _open(node: Node, act: Act, recipient: PartyId, name: str, batch: _Batch) -> _Opened | None:
    """The collection, if the gate is open, its feed, caught up as far as it does at once, and what was asked by."""
    collection = find_open_collection(node, act.transaction, recipient, name, changes=batch.changes, now=act.now)
    if collection is None:
        return None
    house = _House(node.policy_text(), batch.key)
    return collection, _catch_up(node, act, collection, changes=batch.changes), house


def _poll(node: Node, act: Act, request: PollRequest, batch: _Batch) -> Page | None:
    place, opened, changes = (request.recipient, request.collection), batch.opened, batch.changes
    if place not in opened:
        opened[place] = _open(node, act, *place, batch)
    found = opened[place]
    if found is None:
        return None
    collection, feed, house = found
    filled = _find_or_fill(node, act.transaction, collection, feed, request=request, changes=changes)
    while feed.behind and not filled.more:
        feed = _catch_up(node, act, collection, changes=changes)
        opened[place] = collection, feed, house
        filled = _find_or_fill(node, act.transaction, collection, feed, request=request, changes=changes)
    sequence = _record(act, collection, request.answer, filled=filled, house=house) if filled.at else None
    return Page(agreement=collection.dossier.id, terms=collection.terms.hash, filled=filled, sequence=sequence)


def _find_or_fill(
    node: Node, transaction: Transaction, collection: Collection, feed: Feed, *, request: PollRequest, changes: int
) -> Filled:
    filled = node.pages.find(feed, collection.terms.hash, request)
    if filled is None:
        filled = _fill(transaction, _open_channel(node, collection, feed, changes=changes), request=request)
        node.pages.keep(filled, feed, collection.terms.hash, request, characters=request.selection.count_characters())
    return filled


def _catch_up(node: Node, act: Act, collection: Collection, *, changes: int) -> Feed:
    feed = feeds.open_feed(act.transaction, collection.dossier.id, collection.channel.id, collection.recipient)
    terms, giver = collection.terms, node.party
    if feeds.is_caught_up(act.transaction, feed, terms.hash):
        return feed
    before: Admission | None = None
    if feed.under is not None and feed.under != terms.hash:
        # The terms last released under, not the version before these: several may have come and gone between two polls.
        last = next(version for version in collection.dossier.versions if version.hash == feed.under)
        before = _read_before(collection, feed, last, giver=giver)
    return feeds.catch_up(
        act.transaction,
        feed,
        terms=terms.hash,
        admits=_admission(feed, collection.channel, giver, collection.recipient, joined=collection.joined),
        admitted=before,
        known=_remember_admitted(node, feed, terms, changes=changes),
        now=act.now,
    )


def _remember_admitted(node: Node, feed: Feed, terms: Terms, *, changes: int) -> dict[int, bool]:
    """Of which labels it is known whether `terms` admit them in this feed: as long as no label is gone."""
    key = f"admitted to {feed.id} under {terms.hash}"
    remembered = node.remembered.get(key)
    if remembered is None or remembered[0] != changes:
        remembered = node.remembered[key] = (changes, dict[int, bool]())
    return cast("dict[int, bool]", remembered[1])


def _read_before(collection: Collection, feed: Feed, last: Terms, *, giver: PartyId) -> Admission:
    """What `last` admitted in this channel; nothing, where it let other properties of an object go."""
    channel = last.channel(collection.channel.id)
    scope = collection.channel.scope
    if channel is None or (channel.scope.sanitise, channel.scope.attribution) != (scope.sanitise, scope.attribution):
        return _NOTHING
    return _admission(feed, channel, giver, collection.recipient, joined=collection.recipient not in last.founders)


def _admission(feed: Feed, channel: Channel, giver: PartyId, recipient: PartyId, *, joined: bool) -> Admission:
    return Admission(
        read_label=lambda: read_decision_sql(channel.scope_for(giver), recipient=recipient),
        object=read_history_sql(find_threshold(channel.history, floor=feed.floor, joined=joined)),
    )


@dataclass(frozen=True, slots=True)
class _Channel:
    """What is decided by: the collection, how far its feed is, who gives.

    `decisions` are those taken by label, `digests` those of the labels' bodies.
    """

    collection: Collection
    feed: Feed
    giver: PartyId
    decisions: dict[int, Decision]
    digests: dict[int, Digest]

    @property
    def admission(self) -> Admission:
        """What the terms admit, as the feed is caught up by."""
        collection = self.collection
        return _admission(self.feed, collection.channel, self.giver, collection.recipient, joined=collection.joined)

    @property
    def threshold(self) -> Threshold:
        """What counts of the past."""
        history = self.collection.channel.history
        return find_threshold(history, floor=self.feed.floor, joined=self.collection.joined)


def _open_channel(node: Node, collection: Collection, feed: Feed, *, changes: int) -> _Channel:
    """The channel with the decisions remembered of it. A label stands for the same words as long as it is there."""
    key = f"decisions of {feed.id} under {collection.terms.hash}"
    remembered = node.remembered.get(key)
    if remembered is None or remembered[0] != changes:
        remembered = node.remembered[key] = (changes, (dict[int, Decision](), dict[int, Digest]()))
    return _Channel(collection, feed, node.party, *cast("tuple[dict[int, Decision], dict[int, Digest]]", remembered[1]))


def _fill(transaction: Transaction, channel: _Channel, *, request: PollRequest) -> Filled:
    """At most `limit` objects, as many as MAX_PAGE_BYTES hold but at least one, and whether others wait behind them."""
    limit, enough = min(request.limit, MAX_PAGE_OBJECTS), MAX_PAGE_BYTES if request.answer in _CARRY_OBJECTS else None
    admitted, redacted, selection = Candidates(), dict[int, tuple[str, ...]](), request.selection
    size, at_once, among = 0, limit + 1, None
    while True:
        read = feeds.read_candidates(
            transaction,
            channel.feed,
            selection,
            limit=at_once,
            bytes_enough=enough,
            among=among,
            admits=channel.admission,
        )
        chosen, removed = _admit(transaction, channel, read)
        redacted |= {len(admitted) + place: names for place, names in removed.items()}
        admitted = admitted + chosen if admitted else chosen
        size += sum(map(len, chosen.data))
        if len(admitted) > limit or size > MAX_PAGE_BYTES:
            break
        if len(read) < at_once and not (enough and sum(map(len, read.data)) > enough):
            return _finish(channel, admitted, redacted, more=False, answer=request.answer)
        # Where terms admit no more what they did, very many stand between two that they admit: those are passed over
        # by the condition that proposes, which a page without them need not pay for.
        selection, at_once = replace(selection, after=read.at[-1]), min(4 * at_once, MAX_PAGE_OBJECTS + 1)
        among = channel.admission.label
    return _finish(channel, admitted[: _cut(admitted, limit)], redacted, more=True, answer=request.answer)


def _cut(admitted: Candidates, limit: int) -> int:
    """How many of more than a page holds."""
    sizes = [*accumulate(map(len, admitted.data))]
    return max(1, min(limit, bisect_right(sizes, MAX_PAGE_BYTES)))


def _admit(
    transaction: Transaction, channel: _Channel, read: Candidates
) -> tuple[Candidates, dict[int, tuple[str, ...]]]:
    """The candidates that the decision admits, and what of them was removed, by their place."""
    decisions, threshold = channel.decisions, channel.threshold
    labels = set(read.label)
    if unknown := labels - decisions.keys():
        scope, recipient = channel.collection.channel.scope_for(channel.giver), channel.collection.recipient
        for key, label in objects.read_labels(transaction, unknown).items():
            decisions[key] = decide(scope, label, recipient=recipient)
            channel.digests[key] = sha256_digest(format_label(label))
    if any(not isinstance(decisions[label], Release) for label in labels) or threshold.is_limit:
        rows = zip(read.label, read.first_seq, read.added_at, strict=True)
        read = read.pick(
            not isinstance(decisions[label], Withhold)
            and admits_history(threshold, first_seq=first_seq, added_at=added_at)
            for label, first_seq, added_at in rows
        )
    if not any(isinstance(decisions[label], Redact) for label in labels):
        return read, {}
    removals = {place: cut for place, label in enumerate(read.label) if isinstance(cut := decisions[label], Redact)}
    return _redact(read, removals)


def _redact(read: Candidates, removals: Mapping[int, Redact]) -> tuple[Candidates, dict[int, tuple[str, ...]]]:
    """The objects without what may not go. Without their bytes, only the names of what would be removed."""
    data, digests, names = list(read.data), list(read.digest), dict[int, tuple[str, ...]]()
    for place, removal in removals.items():
        if not data[place]:
            names[place] = tuple(sorted(removal.properties))
            continue
        left = redact(data[place], removal.properties, only=removal.only)
        data[place], digests[place], names[place] = left.data, sha256_digest(left.data), left.removed
    return replace(read, data=tuple(data), digest=tuple(digests)), names


def _finish(
    channel: _Channel,
    admitted: Candidates,
    redacted: Mapping[int, tuple[str, ...]],
    *,
    more: bool,
    answer: Answer,
) -> Filled:
    digests = admitted.digest if answer in _CARRY_OBJECTS else (None,) * len(admitted)
    names = (redacted.get(place, ()) for place in range(len(admitted))) if redacted else repeat(())
    listing = Text(format_listing(zip(admitted.id, admitted.version, digests, names, strict=False)))
    return Filled(
        at=admitted.at,
        id=admitted.id,
        version=admitted.version,
        sizes=tuple(map(len, admitted.data)),
        redacted={place: cut for place, cut in redacted.items() if place < len(admitted)},
        data=b",".join(admitted.data) if answer in _CARRY_OBJECTS else b"",
        more=more,
        listing=listing,
        labels=tuple(map(channel.digests.__getitem__, admitted.label)),
        floor=channel.feed.floor,
    )


def _record(act: Act, collection: Collection, answer: Answer, *, filled: Filled, house: _House) -> int | None:
    grounds = filled.grounded.get(house.policy.digest)
    if grounds is None:
        text = Text(format_grounds(floor=filled.floor, labels=filled.labels, policy=house.policy.digest))
        grounds = filled.grounded[house.policy.digest] = Grounds(text=text, policy=house.policy)
    content = format_disclosure(
        answer=answer,
        channel=collection.channel.id,
        epoch=collection.dossier.epoch,
        grounds=tag_grounds(house.key, grounds.digest, at=act.now, listing=filled.listing.digest),
        listing=filled.listing.digest,
    )
    return act.record(
        EntryType.DISCLOSURE,
        content,
        terms=collection.terms.hash,
        recipient=collection.recipient,
        count=len(filled.at),
        listing=filled.listing,
        grounds=grounds,
        agreement=collection.dossier.id,
    )
