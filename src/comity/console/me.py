# SPDX-License-Identifier: Apache-2.0
"""Shell: what a person sees and changes of the own signing in: sessions, passkeys, an account at a provider, programs.

What a person signs in by is changed only within 15 minutes after a sign-in: who finds a screen unlocked cannot stay.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from comity.console.door import find_door, let_out, require_console, require_fresh
from comity.console.pages import make_page, read_form, read_text, show
from comity.console.programs import EXPLAINED, list_offered, list_own_programs
from comity.console.sign_in import answer_script
from comity.console.visit import find_visit, telling
from comity.ids import format_instant
from comity.node import sessions
from comity.node.accounts import find_account_of, remove_account
from comity.node.passkeys import add_passkey, find_console, list_passkeys, offer_passkey, remove_passkey
from comity.operations.reply import Json

__all__ = ["ROUTES"]


async def show_own(request: Request) -> Response:
    """The person's roles, sessions, and what the person signs in by."""
    visit, node = find_visit(request), find_door(request).node
    person = visit.person
    own = sessions.find_session_of(node, visit.token)
    listed: list[Json] = [
        {
            "session": item.id,
            "factor": item.factor,
            "began_at": format_instant(item.began_at),
            "used_at": format_instant(item.used_at),
            "this": own is not None and own[0].id == item.id,
        }
        for item in sessions.list_sessions(node, person.id)
    ]
    keys: list[Json] = [
        {
            "digest": item.digest,
            "name": item.name,
            "added_at": format_instant(item.added_at),
            "used_at": None if item.used_at is None else format_instant(item.used_at),
        }
        for item in list_passkeys(node, person.id)
    ]
    account = find_account_of(node, person.id)
    result: dict[str, Json] = {
        "person": person.id,
        "name": person.name,
        "roles": list[Json](sorted(person.roles)),
        "password": sessions.has_password(node, person.id),
        "sessions": listed,
        "passkeys": keys,
        "programs": list_own_programs(request),
        "account": None
        if account is None
        else {
            "issuer": account.issuer,
            "subject": account.subject,
            "added_at": format_instant(account.added_at),
            "used_at": None if account.used_at is None else format_instant(account.used_at),
        },
    }
    has_passkeys = find_console(request.app.state.url) is not None
    offered = list_offered(visit)
    return show(request, "me.html", result, has_passkeys=has_passkeys, explained=EXPLAINED, offered=offered)


async def end_session(request: Request) -> Response:
    """End one of the person's sessions."""
    form = await read_form(request)
    visit = find_visit(request)
    with telling():
        sessions.end_session(find_door(request).node, visit.person.id, read_text(form, "session"))
    return _go_back()


async def end_all(request: Request) -> Response:
    """End all of the person's sessions, this one among them."""
    await read_form(request)
    with telling():
        sessions.end_sessions(find_door(request).node, find_visit(request).person.id)
    return let_out(request, RedirectResponse("/sign-in", status_code=303))


@answer_script
async def offer_new_passkey(request: Request) -> Response:
    """A challenge for `navigator.credentials.create`."""
    await read_form(request)
    visit, door = find_visit(request), find_door(request)
    require_fresh(request, visit)
    return JSONResponse(offer_passkey(door.node, door.challenges, require_console(request), visit.person))


@answer_script
async def take_passkey(request: Request) -> Response:
    """Where to go, once the passkey is kept."""
    form = await read_form(request)
    visit, door = find_visit(request), find_door(request)
    require_fresh(request, visit)
    add_passkey(
        door.node,
        door.challenges,
        require_console(request),
        person=visit.person.id,
        response=read_text(form, "response"),
        name=read_text(form, "label"),
    )
    return JSONResponse({"to": "/me?said=done"})


async def drop_passkey(request: Request) -> Response:
    """Remove one of the person's passkeys, which is not the last that the person signs in by."""
    form = await read_form(request)
    visit = find_visit(request)
    require_fresh(request, visit)
    with telling():
        remove_passkey(find_door(request).node, visit.person.id, read_text(form, "digest"))
    return _go_back()


async def drop_account(request: Request) -> Response:
    """Remove the person's account at a provider, which is not all that the person signs in by."""
    await read_form(request)
    visit = find_visit(request)
    require_fresh(request, visit)
    with telling():
        remove_account(find_door(request).node, visit.person.id)
    return _go_back()


def _go_back() -> Response:
    return RedirectResponse("/me?said=ended", status_code=303)


ROUTES: list[Route] = [
    *make_page("/me", show_own),
    Route("/me/sessions/end", end_session, methods=["POST"]),
    Route("/me/sessions/end-all", end_all, methods=["POST"]),
    Route("/me/passkeys/options", offer_new_passkey, methods=["POST"]),
    Route("/me/passkeys", take_passkey, methods=["POST"]),
    Route("/me/passkeys/remove", drop_passkey, methods=["POST"]),
    Route("/me/account/remove", drop_account, methods=["POST"]),
]
