# SPDX-License-Identifier: Apache-2.0
"""Shell: objects of this party's own become MISP events, by misp-stix in a process of its own."""

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Final, Self

from comity.canonical import BUNDLE_LIMITS, Json, parse_json
from comity.conversion.child import Bounds, Child
from comity.conversion.events import CHILD, check_installed
from comity.errors import MalformedError
from comity.ids import PartyId
from comity.intake.misp import MispEvent, plan_event
from comity.intake.misp_completing import complete_event
from comity.intake.misp_losses import find_losses
from comity.intake.misp_mapping import MispMapping
from comity.intake.misp_outward import Group, Loss, Part, split_objects
from comity.intake.misp_restoring import Sayings, list_left, merge_made, read_sayings, restore_event

__all__ = ["MadeEvent", "make_events"]

_BOUNDS: Final = Bounds(memory=3 << 30, seconds=120, answer=64 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeEvent:
    """One event of MISP, and of how many objects it was made."""

    event: Mapping[str, Json]
    objects: int


def make_events(
    values: Sequence[Mapping[str, Json]],
    *,
    definitions: Mapping[str, Mapping[str, Json]],
    sayings: Iterable[bytes] = (),
    audiences: Mapping[str, frozenset[PartyId] | None] = MappingProxyType({}),
    title: str,
    turn: float,
) -> Iterator[MadeEvent | Loss | None]:
    """The events that `values` become, and what of them no event says; None where others may get a turn.

    `definitions` are the marking definitions that they refer to, by id; `sayings` what MISP said of what they were made
    of (`intake.misp_sayings`); `audiences` whom each may ever reach, None any party. `title` names the event of what is
    in no report and no grouping; `turn` is for how many seconds the process is waited for before others get a turn. Of
    a group at which the converter gives up there is what MISP said, and the rest of it is lost; the next is given to
    another process.

    Raises:
        NotInstalled: misp-stix is not there.
    """
    check_installed()
    split = split_objects(values, definitions=definitions, audiences=audiences)
    yield from split.lost
    parts = {part.id: part for group in split.groups for part in group.parts}
    known = yield from read_sayings(sayings, parts)
    for group in split.groups:
        yield None
        with _Converter(turn) as converter:
            yield from _make_event(converter, group, parts, known, title=title)


class _Converter:
    """misp-stix in a process of its own, which is started when it is first asked; a context manager that ends it."""

    def __init__(self, turn: float) -> None:
        self._turn = turn
        self._child: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.close()

    def ask(self, asked: Mapping[str, Json]) -> Generator[None, None, dict[str, Json]]:
        """What it says, with a pause wherever others may get a turn.

        Raises:
            MalformedRequest: it gave up.
        """
        self._child = self._child or Child(CHILD, bounds=_BOUNDS)
        self._child.ask(json.dumps(asked, ensure_ascii=False).encode())
        while (said := self._child.answer(wait=self._turn)) is None:
            yield None
        answer = parse_json(said, limits=BUNDLE_LIMITS)
        assert isinstance(answer, dict)  # noqa: S101 (the child is this product's)
        return answer


def _make_event(
    converter: _Converter, group: Group, parts: Mapping[str, Part], sayings: Sayings, *, title: str
) -> Iterator[MadeEvent | Loss | None]:
    restored = restore_event(group, sayings)
    left = list_left(group, restored, parts)
    made, again, reason = dict[str, Json](), list[Mapping[str, Json]](), "it became no event"

    def complete(made: Mapping[str, Json]) -> dict[str, Json]:
        merged = merge_made(restored, made, group=group)
        return complete_event(group, merged, title=title, restored=restored, parts=parts)

    if left:
        try:
            answer = yield from converter.ask({"objects": left})
            for problem in _list(answer["errors"]):
                yield Loss(id="", reason=f"misp-stix: {problem}")
            said = answer.get("event")
            made = said if isinstance(said, dict) else {}
            again = [] if not made else (yield from _convert_back(converter, complete(made)))
        except MalformedError as error:
            made, reason = {}, error.detail
    if left and not made:
        is_whole = restored.event is None
        lost = [part for part in group.parts if is_whole or part.id not in restored.placed]
        yield from (Loss(id=part.id, reason=reason) for part in lost)
        if is_whole:
            return
    event = complete(made)
    yield MadeEvent(event=event, objects=len(group.parts))
    if made:
        yield from find_losses(group, event, again=again, placed=restored.placed)


def _convert_back(converter: _Converter, event: Mapping[str, Json]) -> Generator[None, None, list[Mapping[str, Json]]]:
    """The event as who takes it in would have it converted."""
    whole = MispEvent(place="", uuid=str(event["uuid"]), value=dict(event))
    again = yield from converter.ask({"event": plan_event(whole, MispMapping()).content})
    return [item for item in _list(again["objects"]) if isinstance(item, dict)]


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
