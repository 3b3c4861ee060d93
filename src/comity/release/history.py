# SPDX-License-Identifier: Apache-2.0
"""Pure: what of a store counts for a channel by when it came in: the one clause that is not about the label.

A threshold is read two ways, side by side as in the clause table: on one object, and as an SQL condition on a row `o`.
A joiner gets nothing that came in before it joined, whatever the channel says: others signed for that without knowing
it. Where the founders sign a next version that names the joiner, its channels count for it as for all.
"""

from dataclasses import dataclass

from comity.agreement.channels import History
from comity.ids import Instant
from comity.release.clauses import Condition

__all__ = ["Threshold", "admits_history", "find_threshold", "read_history_sql"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What came in at a place after `after_seq`, and at `since` or later; None sets no limit."""

    after_seq: int | None = None
    since: Instant | None = None


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
    if threshold.after_seq is not None:
        return Condition(sql="o.first_seq > ?", parameters=(threshold.after_seq,))
    if threshold.since is not None:
        return Condition(sql="o.added_at >= ?", parameters=(threshold.since,))
    return Condition(sql="1", parameters=())
