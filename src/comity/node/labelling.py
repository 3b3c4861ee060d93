# SPDX-License-Identifier: Apache-2.0
"""Shell: the own labels of what comes together, each made once for all that are marked and tagged alike.

What a bundle says of one version several times, in other bytes each, holds for the one that is kept, the strictest of
it: which of them stands first in a file decides nothing. Only what lets an object go is read of the first alone.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from comity.canonical import Json
from comity.classification.safeguards import MINOR, Sensitive
from comity.errors import MalformedObject
from comity.ids import ObjectId
from comity.node.parts import Other
from comity.release.receiving import Restrictions, count_as
from comity.stix.labels import OVERFULL, Label, Tags, join_tags, make_label, read_tags
from comity.stix.markings import Markings, read_markings
from comity.stix.objects import StixObject
from comity.stix.patterns import UNCHECKED, UNPARSABLE
from comity.stix.worded import add_safeguarded, tighten
from comity.store.patterns import KnownPattern

__all__ = ["Labelling"]

_MOST_OTHERS = 64
"""Of one version in one bundle, in other bytes each: with more of them it goes to nobody."""


class Labelling:
    """The own labels of objects that come together, each made once for all that are marked and tagged alike."""

    def __init__(
        self,
        definitions: Mapping[ObjectId, str],
        *,
        tags: Tags,
        restrictions: Restrictions,
        sensitive: Mapping[int, Sensitive],
        others: Mapping[int, Sequence[Other]],
    ) -> None:
        self._sensitive = sensitive
        self._others = others
        self._definitions = definitions
        self._tags = tags
        self._restrictions = restrictions
        self.grows = restrictions.grows
        # What equal objects say is one value in memory, as a rule (`stix.markings`, `stix.tags`), so that it is looked
        # up by its place there. It is kept with the label: nothing else can take that place.
        self._made: dict[tuple[str, int, int], tuple[Markings, Tags, Label]] = {}
        self._alike: dict[int, tuple[dict[str, Json], Label]] = {}
        self._counted: dict[int, tuple[Markings, Markings]] = {}

    def make(self, item: StixObject, value: dict[str, Json]) -> Label:
        """The label of one object by itself.

        Raises:
            MalformedObject: its markings or its tags.
        """
        # All that is left of it is read for its label: what is written alike is labelled alike, and is one value in
        # memory (`node.reading`). With its label it is kept: nothing else can take its place there.
        found = self._alike.get(id(value))
        if found is None:
            found = self._alike[id(value)] = value, self._make(item, value)
        return found[1]

    def _make(self, item: StixObject, value: dict[str, Json]) -> Label:
        markings, tags = read_markings(value, definitions=self._definitions), read_tags(value)
        if self._restrictions.unmarked is not None:
            markings = self._counted.setdefault(
                id(markings), (markings, count_as(markings, self._restrictions.unmarked))
            )[1]
        alike = item.type, id(markings), id(tags)
        made = self._made.get(alike)
        if made is None:
            restrictions = self._restrictions
            label = make_label(
                item,
                markings,
                join_tags(tags, self._tags),
                originators=restrictions.originators,
                audience=restrictions.audience,
                excluded_frameworks=restrictions.excluded_frameworks,
            )
            made = self._made[alike] = markings, tags, label
        return made[2]

    def add_found(self, label: Label, place: int) -> Label:
        """The label with what was found in the fields of the object at `place` that people have to decide on.

        What came with it says of the same version in other bytes, and more strictly, holds too: it would if it came
        later (`node.ingest`).
        """
        label = _add_sensitive(label, self._sensitive.get(place))
        others = self._others.get(place, ())
        if len(others) > _MOST_OTHERS:
            return OVERFULL
        for item, value, found in others:
            with suppress(MalformedObject):  # it is listed as bad for being another, and holds nothing back
                label = tighten(label, _add_sensitive(self.make(item, value), found))
        return label

    @staticmethod
    def hold_back(label: Label, pattern: KnownPattern) -> Label:
        """The label of an indicator with that pattern: nothing admits it, unless the pattern parses."""
        if pattern.is_read and pattern.problem is None:
            return label
        return replace(label, markings=label.markings | {UNPARSABLE if pattern.is_read else UNCHECKED})


def _add_sensitive(label: Label, found: Sensitive | None) -> Label:
    if found is None:
        return label
    return add_safeguarded(label, found.special_categories, frozenset({MINOR} if found.minor else ()))
