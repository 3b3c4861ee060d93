# SPDX-License-Identifier: Apache-2.0
"""Verify a receipt for a disclosure without Comity. Needs Python 3.11 and `pip install cryptography`.

    python verify_receipt.py RECEIPT MANIFEST [OBJECT...]

RECEIPT is a file of the format comity-receipt/1. MANIFEST is the giver's statement of its keys: compare the digest that
is printed with the one that the giver told you by another way, for whoever can swap this file can sign what it likes.
Each OBJECT is a file with an object exactly as it was received.

What `comity verify` refuses is refused here: a part has the members, kinds and bounds that its specification says,
and no others. One thing is left out: of terms only the hash, the format and what is printed are looked at. What is
printed of a file holds no control characters, whatever stands in it.

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
import unicodedata
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HASH_BYTES = 32
MAX_FILE_BYTES, MAX_RECEIPT_BYTES, MAX_PART_BYTES, MAX_NOTE_BYTES = 64 << 20, 8 << 20, 1 << 20, 1_000_000
MAX_ITEMS, MAX_DEPTH, MAX_INTEGER, MAX_SIZE = 50_000, 16, 2**53 - 1, 2**63 - 1

DIGEST = "[0-9a-f]{64}"
PARTY = "[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?"
OBJECT = "[a-z0-9](?:[a-z0-9]|-(?!-)){1,248}[a-z0-9]--[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z"

LEAF = {"at", "commitment", "count", "format", "recipient", "sequence", "terms", "type"}
CONTENT = {"answer", "channel", "epoch", "format", "listing"}
CONTENTS = {"comity-disclosure/2": CONTENT, "comity-disclosure/3": CONTENT | {"grounds"}}
ANSWERS = {"objects", "object", "manifest", "versions"}
MANIFEST = {"expires_at", "format", "issued_at", "name", "party", "previous", "roles", "state", "version"}
ROLES = {"agreement", "log", "manifest", "transport"}

# Keys for which anybody can sign: the encodings of the points of small order, with the sign bit cleared.
SMALL_ORDER = {
    bytes(32).hex(),
    "01" + "00" * 31,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    *(first + "ff" * 30 + "7f" for first in ("ec", "ed", "ee")),
}


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
        files = [read_file(name) for name in arguments]
        report(verify(files[0], files[1]), arguments[2:], files[2:])
    except (MismatchError, OSError) as error:
        print(f"NOT verified: {error}", file=sys.stderr)
        return 1
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Something is not of the kind that it must be. What cannot be read does not fit.
        print(f"NOT verified: a part is not what it must be ({error!r})", file=sys.stderr)
        return 1
    return 0


def read_file(name: str) -> bytes:
    """The bytes of a file; of one that is too long for anything here no more is read than shows that."""
    with Path(name).open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    check(len(data) <= MAX_FILE_BYTES, f"{name!a} is too large")
    return data


def verify(receipt_data: bytes, manifest_data: bytes) -> dict[str, Any]:
    """What the receipt shows. Each step binds the next one to the signature."""
    check(len(receipt_data) <= MAX_RECEIPT_BYTES, "receipt: too large")
    receipt = read_json(receipt_data, "receipt")
    check(set(receipt) == {"content", "format", "leaf", "listing", "proof", "salt", "terms"}, "receipt: other members")
    check(receipt["format"] == "comity-receipt/1", "receipt: another format")
    for name in set(receipt) - ({"terms"} if receipt["terms"] is None else set()):
        check(isinstance(receipt[name], str), f"receipt: {name} is no text")
    manifest = read_manifest(manifest_data)

    # 1. The proof is spelled as C2SP tlog-proof has it, and its checkpoint is signed by a log key of the giver.
    index, hashes, checkpoint = read_proof(receipt["proof"])
    # The giver has several logs: that of its house, and one for each relationship, which ends in a token.
    origin, size, root = verify_checkpoint(checkpoint, manifest["party"], manifest["roles"]["log"]["keys"])

    # 2. The leaf is in the tree that the checkpoint is over.
    leaf_data = receipt["leaf"].encode()
    check(root_from(sha256(b"\0" + leaf_data).digest(), index, size, hashes) == root, "inclusion: not in that tree")
    leaf = read_leaf(leaf_data)

    # 3. Salt and content open the commitment that is in the leaf.
    check(fits(DIGEST, receipt["salt"]), "salt: not 32 bytes in hexadecimal")
    content_data = receipt["content"].encode()
    opened = sha256(b"comity-commitment/1\n" + bytes.fromhex(receipt["salt"]) + content_data).hexdigest()
    check(opened == leaf["commitment"], "opening: salt and content do not open the commitment in the leaf")
    content = read_content(content_data)

    # 4. The listing is the one that the content names, and has as many objects as the leaf says.
    listing_data = receipt["listing"].encode()
    check(sha256(listing_data).hexdigest() == content["listing"], "listing: not the one that the content names")
    objects = read_listing(listing_data)
    check(len(objects) == leaf["count"], "listing: not as many objects as the leaf counts")

    # 5. The terms are those whose hash is in the leaf.
    terms, channel = None, None
    if receipt["terms"] is not None:
        check(sha256(receipt["terms"].encode()).hexdigest() == leaf["terms"], "terms: not those named in the leaf")
        terms = read_signed(receipt["terms"].encode(), "terms")
        check(terms.get("format") == "comity-terms/1" and isinstance(terms["title"], str), "terms: of another format")
        channel = next((item for item in terms["channels"] if item["id"] == content["channel"]), None)
        check(channel is not None, "terms: without the channel")
    return {"manifest": manifest, "leaf": leaf, "content": content, "objects": objects, "origin": origin} | {
        "index": index,
        "size": size,
        "root": root,
        "terms": terms,
        "channel": channel,
    }


def fits(pattern: str, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None


def is_number(value: object, least: int) -> bool:
    """True is no number here, though Python counts with it."""
    return type(value) is int and value >= least


def is_time(value: object) -> bool:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return False
    return fits(TIME, value)


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """The object that the bytes are. Each has one spelling: members in order, nothing between them (RFC 8785)."""
    try:
        value = json.loads(data)
        spelled = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise MismatchError(f"{name}: not JSON ({error!a})") from None
    check(isinstance(value, dict) and spelled == data, f"{name}: not an object in its one spelling")
    return dict(value)


def read_signed(data: bytes, name: str, *, signable: bool = True) -> dict[str, Any]:
    """The object that the bytes are, within the bounds of what is signed: no fractions, text in Unicode form NFC."""
    check(len(data) <= MAX_PART_BYTES, f"{name}: too large")
    value = read_json(data, name)
    items, waiting = 0, list[tuple[Any, int]]([(value, 1)])
    while waiting:
        inside, depth = waiting.pop()
        check(depth <= MAX_DEPTH, f"{name}: too deep")
        within = [*inside, *inside.values()] if isinstance(inside, dict) else inside
        items += len(inside)
        for each in within:
            if isinstance(each, dict | list):
                waiting.append((each, depth + 1))
            elif isinstance(each, str) and signable:
                check(unicodedata.is_normalized("NFC", each), f"{name}: text that is not in Unicode form NFC")
            elif isinstance(each, int | float):
                check(type(each) is not float and abs(each) <= MAX_INTEGER, f"{name}: a number that is not signed")
    check(items <= MAX_ITEMS, f"{name}: too many values")
    return value


def read_leaf(data: bytes) -> dict[str, Any]:
    """The leaf of a disclosure to a party."""
    leaf = read_signed(data, "leaf")
    check(set(leaf) == LEAF, "leaf: other members")
    check(leaf["format"] == "comity-leaf/1" and leaf["type"] == "disclosure", "leaf: not that of a disclosure")
    check(fits(PARTY, leaf["recipient"]) and fits(DIGEST, leaf["terms"]), "leaf: no recipient, or no terms")
    check(is_number(leaf["sequence"], 1) and is_number(leaf["count"], 0), "leaf: a number that is none")
    check(fits(DIGEST, leaf["commitment"]) and is_time(leaf["at"]), "leaf: no commitment, or no time")
    return leaf


def read_content(data: bytes) -> dict[str, Any]:
    """The content of a disclosure that names its listing."""
    content = read_signed(data, "content")
    check(set(content) == CONTENTS.get(str(content.get("format"))), "content: of another format, or other members")
    check(content["answer"] in ANSWERS and isinstance(content["channel"], str), "content: no answer, or no channel")
    check(is_number(content["epoch"], 0) and fits(DIGEST, content["listing"]), "content: no epoch, or no listing")
    check("grounds" not in content or fits(DIGEST, content["grounds"]), "content: no grounds")
    return content


def read_listing(data: bytes) -> list[dict[str, Any]]:
    """The objects of a listing."""
    listing = read_signed(data, "listing", signable=False)
    check(set(listing) == {"format", "objects"} and listing["format"] == "comity-listing/1", "listing: another format")
    check(isinstance(listing["objects"], list), "listing: no list")
    for item in listing["objects"]:
        check(set(item) == {"digest", "id", "redacted", "version"}, "listing: other members")
        check(item["digest"] is None or fits(DIGEST, item["digest"]), "listing: a digest that is none")
        check(fits(OBJECT, item["id"]), "listing: an id that is none")
        version, redacted = item["version"], item["redacted"]
        check(isinstance(version, str) and 0 < len(version) <= 64, "listing: a version that is none")  # noqa: PLR2004
        check(isinstance(redacted, list) and all(isinstance(name, str) for name in redacted), "listing: no redactions")
        plain = item["digest"] is not None and not redacted
        check(not plain or not re.search(r'[\x00-\x1f"\\]', version), "listing: a version that is none")
    return list(listing["objects"])


def read_manifest(data: bytes) -> dict[str, Any]:
    """The manifest, signed by its own keys: a DSSE envelope. `digest` is what you compare by another way."""
    check(len(data) <= 2 * MAX_PART_BYTES, "manifest: too large")
    try:
        envelope = json.loads(data.decode("utf-8"), object_pairs_hook=read_pairs)
    except (ValueError, RecursionError) as error:
        raise MismatchError(f"manifest: not a signed manifest ({error!a})") from None
    check(set(envelope) == {"payload", "payloadType", "signatures"}, "manifest: other members")
    kind, payload = envelope["payloadType"], read_base64(envelope["payload"], "manifest")
    check(kind == "application/vnd.comity.manifest+json", "manifest: of another type")
    check(1 <= len(envelope["signatures"]) <= 32, "manifest: no signatures, or too many")  # noqa: PLR2004
    signatures = [read_signature(item) for item in envelope["signatures"]]
    manifest = read_signed(payload, "manifest")
    check_manifest(manifest)
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    role = manifest["roles"]["manifest"]
    signed_by = {key for key in role["keys"] if any(is_signed(key, sig, message) for sig in signatures)}
    check(len(signed_by) >= role["threshold"], "manifest: not signed by enough of its own keys")
    return manifest | {"digest": sha256(payload).hexdigest()}


def read_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    check(len(dict(pairs)) == len(pairs), "manifest: a member twice")
    return dict(pairs)


def read_signature(item: dict[str, Any]) -> bytes:
    check(set(item) == {"keyid", "sig"} and is_line(item["keyid"]), "manifest: a signature that is none")
    signature = b"" if item["sig"] == "" else read_base64(item["sig"], "manifest")
    check(len(signature) <= 4096, "manifest: a signature that is too long")  # noqa: PLR2004
    return signature


def is_line(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 200 and value.isprintable()  # noqa: PLR2004


def check_manifest(manifest: dict[str, Any]) -> None:
    """That the manifest says what one must, and nothing else."""
    check(set(manifest) - {"revoked"} == MANIFEST, "manifest: other members")
    check(manifest["format"] == "comity-manifest/1", "manifest: another format")
    check(fits(PARTY, manifest["party"]) and is_line(manifest["name"]), "manifest: no party, or no name")
    check(manifest["state"] is None or fits("[A-Z]{2}", manifest["state"]), "manifest: a state that is none")
    check(is_number(manifest["version"], 1), "manifest: no version")
    before = manifest["previous"]
    check(before is None if manifest["version"] == 1 else fits(DIGEST, before), "manifest: not what was before it")
    check(is_time(manifest["issued_at"]) and is_time(manifest["expires_at"]), "manifest: no times")
    span = [cut_time(manifest[name]) for name in ("issued_at", "expires_at")]
    check(span[0] < span[1], "manifest: it ends before it begins")
    check(set(manifest["roles"]) - {"witness"} == ROLES, "manifest: other roles")
    used: list[str] = []
    for name, role in manifest["roles"].items():
        keys, threshold = role["keys"], role["threshold"]
        check(set(role) == {"keys", "threshold"} and isinstance(keys, list), "manifest: a role that is none")
        check(1 <= len(keys) <= 16 and all(map(is_key, keys)), "manifest: a key that is none")  # noqa: PLR2004
        # A checkpoint is signed by one key: nobody would ask for the others.
        most = 1 if name in {"log", "witness"} else len(keys)
        check(is_number(threshold, 1) and threshold <= most, "manifest: a threshold that is none")
        used += keys
    revoked = manifest.get("revoked", [])
    check("revoked" not in manifest or 1 <= len(revoked) <= 64, "manifest: no revoked keys")  # noqa: PLR2004
    for item in revoked:
        check(
            set(item) == {"key", "since"} and is_key(item["key"]) and is_time(item["since"]), "manifest: revoked what?"
        )
        used.append(item["key"])
    check(len(set(used)) == len(used), "manifest: a key that is listed twice, or listed and revoked")


def cut_time(text: str) -> str:
    """The time to the microsecond, so that two compare as their texts do."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{whole}.{fraction[:6]:0<6}"


def is_key(value: object) -> bool:
    if not isinstance(value, str) or not fits(DIGEST, value):
        return False
    return value[:-2] + f"{int(value[-2:], 16) & 0x7F:02x}" not in SMALL_ORDER


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
    check(int(lines[1].split(" ")[1]) < MAX_SIZE and len(lines) <= 2 + 63, "proof: over a bound")
    hashes = [read_base64(line, "proof") for line in lines[2:]]
    check(all(len(each) == HASH_BYTES for each in hashes), "proof: a hash that is not 32 bytes")
    return int(lines[1].split(" ")[1]), hashes, checkpoint


def verify_checkpoint(note: str, party: str, keys: list[str]) -> tuple[str, int, bytes]:
    """Name of the log, size and root of the checkpoint, signed under that name by a key of it (C2SP signed-note)."""
    check(len(note.encode()) <= MAX_NOTE_BYTES, "checkpoint: too large")
    check(not re.search(r"[\x00-\x09\x0b-\x1f]", note), "checkpoint: a control character")
    end = note.rfind("\n\n") + 1
    text, lines = note[:end], note[end + 1 :].split("\n")
    check(end and lines.pop() == "" and 1 <= len(lines) <= 100, "checkpoint: not a signed note")  # noqa: PLR2004
    parts = text.split("\n")
    # The log of a relationship, or of a house that was recovered, has a token behind the party's name.
    origin = parts[0]
    check(fits(f"comity/{re.escape(party)}(?:/[0-9a-f]{{16}})?", origin), f"checkpoint: of no log of {party}")
    check(parts[3:] == [""], "checkpoint: not three lines")
    check(fits("0|[1-9][0-9]{0,18}", parts[1]) and int(parts[1]) <= MAX_SIZE, "checkpoint: no size")
    root = read_base64(parts[2], "checkpoint")
    check(len(root) == HASH_BYTES, "checkpoint: no root")
    signed = []
    for line in lines:
        name, _, encoded = line.removeprefix("— ").partition(" ")
        check(re.fullmatch(r"— [^\s+]+ \S+", line), "checkpoint: a line that is no signature")
        data = read_base64(encoded, "checkpoint")
        check(len(data) > 4, "checkpoint: a line without a signature")  # noqa: PLR2004 (the 4 bytes that name a key)
        for key in keys:
            # A key is named by 4 bytes of a hash over name, type (1 is Ed25519) and key.
            if name == origin and data[:4] == sha256(origin.encode() + b"\n\x01" + bytes.fromhex(key)).digest()[:4]:
                check(is_signed(key, data[4:], text.encode()), "checkpoint: the signature is not of the log's key")
                signed.append(key)
    check(signed, "checkpoint: not signed by a log key of the giver")
    return origin, int(parts[1]), root


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
        check(sha256(data).hexdigest() in given, f"object: {name!a} is none of those in the listing")
    print(f"verified: {manifest['party']} gave {len(objects)} objects to {leaf['recipient']} at {leaf['at']}")
    print(f"  disclosure {leaf['sequence']} to {leaf['recipient']}, in channel {shown['content']['channel']!a}")
    print(f"  terms {leaf['terms']}" + (f" ({shown['terms']['title']!a})" if shown["terms"] else ", not included"))
    print(f"  entry {shown['index']} of {shown['size']} in the log {shown['origin']}")
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
