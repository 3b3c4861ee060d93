# SPDX-License-Identifier: Apache-2.0
"""Shell: manifests that follow those that are pinned: this node's own told to partners, and theirs taken.

Each manifest taken is on record in the log, so that what was recorded before it can be told from what came after. What
a newer manifest revokes ends in the transaction that takes it: tokens and messages are held against the newest alone,
and where a transport key is revoked, the credentials given to the party are too.
"""

from collections.abc import Mapping, Sequence

from comity.agreement.people import Approval
from comity.errors import ConflictError, CorruptionError, UnknownKey, VerificationError
from comity.exchange import EVENT_TYPE, endorse_message, parse_message
from comity.ids import Instant, PartyId
from comity.letters.letter import LETTER_TYPE
from comity.lineage import LINEAGE_TYPE, Version, make_lineage, parse_lineage, verify_lineage
from comity.node.node import Act, Node
from comity.release.disclosure import CredentialChange, EntryType, format_credential_content
from comity.release.pins import format_key_content
from comity.release.recovery import SUCCESSION_TYPE
from comity.signing import (
    Manifest,
    Role,
    SignedDocument,
    Signer,
    key_id,
    parse_manifest,
    parse_signed_document,
    verify_signed_document,
)
from comity.store import Transaction, agreements, parties

__all__ = [
    "check_keys",
    "endorse_undelivered",
    "list_revoked",
    "put_manifest",
    "read_chain",
    "receive_lineage",
    "revoke_good_credentials",
    "tell_lineage",
]


_MOST_KEPT = 1_024


def read_chain(transaction: Transaction, party: PartyId) -> tuple[Version, ...]:
    """Every manifest of `party` that is kept here, oldest first; the last one is in force.

    Their signatures were verified when they were taken, and are not verified again here.
    """
    return tuple(
        Version(manifest=parse_manifest(parse_signed_document(envelope).payload), envelope=envelope)
        for envelope in parties.list_chain(transaction, party)
    )


def receive_lineage(node: Node, signed: SignedDocument) -> Manifest:
    """The manifest now pinned for the party that says so; a repeated message changes nothing.

    Raises:
        MalformedMessage, MalformedManifest: the bytes.
        VerificationError: of a party that is not pinned here, or of another chain, or signatures, or expiry.
        ConflictError: too many versions, or a key that another party lists.
    """
    lineage = parse_lineage(signed)
    if lineage.party == node.party:
        raise VerificationError("a message of this node's own came back as another's")
    newest = lineage.versions[-1].manifest
    # Before anything is read for it: whoever sends this has to hold the key that it names. That the manifest has run
    # out by now is told by the one in force.
    signed_at = min(node.clock(), Instant(newest.expires_at - 1))
    verify_signed_document(lineage.signed, newest, role=Role.TRANSPORT, payload_type=LINEAGE_TYPE, now=signed_at)
    with node.act() as act:
        digest = parties.read_pinned(act.transaction, lineage.party)
        if digest is None:
            raise UnknownKey(f"{lineage.party} is not a party this node has pinned")
        told = {version.manifest.digest for version in lineage.versions}
        kept = parties.read_manifests_of(act.transaction, lineage.party, told | {digest})
        pinned = _parse(kept[digest])
        # An older message may arrive late: what it says is known. Whose signature it carries is asked all the same.
        held = _parse(kept[newest.digest]) if newest.digest in kept else pinned
        when = act.now if held.digest == digest else min(act.now, Instant(held.expires_at - 1))
        verify_lineage(lineage, held, audience=node.party, now=when)
        for version in lineage.versions:
            if version.manifest.version > pinned.version:
                put_manifest(act, version, before=pinned, url=None)
                pinned = version.manifest
            elif version.manifest.digest not in kept:
                parties.put_manifest(act.transaction, version.manifest, envelope=version.envelope)
    return pinned


def _parse(envelope: bytes) -> Manifest:
    return parse_manifest(parse_signed_document(envelope).payload)


def put_manifest(
    act: Act, version: Version, *, before: Manifest, url: str | None, approvals: Sequence[Approval] = ()
) -> None:
    """Let the manifest take the place of the one `before`, on record, with all that must follow at once.

    Verified by the caller: that it follows.

    Raises:
        ConflictError: the bound of versions is reached, or it lists a key of another party.
    """
    manifest = version.manifest
    if parties.count_chain(act.transaction, manifest.party) >= _MOST_KEPT:
        raise ConflictError(f"{_MOST_KEPT} manifests of {manifest.party} are kept here, which is the bound")
    check_keys(act.transaction, manifest)
    parties.put_party(act.transaction, manifest, envelope=version.envelope, url=url, now=act.now)
    revoked = list_revoked(before, manifest)
    content = format_key_content(
        party=manifest.party,
        manifest=manifest.digest,
        version=manifest.version,
        revoked=[key_id(key) for key in revoked],
        approvals=approvals,
    )
    act.record(EntryType.KEY_ROTATION, content, terms=None, recipient=None, count=1)
    if not set(revoked).isdisjoint(before.roles[Role.TRANSPORT].keys):
        revoke_good_credentials(act, manifest.party)
    # What waits for this party is worth a try at once: its keys may be what was missing.
    agreements.make_due(act.transaction, manifest.party, now=act.now)


def list_revoked(before: Manifest, manifest: Manifest) -> list[bytes]:
    """The keys that `manifest` calls revoked and the one before it did not."""
    known = {item.key for item in before.revoked}
    return [item.key for item in manifest.revoked if item.key not in known]


def check_keys(transaction: Transaction, manifest: Manifest) -> None:
    """No key of the manifest is another party's: one hand must not be able to sign for two.

    Raises:
        ConflictError: one is.
    """
    own = _keys(manifest)
    for item in parties.list_parties(transaction):
        other = parse_manifest(parse_signed_document(item.envelope).payload)
        if other.party != manifest.party and not own.isdisjoint(_keys(other)):
            raise ConflictError(
                f"the manifest of {manifest.party} lists a key that {other.party} also lists; refuse it, and ask both"
            )


def tell_lineage(node: Node, act: Act, party: PartyId, *, signer: Signer) -> None:
    """Queue this party's manifests for `party`, before all else, unless the newest was queued before or is the first.

    `signer` holds the transport key that the newest names.
    """
    chain = read_chain(act.transaction, node.party)
    if not chain:
        raise CorruptionError("the store does not hold this party's own manifest; restore a backup")
    if len(chain) == 1:
        return
    for version in chain[:-1]:
        agreements.remove_undelivered(act.transaction, party, version.manifest.digest)
    agreements.put_first(
        act.transaction,
        party,
        chain[-1].manifest.digest,
        envelope=make_lineage(node.party, party, [item.envelope for item in chain], signers=[signer]),
        now=act.now,
    )


def endorse_undelivered(node: Node, act: Act, staged: Mapping[Role, Signer]) -> None:
    """Let what this party has said and nobody has acknowledged carry a signature by its new keys too.

    Partners are told of the new manifest before all else: what only an old key has signed they would refuse for ever.
    """
    roles = {EVENT_TYPE: Role.AGREEMENT, LETTER_TYPE: Role.AGREEMENT, SUCCESSION_TYPE: Role.MANIFEST}
    for message in agreements.read_undelivered(act.transaction):
        kind = parse_signed_document(message.envelope).payload_type
        signer = staged.get(roles[kind]) if kind in roles else None
        if signer is None or (kind == EVENT_TYPE and parse_message(message.envelope).event.party != node.party):
            continue
        agreements.replace_envelope(act.transaction, message.position, endorse_message(message.envelope, [signer]))


def revoke_good_credentials(act: Act, party: PartyId) -> int:
    """How many were revoked: whoever has taken the transport key may have taken the credentials beside it."""
    good = [item for item in parties.list_credentials(act.transaction, party) if item.is_good(act.now)]
    for credential in good:
        parties.revoke_credential(act.transaction, credential.id, now=act.now)
        content = format_credential_content(
            CredentialChange.REVOKE, party=party, credential=credential.id, expires_at=credential.expires_at
        )
        act.record(EntryType.CREDENTIAL, content, terms=None, recipient=None, count=1)
    return len(good)


def _keys(manifest: Manifest) -> frozenset[bytes]:
    return frozenset(key for role in manifest.roles.values() for key in role.keys)
