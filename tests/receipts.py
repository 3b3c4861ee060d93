# SPDX-License-Identifier: Apache-2.0
"""Receipts of a log of aurelia that is the same in every run, and every way to alter one part of them."""

import json
from collections.abc import Mapping, Sequence

from comity.canonical import Json, canonical_bytes, sha256_digest
from comity.ids import ObjectId, parse_instant
from comity.release.disclosure import (
    Answer,
    EntryType,
    Leaf,
    commit_content,
    format_disclosure,
    format_leaf,
    format_listing,
)
from comity.release.receipt import Receipt, compose_receipt, parse_receipt
from comity.signing import Signer
from comity.tlog.merkle import inclusion_proof, leaf_hash, root_hash
from comity.tlog.note import Checkpoint, format_checkpoint, format_note, sign_note
from comity.tlog.proof import LogProof
from tests.parties import AURELIA, BOREALIA, make_terms
from tests.signers import SeedSigner
from tests.trees import TileStore

__all__ = [
    "LOG",
    "OBJECTS",
    "ORIGIN",
    "TERMS",
    "change_member",
    "make_checkpoint",
    "make_content",
    "make_leaf",
    "make_listing",
    "receipt",
]

LOG = SeedSigner("aurelia log")
ORIGIN = "comity/aurelia"
TERMS = make_terms()
OBJECTS = tuple(
    f'{{"type":"indicator","id":"indicator--00000000-0000-4000-8000-00000000000{number}"}}'.encode()
    for number in range(3)
)
"""Bytes whose digests stand in the listing; what they say plays no part here."""
_SALT = bytes(range(32))


def make_listing(objects: Sequence[bytes] = OBJECTS) -> bytes:
    return format_listing(
        (
            ObjectId(f"indicator--00000000-0000-4000-8000-00000000000{number}"),
            "2026-01-01T00:00:00.000Z",
            sha256_digest(data),
            ("description",) if number == 1 else (),
        )
        for number, data in enumerate(objects)
    )


GROUNDS = sha256_digest(b"grounds")


def make_content(listing: bytes | None = None, *, channel: str = AURELIA) -> bytes:
    digest = sha256_digest(make_listing() if listing is None else listing)
    return format_disclosure(answer=Answer.OBJECTS, channel=channel, epoch=3, grounds=GROUNDS, listing=digest)


def make_leaf(content: bytes, *, count: int = len(OBJECTS), kind: EntryType = EntryType.DISCLOSURE) -> bytes:
    return format_leaf(
        Leaf(
            type=kind,
            terms=TERMS.hash,
            recipient=BOREALIA if kind is EntryType.DISCLOSURE else None,
            sequence=7 if kind is EntryType.DISCLOSURE else None,
            count=count,
            at=parse_instant("2026-11-24T10:00:00Z"),
            commitment=commit_content(_SALT, content),
        )
    )


def make_checkpoint(store: TileStore, size: int, *, origin: str = ORIGIN, signer: Signer = LOG) -> bytes:
    text = format_checkpoint(Checkpoint(origin=origin, size=size, root=root_hash(store.read, size)))
    return format_note(sign_note(text, origin, signer))


def receipt(
    *,
    size: int = 11,
    index: int = 5,
    terms: bytes | None = TERMS.document,
    origin: str = ORIGIN,
    signer: Signer = LOG,
    leaf: bytes | None = None,
    listing: bytes | None = None,
    channel: str = AURELIA,
) -> Receipt:
    """A receipt, good as it is without arguments."""
    listing = make_listing() if listing is None else listing
    content = make_content(listing, channel=channel)
    leaf = make_leaf(content) if leaf is None else leaf
    entries = [b"another entry %d" % number for number in range(size)]
    entries[index] = leaf
    store = TileStore([[leaf_hash(entry) for entry in entries]])
    proof = LogProof(
        index=index,
        hashes=inclusion_proof(store.read, index, size),
        checkpoint=make_checkpoint(store, size, origin=origin, signer=signer),
    )
    return parse_receipt(compose_receipt(leaf, salt=_SALT, content=content, listing=listing, proof=proof, terms=terms))


def change_member(data: bytes, name: str, old: str, new: str) -> bytes:
    """The receipt with `old` in one member replaced, once, by `new`, canonical again."""
    members: Mapping[str, Json] = json.loads(data)
    text = members[name]
    assert isinstance(text, str)
    assert old in text, (name, old)
    return canonical_bytes({**members, name: text.replace(old, new, 1)})
