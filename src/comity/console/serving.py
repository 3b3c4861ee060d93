# SPDX-License-Identifier: Apache-2.0
"""Shell: the address that the console is served on, beside that of partners, and never the same."""

from comity.config import Address, ConsoleSetting, Limits, format_address
from comity.console.app import ConsoleApp
from comity.console.door import Door
from comity.console.visit import Ask, FindPerson
from comity.taxii.connections import Connections
from comity.taxii.guard import Receive, Scope, Send
from comity.taxii.listen import Site

__all__ = ["ConsoleServer"]

_LIMITS = Limits(connections=64, connections_per_address=64, stop_seconds=1)


class ConsoleServer:
    """The console of one node, by its setting; `ask` carries out operations and `find_person` knows the sessions.

    People sign in by `door`; without one nobody can.
    """

    def __init__(self, setting: ConsoleSetting, *, ask: Ask, find_person: FindPerson, door: Door | None = None) -> None:
        self._door = door
        self._setting = setting
        self._ask = ask
        self._find_person = find_person
        self._site = Site(setting.listen, Connections(_LIMITS))
        self._app: ConsoleApp | None = None

    async def start(self) -> str:
        """The URL that people reach it by, once it listens.

        Raises:
            ConfigError: the address cannot be had.
        """
        bound = await self._site.start(self, setting="another as listen in [console] of node.toml")
        url = self._setting.url or f"http://{format_address(Address(host=bound.host, port=bound.port))}"
        self._app = ConsoleApp(url=url, ask=self._ask, find_person=self._find_person, door=self._door)
        return url

    async def stop(self) -> int:
        """How many connections had to be cut."""
        return await self._site.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3)."""
        # Its URL is known once the port is: nobody can be answered before, and nobody is.
        if self._app is not None:
            await self._app(scope, receive, send)
