# SPDX-License-Identifier: Apache-2.0
"""Shell: this party's next manifest: other keys, a key called revoked, TLS keys, or only a later end.

    rotate_keys(node, [Role.LOG], days=730, by=actor)  -> Rotated | Waiting | Refusal

 1. the new keys are written beside the old ones (`keys`): a crash from here on leaves the old ones in force;
 2. one transaction: people have approved; the manifest, signed by old and new keys, verified as partners will verify
    it; its entry in the log, under a checkpoint by the new log key; the messages to every partner;
 3. COMMIT: the new keys are in force, wherever they lie; a crash from here on leaves them so;
 4. the new keys take the place of the old ones, which are gone.

Where nobody is registered at the node, whoever controls its folder rotates: the keys lie there anyway.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from comity.agreement.people import Approval, Matter, make_matter
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.errors import AuthenticationError, ConflictError, MalformedRequest, ThresholdNotMet, UnknownKey
from comity.ids import Digest, Instant, PartyId, format_instant
from comity.lineage import Version
from comity.manifest import MAX_REVOKED
from comity.node.lineage import endorse_undelivered, put_manifest, read_chain, tell_lineage
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, approve
from comity.signing import (
    MANIFEST_TYPE,
    Manifest,
    Revocation,
    Role,
    RoleKeys,
    Signer,
    format_manifest,
    format_signed_document,
    key_id,
    sign_document,
    verify_successor,
)
from comity.store import parties, people

__all__ = ["LIFETIME_DAYS", "Rotated", "name_tls_keys", "protect_keys", "renew_manifest", "revoke_key", "rotate_keys"]

LIFETIME_DAYS = 730
"""Two years: long enough to exchange a successor in person, short enough that a forgotten key dies."""

_MAX_DAYS = 3_650
_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """The manifest now in force, the roles that have another key, who said yes, and who is told."""

    manifest: Manifest
    roles: tuple[Role, ...]
    approvals: tuple[Approval, ...]
    told: tuple[PartyId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What the next manifest shall change; `since` is from when on the key of the one role is in other hands.

    `tls` are the digests of the TLS keys that it names; None: those of the one before.
    """

    kind: str
    roles: tuple[Role, ...]
    days: int
    since: Instant | None = None
    tls: tuple[Digest, ...] | None = None


def rotate_keys(
    node: Node, roles: Collection[Role], *, days: int = LIFETIME_DAYS, by: Actor | None
) -> Rotated | Waiting | Refusal:
    """The manifest in force, with another key of this node for each of the roles, good for `days`; or what it lacks.

    Raises:
        MalformedRequest: no role, or not from 1 to 3650 days.
        AuthenticationError: people are registered here, and nobody said who acts.
        ThresholdNotMet, UnknownKey: the manifest role needs more keys than this node has.
        ConfigError: the keys in the folder.
    """
    if not roles:
        raise MalformedRequest("name the roles whose keys are to be replaced", where="ROLE")
    return _succeed(node, _Plan(kind="rotate", roles=_sort(roles), days=days), by=by)


def renew_manifest(node: Node, *, days: int = LIFETIME_DAYS, by: Actor | None) -> Rotated | Waiting | Refusal:
    """The same keys in a next manifest, good for `days`.

    Raises:
        ComityError: as `rotate_keys`.
    """
    return _succeed(node, _Plan(kind="renew", roles=(), days=days), by=by)


def revoke_key(
    node: Node, role: Role, *, since: Instant, days: int = LIFETIME_DAYS, by: Actor | None
) -> Rotated | Waiting | Refusal:
    """The manifest in force, with another key for the role, and the one before it called revoked since `since`.

    Raises:
        MalformedRequest: `since` is in the future.
        ComityError: as `rotate_keys`.
    """
    if since > node.clock():
        raise MalformedRequest("a key is revoked from a time on that has come; give an earlier one", where="--since")
    return _succeed(node, _Plan(kind="revoke-key", roles=(role,), days=days, since=since), by=by)


def name_tls_keys(
    node: Node, keys: Collection[Digest], *, days: int = LIFETIME_DAYS, by: Actor | None
) -> Rotated | Waiting | Refusal:
    """The same keys in a next manifest, which names the TLS keys that this party's server may show; or none, for any.

    Partners whose nodes know of it connect to no other from when they have it. Nothing here looks at the server.

    Raises:
        MalformedManifest: too many, or one twice.
        ComityError: as `rotate_keys`.
    """
    return _succeed(node, _Plan(kind="tls", roles=(), days=days, tls=tuple(keys)), by=by)


def protect_keys(node: Node, passphrase: bytes | None) -> None:
    """Encrypt this node's keys under the passphrase, or with None leave them plain.

    Raises:
        ConfigError: the keys cannot be read or written.
    """
    with node.store.read() as transaction:
        chain = read_chain(transaction, node.party)
    node.keyring.protect(chain[-1].manifest.roles, passphrase)


def _succeed(node: Node, plan: _Plan, *, by: Actor | None) -> Rotated | Waiting | Refusal:
    if not 0 < plan.days <= _MAX_DAYS:
        raise MalformedRequest(f"a manifest is good for 1 to {_MAX_DAYS} days, not {plan.days}", where="--days")
    with node.store.read() as transaction:
        named = read_chain(transaction, node.party)[-1].manifest.roles
    staged = node.keyring.stage(plan.roles, named)
    # A failure below leaves the staged keys where they are: COMMIT may have failed to say that it was done, and then
    # they are the ones in force. What is not in force is deleted by the next opening or rotation.
    with node.act() as act:
        current = read_chain(act.transaction, node.party)[-1].manifest
        decided = _decide(act, plan, current, by=by)
        done = (
            _write(node, act, plan, current, staged=staged, approvals=decided.approvals)
            if isinstance(decided, Approved)
            else decided
        )
    if not isinstance(done, Rotated):
        node.keyring.drop(plan.roles)
        return done
    with suppress(OSError):
        node.keyring.adopt(plan.roles)
    return done


def _decide(act: Act, plan: _Plan, current: Manifest, *, by: Actor | None) -> Approved | Waiting | Refusal:
    if by is not None:
        return approve(act, by, _describe(plan, current))
    if any(item.removed_at is None for item in people.list_persons(act.transaction)):
        raise AuthenticationError("this act needs a person: say who acts by `comity --as BADGE …`, or set COMITY_AS")
    return Approved(approvals=())


def _describe(plan: _Plan, current: Manifest) -> Matter:
    """What people approve. The keys themselves are made when enough of them have, by the node that holds them."""
    facts: Mapping[str, Json] = {
        "title": f"version {current.version + 1} of the manifest of {current.party}",
        "previous": current.digest,
        "roles": [role.value for role in plan.roles],
        "days": plan.days,
        "since": None if plan.since is None else format_instant(plan.since),
        **({} if plan.tls is None else {"tls": list[Json](plan.tls)}),
    }
    return make_matter(plan.kind, agreement=None, facts=facts)


def _write(
    node: Node,
    act: Act,
    plan: _Plan,
    current: Manifest,
    *,
    staged: Mapping[Role, Signer],
    approvals: tuple[Approval, ...],
) -> Rotated:
    signers = {**node.signers, **staged}
    version = _sign(node, act, plan, current, signers)
    put_manifest(act, version, before=current, url=None, approvals=approvals)
    endorse_undelivered(node, act, staged)
    told = tuple(item.id for item in parties.list_parties(act.transaction) if item.id != node.party)
    for party in told:
        tell_lineage(node, act, party, signer=signers[Role.TRANSPORT])
    return Rotated(manifest=version.manifest, roles=plan.roles, approvals=approvals, told=told)


def _sign(node: Node, act: Act, plan: _Plan, current: Manifest, signers: Mapping[Role, Signer]) -> Version:
    old = {role: node.signers[role].public_key for role in plan.roles if role in node.signers}
    revoked = tuple(Revocation(key=key, since=plan.since) for key in old.values() if plan.since is not None)
    if len(current.revoked) + len(revoked) > MAX_REVOKED:
        raise ConflictError(f"{MAX_REVOKED} keys of this party are revoked, which is the bound; found another party id")
    payload = format_manifest(
        party=current.party,
        name=current.name,
        state=current.state,
        version=current.version + 1,
        previous=Digest(current.digest),
        issued_at=act.now,
        expires_at=Instant(act.now + plan.days * _DAY),
        roles={
            role: _name_keys(role, current, old=old.get(role), new=signers.get(role)) for role in _list(plan, current)
        },
        revoked=(*current.revoked, *revoked),
        tls=current.tls if plan.tls is None else plan.tls,
    )
    by = {signer.public_key: signer for signer in (node.signers[Role.MANIFEST], signers[Role.MANIFEST])}
    document = sign_document(MANIFEST_TYPE, payload, list(by.values()))
    try:
        manifest = verify_successor(current, document, now=act.now)
    except (ThresholdNotMet, UnknownKey) as error:
        raise ThresholdNotMet(
            f"{error.detail}; this node holds key {key_id(node.signers[Role.MANIFEST].public_key)} alone: the holders"
            " of the others have to sign by hand, and the next manifest is brought to partners by `party add`"
        ) from error
    return Version(manifest=manifest, envelope=format_signed_document(document))


def _list(plan: _Plan, current: Manifest) -> tuple[Role, ...]:
    """The roles of the next manifest: a key to witness by can come to one that had none."""
    return _sort({*current.roles, *plan.roles})


def _name_keys(role: Role, current: Manifest, *, old: bytes | None, new: Signer | None) -> RoleKeys:
    """The keys of a role with this node's own replaced, or a first one; those that others hold stay."""
    keys = current.roles.get(role)
    if new is None:
        return current.roles[role]  # a key to witness by that the folder does not have
    if keys is None:
        return RoleKeys(keys=(new.public_key,), threshold=1)
    return RoleKeys(keys=tuple(new.public_key if key == old else key for key in keys.keys), threshold=keys.threshold)


def _sort(roles: Collection[Role]) -> tuple[Role, ...]:
    return tuple(role for role in Role if role in roles)
