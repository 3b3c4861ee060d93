# SPDX-License-Identifier: Apache-2.0
"""Shell: one signed event on record, and what follows from it in the same transaction.

An act of this party and a message of another party end here: the event once, in the log, and, if it is ours, in the
outbox for everybody who is bound by it. What follows: the place in the store from which history is counted, this node's
own confirmation once every party has signed, and the text for a joiner whom enough founders have admitted. A crash
leaves all of it or nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from comity.agreement.addressing import find_addressed
from comity.agreement.events import CARRIES_TERMS, STOPS, Event, EventKind
from comity.agreement.lifecycle import Standing
from comity.agreement.moves import check_event, find_confirmable
from comity.agreement.people import Approval
from comity.agreement.recognition import Recognised, take_positions
from comity.agreement.terms import Terms
from comity.errors import AuthenticationError, ConfigError, ConflictError, NotFoundError, VerificationError
from comity.exchange import endorse_message, make_message, parse_message
from comity.ids import AgreementId, Digest, Instant
from comity.node.lineage import tell_lineage
from comity.node.node import Act, Node
from comity.node.standing import Dossier, judge_terms, read_dossier
from comity.node.taking import check_taken
from comity.node.unheard import read_heard
from comity.release.disclosure import EntryType, format_event_content
from comity.signing import Role
from comity.store import agreements, feeds

__all__ = [
    "Recorded",
    "draft_event",
    "follow_up",
    "is_confirmation_due",
    "keep_terms",
    "put_event",
    "sign_event",
    "summarise",
]

_NONCE_BYTES = 16
_BY_ITSELF = frozenset({EventKind.CONFIRM, EventKind.SUSPEND})
_UNSIGNED = Digest("0" * 64)
"""The digest of an event that is not signed yet; it follows from the bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The event now on record and the state it led to; `new` is False for a repeated message.

    `approvals` are those of this party's people that carried it, empty for an event of another party or of the node.
    `heard` is False for a message that is kept and counts for nothing, as its sender is no party so far; `followed` are
    messages kept before that count from now on.
    """

    event: Event
    standing: Standing
    new: bool
    heard: bool = True
    followed: tuple[Event, ...] = ()
    approvals: tuple[Approval, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether the event has just closed a gate, so that sends under way must be waited for."""
        closed = self.new and self.heard and self.event.kind in STOPS
        return closed or any(event.kind in STOPS for event in self.followed)


def draft_event(node: Node, act: Act, kind: EventKind, terms: Terms) -> Event:
    """The event that this party is about to sign on `terms`, with its positions where it signs a text."""
    positions = take_positions(node.policy(), terms) if kind in CARRIES_TERMS | {EventKind.CONFIRM} else ()
    return Event(
        digest=_UNSIGNED,
        kind=kind,
        agreement=terms.agreement_id,
        terms=terms.hash,
        party=node.party,
        at=act.now,
        positions=positions,
    )


def sign_event(
    node: Node,
    act: Act,
    draft: Event,
    terms: Terms,
    *,
    standing: Standing | None,
    approvals: tuple[Approval, ...],
) -> Recorded:
    """The event, checked against the state, signed, on record, and queued for everybody bound.

    Only a confirmation, and a suspension by which the node itself says that it no longer recognises a basis, need no
    `approvals`.

    Raises:
        TransitionError, MalformedMessage: this party cannot say it now.
        AuthenticationError: nobody approved it.
    """
    if not approvals and draft.kind not in _BY_ITSELF:
        raise AuthenticationError("nobody has approved this act, so it was not signed")
    check_event(standing, draft, terms)
    envelope = make_message(
        draft,
        nonce=act.draw(_NONCE_BYTES),
        signers=[node.signers[Role.AGREEMENT]],
        document=terms.document if draft.kind in CARRIES_TERMS else None,
    )
    event = parse_message(envelope).event
    keep_terms(act, terms)
    new = put_event(act, event, envelope=envelope, approvals=approvals)
    followed = follow_up(node, act, event.agreement, [event])
    return summarise(node, act, event, new=new, approvals=approvals, followed=followed)


def keep_terms(act: Act, terms: Terms) -> None:
    """Keep a version's document; a known one is left as it is."""
    agreements.add_terms(
        act.transaction,
        terms.hash,
        agreement=terms.agreement_id,
        version=terms.version,
        document=terms.document,
        now=act.now,
    )


def put_event(act: Act, event: Event, *, envelope: bytes, approvals: tuple[Approval, ...] = ()) -> bool:
    """Whether the event is new; a new one is recorded in the log with the act."""
    new = agreements.add_event(act.transaction, event, envelope=envelope, now=act.now)
    if new:
        content = format_event_content(
            event=event.digest,
            kind=event.kind.value,
            party=event.party,
            agreement=event.agreement,
            approvals=approvals,
        )
        act.record(EntryType.AGREEMENT_EVENT, content, terms=event.terms, recipient=None, count=1)
    return new


def summarise(
    node: Node,
    act: Act,
    event: Event,
    *,
    new: bool,
    heard: bool = True,
    approvals: tuple[Approval, ...] = (),
    followed: tuple[Event, ...] = (),
) -> Recorded:
    """The event and the state that all on record leads to."""
    standing = _read(node, act, event.agreement).standing(now=act.now)
    return Recorded(event=event, standing=standing, new=new, heard=heard, approvals=approvals, followed=followed)


def follow_up(node: Node, act: Act, agreement: AgreementId, newest: Sequence[Event]) -> tuple[Event, ...]:
    """What the `newest` events bring with them at this node: what was kept apart and is heard by now, in order."""
    _follow(node, act, agreement, newest)
    heard = list[Event]()
    while taken := _hear(node, act, agreement):
        _follow(node, act, agreement, taken)
        heard += taken
    return tuple(heard)


def _follow(node: Node, act: Act, agreement: AgreementId, newest: Sequence[Event]) -> None:
    dossier = _read(node, act, agreement)
    standing = dossier.standing(now=act.now)
    _mark_history(node, act, dossier, standing)
    _queue(node, act, dossier, standing, newest=newest)
    _confirm(node, act, standing)


def _hear(node: Node, act: Act, agreement: AgreementId) -> list[Event]:
    """The messages that count from now on, as their senders are parties by now. A text of theirs may name others."""
    taken = list[Event]()
    for event, terms, envelope in read_heard(act, _read(node, act, agreement)):
        try:
            check_taken(node, act, event, dossier=_read(node, act, agreement), terms=terms)
        except NotFoundError:
            continue  # it came before what it is about, and was acknowledged: it stays until that has come
        except (ConflictError, VerificationError):
            agreements.remove_unheard(act.transaction, event.digest)  # what a party may not say is not kept
            continue
        agreements.remove_unheard(act.transaction, event.digest)
        if terms is not None:
            keep_terms(act, terms)
        put_event(act, event, envelope=envelope)
        taken.append(event)
    return taken


def _mark_history(node: Node, act: Act, dossier: Dossier, standing: Standing) -> None:
    """Once all have signed, or a joiner is in, what this store holds is the history of each new feed.

    A feed ends with the version that no longer has it: who comes back gets nothing that came in while it was away.
    """
    if standing.current is None:
        return
    given = {
        (channel.id, receiver)
        for channel in standing.current.channels
        for giver, receiver in channel.pairs(standing.members)
        if giver == node.party
    }
    feeds.end_feeds(act.transaction, dossier.id, besides=given)
    for channel_id, receiver in sorted(given):
        feeds.open_feed(act.transaction, dossier.id, channel_id, receiver)


def is_confirmation_due(node: Node, standing: Standing, *, now: Instant) -> bool:
    """Whether every party has signed, this one has not confirmed, and its own policy lets the text count for it."""
    terms = find_confirmable(standing, node.party)
    if terms is None:
        return False
    try:
        return isinstance(judge_terms(node, terms, now=now), Recognised)
    except ConfigError:
        return False  # a message must not be lost because this node's own policy file cannot be read


def _confirm(node: Node, act: Act, standing: Standing) -> None:
    terms = standing.current
    if terms is not None and is_confirmation_due(node, standing, now=act.now):
        draft = draft_event(node, act, EventKind.CONFIRM, terms)
        sign_event(node, act, draft, terms, standing=standing, approvals=())


def _queue(node: Node, act: Act, dossier: Dossier, standing: Standing, *, newest: Sequence[Event]) -> None:
    """Send what the newest event makes due; what was sent once is not queued again."""
    envelopes = {event.digest: envelope for event, envelope in zip(dossier.events, dossier.envelopes, strict=True)}
    due = find_addressed(dossier.belonging(), dossier.events, standing, party=node.party, newest=newest)
    for party, event in due:
        tell_lineage(node, act, party, signer=node.signers[Role.TRANSPORT])
        envelope = envelopes[event.digest]
        if event.party == node.party:
            # Who is told late, a joiner say, has to know it by the key that is in force by then.
            envelope = endorse_message(envelope, [node.signers[Role.AGREEMENT]])
        agreements.put_outbox(act.transaction, party, event.digest, envelope=envelope, now=act.now)


def _read(node: Node, act: Act, agreement: AgreementId) -> Dossier:
    dossier = read_dossier(node, act.transaction, agreement)
    assert dossier is not None  # noqa: S101 (its terms were kept in this transaction)
    return dossier
