# SPDX-License-Identifier: Apache-2.0
"""Shell: what people decided of articles, held against the acts by which the log says so.

    a decision    each is in an entry about that article, that draft and that step, of that very time
    a report      the making of each is in an entry about that article, of that very time
    an article    each to which a number was given, or on which people decided, is kept, or was deleted by an entry
    a deletion    what was there before it is gone: the article, and what people decided of it

The same bytes may have been taken in again after a deletion: then only what was done since counts for them.

Where the content of such an entry was purged, what it said is not known, and what it may have said is no finding.
"""

from collections.abc import Iterable, Iterator

from comity.canonical import parse_signed_json
from comity.errors import MalformedRequest
from comity.ids import Instant
from comity.intake.article.numbering import parse_numbers
from comity.intake.article.review import Step
from comity.release.classification import ClassificationChange
from comity.replayed import ReplayedEntry
from comity.store import Transaction, articles

__all__ = ["DraftAudit"]


class DraftAudit:
    """The acts of a log by which people decided of articles, and what `transaction` holds of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._decided: dict[str, dict[tuple[str, Instant], str]] = {}
        """By article: step and time of each act since it was added, and the numbers of its drafts."""
        self._made: dict[str, set[Instant]] = {}
        self._deleted: dict[str, Instant] = {}
        """When each article was deleted last."""
        self._numbers = set[int]()
        """Those of articles that were deleted."""
        self._lost = False

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with the entry."""
        if entry.content is None:
            self._lost = True
            return
        match parse_signed_json(entry.content):
            case {
                "change": ClassificationChange.CONFIRM_DRAFTS
                | ClassificationChange.STRIKE_DRAFTS
                | ClassificationChange.CORRECT_DRAFT,
                "about": {"article": str(article), "step": str(step), "drafts": str(numbers)},
            }:
                yield from self._note(article, step, entry.leaf.at, numbers)
            case {
                "change": ClassificationChange.MAKE_REPORT,
                "about": {"article": str(article), "struck": str(numbers)},
            }:
                self._made.setdefault(article, set()).add(entry.leaf.at)
                if numbers:
                    yield from self._note(article, Step.STRIKE, entry.leaf.at, numbers)
            case {
                "change": ClassificationChange.DELETE_ARTICLE,
                "about": {"article": str(article), "number": int(number), "drafts": int()},
            }:
                self._decided.pop(article, None)
                self._made.pop(article, None)
                self._deleted[article] = entry.leaf.at
                self._numbers.add(number)
            case {"change": ClassificationChange.DELETE_ARTICLE}:
                yield "an article was deleted by it, and it does not say which"
            case {
                "change": ClassificationChange.CONFIRM_DRAFTS
                | ClassificationChange.STRIKE_DRAFTS
                | ClassificationChange.CORRECT_DRAFT
                | ClassificationChange.MAKE_REPORT
            }:
                yield "it is about an article, and does not say which drafts"
            case _:
                return

    def finish(self) -> Iterator[str]:
        """What is kept of articles and no entry says, and what is not as entries say."""
        if self._lost:
            return
        yield from self._find_unsaid()
        added = articles.list_added(self._transaction)
        for number, article, at in added:
            if number in self._numbers or at < self._deleted.get(article, at):
                yield f"the article {article[:12]} is on record as deleted, and is kept"
        yield from self._find_missing(number for number, _, _ in added)
        for name in sorted((self._decided.keys() | self._made.keys()) - {kept for _, kept, _ in added}):
            yield f"people decided on the article {name[:12]}, it is not kept, and no entry says that it was deleted"

    def _find_missing(self, kept: Iterable[int]) -> Iterator[str]:
        """Numbers that were given, each to one article, and are neither kept nor on record as deleted."""
        last = 0
        for number in sorted({*kept, *self._numbers, articles.find_last_number(self._transaction) + 1}):
            if number == last + 2:
                yield f"article {last + 1} is not kept, and no entry says that it was deleted"
            elif number > last + 2:
                yield f"articles {last + 1} to {number - 1} are not kept, and no entry says that they were deleted"
            last = number

    def _find_unsaid(self) -> Iterator[str]:
        known = {
            (name, *place): frozenset(parse_numbers(numbers))
            for name, acts in self._decided.items()
            for place, numbers in acts.items()
        }
        for kept in articles.iterate_decisions(self._transaction):
            if kept.number not in known.get((kept.article, kept.step, kept.at), ()):
                yield (
                    f"draft {kept.number} of the article {kept.article[:12]} is kept as one that people decided to"
                    f" {kept.step}, and no act of people in the log says so"
                )
        for article, made_at in articles.list_made(self._transaction):
            if made_at not in self._made.get(article, ()):
                yield f"a report of the article {article[:12]} was made, and no act of people in the log says so"

    def _note(self, article: str, step: str, at: Instant, numbers: str) -> Iterator[str]:
        try:
            parse_numbers(numbers)
        except MalformedRequest:
            yield "it is about drafts of an article, and does not say which"
            return
        acts, place = self._decided.setdefault(article, {}), (step, at)
        acts[place] = f"{acts[place]},{numbers}" if place in acts else numbers
