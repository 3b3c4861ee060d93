# SPDX-License-Identifier: Apache-2.0
"""The annotated corpus is sound, and articles that no rule was tuned on are read no worse than they were."""

import pytest

from comity.intake.article.text import Article
from tests.intake.annotated import CORPUS, PARTS, Score, load, read_all, score

FLOORS = {
    # On the third part: precision and recall, a little below what bench/results/articles.md says.
    "states": (0.95, 0.95),
    "capitals": (0.80, 0.85),
    "regions": (0.95, 0.95),
    "organisations": (0.95, 0.95),
    "persons": (0.95, 0.65),
    "bodies": (0.90, 0.90),
    "dates": (0.90, 0.95),
    "observables": (0.95, 0.95),
    "statements": (0.65, 0.55),
    "statements: stance": (0.90, 0.75),
}


def test_there_are_fifty_articles_and_each_is_annotated() -> None:
    assert [len(load(part)) for part in PARTS] == [20, 20, 10]
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} == set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_every_text_says_what_is_marked(part: str) -> None:
    """Of plain text this holds by the way in which marks are read; of pages and PDFs nearly all must be in the text."""
    for marked in load(part):
        assert isinstance(marked.article, Article)
        spans = [mark.span for marks in marked.marks.values() for mark in marks]
        assert sum(span is None for span in spans) <= 2, marked.name


def test_what_no_rule_was_tuned_on_is_read_no_worse() -> None:
    total = dict[str, Score]()
    for marked, reading in read_all("third"):
        for kind, one in score(marked, reading).items():
            total.setdefault(kind, Score()).add(one)
    for kind, (precision, recall) in FLOORS.items():
        assert (total[kind].precision or 0.0) >= precision, kind
        assert (total[kind].recall or 0.0) >= recall, kind
