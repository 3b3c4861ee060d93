# SPDX-License-Identifier: Apache-2.0
"""A node under load: clients of a partner on sockets of their own, who note each byte, and what the kernel still holds.

What the operating system has taken over from the server counts as sent. So the moment at which a stop has returned is
held against the kernel's own queues: of each connection no more may come than lay in them then.
"""

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from comity.agreement.people import Role
from comity.cli.control import ask
from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.parties import create_credential
from comity.operations.reply import Exit, Reply
from tests.e2e.conftest import PATIENCE, Given, Serving, read_objects, wait_until
from tests.ports import find_port
from tests.served import format_request
from tests.worlds import World, badge_path, make_object

__all__ = [
    "FREE",
    "Answer",
    "Client",
    "Ground",
    "Poller",
    "build_ground",
    "command",
    "count_sockets",
    "find_owners",
    "find_workers",
    "is_gone",
    "polling",
    "wait_for_workers",
]

FREE = "[limits]\nrequests_per_second = 1000000\nbytes_per_minute = 1000000000000\n"
"""Settings under which who asks without pause is not held back."""

SMALL, LARGE = 60, 24
FILLER = 300_000
"""Of each large object: a page of all of them is more than the kernel takes over from a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Aurelia's node, not served, with an agreement in force with Borealia, whose node is open in this process."""

    folder: Path
    agreement: str
    path: str
    secret: str
    world: World

    def set(self, text: str) -> None:
        """Add to the settings."""
        with (self.folder / "node.toml").open("a", encoding="utf-8") as file:
            file.write(text)

    def give_admin(self) -> int:
        """The port of an address for the operator, which is put into the settings."""
        port, settings = find_port(), self.folder / "node.toml"
        settings.write_text(f'admin = "127.0.0.1:{port}"\n' + settings.read_text(encoding="utf-8"), encoding="utf-8")
        return port

    def request(self, query: str = "", **more: str) -> bytes:
        """A request for a page; the small objects come first."""
        headers = {"Authorization": f"Bearer {self.secret}", **more}
        return format_request("GET", f"{self.path}{query}", headers=headers)


def build_ground(folder: Path) -> Ground:
    """The ground, made anew."""
    world = World(folder)
    folder.mkdir(exist_ok=True)
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    # And one under which the partner may write here.
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), title="Back"), proposer="borealia")
    world.add("aurelia", *[make_object(f"small {n}", more={"description": "y" * 500}) for n in range(SMALL)])
    world.add("aurelia", *[make_object(f"large {n}", more={"description": "x" * FILLER}) for n in range(LARGE)])
    node = world.nodes.pop("aurelia")
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    node.close()
    path = f"/taxii2/borealia/collections/{collection}/objects/"
    return Ground(folder=node.folder, agreement=agreement, path=path, secret=secret, world=world)


def command(folder: Path, operation: str, **arguments: str) -> Reply:
    """What the serving process answers to a command, given by as many people as it takes."""
    reply = _command(folder, operation, arguments, Role.LIAISON)
    return _command(folder, operation, arguments, Role.LEGAL) if reply.code == Exit.WAITING else reply


def _command(folder: Path, operation: str, arguments: Mapping[str, str], role: Role) -> Reply:
    badge = badge_path(folder, role).read_text(encoding="utf-8")
    reply = ask(folder, operation, {**arguments, "badge": badge})
    assert reply is not None, "nobody serves the node"
    return reply


def bundle(*names: str) -> str:
    """A bundle of small objects, as `object.add` takes it."""
    made = [make_object(name, more={"description": "z" * 500}) for name in names]
    return base64.b64encode(json.dumps({"objects": made}).encode()).decode()


# ---- the processes ---------------------------------------------------------------------------------------------------


def find_workers(pid: int) -> list[int]:
    """The processes that the first process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def find_owners(pids: Iterable[int], ports: Collection[int], port: int) -> set[int]:
    """Which of the processes hold the other ends of connections from these ports of 127.0.0.1 to `port`."""
    inodes = set[str]()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        ours, theirs = (int(address.split(":")[1], 16) for address in fields[1:3])
        if ours == port and theirs in ports:
            inodes.add(f"socket:[{fields[9]}]")
    return {pid for pid in pids if inodes & list_handles(pid)}


def list_handles(pid: int) -> set[str]:
    """What a process has open; it may be closing some of it."""
    found = set[str]()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(handle.readlink()))
    return found


def wait_for_workers(server: Serving, count: int) -> None:
    """Return once there are so many, each of which takes connections."""
    wait_until(lambda: len(find_workers(server.process.pid)) == count)
    workers, deadline = find_workers(server.process.pid), time.monotonic() + PATIENCE
    with contextlib.ExitStack() as stack:
        clients = list[Client]()
        while find_owners(workers, [client.port for client in clients], int(server.url.rpartition(":")[2])) != {
            *workers
        }:
            assert time.monotonic() < deadline, "a worker takes no connections"
            clients.append(stack.enter_context(Client(server.url)))
            time.sleep(0.02 if len(clients) < 20 else 0.5)


def is_gone(pid: int) -> bool:
    """Whether the process has ended; a child that nobody has waited for has too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def count_sockets(pid: int) -> int:
    """How many sockets a process has open."""
    count = 0
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(handle.readlink()).startswith("socket:")
    return count


# ---- one client ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: when it was asked for, when its last byte was read, and what it holds."""

    asked: float
    ended: float
    status: int
    body: bytes

    @property
    def given(self) -> tuple[Given, ...]:
        """The objects in it."""
        return tuple(read_objects(self.body)) if self.status == 200 else ()


class Client:
    """One keep-alive connection."""

    def __init__(self, url: str, *, buffer: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        host, _, port = url.partition("://")[2].partition(":")
        try:
            self.socket.connect((host, int(port)))
        except OSError:
            self.socket.close()
            raise
        self.port = int(self.socket.getsockname()[1])
        self.left = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Say this."""
        self.socket.sendall(data)

    def ask(self, request: bytes) -> Answer:
        """The answer to the request, read whole.

        Raises:
            OSError: the connection ended first.
        """
        asked = time.monotonic()
        self.send(request)
        return self.read(asked=asked)

    def read(self, *, asked: float = 0.0) -> Answer:
        """The next answer; what comes behind it stays."""
        while b"\r\n\r\n" not in self.left:
            self.left += self._receive()
        head, _, rest = bytes(self.left).partition(b"\r\n\r\n")
        (length,) = (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = bytearray(rest)
        while len(body) < length:
            body += self._receive()
        self.left = body[length:]
        return Answer(asked=asked, ended=time.monotonic(), status=int(head[9:12]), body=bytes(body[:length]))

    def read_all(self, *, pause: float = 0.0) -> bytes:
        """Everything until the other side ends or drops the connection."""
        with contextlib.suppress(ConnectionError):
            while True:
                self.left += self._receive()
                time.sleep(pause)
        return bytes(self.left)

    def count_queued(self) -> int:
        """The bytes that the kernel holds for this client: sent by the server and not acknowledged, or not read."""
        queued = 0
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            ports = [int(place.partition(":")[2], 16) for place in fields[1:3]]
            sent, unread = (int(word, 16) for word in fields[4].split(":"))
            if ports[1] == self.port:
                queued += sent
            elif ports[0] == self.port:
                queued += unread
        return queued

    def _receive(self) -> bytes:
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionResetError("the server ended it")
        return part


# ---- many clients ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Poller:
    """A client that asks without a pause, on one connection as long as that lasts; what it got is kept."""

    url: str
    requests: tuple[bytes, ...]
    answers: list[Answer] = field(default_factory=list)
    refused: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until told to stop."""
        while not self.stop.is_set():
            try:
                client = Client(self.url)
            except ConnectionError:
                self.refused += 1
                time.sleep(0.02)
                continue
            with client, contextlib.suppress(ConnectionError, TimeoutError):
                self._ask_on(client)

    def _ask_on(self, client: Client) -> None:
        while not self.stop.is_set():
            request = self.requests[len(self.answers) % len(self.requests)]
            self.answers.append(client.ask(request))


@contextlib.contextmanager
def polling(url: str, *requests: bytes, count: int = 16) -> Iterator[list[Poller]]:
    """So many clients that ask until the block ends, and have ended after it."""
    pollers = [Poller(url, requests) for _ in range(count)]
    threads = [threading.Thread(target=poller.run) for poller in pollers]
    for thread in threads:
        thread.start()
    try:
        yield pollers
    finally:
        for poller in pollers:
            poller.stop.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
