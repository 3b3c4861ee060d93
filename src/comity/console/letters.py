# SPDX-License-Identifier: Apache-2.0
"""Shell: what people have partners told or asked by the console; a button that is pressed twice sends one letter.

A letter cannot be called back once it has left, and a partner that gets two of them has to answer both. What is asked
again in the same words by the same person a moment later gets the reply of the first, which may still be under way. Two
sessions of one person, and the console beside the command line, are not told apart here from one: only the words count.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from comity.canonical import Json, sha256_digest
from comity.ids import Digest, PersonId
from comity.operations.reply import Exit, Reply

__all__ = ["LETTERS", "Letters"]

LETTERS: Final = frozenset({"agreement.answer", "agreement.clarify", "consent.request", "request.send"})
"""The operations that send a letter each time. Of all others the second finds that the first was done."""

_SECONDS: Final = 10.0
_MOST: Final = 1_000
_SENT: Final = frozenset({Exit.DONE, Exit.WAITING})


class Letters:
    """The letters of the last seconds, and those that are on their way."""

    def __init__(self) -> None:
        self._sent: dict[Digest, tuple[float, asyncio.Future[Reply]]] = {}

    async def ask_once(
        self,
        person: PersonId,
        operation: str,
        arguments: Mapping[str, Json],
        ask: Callable[[], Awaitable[Reply]],
    ) -> Reply:
        """The reply of `ask`, which has the operation done, or of the same a moment ago; what failed is asked again."""
        now, key = time.monotonic(), _name(person, operation, arguments)
        kept = ((one, found) for one, found in self._sent.items() if now - found[0] < _SECONDS or not found[1].done())
        self._sent = dict(kept)
        if key not in self._sent:
            if len(self._sent) >= _MOST:
                del self._sent[next(iter(self._sent))]
            self._sent[key] = now, asyncio.ensure_future(ask())
        _, sent = self._sent[key]
        try:
            # Whoever pressed first may be gone, whose reply the second waits for.
            reply = await asyncio.shield(sent)
        except BaseException:
            if sent.done():
                self._forget(key, sent)
            raise
        if reply.code not in _SENT:
            self._forget(key, sent)
        return reply

    def _forget(self, key: Digest, sent: asyncio.Future[Reply]) -> None:
        if key in self._sent and self._sent[key][1] is sent:
            del self._sent[key]


def _name(person: PersonId, operation: str, arguments: Mapping[str, Json]) -> Digest:
    # Whatever a form holds, a half of a character too: it is the operation that refuses it.
    return sha256_digest(json.dumps([person, operation, dict(arguments)], sort_keys=True).encode())
