# SPDX-License-Identifier: Apache-2.0
"""Pure: signed notes, and the checkpoint of a log as the text of one (C2SP signed-note, tlog-checkpoint).

Decides whether bytes are a note, whether a known key signed its text, and what checkpoint the text is. Does not
decide whether two checkpoints belong to one history (`tlog.merkle`), nor which key is a party's (`comity.signing`),
nor what a witness has said of a checkpoint (`tlog.cosignature`).

    comity.arvenia.example/log
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — comity.arvenia.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/...

A note has one spelling: what is accepted is given back byte for byte by `format_note`.
"""

import base64
import re
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from comity.ed25519 import is_small_order
from comity.errors import BadSignature, MalformedNote, UnknownKey
from comity.signing import Signer, verify_signature

__all__ = [
    "Checkpoint",
    "Note",
    "NoteSignature",
    "SignatureType",
    "VerifierKey",
    "format_checkpoint",
    "format_note",
    "format_signature_line",
    "format_vkey",
    "note_key_hash",
    "parse_checkpoint",
    "parse_note",
    "parse_signature_lines",
    "parse_vkey",
    "sign_note",
    "verify_note",
]

_HASH_BYTES = 32
_KEY_HASH_BYTES = 4
_MAX_NOTE_BYTES = 1_000_000  # as Go's sumdb/note, whose readers will see our notes
_MAX_SIGNATURES = 100  # the same; C2SP asks for at least 16
_MAX_SIZE = 2**63 - 1  # as Go's int64: no reader in the field can hold more
_LINE = re.compile(r"— (\S+) (\S+)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_ORIGIN = re.compile(r"[^\x00-\x1f]+")
_SIZE = re.compile(r"0|[1-9][0-9]*", re.ASCII)
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+(\S+)")
_MAX_VKEY = 4_000  # characters; with an ML-DSA-44 key it has under 1,900 and a name


class SignatureType(IntEnum):
    """What a signature line's key is and what it signs: the type byte of C2SP signed-note and tlog-cosignature."""

    ED25519 = 0x01
    """Over the note's text: how a log signs."""
    ED25519_COSIGNATURE = 0x04
    """Over a time and the text of a checkpoint: how a witness signs."""
    ML_DSA_44_COSIGNATURE = 0x06
    """Over a time, the names of witness and log, size and root; not over extension lines."""


_KEY_BYTES = {
    SignatureType.ED25519: 32,
    SignatureType.ED25519_COSIGNATURE: 32,
    SignatureType.ML_DSA_44_COSIGNATURE: 1312,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A key as a reader of notes is told of it: what its signature lines are named, and how they verify."""

    name: str
    type: SignatureType
    public_key: bytes

    @property
    def key_hash(self) -> bytes:
        """The 4 bytes by which signature lines point at this key."""
        return note_key_hash(self.name, self.public_key, algorithm=self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log signs: that the tree of its first `size` leaves has this root."""

    origin: str
    """The log's name, by custom the URL of its prefix without the scheme."""
    size: int
    root: bytes
    """32 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line. Which key it is by is only a claim until it verifies."""

    name: str
    key_hash: bytes
    """The first 4 bytes of a hash over name, type and key: a hint, short enough to be forged."""
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and signatures over it. Nothing in it is verified yet."""

    text: str
    """Ends with a newline; may hold blank lines."""
    signatures: tuple[NoteSignature, ...]


def note_key_hash(name: str, public_key: bytes, *, algorithm: int = SignatureType.ED25519) -> bytes:
    """The 4 bytes by which signature lines point at a key (C2SP signed-note, "Signatures").

    Raises:
        MalformedNote: the name is not text.
    """
    return sha256(_encode(name) + b"\n" + bytes([algorithm]) + public_key).digest()[:_KEY_HASH_BYTES]


def format_vkey(key: VerifierKey) -> str:
    """The key in one line, as configurations hold it: NAME+HASH+BASE64 (C2SP signed-note, "Verifier keys").

    Raises:
        MalformedNote: what `parse_vkey` would refuse.
    """
    text = f"{key.name}+{key.key_hash.hex()}+{_format_base64(bytes([key.type]) + key.public_key)}"
    parse_vkey(text)
    return text


def parse_vkey(text: str) -> VerifierKey:
    """The key that a line names. Its hash is recomputed: a line in which one part was altered is refused.

    Raises:
        MalformedNote: not that, a type not known here, a key of another length, or one for which anybody can sign.
    """
    match = _VKEY.fullmatch(text) if len(text) <= _MAX_VKEY else None
    data = None if match is None else _read_base64(match[3])
    if match is None or _CONTROL.search(text) or not data:
        raise MalformedNote('not a verifier key: write NAME+HASH+BASE64, the name without spaces or "+"')
    types = [kind for kind in SignatureType if kind == data[0]]
    if not types:
        known = ", ".join(f"{kind:#04x}" for kind in SignatureType)
        raise MalformedNote(f"the verifier key of {match[1]} is of type {data[0]:#04x}; known are {known}")
    key = VerifierKey(name=match[1], type=types[0], public_key=data[1:])
    if len(key.public_key) != _KEY_BYTES[key.type]:
        raise MalformedNote(f"the verifier key of {key.name} has {len(data) - 1} bytes, not {_KEY_BYTES[key.type]}")
    if key.type is not SignatureType.ML_DSA_44_COSIGNATURE and is_small_order(key.public_key):
        raise MalformedNote(f"the verifier key of {key.name} is a key of small order: anybody can sign for it")
    if key.key_hash.hex() != match[2]:
        raise MalformedNote(f"the verifier key of {key.name} has the hash {key.key_hash.hex()}, not {match[2]}")
    return key


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The note text of a checkpoint: origin, size and root, a line each (C2SP tlog-checkpoint).

    Raises:
        MalformedNote: an origin that is empty or not one line, a size out of range, a root that is not 32 bytes.
    """
    origin, size, root = checkpoint.origin, checkpoint.size, checkpoint.root
    text = f"{origin}\n{size}\n{_format_base64(root)}\n"
    if not (_ORIGIN.fullmatch(origin) and 0 <= size <= _MAX_SIZE and len(root) == _HASH_BYTES):
        parse_checkpoint(text)  # which says what is wrong
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note text is (C2SP tlog-checkpoint).

    Extension lines, which the specification allows and advises against, are refused: no monitor can audit them.
    That the root of size 0 is the root of the empty tree is not checked here but by `merkle.verify_consistency`.

    Raises:
        MalformedNote: not three lines, an empty origin, a size that is not plain decimal or beyond 2^63 - 1, a root
            that is not canonical base64 of 32 bytes.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:  # noqa: PLR2004 (three lines, and nothing after the last newline)
        raise MalformedNote("a checkpoint is three lines: origin, size and root hash", where="line 1")
    origin, size, root = lines[:3]
    if not origin or _CONTROL.search(origin):
        raise MalformedNote(
            "line 1 of the checkpoint, the origin, is empty or holds control characters", where="line 1"
        )
    # Digits are matched before int(), which would also take "+1", "1_0" and the digits of other scripts.
    if _SIZE.fullmatch(size) is None or len(size) > len(str(_MAX_SIZE)) or int(size) > _MAX_SIZE:
        raise MalformedNote("line 2 of the checkpoint is not a size in decimal, 0 to 2^63 - 1", where="line 2")
    decoded = _read_base64(root)
    if decoded is None or len(decoded) != _HASH_BYTES:
        raise MalformedNote("line 3 of the checkpoint is not the base64 of a hash of 32 bytes", where="line 3")
    return Checkpoint(origin=origin, size=int(size), root=decoded)


def sign_note(text: str, name: str, signer: Signer) -> Note:
    """The text with one Ed25519 signature over it, by a key of that name.

    Raises:
        MalformedNote: the text does not end with a newline or holds control characters, or the name is not one.
    """
    note = Note(
        text=text,
        signatures=(
            NoteSignature(
                name=name,
                key_hash=note_key_hash(name, signer.public_key),
                signature=signer.sign(_encode(text)),
            ),
        ),
    )
    format_note(note)
    return note


def parse_note(data: bytes) -> Note:
    """The note that the bytes are: text, a blank line, and 1 to 100 signature lines (C2SP signed-note).

    Raises:
        MalformedNote: not that, not UTF-8, a control character, base64 that is not canonical, or over a bound.
    """
    if len(data) > _MAX_NOTE_BYTES:
        raise MalformedNote(f"a note of {len(data)} bytes, where at most {_MAX_NOTE_BYTES} are taken")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedNote(f"byte {error.start} of the note is not UTF-8", where=f"byte {error.start}") from None
    if (control := _CONTROL.search(whole)) is not None:
        raise MalformedNote("the note holds a control character", where=_line(whole, control.start()))
    # "the text is separated from the signatures by the last empty line in the note"
    end = whole.rfind("\n\n") + 1
    if not end or not whole.endswith("\n"):
        raise MalformedNote("a note is a text, a blank line, and signature lines that each end with a newline")
    first = whole.count("\n", 0, end + 1) + 1
    return Note(text=whole[:end], signatures=_read_signatures(whole[end + 1 :], first=first))


def parse_signature_lines(data: bytes) -> tuple[NoteSignature, ...]:
    """The signature lines that the bytes are, 1 to 100, without a note (the answer of C2SP tlog-witness).

    Raises:
        MalformedNote: as `parse_note` of them.
    """
    note = parse_note(b"x\n\n" + data)
    if note.text != "x\n":
        raise MalformedNote("signature lines with a text or a blank line before them")
    return note.signatures


def format_signature_line(signature: NoteSignature) -> str:
    """The line of a signature, with its newline. What a note may hold is checked by `format_note`, not here."""
    return f"— {signature.name} {_format_base64(signature.key_hash + signature.signature)}\n"


def format_note(note: Note) -> bytes:
    """The bytes of a note; `parse_note` gives it back from them.

    Raises:
        MalformedNote: the note cannot be written: its text, a name or a signature is not what a note may hold.
    """
    lines = [format_signature_line(signature) for signature in note.signatures]
    data = _encode("".join([note.text, "\n", *lines]))
    if parse_note(data) != note:
        raise MalformedNote("the note would be read differently from how it was made: check text, names and key hashes")
    return data


def verify_note(note: Note, name: str, public_key: bytes) -> str:
    """The text, after the key of that name has signed it with Ed25519.

    Lines by other names or key hashes are passed over: witnesses and rotated keys sign beside the log.

    Raises:
        UnknownKey: no signature line by this name and key.
        BadSignature: such a line is there and does not verify.
    """
    key_hash = note_key_hash(name, public_key)
    own = [line for line in note.signatures if line.name == name and line.key_hash == key_hash]
    if not own:
        raise UnknownKey(f"the note is not signed by {name} with key hash {key_hash.hex()}; it names other keys only")
    message = _encode(note.text)
    for line in own:
        try:
            verify_signature(message, line.signature, public_key=public_key)
        except BadSignature:
            raise BadSignature(f"the signature line of {name} does not verify over the note's text") from None
    return note.text


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedNote("a note cannot hold a lone surrogate, which is not text") from None


def _format_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _read_base64(text: str) -> bytes | None:
    """The bytes, or None when the text is not their one standard spelling (RFC 4648 §4, §3.5)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if _format_base64(data) == text else None


def _line(text: str, position: int) -> str:
    return f"line {text.count(chr(10), 0, position) + 1}"


def _read_signatures(text: str, *, first: int) -> tuple[NoteSignature, ...]:
    lines = text[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise MalformedNote(f"{len(lines)} signature lines where at most {_MAX_SIGNATURES} are taken")
    return tuple(_read_signature(line, where=f"line {first + place}") for place, line in enumerate(lines))


def _read_signature(line: str, *, where: str) -> NoteSignature:
    # \S is any character but a Unicode space, as the name must be.
    match = _LINE.fullmatch(line)
    if match is None or "+" in match[1]:
        raise MalformedNote(f'{where} of the note is not "— NAME BASE64", the name without spaces or "+"', where=where)
    data = _read_base64(match[2])
    if data is None or len(data) <= _KEY_HASH_BYTES:
        raise MalformedNote(f"{where} of the note does not hold the base64 of a key hash and a signature", where=where)
    return NoteSignature(name=match[1], key_hash=data[:_KEY_HASH_BYTES], signature=data[_KEY_HASH_BYTES:])
