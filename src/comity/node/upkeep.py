# SPDX-License-Identifier: Apache-2.0
"""Shell: what time brings without anybody acting: confirmations that became possible, recognition that was lost.

What this party has revoked is recalled, and what partners have recalled, or taken back of what they wrote, and nobody
decided on by its date is deleted.
Grants of consent end at their time, also where nobody polls.

What the clock alone decides (a basis or an assurance that ran out, an end of validity) needs no event: every node
computes it. What this party's own recognition policy decides is known here only, so it is told: the agreement is
suspended by itself, with the reason, and people resume it. Nothing waits for this to run: each poll asks the policy.

Where a day brings no act of the house, the heads of the logs in which something was disclosed are named all the same.
"""

from dataclasses import replace

from comity.agreement.events import EventKind
from comity.agreement.reader import MAX_TEXT
from comity.agreement.recognition import Refusal, find_lost_recognition
from comity.ids import AgreementId, Instant
from comity.node.accept import forget_old
from comity.node.grants import keep_grants
from comity.node.node import Node
from comity.node.recall import recall_revoked
from comity.node.recalled import settle_due
from comity.node.recording import Recorded, draft_event, follow_up, is_confirmation_due, sign_event, summarise
from comity.node.retraction import settle_retractions_due
from comity.node.rules import find_unfinished, resume_rules
from comity.node.standing import Dossier, list_dossiers, read_dossier
from comity.node.steps import advance
from comity.node.tagging import keep_lapsed
from comity.release.disclosure import parse_leaf
from comity.store import logs

__all__ = ["keep_up"]

_DAY = 86_400_000_000


def keep_up(node: Node) -> tuple[Recorded, ...]:
    """What was recorded because its time had come; often nothing.

    Raises:
        ConfigError: the recognition policy cannot be read: until it can, every poll is refused.
    """
    forget_old(node)
    recall_revoked(node)
    settle_due(node)
    settle_retractions_due(node)
    keep_grants(node)
    keep_lapsed(node)
    for rules in find_unfinished(node):
        advance(resume_rules(node, rules))
    _name_heads(node)
    now = node.clock()
    with node.store.read() as transaction:
        due = [dossier.id for dossier in list_dossiers(node, transaction) if _is_due(node, dossier, now=now)]
    return tuple(recorded for agreement in due for recorded in [_keep_up_one(node, agreement)] if recorded)


def _name_heads(node: Node) -> None:
    """Put the heads of logs on record in which something has not been named for a day."""
    until = Instant(node.clock() - _DAY)
    with node.store.read() as transaction:
        waiting = [leaf for leaf in logs.read_first_unnamed(transaction) if parse_leaf(leaf).at <= until]
    if waiting:
        with node.act() as act:
            act.names_heads = True


def _keep_up_one(node: Node, agreement: AgreementId) -> Recorded | None:
    with node.act() as act:
        dossier = read_dossier(node, act.transaction, agreement)
        if dossier is None or not _is_due(node, dossier, now=act.now):
            return None
        standing = dossier.standing(now=act.now)
        lost = _find_lost_recognition(node, dossier, now=act.now)
        if lost is None or standing.current is None:
            follow_up(node, act, agreement, ())
            dossier = read_dossier(node, act.transaction, agreement)
            return None if dossier is None else summarise(node, act, dossier.events[-1], new=True)
        draft = draft_event(node, act, EventKind.SUSPEND, standing.current)
        text = _tell(f"suspended by itself: {lost.told or lost.reason}")
        return sign_event(node, act, replace(draft, text=text), standing.current, standing=standing, approvals=())


def _tell(text: str) -> str:
    """The text within the bound of a message: a notice that is too long to be sent would stop nobody."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def _is_due(node: Node, dossier: Dossier, *, now: Instant) -> bool:
    return is_confirmation_due(node, dossier.standing(now=now), now=now) or (
        _find_lost_recognition(node, dossier, now=now) is not None
    )


def _find_lost_recognition(node: Node, dossier: Dossier, *, now: Instant) -> Refusal | None:
    return find_lost_recognition(node.policy(), dossier.standing(now=now), party=node.party, now=now)
