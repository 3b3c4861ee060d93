# SPDX-License-Identifier: Apache-2.0
"""Shell: received bytes become stored objects, with where they came from and under which terms.

The good objects of a bundle are kept and the bad ones are listed, in one transaction: after a crash the bundle is in or
not, and taking it in again changes nothing but what is said of its objects. The labels of everything that refers to a
new object are renewed in the same transaction (`node.relabel`), so that no poll ever sees an object judged without what
it refers to.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from comity.agreement.terms import Channel, parse_terms
from comity.errors import ComityError, CorruptionError, MalformedObject
from comity.ids import Digest, Instant, ObjectId, PartyId, parse_instant
from comity.node.node import Act, Node
from comity.node.relabel import relabel
from comity.stix.labels import Label, Tags, join_tags, make_label, make_tags, read_tags, restate
from comity.stix.markings import TLP_IDS, read_markings
from comity.stix.objects import BadObject, ParsedBundle, StixObject, find_statements, parse_bundle
from comity.store import Transaction, agreements, feeds, objects, pulls
from comity.store.objects import Holding, StoredObject

__all__ = ["Intake", "Received", "add_objects", "receive_page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What became of a bundle: `added` new versions, `known` ones that were held already, `bad` with the reason."""

    added: tuple[ObjectId, ...]
    known: int
    bad: tuple[BadObject, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One page of a partner's collection: the terms it came under and how far it brings this node in the feed."""

    giver: PartyId
    terms: Digest
    channel: Channel
    collection: str
    added_after: Instant | None


def add_objects(node: Node, data: bytes, *, tags: Tags) -> Intake:
    """This node's own objects, taken in with what people say of all of them (`tags`).

    Raises:
        MalformedJson, MalformedObject: the file as a whole cannot be read; nothing was kept.
        StoreFull: nothing was kept.
    """
    parsed = parse_bundle(data)
    with node.act() as act:
        holding = Holding(originator=node.party, received_under=None, added_at=act.now)
        return _take_in(act, parsed, holding=holding, tags=tags, bounds=_Bounds(audience=None))


def receive_page(node: Node, data: bytes, received: Received) -> Intake:
    """A partner's objects, taken in under its terms, and the place in its feed, in one transaction.

    What the terms allow to be passed on becomes the audience: this party, and those the giver lists. The frameworks
    that they exclude stay excluded. Whether the objects are within the scope of the terms is not checked here: the
    giver's log shows it if they are not.
    """
    parsed = parse_bundle(data)
    with node.act() as act:
        holding = Holding(originator=received.giver, received_under=received.terms, added_at=act.now)
        bounds = _Bounds(
            audience=received.channel.audience(node.party),
            excluded_frameworks=_read_excluded(act.transaction, received.terms),
        )
        intake = _take_in(act, parsed, holding=holding, tags=make_tags(), bounds=bounds)
        if received.added_after is not None:
            pulls.set_position(act.transaction, received.giver, received.collection, received.added_after)
    return intake


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """Where objects may go on to, by the way they came: `audience` None means any party."""

    audience: frozenset[PartyId] | None
    excluded_frameworks: frozenset[str] = frozenset()


def _read_excluded(transaction: Transaction, terms: Digest) -> frozenset[str]:
    document = agreements.read_terms(transaction, terms)
    if document is None:
        raise CorruptionError(f"the terms {terms} that objects came under are missing from the store; restore a backup")
    return parse_terms(document).excluded_frameworks


def _take_in(act: Act, parsed: ParsedBundle, *, holding: Holding, tags: Tags, bounds: _Bounds) -> Intake:
    transaction = act.transaction
    definitions = {**objects.read_statement_definitions(transaction), **find_statements(parsed.good)}
    held = _index(objects.read_versions_of(transaction, {item.id for item, _ in parsed.good}))
    added, restated, known, bad = dict[ObjectId, list[int]](), set[ObjectId](), 0, list(parsed.bad)
    for place, (item, value) in zip(parsed.places, parsed.good, strict=True):
        try:
            same = _find_same(held.get(item.id, ()), item, holding=holding)
            markings = read_markings(value, definitions=definitions)
            said = join_tags(read_tags(value), tags)
            label = make_label(
                item,
                markings,
                said,
                originator=holding.originator,
                audience=bounds.audience,
                excluded_frameworks=bounds.excluded_frameworks,
            )
        except ComityError as error:
            inside = error.where if isinstance(error, MalformedObject) else ""
            bad.append(BadObject(index=place, id=item.id, where=f"/objects/{place}{inside}", detail=error.detail))
            continue
        if same is None:
            own = objects.intern_label(transaction, label)
            pk = objects.add_object(
                transaction, item, version_at=parse_instant(item.version), own_label=own, holding=holding
            )
            added.setdefault(item.id, []).append(pk)
            continue
        known += 1
        if not _is_echo(transaction, same, holding) and _restate(transaction, same, label):
            restated.add(item.id)
    relabel(transaction, added, restated=restated)
    return Intake(added=tuple(added), known=known, bad=tuple(sorted(bad, key=lambda entry: entry.index)))


def _is_echo(transaction: Transaction, same: StoredObject, holding: Holding) -> bool:
    """Whether a partner gives back what it was given, or what is the same for everyone: neither says anything new."""
    return same.id in TLP_IDS or feeds.was_released(transaction, same.pk, holding.originator)


def _restate(transaction: Transaction, same: StoredObject, label: Label) -> bool:
    """Whether more is now said of an object held already: it came another way too, or people classified it anew.

    Every way an object came by counts: one originator more, an audience no wider than either. So what a partner gives
    stays under its terms even where this party held the same bytes before.
    """
    before = objects.read_label(transaction, same.own_label)
    after = restate(before, label)
    if after == before:
        return False
    objects.set_own_label(transaction, same.pk, objects.intern_label(transaction, after))
    return True


def _find_same(versions: Collection[StoredObject], item: StixObject, *, holding: Holding) -> StoredObject | None:
    """Exactly this version, where it is held.

    Raises:
        MalformedObject: the version is held with other bytes, or the id belongs to another originator.
    """
    if versions and item.id in TLP_IDS:
        # The same for everyone, however it was written down; its content was checked when it was parsed.
        return next(iter(versions))
    version_at = parse_instant(item.version)
    for known in versions:
        if known.version_at == version_at:
            if known.digest == item.digest:
                return known
            raise MalformedObject(
                f"{item.id} is held in this version with other bytes; a change needs a later `modified`",
                where="/modified",
            )
    owner = next(iter(versions)).originator if versions else holding.originator
    if owner != holding.originator:
        raise MalformedObject(
            f"{item.id} came from {owner}, and only {owner} may give a new version of it; say what you know in a note"
            " or a relationship of your own",
            where="/id",
        )
    return None


def _index(held: Collection[StoredObject]) -> Mapping[ObjectId, list[StoredObject]]:
    found: dict[ObjectId, list[StoredObject]] = {}
    for item in held:
        found.setdefault(item.id, []).append(item)
    return found
