# SPDX-License-Identifier: Apache-2.0
"""The node in the console: what is wrong stands on top, and goes away when it is put right."""

from typing import Any

import pytest

from comity.agreement.people import Role
from comity.ids import Instant, PartyId
from comity.node import backup
from comity.node.follow import REFUSED, note_failed, note_in_step
from comity.node.gate import list_open_collections
from tests.consoles import Desk, make_person
from tests.worlds import World, make_object

OPERATOR = make_person("aurelia-operator", Role.OPERATOR)
AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
ANALYST = make_person("aurelia-analyst", Role.ANALYST)
DAY = 86_400_000_000


def ask(world: World, name: str = "aurelia") -> dict[str, Any]:
    answer = Desk(world.nodes[name]).visit(OPERATOR).get("/node.json")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def list_kinds(world: World, name: str = "aurelia") -> list[tuple[str, str | None]]:
    return [(item["kind"], item["party"]) for item in ask(world, name)["problems"]]


def note_backup(world: World, name: str = "aurelia") -> None:
    backup.note_backup(
        world.nodes[name], name="b1", made_at=world.now, place="/mnt/b1", size=3, count=1024, with_keys=True
    )


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the disk of the machine has left that tests run on."""
    monkeypatch.setattr("comity.node.status._LEAST_FREE", 0)


def test_a_backup_is_missed_until_it_is_made_and_again_after_a_week(world: World) -> None:
    assert list_kinds(world) == [("backup", None)]
    page = Desk(world.nodes["aurelia"]).visit(OPERATOR).get("/node").text
    assert page.index("no backup of this node is on record here") < page.index("This node")
    assert "comity backup" in page
    note_backup(world)
    assert list_kinds(world) == []
    assert "Nothing is wrong" in Desk(world.nodes["aurelia"]).visit(OPERATOR).get("/node").text
    world.tick(8 * DAY)
    assert ("backup", None) in list_kinds(world)


def test_a_disk_that_is_full_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    note_backup(world)
    monkeypatch.setattr("comity.node.status._LEAST_FREE", 2**60)
    assert list_kinds(world) == [("disk", None)]


def test_a_clock_that_went_back_is_told(world: World) -> None:
    world.tick(DAY)
    world.add("aurelia", make_object("first"))
    world.register("aurelia", "one-more", Role.ANALYST)
    note_backup(world)
    world.now = Instant(world.now - DAY)
    assert list_kinds(world) == [("clock", None)]


def test_messages_that_wait_are_told_with_their_partner(world: World) -> None:
    note_backup(world)
    world.propose("aurelia", world.terms())
    world.tick(2 * 3_600_000_000)
    assert list_kinds(world) == [("undelivered", "borealia")]
    (partner,) = ask(world)["partners"]
    assert partner["undelivered"] == 1
    world.deliver()
    assert list_kinds(world) == []


def test_a_partner_that_fails_is_told_and_is_in_step_again(world: World) -> None:
    world.sign_all(world.terms())
    note_backup(world, "borealia")
    giver, node = PartyId("aurelia"), world.nodes["borealia"]
    (collection,) = list_open_collections(world.nodes["aurelia"], PartyId("borealia"))
    for _ in range(3):
        note_failed(node, giver, collection.id, "nobody <answers>\u202e there", fraction=0.5)
    with node.store.write() as transaction:
        transaction.run("UPDATE party SET url = 'https://aurelia.example' WHERE id = 'aurelia'")
    assert ("follow", "aurelia") in list_kinds(world, "borealia")
    page = Desk(node).visit(OPERATOR).get("/node").text
    assert "nobody &lt;answers&gt;" in page
    assert "\u202e" not in page
    note_in_step(node, giver, collection.id)
    assert ("follow", "aurelia") not in list_kinds(world, "borealia")
    (partner,) = ask(world, "borealia")["partners"]
    assert (partner["channels"], partner["seconds_behind"]) == (1, 0)
    world.tick(7_200_000_000)
    assert ("follow", "aurelia") in list_kinds(world, "borealia")


def test_keys_that_run_out_are_told(world: World) -> None:
    note_backup(world)
    expires_at = world.manifests["borealia"].expires_at
    world.now = Instant(expires_at - DAY)
    assert {("manifest-end", "borealia"), ("manifest-end", "aurelia")} <= set(list_kinds(world))


def test_what_was_given_and_acknowledged_is_shown(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("first"))
    assert len(world.poll("borealia").items) == 1
    (partner,) = ask(world)["partners"]
    assert (partner["given"], partner["acknowledged"], partner["consistent"]) == (1, None, None)
    assert "not acknowledged" in Desk(world.nodes["aurelia"]).visit(OPERATOR).get("/node").text


def test_whoever_is_no_operator_auditor_or_liaison_finds_nothing(world: World) -> None:
    desk = Desk(world.nodes["aurelia"])
    for path in ("/node", "/node.json"):
        answer = desk.visit(ANALYST).get(path)
        assert answer.status_code == 404
        assert "borealia" not in answer.text
        assert desk.visit(AUDITOR).get(path).status_code == 200


def test_a_hostile_name_of_ten_thousand_characters_is_text(world: World) -> None:
    node = world.nodes["aurelia"]
    hostile = "<script>alert(1)</script>\u202e" + "x" * 10_000
    agreement = world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), title="<b>Exchange"))
    (collection,) = list_open_collections(world.nodes["borealia"], PartyId("aurelia"))
    for _ in range(3):
        note_failed(node, "borealia", collection.id, "nobody answers", fraction=0.5)
    with node.store.write() as transaction:
        transaction.run("UPDATE following SET problem = ?", (hostile,))
        transaction.run("UPDATE party SET url = ? WHERE id = 'borealia'", ("https://" + hostile,))
    page = Desk(node).visit(OPERATOR).get("/node").text
    assert page.count("&lt;script&gt;alert(1)") == 2  # what is wrong, and the channel
    assert "<script>" not in page
    assert "<b>" not in page
    assert "\u202e" not in page
    assert f"/agreements/{agreement}" not in page  # an operator is not shown agreements


def test_who_may_not_read_agreements_is_told_that_pages_are_refused_and_not_what_the_refusal_names(
    world: World,
) -> None:
    node = world.nodes["aurelia"]
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)))
    (collection,) = list_open_collections(world.nodes["borealia"], PartyId("aurelia"))
    named = f"{REFUSED}: listing: object 1 of the page is not report--1 as the receipt lists it, in channel main-7"
    for _ in range(3):
        note_failed(node, "borealia", collection.id, named, fraction=0.5)
    with node.store.write() as transaction:
        transaction.run("UPDATE party SET url = 'https://borealia.example' WHERE id = 'borealia'")
    for role, told in ((Role.OPERATOR, False), (Role.LIAISON, True)):
        browser = Desk(node).visit(make_person("somebody", role))
        for path in ("/node", "/node.json", "/", "/work.json"):
            answer = browser.get(path).text
            assert REFUSED in answer, path
            assert ("report--1" in answer) == told, path
            assert ("main-7" in answer) == told, path
