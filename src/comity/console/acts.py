# SPDX-License-Identifier: Apache-2.0
"""Shell: what a person does to one agreement: signs, asks, answers, stops, lets go on, ends.

What binds the party, or ends it for good, has a page of its own that says what will follow. What stops is one form on
the page of the agreement. Whether an act is possible, and how many people it takes, the node decides again.
"""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.agreements import find_matters
from comity.console.changes import summarise_gives
from comity.console.pages import conclude, make_page, read_form, read_text, show, show_failure
from comity.console.visit import Failed, Visit, find_visit
from comity.errors import MalformedRequest, TransitionError
from comity.operations.reply import Json, fail_with
from comity.vocabulary import RESERVATION_GROUNDS

__all__ = ["ROUTES", "read_person", "read_reservations"]

_WITH_REASON = frozenset({"reject", "withdraw", "suspend", "resume", "terminate", "leave", "review"})
_ENDS: Mapping[str, str] = {
    "terminate": "The agreement ends for good, for all parties and at once. It cannot be taken back.",
    "leave": "This party leaves the group for good, at once. The others go on. Coming back takes another agreement.",
}


async def offer_accept(request: Request) -> Response:
    """The latest version before it is signed: what it would release, and the form to sign it."""
    visit, name = find_visit(request), request.path_params["id"]
    visit.require("agreement.accept")
    status = await visit.read("agreement.status", {"id": name})
    _find_possible(status, "accept")
    version = status["latest"]
    preview = await visit.read("agreement.preview", {"id": version["terms"], "samples": 0})
    waiting = await find_matters(visit, status["agreement"])
    matters = [item for item in waiting if item["kind"] == "accept" and item["terms"] == version["terms"]]
    result: dict[str, Json] = {
        **{key: status[key] for key in ("agreement", "title", "state", "sentence", "reservable", "positions")},
        "version": version,
        "summary": summarise_gives(preview["gives"]),
        "problems": preview["problems"],
        "conflicts": preview["conflicts"],
        "matters": list[Json](matters),
    }
    roles = _find_roles(visit, status, "accept")
    return show(request, "accept.html", result, grounds=sorted(RESERVATION_GROUNDS), roles=roles)


async def accept(request: Request) -> Response:
    """Sign the version whose hash the form names: who read one text must not sign another."""
    visit, form = find_visit(request), await read_form(request)
    arguments = {**read_person(form), "id": _read(form, "terms") or "", "reservations": read_reservations(form)}
    reply = await visit.ask("agreement.accept", arguments)
    return conclude(request, reply, to=_find_page(request, reply.result))


async def offer_end(request: Request) -> Response:
    """What ends an agreement is asked once more, on a page of its own."""
    visit, name = find_visit(request), request.path_params["id"]
    act = _find_act(request)
    visit.require(f"agreement.{act}")
    status = await visit.read("agreement.status", {"id": name})
    _find_possible(status, act)
    kept = ("agreement", "title", "state", "sentence", "parties")
    result: dict[str, Json] = {**{key: status[key] for key in kept}, "act": act, "follows": _ENDS[act]}
    return show(request, "end.html", result, roles=_find_roles(visit, status, act))


async def do(request: Request) -> Response:
    """Carry out the act that the path names."""
    visit, act = find_visit(request), _find_act(request)
    visit.require(f"agreement.{act}")
    form = await read_form(request)
    arguments: dict[str, Json] = {**read_person(form), "id": request.path_params["id"]}
    for name in ("channel", "clause", "text", "question", "reason"):
        if (value := _read(form, name)) is not None:
            arguments[name] = value
    if act in _WITH_REASON and act != "resume" and "reason" not in arguments:
        return show_failure(request, fail_with(MalformedRequest("give a reason: others will ask why", where="reason")))
    if act == "resume":
        arguments["shown"] = [str(item) for item in form.getlist("shown")]
    if act == "review":
        arguments["terms"] = _read(form, "terms")
    if act in {"reject", "withdraw"}:
        arguments["id"] = _read(form, "terms") or ""
    reply = await visit.ask(f"agreement.{act}", arguments)
    # Who may stop and not read agreements is led to no page of one, whose address would be its whole id.
    return conclude(request, reply, to=_find_page(request, reply.result) if visit.may("agreement.show") else "/")


async def stop(request: Request) -> Response:
    """Suspend the agreement that the form names, for who may stop and not read: nothing of it is shown."""
    visit, form = find_visit(request), await read_form(request)
    name, reason = _read(form, "id"), _read(form, "reason")
    if name is None or reason is None:
        return show_failure(request, fail_with(MalformedRequest("give the id of the agreement and a reason")))
    return conclude(request, await visit.ask("agreement.suspend", {"id": name, "reason": reason}), to="/")


def _find_act(request: Request) -> str:
    return request.url.path.removesuffix(".json").rpartition("/")[2]


def _find_page(request: Request, result: Mapping[str, Any] | None) -> str:
    """The page of the agreement; also where nothing was done, and the page is not gone to."""
    return f"/agreements/{(result or {}).get('agreement') or request.path_params['id']}"


def _find_possible(status: Mapping[str, Any], act: str) -> None:
    if act not in {item["act"] for item in status["possible"]}:
        raise Failed(fail_with(TransitionError(f"{act} is not possible now: {status['sentence']}")))


def _find_roles(visit: Visit, status: Mapping[str, Any], act: str) -> list[str]:
    """The roles that the person can choose from for the act; none where there is no choice."""
    fitting: list[str] = next((item["roles"] for item in status["possible"] if item["act"] == act), [])
    held = [role for role in fitting if role in visit.person.roles]
    return held if len(held) > 1 else []


def _read(form: FormData, name: str) -> str | None:
    """A field of the form without the spaces around it; None where it is empty."""
    return read_text(form, name).strip() or None


def read_person(form: FormData) -> dict[str, Json]:
    """In which role, and why: of the person who acts."""
    return {name: _read(form, name) for name in ("role", "why")}


def read_reservations(form: FormData) -> list[Json]:
    """As the operation takes them, from one ground and one text for each clause."""
    found = list[Json]()
    for name in form:
        if name.startswith("ground.") and (ground := _read(form, name)) is not None:
            clause = name.removeprefix("ground.")
            text = _read(form, f"text.{clause}")
            found.append(f"{clause}:{ground}" if text is None else f"{clause}:{ground}:{text}")
    return found


_ACTS = ("reject", "withdraw", "clarify", "answer", "suspend", "resume", "terminate", "leave", "review")

ROUTES = [
    Route("/suspend", stop, methods=["POST"]),
    *make_page("/agreements/{id}/accept", offer_accept),
    Route("/agreements/{id}/accept", accept, methods=["POST"]),
    *(route for act in _ENDS for route in make_page(f"/agreements/{{id}}/{act}", offer_end)),
    *(Route(f"/agreements/{{id}}/{act}", do, methods=["POST"]) for act in _ACTS),
]
