# SPDX-License-Identifier: Apache-2.0
"""Shell: what was received and is to be reviewed or deleted, decisions to keep it, and deletions.

A deletion has a page of its own, which names the versions that go. Where others are held by the time that the form
comes, nothing is deleted.
"""

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import conclude, make_page, read_form, read_text, show
from comity.console.visit import Failed, find_visit
from comity.errors import MalformedRequest, NotFoundError
from comity.operations.reply import Json, fail_with

__all__ = ["ROUTES"]

_ROWS = 50
_KEPT = ("id", "type", "name", "digest", "originator", "received_under", "versions")


async def show_retention(request: Request) -> Response:
    """A part of what is due within the time of notice, the earliest first; and what was deleted last."""
    after = request.query_params.get("after") or None
    listed = await find_visit(request).read("retention.list", {"most": _ROWS, "after": after, "named": True})
    return show(request, "retention.html", listed, rows=_ROWS, after=after)


async def keep(request: Request) -> Response:
    """Decide to keep the version that the page named; of another one nothing is decided."""
    visit = find_visit(request)
    visit.require("retention.keep")
    form = await read_form(request)
    version = read_text(form, "version")
    asked: dict[str, Json] = {"id": request.path_params["id"], "reason": read_text(form, "reason").strip()}
    asked["versions"] = [version] if version else []
    return conclude(request, await visit.ask("retention.keep", asked), to="/retention")


async def offer_delete(request: Request) -> Response:
    """What would go, what would stay, and the form."""
    visit = find_visit(request)
    visit.require("retention.delete")
    shown = await visit.read("object.show", {"id": request.path_params["id"]})
    if shown["object"] is None:
        raise Failed(fail_with(NotFoundError(f"no version of {shown['id']} is held here any more")))
    result: dict[str, Any] = {name: shown[name] for name in _KEPT}
    result["given"] = None
    if visit.may("object.given"):
        given = await visit.read("object.given", {"id": shown["id"]})
        result["given"] = sorted({item["party"] for item in given["released"]})
    return show(request, "delete.html", result)


async def delete(request: Request) -> Response:
    """Delete the versions that the page named; other ones are not deleted in their place."""
    visit, name = find_visit(request), request.path_params["id"]
    visit.require("retention.delete")
    form = await read_form(request)
    versions = read_text(form, "versions").split()
    if not versions:
        raise Failed(fail_with(MalformedRequest("say which versions you saw; load the page again", where="versions")))
    asked: dict[str, Json] = {"id": name, "versions": [*versions], "reason": read_text(form, "reason").strip()}
    reply = await visit.ask("retention.delete", asked)
    gone = reply.result is not None and reply.result.get("gone") is True
    return conclude(request, reply, to=f"/objects/{quote(name)}", done="deleted" if gone else "leaving")


ROUTES = [
    *make_page("/retention", show_retention),
    Route("/retention/{id}/keep", keep, methods=["POST"]),
    *make_page("/retention/{id}/delete", offer_delete),
    Route("/retention/{id}/delete", delete, methods=["POST"]),
]
