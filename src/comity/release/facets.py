# SPDX-License-Identifier: Apache-2.0
"""Pure: the clause table read for many labels at once, by what they say and not label by label.

A facet is what a label says to one clause of the table. Thousands of labels share few facets, so a scope is held
against each facet once, and a label is admitted when none of its facets is refused:

    find_facets(label)                         -> (("types", …), ("tlp_ceiling", …), …), what is said as text
    find_refused(scope, facets, recipient=…)   -> the keys of the facets that the clause they are said to refuses

One facet is a label's granular markings, which no clause tests: what they let be removed is asked of
`release.decision`. Each facet is tested by the clause table itself, so that this reading cannot differ from it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from comity.agreement.terms import Scope
from comity.errors import CorruptionError
from comity.ids import PartyId
from comity.release.clauses import CLAUSES, Groups, admits_groups
from comity.release.history import Threshold
from comity.stix.labels import Label

__all__ = [
    "FACETS",
    "GRANULAR",
    "TABLE",
    "THIS_TABLE",
    "Facet",
    "Inventory",
    "Place",
    "find_facets",
    "find_refused",
    "forget_facets",
    "parse_facet",
]

TABLE = "table"
"""In the place of a clause: the facet that says by which clauses, in which order, the others were made."""

GRANULAR = "granular"
"""In the place of a clause: the facet that holds a label's granular markings."""


def _list_facets() -> tuple[str, ...]:
    names = [clause.name for clause in CLAUSES]
    # Behind the last clause that silence fails, saying nothing is left out: most labels say nothing to those.
    speaks = [not admits_groups(clause.test, frozenset(), frozenset()) for clause in CLAUSES]
    last = max(place for place, must_speak in enumerate(speaks) if must_speak)
    return (TABLE, *names[: last + 1], GRANULAR, *names[last + 1 :])


FACETS: tuple[str, ...] = _list_facets()
"""What the facets of a label are said to, in their order; those behind GRANULAR only where something is said."""

THIS_TABLE = f"{' '.join(FACETS)}\n"
"""What is said to TABLE of a label whose facets are of this clause table."""

Place = tuple[int, str, str, str, int]
"""Newest versions that are counted together: their label, type, originator and history, and how many.

Their history is a character for each of `Inventory.thresholds`: "1" where they count by it, "0" where they do not.

A tuple as the store gives it: there are as many as there are labels in use.
"""


class Facet(NamedTuple):
    """What is said to `clause`, as the words of each object that a label stands for."""

    clause: str
    groups: Groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is held, by place; the facets of each label in the order of FACETS; and what each facet says.

    `thresholds` are those that the places are told apart by.
    """

    places: Sequence[Place]
    labels: Mapping[int, Sequence[str]]
    facets: Mapping[str, Facet]
    thresholds: tuple[Threshold, ...] = ()


def find_facets(label: Label) -> tuple[tuple[str, str], ...]:
    """What `label` says to each of FACETS, as text that is equal where the same is said."""
    said = {clause.name: _format(clause.found(label)) for clause in CLAUSES}
    said[TABLE] = THIS_TABLE
    said[GRANULAR] = "".join(
        f"{mark.property} {mark.tlp}{' repeats' if mark.repeats else ''}\n" for mark in label.granular
    )
    always = FACETS.index(GRANULAR)
    return tuple((name, said[name]) for place, name in enumerate(FACETS) if place <= always or said[name])


@lru_cache(maxsize=16_384)  # what is held is read anew for every question, and says mostly what it said before
def parse_facet(clause: str, said: str) -> Facet:
    """The facet that the text `said` of `find_facets` is.

    Raises:
        CorruptionError: `find_facets` writes no such text, so that a store which holds it was altered.
    """
    try:
        return Facet(clause, frozenset([frozenset(_parse_line(line)) for line in said.split("\n")[:-1]]))
    except KeyError as error:
        raise CorruptionError("the store holds a facet of labels that was altered; restore a backup") from error


def forget_facets() -> None:
    """Keep nothing in memory of any facet: what was deleted may stand in one."""
    parse_facet.cache_clear()


def find_refused(scope: Scope, facets: Mapping[str, Facet], *, recipient: PartyId) -> frozenset[str]:
    """The keys of those of `facets` that the clause they are said to does not let through."""
    limits = {clause.name: (clause.test, clause.allowed(scope, recipient)) for clause in CLAUSES}
    refused = set[str]()
    for key, facet in facets.items():
        limit = limits.get(facet.clause)
        if limit is not None and not admits_groups(limit[0], facet.groups, limit[1]):
            refused.add(key)
    return frozenset(refused)


_ESCAPES = {"\\": "\\\\", " ": "\\s", "\n": "\\n"}
_MEANINGS = {escape: character for character, escape in _ESCAPES.items()}
_ESCAPE = re.compile(r"\\.")
_TO_ESCAPE = str.maketrans(_ESCAPES)


def _format(groups: Groups) -> str:
    """A line for each object, its words with spaces between; a framework's name may have spaces in it."""
    return "".join(
        f"{' '.join(word.translate(_TO_ESCAPE) for word in sorted(group))}\n" for group in sorted(groups, key=sorted)
    )


def _parse_line(line: str) -> list[str]:
    """The words in a line of `_format`; no word is empty."""
    words = line.split(" ") if line else []
    if "\\" in line:
        return [_ESCAPE.sub(lambda found: _MEANINGS[found.group()], word) for word in words]
    return words
