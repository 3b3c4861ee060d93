# SPDX-License-Identifier: Apache-2.0
"""Shell: where an invitation is changed for what a person signs in by from then on.

The code of the invitation comes in a form, or behind the fragment of the address, which no browser sends: it stands in
no log of a server or proxy. It stands hidden in the page that follows, which no cache keeps.
"""

from typing import Any

import segno
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from comity.console import door as doors
from comity.console.pages import read_fields, read_text, render
from comity.console.sign_in import answer_script, find_status
from comity.errors import ComityError, MalformedRequest
from comity.node.invitations import find_invited, offer_password
from comity.node.passkeys import enrol_passkey, find_console, offer_passkey

__all__ = ["ROUTES", "offer_choice"]

_MOST_FORM_BYTES = 65_536


async def ask_code(request: Request) -> Response:
    """The form for the code of an invitation."""
    doors.find_door(request)
    return _show(request, invited=None)


async def offer(request: Request) -> Response:
    """Whom the code invites, and the choice of what to sign in by."""
    form = await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    return offer_choice(request, read_text(form, "code"), error=None)


async def take_password(request: Request) -> Response:
    """The first page, with a session; or the choice again, with a new secret and what was wrong."""
    form = await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    code, password = read_text(form, "code"), read_text(form, "password")
    try:
        if password != read_text(form, "again"):
            raise MalformedRequest("the two passwords are not the same")
        signed_in = await doors.find_door(request).enrol(
            code=code, password=password, sealed=read_text(form, "sealed"), second=read_text(form, "second")
        )
    except ComityError as error:
        return offer_choice(request, code, error=error)
    return doors.let_in(request, RedirectResponse("/", status_code=303), signed_in)


@answer_script
async def offer_new_passkey(request: Request) -> Response:
    """A challenge for `navigator.credentials.create`."""
    door = doors.find_door(request)
    form = await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    person = find_invited(door.node, read_text(form, "code"))
    return JSONResponse(offer_passkey(door.node, door.challenges, doors.require_console(request), person))


@answer_script
async def take_passkey(request: Request) -> Response:
    """Where to go, with a session."""
    door = doors.find_door(request)
    form = await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    signed_in = enrol_passkey(
        door.node,
        door.challenges,
        doors.require_console(request),
        code=read_text(form, "code"),
        response=read_text(form, "response"),
        name=read_text(form, "label"),
    )
    return doors.let_in(request, JSONResponse({"to": "/"}), signed_in)


def offer_choice(request: Request, code: str, *, error: ComityError | None) -> Response:
    """The choice of what to sign in by, for whom the code invites; or the form for a code."""
    node = doors.find_door(request).node
    try:
        person, offered = find_invited(node, code), offer_password(node, code)
    except ComityError as refused:
        return _show(request, invited=None, error=error or refused)
    picture = segno.make(offered.uri, micro=False).svg_data_uri(scale=4, border=4, light="white")
    return _show(request, invited=person, error=error, code=code, offered=offered, picture=picture)


def _show(request: Request, *, error: ComityError | None = None, **content: Any) -> Response:  # noqa: ANN401
    return render(
        "enrol.html",
        status=200 if error is None else find_status(error),
        visit=None,
        path="/enrol",
        error=None if error is None else error.detail,
        passkeys=find_console(request.app.state.url) is not None,
        provider=doors.name_provider(request),
        **content,
    )


ROUTES: list[Route] = [
    Route("/enrol", ask_code, methods=["GET"]),
    Route("/enrol", offer, methods=["POST"]),
    Route("/enrol/password", take_password, methods=["POST"]),
    Route("/enrol/passkey/options", offer_new_passkey, methods=["POST"]),
    Route("/enrol/passkey", take_passkey, methods=["POST"]),
]
