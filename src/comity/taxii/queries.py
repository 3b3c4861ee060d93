# SPDX-License-Identifier: Apache-2.0
"""Shell: what the query of a request asks for, by the resource that its path names."""

from urllib.parse import parse_qsl

from comity.errors import MalformedRequest, NotFoundError
from comity.ids import ObjectId, parse_object_id
from comity.taxii import wire
from comity.taxii.wire import Filters, Resource, Route

__all__ = ["parse_deletion", "parse_query", "read_object_id"]

_MAX_QUERY_BYTES = 64 * 1024
_MAX_QUERY_FIELDS = 64
_DELETION = frozenset({"match[version]", "match[spec_version]"})


def _split_query(query: bytes) -> list[tuple[str, str]]:
    if len(query) > _MAX_QUERY_BYTES:
        raise MalformedRequest(f"the query is over {_MAX_QUERY_BYTES} bytes")
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError as error:
        raise MalformedRequest(f"the query cannot be read: {error}") from error


def parse_deletion(query: bytes) -> Filters:
    """Which versions a DELETE is of: all, unless it says which (TAXII 2.1 §5.7).

    Raises:
        MalformedRequest: it cannot be read, or one of its two parameters is not understood.
    """
    pairs = [(name, value) for name, value in _split_query(query) if name in _DELETION]
    if not any(name == "match[version]" for name, _ in pairs):
        pairs.append(("match[version]", "all"))
    return wire.parse_filters(pairs)


def parse_query(query: bytes, route: Route) -> Filters:
    """The filters of a request for objects, a manifest or versions (TAXII 2.1 §3.4).

    Raises:
        MalformedRequest: it cannot be read, or a known parameter is not understood.
        NotFoundError: the path names what cannot be an object.
    """
    pairs = _split_query(query)
    if route.resource in {Resource.OBJECT, Resource.VERSIONS}:
        # The path names the object; `versions` is about all of them (TAXII 2.1 §5.6, §5.8).
        pairs = [(name, value) for name, value in pairs if name not in {"match[id]", "match[type]"}]
        pairs.append(("match[id]", read_object_id(route)))
    if route.resource is Resource.VERSIONS:
        pairs = [(name, value) for name, value in pairs if name != "match[version]"]
        pairs.append(("match[version]", "all"))
    return wire.parse_filters(pairs)


def read_object_id(route: Route) -> ObjectId:
    """The one object that the path names.

    Raises:
        NotFoundError: it cannot be an id, and so names none.
    """
    try:
        return parse_object_id(route.object)
    except MalformedRequest as error:
        raise NotFoundError("no such object") from error
