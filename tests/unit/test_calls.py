# SPDX-License-Identifier: Apache-2.0
"""Outbound calls: bounded in size and time whatever they are packed into, and to no address that was not looked at."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
import zstandard

from comity import calls
from comity.errors import PeerUnreachable
from comity.node.node import Node
from tests.worlds import World

MIB = 1024 * 1024


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = World(tmp_path)
    made.found("aurelia")
    yield made.nodes["aurelia"]
    made.close()


@asynccontextmanager
async def answering(*parts: bytes, pause: float = 0.0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says these bytes to everybody, one part after another, and the heads of what it was asked."""
    heads = list[bytes]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", heads
    finally:
        server.close()


def head(status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def ask(node: Node, *parts: bytes, most: int = MIB, pause: float = 0.0) -> httpx.Response | str:
    """The answer to one call, or why there is none."""

    async def run() -> httpx.Response | str:
        async with (
            answering(*parts, pause=pause) as (url, _),
            calls.open_client(node) as client,
            calls.Room(1).enter() as hold,
        ):
            try:
                return await calls.fetch(client, url, headers={}, most=most, hold=hold)
            except PeerUnreachable as error:
                return error.detail

    return asyncio.run(run())


def test_an_answer_is_unpacked(node: Node) -> None:
    packed = gzip.compress(b"x" * 1_000)
    answer = ask(node, head(content_encoding="gzip", content_length=str(len(packed))), packed)
    assert isinstance(answer, httpx.Response)
    assert answer.content == b"x" * 1_000
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([head("302 Found", location="http://other.example/")], "leads elsewhere"),
        ([head("307 Temporary Redirect", location="file:///etc/passwd")], "leads elsewhere"),
        ([head("308 Permanent Redirect", location="/")], "leads elsewhere"),
        ([head("304 Not Modified")], "leads elsewhere"),
        ([head(content_encoding="gzip"), gzip.compress(bytes(64 * MIB))], "over 1048576 bytes"),
        ([head(content_encoding="zstd"), zstandard.compress(bytes(64 * MIB))], "the coding 'zstd'"),
        ([head(content_encoding="gzip, gzip"), b"x"], "the coding"),
        ([head(content_encoding="gzip"), b"this is no gzip"], "no gzip"),
        ([head(content_encoding="gzip"), gzip.compress(b"x" * 100)[:-4]], "before the end"),
        ([head(content_length="10"), b"short"], "did not answer"),
        ([b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000], "did not answer"),
        ([b"this is no HTTP\r\n\r\n"], "did not answer"),
        ([], "did not answer"),
    ],
)
def test_what_is_none_or_over_a_bound_is_refused(node: Node, parts: list[bytes], said: str) -> None:
    answer = ask(node, *parts)
    assert isinstance(answer, str), answer
    assert said in answer


def test_a_body_without_end_is_cut_at_the_bound(node: Node) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = ask(node, head(transfer_encoding="chunked"), *[chunk] * 20)
    assert isinstance(answer, str)
    assert "over 1048576 bytes" in answer


def test_a_body_that_comes_too_slowly_for_others_to_wait_is_cut(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_SLOW_SECONDS", 0.3)
    large = head(content_length=str(20 * MIB)) + b"x" * (calls.FREE_BYTES + 1)
    began = time.monotonic()
    answer = ask(node, large, *[b"x"] * 1_000, pause=0.05, most=32 * MIB)
    assert isinstance(answer, str)
    assert "too slowly" in answer
    assert time.monotonic() - began < 20


def test_a_call_has_an_end_however_its_answer_drips(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "TOTAL_SECONDS", 0.5)
    began = time.monotonic()
    answer = ask(node, head(content_length="1000"), *[b"x"] * 1_000, pause=0.05)
    assert isinstance(answer, str)
    assert time.monotonic() - began < 20


def test_short_answers_need_no_place_in_the_room(node: Node) -> None:
    async def run() -> int:
        room = calls.Room(1)
        async with (
            room.enter() as first,
            room.enter() as second,
            answering(head(content_length="5"), b"hello") as (url, _),
        ):
            assert await first.count(calls.FREE_BYTES + 1)
            async with calls.open_client(node) as client:
                answer = await calls.fetch(client, url, headers={}, hold=second)
            waiting = asyncio.create_task(second.count(calls.FREE_BYTES))
            done, _rest = await asyncio.wait({waiting}, timeout=0.1)
            assert not done
            first.release()
            assert await waiting
            return len(answer.content)

    assert asyncio.run(run()) == 5


def test_a_packed_answer_takes_a_place_by_what_it_is_unpacked(node: Node) -> None:
    """And waits for it before more than that is unpacked."""
    whole = b" " * (20 * MIB)
    packed = gzip.compress(whole)
    assert len(packed) < calls.FREE_BYTES

    async def run() -> bytes:
        room = calls.Room(1)
        parts = head(content_encoding="gzip", content_length=str(len(packed))), packed
        async with (
            room.enter() as first,
            room.enter() as second,
            answering(*parts) as (url, _),
            calls.open_client(node) as client,
        ):
            assert (await calls.fetch(client, url, headers={}, hold=first)).content == whole
            waiting = asyncio.create_task(calls.fetch(client, url, headers={}, hold=second))
            done, _rest = await asyncio.wait({waiting}, timeout=0.3)
            assert not done
            assert second._unpacked <= calls.FREE_BYTES + calls._UNPACKED_BYTES
            first.release()
            return (await waiting).content

    assert asyncio.run(run()) == whole


def test_no_proxy_of_the_environment_is_asked(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> tuple[int, int]:
        async with (
            answering(head(content_length="0")) as (proxy, through),
            answering(head(content_length="0")) as (url, heads),
        ):
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
                monkeypatch.setenv(name, proxy)
            async with calls.open_client(node) as client:
                await calls.fetch(client, url, headers={})
            return len(through), len(heads)

    assert asyncio.run(run()) == (0, 1)


@pytest.mark.parametrize(
    ("address", "named", "safe"),
    [
        ("192.0.2.7", "partner.example", True),
        ("10.1.2.3", "partner.example", True),
        ("2001:db8::7", "partner.example", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("::1", "[::1]", True),
        ("127.0.0.1", "partner.example", False),
        ("127.0.0.2", "partner.example", False),
        ("::1", "partner.example", False),
        ("::ffff:127.0.0.1", "partner.example", False),
        ("169.254.169.254", "169.254.169.254", False),
        ("169.254.169.254", "partner.example", False),
        ("::ffff:169.254.169.254", "partner.example", False),
        ("64:ff9b::a9fe:a9fe", "partner.example", False),
        ("2002:a9fe:a9fe::1", "partner.example", False),
        ("fe80::1", "partner.example", False),
        ("fe80::1%eth0", "partner.example", False),
        ("fd00:ec2::254", "partner.example", False),
        ("100.100.100.200", "partner.example", False),
        ("192.0.0.192", "partner.example", False),
        ("0.0.0.0", "partner.example", False),  # noqa: S104 (an address that is refused)
        ("::", "partner.example", False),
        ("224.0.0.1", "partner.example", False),
        ("ff02::1", "partner.example", False),
        ("240.0.0.1", "partner.example", False),
        ("255.255.255.255", "partner.example", False),
    ],
)
def test_what_is_connected_to(address: str, named: str, *, safe: bool) -> None:
    assert (calls.find_danger(address, named=named) is None) is safe


def test_a_name_that_leads_to_this_machine_is_not_connected_to(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that has a harmless address beside; and what was looked at is what is connected to."""
    looked = list[str]()

    def look_up(*addresses: str) -> Callable[..., Any]:
        async def getaddrinfo(_: object, host: str, port: int, **__: object) -> list[Any]:
            looked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

        return getaddrinfo

    async def run(*addresses: str) -> tuple[str, int]:
        async with answering(head(content_length="0")) as (url, heads), calls.open_client(node) as client:
            monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", look_up(*addresses))
            try:
                await calls.fetch(client, url.replace("127.0.0.1", "partner.example"), headers={})
            except PeerUnreachable as error:
                return error.detail, len(heads)
            return "", len(heads)

    for addresses in (("127.0.0.1",), ("192.0.2.7", "127.0.0.1"), ("169.254.169.254",)):
        said, asked = asyncio.run(run(*addresses))
        assert "where nothing is asked" in said
        assert asked == 0
    assert looked == ["partner.example"] * 3


def test_authorities_are_read_anew_when_their_file_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    usual = calls._trust(None)
    assert calls._trust(None) is usual
    file.write_bytes(Path(certifi.where()).read_bytes())
    first = calls._trust(file)
    assert calls._trust(file) is first
    file.touch()
    assert calls._trust(file) is not first
