# SPDX-License-Identifier: Apache-2.0
"""Shell: what the console keeps of its door between requests, and the cookie that lets somebody in.

Challenges, and how many passwords are verified at once, are kept here; who is let in is decided by `node`, which keeps
the tries too.
"""

import asyncio
import re
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from comity.agreement.people import Person
from comity.console.provider import Provider
from comity.console.visit import Failed, Visit
from comity.errors import AuthenticationError, MalformedRequest, NotFoundError
from comity.ids import Instant
from comity.node import programs, sessions
from comity.node.invitations import enrol_password, prepare_password
from comity.node.node import Node
from comity.node.passkeys import Challenges, Console, find_console
from comity.node.passwords import hash_password, stand_in
from comity.node.programs import StoredProgram
from comity.node.sessions import SignedIn
from comity.node.signing_in import begin_sign_in, finish_sign_in, is_marked, mark_browser
from comity.node.tries import Tries
from comity.operations.reply import fail_with
from comity.operations.sight import say_nothing_there

__all__ = [
    "Door",
    "find_door",
    "find_mark",
    "find_own_path",
    "find_provider",
    "find_token",
    "let_in",
    "let_out",
    "name_provider",
    "require_console",
    "require_fresh",
]

_AT_ONCE = 2
"""Each verification takes 64 MiB, and a core for some tenths of a second."""

_FRESH = Instant(15 * 60 * 1_000_000)
_MARKED_SECONDS = 180 * 86_400
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]{0,2000}", re.ASCII)
"""A path of this console: characters that show, no backslash, and no second stroke, which would begin a host."""


@dataclass(slots=True)
class Door:
    """The door of the console of one node."""

    node: Node
    provider: Provider | None = None
    """By which people may sign in too; None: by none."""
    tries: Tries = field(default_factory=Tries)
    tries_of_known: Tries = field(default_factory=lambda: Tries("known browsers"))
    """Of browsers in which the person of the name has signed in before: strangers use up their own alone."""
    challenges: Challenges = field(default_factory=Challenges)
    filling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the program for which a page is being filled."""
    _verifying: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    def find_program(self, token: str) -> tuple[StoredProgram, Person] | None:
        """The program that the token is of, and in whose name it asks."""
        return programs.find_program(self.node, token)

    def find_person(self, token: str) -> Person | None:
        """Whose session the token is of."""
        return sessions.find_session(self.node, token)

    def is_fresh(self, token: str) -> bool:
        """Whether the person of this session signed in within the last 15 minutes."""
        found = sessions.find_session_of(self.node, token)
        return found is not None and self.node.clock() < found[0].began_at + _FRESH

    async def sign_in(self, *, name: str, password: str, code: str, mark: str) -> SignedIn:
        """The person, signed in; the password is verified beside the event loop. `mark` is what the browser keeps.

        Raises:
            RateLimited, AuthenticationError: as `node.signing_in`.
        """
        # Made once, and not on the event loop: who asks first would keep everybody else waiting.
        await asyncio.to_thread(stand_in)
        tries = self.tries_of_known if is_marked(self.node, name, mark) else self.tries
        attempt = begin_sign_in(self.node, tries, name)
        async with self._verifying:
            matches = await asyncio.to_thread(attempt.verify, password)
        return finish_sign_in(self.node, tries, attempt, matches=matches, code=code)

    async def enrol(self, *, code: str, password: str, sealed: str, second: str) -> SignedIn:
        """The person whom the code invited, signed in, with this password from here on.

        Raises:
            AuthenticationError, MalformedRequest: as `node.invitations`.
        """
        prepared = prepare_password(self.node, code, password)
        async with self._verifying:
            hashed = await asyncio.to_thread(hash_password, prepared)
        return enrol_password(self.node, code, hashed=hashed, sealed=sealed, second=second)


def find_door(request: Request) -> Door:
    """The door of this console.

    Raises:
        Failed: it has none.
    """
    door = request.app.state.door
    if not isinstance(door, Door):
        raise Failed(fail_with(NotFoundError("nobody can sign in here")))
    return door


def find_provider(request: Request) -> Provider:
    """The OpenID provider of this console.

    Raises:
        Failed: it has none, and nothing is there.
    """
    provider = find_door(request).provider
    if provider is None:
        raise Failed(fail_with(say_nothing_there()))
    return provider


def name_provider(request: Request) -> str | None:
    """What people read on the button that leads to the provider; None where there is none."""
    provider = find_door(request).provider
    return None if provider is None else provider.name


def require_console(request: Request) -> Console:
    """Of which console passkeys are here.

    Raises:
        Failed: it is reached by a number, and there are none.
    """
    console = find_console(request.app.state.url)
    if console is None:
        message = "passkeys need a host name: set url in [console], as https://console.aurelia.example"
        raise Failed(fail_with(MalformedRequest(message)))
    return console


def require_fresh(request: Request, visit: Visit) -> None:
    """Do nothing for who has signed in within the last 15 minutes.

    Raises:
        Failed: that was longer ago.
    """
    if not find_door(request).is_fresh(visit.token):
        message = "sign out and in again first: what opens this console is changed only within 15 minutes after that"
        raise Failed(fail_with(AuthenticationError(message)))


def find_own_path(text: str) -> str:
    """The path of this console that `text` is, or that of the first page: nobody is led elsewhere."""
    return text if _OWN_PATH.fullmatch(text) and not text.startswith(("/sign-", "/enrol")) else "/"


def find_token(request: Request) -> str:
    """The token that the browser holds, good or not; empty: none."""
    return request.cookies.get(request.app.state.cookie, "")


def find_mark(request: Request) -> str:
    """What the browser keeps of whoever signed in before; empty: nothing."""
    return request.cookies.get(f"{request.app.state.cookie}-known", "")


def let_in(request: Request, answer: Response, signed_in: SignedIn) -> Response:
    """The answer, with the cookie of a new session; the one that the browser had before, of whomever, has ended."""
    node = find_door(request).node
    if earlier := find_token(request):
        sessions.end_token(node, earlier)
    cookie, secure = request.app.state.cookie, request.app.state.url.startswith("https:")
    answer.set_cookie(cookie, signed_in.token, path="/", secure=secure, httponly=True, samesite="strict")
    answer.set_cookie(
        f"{cookie}-known",
        mark_browser(node, signed_in.person.id),
        max_age=_MARKED_SECONDS,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    return answer


def let_out(request: Request, answer: Response) -> Response:
    """The answer, which takes the cookie away; the session has ended."""
    sessions.end_token(find_door(request).node, find_token(request))
    secure = request.app.state.url.startswith("https:")
    answer.delete_cookie(request.app.state.cookie, path="/", secure=secure, httponly=True, samesite="strict")
    return answer
