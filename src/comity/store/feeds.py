# SPDX-License-Identifier: Apache-2.0
"""Shell: feeds: what each party has been released under each channel, in release order.

`catch_up` is the only writer of releases. It never decides: it reads the clause table's SQL condition, and the poll
decides every row again before it leaves.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from operator import itemgetter

from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.release.clauses import Condition
from comity.store.names import FIND_ONE, NAMED, NAMED_SO, list_keys, tell_key
from comity.store.objects import read_head_seq
from comity.store.selection import Candidates, Selection, VersionChoice
from comity.store.transaction import Row, SqlValue, Transaction

__all__ = [
    "Admission",
    "Candidates",
    "Feed",
    "Selection",
    "VersionChoice",
    "catch_up",
    "end_feeds",
    "is_caught_up",
    "open_feed",
    "read_all_floors",
    "read_candidates",
    "read_feed",
    "read_floors",
    "was_ever_released",
    "was_released",
]

_CHUNK = 50
_FEW = 500
"""Places that are gone through label by label, of each of which it is remembered whether the terms admit it."""

_MOST_AT_ONCE = 5_000
"""Places in the order of commit by which a feed catches up at once, where more wait: some 25 ms."""

_WHOLE = "NOT EXISTS (SELECT 1 FROM label w WHERE w.id = o.label AND w.partly_marked = 1)"
"""That nothing may be removed from an object on its way, whatever the terms say of parts."""

_USUAL_SPEC_VERSION = "2.1"
_DATA_OF = itemgetter(-1)
_ENDED = 2**63 - 1
"""The floor of a feed that has ended: nothing in the store is behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Where a feed stands: released up to `through` in the order of commit, under the terms `under`.

    `floor` is the last place taken when the last party signed: what came in up to there is history. While `generation`
    is the same, what was read of the feed up to `last_at` is too. `behind` says that it has not caught up to the end.
    Up to `checked` it was noted what is not there any more, also of what the feed has not caught up with. What stands
    up to `backlog` is released at one time, in however many parts.
    """

    id: int
    through: int
    under: Digest | None
    last_at: Instant
    floor: int
    generation: int
    behind: bool = False
    checked: int = 0
    backlog: int = 0


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What terms admit: a condition on a row `label` of labels, and one on a row `o` of objects.

    The first is read when it is asked for: of labels that are known it need not be.
    """

    read_label: Callable[[], Condition]
    object: Condition

    @cached_property
    def label(self) -> Condition:
        """The condition on a row of labels."""
        return self.read_label()


def read_feed(transaction: Transaction, agreement: AgreementId, channel: str, recipient: PartyId) -> Feed | None:
    """The feed; None while there is none, or it has ended."""
    return _read_feed(
        transaction,
        "agreement = ? AND channel = ? AND recipient = ? AND floor < ?",
        (agreement, channel, recipient, _ENDED),
    )


def _read_feed(transaction: Transaction, where: str, parameters: Sequence[SqlValue]) -> Feed | None:
    row = transaction.row(
        f"SELECT id, through, under, last_at, floor, generation, checked, backlog FROM feed WHERE {where}", parameters
    )
    if row is None:
        return None
    return Feed(
        id=row[0],
        through=row[1],
        under=None if row[2] is None else Digest(row[2]),
        last_at=Instant(row[3]),
        floor=row[4],
        generation=row[5],
        checked=row[6],
        backlog=row[7],
    )


def read_all_floors(transaction: Transaction) -> dict[tuple[AgreementId, str, PartyId], int]:
    """The floor of every feed that has not ended, by agreement, channel and recipient."""
    rows = transaction.rows("SELECT agreement, channel, recipient, floor FROM feed WHERE floor < ?", (_ENDED,))
    return {(AgreementId(row[0]), row[1], PartyId(row[2])): row[3] for row in rows}


def read_floors(transaction: Transaction, agreement: AgreementId) -> dict[tuple[str, PartyId], int]:
    """The floor of every feed of an agreement that has not ended, by channel and recipient."""
    sql = "SELECT channel, recipient, floor FROM feed WHERE agreement = ? AND floor < ?"
    rows = transaction.rows(sql, (agreement, _ENDED))
    return {(channel, PartyId(recipient)): floor for channel, recipient, floor in rows}


def open_feed(transaction: Transaction, agreement: AgreementId, channel: str, recipient: PartyId) -> Feed:
    """The feed, made empty if there is none, or begun anew: then everything held at this moment is its history.

    A feed that begins anew keeps its releases: their times must never come twice.
    """
    feed = read_feed(transaction, agreement, channel, recipient)
    if feed is None:
        transaction.run(
            "INSERT INTO feed (agreement, channel, recipient, through, under, last_at, floor)"
            " VALUES (?, ?, ?, 0, NULL, 0, ?)"
            " ON CONFLICT (agreement, channel, recipient) DO UPDATE SET floor = excluded.floor",
            (agreement, channel, recipient, read_head_seq(transaction)),
        )
        feed = read_feed(transaction, agreement, channel, recipient)
    assert feed is not None  # noqa: S101 (it was made in this transaction)
    return feed


def end_feeds(transaction: Transaction, agreement: AgreementId, *, besides: Collection[tuple[str, PartyId]]) -> None:
    """End every feed of the agreement but those of these channels and recipients."""
    for channel, recipient in read_floors(transaction, agreement).keys() - set(besides):
        transaction.run(
            "UPDATE feed SET floor = ? WHERE agreement = ? AND channel = ? AND recipient = ?",
            (_ENDED, agreement, channel, recipient),
        )


def is_caught_up(transaction: Transaction, feed: Feed, terms: Digest) -> bool:
    """Whether nothing can have changed since the feed last caught up, under these very terms."""
    return feed.under == terms and feed.through == read_head_seq(transaction)


def catch_up(
    transaction: Transaction,
    feed: Feed,
    *,
    terms: Digest,
    admits: Admission,
    admitted: Admission | None,
    known: dict[int, bool],
    now: Instant,
) -> Feed:
    """The feed, with everything released that may be, each object at its own time.

    Released is what `admits` admits and is newer than `through`, or was not admitted by the terms last released under
    (`admitted`; None when there were none, or they are the same). Release times rise above every earlier one of the
    feed: max(now, last + 1 µs) and on. An object released before takes its new place and leaves the old one, unless it
    has been there whole ever since: then whoever polls has had it or finds it where it is, and a new place would tell
    of what changed its label, which others may have given or said. Nothing is written when nothing can have changed.

    Where the terms are none before, or the same, and very much waits, a part of it is released, in the order of commit,
    and the feed is `behind`: else whoever polls a great store for the first time would keep all others waiting. The
    parts go on from one time: by where each ends the recipient would count what is held between and not for it.

    `known` says of labels whether `admits` has them, and gets to know of more: it is for this feed and these terms
    alone, and for as long as a label stands for the same words.
    """
    head = read_head_seq(transaction)
    if feed.under == terms and feed.through == head:
        return feed
    goes_on = feed.under == terms and feed.through < feed.backlog
    if feed.under == terms and not goes_on and head - feed.through <= _FEW:
        return _release_few(transaction, feed, admits=admits, known=known, head=head, now=now)
    backlog = feed.backlog if goes_on else head
    reach = head if admitted is not None else _find_reach(transaction, feed, admits, head=backlog)
    moves = feed.under != terms or _was_any_released(transaction, feed, reach=reach)
    base = feed.last_at if goes_on else max(now - 1, feed.last_at)
    admitted_now, parameters = _hold(admits)
    if moves or reach < head:
        span = None if feed.under != terms else (max(feed.through, feed.checked), head)
        _unsettle(transaction, feed, admitted_now, parameters, span=span)
    (moved, values), gained = _not_steady(feed), ""
    parameters = [feed.id, base, *parameters, reach, feed.through, *values]
    if admitted is not None:
        # What other terms admitted without some of its properties may be admitted with them now.
        before, values = _hold(admitted)
        gained = f" OR NOT ({before}) OR o.label IN (SELECT label.id FROM label WHERE label.partly_marked = 1)"
        parameters.extend(values)
    count = transaction.run(
        "INSERT INTO release (feed, at, object, steady)"
        f" SELECT ?, ? + ROW_NUMBER() OVER (ORDER BY o.seq), o.pk, {_WHOLE} FROM object o"
        f" WHERE o.current = 1 AND {admitted_now} AND o.seq <= ? AND ((o.seq > ?{moved}){gained})"
        " ON CONFLICT (feed, object) DO UPDATE SET at = excluded.at, steady = excluded.steady",
        parameters,
    )
    transaction.run(
        "UPDATE feed SET through = ?, under = ?, last_at = ?, generation = generation + ?, checked = ?, backlog = ?"
        " WHERE id = ?",
        (reach, terms, base + count if count or reach < head else feed.last_at, int(moves), head, backlog, feed.id),
    )
    return replace(_read_again(transaction, feed), behind=reach < head)


def _read_again(transaction: Transaction, feed: Feed) -> Feed:
    found = _read_feed(transaction, "id = ?", (feed.id,))
    assert found is not None  # noqa: S101 (it was there)
    return found


def _release_few(
    transaction: Transaction, feed: Feed, *, admits: Admission, known: dict[int, bool], head: int, now: Instant
) -> Feed:
    """The feed, with what may be released of the few places behind it, under the terms that it was released under."""
    span = feed.through, head
    came = transaction.rows("SELECT label, MIN(first_seq) FROM object WHERE seq > ? AND seq <= ? GROUP BY label", span)
    if unknown := [label for label, _ in came if label not in known]:
        sql = f"SELECT label.id FROM label WHERE label.id IN (SELECT value FROM json_each(?)) AND {admits.label.sql}"
        found = {row[0] for row in transaction.rows(sql, [json.dumps(unknown), *admits.label.parameters])}
        known.update((label, label in found) for label in unknown)
    admitted = [label for label, _ in came if known[label]]
    # What came in since was released to nobody before.
    moves = any(first <= feed.through for _, first in came) and _was_any_released(transaction, feed, reach=head)
    base, count = max(now - 1, feed.last_at), 0
    held = f"o.label IN (SELECT value FROM json_each(?)) AND {admits.object.sql}"
    parameters: list[SqlValue] = [json.dumps(admitted), *admits.object.parameters]
    if moves:
        _unsettle(transaction, feed, held, parameters, span=span)
    if admitted:
        moved, values = _not_steady(feed)
        count = transaction.run(
            "INSERT INTO release (feed, at, object, steady)"
            f" SELECT ?, ? + ROW_NUMBER() OVER (ORDER BY o.seq), o.pk, {_WHOLE} FROM object o WHERE o.current = 1"
            f" AND {held} AND o.seq <= ? AND o.seq > ?{moved}"
            " ON CONFLICT (feed, object) DO UPDATE SET at = excluded.at, steady = excluded.steady",
            [feed.id, base, *parameters, head, feed.through, *values],
        )
    if not count and not moves and head - feed.through <= _FEW // 2:
        return feed  # nothing is written: the same few places are looked at again with those that come next
    last_at, generation = Instant(base + count) if count else feed.last_at, feed.generation + int(moves)
    transaction.run(
        "UPDATE feed SET through = ?, last_at = ?, generation = generation + ? WHERE id = ?",
        (head, last_at, int(moves), feed.id),
    )
    return replace(feed, through=head, last_at=last_at, generation=generation)


def _find_reach(transaction: Transaction, feed: Feed, admits: Admission, *, head: int) -> int:
    """Up to where the feed catches up at once: to the end, unless so many objects wait that it takes long."""
    if head - feed.through <= _MOST_AT_ONCE:
        return head
    row = transaction.row(
        f"SELECT SUM(objects) FROM label_count WHERE label IN (SELECT label.id FROM label WHERE {admits.label.sql})",
        admits.label.parameters,
    )
    return head if row is None or (row[0] or 0) <= _MOST_AT_ONCE else feed.through + _MOST_AT_ONCE


def _was_any_released(transaction: Transaction, feed: Feed, *, reach: int) -> bool:
    """Whether something that came in, or was labelled, after `through` and up to `reach` was released before."""
    if not feed.last_at:
        return False
    # What came in is little beside what was released: SQLite keeps the order of a CROSS JOIN.
    row = transaction.row(
        "SELECT 1 FROM object o CROSS JOIN release r ON r.feed = ? AND r.object = o.pk"
        " WHERE o.seq > ? AND o.seq <= ? LIMIT 1",
        (feed.id, feed.through, reach),
    )
    return row is not None


def _unsettle(
    transaction: Transaction,
    feed: Feed,
    admitted: str,
    parameters: Sequence[SqlValue],
    *,
    span: tuple[int, int] | None,
) -> None:
    """Note of what was released that it is not there, or not whole: once it is again, it takes a new place.

    `admitted` is the condition on a row `o` of objects; of `span` alone, where other objects stay as they were.
    """
    if not feed.last_at or (span is not None and span[0] >= span[1]):
        return
    # What came in is little beside what was released: SQLite keeps the order of a CROSS JOIN.
    which = "object o CROSS JOIN release r ON r.feed = ? AND r.object = o.pk"
    where, values = f"r.steady = 1 AND NOT ({admitted} AND {_WHOLE})", [feed.id, feed.id, *parameters]
    if span is None:
        which = "release r JOIN object o ON r.feed = ? AND o.pk = r.object"
    else:
        where, values = f"{where} AND o.first_seq <= ? AND o.seq > ? AND o.seq <= ?", [*values, feed.through, *span]
    transaction.run(
        f"UPDATE release SET steady = 0 WHERE feed = ? AND at IN (SELECT r.at FROM {which} WHERE {where})", values
    )


def _not_steady(feed: Feed) -> tuple[str, list[SqlValue]]:
    """The condition on a row `o` of objects that it has no place in the feed in which it stays, and its parameters."""
    if not feed.last_at:
        return "", []
    stays = "SELECT 1 FROM release s WHERE s.feed = ? AND s.object = o.pk AND s.steady = 1"
    # What came in since was released to nobody before.
    return f" AND (o.first_seq > ? OR NOT EXISTS ({stays}))", [feed.through, feed.id]


def _hold(admission: Admission) -> tuple[str, list[SqlValue]]:
    """The condition on a row `o` of objects, and its parameters."""
    sql = f"o.label IN (SELECT label.id FROM label WHERE {admission.label.sql}) AND {admission.object.sql}"
    return sql, [*admission.label.parameters, *admission.object.parameters]


def was_ever_released(transaction: Transaction, pk: int) -> bool:
    """Whether this version was released to anybody under any agreement."""
    return transaction.row("SELECT 1 FROM release WHERE object = ? LIMIT 1", (pk,)) is not None


def was_released(transaction: Transaction, pk: int, recipient: PartyId) -> bool:
    """Whether this version was released to `recipient` under any agreement."""
    sql = "SELECT 1 FROM release r JOIN feed f ON f.id = r.feed WHERE r.object = ? AND f.recipient = ?"
    return transaction.row(sql, (pk, recipient)) is not None


def read_candidates(
    transaction: Transaction,
    feed: Feed,
    selection: Selection,
    *,
    limit: int,
    bytes_enough: int | None,
    among: Condition | None = None,
    admits: Admission | None = None,
) -> Candidates:
    """At most `limit` objects released after `selection.after` that the request asks for, in release order.

    With their bytes where `bytes_enough` is given: fewer are read as soon as so many bytes are. Of those alone whose
    row of labels fulfils `among`, where it is given. The first version of an object is the first of those that `admits`
    has: one that is held back would show by what is missing.
    """
    if selection.after >= feed.last_at:
        return Candidates()  # nothing was released later
    where, parameters = _conditions(selection, admits)
    if among is not None:
        where += f" AND o.label IN (SELECT label.id FROM label WHERE {among.sql})"
        parameters.extend(among.parameters)
    data, body = ("b.data", " JOIN body b ON b.object = o.pk") if bytes_enough is not None else ("x''", "")
    source = _find_source(transaction, selection, limit=limit)
    rows = transaction.iterate(
        "SELECT r.at, o.id, o.version, o.digest, o.label, o.first_seq, o.added_at,"
        f" {data} FROM {source}{body} WHERE r.feed = ? AND r.at > ?{where} ORDER BY r.at LIMIT ?",
        [feed.id, selection.after, *parameters, limit],
    )
    taken, size = list[Row](), 0
    while chunk := list(islice(rows, _CHUNK)):
        taken += chunk
        size += 0 if bytes_enough is None else sum(map(len, map(_DATA_OF, chunk)))
        if bytes_enough is not None and size > bytes_enough:
            break
    return Candidates(*zip(*taken, strict=True)) if taken else Candidates()


def _find_source(transaction: Transaction, selection: Selection, *, limit: int) -> str:
    """Where to begin, so that what is read does not grow with the feed: at its releases, or at the objects asked for.

    A feed is read in its order until the page is full, which is soon where most objects are asked for. Where few are,
    the objects are found by an index, each with its release: SQLite keeps that order of a CROSS JOIN.
    """
    by_release, by_object = "release r JOIN object o ON o.pk = r.object", "CROSS JOIN release r ON r.object = o.pk"
    if selection.ids:
        return f"object o {by_object}"
    if selection.versions.exact and not (selection.versions.last or selection.versions.first):
        return f"object o INDEXED BY object_by_version_at {by_object}"
    if selection.spec_versions and _USUAL_SPEC_VERSION not in selection.spec_versions:
        return f"object o INDEXED BY object_by_spec_version {by_object}"
    if selection.types:
        asked, held = _count_types(transaction, selection.types)
        # So many objects against so many releases until the page is full, if those asked for are spread evenly.
        if asked * asked < limit * held:
            return f"object o INDEXED BY object_by_type {by_object}"
    return by_release


def _count_types(transaction: Transaction, types: Collection[str]) -> tuple[int, int]:
    """How many newest versions are held of these types, and of all."""
    row = transaction.row(
        "SELECT SUM(objects) FILTER (WHERE type IN (SELECT value FROM json_each(?))), SUM(objects) FROM label_count",
        (json.dumps(sorted(types)),),
    )
    return (int(row[0] or 0), int(row[1] or 0)) if row else (0, 0)


def _find_named(ids: frozenset[ObjectId]) -> tuple[str, list[SqlValue]]:
    """The condition on the rows of objects that may have these ids."""
    if not ids:
        return "", []
    if len(ids) == 1:
        return f" AND o.pk IN {NAMED_SO}", [*map(tell_key, ids)] * 2
    return f" AND o.pk IN {NAMED}", [list_keys(ids)] * 2


def _is_first(admits: Admission | None) -> tuple[str, list[SqlValue]]:
    """The condition on rows `o` and `r` that no earlier version is in the feed, and admitted where that is asked."""
    earlier, parameters = "object", list[SqlValue]()
    if admits is not None:
        held, parameters = _hold(admits)
        earlier = f"(SELECT o.pk, o.id, o.version_at FROM object o WHERE {held})"
    return (
        f"NOT EXISTS (SELECT 1 FROM {earlier} e JOIN release x ON x.object = e.pk AND x.feed = r.feed"
        f" WHERE e.pk IN {FIND_ONE.format('o.id')} AND e.id = o.id AND e.version_at < o.version_at)"
    ), parameters


def _conditions(selection: Selection, admits: Admission | None) -> tuple[str, list[SqlValue]]:
    sql, parameters = _find_named(selection.ids)
    listed: Sequence[tuple[str, frozenset[str]]] = (
        ("o.id", frozenset(selection.ids)),
        ("o.type", selection.types),
        ("o.spec_version", selection.spec_versions),
    )
    for column, words in listed:
        if len(words) == 1:
            sql += f" AND {column} = ?"
            parameters.extend(words)
        elif words:
            sql += f" AND {column} IN (SELECT value FROM json_each(?))"
            parameters.append(json.dumps(sorted(words)))
    if selection.spec_versions and _USUAL_SPEC_VERSION not in selection.spec_versions:
        sql += f" AND o.spec_version <> '{_USUAL_SPEC_VERSION}'"  # as the index over the others says it
    versions = selection.versions
    if versions.every:
        return sql, parameters
    choices = list[str]()
    if versions.last:
        # An older version is admitted only where the newest is too, so the last one in the feed is the newest held.
        choices.append("o.current = 1")
    if versions.first:
        first, values = _is_first(admits)
        choices.append(first)
        parameters.extend(values)
    if versions.exact:
        choices.append("o.version_at IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps(sorted(versions.exact)))
    return f"{sql} AND ({' OR '.join(choices)})", parameters
