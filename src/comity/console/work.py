# SPDX-License-Identifier: Apache-2.0
"""Shell: the first screen: what waits for this party's people, and which acts wait for a second one."""

from starlette.requests import Request
from starlette.responses import Response

from comity.console.pages import make_page, show
from comity.console.visit import find_visit

__all__ = ["ROUTES"]


async def show_work(request: Request) -> Response:
    """What waits, oldest first, and the acts that wait for a second person."""
    visit = find_visit(request)
    work = await visit.read("work")
    pending = await visit.read("approvals")
    return show(request, "work.html", {"items": work["items"], "matters": pending["matters"]})


ROUTES = make_page("/", show_work)
