# SPDX-License-Identifier: Apache-2.0
"""Pure: what of a store counts for a channel by when it came in: the one clause that is not about the label.

A threshold is read three ways, side by side as in the clause table: on one object, as an SQL condition on a row `o`,
and against another threshold.
A joiner gets nothing that came in before it joined, whatever the channel says: others signed for that without knowing
it. Where the founders sign a next version that names the joiner, its channels count for it as for all.
"""

from dataclasses import dataclass

from comity.agreement.channels import History
from comity.ids import Instant
from comity.release.clauses import Condition

__all__ = ["Threshold", "admits_history", "admits_no_more", "find_threshold", "read_history_sql"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What came in at a place after `after_seq`, and at `since` or later; None sets no limit."""

    after_seq: int | None = None
    since: Instant | None = None

    @property
    def is_limit(self) -> bool:
        """Whether anything could fail to count."""
        return self != Threshold()


def find_threshold(history: History, *, floor: int, joined: bool) -> Threshold:
    """The threshold of a feed whose last signature came when `floor` was the last place taken."""
    if joined or not (history.all or history.since is not None):
        return Threshold(after_seq=floor)
    return Threshold(since=history.since)


def admits_history(threshold: Threshold, *, first_seq: int, added_at: Instant) -> bool:
    """Whether an object that came in at that place and time counts."""
    late = threshold.after_seq is None or first_seq > threshold.after_seq
    return late and (threshold.since is None or added_at >= threshold.since)


def read_history_sql(threshold: Threshold) -> Condition:
    """The condition on a row `o` of objects that holds for exactly those that count."""
    late = () if threshold.after_seq is None else (("o.first_seq > ?", threshold.after_seq),)
    young = () if threshold.since is None else (("o.added_at >= ?", threshold.since),)
    parts = (*late, *young)
    return Condition(
        sql=" AND ".join(sql for sql, _ in parts) or "1", parameters=tuple(parameter for _, parameter in parts)
    )


def admits_no_more(one: Threshold, other: Threshold) -> bool:
    """Whether all that could ever count by `one` counts by `other` too, as far as place and time can tell apart.

    Nothing is concluded from a place to a time: clocks can be set back, places never fall.
    """
    late = other.after_seq is None or (one.after_seq is not None and one.after_seq >= other.after_seq)
    return late and (other.since is None or (one.since is not None and one.since >= other.since))
