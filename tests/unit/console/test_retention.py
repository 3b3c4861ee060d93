# SPDX-License-Identifier: Apache-2.0
"""What is due for review or deletion is seen, kept with a reason, and deleted as it was seen or not at all."""

import json
import re

import pytest

from comity.agreement.people import Role
from comity.node.explain import find_deleted
from comity.node.retention import delete_due
from comity.node.sources import find_source, receive_in_steps
from comity.node.steps import finish
from comity.store import SqliteStore
from tests.consoles import Browser, Desk, make_person
from tests.sources import follow_source
from tests.unit.node.test_retention import DAY, REVIEWED, agree, held, list_due, meet, purges, receive
from tests.worlds import World, make_object, object_id

A, B = (object_id("report", name) for name in "ab")
PAGE = "/retention"
HOSTILE = "<svg onload=alert(1)>"


@pytest.fixture
def desk(world: World) -> Desk:
    """Borealia holds two reports that Aurelia gave; their review is due in 20 days."""
    world.register("borealia", "borealia-analyst", Role.ANALYST)
    meet(world, "borealia", "aurelia")
    target = agree(world, REVIEWED, title="Exchange with a review")
    receive(world, target, make_object("a", more={"name": "First report"}), make_object("b"))
    world.tick(70 * DAY)
    return Desk(world.nodes["borealia"])


def visit(desk: Desk, role: Role) -> Browser:
    return desk.visit(make_person(f"borealia-{role}", role))


def list_shown(world: World) -> set[str]:
    return {item.object.id for item in list_due(world.nodes["borealia"])}


def find_versions(browser: Browser, name: str) -> str:
    found = re.search(r'name="versions" value="([^"]+)"', browser.get(f"{PAGE}/{name}/delete").text)
    assert found is not None
    return found[1]


def test_what_is_due_stands_there_with_its_clause_agreement_and_giver(desk: Desk) -> None:
    liaison = visit(desk, Role.LIAISON)
    page = liaison.get(PAGE).text
    assert f'<a href="/objects/{A}"><bdi dir="auto">First report</bdi></a>' in page
    assert "Exchange with a review" in page
    assert "<code>retention.review_after</code>" in page
    twin = liaison.get(f"{PAGE}.json").json()
    assert {(item["id"], item["act"], item["giver"]) for item in twin["objects"]} == {
        (A, "review", "aurelia"),
        (B, "review", "aurelia"),
    }
    work = liaison.get("/").text
    assert f'<a href="{PAGE}">Do this here</a>' in work
    assert f'<a href="{PAGE}">Retention</a>' in work


def test_one_is_kept_with_a_reason(desk: Desk, world: World) -> None:
    liaison = visit(desk, Role.LIAISON)
    done = liaison.post(f"{PAGE}/{A}/keep", PAGE, reason="Case 12 is open.")
    assert done.headers["location"] == f"{PAGE}?said=done"
    assert list_shown(world) == {B}
    world.tick(25 * DAY)
    delete_due(world.nodes["borealia"])
    assert held(world) == {A}


def test_a_decision_that_comes_too_late_is_refused_with_its_reason(desk: Desk, world: World) -> None:
    liaison = visit(desk, Role.LIAISON)
    assert liaison.post(f"{PAGE}/{A}/keep", PAGE, reason=" ").status_code == 400
    world.tick(25 * DAY)
    page = liaison.get(PAGE).text
    assert "Nobody can keep it." in page
    assert "/keep" not in page
    answer = liaison.post(f"{PAGE}/{A}/keep", f"{PAGE}/{A}/delete", reason="Case 12 is open.")
    assert answer.status_code == 409
    assert "no decision can keep it any more" in answer.text


def test_a_deletion_says_what_goes_and_leaves_what_stays(desk: Desk, world: World) -> None:
    liaison = visit(desk, Role.LIAISON)
    assert f'href="{PAGE}/{A}/delete"' in liaison.get(PAGE).text
    assert f'href="{PAGE}/{A}/delete"' in liaison.get(f"/objects/{A}").text
    page = liaison.get(f"{PAGE}/{A}/delete").text
    assert "It cannot be taken back." in page
    versions = find_versions(liaison, A)
    assert versions in page.replace(f'value="{versions}"', "")
    done = liaison.post(f"{PAGE}/{A}/delete", f"{PAGE}/{A}/delete", versions=versions, reason="It was wrong.")
    assert done.headers["location"] == f"/objects/{A}?said=deleted"
    assert held(world) == {B}
    shown = liaison.get(done.headers["location"]).text
    assert "Deleted, and on record." in shown
    assert "It was wrong." in shown
    assert f"{PAGE}/{A}/delete" not in shown
    (purge,) = purges(world)
    assert (purge["reason"], purge["by"]) == ("It was wrong.", "borealia-liaison (liaison)")
    listed = liaison.get(PAGE).text
    assert listed.index('id="deleted"') < listed.index("It was wrong.")
    assert f'<a href="{PAGE}#deleted">Which these are</a>' in liaison.get("/").text
    assert liaison.get(f"{PAGE}/{A}/delete").status_code == 404


def test_what_is_not_gone_from_the_files_yet_is_not_said_to_be(desk: Desk, world: World) -> None:
    liaison = visit(desk, Role.LIAISON)
    reader = SqliteStore.inspect(world.nodes["borealia"].folder / "store.db")
    with reader.read() as transaction:
        transaction.rows("SELECT * FROM object")
        fields = {"versions": find_versions(liaison, A), "reason": "It was wrong."}
        done = liaison.post(f"{PAGE}/{A}/delete", f"{PAGE}/{A}/delete", **fields)
    reader.close()
    assert done.headers["location"] == f"/objects/{A}?said=leaving"
    assert "Another process reads the store" in liaison.get(done.headers["location"]).text
    assert held(world) == {B}


def test_a_version_that_nobody_saw_is_not_deleted(desk: Desk, world: World) -> None:
    world.add("borealia", make_object("own"))
    own, liaison = object_id("report", "own"), visit(desk, Role.LIAISON)
    page = f"{PAGE}/{own}/delete"
    seen = find_versions(liaison, own)
    world.add("borealia", make_object("own", day=9))
    answer = liaison.post(page, page, versions=seen, reason="It was wrong.")
    assert answer.status_code == 409
    assert "other versions" in answer.text
    assert liaison.post(page, page, reason="It was wrong.").status_code == 400
    assert own in held(world)
    both = find_versions(liaison, own)
    assert len(both.split()) == 2
    liaison.post(page, page, versions=both, reason="It was wrong.")
    assert own not in held(world)
    assert len(find_deleted(world.nodes["borealia"], own)) == 2


def test_what_a_source_gave_leads_to_no_agreement(desk: Desk, world: World) -> None:
    node = world.nodes["borealia"]
    follow_source(world, "https://x.example/")
    page = b'{"objects":[%s],"more":false}' % make_page_of("s")
    assert finish(receive_in_steps(node, find_source(node, "north"), page, position=None)).added
    world.tick(350 * DAY)
    delete_due(node)
    shown = visit(desk, Role.LEGAL).get(PAGE).text
    assert "the record of a source" in shown
    assert "north-cert" in shown
    assert 'href="/agreements/' not in shown.split('id="deleted"')[0].split("<tbody>")[1]
    assert 'href="/retention">Do this here</a>' in visit(desk, Role.LEGAL).get("/").text


def make_page_of(name: str) -> bytes:
    return json.dumps(make_object(name)).encode()


def test_an_analyst_sees_it_and_decides_nothing(desk: Desk, world: World) -> None:
    analyst = visit(desk, Role.ANALYST)
    page = analyst.get(PAGE).text
    assert "First report" in page
    assert "<form" not in page
    assert "/delete" not in page
    assert "/delete" not in analyst.get(f"/objects/{A}").text
    assert analyst.get(f"{PAGE}/{A}/delete").status_code == 404
    for act in ("keep", "delete"):
        answer = analyst.send_form(f"{PAGE}/{A}/{act}", form_key="0" * 64, reason="r", versions="v")
        assert answer.status_code == 404
    assert held(world) == {A, B}


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_who_may_not_read_objects_finds_nothing(desk: Desk, role: Role) -> None:
    other = visit(desk, role)
    for path in (PAGE, f"{PAGE}.json", f"{PAGE}/{A}/delete", f"{PAGE}/{A}/delete.json"):
        answer = other.get(path)
        assert answer.status_code == 404
        assert "First report" not in answer.text
    assert f'href="{PAGE}"' not in other.get("/").text


def test_a_form_of_another_session_does_nothing(desk: Desk, world: World) -> None:
    liaison, legal = visit(desk, Role.LIAISON), visit(desk, Role.LEGAL)
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', legal.get(PAGE).text)
    assert key is not None
    for act in ("keep", "delete"):
        answer = liaison.send_form(f"{PAGE}/{A}/{act}", form_key=key[1], reason="r", versions=find_versions(legal, A))
        assert answer.status_code == 400
        assert "of another session" in answer.text
    assert held(world) == {A, B}
    assert list_shown(world) == {A, B}


def test_what_was_received_and_said_is_text(desk: Desk, world: World) -> None:
    world.add("borealia", make_object("evil", more={"name": HOSTILE}))
    evil, liaison = object_id("report", "evil"), visit(desk, Role.LIAISON)
    page = f"{PAGE}/{evil}/delete"
    assert HOSTILE not in liaison.get(page).text
    assert "&lt;svg" in liaison.get(page).text
    liaison.post(page, page, versions=find_versions(liaison, evil), reason=HOSTILE)
    assert HOSTILE not in liaison.get(PAGE).text
    assert "&lt;svg" in liaison.get(PAGE).text


def test_pages_are_bounded_and_lead_on(desk: Desk, world: World) -> None:
    target = agree(world, REVIEWED, title="Another exchange")
    receive(world, target, *(make_object(f"n{number}") for number in range(60)))
    world.tick(15 * DAY)
    liaison = visit(desk, Role.LIAISON)
    liaison.post(f"{PAGE}/{A}/keep", PAGE, reason="Open.")
    world.tick(55 * DAY)
    page, seen = PAGE, list[str]()
    for _ in range(3):
        text = liaison.get(page).text
        found = re.findall(r'<th scope="row"><a href="/objects/([^"]+)"', text.split('id="deleted"')[0])
        assert len(found) <= 50
        seen += found
        following = re.search(r'<a rel="next" href="([^"]+)"', text)
        if following is None:
            break
        page = following[1]
    assert len(seen) == len(set(seen))
    assert set(seen) == list_shown(world)
    assert len(seen) > 50
    assert "61 in all, the earliest first" in liaison.get(PAGE).text
    assert "From the earliest on" in liaison.get(page).text
    assert liaison.get(f"{PAGE}?after=99999999999999999-1").text.count("Nothing stands behind this.") == 1
    for nonsense in ("x", "-1", "1-", "9" * 40):
        assert liaison.get(f"{PAGE}?after={nonsense}").status_code == 400
