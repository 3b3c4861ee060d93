# SPDX-License-Identifier: Apache-2.0
"""Pure: where could such an object end up, over every chain of agreements?

An agreement lets a giver give to a receiver: that is an edge. An object goes along it if the scope admits it and
what the object came with allows it; then the receiver may give it on, restricted as `release.receiving` says. The
answer is a fixpoint: begin with what the originator holds, go along every edge from what is held so far, and stop when
no edge leads to anything more.

    edges = read_edges(terms, members, consent=Consent.GRANTED)
    reach = compute_reach(edges, {"tlp_ceiling": {"amber"}}, originator=aurelia)
    reach.chains[meridia]          the shortest way to Meridia; a party that is not in `chains` is never given one
    reach.boxes                    why not: the certificate, which `release.proof` checks without this module's steps

The object is not one object but all that fit the question, taken together as a *box*: for each clause of the table,
what an object in it may say. Types, TLP and kinds narrow along a chain; the audience shrinks, originators and excluded
frameworks grow. No clause looks at two of them at once, which is why boxes lose nothing: if each clause lets some
object of the box through, one object gets through all of them. Subjects and regions need one word that fits for each
edge by itself, so the object that states every word of the question serves all edges.

Nothing here is under-counted. A redacted object still is the object. Asked of the terms alone: whether an agreement is
in force or a basis recognised is not, because that can change. What people say of an object is taken as it is: whoever
classifies it anew has another question to ask.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from comity.agreement.channels import Channel, Scope
from comity.agreement.terms import Terms
from comity.errors import MalformedRequest
from comity.ids import AgreementId, Digest, PartyId
from comity.release.clauses import CLAUSES, Clause, Test
from comity.release.receiving import Restrictions, find_restrictions
from comity.stix.labels import UNSPECIFIED, Label

__all__ = [
    "MAX_BOXES",
    "Box",
    "Consent",
    "Edge",
    "Form",
    "Question",
    "Reach",
    "Words",
    "compute_reach",
    "find_form",
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


class Form(Enum):
    """What a box that gives words for a clause says of its objects."""

    AMONG = "among"  # what an object says is among the words, and it says something
    SOME = "some"  # each group of an object is among the words
    AT_LEAST = "at least"  # an object says all of the words, and maybe more
    WITHIN = "within"  # an object is limited to some of the words


def find_form(clause: Clause) -> Form:
    """What words mean for `clause` in a box or a question.

    Types, TLP and kinds an object has of itself, and one is enough to be that object. Originators are all that it could
    be of, and each of them must be admitted.
    """
    return _FORMS[clause.name]


def _choose_form(clause: Clause) -> Form:
    if clause.name == "originators":
        return Form.AT_LEAST
    match clause.test:
        case Test.IN | Test.MAX:
            return Form.AMONG
        case Test.ANY:
            return Form.SOME
        case Test.ONLY:
            return Form.AT_LEAST
        case Test.WITHIN:
            return Form.WITHIN


_FORMS = {clause.name: _choose_form(clause) for clause in CLAUSES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A channel from one giver to one receiver; `restrictions` are those of what went along it."""

    giver: PartyId
    receiver: PartyId
    scope: Scope
    restrictions: Restrictions
    agreement: AgreementId
    terms: Digest
    title: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """All objects that say, to each clause in the order of the table, what stands in `says`, as `holder` has them.

    What words mean is said by `find_form`; None says nothing of that clause.
    """

    holder: PartyId
    says: tuple[Words, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where objects of `originator` could end up: a shortest chain to each party that could be given one.

    `boxes` are everything that anybody could hold: the certificate.
    """

    originator: PartyId
    question: Question
    chains: Mapping[PartyId, tuple[Edge, ...]]
    boxes: tuple[Box, ...]


def read_edges(terms: Terms, members: Collection[PartyId], *, consent: Consent) -> tuple[Edge, ...]:
    """Every way in which `terms` let one of `members` give to another."""
    return tuple(
        Edge(
            giver=giver,
            receiver=receiver,
            scope=channel.scope_for(giver),
            restrictions=_read_restrictions(channel, giver, receiver, consent),
            agreement=terms.agreement_id,
            terms=terms.hash,
            title=terms.title,
            channel=channel.id,
        )
        for channel in terms.channels
        for giver, receiver in channel.pairs(members)
    )


def _read_restrictions(channel: Channel, giver: PartyId, receiver: PartyId, consent: Consent) -> Restrictions:
    """As a node has them, but where consent decides: an originator that consents can let it go to anybody."""
    found = find_restrictions(channel, giver=giver, receiver=receiver)
    if channel.onward == "originator_consent" and consent is Consent.GRANTED:
        return replace(found, audience=None)
    return found


def compute_reach(edges: Iterable[Edge], question: Question, *, originator: PartyId) -> Reach:
    """Where an object that fits `question` could end up if it is one of `originator`.

    Raises:
        MalformedRequest: there is more to follow than MAX_BOXES.
    """
    # What comes back to its originator is held there already, bound by nobody's terms.
    leaving = _sort_by_giver(edge for edge in edges if edge.receiver != originator)
    first = _make_first_box(question, originator)
    held: dict[PartyId, list[Box]] = {originator: [first]}
    chains: dict[PartyId, tuple[Edge, ...]] = {}
    waiting = deque[tuple[Box, tuple[Edge, ...]]]([(first, ())])
    followed = 0
    while waiting:
        box, chain = waiting.popleft()
        for arrived, edge in _leave(box, leaving):
            known = held.setdefault(arrived.holder, [])
            if any(_covers(other, arrived) for other in known):
                continue
            followed += 1
            if followed > MAX_BOXES:
                raise MalformedRequest(f"more than {MAX_BOXES} cases are to be followed; give more attributes")
            held[arrived.holder] = [*(other for other in known if not _covers(arrived, other)), arrived]
            chains.setdefault(arrived.holder, (*chain, edge))
            waiting.append((arrived, (*chain, edge)))
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


def make_example(question: Question, chain: Sequence[Edge], *, originator: PartyId) -> Label:
    """The label, at `originator`, of an object that goes along the whole of `chain`."""
    says: dict[str, frozenset[str]] = {}
    for clause in CLAUSES:
        limits = [clause.allowed(edge.scope, edge.receiver) for edge in chain]
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


def _leave(box: Box, leaving: Mapping[PartyId, Sequence[Edge]]) -> Iterator[tuple[Box, Edge]]:
    """All that one box becomes in one step, and by which edge."""
    for edge in leaving.get(box.holder, ()):
        arrived = _follow(box, edge)
        if arrived is not None:
            yield arrived, edge


def _follow(box: Box, edge: Edge) -> Box | None:
    """What arrives of `box` at the other end of `edge`; None when nothing does."""
    says: dict[str, Words] = {}
    for clause, words in zip(CLAUSES, box.says, strict=True):
        ok, says[clause.name] = _pass(clause, words, edge)
        if not ok:
            return None
    says["originators"] = edge.restrictions.originators
    says["audience"] = edge.restrictions.audience
    says["frameworks"] = edge.restrictions.excluded_frameworks
    return Box(holder=edge.receiver, says=tuple(says.values()))


def _pass(clause: Clause, words: Words, edge: Edge) -> tuple[bool, Words]:
    """Whether some object of a box that says `words` to this clause may go along `edge`, and what it then says."""
    allowed = clause.allowed(edge.scope, edge.receiver)
    if allowed is None:
        return True, words
    match find_form(clause):
        case Form.AMONG:
            left = _meet(words, allowed)
            return bool(left), left
        case Form.SOME:
            return bool(_meet(words, allowed)), words
        case Form.AT_LEAST:
            return words is None or words <= allowed, words
        case Form.WITHIN:
            return words is None or allowed <= words, words


def _meet(one: Words, other: Words) -> Words:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _covers(wide: Box, narrow: Box) -> bool:
    """Whether all that `narrow` could do, `wide` can: then `narrow` needs no following of its own."""
    return all(
        wide_words is None or (narrow_words is not None and _is_wider(find_form(clause), wide_words, narrow_words))
        for clause, wide_words, narrow_words in zip(CLAUSES, wide.says, narrow.says, strict=True)
    )


def _is_wider(form: Form, words: frozenset[str], others: frozenset[str]) -> bool:
    """Whether `words` say no less of an object than `others`: all the more where it must say at least so many."""
    return words <= others if form is Form.AT_LEAST else others <= words


def _choose(clause: Clause, words: Words, limits: Sequence[frozenset[str]]) -> frozenset[str]:
    """What one object says to `clause` that goes through all of `limits`."""
    match find_form(clause):
        case Form.AMONG:
            for limit in limits:
                words = _meet(words, limit)
            return frozenset(sorted(words)[:1]) if words else frozenset()
        case Form.SOME:
            return frozenset(min(_meet(words, limit) or {""}) for limit in limits)
        case Form.AT_LEAST:
            return words or frozenset()
        case Form.WITHIN:
            return frozenset()
