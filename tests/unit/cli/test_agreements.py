# SPDX-License-Identifier: Apache-2.0
"""The commands of negotiation on real nodes that have no connection: what goes between them is carried as files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import BASIS, Party
from tests.unit.cli.test_commands import documented, propose

RESERVED = "channels.main:national_law:Under review."


def carry(sender: Party, receiver: Party, agreement: str, tmp_path: Path) -> dict[str, Any]:
    """What the import of what `sender` exported came to."""
    path = tmp_path / f"{sender.id}.messages.json"
    path.unlink(missing_ok=True)
    sender.ask("agreement", "export", agreement, path)
    return receiver.ask("agreement", "import", path)


def sign(aurelia: Party, borealia: Party, agreement: str, tmp_path: Path, *options: str) -> None:
    """Both have signed and confirmed, and both know."""
    carry(aurelia, borealia, agreement, tmp_path)
    borealia.ask("agreement", "accept", agreement, *options)
    carry(borealia, aurelia, agreement, tmp_path)
    carry(aurelia, borealia, agreement, tmp_path)
    for party in (aurelia, borealia):
        assert party.ask("agreement", "status", agreement)["state"] == "in force"


def change(terms: Path, *pairs: tuple[str, str]) -> None:
    text = terms.read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    terms.write_text(text, encoding="utf-8")


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_an_agreement_is_made_by_files_alone(aurelia: Party, borealia: Party, terms: Path, tmp_path: Path) -> None:
    agreement = propose(aurelia, terms)
    path = tmp_path / "messages.json"
    exported = aurelia.ask("agreement", "export", agreement[:8], path)
    assert exported.keys() == documented("agreement export") - {"messages"}
    assert (exported["agreement"], exported["count"], exported["file"]) == (agreement, 1, str(path))
    imported = borealia.ask("agreement", "import", path)
    assert imported.keys() == documented("agreement import")
    assert imported["recorded"][0].keys() == documented("agreement accede") - {"waiting"}
    assert (imported["agreement"], imported["known"], imported["refused"]) == (agreement, 0, [])
    again = borealia.ask("agreement", "import", path)
    assert (again["recorded"], again["known"]) == ([], 1)
    assert again.keys() == documented("agreement import") - {"waiting"}
    assert "0 recorded, 1 known already, 0 refused" in borealia.do("agreement", "import", path).out
    sign(aurelia, borealia, agreement, tmp_path)


def test_what_is_exported_goes_to_standard_output_as_the_file_would_be(aurelia: Party, terms: Path) -> None:
    agreement = propose(aurelia, terms)
    text = aurelia.do("agreement", "export", agreement).out
    assert json.loads(text)["agreement"] == agreement
    result = aurelia.ask("agreement", "export", agreement)
    assert result.keys() == documented("agreement export") - {"file"}
    assert result["messages"].rstrip("\n") == text.rstrip("\n")


def test_an_import_needs_a_file_of_messages(borealia: Party, terms: Path) -> None:
    done = borealia.do("agreement", "import", terms, "--json")
    assert (done.code, done.error["code"]) == (1, "malformed-message")
    assert "agreement export" in done.error["message"]


# --- negotiating ------------------------------------------------------------------------------------------------------


def test_a_proposal_is_withdrawn(aurelia: Party, borealia: Party, terms: Path, tmp_path: Path) -> None:
    agreement = propose(aurelia, terms)
    carry(aurelia, borealia, agreement, tmp_path)
    assert borealia.do("agreement", "withdraw", agreement).code == 6
    result = aurelia.ask("agreement", "withdraw", agreement, "--reason", "Under review.")
    assert result.keys() == documented("agreement withdraw")
    assert (result["kind"], result["state"], result["sentence"]) == ("withdraw", "withdrawn", "withdrawn by aurelia")
    carry(aurelia, borealia, agreement, tmp_path)
    assert borealia.do("agreement", "accept", agreement).code == 6


def test_the_next_text_for_an_open_one_is_a_counter_proposal(
    aurelia: Party, borealia: Party, terms: Path, tmp_path: Path
) -> None:
    agreement = propose(aurelia, terms)
    carry(aurelia, borealia, agreement, tmp_path)
    lineage = f'version = 2\nagreement = "{agreement}"\nsupersedes = "{agreement}"'
    change(terms, ("version = 1", lineage), ('tlp_ceiling = "amber"', 'tlp_ceiling = "green"'))
    result = borealia.ask("agreement", "propose", terms)
    assert (result["kind"], result["state"]) == ("counter", "countered")
    carry(borealia, aurelia, agreement, tmp_path)
    assert aurelia.ask("agreement", "accept", result["terms"])["state"] == "agreed"


def test_a_reservation_is_signed_where_the_terms_allow_it(
    aurelia: Party, borealia: Party, terms: Path, tmp_path: Path
) -> None:
    change(terms, ('form = "mou"', 'form = "mou"\nreservations = ["channels.main"]'))
    agreement = propose(aurelia, terms)
    carry(aurelia, borealia, agreement, tmp_path)
    for wrong, code in (("purposes:national_law", 6), ("channels.main:mood", 1), ("channels.main", 2)):
        assert borealia.do("agreement", "accept", agreement, "--reserve", wrong).code == code
    sign(aurelia, borealia, agreement, tmp_path, "--reserve", RESERVED)
    told = aurelia.ask("agreement", "status", agreement)
    assert told["reservations"] == [
        {"party": "borealia", "clause": "channels.main", "ground": "national_law", "text": "Under review."}
    ]
    (give,) = told["gives"]
    assert (give["open"], "reservation" in give["reason"]) == (False, True)
    assert "reservation of borealia on channels.main" in aurelia.do("agreement", "status", agreement).out


# --- in force ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_force(aurelia: Party, borealia: Party, terms: Path, tmp_path: Path) -> str:
    """An agreement with two channels."""
    text = terms.read_text(encoding="utf-8")
    channel = text[text.index("[[channels]]") :].replace('id = "main"', 'id = "side"')
    terms.write_text(text + channel, encoding="utf-8")
    agreement = propose(aurelia, terms)
    sign(aurelia, borealia, agreement, tmp_path)
    return agreement


def test_one_channel_is_suspended_and_resumed(aurelia: Party, in_force: str) -> None:
    suspended = aurelia.ask("agreement", "suspend", in_force, "--channel", "main", "--reason", "Review.")
    assert suspended["state"] == "in force"
    told = aurelia.ask("agreement", "status", in_force)
    assert {give["channel"]: give["open"] for give in told["gives"]} == {"main": False, "side": True}
    assert [(lock["channel"], lock["reason"]) for lock in told["suspensions"]] == [("main", "Review.")]
    assert "channel main suspended by aurelia" in aurelia.do("agreement", "status", in_force).out
    assert aurelia.do("agreement", "suspend", in_force, "--channel", "nowhere").code == 1
    assert aurelia.do("agreement", "resume", in_force, "--channel", "side").code == 6
    aurelia.ask("agreement", "resume", in_force, "--channel", "main")
    assert all(give["open"] for give in aurelia.ask("agreement", "status", in_force)["gives"])


def test_status_tells_how_it_stood_then(aurelia: Party, in_force: str) -> None:
    events = aurelia.ask("agreement", "show", in_force)["events"]
    assert [event["kind"] for event in events] == ["propose", "accept", "confirm", "confirm"]
    proposed = events[0]["at"]
    aurelia.ask("agreement", "suspend", in_force)
    then = aurelia.ask("agreement", "status", in_force, "--at", proposed)
    assert then.keys() == documented("agreement status")
    assert (then["state"], then["at"], then["gives"], then["suspensions"]) == ("proposed", proposed, [], [])
    assert (then["latest"]["signed_by"], then["confirmed_by"]) == (["aurelia"], [])
    assert [basis["positions"] for basis in then["positions"]] == [{"aurelia": "recognised"}] * 2
    now = aurelia.ask("agreement", "status", in_force)
    assert (now["state"], now["at"]) == ("suspended", None)
    assert now["positions"][0]["positions"] == {"aurelia": "recognised", "borealia": "recognised"}
    assert "as it stood on record at" in aurelia.do("agreement", "status", in_force, "--at", proposed).out


@pytest.mark.parametrize(("at", "code"), [("2020-01-01T00:00:00Z", 5), ("yesterday", 2)])
def test_a_time_when_nothing_was_on_record_and_what_is_no_time(
    aurelia: Party, in_force: str, at: str, code: int
) -> None:
    assert aurelia.do("agreement", "status", in_force, "--at", at).code == code


def test_an_agreement_between_two_is_not_left_nor_joined(aurelia: Party, in_force: str) -> None:
    assert aurelia.do("agreement", "leave", in_force).code == 6
    assert aurelia.do("agreement", "admit", in_force, "borealia").code == 6
    assert aurelia.do("agreement", "admit", in_force, "nobody").code == 5
    assert aurelia.do("agreement", "admit", in_force, "No Body").code == 2


# --- a group ----------------------------------------------------------------------------------------------------------


def test_a_party_joins_a_group_and_another_leaves_it(
    aurelia: Party, borealia: Party, terms: Path, tmp_path: Path, found: Callable[[str], Party]
) -> None:
    change(
        terms,
        ('form = "mou"', 'form = "mou"\nstructure = {kind = "group", accession = "any_member"}'),
        ('receivers = ["borealia"]', 'receivers = ["members"]'),
    )
    agreement = propose(aurelia, terms)
    sign(aurelia, borealia, agreement, tmp_path)
    tavria = found("tavria")
    bases = tmp_path / "bases.toml"
    bases.write_text(f'[[legal_bases]]\nparty = "tavria"\n{BASIS}force = "decides"\n', encoding="utf-8")
    assert aurelia.do("agreement", "admit", agreement, "tavria").code == 5
    for party in (aurelia, borealia):
        party.pin(tavria)
        tavria.pin(party)
    admitted = aurelia.ask("agreement", "admit", agreement, "tavria")
    assert admitted.keys() == documented("agreement admit")
    assert {item["party"]: item["messages"] for item in admitted["waiting"]}["tavria"] == 5
    steps = aurelia.ask("agreement", "status", agreement)["next_steps"]
    assert ("tavria", "accede") in {(step["party"], step["act"]) for step in steps}
    carry(aurelia, tavria, agreement, tmp_path)
    refused = tavria.do("agreement", "accede", agreement, "--bases", bases, "--json")
    assert (refused.code, refused.result["refused"]["clause"]) == (3, "legal_bases")
    tavria.recognise()
    acceded = tavria.ask("agreement", "accede", agreement, "--bases", bases)
    assert acceded.keys() == documented("agreement accede")
    assert (acceded["kind"], acceded["state"]) == ("accede", "in force")
    carry(tavria, aurelia, agreement, tmp_path)
    told = aurelia.ask("agreement", "status", agreement)
    assert told["members"] == ["aurelia", "borealia", "tavria"]
    assert [(give["to"], give["open"]) for give in told["gives"]] == [("borealia", True), ("tavria", True)]
    left = tavria.ask("agreement", "leave", agreement, "--reason", "The mandate ended.")
    assert left.keys() == documented("agreement leave")
    carry(tavria, aurelia, agreement, tmp_path)
    told = aurelia.ask("agreement", "status", agreement)
    assert (told["state"], told["members"], told["left"]) == ("in force", ["aurelia", "borealia"], ["tavria"])
    aurelia.ask("agreement", "leave", agreement)
    assert "aurelia (left),borealia" in aurelia.do("agreement", "list").out
    assert "aurelia (left), borealia" in aurelia.do("agreement", "status", agreement).out


def test_bases_that_are_none_are_refused_with_the_line(
    aurelia: Party, borealia: Party, terms: Path, tmp_path: Path
) -> None:
    agreement = propose(aurelia, terms)
    bases = tmp_path / "bases.toml"
    bases.write_text(f'[[legal_bases]]\nparty = "borealia"\n{BASIS}force = "decides"\n', encoding="utf-8")
    done = aurelia.do("agreement", "accede", agreement, "--bases", bases, "--json")
    assert (done.code, done.error["code"]) == (1, "malformed-terms")
    assert "line 2" in done.error["message"]
