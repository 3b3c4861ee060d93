# SPDX-License-Identifier: Apache-2.0
"""Shell: what is said of objects here, held against the acts by which the log says that people said it.

    by a person   each word said, and each taken back, is in an entry about that object of that very time, and each such
                  entry has left it, said by the same people for the same reason; unless the object was deleted since
    by a version  some version of the object that is held says it, or one is deleted that may have said it
    by a rule     the set was applied by an entry before it said anything, and not ended since; what it takes back,
                  people let it

Where the content of such an entry was purged, what was said or taken back at that time is no finding.
What an object says of itself, and what its giver says, needs no entry: it came with it.
"""

from collections.abc import Iterator

from comity.canonical import parse_signed_json
from comity.ids import Instant, ObjectId
from comity.node.lasting import EARLIER
from comity.release.classification import ClassificationChange, describe_people
from comity.replayed import ReplayedEntry
from comity.store import Transaction, audited, deletions
from comity.store.audited import SaidWord

__all__ = ["TagAudit"]

_Place = tuple[str, str, str, Instant]
"""An object, a field and a word of it, and when."""

_Act = tuple[str | None, str | None]
"""The reason of an act, and by whom it was done."""


class TagAudit:
    """The acts of classification of a log, in their order, and what `transaction` holds of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        # Acts can bear one time: while the clock of the machine is behind that of the node, all do.
        self._said: dict[_Place, set[_Act]] = {}
        """Why, and by whom, each word was said."""
        self._ended: dict[tuple[str, str, str], dict[Instant, set[_Act]]] = {}
        """The same of each time when it was taken back."""
        self._lost = set[Instant]()
        self._applied: dict[str, list[tuple[Instant, bool]]] = {}
        """Each set of rules, and when it was applied (True) and ended (False)."""

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with the entry."""
        at = entry.leaf.at
        if entry.content is None:
            self._lost.add(at)
            return
        match parse_signed_json(entry.content):
            case {
                "format": "comity-classification/1",
                "change": ClassificationChange.SAY
                | ClassificationChange.TAKE_BACK
                | ClassificationChange.TAKE_BACK_SAFEGUARD as change,
                "about": {"object": str(name), "words": list(words)},
                "reason": str(reason),
                "approvals": list(approvals),
            }:
                by = describe_people(approvals)
                for word in words:
                    match word:
                        case {"field": str(field), "word": str(text)} if change == ClassificationChange.SAY:
                            self._said.setdefault((name, field, text, at), set()).add((reason, by))
                        case {"field": str(field), "word": str(text)}:
                            self._ended.setdefault((name, field, text), {}).setdefault(at, set()).add((reason, by))
                        case _:
                            yield "it says something of an object that is no word"
            case {
                "format": "comity-classification/1",
                "change": ClassificationChange.APPLY_RULES
                | ClassificationChange.APPLY_RULES_SAFEGUARD
                | ClassificationChange.END_RULES
                | ClassificationChange.END_RULES_SAFEGUARD as change,
                "about": {"rules": str(rules)},
            }:
                ends = change in {ClassificationChange.END_RULES, ClassificationChange.END_RULES_SAFEGUARD}
                self._applied.setdefault(rules, []).append((at, not ends))
            case {"format": "comity-classification/1"}:
                return
            case _:
                yield "the content of this classification is not of the format that this version knows"

    def finish(self) -> Iterator[str]:
        """What is said of objects, or was, and no entry says."""
        kept = set[_Place]()
        for word in audited.iterate_said(self._transaction):
            place = word.object, word.field, word.word, word.said_at
            kept.add(place)
            if not self._is_said(word):
                yield f"{word.word} is said of {word.object}, and no act of people in the log says so"
            elif word.ended_at is not None and not self._is_taken_back(word, word.ended_at):
                yield f"{word.word} is said of {word.object} no more, and no act of people in the log took it back"
            elif word.ended_at is None and any(word.said_at < at for at in self._ended.get(place[:3], ())):
                yield f"{word.word} is said of {word.object}, and an act of people in the log took it back"
            elif not self._is_as_said(word, place):
                yield f"{word.word} is said of {word.object} by others, or for another reason, than the log says"
        for name, _, text, _ in sorted(self._said.keys() - kept):
            if not deletions.read_tombstones(self._transaction, [ObjectId(name)]):
                yield f"{text} was said of {name} by an act in the log, and is not kept"

    def _is_as_said(self, word: SaidWord, place: _Place) -> bool:
        """Whether those said it, and took it back, and for those reasons, that the log names, if people did."""
        by_people = word.rules is None and word.person != EARLIER
        if by_people and place in self._said and (word.reason, word.person) not in self._said[place]:
            return False
        ended = word.ended_why, word.ended_by
        if word.ended_at is None:
            return ended == (None, None)
        acts = self._ended.get(place[:3], {}).get(word.ended_at)
        return acts is None or ended in acts

    def _is_said(self, word: SaidWord) -> bool:
        if word.person == EARLIER:
            return word.ended_at is not None or audited.is_said_by_version(self._transaction, word)
        if word.rules is None:
            return (word.object, word.field, word.word, word.said_at) in self._said or word.said_at in self._lost
        # What comes in later has its words by the act that applied the set, until one ends it.
        acts = [stood for at, stood in self._applied.get(word.rules, ()) if at <= word.said_at]
        return acts[-1] if acts else bool(self._lost)

    def _is_taken_back(self, word: SaidWord, at: Instant) -> bool:
        by_person = at in self._ended.get((word.object, word.field, word.word), ()) or at in self._lost
        first = self._applied.get(word.rules or "", [(at, True)])[0][0]
        return by_person or (word.rules is not None and first < at)
