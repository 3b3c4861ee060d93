# SPDX-License-Identifier: Apache-2.0
"""The commands on real nodes, without a serving process."""

import base64
import contextlib
import fcntl
import json
import os
import re
import shutil
import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from comity.cli import session
from comity.ids import Digest, ObjectId, PartyId
from comity.node.node import open_node
from comity.store.statuses import Unkept, add_unkept
from tests.unit.cli.conftest import LOCATION, REPORT, WORDS, Comity, Party, make_object, write_bundle

ROOT = Path(__file__).parents[3]


def documented(command: str, *, node: str = " --node DIR") -> set[str]:
    """The top-level fields of a command's result, by the first table below its heading in docs/cli.md."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    _, heading, rest = text.partition(f"### `comity{node} {command}")
    assert heading
    table = rest[rest.index("| Field |") :].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    names = {name.strip("`").removesuffix("[]") for cell in cells for name in cell.strip().split(", ")}
    return {name for name in names if "." not in name and "[" not in name}


# --- nodes and parties ------------------------------------------------------------------------------------------------


def test_a_node_is_made_for_its_owner_alone(tmp_path: Path, comity: Comity) -> None:
    done = comity("init", tmp_path / "n", "--party", "aurelia", "--name", "Aurelia", "--state", "XA", "--json")
    assert (done.code, done.result["state"], done.result["folder"]) == (0, "XA", str(tmp_path / "n"))
    assert stat.S_IMODE((tmp_path / "n").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["\udcff", "Aurelia\x1b[2J"], ids=["no text", "steers a terminal"])
def test_a_name_that_is_no_text_makes_no_node(tmp_path: Path, comity: Comity, name: str) -> None:
    done = comity("init", tmp_path / "n", "--party", "aurelia", "--name", name, "--json")
    assert (done.code, done.error["code"], list(tmp_path.iterdir())) == (2, "malformed-request", [])


def test_a_file_with_a_name_that_no_file_can_have_is_not_found(aurelia: Party, comity: Comity) -> None:
    long = "x" * 5_000
    assert comity("--node", aurelia.folder, "agreement", "preview", long, "--json").code == 2
    assert comity("agreement", "test", long, "--json").code == 5
    assert comity("--node", long, "work", "--json").code == 5


@pytest.mark.parametrize(
    ("party", "code"), [("Aurelia!", 2), ("", 2)], ids=["characters that no id has", "nothing at all"]
)
def test_a_party_needs_a_proper_id(party: str, code: int, tmp_path: Path, comity: Comity) -> None:
    done = comity("init", tmp_path / "n", "--party", party, "--name", "Aurelia", "--json")
    assert (done.code, done.error["code"]) == (code, "malformed-request")
    assert not (tmp_path / "n").exists()


def test_a_second_node_is_not_made_over_the_first(aurelia: Party, comity: Comity) -> None:
    done = comity("init", aurelia.folder, "--party", "other", "--name", "Other", "--json")
    assert (done.code, done.error["code"]) == (6, "conflict")


def test_no_node_is_not_found(tmp_path: Path, comity: Comity) -> None:
    for command in (["agreement", "list"], ["log", "verify"], ["serve"]):
        done = comity("--node", tmp_path / "n", *command, "--json")
        assert (done.code, done.error["code"]) == (5, "not-found")
        assert "comity init" in done.error["message"]


def test_the_node_can_be_named_by_the_environment(
    aurelia: Party, comity: Comity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMITY_NODE", str(aurelia.folder))
    assert comity("party", "list", "--json").result["parties"][0]["own"] is True


def test_a_manifest_goes_to_standard_output_alone(aurelia: Party) -> None:
    done = aurelia.do("party", "export")
    assert done.out.rstrip("\n") == aurelia.manifest.read_text(encoding="utf-8")
    assert done.err == f"digest {aurelia.digest}\n"
    assert aurelia.ask("party", "export").keys() == documented("party export") - {"file"}


def test_a_manifest_in_a_file_leaves_its_digest(aurelia: Party, tmp_path: Path) -> None:
    done = aurelia.do("party", "export", tmp_path / "m.json")
    assert (done.out, done.err) == (f"digest {aurelia.digest}\n", "")
    assert json.loads((tmp_path / "m.json").read_bytes())["payloadType"].startswith("application/")
    assert aurelia.ask("party", "export", tmp_path / "m.json").keys() == documented("party export") - {"manifest"}


def test_an_earlier_manifest_is_written_by_its_number_or_for_a_time(
    aurelia: Party, borealia: Party, tmp_path: Path
) -> None:
    borealia.pin(aurelia)
    second = aurelia.ask("party", "rotate", "log")
    aurelia.ask("party", "export", tmp_path / "second.json")
    assert borealia.do("party", "add", tmp_path / "second.json").code == 0
    first = aurelia.manifest.read_text(encoding="utf-8").rstrip("\n")
    for options in (("--number", "1"), ("--at", json.loads(read_payload(first))["issued_at"])):
        for holder, of in ((aurelia, ()), (aurelia, ("--of", "aurelia")), (borealia, ("--of", "aurelia"))):
            done = holder.do("party", "export", *of, *options)
            assert (done.out.rstrip("\n"), done.err) == (first, f"digest {aurelia.digest}\n")
    written = borealia.ask("party", "export", tmp_path / "then.json", "--of", "aurelia", "--number", "1")
    assert (written["version"], written["digest"], written["file"]) == (1, aurelia.digest, str(tmp_path / "then.json"))
    assert (tmp_path / "then.json").read_text(encoding="utf-8") == first
    assert borealia.ask("party", "export", "--of", "aurelia")["digest"] == second["digest"]
    for wrong, code in (
        (("--number", "3"), 5),
        (("--at", "2001-01-01T00:00:00Z"), 5),
        (("--of", "meridia"), 5),
        (("--at", "yesterday"), 2),
        (("--number", "-1"), 2),
    ):
        assert borealia.do("party", "export", *wrong).code == code, wrong


def read_payload(envelope: str) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])


def test_a_party_is_pinned_by_its_digest(aurelia: Party, borealia: Party) -> None:
    url = "https://borealia.example"
    result = aurelia.ask("party", "add", borealia.manifest, "--digest", borealia.digest, "--url", url)
    assert result.keys() == documented("party add")
    assert (result["party"], result["digest"], result["url"]) == ("borealia", borealia.digest, url)
    listed = aurelia.ask("party", "list")["parties"]
    assert [(item["party"], item["own"]) for item in listed] == [("aurelia", True), ("borealia", False)]
    assert "borealia" in aurelia.do("party", "list").out


def test_a_party_is_not_pinned_by_another_digest(aurelia: Party, borealia: Party) -> None:
    done = aurelia.do("party", "add", borealia.manifest, "--digest", aurelia.digest, "--json")
    assert (done.code, done.error["code"]) == (7, "digest-mismatch")
    assert len(aurelia.ask("party", "list")["parties"]) == 1


@pytest.mark.parametrize(("options", "code"), [((), 2), (("--digest", "abc"), 2)], ids=["no digest", "no such digest"])
def test_a_new_party_needs_its_digest(aurelia: Party, borealia: Party, options: tuple[str, ...], code: int) -> None:
    assert aurelia.do("party", "add", borealia.manifest, *options).code == code


def test_a_file_that_cannot_be_read_is_named(aurelia: Party, tmp_path: Path) -> None:
    done = aurelia.do("party", "add", tmp_path / "absent", "--json")
    assert (done.code, done.error["code"]) == (2, "malformed-request")
    assert str(tmp_path / "absent") in done.error["message"]


def test_a_credential_is_shown_once_and_alone(aurelia: Party, borealia: Party) -> None:
    aurelia.pin(borealia)
    done = aurelia.do("credential", "create", "borealia")
    assert re.fullmatch(r"\S{32,}\n", done.out)
    assert "cannot be shown again" in done.err
    result = aurelia.ask("credential", "create", "borealia")
    assert result.keys() == documented("credential create")
    assert result["credential"] != done.out.strip()
    assert done.out.strip().encode() not in (aurelia.folder / "store.db").read_bytes()


def test_nobody_unknown_gets_a_credential(aurelia: Party) -> None:
    done = aurelia.do("credential", "create", "borealia")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("error: borealia is not a party this node knows")


# --- objects ----------------------------------------------------------------------------------------------------------


def test_objects_are_taken_in_once(aurelia: Party, bundle: Path) -> None:
    result = aurelia.ask("object", "add", bundle, *WORDS)
    assert result.keys() == documented("object add")
    assert (result["added"], result["known"], result["bad"]) == (2, 0, 0)
    assert sorted(result["files"][0]["added"]) == [LOCATION, REPORT]
    again = aurelia.do("object", "add", bundle, *WORDS)
    said = f"0 added, 2 known already, 0 bad\n  {bundle} was taken in before: nothing was done\n"
    assert (again.code, again.out) == (0, said)


def test_a_bad_object_does_not_spoil_the_good_ones(aurelia: Party, tmp_path: Path) -> None:
    old = make_object("report--4b2e5f2e-8f0e-4a52-9d0c-111111111119", spec_version="2.0")
    path = write_bundle(tmp_path / "mixed.json", [old, make_object(LOCATION, country="IQ")])
    done = aurelia.do("object", "add", path, "--json")
    assert (done.code, done.err) == (1, "")
    assert (done.result["added"], done.result["bad"]) == (1, 1)
    (bad,) = done.result["files"][0]["bad"]
    assert (bad["index"], bad["id"]) == (0, old["id"])
    assert "spec_version" in bad["where"]
    assert "2.1" in bad["message"]


def test_a_file_that_is_no_json_does_not_spoil_the_next(aurelia: Party, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"type": "bundle",', encoding="utf-8")
    done = aurelia.do("object", "add", tmp_path / "broken.json", bundle, "--json")
    assert done.code == 1
    assert (done.result["added"], done.result["bad"]) == (2, 1)
    (bad,) = done.result["files"][0]["bad"]
    assert (bad["index"], bad["id"]) == (None, None)
    assert bad["message"]


def test_objects_come_from_standard_input(aurelia: Party, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bundle.open(encoding="utf-8") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert aurelia.ask("object", "add", "-")["added"] == 2


def test_a_file_over_the_bound_is_not_read(aurelia: Party, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "MAX_INPUT_BYTES", bundle.stat().st_size - 1)
    done = aurelia.do("object", "add", bundle, "--json")
    assert (done.code, done.error["code"]) == (2, "malformed-request")


@pytest.mark.parametrize(("option", "word"), [("--region", "Iraq"), ("--kind", "gossip"), ("--subject", "no scheme")])
def test_a_word_that_is_not_in_the_vocabulary_is_a_usage_error(
    aurelia: Party, bundle: Path, option: str, word: str
) -> None:
    done = aurelia.do("object", "add", bundle, option, word, "--json")
    assert (done.code, done.error["code"]) == (2, "malformed-request")
    assert repr(word) in done.error["message"]
    assert aurelia.do("object", "show", REPORT).code == 5


def test_an_object_is_shown_by_any_unique_beginning(aurelia: Party, bundle: Path) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    result = aurelia.ask("object", "show", "report")
    assert result.keys() == documented("object show")
    assert (result["id"], result["originator"], result["received_under"]) == (REPORT, "aurelia", None)
    assert result["object"]["name"] == "Movements"
    assert result["label"]["kinds"] == ["threat_assessment"]
    assert result["label"]["types"] == ["location", "report"]
    assert result["versions"] == [result["version"]]
    assert "name: Movements" in aurelia.do("object", "show", REPORT).out


def test_what_was_not_kept_is_listed(aurelia: Party) -> None:
    assert aurelia.ask("object", "unkept") == {"unkept": []}
    assert documented("object unkept") == {"unkept"}
    assert "was kept" in aurelia.do("object", "unkept").out
    node = open_node(aurelia.folder)
    terms, name = Digest("0" * 64), ObjectId(REPORT)
    with node.act() as act:
        for number in range(3):
            item = Unkept(
                at=act.now,
                giver=PartyId("borealia"),
                terms=terms,
                channel=f"c{number}",
                id=name,
                version="2025-01-01T00:00:00.000Z",
                reason="it came\x1b[31m from meridia",
            )
            add_unkept(act.transaction, item)
    node.close()
    listed = aurelia.ask("object", "unkept", "--last", "2")["unkept"]
    assert [item["channel"] for item in listed] == ["c1", "c2"]
    assert (listed[0]["giver"], listed[0]["id"], listed[0]["terms"]) == ("borealia", REPORT, terms)
    out = aurelia.do("object", "unkept").out
    assert "borealia in channel c0" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(("prefix", "code"), [("4b2e5f2e", 2), ("indicator--", 5), ("*", 5)])
def test_a_name_that_fits_several_objects_or_none(aurelia: Party, bundle: Path, prefix: str, code: int) -> None:
    aurelia.ask("object", "add", bundle)
    assert aurelia.do("object", "show", prefix).code == code


# --- agreements -------------------------------------------------------------------------------------------------------


def propose(party: Party, terms: Path) -> str:
    """The id of the agreement now proposed."""
    return str(party.ask("agreement", "propose", terms)["agreement"])


def test_a_proposal_is_signed_and_queued(aurelia: Party, terms: Path) -> None:
    result = aurelia.ask("agreement", "propose", terms)
    assert result.keys() == documented("agreement propose")
    assert (result["kind"], result["state"]) == ("propose", "proposed")
    (waiting,) = result["waiting"]
    assert (waiting["party"], waiting["messages"]) == ("borealia", 1)
    assert "address" in waiting["problem"]


def test_a_proposal_without_a_recognised_basis_is_refused(aurelia: Party, terms: Path) -> None:
    (aurelia.folder / "recognition.toml").write_text("", encoding="utf-8")
    done = aurelia.do("agreement", "propose", terms, "--json")
    assert (done.code, done.err) == (3, "")
    assert done.result["refused"].keys() == {"clause", "reason"}
    assert aurelia.ask("agreement", "list") == {"agreements": []}
    assert "refused" in aurelia.do("agreement", "propose", terms).out


def test_bad_terms_are_refused_with_the_line(aurelia: Party, terms: Path) -> None:
    text = terms.read_text(encoding="utf-8").replace('form = "mou"', 'form = "handshake"')
    terms.write_text(text, encoding="utf-8")
    done = aurelia.do("agreement", "propose", terms, "--json")
    assert (done.code, done.error["code"]) == (1, "malformed-terms")
    assert "line 4" in done.error["message"] + done.error.get("where", "")


def test_a_broken_policy_is_the_operators_to_mend(aurelia: Party, terms: Path) -> None:
    (aurelia.folder / "recognition.toml").write_text("recognised = 1", encoding="utf-8")
    done = aurelia.do("agreement", "propose", terms, "--json")
    assert (done.code, done.error["code"]) == (1, "config")


def test_agreements_are_listed_shown_and_told(aurelia: Party, terms: Path) -> None:
    agreement = propose(aurelia, terms)
    (listed,) = aurelia.ask("agreement", "list")["agreements"]
    assert (listed["agreement"], listed["parties"]) == (agreement, ["aurelia", "borealia"])
    shown = aurelia.ask("agreement", "show", agreement[:8])
    assert shown.keys() == documented("agreement show")
    assert shown["document"]["title"] == "Exchange on the Grey Column"
    assert [event["kind"] for event in shown["events"]] == ["propose"]
    told = aurelia.ask("agreement", "status", agreement[:8])
    assert told.keys() == documented("agreement status")
    assert told["latest"]["signed_by"] == ["aurelia"]
    assert told["latest"]["missing"] == ["borealia"]
    assert told["latest"]["recognition"]["recognised"] is True
    assert told["current"] is None
    (give,) = told["gives"]
    assert (give["channel"], give["to"], give["open"]) == ("main", "borealia", False)
    assert "not in force" in give["reason"]
    for command in ("list", "show", "status"):
        assert (
            "Exchange on the Grey Column"
            in aurelia.do("agreement", command, *([] if command == "list" else [agreement])).out
        )


def test_an_own_position_that_changed_is_told(aurelia: Party, terms: Path) -> None:
    agreement = propose(aurelia, terms)
    (aurelia.folder / "recognition.toml").write_text("", encoding="utf-8")
    recognition = aurelia.ask("agreement", "status", agreement)["latest"]["recognition"]
    assert (recognition["recognised"], recognition["clause"]) == (False, "legal_bases")


@pytest.mark.parametrize(("prefix", "code"), [("ffffffff", 5), ("f", 2)])
def test_an_agreement_that_is_not_there(aurelia: Party, terms: Path, prefix: str, code: int) -> None:
    propose(aurelia, terms)
    assert aurelia.do("agreement", "status", prefix).code == code


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (["accept"], 6),
        (["resume"], 6),
        (["answer", "--text", "Yes."], 6),
        (["clarify", "--clause", "nonsense", "--text", "What?"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_possible_is_not_recorded(aurelia: Party, terms: Path, act: list[str], code: int) -> None:
    agreement = propose(aurelia, terms)
    verb, *options = act
    done = aurelia.do("agreement", verb, agreement, *options)
    assert (done.code, done.out) == (code, "")
    assert len(aurelia.ask("agreement", "show", agreement)["events"]) == 1


def test_a_question_is_open_until_it_is_answered(aurelia: Party, terms: Path) -> None:
    agreement = propose(aurelia, terms)
    asked = aurelia.ask("agreement", "clarify", agreement, "--clause", "purposes", "--text", "Which?")
    assert asked["state"] == "in clarification"
    (question,) = aurelia.ask("agreement", "status", agreement)["open_questions"]
    assert (question["event"], question["clause"], question["text"]) == (asked["event"], "purposes", "Which?")
    answered = aurelia.ask("agreement", "answer", agreement, "--text", "These.", "--question", asked["event"][:8])
    assert answered["state"] == "proposed"


def test_a_rejection_says_why(aurelia: Party, terms: Path) -> None:
    agreement = propose(aurelia, terms)
    result = aurelia.ask("agreement", "reject", agreement, "--reason", "Too wide.")
    assert (result["kind"], result["state"]) == ("reject", "rejected")
    assert aurelia.ask("agreement", "show", agreement)["events"][-1]["text"] == "Too wide."


# --- explanations -----------------------------------------------------------------------------------------------------


def test_an_explanation_names_the_clause(aurelia: Party, terms: Path, bundle: Path) -> None:
    propose(aurelia, terms)
    aurelia.ask("object", "add", bundle, *WORDS)
    result = aurelia.ask("explain", REPORT, "--to", "borealia")
    assert result.keys() == documented("explain")
    assert (result["decision"], result["clause"]) == ("withhold", "status")
    (reading,) = result["readings"]
    assert reading["gate"]["clause"] == "status"
    assert all(clause["holds"] for clause in reading["clauses"])
    assert aurelia.do("explain", REPORT, "--to", "borealia").out.startswith(f"WITHHOLD: {REPORT} to borealia")


def test_an_explanation_follows_the_references(aurelia: Party, terms: Path, bundle: Path, tmp_path: Path) -> None:
    propose(aurelia, terms)
    elsewhere = write_bundle(tmp_path / "jordan.json", [make_object(LOCATION, country="JO")])
    aurelia.ask("object", "add", elsewhere)
    report = make_object(REPORT, name="x", published="2026-01-01T00:00:00Z", object_refs=[LOCATION])
    aurelia.ask("object", "add", write_bundle(tmp_path / "report.json", [report]), *WORDS)
    (reading,) = aurelia.ask("explain", REPORT, "--to", "borealia")["readings"]
    refused = {clause["clause"]: clause for clause in reading["clauses"] if not clause["holds"]}
    assert refused["regions"]["found"] == [["IQ"], ["JO"]]
    assert refused["regions"]["allowed"] == ["IQ"]
    assert reading["because"] == [LOCATION]


@pytest.mark.parametrize(("name", "party"), [(REPORT, "nobody"), ("report--none", "borealia")])
def test_what_is_not_known_cannot_be_explained(
    aurelia: Party, terms: Path, bundle: Path, name: str, party: str
) -> None:
    aurelia.ask("object", "add", bundle)
    assert aurelia.do("explain", name, "--to", party).code == 5


def test_nothing_can_be_pulled_from_a_party_whose_node_is_unknown(aurelia: Party, terms: Path) -> None:
    assert aurelia.do("pull", "borealia").code == 5


# --- log --------------------------------------------------------------------------------------------------------------


def test_the_log_is_listed_shown_and_verified(aurelia: Party, terms: Path) -> None:
    agreement = propose(aurelia, terms)
    *people, entry = aurelia.ask("log", "list", "--last", "5")["entries"]
    assert [(item["type"], item["kind"], item["person"], item["terms"]) for item in people] == [
        ("people", "add", "liaison", None),
        ("people", "add", "legal", None),
    ]
    assert (entry["entry"], entry["type"], entry["kind"], entry["party"]) == (
        2,
        "agreement-event",
        "propose",
        "aurelia",
    )
    shown = aurelia.ask("log", "show", "2")
    assert shown.keys() == documented("log show")
    assert shown["content"]["agreement"] == agreement
    assert aurelia.ask("log", "show", shown["commitment"][:8]) == shown
    assert aurelia.do("log", "show", "3").code == 5
    assert aurelia.do("log", "show", "abcdefabcdef").code == 5
    assert aurelia.do("log", "show", "abc").code == 2
    verified = aurelia.ask("log", "verify")
    assert verified.keys() == documented("log verify")
    assert (verified["size"], verified["checkpoints"], verified["opened"]) == (3, 3, 3)
    checkpoint = aurelia.ask("log", "checkpoint")
    assert checkpoint.keys() == documented("log checkpoint")
    assert (checkpoint["size"], checkpoint["root"]) == (3, verified["root"])
    assert aurelia.do("log", "checkpoint").out == checkpoint["checkpoint"]
    assert "propose" in aurelia.do("log", "list").out
    assert "verified: 3 entries" in aurelia.do("log", "verify").out


def test_the_list_ends_with_the_last_entry(aurelia: Party, terms: Path) -> None:
    aurelia.ask("agreement", "reject", propose(aurelia, terms))
    kinds = [item["kind"] for item in aurelia.ask("log", "list", "--last", "1")["entries"]]
    assert kinds == ["reject"]


def test_an_empty_log_is_a_good_log(comity: Comity, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert comity("init", folder, "--party", "new", "--name", "New").code == 0
    for command, field, value in (("list", "entries", []), ("verify", "size", 0), ("checkpoint", "size", 0)):
        assert comity("--node", folder, "log", command, "--json").result[field] == value


def tamper(folder: Path, sql: str) -> None:
    """As somebody with the file in hand would: the store's own guards are the first thing to go."""
    with contextlib.closing(sqlite3.connect(folder / "store.db")) as connection, connection:
        for (guard,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {guard}")
        assert connection.execute(sql).rowcount > 0


@pytest.mark.parametrize(
    ("sql", "entry"),
    [
        ("UPDATE log_opening SET content = CAST('{}' AS BLOB) WHERE position = 1", 1),
        ("UPDATE log_entry SET leaf = CAST(replace(CAST(leaf AS TEXT), 'count\":1', 'count\":2') AS BLOB)", 0),
    ],
)
def test_an_altered_copy_does_not_verify(aurelia: Party, terms: Path, tmp_path: Path, *, sql: str, entry: int) -> None:
    agreement = propose(aurelia, terms)
    aurelia.ask("agreement", "reject", agreement)
    copy = tmp_path / "copy"
    shutil.copytree(aurelia.folder, copy)
    assert aurelia.comity("--node", copy, "log", "verify").code == 0
    tamper(copy, sql)
    done = aurelia.comity("--node", copy, "log", "verify", "--json")
    assert (done.code, done.error["code"]) == (7, "log-mismatch")
    assert done.error["facts"]["entry"] == entry
    assert f"entry {entry}" in done.error["message"]


# --- the store --------------------------------------------------------------------------------------------------------


def hold_lock(folder: Path) -> int:
    handle = os.open(folder / "lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def test_a_store_that_another_process_owns_is_busy(aurelia: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_PATIENCE_SECONDS", 0.2)
    handle = hold_lock(aurelia.folder)
    try:
        done = aurelia.do("agreement", "list", "--json")
        assert (done.code, done.error["code"]) == (1, "store-busy")
        assert "another process" in done.error["message"]
        assert aurelia.ask("log", "verify")["size"] == 2
    finally:
        os.close(handle)
    assert aurelia.ask("agreement", "list") == {"agreements": []}


def test_a_command_waits_for_another_that_owns_the_store_just_now(aurelia: Party) -> None:
    handle = hold_lock(aurelia.folder)
    timer = threading.Timer(0.4, os.close, [handle])
    timer.start()
    assert aurelia.ask("agreement", "list") == {"agreements": []}
    timer.join()


def test_a_bug_is_told_with_an_incident_and_no_traceback(aurelia: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path, __: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("comity.operations.acting.open_node", fail)
    done = aurelia.do("agreement", "list", "--json")
    assert (done.code, done.error["code"]) == (1, "bug")
    assert re.fullmatch("[0-9a-f]{8}", done.error["facts"]["incident"])
    assert "secret" not in done.err
    with pytest.raises(ZeroDivisionError):
        aurelia.comity("--debug", "--node", aurelia.folder, "agreement", "list")


# --- readers of the log -----------------------------------------------------------------------------------------------


def test_a_reader_is_permitted_listed_and_removed(aurelia: Party) -> None:
    done = aurelia.do("log", "reader", "add", "oversight", "--days", "90")
    assert re.fullmatch(r"[0-9a-f]{64}\n", done.out)
    assert "cannot be shown again" in done.err
    again = aurelia.ask("log", "reader", "add", "oversight")
    assert again.keys() == documented("log reader add")
    (entry,) = aurelia.ask("log", "list", "--last", "1")["entries"]
    assert (entry["kind"], entry["reader"]) == ("add-reader", "oversight")
    assert "add-reader" in aurelia.do("log", "list").out
    listed = aurelia.ask("log", "reader", "list")
    assert listed.keys() == documented("log reader list")
    assert [item["good"] for item in listed["readers"]] == [True, True]
    assert again["id"] in aurelia.do("log", "reader", "list").out
    removed = aurelia.ask("log", "reader", "remove", again["id"])
    assert removed.keys() == documented("log reader remove")
    assert "oversight is removed" in aurelia.do("log", "reader", "remove", "oversight").out
    assert aurelia.do("log", "reader", "remove", "oversight").code == 5
    assert "removed" in aurelia.do("log", "reader", "list").out


def test_a_partner_is_no_reader(aurelia: Party, borealia: Party) -> None:
    aurelia.pin(borealia)
    done = aurelia.do("log", "reader", "add", "borealia")
    assert (done.code, done.out) == (6, "")
    assert "whoever reads the log sees" in done.err


def test_the_log_is_asked_by_options(aurelia: Party, terms: Path) -> None:
    agreement = propose(aurelia, terms)
    listed = aurelia.ask("log", "list", "--kind", "agreement-event", "--under", agreement[:12], "--since", "2026")
    assert listed.keys() == documented("log list") | {"entries"}
    assert [item["agreement"] for item in listed["entries"]] == [agreement]
    assert aurelia.ask("log", "list", "--except", "kind:people")["entries"] == listed["entries"]
    assert aurelia.ask("log", "list", "--last", "1", "--before", "2", "--kind", "people")["next"] == 1
    assert aurelia.ask("log", "list", "--to", "borealia")["entries"] == []
    assert "There is no such entry." in aurelia.do("log", "list", "--to", "borealia", "--kind", "people").out
    failed = aurelia.do("log", "list", "--kind", "nothing")
    assert failed.code == 2
    assert "disclosure" in failed.err


def test_an_entry_is_proved(aurelia: Party, terms: Path) -> None:
    propose(aurelia, terms)
    proved = aurelia.ask("log", "prove", "2")
    assert proved.keys() == documented("log prove")
    assert proved["holds"]
    assert [item["check"] for item in proved["checks"]] == ["opening", "inclusion", "checkpoint"]
    out = aurelia.do("log", "prove", "2").out
    assert proved["leaf_hash"] in out
    assert "DOES NOT" not in out
    assert aurelia.do("log", "prove", "3").code == 5


def test_how_the_node_stands_is_told(aurelia: Party, borealia: Party) -> None:
    aurelia.pin(borealia)
    status = aurelia.ask("status")
    assert status.keys() == documented("status") | {"problems", "partners"}
    assert [item["party"] for item in status["partners"]] == ["borealia"]
    assert "backup" in {item["kind"] for item in status["problems"]}
    out = aurelia.do("status").out
    assert out.startswith("WRONG")
    assert "comity backup DIR" in out
    assert "borealia" in out


def test_a_file_is_looked_through_and_nothing_is_kept(aurelia: Party, bundle: Path) -> None:
    seen = aurelia.ask("object", "look", bundle)
    assert seen.keys() == documented("object look") | {"bad", "notes", "examples"}
    assert seen["added"] > 0
    assert "Nothing was kept." in aurelia.do("object", "look", bundle).out
    assert aurelia.ask("object", "files")["files"] == []
    added = aurelia.ask("object", "add", bundle)
    assert (added["added"], added["known"], added["bad"]) == (seen["added"], seen["known"], seen["bad_count"])
    again = aurelia.ask("object", "look", bundle)
    assert (again["already"], again["added"], again["known"]) == (True, 0, seen["added"])


def test_what_was_given_is_counted(aurelia: Party, terms: Path) -> None:
    propose(aurelia, terms)
    counted = aurelia.ask("log", "figures")
    assert counted.keys() == documented("log figures") | {"recipients", "agreements", "months"}
    assert (counted["answers"], len(counted["months"])) == (0, 24)
    assert aurelia.do("log", "figures").out == "0 answers went out\n"
