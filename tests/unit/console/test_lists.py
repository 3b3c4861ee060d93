# SPDX-License-Identifier: Apache-2.0
"""Lists of subjects and who left one in the console: seen by the desk, decided by as many as it takes."""

import html
import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from comity.agreement.people import Role
from comity.classification.lists import parse_subject_list
from comity.node.agree import propose
from comity.node.audit import audit_folder
from comity.node.journal import list_entries
from comity.node.lists import Loaded, list_questions, load_list
from comity.node.people import Waiting, list_matters
from tests.consoles import Browser, Desk, make_person
from tests.worlds import World, make_object, object_id

ASHFALL, OTHER = "national:ashfall", "national:other"
X = object_id("report", "x")
EVIL = '"><script>window.ran=1</script>'
LIAISON = make_person("aurelia-liaison", Role.LIAISON)
LEGAL = make_person("aurelia-legal", Role.LEGAL)
ANALYST = make_person("aurelia-analyst", Role.ANALYST)
NOT_OF_THE_DESK = (make_person("aurelia-auditor", Role.AUDITOR), make_person("aurelia-operator", Role.OPERATOR))


def load(world: World, version: str, *entries: dict[str, Any]) -> None:
    parsed = parse_subject_list(make_file(version, *entries))
    done = load_list(world.nodes["aurelia"], parsed, reason="new", by=world.actor("aurelia"))
    assert isinstance(done, Loaded), done


def entry(subject: str, *names: str, aliases: tuple[str, ...] = ()) -> dict[str, Any]:
    said = [{"name": alias, "quality": "low"} for alias in aliases]
    return {"subject": subject, "kind": "entity", "names": [*names] or [f"One of {subject}"], "aliases": said}


@pytest.fixture
def left(world: World) -> World:
    """A world in which x went, until its subject left the list."""
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.sign_all(world.terms(subjects=[ASHFALL, OTHER]))
    world.add("aurelia", make_object("x"))
    load(world, "2026-01", entry(ASHFALL), entry(OTHER))
    assert X in world.read("borealia")
    world.tick()
    load(world, "2026-02", entry(OTHER, "Another"), entry("national:third"))
    assert X not in world.read("borealia")
    return world


def read(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def bring(
    browser: Browser,
    data: bytes | None,
    *,
    key: str | None = None,
    reason: str = "As published.",
    to: str = "/lists",
    **more: str,
) -> Any:  # noqa: ANN401
    """Send a file by the form that loads it, or that looks at it; of this session unless `key` is another's."""
    found = re.search(r'name="form_key" value="([0-9a-f]{64})"', browser.get("/me").text)
    assert found is not None
    fields = {"form_key": found[1] if key is None else key, "reason": reason, **more}
    files = {"other": b""} if data is None else {"file": ("list.json", data)}
    headers = {"origin": browser.url, "sec-fetch-site": "same-origin"}
    return browser.send("POST", to, data=fields, files=files, headers=headers)


def follow(browser: Browser, begun: Any) -> Any:  # noqa: ANN401
    """The page of the work that was begun."""
    assert begun.status_code == 303, begun.text
    return browser.get(begun.headers["location"])


def look(browser: Browser, data: bytes | None) -> Any:  # noqa: ANN401
    """The page of what a version would change."""
    return follow(browser, bring(browser, data, to="/lists/preview"))


def load_seen(browser: Browser, data: bytes | None, **more: str) -> Any:  # noqa: ANN401
    """The page of a version that is loaded by the form of the page on which it was looked at."""
    return follow(browser, bring(browser, data, **read_hidden(look(browser, data).text, "/lists"), **more))


def read_hidden(text: str, action: str) -> dict[str, str]:
    """The hidden fields of the form on that page that leads there, but for its key."""
    (form,) = re.findall(rf'<form[^>]* action="{re.escape(action)}".*?</form>', text, re.DOTALL)
    found = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    return {name: html.unescape(value) for name, value in found.items() if name != "form_key"}


def make_file(version: str, *entries: dict[str, Any]) -> bytes:
    listed = {"format": "comity-subject-list/1", "list": "national", "version": version, "entries": list(entries)}
    return json.dumps(listed).encode()


def count_entries(world: World) -> int:
    return len(list_entries(world.nodes["aurelia"], start=0, limit=1_000))


def decide(browser: Browser, decision: str, *, reason: str = "It has another name.", **fields: str) -> Any:  # noqa: ANN401
    asked = {"subject": ASHFALL, "version": "2026-02", "decision": decision, "reason": reason, **fields}
    return browser.post("/lists/decide", "/me", **asked)


# --- versions ---------------------------------------------------------------------------------------------------------


def test_versions_are_shown_with_what_each_changed(desk: Desk, left: World) -> None:
    page = read(desk.visit(ANALYST), "/lists")
    assert page.index("2026-02") < page.index("2026-01")
    twin = desk.visit(ANALYST).get("/lists.json").json()
    last, first = twin["versions"]
    assert (last["counts"], last["last"], last["reviewed_at"]) == (
        {"listed": 1, "delisted": 1, "changed": 1},
        True,
        None,
    )
    assert (last["listed"], last["delisted"], last["changed"]) == (["national:third"], [ASHFALL], [OTHER])
    assert (first["version"], first["last"], first["counts"]["delisted"]) == ("2026-01", False, 0)


def test_what_a_version_changes_is_cut_and_counted(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    load(world, "1", entry(OTHER))
    load(world, "2", *(entry(f"national:n{number:04}") for number in range(300)))
    browser = desk.visit(ANALYST)
    (version, _) = browser.get("/lists.json").json()["versions"]
    assert (len(version["listed"]), version["counts"]["listed"]) == (20, 300)
    assert "and 280 more" in read(browser, "/lists")
    assert "and 200 more" in read(browser, "/lists/national")
    seen = look(browser, make_file("3", entry(OTHER))).text
    assert "and 250 more" in seen
    assert "and 50 more" not in seen
    assert "<p>And 200 more; the " in seen


def test_that_it_was_looked_at_is_noted_once_and_of_what_was_seen(desk: Desk, left: World) -> None:
    browser, page = desk.visit(ANALYST), "/lists/national"
    other = browser.post(f"{page}/review", page, version="2026-01", reason="Seen.")
    assert (other.status_code, "was loaded since" in other.text) == (409, True)
    assert browser.get(f"{page}.json").json()["reviewed_at"] is None
    assert browser.post(f"{page}/review", page, version="2026-02").status_code == 400
    done = browser.post(f"{page}/review", page, version="2026-02", reason="Seen; nothing to change.")
    assert done.headers["location"] == f"{page}?said=done", done.text
    assert browser.get(f"{page}.json").json()["reviewed_at"] is not None
    content = list_entries(left.nodes["aurelia"], start=-1, limit=1)[0].content
    assert isinstance(content, dict)
    assert (content["change"], content["reason"]) == ("review-list", "Seen; nothing to change.")
    assert "Note it" not in read(browser, page)
    assert audit_folder(left.nodes["aurelia"].folder, now=left.now).findings == ()


def test_a_version_is_loaded_from_its_file_and_stops_who_left(desk: Desk, left: World) -> None:
    left.add("aurelia", make_object("y", subjects=[OTHER]))
    assert object_id("report", "y") in left.read("borealia")
    browser = desk.visit(ANALYST)
    done = load_seen(browser, make_file("2026-03", entry(ASHFALL)))
    assert "is loaded, and on record: 1 entry." in done.text
    assert "1 object is about who left: it goes to nobody" in done.text
    twin = browser.get("/lists/national.json").json()
    assert (twin["version"], twin["by"]) == ("2026-03", "aurelia-analyst (analyst)")
    assert (twin["listed"], twin["delisted"]) == ([ASHFALL], [OTHER, "national:third"])
    assert object_id("report", "y") not in left.read("borealia")
    assert audit_folder(left.nodes["aurelia"].folder, now=left.now).findings == ()


def test_what_a_version_would_do_is_shown_first_and_only_that_one_is_loaded(desk: Desk, left: World) -> None:
    left.add("aurelia", make_object("y", subjects=[OTHER]))
    browser, data = desk.visit(ANALYST), make_file("2026-03", entry(ASHFALL))
    before = count_entries(left)
    page = look(browser, data)
    assert page.status_code == 200, page.text
    assert "1 object is about who left" in page.text
    assert "national:third" in page.text
    assert count_entries(left) == before
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', page.text)
    assert found is not None
    other = follow(browser, bring(browser, make_file("2026-03", entry(OTHER)), digest=found[1]))
    assert other.status_code == 409
    assert "another version than the one that was looked at" in other.text
    assert count_entries(left) == before
    assert object_id("report", "y") in left.read("borealia")
    unseen = bring(browser, data)
    assert (unseen.status_code, "look at a version first" in unseen.text) == (400, True)
    assert object_id("report", "y") in left.read("borealia")
    assert "is loaded" in follow(browser, bring(browser, data, digest=found[1])).text
    assert object_id("report", "y") not in left.read("borealia")


def test_a_version_is_looked_at_by_whom_it_is_for_alone(desk: Desk, left: World) -> None:
    for person in NOT_OF_THE_DESK:
        assert bring(desk.visit(person), make_file("2026-03", entry(OTHER)), to="/lists/preview").status_code == 404
    browser = desk.visit(ANALYST)
    assert bring(browser, make_file("2026-03", entry(OTHER)), key="0" * 64, to="/lists/preview").status_code == 400
    bad = look(browser, make_file("2026-02", entry(OTHER)))
    assert (bad.status_code, "sorts behind it" in bad.text) == (409, True)


@pytest.mark.parametrize(
    ("data", "reason", "expected"),
    [
        (b"not a list", "r", (400, "not a list of subjects")),
        (b"", "r", (400, "not a list of subjects")),
        (b"<CONSOLIDATED_LIST/>", "r", (400, "has no dateGenerated")),
        (make_file("2026-02", entry(OTHER)), "r", (409, "sorts behind it")),
        (make_file("2026-03", entry(OTHER)), "", (400, "reason must be given")),
        (None, "r", (400, "choose the file")),
    ],
)
def test_a_file_that_is_not_taken_in_changes_nothing(
    desk: Desk, left: World, data: bytes | None, reason: str, expected: tuple[int, str]
) -> None:
    browser, before = desk.visit(ANALYST), count_entries(left)
    digest = parse_subject_list(data).digest if data and data[:1] == b"{" else "0" * 64
    begun = bring(browser, data, reason=reason, digest=digest)
    answer = begun if data is None else follow(browser, begun)
    assert (answer.status_code, expected[1] in answer.text) == (expected[0], True), answer.text
    assert browser.get("/lists/national.json").json()["version"] == "2026-02"
    assert count_entries(left) == before


def test_a_file_of_whom_it_is_not_for_is_not_read(desk: Desk, left: World) -> None:
    before = count_entries(left)
    for person in NOT_OF_THE_DESK:
        for key in (None, "0" * 64):
            assert bring(desk.visit(person), make_file("2026-03", entry(OTHER)), key=key).status_code == 404
    assert bring(desk.visit(ANALYST), make_file("2026-03", entry(OTHER)), key="0" * 64).status_code == 400
    assert count_entries(left) == before


# --- entries ----------------------------------------------------------------------------------------------------------


def test_entries_come_by_pages_and_lead_to_the_objects(desk: Desk, world: World) -> None:
    load(world, "1", *(entry(f"national:n{number:04}") for number in range(250)))
    browser, path, seen = desk.visit(ANALYST), "/lists/national", list[str]()
    for expected in (100, 100, 50):
        page = read(browser, path)
        found = re.findall(r'<th scope="row"><a href="/objects\?subject=national%3An(\d{4})">', page)
        assert len(found) == expected
        seen += found
        more = re.search(r'<a href="(/lists/national\?[^"]+)" rel="next"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    assert seen == [f"{number:04}" for number in range(250)]
    assert path == ""
    assert browser.get("/lists/national.json").json()["total"] == 250


@pytest.mark.parametrize("wanted", ["stránský", "STRÁNSKÝ", "the ford", "national:b", " Ford "])
def test_an_entry_is_found_by_a_part_of_its_name_alias_or_subject(desk: Desk, world: World, wanted: str) -> None:
    load(world, "1", entry("national:a", "Alpha"), entry("national:b", "Jan Stránský", aliases=("The Ford",)))
    found = desk.visit(ANALYST).get(f"/lists/national.json?{urlencode({'q': wanted})}").json()
    assert [item["subject"] for item in found["entries"]] == ["national:b"]
    assert found["total"] == 2


def test_what_is_searched_for_goes_on_to_the_next_page(desk: Desk, world: World) -> None:
    names = [entry(f"national:n{number:04}", "Marrow" if number % 2 else "Ford") for number in range(240)]
    load(world, "1", *names)
    browser = desk.visit(ANALYST)
    page = read(browser, "/lists/national?q=marrow")
    more = re.search(r'<a href="(/lists/national\?[^"]+)" rel="next"', page)
    assert more is not None
    rest = browser.get(more[1].replace("&amp;", "&").replace("national?", "national.json?")).json()
    assert [item["subject"] for item in rest["entries"]] == [f"national:n{n:04}" for n in range(201, 240, 2)]
    assert "Nobody on it is called that" in read(browser, "/lists/national?q=nobody")


def test_of_a_list_that_is_not_held_there_is_nothing(desk: Desk, left: World) -> None:
    assert desk.visit(ANALYST).get("/lists/unsc").status_code == 404


# --- who left ---------------------------------------------------------------------------------------------------------


def test_two_people_let_it_go_on_and_the_second_needs_no_reason_of_his_own(desk: Desk, left: World) -> None:
    liaison, legal = desk.visit(LIAISON), desk.visit(LEGAL)
    assert "Nobody has decided yet." in read(legal, "/lists")
    first = decide(liaison, "keep")
    assert first.headers["location"] == "/lists?said=waits", first.text
    assert X not in left.read("borealia")
    (matter,) = list_matters(left.nodes["aurelia"])
    page = f"/approvals/{matter.digest}"
    assert f"<code>{ASHFALL}</code>" in read(legal, "/").partition(page)[2].partition("</tr>")[0]
    assert f'href="{page}"' in read(legal, "/lists")
    assert f'action="{page}/approve"' in read(legal, page)
    assert liaison.post(f"{page}/approve", page).status_code == 409
    done = legal.post(f"{page}/approve", page)
    assert done.headers["location"] == "/?said=done", done.text
    left.tick()
    assert X in left.read("borealia")
    (question,) = legal.get("/lists.json").json()["questions"]
    assert (question["decision"], question["reason"], question["objects"]) == ("keep", "It has another name.", 1)
    assert question["by"] == "aurelia-legal (legal), aurelia-liaison (liaison)"
    assert audit_folder(left.nodes["aurelia"].folder, now=left.now).findings == ()


def test_two_people_let_it_go_on_by_the_same_form(desk: Desk, left: World) -> None:
    decide(desk.visit(LIAISON), "keep")
    assert decide(desk.visit(LIAISON), "keep").headers["location"] == "/lists?said=waits"
    assert decide(desk.visit(LEGAL), "keep", reason="Another.").headers["location"] == "/lists?said=waits"
    assert X not in left.read("borealia")
    assert decide(desk.visit(LEGAL), "keep").headers["location"] == "/lists?said=done"
    left.tick()
    assert X in left.read("borealia")


def test_what_waits_is_declined(desk: Desk, left: World) -> None:
    decide(desk.visit(LIAISON), "keep")
    (matter,) = list_matters(left.nodes["aurelia"])
    page = f"/approvals/{matter.digest}"
    done = desk.visit(LEGAL).post(f"{page}/decline", page, reason="Not yet.")
    assert done.headers["location"] == "/?said=declined"
    assert list_matters(left.nodes["aurelia"]) == []
    assert "has approved that it goes on" not in read(desk.visit(LEGAL), "/lists")


def test_what_waits_is_not_signed_once_the_subject_has_left_anew(desk: Desk, left: World) -> None:
    decide(desk.visit(LIAISON), "keep")
    (matter,) = list_matters(left.nodes["aurelia"])
    load(left, "2026-03", entry(OTHER), entry(ASHFALL))
    load(left, "2026-04", entry(OTHER))
    page = f"/approvals/{matter.digest}"
    assert desk.visit(LEGAL).post(f"{page}/approve", page).status_code == 409
    late = decide(desk.visit(LIAISON), "keep")
    assert (late.status_code, "has left its list anew" in late.text) == (409, True)
    (question,) = [item for item, _ in list_questions(left.nodes["aurelia"]) if item.subject == ASHFALL]
    assert question.decision is None


def test_one_person_keeps_it_stopped_and_decides_otherwise_later(desk: Desk, left: World) -> None:
    assert decide(desk.visit(ANALYST), "stop").headers["location"] == "/lists?said=done"
    page = read(desk.visit(LEGAL), "/lists")
    assert "Stays stopped" in page
    assert 'value="keep"' in page
    assert 'value="stop"' not in page
    again = decide(desk.visit(ANALYST), "stop")
    assert (again.status_code, "have decided so already" in again.text) == (409, True)
    assert X not in left.read("borealia")


def test_an_analyst_is_offered_what_an_analyst_can_do(desk: Desk, left: World) -> None:
    page = read(desk.visit(ANALYST), "/lists")
    assert 'value="stop"' in page
    assert 'value="keep"' not in page
    before = count_entries(left)
    refused = decide(desk.visit(ANALYST), "keep")
    assert (refused.status_code, "legal or liaison" in refused.text) == (409, True)
    assert count_entries(left) == before
    assert list_matters(left.nodes["aurelia"]) == []


def test_what_waits_is_not_told_to_whom_it_is_not_for(desk: Desk, left: World) -> None:
    decide(desk.visit(LIAISON), "keep", reason="Said by a source.")
    assert "Said by a source." in read(desk.visit(LEGAL), "/lists")
    for path in ("/lists", "/lists.json", "/lists/national"):
        assert "Said by a source." not in desk.visit(ANALYST).get(path).text


def test_other_acts_that_wait_are_no_decisions_on_subjects(desk: Desk, left: World) -> None:
    by = left.actor("aurelia", Role.LIAISON)
    assert isinstance(propose(left.nodes["aurelia"], left.terms(title="Letters"), by=by), Waiting)
    for path in ("/lists.json", "/rules.json"):
        assert desk.visit(LEGAL).get(path).json()["waiting"] == {}


def test_questions_come_by_pages_with_those_undecided_first(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    load(world, "1", entry(OTHER), *(entry(f"national:n{number:03}") for number in range(70)))
    load(world, "2", entry(OTHER))
    browser = desk.visit(ANALYST)
    stopped = browser.post("/lists/decide", "/lists", subject="national:n000", decision="stop", reason="So.")
    assert stopped.headers["location"] == "/lists?said=done"
    first = browser.get("/lists.json").json()
    assert [item["subject"] for item in first["questions"]] == [f"national:n{number:03}" for number in range(1, 51)]
    more = re.search(r'<a href="(/lists\?[^"]+)" rel="next"', read(browser, "/lists"))
    assert more is not None
    rest = browser.get(more[1].replace("lists?", "lists.json?")).json()
    names = [item["subject"] for item in rest["questions"]]
    assert names == [*(f"national:n{number:03}" for number in range(51, 70)), "national:n000"]
    assert rest["next"] is None
    for nonsense in ("-1", "x", "999999999999"):
        assert browser.get(f"/lists?from={nonsense}").status_code == 200


# --- who may not, and what is hostile ---------------------------------------------------------------------------------


@pytest.mark.parametrize("person", NOT_OF_THE_DESK, ids=lambda person: person.id)
def test_who_may_not_read_objects_finds_no_list(desk: Desk, left: World, person: Any) -> None:  # noqa: ANN401
    browser, before = desk.visit(person), count_entries(left)
    for path in ("/lists", "/lists/national", "/rules"):
        for tail in ("", ".json"):
            answer = browser.get(path + tail)
            assert answer.status_code == 404, path
            assert ASHFALL not in answer.text
    assert 'href="/lists"' not in browser.get("/").text
    for path in ("/lists/decide", "/lists/national/review", "/rules/end"):
        answer = browser.post(path, "/me", subject=ASHFALL, decision="stop", reason="r", rules="x", version="2026-02")
        assert answer.status_code == 404, path
    assert count_entries(left) == before


def test_a_form_of_another_session_does_nothing(desk: Desk, left: World) -> None:
    browser, before = desk.visit(ANALYST), count_entries(left)
    fields = {"subject": ASHFALL, "decision": "stop", "reason": "r", "rules": "harbour", "version": "2026-02"}
    for path in ("/lists/decide", "/lists/national/review", "/rules/end"):
        for key in ("0" * 64, ""):
            assert browser.send_form(path, form_key=key, **fields).status_code == 400, path
    assert count_entries(left) == before


def test_names_and_versions_are_no_markup(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    hostile = "national:" + EVIL.replace(" ", "")
    load(world, f"1{EVIL}", entry(OTHER, EVIL, aliases=(EVIL,)), entry(hostile))
    load(world, f"2{EVIL}", entry(OTHER, f"{EVIL}2", aliases=(EVIL,)))
    browser = desk.visit(ANALYST)
    assert decide(browser, "stop", reason=EVIL, subject=hostile, version=f"2{EVIL}").status_code == 303
    for path in ("/lists", "/lists/national", f"/lists/national?{urlencode({'q': EVIL})}"):
        page = read(browser, path)
        assert "<script>window" not in page, path
        assert "&lt;script&gt;window" in page, path


def test_work_leads_here(desk: Desk, left: World) -> None:
    def find_pages(person: Any) -> dict[str, str | None]:  # noqa: ANN401
        return {item["kind"]: item["page"] for item in desk.visit(person).get("/work.json").json()["todo"]}

    assert find_pages(ANALYST) == {"subject-to-decide": "/lists#questions", "list-changed": "/lists"}
    assert find_pages(NOT_OF_THE_DESK[1]) == {}
