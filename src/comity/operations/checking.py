# SPDX-License-Identifier: Apache-2.0
"""Shell: patterns that wait for a parser are read, by a process of its own, and what it says is put on record.

The process (`operations.parser`) starts when there is something to read. It inherits nothing of this one: neither the
lock of the store nor a connection. A crash on any line, of either process, leaves patterns unread: what holds them is
withheld, and the next run reads them.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Sequence
from contextlib import suppress

from comity.errors import UnavailableError
from comity.ids import ObjectId
from comity.node.node import Node
from comity.node.patterns import DuePattern, has_due, keep_said, list_due, read_concerns, show_in_steps
from comity.node.steps import advance
from comity.operations.reply import Json

__all__ = ["Checking", "describe_patterns"]

_CHARACTERS_AT_ONCE = 200_000
_ANSWER_SECONDS = 120.0
"""For so many characters, which take some six seconds: the machine may be busy, and they come last."""

_ANSWER_BYTES = 16 * 1024 * 1024
_LOOKED_UP_AT_ONCE = 500


class Checking:
    """The patterns of one node, read whenever they are due; use it on one event loop and `close` it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def check(self) -> None:
        """Read all that is due, and have the labels follow; often nothing is.

        Raises:
            UnavailableError: the process could not be started, or gave no answer; what is not read stays due.
            StoreFull: what was said could not be kept.
        """
        async with self._turn:
            if not has_due(self._node):
                return
            await self._show()
            while due := list_due(self._node):
                for some in _divide(due):
                    said = await self._ask([item.text for item in some])
                    keep_said(self._node, {item.id: one for item, one in zip(some, said, strict=False)})
                await self._show()

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        assert process.stdin is not None  # noqa: S101 (it is a pipe)
        process.stdin.close()
        await process.wait()

    async def _show(self) -> None:
        steps = show_in_steps(self._node)
        while advance(steps) is None:  # noqa: ASYNC110 (nothing is waited for: others get their turn)
            await asyncio.sleep(0)

    async def _ask(self, patterns: Sequence[str]) -> list[str | None]:
        """What is wrong with each; of the first ones only, where the process has ended with the last of these."""
        try:
            process = self._process = self._process or await _start()
            assert process.stdin is not None  # noqa: S101 (they are pipes)
            assert process.stdout is not None  # noqa: S101
            process.stdin.write(json.dumps([*patterns]).encode() + b"\n")
            async with asyncio.timeout(_ANSWER_SECONDS):
                await process.stdin.drain()
                answers, goes_on = json.loads(await process.stdout.readline())
        except (OSError, ValueError, TimeoutError) as error:
            await self.close()
            raise UnavailableError(
                f"the process that reads patterns gave no answer ({type(error).__name__}): it is asked again"
            ) from error
        except BaseException:
            await self.close()  # an answer that nobody waited for must not be taken for that of the next question
            raise
        if not goes_on:
            await self.close()
        return [None if one is None else str(one) for one in answers]


async def describe_patterns(node: Node, ids: frozenset[ObjectId]) -> dict[str, Json]:
    """What a parser said of the patterns of objects that came in, and how many it has not read."""
    problems, waiting, listed = list[Json](), 0, sorted(ids)
    for first in range(0, len(listed), _LOOKED_UP_AT_ONCE):
        await asyncio.sleep(0)
        concerns = read_concerns(node, frozenset(listed[first : first + _LOOKED_UP_AT_ONCE]))
        problems += [{"id": name, "message": problem} for name, problem in concerns.problems.items()]
        waiting += concerns.waiting
    return {"unparsable": problems, "unchecked": waiting}


async def _start() -> Process:
    # -P: not from whatever lies in the folder that this process was started in.
    command = (sys.executable, "-P", "-m", "comity.operations.parser", str(os.getpid()))
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_ANSWER_BYTES)


def _divide(due: Sequence[DuePattern]) -> Iterator[list[DuePattern]]:
    """In their order, so many characters at once, but at least one pattern."""
    some, size = list[DuePattern](), 0
    for item in due:
        if some and size + len(item.text) > _CHARACTERS_AT_ONCE:
            yield some
            some, size = [], 0
        some.append(item)
        size += len(item.text)
    if some:
        yield some
