# SPDX-License-Identifier: Apache-2.0
"""What happens while a request or some work is under way counts for it: a session that ends, a person who goes."""

import asyncio
import base64
import json
import logging
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from starlette.types import Message

from comity.agreement.people import Role
from comity.canonical import Json
from comity.classification.rules import RuleSet, convert_rules
from comity.console.app import ConsoleApp
from comity.console.visit import Visit
from comity.ids import PersonId
from comity.node import articledeletion, invitations, people, sessions
from comity.node.agree import Recorded
from comity.node.articles import ArticlePlan, add_article, list_articles
from comity.node.correspond import export_messages
from comity.node.lists import list_lists
from comity.node.node import Node
from comity.node.people import list_matters
from comity.node.rules import apply_rules, list_rules
from comity.node.standing import find_agreement, list_dossiers
from comity.node.steps import finish
from tests.consoles import URL, Browser, Desk, make_person
from tests.unit.console.test_lists import entry
from tests.unit.console.test_lists import make_file as make_list
from tests.unit.console.test_rules import SAY
from tests.worlds import World, make_object

LIAISON = PersonId("aurelia-liaison")


def sign_in(world: World, name: str) -> str:
    """The token of a real session of the person."""
    node = world.nodes["aurelia"]
    with node.act() as act:
        person = people.find_present(act.transaction, PersonId(name)).person
        return sessions.begin_session(act, node, person, factor="password").token


def open_browser(desk: Desk, token: str) -> Browser:
    return Browser(ConsoleApp(url=URL, ask=desk.ask, find_person=desk.find_person, door=desk.door), {"comity": token})


def find_key(desk: Desk, world: World, token: str) -> str:
    person = desk.find_person(token)
    assert person is not None
    return Visit(person=person, token=token, ask_as=desk.ask).form_key


def state(world: World, agreement: str) -> str:
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        return find_agreement(node, transaction, agreement).standing(now=node.clock()).state.value


async def send_slowly(app: ConsoleApp, path: str, body: bytes, token: str, meanwhile: Callable[[], object]) -> int:
    """The status of a POST between whose two halves something happens; 0 where the browser then hangs up."""
    sent, halves = list[Message](), [body[:10], body[10:]]

    async def receive() -> Message:
        if len(halves) == 1 and meanwhile() == "hang up":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": halves.pop(0), "more_body": bool(halves)}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = {
        "host": URL.removeprefix("http://"),
        "origin": URL,
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(body)),
        "cookie": f"comity={token}",
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "scheme": "http",
        "root_path": "",
        "server": ("localhost", 8460),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("what", ["nothing", "ended", "invited anew", "renewed", "removed", "idle"])
def test_a_session_that_ends_in_the_middle_of_a_request_does_nothing(world: World, desk: Desk, what: str) -> None:
    node, agreement = world.nodes["aurelia"], world.sign_all(world.terms())
    token = sign_in(world, LIAISON)
    ends: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "ended": lambda: sessions.end_sessions(node, LIAISON),
        "invited anew": lambda: invitations.invite_person(node, LIAISON),
        "renewed": lambda: people.renew_person(node, LIAISON),
        "removed": lambda: people.remove_person(node, LIAISON),
        "idle": lambda: world.tick(2 * 3_600 * 1_000_000),
    }
    body = urlencode({"form_key": find_key(desk, world, token), "reason": "A source may be at risk."}).encode()
    path = f"/agreements/{agreement}/suspend"
    status = asyncio.run(send_slowly(open_browser(desk, token).app, path, body, token, ends[what]))
    assert status == (303 if what == "nothing" else 403)
    assert state(world, agreement) == ("suspended" if what == "nothing" else "in force")


def test_whoever_hangs_up_in_the_middle_leaves_nothing_in_the_log_of_the_process(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    app = open_browser(desk, "").app
    with caplog.at_level(logging.DEBUG):
        status = asyncio.run(send_slowly(app, "/sign-in", b"name=vera&password=x", "", lambda: "hang up"))
    assert status == 400
    assert not [record for record in caplog.records if record.name.startswith("comity")]


def test_what_a_stolen_sign_in_approved_carries_nothing_after_an_invitation_anew(world: World, desk: Desk) -> None:
    agreement = world.sign_all(world.terms())
    thief = open_browser(desk, sign_in(world, LIAISON))
    node = world.nodes["aurelia"]
    body = {"form_key": find_key(desk, world, thief.cookies["comity"]), "reason": "A source may be at risk."}
    assert thief.send_form(f"/agreements/{agreement}/suspend", **body).status_code == 303
    assert "said=waits" in thief.send_form(f"/agreements/{agreement}/resume", **body).headers["location"]
    assert len(list_matters(node)) == 1
    invitations.invite_person(node, LIAISON)
    assert list_matters(node) == []
    legal = open_browser(desk, sign_in(world, "aurelia-legal"))
    body = {"form_key": find_key(desk, world, legal.cookies["comity"]), "reason": "A source may be at risk."}
    assert "said=waits" in legal.send_form(f"/agreements/{agreement}/resume", **body).headers["location"]
    assert state(world, agreement) == "suspended"


@pytest.mark.parametrize("what", ["ended", "signed out", "invited anew", "renewed", "removed"])
def test_long_work_ends_when_whoever_began_it_is_shut_out(world: World, desk: Desk, what: str) -> None:
    ends: dict[str, Callable[[Node, PersonId], object]] = {
        "ended": sessions.end_sessions,
        "signed out": sessions.sign_out,
        "invited anew": invitations.invite_person,
        "renewed": people.renew_person,
        "removed": people.remove_person,
    }
    node = world.nodes["aurelia"]
    objects = [make_object(str(number)) for number in range(3_000)]
    bundle = {"type": "bundle", "id": "bundle--9d1b2c8e-9f06-4a55-8a1c-0d8a4d6f1c11", "objects": objects}
    arguments = {"data": base64.b64encode(json.dumps(bundle).encode()).decode(), "name": "many.json"}
    person = people.identify(node, world.badges["aurelia", Role.LIAISON])
    visit = Visit(person=person, token="t", ask_as=desk.ask)

    def count() -> int:
        with node.store.read() as transaction:
            return len(transaction.rows("SELECT id FROM object"))

    async def run() -> int:
        work = asyncio.create_task(visit.ask("object.add", arguments))
        while count() == 0 and not work.done():  # noqa: ASYNC110 (its steps are waited for)
            await asyncio.sleep(0)
        ends[what](node, person.id)
        return (await work).code

    assert asyncio.run(run()) == 4
    assert 0 < count() < 3_000


def test_who_is_shut_out_approves_nothing_at_the_end_of_long_work(world: World, desk: Desk) -> None:
    node, legal = world.nodes["aurelia"], PersonId("aurelia-legal")
    world.add("aurelia", *(make_object(f"o{number}", subjects=[], regions=[]) for number in range(1_000)))
    rules = convert_rules(SAY.encode())
    assert isinstance(rules, RuleSet)
    finish(apply_rules(node, rules, reason="Case.", by=world.actor("aurelia", Role.LIAISON)))
    (matter,) = list_matters(node)
    visit = Visit(person=people.identify(node, world.badges["aurelia", Role.LEGAL]), token="t", ask_as=desk.ask)

    async def run() -> int:
        work = asyncio.create_task(visit.ask("rules.apply", {"matter": matter.digest, "digest": rules.digest}))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not work.done()
        invitations.invite_person(node, legal)
        return (await work).code

    assert asyncio.run(run()) == 4
    assert list_rules(node) == []


def ask_shut_out(world: World, desk: Desk, operation: str, arguments: dict[str, Json]) -> int:
    """The code of what a liaison asks for who is invited anew while it is under way."""
    node = world.nodes["aurelia"]
    visit = Visit(person=people.identify(node, world.badges["aurelia", Role.LIAISON]), token="t", ask_as=desk.ask)

    async def run() -> int:
        work = asyncio.create_task(visit.ask(operation, arguments))
        await asyncio.sleep(0)
        assert not work.done()
        invitations.invite_person(node, LIAISON)
        return (await work).code

    return asyncio.run(run())


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_who_is_shut_out_while_a_list_is_read_loads_none(world: World, desk: Desk) -> None:
    listed: dict[str, Json] = {"data": encode(make_list("1", entry("national:a"))), "reason": "New."}
    assert ask_shut_out(world, desk, "list.load", listed) == 4
    assert list_lists(world.nodes["aurelia"]) == []


def test_who_is_shut_out_while_an_article_is_read_brings_none(world: World, desk: Desk) -> None:
    text = b"Aurelia and Borealia said so on 3 May 2014. " * 2_000
    assert ask_shut_out(world, desk, "article.add", {"data": encode(text), "name": "long.txt", "format": "text"}) == 4
    assert list_articles(world.nodes["aurelia"], last=10) == []


def test_who_is_shut_out_while_the_log_is_looked_through_deletes_no_article(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world.nodes["aurelia"]
    monkeypatch.setattr(articledeletion, "_ENTRIES_AT_ONCE", 1)
    add_article(node, b"Aurelia and Borealia said so on 3 May 2014.", "short.txt", ArticlePlan())
    world.sign_all(world.terms())
    assert ask_shut_out(world, desk, "article.delete", {"id": "1", "reason": "By mistake."}) == 4
    assert len(list_articles(node, last=10)) == 1


def test_who_is_shut_out_while_messages_are_imported_records_none(world: World, desk: Desk) -> None:
    proposed = world.propose("borealia", world.terms(giver="borealia", receivers=("aurelia",)))
    assert isinstance(proposed, Recorded)
    exported = encode(export_messages(world.nodes["borealia"], proposed.event.agreement))
    assert ask_shut_out(world, desk, "agreement.import", {"messages": exported, "reason": "By hand."}) == 4
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        assert list_dossiers(node, transaction) == ()


def test_who_may_not_read_agreements_is_told_of_none_by_what_is_followed(world: World, desk: Desk) -> None:
    agreement = world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), title="A secret title"))
    for role, told in ((Role.OPERATOR, False), (Role.LIAISON, True)):
        browser = desk.visit(make_person("somebody", role))
        for path in ("/node", "/node.json"):
            answer = browser.get(path).text
            assert ("A secret title" in answer) == told
            assert (agreement in answer) == told


def test_who_may_not_look_through_objects_names_them_whole(world: World, desk: Desk) -> None:
    world.add("aurelia", make_object("one", tlp="red"), make_object("two"))
    auditor = desk.visit(make_person("auditor", Role.AUDITOR))
    for begun in ("re", "report--", "report--3"):
        answer = auditor.get(f"/explain.json?object={begun}")
        assert answer.status_code == 400
        assert "report--" not in answer.text.replace(begun, "")
    whole = desk.visit(make_person("analyst", Role.ANALYST)).get("/objects.json").json()["objects"][0]["id"]
    assert auditor.get(f"/explain.json?object={whole}").status_code == 200
    operator = desk.visit(make_person("operator", Role.OPERATOR))
    assert operator.get("/explain").text == operator.get("/nowhere").text
