# SPDX-License-Identifier: Apache-2.0
"""Drafts read and shown before they are signed, versions compared, and what one would release."""

import html
import re

import pytest

from comity.agreement.people import Role
from comity.canonical import sha256_digest
from comity.node.agree import Recorded
from comity.node.standing import list_dossiers
from tests.consoles import URL, Browser, Desk, make_person
from tests.unit.console.test_agreements import read, state
from tests.worlds import World, make_object, object_id

LIAISON = make_person("aurelia-liaison", Role.LIAISON)
LEGAL = make_person("aurelia-legal", Role.LEGAL)
AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
PAGE = "/agreements/propose"
HEADERS = {"origin": URL, "sec-fetch-site": "same-origin"}


def count(world: World) -> int:
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        return len(list_dossiers(node, transaction))


def look(browser: Browser, draft: str) -> str:
    answer = browser.post(PAGE, PAGE, step="look", draft=draft)
    assert answer.status_code == 200
    return answer.text


def take_hidden(page: str) -> str:
    """The draft as the form holds it that signs."""
    found = re.search(r'<input type="hidden" name="draft" value="([^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


def test_a_draft_is_shown_with_its_meaning_and_effect_before_anything_is_signed(desk: Desk, world: World) -> None:
    world.add("aurelia", make_object("one"), make_object("red", tlp="red"))
    page = look(desk.visit(LIAISON), world.terms().decode())
    assert "Nothing is signed yet" in page
    assert "1 object would be released" in page
    assert "unmarked and stricter ones are withheld" in page
    assert f"/explain?object={object_id('report', 'one')}&amp;to=borealia" in page
    assert count(world) == 0


def test_two_people_give_the_same_text_and_it_is_proposed(desk: Desk, world: World) -> None:
    first, second = desk.visit(LIAISON), desk.visit(LEGAL)
    draft = world.terms().decode().replace("\n", "\r\n")
    page = look(first, draft)
    waits = first.post(PAGE, PAGE, step="sign", draft=take_hidden(page))
    assert waits.headers["location"] == "/?said=waits"
    assert count(world) == 0
    work = read(second, "/")
    assert re.search(r'<a href="/approvals/[0-9a-f]{64}">Look, and approve</a>', work)
    assert "was approved by" in read(second, PAGE)
    page = look(second, draft)
    assert "Approve the same, and sign for this party" in page
    done = second.post(PAGE, PAGE, step="sign", draft=take_hidden(page), why="As agreed.")
    location = done.headers["location"]
    assert re.fullmatch(r"/agreements/[0-9a-f]{64}\?said=done", location)
    assert state(world, location[12:76]) == "proposed"


def test_another_text_does_not_complete_what_a_colleague_approved(desk: Desk, world: World) -> None:
    desk.visit(LIAISON).post(PAGE, PAGE, step="sign", draft=world.terms().decode())
    page = look(desk.visit(LEGAL), world.terms(tlp="green").decode())
    assert "Approve the same" not in page
    answer = desk.visit(LEGAL).post(PAGE, PAGE, step="sign", draft=take_hidden(page))
    assert answer.headers["location"] == "/?said=waits"
    assert count(world) == 0


@pytest.mark.parametrize(
    ("broken", "line"),
    [("purposes = [", 'tlp_ceiling = "amber"'), ('tlp_ceiling = "purple"', 'tlp_ceiling = "amber"')],
)
def test_what_is_wrong_is_said_with_its_line(desk: Desk, world: World, broken: str, line: str) -> None:
    draft = world.terms().decode().replace(line, broken)
    page = look(desk.visit(LIAISON), draft)
    assert "The draft cannot be read" in page
    shown = re.search(r"<th scope=\"row\">(\d+) <strong class=\"no\">here</strong></th><td><code>(.*?)</code>", page)
    assert shown is not None
    assert html.escape(draft.splitlines()[int(shown[1]) - 1], quote=True).replace("&#x27;", "&#39;") in shown[
        2
    ].replace("&#34;", "&quot;")
    textarea = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert textarea is not None
    assert html.unescape(textarea[1]) == draft
    assert 'value="sign"' not in page


def test_a_file_can_be_chosen(desk: Desk, world: World) -> None:
    browser = desk.visit(LEGAL)
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', read(browser, PAGE))
    assert key is not None
    files = {"file": ("terms.toml", world.terms(), "text/plain")}
    answer = browser.send("POST", PAGE, data={"form_key": key[1], "step": "look"}, files=files, headers=HEADERS)
    assert answer.status_code == 200
    assert "Exchange on Ashfall, version 1" in re.sub("<[^>]*>", "", answer.text)


@pytest.mark.parametrize("draft", [b"\xff\xfe", b"", b"x" * 600_000, b"\x00", "title = '\u202e'".encode()])
def test_what_is_no_draft_is_refused_in_words(desk: Desk, draft: bytes) -> None:
    browser = desk.visit(LEGAL)
    key = re.search(r'name="form_key" value="([0-9a-f]{64})"', read(browser, PAGE))
    assert key is not None
    files = {"file": ("terms.toml", draft, "text/plain")}
    answer = browser.send("POST", PAGE, data={"form_key": key[1], "step": "look"}, files=files, headers=HEADERS)
    assert answer.status_code in {200, 400}
    assert "cannot be read" in answer.text or "form" in answer.text
    assert 'value="sign"' not in answer.text


def test_a_file_with_a_form_of_another_session_is_not_read(desk: Desk, world: World) -> None:
    files = {"file": ("terms.toml", world.terms(), "text/plain")}
    answer = desk.visit(LEGAL).send("POST", PAGE, data={"form_key": "0" * 64}, files=files, headers=HEADERS)
    assert answer.status_code == 400
    assert "of another session" in answer.text


def test_what_this_party_does_not_recognise_has_no_button(desk: Desk, world: World) -> None:
    (world.folder / "aurelia" / "recognition.toml").write_text("")
    page = look(desk.visit(LEGAL), world.terms().decode())
    assert "own policy" in page
    assert 'value="sign"' not in page
    answer = desk.visit(LEGAL).post(PAGE, PAGE, step="sign", draft=world.terms().decode())
    assert answer.status_code == 409
    assert count(world) == 0


def test_who_may_not_propose_reads_no_draft(desk: Desk, world: World) -> None:
    browser = desk.visit(AUDITOR)
    assert browser.get(PAGE).status_code == 404
    answer = browser.send("POST", PAGE, data={"draft": world.terms().decode(), "step": "sign"}, headers=HEADERS)
    assert answer.status_code == 404


@pytest.fixture
def two_versions(world: World) -> tuple[str, str]:
    """An agreement in force, and the next version of it that borealia proposes."""
    world.add("aurelia", make_object("green"), make_object("amber", tlp="amber"), make_object("red", tlp="red"))
    agreement = world.sign_all(world.terms(tlp="green"))
    toml = world.terms(version=2, agreement=agreement, supersedes=agreement, tlp="amber", regions=("IQ",))
    recorded = world.propose("borealia", toml)
    assert isinstance(recorded, Recorded)
    world.deliver()
    return agreement, recorded.event.terms


def test_two_versions_are_compared_in_text_and_effect(desk: Desk, world: World, two_versions: tuple[str, str]) -> None:
    first, second = two_versions
    browser = desk.visit(AUDITOR)
    twin = browser.get(f"/agreements/{first}/diff.json").json()
    assert (twin["before"]["terms"], twin["after"]["terms"]) == two_versions
    changed = {change["clause"]: (change["removed"], change["added"]) for change in twin["changes"]}
    assert changed["channels.main.tlp_ceiling"] == (["green"], ["amber"])
    (channel,) = twin["channels"]
    assert channel["effect"]["gained"]["samples"] == [object_id("report", "amber")]
    page = read(browser, f"/agreements/{first}/diff")
    assert '<del><bdi class="prose" dir="auto">green</bdi></del>' in page
    assert f"/explain?object={object_id('report', 'amber')}&amp;to=borealia" in page
    back = browser.get(f"/agreements/{first}/diff.json?from={second}&to={first}").json()
    assert back["channels"][0]["effect"]["lost"]["objects"] == 1
    assert browser.get(f"/agreements/{first}/diff?from=zz").status_code == 400
    assert browser.get(f"/agreements/{first}/diff?from={sha256_digest(b'x')}").status_code == 404


def test_the_preview_is_of_the_latest_version_or_the_one_named(
    desk: Desk, world: World, two_versions: tuple[str, str]
) -> None:
    first, second = two_versions
    browser = desk.visit(LIAISON)
    latest = browser.get(f"/agreements/{first}/preview.json").json()
    assert (latest["terms"], latest["summary"]["released"], latest["summary"]["gained"]) == (second, 2, 1)
    page = read(browser, f"/agreements/{first}/preview")
    assert "Withheld by" in page
    assert "<code>tlp_ceiling</code>" in page or "tlp" in page
    accept = read(browser, f"/agreements/{first}/accept")
    assert "<dt>Newly released</dt><dd>1</dd>" in accept


def test_one_version_alone_differs_in_nothing(desk: Desk, world: World) -> None:
    agreement = world.sign_all(world.terms())
    assert "The texts say the same." in read(desk.visit(LEGAL), f"/agreements/{agreement}/diff")


def test_who_may_not_see_objects_has_no_preview(desk: Desk, world: World, two_versions: tuple[str, str]) -> None:
    browser = desk.visit(AUDITOR)
    assert browser.get(f"/agreements/{two_versions[0]}/preview").status_code == 404
    assert "/preview" not in read(browser, f"/agreements/{two_versions[0]}")
