# SPDX-License-Identifier: Apache-2.0
"""`comity reach`: who could be given such an object, who never, and a proof that z3 confirms, refuses or lacks."""

import sys
from pathlib import Path

import pytest

from comity.cli.words.reach import describe_reach
from comity.operations.reply import Exit
from comity.release import proof
from tests.unit.cli.conftest import Party

AMBER = ("--attribute", "tlp=amber", "--attribute", "subject=unsc:QDe.901")


@pytest.fixture
def agreed(terms: Path, aurelia: Party, borealia: Party) -> Party:
    """Aurelia, that has proposed to give to Borealia."""
    assert aurelia.do("agreement", "propose", terms).code == 0
    return aurelia


def test_a_chain_is_shown_for_who_could_be_given_one_and_the_others_are_never(agreed: Party) -> None:
    none = agreed.ask("reach", *AMBER, "--attribute", "originator=aurelia")
    assert (none["reached"], none["never"], none["agreements"]) == ([], ["borealia"], [])
    told = agreed.ask("reach", *AMBER, "--attribute", "originator=aurelia", "--proposed", "--certify")
    (reached,) = told["reached"]
    (hop,) = reached["chain"]
    assert (reached["party"], reached["originator"]) == ("borealia", "aurelia")
    assert (hop["giver"], hop["receiver"], hop["channel"]) == ("aurelia", "borealia", "main")
    assert hop["originators"] == ["aurelia"]
    assert hop["terms"] == told["agreements"][0]["terms"]
    assert reached["example"]["tlp"] == "amber"
    assert reached["example"]["subjects"] == [["unsc:QDe.901"]]
    assert told["never"] == []
    assert [box["party"] for box in told["certificate"][0]["boxes"]] == ["aurelia", "borealia"]
    assert told["proof"]["implications"] == 2
    assert told["proof"]["solver"].startswith("z3 ")


def test_it_is_said_to_people(agreed: Party) -> None:
    text = agreed.do("reach", *AMBER, "--proposed", "--certify").out
    assert "borealia could be given one" in text
    assert "aurelia → borealia  Exchange on the Grey Column" in text
    assert "never: aurelia" in text
    assert "confirms it" in text
    text = agreed.do("reach", "--attribute", "tlp=red", "--proposed").out
    assert "never: aurelia, borealia" in text
    assert "--certify" in text


def test_one_party_is_asked_about(agreed: Party) -> None:
    told = agreed.ask("reach", "--to", "aurelia", "--proposed")
    assert (told["reached"], told["never"]) == ([], ["aurelia"])
    told = agreed.ask("reach", "--to", "borealia", "--proposed", "--without-consent")
    assert ([item["party"] for item in told["reached"]], told["never"]) == (["borealia"], [])
    assert told["consent"] == "refused"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--attribute", "tlp=white"], 2, "clear, green"),
        (["--attribute", "tlp"], 2, "NAME=VALUE"),
        (["--attribute", "colour=red"], 2, "person_class"),
        (["--attribute", "type=raport"], 2, "STIX type"),
        (["--attribute", "subject=QDe.901"], 2, "scheme:id"),
        (["--attribute", "region=iq"], 2, "ISO 3166-1"),
        (["--attribute", "originator=zephyria"], 5, "zephyria"),
        (["--attribute", "originator=Zephyria!"], 2, "Zephyria!"),
        (["--to", "zephyria"], 5, "zephyria"),
    ],
)
def test_what_is_not_understood_is_refused(agreed: Party, arguments: list[str], code: int, words: str) -> None:
    done = agreed.do("reach", *arguments, "--json")
    assert done.code == code
    assert words in str(done.error["message"])


def test_without_z3_the_proof_is_refused_and_the_answer_is_not(agreed: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "z3", None)  # what Python itself does for a module that is not there
    done = agreed.do("reach", *AMBER, "--certify", "--json")
    assert done.code == Exit.NOT_INSTALLED
    assert done.error["code"] == "not-installed"
    assert "pip install 'comity[proof]'" in str(done.error["message"])
    assert agreed.do("reach", *AMBER).code == 0


def test_what_z3_does_not_confirm_is_not_answered(agreed: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_in_boxes", lambda boxes, holder, label: proof.load_z3().BoolVal(val=False))
    done = agreed.do("reach", *AMBER, "--certify", "--json")
    assert done.code == 7
    assert done.error["code"] == "certificate-refused"


def test_nothing_of_another_party_steers_the_terminal() -> None:
    hop = {
        "giver": "a",
        "receiver": "b",
        "title": "x\x1b[2J",
        "terms": "0" * 64,
        "channel": "m",
        "originators": ["b", "c"],
    }
    text = describe_reach(
        {
            "attributes": [],
            "consent": "granted",
            "agreements": [{}],
            "reached": [{"party": "b", "chain": [hop]}],
            "never": [],
            "proof": None,
        }
    )
    assert "\x1b" not in text
    assert "as an object of b or c" in text
    assert "1 version of" in text
