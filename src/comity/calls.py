# SPDX-License-Identifier: Apache-2.0
"""Shell: the client that every outbound call goes through, and answers read within bounds.

No cookies, no redirects, no proxies from the environment. A name is looked up here, once for each connection, and the
connection goes to an address that was looked at: nobody can answer a first question with one address and connect this
node to another. No connection goes to an address that is of this link alone, of no single machine, or that clouds give
out secrets at; to this machine only where the URL says so by itself, which only who configures this node can write.

Where the manifest of a partner names the TLS keys of its server, nothing is said to one that shows another, whatever
authority vouches for it, nor to one without TLS (`node.tlskeys`).

An answer is asked for as gzip or plain, and is taken apart while it comes: no more of it is ever in memory than its
bound, whatever it was packed into.
"""

import asyncio
import ipaddress
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpcore
import httpx

from comity.errors import ConfigError, PeerUnreachable
from comity.node.node import Node
from comity.node.steps import Steps, T, advance
from comity.node.tlskeys import TlsKeys, find_address, read_tls_keys
from comity.taxii.tls import find_key_digest

__all__ = [
    "MAX_PAGE_BYTES",
    "TOTAL_SECONDS",
    "Hold",
    "Room",
    "describe_failure",
    "fetch",
    "find_danger",
    "open_client",
    "read_body",
    "run_steps",
]

TOTAL_SECONDS = 120.0
"""For one whole call: who sends a byte now and then cannot hold this node for ever."""

MAX_PAGE_BYTES = 32 * 1024 * 1024

FREE_BYTES = 1024 * 1024
"""Of an answer that needs no place in the room: what is new is far shorter, and must wait for nobody."""

_UNPACKED_BYTES = 256 * 1024
"""At once; before the next ones it is asked whether they may be read."""

_LEAST_PER_SECOND = 32 * 1024
_SLOW_SECONDS = 10.0
"""Who has a place may be slower than the least for so long, and is cut then: others wait for the place."""

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_REDIRECTS = range(300, 400)

_TURNS = 2
"""Of the loop between two steps of a page: what has arrived of the next one is read, and the rest is asked for."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")))
"""Where clouds give out secrets, beside the link-local 169.254.169.254."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_THIS_MACHINE = frozenset({"localhost", "localhost."})


class Room:
    """How many long answers may be read and taken in at once. A short one needs no place."""

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)

    def begin(self) -> "Hold":
        """What one answer holds until it is released, by when it is taken in."""
        return Hold(self._places)

    @asynccontextmanager
    async def enter(self) -> "AsyncIterator[Hold]":
        """The same, until the block ends."""
        hold = self.begin()
        try:
            yield hold
        finally:
            hold.release()


class Hold:
    """The place of one answer, once it needs one."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._since: float | None = None
        self._bytes = self._unpacked = 0

    async def count(self, size: int, unpacked: int = 0) -> bool:
        """Whether more may be read behind so many bytes as they came, and unpacked; it waits here for a place.

        False: they come too slowly.
        """
        self._bytes += size
        self._unpacked += unpacked
        now = asyncio.get_running_loop().time
        if self._since is None and max(self._bytes, self._unpacked) > FREE_BYTES:
            await self._places.acquire()
            self._since, self._bytes = now(), 0
            return True
        seconds = 0.0 if self._since is None else now() - self._since
        return seconds < _SLOW_SECONDS or self._bytes / seconds > _LEAST_PER_SECOND

    def release(self) -> None:
        """Give the place up."""
        if self._since is not None:
            self._places.release()
            self._since = None


@asynccontextmanager
async def open_client(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """One client for each errand.

    Raises:
        ConfigError: `authorities` in node.toml cannot be used.
    """
    transport = _CheckedTransport(_trust(node.settings.authorities), node)
    async with httpx.AsyncClient(
        timeout=_TIMEOUT, follow_redirects=False, trust_env=False, transport=transport
    ) as client:
        yield client


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    *,
    headers: dict[str, str],
    parameters: dict[str, str] | None = None,
    most: int = MAX_PAGE_BYTES,
    hold: Hold | None = None,
) -> httpx.Response:
    """The whole answer, at most `most` bytes of it.

    Raises:
        PeerUnreachable: no answer, one over a bound, or one that leads elsewhere.
    """
    known = {"accept-encoding": "gzip", **headers}
    try:
        async with (
            asyncio.timeout(TOTAL_SECONDS),
            client.stream("GET", url, params=parameters, headers=known) as answer,
        ):
            return await read_body(answer, most=most, hold=hold)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise describe_failure(url, error) from error


async def read_body(answer: httpx.Response, *, most: int = MAX_PAGE_BYTES, hold: Hold | None = None) -> httpx.Response:
    """The answer with its body, what it was packed into undone.

    Raises:
        PeerUnreachable: over `most` bytes, packed or not; in another coding than was asked for, or leading elsewhere.
    """
    if answer.status_code in _REDIRECTS:
        raise PeerUnreachable(
            f"{answer.url} answered {answer.status_code}, which leads elsewhere and is not followed; correct its URL"
        )
    coding, over = answer.headers.get("content-encoding", "identity").lower(), f"{answer.url} answered with over {most}"
    if coding not in {"identity", "gzip"}:
        raise PeerUnreachable(f"{answer.url} answered in the coding {coding[:40]!r}, which was not asked for")
    unpacking = zlib.decompressobj(wbits=31) if coding == "gzip" else None
    body, received = bytearray(), 0
    try:
        async for size, piece in _unpack(answer, unpacking):
            received += size
            body += piece
            if max(len(body), received) > most:
                raise PeerUnreachable(f"{over} bytes; nothing of it was kept")
            if hold is not None and not await hold.count(size, len(piece)):
                raise PeerUnreachable(f"{answer.url} sends its answer too slowly; others wait for it")
    except zlib.error as error:
        raise PeerUnreachable(f"{answer.url} answered with what is no gzip ({error})") from error
    if unpacking is not None and not unpacking.eof and received:
        raise PeerUnreachable(f"{answer.url} ended its answer before the end")
    return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=bytes(body))


async def _unpack(answer: httpx.Response, unpacking: "zlib._Decompress | None") -> AsyncIterator[tuple[int, bytes]]:
    """What comes, a little at a time: how many bytes more of the answer came, and what they are unpacked.

    Raises:
        zlib.error: no gzip.
    """
    async for part in answer.aiter_raw():
        if unpacking is None:
            yield len(part), part
            continue
        yield len(part), unpacking.decompress(part, _UNPACKED_BYTES)
        while unpacking.unconsumed_tail:
            yield 0, unpacking.decompress(unpacking.unconsumed_tail, _UNPACKED_BYTES)


async def run_steps(steps: Steps[T]) -> T:
    """What comes of the work on an answer, with turns for others between its steps."""
    while (done := advance(steps)) is None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
    return done.result


def describe_failure(url: str, error: Exception) -> PeerUnreachable:
    """What became of a call, by what it raised."""
    said = str(error) or type(error).__name__
    return PeerUnreachable(f"{url} did not answer ({said}); is the node running, and its URL right?")


def find_danger(address: str, *, named: str) -> str | None:
    """Why no connection goes to `address`, which the host `named` in a URL stands for; None where one may."""
    found = _unwrap(ipaddress.ip_address(address.partition("%")[0]))
    if found.is_loopback:
        return None if _is_this_machine(named) else "it is this machine"
    if found in _METADATA:
        return "clouds give out secrets there"
    reasons = (
        (found.is_link_local, "it is of this link alone"),
        (found.is_multicast, "it is of many machines"),
        (found.is_unspecified, "it is of no machine"),
        (found.is_reserved, "it is reserved"),
    )
    return next((reason for holds, reason in reasons if holds), None)


def _is_this_machine(named: str) -> bool:
    if named.lower() in _THIS_MACHINE:
        return True
    try:
        return ipaddress.ip_address(named.strip("[]")).is_loopback
    except ValueError:
        return False


def _unwrap(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address only stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """The headers without those that speak of a coding already undone."""
    return {name: value for name, value in headers.items() if name not in {"content-encoding", "content-length"}}


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connections to addresses that were looked at; TLS still asks for the name in the URL, and for the keys pinned."""

    def __init__(self, node: Node) -> None:
        self._backend = httpcore.AnyIOBackend()
        self._node = node

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of the host that takes it.

        Raises:
            httpcore.ConnectError: one of its addresses is none that is connected to, or none takes it.
        """
        addresses = await _look_up(host, port)
        for address in addresses:
            if (danger := find_danger(address, named=host)) is not None:
                raise httpcore.ConnectError(f"{host} is {address}, where nothing is asked: {danger}")
        problem: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                stream = await self._backend.connect_tcp(
                    address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
                return _CheckedStream(stream, read_tls_keys(self._node).get((host.lower(), port)))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                problem = error
        raise problem

    async def sleep(self, seconds: float) -> None:
        """Wait, where the library wants to."""
        await self._backend.sleep(seconds)


class _CheckedStream(httpcore.AsyncNetworkStream):
    """A connection on which TLS goes on only with one of the keys in `pinned`, where there are any."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, pinned: TlsKeys | None) -> None:
        self._stream = stream
        self._pinned = pinned

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 (as above)
        """What came, at most so many bytes."""
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 (as above)
        """Send the bytes."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 (httpcore's signature)
        """What the library wants to know of it."""
        return self._stream.get_extra_info(info)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (as above)
    ) -> httpcore.AsyncNetworkStream:
        """The same connection in TLS; nothing of the request was said before.

        Raises:
            httpcore.ConnectError: the authority, the name, or the key.
        """
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        if self._pinned is None:
            return stream
        shown = stream.get_extra_info("ssl_object").getpeercert(binary_form=True)
        digest = None if shown is None else find_key_digest(shown)
        if digest not in self._pinned.keys:
            await stream.aclose()
            raise httpcore.ConnectError(
                f"it shows the TLS key {digest}, which is none of those in the manifest of {_name(self._pinned)}"
            )
        return stream


class _CheckedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over `_CheckedBackend`, which httpx gives no other way to name."""

    def __init__(self, verify: ssl.SSLContext, node: Node) -> None:
        super().__init__(verify=verify, trust_env=False)
        self._node = node
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify, max_connections=64, keepalive_expiry=60.0, network_backend=_CheckedBackend(node)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer; without TLS nothing is asked of a partner whose manifest names TLS keys.

        Raises:
            httpx.ConnectError: that would be.
        """
        url = request.url
        pinned = None if url.scheme == "https" else read_tls_keys(self._node).get(find_address(url))
        if pinned is not None:
            said = f"the manifest of {_name(pinned)} names TLS keys, and this URL is without TLS"
            raise httpx.ConnectError(said, request=request)
        return await super().handle_async_request(request)


def _name(pinned: TlsKeys) -> str:
    return " and of ".join(pinned.parties)


async def _look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, each once, in the order in which they are to be tried."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(f"{host} has no address: {error}") from error
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def _trust(authorities: Path | None) -> ssl.SSLContext:
    """Whose certificates others have to show: those of the authorities in the file, else the usual ones.

    Raises:
        ConfigError: the file cannot be used.
    """
    try:
        # Read anew when the file has changed: to read all the usual ones takes longer than most errands.
        return _load_authorities(authorities, () if authorities is None else _mark(authorities))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{authorities}: no certificate of an authority in PEM can be read there ({error}); correct authorities in"
            " node.toml"
        ) from error


def _mark(path: Path) -> tuple[int, ...]:
    """What is another one when the file is, also where it was given the time of the one before."""
    found = path.stat()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=4)
def _load_authorities(authorities: Path | None, _: tuple[int, ...]) -> ssl.SSLContext:
    if authorities is None:
        return httpx.create_ssl_context(trust_env=False)
    return ssl.create_default_context(cafile=authorities)
