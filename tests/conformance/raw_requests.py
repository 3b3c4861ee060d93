# SPDX-License-Identifier: Apache-2.0
"""Requests as bytes, good and bad, with places in them for a party, a collection and an object."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import quote

from hypothesis import strategies as st

__all__ = ["METHODS", "Place", "Request", "credentials", "requests", "wrong_credentials"]

METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "OPTIONS", "PATCH", "TRACE", "PROPFIND")
_BODY_BYTES = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a path may name: things that are there, or things that are not and are spelt as long."""

    party: str
    collection: str
    object: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request without its credential; `target` has the places of a `Place` in braces."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def fill(self, place: Place, credential: str | None) -> bytes:
        """The bytes to send."""
        target = self.target
        for name, text in (("party", place.party), ("collection", place.collection), ("object", place.object)):
            target = target.replace("{" + name + "}", text)
        headers = [("Host", "node.example"), ("Connection", "close"), *self.headers]
        if credential is not None:
            headers.append(("Authorization", credential))
        lines = [f"{self.method} {target} {self.version}", *(f"{name}: {text}" for name, text in headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + self.body


# ---- paths and queries -----------------------------------------------------------------------------------------------

_good_paths = st.sampled_from(
    [
        "/taxii2/",
        "/taxii2",
        "/taxii2/{party}/",
        "/taxii2/{party}/collections/",
        "/taxii2/{party}/collections/{collection}/",
        "/taxii2/{party}/collections/{collection}/manifest/",
        "/taxii2/{party}/collections/{collection}/objects/",
        "/taxii2/{party}/collections/{collection}/objects",
        "/taxii2/{party}/collections/{collection}/objects/{object}/",
        "/taxii2/{party}/collections/{collection}/objects/{object}/versions/",
        "/taxii2/{party}/status/{collection}/",
        "/comity/exchange/",
    ]
)
_visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="{}?#"), max_size=12)
_encoded = st.binary(max_size=8).map(lambda data: "".join(f"%{byte:02x}" for byte in data))
_odd = st.sampled_from(
    ["", ".", "..", "%2e%2e", "%00", "%ff", "%", "%zz", "*", "~", ";a=b", "{object}", "{collection}"]
)
_segments = st.lists(_visible | _encoded | _odd | st.sampled_from(["taxii2", "{party}", "collections"]), max_size=7)
_bad_paths = _segments.map(lambda parts: "/" + "/".join(parts))
_long_paths = st.integers(1, 9_000).map(lambda count: "/taxii2/{party}/collections/{collection}/" + "a" * count)


def _escape(path: str) -> str:
    """The same path with its hyphens escaped, which names the same resource."""
    return path.replace("collections", "%63ollections").replace("objects", "%6Fbjects")


_paths = st.one_of(_good_paths, _good_paths, _good_paths.map(_escape), _bad_paths, _long_paths)

_names = st.sampled_from(
    [
        "limit",
        "added_after",
        "next",
        "match[id]",
        "match[type]",
        "match[version]",
        "match[spec_version]",
        "match[x]",
        "x",
    ]
) | st.text(max_size=5)
_values = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "-1",
            "2.1",
            "2.0",
            "all",
            "first",
            "last",
            "all,last",
            "{object}",
            "report",
            "2025-01-02T00:00:00Z",
        ]
    ),
    st.sampled_from(["1e9", "٣", "9" * 40, "9999-12-31T23:59:60Z", "0000-01-01T00:00:00Z", ",", "\x00", "A" * 44]),
    st.integers(-(2**70), 2**70).map(str),
    st.datetimes().map(lambda time: time.isoformat() + "Z"),
    st.text(max_size=20),
)
_pairs = st.tuples(_names, _values).map(lambda pair: f"{quote(pair[0], safe='[]{}')}={quote(pair[1], safe=',{}')}")
_queries = st.one_of(
    st.just(""),
    st.lists(_pairs, max_size=4).map(lambda pairs: "?" + "&".join(pairs)),
    _visible.map(lambda text: f"?{text}"),
    st.integers(60, 200).map(lambda count: "?" + "&".join(["x=1"] * count)),
)
_forms = st.sampled_from(["{target}", "{target}", "{target}", "http://node.example{target}", "{target}#part", "*"])


@st.composite
def _targets(draw: st.DrawFn) -> str:
    return draw(_forms).replace("{target}", draw(_paths) + draw(_queries))


# ---- headers and bodies ----------------------------------------------------------------------------------------------

_header_names = st.sampled_from(
    re.findall(
        r"\S+",
        """
        Accept Accept-Encoding Range If-None-Match If-Modified-Since Cookie Origin X-Forwarded-For X-Forwarded-Proto
        Forwarded X-HTTP-Method-Override Content-Type Upgrade-Insecure-Requests TE Via X-Original-URL
        """,
    )
)
_header_values = st.one_of(
    st.sampled_from(
        ["application/taxii+json;version=2.1", "application/taxii+json", "*/*", "text/html", "gzip", "a,b;q=0"]
    ),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30),
)
_headers = st.lists(st.tuples(_header_names, _header_values), max_size=5) | st.integers(20, 90).map(
    lambda count: [(f"X-Flood-{number}", "y" * 40) for number in range(count)]
)
_bodies = st.binary(max_size=200) | st.sampled_from(
    [
        b"{}",
        b"[]",
        b"null",
        b'{"objects":[]}',
        b'{"objects":[{}]}',
        b"[" * 5_000,
        b'{"payload":"e30"}',
        b"\x00" * _BODY_BYTES,
    ]
)


def _chunk(data: bytes) -> bytes:
    half = len(data) // 2
    parts = [part for part in (data[:half], data[half:]) if part]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """A request that is nearly always HTTP."""
    method = draw(st.sampled_from(METHODS) | st.just("GET"))
    headers = draw(_headers)
    body = b""
    if draw(st.booleans()) and method != "TRACE":
        body = draw(_bodies)
        if draw(st.booleans()):
            headers = [*headers, ("Content-Length", str(len(body)))]
        else:
            headers, body = [*headers, ("Transfer-Encoding", "chunked")], _chunk(body)
        if draw(st.booleans()):
            headers = [*headers, ("Expect", "100-continue")]
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]))
    return Request(method=method, target=draw(_targets()), version=version, headers=tuple(headers), body=body)


def credentials(secret: str, *, user: str = "borealia") -> st.SearchStrategy[str]:
    """Forms in which a secret may come, all of them good."""
    encoded = base64.b64encode(f"{user}:{secret}".encode()).decode()
    return st.sampled_from(
        [f"Basic {encoded}", f"basic {encoded}", f"Bearer {secret}", f"Token {secret}", f"BEARER  {secret}"]
    )


def wrong_credentials(secret: str) -> st.SearchStrategy[str | None]:
    """What shows nobody."""
    encoded = base64.b64encode(f"borealia:{secret}".encode()).decode()
    return st.one_of(
        st.none(),
        st.sampled_from(
            ["Basic", "Basic ", "Basic !", f"Basic {encoded[:-4]}", f"Digest {secret}", f"Bearer {secret}x", secret]
        ),
        st.sampled_from(
            [f"Basic {encoded} {encoded}", f"Bearer {secret[:-1]}", "Bearer " + "x" * 4_000, "Negotiate YII="]
        ),
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40),
    )
