# SPDX-License-Identifier: Apache-2.0
"""What TAXII 2.1 (OASIS Standard, 10 June 2021) demands of a server, asked of any server (`tests.conformance.target`).

The name of each test begins with its section, and its docstring says what the standard says. Where a node of Comity
does otherwise the test says so, and asks a node of Comity for just that. Not here: what one server alone cannot show
(§3.9, DNS), and TLS (§8.2.2), which a URL has or has not. Writing is in `test_standard_writing`.
"""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.conformance.target import NOWHERE, TAXII, Target, lack, make_id, open_target

MICROSECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
RESOURCES = ("discovery", "api root", "collections", "collection", "manifest", "objects", "object", "versions")
DATED = ("manifest", "objects", "object", "versions")
FIRST, LAST = "X-TAXII-Date-Added-First", "X-TAXII-Date-Added-Last"
TYPES_OF_STIX_2_1 = re.findall(
    r"\S+",
    """
    attack-pattern campaign course-of-action grouping identity indicator infrastructure intrusion-set location malware
    malware-analysis note observed-data opinion report threat-actor tool vulnerability relationship sighting artifact
    autonomous-system directory domain-name email-addr email-message file ipv4-addr ipv6-addr mac-addr mutex
    network-traffic process software url user-account windows-registry-key x509-certificate language-content
    marking-definition extension-definition
    """,
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with open_target(tmp_path_factory.mktemp("standard")) as opened:
        yield opened


@pytest.fixture(scope="module")
def known(target: Target) -> list[dict[str, Any]]:
    """Every version of every object of the collection, in the order given."""
    found = target.list(target.objects, match_version="all")
    assert len({item["id"] for item in found}) > 5, "the collection holds too little for this suite"
    return found


@pytest.fixture(scope="module")
def records(target: Target) -> list[dict[str, Any]]:
    """The manifest of every version."""
    return target.list(target.manifest, match_version="all")


def version_of(item: dict[str, Any]) -> str | None:
    found = item.get("modified", item.get("created"))
    return None if found is None else str(found)


def versions_of(known: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """An object of several versions, and these, oldest first."""
    ids = [item["id"] for item in known]
    several = next((one for one in ids if ids.count(one) > 1), None)
    if several is None:
        lack("the collection holds no object in several versions")
    return several, sorted(str(version_of(item)) for item in known if item["id"] == several)


def lists_in(value: object) -> Iterator[list[Any]]:
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from lists_in(item)
    if isinstance(value, list):
        yield value


# ---- §2: data types --------------------------------------------------------------------------------------------------


def test_2_identifiers_are_uuids_of_version_4(target: Target) -> None:
    """TAXII 2.1 §2: identifier is an RFC 4122 UUID of version 4."""
    found = uuid.UUID(target.read(target.collection)["id"])
    assert (found.version, found.variant) == (4, uuid.RFC_4122)


def test_2_timestamps_have_microseconds(target: Target, records: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §2: a timestamp is UTC with "Z", and precise to the microsecond."""
    answer = target.get(target.objects)
    dates = [record["date_added"] for record in records] + [answer.headers[FIRST], answer.headers[LAST]]
    assert [date for date in dates if not MICROSECONDS.fullmatch(date)] == []


@pytest.mark.parametrize("resource", ["objects", "manifest"])
def test_2_no_list_is_empty(target: Target, resource: str) -> None:
    """TAXII 2.1 §2: an empty list is prohibited; the property is left out."""
    body = target.read(target.url(resource, object_id=""), match_id=make_id("report"))
    assert [found for found in lists_in(body) if not found] == []


# ---- §3.1: endpoints -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", RESOURCES)
def test_3_1_a_success_has_a_body_and_its_media_type(
    target: Target, known: list[dict[str, Any]], resource: str
) -> None:
    """TAXII 2.1 §3.1: a success carries the resource of the endpoint, and Content-Type with media type and version."""
    answer = target.get(target.url(resource, object_id=known[0]["id"]))
    assert (answer.status_code, answer.headers["content-type"].replace(" ", "")) == (200, TAXII)
    assert isinstance(answer.json(), dict)


def ask_wrongly(target: Target, case: str) -> httpx.Response:
    """The answer to a request that has to fail."""
    match case:
        case "not found":
            return target.get(f"{target.root}collections/{NOWHERE}/")
        case "malformed":
            return target.get(target.objects, limit="x")
        case "not acceptable":
            return target.client.get(target.objects, headers={"Accept": "text/html"})
        case _:
            return target.get(f"{target.root}status/{NOWHERE}/")


@pytest.mark.parametrize("case", ["not found", "malformed", "not acceptable", "no such status"])
def test_3_1_an_error_has_its_media_type_too(target: Target, case: str) -> None:
    """TAXII 2.1 §3.1, §5: Content-Type with media type and version on errors too."""
    answer = ask_wrongly(target, case)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"].replace(" ", "") == TAXII


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("accept", [TAXII, "application/taxii+json; version=2.1", "application/taxii+json"])
def test_3_1_a_defined_accept_is_never_406(
    target: Target, known: list[dict[str, Any]], resource: str, accept: str
) -> None:
    """TAXII 2.1 §3.1, §1.6.8: an Accept that the endpoint defines is not 406; without a version: the highest."""
    url = target.url(resource, object_id=known[0]["id"])
    answer = target.client.get(url, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"].replace(" ", "")) == (200, TAXII)


@pytest.mark.parametrize("resource", RESOURCES)
def test_3_1_another_version_is_406(target: Target, known: list[dict[str, Any]], resource: str) -> None:
    """TAXII 2.1 §3.1, §4.1 to §5.8: 406 when the media type in Accept is not one that the server has."""
    url = target.url(resource, object_id=known[0]["id"])
    assert target.client.get(url, headers={"Accept": "application/taxii+json;version=9.9"}).status_code == 406


# ---- §3.2, §3.3: headers, sorting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", DATED)
def test_3_2_the_dates_are_in_the_headers(target: Target, known: list[dict[str, Any]], resource: str) -> None:
    """TAXII 2.1 §3.2: both headers on every 200 of manifest, objects, object and versions."""
    answer = target.get(target.url(resource, object_id=known[0]["id"]))
    assert answer.status_code == 200
    assert answer.headers[FIRST] <= answer.headers[LAST]
    assert all(MICROSECONDS.fullmatch(answer.headers[name]) for name in (FIRST, LAST))


def test_3_2_they_are_those_of_the_first_and_last_object(target: Target) -> None:
    """TAXII 2.1 §3.2: the date_added of the first and of the last object of the answer."""
    answer = target.get(target.manifest, limit=4)
    dates = [record["date_added"] for record in answer.json()["objects"]]
    assert (answer.headers[FIRST], answer.headers[LAST]) == (dates[0], dates[-1])
    answer = target.get(target.objects, limit=4)
    assert (answer.headers[FIRST], answer.headers[LAST]) == (dates[0], dates[-1])


@pytest.mark.parametrize("resource", ["manifest", "objects"])
def test_3_2_also_of_an_empty_answer(target: Target, records: list[dict[str, Any]], resource: str) -> None:
    """TAXII 2.1 §3.2 makes no exception for empty answers. A node of Comity gives the position that was asked from."""
    after = max(record["date_added"] for record in records)
    answer = target.get(target.url(resource, object_id=""), added_after=after)
    assert answer.status_code == 200
    assert not answer.json().get("objects")
    assert FIRST in answer.headers
    assert LAST in answer.headers
    if target.is_comity:
        assert answer.headers[LAST] == after


def test_3_3_the_manifest_rises_by_date_added(target: Target, records: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §3.3: manifests are sorted ascending by date_added."""
    dates = [record["date_added"] for record in records]
    assert dates == sorted(dates)


def test_3_3_objects_are_in_the_order_of_the_manifest(
    target: Target, known: list[dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    """TAXII 2.1 §3.3: objects are sorted ascending by date_added."""
    dates: dict[str, list[str]] = {}
    for record in records:
        dates.setdefault(record["id"], []).append(record["date_added"])
    single = [dates[item["id"]][0] for item in known if len(dates[item["id"]]) == 1]
    assert len(single) > 5
    assert single == sorted(single)
    assert {item["id"] for item in known} == set(dates)


def test_3_3_collections_keep_their_order(target: Target) -> None:
    """TAXII 2.1 §3.3: collections come in a consistent order across requests."""
    url = f"{target.root}collections/"
    first = [item["id"] for item in target.read(url)["collections"]]
    assert all([item["id"] for item in target.read(url)["collections"]] == first for _ in range(3))


# ---- §3.4: filtering -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["manifest", "objects"])
@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "added_after=yesterday", "next=nonsense"])
def test_3_4_a_malformed_parameter_is_400(target: Target, resource: str, query: str) -> None:
    """TAXII 2.1 §3.4: a malformed query parameter is answered 400."""
    assert target.client.get(f"{target.url(resource, object_id='')}?{query}").status_code == 400


def test_3_4_added_after_takes_one_value(target: Target) -> None:
    """TAXII 2.1 §3.4: added_after has a single value."""
    answer = target.client.get(f"{target.objects}?added_after=2020-01-01T00:00:00.000000Z,2021-01-01T00:00:00.000000Z")
    assert answer.status_code == 400


def test_3_4_added_after_is_strictly_after(target: Target, records: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §3.4: only objects whose date_added is strictly later."""
    for date in sorted({record["date_added"] for record in records}):
        later = [record["id"] for record in records if record["date_added"] > date]
        assert [item["id"] for item in target.list(target.manifest, added_after=date, match_version="all")] == later
        given = target.list(target.objects, added_after=date, match_version="all")
        assert sorted(item["id"] for item in given) == sorted(later)


@pytest.mark.parametrize("digits", range(7))
def test_3_4_added_after_takes_any_precision(target: Target, digits: int) -> None:
    """TAXII 2.1 §2, §3.4: RFC 3339 lets a fraction have any number of digits, and clients leave zeros out."""
    fraction = "." + "123456"[:digits] if digits else ""
    assert target.list(target.objects, added_after=f"2001-02-03T04:05:06{fraction}Z") == target.list(target.objects)


def test_3_4_without_added_after_the_oldest_come_first(target: Target, records: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §3.4: without added_after, from the oldest on."""
    assert target.read(target.manifest, limit=1, match_version="all")["objects"] == records[:1]


@pytest.mark.parametrize("resource", ["manifest", "objects"])
def test_3_4_limit_is_kept_and_more_is_said_when_more_remains(target: Target, resource: str) -> None:
    """TAXII 2.1 §3.4, §3.5: never more than limit; all when all fit; `more` is true exactly when more remains."""
    url = target.url(resource, object_id="")
    total = len(target.list(url))
    for limit in range(1, min(total, 12) + 3):
        body = target.read(url, limit=limit)
        assert len(body["objects"]) == min(limit, total)
        assert body.get("more", False) is (limit < total)


def test_3_4_an_unknown_match_field_may_be_ignored(target: Target) -> None:
    """TAXII 2.1 §3.4: match fields that are not known may be ignored; they are no failure of the server."""
    answer = target.get(target.objects, match_confidence=5)
    assert answer.status_code in {200, 400}


def test_3_4_different_fields_must_all_hold(target: Target, known: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §3.4: different match fields are ANDed."""
    one, other = known[0], next(item for item in known if item["type"] != known[0]["type"])
    found = target.list(target.objects, match_id=f"{one['id']},{other['id']}", match_type=other["type"])
    assert {item["id"] for item in found} == {other["id"]}
    assert target.list(target.objects, match_id=one["id"], match_type=other["type"]) == []


# ---- §3.4.1: match ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["manifest", "objects"])
def test_3_4_1_match_id_is_any_of_those_named(target: Target, known: list[dict[str, Any]], resource: str) -> None:
    """TAXII 2.1 §3.4.1: match[id]; several values are ORed."""
    url = target.url(resource, object_id="")
    wanted = {known[0]["id"], known[-1]["id"]}
    assert {item["id"] for item in target.list(url, match_id=",".join(wanted))} == wanted
    assert target.list(url, match_id=make_id("report")) == []


@pytest.mark.parametrize("resource", ["manifest", "objects"])
def test_3_4_1_match_type_is_any_of_those_named(target: Target, known: list[dict[str, Any]], resource: str) -> None:
    """TAXII 2.1 §3.4.1: match[type]; several values are ORed."""
    url = target.url(resource, object_id="")
    for types in ("report", "indicator,report"):
        ids = {item["id"] for item in known if item["type"] in types.split(",")}
        assert {item["id"] for item in target.list(url, match_type=types)} == ids


def test_3_4_1_no_type_of_stix_2_1_is_an_error(target: Target) -> None:
    """TAXII 2.1 §3.4.1: a type name of STIX 2.1 must not be an error."""
    answers = {kind: target.get(target.objects, match_type=kind).status_code for kind in TYPES_OF_STIX_2_1}
    assert {kind for kind, status in answers.items() if status != 200} == set()


@pytest.mark.parametrize("resource", ["manifest", "objects"])
def test_3_4_1_without_spec_version_only_the_latest(target: Target, known: list[dict[str, Any]], resource: str) -> None:
    """TAXII 2.1 §3.4.1: without match[spec_version], the latest spec version of each object and no other."""
    ids = [item["id"] for item in target.list(target.url(resource, object_id=""))]
    assert len(ids) == len(set(ids))
    assert set(ids) == {item["id"] for item in known}


@pytest.mark.parametrize("resource", ["manifest", "objects"])
def test_3_4_1_spec_version_gives_nothing_else(target: Target, known: list[dict[str, Any]], resource: str) -> None:
    """TAXII 2.1 §3.4.1: with match[spec_version], nothing outside the list."""
    url = target.url(resource, object_id="")
    assert {item["id"] for item in target.list(url, match_spec_version="2.1")} == {item["id"] for item in known}
    assert {item["id"] for item in target.list(url, match_spec_version="2.0,2.1")} == {item["id"] for item in known}
    assert target.list(url, match_spec_version="2.0") == []


@pytest.mark.parametrize("resource", ["manifest", "objects"])
@pytest.mark.parametrize("word", [None, "last", "first", "all", "first,last", "exact"])
def test_3_4_1_match_version(target: Target, known: list[dict[str, Any]], resource: str, word: str | None) -> None:
    """TAXII 2.1 §3.4.1: `last` when absent; `first`, `last`, `all`, and exact versions."""
    several, versions = versions_of(known)
    asked = {None: {}, "exact": {"match_version": versions[1]}}.get(word, {"match_version": str(word)})
    expected = {
        "first": versions[:1],
        "all": versions,
        "first,last": [versions[0], versions[-1]],
        "exact": versions[1:2],
    }.get(str(word), versions[-1:])
    found = target.list(target.url(resource, object_id=""), match_id=several, **asked)
    assert sorted(str(item.get("version") or version_of(item)) for item in found) == expected


def test_3_4_1_all_cannot_be_combined(target: Target) -> None:
    """TAXII 2.1 §3.4.1: `all` must not be used with other values."""
    assert target.get(target.objects, match_version="all,last").status_code == 400


def test_3_4_1_created_stands_for_modified(target: Target, known: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §3.4.1: the version of an object without `modified` is its `created`."""
    found = next((item for item in known if "modified" not in item and "created" in item), None)
    if found is None:
        lack("the collection holds no object with created and no modified")
    (record,) = target.list(target.manifest, match_id=found["id"])
    assert record["version"] == found["created"]
    assert target.list(target.objects, match_id=found["id"], match_version=found["created"]) == [found]


# ---- §3.5: pagination ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["manifest", "objects"])
@pytest.mark.parametrize("query", [{}, {"match_version": "all"}, {"match_type": "report"}], ids=str)
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_3_5_pages_by_next_are_the_whole(
    target: Target, resource: str, query: dict[str, str | int], limit: int
) -> None:
    """TAXII 2.1 §3.5: with `next` and the same filters a client gets every object once."""
    url = target.url(resource, object_id="")
    whole = target.list(url, **query)
    assert target.list(url, **query, limit=limit) == whole


def test_3_5_pages_by_date_are_the_whole(target: Target, known: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §3.5: a client may go on by added_after with X-TAXII-Date-Added-Last; nothing may be lost."""
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2, "match_version": "all"}
    for _ in range(len(known)):
        answer = target.get(target.objects, **query)
        seen += [item["id"] for item in answer.json().get("objects", [])]
        if not answer.json().get("more"):
            break
        query["added_after"] = answer.headers[LAST]
    assert sorted(seen) == sorted(item["id"] for item in known)


def test_3_5_next_is_there_when_more_is(target: Target) -> None:
    """TAXII 2.1 §3.5: `next` may be left out, but then taxii2-client asks for the first page for ever."""
    assert target.read(target.objects, limit=1).get("next")


# ---- §3.6 to §3.8: resources -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["not found", "malformed", "not acceptable", "no such status"])
def test_3_6_1_an_error_message(target: Target, case: str) -> None:
    """TAXII 2.1 §3.6.1: `title` is required; `http_status` is a string and the status of the answer."""
    answer = ask_wrongly(target, case)
    assert answer.status_code >= 400
    body = answer.json()
    assert body["title"]
    assert isinstance(body["title"], str)
    assert body.get("http_status", str(answer.status_code)) == str(answer.status_code)


def test_3_7_an_empty_envelope_is_an_empty_object(target: Target) -> None:
    """TAXII 2.1 §3.7, §5.4: nothing found is an envelope with nothing in it."""
    assert target.read(target.objects, match_id=make_id("report")) in ({}, {"more": False})


def test_3_7_objects_are_in_an_envelope(target: Target, known: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §3.7, §3.8: an envelope has `more`, `next`, `objects`, by these names."""
    for url in (target.objects, f"{target.objects}{known[0]['id']}/"):
        body = target.read(url, limit=1)
        assert set(body) <= {"more", "next", "objects"}
        assert all(item["type"] and item["id"] for item in body["objects"])


NAMES = {
    "discovery": {"title", "description", "contact", "default", "api_roots"},
    "api root": {"title", "description", "versions", "max_content_length"},
    "collections": {"collections"},
    "collection": {"id", "title", "description", "alias", "can_read", "can_write", "media_types"},
    "objects": {"more", "next", "objects"},
    "object": {"more", "next", "objects"},
}


@pytest.mark.parametrize("resource", NAMES)
def test_3_8_property_names(target: Target, known: list[dict[str, Any]], resource: str) -> None:
    """TAXII 2.1 §3.8, §7.1: names as in the standard; properties of one's own begin with x_."""
    body = target.read(target.url(resource, object_id=known[0]["id"]))
    assert {name for name in body.keys() - NAMES[resource] if not name.startswith("x_")} == set()


# ---- §4: discovery, API root, status ---------------------------------------------------------------------------------


def test_4_1_discovery(target: Target) -> None:
    """TAXII 2.1 §4.1: `title` is required; `default` is one of `api_roots`; HTTPS or relative, no query."""
    body = target.read(target.discovery)
    assert body["title"]
    roots = body["api_roots"]
    assert body.get("default", roots[0]) in roots
    for url in roots:
        parts = urlsplit(url)
        assert parts.scheme == "https" or (not parts.scheme and re.match(r"/(?!/)", url) and ".." not in url), url
        assert not parts.query


def test_4_1_discovery_tells_who_is_not_known(target: Target) -> None:
    """TAXII 2.1 §4.1: failures are 401, 403, 404 or 406, and 401 comes with a challenge (RFC 9110 §11.6.1)."""
    for auth in (None, ("nobody", "guess")):
        answer = httpx.get(target.discovery, auth=auth, headers={"Accept": TAXII}, timeout=60)
        assert answer.status_code in {200, 401, 403, 404}
        assert answer.status_code != 401 or answer.headers["WWW-Authenticate"]


def test_4_2_api_root(target: Target) -> None:
    """TAXII 2.1 §4.2: `title`, `versions` with TAXII 2.1 among them, `max_content_length` over 0."""
    body = target.read(target.root)
    assert body["title"]
    assert TAXII in [version.replace(" ", "") for version in body["versions"]]
    assert isinstance(body["max_content_length"], int)
    assert body["max_content_length"] > 0


def test_4_2_each_root_has_a_url_of_its_own(target: Target) -> None:
    """TAXII 2.1 §4.2: the URL of an API root is unique."""
    roots = [urljoin(target.discovery, url) for url in target.read(target.discovery)["api_roots"]]
    assert len(roots) == len(set(roots))


def test_4_3_an_unknown_status_is_404(target: Target) -> None:
    """TAXII 2.1 §4.3: 404 for a status that is not there."""
    assert target.get(f"{target.root}status/{NOWHERE}/").status_code == 404


# ---- §5.1 to §5.3: collections, manifest -----------------------------------------------------------------------------


def test_5_1_collections(target: Target) -> None:
    """TAXII 2.1 §5.1, §5.2: `id`, `title`, `can_read`, `can_write` are required."""
    listed = target.read(f"{target.root}collections/")["collections"]
    assert target.id in {item["id"] for item in listed}
    for item in listed:
        assert item["title"]
        assert isinstance(item["can_read"], bool)
        assert isinstance(item["can_write"], bool)


@pytest.mark.parametrize("resource", ["api root", "collections", "collection", "manifest", "objects", "object"])
@pytest.mark.parametrize("auth", [None, ("nobody", "guess")], ids=["none", "wrong"])
def test_5_1_who_is_not_known_is_401_or_404(
    target: Target, known: list[dict[str, Any]], resource: str, auth: tuple[str, str] | None
) -> None:
    """TAXII 2.1 §5.1 to §5.6: failed authentication is 401 or 404. A node of Comity: 404 always."""
    url = target.url(resource, object_id=known[0]["id"])
    answer = httpx.get(url, auth=auth, headers={"Accept": TAXII}, timeout=60)
    assert answer.status_code in ({404} if target.is_comity else {401, 403, 404})


def test_5_2_a_collection_is_the_one_of_the_list(target: Target) -> None:
    """TAXII 2.1 §5.2: the same resource as in the list."""
    for item in target.read(f"{target.root}collections/")["collections"]:
        assert target.read(f"{target.root}collections/{item['id']}/") == item


def test_5_2_an_unknown_collection_is_404(target: Target) -> None:
    """TAXII 2.1 §5.2 to §5.8: 404 for a collection that is not there."""
    for rest in (
        "",
        "manifest/",
        "objects/",
        f"objects/{make_id('report')}/",
        f"objects/{make_id('report')}/versions/",
    ):
        assert target.get(f"{target.root}collections/{NOWHERE}/{rest}").status_code == 404


def test_5_2_an_alias_is_unique_and_stands_for_the_id(target: Target) -> None:
    """TAXII 2.1 §5.2.1: an alias is unique in its API root and can be used in its place."""
    listed = target.read(f"{target.root}collections/")["collections"]
    aliases = [item["alias"] for item in listed if "alias" in item]
    if not aliases:
        pytest.skip("no collection has an alias")
    assert len(aliases) == len(set(aliases))
    assert all(target.get(f"{target.root}collections/{alias}/").status_code == 200 for alias in aliases)


def test_5_3_a_record_for_each_object(
    target: Target, known: list[dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    """TAXII 2.1 §5.3: `id`, `date_added`, `version` are required; `media_type` is one of the collection's."""
    media = target.read(target.collection).get("media_types", [])
    assert len(records) == len(known)
    for record in records:
        assert record["id"]
        assert record["version"]
        assert MICROSECONDS.fullmatch(record["date_added"])
        assert record.get("media_type") in [None, *media]
    versions = {(record["id"], record["version"]) for record in records}
    assert {(item["id"], version_of(item)) for item in known if version_of(item)} <= versions


def test_5_3_the_manifest_has_no_next(target: Target) -> None:
    """TAXII 2.1 §5.3 defines `more` and no `next`. A node of Comity gives `next`, for clients that page."""
    body = target.read(target.manifest, limit=1)
    assert body["more"] is True
    assert set(body) == ({"more", "next", "objects"} if target.is_comity else {"more", "objects"})


def test_5_3_an_empty_manifest_has_no_objects(target: Target) -> None:
    """TAXII 2.1 §5.3: `objects` is left out when nothing is found."""
    assert target.read(target.manifest, match_id=make_id("report")) in ({}, {"more": False})


@pytest.mark.parametrize("rest", ["objects/", "manifest/"])
def test_5_4_what_cannot_be_read_is_403_or_404(target: Target, rest: str) -> None:
    """TAXII 2.1 §5.3, §5.4: 403 or 404 where can_read is false."""
    closed = [item for item in target.read(f"{target.root}collections/")["collections"] if not item["can_read"]]
    if not closed:
        pytest.skip("every collection that is listed can be read")
    assert target.get(f"{target.root}collections/{closed[0]['id']}/{rest}").status_code in {403, 404}


# ---- §5.6, §5.8: one object, its versions ----------------------------------------------------------------------------


def test_5_6_an_object(target: Target, known: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §5.6: the object in an envelope, its last version unless another is asked for; 404 when unknown."""
    several, versions = versions_of(known)
    url = f"{target.objects}{several}/"
    assert [version_of(item) for item in target.list(url)] == versions[-1:]
    assert sorted(str(version_of(item)) for item in target.list(url, match_version="all")) == versions
    assert [version_of(item) for item in target.list(url, match_version=versions[0])] == versions[:1]
    assert len(target.list(url, match_spec_version="2.1")) == 1
    assert target.get(f"{target.objects}{make_id('report')}/").status_code == 404


@pytest.mark.parametrize("rest", ["", "versions/"])
def test_5_6_every_object_can_be_had(target: Target, known: list[dict[str, Any]], rest: str) -> None:
    """TAXII 2.1 §5.6, §5.8: also those without `modified`, or with neither `modified` nor `created`."""
    for one in {item["id"] for item in known}:
        assert target.get(f"{target.objects}{one}/{rest}").status_code == 200


def test_5_8_the_versions_of_an_object(target: Target, known: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §5.8: a list of versions as text; 404 when unknown."""
    several, versions = versions_of(known)
    body = target.read(f"{target.objects}{several}/versions/")
    assert sorted(body["versions"]) == versions
    assert set(body) <= {"more", "next", "versions"}
    assert target.get(f"{target.objects}{make_id('report')}/versions/").status_code == 404


def test_5_8_created_of_an_object_without_versions(target: Target, known: list[dict[str, Any]]) -> None:
    """TAXII 2.1 §5.8: `created` for an object that has no `modified`."""
    found = next((item for item in known if "modified" not in item and "created" in item), None)
    if found is None:
        lack("the collection holds no object with created and no modified")
    assert target.read(f"{target.objects}{found['id']}/versions/")["versions"] == [found["created"]]


# ---- §8: conformance -------------------------------------------------------------------------------------------------


def test_8_2_1_discovery_is_at_the_root_of_the_server(target: Target) -> None:
    """TAXII 2.1 §8.2.1: the discovery resource is at /taxii2/, and names at least one API root."""
    body = target.read(urljoin(target.discovery, "/taxii2/"))
    assert body["api_roots"]


def test_8_2_1_a_request_without_user_agent_is_not_rejected(target: Target) -> None:
    """TAXII 2.1 §8.2.1: a server should not reject a request for want of a User-Agent."""
    request = target.client.build_request("GET", target.discovery)
    del request.headers["User-Agent"]
    assert target.client.send(request).status_code == 200


def test_8_2_2_http_basic_is_taken(target: Target) -> None:
    """TAXII 2.1 §8.2.2: a server should take HTTP Basic, whatever the case of its name (RFC 9110 §11.1)."""
    given = target.client.build_request("GET", target.root)
    sent = next(target.client.auth.auth_flow(given)) if target.client.auth else given
    scheme, _, secret = sent.headers["Authorization"].partition(" ")
    for name in (scheme, scheme.lower(), scheme.upper()):
        headers = {"Accept": TAXII, "Authorization": f"{name} {secret}"}
        assert httpx.get(target.root, headers=headers, timeout=60).status_code == 200
