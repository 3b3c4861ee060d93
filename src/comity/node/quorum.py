# SPDX-License-Identifier: Apache-2.0
"""Shell: which of the witnesses in this node's trust policy count for what a giver shows.

The policy is a file that people wrote once; what partners say of their keys since then stands in their manifests. A key
that a pinned party calls revoked, or that its newest manifest no longer names as its witness key, counts for nothing;
nor does the giver's own: nobody vouches for itself. What does not count is said where a quorum is missed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from comity.ids import PartyId
from comity.node.witness import find_witness_keys, name_witness
from comity.signing import Manifest
from comity.tlog.note import VerifierKey, format_vkey
from comity.tlog.policy import PolicyWitness, TrustPolicy

__all__ = ["Uncounted", "count_for", "list_uncounted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """A witness of the policy, by its name there, that does not count, and why."""

    name: str
    why: str


def count_for(policy: TrustPolicy, giver: PartyId, manifests: Mapping[PartyId, Manifest]) -> TrustPolicy:
    """The policy with those witnesses alone that count for `giver`; its groups and quorum ask for what they did."""
    away = {item.name for item in list_uncounted(policy, giver, manifests)}
    return replace(policy, witnesses=tuple(each for each in policy.witnesses if each.name not in away))


def list_uncounted(policy: TrustPolicy, giver: PartyId, manifests: Mapping[PartyId, Manifest]) -> tuple[Uncounted, ...]:
    """The witnesses of the policy that do not count for `giver`, by what the pinned manifests say."""
    revoked = {item.key: manifest.party for manifest in manifests.values() for item in manifest.revoked}
    named = {name_witness(party): manifest for party, manifest in manifests.items()}
    return tuple(_weigh(policy, giver, revoked, named))


def _weigh(
    policy: TrustPolicy, giver: PartyId, revoked: Mapping[bytes, PartyId], named: Mapping[str, Manifest]
) -> Iterator[Uncounted]:
    for each in policy.witnesses:
        manifest = named.get(each.key.name)
        if each.key.public_key in revoked:
            why = f"{revoked[each.key.public_key]} has called its key revoked"
            yield Uncounted(name=each.name, why=why + _say_other(each, manifest))
        elif manifest is None:
            continue  # it is run by nobody who is pinned here: the policy alone says who it is
        elif manifest.party == giver:
            yield Uncounted(name=each.name, why=f"it is {giver}'s own")
        elif each.key not in find_witness_keys(manifest):
            why = f"version {manifest.version} of the manifest of {manifest.party} does not name its key"
            yield Uncounted(name=each.name, why=why + _say_other(each, manifest))


def _say_other(each: PolicyWitness, manifest: Manifest | None) -> str:
    keys: tuple[VerifierKey, ...] = () if manifest is None else find_witness_keys(manifest)
    return "".join(f"; the line for it is now: witness {each.name} {format_vkey(key)}" for key in keys)
