# SPDX-License-Identifier: Apache-2.0
"""Shell: a bundle that was read, and which of it the next act takes in.

The parts are made as `stix.parts` says, by what is held when they are made; what came in from elsewhere between two
acts may change which ones are right. While nobody waits for a turn, what is left is one part, unless one act could not
take it in within the time of as many plain objects.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from comity.canonical import Json
from comity.classification.safeguards import Sensitive
from comity.node.definitions import find_given
from comity.stix.objects import ParsedBundle, StixObject
from comity.stix.parts import divide, weigh
from comity.store import Transaction, objects

__all__ = ["Other", "Parts", "ReadBundle"]

_MOST_WHOLE = 1_200
_MOST_LABELS = 32
"""What one act may take in where nobody waits: so many plain objects, which make so many labels."""


Other = tuple[StixObject, dict[str, Json], Sensitive | None]
"""An object, what of it is read for its label, and what was found in its fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBundle:
    """A bundle that was parsed and validated.

    `versions` are those of what validation alone refused, by place; `patterns` those that only a parser can tell the
    truth of; `sensitive` what was looked for and found of special categories and minors. `others` are, by the place of
    a version, the same version in other bytes, each with what was found in it.
    """

    checked: ParsedBundle
    versions: Mapping[int, str]
    patterns: Mapping[int, str] = field(default_factory=dict)
    sensitive: Mapping[int, Sensitive] = field(default_factory=dict)
    others: Mapping[int, Sequence[Other]] = field(default_factory=dict)


class Parts:
    """The good objects of a bundle, to be taken in by parts of about `most` (`stix.parts`), each in an act of its own.

    None is for whoever takes all of it in by one act. What came in from elsewhere between two acts may change which
    parts are right: then they are made anew.
    """

    def __init__(self, read: ReadBundle, *, most: int | None) -> None:
        bundle = read.checked
        self.statements = find_given(bundle.good, [one[:2] for each in read.others.values() for one in each])
        self.patterns = read.patterns
        self.sensitive = read.sensitive
        self.others = read.others
        self.names: Collection[str] = ()
        """What the files are called that it came in."""
        self._most = most
        self._places = bundle.places
        self._good = bundle.good
        self._left: list[list[int]] = [[*range(len(bundle.good))]]
        self._head: int | None = None

    def is_last(self) -> bool:
        """Whether nothing is left."""
        return not self._left

    @property
    def share(self) -> float:
        """How much of the bundle was handed out, from 0 to 1."""
        return 1 - sum(map(len, self._left)) / max(1, len(self._good))

    def next_part(self, transaction: Transaction, *, whole: bool = False) -> ParsedBundle:
        """The next part; the first may be empty. All that is left where it may be `whole`, and is made for that."""
        head = objects.read_head_seq(transaction)
        if whole and self._is_light:
            self._left = [sorted(chain.from_iterable(self._left))]
        elif head != self._head:
            self._divide(transaction)
        part = self._left.pop(0)
        # What the part takes up itself is nothing that came from elsewhere: see `mark`.
        self._head = head
        return ParsedBundle(
            good=tuple([self._good[place] for place in part]),
            places=tuple([self._places[place] for place in part]),
            bad=(),
        )

    @cached_property
    def _is_light(self) -> bool:
        """Whether one act can take in all of it in the time of as many plain objects: it makes few labels.

        What is marked in part, or lies in a country, may be labelled like nothing else.
        """
        if sum(weigh(item) for item, _ in self._good) > _MOST_WHOLE:
            return False
        alike = [
            (item.type, str(value.get("object_marking_refs")), str(value.get("extensions", "")))
            for item, value in self._good
            if "granular_markings" not in value and "country" not in value
        ]
        return len(self._good) - len(alike) + len(set(alike)) <= _MOST_LABELS

    def mark(self, transaction: Transaction) -> None:
        """The part was taken in; what comes in after this comes from elsewhere."""
        self._head = objects.read_head_seq(transaction)

    def _divide(self, transaction: Transaction) -> None:
        left = sorted(place for part in self._left for place in part)
        items = [self._good[place][0] for place in left]
        if self._most is None or sum(map(weigh, items)) <= self._most:
            self._left = [left]
            return
        held = objects.read_held(transaction, {item.id for item in items})
        self._left = [[left[place] for place in part] for part in divide(items, held=held, most=self._most)]
