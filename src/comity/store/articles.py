# SPDX-License-Identifier: Apache-2.0
"""Shell: articles as they were received, what they would become, and what people decided of that."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from comity.canonical import Json
from comity.ids import Digest, Instant, ObjectId, PersonId
from comity.intake.article.numbering import Numbered, describe_numbered, read_numbered
from comity.intake.article.review import Decision, Step
from comity.store.deletions import mark_unfinished
from comity.store.parties import read_meta, write_meta
from comity.store.transaction import Row, Transaction

__all__ = [
    "Counts",
    "KeptDecision",
    "StoredArticle",
    "add_article",
    "add_decisions",
    "count_drafts",
    "delete_article",
    "find_articles",
    "find_last_number",
    "is_number",
    "iterate_decisions",
    "list_added",
    "list_articles",
    "list_made",
    "read_bytes",
    "read_decisions",
    "read_drafts",
    "read_text",
    "set_made",
]

_MOST_DIGITS = 15
_LAST = "last-article"
_COLUMNS = (
    "number, digest, name, format, length(received), length(text), head, added_by, added_at, retrieved_at, report,"
    " made, made_at, made_by, made_through"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArticle:
    """One article without its text; `made` is how its report was made last, None before."""

    number: int
    digest: Digest
    name: str
    format: str
    bytes: int
    characters: int
    head: Mapping[str, Any]
    added_by: PersonId | None
    added_at: Instant
    retrieved_at: Instant
    report: ObjectId | None = None
    made: Mapping[str, Any] | None = None
    made_at: Instant | None = None
    made_by: str | None = None
    made_through: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many drafts of an article stand how, how many `decisions` there were, and the key of the `last` one."""

    open: int
    confirmed: int
    struck: int
    decisions: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDecision:
    """A decision as it lies there, with the digest of its article."""

    article: Digest
    number: int
    step: str
    at: Instant


def add_article(
    transaction: Transaction, article: StoredArticle, drafts: Iterable[Numbered], *, received: bytes, text: str
) -> StoredArticle:
    """The article on record under a number of its own, with what it would become."""
    number = transaction.insert(
        "INSERT INTO article (number, digest, name, format, received, text, head, added_by, added_at, retrieved_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            find_last_number(transaction) + 1,
            article.digest,
            article.name,
            article.format,
            received,
            text,
            json.dumps(dict(article.head), ensure_ascii=False, sort_keys=True),
            article.added_by,
            article.added_at,
            article.retrieved_at,
        ),
    )
    transaction.run(
        "INSERT INTO article_draft (article, number, draft)"
        " SELECT ?1, json_extract(value, '$.number'), value FROM json_each(?2)",
        (number, json.dumps([describe_numbered(item) for item in drafts], ensure_ascii=False)),
    )
    (found,) = find_articles(transaction, str(number))
    return found


def is_number(prefix: str) -> bool:
    """Whether an article is named by its number, and not by a beginning of its digest."""
    return prefix.isascii() and prefix.isdigit() and len(prefix) <= _MOST_DIGITS


def find_articles(transaction: Transaction, prefix: str) -> list[StoredArticle]:
    """The article of that number, or two at most whose digest begins so; few digits are a number alone.

    A number that was given once names no other article, also when its own was deleted. Nothing begins with nothing.
    """
    if not prefix:
        return []
    if is_number(prefix):
        rows = transaction.rows(f"SELECT {_COLUMNS} FROM article WHERE number = ?", (int(prefix),))
        return [_build(row) for row in rows]
    rows = transaction.rows(
        f"SELECT {_COLUMNS} FROM article WHERE substr(digest, 1, ?) = ? ORDER BY number LIMIT 2", (len(prefix), prefix)
    )
    return [_build(row) for row in rows]


def list_articles(transaction: Transaction, *, limit: int) -> list[StoredArticle]:
    """The last articles, oldest first."""
    rows = transaction.rows(f"SELECT {_COLUMNS} FROM article ORDER BY number DESC LIMIT ?", (limit,))
    return [_build(row) for row in reversed(rows)]


def read_bytes(transaction: Transaction, number: int) -> bytes:
    """What was received of an article that is there."""
    (row,) = transaction.rows("SELECT received FROM article WHERE number = ?", (number,))
    return bytes(row[0])


def read_text(transaction: Transaction, number: int) -> str:
    """The text of an article that is there."""
    (row,) = transaction.rows("SELECT text FROM article WHERE number = ?", (number,))
    return str(row[0])


def read_drafts(transaction: Transaction, article: StoredArticle) -> list[Numbered]:
    """What an article would become, by number."""
    rows = transaction.rows("SELECT draft FROM article_draft WHERE article = ? ORDER BY number", (article.number,))
    return [read_numbered(json.loads(row[0]), length=article.characters) for row in rows]


def add_decisions(transaction: Transaction, article: int, decisions: Sequence[Decision]) -> None:
    """Keep what a person decided."""
    listed: list[Json] = [
        [each.number, each.step.value, each.field, each.value, each.reason, int(each.at), each.by] for each in decisions
    ]
    picked = ", ".join(f"json_extract(value, '$[{index}]')" for index in range(7))
    transaction.run(
        "INSERT INTO article_decision (article, number, step, field, value, reason, decided_at, decided_by)"
        f" SELECT ?1, {picked} FROM json_each(?2) ORDER BY key",
        (article, json.dumps(listed, ensure_ascii=False)),
    )


def read_decisions(transaction: Transaction, article: int) -> list[Decision]:
    """All that people decided of an article, in the order in which they did."""
    rows = transaction.rows(
        "SELECT number, step, field, value, reason, decided_at, decided_by FROM article_decision WHERE article = ?"
        " ORDER BY id",
        (article,),
    )
    return [
        Decision(
            number=number,
            step=Step(step),
            field=name,
            value=value,
            reason=reason,
            at=Instant(at),
            by=by,
        )
        for number, step, name, value, reason, at, by in rows
    ]


def iterate_decisions(transaction: Transaction) -> Iterator[KeptDecision]:
    """All that people ever decided of articles, in the order in which they did."""
    rows = transaction.iterate(
        "SELECT a.digest, d.number, d.step, d.decided_at FROM article_decision d JOIN article a ON a.number = d.article"
        " ORDER BY d.id"
    )
    return (
        KeptDecision(article=Digest(digest), number=number, step=step, at=Instant(at))
        for digest, number, step, at in rows
    )


def list_added(transaction: Transaction) -> list[tuple[int, Digest, Instant]]:
    """Number and digest of every article that is kept, and when it was added."""
    rows = transaction.rows("SELECT number, digest, added_at FROM article ORDER BY number")
    return [(int(number), Digest(digest), Instant(at)) for number, digest, at in rows]


def list_made(transaction: Transaction) -> list[tuple[Digest, Instant]]:
    """The articles of which a report was made, and when it was made last."""
    rows = transaction.rows("SELECT digest, made_at FROM article WHERE made_at IS NOT NULL ORDER BY number")
    return [(Digest(digest), Instant(at)) for digest, at in rows]


def count_drafts(transaction: Transaction, article: int | None = None) -> dict[int, Counts]:
    """How the drafts of each article stand, or of one, by the number of the article."""
    where, values = ("", ()) if article is None else (" WHERE article = ?", (article,))
    total = {
        int(row[0]): int(row[1])
        for row in transaction.rows(f"SELECT article, COUNT(*) FROM article_draft{where} GROUP BY article", values)
    }
    steps = {
        int(row[0]): row[1:]
        for row in transaction.rows(
            "SELECT l.article, SUM(d.step = 'confirm'), SUM(d.step = 'strike') FROM (SELECT article, MAX(id) AS id"
            f" FROM (SELECT * FROM article_decision{where}) WHERE step IN ('confirm', 'strike')"
            " GROUP BY article, number) l JOIN article_decision d ON d.id = l.id GROUP BY l.article",
            values,
        )
    }
    last = {
        int(row[0]): row[1:]
        for row in transaction.rows(
            f"SELECT article, COUNT(*), MAX(id) FROM article_decision{where} GROUP BY article", values
        )
    }
    found: dict[int, Counts] = {}
    for number, drafts in total.items():
        confirmed, struck = steps.get(number, (0, 0))
        decisions, key = last.get(number, (0, 0))
        found[number] = Counts(
            open=drafts - confirmed - struck, confirmed=confirmed, struck=struck, decisions=decisions, last=key
        )
    return found


def set_made(
    transaction: Transaction, number: int, *, report: ObjectId, made: Mapping[str, Json], now: Instant, by: str
) -> None:
    """The report of the article was made, so, of all that was decided until then."""
    transaction.run(
        "UPDATE article SET report = ?1, made = ?2, made_at = ?3, made_by = ?4, made_through ="
        " (SELECT coalesce(MAX(id), 0) FROM article_decision WHERE article = ?5) WHERE number = ?5",
        (report, json.dumps(dict(made), ensure_ascii=False, sort_keys=True), now, by, number),
    )


def delete_article(transaction: Transaction, article: StoredArticle) -> None:
    """Take the article out of every table, with what it would become and what people decided of that.

    Its number is given to no other one. An approval that waits and is about it goes too.
    """
    write_meta(transaction, _LAST, str(find_last_number(transaction)))
    for table, column in (("article_decision", "article"), ("article_draft", "article"), ("article", "number")):
        transaction.run(f"DELETE FROM {table} WHERE {column} = ?", (article.number,))
    transaction.run(
        "DELETE FROM approval WHERE json_valid(CAST(body AS TEXT))"
        " AND json_extract(CAST(body AS TEXT), '$.facts.article') = ?",
        (article.digest,),
    )
    mark_unfinished(transaction)


def find_last_number(transaction: Transaction) -> int:
    """The highest number that an article was ever given here; 0 before the first."""
    row = transaction.row("SELECT coalesce(MAX(number), 0) FROM article")
    return max(int(row[0]) if row else 0, int(read_meta(transaction, _LAST) or 0))


def _build(row: Row) -> StoredArticle:
    return StoredArticle(
        number=row[0],
        digest=Digest(row[1]),
        name=row[2],
        format=row[3],
        bytes=row[4],
        characters=row[5],
        head=json.loads(row[6]),
        added_by=None if row[7] is None else PersonId(row[7]),
        added_at=Instant(row[8]),
        retrieved_at=Instant(row[9]),
        report=None if row[10] is None else ObjectId(row[10]),
        made=None if row[11] is None else json.loads(row[11]),
        made_at=None if row[12] is None else Instant(row[12]),
        made_by=row[13],
        made_through=row[14],
    )
