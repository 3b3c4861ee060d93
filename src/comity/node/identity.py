# SPDX-License-Identifier: Apache-2.0
"""Shell: whether two objects are about one person: candidates, and what people say of two.

Nothing here is matched by itself, and nothing follows from a decision but that it is on record and shown: no label
changes, no object is merged. A person may say that two are one only where two identifiers of different kinds agree
(`classification.persons`); that two are not one may always be said, and takes them off each other's candidates.
"""

from dataclasses import dataclass

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.classification.persons import LEAST, Likeness, Person, compare_persons, read_person
from comity.errors import MalformedRequest
from comity.ids import ObjectId
from comity.intake.listing import LISTING_EXTENSION
from comity.node.classify import describe_person, record
from comity.node.explain import find_object
from comity.node.node import Node
from comity.node.people import Actor, Approved, Waiting, read_prose
from comity.release.classification import ClassificationChange
from comity.store import Transaction, likeness, objects
from comity.store.likeness import StoredLikeness

__all__ = ["Candidate", "Judged", "StoredLikeness", "find_candidates", "judge_persons", "list_judged"]

_MOST_READ = 200_000
_MOST_CANDIDATES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Another object that may be about the same person, what the two have in common, and what was decided on them."""

    id: ObjectId
    name: str
    likeness: Likeness
    decided: StoredLikeness | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What people said of two objects."""

    one: ObjectId
    other: ObjectId
    same: bool
    likeness: Likeness
    approvals: tuple[Approval, ...]


def find_candidates(node: Node, prefix: str) -> list[Candidate]:
    """Whom else a person should look at, by id; at most a hundred. Two that are not one are no candidates any more.

    Raises:
        NotFoundError: the object.
        MalformedRequest: it is no person.
    """
    with node.store.read() as transaction:
        name, person = _read(transaction, prefix)
        found = list[Candidate]()
        for other, data in likeness.read_persons(transaction, most=_MOST_READ):
            value = _parse(data)
            one = None if other == name else read_person(value, LISTING_EXTENSION)
            if one is None or not (alike := compare_persons(person, one)).is_candidate:
                continue
            decided = likeness.read_likeness(transaction, name, other)
            if decided is None or decided.same:
                found.append(Candidate(id=other, name=str(value.get("name", "")), likeness=alike, decided=decided))
        return sorted(found, key=lambda item: item.id)[:_MOST_CANDIDATES]


def judge_persons(
    node: Node, prefix: str, other: str, *, same: bool, reason: str, by: Actor
) -> Judged | Waiting | Refusal:
    """That two objects are about one person, or about two, as a person says.

    Raises:
        NotFoundError: an object.
        MalformedRequest: one is no person, both are one object, no reason; or fewer than two identifiers agree.
    """
    reason = read_prose(reason)
    with node.act() as act:
        (first, one), (second, two) = (_read(act.transaction, text) for text in (prefix, other))
        if first == second:
            raise MalformedRequest("both are the same object; name two", where="other")
        alike = compare_persons(one, two)
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


def list_judged(node: Node, prefix: str | None = None) -> list[StoredLikeness]:
    """What people ever said of two objects, of one or of all, oldest first.

    Raises:
        NotFoundError: the object.
    """
    with node.store.read() as transaction:
        name = None if prefix is None else find_object(transaction, prefix).id
        return likeness.list_likeness(transaction, name)


def _read(transaction: Transaction, prefix: str) -> tuple[ObjectId, Person]:
    item = find_object(transaction, prefix)
    person = read_person(_parse(objects.read_body(transaction, item.pk)), LISTING_EXTENSION)
    if person is None:
        raise MalformedRequest(f"{item.id} is no identity of a person", where="id")
    return item.id, person


def _parse(data: bytes) -> dict[str, Json]:
    value = parse_json(data, limits=OBJECT_LIMITS)
    assert isinstance(value, dict)  # noqa: S101 (it is held as an object)
    return value
