# SPDX-License-Identifier: Apache-2.0
"""The first page: each finds what waits for them, and nothing of what is not for their roles."""

import pytest
from starlette.routing import Route

from comity.agreement.events import EventKind
from comity.agreement.people import NEEDS, Role
from comity.agreement.work import WorkKind
from comity.console.app import SCREENS
from comity.console.work import OF_MANY, PAGES
from comity.errors import NotFoundError, ReceiptRefused
from comity.ids import Digest, Instant, PartyId, format_instant
from comity.node import agree, follow
from comity.node.agree import Recorded
from comity.node.articles import ArticlePlan, add_article
from comity.node.delivery import keep_refused
from comity.node.people import Waiting
from comity.operations.outcome import Arguments
from comity.operations.receipts import list_refused
from comity.operations.sight import SIGHT, WORK_SIGHT, may_see_matter
from comity.operations.table import OPERATIONS
from tests.consoles import Desk, make_person
from tests.unit.console.test_agreements import ANALYST, AUDITOR, LEGAL, LIAISON, OPERATOR, propose, read, state
from tests.worlds import World

TITLE = "Exchange on Ashfall"


@pytest.fixture
def busy(world: World) -> str:
    """A proposal that aurelia's liaison has approved, and an agreement that ends within the notice."""
    ending = world.sign_all(world.terms(title="Soon over", until="2036-01-01T00:00:00Z"))
    agreement = propose(world)
    done = agree.act_on(world.nodes["aurelia"], agreement, EventKind.ACCEPT, by=world.actor("aurelia", Role.LIAISON))
    assert isinstance(done, Waiting)
    assert ending != agreement
    return agreement


def test_who_watches_the_machine_is_told_what_was_refused_without_channel_terms_or_object(
    desk: Desk, world: World
) -> None:
    terms, said = Digest("7" * 64), "object 1 of the page is not report--1 as the receipt lists it"
    refused = ReceiptRefused(f"listing: {said}", part="listing")
    giver, node = PartyId("borealia"), world.nodes["aurelia"]
    assert keep_refused(
        node, refused, giver=giver, terms=terms, channel="secret-channel", page=b"{}", receipt=b"{}", proof=b""
    )
    for path in ("/", "/work.json"):
        answer = desk.visit(OPERATOR).get(path).text
        assert "borealia" in answer
        assert "listing" in answer
        for word in (terms, "secret-channel", "report--1"):
            assert word not in answer, word
        assert "secret-channel" in desk.visit(LIAISON).get(path).text
    with pytest.raises(NotFoundError):
        list_refused(node, Arguments({"number": "1"}, by=OPERATOR))


def test_the_one_who_can_complete_an_act_finds_where(desk: Desk, busy: str) -> None:
    path = f'href="/agreements/{busy}/accept"'
    assert path in read(desk.visit(LEGAL), "/")
    assert path not in read(desk.visit(LIAISON), "/")
    assert path not in read(desk.visit(AUDITOR), "/")
    assert desk.visit(LEGAL).get("/work.json").json()["matters"][0]["completes"] is True
    assert desk.visit(LIAISON).get("/work.json").json()["matters"][0]["completes"] is False


def test_who_watches_the_machine_reads_no_title_in_page_and_twin(desk: Desk, world: World, busy: str) -> None:
    both = make_person("aurelia-both", Role.OPERATOR, Role.LIAISON)
    assert TITLE in read(desk.visit(both), "/")
    browser = desk.visit(OPERATOR)
    for stopped in (False, True):
        if stopped:
            world.act("borealia", busy, EventKind.WITHDRAW, text="Too wide.")
            world.deliver()
        for path in ("/", "/work.json", "/?only=todo", "/?only=ends", "/?only=failed"):
            answer = browser.get(path)
            assert answer.status_code == 200
            assert TITLE not in answer.text, path
            assert busy not in answer.text, path
    twin = browser.get("/work.json").json()
    assert twin["matters"] == []
    assert "stopped" not in twin
    assert "unreached" in twin


def test_who_watches_the_machine_stops_an_agreement_and_learns_nothing_of_it(
    desk: Desk, world: World, busy: str
) -> None:
    signed = world.sign_all(world.terms(title=f"{TITLE}, signed"))
    world.register("aurelia", "aurelia-operator", Role.OPERATOR)
    browser = desk.visit(OPERATOR)
    assert 'action="/suspend"' not in read(desk.visit(LEGAL), "/")
    assert browser.post("/suspend", "/", id=signed).status_code == 400
    for tail, fields in (("terminate", {}), ("suspend", {"channel": "nonsense"})):
        answer = browser.post(f"/agreements/{signed}/{tail}", "/", reason="r", **fields)
        assert answer.status_code in {400, 404}
        assert TITLE not in answer.text
    assert state(world, signed) == "in force"
    done = browser.post("/suspend", "/", id=signed, reason="Something leaks.")
    assert (done.status_code, done.headers["location"]) == (303, "/?said=done")
    assert state(world, signed) == "suspended"
    again = browser.post("/suspend", "/", id=signed, reason="Again.")
    assert again.status_code == 409
    assert "leaks" not in again.text
    assert browser.post("/suspend", "/", id=busy, reason="Not signed.").status_code == 409


def test_a_channel_that_fails_is_named_without_its_agreement(world: World) -> None:
    world.sign_all(world.terms())
    node = world.nodes["borealia"]
    (followed,) = follow.list_followed(node)
    follow.note_failed(node, followed.giver, followed.collection, "no answer", fraction=0.5)
    browser = Desk(node).visit(make_person("borealia-operator", Role.OPERATOR))
    (item,) = browser.get("/work.json").json()["unreached"]
    assert (item["giver"], item["channel"], item["problem"]) == ("aurelia", None, "no answer")
    assert TITLE not in browser.get("/work.json").text
    assert "no answer" in read(browser, "/")


def test_a_step_waits_for_whom_it_concerns(desk: Desk, busy: str) -> None:
    for person in (LEGAL, ANALYST, AUDITOR):
        items = desk.visit(person).get("/work.json").json()["todo"]
        assert [(item["kind"], item["agreement"]) for item in items] == [("step", busy)]


def test_what_ends_soon_has_a_part_of_its_own(desk: Desk, world: World, busy: str) -> None:
    assert desk.visit(LEGAL).get("/work.json").json()["ends"] == []
    day = 86_400_000_000
    world.now = type(world.now)(2_082_758_400_000_000 - 20 * day)  # 2036-01-01, less twenty days
    ends = desk.visit(LEGAL).get("/work.json").json()["ends"]
    assert ("agreement-end", "Soon over") in {(item["kind"], item["title"]) for item in ends}
    assert "Ends within 30 days" in read(desk.visit(LEGAL), "/")


def test_what_stopped_today_is_told(desk: Desk, world: World, busy: str) -> None:
    assert desk.visit(LEGAL).get("/work.json").json()["stopped"] == []
    recorded = world.act("borealia", busy, EventKind.WITHDRAW, text="Under review.")
    assert isinstance(recorded, Recorded)
    world.deliver()
    (stopped,) = desk.visit(LEGAL).get("/work.json").json()["stopped"]
    assert (stopped["agreement"], stopped["state"]) == (busy, "withdrawn")
    world.tick(2 * 86_400_000_000)
    assert desk.visit(LEGAL).get("/work.json").json()["stopped"] == []


def test_a_long_list_has_pages(desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comity.console.work._AT_FIRST", 2)
    monkeypatch.setattr("comity.console.work._ROWS", 3)
    for number in range(7):
        world.tick()
        propose(world, title=f"Number {number}")
    browser = desk.visit(LEGAL)
    first = read(browser, "/")
    assert '<a href="/?only=todo">All 7</a>' in first
    shown = list[str]()
    for page in (1, 2, 3):
        shown += [item["title"] for item in browser.get(f"/work.json?only=todo&page={page}").json()["todo"]]
    assert shown == [f"Number {number}" for number in range(7)]
    assert 'href="/?only=todo&amp;page=2"' in read(browser, "/?only=todo")
    assert browser.get("/work.json?only=todo&page=999999999").json()["page"] == 3
    assert browser.get("/?only=nonsense").status_code == 200


def test_acts_that_wait_have_pages(desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comity.console.work._ROWS", 3)
    node, by = world.nodes["aurelia"], world.actor("aurelia", Role.LIAISON)
    for number in range(7):
        world.tick()
        assert isinstance(agree.propose(node, world.terms(title=f"Number {number}"), by=by), Waiting)
    browser = desk.visit(LEGAL)
    first = read(browser, "/")
    assert '<a href="/?only=matters">All 7</a>' in first
    assert "comity approvals" not in first
    shown = list[str]()
    for page in (1, 2, 3):
        twin = browser.get(f"/work.json?only=matters&page={page}").json()
        assert twin["todo"] == []
        shown += [item["title"] for item in twin["matters"]]
    assert shown == [f"Number {number}" for number in range(7)]
    second = read(browser, "/?only=matters&page=2")
    assert 'href="/?only=matters&amp;page=1"' in second
    assert 'href="/?only=matters&amp;page=3"' in second
    assert "To do" not in second
    # Who may not see them has no page of them either.
    twin = desk.visit(OPERATOR).get("/work.json?only=matters").json()
    assert (twin["matters"], twin["counts"]["matters"]) == ([], 0)


def test_what_failed_is_counted_where_not_all_of_it_is_shown(
    desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comity.console.work._ROWS", 2)
    for number in range(3):
        world.tick()
        agreement = propose(world, title=f"Number {number}")
        world.act("borealia", agreement, EventKind.WITHDRAW, text="Too wide.")
        world.deliver()
    page = read(desk.visit(LEGAL), "/")
    assert 'And 1 more: <a href="/agreements">all agreements, by state</a>' in page
    twin = desk.visit(LEGAL).get("/work.json").json()
    assert (len(twin["stopped"]), twin["counts"]["stopped"]) == (2, 3)
    assert "stopped" not in desk.visit(OPERATOR).get("/work.json").json()["counts"]


def test_every_kind_of_work_is_in_somebodys_list() -> None:
    assert WORK_SIGHT.keys() == set(WorkKind)
    assert all(WORK_SIGHT.values())


def test_an_act_that_waits_is_shown_to_those_who_could_do_it_or_may_read_it() -> None:
    for kind, need in NEEDS.items():
        if need.people > 1:
            for role in Role:
                person = make_person("p", role)
                reads = kind in {"propose", "counter", "accept", "resume", "accede", "admit"}
                expected = role in need.roles or (reads and role in SIGHT["agreement.show"])
                assert may_see_matter(person, kind) is expected, (kind, role)
    assert not may_see_matter(LEGAL, "nonsense")


def test_work_leads_to_where_it_is_done_for_whom_it_is(desk: Desk, world: World, busy: str) -> None:
    def find_pages(*roles: Role) -> dict[str, str | None]:
        items = desk.visit(make_person("somebody", *roles)).get("/work.json").json()["todo"]
        return {item["kind"]: item["page"] for item in items}

    assert find_pages(Role.LEGAL)["step"] == f"/agreements/{busy}#acts"
    add_article(
        world.nodes["aurelia"],
        b"Rain\n\n3 May 2031\n\nGermany denied that it rained in Lisbon.",
        "a.txt",
        ArticlePlan(),
    )
    assert find_pages(Role.ANALYST)["article-to-review"] == "/articles"
    page = read(desk.visit(LEGAL), "/")
    assert f'<a href="/agreements/{busy}#acts">Do this here</a>, or by command:' in page
    assert "article-to-review" not in find_pages(Role.AUDITOR)
    soon = format_instant(Instant(world.now + 20 * 86_400_000_000))
    world.sign_all(world.terms(title="Soon over indeed", until=soon))
    for role, there in ((Role.LEGAL, "/agreements/propose"), (Role.AUDITOR, None)):
        ends = desk.visit(make_person("somebody", role)).get("/work.json").json()["ends"]
        assert {item["page"] for item in ends if item["kind"] == "agreement-end"} == {there}, role


def test_every_page_that_work_leads_to_is_there() -> None:
    assert PAGES.keys() <= {kind.value for kind in WorkKind}
    for kind, (place, operations) in PAGES.items():
        assert operations <= OPERATIONS.keys() & SIGHT.keys()
        path = place.partition("#")[0].format(agreement="x", object="x", letter="x")
        fits = any(
            route.path_regex.fullmatch(path) for screen in SCREENS for route in screen if isinstance(route, Route)
        )
        assert fits, kind
    for kind, (place, operation) in OF_MANY.items():
        assert kind in PAGES
        assert operation in OPERATIONS.keys() & SIGHT.keys()
        path = place.partition("?")[0]
        assert any(
            route.path_regex.fullmatch(path) for screen in SCREENS for route in screen if isinstance(route, Route)
        )
