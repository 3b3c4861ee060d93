# SPDX-License-Identifier: Apache-2.0
"""Shell: a backup of a node, made while it is served, and a folder that one is restored to.

    backup/store.db, node.toml, recognition.toml, …   the files
    backup/backup.json                                what they are, signed by the party's log key (DSSE)

    {"format":"comity-backup/1","party":"aurelia","id":"…","made_at":"…","size":412,
     "checkpoint":"comity/aurelia 412 …","with_keys":false,"files":[{"path":"store.db","bytes":901120,"digest":"…"}]}

A backup is built beside its place and moved there at the end: no half of one stands under its name.

What is restored is older than what this party may have signed since. So it has no `head`, but the file `restored`: the
last checkpoint of the backup. A node with that does not start: see `node.recovery`.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.config import Settings, load_settings
from comity.errors import (
    ConfigError,
    ConflictError,
    LogMismatch,
    MalformedMessage,
    NotFoundError,
    StoreFull,
    VerificationError,
)
from comity.ids import Digest, Instant, PartyId, format_instant, parse_digest, parse_instant
from comity.keys import Keyring
from comity.node.clock import draw_bytes, read_clock
from comity.node.heads import split_heads
from comity.node.journal import read_own_chain
from comity.node.node import Node, open_signers
from comity.node.soundness import Finding, Grade, examine_folder
from comity.signing import (
    Role,
    format_signed_document,
    parse_signed_document,
    sign_document,
    verify_signed_document,
)
from comity.store import SqliteStore, backups, log
from comity.store.backups import StoredBackup

__all__ = [
    "BACKUP_TYPE",
    "Backup",
    "BackupFile",
    "Restored",
    "describe_backup",
    "make_backup",
    "note_backup",
    "restore_backup",
]

BACKUP_TYPE = "application/vnd.comity.backup+json"

_FORMAT = "comity-backup/1"
_MANIFEST = "backup.json"
_MAX_MANIFEST_BYTES = 1 << 20
_CHUNK = 1 << 20
_ID_BYTES = 8
_PLAIN = ("node.toml", "recognition.toml", "witnesses.policy", "article-rules.toml", "article-organisations.toml")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile:
    """One file of a backup, by its path from the folder on."""

    path: str
    bytes: int
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup is: whose, when it was made, its files, and the last checkpoint of the house's log in it.

    `size` is how many entries all logs in it have together.
    """

    party: PartyId
    id: str
    made_at: Instant
    size: int
    checkpoint: bytes
    with_keys: bool
    files: tuple[BackupFile, ...]

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The backup that was restored, and what is to be seen to."""

    backup: Backup
    notices: tuple[Finding, ...]


def make_backup(
    folder: Path,
    target: Path,
    *,
    secrets: bool,
    unlock: Callable[[], bytes] | None = None,
    progress: Progress = lambda _done, _of: None,
) -> Backup:
    """The backup of the node in `folder`, now in `target`, which must be absent or empty.

    With `secrets` it holds the private keys too, as they lie there: whoever has them plain can sign as the party.
    `unlock` gives what encrypted ones are opened by, for the backup is signed.

    Raises:
        ConflictError: something is there already.
        StoreBusy: somebody began to use a store that nobody used; do it again.
        StoreFull, ConfigError: it cannot be written there; nothing was left behind.
    """
    settings, keyring = load_settings(folder), Keyring(folder / "keys", unlock, draw_bytes)
    with _building(target) as building:
        store = SqliteStore.inspect(folder / "store.db")
        try:
            with store.read() as transaction:
                _, signers = open_signers(settings.party, keyring, transaction)
            _copy_store(store, building / "store.db", progress)
            store.check_undisturbed()
        finally:
            store.close()
        paths = [building / "store.db"]
        for path in _list_files(folder, settings, secrets=secrets):
            copied = building / path.relative_to(folder)
            copied.parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(path, copied)
            copied.chmod(0o600)
            paths.append(copied)
        checkpoint, count = _read_checkpoint(building / "store.db", default=folder / "head")
        backup = Backup(
            party=settings.party,
            id=draw_bytes(_ID_BYTES).hex(),
            made_at=read_clock(),
            size=count,
            checkpoint=checkpoint,
            with_keys=secrets,
            files=tuple(_describe_file(building, path) for path in paths),
        )
        document = sign_document(BACKUP_TYPE, _format_backup(backup), [signers[Role.LOG]])
        (building / _MANIFEST).write_bytes(format_signed_document(document))
        (building / _MANIFEST).chmod(0o600)
        for path in [*paths, building / _MANIFEST]:
            _sync(path)
    return backup


def describe_backup(backup: Backup) -> dict[str, Json]:
    """What a backup is, in words of its manifest."""
    return {
        "party": backup.party,
        "id": backup.id,
        "made_at": format_instant(backup.made_at),
        "size": backup.size,
        "bytes": backup.bytes,
        "with_keys": backup.with_keys,
        "files": [file.path for file in backup.files],
    }


def note_backup(node: Node, *, name: str, made_at: Instant, place: str, size: int, count: int, with_keys: bool) -> None:
    """Keep that a backup of `count` bytes was made at `place`, so that a purge can say where something still is."""
    stored = StoredBackup(id=name, made_at=made_at, place=place, size=size, bytes=count, with_keys=with_keys)
    with node.act() as act:
        backups.add_backup(act.transaction, stored)


def restore_backup(
    source: Path, target: Path, *, digest: Digest | None = None, progress: Progress = lambda _done, _of: None
) -> Restored:
    """What is now in `target`, which must be absent or empty: every file and the whole log verified.

    It does not start: what this party has signed since the backup is not known here (`node.recovery`). `digest` is that
    of the party's manifest, from wherever the reader has it; without it the backup vouches for its own keys.

    Raises:
        NotFoundError: no backup there.
        ConflictError: something is at `target` already.
        MalformedMessage, VerificationError, LogMismatch: it is not what it says; nothing was left behind.
        StoreFull, ConfigError: it cannot be written there; nothing was left behind.
    """
    envelope = _read_envelope(source)
    backup = _parse_backup(parse_signed_document(envelope).payload)
    with _building(target) as building:
        done = 0
        for file in backup.files:
            _copy_file(source, building, file)
            done += file.bytes
            progress(done, backup.bytes)
        _verify_signature(building, backup, envelope, digest=digest)
        # Examined as it would stand if it were the newest; then what says so is taken away again.
        (building / "restored").write_bytes(backup.checkpoint)
        (building / "restored").chmod(0o600)
        examined = examine_folder(building)
        broken = [finding for finding in examined.findings if finding.grade is Grade.BROKEN]
        if broken:
            raise VerificationError(f"the backup is not sound: {broken[0].where}: {broken[0].what}")
        if _read_checkpoint(building / "store.db", default=building / "restored")[0] != backup.checkpoint:
            raise LogMismatch("the last checkpoint in the store of the backup is not the one that its manifest names")
        for path in building.rglob("*"):
            if path.is_file():
                _sync(path)
    return Restored(backup=backup, notices=examined.findings)


# --- writing ----------------------------------------------------------------------------------------------------------


@contextmanager
def _building(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its place when the block ends; nothing of it is left when it fails."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConflictError(f"{target} is not empty; name a new folder")
    building = target.with_name(f".{target.name}.building")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        yield building
        _sync(building)
        if target.exists():
            target.rmdir()
        building.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise StoreFull(
            f"{target} cannot be made ({error.strerror or error}); nothing was left there. See to room and permissions,"
            " or name another folder"
        ) from error
    finally:
        # Gone already where it took its place.
        shutil.rmtree(building, ignore_errors=True)


def _copy_store(store: SqliteStore, target: Path, progress: Progress) -> None:
    """As fast as half of the time allows: the other half is for the disk and for who answers partners."""
    began = time.monotonic()
    for done, of in store.copy(target):
        progress(done, of)
        time.sleep(time.monotonic() - began)
        began = time.monotonic()


def _list_files(folder: Path, settings: Settings, *, secrets: bool) -> list[Path]:
    """What a node needs beside its store, as far as it lies in its folder."""
    wanted = [folder / name for name in _PLAIN]
    if settings.authorities is not None:
        wanted.append(settings.authorities)
    if settings.tls is not None:
        wanted += [settings.tls.certificate, *([settings.tls.key] if secrets else [])]
    if secrets:
        wanted += sorted((folder / "keys").glob("*.pem"))
        wanted += [settings.proxy.secret] if settings.proxy is not None else []
        oidc = None if settings.console is None else settings.console.oidc
        wanted += [oidc.secret] if oidc is not None else []
    return [
        path for path in dict.fromkeys(wanted) if path.is_file() and path.resolve().is_relative_to(folder.resolve())
    ]


def _describe_file(folder: Path, path: Path) -> BackupFile:
    digest, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)
            count += len(part)
    return BackupFile(path=str(path.relative_to(folder)), bytes=count, digest=Digest(digest.hexdigest()))


def _read_checkpoint(path: Path, *, default: Path) -> tuple[bytes, int]:
    """The last checkpoint of the house's log in the store at `path`, and how many entries there are in all logs.

    That of an empty log stands beside it alone.
    """
    store = SqliteStore.inspect(path)
    try:
        with store.read() as transaction:
            head, count = log.read_head(transaction), log.count_entries(transaction)
    finally:
        store.close()
    return (head if head is not None else split_heads(default.read_bytes())[0]), count


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read_envelope(source: Path) -> bytes:
    path = source / _MANIFEST
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise NotFoundError(f"there is no backup in {source}: {path} cannot be read ({error.strerror})") from error
    if len(data) > _MAX_MANIFEST_BYTES:
        raise MalformedMessage(f"{path} is over {_MAX_MANIFEST_BYTES} bytes")
    return data


def _format_backup(backup: Backup) -> bytes:
    files: list[Json] = [{"path": file.path, "bytes": file.bytes, "digest": file.digest} for file in backup.files]
    return canonical_bytes(
        {
            "format": _FORMAT,
            "party": backup.party,
            "id": backup.id,
            "made_at": format_instant(backup.made_at),
            "size": backup.size,
            "checkpoint": backup.checkpoint.decode("utf-8"),
            "with_keys": backup.with_keys,
            "files": files,
        }
    )


def _parse_backup(payload: bytes) -> Backup:
    match parse_signed_json(payload):
        case {
            "format": "comity-backup/1",
            "party": str(party),
            "id": str(name),
            "made_at": str(made_at),
            "size": int(size),
            "checkpoint": str(checkpoint),
            "with_keys": bool(with_keys),
            "files": list(files),
            **rest,
        } if not rest:
            return Backup(
                party=PartyId(party),
                id=name,
                made_at=parse_instant(made_at),
                size=size,
                checkpoint=checkpoint.encode("utf-8"),
                with_keys=with_keys,
                files=tuple(map(_parse_file, files)),
            )
        case _:
            raise MalformedMessage(f"{_MANIFEST} is not of the format {_FORMAT}; is it of a newer version?")


def _parse_file(value: Json) -> BackupFile:
    match value:
        case {"path": str(path), "bytes": int(count), "digest": str(digest), **rest} if not rest:
            parts = path.split("/")
            if path.startswith("/") or any(part in {"", ".", ".."} or "\0" in part for part in parts):
                raise MalformedMessage(f"{path[:200]!r} leads out of the backup")
            return BackupFile(path=path, bytes=count, digest=parse_digest(digest))
        case _:
            raise MalformedMessage("a file of a backup has path, bytes and digest")


def _copy_file(source: Path, target: Path, file: BackupFile) -> None:
    """One file, copied and verified by what was copied."""
    read, digest = 0, hashlib.sha256()
    copied = target / file.path
    copied.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        reading = (source / file.path).open("rb")
    except OSError as error:
        raise VerificationError(f"{file.path} cannot be read from the backup ({error.strerror})") from error
    with reading, os.fdopen(os.open(copied, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as writing:
        while read <= file.bytes and (part := reading.read(_CHUNK)):
            read += len(part)
            digest.update(part)
            writing.write(part)
    if read != file.bytes or digest.hexdigest() != file.digest:
        raise VerificationError(f"{file.path} in the backup is not the file that its manifest names: it was altered")


def _verify_signature(folder: Path, backup: Backup, envelope: bytes, *, digest: Digest | None) -> None:
    """The manifest of the backup is signed by the log key of the party whose store is in it."""
    try:
        party = load_settings(folder).party
        store = SqliteStore.inspect(folder / "store.db")
    except (ConfigError, NotFoundError) as error:
        raise MalformedMessage(f"a file is missing from the backup: {error.detail}") from error
    try:
        with store.read() as transaction:
            own = read_own_chain(transaction, party, digest=digest)[-1]
    finally:
        store.close()
    if backup.party != party:
        raise VerificationError(f"the backup says that it is of {backup.party}, and holds the node of {party}")
    when = min(backup.made_at, Instant(own.expires_at - 1))
    verify_signed_document(parse_signed_document(envelope), own, role=Role.LOG, payload_type=BACKUP_TYPE, now=when)
