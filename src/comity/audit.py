# SPDX-License-Identifier: Apache-2.0
"""Pure: the logs of a party, read again from the first entry to the last, by the code that made them.

    verify_logs(pages, heads, read_tile=…, numbers={…}, origin="comity/aurelia", chain=[…])
        -> Verified(size=42, root=…, opened=40, disclosures=31, …)

The entries of all logs are read in the order of their commits. In this order, and the first thing that does not fit is
the error, naming the entry:

 1. every entry is the next of its log, which is that of the house or one that an entry of the house's log has opened;
 2. it is a leaf of the known format;
 3. its hash is the one in its tile, if that is full: before, only the checkpoints say what it is;
 4. its salt and content are there and open its commitment, or a later entry on record has purged them;
 5. each recipient's sequence numbers run from 1 without a gap; and what is missing is what was purged, to the entry;
 6. the heads of other logs that the house's log names are those that these logs have there, and with each act in the
    house's log those of all that have grown are named;
 7. every tile above follows from the tiles below;
 8. every recovery follows the log before it, the checkpoints after it are of the origin that it names, and the logs
    that were open before it get no more entries;
 9. every signed checkpoint has the root that the entries of its log have at its size, and a signature of the log key
    that this party had then.

Not here: reading the store (`node.journal`), and deciding again what was disclosed.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

from comity.canonical import parse_signed_json
from comity.counting import say_count
from comity.errors import BadSignature, LogMismatch, MalformedError, MalformedJson, UnknownKey
from comity.ids import AgreementId, Digest, PartyId
from comity.release.disclosure import EntryType, Leaf, parse_leaf, verify_opening
from comity.release.logs import LogOpening, NamedHead, parse_heads, parse_opening
from comity.release.purge import PURGEABLE, Range, find_first_beyond, merge_ranges, parse_log_purge, size_of
from comity.release.recovery import Recovery, parse_recovery
from comity.signing import Manifest, Role
from comity.tlog.merkle import EMPTY_ROOT, ReadTile, Subtrees, append_leaves, leaf_hash, root_hash
from comity.tlog.note import Checkpoint, parse_checkpoint, parse_note, verify_note

__all__ = ["HOUSE", "LoggedEntry", "ReadLogTile", "Verified", "VerifiedLog", "verify_logs"]

HOUSE = 0
"""The number of the log of the house."""

_HASH_BYTES = 32
_TILE_WIDTH = 256
_TILES = 64


class LoggedEntry(NamedTuple):
    """One entry as stored: its position, its leaf, and its opening (salt, content, listing) if it has one.

    `log` is the number of its log, and `place` its place there.
    """

    position: int
    leaf: bytes
    opening: tuple[bytes, bytes, bytes] | None
    log: int
    place: int


class ReadLogTile(Protocol):
    """The hashes of one tile of the log with that number; empty when there is none."""

    def __call__(self, level: int, index: int, number: int) -> bytes:
        """They are 32 bytes each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLog:
    """The log of a relationship that was verified: `size` entries under `root`; `closed` when a recovery ended it."""

    origin: str
    agreement: AgreementId
    recipient: PartyId
    size: int
    root: bytes
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was verified: `size` entries of all logs, `disclosures` of them of objects.

    `origin` is the name of the house's log at its end, `root` the root of its `house` entries; the others are in
    `logs`. `opened` entries have their content; that of the others, `purged`, was deleted by entries on record.
    """

    size: int
    house: int
    root: bytes
    opened: int
    disclosures: int
    checkpoints: int
    origin: str
    purged: int = 0
    logs: tuple[VerifiedLog, ...] = ()


@dataclass(slots=True)
class _Tally:
    """What is counted while the entries go by; `missing` and `purged` are entries without content, and what says so.

    `origins` are those that the house's log has had, each behind the size from which on it does not have it any more.
    """

    origin: str
    size: int = 0
    opened: int = 0
    disclosures: int = 0
    rotations: list[tuple[int, str]] = field(default_factory=list)
    origins: list[tuple[int, str]] = field(default_factory=list)
    missing: list[Range] = field(default_factory=list)
    purged: list[Range] = field(default_factory=list)

    def recover(self, position: int, place: int, recovery: Recovery) -> None:
        """From the entry at `position` on the house's log has another origin.

        Raises:
            LogMismatch: it follows a log that this one is not.
        """
        if recovery.previous != self.origin:
            raise LogMismatch(
                f"entry {position} recovers the log {recovery.previous}, which this is not: it is {self.origin}",
                entry=position,
            )
        self.origins.append((place, self.origin))
        self.origin = recovery.origin

    def find_origin(self, size: int) -> str:
        """The origin under which a checkpoint of the house's log over `size` entries was signed."""
        return next((origin for until, origin in self.origins if size <= until), self.origin)

    def miss(self, position: int) -> None:
        """The entry at `position`, which comes after all before, has lost its content."""
        if self.missing and self.missing[-1].last == position - 1:
            self.missing[-1] = Range(self.missing[-1].first, position)
        else:
            self.missing.append(Range(position, position))


def verify_logs(
    entries: Iterable[LoggedEntry],
    heads: Mapping[int, Sequence[tuple[int, bytes]]],
    *,
    read_tile: ReadLogTile,
    numbers: Mapping[str, int],
    origin: str,
    chain: Sequence[Manifest],
) -> Verified:
    """The logs whose every part agrees with every other.

    `heads` are the checkpoints of each log by its number, `numbers` those of the logs of relationships by origin, and
    `origin` the first one of the house's log. `chain` are the manifests of the logs' party, each verified as following
    from the one before. Each but the first is said by an entry of the house's log; a checkpoint over entries as late as
    that is signed by a log key of that manifest, and one before it by one of the manifest before.

    Raises:
        LogMismatch: what does not fit; `facts["entry"]` names the entry where one is to blame.
    """
    tally = _Tally(origin=origin)
    trees = _Trees(heads, read_tile=read_tile, numbers=numbers)
    sequences: dict[PartyId, int] = {}
    for entry in entries:
        tree = trees.find(entry, tally)
        found = leaf_hash(entry.leaf)
        leaf = _verify_entry(entry, found, tally, tree)
        _verify_sequence(entry, leaf, sequences)
        tree.add(found, entry.position)
        if entry.log == HOUSE:
            trees.follow(entry, leaf)
        else:
            trees.grown.add(entry.log)
    _verify_purged(tally)
    in_force = _find_in_force(tally.rotations, chain)
    trees.finish()
    for number, tree in sorted(trees.by_number.items()):
        tree.verify_tiles()
        before = 0
        for size, note in heads.get(number, ()):
            keys = next(found for start, found in reversed(in_force) if start <= tree.find_end(size)).roles[Role.LOG]
            name = tally.find_origin(size) if tree.opening is None else tree.opening.origin
            _verify_head(note, size, tree=tree, before=before, origin=name, log_keys=keys.keys)
            before = size
    house = trees.by_number[HOUSE]
    return Verified(
        size=tally.size,
        house=house.size,
        root=house.root,
        opened=tally.opened,
        disclosures=tally.disclosures,
        checkpoints=sum(map(len, heads.values())),
        origin=tally.origin,
        purged=size_of(merge_ranges(tally.missing)),
        logs=trees.describe(),
    )


class _Tree:
    """One tree, built again from the entries alone; its root at every size that has a checkpoint.

    `positions` are those of its entries.
    """

    def __init__(self, sizes: set[int], read_tile: ReadTile, opening: LogOpening | None = None) -> None:
        self.opening = opening
        self.closed = False
        self.at: dict[int, bytes] = {0: EMPTY_ROOT}
        self.positions = array("q")
        self.tiles: dict[tuple[int, int], bytes] = {}
        # An entry's hash is looked for in a tile of 256 of them.
        self.read_stored = lru_cache(maxsize=_TILES)(read_tile)
        self.size = 0
        self.sizes = sizes
        self._flushed = 0
        self._pending: list[bytes] = []
        self._subtrees: Subtrees = {}

    @property
    def root(self) -> bytes:
        """The root of all entries so far."""
        self.flush()
        return self.at[self.size]

    def add(self, found: bytes, position: int) -> None:
        self._pending.append(found)
        self.positions.append(position)
        self.size += 1
        if self.size in self.sizes or len(self._pending) == _TILE_WIDTH:
            self.flush()

    def find_end(self, size: int) -> int:
        """The position of the last of `size` entries, or of what is nearest to it."""
        return self.positions[min(size, self.size) - 1] if size and self.size else 0

    def read(self, level: int, index: int) -> bytes:
        return self.tiles.get((level, index), b"")

    def flush(self) -> None:
        if not self._pending:
            return
        for tile in append_leaves(self.read, self._flushed, self._pending):
            self.tiles[tile.level, tile.index] = tile.hashes
        self._flushed += len(self._pending)
        self._pending = []
        self.at[self._flushed] = root_hash(self.read, self._flushed, self._subtrees)

    def verify_tiles(self) -> None:
        """Return if every tile is the one that is stored."""
        for (level, index), hashes in sorted(self.tiles.items()):
            stored = self.read_stored(level, index)
            if stored == hashes:
                continue
            width = min(len(stored), len(hashes)) // _HASH_BYTES
            starts = range(0, width * _HASH_BYTES, _HASH_BYTES)
            places = (n for n, at in enumerate(starts) if stored[at:][:_HASH_BYTES] != hashes[at:][:_HASH_BYTES])
            first = self.find_end(((index * _TILE_WIDTH + next(places, width)) << (8 * level)) + 1)
            raise LogMismatch(
                f"tile {level}/{index} of {self.name} was altered: it does not follow from entry {first} on",
                entry=first,
            )

    @property
    def name(self) -> str:
        """What the log is called where something does not fit."""
        return "the house's log" if self.opening is None else f"the log {self.opening.origin}"


class _Trees:
    """The tree of each log; `grown` are those whose head the house's log has to name with its next act."""

    def __init__(
        self, heads: Mapping[int, Sequence[tuple[int, bytes]]], *, read_tile: ReadLogTile, numbers: Mapping[str, int]
    ) -> None:
        self._heads = heads
        self._read_tile = read_tile
        self._numbers = numbers
        self.by_number = {HOUSE: self._make(HOUSE, None)}
        self.grown = set[int]()

    def find(self, entry: LoggedEntry, tally: _Tally) -> _Tree:
        """The tree that the entry is the next leaf of.

        Raises:
            LogMismatch: it is the next of none.
        """
        position, tree = entry.position, self.by_number.get(entry.log)
        if position != tally.size:
            raise LogMismatch(f"entry {tally.size} is missing from the log", entry=tally.size)
        if tree is None or tree.closed:
            said = "that was not opened before it" if tree is None else "that a recovery ended before it"
            raise LogMismatch(f"entry {position} is in a log {said}", entry=position)
        if entry.place != tree.size:
            raise LogMismatch(f"entry {position} is not entry {tree.size} of {tree.name}", entry=position)
        return tree

    def follow(self, entry: LoggedEntry, leaf: Leaf) -> None:
        """Note what an entry of the house's log says of the others.

        Raises:
            LogMismatch: it is not so, or it is the end of an act that does not name all that have grown.
        """
        house, position = self.by_number[HOUSE], entry.position
        content = b"" if entry.opening is None else entry.opening[1]
        try:
            opening, named = parse_opening(leaf, content), parse_heads(leaf, content)
        except MalformedJson as error:
            raise LogMismatch(f"entry {position}: {error.detail}", entry=position) from error
        if opening is not None:
            self._open(opening, position)
        for head in named:
            self._verify_named(head, position)
        if leaf.type is EntryType.RECOVERY:
            for number, tree in self.by_number.items():
                tree.closed = tree.closed or number != HOUSE
        if self.grown and house.size in house.sizes:
            first = self.by_number[min(self.grown)]
            raise LogMismatch(
                f"entry {position} is the end of an act, and {first.name} has grown: its head is not on record",
                entry=position,
            )

    def finish(self) -> None:
        """Return if each log that is there was opened, and ends with a checkpoint."""
        if missing := sorted(origin for origin, number in self._numbers.items() if number not in self.by_number):
            raise LogMismatch(f"the log {missing[0]} is there, and no entry has opened it")
        for number, tree in self.by_number.items():
            tree.flush()
            last = self._heads[number][-1][0] if self._heads.get(number) else 0
            if tree.size != last:
                raise LogMismatch(
                    f"{tree.name} has {tree.size} entries but its last checkpoint is over {last}, up to entry"
                    f" {tree.find_end(tree.size)}",
                    entry=tree.find_end(tree.size),
                )

    def describe(self) -> tuple[VerifiedLog, ...]:
        """The logs of relationships, in the order in which they were opened."""
        return tuple(
            VerifiedLog(
                origin=tree.opening.origin,
                agreement=tree.opening.agreement,
                recipient=tree.opening.recipient,
                size=tree.size,
                root=tree.root,
                closed=tree.closed,
            )
            for _, tree in sorted(self.by_number.items())
            if tree.opening is not None
        )

    def _make(self, number: int, opening: LogOpening | None) -> _Tree:
        sizes = {size for size, _ in self._heads.get(number, ())}
        return _Tree(sizes, partial(self._read_tile, number=number), opening)

    def _open(self, opening: LogOpening, position: int) -> None:
        number = self._numbers.get(opening.origin)
        if number is None or number in self.by_number:
            said = "which is missing" if number is None else "which was opened before"
            raise LogMismatch(f"entry {position} opens the log {opening.origin}, {said}", entry=position)
        self.by_number[number] = self._make(number, opening)

    def _verify_named(self, head: NamedHead, position: int) -> None:
        number = self._numbers.get(head.origin)
        tree = None if number is None else self.by_number.get(number)
        if number is None or tree is None:
            raise LogMismatch(f"entry {position} names a head of {head.origin}, which no entry opened", entry=position)
        if tree.size != head.size:
            raise LogMismatch(
                f"{tree.name} has {tree.size} entries before entry {position}, which names its head over {head.size}:"
                " it was cut short, or entries were put in",
                entry=position,
            )
        if tree.root != head.root:
            raise LogMismatch(
                f"{tree.name} has another root than entry {position} names: it was rewritten", entry=position
            )
        self.grown.discard(number)


def _verify_entry(entry: LoggedEntry, found: bytes, tally: _Tally, tree: _Tree) -> Leaf:
    """The leaf of the entry, whose hash is `found`."""
    position, place = entry.position, entry.place
    stored = tree.read_stored(0, place // _TILE_WIDTH)[(place % _TILE_WIDTH) * _HASH_BYTES :][:_HASH_BYTES]
    if stored != found:
        raise LogMismatch(f"entry {position} was altered: its hash is not the one in the tree", entry=position)
    try:
        leaf = parse_leaf(entry.leaf)
    except MalformedError as error:
        said = f"entry {position} is not a leaf this version knows: {error.detail}"
        raise LogMismatch(said, entry=position) from error
    if tree.opening is not None and (leaf.type, leaf.recipient) != (EntryType.DISCLOSURE, tree.opening.recipient):
        said = f"entry {position} is in {tree.name} and no disclosure to {tree.opening.recipient}"
        raise LogMismatch(said, entry=position)
    _verify_content(entry, leaf, tally)
    tally.size += 1
    tally.disclosures += leaf.type is EntryType.DISCLOSURE
    if leaf.type is EntryType.KEY_ROTATION and entry.opening is not None:
        tally.rotations.append((position, _read_manifest(entry.opening[1])))
    return leaf


def _read_manifest(content: bytes) -> str:
    """The digest of the manifest that the content of a key-rotation entry names; empty where it names none."""
    try:
        said = parse_signed_json(content)
    except MalformedJson:
        return ""
    named = said.get("manifest") if isinstance(said, dict) else None
    return named if isinstance(named, str) else ""


def _verify_content(entry: LoggedEntry, leaf: Leaf, tally: _Tally) -> None:
    position = entry.position
    if entry.opening is None:
        if leaf.type not in PURGEABLE:
            said = f"entry {position} has lost its content, which no purge may take: it is of type {leaf.type}"
            raise LogMismatch(said, entry=position)
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
        tally.recover(position, entry.place, recovery)
    tally.purged += purged or ()
    tally.opened += 1


def _verify_purged(tally: _Tally) -> None:
    """What is missing is what was purged: nothing more, and nothing less."""
    missing, purged = merge_ranges(tally.missing), merge_ranges(tally.purged)
    lost, kept = find_first_beyond(missing, purged), find_first_beyond(purged, missing)
    if lost is not None:
        raise LogMismatch(f"entry {lost} has lost its content, and no purge of it is on record", entry=lost)
    if kept is not None:
        raise LogMismatch(f"entry {kept} has its content, though its purge is on record", entry=kept)


def _verify_sequence(entry: LoggedEntry, leaf: Leaf, sequences: dict[PartyId, int]) -> None:
    if leaf.recipient is None:
        return
    expected = sequences.get(leaf.recipient, 0) + 1
    if leaf.sequence != expected:
        said = f"entry {entry.position} is disclosure {leaf.sequence} to {leaf.recipient}, but {expected} comes next"
        raise LogMismatch(said, entry=entry.position)
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


def _verify_head(
    note_bytes: bytes, size: int, *, tree: _Tree, before: int, origin: str, log_keys: Sequence[bytes]
) -> Checkpoint:
    """The checkpoint over `size` entries; that over the first `before` of them was verified."""
    named = f"the checkpoint over {say_count(size, 'entry')} of {tree.name}"
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
    if checkpoint.root != tree.at.get(size):
        first, last = tree.find_end(before + 1), tree.find_end(size)
        which = f"entry {last}" if first == last else f"one of its entries from {first} to {last}"
        raise LogMismatch(
            f"{named} has another root than the entries before it: {which} was altered, or the log was rewritten",
            entry=first,
        )
    return checkpoint
