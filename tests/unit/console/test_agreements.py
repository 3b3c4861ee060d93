# SPDX-License-Identifier: Apache-2.0
"""The pages of agreements: what is shown, what really happens on the node, and only by whom it may."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from comity.agreement.events import EventKind
from comity.agreement.people import Person, Role
from comity.console.visit import Visit
from comity.ids import format_instant, parse_instant
from comity.node.agree import Recorded
from comity.node.node import Node
from comity.node.standing import find_agreement
from comity.operations.outcome import Tell
from comity.operations.printing import format_html
from comity.operations.reply import Json, Reply
from tests.consoles import Browser, Desk, make_person
from tests.worlds import World, make_object

LIAISON = make_person("aurelia-liaison", Role.LIAISON)
LEGAL = make_person("aurelia-legal", Role.LEGAL)
ANALYST = make_person("aurelia-analyst", Role.ANALYST)
AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)
OPERATOR = make_person("aurelia-operator", Role.OPERATOR)
TITLE = "Exchange on Ashfall"


@pytest.fixture
def in_force(world: World) -> str:
    world.add("aurelia", make_object("one"), make_object("red", tlp="red"))
    return world.sign_all(world.terms())


@pytest.fixture
def proposed(world: World) -> str:
    """What borealia proposed to aurelia."""
    return propose(world)


def propose(world: World, **fields: str) -> str:
    recorded = world.propose("borealia", world.terms(giver="aurelia", **fields))  # type: ignore[arg-type]
    assert isinstance(recorded, Recorded)
    world.deliver()
    return recorded.event.agreement


def state(world: World, agreement: str, name: str = "aurelia") -> str:
    node = world.nodes[name]
    with node.store.read() as transaction:
        return find_agreement(node, transaction, agreement).standing(now=node.clock()).state.value


def read(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text[-600:]
    return answer.text


# --- the list -------------------------------------------------------------------------------------------------------


def test_without_any_the_list_says_so(desk: Desk) -> None:
    assert "No agreement is on record." in read(desk.visit(LEGAL), "/agreements")


def test_the_list_says_where_each_stands_and_can_be_narrowed(desk: Desk, world: World, in_force: str) -> None:
    world.tick()
    other = propose(world, title="Another one")
    browser = desk.visit(ANALYST)
    page = read(browser, "/agreements")
    assert page.index("Another one") < page.index(TITLE)
    listed = browser.get("/agreements.json").json()["agreements"]
    assert [(item["agreement"], item["state"]) for item in listed] == [(other, "proposed"), (in_force, "in force")]
    for query, found in (
        ("state=in+force", [in_force]),
        ("state=suspended", []),
        ("party=borealia", [other, in_force]),
        ("party=nobody", []),
        ("page=99", [other, in_force]),
        ("page=-1", [other, in_force]),
    ):
        got = browser.get(f"/agreements.json?{query}").json()["agreements"]
        assert [item["agreement"] for item in got] == found, query
    assert browser.get("/agreements?state=nonsense").status_code == 400
    assert "No agreement is of this kind." in read(browser, "/agreements?state=suspended")


def test_a_suspended_channel_stands_in_the_list(desk: Desk, world: World, in_force: str) -> None:
    world.act("aurelia", in_force, EventKind.SUSPEND, channel="main", text="a breach")
    (item,) = desk.visit(LEGAL).get("/agreements.json").json()["agreements"]
    assert (item["state"], item["suspended_channels"]) == ("in force", ["main"])


def test_a_long_list_has_pages(desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comity.console.agreements._ROWS", 2)
    for number in range(5):
        world.tick()
        propose(world, title=f"Number {number}")
    browser = desk.visit(LEGAL)
    first = read(browser, "/agreements?state=proposed")
    assert re.findall("Number [0-9]", first) == ["Number 4", "Number 3"]
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = read(browser, following[1].replace("&amp;", "&"))
    assert re.findall("Number [0-9]", second) == ["Number 2", "Number 1"]
    assert re.findall("Number [0-9]", read(browser, "/agreements?page=3")) == ["Number 0"]


# --- one agreement --------------------------------------------------------------------------------------------------


def test_one_agreement_is_shown_whole_with_its_signatures_verified(desk: Desk, world: World, in_force: str) -> None:
    browser = desk.visit(AUDITOR)
    page = read(browser, f"/agreements/{in_force}")
    assert "basis recorded, recognised by aurelia" in page
    assert "lawful" not in page
    assert "unmarked and stricter ones are withheld" in page
    assert re.search(r"All of \d+ verify", page)
    twin = browser.get(f"/agreements/{in_force}.json").json()
    steps = [(step["text"], step["how"]) for step in twin["lines"][0]["steps"]]
    assert steps == [
        ("draft", "done"),
        ("proposed by aurelia", "done"),
        ("signed by aurelia", "done"),
        ("signed by borealia", "done"),
        ("in force", "done"),
    ]
    assert twin["acts"] == []
    assert "<form" not in page


def test_a_signature_that_does_not_verify_is_told(desk: Desk, world: World, in_force: str) -> None:
    with world.nodes["aurelia"].store.write() as transaction:
        for (trigger,) in list(transaction.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")):
            transaction.run(f"DROP TRIGGER {trigger}")
        row = transaction.row("SELECT envelope FROM event WHERE kind = 'accept'")
        assert row is not None
        envelope = json.loads(bytes(row[0]))
        text = json.dumps(envelope)
        sig = re.search(r'"sig": "([^"]{10})', text)
        assert sig is not None
        altered = text.replace(sig[1], sig[1][::-1], 1).encode()
        transaction.run("UPDATE event SET envelope = ? WHERE kind = 'accept'", (altered,))
    page = read(desk.visit(LEGAL), f"/agreements/{in_force}")
    assert "NOT verified: 1 of" in page
    assert page.count('<strong class="no">NOT verified</strong>') == 1
    assert not re.search(r"All of \d+ verify", page)


def test_a_proposal_shows_what_is_missing_and_a_refusal_what_is_not_reached(
    desk: Desk, world: World, proposed: str
) -> None:
    browser = desk.visit(LIAISON)

    def steps() -> dict[str, str]:
        line = browser.get(f"/agreements/{proposed}.json").json()["lines"][0]["steps"]
        return {step["text"]: step["how"] for step in line}

    assert steps()["signed by aurelia"] == "next"
    world.act("aurelia", proposed, EventKind.REJECT, text="Too wide.")
    assert steps()["signed by aurelia"] == "not reached"
    assert steps()["in force"] == "not reached"
    assert steps()["reject by aurelia"] == "stopped"


@pytest.mark.parametrize("tail", ["", "/accept", "/terminate", "/diff", "/preview", "/certificate", "/messages"])
def test_who_may_not_read_agreements_finds_nothing_of_them(desk: Desk, in_force: str, tail: str) -> None:
    browser = desk.visit(OPERATOR)
    for path in (f"/agreements/{in_force}{tail}", f"/agreements/{in_force}{tail}.json"):
        answer = browser.get(path)
        assert answer.status_code == 404, path
        assert TITLE not in answer.text
    assert browser.get("/agreements").status_code == 404
    assert browser.get("/agreements/propose").status_code == 404


def test_only_acts_that_are_possible_for_the_person_are_on_the_page(desk: Desk, proposed: str) -> None:
    def find_forms(browser: Browser) -> set[str]:
        page = read(browser, f"/agreements/{proposed}")
        return set(re.findall(rf'(?:action|href)="/agreements/{proposed}/([a-z]+)"', page))

    assert find_forms(desk.visit(LIAISON)) >= {"accept", "reject", "clarify"}
    assert not find_forms(desk.visit(LIAISON)) & {"suspend", "resume", "withdraw", "terminate", "leave", "answer"}
    assert not find_forms(desk.visit(ANALYST)) & {"accept", "reject", "clarify", "suspend"}


# --- acts -----------------------------------------------------------------------------------------------------------


def test_two_people_sign_and_see_before_what_it_would_release(desk: Desk, world: World, proposed: str) -> None:
    world.add("aurelia", make_object("one"), make_object("red", tlp="red"))
    path = f"/agreements/{proposed}/accept"
    first, second = desk.visit(LIAISON), desk.visit(LEGAL)
    page = read(first, path)
    assert "1 object, over 1 channel and receiver" in page
    assert f"/agreements/{proposed}/preview" in page
    answer = first.post(path, path, terms=proposed, why="Read.")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/agreements/{proposed}?said=waits")
    assert state(world, proposed) == "proposed"
    assert "Nothing is signed yet" in read(first, answer.headers["location"])
    assert "Approve the same" not in read(first, path)
    work = read(second, "/")
    assert f'href="{path}"' in work
    assert "Approve the same" in read(second, path)
    answer = second.post(path, path, terms=proposed)
    assert answer.headers["location"] == f"/agreements/{proposed}?said=done"
    world.deliver()
    assert state(world, proposed) == "in force"


def test_one_person_alone_signs_nothing(desk: Desk, world: World, proposed: str) -> None:
    path = f"/agreements/{proposed}/accept"
    for _ in range(2):
        assert desk.visit(LEGAL).post(path, path, terms=proposed).headers["location"].endswith("said=waits")
    assert state(world, proposed) == "proposed"


def test_who_read_one_version_does_not_sign_another(desk: Desk, world: World, proposed: str) -> None:
    path = f"/agreements/{proposed}/accept"
    page = read(desk.visit(LIAISON), path)
    assert proposed in page
    countered = world.propose(
        "borealia", world.terms(giver="aurelia", version=2, agreement=proposed, supersedes=proposed, tlp="green")
    )
    assert isinstance(countered, Recorded)
    world.deliver()
    answer = desk.visit(LIAISON).post(path, path, terms=proposed)
    assert answer.status_code == 409
    assert "version 2 is on record" in answer.text


def test_the_second_person_signs_with_the_reservations_of_the_first(desk: Desk, world: World) -> None:
    agreement = propose(world, extra='reservations = ["channels.main.regions"]')
    path = f"/agreements/{agreement}/accept"
    name = "channels.main.regions"
    fields = {f"ground.{name}": "national_law", f"text.{name}": "Our own rule."}
    desk.visit(LIAISON).post(path, path, terms=agreement, **fields)
    second = desk.visit(LEGAL)
    page = read(second, path)
    hidden = dict(re.findall(r'<input type="hidden" name="((?:ground|text)\.[^"]+)" value="([^"]+)"', page))
    assert hidden == fields
    assert second.post(path, path, terms=agreement, **hidden).headers["location"].endswith("said=done")
    found = desk.visit(LEGAL).get(f"/agreements/{agreement}.json").json()["reservations"]
    assert [(item["party"], item["clause"], item["text"]) for item in found] == [("aurelia", name, "Our own rule.")]


def test_one_person_suspends_with_a_reason_and_two_resume(desk: Desk, world: World, in_force: str) -> None:
    page = f"/agreements/{in_force}"
    liaison, legal = desk.visit(LIAISON), desk.visit(LEGAL)
    refused = liaison.post(f"{page}/suspend", page, channel="", reason="  ")
    assert refused.status_code == 400
    assert state(world, in_force) == "in force"
    done = liaison.post(f"{page}/suspend", page, channel="", reason="A breach.")
    assert done.headers["location"] == f"{page}?said=done"
    assert state(world, in_force) == "suspended"
    assert "A breach." in read(legal, page)
    assert legal.post(f"{page}/resume", page, channel="", reason="Mended.").headers["location"].endswith("waits")
    shown = read(liaison, page)
    assert "Approve, and resume" in shown
    reason = re.search(r'<input type="hidden" name="reason" value="([^"]+)"', shown)
    assert reason is not None
    assert liaison.post(f"{page}/resume", page, reason=reason[1]).headers["location"].endswith("done")
    assert state(world, in_force) == "in force"


def test_one_channel_alone_is_suspended(desk: Desk, world: World, in_force: str) -> None:
    page = f"/agreements/{in_force}"
    desk.visit(LEGAL).post(f"{page}/suspend", page, channel="main", reason="This one.")
    status = desk.visit(LEGAL).get(f"{page}.json").json()
    assert [(lock["channel"], lock["reason"]) for lock in status["suspensions"]] == [("main", "This one.")]
    assert [item["open"] for item in status["gives"]] == [False]


def test_ending_asks_once_more(desk: Desk, world: World, in_force: str) -> None:
    page = f"/agreements/{in_force}"
    assert f'action="{page}/terminate"' not in read(desk.visit(LEGAL), page)
    browser = desk.visit(LEGAL)
    assert "cannot be taken back" in read(browser, f"{page}/terminate")
    assert browser.get(f"{page}/leave").status_code == 409
    answer = browser.post(f"{page}/terminate", f"{page}/terminate", reason="Mandate ended.")
    assert answer.headers["location"] == f"{page}?said=done"
    assert state(world, in_force) == "terminated"


def test_a_proposal_is_rejected_or_taken_back(desk: Desk, world: World, proposed: str) -> None:
    page = f"/agreements/{proposed}"
    form = re.search(r'name="terms" value="([0-9a-f]{64})"', read(desk.visit(LIAISON), page))
    assert form is not None
    answer = desk.visit(LIAISON).post(f"{page}/reject", page, terms=form[1], reason="Too wide.")
    assert answer.status_code == 303
    assert state(world, proposed) == "rejected"
    own = world.propose("aurelia", world.terms(title="Ours"))
    assert isinstance(own, Recorded)
    page = f"/agreements/{own.event.agreement}"
    desk.visit(LIAISON).post(f"{page}/withdraw", page, terms=own.event.terms, reason="Under review.")
    assert state(world, own.event.agreement) == "withdrawn"


def test_the_version_that_is_rejected_is_the_one_that_was_read(desk: Desk, world: World, in_force: str) -> None:
    toml = world.terms(version=2, agreement=in_force, supersedes=in_force, tlp="green")
    recorded = world.propose("borealia", toml)
    assert isinstance(recorded, Recorded)
    world.deliver()
    page = f"/agreements/{in_force}"
    shown = read(desk.visit(LIAISON), page)
    assert f'name="terms" value="{recorded.event.terms}"' in shown
    refused = desk.visit(LIAISON).post(f"{page}/reject", page, terms=in_force, reason="Too narrow.")
    assert refused.status_code == 409
    done = desk.visit(LIAISON).post(f"{page}/reject", page, terms=recorded.event.terms, reason="Too narrow.")
    assert done.status_code == 303
    lines = desk.visit(LIAISON).get(f"{page}.json").json()["lines"]
    assert [line["version"] for line in lines] == [1, 2]
    assert ("reject by aurelia", "stopped") in {(step["text"], step["how"]) for step in lines[1]["steps"]}


def test_since_when_it_stands_so_is_said_of_the_state_of_this_moment(desk: Desk, world: World, in_force: str) -> None:
    browser = desk.visit(LEGAL)

    def look() -> tuple[str, str | None]:
        (item,) = browser.get("/agreements.json").json()["agreements"]
        return item["state"], item["since"]

    assert look() == ("in force", format_instant(world.now))
    world.now = parse_instant("2036-01-02T00:00:00Z")
    assert look() == ("expired", None)
    assert "by its dates" in read(browser, "/agreements")


def test_a_question_is_asked_and_answered(desk: Desk, world: World, proposed: str) -> None:
    page = f"/agreements/{proposed}"
    browser = desk.visit(LIAISON)
    assert '<option value="channels.main.regions">' in read(browser, page)
    browser.post(f"{page}/clarify", page, clause="channels.main.regions", text="All of it?\r\nReally?")
    assert state(world, proposed) == "in clarification"
    assert "All of it?\nReally?" in read(browser, page)
    world.deliver()
    other = Desk(world.nodes["borealia"])
    theirs = other.visit(make_person("borealia-legal", Role.LEGAL))
    question = re.search(r'name="question" value="([0-9a-f]{64})"', read(theirs, page))
    assert question is not None
    theirs.post(f"{page}/answer", page, question=question[1], text="Yes.")
    world.deliver()
    (thread,) = browser.get(f"{page}.json").json()["threads"]
    assert [answer["text"] for answer in thread["answers"]] == ["Yes."]


ACTS = ("accept", "reject", "terminate", "clarify", "resume", "review")


@pytest.mark.parametrize(
    ("act", "person"),
    # Whoever watches the machine may suspend.
    [(act, person) for act in ACTS for person in (ANALYST, AUDITOR, OPERATOR)]
    + [("suspend", ANALYST), ("suspend", AUDITOR)],
)
def test_who_has_no_right_does_nothing(desk: Desk, world: World, in_force: str, act: str, person: Person) -> None:
    """Also with a form of the person's own session, sent past the page."""
    browser = desk.visit(person)
    key = find_key(desk, browser)
    fields = {"form_key": key, "terms": in_force, "reason": "r", "clause": "parties", "text": "t"}
    before = count_events(world.nodes["aurelia"])
    headers = {"origin": "http://localhost:8460", "sec-fetch-site": "same-origin"}
    answer = browser.send("POST", f"/agreements/{in_force}/{act}", data=fields, headers=headers)
    assert answer.status_code == 404
    assert TITLE not in answer.text
    assert count_events(world.nodes["aurelia"]) == before


def test_who_may_stop_and_not_read_learns_of_no_agreement_by_trying(desk: Desk, world: World, in_force: str) -> None:
    world.register("aurelia", OPERATOR.id, Role.OPERATOR)
    browser, begun = desk.visit(OPERATOR), in_force[:8]
    sent = {"form_key": find_key(desk, browser), "reason": "At night."}
    done = browser.send_form(f"/agreements/{begun}/suspend", **sent)
    assert (done.status_code, done.headers["location"]) == (303, "/?said=done")
    assert state(world, in_force) == "suspended"
    world.act("aurelia", in_force, EventKind.TERMINATE, text="It is over.")
    tried = [browser.send_form("/suspend", **sent, id=name) for name in (in_force, begun, begun[:4], "0" * 8, "0")]
    assert {item.status_code for item in tried} == {409}
    assert len({item.text for item in tried}) == 1


def test_a_form_of_another_session_does_nothing(desk: Desk, world: World, in_force: str) -> None:
    key = find_key(desk, desk.visit(LEGAL))
    headers = {"origin": "http://localhost:8460", "sec-fetch-site": "same-origin"}
    fields = {"form_key": key, "reason": "r"}
    answer = desk.visit(LIAISON).send("POST", f"/agreements/{in_force}/suspend", data=fields, headers=headers)
    assert answer.status_code == 400
    assert state(world, in_force) == "in force"


def find_key(desk: Desk, browser: Browser) -> str:
    token = browser.cookies["comity"]
    return Visit(person=desk.sessions[token], token=token, ask_as=desk.ask).form_key


def count_events(node: Node) -> int:
    with node.store.read() as transaction:
        row = transaction.row("SELECT count(*) FROM event")
    assert row is not None
    return int(row[0])


# --- documents ------------------------------------------------------------------------------------------------------


def test_the_certificate_is_the_document_of_the_command_under_its_own_policy(desk: Desk, in_force: str) -> None:
    browser = desk.visit(AUDITOR)
    answer = browser.get(f"/agreements/{in_force}/certificate")
    result = browser.get(f"/agreements/{in_force}/certificate.json").json()
    assert answer.content == format_html(result)
    policy = answer.headers["content-security-policy"]
    assert re.fullmatch(
        "default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'",
        policy,
    )
    digest = re.search("'sha256-[^']+'", policy)
    assert digest is not None
    assert digest[0] in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_the_signed_messages_are_a_file_that_the_partner_takes(desk: Desk, world: World, in_force: str) -> None:
    answer = desk.visit(LEGAL).get(f"/agreements/{in_force}/messages")
    assert answer.headers["content-disposition"] == f'attachment; filename="{in_force[:12]}.messages.json"'
    assert in_force in answer.text


# --- hostile content ------------------------------------------------------------------------------------------------


def test_what_a_partner_writes_is_text_and_nothing_else(desk: Desk, world: World) -> None:
    title = "<b>bold</b>\"'><script>alert(1)</script>" + "y" * 100
    agreement = propose(world, title=title)
    world.act("borealia", agreement, EventKind.CLARIFY, clause="parties", text=f"<i>hello</i>{'z' * 1500}")
    world.deliver()
    browser = desk.visit(LEGAL)
    for path in (
        "/agreements",
        "/",
        *(f"/agreements/{agreement}{tail}" for tail in ("", "/accept", "/preview", "/diff")),
    ):
        page = read(browser, path)
        assert "<script>alert" not in page, path
        assert "<b>bold" not in page, path
        assert "<i>hello" not in page, path
        assert not re.search("[\u202a-\u202e\u2066-\u2069]", page), path


RECEIVED = frozenset(
    {
        "title",
        "text",
        "reason",
        "sentence",
        "problem",
        "why",
        "act",
        "written",
        "means",
        "basis",
        "reference",
        "clause",
        "covers",
        "samples",
        "subjects",
        "type",
        "tlp",
        "originator",
        "redacted",
        "tear_line",
        "added",
        "removed",
        "waits_for",
        "history",
    }
)
LONG = "<b>x</b>\"'><script>alert(1)</script>\u202e\u2066\x1b[31m" + "w" * 10_000


def make_hostile(value: Any, *, received: bool = False) -> Any:  # noqa: ANN401 (any JSON value)
    """The same with a hostile text behind every text that another party, or an object, may have brought."""
    match value:
        case dict():
            return {name: make_hostile(item, received=name in RECEIVED) for name, item in value.items()}
        case list():
            return [make_hostile(item, received=received) for item in value]
        case str() if received:
            return value + LONG
        case _:
            return value


class HostileDesk(Desk):
    """Whatever a partner could have written is as bad as it can be, where it was let through."""

    async def ask(self, operation: str, arguments: Mapping[str, Json], by: Person, tell: Tell | None = None) -> Reply:
        reply = await super().ask(operation, arguments, by, tell)
        acts = (reply.result or {}).get("possible")
        result = make_hostile(reply.result)
        return replace(reply, result=result if acts is None else {**result, "possible": acts})


def test_no_page_lets_anything_through_that_acts(world: World) -> None:
    world.add("aurelia", make_object("one"), make_object("red", tlp="red"))
    agreement = world.sign_all(world.terms(extra='reservations = ["channels.main.regions"]'))
    toml = world.terms(version=2, agreement=agreement, supersedes=agreement, tlp="green")
    assert isinstance(world.propose("borealia", toml), Recorded)
    world.act("borealia", agreement, EventKind.CLARIFY, clause="parties", text="Who?")
    world.act("borealia", agreement, EventKind.SUSPEND, text="A breach.")
    world.deliver()
    honest = Desk(world.nodes["aurelia"]).visit(LIAISON)
    accept = f"/agreements/{agreement}/accept"
    terms = re.search(r'name="terms" value="([0-9a-f]{64})"', read(honest, accept))
    assert terms is not None
    assert honest.post(accept, accept, terms=terms[1], why="Read.").headers["location"].endswith("waits")
    browser = HostileDesk(world.nodes["aurelia"]).visit(LEGAL)
    tails = ("", "/accept", "/preview", "/diff", "/terminate", "/certificate")
    for path in ("/", "/agreements", *(f"/agreements/{agreement}{tail}" for tail in tails)):
        page = read(browser, path)
        assert "www" in page, path
        assert "<b>x" not in page, path
        assert "<script>alert" not in page, path
        assert "'><" not in page, path
        if not path.endswith("certificate"):
            assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", page), path
        assert len(page) < 4_000_000, path


def test_a_page_of_an_agreement_that_is_not_there_says_so(desk: Desk) -> None:
    for tail in ("", "/accept", "/terminate", "/diff", "/preview", "/certificate", "/messages"):
        for name in ("0" * 64, "zz", "%2e%2e", "a" * 5000, "%00%00%00%00"):
            answer = desk.visit(LEGAL).get(f"/agreements/{name}{tail}")
            assert answer.status_code in {400, 404}, (name[:10], tail, answer.status_code)
