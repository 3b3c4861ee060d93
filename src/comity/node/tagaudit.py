# SPDX-License-Identifier: Apache-2.0
"""Shell: what is said of objects here, held against the acts by which the log says that people said it.

    by a person   each word said, and each taken back, is in an entry about that object of that very time
    by a version  some version of the object that is held says it, or one is deleted that may have said it
    by a rule     the set was applied by an entry before it said anything, and not ended since; what it takes back,
                  people let it

What an object says of itself, and what its giver says, needs no entry: it came with it.
"""

from collections.abc import Iterator

from comity.canonical import parse_signed_json
from comity.ids import Instant
from comity.node.lasting import EARLIER
from comity.release.classification import ClassificationChange
from comity.replayed import ReplayedEntry
from comity.store import Transaction, audited
from comity.store.audited import SaidWord

__all__ = ["TagAudit"]

_Place = tuple[str, str, str, Instant]
"""An object, a field and a word of it, and when."""


class TagAudit:
    """The acts of classification of a log, in their order, and what `transaction` holds of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._said = set[_Place]()
        self._ended = set[_Place]()
        self._applied: dict[str, list[tuple[Instant, bool]]] = {}
        """Each set of rules, and when it was applied (True) and ended (False)."""

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with the entry."""
        at = entry.leaf.at
        match parse_signed_json(entry.content or b"null"):
            case {
                "format": "comity-classification/1",
                "change": ClassificationChange.SAY
                | ClassificationChange.TAKE_BACK
                | ClassificationChange.TAKE_BACK_SAFEGUARD as change,
                "about": {"object": str(name), "words": list(words)},
            }:
                known = self._said if change == ClassificationChange.SAY else self._ended
                for word in words:
                    match word:
                        case {"field": str(field), "word": str(text)}:
                            known.add((name, field, text, at))
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
        for word in audited.iterate_said(self._transaction):
            if not self._is_said(word):
                yield f"{word.word} is said of {word.object}, and no act of people in the log says so"
            elif word.ended_at is not None and not self._is_taken_back(word, word.ended_at):
                yield f"{word.word} is said of {word.object} no more, and no act of people in the log took it back"

    def _is_said(self, word: SaidWord) -> bool:
        if word.person == EARLIER:
            return word.ended_at is not None or audited.is_said_by_version(self._transaction, word)
        if word.rules is None:
            return (word.object, word.field, word.word, word.said_at) in self._said
        # What comes in later has its words by the act that applied the set, until one ends it.
        acts = [stood for at, stood in self._applied.get(word.rules, ()) if at <= word.said_at]
        return bool(acts) and acts[-1]

    def _is_taken_back(self, word: SaidWord, at: Instant) -> bool:
        by_person = (word.object, word.field, word.word, at) in self._ended
        first = self._applied.get(word.rules or "", [(at, True)])[0][0]
        return by_person or (word.rules is not None and first < at)
