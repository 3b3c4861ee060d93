# SPDX-License-Identifier: Apache-2.0
"""Shell: what `comity.replay` asks of the store: texts, events, labels and objects, each by the bytes that lie there.

Nothing is believed by the column in which its digest stands. What lies under the digest of something else is said by an
error, and of the bytes of objects it is their own digest that is given.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from comity.agreement.recognition import Policy, parse_policy
from comity.agreement.terms import parse_terms
from comity.canonical import sha256_digest
from comity.errors import DigestMismatch, MalformedError
from comity.exchange import parse_message
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.node.beside import Beside
from comity.node.bounds import read_bounds
from comity.release.said import Said, read_said
from comity.replayed import Agreement, Bounds, Came, Deleted, Held
from comity.stix.labels import Label, parse_label
from comity.store import Transaction, agreements, arrivals, audited, log, objects
from comity.store.audited import HeldVersion

__all__ = ["StoredRecords"]

T = TypeVar("T")

_MOST_READ = 50_000
"""Versions of which it is remembered what their bytes say."""


def _try(parse: Callable[[bytes], T], data: bytes) -> T | None:
    try:
        return parse(data)
    except MalformedError:
        return None


class StoredRecords:
    """What the store holds, read in one transaction; `beside` says what the log has of that, as far as it was read."""

    def __init__(self, transaction: Transaction, folder: Path, party: PartyId, beside: Beside) -> None:
        self._transaction = transaction
        self._folder = folder
        self._party = party
        self._beside = beside
        self._bounds: dict[tuple[PartyId, Digest], Bounds | None] = {}
        self._agreements: dict[AgreementId, Agreement | None] = {}
        self._by_terms: dict[Digest, AgreementId | None] = {}
        self._policies: dict[Digest | None, Policy | None] = {}
        self._labels: dict[Digest, Label | None] = {}
        self._read: dict[int, tuple[Digest, Said | None]] = {}

    def find_agreement(self, terms: Digest) -> Agreement | None:
        """As `comity.replayed.Records`."""
        if terms not in self._by_terms:
            known = agreements.find_agreement_of(self._transaction, terms)
            self._by_terms[terms] = known or agreements.find_agreement_told(self._transaction, terms)
        found = self._by_terms[terms]
        if found is None:
            return None
        if found not in self._agreements:
            self._agreements[found] = self._read_agreement(found)
        return self._agreements[found]

    def _read_agreement(self, agreement: AgreementId) -> Agreement | None:
        """The agreement, as far as it can be read; what cannot is a finding of its certificate."""
        documents = agreements.read_versions(self._transaction, agreement)
        envelopes = agreements.read_envelopes(self._transaction, agreement)
        versions = [terms for document in documents if (terms := _try(parse_terms, document)) is not None]
        if not versions:
            return None
        messages = [_try(parse_message, envelope) for envelope, _ in envelopes]
        events = tuple(None if message is None else message.event for message in messages)
        return Agreement(id=agreement, versions=tuple(versions), events=events)

    def find_policy(self, digest: Digest | None) -> Policy | None:
        """As `comity.replayed.Records`."""
        if digest not in self._policies:
            self._policies[digest] = self._read_policy(digest)
        return self._policies[digest]

    def _read_policy(self, digest: Digest | None) -> Policy | None:
        try:
            if digest is None:
                return parse_policy((self._folder / "recognition.toml").read_bytes())
            text = log.read_policy(self._transaction, digest)
            return None if text is None else parse_policy(_check(text, digest, "policy"))
        except (OSError, MalformedError):
            return None

    def find_label(self, digest: Digest) -> Label | None:
        """As `comity.replayed.Records`."""
        if digest not in self._labels:
            body = audited.read_label_body(self._transaction, digest)
            self._labels[digest] = None if body is None else _try(parse_label, _check(body, digest, "label"))
        return self._labels[digest]

    def find_held(self, ids: Collection[ObjectId]) -> dict[tuple[ObjectId, str], Held]:
        """As `comity.replayed.Records`."""
        found = dict[tuple[ObjectId, str], Held]()
        held = audited.read_held_versions(self._transaction, ids)
        ways = arrivals.read_arrivals(self._transaction, [item.pk for item in held])
        for item in held:
            digest, said = self._read_bytes(item)
            found[item.id, item.version] = Held(
                digest=digest,
                kept_as=item.digest,
                first_seq=item.first_seq,
                added_at=item.added_at,
                label=item.label,
                said=said,
                came=tuple(Came(giver=way.giver, terms=way.terms, at=way.received_at) for way in ways.get(item.pk, ())),
            )
        return found

    def _read_bytes(self, item: HeldVersion) -> tuple[Digest, Said | None]:
        """The digest of the bytes, and what they say; each version is read once for many pages."""
        if item.pk not in self._read:
            if len(self._read) >= _MOST_READ:
                self._read.clear()
            self._read[item.pk] = sha256_digest(item.data), _try(read_said, item.data)
        return self._read[item.pk]

    def find_deleted(self, versions: Collection[tuple[ObjectId, str]]) -> Mapping[tuple[ObjectId, str], Deleted]:
        """As `comity.replayed.Records`."""
        return self._beside.purges.find_deleted(versions)

    def read_body(self, item: ObjectId, version: str) -> bytes:
        """As `comity.replayed.Records`."""
        held = next(known for known in objects.read_versions_of(self._transaction, [item]) if known.version == version)
        return objects.read_body(self._transaction, held.pk)

    def find_bounds(self, came: Came) -> Bounds | None:
        """As `comity.replayed.Records`."""
        key = came.giver, came.terms
        if key not in self._bounds:
            self._bounds[key] = read_bounds(self._transaction, self._party, giver=came.giver, terms=came.terms)
        return self._bounds[key]

    def is_granted(self, item: ObjectId, version: str, recipient: PartyId) -> bool:
        """As `comity.replayed.Records`."""
        return self._beside.letters.is_granted(item, version, recipient)

    def is_vouched_for(self, party: PartyId, at: Instant) -> bool:
        """As `comity.replayed.Records`."""
        return self._beside.keys.is_vouched_for(party, at)


def _check(data: bytes, digest: Digest, what: str) -> bytes:
    """The bytes, once they are those that were named.

    Raises:
        DigestMismatch: they are others.
    """
    if sha256_digest(data) != digest:
        raise DigestMismatch(f"the {what} {digest[:12]} that it was decided by lies there with other bytes")
    return data
