# SPDX-License-Identifier: Apache-2.0
"""Shell: pages that were filled, and the memory of them, so that what many ask for is put together once.

A page is remembered under everything that it follows from: the feed and its generation, the terms, the floor, and what
was asked for. The last page of a feed also under its end. Bounded by bytes; what was asked for longest ago goes first.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from comity.ids import Digest, Instant, ObjectId
from comity.store.feeds import Feed
from comity.store.log import Grounds, Text

__all__ = ["Filled", "Pages", "Released"]

_COST_OF_OBJECT = 400
"""Bytes that the columns of one object take, besides its own."""

_MOST_JOINED = 64 * 1024
_COST_OF_PAGE = 4_096
_COST_OF_CHARACTER = 3
"""Bytes of memory for each character of what was asked for: a page with nothing on it can be asked for by 1,000 ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """One object of a page: `data` is what leaves (empty where the answer carries no objects)."""

    at: Instant
    id: ObjectId
    version: str
    data: bytes
    redacted: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A page, column by column: `data` are the objects that leave, with a comma between each two, `sizes` their bytes.

    `redacted` names what was removed, by the place of the object. `more` says that others wait behind it. `labels` are
    the digests of those it was decided by, one for each object; `grounded` is how they were put on record, by the
    policy asked then. `answers` is for whoever sends it: what it made of the page, as it is and compressed.
    """

    at: tuple[Instant, ...]
    id: tuple[ObjectId, ...]
    version: tuple[str, ...]
    sizes: tuple[int, ...]
    redacted: Mapping[int, tuple[str, ...]]
    data: bytes
    more: bool
    listing: Text
    labels: tuple[Digest, ...] = ()
    floor: int = 0
    grounded: dict[Digest, Grounds] = field(default_factory=dict, compare=False, repr=False)
    answers: dict[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def items(self) -> tuple[Released, ...]:
        """The objects one by one."""
        start, items = 0, list[Released]()
        for place, size in enumerate(self.sizes):
            items.append(
                Released(
                    at=self.at[place],
                    id=self.id[place],
                    version=self.version[place],
                    data=self.data[start : start + size],
                    redacted=self.redacted.get(place, ()),
                )
            )
            start += size + 1
        return tuple(items)

    def count_bytes(self) -> int:
        """About how much memory it takes, with room for it joined where it is short, and compressed in two ways."""
        joined = min(len(self.data), _MOST_JOINED)
        return len(self.data) + joined + len(self.data) // 2 + len(self.listing.data) + _COST_OF_OBJECT * len(self.at)


class Pages:
    """The pages filled last, at most `most` bytes of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[Hashable, tuple[Filled, Instant, int]] = OrderedDict()

    def find(self, feed: Feed, terms: Digest, asked: Hashable) -> Filled | None:
        """The page that was filled for the same question, if it would be the same."""
        key = _name(feed, terms, asked)
        found = self._kept.get(key)
        if found is None:
            return None
        filled, end, _ = found
        if not filled.more and end != feed.last_at:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return filled

    def keep(self, filled: Filled, feed: Feed, terms: Digest, asked: Hashable, *, characters: int) -> None:
        """Remember the page; what was asked for is of so many characters."""
        key = _name(feed, terms, asked)
        size = filled.count_bytes() + _COST_OF_PAGE + _COST_OF_CHARACTER * characters
        self._drop(key)
        if size > self._most * 2 // 3:
            return
        self._kept[key] = (filled, feed.last_at, size)
        self._size += size
        while self._size > self._most:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Remember nothing."""
        self._kept.clear()
        self._size = 0

    def _drop(self, key: Hashable) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._size -= found[2]


def _name(feed: Feed, terms: Digest, asked: Hashable) -> Hashable:
    return feed.id, feed.generation, feed.floor, terms, asked
