# SPDX-License-Identifier: Apache-2.0
"""Shell: rule sets looked at and applied: what they say of each object of this party, beside what people say.

    finish(foresee_rules(node, rules))   what would be said, and which releases would be gained or lost; nothing changes
    finish(apply_rules(node, rules, …))  the same, on record as one act; labels follow by parts
    finish(end_rules(node, …))           what this set alone said is said no more

A set is applied to objects of this party alone: what another party gave is for people to look at. It is said of what is
held, and from then on of what comes in, newer versions too, in the act that takes it in (`node.ruled`), until people
take the set back. Applied again to the same objects it changes nothing, and what no longer meets its conditions loses
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
from comity.classification.rules import Facts, Names, RuleSet, Said, find_said_by, read_facts
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import Digest, ObjectId, PartyId
from comity.node.classify import MAX_SAID, find_place_on_list, has_safeguard, record
from comity.node.effects import ReleaseEffect, find_effects_in_steps
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, read_prose
from comity.node.ruled import RULES, make_tag
from comity.node.steps import Steps, Tell, tell_nobody
from comity.node.tagging import foresee_labels, is_own, join_words, settle
from comity.release.classification import ClassificationChange
from comity.stix.labels import Label, Tags
from comity.store import Transaction, files, objects, rulesets, subjects, tags
from comity.store.objects import StoredObject
from comity.store.rulesets import RuleStep, StoredRules

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a rule set would begin and end to say, by object, and what becomes of releases.

    `lists` are the versions that names were looked up on.
    """

    looked_at: int
    lists: Mapping[str, str]
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


def foresee_rules(node: Node, rules: RuleSet, *, tell: Tell = tell_nobody) -> Steps[Foreseen]:
    """What would follow from applying the rule set now; `tell` is told how far through the store it came.

    Raises:
        NotFoundError: a list that it looks names up on is not held.
        MalformedRequest: a subject that it says is not on its list.
    """
    plan = yield from _plan(node, rules, tell=tell)

    def find_labels(transaction: Transaction) -> Mapping[int, Label]:
        return foresee_labels(transaction, _find_words(transaction, rules.digest, plan.steps), node.party)

    effects = yield from find_effects_in_steps(node, find_labels)
    return Foreseen(looked_at=plan.looked_at, lists=plan.lists, steps=plan.steps, effects=effects)


def apply_rules(
    node: Node, rules: RuleSet, *, reason: str, by: Actor, tell: Tell = tell_nobody
) -> Steps[AppliedRules | Waiting | Refusal]:
    """The rule set, said of what it is held against; one entry in the log, where anything changes by it.

    `tell` is told how far through the store it came, and then how much of what is to be said is said.

    Raises:
        NotFoundError, MalformedRequest: as `foresee_rules`, or the reason.
        ConflictError: more words than one object can have.
    """
    reason = read_prose(reason)
    yield from resume_rules(node, rules.digest)
    plan = yield from _plan(node, rules, tell=tell)
    # Nobody had a turn since the plan found nothing more to look at: what comes in from this act on is `node.ruled`'s.
    with node.act() as act:
        done = _put_on_record(act, rules, plan, reason=reason, by=by)
    if not isinstance(done, tuple):
        return done
    yield from resume_rules(node, rules.digest, tell=tell)
    return AppliedRules(
        digest=rules.digest,
        name=rules.name,
        said=sum(not step.ends for step in plan.steps),
        ended=sum(step.ends for step in plan.steps),
        objects=len({step.object for step in plan.steps}),
        approvals=done,
    )


def _put_on_record(
    act: Act, rules: RuleSet, plan: _Plan, *, reason: str, by: Actor
) -> tuple[Approval, ...] | Waiting | Refusal:
    """Who approved that the set is said; nobody has to where it stands already and nothing changes by it."""
    stored = rulesets.read_rules(act.transaction, rules.digest)
    steps = plan.steps
    stands = stored is not None and stored.standing and stored.ended_at is None and stored.lists == plan.lists
    if stands and not steps:
        return ()
    _check_plan(act.transaction, steps)
    concerned = {step.object for step in steps}
    change = ClassificationChange.APPLY_RULES
    if has_safeguard(act.transaction, [(step.field, step.word) for step in steps if step.ends]):
        change = ClassificationChange.APPLY_RULES_SAFEGUARD
    about: dict[str, Json] = {"rules": rules.digest, "name": rules.name}
    # Whoever comes second sees and applies this very set, and needs no file.
    after = None if stored is None else stored.ended_at
    count = max(len(concerned), 1)
    done = record(act, by, change, about, reason=reason, count=count, brought=rules.text, after=after)
    if not isinstance(done, Approved):
        return done
    kept = StoredRules(
        digest=rules.digest,
        name=rules.name,
        text=rules.text,
        lists=plan.lists,
        applied_at=act.now,
        ended_at=None,
    )
    rulesets.keep_rules(act.transaction, kept)
    rulesets.add_steps(act.transaction, rules.digest, steps)
    return done.approvals


def end_rules(node: Node, prefix: str, *, reason: str, by: Actor) -> Steps[AppliedRules | Waiting | Refusal]:
    """The rule set whose digest begins with `prefix`, or that has that name, with nothing said by it any more.

    Where it says a special category, `minor` or a subject in question of anything, that needs the people that taking
    such a word back needs.

    Raises:
        NotFoundError, MalformedRequest: no such set, or several; or the reason.
    """
    reason = read_prose(reason)
    with node.store.read() as transaction:
        stored = _find_rules(transaction, prefix)
    yield from resume_rules(node, stored.digest)
    with node.act() as act:
        said = tags.find_tagged_by(act.transaction, stored.digest)
        change = ClassificationChange.END_RULES
        if has_safeguard(act.transaction, [(tag.field, tag.word) for tag in said]):
            change = ClassificationChange.END_RULES_SAFEGUARD
        steps = [RuleStep(object=tag.object, field=tag.field, word=tag.word, why=reason, ends=True) for tag in said]
        concerned = {step.object for step in steps}
        about: dict[str, Json] = {"rules": stored.digest, "name": stored.name}
        count, after = max(len(concerned), 1), stored.applied_at
        done = record(act, by, change, about, reason=reason, count=count, after=after)
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


def resume_rules(node: Node, digest: Digest, *, tell: Tell = tell_nobody) -> Steps[None]:
    """What is yet to be done of the rule set, done by parts; others get a turn between them."""
    most = 0
    while True:
        with node.store.read() as transaction:
            left = rulesets.count_steps(transaction, digest)
        if not left:
            return
        most = max(most, left)
        tell(most - left, most)
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
        tags.end_tags(transaction, [key], by=RULES, why=step.why, now=act.now)
    tags.add_tags(
        transaction,
        [
            make_tag(transaction, step, digest, now=act.now)
            for step in steps
            if not step.ends and step.object in held and (step.object, step.field, step.word) not in good
        ],
    )
    settle(transaction, held, own.party)


def _plan(node: Node, rules: RuleSet, *, tell: Tell) -> Steps[_Plan]:
    """What the rule set begins and ends to say, of everything that is held of this party."""
    with node.store.read() as transaction:
        names, lists = _read_names(transaction, rules)
        for subject in sorted({word for rule in rules.rules for field, word in rule.say if field == "subjects"}):
            find_place_on_list(transaction, subject)
        said: dict[ObjectId, set[Said]] = {}
        for tag in tags.find_tagged_by(transaction, rules.digest):
            said.setdefault(tag.object, set()).add((tag.field, tag.word))
    steps, gone, looked_at, last = dict[ObjectId, list[RuleStep]](), set(said), 0, 0
    while True:
        with node.store.read() as transaction:
            held = objects.read_current_after(transaction, last, most=_READ_AT_ONCE)
            end = objects.read_last_key(transaction)
            read = _read_facts(transaction, held, node.party)
        if not held:
            break
        for name, facts in read:
            # What came in anew since it was looked at is looked at once more, and that counts.
            steps.pop(name, None)
            if found := _compare(name, find_said_by(rules, facts, names=names), said.get(name, set())):
                steps[name] = found
        gone -= {name for name, _ in read}
        looked_at, last = looked_at + len(read), held[-1].pk
        tell(last, end)
        yield
    # Not this party's own any more, or deleted.
    steps |= {name: _compare(name, {}, said[name]) for name in sorted(gone)}
    planned = tuple(step for listed in steps.values() for step in listed)
    return _Plan(looked_at=looked_at, steps=planned, lists=lists)


def _read_facts(transaction: Transaction, held: Sequence[StoredObject], own: PartyId) -> list[tuple[ObjectId, Facts]]:
    """What rules may look at, of each of `held` that is of this party alone."""
    chosen = _choose_own(transaction, held, own)
    names = files.read_names(transaction, [item.pk for item in chosen])
    bodies = [(item, json.loads(objects.read_body(transaction, item.pk))) for item in chosen]
    return [(item.id, read_facts(body, files=names.get(item.pk, ()))) for item, body in bodies]


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
