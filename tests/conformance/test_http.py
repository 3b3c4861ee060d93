# SPDX-License-Identifier: Apache-2.0
"""HTTP itself (RFC 9110, RFC 9112) as clients, proxies and careless senders use it, against a served node."""

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from comity.ids import AgreementId, PartyId
from comity.node.parties import create_credential
from comity.node.standing import collection_id
from tests.served import Served, basic, format_request, read_all, without_date
from tests.worlds import World, make_object, object_id

HELD = object_id("report", "r1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A served node and the headers and path of who may read."""

    served: Served
    headers: dict[str, str]
    objects: str

    def request(self, path: str, *, method: str = "GET", **headers: str) -> bytes:
        """A request of who may read, on a connection that stays."""
        return format_request(method, path, headers={**self.headers, **headers})

    def ask(self, path: str, **headers: str) -> bytes:
        """The answer to GET on a connection of its own, without Date."""
        return without_date(self.served.ask("GET", path, headers={**self.headers, **headers}))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    world = World(tmp_path_factory.mktemp("http"))
    world.found("aurelia", "borealia")
    agreement = AgreementId(world.sign_all(world.terms()))
    world.add("aurelia", *(make_object(f"r{number}") for number in range(3)))
    node = world.nodes["aurelia"]
    password = create_credential(node, PartyId("borealia"))
    collection = collection_id(agreement, "main", giver=PartyId("aurelia"), recipient=PartyId("borealia"))
    objects = f"/taxii2/borealia/collections/{collection}/objects/"
    with closing(world), Served.start(node) as served:
        yield Site(served=served, headers=basic("borealia", password), objects=objects)


def read_answer(connection: socket.socket, *, body: bool = True) -> tuple[int, bytes]:
    """Status and body of the next answer on a connection that stays."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(1)
        assert part, received
        received += part
    length = re.search(rb"\r\ncontent-length: (\d+)\r\n", received.lower())
    assert length is not None
    left = int(length[1]) if body else 0
    data = b""
    while len(data) < left:
        data += connection.recv(left - len(data))
    return int(received.split(b" ", 2)[1]), data


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


# ---- connections -----------------------------------------------------------------------------------------------------


def test_a_connection_serves_one_request_after_another(site: Site) -> None:
    with site.served.open() as connection:
        for method, body in (("GET", True), ("HEAD", False), ("GET", True), ("DELETE", True), ("HEAD", False)):
            connection.sendall(site.request(site.objects, method=method))
            answered, data = read_answer(connection, body=body)
            assert answered == (404 if method == "DELETE" else 200)
            assert data.startswith(b"{") is body
        connection.sendall(site.request(site.objects, Connection="close"))
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


def test_requests_sent_at_once_are_answered_in_order(site: Site) -> None:
    paths = [site.objects, "/nothing/", f"{site.objects}{HELD}/", f"{site.objects}?limit=0", "/taxii2/"]
    with site.served.open() as connection:
        connection.sendall(b"".join(site.request(path) for path in paths))
        answers = [read_answer(connection) for _ in paths]
    assert [answered for answered, _ in answers] == [200, 404, 200, 400, 200]
    assert HELD.encode() in answers[2][1]
    assert b"api_roots" in answers[4][1]


def test_who_has_said_all_still_gets_an_answer(site: Site) -> None:
    with site.served.open() as connection:
        connection.sendall(site.request(site.objects))
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("cut", [1, 10, 60, 200])
def test_who_goes_in_the_middle_of_a_request_harms_nobody(site: Site, cut: int) -> None:
    for _ in range(5):
        with site.served.open() as connection:
            connection.sendall(site.request(site.objects)[:cut])
            # Reset instead of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert status(site.ask(site.objects)) == 200


def test_http_1_0_is_answered_and_the_connection_ends(site: Site) -> None:
    with site.served.open() as connection:
        connection.sendall(site.request(site.objects).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert read_all(connection).startswith(b"HTTP/1.1 200 ")


# ---- bodies ----------------------------------------------------------------------------------------------------------


def test_a_body_in_chunks_is_read_to_its_end(site: Site) -> None:
    with site.served.open() as connection:
        head = site.request("/comity/exchange/", method="POST", **{"Transfer-Encoding": "chunked"})
        connection.sendall(head + b"3;ext=1\r\nabc\r\n" + b"1\r\nd\r\n" + b"0\r\nTrailer: x\r\n\r\n")
        assert read_answer(connection)[0] == 404
        connection.sendall(site.request(site.objects))
        assert read_answer(connection)[0] == 200


def test_who_waits_to_be_asked_on_is_asked_on(site: Site) -> None:
    with site.served.open() as connection:
        more = {"Expect": "100-continue", "Content-Length": "4", "Connection": "close"}
        connection.sendall(site.request("/comity/exchange/", method="POST", **more))
        assert connection.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abcd")
        assert status(read_all(connection)) == 404


def test_a_body_with_get_is_read_and_of_no_account(site: Site) -> None:
    with site.served.open() as connection:
        connection.sendall(site.request(site.objects, **{"Content-Length": "7"}) + b"nothing")
        connection.sendall(site.request(site.objects))
        assert [read_answer(connection)[0] for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "4", "Transfer-Encoding": "chunked"},
        {"Content-Length": "four"},
        {"Content-Length": "-1"},
        {"Transfer-Encoding": "gzip, identity"},
        {"Bad name": "x"},
        {"X": "a\x00b"},
    ],
)
def test_what_two_readers_could_read_differently_is_refused(site: Site, headers: dict[str, str]) -> None:
    """Or a proxy in front and this server could disagree on where a request ends (RFC 9112 §6.3, §11.2)."""
    with site.served.open() as connection:
        connection.sendall(
            site.request(site.objects, method="POST", **headers) + b"0\r\n\r\n" + site.request(site.objects)
        )
        answer = read_all(connection)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


# ---- targets ---------------------------------------------------------------------------------------------------------


def test_a_target_may_be_absolute(site: Site) -> None:
    assert site.ask(f"http://node.example{site.objects}?limit=1") == site.ask(f"{site.objects}?limit=1")
    assert status(site.ask(f"https://node.example:6100{site.objects}")) == 200


@pytest.mark.parametrize(
    ("plain", "escaped"), [("objects", "%6fbjects"), ("collections", "c%6Fllections"), ("/taxii2/", "/%74axii2/")]
)
def test_an_escaped_path_names_the_same(site: Site, plain: str, escaped: str) -> None:
    assert site.ask(site.objects.replace(plain, escaped, 1)) == site.ask(site.objects)


@pytest.mark.parametrize("odd", ["/taxii2//", "//taxii2/", "/taxii2/./", "/TAXII2/", "/taxii2/%2f", "/../taxii2/"])
def test_another_path_names_nothing(site: Site, odd: str) -> None:
    """A path is taken as it is: dots, doubled slashes and the case of letters are not folded."""
    assert status(site.ask(odd)) == 404


@pytest.mark.parametrize("length", [1_000, 60_000])
def test_a_long_path_names_nothing(site: Site, length: int) -> None:
    assert status(site.ask("/taxii2/" + "a" * length)) == 404


@pytest.mark.parametrize("length", [1_000, 60_000, 70_000])
def test_a_long_query_is_read_up_to_a_bound(site: Site, length: int) -> None:
    assert status(site.ask(f"{site.objects}?x={'a' * length}")) == (400 if length > 64 * 1024 else 200)


def test_many_headers_are_no_obstacle(site: Site) -> None:
    flood = {f"X-Flood-{number}": "y" * 50 for number in range(500)}
    assert site.ask(site.objects, **flood) == site.ask(site.objects)


def test_a_header_given_twice_counts_once(site: Site) -> None:
    """The last credential counts, so that what a proxy adds after a client's own is the one that is read."""
    with site.served.open() as connection:
        request = site.request(site.objects, Connection="close")
        first = request.replace(b"Host:", b"Authorization: Bearer x\r\nHost:", 1)
        connection.sendall(first)
        assert status(read_all(connection)) == 200
