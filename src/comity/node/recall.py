# SPDX-License-Identifier: Apache-2.0
"""Shell: this party's people recall what it gave, or keep what is recalled; and what stands of all recalls.

A recall is the act of one person who acts as analyst, liaison or legal: it stops something, and whoever finds an error
must be able to. It stops the versions here and tells everybody who was given them, in one transaction. Nobody's consent
is asked and no gate: what was given under an agreement that is suspended or has ended is recalled under it.

A newer version of an object that says `revoked` (STIX 2.1 §3.2) recalls the older ones by itself, as a correction. Any
other newer version reaches whoever pulls without a letter; a person can send one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comity.agreement.people import Approval, make_matter
from comity.agreement.reader import Reader
from comity.agreement.recognition import Refusal
from comity.errors import ConflictError, MalformedRequest, NotFoundError, TransitionError
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId, parse_instant
from comity.letters.bodies import LetterKind
from comity.letters.letter import Letter
from comity.letters.recall import MAX_KEPT_REASON, Change, Recall, Result
from comity.node.explain import find_object
from comity.node.letters import find_letter
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, approve, normalise_text
from comity.node.recalled import settle
from comity.node.retraction import Retraction, find_retraction, settle_retractions_of
from comity.node.standing import read_titles
from comity.node.withdrawal import find_given, stop, tell
from comity.release.disclosure import DisclosedObject, EntryType
from comity.release.letters import format_recall
from comity.stix.markings import TLP_IDS
from comity.store import Transaction, beginnings, deletions, letters, objects, recalls, retractions
from comity.store.letters import LetterState, Spot, StoredLetter
from comity.store.objects import StoredObject
from comity.store.recalls import Hold, Recalled

__all__ = [
    "KeptRecalled",
    "LetterState",
    "Recalled",
    "Recalling",
    "Spot",
    "StoredLetter",
    "TakenBack",
    "Told",
    "keep_recalled",
    "list_recall_part",
    "list_recalls",
    "list_recalls_of",
    "list_taken_back",
    "recall",
    "recall_revoked",
    "show_recall",
]

_MAX_REASON = 2_000
_REVOKED = "a newer version says that it is revoked"
_WINDOW = 5_000
_WINDOWS = 20
_MAX_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalling:
    """What was recalled: the versions, given to nobody from here on, and the letters to who was given them."""

    id: ObjectId
    versions: tuple[str, ...]
    change: Change
    newer: str | None
    letters: tuple[Letter, ...]
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRecalled:
    """What is kept though it is or will be recalled; how many recalls waited for that, and whose they are."""

    hold: Hold
    told: int
    givers: tuple[PartyId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A letter of recall, with what is known of it: `results` of one that came, `answers` in their order.

    `spared` are the places of results that its sender alone hears (`node.recalled`). `caused` are letters that were
    sent because of it; `title` is that of its agreement (None: it is not on record).
    """

    stored: StoredLetter
    results: tuple[Result, ...]
    spared: frozenset[int]
    answers: tuple[StoredLetter, ...]
    caused: tuple[StoredLetter, ...]
    title: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """What a partner took back over TAXII, and the letters that were sent because of it (`node.retraction`)."""

    retraction: Retraction
    caused: tuple[StoredLetter, ...]
    title: str | None


@dataclass(frozen=True, slots=True)
class _Version:
    """One version that is or was held."""

    version_at: Instant
    version: str
    digest: Digest


def recall(
    node: Node,
    prefix: str,
    *,
    change: Change,
    versions: Sequence[str],
    reason: str,
    by: Actor,
    newest: str | None = None,
) -> Recalling | Waiting | Refusal:
    """What was recalled of the object that `prefix` names: `versions`, or without any all of a withdrawal.

    A correction is of all versions but the newest that is held, which takes their place: `newest`, where the person
    said which one that is.

    Raises:
        NotFoundError, MalformedRequest: the object, a version, or the reason.
        TransitionError: there is nothing to recall, or it was recalled before.
        ConflictError: another one than `newest` is, so that this one would be recalled too.
    """
    reason = _read_reason(reason, most=_MAX_REASON)
    with node.act() as act:
        name, known = _find_known(act.transaction, prefix)
        newer = _find_newer(act.transaction, name) if change is Change.CORRECT else None
        if newer is not None and newest not in {None, newer.version}:
            raise ConflictError("another version is the newest than when you looked; say what that one corrects")
        chosen = _choose(act.transaction, name, known, versions=versions, newer=newer)
        matter = make_matter(
            "recall",
            agreement=None,
            facts={
                "object": name,
                "change": change.value,
                "versions": [item.version for item in chosen],
                "newer": None if newer is None else newer.version,
                "reason": reason,
            },
        )
        authorised = approve(act, by, matter)
        if not isinstance(authorised, Approved):
            return authorised
        body = Recall(change=change, reason=reason, newer=None if newer is None else newer.version)
        return _recall(node, act, name, chosen, body, approvals=authorised.approvals)


def recall_revoked(node: Node) -> int:
    """How many objects of this party were recalled because their newest version says that they are revoked."""
    count = 0
    for _ in range(_WINDOWS):
        with node.store.read() as transaction:
            found, reached = recalls.list_revoked(transaction, node.party, window=_WINDOW)
        if reached is None:
            break
        with node.act() as act:
            for name in found:
                count += _recall_revoked(node, act, name)
            recalls.mark_looked(act.transaction, reached)
    return count


def keep_recalled(node: Node, prefix: str, *, reason: str, by: Actor) -> KeptRecalled | Waiting | Refusal:
    """The decision to keep the object that `prefix` names whatever is recalled: it is given to nobody, and not deleted.

    What the terms say of retention goes on to hold of it.

    Raises:
        NotFoundError, MalformedRequest: the object, or the reason.
    """
    reason = " ".join(_read_reason(reason, most=MAX_KEPT_REASON).split())
    with node.act() as act:
        item = find_object(act.transaction, prefix)
        matter = make_matter("keep-recalled", agreement=None, facts={"object": item.id, "reason": reason})
        authorised = approve(act, by, matter)
        if not isinstance(authorised, Approved):
            return authorised
        person = authorised.approvals[0]
        hold = Hold(id=item.id, reason=reason, by=f"{person.person} ({person.role})", held_at=act.now)
        recalls.put_hold(act.transaction, hold)
        held = objects.read_versions_of(act.transaction, [item.id])
        named = [DisclosedObject(id=one.id, version=one.version, digest=one.digest) for one in held]
        content = format_recall(
            change="keep", objects=named, reason=reason, letter=None, approvals=authorised.approvals
        )
        act.record(EntryType.RECALL, content, terms=None, recipient=None, count=len(named))
        waiting = [
            stored
            for stored in letters.list_about(act.transaction, item.id, LetterKind.RECALL, sent=False)
            if stored.state is LetterState.OPEN
        ]
        for stored in waiting:
            settle(node, act, stored.letter.digest)
        settle_retractions_of(act, item.id)
    return KeptRecalled(hold=hold, told=len(waiting), givers=tuple(sorted({stored.party for stored in waiting})))


def list_recalls(node: Node, *, limit: int) -> tuple[list[Told], list[Told]]:
    """The last letters of recall that this party sent, and those that it received, newest first."""
    with node.store.read() as transaction:
        sent = letters.list_letters(transaction, LetterKind.RECALL, sent=True, limit=limit)
        received = letters.list_letters(transaction, LetterKind.RECALL, sent=False, limit=limit)
        return _read_all(node, transaction, sent), _read_all(node, transaction, received)


def list_recall_part(node: Node, *, sent: bool, after: Spot | None, limit: int) -> tuple[list[Told], Spot | None]:
    """A part of the letters of recall that this party sent, or received, and where the next one begins.

    Those in front of which an answer, or a decision here, is still to come.
    """
    with node.store.read() as transaction:
        kind = LetterKind.RECALL
        found, following = letters.list_waiting_first(transaction, kind, sent=sent, after=after, limit=limit)
        return _read_all(node, transaction, found), following


def list_taken_back(node: Node, *, limit: int, before: Digest | None = None) -> list[TakenBack]:
    """What partners took back over TAXII of what they had written, or tried to, the last of it first.

    Only those before the one that is named `before`, where it is given.
    """
    with node.store.read() as transaction:
        found = retractions.list_retractions(transaction, limit=limit, before=before)
        titles = _read_titles(node, transaction, [item.agreement for item in found])
        return [_read_taken_back(transaction, item, titles) for item in found]


def list_recalls_of(node: Node, item: ObjectId) -> tuple[tuple[Recalled, ...], tuple[Told, ...]]:
    """What is recalled of an object, and the letters about it, received and sent, each oldest first."""
    with node.store.read() as transaction:
        found = [
            stored
            for sent in (False, True)
            for stored in letters.list_about(transaction, item, LetterKind.RECALL, sent=sent)
        ]
        recalled = recalls.read_recalled(transaction, [item]).get(item, ())
        return tuple(recalled), tuple(_read_all(node, transaction, found))


def show_recall(node: Node, prefix: str) -> Told | TakenBack:
    """The letter of recall, or what was taken back over TAXII, whose name begins with `prefix`.

    Raises:
        NotFoundError, MalformedRequest: there is none, or several.
    """
    with node.store.read() as transaction:
        retraction = find_retraction(transaction, prefix)
        if retraction is not None:
            if letters.find_letters(transaction, prefix.lower(), limit=1):
                raise MalformedRequest(f"{prefix!r} fits a letter and a retraction; give more characters")
            return _read_taken_back(transaction, retraction, _read_titles(node, transaction, [retraction.agreement]))
        stored = find_letter(transaction, prefix)
        if stored.letter.kind is not LetterKind.RECALL:
            raise NotFoundError(f"the letter {prefix!r} is no recall but of the kind {stored.letter.kind}")
        (told,) = _read_all(node, transaction, [stored])
        return told


def _recall(
    node: Node, act: Act, name: ObjectId, chosen: Sequence[_Version], body: Recall, *, approvals: Sequence[Approval]
) -> Recalling:
    items = [
        Recalled(
            id=name,
            version_at=item.version_at,
            version=item.version,
            digest=item.digest,
            change=body.change,
            newer=body.newer,
            reason=body.reason,
            letter=None,
            recalled_at=act.now,
        )
        for item in chosen
    ]
    stop(act, items, change=body.change, reason=body.reason, letter=None, terms=None, approvals=approvals)
    given = find_given(act.transaction, {name: {item.version_at for item in chosen}})
    sent = tell(node, act, given, body, because=None, approvals=approvals)
    return Recalling(
        id=name,
        versions=tuple(item.version for item in chosen),
        change=body.change,
        newer=body.newer,
        letters=sent,
        approvals=tuple(approvals),
    )


def _recall_revoked(node: Node, act: Act, name: ObjectId) -> bool:
    """Whether older versions of the object were recalled, because the newest says that it is revoked."""
    newest = objects.read_current(act.transaction, [name]).get(name)
    if newest is None or json.loads(objects.read_body(act.transaction, newest.pk)).get("revoked") is not True:
        return False
    _, known = _find_known(act.transaction, name)
    try:
        chosen = _choose(act.transaction, name, known, versions=(), newer=newest)
    except TransitionError:
        return False  # they were recalled before
    _recall(
        node,
        act,
        name,
        chosen,
        Recall(change=Change.CORRECT, reason=_REVOKED, newer=newest.version),
        approvals=(),
    )
    return True


def _read_reason(reason: str, *, most: int) -> str:
    """The reason as partners can be told it.

    Raises:
        MalformedRequest: it is empty or too long, or holds characters that do not show.
    """
    fields = Reader({"reason": normalise_text(reason, most=most, where="reason")}, "", MalformedRequest).open()
    return fields.maybe_prose("reason") or ""


def _find_known(transaction: Transaction, prefix: str) -> tuple[ObjectId, Mapping[Instant, _Version]]:
    """The object, held or deleted, and every version of it that is or was held.

    Raises:
        NotFoundError, MalformedRequest: there is none, or several.
    """
    held = beginnings.find_objects(transaction, prefix, limit=_MAX_SHOWN)
    stones = deletions.find_tombstones(transaction, prefix, limit=_MAX_SHOWN)
    names = {item.id for item in held} | {stone.id for stone in stones}
    if len(names) != 1:
        find_object(transaction, prefix)  # says what is wrong, unless it fits one that is held and others that are gone
        raise MalformedRequest(f"{prefix!r} fits several objects, some of them deleted; give more characters")
    (name,) = names
    if name in TLP_IDS:
        raise MalformedRequest(f"{name} is a marking of TLP, the same for everyone; nobody can recall it")
    known: dict[Instant, _Version] = {}
    for stone in deletions.read_tombstones(transaction, [name]).get(name, ()):
        known[stone.version_at] = _Version(stone.version_at, stone.version, stone.digest)
    for item in objects.read_versions_of(transaction, [name]):
        known[item.version_at] = _Version(item.version_at, item.version, item.digest)
    return name, known


def _find_newer(transaction: Transaction, name: ObjectId) -> StoredObject:
    newest = objects.read_current(transaction, [name]).get(name)
    if newest is None:
        raise TransitionError(f"no version of {name} is held that could take the place of another")
    return newest


def _choose(
    transaction: Transaction,
    name: ObjectId,
    known: Mapping[Instant, _Version],
    *,
    versions: Sequence[str],
    newer: StoredObject | None,
) -> list[_Version]:
    """The versions that are to be recalled, oldest first; of a correction, those older than `newer`."""
    wanted = [parse_instant(text) for text in versions] or [*known]
    if missing := [text for text, at in zip(versions, wanted, strict=False) if at not in known]:
        raise NotFoundError(f"no version {missing[0]!r} of {name} is or was held here; object show lists those held")
    before = {item.version_at: item for item in recalls.read_recalled(transaction, [name]).get(name, ())}
    older = [at for at in sorted(set(wanted)) if newer is None or at < newer.version_at]
    if not older:
        raise TransitionError(f"no older version of {name} is or was held here, so there is nothing to correct")
    chosen = [known[at] for at in older if at not in before]
    if not chosen:
        raise TransitionError(f"all of that was recalled before; recall list shows who has acknowledged it: {name}")
    return chosen


def _read_titles(node: Node, transaction: Transaction, wanted: Sequence[AgreementId]) -> Mapping[AgreementId, str]:
    return read_titles(node, transaction, wanted, now=node.clock())


def _read_all(node: Node, transaction: Transaction, found: Sequence[StoredLetter]) -> list[Told]:
    titles = _read_titles(node, transaction, [stored.letter.agreement for stored in found])
    return [_read_told(transaction, stored, titles) for stored in found]


def _read_told(transaction: Transaction, stored: StoredLetter, titles: Mapping[AgreementId, str]) -> Told:
    digest = stored.letter.digest
    return Told(
        stored=stored,
        results=recalls.read_results(transaction, digest),
        spared=recalls.read_spared(transaction, digest),
        answers=tuple(letters.list_answers(transaction, digest)),
        caused=tuple(letters.list_caused(transaction, digest)),
        title=titles.get(stored.letter.agreement),
    )


def _read_taken_back(transaction: Transaction, item: Retraction, titles: Mapping[AgreementId, str]) -> TakenBack:
    caused = tuple(letters.list_caused(transaction, item.name))
    return TakenBack(retraction=item, caused=caused, title=titles.get(item.agreement))
