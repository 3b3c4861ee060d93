# SPDX-License-Identifier: Apache-2.0
"""Shell: programs that ask in a person's name: what each is let to, and the page where a person makes one.

A program sends its token with each request and never a cookie, so that no page of another site can make a browser send
it; over TAXII, where clients send it as a password, which a browser would keep, nothing of a browser is answered. It is
let to the twins in JSON of some pages, and to take in; every other path is answered as if nothing were there. What its
person's roles may not see, it does not either: that is asked where it always is (`operations.sight`).
"""

import re
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, compile_path

from comity.console.door import find_door, require_fresh
from comity.console.pages import read_form, read_text, show
from comity.console.visit import Visit, find_visit, telling
from comity.node import programs
from comity.node.programs import TOKEN_BEGINS, USES, StoredProgram
from comity.operations.people import describe_program
from comity.operations.reply import Json
from comity.taxii.wire import is_taxii, read_secret

__all__ = [
    "EXPLAINED",
    "READS",
    "ROUTES",
    "find_unread",
    "is_let_to",
    "list_offered",
    "list_own_programs",
    "read_token",
]

EXPLAINED: Final[Mapping[str, str]] = {
    "articles": "read articles, their texts and what was read in them",
    "log": "read the disclosure log and its figures",
    "node": "read how the node and its partners stand",
    "objects": "read objects, the partners' among them, with all that is known of them here",
    "take-in": "take in files and articles",
    "use:none": "read over TAXII, to be looked at by people alone",
    "use:contact-for-instruction": "read over TAXII what may be used, each time the giver was asked",
    "use:internally-visible-actions": "read over TAXII what may be used for actions that only this party sees",
    "use:externally-visible-indirect-actions": "read over TAXII what may be used for passive actions that others see",
    "use:externally-visible-direct-actions": "read over TAXII what may be used for any action",
    "work": "read what waits for you",
}
"""What each word of PERMITS lets a program do, as a person reads it."""

READS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "articles": {
        "/articles": (),
        "/articles/rules": ("section",),
        "/articles/{id}": ("state", "kind", "from"),
        "/articles/{id}/text": ("from",),
    },
    "log": {
        "/log": ("q", "before"),
        "/log/figures": (),
        "/log/relationships": ("from",),
        "/log/{position:int}": ("from",),
    },
    "node": {"/node": ()},
    "objects": {"/objects": ("type", "originator", "tlp", "subject", "id", "before"), "/objects/{id}": ()},
    "take-in": {"/jobs/{number}": ()},
    "work": {"/work": ("only", "page")},
}
"""The pages whose twins a program reads by each word, each with what its query may name: no other page is there."""

_OPERATIONS: Final[Mapping[str, str]] = {
    "articles": "article.list",
    "log": "log.list",
    "node": "status",
    "take-in": "object.add",
    "work": "work",
}
"""What whoever is let do something by each word asks; by the others objects are read."""

_FORMS: Final[Mapping[str, Mapping[re.Pattern[str], tuple[str, ...]]]] = {
    word: {compile_path(f"{page}.json")[0]: names for page, names in pages.items()} for word, pages in READS.items()
}

_SENDS: Final = frozenset({"/intake.json", "/articles.json"})
"""Where a program sends something to that it was let do by "take-in"."""

_SCHEME = "bearer"
_MOST_DIGITS = 3
_MOST_SHOWN = 60


def read_token(request: Request) -> str | None:
    """The token that a program sends (RFC 6750 §2.1), good or not; None: this is no program.

    Clients of TAXII send it in whichever way they know.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if is_taxii(request.scope["path"]):
        token = read_secret(request.headers) or ""
    elif scheme.lower() != _SCHEME:
        return None
    # What a proxy puts there for its own ends does not make a browser a program.
    return token.strip() if token.strip().startswith(TOKEN_BEGINS) else None


def is_let_to(program: StoredProgram, method: str, path: str) -> bool:
    """Whether what it asks is something that it was let do."""
    if method == "POST":
        return path in _SENDS and "take-in" in program.may
    if method not in {"GET", "HEAD"}:
        return False
    if is_taxii(path):
        return not USES.keys().isdisjoint(program.may)
    return any(form.fullmatch(path) for word in program.may for form in _FORMS.get(word, ()))


def find_unread(program: StoredProgram, path: str, query: QueryParams) -> str | None:
    """Why nobody would read all that the query of a program says: another name, or one twice; None: all is read.

    A filter that was mistyped would let more through, and a marking that is no field of the form would be missing.
    """
    pages = [page for word in program.may for page in _FORMS.get(word, {}).items()]
    known = next((names for form, names in pages if form.fullmatch(path)), ()) if path not in _SENDS else ()
    for name in query:
        shown = repr(name[:_MOST_SHOWN])
        if name not in known:
            there = f"; it may have {', '.join(known)}" if known else ", which has none"
            return f"there is no {shown} in the query of this address{there}"
        if len(query.getlist(name)) > 1:
            return f"{shown} is in the query more than once; say it once"
    return None


def list_offered(visit: Visit) -> Mapping[str, str]:
    """The words of EXPLAINED by which a program of who visits could ask anything: it sees what that person does."""
    return {word: said for word, said in EXPLAINED.items() if visit.may(_OPERATIONS.get(word, "object.list"))}


def list_own_programs(request: Request) -> list[Json]:
    """The programs of the person who visits."""
    node = find_door(request).node
    return [describe_program(item) for item in programs.list_programs(node, find_visit(request).person.id)]


async def make(request: Request) -> Response:
    """A program, made, and the page with its token, which is shown there and never again.

    It is no redirect: for that the token would have to be kept. A page that is sent again makes another program.
    """
    form = await read_form(request)
    visit, node = find_visit(request), find_door(request).node
    require_fresh(request, visit)
    days, name = read_text(form, "days"), read_text(form, "name")
    with telling():
        made = programs.make_program(
            node,
            visit.person.id,
            name=name,
            may=[item for item in form.getlist("may") if isinstance(item, str)],
            days=int(days) if days.isascii() and days.isdecimal() and len(days) <= _MOST_DIGITS else 0,
        )
    result = {**describe_program(made.program), "token": made.token}
    return show(request, "program.html", result, url=request.app.state.url, explained=EXPLAINED, uses=[*USES])


async def end(request: Request) -> Response:
    """One of the person's programs, ended."""
    form = await read_form(request)
    with telling():
        programs.end_program(find_door(request).node, find_visit(request).person.id, read_text(form, "program"))
    return RedirectResponse("/me?said=ended", status_code=303)


ROUTES: list[Route] = [
    Route("/me/programs", make, methods=["POST"]),
    Route("/me/programs/end", end, methods=["POST"]),
]
