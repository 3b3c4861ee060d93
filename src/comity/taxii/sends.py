# SPDX-License-Identifier: Apache-2.0
"""Shell: the answers on their way out, by agreement, so that a suspension can wait for the last byte (DRAIN).

A poll commits and its answer is registered here without a pause in between (`taxii.polls`). `drain` runs after the
suspension's COMMIT: no new answer can come, and it returns when every earlier one has been handed to the operating
system or cut. What the operating system already holds is out of this process's reach, and counts as sent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from comity.ids import AgreementId, Digest

__all__ = ["GRACE_SECONDS", "WRITE_DEADLINE_SECONDS", "Sending", "Sends", "Stops"]

WRITE_DEADLINE_SECONDS = 120.0
"""How long a reader may take for one answer before it is cut."""

GRACE_SECONDS = 2.0
"""How long a suspension waits for answers under way before it cuts them."""

_MOST_STOPS = 10_000


@dataclass(slots=True, eq=False)
class Sending:
    """One answer on its way; `abort` drops its connection and what is not yet handed over."""

    agreement: AgreementId
    abort: Callable[[], None]
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Sends:
    """The answers under way in this process."""

    def __init__(self) -> None:
        self._under_way: dict[AgreementId, set[Sending]] = {}

    def register(self, agreement: AgreementId, abort: Callable[[], None]) -> Sending:
        """One answer that is under way from now on: until `release`, or the end of `following`."""
        sending = Sending(agreement, abort)
        self._under_way.setdefault(agreement, set()).add(sending)
        return sending

    def release(self, sending: Sending) -> None:
        """The answer has ended; nothing of it is left to be sent."""
        sending.done.set()
        left = self._under_way[sending.agreement]
        left.discard(sending)
        if not left:
            del self._under_way[sending.agreement]

    @asynccontextmanager
    async def following(self, sending: Sending) -> AsyncIterator[None]:
        """Send a registered answer in the block; its end is the end of sending."""
        try:
            async with asyncio.timeout(WRITE_DEADLINE_SECONDS):
                yield
        except BaseException:
            # Bytes may still be in a buffer of ours: drop them, so that the end of this block is the end of sending.
            sending.abort()
            raise
        finally:
            self.release(sending)

    @asynccontextmanager
    async def sending(self, agreement: AgreementId, abort: Callable[[], None]) -> AsyncIterator[None]:
        """Register one answer until the block ends."""
        async with self.following(self.register(agreement, abort)):
            yield

    async def drain(self, agreement: AgreementId) -> int:
        """How many answers had to be cut; when it returns, nothing under `agreement` is under way.

        Call it after the COMMIT of what closed the gate.
        """
        waiting = list(self._under_way.get(agreement, ()))
        if not waiting:
            return 0
        everything = asyncio.gather(*(sending.done.wait() for sending in waiting))
        try:
            await asyncio.wait_for(asyncio.shield(everything), GRACE_SECONDS)
        except TimeoutError:
            cut = [sending for sending in waiting if not sending.done.is_set()]
            for sending in cut:
                sending.abort()
            await everything
            return len(cut)
        return 0


class Stops:
    """The messages that closed a gate, each waited for once by all who bring it, however often it is repeated.

    Who brings one again must not be told that it is done while the first one still waits: nor, where several processes
    serve, if the one that took it ended before it could wait. And nobody can cut answers by repeating what was done.
    """

    def __init__(self, drain: Callable[[AgreementId], Awaitable[object]]) -> None:
        self._drain = drain
        self._begun: OrderedDict[Digest, asyncio.Future[object]] = OrderedDict()

    async def settle(self, agreement: AgreementId, event: Digest) -> None:
        """Return when nothing is under way that was given under `agreement` before `event` was on record."""
        draining = self._begun.get(event)
        if draining is None or (draining.done() and (draining.cancelled() or draining.exception() is not None)):
            draining = self._begun[event] = asyncio.ensure_future(self._drain(agreement))
            if len(self._begun) > _MOST_STOPS:
                self._begun.popitem(last=False)
        await asyncio.shield(draining)
