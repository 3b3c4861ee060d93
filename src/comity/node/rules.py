# SPDX-License-Identifier: Apache-2.0
"""Shell: rule sets looked at and applied: what they say of each object of this party, beside what people say.

    finish(foresee_rules(node, rules))   what would be said, and which releases would be gained or lost; nothing changes
    finish(apply_rules(node, rules, …))  the same, on record as one act; labels follow by parts
    finish(end_rules(node, …))           what this set alone said is said no more

A set is applied to what is held at that moment, and to objects of this party alone: what another party gave is for
people to look at. Applied again to the same objects it changes nothing, and what no longer meets its conditions loses
its words. An object that has a word from a person, or from another set, keeps it when this set is taken back.

What is to be done is decided before anything changes and kept (`store.rulesets`), in the act that puts it on record. It
is then done by parts, in an act of their own each, so that others get their turn. A crash leaves some of it to be done:
`resume_rules`, or the set applied again, goes on from there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from comity.agreement.people import Approval
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.classification.lists import index_names
from comity.classification.rules import Names, RuleSet, Said, find_said_by, read_facts
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import Digest, ObjectId, PartyId
from comity.node.classify import MAX_SAID, find_place_on_list, record
from comity.node.effects import ReleaseEffect, find_effects
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, read_prose
from comity.node.steps import Steps
from comity.node.tagging import foresee_labels, is_own, join_words, settle
from comity.release.classification import ClassificationChange
from comity.stix.labels import Tags
from comity.store import Transaction, files, objects, rulesets, subjects, tags
from comity.store.objects import StoredObject
from comity.store.rulesets import RuleStep, StoredRules
from comity.store.tags import StoredTag

__all__ = [
    "AppliedRules",
    "Foreseen",
    "StoredRules",
    "apply_rules",
    "end_rules",
    "find_unfinished",
    "foresee_rules",
    "list_rules",
    "resume_rules",
]

_READ_AT_ONCE = 500
_SAID_AT_ONCE = 200
"""Objects in one act: some twenty milliseconds, unless much refers to them."""

_RULES = "the rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a rule set would begin and end to say, by object, and what becomes of releases."""

    looked_at: int
    steps: tuple[RuleStep, ...]
    effects: tuple[ReleaseEffect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedRules:
    """What a rule set began and ended to say, of how many objects; nothing is on record where that is nothing."""

    digest: Digest
    name: str
    said: int
    ended: int
    objects: int
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    looked_at: int
    steps: tuple[RuleStep, ...]
    lists: Mapping[str, str]


def foresee_rules(node: Node, rules: RuleSet) -> Steps[Foreseen]:
    """What would follow from applying the rule set now.

    Raises:
        NotFoundError: a list that it looks names up on is not held.
        MalformedRequest: a subject that it says is not on its list.
    """
    plan = yield from _plan(node, rules)
    with node.store.read() as transaction:
        words = _find_words(transaction, rules.digest, plan.steps)
        effects = find_effects(node, transaction, foresee_labels(transaction, words, node.party))
    return Foreseen(looked_at=plan.looked_at, steps=plan.steps, effects=effects)


def apply_rules(node: Node, rules: RuleSet, *, reason: str, by: Actor) -> Steps[AppliedRules | Waiting | Refusal]:
    """The rule set, said of what it is held against; one entry in the log, where anything changes by it.

    Raises:
        NotFoundError, MalformedRequest: as `foresee_rules`, or the reason.
        ConflictError: more words than one object can have.
    """
    reason = read_prose(reason)
    yield from resume_rules(node, rules.digest)
    plan = yield from _plan(node, rules)
    concerned = {step.object for step in plan.steps}
    approvals: tuple[Approval, ...] = ()
    if plan.steps:
        with node.act() as act:
            _check_plan(act.transaction, plan.steps)
            about: dict[str, Json] = {"rules": rules.digest, "name": rules.name}
            done = record(act, by, ClassificationChange.APPLY_RULES, about, reason=reason, count=len(concerned))
            if not isinstance(done, Approved):
                return done
            approvals = done.approvals
            kept = StoredRules(
                digest=rules.digest,
                name=rules.name,
                text=rules.text,
                lists=plan.lists,
                applied_at=act.now,
                ended_at=None,
            )
            rulesets.keep_rules(act.transaction, kept)
            rulesets.add_steps(act.transaction, rules.digest, plan.steps)
        yield from resume_rules(node, rules.digest)
    return AppliedRules(
        digest=rules.digest,
        name=rules.name,
        said=sum(not step.ends for step in plan.steps),
        ended=sum(step.ends for step in plan.steps),
        objects=len(concerned),
        approvals=approvals,
    )


def end_rules(node: Node, prefix: str, *, reason: str, by: Actor) -> Steps[AppliedRules | Waiting | Refusal]:
    """The rule set whose digest begins with `prefix`, or that has that name, with nothing said by it any more.

    Raises:
        NotFoundError, MalformedRequest: no such set, or several; or the reason.
    """
    reason = read_prose(reason)
    with node.store.read() as transaction:
        stored = _find_rules(transaction, prefix)
    yield from resume_rules(node, stored.digest)
    with node.act() as act:
        said = tags.find_tagged_by(act.transaction, stored.digest)
        steps = [RuleStep(object=tag.object, field=tag.field, word=tag.word, why=reason, ends=True) for tag in said]
        concerned = {step.object for step in steps}
        about: dict[str, Json] = {"rules": stored.digest, "name": stored.name}
        done = record(act, by, ClassificationChange.END_RULES, about, reason=reason, count=max(len(concerned), 1))
        if not isinstance(done, Approved):
            return done
        rulesets.end_rules(act.transaction, stored.digest, now=act.now)
        rulesets.add_steps(act.transaction, stored.digest, steps)
    yield from resume_rules(node, stored.digest)
    return AppliedRules(
        digest=stored.digest,
        name=stored.name,
        said=0,
        ended=len(steps),
        objects=len(concerned),
        approvals=done.approvals,
    )


def resume_rules(node: Node, digest: Digest) -> Steps[None]:
    """What is yet to be done of the rule set, done by parts; others get a turn between them."""
    while True:
        with node.store.read() as transaction:
            if not rulesets.count_steps(transaction, digest):
                return
        with node.act() as act:
            _take_steps(act, digest, own=node)
        yield


def find_unfinished(node: Node) -> tuple[Digest, ...]:
    """The rule sets of which something is yet to be done."""
    with node.store.read() as transaction:
        listed = rulesets.list_rules(transaction)
        return tuple(item.digest for item in listed if rulesets.count_steps(transaction, item.digest))


def list_rules(node: Node) -> list[tuple[StoredRules, int]]:
    """Every rule set that was ever applied, the last first, and how many words are said by it now."""
    with node.store.read() as transaction:
        return [(item, len(tags.find_tagged_by(transaction, item.digest))) for item in rulesets.list_rules(transaction)]


def _take_steps(act: Act, digest: Digest, *, own: Node) -> None:
    transaction = act.transaction
    steps = rulesets.take_steps(transaction, digest, objects=_SAID_AT_ONCE)
    ids = {step.object for step in steps}
    # What was deleted since is said nothing of.
    held = objects.read_held(transaction, ids)
    good = {
        (tag.object, tag.field, tag.word): tag.key
        for said in tags.read_good(transaction, held).values()
        for tag in said
        if tag.rules == digest
    }
    ended = [
        (step, good[place])
        for step in steps
        for place in [(step.object, step.field, step.word)]
        if step.ends and place in good
    ]
    for step, key in ended:
        tags.end_tags(transaction, [key], by=_RULES, why=step.why, now=act.now)
    tags.add_tags(
        transaction,
        [
            _make_tag(transaction, act, step, digest)
            for step in steps
            if not step.ends and step.object in held and (step.object, step.field, step.word) not in good
        ],
    )
    settle(transaction, held, own.party)


def _make_tag(transaction: Transaction, act: Act, step: RuleStep, digest: Digest) -> StoredTag:
    listed: tuple[str | None, str | None] = (None, None)
    if step.field == "subjects":
        latest = subjects.read_latest(transaction, step.word.partition(":")[0])
        listed = (None, None) if latest is None else (latest.list, latest.version)
    return StoredTag(
        key=0,
        object=step.object,
        field=step.field,
        word=step.word,
        list=listed[0],
        version=listed[1],
        person=None,
        rules=digest,
        said_at=act.now,
        reason=step.why,
    )


def _plan(node: Node, rules: RuleSet) -> Steps[_Plan]:
    """What the rule set begins and ends to say, of everything that is held of this party."""
    with node.store.read() as transaction:
        names, lists = _read_names(transaction, rules)
        for subject in sorted({word for rule in rules.rules for field, word in rule.say if field == "subjects"}):
            find_place_on_list(transaction, subject)
        said: dict[ObjectId, set[Said]] = {}
        for tag in tags.find_tagged_by(transaction, rules.digest):
            said.setdefault(tag.object, set()).add((tag.field, tag.word))
    steps, looked_at, last = list[RuleStep](), 0, 0
    while True:
        with node.store.read() as transaction:
            held = objects.read_current_after(transaction, last, most=_READ_AT_ONCE)
            own = _choose_own(transaction, held, node.party)
            names_of = files.read_names(transaction, [item.pk for item in own])
            bodies = [(item, json.loads(objects.read_body(transaction, item.pk))) for item in own]
            read = [(item.id, read_facts(body, files=names_of.get(item.pk, ()))) for item, body in bodies]
        if not held:
            break
        for item_id, facts in read:
            steps += _compare(item_id, find_said_by(rules, facts, names=names), said.pop(item_id, set()))
        looked_at, last = looked_at + len(own), held[-1].pk
        yield
    # Not this party's own any more, or deleted.
    for item_id, words in sorted(said.items()):
        steps += _compare(item_id, {}, words)
    return _Plan(looked_at=looked_at, steps=tuple(steps), lists=lists)


def _choose_own(transaction: Transaction, held: Sequence[StoredObject], own: PartyId) -> list[StoredObject]:
    known = objects.read_labels(transaction, {item.own_label for item in held})
    return [item for item in held if is_own(known[item.own_label], own)]


def _compare(item: ObjectId, found: Mapping[Said, str], said: set[Said]) -> list[RuleStep]:
    begins = [
        RuleStep(object=item, field=field, word=word, why=why, ends=False)
        for (field, word), why in found.items()
        if (field, word) not in said
    ]
    ends = [
        RuleStep(object=item, field=field, word=word, why="meets the condition no more", ends=True)
        for field, word in sorted(said - found.keys())
    ]
    return [*begins, *ends]


def _read_names(transaction: Transaction, rules: RuleSet) -> tuple[Names, Mapping[str, str]]:
    names, versions = dict[str, Mapping[str, frozenset[str]]](), dict[str, str]()
    for name in sorted(rules.lists):
        latest = subjects.read_latest(transaction, name)
        if latest is None:
            raise NotFoundError(f"no list {name} is held here; `comity list load FILE` takes one in")
        names[name] = index_names(subjects.read_entries(transaction, latest.key).values())
        versions[name] = latest.version
    return names, versions


def _find_words(transaction: Transaction, digest: Digest, steps: Iterable[RuleStep]) -> dict[ObjectId, Tags]:
    """What would be said of each object that the steps are on."""
    begins, ends = dict[ObjectId, set[Said]](), dict[ObjectId, set[Said]]()
    for step in steps:
        (ends if step.ends else begins).setdefault(step.object, set()).add((step.field, step.word))
    ids = begins.keys() | ends.keys()
    good = tags.read_good(transaction, ids)
    return {
        name: join_words(
            {
                (tag.field, tag.word)
                for tag in good.get(name, [])
                if tag.rules != digest or (tag.field, tag.word) not in ends.get(name, set())
            }
            | begins.get(name, set())
        )
        for name in ids
    }


def _check_plan(transaction: Transaction, steps: Iterable[RuleStep]) -> None:
    counts: dict[ObjectId, int] = {}
    for step in steps:
        counts[step.object] = counts.get(step.object, 0) + (-1 if step.ends else 1)
    for name, said in tags.read_good(transaction, counts.keys()).items():
        counts[name] += len(said)
    if full := sorted(name for name, count in counts.items() if count > MAX_SAID):
        raise ConflictError(f"more than {MAX_SAID} words would be said of {full[0]}; take some back")


def _find_rules(transaction: Transaction, prefix: str) -> StoredRules:
    listed = rulesets.list_rules(transaction)
    found = [item for item in listed if item.digest.startswith(prefix.lower()) or item.name == prefix]
    good = [item for item in found if item.ended_at is None] or found
    if not good:
        raise NotFoundError(f"no rule set {prefix!r} was applied here; `comity rules list` shows those that were")
    if len(good) > 1:
        raise MalformedRequest(f"{prefix!r} fits several rule sets; give more of the digest")
    return good[0]
