# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on safeguards: what is strictly necessary to give, and who may be the same person."""

import asyncio

from comity.agreement.recognition import Refusal
from comity.ids import format_instant
from comity.node import identity, necessity
from comity.node.browse import name_objects
from comity.node.identity import Judged, StoredLikeness
from comity.node.necessity import Decided, StoredNecessity, Undecided
from comity.node.node import Node
from comity.node.people import Waiting
from comity.node.steps import advance
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import (
    conclude_refused,
    conclude_waiting,
    describe_approvals,
    read_actor,
    require_present,
)
from comity.operations.reply import Json

__all__ = ["conclude_decided", "decide", "differ", "end", "list_all", "list_candidates", "list_judged", "same"]

_MOST = 1_000_000
_MOST_AT_ONCE = 200


def decide(node: Node, arguments: Arguments) -> Outcome:
    """What was decided on of an object, or what that still lacks; with `shown`, only if it is that which waits."""
    shown = arguments.optional("shown")
    return conclude_decided(
        necessity.decide_necessity(
            node,
            arguments.text("id"),
            reason=arguments.text("reason"),
            by=read_actor(node, arguments),
            shown=None if shown is None else shown.split(),
        )
    )


def end(node: Node, arguments: Arguments) -> Outcome:
    """What is decided on no more."""
    return conclude_decided(
        necessity.end_necessity(
            node,
            arguments.text("id"),
            reason=arguments.text("reason"),
            by=read_actor(node, arguments),
            through=arguments.seen_through(),
        )
    )


def list_all(node: Node, arguments: Arguments) -> Outcome:
    """What waits for a decision, by id, and every decision there was, oldest first; `object` asks of one alone.

    With `most` it is a part of each, behind the first `waiting_from` and `decided_from`, the newest decision first, and
    what the objects are called; `counts` says how many there are of each, `through` when the last decision was made.
    """
    about, most = arguments.optional("object"), arguments.optional_number("most", most=_MOST_AT_ONCE)
    undecided, decided = necessity.list_undecided(node, about), necessity.list_necessity(node, about)
    counts: dict[str, Json] = {"undecided": len(undecided), "decisions": len(decided)}
    if most is None:
        waiting = list[Json](map(_describe_undecided, undecided))
        return Outcome(result={"undecided": waiting, "decisions": list[Json](map(_describe_decision, decided))})
    through = format_instant(max(item.decided_at for item in decided)) if decided else ""
    first, second = (arguments.optional_number(name, most=_MOST) or 0 for name in ("waiting_from", "decided_from"))
    undecided, decided = undecided[first : first + most], decided[::-1][second : second + most]
    named = name_objects(node, {*(item.id for item in undecided), *(item.object for item in decided)})
    return Outcome(
        result={
            "undecided": [{**_describe_undecided(item), "name": named.get(item.id)} for item in undecided],
            "decisions": [{**_describe_decision(item), "name": named.get(item.object)} for item in decided],
            "counts": counts,
            "through": through,
        }
    )


async def list_candidates(node: Node, arguments: Arguments) -> Outcome:
    """Whom else a person should look at, by id; partners are answered in between."""
    steps = identity.find_candidates(node, arguments.text("id"))
    while (done := advance(steps)) is None:
        await asyncio.sleep(0)
        require_present(node, arguments)
    found = done.result
    candidates: list[Json] = [
        {
            "object": item.id,
            "name": item.name,
            "names": item.likeness.names,
            "agreeing": list[Json](sorted(item.likeness.agreeing)),
            "differing": list[Json](sorted(item.likeness.differing)),
            "may_be_confirmed": item.likeness.may_be_confirmed,
            "shown": identity.name_likeness(item.likeness),
            "same": None if item.decided is None else item.decided.same,
        }
        for item in found.items
    ]
    return Outcome(result={"object": found.id, "name": found.name, "candidates": candidates, "more": found.more})


def same(node: Node, arguments: Arguments) -> Outcome:
    """That two are one person.

    `through` is when what the person saw was said last ("": nothing was), and `shown` how alike they were, as of a
    candidate: where it is otherwise by now, nothing is said.
    """
    return _judge(node, arguments, same=True)


def differ(node: Node, arguments: Arguments) -> Outcome:
    """That two are not; `through` and `shown` as in `same`."""
    return _judge(node, arguments, same=False)


def list_judged(node: Node, arguments: Arguments) -> Outcome:
    """What people ever said of two, oldest first; of one person, where `id` names one, with what both are called."""
    about = arguments.optional("id")
    judged = identity.list_judged(node, about)
    described = [_describe_likeness(item) for item in judged]
    if about is None:
        return Outcome(result={"judged": list[Json](described)})
    named = name_objects(node, {name for item in judged for name in (item.one, item.other)})
    return Outcome(result={"judged": list[Json](described), "names": {str(name): it for name, it in named.items()}})


def conclude_decided(done: Decided | Waiting | Refusal) -> Outcome:
    """What was decided, waits for somebody, or is refused."""
    match done:
        case Refusal() as refused:
            return conclude_refused(refused)
        case Waiting() as waiting:
            return conclude_waiting(waiting)
        case Decided() as decided:
            words = list[Json](sorted(decided.words))
            approvals = describe_approvals(decided.approvals)
            return Outcome(result={"object": decided.id, "words": words, "approvals": approvals})


def _judge(node: Node, arguments: Arguments, *, same: bool) -> Outcome:
    match identity.judge_persons(
        node,
        arguments.text("id"),
        arguments.text("other"),
        same=same,
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
        through=arguments.seen_through(),
        shown=arguments.optional("shown"),
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


def _describe_undecided(item: Undecided) -> dict[str, Json]:
    return {"object": item.id, "words": list[Json](sorted(item.words))}


def _describe_decision(item: StoredNecessity) -> dict[str, Json]:
    return {
        "object": item.object,
        "words": list[Json](sorted(item.words)),
        "at": format_instant(item.decided_at),
        "by": item.decided_by,
        "reason": item.reason,
        "ended_at": None if item.ended_at is None else format_instant(item.ended_at),
        "ended_by": item.ended_by,
        "ended_why": item.ended_why,
    }


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
