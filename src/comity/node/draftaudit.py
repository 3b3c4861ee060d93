# SPDX-License-Identifier: Apache-2.0
"""Shell: what people decided of articles, held against the acts by which the log says so.

    a decision    each is in an entry about that article, that draft and that step, of that very time
    a report      the making of each is in an entry about that article, of that very time

Where the content of such an entry was purged, what it said is not known, and what it may have said is no finding.
"""

from collections.abc import Iterator

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
        self._decided: dict[tuple[str, str, Instant], str] = {}
        """Article, step and time of each act, and the numbers of its drafts."""
        self._made = set[tuple[str, Instant]]()
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
                self._made.add((article, entry.leaf.at))
                if numbers:
                    yield from self._note(article, Step.STRIKE, entry.leaf.at, numbers)
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
        """What is kept of articles and no entry says."""
        if self._lost:
            return
        known = {place: frozenset(parse_numbers(numbers)) for place, numbers in self._decided.items()}
        for kept in articles.iterate_decisions(self._transaction):
            if kept.number not in known.get((kept.article, kept.step, kept.at), ()):
                yield (
                    f"draft {kept.number} of the article {kept.article[:12]} is kept as one that people decided to"
                    f" {kept.step}, and no act of people in the log says so"
                )
        for article, at in articles.list_made(self._transaction):
            if (article, at) not in self._made:
                yield f"a report of the article {article[:12]} was made, and no act of people in the log says so"

    def _note(self, article: str, step: str, at: Instant, numbers: str) -> Iterator[str]:
        try:
            parse_numbers(numbers)
        except MalformedRequest:
            yield "it is about drafts of an article, and does not say which"
            return
        place = article, step, at
        self._decided[place] = f"{self._decided[place]},{numbers}" if place in self._decided else numbers
