# SPDX-License-Identifier: Apache-2.0
"""Shell: objects of this party's own become MISP events, by misp-stix in a process of its own."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from comity.canonical import BUNDLE_LIMITS, Json, parse_json
from comity.conversion.child import Bounds, Child
from comity.conversion.events import CHILD, check_installed
from comity.errors import MalformedError
from comity.intake.misp import MispEvent, plan_event
from comity.intake.misp_losses import find_losses
from comity.intake.misp_mapping import MispMapping
from comity.intake.misp_outward import Group, Loss, complete_event, split_objects

__all__ = ["MadeEvent", "make_events"]

_BOUNDS: Final = Bounds(memory=3 << 30, seconds=120, answer=64 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeEvent:
    """One event of MISP, and of how many objects it was made."""

    event: Mapping[str, Json]
    objects: int


def make_events(
    values: Sequence[Mapping[str, Json]], *, definitions: Mapping[str, Mapping[str, Json]], title: str, turn: float
) -> Iterator[MadeEvent | Loss | None]:
    """The events that `values` become, and what of them no event says; None where others may get a turn.

    `definitions` are the marking definitions that they refer to, by id; `title` names the event of what is in no report
    and no grouping; `turn` is for how many seconds the process is waited for before others get a turn. A group at which
    the converter gives up is lost whole, and the next is given to another process.

    Raises:
        NotInstalled: misp-stix is not there.
    """
    check_installed()
    split = split_objects(values, definitions=definitions)
    yield from split.lost
    for group in split.groups:
        with Child(CHILD, bounds=_BOUNDS) as child:
            try:
                yield from _convert(child, group, title=title, turn=turn)
            except MalformedError as error:
                yield from (Loss(id=part.id, reason=error.detail) for part in group.parts)


def _convert(child: Child, group: Group, *, title: str, turn: float) -> Iterator[MadeEvent | Loss | None]:
    answer = yield from _ask(child, {"objects": group.list_plain()}, turn=turn)
    made, errors = answer.get("event"), answer["errors"]
    for problem in errors if isinstance(errors, list) else ():
        yield Loss(id="", reason=f"misp-stix: {problem}")
    if not isinstance(made, dict):
        yield from (Loss(id=part.id, reason="it became no event") for part in group.parts)
        return
    event = complete_event(group, made, title=title)
    # It is converted back as who takes it in would have it converted.
    whole = MispEvent(place="", uuid=str(event["uuid"]), value=event)
    again = yield from _ask(child, {"event": plan_event(whole, MispMapping()).content}, turn=turn)
    objects = again["objects"]
    back = [item for item in (objects if isinstance(objects, list) else ()) if isinstance(item, dict)]
    yield MadeEvent(event=event, objects=len(group.parts))
    yield from find_losses(group, event, again=back)


def _ask(child: Child, asked: Mapping[str, Json], *, turn: float) -> Generator[None, None, dict[str, Json]]:
    child.ask(json.dumps(asked, ensure_ascii=False).encode())
    while (said := child.answer(wait=turn)) is None:
        yield None
    answer = parse_json(said, limits=BUNDLE_LIMITS)
    assert isinstance(answer, dict)  # noqa: S101 (the child is this product's)
    return answer
