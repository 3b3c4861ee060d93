# SPDX-License-Identifier: Apache-2.0
"""Shell: requests for information: those received and sent, one of them with its answers, and the form for another.

Which acts are possible is what `request.show` says; what a question or an answer says is another party's text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import conclude, make_page, read_form, read_text, show, show_failure
from comity.console.visit import Visit, find_visit
from comity.errors import MalformedRequest
from comity.letters.request import Urgency
from comity.operations.reply import Json, fail_with

__all__ = ["ROUTES", "find_older", "read_prose", "read_sides"]

_SIDES: Final = ("received", "sent")
_ROWS: Final = 50
_MOST_CHOICES: Final = 200
_IN_FORCE: Final = "in force"


async def list_requests(request: Request) -> Response:
    """The requests received and sent, those in front that wait for an answer, by pages."""
    result = await read_sides(request, "request.list", _SIDES, rows=_ROWS)
    return show(request, "requests.html", result, older=find_older("/requests", result))


async def show_request(request: Request) -> Response:
    """One request with what it is about and what answers it, and the forms for what is possible now."""
    result = await find_visit(request).read("request.show", {"letter": request.path_params["letter"]})
    return show(request, "request.html", result)


async def offer_request(request: Request) -> Response:
    """The form for a question: about the object or under the agreement that the query names, or any in force."""
    visit, query = find_visit(request), request.query_params
    visit.require("request.send")
    named, agreement = query.get("object", "").strip() or None, query.get("agreement", "").strip() or None
    found: dict[str, Any] | None = None if named is None else await visit.read("object.show", {"id": named})
    choices = [item for item in await _find_choices(visit) if agreement in {None, item["agreement"]}]
    if found is not None:
        ways = {(way["agreement"], way["giver"]) for way in found["ways"]}
        choices = [item for item in choices if (item["agreement"], item["party"]) in ways]
    result: dict[str, Json] = {
        "object": None if found is None else found["id"],
        "agreement": agreement,
        "choices": list[Json](choices[:_MOST_CHOICES]),
        "count": len(choices),
    }
    return show(request, "ask.html", result, urgencies=_URGENCIES)


async def send(request: Request) -> Response:
    """Ask the party under the agreement that were chosen."""
    visit = find_visit(request)
    visit.require("request.send")
    form = await read_form(request)
    agreement, _, party = read_text(form, "under").partition(" ")
    if not agreement or not party:
        return show_failure(request, fail_with(MalformedRequest("choose whom to ask, under which agreement")))
    arguments: dict[str, Json] = {
        "agreement": agreement,
        "party": party,
        "question": read_prose(form, "question") or "",
        "urgency": read_text(form, "urgency"),
        "objects": _read_ids(form),
    }
    reply = await visit.ask("request.send", arguments)
    return conclude(request, reply, to=f"/requests/{quote(str((reply.result or {}).get('letter', '')))}")


async def answer(request: Request) -> Response:
    """Answer in words, by objects, or both."""
    visit, form = await _begin(request, "request.answer")
    arguments: dict[str, Json] = {"text": read_prose(form, "text"), "objects": _read_ids(form)}
    return await _act(request, visit, "request.answer", arguments)


async def decline(request: Request) -> Response:
    """Decline to answer, and say why."""
    visit, form = await _begin(request, "request.answer")
    return await _act(request, visit, "request.answer", {"text": read_prose(form, "text"), "decline": True})


async def withdraw(request: Request) -> Response:
    """Take a request of this party back."""
    visit, _ = await _begin(request, "request.withdraw")
    return await _act(request, visit, "request.withdraw", {})


async def read_sides(request: Request, operation: str, sides: Sequence[str], *, rows: int) -> dict[str, Any]:
    """The first part of each side of a list of letters, or the part of one side that the query asks for.

    `next` says for each side where its next part begins (None: there is none).
    """
    visit, query = find_visit(request), request.query_params
    only = query.get("side") if query.get("side") in sides else None
    shown: dict[str, Any] = {side: [] for side in sides}
    following: dict[str, Json] = dict.fromkeys(sides)
    for side in sides if only is None else (only,):
        before = None if only is None else query.get("before") or None
        part = await visit.read(operation, {"side": side, "last": rows, "before": before})
        shown[side], following[side] = part[side], part["next"]
    return {"side": only, **shown, "next": following}


def find_older(path: str, result: Mapping[str, Any]) -> dict[str, str]:
    """For each side that goes on: the address of its next part."""
    parts = result["next"].items()
    return {side: f"{path}?{urlencode({'side': side, 'before': spot})}" for side, spot in parts if spot is not None}


def read_prose(form: FormData, name: str) -> str | None:
    """What somebody wrote, without the spaces around it; None where it is empty."""
    return read_text(form, name).strip() or None


def _read_ids(form: FormData) -> list[Json]:
    return [*read_text(form, "objects").replace(",", " ").split()]


async def _begin(request: Request, operation: str) -> tuple[Visit, FormData]:
    visit = find_visit(request)
    visit.require(operation)
    return visit, await read_form(request)


async def _act(request: Request, visit: Visit, operation: str, asked: Mapping[str, Json]) -> Response:
    letter = request.path_params["letter"]
    return conclude(request, await visit.ask(operation, {**asked, "letter": letter}), to=f"/requests/{quote(letter)}")


async def _find_choices(visit: Visit) -> list[dict[str, Any]]:
    """Each other party of each agreement in force, the newest agreement first."""
    known = (await visit.read("party.list"))["parties"]
    own = {item["party"] for item in known if item["own"]}
    listed = (await visit.read("agreement.list", {"state": _IN_FORCE}))["agreements"]
    return [
        {"agreement": item["agreement"], "title": item["title"], "party": party}
        for item in reversed(listed)
        for party in item["parties"]
        if party not in own
    ]


_URGENCIES: Final = {
    Urgency.ROUTINE.value: "routine: within 7 days",
    Urgency.SOON.value: "soon: within 3 days",
    Urgency.IMMEDIATE.value: "immediate: within 8 hours",
}

ROUTES: Sequence[Route] = [
    *make_page("/requests", list_requests),
    *make_page("/requests/send", offer_request),
    Route("/requests/send", send, methods=["POST"]),
    *make_page("/requests/{letter}", show_request),
    Route("/requests/{letter}/answer", answer, methods=["POST"]),
    Route("/requests/{letter}/decline", decline, methods=["POST"]),
    Route("/requests/{letter}/withdraw", withdraw, methods=["POST"]),
]
