# SPDX-License-Identifier: Apache-2.0
"""Shell: operations that let a node forget what its log recorded, and what keeps it whole."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from comity.agreement.people import parse_badge, parse_role
from comity.agreement.recognition import Refusal
from comity.errors import MalformedRequest
from comity.ids import ObjectId, format_instant, is_object_id, parse_instant, parse_party_id
from comity.node import backup, purge
from comity.node import purge_received as receiving
from comity.node.node import Node
from comity.node.people import Waiting
from comity.node.purge import Forgotten, Searched, Selection, StoredBackup
from comity.node.recovery import Asking, recover_folder
from comity.node.steps import advance
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json
from comity.release.purge import Ranges, size_of

__all__ = ["note_backup", "purge_by_order", "purge_by_rule", "purge_received", "recover"]

_MAX_NAMED = 1_000
_MOST = 2**53 - 1


async def purge_by_order(node: Node, arguments: Arguments) -> Outcome:
    """Purge the content of the entries that were named, once two people said so; or say which it would be."""
    selection = _read_selection(node, arguments)
    if arguments.flag("dry_run"):
        ranges = purge.count_selected(node, selection)
        return Outcome(result={"count": size_of(ranges), "entries": _list_ranges(ranges)})
    done = purge.purge_by_order(node, selection, reason=arguments.text("reason"), by=read_actor(node, arguments))
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    if isinstance(done, Refusal):
        return conclude_refused(done)
    return Outcome(result=await _describe(node, [done]), deletes=True)


async def purge_by_rule(node: Node, _: Arguments) -> Outcome:
    """Purge what is older than `content_days`; partners are answered in between."""
    done = list[Forgotten]()
    while not done or done[-1].more:
        done.append(purge.purge_due(node))
        await asyncio.sleep(0)
    return Outcome(result=await _describe(node, done), deletes=any(item.ranges for item in done))


async def purge_received(node: Node, arguments: Arguments) -> Outcome:
    """Purge what receipts and refused pages of a partner say of what it gave, once two people said so."""
    done = receiving.purge_received(
        node,
        parse_party_id(arguments.text("party")),
        until=parse_instant(arguments.text("before")),
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
    )
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    if isinstance(done, Refusal):
        return conclude_refused(done)
    searched = await _search(node, done.salts) if done.gone and done.salts else None
    return Outcome(
        result={
            "purge": done.purge,
            "receipts": _list_ranges(done.ranges),
            "set_aside": done.set_aside,
            "refused_pages": done.refused,
            "more": done.more,
            "gone": done.gone and (searched is None or not searched.found),
            "searched": None if searched is None else _describe_search(searched),
            "backups": list[Json](_describe_backup(item) for item in done.backups),
            "approvals": describe_approvals(done.approvals),
        },
        deletes=True,
    )


def note_backup(node: Node, arguments: Arguments) -> Outcome:
    """Keep that a backup was made, by the command that made it."""
    backup.note_backup(
        node,
        name=arguments.text("id"),
        made_at=parse_instant(arguments.text("made_at")),
        place=arguments.text("place"),
        size=arguments.number("size", most=_MOST),
        count=arguments.number("bytes", most=_MOST),
        with_keys=arguments.flag("with_keys"),
    )
    return Outcome(result={})


def recover(
    folder: Path,
    *,
    reason: str,
    badge: str | None,
    role: str | None,
    why: str | None,
    heads: Mapping[str, bytes],
    unlock: Callable[[], bytes],
    without_witnesses: bool,
) -> Outcome:
    """What became of a recovery of the node in `folder`, which cannot be opened as one that serves is."""
    from comity.witnessing import ask_last_sizes

    done = recover_folder(
        folder,
        reason=reason,
        badge=None if badge is None else parse_badge(badge.encode("ascii")),
        role=None if role is None else parse_role(role),
        why=why,
        heads=heads,
        unlock=unlock,
        witnesses=Asking(
            ask=lambda node: asyncio.run(ask_last_sizes(node)) if node.settings.witnesses else (),
            go_on_without=without_witnesses,
        ),
    )
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    if isinstance(done, Refusal):
        return conclude_refused(done)
    return Outcome(
        result={
            "origin": done.recovery.origin,
            "previous": done.recovery.previous,
            "known": done.recovery.known.decode("utf-8"),
            "entry": done.entry,
            "lost": done.lost,
            "witnesses": [
                {
                    "name": each.name,
                    "size": each.size,
                    "others": dict[str, Json](each.others),
                    "problem": each.problem,
                    "answered": each.answered,
                }
                for each in done.asked
            ],
            "ended": done.ended,
            "cosigning_stopped": done.stopped,
            "suspended": list[Json](done.suspended),
            "persons": list[Json](done.persons),
            "credentials": list[Json](done.credentials),
            "told": list[Json](done.told),
            "statement": done.statement.decode("utf-8"),
            "approvals": describe_approvals(done.approvals),
        }
    )


def _read_selection(node: Node, arguments: Arguments) -> Selection:
    before, agreement = arguments.optional("before"), arguments.optional("agreement")
    recipient, item = arguments.optional("recipient"), arguments.optional("object")
    numbers = arguments.texts("entries")
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise MalformedRequest("an entry is named by its number", where="--entry")
    if item is not None and not is_object_id(item):
        raise MalformedRequest(f"{item[:80]!r} is not the whole id of an object: TYPE--UUID", where="--object")
    return Selection(
        until=None if before is None else parse_instant(before),
        agreement=None if agreement is None else purge.find_agreement_named(node, agreement),
        recipient=None if recipient is None else parse_party_id(recipient),
        item=None if item is None else ObjectId(item),
        entries=frozenset(map(int, numbers)),
    )


async def _describe(node: Node, done: list[Forgotten]) -> dict[str, Json]:
    last = done[-1]
    searched = await _search(node, last.salts) if last.gone and last.salts else None
    made: list[Json] = [_describe_backup(item) for item in last.backups]
    ranges = [each for item in done for each in _list_ranges(item.ranges)]
    return {
        "count": sum(size_of(item.ranges) for item in done),
        "entries": ranges[:_MAX_NAMED],
        "purges": list[Json](item.purge for item in done[:_MAX_NAMED] if item.purge is not None),
        "more": last.more,
        "gone": last.gone and (searched is None or not searched.found),
        "searched": None if searched is None else _describe_search(searched),
        "backups": made,
        "approvals": describe_approvals(last.approvals),
    }


async def _search(node: Node, salts: tuple[bytes, ...]) -> Searched:
    steps = purge.search_folder(node.folder, salts)
    while True:
        done = advance(steps)
        if done is not None:
            return done.result
        await asyncio.sleep(0)


def _describe_search(searched: Searched) -> dict[str, Json]:
    return {
        "files": searched.files,
        "bytes": searched.bytes,
        "salts": searched.salts,
        "found_in": list[Json](searched.found),
    }


def _describe_backup(backup: StoredBackup) -> dict[str, Json]:
    return {
        "id": backup.id,
        "made_at": format_instant(backup.made_at),
        "place": backup.place,
        "size": backup.size,
        "with_keys": backup.with_keys,
    }


def _list_ranges(ranges: Ranges) -> list[Json]:
    return [list[Json]([item.first, item.last]) for item in ranges[:_MAX_NAMED]]
