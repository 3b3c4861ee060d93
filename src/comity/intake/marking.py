# SPDX-License-Identifier: Apache-2.0
"""Pure: what a foreign format says of who may see something, as markings; what is not understood withholds.

    read_marking("TLP:AMBER", maker=maker)       == Marked(markings=(TLP2_AMBER,))
    read_marking("Eyes of the desk only", maker) == Marked(markings=("marking-definition--…",), definitions=(b"…",),
                                                           notes=("…",))

A marking that is no TLP level is put on record as a marking-definition with the very words, in an extension that nobody
takes for a level or a statement: no terms can name it (`stix.markings`, "unknown:"). Two levels in one place contradict
each other, and nobody knows which was meant: both are put on record so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from comity.canonical import Json
from comity.ids import ObjectId
from comity.intake.making import Made, Maker
from comity.stix.markings import (
    TLP2_AMBER,
    TLP2_AMBER_STRICT,
    TLP2_CLEAR,
    TLP2_GREEN,
    TLP2_RED,
)

__all__ = ["FOREIGN_MARKING_EXTENSION", "TLP_WORDS", "Marked", "read_marking"]

FOREIGN_MARKING_EXTENSION: Final = ObjectId("extension-definition--4521c31a-4f9b-4268-88c6-e8639ee3707a")
"""The extension of a marking-definition that holds the words of one that is not understood (docs/spec/intake.md).
"""

TLP_WORDS: Final[Mapping[str, ObjectId]] = MappingProxyType(
    {
        "clear": TLP2_CLEAR,
        "white": TLP2_CLEAR,
        "green": TLP2_GREEN,
        "amber": TLP2_AMBER,
        "amber+strict": TLP2_AMBER_STRICT,
        "red": TLP2_RED,
    }
)
"""What people write of a TLP level, without "TLP:" and in lower case."""

_LEVEL: Final = re.compile(r"(?:tlp[:\s]\s*)?(clear|white|green|amber\+strict|amber|red)", re.IGNORECASE)
_MOST_WORDS: Final = 2_000
_MOST_MARKINGS: Final = 32
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """The markings to put on objects, the definitions that have to come before these, and what people have to know."""

    markings: tuple[ObjectId, ...] = ()
    definitions: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()


def read_marking(text: str, *, maker: Maker) -> Marked:
    """The markings that `text` says, which may name several, separated by "," ";" "|" or a line end; nothing for none.

    Raises:
        MalformedObject: it holds what is no text.
    """
    words = [word for word in (part.strip() for part in re.split(r"[,;|\r\n]", text)) if word]
    if len(words) > _MOST_MARKINGS:
        words = [text]  # more than any object can bear; as one it withholds just as well
    levels = {word: match[1].lower() for word in words if (match := _LEVEL.fullmatch(word)) is not None}
    known = {TLP_WORDS[level] for level in levels.values()}
    unknown = [word for word in words if word not in levels]
    notes = [f"the marking {word[:_SHOWN]!r} is not understood: what bears it goes to nobody" for word in unknown]
    if len(known) > 1:
        unknown.append("; ".join(levels))
        notes.append(
            f"the markings {', '.join(levels)} contradict each other: withheld until the file says which holds"
        )
    made = [_make_unknown(word[:_MOST_WORDS], maker) for word in unknown]
    return Marked(
        markings=(*sorted(known), *(one.id for one in made)),
        definitions=tuple(one.data for one in made),
        notes=tuple(notes),
    )


def _make_unknown(words: str, maker: Maker) -> Made:
    extension: dict[str, Json] = {"extension_type": "property-extension", "words": words}
    said: dict[str, Json] = {"name": words, "extensions": {FOREIGN_MARKING_EXTENSION: extension}}
    return maker.make("marking-definition", ("marking", words), said)
