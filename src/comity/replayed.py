# SPDX-License-Identifier: Apache-2.0
"""Pure: what a replay of the log reads (`Records`, `ReplayedEntry`), and what it says of each disclosure (`Judged`)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from comity.agreement.events import Event
from comity.agreement.recognition import Policy
from comity.agreement.terms import LegalBasis, Terms
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.release.contents import Disclosure
from comity.release.disclosure import Leaf
from comity.release.said import Said
from comity.stix.labels import Label

__all__ = ["Agreement", "Bounds", "Came", "Deleted", "Held", "Judged", "Records", "ReplayedEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedEntry:
    """One entry of the log: its leaf, and of what opens it the content, the listing and the grounds, where they are."""

    position: int
    leaf: Leaf
    content: bytes | None
    listing: bytes = b""
    grounds: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """All that is on record of an agreement; events in the order in which they were recorded.

    None stands for an event that cannot be read. `versions` are the texts that can, at least one.
    """

    id: AgreementId
    versions: tuple[Terms, ...]
    events: tuple[Event | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """One way by which a version came from elsewhere."""

    giver: PartyId
    terms: Digest
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the terms that something came under let go of it at most: to whom without anybody's consent.

    `excluded` are the frameworks inside which it must not be used.
    """

    onward_to: frozenset[PartyId]
    excluded: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A version of an object that is held: when it came in, its label at present, and what its bytes say.

    `digest` is that of the bytes that lie there, and `kept_as` the one that they are kept under. `said` is None where
    they are no object. `came` are the ways by which it came from elsewhere.
    """

    digest: Digest
    kept_as: Digest
    first_seq: int
    added_at: Instant
    label: Digest
    said: Said | None
    came: tuple[Came, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """A version of an object that is not held any more: the position of the last entry that purged it.

    `digests` are those that its purges name; empty where the content of all of them was purged itself.
    """

    last: int
    digests: frozenset[Digest]


class Records(Protocol):
    """What the store of the log's party holds beside the log."""

    def find_agreement(self, terms: Digest) -> Agreement | None:
        """The agreement that a text belongs to; None when it is not on record."""

    def find_policy(self, digest: Digest | None) -> Policy | None:
        """The policy with that digest, or, for None, that of the present; None when there is none.

        Raises:
            DigestMismatch: another text lies there under that digest.
        """

    def find_label(self, digest: Digest) -> Label | None:
        """The label with that digest; None when it is gone, as labels go with the last object that has them.

        Raises:
            DigestMismatch: another label lies there under that digest.
        """

    def find_held(self, ids: Collection[ObjectId]) -> Mapping[tuple[ObjectId, str], Held]:
        """What is held of these objects, by id and version."""

    def find_deleted(self, versions: Collection[tuple[ObjectId, str]]) -> Mapping[tuple[ObjectId, str], Deleted]:
        """Those of these versions whose purge is on record in the log."""

    def read_body(self, item: ObjectId, version: str) -> bytes:
        """The bytes of a version that is held."""

    def find_bounds(self, came: Came) -> Bounds | None:
        """What binds all that came by that way; None where the terms are not on record."""

    def is_granted(self, item: ObjectId, version: str, recipient: PartyId) -> bool:
        """Whether a consent that is good at this place of the log lets the recipient have that version."""

    def is_vouched_for(self, party: PartyId, at: Instant) -> bool:
        """Whether the manifest of the party that is in force at this place of the log was good at that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What came of one disclosure.

    `problems` say what cannot have been decided so, `open` what cannot be told any more.

    `bases` are those on which this party gave: recognised by its own policy then, or cited for it where no grounds are
    on record.
    """

    position: int
    leaf: Leaf
    disclosure: Disclosure | None
    agreement: Agreement | None = None
    title: str = ""
    version: int = 0
    bases: tuple[LegalBasis, ...] = ()
    problems: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
