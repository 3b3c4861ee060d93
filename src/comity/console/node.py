# SPDX-License-Identifier: Apache-2.0
"""Shell: the node and those it talks to: what is wrong first, then partners, what is followed, and witnesses."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from comity.console.pages import make_page, show
from comity.console.visit import find_visit

__all__ = ["ROUTES"]

_ROWS: Final = 200


async def show_node(request: Request) -> Response:
    """How it stands now; the parts that another operation gives are there for who may ask it."""
    visit = find_visit(request)
    status = await visit.read("status")
    followed = await visit.read("follow.status") if visit.may("follow.status") else None
    witnesses = await visit.read("witness.list") if visit.may("witness.list") else None
    wrong = {problem["party"] for problem in status["problems"]}
    return show(
        request,
        "node.html",
        {**status, "followed": followed, "witnesses": witnesses},
        partners=_shorten(status["partners"], wrong, "party"),
        channels=[] if followed is None else _shorten(followed["channels"], wrong, "giver"),
        rows=_ROWS,
    )


def _shorten(items: list[dict[str, Any]], wrong: set[str | None], name: str) -> list[dict[str, Any]]:
    """As many as a page has rows, those with which something is wrong first."""
    return sorted(items, key=lambda item: item[name] not in wrong)[:_ROWS]


ROUTES = make_page("/node", show_node)
