# SPDX-License-Identifier: Apache-2.0
"""Shell: messages of other parties become recorded events, over the network or from a file.

What is recorded is never judged by the order of arrival: the state follows from the set of events
(`agreement.lifecycle`). A repeated message changes nothing. What one partner can make this node keep is bounded.

Who names an agreement that is not its own learns nothing by the answer: whatever it says is taken or refused as if it
alone had ever spoken of it, and counts for nothing until a party has named the sender (`node.unheard`).
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from comity.agreement.events import SIGNS, STOPS, Event, EventKind
from comity.agreement.terms import Terms
from comity.canonical import Json
from comity.errors import (
    ComityError,
    ConflictError,
    MalformedMessage,
    MalformedRequest,
    NotFoundError,
    VerificationError,
)
from comity.exchange import parse_message, verify_message
from comity.ids import AgreementId, PartyId, parse_digest
from comity.node.node import Act, Node
from comity.node.parties import read_manifests
from comity.node.recording import Recorded, follow_up, keep_terms, put_event, summarise
from comity.node.standing import Dossier, find_agreement, read_dossier
from comity.node.unheard import read_alone, take_heard
from comity.store import agreements

__all__ = ["Imported", "export_messages", "import_messages", "receive"]

_MAX_EVENTS_OF_A_PARTY = 1_000
"""Per agreement: far above any negotiation, and a bound on what a hostile partner can make this node keep."""

_MAX_VERSIONS = 100
_MAX_UNANSWERED = 100
"""Proposals of one partner that this party has not answered in any way."""

_FORMAT = "comity-messages/1"
_MAX_FILE_BYTES = 32 * 1024 * 1024
_MAX_MESSAGES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a file on one agreement: what was recorded, how many messages were known, what was refused."""

    agreement: AgreementId
    recorded: tuple[Recorded, ...]
    known: int
    refused: tuple[str, ...]


def receive(node: Node, envelope: bytes) -> Recorded:
    """The event in a message of another node, verified and on record. A repeated message changes nothing.

    Raises:
        MalformedMessage, MalformedTerms: the bytes.
        VerificationError: not signed by the party it names, or that party or this one is not in the agreement.
        NotFoundError: an event on an agreement that is not on record here (yet): the sender tries again later.
        ConflictError: the partner has reached a bound.
    """
    message = parse_message(envelope)
    with node.act() as act:
        event, terms = verify_message(message, read_manifests(act.transaction), now=act.now)
        if event.party == node.party:
            raise VerificationError("a message of this node's own came back as another's")
        dossier = read_dossier(node, act.transaction, event.agreement)
        if dossier is not None and _is_stranger(event, terms, dossier):
            alone = read_alone(act, dossier, event.party)
            _check_taken(node, act, event, dossier=alone, terms=terms)
            new = alone is None or event.digest not in {known.digest for known in alone.events}
            if new:
                agreements.add_unheard(act.transaction, event, envelope=envelope, now=act.now)
            return summarise(node, act, event, new=new, heard=False)
        _check_taken(node, act, event, dossier=dossier, terms=terms)
        new = _record(act, event, terms, envelope=envelope)
        if new:
            follow_up(node, act, event.agreement)
            _hear(node, act, event.agreement)
        return summarise(node, act, event, new=new)


def _record(act: Act, event: Event, terms: Terms | None, *, envelope: bytes) -> bool:
    if terms is not None:
        keep_terms(act, terms)
    return put_event(act, event, envelope=envelope)


def _hear(node: Node, act: Act, agreement: AgreementId) -> None:
    """Let count what was kept apart of those who are parties by now. A text of theirs may name others in turn."""
    while (dossier := read_dossier(node, act.transaction, agreement)) and (heard := take_heard(act, dossier)):
        for event, terms, envelope in heard:
            with suppress(ConflictError, NotFoundError, VerificationError):  # what a party may not say is not kept
                _check_taken(node, act, event, dossier=dossier, terms=terms)
                _record(act, event, terms, envelope=envelope)
        follow_up(node, act, agreement)


def _is_stranger(event: Event, terms: Terms | None, dossier: Dossier) -> bool:
    """Whether the sender is no party as far as is known here.

    A first version speaks for itself: the agreement is named by its hash, so that whoever signs it as a party is one,
    whatever others who learned that name said before.
    """
    founds = terms is not None and terms.version == 1 and event.kind in SIGNS and event.party in terms.founders
    return event.party not in dossier.parties() and not founds


def export_messages(node: Node, prefix: str) -> bytes:
    """Every signed message of the agreement, for a party of it that cannot be reached: a JSON file of text lines.

    Raises:
        NotFoundError, MalformedRequest: the agreement.
    """
    with node.store.read() as transaction:
        dossier = find_agreement(node, transaction, prefix)
    messages: list[Json] = [envelope.decode("utf-8") for envelope in dossier.envelopes]
    document = {"format": _FORMAT, "agreement": dossier.id, "messages": messages}
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def import_messages(node: Node, data: bytes) -> Imported:
    """What became of the messages in a file that another party exported; the good ones are recorded, one by one.

    Messages that need another one of the file first are tried again after it. Those of another agreement than the one
    the file names are refused: whoever asked for the import was told that name.

    Raises:
        MalformedMessage: not such a file.
    """
    agreement, messages = _read_messages(data)
    waiting, recorded, known = [*messages], list[Recorded](), 0
    refused: dict[bytes, str] = {}
    while waiting:
        again, refused = bool(refused), {}
        for envelope in waiting:
            result = _take(node, envelope, agreement)
            if isinstance(result, str):
                refused[envelope] = result
            elif result is None or not (result.new or again):
                known += 1
            else:  # new, or heard since it was kept apart a moment ago
                recorded.append(result)
        if len(refused) == len(waiting):
            break
        waiting = [*refused]
    return Imported(agreement=agreement, recorded=tuple(recorded), known=known, refused=tuple(refused.values()))


def _take(node: Node, envelope: bytes, agreement: AgreementId) -> Recorded | str | None:
    """What is on record of one message now; None for this party's own; or why it was refused."""
    try:
        event = parse_message(envelope).event
        if event.agreement != agreement:
            return f"a message on the agreement {event.agreement[:12]}…, which is not the one the file names"
        if event.party == node.party:
            return None
        recorded = receive(node, envelope)
    except ComityError as error:
        return error.detail
    if recorded.heard:
        return recorded
    return f"{event.party} is not a party of the agreement: this is kept, and counts once a version of a party names it"


def _read_messages(data: bytes) -> tuple[AgreementId, Sequence[bytes]]:
    """The agreement that the file names, and the messages in it."""
    if len(data) > _MAX_FILE_BYTES:
        raise MalformedMessage(f"the file has {len(data)} bytes where at most {_MAX_FILE_BYTES} are taken")
    try:
        match json.loads(data):
            case {"format": "comity-messages/1", "agreement": str(named), "messages": list(messages)} if (
                len(messages) <= _MAX_MESSAGES
            ):
                texts = [message.encode("utf-8") for message in messages if isinstance(message, str)]
                if len(texts) == len(messages):
                    return AgreementId(parse_digest(named)), texts
    except (ValueError, RecursionError, MalformedRequest):
        pass
    raise MalformedMessage(f"not a file of messages ({_FORMAT}) as `agreement export` writes it")


def _check_taken(node: Node, act: Act, event: Event, *, dossier: Dossier | None, terms: Terms | None) -> None:
    """Whether the event can be kept beside what `dossier` holds.

    Raises:
        NotFoundError, VerificationError, ConflictError: it cannot.
    """
    if terms is None and dossier is None:
        raise NotFoundError("the agreement of this event is not on record here")
    _check_members(node, event, dossier=dossier, terms=terms)
    _check_bounds(node, act, event, dossier=dossier, terms=terms)


def _check_members(node: Node, event: Event, *, dossier: Dossier | None, terms: Terms | None) -> None:
    """Both this party and the sender belong to the agreement: as on record, or, for a first proposal, as in its text.

    A text that names an agreement on record is no way into it: whoever is not yet a party of any version is heard when
    a version that names it has come from one who is. The text of a group that can be joined may come to a party that is
    not in it yet: nothing is given under it before that party has signed and was admitted.
    """
    named = terms.founders if terms else frozenset[PartyId]()
    members = dossier.parties() if dossier else named
    if terms is not None and terms.version == 1:
        members |= named  # its hash is the agreement's id: whatever came before it, this is the text that founds it
    elif dossier is not None and terms is not None:
        _check_order(dossier, terms)
    texts = [*(dossier.versions if dossier else ()), *([terms] if terms else ())]
    invited = any(text.structure.accession != "closed" for text in texts)
    if event.party not in members:
        if event.kind is EventKind.ACCEDE and dossier is not None:
            raise NotFoundError(f"{event.party} is not admitted by enough parties here yet")
        raise VerificationError(f"{event.party} is not a party of the agreement")
    if node.party not in members | named and not invited:
        raise VerificationError(f"{node.party} is not a party of the agreement")


def _check_order(dossier: Dossier, terms: Terms) -> None:
    """Where the first version is not on record, nothing is put before the oldest that is but what that one replaces.

    Else whoever was a party once could let a text of its own stand for the first, and all later ones would fall.

    Raises:
        NotFoundError: what replaces the text is not on record (yet).
    """
    oldest = min(known.version for known in dossier.versions)
    replaced = {known.supersedes for known in dossier.versions}
    if terms.version < oldest and terms.hash not in replaced and oldest > 1:
        raise NotFoundError("this text is older than all that is on record here of the agreement, and none replaces it")


def _check_bounds(node: Node, act: Act, event: Event, *, dossier: Dossier | None, terms: Terms | None) -> None:
    """What one partner can make this node keep is bounded; what stops something is taken, whatever came before it.

    Raises:
        ConflictError: the partner has reached a bound.
    """
    if dossier is not None and event.kind in STOPS - {EventKind.COUNTER} and _stops_more(event, dossier):
        return
    if dossier is None:
        if agreements.count_unanswered(act.transaction, event.party, by=node.party) >= _MAX_UNANSWERED:
            raise ConflictError(f"{event.party} has {_MAX_UNANSWERED} proposals here that wait for an answer")
        return
    if sum(1 for known in dossier.events if known.party == event.party) >= _MAX_EVENTS_OF_A_PARTY:
        raise ConflictError(f"{event.party} has reached the bound of events on this agreement")
    if terms is None or terms.hash in {known.hash for known in dossier.versions}:
        return
    if _is_after_leaving(event, dossier):
        raise ConflictError(f"{event.party} has left this agreement; a new text of it is not kept")
    if len(dossier.versions) >= _MAX_VERSIONS:
        raise ConflictError(f"this agreement has {_MAX_VERSIONS} versions; negotiate a new one")


def _is_after_leaving(event: Event, dossier: Dossier) -> bool:
    """Whether a party says, by its own date, something later than that it has left for good.

    What it dates earlier may have been overtaken on its way, and the others have it: refusing it here would part the
    records for ever.
    """
    if event.party not in dossier.left():
        return False
    left = [known.at for known in dossier.events if (known.kind, known.party) == (EventKind.LEAVE, event.party)]
    return event.at > max(left, default=event.at)


def _stops_more(event: Event, dossier: Dossier) -> bool:
    """Whether the stop is about a text on record, and stops what its sender has not stopped already.

    That many there can be: what is over the bound for events is one stop of each kind for each text and channel.
    """
    known = next((terms for terms in dossier.versions if terms.hash == event.terms), None)
    if known is None or not (event.channel is None or known.channel(event.channel)):
        return False
    said = [item for item in dossier.events if item.party == event.party]
    if event.kind is EventKind.SUSPEND:
        lifted = {item.re for item in said if item.kind is EventKind.RESUME}
        held = {item.channel for item in said if item.kind is event.kind and item.digest not in lifted}
        return held.isdisjoint({None, event.channel})
    return (event.kind, event.terms) not in {(item.kind, item.terms) for item in said}
