# SPDX-License-Identifier: Apache-2.0
"""`classify`, `rules`, `list` and `assessment` as people type and read them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from comity.operations.reply import Exit
from tests.unit.cli.conftest import Comity, Done
from tests.worlds import World, make_object, object_id

X, GROUP = object_id("report", "Relay x"), object_id("intrusion-set", "group")
RULES = """
format = "comity-rules/1"
name = "harbour"
[[rules]]
id = "relays"
why = "relays of the harbour"
[rules.when]
{}
[rules.say]
subjects = ["national:ashfall"]
"""
Type = Callable[..., Done]


@pytest.fixture
def at(tmp_path: Path, comity: Comity) -> Type:
    """A command at aurelia's node, by its liaison, or by whose badge is named."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms(types=["report", "intrusion-set", "note"]))
    world.add("aurelia", make_object("Relay x", subjects=[]), make_object("group", kind="intrusion-set"))
    world.close()
    folder = tmp_path / "aurelia"

    def type_in(*words: str | Path, role: str = "liaison") -> Done:
        return comity("--node", folder, "--as", folder / "badges" / f"{role}.badge", *words)

    return type_in


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_words_said_shown_and_taken_back(at: Type) -> None:
    foreseen = at("classify", "preview", X, "--subject", "national:ashfall")
    assert "borealia, channel main of Exchange on Ashfall" in foreseen.out
    assert "1 gained, 0 lost" in foreseen.out
    said = at("classify", "add", X, "--subject", "national:ashfall", "--reason", "read")
    assert (said.code, f"said of {X}" in said.out, "subjects national:ashfall" in said.out) == (Exit.DONE, True, True)
    assert "nothing new" in at("classify", "add", X, "--subject", "national:ashfall", "--reason", "read").out
    assert "No release would be gained or lost." in at("classify", "preview", X, "--kind", "arms").out
    assert "said no more" in at("classify", "remove", X, "--subject", "national:ashfall", "--reason", "no").out
    shown = at("classify", "show", X).out
    assert "by aurelia-liaison (liaison)" in shown
    assert "TAKEN BACK" in shown


def test_rules_looked_at_waiting_applied_refused(at: Type, tmp_path: Path) -> None:
    rules = write(tmp_path, "rules.toml", RULES.format('name_words = ["relay"]'))
    assert "No rule set was applied." in at("rules", "list").out
    seen = at("rules", "preview", rules).out
    assert f"+ {X} subjects national:ashfall  relays: relays of the harbour" in seen
    assert "Nothing was changed." in seen
    waiting = at("rules", "apply", rules, "--reason", "case")
    assert waiting.code == Exit.WAITING
    assert "waits for" in waiting.out
    assert "1 word said" in at("rules", "apply", rules, "--reason", "case", role="legal").out
    assert "nothing changes" in at("rules", "apply", rules, "--reason", "case").out
    assert "1 taken back" in at("rules", "end", "harbour", "--reason", "over").out
    banned = at("rules", "preview", write(tmp_path, "b.toml", RULES.format('name_words = ["mus lim"]')))
    assert banned.code == Exit.REFUSED
    assert "Article 30(2)" in banned.out
    bad = at("rules", "preview", write(tmp_path, "c.toml", RULES.format("colour = 1")))
    assert "colour" in bad.err


def test_lists_loaded_asked_about_decided(at: Type, tmp_path: Path) -> None:
    assert "No list of subjects is held." in at("list", "versions").out
    assert "No subject has left a list." in at("list", "questions").out
    told = list[str]()
    for version, subjects in (("1", ["national:ashfall", "national:b"]), ("2", ["national:b"])):
        entries = [{"subject": one, "kind": "entity", "names": [f"Name of {one}"]} for one in subjects]
        value = {"format": "comity-subject-list/1", "list": "national", "version": version, "entries": entries}
        file = write(tmp_path, version, json.dumps(value))
        seen = at("list", "preview", file)
        assert seen.code == Exit.DONE
        digest = seen.out.split()[-1]
        other = at("list", "load", file, "--reason", "new", "--digest", "0" * 64)
        assert (other.code, "look at this one first" in other.err) == (Exit.NOT_IN_THIS_STATE, True)
        loaded = at("list", "load", file, "--reason", "new", "--digest", digest)
        assert loaded.code == Exit.DONE, loaded.err
        told.append(seen.out)
        told.append(loaded.out)
    assert "nobody leaves" in told[0]
    assert "national:ashfall would leave: 1 object about it" in told[2]
    assert "1 object would go to nobody" in told[2]
    assert "delisted: national:ashfall" in told[3]
    assert "go to nobody until" in told[3]
    assert "NOBODY YET: stopped" in at("list", "questions").out
    assert at("list", "decide", "national:ashfall", "keep", "--reason", "r").code == Exit.WAITING
    kept = at("list", "decide", "national:ashfall", "keep", "--reason", "r", role="legal").out
    assert "goes on as terms say" in kept
    assert "goes to nobody" in at("list", "decide", "national:ashfall", "stop", "--reason", "r").out
    assert "looked at" in at("list", "review", "national", "--reason", "r").out
    assert "Name of national:b" in at("list", "show", "national").out


def test_assessments_written_shown_renewed(at: Type) -> None:
    assert "No threat assessment is held." in at("assessment", "list").out
    said = ("--title", "The group", "--threat", "may come back", "--text", "So it said.", "--basis", "a report")
    more = ("--evaluation", "admiralty:B2", "--author", "Desk 3", "--may-return-to", "IQ")
    written = at("assessment", "write", GROUP, *said, *more, "--until", "2090-01-01T00:00:00Z")
    assert written.code == Exit.DONE, written.err
    (note,) = [word.rstrip(",") for word in written.out.split() if word.startswith("note--")]
    assert "may return to  IQ" in at("assessment", "show", note).out
    assert at("assessment", "renew", note, "--until", "2091-01-01T00:00:00Z", "--reason", "still so").code == Exit.DONE
    assert "2091-01-01" in at("assessment", "list").out
    refused = at(
        "assessment", "write", GROUP, *said, *more[2:], "--evaluation", "80", "--until", "2090-01-01T00:00:00Z"
    )
    assert "no evaluation" in refused.err
