# SPDX-License-Identifier: Apache-2.0
"""Classification by the program, on a served node whose partner pulls: people, rules, a delisting, an assessment."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.people import Role
from comity.node.audit import audit_folder
from comity.node.clock import read_clock
from comity.node.journal import verify_folder
from comity.operations.reply import Exit
from tests.chains import introduce
from tests.e2e.conftest import comity, comity_as, serving
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A, B = "aurelia", "borealia"
X, Y, GROUP = object_id("report", "Relay x"), object_id("report", "y"), object_id("intrusion-set", "group")
RULES = """
format = "comity-rules/1"
name = "harbour"
[[rules]]
id = "relays"
why = "relays of the harbour"
[rules.when]
name_words = ["relay"]
[rules.say]
subjects = ["national:ashfall"]
regions = ["IQ"]
"""
BANNED = RULES.replace('name_words = ["relay"]', 'name_parts = ["m-u-s-l-i-m"]')


def make_list(version: str, *subjects: str) -> str:
    entries = [{"subject": subject, "kind": "entity", "names": [f"Name of {subject}"]} for subject in subjects]
    return json.dumps({"format": "comity-subject-list/1", "list": "national", "version": version, "entries": entries})


@dataclass(frozen=True, slots=True)
class Desk:
    """Aurelia's node, served, and that of borealia, which pulls from it."""

    at: Path
    partner: Path

    def run(self, *arguments: str | Path) -> dict[str, Any]:
        """What came of a command that is done, by as many people as it takes."""
        done = comity(self.at, *arguments, "--json")
        assert done.code == Exit.DONE, (arguments, done.err, done.out)
        return done.result

    def goes(self, name: str) -> str:
        """What would become of the object towards borealia."""
        return str(self.run("explain", name, "--to", B)["decision"])

    def pull(self) -> set[str]:
        """What borealia gets."""
        done = comity(self.partner, "pull", A, "--json").result
        return {name for channel in done["channels"] for name in channel["added"]}

    def write(self, name: str, text: str) -> Path:
        """A file with the text."""
        path = self.at.with_name(name)
        path.write_text(text)
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two nodes; after the test both are audited and their logs verified."""
    world = World(tmp_path)
    world.found(A, B)
    introduce(world, [(A, B)])
    world.sign_all(world.terms(types=["report", "intrusion-set", "note"], subjects=["national:ashfall", "national:b"]))
    world.add(
        A,
        make_object("Relay x", subjects=[], regions=[]),
        make_object("y", subjects=["national:b"]),
        make_object("group", kind="intrusion-set", subjects=["national:b"]),
    )
    world.close()
    made = Desk(tmp_path / A, tmp_path / B)
    with serving(made.at) as server:
        manifest = tmp_path / "aurelia.manifest"
        digest = made.run("party", "export", manifest)["digest"]
        assert comity(made.partner, "party", "add", manifest, "--digest", digest, "--url", server.url).code == 0
        assert made.pull() == {Y, GROUP}
        yield made
    for folder in (made.at, made.partner):
        audited = audit_folder(folder, now=read_clock())
        assert audited.found == 0, (folder.name, audited.findings)
        verify_folder(folder)


def test_people_say_it_and_the_partner_gets_what_was_foreseen(desk: Desk) -> None:
    shown = desk.run("classify", "preview", X, "--subject", "national:ashfall", "--region", "IQ")["effects"]
    assert [(item["recipient"], item["gained_objects"]) for item in shown] == [(B, [X])]
    said = ("--subject", "national:ashfall", "--region", "IQ", "--evaluation", "europol-4x4:B2")
    desk.run("classify", "add", X, *said, "--reason", "read")
    assert desk.goes(X) == "release"
    assert desk.pull() == {X}
    desk.run("classify", "remove", X, "--subject", "national:ashfall", "--reason", "it is not")
    assert desk.goes(X) == "withhold"
    tags = desk.run("classify", "show", X)["said"]
    assert [(tag["word"], tag["ended_at"] is None) for tag in tags] == [
        ("europol-4x4:B2", True),
        ("IQ", True),
        ("national:ashfall", False),
    ]
    shown_by_words = comity(desk.at, "classify", "show", X)
    assert "TAKEN BACK" in shown_by_words.out
    kinds = [item["kind"] for item in desk.run("log", "list")["entries"] if item["type"] == "classification"]
    assert kinds == ["say", "take-back"]


def test_rules_are_refused_looked_at_applied_and_taken_back(desk: Desk) -> None:
    refused = comity(desk.at, "rules", "apply", desk.write("banned.toml", BANNED), "--reason", "x", "--json")
    assert refused.code == Exit.REFUSED
    assert refused.result["refused"]["clause"] == "Regulation (EU) 2016/794, Article 30(2)"
    rules = desk.write("rules.toml", RULES)
    seen = desk.run("rules", "preview", rules)
    assert (seen["words"], seen["effects"][0]["gained_objects"]) == (2, [X])
    alone = comity_as(Role.LEGAL, desk.at, "rules", "apply", rules, "--reason", "case", "--json")
    assert alone.code == Exit.WAITING
    assert desk.goes(X) == "withhold"
    applied = desk.run("rules", "apply", rules, "--reason", "case")
    assert (applied["said"], applied["objects"], len(applied["approvals"])) == (2, 1, 2)
    assert desk.pull() == {X}
    assert desk.run("rules", "apply", rules, "--reason", "again")["said"] == 0
    assert [item["words"] for item in desk.run("rules", "list")["sets"]] == [2]
    desk.run("rules", "end", "harbour", "--reason", "closed")
    assert desk.goes(X) == "withhold"
    assert "harbour" in comity(desk.at, "rules", "list").out


def test_who_leaves_a_list_is_stopped_until_two_people_decide(desk: Desk) -> None:
    desk.run("list", "load", desk.write("1.json", make_list("1", "national:ashfall", "national:b")), "--reason", "r")
    loaded = desk.run("list", "load", desk.write("2.json", make_list("2", "national:ashfall")), "--reason", "r")
    assert (loaded["delisted"], loaded["stopped"]) == (["national:b"], 2)
    assert desk.goes(Y) == "withhold"
    assert {"subject-to-decide", "list-changed"} <= {item["kind"] for item in desk.run("work")["items"]}
    decide = ("list", "decide", "national:b", "keep", "--reason", "r")
    assert comity_as(Role.LEGAL, desk.at, *decide, "--json").code == Exit.WAITING
    assert desk.goes(Y) == "withhold"
    desk.run(*decide)
    assert desk.goes(Y) == "release"
    desk.run("list", "review", "national", "--reason", "seen")
    assert desk.run("list", "questions")["questions"][0]["decision"] == "keep"
    assert [item["version"] for item in desk.run("list", "versions")["versions"]] == ["2", "1"]
    assert len(desk.run("list", "show", "national")["entries"]) == 1
    for form in (["versions"], ["questions"], ["show", "national"]):
        assert "national" in comity(desk.at, "list", *form).out


def test_an_assessment_goes_to_the_partner_and_is_one_there(desk: Desk) -> None:
    note = desk.run(
        *("assessment", "write", GROUP, "--title", "The group", "--threat", "may come back", "--text", "It said so."),
        *("--basis", "two reports", "--evaluation", "admiralty:B2", "--author", "Desk 3", "--may-return-to", "IQ"),
        *("--tlp", "green", "--until", "2090-01-01T00:00:00Z"),
    )["object"]
    assert desk.pull() == {note}
    assert comity(desk.partner, "assessment", "show", note, "--json").result["may_return_to"] == ["IQ"]
    desk.run("assessment", "renew", note, "--until", "2091-01-01T00:00:00Z", "--reason", "still so")
    assert desk.run("assessment", "list")["assessments"][0]["expires_at"].startswith("2091")
    assert desk.pull() == {note}
    for form in (["list"], ["show", note]):
        assert "The group" in comity(desk.at, "assessment", *form).out
