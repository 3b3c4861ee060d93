# SPDX-License-Identifier: Apache-2.0
"""The network between a node that pulls and one that gives: httpx asks it, and the giver's own functions answer.

Who pulls runs all that it runs over a real network (`comity.peers`); what stands between, here, can lose an answer, and
can be told to answer as a giver does that cheats (`tests.simulation.cheats`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from comity.errors import ComityError
from comity.ids import Instant, PartyId, format_instant, parse_instant
from comity.node.node import Node
from comity.node.poll import Page, PollRequest, Selection, VersionChoice, poll
from comity.release.disclosure import Answer
from comity.taxii import receipts
from comity.taxii.wire import format_envelope
from tests.simulation.drafts import SECRET
from tests.simulation.nodes import Nodes
from tests.simulation.pulls import Given

__all__ = ["Cheat", "Wire", "name_kind"]

Cheat = Callable[["Wire", httpx.Request, httpx.Response], httpx.Response]
"""What a giver that cheats answers in the place of what its node does."""

_TAXII = "application/taxii+json;version=2.1"


def name_kind(request: httpx.Request) -> str:
    """What is asked for: a page, a receipt, a proof of consistency, or that an acknowledgement is taken."""
    path = request.url.path
    if request.method == "POST":
        return "acknowledgement"
    if path.startswith("/comity/receipts/"):
        return "receipt"
    return "consistency" if path.startswith("/comity/consistency/") else "page"


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """All calls of one pull. `receipts` are numbers of those that were cheated with, `proof` whether the last one was.

    What every page was that the giver's node gave, by its number, stands in the simulation.
    """

    simulation: Nodes
    giver: str
    recipient: str
    limit: int
    lose: bool = False
    cheat: Cheat | None = None
    twin: bool = False
    receipts: set[int] = field(default_factory=set)
    proof: bool = False
    collection: str = ""

    @property
    def node(self) -> Node:
        """The node that answers."""
        return (self.simulation.twins if self.twin else self.simulation.nodes)[self.giver]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        kind, answer = name_kind(request), self.answer(request)
        if self.cheat is not None and kind != "acknowledgement":
            before = answer.status_code, answer.content
            answer = self.cheat(self, request, answer)
            self._note(request, cheated=before != (answer.status_code, answer.content))
        if self.lose:
            raise httpx.ReadTimeout("the answer was lost")
        answer.request = request
        # A body that was given as bytes is read as a stream, as one from a connection is.
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))

    def _note(self, request: httpx.Request, *, cheated: bool) -> None:
        """What was cheated with last: a cheat that comes to the same is none, and a proof is of one channel."""
        match name_kind(request):
            case "receipt":
                number = {int(request.url.path.rpartition("/")[2])}
                self.receipts = self.receipts | number if cheated else self.receipts - number
            case "consistency":
                self.proof = cheated
            case _ if self.collection != request.url.path:
                self.collection, self.proof = request.url.path, False
            case _:
                pass

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What the giver's node answers."""
        try:
            match name_kind(request):
                case "acknowledgement":
                    said = receipts.take(self.node, request.content)
                case "receipt" | "consistency":
                    said = receipts.answer(self.node, PartyId(self.recipient), request.url.path)
                case _:
                    return self._give_page(request)
        except ComityError:
            return httpx.Response(404)
        return httpx.Response(said.status, headers=[*said.headers], content=b"".join(said.body))

    def _give_page(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        page = poll(
            self.node,
            PollRequest(
                recipient=PartyId(self.recipient),
                collection=request.url.path.split("/")[-3],
                answer=Answer.OBJECTS,
                selection=Selection(
                    after=parse_instant(asked["added_after"]) if "added_after" in asked else Instant(0),
                    versions=VersionChoice(every=True),
                ),
                limit=min(self.limit, int(asked["limit"])),
            ),
        )
        return self._format(page)

    def _format(self, page: Page) -> httpx.Response:
        data = b"".join(
            format_envelope(b",".join(item.data for item in page.items), cursor="on" if page.more else None)
        )
        if not page.items:
            return httpx.Response(200, headers={"content-type": _TAXII}, content=data)
        self.simulation.given.append(
            Given(
                giver=self.giver,
                recipient=self.recipient,
                versions=tuple((item.id, item.version) for item in page.items),
                leaked=SECRET.encode() in data,
                by_twin=self.twin,
            )
        )
        assert page.sequence is not None
        self.simulation.pages.setdefault((self.giver, self.recipient, page.sequence), []).append(data)
        headers = {
            "content-type": _TAXII,
            "x-taxii-date-added-last": format_instant(page.items[-1].at),
            **{name.decode(): value.decode() for name, value in receipts.name_receipt(page.sequence)},
        }
        return httpx.Response(200, headers=headers, content=data)
