# SPDX-License-Identifier: Apache-2.0
"""Shell: what was received is reviewed or deleted as the terms say it came under, and each deletion is on record.

The terms bind what came from elsewhere. What this party took in by itself is deleted by nobody's terms, though a
partner gave the same; nor are the predefined TLP markings, which are the same for everyone.

A deletion takes the version out of every table, renews the labels of what referred to it, leaves a tombstone and
records a purge, in one transaction: a crash leaves the object whole without a purge or gone with one. Only after the
last of them are unused labels swept and the write-ahead log emptied; a crash before that leaves a mark, and the next
run does it. Answers under way are not waited for: what they carry was given before. Not reached: backups, and what the
log says of the object's id, version and digest.

An act takes `by`: who answers for it, as they are to be named on record. Whether that person may do it is not asked
here.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from comity.agreement.retention import Clause, Delete, Judgement, Keep, Review, Rule
from comity.errors import ConflictError, TransitionError, UnavailableError
from comity.ids import Digest, Instant, ObjectId, format_instant
from comity.node.due import Due, Ground, find_due, judge, read_ground
from comity.node.explain import find_object
from comity.node.node import Act, Node
from comity.node.people import normalise_text
from comity.node.relabel import relabel
from comity.release.disclosure import DisclosedObject, EntryType, format_purge, format_review
from comity.store import Transaction, arrivals, deletions, objects, purges, received
from comity.store.deletions import Tombstone
from comity.store.objects import StoredObject

__all__ = [
    "DELETED_SHOWN",
    "Kept",
    "Purged",
    "Tombstone",
    "check_texts",
    "delete",
    "delete_due",
    "delete_versions",
    "find_kept",
    "finish_deletions",
    "keep",
    "list_deleted",
]

DELETED_SHOWN = 7 * 24 * 3_600_000_000
"""How long, in microseconds, a deletion that was done is shown, so that people see what they no longer have."""

_BATCH = 100
"""Deletions in one transaction: others wait for no more than these, and a crash undoes no more."""

_MAX_TEXT = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One version that was decided to be kept, until a date by a clause: its next review, or its deletion."""

    object: StoredObject
    until: Instant | None
    clause: Clause | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was deleted; `more` says that more is due. `gone` is False while something may be left in the files."""

    stones: tuple[Tombstone, ...]
    more: bool
    gone: bool


def keep(
    node: Node, prefix: str, *, reason: str, by: str | None = None, versions: Collection[str] | None = None
) -> tuple[Kept, ...]:
    """The versions of the object that were decided to be kept, each with the date on which something is due again.

    `versions` are those that it is decided of (None: every one that is held).

    Raises:
        NotFoundError, MalformedRequest: the object, or the reason.
        ConflictError: none of these versions is held any more.
        TransitionError: it is this party's own, no review is owed, or the time to decide has passed.
    """
    reason = check_texts(reason, by)
    with node.act() as act:
        transaction = act.transaction
        item = find_object(transaction, prefix)
        ground = read_ground(node, transaction, now=act.now)
        held = objects.read_versions_of(transaction, [item.id])
        seen = [version for version in held if versions is None or version.version in versions]
        if not seen:
            raise ConflictError(
                f"other versions of {item.id} are held than those you saw; look at them, and do it again"
            )
        judged = list(judge(transaction, ground, seen, now=act.now))
        reviewed = [(held, rules) for held, rules, judgement in judged if _can_decide(judgement)]
        if not reviewed:
            raise TransitionError(_say_no_review(item, [judgement for _, _, judgement in judged]))
        arrivals.mark_decided(transaction, [held.pk for held, _ in reviewed], now=act.now)
        _record_review(act, item.id, reviewed, reason=reason, by=by)
        return tuple(
            _describe_kept(held, judgement)
            for held, _, judgement in judge(transaction, ground, [held for held, _ in reviewed], now=act.now)
        )


def delete(
    node: Node, prefix: str, *, reason: str, by: str | None = None, versions: Collection[str] | None = None
) -> Purged:
    """Every held version of the object, deleted because somebody said so, though no terms ask for it.

    `versions` are those that whoever says so has seen (None: not said).

    Raises:
        NotFoundError, MalformedRequest: the object, or the reason.
        ConflictError: others are held than those that were seen; nothing was deleted.
    """
    reason = check_texts(reason, by)
    with node.act() as act:
        item = find_object(act.transaction, prefix)
        held = objects.read_versions_of(act.transaction, [item.id])
        if versions is not None and sorted(versions) != sorted(version.version for version in held):
            raise ConflictError(
                f"other versions of {item.id} are held than those you saw; look at them, and do it again"
            )
        stones = delete_versions(act, held, reason=reason, by=by)
    return Purged(stones=stones, more=False, gone=finish_deletions(node))


def delete_versions(act: Act, held: Iterable[StoredObject], *, reason: str, by: str | None) -> tuple[Tombstone, ...]:
    """What stays of these versions, deleted in this act; the caller sees to what is left in the files afterwards."""
    stones = tuple(_delete(act, version, judged=None, reason=reason, by=by) for version in held)
    _follow_up(act, stones)
    return stones


def delete_due(node: Node, *, most: int = _BATCH) -> Purged:
    """What was due, deleted: at most `most` versions in one transaction. Call it again while there is more.

    What nobody decided to keep by the date of its review is deleted, what has reached its maximum, and what an ended
    agreement lets nobody keep. A clock that goes back deletes nothing: each date is compared with the time it is on
    this machine, also while that of the node waits for it.
    """
    now = node.read_machine_clock()
    with node.store.read() as transaction:
        ground = read_ground(node, transaction, now=now)
        due = next(_find_deletable(transaction, ground, now=now), None)
        unfinished = deletions.is_unfinished(transaction)
    if due is None:
        return Purged(stones=(), more=False, gone=not unfinished or finish_deletions(node))
    with node.act() as act:
        stones = list[Tombstone]()
        found = list[Due]()
        for due in _find_deletable(act.transaction, read_ground(node, act.transaction, now=now), now=now):
            found.append(due)
            if len(found) == most + 1:
                break
        for due in found[:most]:
            assert isinstance(due.judged, Delete)  # noqa: S101 (that is what was looked for)
            stones.append(_delete(act, due.object, judged=due.judged, reason=None, by=None))
        _follow_up(act, stones)
    more = len(found) > most
    return Purged(stones=tuple(stones), more=more, gone=False if more else finish_deletions(node))


def list_deleted(node: Node, *, most: int) -> list[Tombstone]:
    """What was deleted in the last seven days, the last first."""
    with node.store.read() as transaction:
        return deletions.list_deleted_since(transaction, Instant(node.clock() - DELETED_SHOWN), limit=most)


def find_kept(node: Node, item: StoredObject) -> Kept | None:
    """Until when the version is kept, and by which clause, by every way it came; None for what no terms bind."""
    with node.store.read() as transaction:
        now = node.clock()
        judged = list(judge(transaction, read_ground(node, transaction, now=now), [item], now=now))
    return _describe_kept(item, judged[0][2]) if judged else None


def _find_deletable(transaction: Transaction, ground: Ground, *, now: Instant) -> Iterator[Due]:
    return (due for due in find_due(transaction, ground, until=now, now=now) if isinstance(due.judged, Delete))


def _describe_kept(item: StoredObject, judgement: Judgement) -> Kept:
    match judgement:
        case Keep(until=until, clause=clause):
            return Kept(object=item, until=until, clause=clause)
        case Review(due=due):
            return Kept(object=item, until=due, clause=Clause.REVIEW)
        case Delete(due=due, clause=clause):
            return Kept(object=item, until=due, clause=clause)


def _can_decide(judgement: Judgement) -> bool:
    """Whether a decision to keep can change anything: what is next is a review, and its date has not passed."""
    match judgement:
        case Review():
            return True
        case Keep(clause=clause):
            return clause is Clause.REVIEW
        case Delete():
            return False


def _delete(act: Act, item: StoredObject, *, judged: Delete | None, reason: str | None, by: str | None) -> Tombstone:
    """One version out of the store, its tombstone in, and its purge on record. Labels follow: see the callers."""
    came = arrivals.read_arrivals(act.transaction, [item.pk]).get(item.pk, [])
    if judged is None:
        # The terms it was received under, also where this party held it as its own before; None where nobody gave it.
        terms = item.received_under or next((arrival.terms for arrival in came), None)
    else:
        terms = judged.rule.terms
    stone = Tombstone(
        id=item.id,
        version_at=item.version_at,
        version=item.version,
        digest=item.digest,
        originator=item.originator,
        terms=terms,
        clause=None if judged is None else judged.clause.value,
        by=by,
        reason=reason,
        deleted_at=act.now,
        receipt=next((way.receipt for way in came if (way.giver, way.terms) == (item.originator, terms)), None),
    )
    deletions.delete_object(act.transaction, item, stone)
    content = format_purge(
        DisclosedObject(id=item.id, version=item.version, digest=item.digest),
        originator=item.originator,
        agreement=None if judged is None else judged.rule.agreement,
        clause=stone.clause,
        due=None if judged is None else judged.due,
        reason=reason,
        by=by,
    )
    act.record(EntryType.PURGE, content, terms=terms, recipient=None, count=1)
    return stone


def _follow_up(act: Act, stones: Collection[Tombstone]) -> None:
    """What is left of what was deleted: the labels of what refers to it, and copies in pages that were refused."""
    gone = {stone.id for stone in stones}
    relabel(act.transaction, restated=gone)
    received.empty_refused(act.transaction, gone)


def _record_review(
    act: Act,
    name: ObjectId,
    reviewed: Iterable[tuple[StoredObject, list[Rule]]],
    *,
    reason: str,
    by: str | None,
) -> None:
    """One entry for each text under which something of the object was reviewed."""
    under: dict[Digest, tuple[Rule, list[Digest]]] = {}
    for held, rules in reviewed:
        for rule in rules:
            digests = under.setdefault(rule.terms, (rule, []))[1]
            if held.digest not in digests:
                digests.append(held.digest)
    for terms, (rule, digests) in under.items():
        content = format_review(agreement=rule.agreement, item=name, versions=digests, reason=reason, by=by)
        act.record(EntryType.REVIEW, content, terms=terms, recipient=None, count=len(digests))


def finish_deletions(node: Node) -> bool:
    """Whether nothing of what was deleted is left in the files of the store; a reader may have to go first.

    A crash on any line leaves the mark that the deletion made, and the next run begins here again. So does a full disk:
    the deletion is on record, and must not be told as one that was undone.
    """
    node.pages.clear()  # no page is given again that holds what is gone; nor may its bytes stay in memory
    try:
        with node.act() as act:
            deletions.sweep_labels(act.transaction)
            deletions.sweep_remarks(act.transaction)
            purges.sweep_listings(act.transaction)
        if not node.store.empty_wal():
            return False
        with node.act() as act:
            deletions.mark_finished(act.transaction)
    except UnavailableError:
        return False
    return True


def _say_no_review(item: StoredObject, judged: list[Judgement]) -> str:
    for judgement in judged:
        match judgement:
            case Delete(due=due, clause=clause, rule=rule):
                return (
                    f"{item.id} was to be deleted on {format_instant(due)} by {clause.value} of the terms"
                    f" {rule.terms[:12]}; no decision can keep it any more"
                )
            case Keep(until=until, clause=clause) if until is not None and clause is not None:
                return f"{item.id} is deleted on {format_instant(until)} by {clause.value}, whatever is decided"
            case Keep() | Review():
                continue
    if item.received_under is None:
        return f"{item.id} was taken in by this party itself; no terms of a partner ask for a review of it"
    return f"no terms that {item.id} came under ask for a review of it"


def check_texts(reason: str, by: str | None) -> str:
    """The reason as it goes on record, once it and the name can.

    Raises:
        MalformedRequest: one is empty, over 4,096 characters, or no text.
    """
    if by is not None:
        normalise_text(by, most=_MAX_TEXT, where="by")
    return normalise_text(reason, most=_MAX_TEXT, where="reason")
