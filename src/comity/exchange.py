# SPDX-License-Identifier: Apache-2.0
"""Pure: what two nodes say to each other, and who may say it.

A message is one signed event (DSSE over RFC 8785 bytes). A proposal and an acceptance carry the whole document and the
sender's signatures over it, so that each stands alone: whichever arrives first, nothing has to be believed or fetched.

    {"agreement":"…","at":"…","format":"comity-event/1","kind":"suspend","nonce":"…","party":"aurelia","terms":"…"}

The nonce makes every act its own event: a second suspension in the same microsecond as a first one that was lifted is
not a repetition of it.

An access token is a signed statement of the same make: who asks, whom, and for how short a time.

Not here: whether the act is possible in this state (`agreement.lifecycle`), and what is then done (`node.agree`).
"""

import base64
import binascii
import re as regex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from comity.agreement.events import CARRIES_TERMS, SIGNS, STOPS, TALK, Event, EventKind, Position, Reservation
from comity.agreement.reader import Reader
from comity.agreement.terms import MAX_DOCUMENT_BYTES, TERMS_TYPE, LegalBasis, Terms, parse_terms, read_bases
from comity.canonical import Json, canonical_bytes, parse_signed_json, sha256_digest
from comity.errors import (
    AuthenticationError,
    ComityError,
    DigestMismatch,
    MalformedJson,
    MalformedMessage,
    UnknownKey,
    VerificationError,
)
from comity.ids import AgreementId, Digest, Instant, PartyId, format_instant
from comity.signing import (
    Manifest,
    Role,
    Signature,
    SignedDocument,
    Signer,
    format_signed_document,
    parse_signed_document,
    sign_document,
    verify_signed_document,
)
from comity.vocabulary import RESERVATION_GROUNDS

__all__ = [
    "ACCESS_TYPE",
    "EVENT_TYPE",
    "Message",
    "describe_event",
    "endorse_message",
    "make_access",
    "make_message",
    "parse_message",
    "verify_access",
    "verify_message",
]

EVENT_TYPE = "application/vnd.comity.event+json"
ACCESS_TYPE = "application/vnd.comity.access+json"

_EVENT_FORMAT = "comity-event/1"
_ACCESS_FORMAT = "comity-access/1"
_ACCESS_LIFETIME = 60_000_000
_CLOCK_SKEW = 30_000_000
_MAX_TOKEN = 8_192
_MAX_SIGNATURES = 32
_MAX_RESERVATIONS = 64
_MAX_POSITIONS = 256
_NONCE = regex.compile(r"[0-9a-f]{2,64}", regex.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, read but not verified; `document` and `signatures` over it come with a proposal or acceptance."""

    event: Event
    document: bytes | None
    signatures: tuple[Signature, ...]
    signed: SignedDocument


def make_message(event: Event, *, nonce: bytes, signers: Sequence[Signer], document: bytes | None = None) -> bytes:
    """The signed message that says `event`, as it travels; `event.digest` is not read, it follows from the bytes.

    `document` is given with the kinds that sign a text, and then signed too.
    """
    payload: dict[str, Json] = {
        "format": _EVENT_FORMAT,
        "kind": event.kind.value,
        "agreement": event.agreement,
        "terms": event.terms,
        "party": event.party,
        "at": format_instant(event.at),
        "nonce": nonce.hex(),
        **describe_event(event),
    }
    if document is not None:
        signatures = sign_document(TERMS_TYPE, document, signers).signatures
        payload["document"] = document.decode("utf-8")
        payload["signatures"] = [
            {"keyid": each.keyid, "sig": base64.b64encode(each.sig).decode("ascii")} for each in signatures
        ]
    return format_signed_document(sign_document(EVENT_TYPE, canonical_bytes(payload), signers))


def endorse_message(envelope: bytes, signers: Sequence[Signer]) -> bytes:
    """The same message, signed by `signers` too: by the keys that its sender has by the time it is sent."""
    signed = parse_signed_document(envelope)
    known = {signature.sig for signature in signed.signatures}
    more = sign_document(signed.payload_type, signed.payload, signers).signatures
    fresh = [signature for signature in more if signature.sig not in known]
    if not fresh:
        return envelope
    kept = signed.signatures[-(_MAX_SIGNATURES - len(fresh)) :]
    return format_signed_document(replace(signed, signatures=(*kept, *fresh)))


def describe_event(event: Event) -> dict[str, Json]:
    """What an event says beside its kind, sender, text and time; what is absent is not written."""
    optional: dict[str, Json] = {
        "clause": event.clause,
        "channel": event.channel,
        "text": event.text,
        "re": event.re,
        "joiner": event.joiner,
        "manifest": event.manifest,
    }
    if event.bases:
        optional["legal_bases"] = [_format_basis(basis) for basis in event.bases]
    if event.positions:
        optional["positions"] = [position.value for position in event.positions]
    if event.reservations:
        optional["reservations"] = [
            {"clause": each.clause, "ground": each.ground, **({"text": each.text} if each.text else {})}
            for each in event.reservations
        ]
    return {name: value for name, value in optional.items() if value is not None}


def _format_basis(basis: LegalBasis) -> Json:
    optional = {
        "paragraph": basis.paragraph,
        "valid_from": None if basis.valid_from is None else format_instant(basis.valid_from),
        "valid_until": None if basis.valid_until is None else format_instant(basis.valid_until),
    }
    return {
        "party": basis.party,
        "kind": basis.kind,
        "reference": basis.reference,
        "force": basis.force,
        **{name: value for name, value in optional.items() if value is not None},
    }


def parse_message(envelope: bytes) -> Message:
    """The message in `envelope`; nothing in it is believed yet.

    Raises:
        MalformedMessage: of another form, of another payload type, or over a bound.
    """
    signed = parse_signed_document(envelope)
    if signed.payload_type != EVENT_TYPE:
        raise MalformedMessage(f"not a message between nodes but {signed.payload_type[:80]}", where="/payloadType")
    try:
        value = parse_signed_json(signed.payload)
    except MalformedJson as error:
        raise MalformedMessage(f"the payload is not canonical JSON: {error.detail}", where=error.where) from error
    fields = Reader(value, "", MalformedMessage).open()
    if fields.text("format") != _EVENT_FORMAT:
        raise fields.refuse("format", f"this version speaks {_EVENT_FORMAT}")
    event = _read_event(fields, sha256_digest(signed.payload))
    _read_nonce(fields)
    document: bytes | None = None
    signatures: tuple[Signature, ...] = ()
    if event.kind in CARRIES_TERMS:
        document = fields.text("document", most=MAX_DOCUMENT_BYTES).encode("utf-8")
        items = fields.items("signatures", least=1, most=_MAX_SIGNATURES)
        signatures = tuple(_read_signature(item) for item in items)
    fields.close()
    _check_shape(event)
    return Message(event=event, document=document, signatures=signatures, signed=signed)


def _read_event(fields: Reader, digest: Digest) -> Event:
    party = fields.party("party")
    return Event(
        digest=digest,
        kind=EventKind(fields.word("kind", [kind.value for kind in EventKind])),
        agreement=AgreementId(fields.digest("agreement")),
        terms=fields.digest("terms"),
        party=party,
        at=fields.instant("at"),
        clause=fields.maybe_text("clause"),
        channel=fields.label("channel") if fields.has("channel") else None,
        text=fields.maybe_prose("text"),
        re=fields.maybe_digest("re"),
        joiner=fields.party("joiner") if fields.has("joiner") else None,
        manifest=fields.maybe_digest("manifest"),
        bases=read_bases(fields, [party]) if fields.has("legal_bases") else (),
        positions=_read_positions(fields),
        reservations=_read_reservations(fields),
    )


def _read_positions(fields: Reader) -> tuple[Position, ...]:
    if not fields.has("positions"):
        return ()
    words = fields.sequence("positions", [position.value for position in Position], most=_MAX_POSITIONS)
    return tuple(Position(word) for word in words)


def _read_reservations(fields: Reader) -> tuple[Reservation, ...]:
    if not fields.has("reservations"):
        return ()
    found = list[Reservation]()
    for item in fields.items("reservations", least=1, most=_MAX_RESERVATIONS):
        inner = item.open()
        ground = inner.word("ground", RESERVATION_GROUNDS)
        found.append(Reservation(clause=inner.text("clause"), ground=ground, text=inner.maybe_prose("text")))
        inner.close()
    return tuple(found)


def verify_message(
    message: Message, manifests: Mapping[PartyId, Manifest], *, now: Instant, earlier: Sequence[Manifest] = ()
) -> tuple[Event, Terms | None]:
    """The event, and the terms that came with it.

    Verified, in this order: the sender is pinned here; its agreement role signed the event; the document that came
    with it is the one the event names, of the agreement it names; the sender is a party of it, or accedes to it by
    the manifest that is pinned here for it; its agreement role signed the document too. The event is signed by the
    keys in force; the document may be by those of one of the `earlier` manifests of the sender, when it signed it.
    Not verified here: that the sender is a party of an agreement whose terms did not come along (`node.agree`).

    Raises:
        UnknownKey, BadSignature, ThresholdNotMet, Expired: the signatures.
        DigestMismatch: the document is another one.
        MalformedTerms: the document.
        VerificationError: the sender is not a party of the terms.
    """
    event = message.event
    manifest = manifests.get(event.party)
    if manifest is None:
        raise UnknownKey(f"{event.party} is not a party this node has pinned")
    # A stop is believed even of a party whose manifest has run out: doubt about a key must not keep a feed open.
    when = min(now, Instant(manifest.expires_at - 1)) if event.kind in STOPS - CARRIES_TERMS else now
    verify_signed_document(message.signed, manifest, role=Role.AGREEMENT, payload_type=EVENT_TYPE, now=when)
    if message.document is None:
        return event, None
    terms = parse_terms(message.document)
    if terms.hash != event.terms or terms.agreement_id != event.agreement:
        raise DigestMismatch("the document that came with the event is not the one it names")
    if event.kind in SIGNS and event.party not in terms.founders:
        raise VerificationError(f"{event.party} is not a party of the terms it signed")
    if event.kind is EventKind.ACCEDE and event.manifest not in {manifest.digest, *(item.digest for item in earlier)}:
        raise DigestMismatch(f"{event.party} accedes by another manifest than the one pinned here for it")
    signed = SignedDocument(payload_type=TERMS_TYPE, payload=message.document, signatures=message.signatures)
    _verify_text(signed, manifest, earlier, now=now)
    return event, terms


def _verify_text(signed: SignedDocument, manifest: Manifest, earlier: Sequence[Manifest], *, now: Instant) -> None:
    """The text is signed by the agreement role as it is, or as it was.

    A key of before does as well, revoked or not: the event that holds the text and this signature is signed by the keys
    in force, so that whoever has the old key alone cannot bring it.

    Raises:
        VerificationError: by neither.
    """
    for known in earlier:
        with suppress(VerificationError):
            when = Instant(known.expires_at - 1)
            verify_signed_document(signed, known, role=Role.AGREEMENT, payload_type=TERMS_TYPE, now=when)
            return
    verify_signed_document(signed, manifest, role=Role.AGREEMENT, payload_type=TERMS_TYPE, now=now)


def make_access(party: PartyId, audience: PartyId, *, now: Instant, nonce: bytes, signers: Sequence[Signer]) -> str:
    """A token by which `party` shows itself to the node of `audience` for one minute; URL-safe text."""
    payload = canonical_bytes(
        {
            "format": _ACCESS_FORMAT,
            "party": party,
            "audience": audience,
            "at": format_instant(now),
            "nonce": nonce.hex(),
        }
    )
    envelope = format_signed_document(sign_document(ACCESS_TYPE, payload, signers))
    return base64.urlsafe_b64encode(envelope).decode("ascii").rstrip("=")


def verify_access(token: str, manifests: Mapping[PartyId, Manifest], *, audience: PartyId, now: Instant) -> PartyId:
    """The party that made the token for `audience`, at most a minute ago (half a minute of clock skew allowed).

    A token can be used again within its minute by whoever sees it: the transport has to hide it.

    Raises:
        AuthenticationError: whatever is wrong with it.
    """
    try:
        return _verify_access(token, manifests, audience=audience, now=now)
    except ComityError as error:
        raise AuthenticationError(f"the access token is not valid: {error.detail}") from error


def _verify_access(token: str, manifests: Mapping[PartyId, Manifest], *, audience: PartyId, now: Instant) -> PartyId:
    if len(token) > _MAX_TOKEN:
        raise MalformedMessage("too long")
    try:
        envelope = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedMessage("not base64url") from error
    signed = parse_signed_document(envelope)
    fields = Reader(parse_signed_json(signed.payload), "", MalformedMessage).open()
    if fields.text("format") != _ACCESS_FORMAT:
        raise fields.refuse("format", f"this version speaks {_ACCESS_FORMAT}")
    party, meant, at = fields.party("party"), fields.party("audience"), fields.instant("at")
    _read_nonce(fields)
    fields.close()
    if meant != audience:
        raise VerificationError("made for another node")
    if not at - _CLOCK_SKEW <= now <= at + _ACCESS_LIFETIME + _CLOCK_SKEW:
        raise VerificationError("too old, or from the future")
    if party not in manifests:
        raise UnknownKey("made by a party that is not pinned here")
    verify_signed_document(signed, manifests[party], role=Role.TRANSPORT, payload_type=ACCESS_TYPE, now=now)
    return party


_NEEDS: Mapping[str, frozenset[EventKind]] = {
    "clause": frozenset({EventKind.CLARIFY}),
    "re": frozenset({EventKind.ANSWER, EventKind.RESUME}),
    "joiner": frozenset({EventKind.ADMIT}),
    "manifest": frozenset({EventKind.ADMIT, EventKind.ACCEDE}),
    "bases": frozenset({EventKind.ACCEDE}),
}
"""Members that some kinds must have and no other may."""

_ALLOWS: Mapping[str, frozenset[EventKind]] = {
    "channel": frozenset({EventKind.SUSPEND}),
    "positions": CARRIES_TERMS | {EventKind.CONFIRM},
    "reservations": CARRIES_TERMS,
}
"""Members that some kinds may have and no other."""


def _check_shape(event: Event) -> None:
    """What each kind needs and must not have."""
    for name, kinds in _NEEDS.items():
        if (event.kind in kinds) != bool(getattr(event, name)):
            problem = "needs" if event.kind in kinds else "has no"
            member = "legal_bases" if name == "bases" else name
            raise MalformedMessage(f"{event.kind} {problem} `{member}`", where=f"/{member}")
    for name, kinds in _ALLOWS.items():
        if event.kind not in kinds and getattr(event, name):
            raise MalformedMessage(f"{event.kind} has no `{name}`", where=f"/{name}")
    if event.kind in TALK and event.text is None:
        raise MalformedMessage(f"{event.kind} needs a text", where="/text")


def _read_nonce(fields: Reader) -> str:
    nonce = fields.text("nonce")
    if _NONCE.fullmatch(nonce) is None:
        raise fields.refuse("nonce", "must be 2 to 64 lower-case hexadecimal digits")
    return nonce


def _read_signature(reader: Reader) -> Signature:
    fields = reader.open()
    keyid, text = fields.text("keyid"), fields.text("sig")
    fields.close()
    try:
        sig = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        sig = b""
    # Encoding again refuses the other spellings of the same bytes (RFC 4648 §3.5).
    if base64.b64encode(sig).decode("ascii") != text:
        raise fields.refuse("sig", "must be standard base64 with padding (RFC 4648 §4)")
    return Signature(keyid=keyid, sig=sig)
