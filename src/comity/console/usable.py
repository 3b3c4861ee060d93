# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party's own programs read over TAXII 2.1: an API root with a collection for each use.

It is not the server that partners ask. A program of this party sends the token that a person made for it, and sees the
collections for what it was made for; what its person may not see it does not either. Nothing is written here.

A collection holds the newest version of each object alone. What may be handed over, and since when it is offered, is
asked of `node.usable`; what a program may have got is on record before it gets it.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.door import find_door
from comity.console.visit import find_visit
from comity.errors import MalformedRequest, NotFoundError, UnavailableError
from comity.ids import Instant, PartyId, format_instant
from comity.node import usable
from comity.node.node import Node
from comity.node.parties import read_cursor_key
from comity.node.poll import MAX_PAGE_OBJECTS
from comity.node.programs import USES, StoredProgram
from comity.node.usable import MOST_BYTES, Question, Usable
from comity.taxii import wire
from comity.taxii.coding import compress
from comity.taxii.queries import parse_query
from comity.taxii.wire import Filters, Resource

__all__ = ["ROUTES", "find_collection", "refuse"]

_ROOT = "own"
_PREFIX = wire.DISCOVERY_PATH.rstrip("/")
_NAMES = uuid.UUID("6b7f4c52-7a0e-5d0c-9a3b-0d6c9d1f2e58")
"""The namespace of the ids of these collections (RFC 9562 §5.5): the same for a party and a use, wherever asked."""

_TITLES = {400: "Bad request", 401: "Unauthorized", 404: "Not found", 406: "Not acceptable", 503: "Unavailable"}
_LEAST_COMPRESSED = 1_000
_NO_HEADERS: Mapping[str, str] = {}


def find_collection(party: PartyId, actions: str) -> str:
    """The id of the collection for a use."""
    return str(uuid.uuid5(_NAMES, f"{party}/{actions}"))


async def answer(request: Request) -> Response:
    """What a program asks over TAXII; whatever is not there for it is answered alike."""
    try:
        return await _serve(request)
    except MalformedRequest as error:
        return refuse(400, error.detail)
    except UnavailableError as error:
        return refuse(503, error.detail)
    except NotFoundError:
        return refuse(404)


async def _serve(request: Request) -> Response:
    node, program, route = find_door(request).node, _find_program(request), wire.parse_route(request.url.path)
    if not wire.is_acceptable(request.headers.get("accept")):
        return refuse(406, f"this speaks {wire.MEDIA_TYPE}")
    if route is None or route.root not in {"", _ROOT} or route.resource is Resource.STATUS:
        raise NotFoundError("no such resource")
    uses = {find_collection(node.party, USES[word]): USES[word] for word in USES if word in program.may}
    match route.resource:
        case Resource.DISCOVERY:
            title = f"What {node.settings.name} holds for its own programs"
            return _give(request, wire.format_discovery(title=title, root=f"{wire.DISCOVERY_PATH}{_ROOT}/"))
        case Resource.API_ROOT:
            return _give(request, wire.format_api_root(title=f"{node.party} for {program.name}".replace(".", " ")))
        case Resource.COLLECTIONS:
            return _give(request, wire.format_collections([_view(*item) for item in uses.items()]))
        case _ if route.collection not in uses:
            raise NotFoundError("no such collection")
        case Resource.COLLECTION:
            return _give(request, wire.format_collection(_view(route.collection, uses[route.collection])))
        case Resource.OBJECTS | Resource.OBJECT | Resource.MANIFEST | Resource.VERSIONS:
            return await _read(request, node, program, route, actions=uses[route.collection])


async def _read(request: Request, node: Node, program: StoredProgram, route: wire.Route, *, actions: str) -> Response:
    """A page of a collection, noted before it is handed over."""
    filters = parse_query(request.url.query.encode(), route)
    question = _make_question(filters, actions)
    offer = usable.offer(node, filters.added_after)
    after = offer.after
    key, party, of = read_cursor_key(node), node.party, route.collection
    if filters.next is not None:
        given = wire.parse_cursor(filters.next, key=key, party=party, collection=of, filters=filters)
        after = after if given is None else given
    carries = route.resource in {Resource.OBJECTS, Resource.OBJECT}
    items, joined, following = await _take(
        request, question, after=after, until=offer.until, limit=filters.limit, carries=carries
    )
    _find_program(request)  # it may have ended meanwhile
    if not items and route.object:
        raise NotFoundError("no such object")
    if items and carries:
        usable.note_handed(node, program, actions, through=items[-1].place)
    cursor = (
        None
        if following is None
        else wire.format_cursor(Instant(following), key=key, party=party, collection=of, filters=filters)
    )
    body = _format(items, joined, route.resource, cursor=cursor)
    # A page that is the last goes up to the time of the offer: who cuts that off asks for nothing twice.
    last = offer.at if following is None else None
    return _give(request, *body, headers=_date_headers(items, filters, last=last))


async def _take(
    request: Request, question: Question, *, after: int, until: int, limit: int | None, carries: bool
) -> tuple[list[Usable], bytes, int | None]:
    """A page: what is in it, the objects themselves where they are asked for, and after which place the next begins."""
    node = find_door(request).node
    while True:
        # One program at a time: so others wait for one step, however many programs ask.
        async with find_door(request).filling:
            items, following = await _fill(node, question, after=after, until=until, limit=limit)
        if not carries:
            return items, b"", following
        # From here on nobody else has a turn: what was recalled or deleted while the page was filled is not in it.
        fitting = usable.read_fitting(node, question, items)
        if fitting or following is None:
            return [item for item, _ in fitting], b",".join(data for _, data in fitting), following
        after = following


def _find_program(request: Request) -> StoredProgram:
    """The program that asks, while it may.

    Raises:
        NotFoundError: it is none, or its person does not see objects.
    """
    visit = find_visit(request)
    found = None if visit.program is None else find_door(request).find_program(visit.token)
    if found is None or not visit.may("object.list"):
        raise NotFoundError("no such resource")
    return found[0]


async def _fill(
    node: Node, question: Question, *, after: int, until: int, limit: int | None
) -> tuple[list[Usable], int | None]:
    """What a page may hold, and after which place the next one begins; others have their turn between two looks."""
    most = min(limit or MAX_PAGE_OBJECTS, MAX_PAGE_OBJECTS)
    items, following, room = list[Usable](), after, MOST_BYTES
    while len(items) < most and room > 0:
        while usable.learn(node, question.actions):  # noqa: ASYNC110 (nothing is waited for: others get their turn)
            await asyncio.sleep(0)
        part = usable.list_part(
            node, question, after=following, until=until, limit=most - len(items), room=room, alone=not items
        )
        items += part.items
        room -= sum(item.size for item in part.items)
        if part.next is None:
            return items, None
        if part.next == following:  # there is no room for the next one
            break
        following = part.next
        await asyncio.sleep(0)
    return items, following


def _make_question(filters: Filters, actions: str) -> Question:
    """What is asked for. Of the versions of an object there is one here, which is the first, the last and all."""
    whole = filters.last or filters.first or filters.every
    return Question(
        actions=actions,
        ids=filters.ids,
        types=filters.types,
        spec_versions=filters.spec_versions,
        versions=frozenset() if whole else filters.versions,
    )


def _view(name: str, actions: str) -> wire.CollectionView:
    return wire.CollectionView(
        id=name,
        title=f"For use: {actions.replace('-', ' ')}",
        description=f"What is held here and may be used so by every text that it came under ({actions}, IEP 2.0)",
    )


def _format(items: Sequence[Usable], joined: bytes, resource: Resource, *, cursor: str | None) -> tuple[bytes, ...]:
    match resource:
        case Resource.MANIFEST:
            records = [wire.ManifestRecord(id=item.id, date_added=item.at, version=item.version) for item in items]
            return (wire.format_manifest(records, cursor=cursor),)
        case Resource.VERSIONS:
            return (wire.format_versions([item.version for item in items], cursor=cursor),)
        case _:
            return wire.format_envelope(joined, cursor=cursor)


def _date_headers(items: Sequence[Usable], filters: Filters, *, last: Instant | None) -> dict[str, str]:
    """The dates of the first and last object (TAXII 2.1 §3.2); of an empty page, the time that was asked from.

    `last` is up to when a page has all, where it is known.

    A client that keeps the last date as its position keeps it over an empty page then.
    """
    dates = [items[0].at, last or items[-1].at] if items else [filters.added_after] * 2
    names = ("x-taxii-date-added-first", "x-taxii-date-added-last")
    return {name: format_instant(at) for name, at in zip(names, dates, strict=True) if at is not None}


def _give(request: Request, *body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> Response:
    whole, coding = b"".join(body), wire.choose_coding(request.headers.get("accept-encoding"))
    sent = {"vary": "accept-encoding", **headers}
    if coding is not None and len(whole) >= _LEAST_COMPRESSED:
        whole, sent["content-encoding"] = compress(coding, body), coding
    return Response(whole, media_type=wire.MEDIA_TYPE, headers=sent)


def refuse(status: int, description: str = "") -> Response:
    """An error message of TAXII (§3.6.1)."""
    body = wire.format_error(title=_TITLES[status], status=status, description=description)
    headers = {"www-authenticate": 'Basic realm="taxii"'} if status == HTTPStatus.UNAUTHORIZED else None
    return Response(body, status_code=status, media_type=wire.MEDIA_TYPE, headers=headers)


ROUTES: list[Route] = [Route(_PREFIX, answer), Route(f"{_PREFIX}/{{rest:path}}", answer)]
