# SPDX-License-Identifier: Apache-2.0
"""Shell: whether two objects are about one person, as people say it: who else to look at, and what was said before.

Candidates stand in the order of their ids. Nothing here says who is likelier, and nothing follows from what is said but
that it is on record.
"""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import conclude, make_page, read_form, read_page, read_text, read_through, show
from comity.console.visit import find_visit
from comity.operations.reply import Json

__all__ = ["ROUTES"]

_ROWS = 50


async def show_identity(request: Request) -> Response:
    """One person: who else to look at and why, and what people said of this one and others."""
    visit, name = find_visit(request), request.path_params["id"]
    found = await visit.read("identity.candidates", {"id": name})
    said = await visit.read("identity.list", {"id": found["object"]})
    page, before = read_page(request), read_page(request, "said_before")
    judged = [
        {**item, "other": item["one"] if item["other"] == found["object"] else item["other"]}
        for item in reversed(said["judged"])
    ]
    result: dict[str, Json] = {
        **found,
        "candidates": found["candidates"][(page - 1) * _ROWS : page * _ROWS],
        "count": len(found["candidates"]),
        "page": page,
        "judged": list[Json](judged[(before - 1) * _ROWS : before * _ROWS]),
        "judged_count": len(judged),
        "judged_page": before,
        "names": said["names"],
        "through": judged[0]["at"] if judged else "",
    }
    return show(request, "identity.html", result, rows=_ROWS)


async def same(request: Request) -> Response:
    """Say that the two are one person."""
    return await _judge(request, "identity.same")


async def differ(request: Request) -> Response:
    """Say that they are not."""
    return await _judge(request, "identity.differ")


async def _judge(request: Request, operation: str) -> Response:
    visit, name = find_visit(request), request.path_params["id"]
    visit.require(operation)
    form = await read_form(request)
    asked: dict[str, Json] = {"id": name, **{key: read_text(form, key).strip() for key in ("other", "reason")}}
    asked |= read_through(form)
    if "shown" in form:
        asked["shown"] = read_text(form, "shown")
    return conclude(request, await visit.ask(operation, asked), to=f"/identity/{quote(name)}")


ROUTES = [
    *make_page("/identity/{id}", show_identity),
    Route("/identity/{id}/same", same, methods=["POST"]),
    Route("/identity/{id}/differ", differ, methods=["POST"]),
]
