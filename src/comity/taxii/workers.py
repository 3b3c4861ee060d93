# SPDX-License-Identifier: Apache-2.0
"""Shell: several processes that answer partners, as the first process has them: it starts, asks, counts and ends them.

The first process owns the store, takes commands, delivers messages, keeps up with time and answers no partner. Workers
answer partners, each on an event loop and with a connection to the store of its own. GATE needs nothing here: each poll
reads the gate and records the disclosure in one transaction of one file, whoever runs it. DRAIN does: after the COMMIT
of what closed a gate, in whatever process, the first process asks every worker to drain, and waits for each.

What is said over the channel of each worker (`taxii.channel`):

    worker to first   enter        from here on it may answer; asked before it takes the first connection
                      listening    it takes connections
                      failed       it cannot start, and why
                      heard        a partner's message may have called for an answer
                      drain        answered when no process has an answer under way that was given under an
                                   agreement before an event
    first to worker   drain        answered when this worker has none under way that was given under an agreement
                      forget       answered when it has no page in memory
                      reload       answered when certificate and access log were taken anew
                      figures      answered by what it has counted
                      stop         answered when answers under way have ended or were cut

A worker that does not answer a drain or a forget in time is killed, and its end is waited for: with it the operating
system closes its connections, and what it remembered is gone. So is one that keeps everybody from writing, for as long
(`node.overdue`). A worker that ends unasked is replaced. A worker whose first process has gone ends at once
(`cli.worker`, `taxii.worker`).
"""

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from comity.config import Address, Settings
from comity.errors import ConfigError, UnavailableError
from comity.ids import AgreementId, Digest, Instant
from comity.node.figures import read_figures
from comity.node.node import Node
from comity.node.overdue import Overdue
from comity.taxii.admin import AdminApp, find_problems
from comity.taxii.channel import Channel, Values, open_channel
from comity.taxii.connections import Connections
from comity.taxii.guard import read_proxy
from comity.taxii.listen import ADMIN_LIMITS, LAST_SECONDS, Site, describe_reload, listen
from comity.taxii.metrics import Counted, Metrics, add_counted
from comity.taxii.sends import GRACE_SECONDS, Stops
from comity.taxii.tally import KEY_BYTES, Tally
from comity.taxii.tls import Tls

__all__ = ["MARGIN_SECONDS", "MOST_WORKERS", "Given", "Workers"]

MOST_WORKERS = 64

MARGIN_SECONDS = 3.0
"""How long after GRACE_SECONDS a worker may be busy with one transaction before it counts as stuck."""

_START_SECONDS = 120.0
"""For an interpreter to start and read what it needs, on a machine that has other work: all workers start at once."""

_FIGURES_SECONDS = 1.0
_RELOAD_SECONDS = 10.0
_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before a worker is replaced, by how many in its place have ended soon after their start."""

_SOON_SECONDS = 10.0

_log = logging.getLogger("comity.workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a worker is given when it starts: descriptors that it inherits, and the settings as they were read once.

    `passphrase` opens the party's keys. All of it goes through a pipe that nobody else reads.
    """

    folder: Path
    settings: Settings
    number: int
    channel: int
    listener: int
    lock: int
    turns: int
    tally: int
    passphrase: bytes | None = field(repr=False)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All of them."""
        return self.channel, self.listener, self.lock, self.turns, self.tally


@dataclass(slots=True, eq=False)
class _Worker:
    """One worker, from its start until its end was seen."""

    number: int
    process: subprocess.Popen[bytes]
    channel: Channel | None = None
    entered: bool = False
    counted: Counted = field(default_factory=dict)
    failure: str | None = None
    started: float = field(default_factory=time.monotonic)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int:
        """Its number with the operating system."""
        return self.process.pid

    def kill(self) -> None:
        """End it now."""
        if self.process.poll() is None:
            self.process.kill()

    async def ask(self, word: str, *, seconds: float, **values: str) -> Values | None:
        """What it answers; None when it does not in time, or has ended.

        What has arrived when the time is over counts: this process may have been busy itself.
        """
        if self.channel is None:
            return None
        asking = asyncio.ensure_future(self.channel.ask(word, **values))
        await asyncio.wait({asking}, timeout=seconds)
        if not asking.done():
            asking.cancel()
            return None
        return None if asking.exception() is not None else asking.result()


class Workers:
    """The workers of a node, in place of a `TaxiiServer`; `queued` is set when a message may call for an answer."""

    def __init__(self, node: Node, address: Address, *, count: int, command: Sequence[str]) -> None:
        """Read the files that the settings name.

        `command` starts a worker; the number of this process, which a worker must not outlive, is put behind it.

        Raises:
            ConfigError: one cannot be used.
        """
        settings = node.settings
        self._node = node
        self._address = address
        self._count = count
        self._command = list(command)
        self._tls = None if settings.tls is None else Tls(settings.tls, node.clock)
        read_proxy(settings.proxy)  # so that a bad one is told here, once
        self._workers: set[_Worker] = set()
        self._keeping: list[asyncio.Task[None]] = []
        self._stops = Stops(self.drain)
        self._past: Counted = {}
        self._stopping = False
        self._listener: socket.socket | None = None
        self._tally: Tally | None = None
        self._overdue: Overdue | None = None
        self._admin = None if settings.admin is None else Site(settings.admin, Connections(ADMIN_LIMITS))
        self.queued = asyncio.Event()

    @property
    def encrypted(self) -> bool:
        """Whether they speak TLS."""
        return self._tls is not None

    async def start(self) -> Address:
        """The address they listen on for partners, once all do, and this process for the operator.

        Raises:
            ConfigError: an address cannot be had, or a worker cannot start.
        """
        listener = self._listener = listen(self._address, setting="another with --listen")
        bound = listener.getsockname()
        limits = self._node.settings.limits
        self._tally = Tally.begin(workers=self._count, connections=limits.connections, key=self._node.draw(KEY_BYTES))
        first = [await self._begin(number) for number in range(self._count)]
        if self._node.turns is not None:
            seconds = GRACE_SECONDS + MARGIN_SECONDS
            self._overdue = Overdue(self._node.turns, lambda: list(self._workers), seconds=seconds)
            self._overdue.start()
        await asyncio.gather(*(self._await_first(worker) for worker in first))
        self._keeping = [asyncio.create_task(self._keep(worker)) for worker in first]
        if self._admin is not None:
            metrics = Metrics(
                lambda: read_figures(self._node),
                connections=self._tally.count_connections,
                certificate_expires_at=self._find_certificate_expiry,
                counted=self._sum_counted,
            )
            admin = AdminApp(metrics, self._find_problems, gather=self._gather)
            await self._admin.start(admin, setting="another as admin in node.toml")
        return Address(host=bound[0], port=bound[1])

    async def drain(self, agreement: AgreementId) -> None:
        """Return when no answer given under `agreement` is under way in any worker.

        Call it after the COMMIT of what closed the gate. A worker that enters later reads the store as it is then.
        """
        await self._ask_all("drain", agreement=agreement)

    async def forget(self) -> None:
        """Return when no worker has a page in memory that was there before; nor has this process."""
        self._node.pages.clear()
        await self._ask_all("forget")

    async def reload(self) -> list[str]:
        """What was done, a sentence each, in all workers.

        Raises:
            ConfigError: a file cannot be used; the one before stays in use.
        """
        if self._tls is not None:
            self._tls.reload()
        entered = [worker for worker in self._workers if worker.entered]
        answers = await asyncio.gather(*(worker.ask("reload", seconds=_RELOAD_SECONDS) for worker in entered))
        failed = {str(answer["failed"]) for answer in answers if answer is not None and answer.get("failed")}
        if failed:
            raise ConfigError("; ".join(sorted(failed)))
        return describe_reload(access_log=self._node.settings.access_log is not None, tls=self._tls)

    async def stop(self) -> int:
        """How many connections had to be cut: answer what was asked, within `stop_seconds`, and listen no more."""
        self._stopping = True
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        if self._listener is not None:
            # As long as any process has it open, connections are taken that nobody answers.
            self._listener.close()
        seconds = self._node.settings.limits.stop_seconds + 2 * LAST_SECONDS
        workers = list(self._workers)
        answers = await asyncio.gather(*(worker.ask("stop", seconds=seconds) for worker in workers))
        for worker in workers:
            if worker.channel is not None:
                worker.channel.close()
        await asyncio.gather(*(self._end(worker) for worker in workers))
        if self._overdue is not None:
            self._overdue.stop()
        if self._admin is not None:
            await self._admin.stop()
        if self._tally is not None:
            self._tally.close()
        return sum(int(answer["cut"]) for answer in answers if answer is not None)

    # ---- one worker --------------------------------------------------------------------------------------------------

    async def _begin(self, number: int) -> _Worker:
        """A worker that was just started.

        Raises:
            ConfigError: the operating system starts none.
        """
        assert self._listener is not None  # noqa: S101 (see `start`)
        assert self._tally is not None  # noqa: S101 (see `start`)
        lock, turns = self._node.share()
        mine, other = socket.socketpair()
        with other:
            given = Given(
                folder=self._node.folder,
                settings=replace(self._node.settings, admin=None),
                number=number,
                channel=other.fileno(),
                listener=self._listener.fileno(),
                lock=lock,
                turns=turns,
                tally=self._tally.handle,
                passphrase=self._node.keyring.passphrase,
            )
            try:
                process = _start(self._command, given)
            except OSError as error:
                mine.close()
                raise ConfigError(f"no worker could be started: {error.strerror or error}") from error
        worker = _Worker(number, process)
        self._workers.add(worker)
        self._watch(worker)
        worker.channel = await open_channel(mine, lambda word, values: self._hear(worker, word, values), worker.kill)
        return worker

    def _watch(self, worker: _Worker) -> None:
        """Take note of its end, whatever ended it."""
        loop, handle = asyncio.get_running_loop(), os.pidfd_open(worker.process.pid)

        def ended() -> None:
            loop.remove_reader(handle)
            os.close(handle)
            worker.process.wait()
            self._workers.discard(worker)
            self._past = add_counted(self._past, worker.counted)
            if self._tally is not None:
                self._tally.clear(worker.number)
            worker.gone.set()
            worker.ready.set()

        loop.add_reader(handle, ended)

    async def _await_first(self, worker: _Worker) -> None:
        """Return when it listens.

        Raises:
            ConfigError: it does not.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.ready.wait(), _START_SECONDS)
        if worker.failure is not None or worker.gone.is_set() or not worker.ready.is_set():
            raise ConfigError(worker.failure or f"a worker did not start ({_describe_end(worker)})")

    async def _keep(self, worker: _Worker) -> None:
        """Replace the worker whenever it ends, and its successors, at a bounded rate."""
        soon = 0
        while True:
            await worker.gone.wait()
            soon = soon + 1 if time.monotonic() - worker.started < _SOON_SECONDS else 0
            _log.error("worker %d ended (%s); another one is started", worker.number, _describe_end(worker))
            await asyncio.sleep(_PAUSES[min(soon, len(_PAUSES) - 1)])
            while True:
                try:
                    worker = await self._begin(worker.number)
                    break
                except ConfigError as error:
                    _log.error("%s", error.detail)
                    await asyncio.sleep(_PAUSES[-1])

    async def _hear(self, worker: _Worker, word: str, values: Values) -> Values:
        """The answer to what a worker says."""
        match word:
            case "enter":
                worker.entered = True
            case "listening":
                worker.ready.set()
            case "failed":
                worker.failure = str(values["detail"])
                _log.error("worker %d cannot start: %s", worker.number, worker.failure)
            case "heard":
                self.queued.set()
            case "drain":
                await self._stops.settle(AgreementId(str(values["agreement"])), Digest(str(values["event"])))
            case _:
                raise UnavailableError(f"a worker says {word!r}, which is not understood")
        return {}

    async def _end(self, worker: _Worker) -> None:
        """Return when it has ended, which it does by itself when its channel has."""
        try:
            await asyncio.wait_for(worker.gone.wait(), LAST_SECONDS)
        except TimeoutError:
            worker.kill()
            await worker.gone.wait()

    # ---- all of them -------------------------------------------------------------------------------------------------

    async def _ask_all(self, word: str, **values: str) -> None:
        """Return when each worker that may answer partners has done it, or has ended."""
        await asyncio.gather(*(self._insist(worker, word, values) for worker in self._workers if worker.entered))

    async def _insist(self, worker: _Worker, word: str, values: dict[str, str]) -> None:
        if await worker.ask(word, seconds=GRACE_SECONDS + MARGIN_SECONDS, **values) is not None:
            return
        if not worker.gone.is_set():
            _log.error("worker %d did not answer in time, and is ended: its answers under way are cut", worker.number)
            worker.kill()
        await worker.gone.wait()

    async def _gather(self) -> None:
        """Take note of what each worker has counted; of one that does not say, what it said last stands."""
        await asyncio.gather(*(self._count_one(worker) for worker in self._workers))

    async def _count_one(self, worker: _Worker) -> None:
        answer = await worker.ask("figures", seconds=_FIGURES_SECONDS)
        if answer is not None:
            worker.counted = answer["counted"]

    def _sum_counted(self) -> Counted:
        total = self._past
        for worker in self._workers:
            total = add_counted(total, worker.counted)
        return total

    def _find_problems(self) -> list[str]:
        """Why partners cannot be served now."""
        listens = [] if any(worker.ready.is_set() for worker in self._workers) else ["no worker listens for partners"]
        return listens + find_problems(self._node, certificate_expires_at=self._find_certificate_expiry())

    def _find_certificate_expiry(self) -> Instant | None:
        return None if self._tls is None else self._tls.certificate.expires_at


def _start(command: Sequence[str], given: Given) -> subprocess.Popen[bytes]:
    """The process of a worker, which has been given what it needs."""
    process = subprocess.Popen([*command, str(os.getpid())], stdin=subprocess.PIPE, pass_fds=given.descriptors)
    assert process.stdin is not None  # noqa: S101 (a pipe was asked for)
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
        pipe.write(pickle.dumps(given))  # far below what a pipe holds
    return process


def _describe_end(worker: _Worker) -> str:
    code = worker.process.poll()
    if code is None:
        return f"it was not ready after {_START_SECONDS:.0f} seconds"
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
