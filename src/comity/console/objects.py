# SPDX-License-Identifier: Apache-2.0
"""Shell: what is held: found and browsed, and one object with all that this party knows of it.

A part of a page that a role may not see is neither on it nor in its twin.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from comity.console.graph import HEIGHT, WIDTH, draw_layers
from comity.console.necessity import find_decisions
from comity.console.pages import conclude, make_page, read_form, read_text, show, show_failure
from comity.console.visit import Visit, find_visit
from comity.errors import MalformedRequest
from comity.operations.reply import Json, fail_with
from comity.vocabulary import PURPOSES, TLP_LEVELS

__all__ = ["ROUTES", "Moment", "list_moments"]

_PAGE = 50
_FILTERS = ("type", "originator", "tlp", "subject")
_MOST_LETTERS = 100
_MOST_MOMENTS = 200


class Moment(NamedTuple):
    """One line of an object's timeline: when, what, and who or what it was by."""

    at: str
    what: str
    by: str


async def show_objects(request: Request) -> Response:
    """What is held, newest first, by pages; an id leads to its object, the beginning of several to their list."""
    visit, query = find_visit(request), request.query_params
    wanted = {name: query[name].strip() for name in _FILTERS if query.get(name, "").strip()}
    prefix = query.get("id", "").strip()
    asked: dict[str, Json] = {**wanted, "last": _PAGE, "prefix": prefix or None, "before": query.get("before") or None}
    listed = await visit.read("object.list", asked)
    if prefix and len(listed["objects"]) == 1 and not request.url.path.endswith(".json"):
        return RedirectResponse(f"/objects/{quote(listed['objects'][0]['id'])}", status_code=303)
    result = {**listed, "asked": {name: wanted.get(name) for name in _FILTERS} | {"id": prefix or None}}
    more = f"/objects?{urlencode({**wanted, 'before': listed['next']})}" if listed["next"] else None
    return show(request, "objects.html", result, more=more, narrowed=bool(wanted), levels=[*TLP_LEVELS, "unmarked"])


async def show_object(request: Request) -> Response:
    """One object: where it is from, what is said of it, what is around it, who may have it, and what can be done."""
    visit, name = find_visit(request), request.path_params["id"]
    result: dict[str, Any] = await visit.read("object.show", {"id": name})
    found = result["id"]
    result["said"] = result["around"] = result["given"] = result["asked"] = None
    if result["object"] is not None:
        if visit.may("classify.show"):
            result["said"] = (await visit.read("classify.show", {"id": found}))["said"]
        if visit.may("object.around"):
            result["around"] = await visit.read("object.around", {"id": found, "steps": 1})
        if visit.may("object.given"):
            result["given"] = await visit.read("object.given", {"id": found})
    if visit.may("consent.list"):
        result["asked"] = await visit.read("consent.list", {"object": found, "last": _MOST_LETTERS})
    result["necessity"] = None if result["object"] is None else await find_decisions(visit, found)
    result["waiting"] = await _find_waiting(visit) if result["asked"] is not None else {}
    around = result["around"]
    drawing = None
    if around is not None:
        layers = {item["id"]: item["layer"] for item in around["objects"]}
        drawing = draw_layers(layers, [(link["from"], link["to"]) for link in around["links"]])
    return show(
        request,
        "object.html",
        result,
        drawing=drawing,
        moments=list_moments(result)[:_MOST_MOMENTS],
        near={item["id"]: item for item in around["objects"]} if around is not None else {},
        box=(WIDTH, HEIGHT),
        purposes=sorted(PURPOSES),
    )


async def _find_waiting(visit: Visit) -> dict[str, Json]:
    """The grants that one person has approved and that wait for a second, by the request that each would answer."""
    matters = (await visit.read("approvals"))["matters"]
    return {item["facts"]["request"]: item["matter"] for item in matters if item["kind"] == "consent"}


def list_moments(result: Mapping[str, Any]) -> list[Moment]:
    """What happened to an object here, the last first."""
    return sorted(_find_moments(result), reverse=True)


def _find_moments(result: Mapping[str, Any]) -> Iterator[Moment]:
    if result["added_at"]:
        yield Moment(result["added_at"], "taken in", result["originator"])
    yield from (Moment(way["at"], "came", way["giver"]) for way in result["ways"])
    yield from (Moment(way["at"], "came back", way["giver"]) for way in result["came_back"])
    yield from (Moment(item["at"], "disputed, and not kept", item["giver"]) for item in result["disputes"])
    for item in result["deleted"]:
        yield Moment(item["deleted_at"], f"version {item['version']} deleted", item["by"] or item["clause"] or "")
    for item in result["recalled"]:
        yield Moment(item["at"], f"version {item['version']} recalled", item["reason"])
    yield from _find_acts(result)


def _find_acts(result: Mapping[str, Any]) -> Iterator[Moment]:
    """What people did, and what was released, as far as it may be seen."""
    for item in (result["given"] or {}).get("released", []):
        yield Moment(item["at"], f"released to {item['party']}", item["title"] or item["agreement"])
    for item in result["said"] or []:
        yield Moment(item["at"], f"said: {item['field']} {item['word']}", item["person"] or item["rules"] or "a list")
        if item["ended_at"]:
            yield Moment(item["ended_at"], f"taken back: {item['field']} {item['word']}", item["ended_by"] or "a rule")
    asked = result["asked"] or {"sent": [], "received": []}
    for item in (*asked["sent"], *asked["received"]):
        yield Moment(item["recorded_at"], f"consent asked for {item['recipient']}", item["party"])


async def recall(request: Request) -> Response:
    """Recall the object, or the versions of it that were chosen, or what a newer version of it corrects."""
    form, name = await read_form(request), request.path_params["id"]
    chosen = [str(item) for item in form.getlist("version") if item]
    if form.get("which") == "chosen" and not chosen:
        return show_failure(request, fail_with(MalformedRequest("choose the versions to recall", where="version")))
    if form.get("which") == "all" and chosen:
        message = "versions are chosen, and all are asked for: nothing was recalled; say which"
        return show_failure(request, fail_with(MalformedRequest(message, where="which")))
    asked: dict[str, Json] = {"id": name, "newer": form.get("newer") == "yes", "versions": list[Json](chosen)}
    asked |= _read(form, "newest", "reason", "role", "why")
    return await _act(request, "recall.send", asked, to=f"/objects/{quote(name)}")


async def ask_consent(request: Request) -> Response:
    """Ask whoever gave the object to let it be passed on."""
    form, name = await read_form(request), request.path_params["id"]
    asked: dict[str, Json] = {"ids": [name], **_read(form, "newest", "to", "purpose", "reason", "until", "role", "why")}
    return await _act(request, "consent.request", asked, to=f"/objects/{quote(name)}")


async def answer_consent(request: Request) -> Response:
    """Grant or refuse what a partner asked of this object."""
    form, name = await read_form(request), request.path_params["id"]
    to, asked = f"/objects/{quote(name)}", _read(form, "letter", "role", "why")
    if form.get("answer") == "grant":
        if _read(form, "reason"):
            # The Enter key in that field presses the first button of the form, which is the other one.
            message = "a reason to refuse is written, and nothing was granted: press the button to refuse, or empty it"
            return show_failure(request, fail_with(MalformedRequest(message, where="reason")))
        return await _act(request, "consent.grant", {**asked, **_read(form, "until", "condition")}, to=to)
    return await _act(request, "consent.refuse", {**asked, **_read(form, "reason")}, to=to)


async def _act(request: Request, operation: str, asked: Mapping[str, Json], *, to: str) -> Response:
    visit: Visit = find_visit(request)
    return conclude(request, await visit.ask(operation, asked), to=to)


def _read(form: FormData, *names: str) -> dict[str, Json]:
    """The fields that are filled in; a day stands for its beginning."""
    found: dict[str, Json] = {}
    for name in names:
        value = read_text(form, name)
        if value.strip():
            found[name] = f"{value}T00:00:00Z" if name == "until" and len(value) == len("2026-01-01") else value.strip()
    return found


ROUTES: Sequence[Route] = [
    *make_page("/objects", show_objects),
    *make_page("/objects/{id}", show_object),
    Route("/objects/{id}/recall", recall, methods=["POST"]),
    Route("/objects/{id}/consent", ask_consent, methods=["POST"]),
    Route("/objects/{id}/answer", answer_consent, methods=["POST"]),
]
