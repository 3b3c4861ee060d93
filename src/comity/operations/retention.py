# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on what waits for people: reviews, deletions, and everything else that is their turn."""

import asyncio

from comity.agreement.recognition import Refusal
from comity.agreement.retention import Delete
from comity.agreement.work import WorkItem
from comity.ids import Instant, ObjectId, format_instant
from comity.node import retention
from comity.node import work as queue
from comity.node.browse import name_objects
from comity.node.due import Due, Place, Text, find_clause, look_through_due
from comity.node.node import Node
from comity.node.people import act_alone
from comity.node.retention import Kept, Purged, Tombstone
from comity.node.steps import advance
from comity.operations.browsing import read_position
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, read_actor, require_present
from comity.operations.reply import Json
from comity.operations.sight import may_see_work

__all__ = ["delete", "describe_stone", "keep", "list_all", "list_work", "review_agreement", "run"]

_MOST_SHOWN = 1_000


async def list_all(node: Node, arguments: Arguments) -> Outcome:
    """A part of the objects that are to be reviewed or deleted within the time of notice, the earliest first.

    It is `most` of them, behind `after`, the `next` of another part; `count` is how many there are in all. With `named`
    it says what they are called, and what was deleted in the last seven days. Partners are answered in between.
    """
    most = arguments.optional_number("most", most=_MOST_SHOWN) or _MOST_SHOWN
    position = read_position(arguments.optional("after"), where="after")
    after = None if position is None else Place(Instant(position.pk), position.first_seq)
    steps = look_through_due(node, after=after, most=most)
    while (done := advance(steps)) is None:
        await asyncio.sleep(0)
        require_present(node, arguments)
    found, now = done.result, node.clock()
    listed = [_describe_due(item, found.texts[item.judged.rule.terms], now=now) for item in found.items]
    result: dict[str, Json] = {
        "objects": list[Json](listed),
        "count": found.count,
        "next": None if found.next is None else f"{found.next.due}-{found.next.pk}",
        "more": found.next is not None,
    }
    if arguments.flag("named"):
        named = name_objects(node, {item.object.id for item in found.items})
        result["objects"] = [{**item, "name": named.get(ObjectId(str(item["id"])))} for item in listed]
        result["deleted"] = [describe_stone(stone) for stone in retention.list_deleted(node, most=most)]
    return Outcome(result=result)


def keep(node: Node, arguments: Arguments) -> Outcome:
    """Decide to keep an object; where `versions` are given, these versions of it."""
    by = act_alone(read_actor(node, arguments), "retain")
    if isinstance(by, Refusal):
        return conclude_refused(by)
    versions = arguments.texts("versions") or None
    kept = retention.keep(node, arguments.text("id"), reason=arguments.text("reason"), by=by, versions=versions)
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
    """Record that an agreement was reviewed; with `terms`, that this text of it was."""
    by = act_alone(read_actor(node, arguments), "review")
    if isinstance(by, Refusal):
        return conclude_refused(by)
    dossier, standing = queue.review_agreement(
        node,
        arguments.text("id"),
        reason=arguments.text("reason"),
        by=by,
        shown=arguments.optional("terms"),
    )
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
    return {
        "id": due.object.id,
        "version": due.object.version,
        "act": "delete" if isinstance(judged, Delete) else "review",
        "due": format_instant(judged.due),
        "overdue": judged.due <= now,
        "clause": find_clause(judged).value,
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
