# SPDX-License-Identifier: Apache-2.0
"""Pure: the Merkle tree of a log: hashes, tiles, inclusion and consistency, on plain arguments.

Decides what a tree's root is, and whether a proof leads to it. Does not decide who signed the root (`tlog.note`), nor
what a leaf says. Hashing and proofs are those of RFC 6962 §2.1, with SHA-256; tiles are those of C2SP tlog-tiles,
256 hashes wide: tile (level, index) holds at place p the hash of the complete subtree of 256^level leaves that
is number 256 * index + p.

    tiles: dict[tuple[int, int], bytes] = {}
    for tile in append_leaves(read_tile, 0, [leaf_hash(b"first"), leaf_hash(b"second")]):
        tiles[tile.level, tile.index] = tile.hashes
    root_hash(read_tile, 2) == node_hash(leaf_hash(b"first"), leaf_hash(b"second"))

A reader is given as an argument, so the tree may lie in a database, in files, or at a partner. It is asked for each
tile at most once in a call. A tile may hold more hashes than the asked size needs: what is beyond is not read, so
that every proof for every older size can be made from today's tiles.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias

from comity.errors import LogMismatch, MalformedRequest, ProofMismatch

__all__ = [
    "EMPTY_ROOT",
    "Hash",
    "ReadTile",
    "Subtrees",
    "Tile",
    "append_leaves",
    "consistency_proof",
    "find_old_root",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "root_hash",
    "tile_path",
    "verify_consistency",
    "verify_inclusion",
]

Hash: TypeAlias = bytes
"""A SHA-256 as 32 bytes."""

ReadTile: TypeAlias = Callable[[int, int], bytes]
"""(level, index) to the hashes of that tile, 32 bytes each, 1 to 256 of them; empty when there is no such tile."""

Subtrees: TypeAlias = dict[tuple[int, int], Hash]
"""Hashes of complete subtrees of one tree: (n, h) is that of the leaves from n * 2^h on, 2^h of them."""

EMPTY_ROOT: Hash = sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962 §2.1)."""

_HASH_BYTES = 32
_HEIGHT = 8
_WIDTH = 1 << _HEIGHT
_TILE_BYTES = _WIDTH * _HASH_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile, whole: it replaces whatever was kept under its level and index."""

    level: int
    index: int
    hashes: bytes
    """1 to 256 hashes, one after another."""

    @property
    def is_full(self) -> bool:
        """Whether it can grow no more."""
        return len(self.hashes) == _TILE_BYTES


def leaf_hash(leaf: bytes) -> Hash:
    """The hash of a leaf: SHA-256 of a zero byte and the leaf (RFC 6962 §2.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """The hash over two subtrees: SHA-256 of a one byte and both hashes (RFC 6962 §2.1)."""
    return sha256(b"\x01" + left + right).digest()


def append_leaves(read_tile: ReadTile, size: int, leaf_hashes: Sequence[Hash]) -> tuple[Tile, ...]:
    """The tiles that are new or grow when leaves follow the `size` that are there, at all levels, each whole.

    However a run of leaves is split into calls, the tiles come out the same.

    Raises:
        LogMismatch: a tile of the present tree is missing or too short.
    """
    _check_hashes(leaf_hashes)
    tiles: list[Tile] = []
    level, start, added = 0, size, b"".join(leaf_hashes)
    while added:
        index, width = divmod(start, _WIDTH)
        hashes = (_read_hashes(read_tile, level, index, stop=width) if width else b"") + added
        grown = [
            Tile(level=level, index=index + place, hashes=hashes[offset : offset + _TILE_BYTES])
            for place, offset in enumerate(range(0, len(hashes), _TILE_BYTES))
        ]
        tiles += grown
        # A tile that is now full is one hash in the level above. Only tiles that this call filled are in `grown`.
        added = b"".join(_fold(tile.hashes) for tile in grown if tile.is_full)
        level, start = level + 1, index
    return tuple(tiles)


def root_hash(read_tile: ReadTile, size: int, known: Subtrees | None = None) -> Hash:
    """The root of the tree of the first `size` leaves: MTH(D[size]) of RFC 6962 §2.1.

    What is `known` of this very tree is not read again; it then holds the complete subtrees that the root is over, for
    when it has grown.

    Raises:
        LogMismatch: a tile is missing or too short.
    """
    known = {} if known is None else known
    read = _once(read_tile)
    found = {part: known.get(part) or _subtree_hash(read, *part) for part in _divide(0, size)}
    known.clear()
    known.update(found)
    return _join(list(found.values())) if found else EMPTY_ROOT


def inclusion_proof(read_tile: ReadTile, index: int, size: int) -> tuple[Hash, ...]:
    """The hashes that lead from the leaf at `index` (from 0) to the root at `size`: PATH of RFC 6962 §2.1.1.

    Raises:
        MalformedRequest: there is no leaf `index` in a tree of `size`.
        LogMismatch: a tile is missing or too short.
    """
    if not 0 <= index < size:
        raise MalformedRequest(f"there is no leaf {index} in a tree of {size}; leaves count from 0", where="index")
    read = _once(read_tile)
    proof: list[Hash] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(_range_hash(read, middle, stop))
            stop = middle
        else:
            proof.append(_range_hash(read, start, middle))
            start = middle
    return tuple(reversed(proof))


def consistency_proof(read_tile: ReadTile, old_size: int, new_size: int) -> tuple[Hash, ...]:
    """The hashes that show that the tree at `new_size` begins with that at `old_size`: PROOF of RFC 6962 §2.1.2.

    Empty when the sizes are equal, or the old one is 0.

    Raises:
        MalformedRequest: `old_size` is negative or beyond `new_size`.
        LogMismatch: a tile is missing or too short.
    """
    if not 0 <= old_size <= new_size:
        raise MalformedRequest(
            f"a tree of {old_size} leaves is not the beginning of one of {new_size}", where="old_size"
        )
    if old_size in {0, new_size}:
        return ()
    read = _once(read_tile)
    proof: list[Hash] = []
    start, stop = 0, new_size
    # SUBPROOF(m, D[start:stop], b): the old tree ends inside, or at the end of, the range.
    while stop != old_size:
        middle = start + _split(stop - start)
        if old_size <= middle:
            proof.append(_range_hash(read, middle, stop))
            stop = middle
        else:
            proof.append(_range_hash(read, start, middle))
            start = middle
    if start:  # b is false: the verifier does not know this subtree as the old root
        proof.append(_range_hash(read, start, stop))
    return tuple(reversed(proof))


def verify_inclusion(leaf_hash: Hash, index: int, size: int, proof: Sequence[Hash], root: Hash) -> Hash:
    """The root, after the proof has led to it from the leaf at `index` of `size` (RFC 9162 §2.1.3.2).

    That the leaf hash is that of a leaf, and the root one that was signed, is for the caller to know.

    Raises:
        ProofMismatch: it does not, is too long or too short, or there is no such leaf.
    """
    _check_hashes((leaf_hash, root, *proof))
    if not 0 <= index < size:
        raise ProofMismatch(f"there is no leaf {index} in a tree of {size}")
    place, last, found = index, size - 1, leaf_hash
    for other in proof:
        if last == 0:
            raise ProofMismatch(f"the proof for leaf {index} of {size} has more hashes than the tree is high")
        if place & 1 or place == last:
            found = node_hash(other, found)
            place, last = _skip_edge(place, last)
        else:
            found = node_hash(found, other)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofMismatch(f"the proof for leaf {index} of {size} is cut short")
    if found != root:
        raise ProofMismatch(f"the proof for leaf {index} of {size} leads to {found.hex()}, not to {root.hex()}")
    return root


def verify_consistency(old_size: int, new_size: int, proof: Sequence[Hash], old_root: Hash, new_root: Hash) -> Hash:
    """The new root, after the proof has led to it and to the old root (RFC 9162 §2.1.4.2).

    Every tree begins with the empty one: from `old_size` 0 the proof is empty and says nothing about `new_root`.

    Raises:
        ProofMismatch: it does not, is too long or too short, or the sizes cannot be.
    """
    _check_hashes((old_root, new_root, *proof))
    trees = f"a tree of {old_size} and one of {new_size}"
    if not 0 <= old_size <= new_size:
        raise ProofMismatch(f"{trees}: the first is not the beginning of the second")
    if old_size in {0, new_size}:
        if proof:
            raise ProofMismatch(f"{trees} need no proof, and one of {len(proof)} hashes is given")
        if old_root != (new_root if old_size == new_size else EMPTY_ROOT):
            raise ProofMismatch(f"the roots of {trees} differ from what their sizes demand")
        return new_root
    found_old, found_new = _walk_consistency(old_size, new_size, proof, old_root)
    if found_old != old_root:
        raise ProofMismatch(f"the proof for {trees} leads to {found_old.hex()} as the old root, not {old_root.hex()}")
    if found_new != new_root:
        raise ProofMismatch(f"the proof for {trees} leads to {found_new.hex()} as the new root, not {new_root.hex()}")
    return new_root


def find_old_root(old_size: int, new_size: int, proof: Sequence[Hash], new_root: Hash) -> Hash | None:
    """The root at `old_size` of the very tree that has `new_root` at `new_size`, where a proof shows it; else None.

    A consistency proof that leads to `new_root` holds nodes of that tree, so that what it leads to as the old root is
    the root that the tree had: whoever signed another one for that size has signed two histories. Where `old_size` is a
    power of two the old root is not part of a proof, and there is nothing to be found.
    """
    _check_hashes((new_root, *proof))
    if not 0 < old_size < new_size or not old_size & (old_size - 1):
        return None
    try:
        found_old, found_new = _walk_consistency(old_size, new_size, proof, EMPTY_ROOT)
    except ProofMismatch:
        return None
    return found_old if found_new == new_root else None


def tile_path(level: int, index: int, width: int) -> str:
    """Where a tile of `width` hashes lies below a log's prefix (C2SP tlog-tiles): "tile/0/x001/067.p/17".

    A tile of 256 is full and has no ".p/".

    Raises:
        MalformedRequest: a level over 63, a negative index, or a width outside 1 to 256.
    """
    if not (0 <= level < 64 and index >= 0 and 1 <= width <= _WIDTH):  # noqa: PLR2004 (as in the C2SP text)
        raise MalformedRequest(f"there is no tile {index} of {width} hashes at level {level}", where="tile")
    path = f"{index % 1000:03}"
    while index := index // 1000:
        path = f"x{index % 1000:03}/{path}"
    return f"tile/{level}/{path}" + ("" if width == _WIDTH else f".p/{width}")


def _once(read_tile: ReadTile) -> ReadTile:
    """A reader that asks for each tile once."""
    tiles: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        hashes = tiles.get((level, index))
        if hashes is None:
            hashes = tiles[level, index] = read_tile(level, index)
        return hashes

    return read


def _check_hashes(hashes: Sequence[Hash]) -> None:
    # Without this, two hashes could be cut apart at another place and still be hashed as the same bytes.
    for each in hashes:
        if len(each) != _HASH_BYTES:
            raise ProofMismatch(f"a hash of {len(each)} bytes stands where each has {_HASH_BYTES}")


def _split(count: int) -> int:
    """The largest power of two below `count`: k of RFC 6962 §2.1."""
    return 1 << (count - 1).bit_length() - 1


def _skip_edge(place: int, last: int) -> tuple[int, int]:
    """Go up past the levels at which the right edge has no sibling, to where `place` is a right child."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _walk_consistency(old_size: int, new_size: int, proof: Sequence[Hash], old_root: Hash) -> tuple[Hash, Hash]:
    """The old and the new root that the proof leads to, for 0 < old_size < new_size."""
    # When the old tree is complete its root is itself a node of the new tree, and is not sent.
    hashes = proof if old_size & (old_size - 1) else (old_root, *proof)
    if not hashes:
        raise ProofMismatch(f"the proof from {old_size} to {new_size} leaves is empty")
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    found_old = found_new = hashes[0]
    for other in hashes[1:]:
        if last == 0:
            raise ProofMismatch(f"the proof from {old_size} to {new_size} leaves has more hashes than the tree is high")
        if place & 1 or place == last:
            found_old, found_new = node_hash(other, found_old), node_hash(other, found_new)
            place, last = _skip_edge(place, last)
        else:
            found_new = node_hash(found_new, other)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofMismatch(f"the proof from {old_size} to {new_size} leaves is cut short")
    return found_old, found_new


def _read_hashes(read_tile: ReadTile, level: int, index: int, *, stop: int) -> bytes:
    """The first `stop` hashes of a tile."""
    hashes = read_tile(level, index)[: stop * _HASH_BYTES]
    if len(hashes) < stop * _HASH_BYTES:
        held = f"{len(hashes)} bytes where the tree needs {stop * _HASH_BYTES}"
        raise LogMismatch(f"tile {tile_path(level, index, stop)} holds {held}; the log is damaged: restore it")
    return hashes


@lru_cache(maxsize=256)  # a tree that grows asks for the same full subtrees at every size
def _fold(hashes: bytes) -> Hash:
    """The root over a power of two of hashes."""
    while len(hashes) > _HASH_BYTES:
        pairs = range(0, len(hashes), 2 * _HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 2 * _HASH_BYTES]).digest() for at in pairs])
    return hashes


def _range_hash(read_tile: ReadTile, start: int, stop: int) -> Hash:
    """MTH(D[start:stop]) where `start` is a multiple of a power of two not below `stop - start`."""
    return _join([_subtree_hash(read_tile, *part) for part in _divide(start, stop)])


def _divide(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees that such a range consists of, greatest first: number among its kind, and height."""
    while start < stop:
        height = (stop - start).bit_length() - 1
        yield start >> height, height
        start += 1 << height


def _join(subtrees: list[Hash]) -> Hash:
    """The hash over subtrees, greatest first."""
    found = subtrees.pop()
    while subtrees:
        found = node_hash(subtrees.pop(), found)
    return found


def _subtree_hash(read_tile: ReadTile, number: int, height: int) -> Hash:
    """The hash of the complete subtree of 2^height leaves that is `number` of its kind."""
    level, inner = divmod(height, _HEIGHT)
    index, place = divmod(number << inner, _WIDTH)
    stop = place + (1 << inner)
    return _fold(_read_hashes(read_tile, level, index, stop=stop)[place * _HASH_BYTES :])
