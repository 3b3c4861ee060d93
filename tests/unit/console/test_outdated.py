# SPDX-License-Identifier: Apache-2.0
"""A page that shows what is so no more does nothing but what it showed: each form names that, and the node compares."""

import html
import re
from collections.abc import Iterator
from typing import Any

from comity.agreement.events import EventKind
from comity.agreement.people import Role
from comity.canonical import Json
from comity.node import agree
from comity.node.agree import Recorded
from comity.node.articles import ArticlePlan, Decided, add_article, confirm, correct
from comity.node.assess import renew
from comity.node.audit import audit_folder
from comity.node.classify import Classified, say, take_back
from comity.node.identity import judge_persons
from comity.node.journal import list_entries
from comity.node.lists import Decided as Decision
from comity.node.lists import decide_subject
from comity.node.necessity import decide_necessity, end_necessity, list_undecided
from comity.node.people import Waiting, list_matters
from comity.node.retention import keep
from tests.consoles import Browser, Desk, make_person
from tests.unit.console.test_agreements import LEGAL, LIAISON, state
from tests.unit.console.test_assessments import ANALYST, write
from tests.unit.console.test_identity import BORN
from tests.unit.console.test_intake import bring, bundle, count
from tests.unit.console.test_lists import ASHFALL, OTHER, entry, follow, read_hidden
from tests.unit.console.test_lists import bring as bring_list
from tests.unit.console.test_lists import load as load_version
from tests.unit.console.test_lists import look as look_at_list
from tests.unit.console.test_lists import make_file as make_list
from tests.unit.node.test_retention import DAY, REVIEWED, list_due, meet, receive
from tests.unit.node.test_retention import agree as agree_on
from tests.unit.node.test_safeguards import list_as
from tests.unit.node.test_safeguards import make_person as make_identity
from tests.worlds import World, make_object, object_id

MONTH = 30 * DAY
ARTICLE = b"Rain\n\n3 May 2031\n\nRussian Foreign Minister Ivan Petrov denied that it rained in Lisbon.\n"


def find_forms(browser: Browser, page: str, action: str) -> Iterator[dict[str, Any]]:
    """What the forms on a page that lead there hold before anybody has typed anything."""
    answer = browser.get(page)
    assert answer.status_code == 200, answer.text
    for form in re.findall(rf'<form[^>]* action="{re.escape(action)}".*?</form>', answer.text, re.DOTALL):
        fields: dict[str, Any] = {}
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form):
            fields.setdefault(name, []).append(html.unescape(value))
        yield fields


def find_form(browser: Browser, page: str, action: str) -> dict[str, Any]:
    """The last of them: where a colleague's approval has a form, it stands first."""
    return list(find_forms(browser, page, action))[-1]


def send(browser: Browser, action: str, form: dict[str, Any], **typed: str) -> tuple[int, str]:
    answer = browser.send_form(action, **{**form, **typed})
    return answer.status_code, answer.headers.get("location", "") + answer.text


def count_entries(world: World, name: str = "aurelia") -> int:
    return len(list_entries(world.nodes[name], start=0, limit=1_000))


def suspend(world: World, agreement: str, reason: str, channel: str | None = None) -> None:
    by = world.actor("aurelia", Role.LEGAL)
    done = agree.act_on(world.nodes["aurelia"], agreement, EventKind.SUSPEND, by=by, text=reason, channel=channel)
    assert isinstance(done, Recorded)
    world.tick()


# --- agreements -------------------------------------------------------------------------------------------------------


def test_what_was_suspended_since_is_not_lifted(desk: Desk, world: World) -> None:
    """Both people have a page from before: then nobody has seen why it was suspended anew."""
    agreement = world.sign_all(world.terms())
    page, (liaison, legal) = f"/agreements/{agreement}", (desk.visit(LIAISON), desk.visit(LEGAL))
    suspend(world, agreement, "A breach.", "main")
    forms = [(browser, find_form(browser, page, f"{page}/resume")) for browser in (liaison, legal)]
    suspend(world, agreement, "Another breach.")
    before = count_entries(world)
    for browser, form in forms:
        status, text = send(browser, f"{page}/resume", form, channel="", reason="It was mended.")
        assert (status, "suspended anew since you looked" in text) == (409, True)
    assert (list_matters(world.nodes["aurelia"]), count_entries(world)) == ([], before)
    for browser, said in ((liaison, "said=waits"), (legal, "said=done")):
        form = find_form(browser, page, f"{page}/resume")
        assert len(form["shown"]) == 2
        assert said in send(browser, f"{page}/resume", form, channel="", reason="It was mended.")[1]
    assert state(world, agreement) == "in force"


def test_what_a_colleague_approved_to_lift_is_not_more_by_the_time_that_the_second_does(
    desk: Desk, world: World
) -> None:
    agreement = world.sign_all(world.terms())
    page, (liaison, legal) = f"/agreements/{agreement}", (desk.visit(LIAISON), desk.visit(LEGAL))
    suspend(world, agreement, "A breach.", "main")
    form = find_form(liaison, page, f"{page}/resume")
    assert send(liaison, f"{page}/resume", form, channel="", reason="Mended.")[0] == 303
    offered = next(find_forms(legal, page, f"{page}/resume"))
    assert offered["reason"] == ["Mended."]
    suspend(world, agreement, "Another breach.")
    assert send(legal, f"{page}/resume", offered)[0] == 409
    assert state(world, agreement) == "suspended"


def test_a_review_is_of_the_text_that_was_on_the_page(desk: Desk, world: World) -> None:
    agreement = world.sign_all(world.terms())
    page, liaison = f"/agreements/{agreement}", desk.visit(LIAISON)
    form = find_form(liaison, page, f"{page}/review")
    world.tick()
    amended = world.terms(title="Amended", version=2, agreement=agreement, supersedes=agreement)
    assert world.sign_all(amended) == agreement
    before = count_entries(world)
    status, text = send(liaison, f"{page}/review", form, reason="All is well.")
    assert (status, "version 2 counts by now" in text) == (409, True)
    assert count_entries(world) == before
    form = find_form(liaison, page, f"{page}/review")
    assert send(liaison, f"{page}/review", form, reason="All is well.")[0] == 303


# --- objects ----------------------------------------------------------------------------------------------------------


def test_a_version_that_came_since_is_not_kept_with_the_one_that_was_shown(world: World) -> None:
    meet(world, "borealia", "aurelia")
    target = agree_on(world, REVIEWED)
    receive(world, target, make_object("a"))
    world.tick(70 * DAY)
    liaison = Desk(world.nodes["borealia"]).visit(make_person("borealia-liaison", Role.LIAISON))
    name = object_id("report", "a")
    form = find_form(liaison, "/retention", f"/retention/{name}/keep")
    receive(world, target, make_object("a", day=9))
    assert send(liaison, f"/retention/{name}/keep", form, reason="Open.")[0] == 303
    with world.nodes["borealia"].store.read() as transaction:
        rows = transaction.rows(
            "SELECT o.version, a.decided_at > a.received_at FROM arrival a JOIN object o ON o.pk = a.object"
        )
    assert {version: bool(decided) for version, decided in rows} == {
        form["version"][0]: True,
        make_object("a", day=9)["modified"]: False,
    }
    assert list_due(world.nodes["borealia"]) == ()
    other = send(liaison, f"/retention/{name}/keep", form | {"version": ["2001-01-01T00:00:00.000Z"]}, reason="Open.")
    assert (other[0], "than those you saw" in other[1]) == (409, True)


def test_data_that_was_found_since_is_not_decided_on(desk: Desk, world: World) -> None:
    name = object_id("identity", "x")
    world.add("aurelia", make_identity("x", x_health="an illness"))
    legal = desk.visit(LEGAL)
    form = find_form(legal, "/necessity", "/necessity/decide")
    assert form["shown"] == ["health"]
    newer = make_identity("x", x_health="an illness", x_religion="r")
    world.add("aurelia", newer | {"modified": "2031-01-01T00:00:00.000Z"})
    assert [item.words for item in list_undecided(world.nodes["aurelia"])] == [
        {"health", "religious_or_philosophical_beliefs"}
    ]
    status, text = send(legal, "/necessity/decide", form, reason="To find the child.")
    assert (status, "other data was found of it" in text) == (409, True)
    assert list_matters(world.nodes["aurelia"]) == []
    form = find_form(legal, "/necessity", "/necessity/decide")
    assert "said=waits" in send(legal, "/necessity/decide", form, reason="To find the child.")[1]
    (matter,) = list_matters(world.nodes["aurelia"])
    assert isinstance(matter.facts, dict)
    assert (matter.facts["object"], len(matter.facts["words"])) == (name, 2)  # type: ignore[arg-type]


def test_an_assessment_that_was_renewed_since_is_not_renewed_unread(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.add("aurelia", make_object("group", kind="intrusion-set"))
    name = write(world, days=20)
    page, analyst = f"/assessments/{name}", desk.visit(ANALYST)
    form = find_form(analyst, page, f"{page}/renew")
    world.tick()
    until = type(world.now)(world.now + MONTH)
    renew(
        world.nodes["aurelia"],
        name,
        expires_at=until,
        reason="r",
        text="It is another.",
        by=world.actor("aurelia", Role.LIAISON),
    )
    status, text = send(analyst, f"{page}/renew", form, until="2097-01-01", reason="As before.")
    assert (status, "was renewed since you read it" in text) == (409, True)
    assert analyst.get(f"{page}.json").json()["text"] == "It is another."
    form = find_form(analyst, page, f"{page}/renew")
    assert send(analyst, f"{page}/renew", form, until="2097-01-01", reason="Read.")[0] == 303


def test_a_file_that_was_brought_since_is_not_taken_in_by_what_was_said_of_another(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    analyst = desk.visit(ANALYST)
    assert bring(analyst, bundle(make_object("first"))).status_code == 303
    form = find_form(analyst, "/intake/take", "/intake/take")
    assert bring(analyst, bundle(make_object("second"))).status_code == 303
    status, text = send(analyst, "/intake/take", form, subjects="national:ashfall")
    assert (status, "another file since" in text) == (409, True)
    assert count(world) == 0
    form = find_form(analyst, "/intake/take", "/intake/take")
    assert send(analyst, "/intake/take", form, subjects="national:ashfall")[0] == 303
    assert count(world) == 1


# --- articles ---------------------------------------------------------------------------------------------------------


def test_the_same_file_that_is_to_be_read_otherwise_is_another(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    analyst, data = desk.visit(ANALYST), bundle(make_object("first"))
    assert bring(analyst, data).status_code == 303
    form = find_form(analyst, "/intake/take", "/intake/take")
    assert bring(analyst, data).status_code == 303
    assert find_form(analyst, "/intake/take", "/intake/take") == form
    assert bring(analyst, data, source="elsewhere").status_code == 303
    status, text = send(analyst, "/intake/take", form, subjects="national:ashfall")
    assert (status, "another file since" in text) == (409, True)
    assert "elsewhere" in analyst.get("/intake/take").text


def test_a_draft_that_was_corrected_since_is_not_confirmed_unread(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    node, by = world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON)
    add_article(node, ARTICLE, "a.txt", ArticlePlan())
    analyst, page = desk.visit(ANALYST), "/articles/1"
    form = find_form(analyst, page, f"{page}/confirm")
    kinds = {item["kind"]: item["number"] for item in analyst.get(f"{page}.json").json()["drafts"]}
    corrected = kinds.pop("person")
    other = min(kinds.values())
    assert isinstance(correct(node, "1", corrected, "Another name", by=by), Decided)
    before = count_entries(world)
    for act in ("confirm", "strike"):
        status, text = send(analyst, f"{page}/{act}", form, number=str(corrected))
        assert (status, "since you looked" in text) == (409, True), text
    assert count_entries(world) == before
    # What nobody has touched meanwhile is as it was on the page.
    assert send(analyst, f"{page}/confirm", form, number=str(other))[0] == 303
    form = find_form(analyst, page, f"{page}/confirm")
    assert send(analyst, f"{page}/confirm", form, number=str(corrected))[0] == 303


def test_a_report_is_made_of_what_was_on_the_page(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    node, by = world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON)
    add_article(node, ARTICLE, "a.txt", ArticlePlan())
    analyst, page = desk.visit(ANALYST), "/articles/1"
    numbers = [item["number"] for item in analyst.get(f"{page}.json").json()["drafts"]]
    confirm(node, "1", numbers[:-1], by=by)
    form, said = find_form(analyst, page, f"{page}/make"), {"tlp": "green", "strike_open": "yes"}
    confirm(node, "1", numbers[-1:], by=by)
    status, text = send(analyst, f"{page}/make", form, **said)
    assert (status, "decided on since you looked" in text) == (409, True), text
    assert count(world) == 0
    assert send(analyst, f"{page}/make", find_form(analyst, page, f"{page}/make"), **said)[0] == 303
    assert count(world) > 0


def test_a_report_that_a_colleague_made_since_is_not_made_anew_over_it(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    add_article(world.nodes["aurelia"], ARTICLE, "a.txt", ArticlePlan())
    first, second, page = desk.visit(ANALYST), desk.visit(LIAISON), "/articles/1"
    numbers = [item["number"] for item in first.get(f"{page}.json").json()["drafts"]]
    confirm(world.nodes["aurelia"], "1", numbers, by=world.actor("aurelia", Role.LIAISON))
    stale, form = (find_form(browser, page, f"{page}/make") for browser in (first, second))
    assert send(second, f"{page}/make", form, tlp="red")[0] == 303
    status, text = send(first, f"{page}/make", stale, tlp="clear")
    assert (status, "the report was made since you looked" in text) == (409, True), text
    assert first.get(f"{page}.json").json()["tlp"] == "red"
    assert send(first, f"{page}/make", find_form(first, page, f"{page}/make"), tlp="amber")[0] == 303


def test_a_draft_that_was_decided_on_since_is_not_corrected_unread(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    node, by = world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON)
    add_article(node, ARTICLE, "a.txt", ArticlePlan())
    analyst, page = desk.visit(ANALYST), "/articles/1"
    kinds = {item["kind"]: item["number"] for item in analyst.get(f"{page}.json").json()["drafts"]}
    corrected, other = kinds.pop("person"), min(kinds.values())
    form = find_form(analyst, page, f"{page}/correct")
    assert isinstance(correct(node, "1", corrected, "Another name", by=by), Decided)
    assert isinstance(confirm(node, "1", [other], by=by), Decided)
    before = count_entries(world)
    for number, value in ((corrected, "A third name"), (corrected, ""), (other, "A third name")):
        status, text = send(analyst, f"{page}/correct", form, one=str(number), value=value)
        assert (status, "since you looked" in text) == (409, True), text
    assert count_entries(world) == before
    form = find_form(analyst, page, f"{page}/correct")
    assert send(analyst, f"{page}/correct", form, one=str(corrected), value="A third name")[0] == 303


# --- what people say of objects and persons ---------------------------------------------------------------------------


def test_words_that_were_said_anew_since_are_not_taken_back_unread(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.add("aurelia", make_object("x"))
    node, by, name = world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON), object_id("report", "x")
    words, page, analyst = {"kinds": ["arms"]}, f"/objects/{name}/say", desk.visit(ANALYST)
    say(node, name, words, reason="It says so.", by=by)
    form = find_form(analyst, page, f"/objects/{name}/take-back")
    world.tick()
    take_back(node, name, words, reason="It was another.", by=by)
    say(node, name, words, reason="It is confirmed by a second report.", by=by)
    before, chosen = count_entries(world), {"said": "kinds arms", "reason": "One source is none."}
    status, text = send(analyst, f"/objects/{name}/take-back", form, **chosen)
    assert (status, "was said of it since you looked" in text) == (409, True), text
    assert count_entries(world) == before
    form = find_form(analyst, page, f"/objects/{name}/take-back")
    assert send(analyst, f"/objects/{name}/take-back", form, **chosen)[0] == 303


def test_a_safeguard_that_was_said_anew_is_not_lifted_by_what_was_approved_before(desk: Desk, world: World) -> None:
    world.add("aurelia", make_object("x"))
    node, name = world.nodes["aurelia"], object_id("report", "x")
    liaison, words = world.actor("aurelia", Role.LIAISON), {"special_categories": ["health"]}
    say(node, name, words, reason="It names an illness.", by=liaison)
    world.tick()
    assert isinstance(take_back(node, name, words, reason="It does not.", by=liaison), Waiting)
    (matter,) = list_matters(node)
    assert isinstance(take_back(node, name, words, reason="It is a mistake.", by=liaison), Waiting)
    legal_officer = world.actor("aurelia", Role.LEGAL)
    assert isinstance(take_back(node, name, words, reason="It is a mistake.", by=legal_officer), Classified)
    say(node, name, words, reason="It does: on page 3.", by=liaison)
    page, legal = f"/approvals/{matter.digest}", desk.visit(LEGAL)
    status, text = send(legal, f"{page}/approve", find_form(legal, page, f"{page}/approve"))
    assert (status, "is not what was approved" in text) == (409, True), text
    assert [item["ended_at"] for item in legal.get(f"/objects/{name}.json").json()["said"]][-1] is None


def decide_on(world: World, name: str, reason: str) -> None:
    liaison, legal = world.actor("aurelia", Role.LIAISON), world.actor("aurelia", Role.LEGAL)
    assert isinstance(decide_necessity(world.nodes["aurelia"], name, reason=reason, by=liaison), Waiting)
    assert not isinstance(decide_necessity(world.nodes["aurelia"], name, reason=reason, by=legal), Waiting)
    world.tick()


def test_what_was_decided_since_on_necessity_is_not_ended_unread(desk: Desk, world: World) -> None:
    name, node, by = object_id("identity", "x"), world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON)
    world.add("aurelia", make_identity("x", x_health="an illness"))
    decide_on(world, name, "To find the child.")
    legal = desk.visit(LEGAL)
    form = find_form(legal, "/necessity", "/necessity/end")
    end_necessity(node, name, reason="Found.", by=by)
    world.tick()
    decide_on(world, name, "The child is gone again.")
    before = count_entries(world)
    status, text = send(legal, "/necessity/end", form, reason="Found.")
    assert (status, "decided on since you looked" in text) == (409, True), text
    assert count_entries(world) == before
    form = find_form(legal, "/necessity", "/necessity/end")
    assert send(legal, "/necessity/end", form, reason="Found, I have read it.")[0] == 303


def test_what_was_approved_before_a_decision_was_ended_is_not_completed_after_it(desk: Desk, world: World) -> None:
    name, node, by = object_id("identity", "x"), world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON)
    world.add("aurelia", make_identity("x", x_health="an illness"))
    assert isinstance(decide_necessity(node, name, reason="For a partner.", by=by), Waiting)
    (matter,) = list_matters(node)
    page, legal = f"/approvals/{matter.digest}", desk.visit(LEGAL)
    form = find_form(legal, page, f"{page}/approve")
    decide_on(world, name, "To find the child.")
    end_necessity(node, name, reason="Found: it goes to nobody.", by=by)
    status, text = send(legal, f"{page}/approve", form)
    assert (status, "is not what was approved" in text) == (409, True), text
    assert [item.id for item in list_undecided(node)] == [name]


def test_two_persons_on_whom_somebody_said_otherwise_since_are_not_judged_unread(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    node, by, born = world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON), BORN
    world.add("aurelia", *(list_as(each, dates_of_birth=born) for each in ("x", "y", "z")))
    x, y, z = (object_id("identity", each) for each in ("x", "y", "z"))
    analyst, page = desk.visit(ANALYST), f"/identity/{x}"
    (form, *_), named = find_forms(analyst, page, f"{page}/differ"), find_form(analyst, page, f"{page}/differ")
    other = form["other"][0]
    judge_persons(node, x, y if other == z else z, same=False, reason="Brothers.", by=by)
    judge_persons(node, x, other, same=False, reason="One of them is dead.", by=by)
    before = count_entries(world)
    for sent in (form, named | {"other": [other]}):
        status, text = send(analyst, f"{page}/same", sent, reason="Born on one day.")
        assert (status, "of these two since you looked" in text) == (409, True), text
    assert count_entries(world) == before
    again = find_form(analyst, page, f"{page}/differ") | {"other": [other]}
    assert send(analyst, f"{page}/same", again, reason="It is a mistake: both are alive.")[0] == 303


def test_two_persons_are_judged_by_what_agreed_on_the_page(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    places: dict[str, Json] = {"places_of_birth": [{"city": "A", "country": "B"}]}
    world.add("aurelia", *(list_as(name, dates_of_birth=BORN, **places) for name in ("x", "y")))
    x = object_id("identity", "x")
    analyst, page = desk.visit(ANALYST), f"/identity/{x}"
    form = next(find_forms(analyst, page, f"{page}/differ"))
    other = list_as("y", dates_of_birth=[{"date": "1980-01-01"}], **places)
    world.add("aurelia", other | {"modified": "2031-01-01T00:00:00.000Z"})
    status, text = send(analyst, f"{page}/same", form, reason="Born on one day.")
    assert (status, "agrees or differs by now than you saw" in text) == (409, True), text
    form = next(find_forms(analyst, page, f"{page}/differ"))
    assert send(analyst, f"{page}/same", form, reason="Born in one place, of one name.")[0] == 303


# --- lists ------------------------------------------------------------------------------------------------------------


def test_a_version_of_a_list_is_loaded_over_the_one_that_it_was_compared_with(desk: Desk, world: World) -> None:
    """What it would stop was shown; what stands on a version that came since would leave with it unseen."""
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    analyst, third = desk.visit(ANALYST), make_list("3", entry(ASHFALL))
    first = read_hidden(look_at_list(analyst, third).text, "/lists")
    load_version(world, "1", entry(ASHFALL))
    seen = read_hidden(look_at_list(analyst, third).text, "/lists")
    load_version(world, "2", entry(ASHFALL), entry(OTHER))
    before = count_entries(world)
    for form in (first, seen):
        answer = follow(analyst, bring_list(analyst, third, **form))
        assert (answer.status_code, "version 2 of the list national was loaded since" in answer.text) == (409, True)
    assert count_entries(world) == before
    again = read_hidden(look_at_list(analyst, third).text, "/lists")
    assert "is loaded" in follow(analyst, bring_list(analyst, third, **again)).text


def leave(world: World) -> None:
    """Let a subject leave its list that x is about."""
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.add("aurelia", make_object("x"))
    load_version(world, "1", entry(ASHFALL), entry(OTHER))
    world.tick()
    load_version(world, "2", entry(OTHER))
    world.tick()


def say_of_subject(world: World, role: Role, decision: str, reason: str) -> object:
    by = world.actor("aurelia", role)
    return decide_subject(world.nodes["aurelia"], ASHFALL, decision, reason=reason, by=by)


def test_a_subject_on_which_others_decided_since_is_not_decided_on_unread(desk: Desk, world: World) -> None:
    leave(world)
    analyst = desk.visit(ANALYST)
    form = find_form(analyst, "/lists", "/lists/decide")
    for role in (Role.LIAISON, Role.LEGAL):
        say_of_subject(world, role, "keep", "It has another name.")
    before = count_entries(world)
    status, text = send(analyst, "/lists/decide", form, decision="stop", reason="Nobody has looked.")
    assert (status, "decided of national:ashfall since you looked" in text) == (409, True), text
    assert count_entries(world) == before
    form = find_form(analyst, "/lists", "/lists/decide")
    assert send(analyst, "/lists/decide", form, decision="stop", reason="I have read why.")[0] == 303


def test_what_a_colleague_approved_to_let_go_on_is_not_completed_over_who_stopped_it(desk: Desk, world: World) -> None:
    leave(world)
    legal = desk.visit(LEGAL)
    assert isinstance(say_of_subject(world, Role.LIAISON, "keep", "It has another name."), Waiting)
    (matter,) = list_matters(world.nodes["aurelia"])
    page = f"/approvals/{matter.digest}"
    form = find_form(legal, page, f"{page}/approve")
    assert isinstance(say_of_subject(world, Role.LIAISON, "stop", "It is another one."), Decision)
    status, text = send(legal, f"{page}/approve", form)
    assert (status, "is not what was approved" in text) == (409, True), text
    (question,) = legal.get("/lists.json").json()["questions"]
    assert question["decision"] == "stop"
    # Both who have read why it was stopped can still let it go on.
    world.tick()
    assert isinstance(say_of_subject(world, Role.LIAISON, "keep", "It has another name."), Waiting)
    assert isinstance(say_of_subject(world, Role.LEGAL, "keep", "It has another name."), Decision)
    assert audit_folder(world.nodes["aurelia"].folder, now=world.now).findings == ()


# --- by command -------------------------------------------------------------------------------------------------------


def test_keeping_by_command_is_of_every_version(world: World) -> None:
    meet(world, "borealia", "aurelia")
    target = agree_on(world, REVIEWED)
    receive(world, target, make_object("a"))
    receive(world, target, make_object("a", day=9))
    world.tick(70 * DAY)
    assert len(keep(world.nodes["borealia"], object_id("report", "a"), reason="Open.")) == 2
