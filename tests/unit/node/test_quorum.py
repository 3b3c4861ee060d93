# SPDX-License-Identifier: Apache-2.0
"""A trust policy is held against what partners say of their keys: old, revoked and the giver's own keys count not."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity import pages, peers
from comity.agreement.people import Role
from comity.config import WitnessSetting
from comity.errors import ConfigError
from comity.ids import PartyId
from comity.node.delivery import read_trust_policy
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest, find_party, list_parties
from comity.node.quorum import count_for, list_uncounted
from comity.node.rotation import Rotated, revoke_key, rotate_keys
from comity.node.witness import find_witness_keys
from comity.signing import Role as KeyRole
from comity.tlog.note import SignatureType, VerifierKey, format_vkey
from comity.tlog.policy import TrustPolicy, parse_trust_policy
from comity.witnessing import gather_cosignatures
from tests.served import Served
from tests.signers import SeedSigner
from tests.unit.test_witnessing import locate, name_witnesses
from tests.worlds import World, make_object

AURELIA, MERIDIA = PartyId("aurelia"), PartyId("meridia")
NORTH = VerifierKey(
    name="witness.north.example",
    type=SignatureType.ED25519_COSIGNATURE,
    public_key=SeedSigner("north").public_key,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.add("aurelia", make_object("first"))
    made.sign_all(made.terms())
    yield made
    made.close()


def key_of(world: World, name: str) -> VerifierKey:
    (key,) = find_witness_keys(find_party(world.nodes["borealia"], PartyId(name)).manifest)
    return key


def uncounted(world: World, policy: TrustPolicy, giver: PartyId = AURELIA) -> dict[str, str]:
    manifests = {known.manifest.party: known.manifest for known in list_parties(world.nodes["borealia"])}
    found = {item.name: item.why for item in list_uncounted(policy, giver, manifests)}
    counted = {each.name for each in count_for(policy, giver, manifests).witnesses}
    assert counted == {each.name for each in policy.witnesses} - set(found)
    return found


def write_policy(world: World, *lines: str) -> TrustPolicy:
    data = "".join(f"{line}\n" for line in lines).encode()
    (world.nodes["borealia"].folder / "witnesses.policy").write_bytes(data)
    return parse_trust_policy(data)


def test_a_giver_does_not_vouch_for_itself(world: World) -> None:
    lines = [f"witness {name} {format_vkey(key_of(world, name))}" for name in ("aurelia", "meridia")]
    policy = write_policy(world, *lines, f"witness north {format_vkey(NORTH)}", "quorum none")
    assert uncounted(world, policy) == {"aurelia": "it is aurelia's own"}
    assert uncounted(world, policy, MERIDIA) == {"meridia": "it is meridia's own"}


@pytest.mark.parametrize("revoked", [False, True])
def test_a_key_that_its_party_replaced_counts_no_more(world: World, revoked: bool) -> None:
    policy = write_policy(world, f"witness m {format_vkey(key_of(world, 'meridia'))}", "quorum m")
    assert uncounted(world, policy) == {}
    node = world.nodes["meridia"]
    done: object
    if revoked:
        done = revoke_key(node, KeyRole.WITNESS, since=world.now, by=world.actor("meridia"))
    else:
        rotate_keys(node, [KeyRole.WITNESS], by=world.actor("meridia", Role.LIAISON))
        done = rotate_keys(node, [KeyRole.WITNESS], by=world.actor("meridia", Role.LEGAL))
    assert isinstance(done, Rotated)
    world.deliver()
    (why,) = uncounted(world, policy).values()
    assert ("revoked" if revoked else "does not name its key") in why
    line = why.rpartition("now: ")[2]
    assert line == f"witness m {format_vkey(key_of(world, 'meridia'))}"
    assert uncounted(world, write_policy(world, line, "quorum m")) == {}


def test_a_pull_asks_for_the_key_that_is_in_force(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the old key of a witness can cosign by it whatever it likes: the page is not taken in."""
    monkeypatch.setattr(pages, "_WITNESS_WAITS", ())
    borealia, meridia = world.nodes["borealia"], world.nodes["meridia"]
    assert say_refused(world, borealia) is None
    world.add("aurelia", make_object("second"))
    write_policy(world, f"witness m {format_vkey(key_of(world, 'meridia'))}", "quorum m")
    with Served.start(meridia) as witness:
        locate(world, "meridia", witness.url)
        name_witnesses(world, WitnessSetting(party=MERIDIA))
        assert say_refused(world, borealia) == "witnesses"
        assert asyncio.run(gather_cosignatures(world.nodes["aurelia"])).cosigned
        # Its cosignature is by the key that the policy names; then borealia learns that it is in other hands.
        witness.call(lambda: revoke_key(meridia, KeyRole.WITNESS, since=world.now, by=world.actor("meridia")))
    world.deliver()
    refused = pull(world, borealia).refused
    assert refused is not None
    assert refused.facts["part"] == "witnesses"
    assert "m in witnesses.policy does not count: meridia has called its key revoked" in refused.detail
    assert f"witness m {format_vkey(key_of(world, 'meridia'))}" in refused.detail
    # The receipt of the page before was cosigned by the key of then, and is not kept either.
    with borealia.store.read() as transaction:
        assert transaction.rows("SELECT sequence FROM receipt") == [(1,)]


def test_one_party_with_two_keys_is_no_quorum_of_two(world: World) -> None:
    before = key_of(world, "meridia")
    revoke_key(world.nodes["meridia"], KeyRole.WITNESS, since=world.now, by=world.actor("meridia"))
    world.deliver()
    lines = [f"witness m{n} {format_vkey(key)}" for n, key in enumerate((before, key_of(world, "meridia")))]
    path = world.nodes["borealia"].folder / "witnesses.policy"
    path.write_text("\n".join([*lines, "group both 2 m0 m1", "quorum both", ""]))
    with pytest.raises(ConfigError, match="comity/meridia/witness would count twice"):
        read_trust_policy(world.nodes["borealia"])
    path.write_text("\n".join([*lines, "group either any m0 m1", "quorum either", ""]))
    assert read_trust_policy(world.nodes["borealia"]) is not None


def pull(world: World, node: Node) -> peers.Pulled:
    world.tick()
    with Served.start(world.nodes["aurelia"]) as served:
        add_party(node, export_manifest(world.nodes["aurelia"]), digest=None, url=served.url)
        (pulled,) = asyncio.run(peers.pull(node, AURELIA))
    return pulled


def say_refused(world: World, node: Node) -> str | None:
    refused = pull(world, node).refused
    return None if refused is None else str(refused.facts["part"])
