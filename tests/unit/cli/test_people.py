# SPDX-License-Identifier: Apache-2.0
"""People at the command line: badges in files, who acts, and what waits for a second person."""

import json
import stat
from pathlib import Path

import pytest

from comity.agreement.people import Role, format_badge, parse_badge
from comity.cli.words.people import list_matters
from comity.ids import PersonId
from comity.node.node import open_node
from comity.node.people import find_present
from comity.node.programs import make_program
from comity.node.sessions import begin_session, note_failure
from tests.unit.cli.conftest import Comity, Party
from tests.unit.cli.test_agreements import carry
from tests.unit.cli.test_commands import documented, propose
from tests.worlds import make_object, object_id


def test_a_person_is_added_with_a_badge_that_only_its_owner_can_read(aurelia: Party, tmp_path: Path) -> None:
    file = tmp_path / "anna.badge"
    options = ("--name", "Anna Aalto", "--role", "legal", "--role", "liaison", "--badge", file)
    done = aurelia.comity("--node", aurelia.folder, "person", "add", "anna", *options, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.result.keys() == documented("person add")
    assert done.result == {
        "person": "anna",
        "name": "Anna Aalto",
        "roles": ["legal", "liaison"],
        "file": str(file),
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    badge = parse_badge(file.read_bytes())
    assert (badge.party, badge.person, len(badge.secret)) == ("aurelia", "anna", 32)
    assert badge.secret.hex() not in done.out


def test_a_badge_never_overwrites_a_file_and_then_nobody_is_added(aurelia: Party, tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("precious", encoding="utf-8")
    for command in (("person", "add", "anna", "--name", "A", "--role", "legal"), ("person", "renew", "legal")):
        done = aurelia.do(*command, "--badge", file, "--json")
        assert (done.code, done.error["code"]) == (6, "conflict")
        assert file.read_text(encoding="utf-8") == "precious"
    assert [item["person"] for item in aurelia.ask("person", "list")["people"]] == ["liaison", "legal"]
    assert aurelia.do_as("legal", "agreement", "suspend", "ffffff").code == 5, "its badge is still good"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("add", "legal", "--name", "Again", "--role", "legal"), 6),
        (("add", "anna", "--name", "Anna", "--role", "king"), 2),
        (("add", "Anna!", "--name", "Anna", "--role", "legal"), 2),
        (("renew", "nobody"), 5),
    ],
)
def test_what_is_refused_leaves_no_badge_behind(
    aurelia: Party, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    file = tmp_path / "x.badge"
    assert aurelia.do("person", *arguments, "--badge", file).code == code
    assert not file.exists()


def test_a_place_that_cannot_be_written_is_found_before_anything_is_done(aurelia: Party, tmp_path: Path) -> None:
    done = aurelia.do("person", "renew", "legal", "--badge", tmp_path / "no" / "such" / "x", "--json")
    assert (done.code, done.error["code"]) == (2, "malformed-request")
    assert aurelia.do_as("legal", "agreement", "suspend", "ffffff").code == 5


def test_people_are_listed_removed_and_renewed(aurelia: Party, tmp_path: Path) -> None:
    file = tmp_path / "second.badge"
    renewed = aurelia.ask("person", "renew", "legal", "--badge", file)
    assert renewed.keys() == documented("person renew")
    assert aurelia.do_as("legal", "agreement", "suspend", "ffffff").code == 4
    assert aurelia.comity("--node", aurelia.folder, "--as", file, "agreement", "suspend", "ffffff").code == 5
    removed = aurelia.ask("person", "remove", "legal")
    assert removed == {"person": "legal", "approvals_dropped": 0}
    assert removed.keys() == documented("person remove")
    assert aurelia.comity("--node", aurelia.folder, "--as", file, "agreement", "suspend", "ffffff").code == 4
    listed = aurelia.ask("person", "list")
    assert listed.keys() == documented("person list")
    assert [(item["person"], item["roles"], item["removed_at"] is None) for item in listed["people"]] == [
        ("liaison", ["liaison"], True),
        ("legal", ["legal"], False),
    ]
    text = aurelia.do("person", "list").out
    assert "Liaison" in text
    assert listed["people"][1]["removed_at"][:10] in text
    assert [item["kind"] for item in aurelia.ask("log", "list")["entries"]] == ["add", "add", "renew", "remove"]


def test_the_first_approval_has_a_code_of_its_own_and_the_second_completes(aurelia: Party, terms: Path) -> None:
    done = aurelia.do_as("liaison", "agreement", "propose", terms, "--why", "Agreed in talks.", "--json")
    assert (done.code, done.err) == (9, "")
    result = done.result
    assert result.keys() == {
        "waits_for",
        "kind",
        "agreement",
        "title",
        "terms",
        "matter",
        "approvals",
        "expires_at",
    }
    assert (result["kind"], result["title"]) == ("propose", "Exchange on the Grey Column")
    assert result["waits_for"] == "a second person, who acts as legal"
    assert [(item["person"], item["role"], item["reason"]) for item in result["approvals"]] == [
        ("liaison", "liaison", "Agreed in talks.")
    ]
    assert aurelia.ask("agreement", "list") == {"agreements": []}
    waiting = aurelia.ask("approvals")
    assert waiting.keys() == documented("approvals")
    (matter,) = waiting["matters"]
    assert {name: matter[name] for name in result} == result
    assert matter["facts"]["version"] == 1
    completed = aurelia.do_as("legal", "agreement", "propose", terms, "--json")
    assert completed.code == 0
    assert [item["person"] for item in completed.result["approvals"]] == ["liaison", "legal"]
    assert completed.result["agreement"] == result["agreement"]
    assert aurelia.ask("approvals") == {"matters": []}


def test_what_waits_is_said_in_words(aurelia: Party, terms: Path) -> None:
    assert aurelia.do("approvals").out == "Nothing waits for a second person.\n"
    done = aurelia.do_as("liaison", "agreement", "propose", terms, "--why", "Agreed\x1b[2J in talks.")
    assert (done.code, done.err) == (9, "")
    for text in (done.out, aurelia.do("approvals").out):
        assert "propose of Exchange on the Grey Column" in text
        assert "waits for a second person, who acts as legal" in text
        assert "by liaison as liaison: Agreed\\x1b[2J in talks." in text
        assert "until" in text
    assert "Nothing was signed yet" in done.out
    assert "by legal as legal" in aurelia.do_as("legal", "agreement", "propose", terms).out


def test_each_position_is_said_with_the_basis_that_it_is_on(
    aurelia: Party, borealia: Party, terms: Path, tmp_path: Path
) -> None:
    """Of a text that was brought, and of one that is on record."""
    words = terms.read_text(encoding="utf-8")
    at = words.rindex("S/RES/9101")
    terms.write_text(words[:at] + "S/RES/9102" + words[at + 10 :], encoding="utf-8")
    borealia_too = (borealia.folder / "recognition.toml").read_text(encoding="utf-8").replace("9101", "9102")
    (borealia.folder / "recognition.toml").write_text(borealia_too, encoding="utf-8")
    on = [{"party": "aurelia", "kind": "unsc_resolution", "reference": "S/RES/9101"}]
    on += [{"party": "borealia", "kind": "unsc_resolution", "reference": "S/RES/9102"}]
    said = {"aurelia": ("recognised", "no position"), "borealia": ("no position", "recognised")}
    agreement = ""
    for party in (aurelia, borealia):
        act = ("propose", str(terms)) if party is aurelia else ("accept", agreement)
        first = party.do_as("liaison", "agreement", *act, "--json").result
        (matter,) = party.ask("approvals")["matters"]
        assert (matter["kind"], matter["bases"]) == (act[0], on)
        text = party.do("approvals").out
        for position, basis in zip(said[party.id], on, strict=True):
            assert f"  - basis of {basis['party']}, unsc_resolution {basis['reference']}: {position}\n" in text
        assert party.do_as("legal", "approve", first["matter"]).code == 0
        assert party.ask("approvals") == {"matters": []}
        if party is aurelia:
            agreement = first["agreement"]
            carry(aurelia, borealia, agreement, tmp_path)


def test_an_act_without_positions_has_no_bases(aurelia: Party, borealia: Party, terms: Path, tmp_path: Path) -> None:
    agreement = propose(aurelia, terms)
    carry(aurelia, borealia, agreement, tmp_path)
    borealia.ask("agreement", "accept", agreement)
    borealia.ask("agreement", "suspend", agreement, "--reason", "A leak.")
    assert borealia.do_as("liaison", "agreement", "resume", agreement).code == 9
    (matter,) = borealia.ask("approvals")["matters"]
    assert (matter["kind"], matter["bases"]) == ("resume", [])
    assert "positions" not in borealia.do("approvals").out


def test_a_position_is_said_alone_where_the_text_is_kept_no_more(aurelia: Party, terms: Path) -> None:
    aurelia.do_as("liaison", "agreement", "propose", terms)
    (matter,) = aurelia.ask("approvals")["matters"]
    assert "positions: recognised, recognised" in list_matters({"matters": [{**matter, "bases": []}]})


def test_the_second_person_names_what_waits_and_gives_no_file(aurelia: Party, terms: Path) -> None:
    first = aurelia.do_as("liaison", "agreement", "propose", terms, "--json").result
    assert first["matter"] in aurelia.do("approvals").out
    terms.unlink()
    assert aurelia.do_as("liaison", "approve", first["matter"], "--json").code == 6
    for less in (4, 12, 63):
        part = aurelia.do_as("legal", "approve", first["matter"][:less], "--json")
        assert part.code == 2, "the first person can make two acts whose names begin alike, and take one back"
        assert "all 64 characters" in part.err
    done = aurelia.do_as("legal", "approve", first["matter"], "--why", "Seen.", "--json")
    assert (done.code, done.err) == (0, "")
    assert (done.result["kind"], done.result["terms"]) == ("propose", first["terms"])
    assert [item["person"] for item in done.result["approvals"]] == ["liaison", "legal"]
    assert aurelia.do_as("legal", "approve", first["matter"], "--json").code == 5


def test_what_is_strictly_necessary_is_approved_by_its_name(aurelia: Party, tmp_path: Path) -> None:
    file = tmp_path / "person.json"
    person = make_object("x", kind="identity") | {"identity_class": "individual", "x_health": "ill"}
    file.write_text(json.dumps(person), encoding="utf-8")
    assert aurelia.do("object", "add", file).code == 0
    name, reason = object_id("identity", "x"), "To find the child."
    first = aurelia.do_as("liaison", "necessity", "decide", name, "--reason", reason, "--json").result
    said = aurelia.do_as("legal", "approve", first["matter"])
    assert (said.code, said.err) == (0, "")
    assert "health: may be given from here on, where terms admit it" in said.out
    assert [item["reason"] for item in aurelia.ask("necessity", "list")["decisions"]] == [reason]


def test_what_waits_is_declined_with_a_reason(aurelia: Party, terms: Path) -> None:
    first = aurelia.do_as("liaison", "agreement", "propose", terms, "--json").result
    assert aurelia.do_as("legal", "decline", first["matter"][:3], "--reason", "No.").code == 5
    done = aurelia.do_as("legal", "decline", first["matter"][:4], "--reason", "Too\x1b[2J wide.", "--json")
    assert done.result.keys() == documented("decline")
    assert (done.result["declined_by"], done.result["reason"]) == ("legal", "Too\x1b[2J wide.")
    assert aurelia.ask("approvals") == {"matters": []}
    again = aurelia.do_as("liaison", "agreement", "propose", terms, "--json").result["matter"]
    said = aurelia.do_as("liaison", "decline", again, "--reason", "Changed my mind.").out
    assert "declined: propose of Exchange on the Grey Column" in said
    assert "Nothing was signed." in said


def test_one_person_in_two_roles_waits_for_another(aurelia: Party, terms: Path, tmp_path: Path) -> None:
    file = tmp_path / "both.badge"
    roles = ("--role", "legal", "--role", "liaison")
    assert aurelia.do("person", "add", "both", "--name", "B", *roles, "--badge", file).code == 0
    for role in ("legal", "liaison", "legal"):
        command = ("agreement", "propose", terms, "--role", role, "--json")
        done = aurelia.comity("--node", aurelia.folder, "--as", file, *command)
        assert done.code == 9
        assert [(item["person"], item["role"]) for item in done.result["approvals"]] == [("both", role)]


def test_a_role_that_does_not_fit_is_a_refusal(aurelia: Party, terms: Path) -> None:
    done = aurelia.do_as("liaison", "agreement", "propose", terms, "--role", "legal", "--json")
    assert (done.code, done.result["refused"]["clause"]) == (3, "people")
    text = aurelia.do_as("liaison", "agreement", "propose", terms, "--role", "legal").out
    assert "recognition.toml" not in text
    assert "Nothing was signed" in text


# --- who acts ---------------------------------------------------------------------------------------------------------


def test_acts_need_a_badge_and_reading_needs_none(aurelia: Party, terms: Path) -> None:
    agreement = propose(aurelia, terms)
    nobody = ("--node", aurelia.folder)
    for command in (("suspend", agreement), ("propose", str(terms)), ("accept", agreement), ("reject", agreement)):
        done = aurelia.comity(*nobody, "agreement", *command, "--json")
        assert (done.code, done.error["code"]) == (4, "not-authenticated")
        assert "--as BADGE" in done.error["message"]
    for read in (["agreement", "list"], ["log", "list"], ["approvals"], ["person", "list"]):
        assert aurelia.comity(*nobody, *read).code == 0
        assert aurelia.comity(*nobody, "--as", "no-such-file", *read).code == 0


def test_the_badge_may_be_named_by_the_environment(
    aurelia: Party, terms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMITY_AS", str(aurelia.badge("liaison")))
    assert aurelia.comity("--node", aurelia.folder, "agreement", "propose", terms).code == 9
    done = aurelia.comity("--node", aurelia.folder, "--as", aurelia.badge("legal"), "agreement", "propose", terms)
    assert done.code == 0, "what is typed comes before the environment"


def test_a_node_without_people_says_how_to_add_them(comity: Comity, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert comity("init", folder, "--party", "new", "--name", "New").code == 0
    done = comity("--node", folder, "agreement", "suspend", "ffffff", "--json")
    assert (done.code, done.error["code"]) == (4, "not-authenticated")
    assert "comity person add" in done.error["message"]
    assert "nobody can act" in comity("--node", folder, "person", "list").out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), "cannot be read"),
        (lambda path: path.chmod(0o640), "chmod 600"),
        (lambda path: path.chmod(0o604), "chmod 600"),
        (lambda path: path.write_bytes(b""), "not a badge"),
        (lambda path: path.write_bytes(b"x" * 5_000), "not a badge"),
        (lambda path: path.write_bytes(b"\xff"), "not a badge"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
    ],
    ids=range(7),
)
def test_a_file_that_is_no_badge_is_a_wrong_command(aurelia: Party, change: object, words: str) -> None:
    assert callable(change)
    change(aurelia.badge("legal"))
    done = aurelia.do_as("legal", "agreement", "suspend", "ffffff", "--json")
    assert (done.code, done.error["code"], done.error["where"]) == (2, "malformed-request", "--as")
    assert words in done.error["message"]


def test_a_badge_of_another_node_or_a_forged_one_is_not_authenticated(aurelia: Party, borealia: Party) -> None:
    theirs = ("--node", aurelia.folder, "--as", borealia.badge("legal"), "agreement", "suspend", "ffffff", "--json")
    done = aurelia.comity(*theirs)
    assert (done.code, done.error["code"]) == (4, "not-authenticated")
    assert "for the node of borealia" in done.error["message"]
    badge = json.loads(aurelia.badge("legal").read_text(encoding="utf-8"))
    badge["secret"] = "0" * 64
    aurelia.badge("legal").write_text(json.dumps(badge, separators=(",", ":"), sort_keys=True), encoding="utf-8")
    done = aurelia.do_as("legal", "agreement", "suspend", "ffffff", "--json")
    assert (done.code, done.error["code"]) == (4, "not-authenticated")
    assert "0000" not in done.err


def test_a_badge_goes_to_the_serving_process(aurelia: Party, terms: Path, serve: object) -> None:
    assert callable(serve)
    serve(aurelia)
    assert aurelia.do_as("liaison", "agreement", "propose", terms).code == 9
    done = aurelia.do_as("legal", "agreement", "propose", terms, "--json")
    assert done.code == 0
    assert aurelia.ask("person", "remove", "legal")["approvals_dropped"] == 0
    assert aurelia.do_as("legal", "agreement", "reject", done.result["agreement"]).code == 4


def test_a_disk_without_room_for_the_badge_is_told_with_what_to_do(
    aurelia: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "anna.badge"

    def fail(_: int, __: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("comity.cli.commands.people.os.write", fail)
        done = aurelia.do("person", "add", "anna", "--name", "A", "--role", "legal", "--badge", file, "--json")
    assert (done.code, done.error["code"]) == (1, "unavailable")
    assert "person renew anna" in done.error["message"]
    assert not file.exists()
    assert aurelia.do("person", "renew", "anna", "--badge", file).code == 0
    assert Path(file).stat().st_size == len(format_badge(parse_badge(file.read_bytes())))


def test_the_roles_in_the_documents_are_the_roles() -> None:
    text = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert all(f"`{role}`" in text for role in Role)


# --- the console ------------------------------------------------------------------------------------------------------


def test_an_invitation_is_shown_once_or_written_for_its_owner(aurelia: Party, tmp_path: Path) -> None:
    shown = aurelia.ask("person", "invite", "legal")
    assert shown.keys() == {"person", "code", "expires_at", "url"}
    assert len(shown["code"].replace("-", "")) == 52
    assert shown["url"] is None
    file = tmp_path / "legal.code"
    done = aurelia.do("person", "invite", "legal", "--file", file, "--json")
    assert done.result.keys() == {"person", "file", "expires_at", "url"}
    assert shown.keys() | done.result.keys() == documented("person invite")
    code = file.read_text(encoding="utf-8").strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert code not in done.out
    assert code != shown["code"]
    for command in (("invite", "legal", "--file", file), ("invite", "nobody", "--file", tmp_path / "x")):
        assert aurelia.do("person", *command).code in {5, 6}
    assert not (tmp_path / "x").exists()
    assert file.read_text(encoding="utf-8").strip() == code
    said = aurelia.do("person", "invite", "liaison").out
    assert "can enrol once until" in said
    assert [item["kind"] for item in aurelia.ask("log", "list")["entries"]][-3:] == ["invite"] * 3


def test_an_invitation_says_where_the_console_is(aurelia: Party, tmp_path: Path) -> None:
    with (aurelia.folder / "node.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[console]\nlisten = "127.0.0.1:8460"\nurl = "https://console.aurelia.example"\n')
    shown = aurelia.ask("person", "invite", "legal")
    assert shown["url"] == f"https://console.aurelia.example/enrol#{shown['code']}"
    written = aurelia.ask("person", "invite", "legal", "--file", tmp_path / "code")
    assert written["url"] == "https://console.aurelia.example/enrol"


def test_who_is_signed_in_is_listed_and_ended(aurelia: Party) -> None:
    assert aurelia.do("person", "sessions").out == "Nobody is signed in to the console, and nobody has tried.\n"
    node = open_node(aurelia.folder)
    with node.act() as act:
        begin_session(act, node, find_present(act.transaction, PersonId("legal")).person, factor="passkey")
        note_failure(act, None, "refused", factor="password")
    made = make_program(node, PersonId("legal"), name="Fig\u00fares", may=("log", "work"), days=3)
    node.close()
    listed = aurelia.ask("person", "sessions")
    assert listed.keys() == documented("person sessions")
    assert [(item["person"], item["factor"]) for item in listed["sessions"]] == [("legal", "passkey")]
    records = [(item["person"], item["what"]) for item in listed["records"]]
    assert records == [("legal", "made"), (None, "refused"), ("legal", "sign-in")]
    assert [(item["program"], item["person"], item["may"]) for item in listed["programs"]] == [
        (made.program.id, "legal", ["log", "work"])
    ]
    assert aurelia.ask("person", "sessions", "liaison") == {"sessions": [], "programs": [], "records": []}
    text = aurelia.do("person", "sessions").out
    assert "log, work" in text
    assert made.token not in text
    assert "(nobody)" in text
    assert "refused" in text
    assert aurelia.ask("person", "list")["people"][1]["last_sign_in"] == listed["records"][2]["at"]
    ended = aurelia.ask("person", "sign-out", "legal")
    assert ended == {"person": "legal", "ended": 1, "programs": 1}
    assert ended.keys() == documented("person sign-out")
    assert aurelia.ask("person", "sessions")["sessions"] == []
    assert aurelia.do("person", "sign-out", "legal").out == "0 sessions and 0 programs of legal ended\n"
    assert aurelia.do("person", "sign-out", "nobody").code == 5
