# SPDX-License-Identifier: Apache-2.0
"""Pure: the STIX 2.1 report of an article, of what people have confirmed and as they have corrected it.

    record = assemble_report(reading, Review(confirmed=frozenset({"place/RU", …})), maker)
    record.objects     each after those that it refers to, so the report behind all but the notes on it

Nothing is in it that nobody confirmed: the report refers to confirmed drafts alone, and a note or an opinion whose
speaker is not confirmed is left out, with a note that says so. A day is a note on the report, which does not refer
back, where nothing that its sentences mention is confirmed. The report holds no text of the article but its title and
its caption: its day, its address, when it was retrieved, and the SHA-256 of what was received.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from comity.canonical import Json
from comity.errors import MalformedRequest
from comity.ids import ObjectId, format_instant, is_object_id
from comity.intake.article.drafts import Draft
from comity.intake.article.mentions import Kind
from comity.intake.article.reading import Reading
from comity.intake.article.text import Article
from comity.intake.making import Maker
from comity.intake.records import Record

__all__ = ["REPORT_KEY", "Correction", "Review", "assemble_report"]

REPORT_KEY: Final = "report"
"""The last part of what the id of a report follows from."""

_FIXED: Final = frozenset(
    {"type", "spec_version", "id", "created", "modified", "created_by_ref", "object_marking_refs"}
)
"""What no correction changes: it comes with the making."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a person changes of a draft before it is confirmed.

    `set` replaces properties, and removes those that are None. `stands_for` is an object that the node holds: the draft
    becomes no object of its own, and what refers to it refers to that one.
    """

    set: Mapping[str, Json] = field(default_factory=dict)
    stands_for: ObjectId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What people have said of a reading: the keys of the drafts that they confirm, and their corrections.

    `about` are objects that the node holds and that the report is about as well. `title`, `published`, `publisher` and
    `url` take the place of what was read. Whatever is not confirmed is struck.
    """

    confirmed: frozenset[str]
    corrections: Mapping[str, Correction] = field(default_factory=dict)
    about: tuple[ObjectId, ...] = ()
    title: str | None = None
    published: str | None = None
    publisher: str | None = None
    url: str | None = None
    report_types: tuple[str, ...] = ()


def assemble_report(reading: Reading, review: Review, maker: Maker, *, author: ObjectId | None = None) -> Record:
    """The report of the article and the confirmed drafts, as objects that `maker` makes.

    `author` is the identity that made them (`created_by_ref`). The place of the record is the digest of the article.

    Raises:
        MalformedRequest: a draft that is not in the reading; a correction of what cannot be corrected; no day of
            publication, or nothing that the report could be about (STIX 2.1 §4.16 asks for both).
        MalformedObject: a correction holds what is no JSON.
    """
    _check_review(reading, review)
    made = _Making(reading, review, maker, author)
    for key, draft in reading.drafts.items():
        if key in review.confirmed:
            made.add(draft)
    about = tuple(dict.fromkeys((*made.about, *review.about)))
    if not about:
        raise MalformedRequest(
            "nothing is confirmed that a report could be about, which a day alone is not: confirm a draft, or name an"
            " object that is held",
            where="confirmed",
        )
    report = _describe_report(reading.article, review, about, author)
    made.objects.append(maker.make("report", made.report_key, report).data)
    objects = (*made.objects, *made.on_report)
    return Record(place=reading.article.digest, objects=objects, notes=tuple(made.notes))


def _check_review(reading: Reading, review: Review) -> None:
    unknown = sorted((review.confirmed | review.corrections.keys()) - reading.drafts.keys())
    if unknown:
        raise MalformedRequest(
            f"{unknown[0][:80]!r} is no draft of this article; read it again and confirm by the keys that it gives",
            where="confirmed",
        )
    for key, correction in review.corrections.items():
        if fixed := correction.set.keys() & _FIXED:
            raise MalformedRequest(
                f"{min(fixed)} of {key[:80]!r} cannot be corrected: it comes when the object is made",
                where=f"corrections/{key[:80]}",
            )
        if correction.stands_for is not None and not is_object_id(correction.stands_for):
            raise MalformedRequest(f"{key[:80]!r} cannot stand for that: give the id of an object", where="corrections")


@dataclass(slots=True)
class _Making:
    """The objects made so far, and the id of each draft that is one."""

    reading: Reading
    review: Review
    maker: Maker
    author: ObjectId | None
    objects: list[bytes] = field(default_factory=list)
    about: list[ObjectId] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ids: dict[str, ObjectId | None] = field(default_factory=dict)
    on_report: list[bytes] = field(default_factory=list)

    @property
    def report_key(self) -> tuple[str, ...]:
        """What the id of the report follows from."""
        return ("article", self.reading.article.digest, REPORT_KEY)

    def add(self, draft: Draft) -> ObjectId | None:
        """The id of a confirmed draft, made with what it refers to; None where no report can refer to it."""
        if draft.key in self.ids:
            return self.ids[draft.key]
        correction = self.review.corrections.get(draft.key, Correction())
        held = correction.stands_for or (draft.held if not correction.set else None)
        found = held if held is not None else self._make(draft, correction)
        self.ids[draft.key] = found
        if found is not None:
            self.about.append(found)
        return found

    def _make(self, draft: Draft, correction: Correction) -> ObjectId | None:
        properties, objects = {**draft.properties, **correction.set}, self.objects
        if (draft.refers or draft.kind is Kind.DATE) and "object_refs" not in correction.set:
            refers: list[Json] = [*dict.fromkeys(self._resolve(draft.refers))]
            if not refers and draft.kind is Kind.DATE:
                # The report does not refer back: neither could be released before the other.
                refers, objects = [self.maker.find_id("report", self.report_key)], self.on_report
            if not refers:
                self.notes.append(f"left out, as nothing that it is about is confirmed: {draft.title}")
                return None
            properties["object_refs"] = refers
        if self.author is not None and draft.names:
            properties["created_by_ref"] = self.author
        made = self.maker.make(draft.type, draft.names, properties)
        objects.append(made.data)
        return None if objects is self.on_report else made.id

    def _resolve(self, keys: Sequence[str]) -> Iterator[ObjectId]:
        for key in keys:
            found = self.add(self.reading.drafts[key]) if key in self.review.confirmed else None
            if found is not None:
                yield found


def _describe_report(
    article: Article, review: Review, about: Sequence[ObjectId], author: ObjectId | None
) -> dict[str, Json]:
    published = _read_day(review.published or article.published)
    title = review.title or (" ".join(article.quote(article.title).split()) if article.title is not None else None)
    publisher, url = review.publisher or article.publisher, review.url or article.url
    source: dict[str, Json] = {
        "source_name": publisher or "article",
        "description": f"{article.format}, {len(article.received)} bytes as received, retrieved"
        f" {format_instant(article.retrieved_at)}",
    }
    if url is not None:
        source["url"] = url
        # The digest of the bytes that were received; the address may give others by and by (STIX 2.1 §2.5).
        source["hashes"] = {"SHA-256": article.digest}
    else:
        source["external_id"] = f"sha256:{article.digest}"
    references: list[Json] = [source]
    report: dict[str, Json] = {
        "created_by_ref": author,
        "name": title or publisher or "Article",
        "description": " ".join(article.quote(article.caption).split()) if article.caption is not None else None,
        "published": f"{published}T00:00:00.000Z",
        "external_references": references,
        "object_refs": list(about),
        "report_types": list(review.report_types) or None,
    }
    return report


def _read_day(said: str | None) -> str:
    if said is None:
        raise MalformedRequest("no day of publication is known; say it (YYYY-MM-DD)", where="published")
    try:
        return date.fromisoformat(said).isoformat()
    except ValueError as error:
        raise MalformedRequest(f"{said[:40]!r} is no day; say it as YYYY-MM-DD", where="published") from error
