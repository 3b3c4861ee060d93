# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on what this party says of objects: words and threat assessments."""

from collections.abc import Iterable, Sequence

from comity.agreement.recognition import Refusal
from comity.classification.assessment import Assessment
from comity.classification.words import FIELDS
from comity.errors import MalformedRequest
from comity.ids import Instant, format_instant, parse_instant
from comity.node import assess as assessing
from comity.node import classify
from comity.node.assess import STATES, Assessed, HeldAssessment, NewAssessment
from comity.node.classify import Classified
from comity.node.effects import ReleaseEffect
from comity.node.node import Node
from comity.node.people import Waiting
from comity.operations.browsing import read_position
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json
from comity.stix.tags import VOCABULARIES, Tags

__all__ = [
    "assess",
    "conclude_classified",
    "describe_effects",
    "list_assessments",
    "preview",
    "renew",
    "say",
    "show",
    "show_assessment",
    "take_back",
]

_MOST_SHOWN = 20
"""Objects that are named of each release effect; the rest is counted."""

_MOST_LISTED = 200


def say(node: Node, arguments: Arguments) -> Outcome:
    """Say words of an object."""
    words, reason = _read_words(arguments), arguments.text("reason")
    return conclude_classified(
        classify.say(node, arguments.text("id"), words, reason=reason, by=read_actor(node, arguments))
    )


def take_back(node: Node, arguments: Arguments) -> Outcome:
    """Say words of an object no more."""
    words, reason = _read_words(arguments), arguments.text("reason")
    return conclude_classified(
        classify.take_back(
            node,
            arguments.text("id"),
            words,
            reason=reason,
            by=read_actor(node, arguments),
            through=arguments.seen_through(),
        )
    )


def preview(node: Node, arguments: Arguments) -> Outcome:
    """Which releases would be gained or lost if words were said of an object."""
    effects = classify.foresee_said(node, arguments.text("id"), _read_words(arguments))
    return Outcome(result={"effects": describe_effects(effects)})


def show(node: Node, arguments: Arguments) -> Outcome:
    """All that is said of an object, and by whom."""
    found = classify.list_classification(node, arguments.text("id"))
    said: list[Json] = [
        {
            "field": tag.field,
            "word": tag.word,
            "list": tag.list,
            "version": tag.version,
            "person": tag.person,
            "rules": tag.rules,
            "at": format_instant(tag.said_at),
            "reason": tag.reason,
            "ended_at": None if tag.ended_at is None else format_instant(tag.ended_at),
            "ended_by": tag.ended_by,
            "ended_why": tag.ended_why,
        }
        for tag in found.said
    ]
    return Outcome(
        result={
            "object": found.id,
            "plain": _describe_tags(found.plain),
            "restricts_only": found.restricts_only,
            "said": said,
        }
    )


def assess(node: Node, arguments: Arguments) -> Outcome:
    """Write a threat assessment."""
    new = NewAssessment(
        assessed=arguments.text("id"),
        title=arguments.text("title"),
        text=arguments.text("text"),
        author=arguments.text("author"),
        threat=arguments.text("threat"),
        may_go_to=arguments.texts("may_go_to"),
        may_return_to=arguments.texts("may_return_to"),
        basis=arguments.text("basis"),
        evaluation=arguments.text("evaluation"),
        tlp=arguments.text("tlp"),
        expires_at=parse_instant(arguments.text("until")),
    )
    return _conclude_assessed(assessing.assess(node, new, by=read_actor(node, arguments)))


def renew(node: Node, arguments: Arguments) -> Outcome:
    """Renew a threat assessment."""
    return _conclude_assessed(
        assessing.renew(
            node,
            arguments.text("id"),
            expires_at=parse_instant(arguments.text("until")),
            reason=arguments.text("reason"),
            text=arguments.optional("text"),
            by=read_actor(node, arguments),
            version=arguments.optional("version"),
        )
    )


def show_assessment(node: Node, arguments: Arguments) -> Outcome:
    """One threat assessment."""
    return Outcome(result=_describe_held(assessing.show_assessment(node, arguments.text("id"))))


def list_assessments(node: Node, arguments: Arguments) -> Outcome:
    """Every threat assessment that is held.

    With `most` so many of those that stand as `state` says (null: all but those that lapsed), before which `before` is
    the `next` of another part.
    """
    most = arguments.optional_number("most", most=_MOST_LISTED)
    if most is None:
        return Outcome(result={"assessments": [_describe_held(item) for item in assessing.list_assessments(node)]})
    state, position = arguments.optional("state"), read_position(arguments.optional("before"))
    if state is not None and state not in STATES:
        raise MalformedRequest(f"state must be one of {', '.join(STATES)}", where="state")
    before = None if position is None else (Instant(position.pk), position.first_seq)
    found, end = assessing.look_through_assessments(node, state=state, before=before, limit=most)
    listed = list[Json](_describe_held(item) for item in found)
    return Outcome(result={"assessments": listed, "next": None if end is None else f"{end[0]}-{end[1]}"})


def _read_words(arguments: Arguments) -> dict[str, Sequence[str]]:
    return {field: words for field in FIELDS if (words := arguments.texts(field))}


def conclude_classified(done: Classified | Waiting | Refusal) -> Outcome:
    """What was said of an object or taken back, or what that still lacks."""
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    return Outcome(
        result={
            "object": done.id,
            "words": [{"field": field, "word": word} for field, word in done.words],
            "restricts_only": done.restricts_only,
            "approvals": describe_approvals(done.approvals),
        }
    )


def _conclude_assessed(done: Assessed | Waiting | Refusal) -> Outcome:
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    return Outcome(
        result={
            "object": done.id,
            "version": done.version,
            **_describe_assessment(done.says),
            "approvals": describe_approvals(done.approvals),
        },
    )


def _describe_held(item: HeldAssessment) -> dict[str, Json]:
    return {
        "object": item.object.id,
        "version": item.object.version,
        "originator": item.object.originator,
        **_describe_assessment(item.says),
        "lapsed": item.lapsed,
        "state": item.state,
        "own": item.own,
    }


def _describe_assessment(says: Assessment) -> dict[str, Json]:
    return {
        "assessed": says.assessed,
        "title": says.title,
        "text": says.text,
        "authors": [*says.authors],
        "threat": says.threat,
        "may_go_to": [*sorted(says.may_go_to)],
        "may_return_to": [*sorted(says.may_return_to)],
        "basis": says.basis,
        "evaluation": says.evaluation,
        "expires_at": format_instant(says.expires_at),
    }


def describe_effects(effects: Iterable[ReleaseEffect]) -> list[Json]:
    """Each channel and receiver of which releases are gained or lost, with the first objects of each kind."""
    return [
        {
            "agreement": effect.agreement,
            "title": effect.title,
            "channel": effect.channel,
            "recipient": effect.recipient,
            "closed": effect.closed,
            "gained": len(effect.gained),
            "lost": len(effect.lost),
            "changed": len(effect.changed),
            "gained_objects": [*effect.gained[:_MOST_SHOWN]],
            "lost_objects": [{"object": name, "clause": clause} for name, clause in effect.lost[:_MOST_SHOWN]],
            "changed_objects": [*effect.changed[:_MOST_SHOWN]],
        }
        for effect in effects
    ]


def _describe_tags(tags: Tags) -> dict[str, Json]:
    return {field: [*sorted(getattr(tags, field))] for field in VOCABULARIES}
