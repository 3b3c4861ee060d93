# SPDX-License-Identifier: Apache-2.0
"""Shell: polls that come at the same time share one commit.

Whatever has arrived when the event loop gets to it is answered in one transaction, so that sixteen pollers wait for the
disk once. Nobody waits for others to come. Between the commit and the registration of its answers with `Sends` there is
no pause: a suspension finds each answer not yet decided, or under way.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from comity.errors import ComityError, NotFoundError
from comity.node.node import Node
from comity.node.poll import Page, PollRequest, poll_together, prepare_together
from comity.taxii.sends import Sending, Sends

__all__ = ["Polls"]

_MOST_TOGETHER = 128
_MOST_SECONDS = 0.05
"""Bounds on how long one transaction takes, and the others wait for it: after the poll that is over it, it ends."""

_HEAD_SECONDS = 0.05
"""How far the head of the log that is kept outside the store may stay behind the polls. Other acts keep it at once."""

_Answer = tuple[Page, Sending]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    request: PollRequest
    abort: Callable[[], None]
    answer: "asyncio.Future[_Answer]"


class Polls:
    """The polls of one node that wait for their transaction."""

    def __init__(self, node: Node, sends: Sends) -> None:
        self._node = node
        self._sends = sends
        self._waiting: list[_Waiting] = []
        self._keeping: asyncio.TimerHandle | None = None
        self._queuing = False

    async def ask(self, request: PollRequest, abort: Callable[[], None]) -> _Answer:
        """The page, committed, and its answer, registered: whoever gets it follows or releases it.

        Raises:
            NotFoundError: no such collection for who asks, or nothing is in force.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Answer] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._take)
        self._waiting.append(_Waiting(request=request, abort=abort, answer=answer))
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._sends.release(answer.result()[1])
            raise

    def _take(self) -> None:
        """Answer what waits, once it is this process's turn: until then more may come, and share the commit."""
        if self._node.turns is None:
            self._take_now()
            return
        with suppress(ComityError):  # whatever it is, it is found again where it is told
            prepare_together(self._node, [waiting.request for waiting in self._waiting[:_MOST_TOGETHER]])
        self._take_or_wait()

    def _take_or_wait(self) -> None:
        turns = self._node.turns
        assert turns is not None  # noqa: S101 (there are other processes)
        if turns.take():
            try:
                self._take_now()
            finally:
                turns.give_back()
        elif not self._queuing:
            self._queuing = True
            waiting = asyncio.get_running_loop().run_in_executor(None, turns.wait)
            waiting.add_done_callback(self._take_in_turn)

    def _take_in_turn(self, _: "asyncio.Future[None]") -> None:
        self._queuing = False
        self._take_or_wait()

    def _take_now(self) -> None:
        """Answer what waits; what is over a bound waits for the next turn."""
        taken, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._take)
        self._answer([waiting for waiting in taken if not waiting.answer.cancelled()])

    def _answer(self, taken: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + _MOST_SECONDS
        requests = [waiting.request for waiting in taken]
        try:
            pages = poll_together(self._node, requests, is_enough=lambda: loop.time() > end) if taken else []
        except Exception as error:  # noqa: BLE001 (it is told to whoever asked, and becomes a status there)
            if len(taken) > 1:
                # Everything was undone. Whose request it was is not known: each is asked by itself.
                for waiting in taken:
                    self._answer([waiting])
            else:
                taken[0].answer.set_exception(error)
            return
        if self._keeping is None:
            self._keeping = loop.call_later(_HEAD_SECONDS, self._keep_head)
        if left := taken[len(pages) :]:
            # Behind them whoever has come meanwhile: in the order in which they came.
            self._waiting = left + self._waiting
            loop.call_soon(self._take)
        for waiting, page in zip(taken, pages, strict=False):
            if page is None:
                waiting.answer.set_exception(NotFoundError("there is no such collection for who asks"))
            else:
                waiting.answer.set_result((page, self._sends.register(page.agreement, waiting.abort)))

    def _keep_head(self) -> None:
        self._keeping = None
        self._node.keep_head()
