# SPDX-License-Identifier: Apache-2.0
"""Pure: the figures that an oversight body asks for: how much was given to whom, when, on which legal basis.

    tally = Tally(since=…, until=…)
    for judged in …: tally.add(judged)
    tally.given()      # a row for each text, recipient, month and set of bases
    sum_by(rows, lambda row: row.recipient)

An object that is given twice counts twice: what is counted is what left. Nothing of any object stands in a figure.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from comity.agreement.terms import LegalBasis
from comity.ids import AgreementId, Digest, Instant, PartyId, format_instant
from comity.release.disclosure import Answer, EntryType, Leaf
from comity.replayed import Judged

__all__ = ["Given", "Sums", "Tally", "find_month", "name_basis", "sum_by"]

_MONTH_CHARACTERS = 7
_CARRY_OBJECTS = frozenset({Answer.OBJECTS, Answer.OBJECT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """How many answers were given, how many objects in them, and how many ids without their objects."""

    answers: int = 0
    objects: int = 0
    ids: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Both together."""
        return Sums(
            answers=self.answers + other.answers, objects=self.objects + other.objects, ids=self.ids + other.ids
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was given under one text to one recipient in one month (YYYY-MM, UTC), on these bases.

    `bases` are those on which this party gave, in words. Where the content was purged, answers and objects are told by
    the leaf, and no basis is.
    """

    agreement: AgreementId
    title: str
    version: int
    terms: Digest
    recipient: PartyId
    month: str
    bases: tuple[str, ...]
    sums: Sums


class Tally:
    """The figures of the entries from `since` up to `until` (not included); None sets no bound."""

    def __init__(self, *, since: Instant | None = None, until: Instant | None = None) -> None:
        self._since = since
        self._until = until
        self._given: dict[tuple[Digest, PartyId, str, tuple[str, ...]], tuple[Given, list[int]]] = {}
        self._kinds: dict[EntryType, int] = {}

    def spans(self, at: Instant) -> bool:
        """Whether it is within the time that is asked about."""
        begun = self._since is None or at >= self._since
        return begun and (self._until is None or at < self._until)

    def note(self, leaf: Leaf) -> None:
        """Count an entry by its type."""
        if self.spans(leaf.at):
            self._kinds[leaf.type] = self._kinds.get(leaf.type, 0) + 1

    def add(self, judged: Judged) -> None:
        """Count a disclosure."""
        leaf = judged.leaf
        if judged.agreement is None or leaf.recipient is None or leaf.terms is None or not self.spans(leaf.at):
            return
        answer = None if judged.disclosure is None else judged.disclosure.answer
        carried = answer is None or answer in _CARRY_OBJECTS
        bases = _name_bases(judged.bases)
        key = leaf.terms, leaf.recipient, find_month(leaf.at), bases
        if key not in self._given:
            row = Given(
                agreement=judged.agreement.id,
                title=judged.title,
                version=judged.version,
                terms=leaf.terms,
                recipient=leaf.recipient,
                month=key[2],
                bases=bases,
                sums=Sums(),
            )
            self._given[key] = row, [0, 0, 0]
        sums = self._given[key][1]
        sums[0] += 1
        sums[1 if carried else 2] += leaf.count

    def given(self) -> tuple[Given, ...]:
        """A row for each text, recipient, month and set of bases, in this order."""
        rows = [
            replace(row, sums=Sums(answers=answers, objects=objects, ids=ids))
            for row, (answers, objects, ids) in self._given.values()
        ]
        return tuple(sorted(rows, key=lambda row: (row.title, row.version, row.terms, row.recipient, row.month)))

    def kinds(self) -> Mapping[EntryType, int]:
        """How many entries of each type there are."""
        return dict(sorted(self._kinds.items()))


def sum_by(rows: Iterable[Given], key: Callable[[Given], Iterable[str]]) -> dict[str, Sums]:
    """The sums of the rows, by each word that `key` gives of them, in order.

    A row with several words counts under each, so that the sums can be more than all.
    """
    found: dict[str, Sums] = {}
    for row in rows:
        for word in key(row):
            found[word] = found.get(word, Sums()).plus(row.sums)
    return dict(sorted(found.items()))


@lru_cache(maxsize=1_024)  # very many answers are given on the same bases
def _name_bases(bases: tuple[LegalBasis, ...]) -> tuple[str, ...]:
    return tuple(sorted({name_basis(basis) for basis in bases}))


def name_basis(basis: LegalBasis) -> str:
    """A legal basis in words, as it is cited."""
    return " ".join([basis.kind, basis.reference, *([basis.paragraph] if basis.paragraph else [])])


def find_month(at: Instant) -> str:
    """The month of a time, UTC: YYYY-MM."""
    return format_instant(at)[:_MONTH_CHARACTERS]
