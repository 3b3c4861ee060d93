# SPDX-License-Identifier: Apache-2.0
"""TLS keys are looked up by the address that is connected to, however the URL of the partner writes it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpcore
import pytest

from comity import calls
from comity.errors import PeerUnreachable
from comity.ids import Digest
from comity.node.parties import add_party, export_manifest
from comity.node.rotation import name_tls_keys
from comity.node.tlskeys import read_tls_keys
from tests.worlds import World

KEY = Digest("ab" * 32)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    made.both("aurelia", lambda by: name_tls_keys(made.nodes["aurelia"], (KEY,), by=by))  # type: ignore[arg-type, return-value]
    made.deliver()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://b.example", ("b.example", 443)),
        ("https://B.Example:8443", ("b.example", 8443)),
        ("https://bücher.example:8443", ("xn--bcher-kva.example", 8443)),
        ("https://xn--bcher-kva.example", ("xn--bcher-kva.example", 443)),
        ("https://faß.example", ("xn--fa-hia.example", 443)),
        ("https://[2001:DB8::1]:8443", ("2001:db8::1", 8443)),
        ("http://bücher.example", ("xn--bcher-kva.example", 80)),
    ],
)
def test_the_keys_are_asked_for_where_is_connected_to(
    world: World, url: str, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, looked = world.nodes["borealia"], list[tuple[str, int]]()
    add_party(node, export_manifest(world.nodes["aurelia"]), digest=None, url=url)
    assert [(known, keys.keys) for known, keys in read_tls_keys(node).items()] == [(address, frozenset({KEY}))]

    async def look_up(host: str, port: int) -> list[str]:
        looked.append((host.lower(), port))
        raise httpcore.ConnectError("no further")

    monkeypatch.setattr(calls, "_look_up", look_up)

    async def run() -> str:
        async with calls.open_client(node) as client:
            try:
                await calls.fetch(client, f"{url}/taxii2/", headers={})
            except PeerUnreachable as error:
                return error.detail
            return ""

    said = asyncio.run(run())
    plain = url.startswith("http:")
    assert ("this URL is without TLS" in said) is plain
    assert looked == ([] if plain else [address])
