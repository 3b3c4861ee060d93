# SPDX-License-Identifier: Apache-2.0
"""Pure: the clause table read by z3, and the check of a reach by it.

A reach says of some parties that no chain ever leads an object there. Its certificate is a set of boxes, and what it
claims is an invariant: whatever anybody holds lies in a box of its holder.

 1. What the originator holds that fits the question lies in one of its boxes.
 2. For each edge: whatever lies in a box of the giver and is admitted, lies, as it arrives, in a box of the receiver.

If both hold, nothing outside the boxes is ever held, however long the chain, and a party without a box never holds
anything. z3 is asked for a counterexample to each, over every label; "unsat" means that there is none. The steps by
which `release.reach` found the boxes are not used here: scopes are read from the clause table anew, and what becomes of
an object on its way is written down a second time (`_arrives`). What the words of a box mean belongs to the box
(`release.reach.find_form`).

z3 is not needed for anything else. It is loaded when a proof is asked for, and may be absent (`NotInstalled`).
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comity.agreement.terms import Scope
from comity.errors import CertificateRefused, NotInstalled
from comity.ids import PartyId
from comity.release.clauses import CLAUSES, SILENCE_PASSES, Clause, Test
from comity.release.reach import Box, Edge, Form, Question, Reach, find_form
from comity.stix.labels import Label

__all__ = ["Proved", "Slot", "SymbolicLabel", "load_z3", "make_symbols", "read_z3", "state_label", "verify_reach"]

Formula = Any
"""A Boolean expression of z3, which ships no types."""

_ANOTHER = "\n"
"""Stands for every word that nobody names; no word of a label or of terms has a line end."""

_TIMEOUT_MILLISECONDS = 60_000
"""For one implication; in what was measured they take some milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A group that a label may hold: whether it is there, and which words are in it."""

    present: Formula
    words: Mapping[str, Formula]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolicLabel:
    """Any label at all: for each clause, the groups that it may have."""

    slots: Mapping[str, tuple[Slot, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What z3 confirmed of one originator's objects: `implications` without a counterexample, and by which version."""

    originator: PartyId
    implications: int
    solver: str


def load_z3() -> Any:  # noqa: ANN401 (z3 ships no types)
    """The module z3.

    Raises:
        NotInstalled: it is not there; the message says how to get it.
    """
    try:
        return importlib.import_module("z3")
    except ImportError as error:
        raise NotInstalled(
            "the proof needs z3, which is not installed here; install it with: pip install 'comity[proof]'"
        ) from error


# --- the clause table, read by z3 -------------------------------------------------------------------------------------


def make_symbols(words: Mapping[str, Iterable[str]], *, groups: int = 1, prefix: str = "") -> SymbolicLabel:
    """A label of which nothing is known, over `words` of each clause and one more that stands for all others.

    It has up to `groups` groups of subjects and of regions; of the other clauses every word is a group of its own, but
    for the audience, which is one group.
    """
    z3 = load_z3()
    slots = dict[str, tuple[Slot, ...]]()
    for clause in CLAUSES:
        names = [*sorted(words.get(clause.name, ())), _ANOTHER]
        if clause.test in {Test.ANY, Test.WITHIN}:
            slots[clause.name] = tuple(
                Slot(
                    present=z3.Bool(f"{prefix}{clause.name}#{number}"),
                    words={name: z3.Bool(f"{prefix}{clause.name}#{number}:{name}") for name in names},
                )
                for number in range(groups if clause.test is Test.ANY else 1)
            )
        else:
            slots[clause.name] = tuple(
                Slot(present=z3.Bool(f"{prefix}{clause.name}:{name}"), words={name: z3.BoolVal(val=True)})
                for name in names
            )
    return SymbolicLabel(slots=slots)


def read_z3(scope: Scope, label: SymbolicLabel, *, recipient: PartyId) -> Formula:
    """The formula that is true of exactly the labels that `scope` admits for `recipient`."""
    return load_z3().And(
        [
            _holds(clause.test, label.slots[clause.name], allowed)
            for clause in CLAUSES
            for allowed in [clause.allowed(scope, recipient)]
            if allowed is not None
        ]
    )


def state_label(symbols: SymbolicLabel, label: Label) -> Formula:
    """The formula that is true when `symbols` are this one label.

    Raises:
        ValueError: the symbols have too few groups, or lack a word.
    """
    z3 = load_z3()
    parts = list[Formula]()
    for clause in CLAUSES:
        found, slots = sorted(clause.found(label), key=sorted), symbols.slots[clause.name]
        by_word = clause.test not in {Test.ANY, Test.WITHIN}
        known = {name for slot in slots for name in slot.words}
        if not known.issuperset(word for group in found for word in group) or len(found) > len(slots):
            raise ValueError(f"{clause.name}: the symbols cannot be this label")
        for number, slot in enumerate(slots):
            present = frozenset(slot.words) in found if by_word else number < len(found)
            parts.append(slot.present == z3.BoolVal(val=present))
            if not by_word:
                said = found[number] if present else frozenset[str]()
                parts += [bit == z3.BoolVal(val=name in said) for name, bit in slot.words.items()]
    return z3.And(parts)


def _holds(test: Test, slots: Sequence[Slot], allowed: frozenset[str]) -> Formula:
    z3 = load_z3()
    if test is Test.WITHIN:
        missing = z3.BoolVal(val=False)
        return z3.And(
            [z3.Implies(slot.present, slot.words.get(name, missing)) for slot in slots for name in sorted(allowed)]
        )
    hits = [(slot.present, z3.Or([bit for name, bit in slot.words.items() if name in allowed])) for slot in slots]
    every = z3.And([z3.Implies(present, hit) for present, hit in hits])
    return every if test in SILENCE_PASSES else z3.And(every, z3.Or([present for present, _ in hits]))


# --- the check of a reach ---------------------------------------------------------------------------------------------


def verify_reach(reach: Reach, edges: Sequence[Edge]) -> Proved:
    """What z3 confirmed of the boxes of `reach`, which are all that is taken from it besides the question.

    Raises:
        NotInstalled: z3 is not there.
        CertificateRefused: there is a counterexample, or none was found in time and no proof either.
    """
    z3 = load_z3()
    words = _gather_words(reach, edges)
    before = make_symbols(words)
    after = SymbolicLabel(slots={**before.slots, **_keep_what_changes(make_symbols(words, prefix="after "))})
    parties = {box.holder for box in reach.boxes}
    held = {party: _in_boxes(reach.boxes, party, before) for party in parties}
    arriving = {party: _in_boxes(reach.boxes, party, after) for party in parties}
    _refute(
        [_fits(reach.question, reach.originator, before), z3.Not(held.get(reach.originator, z3.BoolVal(val=False)))],
        f"what {reach.originator} holds is not all in its boxes",
    )
    # What comes back to its originator is held there already; who holds nothing gives nothing.
    checked = [edge for edge in edges if edge.receiver != reach.originator and edge.giver in parties]
    for edge in checked:
        _refute(
            [
                held[edge.giver],
                read_z3(edge.scope, before, recipient=edge.receiver),
                _arrives(after, edge),
                z3.Not(arriving.get(edge.receiver, z3.BoolVal(val=False))),
            ],
            f"what {edge.giver} may give {edge.receiver} in channel {edge.channel} of {edge.title!r} is not all in the"
            f" boxes of {edge.receiver}",
        )
    return Proved(originator=reach.originator, implications=len(checked) + 1, solver=f"z3 {z3.get_version_string()}")


def _keep_what_changes(label: SymbolicLabel) -> dict[str, tuple[Slot, ...]]:
    """The part of a second label that can differ once the object has gone along an edge."""
    return {name: label.slots[name] for name in ("originators", "audience", "frameworks")}


def _refute(counterexample: Sequence[Formula], problem: str) -> None:
    """Return when no label fulfils all of `counterexample`."""
    z3 = load_z3()
    solver = z3.Solver()
    solver.set("timeout", _TIMEOUT_MILLISECONDS)
    solver.add(*counterexample)
    answer = solver.check()
    if answer != z3.unsat:
        found = "z3 has a counterexample" if answer == z3.sat else "z3 did not find out in time"
        raise CertificateRefused(f"{problem}: {found}; rely on none of the answers, and report this as a bug")


def _fits(question: Question, originator: PartyId, label: SymbolicLabel) -> Formula:
    """True of every label that fits the question, at its originator: nobody's terms bind it yet."""
    z3 = load_z3()
    parts = [_says(clause, question[clause.name], label) for clause in CLAUSES if clause.name in question]
    parts += [z3.Not(slot.present) for name in ("audience", "frameworks") for slot in label.slots[name]]
    names = [(name, slot.present) for slot in label.slots["originators"] for name in slot.words]
    return z3.And([*parts, *(present == z3.BoolVal(val=name == originator) for name, present in names)])


def _in_boxes(boxes: Iterable[Box], holder: PartyId, label: SymbolicLabel) -> Formula:
    """True of every label that lies in one of the boxes of `holder`."""
    z3 = load_z3()
    return z3.Or(
        [
            z3.And(
                [
                    _says(clause, words, label)
                    for clause, words in zip(CLAUSES, box.says, strict=True)
                    if words is not None
                ]
            )
            for box in boxes
            if box.holder == holder
        ]
    )


def _says(clause: Clause, words: frozenset[str], label: SymbolicLabel) -> Formula:
    """True of every label that a box or question with `words` for this clause means."""
    z3 = load_z3()
    said = [(name, z3.And(slot.present, bit)) for slot in label.slots[clause.name] for name, bit in slot.words.items()]
    match find_form(clause):
        case Form.AMONG | Form.SOME:
            return z3.And([z3.Not(bit) for name, bit in said if name not in words])
        case Form.WITHIN:
            limited = z3.Or([slot.present for slot in label.slots[clause.name]])
            return z3.And(limited, *(z3.Not(bit) for name, bit in said if name not in words))
        case Form.AT_LEAST:
            return z3.And([bit for name, bit in said if name in words])


def _arrives(after: SymbolicLabel, edge: Edge) -> Formula:
    """True when `after` is what the label of an object says of its way at the receiver of `edge`; the rest stays."""
    z3 = load_z3()
    bound = edge.restrictions
    parts = list[Formula]()
    for name, words in (("originators", bound.originators), ("frameworks", bound.excluded_frameworks)):
        parts += [slot.present == z3.BoolVal(val=not words.isdisjoint(slot.words)) for slot in after.slots[name]]
    (slot,) = after.slots["audience"]
    parts.append(slot.present == z3.BoolVal(val=bound.audience is not None))
    parts += [bit == z3.BoolVal(val=name in (bound.audience or ())) for name, bit in slot.words.items()]
    return z3.And(parts)


def _gather_words(reach: Reach, edges: Iterable[Edge]) -> dict[str, set[str]]:
    """Every word that the question, an edge or a box names, by clause."""
    words: dict[str, set[str]] = {clause.name: set(reach.question.get(clause.name, ())) for clause in CLAUSES}
    words["originators"].add(reach.originator)
    for edge in edges:
        words["originators"] |= edge.restrictions.originators
        words["audience"] |= edge.restrictions.audience or frozenset()
        words["frameworks"] |= edge.restrictions.excluded_frameworks
        for clause in CLAUSES:
            words[clause.name] |= clause.allowed(edge.scope, edge.receiver) or frozenset()
    for box in reach.boxes:
        for clause, said in zip(CLAUSES, box.says, strict=True):
            words[clause.name] |= said or frozenset()
    return words
