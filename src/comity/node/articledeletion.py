# SPDX-License-Identifier: Apache-2.0
"""Shell: an article that was taken in is deleted: its bytes, its text, its drafts and what people decided of them.

One act puts on record who did it and why, and takes all of it out of the store. What was made of it stays: these are
objects, and `node.retention` deletes them. What people wrote in the acts before (a correction, a reason) is in the
content of their entries, which `node.purge` takes out; which entries these are is said. The log is looked through for
them before the act, with turns for others; the act itself looks at what came since.

The same bytes can be taken in again, as another article. The number is given to no other one, so that who saw the one
that is gone decides on nothing else by it.
"""

from dataclasses import dataclass
from typing import Final

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.canonical import parse_signed_json
from comity.errors import ConflictError, MalformedError
from comity.ids import format_instant
from comity.node.articles import count_states, find_article
from comity.node.classify import record
from comity.node.node import Node
from comity.node.people import Actor, Approved, Waiting, act_alone, normalise_text
from comity.node.retention import finish_deletions
from comity.node.steps import Steps
from comity.release.classification import ClassificationChange
from comity.store import Transaction, articles, log, purges
from comity.store.articles import Counts, StoredArticle
from comity.store.waivers import find_contents

__all__ = ["DeletedArticle", "delete_article"]

_MOST_REASON: Final = 2_000
_ENTRIES_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedArticle:
    """An article that is kept no more, and how its drafts stood.

    `entries` are those of the log in which people wrote words about it. `gone` is False while something of it may be
    left in the files.
    """

    article: StoredArticle
    counts: Counts
    entries: tuple[int, ...]
    gone: bool
    approvals: tuple[Approval, ...]


def delete_article(
    node: Node, prefix: str, *, reason: str, by: Actor, seen: int | None = None, made: str | None = None
) -> Steps[DeletedArticle | Waiting | Refusal]:
    """The article of that number, or whose digest begins so, which is in no table any more.

    `seen` is how many decisions on its drafts the person saw, and `made` when its report was made last by what the
    person saw ("": it was not), where it was said.

    Raises:
        NotFoundError: there is none, or several begin so.
        ConflictError: its drafts were decided on, or the report was made, since; nothing was deleted.
        MalformedRequest: the reason is no text.
    """
    said = normalise_text(reason, most=_MOST_REASON, where="--reason")
    if isinstance(refused := act_alone(by, ClassificationChange.DELETE_ARTICLE), Refusal):
        return refused
    with node.store.read() as transaction:
        meant = find_article(transaction, prefix)
        _check_seen(meant, count_states(transaction, meant), seen=seen, made=made)
    worded, searched = yield from _search_log(node, meant)
    with node.act() as act:
        article = find_article(act.transaction, str(meant.number))
        counts = count_states(act.transaction, article)
        _check_seen(article, counts, seen=seen, made=made)
        worded += _find_worded(act.transaction, article, searched, act.position)
        entries = purges.find_opened(act.transaction, worded)  # the others were purged meanwhile
        drafts = counts.open + counts.confirmed + counts.struck
        done = record(
            act,
            by,
            ClassificationChange.DELETE_ARTICLE,
            {"article": article.digest, "number": article.number, "drafts": drafts, "report": article.report},
            reason=said,
        )
        if not isinstance(done, Approved):
            return done
        articles.delete_article(act.transaction, article)
    return DeletedArticle(
        article=article, counts=counts, entries=entries, gone=finish_deletions(node), approvals=done.approvals
    )


def _check_seen(article: StoredArticle, counts: Counts, *, seen: int | None, made: str | None) -> None:
    if seen not in {None, counts.decisions}:
        raise ConflictError("its drafts were decided on since you looked: look at it again")
    if made not in {None, "" if article.made_at is None else format_instant(article.made_at)}:
        raise ConflictError("its report was made since you looked: look at it again")


def _search_log(node: Node, article: StoredArticle) -> Steps[tuple[list[int], int]]:
    """The entries that hold words about it, and how many were looked at: all but those of the moment."""
    found, searched = list[int](), 0
    while True:
        with node.store.read() as transaction:
            size = log.count_entries(transaction)
            stop = min(searched + _ENTRIES_AT_ONCE, size)
            found += _find_worded(transaction, article, searched, stop)
        searched = stop
        if searched == size:
            return found, searched
        yield


def _find_worded(transaction: Transaction, article: StoredArticle, start: int, stop: int) -> list[int]:
    """The entries at start ≤ p < stop that hold what a person wrote about it, but for why it was deleted before."""
    text = f'"article":"{article.digest}"'.encode()
    found = find_contents(transaction, text, start=start, stop=stop)
    return [position for position, content in found if _has_words(content)]


def _has_words(content: bytes) -> bool:
    try:
        value = parse_signed_json(content)
    except MalformedError:
        return True  # whoever looks at it sees what it is
    match value:
        case {"change": ClassificationChange.DELETE_ARTICLE}:
            return False
        case {"about": dict(about), "reason": reason, "approvals": list(approvals)}:
            reasons = [item.get("reason") for item in approvals if isinstance(item, dict)]
            return bool(reason or about.get("said") or any(reasons) or _is_worded(about.get("correction")))
        case _:
            return True


def _is_worded(correction: object) -> bool:
    return isinstance(correction, dict) and correction.get("value") is not None
