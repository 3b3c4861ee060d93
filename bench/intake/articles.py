# SPDX-License-Identifier: Apache-2.0
"""How well and how fast articles are read: precision and recall of each kind on the corpus, and the speed.

    PYTHONPATH=. .venv/bin/python bench/intake/articles.py            prints the tables
    PYTHONPATH=. .venv/bin/python bench/intake/articles.py --write    writes them to bench/results/articles.md too
    PYTHONPATH=. .venv/bin/python bench/intake/articles.py --errors   names what was missed and what was wrong

The first part of the corpus was written before the rules, the second when the rules stood, and then they were tuned on
both (what the second showed before is in bench/results/articles-second.md). The third was written after that, and no
rule has seen it: its figures are those to believe.
"""

import argparse
import sys
import time
from pathlib import Path

from comity.intake.article.reading import Reading, read_article
from comity.intake.article.text import Source, parse_plain
from tests.intake.annotated import CORPUS, RETRIEVED, Marked, Score, read_all, read_gazetteer, read_rules, score

_RESULT = Path(__file__).resolve().parents[1] / "results" / "articles.md"
_PARTS = ("first", "second", "third")
_ROUNDS = 5
_JOINED = 6
"""So many are as long as what agencies write."""


def main() -> int:
    """0 always: figures are printed, not judged; tests hold the floors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--errors", action="store_true")
    given = parser.parse_args()
    parts = {part: read_all(part) for part in _PARTS if (CORPUS / part).is_dir()}
    lines = _format_quality(parts) + _format_speed()
    print("\n".join(lines))
    if given.errors:
        for part, read in parts.items():
            for marked, reading in read:
                _print_errors(part, marked, reading)
    if given.write:
        _RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def _format_quality(parts: dict[str, list[tuple[Marked, Reading]]]) -> list[str]:
    totals = {part: _total(read) for part, read in parts.items()}
    lines = [
        "# How well and how fast articles are read",
        "",
        "Written by `bench/intake/articles.py --write`. A mention is right when it lies over what a person marked and",
        "stands for the same. The first part of the corpus was written before the rules, the second when they stood,",
        "and then they were tuned on both ([what the second showed before](articles-second.md)). The third was written",
        "after that, and no rule has seen it: **believe the third**. All articles are fictional and written by the",
        "authors of the rules, so all parts flatter; what news agencies write is harder.",
        "",
    ]
    counts = ", ".join(f"{part}: {len(read)} articles" for part, read in parts.items())
    lines += [f"{counts}.", ""]
    heads = "".join(f" {part}: marked | found | right | precision | recall |" for part in totals)
    lines += [f"| kind |{heads}", f"| --- |{' ---: | ---: | ---: | ---: | ---: |' * len(totals)}"]
    for kind in next(iter(totals.values())):
        cells = "".join(_format_score(total[kind]) for total in totals.values())
        lines.append(f"| {kind} |{cells}")
    return lines


def _total(read: list[tuple[Marked, Reading]]) -> dict[str, Score]:
    total = dict[str, Score]()
    for marked, reading in read:
        for kind, one in {**_score_head(marked), **score(marked, reading)}.items():
            total.setdefault(kind, Score()).add(one)
    return total


def _score_head(marked: Marked) -> dict[str, Score]:
    article, scores = marked.article, dict[str, Score]()
    found = {
        "title": article.quote(article.title) if article.title else "",
        "published": article.published or "",
        "publisher": article.publisher or "",
        "url": article.url or "",
        "caption": article.quote(article.caption) if article.caption else "",
    }
    for name, said in marked.head.items():
        same = " ".join(found[name].split()) == " ".join(said.split()) and bool(said)
        scores[f"head: {name}"] = Score(int(bool(said)), int(bool(found[name])), int(same))
    return scores


def _format_score(one: Score) -> str:
    return f" {one.marked} | {one.found} | {one.right} | {_share(one.precision)} | {_share(one.recall)} |"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _format_speed() -> list[str]:
    """A hundred articles of the corpus, a hundred of some of these in one, and a long one: seconds for a megabyte."""
    source = Source(retrieved_at=RETRIEVED)
    files = [path for path in sorted((CORPUS / "first").glob("*.txt")) if ".pdf" not in path.name]
    texts = [path.read_bytes() for path in files]
    joined = [b"\n\n".join((texts * 2)[at : at + _JOINED]) for at in range(len(texts))]
    long = b"\n\n".join(texts)
    measured = [
        ("100 articles of the corpus", [texts[number % len(texts)] for number in range(100)]),
        (f"100 articles, {_JOINED} of these in each", [joined[number % len(joined)] for number in range(100)]),
        ("one article", [long * (1_000_000 // len(long))]),
    ]
    lines = ["", f"Speed, plain text, best of {_ROUNDS}, one core, by the processor:", ""]
    lines += ["| read | MB in all | kB each | s | s for a megabyte |", "| --- | ---: | ---: | ---: | ---: |"]
    for what, articles in measured:
        seconds, size = _measure(articles, source), sum(map(len, articles))
        each = size / len(articles) / 1e3
        lines.append(f"| {what} | {size / 1e6:.2f} | {each:.1f} | {seconds:.2f} | **{seconds / size * 1e6:.2f}** |")
    return lines


def _measure(articles: list[bytes], source: Source) -> float:
    rules, known = read_rules(), read_gazetteer()
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.process_time()
        for data in articles:
            read_article(parse_plain(data, source=source), rules, known)
        best = min(best, time.process_time() - started)
    return best


def _print_errors(part: str, marked: Marked, reading: Reading) -> None:
    for name, one in score(marked, reading).items():
        if one.right == one.marked == one.found:
            continue
        print(f"\n{part}/{marked.name} {name}: {one.right} right of {one.found} found, {one.marked} marked")
        kind = name.split(":", maxsplit=1)[0].rstrip("s")
        for mark in marked.marks.get(name, ()):
            print("   marked", mark.value, "|", mark.words[:70], mark.facts)
        for mention in reading.mentions:
            if mention.kind == kind or (kind == "bodie" and mention.kind == "body"):
                print(
                    "   found ",
                    mention.value,
                    "|",
                    reading.article.text[mention.start : mention.end][:70],
                    mention.rule,
                )


if __name__ == "__main__":
    sys.exit(main())
