# SPDX-License-Identifier: Apache-2.0
"""Shell: how much one giver, a partner or a source, may bring in on one day (UTC), and the pause when that is used up.

What is new here counts: the page that brought it, receipts, and what is noted of a version that clashes. A version
that is held already costs no more than its line in a receipt. So whoever has to begin again at an earlier place gets
further each day. It is asked before a page is, and the page that goes beyond it is kept
whole: a place in a feed is never between the objects of a page. Nothing is lost by a pause, as the next page is asked
for from where the last one ended.
"""

from collections.abc import Iterable

from comity.errors import QuotaReached
from comity.ids import Instant
from comity.node.node import Act, Node
from comity.store import pulls
from comity.store.pulls import Use

__all__ = ["check_allowance", "note_paused", "note_used", "outlasts"]

_DAY = 86_400 * 1_000_000
_SECOND = 1_000_000


def check_allowance(node: Node, giver: str) -> None:
    """Nothing, while `giver` may bring in something today.

    Raises:
        QuotaReached: it has brought in as much as it may.
    """
    settings, used = node.settings.follow, _read_use(node, giver)
    if used.bytes < settings.bytes_per_day and used.objects < settings.objects_per_day:
        return
    raise QuotaReached(
        f"{giver} has given {used.objects} objects in {used.bytes} bytes today, and may give"
        f" {settings.objects_per_day} in {settings.bytes_per_day}; the rest is asked for tomorrow (UTC), or when"
        " `objects_per_day` or `bytes_per_day` under [follow] in node.toml says more"
    )


def outlasts(node: Node, giver: str, *, size: int, objects: int) -> bool:
    """Whether `giver` may bring in something today even after a page of so many bytes with that many new objects."""
    settings, used = node.settings.follow, _read_use(node, giver)
    return used.bytes + size < settings.bytes_per_day and used.objects + objects < settings.objects_per_day


def _read_use(node: Node, giver: str) -> Use:
    with node.store.read() as transaction:
        return pulls.read_use(transaction, giver, node.clock() // _DAY)


def note_used(act: Act, giver: str, *, size: int, objects: int = 0) -> None:
    """So many bytes are kept here of `giver`, with so many versions that were not held."""
    if size > 0 or objects > 0:
        pulls.add_use(act.transaction, giver, act.now // _DAY, Use(bytes=size, objects=objects))


def note_paused(node: Node, giver: str, collections: Iterable[str]) -> float:
    """In how many seconds the giver may bring in something again; the channels are shown as paused until then."""
    with node.act() as act:
        until = Instant((act.now // _DAY + 1) * _DAY)
        for collection in collections:
            pulls.note_paused(act.transaction, giver, collection, until)
        return (until - act.now) / _SECOND
