# SPDX-License-Identifier: Apache-2.0
"""Shell: that a log goes on under another name: told to partners, and kept of partners.

A statement is signed by the party's manifest keys (DSSE): it says which log speaks for the party from here on, which is
of the same weight as which keys do. It is queued for whoever was given something or can have been, as they hold what
the log before signed, and for the partners who witness it; anybody else is given the file. A repeated statement changes
nothing, and none is ever taken back. A log goes on once: that it goes on as two others is what a fork looks like, and
the second statement is refused and both are kept. So is one that begins elsewhere than where the last one led to, that
leads to a name in use, or that gives another end to a log of a relationship: the first one stands.

What was seen of a log is not forgotten for it: where the party says to have less left, that is evidence of what it has
lost, and the rest is held against what was seen of that much.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from comity.canonical import sha256_digest
from comity.errors import ConflictError, MalformedMessage, VerificationError
from comity.ids import Digest, Instant, PartyId
from comity.node.kept import find_after, read_greatest
from comity.node.lineage import read_chain
from comity.node.node import Act, Node
from comity.node.parties import read_manifests
from comity.release.delivery import Seen
from comity.release.receipt import read_place
from comity.release.recovery import (
    SUCCESSION_TYPE,
    EndedLog,
    Succession,
    contradict,
    format_contradiction,
    format_succession,
    parse_succession,
)
from comity.signing import Role, format_signed_document, parse_signed_document, sign_document, verify_signed_document
from comity.store import Transaction, parties, receipts, successions, witness
from comity.store.witness import StoredEvidence
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.origin import find_token, first_origin, is_house

__all__ = [
    "Followed",
    "find_next",
    "find_previous",
    "find_root",
    "is_succession",
    "list_successions",
    "publish_succession",
    "receive_succession",
]

_MAX_OF_A_PARTY = 100
_MAX_ENDED = 16_384
"""Logs of a party of which it is kept where they ended: what one statement can name, four times."""

_log = logging.getLogger("comity.node")


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A statement that is on record; `new` is False for a repeated one."""

    succession: Succession
    digest: Digest
    new: bool


def publish_succession(
    node: Node, act: Act, said: Succession, *, ended: Mapping[PartyId, Sequence[EndedLog]]
) -> tuple[bytes, tuple[PartyId, ...]]:
    """The statement, signed and kept with the act, and the partners for whom it was queued.

    Each of these is told, of the logs that have `ended`, those of what it was given itself and no other.
    """
    envelope = _sign(node, said)
    _keep(act, said, envelope)
    pinned = {item.id for item in parties.list_parties(act.transaction)} - {node.party}
    witnesses = {each.party for each in node.settings.witnesses if each.party is not None}
    told = sorted({*successions.read_given(act.transaction), *ended, *(witnesses & pinned)})
    for party in told:
        own = _sign(node, replace(said, logs=tuple(ended.get(party, ()))))
        successions.put_outbox(act.transaction, party, own, now=act.now)
    return envelope, tuple(told)


def _sign(node: Node, said: Succession) -> bytes:
    document = sign_document(SUCCESSION_TYPE, format_succession(said), [node.signers[Role.MANIFEST]])
    return format_signed_document(document)


def is_succession(envelope: bytes) -> bool:
    """Whether this is a statement of succession; an event of an agreement is none.

    Raises:
        MalformedMessage: it is no signed document.
    """
    return parse_signed_document(envelope).payload_type == SUCCESSION_TYPE


def receive_succession(node: Node, envelope: bytes) -> Followed:
    """The statement of a pinned party, verified and on record.

    Raises:
        MalformedMessage: it is none, what it says to follow is no log of a house, or it leaves out what follows others.
        VerificationError: it is not signed by the party that it names, as pinned here.
        ConflictError: it cannot stand beside what the party has said or shown before, or there is too much of it.
    """
    document = parse_signed_document(envelope)
    if document.payload_type != SUCCESSION_TYPE:
        raise MalformedMessage("not a statement of succession", where="/payloadType")
    said = parse_succession(document.payload)
    with node.act() as act:
        if said.party == node.party:
            raise VerificationError("a statement of this node's own came back as another's")
        manifest = read_manifests(act.transaction).get(said.party)
        if manifest is None:
            raise VerificationError(f"{said.party} is not a party this node has pinned")
        # Who has lost a store may have let its manifest run out: that another log follows is believed all the same.
        when = min(act.now, Instant(manifest.expires_at - 1))
        verify_signed_document(document, manifest, role=Role.MANIFEST, payload_type=SUCCESSION_TYPE, now=when)
        known = successions.list_successions(act.transaction, said.party)
        if len(known) >= _MAX_OF_A_PARTY and envelope not in known:
            raise ConflictError(f"{said.party} has said {_MAX_OF_A_PARTY} times that another log follows")
        contradicted = _find_contradicted(act.transaction, node.folder, said, known)
        new = False
        if contradicted is None:
            new = _keep(act, said, envelope)
            # Of one recovery there can be two statements: one for everybody, and one for this party with its logs.
            adds = said.logs and not new and not _has_logs(said, known)
            if adds:
                successions.tell_logs(act.transaction, said.recovery.origin, envelope)
            if new or adds:
                _end_logs(act, said)
        else:
            _keep_contradiction(act, said, contradicted, envelope)
    if contradicted is not None:
        raise ConflictError(
            f"{said.party} has said something else of what follows {said.recovery.previous} before. Both statements"
            " are kept: it signed two histories, or put one backup back twice; ask its people"
        )
    return Followed(succession=said, digest=sha256_digest(envelope), new=new)


def find_previous(said: Sequence[Succession], origin: str) -> Succession | None:
    """The statement that the log `origin` follows another, among those of its party."""
    return next((each for each in said if each.recovery.origin == origin), None)


def find_next(said: Sequence[Succession], previous: str) -> Succession | None:
    """The statement that another log follows `previous`, among those of its party."""
    return next((each for each in said if each.recovery.previous == previous), None)


def _find_contradicted(
    transaction: Transaction, folder: Path, said: Succession, known: Sequence[bytes]
) -> bytes | None:
    """The statement on record that this one cannot stand beside; None where it can.

    One that the party said before people pinned it anew binds it no more (`node.pinning`).

    Raises:
        MalformedMessage: it is a new one, of a log that is not called as one of a house: it could be shown to others as
            one that begins anew; or it leaves out what follows a log that ended.
        ConflictError: it is not to be believed, though no statement on record shows that by itself.
    """
    others = [(envelope, parse_succession(parse_signed_document(envelope).payload)) for envelope in known]
    binding = [(envelope, each) for envelope, each in others if _is_of_chain(transaction, envelope, said.party)]
    for envelope, each in binding:
        if contradict(each, said):
            return envelope
    told = next((each for _, each in others if _is_same(each, said)), None)
    if told is None:
        if not is_house(said.recovery.origin):
            raise MalformedMessage(f"{said.recovery.origin} is no name of a house's log", where="/origin")
        used = {name for _, each in others for name in (each.recovery.origin, each.recovery.previous)}
        anew = len(binding) < len(others)
        _check_follows(transaction, folder, said, [each for _, each in binding], used=used, anew=anew)
    elif told.logs and said.logs and set(told.logs) != set(said.logs):
        raise ConflictError(f"{said.party} has named other logs that ended with {said.recovery.previous} before")
    if any(each.agreement is None or each.next is None for each in said.logs):
        raise MalformedMessage("a log that ended is named without its agreement, or what follows it", where="/logs")
    if told is None or not told.logs:
        _check_ends(transaction, said)
    return None


def _is_same(one: Succession, other: Succession) -> bool:
    return (one.recovery, one.position) == (other.recovery, other.position)


def _has_logs(said: Succession, known: Sequence[bytes]) -> bool:
    """Whether it is on record which logs ended with this recovery."""
    others = (parse_succession(parse_signed_document(envelope).payload) for envelope in known)
    return any(_is_same(each, said) and each.logs for each in others)


def _check_follows(
    transaction: Transaction,
    folder: Path,
    said: Succession,
    binding: Sequence[Succession],
    *,
    used: set[str],
    anew: bool,
) -> None:
    """Hold a new statement against where those before led to, and against the names that are in use.

    What was cosigned under further names goes on from the last of them, though their statements were lost with a store.

    Raises:
        ConflictError: it begins elsewhere, or leads to a name in use.
    """
    party, previous, origin = said.party, said.recovery.previous, said.recovery.origin
    seen = {*receipts.read_seen(transaction, party), *receipts.read_ended(transaction, party)}
    end = _find_end(party, binding)
    after = None if anew else find_after(transaction, folder, end)
    passed = {end}
    while end != previous and after is not None and after not in passed:
        passed.add(after)
        end, after = after, find_after(transaction, folder, after)
    is_legacy = not binding and not is_house(previous)
    is_known = previous in seen or read_greatest(transaction, folder, previous) is not None
    if end != previous and not (is_legacy and is_known):
        raise ConflictError(
            f"{party} says what follows {previous}, and its log is known here as {end}: what it said in between has to"
            " come first"
        )
    if after not in {None, origin}:
        raise ConflictError(f"the log {previous} of {party} was cosigned here as going on as {after}")
    is_used = origin == first_origin(party) or origin in used | seen
    if is_used or (after is None and read_greatest(transaction, folder, origin) is not None):
        raise ConflictError(f"{party} says that {previous} goes on as {origin}, which is the name of a log already")


def _find_end(party: PartyId, binding: Sequence[Succession]) -> str:
    """What the log of the house is called by the last of the statements that follow one another."""
    origin = find_root(party, binding)
    for _ in binding:
        after = find_next(binding, origin)
        if after is None:
            break
        origin = after.recovery.origin
    return origin


def find_root(party: PartyId, said: Sequence[Succession]) -> str:
    """The name that the statements of a party go on from: the first one of its house, or one of a time before these."""
    first, led = first_origin(party), {each.recovery.origin for each in said}
    names = [each.recovery.previous for each in said if each.recovery.previous not in led]
    legacy = (name for name in names if find_token(name) is not None)
    return first if first in names else next(legacy, first)


def _check_ends(transaction: Transaction, said: Succession) -> None:
    """Hold the logs that ended against those that were told to have before, and what follows them against all known.

    Raises:
        ConflictError: one ended otherwise before, what follows it is known already, or there are too many.
    """
    ended = receipts.read_ended_logs(transaction, said.party)
    agreements = receipts.read_agreements(transaction, said.party)
    names = [each.next for each in said.logs]
    taken = {*ended, *(each.origin for each in said.logs), said.recovery.previous, said.recovery.origin}
    begun = {each.next: origin for origin, each in ended.items()}
    for each in said.logs:
        held = ended.get(each.origin)
        if held is not None and (held.size != each.size or held.next not in {None, each.next}):
            raise ConflictError(f"{said.party} has named another end of {each.origin} before")
        # Who had seen nothing of the log before can have been given of the next one before the statement came.
        is_early = each.origin not in agreements and agreements.get(str(each.next)) == each.agreement
        is_seen = each.next in agreements and held is None and not is_early
        again = begun.get(each.next, each.origin) != each.origin
        if is_house(each.origin) or each.next in taken or is_seen or again or names.count(each.next) > 1:
            raise ConflictError(f"{said.party} says that {each.origin} goes on as {each.next}, which is known already")
    if len(ended.keys() | {each.origin for each in said.logs}) > _MAX_ENDED:
        raise ConflictError(f"{said.party} has ended {_MAX_ENDED} logs")


def _is_of_chain(transaction: Transaction, envelope: bytes, party: PartyId) -> bool:
    """Whether a statement is signed by a manifest of the party in the chain that is pinned now."""
    document = parse_signed_document(envelope)
    for version in read_chain(transaction, party):
        with suppress(VerificationError):
            when = version.manifest.issued_at
            verify_signed_document(
                document, version.manifest, role=Role.MANIFEST, payload_type=SUCCESSION_TYPE, now=when
            )
            return True
    return False


def _keep_contradiction(act: Act, said: Succession, first: bytes, second: bytes) -> None:
    """Keep both statements as evidence, whose proof is the party's own signatures."""
    found = StoredEvidence(
        pair=sha256_digest(first + b"\n" + second),
        origin=parse_succession(parse_signed_document(first).payload).recovery.previous,
        noted_at=act.now,
        proved=True,
        evidence=format_contradiction(first, second, noted_at=act.now),
    )
    if witness.add_evidence(act.transaction, found):
        _log.error(
            "%s has signed two statements of what follows its log %s: see `comity witness list`, and tell its other"
            " partners",
            said.party,
            said.recovery.previous,
        )


def _end_logs(act: Act, said: Succession) -> None:
    """Hold what the party's logs show from here on against what was seen of that much of them."""
    party, transaction = said.party, act.transaction
    ended = {
        each.origin: receipts.EndedLog(size=each.size, agreement=each.agreement, next=each.next) for each in said.logs
    }
    ended[said.recovery.previous] = receipts.EndedLog(size=said.position, agreement=None, next=None)
    receipts.end_logs(transaction, party, ended)
    sizes = receipts.read_ended(transaction, party)
    for origin, seen in receipts.read_seen(transaction, party).items():
        held = sizes.get(origin)
        if held is None or seen.size <= held:
            continue
        left = _find_left(transaction, party, origin, held)
        receipts.lose_head(transaction, party, origin, held=held, left=left, now=act.now)
        _log.error(
            "%s has lost the end of its log %s, as it says: of %d entries that it signed for, %d are left. What it has"
            " signed for is kept",
            party,
            origin,
            seen.size,
            held,
        )
    first = receipts.find_first_lost(transaction, party)
    receipts.set_aside(transaction, party, said.recovery.previous, first=first)


def _find_left(transaction: Transaction, party: PartyId, origin: str, held: int) -> Seen | None:
    """The greatest head of a log over what is left of it, of those that receipts were proven in."""
    data = receipts.find_receipt_within(transaction, party, origin, held)
    if data is None:
        return None
    note = read_place(data).proof.checkpoint
    checkpoint = parse_checkpoint(parse_note(note).text)
    return Seen(size=checkpoint.size, root=checkpoint.root, checkpoint=note)


def list_successions(transaction: Transaction, party: PartyId) -> list[Succession]:
    """What a party has said of its log, this one's own included, in the order in which it came."""
    return [
        parse_succession(parse_signed_document(envelope).payload)
        for envelope in successions.list_successions(transaction, party)
    ]


def _keep(act: Act, said: Succession, envelope: bytes) -> bool:
    return successions.add_succession(
        act.transaction, said.recovery.origin, party=said.party, envelope=envelope, now=act.now
    )
