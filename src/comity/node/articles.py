# SPDX-License-Identifier: Apache-2.0
"""Shell: articles of this party's own people: kept as they were received, read into drafts, decided on by people.

An article is known by its digest: the same bytes again change nothing. It is read by a process of its own
(`comity.articles`) before any act; one act keeps what was received, its text and all that it would become. None of that
is an object: nothing of an article is in the tables that a poll reads, before `node.reports` makes objects of what
people confirmed.

A decision is of one person, on record in the log in the transaction that keeps it (a classification), and can be
changed: the last one on a draft counts, and what was made before is made anew by whoever makes the report again.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.agreement.work import WorkItem, WorkKind
from comity.articles import ReadArticle, read_in_turns, recognise_article
from comity.canonical import Json, sha256_digest
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import Digest, Instant, PersonId
from comity.intake.article.mentions import Kind
from comity.intake.article.numbering import format_numbers
from comity.intake.article.review import (
    STANDS_FOR,
    Decision,
    Reviewed,
    State,
    Step,
    check_correction,
    find_fields,
    review_drafts,
)
from comity.intake.article.text import Article, Source, Span
from comity.intake.formats import Format
from comity.node.classify import describe_person, record
from comity.node.explain import find_object
from comity.node.known import list_known_in_steps
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, act_alone, normalise_text
from comity.node.steps import Steps, finish
from comity.node.wording import find_rules, find_wording
from comity.release.classification import ClassificationChange
from comity.store import Transaction, articles
from comity.store.articles import Counts, StoredArticle

__all__ = [
    "AddedArticle",
    "ArticlePlan",
    "Counts",
    "Decided",
    "ReviewedArticle",
    "StoredArticle",
    "add_article",
    "add_article_in_steps",
    "check_url",
    "confirm",
    "correct",
    "count_states",
    "describe_head",
    "find_article",
    "is_unmade",
    "list_article_work",
    "list_articles",
    "parse_kind",
    "restore",
    "review_article",
    "show_article",
    "strike",
]

_MOST_NAME: Final = 200
_MOST_REASON: Final = 2_000
_MOST_DECISIONS: Final = 100_000
"""On one article: ten for each of the most drafts that it can have."""
_MOST_LISTED: Final = 10_000
NO_DRAFTS: Final = Counts(open=0, confirmed=0, struck=0, decisions=0, last=0)
"""Of an article that mentions nothing."""

_URL: Final = re.compile(r"https?://[!-~]{1,2000}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticlePlan:
    """What whoever adds an article knows of it; None is looked for in the document. `known` is a gazetteer as TOML."""

    form: Format | None = None
    url: str | None = None
    publisher: str | None = None
    published: str | None = None
    retrieved_at: Instant | None = None
    encoding: str | None = None
    known: bytes = b""
    person: PersonId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedArticle:
    """An article that is kept; `already` says that these bytes were, and that nothing was done."""

    article: StoredArticle
    counts: Counts
    already: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedArticle:
    """An article with all its drafts as they stand, and its text."""

    article: StoredArticle
    text: str
    drafts: tuple[Reviewed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What was decided: the numbers of drafts; empty where that was so already, and nothing was recorded."""

    article: StoredArticle
    numbers: tuple[int, ...]
    counts: Counts
    approvals: tuple[Approval, ...] = field(default=())


# --- taking one in ----------------------------------------------------------------------------------------------------


def add_article(node: Node, data: bytes, name: str, plan: ArticlePlan) -> AddedArticle:
    """The article that the bytes are, kept with its drafts.

    Raises:
        MalformedFile: its format cannot be told.
        MalformedArticle: no article, or one over a bound; nothing was kept.
        MalformedRequest: what was said of it, or the gazetteer.
        NotInstalled: what reads HTML or PDF is not there.
    """
    return finish(add_article_in_steps(node, data, name, plan))


def add_article_in_steps(node: Node, data: bytes, name: str, plan: ArticlePlan) -> Steps[AddedArticle]:
    """`add_article`, and a turn for others while the process reads."""
    source = _read_source(node, plan)
    known = _find_known(node, sha256_digest(data))
    if known is not None:
        return known
    form = plan.form or recognise_article(data, name, encoding=plan.encoding)
    gazetteer = yield from list_known_in_steps(node, given=plan.known)
    wording = find_wording(node)  # with no turn in between: the gazetteer was held against these rules
    read = yield from read_in_turns(data, source, form=form, known=gazetteer.data, own=wording.own)
    yield  # however fast it was read: who asked may be nobody by now (`operations.articles`)
    read_by: dict[str, Json] = {
        "rules": wording.digest,
        "own": wording.own_digest,
        "organisations": sha256_digest(gazetteer.data),
        "left_out": gazetteer.left_out,
    }
    with node.act() as act:
        # Somebody else may have added the same while it was read.
        if articles.find_articles(act.transaction, read.article.digest):
            return _describe_known(act.transaction, read.article.digest)
        stored = articles.add_article(
            act.transaction,
            _make_row(read, name, read_by, person=plan.person, at=act.now),
            read.drafts,
            received=data,
            text=read.article.text,
        )
        counts = count_states(act.transaction, stored)
    return AddedArticle(article=stored, counts=counts, already=False)


def _read_source(node: Node, plan: ArticlePlan) -> Source:
    now = node.clock()
    if plan.url is not None:
        check_url(plan.url)
    if plan.retrieved_at is not None and plan.retrieved_at > now:
        raise MalformedRequest("that time is still to come; say when it was retrieved", where="--retrieved")
    publisher = plan.publisher
    return Source(
        retrieved_at=plan.retrieved_at if plan.retrieved_at is not None else now,
        url=plan.url,
        publisher=None if publisher is None else normalise_text(publisher, most=_MOST_NAME, where="--publisher"),
        published=plan.published,
        encoding=plan.encoding,
    )


def check_url(url: str) -> None:
    """Return when that can stand in a report as the address of the article.

    Raises:
        MalformedRequest: it cannot.
    """
    if _URL.fullmatch(url) is None:
        raise MalformedRequest("an address begins with http:// or https:// and has no spaces", where="--url")


def _find_known(node: Node, digest: Digest) -> AddedArticle | None:
    with node.store.read() as transaction:
        return _describe_known(transaction, digest) if articles.find_articles(transaction, digest) else None


def _describe_known(transaction: Transaction, digest: Digest) -> AddedArticle:
    (known,) = articles.find_articles(transaction, digest)
    return AddedArticle(article=known, counts=count_states(transaction, known), already=True)


def _make_row(read: ReadArticle, name: str, read_by: Json, *, person: PersonId | None, at: Instant) -> StoredArticle:
    article = read.article
    head: dict[str, Json] = {
        "title": _quote(article, article.title),
        "caption": _quote(article, article.caption),
        "title_at": _list_span(article.title),
        "caption_at": _list_span(article.caption),
        "paragraphs": [_list_span(span) for span in article.paragraphs],
        "published": article.published,
        "published_at": _list_span(article.published_at),
        "publisher": article.publisher,
        "url": article.url,
        "language": article.language,
        "encoding": article.encoding,
        "encoded_by": article.encoded_by,
        "special": [*sorted(read.special)],
        "read_by": read_by,
    }
    return StoredArticle(
        number=0,
        digest=article.digest,
        name=name.encode("utf-8", "replace").decode()[-_MOST_NAME:],
        format=article.format,
        bytes=len(article.received),
        characters=len(article.text),
        head=head,
        added_by=person,
        added_at=at,
        retrieved_at=article.retrieved_at,
    )


def _quote(article: Article, span: Span | None) -> str | None:
    return None if span is None else " ".join(article.quote(span).split())


def _list_span(span: Span | None) -> Json:
    return None if span is None else [span.start, span.end]


# --- looking ----------------------------------------------------------------------------------------------------------


def list_articles(node: Node, *, last: int) -> list[tuple[StoredArticle, Counts]]:
    """The last articles, oldest first, and how their drafts stand."""
    with node.store.read() as transaction:
        counts = articles.count_drafts(transaction)
        return [(item, counts.get(item.number, NO_DRAFTS)) for item in articles.list_articles(transaction, limit=last)]


def show_article(node: Node, prefix: str) -> tuple[ReviewedArticle, Counts]:
    """The article of that number, or whose digest begins so, and how its drafts stand.

    Raises:
        NotFoundError: there is none, or several begin so.
    """
    with node.store.read() as transaction:
        article = find_article(transaction, prefix)
        return review_article(transaction, article), count_states(transaction, article)


def find_article(transaction: Transaction, prefix: str) -> StoredArticle:
    """The article of that number, or whose digest begins so.

    Raises:
        NotFoundError: there is none, or several begin so.
    """
    found = articles.find_articles(transaction, prefix)
    if len(found) != 1:
        begun = f"{'several articles begin' if found else 'no article is kept that begins'} with {prefix[:80]!r}"
        missing = f"no article has the number {int(prefix)}" if articles.is_number(prefix) else begun
        raise NotFoundError(f"{missing}; `comity article list` shows them")
    return found[0]


def review_article(transaction: Transaction, article: StoredArticle) -> ReviewedArticle:
    """The article with all that people decided of it."""
    return ReviewedArticle(
        article=article,
        text=articles.read_text(transaction, article.number),
        drafts=_review(transaction, article),
    )


def count_states(transaction: Transaction, article: StoredArticle) -> Counts:
    """How the drafts of the article stand."""
    return articles.count_drafts(transaction, article.number).get(article.number, NO_DRAFTS)


def is_unmade(article: StoredArticle, counts: Counts) -> bool:
    """Whether anything is confirmed, and the report is not made as people decided."""
    return counts.confirmed > 0 and counts.last > article.made_through


def _review(transaction: Transaction, article: StoredArticle) -> tuple[Reviewed, ...]:
    decisions = articles.read_decisions(transaction, article.number)
    return review_drafts(articles.read_drafts(transaction, article), decisions)


def list_article_work(transaction: Transaction) -> Iterator[WorkItem]:
    """Articles with drafts that nobody has decided on, and those whose report is not as people decided."""
    known = articles.count_drafts(transaction)
    for item in articles.list_articles(transaction, limit=_MOST_LISTED):
        counts = known.get(item.number, NO_DRAFTS)
        if counts.open:
            yield WorkItem(
                kind=WorkKind.ARTICLE_TO_REVIEW,
                act=f"read it, confirm or strike each draft: article show {item.number}",
                why=f"article {item.number} ({item.name}): {counts.open} draft{'' if counts.open == 1 else 's'} open,"
                f" {counts.confirmed} confirmed, {counts.struck} struck",
                since=item.added_at,
                count=counts.open,
            )
        elif is_unmade(item, counts):
            yield WorkItem(
                kind=WorkKind.REPORT_TO_MAKE,
                act=f"make the report of what is confirmed: article make {item.number}",
                why=f"article {item.number} ({item.name}): every draft is decided on, and its report is not made so",
                since=item.added_at if item.made_at is None else item.made_at,
                count=counts.confirmed,
            )


# --- deciding ---------------------------------------------------------------------------------------------------------


def confirm(
    node: Node, prefix: str, numbers: Sequence[int], *, all_of: Kind | None = None, by: Actor, seen: int | None = None
) -> Decided | Waiting | Refusal:
    """Drafts are confirmed: by number, or all of a kind that are open; `seen` is how many decisions the person saw.

    Raises:
        NotFoundError: the article, or a draft of it.
        MalformedRequest: neither or both are named.
    """
    if bool(numbers) == (all_of is not None):
        raise MalformedRequest("name drafts by their numbers, or all of one kind by --all-of", where="N")
    if isinstance(refused := act_alone(by, ClassificationChange.CONFIRM_DRAFTS), Refusal):
        return refused
    with node.act() as act:
        article, drafts = _open(act.transaction, prefix, numbers)
        wanted = [each for each in drafts if each.item.number in numbers and each.state is not State.CONFIRMED]
        if all_of is not None:
            wanted = [each for each in drafts if each.item.draft.kind is all_of and each.state is State.OPEN]
        _check_seen(act.transaction, article, numbers or [each.item.number for each in wanted], seen=seen)
        return _decide(act, by, article, wanted, Step.CONFIRM, reason=None)


def strike(
    node: Node, prefix: str, numbers: Sequence[int], *, reason: str | None = None, by: Actor, seen: int | None = None
) -> Decided | Waiting | Refusal:
    """Drafts are struck: they become no objects.

    Raises:
        NotFoundError: the article, or a draft of it.
        MalformedRequest: none is named, or the reason is no text.
    """
    if not numbers:
        raise MalformedRequest("name drafts by their numbers", where="N")
    said = None if reason is None else normalise_text(reason, most=_MOST_REASON, where="--reason")
    if isinstance(refused := act_alone(by, ClassificationChange.STRIKE_DRAFTS), Refusal):
        return refused
    with node.act() as act:
        article, drafts = _open(act.transaction, prefix, numbers, seen=seen)
        wanted = [each for each in drafts if each.item.number in numbers and each.state is not State.STRUCK]
        return _decide(act, by, article, wanted, Step.STRIKE, reason=said)


def correct(
    node: Node, prefix: str, number: int, value: str, *, name: str | None = None, by: Actor, seen: int | None = None
) -> Decided | Waiting | Refusal:
    """One field of a draft is corrected; `name` None is the first that it has. How it stands does not change.

    Raises:
        NotFoundError: the article, the draft, or the object that it stands for.
        MalformedRequest: a field that it has not, or a value that the field cannot have.
    """
    if isinstance(refused := act_alone(by, ClassificationChange.CORRECT_DRAFT), Refusal):
        return refused
    with node.act() as act:
        article, drafts = _open(act.transaction, prefix, [number], seen=seen)
        each = drafts[number - 1]
        chosen = name or find_fields(each.item.draft)[0]
        if chosen == STANDS_FOR:
            value = find_object(act.transaction, value).id
        by_number = {one.item.number: one.item for one in drafts}
        check_correction(each.item, chosen, value, drafts=by_number, rules=find_rules(node))
        said = each.corrections.get(chosen)
        wanted = [] if said is not None and said.value == value else [each]
        return _decide(act, by, article, wanted, Step.CORRECT, reason=None, said=(chosen, value))


def restore(node: Node, prefix: str, number: int, *, by: Actor, seen: int | None = None) -> Decided | Waiting | Refusal:
    """All corrections of a draft are taken back.

    Raises:
        NotFoundError: the article or the draft.
    """
    if isinstance(refused := act_alone(by, ClassificationChange.CORRECT_DRAFT), Refusal):
        return refused
    with node.act() as act:
        article, drafts = _open(act.transaction, prefix, [number], seen=seen)
        wanted = [each for each in drafts if each.item.number == number and each.corrections]
        return _decide(act, by, article, wanted, Step.RESTORE, reason=None)


def parse_kind(word: str, *, where: str = "--all-of") -> Kind:
    """The kind of mention that the word names, said at the option `where`.

    Raises:
        MalformedRequest: it names none.
    """
    if word not in {kind.value for kind in Kind}:
        raise MalformedRequest(f"{word[:40]!r} is no kind of draft; use one of {', '.join(Kind)}", where=where)
    return Kind(word)


_CHANGES: Final[Mapping[Step, ClassificationChange]] = {
    Step.CONFIRM: ClassificationChange.CONFIRM_DRAFTS,
    Step.STRIKE: ClassificationChange.STRIKE_DRAFTS,
    Step.CORRECT: ClassificationChange.CORRECT_DRAFT,
    Step.RESTORE: ClassificationChange.CORRECT_DRAFT,
}


def _open(
    transaction: Transaction, prefix: str, numbers: Sequence[int], *, seen: int | None = None
) -> tuple[StoredArticle, tuple[Reviewed, ...]]:
    article = find_article(transaction, prefix)
    drafts = _review(transaction, article)
    if unknown := [number for number in numbers if not 1 <= number <= len(drafts)]:
        raise NotFoundError(f"article {article.number} has {len(drafts)} drafts, and none is number {unknown[0]}")
    _check_seen(transaction, article, numbers, seen=seen)
    return article, drafts


def _check_seen(transaction: Transaction, article: StoredArticle, numbers: Sequence[int], *, seen: int | None) -> None:
    """Return if nothing was decided on these after the first `seen` decisions on the article; None: not said."""
    unseen = () if seen is None else articles.read_decisions(transaction, article.number)[seen:]
    if later := sorted({each.number for each in unseen} & {*numbers}):
        raise ConflictError(f"draft {later[0]} was decided on, or corrected, since you looked: look at it again")


def _decide(
    act: Act,
    by: Actor,
    article: StoredArticle,
    wanted: Sequence[Reviewed],
    step: Step,
    *,
    reason: str | None,
    said: tuple[str, str] | None = None,
) -> Decided | Waiting | Refusal:
    """On record and kept, in one transaction; nothing of both where nothing would change."""
    numbers = tuple(each.item.number for each in wanted)
    name, value = said or (None, None)
    about: dict[str, Json] = {"article": article.digest, "step": step.value, "drafts": format_numbers(numbers)}
    if said is not None:
        about["correction"] = {"field": name, "value": None if value is None else normalise_value(value)}
    approvals: tuple[Approval, ...] = ()
    if wanted:
        done = record(act, by, _CHANGES[step], about, reason=reason or "", count=len(numbers))
        if not isinstance(done, Approved):
            return done
        approvals = done.approvals
        if count_states(act.transaction, article).decisions + len(numbers) > _MOST_DECISIONS:
            raise ConflictError(f"{_MOST_DECISIONS} decisions are on record of this article, which is the bound")
        who = describe_person(approvals)
        articles.add_decisions(
            act.transaction,
            article.number,
            [
                Decision(number=number, step=step, at=act.now, by=who, reason=reason, field=name, value=value)
                for number in numbers
            ],
        )
    counts = count_states(act.transaction, article)
    return Decided(article=article, numbers=numbers, counts=counts, approvals=approvals)


def normalise_value(value: str) -> str:
    """The value as it can stand in the log."""
    return normalise_text(value, most=_MOST_REASON, where="--value")


def describe_head(article: StoredArticle) -> Mapping[str, Any]:
    """What is known of the source, as it was read or as a person said it last."""
    said = (article.made or {}).get("said", {})
    return {**article.head, **{name: value for name, value in said.items() if value is not None}}
