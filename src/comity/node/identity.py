# SPDX-License-Identifier: Apache-2.0
"""Shell: whether two objects are about one person: candidates, and what people say of two.

Nothing here is matched by itself, and nothing follows from a decision but that it is on record and shown: no label
changes, no object is merged. A person may say that two are one only where two identifiers of different kinds agree
(`classification.persons`); that two are not one may always be said, and takes them off each other's candidates.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.classification.persons import LEAST, Likeness, Person, compare_persons, read_person
from comity.errors import ConflictError, MalformedRequest
from comity.ids import Instant, ObjectId
from comity.intake.listing import LISTING_EXTENSION
from comity.node.classify import describe_person, record
from comity.node.explain import find_object
from comity.node.node import Node
from comity.node.people import Actor, Approved, Waiting, read_prose
from comity.node.steps import Steps
from comity.release.classification import ClassificationChange
from comity.store import Transaction, likeness, objects
from comity.store.likeness import StoredLikeness

__all__ = [
    "Candidate",
    "Candidates",
    "Judged",
    "StoredLikeness",
    "find_candidates",
    "is_person",
    "judge_persons",
    "list_judged",
    "name_likeness",
]

_MOST_READ = 200_000
_READ_AT_ONCE = 200
"""Identities in one step: some ten milliseconds."""

_MOST_MARKS = 1_000_000
"""Names, sounds and documents of all of them together: some hundred bytes each."""

_PLACES_AT_ONCE = 1_000
"""Places in the order of commit that are looked through in one step, whatever lies there."""

_MOST_CANDIDATES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Another object that may be about the same person, what the two have in common, and what was decided on them."""

    id: ObjectId
    name: str
    likeness: Likeness
    decided: StoredLikeness | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Those of one person, who is called `name`, by id; `more` says that there are, or can be, others behind them."""

    id: ObjectId
    name: str
    items: tuple[Candidate, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What people said of two objects."""

    one: ObjectId
    other: ObjectId
    same: bool
    likeness: Likeness
    approvals: tuple[Approval, ...]


def find_candidates(node: Node, prefix: str) -> Steps[Candidates]:
    """Whom else a person should look at, by id. Two that are not one are no candidates any more.

    Others get a turn between two hundred identities and the next.

    Raises:
        NotFoundError: the object.
        MalformedRequest: it is no person.
    """
    with node.store.read() as transaction:
        name, value, person = _read(transaction, prefix)
    known = yield from _learn(node)
    keys, found = known.find(person), list[Candidate]()
    for first in range(0, len(keys), _READ_AT_ONCE):
        with node.store.read() as transaction:
            part = likeness.read_persons(transaction, keys[first : first + _READ_AT_ONCE])
            found += _find_alike(transaction, name, person, part)
        yield
    found.sort(key=lambda item: item.id)
    return Candidates(
        id=name,
        name=str(value.get("name", "")),
        items=tuple(found[:_MOST_CANDIDATES]),
        more=len(found) > _MOST_CANDIDATES or known.is_full,
    )


@dataclass(slots=True, kw_only=True)
class _Known:
    """Which versions of identities say something by which a person can be a candidate, as far as they were read.

    Bytes under a place in the order of commit are always the same, and no place is taken twice: so only what came in
    since is read again, and a key that is of something else by now is only looked at in vain. `after` is the key up
    to which the first reading has come (None: it is done), `through` the place up to which all was read.
    """

    through: int
    after: int | None = 0
    read: set[int] = field(default_factory=set)
    marks: int = 0
    keys: dict[int, int | set[int]] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether no more is read."""
        return len(self.read) >= _MOST_READ or self.marks >= _MOST_MARKS

    def add(self, part: Sequence[tuple[int, bytes]]) -> None:
        """Know of these too."""
        for key, data in part:
            self.read.add(key)
            person = read_person(_parse(data), LISTING_EXTENSION)
            for mark in () if person is None else _list_marks(person):
                self._put(mark, key)

    def find(self, person: Person) -> list[int]:
        """The keys of all that can be candidates for the person, each once."""
        found = set[int]()
        for mark in _list_marks(person):
            keys = self.keys.get(mark, ())
            found.update((keys,) if isinstance(keys, int) else keys)
        return sorted(found)

    def _put(self, mark: int, key: int) -> None:
        known = self.keys.get(mark)
        if known is None:
            self.keys[mark] = key  # most marks are of one alone
            self.marks += 1
        elif isinstance(known, set):
            self.marks += key not in known
            known.add(key)
        elif known != key:
            self.keys[mark] = {known, key}
            self.marks += 1


def _list_marks(person: Person) -> set[int]:
    """Hashes of what two have to have in common to be candidates: a name, what it sounds like, or a document."""
    names = [("name", name) for name in person.ordered]
    sounds = [("sound", sound) for sound in person.sounds | person.weak_sounds]
    return {hash(mark) for mark in (*names, *sounds, *(("document", document) for document in person.documents))}


def _learn(node: Node) -> Steps[_Known]:
    """All that is known of identities by now, of at most _MOST_READ of them."""
    with node.store.read() as transaction:
        head = objects.read_head_seq(transaction)
    remembered = node.remembered.setdefault("persons", (0, _Known(through=head)))
    known = cast("_Known", remembered[1])
    while known.after is not None and not known.is_full:
        with node.store.read() as transaction:
            part = likeness.read_identities(transaction, after=known.after, most=_READ_AT_ONCE)
        known.add(part)
        known.after = part[-1][0] if part else None
        if part:
            yield
    while known.through < head and not known.is_full:
        last = min(head, known.through + _PLACES_AT_ONCE)
        with node.store.read() as transaction:
            rows = likeness.read_identities_between(transaction, after=known.through, through=last, most=_READ_AT_ONCE)
        known.add([(key, data) for _, key, data in rows])
        known.through = rows[-1][0] if len(rows) == _READ_AT_ONCE else last
        yield
    return known


def is_person(data: bytes) -> bool:
    """Whether the object in these bytes is one that can be judged here: the identity of a person."""
    return read_person(_parse(data), LISTING_EXTENSION) is not None


def judge_persons(
    node: Node,
    prefix: str,
    other: str,
    *,
    same: bool,
    reason: str,
    by: Actor,
    through: Instant | None = None,
    shown: str | None = None,
) -> Judged | Waiting | Refusal:
    """That two objects are about one person, or about two, as a person says.

    `through` is when what the person saw was said last, and `shown` what agreed and differed then (`name_likeness`);
    None: that was not said.

    Raises:
        NotFoundError: an object.
        MalformedRequest: one is no person, both are one object, no reason; or fewer than two identifiers agree.
        ConflictError: something was said of the two after `through`, or they are alike otherwise than `shown`.
    """
    reason = read_prose(reason)
    with node.act() as act:
        (first, _, one), (second, _, two) = (_read(act.transaction, text) for text in (prefix, other))
        if first == second:
            raise MalformedRequest("both are the same object; name two", where="other")
        alike = compare_persons(one, two)
        said = likeness.read_likeness(act.transaction, first, second)
        if through is not None and said is not None and said.decided_at > through:
            raise ConflictError("somebody has said something of these two since you looked; read what and why")
        if shown not in {None, name_likeness(alike)}:
            raise ConflictError("other agrees or differs by now than you saw, by a newer version; look at it again")
        if same and not alike.may_be_confirmed:
            agree = ", ".join(sorted(alike.agreeing)) or "none"
            raise MalformedRequest(
                f"{LEAST} identifiers of different kinds have to agree before two are said to be one person, and here"
                f" agree: {agree}; names that sound alike are a reason to look and no identifier",
                where="other",
            )
        one_id, other_id = min(first, second), max(first, second)
        about: dict[str, Json] = {"one": one_id, "other": other_id, "agreeing": list[Json](sorted(alike.agreeing))}
        change = ClassificationChange.SAME_PERSON if same else ClassificationChange.OTHER_PERSON
        done = record(act, by, change, about, reason=reason)
        if not isinstance(done, Approved):
            return done
        stored = StoredLikeness(
            one=one_id,
            other=other_id,
            same=same,
            agreeing=alike.agreeing,
            decided_at=act.now,
            decided_by=describe_person(done.approvals),
            reason=reason,
        )
        likeness.add_likeness(act.transaction, stored)
        return Judged(one=one_id, other=other_id, same=same, likeness=alike, approvals=done.approvals)


def name_likeness(alike: Likeness) -> str:
    """What agrees and what differs, as one text by which a person says what was shown."""
    return f"{' '.join(sorted(alike.agreeing))}/{' '.join(sorted(alike.differing))}"


def list_judged(node: Node, prefix: str | None = None) -> list[StoredLikeness]:
    """What people ever said of two objects, of one or of all, oldest first.

    Raises:
        NotFoundError: the object.
    """
    with node.store.read() as transaction:
        name = None if prefix is None else find_object(transaction, prefix).id
        return likeness.list_likeness(transaction, name)


def _read(transaction: Transaction, prefix: str) -> tuple[ObjectId, dict[str, Json], Person]:
    item = find_object(transaction, prefix)
    value = _parse(objects.read_body(transaction, item.pk))
    person = read_person(value, LISTING_EXTENSION)
    if person is None:
        raise MalformedRequest(f"{item.id} is no identity of a person", where="id")
    return item.id, value, person


def _find_alike(
    transaction: Transaction, name: ObjectId, person: Person, part: Iterable[tuple[ObjectId, bytes]]
) -> Iterator[Candidate]:
    """Those of `part` whom a person should look at beside the one called `name`."""
    for other, data in part:
        value = _parse(data)
        one = None if other == name else read_person(value, LISTING_EXTENSION)
        if one is None or not (alike := compare_persons(person, one)).is_candidate:
            continue
        decided = likeness.read_likeness(transaction, name, other)
        if decided is None or decided.same:
            yield Candidate(id=other, name=str(value.get("name", "")), likeness=alike, decided=decided)


def _parse(data: bytes) -> dict[str, Json]:
    value = parse_json(data, limits=OBJECT_LIMITS)
    assert isinstance(value, dict)  # noqa: S101 (it is held as an object)
    return value
