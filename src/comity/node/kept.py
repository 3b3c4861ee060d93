# SPDX-License-Identifier: Apache-2.0
"""Shell: heads that a witness has cosigned, kept outside its store as well, as `head` keeps those of the own logs.

    witnessed/9f86d081884c7d659a2feaa0c55ad015         the greatest head of a log that was cosigned, as it was signed
    witnessed/9f86d081884c7d659a2feaa0c55ad015.next    the name that the log goes on under, where that was cosigned

What a witness cosigns is no entry of any log of its own. So a store that was put back says nothing of what was cosigned
since: these files do. A head is written here before the transaction that decided it is committed. A crash in between
leaves a file that is ahead by a head that may have been cosigned: it counts as if it had been.

Where the files are gone with the store, nobody knows what was cosigned by this key. A store that was in use with them
cosigns nothing more by it, nor does a node whose log was recovered (`node.recovery`), until there is another key: what
that one cosigns contradicts nothing that it has said, and partners count the old one no more.

A folder that was put back whole, with these files, is not noticed here.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from comity.canonical import sha256_digest
from comity.counting import say_count
from comity.errors import CorruptionError, MalformedNote
from comity.ids import Instant
from comity.node.node import Node
from comity.signing import Role
from comity.store import Transaction, parties, witness
from comity.tlog.note import Checkpoint, VerifierKey, parse_checkpoint, parse_note
from comity.tlog.origin import is_house, parse_origin
from comity.tlog.witness import Seen

__all__ = [
    "FOLDER",
    "find_after",
    "find_stop",
    "find_unsound",
    "list_kept",
    "may_cosign",
    "read_greatest",
    "stop_cosigning",
    "write_kept",
]

FOLDER = "witnessed"

_IN_USE, _STOPPED = "witness-kept", "witness-stopped"
"""What the store keeps under these names: by which key it was begun to keep heads here, and which cosigns no more."""

_NAME_LENGTH = 32
_NEXT = ".next"
_MOST_NAMES = 10_000


def may_cosign(transaction: Transaction, folder: Path, key: VerifierKey) -> bool:
    """Whether nothing shows that more was cosigned by this key than is known here; its files are begun with the first.

    Raises:
        OSError: they cannot be written.
    """
    name = key.public_key.hex()
    if _find_stop(transaction, name) is not None:
        return False
    if parties.read_meta(transaction, _IN_USE) == name:
        return (folder / FOLDER).is_dir()
    _begin(folder, [head.checkpoint for head in witness.list_seen(transaction)], witness.list_next_names(transaction))
    parties.write_meta(transaction, _IN_USE, name)
    return True


def stop_cosigning(node: Node, transaction: Transaction, *, now: Instant) -> bool:
    """Let the node cosign nothing more by the witness key that it has; False where it has none."""
    signer = node.signers.get(Role.WITNESS)
    if signer is None:
        return False
    parties.write_meta(transaction, _STOPPED, f"{signer.public_key.hex()} {now}")
    return True


def find_stop(node: Node, transaction: Transaction, *, now: Instant) -> Instant | None:
    """Since when this node cosigns nothing by the key that it has; None where it does, or has none."""
    signer = node.signers.get(Role.WITNESS)
    if signer is None:
        return None
    name = signer.public_key.hex()
    stopped = _find_stop(transaction, name)
    if stopped is None and parties.read_meta(transaction, _IN_USE) == name and not (node.folder / FOLDER).is_dir():
        return now
    return stopped


def _find_stop(transaction: Transaction, key: str) -> Instant | None:
    name, _, at = (parties.read_meta(transaction, _STOPPED) or "").partition(" ")
    return Instant(int(at)) if name == key else None


def read_greatest(transaction: Transaction, folder: Path, origin: str) -> Seen | None:
    """The greatest head of the log that was cosigned here, by the store or by its file; None if none was.

    Raises:
        CorruptionError: the file holds no head of that log.
    """
    held, kept = witness.read_seen(transaction, origin), _read(folder, origin)
    seen = None if held is None else Seen(checkpoint=parse_checkpoint(parse_note(held).text), note=held)
    if seen is None or (kept is not None and kept.checkpoint.size > seen.checkpoint.size):
        return kept
    return seen


def write_kept(folder: Path, seen: Seen) -> None:
    """Keep the head in its file, on the disk when this has returned.

    Raises:
        OSError: it could not be.
    """
    _write(folder, _name(seen.checkpoint.origin), seen.note, sync=True)


def name_next(transaction: Transaction, folder: Path, origin: str, *, previous: str) -> None:
    """Remember, in the store and beside it, that the log `previous` goes on as `origin`; each goes on once.

    Raises:
        OSError: it could not be written.
    """
    if witness.find_next_name(transaction, previous) != origin:
        witness.name_next(transaction, origin, previous=previous)
        _write(folder, f"{_name(previous)}{_NEXT}", origin.encode(), sync=True)


def find_after(transaction: Transaction, folder: Path, origin: str) -> str | None:
    """What the log goes on as, as far as that was cosigned; None where it does not.

    Raises:
        CorruptionError: what is kept of it says no name.
    """
    return witness.find_next_name(transaction, origin) or _read_next(folder, origin)


def find_last(transaction: Transaction, folder: Path, origin: str) -> str:
    """What the log is called that goes on from this one, as it was cosigned last; itself where it does not.

    Raises:
        CorruptionError: what is kept of it says no name.
    """
    for _ in range(_MOST_NAMES):
        after = find_after(transaction, folder, origin)
        if after is None:
            return origin
        origin = after
    raise CorruptionError(f"{folder / FOLDER} says of {origin} that it goes on for ever")


def list_kept(folder: Path) -> list[tuple[str, Checkpoint | None]]:
    """Name and head of each file, None for one that holds none; of a witness that keeps none yet, nothing."""
    place = folder / FOLDER
    found = list[tuple[str, Checkpoint | None]]()
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path.suffix in {".new", _NEXT}:
            continue
        try:
            checkpoint = parse_checkpoint(parse_note(path.read_bytes()).text)
        except MalformedNote:
            found.append((path.name, None))
        else:
            found.append((path.name, checkpoint if path.name == _name(checkpoint.origin) else None))
    return found


def find_unsound(transaction: Transaction, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Where something is wrong with what was cosigned, what, and what to do."""
    heads = witness.list_seen(transaction)
    sizes = {head.origin: head.size for head in heads}
    for name, checkpoint in list_kept(folder):
        if checkpoint is None:
            what = "it is no head of the log that it is named after, of which nothing is cosigned any more"
            yield f"{FOLDER}/{name}", what, "let the node have another witness key: comity party rotate witness"
        elif checkpoint.size > (held := sizes.get(checkpoint.origin, 0)):
            what = (
                f"it has the head of {checkpoint.origin} over {say_count(checkpoint.size, 'entry')}, and the"
                f" store one over {held}"
            )
            do = "nothing, where a crash left it: the greater one counts. Where the store was put back: comity recover"
            yield f"{FOLDER}/{name}", what, do
    for head in heads if (folder / FOLDER).is_dir() else []:
        path = folder / FOLDER / _name(head.origin)
        kept = path.read_bytes() if path.is_file() else None
        if kept is None or (_is_below(kept, head.size) and kept != head.checkpoint):
            what = (
                f"it does not have the head of {head.origin} over {say_count(head.size, 'entry')}, which the"
                " store has as cosigned"
            )
            do = "let the node have another witness key: comity party rotate witness"
            yield f"{FOLDER}/{path.name}", what, do


def _is_below(note: bytes, size: int) -> bool:
    """Whether the bytes are a head over that many entries or fewer; of what is none the file is named already."""
    with suppress(MalformedNote):
        return parse_checkpoint(parse_note(note).text).size <= size
    return False


def _begin(folder: Path, heads: Iterable[bytes], names: Iterable[tuple[str, str]]) -> None:
    """Make the folder, with the heads and names that the store has; what is there already and greater stays."""
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    for note in heads:
        checkpoint = parse_checkpoint(parse_note(note).text)
        there = _read(folder, checkpoint.origin)
        if there is None or there.checkpoint.size < checkpoint.size:
            _write(folder, _name(checkpoint.origin), note, sync=False)
    for origin, previous in names:
        _write(folder, f"{_name(previous)}{_NEXT}", origin.encode(), sync=False)
    os.sync()  # once for all of them


def _name(origin: str) -> str:
    return sha256_digest(origin.encode())[:_NAME_LENGTH]


def _read_next(folder: Path, origin: str) -> str | None:
    path = folder / FOLDER / f"{_name(origin)}{_NEXT}"
    try:
        found = path.read_bytes().decode("ascii", errors="replace")
    except FileNotFoundError:
        return None
    if not is_house(found) or not is_house(origin) or parse_origin(found) != parse_origin(origin):
        raise CorruptionError(f"{path} is no name that {origin} goes on under: nothing of it is cosigned")
    return found


def _read(folder: Path, origin: str) -> Seen | None:
    path = folder / FOLDER / _name(origin)
    try:
        note = path.read_bytes()
        checkpoint = parse_checkpoint(parse_note(note).text)
    except FileNotFoundError:
        return None
    except MalformedNote as error:
        raise CorruptionError(f"{path} is no head of {origin} ({error.detail}): nothing of it is cosigned") from error
    if checkpoint.origin != origin:
        raise CorruptionError(f"{path} is no head of {origin}, but of {checkpoint.origin}: nothing of it is cosigned")
    return Seen(checkpoint=checkpoint, note=note)


def _write(folder: Path, name: str, data: bytes, *, sync: bool) -> None:
    path = folder / FOLDER / name
    temporary = path.with_name(f"{name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fdatasync(file.fileno())
    temporary.replace(path)
    if sync:
        # Without this the name can still be that of the file before, once the power was gone.
        folder_handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder_handle)
        finally:
            os.close(folder_handle)
