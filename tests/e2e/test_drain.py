# SPDX-License-Identifier: Apache-2.0
"""DRAIN and GATE in real processes under load, in one process and in several workers.

Stops come from this party's own people and as a partner's signed message. No more may come on any connection than lay
in the kernel's queues when the stop had returned, and no disclosure stands between a suspension and its resumption.
"""

import contextlib
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from comity.agreement.events import EventKind
from comity.node.outbox import list_due, settle
from comity.taxii.sends import GRACE_SECONDS
from tests.e2e.conftest import PATIENCE, Serving, comity, wait_until
from tests.e2e.pollers import (
    FREE,
    Answer,
    Client,
    Ground,
    Poller,
    build_ground,
    bundle,
    command,
    count_sockets,
    find_workers,
    polling,
)
from tests.e2e.test_kill import Record, check_kept_head
from tests.served import format_request

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.alone]

Serve = Callable[..., Serving]
PAGES = ("?limit=20", "?limit=40", "?limit=62")
"""Of small objects, but for the last, whose two large ones make it more than a moment's work to send."""

ROUNDS = 6
A_MOMENT = 1.0
"""For what lay in the kernel when a stop had returned, and for a thread here to read it."""

AT_MOST = 20.0
"""Seconds, on a machine that has other work, for what nothing holds up; who waited for a reader would wait for ever."""


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = build_ground(tmp_path / "world")
    yield ground
    ground.world.close()


@pytest.fixture(params=[1, 2], ids=["one", "two-workers"])
def server(request: pytest.FixtureRequest, ground: Ground, serve: Serve) -> Serving:
    ground.set(f"{FREE}connections_per_address = 500\nhead_seconds = 2\n")
    served = serve(ground.folder, workers=request.param)
    assert len(find_workers(served.process.pid)) == (0 if request.param == 1 else request.param)
    return served


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Suspends or resumes the agreement, by a command or a partner's message; returns once that is acknowledged."""

    ground: Ground
    url: str
    by_message: bool

    def suspend(self) -> None:
        self._do(EventKind.SUSPEND)

    def resume(self) -> None:
        self._do(EventKind.RESUME)

    def _do(self, kind: EventKind) -> None:
        ground = self.ground
        if not self.by_message:
            assert command(ground.folder, f"agreement.{kind}", id=ground.agreement).code == 0
            return
        node = ground.world.nodes["borealia"]
        ground.world.act_on("borealia", ground.agreement, kind)
        for message in list_due(node):
            answer = httpx.post(
                f"{self.url}/comity/exchange/", content=message.envelope, timeout=PATIENCE, trust_env=False
            )
            assert answer.status_code == 202
            settle(node, message, problem=None)


@pytest.fixture(params=[False, True], ids=["by-command", "by-message"])
def stop(request: pytest.FixtureRequest, ground: Ground, server: Serving) -> Stop:
    return Stop(ground=ground, url=server.url, by_message=request.param)


def check_record(ground: Ground, pollers: list[Poller]) -> Record:
    """The log is contiguous, no disclosure stands between a stop and its end, and every answer has an entry."""
    record = Record(ground.folder, ground.agreement)
    record.read_on()
    check_kept_head(ground.folder)
    seen = Counter(answer.given for poller in pollers for answer in poller.answers if answer.given)
    for given, times in seen.items():
        assert record.pages["objects", given] >= times
    verified = comity(ground.folder, "log", "verify", "--json")
    assert verified.code == 0, verified.err
    return record


def enter_everywhere(server: Serving, make: Callable[[], Client], stack: contextlib.ExitStack) -> list[Client]:
    """Connections of which every worker has at least two."""
    workers = find_workers(server.process.pid) or [server.process.pid]
    before = {worker: count_sockets(worker) for worker in workers}
    clients = list[Client]()
    while any(count_sockets(worker) < before[worker] + 2 for worker in workers):
        assert len(clients) < 200, "a worker takes no connections"
        clients.append(stack.enter_context(make()))
        time.sleep(0.02 if len(clients) < 100 else 1)
    return clients


# --- under load -------------------------------------------------------------------------------------------------------


def test_nothing_leaves_between_a_stop_and_its_end_while_sixteen_poll(
    server: Serving, ground: Ground, stop: Stop
) -> None:
    stopped = list[tuple[float, float]]()
    with polling(server.url, *(ground.request(page) for page in PAGES)) as pollers:
        for number in range(ROUNDS):
            wait_for_answers(pollers)
            stop.suspend()
            begun = time.monotonic()
            time.sleep(A_MOMENT * 1.2)
            wait_until(lambda: any(each.asked > begun for poller in pollers for each in poller.answers))  # noqa: B023
            stopped.append((begun, time.monotonic()))
            stop.resume()
            if number % 2:
                assert command(ground.folder, "object.add", data=bundle(f"new {number}")).code == 0
        wait_for_answers(pollers)
    answers = [answer for poller in pollers for answer in poller.answers]
    for begun, ended in stopped:
        # What was asked for just before the end, and answered after it, is right.
        assert not [each for each in answers if begun < each.asked and each.ended < ended and each.status != 404]
        assert any(begun < each.asked and each.ended < ended for each in answers)
        late = [answer for answer in answers if begun + A_MOMENT < answer.ended < ended and answer.status != 404]
        assert not late, [(answer.asked - begun, answer.ended - begun) for answer in late]
    record = check_record(ground, pollers)
    assert record.events["suspend"] == record.events["resume"] == ROUNDS
    assert server.end() == 0
    check_record(ground, pollers)


def wait_for_answers(pollers: list[Poller]) -> None:
    """Return when each poller has got another page."""
    before = [len(poller.answers) for poller in pollers]
    deadline = time.monotonic() + PATIENCE
    for poller, count in zip(pollers, before, strict=True):
        while not any(answer.status == 200 for answer in poller.answers[count:]):
            assert time.monotonic() < deadline, "a client gets nothing any more"
            time.sleep(0.01)


# --- what the kernel does not have yet --------------------------------------------------------------------------------


def test_of_an_answer_that_is_not_read_nothing_comes_but_what_the_kernel_had(
    server: Serving, ground: Ground, stop: Stop
) -> None:
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: begin(server, ground), stack)
        started = time.monotonic()
        stop.suspend()
        assert GRACE_SECONDS - 0.1 < time.monotonic() - started < GRACE_SECONDS + AT_MOST
        queued = [client.count_queued() for client in clients]
        time.sleep(0.3)
        for client, most in zip(clients, queued, strict=True):
            before = len(client.left)
            received = client.read_all()
            assert len(received) - before <= most
            assert not is_whole(received)
        with Client(server.url) as client:
            assert client.ask(ground.request()).status == 404
            stop.resume()
            assert client.ask(ground.request("?limit=5")).status == 200


def begin(server: Serving, ground: Ground, request: bytes | None = None) -> Client:
    """A client that has asked for a page which no kernel holds, and reads no more than its first bytes."""
    client = Client(server.url, buffer=4_096)
    client.send(request or ground.request())
    client.left += client.socket.recv(512)
    assert client.left.startswith(b"HTTP/1.1 200 ")
    return client


def is_whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return len(body) >= int(length.partition(b":")[2])


def test_what_was_asked_for_just_before_a_stop_is_refused_or_drained(
    server: Serving, ground: Ground, stop: Stop
) -> None:
    """Answers that are committed in the very moment of a stop, before any byte of them has come."""
    chance = random.Random(1)
    given = 0
    for _ in range(5):
        given += race(server, ground, stop, chance)
        stop.resume()
    assert given


def race(server: Serving, ground: Ground, stop: Stop, chance: random.Random) -> int:
    """How many of those that asked just before a stop were given anything."""
    given = 0
    with contextlib.ExitStack() as stack:
        clients = enter_everywhere(server, lambda: Client(server.url, buffer=4_096), stack)
        for client in clients:
            client.send(ground.request())
            time.sleep(chance.uniform(0, 0.02))
        stop.suspend()
        queued = [client.count_queued() for client in clients]
        time.sleep(0.1)
        for client, most in zip(clients, queued, strict=True):
            client.socket.shutdown(socket.SHUT_WR)
            received = client.read_all()
            if not received.startswith(b"HTTP/1.1 404 "):
                assert len(received) <= most
                given += 1
    return given


def test_a_slow_reader_is_cut_by_a_stop_and_holds_up_nobody_before(server: Serving, ground: Ground, stop: Stop) -> None:
    with contextlib.ExitStack() as stack:
        slow = enter_everywhere(server, lambda: begin(server, ground), stack)
        half = [stack.enter_context(Client(server.url)) for _ in range(6)]
        for client in half:
            client.send(ground.request()[:40])
        quick = [stack.enter_context(Client(server.url)) for _ in range(8)]
        started = time.monotonic()
        for _ in range(3):
            for client in slow:
                client.left += client.socket.recv(1_024)
            for client in quick:
                assert client.ask(ground.request("?limit=20")).status == 200
        assert time.monotonic() - started < AT_MOST
        stop.suspend()
        queued = [client.count_queued() for client in slow]
        for client, most in zip(slow, queued, strict=True):
            before = len(client.left)
            assert len(client.read_all()) - before <= most
        for client in half:
            assert client.read_all() == b""
        for client in quick:
            assert client.ask(ground.request("?limit=20")).status == 404


def test_a_message_that_stops_is_acknowledged_to_nobody_before_the_drain(server: Serving, ground: Ground) -> None:
    """The same message at once on connections of every worker: each is told when all is drained, not before."""
    node = ground.world.nodes["borealia"]
    ground.world.act_on("borealia", ground.agreement, EventKind.SUSPEND)
    (message,) = list_due(node)
    head = format_request("POST", "/comity/exchange/", headers={"Content-Length": str(len(message.envelope))})
    with contextlib.ExitStack() as stack:
        readers = enter_everywhere(server, lambda: begin(server, ground), stack)
        senders = enter_everywhere(server, lambda: Client(server.url), stack)
        begun = time.monotonic()
        for sender in senders:
            sender.send(head + message.envelope)
        left = max(0.0, begun + GRACE_SECONDS - 0.5 - time.monotonic())
        told, _, _ = select.select([sender.socket for sender in senders], [], [], left)
        assert told == [] or time.monotonic() - begun >= GRACE_SECONDS
        assert [sender.read().status for sender in senders] == [202] * len(senders)
        for reader in readers:
            before, most = len(reader.left), reader.count_queued()
            assert len(reader.read_all()) - before <= most
        # Nobody is cut, or waited for, once more.
        again = [senders[0].ask(head + message.envelope) for _ in range(3)]
        assert {answer.status for answer in again} == {202}
        assert min(answer.ended - answer.asked for answer in again) < GRACE_SECONDS / 2


def test_pipelined_requests_are_answered_in_order_and_stopped_in_the_middle(
    server: Serving, ground: Ground, stop: Stop
) -> None:
    with Client(server.url) as client:
        client.send(b"".join(ground.request(f"?limit={n}") for n in range(1, 9)))
        assert [len(client.read().given) for _ in range(8)] == [*range(1, 9)]
        client.send(ground.request("?limit=1") + ground.request("?limit=2") + ground.request()[:60])
        assert [len(client.read().given) for _ in range(2)] == [1, 2]
        client.send(ground.request()[60:])
        assert client.read().status == 200
    with contextlib.ExitStack() as stack:
        many = ground.request() * 6
        clients = enter_everywhere(server, lambda: begin(server, ground, many), stack)
        stop.suspend()
        queued = [client.count_queued() for client in clients]
        for client, most in zip(clients, queued, strict=True):
            before = len(client.left)
            received = client.read_all()
            assert len(received) - before <= most
            assert received.count(b"HTTP/1.1 ") == 1
        with Client(server.url) as client:
            client.send(ground.request("?limit=1") * 3)
            answers: list[Answer] = [client.read() for _ in range(3)]
            assert [answer.status for answer in answers] == [404] * 3
    assert server.end() == 0
    assert server.faults.read_text(encoding="utf-8") == ""
