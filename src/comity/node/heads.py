# SPDX-License-Identifier: Apache-2.0
"""Shell: signed heads of this node's logs, and the last of them kept outside the store, in the file `head`.

The file has the last head of the house's log, and below it that of the log of the last entry, where that is another
one. A store that is an older copy has not got the head of the last act, whichever log it went to. That no other log was
cut short is in the house's log, which names their heads (`release.logs`).
"""

import os
from pathlib import Path

from comity.counting import say_count
from comity.errors import CorruptionError, MalformedError, RolledBack
from comity.signing import Signer
from comity.store import SqliteStore, Transaction, log, logs
from comity.tlog.note import (
    Checkpoint,
    NoteSignature,
    format_checkpoint,
    format_signature_line,
    note_key_hash,
    parse_checkpoint,
    parse_note,
)
from comity.tlog.origin import find_token

__all__ = ["join_heads", "read_newest", "sign_head", "split_heads", "verify_newest", "write_head"]

_BETWEEN_HEADS = b"\n\ncomity/"
"""Of two notes one below the other: within one, what follows an empty line is a signature."""


def sign_head(origin: str, size: int, root: bytes, *, signer: Signer) -> bytes:
    """The signed checkpoint of a tree of `size` entries (C2SP tlog-checkpoint)."""
    text = format_checkpoint(Checkpoint(origin=origin, size=size, root=root))
    key = signer.public_key
    line = NoteSignature(name=origin, key_hash=note_key_hash(origin, key), signature=signer.sign(text.encode()))
    # A note of these parts is well formed: the text is, and the name of a log is a name.
    return f"{text}\n{format_signature_line(line)}".encode()


def join_heads(house: bytes, newest: bytes) -> bytes:
    """The head of the house's log, and below it that of the log of the last entry, where that is another one."""
    return house if newest == house else house + b"\n" + newest


def split_heads(kept: bytes) -> list[bytes]:
    """The notes in what `join_heads` made: that of the house first."""
    first, between, second = kept.partition(_BETWEEN_HEADS)
    return [first + b"\n", between[2:] + second] if between else [kept]


def read_newest(transaction: Transaction) -> bytes | None:
    """The last signed heads, as they are kept outside the store; None for an empty log."""
    house, count = log.read_head(transaction), log.count_entries(transaction)
    last = log.find_place(transaction, count - 1)
    if house is None or last is None:
        return house
    return join_heads(house, log.read_head(transaction, last[0]) or house)


def write_head(folder: Path, head: bytes) -> None:
    """Replace the file `head` in one step: after a crash it is the old one or the new one."""
    temporary = folder / "head.new"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(head)
        file.flush()
        os.fdatasync(file.fileno())
    temporary.replace(folder / "head")


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
        kept = split_heads(path.read_bytes())
        checkpoints = [parse_checkpoint(parse_note(note).text) for note in kept]
    except OSError as error:
        raise RolledBack(
            f"{path} is missing, so nothing shows that the store is the newest one; restore it from the same backup,"
            " or see `comity recover`"
        ) from error
    except MalformedError as error:
        raise CorruptionError(f"{path} is not a checkpoint ({error.detail}); restore it from your backup") from error
    with store.read() as transaction:
        for place, (note, checkpoint) in enumerate(zip(kept, checkpoints, strict=True)):
            number = log.HOUSE if place == 0 else _find_number(transaction, checkpoint)
            size = 0 if number is None else log.read_size(transaction, number)
            held = None if number is None else log.read_head_at(transaction, checkpoint.size, number)
            _compare_kept(path, note, checkpoint, size=size, held=held)


def _find_number(transaction: Transaction, checkpoint: Checkpoint) -> int | None:
    token = find_token(checkpoint.origin)
    found = None if token is None else logs.find_log(transaction, token)
    return None if found is None else found.number


def _compare_kept(path: Path, kept: bytes, checkpoint: Checkpoint, *, size: int, held: bytes | None) -> None:
    if size < checkpoint.size:
        raise RolledBack(
            f"the store holds {size} entries of the log {checkpoint.origin} but this node has signed a checkpoint over"
            f" {checkpoint.size}: it is an older copy. Serving it would fork the log: put the newest store back if"
            " there is one, else restore the newest backup and let the log go on under another name with"
            " `comity recover`"
        )
    if checkpoint.size and held != kept:
        raise RolledBack(
            f"the checkpoint over {say_count(checkpoint.size, 'entry')} in {path} is not the one in the store: they"
            " are not of one history. Restore both from one backup"
        )
