# SPDX-License-Identifier: Apache-2.0
"""Nodes in network namespaces of their own (Linux), around a bridge in a further one; nothing outside is reached.

A cut is a cable that is pulled: the port at the bridge is down, and nobody is told. Delay and loss are made by a wire
in this process, between the port and the bridge, and not by netem, which many kernels lack: so it is the same on every
machine. What the wire loses is drawn from a seed.
"""

import contextlib
import ctypes
import heapq
import itertools
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.conftest import COMITY, Serving, environment

__all__ = ["Network", "Wire", "build_network", "locate", "need_namespaces"]

_PORT = 8440
_SECONDS = 60.0
_NUMBERS = itertools.count(1)
_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET (setns(2))."""

_SOL_PACKET, _PACKET_VNET_HDR, _PACKET_OUTGOING, _ETH_P_ALL = 263, 15, 4, 3
_MOST_BYTES = 1 << 17

_KNOCK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
    print("taken")
except OSError as error:
    print(error)
"""

_ASK = """
import httpx, sys
headers = {"authorization": f"Bearer {sys.argv[2]}", "accept": "application/taxii+json;version=2.1"}
print(httpx.get(sys.argv[1], headers=headers, timeout=60, trust_env=False).status_code)
"""


def _ip(*words: str) -> str:
    """What `ip` says.

    Raises:
        OSError: it could not be done, and why.
    """
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode != 0:
        raise OSError(f"`ip {' '.join(words)}`: {done.stderr.strip()}")
    return done.stdout


@dataclass(slots=True)
class Wire:
    """Frames taken from one port to another and back, each after `delay` seconds or, by chance, not at all."""

    pairs: tuple[tuple[socket.socket, socket.socket], ...]
    delay: float
    loss: float
    seed: int = 2026
    carried: int = 0
    lost: int = 0
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        """Carry until `end`."""
        self._thread = threading.Thread(target=self._carry, name="wire")
        self._thread.start()

    def end(self) -> None:
        """Carry nothing any more; what is under way is lost."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(_SECONDS)
        for one, _ in self.pairs:
            one.close()

    def _carry(self) -> None:
        # A port that is down raises once, whichever way it is used, and carries again when it is up.
        chance, others, order = random.Random(self.seed), dict(self.pairs), itertools.count()
        waiting = list[tuple[float, int, socket.socket, bytes]]()
        while not self._end.is_set():
            pause = min(0.1, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.1
            for port in select.select([*others], [], [], pause)[0]:
                data, address = b"", ("", 0, _PACKET_OUTGOING, 0, b"")
                with contextlib.suppress(OSError):
                    data, address = port.recvfrom(_MOST_BYTES)
                if address[2] == _PACKET_OUTGOING:
                    continue
                if chance.random() < self.loss:
                    self.lost += 1
                    continue
                heapq.heappush(waiting, (time.monotonic() + self.delay, next(order), others[port], data))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, port, data = heapq.heappop(waiting)
                with contextlib.suppress(OSError):
                    port.send(data)
                    self.carried += 1


@dataclass(slots=True)
class Network:
    """The namespaces of one test. A party's node is where `locate` says, and reaches only who else is at the bridge."""

    name: str
    addresses: dict[str, tuple[str, int]]
    wires: dict[str, Wire] = field(default_factory=dict)
    servers: list[Serving] = field(default_factory=list)

    def namespace(self, party: str) -> str:
        """The namespace of a party's node."""
        return f"{self.name}-{party}"

    @property
    def middle(self) -> str:
        """The namespace of the bridge."""
        return f"{self.name}-bridge"

    def start(self, folder: Path) -> Serving:
        """`comity serve` in the namespace of the party whose folder it is, just started."""
        party, faults = folder.name, folder.with_name(f"{folder.name}.faults")
        host, port = self.addresses[party]
        # `ip netns exec` becomes the program: the process id is that of the serving process.
        with faults.open("ab") as file:
            process = subprocess.Popen(
                [*self._enter(party), *COMITY, "--node", folder, "serve", "--json", "--listen", f"{host}:{port}"],
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment(),
            )
        self.servers.append(Serving(process, folder, faults))
        return self.servers[-1]

    def ask(self, party: str, url: str, secret: str) -> int:
        """The status of the answer to whoever has `secret`, asked from the namespace of a party."""
        command = [*self._enter(party), sys.executable, "-c", _ASK, url, secret]
        return int(subprocess.run(command, capture_output=True, timeout=2 * _SECONDS, check=True).stdout)

    def knock(self, party: str, other: str) -> str:
        """What comes of a connection from one party's namespace to the node of another."""
        host, port = self.addresses[other]
        command = [*self._enter(party), sys.executable, "-c", _KNOCK, host, str(port)]
        return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True).stdout.strip()

    def _enter(self, party: str) -> tuple[str, ...]:
        return "ip", "netns", "exec", self.namespace(party)

    def cut(self, party: str) -> None:
        """Pull the cable of a party: what is sent is lost, and nobody is told."""
        _ip("-n", self.middle, "link", "set", _port(party), "down")

    def heal(self, party: str) -> None:
        """Put it in again."""
        _ip("-n", self.middle, "link", "set", _port(party), "up")

    def worsen(self, party: str, *, delay: float, loss: float) -> Wire:
        """Put a wire between a party's port and the bridge, which delays by so many seconds each way, and loses."""
        port, near, far = _port(party), f"{_port(party)}-near", f"{_port(party)}-far"
        _ip("-n", self.middle, "link", "add", near, "type", "veth", "peer", "name", far)
        _ip("-n", self.middle, "link", "set", port, "nomaster")
        _ip("-n", self.middle, "link", "set", far, "master", "bridge", "up")
        _ip("-n", self.middle, "link", "set", near, "up")
        one, other = _open_ports(self.middle, port, near)
        self.wires[party] = Wire(((one, other), (other, one)), delay, loss)
        self.wires[party].begin()
        return self.wires[party]

    def mend(self, party: str) -> None:
        """Take the wire away again."""
        self.wires.pop(party).end()
        _ip("-n", self.middle, "link", "del", f"{_port(party)}-near")
        _ip("-n", self.middle, "link", "set", _port(party), "master", "bridge")


def locate(*parties: str) -> dict[str, tuple[str, int]]:
    """Host and port of the node of each of these parties in a network that is built for them."""
    return {party: (f"10.87.0.{number}", _PORT) for number, party in enumerate(parties, 1)}


def _port(party: str) -> str:
    """The name of a party's port at the bridge; the kernel takes fifteen characters."""
    return f"p-{party[:6]}"


def _go_to(namespace: str) -> None:
    """Have this thread, and no other, be in a network namespace."""
    with Path(f"/run/netns/{namespace}").open("rb") as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), _NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), f"setns to {namespace}")


def _open_ports(namespace: str, *ports: str) -> list[socket.socket]:
    """Packet sockets on ports in a namespace. They stay there; the thread that went there to open them ends."""
    opened, problems = list[socket.socket](), list[OSError]()

    def open_there() -> None:
        try:
            _go_to(namespace)
            for port in ports:
                opened.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL)))
                # With what the kernel left to do for a frame (checksum, segments), which the other port does then.
                opened[-1].setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
                opened[-1].bind((port, _ETH_P_ALL))
        except OSError as error:
            problems.append(OSError(f"packet sockets in {namespace}: {error}"))

    thread = threading.Thread(target=open_there, name="ports")
    thread.start()
    thread.join(_SECONDS)
    if problems:
        for each in opened:
            each.close()
        raise problems[0]
    return opened


def _lay(network: Network) -> None:
    _ip("netns", "add", network.middle)
    _ip("-n", network.middle, "link", "add", "bridge", "type", "bridge")
    _ip("-n", network.middle, "link", "set", "bridge", "up")
    for party, (address, _) in network.addresses.items():
        there, port = network.namespace(party), _port(party)
        _ip("netns", "add", there)
        _ip("-n", there, "link", "set", "lo", "up")
        _ip("-n", network.middle, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", there)
        _ip("-n", network.middle, "link", "set", port, "master", "bridge", "up")
        _ip("-n", there, "address", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", there, "link", "set", "eth0", "up")


def _clear(network: Network) -> None:
    """End the processes, and take all away that is there; what fails of it keeps nothing of the rest."""
    with contextlib.ExitStack() as rest:
        known = {line.split()[0] for line in _ip("netns", "list").splitlines() if line}
        for namespace in [*map(network.namespace, network.addresses), network.middle]:
            if namespace in known:
                rest.callback(_ip, "netns", "del", namespace)
        for wire in network.wires.values():
            rest.callback(wire.end)
        for server in network.servers:
            rest.callback(server.end)


@contextlib.contextmanager
def build_network(*parties: str) -> Iterator[Network]:
    """A network for these parties, until the block ends; then nothing of it is left, nor a process in it.

    Raises:
        OSError: this machine does not permit it.
    """
    network = Network(f"comity-{os.getpid()}-{next(_NUMBERS)}", locate(*parties))
    try:
        _lay(network)
        yield network
    finally:
        _clear(network)


@cache
def _find_problem() -> str | None:
    """Why there can be no such network here, if so: one is made, with a wire, and something sent through it."""
    if sys.platform != "linux":
        return "network namespaces are there on Linux alone"
    if shutil.which("ip") is None:
        return "there is no `ip` here (Debian: apt-get install iproute2)"
    if os.geteuid() != 0:
        return "only root may make network namespaces (run the tests as root, in a machine or container of their own)"
    try:
        with build_network("one", "two") as network:
            network.worsen("one", delay=0, loss=0)
            came = network.knock("one", "two")
    except (OSError, subprocess.SubprocessError) as error:
        return f"this machine permits no network namespaces: {error}"
    # Nobody listens there: who is reached refuses.
    return None if "refused" in came else f"nothing goes from one namespace to another here: {came}"


def need_namespaces() -> None:
    """Skip the test where there can be no network of namespaces, with the reason."""
    if problem := _find_problem():
        pytest.skip(problem)
