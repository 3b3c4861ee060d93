# SPDX-License-Identifier: Apache-2.0
"""Shell: a node, open: its settings, its store, its signers, and how it tells the time.

Every act runs in `Node.act`: one transaction in which the act, its log entries, the tiles and the signed head are
written together. Nothing that an act decided may leave the process before `act` has ended.

Time never goes back: no act is before the last entry of the log, whatever the clock of the machine says. So what has
run out stays so, entries stand in the order of their times, and what was decided is decided the same again (`audit`).

The last signed head is also kept in the file `head`, outside the database. A crash between COMMIT and the write of that
file leaves it behind the database, which is harmless; a database behind the file was rolled back, and does not open.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from comity.agreement.recognition import Policy, parse_policy
from comity.config import Settings, load_settings
from comity.errors import ConfigError, CorruptionError, MalformedError, NotFoundError, RolledBack, UnavailableError
from comity.ids import Digest, Instant, PartyId, format_instant
from comity.keys import Keyring
from comity.node.clock import draw_bytes, read_clock
from comity.node.pages import Pages
from comity.release.disclosure import SALT_BYTES, EntryType, Leaf, commit_content, format_leaf, parse_leaf
from comity.signing import Manifest, Role, Signer, parse_manifest, parse_signed_document
from comity.store import SqliteStore, Transaction, Turns, log, parties
from comity.tlog.merkle import append_leaves, leaf_hash, root_hash
from comity.tlog.note import Checkpoint, format_checkpoint, format_note, parse_checkpoint, parse_note, sign_note
from comity.tlog.origin import first_origin

_log = logging.getLogger("comity.node")

__all__ = ["Act", "Node", "join_node", "open_node", "open_signers", "sign_head", "verify_newest", "write_head"]


@dataclass(slots=True)
class Act:
    """One act under way: its transaction, its one time, and the log entries that will be written with it."""

    transaction: Transaction
    now: Instant
    draw: Callable[[int], bytes]
    entries: list[log.Entry] = field(default_factory=list)
    sequences: dict[PartyId, int] = field(default_factory=dict)

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
    ) -> int | None:
        """Put an entry on record with this act; `recipient` gets its next sequence number, which comes back.

        The content names `listing` and `grounds`, where it has them.
        """
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
        self.entries.append(log.Entry(leaf=format_leaf(leaf), opening=opening, listing=listing, grounds=grounds))
        return sequence


ORIGIN = "log-origin"
"""What the store keeps the name of the log under, after a recovery."""

_SKEW = 60_000_000

_PAGES_BYTES = 48 * 1024 * 1024
"""Of pages in memory: beyond it the one that was asked for longest ago is put together again."""


class Node:
    """One party's node. Not thread-safe: one act at a time, as the store has one writer."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Settings,
        store: SqliteStore,
        keyring: Keyring,
        clock: Callable[[], Instant] = read_clock,
        draw: Callable[[int], bytes] = draw_bytes,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.store = store
        self.keyring = keyring
        self.read_machine_clock = clock
        self.draw = draw
        self.party = settings.party
        with store.read() as transaction:
            self._named, self.signers = open_signers(self.party, keyring, transaction)
            self._last = _read_last_time(transaction)
        self.remembered: dict[str, tuple[int, object]] = {}
        self.pages = Pages(_PAGES_BYTES)
        self._head: bytes | None = None
        self._origin: str | None = None
        self._policy: tuple[tuple[int, ...], Policy, log.Text] | None = None

    @property
    def clock(self) -> Callable[[], Instant]:
        """What tells the time of this node: the machine's, or that of the last entry of the log while it is later."""
        return self._tell_time

    @clock.setter
    def clock(self, machine: Callable[[], Instant]) -> None:
        self.read_machine_clock = machine

    def _tell_time(self) -> Instant:
        return max(self.read_machine_clock(), self._last)

    def tell_of_clock(self) -> None:
        """Let the operator know if the machine's clock is behind the log by more than clocks usually differ."""
        if (machine := self.read_machine_clock()) < self._last - _SKEW:
            _log.warning(
                "the clock of this machine says %s, but the last entry of the log was recorded at %s: set the clock."
                " Until it has passed that time this node goes on at it; what has run out by then stays so",
                format_instant(machine),
                format_instant(self._last),
            )

    @property
    def origin(self) -> str:
        """The name of this node's log (C2SP tlog-checkpoint), which changes with a recovery alone (`node.recovery`)."""
        if self._origin is None:
            row = self.store.row("SELECT value FROM meta WHERE name = ?", (ORIGIN,))
            self._origin = first_origin(self.party) if row is None else str(row[0])
        return self._origin

    def rename_log(self, act: Act, origin: str) -> None:
        """Let the log go on as `origin`, from the head of `act` on."""
        parties.write_meta(act.transaction, ORIGIN, origin)
        self._origin = origin

    @contextmanager
    def act(self, *, keeps_head: bool = True) -> Iterator[Act]:
        """One act: all of it is on the disk when the block has ended, or nothing of it.

        The signed head of the log is kept outside the store too, unless the caller lets `keep_head` do that soon for
        several acts.
        """
        head: bytes | None = None
        opened: Transaction | None = None
        signing = self._named, self.signers
        try:
            with self.store.write() as transaction:
                opened = transaction
                self._renew_signers(transaction)
                if self.store.turns is not None:  # another process may have written the last entry
                    self._last = max(self._last, _read_last_time(transaction))
                act = Act(transaction=transaction, now=self.clock(), draw=self.draw)
                yield act
                if act.entries:
                    head = self._seal(act)
        except BaseException:
            # What was read of a transaction that was undone must not be remembered as the state of the store. A refused
            # message has written nothing: it neither makes this node forget, nor shows by its time what is remembered.
            if opened is not None and opened.has_written():
                self.remembered.clear()
                self.pages.clear()
                self._named, self.signers = signing
            raise
        if head is not None:
            self._head = head
        if keeps_head:
            self.keep_head()

    def keep_head(self) -> None:
        """Keep the last signed head outside the store, if that was not done yet."""
        head, self._head = self._head, None
        if head is None:
            return
        # The act is on record. A crash before this, or a disk that has no room for this small file, leaves `head`
        # behind the store, which is harmless: the next act mends it.
        with suppress(OSError, UnavailableError):
            if self.store.turns is None:
                write_head(self.folder, head)
            else:
                self._keep_newest(head)

    def _keep_newest(self, head: bytes) -> None:
        """Keep `head`, or a later one that another process has signed since: the file never goes back."""
        assert self.store.turns is not None  # noqa: S101 (there are other processes)
        with self.store.turns.keeping():
            # Read with the turn in hand, so that whoever has it next reads this one or a later one.
            with self.store.read() as transaction:
                newest = log.read_head(transaction)
            write_head(self.folder, newest or head)

    def policy(self) -> Policy:
        """This party's recognition policy, read anew whenever its file has changed.

        Raises:
            ConfigError: the file cannot be read, or says something that is not understood: nothing is recognised.
        """
        path = self.folder / "recognition.toml"
        try:
            found = path.stat()
            # The time of the last change of the file itself cannot be set by who writes it, as the other can.
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
            if self._policy is None or self._policy[0] != stamp:
                self._policy = (stamp, parse_policy(text := path.read_bytes()), log.Text(text))
        except OSError as error:
            raise ConfigError(f"{path}: {error}; without it this node recognises nothing") from error
        except MalformedError as error:
            raise ConfigError(f"{path}: {error.detail}") from error
        return self._policy[1]

    def policy_text(self) -> log.Text:
        """The text of the policy that `policy` gave last."""
        if self._policy is None:
            self.policy()
        assert self._policy is not None  # noqa: S101 (it was read)
        return self._policy[2]

    @property
    def turns(self) -> Turns | None:
        """How this process takes turns to write with others; None while there are none."""
        return self.store.turns

    def share(self) -> tuple[int, int]:
        """The descriptors by which a process that inherits them can `join_node`."""
        return self.store.share()

    def close(self) -> None:
        """Give the store up."""
        self.keep_head()
        self.store.close()

    def _renew_signers(self, transaction: Transaction) -> None:
        """Sign by the keys that the manifest names which is in force in this transaction, whoever has replaced it."""
        if parties.read_pinned(transaction, self.party) != self._named:
            self._named, self.signers = open_signers(self.party, self.keyring, transaction)

    def _seal(self, act: Act) -> bytes:
        """The signed head of the log with the act's entries, everything written but not yet committed.

        The entry that says of new keys stands under a head that the new log key signs.
        """
        transaction = act.transaction
        self._renew_signers(transaction)
        self._last = max(self._last, act.now)
        size = log.read_size(transaction)
        log.add_entries(transaction, size, act.entries)
        log.write_sequences(transaction, act.sequences)
        tiles = append_leaves(
            lambda level, index: log.read_tile(transaction, level, index),
            size,
            [leaf_hash(entry.leaf) for entry in act.entries],
        )
        log.write_tiles(transaction, tiles)
        grown = size + len(act.entries)
        root = root_hash(lambda level, index: log.read_tile(transaction, level, index), grown)
        head = sign_head(self.origin, grown, root, signer=self.signers[Role.LOG])
        log.add_head(transaction, grown, head)
        return head


def open_node(folder: Path, unlock: Callable[[], bytes] | None = None) -> Node:
    """The node in `folder`, owned by this process until `close`; `unlock` gives what encrypted keys are opened by.

    Raises:
        NotFoundError: no node there.
        ConfigError: settings or keys.
        StoreBusy: another process owns it.
        RolledBack: the store is older than the last checkpoint this node signed.
    """
    settings = load_settings(folder)
    keyring = Keyring(folder / "keys", unlock, draw_bytes)
    if not (folder / "store.db").is_file():
        raise NotFoundError(f"{folder} holds a node without its store; restore store.db from a backup")
    store = SqliteStore.open(folder / "store.db")
    try:
        node = Node(folder, settings=settings, store=store, keyring=keyring)
        verify_newest(folder, store)
        node.tell_of_clock()
        with store.read() as transaction, suppress(OSError):
            # What a crash has left of new keys. Where the disk does not let it, it is done at the next opening.
            keyring.settle(_read_own(settings.party, transaction).roles)
    except BaseException:
        store.close()
        raise
    return node


def join_node(folder: Path, settings: Settings, *, lock: int, turns: int, passphrase: bytes | None) -> Node:
    """The node in `folder` once more, in a process that the one which owns it has started.

    What is remembered here is remembered under counts that are read in the transaction that uses it: other processes
    change the store at any time. That the store is not an older one was verified by its owner.

    Raises:
        ConfigError: the keys.
        CorruptionError, StoreFull: the store cannot be opened.
    """
    keyring = Keyring(folder / "keys", None if passphrase is None else lambda: passphrase, draw_bytes)
    store = SqliteStore.join(folder / "store.db", lock=lock, turns=turns)
    try:
        return Node(folder, settings=settings, store=store, keyring=keyring)
    except BaseException:
        store.close()
        raise


def sign_head(origin: str, size: int, root: bytes, *, signer: Signer) -> bytes:
    """The signed checkpoint of a tree of `size` entries (C2SP tlog-checkpoint)."""
    text = format_checkpoint(Checkpoint(origin=origin, size=size, root=root))
    return format_note(sign_note(text, origin, signer))


def write_head(folder: Path, head: bytes) -> None:
    """Replace the file `head` in one step: after a crash it is the old one or the new one."""
    temporary = folder / "head.new"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(head)
        file.flush()
        os.fdatasync(file.fileno())
    temporary.replace(folder / "head")


def _read_last_time(transaction: Transaction) -> Instant:
    """When the last entry of the log was recorded; the beginning of time for an empty one.

    An entry that was altered says nothing here; that it was is found where the log is verified.
    """
    row = transaction.row("SELECT leaf FROM log_entry ORDER BY position DESC LIMIT 1")
    with suppress(MalformedError):
        return Instant(0) if row is None else parse_leaf(bytes(row[0])).at
    return Instant(0)


def _read_own(party: PartyId, transaction: Transaction) -> Manifest:
    """This party's own manifest, as it is in force."""
    own = parties.read_party(transaction, party)
    if own is None:
        raise CorruptionError("the store does not hold this party's own manifest; restore a backup")
    return parse_manifest(parse_signed_document(own.envelope).payload)


def open_signers(party: PartyId, keyring: Keyring, transaction: Transaction) -> tuple[Digest, Mapping[Role, Signer]]:
    """The digest of this party's manifest in force, and the keys in the folder that it names."""
    manifest = _read_own(party, transaction)
    return manifest.digest, keyring.open(manifest.roles)


def verify_newest(folder: Path, store: SqliteStore) -> None:
    """Return if nothing shows that this party has signed more than `store` holds.

    Raises:
        RolledBack: it may have: the folder was restored, the kept checkpoint is newer, of another history, or missing.
        CorruptionError: the kept checkpoint is none.
    """
    path, restored = folder / "head", folder / "restored"
    if restored.exists():
        raise RolledBack(
            f"{folder} was restored from a backup, and this party may have signed more since: going on would fork its"
            " log. If the newest store is lost, let the log go on under another name: comity recover"
        )
    try:
        kept = path.read_bytes()
        checkpoint = parse_checkpoint(parse_note(kept).text)
    except OSError as error:
        raise RolledBack(
            f"{path} is missing, so nothing shows that the store is the newest one; restore it from the same backup,"
            " or see `comity recover`"
        ) from error
    except MalformedError as error:
        raise CorruptionError(f"{path} is not a checkpoint ({error.detail}); restore it from your backup") from error
    with store.read() as transaction:
        size = log.read_size(transaction)
        held = log.read_head_at(transaction, checkpoint.size)
    if size < checkpoint.size:
        raise RolledBack(
            f"the store holds {size} log entries but this node has signed a checkpoint over {checkpoint.size}: it is an"
            " older copy. Serving it would fork the log; restore the newest backup, and see `comity recover`"
        )
    if checkpoint.size and held != kept:
        raise RolledBack(
            f"the checkpoint over {checkpoint.size} entries in {path} is not the one in the store: they are not of one"
            " history. Restore both from one backup"
        )
