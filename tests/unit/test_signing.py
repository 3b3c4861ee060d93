# SPDX-License-Identifier: Apache-2.0
import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from comity.canonical import sha256_digest
from comity.errors import BadSignature, ComityError, MalformedManifest, MalformedMessage, ThresholdNotMet, UnknownKey
from comity.ids import Digest, PartyId, parse_instant
from comity.signing import (
    MANIFEST_TYPE,
    Role,
    RoleKeys,
    Signature,
    SignedDocument,
    count_parties,
    format_manifest,
    format_signed_document,
    key_id,
    pae,
    parse_manifest,
    parse_signed_document,
    sign_document,
    verify_manifest,
    verify_signature,
    verify_signed_document,
    verify_successor,
)
from tests.signers import EXPIRES, ISSUED, NOW, SeedSigner, make_payload, make_role_keys
from tests.vectors.signing.make import FOLDER, vectors

VECTORS = sorted(FOLDER.glob("*.json"))
IDENTITY = b"\x01" + bytes(31)
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


# --- vectors ------------------------------------------------------------------------------------------------------


def act_on_document(given: dict[str, Any]) -> dict[str, object]:
    payload = verify_signed_document(
        parse_signed_document(given["document"].encode()),
        parse_manifest(given["manifest"].encode()),
        role=Role(given["role"]),
        payload_type=given["payload_type"],
        now=parse_instant(given["now"]),
    )
    return {"payload_sha256": sha256_digest(payload)}


def act_on_manifest(given: dict[str, Any]) -> dict[str, object]:
    document = parse_signed_document(given["document"].encode())
    digest = Digest(given["digest"]) if given["digest"] else None
    return {"digest": verify_manifest(document, now=parse_instant(given["now"]), digest=digest).digest}


def act_on_successor(given: dict[str, Any]) -> dict[str, object]:
    current = parse_manifest(given["current"].encode())
    document = parse_signed_document(given["document"].encode())
    return {"digest": verify_successor(current, document, now=parse_instant(given["now"])).digest}


def act_on_count(given: dict[str, Any]) -> dict[str, object]:
    parties = count_parties(
        parse_signed_document(given["document"].encode()),
        [parse_manifest(manifest.encode()) for manifest in given["manifests"]],
        payload_type=given["payload_type"],
        now=parse_instant(given["now"]),
    )
    return {"parties": sorted(parties)}


ACTS: dict[str, Callable[[dict[str, Any]], dict[str, object]]] = {
    "verify_signed_document": act_on_document,
    "verify_manifest": act_on_manifest,
    "verify_successor": act_on_successor,
    "count_parties": act_on_count,
}


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_bytes())
    try:
        found = ACTS[vector["in"]["act"]](vector["in"])
    except ComityError as error:
        found = {"error": error.code}
    assert found == vector["expect"], vector["desc"]


def test_vectors_are_what_their_maker_makes() -> None:
    assert {path.name: path.read_bytes() for path in VECTORS} == vectors()


# --- documents ----------------------------------------------------------------------------------------------------


def test_pae_is_that_of_the_dsse_protocol() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


def test_pae_counts_bytes_not_characters() -> None:
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_pae_cannot_move_a_byte_from_type_to_payload() -> None:
    assert pae("a b", b"c") != pae("a", b"b c")


def test_key_id_is_the_digest_of_the_raw_key() -> None:
    assert key_id(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_signatures_verify_against_rfc8032_test_2() -> None:
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert verify_signature(b"\x72", signature, public_key=key) == b"\x72"
    with pytest.raises(BadSignature):
        verify_signature(b"\x73", signature, public_key=key)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), b"\x02" + bytes(31)])
def test_a_key_that_is_none_verifies_nothing(key: bytes) -> None:
    with pytest.raises(BadSignature):
        verify_signature(b"", bytes(64), public_key=key)


def test_a_document_comes_back_from_its_envelope() -> None:
    document = sign_document("text/x", b"\x00\xff", [SeedSigner("a"), SeedSigner("b")])
    envelope = format_signed_document(document)
    assert parse_signed_document(envelope) == document
    assert envelope.startswith(b'{"payload":"AP8=","payloadType":"text/x","signatures":[{"keyid":"')


@pytest.mark.parametrize(
    ("envelope", "where"),
    [
        (b'{"payload":"","payloadType":"t","signatures":[{"keyid":"k","sig":1}]}', "/signatures/0/sig"),
        (b'{"payload":"","payloadType":"t","signatures":[{"sig":""}]}', "/signatures/0/keyid"),
        (b'{"payload":"","payloadType":"t","signatures":[1]}', "/signatures/0"),
        (b'{"payload":"","payloadType":"t","signatures":{}}', "/signatures"),
        (b'{"payload":"","payloadType":"","signatures":[]}', "/payloadType"),
        (b'{"payload":"","payloadType":"a\\nb","signatures":[]}', "/payloadType"),
        (b'{"payload":"A","payloadType":"t","signatures":[]}', "/payload"),
        (b'{"payload":"\xc3\xa9","payloadType":"t","signatures":[]}', "/payload"),
        (b'{"payloadType":"t","signatures":[]}', "/payload"),
        (b"[]", "1:1"),
        (b'{"payload":', "1:12"),
    ],
)
def test_a_malformed_envelope_is_refused_with_the_place(envelope: bytes, where: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        parse_signed_document(envelope)
    assert caught.value.where == where


def test_a_payload_over_the_bound_is_refused() -> None:
    largest = SignedDocument(payload_type="t", payload=bytes(1 << 20), signatures=(Signature(keyid="k", sig=b""),))
    assert parse_signed_document(format_signed_document(largest)) == largest
    with pytest.raises(MalformedMessage, match="1048577 bytes"):
        parse_signed_document(format_signed_document(replace(largest, payload=bytes((1 << 20) + 1))))


def test_a_document_without_signatures_meets_no_threshold() -> None:
    document = SignedDocument(payload_type="t", payload=b"", signatures=())
    with pytest.raises(ThresholdNotMet, match=r"0 distinct keys .* 1 must"):
        verify_signed_document(
            document, parse_manifest(make_payload("arvenia")), role=Role.LOG, payload_type="t", now=NOW
        )


def test_every_role_is_asked_for_its_own_keys() -> None:
    manifest = parse_manifest(make_payload("arvenia", witness=make_role_keys(["arvenia witness"])))
    for signing in Role:
        document = sign_document("t", b"", [SeedSigner(f"arvenia {signing}")])
        assert verify_signed_document(document, manifest, role=signing, payload_type="t", now=NOW) == b""
        for other in set(Role) - {signing}:
            with pytest.raises(UnknownKey):
                verify_signed_document(document, manifest, role=other, payload_type="t", now=NOW)


def test_a_party_without_a_witness_key_has_signed_nothing_as_a_witness() -> None:
    manifest = parse_manifest(make_payload("arvenia"))
    assert Role.WITNESS not in manifest.roles
    document = sign_document("t", b"", [SeedSigner("arvenia log")])
    with pytest.raises(UnknownKey):
        verify_signed_document(document, manifest, role=Role.WITNESS, payload_type="t", now=NOW)


def test_a_key_that_another_lists_for_its_witness_counts_for_neither() -> None:
    one = parse_manifest(make_payload("arvenia"))
    other = parse_manifest(make_payload("borlund", witness=make_role_keys(["arvenia agreement"])))
    document = sign_document("t", b"", [SeedSigner("arvenia agreement"), SeedSigner("borlund agreement")])
    assert count_parties(document, [one, other], payload_type="t", now=NOW) == {PartyId("borlund")}


def test_a_threshold_is_met_by_any_of_the_keys() -> None:
    names = ["one", "two", "three"]
    manifest = parse_manifest(make_payload("arvenia", agreement=make_role_keys(names, 2)))
    for absent in names:
        document = sign_document("t", b"", [SeedSigner(name) for name in names if name != absent])
        assert verify_signed_document(document, manifest, role=Role.AGREEMENT, payload_type="t", now=NOW) == b""


def test_one_key_in_two_manifests_of_one_party_is_that_partys() -> None:
    first = parse_manifest(make_payload("arvenia"))
    second = parse_manifest(make_payload("arvenia", version=2, previous=first.digest))
    document = sign_document("t", b"", [SeedSigner("arvenia agreement")])
    assert count_parties(document, [first, second], payload_type="t", now=NOW) == {"arvenia"}


def test_counting_parties_of_another_type_of_document_is_refused() -> None:
    with pytest.raises(BadSignature, match="says nothing"):
        count_parties(sign_document("t", b"", [SeedSigner("a")]), [], payload_type="u", now=NOW)


# --- manifests ----------------------------------------------------------------------------------------------------


def test_a_manifest_says_what_was_put_in() -> None:
    payload = make_payload("arvenia", agreement=make_role_keys(["one", "two"], 2))
    manifest = parse_manifest(payload)
    assert (manifest.party, manifest.name, manifest.state) == ("arvenia", "Republic of Arvenia", "XA")
    assert (manifest.version, manifest.previous) == (1, None)
    assert (manifest.issued_at, manifest.expires_at) == (ISSUED, EXPIRES)
    assert manifest.roles[Role.AGREEMENT] == make_role_keys(["one", "two"], 2)
    assert manifest.roles.keys() == set(Role) - {Role.WITNESS}
    assert manifest.digest == sha256_digest(payload)
    assert hash(manifest) == hash(parse_manifest(payload))


def test_a_manifest_cannot_be_changed_once_read() -> None:
    manifest = parse_manifest(make_payload("arvenia"))
    assert isinstance(manifest.roles, MappingProxyType)
    with pytest.raises(FrozenInstanceError):
        manifest.roles = {}  # type: ignore[misc]


def test_an_organisation_has_no_state() -> None:
    payload = make_payload("arvenia").replace(b'"state":"XA"', b'"state":null')
    assert parse_manifest(payload).state is None


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('"version":1', '"version":true', "/version"),
        ('"version":1', '"version":"1"', "/version"),
        ('"previous":null', '"previous":""', "/previous"),
        ('"state":"XA"', '"state":"X"', "/state"),
        ('"state":"XA"', '"state":1', "/state"),
        ('"party":"arvenia"', '"party":null', "/party"),
        ('"expires_at":"2027', '"expires_at":"2O27', "/expires_at"),
        ('"issued_at":"2026', '"issued_at":"26', "/issued_at"),
        ('"name":"Republic', '"name":"\\tRepublic', "/name"),
        ('"name":"Republic', '"name":"' + "R" * 200, "/name"),
        ('"log":{', '"log":{"algorithm":"x",', "/roles/log/algorithm"),
        ('"keys":["', '"keys":["00', "/roles/agreement/keys/0"),
        ('"keys":[', '"keys":[null,', "/roles/agreement/keys/0"),
    ],
)
def test_a_malformed_manifest_is_refused_with_the_place(old: str, new: str, where: str) -> None:
    payload = make_payload("arvenia").decode().replace(old, new, 1).encode()
    with pytest.raises(MalformedManifest) as caught:
        parse_manifest(payload)
    assert caught.value.where == where


def test_a_role_holds_at_most_sixteen_keys() -> None:
    names = [f"key {number}" for number in range(17)]
    assert parse_manifest(make_payload("arvenia", agreement=make_role_keys(names[:16]))).version == 1
    with pytest.raises(MalformedManifest, match="list of 1 to 16 keys"):
        make_payload("arvenia", agreement=make_role_keys(names))
    with pytest.raises(MalformedManifest, match="list of 1 to 16 keys"):
        make_payload("arvenia", agreement=RoleKeys(keys=(), threshold=1))


def test_what_would_not_be_read_is_not_written() -> None:
    with pytest.raises(MalformedManifest, match="/roles/log is missing"):
        format_manifest(
            party=PartyId("arvenia"),
            name="Republic of Arvenia",
            state=None,
            version=1,
            previous=None,
            issued_at=ISSUED,
            expires_at=EXPIRES,
            roles={role: make_role_keys([role]) for role in Role if role is not Role.LOG},
        )


def test_a_successor_needs_the_thresholds_of_old_and_new() -> None:
    first = parse_manifest(make_payload("arvenia", manifest=make_role_keys(["a", "b", "c"], 2)))
    payload = make_payload("arvenia", version=2, previous=first.digest, manifest=make_role_keys(["c", "d", "e"], 2))
    for names, enough in {"abde": True, "acd": True, "bce": True, "ac": False, "cd": False, "ade": False}.items():
        document = sign_document(MANIFEST_TYPE, payload, [SeedSigner(name) for name in names])
        if enough:
            assert verify_successor(first, document, now=NOW).version == 2
        else:
            with pytest.raises(ThresholdNotMet):
                verify_successor(first, document, now=NOW)


def test_an_expired_manifest_can_still_be_succeeded() -> None:
    first = parse_manifest(make_payload("arvenia", expires_at=NOW))
    payload = make_payload("arvenia", version=2, previous=first.digest)
    document = sign_document(MANIFEST_TYPE, payload, [SeedSigner("arvenia manifest")])
    assert verify_successor(first, document, now=NOW).expires_at == EXPIRES


# --- keys of small order ------------------------------------------------------------------------------------------


def decompress(key: bytes) -> tuple[int, int] | None:
    """The point of edwards25519 that the bytes encode, as RFC 8032 §5.1.3, but for taking y modulo p."""
    number = int.from_bytes(key, "little")
    y, sign = (number & (2**255 - 1)) % P, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return (x if x & 1 == sign else -x % P), y


def double(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    t = D * x * x * y * y % P
    return 2 * x * y * pow(1 + t, -1, P) % P, (y * y + x * x) * pow(1 - t, -1, P) % P


def small_order_keys() -> list[bytes]:
    """All encodings of the points whose order divides 8, also those with y not below p."""
    generator = next(
        point
        for point in (torsion_part(number.to_bytes(32, "little")) for number in range(2, 50))
        if point is not None and double(double(point)) != (0, 1)
    )
    points, point = set(), (0, 1)
    for _ in range(8):
        points.add(point)
        point = add(point, generator)
    assert len(points) == 8
    return [
        (y + lift | sign << 255).to_bytes(32, "little")
        for _, y in points
        for lift in (0, P)
        for sign in (0, 1)
        if y + lift < 2**255
    ]


def torsion_part(key: bytes) -> tuple[int, int] | None:
    """The point times the order of the prime subgroup: what is left lies among the eight."""
    point = decompress(key)
    if point is None:
        return None
    order, result = 2**252 + 27742317777372353535851937790883648493, (0, 1)
    while order:
        if order & 1:
            result = add(result, point)
        point, order = double(point), order >> 1
    return result


def add(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = left, right
    t = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def test_under_a_key_of_small_order_anybody_can_sign() -> None:
    # Why manifests may not list one: the library does not refuse it.
    forged = IDENTITY + bytes(32)
    assert verify_signature(b"anything", forged, public_key=IDENTITY) == b"anything"


def test_every_key_of_small_order_is_refused() -> None:
    keys = small_order_keys()
    assert len(set(keys)) >= 14
    for key in keys:
        with pytest.raises(MalformedManifest, match="small order"):
            make_payload("arvenia", agreement=RoleKeys(keys=(key,), threshold=1))
