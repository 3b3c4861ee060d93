# SPDX-License-Identifier: Apache-2.0
"""Shell: versions of lists of subjects taken in; what a next version changes, and what people decide of it.

A subject that is on no later version has left the list: from the act that loads that version on, nothing that is said
to be about it goes to anybody, under no terms, and nothing that refers to such an object. The objects carry a marking
that no terms can name, so that every reading of the terms withholds them by the clause `markings`. Two people decide
that it goes on (`keep`); one is enough to decide that it stays stopped. A list that names it again decides nothing by
itself.

All of one delisting is one act: no poll sees some of it. It relabels each object about the subject once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.canonical import OBJECT_LIMITS, Json, canonical_bytes, parse_json
from comity.classification.lists import LIST_FORMAT, Changes, Entry, SubjectList, compare_lists, parse_subject_list
from comity.errors import ConflictError, MalformedFile, MalformedRequest, NotFoundError, TransitionError
from comity.ids import Digest, ObjectId, PartyId, format_instant
from comity.intake.listing import LISTING_EXTENSION
from comity.intake.making import Maker
from comity.intake.sanctions import read_un_list
from comity.node.classify import describe_person, record
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, read_prose
from comity.node.tagging import settle
from comity.release.classification import ClassificationChange
from comity.store import Transaction, objects, subjects
from comity.store.subjects import KEEP, Question, StoredList

__all__ = [
    "Decided",
    "Foreseen",
    "Loaded",
    "Question",
    "Shown",
    "StoredList",
    "decide_subject",
    "foresee_list",
    "list_lists",
    "list_questions",
    "load_list",
    "look_through_list",
    "read_list",
    "review_list",
    "show_list",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A version of a list that was taken in, what it changes, and how many objects are stopped by it.

    `first` says that no version of the list was held before: then nothing has left it.
    """

    list: str
    version: str
    entries: int
    first: bool
    changes: Changes
    stopped: int
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a version of a list would change: `before` is the version held (None: none is, and nobody leaves).

    `leaving` are the subjects that would leave, each with how many objects are about it; `stopped` how many are about
    any of them.
    """

    list: str
    version: str
    digest: Digest
    entries: int
    before: str | None
    changes: Changes
    leaving: tuple[tuple[str, int], ...]
    stopped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What people decided of a subject that left its list, and how many objects are about it."""

    subject: str
    decision: str
    objects: int
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A part of the last version of a list: so many entries of `total`, and the subject that the next part is behind.

    `next` is None where nothing is left.
    """

    latest: StoredList
    entries: tuple[Entry, ...]
    total: int
    next: str | None


def read_list(node: Node, data: bytes) -> SubjectList:
    """The version of a list in a file: of our own form, or as the UN Security Council publishes its list (XML).

    Of the latter each record must be understood: one that is not would pass for a delisting.

    Raises:
        MalformedRequest: it is neither, with what is wrong and where.
    """
    if not data.lstrip(_SPACE).startswith(b"<"):
        return parse_subject_list(data)
    entries, version = list[Json](), ""
    try:
        for part in read_un_list([data], maker=Maker(party=node.party, at=node.clock())):
            version = part.facts["list_version"]
            if part.unread:
                first = part.unread[0]
                raise MalformedRequest(
                    f"{first.reason}; a record that is not read would pass for one that left", where=first.place
                )
            entries += [_make_entry(item) for record in part.records for item in record.objects]
    except MalformedFile as error:
        raise MalformedRequest(error.detail, where=error.where) from error
    return parse_subject_list(
        canonical_bytes({"format": LIST_FORMAT, "list": "unsc", "version": version, "entries": entries})
    )


def foresee_list(node: Node, listed: SubjectList) -> Foreseen:
    """What `load_list` would do with this version now; nothing is kept.

    Raises:
        ConflictError: as `load_list`.
    """
    with node.store.read() as transaction:
        latest, changes = _compare(transaction, listed)
        counts = objects.count_about(transaction, changes.delisted)
        about = objects.find_about(transaction, changes.delisted) if changes.delisted else frozenset()
    return Foreseen(
        list=listed.list,
        version=listed.version,
        digest=listed.digest,
        entries=len(listed.entries),
        before=None if latest is None else latest.version,
        changes=changes,
        leaving=tuple((subject, counts.get(subject, 0)) for subject in changes.delisted),
        stopped=len(about),
    )


def load_list(
    node: Node, listed: SubjectList, *, reason: str, by: Actor, before: str | None = None
) -> Loaded | Waiting | Refusal:
    """The version, taken in; whoever left the list with it is in question from here on.

    `before` is the version that was held when the person looked at what this one changes ("": none was); None: that was
    not said.

    Raises:
        ConflictError: it is loaded already, with these or other entries, or is older than the last one; or another one
            than `before` is held.
        MalformedRequest: the reason.
    """
    reason = read_prose(reason)
    with node.act() as act:
        latest, changes = _compare(act.transaction, listed)
        if latest is not None and before not in {None, latest.version}:
            raise ConflictError(
                f"version {latest.version} of the list {listed.list} was loaded since you looked, so that this one"
                " changes other things than you saw; look at it again"
            )
        about: dict[str, Json] = {
            "list": listed.list,
            "version": listed.version,
            "digest": listed.digest,
            "listed": len(changes.listed),
            "delisted": [*changes.delisted],
            "changed": len(changes.changed),
        }
        done = record(act, by, ClassificationChange.LOAD_LIST, about, reason=reason, count=len(listed.entries))
        if not isinstance(done, Approved):
            return done
        stored = StoredList(
            key=0,
            list=listed.list,
            version=listed.version,
            digest=listed.digest,
            loaded_at=act.now,
            loaded_by=describe_person(done.approvals),
            changes=changes,
            reviewed_at=None,
        )
        subjects.add_list(act.transaction, stored, listed.forms)
        stopped = _ask(act, stored)
        return Loaded(
            list=listed.list,
            version=listed.version,
            entries=len(listed.entries),
            first=latest is None,
            changes=changes,
            stopped=stopped,
            approvals=done.approvals,
        )


def decide_subject(
    node: Node,
    subject: str,
    decision: str,
    *,
    reason: str,
    by: Actor,
    version: str | None = None,
    decided: str | None = None,
) -> Decided | Waiting | Refusal:
    """What is about the subject goes on, by "keep" and two people, or stays stopped, by "stop" and one.

    `version` is the one with which the person saw it leave; None: whichever it was. `decided` is when people decided on
    it last, as far as the person saw ("": nobody had); None: that was not said.

    Raises:
        NotFoundError: nobody asks about that subject.
        TransitionError: it is decided so already, or the subject has left the list anew since.
        ConflictError: people have decided on it since.
        MalformedRequest: the reason.
    """
    reason = read_prose(reason)
    with node.act() as act:
        asked = subjects.read_question(act.transaction, subject)
        if asked is None:
            raise NotFoundError(f"{subject} has left no list that is held here; `comity list questions` shows who has")
        if version is not None and version != asked.version:
            raise TransitionError(
                f"{subject} has left its list anew, with version {asked.version}: look at that, and decide then"
            )
        last = "" if asked.decided_at is None else format_instant(asked.decided_at)
        if decided not in {None, last}:
            raise ConflictError(f"people have decided of {subject} since you looked; read why, and decide then")
        if asked.decision == decision:
            raise TransitionError(f"people have decided so already of {subject}, on record with the reason they gave")
        change = ClassificationChange.KEEP_SUBJECT if decision == KEEP else ClassificationChange.STOP_SUBJECT
        about: dict[str, Json] = {"subject": subject, "list": asked.list, "version": asked.version}
        done = record(act, by, change, about, reason=reason, after=asked.decided_at)
        if not isinstance(done, Approved):
            return done
        people = describe_person(done.approvals)
        subjects.decide(act.transaction, subject, decision, by=people, reason=reason, now=act.now)
        concerned = _settle_about(act.transaction, [subject], node.party)
        return Decided(subject=subject, decision=decision, objects=concerned, approvals=done.approvals)


def review_list(
    node: Node, name: str, *, reason: str, by: Actor, version: str | None = None
) -> StoredList | Waiting | Refusal:
    """The last version of the list; a person has looked at what it changes.

    `version` is the one that the person looked at; None: the last one, whichever it is.

    Raises:
        NotFoundError: there is no such list.
        TransitionError: somebody has looked at it already, or a later version was loaded since.
        MalformedRequest: the reason.
    """
    reason = read_prose(reason)
    with node.act() as act:
        latest = _find_latest(act.transaction, name)
        if version is not None and version != latest.version:
            raise TransitionError(
                f"version {latest.version} of the list {name} was loaded since: look at what it changes, and note that"
            )
        if latest.reviewed_at is not None:
            raise TransitionError(f"version {latest.version} of the list {name} was looked at already")
        about: dict[str, Json] = {"list": latest.list, "version": latest.version}
        done = record(act, by, ClassificationChange.REVIEW_LIST, about, reason=reason)
        if not isinstance(done, Approved):
            return done
        subjects.mark_reviewed(act.transaction, latest.key, now=act.now)
        return _find_latest(act.transaction, name)


def list_lists(node: Node) -> list[StoredList]:
    """Every version of every list that was ever loaded, the last first."""
    with node.store.read() as transaction:
        return subjects.list_lists(transaction)


def show_list(node: Node, name: str) -> tuple[StoredList, dict[str, Entry]]:
    """The last version of a list, with its entries by subject.

    Raises:
        NotFoundError: there is no such list.
    """
    with node.store.read() as transaction:
        latest = _find_latest(transaction, name)
        return latest, subjects.read_entries(transaction, latest.key)


def look_through_list(node: Node, name: str, *, wanted: str, after: str, limit: int) -> Shown:
    """A part of the last version of a list: the entries behind the subject `after`, by subject, that `wanted` fits.

    It fits those in whose subject or names it stands; "" fits all.

    Raises:
        NotFoundError: there is no such list.
    """
    with node.store.read() as transaction:
        latest = _find_latest(transaction, name)
        found = subjects.look_through_entries(transaction, latest.key, wanted=wanted, after=after, limit=limit + 1)
        total = subjects.count_entries(transaction, latest.key)
    entries = tuple(found[:limit])
    following = entries[-1].subject if len(found) > limit and entries else None
    return Shown(latest=latest, entries=entries, total=total, next=following)


def list_questions(node: Node, *, start: int = 0, most: int | None = None) -> list[tuple[Question, int]]:
    """The subjects that left a list, those that nobody has decided on first, with how many objects are about each.

    Left out are the first `start`; there are at most `most`.
    """
    with node.store.read() as transaction:
        listed = sorted(subjects.list_questions(transaction), key=lambda item: item.decision is not None)
        part = listed[start:] if most is None else listed[start : start + most]
        counts = objects.count_about(transaction, [item.subject for item in part])
    return [(item, counts.get(item.subject, 0)) for item in part]


_SPACE = b"\xef\xbb\xbf \t\r\n"
_NO_CHANGES = Changes(listed=(), delisted=(), changed=())


def _make_entry(data: bytes) -> Json:
    """The entry of a list that an identity made of one of its records stands for (`intake.sanctions`)."""
    match parse_json(data, limits=OBJECT_LIMITS):
        case {"name": str(name), "identity_class": kind, "extensions": {**extensions}}:
            said = extensions.get(LISTING_EXTENSION)
        case _:
            raise MalformedRequest("a record of the list is no identity", where="list")
    listing: Mapping[str, Json] = said if isinstance(said, dict) else {}
    good, weak, script = listing.get("aliases"), listing.get("weak_aliases"), listing.get("original_script")
    aliases: dict[str, str] = {str(alias): "low" for alias in (weak if isinstance(weak, list) else [])}
    aliases |= {
        str(alias["name"]): "good" for alias in (good if isinstance(good, list) else []) if isinstance(alias, dict)
    }
    return {
        "subject": f"unsc:{listing.get('reference')}",
        "kind": "individual" if kind == "individual" else "entity",
        "names": [*dict.fromkeys([name, script] if isinstance(script, str) else [name])],
        "aliases": [{"name": alias, "quality": quality} for alias, quality in sorted(aliases.items())],
    }


def _compare(transaction: Transaction, listed: SubjectList) -> tuple[StoredList | None, Changes]:
    latest = subjects.read_latest(transaction, listed.list)
    if latest is None:
        return None, _NO_CHANGES
    if listed.version <= latest.version:
        raise ConflictError(
            f"the list {listed.list} is held in its version {latest.version}; load a version that sorts behind it"
        )
    return latest, compare_lists(subjects.read_forms(transaction, latest.key), listed.forms)


def _ask(act: Act, stored: StoredList) -> int:
    """Stop what is about subjects that left the list; how many objects that is."""
    if not stored.changes.delisted:
        return 0
    subjects.ask(
        act.transaction,
        [
            Question(
                subject=subject,
                list=stored.list,
                version=stored.version,
                asked_at=act.now,
                decision=None,
                decided_by=None,
                decided_at=None,
                reason=None,
            )
            for subject in stored.changes.delisted
        ],
    )
    return _settle_about(act.transaction, stored.changes.delisted, act.party)


def _settle_about(transaction: Transaction, names: Collection[str], own: PartyId) -> int:
    concerned: frozenset[ObjectId] = objects.find_about(transaction, names)
    settle(transaction, concerned, own)
    return len(concerned)


def _find_latest(transaction: Transaction, name: str) -> StoredList:
    latest = subjects.read_latest(transaction, name)
    if latest is None:
        raise NotFoundError(f"no list {name!r} is held here; `comity list load FILE` takes one in")
    return latest
