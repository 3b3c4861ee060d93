# SPDX-License-Identifier: Apache-2.0
"""What a message with next manifests can cost whoever takes it, and who may send one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.canonical import sha256_digest
from comity.errors import BadSignature, UnknownKey, VerificationError
from comity.ids import Digest, Instant, PartyId
from comity.lineage import make_lineage
from comity.manifest import Role, RoleKeys, format_manifest
from comity.node.lineage import receive_lineage
from comity.node.parties import add_party
from comity.signing import (
    MANIFEST_TYPE,
    Signature,
    format_signed_document,
    parse_signed_document,
    sign_document,
)
from comity.store import parties
from tests.signers import SeedSigner
from tests.worlds import World

SENDER, RECEIVER = PartyId("meridia"), PartyId("borealia")
TRANSPORT = SeedSigner("transport")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("borealia")
    yield made
    made.close()


def make_chain(world: World, count: int, *, keys: int, noise: int = 0) -> list[bytes]:
    """Manifests, each following from the one before, with so many keys to sign them, and signatures that are none."""
    signers = [SeedSigner(f"manifest {number}") for number in range(keys)]
    roles = {role: RoleKeys(keys=(SeedSigner(f"{role}").public_key,), threshold=1) for role in Role}
    roles[Role.MANIFEST] = RoleKeys(keys=tuple(signer.public_key for signer in signers), threshold=keys)
    roles[Role.TRANSPORT] = RoleKeys(keys=(TRANSPORT.public_key,), threshold=1)
    envelopes, previous = list[bytes](), None
    for version in range(1, count + 1):
        payload = format_manifest(
            party=SENDER,
            name="Meridia",
            state=None,
            version=version,
            previous=previous,
            issued_at=world.now,
            expires_at=Instant(world.now + 10**14),
            roles=roles,
        )
        document = sign_document(MANIFEST_TYPE, payload, signers)
        none = (Signature(keyid="none", sig=bytes(64)),) * noise
        envelopes.append(format_signed_document(replace(document, signatures=(*none, *document.signatures))))
        previous = Digest(sha256_digest(payload))
    return envelopes


def take(world: World, envelopes: list[bytes], *, signer: SeedSigner = TRANSPORT) -> int:
    """The version that is pinned after the message."""
    message = make_lineage(SENDER, RECEIVER, envelopes, signers=[signer])
    return receive_lineage(world.nodes["borealia"], parse_signed_document(message)).version


def pin(world: World, first: bytes) -> None:
    digest = sha256_digest(parse_signed_document(first).payload)
    add_party(world.nodes["borealia"], first, digest=Digest(digest), url=None)


def test_as_many_steps_as_one_message_may_take_are_taken(world: World) -> None:
    chain = make_chain(world, 16, keys=2)
    pin(world, chain[0])
    assert take(world, chain) == 16
    assert take(world, chain) == 16
    assert take(world, chain[:9]) == 16


def test_signatures_that_would_take_seconds_to_try_are_refused_before_any_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = make_chain(world, 16, keys=16, noise=16)
    pin(world, chain[0])
    tried = list[bytes]()
    monkeypatch.setattr("comity.lineage.verify_successor", lambda *_, **__: tried.append(b""))
    with pytest.raises(VerificationError, match="too many keys and signatures"):
        take(world, chain)
    assert not tried


def test_of_a_message_by_who_does_not_hold_the_key_that_it_names_nothing_is_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = make_chain(world, 3, keys=1)
    pin(world, chain[0])
    monkeypatch.setattr(parties, "read_pinned", lambda *_: pytest.fail("the store was asked"))
    with pytest.raises((UnknownKey, BadSignature)):
        take(world, chain, signer=SeedSigner("somebody else"))


def test_nothing_of_the_chain_but_what_the_message_names_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = make_chain(world, 4, keys=1)
    pin(world, chain[0])
    assert take(world, chain[:3]) == 3
    monkeypatch.setattr(parties, "list_chain", lambda *_: pytest.fail("the whole chain was read"))
    assert take(world, chain) == 4
