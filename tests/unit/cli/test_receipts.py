# SPDX-License-Identifier: Apache-2.0
"""`comity verify`: without a node and without a network, with an exit code that an auditor's script understands."""

import socket
from pathlib import Path

import pytest

from comity.operations.reply import Exit
from tests.receipts import OBJECTS
from tests.unit.cli.conftest import Comity
from tests.vectors.receipts.make import FOLDER

MANIFEST = ("--manifest", FOLDER / "manifest.json")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a socket fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)


def test_a_good_receipt_is_told_in_words(comity: Comity) -> None:
    done = comity("verify", FOLDER / "good.json", *MANIFEST)
    assert done.code == Exit.DONE
    assert done.out.startswith("verified: aurelia gave 3 objects to borealia at 2026-11-24T10:00:00.000000Z\n")
    assert "  audience      borealia\n" in done.out
    assert "No witness was asked for" in done.out


def test_a_good_receipt_is_told_to_programs(comity: Comity, tmp_path: Path) -> None:
    (tmp_path / "object.json").write_bytes(OBJECTS[1])
    result = comity("verify", FOLDER / "good.json", *MANIFEST, "--object", tmp_path / "object.json", "--json").result
    assert (result["giver"], result["recipient"], result["sequence"]) == ("aurelia", "borealia", 7)
    assert (result["entry"], result["size"], result["witnesses"]) == (5, 11, None)
    assert result["handling"]["purposes"] == ["exchange", "warning"]
    (file,) = result["files"]
    assert file["redacted"] == ["description"]
    assert file["digest"] == result["objects"][1]["digest"]


def test_a_receipt_without_its_terms_says_so(comity: Comity) -> None:
    done = comity("verify", FOLDER / "good-without-terms.json", *MANIFEST)
    assert done.code == Exit.DONE
    assert "without its terms" in done.out


@pytest.mark.parametrize(
    "part", ["inclusion-time", "checkpoint-stranger", "opening-salt", "listing-id", "terms-onward"]
)
def test_a_part_that_does_not_match_is_named_with_exit_code_7(comity: Comity, part: str) -> None:
    done = comity("verify", FOLDER / f"{part}.json", *MANIFEST, "--json")
    assert done.code == Exit.VERIFICATION_FAILED
    assert done.error["code"] == "receipt-refused"
    assert done.error["facts"] == {"part": part.split("-", maxsplit=1)[0]}


def test_what_is_no_receipt_says_where(comity: Comity) -> None:
    done = comity("verify", FOLDER / "malformed-salt-short.json", *MANIFEST, "--json")
    assert done.code == Exit.FAILED
    assert (done.error["code"], done.error["where"]) == ("malformed-receipt", "salt")


@pytest.mark.parametrize("data", [b"", b'title = "Terms"\n', b"{}", (FOLDER / "manifest.json").read_bytes()])
def test_another_file_is_no_receipt_and_which_file_is_one_is_said(comity: Comity, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "other").write_bytes(data)
    done = comity("verify", tmp_path / "other", *MANIFEST)
    assert done.code == Exit.FAILED
    assert "this is no receipt, but another file" in done.err
    assert "`log receipt ENTRY --out FILE`" in done.err


def test_a_receipt_that_was_altered_is_not_said_to_be_another_file(comity: Comity) -> None:
    done = comity("verify", FOLDER / "malformed-salt-short.json", *MANIFEST)
    assert "another file" not in done.err


def test_an_object_that_is_none_of_them_is_refused(comity: Comity, tmp_path: Path) -> None:
    (tmp_path / "object.json").write_bytes(OBJECTS[1] + b"\n")
    done = comity("verify", FOLDER / "good.json", *MANIFEST, "--object", tmp_path / "object.json")
    assert done.code == Exit.VERIFICATION_FAILED
    assert "object: " in done.err


def test_witnesses_that_are_asked_for_and_did_not_cosign_are_missed(comity: Comity, tmp_path: Path) -> None:
    key = "witness.example+0b6a5f0c+BAAAAA"
    (tmp_path / "policy").write_text("quorum none\n")
    done = comity("verify", FOLDER / "good.json", *MANIFEST, "--policy", tmp_path / "policy")
    assert (done.code, "The policy asks for no witness" in done.out) == (Exit.DONE, True)
    (tmp_path / "policy").write_text(f"witness north {key}\nquorum north\n")
    done = comity("verify", FOLDER / "good.json", *MANIFEST, "--policy", tmp_path / "policy", "--json")
    assert (done.code, done.error["code"]) == (Exit.FAILED, "malformed-policy")


def test_a_file_that_is_no_manifest_is_named(comity: Comity) -> None:
    done = comity("verify", FOLDER / "good.json", "--manifest", FOLDER / "good.json")
    assert done.code == Exit.USAGE
    assert "is not a manifest" in done.err
    assert "`party export`" in done.err
