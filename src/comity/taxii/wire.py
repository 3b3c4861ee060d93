# SPDX-License-Identifier: Apache-2.0
"""Pure: TAXII 2.1 resources, filters and cursors as values.

    parse_route("/taxii2/borealia/collections/6e…/objects/") -> Route(resource=Resource.OBJECTS, root="borealia", …)
    parse_filters([("limit", "50"), ("match[type]", "report,indicator")]) -> Filters(limit=50, types={…}, …)
    format_envelope([b'{"type":…}'], cursor="AAY…") -> b'{"more":true,"next":"AAY…","objects":[{"type":…}]}'

Not here: who may see what (`node.poll`), and the HTTP status of a failure (`taxii.server`).
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Literal, NamedTuple

from comity.canonical import Json
from comity.errors import MalformedRequest
from comity.ids import Instant, ObjectId, PartyId, format_instant, parse_instant, parse_object_id

__all__ = [
    "DISCOVERY_PATH",
    "MEDIA_TYPE",
    "SECRET_HEADERS",
    "STIX_MEDIA_TYPE",
    "CollectionView",
    "Filters",
    "ManifestRecord",
    "Resource",
    "Route",
    "StatusDetail",
    "choose_coding",
    "format_api_root",
    "format_collection",
    "format_collections",
    "format_cursor",
    "format_discovery",
    "format_envelope",
    "format_error",
    "format_manifest",
    "format_status",
    "format_versions",
    "is_acceptable",
    "is_content",
    "is_taxii",
    "parse_cursor",
    "parse_filters",
    "parse_route",
    "parse_secret",
    "read_secret",
]

MEDIA_TYPE = "application/taxii+json;version=2.1"
STIX_MEDIA_TYPE = "application/stix+json;version=2.1"
DISCOVERY_PATH = "/taxii2/"
MAX_CONTENT_LENGTH = 10 * 1024 * 1024

SECRET_HEADERS = (b"authorization", b"x-api-key")
"""The headers that `parse_secret` reads, in its order."""

_PARAMETERS = frozenset(
    {"limit", "added_after", "next", "match[id]", "match[type]", "match[version]", "match[spec_version]"}
)
_MAX_LIST = 1_000
_MOST_REMEMBERED = 512
"""Characters of a path or a header whose meaning is remembered."""
_MAX_CHOICES = 64
"""Of a header in which a client lists what it takes; what it says after that many is not read."""
_MAX_PARTS = 16
"""Parameters of one choice, with its name."""
_MAX_INTEGER = 2**53 - 1
_MAX_INTEGER_DIGITS = 16
_MAC_BYTES = 16
_AT_BYTES = 8
_NAME_BYTES = 9
"""With the others a multiple of three, so that the text of a cursor has no bits to spare."""
_NEVER = re.compile(r"0(?:\.0{0,3})?", re.ASCII)
"""The weight by which a client says what it does not take (RFC 9110 §12.4.2)."""
_TYPE = re.compile(r"[a-z0-9][a-z0-9-]{0,249}", re.ASCII)
_ROUTE = re.compile(
    r"/taxii2/(?:(?P<root>[^/]+)/(?:(?P<status>status)/(?P<status_id>[^/]+)/|(?P<collections>collections)/"
    r"(?:(?P<collection>[^/]+)/(?:(?P<manifest>manifest)/|(?P<objects>objects)/"
    r"(?:(?P<object>[^/]+)/(?:(?P<versions>versions)/)?)?)?)?)?)?"
)


class Resource(StrEnum):
    """What a path names (TAXII 2.1 §4, §5)."""

    DISCOVERY = "discovery"
    API_ROOT = "api-root"
    STATUS = "status"
    COLLECTIONS = "collections"
    COLLECTION = "collection"
    MANIFEST = "manifest"
    OBJECTS = "objects"
    OBJECT = "object"
    VERSIONS = "versions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path, taken apart; the parts it does not have are empty."""

    resource: Resource
    root: str = ""
    collection: str = ""
    object: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """The query of a request (TAXII 2.1 §3.4); empty sets and None ask for nothing special.

    `versions` holds exact versions; with none of `last`, `first`, `every` and no exact version, the default is `last`.
    """

    limit: int | None = None
    added_after: Instant | None = None
    next: str | None = None
    ids: frozenset[ObjectId] = frozenset()
    types: frozenset[str] = frozenset()
    spec_versions: frozenset[str] = frozenset()
    versions: frozenset[Instant] = frozenset()
    last: bool = True
    first: bool = False
    every: bool = False

    def binding(self) -> bytes:
        """What a cursor is bound to: everything but where to go on from and how many to give."""
        parts = (
            sorted(self.ids),
            sorted(self.types),
            sorted(self.spec_versions),
            sorted(self.versions),
            [self.last, self.first, self.every],
        )
        return json.dumps(parts).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionView:
    """A collection as the party that asks sees it (TAXII 2.1 §5.2)."""

    id: str
    title: str
    description: str
    can_read: bool = True
    can_write: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRecord:
    """One object of a manifest (TAXII 2.1 §5.3)."""

    id: ObjectId
    date_added: Instant
    version: str


class StatusDetail(NamedTuple):
    """One object of a status (TAXII 2.1 §4.3.1); the message is left out when empty."""

    id: str
    version: str
    message: str


def is_taxii(path: str) -> bool:
    """Whether the path is one of TAXII, whatever it names."""
    return path == DISCOVERY_PATH.rstrip("/") or path.startswith(DISCOVERY_PATH)


def parse_route(path: str) -> Route | None:
    """The resource that `path` names, with or without the last slash; None when it names none."""
    return _remember_route(path) if len(path) <= _MOST_REMEMBERED else _parse_route(path)


def _parse_route(path: str) -> Route | None:
    match = _ROUTE.fullmatch(path if path.endswith("/") else path + "/")
    if match is None:
        return None
    named = {
        Resource.VERSIONS: match["versions"],
        Resource.OBJECT: match["object"],
        Resource.OBJECTS: match["objects"],
        Resource.MANIFEST: match["manifest"],
        Resource.COLLECTION: match["collection"],
        Resource.COLLECTIONS: match["collections"],
        Resource.STATUS: match["status"],
        Resource.API_ROOT: match["root"],
    }
    resource = next((resource for resource, found in named.items() if found is not None), Resource.DISCOVERY)
    return Route(
        resource=resource,
        root=match["root"] or "",
        collection=match["collection"] or "",
        object=match["object"] or "",
        status=match["status_id"] or "",
    )


_remember_route = lru_cache(maxsize=2_048)(_parse_route)


def is_acceptable(accept: str | None) -> bool:
    """Whether a client that sent `accept` takes TAXII 2.1 (§3.1, §1.6.8): without a version, the newest is meant."""
    if accept is None or not accept.strip():
        return True
    return any(_is_taxii(choice) for choice in _list(accept.lower(), ",", most=_MAX_CHOICES))


def choose_coding(accept_encoding: str | None) -> Literal["gzip", "zstd"] | None:
    """The coding that a client asks for by name, the smaller one first; None where it asks for none (RFC 9110 §12.5.3).

    A client that takes anything ("*") gets the bytes as they are.
    """
    text = accept_encoding or ""
    return _remember_coding(text) if len(text) <= _MOST_REMEMBERED else _choose_coding(text)


def _choose_coding(accept_encoding: str) -> Literal["gzip", "zstd"] | None:
    asked = set[str]()
    for choice in _list(accept_encoding.lower(), ",", most=_MAX_CHOICES):
        name, *parameters = (part.strip() for part in _list(choice, ";", most=_MAX_PARTS))
        pairs = [parameter.partition("=") for parameter in parameters]
        weight = next((value.strip() for key, _, value in pairs if key.strip() == "q"), "1")
        if not _NEVER.fullmatch(weight):
            asked.add(name)
    return "zstd" if "zstd" in asked else "gzip" if asked & {"gzip", "x-gzip"} else None


_remember_coding = lru_cache(maxsize=256)(_choose_coding)


def is_content(content_type: str | None) -> bool:
    """Whether a body of this Content-Type is a TAXII 2.1 envelope (§5.5); without a version, the newest is meant."""
    return content_type is not None and "*" not in content_type and _is_taxii(content_type.lower())


def read_secret(headers: Mapping[str, str]) -> str | None:
    """The secret that a client shows in its headers, whose names are in lower case."""
    return parse_secret(*(headers.get(name.decode()) for name in SECRET_HEADERS))


def parse_secret(authorization: str | None, api_key: str | None = None) -> str | None:
    """The secret that a client shows: what is in its Authorization header, else its X-API-Key header.

    In Authorization that is the password of Basic (any user name), or the token of Bearer or Token; schemes are read in
    any case (RFC 9110 §11.1).
    """
    return _parse_authorization(authorization) or (api_key or "").strip() or None


def _parse_authorization(authorization: str | None) -> str | None:
    scheme, _, rest = (authorization or "").strip().partition(" ")
    match scheme.lower():
        case "bearer" | "token":
            return rest.strip() or None
        case "basic":
            try:
                return base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2] or None
            except (binascii.Error, ValueError):
                return None
        case _:
            return None


def parse_filters(pairs: Sequence[tuple[str, str]]) -> Filters:
    """The filters in the decoded query; unknown parameters are ignored, as TAXII 2.1 §3.4.1 lets a server do.

    Raises:
        MalformedRequest: a known parameter given twice or not understood (§3.4: 400).
    """
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in _PARAMETERS:
            continue
        if name in given:
            raise MalformedRequest(f"{name} is given twice; give its values separated by commas", where=name)
        given[name] = value
    versions = _split(given, "match[version]")
    words = versions & {"last", "first", "all"}
    if "all" in words and len(versions) > 1:
        raise MalformedRequest("match[version]=all cannot be combined with others (§3.4.1)", where="match[version]")
    exact = frozenset(_instant(text, "match[version]") for text in versions - words)
    return Filters(
        limit=_limit(given),
        added_after=_instant(given["added_after"], "added_after") if given.get("added_after") else None,
        next=given.get("next") or None,
        ids=frozenset(_object_id(text) for text in _split(given, "match[id]")),
        types=frozenset(_type(text) for text in _split(given, "match[type]")),
        spec_versions=_split(given, "match[spec_version]"),
        versions=exact,
        last="last" in words or not versions,
        first="first" in words,
        every="all" in words,
    )


def format_cursor(at: Instant, *, key: bytes, party: PartyId, collection: str, filters: Filters) -> str:
    """The `next` that goes on after `at`: a position, never a permission; it holds no state and never expires."""
    place = at.to_bytes(_AT_BYTES, "big") + _name(collection)
    return base64.urlsafe_b64encode(place + _mac(place, key=key, party=party, filters=filters)).decode().rstrip("=")


def parse_cursor(text: str, *, key: bytes, party: PartyId, collection: str, filters: Filters) -> Instant | None:
    """The position in a `next` that this node gave to this party for this collection and these filters.

    None when it was given to this party for another of its collections: some clients send it on to the next one.

    Raises:
        MalformedRequest: this node did not give it to this party, or not for these filters.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    place, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(place, key=key, party=party, filters=filters)):
        raise MalformedRequest("`next` was not given for these filters; start again with added_after", where="next")
    at, name = place[:_AT_BYTES], place[_AT_BYTES:]
    return Instant(int.from_bytes(at, "big")) if name == _name(collection) else None


def format_discovery(*, title: str, root: str) -> bytes:
    """The discovery resource (TAXII 2.1 §4.1) with the one API root of the party that asks, relative to the host."""
    return _format({"title": title, "default": root, "api_roots": [root]})


def format_api_root(*, title: str) -> bytes:
    """An API root resource (TAXII 2.1 §4.2)."""
    return _format({"title": title, "versions": [MEDIA_TYPE], "max_content_length": MAX_CONTENT_LENGTH})


def format_collections(views: Sequence[CollectionView]) -> bytes:
    """The collections resource (TAXII 2.1 §5.1); the list is left out when empty."""
    return _format({"collections": [_collection(view) for view in views]} if views else {})


def format_collection(view: CollectionView) -> bytes:
    """A collection resource (TAXII 2.1 §5.2)."""
    return _format(_collection(view))


def format_envelope(objects: bytes, *, cursor: str | None) -> tuple[bytes, ...]:
    """An envelope (TAXII 2.1 §3.7) in parts, with the objects' bytes as they are, a comma between each two.

    An empty one holds nothing at all.
    """
    if not objects:
        return (b"{}",)
    head = b"" if cursor is None else b'"more":true,"next":' + json.dumps(cursor).encode() + b","
    return b"{" + head + b'"objects":[', objects, b"]}"


def format_manifest(records: Sequence[ManifestRecord], *, cursor: str | None) -> bytes:
    """A manifest resource (TAXII 2.1 §5.3). It carries `next` beside `more`, without which clients cannot go on."""
    listed: list[Json] = [
        {
            "id": record.id,
            "date_added": format_instant(record.date_added),
            "version": record.version,
            "media_type": STIX_MEDIA_TYPE,
        }
        for record in records
    ]
    body: dict[str, Json] = {} if cursor is None else {"more": True, "next": cursor}
    return _format({**body, "objects": listed} if listed else body)


def format_versions(versions: Sequence[str], *, cursor: str | None) -> bytes:
    """A versions resource (TAXII 2.1 §5.8)."""
    body: dict[str, Json] = {} if cursor is None else {"more": True, "next": cursor}
    return _format({**body, "versions": list[Json](versions)} if versions else body)


def format_status(
    name: str,
    *,
    at: Instant,
    successes: Sequence[StatusDetail],
    failures: Sequence[StatusDetail],
    pendings: Sequence[StatusDetail] = (),
) -> bytes:
    """A status resource (TAXII 2.1 §4.3), complete where nothing is pending; a list is left out when empty."""
    body: dict[str, Json] = {
        "id": name,
        "status": "pending" if pendings else "complete",
        "request_timestamp": format_instant(at),
        "total_count": len(successes) + len(failures) + len(pendings),
        "success_count": len(successes),
        "failure_count": len(failures),
        "pending_count": len(pendings),
    }
    for title, details in (("successes", successes), ("failures", failures), ("pendings", pendings)):
        if details:
            body[title] = [_status_detail(detail) for detail in details]
    return _format(body)


def format_error(*, title: str, status: int, description: str = "") -> bytes:
    """An error message (TAXII 2.1 §3.6.1)."""
    body: dict[str, Json] = {"title": title, "http_status": str(status)}
    return _format({**body, "description": description} if description else body)


def _is_taxii(choice: str) -> bool:
    kind, *parameters = (part.strip() for part in _list(choice, ";", most=_MAX_PARTS))
    given = {name.strip(): value.strip(' "') for name, _, value in (part.partition("=") for part in parameters)}
    if _NEVER.fullmatch(given.get("q", "1")):
        return False
    return kind in {"*/*", "application/*"} or (
        kind == "application/taxii+json" and given.get("version", "2.1") == "2.1"
    )


def _list(text: str, separator: str, *, most: int) -> list[str]:
    """The first parts of a header: it can be long, and each part costs."""
    return text.split(separator, most)[:most]


def _collection(view: CollectionView) -> Json:
    return {
        "id": view.id,
        "title": view.title,
        "description": view.description,
        "can_read": view.can_read,
        "can_write": view.can_write,
        "media_types": [STIX_MEDIA_TYPE],
    }


def _status_detail(detail: StatusDetail) -> Json:
    named: dict[str, Json] = {"id": detail.id, "version": detail.version}
    return {**named, "message": detail.message} if detail.message else named


def _format(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _name(collection: str) -> bytes:
    """What stands for the collection in a cursor, always of one length."""
    return hashlib.sha256(collection.encode()).digest()[:_NAME_BYTES]


def _mac(place: bytes, *, key: bytes, party: PartyId, filters: Filters) -> bytes:
    bound = b"\0".join((place, party.encode(), filters.binding()))
    return hmac.new(key, bound, hashlib.sha256).digest()[:_MAC_BYTES]


def _split(given: Mapping[str, str], name: str) -> frozenset[str]:
    text = given.get(name)
    if text is None:
        return frozenset()
    words = text.split(",")
    if not all(words) or len(words) > _MAX_LIST:
        raise MalformedRequest(f"{name} takes 1 to {_MAX_LIST} values separated by commas", where=name)
    return frozenset(words)


def _limit(given: Mapping[str, str]) -> int | None:
    text = given.get("limit")
    if text is None:
        return None
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    if not digits or len(digits) > _MAX_INTEGER_DIGITS or int(digits) > _MAX_INTEGER:
        raise MalformedRequest(f"limit is a positive integer up to {_MAX_INTEGER} (§2, §3.4)", where="limit")
    return int(digits)


def _instant(text: str, name: str) -> Instant:
    try:
        return parse_instant(text)
    except MalformedRequest as error:
        raise MalformedRequest(f"{name}: {error.detail}", where=name) from error


def _object_id(text: str) -> ObjectId:
    try:
        return parse_object_id(text)
    except MalformedRequest as error:
        raise MalformedRequest(f"match[id]: {error.detail}", where="match[id]") from error


def _type(text: str) -> str:
    if _TYPE.fullmatch(text) is None:
        raise MalformedRequest(f"match[type]: {text!r} is not a STIX type", where="match[type]")
    return text
