# SPDX-License-Identifier: Apache-2.0
"""Shell: the certificate of an agreement, as data: what is printed is all here, and nothing else is."""

import asyncio
from collections.abc import Collection, Iterator

from comity.agreement.events import SIGNS, Event, EventKind, Position
from comity.agreement.lifecycle import Standing
from comity.agreement.meaning import Meaning, explain_channel, explain_gate, say_basis
from comity.agreement.terms import LegalBasis, Terms
from comity.certificate import Certificate, Check, Entry
from comity.ids import Instant, PartyId, format_instant, parse_instant
from comity.node.certificate import read_evidence, verify_evidence
from comity.node.node import Node
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Exit, Json
from comity.signing import Manifest

__all__ = ["certify", "explain_terms"]

_SIGNING = SIGNS | {EventKind.ACCEDE}
_JOINING = frozenset({EventKind.ADMIT, EventKind.ACCEDE, EventKind.LEAVE})


async def certify(node: Node, arguments: Arguments) -> Outcome:
    """The certificate; with what does not verify told in it, and then the exit code of a failed verification."""
    at = arguments.optional("at")
    evidence = read_evidence(node, arguments.text("id"), at=None if at is None else parse_instant(at))
    now = node.clock()
    # Thousands of signatures take seconds, in which partners are served and suspensions taken.
    certificate = await asyncio.to_thread(verify_evidence, evidence, now=now)
    code = Exit.VERIFICATION_FAILED if certificate.problems else Exit.DONE
    return Outcome(result=_describe(certificate, printed_by=node.party, printed_at=now), code=code)


def _describe(certificate: Certificate, *, printed_by: PartyId, printed_at: Instant) -> dict[str, Json]:
    standing, verified = certificate.standing, certificate.verified_standing
    counts = standing.current or standing.latest
    # What is in force, and what is being negotiated beside it.
    explained = [counts] if counts.hash == standing.latest.hash else [counts, standing.latest]
    if verified is None:
        otherwise: str | None = "nothing of it verifies"
    else:
        otherwise = None if verified.sentence == standing.sentence else verified.sentence
    return {
        "agreement": certificate.agreement,
        "title": counts.title,
        "printed_by": printed_by,
        "printed_at": format_instant(printed_at),
        "at": format_instant(certificate.at),
        "state": standing.state.value,
        "sentence": standing.sentence,
        "verified_sentence": otherwise,
        "verified": not certificate.problems,
        "problems": len(certificate.problems),
        "terms": counts.hash,
        "version": counts.version,
        "parties": [_describe_party(certificate, party) for party in sorted(certificate.manifests)],
        "versions": [_describe_version(certificate, terms) for terms in certificate.versions],
        "signatures": [*_describe_signatures(certificate)],
        "bases": [*_describe_bases(certificate, counts)],
        "reservations": [
            {"party": party, "clause": item.clause, "ground": item.ground, "text": item.text}
            for party, item in standing.reservations
        ],
        "assurances": [
            {
                "party": each.given_by,
                "kind": each.kind,
                "document": each.document,
                "valid_until": format_instant(each.valid_until),
                "valid": certificate.at < each.valid_until,
            }
            for each in counts.assurances
        ],
        "suspensions": [
            {
                "party": lock.party,
                "event": lock.event,
                "at": format_instant(lock.at),
                "reason": lock.reason,
                "channel": lock.channel,
            }
            for lock in standing.locks
        ],
        "lapses": [{"party": lapse.party, "clause": lapse.clause, "reason": lapse.reason} for lapse in standing.lapses],
        "channels": [*_describe_channels(standing, counts)],
        "parts": [part for terms in explained for part in explain_terms(terms)],
        "threads": [*_describe_threads(certificate.entries)],
        "membership": [_describe_entry(entry, certificate) for entry, _ in _find(certificate.entries, _JOINING)],
        "events": [_describe_entry(entry, certificate) for entry in certificate.entries],
        "checks": [_describe_check(check) for check in certificate.checks],
    }


def _describe_party(certificate: Certificate, party: PartyId) -> dict[str, Json]:
    """A party, the manifest that binds it, and those known here by then."""
    standing, chain = certificate.standing, certificate.manifests[party]
    counts = standing.current or standing.latest
    named = next((item for item in counts.parties if item.id == party), None)
    shown = {
        event.manifest
        for _, event in _find(certificate.entries, _JOINING)
        if party in {event.joiner, event.party} and event.manifest
    }
    if party in standing.left:
        part = "left"
    elif named is not None:
        part = "named in the text"
    else:
        part = "joined" if party in standing.members else "not a member"
    return {
        "party": party,
        "name": chain[-1].name if chain else None,
        "part": part,
        "oversight": None if named is None else named.oversight,
        "manifest": named.manifest if named is not None else next(iter(sorted(shown)), None),
        "manifests": [_describe_manifest(manifest, at=certificate.at) for manifest in chain],
    }


def _describe_manifest(manifest: Manifest, *, at: Instant) -> dict[str, Json]:
    return {
        "version": manifest.version,
        "digest": manifest.digest,
        "issued_at": format_instant(manifest.issued_at),
        "expires_at": format_instant(manifest.expires_at),
        "valid": at < manifest.expires_at,
    }


def _describe_version(certificate: Certificate, terms: Terms) -> dict[str, Json]:
    current, record = certificate.standing.current, certificate.record
    return {
        "version": terms.version,
        "terms": terms.hash,
        "title": terms.title,
        "supersedes": terms.supersedes,
        "signed_by": list[Json](sorted(record.signers[terms.hash])),
        "missing": list[Json](sorted(terms.founders - record.signers[terms.hash])),
        "refused_by": {party: how.value for party, how in sorted(record.refused[terms.hash].items())},
        "agreed": current is not None and current.hash == terms.hash,
    }


def _describe_signatures(certificate: Certificate) -> Iterator[Json]:
    """Who signed or confirmed which version, and when: by its own claim, and when it came in here."""
    numbers = {terms.hash: terms.version for terms in certificate.versions}
    for entry, event in _find(certificate.entries, _SIGNING | {EventKind.CONFIRM}):
        yield {
            "version": numbers.get(event.terms),
            "terms": event.terms,
            "party": event.party,
            "kind": event.kind.value,
            "at": format_instant(event.at),
            "recorded_at": format_instant(entry.recorded_at),
            "verified": entry.check.problem is None,
            "problem": entry.check.problem,
            "keys": list[Json](entry.keys),
            "approvals": [{"person": item.person, "role": item.role, "at": item.at} for item in entry.approvals],
        }


def _describe_bases(certificate: Certificate, terms: Terms) -> Iterator[Json]:
    """Each basis recorded, and what each party that signed said of it last; bases of joiners have no positions."""
    said: dict[PartyId, tuple[Position, ...]] = {}
    for entry in certificate.entries:
        event = entry.event
        if event is not None and event.terms == terms.hash and event.positions:
            said[event.party] = event.positions
    for index, basis in enumerate(terms.legal_bases):
        positions = {party: told[index].value for party, told in sorted(said.items()) if index < len(told)}
        yield _describe_basis(basis, positions)
    for event in certificate.standing.joined:
        yield from (_describe_basis(basis, {}) for basis in event.bases)


def _describe_basis(basis: LegalBasis, positions: dict[PartyId, str]) -> dict[str, Json]:
    return {
        "party": basis.party,
        "kind": basis.kind,
        "reference": basis.reference,
        "basis": say_basis(basis),
        "positions": {str(party): said for party, said in positions.items()},
    }


def _describe_channels(standing: Standing, terms: Terms) -> Iterator[Json]:
    """Who gives whom, and what stands against it by the record; what a giver's own policy says is not on record."""
    for channel in terms.channels:
        for giver, receiver in channel.pairs(standing.members):
            obstacle = standing.obstacle(channel, giver, receiver)
            yield {
                "channel": channel.id,
                "from": giver,
                "to": receiver,
                "open": obstacle is None,
                "clause": None if obstacle is None else obstacle.clause,
                "reason": None if obstacle is None else obstacle.reason,
            }


def explain_terms(terms: Terms) -> Iterator[Json]:
    """The parts of a text, each field beside what it means."""
    yield _describe_part(terms, None, explain_gate(terms))
    for channel in terms.channels:
        yield _describe_part(terms, channel.id, explain_channel(terms, channel))


def _describe_part(terms: Terms, channel: str | None, meanings: Collection[Meaning]) -> dict[str, Json]:
    return {
        "terms": terms.hash,
        "version": terms.version,
        "channel": channel,
        "clauses": [
            {"clause": each.clause, "written": each.written, "means": list[Json](each.sentences)} for each in meanings
        ],
    }


def _describe_threads(entries: Collection[Entry]) -> Iterator[Json]:
    """Each question with its answers."""
    answers = _find(entries, frozenset({EventKind.ANSWER}))
    for asked, question in _find(entries, frozenset({EventKind.CLARIFY})):
        yield {
            "question": _describe_said(asked, question),
            "answers": [_describe_said(entry, event) for entry, event in answers if event.re == asked.digest],
        }


def _describe_said(entry: Entry, event: Event) -> dict[str, Json]:
    return {
        "event": entry.digest,
        "party": event.party,
        "at": format_instant(event.at),
        "recorded_at": format_instant(entry.recorded_at),
        "clause": event.clause,
        "text": event.text,
        "verified": entry.check.problem is None,
    }


def _describe_entry(entry: Entry, certificate: Certificate) -> dict[str, Json]:
    event = entry.event
    numbers = {terms.hash: terms.version for terms in certificate.versions}
    return {
        "event": entry.digest,
        "recorded_at": format_instant(entry.recorded_at),
        "verified": entry.check.problem is None,
        "kind": None if event is None else event.kind.value,
        "party": None if event is None else event.party,
        "at": None if event is None else format_instant(event.at),
        "terms": None if event is None else event.terms,
        "version": None if event is None else numbers.get(event.terms),
        **_describe_rest(event),
    }


def _describe_rest(event: Event | None) -> dict[str, Json]:
    """What only some kinds have."""
    rest: dict[str, Json] = dict.fromkeys(("clause", "channel", "text", "re", "joiner", "manifest"))
    if event is None:
        return {**rest, "reservations": []}
    return {
        "clause": event.clause,
        "channel": event.channel,
        "text": event.text,
        "re": event.re,
        "joiner": event.joiner,
        "manifest": event.manifest,
        "reservations": [f"{item.clause}: {item.ground}" for item in event.reservations],
    }


def _describe_check(check: Check) -> dict[str, Json]:
    return {
        "covers": check.covers,
        "digest": check.digest,
        "verified": check.problem is None,
        "how": check.how if check.problem is None else None,
        "problem": check.problem,
    }


def _find(entries: Collection[Entry], kinds: frozenset[EventKind]) -> list[tuple[Entry, Event]]:
    return [(entry, entry.event) for entry in entries if entry.event is not None and entry.event.kind in kinds]
