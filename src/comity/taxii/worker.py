# SPDX-License-Identifier: Apache-2.0
"""Shell: what a worker does: it answers partners, and what the first process says (`taxii.workers`).

It is told to stop over its channel alone. The end of the channel is the end of the first process, and ends this one.
"""

import asyncio
import contextlib
import os
import socket

from comity.errors import ComityError
from comity.ids import AgreementId, Digest
from comity.node.node import Node, join_node
from comity.taxii.channel import Channel, Values, open_channel
from comity.taxii.listen import SharedListener, TaxiiServer, Together
from comity.taxii.tally import Tally
from comity.taxii.tuning import tune
from comity.taxii.workers import Given

__all__ = ["work"]

_LAST_WORD_SECONDS = 1.0


async def work(given: Given) -> None:
    """Answer partners until the first process says to stop, or has gone. This process does not outlive it."""
    worker = _Working(given)
    worker.channel = await open_channel(socket.socket(fileno=given.channel), worker.handle, _end)
    try:
        node = join_node(given.folder, given.settings, lock=given.lock, turns=given.turns, passphrase=given.passphrase)
        try:
            await worker.serve(node)
        finally:
            node.close()
    except ComityError as error:
        with contextlib.suppress(ComityError, TimeoutError):
            await asyncio.wait_for(worker.channel.ask("failed", detail=error.detail), _LAST_WORD_SECONDS)
        os._exit(1)
    await asyncio.Event().wait()  # the end of the channel ends this process


def _end() -> None:
    """End with nothing more to do: whatever was committed is committed, and nobody is left to be told."""
    os._exit(0)


class _Working:
    """What this process does for the first one.

    A poll commits and its answer is registered with `Sends` without a pause in between on this event loop
    (`taxii.polls`). A drain is dealt with on the same loop, and was sent after the COMMIT of the stop. So whatever poll
    committed before that COMMIT is registered when the drain looks, and whatever comes later reads the stop. This must
    stay true: an `await` between a poll's COMMIT and its registration would let bytes go after `suspend` has returned.
    """

    channel: Channel

    def __init__(self, given: Given) -> None:
        self._given = given
        self._server: TaxiiServer | None = None
        self._stopped = asyncio.Event()

    async def serve(self, node: Node) -> None:
        """Answer partners until told to stop."""
        given = self._given
        tally = Tally(given.tally)
        together = Together(
            listener=SharedListener(given.listener, tally.door(given.number).has_more_than_another),
            tally=tally,
            number=given.number,
            drain=self._drain_all,
            heard=lambda: self.channel.tell("heard"),
        )
        self._server = TaxiiServer(node, given.settings.listen, together)
        # Known as one that may answer before the first connection is taken: every drain from here on comes here too.
        await self.channel.ask("enter")
        await self._server.start()
        tune()
        self.channel.tell("listening")
        await self._stopped.wait()

    async def handle(self, word: str, values: Values) -> Values:
        """The answer to what the first process says."""
        server = self._server
        if server is None:
            raise RuntimeError(f"{word!r} came before this worker had entered")
        match word:
            case "drain":
                await server.drain(AgreementId(str(values["agreement"])))
            case "forget":
                await server.forget()
            case "reload":
                return await _reload(server)
            case "figures":
                return {"counted": server.count_requests()}
            case "stop":
                cut = await server.stop()
                self._stopped.set()
                return {"cut": cut}
            case _:
                raise RuntimeError(f"{word!r} is not understood")
        return {}

    async def _drain_all(self, agreement: AgreementId, event: Digest) -> None:
        """Return when no process, this one included, has an answer under way that was given before `event`."""
        await self.channel.ask("drain", agreement=agreement, event=event)


async def _reload(server: TaxiiServer) -> Values:
    try:
        await server.reload()
    except ComityError as error:
        return {"failed": error.detail}
    return {}
