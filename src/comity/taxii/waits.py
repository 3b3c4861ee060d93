# SPDX-License-Identifier: Apache-2.0
"""Shell: questions that wait for something to be released (RFC 7240 §4.3), and when they are asked anew.

What waits holds a place here and nothing else: no transaction, no page, no answer that a suspension would wait for. One
look for all, twenty times a second, tells whether anything was committed that can matter, and once a second whether the
gate of each is still open. What is asked anew in vain is asked less often where only objects come in, so that a
flood of objects that a party is not given costs little; a change of agreements is looked at every time.

Who may not read is never here: the question was answered before (`taxii.server`), with the bytes and in the time of any
other, so that to wait tells nothing.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from comity.config import Limits
from comity.errors import ComityError
from comity.ids import PartyId
from comity.node.node import Node
from comity.node.poll import Page
from comity.node.waiting import Moment, Watch, find_closed
from comity.taxii.guard import VISIT
from comity.taxii.sends import Sending

__all__ = ["RECEIVE", "Place", "Waits"]

RECEIVE = "comity.receive"
"""Where the way to hear of the end of a connection stands in the scope of a request."""

_LOOK_SECONDS = 0.05
_LOOKS_BETWEEN_GATES = 20
_LONGEST_PAUSE = 0.5

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Answer = tuple[Page, Sending]
"""A page, committed, and its answer, registered as under way."""


@dataclass(slots=True, eq=False)
class Place:
    """One question that waits: over which connection, whose, of which collection, until when by the loop's clock."""

    client: tuple[str, int]
    party: PartyId
    collection: str
    until: float
    seconds: int
    seen: Moment
    vain: int = 0
    patient_until: float = 0.0
    gone: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Waits:
    """The questions that wait in this process."""

    def __init__(self, node: Node, limits: Limits) -> None:
        self._node = node
        self._limits = limits
        self._watch = Watch(node)
        self._places: set[Place] = set()
        self._by_party: Counter[PartyId] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._places)

    @contextmanager
    def enter(self, client: tuple[str, int], party: PartyId, collection: str, seconds: int) -> Iterator[Place | None]:
        """A place until the block ends; None where there is none left, or no wait is asked for: answer at once.

        Enter before the first poll: what is committed after it is then not missed.
        """
        limits = self._limits
        full = len(self._places) >= limits.waits or self._by_party[party] >= limits.waits_per_party
        if self._closed or full or seconds <= 0:
            yield None
            return
        granted = min(seconds, limits.wait_seconds)
        until = asyncio.get_running_loop().time() + granted
        place = Place(client, party, collection, until, granted, self._watch.look())
        self._places.add(place)
        self._by_party[party] += 1
        try:
            yield place
        finally:
            self._places.discard(place)
            self._by_party[party] -= 1
            if not self._by_party[party]:
                del self._by_party[party]

    async def ask(
        self, place: Place, poll: Callable[[], Awaitable[Answer]], release: Callable[[Sending], None], scope: Scope
    ) -> Answer | None:
        """The first answer of `poll` with something on its page, or the one it gives when the time is over.

        The others are given to `release`, and nothing of them goes. None: whoever asked has gone.

        Raises:
            NotFoundError: the party may not read there, or no more. Who never might has not waited.
            AuthenticationError: what it showed is good no more.
        """
        loop, visit = asyncio.get_running_loop(), scope.get(VISIT)
        while True:
            page, sending = await poll()
            if page.filled.at or self._closed or loop.time() >= place.until:
                return page, sending
            release(sending)
            del page, sending
            began = loop.time()
            await self._rest(place, scope[RECEIVE])
            if visit is not None:
                visit.waited += loop.time() - began
            if place.gone:
                return None
            place.seen = self._watch.look()

    async def _rest(self, place: Place, receive: Receive) -> None:
        """Return when it is worth to ask once more, or the time is over, or nobody listens any more."""
        loop = asyncio.get_running_loop()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_always())
        place.patient_until = loop.time() + min(_LOOK_SECONDS * 2**place.vain, _LONGEST_PAUSE)
        place.vain = min(place.vain + 1, 16)
        hearing = asyncio.create_task(_hear_end(place, receive))
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(place.woken.wait(), max(0.0, place.until - loop.time()))
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
        place.woken.clear()

    def hang_up(self, client: tuple[str, int]) -> None:
        """End what waits over this connection: who says nothing more may have gone, and else has its answer now."""
        for place in self._places:
            if place.client == client:
                place.until = 0.0
                place.woken.set()

    def close(self) -> None:
        """Let nothing wait any more: this process is about to stop."""
        self._closed = True
        for place in self._places:
            place.woken.set()

    async def _look_always(self) -> None:
        """Look for as long as anything waits. What cannot be read lets all ask anew, and be told so."""
        looks = 0
        while self._places:
            looks += 1
            try:
                self._wake(self._watch.look())
                if looks % _LOOKS_BETWEEN_GATES == 0:
                    self._wake_closed()
            except ComityError:
                for place in self._places:
                    place.woken.set()
            await asyncio.sleep(_LOOK_SECONDS)

    def _wake(self, moment: Moment) -> None:
        now = asyncio.get_running_loop().time()
        for place in self._places:
            seen = place.seen
            if seen.changes != moment.changes or (seen.objects != moment.objects and now >= place.patient_until):
                place.woken.set()

    def _wake_closed(self) -> None:
        closed = find_closed(self._node, {(place.party, place.collection) for place in self._places})
        for place in self._places:
            if (place.party, place.collection) in closed:
                place.woken.set()


async def _hear_end(place: Place, receive: Receive) -> None:
    """Let the question end when whoever asked has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    place.gone = True
    place.woken.set()
