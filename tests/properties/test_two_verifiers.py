# SPDX-License-Identifier: Apache-2.0
"""`comity verify` and the script that shares no code with it take the same receipts under the same manifests.

What is altered is hashed and signed anew by the giver's keys, so that what refuses it is the reading and no signature.
"""

import base64
import contextlib
import copy
import io
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.canonical import canonical_bytes
from comity.errors import MalformedError, MalformedJson, VerificationError
from comity.operations.showing import verify_files
from comity.signing import MANIFEST_TYPE, format_signed_document, sign_document
from comity.tlog.note import note_key_hash
from examples import verify_receipt as script
from tests.receipts import ORIGIN
from tests.signers import SeedSigner
from tests.vectors.receipts.make import FOLDER, make_manifest, sign_parts

Value: TypeAlias = Any
"""What JSON holds, taken apart and altered anywhere."""

GOOD: dict[str, Any] = json.loads((FOLDER / "good.json").read_bytes())
MANIFEST = make_manifest()
LOG, SECOND = SeedSigner("aurelia log").public_key.hex(), SeedSigner("aurelia log 2").public_key.hex()
WITNESS = SeedSigner("aurelia witness").public_key.hex()
SINCE = "2026-01-01T00:00:00.000000Z"
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 1.5, 2**53 - 1),
    *(
        "",
        "x",
        "aurelia",
        "AURELIA",
        "\x1b[2K\r",
        "e\u0301",
        "\u2028",
        "\x85",
        "objects",
        "2026-02-30T00:00:00Z",
        "2026-13-01",
    ),
    *(
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T00:00:00.123456789Z",
        "XA",
        "xa",
    ),
    *("0" * 64, "A" * 64, "01" + "00" * 31, "01" + "00" * 30 + "80", LOG, "a" * 64, "a" * 65, "comity-disclosure/2"),
    *([], {}, ["b", "a"], [1], {"keys": [LOG], "threshold": 1}, [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]),
]


def take(receipt: bytes, manifest: bytes) -> tuple[bool, bool]:
    """Whether the package takes it, and whether the script does."""
    try:
        verify_files(receipt, manifests={"manifest": manifest}, policy=None, objects={})
    except (MalformedError, VerificationError):
        package = False
    else:
        package = True
    said = io.StringIO()
    with TemporaryDirectory() as name, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        paths = [Path(name) / "receipt", Path(name) / "manifest"]
        for path, data in zip(paths, (receipt, manifest), strict=True):
            path.write_bytes(data)
        code = script.main(list(map(str, paths)))
    told = said.getvalue().replace(name, "").replace("\n", "")
    assert told.isascii(), told
    assert told.isprintable(), told
    return package, code == 0


def find_places(value: Value, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value, the value itself left out."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(*path, key) for key, _ in inside]
    return found + [deep for key, each in inside for deep in find_places(each, (*path, key))]


def alter(value: Value, path: tuple[Any, ...], how: str, to: Value) -> Value:
    """The value with one place altered: set, taken away, or with something beside it."""
    changed = copy.deepcopy(value)
    at = changed
    for key in path[:-1]:
        at = at[key]
    if how == "set":
        at[path[-1]] = to
    elif how == "take":
        del at[path[-1]]
    elif isinstance(at, dict):
        at["zz"] = to
    else:
        at.append(to)
    return changed


@cache
def read_part(name: str) -> tuple[Any, list[tuple[Any, ...]]]:
    value = read_payload(MANIFEST) if name == "manifest" else json.loads(GOOD[name])
    return value, find_places(value)


def read_payload(manifest: bytes) -> Value:
    return json.loads(base64.b64decode(json.loads(manifest)["payload"]))


def sign_manifest(value: Value) -> bytes:
    return format_signed_document(
        sign_document(MANIFEST_TYPE, canonical_bytes(value), [SeedSigner("aurelia manifest")])
    )


def make(name: str, value: Value) -> tuple[bytes, bytes]:
    """The receipt and the manifest, one part of them being that value."""
    if name == "manifest":
        return canonical_bytes(GOOD), sign_manifest(value)
    return sign_parts(GOOD, **{name: value}), MANIFEST


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["leaf", "content", "listing", "manifest"]), st.data())
def test_both_take_the_same_whatever_a_part_says(name: str, data: st.DataObject) -> None:
    value, places = read_part(name)
    how = data.draw(st.sampled_from(["set", "set", "take", "beside"]), "how")
    altered = alter(value, data.draw(st.sampled_from(places), "where"), how, data.draw(st.sampled_from(VALUES), "to"))
    try:
        receipt, manifest = make(name, altered)
    except (MalformedJson, KeyError, TypeError):
        return  # it cannot be written
    package, alone = take(receipt, manifest)
    assert package == alone, (name, altered)


def with_role(role: str, keys: list[str], threshold: Value) -> bytes:
    value = read_payload(MANIFEST)
    value["roles"][role] = {"keys": keys, "threshold": threshold}
    return sign_manifest(value)


def with_members(**members: Value) -> bytes:
    return sign_manifest({**read_payload(MANIFEST), **members})


MANIFESTS = {
    "as-it-is": (True, MANIFEST),
    "spaced": (True, MANIFEST.replace(b'":', b'": ')),
    "two-log-keys": (True, with_role("log", [LOG, SECOND], 1)),
    "a-witness": (True, with_role("witness", [WITNESS], 1)),
    "another-key-revoked": (True, with_members(revoked=[{"key": SECOND, "since": SINCE}])),
    "two-log-keys-together": (False, with_role("log", [LOG, SECOND], 2)),
    "two-witness-keys-together": (False, with_role("witness", [WITNESS, SECOND], 2)),
    "threshold-nought": (False, with_role("manifest", [SeedSigner("aurelia manifest").public_key.hex()], 0)),
    "a-key-in-two-roles": (False, with_role("witness", [LOG], 1)),
    "seventeen-keys": (False, with_role("log", [LOG, *(f"{number:064x}" for number in range(2, 18))], 1)),
    "unknown-role": (False, with_role("aa", [WITNESS], 1)),
    "its-log-key-revoked": (False, with_members(revoked=[{"key": LOG, "since": SINCE}])),
    "revoked-nothing": (False, with_members(revoked=[])),
    "ends-as-it-begins": (False, with_members(issued_at=SINCE, expires_at=SINCE)),
    "ends-within-a-microsecond": (
        False,
        with_members(issued_at="2026-01-01T00:00:00.1234561Z", expires_at="2026-01-01T00:00:00.1234569Z"),
    ),
    "a-member-more": (False, MANIFEST.replace(b'{"payload"', b'{"a":1,"payload"')),
    "a-member-twice": (False, MANIFEST.replace(b'{"payload"', b'{"payload":"","payload"')),
    "byte-order-mark": (False, b"\xef\xbb\xbf" + MANIFEST),
    "utf-16": (False, MANIFEST.decode().encode("utf-16")),
    "no-signature": (False, canonical_bytes({**json.loads(MANIFEST), "signatures": []})),
    "33-signatures": (
        False,
        canonical_bytes({**json.loads(MANIFEST), "signatures": json.loads(MANIFEST)["signatures"] * 33}),
    ),
    "deep": (False, b"[" * 200_000),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_both_take_the_same_manifests(name: str) -> None:
    expected, manifest = MANIFESTS[name]
    assert manifest != MANIFEST or name == "as-it-is"
    assert take(canonical_bytes(GOOD), manifest) == (expected, expected)


@pytest.mark.parametrize("data", [b"[" * 200_000, b"", b"null", b"[]", b"\xff", b'"' + b"a" * (9 << 20) + b'"'])
def test_both_refuse_what_is_no_receipt(data: bytes) -> None:
    assert take(data, MANIFEST) == (False, False)


def test_both_refuse_a_proof_over_its_bound() -> None:
    lines = "".join(f"— w{number} {base64.b64encode(bytes(60_000)).decode()}\n" for number in range(60))
    assert take(canonical_bytes({**GOOD, "proof": GOOD["proof"] + lines}), MANIFEST) == (False, False)


@pytest.mark.parametrize("keys", [[LOG, SECOND], [SECOND, LOG]])
def test_both_refuse_a_bad_line_of_a_second_log_key(keys: list[str]) -> None:
    key_hash = note_key_hash(ORIGIN, bytes.fromhex(SECOND))
    line = f"— {ORIGIN} {base64.b64encode(key_hash + bytes(64)).decode()}\n"
    receipt = canonical_bytes({**GOOD, "proof": GOOD["proof"] + line})
    assert take(receipt, MANIFEST) == (True, True)
    assert take(receipt, with_role("log", keys, 1)) == (False, False)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("good*.json")), ids=lambda path: path.stem)
def test_nothing_in_a_receipt_reaches_a_terminal_as_it_is(path: Path) -> None:
    assert take(path.read_bytes(), MANIFEST) == (True, True)


@pytest.mark.parametrize("place", [1, 2, 3])
def test_a_file_without_an_end_is_refused_and_not_read_to_it(place: int, tmp_path: Path) -> None:
    """A machine that has room for it would stand still, and another one end with a trace."""
    endless, names = tmp_path / "endless", [str(FOLDER / name) for name in ("good.json", "manifest.json")]
    with endless.open("wb") as file:
        file.truncate(1 << 40)
    names.insert(place - 1, str(endless))
    done = subprocess.run(
        [sys.executable, script.__file__, *names[: max(place, 2)]], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch("NOT verified: '.*endless' is too large\n", done.stderr)
