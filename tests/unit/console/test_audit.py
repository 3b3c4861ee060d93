# SPDX-License-Identifier: Apache-2.0
"""An audit of the console is the audit of the command: of the whole log, by a process of its own."""

import asyncio
import time
from typing import Any

import apsw
import httpx
import pytest

from comity.agreement.people import Role
from comity.console.visit import Visit
from comity.node.audit import audit_folder
from comity.operations.audit import format_audit
from tests.consoles import URL, Desk, make_person
from tests.worlds import BASIS, World, make_object

AUDITOR = make_person("aurelia-auditor", Role.AUDITOR)

pytestmark = pytest.mark.slow


@pytest.fixture
def given(world: World) -> World:
    """Something was given."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"))
    world.poll("borealia")
    return world


def ask(desk: Desk, arguments: dict[str, Any]) -> tuple[Any, list[tuple[int, int]]]:
    visit, told = Visit(person=AUDITOR, token="t", ask_as=desk.ask), list[tuple[int, int]]()
    return asyncio.run(visit.ask("audit", arguments, lambda done, of: told.append((done, of)))), told


def test_it_finds_what_the_command_finds(given: World, desk: Desk) -> None:
    reply, told = ask(desk, {})
    expected = format_audit(audit_folder(given.nodes["aurelia"].folder, now=given.now))
    assert reply.code == 0
    assert {**reply.result, "at": None} == {**expected, "at": None}
    assert reply.result["log"]["disclosures"] > 0
    assert all(done <= of for done, of in told)


def test_it_tells_what_does_not_fit(given: World, desk: Desk) -> None:
    folder = given.nodes["aurelia"].folder
    connection = apsw.Connection(str(folder / "store.db"))
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("UPDATE log_entry SET leaf = zeroblob(length(leaf)) WHERE position = 1")
    connection.close()
    reply, _ = ask(desk, {})
    assert reply.code == 7
    assert "failed" in reply.result


def test_figures_have_bounds(given: World, desk: Desk) -> None:
    everything, _ = ask(desk, {})
    nothing, _ = ask(desk, {"until": "2000-01-01T00:00:00Z"})
    assert everything.result["given"]
    assert nothing.result["given"] == []
    assert ask(desk, {"until": "yesterday"})[0].code == 2


def test_one_at_a_time(given: World, desk: Desk) -> None:
    visit = Visit(person=AUDITOR, token="t", ask_as=desk.ask)

    async def both() -> list[int]:
        return [reply.code for reply in await asyncio.gather(visit.ask("audit"), visit.ask("audit"))]

    assert sorted(asyncio.run(both())) == [0, 6]
    assert ask(desk, {})[0].code == 0


def test_it_is_for_those_who_answer_for_the_record(desk: Desk) -> None:
    for role in (Role.ANALYST, Role.OPERATOR):
        browser = desk.visit(make_person("somebody", role))
        assert browser.get("/audit").status_code == 404
        assert browser.get("/audit").text == browser.get("/nowhere").text
    assert desk.visit(AUDITOR).get("/audit").status_code == 200


def test_its_page_shows_the_figures(given: World, desk: Desk) -> None:
    browser = desk.visit(AUDITOR)
    key = Visit(person=AUDITOR, token=browser.cookies["comity"], ask_as=desk.ask).form_key
    headers = {"origin": URL, "sec-fetch-site": "same-origin"}

    async def click() -> str:
        transport = httpx.ASGITransport(app=browser.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL, cookies=browser.cookies) as client:
            form = {"form_key": key, "since": "", "until": "2030-01-01"}
            begun = await client.post("/audit", data=form, headers=headers)
            assert begun.status_code == 303, begun.text
            deadline = time.monotonic() + 60
            while 'http-equiv="refresh"' in (text := (await client.get(begun.headers["location"])).text):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            return text

    page = asyncio.run(click())
    assert "Clean: everything fits." in page
    assert "borealia" in page
    assert "unsc_resolution" in page or BASIS in page
