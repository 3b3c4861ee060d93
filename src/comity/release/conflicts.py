# SPDX-License-Identifier: Apache-2.0
"""Pure: where terms and an agreement that the same party is bound by cannot both be kept.

Two kinds, each with both clauses and a sentence for a legal officer:

    duties  one receiver could get one object under both, and what it owes for it differs
    onward  what a party gives here is passed on to somebody, or inside a framework, that its terms do not allow

Said of the texts alone: two scopes overlap when some object could go under both, held or not. What is held today is
counted by whoever asks (`node.preview`), for the flows that a contradiction names.

Not here: whether the conflict matters. People decide that; a conflict forbids nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from comity.agreement.terms import Terms
from comity.canonical import Json, parse_signed_json
from comity.ids import PartyId
from comity.release.clauses import CLAUSES, Test
from comity.release.preview import Flow, list_flows

__all__ = ["ConflictKind", "Contradiction", "find_contradictions", "overlaps"]

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
class _Side:
    """One of the two texts, and how a sentence calls it."""

    terms: Terms
    flows: Sequence[Flow]
    document: Mapping[str, Json]

    @property
    def name(self) -> str:
        return f"{self.terms.title!r} ({self.terms.hash[:12]})"


def find_contradictions(terms: Terms, other: Terms, *, party: PartyId) -> tuple[Contradiction, ...]:
    """Every conflict between `terms` and `other`, both as `party` would be bound by them."""
    one, two = _open(terms), _open(other)
    return (*_find_duties(one, two, party=party), *_find_onward(one, two, party=party))


def describe_witness(found: Contradiction, *, party: PartyId, labels: int, objects: int) -> str:
    """The sentence that says what is held today of what `found` is about."""
    held = f"{_count(objects, 'object')} ({_count(labels, 'label')})"
    match found.kind:
        case ConflictKind.DUTIES if objects:
            return f"Of what is held today, {held} would go under both."
        case ConflictKind.DUTIES if found.giver != party:
            return f"The scopes overlap; what {found.giver} holds of it is not known here."
        case ConflictKind.DUTIES:
            return "The scopes overlap; nothing that is held today would go under both."
        case ConflictKind.ONWARD if objects:
            return f"Of what {found.giver} gave, {held} would not go today, by their audience alone."
        case ConflictKind.ONWARD:
            return "The scopes overlap; nothing that is held today is concerned."


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def overlaps(one: Flow, other: Flow) -> bool:
    """Whether some object could be admitted by both scopes.

    A clause that silence passes cannot keep them apart. Nor can `any`: one object can be about a subject of each.
    """
    return all(
        _can_agree(clause.test, clause.allowed(one.scope, one.receiver), clause.allowed(other.scope, other.receiver))
        for clause in CLAUSES
    )


def _can_agree(test: Test, one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    """Whether something can be said that both let through; None is no limit."""
    match test:
        case Test.ONLY | Test.WITHIN:
            return True
        case Test.ANY:
            return all(words is None or words for words in (one, other))
        case Test.IN | Test.MAX:
            shared = _intersect(one, other)
            return shared is None or bool(shared)


def _intersect(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _open(terms: Terms) -> _Side:
    document = parse_signed_json(terms.document)
    return _Side(terms=terms, flows=list_flows(terms), document=document if isinstance(document, dict) else {})


# --- duties -----------------------------------------------------------------------------------------------------------


def _find_duties(one: _Side, two: _Side, *, party: PartyId) -> Iterator[Contradiction]:
    """For each two flows from one giver to one receiver, this party among them, each duty that differs."""
    for flow in one.flows:
        for other in two.flows:
            if (flow.giver, flow.receiver) != (other.giver, other.receiver) or party not in {flow.giver, flow.receiver}:
                continue
            if not overlaps(flow, other):
                continue
            for clause, other_clause, difference in _compare_duties(one, flow, two, other):
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


def _compare_duties(one: _Side, flow: Flow, two: _Side, other: Flow) -> Iterator[tuple[str, str, str]]:
    """Each duty that differs: the clause in both texts, and what it comes to."""
    if difference := _compare_actions(one, two):
        yield "permitted_actions", "permitted_actions", difference
    if difference := _compare_uses(one, two):
        yield "prohibited_uses", "prohibited_uses", difference
    if difference := _compare_retention(one, two):
        yield "retention", "retention", difference
    if difference := _compare_attribution(one, flow, two, other):
        yield f"channels.{flow.channel}.attribution", f"channels.{other.channel}.attribution", difference


def _compare_actions(one: _Side, two: _Side) -> str | None:
    if one.terms.permitted_actions == two.terms.permitted_actions:
        return None
    narrow, wide = sorted((one, two), key=lambda side: _ACTIONS.index(side.terms.permitted_actions))
    return (
        f"may take {wide.terms.permitted_actions} under {wide.name} and only {narrow.terms.permitted_actions} under "
        f"{narrow.name}: the wider undercuts the narrower"
    )


def _compare_uses(one: _Side, two: _Side) -> str | None:
    parts = [
        f"{', '.join(sorted(words))} is prohibited by {by.name} and not by {free.name}"
        for by, free in ((one, two), (two, one))
        if (words := by.terms.prohibited_uses - free.terms.prohibited_uses)
    ]
    return "; ".join(parts) or None


def _compare_retention(one: _Side, two: _Side) -> str | None:
    bounds = [_read_retention(side) for side in (one, two)]
    if bounds[0] == bounds[1]:
        return None
    said = [
        f"{f'for {bound} at most' if bound else 'without a limit'} under {side.name}"
        for side, bound in zip((one, two), bounds, strict=True)
    ]
    return f"may keep it {said[0]} and {said[1]}"


def _read_retention(side: _Side) -> str | None:
    """How long what was given may be kept, as the text writes it; None where it sets no limit."""
    retention = side.document.get("retention")
    bound = retention.get("maximum") if isinstance(retention, dict) else None
    return bound if isinstance(bound, str) else None


def _compare_attribution(one: _Side, flow: Flow, two: _Side, other: Flow) -> str | None:
    said = (_read_attribution(one, flow), _read_attribution(two, other))
    if set(said) != {"must", "must-not"}:
        return None
    must, must_not = (one, two) if said[0] == "must" else (two, one)
    return f"must name the source under {must.name} and must not under {must_not.name}"


def _read_attribution(side: _Side, flow: Flow) -> str | None:
    channels = side.document.get("channels")
    for channel in channels if isinstance(channels, list) else ():
        if isinstance(channel, dict) and channel.get("id") == flow.channel:
            word = channel.get("attribution")
            return word if isinstance(word, str) else None
    return None


# --- onward -----------------------------------------------------------------------------------------------------------


def _find_onward(one: _Side, two: _Side, *, party: PartyId) -> Iterator[Contradiction]:
    """What the terms pass on of what comes under the other agreement, and the other way round."""
    yield from _pass_on(one, two, party=party)
    for found in _pass_on(two, one, party=party):
        yield replace(
            found,
            flow=found.other_flow,
            clause=found.other_clause,
            other_flow=found.flow,
            other_clause=found.clause,
        )


def _pass_on(sinks: _Side, sources: _Side, *, party: PartyId) -> Iterator[Contradiction]:
    """What `party` would pass on under `sinks` of what it gets under `sources`, and those do not allow."""
    for source in sources.flows:
        for sink in sinks.flows:
            if source.receiver != party or sink.giver != party or source.giver not in sink.scope.originators:
                continue
            if sink.receiver == source.giver or not overlaps(source, sink):
                continue
            for clause, source_clause, sentence in _undercut(sinks, sink, sources, source):
                yield Contradiction(
                    kind=ConflictKind.ONWARD,
                    flow=sink,
                    clause=clause,
                    other_flow=source,
                    other_clause=source_clause,
                    giver=source.giver,
                    receiver=sink.receiver,
                    sentence=sentence,
                )


def _undercut(sinks: _Side, sink: Flow, sources: _Side, source: Flow) -> Iterator[tuple[str, str, str]]:
    """Each rule on passing on that the sink breaks: its clause, the clause of the source, and what it comes to."""
    whose = f"what {source.giver} gives {source.receiver} under {sources.name}, channel {source.channel}"
    how = f"{sinks.name}, channel {sink.channel}"
    onward = f"channels.{source.channel}.onward"
    if refused := _find_refused(source, {sink.receiver}):
        sentence = f"{how} admits {whose}, and that must not go to {_list(refused)}"
        yield f"channels.{sink.channel}.originators", onward, sentence
    if refused := _find_refused(source, sink.releasable_to):
        sentence = f"{how} lets {sink.receiver} pass on {whose}, and that must not go to {_list(refused)}"
        yield f"channels.{sink.channel}.releasable_to", onward, sentence
    if sinks.terms.framework is not None and sinks.terms.framework in sources.terms.excluded_frameworks:
        sentence = f"{how} admits {whose}, and that must not be used or passed on within {sinks.terms.framework!r}"
        yield "framework", "excluded_frameworks", sentence


def _find_refused(source: Flow, to: set[PartyId] | frozenset[PartyId]) -> frozenset[PartyId]:
    """Those of `to` that may not have it; nobody beforehand, where the originator is asked each time."""
    if source.onward == "originator_consent":
        return frozenset()
    return frozenset(to) - source.releasable_to - {source.giver, source.receiver}


def _list(parties: frozenset[PartyId]) -> str:
    return ", ".join(sorted(parties))
