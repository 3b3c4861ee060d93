# SPDX-License-Identifier: Apache-2.0
"""Shell: received bytes become stored objects, with where they came from and under which terms.

The good objects of a bundle are kept and the bad ones are listed. A bundle of this node's own, and what a partner
writes (`node.accept`), is taken in by several acts, so that others get a turn in between; a page that was pulled by
one. A crash leaves the parts that came before it, and to take the bundle in again changes nothing but what is said of
its objects. The labels of everything that refers to a new object are renewed in the same transaction (`node.relabel`),
and no part refers to a later one (`stix.parts`): no poll ever sees an object judged without what it refers to, also not
between two parts.

Every way an object came is kept, with the time: retention counts from it (`node.retention`). What was deleted here is
taken in again when its originator gives it again, and from nobody else: to delete something and to take it in from a
file is no way out of its giver's terms.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from comity.canonical import Json, sha256_digest
from comity.errors import ComityError, MalformedObject
from comity.ids import Instant, ObjectId, format_instant
from comity.node.node import Act, Node
from comity.node.relabel import relabel
from comity.node.schemas import read_schemas
from comity.node.steps import Steps, finish
from comity.release.receiving import Restrictions, count_as, make_unrestricted
from comity.stix.labels import Label, Tags, join_tags, make_label, read_tags, restate
from comity.stix.markings import TLP_IDS, Markings, read_markings
from comity.stix.objects import (
    BadObject,
    BundleReading,
    ParsedBundle,
    StixObject,
    find_statements,
    join_bundles,
)
from comity.stix.parts import divide, weigh
from comity.stix.patterns import UNCHECKED, UNPARSABLE, find_unsettled
from comity.stix.validation import validate_bundle
from comity.store import Transaction, arrivals, deletions, feeds, objects, patterns
from comity.store.deletions import Tombstone
from comity.store.objects import Holding, StoredObject
from comity.store.patterns import KnownPattern

__all__ = [
    "PART_OBJECTS",
    "Intake",
    "Parts",
    "ReadBundle",
    "add_in_steps",
    "add_objects",
    "join_intakes",
    "read_in_steps",
    "take_part",
]

_READ_AT_ONCE = 250
_BYTES_AT_ONCE = 128 * 1024
"""Of objects that are read in one step: what was made to be dear costs some 250 ns a byte."""

PART_OBJECTS = 1_000
"""Objects of this node's own in one act: it takes about 40 ms."""

_READ = ("type", "id", "object_marking_refs", "extensions", "country", "definition_type")
"""What `stix.markings` and `stix.tags` read, where nothing is marked in part, and `find_statements`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What became of a bundle: `added` new versions, `known` ones that were held already, `bad` with the reason.

    `clashing` are the places of those of `bad` that are well formed and clash with what is held, or was deleted. Their
    giver must not be told so: it would learn what others gave.
    """

    added: tuple[ObjectId, ...]
    known: int
    bad: tuple[BadObject, ...]
    clashing: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBundle:
    """A bundle that was parsed and validated.

    `versions` are those of what validation alone refused, by place; `patterns` those that only a parser can tell the
    truth of.
    """

    checked: ParsedBundle
    versions: Mapping[int, str]
    patterns: Mapping[int, str] = field(default_factory=dict)


def add_objects(node: Node, data: bytes, *, tags: Tags) -> Intake:
    """This node's own objects, taken in with what people say of all of them (`tags`).

    Raises:
        MalformedJson, MalformedObject: the file as a whole cannot be read; nothing was kept.
        StoreFull: the parts before it were kept.
    """
    return finish(add_in_steps(node, data, tags=tags))


def add_in_steps(node: Node, data: bytes, *, tags: Tags) -> Steps[Intake]:
    """`add_objects`, and a turn for others between its parts."""
    read = yield from read_in_steps(BundleReading(data))
    parts, intakes = Parts(read, most=PART_OBJECTS), list[Intake]()
    while not parts.is_last():
        yield
        with node.act() as act:
            holding = Holding(originator=node.party, received_under=None, added_at=act.now)
            taken = take_part(act, parts, holding=holding, tags=tags, restrictions=make_unrestricted(node.party))
        intakes.append(taken)
    return join_intakes(intakes, read.checked.bad)


def read_in_steps(reading: BundleReading) -> Steps[ReadBundle]:
    """The bundle, each object held against the schemas; of its JSON no more is left than `take_in` reads."""
    schemas, parts, versions = read_schemas(), list[ParsedBundle](), dict[int, str]()
    unsettled = dict[int, str]()
    while not reading.is_done():
        if parts:
            yield
        parsed = reading.parse(_READ_AT_ONCE, most_bytes=_BYTES_AT_ONCE)
        checked = validate_bundle(schemas, parsed)
        if len(checked.good) < len(parsed.good):
            versions |= {place: item.version for place, (item, _) in zip(parsed.places, parsed.good, strict=True)}
        for place, (item, value) in zip(checked.places, checked.good, strict=True):
            if item.type == "indicator" and (pattern := find_unsettled(value)) is not None:
                unsettled[place] = pattern
        parts.append(replace(checked, good=tuple([(item, _trim(value)) for item, value in checked.good])))
    return ReadBundle(checked=join_bundles(parts), versions=versions, patterns=unsettled)


def _trim(value: dict[str, Json]) -> dict[str, Json]:
    """What of an object says how it is marked and tagged; selectors of granular markings can name anything in it."""
    if "granular_markings" in value:
        return value
    return {name: value[name] for name in _READ if name in value}


class Parts:
    """The good objects of a bundle, to be taken in by parts of about `most` (`stix.parts`), each in an act of its own.

    None is for whoever takes all of it in by one act. What came in from elsewhere between two acts may change which
    parts are right: then they are made anew.
    """

    def __init__(self, read: ReadBundle, *, most: int | None) -> None:
        bundle = read.checked
        self.statements = find_statements(bundle.good)
        self.patterns = read.patterns
        self._most = most
        self._places = bundle.places
        self._good = bundle.good
        self._left: list[list[int]] = [[*range(len(bundle.good))]]
        self._head: int | None = None

    def is_last(self) -> bool:
        """Whether nothing is left."""
        return not self._left

    def next_part(self, transaction: Transaction) -> ParsedBundle:
        """The next part; the first may be empty."""
        head = objects.read_head_seq(transaction)
        if head != self._head:
            self._divide(transaction)
        part = self._left.pop(0)
        # What the part takes up itself is nothing that came from elsewhere: see `mark`.
        self._head = head
        return ParsedBundle(
            good=tuple([self._good[place] for place in part]),
            places=tuple([self._places[place] for place in part]),
            bad=(),
        )

    def mark(self, transaction: Transaction) -> None:
        """The part was taken in; what comes in after this comes from elsewhere."""
        self._head = objects.read_head_seq(transaction)

    def _divide(self, transaction: Transaction) -> None:
        left = sorted(place for part in self._left for place in part)
        items = [self._good[place][0] for place in left]
        if self._most is None or sum(map(weigh, items)) <= self._most:
            self._left = [left]
            return
        held = objects.read_held(transaction, {item.id for item in items})
        self._left = [[left[place] for place in part] for part in divide(items, held=held, most=self._most)]


def join_intakes(intakes: Sequence[Intake], bad: Collection[BadObject]) -> Intake:
    """What became of a bundle whose parts were taken in; `bad` are those of its objects that are in no part."""
    return Intake(
        added=tuple(dict.fromkeys(name for intake in intakes for name in intake.added)),
        known=sum(intake.known for intake in intakes),
        bad=tuple(sorted([*bad, *(one for intake in intakes for one in intake.bad)], key=lambda entry: entry.index)),
        clashing=frozenset().union(*(intake.clashing for intake in intakes)),
    )


def take_part(act: Act, parts: Parts, *, holding: Holding, tags: Tags, restrictions: Restrictions) -> Intake:
    """What became of the next part of a bundle, within the act of whoever takes it in."""
    parsed = parts.next_part(act.transaction)
    known = objects.read_statement_definitions(act.transaction, _find_definitions(parsed))
    intake = _take_in(
        act.transaction,
        parsed,
        _Labels({**known, **parts.statements}, tags=tags, restrictions=restrictions),
        _note_patterns(act.transaction, parsed, parts.patterns, holding=holding),
        holding=holding,
    )
    parts.mark(act.transaction)
    return intake


def _note_patterns(
    transaction: Transaction, parsed: ParsedBundle, texts: Mapping[int, str], *, holding: Holding
) -> dict[int, KnownPattern]:
    """What is known of the patterns that a parser has to read, by the place of what holds them; they are kept for it.

    So are those of what is not kept here: what its giver may read of them follows from what it gave alone.
    """
    digests = (
        {place: sha256_digest(texts[place].encode()) for place in parsed.places if place in texts} if texts else {}
    )
    if not digests:
        return {}
    given = {digest: texts[place] for place, digest in digests.items()}
    known = patterns.add_patterns(transaction, holding.originator, given, now=holding.added_at)
    return {place: known[digest] for place, digest in digests.items()}


def _take_in(
    transaction: Transaction,
    parsed: ParsedBundle,
    labels: "_Labels",
    unsettled: Mapping[int, KnownPattern],
    *,
    holding: Holding,
) -> Intake:
    ids = {item.id for item, _ in parsed.good}
    held = _index(objects.read_versions_of(transaction, ids))
    deleted = deletions.read_tombstones(transaction, ids)
    added, again, bad, clashing = list[_Judged](), list[tuple[StoredObject, Label]](), list[BadObject](), set[int]()
    waiting = dict[int, KnownPattern]()
    for place, (item, value) in zip(parsed.places, parsed.good, strict=True):
        try:
            label = labels.make(item, value)
        except ComityError as error:
            bad.append(_describe_bad(place, item, error))
            continue
        try:
            known, stones = held.get(item.id, ()), deleted.get(item.id, ())
            same = _find_same(known, stones, item, holding=holding) if known or stones else None
        except MalformedObject as error:
            bad.append(_describe_bad(place, item, error))
            clashing.add(place)
            continue
        if same is not None:
            # What is known of its pattern is said of it already: it is held with these very bytes.
            again.append((same, label))
            continue
        if place in unsettled:
            label = labels.hold_back(label, unsettled[place])
            waiting[len(added)] = unsettled[place]
        added.append((item, label))
    keys = _keep(transaction, added, again, held, holding=holding)
    _link_patterns(transaction, {keys[index]: pattern for index, pattern in waiting.items()})
    return Intake(
        added=tuple(dict.fromkeys(item.id for item, _ in added)),
        known=len(again),
        bad=tuple(bad),
        clashing=frozenset(clashing),
    )


def _link_patterns(transaction: Transaction, held: Mapping[int, KnownPattern]) -> None:
    if held:
        patterns.link(transaction, [(pk, one.id) for pk, one in held.items() if not one.is_read], shows=False)
        bad = [(pk, one.id) for pk, one in held.items() if one.problem is not None]
        patterns.link(transaction, bad, shows=True)


_Judged = tuple[StixObject, Label]
"""A version and its own label."""


class _Labels:
    """The own labels of objects that come together, each made once for all that are marked and tagged alike."""

    def __init__(self, definitions: Mapping[ObjectId, str], *, tags: Tags, restrictions: Restrictions) -> None:
        self._definitions = definitions
        self._tags = tags
        self._restrictions = restrictions
        # What equal objects say is one value in memory, as a rule (`stix.markings`, `stix.tags`), so that it is looked
        # up by its place there. It is kept with the label: nothing else can take that place.
        self._made: dict[tuple[str, int, int], tuple[Markings, Tags, Label]] = {}
        self._counted: dict[int, tuple[Markings, Markings]] = {}

    def make(self, item: StixObject, value: dict[str, Json]) -> Label:
        """The label of one object by itself.

        Raises:
            MalformedObject: its markings or its tags.
        """
        markings, tags = read_markings(value, definitions=self._definitions), read_tags(value)
        if self._restrictions.unmarked is not None:
            markings = self._counted.setdefault(
                id(markings), (markings, count_as(markings, self._restrictions.unmarked))
            )[1]
        alike = item.type, id(markings), id(tags)
        made = self._made.get(alike)
        if made is None:
            restrictions = self._restrictions
            label = make_label(
                item,
                markings,
                join_tags(tags, self._tags),
                originators=restrictions.originators,
                audience=restrictions.audience,
                excluded_frameworks=restrictions.excluded_frameworks,
            )
            made = self._made[alike] = markings, tags, label
        return made[2]

    @staticmethod
    def hold_back(label: Label, pattern: KnownPattern) -> Label:
        """The label of an indicator with that pattern: nothing admits it, unless the pattern parses."""
        if pattern.is_read and pattern.problem is None:
            return label
        return replace(label, markings=label.markings | {UNPARSABLE if pattern.is_read else UNCHECKED})


def _keep(
    transaction: Transaction,
    added: Sequence[_Judged],
    again: Sequence[tuple[StoredObject, Label]],
    held: Mapping[ObjectId, Sequence[StoredObject]],
    *,
    holding: Holding,
) -> Sequence[int]:
    """Store what is `added`, and what is said more of what is held; the labels of all that this reaches follow.

    The keys of `added`.
    """
    restated, arrived = set[ObjectId](), list[int]()
    keys = objects.LabelKeys(transaction)
    for same, label in again:
        if _is_echo(transaction, same, holding):
            continue
        arrived.append(same.pk)
        if _restate(transaction, same, label, keys):
            restated.add(same.id)
    newest = {name: versions[-1] for name, versions in held.items()}
    last = {name: version.version_at for name, version in newest.items()}
    for item, _ in added:
        last[item.id] = max(item.version_at, last.get(item.id, item.version_at))
    new = [
        objects.make_new(
            pk,
            item,
            own_label=keys.find(label),
            current=item.version_at == last[item.id],
            first=item.id not in held,
        )
        for pk, (item, label) in zip(objects.reserve_keys(transaction, len(added)), added, strict=True)
    ]
    objects.supersede(transaction, [version.pk for name, version in newest.items() if version.version_at < last[name]])
    objects.add_objects(transaction, new, relabel(transaction, new, restated=restated), holding=holding)
    if holding.received_under is not None:
        arrivals.add_arrivals(
            transaction,
            [*arrived, *(item.pk for item in new)],
            terms=holding.received_under,
            giver=holding.originator,
            now=holding.added_at,
            receipt=holding.receipt,
        )
    return [item.pk for item in new]


def _find_definitions(parsed: ParsedBundle) -> set[ObjectId]:
    """The marking definitions that objects of the bundle refer to."""
    return {
        target for item, _ in parsed.good for target in item.references if target.startswith("marking-definition--")
    }


def _describe_bad(place: int, item: StixObject, error: ComityError) -> BadObject:
    inside = error.where if isinstance(error, MalformedObject) else ""
    return BadObject(index=place, id=item.id, where=f"/objects/{place}{inside}", detail=error.detail)


def _is_echo(transaction: Transaction, same: StoredObject, holding: Holding) -> bool:
    """Whether a partner gives back what it was given, or what is the same for everyone: neither says anything new."""
    return same.id in TLP_IDS or feeds.was_released(transaction, same.pk, holding.originator)


def _restate(transaction: Transaction, same: StoredObject, label: Label, keys: objects.LabelKeys) -> bool:
    """Whether more is now said of an object held already: it came another way too, or people classified it anew.

    Every way an object came by counts: the originators of both, an audience no wider than either. So what a partner
    gives stays under its terms even where this party held the same bytes before.
    """
    before = objects.read_label(transaction, same.own_label)
    after = restate(before, label)
    if after == before:
        return False
    objects.set_own_label(transaction, same.pk, keys.find(after))
    return True


def _find_same(
    versions: Collection[StoredObject], deleted: Collection[Tombstone], item: StixObject, *, holding: Holding
) -> StoredObject | None:
    """Exactly this version, where it is held.

    Raises:
        MalformedObject: the version is held, or was deleted, with other bytes, or the id belongs to another originator.
    """
    if item.id in TLP_IDS:
        # The same for everyone, however it was written down; its content was checked when it was parsed.
        return next(iter(versions), None)
    version_at = item.version_at
    for known in versions:
        if known.version_at == version_at:
            if known.digest == item.digest:
                return known
            raise MalformedObject(
                f"{item.id} is held in this version with other bytes; a change needs a later `modified`",
                where="/modified",
            )
    _check_deleted(deleted, item, version_at=version_at, holding=holding)
    owner = next(iter(versions)).originator if versions else holding.originator
    if owner != holding.originator:
        raise MalformedObject(
            f"{item.id} came from {owner}, and only {owner} may give a new version of it; say what you know in a note"
            " or a relationship of your own",
            where="/id",
        )
    return None


def _check_deleted(deleted: Collection[Tombstone], item: StixObject, *, version_at: Instant, holding: Holding) -> None:
    """Nothing, when what was deleted of an object lets this version be taken in.

    Raises:
        MalformedObject: it belongs to another originator, a file brings what was received under terms, or this version
            was held with other bytes.
    """
    for stone in deleted:
        if stone.originator != holding.originator:
            raise MalformedObject(
                f"{item.id} came from {stone.originator} and was deleted here on {format_instant(stone.deleted_at)};"
                f" only {stone.originator} may give it again",
                where="/id",
            )
        if stone.terms is not None and holding.received_under is None:
            raise MalformedObject(
                f"{item.id} was received here under terms and deleted on {format_instant(stone.deleted_at)};"
                " taking it in from a file would take those terms off it",
                where="/id",
            )
        if stone.version_at == version_at and stone.digest != item.digest:
            raise MalformedObject(
                f"{item.id} was held in this version with other bytes; a change needs a later `modified`",
                where="/modified",
            )


def _index(held: Collection[StoredObject]) -> Mapping[ObjectId, list[StoredObject]]:
    found: dict[ObjectId, list[StoredObject]] = {}
    for item in held:
        found.setdefault(item.id, []).append(item)
    return found
