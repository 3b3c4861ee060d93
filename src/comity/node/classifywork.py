# SPDX-License-Identifier: Apache-2.0
"""Shell: classification as work for people: lists that changed, subjects in question, rules and assessments past."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from comity.agreement.terms import Terms
from comity.agreement.work import WorkItem, WorkKind, find_horizon, start_notice
from comity.ids import Digest, Instant, PartyId
from comity.stix.labels import UNDECIDED
from comity.store import Transaction, assessments, objects, rulesets, subjects

__all__ = ["list_classification_work"]

_MOST_ENDING = 1_000
"""Threat assessments that are named one by one."""

_SHOWN = 5
"""Subjects that are named in one line of work."""


def list_classification_work(
    transaction: Transaction, own: PartyId, agreements: Collection[Terms], *, now: Instant
) -> Iterator[WorkItem]:
    """What waits for people of this party; `agreements` are the versions that count."""
    naming = _find_naming(agreements)
    yield from _list_questions(transaction, naming)
    yield from _list_undecided(transaction)
    yield from _list_changed(transaction)
    yield from _list_unlisted(transaction, agreements, naming)
    yield from _list_rules(transaction)
    yield from _list_ending(transaction, own, now=now)


def _find_naming(agreements: Collection[Terms]) -> Mapping[str, Sequence[Terms]]:
    """The terms that name each subject, in the order of `agreements`."""
    naming = defaultdict[str, list[Terms]](list)
    for terms in agreements:
        for subject in {subject for channel in terms.channels for subject in channel.scope.subjects}:
            naming[subject].append(terms)
    return naming


def _list_questions(transaction: Transaction, naming: Mapping[str, Sequence[Terms]]) -> Iterator[WorkItem]:
    open_ones = [item for item in subjects.list_questions(transaction) if item.decision is None]
    counts = objects.count_about(transaction, [item.subject for item in open_ones])
    for item in open_ones:
        titles = sorted(terms.title for terms in naming.get(item.subject, ()))
        under = f"; terms that name it: {', '.join(titles)}" if titles else ""
        many = counts.get(item.subject, 0)
        yield WorkItem(
            kind=WorkKind.SUBJECT_TO_DECIDE,
            act=f"decide whether what is about it goes on: list decide {item.subject} keep, or stop",
            why=f"{item.subject} left the list {item.list} with version {item.version}: what is about it, {many}"
            f" object{'' if many == 1 else 's'}, goes to nobody{under}",
            since=item.asked_at,
            count=max(many, 1),
        )


def _list_undecided(transaction: Transaction) -> Iterator[WorkItem]:
    names = objects.find_marked(transaction, UNDECIDED)
    if names:
        held = objects.read_current(transaction, sorted(names)[:1])
        first = min(names)
        yield WorkItem(
            kind=WorkKind.NECESSITY_TO_DECIDE,
            act=f"decide whether it is strictly necessary to give it: necessity decide {first}; necessity list",
            why=f"{len(names)} object{'' if len(names) == 1 else 's'} with data of a special category, or of a minor,"
            " go to nobody until two people have decided",
            since=held[first].added_at,
            count=len(names),
        )


def _list_changed(transaction: Transaction) -> Iterator[WorkItem]:
    for item in subjects.list_lists(transaction):
        changes = item.changes
        many = len(changes.listed) + len(changes.delisted) + len(changes.changed)
        if many and item.reviewed_at is None:
            yield WorkItem(
                kind=WorkKind.LIST_CHANGED,
                act=f"see whether terms and words still say what is meant: list show, list review {item.list}",
                why=f"version {item.version} of the list {item.list}: {len(changes.listed)} listed,"
                f" {len(changes.delisted)} left, {len(changes.changed)} changed",
                since=item.loaded_at,
                count=many,
            )


def _list_unlisted(
    transaction: Transaction, agreements: Collection[Terms], naming: Mapping[str, Sequence[Terms]]
) -> Iterator[WorkItem]:
    """Terms that name somebody who is not on the list, and about whom nobody asks: he was on no version held here."""
    asked, seen = {item.subject for item in subjects.list_questions(transaction)}, set[str]()
    for item in subjects.list_lists(transaction):
        is_last = item.list not in seen
        seen.add(item.list)
        if not is_last or item.reviewed_at is not None:
            continue
        named = {subject for subject in naming if subject.partition(":")[0] == item.list}
        missing = defaultdict[Digest, list[str]](list)
        for subject in sorted(named - asked - subjects.find_listed(transaction, item.key, named)):
            for terms in naming[subject]:
                missing[terms.hash].append(subject)
        for terms in agreements if missing else ():
            unlisted = missing.get(terms.hash, [])
            if not unlisted:
                continue
            yield WorkItem(
                kind=WorkKind.LIST_CHANGED,
                act=f"see whether the terms still say what is meant: agreement list, list review {item.list}",
                why=f"{terms.title} names {', '.join(unlisted[:_SHOWN])}, not on the list {item.list} in its version"
                f" {item.version}; what is about these goes on until people say otherwise",
                since=item.loaded_at,
                count=len(unlisted),
            )


def _list_rules(transaction: Transaction) -> Iterator[WorkItem]:
    for item in rulesets.list_rules(transaction):
        if left := rulesets.count_steps(transaction, item.digest):
            yield WorkItem(
                kind=WorkKind.RULES_TO_APPLY,
                act="apply it again: it goes on where it stopped",
                why=f"the rule set {item.name} stopped before {left} words were said or taken back",
                since=item.applied_at,
                count=left,
            )
        for name, version in item.lists.items() if item.ended_at is None else ():
            latest = subjects.read_latest(transaction, name)
            if latest is not None and latest.version != version:
                yield WorkItem(
                    kind=WorkKind.RULES_TO_APPLY,
                    act="see what it would say by now, and apply it again: rules preview, rules apply",
                    why=f"the rule set {item.name} looked names up on version {version} of the list {name}; version"
                    f" {latest.version} is held",
                    since=latest.loaded_at,
                )


def _list_ending(transaction: Transaction, own: PartyId, *, now: Instant) -> Iterator[WorkItem]:
    ending, more = assessments.list_ending(transaction, own, by=find_horizon(now), limit=_MOST_ENDING)
    for one in ending:
        yield WorkItem(
            kind=WorkKind.ASSESSMENT_ENDS,
            act=f"assess anew, or let it end: assessment renew {one.id}",
            why="a threat assessment of this party goes to nobody from then on",
            since=start_notice(one.expires_at),
            due=one.expires_at,
            object=one.id,
        )
    if more:
        last = ending[-1].expires_at
        yield WorkItem(
            kind=WorkKind.ASSESSMENT_ENDS,
            act="assess anew, or let them end: assessment list",
            why=f"{more} more threat assessments of this party go to nobody from then on, or soon after",
            since=start_notice(last),
            due=last,
            count=more,
        )
