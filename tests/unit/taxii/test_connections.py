# SPDX-License-Identifier: Apache-2.0
"""Connections: who sends too slowly is cut, who opens too many is not let in, and nobody else notices."""

import contextlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

import pytest

from comity.config import Limits, Proxy
from comity.ids import PartyId
from comity.node.node import Node
from comity.node.parties import create_credential
from comity.taxii.connections import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED
from tests.certificates import Authority, write_private
from tests.served import Served, basic, format_request, read_all
from tests.worlds import World

Serve = Callable[..., Served]
ASK = format_request("GET", "/", headers={})


@pytest.fixture(params=["plain", "tls"])
def serve(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    world = World(tmp_path_factory.mktemp("connections"))
    world.found("aurelia")
    node: Node = world.nodes["aurelia"]
    files = None
    if request.param == "tls":
        files = Authority.found(tmp_path_factory.mktemp("authority")).issue("aurelia")
    with closing(world), ExitStack() as stack:

        def start(*, proxy: str | None = None, **limits: int) -> Served:
            secret = world.folder / "proxy.secret"
            write_private(secret, b"x" * 64)
            named = None if proxy is None else Proxy(address=proxy, secret=secret)
            node.settings = replace(node.settings, tls=files, proxy=named, limits=Limits(**limits))
            return stack.enter_context(Served.start(node))

        yield start


def cut_after(connection: socket.socket, *, since: float, least: float, most: float) -> None:
    """The server drops the connection, with nothing more to read, between so many seconds after that time."""
    assert read_all(connection) == b""
    assert least <= time.monotonic() - since < most


def answered(connection: socket.socket) -> bool:
    connection.sendall(ASK)
    received = b""
    while not received.endswith(b'"404"}'):
        received += connection.recv(4_096)
    return received.startswith(b"HTTP/1.1 404 ")


def test_who_says_nothing_is_cut(serve: Serve) -> None:
    served, since = serve(head_seconds=1), time.monotonic()
    with served.open() as connection:
        cut_after(connection, since=since, least=0.9, most=9)


def test_a_handshake_that_stands_still_is_cut(serve: Serve) -> None:
    served, since = serve(head_seconds=1), time.monotonic()
    with served.open_raw() as connection:
        connection.sendall(b"\x16\x03" if served.server.encrypted else b"G")
        cut_after(connection, since=since, least=0.9, most=9)


def trickle(connection: socket.socket, piece: bytes, *, since: float) -> float:
    """How many seconds after that time a client is cut that sends a piece every tenth of one, or 60."""
    while time.monotonic() - since < 60:
        time.sleep(0.1)
        try:
            connection.sendall(piece)
        except OSError:
            break
    return time.monotonic() - since


def test_a_head_that_comes_byte_by_byte_is_cut(serve: Serve) -> None:
    served, since = serve(head_seconds=1), time.monotonic()
    with served.open() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-A: ")
        assert 0.9 < trickle(connection, b"b", since=since) < 9


def test_a_body_that_comes_byte_by_byte_is_cut(serve: Serve) -> None:
    served = serve(head_seconds=1, body_seconds=2)
    with served.open() as connection:
        since = time.monotonic()
        connection.sendall(format_request("POST", "/comity/exchange/", headers={"Content-Length": "100000"}))
        assert 1.9 < trickle(connection, b"b", since=since) < 30


def test_a_second_head_has_the_same_time_as_the_first(serve: Serve) -> None:
    served = serve(head_seconds=1, idle_seconds=9)
    with served.open() as connection:
        assert answered(connection)
        since = time.monotonic()
        connection.sendall(b"\r\n")
        assert 0.9 < trickle(connection, b"\r\n", since=since) < 9


def test_a_connection_is_idle_only_so_long(serve: Serve) -> None:
    served = serve(head_seconds=9, idle_seconds=1)
    with served.open() as connection:
        since = time.monotonic()
        assert answered(connection)
        cut_after(connection, since=since, least=0.9, most=9)


def test_a_client_that_is_quick_enough_is_served_for_longer_than_any_limit(serve: Serve) -> None:
    served = serve(head_seconds=5, body_seconds=5, idle_seconds=5)
    with served.open() as connection:
        for _ in range(12):
            assert answered(connection)
            time.sleep(0.5)


def test_a_head_has_a_bound(serve: Serve) -> None:
    served = serve()
    with served.open() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        sent = 0
        with contextlib.suppress(OSError):  # reset or broken pipe, as the system likes
            while sent < 128 * MAX_HEAD_BYTES:
                connection.sendall(b"X-A: " + b"b" * 60_000 + b"\r\n")
                sent += 60_000
        assert MAX_HEAD_BYTES / 2 <= sent < 128 * MAX_HEAD_BYTES


def test_a_head_has_only_so_many_fields(serve: Serve) -> None:
    served = serve()
    for count, taken in ((MAX_HEADERS, True), (MAX_HEADERS + 1, False)):
        with served.open() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n" + b"a:\r\n" * (count - 1) + b"\r\n")
            assert read_all(connection).startswith(b"HTTP/1.1 404 ") is taken


CHUNKED = format_request("POST", "/", headers={"Transfer-Encoding": "chunked"})


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"0\r\n", b"a:\r\n" * 16_384),
        (b"0\r\na: ", b"a" * 65_536),
        (b"0;", b"a" * 65_536),
        (b"5\r\nabcde\r\n5;", b"a" * 65_536),
    ],
)
def test_what_stands_behind_the_pieces_of_a_body_has_a_bound(serve: Serve, begin: bytes, piece: bytes) -> None:
    served = serve()
    with served.open() as connection:
        connection.sendall(CHUNKED + begin)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 128 * MAX_HEAD_BYTES:
                connection.sendall(piece)
                sent += len(piece)
        assert MAX_HEAD_BYTES / 2 <= sent < 128 * MAX_HEAD_BYTES


def test_a_body_in_many_pieces_is_taken(serve: Serve) -> None:
    served = serve()
    with served.open() as connection:
        connection.sendall(CHUNKED)
        for _ in range(12):
            connection.sendall(b"1;extension=%s\r\nx\r\n" % (b"y" * 60_000))
        connection.sendall(b"0\r\nA-Trailer: z\r\n\r\n")
        assert connection.recv(13) == b"HTTP/1.1 404 "


def test_a_credential_behind_a_body_shows_nobody(serve: Serve) -> None:
    served = serve()
    shown = basic("x", served.call(lambda: create_credential(served.node, PartyId("aurelia"))))["Authorization"]
    head = format_request("GET", "/taxii2/", headers={"Transfer-Encoding": "chunked", "Connection": "close"})
    with served.open() as connection:
        connection.sendall(head + f"0\r\nAuthorization: {shown}\r\n\r\n".encode())
        assert read_all(connection).startswith(b"HTTP/1.1 401 ")


def test_only_so_many_requests_wait_on_one_connection(serve: Serve) -> None:
    served = serve()
    with served.open() as connection:
        connection.sendall(ASK * (MAX_PIPELINED + 1))
        received = b""
        while received.count(b'"404"}') <= MAX_PIPELINED:
            received += connection.recv(4_096)
    with served.open() as connection:
        connection.sendall(ASK * (MAX_PIPELINED + 2))
        assert read_all(connection) == b""


def test_a_request_that_cannot_become_whole_is_given_up(serve: Serve) -> None:
    served = serve(body_seconds=20)
    with served.open() as connection:
        connection.sendall(format_request("POST", "/", headers={"Content-Length": "10"}) + b"half")
        time.sleep(0.2)
        started = time.monotonic()
        connection.shutdown(socket.SHUT_WR)
        assert b"HTTP" not in read_all(connection)
        assert time.monotonic() - started < 15


def test_who_ends_in_the_middle_leaves_no_line_in_the_log(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    served = serve()
    caplog.set_level(logging.WARNING)
    with served.open() as connection:
        connection.sendall(format_request("POST", "/", headers={"Content-Length": "10"}) + b"half")
        time.sleep(0.2)
        if isinstance(connection, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                connection.unwrap()
    deadline = time.monotonic() + 60
    while served.call(lambda: len(served.server._connections)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [record.getMessage() for record in caplog.records] == []


def test_no_more_from_one_address_than_the_limit(serve: Serve) -> None:
    served = serve(proxy="127.0.0.9", connections_per_address=3)
    with ExitStack() as stack:
        mine = [stack.enter_context(served.open()) for _ in range(3)]
        with served.open_raw() as over:
            assert read_all(over) == b""
        assert all(answered(connection) for connection in mine)
        with come_from("127.0.0.2", served) as other:
            other.settimeout(1)
            with pytest.raises(TimeoutError):
                other.recv(1)  # it is let in, and waited for
        mine.pop().close()
        deadline = time.monotonic() + 60
        while served.call(lambda: len(served.server._connections)) > 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert answered(stack.enter_context(served.open()))


@contextmanager
def come_from(address: str, served: Served) -> Iterator[socket.socket]:
    with socket.create_connection((served.host, served.port), source_address=(address, 0)) as connection:
        yield connection


@pytest.mark.parametrize("proxy", [None, "127.0.0.1"])
def test_the_address_of_a_proxy_has_no_limit_of_its_own(serve: Serve, proxy: str | None) -> None:
    served = serve(proxy=proxy, connections_per_address=2)
    with ExitStack() as stack:
        assert all(answered(stack.enter_context(served.open())) for _ in range(6))


def test_every_connection_is_forgotten_when_it_ends(serve: Serve) -> None:
    served = serve(proxy="127.0.0.9")
    for _ in range(5):
        with served.open() as connection:
            assert answered(connection)
        with served.open_raw() as connection:
            connection.sendall(b"\x16")
    connections = served.server._connections
    deadline = time.monotonic() + 60
    time.sleep(0.3)  # the last of them may not have been accepted yet
    while served.call(lambda: bool(len(connections) or connections._by_neighbourhood or connections._transports)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
