# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party's own programs are handed of what it holds, for what they do with it; and who may have a copy.

It is no disclosure: no other party gets anything, and the terms under which an object came bind its holder here as they
bind people. What they let a program do is asked of every way by which the object came (`permitted_actions`), and its
label says whether it is for programs at all (`release.usable`).

A program that ended, or an object that went, leaves a copy where the program keeps it: no machine of this node reaches
there. How far each program got is kept, so that people are told whom to ask when something is recalled.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, cast

from comity.agreement.receiving import parse_receipt_terms
from comity.ids import Digest, Instant, ObjectId
from comity.node.bounds import read_every_way
from comity.node.node import Node
from comity.node.programs import StoredProgram
from comity.node.standing import list_dossiers
from comity.node.tagging import keep_lapsed
from comity.release.usable import find_obstacle, is_permitted, may_act
from comity.store import Transaction, objects, sources, usable
from comity.store.changes import read_changes
from comity.store.objects import StoredObject
from comity.store.usable import Fit, Handed, Question, Usable
from comity.vocabulary import ACTIONS_ORDER

__all__ = [
    "MOST_BYTES",
    "Handed",
    "Offer",
    "Part",
    "Question",
    "Usable",
    "find_handed",
    "find_use",
    "learn",
    "list_part",
    "note_handed",
    "offer",
    "read_fitting",
]

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of the objects of a page; one that is longer comes alone."""

_LOOKED_AT: Final = 5_000
"""Places in the order of commit that are gone through at once, while others wait."""

_LABELS_AT_ONCE: Final = 250
"""Labels that are judged in one step."""

_NOTED: Final = 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some objects, which may be none; `next` is the place after which to go on, None at the end."""

    items: tuple[Usable, ...]
    next: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The place after which what was asked for begins, 0 for all; the last one that is offered, and since when."""

    after: int
    until: int
    at: Instant


def offer(node: Node, since: Instant | None = None) -> Offer:
    """What is offered; what came in since something was offered last is from now on.

    Raises:
        UnavailableError: that cannot be kept.
    """
    keep_lapsed(node)
    with node.store.read() as transaction:
        (until, at), head = usable.find_last_offered(transaction), objects.read_head_seq(transaction)
    if head > until:
        with node.store.write() as transaction:
            # The machine's own clock: one that was put back must not make what is new wait until it is there again.
            until, at = usable.mark_offered(transaction, now=node.read_machine_clock())
    after = 0
    if since is not None:
        with node.store.read() as transaction:
            after = usable.find_offered(transaction, since)
    return Offer(after=after, until=until, at=at)


def learn(node: Node, actions: str) -> bool:
    """Whether there is more to learn before a part can be listed in one short step; something was learned."""
    with node.store.read() as transaction:
        return _judge_labels(node, transaction, acts=may_act(actions))


def list_part(
    node: Node, question: Question, *, after: int, until: int, limit: int, room: int = MOST_BYTES, alone: bool = True
) -> Part:
    """At most `limit` objects at the places after < p ≤ until, in order: as far as is gone through at once.

    Together they have at most `room` bytes; but `alone` a single one may have more. Whoever asks may have waited since
    the offer for others: what has had its time by now is not among them.
    """
    keep_lapsed(node)
    end = until if question.ids else min(until, after + _LOOKED_AT)
    with node.store.read() as transaction:
        fit = _find_fit(node, transaction, question.actions)
        found = usable.list_usable(transaction, question, fit, after=after, until=end, limit=limit + 1)
    taken = bisect_right([*accumulate(item.size for item in found)], room)
    most = min(limit, max(taken, int(alone)))
    if len(found) > most:
        return Part(items=tuple(found[:most]), next=found[most].place - 1)
    return Part(items=tuple(found), next=None if end >= until else end)


def read_fitting(node: Node, question: Question, items: Sequence[Usable]) -> list[tuple[Usable, bytes]]:
    """Those of the items that still fit, as they stood, with their bytes as they are held."""
    if not items:
        return []
    keep_lapsed(node)
    keys, places = {item.pk for item in items}, {(item.pk, item.place) for item in items}
    last = items[-1].place
    with node.store.read() as transaction:
        fit = _find_fit(node, transaction, question.actions)
        found = usable.list_usable(transaction, question, fit, after=0, until=last, limit=len(items), keys=keys)
        return [(item, objects.read_body(transaction, item.pk)) for item in found if (item.pk, item.place) in places]


def note_handed(node: Node, program: StoredProgram, actions: str, *, through: int) -> None:
    """Keep that the program may have got everything up to this place; nothing is to be handed over before.

    Raises:
        UnavailableError: it cannot be kept.
    """
    now = node.clock()
    with node.store.read() as transaction:
        if usable.is_handed(transaction, program.id, actions, through=through, since=Instant(now - _NOTED)):
            return
    with node.store.write() as transaction:
        usable.mark_handed(
            transaction,
            program=program.id,
            person=program.person,
            name=program.name,
            actions=actions,
            through=through,
            now=now,
        )


def find_use(node: Node, item: StoredObject) -> dict[str, str | None]:
    """For each of ACTIONS_ORDER why programs are not handed this version, or None: they are."""
    with node.store.read() as transaction:
        if not item.current:
            return dict.fromkeys(ACTIONS_ORDER, "there is a newer version")
        label = objects.read_label(transaction, item.label)
        came = {way.terms for way in read_every_way(transaction, [item])[item.pk]}
        came |= set() if item.received_under is None else {item.received_under}
        texts = _read_texts(node, transaction)
        return {
            actions: find_obstacle(label, acts=may_act(actions)) or _find_limit(came, texts, actions)
            for actions in ACTIONS_ORDER
        }


def find_handed(node: Node, items: Collection[ObjectId]) -> list[Handed]:
    """The programs, those that have ended too, that may have a copy of a version of one of the objects."""
    with node.store.read() as transaction:
        return usable.find_handed(transaction, items)


def _find_limit(came: Collection[Digest], texts: Mapping[Digest, tuple[str, str]], actions: str) -> str | None:
    """Why one of the texts under which an object came does not permit the actions; None: all do."""
    for terms in sorted(came):
        if terms not in texts:
            return f"the text {terms[:12]}… under which it came is not on record"
        title, permitted = texts[terms]
        if not is_permitted(actions, permitted):
            return f'"{title}", under which it came, permits {permitted} at most'
    return None


def _find_fit(node: Node, transaction: Transaction, actions: str) -> Fit:
    """The texts on record that permit the actions to whom they give something, and the labels that nothing stops."""
    texts = _read_texts(node, transaction)
    permitting = frozenset(terms for terms, (_, permitted) in texts.items() if is_permitted(actions, permitted))
    return Fit(terms=permitting, labels=_find_labels(node, transaction, acts=may_act(actions)))


def _find_labels(node: Node, transaction: Transaction, *, acts: bool) -> frozenset[int]:
    """The labels with which an object is handed to programs."""
    while _judge_labels(node, transaction, acts=acts):
        pass
    return cast("tuple[int, frozenset[int]]", node.remembered[_name_labels(acts=acts)][1])[1]


def _judge_labels(node: Node, transaction: Transaction, *, acts: bool) -> bool:
    """Whether there may be more, after some labels were judged; each is once, as long as nothing has changed.

    A key is of another label only after a deletion, which counts as a change.
    """
    name, changes = _name_labels(acts=acts), read_changes(transaction)
    known = node.remembered.get(name)
    last, fitting = 0, frozenset[int]()
    if known is not None and known[0] == changes:
        last, fitting = cast("tuple[int, frozenset[int]]", known[1])
    newer = objects.read_labels_after(transaction, last, most=_LABELS_AT_ONCE)
    if newer:
        fitting |= {key for key, label in newer.items() if find_obstacle(label, acts=acts) is None}
    node.remembered[name] = (changes, (max(newer, default=last), fitting))
    return len(newer) == _LABELS_AT_ONCE


def _name_labels(*, acts: bool) -> str:
    return "usable-labels-to-act" if acts else "usable-labels"


def _read_texts(node: Node, transaction: Transaction) -> dict[Digest, tuple[str, str]]:
    """Title and permitted actions of every text on record: versions of agreements, and records of sources."""
    texts = {
        terms.hash: (terms.title, terms.permitted_actions)
        for dossier in list_dossiers(node, transaction)
        for terms in dossier.versions
    }
    for document in sources.list_records(transaction):
        record = parse_receipt_terms(document, party=node.party)
        texts[record.hash] = (record.title, record.permitted_actions)
    return texts
