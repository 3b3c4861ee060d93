# SPDX-License-Identifier: Apache-2.0
"""Shell: what the store holds of one agreement, as it lies there, for a certificate.

It goes past `node.standing`, which remembers what it read and believes what was verified when it came in: a certificate
reads the bytes of this moment, and must be able to tell of those that can no longer be read. Verifying them, which can
take seconds, is `comity.certificate` and needs no store: whoever serves partners lets another thread do it.
"""

from dataclasses import dataclass

from comity.certificate import Certificate, LoggedEvent, StoredEvent, StoredManifest, StoredText, certify
from comity.errors import MalformedRequest
from comity.ids import AgreementId, Instant, format_instant
from comity.node.node import Node
from comity.node.standing import find_agreement_id
from comity.store import Transaction, agreements, log, parties

__all__ = ["Evidence", "gather_evidence", "read_evidence", "verify_evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The bytes that a certificate is made of, read in one transaction; `at` is the time that is asked about."""

    agreement: AgreementId
    at: Instant
    texts: tuple[StoredText, ...]
    events: tuple[StoredEvent, ...]
    manifests: tuple[StoredManifest, ...]
    logged: tuple[LoggedEvent, ...]


def read_evidence(node: Node, prefix: str, *, at: Instant | None) -> Evidence:
    """What the store holds of the agreement that `prefix` names; `at` None asks about this moment.

    Raises:
        MalformedRequest: the prefix is too short or fits several, or `at` is yet to come.
        NotFoundError: there is no such agreement.
    """
    now = node.clock()
    if at is not None and at > now:
        raise MalformedRequest(f"{format_instant(at)} is yet to come; a certificate says what is on record", where="at")
    with node.store.read() as transaction:
        agreement = find_agreement_id(transaction, prefix)
        logged = _read_logged(transaction, agreement)
        return gather_evidence(transaction, agreement, at=now if at is None else at, logged=logged)


def _read_logged(transaction: Transaction, agreement: AgreementId) -> tuple[LoggedEvent, ...]:
    """The entries of the log that record an event of the agreement."""
    return tuple(
        LoggedEvent(
            position=position,
            leaf=leaf,
            opening=None if opening is None else (opening.salt, opening.content),
        )
        for position, leaf, opening in log.read_events(transaction, agreement)
    )


def gather_evidence(
    transaction: Transaction, agreement: AgreementId, *, at: Instant, logged: tuple[LoggedEvent, ...]
) -> Evidence:
    """What the store holds of the agreement, with the entries that record its events."""
    return Evidence(
        agreement=agreement,
        at=at,
        texts=tuple(
            StoredText(hash=terms, document=document)
            for terms, document in agreements.read_texts(transaction, agreement)
        ),
        events=tuple(
            StoredEvent(digest=digest, envelope=envelope, recorded_at=recorded_at)
            for digest, envelope, recorded_at in agreements.read_evidence(transaction, agreement)
        ),
        manifests=tuple(
            StoredManifest(party=party, pin=pin, digest=digest, envelope=envelope)
            for party, pin, digest, envelope in parties.list_manifests(transaction)
        ),
        logged=logged,
    )


def verify_evidence(evidence: Evidence, *, now: Instant) -> Certificate:
    """The certificate, verified at `now`; reads nothing but `evidence`.

    Raises:
        NotFoundError: nothing was on record at the time asked about.
        CorruptionError: no text of it can be read.
    """
    return certify(
        evidence.agreement,
        evidence.texts,
        evidence.events,
        evidence.manifests,
        logged=evidence.logged,
        at=evidence.at,
        now=now,
    )
