# SPDX-License-Identifier: Apache-2.0
"""Shell: a node, open: its settings, its store, its signers, and how it tells the time.

Every act runs in `Node.act`: one transaction in which the act, its log entries, the tiles and the signed head are
written together. Nothing that an act decided may leave the process before `act` has ended.

Time never goes back: no act is before the last entry of the logs, whatever the clock of the machine says. So what has
run out stays so, entries stand in the order of their times, and what was decided is decided the same again (`audit`).

What is given to one recipient under one agreement goes to the log of that relationship, everything else to that of the
house. An act that puts something into the house's log ends there with the heads of all logs that have grown since the
last: so it is on record what came before it (`release.logs`).

The last signed heads, that of the house and that of the log of the last entry, are also kept in the file `head`,
outside the database. A crash between COMMIT and the write of that file leaves it behind the database, which is
harmless; a database behind the file was rolled back, and does not open.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from comity.agreement.recognition import Policy, parse_policy
from comity.config import Settings, load_settings
from comity.errors import ConfigError, CorruptionError, MalformedError, NotFoundError, UnavailableError
from comity.ids import Digest, Instant, PartyId, PersonId, format_instant
from comity.keys import Keyring, NoKeys
from comity.node.clock import draw_bytes, read_clock
from comity.node.heads import join_heads, read_newest, verify_newest, write_head
from comity.node.pages import Pages
from comity.node.sealing import Act, Edges, seal
from comity.release.disclosure import parse_leaf
from comity.signing import Manifest, Role, Signer, parse_manifest, parse_signed_document
from comity.store import SqliteStore, Transaction, Turns, log, logs, parties
from comity.tlog.note import Note, format_note, parse_checkpoint, parse_note, sign_note
from comity.tlog.origin import find_token, first_origin, name_origin

_log = logging.getLogger("comity.node")

__all__ = ["Act", "Node", "inspect_node", "join_node", "open_node", "open_signers"]


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
        self.shut_out = Counter[PersonId]()
        """How often, since this process began, all that somebody asks in a person's name was ended."""

        self.files_under_way: set[Digest] = set()
        """Files that this process takes in at the moment (`node.intake`)."""

        self.pages = Pages(_PAGES_BYTES)
        self._edges = Edges()
        self._newest: bytes | None = None
        self._house: bytes | None = None
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
        """The name of the house's log (C2SP tlog-checkpoint), which changes with a recovery alone (`node.recovery`)."""
        if self._origin is None:
            row = self.store.row("SELECT value FROM meta WHERE name = ?", (ORIGIN,))
            self._origin = first_origin(self.party) if row is None else str(row[0])
        return self._origin

    def rename_log(self, act: Act, origin: str) -> None:
        """Let the house's log go on as `origin`, from the head of `act` on, and no other log that is open go on."""
        parties.write_meta(act.transaction, ORIGIN, origin)
        logs.close_logs(act.transaction, now=act.now)
        self._origin = origin

    def find_log(self, transaction: Transaction, origin: str) -> int | None:
        """The number of the log with this origin; None where this node has none."""
        if origin in {self.origin, first_origin(self.party)}:
            return log.HOUSE
        token = find_token(origin)
        found = None if token is None else logs.find_log(transaction, token)
        return found.number if found is not None and origin == name_origin(self.party, found.token) else None

    @contextmanager
    def act(self, *, keeps_head: bool = True) -> Iterator[Act]:
        """One act: all of it is on the disk when the block has ended, or nothing of it.

        Its signed heads are kept outside the store too, unless the caller lets `keep_head` do that soon for several
        acts.
        """
        heads: dict[int, bytes] = {}
        last = log.HOUSE
        opened: Transaction | None = None
        signing = self._named, self.signers
        try:
            with self.store.write() as transaction:
                opened = transaction
                self._renew_signers(transaction)
                if self.store.turns is not None:  # another process may have written the last entry
                    self._last = max(self._last, _read_last_time(transaction))
                act = Act(
                    transaction=transaction, now=self.clock(), draw=self.draw, party=self.party, origin=self.origin
                )
                yield act
                if act.entries or act.names_heads:
                    heads = self._seal(act)
                    last = act.entries[-1].log if act.entries else log.HOUSE
        except BaseException:
            # What was read of a transaction that was undone must not be remembered as the state of the store. A refused
            # message has written nothing: it neither makes this node forget, nor shows by its time what is remembered.
            if opened is not None and opened.has_written():
                self.remembered.clear()
                self.pages.clear()
                self._named, self.signers = signing
            raise
        if heads:
            self._newest = heads[last]
            self._house = heads.get(log.HOUSE, self._house)
        if keeps_head:
            self.keep_head()

    def keep_head(self) -> None:
        """Keep the last signed heads outside the store, if that was not done yet."""
        newest, self._newest = self._newest, None
        if newest is None:
            return
        # The act is on record. A crash before this, or a disk that has no room for this small file, leaves `head`
        # behind the store, which is harmless: the next act mends it.
        with suppress(OSError, UnavailableError):
            if self.store.turns is not None:
                self._keep_newest()
                return
            if self._house is None:
                with self.store.read() as transaction:
                    self._house = log.read_head(transaction)
            write_head(self.folder, join_heads(self._house or newest, newest))

    def _keep_newest(self) -> None:
        """Keep the heads of the last act, of whichever process: the file never goes back."""
        assert self.store.turns is not None  # noqa: S101 (there are other processes)
        with self.store.turns.keeping():
            # Read with the turn in hand, so that whoever has it next reads these or later ones.
            with self.store.read() as transaction:
                newest = read_newest(transaction)
            if newest is not None:
                write_head(self.folder, newest)

    def vouch(self, note: bytes) -> bytes:
        """The checkpoint of a log of this node, signed by the present log key too, where an older one signed it.

        It says nothing else than it did: of a log that has not grown since there is no other. Whoever is shown it may
        know the present key alone. A copy without keys shows it as it was signed.
        """
        signer = self.signers.get(Role.LOG)
        if signer is None:
            return note
        parsed = parse_note(note)
        signed = sign_note(parsed.text, parse_checkpoint(parsed.text).origin, signer)
        if signed.signatures[0] in parsed.signatures:
            return note
        return format_note(Note(text=parsed.text, signatures=(*signed.signatures, *parsed.signatures)))

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

    def _seal(self, act: Act) -> dict[int, bytes]:
        """The signed head of each log that has entries of the act, everything written but not yet committed.

        The entry that says of new keys stands under a head that the new log key signs.
        """
        if act.transaction.has_written():
            self._renew_signers(act.transaction)
        self._last = max(self._last, act.now)
        return seal(act, origin=self.origin, signer=self.signers[Role.LOG], edges=self._edges)


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


def inspect_node(folder: Path) -> Node:
    """The node in `folder`, or a copy of it, for reading only: without its keys, no lock is taken, nothing is written.

    That the store is whole, and not an older one, is not looked at: `journal.verify_folder` does.

    Raises:
        NotFoundError: no node there.
        ConfigError: settings.
        CorruptionError: the store does not hold this party's own manifest, or is none.
    """
    settings = load_settings(folder)
    store = SqliteStore.inspect(folder / "store.db")
    try:
        return Node(folder, settings=settings, store=store, keyring=NoKeys(folder / "keys", None, draw_bytes))
    except BaseException:
        store.close()
        raise


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


def _read_last_time(transaction: Transaction) -> Instant:
    """When the last entry of all logs was recorded; the beginning of time where there is none.

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
