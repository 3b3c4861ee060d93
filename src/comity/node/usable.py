# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party's own programs are handed of what it holds, for what they do with it; and who may have a copy.

It is no disclosure: no other party gets anything, and the terms under which an object came bind its holder here as they
bind people. What they let a program do is asked of every way by which the object came (`permitted_actions`), and its
label says whether it is for programs at all (`release.usable`).

A program that ended, or an object that went, leaves a copy where the program keeps it: no machine of this node reaches
there. How far each program got is kept, so that people are told whom to ask when something is recalled.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from comity.agreement.receiving import parse_receipt_terms
from comity.ids import Digest, Instant, ObjectId
from comity.node.node import Node
from comity.node.programs import StoredProgram
from comity.node.standing import list_dossiers
from comity.node.tagging import keep_lapsed
from comity.release.usable import find_obstacle, is_permitted
from comity.store import Transaction, arrivals, objects, sources, usable
from comity.store.objects import StoredObject
from comity.store.usable import Handed, Wish
from comity.vocabulary import ACTIONS_ORDER

__all__ = [
    "MOST_BYTES",
    "Handed",
    "Part",
    "Question",
    "Usable",
    "find_handed",
    "find_use",
    "list_part",
    "note_handed",
    "offer",
]

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of the objects of one part; one that is longer comes alone."""

_LOOKED_AT: Final = 5_000
"""Places in the order of commit that are gone through at once, while others wait."""

_MORE: Final = 100
"""Objects that are looked at beyond twice what is wanted, before others have their turn."""

_NOTED: Final = 60 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a program asks for of what it may use for `actions`; empty sets ask for nothing special.

    `carries` says that the objects themselves are asked for, and not only which there are.
    """

    actions: str
    ids: frozenset[ObjectId] = frozenset()
    types: frozenset[str] = frozenset()
    spec_versions: frozenset[str] = frozenset()
    versions: frozenset[Instant] = frozenset()
    carries: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """One object that may be handed over: its place, since when it is offered, and its bytes as they are held."""

    place: int
    at: Instant
    id: ObjectId
    version: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some objects, which may be none; `next` is the place after which to go on, None at the end."""

    items: tuple[Usable, ...]
    next: int | None


def offer(node: Node, since: Instant | None = None) -> tuple[int, int]:
    """The place after which something is newer than `since`, 0 for all; and the last place that is offered.

    What came in since something was offered last is offered from now on.

    Raises:
        UnavailableError: that cannot be kept.
    """
    keep_lapsed(node)
    with node.store.read() as transaction:
        until, head = usable.find_last_offered(transaction), objects.read_head_seq(transaction)
    if head > until:
        with node.store.write() as transaction:
            # The machine's own clock: one that was put back must not make what is new wait until it is there again.
            until = usable.mark_offered(transaction, now=node.read_machine_clock())
    if since is None:
        return 0, until
    with node.store.read() as transaction:
        return usable.find_offered(transaction, since), until


def list_part(node: Node, question: Question, *, after: int, until: int, limit: int) -> Part:
    """At most `limit` objects at the places after < p ≤ until, in order: as far as is gone through at once."""
    end = until if question.ids else min(until, after + _LOOKED_AT)
    with node.store.read() as transaction:
        wish = Wish(
            terms=_find_terms(node, transaction, question.actions),
            ids=question.ids,
            types=question.types,
            spec_versions=question.spec_versions,
            versions=question.versions,
        )
        most = 2 * limit + _MORE
        rows = usable.list_usable(transaction, wish, after=after, until=end, limit=most)
        labels = objects.read_labels(transaction, {item.label for item, _ in rows})
        fit = [(item, at) for item, at in rows if find_obstacle(labels[item.label]) is None]
        found, size = list[Usable](), 0
        for item, at in fit:
            data = objects.read_body(transaction, item.pk) if question.carries else b""
            if len(found) == limit or (found and size + len(data) > MOST_BYTES):
                return Part(items=tuple(found), next=found[-1].place)
            found.append(Usable(place=item.seq, at=at, id=item.id, version=item.version, data=data))
            size += len(data)
    through = rows[-1][0].seq if len(rows) == most else end
    return Part(items=tuple(found), next=None if through >= until else through)


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
        obstacle = find_obstacle(objects.read_label(transaction, item.label))
        came = {way.terms for way in arrivals.read_arrivals(transaction, [item.pk]).get(item.pk, [])}
        came |= set() if item.received_under is None else {item.received_under}
        texts = _read_texts(node, transaction)
        return {actions: obstacle or _find_limit(came, texts, actions) for actions in ACTIONS_ORDER}


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


def _find_terms(node: Node, transaction: Transaction, actions: str) -> frozenset[Digest]:
    """All texts on record that permit the actions to whom they give something."""
    texts = _read_texts(node, transaction)
    return frozenset(terms for terms, (_, permitted) in texts.items() if is_permitted(actions, permitted))


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
