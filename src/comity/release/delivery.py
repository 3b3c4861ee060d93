# SPDX-License-Identifier: Apache-2.0
"""Pure: what a giver has to show, receipt after receipt, before anything that it sends is taken in.

    seen ──verify_next(receipt, proof)──▶ Shown(verified, seen) ──verify_page(page)──▶ what may be taken in

The receiver remembers the largest checkpoint that it saw of each of a giver's logs, the log that is for each agreement,
and the number of the giver's last disclosure. Each receipt must be of the next number, in the log of its agreement, in
a tree that is consistent with that checkpoint: so a giver can neither leave a disclosure out of its log, nor show a log
in two ways to one receiver, nor begin another one where it likes. That it shows others the same log only witnesses can
say (`tlog.policy`).

What a giver and its receiver agree to keep quiet about nobody can see here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from comity.agreement.terms import MAX_DOCUMENT_BYTES
from comity.canonical import BUNDLE_LIMITS, split_members
from comity.errors import MalformedError, ProofMismatch, ReceiptRefused
from comity.ids import Digest, Instant, PartyId, format_instant
from comity.release.contents import Listing
from comity.release.disclosure import Answer
from comity.release.receipt import Receipt, VerifiedReceipt, parse_receipt, verify_receipt
from comity.signing import Manifest
from comity.stix.objects import StixObject
from comity.tlog.merkle import verify_consistency
from comity.tlog.origin import find_token
from comity.tlog.policy import TrustPolicy
from comity.tlog.proof import parse_hashes

__all__ = [
    "Expected",
    "Seen",
    "Shown",
    "expect_next",
    "find_sizes",
    "name_proof",
    "verify_next",
    "verify_objects",
    "verify_page",
]


_MOST_BESIDE = 64 * 1024
"""Of leaf, content and checkpoint together: those of witnesses with long signatures, sixteen and more, fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The largest checkpoint that was seen of a log, as it was signed."""

    size: int
    root: bytes
    checkpoint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the next receipt must be: of `giver`, for `recipient`, number `sequence`, in a tree consistent with `seen`.

    `seen` has what was seen of each log, by its origin; `bound` the log that disclosures under terms are in, where it
    is known; `past` those that they were in and that ended; `ended` all that a recovery ended, and with how many
    entries. `policy` says which witnesses must have
    cosigned, if any, within the last `fresh_days`.
    """

    giver: PartyId
    recipient: PartyId
    sequence: int
    manifest: Manifest
    seen: Mapping[str, Seen]
    policy: TrustPolicy | None
    bound: Mapping[Digest, str] = field(default_factory=dict)
    past: Mapping[Digest, frozenset[str]] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    fresh_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A receipt that is what was expected; the largest checkpoint of its log seen `before` it, and with it."""

    receipt: Receipt
    verified: VerifiedReceipt
    before: Seen | None
    seen: Seen

    @property
    def origin(self) -> str:
        """The log that the receipt is from."""
        return self.receipt.checkpoint.origin


def find_sizes(data: bytes | Receipt, seen: Mapping[str, Seen]) -> tuple[str, int, int] | None:
    """The log, and the older and the newer tree, of which a proof has to be asked for; None where none is needed.

    `data` is a receipt, as bytes or as it was read.

    Raises:
        MalformedReceipt: not a receipt.
    """
    checkpoint = (data if isinstance(data, Receipt) else parse_receipt(data)).checkpoint
    known, size = seen.get(checkpoint.origin), checkpoint.size
    if known is None or size == known.size or not size:
        return None
    return checkpoint.origin, min(size, known.size), max(size, known.size)


def name_proof(origin: str, old: int, new: int) -> str:
    """Where a giver has the proof that `find_sizes` says to ask for, below its `/comity/consistency/`."""
    token = find_token(origin)
    return f"{old}/{new}" if token is None else f"{token}/{old}/{new}"


def expect_next(expected: Expected, shown: Shown) -> Expected:
    """What the receipt after `shown` must be. From which log it is, is known once `shown` is kept."""
    return replace(expected, sequence=expected.sequence + 1, seen={**expected.seen, shown.origin: shown.seen})


def verify_next(data: bytes | Receipt, proof: bytes, expected: Expected, *, now: Instant) -> Shown:
    """What the next receipt shows; `proof` is that of consistency between the trees of `find_sizes`, else empty.

    `data` is the receipt, as bytes or as it was read.

    Raises:
        ReceiptRefused: something does not match; `facts["part"]` names it.
    """
    try:
        receipt = data if isinstance(data, Receipt) else parse_receipt(data)
    except MalformedError as error:
        raise _refuse("receipt", error.detail) from error
    if expected.manifest.expires_at <= now:
        ended = format_instant(expected.manifest.expires_at)
        raise _refuse("checkpoint", f"the manifest of {expected.giver} ran out on {ended}; pin its next version")
    _verify_length(receipt)
    verified = verify_receipt(
        receipt, manifests=[expected.manifest], policy=expected.policy, now=now, fresh_days=expected.fresh_days
    )
    if verified.recipient != expected.recipient:
        raise _refuse("recipient", f"the disclosure is one to {verified.recipient}")
    if verified.sequence != expected.sequence:
        said = f"the receipt is for disclosure {verified.sequence}, where {expected.sequence} comes next"
        raise _refuse("sequence", said)
    _verify_log(receipt, verified, expected)
    before = expected.seen.get(receipt.checkpoint.origin)
    seen = _verify_seen(receipt, verified, proof, before)
    return Shown(receipt=receipt, verified=verified, before=before, seen=seen)


def verify_page(
    verified: VerifiedReceipt, page: bytes, *, terms: Digest, channel: str, listing: Listing | None = None
) -> None:
    """Nothing, when the receipt lists exactly the objects of the page, in their order, under these terms.

    The bytes of each object are held against the digest in the listing. What the listing says of ids and versions is
    held against the objects by `verify_objects`, once they are parsed. `listing` is what lists the whole page
    (`contents.list_whole`), if its reader knows it: where the receipt has that one, its objects need no other look.

    Raises:
        ReceiptRefused: it does not.
    """
    if verified.terms != terms or verified.channel != channel:
        raise _refuse(
            "terms",
            f"it was given in channel {verified.channel} under the terms {verified.terms}, and in channel {channel}"
            f" {terms} are in force here; where a new version is on its way, pull again",
        )
    if verified.answer is not Answer.OBJECTS:
        raise _refuse("listing", f"the disclosure is of another answer ({verified.answer}) than a page of objects")
    if listing is not None and verified.objects == listing.objects:
        return
    try:
        _, members = split_members(page, array="objects", limits=BUNDLE_LIMITS)
    except MalformedError as error:
        raise _refuse("page", f"the page cannot be read: {error.detail}") from error
    if len(members) != len(verified.objects):
        raise _refuse("listing", f"the page has {len(members)} objects and the receipt lists {len(verified.objects)}")
    for member, listed in zip(members, verified.objects, strict=True):
        if hashlib.sha256(member.data).hexdigest() != listed.digest:
            raise _refuse("listing", f"object {member.index} of the page is not {listed.id} as the receipt lists it")


def verify_objects(verified: VerifiedReceipt, objects: Sequence[StixObject], places: Sequence[int]) -> None:
    """Nothing, when each of `objects` is, by id and version, what the receipt lists at its place.

    Raises:
        ReceiptRefused: one is another.
    """
    for item, place in zip(objects, places, strict=True):
        listed = verified.objects[place]
        if (listed.id, listed.version) != (item.id, item.version):
            said = (
                f"object {place} of the page is {item.id} of {item.version}, listed as {listed.id} of {listed.version}"
            )
            raise _refuse("listing", said)


def _verify_length(receipt: Receipt) -> None:
    """Nothing, when the receipt is no longer than its terms and its listing (`contents`) need.

    Terms that a party can have on record are never longer than `MAX_DOCUMENT_BYTES`.
    """
    terms = len(receipt.terms or b"")
    rest = len(receipt.leaf_data) + len(receipt.content) + len(receipt.proof.checkpoint)
    if terms > MAX_DOCUMENT_BYTES:
        raise _refuse("receipt", f"its terms have {terms} bytes, where terms have at most {MAX_DOCUMENT_BYTES}")
    if rest > _MOST_BESIDE:
        said = f"it has {rest} bytes beside its terms and its listing, and at most {_MOST_BESIDE} are taken"
        raise _refuse("receipt", said)


def _verify_log(receipt: Receipt, verified: VerifiedReceipt, expected: Expected) -> None:
    """Nothing, when the receipt is from the log that it has to be from, and no later than its end."""
    origin = receipt.checkpoint.origin
    bound, end = expected.bound.get(verified.terms), expected.ended.get(origin)
    if bound is not None and bound != origin and origin not in expected.past.get(verified.terms, ()):
        said = f"it is from the log {origin}, and what is given under this agreement is in {bound}"
        raise _refuse("log", said)
    if end is not None and verified.size > end:
        raise _refuse("log", f"the log {origin} ended with {end} entries, and it shows one of {verified.size}")


def _verify_seen(receipt: Receipt, verified: VerifiedReceipt, proof: bytes, seen: Seen | None) -> Seen:
    """The larger of both trees, once the smaller one is its beginning."""
    own = Seen(size=verified.size, root=verified.root, checkpoint=receipt.proof.checkpoint)
    if seen is None:
        return own
    old, new = (seen, own) if seen.size <= own.size else (own, seen)
    try:
        verify_consistency(old.size, new.size, parse_hashes(proof), old.root, new.root)
    except (MalformedError, ProofMismatch) as error:
        raise _refuse(
            "consistency",
            f"the log {receipt.checkpoint.origin} of {verified.size} entries is not one history with that of"
            f" {seen.size}, which {verified.giver} signed before: {error.detail}",
        ) from error
    return own if own.size > seen.size else seen


def _refuse(part: str, detail: str) -> ReceiptRefused:
    return ReceiptRefused(f"{part}: {detail}", part=part)
