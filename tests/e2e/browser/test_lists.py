# SPDX-License-Identifier: Apache-2.0
"""Lists, who left one, rule sets and threat assessments by browser, on a telephone, in the dark and without scripts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from comity.agreement.people import Person, Role
from comity.classification.rules import RuleSet, convert_rules
from comity.node.lists import decide_subject, list_questions
from comity.node.people import Waiting, list_matters
from comity.node.rules import apply_rules
from comity.node.steps import finish
from comity.store import people
from tests.e2e.browser.desks import ServedDesk, assess_group, load_versions
from tests.e2e.browser.looking import Look, View, find_barriers, find_faulty_headings, open_page, tab_through
from tests.e2e.browser.test_deciding import press, sees
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

TELEPHONE = View(width=390, height=844, scheme="dark", scripts=False)
SUBJECT, OTHER = "national:0001", "national:0002"
GROUP = object_id("intrusion-set", "a group")
RULES = """format = "comity-rules/1"
name = "harbour"
[[rules]]
id = "relays"
why = "Relays of the harbour."
[rules.when]
types = ["report"]
[rules.say]
regions = ["SY"]
"""
RECORD = "Reason, for this party's own record"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDesk]:
    """Vera has every role; two subjects have left a list, and her colleague would let one of them go on."""
    world = World(tmp_path_factory.mktemp("lists"))
    world.found("aurelia", "borealia")
    vera = Person(id=world.register("aurelia", "vera", *Role).person, name="Vera", roles=frozenset(Role))
    world.sign_all(world.terms(subjects=(SUBJECT,)))
    world.add("aurelia", make_object("x", subjects=(SUBJECT,)))
    load_versions(world, "Marrow Ford", "Jan of the Ford", "The Ashfall Column")
    by = world.actor("aurelia", Role.LIAISON)
    done = decide_subject(world.nodes["aurelia"], SUBJECT, "keep", reason="It has another name.", by=by)
    assert isinstance(done, Waiting)
    assess_group(world, "What is expected of the group", days=20)
    with ServedDesk.start(world, "aurelia", vera) as served:
        yield served
    world.close()


@pytest.fixture
def look(chromium: Browser, desk: ServedDesk) -> Iterator[Look]:
    with open_page(chromium, desk.url, TELEPHONE, cookies=desk.cookies) as opened:
        yield opened


def find_decisions(desk: ServedDesk) -> dict[str, str | None]:
    return {item.subject: item.decision for item, _ in list_questions(desk.world.nodes["aurelia"])}


def test_a_second_person_lets_it_go_on_and_one_keeps_another_stopped(look: Look, desk: ServedDesk) -> None:
    page, x = look.page, object_id("report", "x")
    assert x not in desk.world.read("borealia")
    look.go("/")
    item = page.locator("li").filter(has_text=SUBJECT)
    item.get_by_role("link", name="Do this here").click()
    asked = page.get_by_role("article").filter(has_text=SUBJECT)
    expect(asked).to_contain_text("aurelia-liaison has approved that it goes on: It has another name.")
    asked.get_by_role("link", name="Look, and approve or decline").click()
    sees(page, SUBJECT)
    press(page, "Approve the same, and sign for this party")
    sees(page, "Done, and on record.")
    look.go("/lists")
    asked = page.get_by_role("article").filter(has_text=OTHER)
    asked.get_by_label(RECORD).fill("Nothing is known.")
    asked.get_by_role("button", name="Keep it stopped").click()
    sees(page, "Done, and on record.")
    expect(page.get_by_role("article").filter(has_text=OTHER)).to_contain_text("Stays stopped")
    assert look.find_overflow() == []
    assert find_decisions(desk) == {SUBJECT: "keep", OTHER: "stop"}
    desk.world.tick()
    assert x in desk.world.read("borealia")


def test_the_last_version_is_looked_through_and_that_is_noted(look: Look) -> None:
    page = look.page
    look.go("/lists")
    page.get_by_role("link", name="not yet").first.click()
    page.get_by_label("A name, or a subject, or a part of it").fill("of late")
    press(page, "Find")
    expect(page.locator("tbody tr")).to_have_count(1)
    sees(page, "Marrow Ford, of late")
    page.get_by_label("What came of it, for this party's own record").fill("Seen; nothing to change.")
    press(page, "Note it")
    sees(page, "Done, and on record.")
    assert page.get_by_role("button", name="Note it").count() == 0


def test_a_version_is_loaded_from_its_file(look: Look, tmp_path: Path) -> None:
    file, page = tmp_path / "national.json", look.page
    entries = [{"subject": "national:0009", "kind": "entity", "names": ["The Border Group"]}]
    listed = {"format": "comity-subject-list/1", "list": "national", "version": "9", "entries": entries}
    file.write_text(json.dumps(listed))
    look.go("/lists")
    page.get_by_label("The file, of").set_input_files(file)
    press(page, "Look at what it would change")
    sees(page, "Nothing is loaded yet.")
    assert find_faulty_headings(page) == []
    assert look.find_overflow() == []
    page.get_by_label("The file").set_input_files(file)
    page.get_by_label("Reason for loading it").fill("As published.")
    press(page, "Load it")
    sees(page, "is loaded, and on record: 1 entry.")
    assert find_faulty_headings(page) == []
    page.get_by_role("link", name="national").click()
    sees(page, "The Border Group")
    assert look.find_overflow() == []


def test_what_a_version_would_change_is_read_by_everybody(chromium: Browser, desk: ServedDesk, tmp_path: Path) -> None:
    file = tmp_path / "national.json"
    entries = [{"subject": f"national:{n:04}", "kind": "entity", "names": ["The Border Group"]} for n in range(500)]
    file.write_text(
        json.dumps({"format": "comity-subject-list/1", "list": "national", "version": "99", "entries": entries})
    )
    view = View(width=390, height=844, scheme="dark", scripts=True)
    with open_page(chromium, desk.url, view, cookies=desk.cookies) as look:
        look.go("/lists")
        look.page.get_by_label("The file, of").set_input_files(file)
        press(look.page, "Look at what it would change")
        sees(look.page, "Nothing is loaded yet.")
        assert find_barriers(look.page) == []
        assert look.find_overflow() == []


def test_a_rule_set_is_looked_at_and_applied_by_two(
    chromium: Browser, look: Look, desk: ServedDesk, tmp_path: Path
) -> None:
    file, page = tmp_path / "harbour.toml", look.page
    file.write_text(RULES)
    look.go("/lists")
    page.get_by_role("link", name="The rule sets that were applied").click()
    page.get_by_label("The file, of").set_input_files(file)
    press(page, "Look at what it would say")
    sees(page, "Nothing was changed by looking.")
    assert find_faulty_headings(page) == []
    assert look.find_overflow() == []
    page.get_by_label("The file").set_input_files(file)
    page.get_by_label("Reason, for this party's own record").fill("Case 12.")
    press(page, "Apply it")
    sees(page, "Nothing is said yet")
    assert look.find_overflow() == []
    (matter,) = [item.digest for item in list_matters(desk.world.nodes["aurelia"]) if item.kind == "apply-rules"]
    parsed = convert_rules(RULES.encode())
    assert isinstance(parsed, RuleSet)
    # Another has approved it too: then it is there for this person to complete.
    with desk.world.nodes["aurelia"].act() as act:
        people.delete_approvals(act.transaction, matter)
    by = desk.world.actor("aurelia", Role.LIAISON)
    assert isinstance(finish(apply_rules(desk.world.nodes["aurelia"], parsed, reason="Case 12.", by=by)), Waiting)
    look.go("/")
    page.get_by_role("row").filter(has_text="apply rules").get_by_role("link", name="Look, and approve").click()
    press(page, "Look at what it would say")
    sees(page, "has approved to apply it")
    at = page.url.removeprefix(desk.url)
    view = View(width=390, height=844, scheme="dark", scripts=True)
    with open_page(chromium, desk.url, view, cookies=desk.cookies) as other:
        other.go(at)
        assert [*find_barriers(other.page), *tab_through(other.page)] == []
        assert other.find_overflow() == []
    press(page, "Approve the same, and apply it")
    sees(page, "is applied, and on record")
    page.get_by_role("link", name="Go on").click()
    expect(page.get_by_role("row").filter(has_text="harbour")).to_contain_text("said too")


def test_an_assessment_is_written_and_one_that_ends_is_renewed(look: Look, desk: ServedDesk) -> None:
    page = look.page
    look.go("/")
    page.locator("li").filter(has_text="assessment ends").get_by_role("link", name="Do this here").click()
    sees(page, "It ends soon")
    page.get_by_label("Good until the beginning of this day, in UTC").fill("2097-01-01")
    page.get_by_label(RECORD).fill("Nothing has changed.")
    press(page, "Renew")
    sees(page, "Done, and on record.")
    expect(page.locator("main")).not_to_contain_text("It ends soon")
    look.go("/assessments")
    page.get_by_role("link", name="Write one").click()
    words = {"Of whom": GROUP, "Title": "A second look", "Threat": "may attack shipping", "Basis": "two reports"}
    words |= {"Assessment": "It said so.", "Author": "Desk 3", "May go to": "JO", "Good until": "2097-01-01"}
    for label, text in words.items():
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_label("Evaluation", exact=True).fill("ten of ten")
    press(page, "Write it")
    sees(page, "It was not written")
    (complaint,) = look.faults
    assert "400" in complaint
    look.faults.clear()
    expect(page.get_by_label("Assessment", exact=True)).to_have_value("It said so.")
    page.get_by_label("Evaluation", exact=True).fill("admiralty:B2")
    press(page, "Write it")
    sees(page, "A second look")
    sees(page, "may attack shipping")
    assert look.find_overflow() == []
    look.go("/assessments")
    expect(page.locator("tbody tr")).to_have_count(2)
