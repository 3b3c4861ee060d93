# SPDX-License-Identifier: Apache-2.0
"""Pure: a receipt for a disclosure: what its giver's log says of it, and the proof that the log says so.

    receipt bytes ──parse_receipt──▶ Receipt ──verify_receipt(manifests)──▶ VerifiedReceipt

Nobody has to be asked; it is bound together from the end:

    checkpoint   of a log of the giver (`tlog.origin`), signed by a log key of the giver, and by the witnesses that a
                 policy asks for
    inclusion    the proof leads from the leaf to the root in the checkpoint (C2SP tlog-proof)
    leaf         names the recipient, its sequence number, the terms by hash, the time, and commits to the content
    opening      salt and content open that commitment; the content names the channel, and the listing by its digest
    listing      each object version by the digest of the bytes that left, and what was removed from it
    terms        the document whose hash is in the leaf

    {"content":"…","format":"comity-receipt/1","leaf":"…","listing":"…","proof":"…","salt":"…","terms":"…"}

All members are texts, the salt in hexadecimal; the whole is canonical, so that a receipt has one spelling. `terms` is
null where whoever is given the receipt holds them. How an object must be handled follows from the terms
(`find_handling`); what it is marked with stands in its own bytes, whose digest is in the listing.

Not here: whether the key was still the giver's when it signed: only the times of witnesses are vouched for by others.
Nor whether the terms were in force: that is in the agreement's events (`comity.certificate`).
"""

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from comity.agreement.channels import Channel
from comity.agreement.duration import format_duration
from comity.agreement.terms import Terms, parse_terms
from comity.canonical import Limits, parse_json, sha256_digest
from comity.certain import read_texts
from comity.errors import (
    BadSignature,
    MalformedError,
    MalformedReceipt,
    MalformedTerms,
    ProofMismatch,
    ReceiptRefused,
    UnknownKey,
)
from comity.ids import Digest, Instant, PartyId, format_instant
from comity.release.contents import Disclosure, Listing, parse_disclosure, parse_listing
from comity.release.cosigned import find_span, verify_cosigned
from comity.release.disclosure import SALT_BYTES, Answer, DisclosedObject, EntryType, Leaf, commit_content, parse_leaf
from comity.release.receiving import find_restrictions
from comity.signing import Manifest, Role
from comity.tlog.merkle import leaf_hash, verify_inclusion
from comity.tlog.note import Checkpoint, Note, parse_checkpoint, parse_note, verify_note
from comity.tlog.origin import first_origin, is_house, is_origin
from comity.tlog.policy import TrustPolicy
from comity.tlog.proof import LogProof, format_proof, parse_proof

__all__ = [
    "MAX_RECEIPT_BYTES",
    "Handling",
    "Place",
    "Receipt",
    "VerifiedReceipt",
    "compose_receipt",
    "cut_terms",
    "find_handling",
    "format_place",
    "format_receipt",
    "is_place",
    "make_handling",
    "parse_receipt",
    "read_place",
    "verify_object",
    "verify_receipt",
]

MAX_RECEIPT_BYTES = 8 << 20
"""Terms and listing of at most 1 MiB each, a checkpoint, and what JSON escapes in them."""

_FORMAT = "comity-receipt/1"
_PLACE = "comity-receipt-place/1"
_PLACE_MEMBERS = frozenset({"format", "leaf", "proof"})
_LIMITS = Limits(max_bytes=MAX_RECEIPT_BYTES, max_depth=1, max_items=16)
_MEMBERS = frozenset({"content", "format", "leaf", "listing", "proof", "salt", "terms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt as it was read, its parts taken apart; `data` are its bytes. Nothing in it is verified yet."""

    data: bytes
    leaf_data: bytes
    leaf: Leaf
    salt: bytes
    content: bytes
    disclosure: Disclosure
    listing: bytes
    objects: tuple[DisclosedObject, ...]
    proof: LogProof
    note: Note
    checkpoint: Checkpoint
    terms: bytes | None
    """The document; None where it was left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is left of a receipt whose opening was purged: the leaf, and the proof that the giver's log has it."""

    leaf_data: bytes
    proof: LogProof


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """What a receipt shows: `giver` gave `objects` to `recipient`, under the terms of that hash, at that time.

    `sequence` counts the giver's disclosures to the recipient from 1. `index` is the entry's place in the giver's log
    `origin`, and `size` and `root` are those of the signed tree that holds it. `witnesses` are those of the policy who
    cosigned it, with the seconds since 1970 at which they did; None without a policy. `manifest` is the digest of the
    manifest whose log key signed.
    """

    giver: PartyId
    recipient: PartyId
    terms: Digest
    channel: str
    answer: Answer
    at: Instant
    sequence: int
    objects: tuple[DisclosedObject, ...]
    origin: str
    index: int
    size: int
    root: bytes
    manifest: Digest
    witnesses: Mapping[str, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What the recipient may do with what it was given in a channel, as the terms have it.

    `audience` are those who may hold it: the recipient, and whom it may pass it on to. Times are ISO 8601 durations.
    """

    title: str
    audience: frozenset[PartyId]
    originators: frozenset[PartyId]
    onward: str
    tlp_ceiling: str
    handling: frozenset[str]
    purposes: frozenset[str]
    permitted_actions: str
    prohibited_uses: frozenset[str]
    excluded_frameworks: frozenset[str]
    review_after: str | None
    delete_after: str | None
    survives: frozenset[str]
    delete_after_end: str | None


def compose_receipt(
    leaf: bytes, *, salt: bytes, content: bytes, listing: bytes, proof: LogProof, terms: bytes | None
) -> bytes:
    """The bytes of the receipt of these parts, as they are on record. Of them only the content is read.

    Raises:
        MalformedReceipt: the content is not one of a disclosure that names its listing.
    """
    with _reading("content"):
        parse_disclosure(content)
    return _format_members(
        {
            "content": _decode(content, "content"),
            "format": _FORMAT,
            "leaf": _decode(leaf, "leaf"),
            "listing": _decode(listing, "listing"),
            "proof": _decode(format_proof(proof), "proof"),
            "salt": salt.hex(),
            "terms": None if terms is None else _decode(terms, "terms"),
        }
    )


def format_receipt(receipt: Receipt) -> bytes:
    """The bytes of a receipt, canonical; `parse_receipt` gives it back from them."""
    return compose_receipt(
        receipt.leaf_data,
        salt=receipt.salt,
        content=receipt.content,
        listing=receipt.listing,
        proof=receipt.proof,
        terms=receipt.terms,
    )


def cut_terms(data: bytes) -> bytes:
    """The bytes of a receipt that `parse_receipt` has read, without the terms: they are its last member."""
    # Within a text no quotation mark stands without a backslash before it.
    return data[: data.index(b'","terms":') + len(b'","terms":')] + b"null}"


def parse_receipt(data: bytes, *, known: Listing | None = None) -> Receipt:
    """The receipt that the bytes are. That its parts belong together is for `verify_receipt` to say.

    Where it has the listing `known`, the objects are those of it (`contents.parse_listing`).

    Raises:
        MalformedReceipt: not canonical, an unknown or missing member, a part that is not what it must be, over a bound;
            `where` is the member.
    """
    members = _read_members(data)
    with _reading("leaf"):
        leaf = parse_leaf(members["leaf"].encode())
    with _reading("content"):
        disclosure = parse_disclosure(members["content"].encode())
        if disclosure.listing is None:
            raise MalformedReceipt("of a format that has its objects in itself, of which there are no receipts")
    with _reading("listing"):
        listing = members["listing"].encode()
        objects = parse_listing(listing, known=known)
    with _reading("proof"):
        proof = parse_proof(members["proof"].encode())
        note = parse_note(proof.checkpoint)
        checkpoint = parse_checkpoint(note.text)
    if proof.extra is not None:
        raise MalformedReceipt("proof: carries extra data, which nobody vouches for; a receipt has none", where="proof")
    terms = members.get("terms")
    return Receipt(
        data=data,
        leaf_data=members["leaf"].encode(),
        leaf=leaf,
        salt=_read_salt(members["salt"]),
        content=members["content"].encode(),
        disclosure=disclosure,
        listing=listing,
        objects=objects,
        proof=proof,
        note=note,
        checkpoint=checkpoint,
        terms=None if terms is None else terms.encode(),
    )


def format_place(receipt: Receipt) -> bytes:
    """The bytes of a receipt without what opens its leaf, canonical: nobody learns from them what was given."""
    return _format_members(
        {
            "format": _PLACE,
            "leaf": _decode(receipt.leaf_data, "leaf"),
            "proof": _decode(format_proof(receipt.proof), "proof"),
        }
    )


def is_place(data: bytes) -> bool:
    """Whether the bytes say that they are what is left of a receipt whose opening was purged (canonical, `_PLACE`)."""
    return data.startswith(f'{{"format":"{_PLACE}"'.encode())


def read_place(data: bytes) -> Place:
    """The place of a receipt that was kept, whole or without its opening.

    Raises:
        MalformedReceipt: it is neither.
    """
    with _reading("receipt"):
        value = parse_json(data, limits=_LIMITS)
    if not isinstance(value, dict) or value.get("format") != _PLACE:
        receipt = parse_receipt(data)
        return Place(leaf_data=receipt.leaf_data, proof=receipt.proof)
    leaf, proof = value.get("leaf"), value.get("proof")
    if value.keys() != _PLACE_MEMBERS or not isinstance(leaf, str) or not isinstance(proof, str):
        raise MalformedReceipt(f"not what is left of a receipt, of the format {_PLACE}", where="format")
    with _reading("proof"):
        return Place(leaf_data=leaf.encode(), proof=parse_proof(proof.encode()))


def verify_receipt(
    receipt: Receipt,
    *,
    manifests: Sequence[Manifest],
    policy: TrustPolicy | None = None,
    now: Instant | None = None,
    fresh_days: int | None = None,
) -> VerifiedReceipt:
    """What the receipt shows, every part of it held against the next.

    `manifests` are those that the reader trusts, from wherever; that of the giver must be among them. The time at which
    they ran out plays no part: a receipt is read long after the keys behind it are gone. A key that any of them calls
    revoked counts for nothing, whatever time is written in the receipt: its giver makes it anew with the key of now.
    `policy` says which witnesses must have cosigned; without it the log's own signature is all there is. Where it lists
    logs of the giver, only these are believed of it. A cosignature from before the disclosure does not count: nobody
    had seen a tree with it; nor does one that is later than `now`, or older by more than `fresh_days`, where these are
    given.

    Raises:
        ReceiptRefused: a part does not match; `facts["part"]` names it: checkpoint, witnesses, inclusion, leaf,
            opening, listing or terms.
    """
    giver, manifest, key = _verify_checkpoint(receipt, manifests)
    witnesses = None
    if policy is not None:
        span = find_span(receipt.leaf.at, now=now, fresh_days=fresh_days)
        witnesses = verify_cosigned(receipt.note, receipt.checkpoint.origin, key, giver=giver, policy=policy, span=span)
    index, checkpoint = receipt.proof.index, receipt.checkpoint
    try:
        verify_inclusion(leaf_hash(receipt.leaf_data), index, checkpoint.size, receipt.proof.hashes, checkpoint.root)
    except ProofMismatch as error:
        raise _refuse("inclusion", f"the leaf is not in the signed tree: {error.detail}") from error
    recipient, terms, sequence = _verify_leaf(receipt)
    if not hmac.compare_digest(commit_content(receipt.salt, receipt.content), receipt.leaf.commitment):
        raise _refuse("opening", "salt and content do not open the commitment in the leaf")
    if sha256_digest(receipt.listing) != receipt.disclosure.listing:
        raise _refuse("listing", "the listing is not the one that the content names")
    if len(receipt.objects) != receipt.leaf.count:
        said = f"the leaf counts {receipt.leaf.count} objects and {len(receipt.objects)} are listed"
        raise _refuse("listing", said)
    if receipt.terms is not None and sha256_digest(receipt.terms) != terms:
        raise _refuse("terms", "the terms are not those whose hash is in the leaf")
    return VerifiedReceipt(
        giver=giver,
        recipient=recipient,
        terms=terms,
        channel=receipt.disclosure.channel,
        answer=receipt.disclosure.answer,
        at=receipt.leaf.at,
        sequence=sequence,
        objects=receipt.objects,
        origin=checkpoint.origin,
        index=index,
        size=checkpoint.size,
        root=checkpoint.root,
        manifest=manifest,
        witnesses=witnesses,
    )


def verify_object(verified: VerifiedReceipt, data: bytes) -> DisclosedObject:
    """The object of the receipt that `data` is, byte for byte as it left.

    Raises:
        ReceiptRefused: it is none of them.
    """
    digest = sha256_digest(data)
    found = next((item for item in verified.objects if item.digest == digest), None)
    if found is None:
        raise _refuse("object", f"the bytes with the SHA-256 {digest} are none of the objects in the listing")
    return found


def find_handling(verified: VerifiedReceipt, document: bytes) -> Handling:
    """How the terms have what was given handled; `document` are the terms of the hash in the leaf.

    Raises:
        ReceiptRefused: they are others, cannot be read, or do not have the channel.
    """
    if sha256_digest(document) != verified.terms:
        raise _refuse("terms", "the terms are not those whose hash is in the leaf")
    try:
        terms = parse_terms(document)
    except MalformedTerms as error:
        raise _refuse("terms", f"the terms cannot be read: {error.detail}") from error
    channel = terms.channel(verified.channel)
    if channel is None:
        raise _refuse("terms", f"the terms have no channel {verified.channel}, in which this is said to be given")
    return make_handling(terms, channel, giver=verified.giver, recipient=verified.recipient)


def make_handling(terms: Terms, channel: Channel, *, giver: PartyId, recipient: PartyId) -> Handling:
    """How `terms` have what `giver` gives `recipient` in `channel` handled."""
    restrictions = find_restrictions(channel, giver=giver, receiver=recipient)
    retention, survival = terms.retention, terms.survival
    within = survival.delete_within
    maximum = None if retention is None else retention.maximum
    return Handling(
        title=terms.title,
        audience=restrictions.audience or frozenset(),
        originators=restrictions.originators,
        onward=channel.onward,
        tlp_ceiling=channel.scope.tlp_ceiling,
        handling=channel.scope.handling,
        purposes=terms.purposes,
        permitted_actions=terms.permitted_actions,
        prohibited_uses=terms.prohibited_uses,
        excluded_frameworks=restrictions.excluded_frameworks,
        review_after=None if retention is None else format_duration(retention.review_after),
        delete_after=None if maximum is None else format_duration(maximum),
        survives=survival.duties,
        delete_after_end=None if within is None else format_duration(within),
    )


def _verify_checkpoint(receipt: Receipt, manifests: Sequence[Manifest]) -> tuple[PartyId, Digest, bytes]:
    """The party whose log signed the checkpoint, the digest of the manifest that has the key, and the key."""
    origin = receipt.checkpoint.origin
    # Whichever of its logs it is: that a later one follows from what was seen is for who keeps what it saw.
    own = [manifest for manifest in manifests if is_origin(origin, manifest.party)]
    if not own:
        raise _refuse("checkpoint", f"it is of the log {origin!r}, and no manifest given is of its party")
    if is_house(origin) and origin != first_origin(own[0].party):
        raise _refuse("checkpoint", f"it is of {origin!r}, a house's log after a recovery: no disclosures are in one")
    signed = [(manifest, key) for manifest in own for key in manifest.roles[Role.LOG].keys if _is_by(receipt, key)]
    if not signed:
        known = f"version {own[0].version} of the manifest of" if len(own) == 1 else "the manifests given of"
        said = f"{known} {own[0].party}; if that was replaced since, the manifest of its time is needed too"
        raise _refuse("checkpoint", f"it carries no signature of a log key as in {said}")
    revoked = {item.key: item.since for manifest in own for item in manifest.revoked}
    good = next(((manifest, key) for manifest, key in signed if key not in revoked), None)
    if good is None:
        manifest, key = signed[0]
        raise _refuse(
            "checkpoint",
            f"it is signed by a log key that {manifest.party} has called revoked since {format_instant(revoked[key])}:"
            " whoever has that key can write any time into a receipt; have the giver make this receipt anew",
        )
    manifest, key = good
    return manifest.party, manifest.digest, key


def _is_by(receipt: Receipt, key: bytes) -> bool:
    """Whether the key signed the checkpoint; a line of it that does not verify spoils the receipt, whoever else signed.

    Raises:
        ReceiptRefused: there is such a line.
    """
    try:
        verify_note(receipt.note, receipt.checkpoint.origin, key)
    except UnknownKey:
        return False
    except BadSignature as error:
        raise _refuse("checkpoint", error.detail) from error
    return True


def _verify_leaf(receipt: Receipt) -> tuple[PartyId, Digest, int]:
    """Recipient, terms and sequence number of the leaf of a disclosure."""
    leaf = receipt.leaf
    if leaf.type is not EntryType.DISCLOSURE or leaf.recipient is None or leaf.terms is None or leaf.sequence is None:
        raise _refuse("leaf", f"the entry is of type {leaf.type}, and no disclosure to a party")
    if leaf.sequence < 1:
        raise _refuse("leaf", f"it is number {leaf.sequence} of the disclosures to {leaf.recipient}, counted from 1")
    return leaf.recipient, leaf.terms, leaf.sequence


def _refuse(part: str, detail: str) -> ReceiptRefused:
    return ReceiptRefused(f"{part}: {detail}", part=part)


def _decode(data: bytes, part: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedReceipt(f"{part}: not UTF-8", where=part) from None


@contextmanager
def _reading(part: str) -> Iterator[None]:
    """What goes wrong inside is wrong with this part of the receipt."""
    try:
        yield
    except MalformedError as error:
        raise MalformedReceipt(f"{part}: {error.detail}", where=part) from error


def _read_members(data: bytes) -> dict[str, str]:
    """The members that are texts; all but `terms` are."""
    quick = read_texts(data) if len(data) <= MAX_RECEIPT_BYTES else None
    if quick is not None and quick.keys() == _MEMBERS and quick["format"] == _FORMAT:
        texts = {name: text for name, text in quick.items() if text is not None}
        # Written anew it is the same bytes: so it is the canonical form, of which the strict reading says the same.
        if len(texts) >= len(_MEMBERS) - (quick["terms"] is None) and _format_members(quick) == data:
            return texts
    with _reading("receipt"):
        value = parse_json(data, limits=_LIMITS)
    if not isinstance(value, dict) or value.keys() != _MEMBERS or value["format"] != _FORMAT:
        raise MalformedReceipt(f"not a receipt of the format {_FORMAT}", where="format")
    members = {name: text for name, text in value.items() if isinstance(text, str)}
    if missing := _MEMBERS - members.keys() - ({"terms"} if value["terms"] is None else set()):
        raise MalformedReceipt(f"{min(missing)}: must be a text", where=min(missing))
    if _format_members({**members, "terms": members.get("terms")}) != data:
        raise MalformedReceipt("receipt: not in its canonical form (RFC 8785); keep the bytes as they were given")
    return members


def _format_members(members: Mapping[str, str | None]) -> bytes:
    """The canonical form of an object of texts (RFC 8785): of a text the standard encoder writes just that."""
    said = ",".join(f'"{name}":{json.dumps(members[name], ensure_ascii=False)}' for name in sorted(members))
    return f"{{{said}}}".encode()


def _read_salt(text: str) -> bytes:
    try:
        salt = bytes.fromhex(text)
    except ValueError:
        salt = b""
    if len(salt) != SALT_BYTES or salt.hex() != text:
        raise MalformedReceipt(f"salt: must be {SALT_BYTES} bytes in lower-case hexadecimal", where="salt")
    return salt
