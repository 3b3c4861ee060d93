# SPDX-License-Identifier: Apache-2.0
"""Shell: see before you sign: a draft read and previewed, two versions compared, and what one would release today.

Only the last button of a proposal signs anything, and only with as many people as it takes.
"""

import base64
import re
from collections.abc import Collection, Mapping
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import conclude, make_page, read_form, show
from comity.console.visit import Visit, find_visit
from comity.operations.reply import Json, Reply

__all__ = ["ROUTES", "summarise_gives"]

_SAMPLES = 3
_AMOUNTS = ("gained", "lost", "changed", "unchanged")
_DRAFT_BYTES = 512 * 1024
_LINE = re.compile(r"line ([0-9]{1,7})")
_AROUND = 2


async def offer_proposal(request: Request) -> Response:
    """The form for a draft; with `terms`, whose text is waited for by an approval of a colleague."""
    visit = find_visit(request)
    visit.require("agreement.propose")
    matters = [item for item in await _find_proposals(visit) if item["completes"]]
    result: dict[str, Json] = {"draft": None, "error": None, "check": None, "preview": None, "matters": list(matters)}
    return show(request, "propose.html", result)


async def propose(request: Request) -> Response:
    """Read the draft and show what it means and does; or, asked by the second button, sign it."""
    visit = find_visit(request)
    visit.require("agreement.propose")
    form = await read_form(request, most_bytes=_DRAFT_BYTES * 2, most_files=1)
    draft = await _read_draft(form)
    await form.close()
    terms = {"terms": base64.b64encode(draft).decode()}
    if form.get("step") == "sign":
        arguments: dict[str, Json] = {**terms, "role": _text(form, "role"), "why": _text(form, "why")}
        reply = await visit.ask("agreement.propose", arguments)
        return conclude(request, reply, to=_find_page(reply))
    reply = await visit.ask("agreement.check", terms)
    preview = await visit.ask("agreement.preview", {**terms, "samples": _SAMPLES}) if reply.result else None
    check = reply.result
    matters = [item for item in await _find_proposals(visit) if check is not None and item["terms"] == check["terms"]]
    text = draft.decode("utf-8", "replace")
    result: dict[str, Json] = {
        "draft": text,
        "error": None if check is not None else {**(reply.error or {}), "lines": _show_lines(text, reply)},
        "check": check,
        "preview": None if preview is None else preview.result,
        "matters": list(matters),
    }
    return show(request, "propose.html", result)


async def show_difference(request: Request) -> Response:
    """Two versions, clause by clause, and in what they would release: the agreed or an earlier one, and the latest."""
    visit, name, query = find_visit(request), request.path_params["id"], request.query_params
    found = await visit.read("agreement.show", {"id": name})
    versions = found["versions"]
    agreed = [item["terms"] for item in versions if item["terms"] == found["terms"]]
    before = query.get("from") or (agreed if agreed != [versions[-1]["terms"]] else [versions[-2:][0]["terms"]])[0]
    after = query.get("to") or versions[-1]["terms"]
    compared = await visit.read("agreement.diff", {"before_id": before, "after_id": after, "samples": _SAMPLES})
    result: dict[str, Json] = {**compared, "agreement": found["agreement"], "title": found["title"]}
    return show(request, "diff.html", result, versions=versions)


async def show_preview(request: Request) -> Response:
    """What the latest version, or the one that `terms` names, would release of what is held today."""
    visit, name = find_visit(request), request.path_params["id"]
    named = request.query_params.get("terms") or name
    result = await visit.read("agreement.preview", {"id": named, "samples": _SAMPLES})
    return show(request, "preview.html", {**result, "summary": summarise_gives(result["gives"])})


def summarise_gives(gives: Collection[Mapping[str, Any]]) -> dict[str, Json]:
    """The counts of all channels and receivers together: an object that goes to two is counted twice."""
    effects = [item["effect"] for item in gives if item["effect"] is not None]
    return {
        "flows": len(gives),
        "released": sum(item["released"] for item in gives),
        "redacted": sum(item["redacted"] for item in gives),
        "withheld": sum(item["withheld"] or 0 for item in gives),
        "compared": bool(effects),
        **{name: sum(effect[name]["objects"] for effect in effects) for name in _AMOUNTS},
    }


async def _find_proposals(visit: Visit) -> list[dict[str, Any]]:
    """The proposals that a colleague has approved and that wait."""
    pending = await visit.read("approvals")
    return [item for item in pending["matters"] if item["kind"] in {"propose", "counter"}]


async def _read_draft(form: FormData) -> bytes:
    """The file that was chosen, or else the text that was written. Browsers end the lines of a text with CR LF."""
    chosen = form.get("file")
    if isinstance(chosen, UploadFile) and chosen.filename:
        return await chosen.read()
    return (_text(form, "draft") or "").replace("\r\n", "\n").encode("utf-8", "surrogatepass")


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _show_lines(text: str, reply: Reply) -> list[Json]:
    """The line that an error names, with those around it."""
    named = _LINE.search(str((reply.error or {}).get("where", "")))
    if named is None:
        return []
    at, lines = int(named[1]), text.splitlines()
    shown = range(max(1, at - _AROUND), min(len(lines), at + _AROUND) + 1)
    return [{"number": number, "text": lines[number - 1], "wrong": number == at} for number in shown]


def _find_page(reply: Reply) -> str:
    """The page of the agreement once there is one; a first proposal that waits is in nobody's list of agreements."""
    result = reply.result or {}
    return "/" if "waits_for" in result else f"/agreements/{result.get('agreement', '')}"


ROUTES = [
    *make_page("/agreements/propose", offer_proposal),
    Route("/agreements/propose", propose, methods=["POST"]),
    *make_page("/agreements/{id}/diff", show_difference),
    *make_page("/agreements/{id}/preview", show_preview),
]
