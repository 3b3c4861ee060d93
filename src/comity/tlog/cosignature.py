# SPDX-License-Identifier: Apache-2.0
"""Pure: what a witness says of a checkpoint: that it was the largest head seen at a time (C2SP tlog-cosignature).

Decides what bytes a witness signs, and whether a line of a note is its signature over them. Does not decide whether a
witness may sign (`tlog.witness`), nor how many witnesses are enough (`tlog.policy`).

    cosignature/v1
    time 1679315147
    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

A cosignature is a signature line whose signature is 8 bytes of time and a signature. Two kinds are known: Ed25519, over
the two lines above and the checkpoint; and ML-DSA-44, over the names of the witness and of the log, the size and the
root, which stands against quantum computers and is carried beside the first.
"""

from typing import assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from comity.errors import BadSignature, MalformedNote, UnknownKey
from comity.signing import Signer, verify_signature
from comity.tlog.note import (
    Checkpoint,
    Note,
    NoteSignature,
    SignatureType,
    VerifierKey,
    format_vkey,
    parse_checkpoint,
    verify_note,
)

__all__ = ["MAX_TIMESTAMP", "sign_cosignature", "verify_cosignature", "verify_log_signature"]

MAX_TIMESTAMP = 2**63 - 1
_TIME_BYTES = 8
_SIGNATURE_BYTES = {SignatureType.ED25519_COSIGNATURE: 64, SignatureType.ML_DSA_44_COSIGNATURE: 2420}
_SUBTREE_LABEL = b"subtree/v1\n\x00"
_MAX_NAME_BYTES = 255


def sign_cosignature(text: str, key: VerifierKey, signer: Signer, *, timestamp: int) -> NoteSignature:
    """The line by which the witness of that key cosigns the checkpoint `text`, at `timestamp` (seconds since 1970).

    That the signer holds the private half of `key` is for the caller; so is whether the head may be cosigned.

    Raises:
        MalformedNote: the text is no checkpoint, the time is out of range, the name or the type cannot be used.
    """
    format_vkey(key)
    message = _make_message(text, key, timestamp)
    return NoteSignature(
        name=key.name,
        key_hash=key.key_hash,
        signature=timestamp.to_bytes(_TIME_BYTES, "big") + signer.sign(message),
    )


def verify_cosignature(note: Note, key: VerifierKey) -> int:
    """The time, in seconds since 1970, at which the witness of that key cosigned the note's checkpoint.

    Of several lines the newest. The time is what the witness says; that it is not in the future or too long ago is for
    the caller. An ML-DSA-44 cosignature may say 0: its witness does not say that it knows of no larger head.

    Raises:
        UnknownKey: no line by this name and key.
        BadSignature: such a line is there and does not verify.
        MalformedNote: the note's text is no checkpoint, or the key is none of a witness.
    """
    own = [line for line in note.signatures if line.name == key.name and line.key_hash == key.key_hash]
    if not own:
        raise UnknownKey(f"the checkpoint is not cosigned by {key.name} with key hash {key.key_hash.hex()}")
    return max(_verify_line(note.text, line, key) for line in own)


def verify_log_signature(note: Note, key: VerifierKey) -> Checkpoint:
    """The checkpoint that the note is, after the log of that key has signed it; origin and key have one name.

    A log signs with a plain Ed25519 key, or as an ML-DSA-44 cosigner of itself (C2SP tlog-checkpoint, "Signatures").

    Raises:
        UnknownKey: no line by this name and key, or the checkpoint is of another log.
        BadSignature: such a line is there and does not verify.
        MalformedNote: the note's text is no checkpoint, or the key is not one by which logs sign.
    """
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != key.name:
        raise UnknownKey(f"the checkpoint is of the log {checkpoint.origin}, not of {key.name}")
    match key.type:
        case SignatureType.ED25519:
            verify_note(note, key.name, key.public_key)
        case SignatureType.ML_DSA_44_COSIGNATURE:
            verify_cosignature(note, key)
        case SignatureType.ED25519_COSIGNATURE:
            raise MalformedNote(f"the key of {key.name} is that of a witness, and a log does not sign with it")
        case _:
            assert_never(key.type)
    return checkpoint


def _verify_line(text: str, line: NoteSignature, key: VerifierKey) -> int:
    timestamp = int.from_bytes(line.signature[:_TIME_BYTES], "big")
    signature = line.signature[_TIME_BYTES:]
    whose = f"the cosignature of {key.name}"
    if len(signature) != _SIGNATURE_BYTES.get(key.type) or timestamp > MAX_TIMESTAMP:
        raise BadSignature(f"{whose} is not a time and a signature of its type")
    message = _make_message(text, key, timestamp)
    try:
        if key.type is SignatureType.ML_DSA_44_COSIGNATURE:
            MLDSA44PublicKey.from_public_bytes(key.public_key).verify(signature, message)
        else:
            verify_signature(message, signature, public_key=key.public_key)
    except (BadSignature, InvalidSignature, ValueError):
        raise BadSignature(f"{whose} does not verify over the checkpoint and its time") from None
    return timestamp


def _make_message(text: str, key: VerifierKey, timestamp: int) -> bytes:
    """The bytes that are signed (C2SP tlog-cosignature, "signed message" of either kind)."""
    checkpoint = parse_checkpoint(text)
    if not 0 <= timestamp <= MAX_TIMESTAMP:
        raise MalformedNote("the time of a cosignature is not from 0 to 2^63 - 1 seconds")
    match key.type:
        case SignatureType.ED25519_COSIGNATURE:
            return f"cosignature/v1\ntime {timestamp}\n{text}".encode()
        case SignatureType.ML_DSA_44_COSIGNATURE:
            return b"".join(
                (
                    _SUBTREE_LABEL,
                    _prefix_length(key.name),
                    timestamp.to_bytes(_TIME_BYTES, "big"),
                    _prefix_length(checkpoint.origin),
                    (0).to_bytes(8, "big"),
                    checkpoint.size.to_bytes(8, "big"),
                    checkpoint.root,
                )
            )
        case SignatureType.ED25519:
            raise MalformedNote(f"the key of {key.name} is not one of a witness")
        case _:
            assert_never(key.type)


def _prefix_length(name: str) -> bytes:
    """A name as opaque name<1..2^8-1> (RFC 8446 §3.4)."""
    data = name.encode("utf-8")
    if not 1 <= len(data) <= _MAX_NAME_BYTES:
        raise MalformedNote(f"a name of {len(data)} bytes cannot be cosigned with ML-DSA-44: at most {_MAX_NAME_BYTES}")
    return bytes([len(data)]) + data
