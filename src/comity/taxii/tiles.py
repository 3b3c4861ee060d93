# SPDX-License-Identifier: Apache-2.0
"""Shell: the logs over HTTP, for their readers (C2SP tlog-tiles): one path, one part, as bytes that anybody may verify.

    GET /comity/log/PARTY/checkpoint                    that of the house
    GET /comity/log/PARTY/tile/<L>/<N>[.p/<W>]
    GET /comity/log/PARTY/tile/entries/<N>[.p/<W>]
    GET /comity/log/PARTY/names/<N>                     what opens the entries of bundle N that name other logs
    GET /comity/log/PARTY/<TOKEN>/checkpoint, …         that of a relationship, whose origin is comity/PARTY/<TOKEN>

A reader whom the operator permitted reads all of them, a partner those of what it was given. Whoever may read none gets
here what it gets at any path that names nothing: `taxii.server` asks `find_reader` first.
"""

from comity.errors import AuthenticationError, NotFoundError
from comity.ids import PartyId
from comity.node.node import Node
from comity.node.readers import authenticate_reader, find_part, read_part
from comity.taxii import wire
from comity.taxii.coding import compress
from comity.taxii.responses import Response, respond

__all__ = ["LOG_PATH", "find_reader", "give_part", "is_log_path"]

LOG_PATH = "/comity/log/"

_LEAST_COMPRESSED = 1_000
_VARY = "authorization, x-api-key, accept-encoding"
_MUTABLE = "private, no-cache"
"""A checkpoint may be kept by who was given it, and has to be asked for again each time."""
_IMMUTABLE = "private, max-age=31536000, immutable"
"""What has this path never changes; `private`, for only this reader may have it: nothing between may keep it."""


def is_log_path(path: str, raw: bytes | None = None) -> bool:
    """Whether the path is one below which logs lie; of another spelling, in the request as it came, it is none."""
    return path.startswith(LOG_PATH) and raw in {None, path.encode("utf-8", "surrogateescape")}


def find_reader(node: Node, *, secret: str | None) -> PartyId | None:
    """Whom to count what is taken by whoever shows this secret; None for who is no reader.

    No id of a party holds a colon, so nobody is counted together with a partner.
    """
    try:
        return PartyId(f"reader:{authenticate_reader(node, secret=secret).name}")
    except AuthenticationError:
        return None


def give_part(node: Node, path: str, *, accept_encoding: str | None, party: PartyId | None = None) -> Response:
    """200 with the part that `path` names, for a reader, or for the partner `party`; entries compressed as it asks.

    Raises:
        NotFoundError: it names none of this party's logs that may be read.
    """
    prefix = f"{LOG_PATH}{node.party}/"
    if not path.startswith(prefix):
        raise NotFoundError("no such log")
    number, name = find_part(node, path.removeprefix(prefix), party=party)
    body = read_part(node, name, number)
    if not name.startswith("tile/"):
        return respond(200, body, headers=_headers("text/plain; charset=utf-8", _MUTABLE))
    headers = _headers("application/octet-stream", _IMMUTABLE)
    coding = wire.choose_coding(accept_encoding)
    if name.startswith("tile/entries/") and coding is not None and len(body) >= _LEAST_COMPRESSED:
        body, headers = compress(coding, [body]), {**headers, "content-encoding": coding}
    return respond(200, body, headers=headers)


def _headers(kind: str, caching: str) -> dict[str, str]:
    return {"content-type": kind, "cache-control": caching, "vary": _VARY}
