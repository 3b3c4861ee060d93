# SPDX-License-Identifier: Apache-2.0
"""Shell: which manifest of each party was in force at each place of a log, by the entries that brought it.

The first that people pinned of a party is in no entry, nor are older ones that a chain brought with it; each that
took the place of another is. So a manifest that is in none must be older than all of its chain that are, and one with
which a party was pinned anew is in one. That a manifest follows from the one before it is for the certificates; that
the first is the party's own only somebody can say who knows it: the audit lists them.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from comity.canonical import parse_signed_json
from comity.errors import MalformedError
from comity.ids import Digest, Instant, PartyId
from comity.release.disclosure import EntryType
from comity.replayed import ReplayedEntry
from comity.signing import Manifest, parse_manifest, parse_signed_document
from comity.store import Transaction, audited, parties

__all__ = ["KeyAudit", "Trusted"]

_FORMATS = frozenset({"comity-key-record/1", "comity-pin-record/1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """The manifest by which all that is said to be of a party is believed from `pin` on: the first, or a later pin."""

    party: PartyId
    pin: int
    version: int
    digest: Digest


class KeyAudit:
    """The manifests in `transaction`, and the entries of a log that brought them, in their order."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._kept: dict[Digest, Manifest] = {}
        self._chains: dict[tuple[PartyId, int], list[Manifest]] = {}
        for party, pin, digest, envelope in parties.list_manifests(transaction):
            try:
                manifest = parse_manifest(parse_signed_document(envelope).payload)
            except MalformedError:
                continue  # of one that cannot be read the certificates say so
            self._kept[digest] = manifest
            self._chains.setdefault((party, pin), []).append(manifest)
        self._all: dict[PartyId, list[Manifest]] = {}
        for (party, _), chain in sorted(self._chains.items()):
            self._all.setdefault(party, []).extend(chain)
        self._issued = {party: min(one.issued_at for one in chain) for party, chain in self._all.items()}
        contents = audited.iterate_entries_of(transaction, EntryType.KEY_ROTATION)
        self._logged = {named for _, _, content in contents if (named := _read_named(content)) is not None}
        self._in_force = {
            party: first
            for (party, pin), chain in self._chains.items()
            if not pin and (first := self._find_first(chain))
        }

    @property
    def trusted(self) -> tuple[Trusted, ...]:
        """What only somebody who knows the parties can confirm, by party."""
        return tuple(
            Trusted(party=party, pin=pin, version=first.version, digest=first.digest)
            for (party, pin), chain in sorted(self._chains.items())
            for first in [self._find_first(chain) if not pin else self._find_pinned(chain)]
            if first is not None
        )

    @property
    def manifests(self) -> Iterable[Manifest]:
        """Every manifest that is kept, of whichever party."""
        return self._kept.values()

    @property
    def pinned_anew(self) -> frozenset[PartyId]:
        """The parties that people have pinned anew."""
        return frozenset(party for party, pin in self._chains if pin)

    def chain_of(self, party: PartyId) -> Sequence[Manifest]:
        """Every manifest of the party that is kept, oldest first."""
        return self._all.get(party, [])

    def is_vouched_for(self, party: PartyId, at: Instant) -> bool:
        """Whether the manifest of the party that is in force after the entries so far was good at that time.

        It begins to be good when the oldest was issued: clocks of two parties differ.
        """
        manifest = self._in_force.get(party)
        return manifest is not None and self._issued.get(party, at) <= at < manifest.expires_at

    def judge(self, entry: ReplayedEntry) -> Iterator[str]:
        """What is wrong with an entry that brings a manifest; those before it must have been judged."""
        named = _read_named(entry.content)
        if named is None:
            yield "the content of this entry of a manifest is not of a format that this version knows"
            return
        manifest = self._kept.get(named)
        if manifest is None:
            yield f"this entry brings the manifest {named}, which is not kept"
            return
        self._in_force[manifest.party] = manifest

    def finish(self) -> Iterator[str]:
        """What is wrong with the manifests that no entry brought."""
        for (party, pin), chain in sorted(self._chains.items()):
            brought = [manifest.version for manifest in chain if manifest.digest in self._logged]
            for manifest in chain:
                unsaid = manifest.digest not in self._logged
                if unsaid and (manifest.version > min(brought) if brought else pin > 0):
                    yield f"version {manifest.version} of the manifest of {party} is kept, and in no entry of the log"
        for digest, version, expires_at in audited.iterate_filed_manifests(self._transaction):
            said = self._kept.get(digest)
            if said is not None and (said.version, said.expires_at) != (version, expires_at):
                yield f"the manifest {digest[:12]} of {said.party} is kept under a version, or an end, not its own"
        for known in parties.list_parties(self._transaction):
            manifest_in_force = self._in_force.get(known.id)
            if manifest_in_force is None or manifest_in_force.digest != known.manifest:
                yield f"the manifest of {known.id} that is in use is not the one that the log brought last"

    def _find_first(self, chain: list[Manifest]) -> Manifest | None:
        """The one that was pinned first: of those in no entry the newest."""
        return max(
            (manifest for manifest in chain if manifest.digest not in self._logged),
            key=lambda manifest: manifest.version,
            default=None,
        )

    def _find_pinned(self, chain: list[Manifest]) -> Manifest | None:
        """The one with which the party was pinned anew: of those in an entry the oldest."""
        return min(
            (manifest for manifest in chain if manifest.digest in self._logged),
            key=lambda manifest: manifest.version,
            default=None,
        )


def _read_named(content: bytes | None) -> Digest | None:
    """The manifest that the content of an entry brings."""
    with suppress(MalformedError):
        match None if content is None else parse_signed_json(content):
            case {"format": str(written), "manifest": str(named)} if written in _FORMATS:
                return Digest(named)
            case _:
                pass
    return None
