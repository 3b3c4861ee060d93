# SPDX-License-Identifier: Apache-2.0
"""Shell: the folder of a node examined: files, database, what lies in it, signatures, the log.

Nothing is written, no lock is taken and nothing is mended: what is wrong is said, with where it is and what to do. It
works while the node is served, as each step is a view of its own: what two steps saw can differ by what was done
between them, so nothing is compared across steps that an act changes.

What is read is read row by row: the memory that it takes does not grow with the objects held. The log is verified by
`node.journal`, which keeps 32 bytes of each entry.
"""

import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from comity.agreement.terms import parse_terms
from comity.canonical import sha256_digest
from comity.certificate import StoredManifest
from comity.config import load_settings
from comity.errors import ConfigError, CorruptionError, MalformedError, VerificationError
from comity.exchange import EVENT_TYPE, parse_message
from comity.ids import Instant, PartyId
from comity.keys import Keyring
from comity.letters.letter import parse_letter, verify_kept_letter
from comity.node.clock import read_clock
from comity.node.heldlabels import HeldLabels
from comity.node.journal import verify_folder
from comity.node.kept import find_unsound
from comity.release.disclosure import parse_leaf
from comity.release.recovery import SUCCESSION_TYPE, parse_succession
from comity.signing import (
    Manifest,
    Role,
    SignedDocument,
    parse_manifest,
    parse_signed_document,
    verify_manifest,
    verify_signed_document,
    verify_successor,
)
from comity.store import SqliteStore, Transaction, deletions, letters, log, parties, relations
from comity.store.letters import KeptLetter
from comity.store.relations import RELATIONS, StoredEvent

__all__ = ["Check", "Examination", "Finding", "Grade", "Progress", "examine_folder"]

_HELD = 100
"""Versions that are examined together; each can have a mebibyte."""

_MOST_NAMED = 20
"""Rows that are named of one kind of fault; the rest of them is counted."""

_LONG_WAL_BYTES = 256 * 1024 * 1024
_SKEW = 60_000_000

Progress = Callable[["Check", int, int], None]
"""Told what is examined, how much of it is done, and of how much: 0 where that is not known."""


class Grade(StrEnum):
    """How bad it is: a node with something broken must not go on; a notice is for somebody to see to."""

    BROKEN = "broken"
    NOTICE = "notice"


class Check(StrEnum):
    """What is examined."""

    FILES = "files"
    KEYS = "keys"
    DATABASE = "database"
    RELATIONS = "relations"
    OBJECTS = "objects"
    CONTENTS = "contents"
    SIGNATURES = "signatures"
    LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong: `what`, `where`, and what to `do`. `count` is how often, where more than once."""

    grade: Grade
    check: Check
    where: str
    what: str
    do: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found, in the order of the checks, and how much was examined."""

    findings: tuple[Finding, ...]
    objects: int
    events: int
    entries: int

    @property
    def is_sound(self) -> bool:
        """Whether nothing is broken."""
        return all(finding.grade is not Grade.BROKEN for finding in self.findings)


def examine_folder(folder: Path, progress: Progress = lambda _check, _done, _of: None) -> Examination:
    """What is wrong in the folder of a node, its own or a copy.

    Raises:
        NotFoundError: there is no node, or no store.
        StoreBusy: somebody began to use a store that nobody used; do it again.
    """
    found = list[Finding]()
    for check, examine in ((Check.FILES, _examine_files), (Check.KEYS, _examine_keys)):
        progress(check, 0, 0)
        found += examine(folder)
    try:
        store = SqliteStore.inspect(folder / "store.db")
    except CorruptionError as error:
        found.append(_broken(Check.DATABASE, "store.db", error.detail))
        return Examination(findings=tuple(found), objects=0, events=0, entries=0)
    examined = _Examined(store, _read_party(folder), progress)
    try:
        for step in (
            examined.database,
            examined.relations,
            examined.objects,
            examined.contents,
            examined.signatures,
            examined.end_of_log,
            partial(examined.witnessed, folder),
        ):
            try:
                found += step()
            except CorruptionError as error:
                found.append(_broken(Check.DATABASE, "store.db", error.detail))
        found += examined.log(folder)
        store.check_undisturbed()
    finally:
        store.close()
    return Examination(
        findings=tuple(found), objects=examined.object_count, events=examined.event_count, entries=examined.entry_count
    )


def _read_party(folder: Path) -> PartyId | None:
    """Whose node it is; None where its settings cannot be read, which is found with the log."""
    with suppress(ConfigError):
        return load_settings(folder).party
    return None


def _broken(check: Check, where: str, what: str, *, count: int = 1) -> Finding:
    return Finding(
        grade=Grade.BROKEN,
        check=check,
        where=where,
        what=what,
        do="stop this node, keep a copy of its folder as it is, and restore the newest backup (`comity restore`)",
        count=count,
    )


# --- files ------------------------------------------------------------------------------------------------------------


def _examine_files(folder: Path) -> Iterator[Finding]:
    for path in [folder, *sorted(folder.iterdir())]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        private = (
            path.name.startswith("store.db") or path.name in {"keys", "head", "lock", "restored"} or path == folder
        )
        if private and mode & 0o077:
            yield Finding(
                grade=Grade.NOTICE,
                check=Check.FILES,
                where=path.name if path != folder else str(folder),
                what=f"others than its owner can use it (mode {mode:o})",
                do=f"chmod {'700' if path.is_dir() else '600'} {path}",
            )
        if path.name.endswith(".new") and path.is_file():
            yield Finding(
                grade=Grade.NOTICE,
                check=Check.FILES,
                where=path.name,
                what="a crash left this temporary file",
                do=f"remove it while the node is not served: rm {path}",
            )
    if (folder / "restored").exists():
        yield Finding(
            grade=Grade.NOTICE,
            check=Check.FILES,
            where="restored",
            what="this folder was restored from a backup, and does not start",
            do="let the log go on under another name, once it is certain that the newest store is lost: comity recover",
        )
    wal = folder / "store.db-wal"
    if wal.exists() and (size := wal.stat().st_size) > _LONG_WAL_BYTES:
        yield Finding(
            grade=Grade.NOTICE,
            check=Check.FILES,
            where=wal.name,
            what=f"the write-ahead log has grown to {size} bytes: something has been reading the store for long",
            do="find the process that has it open (fuser), end that reading, and restart the node",
        )


def _examine_keys(folder: Path) -> Iterator[Finding]:
    """The private keys, where they are: a backup without keys has none, and none are needed to examine it."""
    if not (folder / "keys").is_dir():
        yield Finding(
            grade=Grade.NOTICE,
            check=Check.KEYS,
            where="keys",
            what="there are no private keys here",
            do="put them back from where they are kept, before the node is served",
        )
        return
    try:
        Keyring(folder / "keys", None, bytes).verify_plain()
    except ConfigError as error:
        yield Finding(
            grade=Grade.BROKEN,
            check=Check.KEYS,
            where="keys",
            what=error.detail,
            do="restore the keys from where they are kept, mode 600",
        )


# --- the store --------------------------------------------------------------------------------------------------------


class _Examined:
    """The steps over one open store, and what they counted."""

    def __init__(self, store: SqliteStore, party: PartyId | None, progress: Progress) -> None:
        self._store = store
        self._labels = HeldLabels(party)
        self._progress = progress
        self.object_count = 0
        self.event_count = 0
        self.entry_count = 0

    def database(self) -> list[Finding]:
        """The pages, indexes and values of the file, by SQLite itself."""
        self._progress(Check.DATABASE, 0, 0)
        with self._store.read() as transaction:
            faults = relations.check_file(transaction)
            unfinished = deletions.is_unfinished(transaction)
        found = [_broken(Check.DATABASE, "store.db", fault) for fault in faults[:_MOST_NAMED]]
        if unfinished:
            found.append(
                Finding(
                    grade=Grade.NOTICE,
                    check=Check.DATABASE,
                    where="store.db",
                    what="what was deleted may still be in the files of the store",
                    do="`comity retention run`, once nobody else reads the store",
                )
            )
        return found

    def relations(self) -> list[Finding]:
        """What must hold between the tables."""
        found = list[Finding]()
        for done, relation in enumerate(RELATIONS):
            self._progress(Check.RELATIONS, done, len(RELATIONS))
            named = _Named(Check.RELATIONS, relation.says)
            with self._store.read() as transaction:
                for name in relations.find_broken(transaction, relation):
                    named.add(f"{relation.table} {name}")
            found += named.findings()
        return found

    def objects(self) -> list[Finding]:
        """Each version, against its bytes, and the label that lets it go (`node.heldlabels`)."""
        with self._store.read() as transaction:
            count = relations.count_bodies(transaction)
        altered = _Named(Check.OBJECTS, "")
        last: int | None = 0
        while last is not None:
            self._progress(Check.OBJECTS, self.object_count, count)
            last = self._examine_bodies(last, altered)
        return altered.findings()

    def _examine_bodies(self, after: int, altered: "_Named") -> int | None:
        """The last key of some versions, examined; None when there was no further one."""
        with self._store.read() as transaction:
            held = list(relations.iterate_bodies(transaction, after, _HELD))
            for where, what in self._labels.find_otherwise(transaction, held):
                altered.add(where, what)
        self.object_count += len(held)
        return held[-1][0].pk if held else None

    def contents(self) -> list[Finding]:
        """Labels, listings and texts, against the digests that they are kept under."""
        self._progress(Check.CONTENTS, 0, 0)
        altered = _Named(Check.CONTENTS, "its bytes are not those of its digest")
        with self._store.read() as transaction:
            for key, digest, body in relations.iterate_labels(transaction):
                if sha256_digest(body) != digest:
                    altered.add(f"label {key}")
            for name, raw, data in relations.iterate_log_texts(transaction):
                if bytes.fromhex(sha256_digest(data)) != raw:
                    altered.add(name)
            for name, document in relations.iterate_terms(transaction):
                if not _is_text(name, document):
                    altered.add(f"terms {name}")
            for name, envelope in relations.iterate_unheard(transaction):
                if not _is_message(name, envelope):
                    altered.add(f"unheard {name}")
        return altered.findings()

    def signatures(self) -> list[Finding]:
        """Every manifest and every event, verified again from its bytes."""
        self._progress(Check.SIGNATURES, 0, 0)
        with self._store.read() as transaction:
            chains, found = _verify_chains(transaction)
            unsigned = _Named(Check.SIGNATURES, "")
            for event in relations.iterate_events(transaction):
                self.event_count += 1
                if (problem := _find_problem(event, chains.get(event.party, []))) is not None:
                    unsigned.add(f"event {event.digest}", problem)
            for kept in letters.iterate_letters(transaction):
                if (problem := _find_letter_problem(kept, chains)) is not None:
                    unsigned.add(f"letter {kept.digest}", problem)
            for origin, party, envelope in relations.iterate_successions(transaction):
                if not _is_stated(origin, envelope, chains.get(party, [])):
                    unsigned.add(f"succession {origin}", f"{party} has not signed it")
        return [*found, *unsigned.findings()]

    def end_of_log(self) -> list[Finding]:
        """Whether the last entry was written by a clock that is ahead of this one."""
        now = read_clock()
        with self._store.read() as transaction:
            self.entry_count = log.count_entries(transaction)
            last = log.read_entries(transaction, max(0, self.entry_count - 1), self.entry_count)
        try:
            ahead = [position for position, leaf in last if parse_leaf(leaf).at > now + _SKEW]
        except MalformedError:
            return []  # the log is verified as a whole below, and says which entry it is
        return [
            Finding(
                grade=Grade.NOTICE,
                check=Check.LOG,
                where=f"entry {position}",
                what="it was recorded at a time that has not come yet: the clock of this machine went back",
                do="set the clock; until it has passed that time this node goes on at it, and what is due by date"
                " waits. If that time was the wrong one, see docs/howto/when-a-disk-or-clock-fails.md",
            )
            for position in ahead
        ]

    def witnessed(self, folder: Path) -> list[Finding]:
        """What this node has cosigned, as it keeps it beside the store."""
        with self._store.read() as transaction:
            return [
                Finding(grade=Grade.NOTICE, check=Check.FILES, where=where, what=what, do=do)
                for where, what, do in find_unsound(transaction, folder)
            ]

    def log(self, folder: Path) -> list[Finding]:
        """The whole log, and the checkpoint kept outside the store (`node.journal`)."""
        self._progress(Check.LOG, 0, self.entry_count)
        try:
            verify_folder(folder)
        except (VerificationError, CorruptionError) as error:
            entry = error.facts.get("entry")
            return [_broken(Check.LOG, "log" if entry is None else f"entry {entry}", error.detail)]
        except ConfigError as error:
            return [_broken(Check.FILES, "node.toml", error.detail)]
        return []


class _Named:
    """Faults of one kind: the first of them by name, the others as a number."""

    def __init__(self, check: Check, what: str) -> None:
        self._check = check
        self._what = what
        self._first = list[tuple[str, str]]()
        self._more = 0

    def add(self, where: str, what: str = "") -> None:
        """One more."""
        if len(self._first) < _MOST_NAMED:
            self._first.append((where, what or self._what))
        else:
            self._more += 1

    def findings(self) -> list[Finding]:
        """What there was."""
        found = [_broken(self._check, where, what) for where, what in self._first]
        if self._more:
            found.append(_broken(self._check, f"{self._more} more", self._first[0][1], count=self._more))
        return found


def _is_text(name: str, document: bytes) -> bool:
    try:
        return parse_terms(document).hash == name
    except MalformedError:
        return False


def _is_message(name: str, envelope: bytes) -> bool:
    try:
        return parse_message(envelope).event.digest == name
    except MalformedError:
        return False


def _verify_chains(transaction: Transaction) -> tuple[dict[PartyId, list[Manifest]], list[Finding]]:
    """The manifests of each party that verify, oldest first, and what does not: alone, or as following another."""
    chains: dict[PartyId, list[Manifest]] = {}
    pinned: dict[tuple[PartyId, int], list[Manifest]] = {}
    found = list[Finding]()
    for party, pin, digest, envelope in parties.list_manifests(transaction):
        stored = StoredManifest(party=party, digest=digest, envelope=envelope, pin=pin)
        try:
            manifest = _verify_link(stored, pinned.get((party, pin), []))
            chains.setdefault(party, []).append(manifest)
            pinned.setdefault((party, pin), []).append(manifest)
        except (MalformedError, VerificationError) as error:
            found.append(_broken(Check.SIGNATURES, f"manifest {digest} of {party}", error.detail))
    return chains, found


def _verify_link(stored: StoredManifest, before: list[Manifest]) -> Manifest:
    document = parse_signed_document(stored.envelope)
    manifest = parse_manifest(document.payload)
    # Its own times do not matter here: what it signed outlives it.
    when = Instant(manifest.expires_at - 1)
    verify_manifest(document, now=when, digest=stored.digest)
    if manifest.party != stored.party:
        raise VerificationError(f"it is a manifest of {manifest.party}")
    if before and manifest.version == before[-1].version + 1:
        verify_successor(before[-1], document, now=when)
    return manifest


def _find_problem(event: StoredEvent, chain: list[Manifest]) -> str | None:
    """Why an event is not what it was recorded as; None when its sender's keys signed it."""
    try:
        message = parse_message(event.envelope)
    except MalformedError as error:
        return f"it cannot be read: {error.detail}"
    said = message.event
    if (said.digest, said.agreement, said.kind.value, said.terms, said.party) != (
        event.digest,
        event.agreement,
        event.kind,
        event.terms,
        event.party,
    ):
        return "it is filed under something that it does not say"
    problem = f"there is no manifest of {event.party} that verifies"
    for manifest in reversed(chain):
        try:
            _verify_signed(message.signed, manifest, at=event.recorded_at)
        except VerificationError as error:
            problem = error.detail
            continue
        return None
    return problem


def _find_letter_problem(kept: KeptLetter, chains: dict[PartyId, list[Manifest]]) -> str | None:
    """Why a letter is not what it was recorded as; None when its sender's keys signed it."""
    try:
        sender = parse_letter(kept.envelope)[0].sender
        letter = verify_kept_letter(kept.digest, kept.envelope, chains.get(sender, []))
    except MalformedError as error:
        return f"it cannot be read: {error.detail}"
    except VerificationError as error:
        return error.detail
    return None if kept.is_filed_as(letter) else "it is filed under something that it does not say"


def _is_stated(origin: str, envelope: bytes, chain: list[Manifest]) -> bool:
    """Whether the keys of a manifest in `chain` have signed that the log goes on as `origin`."""
    for manifest in chain:
        when = Instant(manifest.expires_at - 1)
        with suppress(MalformedError, VerificationError):
            document = parse_signed_document(envelope)
            verify_signed_document(document, manifest, role=Role.MANIFEST, payload_type=SUCCESSION_TYPE, now=when)
            return parse_succession(document.payload).recovery.origin == origin
    return False


def _verify_signed(signed: SignedDocument, manifest: Manifest, *, at: Instant) -> None:
    when = min(at, Instant(manifest.expires_at - 1))
    verify_signed_document(signed, manifest, role=Role.AGREEMENT, payload_type=EVENT_TYPE, now=when)
