# SPDX-License-Identifier: Apache-2.0
"""Shell: whether it is strictly necessary to give data of a special category, or of a minor: seen, decided and ended.

Two people decide, one of them as legal, on the same object with the same reason. The second one finds what the first
said, and approves the very same by its name (`console.approvals`).
"""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import conclude, make_page, read_form, read_page, read_text, read_through, show
from comity.console.visit import Visit, find_visit
from comity.operations.reply import Json

__all__ = ["ROUTES", "find_decisions"]

_ROWS = 50
_KIND = "decide-necessity"


async def show_necessity(request: Request) -> Response:
    """What waits for a decision, and what was decided, of all objects or of the one that the query names."""
    visit, about = find_visit(request), request.query_params.get("object") or None
    waiting, decided = read_page(request, "waiting"), read_page(request, "decided")
    asked: dict[str, Json] = {"object": about, "most": _ROWS}
    asked |= {"waiting_from": (waiting - 1) * _ROWS, "decided_from": (decided - 1) * _ROWS}
    listed = await visit.read("necessity.list", asked)
    matters = await _find_matters(visit)
    result: dict[str, Json] = {
        **listed,
        "about": about,
        "waiting_page": waiting,
        "decided_page": decided,
        "matters": list[Json](matters if about is None else [item for item in matters if _is_about(item, about)]),
    }
    return show(request, "necessity.html", result, rows=_ROWS, link=_make_link(about, waiting, decided))


async def find_decisions(visit: Visit, name: str) -> dict[str, Any] | None:
    """What the page of one object says of this: what waits, and what was decided; None for who may not see it."""
    if not visit.may("necessity.list"):
        return None
    return await visit.read("necessity.list", {"object": name, "most": _ROWS})


async def decide(request: Request) -> Response:
    """Decide that it is strictly necessary, as the first person or as the second."""
    return await _act(request, "necessity.decide")


async def end(request: Request) -> Response:
    """End what was decided: it goes to nobody from here on."""
    return await _act(request, "necessity.end")


async def _act(request: Request, operation: str) -> Response:
    visit = find_visit(request)
    visit.require(operation)
    form = await read_form(request)
    name = read_text(form, "object").strip()
    asked: dict[str, Json] = {"id": name, "reason": read_text(form, "reason").strip()}
    if operation == "necessity.decide" and "shown" in form:
        asked["shown"] = read_text(form, "shown")
    asked |= read_through(form)
    reply = await visit.ask(operation, asked)
    alone = read_text(form, "alone") == "yes"
    return conclude(request, reply, to=f"/necessity?{urlencode({'object': name})}" if alone else "/necessity")


async def _find_matters(visit: Visit) -> list[dict[str, Any]]:
    """What a colleague has approved that waits for a second person, the first approved in front."""
    matters: list[dict[str, Any]] = (await visit.read("approvals"))["matters"]
    return [item for item in matters if item["kind"] == _KIND]


def _is_about(matter: dict[str, Any], name: str) -> bool:
    return bool(matter["facts"].get("object") == name)


def _make_link(about: str | None, waiting: int, decided: int) -> Any:  # noqa: ANN401 (what a template calls)
    """How a page of the one list leads on and keeps its place in the other."""

    def link(**to: int) -> str:
        pages = {"waiting": waiting, "decided": decided, **to}
        kept = {name: number for name, number in pages.items() if number > 1}
        return f"/necessity?{urlencode({**({} if about is None else {'object': about}), **kept})}"

    return link


ROUTES = [
    *make_page("/necessity", show_necessity),
    Route("/necessity/decide", decide, methods=["POST"]),
    Route("/necessity/end", end, methods=["POST"]),
]
