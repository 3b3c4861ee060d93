# SPDX-License-Identifier: Apache-2.0
"""Long work is begun, left and found again by whoever began it, and by nobody else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.agreement.people import Person, Role
from comity.console.app import ConsoleApp
from comity.console.jobs import start_job
from comity.operations.outcome import Tell
from comity.operations.reply import Exit, Json, Reply
from tests.consoles import URL, make_person

ANNA = make_person("anna", Role.ANALYST)
BORIS = make_person("boris", Role.ANALYST)
SENT = {"origin": URL, "sec-fetch-site": "same-origin"}


class Slow:
    """Operations that end when the test says so."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.reply = Reply(code=0, result={"added": ["<b>x</b>"], "many": list(range(300))})
        self.begun = 0

    async def ask(self, operation: str, arguments: Mapping[str, Json], by: Person, tell: Tell | None = None) -> Reply:
        self.begun += 1
        assert tell is not None
        tell(3, 7)
        await self.go_on.wait()
        return self.reply


async def begin(request: Request) -> Response:
    return await start_job(request, "object.add", {}, title="A <i>file</i>", to="/objects")


@asynccontextmanager
async def open_console(slow: Slow) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    app = ConsoleApp(
        url=URL,
        ask=slow.ask,
        find_person={"a": ANNA, "b": BORIS}.get,
        screens=[Route("/begin", begin, methods=["POST"])],
    )
    transport = httpx.ASGITransport(app=app)
    async with (
        httpx.AsyncClient(transport=transport, base_url=URL, cookies={"comity": "a"}) as anna,
        httpx.AsyncClient(transport=transport, base_url=URL, cookies={"comity": "b"}) as boris,
    ):
        yield {"anna": anna, "boris": boris}


def test_work_goes_on_when_its_page_is_left_and_is_found_again() -> None:
    async def run() -> None:
        slow = Slow()
        async with open_console(slow) as who:
            begun = await who["anna"].post("/begin", headers=SENT)
            assert (begun.status_code, begun.headers["location"]) == (303, "/jobs/1")
            page = await who["anna"].get("/jobs/1")
            assert "Under way" in page.text
            assert 'http-equiv="refresh"' in page.text
            assert "A &lt;i&gt;file&lt;/i&gt;" in page.text
            assert 'value="3" max="7"' in page.text
            assert slow.begun == 1  # loading the page begins nothing
            slow.go_on.set()
            await asyncio.sleep(0)
            ended = await who["anna"].get("/jobs/1")
            assert 'http-equiv="refresh"' not in ended.text
            assert "&lt;b&gt;x&lt;/b&gt;" in ended.text
            assert "and 200 more" in ended.text
            twin = await who["anna"].get("/jobs/1.json")
            assert twin.json()["result"]["added"] == ["<b>x</b>"]

    asyncio.run(run())


def test_nobody_sees_the_work_of_another() -> None:
    async def run() -> None:
        slow = Slow()
        async with open_console(slow) as who:
            await who["anna"].post("/begin", headers=SENT)
            other = await who["boris"].get("/jobs/1")
            none = await who["boris"].get("/jobs/2")
            assert (other.status_code, other.text) == (404, none.text.replace("/jobs/2", "/jobs/1"))
            assert (await who["boris"].get("/jobs.json")).json() == {"jobs": []}
            slow.go_on.set()

    asyncio.run(run())


def test_what_fails_is_told_on_its_page() -> None:
    async def run() -> None:
        slow = Slow()
        error: dict[str, Json] = {"code": "malformed", "message": "line 3 is <none>", "facts": {}}
        slow.reply = Reply(code=Exit.USAGE, error=error)
        slow.go_on.set()
        async with open_console(slow) as who:
            await who["anna"].post("/begin", headers=SENT)
            page = await who["anna"].get("/jobs/1")
            assert page.status_code == 400
            assert "line 3 is &lt;none&gt;" in page.text

    asyncio.run(run())


def test_how_much_one_person_has_under_way_is_bounded_and_others_are_not_held_up() -> None:
    async def run() -> None:
        slow = Slow()
        async with open_console(slow) as who:
            for _ in range(4):
                assert (await who["anna"].post("/begin", headers=SENT)).status_code == 303
            assert (await who["anna"].post("/begin", headers=SENT)).status_code == 409
            assert (await who["boris"].post("/begin", headers=SENT)).status_code == 303
            slow.go_on.set()
            await asyncio.sleep(0)
            for _ in range(30):
                assert (await who["anna"].post("/begin", headers=SENT)).status_code == 303
            kept = (await who["anna"].get("/jobs.json")).json()["jobs"]
            assert len(kept) == 20
            assert kept[0]["number"] == 35

    asyncio.run(run())


def test_what_ended_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        slow = Slow()
        slow.go_on.set()
        async with open_console(slow) as who:
            await who["anna"].post("/begin", headers=SENT)
            loop = asyncio.get_running_loop()
            later = loop.time() + 3_700
            monkeypatch.setattr(loop, "time", lambda: later)
            assert (await who["anna"].get("/jobs/1")).status_code == 404

    asyncio.run(run())
