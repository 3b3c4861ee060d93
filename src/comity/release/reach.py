# SPDX-License-Identifier: Apache-2.0
"""Pure: where could such an object end up, over every chain of agreements?

An agreement lets a giver give to a receiver: that is an edge. An object goes along it if the scope admits it and
what the object came with allows it; then the receiver may give it on. The answer is a fixpoint: begin with what the
originator holds, go along every edge from what is held so far, and stop when no edge leads to anything more.

    edges = read_edges(terms, consent=Consent.GRANTED)
    reach = compute_reach(edges, {"tlp_ceiling": {"amber"}}, originator=aurelia, memory=Memory.STICKY)
    reach.chains[meridia]          the shortest way to Meridia; a party that is not in `chains` is never given one
    reach.boxes                    why not: the certificate, which `release.proof` checks without this module's steps

The object is not one object but all that fit the question, taken together as a *box*: for each clause of the table,
what an object in it may say. Types, TLP and kinds narrow along a chain. Where every hop counts (`Memory.STICKY`) the
audience shrinks too, and the excluded frameworks grow. No clause looks at two of them at once, which is why boxes lose
nothing: if each clause lets some object of the box through, one object gets through all of them. Subjects and regions
need one word that fits for each edge by itself, so the object that states every word of the question serves all edges.

Nothing here is under-counted. A redacted object still is the object. A receiver may count as originator the party that
first had the object or the one that gave it (`node.ingest`), so both are followed. Asked of the terms alone: whether an
agreement is in force or a basis recognised is not, because that can change. What people say of an object is taken as it
is: whoever classifies it anew has another question to ask.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from comity.agreement.channels import Channel, Scope
from comity.agreement.terms import Terms
from comity.errors import MalformedRequest
from comity.ids import AgreementId, Digest, PartyId
from comity.release.clauses import CLAUSES, Clause, Test
from comity.stix.labels import UNSPECIFIED, Label

__all__ = [
    "MAX_BOXES",
    "Box",
    "Consent",
    "Edge",
    "Hop",
    "Memory",
    "Question",
    "Reach",
    "Words",
    "compute_reach",
    "make_example",
    "read_edges",
]

Words = frozenset[str] | None
"""A set of words; None is every word there is."""

Question = Mapping[str, frozenset[str]]
"""What is known of the object, by clause of the table; a clause that is left out is free.

    types, tlp_ceiling, kinds    what the object says is among these
    subjects, regions            the object states some of these, and no others
    the others                   the object states at least these

The originator is asked for by itself; audience and frameworks are what a chain makes of them.
"""

MAX_BOXES = 50_000
"""Of one originator's objects; far above what agreements between people come to."""


class Consent(Enum):
    """What is taken for the originator's consent where onward sharing needs it."""

    GRANTED = "granted"
    REFUSED = "refused"


class Memory(Enum):
    """Which restrictions of its way a party holds an object to."""

    LAST_HOP = "last hop"  # those of the last hop only: what a node sees by itself (`node.ingest`)
    STICKY = "sticky"  # those of every hop: what the agreements say together


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A channel from one giver to one receiver.

    `audience` is who may have an object that went along it (None: any party); `excluded_frameworks` where it must not
    go from then on.
    """

    giver: PartyId
    receiver: PartyId
    scope: Scope
    audience: frozenset[PartyId] | None
    excluded_frameworks: frozenset[str]
    agreement: AgreementId
    terms: Digest
    title: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """All objects that say, to each clause in the order of the table, what stands in `says`, as `holder` has them."""

    holder: PartyId
    says: tuple[Words, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One step of a chain: along `edge`, to be counted by the receiver as an object of `counted_as`."""

    edge: Edge
    counted_as: PartyId


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where objects of `originator` could end up: a shortest chain to each party that could be given one.

    `boxes` are everything that anybody could hold: the certificate.
    """

    originator: PartyId
    question: Question
    chains: Mapping[PartyId, tuple[Hop, ...]]
    boxes: tuple[Box, ...]


def read_edges(terms: Terms, members: Collection[PartyId], *, consent: Consent) -> tuple[Edge, ...]:
    """Every way in which `terms` let one of `members` give to another."""
    return tuple(
        Edge(
            giver=giver,
            receiver=receiver,
            scope=channel.scope_for(giver),
            audience=_read_audience(channel, receiver, consent),
            excluded_frameworks=terms.excluded_frameworks,
            agreement=terms.agreement_id,
            terms=terms.hash,
            title=terms.title,
            channel=channel.id,
        )
        for channel in terms.channels
        for giver, receiver in channel.pairs(members)
    )


def _read_audience(channel: Channel, receiver: PartyId, consent: Consent) -> frozenset[PartyId] | None:
    """As `node.ingest` has it, but where consent decides."""
    if channel.onward == "originator_consent" and consent is Consent.GRANTED:
        return None
    return frozenset({receiver}) | channel.releasable_to


def compute_reach(edges: Iterable[Edge], question: Question, *, originator: PartyId, memory: Memory) -> Reach:
    """Where an object that fits `question` could end up if it is one of `originator`.

    Raises:
        MalformedRequest: there is more to follow than MAX_BOXES.
    """
    # What comes back to its originator is held there already, bound by nobody's terms.
    leaving = _sort_by_giver(edge for edge in edges if edge.receiver != originator)
    first = _make_first_box(question, originator)
    held: dict[PartyId, list[Box]] = {originator: [first]}
    chains: dict[PartyId, tuple[Hop, ...]] = {}
    waiting = deque[tuple[Box, tuple[Hop, ...]]]([(first, ())])
    followed = 0
    while waiting:
        box, chain = waiting.popleft()
        for arrived, hop in _leave(box, leaving, memory):
            known = held.setdefault(arrived.holder, [])
            if any(_covers(other, arrived) for other in known):
                continue
            followed += 1
            if followed > MAX_BOXES:
                raise MalformedRequest(f"more than {MAX_BOXES} cases are to be followed; give more attributes")
            held[arrived.holder] = [*(other for other in known if not _covers(arrived, other)), arrived]
            chains.setdefault(arrived.holder, (*chain, hop))
            waiting.append((arrived, (*chain, hop)))
    return Reach(
        originator=originator,
        question=question,
        chains=chains,
        boxes=tuple(box for party in sorted(held) for box in held[party]),
    )


def _make_first_box(question: Question, originator: PartyId) -> Box:
    """What `originator` itself holds of what fits the question: for any party, and inside any framework."""
    says = dict[str, Words](question) | {"originators": frozenset({originator}), "frameworks": frozenset[str]()}
    return Box(holder=originator, says=tuple(says.get(clause.name) for clause in CLAUSES))


def make_example(question: Question, chain: Sequence[Hop], *, originator: PartyId) -> Label:
    """The label, at `originator`, of an object that goes along the whole of `chain`."""
    says: dict[str, frozenset[str]] = {}
    for clause in CLAUSES:
        limits = [clause.allowed(hop.edge.scope, hop.edge.receiver) for hop in chain]
        says[clause.name] = _choose(clause, question.get(clause.name), [words for words in limits if words is not None])
    return Label(
        types=says["types"],
        tlp=min(says["tlp_ceiling"]),
        markings=says["markings"],
        originators=frozenset({originator}),
        subjects=frozenset({says["subjects"]}),
        regions=frozenset({says["regions"]}),
        kinds=says["kinds"] or frozenset({UNSPECIFIED}),
        person_classes=says["person_classes"],
        special_categories=says["special_categories"],
        handling=says["handling"],
        audience=None,
        excluded_frameworks=frozenset(),
        granular=(),
    )


# --- one step ---------------------------------------------------------------------------------------------------------


def _sort_by_giver(edges: Iterable[Edge]) -> dict[PartyId, list[Edge]]:
    leaving: dict[PartyId, list[Edge]] = {}
    for edge in edges:
        leaving.setdefault(edge.giver, []).append(edge)
    return leaving


def _leave(box: Box, leaving: Mapping[PartyId, Sequence[Edge]], memory: Memory) -> Iterator[tuple[Box, Hop]]:
    """All that one box becomes in one step."""
    for edge in leaving.get(box.holder, ()):
        yield from _follow(box, edge, memory)


def _follow(box: Box, edge: Edge, memory: Memory) -> list[tuple[Box, Hop]]:
    """What arrives of `box` at the other end of `edge`: counted as its originator's, or as the giver's."""
    passed = [_pass(clause, words, edge) for clause, words in zip(CLAUSES, box.says, strict=True)]
    if not all(ok for ok, _ in passed):
        return []
    says = dict(zip((clause.name for clause in CLAUSES), (words for _, words in passed), strict=True))
    says["audience"] = _meet(says["audience"], edge.audience) if memory is Memory.STICKY else edge.audience
    excluded = says["frameworks"] or frozenset()
    says["frameworks"] = edge.excluded_frameworks | (excluded if memory is Memory.STICKY else frozenset())
    shown = says["originators"] or frozenset()
    return [
        (
            Box(holder=edge.receiver, says=tuple((says | {"originators": frozenset({name})}).values())),
            Hop(edge=edge, counted_as=PartyId(name)),
        )
        for name in sorted(shown | {edge.giver})
    ]


def _pass(clause: Clause, words: Words, edge: Edge) -> tuple[bool, Words]:
    """Whether some object of a box that says `words` to this clause may go along `edge`, and what it then says."""
    allowed = clause.allowed(edge.scope, edge.receiver)
    if allowed is None:
        return True, words
    match clause.test:
        case Test.IN | Test.MAX:
            left = _meet(words, allowed)
            return bool(left), left
        case Test.ANY:
            return bool(_meet(words, allowed)), words
        case Test.ONLY:
            return words is None or words <= allowed, words
        case Test.WITHIN:
            return words is None or allowed <= words, words
        case Test.NONE:
            return words is None or words.isdisjoint(allowed), words


def _meet(one: Words, other: Words) -> Words:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _covers(wide: Box, narrow: Box) -> bool:
    """Whether all that `narrow` could do, `wide` can: then `narrow` needs no following of its own."""
    return all(
        _is_within(narrow_words, wide_words) if clause.test is not Test.NONE else _is_within(wide_words, narrow_words)
        for clause, wide_words, narrow_words in zip(CLAUSES, wide.says, narrow.says, strict=True)
    )


def _is_within(words: Words, others: Words) -> bool:
    return others is None or (words is not None and words <= others)


def _choose(clause: Clause, words: Words, limits: Sequence[frozenset[str]]) -> frozenset[str]:
    """What one object says to `clause` that goes through all of `limits`."""
    match clause.test:
        case Test.IN | Test.MAX:
            for limit in limits:
                words = _meet(words, limit)
            return frozenset(sorted(words)[:1]) if words else frozenset()
        case Test.ANY:
            return frozenset(min(_meet(words, limit) or {""}) for limit in limits)
        case Test.ONLY:
            return words or frozenset()
        case Test.WITHIN | Test.NONE:
            return frozenset()
