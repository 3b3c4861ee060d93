# SPDX-License-Identifier: Apache-2.0
"""Threat assessments in the console: written in words, shown by their end, renewed by whoever may."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from comity.agreement.people import Role
from comity.agreement.work import WorkKind
from comity.ids import Instant, format_instant
from comity.node.assess import Assessed, NewAssessment, assess
from comity.node.audit import audit_folder
from comity.node.journal import list_entries
from comity.node.work import list_work
from tests.chains import introduce, pull_all
from tests.consoles import Browser, Desk, make_person
from tests.worlds import World, make_object, object_id

DAY = 86_400_000_000
GROUP = object_id("intrusion-set", "group")
TYPES = ("note", "intrusion-set", "report")
EVIL = '"></textarea><script>window.ran=1</script>'
ANALYST = make_person("aurelia-analyst", Role.ANALYST)
LEGAL = make_person("aurelia-legal", Role.LEGAL)
NOT_OF_THE_DESK = (make_person("aurelia-auditor", Role.AUDITOR), make_person("aurelia-operator", Role.OPERATOR))


@pytest.fixture
def group(world: World) -> World:
    """A world with a group that can be assessed."""
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.add("aurelia", make_object("group", kind="intrusion-set"))
    return world


def day(world: World, days: int) -> str:
    return format_instant(Instant(world.now + days * DAY))[:10]


def fill(world: World, **fields: str) -> dict[str, str]:
    return {
        "id": GROUP,
        "title": "What is expected of the group",
        "text": "It has said that it will come back.",
        "author": "Desk 3",
        "threat": "may attack shipping",
        "may_go_to": "jo, am",
        "may_return_to": "IQ",
        "basis": "two reports of this year",
        "evaluation": "admiralty:B2",
        "tlp": "green",
        "until": day(world, 90),
        **fields,
    }


def write(world: World, title: str = "One", *, days: float = 90, **fields: Any) -> str:  # noqa: ANN401
    new = NewAssessment(
        assessed=GROUP,
        title=title,
        text="It said so.",
        author="Desk 3",
        threat="may attack shipping",
        may_go_to=["JO"],
        may_return_to=["IQ"],
        basis="two reports",
        evaluation="admiralty:B2",
        tlp="green",
        expires_at=Instant(world.now + int(days * DAY)),
    )
    done = assess(world.nodes["aurelia"], replace(new, **fields), by=world.actor("aurelia"))
    assert isinstance(done, Assessed), done
    return done.id


def read(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def list_titles(browser: Browser, query: str = "") -> list[str]:
    return [item["title"] for item in browser.get(f"/assessments.json{query}").json()["assessments"]]


def count_entries(world: World) -> int:
    return len(list_entries(world.nodes["aurelia"], start=0, limit=1_000))


# --- written ----------------------------------------------------------------------------------------------------------


def test_one_is_written_and_goes_as_terms_say(desk: Desk, group: World) -> None:
    group.sign_all(group.terms(types=TYPES))
    browser = desk.visit(ANALYST)
    assert 'href="/assessments/write"' in read(browser, "/assessments")
    assert f'value="{GROUP}"' in read(browser, f"/assessments/write?object={GROUP}")
    done = browser.post("/assessments/write", "/assessments/write", **fill(group))
    found = re.fullmatch(r"(/assessments/(note--[0-9a-f-]{36}))\?said=done", done.headers["location"])
    assert found is not None, done.text
    twin = browser.get(f"{found[1]}.json").json()
    assert (twin["assessed"], twin["threat"], twin["authors"]) == (GROUP, "may attack shipping", ["Desk 3"])
    assert (twin["may_go_to"], twin["may_return_to"]) == (["AM", "JO"], ["IQ"])
    assert twin["expires_at"] == f"{day(group, 90)}T00:00:00.000000Z"
    assert (twin["state"], twin["own"]) == ("good", True)
    page = read(browser, found[1])
    assert "It has said that it will come back." in page
    assert "two reports of this year" in page
    assert json.loads(group.read("borealia")[found[2]])["authors"] == ["Desk 3"]
    contents = [item.content for item in list_entries(group.nodes["aurelia"], start=0, limit=1_000)]
    (noted,) = [item for item in contents if isinstance(item, dict) and item.get("change") == "assess"]
    assert ANALYST.id in json.dumps(noted["approvals"])
    assert audit_folder(group.nodes["aurelia"].folder, now=group.now).findings == ()


def test_what_is_written_has_lines(desk: Desk, group: World) -> None:
    """A browser ends each with two characters, of which the first shows nowhere and would be refused for that."""
    browser, lines = desk.visit(ANALYST), "One.\r\n\r\nTwo."
    # What it rests on is one line of the format: no field of the form lets somebody write more than one.
    assert read(browser, "/assessments/write").count("<textarea") == 1
    done = browser.post("/assessments/write", "/assessments/write", **fill(group, text=lines))
    assert done.status_code == 303, done.text
    page = done.headers["location"].partition("?")[0]
    assert browser.get(f"{page}.json").json()["text"] == "One.\n\nTwo."
    renewed = browser.post(f"{page}/renew", page, text="Three.\r\nFour.", until=day(group, 120), reason="Seen anew.")
    assert renewed.status_code == 303, renewed.text
    assert browser.get(f"{page}.json").json()["text"] == "Three.\nFour."


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"evaluation": "7 of 10"}, 400, "is no evaluation"),
        ({"until": "2020-01-01"}, 400, "has passed already"),
        ({"until": ""}, 400, "until"),
        ({"may_go_to": "Utopia"}, 400, "may_go_to"),
        ({"tlp": "purple"}, 400, "is no TLP level"),
        ({"basis": ""}, 400, "text"),
        ({"id": object_id("intrusion-set", "none")}, 404, "no object"),
        ({"id": object_id("report", "x")}, 400, "not of a type that is assessed"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_stays(
    desk: Desk, group: World, fields: dict[str, str], status: int, said: str
) -> None:
    group.add("aurelia", make_object("x"))
    browser, before = desk.visit(ANALYST), count_entries(group)
    answer = browser.post("/assessments/write", "/assessments/write", **fill(group, **fields))
    assert answer.status_code == status
    assert "It was not written" in answer.text
    assert said in answer.text
    assert "It has said that it will come back.</textarea>" in answer.text
    assert 'value="may attack shipping"' in answer.text
    assert "<option selected>green</option>" in answer.text or fields.get("tlp")
    assert count_entries(group) == before
    assert list_titles(browser) == []


# --- shown ------------------------------------------------------------------------------------------------------------


def test_each_stands_where_its_end_puts_it(desk: Desk, group: World) -> None:
    for title, days in (("Later", 90), ("Soon", 29.5), ("Over", 2), ("Long over", 1)):
        write(group, title, days=days)
    group.tick(3 * DAY)
    browser = desk.visit(ANALYST)
    assert list_titles(browser) == ["Soon", "Later"]
    assert list_titles(browser, "?state=good") == ["Later"]
    assert list_titles(browser, "?state=ending") == ["Soon"]
    assert list_titles(browser, "?state=lapsed") == ["Over", "Long over"]
    assert "ends soon" in read(browser, "/assessments?state=ending")
    assert "ends soon" not in read(browser, "/assessments?state=good")
    assert read(browser, "/assessments?state=lapsed").count("has ended") == 2
    assert browser.get("/assessments?state=nonsense").status_code == 400
    assert browser.get("/assessments?before=nonsense").status_code == 400


@pytest.mark.parametrize("state", ["", "lapsed"])
def test_pages_lead_on_and_leave_none_out(
    desk: Desk, group: World, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Several end at the same time: where one page ends the next begins, whatever their ends are."""
    monkeypatch.setattr("comity.console.assessments._ROWS", 3)
    titles = [f"Number {number}" for number in range(8)]
    for number, title in enumerate(titles):
        write(group, title, days=2 + number // 3)
    group.tick((20 if state else 0) * DAY)
    browser, path, seen = desk.visit(ANALYST), f"/assessments?{'state=lapsed' if state else ''}", list[str]()
    while path:
        page = read(browser, path)
        seen += re.findall(r"Number \d", page)
        more = re.search(r'<a href="(/assessments\?[^"]+)" rel="next"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    assert seen == (titles[::-1] if state else titles)


def test_one_that_has_ended_says_so_and_is_renewed(desk: Desk, group: World) -> None:
    group.sign_all(group.terms(types=TYPES))
    name = write(group, days=2)
    group.tick(3 * DAY)
    assert name not in group.read("borealia")
    browser, page = desk.visit(ANALYST), f"/assessments/{name}"
    assert "Its time has passed" in read(browser, page)
    before = count_entries(group)
    for fields in ({"until": day(group, -1), "reason": "r"}, {"until": day(group, 60)}, {"reason": "r"}):
        assert browser.post(f"{page}/renew", page, **fields).status_code == 400, fields
    assert count_entries(group) == before
    done = browser.post(f"{page}/renew", page, until=day(group, 60), reason="Nothing has changed.", text="")
    assert done.headers["location"] == f"{page}?said=done", done.text
    group.tick()
    assert name in group.read("borealia")
    twin = browser.get(f"{page}.json").json()
    assert (twin["state"], twin["text"]) == ("good", "It said so.")
    done = browser.post(f"{page}/renew", page, until=day(group, 70), reason="More is known.", text="It said more.")
    assert done.status_code == 303
    assert "It said more." in read(browser, page)
    assert "Its time has passed" not in read(browser, page)


def test_what_a_partner_wrote_is_shown_and_not_renewed(world: World) -> None:
    introduce(world, [("aurelia", "borealia")])
    world.sign_all(world.terms(types=TYPES))
    world.add("aurelia", make_object("group", kind="intrusion-set"))
    name = write(world)
    pull_all(world, "aurelia", "borealia")
    world.register("borealia", "borealia-analyst", Role.ANALYST)
    browser = Desk(world.nodes["borealia"]).visit(make_person("borealia-analyst", Role.ANALYST))
    page = read(browser, f"/assessments/{name}")
    assert "can renew it." in page
    assert "/renew" not in page
    assert list_titles(browser) == ["One"]
    fields = {"until": day(world, 120), "reason": "r"}
    answer = browser.post(f"/assessments/{name}/renew", "/assessments/write", **fields)
    assert (answer.status_code, "which alone can renew it" in answer.text) == (400, True)


def test_what_is_no_assessment_has_no_page(desk: Desk, group: World) -> None:
    browser = desk.visit(ANALYST)
    assert browser.get(f"/assessments/{GROUP}").status_code == 400
    assert browser.get("/assessments/note--00000000").status_code == 404


# --- who may not, and what is hostile ---------------------------------------------------------------------------------


@pytest.mark.parametrize("person", NOT_OF_THE_DESK, ids=lambda person: person.id)
def test_who_may_not_read_objects_finds_none(desk: Desk, group: World, person: Any) -> None:  # noqa: ANN401
    name = write(group, "Nobody else reads this")
    browser, before = desk.visit(person), count_entries(group)
    for path in ("/assessments", "/assessments/write", f"/assessments/{name}"):
        for tail in ("", ".json"):
            answer = browser.get(path + tail)
            assert answer.status_code == 404, path
            assert "Nobody else" not in answer.text
    assert 'href="/assessments"' not in browser.get("/").text
    for path in ("/assessments/write", f"/assessments/{name}/renew"):
        answer = browser.post(path, "/me", **fill(group), reason="r")
        assert (answer.status_code, "Write a threat assessment" in answer.text) == (404, False), path
    assert count_entries(group) == before


def test_a_form_of_another_session_does_nothing(desk: Desk, group: World) -> None:
    name = write(group)
    browser, before = desk.visit(ANALYST), count_entries(group)
    for path in ("/assessments/write", f"/assessments/{name}/renew"):
        for key in ("0" * 64, ""):
            answer = browser.send_form(path, form_key=key, **fill(group), reason="r")
            assert answer.status_code == 400, path
    assert count_entries(group) == before


def test_what_is_said_is_no_markup(desk: Desk, group: World) -> None:
    said: dict[str, Any] = dict.fromkeys(("title", "text", "author", "threat", "basis"), EVIL)
    name = write(group, EVIL, **{field: text for field, text in said.items() if field != "title"})
    browser = desk.visit(ANALYST)
    refused = browser.post("/assessments/write", "/assessments/write", **fill(group, **said, evaluation=EVIL))
    assert refused.status_code == 400
    for page in (read(browser, "/assessments"), read(browser, f"/assessments/{name}"), refused.text):
        assert "<script>window" not in page
        assert "&lt;script&gt;window" in page


def test_work_leads_to_the_one_that_ends(desk: Desk, group: World) -> None:
    name = write(group, days=20)
    (item,) = [one for one in list_work(group.nodes["aurelia"]) if one.kind is WorkKind.ASSESSMENT_ENDS]
    assert item.object == name
    for person, there in ((ANALYST, [f"/assessments/{name}"]), (NOT_OF_THE_DESK[0], [])):
        ends = desk.visit(person).get("/work.json").json()["ends"]
        assert [one["page"] for one in ends if one["kind"] == "assessment-ends"] == there


def test_work_leads_to_all_of_those_that_it_counts_in_one_line(
    desk: Desk, group: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comity.node.classifywork._MOST_ENDING", 1)
    for number in range(3):
        write(group, f"Number {number}", days=20 + number)
    browser = desk.visit(ANALYST)
    _, many = browser.get("/work.json").json()["ends"]
    assert (many["object"], many["count"], many["page"]) == (None, 2, "/assessments?state=ending")
    assert '<a href="/assessments?state=ending">All of them, and to do this here</a>' in read(browser, "/")
    assert len(browser.get("/assessments.json?state=ending").json()["assessments"]) == 3
    assert desk.visit(NOT_OF_THE_DESK[0]).get("/work.json").json()["ends"] == []
    group.tick(25 * 86_400_000_000)
    _, many = browser.get("/work.json").json()["ends"]
    assert (many["count"], many["page"]) == (2, "/assessments?state=lapsed")
    assert len(browser.get("/assessments.json?state=lapsed").json()["assessments"]) == 3
