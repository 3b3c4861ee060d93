# SPDX-License-Identifier: Apache-2.0
"""Shell: feeds of MISP, which are folders of events on a web server, taken in under terms of receipt.

A feed has a manifest, which lists its events with their times, and a file for each. What the manifest lists later than
it came is asked for, the oldest first, each converted (`conversion.events`) and taken in with its time in one act: a
crash or an error goes on with the next one, and an event that changed comes anew. What cannot be read of an event is
counted as bad, and asked for again when the event has changed.

An event that says nothing of its distribution may reach whom the terms of receipt list, as a feed says nothing of it as
a rule; what it says restricts these further.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

import httpx

from comity.calls import MAX_PAGE_BYTES, Room, fetch, run_steps
from comity.canonical import BUNDLE_LIMITS
from comity.conversion.events import Converter
from comity.errors import MalformedError, MalformedJson, PeerUnreachable
from comity.gradual import read_in_steps
from comity.ids import ObjectId
from comity.intake.misp_mapping import MISSING, UUID, MispMapping
from comity.intake.records import Record, Unread
from comity.node.allowance import check_allowance
from comity.node.ingest import Intake
from comity.node.node import Node
from comity.node.sources import (
    Event,
    Source,
    name_source,
    note_unread,
    read_authorization,
    read_due_events,
    receive_in_steps,
)
from comity.node.steps import Steps

__all__ = ["pull_events", "read_manifest"]

_MAPPING: Final = MispMapping(levels={"all": None, MISSING: None})
_MOST_EVENTS: Final = 200_000
_MOST_AT_ONCE: Final = 10_000
_LISTED_AT_ONCE: Final = 10_000
_PAUSE: Final = 0.01
_MOST_FAILED: Final = 3
"""Files one after another that cannot be fetched, after which the rest is left for later."""
_TIME: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


Taken: TypeAlias = tuple[Intake | None, tuple[Unread, ...]]
"""What became of an event, if it became anything, and what of it was not understood."""


async def pull_events(client: httpx.AsyncClient, node: Node, source: Source, *, room: Room) -> list[Taken]:
    """What became of each event of the feed that did not come yet.

    Raises:
        PeerUnreachable: the feed, or some of its files, could not be had; what could is taken in all the same.
        ConfigError: its credential cannot be used, or misp-stix is not installed.
        QuotaReached: it has brought in today as much as it may; so far is kept.
    """
    url = source.stored.url
    manifest = await _fetch(client, node, source, f"{url}manifest.json", room=room)
    listed = await run_steps(read_manifest(manifest, url))
    due, done = read_due_events(node, source, listed)[:_MOST_AT_ONCE], list[Taken]()
    if due:
        with Converter(_MAPPING, party=node.party, turn=0.0) as converter:
            problem = await _pull_due(client, node, source, due=due, converter=converter, done=done, room=room)
        if problem is not None:
            raise problem
    return done


async def _pull_due(
    client: httpx.AsyncClient,
    node: Node,
    source: Source,
    *,
    due: Sequence[Event],
    converter: Converter,
    done: list[Taken],
    room: Room,
) -> PeerUnreachable | None:
    """Take in what can be had; why some could not be."""
    problem, failed = None, 0
    for event in due:
        check_allowance(node, name_source(source.stored.name))
        try:
            data = await _fetch(client, node, source, f"{source.stored.url}{event.uuid}.json", room=room)
        except PeerUnreachable as error:
            problem, failed = error, failed + 1
            if failed == _MOST_FAILED:
                return problem
            continue
        failed = 0
        record, unread = await _convert(converter, data)
        intake, unread = await _take(node, source, event, record, unread)
        done.append((intake, unread))
        note_unread(node, source, event, unread)
    return problem


def read_manifest(data: bytes, url: str) -> Steps[dict[str, int]]:
    """The events that a manifest lists, by UUID in lower case, each with its time in seconds since 1970.

    Raises:
        PeerUnreachable: it is none.
    """
    try:
        value = yield from read_in_steps(data, limits=BUNDLE_LIMITS)
    except MalformedJson as error:
        raise PeerUnreachable(f"{url}manifest.json is not the manifest of a feed: {error.detail}") from error
    if not isinstance(value, dict) or len(value) > _MOST_EVENTS:
        raise PeerUnreachable(f"{url}manifest.json is not the manifest of a feed of at most {_MOST_EVENTS} events")
    found: dict[str, int] = {}
    for number, (name, said) in enumerate(value.items()):
        if number % _LISTED_AT_ONCE == 0:
            yield
        at = said.get("timestamp") if isinstance(said, dict) else None
        if isinstance(at, bool) or UUID.fullmatch(name) is None or _TIME.fullmatch(str(at)) is None:
            raise PeerUnreachable(f"{url}manifest.json lists {name[:60]!r}, which is no event with a timestamp")
        found[name.lower()] = int(str(at))
    return found


async def _fetch(client: httpx.AsyncClient, node: Node, source: Source, url: str, *, room: Room) -> bytes:
    shown = read_authorization(node, source.stored)
    headers = {"accept": "application/json", **({} if shown is None else {"authorization": shown})}
    async with room.enter() as hold:
        answer = await fetch(client, url, headers=headers, most=MAX_PAGE_BYTES, hold=hold)
    if answer.status_code != httpx.codes.OK:
        raise PeerUnreachable(
            f"{url} answered {answer.status_code}; is it the folder of a feed, and may this party read?"
        )
    return answer.content


async def _convert(converter: Converter, data: bytes) -> tuple[Record | None, tuple[Unread, ...]]:
    """The event's record, if it became one, and what was not understood. Others get their turn meanwhile."""
    record, unread = None, list[Unread]()
    try:
        for item in converter.convert(data):
            match item:
                case None:
                    await asyncio.sleep(_PAUSE)
                case Unread():
                    unread.append(item)
                case Record():
                    record = item
    except MalformedError as error:
        unread.append(Unread(place="", reason=error.detail))
    if record is None and not unread:
        unread.append(Unread(place="", reason="there is no event in its file"))
    return record, tuple(unread)


async def _take(node: Node, source: Source, event: Event, record: Record | None, unread: tuple[Unread, ...]) -> Taken:
    """What became of the event's record, and what was not understood; one that is too much is not, and others go on."""
    if record is None:
        return None, unread
    data = b'{"objects":[' + b",".join(record.objects) + b"]}"
    audiences = {ObjectId(name): parties for name, parties in record.audiences.items()}
    try:
        steps = receive_in_steps(node, source, data, position=None, event=event, audiences=audiences)
        return await run_steps(steps), unread
    except MalformedError as error:
        return None, (*unread, Unread(place="", reason=error.detail))
