# SPDX-License-Identifier: Apache-2.0
"""Pure: a certificate of one agreement: exactly what is on record at a time, and what of it verifies.

    stored bytes + pinned manifests  ──certify──▶  Certificate(standing=…, entries=…, checks=…)

Nothing that was verified when it came in is believed again: each manifest, text and message is read from its bytes and
verified by the code that accepted it (`signing.verify_manifest`, `exchange.verify_message`). What does not verify is
told, never left out: a certificate that is silent about a bad signature would be worse than none.

A message is verified by the manifest in use, as of `now`. Where that one has run out since, or follows an earlier one
by whose keys the message was signed, it is verified as of the time at which it was recorded here, as it was then; the
check says by which version.

The log of this party has an entry for every message it recorded, with that very time. What the log has and the store
has not is missing; what the store has and the log has not was put there by no act. Not verified here: that the entries
are in the signed tree (`comity.audit`).
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise

from comity.agreement.events import Event, EventKind
from comity.agreement.lifecycle import Standing, compute_standing
from comity.agreement.record import Record, sort_out
from comity.agreement.terms import Terms, parse_terms
from comity.canonical import Json, parse_signed_json, sha256_digest
from comity.errors import ComityError, CorruptionError, DigestMismatch, LogMismatch, NotFoundError, VerificationError
from comity.exchange import Message, parse_message, verify_message
from comity.ids import AgreementId, Digest, Instant, PartyId, format_instant
from comity.release.disclosure import parse_leaf, verify_opening
from comity.signing import (
    Manifest,
    Role,
    SignedDocument,
    find_signing_keys,
    parse_manifest,
    parse_signed_document,
    verify_manifest,
    verify_successor,
)

__all__ = [
    "Approved",
    "Certificate",
    "Check",
    "Entry",
    "LoggedEvent",
    "StoredEvent",
    "StoredManifest",
    "StoredText",
    "certify",
]

_JOINING = frozenset({EventKind.ADMIT, EventKind.ACCEDE})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredText:
    """A version as it lies in the store: its document, and the hash that it is kept under."""

    hash: Digest
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """A message as it lies in the store, the digest it is kept under, and when it was recorded."""

    digest: Digest
    envelope: bytes
    recorded_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredManifest:
    """A manifest as it lies in the store, and the digest it is kept under.

    `pin` counts how often people have pinned the party anew before: nothing follows from one pin to the next.
    """

    party: PartyId
    digest: Digest
    envelope: bytes
    pin: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An entry of the log that is said to record a message: its place, its leaf, and its opening.

    The opening is salt and content; None where it is missing.
    """

    position: int
    leaf: bytes
    opening: tuple[bytes, bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was verified again: what it is, its digest, and how; or (`problem`) why it is NOT verified.

    `terms` is the text by which alone it has to be so.
    """

    covers: str
    digest: Digest
    how: str
    problem: str | None = None
    terms: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """A person who said yes to an act, the role acted in, and when, as an entry of the log has them."""

    person: str
    role: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message on record: what it says (None where it cannot be read), its check, and when it was recorded.

    `keys` are the ids of the keys by which it verifies. `approvals` are the people of this party who carried an act of
    its own, as the log names them; other parties say of theirs nothing.
    """

    digest: Digest
    event: Event | None
    recorded_at: Instant
    check: Check
    keys: tuple[str, ...] = ()
    approvals: tuple[Approved, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was on record of an agreement at `at`.

    `standing` follows from all that can be read, as the node itself reads it; `verified_standing` from what verifies
    alone (None: nothing does). `manifests` are those issued by then or named in a text, of each party, oldest first.
    """

    agreement: AgreementId
    at: Instant
    versions: tuple[Terms, ...]
    record: Record
    standing: Standing
    verified_standing: Standing | None
    entries: tuple[Entry, ...]
    manifests: Mapping[PartyId, tuple[Manifest, ...]]
    checks: tuple[Check, ...]

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.problem is not None)


def certify(
    agreement: AgreementId,
    texts: Sequence[StoredText],
    events: Sequence[StoredEvent],
    manifests: Sequence[StoredManifest],
    *,
    logged: Sequence[LoggedEvent],
    at: Instant,
    now: Instant,
) -> Certificate:
    """What was on record of `agreement` at `at`, verified at `now`. `events` come in the order they were recorded.

    `manifests` may hold those of others, which are passed over.

    Raises:
        NotFoundError: nothing was on record at `at`.
        CorruptionError: what was on record holds no text that can be read.
    """
    known, text_checks = _verify_texts(agreement, texts)
    said = [stored for stored in events if stored.recorded_at <= at]
    read = [_read(stored) for stored in said]
    known |= _find_carried(read)
    named = {message.event.terms for message in read if isinstance(message, Message)}
    versions = [known[terms] for terms in sorted(named & known.keys(), key=lambda terms: (known[terms].version, terms))]
    if not said:
        raise NotFoundError(f"nothing of {agreement[:12]} was on record here at {format_instant(at)}")
    if not versions:
        raise CorruptionError(f"no text of {agreement[:12]} that was on record at {format_instant(at)} can be read")
    parties = _find_parties(versions, read)
    chains, manifest_checks = _verify_manifests([item for item in manifests if item.party in parties])
    entries = tuple(
        _certify_event(stored, message, agreement=agreement, chains=chains, parties=parties, now=now)
        for stored, message in zip(said, read, strict=True)
    )
    entries, log_checks = _hold_against_log(entries, *_read_log(logged, agreement, at=at))
    readable = [entry.event for entry in entries if entry.event is not None]
    named_manifests = {party.manifest for terms in versions for party in terms.parties}
    shown = {
        party: tuple(item for item in chains.get(party, ()) if item.issued_at <= at or item.digest in named_manifests)
        for party in sorted(parties)
    }
    digests = {item.digest for chain in shown.values() for item in chain}
    checks = (
        *(check for check in manifest_checks if check.digest in digests or check.problem is not None),
        *_certify_named(versions, chains),
        # A text that cannot be read tells no time, so that its failure is told at any time.
        *(check for check in text_checks if check.digest in named or check.problem is not None),
        *(entry.check for entry in entries),
        *log_checks,
    )
    return Certificate(
        agreement=agreement,
        at=at,
        versions=tuple(versions),
        record=sort_out(versions, readable),
        standing=compute_standing(versions, readable, now=at),
        verified_standing=_stand_on_verified(versions, entries, bad={c.digest for c in checks if c.problem}, at=at),
        entries=entries,
        manifests=shown,
        checks=checks,
    )


# --- manifests and texts ----------------------------------------------------------------------------------------------


def _verify_manifests(
    stored: Sequence[StoredManifest],
) -> tuple[Mapping[PartyId, tuple[Manifest, ...]], tuple[Check, ...]]:
    """The manifests of each party that verify, oldest first, and what became of each."""
    checks = list[Check]()
    read: dict[tuple[PartyId, int], list[tuple[Manifest, SignedDocument]]] = {}
    for item in stored:
        covers = f"a manifest of {item.party}"
        try:
            document = parse_signed_document(item.envelope)
            manifest = parse_manifest(document.payload)
            covers = f"version {manifest.version} of the manifest of {manifest.party}"
            # That it has run out is told where it matters: of what was signed by it.
            when = Instant(manifest.expires_at - 1)
            verify_manifest(document, now=when, digest=item.digest)
            if manifest.party != item.party:
                raise DigestMismatch(f"it lies among those of {item.party}")
        except ComityError as error:
            checks.append(Check(covers=covers, digest=item.digest, how="", problem=error.detail))
            continue
        read.setdefault((manifest.party, item.pin), []).append((manifest, document))
        checks.append(Check(covers=covers, digest=item.digest, how="signed by its own manifest keys"))
    for chain in read.values():
        chain.sort(key=lambda pair: pair[0].version)
        checks += [check for check in map(_verify_step, pairwise(chain)) if check is not None]
    found: dict[PartyId, tuple[Manifest, ...]] = {}
    for (party, _), chain in sorted(read.items(), key=lambda item: item[0]):
        found[party] = (*found.get(party, ()), *(manifest for manifest, _ in chain))
    return found, tuple(checks)


def _verify_step(step: tuple[tuple[Manifest, SignedDocument], tuple[Manifest, SignedDocument]]) -> Check | None:
    """Why a manifest does not follow the one before it; None where it does."""
    (current, _), (manifest, document) = step
    try:
        verify_successor(current, document, now=Instant(manifest.expires_at - 1))
    except ComityError as error:
        covers = f"version {manifest.version} of the manifest of {manifest.party}, as following {current.version}"
        return Check(covers=covers, digest=manifest.digest, how="", problem=error.detail)
    return None


def _certify_named(versions: Collection[Terms], chains: Mapping[PartyId, tuple[Manifest, ...]]) -> list[Check]:
    """The manifests that texts name, where the party is pinned here by others."""
    return [
        Check(
            covers=f"the manifest that version {terms.version} names for {party.id}",
            digest=party.manifest,
            how="",
            problem="it is none of those that are pinned here for that party",
            terms=terms.hash,
        )
        for terms in versions
        for party in terms.parties
        if party.id in chains and party.manifest not in {manifest.digest for manifest in chains[party.id]}
    ]


def _verify_texts(agreement: AgreementId, texts: Sequence[StoredText]) -> tuple[dict[Digest, Terms], tuple[Check, ...]]:
    """The texts that can be read, by the hash they are kept under, and what became of each.

    A text that was altered but can be read stands under its own hash, so that no signature is about it.
    """
    known: dict[Digest, Terms] = {}
    checks = list[Check]()
    for text in texts:
        covers, problem = "a text", None
        try:
            terms = parse_terms(text.document)
            covers = f"the text of version {terms.version}"
            known[terms.hash] = terms
            if sha256_digest(text.document) != text.hash:
                problem = f"its bytes have the SHA-256 {terms.hash}: it was altered"
            elif terms.agreement_id != agreement:
                problem = "it is a text of another agreement"
        except ComityError as error:
            problem = f"it cannot be read: {error.detail}"
        checks.append(Check(covers=covers, digest=text.hash, how="its SHA-256 is its hash", problem=problem))
    return known, tuple(checks)


# --- messages ---------------------------------------------------------------------------------------------------------


def _read(stored: StoredEvent) -> Message | str:
    """The message, or why it cannot be read."""
    try:
        return parse_message(stored.envelope)
    except ComityError as error:
        return f"it cannot be read: {error.detail}"


def _find_carried(read: Collection[Message | str]) -> dict[Digest, Terms]:
    """The texts that messages carry: each stands alone, whatever became of the copy kept beside it."""
    found: dict[Digest, Terms] = {}
    for message in read:
        if isinstance(message, Message) and message.document is not None:
            with suppress(ComityError):
                terms = parse_terms(message.document)
                found[terms.hash] = terms
    return found


def _find_parties(versions: Collection[Terms], read: Collection[Message | str]) -> frozenset[PartyId]:
    """Who can say something of the agreement, as `node.standing` finds it."""
    events = [message.event for message in read if isinstance(message, Message)]
    joining = frozenset(event.joiner or event.party for event in events if event.kind in _JOINING)
    return joining.union(*(terms.founders for terms in versions))


def _certify_event(
    stored: StoredEvent,
    message: Message | str,
    *,
    agreement: AgreementId,
    chains: Mapping[PartyId, tuple[Manifest, ...]],
    parties: Collection[PartyId],
    now: Instant,
) -> Entry:
    if isinstance(message, str):
        check = Check(covers="a message", digest=stored.digest, how="", problem=message)
        return Entry(digest=stored.digest, event=None, recorded_at=stored.recorded_at, check=check)
    event = message.event
    text = "" if message.document is None else f", and over the text {event.terms[:12]}"
    covers = f"{event.kind} of {event.party}{text}"
    how, problem, keys = "", None, tuple[str, ...]()
    try:
        if event.digest != stored.digest:
            raise DigestMismatch("it is not the message that is kept under this digest: it was altered")
        if event.agreement != agreement:
            raise VerificationError("it speaks of another agreement")
        if event.party not in parties:
            raise VerificationError(f"{event.party} is not a party of the agreement")
        how, keys = _verify_by_chain(message, chains.get(event.party, ()), recorded_at=stored.recorded_at, now=now)
    except ComityError as error:
        problem = error.detail
    check = Check(covers=covers, digest=stored.digest, how=how, problem=problem)
    return Entry(digest=stored.digest, event=event, recorded_at=stored.recorded_at, check=check, keys=keys)


def _verify_by_chain(
    message: Message, chain: Sequence[Manifest], *, recorded_at: Instant, now: Instant
) -> tuple[str, tuple[str, ...]]:
    """By which manifest of `chain` (oldest first) the message verifies, and by which keys.

    Raises:
        ComityError: by none; the error is that of the newest one, in use here.
    """
    failed: ComityError | None = None
    for manifest in reversed(chain):
        # One that has run out is asked as of when the message came in, at which it was accepted.
        expired = now >= manifest.expires_at
        older = manifest is not chain[-1]
        try:
            verify_message(message, {manifest.party: manifest}, now=recorded_at if expired or older else now)
        except ComityError as error:
            failed = failed or error
            continue
        ended = f", which ran out at {format_instant(manifest.expires_at)}" if expired else ""
        then = f", as of {format_instant(recorded_at)}" if expired or older else ""
        keys = find_signing_keys(message.signed, manifest, role=Role.AGREEMENT)
        how = f"signed by the agreement keys of {manifest.party}, manifest version {manifest.version}{ended}{then}"
        return how, keys
    if failed is not None:
        raise failed
    verify_message(message, {}, now=now)
    return "", ()


# --- the log ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """What an entry of the log says of a message."""

    position: int
    covers: str
    at: Instant
    approvals: tuple[Approved, ...]


def _read_log(
    logged: Sequence[LoggedEvent], agreement: AgreementId, *, at: Instant
) -> tuple[dict[Digest, _Recorded], list[Check]]:
    """What the log says was recorded by `at`, by the digest of the message, and which entries cannot be believed."""
    found: dict[Digest, _Recorded] = {}
    checks = list[Check]()
    for item in logged:
        try:
            leaf = parse_leaf(item.leaf)
            if item.opening is None:
                raise LogMismatch("it records a message of this agreement, but what it says is missing here")
            salt, said = item.opening
            content = parse_signed_json(verify_opening(leaf, salt=salt, content=said))
        except ComityError as error:
            covers = f"entry {item.position} of the log"
            checks.append(Check(covers=covers, digest=sha256_digest(item.leaf), how="", problem=error.detail))
            continue
        match content:
            case {"event": str(event), "kind": str(kind), "party": str(party), "agreement": str(about)}:
                if about == agreement and leaf.at <= at:
                    covers = f"{kind} of {party}, entry {item.position} of the log"
                    found[Digest(event)] = _Recorded(
                        position=item.position, covers=covers, at=leaf.at, approvals=_read_approvals(content)
                    )
            case _:
                pass
    return found, checks


def _hold_against_log(
    entries: Sequence[Entry], recorded: Mapping[Digest, _Recorded], checks: Sequence[Check]
) -> tuple[tuple[Entry, ...], tuple[Check, ...]]:
    """The entries, each with its place in the log; and what the log has that they have not."""
    held = tuple(_find_place(entry, recorded.get(entry.digest)) for entry in entries)
    missing = [
        Check(covers=item.covers, digest=digest, how="", problem="the log records this message, but it is missing here")
        for digest, item in recorded.items()
        if digest not in {entry.digest for entry in entries}
    ]
    return held, (*checks, *missing)


def _read_approvals(content: Json) -> tuple[Approved, ...]:
    """The people whom the content of an entry names; the log is written by this node alone, and read with care."""
    approvals = content.get("approvals") if isinstance(content, dict) else None
    found = [item for item in (approvals if isinstance(approvals, list) else []) if isinstance(item, dict)]
    return tuple(
        Approved(person=str(item.get("person")), role=str(item.get("role")), at=str(item.get("at"))) for item in found
    )


def _find_place(entry: Entry, place: _Recorded | None) -> Entry:
    approvals = () if place is None else place.approvals
    return replace(entry, check=_check_place(entry, place), approvals=approvals)


def _check_place(entry: Entry, place: _Recorded | None) -> Check:
    if entry.check.problem is not None:
        return entry.check
    if place is None:
        return replace(entry.check, problem="its signatures fit, but the log of this node has no entry for it")
    if place.at != entry.recorded_at:
        times = f"{format_instant(entry.recorded_at)} here, {format_instant(place.at)} in the log"
        return replace(entry.check, problem=f"its signatures fit, but the time it was recorded at was altered: {times}")
    return replace(entry.check, how=f"{entry.check.how}; entry {place.position} of the log")


# --- what counts ------------------------------------------------------------------------------------------------------


def _stand_on_verified(
    versions: Sequence[Terms], entries: Collection[Entry], *, bad: Collection[Digest], at: Instant
) -> Standing | None:
    """The standing by what verifies alone."""
    good = [entry.event for entry in entries if entry.check.problem is None and entry.event is not None]
    named = {event.terms for event in good}
    kept = [terms for terms in versions if terms.hash in named and terms.hash not in bad]
    return compute_standing(kept, good, now=at) if kept else None
