# SPDX-License-Identifier: Apache-2.0
"""A receipt shows what its giver's log says; every flipped bit of it fails, and the error names the part to blame."""

from dataclasses import replace
from pathlib import Path

import pytest

from comity.canonical import sha256_digest
from comity.errors import MalformedReceipt, ReceiptRefused
from comity.ids import Instant, parse_instant
from comity.release.disclosure import Answer
from comity.release.receipt import (
    MAX_RECEIPT_BYTES,
    VerifiedReceipt,
    cut_terms,
    find_handling,
    format_receipt,
    parse_receipt,
    verify_object,
    verify_receipt,
)
from comity.tlog.cosignature import sign_cosignature
from comity.tlog.note import SignatureType, VerifierKey, format_note, format_vkey
from comity.tlog.policy import parse_trust_policy
from examples import verify_receipt as script
from tests.parties import AURELIA, BOREALIA, MANIFESTS, MERIDIA, change_channel, change_terms
from tests.receipts import OBJECTS, TERMS, receipt
from tests.signers import SeedSigner
from tests.vectors.receipts.make import FOLDER, vectors

GOOD = (FOLDER / "good.json").read_bytes()
MANIFEST = (FOLDER / "manifest.json").read_bytes()
FILES = sorted(path for path in FOLDER.glob("*.json") if path.name != "manifest.json")


def verify(data: bytes) -> VerifiedReceipt:
    """What an auditor does who has the giver's manifest."""
    read = parse_receipt(data)
    verified = verify_receipt(read, manifests=[MANIFESTS[BOREALIA], MANIFESTS[AURELIA]])
    if read.terms is not None:
        find_handling(verified, read.terms)
    return verified


def say(data: bytes) -> str:
    """The part that the verification of the package blames; "good" when it blames none."""
    try:
        verify(data)
    except ReceiptRefused as error:
        return str(error.facts["part"])
    except MalformedReceipt:
        return "malformed"
    return "good"


def script_takes(data: bytes, folder: Path) -> bool:
    """Whether the stand-alone script verifies it."""
    (folder / "receipt.json").write_bytes(data)
    code = script.main([str(folder / "receipt.json"), str(FOLDER / "manifest.json")])
    assert code in {0, 1}
    return code == 0


def test_a_receipt_says_who_gave_what_to_whom_under_which_terms_and_when() -> None:
    verified = verify(GOOD)
    assert (verified.giver, verified.recipient, verified.sequence) == (AURELIA, BOREALIA, 7)
    assert (verified.terms, verified.channel, verified.answer) == (TERMS.hash, "aurelia", Answer.OBJECTS)
    assert verified.at == parse_instant("2026-11-24T10:00:00Z")
    assert (verified.index, verified.size) == (5, 11)
    assert [item.digest for item in verified.objects] == [sha256_digest(data) for data in OBJECTS]
    assert [item.redacted for item in verified.objects] == [(), ("description",), ()]
    assert verified.manifest == MANIFESTS[AURELIA].digest
    assert verified.witnesses is None


def test_a_receipt_is_written_as_it_was_read() -> None:
    assert format_receipt(parse_receipt(GOOD)) == GOOD


def test_a_receipt_without_its_terms_has_one_spelling() -> None:
    made = receipt()
    for terms in (made.terms, None, b'{"a":"\\",\\"terms\\":\\""}', b""):
        data = format_receipt(replace(made, terms=terms))
        assert parse_receipt(data).data == data
        assert cut_terms(data) == format_receipt(replace(made, terms=None))


def test_what_is_not_the_canonical_form_is_refused_however_it_is_read() -> None:
    data = format_receipt(receipt())
    for other in (
        data.replace(b'":"', b'": "', 1),
        b'{"salt":"",' + data[1:],
        data.replace(b'"terms":"', b'"terms":null,"terms":"'),
        data.replace(b'"leaf":"{', b'"leaf":"\\u007b'),
        data + b" ",
        data.replace(b'"proof":"', b'"proof":["').replace(b'","salt', b'"],"salt'),
    ):
        assert other != data
        with pytest.raises(MalformedReceipt):
            parse_receipt(other)


def test_vectors_are_what_their_maker_makes() -> None:
    assert {path.name: path.read_bytes() for path in FOLDER.glob("*.json")} == vectors()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_package_and_script_agree_on_each_vector(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    assert say(data) == path.stem.split("-")[0]
    assert script_takes(data, tmp_path) == path.stem.startswith("good")


def test_package_and_script_refuse_every_byte_that_is_altered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[place] ^= 1 << (place % 8)
        assert say(bytes(changed)) != "good", place
        assert not script_takes(bytes(changed), tmp_path), place
    assert "verified: aurelia" not in capsys.readouterr().out


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_is_refused(bit: int) -> None:
    for place in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[place] ^= 1 << bit
        assert say(bytes(changed)) != "good", place


def test_every_cut_is_refused() -> None:
    for end in range(0, len(GOOD), 7):
        assert say(GOOD[:end]) == "malformed"


def test_without_the_givers_manifest_nothing_is_believed() -> None:
    with pytest.raises(ReceiptRefused, match="no manifest given is of its party"):
        verify_receipt(parse_receipt(GOOD), manifests=[MANIFESTS[BOREALIA], MANIFESTS[MERIDIA]])


def test_a_receipt_is_bounded() -> None:
    with pytest.raises(MalformedReceipt, match="at most"):
        parse_receipt(b'"' + b"a" * MAX_RECEIPT_BYTES + b'"')


def test_an_object_is_one_of_the_receipt_by_its_bytes() -> None:
    verified = verify(GOOD)
    assert verify_object(verified, OBJECTS[1]) == verified.objects[1]
    with pytest.raises(ReceiptRefused, match="object"):
        verify_object(verified, OBJECTS[1] + b" ")


def test_the_script_tells_whether_an_object_is_one_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "object").write_bytes(OBJECTS[0])
    (tmp_path / "other").write_bytes(OBJECTS[0] + b" ")
    files = [str(FOLDER / "good.json"), str(FOLDER / "manifest.json")]
    assert script.main([*files, str(tmp_path / "object")]) == 0
    assert "no witness was asked for" in capsys.readouterr().out
    assert script.main([*files, str(tmp_path / "other")]) == 1
    assert script.main(files[:1]) == 2


def test_the_script_asks_that_the_manifest_is_signed_by_itself(tmp_path: Path) -> None:
    forged = MANIFEST.replace(b'"sig":"', b'"sig":"AA', 1)
    (tmp_path / "manifest.json").write_bytes(forged)
    assert script.main([str(FOLDER / "good.json"), str(tmp_path / "manifest.json")]) == 1


# --- witnesses ----------------------------------------------------------------------------------------------------


GIVEN_AT = parse_receipt(GOOD).leaf.at // 1_000_000
"""When the disclosure of the good receipt was recorded, in seconds."""


def witnessed(*names: str, spoil: bool = False, at: int = GIVEN_AT + 60) -> bytes:
    """The good receipt, cosigned by these witnesses."""
    read = parse_receipt(GOOD)
    lines = [sign_cosignature(read.note.text, witness_key(name), SeedSigner(name), timestamp=at) for name in names]
    if spoil:
        lines[0] = replace(lines[0], signature=lines[0].signature[:-1] + bytes([lines[0].signature[-1] ^ 1]))
    note = replace(read.note, signatures=(*read.note.signatures, *lines))
    return format_receipt(replace(read, note=note, proof=replace(read.proof, checkpoint=format_note(note))))


def witness_key(name: str) -> VerifierKey:
    return VerifierKey(
        name=f"{name}.example", type=SignatureType.ED25519_COSIGNATURE, public_key=SeedSigner(name).public_key
    )


def ask_witnesses(data: bytes, *listed: str, now: int | None = None, fresh_days: int | None = None) -> VerifiedReceipt:
    """Verified where one of north and south has cosigned, and the policy lists the logs of these names."""
    lines = [f"witness {name} {format_vkey(witness_key(name))}" for name in ("north", "south")]
    for number, name in enumerate(listed):
        key = SeedSigner(f"log {number}").public_key
        lines.append(f"log {format_vkey(VerifierKey(name=name, type=SignatureType.ED25519, public_key=key))}")
    policy = "\n".join([*lines, "group any-of-both any north south", "quorum any-of-both", ""])
    return verify_receipt(
        parse_receipt(data),
        manifests=[MANIFESTS[AURELIA]],
        policy=parse_trust_policy(policy.encode()),
        now=None if now is None else Instant(now * 1_000_000),
        fresh_days=fresh_days,
    )


def test_the_witnesses_that_cosigned_are_told_with_their_times() -> None:
    assert ask_witnesses(witnessed("south", "stranger")).witnesses == {"south": GIVEN_AT + 60}
    assert verify(witnessed("south")).witnesses is None


DAY = 86_400


@pytest.mark.parametrize(
    ("at", "now", "fresh_days", "counts"),
    [
        # No tree with the disclosure was there to be seen before it was made; clocks may differ by five minutes.
        (1, None, None, False),
        (GIVEN_AT - 301, None, None, False),
        (GIVEN_AT - 300, None, None, True),
        # Read years later, it is as good as it was.
        (GIVEN_AT + 60, GIVEN_AT + 3_650 * DAY, None, True),
        # From the future.
        (GIVEN_AT + 901, GIVEN_AT + 600, None, False),
        (GIVEN_AT + 900, GIVEN_AT + 600, None, True),
        # Taken in: what the witness saw long ago says nothing of what was shown since.
        (GIVEN_AT + 60, GIVEN_AT + 60 + 30 * DAY, 30, True),
        (GIVEN_AT + 60, GIVEN_AT + 61 + 30 * DAY, 30, False),
        (GIVEN_AT - 301, GIVEN_AT, 30, False),
    ],
)
def test_what_a_witness_says_counts_for_its_time(
    at: int, now: int | None, fresh_days: int | None, counts: bool
) -> None:
    data = witnessed("north", at=at)
    if counts:
        assert ask_witnesses(data, now=now, fresh_days=fresh_days).witnesses == {"north": at}
        return
    with pytest.raises(ReceiptRefused, match="at another time than counts: north at ") as refused:
        ask_witnesses(data, now=now, fresh_days=fresh_days)
    assert refused.value.facts["part"] == "witnesses"


def test_one_that_does_not_count_for_its_time_makes_no_quorum_and_spoils_none() -> None:
    read = parse_receipt(witnessed("north", at=1))
    (line,) = parse_receipt(witnessed("south")).note.signatures[1:]
    note = replace(read.note, signatures=(*read.note.signatures, line))
    both = format_receipt(replace(read, note=note, proof=replace(read.proof, checkpoint=format_note(note))))
    assert ask_witnesses(both).witnesses == {"south": GIVEN_AT + 60}


def test_a_policy_that_lists_logs_of_the_giver_binds_it_to_them() -> None:
    """A log that is forked under another name is another log, whoever signs it and whoever has cosigned it."""
    data = witnessed("north")
    assert ask_witnesses(data, "comity/aurelia").origin == "comity/aurelia"
    assert ask_witnesses(data, "comity/borealia", "log.example").origin == "comity/aurelia"
    with pytest.raises(ReceiptRefused, match="lists comity/aurelia/9f86d081884c7d65 alone") as refused:
        ask_witnesses(data, "comity/aurelia/9f86d081884c7d65", "comity/borealia")
    assert refused.value.facts["part"] == "checkpoint"


@pytest.mark.parametrize("data", [GOOD, witnessed("stranger"), witnessed("north", "south", spoil=True)])
def test_a_quorum_that_is_not_met_is_refused(data: bytes) -> None:
    verify(data)
    with pytest.raises(ReceiptRefused) as refused:
        ask_witnesses(data)
    assert refused.value.facts["part"] == "witnesses"


def test_every_flipped_bit_of_a_cosignature_that_is_asked_for_is_refused() -> None:
    data = witnessed("north")
    for place in range(data.rindex(b"north.example"), data.index(b'","salt"')):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises((ReceiptRefused, MalformedReceipt)):
            ask_witnesses(bytes(changed))


# --- handling -----------------------------------------------------------------------------------------------------


def test_handling_follows_from_the_terms_alone() -> None:
    handling = find_handling(verify(GOOD), TERMS.document)
    assert handling.title == "Exchange on Ashfall"
    assert handling.audience == {BOREALIA}
    assert (handling.onward, handling.tlp_ceiling) == ("none", "amber")
    assert handling.purposes == {"exchange", "warning"}
    assert handling.prohibited_uses == {"targeting"}
    assert handling.excluded_frameworks == {"coalition-dawn"}
    assert (handling.review_after, handling.delete_after) == (None, None)


def test_handling_of_other_terms_is_refused() -> None:
    consent = change_channel(TERMS, "aurelia", onward="originator_consent")
    with pytest.raises(ReceiptRefused, match="hash"):
        find_handling(verify(GOOD), consent.document)


def test_handling_says_what_the_terms_say() -> None:
    listed = change_channel(TERMS, "aurelia", onward="listed", releasable_to=["meridia"])
    document = change_terms(listed, retention={"review_after": "P6M", "maximum": "P2Y", "no_decision": "delete"})
    handling = find_handling(replace(verify(GOOD), terms=sha256_digest(document)), document)
    assert handling.audience == {BOREALIA, MERIDIA}
    assert (handling.review_after, handling.delete_after) == ("P6M", "P2Y")
