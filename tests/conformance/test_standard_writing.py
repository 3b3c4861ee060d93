# SPDX-License-Identifier: Apache-2.0
"""What TAXII 2.1 (OASIS Standard, 10 June 2021) demands of a server that can be written to, asked of any server.

Where the collection says that it cannot be written to, the tests of writing are skipped, and what must then be refused
is asked for.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.conformance.target import NOWHERE, TAXII, Target, make_id, open_target

_WAIT_SECONDS = 60.0
_DETAILS = {"successes": "success_count", "failures": "failure_count", "pendings": "pending_count"}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with open_target(tmp_path_factory.mktemp("writing")) as opened:
        yield opened


def says_it_can_be_written(target: Target) -> bool | None:
    """None when the server does not say: then it is tried."""
    answer = target.get(target.collection)
    return bool(answer.json()["can_write"]) if answer.status_code == 200 else None


@pytest.fixture
def writable(target: Target) -> Target:
    target = replace(target, collection=target.written)
    if says_it_can_be_written(target) is False:
        pytest.skip("the collection says can_write false")
    return target


@pytest.fixture
def deletable(writable: Target) -> Target:
    answer = writable.get(writable.collection)
    if answer.status_code == 200 and not answer.json()["can_read"]:
        pytest.skip("the collection says can_read false: nothing is deleted there (§5.7), which is asked for below")
    return writable


@pytest.fixture
def closed(target: Target) -> Target:
    if says_it_can_be_written(target) is not False:
        pytest.skip("the collection does not say can_write false")
    return target


def make_indicator(**more: object) -> dict[str, Any]:
    """An indicator that is like no other."""
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": make_id("indicator"),
        "created": "2025-01-01T00:00:00.000Z",
        "modified": "2025-01-01T00:00:00.000Z",
        "name": "Written by the suite",
        "indicator_types": ["benign"],
        "pattern": "[ipv4-addr:value = '192.0.2.99']",
        "pattern_type": "stix",
        "valid_from": "2025-01-01T00:00:00Z",
        **more,
    }


def post(target: Target, *objects: dict[str, Any]) -> httpx.Response:
    return target.client.post(
        target.objects, json={"objects": list(objects)}, headers={"Content-Type": TAXII}, timeout=60
    )


def wait_for(target: Target, status: dict[str, Any]) -> dict[str, Any]:
    """The status once it is complete."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while status["status"] != "complete" and time.monotonic() < deadline:
        time.sleep(0.2)
        status = target.read(f"{target.root}status/{status['id']}/")
    return status


def is_given(target: Target, object_id: str) -> bool:
    return target.get(f"{target.objects}{object_id}/").status_code == 200


def add(target: Target) -> str:
    """The id of an object that was added and can be had."""
    item = make_indicator()
    answer = post(target, item)
    assert answer.status_code == 202, answer.text[:200]
    assert wait_for(target, answer.json())["success_count"] == 1
    if not is_given(target, item["id"]):
        pytest.skip("the server does not give what was just added, which it need not")
    return str(item["id"])


# ---- §4.3, §5.5: adding, and what became of it -----------------------------------------------------------------------


def test_5_5_objects_are_added(writable: Target) -> None:
    """TAXII 2.1 §5.5: 202 with a status resource."""
    answer = post(writable, make_indicator(), make_indicator())
    assert (answer.status_code, answer.headers["content-type"].replace(" ", "")) == (202, TAXII)
    assert answer.json()["total_count"] == 2


def test_4_3_a_status(writable: Target) -> None:
    """TAXII 2.1 §4.3: `id`, `status` and the four counts are required; details have `id` and `version`."""
    item = make_indicator()
    status = post(writable, item).json()
    assert status["status"] in {"complete", "pending"}
    assert status["total_count"] == 1 == sum(status[count] for count in _DETAILS.values())
    for details, count in _DETAILS.items():
        assert len(status.get(details, [])) in {0, status[count]}
        assert all(detail["id"] == item["id"] and detail["version"] for detail in status.get(details, []))


def test_4_3_a_status_is_kept(writable: Target) -> None:
    """TAXII 2.1 §4.3, §5.5: the status of a request can be had by its id."""
    status = post(writable, make_indicator()).json()
    kept = writable.read(f"{writable.root}status/{status['id']}/")
    assert kept["id"] == status["id"]
    assert wait_for(writable, kept)["status"] == "complete"


def test_5_5_what_is_there_already_is_no_failure(writable: Target) -> None:
    """TAXII 2.1 §5.5: an exact duplicate is not reported as an error."""
    item = make_indicator()
    assert wait_for(writable, post(writable, item).json())["success_count"] == 1
    again = wait_for(writable, post(writable, item).json())
    assert (again["success_count"], again["failure_count"]) == (1, 0)


def test_5_5_another_content_type_is_415(writable: Target) -> None:
    """TAXII 2.1 §5.5: 415 for a Content-Type that the endpoint does not have."""
    for kind in ("text/plain", "application/taxii+json;version=9.9"):
        body = b'{"objects":[]}'
        answer = writable.client.post(writable.objects, content=body, headers={"Content-Type": kind})
        assert answer.status_code == 415


def test_5_5_the_defined_content_type_is_not_415(writable: Target) -> None:
    """TAXII 2.1 §3.1: a Content-Type that the endpoint defines is not 415, spaces or none."""
    for kind in (TAXII, "application/taxii+json; version=2.1", "application/taxii+json"):
        envelope = {"objects": [make_indicator()]}
        answer = writable.client.post(writable.objects, json=envelope, headers={"Content-Type": kind})
        assert answer.status_code == 202


def test_5_5_what_is_no_envelope_is_refused(writable: Target) -> None:
    """TAXII 2.1 §5.5: 400 or 422 for what cannot be read or processed."""
    for body in (b"{", b"[]", b"{}", b'{"objects":7}', b'"x"'):
        answer = writable.client.post(writable.objects, content=body, headers={"Content-Type": TAXII}, timeout=60)
        assert answer.status_code in {400, 422}


def test_4_2_a_body_under_the_bound_is_not_413(writable: Target) -> None:
    """TAXII 2.1 §4.2: a body smaller than max_content_length is not answered 413, a larger one is."""
    bound = min(writable.read(writable.root)["max_content_length"], 20 * 1024 * 1024)
    room = bound - 2_000
    answer = post(writable, make_indicator(description="x" * min(room, 512 * 1024)))
    assert answer.status_code != 413
    answer = writable.client.post(
        writable.objects, content=b" " * (bound + 1), headers={"Content-Type": TAXII}, timeout=60
    )
    assert answer.status_code == 413


def test_7_1_an_unknown_property_is_ignored_or_422(writable: Target) -> None:
    """TAXII 2.1 §7.1: custom properties of an envelope are ignored or answered 422."""
    envelope = {"objects": [make_indicator()], "x_colour": "blue"}
    answer = writable.client.post(writable.objects, json=envelope, headers={"Content-Type": TAXII}, timeout=60)
    assert answer.status_code in {202, 422}


# ---- §5.7: deleting --------------------------------------------------------------------------------------------------


def test_5_7_an_object_is_deleted(deletable: Target) -> None:
    """TAXII 2.1 §5.7: 200 without a body; then the object is 404, and in neither the manifest nor the objects."""
    gone = add(deletable)
    answer = deletable.client.delete(f"{deletable.objects}{gone}/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert not is_given(deletable, gone)
    for url in (deletable.objects, deletable.manifest):
        assert deletable.list(url, match_id=gone, match_version="all") == []


def test_5_7_one_version_is_deleted(deletable: Target) -> None:
    """TAXII 2.1 §5.7: match[version] says which versions; the others stay."""
    kept = add(deletable)
    later = make_indicator(id=kept, modified="2025-02-01T00:00:00.000Z")
    assert wait_for(deletable, post(deletable, later).json())["success_count"] == 1
    answer = deletable.client.delete(f"{deletable.objects}{kept}/", params={"match[version]": "first"})
    assert answer.status_code == 200
    assert len(deletable.list(f"{deletable.objects}{kept}/", match_version="all")) == 1


def test_5_7_what_is_not_there_is_404(deletable: Target) -> None:
    """TAXII 2.1 §5.7: 404 for an object that is not there."""
    assert deletable.client.delete(f"{deletable.objects}{make_id('report')}/").status_code == 404


# ---- where nothing may be written ------------------------------------------------------------------------------------


def test_5_5_what_cannot_be_written_is_403_or_404(closed: Target) -> None:
    """TAXII 2.1 §5.5: 403 or 404 where can_write is false. A node of Comity: 403, as it lists the collection."""
    before = closed.list(closed.manifest)
    answer = post(closed, make_indicator())
    assert answer.status_code in ({403} if closed.is_comity else {403, 404})
    assert closed.list(closed.manifest) == before


def test_5_7_what_can_only_be_read_is_not_deleted(closed: Target) -> None:
    """TAXII 2.1 §5.7: 403 where can_read is true and can_write false."""
    item = closed.list(closed.objects)[0]
    answer = closed.client.delete(f"{closed.objects}{item['id']}/")
    assert answer.status_code == 403
    assert is_given(closed, item["id"])


@pytest.mark.parametrize(("can_read", "can_write", "expected"), [(False, False, 404), (False, True, 403)])
def test_5_7_deleting_takes_both_rights(target: Target, can_read: bool, can_write: bool, expected: int) -> None:
    """TAXII 2.1 §5.7: neither right is 404, writing alone is 403. A node of Comity: there 200, whatever is held."""
    listed = target.read(f"{target.root}collections/").get("collections", [])
    found = [item["id"] for item in listed if (item["can_read"], item["can_write"]) == (can_read, can_write)]
    if not found:
        pytest.skip("no collection with these rights is listed")
    answer = target.client.delete(f"{target.root}collections/{found[0]}/objects/{make_id('report')}/")
    assert answer.status_code == (200 if target.is_comity and can_write else expected)


def test_5_5_who_is_not_known_writes_nothing(target: Target) -> None:
    """TAXII 2.1 §5.5: failed authentication is 401 or 404, whatever the collection. A node of Comity: 404."""
    for url in (target.objects, f"{target.root}collections/{NOWHERE}/objects/"):
        answer = httpx.post(url, json={"objects": [make_indicator()]}, headers={"Content-Type": TAXII}, timeout=60)
        assert answer.status_code in ({404} if target.is_comity else {401, 403, 404})
