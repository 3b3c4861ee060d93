# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on what waits for people: reviews, deletions, and everything else that is their turn."""

import asyncio

from comity.agreement.recognition import Refusal
from comity.agreement.retention import Clause, Delete
from comity.agreement.work import WorkItem
from comity.ids import Instant, ObjectId, format_instant
from comity.node import retention
from comity.node import work as queue
from comity.node.browse import name_objects
from comity.node.node import Node
from comity.node.people import act_alone
from comity.node.retention import Due, Kept, Purged, Text, Tombstone
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, read_actor
from comity.operations.reply import Json
from comity.operations.sight import may_see_work

__all__ = ["delete", "describe_stone", "keep", "list_all", "list_work", "review_agreement", "run"]

_MOST_SHOWN = 1_000
_MOST_AT_ONCE = 200
_MOST_SKIPPED = 1_000_000


def list_all(node: Node, arguments: Arguments) -> Outcome:
    """The objects that are to be reviewed or deleted within the time of notice, the earliest first.

    `more` says that there are others behind them. With `most` it is a part of them, behind the first `from`, with what
    they are called, how many there are (`count`), and what was deleted in the last seven days.
    """
    most = arguments.optional_number("most", most=_MOST_AT_ONCE)
    first = arguments.optional_number("from", most=_MOST_SKIPPED) or 0
    found, now = retention.list_reviews(node), node.clock()
    due = found.items if most is None else found.items[first : first + most]
    listed = [_describe_due(item, found.texts[item.judged.rule.terms], now=now) for item in due]
    if most is None:
        return Outcome(result={"objects": list[Json](listed), "more": found.more})
    named = name_objects(node, {item.object.id for item in due})
    return Outcome(
        result={
            "objects": [{**item, "name": named.get(ObjectId(str(item["id"])))} for item in listed],
            "count": len(found.items),
            "more": found.more,
            "deleted": [describe_stone(stone) for stone in retention.list_deleted(node, most=most)],
        }
    )


def keep(node: Node, arguments: Arguments) -> Outcome:
    """Decide to keep an object."""
    by = act_alone(read_actor(node, arguments), "retain")
    if isinstance(by, Refusal):
        return conclude_refused(by)
    kept = retention.keep(node, arguments.text("id"), reason=arguments.text("reason"), by=by)
    return Outcome(result={"versions": [_describe_kept(item) for item in kept]})


def delete(node: Node, arguments: Arguments) -> Outcome:
    """Delete an object, every version of it; where `versions` are given, only if it is those that are held."""
    by = act_alone(read_actor(node, arguments), "delete")
    if isinstance(by, Refusal):
        return conclude_refused(by)
    purged = retention.delete(
        node,
        arguments.text("id"),
        reason=arguments.text("reason"),
        by=by,
        versions=arguments.texts("versions") or None,
    )
    return Outcome(result=_describe_purged([*purged.stones], purged), deletes=True)


async def run(node: Node, _: Arguments) -> Outcome:
    """Delete everything that is due; partners are answered in between."""
    stones = list[Tombstone]()
    while True:
        purged = retention.delete_due(node)
        stones += purged.stones
        if not purged.more:
            return Outcome(result=_describe_purged(stones, purged), deletes=bool(stones))
        await asyncio.sleep(0)


def list_work(node: Node, arguments: Arguments) -> Outcome:
    """What waits for this party, oldest first; of it what is for the person who asks, where one does."""
    now, by = node.clock(), arguments.by
    items = [item for item in queue.list_work(node) if by is None or may_see_work(by, item.kind)]
    return Outcome(result={"now": format_instant(now), "items": [_describe_item(item, now=now) for item in items]})


def review_agreement(node: Node, arguments: Arguments) -> Outcome:
    """Record that an agreement was reviewed."""
    by = act_alone(read_actor(node, arguments), "review")
    if isinstance(by, Refusal):
        return conclude_refused(by)
    dossier, standing = queue.review_agreement(node, arguments.text("id"), reason=arguments.text("reason"), by=by)
    terms = standing.current or standing.latest
    reviews: list[Json] = [format_instant(date) for date in sorted(terms.reviews)]
    return Outcome(
        result={"agreement": dossier.id, "title": terms.title, "version": terms.version, "review_dates": reviews}
    )


def describe_stone(stone: Tombstone) -> dict[str, Json]:
    """What stays of a deleted version."""
    return {
        "id": stone.id,
        "version": stone.version,
        "digest": stone.digest,
        "originator": stone.originator,
        "deleted_at": format_instant(stone.deleted_at),
        "terms": stone.terms,
        "clause": stone.clause,
        "reason": stone.reason,
        "by": stone.by,
    }


def _describe_due(due: Due, text: Text, *, now: Instant) -> dict[str, Json]:
    judged = due.judged
    clause = judged.clause if isinstance(judged, Delete) else Clause.REVIEW
    return {
        "id": due.object.id,
        "version": due.object.version,
        "act": "delete" if isinstance(judged, Delete) else "review",
        "due": format_instant(judged.due),
        "overdue": judged.due <= now,
        "clause": clause.value,
        "agreement": judged.rule.agreement,
        "title": text.title,
        "from_source": text.version is None,
        "terms": judged.rule.terms,
        "giver": judged.rule.giver,
        "received_at": format_instant(judged.rule.received_at),
    }


def _describe_kept(kept: Kept) -> dict[str, Json]:
    return {
        "id": kept.object.id,
        "version": kept.object.version,
        "until": None if kept.until is None else format_instant(kept.until),
        "clause": None if kept.clause is None else kept.clause.value,
    }


def _describe_purged(stones: list[Tombstone], purged: Purged) -> dict[str, Json]:
    shown: list[Json] = [describe_stone(stone) for stone in stones[:_MOST_SHOWN]]
    return {"count": len(stones), "deleted": shown, "gone": purged.gone}


def _describe_item(item: WorkItem, *, now: Instant) -> dict[str, Json]:
    return {
        "kind": item.kind.value,
        "act": item.act,
        "why": item.why,
        "since": format_instant(item.since),
        "due": None if item.due is None else format_instant(item.due),
        "overdue": item.is_overdue(now),
        "agreement": item.agreement,
        "title": item.title,
        "party": item.party,
        "object": item.object,
        "letter": item.letter,
        "count": item.count,
    }
