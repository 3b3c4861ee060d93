# SPDX-License-Identifier: Apache-2.0
"""Shell: articles: brought, read into drafts by a process of its own, decided on draft by draft, and made a report."""

import base64
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.intake import TLP
from comity.console.jobs import receiving, start_job
from comity.console.pages import conclude, make_page, read_fields, read_form, read_text, require_fields, show
from comity.console.visit import Failed, Visit, find_visit, require_program
from comity.errors import MalformedRequest
from comity.operations.reply import Json, fail_with
from comity.vocabulary import KINDS

__all__ = ["ROUTES", "Piece", "cut_pieces"]

_MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_REST: Final = 65_536
_ROWS: Final = 100
_MOST_NAME: Final = 200
_MOST_FILES: Final = 2
"""From a program: more than the one that is wanted, so that a field that came as a file can be named."""

_SAID: Final = ("format", "url", "publisher", "published")
"""What the form says of an article beside the file."""
_MOST_DIGITS: Final = 6
_MOST_PLACE: Final = 9
_STATES: Final = ("open", "confirmed", "struck")
_TEXT: Final = 50_000
"""Characters of an article on one page."""


class Piece(NamedTuple):
    """Some of a text: whether a draft is of it, and the numbers of the drafts that begin and end with it."""

    text: str
    marked: bool
    begins: tuple[int, ...]
    ends: tuple[int, ...]


async def list_articles(request: Request) -> Response:
    """The articles that are kept, the newest first, and the form for another."""
    listed = await find_visit(request).read("article.list", {"last": _ROWS})
    return show(request, "articles.html", {"articles": listed["articles"][::-1]}, rows=_ROWS)


async def bring_article(request: Request) -> Response:
    """Keep what was received, and have it read; that is long work."""
    visit = find_visit(request)
    visit.require("article.add")
    form = await read_form(request, most_bytes=_MOST_BYTES + _MOST_REST, most_files=1)
    return await _have_read(request, form)


async def bring_at_once(request: Request) -> Response:
    """Keep what a program sends, and have it read."""
    require_program(request).require("article.add")
    async with receiving(request):
        form = await read_fields(request, most_bytes=_MOST_BYTES + _MOST_REST, most_files=_MOST_FILES)
        try:
            require_fields(form, ("file", *_SAID))
        except Failed:
            await form.close()
            raise
        return await _have_read(request, form)


async def _have_read(request: Request, form: FormData) -> Response:
    try:
        arguments = await _read_article(form)
    finally:
        await form.close()
    return await start_job(request, "article.add", arguments, title="Read an article", to="/articles")


async def show_article(request: Request) -> Response:
    """One article and a page of its drafts, each with the words around it, and what can be done with them."""
    visit, asked = find_visit(request), request.query_params
    first = asked.get("from", "0")
    arguments: dict[str, Json] = {
        "id": request.path_params["id"],
        "state": asked.get("state") or None,
        "kind": asked.get("kind") or None,
        "from": int(first) if first.isdecimal() and len(first) <= _MOST_DIGITS else 0,
        "most": _ROWS,
    }
    result = await visit.read("article.show", arguments)
    more = None
    if result["next"] is not None:
        kept = {name: value for name in ("state", "kind") if (value := asked.get(name))}
        more = f"/articles/{result['number']}?{urlencode({**kept, 'from': result['next']})}"
    words: dict[str, Any] = {"states": _STATES, "levels": TLP, "kinds": sorted(KINDS)}
    return show(request, "article.html", result, more=more, state=arguments["state"], **words)


async def show_text(request: Request) -> Response:
    """A page of the text of one article, with its drafts in their places."""
    first = request.query_params.get("from", "0")
    start = int(first) if first.isdecimal() and len(first) <= _MOST_PLACE else 0
    asked: dict[str, Json] = {"id": request.path_params["id"], "from": start, "most": _TEXT}
    result = await find_visit(request).read("article.text", asked)
    pieces = cut_pieces(result["text"], start, result["drafts"])
    return show(request, "article_text.html", result, pieces=pieces, before=max(0, start - _TEXT))


def cut_pieces(text: str, start: int, drafts: Sequence[Mapping[str, int]]) -> Iterator[Piece]:
    """The text, which begins at `start` of the whole, cut wherever one of the drafts begins or ends."""
    spans = [(item["offset"] - start, item["offset"] + item["length"] - start, item["number"]) for item in drafts]
    begins, ends = defaultdict[int, list[int]](list), defaultdict[int, list[int]](list)
    opened = Counter[int]()
    for first, last, number in spans:
        begins[first].append(number)
        ends[last].append(number)
        opened[max(first, 0)] += 1
        opened[max(last, 0)] -= 1
    cuts = sorted({0, len(text), *(place for place in (*begins, *ends) if 0 < place < len(text))})
    within = accumulate(opened[place] for place in cuts)
    for (one, other), count in zip(pairwise(cuts), within, strict=False):
        yield Piece(
            text=text[one:other],
            marked=count > 0,
            begins=tuple(begins.get(one, ())),
            ends=tuple(ends.get(other, ())),
        )


async def show_rules(request: Request) -> Response:
    """The rules that articles are read by, all of them or a section."""
    section = request.query_params.get("section", "").strip()
    result = await find_visit(request).read("article.rules", {"sections": [section] if section else []})
    return show(request, "article_rules.html", {**result, "section": section or None})


async def confirm(request: Request) -> Response:
    """What was chosen is confirmed."""
    return await _decide(request, "article.confirm")


async def strike(request: Request) -> Response:
    """What was chosen is struck."""
    return await _decide(request, "article.strike")


async def correct(request: Request) -> Response:
    """One draft says something else, or again what was read."""
    visit, form = await _begin(request, "article.correct")
    arguments: dict[str, Json] = {"id": request.path_params["id"], "number": read_text(form, "one").strip()}
    arguments["seen"] = _read_seen(form)
    if value := read_text(form, "value").strip():
        arguments |= {"value": value, "field": read_text(form, "field").strip() or None}
    else:
        arguments["undo"] = True
    return conclude(request, await visit.ask("article.correct", arguments), to=_find_page(request))


async def make(request: Request) -> Response:
    """The report, made, with what a person says of all that is in it."""
    visit, form = await _begin(request, "article.make")
    arguments: dict[str, Json] = {
        "id": request.path_params["id"],
        "tlp": read_text(form, "tlp") or None,
        "subjects": [*read_text(form, "subjects").split()],
        "regions": [*read_text(form, "regions").replace(",", " ").split()],
        "kinds": [str(item) for item in form.getlist("kinds") if item],
        "audience": [*read_text(form, "audience").replace(",", " ").split()],
        "strike_open": read_text(form, "strike_open") == "yes",
        "seen": _read_seen(form),
        "made": read_text(form, "made").strip() if "made" in form else None,
    }
    return conclude(request, await visit.ask("article.make", arguments), to=_find_page(request))


async def offer_delete(request: Request) -> Response:
    """What would go, what would stay, and the form."""
    visit = find_visit(request)
    visit.require("article.delete")
    result = await visit.read("article.show", {"id": request.path_params["id"], "from": 0, "most": 0})
    return show(request, "article_delete.html", result)


async def delete(request: Request) -> Response:
    """The article goes if it is as the page showed it; the page of it is gone with it."""
    visit, form = await _begin(request, "article.delete")
    arguments: dict[str, Json] = {
        "id": request.path_params["id"],
        "reason": read_text(form, "reason").strip(),
        "seen": _read_seen(form),
        "made": read_text(form, "made").strip() if "made" in form else None,
    }
    reply = await visit.ask("article.delete", arguments)
    gone = reply.result is not None and reply.result.get("gone") is True
    return conclude(request, reply, to="/articles", done="deleted" if gone else "leaving")


async def _decide(request: Request, operation: str) -> Response:
    visit, form = await _begin(request, operation)
    numbers = [item for item in form.getlist("number") if isinstance(item, str)]
    if not numbers:
        raise Failed(fail_with(MalformedRequest("choose the drafts that it is about", where="number")))
    arguments: dict[str, Json] = {"id": request.path_params["id"], "numbers": [*numbers], "seen": _read_seen(form)}
    if operation == "article.strike":
        arguments["reason"] = read_text(form, "reason").strip() or None
    elif read_text(form, "reason").strip():
        # The Enter key in that field presses the first button of the form, which is the other one.
        await visit.read("article.show", {"id": request.path_params["id"], "from": 0, "most": 0})
        message = "a reason to strike is written, and nothing was confirmed: press the button to strike, or empty it"
        raise Failed(fail_with(MalformedRequest(message, where="reason")))
    return conclude(request, await visit.ask(operation, arguments), to=_find_page(request))


def _read_seen(form: FormData) -> int | None:
    """How many decisions stood on the page; None where the form does not say."""
    seen = read_text(form, "seen")
    return int(seen) if seen.isascii() and seen.isdecimal() and len(seen) <= _MOST_PLACE else None


async def _begin(request: Request, operation: str) -> tuple[Visit, FormData]:
    visit = find_visit(request)
    visit.require(operation)
    return visit, await read_form(request)


async def _read_article(form: FormData) -> dict[str, Json]:
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise Failed(fail_with(MalformedRequest("choose a file: HTML, PDF or plain text", where="file")))
    if (file.size or 0) > _MOST_BYTES:
        raise Failed(fail_with(MalformedRequest(f"an article has at most {_MOST_BYTES // 2**20} MiB", where="file")))
    said = {name: read_text(form, name).strip() or None for name in _SAID}
    data = base64.b64encode(await file.read()).decode()
    return {**said, "name": file.filename[-_MOST_NAME:], "data": data}


def _find_page(request: Request) -> str:
    return f"/articles/{request.path_params['id']}"


ROUTES: list[Route] = [
    *make_page("/articles", list_articles),
    Route("/articles.json", bring_at_once, methods=["POST"]),
    Route("/articles", bring_article, methods=["POST"]),
    *make_page("/articles/rules", show_rules),
    *make_page("/articles/{id}", show_article),
    *make_page("/articles/{id}/text", show_text),
    Route("/articles/{id}/confirm", confirm, methods=["POST"]),
    Route("/articles/{id}/strike", strike, methods=["POST"]),
    Route("/articles/{id}/correct", correct, methods=["POST"]),
    Route("/articles/{id}/make", make, methods=["POST"]),
    *make_page("/articles/{id}/delete", offer_delete),
    Route("/articles/{id}/delete", delete, methods=["POST"]),
]
