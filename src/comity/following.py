# SPDX-License-Identifier: Apache-2.0
"""Shell: partners and sources are followed for as long as this node is served: what they give comes in by itself.

Each giver has a task of its own, so that none of them holds up another, whatever it does; what they share is the room
for long answers (`calls.Room`). A task asks for the channels that are due, notes for each how it went, and begins anew:

 1. what agreements now let the giver give here, and how far this node is in it (`node.follow.plan_pull`);
 2. channels that are asked anew are pulled to their end (`peers.pull_targets`);
 3. in those that are in step, questions wait at the giver's node (`news.pull_news`), or are asked again after the
    interval where it does not know how to wait;
 4. a channel that failed is asked again after a pause that doubles, whose second half is chance.

A source is pulled to its end, and again after the interval (`sources`). Who has brought in as much as it may on a day
is asked again on the next (`node.allowance`).

Nothing is kept of it but what `node.follow` notes: a crash anywhere goes on at the place of the last page taken in.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from comity.calls import Room, open_client
from comity.errors import ComityError, NotFoundError, QuotaReached, TransitionError
from comity.ids import PartyId
from comity.news import pull_news
from comity.node.allowance import check_allowance, note_paused
from comity.node.follow import REFUSED, Target, list_givers, note_failed, note_in_step, plan_pull, read_plan_mark
from comity.node.node import Node
from comity.node.sources import list_sources, name_source
from comity.peers import Pulled, find_root, pull_targets
from comity.sources import pull_source

__all__ = ["Follower"]

_LOOK_SECONDS = 0.5
_LOOK_ANYWAY = 60
"""Looks after which givers are sought though nothing was changed: the clock opens and closes agreements too."""

_CLIENT_SECONDS = 900.0
"""How long one client is used; then the certificates that are trusted are read anew."""

_AT_ONCE_SECONDS = 0.5
_RANDOM_BYTES = 4
_BUG = "something that should not happen; see the log of the process that serves"

_log = logging.getLogger("comity.following")


@dataclass(slots=True)
class _Channel:
    """When a channel is asked next, by the clock of the loop, and whether the question then waits."""

    due: float = 0.0
    waits: bool = False


class Follower:
    """All that this node follows."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._room = Room(node.settings.follow.at_once)
        self._givers: dict[PartyId, tuple[asyncio.Task[None], asyncio.Event]] = {}
        self._sources: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def follow_always(self) -> None:
        """Follow every partner that may give, for as long as this is not cancelled."""
        seen, looks = None, 0
        try:
            while True:
                mark = read_plan_mark(self._node)
                if mark != seen or looks >= _LOOK_ANYWAY:
                    self._begin(stir=mark != seen)
                    seen, looks = mark, 0
                self._begin_sources()
                looks += 1
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            tasks = [*(task for task, _ in self._givers.values()), *self._sources.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, *, stir: bool) -> None:
        """Have a task for each giver; where agreements have changed, the others plan anew at once."""
        for giver in list_givers(self._node):
            known = self._givers.get(giver)
            if known is None or known[0].done():
                event = asyncio.Event()
                self._givers[giver] = asyncio.create_task(_Giver(self._node, giver, self._room, event).follow()), event
            elif stir:
                known[1].set()

    def _begin_sources(self) -> None:
        """Have a task for each source under its record, and none for what is followed no more."""
        wanted = {(each.stored.name, each.stored.record): each.stored.collection for each in list_sources(self._node)}
        for key in self._sources.keys() - wanted.keys():
            self._sources.pop(key).cancel()
        for key, collection in wanted.items():
            if key not in self._sources or self._sources[key].done():
                source = _Source(self._node, key[0], collection, self._room)
                self._sources[key] = asyncio.create_task(source.follow())


class _Source:
    """One source that is followed, until it is not any more."""

    def __init__(self, node: Node, name: str, collection: str, room: Room) -> None:
        self._node = node
        self._name = name
        self._collection = collection
        self._room = room

    async def follow(self) -> None:
        """Return when there is no such source. Whatever goes wrong is noted, and tried again."""
        while True:
            try:
                async with open_client(self._node) as client:
                    await pull_source(client, self._node, self._name, room=self._room)
                note_in_step(self._node, name_source(self._name), self._collection)
                await asyncio.sleep(self._node.settings.follow.interval_seconds)
            except NotFoundError:
                return
            except QuotaReached:
                await asyncio.sleep(note_paused(self._node, name_source(self._name), [self._collection]))
            except ComityError as error:
                await self._rest(error.detail)
            except Exception:  # noqa: BLE001 (it must go on, and others with it; what it was is in the log of this process)
                _log.exception("the source %s could not be followed", self._name)
                await self._rest(_BUG)

    async def _rest(self, problem: str) -> None:
        await asyncio.sleep(_note_failed(self._node, name_source(self._name), self._collection, problem))


class _Giver:
    """One giver that is followed, until it may give nothing any more."""

    def __init__(self, node: Node, giver: PartyId, room: Room, stir: asyncio.Event) -> None:
        self._node = node
        self._giver = giver
        self._room = room
        self._stir = stir
        self._channels: dict[str, _Channel] = {}

    async def follow(self) -> None:
        """Return when nothing can be pulled from it. Whatever goes wrong is noted, and tried again."""
        while True:
            try:
                async with open_client(self._node) as client:
                    await self._follow_with(client)
            except (NotFoundError, TransitionError):
                return
            except ComityError as error:
                await self._rest(error.detail)
            except Exception:  # noqa: BLE001 (it must go on, and others with it; what it was is in the log of this process)
                _log.exception("%s could not be followed", self._giver)
                await self._rest(_BUG)

    async def _follow_with(self, client: httpx.AsyncClient) -> None:
        """Return when another client has to be made.

        Raises:
            NotFoundError, TransitionError: nothing can be pulled.
            ComityError: nothing of the giver could be asked.
        """
        now = asyncio.get_running_loop().time
        end, root = now() + _CLIENT_SECONDS, None
        while now() < end:
            self._stir.clear()
            targets = plan_pull(self._node, self._giver)
            due = [target for target in targets if self._find(target).due <= now()]
            if not due:
                await self._sleep(min(self._find(target).due for target in targets) - now())
                continue
            if self._pause(targets):
                continue
            if root is None:
                root = await find_root(client, self._node, due[0])
            began = now()
            pulled = await self._ask(client, targets, due, root)
            for result in pulled:
                self._settle(result, seconds=now() - began)
            if any(result.failed is not None for result in pulled):
                return

    async def _ask(
        self, client: httpx.AsyncClient, targets: Sequence[Target], due: Sequence[Target], root: str
    ) -> list[Pulled]:
        """What those brought that are asked anew; if there are none, what those did in which questions wait."""
        node = self._node
        if anew := [target for target in due if not self._find(target).waits]:
            return await pull_targets(client, node, anew, root=root, room=self._room)
        now, most = asyncio.get_running_loop().time(), node.settings.follow.wait_seconds
        others = [self._find(target).due - now for target in targets if target not in due]
        seconds = max(1, int(min([most, *others])))
        return await pull_news(client, node, due, root=root, room=self._room, seconds=seconds, stir=self._stir)

    def _pause(self, targets: Sequence[Target]) -> bool:
        """Whether the giver has brought in as much as it may today: then nothing is asked of it until tomorrow."""
        try:
            check_allowance(self._node, self._giver)
        except QuotaReached:
            seconds = note_paused(self._node, self._giver, [target.collection for target in targets])
            due = asyncio.get_running_loop().time() + seconds
            for target in targets:
                channel = self._find(target)
                channel.due, channel.waits = due, False
            return True
        return False

    def _settle(self, result: Pulled, *, seconds: float) -> None:
        """Note how it went, in so many seconds, and when the channel is asked again."""
        channel, now = self._find(result.target), asyncio.get_running_loop().time()
        if isinstance(result.failed, QuotaReached):
            return  # nothing has failed: the next round pauses
        settings, collection = self._node.settings.follow, result.target.collection
        if (problem := _find_problem(result)) is not None:
            pause = self._note_failed(collection, problem)
            # Whose gate is closed may open it at any time.
            channel.due = now + (min(pause, settings.interval_seconds) if result.withheld else pause)
            channel.waits = False
            return
        if result.in_step:
            note_in_step(self._node, self._giver, collection)
        # Who says at once that there is nothing, though it was asked to wait, is asked after the interval: it does not
        # know how to wait, has no place left, or only says that it waited.
        deaf = (
            channel.waits and result.in_step and not result.pages and (not result.waits or seconds < _AT_ONCE_SECONDS)
        )
        channel.waits = settings.wait_seconds > 0 and not deaf and (result.in_step or channel.waits)
        channel.due = now if channel.waits or not result.in_step else now + settings.interval_seconds

    async def _rest(self, problem: str) -> None:
        """Note for every channel that nothing could be asked, and wait."""
        pauses = [0.0]
        # What cannot be planned or noted now can be none of it after the pause either; it is tried again then.
        with contextlib.suppress(ComityError):
            pauses += [self._note_failed(target.collection, problem) for target in plan_pull(self._node, self._giver)]
        self._channels.clear()
        self._stir.clear()
        await asyncio.sleep(max(pauses) or self._node.settings.follow.interval_seconds)

    def _note_failed(self, collection: str, problem: str) -> float:
        return _note_failed(self._node, self._giver, collection, problem)

    def _find(self, target: Target) -> _Channel:
        return self._channels.setdefault(target.collection, _Channel())

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stir.wait(), seconds)


def _find_problem(result: Pulled) -> str | None:
    if result.refused is not None:
        return f"{REFUSED}: {result.refused.detail}"
    if result.failed is not None:
        return result.failed.detail
    if result.withheld:
        return f"{result.target.giver} releases nothing here now"
    return None


def _note_failed(node: Node, giver: str, collection: str, problem: str) -> float:
    """In how many seconds to try again."""
    fraction = int.from_bytes(node.draw(_RANDOM_BYTES)) / 256**_RANDOM_BYTES
    return note_failed(node, giver, collection, problem, fraction=fraction)
