# SPDX-License-Identifier: Apache-2.0
"""Shell: what waits for this party's people, over all agreements and the whole store; and the reviews they record.

Nothing here is kept: the list is computed each time from what is on record and the clock. A review of an agreement is
this party's own affair: it goes into the log and to no partner.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from comity.agreement.lifecycle import Standing
from comity.agreement.moves import NextStep, find_next_steps
from comity.agreement.retention import Delete
from comity.agreement.terms import Terms
from comity.agreement.work import AgreementFacts, WorkItem, WorkKind, list_agreement_work, sort_work, start_notice
from comity.counting import say_count
from comity.errors import TransitionError
from comity.ids import Digest, Instant, PartyId
from comity.node.acknowledge import list_unacknowledged
from comity.node.articles import list_article_work
from comity.node.classifywork import list_classification_work
from comity.node.consentwork import list_consent_work
from comity.node.due import DueCounts, count_due, find_clause
from comity.node.kept import find_stop
from comity.node.node import Node
from comity.node.outbox import find_held
from comity.node.parties import list_parties
from comity.node.recallwork import list_recall_work
from comity.node.requestwork import list_request_work
from comity.node.retention import DELETED_SHOWN, check_texts
from comity.node.standing import Dossier, find_agreement, list_dossiers
from comity.node.waiving import list_blocked
from comity.release.disclosure import EntryType, format_review
from comity.store import Transaction, agreements, deletions, patterns, receipts, waivers

__all__ = ["list_node_work", "list_work", "review_agreement"]

_HOUR = 3_600_000_000
_STRANGERS_SHOWN = 30 * 24 * _HOUR


def list_work(node: Node) -> tuple[WorkItem, ...]:
    """What waits for this party, oldest first."""
    now = node.clock()
    due = count_due(node)
    with node.store.read() as transaction:
        dossiers = list_dossiers(node, transaction)
        reviewed = agreements.read_reviews(transaction)
        texts = {terms.hash: terms for dossier in dossiers for terms in dossier.versions}
        items = [
            *_list_retention(due),
            *_list_deleted(transaction, texts, now=now),
            *_list_undelivered(node, transaction, now=now),
            *_list_unacknowledged(transaction, now=now),
            *_list_strangers(transaction, dossiers, now=now),
            *_list_unparsable(transaction, node.party),
            *_list_receipts(transaction),
            *_list_lost(node, transaction, now=now),
            *list_recall_work(transaction, texts, now=now),
            *list_consent_work(transaction, texts, now=now),
            *list_request_work(transaction, dossiers, now=now),
            *list_article_work(transaction),
            *list_classification_work(transaction, node.party, _list_current(dossiers, now=now), now=now),
        ]
    for dossier in dossiers:
        facts = _read_facts(dossier, node.party, reviewed_at=reviewed.get(dossier.id), now=now)
        items += list_agreement_work(facts, party=node.party, now=now)
    return sort_work([*items, *_list_manifests(node, now=now)])


def list_node_work(node: Node) -> tuple[WorkItem, ...]:
    """What of it is about this node and those it talks to, and not about any agreement or object, oldest first."""
    now = node.clock()
    with node.store.read() as transaction:
        items = [
            *_list_undelivered(node, transaction, now=now),
            *_list_unacknowledged(transaction, now=now),
            *_list_receipts(transaction),
            *_list_lost(node, transaction, now=now),
        ]
    return sort_work([*items, *_list_manifests(node, now=now)])


def review_agreement(
    node: Node, prefix: str, *, reason: str, by: str | None = None, shown: str | None = None
) -> tuple[Dossier, Standing]:
    """The agreement, reviewed: on record here, and told to nobody. `shown` is the hash of the text that was, if said.

    Raises:
        NotFoundError, MalformedRequest: the agreement, or the reason.
        TransitionError: not every party has signed it, so there is nothing to review; or another text counts by now.
    """
    reason = check_texts(reason, by)
    with node.act() as act:
        dossier = find_agreement(node, act.transaction, prefix)
        standing = dossier.standing(now=act.now)
        if standing.current is None:
            raise TransitionError(f"only what every party signed is reviewed: {standing.sentence}")
        if shown not in {None, standing.current.hash}:
            raise TransitionError(
                f"version {standing.current.version} counts by now, and not the text that was shown: review that one"
            )
        agreements.mark_reviewed(act.transaction, dossier.id, now=act.now)
        content = format_review(agreement=dossier.id, item=None, versions=(), reason=reason, by=by)
        act.record(EntryType.REVIEW, content, terms=standing.current.hash, recipient=None, count=1)
    return dossier, standing


def _list_current(dossiers: Sequence[Dossier], *, now: Instant) -> list[Terms]:
    """The versions that count of all agreements that are signed by all."""
    return [terms for dossier in dossiers for terms in [dossier.standing(now=now).current] if terms is not None]


def _read_facts(dossier: Dossier, party: PartyId, *, reviewed_at: Instant | None, now: Instant) -> AgreementFacts:
    standing = dossier.standing(now=now)
    counts = standing.current or standing.latest
    # Since when the text is known counts for the dates of review alone, and most texts name none.
    events = zip(dossier.events, dossier.recorded_at, strict=True) if counts.reviews else ()
    about = [at for event, at in events if event.terms == counts.hash]
    steps = {step for step in find_next_steps(standing) if step.party == party}
    return AgreementFacts(
        agreement=dossier.id,
        standing=standing,
        turns=_find_turns(dossier, steps, now=now),
        reviewed_at=reviewed_at,
        known_since=min(about, default=now),
    )


def _find_turns(dossier: Dossier, steps: AbstractSet[NextStep], *, now: Instant) -> dict[NextStep, Instant]:
    """When the event was recorded that made each step somebody's turn; now, where it was the clock that did.

    One pass for all of them: how many there are is for the partners to say, who ask the questions.
    """
    turns = dict.fromkeys(steps, now)
    if not steps:
        return turns
    for at in sorted(set(dossier.recorded_at), reverse=True):
        standing = dossier.standing_at(at)
        steps = steps & set(find_next_steps(standing)) if standing else set()
        if not steps:
            break
        turns |= dict.fromkeys(steps, at)
    return turns


def _list_retention(due: DueCounts) -> Iterator[WorkItem]:
    """One item for each text and clause, so that a thousand objects are one line of work."""
    for item in due.counts:
        judged, final = item.judged, isinstance(item.judged, Delete)
        text = due.texts[judged.rule.terms]
        many = f"at least {item.count}" if due.more else str(item.count)
        under = f"the record of a source, {text.title}" if text.version is None else f"version {text.version}"
        what = f"{many} object{'' if item.count == 1 else 's'} received under {under}"
        yield WorkItem(
            kind=WorkKind.DELETION if final else WorkKind.RETENTION_REVIEW,
            act="nothing: `comity serve` deletes them, or `retention run`"
            if final
            else "decide to keep each, with a reason, or let it be deleted: retention list",
            why=f"{what}: {find_clause(judged).value}",
            since=start_notice(judged.due),
            due=judged.due,
            agreement=None if text.version is None else text.agreement,
            title=None if text.version is None else text.title,
            party=judged.rule.giver if text.version is None else None,
            count=item.count,
        )


def _list_deleted(transaction: Transaction, texts: dict[Digest, Terms], *, now: Instant) -> Iterator[WorkItem]:
    for terms, clause, count, first, last in deletions.read_deleted_since(transaction, Instant(now - DELETED_SHOWN)):
        text = None if terms is None else texts.get(terms)
        by = clause if clause is not None else "somebody's decision"
        yield WorkItem(
            kind=WorkKind.DELETED,
            act="nothing: this was done",
            why=f"{count} object{'' if count == 1 else 's'} deleted by {by}",
            since=min(first, last),
            agreement=None if text is None else text.agreement_id,
            title=None if text is None else text.title,
            count=count,
        )


def _list_undelivered(node: Node, transaction: Transaction, *, now: Instant) -> Iterator[WorkItem]:
    """What is held until its agreement is in force again, or for good, is no work: nobody can have it delivered."""
    waiting: dict[PartyId, list[agreements.Pending]] = defaultdict(list)
    held = find_held(node, transaction)
    for message in agreements.read_undelivered(transaction):
        if message.added_at <= now - _HOUR and message.position not in held:
            waiting[message.party].append(message)
    for party, messages in waiting.items():
        problem = next((message.problem for message in messages if message.problem), "not tried yet")
        yield WorkItem(
            kind=WorkKind.UNDELIVERED,
            act=f"see that `comity serve` runs here and that {party}'s node answers, or send a file: agreement export",
            why=f"{len(messages)} message{'' if len(messages) == 1 else 's'} not acknowledged ({problem})",
            since=min(message.added_at for message in messages),
            party=party,
            count=len(messages),
        )


def _list_unacknowledged(transaction: Transaction, *, now: Instant) -> Iterator[WorkItem]:
    for item in list_unacknowledged(transaction, now=now):
        yield WorkItem(
            kind=WorkKind.UNACKNOWLEDGED,
            act=f"pull again, and see that {item.party}'s node answers"
            if item.sent
            else f"ask {item.party} whether it has what was given; the log has each: log list",
            why=f"{item.party} has not taken what this party acknowledged"
            if item.sent
            else f"{item.count} disclosure{'' if item.count == 1 else 's'} to {item.party} not acknowledged",
            since=item.since,
            party=item.party,
            count=item.count,
        )


def _list_strangers(transaction: Transaction, dossiers: Sequence[Dossier], *, now: Instant) -> Iterator[WorkItem]:
    """Whoever speaks of an agreement that is not its own has its name from somewhere."""
    titles = {dossier.id: (dossier.standing(now=now).current or dossier.versions[-1]).title for dossier in dossiers}
    for agreement, party, count, first in agreements.read_strangers(transaction, Instant(now - _STRANGERS_SHOWN)):
        yield WorkItem(
            kind=WorkKind.STRANGER,
            act=f"find out how {party} learned of it: it was answered as if there were nothing, and nothing counts",
            why=f"{count} message{'' if count == 1 else 's'} on this agreement by {party}, which is no party of it",
            since=first,
            agreement=agreement,
            title=titles[agreement],
            party=party,
            count=count,
        )


def _list_unparsable(transaction: Transaction, own: PartyId) -> Iterator[WorkItem]:
    for item in patterns.list_unparsable(transaction):
        mine = item.giver == own
        many = f"{item.count} indicator{'' if item.count == 1 else 's'} of {'this party' if mine else item.giver}"
        yield WorkItem(
            kind=WorkKind.UNPARSABLE_PATTERN,
            act="correct the pattern in a new version: object show says where it fails"
            if mine
            else f"ask {item.giver} for a new version with another pattern: object show says where it fails",
            why=f"{many} withheld from everybody, as the pattern does not parse: {item.example}"
            + (" and others" if item.count > 1 else ""),
            since=item.since,
            party=None if mine else item.giver,
            count=item.count,
        )


def _list_receipts(transaction: Transaction) -> Iterator[WorkItem]:
    for item in list_blocked(transaction):
        yield WorkItem(
            kind=WorkKind.NO_RECEIPT,
            act=f"ask {item.giver} why; if its receipt can never come, let it stand without: log waive",
            why=f"nothing of {item.giver} is taken in: it gives no receipt for its disclosure {item.number}",
            since=item.since,
            party=item.giver,
        )
    for waiver in waivers.list_waivers(transaction):
        yield WorkItem(
            kind=WorkKind.WITHOUT_RECEIPT,
            act="nothing: people accepted it",
            why=f"disclosures {waiver.first} to {waiver.through} of {waiver.giver} stand without receipts"
            f" (entry {waiver.entry})",
            since=waiver.at,
            party=waiver.giver,
            count=waiver.count,
        )


def _list_lost(node: Node, transaction: Transaction, *, now: Instant) -> Iterator[WorkItem]:
    """Logs of partners that lost their end, for a while; and whether this node has lost what it cosigned."""
    for lost in receipts.list_lost(transaction):
        if now < lost.noted_at + _STRANGERS_SHOWN:
            yield WorkItem(
                kind=WorkKind.LOG_LOST,
                act=f"ask {lost.party} what it has lost: what it signed is kept, and receipts of it are evidence",
                why=f"{lost.party} signed {say_count(lost.size, 'entry')} of its log {lost.origin}, and says that"
                f" {'1 is' if lost.held == 1 else f'{lost.held} are'} left",
                since=lost.noted_at,
                party=lost.party,
                count=lost.size - lost.held,
            )
    if (since := find_stop(node, transaction, now=now)) is not None:
        yield WorkItem(
            kind=WorkKind.NOT_COSIGNING,
            act="let this node have another witness key: party rotate witness",
            why="this node may have cosigned more than it knows of, and cosigns nothing by the key that it has",
            since=since,
        )


def _list_manifests(node: Node, *, now: Instant) -> Iterator[WorkItem]:
    for known in list_parties(node):
        manifest = known.manifest
        if start_notice(manifest.expires_at) > now:
            continue
        own = manifest.party == node.party
        yield WorkItem(
            kind=WorkKind.MANIFEST_END,
            act="make the next manifest, by which every partner is told: party renew, or party rotate for other keys"
            if own
            else f"ask {manifest.party} for its next manifest, and pin it: party add",
            why=f"manifest version {manifest.version} of {manifest.party} is valid until then; nothing leaves after it",
            since=start_notice(manifest.expires_at),
            due=manifest.expires_at,
            party=manifest.party,
        )
