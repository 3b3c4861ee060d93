# SPDX-License-Identifier: Apache-2.0
"""Shell: the labels that follow from what this party says of objects, and from the subjects that are in question.

What an object says of itself, and what was said of it when it was taken in, is kept apart from what people and rules
say of it here (`store.tags`), so that a word can be taken off again and nothing else goes with it. Of an object of
this party both count alike. Of what another party gave, what is said here can only keep back (`classify_received`): its
giver's words stay, whatever this party says, and its audience only shrinks.

Data of a special category and minors mark an object of this party until people have decided that it is strictly
necessary to give it (`node.necessity`): it goes to nobody before, whatever terms admit.

A subject in question marks every object that is said to be about it, by whomever; no terms can name that marking. Of
an object of this party it marks every version where one says so: to write it anew without the subject decides nothing.

Every version of an object is labelled by the words on its id, those that come in later too (`Tagging`).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from comity.classification.safeguards import MINOR
from comity.classification.words import EVALUATION
from comity.ids import Instant, ObjectId, PartyId
from comity.node.node import Node
from comity.node.relabel import foresee, relabel
from comity.stix.labels import LAPSED, OVERFULL, QUESTIONED, UNDECIDED, Label, Tags, make_tags
from comity.stix.worded import classify_own, classify_received, find_said
from comity.store import Transaction, assessments, necessity, objects, subjects, tags
from comity.store.objects import StoredObject

__all__ = [
    "Tagging",
    "find_plain",
    "find_safeguarded",
    "foresee_labels",
    "hold_undecided",
    "is_own",
    "join_words",
    "keep_lapsed",
    "lapse",
    "mark_lapsed",
    "read_words",
    "settle",
]

Words = Mapping[ObjectId, Tags]
"""What this party says of objects, as far as terms can test it."""

_NOTHING = make_tags()
_NONE: frozenset[str] = frozenset()
_NOBODY: frozenset[ObjectId] = frozenset()


class Tagging:
    """What this party says of the objects of a part that comes in, and the subjects in question."""

    def __init__(self, transaction: Transaction, ids: Collection[ObjectId], own: PartyId) -> None:
        self._own = own
        self._words = read_words(transaction, ids)
        self._questioned = subjects.read_questioned(transaction)
        self._asked = _find_asked(transaction, ids, self._questioned, own=own) if self._questioned else _NOBODY
        self._decided = necessity.read_decided(transaction, ids)
        self._said: dict[int, Tags] = {}

    def put(self, item: ObjectId, label: Label) -> Label:
        """The label that an object with `label` by itself has here."""
        words = self._words.get(item)
        if words is None and not self._questioned:
            return hold_undecided(label, self._decided.get(item, _NONE), own=self._own)
        worded = label if words is None else _compose(label, find_said(label), words, own=self._own)
        made = _ask(worded, self._questioned, asked=item in self._asked)
        return hold_undecided(made, self._decided.get(item, _NONE), own=self._own)

    def note(self, item: ObjectId, pk: int, label: Label) -> None:
        """The version is kept under that key; `label` is its own without the words of this party."""
        if item in self._words:
            self._said[pk] = find_said(label)

    def take_off(self, transaction: Transaction, pk: int, label: Label) -> Label:
        """The label of a version that is held without what is said here."""
        said = self._said.get(pk) or tags.read_said(transaction, [pk]).get(pk)
        plain = label if said is None else classify_own(label, said, _NOTHING)
        return replace(plain, markings=plain.markings - {QUESTIONED, UNDECIDED}) if plain != OVERFULL else plain

    def keep(self, transaction: Transaction) -> None:
        """Keep what was noted."""
        if self._said:
            tags.keep_said(transaction, self._said)


def join_words(said: Iterable[tuple[str, str]]) -> Tags:
    """What of these fields and words terms can test; an evaluation they cannot."""
    words: dict[str, set[str]] = {}
    for field, word in said:
        if field != EVALUATION:
            words.setdefault(field, set()).add(word)
    return make_tags(**words)


def read_words(transaction: Transaction, ids: Collection[ObjectId]) -> dict[ObjectId, Tags]:
    """What this party says of each of `ids` of which it says anything."""
    good = tags.read_good(transaction, ids)
    return {name: join_words((tag.field, tag.word) for tag in said) for name, said in good.items()}


def is_own(label: Label, own: PartyId) -> bool:
    """Whether an object of that label is of this party alone, so that what is said here of it can let it go.

    An own object may have an audience too (`node.audiences`): words never widen it.
    """
    return label.originators == {own}


def settle(transaction: Transaction, ids: Collection[ObjectId], own: PartyId) -> None:
    """The labels of all versions of `ids`, and of what refers to them, by what this party says of them as of here."""
    words = read_words(transaction, ids)
    held = objects.read_versions_of(transaction, ids)
    plain = find_plain(transaction, held)
    found = _find(transaction, held, plain, words, own=own, questioned=subjects.read_questioned(transaction))
    tags.keep_said(transaction, {item.pk: plain[item.pk] for item in held if item.id in words})
    tags.drop_said(transaction, [item.pk for item in held if item.id not in words])
    _store(transaction, held, found)


def find_misworded(transaction: Transaction, ids: Collection[ObjectId], own: PartyId) -> set[int]:
    """The versions of `ids`, by key, whose own label is another one than what people said and decided comes to."""
    held = objects.read_versions_of(transaction, ids)
    return {*_compare(transaction, held, read_words(transaction, ids), own)}


def _compare(transaction: Transaction, held: Collection[StoredObject], words: Words, own: PartyId) -> dict[int, Label]:
    """The own label that versions would have by these words, where it is another one than now."""
    questioned = subjects.read_questioned(transaction)
    found = _find(transaction, held, find_plain(transaction, held), words, own=own, questioned=questioned)
    known = objects.read_labels(transaction, {item.own_label for item in held})
    return {item.pk: found[item.pk] for item in held if found[item.pk] != known[item.own_label]}


def foresee_labels(transaction: Transaction, words: Words, own: PartyId) -> dict[int, Label]:
    """The labels that would count if this party said `words` of objects and nothing else, by the key of the version.

    Only where they would be others than now; also those of what refers to the objects.
    """
    return foresee(transaction, _compare(transaction, objects.read_versions_of(transaction, words.keys()), words, own))


def lapse(transaction: Transaction, *, now: Instant) -> int:
    """How many threat assessments are given to nobody from here on, because their time has passed."""
    keys = assessments.list_lapsing(transaction, now=now)
    if keys:
        held = objects.read_objects(transaction, keys)
        known = objects.read_labels(transaction, {item.own_label for item in held})
        _store(transaction, held, {item.pk: mark_lapsed(known[item.own_label], now, now=now) for item in held})
        assessments.mark_lapsed(transaction, keys)
    return len(keys)


def hold_undecided(label: Label, decided: frozenset[str], *, own: PartyId) -> Label:
    """The label, marked where it has more than was `decided` on of what people have to decide on.

    So it is of whatever may be of this party, also where a partner gave the same bytes. Of what is of others alone, the
    terms that it came under and those that it goes under say all there is to say.
    """
    if label == OVERFULL or (own not in label.originators and UNDECIDED not in label.markings):
        return label
    asks = not find_safeguarded(label) <= decided
    if not asks and UNDECIDED not in label.markings:
        return label
    return replace(label, markings=label.markings - {UNDECIDED} | ({UNDECIDED} if asks else set()))


def find_safeguarded(label: Label) -> frozenset[str]:
    """What of a label people have to decide on: special categories, and minors."""
    return label.special_categories | (label.person_classes & {MINOR})


def keep_lapsed(node: Node) -> int:
    """As `lapse`, in an act of its own where there is anything to do."""
    with node.store.read() as transaction:
        if not assessments.list_lapsing(transaction, now=node.clock()):
            return 0
    with node.act() as act:
        return lapse(act.transaction, now=act.now)


def mark_lapsed(label: Label, expires_at: Instant | None, *, now: Instant) -> Label:
    """The label of a threat assessment that is good before `expires_at`; of what is none (None) its own."""
    if expires_at is None or now < expires_at or label == OVERFULL:
        return label
    return replace(label, markings=label.markings | {LAPSED})


def find_plain(transaction: Transaction, held: Collection[StoredObject]) -> dict[int, Tags]:
    """What is said of each version without the words of this party, by its key."""
    kept = tags.read_said(transaction, [item.pk for item in held])
    known = objects.read_labels(transaction, {item.own_label for item in held if item.pk not in kept})
    said = {key: find_said(label) for key, label in known.items()}
    return {item.pk: kept[item.pk] if item.pk in kept else said[item.own_label] for item in held}


def _find(
    transaction: Transaction,
    held: Collection[StoredObject],
    plain: Mapping[int, Tags],
    words: Words,
    *,
    own: PartyId,
    questioned: frozenset[str],
) -> dict[int, Label]:
    known = objects.read_labels(transaction, {item.own_label for item in held})
    decided = necessity.read_decided(transaction, {item.id for item in held})
    kept = tags.read_said(transaction, [item.pk for item in held]).keys()
    asked = _choose_asked(held, plain, known, questioned, own=own)
    # What is labelled and classified alike comes to one label.
    made: dict[tuple[int, Tags, Tags, frozenset[str], bool, bool], Label] = {}
    found: dict[int, Label] = {}
    for item in held:
        label, said, here = known[item.own_label], plain[item.pk], words.get(item.id, _NOTHING)
        good = decided.get(item.id, _NONE)
        bare = item.id not in words and item.pk not in kept  # its label has no words of this party, and gets none
        alike = item.own_label, said, here, good, bare, item.id in asked
        if alike not in made:
            worded = label if bare else _compose(label, said, here, own=own)
            made[alike] = hold_undecided(_ask(worded, questioned, asked=item.id in asked), good, own=own)
        found[item.pk] = made[alike]
    return found


def _compose(label: Label, said: Tags, words: Tags, *, own: PartyId) -> Label:
    return (classify_own if is_own(label, own) else classify_received)(label, said, words)


def _find_asked(
    transaction: Transaction, ids: Collection[ObjectId], questioned: frozenset[str], *, own: PartyId
) -> frozenset[ObjectId]:
    """Those of `ids` of which a version that is held says by itself that it is about a subject in question."""
    held = objects.read_versions_of(transaction, ids)
    known = objects.read_labels(transaction, {item.own_label for item in held})
    return _choose_asked(held, find_plain(transaction, held), known, questioned, own=own)


def _choose_asked(
    held: Collection[StoredObject],
    plain: Mapping[int, Tags],
    known: Mapping[int, Label],
    questioned: frozenset[str],
    *,
    own: PartyId,
) -> frozenset[ObjectId]:
    return frozenset(
        item.id
        for item in held
        if not questioned.isdisjoint(plain[item.pk].subjects) and is_own(known[item.own_label], own)
    )


def _ask(label: Label, questioned: frozenset[str], *, asked: bool) -> Label:
    """The label, marked where a subject in it is in question, or it is `asked` of another version of the object."""
    if label == OVERFULL:
        return label
    asks = asked or not questioned.isdisjoint(frozenset[str]().union(*label.subjects))
    return replace(label, markings=label.markings - {QUESTIONED} | ({QUESTIONED} if asks else set()))


def _store(transaction: Transaction, held: Collection[StoredObject], found: Mapping[int, Label]) -> None:
    """Give each version its own label; what counts for it and for what refers to it follows."""
    keys, restated = objects.LabelKeys(transaction), set[ObjectId]()
    for item in held:
        key = keys.find(found[item.pk])
        if key != item.own_label:
            objects.set_own_label(transaction, item.pk, key)
            restated.add(item.id)
    relabel(transaction, restated=restated)
