# SPDX-License-Identifier: Apache-2.0
"""Shell: a partner takes back what it wrote here over TAXII (§5.7), and what becomes of it.

It is treated as a recall by that partner is (`node.recalled`): the versions stop in the transaction that takes the
request, and in the same one letters go to everybody to whom this party had passed them on; then each is deleted, or
waits for people, as the terms in force say. There is no letter, so there is nobody to acknowledge it to.

A retraction reaches what its partner wrote under the agreement of the collection, in whichever channel of it, and
nothing else: not what others gave, not what clashed and was not kept, and not what came with a receipt from the
partner's own node. Such a node signs letters; here a password is enough.

An indicator whose pattern is still to be read is deleted once it was: until then the status of what its partner wrote
(`node.accept`) would say by it whether it was kept.

Each request is an act with an entry in the log, whether anything is held of it or not, and its answer says nothing of
that. An entry names at most 500 versions, and there are as many entries as that takes. All versions stop in the act,
which deletes at most 500 of them; upkeep deletes the others, as many at a time. The same again is such an act and
changes nothing: `first` and `last` are of all versions that were written, whatever was taken back of them. A crash
leaves all of an act or nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeGuard

from comity.agreement.duration import add_duration
from comity.agreement.terms import Terms
from comity.canonical import sha256_digest
from comity.errors import CorruptionError, MalformedRequest
from comity.ids import Digest, Instant, ObjectId, PartyId, format_instant
from comity.letters.recall import Change, Outcome, Recall, Result
from comity.node.accept import OverQuota, WriteCollection, find_target, make_over_quota
from comity.node.node import Act, Node
from comity.node.poll import VersionChoice
from comity.node.retention import delete_versions
from comity.node.withdrawal import (
    DECISION_TIME,
    PASSED_ON,
    Demand,
    find_given,
    judge_all_stopped,
    mark_stopped,
    tell,
)
from comity.release.disclosure import DisclosedObject, EntryType
from comity.release.letters import format_retraction
from comity.stix.markings import TLP_IDS
from comity.store import Transaction, arrivals, deletions, objects, patterns, recalls, retractions
from comity.store.arrivals import Arrival
from comity.store.deletions import Tombstone, Way
from comity.store.objects import StoredObject
from comity.store.recalls import Recalled
from comity.store.retractions import Retracted, Retraction

__all__ = [
    "Retracted",
    "Retraction",
    "describe_taken_back",
    "find_retraction",
    "retract",
    "settle_retraction",
    "settle_retractions_due",
    "settle_retractions_of",
]

_NAME_BYTES = 32
_MIN_PREFIX = 4
_MAX_SHOWN = 10
_DAY = 86_400 * 1_000_000
_MOST = 500
"""Versions that one entry names, and that one act deletes."""

_LOOKED_AT = 500
"""Versions that wait and are looked at in one go: a partner can have very many wait."""


def retract(
    node: Node, *, giver: PartyId, collection: str, item: ObjectId, versions: VersionChoice | None
) -> Retraction | OverQuota:
    """What `giver` took back of the object, in one act; `versions` None asks for none that can be here.

    It may ask as often on one day as it may write objects, whatever it has written.

    Raises:
        NotFoundError: it may not write such a collection now.
    """
    with node.act() as act:
        target = find_target(node, act, giver, collection)
        if _is_over(node, act, giver):
            return make_over_quota(act.now)
        texts = {terms.hash for terms in target.dossier.versions}
        written = _find_written(act.transaction, item, giver=giver, texts=texts)
        before = retractions.read_retracted_before(act.transaction, item, giver=giver, agreement=target.dossier.id)
        chosen = [written[at] for at in _choose([*written], versions) if at not in before]
        # What this party holds by itself too stays: it is struck out that it came from there as well.
        own = [one.pk for one in chosen if _is_own(one)]
        arrivals.strike(act.transaction, own, giver=giver, terms=texts)
        retraction = _make(act, target, item, versions, [one for one in chosen if not _is_own(one)])
        retractions.add_retraction(act.transaction, retraction)
        _stop(node, act, retraction)
        settle_retraction(act, retraction.name)
        return retraction


def settle_retraction(act: Act, name: Digest) -> int:
    """The retraction of that name: what can be settled of it in one act is; how many versions that deleted."""
    stored = retractions.read_retraction(act.transaction, name)
    if stored is None:
        raise CorruptionError("a retraction is missing from the store; restore a backup")
    doomed, settled, waits = list[StoredObject](), dict[int, Result](), False
    for place, judged, version in _judge(act.transaction, stored, now=act.now):
        if judged.outcome is Outcome.STOPPED or (version is not None and len(doomed) == _MOST):
            waits = True
            continue
        settled[place] = judged
        if version is not None:
            doomed.append(version)
    if doomed:
        delete_versions(act, doomed, reason=f"taken back by {stored.giver}", by=None)
    retractions.settle_versions(act.transaction, name, settled, now=act.now)
    if not waits:
        retractions.set_due(act.transaction, name, None)
    return len(doomed)


def settle_retractions_due(node: Node) -> int:
    """Of how many retractions something was settled because its time had come, or by what was decided meanwhile.

    What is past its date comes first, the earliest in front, and then those behind those of the last time, as far as
    one look goes. Once 500 versions are deleted the rest is for the next time.
    """
    with node.store.read() as transaction:
        now, last = node.clock(), retractions.read_mark(transaction)
        late = retractions.list_late(transaction, now=now, most=_LOOKED_AT)
        others, passed = retractions.list_behind(transaction, last, most=_LOOKED_AT)
        waiting = (retractions.read_retraction(transaction, name) for name in dict.fromkeys([*late, *others]))
        due = [stored.name for stored in waiting if stored is not None and _is_due(transaction, stored, now=now)]
    if passed != last:
        with node.act() as act:
            retractions.set_mark(act.transaction, passed)
    settled = deleted = 0
    for name in due:
        if deleted >= _MOST:
            break
        with node.act() as act:
            deleted += settle_retraction(act, name)
        settled += 1
    return settled


def settle_retractions_of(act: Act, item: ObjectId) -> None:
    """The retractions of the object that wait, each settled as far as it can be."""
    for stored in retractions.list_of_object(act.transaction, item):
        if stored.due_at is not None:
            settle_retraction(act, stored.name)


def find_retraction(transaction: Transaction, prefix: str) -> Retraction | None:
    """The one retraction whose name begins with `prefix`, of at least four characters, if one does.

    Raises:
        MalformedRequest: several do.
    """
    if len(prefix) < _MIN_PREFIX:
        return None
    found = retractions.find_retractions(transaction, prefix.lower(), limit=_MAX_SHOWN)
    if len(found) > 1:
        raise MalformedRequest(f"{prefix!r} fits several retractions; give more characters")
    return found[0] if found else None


def _is_over(node: Node, act: Act, giver: PartyId) -> bool:
    day = Instant(act.now // _DAY * _DAY)
    return retractions.count_since(act.transaction, giver, day) >= node.settings.write_objects_per_day


def _find_written(
    transaction: Transaction, item: ObjectId, *, giver: PartyId, texts: set[Digest]
) -> Mapping[Instant, StoredObject | Tombstone]:
    """What of the object is held or was held as written by `giver` under one of `texts`, oldest version first."""
    before = deletions.read_ways(transaction, [item])
    found: dict[Instant, StoredObject | Tombstone] = {
        stone.version_at: stone
        for stone in deletions.read_tombstones(transaction, [item]).get(item, ())
        if _wrote(before.get((stone.id, stone.version_at), ()), giver, texts)
    }
    versions = objects.read_versions_of(transaction, [item])
    came = arrivals.read_arrivals(transaction, [one.pk for one in versions])
    for one in versions:
        if _wrote(came.get(one.pk, ()), giver, texts):
            found[one.version_at] = one
    return {at: found[at] for at in sorted(found)}


def _wrote(ways: Iterable[Arrival | Way], giver: PartyId, texts: set[Digest]) -> bool:
    return any(way.giver == giver and way.terms in texts and way.receipt is None for way in ways)


def _choose(written: Sequence[Instant], versions: VersionChoice | None) -> list[Instant]:
    """Which of the versions, oldest first, are asked for (TAXII 2.1 §3.4.1)."""
    if versions is None or not written:
        return []
    if versions.every:
        return [*written]
    ends = ({written[0]} if versions.first else set()) | ({written[-1]} if versions.last else set())
    return [at for at in written if at in ends or at in versions.exact]


def _is_own(one: StoredObject | Tombstone) -> TypeGuard[StoredObject]:
    """Whether this party holds it by itself too."""
    return isinstance(one, StoredObject) and (one.received_under is None or one.id in TLP_IDS)


def _make(
    act: Act,
    target: WriteCollection,
    item: ObjectId,
    versions: VersionChoice | None,
    chosen: Sequence[StoredObject | Tombstone],
) -> Retraction:
    """The retraction as it is kept before anything is settled."""
    return Retraction(
        name=sha256_digest(act.draw(_NAME_BYTES) + str(act.position).encode()),
        at=act.now,
        giver=target.giver,
        agreement=target.dossier.id,
        terms=target.terms.hash,
        channel=target.channel.id,
        object=item,
        asked=_describe(versions),
        due_at=_find_due(target.terms, now=act.now),
        versions=tuple(
            Retracted(
                version_at=one.version_at,
                version=one.version,
                digest=one.digest,
                result=Result(outcome=Outcome.STOPPED if isinstance(one, StoredObject) else Outcome.DELETED),
            )
            for one in chosen
        ),
    )


def _describe(versions: VersionChoice | None) -> str:
    """What is asked for, in the words of `match[version]`."""
    if versions is None:
        return "none"
    if versions.every:
        return "all"
    words = [word for word, asked in (("first", versions.first), ("last", versions.last)) if asked]
    return ",".join([*words, *(format_instant(at) for at in sorted(versions.exact))])


def _find_due(terms: Terms, *, now: Instant) -> Instant:
    """When what nobody has decided on is deleted."""
    time = terms.response_times.get("recall")
    return Instant(now + DECISION_TIME) if time is None else add_duration(now, time)


def describe_taken_back(giver: str) -> str:
    """Why what `giver` took back is given to nobody any more."""
    return f"taken back by {giver}, who wrote it here"


def _stop(node: Node, act: Act, retraction: Retraction) -> None:
    """The versions are given to nobody from here on, on record, and who was given them is told."""
    item = retraction.object
    # What was recalled before was told of then: by the letter that told of it, its receivers answer.
    before = recalls.read_recalled(act.transaction, {item}).get(item, ())
    fresh = {one.version_at for one in retraction.versions} - {one.version_at for one in before}
    mark_stopped(
        act,
        [
            Recalled(
                id=item,
                version_at=one.version_at,
                version=one.version,
                digest=one.digest,
                change=Change.WITHDRAW,
                newer=None,
                reason=describe_taken_back(retraction.giver),
                letter=retraction.name,
                recalled_at=act.now,
            )
            for one in retraction.versions
        ],
    )
    for start in range(0, max(len(retraction.versions), 1), _MOST):
        named = retraction.versions[start : start + _MOST]
        content = format_retraction(
            name=retraction.name,
            giver=retraction.giver,
            agreement=retraction.agreement,
            channel=retraction.channel,
            item=item,
            asked=retraction.asked,
            objects=[DisclosedObject(id=item, version=one.version, digest=one.digest) for one in named],
        )
        act.record(EntryType.RECALL, content, terms=retraction.terms, recipient=None, count=len(named))
    onward = Recall(change=Change.WITHDRAW, reason=PASSED_ON[Change.WITHDRAW])
    # With nothing to tell the log is not searched: that takes long, and would show that others gave the object.
    wanted = {item: fresh} if fresh else {}
    tell(node, act, find_given(act.transaction, wanted), onward, because=retraction.name)


def _judge(
    transaction: Transaction, stored: Retraction, *, now: Instant
) -> Iterator[tuple[int, Result, StoredObject | None]]:
    """What becomes now of each version that waits, by its place, and which is to be deleted for that."""
    due_at = stored.due_at if stored.due_at is not None else now
    demand = Demand(change=Change.WITHDRAW, terms=stored.terms, due_at=due_at)
    places = [at for at, one in enumerate(stored.versions) if one.result.outcome is Outcome.STOPPED]
    digests = [stored.versions[at].digest for at in places]
    judged = judge_all_stopped(transaction, stored.object, digests, demand, now=now) if places else []
    unread = patterns.find_unread(transaction, [doomed.pk for _, doomed in judged if doomed is not None])
    for place, (result, doomed) in zip(places, judged, strict=True):
        if doomed is not None and doomed.pk in unread:
            yield place, Result(outcome=Outcome.STOPPED), None
        else:
            yield place, result, doomed


def _is_due(transaction: Transaction, stored: Retraction, *, now: Instant) -> bool:
    return any(judged.outcome is not Outcome.STOPPED for _, judged, _ in _judge(transaction, stored, now=now))
