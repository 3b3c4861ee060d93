# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors of receipts, one file for one mutation of a good one: `python -m tests.vectors.receipts.make`.

`manifest.json` is the giver's manifest. The name of a file that must be refused begins with the part to blame. Keys are
fixed (`tests.signers`) and Ed25519 is deterministic, so every run gives the same bytes.
"""

import json
from pathlib import Path

from comity.canonical import canonical_bytes
from comity.release.disclosure import EntryType
from comity.release.receipt import format_receipt
from comity.signing import MANIFEST_TYPE, format_signed_document, sign_document
from tests.parties import AURELIA, make_terms
from tests.receipts import OBJECTS, TERMS, change_member, make_content, make_leaf, make_listing, receipt
from tests.signers import SeedSigner, make_payload, make_role_keys

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
