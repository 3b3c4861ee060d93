# SPDX-License-Identifier: Apache-2.0
"""Pure: the states of an agreement, and the table of what a party may say in each and where it leads.

The table is data. What is possible (`agreement.moves`) and the diagram in the documents are read from it. The state
itself is computed from the set of events (`agreement.lifecycle`); tests hold every step computed against the table, and
every row of the table against what is computed.
"""

from collections.abc import Mapping
from enum import StrEnum

from comity.agreement.events import EventKind

__all__ = ["BY_CLOCK", "MAY", "TRANSITIONS", "State", "draw_states"]


class State(StrEnum):
    """Where an agreement stands. A draft is on nobody's record."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    IN_CLARIFICATION = "in clarification"
    COUNTERED = "countered"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    AGREED = "agreed"
    IN_FORCE = "in force"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    TERMINATED = "terminated"
    CONFLICTING = "conflicting"


_HERE = None
"""In a row: where it stands already."""

_Row = tuple[tuple[State, ...], EventKind, tuple[State | None, ...]]

_OPEN = (State.PROPOSED, State.IN_CLARIFICATION, State.COUNTERED, State.ACCEPTED)
_SIGNED = (State.AGREED, State.IN_FORCE, State.SUSPENDED)
_REFUSED = (State.REJECTED, State.WITHDRAWN)
_STANDING = (*_SIGNED, State.EXPIRED)
_CLOSED = (*_REFUSED, State.CONFLICTING)

_ROWS: tuple[_Row, ...] = (
    ((State.DRAFT,), EventKind.PROPOSE, (State.PROPOSED,)),
    # A text that not every party has signed. A lock of an earlier version holds on the next one too.
    (_OPEN, EventKind.COUNTER, (State.COUNTERED,)),
    ((State.PROPOSED, State.COUNTERED), EventKind.ACCEPT, (State.ACCEPTED, State.AGREED, State.SUSPENDED)),
    ((State.ACCEPTED, State.IN_CLARIFICATION), EventKind.ACCEPT, (_HERE, State.AGREED, State.SUSPENDED)),
    (_OPEN, EventKind.REJECT, (State.REJECTED,)),
    (_OPEN, EventKind.WITHDRAW, (State.WITHDRAWN,)),
    (_OPEN, EventKind.CLARIFY, (State.IN_CLARIFICATION,)),
    ((State.IN_CLARIFICATION,), EventKind.ANSWER, _OPEN),
    ((*_REFUSED, State.LAPSED), EventKind.PROPOSE, (State.PROPOSED,)),
    # A text that every party has signed. What stops one channel, or lifts one lock of several, changes no state.
    ((State.AGREED,), EventKind.CONFIRM, (_HERE, State.IN_FORCE, State.SUSPENDED)),
    ((State.SUSPENDED,), EventKind.CONFIRM, (_HERE,)),
    ((State.AGREED, State.IN_FORCE), EventKind.SUSPEND, (_HERE, State.SUSPENDED)),
    ((State.AGREED, State.IN_FORCE), EventKind.RESUME, (_HERE,)),
    ((State.SUSPENDED,), EventKind.SUSPEND, (_HERE,)),
    ((State.SUSPENDED,), EventKind.RESUME, (_HERE, State.IN_FORCE, State.AGREED)),
    (_SIGNED, EventKind.ADMIT, (_HERE,)),
    (_SIGNED, EventKind.ACCEDE, (_HERE,)),
    ((State.AGREED, State.SUSPENDED), EventKind.LEAVE, (*_SIGNED, State.TERMINATED)),
    ((State.IN_FORCE,), EventKind.LEAVE, (_HERE, State.SUSPENDED, State.TERMINATED)),
    # Its next version, negotiated while it stands: only the last signature changes what counts.
    (_STANDING, EventKind.PROPOSE, (_HERE,)),
    (_STANDING, EventKind.COUNTER, (_HERE,)),
    (_STANDING, EventKind.REJECT, (_HERE,)),
    (_STANDING, EventKind.WITHDRAW, (_HERE,)),
    (_STANDING, EventKind.CLARIFY, (_HERE,)),
    (_STANDING, EventKind.ANSWER, (_HERE,)),
    (_SIGNED, EventKind.ACCEPT, (_HERE, State.AGREED)),
    ((State.EXPIRED,), EventKind.ACCEPT, (_HERE, State.AGREED, State.SUSPENDED)),
    # What stops, and what ends, can be said of what is closed too.
    (_CLOSED, EventKind.SUSPEND, (_HERE,)),
    (_CLOSED, EventKind.RESUME, (_HERE,)),
    ((*_CLOSED, State.EXPIRED), EventKind.LEAVE, (_HERE, State.TERMINATED)),
    ((*_STANDING, *_CLOSED), EventKind.TERMINATE, (State.TERMINATED,)),
    ((State.CONFLICTING,), EventKind.CLARIFY, (_HERE,)),
    ((State.CONFLICTING,), EventKind.ANSWER, (_HERE,)),
)


def _collect() -> dict[State, dict[EventKind, frozenset[State]]]:
    table: dict[State, dict[EventKind, frozenset[State]]] = {state: {} for state in State}
    for states, kind, leads in _ROWS:
        for state in states:
            table[state][kind] = frozenset(state if lead is _HERE else lead for lead in leads)
    return table


TRANSITIONS: Mapping[State, Mapping[EventKind, frozenset[State]]] = _collect()
"""State → what a party may say in it → where that can lead."""

MAY: Mapping[State, frozenset[EventKind]] = {state: frozenset(row) for state, row in TRANSITIONS.items()}
"""State → what any party may say in it, subject to what is about that party alone (it has signed, it holds no lock)."""

BY_CLOCK: Mapping[State, frozenset[State]] = {
    **dict.fromkeys(_OPEN, frozenset({State.LAPSED})),
    State.AGREED: frozenset({State.IN_FORCE, State.SUSPENDED, State.EXPIRED}),
    State.IN_FORCE: frozenset({State.SUSPENDED, State.EXPIRED}),
    State.SUSPENDED: frozenset({State.IN_FORCE, State.EXPIRED}),
}
"""Where time alone leads: a text runs out unsigned, a date is reached, a basis or an assurance begins or ends."""


def draw_states() -> str:
    """The table as a Mermaid state diagram: every step from one state to another, with all that can cause it."""
    causes: dict[tuple[State, State], list[str]] = {}
    for state, row in TRANSITIONS.items():
        for kind in sorted(row):
            for target in row[kind] - {state}:
                causes.setdefault((state, target), []).append(kind)
    for state, targets in BY_CLOCK.items():
        for target in targets:
            causes.setdefault((state, target), []).append("clock")
    lines = ["stateDiagram-v2", f"    [*] --> {_name(State.DRAFT)}"]
    for state in State:
        lines += [
            f"    {_name(state)} --> {_name(target)}: {', '.join(causes[state, target])}"
            for target in State
            if (state, target) in causes
        ]
    lines.append(f"    {_name(State.TERMINATED)} --> [*]")
    return "\n".join(lines) + "\n"


def _name(state: State) -> str:
    return state.value.replace(" ", "_")
