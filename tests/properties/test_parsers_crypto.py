# SPDX-License-Identifier: Apache-2.0
"""Any bytes give a value or the one kind of error a parser may raise; what is read is written back as it was."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comity.canonical import (
    BUNDLE_LIMITS,
    OBJECT_LIMITS,
    Json,
    canonical_bytes,
    parse_json,
    parse_signed_json,
    sha256_digest,
    split_members,
)
from comity.errors import (
    MalformedError,
    MalformedJson,
    MalformedManifest,
    MalformedMessage,
    MalformedNote,
    VerificationError,
)
from comity.ids import Instant, PartyId
from comity.lineage import LINEAGE_TYPE, make_lineage, parse_lineage
from comity.signing import (
    MANIFEST_TYPE,
    Manifest,
    Role,
    RoleKeys,
    Signature,
    SignedDocument,
    count_parties,
    format_manifest,
    format_signed_document,
    pae,
    parse_manifest,
    parse_signed_document,
    sign_document,
    verify_signed_document,
)
from comity.tlog.note import (
    Checkpoint,
    Note,
    NoteSignature,
    format_checkpoint,
    format_note,
    parse_checkpoint,
    parse_note,
    sign_note,
    verify_note,
)
from tests.signers import EXPIRES, ISSUED, NOW, SeedSigner, make_payload, make_role_keys

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def values(floats: st.SearchStrategy[float]) -> st.SearchStrategy[Json]:
    scalars: st.SearchStrategy[Json] = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | floats | TEXT
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
    )


VALUES = values(st.floats(allow_nan=False, allow_infinity=False))
PRINTABLE = st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=12)
SPACE = st.text(" \t\r\n", max_size=2)
# Pieces that JSON, and near misses of it, are made of: random bytes alone hardly ever get past the first one.
PIECES = st.sampled_from(
    [
        *("{", "}", "[", "]", ",", ":", '"', "\\", "0", "-", "1e9", ".5", "E+400", "null", "true", "NaN", "-Infinity"),
        *(
            '"a"',
            '"objects"',
            '"a":1',
            '"a":{}',
            '"\\ud800"',
            '"\\udc00\\ud800"',
            '"\\ud83d\\ude00"',
            "é",
            "\U0001f600",
        ),
        *("\ufeff", "\x00", "\x7f", "\u2028", "9" * 400, " ", "\n", '"objects":[', "{},", '{"a":1,"a":2}'),
    ]
)
NEARLY_JSON = st.lists(PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode())
KEYS = [SeedSigner(f"key {number}") for number in range(6)]
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1, max_size=8)
LINES = st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32), max_size=12)


def write(value: Json, data: st.DataObject) -> str:
    """The value as JSON with white space and escapes at will."""
    ascii_only = data.draw(st.booleans())

    def walk(value: Json) -> str:
        space = data.draw(SPACE)
        if isinstance(value, dict):
            inside = ",".join(
                f"{space}{json.dumps(key, ensure_ascii=ascii_only)}:{walk(v)}" for key, v in value.items()
            )
            return f"{{{inside}{space}}}"
        if isinstance(value, list):
            return f"[{space}{','.join(walk(item) for item in value)}]"
        return json.dumps(value, ensure_ascii=ascii_only) + space

    return walk(value)


# --- canonical ----------------------------------------------------------------------------------------------------


@given(st.binary() | NEARLY_JSON)
@example(b"[" * 40)
@example(b'{"a":1,"a":NaN}')
def test_any_bytes_are_json_or_malformed(data: bytes) -> None:
    try:
        value = parse_json(data, limits=OBJECT_LIMITS)
    except MalformedJson:
        return
    # What is taken, every other reader takes, and as the same value.
    assert json.dumps(json.loads(data)) == json.dumps(value)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


@given(VALUES, st.data())
def test_every_way_to_write_a_value_reads_as_that_value(value: Json, data: st.DataObject) -> None:
    assert parse_json(write(value, data).encode(), limits=OBJECT_LIMITS) == value


@given(st.binary() | NEARLY_JSON | VALUES.map(lambda value: json.dumps(value, separators=(",", ":")).encode()))
def test_any_bytes_are_signable_or_malformed_and_signable_ones_have_one_spelling(data: bytes) -> None:
    try:
        value = parse_signed_json(data)
    except MalformedJson:
        return
    assert canonical_bytes(value) == data


# A float from 2^53 on is written without a point, and would be read as an integer too large to write.
@given(values(st.floats(-(2.0**53) + 1, 2.0**53 - 1)))
def test_canonical_bytes_are_a_fixed_point(value: Json) -> None:
    try:
        data = canonical_bytes(value)
    except MalformedJson:
        return
    assert canonical_bytes(parse_json(data, limits=OBJECT_LIMITS)) == data


@given(st.binary() | NEARLY_JSON | NEARLY_JSON.map(lambda data: b'{"objects":[' + data + b"]}"))
def test_any_bytes_are_split_or_malformed(data: bytes) -> None:
    try:
        others, members = split_members(data, array="objects", limits=BUNDLE_LIMITS)
    except MalformedJson:
        return
    position = 0
    for index, member in enumerate(members):
        assert member.index == index
        position = data.index(member.data, position) + len(member.data)
    try:
        whole = parse_json(data, limits=BUNDLE_LIMITS)
    except MalformedJson:
        return  # only an element can be to blame, and is refused when it is parsed
    assert isinstance(whole, dict)
    assert [parse_json(member.data, limits=BUNDLE_LIMITS) for member in members] == whole.pop("objects", [])
    assert others == whole


@given(
    st.lists(VALUES, max_size=5),
    st.dictionaries(TEXT.filter(lambda key: key != "objects"), VALUES, max_size=3),
    st.data(),
)
def test_elements_are_sliced_as_they_were_written(
    elements: list[Json], rest: dict[str, Json], data: st.DataObject
) -> None:
    written = [write(element, data).strip() for element in elements]
    members = [f"{json.dumps(key)}:{write(value, data)}" for key, value in rest.items()]
    at = data.draw(st.integers(0, len(members)))
    space = data.draw(SPACE)
    members.insert(at, f'"objects"{space}:{space}[{space}{f"{space},{space}".join(written)}{space}]{space}')
    others, found = split_members(
        f"{space}{{{space}{','.join(members)}}}{space}".encode(), array="objects", limits=BUNDLE_LIMITS
    )
    assert [member.data.decode() for member in found] == written
    assert others == rest


# --- signing ------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=40), st.binary(max_size=40), TEXT, TEXT)
def test_no_two_typed_payloads_have_the_same_signed_bytes(one: bytes, two: bytes, kind: str, other: str) -> None:
    assert (pae(kind, one) == pae(other, two)) == ((kind, one) == (other, two))


@given(
    st.builds(
        SignedDocument,
        payload_type=PRINTABLE,
        payload=st.binary(max_size=40),
        signatures=st.lists(
            st.builds(
                Signature,
                keyid=PRINTABLE,
                sig=st.binary(max_size=70),
            ),
            min_size=1,
            max_size=4,
        ).map(tuple),
    ),
    st.data(),
)
def test_an_envelope_gives_its_document_back_however_it_is_spaced(
    document: SignedDocument, data: st.DataObject
) -> None:
    envelope = format_signed_document(document)
    assert parse_signed_document(envelope) == document
    spaced = write(parse_json(envelope, limits=OBJECT_LIMITS), data).encode()
    assert parse_signed_document(spaced) == document
    assert format_signed_document(parse_signed_document(spaced)) == envelope


@given(st.binary() | NEARLY_JSON | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_payload_is_a_lineage_or_malformed(data: bytes) -> None:
    signed = SignedDocument(payload_type=LINEAGE_TYPE, payload=data, signatures=())
    with pytest.raises(MalformedMessage):
        parse_lineage(signed)


@given(st.data())
def test_a_lineage_with_a_part_changed_is_one_or_malformed(data: st.DataObject) -> None:
    envelope = format_signed_document(sign_document(MANIFEST_TYPE, make_payload("arvenia"), [SeedSigner("a")]))
    message = make_lineage(PartyId("arvenia"), PartyId("borlund"), [envelope], signers=[SeedSigner("t")])
    good = parse_signed_document(message)
    assert parse_lineage(good).versions[0].envelope == envelope
    place = data.draw(st.integers(0, len(good.payload) - 1))
    put = data.draw(st.binary(max_size=3))
    changed = good.payload[:place] + put + good.payload[place + len(put) :]
    with suppress(MalformedError):
        parse_lineage(replace(good, payload=changed))


@given(st.binary() | NEARLY_JSON | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_envelope_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_signed_document(data)


@given(st.data())
def test_an_envelope_with_a_member_changed_is_an_envelope_or_malformed(data: st.DataObject) -> None:
    envelope = parse_json(format_signed_document(sign_document("t", b"payload", KEYS[:2])), limits=OBJECT_LIMITS)
    changed = json.dumps(change(envelope, data)).encode()
    try:
        document = parse_signed_document(changed)
    except MalformedMessage:
        return
    assert parse_signed_document(format_signed_document(document)) == document


@given(st.data())
def test_a_manifest_with_a_member_changed_is_a_manifest_or_malformed(data: st.DataObject) -> None:
    payload = make_payload("arvenia", agreement=make_role_keys(["one", "two"], 2))
    value = change(parse_signed_json(payload), data)
    try:
        changed = canonical_bytes(value)
        manifest = parse_manifest(changed)
    except (MalformedJson, MalformedManifest):
        return
    assert rewrite(manifest) == changed
    assert manifest.digest == sha256_digest(changed)


@given(
    st.permutations(range(6)),
    st.integers(1, 3),
    st.integers(1, 3),
    st.none() | st.sampled_from(["XA", "ZZ"]),
    st.text(st.characters(categories=["L", "N"], max_codepoint=0x17F), min_size=1, max_size=9),
)
def test_a_manifest_is_read_as_it_was_written(
    order: list[int], count: int, threshold: int, state: str | None, name: str
) -> None:
    keys = [KEYS[number].public_key for number in order]
    roles = {role: RoleKeys(keys=(keys.pop(),), threshold=1) for role in (Role.MANIFEST, Role.LOG, Role.TRANSPORT)}
    roles[Role.AGREEMENT] = RoleKeys(keys=tuple(keys[:count]), threshold=min(threshold, count))
    payload = format_manifest(
        party=PartyId("arvenia"),
        name=name,
        state=state,
        version=1,
        previous=None,
        issued_at=ISSUED,
        expires_at=EXPIRES,
        roles=roles,
    )
    manifest = parse_manifest(payload)
    assert (manifest.name, manifest.state, dict(manifest.roles)) == (name, state, roles)
    assert rewrite(manifest) == payload


@given(st.data())
def test_a_document_verifies_when_enough_distinct_keys_signed_and_never_else(data: st.DataObject) -> None:
    listed = data.draw(st.integers(1, 4), "keys of the role")
    threshold = data.draw(st.integers(1, listed), "threshold")
    signing = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=6), "who signs, also twice, also strangers")
    keyids = data.draw(st.lists(st.sampled_from(["x", "y", *"0123"]), min_size=6, max_size=6), "what they are called")
    role_keys = RoleKeys(keys=tuple(key.public_key for key in KEYS[:listed]), threshold=threshold)
    manifest = parse_manifest(make_payload("arvenia", agreement=role_keys))
    signed = sign_document("t", b"payload", [KEYS[number] for number in signing])
    renamed = tuple(
        Signature(keyid=keyid, sig=signature.sig) for keyid, signature in zip(keyids, signed.signatures, strict=False)
    )
    document = SignedDocument(payload_type="t", payload=b"payload", signatures=renamed)
    enough = len({number for number in signing if number < listed}) >= threshold
    try:
        verify_signed_document(document, manifest, role=Role.AGREEMENT, payload_type="t", now=NOW)
    except VerificationError:
        assert not enough
    else:
        assert enough
    assert count_parties(document, [manifest], payload_type="t", now=NOW) == ({"arvenia"} if enough else set())


@given(st.integers(0, 3), st.integers(0, 7), st.integers(0, 200))
def test_no_flipped_bit_is_signed(part: int, bit: int, place: int) -> None:
    manifest = parse_manifest(make_payload("arvenia"))
    signed = sign_document("type", b"payload", [SeedSigner("arvenia agreement")])

    def flip(data: bytes, *, here: bool) -> bytes:
        at = place % len(data)
        return data[:at] + bytes([data[at] ^ here << bit]) + data[at + 1 :]

    kind = flip(b"type", here=part == 0 and bit < 7).decode()
    document = SignedDocument(
        payload_type=kind,
        payload=flip(b"payload", here=part == 1),
        signatures=(Signature(keyid="", sig=flip(signed.signatures[0].sig, here=part == 2)),),
    )
    if document.payload_type == "type" and document.payload == b"payload" and part != 2:
        assert verify_signed_document(document, manifest, role=Role.AGREEMENT, payload_type=kind, now=NOW) == b"payload"
    else:
        with pytest.raises(VerificationError):
            verify_signed_document(document, manifest, role=Role.AGREEMENT, payload_type=kind, now=NOW)


def change(value: Json, data: st.DataObject) -> Json:
    """The value with one thing in it replaced, removed or added."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(value)))
        how = data.draw(st.sampled_from(["inside", "remove", "rename"]))
        rest = {name: item for name, item in value.items() if name != key}
        if how == "inside":
            return rest | {key: change(value[key], data)}
        return rest if how == "remove" else rest | {data.draw(TEXT): value[key]}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], change(value[at], data), *value[at + data.draw(st.integers(0, 1)) :]]
    return data.draw(VALUES)


def rewrite(manifest: Manifest) -> bytes:
    return format_manifest(
        party=manifest.party,
        name=manifest.name,
        state=manifest.state,
        version=manifest.version,
        previous=manifest.previous,
        issued_at=manifest.issued_at,
        expires_at=Instant(manifest.expires_at),
        roles=manifest.roles,
    )


# --- notes --------------------------------------------------------------------------------------------------------


NOTES = st.builds(
    Note,
    text=st.lists(LINES, min_size=1, max_size=4).map(lambda lines: "\n".join(lines) + "\n"),
    signatures=st.lists(
        st.builds(
            NoteSignature,
            name=NAMES,
            key_hash=st.binary(min_size=4, max_size=4),
            signature=st.binary(min_size=1, max_size=70),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
)
NOTE_PIECES = st.sampled_from(
    [
        "\n",
        "\n\n",
        "text",
        "— ",
        "—",
        " ",
        "name",
        "a+b",
        "AAAAAAA=",
        "AAAAAAB=",
        "\r",
        "\u00a0",
        "\x00",
        "\ufeff",
        "=",
        "é",
    ]
)
CHECKPOINT_PIECES = st.sampled_from(
    [
        "\n",
        "origin",
        "0",
        "1",
        "-",
        "+",
        "_",
        " ",
        "٣",
        "A" * 43 + "=",
        "A" * 42 + "B=",
        "A" * 44,
        "9" * 19,
        "\r",
        "\x00",
    ]
)


@given(NOTES)
def test_a_note_comes_back_from_its_bytes(note: Note) -> None:
    assert parse_note(format_note(note)) == note


@given(st.binary() | st.lists(NOTE_PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode()))
@example("x\n\n— a AAAAAAA=\n".encode())
@example("\n\n— a AAAAAAA=\n".encode())
def test_any_bytes_are_a_note_or_malformed_and_notes_have_one_spelling(data: bytes) -> None:
    try:
        note = parse_note(data)
    except MalformedNote:
        return
    assert format_note(note) == data


@given(NOTES, st.data())
def test_a_note_with_a_byte_changed_is_another_note_or_malformed(note: Note, data: st.DataObject) -> None:
    written = format_note(note)
    at = data.draw(st.integers(0, len(written) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != written[at]))
    changed = written[:at] + bytes([other]) + written[at + 1 :]
    try:
        found = parse_note(changed)
    except MalformedNote:
        return
    assert found != note
    assert format_note(found) == changed


@given(TEXT | st.lists(CHECKPOINT_PIECES, max_size=8).map("".join))
@example("o\n1\n" + "A" * 43 + "=\n")
def test_any_text_is_a_checkpoint_or_malformed_and_checkpoints_have_one_spelling(text: str) -> None:
    try:
        checkpoint = parse_checkpoint(text)
    except MalformedNote:
        return
    assert format_checkpoint(checkpoint) == text


@given(
    st.builds(
        Checkpoint,
        origin=LINES.filter(lambda origin: origin != ""),
        size=st.integers(0, 2**63 - 1),
        root=st.binary(min_size=32, max_size=32),
    ),
    NAMES,
)
def test_a_signed_checkpoint_is_verified_and_read_back(checkpoint: Checkpoint, name: str) -> None:
    note = parse_note(format_note(sign_note(format_checkpoint(checkpoint), name, KEYS[0])))
    assert parse_checkpoint(verify_note(note, name, KEYS[0].public_key)) == checkpoint
    with pytest.raises(VerificationError):
        verify_note(note, name, KEYS[1].public_key)
