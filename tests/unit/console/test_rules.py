# SPDX-License-Identifier: Apache-2.0
"""Rule sets in the console: looked at before they are applied, applied by two as they were looked at, taken back."""

import re
from typing import Any

import pytest

from comity.agreement.people import Role
from comity.classification.rules import RuleSet, convert_rules
from comity.node.agree import propose
from comity.node.audit import audit_folder
from comity.node.journal import list_entries
from comity.node.matters import show_matter
from comity.node.people import Actor, Waiting, list_matters
from comity.node.rules import AppliedRules, apply_rules, end_rules, list_rules
from comity.node.steps import finish
from tests.consoles import Browser, Desk, make_person
from tests.worlds import World, make_object, object_id

X = object_id("report", "x")
EVIL = '"><script>window.ran=1</script>'
LIAISON = make_person("aurelia-liaison", Role.LIAISON)
LEGAL = make_person("aurelia-legal", Role.LEGAL)
ANALYST = make_person("aurelia-analyst", Role.ANALYST)
NOT_OF_THE_DESK = (make_person("aurelia-auditor", Role.AUDITOR), make_person("aurelia-operator", Role.OPERATOR))
RULES = """format = "comity-rules/1"
name = "harbour"
[[rules]]
id = "relays"
why = "Relays of the harbour."
[rules.when]
types = ["report"]
[rules.say]
"""
SAY = RULES + 'subjects = ["national:ashfall"]\nregions = ["IQ"]'


@pytest.fixture
def held(world: World) -> World:
    """A world in which x would go, if somebody said what it is about."""
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.actor("aurelia", Role.LIAISON)
    world.actor("aurelia", Role.LEGAL)
    world.sign_all(world.terms())
    world.add("aurelia", make_object("x", subjects=[], regions=[]))
    assert X not in world.read("borealia")
    return world


def read(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def send(browser: Browser, path: str, data: bytes | None = None, *, key: str | None = None, **fields: str) -> Any:  # noqa: ANN401
    """Send a form with this file, of this session unless `key` is another's."""
    found = re.search(r'name="form_key" value="([0-9a-f]{64})"', browser.get("/me").text)
    assert found is not None
    files = {"other": b""} if data is None else {"file": ("harbour.toml", data)}
    headers = {"origin": browser.url, "sec-fetch-site": "same-origin"}
    return browser.send(
        "POST", path, data={"form_key": found[1] if key is None else key, **fields}, files=files, headers=headers
    )


def look(browser: Browser, text: str = SAY) -> tuple[str, dict[str, Any]]:
    """The page of what a set would say, and the same as its twin says."""
    return follow(browser, send(browser, "/rules/preview", text.encode()))


def follow(browser: Browser, begun: Any) -> tuple[str, dict[str, Any]]:  # noqa: ANN401
    assert begun.status_code == 303, begun.text
    at = begun.headers["location"]
    result: dict[str, Any] = browser.get(f"{at}.json").json()["result"]
    return read(browser, at), result


def count_entries(world: World) -> int:
    return len(list_entries(world.nodes["aurelia"], start=0, limit=1_000))


def is_applied(world: World) -> bool:
    return list_rules(world.nodes["aurelia"]) != []


# --- looked at, and applied -------------------------------------------------------------------------------------------


def test_two_people_apply_what_was_looked_at_and_the_second_brings_no_file(desk: Desk, held: World) -> None:
    analyst, legal, before = desk.visit(ANALYST), desk.visit(LEGAL), count_entries(held)
    page, seen = look(analyst)
    assert (seen["name"], seen["looked_at"], seen["objects"], seen["words"]) == ("harbour", 1, 1, 2)
    assert [effect["gained_objects"] for effect in seen["effects"]] == [[X]]
    assert "relays: Relays of the harbour." in page
    assert "Nothing was changed by looking" in page
    assert count_entries(held) == before
    told, first = follow(
        analyst, send(analyst, "/rules/apply", SAY.encode(), digest=seen["rules"], reason="Case <b>12</b>.")
    )
    assert "Nothing is said yet" in told
    assert (first["kind"], is_applied(held)) == ("apply-rules", False)
    assert X not in held.read("borealia")
    waits = f"/approvals/{first['matter']}"
    work = read(legal, "/")
    assert waits in work
    assert '<bdi dir="auto">harbour</bdi>' in work.partition(waits)[2].partition("</tr>")[0]
    assert 'action="/rules/preview"' in read(legal, waits)
    page, again = follow(legal, legal.post("/rules/preview", waits, matter=first["matter"]))
    assert again["rules"] == seen["rules"]
    assert "has approved to apply it" in page
    assert "Case &lt;b&gt;12&lt;/b&gt;." in page
    told, done = follow(legal, legal.post("/rules/apply", "/me", matter=first["matter"], digest=again["rules"]))
    assert (done["said"], done["objects"]) == (2, 1)
    assert "is applied, and on record: 2 words said" in told
    assert X in held.read("borealia")
    content = list_entries(held.nodes["aurelia"], start=before, limit=1)[0].content
    assert isinstance(content, dict)
    assert (content["change"], content["reason"]) == ("apply-rules", "Case <b>12</b>.")
    assert "harbour" in read(analyst, "/rules")
    assert audit_folder(held.nodes["aurelia"].folder, now=held.now).findings == ()


def test_no_other_set_is_applied_than_the_one_that_was_looked_at(desk: Desk, held: World) -> None:
    browser = desk.visit(ANALYST)
    _, seen = look(browser)
    other = RULES + 'regions = ["SY"]'
    begun = send(browser, "/rules/apply", other.encode(), digest=seen["rules"], reason="Case 12.")
    answer = browser.get(begun.headers["location"])
    assert (answer.status_code, "another rule set than the one that was looked at" in answer.text) == (409, True)
    assert list_matters(held.nodes["aurelia"]) == []
    unseen = send(browser, "/rules/apply", SAY.encode(), reason="Case 12.")
    assert (unseen.status_code, "look at a rule set first" in unseen.text) == (400, True)
    assert list_matters(held.nodes["aurelia"]) == []
    # What people write beside the rules is no part of the set.
    commented = send(browser, "/rules/apply", f"# mine\n{SAY}".encode(), digest=seen["rules"], reason="Case 12.")
    assert follow(browser, commented)[1]["kind"] == "apply-rules"


def test_the_second_person_completes_what_waits_or_nothing(desk: Desk, held: World) -> None:
    analyst, legal = desk.visit(ANALYST), desk.visit(LEGAL)
    _, seen = look(analyst)
    _, first = follow(analyst, send(analyst, "/rules/apply", SAY.encode(), digest=seen["rules"], reason="Case 12."))
    matter = first["matter"]
    page, mine = follow(analyst, analyst.post("/rules/preview", "/me", matter=matter))
    assert [item["completes"] for item in mine["matters"]] == [False]
    assert "Approve the same, and apply it" not in page
    assert 'type="file"' not in page
    alone = analyst.post("/rules/apply", "/me", matter=matter, digest=seen["rules"])
    assert analyst.get(alone.headers["location"]).status_code == 409
    legal.post(f"/approvals/{matter}/decline", f"/approvals/{matter}", reason="Not yet.")
    late = legal.post("/rules/apply", "/me", matter=matter, digest=seen["rules"])
    assert legal.get(late.headers["location"]).status_code == 404
    assert (is_applied(held), list_matters(held.nodes["aurelia"])) == (False, [])


def test_what_was_brought_goes_with_the_act(desk: Desk, held: World) -> None:
    analyst = desk.visit(ANALYST)
    _, seen = look(analyst)
    follow(analyst, send(analyst, "/rules/apply", SAY.encode(), digest=seen["rules"], reason="Case 12."))
    (matter,) = list_matters(held.nodes["aurelia"])
    parsed = convert_rules(SAY.encode())
    assert isinstance(parsed, RuleSet)
    assert show_matter(held.nodes["aurelia"], matter.digest).data == parsed.text
    desk.visit(LEGAL).post(f"/approvals/{matter.digest}/decline", f"/approvals/{matter.digest}", reason="No.")
    with held.nodes["aurelia"].store.read() as transaction:
        assert transaction.rows("SELECT * FROM brought") == []


def test_another_act_that_waits_applies_no_rule_set(desk: Desk, held: World) -> None:
    by = held.actor("aurelia", Role.LIAISON)
    waiting = propose(held.nodes["aurelia"], held.terms(title="Letters"), by=by)
    assert isinstance(waiting, Waiting)
    for path in ("/rules/preview", "/rules/apply"):
        legal = desk.visit(LEGAL)
        begun = legal.post(path, "/me", matter=waiting.matter.digest, digest="0" * 64)
        answer = legal.get(begun.headers["location"])
        assert (answer.status_code, "this act applies no rule set" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"not [ toml", (400, "line 1")),
        (b'format = "comity-rules/2"', (400, "must be")),
        (None, (400, "choose the file")),
        (b"#" * (512 * 1024 + 1), (400, "at most 512 KiB")),
    ],
)
def test_a_file_that_is_no_rule_set_changes_nothing(
    desk: Desk, held: World, data: bytes | None, expected: tuple[int, str]
) -> None:
    browser, before = desk.visit(ANALYST), count_entries(held)
    for path, fields in (("/rules/preview", {}), ("/rules/apply", {"digest": "0" * 64, "reason": "r"})):
        answer = send(browser, path, data, **fields)
        answer = browser.get(answer.headers["location"]) if answer.status_code == 303 else answer
        assert (answer.status_code, expected[1] in answer.text) == (expected[0], True), answer.text
    assert (count_entries(held), list_matters(held.nodes["aurelia"])) == (before, [])


def test_what_no_rule_may_ask_is_refused_with_its_clause(desk: Desk, held: World) -> None:
    browser = desk.visit(ANALYST)
    page, seen = look(browser, SAY.replace('types = ["report"]', 'special_categories = ["health"]'))
    assert "refused" in seen
    assert "Refused" in page
    assert 'action="/rules/apply"' not in page


def test_what_a_set_says_is_no_markup_and_is_cut(desk: Desk, held: World) -> None:
    held.add("aurelia", *(make_object(f"{number}", subjects=[], regions=[]) for number in range(150)))
    hostile = SAY.replace("Relays of the harbour.", EVIL.replace('"', '\\"'))
    browser = desk.visit(ANALYST)
    page, seen = look(browser, hostile)
    assert seen["words"] == 302
    assert page.count("&lt;script&gt;window") == 100
    assert "<script>window" not in page
    assert "The first 100 of 302" in page


def test_progress_is_told_through_the_store_and_through_what_is_said(desk: Desk, held: World) -> None:
    held.add("aurelia", *(make_object(f"{number}", subjects=[], regions=[]) for number in range(700)))
    node, parsed, told = held.nodes["aurelia"], convert_rules(SAY.encode()), list[tuple[int, int]]()
    assert isinstance(parsed, RuleSet)
    for role in (Role.LIAISON, Role.LEGAL):
        by = held.actor("aurelia", role)
        finish(apply_rules(node, parsed, reason="r", by=by, tell=lambda done, of: told.append((done, of))))
    looked, said = [item for item in told if item[1] == 701], [item for item in told if item[1] == 1_402]
    assert looked == [(500, 701), (701, 701)] * 2
    assert said == [(0, 1_402), (400, 1_402), (800, 1_402), (1_200, 1_402)]


# --- shown, and taken back --------------------------------------------------------------------------------------------


def apply(world: World, say: str) -> None:
    rules = convert_rules((RULES + say).encode())
    assert isinstance(rules, RuleSet), rules
    for role in (Role.LIAISON, Role.LEGAL):
        by = world.actor("aurelia", role)
        finish(apply_rules(world.nodes["aurelia"], rules, reason="Case 12.", by=by))


def find_set(world: World) -> Any:  # noqa: ANN401
    ((found, words),) = list_rules(world.nodes["aurelia"])
    return found, words


def test_a_rule_set_is_shown_and_taken_back_by_one(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    assert "No rule set was applied." in read(desk.visit(ANALYST), "/rules")
    world.add("aurelia", make_object("x"))
    apply(world, 'regions = ["SY"]')
    browser = desk.visit(ANALYST)
    page = read(browser, "/rules")
    assert "harbour" in page
    found, words = find_set(world)
    assert (words, found.ended_at) == (1, None)
    assert browser.post("/rules/end", "/rules", rules=found.digest).status_code == 400
    assert find_set(world)[1] == 1
    done = browser.post("/rules/end", "/rules", rules=found.digest, reason="Case closed.")
    assert done.headers["location"] == "/rules?said=done", done.text
    found, words = find_set(world)
    assert words == 0
    assert found.ended_at is not None
    assert "Take it back" not in read(browser, "/rules")


def test_a_set_that_says_a_safeguard_is_taken_back_by_two(desk: Desk, world: World) -> None:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    world.add("aurelia", make_object("x"))
    apply(world, 'person_classes = ["minor"]')
    found, _ = find_set(world)
    fields = {"rules": found.digest, "reason": "Nobody in it is a minor."}
    first = desk.visit(ANALYST).post("/rules/end", "/rules", **fields)
    assert first.headers["location"] == "/rules?said=waits", first.text
    assert find_set(world)[1] == 1
    legal = desk.visit(LEGAL)
    page = read(legal, "/rules")
    assert 'value="Nobody in it is a minor."' in page
    done = legal.post("/rules/end", "/rules", **fields)
    assert done.headers["location"] == "/rules?said=done", done.text
    assert find_set(world)[1] == 0


# --- who may not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", NOT_OF_THE_DESK, ids=lambda person: person.id)
def test_of_whom_it_is_not_for_no_file_is_read(desk: Desk, held: World, person: Any) -> None:  # noqa: ANN401
    before = count_entries(held)
    for path in ("/rules/preview", "/rules/apply"):
        for key in (None, "0" * 64):
            answer = send(desk.visit(person), path, SAY.encode(), key=key, digest="0" * 64, reason="r")
            assert answer.status_code == 404
    assert count_entries(held) == before


def test_a_form_of_another_session_begins_nothing(desk: Desk, held: World) -> None:
    browser = desk.visit(ANALYST)
    for path in ("/rules/preview", "/rules/apply"):
        assert send(browser, path, SAY.encode(), key="0" * 64, digest="0" * 64, reason="r").status_code == 400
    assert browser.get("/jobs.json").json() == {"jobs": []}


def test_what_waits_is_not_told_to_whom_it_is_not_for(desk: Desk, held: World) -> None:
    analyst = desk.visit(ANALYST)
    _, seen = look(analyst)
    _, first = follow(analyst, send(analyst, "/rules/apply", SAY.encode(), digest=seen["rules"], reason="Of a source."))
    for person in NOT_OF_THE_DESK:
        assert "Of a source." not in desk.visit(person).get("/").text
        assert desk.visit(person).get(f"/approvals/{first['matter']}").status_code == 404


def test_what_was_approved_before_a_set_was_taken_back_does_not_apply_it_again(held: World) -> None:
    node, rules = held.nodes["aurelia"], convert_rules(SAY.encode())
    assert isinstance(rules, RuleSet)
    liaison, legal = held.actor("aurelia", Role.LIAISON), held.actor("aurelia", Role.LEGAL)

    def apply_as(by: Actor, reason: str) -> object:
        return finish(apply_rules(node, rules, reason=reason, by=by))

    assert isinstance(apply_as(liaison, "first"), Waiting)
    assert isinstance(apply_as(liaison, "second"), Waiting)
    assert not isinstance(apply_as(legal, "second"), Waiting)
    held.tick()
    finish(end_rules(node, rules.digest, reason="It names the wrong ones.", by=liaison))
    assert isinstance(apply_as(legal, "first"), Waiting)
    assert find_set(held)[0].ended_at is not None
    assert isinstance(apply_as(liaison, "first"), AppliedRules)
    assert find_set(held)[0].ended_at is None
