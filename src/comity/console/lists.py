# SPDX-License-Identifier: Apache-2.0
"""Shell: lists of subjects with what each version changed, and the questions about who left one.

What a version changes is cut to its first names on a page; its counts are whole. Reading one is long work: a version is
loaded from the page of what it would change, by its digest, and the person chooses the file once more, as nothing of it
was kept.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.approvals import find_waiting
from comity.console.jobs import start_job
from comity.console.pages import conclude, make_page, read_form, read_text, show
from comity.console.visit import Failed, find_visit
from comity.errors import MalformedRequest
from comity.operations.reply import Json, fail_with

__all__ = ["ROUTES"]

_VERSIONS: Final = 50
_QUESTIONS: Final = 50
_ENTRIES: Final = 100
_NAMED: Final = 20
_NAMED_ALONE: Final = 100
_MOST_DIGITS: Final = 6
_MOST_BYTES: Final = 32 * 1024 * 1024
_MOST_REST: Final = 65_536
_CHANGES: Final = ("listed", "delisted", "changed")


async def show_lists(request: Request) -> Response:
    """The versions that were loaded, the last first, and a page of the questions, those undecided first."""
    visit, asked = find_visit(request), request.query_params.get("from", "")
    versions = (await visit.read("list.versions"))["versions"]
    first = int(asked) if asked.isdecimal() and len(asked) <= _MOST_DIGITS else 0
    questions = await visit.read("list.questions", {"from": first, "most": _QUESTIONS})
    last = {item["list"]: item["version"] for item in reversed(versions)}
    result: dict[str, Json] = {
        "versions": [
            {**_cut(item, _NAMED), "last": last[item["list"]] == item["version"]} for item in versions[:_VERSIONS]
        ],
        "more_versions": max(0, len(versions) - _VERSIONS),
        **questions,
        "waiting": dict[str, Json](await find_waiting(visit, "keep-subject", "subject")),
    }
    more = None if questions["next"] is None else f"/lists?{urlencode({'from': questions['next']})}"
    return show(request, "lists.html", result, more=more, first=first, most=_MOST_BYTES)


async def look(request: Request) -> Response:
    """Begin to look at what the version in a file would change and stop; the form to load it is on that work's page."""
    find_visit(request).require("list.preview")
    asked = await _read_version(request)
    return await start_job(request, "list.preview", asked, title="Look at a version of a list", to="/lists")


async def load(request: Request) -> Response:
    """Begin to take in the version in a file, the one that was looked at, over the one that was held then."""
    find_visit(request).require("list.load")
    asked = await _read_version(request, "digest", "reason", "role", "why", seen="before")
    if "digest" not in asked:
        raise _fail("look at a version first; it is loaded from the page of what it would change")
    return await start_job(request, "list.load", asked, title="Load a version of a list", to="/lists")


async def show_list(request: Request) -> Response:
    """The last version of a list: what it changed, and a page of its entries, of those that are searched for."""
    visit, name = find_visit(request), request.path_params["list"]
    wanted, after = (request.query_params.get(part, "").strip() for part in ("q", "after"))
    found = await visit.read("list.show", {"list": name, "most": _ENTRIES, "search": wanted, "after": after})
    kept = {"q": wanted} if wanted else {}
    more = None if found["next"] is None else f"{_find_page(name)}?{urlencode({**kept, 'after': found['next']})}"
    return show(request, "list.html", _cut(found, _NAMED_ALONE), more=more, wanted=wanted, after=after)


async def review(request: Request) -> Response:
    """Note that the person has looked at what the version shown changes."""
    visit, form, name = find_visit(request), await read_form(request), request.path_params["list"]
    asked: dict[str, Json] = {"list": name, **_read(form, "version", "reason", "role", "why")}
    return conclude(request, await visit.ask("list.review", asked), to=_find_page(name))


async def decide(request: Request) -> Response:
    """What is about a subject that left its list goes on, or stays stopped."""
    visit, form = find_visit(request), await read_form(request)
    asked = _read(form, "subject", "version", "decision", "reason", "role", "why") | _read_seen(form, "decided")
    return conclude(request, await visit.ask("list.decide", asked), to="/lists")


async def _read_version(request: Request, *names: str, seen: str = "") -> dict[str, Json]:
    """The file that was sent, and the fields of these names beside it; `seen` is one that counts where it is empty."""
    form = await read_form(request, most_bytes=_MOST_BYTES + _MOST_REST, most_files=1)
    try:
        return {"data": await _read_file(form), **_read(form, *names), **_read_seen(form, seen)}
    finally:
        await form.close()


async def _read_file(form: FormData) -> str:
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise _fail("choose the file of a version of a list")
    if (file.size or 0) > _MOST_BYTES:
        raise _fail(f"a list has at most {_MOST_BYTES // 2**20} MiB")
    return base64.b64encode(await file.read()).decode()


def _fail(message: str) -> Failed:
    return Failed(fail_with(MalformedRequest(message, where="file")))


def _cut(version: Mapping[str, Any], most: int) -> dict[str, Json]:
    """A version with how much it changed, and of that the first names."""
    counts: dict[str, Json] = {name: len(version[name]) for name in _CHANGES}
    return {**version, **{name: list[Json](version[name][:most]) for name in _CHANGES}, "counts": counts}


def _read(form: FormData, *names: str) -> dict[str, Json]:
    return {name: text for name in names if (text := read_text(form, name).strip())}


def _read_seen(form: FormData, name: str) -> dict[str, Json]:
    """What the page showed by that name: an empty field says that it was nothing, and no field says nothing."""
    return {name: read_text(form, name).strip()} if name in form else {}


def _find_page(name: str) -> str:
    return f"/lists/{quote(name, safe='')}"


ROUTES: list[Route] = [
    *make_page("/lists", show_lists),
    Route("/lists", load, methods=["POST"]),
    Route("/lists/preview", look, methods=["POST"]),
    Route("/lists/decide", decide, methods=["POST"]),
    *make_page("/lists/{list}", show_list),
    Route("/lists/{list}/review", review, methods=["POST"]),
]
