# SPDX-License-Identifier: Apache-2.0
"""Shell: people go to the OpenID provider of this console and come back; without scripts, and without looser policies.

Both ways are pages that lead on by themselves. That the way there is one keeps `form-action` at this console alone: a
form whose answer redirects to a provider would need the provider in it. That the way back is one lets the browser send
its new cookie, which is not sent along where another site has begun (RFC 6265bis §5.2).

There are no such pages where no provider is configured.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.door import find_door, find_mark, find_own_path, find_provider, find_token, let_in
from comity.console.enrol import offer_choice
from comity.console.pages import read_fields, read_text, render
from comity.console.provider import FLOW_SECONDS, RETURN_PATH
from comity.console.sign_in import show_form
from comity.errors import ComityError
from comity.node import sessions
from comity.node.accounts import enrol_account, sign_in_by_account
from comity.node.invitations import find_invited
from comity.node.signing_in import is_known

__all__ = ["ROUTES"]

_MOST_FORM_BYTES = 65_536


async def go(request: Request) -> Response:
    """The page that leads to the provider; or the form again."""
    form = await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    to = find_own_path(read_text(form, "next"))
    try:
        return await _send_away(request, to=to)
    except ComityError as error:
        return show_form(request, to=to, error=error)


async def go_to_enrol(request: Request) -> Response:
    """The same for whoever has an invitation, which is not used up by it; or the choice again."""
    form = await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    code = read_text(form, "code")
    try:
        find_invited(find_door(request).node, code)
        return await _send_away(request, to="/", code=code)
    except ComityError as error:
        return offer_choice(request, code, error=error)


async def come_back(request: Request) -> Response:
    """The page that leads on, with a session; or what was wrong, on the page where the person began."""
    door, provider = find_door(request), find_provider(request)
    said = request.query_params.multi_items()
    try:
        flow = provider.take(request.cookies.get(_name_cookie(request), ""), said)
    except ComityError as error:
        return show_form(request, to="/", error=error)
    try:
        account = await provider.finish(flow, dict(said))
        if flow.code:
            signed_in = enrol_account(door.node, flow.code, account)
        else:
            signed_in = sign_in_by_account(door.node, account)
    except ComityError as error:
        if flow.code:
            return _forget(request, offer_choice(request, flow.code, error=error))
        return _forget(request, show_form(request, to=flow.to, error=error))
    if flow.earlier:
        # The cookie of that session was not sent along from another site, so that `let_in` cannot see it.
        sessions.end_token(door.node, flow.earlier)
    page = render("arrive.html", visit=None, path="/sign-in", to=flow.to)
    return _forget(request, let_in(request, page, signed_in))


async def _send_away(request: Request, *, to: str, code: str = "") -> Response:
    provider = find_provider(request)
    known = bool(code) or is_known(find_door(request).node, find_mark(request))
    url, kept = await provider.begin(to=to, known=known, code=code, earlier=find_token(request))
    answer = render("leave.html", visit=None, path="/sign-in", url=url, name=provider.name)
    answer.set_cookie(
        _name_cookie(request),
        kept,
        max_age=FLOW_SECONDS,
        path="/",
        secure=request.app.state.url.startswith("https:"),
        httponly=True,
        # The provider sends the browser back: a strict one would not come along.
        samesite="lax",
    )
    return answer


def _forget(request: Request, answer: Response) -> Response:
    """The answer, which takes the cookie of the sign-in away."""
    secure = request.app.state.url.startswith("https:")
    answer.delete_cookie(_name_cookie(request), path="/", secure=secure, httponly=True, samesite="lax")
    return answer


def _name_cookie(request: Request) -> str:
    return f"{request.app.state.cookie}-openid"


ROUTES: list[Route] = [
    Route("/sign-in/openid", go, methods=["POST"]),
    Route(RETURN_PATH, come_back, methods=["GET"]),
    Route("/enrol/openid", go_to_enrol, methods=["POST"]),
]
