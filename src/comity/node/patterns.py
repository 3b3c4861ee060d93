# SPDX-License-Identifier: Apache-2.0
"""Shell: patterns of indicators that a parser has to read: which, and what follows from what it says.

    list_due(node) -> the next ones        the caller has them parsed, in a process of its own (`operations.checking`)
    keep_said(node, {7: None, 8: "line 1, column 18, in propTest: …"})
    finish(show_in_steps(node))            the labels of the indicators that hold them follow

An indicator comes in marked `unchecked-pattern`, unless its pattern certainly parses (`stix.patterns`). No terms can
name that marking, so the indicator, and what refers to it, is withheld by the clause `markings` as anything else is
that is marked with what nobody knows: nothing of it is asked when a partner polls. What parses loses the marking; what
does not carries `unparsable-pattern` in its place.

What was said is on record before any label follows, and labels follow by parts. A crash leaves indicators marked as
unchecked, which are withheld, and the next run goes on from there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from comity.canonical import sha256_digest
from comity.errors import MalformedRequest
from comity.ids import ObjectId
from comity.node.node import Act, Node
from comity.node.relabel import relabel
from comity.node.steps import Steps
from comity.stix.patterns import UNCHECKED, UNPARSABLE, find_language, find_unsettled
from comity.store import objects, patterns
from comity.store.patterns import DuePattern

__all__ = [
    "PATTERNS_AT_ONCE",
    "Concerns",
    "DuePattern",
    "describe_pattern",
    "has_due",
    "keep_said",
    "list_due",
    "read_concerns",
    "show_in_steps",
]

PATTERNS_AT_ONCE = 100
"""Of each giver."""

_LABELS_AT_ONCE = 100
"""Indicators in one act: some ten milliseconds, unless much refers to them."""


@dataclass(frozen=True, slots=True)
class Concerns:
    """What is wrong with the patterns of some objects, and how many others no parser has read."""

    problems: Mapping[ObjectId, str]
    waiting: int


def has_due(node: Node) -> bool:
    """Whether a pattern is to be read, or a label to follow."""
    with node.store.read() as transaction:
        return patterns.has_due(transaction)


def list_due(node: Node) -> list[DuePattern]:
    """Patterns that no parser has read, oldest first, at most PATTERNS_AT_ONCE of each giver."""
    with node.store.read() as transaction:
        return patterns.list_due(transaction, each=PATTERNS_AT_ONCE)


def keep_said(node: Node, said: Mapping[int, str | None]) -> None:
    """Put on record what a parser said of each pattern: None, or what is wrong with it."""
    if said:
        with node.act() as act:
            patterns.set_read(act.transaction, said)


def show_in_steps(node: Node) -> Steps[None]:
    """The label of every indicator shows what was said of its pattern; others get a turn between the parts."""
    while _go_through_old(node):
        yield
    while _show_some(node):
        yield


def read_concerns(node: Node, ids: frozenset[ObjectId]) -> Concerns:
    """What keeps the newest versions of `ids` back, of their patterns."""
    with node.store.read() as transaction:
        held = {item.pk: item.id for item in objects.read_current(transaction, ids).values()}
        problems = patterns.read_problems(transaction, held.keys())
        waiting = patterns.find_waiting(transaction, held.keys())
    return Concerns({held[pk]: problem for pk, problem in sorted(problems.items())}, len(waiting - problems.keys()))


def describe_pattern(node: Node, pk: int, data: bytes) -> str | None:
    """What is known of the pattern of the object `pk`, whose bytes are `data`; None where it is no indicator.

    Raises:
        MalformedRequest: the bytes are not those of an object.
    """
    value = json.loads(data)
    if not isinstance(value, dict):
        raise MalformedRequest("an object is a JSON object", where="object")
    if value.get("type") != "indicator":
        return None
    if (language := find_language(value)) is not None:
        return f"not checked here: {language}"
    with node.store.read() as transaction:
        problem = patterns.read_problems(transaction, [pk]).get(pk)
        waits = patterns.find_waiting(transaction, [pk])
    if problem is not None:
        return f"does not parse: {problem}"
    return "not read by a parser yet" if waits else "parses"


def _go_through_old(node: Node) -> bool:
    """Whether some of what came before patterns were parsed was gone through: it is held back where it waits."""
    with node.store.read() as transaction:
        if not patterns.read_unread(transaction, most=1):
            return False
    with node.act() as act:
        keys = patterns.read_unread(act.transaction, most=_LABELS_AT_ONCE)
        waiting = list[int]()
        for item in objects.read_objects(act.transaction, keys):
            text = find_unsettled(json.loads(objects.read_body(act.transaction, item.pk)))
            if text is not None:
                digest = sha256_digest(text.encode())
                known = patterns.add_patterns(act.transaction, item.originator, {digest: text}, now=act.now)[digest]
                # Also where it was read already: it is shown by the next part.
                patterns.link(act.transaction, [(item.pk, known.id)], shows=False)
                patterns.show_again(act.transaction, known.id)
                waiting.append(item.pk)
        patterns.take_unread(act.transaction, keys)
        _mark(act, dict.fromkeys(waiting, UNCHECKED))
    return True


def _show_some(node: Node) -> bool:
    """Whether the labels of some indicators followed what was said of a pattern."""
    with node.store.read() as transaction:
        if patterns.find_shown(transaction, most=0) is None:
            return False
    with node.act() as act:
        words, left = dict[int, str | None](), _LABELS_AT_ONCE
        while left > 0 and (found := patterns.find_shown(act.transaction, most=left)) is not None:
            pattern, problem, keys = found
            words |= dict.fromkeys(keys, None if problem is None else UNPARSABLE)
            patterns.mark_shown(act.transaction, keys, parses=problem is None)
            if len(keys) < left:
                patterns.finish_pattern(act.transaction, pattern)
            left -= max(len(keys), 1)
        _mark(act, words)
    return True


def _mark(act: Act, words: Mapping[int, str | None]) -> None:
    """Give each object its word as a marking, and no other word on its pattern; what refers to it follows."""
    labels = objects.LabelKeys(act.transaction)
    restated = set[ObjectId]()
    held = objects.read_objects(act.transaction, words.keys())
    known = objects.read_labels(act.transaction, {item.own_label for item in held})
    for item in held:
        before, word = known[item.own_label], words[item.pk]
        markings = before.markings - {UNCHECKED, UNPARSABLE} | ({word} if word else set())
        if markings != before.markings:
            objects.set_own_label(act.transaction, item.pk, labels.find(replace(before, markings=markings)))
            restated.add(item.id)
    relabel(act.transaction, restated=restated)
