# SPDX-License-Identifier: Apache-2.0
"""Shell: people say of an object what terms can test, and take it back: each word with who said it, when and why.

A word is said of every version of the object, those that come later too. The label follows in the same transaction, and
that of everything that refers to the object: a poll sees it as it was before or as it is after. What people or rules
said stays on record when it is taken back.

Of an object of this party a word can let it go; of what another party gave it can only keep it back (`node.tagging`).
What the object says of itself, or its giver, nobody takes off here.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from comity.agreement.people import Approval, make_matter
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.classification.safeguards import MINOR
from comity.classification.words import check_word
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import Instant, ObjectId, format_instant
from comity.node.effects import ReleaseEffect, find_effects
from comity.node.explain import find_object
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, approve, read_prose
from comity.node.ruled import MAX_SAID
from comity.node.tagging import find_plain, foresee_labels, is_own, join_words, settle
from comity.release.classification import ClassificationChange, format_classification
from comity.release.disclosure import EntryType
from comity.stix.labels import OVERFULL, Tags
from comity.store import Transaction, objects, subjects, tags
from comity.store.tags import StoredTag

__all__ = [
    "MAX_SAID",
    "Classification",
    "Classified",
    "Words",
    "check_room",
    "describe_person",
    "find_place_on_list",
    "foresee_said",
    "has_safeguard",
    "list_classification",
    "record",
    "say",
    "take_back",
]

Words = Mapping[str, Collection[str]]
"""Words by field (`classification.words.FIELDS`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classified:
    """What was said of an object, or taken back: (field, word); empty where nothing changed and nothing was recorded.

    `restricts_only` says that it is not of this party alone, so that the words let it go nowhere.
    """

    id: ObjectId
    words: tuple[tuple[str, str], ...]
    restricts_only: bool
    approvals: tuple[Approval, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """All that is said of the newest version of an object: by itself or its giver (`plain`), and here, ever."""

    id: ObjectId
    plain: Tags
    said: tuple[StoredTag, ...]
    restricts_only: bool


def say(node: Node, prefix: str, words: Words, *, reason: str, by: Actor) -> Classified | Waiting | Refusal:
    """The object that `prefix` names, with these words said of it by a person from here on.

    Raises:
        NotFoundError, MalformedRequest: the object, a word, or the reason; a subject that is not on its list.
        ConflictError: more words than one object can have.
    """
    reason, wanted = read_prose(reason), _read_words(words)
    with node.act() as act:
        item = find_object(act.transaction, prefix)
        good = tags.read_good(act.transaction, [item.id]).get(item.id, [])
        known = {(tag.field, tag.word) for tag in good if tag.rules is None}
        added = [word for word in wanted if word not in known]
        restricts = not is_own(objects.read_label(act.transaction, item.own_label), node.party)
        if not added:
            return Classified(id=item.id, words=(), restricts_only=restricts)
        places = {word: find_place_on_list(act.transaction, word) for field, word in added if field == "subjects"}
        done = record(
            act, by, ClassificationChange.SAY, {"object": item.id, "words": _list_words(added)}, reason=reason
        )
        if not isinstance(done, Approved):
            return done
        person = describe_person(done.approvals)
        new = [
            StoredTag(
                key=0,
                object=item.id,
                field=field,
                word=word,
                list=places.get(word, (None, None))[0],
                version=places.get(word, (None, None))[1],
                person=person,
                rules=None,
                said_at=act.now,
                reason=reason,
            )
            for field, word in added
        ]
        check_room(act.transaction, [item.id], new)
        tags.add_tags(act.transaction, new)
        settle(act.transaction, [item.id], node.party)
        check_labels(act.transaction, [item.id])
        return Classified(id=item.id, words=tuple(added), restricts_only=restricts, approvals=done.approvals)


def take_back(
    node: Node, prefix: str, words: Words, *, reason: str, by: Actor, through: Instant | None = None
) -> Classified | Waiting | Refusal:
    """The object that `prefix` names, with these words said of it here no more, by whomever they were.

    A special category, `minor` or a subject in question among them needs the people that a decision on necessity needs.
    `through` is when what the person saw was said last; None: that was not said.

    Raises:
        NotFoundError: the object, or a word that is not said of it here.
        MalformedRequest: a word, or the reason.
        ConflictError: one of the words was said after `through`.
    """
    reason, wanted = read_prose(reason), _read_words(words)
    with node.act() as act:
        item = find_object(act.transaction, prefix)
        good = tags.read_good(act.transaction, [item.id]).get(item.id, [])
        ended = [tag for tag in good if (tag.field, tag.word) in wanted]
        if missing := [word for word in wanted if word not in {(tag.field, tag.word) for tag in ended}]:
            raise NotFoundError(
                f"{missing[0][1]} is not said of {item.id} here; what the object or its giver says is not taken off"
            )
        last = max(tag.said_at for tag in ended)
        if through is not None and last > through:
            raise ConflictError("one of these words was said of it since you looked; read by whom and why")
        about: dict[str, Json] = {"object": item.id, "words": _list_words(wanted)}
        done = record(act, by, _find_change_of_end(act.transaction, wanted), about, reason=reason, after=last)
        if not isinstance(done, Approved):
            return done
        person = describe_person(done.approvals)
        tags.end_tags(act.transaction, [tag.key for tag in ended], by=person, why=reason, now=act.now)
        settle(act.transaction, [item.id], node.party)
        restricts = not is_own(objects.read_label(act.transaction, item.own_label), node.party)
        return Classified(id=item.id, words=tuple(wanted), restricts_only=restricts, approvals=done.approvals)


def foresee_said(node: Node, prefix: str, words: Words) -> tuple[ReleaseEffect, ...]:
    """What would become of releases if a person said these words of the object now; nothing is changed.

    Raises:
        NotFoundError, MalformedRequest: as `say`.
    """
    wanted = _read_words(words)
    with node.store.read() as transaction:
        item = find_object(transaction, prefix)
        for field, word in wanted:
            if field == "subjects":
                find_place_on_list(transaction, word)
        good = tags.read_good(transaction, [item.id]).get(item.id, [])
        joined = join_words([(tag.field, tag.word) for tag in good] + wanted)
        return find_effects(node, transaction, foresee_labels(transaction, {item.id: joined}, node.party))


def list_classification(node: Node, prefix: str) -> Classification:
    """What is said of an object, and was.

    Raises:
        NotFoundError, MalformedRequest: the object.
    """
    with node.store.read() as transaction:
        item = find_object(transaction, prefix)
        return Classification(
            id=item.id,
            plain=find_plain(transaction, [item])[item.pk],
            said=tuple(tags.list_tags(transaction, item.id)),
            restricts_only=not is_own(objects.read_label(transaction, item.own_label), node.party),
        )


def find_place_on_list(transaction: Transaction, subject: str) -> tuple[str | None, str | None]:
    """The list and its last version that the subject stands on; none of both where no list of its scheme is held.

    Raises:
        MalformedRequest: there is such a list, and the subject is not on it.
    """
    scheme = subject.partition(":")[0]
    latest = subjects.read_latest(transaction, scheme)
    if latest is None:
        return None, None
    if subjects.find_entry(transaction, latest.key, subject) is None:
        raise MalformedRequest(
            f"{subject} is not on the list {scheme} in its version {latest.version}; `comity list show {scheme}` gives"
            " those that are",
            where="subjects",
        )
    return latest.list, latest.version


def record(
    act: Act,
    by: Actor,
    change: ClassificationChange,
    about: Mapping[str, Json],
    *,
    reason: str,
    count: int = 1,
    brought: bytes | None = None,
    after: Instant | None = None,
) -> Approved | Waiting | Refusal:
    """Whether enough people have approved exactly this; then it is on record with the act.

    `brought` is kept for whoever comes second. `after` is when it was decided on last, or said: what somebody approved
    before that is another matter, so that nobody completes it over who stopped it in between.
    """
    rests: dict[str, Json] = {} if after is None else {"after": format_instant(after)}
    matter = make_matter(change.value, agreement=None, facts={**about, **rests, "reason": reason})
    done = approve(act, by, matter, brought=brought)
    if isinstance(done, Approved):
        content = format_classification(change, about=about, reason=reason, approvals=done.approvals)
        act.record(EntryType.CLASSIFICATION, content, terms=None, recipient=None, count=count)
    return done


def describe_person(approvals: Iterable[Approval]) -> str:
    """Those who approved, as it is kept beside what they did."""
    return ", ".join(f"{item.person} ({item.role})" for item in approvals)


def check_room(transaction: Transaction, ids: Collection[ObjectId], new: Iterable[StoredTag]) -> None:
    """Nothing, when each object has room for what is about to be said of it.

    Raises:
        ConflictError: one has not.
    """
    counts = {name: len(said) for name, said in tags.read_good(transaction, ids).items()}
    for tag in new:
        counts[tag.object] = counts.get(tag.object, 0) + 1
        if counts[tag.object] > MAX_SAID:
            raise ConflictError(f"{MAX_SAID} words are said of {tag.object} here, which is the bound; take some back")


def check_labels(transaction: Transaction, ids: Collection[ObjectId]) -> None:
    """Nothing, when the labels of all versions hold what is said of them.

    Raises:
        ConflictError: one does not: the object could be given to nobody any more, and not because anybody said so.
    """
    held = objects.read_versions_of(transaction, ids)
    known = objects.read_labels(transaction, {item.own_label for item in held})
    for item in held:
        if known[item.own_label] == OVERFULL:
            raise ConflictError(f"more is said of {item.id} than a label can hold, so that nothing more can be said")


def _read_words(words: Words) -> list[tuple[str, str]]:
    found = sorted({(field, check_word(field, word)) for field, listed in words.items() for word in listed})
    if not found:
        raise MalformedRequest("say at least one word of the object: a subject, a region, a kind, …", where="words")
    return found


def _find_change_of_end(transaction: Transaction, words: Collection[tuple[str, str]]) -> ClassificationChange:
    """What it is to take these words back: a safeguard among them takes as many people as a decision to give."""
    if has_safeguard(transaction, words):
        return ClassificationChange.TAKE_BACK_SAFEGUARD
    return ClassificationChange.TAKE_BACK


def has_safeguard(transaction: Transaction, words: Collection[tuple[str, str]]) -> bool:
    """Whether what keeps back until two people decide is among these fields and words.

    It is a special category, `minor`, or a subject that is in question.
    """
    questioned = subjects.read_questioned(transaction)
    return any(
        field == "special_categories"
        or (field, word) == ("person_classes", MINOR)
        or (field == "subjects" and word in questioned)
        for field, word in words
    )


def _list_words(words: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"field": field, "word": word} for field, word in words]
