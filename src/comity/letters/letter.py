# SPDX-License-Identifier: Apache-2.0
"""Pure: a letter: what one party of an agreement says to another, signed, about versions of objects.

    {"about":[{"digest":"…","id":"indicator--…","version":"…"}],"agreement":"…","at":"…","body":{…},
     "format":"comity-letter/1","from":"aurelia","kind":"recall","nonce":"…","terms":"…","to":"borealia"}

It is a DSSE document over RFC 8785 bytes, signed by the agreement role of its sender, and is named by the SHA-256 of
those bytes. `about` names each version by the digest of its bytes as the receiver of the object got them, so that both
speak of the same. `answers` is the name of the letter that it answers, where it is an answer (`letters.bodies`). The
nonce makes every letter its own.

Not here: whether both are parties of that agreement and the letter answered is one that was sent (`node.letterbox`),
and what follows from it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from comity.agreement.reader import Reader
from comity.canonical import Json, canonical_bytes, parse_signed_json, sha256_digest
from comity.errors import (
    DigestMismatch,
    MalformedJson,
    MalformedMessage,
    MalformedRequest,
    UnknownKey,
    VerificationError,
)
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId, format_instant, parse_object_id
from comity.letters.bodies import (
    Body,
    LetterKind,
    describe_body,
    find_kind,
    is_answer,
    is_stop,
    needs_objects,
    read_body,
)
from comity.letters.recall import MAX_VERSION, Change, Recall
from comity.signing import (
    Manifest,
    Role,
    SignedDocument,
    Signer,
    format_signed_document,
    parse_signed_document,
    sign_document,
    verify_signed_document,
)

__all__ = [
    "LETTER_TYPE",
    "MAX_ABOUT",
    "About",
    "Draft",
    "Letter",
    "make_letter",
    "parse_letter",
    "verify_kept_letter",
    "verify_letter",
]

LETTER_TYPE = "application/vnd.comity.letter+json"

MAX_ABOUT = 256
"""Versions of objects in one letter; what is about more is said in several."""

_FORMAT = "comity-letter/1"
_NONCE = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """One version of an object, by the SHA-256 of its bytes as the receiver of the object got them."""

    id: ObjectId
    version: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a letter is to say, before its sender signs it; `about` are up to MAX_ABOUT versions."""

    body: Body
    to: PartyId
    agreement: AgreementId
    terms: Digest
    about: tuple[About, ...]
    answers: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a letter says; `digest` is its name. `answers` is the name of the letter answered; None for no answer."""

    digest: Digest
    sender: PartyId
    to: PartyId
    agreement: AgreementId
    terms: Digest
    at: Instant
    about: tuple[About, ...]
    answers: Digest | None
    body: Body

    @property
    def kind(self) -> LetterKind:
        """What it is."""
        return find_kind(self.body)


def make_letter(draft: Draft, *, sender: PartyId, at: Instant, nonce: bytes, signers: Sequence[Signer]) -> bytes:
    """The signed letter, as it travels; `nonce` is 16 random bytes."""
    payload: dict[str, Json] = {
        "format": _FORMAT,
        "kind": find_kind(draft.body).value,
        "from": sender,
        "to": draft.to,
        "agreement": draft.agreement,
        "terms": draft.terms,
        "at": format_instant(at),
        "nonce": nonce.hex(),
        "about": [{"id": item.id, "version": item.version, "digest": item.digest} for item in draft.about],
        "body": describe_body(draft.body),
    }
    if draft.answers is not None:
        payload["answers"] = draft.answers
    return format_signed_document(sign_document(LETTER_TYPE, canonical_bytes(payload), signers))


def parse_letter(envelope: bytes) -> tuple[Letter, SignedDocument]:
    """What the letter says, and the signed document; nothing in it is believed yet.

    Raises:
        MalformedMessage: of another form, of another payload type, of a kind that this version does not know, or over
            a bound.
    """
    signed = parse_signed_document(envelope)
    if signed.payload_type != LETTER_TYPE:
        raise MalformedMessage(f"not a letter but {signed.payload_type[:80]}", where="/payloadType")
    try:
        value = parse_signed_json(signed.payload)
    except MalformedJson as error:
        raise MalformedMessage(f"the payload is not canonical JSON: {error.detail}", where=error.where) from error
    fields = Reader(value, "", MalformedMessage).open()
    if fields.text("format") != _FORMAT:
        raise fields.refuse("format", f"this version speaks {_FORMAT}")
    kind = LetterKind(fields.word("kind", [*LetterKind]))
    if _NONCE.fullmatch(fields.text("nonce")) is None:
        raise fields.refuse("nonce", "must be 32 hexadecimal digits")
    about = tuple(map(_read_about, fields.items("about", least=int(needs_objects(kind)), most=MAX_ABOUT)))
    inner = fields.item("body").open()
    body = read_body(kind, inner, count=len(about))
    inner.close()
    letter = Letter(
        digest=sha256_digest(signed.payload),
        sender=fields.party("from"),
        to=fields.party("to"),
        agreement=AgreementId(fields.digest("agreement")),
        terms=fields.digest("terms"),
        at=fields.instant("at"),
        about=about,
        answers=fields.maybe_digest("answers"),
        body=body,
    )
    fields.close()
    _check_shape(fields, letter)
    return letter, signed


def verify_letter(letter: Letter, signed: SignedDocument, manifest: Manifest, *, to: PartyId, now: Instant) -> Letter:
    """The letter, once the agreement role of its sender has signed it and it is for `to`.

    `manifest` is the sender's, as it is in force here. What stops something is believed also after its end: doubt
    about a key must not keep in use what was withdrawn.

    Raises:
        UnknownKey, BadSignature, ThresholdNotMet, Expired: the signatures.
        VerificationError: it is of another party, or for another.
    """
    if letter.sender != manifest.party or letter.to != to or letter.sender == letter.to:
        raise VerificationError("a letter of another party, or for another one")
    when = min(now, Instant(manifest.expires_at - 1)) if is_stop(letter.kind) else now
    verify_signed_document(signed, manifest, role=Role.AGREEMENT, payload_type=LETTER_TYPE, now=when)
    return letter


def verify_kept_letter(name: Digest, envelope: bytes, manifests: Sequence[Manifest]) -> Letter:
    """The letter that is kept under `name`, once one of `manifests` shows that its sender signed it when it was sent.

    `manifests` are all that are known of its sender. Whom it was for is not asked: it was when it came.

    Raises:
        MalformedMessage: the bytes.
        DigestMismatch: it is another one.
        UnknownKey, BadSignature, ThresholdNotMet: none of them does.
    """
    letter, signed = parse_letter(envelope)
    if letter.digest != name:
        raise DigestMismatch("a letter is kept under the name of another")
    problem: VerificationError = UnknownKey(f"no manifest of {letter.sender} is known")
    for manifest in manifests:
        try:
            when = Instant(manifest.expires_at - 1)
            verify_signed_document(signed, manifest, role=Role.AGREEMENT, payload_type=LETTER_TYPE, now=when)
        except VerificationError as error:
            problem = error
        else:
            return letter
    raise problem


def _read_about(item: Reader) -> About:
    inner = item.open()
    text = inner.text("id")
    try:
        name = parse_object_id(text)
    except MalformedRequest as error:
        raise inner.refuse("id", error.detail) from error
    about = About(id=name, version=inner.text("version", most=MAX_VERSION), digest=inner.digest("digest"))
    inner.close()
    return about


def _check_shape(fields: Reader, letter: Letter) -> None:
    """What holds between the fields."""
    if (letter.answers is not None) != is_answer(letter.kind):
        raise fields.refuse("answers", "is there exactly where the letter is of a kind that answers another")
    if len(set(letter.about)) < len(letter.about):
        raise fields.refuse("about", "names a version twice")
    if isinstance(letter.body, Recall) and letter.body.change is Change.CORRECT:
        versions = {item.version for item in letter.about}
        if len({item.id for item in letter.about}) > 1 or letter.body.newer in versions:
            raise fields.refuse("about", "a correction is about older versions of one object")
