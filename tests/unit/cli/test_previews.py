# SPDX-License-Identifier: Apache-2.0
"""See before you sign, as it is typed; and the same in words."""

from pathlib import Path
from typing import Any

import pytest

from comity.cli.words.previews import describe_check, describe_comparison, describe_preview
from tests.unit.cli.conftest import LOCATION, REPORT, WORDS, Party
from tests.unit.cli.test_commands import documented, propose


@pytest.fixture
def terms(terms: Path) -> Path:
    """The terms of these tests, by which what is held already counts."""
    with terms.open("a", encoding="utf-8") as file:
        file.write('history = "all"\n')
    return terms


def edit(terms: Path, old: str, new: str, *, name: str = "other.toml") -> Path:
    """The same terms with one text replaced."""
    text = terms.read_text(encoding="utf-8")
    assert old in text
    path = terms.with_name(name)
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def sign(aurelia: Party, borealia: Party, terms: Path) -> str:
    """The agreement, signed by both and confirmed; messages are carried as files, as no node is served."""
    proposed = aurelia.ask("agreement", "propose", terms)
    carry(aurelia, borealia, proposed["agreement"])
    borealia.ask("agreement", "accept", proposed["terms"])
    carry(borealia, aurelia, proposed["agreement"])
    carry(aurelia, borealia, proposed["agreement"])
    return str(proposed["agreement"])


def carry(sender: Party, receiver: Party, agreement: str) -> None:
    file = sender.folder / "messages.json"
    sender.ask("agreement", "export", agreement, file)
    receiver.ask("agreement", "import", file)


# --- preview ----------------------------------------------------------------------------------------------------------


def test_a_preview_of_a_file_signs_nothing(aurelia: Party, terms: Path, bundle: Path) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    before = aurelia.ask("log", "list")
    result = aurelia.ask("agreement", "preview", terms)
    assert result.keys() == documented("agreement preview")
    assert (result["state"], result["sentence"], result["replaces"], result["refused"]) == ("draft", None, None, None)
    assert result["problems"] == []
    (give,) = result["gives"]
    assert (give["channel"], give["to"], give["released"], give["withheld"]) == ("main", "borealia", 2, 0)
    assert (give["history"], give["joined"], give["closed"]) == (None, False, None)
    assert sorted(group["samples"][0] for group in give["groups"]) == [LOCATION, REPORT]
    assert {group["type"] for group in give["groups"]} == {"location", "report"}
    assert aurelia.ask("agreement", "list") == {"agreements": []}
    assert aurelia.ask("log", "list") == before


def test_a_preview_of_what_is_on_record_tells_where_it_stands(aurelia: Party, terms: Path, bundle: Path) -> None:
    agreement = propose(aurelia, terms)
    aurelia.ask("object", "add", bundle)
    result = aurelia.ask("agreement", "preview", agreement[:8], "--samples", "0")
    assert (result["agreement"], result["state"]) == (agreement, "proposed")
    (give,) = result["gives"]
    assert (give["released"], give["withheld"]) == (0, 2)
    assert give["refusals"] == [{"clause": "subjects", "objects": 2, "samples": []}]
    text = aurelia.do("agreement", "preview", agreement[:8]).out
    assert "0 objects would be released, 0 of them redacted; 2 withheld" in text
    assert "subjects" in text
    assert LOCATION[:18] in text
    assert text.endswith("Nothing was signed and nothing was released.\n")


def test_a_version_in_force_is_what_a_preview_is_held_against(
    aurelia: Party, borealia: Party, terms: Path, bundle: Path
) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    agreement = sign(aurelia, borealia, terms)
    later = edit(terms, "version = 1", f'version = 2\nagreement = "{agreement}"\nsupersedes = "{agreement}"')
    later = edit(later, 'types = ["report", "location"]', 'types = ["location"]')
    result = aurelia.ask("agreement", "preview", later)
    assert result["replaces"]["version"] == 1
    assert result["state"] == "in force"
    (give,) = result["gives"]
    effect = give["effect"]
    assert effect["relation"] == "narrower"
    assert [effect[name]["objects"] for name in ("gained", "lost", "changed", "unchanged")] == [0, 1, 0, 1]
    assert effect["lost"]["samples"] == [REPORT]
    text = aurelia.do("agreement", "preview", later).out
    assert f"newly refused       1  {REPORT}" in text


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ("none", "nothing taken in before all had signed"),
        ("2035-01-01T00:00:00Z", "nothing taken in before 2035-01-01T00:00:00.000000Z"),
    ],
)
def test_what_is_history_is_told_in_words(aurelia: Party, terms: Path, bundle: Path, history: str, words: str) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    later = edit(terms, 'history = "all"', f'history = "{history}"')
    (give,) = aurelia.ask("agreement", "preview", later)["gives"]
    assert (give["released"], give["history"]) == (0, words)
    assert [(row["clause"], row["objects"]) for row in give["refusals"]] == [("history", 2)]
    assert f"  history: {words}\n" in aurelia.do("agreement", "preview", later).out


def test_a_suspended_channel_is_shown_closed(aurelia: Party, borealia: Party, terms: Path, bundle: Path) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    agreement = sign(aurelia, borealia, terms)
    assert aurelia.do("agreement", "suspend", agreement, "--channel", "main").code == 0
    (give,) = aurelia.ask("agreement", "preview", agreement)["gives"]
    assert (give["released"], give["closed"]["clause"]) == (2, "status")
    text = aurelia.do("agreement", "preview", agreement).out
    assert "  closed, status: the channel main is suspended by aurelia since" in text


def test_what_goes_of_an_object_is_shown(aurelia: Party, terms: Path, bundle: Path) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    nameless = edit(terms, 'history = "all"', 'history = "all"\nattribution = "must-not"')
    (give,) = aurelia.ask("agreement", "preview", nameless)["gives"]
    assert {(*group["redacted"], *group["tear_line"]) for group in give["groups"]} == {("created_by_ref",)}
    text = aurelia.do("agreement", "preview", nameless).out
    assert "2 objects would be released, at most 2 of them redacted" in text
    assert "created_by_ref" in text
    torn = edit(terms, 'history = "all"', 'history = "all"\nsanitise = "tear_line_required"')
    (give,) = aurelia.ask("agreement", "preview", torn)["gives"]
    assert [(row["clause"], row["objects"]) for row in give["refusals"]] == [("sanitise", 2)]


def test_a_refusal_is_shown_with_the_counts(aurelia: Party, terms: Path, bundle: Path) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    (aurelia.folder / "recognition.toml").write_text("", encoding="utf-8")
    done = aurelia.do("agreement", "preview", terms, "--json")
    assert (done.code, done.err) == (3, "")
    assert done.result["refused"]["clause"] == "legal_bases"
    assert done.result["gives"][0]["released"] == 2
    assert "refused by this party's own recognition policy" in aurelia.do("agreement", "preview", terms).out


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [("abcdef", 5, "not-found"), ("ab", 2, "malformed-request"), ("no-such-file.toml", 2, "malformed-request")],
)
def test_what_is_neither_a_file_nor_on_record(aurelia: Party, name: str, code: int, error: str) -> None:
    for command in (["preview", name], ["diff", name, name]):
        done = aurelia.do("agreement", *command, "--json")
        assert (done.code, done.error["code"]) == (code, error)


def test_terms_come_from_standard_input(aurelia: Party, terms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with terms.open(encoding="utf-8") as file:
        monkeypatch.setattr("sys.stdin", file)
        assert aurelia.ask("agreement", "preview", "-")["title"] == "Exchange on the Grey Column"


def test_more_samples_than_are_useful_are_a_usage_error(aurelia: Party, terms: Path) -> None:
    assert aurelia.do("agreement", "preview", terms, "--samples", "101").code == 2


# --- check ------------------------------------------------------------------------------------------------------------


def test_a_draft_without_conflicts_is_done(aurelia: Party, terms: Path) -> None:
    result = aurelia.ask("agreement", "check", terms)
    assert result.keys() == documented("agreement check")
    assert (result["state"], result["refused"], result["conflicts"]) == ("draft", None, [])
    assert "conflicts with nothing" in aurelia.do("agreement", "check", terms).out


def test_what_could_not_be_proposed_comes_first_and_has_the_code_of_a_refusal(
    aurelia: Party, borealia: Party, terms: Path
) -> None:
    agreement = sign(aurelia, borealia, terms)
    wrong = edit(terms, "version = 1", f'version = 3\nagreement = "{agreement}"\nsupersedes = "{agreement}"')
    done = aurelia.do("agreement", "check", wrong, "--json")
    assert (done.code, done.err) == (3, "")
    assert done.result["problems"] == ["version 1 is on record; the next one is 2"]
    assert done.result["refused"] is None
    lines = aurelia.do("agreement", "check", wrong).out.splitlines()
    assert lines[1] == "  could not be proposed now, because version 1 is on record; the next one is 2"
    done = aurelia.do("agreement", "preview", wrong, "--json")
    assert (done.code, done.result["problems"]) == (0, ["version 1 is on record; the next one is 2"])


def test_a_conflict_has_its_own_exit_code(aurelia: Party, borealia: Party, terms: Path, bundle: Path) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    agreement = sign(aurelia, borealia, terms)
    wider = edit(terms, "internally-visible-actions", "externally-visible-direct-actions")
    done = aurelia.do("agreement", "check", wider, "--json")
    assert (done.code, done.err) == (11, "")
    (conflict,) = done.result["conflicts"]
    assert (conflict["kind"], conflict["clause"], conflict["objects"]) == ("duties", "permitted_actions", 2)
    assert (conflict["with"]["agreement"], conflict["with"]["clause"]) == (agreement, "permitted_actions")
    assert sorted(conflict["samples"]) == [LOCATION, REPORT]
    text = aurelia.do("agreement", "check", wider).out
    assert "CONFLICT (duties) with Exchange on the Grey Column" in text
    assert "2 objects (2 labels) would go under both" in text
    assert aurelia.ask("agreement", "preview", wider)["conflicts"] == done.result["conflicts"]
    assert len(aurelia.ask("agreement", "list")["agreements"]) == 1


def test_a_refusal_comes_before_a_conflict(aurelia: Party, borealia: Party, terms: Path) -> None:
    sign(aurelia, borealia, terms)
    wider = edit(terms, "internally-visible-actions", "none")
    (aurelia.folder / "recognition.toml").write_text("", encoding="utf-8")
    done = aurelia.do("agreement", "check", wider, "--json")
    assert done.code == 3
    assert len(done.result["conflicts"]) == 1


def test_what_cannot_be_read_is_refused_with_its_line(aurelia: Party, terms: Path) -> None:
    done = aurelia.do("agreement", "check", edit(terms, 'form = "mou"', 'form = "handshake"'), "--json")
    assert (done.code, done.error["code"], done.error["where"]) == (1, "malformed-terms", "line 4")


# --- diff -------------------------------------------------------------------------------------------------------------


def test_two_texts_are_compared(aurelia: Party, terms: Path, bundle: Path) -> None:
    aurelia.ask("object", "add", bundle, *WORDS)
    agreement = propose(aurelia, terms)
    wider = edit(terms, 'regions = ["IQ"]', 'regions = ["IQ", "SY"]')
    result = aurelia.ask("agreement", "diff", agreement[:8], wider)
    assert result.keys() == documented("agreement diff")
    assert result["before"]["terms"] == agreement
    (change,) = result["changes"]
    assert change == {
        "clause": "channels.main.regions",
        "before": ["IQ"],
        "after": ["IQ", "SY"],
        "added": ["SY"],
        "removed": [],
    }
    (channel,) = result["channels"]
    assert (channel["channel"], channel["giver"], channel["to"]) == ("main", "aurelia", "borealia")
    assert (channel["relation"], channel["effect"]["unchanged"]["objects"]) == ("wider", 2)
    text = aurelia.do("agreement", "diff", agreement[:8], wider).out
    assert "  channels.main.regions\n    + SY\n" in text
    assert "wider: admits all that was admitted before" in text
    assert "The texts say the same." in aurelia.do("agreement", "diff", terms, agreement).out


# --- words ------------------------------------------------------------------------------------------------------------

AMOUNT: dict[str, Any] = {"objects": 1, "samples": ["report--1"]}
TERMS = {"agreement": "a" * 64, "title": "T\x1b[2J", "version": 2, "terms": "b" * 64}


def test_long_tables_end_with_what_is_left_out() -> None:
    group: dict[str, Any] = {"type": "report", "tlp": "green", "originator": "aurelia", "subjects": [], **AMOUNT}
    group |= {"redacted": ["x"], "tear_line": []}
    give = {
        "channel": "main",
        "to": "borealia",
        "released": 45,
        "redacted": 45,
        "withheld": 0,
        "groups": [group] * 40,
        "more": {"groups": 2, "objects": 5},
        "refusals": [],
        "effect": None,
        "closed": {"clause": "status", "reason": "r\x1b[2J"},
        "history": None,
    }
    result = {**TERMS, "state": "draft", "sentence": None, "refused": None, "replaces": None, "conflicts": []}
    result["problems"] = []
    text = describe_preview({**result, "gives": [give]})
    assert text.count("report  green  aurelia") == 30
    assert "and 15 objects in 12 smaller groups" in text
    torn = {**give, "groups": [{**group, "tear_line": ["d", "e"]}], "history": "nothing taken in before b joined"}
    assert "all but its tear line: d, e" in describe_preview({**result, "gives": [torn]})
    assert "  history: nothing taken in before b joined" in describe_preview({**result, "gives": [torn]})
    assert "\x1b" not in text
    assert "This party gives nothing under these terms." in describe_preview({**result, "gives": []})
    effect = dict.fromkeys(("gained", "lost", "changed", "unchanged"), AMOUNT)
    gone = {**give, "withheld": None, "groups": [], "effect": effect}
    assert "not in these terms any more" in describe_preview({**result, "gives": [gone]})


def test_nothing_of_another_party_can_steer_the_terminal() -> None:
    other = {**TERMS, "state": "in force", "channel": "c", "clause": "x\x1b[2J"}
    conflict = {"kind": "duties", "clause": "y", "with": other, "sentence": "s\x1b[2J", "samples": []}
    result = {**TERMS, "problems": ["p\x1b"], "refused": {"clause": "c", "reason": "r\x1b"}, "conflicts": [conflict]}
    assert "\x1b" not in describe_check(result)
    change = {"clause": "c\x1b", "before": None, "after": ["w\x1b"], "added": ["w\x1b"], "removed": []}
    channel = {"channel": "main", "giver": "g", "to": "t", "relation": "equal", "effect": None}
    text = describe_comparison({"before": TERMS, "after": TERMS, "changes": [change], "channels": [channel]})
    assert "\x1b" not in text
    assert "(only in B)" in text
    assert "not known to this party" in text
