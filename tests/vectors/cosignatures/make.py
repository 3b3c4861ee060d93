# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors of cosignatures and trust policies: `python -m tests.vectors.cosignatures.make`.

One file for one mutation of something valid. Keys are fixed (`tests.signers.SeedSigner`) and Ed25519 is deterministic;
ML-DSA-44 is not, so that its one signature stands in a file of its own, made once over the checkpoint below by the key
whose seed is 32 zero bytes. A vector is {"desc", "in", "expect"}: `act` says what is done with the rest; `expect` is
{"error": code} or what the act gives.
"""

import base64
import json
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from comity.canonical import Json
from comity.tlog.cosignature import sign_cosignature
from comity.tlog.note import (
    Note,
    NoteSignature,
    SignatureType,
    VerifierKey,
    format_note,
    format_vkey,
    note_key_hash,
    sign_note,
)
from tests.signers import SeedSigner

FOLDER = Path(__file__).parent
ORIGIN = "comity/arvenia"
CHECKPOINT = f"{ORIGIN}\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
TIME = 1679315147
LOG = SeedSigner("arvenia log")
WITNESSES = {name: SeedSigner(f"{name} witness") for name in ("borlund", "cardia", "delmar")}
LATTICE = VerifierKey(
    name="comity/borlund/witness",
    type=SignatureType.ML_DSA_44_COSIGNATURE,
    public_key=MLDSA44PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw(),
)
LOG_VKEY = format_vkey(VerifierKey(name=ORIGIN, type=SignatureType.ED25519, public_key=LOG.public_key))
SMALL_ORDER = b"\x01" + bytes(31)

Vector = tuple[str, dict[str, Json], dict[str, Json]]


def witness_key(name: str) -> VerifierKey:
    public_key = WITNESSES[name].public_key
    return VerifierKey(name=f"comity/{name}/witness", type=SignatureType.ED25519_COSIGNATURE, public_key=public_key)


def cosign(name: str, *, text: str = CHECKPOINT, time: int = TIME) -> NoteSignature:
    return sign_cosignature(text, witness_key(name), WITNESSES[name], timestamp=time)


def lattice_line() -> NoteSignature:
    signature = base64.b64decode((FOLDER / "ml-dsa-44.txt").read_text())
    return NoteSignature(name=LATTICE.name, key_hash=LATTICE.key_hash, signature=TIME.to_bytes(8, "big") + signature)


def note(*lines: NoteSignature, text: str = CHECKPOINT, log: bool = True) -> Note:
    own = sign_note(text, ORIGIN, LOG).signatures if log else ()
    return Note(text=text, signatures=(*own, *lines))


def cosignature(desc: str, of: Note, expect: Json, *, key: VerifierKey | None = None) -> Vector:
    given: dict[str, Json] = {
        "act": "verify_cosignature",
        "note": format_note(of).decode(),
        "vkey": format_vkey(key or witness_key("borlund")),
    }
    return desc, given, {"timestamp": expect} if isinstance(expect, int) else {"error": expect}


def vkey(desc: str, text: str, expect: Json) -> Vector:
    return desc, {"act": "parse_vkey", "vkey": text}, {"error": expect} if isinstance(expect, str) else {"type": expect}


def policy(desc: str, lines: str, expect: Json) -> Vector:
    listed = sum(line.startswith("witness ") for line in lines.splitlines())
    good: dict[str, Json] = {"logs": 1, "witnesses": listed}
    given: dict[str, Json] = {"act": "parse_trust_policy", "policy": lines}
    return desc, given, good if expect is None else {"error": expect}


def quorum(desc: str, of: Note, lines: str, expect: Json) -> Vector:
    given: dict[str, Json] = {"act": "verify_quorum", "note": format_note(of).decode(), "policy": lines}
    return desc, given, {"error": expect} if isinstance(expect, str) else {"timestamps": expect}


def listing(*more: str) -> str:
    """A policy's text: the log, three witnesses, and the lines that follow."""
    lines = [f"log {LOG_VKEY}", *(f"witness {name} {format_vkey(witness_key(name))}" for name in WITNESSES), *more]
    return "".join(f"{line}\n" for line in lines)


def cosignature_vectors() -> dict[str, Vector]:
    """What a line by a witness's key is."""
    good, line, lattice = note(cosign("borlund")), cosign("borlund"), lattice_line()
    later = replace(line, signature=(TIME + 1).to_bytes(8, "big") + line.signature[8:])
    over = replace(line, signature=(2**63).to_bytes(8, "big") + line.signature[8:])
    plain = sign_note(CHECKPOINT, "comity/borlund/witness", WITNESSES["borlund"]).signatures[0]
    flipped = lattice.signature[:-1] + bytes([lattice.signature[-1] ^ 1])
    zeroed = replace(lattice, signature=bytes(8) + lattice.signature[8:])
    other_root = CHECKPOINT.replace("CsUY", "CsUZ")
    other_origin = CHECKPOINT.replace("arvenia", "aurelia")
    longer = CHECKPOINT.replace("20852163", "20852164")
    anybody = VerifierKey(name="other", type=SignatureType.ED25519_COSIGNATURE, public_key=line.signature[8:40])
    return {
        "ok": cosignature("a cosignature", good, TIME),
        "ok-newest": cosignature("of two the newest counts", note(line, cosign("borlund", time=TIME + 9)), TIME + 9),
        "ok-time-zero": cosignature("at the first second", note(cosign("borlund", time=0)), 0),
        "ok-others-beside": cosignature("lines by others are passed over", note(cosign("cardia"), line), TIME),
        "time-changed": cosignature("one second later", note(later), "bad-signature"),
        "time-beyond": cosignature("a time of 2^63", note(over), "bad-signature"),
        "root-changed": cosignature("over another root", note(line, text=other_root), "bad-signature"),
        "size-changed": cosignature("over another size", note(line, text=longer), "bad-signature"),
        "origin-changed": cosignature("over another log", note(line, text=other_origin), "bad-signature"),
        "plain-signature": cosignature("the same key over the text alone", note(plain), "unknown-key"),
        "plain-signature-relabelled": cosignature(
            "a plain signature under the hash of the cosigner",
            note(replace(plain, key_hash=line.key_hash)),
            "bad-signature",
        ),
        "cut-short": cosignature(
            "without its last byte", note(replace(line, signature=line.signature[:-1])), "bad-signature"
        ),
        "longer": cosignature(
            "with a byte more", note(replace(line, signature=line.signature + b"\0")), "bad-signature"
        ),
        "of-another-witness": cosignature("by another witness", note(cosign("cardia")), "unknown-key"),
        "renamed": cosignature("under another name", note(replace(line, name="comity/cardia/witness")), "unknown-key"),
        "one-spoils": cosignature("a good one beside a bad one", note(line, later), "bad-signature"),
        "no-line": cosignature("no line by this key", note(), "unknown-key", key=anybody),
        "ml-dsa-ok": cosignature("ML-DSA-44", note(lattice), TIME, key=LATTICE),
        "ml-dsa-bit": cosignature(
            "a bit of it", note(replace(lattice, signature=flipped)), "bad-signature", key=LATTICE
        ),
        "ml-dsa-time": cosignature("its time made 0", note(zeroed), "bad-signature", key=LATTICE),
        "ml-dsa-root": cosignature("another root", note(lattice, text=other_root), "bad-signature", key=LATTICE),
        "ml-dsa-size": cosignature("another size", note(lattice, text=longer), "bad-signature", key=LATTICE),
        "ml-dsa-origin": cosignature("another log", note(lattice, text=other_origin), "bad-signature", key=LATTICE),
        "ml-dsa-renamed": cosignature(
            "the same key under another name, which it signs with",
            note(
                replace(
                    lattice,
                    name="comity/cardia/witness",
                    key_hash=replace(LATTICE, name="comity/cardia/witness").key_hash,
                )
            ),
            "bad-signature",
            key=replace(LATTICE, name="comity/cardia/witness"),
        ),
        "ml-dsa-as-ed25519": cosignature(
            "a signature of the other kind",
            note(replace(line, key_hash=LATTICE.key_hash)),
            "bad-signature",
            key=LATTICE,
        ),
    }


def vkey_vectors() -> dict[str, Vector]:
    """What the line of a key is."""
    good = format_vkey(witness_key("borlund"))
    name, key_hash, key = good.split("+", 2)
    data = base64.b64decode(key)

    def made(data: bytes, *, named: str = name) -> str:
        hashed = note_key_hash(named, data[1:], algorithm=data[0]).hex()
        return f"{named}+{hashed}+{base64.b64encode(data).decode()}"

    return {
        "vkey-ok": vkey("of a witness", good, 4),
        "vkey-ok-log": vkey("of a log", LOG_VKEY, 1),
        "vkey-ok-ml-dsa": vkey("of a witness with ML-DSA-44", format_vkey(LATTICE), 6),
        "vkey-name-changed": vkey("another name", f"x{good}", "malformed-note"),
        "vkey-hash-changed": vkey("another hash", f"{name}+00000000+{key}", "malformed-note"),
        "vkey-hash-in-capitals": vkey("the hash in capitals", f"{name}+{key_hash.upper()}+{key}", "malformed-note"),
        "vkey-key-changed": vkey("another key", f"{name}+{key_hash}+{key[:-4]}AAAA", "malformed-note"),
        "vkey-unpadded": vkey("base64 without its padding", format_vkey(LATTICE).rstrip("="), "malformed-note"),
        "vkey-type-unknown": vkey("of type 2", made(b"\x02" + data[1:]), "malformed-note"),
        "vkey-short": vkey("a byte less", made(data[:-1]), "malformed-note"),
        "vkey-long": vkey("a byte more", made(data + b"\0"), "malformed-note"),
        "vkey-empty": vkey("no key", f"{name}+{key_hash}+", "malformed-note"),
        "vkey-small-order": vkey("a key for which anybody can sign", made(b"\x04" + SMALL_ORDER), "malformed-note"),
        "vkey-name-with-space": vkey("a space in the name", made(data, named="a b"), "malformed-note"),
        "vkey-name-empty": vkey("no name", made(data, named=""), "malformed-note"),
    }


def policy_vectors() -> dict[str, Vector]:
    """What a policy is."""
    good = listing("group two 2 borlund cardia delmar", "quorum two")
    third = format_vkey(witness_key("delmar"))
    renamed = format_vkey(replace(witness_key("delmar"), name="other"))
    lattice = f"witness lattice {format_vkey(LATTICE)}"
    as_log = format_vkey(replace(witness_key("delmar"), type=SignatureType.ED25519))
    return {
        "policy-ok": policy("two of three", good, None),
        "policy-ok-none": policy("no cosignature asked for", listing("quorum none"), None),
        "policy-ok-nested": policy(
            "a group in a group",
            listing("group a any borlund cardia", "group b all a delmar", "quorum b"),
            None,
        ),
        "policy-ok-two-keys-any": policy(
            "two keys of one witness of which any is enough, as one member of a group",
            listing(lattice, "group b any borlund lattice", "group g 2 b cardia", "quorum g"),
            None,
        ),
        "policy-two-keys-count-twice": policy(
            "two keys of one witness as two members",
            listing(lattice, "group g 2 borlund lattice", "quorum g"),
            "malformed-policy",
        ),
        "policy-two-keys-count-twice-below": policy(
            "two keys of one witness behind two groups",
            listing(lattice, "group a any borlund cardia", "group b any lattice delmar", "group g all a b", "quorum g"),
            "malformed-policy",
        ),
        "policy-ok-spaces": policy(
            "tabs, spaces, comments, empty lines", "\n \t\n # here\n#x\n" + good.replace(" ", " \t "), None
        ),
        "policy-ok-quorum-first-of-unrelated": policy(
            "lines of witnesses after the quorum", listing("quorum borlund", "group g any cardia"), None
        ),
        "policy-ok-url-not-ascii": policy("an url that is no ascii", good.replace(third, f"{third} höst"), None),
        "policy-no-quorum": policy("no quorum", listing("group two 2 borlund cardia"), "malformed-policy"),
        "policy-two-quorums": policy("two", listing("quorum none", "quorum none"), "malformed-policy"),
        "policy-quorum-unknown": policy("of a name not defined", listing("quorum x"), "malformed-policy"),
        "policy-quorum-before": policy(
            "of a name below", listing("quorum g", "group g any borlund"), "malformed-policy"
        ),
        "policy-quorum-of-two": policy("of two names", listing("quorum borlund cardia"), "malformed-policy"),
        "policy-member-unknown": policy(
            "a member not defined", listing("group g any x", "quorum g"), "malformed-policy"
        ),
        "policy-member-itself": policy(
            "a group in itself", listing("group g any borlund g", "quorum g"), "malformed-policy"
        ),
        "policy-member-below": policy(
            "a group below", listing("group a any b", "group b any borlund", "quorum a"), "malformed-policy"
        ),
        "policy-member-twice": policy(
            "listed twice", listing("group g 2 borlund borlund", "quorum g"), "malformed-policy"
        ),
        "policy-member-in-two": policy(
            "in two groups", listing("group a any borlund", "group b all a borlund", "quorum b"), "malformed-policy"
        ),
        "policy-member-none": policy("the name none", listing("group g any none", "quorum g"), "malformed-policy"),
        "policy-group-none": policy(
            "called none", listing("group none any borlund", "quorum none"), "malformed-policy"
        ),
        "policy-group-taken": policy(
            "called as a witness", listing("group delmar any borlund", "quorum delmar"), "malformed-policy"
        ),
        "policy-group-empty": policy("without members", listing("group g all", "quorum g"), "malformed-policy"),
        "policy-threshold-zero": policy(
            "0 of two", listing("group g 0 borlund cardia", "quorum g"), "malformed-policy"
        ),
        "policy-threshold-three": policy(
            "3 of two", listing("group g 3 borlund cardia", "quorum g"), "malformed-policy"
        ),
        "policy-threshold-leading": policy("02", listing("group g 02 borlund cardia", "quorum g"), "malformed-policy"),
        "policy-threshold-digits": policy("٢", listing("group g ٢ borlund cardia", "quorum g"), "malformed-policy"),
        "policy-threshold-most": policy("most", listing("group g most borlund", "quorum g"), "malformed-policy"),
        "policy-witness-name-twice": policy(
            "two witnesses of a name", listing(f"witness borlund {renamed}", "quorum none"), "malformed-policy"
        ),
        "policy-key-twice": policy(
            "one key under two names", listing(f"witness other {renamed}", "quorum none"), "malformed-policy"
        ),
        "policy-log-twice": policy("a log twice", listing(f"log {LOG_VKEY}", "quorum none"), "malformed-policy"),
        "policy-log-is-witness": policy("one key of both", listing(f"log {as_log}", "quorum none"), "malformed-policy"),
        "policy-log-with-witness-key": policy("a witness as a log", f"log {third}\nquorum none\n", "malformed-policy"),
        "policy-witness-with-log-key": policy(
            "a log as a witness", f"witness w {LOG_VKEY}\nquorum w\n", "malformed-policy"
        ),
        "policy-bad-vkey": policy("a key that is none", "log x\nquorum none\n", "malformed-policy"),
        "policy-log-three-words": policy("a word more", f"log {LOG_VKEY} u v\nquorum none\n", "malformed-policy"),
        "policy-witness-short": policy("no key", "witness w\nquorum none\n", "malformed-policy"),
        "policy-unknown-line": policy("another word", listing("mirror x", "quorum none"), "malformed-policy"),
        "policy-last-line-open": policy("no newline at the end", good[:-1], "malformed-policy"),
        "policy-carriage-return": policy("a carriage return", good.replace("\n", "\r\n"), "malformed-policy"),
        "policy-delete": policy("the control character 127", good.replace("two\n", "two\x7f\n"), "malformed-policy"),
        "policy-empty": policy("nothing", "", "malformed-policy"),
        "policy-65-groups": policy(
            "too many groups",
            listing(
                "group g0 any borlund", *(f"group g{place} any g{place - 1}" for place in range(1, 65)), "quorum g64"
            ),
            "malformed-policy",
        ),
    }


def quorum_vectors() -> dict[str, Vector]:
    """Whether a note satisfies a policy."""
    two = listing("group two 2 borlund cardia delmar", "quorum two")
    nested = listing("group a any borlund cardia", "group b all a delmar", "quorum b")
    borlund, cardia, delmar = (cosign(name) for name in WITNESSES)
    bad = replace(delmar, signature=delmar.signature[:8] + bytes(64))
    stranger = SeedSigner("x")
    alone = sign_note(CHECKPOINT, ORIGIN, stranger).signatures[0]
    own_only = f"log {LOG_VKEY}\nquorum none\n"
    return {
        "quorum-ok": quorum("two of three", note(borlund, delmar), two, {"borlund": TIME, "delmar": TIME}),
        "quorum-ok-all": quorum(
            "more than needed, at different times",
            note(borlund, cosign("cardia", time=TIME + 5), delmar),
            two,
            {"borlund": TIME, "cardia": TIME + 5, "delmar": TIME},
        ),
        "quorum-ok-none": quorum("none asked for", note(), own_only, {}),
        "quorum-ok-nested": quorum("through a group", note(cardia, delmar), nested, {"cardia": TIME, "delmar": TIME}),
        "quorum-ok-deep": quorum(
            "groups in groups, as deep as they may be",
            note(borlund),
            listing(
                "group g0 any borlund", *(f"group g{place} any g{place - 1}" for place in range(1, 64)), "quorum g63"
            ),
            {"borlund": TIME},
        ),
        "quorum-ok-stranger-beside": quorum(
            "a line of a stranger under the log's name",
            note(alone, borlund, cardia),
            two,
            {"borlund": TIME, "cardia": TIME},
        ),
        "quorum-one": quorum("one of three", note(borlund), two, "threshold-not-met"),
        "quorum-one-twice": quorum(
            "one of three, twice", note(borlund, cosign("borlund", time=TIME + 1)), two, "threshold-not-met"
        ),
        "quorum-nested-inner": quorum("both of the inner group", note(borlund, cardia), nested, "threshold-not-met"),
        "quorum-nested-outer": quorum("none of the inner group", note(delmar), nested, "threshold-not-met"),
        "quorum-no-log": quorum("without the log's own", note(borlund, cardia, log=False), two, "unknown-key"),
        "quorum-other-log": quorum(
            "of a log that is not listed",
            note(borlund, text=CHECKPOINT.replace("arvenia", "aurelia")),
            own_only,
            "unknown-key",
        ),
        "quorum-log-stranger": quorum(
            "signed by a stranger under the log's name", note(alone, borlund, cardia, log=False), two, "unknown-key"
        ),
        "quorum-log-bad": quorum(
            "the log's line does not verify",
            note(replace(note().signatures[0], signature=bytes(64)), borlund, cardia, log=False),
            two,
            "bad-signature",
        ),
        "quorum-one-bad": quorum("a line beyond the quorum is bad", note(borlund, cardia, bad), two, "bad-signature"),
        "quorum-not-a-checkpoint": quorum("another text", note(text="comity/arvenia\n1\n"), own_only, "malformed-note"),
        "quorum-ed25519-as-log": quorum(
            "the witness's own key over the text is no cosignature",
            note(sign_note(CHECKPOINT, "comity/borlund/witness", WITNESSES["borlund"]).signatures[0], cardia),
            two,
            "threshold-not-met",
        ),
    }


def vectors() -> dict[str, bytes]:
    """File name to file."""
    made = cosignature_vectors() | vkey_vectors() | policy_vectors() | quorum_vectors()
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
