# SPDX-License-Identifier: Apache-2.0
"""Shell: what it takes to withdraw versions of objects, whoever asks for it: they stop, and whoever has them is told.

A version that is withdrawn carries the marking `recalled`, which no terms can name. So it is withheld by the clause
`markings` in every reading of the terms, as is what refers to it, and nothing of it is asked when a partner polls. The
marking, the entry of the log and the letters are one transaction: each disclosure commits before it, and its recipient
is told, or after it, and does not hold the version.

Who was given it is read from this party's own log. Where content of the log was purged, whoever was released it under
terms is told too, which may be one too many. Of what was deleted here besides nothing says any more who that was: a
purge is there to have that forgotten.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from comity.agreement.people import Approval
from comity.agreement.terms import Terms, parse_terms
from comity.errors import CorruptionError, MalformedError, MalformedObject
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId, format_instant, parse_instant
from comity.letters.letter import MAX_ABOUT, About, Draft, Letter
from comity.letters.recall import Change, Outcome, Recall, Result
from comity.node.letters import send_letter
from comity.node.node import Act, Node
from comity.node.relabel import relabel
from comity.release.contents import parse_disclosure, parse_listing
from comity.release.disclosure import DisclosedObject, EntryType, parse_leaf
from comity.release.letters import format_recall
from comity.stix.labels import RECALLED
from comity.stix.objects import StixObject
from comity.store import Transaction, agreements, log, objects, recalls
from comity.store.objects import Holding, StoredObject
from comity.store.recalls import Recalled

__all__ = [
    "DECISION_TIME",
    "PASSED_ON",
    "Demand",
    "Given",
    "Stopped",
    "Wanted",
    "check_recalled",
    "find_given",
    "judge_all_stopped",
    "mark_stopped",
    "may_wait",
    "read_stopped",
    "stop",
    "tell",
]

DECISION_TIME = 14 * 86_400 * 1_000_000
"""For people to decide on, where the terms say nothing of how soon a recall is to be answered."""

PASSED_ON = {
    Change.WITHDRAW: "withdrawn by whoever it came from",
    Change.CORRECT: "corrected by whoever it came from",
}
"""The words of a recall that is passed on: those of the one that came say who they are of."""

Wanted = Mapping[ObjectId, Collection[Instant]]
"""Versions of objects, by when each says that it was modified."""


@dataclass(slots=True)
class Given:
    """What `recipient` was given under one agreement; `terms` is the text that the last of it was given under.

    `under` has each version with every text that it was given under; with None where the log does not say it any more.
    """

    recipient: PartyId
    agreement: AgreementId
    terms: Digest
    about: dict[About, None] = field(default_factory=dict)
    under: set[tuple[About, Digest | None]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What is not taken in of what comes and is not held: versions that are `recalled`, and what was `foretold`.

    That is what its giver recalled before it came: a letter can overtake the page that was under way. It counts for
    that giver alone, so that nobody keeps out what others give.
    """

    recalled: Mapping[ObjectId, Collection[Recalled]]
    foretold: Collection[tuple[ObjectId, Digest]]

    def check(self, item: StixObject, same: StoredObject | None) -> None:
        """Nothing, when the object may be taken in; `same` is exactly this version, where it is held.

        Raises:
            MalformedObject: it was recalled.
        """
        if same is not None:
            return  # what is held stays as it is, and the terms of each further way bind it
        if (item.id, item.digest) in self.foretold:
            raise MalformedObject(
                f"this version of {item.id} was recalled by whoever gives it before it came, and is not taken in",
                where="/modified",
            )
        check_recalled(self.recalled.get(item.id, ()), item)


def read_stopped(transaction: Transaction, ids: Collection[ObjectId], holding: Holding) -> Stopped:
    """What of `ids` is not taken in where it comes as `holding` says."""
    under = holding.received_under
    agreement = None if under is None else agreements.find_agreement_of(transaction, under)
    return Stopped(
        recalled=recalls.read_recalled(transaction, ids),
        foretold=frozenset()
        if agreement is None
        else recalls.read_foretold(transaction, ids, giver=holding.originator, agreement=agreement),
    )


def check_recalled(items: Collection[Recalled], item: StixObject) -> None:
    """Nothing, when this version of the object is not among those that were recalled.

    Raises:
        MalformedObject: it is.
    """
    for known in items:
        if known.version_at == item.version_at:
            raise MalformedObject(
                f"this version of {item.id} was recalled on {format_instant(known.recalled_at)}, and is not taken in"
                " again; a newer version of it can be",
                where="/modified",
            )


def find_given(transaction: Transaction, wanted: Wanted) -> list[Given]:
    """To whom this party gave any of these versions, under which agreements, by recipient and agreement.

    Each version is named by the bytes that left, which are others than those held where something was removed.
    """
    released = recalls.was_ever_released(transaction, wanted.keys())
    if not released:
        return []
    found: dict[tuple[PartyId, AgreementId], Given] = {}
    for position in recalls.find_disclosures(transaction, released):
        ((_, leaf),) = log.read_entries(transaction, position, position + 1)
        opening = log.read_openings(transaction, position, position + 1).get(position)
        entry = parse_leaf(leaf)
        if entry.type is not EntryType.DISCLOSURE or entry.recipient is None or entry.terms is None or opening is None:
            continue
        said = parse_disclosure(opening.content)
        listed = said.objects if said.listing is None else parse_listing(opening.listing)
        chosen = _choose(wanted, listed)
        _note(transaction, found, chosen, recipient=entry.recipient, terms=entry.terms, said=entry.terms)
    if recalls.has_lost_openings(transaction):
        for recipient, terms, name, version, digest in recalls.read_released(transaction, released):
            chosen = _choose(wanted, (DisclosedObject(id=name, version=version, digest=digest),))
            _note(transaction, found, chosen, recipient=recipient, terms=terms, said=None)
    return [found[place] for place in sorted(found)]


def stop(
    act: Act,
    items: Sequence[Recalled],
    *,
    change: Change,
    reason: str,
    letter: Digest | None,
    terms: Digest | None,
    approvals: Sequence[Approval] = (),
) -> None:
    """None of these versions is given to anybody from this act on; it is on record, and they are not taken in again."""
    mark_stopped(act, items)
    named = [DisclosedObject(id=item.id, version=item.version, digest=item.digest) for item in items]
    content = format_recall(change=change.value, objects=named, reason=reason, letter=letter, approvals=approvals)
    act.record(EntryType.RECALL, content, terms=terms, recipient=None, count=len(items))


def mark_stopped(act: Act, items: Sequence[Recalled]) -> None:
    """None of these versions is given to anybody from this act on; whoever calls it puts that on record in the act."""
    recalls.add_recalled(act.transaction, items)
    stopped = {(item.id, item.version_at) for item in items}
    held = [
        version
        for version in objects.read_versions_of(act.transaction, {item.id for item in items})
        if (version.id, version.version_at) in stopped
    ]
    labels = objects.LabelKeys(act.transaction)
    known = objects.read_labels(act.transaction, {version.own_label for version in held})
    restated = set[ObjectId]()
    for version in held:
        before = known[version.own_label]
        if RECALLED not in before.markings:
            after = replace(before, markings=before.markings | {RECALLED})
            objects.set_own_label(act.transaction, version.pk, labels.find(after))
            restated.add(version.id)
    relabel(act.transaction, restated=restated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What whoever gave something asks for, under which terms; at `due_at` what nobody decided on is deleted."""

    change: Change
    terms: Digest
    due_at: Instant


def may_wait(transaction: Transaction, demand: Demand, *, now: Instant) -> bool:
    """Whether what nobody has decided on stays for now: where the terms set a review, or a newer version may come."""
    if now >= demand.due_at or demand.change is Change.CORRECT:
        return now < demand.due_at
    return _read_terms(transaction, demand.terms).retention is not None


def judge_all_stopped(
    transaction: Transaction,
    name: ObjectId,
    digests: Sequence[Digest],
    demand: Demand,
    *,
    newest: Instant | None = None,
    now: Instant,
) -> list[tuple[Result, StoredObject | None]]:
    """What becomes now of each of these versions of the object, which were stopped, and which is deleted for that.

    `newest` is the time of the newest version that whoever corrects it has given. It takes as many statements for many
    versions as for one.
    """
    held = {item.digest: item for item in objects.read_versions_of(transaction, [name])}
    hold = recalls.read_holds(transaction, [name]).get(name)
    waits = hold is None and not held.keys().isdisjoint(digests) and may_wait(transaction, demand, now=now)
    judged = list[tuple[Result, StoredObject | None]]()
    for digest in digests:
        version = held.get(digest)
        if version is None:
            judged.append((Result(outcome=Outcome.DELETED), None))
        elif hold is not None:
            judged.append((Result(outcome=Outcome.KEPT, reason=hold.reason), None))
        elif demand.change is Change.CORRECT and newest is not None and newest > version.version_at:
            judged.append((Result(outcome=Outcome.REPLACED), version))
        elif waits:
            judged.append((Result(outcome=Outcome.STOPPED), None))
        else:
            judged.append((Result(outcome=Outcome.DELETED), version))
    return judged


def _read_terms(transaction: Transaction, digest: Digest) -> Terms:
    document = agreements.read_terms(transaction, digest)
    if document is None:
        raise CorruptionError("the terms of a recall are missing from the store; restore a backup")
    return parse_terms(document)


def tell(
    node: Node,
    act: Act,
    given: Sequence[Given],
    recall: Recall,
    *,
    because: Digest | None,
    approvals: Sequence[Approval] = (),
) -> tuple[Letter, ...]:
    """The letters to everybody who was given it, each under the agreement that it was given under.

    A correction is of one object, as its letter is.
    """
    sent = list[Letter]()
    for item in given:
        named = tuple(item.about)
        for start in range(0, len(named), MAX_ABOUT):
            about = named[start : start + MAX_ABOUT]
            draft = Draft(body=recall, to=item.recipient, agreement=item.agreement, terms=item.terms, about=about)
            sent.append(send_letter(node, act, draft, because=because, approvals=approvals))
    return tuple(sent)


def _choose(wanted: Wanted, listed: Collection[DisclosedObject]) -> list[About]:
    """What of `listed` is wanted; what only id and version of left was not given."""
    return [
        About(id=item.id, version=item.version, digest=item.digest)
        for item in listed
        if item.digest is not None and item.id in wanted and _read_version(item.version) in wanted[item.id]
    ]


def _note(
    transaction: Transaction,
    found: dict[tuple[PartyId, AgreementId], Given],
    chosen: Collection[About],
    *,
    recipient: PartyId,
    terms: Digest,
    said: Digest | None,
) -> None:
    """Add to `found` what was chosen of a disclosure; `said` is the text where the log says it."""
    if not chosen:
        return
    agreement = agreements.find_agreement_of(transaction, terms)
    if agreement is None:
        raise CorruptionError("the log names terms that the store does not hold; restore a backup, and see comity fsck")
    given = found.setdefault((recipient, agreement), Given(recipient, agreement, terms))
    given.terms = terms
    given.about |= dict.fromkeys(chosen)
    given.under |= {(about, said) for about in chosen}


def _read_version(version: str) -> Instant | None:
    """When the version says that it was modified; a listing holds texts that were parsed when the object came in."""
    try:
        return parse_instant(version)
    except MalformedError:
        return None
