# SPDX-License-Identifier: Apache-2.0
"""TLS keys that a manifest names, over real TLS: nothing is said to who shows another, whatever vouches for it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from comity import peers
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.calls import fetch, open_client
from comity.canonical import sha256_digest
from comity.config import TlsFiles
from comity.errors import MalformedManifest, MalformedRequest, PeerUnreachable
from comity.ids import Digest, PartyId
from comity.manifest import MAX_TLS_KEYS
from comity.node.parties import add_party, export_manifest, find_party
from comity.node.people import Waiting
from comity.node.rotation import Rotated, name_tls_keys, renew_manifest
from comity.node.tlskeys import read_tls_keys
from comity.operations.reply import Exit
from comity.taxii.tls import find_key_digest, read_key_digest
from tests.certificates import Authority
from tests.e2e.conftest import comity, comity_as
from tests.served import Served
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

A, B = PartyId("aurelia"), PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia has something for borealia, which trusts one authority."""
    made = World(tmp_path)
    made.found(A, B, "meridia")
    made.sign_all(made.terms())
    made.add(A, make_object("a"))
    node = made.nodes[B]
    node.settings = replace(node.settings, authorities=Authority.found(tmp_path / "ca").trusted)
    yield made
    made.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The one that borealia trusts: it vouches for whatever it is asked to."""
    return Authority.found(tmp_path / "ca")


def digest(files: TlsFiles) -> Digest:
    """As anybody works it out: the SHA-256 of SubjectPublicKeyInfo in DER."""
    key = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0].public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256_digest(key.public_bytes(serialization.Encoding.DER, form))


def name_keys(world: World, *keys: Digest) -> Rotated:
    """The next manifest of aurelia, by two people, delivered to everybody."""
    done = world.both(A, lambda by: name_tls_keys(world.nodes[A], keys, by=by))  # type: ignore[arg-type, return-value]
    assert isinstance(done, Rotated), done
    world.deliver()
    return done


@contextmanager
def served(world: World, files: TlsFiles | None) -> Iterator[Served]:
    """Aurelia's node with this certificate; borealia is told its address."""
    node = world.nodes[A]
    node.settings = replace(node.settings, tls=files)
    with Served.start(node) as running:
        add_party(world.nodes[B], export_manifest(node), digest=None, url=running.url)
        yield running


def pull(world: World) -> str:
    """What came of a pull of borealia: how many objects, or why none."""
    try:
        (pulled,) = asyncio.run(peers.pull(world.nodes[B], A))
    except PeerUnreachable as error:
        return error.detail
    return str(len(pulled.added))


def count_asked(world: World) -> int:
    """What aurelia has on record as given."""
    row = world.nodes[A].store.row("SELECT COUNT(*) FROM log_entry")
    assert row is not None
    return int(row[0])


def test_a_server_with_another_key_is_told_nothing_whoever_vouches_for_it(world: World, authority: Authority) -> None:
    right, other = authority.issue("right"), authority.issue("other")
    name_keys(world, digest(right))
    assert find_party(world.nodes[B], A).manifest.tls == (digest(right),)
    with served(world, other) as running:
        before = running.call(lambda: count_asked(world))
        said = pull(world)
        assert f"it shows the TLS key {digest(other)}" in said
        assert "manifest of aurelia" in said
        assert running.call(lambda: count_asked(world)) == before
    with served(world, right):
        assert pull(world) == "1"


def test_messages_are_not_handed_to_another_key_either(world: World, authority: Authority) -> None:
    right, other = authority.issue("right"), authority.issue("other")
    name_keys(world, digest(right))
    done = world.both(B, lambda by: renew_manifest(world.nodes[B], by=by))  # type: ignore[arg-type, return-value]
    assert isinstance(done, Rotated), done
    with served(world, other):
        assert asyncio.run(peers.deliver(world.nodes[B])) == 0
    world.tick(400_000_000)
    with served(world, right):
        assert asyncio.run(peers.deliver(world.nodes[B])) == 1


def test_a_key_is_replaced_by_naming_both_meanwhile(world: World, authority: Authority) -> None:
    first, second = authority.issue("first"), authority.issue("second")
    name_keys(world, digest(first))
    name_keys(world, digest(first), digest(second))
    with served(world, first):
        assert pull(world) == "1"
    with served(world, second):
        assert pull(world) == "0"
    name_keys(world, digest(second))
    with served(world, first):
        assert "TLS key" in pull(world)
    with served(world, second):
        assert pull(world) == "0"


def test_a_manifest_without_keys_leaves_it_to_the_authorities(
    world: World, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority.found(tmp_path / "other")
    name_keys(world, digest(authority.issue("right")))
    assert name_keys(world).manifest.tls == ()
    with served(world, authority.issue("any")):
        assert pull(world) == "1"
    with served(world, stranger.issue("unknown")):
        assert "certificate verify failed" in pull(world)


def test_the_authority_is_asked_beside_the_key(world: World, authority: Authority, tmp_path: Path) -> None:
    files = Authority.found(tmp_path / "other").issue("unknown")
    name_keys(world, digest(files), digest(authority.issue("right")))
    with served(world, files):
        assert "certificate verify failed" in pull(world)


def test_without_tls_nothing_is_said_to_who_has_named_a_key(world: World, authority: Authority) -> None:
    name_keys(world, digest(authority.issue("right")))
    with served(world, None) as running:
        assert running.url.startswith("http://")
        assert "this URL is without TLS" in pull(world)


def test_a_key_at_an_address_of_two_parties_has_to_be_named_by_both(world: World, authority: Authority) -> None:
    right = authority.issue("right")
    name_keys(world, digest(right))
    with served(world, right) as running:
        node = world.nodes["meridia"]
        add_party(world.nodes[B], export_manifest(node), digest=None, url=running.url)
        assert pull(world) == "1"  # meridia names none
        done = world.both("meridia", lambda by: name_tls_keys(node, [Digest("ab" * 32)], by=by))  # type: ignore[arg-type, return-value]
        assert isinstance(done, Rotated), done
        add_party(world.nodes[B], export_manifest(node), digest=None, url=None)
        (found,) = read_tls_keys(world.nodes[B]).values()
        assert (found.parties, found.keys) == ((A, "meridia"), frozenset())
        assert "aurelia and of meridia" in pull(world)


def test_whoever_else_is_called_is_not_asked_for_a_key(world: World, authority: Authority) -> None:
    """A plain source, say, at an address that is no partner's."""
    name_keys(world, digest(authority.issue("right")))
    with served(world, authority.issue("other")) as running:
        add_party(world.nodes[B], export_manifest(world.nodes[A]), digest=None, url="https://127.0.0.1:1")

        async def run() -> int:
            async with open_client(world.nodes[B]) as client:
                return (await fetch(client, f"{running.url}/taxii2/", headers={})).status_code

        assert asyncio.run(run()) == 401


def test_it_takes_two_people_one_as_legal(world: World) -> None:
    done = name_tls_keys(world.nodes[A], [Digest("ab" * 32)], by=world.actor(A))
    assert isinstance(done, Waiting | Refusal)
    assert find_party(world.nodes[A], A).manifest.tls == ()


@pytest.mark.parametrize("keys", [["ab" * 32] * 2, ["cd" * 32, *(f"{number:064x}" for number in range(MAX_TLS_KEYS))]])
def test_what_is_no_list_of_keys_is_no_manifest(world: World, keys: list[str]) -> None:
    with pytest.raises(MalformedManifest, match="/tls"):
        world.both(A, lambda by: name_tls_keys(world.nodes[A], [*map(Digest, keys)], by=by))  # type: ignore[arg-type, return-value]


def test_the_digest_is_that_of_the_key_and_not_of_the_certificate(authority: Authority) -> None:
    files = authority.issue("right")
    pem = files.certificate.read_bytes()
    assert read_key_digest(pem, where="FILE") == digest(files)
    certificate = x509.load_pem_x509_certificates(pem)[0]
    assert find_key_digest(certificate.public_bytes(serialization.Encoding.DER)) == digest(files)
    assert find_key_digest(b"no certificate") is None
    with pytest.raises(MalformedRequest, match="no certificate"):
        read_key_digest(b"nothing", where="FILE")


def test_people_name_keys_by_the_certificates_of_the_server(world: World, authority: Authority, tmp_path: Path) -> None:
    """As they type it: two people, then any key again."""
    first, second = authority.issue("first"), authority.issue("second")
    world.close()
    words = ("party", "tls", first.certificate, second.certificate)
    assert comity_as(Role.LIAISON, tmp_path / A, *words).code == Exit.WAITING
    done = comity_as(Role.LEGAL, tmp_path / A, *words, "--json").result
    assert (done["tls"], done["roles"], done["told"]) == ([digest(first), digest(second)], [], [B, "meridia"])
    said = comity(tmp_path / A, "party", "tls", first.certificate).out
    assert f"its server shows the TLS key {digest(first)}" in said
    listed = comity(tmp_path / A, "party", "list", "--json").result["parties"]
    assert {item["party"]: item["tls"] for item in listed} == {A: [digest(first)], B: [], "meridia": []}
    assert comity(tmp_path / A, "party", "tls", "--any", "--json").result["tls"] == []
    for wrong in ((), (first.certificate, "--any"), (first.key,)):
        refused = comity(tmp_path / A, "party", "tls", *wrong, "--json")
        assert (refused.code, refused.error["code"]) == (Exit.USAGE, "malformed-request"), refused
