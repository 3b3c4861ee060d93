# SPDX-License-Identifier: Apache-2.0
"""DRAIN: no byte leaves after `suspend` returned. First the count of answers alone, then real sockets.

A client that does not read is the worst case: its answer stays in this process until it is cut.
"""

import asyncio
import contextlib
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import httpx
import pytest

from comity.agreement.events import EventKind
from comity.errors import UnavailableError
from comity.ids import AgreementId, Digest, PartyId
from comity.node.journal import list_entries
from comity.node.outbox import list_due
from comity.node.parties import create_credential
from comity.node.standing import collection_id
from comity.release.disclosure import EntryType
from comity.taxii.gathering import GatheringTransport
from comity.taxii.sends import Sends, Stops
from tests.certificates import Authority
from tests.served import Served, basic, format_request, read_all
from tests.worlds import World, make_object, object_id

ONE, OTHER = AgreementId("1" * 64), AgreementId("2" * 64)
EVENT = Digest("a" * 64)


def nothing() -> None:
    """What an abort does that nobody expects."""
    raise AssertionError("an answer was cut")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grace that a test can wait for."""
    monkeypatch.setattr("comity.taxii.sends.GRACE_SECONDS", 0.1)


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grace that is not over before what is read has been read, however busy the machine is."""
    monkeypatch.setattr("comity.taxii.sends.GRACE_SECONDS", 60.0)


# ---- the count of answers under way ----------------------------------------------------------------------------------


def test_drain_returns_at_once_when_nothing_is_under_way() -> None:
    async def run() -> None:
        sends = Sends()
        async with sends.sending(OTHER, nothing):
            async with asyncio.timeout(1):
                assert await sends.drain(ONE) == 0
        async with asyncio.timeout(1):
            assert await sends.drain(OTHER) == 0

    asyncio.run(run())


def test_drain_waits_for_every_answer_under_way() -> None:
    ended = list[int]()

    async def answer(sends: Sends, number: int) -> None:
        async with sends.sending(ONE, nothing):
            await asyncio.sleep(number / 20)
            ended.append(number)

    async def run() -> None:
        sends = Sends()
        answers = [asyncio.create_task(answer(sends, number)) for number in (3, 1, 2)]
        await asyncio.sleep(0)
        assert await sends.drain(ONE) == 0
        assert ended == [1, 2, 3]
        await asyncio.gather(*answers)

    asyncio.run(run())


def test_drain_cuts_after_the_grace_and_returns_when_the_cut_ones_have_ended(short: None) -> None:
    told = list[str]()

    async def answer(sends: Sends) -> None:
        cut = asyncio.Event()

        def abort() -> None:
            told.append("cut")
            cut.set()

        async with sends.sending(ONE, abort):
            await cut.wait()
            await asyncio.sleep(0.05)
            told.append("ended")

    async def run() -> None:
        sends = Sends()
        answers = [asyncio.create_task(answer(sends)) for _ in range(2)]
        async with sends.sending(OTHER, nothing):
            await asyncio.sleep(0)
            started = time.monotonic()
            assert await sends.drain(ONE) == 2
            assert 0.1 <= time.monotonic() - started < 20
            assert told == ["cut", "cut", "ended", "ended"]
        await asyncio.gather(*answers)

    asyncio.run(run())


def test_only_what_has_not_ended_is_cut(short: None) -> None:
    async def quick(sends: Sends) -> None:
        async with sends.sending(ONE, nothing):
            for _ in range(10):  # the drain has begun by then, and its grace has not
                await asyncio.sleep(0)

    async def slow(sends: Sends) -> None:
        cut = asyncio.Event()
        async with sends.sending(ONE, cut.set):
            await cut.wait()

    async def run() -> None:
        sends = Sends()
        answers = [asyncio.create_task(act(sends)) for act in (quick, slow)]
        await asyncio.sleep(0)
        assert set(await asyncio.gather(sends.drain(ONE), sends.drain(ONE))) == {1}
        await asyncio.gather(*answers)

    asyncio.run(run())


def test_a_stop_that_is_repeated_waits_for_the_same_drain_and_causes_none() -> None:
    begun = list[AgreementId]()

    async def run() -> None:
        ended = asyncio.Event()

        async def drain(agreement: AgreementId) -> None:
            begun.append(agreement)
            await ended.wait()

        stops = Stops(drain)
        waiting = [asyncio.create_task(stops.settle(ONE, EVENT)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in waiting)
        waiting[0].cancel()  # who goes away takes nobody with it
        await asyncio.sleep(0.01)
        ended.set()
        await asyncio.gather(*waiting[1:])
        await stops.settle(ONE, EVENT)
        assert begun == [ONE]
        await stops.settle(OTHER, Digest("b" * 64))
        assert begun == [ONE, OTHER]

    asyncio.run(run())


def test_a_drain_that_failed_is_begun_again() -> None:
    tries = list[int]()

    async def run() -> None:
        async def drain(_: AgreementId) -> None:
            tries.append(1)
            if len(tries) == 1:
                raise UnavailableError("another process of this node has ended")

        stops = Stops(drain)
        with pytest.raises(UnavailableError):
            await stops.settle(ONE, EVENT)
        await stops.settle(ONE, EVENT)
        await stops.settle(ONE, EVENT)
        assert len(tries) == 2

    asyncio.run(run())


@pytest.mark.parametrize("failure", [ValueError("a bug"), asyncio.CancelledError()])
def test_an_answer_that_fails_is_dropped_before_it_counts_as_ended(failure: BaseException) -> None:
    told = list[str]()

    async def answer(sends: Sends, go: asyncio.Event) -> None:
        async with sends.sending(ONE, lambda: told.append("dropped")):
            await go.wait()
            raise failure

    async def run() -> None:
        sends, go = Sends(), asyncio.Event()
        answering = asyncio.create_task(answer(sends, go))
        await asyncio.sleep(0)
        draining = asyncio.create_task(sends.drain(ONE))
        await asyncio.sleep(0)
        assert told == []
        go.set()
        assert await draining == 0
        assert told == ["dropped"]
        with contextlib.suppress(type(failure)):
            await answering
        assert await sends.drain(ONE) == 0

    asyncio.run(run())


def test_a_reader_is_cut_at_the_deadline_without_any_suspension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comity.taxii.sends.WRITE_DEADLINE_SECONDS", 0.05)
    told = list[str]()

    async def run() -> None:
        sends = Sends()
        with pytest.raises(TimeoutError):
            async with sends.sending(ONE, lambda: told.append("dropped")):
                await asyncio.sleep(10)
        assert await sends.drain(ONE) == 0

    asyncio.run(run())
    assert told == ["dropped"]


# ---- real sockets ----------------------------------------------------------------------------------------------------

FILLER = 600_000
PAGE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Aurelia's node served, with a page for Borealia that no socket buffer holds."""

    world: World
    served: Served
    agreement: AgreementId
    collection: str
    password: str

    def path(self, query: str = "") -> str:
        return f"/taxii2/borealia/collections/{self.collection}/objects/{query}"

    def ask_slowly(self, path: str, **headers: str) -> socket.socket:
        """A connection on which a page was asked for; nothing is read, and the buffers are as small as can be."""
        connection = self.served.open(receive_buffer=4_096)
        wait_for(lambda: self.served.call(lambda: self.transport(connection) is not None))
        self.served.call(lambda: self._shrink(connection))
        connection.sendall(format_request("GET", path, headers={**basic("borealia", self.password), **headers}))
        wait_for(lambda: self.served.call(self.count_under_way) > 0)
        return connection

    def is_stuck(self, connection: socket.socket) -> bool:
        """Whether the operating system has taken what it takes."""
        left = self.served.call(lambda: self.left(connection))
        time.sleep(0.3)  # longer than an acknowledgement is delayed
        return 0 < left == self.served.call(lambda: self.left(connection))

    def transport(self, connection: socket.socket) -> GatheringTransport | None:
        """The server's end of the connection."""
        return self.served.server._connections._transports.get(connection.getsockname())

    def left(self, connection: socket.socket) -> int:
        """The bytes of the answer that are still in this process, without what TLS adds to each record of 16 KiB."""
        transport = self.transport(connection)
        left = 0 if transport is None else transport.get_write_buffer_size()
        return max(0, left - 22 * (left // 16_406 + 2)) if self.served.server.encrypted else left

    def count_under_way(self) -> int:
        return sum(len(each) for each in self.served.server.sends._under_way.values())

    async def suspend(self) -> int:
        """Suspend and drain, as the operator's command does; how many answers were cut."""
        self.world.act("aurelia", self.agreement, EventKind.SUSPEND)
        return await self.served.server.sends.drain(self.agreement)

    def _shrink(self, connection: socket.socket) -> None:
        transport = self.transport(connection)
        assert transport is not None
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)


def wait_for(check: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(params=["plain", "tls"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    world = World(tmp_path_factory.mktemp("sends"))
    world.found("aurelia", "borealia")
    agreement = AgreementId(world.sign_all(world.terms()))
    world.add("aurelia", *(make_object(f"r{number}", more={"x_filler": "x" * FILLER}) for number in range(PAGE)))
    node = world.nodes["aurelia"]
    found = collection_id(agreement, "main", giver=PartyId("aurelia"), recipient=PartyId("borealia"))
    password = create_credential(node, PartyId("borealia"))
    if request.param == "tls":
        tls = Authority.found(tmp_path_factory.mktemp("authority")).issue("aurelia")
        node.settings = replace(node.settings, tls=tls)
    with closing(world), Served.start(node) as served:
        yield Site(world=world, served=served, agreement=agreement, collection=found, password=password)


@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}])
def test_a_client_that_does_not_read_is_cut_and_never_gets_the_end(
    site: Site, short: None, headers: dict[str, str]
) -> None:
    with site.ask_slowly(site.path(), **headers) as connection:
        wait_for(lambda: site.is_stuck(connection))
        left = site.served.call(lambda: site.left(connection))
        started = time.monotonic()
        assert site.served.run(site.suspend()) == 1
        assert 0.1 <= time.monotonic() - started < 20
        assert site.served.call(site.count_under_way) == 0
        assert site.served.call(lambda: site.left(connection)) == 0
        received = read_all(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(dict(line.split(b": ") for line in head.split(b"\r\n")[1:])[b"content-length"])
    whole = len(head) + 4 + length
    assert whole > PAGE * FILLER
    assert len(received) <= whole - left  # what the operating system had, and nothing that was still here
    assert len(received) < 1_000_000
    assert not body.endswith(b"]}")


def test_an_answer_is_under_way_until_its_last_byte_has_left_this_process(site: Site, short: None) -> None:
    path = site.path(f"?match[id]={object_id('report', 'r0')}")
    with site.ask_slowly(path) as connection:
        received = 0
        while True:
            left, count = site.served.call(lambda: (site.left(connection), site.count_under_way()))
            assert (left > 0) is (count > 0)
            if left < 60_000:
                break
            received += len(connection.recv(4_096))
        assert left > 0
        assert site.served.run(site.suspend()) == 1
        received += len(read_all(connection))
    assert FILLER / 2 < received < FILLER


def test_nothing_is_written_into_an_answer_that_is_under_way(site: Site) -> None:
    """What follows a request and is none has its own answer, or none at all."""
    with site.ask_slowly(site.path()) as connection:
        wait_for(lambda: site.is_stuck(connection))
        connection.sendall(b"\x00no request\r\n\r\n")
        assert b"HTTP/1.1 400" not in read_all(connection)
    wait_for(lambda: site.served.call(site.count_under_way) == 0)


def test_an_answer_that_is_not_read_is_not_copied_as_a_whole(site: Site) -> None:
    """All who ask for a page share its bytes; what is written to a connection is a copy."""
    with site.ask_slowly(site.path()) as connection:
        wait_for(lambda: site.is_stuck(connection))
        assert site.served.call(lambda: site.left(connection)) <= 1 << 20


def test_an_answer_that_is_read_in_time_is_not_cut(site: Site, long: None) -> None:
    with site.ask_slowly(site.path(), Connection="close") as connection:
        draining = asyncio.run_coroutine_threadsafe(site.suspend(), site.served.loop)
        received = read_all(connection)
        assert draining.result(60) == 0
    assert received.endswith(b"]}")
    assert len(received) > PAGE * FILLER


def test_a_client_that_goes_away_is_not_waited_for(site: Site, long: None) -> None:
    with site.ask_slowly(site.path()):
        assert site.served.call(site.count_under_way) == 1
    wait_for(lambda: site.served.call(site.count_under_way) == 0)
    started = time.monotonic()
    assert site.served.run(site.suspend()) == 0
    assert time.monotonic() - started < 30


def test_a_slow_reader_is_cut_without_noise(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("comity.taxii.sends.WRITE_DEADLINE_SECONDS", 0.2)
    with site.ask_slowly(site.path()) as connection:
        wait_for(lambda: site.served.call(site.count_under_way) == 0)
        assert site.served.call(lambda: site.left(connection)) == 0
        assert len(read_all(connection)) < 1_000_000
    assert [record.name for record in caplog.records if record.levelname == "WARNING"] == ["comity.taxii"]
    assert not any(record.exc_info for record in caplog.records)


def test_a_connection_that_waits_behind_another_answer_is_cut_with_it(site: Site, short: None) -> None:
    with site.ask_slowly(site.path()) as connection:
        connection.sendall(format_request("GET", site.path(), headers=basic("borealia", site.password)))
        assert site.served.run(site.suspend()) == 1
        received = read_all(connection)
    assert received.count(b"HTTP/1.1 ") == 1
    assert len(received) < 1_000_000


def test_a_partners_suspension_is_acknowledged_when_nothing_leaves_any_more(site: Site, short: None) -> None:
    site.world.act("borealia", site.agreement, EventKind.SUSPEND)
    (message,) = list_due(site.world.nodes["borealia"])
    with site.ask_slowly(site.path()) as connection:
        answer = httpx.post(f"{site.served.url}/comity/exchange/", content=message.envelope, verify=False, timeout=60)
        assert answer.status_code == 202
        assert site.served.call(lambda: (site.count_under_way(), site.left(connection))) == (0, 0)
        assert len(read_all(connection)) < 1_000_000


def test_no_new_answer_starts_after_a_suspension(site: Site, long: None) -> None:
    """Clients that never stop asking: what they got was all committed before the suspension."""
    stop, sizes = threading.Event(), list[tuple[float, int, int]]()

    def ask_on() -> None:
        with httpx.Client(
            base_url=site.served.url, auth=("borealia", site.password), verify=False, timeout=60
        ) as client:
            while not stop.is_set():
                asked = time.monotonic()
                answer = client.get(site.path("?limit=1"))
                sizes.append((asked, answer.status_code, len(answer.content)))

    clients = [threading.Thread(target=ask_on) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        wait_for(lambda: len(sizes) > 10)
        site.served.run(site.suspend())
        returned = time.monotonic()
        wait_for(lambda: sum(asked > returned for asked, _, _ in sizes) > 10)
    finally:
        stop.set()
        for client in clients:
            client.join()
    before = [status for asked, status, _ in sizes if asked <= returned]
    after = {status for asked, status, _ in sizes if asked > returned}
    assert before.count(200) > 5
    assert after == {404}
    entries = [
        item.leaf.type for item in site.served.call(lambda: list_entries(site.served.node, start=0, limit=9_999))
    ]
    suspended = len(entries) - 1 - entries[::-1].index(EntryType.AGREEMENT_EVENT)
    # The act of the house ends by naming the heads of the logs that have grown; no disclosure follows it.
    assert entries[suspended:] == [EntryType.AGREEMENT_EVENT, EntryType.LOG_HEADS]
    assert entries.count(EntryType.DISCLOSURE) == [status for _, status, _ in sizes].count(200)


def test_small_answers_do_not_wait_for_the_network(site: Site) -> None:
    """The head and the body of an answer are two writes: without TCP_NODELAY the second waits for some 40 ms."""
    with httpx.Client(base_url=site.served.url, auth=("borealia", site.password), verify=False, timeout=60) as client:
        times = list[float]()
        for _ in range(60):  # the first ones are not delayed in any case
            started = time.monotonic()
            client.get("/taxii2/")
            times.append(time.monotonic() - started)
    assert statistics.median(times) < 0.035
    with site.served.open() as connection:
        wait_for(lambda: site.served.call(lambda: site.transport(connection) is not None))
        option = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport = site.transport(connection)
        assert transport is not None
        assert site.served.call(lambda: transport.get_extra_info("socket").getsockopt(*option)) != 0
