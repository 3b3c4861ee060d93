# SPDX-License-Identifier: Apache-2.0
"""Pure: whether this party's own programs may be handed an object as it is held, by its label and by what they do.

A program of this party is no recipient: nothing is disclosed. But it shows what it holds to whoever uses it, and acts
by machine on what it reads. So it gets nothing that is for single people, nothing that people have to decide on first,
nothing with a marking that this node does not understand, and nothing with which its givers let it do less. What is
about persons, or restricted in words, it gets to be looked at alone: no machine acts on that.

Not decided here: by which terms an object came (`node.usable`), and who may make such a program (`node.programs`).
"""

from typing import Final

from comity.stix.labels import LAPSED, OVERFULL, OVERTAKEN, QUESTIONED, RECALLED, UNDECIDED, UNRESOLVED, Label
from comity.stix.markings import CONTRADICTORY, STATEMENT, TLP_ORDER
from comity.stix.patterns import UNCHECKED, UNPARSABLE
from comity.vocabulary import ACTIONS_ORDER

__all__ = ["find_obstacle", "is_permitted", "may_act"]

_HARMLESS: Final = frozenset({STATEMENT, UNCHECKED, UNPARSABLE})
"""Words of markings that restrict nobody: a statement, and how far this node understands a pattern."""

_WHY: Final = {
    **dict.fromkeys(OVERFULL.markings, "it refers, near or far, to more than can be looked through"),
    CONTRADICTORY: "its markings contradict each other",
    LAPSED: "it is an assessment whose time has passed, or refers to one",
    OVERTAKEN: "it is no newer than a version that may not come here, or refers to one that is not",
    QUESTIONED: "it is about a subject that left its list, and nobody has decided yet",
    RECALLED: "it was recalled, or refers to what was",
    UNDECIDED: "people have to decide first whether it is necessary",
    UNRESOLVED: "it refers to something that is not held here",
}

_IN_WORDS: Final = "H3"
"""The handling code for restrictions in free text."""

_RED, _UNMARKED = TLP_ORDER[-2:]
"""Of several levels the last in this order counts, so that what is said to be unmarked may be red as well."""


def is_permitted(actions: str, by: str) -> bool:
    """Whether terms that permit the actions `by` permit `actions` (IEP 2.0 permitted_actions)."""
    return ACTIONS_ORDER.index(actions) <= ACTIONS_ORDER.index(by)


def may_act(actions: str) -> bool:
    """Whether who may do this does anything by it."""
    return actions != ACTIONS_ORDER[0]


def find_obstacle(label: Label, *, acts: bool) -> str | None:
    """Why an object with this label, which is that of all it refers to as well, is handed to no program; None: it is.

    `acts` says that the program does something with it (`may_act`), and not only shows it to people.

    A property that is marked on its own counts like the whole: a program gets the object as it is held.
    """
    restricting = sorted(label.markings - _HARMLESS)
    if restricting:
        known = [_WHY[word] for word in restricting if word in _WHY]
        return known[0] if known else f"it bears a marking that is not understood here: {restricting[0]}"
    partly = {mark.tlp for mark in label.granular}
    obstacles = (
        (label.tlp == _UNMARKED, "it bears no TLP, or refers to something that bears none"),
        (label.tlp == _RED, "it is TLP:RED, which is for single people, or refers to what is"),
        (_RED in partly, "a part of it is TLP:RED, which is for single people"),
        (_UNMARKED in partly, "a part of it bears a marking that is not understood here"),
        (
            acts and bool(label.person_classes or label.special_categories),
            "it is about persons, on which no machine acts: programs may only show it",
        ),
        (
            acts and _IN_WORDS in label.handling,
            f"its handling is {_IN_WORDS}, restrictions in words that people have to read: programs may only show it",
        ),
    )
    return next((why for stands, why in obstacles if stands), None)
