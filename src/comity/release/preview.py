# SPDX-License-Identifier: Apache-2.0
"""Pure: what terms would release of what is held, counted label by label, and how that differs from other terms.

    list_flows(terms, giver=…)               -> who would give to whom, and by which scope
    sort_labels(inventory, flow)             -> what the clause table admits, and which clause refuses the rest
    judge(inventory, flow, sorted, labels=…) -> the decision itself, asked once for each way of being marked in part
    count_flow, count_effect                 -> the tables that people read

Everything is decided by label: the work grows with the labels in use and not with the objects. Labels are held against
the clause table facet by facet (`release.facets`). What the decision says beyond the table follows from the scope and
the granular markings, so that one admitted label stands for all that are marked like it.

What a preview supposes: that the gate is open. What stops everything (state, recognition) is told beside it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

from comity.agreement.channels import Scope
from comity.agreement.terms import Terms
from comity.ids import Instant, PartyId
from comity.release.clauses import CLAUSES
from comity.release.decision import Redact, Release, Withhold, decide
from comity.release.facets import FACETS, GRANULAR, Inventory, Place, find_refused
from comity.stix.labels import Label

__all__ = [
    "HISTORY",
    "MAX_GROUPS",
    "Amount",
    "Counts",
    "Effect",
    "Flow",
    "Group",
    "Relation",
    "Sorted",
    "Verdicts",
    "compare_flows",
    "count_effect",
    "count_flow",
    "find_common",
    "find_withheld",
    "judge",
    "list_flows",
    "pick_labels",
    "sort_labels",
]

HISTORY = "history"
"""The clause that withholds what was taken in before a channel begins."""

MAX_GROUPS = 100
"""Rows of one table; what has fewer objects than the last one is counted together."""

_TLP, _SUBJECTS, _GRANULAR = (FACETS.index(name) for name in ("tlp_ceiling", "subjects", GRANULAR))


class Relation(StrEnum):
    """How much one scope admits of all that could ever be, held against another."""

    EQUAL = "equal"
    NARROWER = "narrower"
    WIDER = "wider"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One channel for one giver and one receiver.

    Nothing is given that was taken in before `since`; None is no such time.
    """

    channel: str
    giver: PartyId
    receiver: PartyId
    scope: Scope
    onward: str
    releasable_to: frozenset[PartyId]
    since: Instant | None

    @property
    def key(self) -> tuple[str, PartyId, PartyId]:
        """What names the flow in every version of an agreement."""
        return self.channel, self.giver, self.receiver


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """The labels in use by the clause table: those it admits, and the first clause that refuses each other one."""

    admitted: Sequence[int]
    refused: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """What a flow gives, by label: the properties removed from what is admitted, the clause that withholds the rest."""

    released: Mapping[int, frozenset[str]]
    withheld: Mapping[int, str]
    youngest: int
    """The age from which on anything is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So many objects, and places to find some of them at."""

    objects: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One row of the table: objects released alike. `subjects` empty: nobody has said."""

    type: str
    tlp: str
    originator: str
    subjects: tuple[str, ...]
    redacted: tuple[str, ...]
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one flow would give: the largest groups, how many more there are, and what is withheld, by clause."""

    released: int
    redacted: int
    withheld: int
    groups: tuple[Group, ...]
    more_groups: int
    more_objects: int
    refusals: tuple[tuple[str, Amount], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What becomes of one flow: objects gained, lost, given without other properties than before, and given alike."""

    relation: Relation
    gained: Amount
    lost: Amount
    changed: Amount
    unchanged: Amount


def list_flows(terms: Terms, *, giver: PartyId | None = None) -> tuple[Flow, ...]:
    """Every channel of `terms` for each receiver; of one giver, if it is named.

    What channels say is read here and nowhere else in a preview, a comparison or a conflict.
    """
    return tuple(
        Flow(
            channel=channel.id,
            giver=source,
            receiver=receiver,
            scope=channel.scope_for(source),
            onward=channel.onward,
            releasable_to=channel.releasable_to,
            since=None,
        )
        for channel in terms.channels
        for source, receiver in channel.pairs(terms.founders)
        if giver in {None, source}
    )


# --- deciding ---------------------------------------------------------------------------------------------------------


def sort_labels(inventory: Inventory, flow: Flow) -> Sorted:
    """Every label in use, by the clause table alone."""
    refused_facets = find_refused(flow.scope, inventory.facets, recipient=flow.receiver)
    admitted, refused = list[int](), dict[int, str]()
    for label, facets in inventory.labels.items():
        if refused_facets.isdisjoint(facets):
            admitted.append(label)
        else:
            deciding = next(filter(refused_facets.__contains__, facets))
            refused[label] = inventory.facets[deciding].clause
    return Sorted(admitted=admitted, refused=refused)


def pick_labels(inventory: Inventory, found: Sorted) -> dict[str, int]:
    """An admitted label for each way that admitted labels are marked on single properties, by that facet's key."""
    return {inventory.labels[label][_GRANULAR]: label for label in reversed(found.admitted)}


def judge(inventory: Inventory, flow: Flow, found: Sorted, *, labels: Mapping[str, Label]) -> Verdicts:
    """The decision on every label in use; `labels` are those that `pick_labels` asks for."""
    decisions = {key: decide(flow.scope, label, recipient=flow.receiver) for key, label in labels.items()}
    released, withheld = dict[int, frozenset[str]](), dict(found.refused)
    for label in found.admitted:
        match decisions[inventory.labels[label][_GRANULAR]]:
            case Release():
                released[label] = _WHOLE
            case Redact(properties=properties):
                released[label] = properties
            case Withhold(clause=clause):
                withheld[label] = clause
    youngest = 0 if flow.since is None else inventory.since.index(flow.since) + 1
    return Verdicts(released=released, withheld=withheld, youngest=youngest)


_WHOLE = frozenset[str]()


# --- counting ---------------------------------------------------------------------------------------------------------


_Key = tuple[str, str, str, str, frozenset[str]]
"""Type, facet of the TLP, originator, facet of the subjects, properties removed."""
_Words = tuple[str, str, str, tuple[str, ...], tuple[str, ...]]
"""The same in words."""


def count_flow(inventory: Inventory, verdicts: Verdicts, *, samples: int) -> Counts:
    """The tables of one flow; each amount names enough places to find `samples` objects at, if there are as many."""
    groups, refusals = defaultdict[_Key, list[Place]](list), defaultdict[str, list[Place]](list)
    for place in inventory.places:
        label, kind, originator, age, _ = place
        properties = verdicts.released.get(label)
        if properties is None or age < verdicts.youngest:
            refusals[verdicts.withheld.get(label, HISTORY)].append(place)
        else:
            facets = inventory.labels[label]
            groups[kind, facets[_TLP], originator, facets[_SUBJECTS], properties].append(place)
    named = _name_groups(inventory, groups)
    sizes = {words: _count(places) for words, places in named.items()}
    largest = sorted(sizes, key=lambda words: (-sizes[words], words))
    rows = [_make_group(words, _add_up(named[words], samples)) for words in largest[:MAX_GROUPS]]
    released = sum(sizes.values())
    return Counts(
        released=released,
        redacted=sum(size for words, size in sizes.items() if words[-1]),
        withheld=sum(map(_count, refusals.values())),
        groups=tuple(rows),
        more_groups=len(largest) - len(rows),
        more_objects=released - sum(row.amount.objects for row in rows),
        refusals=tuple((name, _add_up(refusals[name], samples)) for name in _order(refusals)),
    )


def count_effect(
    inventory: Inventory, before: Verdicts | None, after: Verdicts | None, *, relation: Relation, samples: int
) -> Effect:
    """What `after` gives held against what `before` gives; None gives nothing."""
    fates = defaultdict[str, list[Place]](list)
    for place in inventory.places:
        then, now = _find_given(before, place), _find_given(after, place)
        if then is None and now is None:
            continue
        fate = "gained" if then is None else "lost" if now is None else "unchanged" if then == now else "changed"
        fates[fate].append(place)
    return Effect(
        relation=relation,
        gained=_add_up(fates["gained"], samples),
        lost=_add_up(fates["lost"], samples),
        changed=_add_up(fates["changed"], samples),
        unchanged=_add_up(fates["unchanged"], samples),
    )


def find_common(inventory: Inventory, one: Verdicts, other: Verdicts, *, samples: int) -> tuple[int, Amount]:
    """How many labels, and which objects, both would give."""
    given = [
        place
        for place in inventory.places
        if _find_given(one, place) is not None and _find_given(other, place) is not None
    ]
    return len({place[0] for place in given}), _add_up(given, samples)


def find_withheld(
    inventory: Inventory, verdicts: Verdicts, *, clause: str, originator: PartyId, samples: int
) -> tuple[int, Amount]:
    """How many labels, and which objects of `originator`, nothing but `clause` and what follows it withholds."""
    held = [place for place in inventory.places if place[2] == originator and verdicts.withheld.get(place[0]) == clause]
    return len({place[0] for place in held}), _add_up(held, samples)


def _count(places: Iterable[Place]) -> int:
    return sum(place[-1] for place in places)


def _add_up(places: Sequence[Place], samples: int) -> Amount:
    """Each place holds one object at least, so that as many places as samples are enough."""
    return Amount(objects=_count(places), places=tuple(places[:samples]))


def _find_given(verdicts: Verdicts | None, place: Place) -> frozenset[str] | None:
    """The properties removed from what is given of this place; None when nothing is."""
    label, _, _, age, _ = place
    return None if verdicts is None or age < verdicts.youngest else verdicts.released.get(label)


def _name_groups(inventory: Inventory, groups: Mapping[_Key, Sequence[Place]]) -> Mapping[_Words, list[Place]]:
    """The groups by their words; several may come to the same words."""
    said = {key: _words(inventory, key) for group in groups for key in (group[1], group[3])}
    named = defaultdict[_Words, list[Place]](list)
    for (kind, tlp, originator, subjects, properties), places in groups.items():
        named[kind, "".join(said[tlp]), originator, said[subjects], tuple(sorted(properties))] += places
    return named


def _words(inventory: Inventory, key: str) -> tuple[str, ...]:
    return tuple(sorted(frozenset[str]().union(*inventory.facets[key].groups)))


def _make_group(words: _Words, amount: Amount) -> Group:
    kind, tlp, originator, subjects, redacted = words
    return Group(type=kind, tlp=tlp, originator=originator, subjects=subjects, redacted=redacted, amount=amount)


def _order(refusals: Collection[str]) -> list[str]:
    """The clauses in the order of the table, then the others."""
    rank = {name: place for place, name in enumerate(FACETS)}
    return sorted(refusals, key=lambda name: (rank.get(name, len(rank)), name))


# --- comparing scopes -------------------------------------------------------------------------------------------------


def compare_flows(before: Flow | None, after: Flow | None) -> Relation:
    """How much `after` admits of all that could ever be, held against `before`; None admits nothing.

    By what each clause of the table allows: every test passes more when more is allowed. Where scopes differ in a field
    that is no clause of the table, neither is called narrower.
    """
    if before is None or after is None:
        return Relation.EQUAL if before is after else Relation.WIDER if before is None else Relation.NARROWER
    if _read_rest(before.scope) != _read_rest(after.scope):
        return Relation.NEITHER
    allowed = [
        (clause.allowed(before.scope, before.receiver), clause.allowed(after.scope, after.receiver))
        for clause in CLAUSES
    ]
    first, last = (before.since or _EVER, after.since or _EVER)
    narrower = last >= first and all(_is_within(now, then) for then, now in allowed)
    wider = first >= last and all(_is_within(then, now) for then, now in allowed)
    match narrower, wider:
        case True, True:
            return Relation.EQUAL
        case True, False:
            return Relation.NARROWER
        case False, True:
            return Relation.WIDER
        case _:
            return Relation.NEITHER


_EVER = Instant(-(2**63))


def _is_within(one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    """Whether all that `one` allows, `other` allows too; None allows everything."""
    return other is None or (one is not None and one <= other)


def _read_rest(scope: Scope) -> Mapping[str, object]:
    """What a scope says that no clause of the table reads."""
    names: Iterable[str] = {field.name for field in fields(scope)} - {clause.name for clause in CLAUSES}
    return {name: getattr(scope, name) for name in names}
