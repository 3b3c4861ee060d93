# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on what is followed."""

from comity.ids import Instant, format_instant
from comity.node import follow
from comity.node.follow import Progress
from comity.node.node import Node
from comity.node.sources import list_followed_sources
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Json
from comity.operations.sight import may_ask

__all__ = ["describe_pause", "show_status"]

_SECOND = 1_000_000


def show_status(node: Node, arguments: Arguments) -> Outcome:
    """Every channel that is followed, or would be, and how it went; who may not read agreements is told of none."""
    named = arguments.by is None or may_ask(arguments.by, "agreement.show")
    settings, now = node.settings.follow, node.clock()
    channels: list[Json] = [
        {
            "giver": item.giver,
            "agreement": item.agreement if named else None,
            "title": item.title if named else None,
            "channel": item.channel if named else None,
            "collection": item.collection if named else None,
            "closed": item.closed if named or item.closed is None else "closed",
            "position": _optional(item.position),
            **_describe(item.progress, position=item.position, now=now, named=named),
        }
        for item in [*follow.list_followed(node), *list_followed_sources(node)]
    ]
    return Outcome(
        result={
            "on": settings.on,
            "interval_seconds": settings.interval_seconds,
            "bytes_per_day": settings.bytes_per_day,
            "objects_per_day": settings.objects_per_day,
            "channels": channels,
        }
    )


def _describe(progress: Progress, *, position: Instant | None, now: Instant, named: bool) -> dict[str, Json]:
    """The progress; `seconds_behind` is at most how long something can be released that is not here.

    `delay_seconds` is from when the newest object here was released, by its giver's clock, to when it came in, by ours.
    """
    taken, in_step = progress.taken_at, progress.in_step_at
    return {
        "taken_at": _optional(taken),
        "delay_seconds": None if taken is None or position is None else _seconds(taken - position),
        "in_step_at": _optional(in_step),
        "seconds_behind": None if in_step is None else _seconds(max(0, now - in_step)),
        "failures": progress.failures,
        "failed_at": _optional(progress.failed_at),
        "problem": progress.problem if named or progress.problem is None else follow.leave_out_named(progress.problem),
        "next_try_at": _optional(progress.due_at),
        "paused_until": describe_pause(progress, now=now),
    }


def describe_pause(progress: Progress, *, now: Instant) -> str | None:
    """Until when nothing is asked for, as the giver has brought in as much as it may; None where it is."""
    until = progress.paused_until
    return None if until is None or until <= now else format_instant(until)


def _seconds(microseconds: int) -> float:
    return round(microseconds / _SECOND, 3)


def _optional(at: Instant | None) -> str | None:
    return None if at is None else format_instant(at)
