# SPDX-License-Identifier: Apache-2.0
"""Shell: rule sets: those that were applied, one looked at on all that is held, applied, and taken back.

A set is applied from the page of what it would say, by its digest: no other one is applied in its place. The first
person chooses the file once more, as nothing of it was kept; whoever comes second brings none.
"""

import base64
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.approvals import find_waiting
from comity.console.jobs import start_job
from comity.console.pages import conclude, make_page, read_form, read_text, show
from comity.console.visit import Failed, find_visit
from comity.errors import MalformedRequest
from comity.operations.reply import Json, fail_with

__all__ = ["ROUTES"]

_SETS: Final = 100
_MOST_BYTES: Final = 512 * 1024
_MOST_REST: Final = 65_536


async def show_rules(request: Request) -> Response:
    """The rule sets that were applied, the last first, and the form to look at one."""
    visit = find_visit(request)
    sets = (await visit.read("rules.list"))["sets"]
    waiting = await find_waiting(visit, "end-rules-safeguard", "rules")
    result: dict[str, Json] = {"sets": sets[:_SETS], "more": max(0, len(sets) - _SETS), "waiting": dict(waiting)}
    return show(request, "rules.html", result, most=_MOST_BYTES)


async def look(request: Request) -> Response:
    """Begin to look at what a set would say of all that is held; the form to apply it is on the page of that work."""
    find_visit(request).require("rules.preview")
    asked = await _read_set(request, "matter")
    return await start_job(request, "rules.preview", asked, title="Look at a rule set", to="/rules")


async def apply(request: Request) -> Response:
    """Begin to apply a set, the one that was looked at."""
    find_visit(request).require("rules.apply")
    asked = await _read_set(request, "matter", "digest", "reason", "role", "why")
    if "digest" not in asked:
        raise _fail("look at a rule set first; it is applied from the page of what it would say")
    return await start_job(request, "rules.apply", asked, title="Apply a rule set", to="/rules")


async def end(request: Request) -> Response:
    """What a rule set alone says is said no more; labels follow before the page comes back."""
    visit, form = find_visit(request), await read_form(request)
    asked = _read(form, "rules", "reason", "role", "why")
    return conclude(request, await visit.ask("rules.end", asked), to="/rules")


async def _read_set(request: Request, *names: str) -> dict[str, Json]:
    """The fields of these names, and the file that was sent with them; none where they name an act that waits."""
    form = await read_form(request, most_bytes=_MOST_BYTES + _MOST_REST, most_files=1)
    try:
        said = _read(form, *names)
        return said if "matter" in said else {"data": await _read_file(form), **said}
    finally:
        await form.close()


async def _read_file(form: FormData) -> str:
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise _fail("choose the file of a rule set")
    if (file.size or 0) > _MOST_BYTES:
        raise _fail(f"a rule set has at most {_MOST_BYTES // 1024} KiB")
    return base64.b64encode(await file.read()).decode()


def _read(form: FormData, *names: str) -> dict[str, Json]:
    return {name: text for name in names if (text := read_text(form, name).strip())}


def _fail(message: str) -> Failed:
    return Failed(fail_with(MalformedRequest(message, where="file")))


ROUTES: list[Route] = [
    *make_page("/rules", show_rules),
    Route("/rules/preview", look, methods=["POST"]),
    Route("/rules/apply", apply, methods=["POST"]),
    Route("/rules/end", end, methods=["POST"]),
]
