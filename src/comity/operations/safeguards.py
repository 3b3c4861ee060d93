# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on safeguards: what is strictly necessary to give, and who may be the same person."""

from comity.agreement.recognition import Refusal
from comity.ids import format_instant
from comity.node import identity, necessity
from comity.node.identity import Judged, StoredLikeness
from comity.node.necessity import Decided
from comity.node.node import Node
from comity.node.people import Waiting
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json

__all__ = ["decide", "differ", "end", "list_all", "list_candidates", "list_judged", "same"]


def decide(node: Node, arguments: Arguments) -> Outcome:
    """What was decided on of an object, or what that still lacks."""
    return _conclude_decided(
        necessity.decide_necessity(
            node, arguments.text("id"), reason=arguments.text("reason"), by=read_actor(node, arguments)
        )
    )


def end(node: Node, arguments: Arguments) -> Outcome:
    """What is decided on no more."""
    return _conclude_decided(
        necessity.end_necessity(
            node, arguments.text("id"), reason=arguments.text("reason"), by=read_actor(node, arguments)
        )
    )


def list_all(node: Node, _: Arguments) -> Outcome:
    """What waits for a decision, and every decision there was."""
    undecided: list[Json] = [
        {"object": item.id, "words": list[Json](sorted(item.words))} for item in necessity.list_undecided(node)
    ]
    decisions: list[Json] = [
        {
            "object": item.object,
            "words": list[Json](sorted(item.words)),
            "at": format_instant(item.decided_at),
            "by": item.decided_by,
            "reason": item.reason,
            "ended_at": None if item.ended_at is None else format_instant(item.ended_at),
            "ended_by": item.ended_by,
            "ended_why": item.ended_why,
        }
        for item in necessity.list_necessity(node)
    ]
    return Outcome(result={"undecided": undecided, "decisions": decisions})


def list_candidates(node: Node, arguments: Arguments) -> Outcome:
    """Whom else a person should look at."""
    found: list[Json] = [
        {
            "object": item.id,
            "name": item.name,
            "names": item.likeness.names,
            "agreeing": list[Json](sorted(item.likeness.agreeing)),
            "differing": list[Json](sorted(item.likeness.differing)),
            "may_be_confirmed": item.likeness.may_be_confirmed,
            "same": None if item.decided is None else item.decided.same,
        }
        for item in identity.find_candidates(node, arguments.text("id"))
    ]
    return Outcome(result={"candidates": found})


def same(node: Node, arguments: Arguments) -> Outcome:
    """That two are one person."""
    return _judge(node, arguments, same=True)


def differ(node: Node, arguments: Arguments) -> Outcome:
    """That two are not."""
    return _judge(node, arguments, same=False)


def list_judged(node: Node, _: Arguments) -> Outcome:
    """What people ever said of two."""
    return Outcome(result={"judged": [_describe_likeness(item) for item in identity.list_judged(node)]})


def _judge(node: Node, arguments: Arguments, *, same: bool) -> Outcome:
    match identity.judge_persons(
        node,
        arguments.text("id"),
        arguments.text("other"),
        same=same,
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
    ):
        case Refusal() as refused:
            return conclude_refused(refused)
        case Waiting() as waiting:
            return conclude_waiting(waiting)
        case Judged() as judged:
            return Outcome(
                result={
                    "one": judged.one,
                    "other": judged.other,
                    "same": judged.same,
                    "agreeing": list[Json](sorted(judged.likeness.agreeing)),
                    "differing": list[Json](sorted(judged.likeness.differing)),
                    "approvals": describe_approvals(judged.approvals),
                }
            )


def _conclude_decided(done: Decided | Waiting | Refusal) -> Outcome:
    match done:
        case Refusal() as refused:
            return conclude_refused(refused)
        case Waiting() as waiting:
            return conclude_waiting(waiting)
        case Decided() as decided:
            words = list[Json](sorted(decided.words))
            approvals = describe_approvals(decided.approvals)
            return Outcome(result={"object": decided.id, "words": words, "approvals": approvals})


def _describe_likeness(item: StoredLikeness) -> dict[str, Json]:
    return {
        "one": item.one,
        "other": item.other,
        "same": item.same,
        "agreeing": list[Json](sorted(item.agreeing)),
        "at": format_instant(item.decided_at),
        "by": item.decided_by,
        "reason": item.reason,
    }
