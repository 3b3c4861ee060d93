# SPDX-License-Identifier: Apache-2.0
"""Shell: an act, and what goes on record with it: entries, tiles and a signed head of each log that it touched.

All of it is written in the transaction of the act (`node.node`). An act of many disclosures signs one head for each
log.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from comity.canonical import SIGNED_LIMITS
from comity.counting import say_count
from comity.errors import CorruptionError, LogMismatch, MalformedError, MalformedRequest
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node.heads import sign_head
from comity.release.disclosure import SALT_BYTES, EntryType, Leaf, commit_content, format_leaf
from comity.release.logs import MAX_HEADS, LogOpening, NamedHead, derive_origin, format_heads, format_opening
from comity.signing import Signer
from comity.store import Transaction, log, logs, parties
from comity.tlog.merkle import ReadTile, Subtrees, append_leaves, leaf_hash, root_hash
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.origin import find_token, name_origin

__all__ = ["Act", "Edges", "seal"]

_MOST_EDGES = 256
"""Logs whose ends are remembered, some ten kilobytes each."""

_REPAIR = "`comity log verify` names the entry, and a backup has it as it was"


@dataclass(slots=True)
class Act:
    """One act of `party` under way: its transaction, its one time, and the log entries that will be written with it.

    `origin` is that of its house's log.
    """

    transaction: Transaction
    now: Instant
    draw: Callable[[int], bytes]
    party: PartyId
    origin: str
    entries: list[log.Entry] = field(default_factory=list)
    sequences: dict[PartyId, int] = field(default_factory=dict)
    logs: dict[tuple[AgreementId, PartyId], int] = field(default_factory=dict)
    names_heads: bool = False
    """Whether the heads of logs that have grown go on record though nothing else goes into the house's log."""

    def record(
        self,
        kind: EntryType,
        content: bytes,
        *,
        terms: Digest | None,
        recipient: PartyId | None,
        count: int,
        listing: log.Text | None = None,
        grounds: log.Grounds | None = None,
        agreement: AgreementId | None = None,
    ) -> int | None:
        """Put an entry on record with this act; `recipient` gets its next sequence number, which comes back.

        The content names `listing` and `grounds`, where it has them. With recipient and agreement it goes to the log of
        their relationship, which is opened where there is none.

        Raises:
            MalformedRequest: the content is longer than whoever reads the log takes.
        """
        if len(content) > SIGNED_LIMITS.max_bytes:
            raise MalformedRequest(
                f"an entry of the log holds at most {SIGNED_LIMITS.max_bytes:,} bytes, and this one of the type"
                f" {kind.value} would have {len(content):,}; ask for less at once"
            )
        number = log.HOUSE if agreement is None or recipient is None else self._find_log(agreement, recipient)
        salt = self.draw(SALT_BYTES)
        sequence: int | None = None
        if recipient is not None:
            last = self.sequences.get(recipient)
            sequence = (log.read_sequence(self.transaction, recipient) if last is None else last) + 1
            self.sequences[recipient] = sequence
        leaf = Leaf(
            type=kind,
            terms=terms,
            recipient=recipient,
            sequence=sequence,
            count=count,
            at=self.now,
            commitment=commit_content(salt, content),
        )
        opening = log.Opening(salt=salt, content=content)
        self.entries.append(
            log.Entry(leaf=format_leaf(leaf), opening=opening, log=number, listing=listing, grounds=grounds)
        )
        return sequence

    @property
    def position(self) -> int:
        """The position that the next entry of this act will have."""
        return log.count_entries(self.transaction) + len(self.entries)

    def _find_log(self, agreement: AgreementId, recipient: PartyId) -> int:
        """The number of the log of the relationship; its opening is an entry of the house's log."""
        key = agreement, recipient
        if key not in self.logs:
            found = logs.find_open_log(self.transaction, agreement, recipient)
            self.logs[key] = self._open_log(agreement, recipient) if found is None else found
        return self.logs[key]

    def _open_log(self, agreement: AgreementId, recipient: PartyId) -> int:
        key = parties.read_node_key(self.transaction)
        origin = derive_origin(key, party=self.party, house=self.origin, agreement=agreement, recipient=recipient)
        token = find_token(origin)
        assert token is not None  # noqa: S101 (such a name has one)
        opened = logs.add_log(self.transaction, token, agreement=agreement, recipient=recipient, now=self.now)
        opening = LogOpening(origin=origin, agreement=agreement, recipient=recipient)
        self.record(EntryType.LOG_OPENING, format_opening(opening), terms=None, recipient=None, count=1)
        return opened.number


@dataclass(slots=True)
class _Edge:
    """The end of one log as it is in the store: its name, how many entries it has, its head, and tiles of it by place.

    Of tiles those are known that were read or written; those at the right edge are what the next entries need, and the
    subtrees that the root is over what the next root needs.
    """

    origin: str
    size: int
    head: bytes | None
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    subtrees: Subtrees = field(default_factory=dict)


class Edges:
    """The ends of logs that grew last, in memory: else four tiles were read anew for each entry, and hashed again.

    An end is believed only where its head is, byte for byte, the one in the store, which binds all that is known of it:
    so nothing has to be forgotten when an act is undone, or when another process has written. One that is read anew has
    to have the root that was signed: else leaves that were altered would be signed over, and the log forked.
    """

    def __init__(self) -> None:
        self._kept: dict[int, _Edge] = {}

    def read(self, act: Act, number: int, *, house: str) -> _Edge:
        """The end of a log; `house` is the name of the house's.

        Raises:
            CorruptionError: what is in the store is not what was signed.
        """
        size, head = log.read_end(act.transaction, number)
        known = self._kept.pop(number, None)
        if known is None or head is None or known.head != head:
            known = _Edge("" if number == log.HOUSE else _name_log(act, number), size, head)
            _verify_end(act.transaction, number, known)
        if number == log.HOUSE:
            known.origin = house  # which a recovery changes
        return known

    def keep(self, number: int, edge: _Edge) -> None:
        """Remember an end; of many logs those that grew last."""
        right = {(level, edge.size >> 8 * (level + 1)) for level, _ in edge.tiles}
        edge.tiles = {place: hashes for place, hashes in edge.tiles.items() if place in right}
        self._kept[number] = edge
        while len(self._kept) > _MOST_EDGES:
            del self._kept[next(iter(self._kept))]


def seal(act: Act, *, origin: str, signer: Signer, edges: Edges) -> dict[int, bytes]:
    """The signed head of each log that has entries of the act; `origin` is that of the house's log."""
    transaction = act.transaction
    first = log.count_entries(transaction)
    leaves: dict[int, list[bytes]] = {}
    if act.names_heads:
        leaves[log.HOUSE] = []
    for entry in act.entries:
        leaves.setdefault(entry.log, []).append(entry.leaf)
    ends = {number: edges.read(act, number, house=origin) for number in leaves}
    next_places = {number: end.size for number, end in ends.items()}
    _add(transaction, first, act.entries, next_places)
    log.write_sequences(transaction, act.sequences)
    house = leaves.pop(log.HOUSE, None)
    heads = {number: _grow(transaction, number, ends[number], added, signer) for number, added in leaves.items()}
    if house is not None:
        done = len(act.entries)
        _name_heads(act, ends, edges, house=origin)
        _add(transaction, first + done, act.entries[done:], next_places)
        house += [entry.leaf for entry in act.entries[done:]]
    if house:
        heads[log.HOUSE] = _grow(transaction, log.HOUSE, ends[log.HOUSE], house, signer)
    for number in heads:
        edges.keep(number, ends[number])
    return heads


def _grow(transaction: Transaction, number: int, end: _Edge, leaves: Sequence[bytes], signer: Signer) -> bytes:
    """The signed head of a log with `leaves` at its end; tiles and head are written, and `end` follows."""
    read_tile = _read_tiles(transaction, number, end)
    tiles = append_leaves(read_tile, end.size, list(map(leaf_hash, leaves)))
    log.write_tiles(transaction, tiles, number)
    end.tiles.update({(tile.level, tile.index): tile.hashes for tile in tiles})
    end.size += len(leaves)
    end.head = sign_head(end.origin, end.size, root_hash(read_tile, end.size, end.subtrees), signer=signer)
    log.add_head(transaction, end.size, end.head, number)
    return end.head


def _name_log(act: Act, number: int) -> str:
    found = logs.read_log(act.transaction, number)
    assert found is not None  # noqa: S101 (entries go to logs that were opened)
    return name_origin(act.party, found.token)


def _read_tiles(transaction: Transaction, number: int, end: _Edge) -> ReadTile:
    """The tiles of a log, each read once."""

    def read_tile(level: int, index: int) -> bytes:
        hashes = end.tiles.get((level, index))
        if hashes is None:
            hashes = end.tiles[level, index] = log.read_tile(transaction, level, index, number)
        return hashes

    return read_tile


def _verify_end(transaction: Transaction, number: int, end: _Edge) -> None:
    """Return if the log in the store has the root that its head says."""
    if end.head is None:
        return
    name = end.origin or "of the house"
    try:
        signed, root = _read_root(end.head), root_hash(_read_tiles(transaction, number, end), end.size, end.subtrees)
    except (LogMismatch, MalformedError) as error:
        raise CorruptionError(f"the end of the log {name} cannot be read: {error.detail}; {_REPAIR}") from error
    if root != signed:
        raise CorruptionError(
            f"the log {name} has another root over {say_count(end.size, 'entry')} than was signed: it was altered in"
            f" the store, and nothing is signed over that; {_REPAIR}"
        )


def _read_root(head: bytes) -> bytes:
    return parse_checkpoint(parse_note(head).text).root


def _name_heads(act: Act, ends: Mapping[int, _Edge], edges: Edges, *, house: str) -> None:
    """Put the heads of all logs that have grown since the last time on record, as the end of the act."""
    grown = logs.list_unanchored(act.transaction)
    for start in range(0, len(grown), MAX_HEADS):
        named = list[NamedHead]()
        for each, size in grown[start : start + MAX_HEADS]:
            end = ends.get(each.number)
            if end is None:
                end = edges.read(act, each.number, house=house)
                edges.keep(each.number, end)
            assert end.head is not None  # noqa: S101 (it has grown)
            named.append(NamedHead(origin=name_origin(act.party, each.token), size=size, root=_read_root(end.head)))
        act.record(EntryType.LOG_HEADS, format_heads(named), terms=None, recipient=None, count=len(named))
    for each, size in grown:
        logs.write_anchored(act.transaction, each.number, size)


def _add(transaction: Transaction, first: int, entries: Sequence[log.Entry], next_places: dict[int, int]) -> None:
    """Append entries from the position `first` on, each at the next place of its log, which is counted on."""
    places = list[int]()
    for entry in entries:
        place = next_places[entry.log]
        places.append(place)
        next_places[entry.log] = place + 1
    log.add_entries(transaction, first, entries, places)
