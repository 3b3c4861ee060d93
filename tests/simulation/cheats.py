# SPDX-License-Identifier: Apache-2.0
"""What a giver that cheats answers: pages, receipts and proofs that its node did not give, or no such thing at all.

Each takes what was asked and what its node would answer, and gives what it answers. One that leaves the answer as it is
does not cheat this time.
"""

import gzip
import json
import random
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType

import httpx

from comity.canonical import BUNDLE_LIMITS, canonical_bytes, split_members
from comity.errors import ComityError
from comity.ids import PartyId
from comity.node.receipts import give_receipt
from comity.taxii.wire import format_envelope
from tests.hostile import make_body
from tests.simulation.wire import Cheat, Wire, name_kind

__all__ = ["CHEATS"]

_HOSTILE = ("deep element", "open brackets", "huge numbers", "foreign twice", "object of a lone surrogate", "circle")
_OVER = 33 * 1024 * 1024
_NUMBER = "comity-receipt"
_LAST = "x-taxii-date-added-last"


def _of(kind: str, change: Callable[[Wire, httpx.Request, httpx.Response], httpx.Response]) -> Cheat:
    """The cheat with answers of one kind, where there is something to cheat with."""

    def cheat(wire: Wire, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        full = answer.status_code == httpx.codes.OK and (kind != "page" or _NUMBER in answer.headers)
        return change(wire, request, answer) if full and name_kind(request) == kind else answer

    return cheat


def _with_body(change: Callable[[bytes], bytes]) -> Callable[[Wire, httpx.Request, httpx.Response], httpx.Response]:
    def answer(_: Wire, __: httpx.Request, answer: httpx.Response) -> httpx.Response:
        return httpx.Response(answer.status_code, headers=_plain(answer), content=change(answer.content))

    return answer


def _with_header(name: str, change: Callable[[str], str | None]) -> Cheat:
    def answer(_: Wire, __: httpx.Request, answer: httpx.Response) -> httpx.Response:
        headers, value = _plain(answer), change(answer.headers[name])
        del headers[name]
        return httpx.Response(200, headers=headers | ({} if value is None else {name: value}), content=answer.content)

    return _of("page", answer)


def _plain(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "content-length"}


def _change_objects(change: Callable[[list[bytes]], list[bytes]]) -> Cheat:
    def rewrite(data: bytes) -> bytes:
        others, members = split_members(data, array="objects", limits=BUNDLE_LIMITS)
        changed = change([member.data for member in members])
        return b"".join(format_envelope(b",".join(changed), cursor="on" if others else None))

    return _of("page", _with_body(rewrite))


def _flip(data: bytes, *, start: int = 0) -> bytes:
    """One bit of it, another one each time that the bytes are others."""
    place = random.Random(data).randrange(start, len(data))
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _flip_in_objects(data: bytes) -> bytes:
    """What stands beside the objects shows nothing, so that a bit of that is nobody's word."""
    return _flip(data, start=data.index(b"[") + 1)


def _cut_listing(data: bytes) -> bytes:
    value = json.loads(data)
    listing = json.loads(value["listing"])
    listing["objects"] = listing["objects"][1:]
    return canonical_bytes(value | {"listing": canonical_bytes(listing).decode()})


def _change_terms(data: bytes) -> bytes:
    value = json.loads(data)
    return canonical_bytes(value | {"leaf": value["leaf"].replace('"terms":"', '"terms":"00')})


def _give_earlier(wire: Wire, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    number = int(request.url.path.rpartition("/")[2])
    return _give(wire, wire.recipient, number - 1) if number > 1 else answer


def _give_of_another(wire: Wire, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    """The receipt of that number for somebody else, where there is one."""
    number = int(request.url.path.rpartition("/")[2])
    others = [name for name in wire.simulation.names if name not in {wire.giver, wire.recipient}]
    given = [_give(wire, name, number) for name in others]
    return next((found for found in given if found.status_code == httpx.codes.OK), answer)


def _give(wire: Wire, recipient: str, number: int) -> httpx.Response:
    try:
        return httpx.Response(200, content=give_receipt(wire.node, PartyId(recipient), number))
    except ComityError:
        return httpx.Response(404)


def _replay(wire: Wire, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
    """The page that went to this party before, in the place of this one."""
    kept = wire.simulation.replayed
    place = wire.giver, wire.recipient, request.url.path
    earlier = kept.setdefault(place, answer)
    kept[place] = answer
    return earlier


def _say(status: int, body: bytes = b"", **headers: str) -> Cheat:
    """One answer to every question for a page."""

    def answer(_: Wire, __: httpx.Request, ___: httpx.Response) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, headers=named, content=body)

    return _of("page", answer)


def _be_slow(*_: object) -> httpx.Response:
    raise httpx.ReadTimeout("no answer in time")


@cache
def _make_bomb() -> bytes:
    return gzip.compress(b'{"objects":[' + bytes(_OVER), compresslevel=1)


def _burst(_: Wire, __: httpx.Request, answer: httpx.Response) -> httpx.Response:
    """More than anybody takes, packed small; the packed bytes are not unpacked here."""
    response = httpx.Response(200, headers=_plain(answer))
    response._content = _make_bomb()
    response.headers["content-encoding"] = "gzip"
    return response


@cache
def _make_hostile(name: str, _: bytes) -> bytes:
    return make_body(name, most=30_000)


CHEATS: Mapping[str, Cheat] = MappingProxyType(
    {
        "bytes": _of("page", _with_body(lambda data: data.replace(b'"published"', b'"publishee"', 1))),
        "page flipped": _of("page", _with_body(_flip_in_objects)),
        "cut": _change_objects(lambda found: found[:-1]),
        "more": _change_objects(lambda found: [*found, b"{}"]),
        "twice": _change_objects(lambda found: [*found, *found]),
        "reordered": _change_objects(lambda found: found[::-1]),
        "no number": _with_header(_NUMBER, lambda _: None),
        "number ahead": _with_header(_NUMBER, lambda text: str(int(text) + 1)),
        "number behind": _with_header(_NUMBER, lambda _: "1"),
        "back in time": _with_header(_LAST, lambda _: "2000-01-01T00:00:00.000000Z"),
        "no receipt": _of("receipt", lambda *_: httpx.Response(404)),
        "earlier receipt": _of("receipt", _give_earlier),
        "another's receipt": _of("receipt", _give_of_another),
        "receipt flipped": _of("receipt", _with_body(_flip)),
        "receipt of less": _of("receipt", _with_body(_cut_listing)),
        "receipt of other terms": _of("receipt", _with_body(_change_terms)),
        "no proof": _of("consistency", lambda *_: httpx.Response(404)),
        "proof flipped": _of("consistency", _with_body(_flip)),
        "replayed": _of("page", _replay),
        "over the bound": _of("page", _burst),
        "slow": _of("page", _be_slow),
        "elsewhere": _say(302, location="http://other.example/"),
        "no page": _say(200, b"<html></html>", content_type="text/html"),
        **{name: _of("page", _with_body(partial(_make_hostile, name))) for name in _HOSTILE},
    }
)
"""Every way to cheat with an answer, by its name in a history."""
