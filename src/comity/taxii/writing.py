# SPDX-License-Identifier: Apache-2.0
"""Shell: what a partner may do beside reading: add objects where it gives, ask what became of them, take them back.

    POST   /taxii2/PARTY/collections/ID/objects/      202 with a status (TAXII 2.1 §5.5)
    GET    /taxii2/PARTY/status/ID/                   that status, for a day (§4.3)
    DELETE /taxii2/PARTY/collections/ID/objects/ID/   200, whatever is held of it (§5.7)

Who cannot see the collection gets the answer of any path that names nothing, whatever it sends. Who can is told 403
where its rights end: the collections resource tells it the same (`can_read`, `can_write`). Not here: what is kept and
what a writer may learn of it (`node.accept`), and what is taken back (`node.retraction`).

What a DELETE finds takes time to stop, so its answer comes at the end of a quarter of a second, in which nearly all are
done.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeGuard

from comity.counting import say_count
from comity.errors import AuthenticationError, MalformedError, MalformedRequest, NotFoundError
from comity.ids import PartyId
from comity.node.accept import (
    Detail,
    OverQuota,
    Status,
    WriteCollection,
    accept_in_steps,
    find_write_collection,
    list_write_collections,
    read_status,
)
from comity.node.gate import list_open_collections
from comity.node.node import Node
from comity.node.parties import authenticate
from comity.node.poll import VersionChoice
from comity.node.retraction import retract
from comity.taxii import wire
from comity.taxii.pace import Pace
from comity.taxii.queries import parse_deletion, read_object_id
from comity.taxii.wire import CollectionView, Resource, Route, StatusDetail

__all__ = [
    "Refused",
    "add_objects",
    "delete_object",
    "find_bound",
    "find_writable",
    "format_status",
    "is_addition",
    "is_served",
    "list_views",
    "refuse",
]

_STEP_SECONDS: Final = 0.25
_MOST_TIMES = 64
"""Exact versions that one DELETE may name: each stands in its entry of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A status of HTTP for somebody who can see the collection."""

    status: int
    description: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def is_addition(route: Route | None) -> TypeGuard[Route]:
    """Whether a POST to `route` adds objects; any other is a message of a node."""
    return route is not None and route.resource is Resource.OBJECTS


def is_served(method: str, route: Route) -> bool:
    """Whether the method means anything for what `route` names; if not, nothing is there."""
    match method:
        case "GET" | "HEAD":
            return True
        case "POST":
            return route.resource is Resource.OBJECTS
        case "DELETE":
            return route.resource is Resource.OBJECT
        case _:
            return False


def find_bound(node: Node, route: Route, *, headers: Mapping[str, str], otherwise: int) -> int:
    """How many bytes of an envelope are read: MAX_CONTENT_LENGTH from who may write there, `otherwise` from others.

    Who says that it sends no more than `otherwise` is not asked who it is before it has sent it.
    """
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and len(declared) < len(str(otherwise)):
        return otherwise
    try:
        party = authenticate(node, secret=wire.read_secret(headers))
    except AuthenticationError:
        return otherwise
    may = route.root == party and find_writable(node, party, route.collection) is not None
    return wire.MAX_CONTENT_LENGTH if may else otherwise


def find_writable(node: Node, party: PartyId, collection: str) -> WriteCollection | None:
    """The collection of that id that `party` may write now, if there is one."""
    return find_write_collection(node, party, collection)


def list_views(node: Node, party: PartyId) -> list[CollectionView]:
    """The collections that `party` may write now, as it sees them; their titles differ from those of what it reads."""
    return [
        CollectionView(
            id=item.id,
            title=f"{item.terms.title} ({item.channel.id} {item.dossier.id[:8]}) to {node.party}".replace(".", " "),
            description=f"What {party} gives {node.party} in channel {item.channel.id} of agreement {item.dossier.id}",
            can_read=False,
            can_write=True,
        )
        for item in list_write_collections(node, party)
    ]


async def add_objects(
    node: Node, pace: Pace, route: Route, party: PartyId, *, content_type: str | None, body: bytes | None
) -> bytes | Refused:
    """The status resource of what `party` sent; `body` is None where it was too long to be read.

    Who polls meanwhile is answered between the parts of the envelope (`taxii.pace`).

    Raises:
        NotFoundError: the party sees no such collection.
    """
    if find_writable(node, party, route.collection) is None:
        return refuse(node, party, route.collection)
    if not wire.is_content(content_type):
        return Refused(status=415, description=f"send an envelope as {wire.MEDIA_TYPE}")
    if body is None:
        return Refused(status=413, description=f"send at most {wire.MAX_CONTENT_LENGTH} bytes; split the envelope")
    try:
        done = await pace.run(
            accept_in_steps(node, body, giver=party, collection=route.collection, is_alone=pace.is_alone)
        )
    except MalformedError as error:
        return Refused(status=422, description=error.detail)
    match done:
        case OverQuota(retry_after=seconds):
            return _refuse_over(seconds, "nothing was kept")
        case Status():
            return _format(done)


async def delete_object(node: Node, route: Route, party: PartyId, query: bytes) -> Refused | None:
    """None once what `party` had written of the object is given to nobody any more, on record (TAXII 2.1 §5.7).

    Whether anything was held of it, and whose it is, neither the answer says nor the time that it takes.

    Raises:
        MalformedRequest: the query, or more exact versions than one request may name.
        NotFoundError: the party sees no such collection, or the path names what cannot be an object.
    """
    if find_writable(node, party, route.collection) is None:
        return refuse(node, party, route.collection)
    filters, item = parse_deletion(query), read_object_id(route)
    if len(filters.versions) > _MOST_TIMES:
        raise MalformedRequest(f"match[version] of a DELETE takes at most {_MOST_TIMES} times", where="match[version]")
    begun = asyncio.get_running_loop().time()
    done = retract(node, giver=party, collection=route.collection, item=item, versions=_choose_versions(filters))
    await asyncio.sleep(find_rest(asyncio.get_running_loop().time() - begun))
    return _refuse_over(done.retry_after, "nothing was taken back") if isinstance(done, OverQuota) else None


def find_rest(seconds: float) -> float:
    """How long it is to the end of the step in which an answer is ready that took so many seconds."""
    return _STEP_SECONDS - seconds % _STEP_SECONDS


def _choose_versions(filters: wire.Filters) -> VersionChoice | None:
    """The versions that are asked for; None where another STIX than 2.1 is, of which nothing is held."""
    if filters.spec_versions and "2.1" not in filters.spec_versions:
        return None
    return VersionChoice(last=filters.last, first=filters.first, every=filters.every, exact=filters.versions)


def _refuse_over(seconds: int, what: str) -> Refused:
    return Refused(
        status=429,
        description=f"today's quota is used up, and {what}; send it again in {say_count(seconds, 'second')}",
        headers={"retry-after": str(seconds)},
    )


def refuse(node: Node, party: PartyId, collection: str) -> Refused:
    """The answer to a write where `party` may not write (TAXII 2.1 §5.5, §5.7).

    Raises:
        NotFoundError: the party sees no such collection.
    """
    seen = {item.id for item in list_open_collections(node, party)}
    seen |= {item.id for item in list_write_collections(node, party)}
    if collection not in seen:
        raise NotFoundError("no such collection")
    return Refused(status=403)


def format_status(node: Node, party: PartyId, name: str) -> bytes:
    """The status resource of an envelope that `party` wrote.

    Raises:
        NotFoundError: it wrote none of that id in the last day.
    """
    return _format(read_status(node, party=party, name=name))


def _format(status: Status) -> bytes:
    return wire.format_status(
        status.id,
        at=status.at,
        successes=[_detail(item) for item in status.successes],
        failures=[_detail(item) for item in status.failures],
        pendings=[_detail(item) for item in status.pendings],
    )


def _detail(item: Detail) -> StatusDetail:
    return StatusDetail(item.id, item.version, item.message)
