# SPDX-License-Identifier: Apache-2.0
"""Shell: the witnesses of this node's own log: which are asked for what, and what they said is kept.

Only heads that are committed are read here, so that nothing is shown to a witness before COMMIT. A cosignature is kept
after it has verified over the head that it was asked for. The calls themselves are made by `comity.witnessing`.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from comity.config import WitnessSetting
from comity.errors import BadSignature, MalformedNote, UnknownKey
from comity.ids import Instant, PartyId
from comity.node.node import Node
from comity.node.parties import read_manifests
from comity.node.witness import find_witness_keys, name_witness
from comity.signing import Manifest
from comity.store import Transaction, log, parties, witness
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.merkle import consistency_proof
from comity.tlog.note import (
    Note,
    NoteSignature,
    VerifierKey,
    format_note,
    format_signature_line,
    parse_note,
    parse_signature_lines,
)
from comity.tlog.witness import format_add_checkpoint

__all__ = [
    "OwnHead",
    "OwnWitness",
    "WitnessState",
    "find_cosigned",
    "keep_cosignatures",
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

_FRESH_SECONDS = 3_600
"""After which a head that has not grown is cosigned again: who reads it asks how old its cosignatures are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWitness:
    """A witness that this node asks; `problem` says why it cannot be asked."""

    name: str
    keys: tuple[VerifierKey, ...]
    url: str | None
    party: PartyId | None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHead:
    """The last committed head of this node's log, as it was signed."""

    size: int
    note: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessState:
    """One witness of this node: the size it cosigned last, and what happened when it was asked last."""

    witness: OwnWitness
    size: int
    problem: tuple[Instant, str] | None


def list_witnesses(node: Node) -> list[OwnWitness]:
    """The witnesses in the settings, in their order, with what the manifests of partners say of them."""
    with node.store.read() as transaction:
        manifests = read_manifests(transaction)
        urls = {item.id: item.url for item in parties.list_parties(transaction)}
    return [_find_witness(setting, manifests, urls) for setting in node.settings.witnesses]


def read_own_head(node: Node) -> OwnHead | None:
    """The last committed head; None for an empty log."""
    with node.store.read() as transaction:
        note = log.read_head(transaction)
        return None if note is None else OwnHead(size=log.read_size(transaction), note=note)


def plan_cosigning(node: Node, *, besides: Collection[str] = ()) -> tuple[OwnHead, list[tuple[OwnWitness, int]]] | None:
    """The head that wants cosignatures, and who is asked for them, each with the size it cosigned last; None if nobody.

    Asked is who can be, is not among `besides`, and has not cosigned this head within the last hour.
    """
    head = read_own_head(node)
    if head is None or not node.settings.witnesses:
        return None
    fresh, witnesses = node.clock() // _SECOND - _FRESH_SECONDS, list_witnesses(node)
    with node.store.read() as transaction:
        done = witness.read_cosigners(transaction, head.size)
        wanted = [
            (each, witness.read_cosigned_size(transaction, each.name))
            for each in witnesses
            if each.problem is None and each.name not in besides and done.get(each.name, -1) <= fresh
        ]
    return (head, wanted) if wanted else None


def make_request(node: Node, head: OwnHead, *, old_size: int) -> bytes:
    """What a witness is asked that has cosigned `old_size` last (C2SP tlog-witness); from 0 if the head is smaller.

    Raises:
        LogMismatch: a tile is missing: the store is damaged.
    """
    old_size = old_size if old_size <= head.size else 0  # its answer says what it has
    with node.store.read() as transaction:
        proof = consistency_proof(lambda level, index: log.read_tile(transaction, level, index), old_size, head.size)
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
            witness.add_cosignatures(transaction, head.size, kept)
    return good


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
                problem=problems.get(each.name),
            )
            for each in witnesses
        ]


def find_cosigned(transaction: Transaction, *, at_least: int = 0, witnesses: int = 1) -> bytes | None:
    """Of the heads over `at_least` entries or more the one that most witnesses cosigned, with their lines; else None.

    At least so many `witnesses`; of several heads the newest. It is the note that this node signed, with the lines of
    the witnesses below its own. One that was signed by a log key before a rotation, or under another name, is none:
    whoever follows this party believes the key in force alone.
    """
    newest = log.read_head(transaction)
    if newest is None:
        return None
    by_size: dict[int, list[bytes]] = {}
    for size, _, line in witness.read_lines(transaction):
        by_size.setdefault(size, []).append(line)
    in_force = _name_keys(parse_note(newest))
    # Sorting keeps the order of equals, which is that of `read_lines`: the greatest size first.
    for size, lines in sorted(by_size.items(), key=lambda item: -len(item[1])):
        note = log.read_head_at(transaction, size)
        if size < at_least or len(lines) < witnesses or note is None:
            continue
        own = parse_note(note)
        if _name_keys(own) == in_force:
            others = tuple(signature for line in lines for signature in parse_signature_lines(line))
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
        return OwnWitness(name=setting.key.name, keys=(setting.key,), url=setting.url, party=None)
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
    return OwnWitness(name=name, keys=keys, url=submission, party=party, problem=problem)


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
