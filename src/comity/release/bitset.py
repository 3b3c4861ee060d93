# SPDX-License-Identifier: Apache-2.0
"""Pure: the clause table read with integers: a word is a bit, and a set of words is one number.

For whoever holds many labels against many scopes at once. The words of the labels are interned first, clause by clause;
from then on a test is one AND of two integers.

    bits = intern_words(labels)
    readied = [read_label_bits(label, bits) for label in labels]            once for each label
    wanted = read_scope_bits(scope, recipient=party, bits=bits)             once for each scope and recipient
    [admits_bits(wanted, one) for one in readied]

A label must be one of those whose words were interned. The words that only a scope knows share one bit above all
others, which none of these labels has. What the tests mean is said in `release.clauses`, and this reading stands beside
the others there.
"""

from collections.abc import Iterable, Mapping

from comity.agreement.terms import Scope
from comity.ids import PartyId
from comity.release.clauses import CLAUSES, SILENCE_PASSES, Test
from comity.stix.labels import Label

__all__ = ["Bits", "LabelBits", "ScopeBits", "admits_bits", "intern_words", "read_label_bits", "read_scope_bits"]

Bits = tuple[Mapping[str, int], ...]
"""For each clause, in the order of the table: word → the integer in which only the bit of that word is set."""

LabelBits = tuple[tuple[int, ...], ...]
"""For each clause one integer for each group of words; a group in which nothing is said is 0."""

ScopeBits = tuple[int | None, ...]
"""For each clause the words allowed in one integer, or None where there is no limit."""


def intern_words(labels: Iterable[Label]) -> Bits:
    """A bit for every word that one of `labels` says to a clause."""
    bits: tuple[dict[str, int], ...] = tuple({} for _ in CLAUSES)
    for label in labels:
        for clause, known in zip(CLAUSES, bits, strict=True):
            for word in frozenset[str]().union(*clause.found(label)):
                known.setdefault(word, 1 << len(known))
    return bits


def read_label_bits(label: Label, bits: Bits) -> LabelBits:
    """What `label` says to each clause.

    Raises:
        KeyError: the label says a word that was not interned.
    """
    return tuple(
        tuple(sum(known[word] for word in group) for group in clause.found(label))
        for clause, known in zip(CLAUSES, bits, strict=True)
    )


def read_scope_bits(scope: Scope, *, recipient: PartyId, bits: Bits) -> ScopeBits:
    """What `scope` allows `recipient`, clause by clause."""
    return tuple(
        None if allowed is None else _unite(known.get(word, 1 << len(known)) for word in allowed)
        for clause, known in zip(CLAUSES, bits, strict=True)
        for allowed in [clause.allowed(scope, recipient)]
    )


def admits_bits(scope: ScopeBits, label: LabelBits) -> bool:
    """Whether every clause holds."""
    return all(
        allowed is None or _holds(clause.test, found, allowed)
        for clause, allowed, found in zip(CLAUSES, scope, label, strict=True)
    )


def _unite(bits: Iterable[int]) -> int:
    united = 0
    for bit in bits:
        united |= bit
    return united


def _holds(test: Test, found: tuple[int, ...], allowed: int) -> bool:
    if not found:
        return test in SILENCE_PASSES
    if test is Test.WITHIN:
        return all(allowed & ~group == 0 for group in found)
    return all(group & allowed != 0 for group in found)
