# SPDX-License-Identifier: Apache-2.0
"""REACH: the fixpoint is what following every single object comes to; every chain goes; every certificate holds.

CHAIN: along every chain the audience only shrinks, originators and exclusions only grow, and nobody outside the first
giver's audience is ever given the object, though each party knows nothing but the terms of the last hop.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

import pytest

from comity.agreement.channels import Channel, History, Scope
from comity.errors import CertificateRefused
from comity.ids import AgreementId, Digest, PartyId
from comity.release import clauses, proof, reach
from comity.release.clauses import CLAUSES, Clause
from comity.release.decision import Withhold, decide
from comity.release.proof import load_z3, make_symbols, verify_reach
from comity.release.reach import Box, Edge, Question, Reach, Words, compute_reach, make_example
from comity.release.receiving import Restrictions, find_restrictions, make_unrestricted
from comity.stix.labels import UNSPECIFIED, Label

PARTIES = tuple(map(PartyId, ("aurelia", "borealia", "cimbria", "meridia", "zephyria")))
TYPES, TLPS, SUBJECTS, REGIONS = ("indicator", "report"), ("green", "amber", "red"), ("stix:a", "stix:b"), ("IQ", "SY")
KINDS, HANDLING, FRAMEWORKS = (UNSPECIFIED, "arms"), ("H1",), ("coalition-dawn", "coalition-dusk")

State = tuple[PartyId, Restrictions]
"""Who holds an object, and what it is restricted to there."""


def subsets(words: tuple[str, ...], *, least: int = 0) -> list[frozenset[str]]:
    sizes = range(least, len(words) + 1)
    return [frozenset(some) for size in sizes for some in itertools.combinations(words, size)]


OBJECTS = tuple(
    Label(
        types=frozenset({kind}),
        tlp=tlp,
        markings=frozenset(),
        originators=frozenset(),
        subjects=frozenset({about}),
        regions=frozenset({where}),
        kinds=frozenset({sort}),
        person_classes=frozenset(),
        special_categories=frozenset(),
        handling=codes,
        audience=None,
        excluded_frameworks=frozenset(),
        granular=(),
    )
    for kind, tlp, about, where, sort, codes in itertools.product(
        TYPES, TLPS, subsets(SUBJECTS), subsets(REGIONS), KINDS, subsets(HANDLING)
    )
)
"""Every object there is in these worlds."""


# --- worlds -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class World:
    edges: tuple[Edge, ...]
    question: Question
    originator: PartyId


def make_worlds(seed: int, count: int, *, consenting: float = 0.2) -> Iterator[World]:
    """Small worlds, always the same for the same seed; a scope is used in many of them.

    That share of the edges is by consent: what went along it may go on to anybody.
    """
    random = Random(seed)
    pool = [make_scope(random) for _ in range(40)]
    for _ in range(count):
        parties = PARTIES[: random.choice([3, 3, 4, 4, 5])]
        originator = random.choice(parties)
        edges = list[Edge]()
        for _ in range(random.randint(3, 6)):
            # Half of the edges go on from where something may have come already, or there would be few chains.
            givers = [originator, *(edge.receiver for edge in edges)] if random.random() < 0.5 else parties
            consent = random.random() < consenting
            edges.append(make_edge(random, parties, random.choice(givers), random.choice(pool), consent=consent))
        yield World(tuple(edges), make_question(random), originator)


def make_scope(random: Random) -> Scope:
    def some(words: tuple[str, ...], likely: float = 0.8) -> frozenset[str]:
        return frozenset(word for word in words if random.random() < likely)

    return Scope(
        types=some(TYPES),
        tlp_ceiling=random.choice(TLPS),
        markings=frozenset(),
        originators=frozenset(),
        subjects=some(SUBJECTS),
        regions=some(REGIONS),
        kinds=random.choice([None, some(KINDS[1:])]),
        person_classes=frozenset(),
        special_categories=frozenset(),
        handling=some(HANDLING),
        onward_to=frozenset(),
        excluded_frameworks=random.choice([frozenset(), frozenset(), frozenset(), *subsets(FRAMEWORKS)]),
    )


def make_edge(random: Random, parties: tuple[PartyId, ...], giver: PartyId, scope: Scope, *, consent: bool) -> Edge:
    receiver = random.choice([party for party in parties if party != giver])
    everybody = frozenset(parties)
    listed = frozenset(random.sample(parties, random.randint(0, len(parties) - 1)))
    others = frozenset(random.sample(parties, random.randint(0, len(parties) - 1)))
    channel = Channel(
        id="main",
        giver=giver,
        receivers=(receiver,),
        scope=dataclasses.replace(
            scope,
            originators=random.choice([everybody, everybody, others]),
            onward_to=random.choice([frozenset(), listed, everybody, everybody]),
        ),
        own=random.random() < 0.8,
        special_categories=(),
        onward="listed",
        history=History(all=True),
    )
    restrictions = find_restrictions(channel, giver=giver, receiver=receiver)
    if consent:
        restrictions = dataclasses.replace(restrictions, audience=None)
    return Edge(
        giver=giver,
        receiver=receiver,
        scope=channel.scope_for(giver),
        restrictions=restrictions,
        agreement=AgreementId("0" * 64),
        terms=Digest("0" * 64),
        title="Exchange",
        channel="main",
    )


def make_question(random: Random) -> Question:
    """One of those that people ask: some columns are fixed, the others free."""
    words = {
        "types": subsets(TYPES, least=1),
        "tlp_ceiling": subsets(TLPS, least=1),
        "subjects": subsets(SUBJECTS, least=1),
        "regions": subsets(REGIONS, least=1),
        "kinds": subsets(KINDS, least=1),
        "handling": subsets(HANDLING),
    }
    return {name: random.choice(some) for name, some in words.items() if random.random() < 0.4}


def fits(question: Question, label: Label) -> bool:
    """Whether a concrete object is one of those that the question is about."""
    said: dict[str, bool] = {
        name: {
            "types": label.types <= words,
            "tlp_ceiling": label.tlp in words,
            "subjects": all(group <= words for group in label.subjects),
            "regions": all(group <= words for group in label.regions),
            "kinds": label.kinds <= words,
            "handling": label.handling >= words,
        }[name]
        for name, words in question.items()
    }
    return all(said.values())


# --- every single object ----------------------------------------------------------------------------------------------


class Followed:
    """Every object followed by itself; a set of objects is one integer with a bit for each."""

    def __init__(self) -> None:
        self._admitted: dict[object, int] = {}
        self._fitting: dict[object, int] = {}

    def find_reached(self, world: World) -> set[PartyId]:
        """Who could be given one of the objects that the question is about."""
        begin: State = (world.originator, make_unrestricted(world.originator))
        there = {begin: self._find_fitting(world.question)}
        waiting = [begin]
        while waiting:
            state = waiting.pop()
            for after, passed in self._leave(world, state, there[state]):
                if passed & ~there.get(after, 0):
                    there[after] = there.get(after, 0) | passed
                    waiting.append(after)
        return {state[0] for state, objects in there.items() if objects} - {world.originator}

    def _leave(self, world: World, state: State, objects: int) -> Iterator[tuple[State, int]]:
        for edge in world.edges:
            if edge.giver == state[0] and edge.receiver != world.originator:
                yield (edge.receiver, edge.restrictions), objects & self._find_admitted(edge, state[1])

    def _find_fitting(self, question: Question) -> int:
        key = tuple(sorted((name, tuple(sorted(words))) for name, words in question.items()))
        if key not in self._fitting:
            self._fitting[key] = sum(1 << place for place, one in enumerate(OBJECTS) if fits(question, one))
        return self._fitting[key]

    def _find_admitted(self, edge: Edge, bound: Restrictions) -> int:
        """The objects that `decide` admits when their labels say what they are restricted to besides.

        A clause that looks at that refuses all of them or none, so one object tells; the others are asked once.
        """
        wide = dataclasses.replace(
            WIDE,
            originators=edge.scope.originators,
            onward_to=edge.scope.onward_to,
            excluded_frameworks=edge.scope.excluded_frameworks,
        )
        if not admits(wide, restrict(EASY, bound), edge.receiver):
            return 0
        plain = dataclasses.replace(edge.scope, originators=bound.originators)
        free = make_unrestricted(min(bound.originators))
        key = (plain.types, plain.tlp_ceiling, plain.subjects, plain.regions, plain.kinds, plain.handling)
        if key not in self._admitted:
            self._admitted[key] = sum(
                1 << place for place, label in enumerate(OBJECTS) if admits(plain, restrict(label, free), edge.receiver)
            )
        return self._admitted[key]


EASY = next(
    label for label in OBJECTS if label.tlp == "green" and not label.handling and all(label.subjects | label.regions)
)
"""An object that the widest scope admits."""
WIDE = Scope(
    types=frozenset(TYPES),
    tlp_ceiling="red",
    markings=frozenset(),
    originators=frozenset(),
    subjects=frozenset(SUBJECTS),
    regions=frozenset(REGIONS),
    kinds=None,
    person_classes=frozenset(),
    special_categories=frozenset(),
    handling=frozenset(HANDLING),
    onward_to=frozenset(),
    excluded_frameworks=frozenset(),
)


def admits(scope: Scope, label: Label, recipient: PartyId) -> bool:
    return not isinstance(decide(scope, label, recipient=recipient), Withhold)


def restrict(label: Label, bound: Restrictions) -> Label:
    """The label where it is held under these restrictions."""
    return dataclasses.replace(
        label,
        originators=bound.originators,
        audience=bound.audience,
        excluded_frameworks=bound.excluded_frameworks,
    )


def replay(chain: tuple[Edge, ...], world: World) -> list[Label]:
    """The labels of one concrete object along the chain, each hop decided as a node would."""
    label = make_example(world.question, chain, originator=world.originator)
    assert fits(world.question, label)
    labels, holder = [label], world.originator
    for edge in chain:
        assert edge in world.edges
        assert edge.giver == holder
        assert admits(edge.scope, label, edge.receiver)
        holder, label = edge.receiver, restrict(label, edge.restrictions)
        labels.append(label)
    return labels


class DisagreeError(Exception):
    """The fixpoint and the objects themselves end up elsewhere."""


class WidenedError(Exception):
    """A party was given what the first giver's terms, or those of a later one, do not let it have."""


def compare(seed: int, count: int) -> tuple[int, int]:
    """How many parties were reached, and how many not, in `count` worlds; DisagreeError at the first difference."""
    followed, reached, missed = Followed(), 0, 0
    for world in make_worlds(seed, count):
        found = compute_reach(world.edges, world.question, originator=world.originator)
        if set(found.chains) != followed.find_reached(world):
            raise DisagreeError(world)
        parties = {edge.receiver for edge in world.edges} - {world.originator}
        reached += len(found.chains)
        missed += len(parties - found.chains.keys())
    return reached, missed


# --- the laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_fixpoint_is_where_every_single_object_ends_up() -> None:
    totals = [compare(seed, 2_500) for seed in range(8)]
    assert sum(reached for reached, _ in totals) > 5_000
    assert sum(missed for _, missed in totals) > 5_000


def test_every_chain_goes() -> None:
    long = 0
    for world in make_worlds(101, 4_000):
        found = compute_reach(world.edges, world.question, originator=world.originator)
        for party, chain in found.chains.items():
            replay(chain, world)
            assert chain[-1].receiver == party
            long += len(chain) > 1
    assert long > 300


Walked = tuple[tuple[Edge, ...], Label]
"""The chain that an object went along, and its label at the end."""


def walk(seed: int, count: int) -> int:
    """How many objects went on from where they had come, in worlds where nobody consents; WidenedError if one may not.

    Every way that an object can go is gone, not only the shortest to each party: `decide` is asked of each edge.
    """
    long = 0
    for world in make_worlds(seed, count, consenting=0):
        waiting: list[Walked] = [((), restrict(EASY, make_unrestricted(world.originator)))]
        while waiting:
            chain, label = waiting.pop()
            for edge in find_steps(world, chain, label):
                later = restrict(label, edge.restrictions)
                check_narrower((*chain, edge), label, later, world)
                waiting.append(((*chain, edge), later))
                long += len(chain) > 0
    return long


def find_steps(world: World, chain: tuple[Edge, ...], label: Label) -> list[Edge]:
    """The edges that `decide` lets the object go along next, none of them twice."""
    holder = chain[-1].receiver if chain else world.originator
    leaving = [edge for edge in world.edges if edge.giver == holder and edge not in chain]
    return [edge for edge in leaving if admits(edge.scope, label, edge.receiver)]


def check_narrower(chain: tuple[Edge, ...], earlier: Label, later: Label, world: World) -> None:
    """WidenedError when one more hop takes back what one of those before it said."""
    assert later.audience is not None
    for edge in chain:
        allowed = frozenset({edge.receiver}) | edge.scope.onward_to
        if not (later.audience <= allowed and later.excluded_frameworks >= edge.scope.excluded_frameworks):
            raise WidenedError(chain)
    if chain[-1].receiver not in frozenset({chain[0].receiver}) | chain[0].scope.onward_to:
        raise WidenedError(chain)
    if world.originator not in later.originators or not later.originators >= earlier.originators:
        raise WidenedError(chain)


def test_along_every_chain_restrictions_only_grow_and_nobody_is_outside_the_first_audience() -> None:
    assert walk(606, 20_000) > 600


def test_no_chain_to_a_party_leaves_the_first_audience() -> None:
    long = 0
    for world in make_worlds(707, 4_000, consenting=0):
        found = compute_reach(world.edges, world.question, originator=world.originator)
        for party, chain in found.chains.items():
            assert party in {chain[0].receiver} | chain[0].scope.onward_to
            long += len(chain) > 1
    assert long > 150


WIDENING: dict[str, dict[str, object]] = {
    "the recipient alone is asked for": {"audience": lambda scope, recipient: frozenset({recipient})},
    "the list alone is asked for": {"audience": lambda scope, recipient: scope.onward_to or frozenset({recipient})},
    "no audience is asked for": {"audience": lambda scope, recipient: None},
    "every exclusion is admitted": {"frameworks": lambda scope, recipient: None},
    "every originator is admitted": {"originators": lambda scope, recipient: None},
}


@pytest.mark.parametrize("mutant", WIDENING)
def test_a_mutant_of_the_table_lets_something_out(monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    changed = WIDENING[mutant]
    rows = tuple(
        dataclasses.replace(clause, allowed=changed[clause.name]) if clause.name in changed else clause  # type: ignore[arg-type]
        for clause in CLAUSES
    )
    monkeypatch.setattr(clauses, "CLAUSES", rows)
    with pytest.raises(WidenedError):
        walk(606, 20_000)


def test_a_mutant_of_within_lets_something_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One allowed party in the audience is not enough."""
    holds = clauses._holds
    monkeypatch.setattr(
        clauses,
        "_holds",
        lambda test, found, allowed: holds(clauses.Test.ONLY if test is clauses.Test.WITHIN else test, found, allowed),
    )
    with pytest.raises(WidenedError):
        walk(606, 20_000)


@pytest.mark.slow
def test_z3_confirms_certificates_and_refuses_one_that_lacks_a_box() -> None:
    refused = covered = 0
    for number, world in enumerate(make_worlds(202, 120)):
        found = compute_reach(world.edges, world.question, originator=world.originator)
        proved = verify_reach(found, world.edges)
        assert proved.implications >= 1
        assert {box.holder for box in found.boxes} == {world.originator, *found.chains}
        if not found.chains:
            continue
        dropped = Random(number).choice(found.boxes)
        rest = tuple(box for box in found.boxes if box != dropped)
        try:
            verify_reach(dataclasses.replace(found, boxes=rest), world.edges)
        except CertificateRefused:
            refused += 1
        else:
            covered += 1
            assert is_covered(dropped, rest, found, world)
    assert refused > 40


def is_covered(dropped: Box, rest: tuple[Box, ...], found: Reach, world: World) -> bool:
    """Whether z3 finds nothing in the box that is not in one of the others."""
    symbols = make_symbols(proof._gather_words(found, world.edges))
    solver = load_z3().Solver()
    solver.add(proof._in_boxes([dropped], dropped.holder, symbols))
    solver.add(load_z3().Not(proof._in_boxes(rest, dropped.holder, symbols)))
    return bool(solver.check() == load_z3().unsat)


def test_a_party_that_is_struck_from_a_certificate_is_missed() -> None:
    struck = 0
    for world in make_worlds(303, 40):
        found = compute_reach(world.edges, world.question, originator=world.originator)
        for party in found.chains:
            rest = tuple(box for box in found.boxes if box.holder != party)
            with pytest.raises(CertificateRefused, match="counterexample"):
                verify_reach(dataclasses.replace(found, boxes=rest), world.edges)
            struck += 1
    assert struck > 20


# --- mutants ----------------------------------------------------------------------------------------------------------

_PASS, _FOLLOW, _LEAVE = reach._pass, reach._follow, reach._leave
_PLACES = {clause.name: place for place, clause in enumerate(CLAUSES)}


def ignore(name: str) -> Callable[[Clause, Words, Edge], tuple[bool, Words]]:
    """A clause that lets everything through."""
    return lambda clause, words, edge: (True, words) if clause.name == name else _PASS(clause, words, edge)


def one_within(clause: Clause, words: Words, edge: Edge) -> tuple[bool, Words]:
    """One allowed party in the audience is enough."""
    if clause.name != "audience":
        return _PASS(clause, words, edge)
    allowed = clause.allowed(edge.scope, edge.receiver) or frozenset()
    return words is None or not words.isdisjoint(allowed), words


def stop(box: Box, leaving: Mapping[PartyId, Sequence[Edge]]) -> Iterator[tuple[Box, Edge]]:
    """What was given is not followed any more."""
    return iter(()) if box.says[_PLACES["audience"]] is not None else _LEAVE(box, leaving)


def restate(name: str, choose: Callable[[Box, Edge], Words]) -> Callable[[Box, Edge], Box | None]:
    """Something else is remembered of an object that arrives."""

    def follow(box: Box, edge: Edge) -> Box | None:
        place, one = _PLACES[name], _FOLLOW(box, edge)
        if one is None:
            return None
        return dataclasses.replace(one, says=(*one.says[:place], choose(box, edge), *one.says[place + 1 :]))

    return follow


TOO_WIDE: dict[str, tuple[str, object]] = {
    **{
        f"ignores {name}": ("_pass", ignore(name))
        for name in ("types", "tlp_ceiling", "originators", "subjects", "regions", "kinds", "handling")
    },
    "ignores audience": ("_pass", ignore("audience")),
    "ignores frameworks": ("_pass", ignore("frameworks")),
    "asks for one of the audience": ("_pass", one_within),
    "counts what arrives as the first one's": (
        "_follow",
        restate("originators", lambda box, edge: box.says[_PLACES["originators"]]),
    ),
    "forgets the audience": ("_follow", restate("audience", lambda box, edge: None)),
    "forgets what is excluded": ("_follow", restate("frameworks", lambda box, edge: frozenset())),
    "does not narrow": ("_follow", restate("types", lambda box, edge: box.says[_PLACES["types"]])),
}
TOO_NARROW: dict[str, tuple[str, object]] = {
    "gives on to nobody": ("_follow", restate("audience", lambda box, edge: frozenset({edge.receiver}))),
    "excludes everything": ("_follow", restate("frameworks", lambda box, edge: frozenset(FRAMEWORKS))),
    "counts what arrives as anybody's": ("_follow", restate("originators", lambda box, edge: frozenset(PARTIES))),
    "follows one box for each party": ("_covers", lambda wide, narrow: True),
    "takes the more restricted for the wider": ("_is_wider", lambda form, words, others: others <= words),
    "stops after one step": ("_leave", stop),
}


@pytest.mark.parametrize("mutant", TOO_WIDE | TOO_NARROW)
def test_a_mutant_of_the_fixpoint_ends_up_elsewhere(monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    monkeypatch.setattr(reach, *(TOO_WIDE | TOO_NARROW)[mutant])
    with pytest.raises(DisagreeError):
        compare(404, 8_000)


@pytest.mark.parametrize("mutant", TOO_NARROW)
def test_z3_refuses_what_a_fixpoint_that_misses_something_certifies(
    monkeypatch: pytest.MonkeyPatch, mutant: str
) -> None:
    monkeypatch.setattr(reach, *TOO_NARROW[mutant])
    with pytest.raises(CertificateRefused):
        certify(505, 400, consenting=0)


def certify(seed: int, count: int, *, consenting: float) -> None:
    """Have z3 check the certificates of `count` worlds."""
    for world in make_worlds(seed, count, consenting=consenting):
        found = compute_reach(world.edges, world.question, originator=world.originator)
        verify_reach(found, world.edges)
