# SPDX-License-Identifier: Apache-2.0
"""Shell: people decide that it is strictly necessary to give data of a special category, or of a minor.

Such data of this party is found in the fields of an object (`classification.safeguards`), or people say that it is
there. Until two people have decided, one of them as legal, with a reason that goes on record, it is marked so that no
terms admit it (`node.tagging`), and neither is what refers to it. The decision is on the words that were found then: a
version, or a word of people, that adds another one is held back again. One person can end it at once.

Terms have to admit the category as well: what they say of a safeguard and an approver is another party's business too.
"""

from collections.abc import Collection
from dataclasses import dataclass

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import Instant, ObjectId
from comity.node.classify import describe_person, record
from comity.node.explain import find_object
from comity.node.node import Node
from comity.node.people import Actor, Approved, Waiting, read_prose
from comity.node.tagging import find_safeguarded, settle
from comity.release.classification import ClassificationChange
from comity.stix.labels import UNDECIDED
from comity.store import Transaction, necessity, objects
from comity.store.necessity import StoredNecessity

__all__ = [
    "Decided",
    "StoredNecessity",
    "Undecided",
    "decide_necessity",
    "end_necessity",
    "list_necessity",
    "list_undecided",
]

_MOST_LISTED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What people decided on of an object, or what they decided on no more."""

    id: ObjectId
    words: frozenset[str]
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """An object that is held back, and the words that nobody has decided on."""

    id: ObjectId
    words: frozenset[str]


def decide_necessity(
    node: Node, prefix: str, *, reason: str, by: Actor, shown: Collection[str] | None = None
) -> Decided | Waiting | Refusal:
    """The object, with all that is found of it now decided on; or what the decision still lacks.

    `shown` is what the person saw that nobody has decided on (`list_undecided`), where it was said.

    Raises:
        NotFoundError: the object.
        MalformedRequest: no reason.
        ConflictError: there is nothing to decide on, of an object of this party; or other data than was shown.
    """
    reason = read_prose(reason)
    with node.act() as act:
        name, words = _find(act.transaction, prefix, node)
        waits = {word for item in _read_undecided(act.transaction, [name]) for word in item.words}
        if shown is not None and set(shown) != waits:
            raise ConflictError("other data was found of it since you looked, or decided on; look at it again")
        about: dict[str, Json] = {"object": name, "words": list[Json](sorted(words))}
        ends = [one.ended_at for one in necessity.list_decisions(act.transaction, name) if one.ended_at is not None]
        last = max(ends, default=None)
        done = record(act, by, ClassificationChange.DECIDE_NECESSITY, about, reason=reason, after=last)
        if not isinstance(done, Approved):
            return done
        decision = StoredNecessity(
            key=0,
            object=name,
            words=words,
            decided_at=act.now,
            decided_by=describe_person(done.approvals),
            reason=reason,
        )
        necessity.add_decision(act.transaction, decision)
        settle(act.transaction, [name], node.party)
        return Decided(id=name, words=words, approvals=done.approvals)


def end_necessity(
    node: Node, prefix: str, *, reason: str, by: Actor, through: Instant | None = None
) -> Decided | Waiting | Refusal:
    """The object, on which nothing is decided any more: it goes to nobody from here on.

    `through` is when the last decision was made that the person saw; None: that was not said.

    Raises:
        NotFoundError: the object, or a decision on it.
        MalformedRequest: no reason.
        ConflictError: it was decided on after `through`.
    """
    reason = read_prose(reason)
    with node.act() as act:
        item = find_object(act.transaction, prefix)
        words = necessity.read_decided(act.transaction, [item.id]).get(item.id)
        if words is None:
            raise NotFoundError(f"nothing is decided on {item.id}; `comity necessity list` shows what is")
        decided_at = max(one.decided_at for one in necessity.list_decisions(act.transaction, item.id))
        if through is not None and decided_at > through:
            raise ConflictError("it was decided on since you looked; read by whom and why, and end it then")
        about: dict[str, Json] = {"object": item.id, "words": list[Json](sorted(words))}
        done = record(act, by, ClassificationChange.END_NECESSITY, about, reason=reason)
        if not isinstance(done, Approved):
            return done
        who = describe_person(done.approvals)
        necessity.end_decisions(act.transaction, item.id, by=who, why=reason, now=act.now)
        settle(act.transaction, [item.id], node.party)
        return Decided(id=item.id, words=words, approvals=done.approvals)


def list_necessity(node: Node, about: str | None = None) -> list[StoredNecessity]:
    """Every decision there ever was, on one object or on all, oldest first.

    Raises:
        NotFoundError: the object.
    """
    with node.store.read() as transaction:
        item = None if about is None else find_object(transaction, about).id
        return necessity.list_decisions(transaction, item)[-_MOST_LISTED:]


def list_undecided(node: Node, about: str | None = None) -> list[Undecided]:
    """The objects that wait for a decision, by id; at most ten thousand. Or one of them alone, where it waits.

    Raises:
        NotFoundError: the object.
    """
    with node.store.read() as transaction:
        if about is None:
            names = sorted(objects.find_marked(transaction, UNDECIDED))[:_MOST_LISTED]
        else:
            names = [find_object(transaction, about).id]
        return _read_undecided(transaction, names)


def _read_undecided(transaction: Transaction, names: Collection[ObjectId]) -> list[Undecided]:
    """Those of these objects that wait for a decision."""
    decided = necessity.read_decided(transaction, names)
    held = objects.read_current(transaction, names)
    labels = objects.read_labels(transaction, {item.own_label for item in held.values()})
    return [
        Undecided(id=name, words=find_safeguarded(label) - decided.get(name, frozenset()))
        for name in names
        if name in held and UNDECIDED in (label := labels[held[name].own_label]).markings
    ]


def _find(transaction: Transaction, prefix: str, node: Node) -> tuple[ObjectId, frozenset[str]]:
    """The object, and all that people have to decide on in any version of it."""
    item = find_object(transaction, prefix)
    held = objects.read_versions_of(transaction, [item.id])
    labels = objects.read_labels(transaction, {version.own_label for version in held})
    own = [label for label in labels.values() if node.party in label.originators or UNDECIDED in label.markings]
    if not own:
        raise MalformedRequest(
            f"{item.id} is of {item.originator}: what it came under says whether it may be given on", where="id"
        )
    words = frozenset[str]().union(*map(find_safeguarded, own))
    if words <= necessity.read_decided(transaction, [item.id]).get(item.id, frozenset()):
        said = "everything in it was decided on" if words else "nothing in it is of a special category or of a minor"
        raise ConflictError(f"{item.id}: {said}")
    return item.id, words
