# SPDX-License-Identifier: Apache-2.0
"""Pure: the clause table, and the readings of it.

A scope admits a label when every clause of the table holds. A clause is a name, a test, what the label says
(`found`) and what the terms allow (`allowed`). The decision, its explanation and the SQL condition are
readings of this one table, and so are the bits (`release.bitset`), the reach (`release.reach`) and the proof
(`release.proof`): to add a clause, add a row; to change a test, change it in every reading, side by side.

What a label says is a family of groups of words, because an object that refers to others stands for all of them
(promise CLOSED): a group is what one of them says, and the test must hold for each.

    in      every group has a word that is allowed; nothing said is refused      types, originators, kinds
    max     the one word is allowed, where allowed are all words up to a ceiling tlp
    any     every group has a word that is allowed; nothing said is refused      subjects, regions
    only    every word is allowed; nothing said passes                           markings, frameworks, …
    within  all that is allowed is in every group; no group means no limit       audience

`in`, `max`, `any` and `only` differ in how the table builds groups and in what silence means, not in how a group is
tested. `within` turns it round: what the terms would let happen must lie inside what the label says. With it, and with
`frameworks`, a party passes on only what its own terms restrict as much as those it received it under (CHAIN).

Not here: the gate (status, validity, bases), which depends on agreement, clock and request, and is decided in
`release.decision`; and what a received object's label says of the way it came (`release.receiving`).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from comity.agreement.channels import Scope
from comity.ids import PartyId
from comity.stix.labels import Label
from comity.stix.markings import TLP_ORDER, tlp_rank

__all__ = [
    "CLAUSES",
    "SILENCE_PASSES",
    "Clause",
    "Condition",
    "Finding",
    "Groups",
    "Test",
    "admits_groups",
    "find_groups",
    "find_refusal",
    "read_findings",
    "read_sql",
]

Groups = frozenset[frozenset[str]]
"""What a label says to one clause: for every object it stands for, the words of that object."""


class Test(Enum):
    """How what is found is held against what is allowed; the value is the name used in the documents."""

    IN = "in"
    MAX = "max"
    ANY = "any"
    ONLY = "only"
    WITHIN = "within"


SILENCE_PASSES = frozenset({Test.ONLY, Test.WITHIN})
"""The tests that an object passes which says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One row of the table: `allowed` is None where the terms set no such limit."""

    name: str
    test: Test
    found: Callable[[Label], Groups]
    allowed: Callable[[Scope, PartyId], frozenset[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one clause says of one label: whether it holds, what was found, what would be allowed (None: no limit).

    For the test WITHIN `allowed` is whom the channel would let the object go to, sooner or later.
    """

    clause: str
    test: Test
    holds: bool
    found: Groups
    allowed: frozenset[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition on a row, with its parameters in order; of the label table (`label`) where nothing else is said."""

    sql: str
    parameters: tuple[str | int, ...]


def _each(words: frozenset[str]) -> Groups:
    return frozenset(frozenset({word}) for word in words)


_UP_TO = {ceiling: frozenset(TLP_ORDER[: tlp_rank(ceiling) + 1]) - {"unmarked"} for ceiling in TLP_ORDER}
"""What may be marked under each ceiling."""

CLAUSES: tuple[Clause, ...] = (
    Clause(name="types", test=Test.IN, found=lambda label: _each(label.types), allowed=lambda scope, _: scope.types),
    Clause(
        name="tlp_ceiling",
        test=Test.MAX,
        found=lambda label: _each(frozenset({label.tlp})),
        allowed=lambda scope, _: _UP_TO[scope.tlp_ceiling],
    ),
    Clause(
        name="markings",
        test=Test.ONLY,
        found=lambda label: _each(label.markings),
        allowed=lambda scope, _: scope.markings,
    ),
    Clause(
        name="originators",
        test=Test.IN,
        found=lambda label: _each(frozenset(label.originators)),
        allowed=lambda scope, _: frozenset(scope.originators),
    ),
    Clause(name="subjects", test=Test.ANY, found=lambda label: label.subjects, allowed=lambda scope, _: scope.subjects),
    Clause(name="regions", test=Test.ANY, found=lambda label: label.regions, allowed=lambda scope, _: scope.regions),
    Clause(name="kinds", test=Test.IN, found=lambda label: _each(label.kinds), allowed=lambda scope, _: scope.kinds),
    Clause(
        name="person_classes",
        test=Test.ONLY,
        found=lambda label: _each(label.person_classes),
        allowed=lambda scope, _: scope.person_classes,
    ),
    Clause(
        name="special_categories",
        test=Test.ONLY,
        found=lambda label: _each(label.special_categories),
        allowed=lambda scope, _: scope.special_categories,
    ),
    Clause(
        name="handling",
        test=Test.ONLY,
        found=lambda label: _each(label.handling),
        allowed=lambda scope, _: scope.handling,
    ),
    Clause(
        name="audience",
        test=Test.WITHIN,
        found=lambda label: frozenset() if label.audience is None else frozenset({frozenset[str](label.audience)}),
        allowed=lambda scope, recipient: frozenset({recipient}) | scope.onward_to,
    ),
    Clause(
        name="frameworks",
        test=Test.ONLY,
        found=lambda label: _each(label.excluded_frameworks),
        # Terms never exclude their own framework, so what is excluded does not go into that one either.
        allowed=lambda scope, _: scope.excluded_frameworks,
    ),
)
"""The order is the order in which a refusal is named: the first clause that does not hold is the reason."""


def find_groups(label: Label) -> tuple[tuple[str, int, str], ...]:
    """Rows (clause, group number, word) by which the label table holds `label`; an empty group is the word "".

    No allowed word is empty, so an empty group is refused by every reading.
    """
    return tuple(
        (clause.name, number, word)
        for clause in CLAUSES
        for number, group in enumerate(sorted(clause.found(label), key=sorted))
        for word in (sorted(group) or [""])
    )


def admits_groups(test: Test, found: Groups, allowed: frozenset[str] | None) -> bool:
    """Whether a clause of this test holds of any label that says `found` to it; `allowed` None sets no limit."""
    return allowed is None or _holds(test, found, allowed)


def read_findings(scope: Scope, label: Label, *, recipient: PartyId) -> tuple[Finding, ...]:
    """What every clause says of `label`, in the order of the table."""
    return tuple(
        _find(clause, found, clause.allowed(scope, recipient))
        for clause, found in zip(CLAUSES, _find_all(label), strict=True)
    )


def find_refusal(scope: Scope, label: Label, *, recipient: PartyId) -> Finding | None:
    """The first of them that does not hold; None where all do. Those that hold are not put down."""
    for clause, found in zip(CLAUSES, _find_all(label), strict=True):
        allowed = clause.allowed(scope, recipient)
        if not admits_groups(clause.test, found, allowed):
            return _find(clause, found, allowed)
    return None


def _find(clause: Clause, found: Groups, allowed: frozenset[str] | None) -> Finding:
    holds = admits_groups(clause.test, found, allowed)
    return Finding(clause=clause.name, test=clause.test, holds=holds, found=found, allowed=allowed)


@lru_cache(maxsize=64)
def _find_all(label: Label) -> tuple[Groups, ...]:
    """What a label says to each clause: one label is held against the terms of very many agreements."""
    return tuple(clause.found(label) for clause in CLAUSES)


def read_sql(scope: Scope, *, recipient: PartyId) -> Condition:
    """The condition on a row `label` that holds for exactly the labels that `scope` admits for `recipient`."""
    parts = [
        _condition(clause.test, clause.name, allowed)
        for clause in CLAUSES
        for allowed in [clause.allowed(scope, recipient)]
        if allowed is not None
    ]
    return Condition(
        sql=" AND ".join(part.sql for part in parts),
        parameters=tuple(parameter for part in parts for parameter in part.parameters),
    )


def _holds(test: Test, found: Groups, allowed: frozenset[str]) -> bool:
    if not found:
        return test in SILENCE_PASSES
    # No generators: it is asked for every label of every channel.
    return all(map(allowed.issubset, found)) if test is Test.WITHIN else not any(map(allowed.isdisjoint, found))


def _condition(test: Test, name: str, allowed: frozenset[str]) -> Condition:
    words = json.dumps(sorted(allowed))
    # A group is refused that holds too few of the allowed words: all are needed within, one is enough elsewhere.
    refused_group = (
        "NOT EXISTS (SELECT 1 FROM label_word w WHERE w.label = label.id AND w.clause = ? GROUP BY w.grp"
        " HAVING SUM(CASE WHEN w.word IN (SELECT value FROM json_each(?)) THEN 1 ELSE 0 END) < ?)"
    )
    parameters = (name, words, len(allowed) if test is Test.WITHIN else 1)
    if test in SILENCE_PASSES:
        return Condition(sql=refused_group, parameters=parameters)
    said = "EXISTS (SELECT 1 FROM label_word w WHERE w.label = label.id AND w.clause = ?)"
    return Condition(sql=f"{said} AND {refused_group}", parameters=(name, *parameters))
