# SPDX-License-Identifier: Apache-2.0
"""Shell: a file of MISP events becomes records, event by event, by misp-stix in a process of its own."""

import json
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from types import TracebackType
from typing import Final, Self

from comity.canonical import BUNDLE_LIMITS, Json
from comity.conversion.child import Bounds, Child
from comity.errors import MalformedError, MalformedFile, NotInstalled
from comity.gradual import read_in_steps
from comity.ids import PartyId
from comity.intake.misp import Plan, plan_event_in_steps, read_misp_in_steps
from comity.intake.misp_mapping import MispMapping
from comity.intake.misp_records import mark_objects_in_steps
from comity.intake.records import Record, Unread
from comity.intake.restrictions import OPEN, Restriction

__all__ = ["CHILD", "Converter", "check_installed", "convert_events"]

CHILD: Final = "comity.conversion.misp"
_BOUNDS: Final = Bounds(memory=3 << 30, seconds=120, answer=128 << 20)
_WRITTEN_AT_ONCE: Final = 500
_TURN: Final = 0.01
"""Seconds that others wait at most for their turn while the child works."""


def check_installed() -> None:
    """Nothing, where misp-stix is there.

    Raises:
        NotInstalled: it is not.
    """
    if find_spec("misp_stix_converter") is None:
        raise NotInstalled("MISP events are read by misp-stix, which is not installed; install comity[misp]")


class Converter:
    """Converts MISP events for `party`, with one process for all of them; a context manager, at whose end it is gone.

    Everything is as strict as `floor` at least. `turn` is for how many seconds it waits for the process before others
    get a turn.
    """

    def __init__(self, mapping: MispMapping, *, party: PartyId, turn: float = _TURN, floor: Restriction = OPEN) -> None:
        self._mapping = mapping
        self._floor = floor
        self._party = party
        self._turn = turn
        self._child: Child | None = None
        self.share = 0.0
        """How much of the events of the file was converted, from 0 to 1."""

    def __enter__(self) -> Self:
        """This converter.

        Raises:
            NotInstalled: misp-stix is not there.
        """
        check_installed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def convert(self, data: bytes) -> Iterator[Record | Unread | None]:
        """What each event of the file became, and what was not understood; None where others may get a turn.

        An event at which the converter gives up is unread, and the next one is given to another process.

        Raises:
            MalformedJson: the file as a whole is no JSON, or over a bound.
            MalformedFile: it is, and holds nothing that could be an event.
        """
        reading = yield from read_misp_in_steps(data)
        if not reading.events and not reading.unread:
            raise MalformedFile("no event is in it; export one from MISP, or several as a list or as its `response`")
        yield from reading.unread
        for number, event in enumerate(reading.events):
            self.share = number / len(reading.events)
            plan = yield from plan_event_in_steps(event, self._mapping, floor=self._floor)
            yield from plan.unread
            self._child = self._child or Child(CHILD, bounds=_BOUNDS)
            try:
                yield from self._convert(self._child, plan)
            except MalformedError as error:
                yield Unread(place=event.place, reason=error.detail)
                self._close()

    def _convert(self, child: Child, plan: Plan) -> Iterator[Record | Unread | None]:
        child.ask((yield from _write(plan.content)))
        while (said := child.answer(wait=self._turn)) is None:
            yield None
        answer = yield from read_in_steps(said, limits=BUNDLE_LIMITS)
        assert isinstance(answer, dict)  # noqa: S101 (the child is this product's)
        for problem in _list(answer["errors"]):
            yield Unread(place=plan.event.place, reason=f"misp-stix: {problem}")
        objects = _list(answer["objects"])
        if objects:
            yield (yield from mark_objects_in_steps(plan, objects, party=self._party))

    def _close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def convert_events(data: bytes, mapping: MispMapping, *, party: PartyId) -> Iterator[Record | Unread | None]:
    """What `Converter` makes of one file.

    Raises:
        MalformedFile, MalformedJson: the file as a whole is no JSON, over a bound, or empty.
        NotInstalled: misp-stix is not there.
    """
    with Converter(mapping, party=party) as converter:
        yield from converter.convert(data)


def _write(event: dict[str, Json]) -> Generator[None, None, bytes]:
    """What the child is asked: the event as JSON, written in steps."""
    parts = list[bytes]()
    for name, value in event.items():
        said = bytearray()
        for number, item in enumerate(_list(value)):
            if number % _WRITTEN_AT_ONCE == 0:
                yield
            said += b"," if number else b""
            said += json.dumps(item, ensure_ascii=False).encode()
        whole = b"[" + said + b"]" if isinstance(value, list) else json.dumps(value, ensure_ascii=False).encode()
        parts.append(json.dumps(name).encode() + b":" + whole)
    return b'{"event":{' + b",".join(parts) + b"}}"


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
