# SPDX-License-Identifier: Apache-2.0
"""Shell: parties, their manifests as received, and the hashes of credentials given to them."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from comity.errors import CorruptionError
from comity.ids import Digest, Instant, PartyId
from comity.signing import Manifest
from comity.store.transaction import Row, Transaction

__all__ = [
    "StoredCredential",
    "StoredParty",
    "add_credential",
    "count_chain",
    "find_credential",
    "has_manifest",
    "list_chain",
    "list_credentials",
    "list_manifests",
    "list_parties",
    "put_manifest",
    "put_party",
    "read_expiry",
    "read_manifest",
    "read_manifests_of",
    "read_meta",
    "read_node_key",
    "read_party",
    "read_pinned",
    "revoke_credential",
    "use_credential",
    "write_meta",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredParty:
    """One pinned party: `envelope` is its signed manifest as received, `url` where its node is, if known."""

    id: PartyId
    name: str
    state: str | None
    url: str | None
    manifest: Digest
    envelope: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCredential:
    """One credential given to a party, by its name; `used_day` counts days since 1970-01-01, None: never used."""

    id: str
    party: PartyId
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    used_day: int | None

    def is_good(self, now: Instant) -> bool:
        """Whether it lets the party in at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_KEY = re.compile("(?:[0-9a-f]{2})+", re.ASCII)
_CREDENTIAL = "SELECT id, party, created_at, expires_at, revoked_at, used_day FROM credential"
_COLUMNS = "p.id, p.name, p.state, p.url, p.manifest, m.envelope"
_FROM = "party p JOIN manifest m ON m.digest = p.manifest"


def put_party(transaction: Transaction, manifest: Manifest, *, envelope: bytes, url: str | None, now: Instant) -> None:
    """Pin `manifest` as the one in use for its party; an absent `url` leaves the known one."""
    put_manifest(transaction, manifest, envelope=envelope)
    transaction.run(
        "INSERT INTO party VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
        " state = excluded.state, url = COALESCE(excluded.url, party.url), manifest = excluded.manifest",
        (manifest.party, manifest.name, manifest.state, url, manifest.digest, now),
    )


def put_manifest(transaction: Transaction, manifest: Manifest, *, envelope: bytes) -> None:
    """Keep one manifest of the chain; known ones are left as they are."""
    transaction.run(
        "INSERT INTO manifest VALUES (?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING",
        (manifest.digest, manifest.party, manifest.version, manifest.expires_at, envelope),
    )


def read_party(transaction: Transaction, party: PartyId) -> StoredParty | None:
    """The pinned party, if any."""
    row = transaction.row(f"SELECT {_COLUMNS} FROM {_FROM} WHERE p.id = ?", (party,))
    return _party(row) if row else None


def read_pinned(transaction: Transaction, party: PartyId) -> Digest | None:
    """The digest of the manifest in use of `party`; None when the party is not pinned."""
    row = transaction.row("SELECT manifest FROM party WHERE id = ?", (party,))
    return Digest(row[0]) if row else None


def list_parties(transaction: Transaction) -> list[StoredParty]:
    """Every pinned party, by id."""
    return [_party(row) for row in transaction.rows(f"SELECT {_COLUMNS} FROM {_FROM} ORDER BY p.id")]


def read_expiry(transaction: Transaction, party: PartyId) -> Instant | None:
    """When the manifest in use of `party` runs out; None when the party is not pinned."""
    row = transaction.row(
        "SELECT m.expires_at FROM party p JOIN manifest m ON m.digest = p.manifest WHERE p.id = ?", (party,)
    )
    return Instant(row[0]) if row else None


def has_manifest(transaction: Transaction, party: PartyId, digest: Digest) -> bool:
    """Whether a manifest with this digest is in the chain of `party`."""
    return transaction.row("SELECT 1 FROM manifest WHERE party = ? AND digest = ?", (party, digest)) is not None


def read_manifest(transaction: Transaction, digest: Digest) -> bytes | None:
    """The signed manifest with this digest, as received."""
    row = transaction.row("SELECT envelope FROM manifest WHERE digest = ?", (digest,))
    return bytes(row[0]) if row else None


def list_manifests(transaction: Transaction) -> list[tuple[PartyId, int, Digest, bytes]]:
    """Every signed manifest as received, oldest first of each party, behind the party, its pin and the digest.

    Pins count from 0 for each party: nothing follows from one to the next (`store.pins`).
    """
    rows = transaction.rows(
        "SELECT party, pin, digest, envelope, version FROM manifest_before UNION ALL SELECT party,"
        " (SELECT COUNT(DISTINCT pin) FROM manifest_before b WHERE b.party = m.party), digest, envelope, version"
        " FROM manifest m ORDER BY party, pin, version"
    )
    return [(PartyId(party), pin, Digest(digest), bytes(envelope)) for party, pin, digest, envelope, _ in rows]


def list_chain(transaction: Transaction, party: PartyId) -> list[bytes]:
    """Every signed manifest of one party as received, oldest first."""
    rows = transaction.rows("SELECT envelope FROM manifest WHERE party = ? ORDER BY version", (party,))
    return [bytes(row[0]) for row in rows]


def count_chain(transaction: Transaction, party: PartyId) -> int:
    """How many manifests of one party are kept."""
    row = transaction.row("SELECT COUNT(*) FROM manifest WHERE party = ?", (party,))
    return int(row[0]) if row else 0


def read_manifests_of(transaction: Transaction, party: PartyId, digests: Collection[Digest]) -> Mapping[Digest, bytes]:
    """Those of the signed manifests of `party` with these digests that are kept, as received."""
    rows = transaction.rows(
        "SELECT digest, envelope FROM manifest WHERE party = ? AND digest IN (SELECT value FROM json_each(?))",
        (party, json.dumps(sorted(digests))),
    )
    return {Digest(digest): bytes(envelope) for digest, envelope in rows}


def add_credential(transaction: Transaction, credential: StoredCredential, *, secret_hash: Digest) -> None:
    """Keep the hash of a credential given to a party."""
    transaction.run(
        "INSERT INTO credential VALUES (?, ?, ?, ?, ?, NULL, NULL)",
        (credential.id, secret_hash, credential.party, credential.created_at, credential.expires_at),
    )


def find_credential(transaction: Transaction, secret_hash: Digest) -> StoredCredential | None:
    """The credential with this hash, good or not.

    A look-up by hash leaks at most a prefix of the hash by its time, and the hash of a guess tells nothing about it.
    """
    row = transaction.row(f"{_CREDENTIAL} WHERE hash = ?", (secret_hash,))
    return _credential(row) if row else None


def list_credentials(transaction: Transaction, party: PartyId | None = None) -> list[StoredCredential]:
    """Every credential ever given, or those given to `party`: by party, oldest first."""
    where, given = ("", ()) if party is None else (" WHERE party = ?", (party,))
    rows = transaction.rows(f"{_CREDENTIAL}{where} ORDER BY party, created_at, id", given)
    return [_credential(row) for row in rows]


def revoke_credential(transaction: Transaction, credential: str, *, now: Instant) -> None:
    """Let the credential let nobody in from here on."""
    transaction.run("UPDATE credential SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now, credential))


def use_credential(transaction: Transaction, credential: str, *, day: int) -> None:
    """Note the day on which the credential was used last."""
    transaction.run("UPDATE credential SET used_day = ? WHERE id = ?", (day, credential))


def read_meta(transaction: Transaction, name: str) -> str | None:
    """One value of the node's own."""
    row = transaction.row("SELECT value FROM meta WHERE name = ?", (name,))
    return str(row[0]) if row else None


def read_node_key(transaction: Transaction) -> bytes:
    """The secret of this node's store, 32 bytes: whatever is made with it has a domain line of its own.

    Raises:
        CorruptionError: it is missing, or none.
    """
    key = read_meta(transaction, "cursor_key")
    if key is None or _KEY.fullmatch(key) is None:
        raise CorruptionError("the store does not hold the node's own key; restore a backup")
    return bytes.fromhex(key)


def write_meta(transaction: Transaction, name: str, value: str) -> None:
    """Set one value of the node's own."""
    transaction.run(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


def _credential(row: Row) -> StoredCredential:
    return StoredCredential(
        id=str(row[0]),
        party=PartyId(row[1]),
        created_at=Instant(row[2]),
        expires_at=None if row[3] is None else Instant(row[3]),
        revoked_at=None if row[4] is None else Instant(row[4]),
        used_day=row[5],
    )


def _party(row: tuple[str, str, str | None, str | None, str, bytes]) -> StoredParty:
    return StoredParty(
        id=PartyId(row[0]), name=row[1], state=row[2], url=row[3], manifest=Digest(row[4]), envelope=bytes(row[5])
    )
