# SPDX-License-Identifier: Apache-2.0
"""Shell: where people sign in and out: by a password and a code, or by a passkey, which needs JavaScript."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from comity.console.door import find_door, find_mark, find_own_path, let_in, let_out, name_provider, require_console
from comity.console.pages import STATUS, keep_typed, read_fields, read_form, read_text, render, show_failure
from comity.console.visit import Failed
from comity.errors import AuthenticationError, ComityError, RateLimited
from comity.node.passkeys import find_console, offer_passkey_sign_in, sign_in_by_passkey
from comity.operations.reply import fail_with

__all__ = ["ENDED_PATH", "ROUTES", "answer_script", "find_status", "show_form"]

ENDED_PATH = "/sign-in/ended"
"""Where a form is answered that was sent when its session had ended, whatever its own path was."""

_MOST_FORM_BYTES = 65_536
_MOST_ENDED_BYTES = 1024 * 1024


async def offer_sign_in(request: Request) -> Response:
    """The form."""
    find_door(request)
    return show_form(request, to=find_own_path(request.query_params.get("next", "")))


async def sign_in(request: Request) -> Response:
    """The page that was asked for, with a session; or the form again, with the same words whatever was wrong."""
    form = await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    to, name = find_own_path(read_text(form, "next")), read_text(form, "name").strip()
    try:
        signed_in = await find_door(request).sign_in(
            name=name,
            password=read_text(form, "password"),
            code=read_text(form, "code"),
            mark=find_mark(request),
        )
    except ComityError as error:
        return show_form(request, to=to, error=error)
    return let_in(request, RedirectResponse(to, status_code=303), signed_in)


async def sign_out(request: Request) -> Response:
    """The form to sign in, without a session."""
    await read_form(request)
    return let_out(request, RedirectResponse("/sign-in", status_code=303))


async def show_ended(request: Request) -> Response:
    """That nothing was done, with what was written in the form, whose session has ended."""
    message = "you are not signed in any more, and nothing of this was done; sign in, and do it again"
    try:
        form = await read_fields(request, most_bytes=_MOST_ENDED_BYTES, most_files=1)
    except Failed:
        message += "; the form was too large to be read without you"
    else:
        keep_typed(request, form)
        await form.close()
    answer = show_failure(request, fail_with(AuthenticationError(message)))
    answer.status_code = 401
    return answer


def answer_script(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint, whose failures a script of this console is told as JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ComityError as error:
            return JSONResponse({"error": fail_with(error).error}, status_code=find_status(error))
        except Failed as failed:
            return JSONResponse({"error": failed.reply.error}, status_code=STATUS.get(failed.reply.code, 500))

    return answer


def find_status(error: ComityError) -> int:
    """The HTTP status of a failure at the door."""
    return 429 if isinstance(error, RateLimited) else STATUS.get(fail_with(error).code, 500)


@answer_script
async def offer_passkey(request: Request) -> Response:
    """A challenge for `navigator.credentials.get`."""
    door = find_door(request)
    await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    return JSONResponse(offer_passkey_sign_in(door.node, door.challenges, require_console(request)))


@answer_script
async def take_passkey(request: Request) -> Response:
    """Where to go, with a session."""
    door = find_door(request)
    form = await read_fields(request, most_bytes=_MOST_FORM_BYTES)
    response = read_text(form, "response")
    signed_in = sign_in_by_passkey(door.node, door.challenges, require_console(request), door.tries, response=response)
    return let_in(request, JSONResponse({"to": find_own_path(read_text(form, "next"))}), signed_in)


def show_form(request: Request, *, to: str, error: ComityError | None = None) -> Response:
    """The form, and what was wrong with what was sent before, if anything was."""
    answer = render(
        "sign_in.html",
        status=200 if error is None else find_status(error),
        visit=None,
        path="/sign-in",
        to=to,
        error=None if error is None else error.detail,
        passkeys=find_console(request.app.state.url) is not None,
        provider=name_provider(request),
    )
    if isinstance(error, RateLimited):
        answer.headers["retry-after"] = str(error.facts["retry_after"])
    return answer


ROUTES: list[Route] = [
    Route("/sign-in", offer_sign_in, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route(ENDED_PATH, show_ended, methods=["POST"]),
    Route("/sign-in/passkey/options", offer_passkey, methods=["POST"]),
    Route("/sign-in/passkey", take_passkey, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]
