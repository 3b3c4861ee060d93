# SPDX-License-Identifier: Apache-2.0
"""Shell: messages of other parties become recorded events, over the network or from a file.

What is recorded is never judged by the order of arrival: the state follows from the set of events
(`agreement.lifecycle`). A repeated message changes nothing. What one partner can make this node keep is bounded.

Who names an agreement that is not its own learns nothing by the answer: whatever it says is taken or refused as if it
alone had ever spoken of it, and counts for nothing until a party has named the sender (`node.unheard`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from comity.agreement.events import Event, EventKind
from comity.agreement.people import choose_role, find_need
from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms
from comity.canonical import Json, Limits, parse_json, sha256_digest
from comity.errors import (
    AuthenticationError,
    ComityError,
    MalformedJson,
    MalformedMessage,
    MalformedRequest,
    VerificationError,
)
from comity.exchange import Message, endorse_message, parse_message, verify_message
from comity.ids import AgreementId, format_instant, parse_digest
from comity.letters.letter import LETTER_TYPE
from comity.lineage import LINEAGE_TYPE
from comity.node.letterbox import TakenLetter, take_letter
from comity.node.lineage import read_chain, receive_lineage
from comity.node.node import Act, Node
from comity.node.people import Actor, normalise_text
from comity.node.recording import Recorded, follow_up, keep_terms, put_event, summarise
from comity.node.standing import Dossier, find_agreement, read_dossier
from comity.node.steps import Steps, finish
from comity.node.taking import check_taken, is_stranger
from comity.node.unheard import read_alone
from comity.release.disclosure import EntryType
from comity.release.imported import format_imported
from comity.signing import Manifest, Role, parse_signed_document
from comity.store import agreements, people

__all__ = [
    "Imported",
    "export_messages",
    "import_messages",
    "import_steps",
    "import_steps_as",
    "receive",
    "receive_any",
]

_FORMAT = "comity-messages/1"
_MAX_FILE_BYTES = 32 * 1024 * 1024
_MAX_MESSAGES = 10_000
_FILE = Limits(max_bytes=_MAX_FILE_BYTES, max_depth=2, max_items=_MAX_MESSAGES + 8)
"""A list of texts, and what they are about. Other values would take twenty times as much memory as their bytes."""

_MAX_REASON = 2_000


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
    if message.event.party == node.party:
        raise VerificationError("a message of this node's own came back as another's")
    return _record(node, message, envelope)


def _record(node: Node, message: Message, envelope: bytes) -> Recorded:
    with node.act() as act:
        chain = read_chain(act.transaction, message.event.party)
        pinned = {message.event.party: chain[-1].manifest} if chain else {}
        earlier = [version.manifest for version in chain[:-1]]
        event, terms = verify_message(message, pinned, now=act.now, earlier=earlier)
        dossier = read_dossier(node, act.transaction, event.agreement)
        if dossier is not None and is_stranger(event, terms, dossier):
            return _keep_unheard(node, act, event, terms, dossier=dossier, envelope=envelope)
        check_taken(node, act, event, dossier=dossier, terms=terms)
        if terms is not None:
            keep_terms(act, terms)
        new = put_event(act, event, envelope=envelope)
        followed = follow_up(node, act, event.agreement, [event]) if new else ()
        return summarise(node, act, event, new=new, followed=followed)


def receive_any(node: Node, envelope: bytes) -> Recorded | Manifest | TakenLetter:
    """What came of a message of another node: an event or letter on record, or the manifest now pinned for its sender.

    Raises:
        ComityError: as `receive`, `node.lineage.receive_lineage`, or `node.letterbox.take_letter`.
    """
    signed = parse_signed_document(envelope)
    if signed.payload_type == LINEAGE_TYPE:
        return receive_lineage(node, signed)
    if signed.payload_type == LETTER_TYPE:
        return take_letter(node, envelope)
    return receive(node, envelope)


def _keep_unheard(
    node: Node, act: Act, event: Event, terms: Terms | None, *, dossier: Dossier, envelope: bytes
) -> Recorded:
    alone = read_alone(node, act, dossier, event.party)
    check_taken(node, act, event, dossier=alone, terms=terms)
    new = alone is None or event.digest not in {known.digest for known in alone.events}
    if new:
        agreements.add_unheard(act.transaction, event, envelope=envelope, now=act.now)
    return summarise(node, act, event, new=new, heard=False)


def export_messages(node: Node, prefix: str) -> bytes:
    """Every signed message of the agreement, for a party of it that cannot be reached: a JSON file of text lines.

    This party's own are signed by its keys in force.

    Raises:
        NotFoundError, MalformedRequest: the agreement.
    """
    with node.store.read() as transaction:
        dossier = find_agreement(node, transaction, prefix)
    signers = [node.signers[Role.AGREEMENT]]
    # What this party has said, by the key that is in force: it may have been another when it was said.
    messages: list[Json] = [
        (endorse_message(envelope, signers) if event.party == node.party else envelope).decode("utf-8")
        for event, envelope in zip(dossier.events, dossier.envelopes, strict=True)
    ]
    document = {"format": _FORMAT, "agreement": dossier.id, "messages": messages}
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def import_messages(node: Node, data: bytes) -> Imported:
    """What `import_steps` comes to, with no turn for anybody else."""
    return finish(import_steps(node, data))


def import_steps(node: Node, data: bytes) -> Steps[Imported]:
    """What became of the messages in a file that another party exported; the good ones are recorded, one by one.

    Messages that need another one of the file first are tried again after it. Those of another agreement than the one
    the file names are refused: whoever asked for the import was told that name. Others get a turn after each.

    Raises:
        MalformedMessage: not such a file.
    """
    agreement, messages = _read_messages(data)
    return (yield from _take_steps(node, agreement, messages))


def import_steps_as(node: Node, data: bytes, *, by: Actor, reason: str) -> Steps[Imported | Refusal]:
    """The same, brought by a person: who, which file and why is on record before anything of it is.

    Raises:
        AuthenticationError: the person was removed.
        MalformedMessage, MalformedRequest: not such a file, or no reason.
    """
    why = normalise_text(reason, most=_MAX_REASON, where="reason")
    agreement, messages = _read_messages(data)
    need = find_need("import")
    with node.act() as act:
        known = people.read_person(act.transaction, by.person.id)
        if known is None or known.removed_at is not None:
            raise AuthenticationError(f"{by.person.id} is no person of this node any more")
        role = None if need is None else choose_role(need, known.person, (), named=by.role)
        if role is None:
            return Refusal(
                clause="people", reason=f"{by.person.id} does not act as liaison or legal, as an import needs"
            )
        content = format_imported(
            agreement=agreement,
            digest=sha256_digest(data),
            messages=len(messages),
            person=by.person.id,
            role=role,
            reason=why,
        )
        act.record(EntryType.PEOPLE, content, terms=None, recipient=None, count=1)
    return (yield from _take_steps(node, agreement, messages))


def _take_steps(node: Node, agreement: AgreementId, messages: Sequence[bytes]) -> Steps[Imported]:
    waiting, recorded, known = [*messages], list[Recorded](), 0
    refused: dict[bytes, str] = {}
    while waiting:
        again, refused = bool(refused), {}
        for envelope in waiting:
            yield
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
    """What is on record of one message now; None for this party's own that is; or why it was refused."""
    try:
        event = parse_message(envelope).event
        if event.agreement != agreement:
            return f"a message on the agreement {event.agreement[:12]}…, which is not the one the file names"
        recorded = _take_own(node, envelope) if event.party == node.party else receive(node, envelope)
    except ComityError as error:
        return error.detail
    if recorded is None or isinstance(recorded, str) or recorded.heard:
        return recorded
    return f"{event.party} is not a party of the agreement: this is kept, and counts once a version of a party names it"


def _take_own(node: Node, envelope: bytes) -> Recorded | str | None:
    """What is on record of a message of this party that a restored store may have lost; None when it has not.

    A suspension by its own key holds again, whoever brings it. What else this party said its people say once more: what
    they approved is not on record here.
    """
    message = parse_message(envelope)
    event = message.event
    with node.store.read() as transaction:
        dossier = read_dossier(node, transaction, event.agreement)
    if dossier is not None and any(event.digest == known.digest for known in dossier.events):
        return None
    if event.kind is EventKind.SUSPEND:
        return _record(node, message, envelope)
    said = f"{event.kind} of this party, of {format_instant(event.at)}"
    return f"{said}, is not on record here, and is not taken from a file: if it shall hold, do it again"


def _read_messages(data: bytes) -> tuple[AgreementId, Sequence[bytes]]:
    """The agreement that the file names, and the messages in it."""
    if len(data) > _MAX_FILE_BYTES:
        raise MalformedMessage(f"the file has {len(data)} bytes where at most {_MAX_FILE_BYTES} are taken")
    try:
        match parse_json(data, limits=_FILE):
            case {"format": "comity-messages/1", "agreement": str(named), "messages": list(messages)} if (
                len(messages) <= _MAX_MESSAGES
            ):
                texts = [message.encode("utf-8") for message in messages if isinstance(message, str)]
                if len(texts) == len(messages):
                    return AgreementId(parse_digest(named)), texts
    except (ValueError, MalformedJson, MalformedRequest):
        pass
    raise MalformedMessage(f"not a file of messages ({_FORMAT}) as `agreement export` writes it")
