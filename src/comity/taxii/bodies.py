# SPDX-License-Identifier: Apache-2.0
"""Shell: how many bytes of bodies this process holds, of which asker, from their first byte until they are dealt with.

Nobody is given more than half of what the others leave of the budget: so there is always as much left as the one who
holds most has, and one who floods leaves a half, two leave a quarter. A short body always fits, until so many are there
that the whole budget is used up.

Only what came is counted, never what was announced: to announce costs nothing, and would keep room from others.
"""

from collections import Counter
from types import TracebackType
from typing import Self

from comity.errors import RateLimited, UnavailableError

__all__ = ["SHORT_BYTES", "Bodies", "Hold"]

SHORT_BYTES = 64 * 1024
"""Of all that one asker has here at a time: so little is not held against it."""

RETRY_SECONDS = 2


class Bodies:
    """The bodies of one process, within a budget of `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._by_taker: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Bytes now held, of everybody."""
        return self._held

    def begin(self) -> "Hold":
        """The bytes of one body, none as yet, until the block ends."""
        return Hold(self)

    def take(self, taker: str, size: int) -> None:
        """Hold so many bytes more for `taker`.

        Raises:
            RateLimited: it holds as much as it may beside the others.
            UnavailableError: there is no room, and it holds next to nothing.
        """
        mine = self._by_taker[taker]
        free = self._most - self._held
        if size > free or (mine + size > SHORT_BYTES and mine + size > (free + mine) // 2):
            if mine > SHORT_BYTES:
                raise RateLimited(
                    "this party is sending as much as it may here at once; send one envelope after another",
                    retry_after=RETRY_SECONDS,
                )
            raise UnavailableError(
                "as much is being sent to this node as it can hold; raise `held_bytes` under [limits] in node.toml if"
                " the machine has the memory",
                retry_after=RETRY_SECONDS,
            )
        self._held += size
        self._by_taker[taker] = mine + size

    def give_back(self, taker: str, size: int) -> None:
        """Hold so many bytes less for `taker`."""
        self._held -= size
        self._by_taker[taker] -= size
        if not self._by_taker[taker]:
            del self._by_taker[taker]


class Hold:
    """The bytes of one body, while the block lasts."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._taker = ""
        self._size = 0

    def add(self, taker: str, size: int) -> None:
        """Hold so many bytes more; it is always the same who sends one body.

        Raises:
            RateLimited, UnavailableError: as `Bodies.take`.
        """
        self._bodies.take(taker, size)
        self._taker = taker
        self._size += size

    def drop(self) -> None:
        """Hold nothing of it any more."""
        if self._size:
            self._bodies.give_back(self._taker, self._size)
            self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()
