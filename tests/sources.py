# SPDX-License-Identifier: Apache-2.0
"""A TAXII 2.1 server that is no node, over real HTTP: honest, or cheating as a test says."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.ids import Digest, Instant, format_instant, parse_instant
from comity.node import sources
from comity.node.people import Waiting
from comity.node.sources import TAXII, Source, StoredSource
from tests.worlds import BASIS, World

__all__ = ["COLLECTION", "Held", "TaxiiServer", "follow_source", "make_record", "serve_taxii"]

COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
MEDIA_TYPE = "application/taxii+json;version=2.1"
Answer = Callable[[BaseHTTPRequestHandler, dict[str, str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An object, and the date that the server gives it."""

    value: dict[str, Any]
    at: Instant


@dataclass
class TaxiiServer:
    """What it holds, in the order of dates; how many objects make a page, and whether it names a `next`."""

    url: str = ""
    held: list[Held] = field(default_factory=list)
    page: int = 100
    names_next: bool = True
    dates: bool = True
    asked: list[dict[str, str]] = field(default_factory=list)
    credentials: set[str | None] = field(default_factory=set)
    answer: Answer | None = None

    def give(self, handler: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        """A page as TAXII 2.1 has it."""
        after = parse_instant(query["added_after"]) if "added_after" in query else Instant(-1)
        found = [item for item in self.held if item.at > after]
        start = int(query.get("next", "0"))
        page = found[start : start + min(self.page, int(query.get("limit", "1000000")))]
        more = len(found) > start + len(page)
        named = {"next": str(start + len(page))} if more and self.names_next else {}
        body = {
            **({"more": True} if more else {}),
            **named,
            **({"objects": [item.value for item in page]} if page else {}),
        }
        dates = (
            {"X-TAXII-Date-Added-First": page[0].at, "X-TAXII-Date-Added-Last": page[-1].at}
            if page and self.dates
            else {}
        )
        headers: dict[str, Any] = {name: format_instant(at) for name, at in dates.items()}
        say(handler, json.dumps(body).encode(), **headers)


def say(
    handler: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, kind: str = MEDIA_TYPE, **headers: str
) -> None:
    """Answer with this."""
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serve_taxii(server: TaxiiServer | None = None) -> Iterator[TaxiiServer]:
    """Serve until the block ends."""
    made = server or TaxiiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            made.asked.append(query)
            made.credentials.add(self.headers.get("Authorization"))
            try:
                (made.answer or made.give)(self, query)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Nothing: who asked has gone."""

    listener = Listener(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{listener.server_address[1]}/api1/"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def make_record(
    *,
    party: str = "borealia",
    originator: str = "north-cert",
    types: Sequence[str] = ("report", "indicator", "identity"),
    ceiling: str = "green",
    unmarked: str = "withhold",
    extra: str = "",
) -> bytes:
    """Terms of receipt as TOML."""
    return f"""
format = "comity-receipt-terms/1"
title = "Open reports of the North CERT"
originator = "{originator}"
types = {json.dumps(list(types))}
tlp_ceiling = "{ceiling}"
unmarked = "{unmarked}"
permitted_actions = "internally-visible-actions"
{extra}
[[legal_bases]]
party = "{party}"
kind = "unsc_resolution"
reference = "{BASIS}"
force = "decides"
[retention]
review_after = "P1Y"
maximum = "P3Y"
no_decision = "delete"
""".encode()


def follow_source(
    world: World,
    url: str,
    record: bytes | None = None,
    *,
    name: str = "north",
    collection: str = COLLECTION,
    **more: str,
) -> Source | Refusal:
    """The source, recorded by as many people of borealia as it takes."""
    wanted = StoredSource(
        name=name,
        url=url,
        collection=collection,
        record=Digest(""),
        document=b"",
        scheme=more.get("scheme"),
        credential=more.get("credential"),
        kind=more.get("kind", TAXII),
    )
    node = world.nodes["borealia"]
    for role in (Role.LIAISON, Role.LEGAL):
        done = sources.add_source(node, wanted, record or make_record(), by=world.actor("borealia", role))
        if not isinstance(done, Waiting):
            return done
    raise AssertionError("two people were not enough")
