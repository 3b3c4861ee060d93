# SPDX-License-Identifier: Apache-2.0
"""A console in a test: real operations on a real node, asked as a browser asks, by people who are signed in."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx

from comity.agreement.people import Person, Role
from comity.console.app import ConsoleApp
from comity.console.door import Door
from comity.ids import PersonId
from comity.node.node import Node
from comity.operations.acting import act
from comity.operations.outcome import Tell
from comity.operations.reply import Json, Reply

__all__ = ["URL", "Browser", "Desk", "make_person"]

URL = "http://localhost:8460"
_LONG_WORK_SECONDS = 60


class _Nothing:
    """Nothing is under way and nobody is told: what surrounds an operation is tested where it is."""

    async def drain(self, agreement: str) -> None: ...

    async def forget(self) -> None: ...

    async def check(self, *, seconds: float) -> None: ...

    async def deliver(self, *, seconds: float) -> None: ...

    async def cosign(self, *, seconds: float) -> None: ...


def make_person(name: str, *roles: Role) -> Person:
    return Person(id=PersonId(name), name=name.title(), roles=frozenset(roles))


@dataclass
class Desk:
    """The console of `node`, and which token is whose session."""

    node: Node
    sessions: dict[str, Person] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)

    async def ask(self, operation: str, arguments: Mapping[str, Json], by: Person, tell: Tell | None = None) -> Reply:
        self.asked.append((operation, arguments))
        return await act(self.node, operation, arguments, around=_Nothing(), by=by, tell=tell)

    @cached_property
    def door(self) -> Door:
        """What people sign in by."""
        return Door(self.node)

    def find_person(self, token: str) -> Person | None:
        return self.sessions.get(token) or self.door.find_person(token)

    def visit(self, person: Person | None, *, url: str = URL) -> "Browser":
        """A browser of a person who is signed in, or of nobody."""
        token = f"token-{len(self.sessions)}"
        if person is not None:
            self.sessions[token] = person
        app = ConsoleApp(url=url, ask=self.ask, find_person=self.find_person, door=self.door)
        return Browser(app, {} if person is None else {"comity": token}, url)


@dataclass
class Browser:
    """Asks the console as a browser does, without following redirects."""

    app: ConsoleApp
    cookies: dict[str, str]
    url: str = URL

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.send("GET", path, headers=headers)

    def post(self, path: str, page: str, **fields: str) -> httpx.Response:
        """Send a form as the one on `page`, whose key it takes, with these fields."""
        found = re.search(r'name="form_key" value="([0-9a-f]{64})"', self.get(page).text)
        assert found is not None, f"no form on {page}"
        return self.send_form(path, form_key=found[1], **fields)

    def send_form(self, path: str, **fields: str) -> httpx.Response:
        """Send fields as a page of the console does."""
        return self.send("POST", path, data=fields, headers={"origin": self.url, "sec-fetch-site": "same-origin"})

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=self.url, cookies=self.cookies) as client:
                answer = await client.request(method, path, **more)
                if begun := asyncio.all_tasks() - {asyncio.current_task()}:
                    await asyncio.wait(begun, timeout=_LONG_WORK_SECONDS)  # long work ends with the loop it runs on
                return answer

        return asyncio.run(ask())
