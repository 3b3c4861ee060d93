# SPDX-License-Identifier: Apache-2.0
"""Shell: what TAXII 2.1 servers that are no nodes hold, taken in under this party's own terms of receipt.

A feed of MISP is taken in by `misp`. TAXII servers give no receipts, and each reads the standard its own way. Nothing
is lost and nothing doubled all the same:

- An answer that says `more` and names a `next` is followed by the same question with it. Without a `next` the next
  question is for what is behind the last date, the last date included (a microsecond less is asked for): a server may
  have given it to many objects. What comes twice is known by its id, version and bytes, and changes nothing.
- The place in the collection goes on only where all before it has come: at the end of what is there, or, where the
  server is asked by dates alone, after a page whose dates do not go back. Some that name a `next` do not sort.
- For ten minutes after it went on the last date itself is asked for again: a server that dates by the second, or when
  it is asked to store and not when it has stored, may add to it.
- A page that comes twice in one go, or that leads nowhere although it says `more`, ends it, and is told.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from comity.calls import MAX_PAGE_BYTES, Room, fetch, run_steps
from comity.canonical import BUNDLE_LIMITS, Json, sha256_digest
from comity.certain import MOST_COUNTED
from comity.errors import MalformedError, MalformedObject, MalformedRequest, PeerUnreachable
from comity.ids import Digest, Instant, ObjectId, format_instant, parse_instant
from comity.intake.records import Unread
from comity.misp import pull_events
from comity.node.allowance import check_allowance
from comity.node.ingest import Intake
from comity.node.node import Node
from comity.node.sources import (
    BESIDE_BYTES,
    MISP,
    Source,
    find_source,
    name_source,
    read_authorization,
    receive_in_steps,
)
from comity.stix.envelopes import split_objects
from comity.stix.objects import BadObject

__all__ = ["Drawn", "pull_source"]

_MEDIA_TYPE = "application/taxii+json;version=2.1"
_PAGE_OBJECTS = 1_000
_MOST_OBJECTS = MOST_COUNTED
"""On a page of a server that gives more than it was asked for; more than these are not even counted."""

_MAX_PAGES = 10_000
_MAX_NEXT = 8_192
_LEAST_OBJECTS = 16
"""With fewer on a page the next one could not be asked for, where many have one date."""

_NOTHING = b'{"objects":[]}'
_SAME_DATE = Instant(600_000_000)
"""Microseconds for which the last date is asked for again."""


@dataclass(slots=True, kw_only=True)
class Drawn:
    """What one go through a source brought."""

    pages: int = 0
    added: list[ObjectId] = field(default_factory=list)
    known: int = 0
    bad: list[BadObject] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """One answer: its bytes, a digest of its objects, what it says of others, and the dates of its first and last."""

    data: bytes
    objects: Digest | None
    more: bool
    next: str | None
    first: Instant | None
    last: Instant | None


@dataclass(slots=True, kw_only=True)
class _Way:
    """How far one go has come: what is asked for next, and how many; the last date, and whether dates went back."""

    after: Instant | None
    next: str | None = None
    reached: Instant | None = None
    sorted: bool = True
    limit: int = _PAGE_OBJECTS
    seen: set[Digest] = field(default_factory=set)


async def pull_source(client: httpx.AsyncClient, node: Node, name: str, *, room: Room) -> Drawn:
    """What the source has that did not come yet; every page is kept before the next is asked for.

    Raises:
        NotFoundError: there is no such source, or no record for it.
        ConfigError: its credential cannot be used.
        PeerUnreachable: it did not answer, not in TAXII 2.1, or leads nowhere; pages taken in before are kept.
        QuotaReached: it has brought in today as much as it may; so far is kept, and the next go brings the rest.
    """
    source, drawn = find_source(node, name), Drawn()
    if source.stored.kind == MISP:
        for intake, unread in await pull_events(client, node, source, room=room):
            _count(drawn, intake, unread)
        return drawn
    way = _Way(after=_find_start(node, source), reached=source.stored.position)
    url = f"{source.stored.url}collections/{source.stored.collection}/objects/"
    for _ in range(_MAX_PAGES):
        check_allowance(node, name_source(name))
        async with room.enter() as hold:
            answer = await fetch(
                client,
                url,
                headers=_make_headers(node, source),
                parameters=_make_parameters(way),
                most=MAX_PAGE_BYTES,
                hold=hold,
            )
            page = _try_page(answer, way, url)
            if page is None:
                continue
            _step(way, page, url)
            await asyncio.sleep(0)
            await _take(node, source, page, way, drawn)
        if not page.more:
            return drawn
        await asyncio.sleep(0)
    raise PeerUnreachable(f"{url} gave {_MAX_PAGES} pages and says that there are more; the rest is asked for later")


def _find_start(node: Node, source: Source) -> Instant | None:
    """What is asked for first: what is behind the last date, or, for some time, what has it too."""
    position, advanced_at = source.stored.position, source.stored.advanced_at
    if position is None or advanced_at is None or not 0 <= node.clock() - advanced_at < _SAME_DATE:
        return position
    return Instant(position - 1)


def _make_headers(node: Node, source: Source) -> dict[str, str]:
    shown = read_authorization(node, source.stored)
    return {"accept": _MEDIA_TYPE, **({} if shown is None else {"authorization": shown})}


def _make_parameters(way: _Way) -> dict[str, str]:
    """The filters are the same with every `next` (TAXII 2.1 §3.4)."""
    parameters = {"limit": str(way.limit), "match[version]": "all"}
    if way.after is not None:
        parameters["added_after"] = format_instant(way.after)
    if way.next is not None:
        parameters["next"] = way.next
    return parameters


def _try_page(answer: httpx.Response, way: _Way, url: str) -> _Page | None:
    """The envelope that the answer is; None where it is a long one that cannot be read, and less is asked for.

    What cannot be read may be one object of it, and on a short page that one alone is bad.

    Raises:
        PeerUnreachable: it is none.
    """
    try:
        return _read_page(answer, url)
    except PeerUnreachable:
        if len(answer.content) <= BESIDE_BYTES or way.limit <= _LEAST_OBJECTS:
            raise
        way.limit = max(way.limit // 4, _LEAST_OBJECTS)
        return None


def _step(way: _Way, page: _Page, url: str) -> None:
    """Find out what is asked for after this page.

    Raises:
        PeerUnreachable: it was here in this go already, or says that there is more and leads nowhere.
    """
    if page.objects is not None:
        if page.objects in way.seen:
            raise PeerUnreachable(f"{url} gives the same page again, and says that there are more")
        way.seen.add(page.objects)
    before = way.reached
    if page.objects is not None:
        way.sorted = way.sorted and page.first is not None and (before is None or page.first >= before)
    if page.last is not None:
        way.reached = page.last if before is None else max(before, page.last)
    if not page.more:
        return
    if page.next is not None:
        way.next = page.next  # medallion names the same one again, and goes on behind it all the same
        return
    way.next = None
    if way.reached is None or (way.after is not None and way.reached - 1 <= way.after):
        raise PeerUnreachable(
            f"{url} says that there are more, and neither names a `next` nor goes on in X-TAXII-Date-Added-Last: what"
            " is behind this page cannot be asked for"
        )
    way.after = Instant(way.reached - 1)


async def _take(node: Node, source: Source, page: _Page, way: _Way, drawn: Drawn) -> None:
    """Take the page in, with the place that it brings this node to, if all before that has come."""
    position = way.reached if not page.more or (way.sorted and page.next is None) else None
    if page.objects is None and (position is None or position == source.stored.position):
        return
    data = _NOTHING if page.objects is None else page.data
    intake = await run_steps(receive_in_steps(node, source, data, position=position))
    drawn.pages += 1
    drawn.added.extend(intake.added)
    drawn.known += intake.known
    drawn.bad.extend(intake.bad)


def _count(drawn: Drawn, intake: Intake | None, unread: Sequence[Unread]) -> None:
    """Count an event of a feed of MISP as a page."""
    drawn.pages += 1
    drawn.bad.extend(BadObject(index=0, id=None, where=one.place, detail=one.reason) for one in unread)
    if intake is not None:
        drawn.added.extend(intake.added)
        drawn.known += intake.known
        drawn.bad.extend(intake.bad)


def _read_page(answer: httpx.Response, url: str) -> _Page:
    """The envelope that the answer is.

    Raises:
        PeerUnreachable: it is none.
    """
    if answer.status_code != httpx.codes.OK:
        raise PeerUnreachable(f"{url} answered {answer.status_code}; may this party read the collection?")
    kind, _, parameters = answer.headers.get("content-type", "").lower().replace(" ", "").partition(";")
    if kind != "application/taxii+json" or parameters not in {"", "version=2.1"}:
        raise PeerUnreachable(f"{url} answered with another content type than {_MEDIA_TYPE}")
    try:
        others, digest = _open_envelope(answer.content)
        more, following = others.get("more", False), others.get("next")
        first, last = (_read_date(answer, name) for name in ("first", "last"))
    except MalformedError as error:
        raise PeerUnreachable(f"{url} answered with what is no envelope of TAXII 2.1: {error.detail}") from error
    _check_next(more, following, url)
    return _Page(
        data=answer.content,
        objects=digest,
        more=more is True,
        next=following if isinstance(following, str) and following else None,
        first=first,
        last=last,
    )


def _open_envelope(data: bytes) -> tuple[dict[str, Json], Digest | None]:
    """What stands beside the objects of an envelope, and their digest, if any; an empty one has no list (§3.7).

    What is in an object is not looked at here: a bad one spoils none beside it, and is refused when it is read.

    Raises:
        MalformedError: not strict JSON, or no envelope.
    """
    others, members = split_objects(data, limits=BUNDLE_LIMITS, most=_MOST_OBJECTS, beside=BESIDE_BYTES)
    if len(members) > _MOST_OBJECTS:
        raise MalformedObject(f"over {_MOST_OBJECTS} objects are in it", where="/objects")
    return others, sha256_digest(b"\n".join(member.data for member in members)) if members else None


def _check_next(more: Json, following: Json, url: str) -> None:
    if not isinstance(more, bool) or not (following is None or isinstance(following, str)):
        raise PeerUnreachable(f"{url} answered with what is no envelope of TAXII 2.1: `more` or `next`")
    if isinstance(following, str) and len(following) > _MAX_NEXT:
        raise PeerUnreachable(f"{url} names a `next` of over {_MAX_NEXT} characters")


def _read_date(answer: httpx.Response, name: str) -> Instant | None:
    """One of the dates that come with a page; some servers send none with an empty one.

    Raises:
        MalformedRequest: it is no timestamp.
    """
    text = answer.headers.get(f"x-taxii-date-added-{name}")
    if text is None:
        return None
    try:
        return parse_instant(text)
    except MalformedRequest as error:
        raise MalformedRequest(f"X-TAXII-Date-Added-{name.title()}: {error.detail}") from error
