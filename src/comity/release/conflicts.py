# SPDX-License-Identifier: Apache-2.0
"""Pure: where terms and an agreement that the same party is bound by cannot both be kept.

Three kinds, each with both clauses and a sentence for a legal officer:

    duties     one receiver could get one object under both, and what it owes for it differs
    onward     what a party gives under one is passed on under the other to somebody whom its terms do not allow
    framework  what a party gives under one must not be used or passed on inside the framework of the other

Said of the texts alone: two scopes overlap when some object could go under both, held or not. What is held today is
counted by whoever asks (`node.preview`), for the flows that a contradiction names.

Not here: whether the conflict matters. People decide that; a conflict forbids nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from comity.agreement.duration import format_duration
from comity.agreement.duties import Retention
from comity.agreement.terms import Terms
from comity.counting import say_count
from comity.ids import PartyId
from comity.release.clauses import CLAUSES, SILENCE_PASSES, Test
from comity.release.preview import Flow

__all__ = ["ConflictKind", "Contradiction", "Side", "describe_witness", "find_contradictions", "overlaps"]

_ACTIONS = (
    "none",
    "contact-for-instruction",
    "internally-visible-actions",
    "externally-visible-indirect-actions",
    "externally-visible-direct-actions",
)
"""From the narrowest to the widest (IEP 2.0, permitted actions)."""


class ConflictKind(StrEnum):
    """What cannot both be kept."""

    DUTIES = "duties"
    ONWARD = "onward"
    FRAMEWORK = "framework"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """One conflict by the texts: the flow and clause of the terms asked about, and those of the other agreement.

    `giver` and `receiver` are whose material it is about and who would get it.
    """

    kind: ConflictKind
    flow: Flow
    clause: str
    other_flow: Flow
    other_clause: str
    giver: PartyId
    receiver: PartyId
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two texts: what is given under it between whom (`release.preview.list_flows`)."""

    terms: Terms
    flows: Sequence[Flow]

    @property
    def name(self) -> str:
        """How a sentence calls it."""
        return f"{self.terms.title!r} ({self.terms.hash[:12]})"


def find_contradictions(one: Side, two: Side, *, party: PartyId) -> tuple[Contradiction, ...]:
    """Every conflict between two texts, both as `party` would be bound by them."""
    return (
        *_find_duties(one, two, party=party),
        *_pass_on(one, two, party=party),
        *map(_turn, _pass_on(two, one, party=party)),
        *_find_inside(one, two, party=party),
        *map(_turn, _find_inside(two, one, party=party)),
    )


def _turn(found: Contradiction) -> Contradiction:
    """The same with the texts the other way round."""
    return replace(
        found,
        flow=found.other_flow,
        clause=found.other_clause,
        other_flow=found.flow,
        other_clause=found.clause,
    )


def describe_witness(found: Contradiction, *, party: PartyId, labels: int, objects: int) -> str:
    """The sentence that says what is held today of what `found` is about."""
    if objects:
        return _describe_held(found, f"{say_count(objects, 'object')} ({say_count(labels, 'label')})")
    match found.kind:
        case ConflictKind.DUTIES if found.giver != party:
            return f"The scopes overlap; what {found.giver} holds of it is not known here."
        case ConflictKind.DUTIES:
            return "The scopes overlap; nothing that is held today would go under both."
        case ConflictKind.ONWARD:
            return "The scopes overlap; nothing that is held today is concerned."
        case ConflictKind.FRAMEWORK:
            return "Nothing that is held today is kept from going there by the frameworks alone."


def _describe_held(found: Contradiction, held: str) -> str:
    match found.kind:
        case ConflictKind.DUTIES:
            return f"Of what is held today, {held} would go under both."
        case ConflictKind.ONWARD:
            return f"Of what {found.giver} gave, {held} would not go today, by their audience alone."
        case ConflictKind.FRAMEWORK:
            return f"Of what {found.giver} gave, {held} would not go today, by the frameworks alone."


def overlaps(one: Flow, other: Flow) -> bool:
    """Whether some object could be admitted by both scopes.

    A clause that silence passes cannot keep them apart. Nor can `any`: one object can be about a subject of each.
    History cannot either: what is taken in later counts for both.
    """
    return all(
        _can_agree(clause.test, clause.allowed(one.scope, one.receiver), clause.allowed(other.scope, other.receiver))
        for clause in CLAUSES
    )


def _can_agree(test: Test, one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    """Whether something can be said that both let through; None is no limit."""
    limits = [words for words in (one, other) if words is not None]
    if test in SILENCE_PASSES or not limits:
        return True
    return all(limits) if test is Test.ANY else bool(frozenset.intersection(*limits))


# --- duties -----------------------------------------------------------------------------------------------------------


def _find_duties(one: Side, two: Side, *, party: PartyId) -> Iterator[Contradiction]:
    """For each two flows from one giver to one receiver, this party among them, each duty that differs."""
    for flow in one.flows:
        for other in two.flows:
            if (flow.giver, flow.receiver) != (other.giver, other.receiver) or party not in {flow.giver, flow.receiver}:
                continue
            # Most agreements have the same duties: whether their scopes overlap is then nobody's question.
            differences = [*_compare_duties(one, flow, two, other)]
            if not differences or not overlaps(flow, other):
                continue
            for clause, other_clause, difference in differences:
                yield Contradiction(
                    kind=ConflictKind.DUTIES,
                    flow=flow,
                    clause=clause,
                    other_flow=other,
                    other_clause=other_clause,
                    giver=flow.giver,
                    receiver=flow.receiver,
                    sentence=f"{flow.receiver} can get the same object from {flow.giver} under {one.name}, channel "
                    f"{flow.channel}, and under {two.name}, channel {other.channel}, and {difference}",
                )


def _compare_duties(one: Side, flow: Flow, two: Side, other: Flow) -> Iterator[tuple[str, str, str]]:
    """Each duty that differs: the clause in both texts, and what it comes to."""
    if difference := _compare_actions(one, two):
        yield "permitted_actions", "permitted_actions", difference
    if difference := _compare_uses(one, two):
        yield "prohibited_uses", "prohibited_uses", difference
    if difference := _compare_retention(one, two):
        yield "retention", "retention", difference
    if difference := _compare_attribution(one, flow, two, other):
        yield f"channels.{flow.channel}.attribution", f"channels.{other.channel}.attribution", difference


def _compare_actions(one: Side, two: Side) -> str | None:
    if one.terms.permitted_actions == two.terms.permitted_actions:
        return None
    narrow, wide = sorted((one, two), key=lambda side: _ACTIONS.index(side.terms.permitted_actions))
    return (
        f"may take {wide.terms.permitted_actions} under {wide.name} and only {narrow.terms.permitted_actions} under "
        f"{narrow.name}: the wider undercuts the narrower"
    )


def _compare_uses(one: Side, two: Side) -> str | None:
    parts = [
        f"{', '.join(sorted(words))} is prohibited by {by.name} and not by {free.name}"
        for by, free in ((one, two), (two, one))
        if (words := by.terms.prohibited_uses - free.terms.prohibited_uses)
    ]
    return "; ".join(parts) or None


def _compare_retention(one: Side, two: Side) -> str | None:
    """Spans that are written otherwise and are the same (P12M, P1Y) are the same."""
    if one.terms.retention == two.terms.retention:
        return None
    said = [f"{_name_retention(side.terms.retention)} under {side.name}" for side in (one, two)]
    return f"may keep it {said[0]} and {said[1]}"


def _name_retention(retention: Retention | None) -> str:
    if retention is None:
        return "without a limit"
    most = "without a limit" if retention.maximum is None else f"for {format_duration(retention.maximum)} at most"
    return f"{most}, reviewed after {format_duration(retention.review_after)},"


def _compare_attribution(one: Side, flow: Flow, two: Side, other: Flow) -> str | None:
    said = (flow.scope.attribution, other.scope.attribution)
    if set(said) != {"must", "must-not"}:
        return None
    must, must_not = (one, two) if said[0] == "must" else (two, one)
    return f"must name the source under {must.name} and must not under {must_not.name}"


# --- onward -----------------------------------------------------------------------------------------------------------


def _pass_on(sinks: Side, sources: Side, *, party: PartyId) -> Iterator[Contradiction]:
    """What `party` would pass on under `sinks` of what it gets under `sources`, to whom those do not allow."""
    for source, sink in _find_chains(sinks, sources, party=party):
        whose, how = _name_source(sources, source), f"{sinks.name}, channel {sink.channel}"
        rule, channel = f"channels.{source.channel}.onward", f"channels.{sink.channel}"
        if refused := _find_refused(source, {sink.receiver}):
            sentence = f"{how} admits {whose}, and that must not go to {_list(refused)}"
            yield _contradict(ConflictKind.ONWARD, (source, sink), (rule, f"{channel}.originators"), sentence)
        if refused := _find_refused(source, sink.releasable_to):
            sentence = f"{how} lets {sink.receiver} pass on {whose}, and that must not go to {_list(refused)}"
            yield _contradict(ConflictKind.ONWARD, (source, sink), (rule, f"{channel}.releasable_to"), sentence)


def _find_chains(sinks: Side, sources: Side, *, party: PartyId) -> Iterator[tuple[Flow, Flow]]:
    """What `party` gets under `sources` and could then give another under `sinks`: the first flow and the second.

    What comes in a channel may be of any originator that the channel names.
    """
    for source in sources.flows:
        for sink in sinks.flows:
            chained = source.receiver == party == sink.giver and sink.receiver != source.giver
            if chained and source.scope.originators <= sink.scope.originators and overlaps(source, sink):
                yield source, sink


def _find_refused(source: Flow, to: set[PartyId] | frozenset[PartyId]) -> frozenset[PartyId]:
    """Those of `to` that may not have it; nobody beforehand, where the originator is asked each time."""
    if source.onward == "originator_consent":
        return frozenset()
    return frozenset(to) - source.releasable_to - {source.giver, source.receiver}


# --- frameworks -------------------------------------------------------------------------------------------------------


def _find_inside(inside: Side, sources: Side, *, party: PartyId) -> Iterator[Contradiction]:
    """What `party` gets under `sources` that must not be used or passed on inside the framework of `inside`.

    Where no channel of `inside` would pass it on, it must not be used there either. A giver inside knows.
    """
    framework = inside.terms.framework
    if framework is None or framework not in sources.terms.excluded_frameworks:
        return
    clauses = ("excluded_frameworks", "framework")
    chains = list(_find_chains(inside, sources, party=party))
    for source, sink in chains:
        sentence = (
            f"{inside.name}, channel {sink.channel}, admits {_name_source(sources, source)}, and that must not be "
        )
        sentence += f"used or passed on within {framework!r}"
        yield _contradict(ConflictKind.FRAMEWORK, (source, sink), clauses, sentence)
    passed = {source for source, _ in chains}
    own = [flow for flow in inside.flows if party in {flow.giver, flow.receiver}]
    known = {name for flow in inside.flows for name in (flow.giver, flow.receiver)}
    for source in sources.flows:
        if source.receiver == party and source not in passed and source.giver not in known and own:
            sentence = (
                f"{_name_source(sources, source)} must not be used within {framework!r}, which {inside.name} is in"
            )
            yield _contradict(ConflictKind.FRAMEWORK, (source, own[0]), clauses, sentence)


def _contradict(kind: ConflictKind, flows: tuple[Flow, Flow], clauses: tuple[str, str], sentence: str) -> Contradiction:
    """The contradiction about what came by the first of `flows`, and the clause for the text that each is of."""
    source, sink = flows
    return Contradiction(
        kind=kind,
        flow=sink,
        clause=clauses[1],
        other_flow=source,
        other_clause=clauses[0],
        giver=source.giver,
        receiver=sink.receiver,
        sentence=sentence,
    )


def _name_source(sources: Side, source: Flow) -> str:
    return f"what {source.giver} gives {source.receiver} under {sources.name}, channel {source.channel}"


def _list(parties: frozenset[PartyId]) -> str:
    return ", ".join(sorted(parties))
