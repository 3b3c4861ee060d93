# SPDX-License-Identifier: Apache-2.0
"""Shell: letters sent and received, as signed, with what became of them.

What a letter says is read from its bytes again. Its state says who has to do something:

    open      nobody has answered it
    answered  it was answered, and another answer is still to come
    closed    nothing is to come any more
    refused   it came, was answered as any other, and asks for what its sender may not ask for
"""

import json
from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.letters.bodies import LetterKind
from comity.letters.letter import Letter, parse_letter
from comity.store.transaction import Row, Transaction

__all__ = [
    "Filed",
    "KeptLetter",
    "LetterState",
    "Spot",
    "StoredLetter",
    "Undelivered",
    "add_letter",
    "count_answers",
    "count_open",
    "find_letters",
    "forget_letters",
    "is_undelivered",
    "iterate_letters",
    "list_about",
    "list_answers",
    "list_caused",
    "list_filed",
    "list_late",
    "list_letters",
    "list_open",
    "list_undelivered",
    "list_waiting_first",
    "measure_letters",
    "read_letter",
    "settle_letter",
]

_FIRST, _LAST = -(2**63), 2**63 - 1
_MOST_NAMED = 1_000
_MOST_REMEMBERED = 4_096
"""Bytes of a letter that is short."""

_COLUMNS = "l.position, l.sent, l.because, l.state, l.progress, l.due_at, l.answered_by, l.recorded_at, l.envelope"


class LetterState(StrEnum):
    """Whether something is still to come of a letter."""

    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"
    REFUSED = "refused"


_WAITING = frozenset({LetterState.OPEN, LetterState.ANSWERED})
"""States of which something is still to come."""


class Spot(NamedTuple):
    """The last letter of a part of a list: whether it stood among those that wait, and its position."""

    waits: bool
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLetter:
    """One letter, and what became of it; `answered_by` is the last answer to it that counts.

    `because` is the letter received that made this party send it. `progress` is a word of its kind.
    """

    position: int
    letter: Letter
    sent: bool
    because: Digest | None
    state: LetterState
    progress: str | None
    due_at: Instant | None
    answered_by: Digest | None
    recorded_at: Instant
    envelope: bytes

    @property
    def party(self) -> PartyId:
        """The other party."""
        return self.letter.to if self.sent else self.letter.sender


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLetter:
    """One letter as kept: what it is filed under, and its bytes, which are not read.

    `about` are id, version and digest of what it is found by.
    """

    digest: Digest
    sent: bool
    party: PartyId
    kind: str
    agreement: str
    terms: str
    answers: Digest | None
    about: tuple[tuple[str, str, str], ...]
    recorded_at: Instant
    envelope: bytes

    def is_filed_as(self, letter: Letter) -> bool:
        """Whether all that it is filed under is what the letter says."""
        about = tuple((item.id, item.version, item.digest) for item in letter.about)
        other = letter.to if self.sent else letter.sender
        says = other, letter.kind.value, letter.agreement, letter.terms, letter.answers, about
        return says == (self.party, self.kind, self.agreement, self.terms, self.answers, self.about)


class Filed(NamedTuple):
    """A letter as it is filed, without what it says but for what it is about: `versions` of so many `objects`.

    `first` is the first object that it names. The rest is as of `StoredLetter`.
    """

    digest: Digest
    party: PartyId
    agreement: AgreementId
    terms: Digest
    progress: str | None
    due_at: Instant | None
    recorded_at: Instant
    first: ObjectId
    objects: int
    versions: int


class Undelivered(NamedTuple):
    """A letter on its way, as it is filed: its place in the outbox, and who is to get it."""

    place: int
    digest: Digest
    kind: LetterKind
    party: PartyId
    agreement: AgreementId


def add_letter(
    transaction: Transaction,
    letter: Letter,
    *,
    envelope: bytes,
    sent: bool,
    because: Digest | None,
    state: LetterState,
    due_at: Instant | None,
    now: Instant,
) -> None:
    """Keep a letter that is not kept yet."""
    position = transaction.insert(
        "INSERT INTO letter (digest, sent, party, kind, agreement, terms, answers, because, state, due_at, recorded_at,"
        " envelope) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            letter.digest,
            int(sent),
            letter.to if sent else letter.sender,
            letter.kind.value,
            letter.agreement,
            letter.terms,
            letter.answers,
            because,
            state.value,
            due_at,
            now,
            envelope,
        ),
    )
    transaction.run_many(
        "INSERT INTO letter_object VALUES (?, ?, ?, ?, ?)",
        [(position, place, item.id, item.version, item.digest) for place, item in enumerate(letter.about)],
    )


def settle_letter(
    transaction: Transaction,
    digest: Digest,
    state: LetterState,
    *,
    progress: str | None,
    answered_by: Digest | None,
) -> None:
    """Let the letter stand in that state."""
    transaction.run(
        "UPDATE letter SET state = ?, progress = ?, answered_by = COALESCE(?, answered_by) WHERE digest = ?",
        (state.value, progress, answered_by, digest),
    )


def read_letter(transaction: Transaction, digest: Digest) -> StoredLetter | None:
    """The letter with that name."""
    found = _read(transaction, "WHERE l.digest = ?", (digest,))
    return found[0] if found else None


def find_letters(transaction: Transaction, prefix: str, *, limit: int) -> list[StoredLetter]:
    """Those whose name begins with `prefix`."""
    return _read(
        transaction, "WHERE substr(l.digest, 1, length(?1)) = ?1 ORDER BY l.position LIMIT ?2", (prefix, limit)
    )


def list_letters(
    transaction: Transaction,
    kind: LetterKind,
    *,
    sent: bool,
    states: Collection[LetterState] = frozenset(LetterState),
    limit: int = -1,
) -> list[StoredLetter]:
    """Those of that kind in those states, the newest first; all without a `limit`."""
    places = ", ".join("?" for _ in states)
    return _read(
        transaction,
        f"WHERE l.kind = ? AND l.sent = ? AND l.state IN ({places}) ORDER BY l.position DESC LIMIT ?",
        (kind.value, int(sent), *sorted(state.value for state in states), limit),
    )


def list_filed(
    transaction: Transaction,
    kind: LetterKind,
    *,
    sent: bool,
    states: Collection[LetterState],
    since: Instant | None = None,
) -> list[Filed]:
    """Those of a kind that is about objects, in those states and recorded after `since`, the newest first.

    No letter is read: there can be very many, and each can be long.
    """
    rows = transaction.rows(
        "SELECT l.digest, l.party, l.agreement, l.terms, l.progress, l.due_at, l.recorded_at,"
        " (SELECT id FROM letter_object WHERE letter = l.position AND place = 0),"
        " (SELECT COUNT(DISTINCT id) FROM letter_object WHERE letter = l.position),"
        " (SELECT COUNT(*) FROM letter_object WHERE letter = l.position) FROM letter l"
        " WHERE l.kind = ? AND l.sent = ? AND l.state IN (SELECT value FROM json_each(?)) AND l.recorded_at > ?"
        " ORDER BY l.position DESC",
        (kind.value, int(sent), json.dumps(sorted(states)), _FIRST if since is None else since),
    )
    return [
        Filed(
            digest=Digest(digest),
            party=PartyId(party),
            agreement=AgreementId(agreement),
            terms=Digest(terms),
            progress=progress,
            due_at=None if due_at is None else Instant(due_at),
            recorded_at=Instant(recorded_at),
            first=ObjectId(first),
            objects=int(named),
            versions=int(versions),
        )
        for digest, party, agreement, terms, progress, due_at, recorded_at, first, named, versions in rows
    ]


def list_late(transaction: Transaction, kind: LetterKind, *, now: Instant, undated: Instant, most: int) -> list[Digest]:
    """The names of those of that kind that came, stand open and are past their date, the earliest first.

    One without a date is late where it came by `undated`. Together they have at most `most` bytes, or it is one.
    """
    rows = transaction.rows(
        "SELECT position, digest, LENGTH(envelope) FROM letter WHERE kind = ? AND sent = 0 AND state = 'open'"
        " AND CASE WHEN due_at IS NULL THEN recorded_at <= ? ELSE due_at <= ? END"
        " ORDER BY COALESCE(due_at, recorded_at), position LIMIT ?",
        (kind.value, undated, now, _MOST_NAMED),
    )
    return [name for _, name in _cut(rows, most)]


def list_open(transaction: Transaction, kind: LetterKind, *, after: int, most: int) -> tuple[list[Digest], int]:
    """The names of those of that kind that came behind the position `after` and stand open, in order.

    Beside it the position behind which to go on, 0 after the last. They have at most `most` bytes, or it is one.
    """
    rows = transaction.rows(
        "SELECT position, digest, LENGTH(envelope) FROM letter WHERE kind = ? AND sent = 0 AND state = 'open'"
        " AND position > ? ORDER BY position LIMIT ?",
        (kind.value, after, _MOST_NAMED),
    )
    found = _cut(rows, most)
    is_last = len(found) == len(rows) < _MOST_NAMED
    return [name for _, name in found], 0 if is_last else found[-1][0]


def _cut(rows: list[Row], most: int) -> list[tuple[int, Digest]]:
    """As many of the letters, each with its size behind position and name, as have `most` bytes, and at least one."""
    fits = bisect_right([*accumulate(int(size) for _, _, size in rows)], most)
    return [(int(position), Digest(name)) for position, name, _ in rows[: max(fits, 1)]]


def list_undelivered(
    transaction: Transaction, kinds: Collection[LetterKind], *, place: int | None = None
) -> list[Undelivered]:
    """Those of these kinds that their receivers have not got; where a `place` in the outbox is named, the one there."""
    # From the messages to the letters: few of those that were ever sent are on their way.
    rows = transaction.rows(
        "SELECT o.position, l.digest, l.kind, l.party, l.agreement FROM outbox o CROSS JOIN letter l"
        f" WHERE o.delivered_at IS NULL{'' if place is None else ' AND o.position = ?2'}"
        " AND l.digest = o.event AND l.sent = 1 AND l.kind IN (SELECT value FROM json_each(?1))",
        (json.dumps(sorted(kind.value for kind in kinds)), *(() if place is None else (place,))),
    )
    return [
        Undelivered(int(row[0]), Digest(row[1]), LetterKind(row[2]), PartyId(row[3]), AgreementId(row[4]))
        for row in rows
    ]


def is_undelivered(transaction: Transaction, digest: Digest) -> bool:
    """Whether it was sent, and its receiver has not got it."""
    found = transaction.row("SELECT 1 FROM outbox WHERE event = ? AND delivered_at IS NULL", (digest,))
    return found is not None


def list_waiting_first(
    transaction: Transaction, kind: LetterKind, *, sent: bool, after: Spot | None, limit: int
) -> tuple[list[StoredLetter], Spot | None]:
    """A part of those of that kind: in front of which something is still to come, then the others, each newest first.

    Beside it where the next part begins; None: there is none. One that is settled meanwhile can stand in both parts.
    """
    found = list[StoredLetter]()
    for waits in (True, False):
        if after is not None and waits and not after.waits:
            continue
        before = after.position if after is not None and after.waits is waits else _LAST
        states = _WAITING if waits else set(LetterState) - _WAITING
        found += _list_before(transaction, kind, sent=sent, states=states, before=before, limit=limit + 1 - len(found))
    part = found[:limit]
    return part, Spot(part[-1].state in _WAITING, part[-1].position) if part and len(found) > limit else None


def list_about(transaction: Transaction, item: ObjectId, kind: LetterKind, *, sent: bool) -> list[StoredLetter]:
    """Those of that kind that are about some version of the object, oldest first."""
    return _read(
        transaction,
        "WHERE l.kind = ? AND l.sent = ? AND l.position IN (SELECT letter FROM letter_object WHERE id = ?)"
        " ORDER BY l.position",
        (kind.value, int(sent), item),
    )


def list_caused(transaction: Transaction, because: Digest) -> list[StoredLetter]:
    """Those that this party sent because of the letter with that name, oldest first."""
    return _read(transaction, "WHERE l.because = ? ORDER BY l.position", (because,))


def list_answers(transaction: Transaction, answered: Digest, *, kind: LetterKind | None = None) -> list[StoredLetter]:
    """Those that answer the letter with that name, of one kind where it is named, oldest first."""
    named = None if kind is None else kind.value
    return _read(
        transaction, "WHERE l.answers = ? AND l.kind = COALESCE(?, l.kind) ORDER BY l.position", (answered, named)
    )


def count_answers(transaction: Transaction, answered: Digest, kind: LetterKind) -> int:
    """How many letters of that kind answer the letter with that name."""
    row = transaction.row("SELECT COUNT(*) FROM letter WHERE answers = ? AND kind = ?", (answered, kind.value))
    return int(row[0]) if row else 0


def count_open(transaction: Transaction, party: PartyId, kind: LetterKind) -> int:
    """How many letters of that kind came from `party` and stand open."""
    row = transaction.row(
        "SELECT COUNT(*) FROM letter WHERE kind = ? AND sent = 0 AND state = 'open' AND party = ?", (kind.value, party)
    )
    return int(row[0]) if row else 0


def measure_letters(transaction: Transaction, party: PartyId) -> tuple[int, int]:
    """How many letters of `party` are kept, and in how many bytes."""
    row = transaction.row("SELECT COUNT(*), TOTAL(LENGTH(envelope)) FROM letter WHERE party = ? AND sent = 0", (party,))
    return (int(row[0]), int(row[1])) if row else (0, 0)


def iterate_letters(transaction: Transaction) -> Iterator[KeptLetter]:
    """Every letter, in the order of record, one read at a time."""
    return (
        KeptLetter(
            digest=Digest(digest),
            sent=bool(sent),
            party=PartyId(party),
            kind=kind,
            agreement=agreement,
            terms=terms,
            answers=None if answers is None else Digest(answers),
            about=tuple((str(name), str(version), str(bytes_of)) for name, version, bytes_of in json.loads(about)),
            recorded_at=Instant(recorded_at),
            envelope=bytes(envelope),
        )
        for digest, sent, party, kind, agreement, terms, answers, about, recorded_at, envelope in transaction.iterate(
            "SELECT digest, sent, party, kind, agreement, terms, answers,"
            " (SELECT json_group_array(json_array(id, version, digest)) FROM"
            " (SELECT * FROM letter_object AS o WHERE o.letter = l.position ORDER BY place)),"
            " recorded_at, envelope FROM letter AS l ORDER BY position"
        )
    )


def _list_before(
    transaction: Transaction,
    kind: LetterKind,
    *,
    sent: bool,
    states: Collection[LetterState],
    before: int,
    limit: int,
) -> list[StoredLetter]:
    """The newest before that position: state by state the index has them in their order, however many there are."""
    condition = "WHERE l.kind = ? AND l.sent = ? AND l.state = ? AND l.position < ? ORDER BY l.position DESC LIMIT ?"
    found = [
        stored
        for state in sorted(states)
        for stored in _read(transaction, condition, (kind.value, int(sent), state.value, before, limit))
    ]
    return sorted(found, key=lambda stored: stored.position, reverse=True)[:limit]


def _read(transaction: Transaction, condition: str, values: tuple[str | int | None, ...]) -> list[StoredLetter]:
    return [_build(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM letter l {condition}", values)]


def _build(row: Row) -> StoredLetter:
    position, sent, because, state, progress, due_at, answered_by, recorded_at, envelope = row
    return StoredLetter(
        position=position,
        letter=_parse(bytes(envelope)),
        sent=bool(sent),
        because=None if because is None else Digest(because),
        state=LetterState(state),
        progress=progress,
        due_at=None if due_at is None else Instant(due_at),
        answered_by=None if answered_by is None else Digest(answered_by),
        recorded_at=Instant(recorded_at),
        envelope=bytes(envelope),
    )


def _parse(envelope: bytes) -> Letter:
    return _parse_short(envelope) if len(envelope) <= _MOST_REMEMBERED else parse_letter(envelope)[0]


@lru_cache(maxsize=2_048)
def _parse_short(envelope: bytes) -> Letter:
    """What these bytes say: lists of letters are asked for again and again, and most letters are short."""
    return parse_letter(envelope)[0]


def forget_letters() -> None:
    """Keep nothing in memory of any letter: what was deleted may be named in one."""
    _parse_short.cache_clear()
