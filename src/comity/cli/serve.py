# SPDX-License-Identifier: Apache-2.0
"""Shell: the process that serves: partners over TAXII, this party's own commands over the control socket.

1. own the store, and ask the witnesses whether they have seen more of its log than it holds;
2. listen for commands, so that from here on they come to this process;
3. listen for partners and, where the settings have a console, for this party's own people, and say so;
4. deliver what is queued, whenever something is queued and every few seconds;
5. have the head of the log cosigned by the witnesses, some seconds after it has grown;
6. do what time brings without anybody acting, and delete what is due, at the start and twice a minute;
   have patterns read that wait for it, which is looked for twice a second;
7. follow partners, unless the settings say that it does not (`following`);
8. take the certificate and the access log anew when told to by SIGHUP;
9. when told to stop: take no more, finish what is being sent within `stop_seconds`, cut the rest.

With `--workers` partners are answered by processes that this one starts (`taxii.workers`); all the rest stays here.
"""

import asyncio
import contextlib
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from comity.agreement.people import Person
from comity.cli.listener import Listener
from comity.cli.session import Session
from comity.config import Address, ConsoleSetting, parse_address
from comity.errors import ComityError, NotInstalled, StoreBusy
from comity.following import Follower
from comity.ids import AgreementId, PartyId
from comity.node.node import Node, open_node
from comity.node.purge import purge_due
from comity.node.retention import delete_due
from comity.node.upkeep import keep_up
from comity.operations.acting import act
from comity.operations.checking import Checking
from comity.operations.outcome import Tell
from comity.operations.reply import Exit, Json, Reply, describe_bug
from comity.operations.table import load_operations
from comity.peers import deliver, stop_held
from comity.taxii.listen import TaxiiServer
from comity.taxii.tuning import tune
from comity.taxii.workers import Workers
from comity.witnessing import Rounds, verify_not_behind

if TYPE_CHECKING:
    from comity.console.provider import Provider
    from comity.console.serving import ConsoleServer

__all__ = ["serve_node", "write_faults"]

_DELIVERY_PAUSE_SECONDS = 5.0
_UPKEEP_PAUSE_SECONDS = 30.0
_CHECK_PAUSE_SECONDS = 0.5
_FAILED_CHECK_PAUSE_SECONDS = 30.0
_COSIGNING_PAUSE_SECONDS = 5.0
_PATIENCE_SECONDS = 1.0
"""How long to wait for a command that owns the store just now."""

_log = logging.getLogger("comity.serve")


class Server(Protocol):
    """What answers partners: a `TaxiiServer` in this process, or `Workers`."""

    queued: asyncio.Event

    @property
    def encrypted(self) -> bool:
        """Whether it speaks TLS."""

    async def start(self) -> Address:
        """The address it listens on for partners, once it does."""

    async def stop(self) -> int:
        """How many connections had to be cut."""

    async def reload(self) -> list[str]:
        """What was done, a sentence each."""

    async def drain(self, agreement: AgreementId) -> None:
        """Return when no answer given under `agreement` is under way."""

    async def forget(self) -> None:
        """Return when no page is in memory that was there before."""


def serve_node(session: Session, *, listen: str | None, workers: int = 1) -> int:
    """Serve until told to stop, by this process or, where `workers` is over 1, by so many that it starts.

    Raises:
        ComityError: it could not start; nothing is left behind.
    """
    write_faults()
    load_operations()
    address = None if listen is None else parse_address(listen)
    node = _open_patiently(session.node_folder(), session.unlock)
    if node.keyring.list_plain():
        session.note(
            f"The keys in {node.keyring.folder} are NOT ENCRYPTED: whoever has a copy of them can sign as {node.party};"
            " see `comity party protect-keys`."
        )
    try:
        asyncio.run(_serve(session, node, address or node.settings.listen, workers=workers))
    finally:
        node.close()
    return Exit.DONE


def write_faults() -> None:
    """Let what is logged go to standard error."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    # It warns of each request that is none, and of each connection too many: anybody could fill a disk with that.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def _make_server(node: Node, address: Address, *, workers: int) -> Server:
    if workers == 1:
        return TaxiiServer(node, address)
    # -P: not from whatever lies in the folder that this process was started in.
    return Workers(node, address, count=workers, command=[sys.executable, "-P", "-m", "comity.cli.worker"])


async def _serve(session: Session, node: Node, address: Address, *, workers: int) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serving = _Serving(node, _make_server(node, address, workers=workers))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, serving.reload)
    listener = Listener(node.folder, lambda asked, values, tell: serving.handle(asked, values, tell=tell))
    await verify_not_behind(node)
    console = _make_console(node, serving)
    await listener.start()
    try:
        bound = await serving.server.start()
        console_url = None if console is None else await console.start()
        tune()
        always = (
            serving.deliver_always(),
            serving.keep_up_always(),
            serving.check_always(),
            serving.cosign_always(),
            serving.follow_always(),
        )
        working = [asyncio.create_task(one) for one in always]
        _say_ready(session, node, bound, encrypted=serving.server.encrypted, console=console_url)
        await stopping.wait()
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
    finally:
        await listener.stop()
        if console is not None:
            await console.stop()
        await serving.checking.close()
        if cut := await serving.server.stop():
            _log.warning("%d connections were cut: their answers took longer than stop_seconds", cut)


def _make_console(node: Node, serving: "_Serving") -> "ConsoleServer | None":
    setting = node.settings.console
    if setting is None:
        return None
    # Twelve megabytes, which a node without one need not have.
    from comity.console.door import Door
    from comity.console.serving import ConsoleServer

    door = Door(node, provider=_make_provider(node, setting))
    return ConsoleServer(setting, ask=serving.handle, find_person=door.find_person, door=door)


def _make_provider(node: Node, setting: ConsoleSetting) -> "Provider | None":
    """The OpenID provider of the console, if it has one.

    Raises:
        ConfigError: the client secret cannot be used.
        NotInstalled: what verifies tokens is not there.
    """
    if setting.oidc is None or setting.url is None:
        return None
    from comity.console.provider import Provider

    try:
        from comity.node.tokens import verify_id_token
    except ModuleNotFoundError as error:
        raise NotInstalled(
            "[console.oidc] in node.toml needs joserfc, which is not installed here; install it with: pip install"
            " 'comity[oidc]'"
        ) from error
    return Provider(node, setting.oidc, url=setting.url, verify=verify_id_token)


class _Serving:
    """What the serving process does for an operation, around it and between operations."""

    def __init__(self, node: Node, server: Server) -> None:
        self.server = server
        self.checking = Checking(node)
        self._rounds = Rounds(node)
        self._round = asyncio.Lock()
        self._reloading: asyncio.Task[None] | None = None
        self._node = node
        self._busy = set[PartyId]()
        self._trying = set[asyncio.Task[bool] | asyncio.Task[None]]()

    async def handle(
        self, operation: str, arguments: Mapping[str, Json], by: Person | None = None, tell: Tell | None = None
    ) -> Reply:
        """The reply to one command, or to a person who asks in the console.

        What nobody foresaw is written to the log of this process under its incident.
        """
        try:
            return await act(self._node, operation, arguments, around=self, by=by, tell=tell)
        except Exception as error:  # noqa: BLE001 (the process must go on serving)
            body = describe_bug(error)
            _log.exception("%s: %s", operation, body["message"])
            return Reply(code=Exit.FAILED, error=body)

    def reload(self) -> None:
        """Take the certificate and the access log anew, and say what came of it in the log of this process."""
        self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        try:
            for done in await self.server.reload():
                _log.warning("reloaded: %s", done)
        except ComityError as error:
            _log.error("not reloaded, what was in use before stays in use: %s", error.detail)

    async def drain(self, agreement: AgreementId) -> None:
        """Return when no answer given under `agreement` is under way, nor a message that may go no more."""
        try:
            await stop_held(self._node)
        finally:
            await self.server.drain(agreement)

    async def forget(self) -> None:
        """Return when no page with what was deleted is in the memory of any process."""
        await self.server.forget()

    async def check(self, *, seconds: float) -> None:
        """What takes longer goes on by itself; what fails is tried again (`check_always`)."""
        trying = asyncio.create_task(self._check_once())
        self._trying.add(trying)
        trying.add_done_callback(self._trying.discard)
        await asyncio.wait({trying}, timeout=seconds)

    async def deliver(self, *, seconds: float) -> None:
        """One try; what takes longer goes on by itself."""
        await asyncio.wait({self._begin_delivery()}, timeout=seconds)

    async def deliver_always(self) -> None:
        """Deliver for as long as this process serves."""
        while True:
            self._begin_delivery()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.server.queued.wait(), _DELIVERY_PAUSE_SECONDS)
            self.server.queued.clear()

    async def keep_up_always(self) -> None:
        """Do what is due for as long as this process serves."""
        while True:
            for step in (self._keep_up_once, self._delete_once):
                try:
                    await step()
                except ComityError as error:
                    _log.error("what time brings could not be done: %s", error.detail)
                except Exception:  # noqa: BLE001 (the process must go on serving, and each poll asks the policy by itself)
                    _log.exception("what time brings could not be done")
            await asyncio.sleep(_UPKEEP_PAUSE_SECONDS)

    async def check_always(self) -> None:
        """Have patterns read for as long as this process serves."""
        while True:
            done = await self._check_once()
            await asyncio.sleep(_CHECK_PAUSE_SECONDS if done else _FAILED_CHECK_PAUSE_SECONDS)

    async def _check_once(self) -> bool:
        """Whether it went well; if not, it is said in the log of this process."""
        try:
            await self.checking.check()
        except ComityError as error:
            _log.error("patterns could not be read: %s", error.detail)
        except Exception:  # noqa: BLE001 (the process must go on serving; what is not read is withheld)
            _log.exception("patterns could not be read")
        else:
            return True
        return False

    async def cosign_always(self) -> None:
        """Have the head cosigned for as long as this process serves. What is asked for is committed already."""
        while True:
            await self._cosign_once()
            await asyncio.sleep(_COSIGNING_PAUSE_SECONDS)

    async def cosign(self, *, seconds: float) -> None:
        """One round in which everybody is asked; what takes longer goes on by itself."""
        self._rounds.wake()
        trying = asyncio.create_task(self._cosign_once())
        self._trying.add(trying)
        trying.add_done_callback(self._trying.discard)
        await asyncio.wait({trying}, timeout=seconds)

    async def _cosign_once(self) -> None:
        """One round; it waits for the one that is under way, which may be about an older head."""
        async with self._round:
            try:
                await self._rounds.ask()
            except ComityError as error:
                _log.error("the head could not be cosigned: %s", error.detail)
            except Exception:  # noqa: BLE001 (the process must go on serving: a head without cosignatures is a good one)
                _log.exception("the head could not be cosigned")

    async def follow_always(self) -> None:
        """Follow partners for as long as this process serves."""
        if not self._node.settings.follow.on:
            return
        while True:
            try:
                await Follower(self._node).follow_always()
            except ComityError as error:
                _log.error("partners could not be followed: %s", error.detail)
            except Exception:  # noqa: BLE001 (the process must go on serving)
                _log.exception("partners could not be followed")
            await asyncio.sleep(_DELIVERY_PAUSE_SECONDS)

    async def _keep_up_once(self) -> None:
        done = keep_up(self._node)
        for recorded in done:
            if recorded.stops:
                await self.drain(recorded.event.agreement)
        if done:
            self.server.queued.set()

    async def _delete_once(self) -> None:
        """Some at a time, so that partners are answered in between."""
        more, deleted = True, False
        while more:
            purged = delete_due(self._node)
            more, deleted = purged.more, deleted or bool(purged.stones)
            await asyncio.sleep(0)
        more = True
        while more:
            forgotten = purge_due(self._node)
            more, deleted = forgotten.more, deleted or bool(forgotten.ranges)
            await asyncio.sleep(0)
        if deleted:
            await self.forget()

    def _begin_delivery(self) -> asyncio.Task[None]:
        """One try that goes on by itself: partners that are being delivered to already are left out of it."""
        trying = asyncio.create_task(self._deliver_once())
        self._trying.add(trying)
        trying.add_done_callback(self._trying.discard)
        return trying

    async def _deliver_once(self) -> None:
        try:
            if await deliver(self._node, busy=self._busy):
                self._rounds.wake()  # one of them may be a witness that did not have this party's newest manifest
        except ComityError as error:
            _log.error("messages could not be delivered: %s", error.detail)
        except Exception:  # noqa: BLE001 (delivery must go on in five seconds, whatever this was)
            _log.exception("messages could not be delivered")


def _open_patiently(folder: Path, unlock: Callable[[], bytes]) -> Node:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return open_node(folder, unlock)
        except StoreBusy:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _say_ready(session: Session, node: Node, bound: Address, *, encrypted: bool, console: str | None) -> None:
    host = f"[{bound.host}]" if ":" in bound.host else bound.host
    url = f"{'https' if encrypted else 'http'}://{host}:{bound.port}"
    taxii = f"{url}/taxii2/"
    if session.as_json:
        protected = not node.keyring.list_plain()
        ready = {"party": node.party, "url": url, "taxii": taxii, "console": console, "keys_encrypted": protected}
        click.echo(json.dumps(ready))
    else:
        click.echo(f"serving {node.party} on {url} (TAXII: {taxii})")
        if console is not None:
            click.echo(f"console of {node.party} on {console}")
    sys.stdout.flush()
