# SPDX-License-Identifier: Apache-2.0
"""Shell: heads that a witness has cosigned, kept outside its store as well, as `head` keeps those of the own logs.

    witnessed/9f86d081884c7d659a2feaa0c55ad015    the greatest head of one log that was cosigned, as its log signed it

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
from pathlib import Path

from comity.canonical import sha256_digest
from comity.errors import CorruptionError, MalformedNote
from comity.node.node import Node
from comity.signing import Role
from comity.store import Transaction, parties, witness
from comity.tlog.note import Checkpoint, VerifierKey, parse_checkpoint, parse_note
from comity.tlog.witness import Seen

__all__ = ["FOLDER", "find_unsound", "list_kept", "may_cosign", "read_greatest", "stop_cosigning", "write_kept"]

FOLDER = "witnessed"

_IN_USE, _STOPPED = "witness-kept", "witness-stopped"
"""What the store keeps under these names: by which key it was begun to keep heads here, and which cosigns no more."""

_NAME_LENGTH = 32


def may_cosign(transaction: Transaction, folder: Path, key: VerifierKey) -> bool:
    """Whether nothing shows that more was cosigned by this key than is known here; its files are begun with the first.

    Raises:
        OSError: they cannot be written.
    """
    name = key.public_key.hex()
    if parties.read_meta(transaction, _STOPPED) == name:
        return False
    if parties.read_meta(transaction, _IN_USE) == name:
        return (folder / FOLDER).is_dir()
    _begin(folder, (head.checkpoint for head in witness.list_seen(transaction)))
    parties.write_meta(transaction, _IN_USE, name)
    return True


def stop_cosigning(node: Node, transaction: Transaction) -> bool:
    """Let the node cosign nothing more by the witness key that it has; False where it has none."""
    signer = node.signers.get(Role.WITNESS)
    if signer is None:
        return False
    parties.write_meta(transaction, _STOPPED, signer.public_key.hex())
    return True


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
    _write(folder, seen.checkpoint.origin, seen.note, sync=True)


def list_kept(folder: Path) -> list[tuple[str, Checkpoint | None]]:
    """Name and head of each file, None for one that holds none; of a witness that keeps none yet, nothing."""
    place = folder / FOLDER
    found = list[tuple[str, Checkpoint | None]]()
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path.suffix == ".new":
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
    sizes = {head.origin: head.size for head in witness.list_seen(transaction)}
    for name, checkpoint in list_kept(folder):
        if checkpoint is None:
            what = "it is no head of the log that it is named after, of which nothing is cosigned any more"
            yield f"{FOLDER}/{name}", what, "let the node have another witness key: comity party rotate witness"
        elif checkpoint.size > (held := sizes.get(checkpoint.origin, 0)):
            what = (
                f"it has the head of {checkpoint.origin} over {checkpoint.size} entries, and the store one over {held}"
            )
            do = "nothing, where a crash left it: the greater one counts. Where the store was put back: comity recover"
            yield f"{FOLDER}/{name}", what, do


def _begin(folder: Path, heads: Iterable[bytes]) -> None:
    """Make the folder, with the heads that the store has; what is there already and greater stays."""
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    for note in heads:
        checkpoint = parse_checkpoint(parse_note(note).text)
        there = _read(folder, checkpoint.origin)
        if there is None or there.checkpoint.size < checkpoint.size:
            _write(folder, checkpoint.origin, note, sync=False)
    os.sync()  # once for all of them


def _name(origin: str) -> str:
    return sha256_digest(origin.encode())[:_NAME_LENGTH]


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


def _write(folder: Path, origin: str, note: bytes, *, sync: bool) -> None:
    path = folder / FOLDER / _name(origin)
    temporary = path.with_suffix(".new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(note)
        file.flush()
        if sync:
            os.fdatasync(file.fileno())
    temporary.replace(path)
