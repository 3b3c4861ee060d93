# SPDX-License-Identifier: Apache-2.0
"""Shell: one request, one call of the node, one response; failures become statuses in one table (`taxii.responses`).

Silence outside: whoever has no valid credential, and whoever asks for what is not for it, gets the same bytes for
everything, existing or not, whatever the method. Only the discovery resource, which is at the same place on every TAXII
server (§8.2.1), answers 401 to who is not known, so that clients learn how to authenticate.

    /taxii2/                       discovery, with the one API root of the party that asks
    /taxii2/PARTY/…                that party's API root; any other party's does not exist
    POST …/objects/, DELETE        what partners write and take back (`taxii.writing`)
    /comity/receipts/, …           receipts for what was disclosed (`taxii.receipts`)
    POST /comity/acknowledgements/ what a receiver signs of it
    /comity/log/PARTY/…            the log, for its readers (`taxii.tiles`)
    POST /comity/exchange/         a signed message of another node; its signature is its credential
    POST /comity/witness/add-checkpoint   a partner asks for a cosignature over the head of its own log

A question for objects may wait for the first one (`taxii.waits`).

Not here: what may be given (`node.poll`). Here: that nothing is sent before `poll` has returned, and that each answer
is registered with `Sends` (`taxii.polls`) until its last byte is out.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from comity.errors import (
    AuthenticationError,
    ComityError,
    MalformedError,
    NotFoundError,
    UnavailableError,
)
from comity.ids import AgreementId, Digest, Instant, PartyId, format_instant
from comity.node import correspond, succession, witness
from comity.node.gate import list_open_collections
from comity.node.letterbox import TakenLetter
from comity.node.node import Node
from comity.node.pages import Filled
from comity.node.parties import authenticate, read_cursor_key
from comity.node.poll import MAX_PAGE_OBJECTS, Page, PollRequest, Selection, VersionChoice
from comity.release.disclosure import Answer
from comity.signing import Manifest
from comity.taxii import receipts, tiles, wire, writing
from comity.taxii.bodies import Bodies, Hold
from comity.taxii.coding import Coding, compress
from comity.taxii.guard import VISIT, Visit
from comity.taxii.pace import Pace
from comity.taxii.polls import Polls
from comity.taxii.prefer import format_applied, read_wait
from comity.taxii.queries import parse_query
from comity.taxii.rates import find_neighbourhood
from comity.taxii.responses import MOST_AT_ONCE, Response, challenge, cut_body, fail, give, refuse, respond, tell
from comity.taxii.sends import WRITE_DEADLINE_SECONDS, Sending, Sends, Stops
from comity.taxii.waits import RECEIVE, Waits
from comity.taxii.wire import Filters, Resource, Route

__all__ = ["EXCHANGE_PATH", "WITNESS_PATH", "TaxiiApp"]

EXCHANGE_PATH = "/comity/exchange/"
WITNESS_PATH = "/comity/witness/add-checkpoint"

_MAX_MESSAGE_BYTES = 2 * 1024 * 1024
_READ = frozenset({*wire.SECRET_HEADERS, b"accept", b"accept-encoding", b"content-length", b"content-type", b"prefer"})
"""The headers of a request that are read; the server gives their names in lower case (ASGI 3)."""

_MOST_QUESTIONS = 2_048
_MOST_REMEMBERED_BYTES = 512
"""Of a query or an id: with the bound on their number, what the questions that are remembered may take."""

_LEAST_COMPRESSED = 1_000
"""Bytes of a body that is worth it."""

_ANSWERS = {
    Resource.OBJECTS: Answer.OBJECTS,
    Resource.OBJECT: Answer.OBJECT,
    Resource.MANIFEST: Answer.MANIFEST,
    Resource.VERSIONS: Answer.VERSIONS,
}

Headers = dict[str, str]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger("comity.taxii")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A request for a page, taken apart."""

    filters: Filters
    request: PollRequest


class TaxiiApp:
    """The ASGI application of one node.

    By the client's address, `abort` drops its connection; what is written to it in `gather` is handed over at the end.

    `drain` takes an agreement and the digest of an event on it, and returns when no answer that was given before the
    event is under way in any process of the node; without it there is one.
    """

    def __init__(
        self,
        node: Node,
        *,
        abort: Callable[[tuple[str, int]], None],
        received: Callable[[], None],
        gather: Callable[[tuple[str, int]], AbstractContextManager[Any]] = nullcontext,
        drain: Callable[[AgreementId, Digest], Awaitable[object]] | None = None,
    ) -> None:
        self.node = node
        self._gather = gather
        self.sends = Sends()
        self._drain = Stops(self.sends.drain).settle if drain is None else drain
        self._polls = Polls(node, self.sends)
        self.waits = Waits(node, node.settings.limits)
        self._pace = Pace()
        self.bodies = Bodies(node.settings.limits.held_bytes)
        self._abort = abort
        self._received = received
        self._cursor_key = read_cursor_key(node)
        self._remember_question = lru_cache(maxsize=_MOST_QUESTIONS)(self._read_question)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        visit: Visit = scope.get(VISIT) or Visit(address="", method=scope["method"])
        scope[RECEIVE] = receive
        try:
            response = await self._hear(scope, receive, visit)
            visit.objects = response.objects
            if response.stopped is not None:
                # A message that closed a gate is acknowledged when nothing leaves under it any more.
                await self._drain(*response.stopped)
        except Exception:  # noqa: BLE001 (the one place where a bug becomes a 500; the detail stays in our log)
            incident = self.node.draw(4).hex()
            _log.exception("incident %s", incident)
            title = f"Internal error, incident {incident}"
            response = respond(500, wire.format_error(title=title, status=500))
        await self._send(response, send, client=scope["client"])

    async def _hear(self, scope: Scope, receive: Receive, visit: Visit) -> Response:
        """The response to a request whose body has still to come; what is held of it counts until it is dealt with."""
        with self.bodies.begin() as hold:
            try:
                body = await self._read_body(scope, receive, hold, visit)
            except UnavailableError as error:
                return refuse(error)
            return await self._answer(scope, body, visit)

    async def _read_body(self, scope: Scope, receive: Receive, hold: Hold, visit: Visit) -> bytes | None:
        """The body, None when it is over what is read of it: the rest is read by nobody.

        None too where there is no room for that of who is not known. It is read as far as any other, and dropped: else
        whoever fills its own share could tell by the answer, or its moment, how much others are sending.

        Raises:
            UnavailableError: there is no room for it.
        """
        message = await receive()
        if not message.get("more_body") and not message.get("body"):
            return b""
        most, party, body, size = self._bound_body(scope), self._find_party(scope), bytearray(), 0
        taker = find_neighbourhood(visit.address) if party is None else party
        while True:
            part = message.get("body", b"")
            size += len(part)
            try:
                if not visit.crowded:
                    hold.add(taker, len(part))
                    body += part
            except UnavailableError:
                visit.crowded = True
                if party is not None:
                    visit.admit(party)
                    raise
                hold.drop()
                body.clear()
            if size > most:
                return None
            if message["type"] != "http.request" or not message.get("more_body"):
                return None if visit.crowded else bytes(body)
            del message, part
            message = await receive()

    def _find_party(self, scope: Scope) -> PartyId | None:
        """Who asks, if this node knows it."""
        try:
            return authenticate(self.node, secret=wire.read_secret(_read_headers(scope)))
        except AuthenticationError:
            return None

    async def _answer(self, scope: Scope, body: bytes | None, visit: Visit) -> Response:
        """The response, everything it needs committed."""
        method, path = scope["method"], scope["path"]
        route = wire.parse_route(path)
        visit.resource = _name_resource(route, path, method=method)
        try:
            if method == "POST" and path == WITNESS_PATH:
                return self._witness(scope, body, visit)
            if method == "POST" and not writing.is_addition(route):
                return self._exchange(path, body)
            return await self._answer_party(scope, body, visit, route)
        except AuthenticationError:
            if route is not None and route.resource is Resource.DISCOVERY and method in {"GET", "HEAD"}:
                return challenge()
            return fail(404)
        except ComityError as error:
            return refuse(error)

    async def _answer_party(self, scope: Scope, body: bytes | None, visit: Visit, route: Route | None) -> Response:
        """The response to whoever shows a credential."""
        method, headers = scope["method"], _read_headers(scope)
        reads_log = tiles.is_log_path(scope["path"], scope.get("raw_path")) and method in {"GET", "HEAD"}
        if reads_log:
            reader = tiles.find_reader(self.node, secret=wire.read_secret(headers))
            if reader is not None:
                visit.admit(reader)
                return tiles.give_part(self.node, scope["path"], accept_encoding=headers.get("accept-encoding"))
        party = authenticate(self.node, secret=wire.read_secret(headers))
        visit.admit(party)
        if reads_log:
            encoding = headers.get("accept-encoding")
            return tiles.give_part(self.node, scope["path"], accept_encoding=encoding, party=party)
        if receipts.is_receipt_path(scope["path"]) and method in {"GET", "HEAD"}:
            return receipts.answer(self.node, party, scope["path"])
        if route is None or not writing.is_served(method, route) or route.root not in {"", party}:
            raise NotFoundError("no such resource")
        if not wire.is_acceptable(headers.get("accept")):
            return fail(406, "this node speaks application/taxii+json;version=2.1")
        if method not in {"GET", "HEAD"}:
            return await self._write(method, route, party, scope, body=body)
        return await self._serve(route, party, scope, accept_encoding=headers.get("accept-encoding"))

    def _exchange(self, path: str, body: bytes | None) -> Response:
        """A message of another node. What is not a good one gets the answer that any path gets."""
        if path == receipts.ACKNOWLEDGEMENTS_PATH:
            return receipts.take(self.node, body)
        if path not in {EXCHANGE_PATH, EXCHANGE_PATH.removesuffix("/")} or body is None:
            raise NotFoundError("no such resource")
        try:
            if succession.is_succession(body):
                succession.receive_succession(self.node, body)
                return respond(202)
            recorded = correspond.receive_any(self.node, body)
        except MalformedError as error:
            raise NotFoundError(error.detail) from error
        self._received()
        if isinstance(recorded, Manifest | TakenLetter):
            return respond(202)
        event = recorded.event
        # One that is known may have closed a gate when it came first; whoever waits for that is waited for.
        stops = recorded.stops or (recorded.heard and not recorded.new)
        return replace(respond(202), stopped=(event.agreement, event.digest) if stops else None)

    def _witness(self, scope: Scope, body: bytes | None, visit: Visit) -> Response:
        """A cosignature for a partner's own log; to whoever is none, and for any other log, there is nothing here."""
        party = authenticate(self.node, secret=wire.read_secret(_read_headers(scope)))
        visit.admit(party)
        if body is None:
            raise NotFoundError("no such resource")
        answer = witness.add_checkpoint(self.node, party, body)
        return respond(answer.status, answer.body, headers={"content-type": answer.media_type})

    def _bound_body(self, scope: Scope) -> int:
        """How much of the body is read: of an envelope only from who may write there as much as TAXII clients send."""
        if scope["method"] != "POST" or not writing.is_addition(route := wire.parse_route(scope["path"])):
            return _MAX_MESSAGE_BYTES
        return writing.find_bound(self.node, route, headers=_read_headers(scope), otherwise=_MAX_MESSAGE_BYTES)

    async def _write(self, method: str, route: Route, party: PartyId, scope: Scope, *, body: bytes | None) -> Response:
        if method == "DELETE":
            return await self._delete(route, party, scope["query_string"])
        kind = _read_headers(scope).get("content-type")
        match await writing.add_objects(self.node, self._pace, route, party, content_type=kind, body=body):
            case writing.Refused() as refused:
                return tell(refused)
            case bytes() as status:
                return respond(202, status)

    async def _delete(self, route: Route, party: PartyId, query: bytes) -> Response:
        refused = await writing.delete_object(self.node, route, party, query)
        if refused is not None:
            return tell(refused)
        self._received()  # whoever had been given it is told at once
        return respond(200)

    async def _serve(self, route: Route, party: PartyId, scope: Scope, *, accept_encoding: str | None) -> Response:
        match route.resource:
            case Resource.DISCOVERY:
                root = f"{wire.DISCOVERY_PATH}{party}/"
                return give(wire.format_discovery(title=f"Comity node of {self.node.settings.name}", root=root))
            case Resource.API_ROOT:
                return give(wire.format_api_root(title=f"{self.node.party} for {party}"))
            case Resource.COLLECTIONS:
                return give(wire.format_collections(self._views(party)))
            case Resource.COLLECTION:
                view = next((view for view in self._views(party) if view.id == route.collection), None)
                if view is None:
                    raise NotFoundError("no such collection")
                return give(wire.format_collection(view))
            case Resource.STATUS:
                return give(writing.format_status(self.node, party, route.status))
            case Resource.OBJECTS | Resource.OBJECT | Resource.MANIFEST | Resource.VERSIONS:
                return await self._read(route, party, scope, coding=wire.choose_coding(accept_encoding))

    async def _read(self, route: Route, party: PartyId, scope: Scope, *, coding: Coding | None) -> Response:
        """A page; 403 where the party may only write (TAXII 2.1 §5.3, §5.4)."""
        try:
            return await self._poll(route, party, scope, coding=coding)
        except NotFoundError:
            if writing.find_writable(self.node, party, route.collection) is None:
                raise
            return fail(403)

    def _views(self, party: PartyId) -> list[wire.CollectionView]:
        return [
            wire.CollectionView(
                id=item.id,
                title=f"{item.terms.title} ({item.channel.id} {item.dossier.id[:8]})".replace(".", " "),
                description=f"Channel {item.channel.id} of agreement {item.dossier.id}",
            )
            for item in list_open_collections(self.node, party)
        ] + writing.list_views(self.node, party)

    async def _poll(self, route: Route, party: PartyId, scope: Scope, *, coding: Coding | None) -> Response:
        query = scope["query_string"]
        remember = len(query) <= _MOST_REMEMBERED_BYTES and len(route.object) <= _MOST_REMEMBERED_BYTES
        question = (self._remember_question if remember else self._read_question)(route, party, query)
        headers, began = _read_headers(scope), self.node.clock()
        wanted = read_wait(headers.get("prefer")) if _may_wait(route, scope) else None

        async def ask() -> tuple[Page, Sending]:
            if place is not None:
                # Who was let in when the question came may be let in no more.
                authenticate(self.node, secret=wire.read_secret(headers), shown_at=began)
            self._pace.note_poll()
            try:
                return await self._polls.ask(question.request, lambda: self._abort(scope["client"]))
            finally:
                self._pace.note_poll()

        with self.waits.enter(scope["client"], party, route.collection, wanted or 0) as place:
            answer = await ask() if place is None else await self.waits.ask(place, ask, self.sends.release, scope)
        if answer is None:
            return respond(204)  # whoever asked has gone
        page, sending = answer
        try:
            besides = receipts.name_receipt(page.sequence) if receipts.is_asked(scope["headers"]) else ()
            if place is not None:
                besides += (format_applied(place.seconds),)
            return self._answer_question(question, route, page.filled, coding=coding).begin(sending, besides=besides)
        except BaseException:
            self.sends.release(sending)
            raise

    def _answer_question(self, question: _Question, route: Route, filled: Filled, *, coding: Coding | None) -> Response:
        """The page as it is sent. It follows from the question and the page, and is remembered with the page."""
        if not filled.at and route.object:
            raise NotFoundError("no such object")
        key = coding or "identity"
        answer = filled.answers.get(key)
        if not isinstance(answer, Response):
            answer = filled.answers[key] = self._format_answer(question, route, filled, coding=coding)
        return answer

    def _format_answer(self, question: _Question, route: Route, filled: Filled, *, coding: Coding | None) -> Response:
        cursor, request = None, question.request
        if filled.more:
            cursor = wire.format_cursor(
                filled.at[-1],
                key=self._cursor_key,
                party=request.recipient,
                collection=request.collection,
                filters=question.filters,
            )
        body, headers = _format_page(filled, route.resource, cursor=cursor), _date_headers(filled, request)
        if coding is not None and sum(map(len, body)) >= _LEAST_COMPRESSED:
            body, headers = (compress(coding, body),), {**headers, "content-encoding": coding}
        return replace(respond(200, *body, headers={**headers, "vary": "accept-encoding"}), objects=len(filled.at))

    def _read_question(self, route: Route, party: PartyId, query: bytes) -> _Question:
        filters = parse_query(query, route)
        request = PollRequest(
            recipient=party,
            collection=route.collection,
            answer=_ANSWERS[route.resource],
            selection=self._select(filters, party, collection=route.collection),
            limit=min(filters.limit or MAX_PAGE_OBJECTS, MAX_PAGE_OBJECTS),
        )
        return _Question(filters=filters, request=request)

    def _select(self, filters: Filters, party: PartyId, *, collection: str) -> Selection:
        after = filters.added_after or Instant(0)
        if filters.next is not None:
            given = wire.parse_cursor(
                filters.next, key=self._cursor_key, party=party, collection=collection, filters=filters
            )
            # What was given for another collection says nothing of this one: the request is read without it.
            after = after if given is None else given
        return Selection(
            after=after,
            ids=filters.ids,
            types=filters.types,
            spec_versions=filters.spec_versions,
            versions=VersionChoice(last=filters.last, first=filters.first, every=filters.every, exact=filters.versions),
        )

    async def _send(self, response: Response, send: Send, *, client: tuple[str, int]) -> None:
        async def write() -> None:
            pieces, gathered = cut_body(response.body), 0
            with self._gather(client):
                await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
                while pieces and gathered <= MOST_AT_ONCE - len(pieces[0]):
                    gathered += len(pieces[0])
                    await send({"type": "http.response.body", "body": pieces.popleft(), "more_body": True})
            # Each of these waits until the one before it has left: of what a reader does not take, one is copied.
            for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            # The server writes this only when everything before it has left its buffers: see `taxii.listen`.
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        if response.sending is None:
            await write()
            return
        try:
            async with self.sends.following(response.sending):
                await write()
        except TimeoutError:
            _log.warning("an answer was cut: its reader took over %.0f seconds", WRITE_DEADLINE_SECONDS)


def _may_wait(route: Route, scope: Scope) -> bool:
    return route.resource is Resource.OBJECTS and scope["method"] == "GET"


def _name_resource(route: Route | None, path: str, *, method: str) -> str:
    """The kind of thing that a path names, for what is noted of requests: never the thing itself.

    A deletion is one of its own: what is noted of an object is that it was polled.
    """
    if route is not None and method == "DELETE":
        return "deletion"
    if route is not None:
        return route.resource.value
    if receipts.is_receipt_path(path):
        return "receipt"
    if path == WITNESS_PATH:
        return "witness"
    if tiles.is_log_path(path):
        return "log"
    return "exchange" if path in {EXCHANGE_PATH, EXCHANGE_PATH.removesuffix("/")} else "none"


def _format_page(filled: Filled, resource: Resource, *, cursor: str | None) -> tuple[bytes, ...]:
    if resource is Resource.MANIFEST:
        records = [
            wire.ManifestRecord(id=item, date_added=at, version=version)
            for item, at, version in zip(filled.id, filled.at, filled.version, strict=True)
        ]
        return (wire.format_manifest(records, cursor=cursor),)
    if resource is Resource.VERSIONS:
        return (wire.format_versions(filled.version, cursor=cursor),)
    return wire.format_envelope(filled.data, cursor=cursor)


def _date_headers(filled: Filled, request: PollRequest) -> Headers:
    """The dates of the first and last object (TAXII 2.1 §3.2); of an empty page, the position that was asked from.

    A client that keeps the last date as its position keeps it over an empty page then.
    """
    after = request.selection.after
    dates = filled.at or ((after,) if after else ())
    if not dates:
        return {}
    return {
        "x-taxii-date-added-first": format_instant(dates[0]),
        "x-taxii-date-added-last": format_instant(dates[-1]),
    }


def _read_headers(scope: Scope) -> Headers:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in _READ}
