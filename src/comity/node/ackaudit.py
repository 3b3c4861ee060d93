# SPDX-License-Identifier: Apache-2.0
"""Shell: what others have signed of this party's logs, held against them; and what this party signed of theirs.

An acknowledgement of a partner names the leaf of the last disclosure that it knows of, a cosignature the head that a
witness saw: whoever writes a log anew cannot make these anew. So each acknowledgement in the log must be signed by its
sender and name the leaf that has its number here, each cosignature that is kept must verify over the head of its size,
and the last acknowledgement of each partner that is kept must be the last one in the log. What this party acknowledged
must name the leaf of a receipt that it keeps, and had been received by then. A witness says when it saw a head: the
entry before it is of no later time by far, and the one behind it of no earlier one.

A cosignature by a witness whose key nobody knows here any more can be verified by nobody; how many there are is told.
"""

import hmac
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from comity.canonical import parse_signed_json
from comity.config import Settings
from comity.counting import say_count
from comity.errors import BadSignature, MalformedError, UnknownKey, VerificationError
from comity.ids import Instant, PartyId, format_instant
from comity.node.keyaudit import KeyAudit
from comity.node.witness import find_witness_keys
from comity.release.acknowledgement import Acknowledgement, parse_acknowledgement, verify_acknowledgement
from comity.release.disclosure import EntryType, parse_leaf
from comity.release.receipt import read_place
from comity.replayed import ReplayedEntry
from comity.store import Transaction, acknowledgements, audited, log, logs
from comity.store.audited import StoredCosignature
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.merkle import leaf_hash
from comity.tlog.note import Note, VerifierKey, parse_checkpoint, parse_note, parse_signature_lines

__all__ = ["AckAudit"]

_SECOND = 1_000_000
_TOLERANCE = 900 * _SECOND
"""Between the clock of a witness and that of this party: what may be between them, and what asking takes."""

_OTHERS = frozenset({"comity-waiver/1"})
"""Formats of entries of acknowledgements that `node.waiving` verifies."""


class AckAudit:
    """The entries of a log, in their order, held against what others have signed of it in `transaction`."""

    def __init__(self, transaction: Transaction, party: PartyId, keys: KeyAudit, settings: Settings) -> None:
        self._transaction = transaction
        self._party = party
        self._keys = keys
        self._witnesses = _name_keys(keys, settings)
        self._positions: dict[PartyId, array[int]] = {}
        self._last: dict[tuple[PartyId, bool], tuple[int, bytes, Instant]] = {}
        self._known: dict[tuple[PartyId, str], int] = {}
        """Up to which number this party has acknowledged what each partner gave it, in each of its logs."""
        self.unknown = 0
        """Cosignatures by witnesses whose keys are not known here."""

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with the entry; those before it must have been judged."""
        if entry.leaf.type is EntryType.DISCLOSURE:
            if entry.leaf.recipient is not None:
                # Their numbers run without a gap, which was verified.
                self._positions.setdefault(entry.leaf.recipient, array("q")).append(entry.position)
            return
        match parse_signed_json(entry.content or b"null"):
            case {
                "format": "comity-acknowledgement-record/1",
                "change": "send" | "receive" as change,
                "party": str(party),
                "sequence": int(sequence),
                "acknowledgement": str(text),
                **rest,
            } if not rest:
                sent, envelope = change == "send", text.encode()
                self._last[PartyId(party), sent] = sequence, envelope, entry.leaf.at
                yield from self._judge(PartyId(party), sequence, envelope, sent=sent, at=entry.leaf.at)
            case {"format": str(written)} if written in _OTHERS:
                return
            case _:
                yield "the content of this acknowledgement is not of a format that this version knows"

    def finish(self) -> Iterator[str]:
        """What is wrong with the acknowledgements and cosignatures that are kept."""
        kept = set[tuple[PartyId, bool]]()
        for item in acknowledgements.list_acknowledgements(self._transaction):
            key = item.party, item.sent
            kept.add(key)
            if self._last.get(key) != (item.sequence, item.envelope, item.recorded_at):
                yield f"the last acknowledgement {_say(*key)} that is kept is not the last one in the log"
        for key in sorted(self._last.keys() - kept):
            # Where a partner was pinned anew its logs began anew: what was acknowledged of those before is in the log.
            if not key[1] or key[0] not in self._keys.pinned_anew:
                yield f"the last acknowledgement {_say(*key)} is in the log and not kept"
        yield from self._judge_cosignatures()

    def _judge(self, party: PartyId, sequence: int, envelope: bytes, *, sent: bool, at: Instant) -> Iterator[str]:
        try:
            said, signed = parse_acknowledgement(envelope)
        except MalformedError as error:
            yield f"the acknowledgement in it cannot be read: {error.detail}"
            return
        giver, recipient = (party, self._party) if sent else (self._party, party)
        if (said.giver, said.recipient, said.sequence) != (giver, recipient, sequence):
            yield "the acknowledgement in it is another one than it says"
            return
        for manifest in reversed(self._keys.chain_of(recipient)):
            with suppress(VerificationError):
                verify_acknowledgement(signed, manifest, now=min(said.at, Instant(manifest.expires_at - 1)))
                break
        else:
            yield f"the acknowledgement in it carries no signature of {recipient}"
        yield from self._judge_received(said, at) if sent else self._judge_given(said)

    def _judge_given(self, said: Acknowledgement) -> Iterator[str]:
        """What a partner says to know, against the disclosures of this log."""
        positions = self._positions.get(said.recipient, ())
        if said.sequence > len(positions):
            yield (
                f"{said.recipient} acknowledges disclosure {said.sequence}, and {len(positions)} to it are in the log"
                " before: the log was written anew"
            )
            return
        position = positions[said.sequence - 1]
        ((_, leaf),) = log.read_entries(self._transaction, position, position + 1)
        if not hmac.compare_digest(leaf_hash(leaf).hex(), said.leaf):
            yield (
                f"{said.recipient} acknowledges another leaf as disclosure {said.sequence} than entry {position} is:"
                " the log was written anew"
            )

    def _judge_received(self, said: Acknowledgement, at: Instant) -> Iterator[str]:
        """What this party said to know, against the receipts that it keeps."""
        origin = self._find_origin(said)
        if origin is None:
            yield (
                f"this party acknowledged disclosure {said.sequence} of {said.giver}, and keeps no receipt of what it"
                " acknowledged"
            )
            return
        before, self._known[said.giver, origin] = self._known.get((said.giver, origin), 0), said.sequence
        first = min(before + 1, said.sequence)
        for number in audited.list_received_after(self._transaction, said.giver, origin, first, said.sequence, at=at):
            yield (
                f"disclosure {number} of {said.giver} was acknowledged at {format_instant(at)}, and is kept as received"
                " later: what it gave would be kept longer than its terms let"
            )

    def _find_origin(self, said: Acknowledgement) -> str | None:
        """The log that has what was acknowledged, by the receipt of it: numbers are given again after a recovery."""
        for data in audited.read_receipts_of(self._transaction, said.giver, said.sequence):
            with suppress(MalformedError):
                place = read_place(data)
                if hmac.compare_digest(leaf_hash(place.leaf_data).hex(), said.leaf):
                    return parse_checkpoint(parse_note(place.proof.checkpoint).text).origin
        return None

    def _judge_cosignatures(self) -> Iterator[str]:
        tokens = {each.number: each.token for each in logs.list_logs(self._transaction)}
        for each in audited.iterate_cosignatures(self._transaction):
            name = "the house's log" if each.log == log.HOUSE else f"the log {tokens.get(each.log, each.log)}"
            what = f"{each.witness} cosigned {name} over {say_count(each.size, 'entry')}"
            head = log.read_head_at(self._transaction, each.size, each.log)
            size = log.read_size(self._transaction, each.log)
            if each.size > size:
                yield f"{what}, and {size} are here: it was cut short"
            elif head is None:
                yield f"{what}, and no head of that size is kept"
            elif (problem := self._find_problem(each, head)) is not None:
                yield f"{what}, {problem}"

    def _find_problem(self, each: StoredCosignature, head: bytes) -> str | None:
        """Why the cosignature is none over that head; None where it is one, or nobody here can tell."""
        keys = self._witnesses.get(each.witness, ())
        if not keys:
            self.unknown += 1
            return None
        try:
            note = Note(text=parse_note(head).text, signatures=tuple(parse_signature_lines(each.line)))
        except MalformedError as error:
            return f"and what is kept of that cannot be read: {error.detail}"
        for key in keys:
            with suppress(UnknownKey, BadSignature, MalformedError):
                if verify_cosignature(note, key) == each.timestamp:
                    return self._find_problem_of_time(each)
        return "and what is kept of that does not verify over the head of that size: it saw another one"

    def _find_problem_of_time(self, each: StoredCosignature) -> str | None:
        """Why the entries around the head cannot be of the times that they say, by the clock of the witness."""
        at = each.timestamp * _SECOND
        first = max(0, each.size - 1)
        times = [parse_leaf(leaf).at for leaf in log.read_leaves(self._transaction, each.log, first, each.size + 1)]
        seen = f"at {format_instant(Instant(at))}"
        if times and times[0] > at + _TOLERANCE:
            return f"{seen}, and its last entry is dated {format_instant(times[0])}"
        if len(times) > 1 and times[1] < at - _TOLERANCE:
            return f"{seen}, and the next entry is dated before that: {format_instant(times[1])}"
        return None


def _say(party: PartyId, sent: bool) -> str:  # noqa: FBT001 (the two parts of one key)
    return f"to {party}" if sent else f"of {party}"


def _name_keys(keys: KeyAudit, settings: Settings) -> Mapping[str, Sequence[VerifierKey]]:
    """The keys by which each witness may have cosigned, by its name: those in the settings, and those of parties."""
    found: dict[str, list[VerifierKey]] = {}
    own = [each.key for each in settings.witnesses if each.key is not None]
    for key in [*own, *(key for manifest in keys.manifests for key in find_witness_keys(manifest))]:
        found.setdefault(key.name, []).append(key)
    return found
