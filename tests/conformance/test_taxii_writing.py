# SPDX-License-Identifier: Apache-2.0
"""Writing over TAXII 2.1 (§4.3, §5.5, §5.7), over real HTTP and by the client that most people use.

Borealia gives to Aurelia and is given by it; Meridia is given by Aurelia and gives it nothing.
"""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import httpx
import pytest
from requests import HTTPError
from taxii2client.exceptions import AccessError
from taxii2client.v21 import Collection, Server

from comity.agreement.events import EventKind
from comity.ids import PartyId
from comity.node.parties import create_credential
from comity.node.standing import collection_id
from comity.taxii.wire import MAX_CONTENT_LENGTH
from tests.conformance.ncnd_worlds import BOREALIA, MERIDIA, Twins, make_twins, of
from tests.served import Served, basic, without_date
from tests.worlds import World, make_object, object_id

TAXII = "application/taxii+json;version=2.1"
NOWHERE = "00000000-0000-4000-8000-000000000000"
AURELIA = PartyId("aurelia")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Aurelia's node served; paths to what Borealia may write and to what it may read."""

    world: World
    served: Served
    secrets: dict[str, str]
    agreement: str
    write: str
    read: str

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        who: str = "borealia",
        content_type: str | None = TAXII,
        accept: str = TAXII,
    ) -> httpx.Response:
        """The answer to a request by a party."""
        headers = {**basic(who, self.secrets[who]), "Accept": accept}
        headers |= {} if content_type is None else {"Content-Type": content_type}
        return httpx.request(method, f"{self.served.url}{path}", content=body, headers=headers, timeout=60)

    def post(self, *objects: object, **how: Any) -> httpx.Response:  # noqa: ANN401
        """The answer to an envelope of these objects."""
        return self.ask("POST", f"{self.write}objects/", body=json.dumps({"objects": objects}).encode(), **how)

    def nothing(self, method: str, who: str = "borealia") -> bytes:
        """The body that a path gets which names nothing."""
        answer = self.ask(method, f"/taxii2/{who}/collections/{NOWHERE}/objects/", who=who)
        assert answer.status_code == 404
        return answer.content

    def held(self) -> set[str]:
        """The ids of all that Aurelia holds."""

        def read() -> set[str]:
            with self.served.node.store.read() as transaction:
                return {name for (name,) in transaction.rows("SELECT id FROM object")}

        return self.served.call(read)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    world = World(tmp_path_factory.mktemp("writing"))
    world.found("aurelia", "borealia", "meridia")
    given = world.sign_all(
        world.terms(giver="borealia", receivers=("aurelia",), title="From Borealia 1.0"), proposer="borealia"
    )
    read = world.sign_all(world.terms(title="To Borealia"))
    world.sign_all(world.terms(receivers=("meridia",), title="To Meridia"))
    world.add("aurelia", make_object("of aurelia"))
    node = world.nodes["aurelia"]
    secrets = {name: create_credential(node, PartyId(name)) for name in ("borealia", "meridia")}
    base = "/taxii2/borealia/collections"
    with closing(world), Served.start(node) as served:
        yield Site(
            world=world,
            served=served,
            secrets=secrets,
            agreement=given,
            write=f"{base}/{collection_id(_id(given), 'main', giver=BOREALIA, recipient=AURELIA)}/",
            read=f"{base}/{collection_id(_id(read), 'main', giver=AURELIA, recipient=BOREALIA)}/",
        )


def _id(text: str) -> Any:  # noqa: ANN401
    return text


# ---- §5.1, §5.2: what is listed --------------------------------------------------------------------------------------


def test_5_1_what_may_be_written_is_listed_beside_what_may_be_read(site: Site) -> None:
    listed = site.ask("GET", "/taxii2/borealia/collections/").json()["collections"]
    assert {(item["can_read"], item["can_write"]) for item in listed} == {(True, False), (False, True)}
    assert len({item["title"] for item in listed}) == len(listed) == 2
    assert not any("." in item["title"] for item in listed)
    for item in listed:
        assert uuid.UUID(item["id"]).version == 4
        assert site.ask("GET", f"/taxii2/borealia/collections/{item['id']}/").json() == item
    (other,) = site.ask("GET", "/taxii2/meridia/collections/", who="meridia").json()["collections"]
    assert (other["can_read"], other["can_write"]) == (True, False)


# ---- §5.5, §4.3: adding objects --------------------------------------------------------------------------------------


def test_5_5_objects_are_added_and_the_status_says_so(site: Site) -> None:
    made = [make_object(f"added {n}", kind=("report", "indicator")[n % 2]) for n in range(5)]
    answer = site.post(*made)
    assert answer.status_code == 202
    assert answer.headers["content-type"] == TAXII
    status = answer.json()
    assert uuid.UUID(status["id"]).version == 4
    assert status["status"] == "complete"
    assert [status[f"{name}_count"] for name in ("total", "success", "failure", "pending")] == [5, 5, 0, 0]
    assert status["successes"] == [{"id": item["id"], "version": item["modified"]} for item in made]
    assert not {"failures", "pendings"} & status.keys()
    assert {str(item["id"]) for item in made} <= site.held()
    assert site.ask("GET", f"/taxii2/borealia/status/{status['id']}/").content == answer.content


def test_5_5_the_good_are_kept_and_the_bad_named_with_rule_and_place(site: Site) -> None:
    bad = make_object("bad one", more={"confidence": 101})
    status = site.post(make_object("good one"), bad, {"type": "x"}).json()
    assert [status[f"{name}_count"] for name in ("total", "success", "failure", "pending")] == [3, 1, 2, 0]
    first, second = status["failures"]
    assert (first["id"], first["version"]) == (bad["id"], bad["modified"])
    assert first["message"].startswith("/objects/1/confidence: ")
    assert "maximum" in first["message"]
    assert second["id"] == "objects/2"
    assert object_id("report", "good one") in site.held()
    assert bad["id"] not in site.held()


def test_5_5_an_exact_duplicate_is_no_error(site: Site) -> None:
    made = make_object("twice")
    for _ in range(2):
        status = site.post(made, made).json()
        assert (status["total_count"], status["success_count"], status["failure_count"]) == (2, 2, 0)


def test_5_5_a_bundle_is_taken_too(site: Site) -> None:
    made = make_object("in a bundle")
    body = json.dumps({"type": "bundle", "id": f"bundle--{uuid.UUID(int=1)}", "objects": [made]}).encode()
    assert site.ask("POST", f"{site.write}objects", body=body).json()["success_count"] == 1


@pytest.mark.parametrize("content_type", [TAXII, "application/taxii+json", 'Application/TAXII+json; version="2.1"'])
def test_5_5_a_content_type_that_the_standard_defines_is_taken(site: Site, content_type: str) -> None:
    assert site.post(make_object("typed"), content_type=content_type).status_code == 202


@pytest.mark.parametrize(
    "content_type",
    [None, "", "application/json", "application/stix+json;version=2.1", "*/*", f"{TAXII}.0", "text/html"],
)
def test_5_5_another_content_type_is_415(site: Site, content_type: str | None) -> None:
    answer = site.post(make_object("mistyped"), content_type=content_type)
    assert (answer.status_code, answer.json()["http_status"]) == (415, "415")
    assert object_id("report", "mistyped") not in site.held()


def test_5_5_another_accept_is_406(site: Site) -> None:
    assert site.post(make_object("x"), accept="text/html").status_code == 406


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"objects":[]}', b'{"objects":5}', b'{"objects":[{}],"objects":[{}]}', b"\xff"]
)
def test_5_5_what_is_no_envelope_is_422(site: Site, body: bytes) -> None:
    answer = site.ask("POST", f"{site.write}objects/", body=body)
    assert answer.status_code == 422
    assert answer.json()["description"]


def test_5_5_what_is_nested_deeper_than_any_object_is_not_kept(site: Site) -> None:
    deep = b'{"objects":[{"type":"x-a","x":' + b"[" * 40_000 + b"]" * 40_000 + b"}]}"
    (failure,) = site.ask("POST", f"{site.write}objects/", body=deep).json()["failures"]
    assert failure["id"] == "objects/0"
    assert "deep" in failure["message"]


def test_4_2_up_to_the_length_that_is_promised_is_taken_and_more_is_413(site: Site) -> None:
    promised = site.ask("GET", "/taxii2/borealia/").json()["max_content_length"]
    assert promised == MAX_CONTENT_LENGTH
    body = json.dumps({"objects": [make_object("long")]}).encode()
    full = body.ljust(promised)
    assert site.ask("POST", f"{site.write}objects/", body=full).status_code == 202
    assert site.ask("POST", f"{site.write}objects/", body=full + b" ").status_code == 413


def test_a_long_body_from_whoever_may_not_write_there_gets_the_404_of_any_path(site: Site) -> None:
    body = b" " * (MAX_CONTENT_LENGTH + 1)
    for path in (f"{site.write}objects/", f"/taxii2/meridia/collections/{NOWHERE}/objects/"):
        answer = site.ask("POST", path, who="meridia", body=body)
        assert (answer.status_code, answer.content) == (404, site.nothing("POST", "meridia"))


def test_over_the_quota_is_429_and_says_when_to_come_back(site: Site) -> None:
    node = site.served.node
    whole = node.settings
    node.settings = replace(whole, write_objects_per_day=1_000_000, write_bytes_per_day=1)
    try:
        answer = site.post(make_object("too much"))
    finally:
        node.settings = whole
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 86_400
    assert object_id("report", "too much") not in site.held()


def test_4_3_a_status_is_for_its_writer_alone(site: Site) -> None:
    name = site.post(make_object("asked about")).json()["id"]
    assert site.ask("GET", f"/taxii2/borealia/status/{name}").status_code == 200
    for who, path in (
        ("meridia", f"/taxii2/meridia/status/{name}/"),
        ("meridia", f"/taxii2/borealia/status/{name}/"),
        ("borealia", f"/taxii2/borealia/status/{uuid.UUID(int=4)}/"),
        ("borealia", f"/taxii2/borealia/status/{name}x/"),
    ):
        answer = site.ask("GET", path, who=who)
        assert (answer.status_code, answer.content) == (404, site.nothing("GET"))
    assert site.ask("POST", f"/taxii2/borealia/status/{name}/").status_code == 404


# ---- rights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", ["objects/", "manifest/", f"objects/{object_id('report', 'x')}/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_5_3_5_4_what_may_only_be_written_is_403_to_a_reader(site: Site, method: str, rest: str) -> None:
    assert site.ask(method, f"{site.write}{rest}").status_code == 403


def test_5_5_what_may_only_be_read_is_403_to_a_writer(site: Site) -> None:
    body = json.dumps({"objects": [make_object("not here")]}).encode()
    for content_type in (TAXII, "text/html"):
        answer = site.ask("POST", f"{site.read}objects/", body=body, content_type=content_type)
        assert answer.status_code == 403
    assert object_id("report", "not here") not in site.held()


def test_5_7_what_may_only_be_read_is_403_whether_the_object_is_there_or_not(site: Site) -> None:
    for name in ("of aurelia", "nowhere"):
        for query in ("", "?match[version]=x"):
            answer = site.ask("DELETE", f"{site.read}objects/{object_id('report', name)}/{query}")
            assert answer.status_code == 403
    assert object_id("report", "of aurelia") in site.held()


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "DELETE"])
def test_other_methods_on_a_collection_name_nothing(site: Site, method: str) -> None:
    for base in (site.read, site.write):
        answer = site.ask(method, f"{base}objects/")
        assert (answer.status_code, answer.content) == (404, site.nothing("GET"))


def test_nothing_can_be_written_while_the_agreement_is_suspended(site: Site) -> None:
    name = site.post(make_object("before")).json()["id"]
    site.served.call(lambda: site.world.act("aurelia", site.agreement, EventKind.SUSPEND))
    try:
        for method in ("POST", "GET", "DELETE"):
            path = f"{site.write}objects/" + ("x/" if method == "DELETE" else "")
            answer = site.ask(method, path, body=json.dumps({"objects": [make_object("while")]}).encode())
            assert (answer.status_code, answer.content) == (404, site.nothing("GET"))
        assert site.ask("GET", site.write).status_code == 404
        assert len(site.ask("GET", "/taxii2/borealia/collections/").json()["collections"]) == 1
        assert site.ask("GET", f"/taxii2/borealia/status/{name}/").status_code == 200
    finally:
        site.served.call(lambda: site.world.act("aurelia", site.agreement, EventKind.RESUME))
    assert object_id("report", "while") not in site.held()
    assert site.post(make_object("after")).status_code == 202


# ---- the client ------------------------------------------------------------------------------------------------------


@pytest.fixture
def collection(site: Site) -> Iterator[Collection]:
    """The collection that the client may write, as it finds it."""
    with Server(f"{site.served.url}/taxii2/", user="borealia", password=site.secrets["borealia"]) as server:
        (found,) = (item for item in server.default.collections if item.can_write)
        yield found


def test_the_client_adds_objects_and_reads_their_status(site: Site, collection: Collection) -> None:
    made = [make_object(f"by the client {n}", more={"labels": []} if n == 2 else {}) for n in range(5)]
    status = collection.add_objects({"objects": made}, timeout=60)
    assert status.status == "complete"
    assert (status.total_count, status.success_count, status.failure_count, status.pending_count) == (5, 4, 1, 0)
    assert [item["id"] for item in status.failures] == [made[2]["id"]]
    with Server(f"{site.served.url}/taxii2/", user="borealia", password=site.secrets["borealia"]) as server:
        again = server.default.get_status(status.id)
    assert (again.success_count, again.successes) == (4, status.successes)


def test_the_client_is_told_what_it_may_not(collection: Collection) -> None:
    with pytest.raises(AccessError):
        collection.get_objects()
    with pytest.raises(HTTPError, match="422"):
        collection.add_objects({"objects": []}, wait_for_completion=False)


# ---- SILENT: what is hidden stays hidden from who writes -------------------------------------------------------------


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Twins, str]]:
    """Two worlds, in one of which Meridia gives Aurelia what Borealia does not know of; where Borealia writes."""
    with make_twins(tmp_path_factory.mktemp("twins")) as made:
        signed = {
            served.call(partial(_sign, world))
            for served, world in zip(made.served, (made.having, made.lacking), strict=True)
        }
        (agreement,) = signed
        name = collection_id(_id(agreement), "main", giver=BOREALIA, recipient=AURELIA)
        yield made, f"/taxii2/borealia/collections/{name}"


def _sign(world: World) -> str:
    return world.sign_all(
        world.terms(giver="borealia", receivers=("aurelia",), title="From Borealia"), proposer="borealia"
    )


def test_a_writer_cannot_tell_what_others_gave(twins: tuple[Twins, str]) -> None:
    made, base = twins
    hidden = ("given by meridia", "more of meridia", "second", "nobody has this")
    envelopes: list[list[dict[str, Any]]] = [
        *([make_object(name, day=day, tlp=tlp)] for name in hidden for day in (1, 2) for tlp in ("green", "red")),
        [make_object("given by meridia", day=5), make_object("given by meridia", more={"labels": []}), {"type": "x"}],
        [make_object("refers", refs=[of("given by meridia")])],
    ]
    for objects in envelopes:
        body = json.dumps({"objects": objects}).encode()
        answer = made.ask("borealia", "POST", f"{base}/objects/", body=body, headers={"Content-Type": TAXII})
        assert answer.startswith(b"HTTP/1.1 202 ")
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        kept = json.loads(
            made.ask("borealia", "GET", f"/taxii2/borealia/status/{told['id']}/").partition(b"\r\n\r\n")[2]
        )
        for failure in (*told.get("failures", ()), *kept.get("failures", ())):
            assert failure.pop("message")
        assert kept == told
        for method in ("GET", "DELETE"):
            made.ask("borealia", method, f"{base}/objects/{objects[0].get('id')}/")
    clashes = [each.call(partial(_count_unkept, each)) for each in made.served]
    assert clashes[0] > clashes[1]


def _count_unkept(served: Served) -> int:
    with served.node.store.read() as transaction:
        return len(transaction.rows("SELECT 1 FROM unkept"))


def test_an_outsider_that_writes_deletes_or_asks_gets_the_bytes_of_nothing(twins: tuple[Twins, str]) -> None:
    made, base = twins
    body = json.dumps({"objects": [make_object("given by meridia", day=9)]}).encode()
    posted = made.ask("borealia", "POST", f"{base}/objects/", body=body, headers={"Content-Type": TAXII})
    name = json.loads(posted.partition(b"\r\n\r\n")[2])["id"]
    hidden = collection_id(made.hidden["returning"], "main", giver=MERIDIA, recipient=AURELIA)
    returning = f"/taxii2/meridia/collections/{hidden}"
    for who in ("nobody", "a wrong password", "tavria", "tavria by token"):
        nothing = {method: made.ask(who, method, "/nothing/at/all") for method in ("POST", "DELETE", "GET")}
        for path in (base, returning, base.replace("borealia", "tavria"), returning.replace("meridia", "tavria")):
            for content_type in (TAXII, "text/html"):
                headers = {"Content-Type": content_type}
                assert made.ask(who, "POST", f"{path}/objects/", body=body, headers=headers) == nothing["POST"]
            assert made.ask(who, "DELETE", f"{path}/objects/{of('given by meridia')}/") == nothing["DELETE"]
            assert made.ask(who, "GET", f"{path}/objects/") == nothing["GET"]
        for root in ("borealia", "tavria", "meridia"):
            assert made.ask(who, "GET", f"/taxii2/{root}/status/{name}/") == nothing["GET"]
    inside = made.served[0].ask(
        "POST",
        f"{returning}/objects/",
        headers={**made.headers["meridia"], "Content-Type": TAXII, "Content-Length": str(len(body))},
        body=body,
    )
    assert without_date(inside).startswith(b"HTTP/1.1 202 ")
