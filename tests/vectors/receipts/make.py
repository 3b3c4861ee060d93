# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors of receipts, one file for one mutation of a good one: `python -m tests.vectors.receipts.make`.

`manifest.json` is the giver's manifest. The name of a file that must be refused begins with the part to blame. Keys are
fixed (`tests.signers`) and Ed25519 is deterministic, so every run gives the same bytes.
"""

import base64
import json
from pathlib import Path
from typing import Any

from comity.canonical import Json, canonical_bytes, sha256_digest
from comity.release.disclosure import EntryType, commit_content
from comity.release.receipt import format_receipt
from comity.signing import MANIFEST_TYPE, format_signed_document, sign_document
from comity.tlog.merkle import inclusion_proof, leaf_hash
from comity.tlog.note import note_key_hash
from comity.tlog.proof import LogProof, format_proof
from tests.parties import AURELIA, make_terms
from tests.receipts import (
    LOG,
    OBJECTS,
    ORIGIN,
    TERMS,
    change_member,
    make_checkpoint,
    make_content,
    make_leaf,
    make_listing,
    receipt,
)
from tests.signers import SeedSigner, make_payload, make_role_keys
from tests.trees import TileStore

__all__ = ["FOLDER", "make_manifest", "sign_parts", "vectors"]

FOLDER = Path(__file__).parent
_AURELIA_KEYS = ("aurelia first officer", "aurelia second officer", "aurelia third officer")


def make_manifest() -> bytes:
    """The manifest of aurelia, signed by itself."""
    payload = make_payload(AURELIA, agreement=make_role_keys(_AURELIA_KEYS, threshold=2))
    return format_signed_document(sign_document(MANIFEST_TYPE, payload, [SeedSigner("aurelia manifest")]))


def vectors() -> dict[str, bytes]:
    """File name to file."""
    good = format_receipt(receipt())
    files = {
        "good": good,
        "good-alone-in-its-log": format_receipt(receipt(size=1, index=0)),
        "good-without-terms": format_receipt(receipt(terms=None)),
        "good-with-a-cosignature": _cosign(good),
        **_change_members(good),
        **_sign_otherwise(),
        **_sign_wrongly(good),
        **_add_lines(good),
        **_spell_otherwise(good),
    }
    return {f"{name}.json": data for name, data in files.items()} | {"manifest.json": make_manifest()}


def _cosign(good: bytes) -> bytes:
    """A line of a witness that nobody asked for."""
    end = json.loads(good)["proof"][-40:]
    return change_member(good, "proof", end, f"{end}— witness.example AAAAAAAA\n")


def _change_members(good: bytes) -> dict[str, bytes]:
    """What was given is told otherwise; nothing is signed anew."""
    other = make_terms(title="Another exchange").document.decode()
    return {
        "inclusion-recipient": change_member(good, "leaf", "borealia", "meridia"),
        "inclusion-sequence": change_member(good, "leaf", '"sequence":7', '"sequence":8'),
        "inclusion-time": change_member(good, "leaf", "10:00:00", "10:00:01"),
        "inclusion-terms": change_member(good, "leaf", TERMS.hash, "0" * 64),
        "inclusion-count": change_member(good, "leaf", '"count":3', '"count":2'),
        "inclusion-index": change_member(good, "proof", "index 5", "index 4"),
        "checkpoint-size": change_member(good, "proof", "\n11\n", "\n12\n"),
        "checkpoint-origin": change_member(good, "proof", "comity/aurelia\n", "comity/borealia\n"),
        "checkpoint-signer": change_member(good, "proof", "— comity/aurelia", "— comity/borealia"),
        "opening-salt": change_member(good, "salt", "00", "ff"),
        "opening-channel": change_member(good, "content", '"channel":"aurelia"', '"channel":"borealia"'),
        "opening-epoch": change_member(good, "content", '"epoch":3', '"epoch":4'),
        "listing-id": change_member(good, "listing", "000000000001", "00000000000f"),
        "listing-version": change_member(good, "listing", "2026-01-01", "2025-01-01"),
        "listing-redacted": change_member(good, "listing", '["description"]', "[]"),
        "listing-one-less": canonical_bytes({**json.loads(good), "listing": make_listing(OBJECTS[:2]).decode()}),
        "terms-onward": change_member(good, "terms", '"onward":"none"', '"onward":"with_consent"'),
        "terms-other": canonical_bytes({**json.loads(good), "terms": other}),
    }


def _sign_otherwise() -> dict[str, bytes]:
    """What the giver, or somebody else, signed and put into a tree, and is no receipt of the giver all the same."""
    listing = make_listing(OBJECTS[:2])
    content = make_content(listing)
    return {
        "checkpoint-stranger": format_receipt(receipt(signer=SeedSigner("a stranger"))),
        "checkpoint-transport-key": format_receipt(receipt(signer=SeedSigner("aurelia transport"))),
        "checkpoint-other-log": format_receipt(receipt(origin="comity/borealia")),
        "leaf-of-an-event": format_receipt(receipt(leaf=make_leaf(make_content(), kind=EntryType.AGREEMENT_EVENT))),
        "listing-count": format_receipt(receipt(leaf=make_leaf(content, count=3), listing=listing)),
        "opening-other-content": format_receipt(receipt(leaf=make_leaf(content))),
        "terms-without-channel": format_receipt(receipt(channel="nowhere")),
    }


def _sign_wrongly(good: bytes) -> dict[str, bytes]:
    """What the giver signed, and is not what the part must be: every hash and signature fits."""
    value = json.loads(good)
    leaf, content, listed = (json.loads(value[name]) for name in ("leaf", "content", "listing"))
    plain, redacted, _ = listed["objects"]
    leaves: dict[str, dict[str, Json]] = {
        "malformed-recipient": {"recipient": "borealia, and\u001b[2K\rverified: all is well"},
        "leaf-recipient-null": {"recipient": None},
        "leaf-sequence-null": {"sequence": None},
        "leaf-sequence-nought": {"sequence": 0},
        "malformed-sequence-true": {"sequence": True},
        "malformed-time": {"at": "yesterday"},
        "malformed-no-such-day": {"at": "2026-02-30T10:00:00.000000Z"},
        "malformed-leaf-member-more": {"zz": "x"},
        "malformed-count-true": {"count": True},
    }
    contents: dict[str, dict[str, Json]] = {
        "malformed-answer": {"answer": "everything"},
        "malformed-grounds-of-none": {"format": "comity-disclosure/2"},
        "malformed-epoch-true": {"epoch": True},
        "malformed-epoch-below-nought": {"epoch": -1},
        "malformed-epoch-fraction": {"epoch": 1.5},
        "malformed-grounds": {"grounds": "none"},
        "malformed-grounds-null": {"grounds": None},
    }
    listings = {
        "malformed-digest-in-capitals": {**plain, "digest": plain["digest"].upper()},
        "malformed-object-id": {**plain, "id": "x"},
        "malformed-listed-member-more": {**plain, "zz": "x"},
        "malformed-version-escaped": {**plain, "version": "\u001b[31m"},
        "malformed-redacted-number": {**redacted, "redacted": [1]},
        "good-digest-null": {**plain, "digest": None},
        "good-nothing-told-of-the-version": {**redacted, "version": "\u001b[31m"},
    }
    free = canonical_bytes({"channels": [{"id": "aurelia"}], "title": "Free for all"})
    return {
        "good-after-a-recovery": format_receipt(receipt(origin=f"{ORIGIN}/9f86d081884c7d65")),
        "checkpoint-house-after-a-recovery": format_receipt(receipt(origin=f"{ORIGIN}/house/9f86d081884c7d65")),
        "checkpoint-token-short": format_receipt(receipt(origin=f"{ORIGIN}/9f86d081884c7d6")),
        "good-control-in-the-channel": sign_parts(value, content={**content, "channel": "\u001b[31m"}, terms=False),
        "terms-that-are-none": sign_parts(
            {**value, "terms": free.decode()}, leaf={**leaf, "terms": sha256_digest(free)}
        ),
        **{name: sign_parts(value, leaf={**leaf, **change}) for name, change in leaves.items()},
        **{name: sign_parts(value, content={**content, **change}) for name, change in contents.items()},
        **{name: sign_parts(value, listing={**listed, "objects": [item]}) for name, item in listings.items()},
        "good-nothing-listed": sign_parts(value, listing={**listed, "objects": []}),
        "good-one-object-twice": sign_parts(value, listing={**listed, "objects": [plain, plain]}),
    }


def sign_parts(
    value: dict[str, Json],
    *,
    leaf: dict[str, Json] | None = None,
    content: dict[str, Json] | None = None,
    listing: dict[str, Any] | None = None,
    terms: bool = True,
) -> bytes:
    """A receipt of these parts, each hashed into the next one and signed by the giver's log key."""
    said, opened = json.loads(str(value["leaf"])), content or json.loads(str(value["content"]))
    listed = str(value["listing"]).encode() if listing is None else canonical_bytes(listing)
    if listing is not None:
        opened["listing"], said["count"] = sha256_digest(listed), len(listing["objects"])
    text = canonical_bytes(opened)
    said["commitment"] = commit_content(bytes.fromhex(str(value["salt"])), text)
    entry = canonical_bytes(leaf or said)
    entries = [b"another entry %d" % number for number in range(11)]
    entries[5] = entry
    store = TileStore([[leaf_hash(each) for each in entries]])
    proof = LogProof(index=5, hashes=inclusion_proof(store.read, 5, 11), checkpoint=make_checkpoint(store, 11))
    parts = {"leaf": entry, "content": text, "listing": listed, "proof": format_proof(proof)}
    made: dict[str, Json] = {name: data.decode() for name, data in parts.items()}
    return canonical_bytes({**value, **made, "terms": value["terms"] if terms else None})


def _add_lines(good: bytes) -> dict[str, bytes]:
    """Lines that anybody can put below a checkpoint."""
    value = json.loads(good)
    line, key_hash = base64.b64encode(bytes(68)).decode(), note_key_hash(ORIGIN, LOG.public_key)
    added = {
        "malformed-line-of-4-bytes": "— x AAAAAA==\n",
        "malformed-line-with-control": f"— \u0001x {line}\n",
        "malformed-line-with-plus": f"— a+b {line}\n",
        "malformed-101-lines": "".join(f"— w{number} {line}\n" for number in range(100)),
        "good-100-lines": "".join(f"— w{number} {line}\n" for number in range(99)),
        "checkpoint-second-line-bad": f"— {ORIGIN} {base64.b64encode(key_hash + bytes(64)).decode()}\n",
    }
    return {name: canonical_bytes({**value, "proof": value["proof"] + lines}) for name, lines in added.items()}


def _spell_otherwise(good: bytes) -> dict[str, bytes]:
    """The same said in another spelling, or with something beside it: a receipt has one spelling."""
    value = json.loads(good)
    return {
        "malformed-white-space": good.replace(b'":"', b'": "', 1),
        "malformed-order": json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(),
        "malformed-member-twice": good.replace(b'"format"', b'"format":"comity-receipt/1","format"', 1),
        "malformed-member-more": canonical_bytes({**value, "verified": "yes"}),
        "malformed-member-less": canonical_bytes({name: text for name, text in value.items() if name != "salt"}),
        "malformed-format": canonical_bytes({**value, "format": "comity-receipt/2"}),
        "malformed-salt-in-capitals": canonical_bytes({**value, "salt": value["salt"].upper()}),
        "malformed-salt-short": canonical_bytes({**value, "salt": value["salt"][2:]}),
        "malformed-salt-null": canonical_bytes({**value, "salt": None}),
        "malformed-extra": change_member(good, "proof", "\nindex", "\nextra YWdl\nindex"),
        "malformed-index": change_member(good, "proof", "index 5", "index 05"),
        "malformed-line-of-signature": change_member(good, "proof", "\n\n— ", "\n\n- "),
        "malformed-cut-short": good[:-1],
        "malformed-more-follows": good + b"\n",
    }


def main() -> None:
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, content in vectors().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
