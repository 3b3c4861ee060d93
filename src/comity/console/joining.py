# SPDX-License-Identifier: Apache-2.0
"""Shell: a party joins a group: admitted by its founders, and acceding by its own signature; and messages from a file.

Admitting and acceding take two people, of whom the second finds under his work what the first brought.
"""

import base64
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.agreement.people import find_need
from comity.console.acts import read_person, read_reservations
from comity.console.agreements import find_matters
from comity.console.jobs import start_job
from comity.console.pages import conclude, make_page, read_form, read_text, show
from comity.console.visit import Failed, Visit, find_visit
from comity.errors import MalformedRequest, TransitionError
from comity.operations.reply import Json, fail_with
from comity.vocabulary import RESERVATION_GROUNDS

__all__ = ["ROUTES"]

_MOST_FILE: Final = 32 * 1024 * 1024
_MOST_BASES: Final = 512 * 1024
_MOST_REST: Final = 1024 * 1024
_KEPT = ("agreement", "title", "sentence", "parties", "version", "terms", "reservable", "joining")


async def offer_admission(request: Request) -> Response:
    """Whom this party can admit, each with the manifest by which it is known here."""
    visit = find_visit(request)
    visit.require("agreement.admit")
    status = await _read_status(visit, request, "admit")
    return show(request, "admit.html", status, roles=_find_roles(visit, "admit"))


async def admit(request: Request) -> Response:
    """Approve the admission of the party that the form names, by the text and the manifest that its page showed."""
    visit, form = find_visit(request), await read_form(request)
    party = read_text(form, "party")
    shown: dict[str, Json] = {"terms": read_text(form, "terms"), "manifest": read_text(form, f"manifest.{party}")}
    asked = {**read_person(form), **shown, "id": request.path_params["id"], "party": party}
    return conclude(request, await visit.ask("agreement.admit", asked), to=f"/agreements/{request.path_params['id']}")


async def offer_accession(request: Request) -> Response:
    """The form for the legal bases that this party cites."""
    visit = find_visit(request)
    visit.require("agreement.accede")
    status = await _read_status(visit, request, "accede")
    own = next(item["party"] for item in (await visit.read("party.list"))["parties"] if item["own"])
    roles, grounds = _find_roles(visit, "accede"), sorted(RESERVATION_GROUNDS)
    return show(request, "accede.html", status, own=own, roles=roles, grounds=grounds)


async def accede(request: Request) -> Response:
    """Approve joining, by the text that was shown, with the bases in the file that was chosen, or else written."""
    visit = find_visit(request)
    visit.require("agreement.accede")
    form = await read_form(request, most_bytes=_MOST_BASES * 2, most_files=1)
    try:
        bases = await _read_file(form, "file") or read_text(form, "bases").encode("utf-8", "surrogatepass")
    finally:
        await form.close()
    asked: dict[str, Json] = {
        **read_person(form),
        "id": request.path_params["id"],
        "terms": read_text(form, "terms"),
        "bases": base64.b64encode(bases).decode(),
        "reservations": read_reservations(form),
    }
    reply = await visit.ask("agreement.accede", asked)
    return conclude(request, reply, to=f"/agreements/{request.path_params['id']}")


async def offer_import(request: Request) -> Response:
    """The form for a file of messages."""
    find_visit(request).require("agreement.import")
    return show(request, "import.html", {"most_bytes": _MOST_FILE})


async def import_file(request: Request) -> Response:
    """Begin to take in the messages of the file; what became of each is on the page of that work."""
    visit = find_visit(request)
    visit.require("agreement.import")
    form = await read_form(request, most_bytes=_MOST_FILE + _MOST_REST, most_files=1)
    try:
        data = await _read_file(form, "file")
    finally:
        await form.close()
    reason = read_text(form, "reason").strip()
    if data is None or not reason:
        message = "choose a file, and give a reason: others will ask why"
        raise Failed(fail_with(MalformedRequest(message, where="reason" if data else "file")))
    asked: dict[str, Json] = {"messages": base64.b64encode(data).decode(), "reason": reason}
    return await start_job(request, "agreement.import", asked, title="Take in messages", to="/agreements")


async def _read_status(visit: Visit, request: Request, act: str) -> dict[str, Json]:
    """The agreement as far as the page needs it, and what waits of the kind.

    Raises:
        Failed: there is none, or it cannot be joined so.
    """
    status = await visit.read("agreement.status", {"id": request.path_params["id"]})
    joining = status["joining"]
    if not (joining["admissible"] if act == "admit" else joining["can_accede"]):
        raise Failed(fail_with(TransitionError(f"{act} is not possible now: {status['sentence']}")))
    waiting = [item for item in await find_matters(visit, status["agreement"]) if item["kind"] == act]
    return {**{name: status[name] for name in _KEPT}, "matters": list[Json](waiting)}


def _find_roles(visit: Visit, act: str) -> list[str]:
    """The roles that the person can choose from for the act; none where there is no choice."""
    need = find_need(act)
    held = [role.value for role in need.roles if role in visit.person.roles] if need is not None else []
    return held if len(held) > 1 else []


async def _read_file(form: FormData, name: str) -> bytes | None:
    """The bytes of the file that was chosen."""
    chosen = form.get(name)
    return await chosen.read() if isinstance(chosen, UploadFile) and chosen.filename else None


ROUTES = [
    *make_page("/agreements/import", offer_import),
    Route("/agreements/import", import_file, methods=["POST"]),
    *make_page("/agreements/{id}/admit", offer_admission),
    Route("/agreements/{id}/admit", admit, methods=["POST"]),
    *make_page("/agreements/{id}/accede", offer_accession),
    Route("/agreements/{id}/accede", accede, methods=["POST"]),
]
