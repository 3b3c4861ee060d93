# SPDX-License-Identifier: Apache-2.0
"""Shell: what a partner writes into a channel in which it gives to this party (TAXII 2.1 §5.5).

It is held as a page pulled from that partner is: the same channels, the same gate, the same terms, restrictions and
originator (`node.follow`, `node.ingest`). An envelope is taken in by parts, each an act of its own, so that others do
not wait for the whole: the first counts all of it against the partner's quota, the last keeps the status. Between two
parts nothing is judged without what it refers to (`stix.parts`). A crash, or a gate that closes, leaves the parts that
came before it; the partner has no answer then, and the same envelope again is no error.

What the partner is told follows from its envelope alone, never from what this party has, from whomever: a version that
clashes with another is not kept, and its writer is told what it is told of any other that is well formed. To tell it of
clashes with its own earlier objects would be too much, since they may not have been kept either. Whether this party
keeps what it receives is not said at all; its own people see what was not kept (`list_unkept`).

An indicator whose pattern only a parser can tell the truth of is pending until one has read it (`node.patterns`). It
succeeds or fails by its pattern alone, also where it is not kept.

Why an object was refused is said in the answer, and not kept with the status: it quotes what stood there.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from comity.agreement.channels import Channel
from comity.agreement.terms import Terms
from comity.canonical import sha256_digest
from comity.errors import MalformedObject, NotFoundError
from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.node.ingest import Intake, join_intakes, take_part
from comity.node.node import Act, Node
from comity.node.parts import Parts, ReadBundle
from comity.node.reading import read_in_steps
from comity.node.standing import Dossier, find_places
from comity.node.steps import Steps, finish
from comity.release.receiving import find_outside, find_restrictions
from comity.stix.labels import make_tags
from comity.stix.objects import UNVERSIONED, BundleReading, ParsedBundle
from comity.store import Transaction, patterns, recalls, statuses
from comity.store.changes import read_changes
from comity.store.objects import Holding
from comity.store.statuses import Unkept, Use

__all__ = [
    "MAX_ENVELOPE_OBJECTS",
    "PART_OBJECTS",
    "STATUS_LIFETIME",
    "Detail",
    "OverQuota",
    "Status",
    "Unkept",
    "WriteCollection",
    "accept_in_steps",
    "accept_objects",
    "find_target",
    "find_write_collection",
    "forget_old",
    "list_unkept",
    "list_write_collections",
    "make_over_quota",
    "note_unkept",
    "read_status",
]

MAX_ENVELOPE_OBJECTS = 1_000
"""What of it is held already, and what refers to each other in a circle, is taken in by one act: so many at most."""

_BESIDE = 128 * 1024
"""Bytes of an envelope beside its objects; up to so many are read also where they are not JSON as a whole."""

PART_OBJECTS = 250
"""Objects of an envelope in one act: others wait for about ten milliseconds, or six times as long where each is marked
and tagged like no other."""

STATUS_LIFETIME = Instant(25 * 3_600 * 1_000_000)
"""TAXII 2.1 §4.3 asks for 24 hours."""

_DAY = 86_400 * 1_000_000
_UNKEPT_LIFETIME = 90 * _DAY
_MAX_MESSAGE = 500
_REFUSED = "refused; why was said in the answer to the envelope, and is not kept: send the object again to be told"
_GONE = "there is no such collection for who asks"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCollection:
    """A channel, open now, in which `giver` gives to this party; its id is that of the collection at the giver's."""

    id: str
    dossier: Dossier
    terms: Terms
    channel: Channel
    giver: PartyId


class Detail(NamedTuple):
    """One object of a status (TAXII 2.1 §4.3.1); `message` is empty for one that was received.

    `pattern` is the digest of a pattern that a parser has to read before it is known what becomes of the object.
    """

    id: str
    version: str
    message: str = ""
    pattern: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What became of an envelope, each of its objects in one of the lists, in its order."""

    id: str
    at: Instant
    successes: tuple[Detail, ...]
    failures: tuple[Detail, ...]
    pendings: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverQuota:
    """Nothing was kept: the partner has written as much today as it may; after so many seconds it may again."""

    retry_after: int


def list_write_collections(node: Node, giver: PartyId) -> list[WriteCollection]:
    """The collections that `giver` may write now, by agreement and channel."""
    with node.store.read() as transaction:
        return list(_find_open(node, transaction, giver).values())


def find_write_collection(node: Node, giver: PartyId, collection: str) -> WriteCollection | None:
    """The collection with that id, if `giver` may write it now."""
    with node.store.read() as transaction:
        return _find_one(node, transaction, giver, collection)


def accept_objects(node: Node, data: bytes, *, giver: PartyId, collection: str) -> Status | OverQuota:
    """What became of the envelope `data` that `giver` wrote; everything is done when this returns.

    Raises:
        NotFoundError: it may not write such a collection now; no more was kept than came in while it might.
        MalformedJson, MalformedObject: the envelope as a whole; nothing was kept.
        StoreFull: the parts before it were kept.
    """
    return finish(accept_in_steps(node, data, giver=giver, collection=collection))


def accept_in_steps(
    node: Node, data: bytes, *, giver: PartyId, collection: str, is_alone: Callable[[], bool] = lambda: False
) -> Steps[Status | OverQuota]:
    """`accept_objects`, and a turn for others between its parts; the gate is asked anew for each.

    While nobody else asks for anything (`is_alone`), an envelope of plain objects is one part: each part costs as much
    as a hundred objects.
    """
    most = min(MAX_ENVELOPE_OBJECTS, node.settings.write_objects_per_day)
    # Before any of it is read: else who has no quota left could have others wait for the reading of what it sends.
    if (over := _find_excess(node, giver, Use(bytes=len(data), objects=1))) is not None:
        return over
    reading = BundleReading(data, most=most, beside=_BESIDE)
    if not reading.count:
        raise MalformedObject(f"no object is in the envelope; send 1 to {most}", where="/objects")
    if len(data) > _BESIDE:
        yield
    read = yield from read_in_steps(reading)
    parts, intakes = Parts(read, most=PART_OBJECTS), list[Intake]()
    use = Use(bytes=len(data), objects=reading.count)
    status: Status | OverQuota | None = None
    while status is None:
        yield
        with node.act() as act:
            target = find_target(node, act, giver, collection)
            status = None if intakes else _charge(node, act, giver, use)
            if status is None:
                intakes.append(_take_part(node, act, target, read.checked, parts, whole=is_alone()))
            if parts.is_last():
                status = _keep_status(act, giver, read, join_intakes(intakes, read.checked.bad))
    return status


def find_target(node: Node, act: Act, giver: PartyId, collection: str) -> WriteCollection:
    """The collection with that id, which `giver` may write at the time of the act.

    Raises:
        NotFoundError: there is none.
    """
    target = _find_one(node, act.transaction, giver, collection)
    if target is None:
        raise NotFoundError(_GONE)
    return target


def _find_one(node: Node, transaction: Transaction, giver: PartyId, collection: str) -> WriteCollection | None:
    changes = read_changes(transaction)
    place = find_places(node, transaction, giver=giver, recipient=node.party, changes=changes).get(collection)
    return None if place is None else _open(node, place, collection, giver)


def _take_part(
    node: Node, act: Act, target: WriteCollection, sent: ParsedBundle, parts: Parts, *, whole: bool
) -> Intake:
    intake = take_part(
        act,
        parts,
        holding=Holding(originator=target.giver, received_under=target.terms.hash, added_at=act.now),
        tags=make_tags(),
        restrictions=find_restrictions(target.channel, giver=target.giver, receiver=node.party),
        outside=partial(find_outside, channel=target.channel, giver=target.giver, receiver=node.party),
        whole=whole,
    )
    note_unkept(act, sent, intake, giver=target.giver, terms=target.terms.hash, channel=target.channel.id)
    return intake


def _charge(node: Node, act: Act, giver: PartyId, use: Use) -> OverQuota | None:
    """Count the whole envelope towards today's quota, before any of it is kept; `OverQuota` where it is too much."""
    over = _measure(node, act.transaction, giver, use, now=act.now)
    if over is None:
        statuses.add_use(act.transaction, giver, act.now // _DAY, use)
    return over


def _find_excess(node: Node, giver: PartyId, use: Use) -> OverQuota | None:
    with node.store.read() as transaction:
        return _measure(node, transaction, giver, use, now=node.clock())


def _measure(node: Node, transaction: Transaction, giver: PartyId, use: Use, *, now: Instant) -> OverQuota | None:
    """Whether so much more is too much today."""
    day, settings = now // _DAY, node.settings
    used = statuses.read_use(transaction, giver, day)
    fits = used.bytes + use.bytes <= settings.write_bytes_per_day
    if fits and used.objects + use.objects <= settings.write_objects_per_day:
        return None
    return make_over_quota(now)


def make_over_quota(now: Instant) -> OverQuota:
    """That today's quota is used up, until the next day begins (UTC)."""
    return OverQuota(retry_after=((now // _DAY + 1) * _DAY - now) // 1_000_000 + 1)


def read_status(node: Node, *, party: PartyId, name: str) -> Status:
    """What became of an envelope that `party` wrote in the last day.

    Raises:
        NotFoundError: it wrote none of that id, or longer ago.
    """
    with node.store.read() as transaction:
        body = statuses.read_status(transaction, party, name, after=Instant(node.clock() - STATUS_LIFETIME))
        if body is None:
            raise NotFoundError("there is no such status for who asks")
        value = json.loads(body)
        status = Status(
            id=name,
            at=Instant(value["at"]),
            successes=tuple(Detail(id=item, version=version) for item, version in value["successes"]),
            # Before texts were not kept at all, one stood behind each.
            failures=tuple(Detail(id=item[0], version=item[1], message=_REFUSED) for item in value["failures"]),
            pendings=tuple(
                Detail(id=item, version=version, pattern=Digest(pattern))
                for item, version, pattern in value.get("pendings", ())
            ),
        )
        return _settle(transaction, party, status)


def _settle(transaction: Transaction, giver: PartyId, status: Status) -> Status:
    """The status, what is pending in it told by what is known of its pattern.

    Nothing is known any more where the object was deleted before its pattern was read: then it was received.
    """
    if not status.pendings:
        return status
    known = patterns.read_said(transaction, giver, {item.pattern for item in status.pendings if item.pattern})
    successes, failures, pendings = [*status.successes], [*status.failures], list[Detail]()
    for item in status.pendings:
        said = known.get(item.pattern) if item.pattern else None
        if said is not None and not said.is_read:
            pendings.append(item)
        elif said is not None and said.problem is not None:
            failures.append(
                item._replace(message=_cut(f"/pattern: {said.problem}; correct it, and send a new version"))
            )
        else:
            successes.append(item)
    return replace(status, successes=tuple(successes), failures=tuple(failures), pendings=tuple(pendings))


def list_unkept(node: Node, *, last: int) -> list[Unkept]:
    """What partners wrote or released in the last 90 days and was not kept because it clashed, oldest first."""
    with node.store.read() as transaction:
        return statuses.list_unkept(transaction, limit=last)


def forget_old(node: Node) -> None:
    """Take out what nobody can ask for any more; often there is nothing, and then nothing is written."""
    now = node.clock()
    old = Instant(now - STATUS_LIFETIME)
    unkept = Instant(now - _UNKEPT_LIFETIME)
    with node.store.read() as transaction:
        due = statuses.has_forgettable(transaction, statuses=old, unkept=unkept)
        due = due or patterns.has_forgettable(transaction, until=old)
    if due:
        with node.act() as act:
            statuses.forget(act.transaction, statuses=old, unkept=unkept, day=now // _DAY - 1)
            patterns.forget(act.transaction, until=old)


def _find_open(node: Node, transaction: Transaction, giver: PartyId) -> Mapping[str, WriteCollection]:
    """What a pull from `giver` would be taken in under, by the id of the collection."""
    changes = read_changes(transaction)
    places = find_places(node, transaction, giver=giver, recipient=node.party, changes=changes)
    found = ((name, _open(node, place, name, giver)) for name, place in places.items())
    return {name: target for name, target in found if target is not None}


def _open(node: Node, place: tuple[Dossier, Terms, Channel], name: str, giver: PartyId) -> WriteCollection | None:
    """The collection, if it is open now: the gate is the one of `node.follow.plan_pull`."""
    dossier, terms, channel = place
    standing = dossier.standing(now=node.clock())
    if standing.current is None or standing.obstacle(channel, giver, node.party) is not None:
        return None
    return WriteCollection(id=name, dossier=dossier, terms=terms, channel=channel, giver=giver)


def note_unkept(act: Act, sent: ParsedBundle, intake: Intake, *, giver: PartyId, terms: Digest, channel: str) -> None:
    """Keep what of `sent` clashed with what is held, for this party's own people; `giver` is not told.

    Nor does it hear so when it recalls that (`node.recalled`).
    """
    if not intake.clashing:
        return
    items = {place: item for place, (item, _) in zip(sent.places, sent.good, strict=True)}
    clashed = [items[place] for place in sorted(intake.clashing)]
    recalls.add_clashed(act.transaction, giver, terms, [(item.id, item.digest, item.version_at) for item in clashed])
    for bad in intake.bad:
        if bad.index in intake.clashing:
            entry = Unkept(
                at=act.now,
                giver=giver,
                terms=terms,
                channel=channel,
                id=bad.id or ObjectId(""),
                version=items[bad.index].version,
                reason=bad.detail,
            )
            statuses.add_unkept(act.transaction, entry)


def _keep_status(act: Act, giver: PartyId, read: ReadBundle, intake: Intake) -> Status:
    """The status, each object under the id and version it was sent with; one without a legible id under its place.

    What clashes is told apart from nothing else that is well formed.
    """
    failed = {
        item.index: Detail(
            id=item.id or f"objects/{item.index}",
            version=read.versions.get(item.index, UNVERSIONED),
            message=_cut(f"{item.where}: {item.detail}"),
        )
        for item in intake.bad
        if item.index not in intake.clashing
    }
    received = {
        place: Detail(item.id, item.version)
        for place, (item, _) in zip(read.checked.places, read.checked.good, strict=True)
        if place not in failed
    }
    pending = dict[int, Detail]()
    for place, text in read.patterns.items():
        if place in received:
            pending[place] = received.pop(place)._replace(pattern=sha256_digest(text.encode()))
    for place, first in read.checked.repeats:
        of = next(kind for kind in (failed, pending, received) if first in kind)
        of[place] = of[first]
    status = Status(
        id=str(uuid.UUID(bytes=act.draw(16), version=4)),
        at=act.now,
        successes=tuple(received[place] for place in sorted(received)),
        failures=tuple(failed[place] for place in sorted(failed)),
        pendings=tuple(pending[place] for place in sorted(pending)),
    )
    statuses.add_status(act.transaction, giver, status.id, at=status.at, body=_format(status))
    return _settle(act.transaction, giver, status)


def _cut(message: str) -> str:
    return message if len(message) <= _MAX_MESSAGE else f"{message[: _MAX_MESSAGE - 1]}…"


def _format(status: Status) -> bytes:
    """What is kept of the status: not why something was refused, for that quotes it, and its writer has been told.

    Whoever is ordered to delete an object would not find it among what was never taken in.
    """
    value = {
        "at": status.at,
        "successes": [[item.id, item.version] for item in status.successes],
        "failures": [[item.id, item.version] for item in status.failures],
        "pendings": [[item.id, item.version, item.pattern] for item in status.pendings],
    }
    return json.dumps(value, separators=(",", ":")).encode()
