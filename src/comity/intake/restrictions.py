# SPDX-License-Identifier: Apache-2.0
"""Pure: how far something of a container may travel: the strictest of what the container and its parts say.

A restriction that is not understood is carried as a foreign marking, which no terms can name, so that whatever bears it
goes to nobody; so are two levels of one scale on one thing. Nothing is dropped because it could not be read.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from comity.canonical import Json, canonical_bytes
from comity.ids import PartyId
from comity.intake.marking import FOREIGN_MARKING_EXTENSION, TLP_WORDS
from comity.stix.markings import tlp_rank

__all__ = [
    "NAMESPACE",
    "OPEN",
    "PAP_EXTENSION",
    "PAP_IDS",
    "Restriction",
    "define_markings",
    "find_markings",
    "join_restrictions",
    "make_uuid",
]

NAMESPACE: Final = uuid.UUID("8e7d7f2a-6b53-5f0e-9c40-6a0d1c2b7e11")
"""The namespace of ids that intake makes out of what it reads."""

PAP_EXTENSION: Final = "extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b"
_PAP: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "white": ("a3bea94c-b469-41dc-9cfe-d6e7daba7730", "2022-10-01T00:00:00.000Z"),
        "clear": ("ad15a0cd-55b6-4588-a14c-a66105329b92", "2022-10-01T00:00:00.000Z"),
        "green": ("c43594d1-4b11-4c59-93ab-1c9b14d53ce9", "2022-10-09T00:00:00.000Z"),
        "amber": ("60f8932b-e51e-4458-b265-a2e8be9a80ab", "2022-10-02T00:00:00.000Z"),
        "red": ("740d36e5-7714-4c30-961a-3ae632ceee0e", "2022-10-06T00:00:00.000Z"),
    }
)
"""Per level of the Permissible Actions Protocol, from the widest, its marking definition and when that was made."""

PAP_IDS: Final[Mapping[str, str]] = MappingProxyType(
    {f"marking-definition--{name}": level for level, (name, _) in _PAP.items()}
)

_MADE: Final = "2022-10-01T00:00:00.000Z"
"""When definitions of foreign markings say that they were made: the same words are the same object everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """How far something may travel; `audience` None means any party.

    `tlp` is a level of TLP 2.0, None where nothing is said; `pap` one of PAP; `foreign` what was not
    understood, in words.
    """

    tlp: str | None = None
    pap: str | None = None
    foreign: frozenset[str] = frozenset()
    audience: frozenset[PartyId] | None = None


OPEN: Final = Restriction()
"""What nobody restricts."""


def join_restrictions(first: Restriction, *others: Restriction) -> Restriction:
    """The strictest of them: the higher level of each scale, every foreign marking, the audience of all."""
    for other in others:
        first = Restriction(
            tlp=max((level for level in (first.tlp, other.tlp) if level), key=tlp_rank, default=None),
            pap=max((level for level in (first.pap, other.pap) if level), key=list(_PAP).index, default=None),
            foreign=first.foreign | other.foreign,
            audience=_narrow(first.audience, other.audience),
        )
    return first


def _narrow(first: frozenset[PartyId] | None, second: frozenset[PartyId] | None) -> frozenset[PartyId] | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


def find_markings(restriction: Restriction) -> list[str]:
    """The `object_marking_refs` that say it; none for the audience, which is no business of who reads the object."""
    found: list[str] = []
    if restriction.tlp is not None:
        found.append(TLP_WORDS[restriction.tlp])
    if restriction.pap is not None:
        found.append(f"marking-definition--{_PAP[restriction.pap][0]}")
    found.extend(_name_foreign(text) for text in sorted(restriction.foreign))
    return found


def define_markings(restrictions: Collection[Restriction]) -> list[bytes]:
    """The marking definitions that `find_markings` names, but for those of TLP, which everybody has."""
    levels = sorted({one.pap for one in restrictions if one.pap is not None})
    texts = sorted({text for one in restrictions for text in one.foreign})
    return [_define_pap(level) for level in levels] + [_define_foreign(text) for text in texts]


def make_uuid(*words: str) -> str:
    """A UUID (version 5) that follows from these words in this order."""
    return str(uuid.uuid5(NAMESPACE, canonical_bytes(list(words)).decode()))


def _name_foreign(text: str) -> str:
    return f"marking-definition--{make_uuid('marking', text)}"


def _define_foreign(text: str) -> bytes:
    return canonical_bytes(
        {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": _name_foreign(text),
            "created": _MADE,
            "name": text,
            "extensions": {FOREIGN_MARKING_EXTENSION: {"extension_type": "property-extension", "words": text}},
        }
    )


def _define_pap(level: str) -> bytes:
    name, made = _PAP[level]
    extension: dict[str, Json] = {PAP_EXTENSION: {"extension_type": "property-extension", "pap": level}}
    return canonical_bytes(
        {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": f"marking-definition--{name}",
            "created": made,
            "name": f"PAP:{level.upper()}",
            "extensions": extension,
        }
    )
