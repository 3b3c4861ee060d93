# SPDX-License-Identifier: Apache-2.0
"""Shell: the console as one ASGI application: its door, its pages, and what every answer carries.

The door: the request names the host that the settings name; a POST comes from a page of the console itself; and a
person is signed in, but for the pages where one signs in. Whatever else is asked is answered by a page to sign in on,
the same for every path, so that nobody learns which pages there are. Or a program sends its token, and is let to what
it was let do.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comity.agreement.people import Person
from comity.console import (
    acts,
    agreements,
    approvals,
    articles,
    assessments,
    audit,
    changes,
    enrol,
    explain,
    identity,
    intake,
    jobs,
    joining,
    lists,
    log,
    matrix,
    me,
    necessity,
    node,
    objects,
    openid,
    people,
    programs,
    recalls,
    requests,
    retention,
    rules,
    saying,
    sign_in,
    usable,
    work,
)
from comity.console.door import Door
from comity.console.letters import LETTERS, Letters
from comity.console.pages import show_failure
from comity.console.visit import Ask, Failed, FindPerson, Visit
from comity.errors import AuthenticationError, MalformedRequest
from comity.operations.outcome import Tell
from comity.operations.reply import Exit, Json, Reply, describe_bug, fail_with
from comity.operations.sight import say_nothing_there
from comity.taxii.wire import is_taxii

__all__ = ["PUBLIC", "SCREENS", "ConsoleApp", "find_cookie_name"]

SCREENS: tuple[Sequence[BaseRoute], ...] = (
    work.ROUTES,
    approvals.ROUTES,
    jobs.ROUTES,
    audit.ROUTES,
    people.ROUTES,
    log.ROUTES,
    node.ROUTES,
    intake.ROUTES,
    articles.ROUTES,
    lists.ROUTES,
    rules.ROUTES,
    assessments.ROUTES,
    sign_in.ROUTES,
    enrol.ROUTES,
    me.ROUTES,
    programs.ROUTES,
    usable.ROUTES,
    explain.ROUTES,
    saying.ROUTES,
    necessity.ROUTES,
    identity.ROUTES,
    retention.ROUTES,
    objects.ROUTES,
    requests.ROUTES,
    recalls.ROUTES,
    matrix.ROUTES,
    # Before the page of one agreement, whose id would be the last part of the path.
    changes.ROUTES,
    joining.ROUTES,
    acts.ROUTES,
    agreements.ROUTES,
)
"""The pages, screen by screen."""

PUBLIC = ("/static/", "/sign-in", "/enrol")
"""How the paths begin that nobody has to be signed in for."""

_STATIC = Path(__file__).with_name("static")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        _POLICY.encode(),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # With "no-referrer" a browser says `Origin: null` in what a form sends (Fetch §3.2), and the door would refuse it.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_NOT_KEPT = (b"cache-control", b"no-store")
_KEPT = (b"cache-control", b"max-age=3600")

_log = logging.getLogger("comity.console")


class ConsoleApp:
    """The ASGI application of one node; `url` is how people reach it, and `door` what they sign in by.

    `screens` are routes beside SCREENS.
    """

    def __init__(
        self,
        *,
        url: str,
        ask: Ask,
        find_person: FindPerson,
        door: Door | None = None,
        screens: Sequence[BaseRoute] = (),
    ) -> None:
        parts = urlsplit(url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._host = parts.netloc
        self._cookie = find_cookie_name(url)
        self._ask = ask
        self._door = door
        self._find_person = find_person
        self._letters = Letters()
        routes = [*screens, *(route for screen in SCREENS for route in screen)]
        routes += [] if door is None or door.provider is None else openid.ROUTES
        pages = Starlette(
            routes=[Mount("/static", StaticFiles(directory=_STATIC)), *routes],
            exception_handlers={
                ClientDisconnect: _end_quietly,
                Failed: _show_failed,
                HTTPException: _show_missing,
                Exception: _show_bug,
            },
        )
        pages.state.jobs, pages.state.find_person = jobs.Jobs(), find_person
        pages.state.uploads = intake.Uploads()
        pages.state.door, pages.state.url, pages.state.cookie = door, self._origin, self._cookie
        self._pages: ASGIApp = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        kept = scope["path"].startswith("/static/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                extra = (*_HEADERS, _KEPT if kept and message["status"] == HTTPStatus.OK else _NOT_KEPT)
                message["headers"] = [*message["headers"], *(item for item in extra if item[0] not in own)]
            await send(message)

        request = Request(scope)
        answer = self._find_objection(request)
        if answer is None:
            answer = self._let_in(request)
        await (answer or self._pages)(scope, receive, send_with_headers)

    def _find_objection(self, request: Request) -> Response | None:
        """Why a request of this form is answered no further."""
        if request.headers.get("host") != self._host:
            return PlainTextResponse("this is no console of that name\n", status_code=421)
        # No page of another site makes a browser send a token: it would have to ask first (Fetch §4.8), and is refused.
        if request.method in {"GET", "HEAD"} or programs.read_token(request) is not None:
            return None
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        if (site or "same-origin") != "same-origin" or origin != self._origin:
            return PlainTextResponse("this was not sent by a page of this console\n", status_code=403)
        return None

    def _ask_again(self, token: str) -> Ask:
        """The way to the operations for as long as the session lasts: a body can take a minute to come."""

        async def ask(operation: str, arguments: Mapping[str, Json], by: Person, tell: Tell | None = None) -> Reply:
            person = self._find_person(token)
            if person is None or person.id != by.id:
                return fail_with(AuthenticationError("your session has ended; sign in, and do it again"))
            if operation in LETTERS:
                return await self._letters.ask_once(
                    person.id, operation, arguments, lambda: self._ask(operation, arguments, person, tell)
                )
            return await self._ask(operation, arguments, person, tell)

        return ask

    def _ask_for_program(self, token: str) -> Ask:
        """The way to the operations for as long as the program may ask."""

        async def ask(operation: str, arguments: Mapping[str, Json], by: Person, tell: Tell | None = None) -> Reply:
            found = None if self._door is None else self._door.find_program(token)
            if found is None or found[1].id != by.id:
                return fail_with(AuthenticationError("this program may not ask any more"))
            # Long work asks between its steps whether this program may still ask (`operations.people`).
            return await self._ask(operation, {**arguments, "program": found[0].id}, found[1], tell)

        return ask

    def _let_program_in(self, request: Request, token: str) -> Response | None:
        """Put the visit of a program into the scope; or why it has none. It has no cookie, whatever it sends."""
        found = None if self._door is None else self._door.find_program(token)
        path = request.scope["path"]
        taxii = is_taxii(path)
        if taxii and "sec-fetch-site" in request.headers:
            return usable.refuse(404)  # a browser, which keeps what was typed once, and sends it unasked
        if found is None and taxii:
            return usable.refuse(401)
        if found is None:
            message = "this token is good no more, or never was; make another in the console, under your own name"
            error = {"code": "not-signed-in", "message": message, "facts": {}}
            return JSONResponse({"error": error}, status_code=401, headers={"WWW-Authenticate": "Bearer"})
        program, person = found
        if not programs.is_let_to(program, request.method, path):
            return usable.refuse(404) if taxii else _tell_nothing_there()
        # Over TAXII the query is the standard's, and read where that is.
        if not taxii and (unread := programs.find_unread(program, path, request.query_params)) is not None:
            return show_failure(request, fail_with(MalformedRequest(unread, where="query")))
        request.scope["comity.visit"] = Visit(
            person=person, token=token, ask_as=self._ask_for_program(token), program=program.id
        )
        return None

    def _let_in(self, request: Request) -> Response | None:
        """Put the visit into the scope; or where to sign in."""
        if (sent := programs.read_token(request)) is not None:
            return self._let_program_in(request, sent)
        token = request.cookies.get(self._cookie)
        person = None if not token else self._find_person(token)
        if person is not None and token:
            request.scope["comity.visit"] = Visit(person=person, token=token, ask_as=self._ask_again(token))
            return None
        if request.url.path.startswith(PUBLIC):
            return None
        if request.method == "POST" and "text/html" in request.headers.get("accept", ""):
            # A form, which somebody may have written in for as long as a session lasts without a request.
            request.scope["path"] = sign_in.ENDED_PATH
            return None
        if request.url.path.endswith(".json") or request.method not in {"GET", "HEAD"}:
            return JSONResponse({"error": {"code": "not-signed-in", "message": "sign in first"}}, status_code=401)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?{urlencode({'next': target})}", status_code=303)


def _tell_nothing_there() -> Response:
    return JSONResponse({"error": fail_with(say_nothing_there()).error}, status_code=404)


def find_cookie_name(url: str) -> str:
    """What the cookie of a session is called: with the prefix that binds it to the host, where browsers know it."""
    return "__Host-comity" if url.startswith("https:") else "comity"


async def _end_quietly(_request: Request, _error: Exception) -> Response:
    """Whoever hung up in the middle of a body is told nothing, and nothing is noted: anybody could fill a disk so."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _show_failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, Failed)  # noqa: S101 (Starlette hands over what it was registered for)
    return show_failure(request, error.reply)


async def _show_missing(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND:
        return show_failure(request, fail_with(say_nothing_there()))
    return show_failure(request, fail_with(MalformedRequest("this page is not asked in this way")))


async def _show_bug(request: Request, error: Exception) -> Response:
    body = describe_bug(error)
    _log.error("%s: %s", request.url.path, body["message"], exc_info=error)
    return show_failure(request, Reply(code=Exit.FAILED, error=body))
