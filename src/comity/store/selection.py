# SPDX-License-Identifier: Apache-2.0
"""Shell: what is asked of a feed, and what is found in it, as values."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

from comity.ids import Digest, Instant, ObjectId

__all__ = ["Candidates", "Selection", "VersionChoice"]

_INSTANT_CHARACTERS = 20
_WORD_CHARACTERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChoice:
    """`match[version]` (TAXII 2.1 §3.4.1): of `last`, `first`, `all`, and exact versions, whichever is asked for."""

    last: bool = True
    first: bool = False
    every: bool = False
    exact: frozenset[Instant] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a request asks of a feed; empty sets ask for everything."""

    after: Instant
    ids: frozenset[ObjectId] = frozenset()
    types: frozenset[str] = frozenset()
    spec_versions: frozenset[str] = frozenset()
    versions: VersionChoice = VersionChoice()

    def count_characters(self) -> int:
        """About how long the request is; the room that each word takes besides counts as forty more."""
        words = list(chain(self.ids, self.types, self.spec_versions))
        return sum(map(len, words)) + _WORD_CHARACTERS * len(words) + _INSTANT_CHARACTERS * len(self.versions.exact)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Objects that were released in a feed, column by column, in release order. A candidate is not a permission.

    `data` is empty bytes where the objects themselves were not asked for.
    """

    at: tuple[Instant, ...] = ()
    id: tuple[ObjectId, ...] = ()
    version: tuple[str, ...] = ()
    digest: tuple[Digest, ...] = ()
    label: tuple[int, ...] = ()
    first_seq: tuple[int, ...] = ()
    added_at: tuple[Instant, ...] = ()
    data: tuple[bytes, ...] = ()

    def pick(self, kept: Iterable[bool]) -> "Candidates":
        """Those for which `kept` is true."""
        chosen = [*kept]
        return Candidates(*(tuple(compress(column, chosen)) for column in self.columns()))

    def __getitem__(self, places: slice) -> "Candidates":
        return Candidates(*(column[places] for column in self.columns()))

    def __add__(self, others: "Candidates") -> "Candidates":
        return Candidates(*(one + other for one, other in zip(self.columns(), others.columns(), strict=True)))

    def __len__(self) -> int:
        return len(self.at)

    def columns(self) -> tuple[tuple[Any, ...], ...]:
        """The columns, in their order."""
        return (self.at, self.id, self.version, self.digest, self.label, self.first_seq, self.added_at, self.data)
