# SPDX-License-Identifier: Apache-2.0
"""The TLS keys that a manifest may name. All else of manifests is tested with their signatures, in `test_signing`."""

import json
from typing import Any

import pytest

from comity.canonical import canonical_bytes
from comity.errors import MalformedManifest
from comity.ids import Digest
from comity.manifest import MAX_TLS_KEYS, format_manifest, parse_manifest
from tests.parties import AURELIA, MANIFESTS

ONE, TWO = Digest("0a" * 32), Digest("0b" * 32)


def make(*tls: Digest) -> bytes:
    known = MANIFESTS[AURELIA]
    return format_manifest(
        party=known.party,
        name=known.name,
        state=known.state,
        version=known.version,
        previous=known.previous,
        issued_at=known.issued_at,
        expires_at=known.expires_at,
        roles=known.roles,
        tls=tls,
    )


def test_what_is_named_is_read_in_its_order_and_none_leaves_the_bytes_as_they_were() -> None:
    assert parse_manifest(make(TWO, ONE)).tls == (TWO, ONE)
    assert parse_manifest(make()).digest == MANIFESTS[AURELIA].digest
    assert b"tls" not in make()


@pytest.mark.parametrize(
    ("tls", "where"),
    [
        ([], "/tls"),
        (None, "/tls"),
        ("0a" * 32, "/tls"),
        ({"0a" * 32: 1}, "/tls"),
        (["0a" * 32, "0a" * 32], "/tls"),
        ([f"{number:064x}" for number in range(MAX_TLS_KEYS + 1)], "/tls"),
        (["0A" * 32], "/tls/0"),
        (["0a" * 32, "0b" * 31], "/tls/1"),
        ([7], "/tls/0"),
        ([None], "/tls/0"),
    ],
)
def test_anything_else_is_no_manifest(tls: Any, where: str) -> None:  # noqa: ANN401 (whatever JSON holds)
    value = json.loads(make()) | {"tls": tls}
    with pytest.raises(MalformedManifest) as caught:
        parse_manifest(canonical_bytes(value))
    assert caught.value.where == where
