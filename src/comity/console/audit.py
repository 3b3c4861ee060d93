# SPDX-License-Identifier: Apache-2.0
"""Shell: an audit begun in the console: every disclosure decided again, and the figures, by a process of its own."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.jobs import start_job
from comity.console.pages import make_page, read_form, show
from comity.console.visit import find_visit

__all__ = ["ROUTES"]


async def offer_audit(request: Request) -> Response:
    """What an audit does, and the form that begins one."""
    find_visit(request).require("audit")
    return show(request, "audit.html", {})


async def begin_audit(request: Request) -> Response:
    """Begin one; its page is that of the work."""
    find_visit(request).require("audit")
    form = await read_form(request)
    bounds = {name: f"{day}T00:00:00Z" for name in ("since", "until") if (day := str(form.get(name) or "").strip())}
    return await start_job(request, "audit", bounds, title="Audit", to="/audit")


ROUTES = [*make_page("/audit", offer_audit), Route("/audit", begin_audit, methods=["POST"])]
