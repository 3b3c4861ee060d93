# SPDX-License-Identifier: Apache-2.0
"""Shell: one request of a person who is signed in: who asks, and the way to the operations."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request

from comity.agreement.people import Person
from comity.errors import ComityError, MalformedRequest
from comity.operations.outcome import Tell
from comity.operations.reply import Json, Reply, fail_with
from comity.operations.sight import may_ask, say_nothing_there

__all__ = ["Ask", "Failed", "FindPerson", "Visit", "find_visit", "require_program", "telling"]


class Ask(Protocol):
    """The way to the operations."""

    def __call__(
        self, operation: str, arguments: Mapping[str, Json], by: Person, tell: Tell | None = None
    ) -> Awaitable[Reply]:
        """What became of an operation that the person asks; no failure is raised, each is a reply."""


FindPerson = Callable[[str], Person | None]
"""Whose session the token is of; None: of nobody's, or it has ended."""

_FORM_KEY = b"comity-form/1"


class Failed(Exception):
    """What was asked could not be done; the reply says why. It becomes a page that says so."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.code)
        self.reply = reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A person with a session, whose token is the secret that the browser holds.

    Or a program that asks in the person's name, of the id `program`: it is let to few paths (`console.programs`).
    """

    person: Person
    token: str = field(repr=False)
    ask_as: Ask = field(repr=False)
    program: str | None = None

    @property
    def form_key(self) -> str:
        """What a form of this session holds, so that no page of another site can send it."""
        return hmac.new(self.token.encode(), _FORM_KEY, hashlib.sha256).hexdigest()

    def may(self, operation: str) -> bool:
        """Whether the person may ask it: what is not so is no part of any page."""
        return may_ask(self.person, operation)

    def require(self, operation: str) -> None:
        """Do nothing for who may ask it.

        Raises:
            Failed: the person may not, and is answered as if nothing was there.
        """
        if not self.may(operation):
            raise Failed(fail_with(say_nothing_there()))

    async def ask(self, operation: str, arguments: Mapping[str, Json] | None = None, tell: Tell | None = None) -> Reply:
        """What became of the operation; a failure is part of the reply. `tell` hears how far long work is."""
        return await self.ask_as(operation, arguments or {}, self.person, tell)

    async def read(self, operation: str, arguments: Mapping[str, Json] | None = None) -> dict[str, Any]:
        """The result of the operation.

        Raises:
            Failed: there is none.
        """
        reply = await self.ask(operation, arguments)
        if reply.result is None:
            raise Failed(reply)
        return reply.result


def find_visit(request: Request) -> Visit:
    """The visit of a request to a page that only people who are signed in are let to (`console.app`)."""
    visit = request.scope["comity.visit"]
    assert isinstance(visit, Visit)  # noqa: S101 (the door lets nobody else to such a page)
    return visit


def require_program(request: Request) -> Visit:
    """The visit of a program: what it sends has no key of a form, without which nothing of a browser is taken.

    Raises:
        Failed: a browser sent it.
    """
    visit = find_visit(request)
    if visit.program is None:
        raise Failed(fail_with(MalformedRequest("this is asked by programs alone; a person has a form")))
    return visit


@contextmanager
def telling() -> Iterator[None]:
    """What the node raises in the block becomes the page of a failure."""
    try:
        yield
    except ComityError as error:
        raise Failed(fail_with(error)) from error
