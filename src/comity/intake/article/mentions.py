# SPDX-License-Identifier: Apache-2.0
"""Pure: what an article mentions, as values: where, of what kind, by which rule, and what it stands for.

A mention is what stands in the text. It is no fact: "Moscow" is a mention of the capital, used as a word for a
government or for a place, until a person says what it is.
"""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Kind", "Mention"]


class Kind(StrEnum):
    """What is mentioned."""

    STATE = "state"
    """A state by name or adjective; `value` is its ISO 3166-1 alpha-2 code."""
    CAPITAL = "capital"
    """A capital, for its government or as a place (`rule`); `value` is the code of its state."""
    REGION = "region"
    """A region; `value` is its key in the rules, where its frozen list of states is."""
    ORGANISATION = "organisation"
    """An entry of the gazetteer that was passed in; `value` is its id."""
    BODY = "body"
    """A ministry or another body of a state: "Foreign Ministry of RU"; without a state where none is told."""
    PERSON = "person"
    """A person; `value` is the name."""
    DATE = "date"
    """A day, month, year, or two with "/" between."""
    STATEMENT = "statement"
    """A sentence in which somebody takes a stance; `value` is "stance: speaker"."""
    OBSERVABLE = "observable"
    """An address, a name, a hash or a number as machines know it; `value` is refanged."""


class Mention(NamedTuple):
    """Something the text mentions at `start` up to before `end`, and the rule that found it.

    `doubt` is what a person should look at; `draft` is the key of the draft that it would become, or None.
    """

    kind: Kind
    start: int
    end: int
    rule: str
    value: str
    doubt: str | None = None
    draft: str | None = None
