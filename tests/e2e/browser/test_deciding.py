# SPDX-License-Identifier: Apache-2.0
"""What a colleague began is read and decided on by browser, on a telephone, in the dark and without scripts."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from comity.agreement.people import Person, Role
from comity.intake.formats import Format
from comity.node import agree
from comity.node.articles import ArticlePlan, add_article
from comity.node.correspond import export_messages
from comity.node.people import Waiting
from tests.e2e.browser.desks import ARTICLE, ServedDesk, ask_and_recall
from tests.e2e.browser.looking import Look, View, open_page
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

TELEPHONE = View(width=390, height=844, scheme="dark", scripts=False)
GROUP = '[structure]\nkind = "group"\naccession = "any_member"'
ITEM = object_id("report", "x")


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("messages") / "borealia.messages.json"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, messages: Path) -> Iterator[ServedDesk]:
    """Vera has every role; her colleague has proposed two texts, which wait."""
    world = World(tmp_path_factory.mktemp("deciding"))
    world.found("aurelia", "borealia", "meridia")
    vera = Person(id=world.register("aurelia", "vera", *Role).person, name="Vera", roles=frozenset(Role))
    world.sign_all(world.terms(title="Group that can be joined", extra=GROUP))
    for day in (1, 2):
        world.add("aurelia", make_object("x", day=day))
        world.tick()
    by = world.actor("aurelia", Role.LIAISON)
    for title in ("Letters to approve", "Letters to decline"):
        assert isinstance(agree.propose(world.nodes["aurelia"], world.terms(title=title), by=by), Waiting)
        world.tick()
    ask_and_recall(world, question="Was it seen after May?", reason="The source was not reliable.")
    add_article(world.nodes["aurelia"], ARTICLE.encode(), "talks.txt", ArticlePlan(form=Format.TEXT))
    unsent = world.propose("borealia", world.terms(giver="borealia", receivers=("aurelia",), title="Letters by hand"))
    assert isinstance(unsent, agree.Recorded)
    messages.write_bytes(export_messages(world.nodes["borealia"], unsent.event.agreement))
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


def look_at(look: Look, title: str) -> None:
    look.go("/")
    row = look.page.get_by_role("row").filter(has_text=title)
    row.get_by_role("link", name="Look, and approve").click()


def test_a_second_person_approves_what_was_brought(look: Look) -> None:
    look_at(look, "Letters to approve")
    sees(look.page, "This is the text that aurelia-liaison brought.")
    assert look.page.locator("input[type=file]").count() == 0
    assert look.find_overflow() == []
    look.page.get_by_label("Why, for this party's own record").fill("Basis seen.")
    press(look.page, "Approve the same, and sign for this party")
    sees(look.page, "Done, and on record.")
    sees(look.page, "Letters to approve")


def test_a_second_person_declines(look: Look) -> None:
    look_at(look, "Letters to decline")
    look.page.get_by_label("Reason, for this party's own record").fill("Too wide.")
    press(look.page, "Decline")
    sees(look.page, "It waits for nobody any more.")
    expect(look.page.get_by_role("row").filter(has_text="Letters to decline")).to_have_count(0)


def test_two_tabs_of_one_person_admit_nobody(look: Look) -> None:
    group = look.page
    look.go("/agreements")
    group.get_by_role("link", name="Group that can be joined").click()
    group.get_by_role("link", name="Admit a party to the group").click()
    group.get_by_label("Party, and the manifest pinned here for it").select_option("meridia")
    press(group, "Approve admitting it")
    sees(group, "it waits for a second person")
    group.get_by_role("link", name="What exactly, and to decline it").click()
    tab = group.context.new_page()
    tab.goto(group.url)
    for page in (group, tab):
        sees(page, "You have approved it. Somebody else has to.")
        assert page.get_by_role("button", name="Approve the same, and sign for this party").count() == 0


def test_messages_are_taken_in_from_a_file(look: Look, messages: Path) -> None:
    page = look.page
    look.go("/agreements")
    page.get_by_role("link", name="Take in a file of messages that another party exported").click()
    page.get_by_label("The file").set_input_files(messages)
    page.get_by_label("Reason, for this party's own record").fill("Their line is down.")
    press(page, "Take in what verifies")
    sees(page, "1 recorded, 0 known already, 0 refused")
    page.get_by_role("link", name="The agreement", exact=True).click()
    sees(page, "Letters by hand")


def test_one_version_of_two_is_recalled(look: Look) -> None:
    page = look.page
    look.go(f"/objects/{ITEM}")
    page.get_by_text("Recall it").click()
    page.get_by_label("Reason, which the partners read").fill("The first was wrong.")
    page.get_by_label("Only these:").check()
    page.locator("input[name=version]").first.check()
    press(page, "Recall")
    sees(page, "The first was wrong.")
    assert page.locator("section[aria-labelledby=recall] p").filter(has_text="was recalled").count() == 1


def test_what_an_object_is_about_is_seen_said_and_taken_back(look: Look) -> None:
    page = look.page
    look.go(f"/objects/{ITEM}")
    page.get_by_role("link", name="Say what it is about, or take it back").click()
    page.get_by_label("Where, by ISO 3166-1 alpha-2 code").fill("sy")
    page.get_by_label("arms", exact=True).check()
    press(page, "See what it changes")
    sees(page, "regions: SY; kinds: arms. Nothing is said by looking.")
    assert look.find_overflow() == []
    page.get_by_label("Reason, for this party's own record").fill("Named in it.")
    press(page, "Say so, of every version of it")
    sees(page, "Done, and on record.")
    page.get_by_label("kinds: arms").check()
    page.get_by_label("Why it is no more so").fill("Another case.")
    press(page, "Take back")
    sees(page, "Done, and on record.")
    expect(page.get_by_label("regions: SY")).to_have_count(1)
    expect(page.get_by_label("kinds: arms")).to_have_count(0)


def do_from_work(look: Look, kind: str) -> None:
    look.go("/")
    item = look.page.get_by_role("listitem").filter(has_text=kind).first
    item.get_by_role("link", name="Do this here").click()


def test_a_partner_is_answered_from_where_work_leads(look: Look) -> None:
    page = look.page
    do_from_work(look, "request to answer")
    sees(page, "Was it seen after May?")
    assert look.find_overflow() == []
    page.get_by_label("Answer, which borealia reads").fill("Twice,\nin June.")
    page.get_by_label("Ids of objects that it was given").fill(object_id("report", "aurelia 0"))
    press(page, "Answer")
    sees(page, "Done, and on record.")
    sees(page, "Answered")
    sees(page, "Twice,\nin June.")
    assert page.get_by_role("button", name="Decline to answer").count() == 0


def test_a_party_is_asked_about_an_object_and_the_question_taken_back(look: Look) -> None:
    page = look.page
    look.go(f"/objects/{object_id('report', 'borealia 0')}")
    page.get_by_role("link", name="Ask about it").click()
    assert look.find_overflow() == []
    page.get_by_label("Question, which the party reads").fill("Who saw it?")
    page.get_by_label("How soon").select_option("immediate")
    press(page, "Ask")
    sees(page, "Who saw it?")
    sees(page, "Nobody has answered.")
    look.go("/requests")
    assert look.find_overflow() == []
    page.get_by_role("link", name="Who saw it?").click()
    press(page, "Take the request back")
    sees(page, "Withdrawn")


def test_what_a_partner_recalled_is_kept_from_where_work_leads(look: Look) -> None:
    page = look.page
    do_from_work(look, "recall to decide")
    sees(page, "The source was not reliable.")
    assert look.find_overflow() == []
    page.get_by_label("Reason, which whoever recalled it reads").fill("Evidence in case 12.")
    press(page, "Keep it")
    sees(page, "Done, and on record.")
    sees(page, "Evidence in case 12.")
    assert page.get_by_role("button", name="Keep it").count() == 0
    page.get_by_role("link", name="All recalls").click()
    assert look.find_overflow() == []


def test_an_article_is_deleted_and_its_text_is_in_no_page(look: Look) -> None:
    page = look.page
    look.go("/articles")
    page.get_by_role("link", name="Lucent and Norrhaven talk").click()
    page.get_by_role("link", name="Delete the article, its text and its drafts, for good").click()
    sees(page, "It cannot be taken back.")
    assert look.find_overflow() == []
    there = page.url
    page.get_by_label("Why it is deleted, for this party's own record").fill("Taken in by mistake.")
    press(page, "Delete the article for good")
    sees(page, "Deleted, and on record.")
    assert page.get_by_role("link", name="Lucent and Norrhaven talk").count() == 0
    assert page.request.get(there).status == HTTPStatus.NOT_FOUND
