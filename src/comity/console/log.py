# SPDX-License-Identifier: Apache-2.0
"""Shell: the disclosure log: its entries, one of them with its proof, and the logs of relationships."""

import csv
import io
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import STATUS, make_page, show, show_failure
from comity.console.visit import Failed, Visit, find_visit
from comity.operations.reply import Exit, Json, Reply

__all__ = ["COLUMNS", "ROUTES", "format_csv"]

_ROWS: Final = 100
"""Entries on a page."""

_OBJECTS: Final = 200
"""Objects of a disclosure on a page."""

_MOST_DIGITS: Final = 15

COLUMNS: Final = (
    "entry", "at", "type", "recipient", "sequence", "count", "agreement", "terms", "kind", "party", "person", "reader",
    "clause", "by", "purged", "log", "index", "commitment",
)  # fmt: skip
"""The fields of an entry in a table, in their order."""

_STEERS: Final = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would compute."""


async def show_entries(request: Request) -> Response:
    """A page of entries, newest first, by what the query asks for."""
    reply = await _list(request)
    problem = None
    if reply.result is None:
        if reply.code != Exit.USAGE or request.url.path.endswith(".json"):
            return show_failure(request, reply)
        problem = str((reply.error or {}).get("message", ""))
    result = reply.result or {"entries": [], "looked": 0, "next": None}
    q, before = _read_query(request), request.query_params.get("before")
    page = show(request, "log.html", result, q=q, before=before, problem=problem)
    page.status_code = 200 if problem is None else STATUS[Exit.USAGE]
    return page


async def export_entries(request: Request) -> Response:
    """The same entries as a table in CSV."""
    reply = await _list(request)
    if reply.result is None:
        return show_failure(request, reply)
    entries: Any = reply.result["entries"]
    headers = {"content-disposition": 'attachment; filename="log.csv"'}
    return Response(format_csv(entries), media_type="text/csv; charset=utf-8", headers=headers)


def format_csv(entries: list[Mapping[str, Json]]) -> str:
    """Entries as CSV, newest first; a cell that a spreadsheet would compute is made a text by a ' before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([_make_cell(entry.get(name)) for name in COLUMNS] for entry in reversed(entries))
    return out.getvalue()


def _make_cell(value: Json) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case _:
            return f"'{value}" if str(value).startswith(_STEERS) else str(value)


async def show_entry(request: Request) -> Response:
    """One entry: what it says, to whom, under which terms, and the proof that it is in its log."""
    visit, arguments = find_visit(request), {"entry": _read_position(request)}
    entry = await visit.read("log.show", arguments)
    proof = await visit.read("log.prove", arguments)
    listed, rest = _split_content(entry["content"])
    first = _read_number(request, "from") or 0
    shown = listed[first : first + _OBJECTS]
    result: dict[str, Json] = {**entry, "proof": proof}
    # Whether an object is held is for whoever may read objects: to others nothing says so.
    if visit.may("object.held"):
        names: list[Json] = [item["id"] for item in shown if isinstance(item.get("id"), str)]
        result["here"] = await visit.read("object.held", {"ids": names})
    return show(
        request,
        "entry.html",
        result,
        listed=shown,
        first=first,
        count=len(listed),
        more=first + _OBJECTS if first + _OBJECTS < len(listed) else None,
        rest=rest,
        verified="verify" in request.query_params,
    )


async def give_receipt(request: Request) -> Response:
    """The receipt for a disclosure, byte for byte, as a file."""
    position = _read_position(request)
    result = await find_visit(request).read("log.receipt", {"entry": position})
    headers = {"content-disposition": f'attachment; filename="receipt-{position}.json"'}
    return Response(str(result["receipt"]).encode(), media_type="application/json", headers=headers)


async def show_relationships(request: Request) -> Response:
    """The log of the house, and those of relationships, the one opened last first."""
    visit = find_visit(request)
    found = await visit.read("log.relationships")
    house = await _read_checkpoint(visit)
    first = _read_number(request, "from") or 0
    logs = found["logs"][::-1]
    return show(
        request,
        "logs.html",
        {"house": found["house"], "checkpoint": house, "logs": logs[first : first + _OBJECTS], "count": len(logs)},
        more=first + _OBJECTS if first + _OBJECTS < len(logs) else None,
    )


async def show_figures(request: Request) -> Response:
    """What went out, counted; what only an audit can count is left to one."""
    found = await find_visit(request).read("log.figures")
    return show(
        request,
        "figures.html",
        found,
        rows=_OBJECTS,
        most=max((item["answers"] for item in found["months"]), default=0),
    )


async def _read_checkpoint(visit: Visit) -> dict[str, Any] | None:
    """The last checkpoint of the house's log; None where it has no entry yet."""
    return (await visit.ask("log.checkpoint")).result


async def _list(request: Request) -> Reply:
    arguments = {"last": _ROWS, "before": _read_number(request, "before"), "q": _read_query(request)}
    return await find_visit(request).ask("log.list", arguments)


def _read_query(request: Request) -> str:
    return request.query_params.get("q", "").strip()


def _read_number(request: Request, name: str) -> int | None:
    """A number of the address; None where it has none.

    Raises:
        Failed: it is none.
    """
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        error: dict[str, Json] = {"code": "malformed-request", "message": f"{name} is a whole number", "facts": {}}
        raise Failed(Reply(code=Exit.USAGE, error=error))
    return int(text)


def _read_position(request: Request) -> str:
    return str(request.path_params["position"])


def _split_content(content: object) -> tuple[list[Any], dict[str, Any]]:
    """The objects that an entry lists, and the rest of what it says."""
    if not isinstance(content, dict):
        return [], {}
    objects = content.get("objects")
    listed = objects if isinstance(objects, list) and all(isinstance(item, dict) for item in objects) else None
    return listed or [], {name: value for name, value in content.items() if listed is None or name != "objects"}


ROUTES = [
    *make_page("/log", show_entries),
    Route("/log.csv", export_entries, methods=["GET"]),
    *make_page("/log/figures", show_figures),
    *make_page("/log/relationships", show_relationships),
    *make_page("/log/{position:int}", show_entry),
    Route("/log/{position:int}/receipt", give_receipt, methods=["GET"]),
]
