# SPDX-License-Identifier: Apache-2.0
"""Pure: a log, read again from its first entry to its last, by the code that made it.

    verify_log(pages, heads, read_tile=…, origin="comity/aurelia", chain=[…])
        -> Verified(size=42, root=…, opened=40, disclosures=31)

In this order, and the first thing that does not fit is the error, naming the entry:

 1. every entry is a leaf of the known format;
 2. its hash is the one in its tile;
 3. its salt and content are there and open its commitment, or a later entry on record has purged them;
 4. each recipient's sequence numbers run from 1 without a gap; and what is missing is what was purged, to the entry;
 5. every tile above follows from the tiles below;
 6. every recovery follows the log before it, and the checkpoints after it are of the origin that it names;
 7. every signed checkpoint has the root that the entries have at its size, and a signature of the log key that this
    party had when the log had that size.

Not here: reading the store (`node.journal`), and deciding again what was disclosed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from comity.canonical import parse_signed_json
from comity.errors import BadSignature, LogMismatch, MalformedError, MalformedJson, UnknownKey
from comity.ids import Digest, PartyId
from comity.release.disclosure import EntryType, Leaf, parse_leaf, verify_opening
from comity.release.purge import PURGEABLE, Range, Ranges, merge_ranges, parse_log_purge, size_of
from comity.release.recovery import Recovery, parse_recovery
from comity.signing import Manifest, Role
from comity.tlog.merkle import EMPTY_ROOT, ReadTile, append_leaves, leaf_hash, root_hash
from comity.tlog.note import Checkpoint, parse_checkpoint, parse_note, verify_note

__all__ = ["LoggedEntry", "Verified", "verify_log"]

_HASH_BYTES = 32
_TILE_WIDTH = 256
_TILES = 64


class LoggedEntry(NamedTuple):
    """One entry as stored: its position, its leaf, and its opening (salt, content, listing) if it has one."""

    position: int
    leaf: bytes
    opening: tuple[bytes, bytes, bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was verified: `size` entries under `root`, `disclosures` of them of objects.

    `origin` is the log's name at its end. `opened` of them have their content; that of the others, `purged`, was
    deleted by entries on record.
    """

    size: int
    root: bytes
    opened: int
    disclosures: int
    checkpoints: int
    origin: str
    purged: int = 0


@dataclass(slots=True)
class _Tally:
    """What is counted while the entries go by; `missing` and `purged` are entries without content, and what says so.

    `logs` are the origins that the log has had, each behind the size from which on it does not have it any more.
    """

    origin: str
    size: int = 0
    opened: int = 0
    disclosures: int = 0
    rotations: list[tuple[int, str]] = field(default_factory=list)
    logs: list[tuple[int, str]] = field(default_factory=list)
    missing: list[Range] = field(default_factory=list)
    purged: list[Range] = field(default_factory=list)

    def recover(self, position: int, recovery: Recovery) -> None:
        """From the entry at `position` on the log has another origin.

        Raises:
            LogMismatch: it follows a log that this one is not.
        """
        if recovery.previous != self.origin:
            raise LogMismatch(
                f"entry {position} recovers the log {recovery.previous}, which this is not: it is {self.origin}",
                entry=position,
            )
        self.logs.append((position, self.origin))
        self.origin = recovery.origin

    def find_origin(self, size: int) -> str:
        """The origin under which a checkpoint over `size` entries was signed."""
        return next((origin for until, origin in self.logs if size <= until), self.origin)

    def miss(self, position: int) -> None:
        """The entry at `position`, which comes after all before, has lost its content."""
        if self.missing and self.missing[-1].last == position - 1:
            self.missing[-1] = Range(self.missing[-1].first, position)
        else:
            self.missing.append(Range(position, position))


def verify_log(
    entries: Iterable[LoggedEntry],
    heads: Sequence[tuple[int, bytes]],
    *,
    read_tile: ReadTile,
    origin: str,
    chain: Sequence[Manifest],
) -> Verified:
    """The size and root of a log whose every part agrees with every other.

    `chain` are the manifests of the log's party, each verified as following from the one before. Each but the first is
    said by an entry of the log; a checkpoint over that entry is signed by a log key of that manifest, and one before it
    by one of the manifest before.

    Raises:
        LogMismatch: what does not fit; `facts["entry"]` names the entry where one is to blame.
    """
    # An entry's hash is looked for in a tile of 256 of them.
    read_tile = lru_cache(maxsize=_TILES)(read_tile)
    roots = _Roots({size for size, _ in heads})
    tally = _Tally(origin=origin)
    sequences: dict[PartyId, int] = {}
    for entry in entries:
        found = leaf_hash(entry.leaf)
        leaf = _verify_entry(entry, found, tally, read_tile=read_tile)
        _verify_sequence(entry, leaf, sequences)
        roots.add(found)
    roots.finish()
    _verify_purged(tally)
    _verify_tiles(roots, read_tile)
    if tally.size and (not heads or heads[-1][0] != tally.size):
        raise LogMismatch(
            f"there are {tally.size} entries but the last checkpoint is over {heads[-1][0] if heads else 0}"
        )
    in_force = _find_in_force(tally.rotations, chain)
    for size, note in heads:
        keys = (
            next(manifest for start, manifest in reversed(in_force) if start < size or start < 0).roles[Role.LOG].keys
        )
        _verify_head(note, size, root=roots.at.get(size), origin=tally.find_origin(size), log_keys=keys)
    return Verified(
        size=tally.size,
        root=roots.at.get(tally.size, EMPTY_ROOT),
        opened=tally.opened,
        disclosures=tally.disclosures,
        checkpoints=len(heads),
        origin=tally.origin,
        purged=size_of(merge_ranges(tally.missing)),
    )


class _Roots:
    """The tree, built again from the entries alone; its root at every size that has a checkpoint."""

    def __init__(self, sizes: set[int]) -> None:
        self.at: dict[int, bytes] = {}
        self.tiles: dict[tuple[int, int], bytes] = {}
        self._sizes = sizes
        self._size = 0
        self._pending: list[bytes] = []

    def add(self, found: bytes) -> None:
        self._pending.append(found)
        if self._size + len(self._pending) in self._sizes or len(self._pending) == _TILE_WIDTH:
            self._flush()

    def finish(self) -> None:
        self._flush()

    def read(self, level: int, index: int) -> bytes:
        return self.tiles.get((level, index), b"")

    def _flush(self) -> None:
        for tile in append_leaves(self.read, self._size, self._pending):
            self.tiles[tile.level, tile.index] = tile.hashes
        self._size += len(self._pending)
        self._pending = []
        self.at[self._size] = root_hash(self.read, self._size) if self._size else EMPTY_ROOT


def _verify_entry(entry: LoggedEntry, found: bytes, tally: _Tally, *, read_tile: Callable[[int, int], bytes]) -> Leaf:
    """The leaf of the entry, whose hash is `found`."""
    position = entry.position
    if position != tally.size:
        raise LogMismatch(f"entry {tally.size} is missing from the log", entry=tally.size)
    stored = read_tile(0, position // _TILE_WIDTH)[(position % _TILE_WIDTH) * _HASH_BYTES :][:_HASH_BYTES]
    if stored != found:
        raise LogMismatch(f"entry {position} was altered: its hash is not the one in the tree", entry=position)
    try:
        leaf = parse_leaf(entry.leaf)
    except MalformedError as error:
        raise LogMismatch(
            f"entry {position} is not a leaf this version knows: {error.detail}", entry=position
        ) from error
    _verify_content(entry, leaf, tally)
    tally.size += 1
    tally.disclosures += leaf.type is EntryType.DISCLOSURE
    if leaf.type is EntryType.KEY_ROTATION and entry.opening is not None:
        tally.rotations.append((position, _read_manifest(entry.opening[1])))
    return leaf


def _read_manifest(content: bytes) -> str:
    """The digest of the manifest that the content of a key-rotation entry names."""
    said = parse_signed_json(content)
    named = said.get("manifest") if isinstance(said, dict) else None
    return named if isinstance(named, str) else ""


def _verify_content(entry: LoggedEntry, leaf: Leaf, tally: _Tally) -> None:
    position = entry.position
    if entry.opening is None:
        if leaf.type not in PURGEABLE:
            raise LogMismatch(
                f"entry {position} has lost its content, which no purge may take: it is of type {leaf.type}",
                entry=position,
            )
        tally.miss(position)
        return
    salt, content, listing = entry.opening
    try:
        verify_opening(leaf, salt=salt, content=content, listing=listing)
        purged, recovery = parse_log_purge(leaf, content), parse_recovery(leaf, content)
    except (LogMismatch, MalformedJson) as error:
        raise LogMismatch(f"entry {position} was altered: {error.detail}", entry=position) from error
    if purged is not None and purged[-1].last >= position:
        raise LogMismatch(f"entry {position} purges entries that come after it", entry=position)
    if recovery is not None:
        tally.recover(position, recovery)
    tally.purged += purged or ()
    tally.opened += 1


def _verify_purged(tally: _Tally) -> None:
    """What is missing is what was purged: nothing more, and nothing less."""
    missing, purged = merge_ranges(tally.missing), merge_ranges(tally.purged)
    lost, kept = _find_first_beyond(missing, purged), _find_first_beyond(purged, missing)
    if lost is not None:
        raise LogMismatch(f"entry {lost} has lost its content, and no purge of it is on record", entry=lost)
    if kept is not None:
        raise LogMismatch(f"entry {kept} has its content, though its purge is on record", entry=kept)


def _find_first_beyond(ranges: Ranges, known: Ranges) -> int | None:
    """The first entry of `ranges` that is in none of `known`; both are merged, so that one covers whole what it can."""
    place = 0
    for item in ranges:
        while place < len(known) and known[place].last < item.first:
            place += 1
        if place == len(known) or known[place].first > item.first:
            return item.first
        if known[place].last < item.last:
            return known[place].last + 1
    return None


def _verify_sequence(entry: LoggedEntry, leaf: Leaf, sequences: dict[PartyId, int]) -> None:
    if leaf.recipient is None:
        return
    expected = sequences.get(leaf.recipient, 0) + 1
    if leaf.sequence != expected:
        raise LogMismatch(
            f"entry {entry.position} is disclosure {leaf.sequence} to {leaf.recipient}, but {expected} comes next",
            entry=entry.position,
        )
    sequences[leaf.recipient] = expected


def _find_in_force(rotations: Sequence[tuple[int, str]], chain: Sequence[Manifest]) -> list[tuple[int, Manifest]]:
    """Each manifest behind the position of the entry that brought it; -1 for the first, which none did."""
    digests = {manifest.digest: manifest for manifest in chain}
    brought = [(position, digests[Digest(named)]) for position, named in rotations if named in digests]
    if [manifest.digest for _, manifest in brought] != [manifest.digest for manifest in chain[1:]]:
        missing = len(chain) - 1 - len(brought)
        raise LogMismatch(
            f"of {len(chain) - 1} manifests that followed the first, {missing} are in no entry, or out of turn"
        )
    return [(-1, chain[0]), *brought]


def _verify_tiles(roots: _Roots, read_tile: ReadTile) -> None:
    for (level, index), hashes in sorted(roots.tiles.items()):
        stored = read_tile(level, index)
        if stored == hashes:
            continue
        width = min(len(stored), len(hashes)) // _HASH_BYTES
        places = (
            n
            for n in range(width)
            if stored[n * _HASH_BYTES :][:_HASH_BYTES] != hashes[n * _HASH_BYTES :][:_HASH_BYTES]
        )
        place = index * _TILE_WIDTH + next(places, width)
        first = place << (8 * level)
        raise LogMismatch(f"tile {level}/{index} was altered: it does not follow from entry {first} on", entry=first)


def _verify_head(
    note_bytes: bytes, size: int, *, root: bytes | None, origin: str, log_keys: Sequence[bytes]
) -> Checkpoint:
    named = f"the checkpoint over {size} entries"
    try:
        note = parse_note(note_bytes)
        checkpoint = parse_checkpoint(note.text)
    except MalformedError as error:
        raise LogMismatch(f"{named} was altered: {error.detail}") from error
    if checkpoint.origin != origin or checkpoint.size != size:
        raise LogMismatch(f"{named} was altered: it speaks of {checkpoint.size} entries of {checkpoint.origin}")
    for key in log_keys:
        try:
            verify_note(note, origin, key)
        except (UnknownKey, BadSignature):
            continue
        break
    else:
        raise LogMismatch(f"{named} was altered: it carries no signature of this party's log key")
    if checkpoint.root != root:
        raise LogMismatch(f"{named} has another root than the entries before it: the log was rewritten", entry=size - 1)
    return checkpoint
