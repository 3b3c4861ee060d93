# SPDX-License-Identifier: Apache-2.0
"""Shell: which agreements bind this party, and one of them: where it stands, what it says, who signed it.

What can be done to one is `acts`; what terms would change is `changes`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.agreement.transitions import State
from comity.console.pages import make_page, show, show_failure
from comity.console.visit import Visit, find_visit
from comity.operations.printing import format_html, make_policy
from comity.operations.reply import Json

__all__ = ["ROUTES", "find_matters"]

_ROWS = 100
_SIGNING = frozenset({"propose", "counter", "accept", "accede"})
_ENDED = frozenset({"rejected", "withdrawn", "lapsed", "expired", "terminated", "conflicting"})


async def list_agreements(request: Request) -> Response:
    """Those on record, the newest first, by state and party where the query names them."""
    visit, query = find_visit(request), request.query_params
    state, party = query.get("state") or None, query.get("party") or None
    found = (await visit.read("agreement.list", {"state": state, "party": party}))["agreements"]
    known = await visit.read("party.list")
    pages = max(1, -(-len(found) // _ROWS))
    page = min(max(1, int(asked) if (asked := query.get("page", "")).isdecimal() and len(asked) < 8 else 1), pages)  # noqa: PLR2004 (digits)
    newest = found[::-1][(page - 1) * _ROWS : page * _ROWS]
    result: dict[str, Json] = {
        "agreements": newest,
        "count": len(found),
        "page": page,
        "pages": pages,
        "state": state,
        "party": party,
    }
    states = [item.value for item in State if item is not State.DRAFT]
    return show(request, "agreements.html", result, states=states, parties=[item["party"] for item in known["parties"]])


async def show_agreement(request: Request) -> Response:
    """All of one agreement, its signatures verified again, and the acts that are possible now for this person."""
    visit, name = find_visit(request), request.path_params["id"]
    status = await visit.read("agreement.status", {"id": name})
    certificate = await visit.read("agreement.certificate", {"id": name})
    matters = await find_matters(visit, status["agreement"])
    acts: list[Json] = [item for item in status["possible"] if visit.may(f"agreement.{item['act']}")]
    lines: list[Json] = [_draw_line(status, certificate, version) for version in _find_versions(certificate)]
    result: dict[str, Json] = {
        **{key: value for key, value in status.items() if key != "possible"},
        "acts": acts,
        "lines": lines,
        "matters": list[Json](matters),
        **{key: certificate[key] for key in ("parts", "threads", "signatures", "versions", "events", "checks")},
        **{key: certificate[key] for key in ("verified", "verified_sentence", "problems", "bases")},
        "verified_at": certificate["printed_at"],
    }
    return show(request, "agreement.html", result)


async def show_certificate(request: Request) -> Response:
    """The document to print: the same that the command writes; or what it says, as JSON."""
    at = request.query_params.get("at") or None
    reply = await find_visit(request).ask("agreement.certificate", {"id": request.path_params["id"], "at": at})
    if reply.result is None:
        return show_failure(request, reply)
    if request.url.path.endswith(".json"):
        return show(request, "", reply.result)
    return Response(
        format_html(reply.result),
        media_type="text/html",
        headers={"content-security-policy": make_policy()},
    )


async def give_messages(request: Request) -> Response:
    """Every signed message of the agreement, as the file that a node without a connection is given."""
    result = await find_visit(request).read("agreement.export", {"id": request.path_params["id"]})
    name = f"{result['agreement'][:12]}.messages.json"
    return Response(
        result["messages"],
        media_type="application/json",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def find_matters(visit: Visit, agreement: str) -> list[dict[str, Any]]:
    """The acts on the agreement that wait for somebody and are in the person's list."""
    pending = await visit.read("approvals")
    return [item for item in pending["matters"] if item["agreement"] == agreement]


def _find_versions(certificate: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The version that counts, and the latest where that is another."""
    versions = certificate["versions"]
    counts = next(item for item in versions if item["terms"] == certificate["terms"])
    yield counts
    if versions[-1]["terms"] != counts["terms"]:
        yield versions[-1]


def _draw_line(status: Mapping[str, Any], certificate: Mapping[str, Any], version: Mapping[str, Any]) -> Json:
    """The steps of one version from the proposal on: each done, next or not reached, with who and when.

    What one party has not signed and another has refused is not reached any more.
    """
    counts = version["terms"] == status["terms"]
    signed = {
        item["party"]: item
        for item in reversed(certificate["signatures"])
        if item["terms"] == version["terms"] and item["kind"] in _SIGNING
    }
    steps = [_step("draft", "done", None)]
    proposed = next((item for item in signed.values() if item["kind"] in {"propose", "counter"}), None)
    steps.append(_step("proposed" if proposed is None else f"proposed by {proposed['party']}", "done", proposed))
    steps += [_step(f"signed by {party}", "done", signed.get(party)) for party in version["signed_by"]]
    refused = [f"{how} by {party}" for party, how in version["refused_by"].items()]
    later = "not reached" if refused or (counts and status["state"] in _ENDED) else "next"
    steps += [_step(f"signed by {party}", later, None) for party in version["missing"]]
    steps += [_step(text, "stopped", None) for text in refused]
    if counts:
        steps += _draw_standing(status, agreed=version["agreed"])
    else:
        steps.append(_step("in force", "not reached", None))
    return {"version": version["version"], "terms": version["terms"], "steps": list[Json](steps)}


def _draw_standing(status: Mapping[str, Any], *, agreed: bool) -> Iterator[dict[str, Json]]:
    """What follows the last signature: in force, and what stopped it."""
    state, since = status["state"], {"recorded_at": status["since"]}
    if state == "in force":
        yield _step("in force", "done", since)
    elif state == "suspended":
        yield _step("in force", "stopped", None)
    else:
        yield _step("in force", "next" if agreed and state not in _ENDED else "not reached", None)
    for lock in status["suspensions"]:
        what = "suspended" if lock["channel"] is None else f"channel {lock['channel']} suspended"
        yield _step(f"{what} by {lock['party']}", "stopped", {"recorded_at": lock["at"]})
    for lapse in status["lapses"]:
        yield _step(f"suspended by itself for {lapse['party']}", "stopped", None)
    if state in _ENDED and state not in {"rejected", "withdrawn"}:
        yield _step(state, "stopped", since)


def _step(text: str, how: str, signed: Mapping[str, Any] | None) -> dict[str, Json]:
    return {"text": text, "how": how, "at": None if signed is None else signed["recorded_at"]}


ROUTES = [
    *make_page("/agreements", list_agreements),
    Route("/agreements/{id}/messages", give_messages, methods=["GET"]),
    *make_page("/agreements/{id}/certificate", show_certificate),
    *make_page("/agreements/{id}", show_agreement),
]
