# SPDX-License-Identifier: Apache-2.0
"""Pure: how much of something may be taken in a time, for many takers at once, within a bound of memory.

A taker has a bucket of tokens that fills at a steady rate up to what it holds. What costs more than is in it is
refused, with how long to wait. What is only known afterwards (the bytes of an answer) is charged afterwards: then the
bucket can be below nothing, and is refused until it has filled again. Time is an argument, in seconds of any clock that
does not go back. So is the shelf on which the buckets stand: one process has a shelf of its own, several share one
(`taxii.tally`).
"""

import ipaddress
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import NamedTuple, Protocol

__all__ = ["Bucket", "Buckets", "OwnShelf", "Shelf", "find_neighbourhood", "is_loopback"]

_MOST_TAKERS = 10_000
_IPV6_NEIGHBOURS = 64
"""The bits that a provider gives to one customer; within them whoever has one address has all."""


class Bucket(NamedTuple):
    """What was in a bucket at a time."""

    tokens: float
    at: float


class Shelf(Protocol):
    """Where buckets stand, a bounded number of them: whoever has not taken for the longest is forgotten."""

    def alone(self) -> AbstractContextManager[None]:
        """Until the block ends nobody else changes a bucket."""

    def find(self, taker: str) -> Bucket | None:
        """The bucket of `taker`, if there is one."""

    def put(self, taker: str, bucket: Bucket) -> None:
        """Let this be the bucket of `taker`."""

    def __len__(self) -> int:
        """How many there are."""


class OwnShelf:
    """The shelf of one process."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._alone = nullcontext()

    def alone(self) -> AbstractContextManager[None]:
        """As `Shelf`: there is nobody else."""
        return self._alone

    def find(self, taker: str) -> Bucket | None:
        """As `Shelf`."""
        return self._buckets.get(taker)

    def put(self, taker: str, bucket: Bucket) -> None:
        """As `Shelf`."""
        if taker not in self._buckets and len(self._buckets) >= _MOST_TAKERS:
            self._buckets.popitem(last=False)
        self._buckets[taker] = bucket
        self._buckets.move_to_end(taker)

    def __len__(self) -> int:
        """As `Shelf`."""
        return len(self._buckets)


class Buckets:
    """One bucket for each taker, full at first: `rate` tokens a second, `most` tokens at once."""

    def __init__(self, *, rate: float, most: float, shelf: Shelf | None = None) -> None:
        self._rate = rate
        self._most = most
        self._shelf = OwnShelf() if shelf is None else shelf

    def __len__(self) -> int:
        return len(self._shelf)

    def wait(self, taker: str, *, now: float) -> float:
        """The seconds until `taker` has a token; 0 when it has one. Nothing is taken."""
        tokens = self._fill(taker, now)
        return 0.0 if tokens >= 1 else (1 - tokens) / self._rate

    def charge(self, taker: str, cost: float, *, now: float) -> None:
        """Take `cost` tokens, whether they are there or not.

        Who is forgotten for want of room begins again with a full bucket.
        """
        with self._shelf.alone():
            self._shelf.put(taker, Bucket(self._fill(taker, now) - cost, now))

    def _fill(self, taker: str, now: float) -> float:
        bucket = self._shelf.find(taker)
        if bucket is None:
            return self._most
        return min(self._most, bucket.tokens + max(0.0, now - bucket.at) * self._rate)


@lru_cache(maxsize=4_096)
def find_neighbourhood(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 address; any other text as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:  # noqa: PLR2004 (the version of IP)
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((int(parsed), _IPV6_NEIGHBOURS), strict=False))


@lru_cache(maxsize=4_096)
def is_loopback(address: str) -> bool:
    """Whether the text is an address of this machine alone."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
