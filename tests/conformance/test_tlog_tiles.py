# SPDX-License-Identifier: Apache-2.0
"""The log over HTTP as C2SP tlog-tiles asks for it, of a served node: paths, types, caching, silence, limits."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from comity.config import Limits
from comity.ids import PartyId
from comity.node.node import Node
from comity.node.parties import create_credential
from comity.node.readers import add_reader, remove_reader
from comity.release.disclosure import EntryType
from comity.signing import Role
from comity.tlog.merkle import leaf_hash, root_hash
from comity.tlog.note import parse_checkpoint, parse_note, verify_note
from comity.tlog.tiles import parse_bundle
from tests.served import Served, basic, bearer, without_date
from tests.worlds import World

PREFIX = "/comity/log/aurelia/"
SIZE = 300


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    world = World(tmp_path_factory.mktemp("log"))
    world.found("aurelia", "borealia")
    with closing(world), Served.start(world.nodes["aurelia"]) as served:
        yield served


@pytest.fixture(scope="module")
def reader(served: Served) -> dict[str, str]:
    secret, _ = served.call(lambda: add_reader(served.node, "oversight"))
    served.call(lambda: grow(served.node, SIZE))
    return basic("oversight", secret)


def grow(node: Node, size: int) -> None:
    with node.act() as act:
        row = act.transaction.row("SELECT MAX(size) FROM log_head")
        assert row is not None
        for _ in range(size - int(row[0])):
            act.record(EntryType.PEOPLE, b"{}", terms=None, recipient=None, count=1)


def ask(
    served: Served, path: str, *, method: str = "GET", headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    head, _, body = served.ask(method, PREFIX + path, headers=headers).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {name.lower(): text for name, _, text in (x.partition(": ") for x in lines)}, body


def test_a_reader_can_verify_the_whole_log(served: Served, reader: dict[str, str]) -> None:
    status, headers, note = ask(served, "checkpoint", headers=reader)
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    checkpoint = parse_checkpoint(
        verify_note(parse_note(note), "comity/aurelia", served.node.signers[Role.LOG].public_key)
    )
    assert (checkpoint.origin, checkpoint.size) == ("comity/aurelia", SIZE)
    tiles = dict[tuple[int, int], bytes]()
    for (level, index), path in {(0, 0): "0/000", (0, 1): "0/001.p/44", (1, 0): "1/000.p/1"}.items():
        status, headers, tiles[level, index] = ask(served, f"tile/{path}", headers=reader)
        assert (status, headers["content-type"]) == (200, "application/octet-stream")
    assert root_hash(lambda level, index: tiles[level, index], SIZE) == checkpoint.root
    for index, path in ((0, "tile/entries/000"), (1, "tile/entries/001.p/44")):
        status, headers, bundle = ask(served, path, headers=reader)
        assert (status, headers["content-type"]) == (200, "application/octet-stream")
        assert b"".join(map(leaf_hash, parse_bundle(bundle))) == tiles[0, index]


def test_only_the_reader_may_keep_what_it_got_and_a_checkpoint_is_asked_for_anew(
    served: Served, reader: dict[str, str]
) -> None:
    _, headers, _ = ask(served, "checkpoint", headers=reader)
    assert headers["cache-control"] == "private, no-cache"
    for path in ("tile/0/000", "tile/0/001.p/44", "tile/entries/000", "tile/entries/001.p/44"):
        _, headers, _ = ask(served, path, headers=reader)
        assert headers["cache-control"] == "private, max-age=31536000, immutable"
        assert "authorization" in headers["vary"]


@pytest.mark.parametrize(
    "show", [lambda secret: basic("anything", secret), bearer, lambda secret: {"X-API-Key": secret}]
)
def test_a_secret_is_shown_as_any_other(served: Served, show: object) -> None:
    assert callable(show)
    secret, _ = served.call(lambda: add_reader(served.node, "parliament"))
    assert ask(served, "checkpoint", headers=show(secret))[0] == 200


def test_entries_are_compressed_as_asked(served: Served, reader: dict[str, str]) -> None:
    _, _, plain = ask(served, "tile/entries/000", headers=reader)
    for coding, expand in (
        ("gzip", gzip.decompress),
        ("zstd", zstandard.ZstdDecompressor().decompressobj().decompress),
    ):
        _, headers, body = ask(served, "tile/entries/000", headers={**reader, "Accept-Encoding": coding})
        assert headers["content-encoding"] == coding
        assert expand(body) == plain
        assert len(body) < len(plain) // 2
    _, headers, body = ask(served, "tile/0/000", headers={**reader, "Accept-Encoding": "gzip"})
    assert "content-encoding" not in headers
    assert len(body) == 8_192


def test_head_says_what_get_would(served: Served, reader: dict[str, str]) -> None:
    status, headers, body = ask(served, "tile/0/000", method="HEAD", headers=reader)
    assert (status, headers["content-length"], body) == (200, "8192", b"")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/",
        "tile/0/001",
        "tile/0/001.p/99",
        "tile/0/000.p/256",
        "tile/0/x000/000",
        "tile/0/0",
        "tile/2/000.p/1",
        "tile/entries/001",
        "tile/entries/001.p/99",
        "tile/entries/x999/x999/x999/x999/999",
        "checkpoint/",
        "%63heckpoint",
        "tile/0/%3000",
        "tile%2F0/000",
        "issuer/0",
        "../borealia/checkpoint",
    ],
)
def test_what_is_not_there_is_what_is_nowhere(served: Served, reader: dict[str, str], path: str) -> None:
    nothing = without_date(served.ask("GET", "/nothing/at/all"))
    assert without_date(served.ask("GET", PREFIX + path, headers=reader)) == nothing
    assert without_date(served.ask("GET", f"/comity/log/borealia/{path}", headers=reader)) == nothing


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_log_is_read_and_nothing_else(served: Served, reader: dict[str, str], method: str) -> None:
    nothing = without_date(served.ask(method, "/nothing/at/all"))
    assert without_date(served.ask(method, PREFIX + "checkpoint", headers=reader)) == nothing


def test_who_is_no_reader_gets_what_is_nowhere(served: Served, reader: dict[str, str]) -> None:
    partner = served.call(lambda: create_credential(served.node, PartyId("borealia")))
    gone, permission = served.call(lambda: add_reader(served.node, "parliament"))
    served.call(lambda: remove_reader(served.node, permission.id))
    nothing = without_date(served.ask("GET", "/nothing/at/all"))
    for headers in ({}, basic("oversight", "0" * 64), basic("borealia", partner), basic("parliament", gone)):
        for path in ("checkpoint", "tile/0/000", "tile/entries/000", "tile/entries/001.p/44"):
            assert without_date(served.ask("GET", PREFIX + path, headers=headers)) == nothing
    assert ask(served, "checkpoint", headers=reader)[0] == 200


def test_a_reader_of_the_log_reads_nothing_else(served: Served, reader: dict[str, str]) -> None:
    nothing = without_date(served.ask("GET", "/nothing/at/all"))
    for path in ("/taxii2/oversight/", "/taxii2/aurelia/", "/taxii2/borealia/collections/"):
        assert without_date(served.ask("GET", path, headers=reader)) == nothing
    assert served.ask("GET", "/taxii2/", headers=reader).startswith(b"HTTP/1.1 401 ")


def test_a_reader_is_within_limits_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    node = world.nodes["aurelia"]
    secret, _ = add_reader(node, "oversight")
    partner = create_credential(node, PartyId("borealia"))
    node.settings = replace(node.settings, limits=Limits(requests_per_second=1))
    with closing(world), Served.start(node) as served:
        answers = [ask(served, "checkpoint", headers=bearer(secret)) for _ in range(15)]
        statuses = [status for status, _, _ in answers]
        assert statuses[:10] == [200] * 10
        assert 429 in statuses[10:]
        assert all(int(headers["retry-after"]) >= 1 for status, headers, _ in answers if status == 429)
        assert served.ask("GET", "/taxii2/", headers=bearer(partner)).startswith(b"HTTP/1.1 200 ")
