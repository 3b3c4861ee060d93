# SPDX-License-Identifier: Apache-2.0
"""Shell: one act that waits for a second person: what exactly it is, who asked for it, and to approve or decline it.

The second person brings nothing. What is shown was brought by the first one, and what the form sends is the name of it:
the node makes the act again from what it kept, and signs the very same or nothing.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.changes import summarise_gives
from comity.console.pages import conclude, make_page, read_form, read_text, show
from comity.console.visit import Visit, find_visit
from comity.operations.reply import Json, Reply

__all__ = ["ROUTES", "find_waiting"]

_SAMPLES = 3
_DRAFTS = frozenset({"propose", "counter"})


async def show_approval(request: Request) -> Response:
    """The act, clause by clause where it is a text, with what it would release today."""
    visit = find_visit(request)
    matter = await visit.read("approvals.show", {"matter": request.path_params["matter"]})
    result: dict[str, Json] = {**matter, **await _read_text(visit, matter)}
    return show(request, "approval.html", result)


async def find_waiting(visit: Visit, kind: str, name: str) -> dict[str, Json]:
    """The acts of a kind that a colleague has approved and this person may see: what each is about → its approval."""
    matters = (await visit.read("approvals"))["matters"]
    return {
        item["facts"][name]: {
            "matter": item["matter"],
            "reason": item["facts"]["reason"],
            "by": [one["person"] for one in item["approvals"]],
        }
        for item in matters
        if item["kind"] == kind
    }


async def approve(request: Request) -> Response:
    """Approve the very same."""
    visit, form = find_visit(request), await read_form(request)
    asked: dict[str, Json] = {"matter": request.path_params["matter"]}
    asked |= {name: read_text(form, name).strip() or None for name in ("role", "why")}
    reply = await visit.ask("approvals.approve", asked)
    return conclude(request, reply, to=_find_page(visit, reply))


async def decline(request: Request) -> Response:
    """End it for everybody, with a reason."""
    visit, form = find_visit(request), await read_form(request)
    asked: dict[str, Json] = {"matter": request.path_params["matter"], "reason": read_text(form, "reason").strip()}
    reply = await visit.ask("approvals.decline", asked)
    return conclude(request, reply, to="/", done="declined")


async def _read_text(visit: Visit, matter: dict[str, Any]) -> dict[str, Json]:
    """What a draft means and does, what it changes, or what the version that is to be signed would release."""
    read: dict[str, Json] = {"check": None, "preview": None, "summary": None, "changes": None}
    if matter["kind"] in _DRAFTS and matter["brought"] is not None and visit.may("agreement.check"):
        terms = {"terms": matter["brought"]}
        read["check"] = await visit.read("agreement.check", terms)
        if visit.may("agreement.preview"):
            read["preview"] = await visit.read("agreement.preview", {**terms, "samples": _SAMPLES})
        # A first version is an agreement of its own; any other, countered or proposed anew, changes what stands.
        if matter["agreement"] != matter["terms"] and visit.may("agreement.diff"):
            compared = {"before_id": matter["agreement"], "after_terms": matter["brought"], "samples": 0}
            read["changes"] = (await visit.read("agreement.diff", compared))["changes"]
    elif matter["kind"] == "accept" and visit.may("agreement.preview"):
        preview = await visit.read("agreement.preview", {"id": matter["terms"], "samples": 0})
        read["summary"] = summarise_gives(preview["gives"])
    return read


def _find_page(visit: Visit, reply: Reply) -> str:
    """The page of the agreement that came of it, where there is one for this person."""
    agreement = (reply.result or {}).get("agreement")
    there = agreement and "waits_for" not in (reply.result or {}) and visit.may("agreement.show")
    return f"/agreements/{agreement}" if there else "/"


ROUTES = [
    *make_page("/approvals/{matter}", show_approval),
    Route("/approvals/{matter}/approve", approve, methods=["POST"]),
    Route("/approvals/{matter}/decline", decline, methods=["POST"]),
]
