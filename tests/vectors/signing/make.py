# SPDX-License-Identifier: Apache-2.0
"""Makes the signing vectors, one file for one mutation of something valid: `python -m tests.vectors.signing.make`.

Keys are fixed (`tests.signers.SeedSigner`) and Ed25519 is deterministic, so every run gives the same bytes.
A vector is {"desc", "in", "expect"}. In `in`, `act` says what is done with the rest; documents and manifests are the
exact text received. `expect` is {"error": code} or what the act gives.
"""

import base64
import json
from pathlib import Path

from comity.canonical import Json, sha256_digest
from comity.ids import PartyId
from comity.signing import (
    MANIFEST_TYPE,
    Role,
    Signature,
    SignedDocument,
    Signer,
    format_signed_document,
    key_id,
    pae,
    parse_manifest,
    sign_document,
)
from tests.signers import SeedSigner, make_payload, make_role_keys

FOLDER = Path(__file__).parent
TERMS = "application/vnd.comity.terms+json"
NOW = "2026-12-01T12:00:00.000000Z"
EXPIRY = "2027-11-23T09:00:00.000000Z"
PAYLOAD = b'{"format":"comity-terms/1"}'
A1, A2, B1, STRANGER = (SeedSigner(name) for name in ("arvenia agreement", "arvenia second", "borlund agreement", "x"))
ROOT, NEW_ROOT = SeedSigner("arvenia manifest"), SeedSigner("arvenia manifest 2")
ONE = make_payload("arvenia")
TWO_OF_TWO = make_payload("arvenia", agreement=make_role_keys(["arvenia agreement", "arvenia second"], 2))
BORLUND = make_payload("borlund")
WITNESS = make_payload("arvenia", witness=make_role_keys(["arvenia witness"]))
SECOND = make_payload(
    "arvenia", version=2, previous=sha256_digest(ONE), manifest=make_role_keys(["arvenia manifest 2"])
)
ROTATED = make_payload("arvenia", version=2, previous=sha256_digest(ONE), agreement=make_role_keys(["arvenia second"]))

Vector = tuple[str, dict[str, Json], dict[str, Json]]


def sign(*signers: Signer, payload: bytes = PAYLOAD, kind: str = TERMS) -> SignedDocument:
    return sign_document(kind, payload, signers)


def text(document: SignedDocument) -> str:
    return format_signed_document(document).decode()


def relabel(document: SignedDocument, *keyids: str) -> SignedDocument:
    """The same signatures, said to be by other keys."""
    pairs = zip(keyids, document.signatures, strict=True)
    signatures = tuple(Signature(keyid=keyid, sig=signature.sig) for keyid, signature in pairs)
    return SignedDocument(payload_type=document.payload_type, payload=document.payload, signatures=signatures)


def document(desc: str, envelope: str, expect: Json, *, manifest: bytes = ONE, now: str = NOW) -> Vector:
    given: dict[str, Json] = {
        "act": "verify_signed_document",
        "document": envelope,
        "manifest": manifest.decode(),
        "now": now,
        "payload_type": TERMS,
        "role": "agreement",
    }
    return desc, given, {"payload_sha256": sha256_digest(PAYLOAD)} if expect is None else {"error": expect}


def first(desc: str, payload: bytes, expect: Json, *, now: str = NOW, pin: str | None = None) -> Vector:
    """A first manifest, signed by its own manifest key, whatever its bytes are."""
    envelope = text(sign(ROOT, payload=payload, kind=MANIFEST_TYPE))
    given: dict[str, Json] = {"act": "verify_manifest", "document": envelope, "now": now, "digest": pin}
    return desc, given, {"digest": sha256_digest(payload)} if expect is None else {"error": expect}


def edited(old: str, new: str) -> bytes:
    changed = ONE.decode().replace(old, new)
    assert changed != ONE.decode(), old
    return changed.encode()


def two_of(role: str, payload: bytes, threshold: int) -> bytes:
    """The payload with a second key in a role that has one, and so many of both to sign."""
    keys = [SeedSigner(f"arvenia {name}").public_key.hex() for name in (role, "second")]
    had, has = f'["{keys[0]}"],"threshold":1', f'["{keys[0]}","{keys[1]}"],"threshold":{threshold}'
    assert had.encode() in payload
    return payload.replace(had.encode(), has.encode())


def with_revoked(*keys: bytes) -> bytes:
    listed = ",".join(f'{{"key":"{key.hex()}","since":"2026-11-20T00:00:00.000000Z"}}' for key in keys)
    return edited('"roles":{', f'"revoked":[{listed}],"roles":{{')


def successor(desc: str, payload: bytes, expect: Json, *, signers: tuple[Signer, ...], now: str = NOW) -> Vector:
    given: dict[str, Json] = {
        "act": "verify_successor",
        "current": ONE.decode(),
        "document": text(sign(*signers, payload=payload, kind=MANIFEST_TYPE)),
        "now": now,
    }
    return desc, given, {"digest": sha256_digest(payload)} if expect is None else {"error": expect}


def count(desc: str, envelope: str, manifests: list[bytes], parties: list[Json], *, now: str = NOW) -> Vector:
    given: dict[str, Json] = {
        "act": "count_parties",
        "document": envelope,
        "manifests": [manifest.decode() for manifest in manifests],
        "now": now,
        "payload_type": TERMS,
    }
    return desc, given, {"parties": parties}


def document_vectors() -> dict[str, Vector]:
    """Who signed a document."""
    good = text(sign(A1))
    both = text(sign(A1, A2))
    sig = base64.b64encode(A1.sign(pae(TERMS, PAYLOAD))).decode()
    other_type = text(sign(A1, kind="application/vnd.comity.event+json"))
    last = good.rindex("=")
    assert good[last - 2] in "AQgw"
    return {
        "ok-one-of-one": document("one key of one", good, None),
        "ok-two-of-two": document("two keys of two", both, None, manifest=TWO_OF_TWO),
        "ok-one-too-many": document("a stranger's signature beside is passed over", text(sign(STRANGER, A1)), None),
        "ok-keyid-means-nothing": document(
            "a key counts whatever it is said to be", text(relabel(sign(A1), "x")), None
        ),
        "ok-last-microsecond": document("one microsecond before expiry", good, None, now="2027-11-23T08:59:59.999999Z"),
        "same-key-twice": document(
            "two of two asked, one key signs twice", text(sign(A1, A1)), "threshold-not-met", manifest=TWO_OF_TWO
        ),
        "one-key-two-keyids": document(
            "two of two asked, one key signs under two ids",
            text(relabel(sign(A1, A1), key_id(A1.public_key), "another")),
            "threshold-not-met",
            manifest=TWO_OF_TWO,
        ),
        "one-key-as-the-other": document(
            "two of two asked, one key signs under its own id and that of the other",
            text(relabel(sign(A1, A1), key_id(A1.public_key), key_id(A2.public_key))),
            "bad-signature",
            manifest=TWO_OF_TWO,
        ),
        "stripped-signature": document(
            "one of the two signatures is taken off", good, "threshold-not-met", manifest=TWO_OF_TWO
        ),
        "no-signature": document(
            "every signature is taken off", good[: good.index("[") + 1] + "]}", "malformed-message"
        ),
        "stranger": document("signed by a key the manifest does not list", text(sign(STRANGER)), "unknown-key"),
        "key-of-another-role": document(
            "signed by the party's manifest key, not by its agreement key", text(sign(ROOT)), "unknown-key"
        ),
        "old-key-after-rotation": document(
            "signed by the key that the manifest in use has replaced", good, "unknown-key", manifest=ROTATED
        ),
        "expired-manifest": document("the manifest expires at this instant", good, "expired", now=EXPIRY),
        "payload-changed": document(
            "one bit of the payload differs",
            good.replace(base64.b64encode(PAYLOAD).decode(), base64.b64encode(PAYLOAD[:-1] + b"|").decode()),
            "bad-signature",
        ),
        "payload-type-other": document("signed and sent as another type", other_type, "bad-signature"),
        "payload-type-swap": document(
            "signed as another type, sent as this one",
            other_type.replace("application/vnd.comity.event+json", TERMS),
            "bad-signature",
        ),
        "duplicate-key-in-envelope": document(
            "the payload is there twice", good.replace("{", '{"payload":"e30=",', 1), "malformed-message"
        ),
        "unknown-member-in-envelope": document(
            "a member that nobody reads", good.replace("{", '{"note":"",', 1), "malformed-message"
        ),
        "envelope-cut-short": document("the last byte is missing", good[:-1], "malformed-message"),
        "base64-other-alphabet": document(
            "base64url where base64 is due", good.replace(sig, sig.translate({43: 45, 47: 95})), "malformed-message"
        ),
        "base64-unpadded": document("the padding is missing", good.replace("==", ""), "malformed-message"),
        "base64-stray-bits": document(
            "the unused bits of the signature are not zero",
            good[: last - 2] + chr(ord(good[last - 2]) + 1) + good[last - 1 :],
            "malformed-message",
        ),
        "thirty-three-signatures": document(
            "more signatures than are taken", text(sign(*[A1] * 33)), "malformed-message"
        ),
    }


def manifest_vectors() -> dict[str, Vector]:
    """A manifest met for the first time."""
    own = ROOT.public_key.hex()
    duplicated = ONE.replace(b"{", b'{"expires_at":"2099-01-01T00:00:00.000000Z",', 1)
    spaced = ONE.replace(b":", b": ", 1)
    signed_by_stranger = sign(STRANGER, payload=ONE, kind=MANIFEST_TYPE)
    as_terms = sign(ROOT, payload=ONE)
    return {
        "manifest-ok": first("signed by its own key", ONE, None),
        "manifest-ok-witness": first("with a witness", WITNESS, None),
        "manifest-witness-of-log": first(
            "the witness key is the log key",
            WITNESS.replace(
                SeedSigner("arvenia witness").public_key.hex().encode(),
                SeedSigner("arvenia log").public_key.hex().encode(),
            ),
            "malformed-manifest",
        ),
        "manifest-witness-empty": first(
            "a witness role without keys",
            ONE.replace(b'}},"state"', b'},"witness":{"keys":[],"threshold":1}},"state"'),
            "malformed-manifest",
        ),
        "manifest-ok-pinned": first("and its digest is the pinned one", ONE, None, pin=sha256_digest(ONE)),
        "manifest-pin-differs": first("another digest is pinned", ONE, "digest-mismatch", pin=sha256_digest(BORLUND)),
        "manifest-expired": first("past its time", ONE, "expired", now=EXPIRY),
        "manifest-duplicate-key": first("a key twice in the payload, signed so", duplicated, "malformed-manifest"),
        "manifest-not-canonical": first("a space in the payload, signed so", spaced, "malformed-manifest"),
        "manifest-signed-by-stranger": (
            "signed by a key it does not list",
            {"act": "verify_manifest", "document": text(signed_by_stranger), "now": NOW, "digest": None},
            {"error": "unknown-key"},
        ),
        "manifest-of-another-type": (
            "signed as terms",
            {"act": "verify_manifest", "document": text(as_terms), "now": NOW, "digest": None},
            {"error": "bad-signature"},
        ),
        "manifest-key-in-two-roles": first(
            "the agreement key is the manifest key", edited(A1.public_key.hex(), own), "malformed-manifest"
        ),
        "manifest-key-twice-in-role": first(
            "a key twice in one role", edited(f'["{own}"]', f'["{own}","{own}"]'), "malformed-manifest"
        ),
        "manifest-key-of-small-order": first(
            "anybody can sign for the identity point",
            edited(A1.public_key.hex(), "01" + "00" * 31),
            "malformed-manifest",
        ),
        "manifest-key-in-capitals": first("hexadecimal in capitals", edited(own, own.upper()), "malformed-manifest"),
        "manifest-threshold-zero": first(
            "nobody need sign", edited(f'["{own}"],"threshold":1', f'["{own}"],"threshold":0'), "malformed-manifest"
        ),
        "manifest-threshold-true": first(
            "a threshold that is true",
            edited(f'["{own}"],"threshold":1', f'["{own}"],"threshold":true'),
            "malformed-manifest",
        ),
        "manifest-threshold-out-of-reach": first(
            "two of one", edited(f'["{own}"],"threshold":1', f'["{own}"],"threshold":2'), "malformed-manifest"
        ),
        "manifest-ok-two-log-keys": first("two log keys, each enough by itself", two_of("log", ONE, 1), None),
        "manifest-log-threshold-two": first(
            "two log keys that sign together", two_of("log", ONE, 2), "malformed-manifest"
        ),
        "manifest-witness-threshold-two": first(
            "two witness keys that sign together", two_of("witness", WITNESS, 2), "malformed-manifest"
        ),
        "manifest-unknown-member": first(
            "a member that nobody reads", edited('"version":1}', '"version":1,"witness":{}}'), "malformed-manifest"
        ),
        "manifest-role-missing": first(
            "no transport keys", edited('"transport":', '"transports":'), "malformed-manifest"
        ),
        "manifest-other-format": first("a format to come", edited("manifest/1", "manifest/2"), "malformed-manifest"),
        "manifest-version-zero": first("version 0", edited('"version":1', '"version":0'), "malformed-manifest"),
        "manifest-later-without-previous": first(
            "version 2 that follows nothing", edited('"version":1', '"version":2'), "malformed-manifest"
        ),
        "manifest-first-with-previous": first(
            "version 1 that follows something",
            edited('"previous":null', f'"previous":"{sha256_digest(BORLUND)}"'),
            "malformed-manifest",
        ),
        "manifest-expires-at-issue": first(
            "valid for no time", edited("2027-11-23T09", "2026-11-23T09"), "malformed-manifest"
        ),
        "manifest-no-such-day": first("31 November", edited("2027-11-23", "2027-11-31"), "malformed-manifest"),
        "manifest-name-not-nfc": first(
            "e and a combining accent", edited("Arvenia", "Arve\u0301nia"), "malformed-manifest"
        ),
        "manifest-state-in-small-letters": first("xa", edited('"XA"', '"xa"'), "malformed-manifest"),
        "manifest-party-with-space": first(
            "a party id with a space", edited('"arvenia"', '"arv enia"'), "malformed-manifest"
        ),
        "manifest-ok-revoked": first("it calls another key revoked", with_revoked(STRANGER.public_key), None),
        "manifest-revoked-in-use": first(
            "it calls a key revoked that it lists", with_revoked(A1.public_key), "malformed-manifest"
        ),
        "manifest-revoked-twice": first(
            "it calls a key revoked twice", with_revoked(*[STRANGER.public_key] * 2), "malformed-manifest"
        ),
        "manifest-revoked-nothing": first(
            "it has the member and names no key", edited('"roles":{', '"revoked":[],"roles":{'), "malformed-manifest"
        ),
    }


def successor_vectors() -> dict[str, Vector]:
    """Which manifest may follow which."""
    old, new = sha256_digest(ONE), make_role_keys(["arvenia manifest 2"])
    third = make_payload("arvenia", version=3, previous=old, manifest=new)
    elsewhere = make_payload("arvenia", version=2, previous=sha256_digest(BORLUND), manifest=new)
    other = make_payload("borlund", version=2, previous=old, manifest=new)
    assert parse_manifest(SECOND).party == PartyId("arvenia")
    assert parse_manifest(SECOND).roles[Role.MANIFEST] == new
    return {
        "successor-ok": successor("a new manifest key, signed by old and new", SECOND, None, signers=(ROOT, NEW_ROOT)),
        "successor-same-key": successor("only the agreement key is new", ROTATED, None, signers=(ROOT,)),
        "successor-signed-by-old-only": successor("not by the new", SECOND, "unknown-key", signers=(ROOT,)),
        "successor-signed-by-new-only": successor("not by the old", SECOND, "unknown-key", signers=(NEW_ROOT,)),
        "successor-version-skipped": successor("3 after 1", third, "digest-mismatch", signers=(ROOT, NEW_ROOT)),
        "successor-replayed": successor("1 after 1", ONE, "digest-mismatch", signers=(ROOT,)),
        "successor-of-another": successor("2 after another 1", elsewhere, "digest-mismatch", signers=(ROOT, NEW_ROOT)),
        "successor-of-another-party": successor("of borlund", other, "digest-mismatch", signers=(ROOT, NEW_ROOT)),
        "successor-of-another-type": (
            "signed as terms by old and new",
            {
                "act": "verify_successor",
                "current": ONE.decode(),
                "document": text(sign(ROOT, NEW_ROOT, payload=SECOND)),
                "now": NOW,
            },
            {"error": "bad-signature"},
        ),
        "successor-expired": successor("past its time", SECOND, "expired", signers=(ROOT, NEW_ROOT), now=EXPIRY),
    }


def count_vectors() -> dict[str, Vector]:
    """For which parties a document is signed."""
    shared = make_payload("borlund", agreement=make_role_keys(["arvenia agreement", "borlund agreement"]))
    other_role = make_payload("borlund", manifest=make_role_keys(["arvenia agreement"]))
    as_both = text(relabel(sign(A1, A1), key_id(A1.public_key), key_id(B1.public_key)))
    return {
        "count-both": count("each by its own key", text(sign(A1, B1)), [ONE, BORLUND], ["arvenia", "borlund"]),
        "count-one-signs-for-two": count("one signs under the ids of both", as_both, [ONE, BORLUND], ["arvenia"]),
        "count-shared-key": count("a key that both list counts for neither", text(sign(A1)), [ONE, shared], []),
        "count-shared-key-beside": count("another key beside it does", text(sign(A1, B1)), [ONE, shared], ["borlund"]),
        "count-shared-key-other-role": count(
            "listed by the other in another role", text(sign(A1)), [ONE, other_role], []
        ),
        "count-below-threshold": count("one of two", text(sign(A1, B1)), [TWO_OF_TWO, BORLUND], ["borlund"]),
        "count-expired": count("past its time", text(sign(A1)), [ONE], [], now=EXPIRY),
    }


def vectors() -> dict[str, bytes]:
    """File name to file."""
    made = document_vectors() | manifest_vectors() | successor_vectors() | count_vectors()
    return {
        f"{name}.json": json.dumps({"desc": desc, "in": given, "expect": expect}, indent=1, ensure_ascii=False).encode()
        + b"\n"
        for name, (desc, given, expect) in made.items()
    }


def main() -> None:
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, content in vectors().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
