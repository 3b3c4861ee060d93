# SPDX-License-Identifier: Apache-2.0
"""Shell: recalls: the letters received and sent, what partners took back over TAXII, and what became of each.

Recalling is done on the page of the object; here what is recalled is kept for a reason, as long as it waits.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import conclude, make_page, read_form, read_text, show, show_failure
from comity.console.requests import find_older, read_prose, read_sides
from comity.console.visit import find_visit
from comity.errors import MalformedRequest
from comity.letters.recall import MAX_KEPT_REASON
from comity.operations.reply import fail_with

__all__ = ["ROUTES"]

_SIDES: Final = ("received", "sent", "taken_back")
_ROWS: Final = 50


async def list_recalls(request: Request) -> Response:
    """The letters of recall, those in front of which something is still to come, and what was taken back, by pages."""
    result = await read_sides(request, "recall.list", _SIDES, rows=_ROWS)
    return show(request, "recalls.html", result, older=find_older("/recalls", result))


async def show_recall(request: Request) -> Response:
    """One letter of recall, or what was taken back over TAXII: what it is about, and what became of that."""
    result = await find_visit(request).read("recall.show", {"letter": request.path_params["letter"]})
    return show(request, "recall.html", result, most_reason=MAX_KEPT_REASON)


async def keep(request: Request) -> Response:
    """Keep an object that is recalled: it goes to nobody, and is not deleted for the recall."""
    visit, letter = find_visit(request), request.path_params["letter"]
    visit.require("recall.keep")
    form = await read_form(request)
    named, reason = read_text(form, "object").strip(), read_prose(form, "reason")
    if not named or reason is None:
        return show_failure(request, fail_with(MalformedRequest("name the object, and say why it is kept")))
    reply = await visit.ask("recall.keep", {"id": named, "reason": reason})
    return conclude(request, reply, to=f"/recalls/{quote(letter)}")


ROUTES: Sequence[Route] = [
    *make_page("/recalls", list_recalls),
    *make_page("/recalls/{letter}", show_recall),
    Route("/recalls/{letter}/keep", keep, methods=["POST"]),
]
