# SPDX-License-Identifier: Apache-2.0
"""Pure: what a receiver signs of what it was given: the number up to which the giver's disclosures are known to it.

    {"at":"…","format":"comity-acknowledgement/1","giver":"aurelia","leaf":"…","recipient":"borealia","sequence":17,
     "unreceived":0}

It is a signed document by a log key of the receiver. `leaf` is the hash, in the giver's tree, of the leaf of disclosure
`sequence`: so it speaks of that very entry. `unreceived` counts those up to there that the receiver knows by their
receipts alone, because nothing of them came. Both parties put it into their logs: the giver can show that the receiver
knows of what was given, and the receiver that it said so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from comity.agreement.reader import Reader
from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.errors import MalformedJson, MalformedMessage
from comity.ids import Digest, Instant, PartyId, format_instant
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
    "Acknowledgement",
    "format_acknowledgement_content",
    "parse_acknowledgement",
    "sign_acknowledgement",
    "verify_acknowledgement",
]

_TYPE = "application/vnd.comity.acknowledgement+json"
_FORMAT = "comity-acknowledgement/1"
_MOST = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """`recipient` knows the disclosures of `giver` to it up to `sequence`, whose leaf has the hash `leaf`."""

    giver: PartyId
    recipient: PartyId
    sequence: int
    leaf: Digest
    unreceived: int
    at: Instant


def sign_acknowledgement(acknowledgement: Acknowledgement, signers: Sequence[Signer]) -> bytes:
    """The signed document."""
    payload: dict[str, Json] = {
        "format": _FORMAT,
        "giver": acknowledgement.giver,
        "recipient": acknowledgement.recipient,
        "sequence": acknowledgement.sequence,
        "leaf": acknowledgement.leaf,
        "unreceived": acknowledgement.unreceived,
        "at": format_instant(acknowledgement.at),
    }
    return format_signed_document(sign_document(_TYPE, canonical_bytes(payload), signers))


def parse_acknowledgement(envelope: bytes) -> tuple[Acknowledgement, SignedDocument]:
    """What the document says, and the document; nothing in it is believed yet.

    Raises:
        MalformedMessage: of another form, of another type, or over a bound.
    """
    signed = parse_signed_document(envelope)
    if signed.payload_type != _TYPE:
        raise MalformedMessage(f"not an acknowledgement but {signed.payload_type[:80]}", where="/payloadType")
    try:
        value = parse_signed_json(signed.payload)
    except MalformedJson as error:
        raise MalformedMessage(f"the payload is not canonical JSON: {error.detail}", where=error.where) from error
    fields = Reader(value, "", MalformedMessage).open()
    if fields.text("format") != _FORMAT:
        raise fields.refuse("format", f"this version speaks {_FORMAT}")
    said = Acknowledgement(
        giver=fields.party("giver"),
        recipient=fields.party("recipient"),
        sequence=fields.whole("sequence", least=1, most=_MOST),
        leaf=fields.digest("leaf"),
        unreceived=fields.whole("unreceived", least=0, most=_MOST),
        at=fields.instant("at"),
    )
    fields.close()
    return said, signed


def verify_acknowledgement(signed: SignedDocument, manifest: Manifest, *, now: Instant) -> bytes:
    """The payload, after enough log keys of the receiver's manifest have signed it.

    That it is for this giver, and speaks of an entry that there is, is for the caller to know.

    Raises:
        UnknownKey, BadSignature, ThresholdNotMet, Expired: as `signing.verify_signed_document`.
    """
    return verify_signed_document(signed, manifest, role=Role.LOG, payload_type=_TYPE, now=now)


def format_acknowledgement_content(envelope: bytes, *, sent: bool, party: PartyId, sequence: int) -> bytes:
    """The content of an acknowledgement entry, canonical: the signed document, whole, and who the other party is."""
    return canonical_bytes(
        {
            "format": "comity-acknowledgement-record/1",
            "change": "send" if sent else "receive",
            "party": party,
            "sequence": sequence,
            "acknowledgement": envelope.decode("utf-8"),
        }
    )
