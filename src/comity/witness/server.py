# SPDX-License-Identifier: Apache-2.0
"""Shell: a stand-alone witness over HTTP: `POST /add-checkpoint`, and nothing else (C2SP tlog-witness).

Anybody may ask: what a log signed is all the credential there is. The number of connections and the time that a request
may take to arrive are bounded as those of a node (`taxii.connections`).
"""

import asyncio
import logging
import signal
from collections.abc import Callable, MutableMapping
from typing import Any

from comity.config import Address
from comity.errors import ComityError, MalformedError
from comity.taxii.connections import Connections
from comity.taxii.guard import Receive, Scope, Send
from comity.taxii.listen import Site
from comity.taxii.tls import Tls
from comity.tlog.witness import MAX_REQUEST_BYTES, WitnessAnswer
from comity.witness.folder import Witness

__all__ = ["WitnessApp", "serve_witness"]

_PATH = "/add-checkpoint"
_TEXT = "text/plain; charset=utf-8"

_log = logging.getLogger("comity.witness")


class WitnessApp:
    """The ASGI application."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        body = await _read_body(receive)
        answer = self._answer(scope, body)
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, scope: Scope, body: bytes | None) -> WitnessAnswer:
        if scope["path"] != _PATH:
            return _say(404, "there is nothing here but POST /add-checkpoint")
        if scope["method"] != "POST":
            return _say(405, "POST a checkpoint here")
        if body is None:
            return _say(413, f"a request has at most {MAX_REQUEST_BYTES} bytes")
        try:
            return self._witness.add_checkpoint(body)
        except ComityError as error:
            return self._fail(error)
        except Exception:  # noqa: BLE001 (the one place where a bug becomes a 500; the detail stays in our log)
            _log.exception("a request could not be answered")
            return _say(500, "the witness failed")

    def _fail(self, error: ComityError) -> WitnessAnswer:
        if isinstance(error, MalformedError):
            return _say(400, error.detail)
        _log.error("%s: %s", error.code, error.detail)
        return _say(503, "the witness cannot cosign just now")


async def serve_witness(witness: Witness, address: Address, *, ready: Callable[[Address, bool], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the address once it listens, and whether it speaks TLS.

    Raises:
        ConfigError: the address or the certificate cannot be used.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    tls = None if witness.tls is None else Tls(witness.tls, witness.clock)
    site = Site(address, Connections(witness.limits, tls=tls))
    bound = await site.start(WitnessApp(witness), setting="another with --listen")
    ready(bound, tls is not None)
    try:
        await stopping.wait()
    finally:
        await site.stop()


def _say(status: int, text: str) -> WitnessAnswer:
    return WitnessAnswer(status=status, media_type=_TEXT, body=f"{text}\n".encode())


async def _read_body(receive: Receive) -> bytes | None:
    """The body, None when it is over the bound: the rest is read by nobody."""
    body = bytearray()
    while True:
        message: MutableMapping[str, Any] = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_REQUEST_BYTES:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            return bytes(body)
