# SPDX-License-Identifier: Apache-2.0
"""`comity witness`, as it is typed."""

import stat
from pathlib import Path

import pytest

from comity.ids import PartyId
from comity.node.node import Node, open_node
from comity.node.parties import read_manifests
from comity.node.witness import Watched, find_log_keys, take_checkpoint
from comity.release.recovery import SUCCESSION_TYPE, Recovery, Succession, format_contradiction, format_succession
from comity.signing import Manifest, Role, format_signed_document, sign_document
from comity.tlog.evidence import ForkEvidence, format_fork_evidence
from comity.tlog.note import format_vkey, parse_vkey
from comity.tlog.origin import house_origin
from comity.tlog.witness import parse_add_checkpoint
from comity.witness import folder
from comity.witness.folder import open_witness
from tests.signers import NOW
from tests.unit.cli.conftest import Comity, Party
from tests.unit.cli.test_commands import documented
from tests.witnesses import History

TRUE, FORK = History(40), History(40, branch="fork", common=5)
KEY = format_vkey(TRUE.key)
NAME = "witness.north.example"
NEXT = house_origin(PartyId("aurelia"), b"\x01" * 8)


@pytest.fixture
def north(tmp_path: Path, comity: Comity) -> Path:
    folder = tmp_path / "north"
    assert comity("witness", "init", folder, "--name", NAME, "--listen", "127.0.0.1:0").code == 0
    return folder


def ask(folder: Path, body: bytes) -> int:
    witness = open_witness(folder)
    try:
        return witness.add_checkpoint(body).status
    finally:
        witness.close()


def write(folder: Path, first: bytes, second: bytes, proof: tuple[bytes, ...] = ()) -> Path:
    evidence = ForkEvidence(first=first, second=second, proof=proof, noted_at=NOW, noted_by=NAME)
    path = folder / "evidence.json"
    path.write_bytes(format_fork_evidence(evidence))
    return path


def test_a_witness_is_made_for_its_owner_alone(tmp_path: Path, comity: Comity) -> None:
    made = comity("witness", "init", tmp_path / "w", "--name", NAME, "--json").result
    assert made.keys() == {"name", "key", "folder"}
    assert parse_vkey(made["key"]).name == NAME
    for name in ("witness.pem", "logs", "store.db", "witness.toml"):
        assert stat.S_IMODE((tmp_path / "w" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == 0o700
    assert comity("witness", "init", tmp_path / "w", "--name", NAME).code == 6
    assert comity("witness", "init", tmp_path / "x", "--name", "a b").code == 2
    assert not (tmp_path / "x").exists()


def test_logs_are_added_one_by_one(north: Path, comity: Comity) -> None:
    assert comity("witness", "add-log", north, KEY, "--json").result == {"origin": "comity/arvenia", "key": KEY}
    assert comity("witness", "add-log", north, KEY).code == 6
    assert comity("witness", "add-log", north, "nonsense").code == 1
    assert comity("witness", "add-log", north / "nowhere", KEY).code == 5
    other = format_vkey(History(1, origin="other.example", key_name="other").key)
    assert "other.example is witnessed" in comity("witness", "add-log", north, other).out
    assert comity("witness", "show", north, "--json").result["logs"] == ["comity/arvenia", "other.example"]


def test_with_the_log_of_a_house_all_logs_of_the_party_are_witnessed(
    north: Path, comity: Comity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each for itself, by the same key, up to a bound; and not those of a party whose name begins alike."""
    house = History(length=20)
    own, other = (History(length=20, origin=f"comity/arvenia/{digit * 16}") for digit in "01")
    assert ask(north, own.request(0, 12)) == 404
    assert comity("witness", "add-log", north, format_vkey(house.key)).code == 0
    assert [ask(north, each.request(0, 12)) for each in (house, own, other)] == [200] * 3
    assert ask(north, own.request(12, 13)) == 200
    assert ask(north, own.request(0, 14)) == 409
    for origin in ("comity/arvenia/x", "comity/arvenia2", f"comity/arvenia2/{'0' * 16}", f"comity/arvenia/{'A' * 16}"):
        assert ask(north, History(length=20, origin=origin).request(0, 12)) == 404
    assert ask(north, History(length=20, origin=f"comity/arvenia/{'2' * 16}", key_name="x").request(0, 12)) == 403
    monkeypatch.setattr(folder, "_MAX_LOGS", 3)
    assert ask(north, History(length=20, origin=f"comity/arvenia/{'3' * 16}").request(0, 12)) == 404
    assert ask(north, own.request(13, 14)) == 200


def test_of_two_keys_of_one_log_the_later_one_takes_the_place_of_the_other(north: Path, comity: Comity) -> None:
    rotated = History(40, key_name="arvenia log of next year")
    for key in (KEY, format_vkey(rotated.key)):
        assert comity("witness", "add-log", north, key).code == 0
    assert ask(north, TRUE.request(0, 10)) == 200
    assert ask(north, TRUE.request(10, 10)) == 200  # both are its own until the later one has signed
    assert ask(north, rotated.request(10, 20)) == 200
    assert ask(north, rotated.request(20, 20)) == 200
    assert ask(north, TRUE.request(20, 20)) == 409


def test_a_bad_line_among_the_logs_is_named(north: Path, comity: Comity) -> None:
    (north / "logs").write_text(f"# logs\n\n{KEY}\n{KEY[:-1]}x\n")
    done = comity("witness", "show", north, "--json")
    assert done.code == 1
    assert "line 4" in done.error["message"]


@pytest.mark.parametrize(
    "text",
    ["", 'name = "x"', 'listen = "127.0.0.1:1"', "name = 1", 'name = "x"\nlisten = "y"', "nonsense", "extra = 1"],
)
def test_bad_settings_are_named(north: Path, comity: Comity, text: str) -> None:
    (north / "witness.toml").write_text(text)
    done = comity("witness", "serve", north, "--json")
    assert (done.code, done.error["code"]) == (1, "config")
    assert "witness.toml" in done.error["message"]


def test_a_key_that_others_can_read_is_not_used(north: Path, comity: Comity) -> None:
    (north / "witness.pem").chmod(0o644)
    assert "chmod 600" in comity("witness", "show", north).err


def test_what_a_witness_has_seen_is_shown(north: Path, comity: Comity) -> None:
    comity("witness", "add-log", north, KEY)
    assert ask(north, TRUE.request(0, 11)) == 200
    assert ask(north, FORK.request(11, 30)) == 422
    shown = comity("witness", "show", north, "--json").result
    (head,) = shown["witnessed"]
    assert (head["origin"], head["size"], head["checkpoint"]) == ("comity/arvenia", 11, TRUE.checkpoint(11).decode())
    (found,) = shown["evidence"]
    assert (found["origin"], found["proved"]) == ("comity/arvenia", True)
    assert comity("witness", "verify-evidence", found["file"], "--log", KEY).code == 0
    words = comity("witness", "show", north).out
    assert "FORK" in words
    assert "comity/arvenia" in words


def test_evidence_is_verified_with_the_key_of_the_log_alone(tmp_path: Path, comity: Comity) -> None:
    proved = write(tmp_path, TRUE.checkpoint(30), FORK.checkpoint(30))
    done = comity("witness", "verify-evidence", proved, "--log", KEY, "--json")
    assert (done.code, done.result["verdict"], done.result["true_root"]) == (0, "proved", None)
    assert done.result.keys() == {
        "verdict",
        "origin",
        "second_origin",
        "first_size",
        "first_root",
        "second_size",
        "second_root",
        "true_root",
    }
    assert "signed two histories" in comity("witness", "verify-evidence", proved, "--log", KEY).out
    accused = write(tmp_path, TRUE.checkpoint(30), FORK.checkpoint(31))
    told = comity("witness", "verify-evidence", accused, "--log", KEY)
    assert (told.code, "ask it for a proof" in told.out) == (1, True)
    nothing = write(tmp_path, TRUE.checkpoint(30), TRUE.checkpoint(31), TRUE.proof(30, 31))
    assert comity("witness", "verify-evidence", nothing, "--log", KEY, "--json").error["code"] == "proof-mismatch"


@pytest.mark.parametrize("data", [b"", b'title = "Terms"\n', b"{}", KEY.encode()])
def test_another_file_is_no_evidence_and_which_file_is_some_is_said(
    tmp_path: Path, comity: Comity, data: bytes
) -> None:
    (tmp_path / "other").write_bytes(data)
    done = comity("witness", "verify-evidence", tmp_path / "other", "--log", KEY)
    assert done.code == 1
    assert "this is no evidence of a fork, but another file" in done.err
    assert "a file of the folder `evidence`" in done.err


def test_evidence_that_was_altered_is_not_said_to_be_another_file(tmp_path: Path, comity: Comity) -> None:
    proved = Path(write(tmp_path, TRUE.checkpoint(30), FORK.checkpoint(30)))
    proved.write_bytes(proved.read_bytes().replace(b'"noted_by":"', b'"noted_by":"\\n'))
    done = comity("witness", "verify-evidence", proved, "--log", KEY, "--json")
    assert (done.code, done.error["where"]) == (1, "/noted_by")
    assert "another file" not in done.error["message"]


def test_another_file_is_no_manifest_of_a_log(tmp_path: Path, comity: Comity) -> None:
    proved = write(tmp_path, TRUE.checkpoint(30), FORK.checkpoint(30))
    done = comity("witness", "verify-evidence", proved, "--manifest", proved)
    assert done.code == 2
    assert "this is not a manifest" in done.err
    assert "`party export`" in done.err


def test_a_log_is_named_once(tmp_path: Path, comity: Comity) -> None:
    proved = write(tmp_path, TRUE.checkpoint(30), FORK.checkpoint(30))
    assert comity("witness", "verify-evidence", proved).code == 2
    assert comity("witness", "verify-evidence", proved, "--log", KEY, "--manifest", proved).code == 2
    assert comity("witness", "verify-evidence", tmp_path / "nowhere", "--log", KEY).code == 2


def test_evidence_against_a_party_is_verified_with_its_manifest(aurelia: Party, comity: Comity, tmp_path: Path) -> None:
    node = open_node(aurelia.folder)
    histories = [History(9, origin="comity/aurelia", branch=branch) for branch in ("a", "b")]
    for history in histories:
        history.signer = node.signers[Role.LOG]  # type: ignore[assignment] # any signer will do
    proved = write(tmp_path, histories[0].checkpoint(9), histories[1].checkpoint(9))
    node.close()
    arguments = ("witness", "verify-evidence", proved, "--manifest", aurelia.manifest)
    assert comity(*arguments).code == 0
    assert comity(*arguments, "--digest", aurelia.digest).code == 0
    assert comity(*arguments, "--digest", "0" * 64).code == 7


def test_heads_under_two_names_of_one_log_accuse_its_party(aurelia: Party, comity: Comity, tmp_path: Path) -> None:
    node = open_node(aurelia.folder)
    first, second = History(20, origin="comity/aurelia"), History(20, origin=NEXT, branch="other", common=3)
    for history in (first, second):
        history.signer = node.signers[Role.LOG]  # type: ignore[assignment] # any signer will do
    notes = (first.checkpoint(9), second.checkpoint(12)), (first.checkpoint(9), second.checkpoint(9))
    key = format_vkey(find_log_keys(aurelia_manifest(node))[0])
    node.close()
    for pair in notes:
        evidence = write(tmp_path, *pair)
        for arguments in (("--manifest", aurelia.manifest), ("--log", key)):
            told = comity("witness", "verify-evidence", evidence, *arguments)
            assert told.code == 1
            assert f"of comity/aurelia and of {NEXT}" in told.out


def aurelia_manifest(node: Node) -> Manifest:
    with node.store.read() as transaction:
        return read_manifests(transaction)[node.party]


def test_two_statements_of_what_follows_a_log_are_a_proof(aurelia: Party, comity: Comity, tmp_path: Path) -> None:
    node, log = open_node(aurelia.folder), History(20, origin="comity/aurelia")
    statements = [
        format_signed_document(
            sign_document(
                SUCCESSION_TYPE,
                format_succession(
                    Succession(
                        party=node.party,
                        recovery=Recovery(
                            origin=house_origin(node.party, bytes([number] * 8)),
                            previous="comity/aurelia",
                            known=log.checkpoint(9),
                        ),
                        position=9,
                        at=node.clock(),
                    )
                ),
                [node.signers[Role.MANIFEST]],
            )
        )
        for number in (1, 2)
    ]
    path = tmp_path / "fork.json"
    path.write_bytes(format_contradiction(*statements, noted_at=node.clock()))
    node.close()
    told = comity("witness", "verify-evidence", path, "--manifest", aurelia.manifest, "--digest", aurelia.digest)
    assert (told.code, "proved: aurelia signed two statements" in told.out) == (0, True)
    assert comity("witness", "verify-evidence", path, "--manifest", aurelia.manifest, "--digest", "0" * 64).code == 7
    assert comity("witness", "verify-evidence", path, "--log", KEY).code == 2
    path.write_bytes(format_contradiction(statements[0], statements[0], noted_at=node.clock()))
    assert comity("witness", "verify-evidence", path, "--manifest", aurelia.manifest).code == 7


def test_the_witnesses_of_a_node_are_listed(aurelia: Party) -> None:
    listed = aurelia.ask("witness", "list")
    assert listed.keys() == documented("witness list")
    assert (listed["witnesses"], listed["witnessed"], listed["evidence"]) == ([], [], [])
    assert parse_vkey(listed["log"]).name == "comity/aurelia"
    assert "no witness is asked" in aurelia.do("witness", "list").out
    with (aurelia.folder / "node.toml").open("a") as file:
        file.write('[[witness]]\nparty = "borealia"\n')
    assert "borealia is not pinned here" in aurelia.do("witness", "list").out


def test_the_store_of_a_witness_is_not_made_anew(north: Path, comity: Comity) -> None:
    (north / "store.db").unlink()
    assert comity("witness", "serve", north).code == 5
    assert comity("witness", "show", north).code == 5
    assert not (north / "store.db").exists()


def test_one_process_has_the_witness(north: Path, comity: Comity) -> None:
    first = open_witness(north)
    try:
        assert comity("witness", "serve", north, "--json").error["code"] == "store-busy"
        assert comity("witness", "show", north).code == 0
        request = parse_add_checkpoint(TRUE.request(0, 5))
        answer = take_checkpoint(
            first.store,
            request,
            watch=lambda _: Watched(keys=()),
            cosigners=[first.cosigner],
            now=first.clock(),
            folder=north,
        )
        assert answer.status == 404
    finally:
        first.close()
