# SPDX-License-Identifier: Apache-2.0
"""Pure: what terms would release of what is held, counted label by label, and how that differs from other terms.

    list_flows(terms, members=…, …)          -> who would give to whom, by which scope and from when on
    sort_labels(inventory, flow)             -> what the clause table admits, and which clause refuses the rest
    judge(inventory, flow, sorted, labels=…) -> the decision itself, asked once for each way of being marked in part
    count_flow, count_effect                 -> the tables that people read

Everything is decided by label: the work grows with the labels in use and not with the objects. Labels are held against
the clause table facet by facet (`release.facets`). What the decision says beyond the table follows from the scope and
the granular markings, so that one admitted label stands for all that are marked like it.

Which objects would go is exact. What would go of each is exact for properties that are marked; what the terms remove
marked or not (`created_by_ref`, all but a tear line) is removed where it is there, and no label says that.

What a preview supposes: that the gate is open. What stops everything (state, recognition) is told beside it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from comity.agreement.channels import Scope
from comity.agreement.terms import Terms
from comity.ids import PartyId
from comity.release.clauses import CLAUSES, Groups, Test, admits_groups
from comity.release.decision import Redact, Release, Withhold, decide
from comity.release.facets import FACETS, GRANULAR, Inventory, Place, find_refused
from comity.release.history import Threshold, admits_no_more, find_threshold
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
"""What withholds an object that came in too early, where no clause of the table does."""

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
    """One channel for one giver and one receiver; what counts of the giver's store is what `history` admits.

    `joined` says that the receiver is no founder but a joiner, who gets no history.
    """

    channel: str
    giver: PartyId
    receiver: PartyId
    scope: Scope
    onward: str
    releasable_to: frozenset[PartyId]
    history: Threshold
    joined: bool

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
    """What a flow gives, by label: the decision on what is admitted, the clause that withholds the rest.

    `threshold` is the place of the flow's threshold among those of the inventory; None where its history is no limit.
    """

    released: Mapping[int, Release | Redact]
    withheld: Mapping[int, str]
    threshold: int | None

    def counts(self, place: Place) -> bool:
        """Whether what is at `place` came in late enough."""
        return self.threshold is None or place[3][self.threshold] == "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So many objects, and places to find some of them at."""

    objects: int
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One row of the table: objects released alike. `subjects` empty: nobody has said.

    They go without `redacted`. Where `tear_line` is not empty, they go with what they cannot lack and that alone.
    """

    type: str
    tlp: str
    originator: str
    subjects: tuple[str, ...]
    redacted: tuple[str, ...]
    tear_line: tuple[str, ...]
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What one flow would give: the largest groups, how many more there are, and what is withheld, by clause.

    `redacted` are those of the released that may not go whole.
    """

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


def list_flows(
    terms: Terms,
    *,
    members: Collection[PartyId],
    head: int,
    floors: Mapping[tuple[str, PartyId], int],
    giver: PartyId | None = None,
) -> tuple[Flow, ...]:
    """Every channel of `terms` among `members`, for each receiver; of one giver, if it is named.

    `floors` are those of the feeds that there are, by channel and receiver; a feed that is yet to begin has the last
    place taken, `head`, as its floor. What channels say is read here and nowhere else in a preview, a comparison or a
    conflict.
    """
    return tuple(
        Flow(
            channel=channel.id,
            giver=source,
            receiver=receiver,
            scope=channel.scope_for(source),
            onward=channel.onward,
            releasable_to=channel.releasable_to,
            history=find_threshold(channel.history, floor=floors.get((channel.id, receiver), head), joined=joined),
            joined=joined,
        )
        for channel in terms.channels
        for source, receiver in channel.pairs(members)
        if giver in {None, source}
        for joined in [receiver not in terms.founders]
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
    released, withheld = dict[int, Release | Redact](), dict(found.refused)
    for label in found.admitted:
        match decisions[inventory.labels[label][_GRANULAR]]:
            case (Release() | Redact()) as admitted:
                released[label] = admitted
            case Withhold(clause=clause):
                withheld[label] = clause
    threshold = inventory.thresholds.index(flow.history) if flow.history.is_limit else None
    return Verdicts(released=released, withheld=withheld, threshold=threshold)


# --- counting ---------------------------------------------------------------------------------------------------------


_Key = tuple[str, str, str, str, Release | Redact]
"""Type, facet of the TLP, originator, facet of the subjects, what of the objects goes."""
_Words = tuple[str, str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""The same in words; the last two are the properties removed and the tear line."""


def count_flow(inventory: Inventory, verdicts: Verdicts, *, samples: int) -> Counts:
    """The tables of one flow; each amount names enough places to find `samples` objects at, if there are as many."""
    groups, refusals = defaultdict[_Key, list[Place]](list), defaultdict[str, list[Place]](list)
    for place in inventory.places:
        label, kind, originator, _, _ = place
        given = _find_given(verdicts, place)
        if given is None:
            refusals[verdicts.withheld.get(label, HISTORY)].append(place)
        else:
            facets = inventory.labels[label]
            groups[kind, facets[_TLP], originator, facets[_SUBJECTS], given].append(place)
    named = _name_groups(inventory, groups)
    sizes = {words: _count(places) for words, places in named.items()}
    largest = sorted(sizes, key=lambda words: (-sizes[words], words))
    rows = [_make_group(words, _add_up(named[words], samples)) for words in largest[:MAX_GROUPS]]
    released = sum(sizes.values())
    return Counts(
        released=released,
        redacted=sum(size for words, size in sizes.items() if any(words[-2:])),
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


def _find_given(verdicts: Verdicts | None, place: Place) -> Release | Redact | None:
    """What goes of each object at this place; None when nothing does."""
    return verdicts.released.get(place[0]) if verdicts is not None and verdicts.counts(place) else None


def _name_groups(inventory: Inventory, groups: Mapping[_Key, Sequence[Place]]) -> Mapping[_Words, list[Place]]:
    """The groups by their words; several may come to the same words."""
    said = {key: _words(inventory, key) for group in groups for key in (group[1], group[3])}
    named = defaultdict[_Words, list[Place]](list)
    for (kind, tlp, originator, subjects, given), places in groups.items():
        named[kind, "".join(said[tlp]), originator, said[subjects], *_name_given(given)] += places
    return named


def _name_given(given: Release | Redact) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The properties removed, and the tear line; both empty where objects go whole."""
    match given:
        case Release():
            return (), ()
        case Redact(properties=properties, only=only):
            return tuple(sorted(properties)), tuple(sorted(only or ()))


def _words(inventory: Inventory, key: str) -> tuple[str, ...]:
    return tuple(sorted(frozenset[str]().union(*inventory.facets[key].groups)))


def _make_group(words: _Words, amount: Amount) -> Group:
    kind, tlp, originator, subjects, redacted, tear_line = words
    return Group(
        type=kind,
        tlp=tlp,
        originator=originator,
        subjects=subjects,
        redacted=redacted,
        tear_line=tear_line,
        amount=amount,
    )


def _order(refusals: Collection[str]) -> list[str]:
    """The clauses in the order of the table, then the others."""
    rank = {name: place for place, name in enumerate(FACETS)}
    return sorted(refusals, key=lambda name: (rank.get(name, len(rank)), name))


# --- comparing scopes -------------------------------------------------------------------------------------------------


def compare_flows(before: Flow | None, after: Flow | None) -> Relation:
    """How much `after` admits of all that could ever be, held against `before`; None admits nothing.

    An object without some of its properties is less than the object. Where scopes differ in a field of which it is not
    known what it comes to, neither is called narrower.
    """
    if before is None or after is None:
        return Relation.EQUAL if before is after else Relation.WIDER if before is None else Relation.NARROWER
    if _differs_unread(before, after):
        return Relation.NEITHER
    match _gives_no_more(after, before), _gives_no_more(before, after):
        case True, True:
            return Relation.EQUAL
        case True, False:
            return Relation.NARROWER
        case False, True:
            return Relation.WIDER
        case _:
            return Relation.NEITHER


_OPEN = {"sanitise": frozenset({"tear_line_allowed"}), "attribution": frozenset({"may", "must"})}
"""What the decision reads beside the clause table, and the words under which the most of an object goes.

The other words let less go, each in its own way.
"""


def _gives_no_more(one: Flow, other: Flow) -> bool:
    """Whether `one` gives nothing, object or property, that `other` does not give."""
    clauses = all(
        _passes_no_more(
            clause.test, clause.allowed(one.scope, one.receiver), clause.allowed(other.scope, other.receiver)
        )
        for clause in CLAUSES
    )
    words = all(
        getattr(other.scope, name) in most or getattr(one.scope, name) == getattr(other.scope, name)
        for name, most in _OPEN.items()
    )
    return clauses and words and admits_no_more(one.history, other.history)


def _passes_no_more(test: Test, one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    """Whether whatever passes the test when `one` is allowed passes when `other` is.

    Tried on what tells any two lists apart, whatever the test: nothing said, each word alone, each list whole.
    """
    known = (one or frozenset()) | (other or frozenset())
    tried: list[Groups] = [frozenset(), frozenset({frozenset()}), frozenset({frozenset({_UNHEARD})})]
    tried += [frozenset({frozenset({word})}) for word in known]
    tried += [frozenset({words}) for words in (one, other, known) if words is not None]
    return all(admits_groups(test, said, other) for said in tried if admits_groups(test, said, one))


_UNHEARD = "\N{NULL}"
"""A word that no terms and no label can hold."""


def _differs_unread(before: Flow, after: Flow) -> bool:
    """Whether the scopes differ in a field that neither a clause of the table nor the decision beside it reads."""
    for name in (field.name for field in fields(Scope)):
        value = getattr(after.scope, name)
        if name in _OPEN or value == getattr(before.scope, name):
            continue
        changed = replace(before.scope, **{name: value})
        if all(
            clause.allowed(changed, before.receiver) == clause.allowed(before.scope, before.receiver)
            for clause in CLAUSES
        ):
            return True
    return False
