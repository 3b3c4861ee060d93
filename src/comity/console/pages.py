# SPDX-License-Identifier: Apache-2.0
"""Shell: from the result of an operation to what the browser gets, and from a form to arguments.

Every page has a twin at the same path with `.json` behind it: the result as it is. Every text in a result can be
another party's and is hostile: templates escape all they are given, and `plain` makes what does not show visible.

What was done is answered by a redirect, so that a page that is loaded again does nothing again.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from comity.console.door import find_own_path
from comity.console.visit import Failed, Visit, find_visit
from comity.counting import say_count
from comity.errors import AuthenticationError, MalformedRequest
from comity.operations.plain import printable
from comity.operations.reply import Exit, Reply, fail_with

__all__ = [
    "STATUS",
    "TYPED",
    "conclude",
    "find_typed",
    "keep_typed",
    "make_page",
    "read_fields",
    "read_form",
    "read_page",
    "read_text",
    "read_through",
    "render",
    "show",
    "show_failure",
]

Endpoint = Callable[[Request], Awaitable[Response]]

STATUS: Mapping[int, int] = {
    Exit.USAGE: 400,
    Exit.NOT_AUTHENTICATED: 403,
    Exit.NOT_FOUND: 404,
    Exit.REFUSED: 409,
    Exit.NOT_IN_THIS_STATE: 409,
    Exit.CONFLICTS: 409,
    Exit.NOT_INSTALLED: 501,
    Exit.PEER_UNREACHABLE: 502,
}
"""Exit code of an operation → HTTP status of its page; any other failure is 500."""

_OF_SENDER = frozenset(
    {
        "malformed-article",
        "malformed-file",
        "malformed-json",
        "malformed-message",
        "malformed-object",
        "malformed-terms",
    }
)
"""The codes of what is wrong in a text or file that came with the form: its sender mends it, and not the operator."""

SAID: Mapping[str, str] = {
    "done": "Done, and on record.",
    "ended": "Done.",
    "deleted": "Deleted, and on record.",
    "leaving": "Deleted, and on record. Another process reads the store: the rest leaves the files when that ends.",
    "declined": "Declined, and on record. It waits for nobody any more.",
    "waits": "Your approval is on record. Nothing is signed yet: it waits for a second person.",
}
"""What a page says above its content after something was done; the query names it by these words alone."""

MENU: tuple[tuple[str, str, str], ...] = (
    ("/", "Work", "work"),
    ("/agreements", "Agreements", "agreement.list"),
    ("/matrix", "Matrix", "explain"),
    ("/objects", "Objects", "object.show"),
    ("/requests", "Requests", "request.list"),
    ("/explain", "Explain", "explain"),
    ("/log", "Log", "log.list"),
    ("/audit", "Audit", "audit"),
    ("/intake", "Take in", "object.add"),
    ("/articles", "Articles", "article.list"),
    ("/retention", "Retention", "retention.list"),
    ("/lists", "Lists", "list.versions"),
    ("/assessments", "Assessments", "assessment.list"),
    ("/node", "Node", "status"),
    ("/people", "People", "person.list"),
)
"""Path, name and operation of the entries of the menu; whoever may not ask the operation has no such entry."""

TYPED: frozenset[str] = frozenset(
    {
        "audience",
        "author",
        "bases",
        "basis",
        "condition",
        "draft",
        "evaluation",
        "field",
        "mapping",
        "may_go_to",
        "may_return_to",
        "objects",
        "publisher",
        "question",
        "reason",
        "regions",
        "source",
        "subjects",
        "text",
        "threat",
        "title",
        "url",
        "value",
        "why",
    }
)
"""The fields in which people write. What stood in them is shown with what was wrong: a browser forgets it over TLS."""

_TYPED_OF_CLAUSE = "text."
_MOST_FIELDS = 200
_MOST_SHOWN = 80
_MOST_DIGITS = 3
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", re.ASCII)
_MOST_FORM_BYTES = 1024 * 1024


def _plain_lines(text: object) -> str:
    return "\n".join(printable(line) for line in str(text).split("\n"))


def _moment(text: object) -> str:
    """A timestamp to the minute, as tables show it; the whole stands in its `datetime` attribute."""
    return "" if text is None else str(text)[:16].replace("T", " ")


def _moments(text: object) -> str:
    """A sentence whose timestamps are shown to the minute."""
    return _TIME.sub(lambda found: _moment(found[0]), str(text))


_ENVIRONMENT = Environment(
    loader=PackageLoader("comity.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["plain"] = lambda text: printable(str(text))
_ENVIRONMENT.filters["prose"] = _plain_lines
_ENVIRONMENT.filters["moment"] = _moment
_ENVIRONMENT.filters["moments"] = _moments
_ENVIRONMENT.filters["counted"] = say_count
_ENVIRONMENT.filters["brief"] = lambda text: str(text)[:12]


def make_page(path: str, endpoint: Endpoint) -> list[Route]:
    """The routes of a page: its twin in JSON, and itself."""
    twin = "/work.json" if path == "/" else f"{path}.json"
    return [Route(twin, endpoint, methods=["GET"]), Route(path, endpoint, methods=["GET"])]


def render(template: str, *, status: int = 200, visit: Visit | None, path: str, **content: Any) -> HTMLResponse:  # noqa: ANN401
    """A page by a template of `templates/`, for the person who visits (None: nobody is signed in)."""
    menu = [] if visit is None else [(at, name) for at, name, operation in MENU if visit.may(operation)]
    text = _ENVIRONMENT.get_template(template).render(visit=visit, menu=menu, path=path, **content)
    return HTMLResponse(text, status_code=status)


def show(request: Request, template: str, result: Mapping[str, Any], **more: Any) -> Response:  # noqa: ANN401
    """The page of a result `r`, with `more` beside it in the template, or the result alone where JSON was asked for."""
    if request.url.path.endswith(".json"):
        return JSONResponse(dict(result))
    said = SAID.get(request.query_params.get("said", ""))
    return render(template, visit=find_visit(request), path=request.url.path, r=result, said=said, **more)


def show_failure(request: Request, reply: Reply) -> Response:
    """The page of what could not be done, or was refused: why, where, and what to do."""
    error: dict[str, Any] = dict(reply.error or {"code": "refused", "message": "", "facts": {}})
    status = STATUS.get(reply.code, 400 if error["code"] in _OF_SENDER else 500)
    refused: Any = None if reply.result is None else reply.result.get("refused")
    if request.url.path.endswith(".json"):
        return JSONResponse(reply.result or {"error": error}, status_code=status)
    return render(
        "failure.html",
        status=status,
        visit=request.scope.get("comity.visit"),
        path=request.url.path,
        error=error,
        refused=refused,
        typed=find_typed(request),
        back=_find_form(request),
    )


def _find_form(request: Request) -> str | None:
    """The page of this console that holds the form that was sent, as the browser says; None: it says none."""
    sent_from, own = request.headers.get("referer", ""), request.app.state.url
    if request.method != "POST" or not sent_from.startswith(f"{own}/"):
        return None
    path = find_own_path(sent_from.removeprefix(own))
    return None if path == "/" else path


def conclude(request: Request, reply: Reply, *, to: str, done: str = "done") -> Response:
    """What follows an act: the page at `to` if it is done or waits for somebody, else why not.

    `done` is the word of SAID for what was done.
    """
    match reply.code:
        case Exit.DONE:
            said = done
        case Exit.WAITING:
            said = "waits"
        case _:
            return show_failure(request, reply)
    joint = "&" if "?" in to else "?"
    return RedirectResponse(f"{to}{joint}{urlencode({'said': said})}", status_code=303)


async def read_form(request: Request, *, most_bytes: int = _MOST_FORM_BYTES, most_files: int = 0) -> FormData:
    """The fields of a form of this session; who lets it have files closes it.

    Raises:
        Failed: too large, too many fields, not sent by a page of this session, or the session has ended meanwhile.
    """
    form = await read_fields(request, most_bytes=most_bytes, most_files=most_files)
    keep_typed(request, form)
    key = form.get("form_key")
    if not isinstance(key, str) or not hmac.compare_digest(key.encode(), find_visit(request).form_key.encode()):
        await form.close()
        raise _malformed("this form is of another session; load the page again")
    # Its body can have taken a minute to come, and the session can have ended in that.
    if request.app.state.find_person(find_visit(request).token) is None:
        await form.close()
        raise Failed(fail_with(AuthenticationError("your session has ended; sign in, and do it again")))
    return form


async def read_fields(request: Request, *, most_bytes: int, most_files: int = 0) -> FormData:
    """The fields of a form of nobody's session, where one signs in: that a page of this console sent it, the door saw.

    Raises:
        Failed: too large, or too many fields.
    """
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal() or int(declared) > most_bytes:
        raise _malformed(f"a form holds at most {most_bytes} bytes, and says how many")
    return await request.form(max_files=most_files, max_fields=_MOST_FIELDS, max_part_size=most_bytes)


def keep_typed(request: Request, form: FormData) -> None:
    """Keep what a person wrote in the form for the page that says what was wrong with it; no secret is among it."""
    request.state.typed = {
        name[:_MOST_SHOWN]: value
        for name, value in form.multi_items()
        if isinstance(value, str)
        and value.strip()
        and len(value) <= _MOST_FORM_BYTES
        and (name in TYPED or name.startswith(_TYPED_OF_CLAUSE))
    }


def find_typed(request: Request) -> Mapping[str, str]:
    """What was kept of what a person wrote: field → text."""
    typed: Mapping[str, str] = getattr(request.state, "typed", {})
    return typed


def require_fields(form: FormData, known: Sequence[str], *, repeated: Collection[str] = ()) -> None:
    """Refuse what nobody would read of what a program sends: another field, one given twice, a text as a file.

    Raises:
        Failed: there is such a field; the message names it.
    """
    for name in dict.fromkeys(form):
        values, shown = form.getlist(name), repr(name[:_MOST_SHOWN])
        if name not in known:
            raise _malformed(f"there is no field {shown}; the fields are {', '.join(known)}", where=name[:_MOST_SHOWN])
        if len(values) > 1 and name not in repeated:
            raise _malformed(f"the field {shown} is there {len(values)} times; give it once", where=name)
        if name != "file" and not all(isinstance(value, str) for value in values):
            said = f"the field {shown} is a text, and came as a file; with curl write -F '{name}=<FILE'"
            raise _malformed(said, where=name)


def read_text(form: FormData, name: str) -> str:
    """The text of a field; empty where there is none. A browser ends lines with CR LF, of which CR shows nowhere."""
    value = form.get(name)
    return value.replace("\r\n", "\n") if isinstance(value, str) else ""


def read_through(form: FormData) -> dict[str, str]:
    """When what the page showed was said last, where its form says that; empty: the page showed nothing."""
    return {"through": read_text(form, "through").strip()} if "through" in form else {}


def read_page(request: Request, name: str = "page") -> int:
    """Which page of a list the query asks for; the first where it names none."""
    asked = request.query_params.get(name, "")
    return max(1, int(asked)) if asked.isascii() and asked.isdecimal() and len(asked) <= _MOST_DIGITS else 1


def _malformed(message: str, *, where: str = "") -> Failed:
    return Failed(fail_with(MalformedRequest(message, where=where)))
