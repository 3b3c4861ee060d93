# SPDX-License-Identifier: Apache-2.0
"""Merkle trees for tests: the definitions of RFC 6962 §2.1 word by word, and a store of tiles that counts its reads."""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256

from comity.tlog.merkle import append_leaves

__all__ = ["NaiveTree", "TileStore", "fake_hashes"]


def fake_hashes(count: int) -> list[bytes]:
    """Hashes to stand for leaf hashes; which leaves they are of plays no part."""
    return [sha256(number.to_bytes(8, "big")).digest() for number in range(count)]


class NaiveTree:
    """MTH, PATH and SUBPROOF of RFC 6962, as recursive as they stand there, over leaf hashes."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self.hashes = hashes
        self.mth = cache(self._mth)

    def root(self, size: int) -> bytes:
        return self.mth(0, size) if size else sha256(b"").digest()

    def path(self, index: int, size: int) -> tuple[bytes, ...]:
        return tuple(self.mth(*span) for span, _ in self.path_steps(index, 0, size))

    def proof(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        return tuple(self.mth(*span) for span, _ in self.proof_steps(old_size, 0, new_size, known=True))

    def path_steps(self, index: int, start: int, stop: int) -> list[tuple[tuple[int, int], str]]:
        """The ranges that a path is made of, each with the side it stands on."""
        if stop - start == 1:
            return []
        middle = start + split(stop - start)
        if index < middle:
            return [*self.path_steps(index, start, middle), ((middle, stop), "right")]
        return [*self.path_steps(index, middle, stop), ((start, middle), "left")]

    def proof_steps(self, old: int, start: int, stop: int, *, known: bool) -> list[tuple[tuple[int, int], str]]:
        """The ranges that a consistency proof is made of; "base" is the subtree that both trees begin from."""
        if stop == old:
            return [] if known else [((start, stop), "base")]
        middle = start + split(stop - start)
        if old <= middle:
            return [*self.proof_steps(old, start, middle, known=known), ((middle, stop), "right")]
        return [*self.proof_steps(old, middle, stop, known=False), ((start, middle), "left")]

    def _mth(self, start: int, stop: int) -> bytes:
        if stop - start == 1:
            return self.hashes[start]
        middle = start + split(stop - start)
        return sha256(b"\x01" + self.mth(start, middle) + self.mth(middle, stop)).digest()


def split(count: int) -> int:
    """The largest power of two smaller than `count`, found by doubling."""
    power = 1
    while 2 * power < count:
        power *= 2
    return power


class TileStore:
    """Tiles in memory, whole as `append_leaves` gives them."""

    def __init__(self, batches: Iterable[Sequence[bytes]] = ()) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.size = 0
        self.reads: list[tuple[int, int]] = []
        for batch in batches:
            self.append(batch)

    def append(self, hashes: Sequence[bytes]) -> list[tuple[int, int]]:
        """The places of the tiles that were written."""
        grown = append_leaves(self.read, self.size, hashes)
        self.tiles |= {(tile.level, tile.index): tile.hashes for tile in grown}
        self.size += len(hashes)
        return [(tile.level, tile.index) for tile in grown]

    def read(self, level: int, index: int) -> bytes:
        self.reads.append((level, index))
        return self.tiles.get((level, index), b"")
