# SPDX-License-Identifier: Apache-2.0
"""Shell: one operation, and what must follow it before it is answered.

 1. the operation itself, which commits;
 2. if it can have closed a gate: wait until no answer given under the agreement is under way any more (DRAIN);
    if it deleted objects: wait until no process of the node has them in memory;
    if it took in objects: a parser reads those of their patterns that it has to, bounded in time, and what it found is
    said;
 3. if it queued messages: one try to deliver them, bounded in time, and who has not acknowledged yet is said;
 4. if it gave the log another key: the witnesses are asked at once, bounded in time, and who has not cosigned is said.

The serving process and a command that is alone with the store both answer through `act`, so that neither differs. What
time brings (`node.upkeep`) the serving process does by itself; a command that is alone does it first, so that what it
says is what stands.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from comity.agreement.people import Person
from comity.errors import ComityError
from comity.ids import AgreementId
from comity.node.node import Node, inspect_node, open_node
from comity.node.outbox import list_due
from comity.node.upkeep import keep_up
from comity.operations.checking import Checking, describe_patterns
from comity.operations.outcome import Tell
from comity.operations.reply import Json, Reply, fail_with
from comity.operations.table import perform

__all__ = ["DELIVERY_SECONDS", "STOP_DELIVERY_SECONDS", "Surroundings", "act", "act_alone", "open_alone"]

CHECK_SECONDS = 5.0
"""How long an answer waits for patterns to be read; what is not read by then is read later, and withheld until then."""

DELIVERY_SECONDS = 3.0
"""How long an answer waits for partners' nodes; what is not delivered by then is delivered later."""

STOP_DELIVERY_SECONDS = 0.5
"""The same where something was stopped: it is, whether partners know of it or not, and who stopped it wants to know."""


COSIGN_SECONDS = 3.0
"""How long an answer waits for witnesses; who has not cosigned by then is asked again later."""


OF_COPIES: Final = frozenset(
    f"log.{name}" for name in ("show", "list", "figures", "checkpoint", "relationships", "prove", "receipt", "refused")
)
"""What a copy of a node without its keys is asked: reading alone, of which nothing is signed."""


class Surroundings(Protocol):
    """What an operation has around it."""

    async def drain(self, agreement: AgreementId) -> None:
        """Return when nothing given under `agreement` is under way."""

    async def forget(self) -> None:
        """Return when no page with what was deleted is in the memory of any process."""

    async def check(self, *, seconds: float) -> None:
        """Have patterns read that wait for it; return within `seconds`, whatever happened."""

    async def deliver(self, *, seconds: float) -> None:
        """Try to deliver what is queued; return within `seconds`, whatever happened."""

    async def cosign(self, *, seconds: float) -> None:
        """Ask every witness for the head that there is; return within `seconds`, whatever happened."""


async def act(
    node: Node,
    operation: str,
    arguments: Mapping[str, Json],
    *,
    around: Surroundings,
    by: Person | None = None,
    tell: Tell | None = None,
) -> Reply:
    """What became of the operation, asked by a person or by whoever controls the folder; known failures are replies."""
    try:
        outcome = await perform(node, operation, arguments, by=by, tell=tell)
        if outcome.stops is not None:
            await around.drain(outcome.stops)
        if outcome.deletes:
            await around.forget()
        result = outcome.result
        if outcome.checks is not None:
            await around.check(seconds=CHECK_SECONDS)
            result = {**result, **(await describe_patterns(node, outcome.checks))}
        if outcome.sends is not None:
            from comity.operations.standing import describe_waiting

            await around.deliver(seconds=DELIVERY_SECONDS if outcome.stops is None else STOP_DELIVERY_SECONDS)
            result = {**result, "waiting": describe_waiting(node, outcome.sends)}
        if outcome.tells:
            from comity.operations.rotation import describe_uncosigned, describe_untold

            await around.deliver(seconds=DELIVERY_SECONDS)
            # Witnesses that are partners have to have the manifest first. Until a quorum has cosigned under the new
            # key, partners who ask for one take nothing in.
            await around.cosign(seconds=COSIGN_SECONDS)
            result = {
                **result,
                "waiting": describe_untold(node, result),
                "uncosigned": describe_uncosigned(node),
            }
        return Reply(code=outcome.code, result=result)
    except ComityError as error:
        return fail_with(error)


class _Alone:
    """A command with the store to itself: nothing is being sent, and one try is all the delivery there is."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def drain(self, agreement: AgreementId) -> None:
        """Nothing to wait for: no other process can have an answer under way, as this one owns the store."""

    async def forget(self) -> None:
        """Nothing to do: the deletion itself has cleared the memory of this process (`node.retention`)."""

    async def check(self, *, seconds: float) -> None:
        """One try. What is not read stays withheld: no failure here may be told as a failure of the act."""
        checking = Checking(self._node)
        try:
            with contextlib.suppress(TimeoutError, ComityError):
                await asyncio.wait_for(checking.check(), seconds)
        finally:
            await checking.close()

    async def deliver(self, *, seconds: float) -> None:
        """One try. The act is on record whatever becomes of it: no failure here may be told as a failure of the act."""
        with contextlib.suppress(TimeoutError, ComityError):
            if not list_due(self._node):
                return
            from comity.peers import deliver

            await asyncio.wait_for(deliver(self._node), seconds)

    async def cosign(self, *, seconds: float) -> None:
        """One try, of which nothing is told as a failure of the act."""
        with contextlib.suppress(TimeoutError, ComityError):
            if not self._node.settings.witnesses:
                return
            from comity.witnessing import gather_cosignatures

            await asyncio.wait_for(gather_cosignatures(self._node), seconds)


def act_alone(
    folder: Path,
    operation: str,
    arguments: Mapping[str, Json],
    unlock: Callable[[], bytes] | None = None,
    tell: Tell | None = None,
) -> Reply:
    """What became of the operation on the node in `folder`, which no other process owns.

    A copy without keys, as an auditor has it, is read and not opened, where the operation is of those that only read.

    `unlock` gives the passphrase of its keys, if they have one; `tell` is told by long work how far it is.

    Raises:
        StoreBusy: another process owns it.
        ComityError: the node cannot be opened.
    """
    if operation in OF_COPIES and not (folder / "keys").exists():
        with contextlib.closing(inspect_node(folder)) as node:
            return asyncio.run(act(node, operation, arguments, around=_Alone(node), tell=tell))
    with open_alone(folder, unlock, tell) as carry_out:
        return carry_out(operation, arguments)


@contextlib.contextmanager
def open_alone(
    folder: Path, unlock: Callable[[], bytes] | None = None, tell: Tell | None = None
) -> Iterator[Callable[[str, Mapping[str, Json]], Reply]]:
    """`act_alone` for several operations, one after another, with the node open all the while: nobody else has it.

    Raises:
        StoreBusy: another process owns it.
        ComityError: the node cannot be opened.
    """
    node = open_node(folder, unlock)
    try:
        with contextlib.suppress(Exception):  # whatever this was: it must not keep the operation, a stop perhaps, away
            keep_up(node)
        yield lambda operation, arguments: asyncio.run(act(node, operation, arguments, around=_Alone(node), tell=tell))
    finally:
        node.close()
