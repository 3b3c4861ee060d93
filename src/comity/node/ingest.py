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
file is no way out of its giver's terms. Nor is it to have it from another giver (`node.binding`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from comity.canonical import sha256_digest
from comity.classification.assessment import find_expiry
from comity.errors import ComityError, MalformedObject
from comity.ids import Instant, ObjectId
from comity.node.audiences import NO_AUDIENCES, Audiences, find_audiences
from comity.node.binding import Binding
from comity.node.clashes import find_clash, find_earlier, find_same, is_echo
from comity.node.definitions import find_definitions
from comity.node.labelling import Labelling
from comity.node.lasting import keep_words_back
from comity.node.named import refer_to_named
from comity.node.node import Act, Node
from comity.node.overtaken import Overtaken
from comity.node.parts import Parts
from comity.node.reading import describe_bad, read_in_steps
from comity.node.relabel import relabel
from comity.node.ruled import Ruling
from comity.node.steps import Steps, finish
from comity.node.tagging import Tagging, mark_lapsed
from comity.node.withdrawal import read_stopped
from comity.release.receiving import Restrictions, make_unrestricted
from comity.stix.labels import Label, Tags, restate
from comity.stix.markings import TLP_IDS
from comity.stix.objects import (
    BadObject,
    BundleReading,
    ParsedBundle,
    StixObject,
)
from comity.stix.worded import narrow_to, tighten
from comity.store import Transaction, arrivals, assessments, deletions, objects, patterns
from comity.store.objects import Holding, StoredObject
from comity.store.patterns import KnownPattern

__all__ = [
    "PART_OBJECTS",
    "Intake",
    "add_in_steps",
    "add_objects",
    "join_intakes",
    "take_part",
    "tighten_earlier",
]

PART_OBJECTS = 1_000
"""Objects of this node's own in one act: it takes about 40 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What became of a bundle: `added` new versions, `known` ones that were held already, `bad` with the reason.

    `clashing` are the places of those of `bad` that are well formed and clash with what is held, or was deleted. Their
    giver must not be told so: it would learn what others gave. `outside` are those that the terms do not let come.
    `kept` and `met` are the keys in the store, by place, of what was added and of what was held already.
    """

    added: tuple[ObjectId, ...]
    known: int
    bad: tuple[BadObject, ...]
    clashing: frozenset[int] = frozenset()
    outside: frozenset[int] = frozenset()
    kept: tuple[tuple[int, int], ...] = ()
    met: tuple[tuple[int, int], ...] = ()


def add_objects(node: Node, data: bytes, *, tags: Tags, audiences: Audiences = NO_AUDIENCES) -> Intake:
    """This node's own objects, taken in with what people say of all of them (`tags`), and whom they may reach.

    A version of which nothing is said may reach whom the one before it may.

    Raises:
        MalformedJson, MalformedObject: the file as a whole cannot be read; nothing was kept.
        StoreFull: the parts before it were kept.
    """
    return finish(add_in_steps(node, data, tags=tags, audiences=audiences))


def add_in_steps(node: Node, data: bytes, *, tags: Tags, audiences: Audiences = NO_AUDIENCES) -> Steps[Intake]:
    """`add_objects`, and a turn for others between its parts."""
    read = yield from read_in_steps(BundleReading(data), looks_at=node.clock())
    parts, intakes = Parts(read, most=PART_OBJECTS), list[Intake]()
    while not parts.is_last():
        yield
        with node.act() as act:
            holding = Holding(originator=node.party, received_under=None, added_at=act.now)
            own = make_unrestricted(node.party)
            taken = take_part(act, parts, holding=holding, tags=tags, restrictions=own, audiences=audiences)
        intakes.append(taken)
    return join_intakes(intakes, read.checked.bad)


def join_intakes(intakes: Sequence[Intake], bad: Collection[BadObject]) -> Intake:
    """What became of a bundle whose parts were taken in; `bad` are those of its objects that are in no part."""
    return Intake(
        added=tuple(dict.fromkeys(name for intake in intakes for name in intake.added)),
        known=sum(intake.known for intake in intakes),
        bad=tuple(sorted([*bad, *(one for intake in intakes for one in intake.bad)], key=lambda entry: entry.index)),
        clashing=frozenset().union(*(intake.clashing for intake in intakes)),
        outside=frozenset().union(*(intake.outside for intake in intakes)),
        kept=tuple(one for intake in intakes for one in intake.kept),
        met=tuple(one for intake in intakes for one in intake.met),
    )


def take_part(
    act: Act,
    parts: Parts,
    *,
    holding: Holding,
    tags: Tags,
    restrictions: Restrictions,
    outside: Callable[[Label], str | None] | None = None,
    audiences: Audiences = NO_AUDIENCES,
    whole: bool = False,
) -> Intake:
    """What became of the next part of a bundle, or of all that is left, within the act of whoever takes it in.

    `outside` says what shows by itself that its giver was not to give it (`release.receiving`): that is not kept.
    """
    parsed = parts.next_part(act.transaction, whole=whole)
    if holding.originator == act.party:
        parsed = refer_to_named(act.transaction, parsed, holding)
    definitions = find_definitions(act.transaction, _list_definitions(parsed), parts.statements, holding)
    intake = _take_in(
        act,
        parsed,
        Labelling(
            definitions,
            tags=tags,
            restrictions=restrictions,
            sensitive=parts.sensitive,
            others=parts.others,
        ),
        _note_patterns(act.transaction, parsed, parts.patterns, holding=holding),
        holding=holding,
        outside=outside,
        audiences=audiences,
        ruling=Ruling(act.transaction, {item.id for item, _ in parsed.good}, act.party, holding, names=parts.names),
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
    act: Act,
    parsed: ParsedBundle,
    labels: Labelling,
    unsettled: Mapping[int, KnownPattern],
    *,
    holding: Holding,
    outside: Callable[[Label], str | None] | None,
    audiences: Audiences,
    ruling: Ruling,
) -> Intake:
    transaction, ids = act.transaction, {item.id for item, _ in parsed.good}
    tagging = Tagging(transaction, ids, act.party)
    held = _index(objects.read_versions_of(transaction, ids))
    deleted = deletions.read_tombstones(transaction, ids)
    stopped = read_stopped(transaction, ids, holding)
    binding = Binding(transaction, ids, deleted, holding, own=act.party, grows=labels.grows)
    reach = find_audiences(transaction, held, audiences) if holding.received_under is None else audiences
    added, again = list[_Judged](), list[tuple[StoredObject, Label]]()
    refused = _Refused(Overtaken(transaction, ids, holding))
    at_added, at_again, waiting, expiries = list[int](), list[int](), dict[int, KnownPattern](), list[Instant | None]()
    judge = None if outside is None else _judge_once(outside)
    for place, (item, value) in zip(parsed.places, parsed.good, strict=True):
        try:
            label, expiry = labels.add_found(labels.make(item, value), place), find_expiry(value)
        except ComityError as error:
            refused.bad.append(describe_bad(place, item, error))
            continue
        if judge is not None and (broken := judge(label)) is not None:
            earlier = find_earlier(transaction, held.get(item.id, ()), item, holding=holding)
            bad = BadObject(index=place, id=item.id, where=f"/objects/{place}", detail=broken)
            refused.add_strayed(bad, item, earlier, narrow_to(label, reach.get(item.id)))
            continue
        try:
            known, stones = held.get(item.id, ()), deleted.get(item.id, ())
            same = find_same(known, stones, item, holding=holding) if known or stones else None
            stopped.check(item, same)
            ruling.look_at(item, label, same=same, held=known)
        except MalformedObject as error:
            clash = find_clash(transaction, held.get(item.id, ()), item, holding=holding)
            refused.add_clash(describe_bad(place, item, error), clash, narrow_to(label, reach.get(item.id)))
            continue
        if reach:
            label = narrow_to(label, reach.get(item.id))
        if binding:
            label = binding.apply(item, label)
        if same is not None:
            # What is known of its pattern is said of it already: it is held with these very bytes.
            again.append((same, label))
            at_again.append(place)
            continue
        if place in unsettled:
            label = labels.hold_back(label, unsettled[place])
            waiting[len(added)] = unsettled[place]
        expiries.append(expiry)
        added.append((item, mark_lapsed(label, expiry, now=holding.added_at)))
        at_added.append(place)
    _tighten(transaction, refused.stricter, tagging)
    added = refused.overtaken.settle(added)
    keys = _keep(transaction, added, again, held, tagging, ruling=ruling, holding=holding)
    _link_patterns(transaction, {keys[index]: pattern for index, pattern in waiting.items()})
    until = [(key, expiry) for key, expiry in zip(keys, expiries, strict=True) if expiry is not None]
    assessments.add_assessments(transaction, until, now=holding.added_at)
    return Intake(
        added=tuple(dict.fromkeys(item.id for item, _ in added)),
        known=len(again),
        bad=tuple(refused.bad),
        clashing=frozenset(refused.clashing),
        outside=frozenset(refused.strayed),
        kept=tuple(zip(at_added, keys, strict=True)),
        met=tuple(zip(at_again, (same.pk for same, _ in again), strict=True)),
    )


@dataclass(slots=True)
class _Refused:
    """What of a part is not kept: why, by place; and what it says more strictly of versions that are held, or come."""

    overtaken: Overtaken
    bad: list[BadObject] = field(default_factory=list)
    clashing: set[int] = field(default_factory=set)
    strayed: set[int] = field(default_factory=set)
    stricter: list[tuple[StoredObject, Label]] = field(default_factory=list)

    def add_clash(self, bad: BadObject, known: StoredObject | None, label: Label) -> None:
        """One that clashes with what is held; with `known` where that is of the same giver."""
        self.bad.append(bad)
        self.clashing.add(bad.index)
        if known is not None:
            self.stricter.append((known, label))

    def add_strayed(self, bad: BadObject, item: StixObject, earlier: Sequence[StoredObject], label: Label) -> None:
        """One that its giver may not give here; `earlier` are the versions of it that it gave."""
        self.overtaken.note([item])
        self.bad.append(bad)
        self.strayed.add(bad.index)
        self.stricter += [(known, label) for known in earlier]


def tighten_earlier(
    act: Act, unfit: Sequence[tuple[StixObject, Label]], *, overtaking: Sequence[StixObject], holding: Holding
) -> None:
    """What a source says more strictly of an object than its record lets in holds for what is held of it.

    `unfit` are what is not kept, each with the label that it would have; `overtaking` those of them after which nothing
    older goes to anybody.
    """
    overtaken = Overtaken(act.transaction, {item.id for item in overtaking}, holding)
    overtaken.note(overtaking)
    overtaken.settle(())
    transaction, ids = act.transaction, {item.id for item, _ in unfit}
    held = _index(objects.read_versions_of(transaction, ids))
    stricter = [
        (known, label)
        for item, label in unfit
        for known in find_earlier(transaction, held.get(item.id, ()), item, holding=holding)
    ]
    if stricter:
        tagging = Tagging(transaction, ids, act.party)
        _tighten(transaction, stricter, tagging)
        tagging.keep(transaction)


def _tighten(transaction: Transaction, stricter: Sequence[tuple[StoredObject, Label]], tagging: Tagging) -> None:
    """What is said more strictly of versions that are held holds for them, though it came with other bytes.

    Tools that change how far something may travel do not always give it another time; what they took back must not go.
    What people have to decide on waits for them as it does in what is kept.
    """
    restated, keys = dict[ObjectId, None](), objects.LabelKeys(transaction)
    own = {known.pk: known.own_label for known, _ in stricter}
    for known, label in stricter:
        before = objects.read_label(transaction, own[known.pk])
        plain = tighten(tagging.take_off(transaction, known.pk, before), label)
        tagging.note(known.id, known.pk, plain)
        key = keys.find(tagging.put(known.id, plain))
        if key != own[known.pk]:
            objects.set_own_label(transaction, known.pk, key)
            own[known.pk] = key
            restated[known.id] = None
    relabel(transaction, restated=restated)


def _judge_once(outside: Callable[[Label], str | None]) -> Callable[[Label], str | None]:
    """`outside`, asked once for each label: what is labelled alike has one label in memory (`node.labelling`)."""
    # A label is kept with what was said of it: what is kept cannot give its place in memory to another.
    said: dict[int, tuple[Label, str | None]] = {}

    def judge(label: Label) -> str | None:
        found = said.get(id(label))
        if found is None:
            found = said[id(label)] = label, outside(label)
        return found[1]

    return judge


def _link_patterns(transaction: Transaction, held: Mapping[int, KnownPattern]) -> None:
    if held:
        patterns.link(transaction, [(pk, one.id) for pk, one in held.items() if not one.is_read], shows=False)
        bad = [(pk, one.id) for pk, one in held.items() if one.problem is not None]
        patterns.link(transaction, bad, shows=True)


_Judged = tuple[StixObject, Label]
"""A version and its own label."""


def _keep(
    transaction: Transaction,
    added: Sequence[_Judged],
    again: Sequence[tuple[StoredObject, Label]],
    held: Mapping[ObjectId, Sequence[StoredObject]],
    tagging: Tagging,
    *,
    ruling: Ruling,
    holding: Holding,
) -> Sequence[int]:
    """Store what is `added`, and what is said more of what is held; the labels of all that this reaches follow.

    The keys of `added`.
    """
    restated, arrived, returned = set[ObjectId](), list[int](), list[int]()
    keys = objects.LabelKeys(transaction)
    for same, label in again:
        if same.id in TLP_IDS:
            continue  # the same for everyone: it says nothing of anybody
        if is_echo(transaction, same, holding):
            returned.append(same.pk)
            continue
        arrived.append(same.pk)
        if _restate(transaction, same, label, keys, tagging):
            restated.add(same.id)
    newest = {name: versions[-1] for name, versions in held.items()}
    last = {name: version.version_at for name, version in newest.items()}
    times = [item.version_at for item, _ in added]
    for (item, _), at in zip(added, times, strict=True):
        if last.setdefault(item.id, at) < at:
            last[item.id] = at
    new = [
        objects.NewObject(
            pk,
            item.id,
            item.type,
            at,
            item,
            keys.find(tagging.put(item.id, label)),
            at == last[item.id],
            item.id not in held,
        )
        for pk, (item, label), at in zip(objects.reserve_keys(transaction, len(added)), added, times, strict=True)
    ]
    objects.supersede(transaction, [version.pk for name, version in newest.items() if version.version_at < last[name]])
    objects.add_objects(transaction, new, relabel(transaction, new, restated=restated), holding=holding)
    for one, (_, label) in zip(new, added, strict=True):
        tagging.note(one.id, one.pk, label)
    tagging.keep(transaction)
    if holding.received_under is not None:
        arrivals.add_arrivals(
            transaction,
            [*arrived, *(item.pk for item in new)],
            terms=holding.received_under,
            giver=holding.originator,
            now=holding.added_at,
            receipt=holding.receipt,
        )
        arrivals.add_returns(
            transaction, returned, terms=holding.received_under, giver=holding.originator, now=holding.added_at
        )
    if ruling.is_ours:
        keep_words_back(transaction, added, held, holding.originator, now=holding.added_at)
        ruling.say(now=holding.added_at)
    return [item.pk for item in new]


def _list_definitions(parsed: ParsedBundle) -> set[ObjectId]:
    """The marking definitions that objects of the bundle refer to."""
    return {
        target for item, _ in parsed.good for target in item.references if target.startswith("marking-definition--")
    }


def _restate(
    transaction: Transaction, same: StoredObject, label: Label, keys: objects.LabelKeys, tagging: Tagging
) -> bool:
    """Whether more is now said of an object held already: it came another way too, or people classified it anew.

    Every way an object came by counts: the originators of both, an audience no wider than either. So what a partner
    gives stays under its terms even where this party held the same bytes before and had given them to nobody.
    """
    before = objects.read_label(transaction, same.own_label)
    plain = restate(tagging.take_off(transaction, same.pk, before), label)
    if label.granular:
        plain = tighten(plain, label)  # more can be marked in it than in its own bytes (`node.labelling`)
    tagging.note(same.id, same.pk, plain)
    after = tagging.put(same.id, plain)
    if after == before:
        return False
    objects.set_own_label(transaction, same.pk, keys.find(after))
    return True


def _index(held: Collection[StoredObject]) -> Mapping[ObjectId, list[StoredObject]]:
    found: dict[ObjectId, list[StoredObject]] = {}
    for item in held:
        found.setdefault(item.id, []).append(item)
    return found
