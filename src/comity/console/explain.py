# SPDX-License-Identifier: Apache-2.0
"""Shell: one object and one party: what would go now, which clause decides, and whom else it decides for.

Beside the object as it is held stands what the party would receive, property by property, for people to compare, and
byte for byte.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from comity.console.pages import make_page, show
from comity.console.visit import Visit, find_visit

__all__ = ["MOST_SHOWN", "ROUTES", "Property", "compare_properties", "list_attributes"]

MOST_SHOWN = 2_000
"""Characters of one property that a page shows; the bytes below it are whole."""

_READINGS = 20
"""Channels that a page shows clause by clause; its twin in JSON has all."""

_ASKED = {
    "types": "type",
    "tlp_ceiling": "tlp",
    "originators": "originator",
    "subjects": "subject",
    "regions": "region",
}
"""Clauses that say what of the object a reach is asked for, and the names of these attributes there."""


class Property(NamedTuple):
    """One property of an object: as it is held, as it would go (None: not at all), and which of the three it is."""

    name: str
    held: str
    goes: str | None
    state: str


async def show_explanation(request: Request) -> Response:
    """The decision on an object for a party; with the object alone, for every party; with neither, the form."""
    visit = find_visit(request)
    visit.require("explain")
    asked, to = (request.query_params.get(name, "").strip() for name in ("object", "to"))
    parties = await visit.read("party.list")
    result: dict[str, Any] = {
        "object": asked or None,
        "to": to or None,
        "parties": [item["party"] for item in parties["parties"]],
        "explanation": None,
        "recipients": None,
        "reach": None,
    }
    seen: Mapping[str, Any] = {}
    if asked and to:
        operation = "object.see" if visit.may("object.see") else "explain"
        most = None if request.url.path.endswith(".json") else _READINGS
        seen = await visit.read(operation, {"id": asked, "to": to, "most": most, "everyone": True})
        result["object"] = asked = str(seen["object"])
        result["explanation"] = {name: value for name, value in seen.items() if name != "parties"}
        if "parties" in seen:
            result["recipients"] = {"object": asked, "version": seen["version"], "parties": seen["parties"]}
    if asked and result["recipients"] is None and visit.may("object.recipients"):
        listed = await visit.read("object.recipients", {"id": asked})
        result |= {"recipients": listed, "object": listed["object"]}
    if result["explanation"] and visit.may("reach") and request.query_params.get("reach"):
        result["reach"] = await _ask_reach(visit, seen["readings"])
    properties = compare_properties(seen["original"], seen["received"]) if "original" in seen else []
    readings = sorted(seen.get("readings", []), key=_rank)
    return show(request, "explain.html", result, properties=properties, readings=readings, most=MOST_SHOWN)


def _rank(reading: Mapping[str, Any]) -> tuple[int, bool]:
    """What lets the most go stands first, as it counts."""
    return ("release", "redact", "withhold").index(reading["decision"]), reading["gate"] is not None


def compare_properties(original: str, received: str | None) -> list[Property]:
    """The top-level properties of an object in their order, each beside what would go of it."""
    held, goes = _read(original), {} if received is None else _read(received)
    return [
        Property(
            name=name,
            held=_write(value),
            goes=_write(goes[name]) if name in goes else None,
            state="removed" if name not in goes else "same" if goes[name] == value else "changed",
        )
        for name, value in held.items()
    ]


def list_attributes(readings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is known of the object, as a reach asks for it; what is not said of it, or not known, is free."""
    clauses = readings[0]["clauses"] if readings else []
    return [
        f"{_ASKED[item['clause']]}={word}"
        for item in clauses
        if item["clause"] in _ASKED
        for group in item["found"]
        for word in group
        if word not in {"unmarked", "unknown"}
    ]


async def _ask_reach(visit: Visit, readings: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Where such an object could end up; None where nothing is known of it that could be asked."""
    attributes = list_attributes(readings)
    if not attributes:
        return None
    return await visit.read("reach", {"attributes": [*attributes]})


def _read(text: str) -> Mapping[str, Any]:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}


def _write(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


ROUTES = make_page("/explain", show_explanation)
