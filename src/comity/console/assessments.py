# SPDX-License-Identifier: Apache-2.0
"""Shell: threat assessments of groups and persons: which stand until when, one in full, written and renewed.

They are said in words alone. What is wrong with one that is being written is said above the form, which keeps what was
typed.
"""

from typing import Final
from urllib.parse import quote, urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.intake import TLP
from comity.console.pages import STATUS, conclude, make_page, read_form, read_text, show
from comity.console.visit import find_visit
from comity.operations.reply import Json

__all__ = ["ROUTES"]

_ROWS: Final = 100
_STATES: Final = ("good", "ending", "lapsed")
_WRITTEN: Final = ("id", "title", "threat", "text", "basis", "evaluation", "author", "tlp", "until")
_REGIONS: Final = ("may_go_to", "may_return_to")
_OF_FAULTS: Final = 500
"""An answer with this status or a higher one says that nothing that was typed is what is wrong."""

_DAY: Final = len("2026-01-01")


async def list_assessments(request: Request) -> Response:
    """A page of those that stand, or of those of one state: the one that ends first in front."""
    visit, query = find_visit(request), request.query_params
    state = query.get("state") or None
    asked: dict[str, Json] = {"most": _ROWS, "state": state, "before": query.get("before") or None}
    listed = await visit.read("assessment.list", asked)
    kept = {"state": state} if state else {}
    more = f"/assessments?{urlencode({**kept, 'before': listed['next']})}" if listed["next"] else None
    return show(request, "assessments.html", listed, more=more, state=state, states=_STATES)


async def show_assessment(request: Request) -> Response:
    """What one says, until when, and the form to renew it."""
    found = await find_visit(request).read("assessment.show", {"id": request.path_params["id"]})
    return show(request, "assessment.html", found)


async def renew(request: Request) -> Response:
    """A next version of it, which ends later."""
    visit, form, name = find_visit(request), await read_form(request), request.path_params["id"]
    asked: dict[str, Json] = {"id": name, "text": read_text(form, "text").strip() or None, "until": _read_until(form)}
    asked |= {part: read_text(form, part).strip() or None for part in ("version", "reason", "role", "why")}
    return conclude(request, await visit.ask("assessment.renew", asked), to=f"/assessments/{quote(name)}")


async def offer_writing(request: Request) -> Response:
    """The form for a new one, of the object that the query names."""
    find_visit(request).require("assessment.write")
    typed: dict[str, Json] = dict.fromkeys((*_WRITTEN, *_REGIONS), "")
    return _show_form(request, typed | {"id": request.query_params.get("object", "").strip(), "tlp": "amber"})


async def write(request: Request) -> Response:
    """Write one, and show it; or the form again, with what is wrong."""
    visit, form = find_visit(request), await read_form(request)
    visit.require("assessment.write")
    typed: dict[str, Json] = {name: read_text(form, name).strip() for name in (*_WRITTEN, *_REGIONS)}
    asked: dict[str, Json] = {name: typed[name] for name in _WRITTEN} | {"until": _read_until(form)}
    asked |= {name: [*read_text(form, name).upper().replace(",", " ").split()] for name in _REGIONS}
    reply = await visit.ask("assessment.write", asked)
    if reply.error is not None and STATUS.get(reply.code, 500) < _OF_FAULTS:
        page = _show_form(request, typed, problem=str(reply.error["message"]))
        page.status_code = STATUS[reply.code]
        return page
    made = (reply.result or {}).get("object")
    return conclude(request, reply, to=f"/assessments/{made}" if isinstance(made, str) else "/assessments")


def _show_form(request: Request, typed: dict[str, Json], *, problem: str | None = None) -> Response:
    return show(request, "assessment_write.html", typed, problem=problem, levels=TLP)


def _read_until(form: FormData) -> str:
    """A day stands for its beginning."""
    until = read_text(form, "until").strip()
    return f"{until}T00:00:00Z" if len(until) == _DAY else until


ROUTES: list[Route] = [
    *make_page("/assessments", list_assessments),
    # Before the page of one, whose id would be the last part of the path.
    *make_page("/assessments/write", offer_writing),
    Route("/assessments/write", write, methods=["POST"]),
    *make_page("/assessments/{id}", show_assessment),
    Route("/assessments/{id}/renew", renew, methods=["POST"]),
]
