# SPDX-License-Identifier: Apache-2.0
"""What a machine cannot decide is decided by browser: necessity, who is who, and what is kept or deleted."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from comity.agreement.people import Person, Role
from comity.node.necessity import decide_necessity, list_undecided
from comity.node.people import Waiting
from tests.chains import introduce, pull_all
from tests.e2e.browser.desks import ServedDesk
from tests.e2e.browser.looking import Look, View, open_page
from tests.unit.node.test_safeguards import list_as
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

TELEPHONE = View(width=390, height=844, scheme="dark", scripts=False)
X, Y = object_id("identity", "x"), object_id("identity", "y")
REVIEWED = 'retention = { review_after = "P20D", no_decision = "delete" }'


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDesk]:
    """Vera has every role; her colleague has approved that one of two persons is given, and borealia gave reports."""
    world = World(tmp_path_factory.mktemp("safeguarding"))
    world.found("aurelia", "borealia")
    vera = Person(id=world.register("aurelia", "vera", *Role).person, name="Vera", roles=frozenset(Role))
    world.add(
        "aurelia", *(list_as(name, dates_of_birth=[{"date": "1971-03-02"}]) | {"x_health": "ill"} for name in "xy")
    )
    by = world.actor("aurelia", Role.LIAISON)
    assert isinstance(decide_necessity(world.nodes["aurelia"], X, reason="To find the child.", by=by), Waiting)
    gives = world.terms(giver="borealia", receivers=("aurelia",), title="Exchange with a review", extra=REVIEWED)
    world.sign_all(gives, proposer="borealia")
    introduce(world, [("aurelia", "borealia")])
    world.add("borealia", *(make_object(name, more={"name": f"Report {name}"}) for name in ("kept", "wrong")))
    pull_all(world, "borealia", "aurelia")
    with ServedDesk.start(world, "aurelia", vera) as served:
        yield served
    world.close()


@pytest.fixture
def look(chromium: Browser, desk: ServedDesk) -> Iterator[Look]:
    with open_page(chromium, desk.url, TELEPHONE, cookies=desk.cookies) as opened:
        yield opened


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def sees(page: Page, text: str) -> None:
    expect(page.locator("main")).to_contain_text(text)


def test_a_second_person_decides_what_a_colleague_did_and_ends_it(look: Look, desk: ServedDesk) -> None:
    page, node = look.page, desk.world.nodes["aurelia"]
    look.go("/")
    page.get_by_role("listitem").filter(has_text="necessity to decide").get_by_role("link", name="Do this here").click()
    sees(page, "To find the child.")
    assert look.find_overflow() == []
    page.get_by_role("link", name="Look, and approve the very same or decline it").click()
    press(page, "Approve the same, and sign for this party")
    sees(page, "Done, and on record.")
    assert [item.id for item in list_undecided(node)] == [Y]
    look.go(f"/objects/{X}")
    page.get_by_role("link", name="Decide, or end a decision").click()
    page.get_by_text("End it", exact=True).click()
    page.get_by_label("Why it is not necessary any more").fill("Found.")
    press(page, "End it now")
    sees(page, "Found.")
    assert {item.id for item in list_undecided(node)} == {X, Y}


def test_the_first_person_decides_and_nothing_is_given_yet(look: Look, desk: ServedDesk) -> None:
    page = look.page
    look.go(f"/necessity?object={Y}")
    page.get_by_text("Decide that it is necessary").click()
    page.get_by_label("Why it is strictly necessary to give health").fill("A hospital asks.")
    press(page, "Approve giving it")
    sees(page, "it waits for a second person")
    sees(page, "You have approved it; somebody else has to.")
    assert Y in {item.id for item in list_undecided(desk.world.nodes["aurelia"])}


def test_two_are_said_to_be_one_person_and_then_two(look: Look) -> None:
    page = look.page
    look.go(f"/objects/{X}")
    page.get_by_role("link", name="Who else may be this person, and what was said of it").click()
    page.get_by_text("Say whether they are one").click()
    assert look.find_overflow() == []
    page.locator("article").get_by_label("Reason").fill("Passport seen.")
    page.locator("article").get_by_role("button", name="They are one person").click()
    sees(page, "that they are one person")
    page.get_by_text("Say it of another object, or say otherwise than before").click()
    form = page.locator("form").filter(has=page.get_by_label("Id of the other object, or its beginning"))
    form.get_by_label("Id of the other object, or its beginning").fill(Y)
    form.get_by_label("Reason").fill("Brothers.")
    form.get_by_role("button", name="They are two persons").click()
    sees(page, "Brothers.")
    sees(page, "Nobody else that is held here looks like this person.")


def test_one_report_is_kept_and_another_is_deleted(look: Look) -> None:
    page = look.page
    look.go("/")
    page.get_by_role("link", name="Retention", exact=True).click()
    assert look.find_overflow() == []
    row = page.get_by_role("row").filter(has_text="Report wrong")
    row.get_by_role("link", name="Delete it now").click()
    sees(page, "It cannot be taken back.")
    page.get_by_label("Why it is deleted, for this party's own record").fill("It was wrong.")
    press(page, "Delete every version for good")
    sees(page, "Deleted, and on record.")
    look.go("/retention")
    kept = page.get_by_role("row").filter(has_text="Report kept")
    kept.get_by_text("Keep it", exact=True).click()
    kept.get_by_label("Why it is kept").fill("Case 12 is open.")
    press(page, "Keep it until the next review")
    sees(page, "Done, and on record.")
    sees(page, "It was wrong.")
