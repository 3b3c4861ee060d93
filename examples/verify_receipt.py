# SPDX-License-Identifier: Apache-2.0
"""Verify a receipt for a disclosure without Comity. Needs Python 3.11 and `pip install cryptography`.

    python verify_receipt.py RECEIPT MANIFEST [OBJECT...]

RECEIPT is a file of the format comity-receipt/1. MANIFEST is the giver's statement of its keys: compare the digest that
is printed with the one that the giver told you by another way, for whoever can swap this file can sign what it likes.
Each OBJECT is a file with an object exactly as it was received.

The code is meant to be read. It shares nothing with the package `comity`. It follows RFC 6962 and 9162 (the tree), C2SP
tlog-proof, tlog-checkpoint and signed-note (proof, checkpoint, signature), and DSSE (the manifest). Cosignatures of
witnesses are not looked at. Whether the giver's key was stolen, or its terms were in force, no receipt says.

Exit code: 0 everything fits, 1 something does not, 2 wrong usage.
"""

import base64
import binascii
import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HASH_BYTES = 32


class MismatchError(Exception):
    """Something does not fit; the text says what."""


def check(holds: object, said: str) -> None:
    if not holds:
        raise MismatchError(said)


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:  # noqa: PLR2004 (receipt and manifest)
        print(__doc__, file=sys.stderr)
        return 2
    try:
        files = [Path(name).read_bytes() for name in arguments]
        report(verify(files[0], files[1]), arguments[2:], files[2:])
    except (MismatchError, OSError) as error:
        print(f"NOT verified: {error}", file=sys.stderr)
        return 1
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Something is not of the kind that it must be. What cannot be read does not fit.
        print(f"NOT verified: a part is not what it must be ({error!r})", file=sys.stderr)
        return 1
    return 0


def verify(receipt_data: bytes, manifest_data: bytes) -> dict[str, Any]:
    """What the receipt shows. Each step binds the next one to the signature."""
    receipt = read_json(receipt_data, "receipt")
    check(set(receipt) == {"content", "format", "leaf", "listing", "proof", "salt", "terms"}, "receipt: other members")
    check(receipt["format"] == "comity-receipt/1", "receipt: another format")
    for name in set(receipt) - {"terms"}:
        check(isinstance(receipt[name], str), f"receipt: {name} is no text")
    manifest = read_manifest(manifest_data)

    # 1. The proof is spelled as C2SP tlog-proof has it, and its checkpoint is signed by a log key of the giver.
    index, hashes, checkpoint = read_proof(receipt["proof"])
    # The giver has several logs: that of its house, and one for each relationship, which ends in a token.
    origin, house = checkpoint.partition("\n")[0], re.escape(f"comity/{manifest['party']}")
    check(re.fullmatch(f"{house}(/[0-9a-f]{{16}})?", origin, re.ASCII), "checkpoint: not of a log of the giver")
    size, root = verify_checkpoint(checkpoint, origin, manifest["roles"]["log"]["keys"])

    # 2. The leaf is in the tree that the checkpoint is over.
    leaf_data = receipt["leaf"].encode()
    check(root_from(sha256(b"\0" + leaf_data).digest(), index, size, hashes) == root, "inclusion: not in that tree")
    leaf = read_json(leaf_data, "leaf")
    check(leaf.get("format") == "comity-leaf/1" and leaf.get("type") == "disclosure", "leaf: not that of a disclosure")

    # 3. Salt and content open the commitment that is in the leaf.
    check(re.fullmatch("[0-9a-f]{64}", receipt["salt"], re.ASCII), "salt: not 32 bytes in hexadecimal")
    content_data = receipt["content"].encode()
    opened = sha256(b"comity-commitment/1\n" + bytes.fromhex(receipt["salt"]) + content_data).hexdigest()
    check(opened == leaf["commitment"], "opening: salt and content do not open the commitment in the leaf")
    content = read_json(content_data, "content")
    check(content.get("format") in {"comity-disclosure/2", "comity-disclosure/3"}, "content: another format")

    # 4. The listing is the one that the content names, and has as many objects as the leaf says.
    listing_data = receipt["listing"].encode()
    check(sha256(listing_data).hexdigest() == content["listing"], "listing: not the one that the content names")
    listing = read_json(listing_data, "listing")
    check(listing.get("format") == "comity-listing/1", "listing: another format")
    check(len(listing["objects"]) == leaf["count"], "listing: not as many objects as the leaf counts")

    # 5. The terms are those whose hash is in the leaf.
    terms, channel = None, None
    if receipt["terms"] is not None:
        check(sha256(receipt["terms"].encode()).hexdigest() == leaf["terms"], "terms: not those named in the leaf")
        terms = read_json(receipt["terms"].encode(), "terms")
        channel = next((item for item in terms["channels"] if item["id"] == content["channel"]), None)
        check(channel is not None, "terms: without the channel")
    return {"manifest": manifest, "leaf": leaf, "content": content, "objects": listing["objects"]} | {
        "index": index,
        "size": size,
        "root": root,
        "terms": terms,
        "channel": channel,
    }


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """The object that the bytes are. Each has one spelling: members in order, nothing between them (RFC 8785)."""
    try:
        value = json.loads(data)
        spelled = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MismatchError(f"{name}: not JSON ({error})") from None
    check(isinstance(value, dict) and spelled == data, f"{name}: not an object in its one spelling")
    return dict(value)


def read_manifest(data: bytes) -> dict[str, Any]:
    """The manifest, signed by its own keys: a DSSE envelope. `digest` is what you compare by another way."""
    try:
        envelope = json.loads(data)
        kind, payload = envelope["payloadType"], base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(item["sig"], validate=True) for item in envelope["signatures"]]
    except (ValueError, KeyError, TypeError) as error:
        raise MismatchError(f"manifest: not a signed manifest ({error})") from None
    check(kind == "application/vnd.comity.manifest+json", "manifest: of another type")
    manifest = read_json(payload, "manifest")
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    role = manifest["roles"]["manifest"]
    signed_by = {key for key in role["keys"] if any(is_signed(key, sig, message) for sig in signatures)}
    check(len(signed_by) >= role["threshold"], "manifest: not signed by enough of its own keys")
    return manifest | {"digest": sha256(payload).hexdigest()}


def is_signed(key: str, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def read_proof(text: str) -> tuple[int, list[bytes], str]:
    """Index, hashes and checkpoint of a C2SP tlog-proof without extra data."""
    head, _, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    check(lines[0] == "c2sp.org/tlog-proof@v1" and len(lines) > 1, "proof: not a log proof of version 1")
    check(re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[1], re.ASCII), "proof: no index")
    hashes = [read_base64(line, "proof") for line in lines[2:]]
    check(all(len(each) == HASH_BYTES for each in hashes), "proof: a hash that is not 32 bytes")
    return int(lines[1].split(" ")[1]), hashes, checkpoint


def verify_checkpoint(note: str, origin: str, keys: list[str]) -> tuple[int, bytes]:
    """Size and root of the checkpoint, signed under the log's name by one of its keys (C2SP signed-note)."""
    end = note.rfind("\n\n") + 1
    text, lines = note[:end], note[end + 1 :].split("\n")
    check(end and lines.pop() == "" and lines, "checkpoint: not a signed note")
    parts = text.split("\n")
    check(parts[0] == origin and parts[3:] == [""], f"checkpoint: not three lines of the log {origin}")
    check(re.fullmatch("0|[1-9][0-9]{0,18}", parts[1], re.ASCII), "checkpoint: no size")
    root = read_base64(parts[2], "checkpoint")
    signed = []
    for line in lines:
        name, _, encoded = line.removeprefix("— ").partition(" ")
        check(re.fullmatch(r"— [^\s+]+ \S+", line), "checkpoint: a line that is no signature")
        data = read_base64(encoded, "checkpoint")
        for key in keys:
            # A key is named by 4 bytes of a hash over name, type (1 is Ed25519) and key.
            if name == origin and data[:4] == sha256(origin.encode() + b"\n\x01" + bytes.fromhex(key)).digest()[:4]:
                check(is_signed(key, data[4:], text.encode()), "checkpoint: the signature is not of the log's key")
                signed.append(key)
    check(signed, "checkpoint: not signed by a log key of the giver")
    return int(parts[1]), root


def read_base64(text: str, name: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    check(data and base64.b64encode(data).decode() == text, f"{name}: base64 that is not in its one spelling")
    return data


def root_from(found: bytes, index: int, size: int, hashes: list[bytes]) -> bytes | None:
    """The root that the proof leads to from the hash of a leaf (RFC 9162, 2.1.3.2); None if it is too long or short."""
    if index >= size:
        return None
    place, last = index, size - 1
    for other in hashes:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = sha256(b"\1" + other + found).digest()
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = sha256(b"\1" + found + other).digest()
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def report(shown: dict[str, Any], names: list[str], files: list[bytes]) -> None:
    leaf, manifest, objects = shown["leaf"], shown["manifest"], shown["objects"]
    given = {item["digest"]: item for item in objects}
    for name, data in zip(names, files, strict=True):
        check(sha256(data).hexdigest() in given, f"object: {name} is none of those in the listing")
    print(f"verified: {manifest['party']} gave {len(objects)} objects to {leaf['recipient']} at {leaf['at']}")
    print(f"  disclosure {leaf['sequence']} to {leaf['recipient']}, in channel {shown['content']['channel']}")
    print(f"  terms {leaf['terms']}" + (f" ({shown['terms']['title']!a})" if shown["terms"] else ", not included"))
    print(f"  entry {shown['index']} of {shown['size']} in the log comity/{manifest['party']}")
    print(f"  manifest {manifest['digest']}: compare it with what {manifest['party']} told you by another way")
    print("  no witness was asked for: whether the giver shows everybody this same log, its signature cannot say")
    for item in objects:
        removed = f" without {', '.join(map(ascii, item['redacted']))}" if item["redacted"] else ""
        print(f"  {ascii(item['id'])[1:-1]} {ascii(item['version'])[1:-1]} {item['digest']}{removed}")
    for name in ("onward", "releasable_to", "tlp_ceiling", "handling"):
        if shown["channel"] and name in shown["channel"]:
            print(f"  {name}: {json.dumps(shown['channel'][name])}")
    for name in ("purposes", "permitted_actions", "prohibited_uses", "excluded_frameworks", "retention", "survival"):
        if shown["terms"] and name in shown["terms"]:
            print(f"  {name}: {json.dumps(shown['terms'][name])}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
