# SPDX-License-Identifier: Apache-2.0
"""Shell: what people decided that lets things go or keeps them back, held against the acts that say so in the log.

    lists       each version that was loaded, by whom and when, and when it was looked at
    subjects    who left a list with which version, and what people decided of that
    assessments until when each is good, which it says itself
    necessity   each decision that lets special categories go, and its end

These decide what goes out: a row that nobody decided on would let it go without two people. Where the content of such
an entry was purged, what is kept of that very time is no finding; nor are decisions on an object that was deleted.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from comity.canonical import OBJECT_LIMITS, Json, parse_json, parse_signed_json
from comity.classification.assessment import find_expiry
from comity.errors import MalformedError
from comity.ids import Digest, Instant, ObjectId
from comity.release.classification import ClassificationChange, describe_people
from comity.release.disclosure import Leaf
from comity.replayed import ReplayedEntry
from comity.store import Transaction, audited, deletions, necessity, subjects
from comity.store.subjects import Question

__all__ = ["DecidedAudit"]

_KEPT = 2
"""Of each list, the last versions of which the entries are kept: who left it is found by them."""

_DECISIONS = {ClassificationChange.KEEP_SUBJECT: "keep", ClassificationChange.STOP_SUBJECT: "stop"}


@dataclass(slots=True)
class _List:
    """A version of a list as it was loaded, with so many entries, and when somebody looked at what it changes."""

    digest: Digest
    loaded_at: Instant
    loaded_by: str
    entries: int
    reviewed_at: Instant | None = None


@dataclass(slots=True)
class _Necessity:
    """A decision on an object: who made it and why, and its end."""

    by: str
    reason: str
    end: tuple[Instant | None, str | None, str | None] = (None, None, None)


class DecidedAudit:
    """The acts of a log by which people decided, in their order, and what `transaction` holds of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._lists: dict[tuple[str, str], _List] = {}
        self._questions: dict[str, Question] = {}
        self._necessity: dict[tuple[ObjectId, Instant, frozenset[str]], _Necessity] = {}
        self._lost = set[Instant | None]()

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """Nothing; those before the entry must have been judged. That its content is legible, `node.tagaudit` says."""
        if entry.content is None:
            self._lost.add(entry.leaf.at)
            return
        match parse_signed_json(entry.content):
            case {"change": str(change), "about": dict(about), "reason": str(reason), "approvals": list(approvals)}:
                by = describe_people(approvals)
                self._note_list(change, about, reason=reason, by=by, leaf=entry.leaf)
                self._note_necessity(change, about, reason=reason, by=by, at=entry.leaf.at)
            case _:
                return
        yield from ()

    def finish(self) -> Iterator[str]:
        """What is wrong with what is kept."""
        yield from self._judge_lists()
        yield from self._judge_questions()
        yield from self._judge_necessity()
        yield from self._judge_ends()

    def _note_list(self, change: str, about: Json, *, reason: str, by: str, leaf: Leaf) -> None:
        at = leaf.at
        match change, about:
            case ClassificationChange.LOAD_LIST, {
                "list": str(name),
                "version": str(version),
                "digest": str(digest),
                "delisted": list(delisted),
            }:
                self._lists[name, version] = _List(Digest(digest), at, by, leaf.count)
                for each in map(str, delisted):
                    self._questions[each] = Question(
                        subject=each,
                        list=name,
                        version=version,
                        asked_at=at,
                        decision=None,
                        decided_by=None,
                        decided_at=None,
                        reason=None,
                    )
            case ClassificationChange.REVIEW_LIST, {"list": str(name), "version": str(version)}:
                if (name, version) in self._lists:
                    self._lists[name, version].reviewed_at = at
            case ((ClassificationChange.KEEP_SUBJECT | ClassificationChange.STOP_SUBJECT), {"subject": str(name)}):
                if (asked := self._questions.get(name)) is not None:
                    decision = _DECISIONS[ClassificationChange(change)]
                    self._questions[name] = replace(
                        asked, decision=decision, decided_by=by, decided_at=at, reason=reason
                    )
            case _:
                return

    def _note_necessity(self, change: str, about: Json, *, reason: str, by: str, at: Instant) -> None:
        match change, about:
            case ClassificationChange.DECIDE_NECESSITY, {"object": str(name), "words": list(words)}:
                self._necessity[ObjectId(name), at, frozenset(map(str, words))] = _Necessity(by, reason)
            case ClassificationChange.END_NECESSITY, {"object": str(name)}:
                for (item, _, _), made in self._necessity.items():
                    if item == name and made.end[0] is None:
                        made.end = at, by, reason
            case _:
                return

    def _judge_lists(self) -> Iterator[str]:
        kept = {(one.list, one.version): one for one in subjects.list_lists(self._transaction)}
        kept_of = Counter[str]()
        for (name, version), one in kept.items():
            said, what = self._lists.get((name, version)), f"version {version} of the list {name}"
            entries = 0 if said is None else said.entries
            if kept_of[name] < _KEPT:
                entries = subjects.count_entries(self._transaction, one.key)
            kept_of[name] += 1
            found = _List(one.digest, one.loaded_at, one.loaded_by, entries, one.reviewed_at)
            if said is None and one.loaded_at not in self._lost:
                yield f"{what} is kept, and no act in the log has loaded it"
            elif said is not None and said != found and not self._lost & {one.loaded_at, one.reviewed_at}:
                yield f"{what} is kept otherwise than the log has put it on record"
        for name, version in sorted(self._lists.keys() - kept.keys()):
            yield f"version {version} of the list {name} was loaded by the log, and is not kept"

    def _judge_questions(self) -> Iterator[str]:
        kept = {one.subject: one for one in subjects.list_questions(self._transaction)}
        for name, one in kept.items():
            if self._questions.get(name) != one and not self._lost & {one.asked_at, one.decided_at}:
                yield f"what was asked or decided of {name} is kept otherwise than the log has put it on record"
        for name in sorted(self._questions.keys() - kept.keys()):
            yield f"{name} left its list by the log, and is not kept as in question"

    def _judge_necessity(self) -> Iterator[str]:
        kept = set[tuple[ObjectId, Instant, frozenset[str]]]()
        for one in necessity.list_decisions(self._transaction):
            key = one.object, one.decided_at, one.words
            kept.add(key)
            said, end = self._necessity.get(key), (one.ended_at, one.ended_by, one.ended_why)
            if self._lost & {one.decided_at, one.ended_at}:
                continue
            if said != _Necessity(one.decided_by, one.reason, end):
                yield f"a decision on the necessity of {one.object} is kept otherwise than the log has put it on record"
        for name, _, _ in sorted(self._necessity.keys() - kept, key=str):
            if not deletions.read_tombstones(self._transaction, [name]):
                yield f"a decision on the necessity of {name} is in the log and not kept"

    def _judge_ends(self) -> Iterator[str]:
        """Assessments that are kept as good until another time than they say."""
        for name, version, data, kept in audited.iterate_assessments(self._transaction):
            with suppress(MalformedError):  # of bytes that were altered `node.soundness` says so
                value = parse_json(data, limits=OBJECT_LIMITS)
                if isinstance(value, dict) and find_expiry(value) != kept:
                    yield f"the assessment {name} {version} is kept as good until another time than it says"
