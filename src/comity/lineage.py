# SPDX-License-Identifier: Apache-2.0
"""Pure: how a party tells one partner of its next manifest, and what the partner may conclude.

    {"audience":"borealia","format":"comity-lineage/1","manifests":["…","…"],"party":"aurelia"}

All signed manifests of the party go along, oldest first, so that a partner that missed one can follow, and one that
pinned a later one has those that texts name. The message is signed by the transport role of the newest, for one
partner alone: a manifest is no secret, and whoever has one must not learn, by handing it on, who has pinned its party.

Those after the pinned one follow by the chain rule, old and new thresholds (`signing.verify_successor`); those before
it are bound by the digest that each names as its previous. Only the newest has to be in its time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, starmap

from comity.agreement.reader import Reader
from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.errors import DigestMismatch, MalformedJson, MalformedMessage, VerificationError
from comity.ids import Instant, PartyId
from comity.signing import (
    MANIFEST_TYPE,
    Manifest,
    Role,
    SignedDocument,
    Signer,
    format_signed_document,
    parse_manifest,
    parse_signed_document,
    sign_document,
    verify_signed_document,
    verify_successor,
)

__all__ = [
    "LINEAGE_TYPE",
    "MAX_STEPS",
    "MAX_VERSIONS",
    "Lineage",
    "Version",
    "make_lineage",
    "parse_lineage",
    "verify_chain",
    "verify_lineage",
]

LINEAGE_TYPE = "application/vnd.comity.lineage+json"

MAX_VERSIONS = 128
"""How many manifests one message carries, and how many of one party are followed: ten years of a new one each month."""

MAX_STEPS = 16
"""How many manifests one message can follow at once: it bounds the signatures that have to be verified."""

_MOST_TRIES = 2_048
"""Signatures held against keys for one message: a fifth of a second."""

_FORMAT = "comity-lineage/1"
_MAX_ENVELOPE = 64 * 1024
_MOST_TOLD = 512 * 1024  # of manifests in one message; the oldest are left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One manifest of a chain, and its signed document as received."""

    manifest: Manifest
    envelope: bytes

    @property
    def document(self) -> SignedDocument:
        """The signed document."""
        return parse_signed_document(self.envelope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a party says of its manifests, read but not verified; `versions` oldest first."""

    party: PartyId
    audience: PartyId
    versions: tuple[Version, ...]
    signed: SignedDocument


def make_lineage(party: PartyId, audience: PartyId, envelopes: Sequence[bytes], *, signers: Sequence[Signer]) -> bytes:
    """The message to `audience`, as it travels; `envelopes` are the newest manifests of `party`, oldest first."""
    room, told = _MOST_TOLD, list[Json]()
    for envelope in reversed(envelopes[-MAX_VERSIONS:]):
        room -= len(envelope)
        if room < 0 and told:
            break
        told.insert(0, envelope.decode("ascii"))
    payload = canonical_bytes({"format": _FORMAT, "party": party, "audience": audience, "manifests": told})
    return format_signed_document(sign_document(LINEAGE_TYPE, payload, signers))


def parse_lineage(signed: SignedDocument) -> Lineage:
    """What the document says; nothing in it is believed yet.

    Raises:
        MalformedMessage, MalformedManifest: of another form, or over a bound.
    """
    try:
        value = parse_signed_json(signed.payload)
    except MalformedJson as error:
        raise MalformedMessage(f"the payload is not canonical JSON: {error.detail}", where=error.where) from error
    fields = Reader(value, "", MalformedMessage).open()
    if fields.text("format") != _FORMAT:
        raise fields.refuse("format", f"this version speaks {_FORMAT}")
    party, audience = fields.party("party"), fields.party("audience")
    items = fields.items("manifests", least=1, most=MAX_VERSIONS)
    envelopes = [_read_text(item) for item in items]
    fields.close()
    return Lineage(party=party, audience=audience, versions=tuple(map(_read_version, envelopes)), signed=signed)


def verify_lineage(lineage: Lineage, pinned: Manifest, *, audience: PartyId, now: Instant) -> Manifest:
    """The newest manifest of the party, which is `pinned` or follows from it; all in `lineage.versions` then hold.

    Raises:
        VerificationError: made for another node; not a chain, or not that of `pinned`; signatures; expiry.
    """
    versions = lineage.versions
    newest = versions[-1].manifest
    if lineage.audience != audience or lineage.party != pinned.party:
        raise VerificationError("made for another node, or of another party")
    for before, after in pairwise(versions):
        if after.manifest.version != before.manifest.version + 1 or after.manifest.previous != before.manifest.digest:
            raise DigestMismatch(f"its manifests {before.manifest.version} and {after.manifest.version} are no chain")
    if pinned.digest not in {version.manifest.digest for version in versions}:
        raise DigestMismatch(f"version {pinned.version}, which is pinned here, is none of its manifests; one is forged")
    start = next(place for place, version in enumerate(versions) if version.manifest.digest == pinned.digest)
    if len(versions) - start > MAX_STEPS:
        raise VerificationError(f"more than {MAX_STEPS} manifests since the one pinned here: bring them by `party add`")
    if sum(starmap(_count_tries, pairwise(versions[start:]))) > _MOST_TRIES:
        raise VerificationError("too many keys and signatures for one message: bring the manifests by `party add`")
    verify_chain(versions[start:], now=now)
    verify_signed_document(lineage.signed, newest, role=Role.TRANSPORT, payload_type=LINEAGE_TYPE, now=now)
    return newest


def verify_chain(versions: Sequence[Version], *, now: Instant) -> Sequence[Manifest]:
    """The manifests, each of which follows from the one before; the first of them is believed already.

    That one in the middle has run out does not matter: it was succeeded.

    Raises:
        VerificationError: as `signing.verify_successor`.
    """
    for before, after in pairwise(versions):
        last = after is versions[-1]
        when = now if last else Instant(after.manifest.expires_at - 1)
        verify_successor(before.manifest, after.document, now=when)
    return [version.manifest for version in versions]


def _count_tries(before: Version, after: Version) -> int:
    """How often a signature may have to be held against a key, until it is known that `after` follows."""
    keys = sum(len(item.manifest.roles[Role.MANIFEST].keys) for item in (before, after))
    return keys * len(after.document.signatures)


def _read_text(item: Reader) -> bytes:
    text = item.value
    if not isinstance(text, str) or not text.isascii() or len(text) > _MAX_ENVELOPE:
        raise MalformedMessage(f"{item.where} is not the text of a signed manifest", where=item.where)
    return text.encode("ascii")


def _read_version(envelope: bytes) -> Version:
    document = parse_signed_document(envelope)
    if document.payload_type != MANIFEST_TYPE:
        raise MalformedMessage(f"not a manifest but {document.payload_type[:80]}", where="/manifests")
    return Version(manifest=parse_manifest(document.payload), envelope=envelope)
