# SPDX-License-Identifier: Apache-2.0
"""Shell: a file of MISP events becomes records, event by event, by misp-stix in a process of its own."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from comity.canonical import BUNDLE_LIMITS, Json, parse_json
from comity.conversion.child import Bounds, Child
from comity.errors import MalformedError, NotInstalled
from comity.ids import PartyId
from comity.intake.misp import Plan, parse_misp, plan_event
from comity.intake.misp_mapping import MispMapping
from comity.intake.misp_records import mark_objects
from comity.intake.records import Record, Unread

__all__ = ["CHILD", "check_installed", "convert_events"]

CHILD: Final = "comity.conversion.misp"
_BOUNDS: Final = Bounds(memory=3 << 30, seconds=120, answer=128 << 20)
_TURN: Final = 0.01
"""Seconds that others wait at most for their turn while the child works."""


def check_installed() -> None:
    """Nothing, where misp-stix is there.

    Raises:
        NotInstalled: it is not.
    """
    if find_spec("misp_stix_converter") is None:
        raise NotInstalled("MISP events are read by misp-stix, which is not installed; install comity[misp]")


def convert_events(data: bytes, mapping: MispMapping, *, party: PartyId) -> Iterator[Record | Unread | None]:
    """What each event of the file became, and what was not understood; None where others may get a turn.

    An event at which the converter gives up is unread, and the next one is given to another process.

    Raises:
        MalformedJson: the file as a whole is no JSON, or over a bound.
        NotInstalled: misp-stix is not there.
    """
    check_installed()
    reading = parse_misp(data)
    yield from reading.unread
    child: Child | None = None
    try:
        for event in reading.events:
            plan = plan_event(event, mapping)
            yield from plan.unread
            child = child or Child(CHILD, bounds=_BOUNDS)
            try:
                yield from _convert(child, plan, party=party)
            except MalformedError as error:
                yield Unread(place=event.place, reason=error.detail)
                child.close()
                child = None
    finally:
        if child is not None:
            child.close()


def _convert(child: Child, plan: Plan, *, party: PartyId) -> Iterator[Record | Unread | None]:
    child.ask(json.dumps({"event": plan.content}, ensure_ascii=False).encode())
    while (said := child.answer(wait=_TURN)) is None:
        yield None
    answer = parse_json(said, limits=BUNDLE_LIMITS)
    assert isinstance(answer, dict)  # noqa: S101 (the child is this product's)
    for problem in _list(answer["errors"]):
        yield Unread(place=plan.event.place, reason=f"misp-stix: {problem}")
    objects = _list(answer["objects"])
    if objects:
        yield mark_objects(plan, objects, party=party)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
