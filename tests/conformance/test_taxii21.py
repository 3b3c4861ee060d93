# SPDX-License-Identifier: Apache-2.0
"""TAXII 2.1 (OASIS Standard, 10 June 2021) over real HTTP: exactly what a node of Comity answers, on data made for it.

The name of each test begins with the section it is about. Not here: what partners write (`test_taxii_writing`), and
what the standard demands of any server (`test_standard`).
"""

import json
import re
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import zstandard

from comity.canonical import Json
from comity.ids import AgreementId, Instant, PartyId, format_instant, parse_instant
from comity.node.ingest import add_objects
from comity.node.parties import create_credential
from comity.node.poll import MAX_PAGE_OBJECTS
from comity.node.standing import collection_id
from comity.stix.labels import make_tags
from tests.served import Served, basic
from tests.worlds import World, make_object, object_id, tlp_id

TAXII = "application/taxii+json;version=2.1"
STIX = "application/stix+json;version=2.1"
MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NOWHERE = "00000000-0000-4000-8000-000000000000"
MANY = MAX_PAGE_OBJECTS + 5

ROOT = "/taxii2/borealia/"
VERSIONED = object_id("report", "versioned")
ADDRESS = object_id("ipv4-addr", "address")
STATEMENT = object_id("marking-definition", "statement")
REDACTED = object_id("indicator", "redacted")
SECRET = object_id("report", "secret")
ODD = object_id("report", "odd")


def day(number: int) -> str:
    """The `modified` of version `number` of an object."""
    return format_instant(Instant(parse_instant("2025-01-01T00:00:00Z") + number * 86_400_000_000))


def write_oddly(value: Mapping[str, Json]) -> bytes:
    """JSON that no serializer would write: members backwards, odd spaces, escapes where none are needed."""
    members = [f"{json.dumps(name)} :\t{json.dumps(item, indent=3)}" for name, item in reversed(list(value.items()))]
    text = "{ " + " ,\n ".join(members) + ',"x_score":1.50e+00 ,  "x_raw":"é\\u00e9\\/\\u0041", "x_big":12345678901 }'
    return text.encode()


ODD_BYTES = write_oddly(make_object("odd", more={"name": "Zoë"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A served node, a client with Borealia's credential, and the two collections it is offered."""

    served: Served
    client: httpx.Client
    main: str
    bulk: str
    password: str

    def get(self, path: str, /, **parameters: str | int) -> httpx.Response:
        """The answer to GET; `match_type` stands for `match[type]`."""
        query = {re.sub(r"match_(\w+)", r"match[\1]", name): str(value) for name, value in parameters.items()}
        return self.client.get(path, params=query)

    def objects(self, **parameters: str | int) -> list[dict[str, Any]]:
        """The objects of one page of the main collection."""
        answer = self.get(f"{self.main}objects/", **parameters)
        assert answer.status_code == 200, answer.text
        return list(answer.json().get("objects", []))

    def names(self, **parameters: str | int) -> list[tuple[str, str]]:
        """Id and version of each object of one page."""
        return [(item["id"], item.get("modified", "")) for item in self.objects(**parameters)]

    def manifest(self, **parameters: str | int) -> list[dict[str, str]]:
        """The records of one page of the main collection's manifest."""
        answer = self.get(f"{self.main}manifest/", **parameters)
        assert answer.status_code == 200, answer.text
        return list(answer.json().get("objects", []))


def fill(world: World) -> None:
    """A feed with everything in it that a filter can tell apart, released in several goes."""
    for number in range(4):
        world.add("aurelia", make_object(f"r{number}"), make_object(f"i{number}", kind="indicator"))
        world.tick()
    for version in (1, 2, 3):
        world.add("aurelia", make_object("versioned", day=version))
        world.tick()
        world.poll("borealia")
    world.add("aurelia", make_object("who", kind="identity"), make_object("secret", tlp="red"))
    redacted: dict[str, Json] = {
        "description": "for few",
        "x_open": "for all",
        "granular_markings": [
            {"marking_ref": tlp_id("red"), "selectors": ["description"]},
            {"marking_ref": tlp_id("clear"), "selectors": ["x_open"]},
        ],
    }
    world.add("aurelia", make_object("redacted", kind="indicator", more=redacted))
    classified = make_object("address")
    address: dict[str, Json] = {
        name: classified[name] for name in ("extensions", "object_marking_refs", "spec_version")
    } | {"type": "ipv4-addr", "id": ADDRESS, "value": "192.0.2.7"}
    statement: dict[str, Json] = {
        name: classified[name] for name in ("extensions", "object_marking_refs", "spec_version", "created")
    } | {
        "type": "marking-definition",
        "id": STATEMENT,
        "definition_type": "statement",
        "definition": {"statement": "Handle with care"},
    }
    world.add("aurelia", address, statement)
    bundle = b'{"type":"bundle","id":"bundle--' + NOWHERE.encode() + b'","objects":[\n  ' + ODD_BYTES + b"  ]}"
    assert add_objects(world.nodes["aurelia"], bundle, tags=make_tags()).added == (ODD,)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    world = World(tmp_path_factory.mktemp("taxii21"))
    world.found("aurelia", "borealia", "meridia")
    types = ("indicator", "report", "identity", "ipv4-addr", "marking-definition")
    main = world.sign_all(world.terms(types=types))
    fill(world)
    bulk = world.sign_all(world.terms(subjects=("national:bulk",), title="Bulk"))
    world.add("aurelia", *(make_object(f"b{number}", subjects=("national:bulk",)) for number in range(MANY)))
    node = world.nodes["aurelia"]
    password = create_credential(node, PartyId("borealia"))

    def path(agreement: str) -> str:
        found = collection_id(AgreementId(agreement), "main", giver=PartyId("aurelia"), recipient=PartyId("borealia"))
        return f"{ROOT}collections/{found}/"

    with (
        closing(world),
        Served.start(node) as served,
        httpx.Client(base_url=served.url, auth=("borealia", password), timeout=60) as client,
    ):
        yield Site(served=served, client=client, main=path(main), bulk=path(bulk), password=password)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """All pages from a first one on, as a client reads them."""

    items: list[Any] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def read_pages(site: Site, path: str, parameters: dict[str, str | int], *, member: str = "objects") -> Pages:
    """Page after page by `next`, the filters repeated (§3.4), until there is no more."""
    pages = Pages()
    turn = dict(parameters)
    while True:
        answer = site.get(path, **turn)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        pages.items.extend(body.get(member, []))
        pages.sizes.append(len(body.get(member, [])))
        assert len(pages.sizes) < 200
        if not body.get("more"):
            assert "next" not in body
            return pages
        turn = {**parameters, "next": body["next"]}


# ---- §2, §3.1: data types, endpoints, media types --------------------------------------------------------------------


def list_paths(site: Site) -> dict[str, str]:
    return {
        "discovery": "/taxii2/",
        "root": ROOT,
        "collections": f"{ROOT}collections/",
        "collection": site.main,
        "manifest": f"{site.main}manifest/",
        "objects": f"{site.main}objects/",
        "object": f"{site.main}objects/{VERSIONED}/",
        "versions": f"{site.main}objects/{VERSIONED}/versions/",
    }


RESOURCES = ("discovery", "root", "collections", "collection", "manifest", "objects", "object", "versions")


@pytest.mark.parametrize("resource", RESOURCES)
def test_3_1_every_success_is_taxii_with_its_version(site: Site, resource: str) -> None:
    answer = site.get(list_paths(site)[resource])
    assert (answer.status_code, answer.headers["content-type"]) == (200, TAXII)
    assert isinstance(answer.json(), dict)
    assert int(answer.headers["content-length"]) == answer.num_bytes_downloaded


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("{main}objects/?limit=0", {}, 400),
        ("{main}objects/nothing/", {}, 404),
        ("/nowhere", {}, 404),
        ("{main}objects/", {"Accept": "text/html"}, 406),
        ("/taxii2/", {"Authorization": "Bearer x"}, 401),
        ("{main}", {"Authorization": "Bearer x"}, 404),
    ],
)
def test_3_1_every_error_is_taxii_with_its_version_and_says_its_status(
    site: Site, path: str, headers: dict[str, str], status: int
) -> None:
    given = {} if "Authorization" in headers else basic("borealia", site.password)
    answer = httpx.get(site.served.url + path.format(main=site.main), headers={**given, **headers}, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (status, TAXII)
    body = answer.json()
    assert body["title"]
    assert body["http_status"] == str(status)  # §3.6.1: a string, equal to the status
    assert set(body) <= {"title", "http_status", "description"}


@pytest.mark.parametrize("resource", RESOURCES)
def test_3_1_paths_are_served_in_both_slash_forms(site: Site, resource: str) -> None:
    path = list_paths(site)[resource]
    assert site.get(path.rstrip("/")).content == site.get(path).content


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize(
    "accept",
    [TAXII, "application/taxii+json; version=2.1", "application/taxii+json", "*/*", "text/html, application/*;q=0.1"],
)
def test_3_1_an_accept_that_the_standard_defines_is_never_406(site: Site, resource: str, accept: str) -> None:
    answer = site.client.get(list_paths(site)[resource], headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, TAXII)


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("accept", ["application/taxii+json;version=2.0", "application/json", "text/html", STIX])
def test_3_1_another_accept_is_406(site: Site, resource: str, accept: str) -> None:
    assert site.client.get(list_paths(site)[resource], headers={"Accept": accept}).status_code == 406


@pytest.mark.parametrize("resource", RESOURCES)
def test_3_1_head_is_get_without_the_body(site: Site, resource: str) -> None:
    path, headers = list_paths(site)[resource], {"Connection": "close", **basic("borealia", site.password)}
    head, got = (site.served.ask(method, path, headers=headers) for method in ("HEAD", "GET"))
    lines, _, body = head.partition(b"\r\n\r\n")
    assert body == b""
    drop = re.compile(rb"date: [^\r]*\r\n")
    assert drop.sub(b"", lines, count=1) == drop.sub(b"", got.partition(b"\r\n\r\n")[0], count=1)


def test_8_2_1_a_request_without_user_agent_or_accept_is_answered(site: Site) -> None:
    answer = site.served.ask("GET", "/taxii2/", headers=basic("borealia", site.password))
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("scheme", ["Bearer", "Token", "bearer"])
def test_8_2_2_the_credential_is_taken_as_a_token_too(site: Site, scheme: str) -> None:
    answer = httpx.get(site.served.url + site.main, headers={"Authorization": f"{scheme} {site.password}"}, timeout=60)
    assert answer.json() == site.get(site.main).json()


@pytest.mark.parametrize("user", ["borealia", "", "anyone", "aurelia"])
def test_8_2_2_basic_is_taken_whatever_the_user(site: Site, user: str) -> None:
    answer = httpx.get(site.served.url + ROOT, headers=basic(user, site.password), timeout=60)
    assert answer.status_code == 200


# ---- §3.2, §3.3: headers, sorting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["manifest", "objects", "object", "versions"])
def test_3_2_the_first_and_last_date_added_stand_in_the_headers(site: Site, resource: str) -> None:
    path = list_paths(site)[resource]
    of_one = {"match_id": VERSIONED} if resource in {"object", "versions"} else {}
    version = {"match_version": "all"} if resource == "versions" else {}
    dates = [record["date_added"] for record in site.manifest(**of_one, **version)]
    answer = site.get(path)
    assert answer.headers["X-TAXII-Date-Added-First"] == dates[0]
    assert answer.headers["X-TAXII-Date-Added-Last"] == dates[-1]
    assert all(MICROSECONDS.fullmatch(date) for date in dates)  # §2


@pytest.mark.parametrize("resource", ["manifest", "objects"])
def test_3_2_an_empty_answer_gives_the_position_that_was_asked_from(site: Site, resource: str) -> None:
    last = site.manifest()[-1]["date_added"]
    answer = site.get(list_paths(site)[resource], added_after=last)
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert answer.headers["X-TAXII-Date-Added-First"] == last
    assert answer.headers["X-TAXII-Date-Added-Last"] == last
    answer = site.get(list_paths(site)[resource], match_type="malware", added_after="2026-01-01T00:00:00Z")
    assert answer.headers["X-TAXII-Date-Added-Last"] == "2026-01-01T00:00:00.000000Z"


def test_3_2_each_page_has_its_own_dates(site: Site) -> None:
    dates = [record["date_added"] for record in site.manifest()]
    answer = site.get(f"{site.main}objects/", added_after=dates[1], limit=3)
    assert answer.headers["X-TAXII-Date-Added-First"] == dates[2]
    assert answer.headers["X-TAXII-Date-Added-Last"] == dates[4]


def test_3_3_objects_and_manifest_rise_by_date_added_which_is_unique(site: Site) -> None:
    manifest = site.manifest(match_version="all")
    dates = [record["date_added"] for record in manifest]
    assert len(dates) > 12
    assert dates == sorted(set(dates))
    assert [record["id"] for record in manifest] == [item["id"] for item in site.objects(match_version="all")]


# ---- §3.4: filters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["manifest", "objects", "object", "versions"])
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1&limit=2",
        "added_after=yesterday",
        "added_after=2026-01-01",
        "added_after=2026-01-01T00:00:00%2B00:00",
        "added_after=2026-01-01T00:00:00Z&added_after=2026-01-01T00:00:00Z",
        "next=nonsense",
        "match[spec_version]=",
        "match[spec_version]=2.1,,2.0",
    ],
)
def test_3_4_a_malformed_parameter_is_400(site: Site, resource: str, query: str) -> None:
    answer = site.client.get(f"{list_paths(site)[resource]}?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["description"]


@pytest.mark.parametrize("resource", ["manifest", "objects"])
@pytest.mark.parametrize(
    "query",
    [
        "match[id]=nonsense",
        "match[id]=",
        "match[type]=Not+A+Type",
        "match[version]=newest",
        "match[version]=all,last",
        "match[version]=",
        "match[version]=2025-01-01",
        "%6datch%5Btype%5D=%21",
    ],
)
def test_3_4_a_malformed_match_is_400(site: Site, resource: str, query: str) -> None:
    assert site.client.get(f"{list_paths(site)[resource]}?{query}").status_code == 400


def test_3_4_an_unknown_parameter_is_ignored(site: Site) -> None:
    plain = site.get(f"{site.main}objects/").content
    for query in ("x=1", "x=1&x=2", "match[confidence]=5", "match[relationships]=a&match[relationships]=b", "=", "&&"):
        assert site.client.get(f"{site.main}objects/?{query}").content == plain


def test_3_4_added_after_is_strict(site: Site) -> None:
    records = site.manifest()
    for place, record in enumerate(records):
        later = [item["id"] for item in records[place + 1 :]]
        assert [item["id"] for item in site.objects(added_after=record["date_added"])] == later
        just_before = format_instant(Instant(parse_instant(record["date_added"]) - 1))
        assert [item["id"] for item in site.manifest(added_after=just_before)] == [record["id"], *later]


@pytest.mark.parametrize("digits", range(7))
def test_3_4_added_after_takes_0_to_6_fraction_digits(site: Site, digits: int) -> None:
    records = site.manifest()
    for record in records:
        whole, fraction = record["date_added"].removesuffix("Z").split(".")
        text = f"{whole}.{fraction[:digits]}Z" if digits else f"{whole}Z"
        after = parse_instant(text)
        expected = [item["id"] for item in records if parse_instant(item["date_added"]) > after]
        assert [item["id"] for item in site.manifest(added_after=text)] == expected


@pytest.mark.parametrize("resource", ["manifest", "objects"])
def test_3_4_limit_is_never_passed_and_more_is_said_exactly_when_more_remains(site: Site, resource: str) -> None:
    path = list_paths(site)[resource]
    total = len(site.get(path).json()["objects"])
    for limit in range(1, total + 3):
        body = site.get(path, limit=limit).json()
        assert len(body["objects"]) == min(limit, total)
        assert body.get("more", False) is (limit < total)
        assert ("next" in body) is (limit < total)


@pytest.mark.parametrize("limit", [MAX_PAGE_OBJECTS + 1, 10**12, 2**53 - 1])
def test_3_4_a_limit_above_the_bound_of_the_server_gives_the_bound(site: Site, limit: int) -> None:
    pages = read_pages(site, f"{site.bulk}manifest/", {"limit": limit})
    assert pages.sizes == [MAX_PAGE_OBJECTS, 5]
    assert len({record["id"] for record in pages.items}) == MANY


def test_3_4_without_a_limit_the_bound_of_the_server_holds(site: Site) -> None:
    assert read_pages(site, f"{site.bulk}objects/", {}).sizes == [MAX_PAGE_OBJECTS, 5]


@pytest.mark.parametrize("resource", ["manifest", "objects"])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"match_type": "report"},
        {"match_version": "all", "match_type": "report,identity"},
        {"match_version": "first,last", "match_spec_version": "2.1"},
        {"added_after": "2026-01-01T00:00:00Z"},
    ],
)
def test_3_5_pages_together_are_the_one_page(site: Site, resource: str, parameters: dict[str, str | int]) -> None:
    path = list_paths(site)[resource]
    whole = site.get(path, **parameters).json()["objects"]
    assert len(whole) > 3
    for limit in (1, 2, 3, len(whole) - 1, len(whole)):
        pages = read_pages(site, path, {**parameters, "limit": limit})
        assert pages.items == whole
        assert set(pages.sizes[:-1]) <= {limit}


def test_3_5_versions_are_paged_too(site: Site) -> None:
    pages = read_pages(site, f"{site.main}objects/{VERSIONED}/versions/", {"limit": 2}, member="versions")
    assert (pages.items, pages.sizes) == ([day(1), day(2), day(3)], [2, 1])
    pages = read_pages(site, f"{site.main}objects/{VERSIONED}/", {"limit": 1, "match_version": "all"})
    assert [item["modified"] for item in pages.items] == [day(1), day(2), day(3)]


def test_3_5_next_belongs_to_its_filters(site: Site) -> None:
    path = f"{site.main}objects/"
    following = site.get(path, limit=2, match_type="report").json()["next"]
    assert site.get(path, match_type="report", next=following).status_code == 200
    assert site.get(path, limit=7, match_type="report", next=following).status_code == 200
    assert site.get(path, next=following).status_code == 400
    assert site.get(path, match_type="indicator", next=following).status_code == 400
    assert site.get(path, match_type="report", next=following[:-1] + "AB"[following[-1] == "A"]).status_code == 400


@pytest.mark.parametrize("resource", ["objects", "manifest"])
def test_3_5_the_next_of_another_collection_is_as_if_it_were_not_there(site: Site, resource: str) -> None:
    """Some clients send it; a refusal would keep them from that collection for ever."""
    following = site.get(f"{site.main}objects/", limit=2).json()["next"]
    path = f"{site.bulk}{resource}/"
    date = site.get(f"{site.bulk}manifest/", limit=7).json()["objects"][-1]["date_added"]
    assert site.get(path, limit=3, next=following).content == site.get(path, limit=3).content
    later = site.get(path, limit=3, added_after=date)
    assert site.get(path, limit=3, added_after=date, next=following).content == later.content
    assert later.content != site.get(path, limit=3).content


def test_3_5_next_goes_on_where_the_page_ended_whatever_added_after_says(site: Site) -> None:
    start = site.manifest()[0]["date_added"]
    first = site.get(f"{site.main}objects/", limit=2, added_after=start).json()
    rest = site.names(added_after=start, next=first["next"])
    assert rest == site.names()[3:]


def test_3_5_going_on_by_the_last_date_added_loses_and_repeats_nothing(site: Site) -> None:
    seen, after = list[str](), "1970-01-01T00:00:00Z"
    while True:
        answer = site.get(f"{site.main}objects/", limit=2, added_after=after, match_version="all")
        items = answer.json().get("objects", [])
        if not items:
            break
        seen += [item["id"] for item in items]
        after = answer.headers["X-TAXII-Date-Added-Last"]
    assert seen == [item["id"] for item in site.objects(match_version="all")]


# ---- §3.4.1: match ---------------------------------------------------------------------------------------------------


def test_3_4_1_match_id_is_any_of_those_named(site: Site) -> None:
    wanted = [object_id("report", "r1"), ADDRESS]
    assert {item["id"] for item in site.objects(match_id=",".join(wanted))} == set(wanted)
    assert {item["id"] for item in site.manifest(match_id=wanted[0])} == {wanted[0]}
    assert site.objects(match_id=object_id("report", "nobody has it")) == []
    assert site.objects(match_id=SECRET) == []


def test_3_4_1_match_type_is_any_of_those_named_and_no_type_is_an_error(site: Site) -> None:
    everything = site.objects()
    reports = [item["id"] for item in everything if item["type"] == "report"]
    assert [item["id"] for item in site.objects(match_type="report")] == reports
    both = [item["id"] for item in everything if item["type"] in {"report", "identity"}]
    assert [item["id"] for item in site.manifest(match_type="identity,report,x-unheard-of")] == both
    for kind in ("malware", "x-509-certificate", "windows-registry-key", "bundle", "x-unheard-of", "x509-certificate"):
        assert site.objects(match_type=kind) == []


def test_3_4_1_different_fields_must_all_hold(site: Site) -> None:
    report, indicator = object_id("report", "r1"), object_id("indicator", "i1")
    assert site.names(match_id=f"{report},{indicator}", match_type="indicator") == [(indicator, day(1))]
    assert site.names(match_id=report, match_type="indicator") == []
    assert site.names(match_id=VERSIONED, match_version="first", match_spec_version="2.1") == [(VERSIONED, day(1))]
    assert site.names(match_id=report, match_spec_version="2.0") == []


def test_3_4_1_match_spec_version(site: Site) -> None:
    everything = site.names()
    assert site.names(match_spec_version="2.1") == everything
    assert site.names(match_spec_version="2.0,2.1") == everything
    assert site.names(match_spec_version="2.0") == []


@pytest.mark.parametrize(
    ("versions", "days"),
    [
        (None, [3]),
        ("last", [3]),
        ("first", [1]),
        ("all", [1, 2, 3]),
        ("first,last", [1, 3]),
        (day(2), [2]),
        (f"{day(2)},first", [1, 2]),
        (f"{day(1)},{day(2)},{day(3)}", [1, 2, 3]),
        (day(2).replace(".000000Z", "Z"), [2]),
        (day(9), []),
    ],
)
@pytest.mark.parametrize("resource", ["objects", "manifest", "object"])
def test_3_4_1_match_version(site: Site, resource: str, versions: str | None, days: list[int]) -> None:
    parameters: dict[str, str | int] = {} if versions is None else {"match_version": versions}
    if resource != "object":
        parameters["match_id"] = VERSIONED
    answer = site.get(list_paths(site)[resource], **parameters)
    if resource == "object" and not days:
        assert answer.status_code == 404
        return
    name = "version" if resource == "manifest" else "modified"
    assert [item[name] for item in answer.json().get("objects", [])] == [day(number) for number in days]


def test_3_4_1_the_version_of_an_unversioned_object_is_its_created_or_always_the_same(site: Site) -> None:
    versions = {record["id"]: record["version"] for record in site.manifest(match_id=f"{ADDRESS},{STATEMENT}")}
    assert versions[STATEMENT] == "2025-01-01T00:00:00.000000Z"
    for name, version in versions.items():
        assert [item["id"] for item in site.objects(match_id=name, match_version=version)] == [name]
        assert site.get(f"{site.main}objects/{name}/versions/").json() == {"versions": [version]}


# ---- §3.7: envelope --------------------------------------------------------------------------------------------------


def test_3_7_an_empty_answer_is_an_empty_object(site: Site) -> None:
    for resource in ("objects", "manifest"):
        answer = site.get(list_paths(site)[resource], match_type="malware")
        assert (answer.status_code, answer.content) == (200, b"{}")
        assert not [name for name in answer.headers if name.startswith("x-taxii")]


# ---- §4: discovery, API root, status ---------------------------------------------------------------------------------


def test_4_1_discovery(site: Site) -> None:
    body = site.get("/taxii2/").json()
    assert body["title"]
    assert body["default"] in body["api_roots"]
    assert body["api_roots"] == [ROOT]
    assert re.fullmatch(r"/[^/?#][^?#]*/", body["default"])
    assert ".." not in body["default"]


def test_4_1_discovery_without_a_credential_is_401_with_a_challenge(site: Site) -> None:
    answer = httpx.get(f"{site.served.url}/taxii2/", timeout=60)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


# ---- §5: collections, manifest, objects ------------------------------------------------------------------------------


def test_5_1_collections_list_what_the_requester_may_do(site: Site) -> None:
    listed = site.get(f"{ROOT}collections/").json()["collections"]
    assert {f"{ROOT}collections/{item['id']}/" for item in listed} == {site.main, site.bulk}
    assert len({item["title"] for item in listed}) == 2
    for item in listed:
        assert uuid.UUID(item["id"]).version == 4  # §2
        assert uuid.UUID(item["id"]).variant == uuid.RFC_4122
        assert (item["can_read"], item["can_write"]) == (True, False)
        assert item["media_types"] == [STIX]
        assert item["title"]


def test_5_1_an_empty_list_is_omitted(site: Site) -> None:
    secret = site.served.call(lambda: create_credential(site.served.node, PartyId("meridia")))
    answer = httpx.get(f"{site.served.url}/taxii2/meridia/collections/", headers=basic("meridia", secret), timeout=60)
    assert (answer.status_code, answer.content) == (200, b"{}")


def test_5_2_a_collection_is_the_one_of_the_list(site: Site) -> None:
    for item in site.get(f"{ROOT}collections/").json()["collections"]:
        assert site.get(f"{ROOT}collections/{item['id']}/").json() == item
    assert site.get(f"{ROOT}collections/{NOWHERE}/").status_code == 404


def test_5_3_the_manifest_has_a_record_for_each_object(site: Site) -> None:
    manifest = {(record["id"], record["version"]): record for record in site.manifest(match_version="all")}
    given = site.objects(match_version="all")
    assert len(manifest) == len(given)
    for item in given:
        version = item.get("modified", item.get("created"))
        record = manifest[item["id"], version] if version else site.manifest(match_id=item["id"])[0]
        assert set(record) == {"id", "date_added", "version", "media_type"}
        assert record["media_type"] == STIX


def test_5_4_received_bytes_are_given_byte_for_byte(site: Site) -> None:
    assert json.loads(ODD_BYTES)["name"] == "Zoë"
    assert site.get(f"{site.main}objects/{ODD}/").content == b'{"objects":[' + ODD_BYTES + b"]}"
    assert ODD_BYTES in site.get(f"{site.main}objects/").content


def test_5_4_a_redacted_object_lacks_the_property_and_the_marking_on_it(site: Site) -> None:
    answer = site.get(f"{site.main}objects/{REDACTED}/")
    (item,) = answer.json()["objects"]
    assert b"for few" not in answer.content
    assert "description" not in item
    assert item["granular_markings"] == [{"marking_ref": tlp_id("clear"), "selectors": ["x_open"]}]
    assert (item["x_open"], item["id"]) == ("for all", REDACTED)
    assert b"for few" not in site.get(f"{site.main}objects/").content


def test_5_4_what_the_terms_withhold_is_nowhere(site: Site) -> None:
    assert SECRET not in {record["id"] for record in site.manifest(match_version="all")}
    assert SECRET.encode() not in site.get(f"{site.main}objects/", match_version="all").content
    assert site.get(f"{site.main}objects/{SECRET}/").status_code == 404
    assert site.get(f"{site.main}objects/{SECRET}/versions/").status_code == 404


def test_5_5_and_5_7_nothing_can_be_added_to_or_deleted_from_what_is_read(site: Site) -> None:
    before = site.get(f"{site.main}manifest/").content
    body = json.dumps({"objects": [make_object("new")]}).encode()
    added = site.client.post(f"{site.main}objects/", content=body, headers={"Content-Type": TAXII})
    deleted = site.client.delete(f"{site.main}objects/{VERSIONED}/")
    assert (added.status_code, deleted.status_code) == (403, 403)
    assert site.get(f"{site.main}manifest/").content == before


def test_5_6_an_object_is_in_an_envelope(site: Site) -> None:
    body = site.get(f"{site.main}objects/{VERSIONED}/").json()
    assert set(body) == {"objects"}
    assert [(item["id"], item["modified"]) for item in body["objects"]] == [(VERSIONED, day(3))]
    other = site.get(f"{site.main}objects/{VERSIONED}/", match_id=ODD, match_type="indicator").json()
    assert other == body  # the path names the object; the filters of the list are none of this resource's


@pytest.mark.parametrize("rest", ["", "versions/"])
@pytest.mark.parametrize(
    "name",
    [
        object_id("report", "unknown"),
        "report--1",
        "nonsense",
        "..",
        "%2e%2e",
        "*",
        "%00",
        VERSIONED.upper(),
        f"{VERSIONED},{ODD}",
        f"%20{VERSIONED}",
        VERSIONED.replace("-", "%252D"),
    ],
)
def test_5_6_another_id_is_404(site: Site, name: str, rest: str) -> None:
    answer = site.served.ask("GET", f"{site.main}objects/{name}/{rest}", headers=basic("borealia", site.password))
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_5_6_a_path_may_be_percent_encoded(site: Site) -> None:
    plain = site.get(f"{site.main}objects/{VERSIONED}/").content
    assert site.client.get(f"{site.main}objects/{VERSIONED.replace('-', '%2D')}/").content == plain


def test_5_8_the_versions_of_an_object(site: Site) -> None:
    path = f"{site.main}objects/{VERSIONED}/versions/"
    assert site.get(path).json() == {"versions": [day(1), day(2), day(3)]}
    assert site.get(path, match_spec_version="2.1").json() == {"versions": [day(1), day(2), day(3)]}
    assert site.get(path, match_spec_version="2.0").status_code == 404


# ---- compression (RFC 9110 §8.4) -------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("resource", ["objects/", "manifest/"])
def test_compressed_pages_are_the_same_pages(site: Site, coding: str, resource: str) -> None:
    path = f"{site.bulk}{resource}"
    plain = site.client.get(path, headers={"Accept-Encoding": "identity"})
    vary = {plain.headers["vary"]}
    for _ in range(2):  # put together, and remembered
        with site.client.stream("GET", path, headers={"Accept-Encoding": coding}) as answer:
            body = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == coding
        assert int(answer.headers["content-length"]) == len(body) < len(plain.content) / 3
        whole = zlib.decompress(body, 31) if coding == "gzip" else zstandard.ZstdDecompressor().decompressobj()
        vary.add(answer.headers["vary"])
        assert (whole if isinstance(whole, bytes) else whole.decompress(body)) == plain.content
    assert "content-encoding" not in plain.headers
    assert vary == {"accept-encoding"}


def test_what_is_small_is_not_compressed(site: Site) -> None:
    answer = site.client.get(site.main, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
