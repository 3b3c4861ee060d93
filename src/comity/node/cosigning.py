# SPDX-License-Identifier: Apache-2.0
"""Shell: the witnesses of this node's own logs: which are asked for what, and what they said is kept.

A witness is shown the head of a log, and with it how much there is in it. So each is shown the logs that the settings
name for it, and of a partner that is by itself the house's and those of what it is given.

Only heads that are committed are read here, so that nothing is shown to a witness before COMMIT. A cosignature is kept
after it has verified over the head that it was asked for. The calls themselves are made by `comity.witnessing`.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from comity.config import WitnessedLogs, WitnessSetting
from comity.errors import BadSignature, MalformedNote, UnknownKey
from comity.ids import Instant, PartyId
from comity.node.node import Node
from comity.node.parties import read_manifests
from comity.node.witness import find_witness_keys, name_witness
from comity.signing import Manifest, Role
from comity.store import Transaction, log, logs, parties, witness
from comity.store.log import HOUSE
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.merkle import consistency_proof
from comity.tlog.note import (
    Note,
    NoteSignature,
    SignatureType,
    VerifierKey,
    format_note,
    format_signature_line,
    parse_checkpoint,
    parse_note,
    parse_signature_lines,
)
from comity.tlog.witness import format_add_checkpoint

__all__ = [
    "HOUSE",
    "OwnHead",
    "OwnWitness",
    "WitnessState",
    "find_cosigned",
    "has_cosigned_key",
    "keep_cosignatures",
    "list_shown_heads",
    "list_states",
    "list_witnesses",
    "make_request",
    "note_problem",
    "plan_cosigning",
    "read_own_head",
]

_SECOND = 1_000_000
_SKEW_SECONDS = 300
"""How far the clock of a witness may be from that of this node: what it says of the time is what others go by."""

_MOST_HEADS = 64
"""Of logs of relationships, in one round of asking."""

_FRESH_SECONDS, _FRESH_DAYS_SECONDS = 3_600, 7 * 86_400
"""After which a head that has not grown is cosigned again, that of the house and those of others: who reads it asks how
old its cosignatures are (`release.receipt`)."""

_CLOSED_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWitness:
    """A witness that this node asks for cosignatures of `logs`; `problem` says why it cannot be asked."""

    name: str
    logs: WitnessedLogs
    keys: tuple[VerifierKey, ...]
    url: str | None
    party: PartyId | None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHead:
    """The last committed head of one of this node's logs, as it was signed; that of the house is number 0.

    One that is `closed` was ended by a recovery: witnesses may have seen more of it, which is on record then.
    """

    size: int
    note: bytes
    log: int = log.HOUSE
    closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """One witness of this node: the size of the house's log it cosigned last and when, and how the last asking went.

    `logs` is of how many others it has cosigned a head.
    """

    witness: OwnWitness
    size: int
    at: Instant | None
    logs: int
    problem: tuple[Instant, str] | None


def list_witnesses(node: Node) -> list[OwnWitness]:
    """The witnesses in the settings, in their order, with what the manifests of partners say of them."""
    with node.store.read() as transaction:
        manifests = read_manifests(transaction)
        urls = {item.id: item.url for item in parties.list_parties(transaction)}
    return [_find_witness(setting, manifests, urls) for setting in node.settings.witnesses]


def read_own_head(node: Node, number: int = log.HOUSE) -> OwnHead | None:
    """The last committed head of a log; None for an empty one."""
    with node.store.read() as transaction:
        return _read_head(node, transaction, number)


def list_shown_heads(node: Node) -> list[tuple[OwnHead, list[OwnWitness]]]:
    """The last head of each log that has one, with the witnesses that are shown it and can be asked.

    Of those of relationships only the ones that grew last, as many as `_MOST_HEADS`.
    """
    witnesses = [each for each in list_witnesses(node) if each.problem is None]
    found = list[tuple[OwnHead, list[OwnWitness]]]()
    with node.store.read() as transaction:
        for number, recipient in [(log.HOUSE, None), *logs.list_newest(transaction, limit=_MOST_HEADS)]:
            shown = [each for each in witnesses if _is_shown(each, number, recipient)]
            head = _read_head(node, transaction, number) if shown else None
            if head is not None:
                found.append((head, shown))
    return found


def _read_head(node: Node, transaction: Transaction, number: int) -> OwnHead | None:
    note = log.read_head(transaction, number)
    return None if note is None else OwnHead(size=log.read_size(transaction, number), note=node.vouch(note), log=number)


def _is_shown(each: OwnWitness, number: int, recipient: PartyId | None) -> bool:
    if number == log.HOUSE:
        return each.logs is not WitnessedLogs.OWN
    return each.logs is WitnessedLogs.ALL or (recipient is not None and each.party == recipient)


def plan_cosigning(
    node: Node, *, besides: Collection[str] = (), besides_others: Collection[str] = ()
) -> list[tuple[OwnHead, list[tuple[OwnWitness, int]]]]:
    """The heads that want cosignatures, and who is asked for each, with the size it cosigned last.

    Asked is who can be, is shown the log, is not among those that are left out (`besides` of the house's log,
    `besides_others` of the others), and has not cosigned this head: that of the house within the last hour, others
    within a week. Of the logs of relationships at most `_MOST_HEADS` are planned at once. One that a recovery ended is
    asked for last, and for a day, so that what was not cosigned yet can be.
    """
    if not node.settings.witnesses:
        return []
    now, plan = node.clock() // _SECOND, dict[int, list[tuple[OwnWitness, int]]]()
    fresh = now - _FRESH_SECONDS
    with node.store.read() as transaction:
        house = log.read_size(transaction)
        done = witness.read_cosigners(transaction, house)
    witnesses = [each for each in list_witnesses(node) if each.problem is None]
    with node.store.read() as transaction:
        for each in witnesses:
            wants = house and each.name not in besides and done.get(each.name, -1) <= fresh
            if wants and _is_shown(each, log.HOUSE, None):
                size = witness.read_cosigned_size(transaction, each.name)
                plan.setdefault(log.HOUSE, []).append((each, size))
            if each.name in besides_others:
                continue
            others = logs.list_uncosigned(
                transaction,
                each.name,
                recipient=None if each.logs is WitnessedLogs.ALL else each.party or PartyId(""),
                since=Instant((now - _FRESH_DAYS_SECONDS) * _SECOND),
                closed_since=Instant((now - _CLOSED_SECONDS) * _SECOND),
                limit=_MOST_HEADS,
            )
            for number, size in others:
                plan.setdefault(number, []).append((each, size))
        heads = {number: _read_head(node, transaction, number) for number in plan}
        closed = logs.list_closed(transaction) & plan.keys()
    found = [
        (replace(head, closed=number in closed), plan[number]) for number, head in heads.items() if head is not None
    ]
    return sorted(found, key=lambda item: (item[0].closed, item[0].log))


def make_request(node: Node, head: OwnHead, *, old_size: int) -> bytes:
    """What a witness is asked that has cosigned `old_size` last (C2SP tlog-witness); from 0 if the head is smaller.

    Raises:
        LogMismatch: a tile is missing: the store is damaged.
    """
    old_size = old_size if old_size <= head.size else 0  # its answer says what it has
    with node.store.read() as transaction:
        proof = consistency_proof(
            lambda level, index: log.read_tile(transaction, level, index, head.log), old_size, head.size
        )
    return format_add_checkpoint(old_size, proof, head.note)


def keep_cosignatures(
    node: Node, head: OwnHead, given: Sequence[tuple[OwnWitness, Sequence[NoteSignature]]]
) -> list[OwnWitness]:
    """The witnesses whose lines verify over the head; these are kept, whatever else came with them is not.

    Raises:
        StoreFull: nothing was kept.
    """
    kept = list[tuple[str, int, bytes]]()
    good = list[OwnWitness]()
    for each, lines in given:
        found = _find_verified(head, each, lines, now=node.clock() // _SECOND)
        if found is not None:
            timestamp, line = found
            kept.append((each.name, timestamp, format_signature_line(line).encode()))
            good.append(each)
    if kept:
        with node.store.write() as transaction:
            witness.add_cosignatures(transaction, head.size, kept, log=head.log)
    return good


def has_cosigned_key(node: Node, head: OwnHead, each: OwnWitness) -> bool:
    """Whether the witness has cosigned a head of this log, by the name that it has, under the present log key."""
    origin = parse_checkpoint(parse_note(head.note).text).origin
    key = VerifierKey(name=origin, type=SignatureType.ED25519, public_key=node.signers[Role.LOG].public_key)
    with node.store.read() as transaction:
        sizes = [size for size, name, _, _ in witness.read_lines(transaction, head.log) if name == each.name]
        notes = (log.read_head_at(transaction, size, head.log) for size in sizes)
        return any(note is not None and (origin, key.key_hash) in _name_keys(parse_note(note)) for note in notes)


def note_problem(node: Node, each: OwnWitness, problem: str) -> None:
    """Note why a witness did not cosign; written once for as long as it stays the same."""
    with node.store.read() as transaction:
        known = witness.list_problems(transaction).get(each.name)
    if known is None or known[1] != problem:
        with node.store.write() as transaction:
            witness.put_problem(transaction, each.name, problem, now=node.clock())


def list_states(node: Node) -> list[WitnessState]:
    """How it stands with every witness in the settings."""
    witnesses = list_witnesses(node)
    with node.store.read() as transaction:
        problems = witness.list_problems(transaction)
        return [
            WitnessState(
                witness=each,
                size=witness.read_cosigned_size(transaction, each.name),
                at=None if (at := witness.read_cosigned_at(transaction, each.name)) is None else Instant(at * _SECOND),
                logs=witness.count_cosigned_logs(transaction, each.name),
                problem=problems.get(each.name),
            )
            for each in witnesses
        ]


def find_cosigned(
    transaction: Transaction,
    number: int = log.HOUSE,
    *,
    at_least: int = 0,
    at_most: int | None = None,
    witnesses: int = 1,
) -> bytes | None:
    """Of the heads of a log over `at_least` to `at_most` entries the one that most witnesses cosigned; else None.

    At least so many `witnesses`; of several heads the newest. It is the note that this node signed, with the lines of
    the witnesses below its own. One that was signed by a log key before a rotation, or under another name, is none:
    whoever follows this party believes the key in force alone.
    """
    newest = log.read_head(transaction, number)
    if newest is None:
        return None
    lines = witness.read_lines(transaction, number)
    # Whoever reads it may ask how old they are: a witness that has gone since is counted only where none is younger.
    fresh = max((at for _, _, at, _ in lines), default=0) - _FRESH_DAYS_SECONDS
    by_size: dict[int, list[bytes]] = {}
    for size, _, at, line in lines:
        if at >= fresh:
            by_size.setdefault(size, []).append(line)
    in_force = _name_keys(parse_note(newest))
    # Sorting keeps the order of equals, which is that of `read_lines`: the greatest size first.
    for size, those in sorted(by_size.items(), key=lambda item: -len(item[1])):
        if not at_least <= size <= (size if at_most is None else at_most) or len(those) < witnesses:
            continue
        note = log.read_head_at(transaction, size, number)
        if note is None:
            continue
        own = parse_note(note)
        if _name_keys(own) == in_force:
            others = tuple(signature for line in those for signature in parse_signature_lines(line))
            return format_note(Note(text=own.text, signatures=(*own.signatures, *others)))
    return None


def _name_keys(note: Note) -> frozenset[tuple[str, bytes]]:
    """By which keys of which log the note says to be signed; it is one of this node's own."""
    return frozenset((line.name, line.key_hash) for line in note.signatures)


def _find_witness(
    setting: WitnessSetting, manifests: dict[PartyId, Manifest], urls: dict[PartyId, str | None]
) -> OwnWitness:
    if setting.party is None:
        assert setting.key is not None  # noqa: S101 (`config` takes either a party or a key)
        return OwnWitness(name=setting.key.name, keys=(setting.key,), url=setting.url, party=None, logs=setting.logs)
    party, name = setting.party, name_witness(setting.party)
    manifest = manifests.get(party)
    keys = () if manifest is None else find_witness_keys(manifest)
    url = urls.get(party)
    problem = None
    if manifest is None:
        problem = f"{party} is not pinned here; pin it with `party add FILE --digest D`"
    elif not keys:
        problem = f"the manifest of {party} names no witness key"
    elif url is None:
        problem = f"the address of {party}'s node is not known; set it with `party add FILE --url URL`"
    submission = None if url is None else f"{url}/comity/witness"
    return OwnWitness(name=name, keys=keys, url=submission, party=party, problem=problem, logs=setting.logs)


def _find_verified(
    head: OwnHead, each: OwnWitness, lines: Sequence[NoteSignature], *, now: int
) -> tuple[int, NoteSignature] | None:
    """The newest line that verifies as a cosignature of the witness over the head, made now, with its time."""
    text = parse_note(head.note).text
    found = list[tuple[int, NoteSignature]]()
    for key in each.keys:
        for line in lines:
            with suppress(UnknownKey, BadSignature, MalformedNote):
                found.append((verify_cosignature(Note(text=text, signatures=(line,)), key), line))
    timely = [pair for pair in found if abs(pair[0] - now) <= _SKEW_SECONDS]
    return max(timely, key=lambda pair: pair[0], default=None)
