# SPDX-License-Identifier: Apache-2.0
"""Shell: a partner that has lost its keys is pinned anew, by a manifest that follows from nothing, as two people say.

Its digest is compared over a channel on which the partner is known, as at first. In the one transaction of the act:

- the manifests pinned before are set apart and kept: what they signed stays on record and goes on to verify by them;
- the keys they name are nobody's: tokens, messages, acknowledgements and checkpoints by them are refused;
- the credentials given to the party are revoked: who lost the keys may have lost what lay beside them;
- its logs begin anew, unless the manifest names a log key that the one before named: what was seen of the logs before,
  and the receipts of them, are evidence and no measure of those that follow.

Agreements stay as they are: they bind the party, whichever keys it has. Who does not want that suspends them.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from comity.agreement.people import Approval, make_matter
from comity.agreement.recognition import Refusal
from comity.agreement.transitions import State
from comity.canonical import Json
from comity.errors import ConflictError, NotFoundError, VerificationError
from comity.ids import AgreementId, Digest, PartyId
from comity.node.lineage import check_keys, read_chain
from comity.node.node import Act, Node
from comity.node.parties import check_url, revoke_good_credentials
from comity.node.people import Actor, Approved, Waiting, approve
from comity.node.retention import check_texts
from comity.node.standing import list_dossiers
from comity.node.succession import list_successions
from comity.release.disclosure import EntryType
from comity.release.pins import format_pin_content
from comity.signing import (
    Manifest,
    Role,
    SignedDocument,
    key_id,
    parse_manifest,
    parse_signed_document,
    verify_manifest,
    verify_successor,
)
from comity.store import acknowledgements, agreements, parties, pins, receipts
from comity.tlog.note import SignatureType, VerifierKey
from comity.tlog.origin import first_origin

__all__ = ["Repinned", "list_pins_before", "repin_party"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repinned:
    """The manifest now pinned in the place of `before`, and what ended with that.

    `credentials` were revoked; `receipts` were set aside, where the party's logs begin `anew`. `in_force` are the
    agreements in which the new keys speak for the party from here on.
    """

    manifest: Manifest
    before: Digest
    url: str | None
    credentials: int
    anew: bool
    receipts: int
    in_force: tuple[tuple[AgreementId, str], ...]
    approvals: tuple[Approval, ...]


def repin_party(
    node: Node, envelope: bytes, *, digest: Digest, url: str | None, reason: str, by: Actor
) -> Repinned | Waiting | Refusal:
    """What became of pinning anew the party whose signed manifest is given; two people have to say so, one as legal.

    Raises:
        MalformedMessage, MalformedManifest, MalformedRequest: the file, the URL or the reason.
        NotFoundError: the party is not pinned here.
        VerificationError: the digest, the signatures or the expiry.
        ConflictError: it is this node's own party, or what is pinned already or follows from it; or it lists a key of
            another party, or one that the party has called revoked.
    """
    reason, clean = check_texts(reason, None), check_url(url)
    document = parse_signed_document(envelope)
    with node.act() as act:
        claimed = parse_manifest(document.payload)
        chain = _read_pinned(node, act, claimed.party)
        manifest = verify_manifest(document, now=act.now, digest=digest)
        _check_new(act, manifest, document, chain)
        facts: dict[str, Json] = {
            "title": f"{manifest.party} pinned anew, by version {manifest.version} of a manifest",
            "party": manifest.party,
            "before": chain[-1].digest,
            "manifest": manifest.digest,
            "url": clean,
            "reason": reason,
        }
        authorised = approve(act, by, make_matter("repin", agreement=None, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        return _repin(node, act, manifest, envelope, chain=chain, url=clean, reason=reason, said=authorised)


def list_pins_before(node: Node, party: PartyId) -> list[Digest]:
    """The manifests of the party that are set apart, oldest first."""
    with node.store.read() as transaction:
        return [digest for _, _, digest, _ in pins.list_before(transaction, party)]


def _read_pinned(node: Node, act: Act, party: PartyId) -> list[Manifest]:
    if party == node.party:
        raise ConflictError(f"{party} is this node's own party; its keys are replaced by `party rotate`")
    chain = [version.manifest for version in read_chain(act.transaction, party)]
    if not chain:
        raise NotFoundError(f"{party} is not pinned here; pin it with `party add FILE --digest D`")
    return chain


def _check_new(act: Act, manifest: Manifest, document: SignedDocument, chain: Sequence[Manifest]) -> None:
    """Return if the manifest is one that only people can put in the place of the pinned one."""
    pinned = chain[-1]
    if manifest.digest in {item.digest for item in chain}:
        raise ConflictError(f"{manifest.digest} is in the chain of {manifest.party} already; there is nothing to repin")
    with suppress(VerificationError):
        verify_successor(pinned, document, now=act.now)
        raise ConflictError("it follows from the manifest that is pinned: `party add FILE` takes it, and all goes on")
    check_keys(act.transaction, manifest)
    listed = {key for of in manifest.roles.values() for key in of.keys}
    gone = [item.key for item in pinned.revoked if item.key in listed]
    if gone:
        raise ConflictError(
            f"it lists the key {key_id(gone[0])}, which {manifest.party} has called revoked; ask it for one with other"
            " keys"
        )


def _repin(
    node: Node,
    act: Act,
    manifest: Manifest,
    envelope: bytes,
    *,
    chain: Sequence[Manifest],
    url: str | None,
    reason: str,
    said: Approved,
) -> Repinned:
    party, before = manifest.party, chain[-1]
    anew = set(before.roles[Role.LOG].keys).isdisjoint(manifest.roles[Role.LOG].keys)
    seen = receipts.read_seen(act.transaction, party)
    aside = _set_aside(act, before) if anew else 0
    pins.put_before(act.transaction, party, entry=act.position)
    parties.put_party(act.transaction, manifest, envelope=envelope, url=url, now=act.now)
    content = format_pin_content(
        party=party,
        before=before.digest,
        manifest=manifest.digest,
        version=manifest.version,
        seen=[seen[origin].checkpoint for origin in sorted(seen)],
        set_aside=aside,
        reason=reason,
        approvals=said.approvals,
    )
    act.record(EntryType.KEY_ROTATION, content, terms=None, recipient=None, count=1)
    revoked = revoke_good_credentials(act, party)
    agreements.make_due(act.transaction, party, now=act.now)
    in_force = tuple(
        (dossier.id, (standing.current or standing.latest).title)
        for dossier in list_dossiers(node, act.transaction)
        if (standing := dossier.standing(now=act.now)).state is State.IN_FORCE and party in standing.members
    )
    known = parties.read_party(act.transaction, party)
    return Repinned(
        manifest=manifest,
        before=before.digest,
        url=None if known is None else known.url,
        credentials=revoked,
        anew=anew,
        receipts=aside,
        in_force=in_force,
        approvals=said.approvals,
    )


def _set_aside(act: Act, before: Manifest) -> int:
    """How many receipts are from here on evidence of the logs before alone.

    These are named by that of the house, with its key. Logs that begin anew count disclosures anew, and so does what is
    acknowledged of them. What was seen of the logs before, and where these ended, says nothing of them.
    """
    party = before.party
    said = list_successions(act.transaction, party)
    origin = said[-1].recovery.origin if said else first_origin(party)
    key = VerifierKey(name=origin, type=SignatureType.ED25519, public_key=before.roles[Role.LOG].keys[0])
    acknowledgements.forget_sent(act.transaction, party)
    aside = receipts.set_aside(act.transaction, party, f"{origin}+{key.key_hash.hex()}", first=1)
    receipts.forget_logs(act.transaction, party)
    return aside
