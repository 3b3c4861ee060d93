# SPDX-License-Identifier: Apache-2.0
"""Shell: threat assessments: people write them, they end at a time, people renew them.

An assessment is a note of this party that refers to whom it assesses (`classification.assessment`), so that terms must
admit both. It is taken in as every object of this party is, and each version of it is an object like any other. From
the time on at which a version ends it goes to nobody: the transaction of a poll looks at that before it decides
anything (`node.tagging.lapse`), whether anything else has run or not. A later version with a later time goes again.
"""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.agreement.work import find_horizon
from comity.canonical import OBJECT_LIMITS, Json, canonical_bytes, parse_json
from comity.classification.assessment import Assessment, make_note, read_assessment
from comity.errors import ConflictError, MalformedObject, MalformedRequest
from comity.ids import Instant, ObjectId, format_instant, parse_instant
from comity.node.classify import record
from comity.node.explain import find_object
from comity.node.node import Act, Node
from comity.node.own import take_own
from comity.node.people import Actor, Approved, Waiting, read_prose
from comity.release.classification import ClassificationChange
from comity.stix.markings import TLP_IDS
from comity.store import Transaction, assessments, objects
from comity.store.objects import StoredObject

__all__ = [
    "STATES",
    "Assessed",
    "HeldAssessment",
    "NewAssessment",
    "assess",
    "list_assessments",
    "look_through_assessments",
    "renew",
    "show_assessment",
]

STATES = ("good", "ending", "lapsed")
"""How an assessment stands by its time: it ends later, within the time of notice, or has ended."""

_ID_BYTES = 16
_MILLISECOND = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAssessment:
    """What a person says of whom: `assessed` is any unique beginning of an id, `tlp` a TLP 2.0 level in small letters.

    Whoever writes it is its author; `author` is how partners are told that, a desk as a rule.
    """

    assessed: str
    title: str
    text: str
    author: str
    threat: str
    may_go_to: Collection[str]
    may_return_to: Collection[str]
    basis: str
    evaluation: str
    tlp: str
    expires_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAssessment:
    """An assessment in its newest version: how it stands, and whether it is this party's own to renew."""

    object: StoredObject
    says: Assessment
    state: str
    own: bool

    @property
    def lapsed(self) -> bool:
        """Whether its time has passed: it goes to nobody."""
        return self.state == "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """An assessment that was written or renewed."""

    id: ObjectId
    version: str
    says: Assessment
    approvals: tuple[Approval, ...]


def assess(node: Node, new: NewAssessment, *, by: Actor) -> Assessed | Waiting | Refusal:
    """A new assessment, taken in.

    Raises:
        NotFoundError: whom it is of is not held.
        MalformedRequest: something that is said is not of its form; a time that has passed.
    """
    # TLP 2.0 stands before the first version of it.
    marking = next((name for name, level in TLP_IDS.items() if level == new.tlp), None)
    if marking is None:
        raise MalformedRequest(
            f"{new.tlp[:32]!r} is no TLP level; give clear, green, amber, amber+strict or red", where="tlp"
        )
    says = Assessment(
        assessed=ObjectId(""),
        title=read_prose(new.title),
        text=read_prose(new.text),
        authors=(read_prose(new.author),),
        threat=read_prose(new.threat),
        may_go_to=frozenset(new.may_go_to),
        may_return_to=frozenset(new.may_return_to),
        basis=read_prose(new.basis),
        evaluation=new.evaluation,
        expires_at=new.expires_at,
    )
    with node.act() as act:
        _check_end(says.expires_at, act.now)
        assessed = find_object(act.transaction, new.assessed)
        says = replace(says, assessed=assessed.id)
        done = record(act, by, ClassificationChange.ASSESS, _describe(says), reason=says.basis)
        if not isinstance(done, Approved):
            return done
        name = uuid.UUID(bytes=node.draw(_ID_BYTES), version=4)
        created = _cut(act.now)
        note = _make(
            says,
            name=name,
            created=created,
            modified=created,
            markings=(marking,),
            about=_find_subjects(act.transaction, assessed),
        )
        return _take_in(act, note, done.approvals)


def renew(
    node: Node,
    prefix: str,
    *,
    expires_at: Instant,
    reason: str,
    text: str | None = None,
    by: Actor,
    version: str | None = None,
) -> Assessed | Waiting | Refusal:
    """The assessment that `prefix` names in a next version, which ends later, with another text where one is given.

    `version` is the one that the person read, where it was said.

    Raises:
        ConflictError: another version is the newest by now.
        NotFoundError, MalformedRequest: no such assessment of this party, or the time, the text or the reason.
    """
    reason = read_prose(reason)
    with node.act() as act:
        _check_end(expires_at, act.now)
        item = find_object(act.transaction, prefix)
        if version not in {None, item.version}:
            raise ConflictError(f"{item.id} was renewed since you read it; read it again")
        value = _read_body(act.transaction, item)
        says = _read(value, item.id)
        if item.originator != node.party:
            raise MalformedRequest(f"{item.id} is of {item.originator}, which alone can renew it", where="object")
        says = replace(says, expires_at=expires_at, text=says.text if text is None else read_prose(text))
        done = record(act, by, ClassificationChange.ASSESS, _describe(says, item.id), reason=reason)
        if not isinstance(done, Approved):
            return done
        assessed = find_object(act.transaction, says.assessed)
        markings = value.get("object_marking_refs")
        note = _make(
            says,
            name=uuid.UUID(item.id.partition("--")[2]),
            created=parse_instant(str(value["created"])),
            modified=Instant(max(_cut(act.now), item.version_at + _MILLISECOND)),
            markings=tuple(str(name) for name in markings) if isinstance(markings, list) else (),
            about=_find_subjects(act.transaction, assessed),
        )
        return _take_in(act, note, done.approvals)


def list_assessments(node: Node) -> list[HeldAssessment]:
    """The newest version of every assessment that is held, the one that ends first in front."""
    with node.store.read() as transaction:
        return _read_all(node, transaction, assessments.list_assessments(transaction))


def look_through_assessments(
    node: Node, *, state: str | None, before: tuple[Instant, int] | None, limit: int
) -> tuple[list[HeldAssessment], tuple[Instant, int] | None]:
    """A part of the assessments that stand so (None: all but those that lapsed), and where it ended.

    In front is the one that ends first, of those that lapsed the one that did so last. Where the part ended is when its
    last one ends and the key of that; None where nothing is left. `before` is where another part did.
    """
    now = node.clock()
    horizon = find_horizon(now)
    after, by = {"good": (horizon, None), "ending": (now, horizon), "lapsed": (None, now)}.get(state or "", (now, None))
    with node.store.read() as transaction:
        listed = assessments.look_through_assessments(
            transaction, after=after, by=by, before=before, latest_first=state == "lapsed", limit=limit + 1
        )
        part = listed[:limit]
        found = _read_all(node, transaction, part)
    return found, (part[-1].expires_at, part[-1].key) if len(listed) > limit and part else None


def show_assessment(node: Node, prefix: str) -> HeldAssessment:
    """The assessment that `prefix` names.

    Raises:
        NotFoundError, MalformedRequest: there is no such object, or it is no assessment.
    """
    with node.store.read() as transaction:
        item = find_object(transaction, prefix)
        return _hold(node, item, _read(_read_body(transaction, item), item.id))


def _read_all(
    node: Node, transaction: Transaction, listed: Iterable[assessments.StoredAssessment]
) -> list[HeldAssessment]:
    known = list(listed)
    held = {item.pk: item for item in objects.read_objects(transaction, [one.key for one in known])}
    return [_hold(node, held[one.key], _read(_read_body(transaction, held[one.key]), one.id)) for one in known]


def _hold(node: Node, item: StoredObject, says: Assessment) -> HeldAssessment:
    now = node.clock()
    state = "lapsed" if says.expires_at <= now else "ending" if says.expires_at <= find_horizon(now) else "good"
    return HeldAssessment(object=item, says=says, state=state, own=item.originator == node.party)


def _make(
    says: Assessment,
    *,
    name: uuid.UUID,
    created: Instant,
    modified: Instant,
    markings: tuple[str, ...],
    about: frozenset[str],
) -> dict[str, Json]:
    try:
        return make_note(says, name=name, created=created, modified=modified, markings=markings, subjects=about)
    except MalformedObject as error:
        raise MalformedRequest(error.detail, where=error.where) from error


def _take_in(act: Act, note: dict[str, Json], approvals: tuple[Approval, ...]) -> Assessed:
    intake = take_own(act, canonical_bytes(note))
    if intake.bad:
        raise ConflictError(f"the assessment cannot be taken in: {intake.bad[0].detail}")
    name = ObjectId(str(note["id"]))
    return Assessed(id=name, version=str(note["modified"]), says=read_assessment(note), approvals=approvals)


def _find_subjects(transaction: Transaction, assessed: StoredObject) -> frozenset[str]:
    """What the assessment is about: what whom it assesses is said to be, and that object itself."""
    said = objects.read_label(transaction, assessed.own_label).subjects
    return frozenset[str]().union(*said) | {f"stix:{assessed.id}"}


def _describe(says: Assessment, renewed: ObjectId | None = None) -> dict[str, Json]:
    return {
        "assessed": says.assessed,
        "renewed": renewed,
        "expires_at": format_instant(says.expires_at),
        "evaluation": says.evaluation,
    }


def _read(value: dict[str, Json], name: ObjectId) -> Assessment:
    try:
        return read_assessment(value)
    except MalformedObject as error:
        raise MalformedRequest(f"{name} is no threat assessment: {error.detail}", where="object") from error


def _read_body(transaction: Transaction, item: StoredObject) -> dict[str, Json]:
    value = parse_json(objects.read_body(transaction, item.pk), limits=OBJECT_LIMITS)
    return value if isinstance(value, dict) else {}


def _check_end(expires_at: Instant, now: Instant) -> None:
    if expires_at <= now:
        raise MalformedRequest("that time has passed already", where="expires")


def _cut(now: Instant) -> Instant:
    """STIX times have milliseconds."""
    return Instant(now - now % _MILLISECOND)
