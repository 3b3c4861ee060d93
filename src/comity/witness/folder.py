# SPDX-License-Identifier: Apache-2.0
"""Shell: the folder of a stand-alone witness: a name and an address, a key, the logs it cosigns, and their last heads.

    witness.toml    name = "witness.north.example", listen = "127.0.0.1:8450", and [tls] as in node.toml
    witness.pem     its private key, mode 0600
    logs            one verifier key to a line, as `log list` of a policy has them; "#" begins a comment
    store.db        the last head of each log, and evidence: the tables of a node, of which the others stay empty
    witnessed/      the last head of each log once more, so that a store that was put back is noticed (`node.kept`)

A log that is added while the witness serves is witnessed from the next request on. None is taken away: whoever wants
that removes the line; the last head stays, so that the log cannot begin anew by being added again.

Of several keys of one log those that stand before the one that signed its last head sign no more: they were replaced.

The log of a party's house goes on under another name after a recovery (`tlog.origin`). It is taken by the keys of its
first one when it contains what was cosigned of it before. Where the party has lost some of that, whoever runs the
witness adds the next name as a log of its own, once they have seen that the party says so.
"""

import json
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from comity.config import Address, Limits, TlsFiles, format_address, parse_address
from comity.errors import ConfigError, ConflictError, MalformedError, MalformedNote, MalformedRequest, NotFoundError
from comity.ids import Instant
from comity.keys import create_key, open_key
from comity.node.clock import read_clock
from comity.node.kept import FOLDER, find_last, may_cosign, read_greatest
from comity.node.witness import Cosigner, Watched, list_evidence, list_witnessed, take_checkpoint
from comity.store import SqliteStore, Transaction
from comity.store.witness import StoredEvidence, StoredHead, list_origins
from comity.tlog.note import SignatureType, VerifierKey, format_vkey, parse_note, parse_vkey
from comity.tlog.origin import first_origin, is_house, parse_origin
from comity.tlog.witness import Seen, WitnessAnswer, parse_add_checkpoint

__all__ = ["Inspected", "Witness", "add_log", "found_witness", "inspect_witness", "open_witness", "read_logs"]

_SETTINGS = "witness.toml"
_KEY = "witness.pem"
_LOGS = "logs"
_STORE = "store.db"
_MAX_LOGS = 4_096
_MAX_LOGS_BYTES = 4 * 1024 * 1024
_ANEW = (
    "Do not put a copy from before in its place: it would cosign second histories by the same key. Found a witness anew"
    " in another folder (`comity witness init`), add its logs, and give its key to whoever asked this one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A witness as it lies in its folder: its key, the origins of its logs, their last heads, and evidence."""

    key: VerifierKey
    logs: tuple[str, ...]
    heads: list[StoredHead]
    evidence: list[StoredEvidence]


class Witness:
    """A stand-alone witness, open: it owns its store until `close`."""

    def __init__(
        self,
        folder: Path,
        *,
        cosigner: Cosigner,
        listen: Address,
        tls: TlsFiles | None,
        store: SqliteStore,
        clock: Callable[[], Instant] = read_clock,
    ) -> None:
        self.folder = folder
        self.cosigner = cosigner
        self.listen = listen
        self.tls = tls
        self.store = store
        self.clock = clock
        self.limits = Limits()
        self._logs: tuple[tuple[int, ...], dict[str, tuple[VerifierKey, ...]]] | None = None

    def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """The answer to a request (C2SP tlog-witness).

        Raises:
            MalformedNote: the body is no such request.
            ConfigError: the file of the logs cannot be read.
            StoreFull: the head could not be kept, and was not cosigned.
        """
        request = parse_add_checkpoint(body)
        origin, named = request.checkpoint.origin, self._read_logs()
        return take_checkpoint(
            self.store,
            request,
            watch=lambda transaction: _watch(transaction, self.folder, origin, named),
            cosigners=[self.cosigner],
            now=self.clock(),
            folder=self.folder,
        )

    def close(self) -> None:
        """Give the store up."""
        self.store.close()

    def _read_logs(self) -> dict[str, tuple[VerifierKey, ...]]:
        """The keys of every log by its origin, read anew whenever the file has changed."""
        path = self.folder / _LOGS
        try:
            found = path.stat()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or error}") from error
        stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
        if self._logs is None or self._logs[0] != stamp:
            self._logs = (stamp, read_logs(self.folder))
        return self._logs[1]


def _watch(
    transaction: Transaction, folder: Path, origin: str, named: Mapping[str, tuple[VerifierKey, ...]]
) -> Watched:
    """What this witness goes by for the log of that name, by the logs that it was given.

    The keys of a party's house log sign its other logs too (`tlog.origin`), of which so many are witnessed.
    """
    first = _find_first(origin)
    listed = named.get(
        origin, () if first is None else tuple(replace(key, name=origin) for key in named.get(first, ()))
    )
    last: str | None = None
    next_name: str | None = None
    has_room = True
    if first is not None:
        known = list_origins(transaction, first)
        has_room = origin in known or len(known) < _MAX_LOGS
        last = find_last(transaction, folder, first)
        next_name = None if find_last(transaction, folder, origin) == origin else last
    heads = [read_greatest(transaction, folder, name) for name in {origin, last or origin}]
    keys, earlier = _split_keys(listed, [head for head in heads if head is not None])
    goes_on = first is not None and is_house(origin) and origin not in {first, last}
    is_told = origin in named
    return Watched(
        keys=keys if has_room else (),
        earlier=lambda: earlier,
        previous=last if goes_on else None,
        start=read_greatest(transaction, folder, last) if goes_on and last is not None and not is_told else None,
        next=next_name,
        is_unsure=goes_on and not is_told,
    )


def _find_first(origin: str) -> str | None:
    """The first name of the house's log of the party whose log it is; None where it is that of no party of Comity."""
    try:
        return first_origin(parse_origin(origin))
    except MalformedError:
        return None


def _split_keys(
    keys: tuple[VerifierKey, ...], heads: Sequence[Seen]
) -> tuple[tuple[VerifierKey, ...], tuple[VerifierKey, ...]]:
    """The keys that sign heads of a log, and those that did before the one which signed the last heads of its party."""
    signed = {(head.checkpoint.origin, line.key_hash) for head in heads for line in parse_note(head.note).signatures}
    origins = {origin for origin, _ in signed}
    places = (
        number
        for number, key in enumerate(keys)
        if any((origin, replace(key, name=origin).key_hash) in signed for origin in origins)
    )
    place = max(places, default=0)
    return keys[place:], keys[:place]


def found_witness(folder: Path, *, name: str, listen: Address) -> VerifierKey:
    """The key of the new witness in `folder`, which must be absent or empty.

    Raises:
        ConflictError: something is there already; nothing was changed.
        MalformedRequest: the name cannot be that of a key.
        ConfigError: the folder cannot be made.
    """
    try:
        format_vkey(VerifierKey(name=name, type=SignatureType.ED25519_COSIGNATURE, public_key=b"\x02" * 32))
    except MalformedNote as error:
        raise MalformedRequest(
            f"{name!r} cannot be the name of a key: no spaces and no plus", where="--name"
        ) from error
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if any(folder.iterdir()):
            raise ConflictError(f"{folder} is not empty; name a folder that does not exist yet")
        signer = create_key(folder / _KEY)
        _write_new(folder / _LOGS, b"# One verifier key to a line: the logs that this witness cosigns.\n")
        SqliteStore.open(folder / _STORE).close()
        settings = f"name = {json.dumps(name)}\nlisten = {json.dumps(format_address(listen))}\n"
        _write_new(folder / _SETTINGS, settings.encode())
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made ({error.strerror or error}); name another folder") from error
    return VerifierKey(name=name, type=SignatureType.ED25519_COSIGNATURE, public_key=signer.public_key)


def open_witness(folder: Path) -> Witness:
    """The witness in `folder`, owned by this process until `close`.

    Raises:
        NotFoundError: none is there.
        ConfigError: its settings, key or logs cannot be used.
        StoreBusy: another process owns it.
    """
    name, listen, tls = _read_settings(folder)
    signer = open_key(folder / _KEY)
    key = VerifierKey(name=name, type=SignatureType.ED25519_COSIGNATURE, public_key=signer.public_key)
    read_logs(folder)
    lost = f"what this witness has cosigned is not known here any more. {_ANEW}"
    if not (folder / _STORE).is_file():
        # An empty store would cosign a second history of every log, and so would a copy from before: none is made.
        raise NotFoundError(f"{folder} holds a witness without its store: {lost}")
    store = SqliteStore.open(folder / _STORE)
    with store.write() as transaction:
        knows = may_cosign(transaction, folder, key)
    if not knows:
        store.close()
        raise NotFoundError(f"{folder} holds a witness without {FOLDER}, where it keeps what it has cosigned: {lost}")
    return Witness(folder, cosigner=Cosigner(key=key, signer=signer), listen=listen, tls=tls, store=store)


def inspect_witness(folder: Path) -> Inspected:
    """What the witness in `folder` is and has kept; no lock is taken and the store is not written.

    Raises:
        NotFoundError, ConfigError: as `open_witness`.
    """
    name, _, _ = _read_settings(folder)
    public_key = open_key(folder / _KEY).public_key
    store = SqliteStore.inspect(folder / _STORE)
    try:
        return Inspected(
            key=VerifierKey(name=name, type=SignatureType.ED25519_COSIGNATURE, public_key=public_key),
            logs=tuple(sorted(read_logs(folder))),
            heads=list_witnessed(store),
            evidence=list_evidence(store),
        )
    finally:
        store.close()


def read_logs(folder: Path) -> dict[str, tuple[VerifierKey, ...]]:
    """The keys of every log that is witnessed, by its origin.

    Raises:
        ConfigError: the file cannot be read, or a line of it is no key of a log.
    """
    path = folder / _LOGS
    found: dict[str, tuple[VerifierKey, ...]] = {}
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    if len(data) > _MAX_LOGS_BYTES:
        raise ConfigError(f"{path} is over {_MAX_LOGS_BYTES} bytes")
    for number, line in enumerate(data.decode("utf-8", errors="replace").split("\n"), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            key = _parse_log(text)
        except MalformedError as error:
            raise ConfigError(f"{path}, line {number}: {error.detail}") from error
        found[key.name] = (*found.get(key.name, ()), key)
    if len(found) > _MAX_LOGS:
        raise ConfigError(f"{path} names {len(found)} logs, where one witness takes at most {_MAX_LOGS}")
    return found


def add_log(folder: Path, text: str) -> VerifierKey:
    """The key of a log that is witnessed from here on.

    Raises:
        MalformedNote: not the verifier key of a log.
        ConflictError: it is witnessed already.
        NotFoundError, ConfigError: as `open_witness`.
    """
    _read_settings(folder)
    key = _parse_log(text)
    logs = read_logs(folder)
    if key in logs.get(key.name, ()):
        raise ConflictError(f"the log {key.name} is witnessed with this key already")
    path = folder / _LOGS
    temporary = path.with_name(f".{_LOGS}.new")
    temporary.unlink(missing_ok=True)
    before = path.read_bytes()
    separator = b"" if not before or before.endswith(b"\n") else b"\n"
    _write_new(temporary, before + separator + text.encode() + b"\n")
    temporary.replace(path)
    return key


def _parse_log(text: str) -> VerifierKey:
    key = parse_vkey(text)
    if key.type is SignatureType.ED25519_COSIGNATURE:
        raise MalformedNote(f"the key of {key.name} is that of a witness, not of a log")
    return key


def _read_settings(folder: Path) -> tuple[str, Address, TlsFiles | None]:
    path = folder / _SETTINGS
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no witness in {folder}; make one with `comity witness init {folder}`") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if unknown := values.keys() - {"name", "listen", "tls"}:
        raise ConfigError(f"{path}: unknown setting {min(unknown)!r}; known are listen, name, tls")
    name, listen, tls = values.get("name"), values.get("listen"), values.get("tls")
    if not isinstance(name, str) or not isinstance(listen, str):
        raise ConfigError(f"{path}: name and listen must be given, as texts in quotes")
    try:
        return name, parse_address(listen), None if tls is None else _parse_tls(tls, folder)
    except MalformedRequest as error:
        raise ConfigError(f"{path}: {error.detail}") from error


def _parse_tls(value: object, folder: Path) -> TlsFiles:
    if not isinstance(value, dict) or value.keys() != {"certificate", "key"}:
        raise MalformedRequest("[tls] needs both certificate and key, and nothing else")
    return TlsFiles(certificate=folder / str(value["certificate"]), key=folder / str(value["key"]))


def _write_new(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
