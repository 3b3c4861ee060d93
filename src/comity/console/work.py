# SPDX-License-Identifier: Apache-2.0
"""Shell: the first screen: what waits for whom, what ends soon, and what was refused or failed.

The operations leave out what is not for the person's roles; a part that comes from an operation that the person may not
ask is not there at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from comity.console.pages import make_page, show
from comity.console.visit import Visit, find_visit
from comity.operations.reply import Json

__all__ = ["OF_MANY", "PAGES", "ROUTES"]

_AT_FIRST, _ROWS = 50, 100
_PARTS = ("todo", "ends", "failed")
_ALONE = ("matters", *_PARTS)
"""The parts that are shown alone, by pages, where the query asks for one."""

_ENDS = frozenset({"agreement-end", "basis-end", "assurance-end", "manifest-end", "consent-ends", "assessment-ends"})
_FAILED = frozenset(
    {
        "undelivered",
        "unacknowledged",
        "no-receipt",
        "without-receipt",
        "log-lost",
        "not-cosigning",
        "unparsable-pattern",
        "stranger",
        "recall-refused",
        "consent-refused",
    }
)
PAGES: Mapping[str, tuple[str, frozenset[str]]] = {
    "step": ("/agreements/{agreement}#acts", frozenset({"agreement.show"})),
    "agreement-review": ("/agreements/{agreement}#acts", frozenset({"agreement.review"})),
    "agreement-end": ("/agreements/propose", frozenset({"agreement.propose"})),
    "basis-end": ("/agreements/propose", frozenset({"agreement.propose"})),
    "assurance-end": ("/agreements/propose", frozenset({"agreement.propose"})),
    "consent-to-decide": ("/objects/{object}#consent", frozenset({"consent.grant", "consent.refuse"})),
    "consent-unanswered": ("/objects/{object}#consent", frozenset({"consent.list"})),
    "consent-ends": ("/objects/{object}#consent", frozenset({"consent.request"})),
    "necessity-to-decide": ("/necessity", frozenset({"necessity.list"})),
    "retention-review": ("/retention", frozenset({"retention.list"})),
    "deletion": ("/retention", frozenset({"retention.list"})),
    "deleted": ("/retention#deleted", frozenset({"retention.list"})),
    "recall-unacknowledged": ("/recalls/{letter}", frozenset({"recall.show"})),
    "recall-to-decide": ("/recalls/{letter}", frozenset({"recall.show"})),
    "recall-refused": ("/recalls/{letter}", frozenset({"recall.show"})),
    "request-to-answer": ("/requests/{letter}", frozenset({"request.show"})),
    "request-unanswered": ("/requests/{letter}", frozenset({"request.show"})),
    "article-to-review": ("/articles", frozenset({"article.list"})),
    "report-to-make": ("/articles", frozenset({"article.list"})),
    "list-changed": ("/lists", frozenset({"list.review"})),
    "subject-to-decide": ("/lists#questions", frozenset({"list.decide"})),
    "rules-to-apply": ("/rules", frozenset({"rules.list"})),
    "assessment-ends": ("/assessments/{object}", frozenset({"assessment.renew"})),
}
"""Kind of work → the page where it is done or seen, and the operations of which the person must be able to ask one."""

OF_MANY: Mapping[str, tuple[str, str]] = {
    "assessment-ends": ("/assessments?state={state}", "assessment.list"),
}
"""Kind of work → the page of all, where one line counts many of them and names none, and the operation it asks."""

_STOPPED = frozenset({"suspended", "rejected", "withdrawn", "lapsed", "expired", "terminated", "conflicting"})
_OF_CHANNEL = ("giver", "channel", "failures", "failed_at", "problem", "next_try_at")
_OF_PAGE = ("number", "at", "giver", "channel", "reason")
_NAMED = ("agreement", "object", "letter")
_DAY = len("2026-01-01")


async def show_work(request: Request) -> Response:
    """What waits, oldest first, and the acts that wait for a second person, those in front that this one completes."""
    visit = find_visit(request)
    work = await visit.read("work")
    pending = await visit.read("approvals")
    matters = sorted(pending["matters"], key=lambda item: not item["completes"])
    items = [{**item, "page": _find_page(visit, item)} for item in work["items"]]
    parts: dict[str, Sequence[Any]] = {
        "todo": [item for item in items if item["kind"] not in _ENDS | _FAILED],
        "ends": [item for item in items if item["kind"] in _ENDS],
        "failed": [item for item in items if item["kind"] in _FAILED],
    }
    only, page = _read_query(request, {**parts, "matters": matters})
    shown = _AT_FIRST if only is None else _ROWS
    counts: dict[str, Json] = {"matters": len(matters), **{name: len(found) for name, found in parts.items()}}
    result: dict[str, Json] = {
        "now": work["now"],
        "only": only,
        "page": page,
        "matters": matters[(page - 1) * _ROWS : page * _ROWS] if only in {None, "matters"} else [],
        "counts": counts,
        **{
            name: list(found[(page - 1) * shown : page * shown]) if only in {None, name} else []
            for name, found in parts.items()
        },
    }
    if only is None:
        result |= await _find_failures(visit, today=work["now"][:_DAY], counts=counts)
    return show(request, "work.html", result, most=_ROWS)


def _find_page(visit: Visit, item: Mapping[str, Any]) -> str | None:
    """Where this person does it in the console; None: by a command alone."""
    if item["kind"] in OF_MANY and item["object"] is None:
        place, operation = OF_MANY[item["kind"]]
        return place.format(state="lapsed" if item["overdue"] else "ending") if visit.may(operation) else None
    place, operations = PAGES.get(item["kind"], ("", frozenset[str]()))
    named = {name: quote(item[name]) for name in _NAMED if item[name]}
    if not any(map(visit.may, operations)) or any(f"{{{name}}}" in place and name not in named for name in _NAMED):
        return None
    return place.format(**named)


def _read_query(request: Request, parts: Mapping[str, Sequence[Any]]) -> tuple[str | None, int]:
    """Which part alone is asked for (None: the beginning of each), and which page of it."""
    only, asked = request.query_params.get("only"), request.query_params.get("page", "")
    if only not in _ALONE:
        return None, 1
    last = max(1, -(-len(parts[only]) // _ROWS))
    return only, min(last, max(1, int(asked[:6]))) if asked[:6].isdecimal() else 1


async def _find_failures(visit: Visit, *, today: str, counts: dict[str, Json]) -> dict[str, Json]:
    """What does not come in, what was refused of partners today, and which agreements stopped today.

    Of each as many as a page has rows; `counts` is given how many there are.
    """
    found: dict[str, Json] = {}
    if visit.may("follow.status"):
        channels = (await visit.read("follow.status"))["channels"]
        failing = [item for item in channels if item["problem"] is not None]
        counts["unreached"] = len(failing)
        # Who watches the machine may follow channels, and need not know what the agreements are called.
        found["unreached"] = [{name: item[name] for name in _OF_CHANNEL} for item in failing[:_ROWS]]
    if visit.may("log.refused"):
        refused = (await visit.read("log.refused"))["refused"]
        of_today = [item for item in refused if item["at"].startswith(today)]
        counts["refused"] = len(of_today)
        found["refused"] = [{name: item[name] for name in _OF_PAGE} for item in of_today[-_ROWS:]]
    if visit.may("agreement.list"):
        agreements = (await visit.read("agreement.list"))["agreements"]
        stopped = [item for item in agreements if item["state"] in _STOPPED and (item["since"] or "").startswith(today)]
        counts["stopped"] = len(stopped)
        found["stopped"] = list[Json](stopped[:_ROWS])
    return found


ROUTES = make_page("/", show_work)
