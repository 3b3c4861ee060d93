# SPDX-License-Identifier: Apache-2.0
"""Shell: who would get what of all that is held, and all of it as one party would see it. Nothing leaves by looking."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import make_page, show
from comity.console.visit import find_visit
from comity.operations.reply import Json

__all__ = ["ROUTES"]

_PARTIES, _SEEN = 10, 20
_AXES = ("tlp", "subjects", "types", "originators", "regions", "kinds")


async def show_matrix(request: Request) -> Response:
    """Every party that a channel leads to by what objects say."""
    query = request.query_params
    by, after = query.get("by") or "tlp", query.get("after") or None
    result = await find_visit(request).read("matrix.show", {"by": by, "after": after, "parties": _PARTIES})
    more = f"/matrix?{urlencode({'by': by, 'after': result['next']})}" if result["next"] else None
    return show(request, "matrix.html", result, more=more, axes=_AXES)


async def show_party(request: Request) -> Response:
    """What one party would get of one of its collections now, object by object."""
    query, party = request.query_params, request.path_params["party"]
    asked: dict[str, Json] = {
        "party": party,
        "collection": query.get("collection") or None,
        "before": query.get("before") or None,
        "last": _SEEN,
    }
    result = await find_visit(request).read("matrix.see", asked)
    more = None
    if result["next"]:
        more = f"/matrix/{quote(party)}?{urlencode({'collection': result['collection'], 'before': result['next']})}"
    return show(request, "party.html", result, more=more)


ROUTES: Sequence[Route] = [*make_page("/matrix", show_matrix), *make_page("/matrix/{party}", show_party)]
