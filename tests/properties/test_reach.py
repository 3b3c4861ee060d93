# SPDX-License-Identifier: Apache-2.0
"""REACH: the fixpoint is what following every single object comes to; every chain goes; every certificate holds.

CHAIN: along every chain the audience only shrinks, and what is excluded stays excluded.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

import pytest

from comity.agreement.terms import Scope
from comity.errors import CertificateRefused
from comity.ids import AgreementId, Digest, PartyId
from comity.release import proof, reach
from comity.release.clauses import CLAUSES, Clause
from comity.release.decision import Withhold, decide
from comity.release.proof import load_z3, make_symbols, verify_reach
from comity.release.reach import Box, Edge, Hop, Memory, Question, Reach, Words, compute_reach, make_example
from comity.stix.labels import UNSPECIFIED, Label

PARTIES = tuple(map(PartyId, ("aurelia", "borealia", "cimbria", "meridia", "zephyria")))
TYPES, TLPS, SUBJECTS, REGIONS = ("indicator", "report"), ("green", "amber", "red"), ("stix:a", "stix:b"), ("IQ", "SY")
KINDS, HANDLING, FRAMEWORKS = (UNSPECIFIED, "arms"), ("H1",), ("coalition-dawn", "coalition-dusk")

State = tuple[PartyId, PartyId, frozenset[PartyId] | None, frozenset[str]]
"""Who holds an object, as whose it counts there, who may have it, and inside which frameworks it must not go."""


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
    memory: Memory


def make_worlds(seed: int, count: int) -> Iterator[World]:
    """Small worlds, always the same for the same seed; a scope is used in many of them."""
    random = Random(seed)
    pool = [make_scope(random) for _ in range(40)]
    for _ in range(count):
        parties = PARTIES[: random.choice([3, 3, 4, 4, 5])]
        originator = random.choice(parties)
        edges = list[Edge]()
        for _ in range(random.randint(3, 6)):
            # Half of the edges go on from where something may have come already, or there would be few chains.
            givers = [originator, *(edge.receiver for edge in edges)] if random.random() < 0.5 else parties
            edges.append(make_edge(random, parties, random.choice(givers), random.choice(pool)))
        yield World(tuple(edges), make_question(random), originator, random.choice(list(Memory)))


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
        framework=random.choice([None, None, *FRAMEWORKS]),
    )


def make_edge(random: Random, parties: tuple[PartyId, ...], giver: PartyId, scope: Scope) -> Edge:
    receiver = random.choice([party for party in parties if party != giver])
    everybody = frozenset(parties)
    listed = frozenset(random.sample(parties, random.randint(0, len(parties) - 1)))
    return Edge(
        giver=giver,
        receiver=receiver,
        scope=dataclasses.replace(scope, originators=random.choice([everybody, everybody, listed])),
        audience=random.choice([None, frozenset({receiver}), listed | {receiver}, everybody]),
        excluded_frameworks=frozenset(word for word in FRAMEWORKS if random.random() < 0.2) - {scope.framework or ""},
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
        begin: State = (world.originator, world.originator, None, frozenset())
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
                passed = objects & self._find_admitted(edge, state)
                yield from ((after, passed) for after in arrive(state, edge, world.memory))

    def _find_fitting(self, question: Question) -> int:
        key = tuple(sorted((name, tuple(sorted(words))) for name, words in question.items()))
        if key not in self._fitting:
            self._fitting[key] = sum(1 << place for place, one in enumerate(OBJECTS) if fits(question, one))
        return self._fitting[key]

    def _find_admitted(self, edge: Edge, state: State) -> int:
        """The objects that `decide` admits when their labels say what `state` says besides.

        A clause that looks at the state refuses all of them or none, so one object tells; the others are asked once.
        """
        _, shown, audience, excluded = state
        one = dataclasses.replace(EASY, originators=frozenset({shown}), audience=audience, excluded_frameworks=excluded)
        if not admits(
            dataclasses.replace(WIDE, originators=edge.scope.originators, framework=edge.scope.framework),
            one,
            edge.receiver,
        ):
            return 0
        plain = dataclasses.replace(edge.scope, originators=frozenset({shown}), framework=None)
        key = (plain.types, plain.tlp_ceiling, plain.subjects, plain.regions, plain.kinds, plain.handling)
        if key not in self._admitted:
            self._admitted[key] = sum(
                1 << place
                for place, label in enumerate(OBJECTS)
                if admits(plain, dataclasses.replace(label, originators=frozenset({shown})), edge.receiver)
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
    framework=None,
)


def admits(scope: Scope, label: Label, recipient: PartyId) -> bool:
    return not isinstance(decide(scope, label, recipient=recipient), Withhold)


def arrive(state: State, edge: Edge, memory: Memory) -> list[State]:
    """What an object may be at the receiver: as the one that first had it, or as the giver's."""
    _, shown, audience, excluded = state
    if memory is Memory.STICKY:
        within = audience if edge.audience is None else edge.audience if audience is None else audience & edge.audience
        return [(edge.receiver, name, within, excluded | edge.excluded_frameworks) for name in {shown, edge.giver}]
    return [(edge.receiver, name, edge.audience, edge.excluded_frameworks) for name in {shown, edge.giver}]


def replay(chain: tuple[Hop, ...], world: World) -> list[Label]:
    """The labels of one concrete object along the chain, each hop decided as a node would."""
    label = make_example(world.question, chain, originator=world.originator)
    assert fits(world.question, label)
    labels, holder = [label], world.originator
    for hop in chain:
        assert hop.edge in world.edges
        assert hop.edge.giver == holder
        assert hop.counted_as in {*label.originators, hop.edge.giver}
        assert admits(hop.edge.scope, label, hop.edge.receiver)
        state = (holder, min(label.originators), label.audience, label.excluded_frameworks)
        holder, _, audience, excluded = arrive(state, hop.edge, world.memory)[0]
        label = dataclasses.replace(
            label,
            originators=frozenset({hop.counted_as}),
            audience=audience,
            excluded_frameworks=excluded,
        )
        labels.append(label)
    return labels


class DisagreeError(Exception):
    """The fixpoint and the objects themselves end up elsewhere."""


def compare(seed: int, count: int) -> tuple[int, int]:
    """How many parties were reached, and how many not, in `count` worlds; DisagreeError at the first difference."""
    followed, reached, missed = Followed(), 0, 0
    for world in make_worlds(seed, count):
        found = compute_reach(world.edges, world.question, originator=world.originator, memory=world.memory)
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


def test_every_chain_goes_and_along_it_restrictions_only_grow() -> None:
    long = 0
    for world in make_worlds(101, 4_000):
        found = compute_reach(world.edges, world.question, originator=world.originator, memory=world.memory)
        for party, chain in found.chains.items():
            labels = replay(chain, world)
            assert chain[-1].edge.receiver == party
            long += len(chain) > 1
            for earlier, later in itertools.pairwise(labels) if world.memory is Memory.STICKY else ():
                assert earlier.audience is None or (later.audience is not None and later.audience <= earlier.audience)
                assert later.excluded_frameworks >= earlier.excluded_frameworks
    assert long > 300


@pytest.mark.slow
def test_z3_confirms_certificates_and_refuses_one_that_lacks_a_box() -> None:
    refused = covered = 0
    for number, world in enumerate(make_worlds(202, 120)):
        found = compute_reach(world.edges, world.question, originator=world.originator, memory=world.memory)
        proved = verify_reach(found, world.edges, memory=world.memory)
        assert proved.implications >= 1
        assert {box.holder for box in found.boxes} == {world.originator, *found.chains}
        if not found.chains:
            continue
        dropped = Random(number).choice(found.boxes)
        rest = tuple(box for box in found.boxes if box != dropped)
        try:
            verify_reach(dataclasses.replace(found, boxes=rest), world.edges, memory=world.memory)
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
        found = compute_reach(world.edges, world.question, originator=world.originator, memory=world.memory)
        for party in found.chains:
            rest = tuple(box for box in found.boxes if box.holder != party)
            with pytest.raises(CertificateRefused, match="counterexample"):
                verify_reach(dataclasses.replace(found, boxes=rest), world.edges, memory=world.memory)
            struck += 1
    assert struck > 20


# --- mutants ----------------------------------------------------------------------------------------------------------

_PASS, _FOLLOW, _LEAVE = reach._pass, reach._follow, reach._leave
_PLACES = {clause.name: place for place, clause in enumerate(CLAUSES)}

Steps = list[tuple[Box, Hop]]


def ignore(name: str) -> Callable[[Clause, Words, Edge], tuple[bool, Words]]:
    """A clause that lets everything through."""
    return lambda clause, words, edge: (True, words) if clause.name == name else _PASS(clause, words, edge)


def keep_name(box: Box, edge: Edge, memory: Memory) -> Steps:
    """What a receiver gets always counts as the one's that first had it."""
    (shown,) = box.says[_PLACES["originators"]] or {""}
    return [step for step in _FOLLOW(box, edge, memory) if step[1].counted_as == shown]


def stop(box: Box, leaving: Mapping[PartyId, Sequence[Edge]], memory: Memory) -> Iterator[tuple[Box, Hop]]:
    """What was given is not followed any more."""
    return iter(()) if box.says[_PLACES["audience"]] is not None else _LEAVE(box, leaving, memory)


def restate(name: str, choose: Callable[[Box, Edge], Words]) -> Callable[[Box, Edge, Memory], Steps]:
    """Something else is remembered of an object that arrives."""

    def follow(box: Box, edge: Edge, memory: Memory) -> Steps:
        place = _PLACES[name]
        return [
            (dataclasses.replace(one, says=(*one.says[:place], choose(box, edge), *one.says[place + 1 :])), hop)
            for one, hop in _FOLLOW(box, edge, memory)
        ]

    return follow


TOO_WIDE: dict[str, tuple[str, object]] = {
    **{
        f"ignores {name}": ("_pass", ignore(name))
        for name in ("types", "tlp_ceiling", "originators", "subjects", "regions", "kinds", "handling")
    },
    "ignores audience": ("_pass", ignore("audience")),
    "ignores frameworks": ("_pass", ignore("frameworks")),
    "forgets the audience": ("_follow", restate("audience", lambda box, edge: None)),
    "forgets what is excluded": ("_follow", restate("frameworks", lambda box, edge: frozenset())),
    "does not narrow": ("_follow", restate("types", lambda box, edge: box.says[_PLACES["types"]])),
}
TOO_NARROW: dict[str, tuple[str, object]] = {
    "gives on to nobody": ("_follow", restate("audience", lambda box, edge: frozenset({edge.receiver}))),
    "excludes everything": ("_follow", restate("frameworks", lambda box, edge: frozenset(FRAMEWORKS))),
    "keeps the name": ("_follow", keep_name),
    "follows one box for each party": ("_covers", lambda wide, narrow: True),
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
        certify(505, 200)


def certify(seed: int, count: int) -> None:
    """Have z3 check the certificates of `count` worlds."""
    for world in make_worlds(seed, count):
        found = compute_reach(world.edges, world.question, originator=world.originator, memory=world.memory)
        verify_reach(found, world.edges, memory=world.memory)
