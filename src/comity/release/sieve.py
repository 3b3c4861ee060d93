# SPDX-License-Identifier: Apache-2.0
"""Pure: the clause table read for many labels against many scopes: sets of labels are integers, a bit for each label.

    sieve = Sieve(inventory)                                  once for what is held
    sieve.sort(scope, recipient=party)                        the labels admitted, and those that each clause refuses

Beside `release.facets`, which holds a scope against every facet, for whoever has a thousand scopes: what a clause
refuses is worked out once for each set of words that scopes allow, and only facets that say one of these words are
looked at, for no other can hold. Each of those is tested by the clause table itself.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from comity.agreement.terms import Scope
from comity.ids import PartyId
from comity.release.clauses import CLAUSES, Clause, Groups, Test, admits_groups
from comity.release.facets import FACETS, GRANULAR, Inventory

__all__ = ["Sieve", "Sifted"]

_BY_NAME = {clause.name: clause for clause in CLAUSES}
_IN_ORDER = tuple(_BY_NAME[name] for name in FACETS if name in _BY_NAME)
"""The clauses in the order in which a refusal is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """The labels that a scope admits by the clause table, and those that each clause is the first to refuse."""

    admitted: int
    refused: Mapping[str, int]


@dataclass(slots=True, kw_only=True)
class _Row:
    """What is said to one clause: which facets say a word, which say nothing, and who has each."""

    groups: dict[str, Groups] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    by_word: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    silent: list[str] = field(default_factory=list)
    all: int = 0

    def list_candidates(self, test: Test, allowed: frozenset[str]) -> set[str]:
        """The facets of which the clause can hold where these words are allowed."""
        if test is Test.WITHIN:
            return set(self.groups)
        # Every group of a facet has to have a word that is allowed, or there is no group.
        return {*self.silent, *(key for word in allowed for key in self.by_word.get(word, ()))}


class Sieve:
    """The labels of an inventory, by what they say."""

    def __init__(self, inventory: Inventory) -> None:
        self.labels = tuple(inventory.labels)
        having = defaultdict[str, list[int]](list)
        for bit, keys in enumerate(inventory.labels.values()):
            for key in keys:
                having[key].append(bit)
        self._rows = {clause.name: _Row() for clause in CLAUSES}
        self.marked = dict[str, int]()
        for key, bits in having.items():
            facet, labels = inventory.facets[key], _unite(bits)
            if facet.clause == GRANULAR:
                self.marked[key] = labels
            elif facet.clause in self._rows:
                _put(self._rows[facet.clause], key, facet.groups, labels)
        self._refused = dict[tuple[str, frozenset[str]], int]()

    def sort(self, scope: Scope, *, recipient: PartyId) -> Sifted:
        """Every label in use, by the clause table alone, as `release.preview.sort_labels` sorts them."""
        left, refused = (1 << len(self.labels)) - 1, dict[str, int]()
        for clause in _IN_ORDER:
            allowed = clause.allowed(scope, recipient)
            here = 0 if allowed is None else left & self._find_refused(clause, allowed)
            if here:
                refused[clause.name] = here
                left &= ~here
        return Sifted(admitted=left, refused=refused)

    def find_first(self, labels: int) -> int:
        """The first of some labels."""
        return self.labels[(labels & -labels).bit_length() - 1]

    def list_labels(self, labels: int) -> list[int]:
        """The labels of a set, in the order of the inventory."""
        return [self.labels[bit] for bit, sign in enumerate(f"{labels:b}"[::-1]) if sign == "1"]

    def _find_refused(self, clause: Clause, allowed: frozenset[str]) -> int:
        key = clause.name, allowed
        if key not in self._refused:
            row, admitted = self._rows[clause.name], 0
            for facet in row.list_candidates(clause.test, allowed):
                if admits_groups(clause.test, row.groups[facet], allowed):
                    admitted |= row.labels[facet]
            self._refused[key] = row.all & ~admitted
        return self._refused[key]


def _put(row: _Row, key: str, groups: Groups, labels: int) -> None:
    row.groups[key], row.labels[key] = groups, labels
    row.all |= labels
    if not groups:
        row.silent.append(key)
    for word in frozenset[str]().union(*groups):
        row.by_word[word].append(key)


def _unite(bits: Sequence[int]) -> int:
    """The integer in which these bits are set; the last of them is the highest."""
    united = bytearray(bits[-1] // 8 + 1)
    for bit in bits:
        united[bit >> 3] |= 1 << (bit & 7)
    return int.from_bytes(united, "little")
