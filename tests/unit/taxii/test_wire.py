# SPDX-License-Identifier: Apache-2.0
"""TAXII 2.1 resources, filters and cursors: what is read, what is written, and what is refused by name."""

import base64
import json
import string
import uuid
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import MalformedRequest
from comity.ids import Instant, ObjectId, PartyId, parse_instant
from comity.taxii import wire
from comity.taxii.wire import Filters, ManifestRecord, Resource, Route, StatusDetail
from tests.strategies import object_ids

REPORT = ObjectId("report--11111111-1111-4111-8111-111111111111")
OTHER = ObjectId("indicator--22222222-2222-4222-8222-222222222222")
KEY = bytes(range(32))
PARTY = PartyId("borealia")
COLLECTION = "6e1c7a0e-2f0b-4d8a-9a53-0d2b3c4d5e6f"
KNOWN = ("limit", "added_after", "next", "match[id]", "match[type]", "match[version]", "match[spec_version]")

Pairs = Sequence[tuple[str, str]]


def filters(*pairs: tuple[str, str]) -> Filters:
    return wire.parse_filters(pairs)


def cursor(at: int = 7, /, **changes: object) -> str:
    fields = {"key": KEY, "party": PARTY, "collection": COLLECTION, "filters": Filters()} | changes
    return wire.format_cursor(Instant(at), **fields)  # type: ignore[arg-type]


def read_cursor(text: str, **changes: object) -> Instant | None:
    fields = {"key": KEY, "party": PARTY, "collection": COLLECTION, "filters": Filters()} | changes
    return wire.parse_cursor(text, **fields)  # type: ignore[arg-type]


# ---- routes ----------------------------------------------------------------------------------------------------------

ROUTES: list[tuple[str, Route]] = [
    ("/taxii2/", Route(resource=Resource.DISCOVERY)),
    ("/taxii2/p/", Route(resource=Resource.API_ROOT, root="p")),
    ("/taxii2/p/status/s/", Route(resource=Resource.STATUS, root="p", status="s")),
    ("/taxii2/p/collections/", Route(resource=Resource.COLLECTIONS, root="p")),
    ("/taxii2/p/collections/c/", Route(resource=Resource.COLLECTION, root="p", collection="c")),
    ("/taxii2/p/collections/c/manifest/", Route(resource=Resource.MANIFEST, root="p", collection="c")),
    ("/taxii2/p/collections/c/objects/", Route(resource=Resource.OBJECTS, root="p", collection="c")),
    ("/taxii2/p/collections/c/objects/o/", Route(resource=Resource.OBJECT, root="p", collection="c", object="o")),
    (
        "/taxii2/p/collections/c/objects/o/versions/",
        Route(resource=Resource.VERSIONS, root="p", collection="c", object="o"),
    ),
]


@pytest.mark.parametrize(("path", "route"), ROUTES)
def test_a_route_is_the_same_with_and_without_its_last_slash(path: str, route: Route) -> None:
    assert wire.parse_route(path) == route
    assert wire.parse_route(path.removesuffix("/")) == route
    assert wire.parse_route(path + "/") is None


@pytest.mark.parametrize("resource", Resource)
def test_every_resource_has_a_path(resource: Resource) -> None:
    assert [route.resource for _, route in ROUTES].count(resource) == 1


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//",
        "taxii2/",
        "/taxii",
        "/taxii3/",
        "/TAXII2/",
        "//taxii2/",
        "/taxii2//",
        "/taxii2//collections/",
        "/taxii2/p//collections/",
        "/taxii2/p/collections//",
        "/taxii2/p/collections//objects/",
        "/taxii2/p/collections/c//objects/",
        "/taxii2/p/collections/c/objects//versions/",
        "/taxii2/p/collections/c/objects/o/versions/x/",
        "/taxii2/p/collections/c/Objects/",
        "/taxii2/p/collections/c/manifest/o/",
        "/taxii2/p/collections/c/versions/",
        "/taxii2/p/collection/c/",
        "/taxii2/p/objects/",
        "/taxii2/p/status/",
        "/taxii2/p/status/s/x/",
        "/taxii2/p/collections/../collections/c/",
        "/taxii2/../taxii2/p/",
        "/../taxii2/p/",
        "/x/taxii2/p/",
        "/taxii2/p/\n/",
        "\n/taxii2/",
        "/taxii2/p/collections/c/objects\n/",
    ],
)
def test_a_path_that_names_nothing_has_no_route(path: str) -> None:
    assert wire.parse_route(path) is None


@pytest.mark.parametrize(
    ("path", "root", "collection"),
    [
        ("/taxii2/%70/collections/c/", "%70", "c"),  # what the server's parser left encoded is not decoded again
        ("/taxii2/p%2Fcollections/", "p%2Fcollections", ""),
        ("/taxii2/p/collections/%2e%2e/", "p", "%2e%2e"),
        ("/taxii2/p/collections/../", "p", ".."),
        ("/taxii2/ä/collections/ö/", "ä", "ö"),
    ],
)
def test_the_parts_of_a_path_are_taken_as_they_stand(path: str, root: str, collection: str) -> None:
    route = wire.parse_route(path)
    assert route is not None
    assert (route.root, route.collection) == (root, collection)


@given(st.text())
def test_no_path_raises(path: str) -> None:
    wire.parse_route(path)
    wire.parse_route("/taxii2/" + path)


@given(st.lists(st.text(st.characters(exclude_characters="/"), min_size=1), min_size=3, max_size=3))
def test_a_path_made_of_parts_gives_the_parts_back(parts: list[str]) -> None:
    root, collection, item = parts
    route = wire.parse_route(f"/taxii2/{root}/collections/{collection}/objects/{item}/")
    assert route == Route(resource=Resource.OBJECT, root=root, collection=collection, object=item)


# ---- headers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        (None, None),
        ("", None),
        ("*", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0", "gzip"),
        ("zstd ; q=0.000, gzip ; q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip;x=y", "gzip"),
        (";;==,,gzip;q", "gzip"),
    ],
)
def test_a_coding_is_chosen_only_where_it_is_asked_for(accept_encoding: str | None, coding: str | None) -> None:
    assert wire.choose_coding(accept_encoding) == coding


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        (None, True),
        ("", True),
        ("  ", True),
        ("application/taxii+json;version=2.1", True),
        ("application/taxii+json; version=2.1", True),
        ('application/taxii+json; version="2.1"', True),
        ("application/taxii+json ; Version = 2.1 ; q=0.5", True),
        ("APPLICATION/TAXII+JSON;VERSION=2.1", True),
        ("application/taxii+json", True),
        ("application/taxii+json;q=1.0", True),
        ("application/*", True),
        ("*/*", True),
        ("text/html, application/xhtml+xml, */*;q=0.8", True),
        ("application/json, application/taxii+json;version=2.1", True),
        ("application/taxii+json;version=2.0, application/taxii+json;version=2.1", True),
        ("application/taxii+json;version=2.0", False),
        ("application/taxii+json;version=2.2", False),
        ("application/taxii+json;version=", False),
        ("application/vnd.oasis.taxii+json;version=2.0", False),
        ("application/stix+json;version=2.1", False),
        ("application/json", False),
        ("text/*", False),
        ("text/html", False),
        ("taxii", False),
        (",", False),
        ("application/taxii+json;version=2.1;q=0", False),
        ("*/*; q=0.000", False),
        ("text/html, */*;q=0", False),
        ("application/taxii+json;q=0.001", True),
    ],
)
def test_accept_is_taken_when_it_holds_taxii_2_1(accept: str | None, taken: bool) -> None:
    assert wire.is_acceptable(accept) is taken


def test_a_long_list_costs_no_more_than_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = list[str]()
    really = wire._is_taxii

    def look(choice: str) -> bool:
        looked_at.append(choice)
        return really(choice)

    monkeypatch.setattr(wire, "_is_taxii", look)
    assert wire.is_acceptable("text/html," * 63 + wire.MEDIA_TYPE)
    assert not wire.is_acceptable("text/html," * 200_000 + wire.MEDIA_TYPE)
    assert len(looked_at) <= 128
    assert wire.choose_coding("x," * 63 + "gzip") == "gzip"
    assert wire.choose_coding("x," * 200_000 + "gzip") is None


@given(st.text())
def test_no_accept_raises(accept: str) -> None:
    wire.is_acceptable(accept)


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        ("application/taxii+json;version=2.1", True),
        ('Application/TAXII+JSON; Version="2.1"', True),
        ("application/taxii+json", True),
        ("application/taxii+json;version=2.0", False),
        ("application/taxii+json, text/html", False),
        ("application/*", False),
        ("*/*", False),
        ("application/json", False),
        ("", False),
        (None, False),
    ],
)
def test_content_is_taken_when_it_is_taxii_2_1(content_type: str | None, taken: bool) -> None:
    assert wire.is_content(content_type) is taken


@given(st.text())
def test_no_content_type_raises(content_type: str) -> None:
    wire.is_content(content_type)


def test_a_status_counts_what_it_lists_and_lists_nothing_empty() -> None:
    detail = StatusDetail(id="report--1", version="v", message="")
    failed = StatusDetail(id="objects/1", version="w", message="why")
    whole = json.loads(wire.format_status("s", at=Instant(0), successes=[detail], failures=[failed]))
    assert whole == {
        "id": "s",
        "status": "complete",
        "request_timestamp": "1970-01-01T00:00:00.000000Z",
        "total_count": 2,
        "success_count": 1,
        "failure_count": 1,
        "pending_count": 0,
        "successes": [{"id": "report--1", "version": "v"}],
        "failures": [{"id": "objects/1", "version": "w", "message": "why"}],
    }
    empty = json.loads(wire.format_status("s", at=Instant(0), successes=[], failures=[]))
    assert not {"successes", "failures", "pendings"} & empty.keys()


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        ("Bearer s3cret", "s3cret"),
        ("bearer s3cret", "s3cret"),
        ("BEARER   s3cret  ", "s3cret"),
        ("Token s3cret", "s3cret"),
        ("tOkEn s3cret", "s3cret"),
        (f"Basic {encode('borealia:s3cret')}", "s3cret"),
        (f"basic {encode('anyone at all:s3cret')}", "s3cret"),
        (f"BASIC  {encode(':s3cret')} ", "s3cret"),
        (f"Basic {encode('user:with:colons')}", "with:colons"),
        (f"Basic {encode('user: ')}", " "),
        (f"Basic {encode('üser:pässword')}", "pässword"),
        (None, None),
        ("", None),
        (" ", None),
        ("Bearer", None),
        ("Bearer  ", None),
        ("Token", None),
        ("Basic", None),
        ("Basic ", None),
        ("s3cret", None),
        ("Digest s3cret", None),
        ("Negotiate s3cret", None),
        ("Basic not base64", None),
        ("Basic dXNlcjpzM2NyZXQ", None),  # unpadded
        (f"Basic {encode('user')}", None),
        (f"Basic {encode('user:')}", None),
        ("Basic //79", None),  # not UTF-8
        ("Bearer\ts3cret", None),
        ("Basic Basic", None),
        ("Basic é", None),
    ],
)
def test_the_secret_in_an_authorization_header(header: str | None, secret: str | None) -> None:
    assert wire.parse_secret(header) == secret


@given(st.text(), st.sampled_from(["", "Basic ", "Bearer ", "Token "]))
def test_no_authorization_header_raises_or_gives_an_empty_secret(text: str, scheme: str) -> None:
    assert wire.parse_secret(scheme + text) != ""


@given(st.text(st.characters(exclude_characters=":", codec="utf-8")), st.text(st.characters(codec="utf-8"), min_size=1))
def test_basic_gives_the_password_whatever_the_user(user: str, password: str) -> None:
    assert wire.parse_secret(f"Basic {encode(f'{user}:{password}')}") == password


# ---- filters ---------------------------------------------------------------------------------------------------------


def test_without_parameters_the_last_version_of_everything_is_asked_for() -> None:
    assert filters() == Filters(last=True)
    assert filters(("limit", "50"), ("match[type]", "report,indicator")) == Filters(
        limit=50, types=frozenset({"report", "indicator"})
    )


@pytest.mark.parametrize(
    ("text", "limit"),
    [("1", 1), ("007", 7), ("1000", 1_000), ("999999999999", 999_999_999_999), ("9007199254740991", 2**53 - 1)],
)
def test_a_limit_is_any_positive_integer(text: str, limit: int) -> None:
    assert filters(("limit", text)).limit == limit


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("", ""),
        (".0", ""),
        (".1", ".1"),
        (".12", ".12"),
        (".123", ".123"),
        (".1234", ".1234"),
        (".12345", ".12345"),
        (".123456", ".123456"),
        (".123456999", ".123456"),  # cut, never rounded up: a client must not be moved past an object
        (".000001", ".000001"),
    ],
)
def test_added_after_takes_any_number_of_fraction_digits(text: str, rest: str) -> None:
    given_filters = filters(("added_after", f"2026-11-23T09:00:00{text}Z"))
    assert given_filters.added_after == parse_instant(f"2026-11-23T09:00:00{rest}Z")


VERSIONS: list[tuple[str, Filters]] = [
    ("last", Filters(last=True)),
    ("first", Filters(last=False, first=True)),
    ("all", Filters(last=False, every=True)),
    ("first,last", Filters(last=True, first=True)),
    ("last,last", Filters(last=True)),
    ("all,all", Filters(last=False, every=True)),
    ("2026-01-01T00:00:00Z", Filters(last=False, versions=frozenset({parse_instant("2026-01-01T00:00:00Z")}))),
    ("2026-01-01T00:00:00.000Z", Filters(last=False, versions=frozenset({parse_instant("2026-01-01T00:00:00Z")}))),
    (
        "2026-01-01T00:00:00Z,2026-01-02T00:00:00.5Z",
        Filters(
            last=False,
            versions=frozenset({parse_instant("2026-01-01T00:00:00Z"), parse_instant("2026-01-02T00:00:00.5Z")}),
        ),
    ),
    (
        "first,2026-01-01T00:00:00Z,last",
        Filters(last=True, first=True, versions=frozenset({parse_instant("2026-01-01T00:00:00Z")})),
    ),
]


@pytest.mark.parametrize(("text", "expected"), VERSIONS)
def test_match_version_takes_words_and_times_together(text: str, expected: Filters) -> None:
    assert filters(("match[version]", text)) == expected


def test_every_parameter_is_read() -> None:
    assert filters(
        ("limit", "3"),
        ("added_after", "2026-01-01T00:00:00Z"),
        ("next", "abc"),
        ("match[id]", f"{REPORT},{OTHER}"),
        ("match[type]", "report,x-new-thing,x-new-thing"),
        ("match[version]", "all"),
        ("match[spec_version]", "2.1,2.0"),
    ) == Filters(
        limit=3,
        added_after=parse_instant("2026-01-01T00:00:00Z"),
        next="abc",
        ids=frozenset({REPORT, OTHER}),
        types=frozenset({"report", "x-new-thing"}),
        spec_versions=frozenset({"2.1", "2.0"}),
        last=False,
        every=True,
    )


@pytest.mark.parametrize("name", ["next", "added_after"])
def test_an_empty_position_is_none(name: str) -> None:
    assert filters((name, "")) == Filters()


@pytest.mark.parametrize("name", ["match[x]", "match", "Limit", "added_before", "", "match[ID]"])
def test_an_unknown_parameter_is_ignored_however_often_it_stands_there(name: str) -> None:
    assert filters((name, "1"), (name, "2")) == Filters()


MALFORMED: list[tuple[str, str]] = [
    *(("limit", text) for text in ("", "0", "00", "-1", "+1", "1.0", "1e3", " 1", "1 ", "٣", "²", "x", "1,2", "0x10")),
    ("limit", "9007199254740992"),
    ("limit", "1" * 5_000),
    *(
        ("added_after", text)
        for text in (
            "yesterday",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00.Z",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-01T25:00:00Z",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z,2026-01-02T00:00:00Z",
            "1767225600",
            "٢٠٢٦-01-01T00:00:00Z",
            " 2026-01-01T00:00:00Z",
        )
    ),
    *(
        ("match[id]", text)
        for text in ("", ",", f"{REPORT},", f",{REPORT}", "report", "report--1", REPORT.upper(), f"{REPORT}/", "*")
    ),
    *(("match[type]", text) for text in ("", ",", "report,", "Report", "report object", "-report", "rep_ort", "*")),
    ("match[type]", "a" * 251),
    *(
        ("match[version]", text)
        for text in (
            "",
            ",",
            "last,",
            "all,last",
            "all,first",
            "all,2026-01-01T00:00:00Z",
            "newest",
            "LAST",
            "2026",
            "2026-01-01T00:00:00",
        )
    ),
    *(("match[spec_version]", text) for text in ("", ",", "2.1,")),
    ("match[spec_version]", ",".join(str(number) for number in range(1_001))),
]


@pytest.mark.parametrize(("name", "text"), MALFORMED)
def test_what_is_not_understood_is_refused_by_the_name_of_its_parameter(name: str, text: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        filters(("match[type]", "report"), (name, text)) if name != "match[type]" else filters((name, text))
    assert refused.value.where == name
    assert name in refused.value.detail


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_parameter_given_twice_is_refused(name: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        filters((name, "last"), ("x", "y"), (name, "last"))
    assert refused.value.where == name


def test_a_thousand_values_are_taken() -> None:
    assert len(filters(("match[spec_version]", ",".join(map(str, range(1_000))))).spec_versions) == 1_000


names = st.sampled_from(KNOWN) | st.text(max_size=12)
values = (
    st.text()
    | st.sampled_from(["last", "first", "all", "1", REPORT, "2026-01-01T00:00:00Z", "report"])
    | st.lists(st.sampled_from(["last", "all", "x", "", REPORT, "2026-01-01T00:00:00Z"]), max_size=4).map(",".join)
    | st.text(string.digits, min_size=1)
    | object_ids()
)


@given(st.lists(st.tuples(names, values), max_size=6))
def test_a_query_gives_filters_or_a_refusal(pairs: list[tuple[str, str]]) -> None:
    try:
        given_filters = wire.parse_filters(pairs)
    except MalformedRequest as error:
        assert error.where in KNOWN  # noqa: PT017 (anything but this error fails by itself)
        return
    assert given_filters.limit is None or given_filters.limit > 0
    chosen = given_filters.last or given_filters.first or given_filters.every or given_filters.versions
    assert chosen
    assert not (given_filters.every and (given_filters.last or given_filters.first or given_filters.versions))


@given(st.lists(object_ids(), min_size=1, max_size=5))
def test_filters_do_not_depend_on_order(ids: list[ObjectId]) -> None:
    pairs = [("match[id]", ",".join(ids)), ("limit", "5"), ("match[version]", "first,last")]
    turned = [("match[version]", "last,first"), ("limit", "5"), ("match[id]", ",".join(reversed(ids)))]
    assert wire.parse_filters(pairs) == wire.parse_filters(turned)
    assert wire.parse_filters(pairs).binding() == wire.parse_filters(turned).binding()


# ---- cursors ---------------------------------------------------------------------------------------------------------

some_filters = st.builds(
    Filters,
    ids=st.frozensets(object_ids(), max_size=2),
    types=st.frozensets(st.sampled_from(["report", "indicator", "report,indicator"]), max_size=2),
    spec_versions=st.frozensets(st.text(max_size=3), max_size=2),
    versions=st.frozensets(st.integers(0, 2**50).map(Instant), max_size=2),
    last=st.booleans(),
    first=st.booleans(),
    every=st.booleans(),
)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=1, max_size=40), some_filters)
def test_a_cursor_gives_its_position_back(at: int, key: bytes, chosen: Filters) -> None:
    text = cursor(at, key=key, filters=chosen)
    assert set(text) <= set(string.ascii_letters + string.digits + "-_")
    assert read_cursor(text, key=key, filters=chosen) == at


@given(some_filters, some_filters)
def test_a_cursor_serves_its_own_filters_only(one: Filters, other: Filters) -> None:
    text = cursor(filters=one)
    if one == other:
        assert read_cursor(text, filters=other) == 7
    else:
        with pytest.raises(MalformedRequest):
            read_cursor(text, filters=other)


@pytest.mark.parametrize(
    "changes",
    [
        {"key": bytes(32)},
        {"party": PartyId("meridia")},
        {"party": PartyId("borealia\0")},
        {"filters": Filters(types=frozenset({"report"}))},
        {"filters": Filters(last=False, first=True)},
    ],
)
def test_a_cursor_given_for_something_else_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedRequest) as refused:
        read_cursor(cursor(), **changes)
    assert refused.value.where == "next"
    assert read_cursor(cursor(7, **changes), **changes) == 7


@given(st.uuids(version=4), st.uuids(version=4), some_filters)
def test_a_cursor_of_another_collection_is_known_as_such_and_holds_no_position(
    one: uuid.UUID, other: uuid.UUID, chosen: Filters
) -> None:
    text = cursor(collection=str(one), filters=chosen)
    assert read_cursor(text, collection=str(other), filters=chosen) == (7 if one == other else None)
    for changes in (
        {"key": bytes(32)},
        {"party": PartyId("meridia")},
        {"filters": replace(chosen, last=not chosen.last)},
    ):
        with pytest.raises(MalformedRequest):
            read_cursor(text, **{"collection": str(other), "filters": chosen, **changes})


ONE_FIELD: list[Filters] = [
    Filters(ids=frozenset({REPORT})),
    Filters(ids=frozenset({OTHER})),
    Filters(types=frozenset({"report"})),
    Filters(spec_versions=frozenset({"report"})),
    Filters(versions=frozenset({Instant(1)})),
    Filters(versions=frozenset({Instant(2)})),
    Filters(last=False),
    Filters(first=True),
    Filters(every=True),
]


@pytest.mark.parametrize("chosen", ONE_FIELD)
def test_a_cursor_is_bound_to_each_filter(chosen: Filters) -> None:
    text = cursor(7, filters=chosen)
    for other in (Filters(), *ONE_FIELD):
        if other != chosen:
            with pytest.raises(MalformedRequest):
                read_cursor(text, filters=other)


def test_a_cursor_does_not_hold_how_many_or_from_where() -> None:
    changed = Filters(limit=3, added_after=Instant(99), next="abc")
    assert read_cursor(cursor(), filters=changed) == 7


@pytest.mark.parametrize("bit", range(8))
def test_a_cursor_with_one_bit_changed_anywhere_is_refused(bit: int) -> None:
    data = base64.urlsafe_b64decode(cursor(2**40 + 12_345))
    assert len(data) == 33
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << bit
        with pytest.raises(MalformedRequest):
            read_cursor(base64.urlsafe_b64encode(changed).decode().rstrip("="))


@pytest.mark.parametrize("length", [*range(44), 45, 46, 48, 88])
def test_a_cursor_cut_or_lengthened_is_refused(length: int) -> None:
    with pytest.raises(MalformedRequest):
        read_cursor((cursor() * 2)[:length])


@given(st.text() | st.binary(max_size=40).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")))
def test_nobody_guesses_a_cursor(text: str) -> None:
    with pytest.raises(MalformedRequest):
        read_cursor(text)


# ---- what is written -------------------------------------------------------------------------------------------------

RECORD = ManifestRecord(id=REPORT, date_added=parse_instant("2026-01-01T00:00:00.5Z"), version="2025-01-01T00:00:00Z")


def test_discovery_names_the_one_api_root_as_default() -> None:
    assert json.loads(wire.format_discovery(title="T", root="/taxii2/borealia/")) == {
        "title": "T",
        "default": "/taxii2/borealia/",
        "api_roots": ["/taxii2/borealia/"],
    }


def test_an_api_root_speaks_2_1_only() -> None:
    assert json.loads(wire.format_api_root(title="T")) == {
        "title": "T",
        "versions": ["application/taxii+json;version=2.1"],
        "max_content_length": wire.MAX_CONTENT_LENGTH,
    }


def test_collections_are_for_reading_and_the_list_is_left_out_when_empty() -> None:
    view = wire.CollectionView(id=COLLECTION, title="Ünïted", description="d")
    one = {
        "id": COLLECTION,
        "title": "Ünïted",
        "description": "d",
        "can_read": True,
        "can_write": False,
        "media_types": ["application/stix+json;version=2.1"],
    }
    assert json.loads(wire.format_collection(view)) == one
    assert json.loads(wire.format_collections([view, view])) == {"collections": [one, one]}
    assert wire.format_collections([]) == b"{}"
    assert "Ünïted".encode() in wire.format_collection(view)


def test_an_envelope_holds_the_bytes_as_they_are() -> None:
    odd = b'{ "b":1.0e2,\n "a" : "\\u00e9", "type":"x" }'
    assert b"".join(wire.format_envelope(odd + b",{}", cursor=None)) == b'{"objects":[' + odd + b",{}]}"
    assert b"".join(wire.format_envelope(odd, cursor="n-_1")) == b'{"more":true,"next":"n-_1","objects":[' + odd + b"]}"
    assert b"".join(wire.format_envelope(b"", cursor=None)) == b"{}"


def test_a_manifest_has_next_beside_more_and_no_list_when_empty() -> None:
    record = {
        "id": REPORT,
        "date_added": "2026-01-01T00:00:00.500000Z",
        "version": "2025-01-01T00:00:00Z",
        "media_type": "application/stix+json;version=2.1",
    }
    assert json.loads(wire.format_manifest([RECORD], cursor=None)) == {"objects": [record]}
    assert json.loads(wire.format_manifest([RECORD], cursor="n")) == {"more": True, "next": "n", "objects": [record]}
    assert wire.format_manifest([], cursor=None) == b"{}"


def test_versions_have_no_list_when_empty() -> None:
    assert json.loads(wire.format_versions(["a", "b"], cursor=None)) == {"versions": ["a", "b"]}
    assert json.loads(wire.format_versions(["a"], cursor="n")) == {"more": True, "next": "n", "versions": ["a"]}
    assert wire.format_versions([], cursor=None) == b"{}"


def test_an_error_says_its_status_as_text() -> None:
    assert json.loads(wire.format_error(title="Bad request", status=400, description="limit")) == {
        "title": "Bad request",
        "http_status": "400",
        "description": "limit",
    }
    assert json.loads(wire.format_error(title="Not found", status=404)) == {"title": "Not found", "http_status": "404"}


def test_a_description_may_hold_whatever_the_client_sent() -> None:
    body = wire.format_error(title="t", status=400, description='"\\\n\x00é')
    assert json.loads(body)["description"] == '"\\\n\x00é'
