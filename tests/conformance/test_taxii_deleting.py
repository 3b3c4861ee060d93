# SPDX-License-Identifier: Apache-2.0
"""Taking back what was written (TAXII 2.1 §5.7), over real HTTP and by the client that most people use.

Borealia gives to Aurelia, and so does Meridia; Tavria is given by Aurelia what both gave it.
"""

import json
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from taxii2client.v21 import Server

from comity.agreement.events import EventKind
from comity.ids import PartyId
from comity.node.parties import create_credential
from comity.node.standing import collection_id
from comity.taxii import writing
from comity.taxii.writing import find_rest
from tests.chains import sign_onward
from tests.conformance.ncnd_worlds import AURELIA, BOREALIA, TAVRIA, Twins, make_twins, of
from tests.served import Served, basic, without_date
from tests.worlds import World, make_object, object_id

TAXII = "application/taxii+json;version=2.1"
NOWHERE = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Aurelia's node served, with the paths of what Borealia and Meridia may write."""

    world: World
    served: Served
    secrets: dict[str, str]
    agreement: str
    paths: dict[str, str]

    def ask(
        self, method: str, path: str, *, body: bytes = b"", who: str = "borealia", accept: str = TAXII
    ) -> httpx.Response:
        sent = {**basic(who, self.secrets[who]), "Accept": accept, "Content-Type": TAXII}
        return httpx.request(method, f"{self.served.url}{path}", content=body, headers=sent, timeout=60)

    def post(self, *objects: dict[str, Any], who: str = "borealia") -> None:
        body = json.dumps({"objects": objects}).encode()
        answer = self.ask("POST", f"{self.paths[who]}objects/", body=body, who=who)
        assert answer.status_code == 202

    def delete(self, name: str, query: str = "", *, who: str = "borealia", accept: str = TAXII) -> httpx.Response:
        path = f"{self.paths[who]}objects/{object_id('report', name)}/{query}"
        return self.ask("DELETE", path, who=who, accept=accept)

    def held(self, name: str) -> list[str]:
        """The versions of it that Aurelia holds, by day."""

        def read() -> list[str]:
            with self.served.node.store.read() as transaction:
                rows = transaction.rows(
                    "SELECT version FROM object WHERE id = ? ORDER BY version_at", (object_id("report", name),)
                )
            return [version[8:10] for (version,) in rows]

        return self.served.call(read)

    def nothing(self, method: str = "GET", who: str = "borealia") -> bytes:
        answer = self.ask(method, f"/taxii2/{who}/collections/{NOWHERE}/objects/", who=who)
        assert answer.status_code == 404
        return answer.content


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    world = World(tmp_path_factory.mktemp("deleting"))
    world.found("aurelia", "borealia", "meridia", "tavria")
    agreements = {name: sign_onward(world, name, "aurelia", listed=["tavria"]) for name in ("borealia", "meridia")}
    sign_onward(world, "aurelia", "tavria", listed=[])
    world.add("aurelia", make_object("of aurelia"))
    node = world.nodes["aurelia"]
    secrets = {name: create_credential(node, PartyId(name)) for name in ("borealia", "meridia", "tavria")}
    paths = {
        name: f"/taxii2/{name}/collections/"
        f"{collection_id(_id(agreement), 'main', giver=PartyId(name), recipient=AURELIA)}/"
        for name, agreement in agreements.items()
    }
    with closing(world), Served.start(node) as served:
        yield Site(world=world, served=served, secrets=secrets, agreement=agreements["borealia"], paths=paths)


def _id(text: str) -> Any:  # noqa: ANN401
    return text


# ---- §5.7: what is taken back ----------------------------------------------------------------------------------------


def test_5_7_an_object_is_taken_back_with_200_and_no_body(site: Site) -> None:
    site.post(make_object("gone"), make_object("gone", day=2), make_object("stays"))
    answer = site.delete("gone")
    assert (answer.status_code, answer.content) == (200, b"")
    assert (answer.headers["content-type"], answer.headers["content-length"]) == (TAXII, "0")
    assert (site.held("gone"), site.held("stays")) == ([], ["02"])


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("", []),
        ("?match[version]=all", []),
        ("?match[version]=first", ["03", "04"]),
        ("?match[version]=last", ["02", "03"]),
        ("?match[version]=first,last", ["03"]),
        ("?match[version]=2025-01-03T00:00:00.000000Z", ["02", "04"]),
        ("?match[version]=2025-01-03T00:00:00.000Z,last", ["02"]),
        ("?match[version]=2030-01-03T00:00:00Z", ["02", "03", "04"]),
        ("?match[spec_version]=2.1", []),
        ("?match[spec_version]=2.0,2.1&match[version]=last", ["02", "03"]),
        ("?match[spec_version]=2.0", ["02", "03", "04"]),
        ("?match[id]=x&limit=x&colour=blue", []),
    ],
)
def test_5_7_and_3_4_1_match_version_says_which(site: Site, query: str, left: list[str]) -> None:
    name = f"versions {query}"
    site.post(*(make_object(name, day=day) for day in (1, 2, 3)))
    assert site.delete(name, query).status_code == 200
    assert site.held(name) == left


@pytest.mark.parametrize(
    "query",
    [
        "?match[version]=x",
        "?match[version]=",
        "?match[version]=all,last",
        "?match[version]=last&match[version]=first",
        "?match[version]=" + ",".join(f"2025-01-03T00:00:00.{number:06}Z" for number in range(65)),
        "?" + "&".join(["a=b"] * 70),
    ],
)
def test_3_4_a_filter_that_is_not_understood_is_400(site: Site, query: str) -> None:
    site.post(make_object("kept for its filter"))
    for name in ("kept for its filter", "nowhere"):
        assert site.delete(name, query).status_code == 400
    assert site.held("kept for its filter") == ["02"]


def test_5_7_the_same_again_is_200_again(site: Site) -> None:
    site.post(make_object("twice"), make_object("twice", day=2))
    first, *more = (site.delete("twice", "?match[version]=last") for _ in range(3))
    assert {(each.status_code, each.content) for each in (first, *more)} == {(200, b"")}
    assert site.held("twice") == ["02"]


def test_5_7_with_and_without_the_last_slash(site: Site) -> None:
    site.post(make_object("no slash"))
    path = f"{site.paths['borealia']}objects/{object_id('report', 'no slash')}"
    assert site.ask("DELETE", path).status_code == 200
    assert site.held("no slash") == []


def test_1_6_8_another_accept_is_406(site: Site) -> None:
    site.post(make_object("accepted"))
    assert site.delete("accepted", accept="text/html").status_code == 406
    assert site.held("accepted") == ["02"]


def test_who_is_given_it_finds_it_no_more(site: Site) -> None:
    site.post(make_object("passed on"))
    assert object_id("report", "passed on") in site.served.call(lambda: site.world.read("tavria"))
    site.delete("passed on")
    assert object_id("report", "passed on") not in site.served.call(lambda: site.world.read("tavria"))


@pytest.mark.parametrize("name", ["told at once", "not there"])
def test_whoever_is_to_be_told_is_told_at_once(site: Site, name: str) -> None:
    """Whether there is anybody: that the outbox is looked through must not show it."""
    site.post(make_object("told at once"))
    queued = site.served.server.queued
    site.served.call(queued.clear)
    site.delete(name)
    assert site.served.call(queued.is_set)


def test_by_the_client_that_most_use(site: Site) -> None:
    with Server(f"{site.served.url}/taxii2/", user="borealia", password=site.secrets["borealia"]) as server:
        (collection,) = server.default.collections
        assert (collection.can_read, collection.can_write) == (False, True)
        collection.add_objects({"objects": [make_object("client"), make_object("client", day=2)]}, timeout=60)
        collection.delete_object(object_id("report", "client"), version="first")
        assert site.held("client") == ["03"]
        collection.delete_object(object_id("report", "client"))
        assert site.held("client") == []


# ---- what is not taken back, and by whom -----------------------------------------------------------------------------


def test_whatever_is_held_the_answer_is_one(site: Site) -> None:
    """Held; passed on; clashed; never written; come from another; written by both under one id; this node's own."""
    site.post(make_object("mine"), make_object("mine passed on"))
    site.post(make_object("clashes"), make_object("of meridia"), who="meridia")
    site.post(make_object("clashes", more={"confidence": 7}), make_object("of meridia", day=5))
    site.served.call(lambda: site.world.read("tavria"))
    names = ("mine", "mine passed on", "clashes", "never written", "of meridia", "of aurelia", "mine")
    answers = {without_date(_raw(site.delete(name))) for name in names}
    assert len(answers) == 1
    assert [site.held(name) for name in names] == [[], [], ["02"], [], ["02"], ["02"], []]
    given = site.served.call(lambda: site.world.read("tavria"))
    assert {object_id("report", name) for name in ("clashes", "of meridia", "of aurelia")} <= given.keys()


def _raw(answer: httpx.Response) -> bytes:
    head = [f"HTTP/1.1 {answer.status_code}".encode(), *(b": ".join(pair) for pair in answer.headers.raw)]
    return b"\r\n".join([*head, b"", answer.content])


def test_what_is_found_takes_no_longer_than_what_is_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the length of a step, a longer one here; the median, since a machine of tests does other things too."""
    monkeypatch.setattr(writing, "_STEP_SECONDS", 1.0)
    site.post(*(make_object(f"timed {number}") for number in range(9)))
    site.served.call(lambda: site.world.read("tavria"))
    took = {}
    for what in ("timed", "untimed"):
        seconds = []
        for number in range(9):
            begun = time.perf_counter()
            assert site.delete(f"{what} {number}").status_code == 200
            seconds.append(time.perf_counter() - begun)
        assert min(seconds) >= 1
        took[what] = statistics.median(seconds)
    assert abs(took["timed"] - took["untimed"]) < 0.5, took


@pytest.mark.parametrize(("seconds", "rest"), [(0.0, 0.25), (0.01, 0.24), (0.249, 0.001), (0.251, 0.249), (1.26, 0.24)])
def test_an_answer_is_given_at_the_end_of_a_step(seconds: float, rest: float) -> None:
    assert find_rest(seconds) == pytest.approx(rest)


def test_another_writer_does_not_take_it_back(site: Site) -> None:
    site.post(make_object("whose"))
    assert site.delete("whose", who="meridia").status_code == 200
    path = f"{site.paths['borealia']}objects/{object_id('report', 'whose')}/"
    for who in ("meridia", "tavria"):
        answer = site.ask("DELETE", path, who=who)
        assert (answer.status_code, answer.content) == (404, site.nothing(who=who))
    assert site.held("whose") == ["02"]


def test_5_7_without_any_right_it_is_404_whatever_is_asked(site: Site) -> None:
    for base in (f"/taxii2/borealia/collections/{NOWHERE}/", site.paths["meridia"]):
        for rest in (f"{object_id('report', 'x')}/", "x/", f"{object_id('report', 'x')}/?match[version]=x"):
            answer = site.ask("DELETE", f"{base}objects/{rest}")
            assert (answer.status_code, answer.content) == (404, site.nothing())


@pytest.mark.parametrize("name", ["x", "report--x", "report--00000000-0000-4000-8000-00000000000g"])
def test_5_7_what_cannot_be_an_object_is_404(site: Site, name: str) -> None:
    answer = site.ask("DELETE", f"{site.paths['borealia']}objects/{name}/")
    assert (answer.status_code, answer.content) == (404, site.nothing())


def test_nothing_is_taken_back_while_the_agreement_is_suspended(site: Site) -> None:
    site.post(make_object("suspended"))
    site.served.call(lambda: site.world.act("aurelia", site.agreement, EventKind.SUSPEND))
    try:
        answer = site.delete("suspended")
        assert (answer.status_code, answer.content) == (404, site.nothing())
    finally:
        site.served.call(lambda: site.world.act("aurelia", site.agreement, EventKind.RESUME))
    assert site.held("suspended") == ["02"]


def test_over_the_quota_is_429_whether_it_is_held_or_not(site: Site) -> None:
    site.post(make_object("over"))
    node = site.served.node
    whole = node.settings
    node.settings = replace(whole, write_objects_per_day=1)
    try:
        site.delete("nowhere")
        answers = [site.delete(name) for name in ("over", "nowhere")]
    finally:
        node.settings = whole
    assert {answer.status_code for answer in answers} == {429}
    assert answers[0].content == answers[1].content
    assert all(0 < int(answer.headers["retry-after"]) <= 86_400 for answer in answers)
    assert site.held("over") == ["02"]


# ---- SILENT: two worlds ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Twins, str, str]]:
    """Two worlds, in one of which Meridia gives Aurelia what Borealia does not know of; where Borealia writes.

    Aurelia gives Borealia, and Tavria, what Borealia wrote.
    """
    with make_twins(tmp_path_factory.mktemp("twins")) as made:
        signed = set()
        for served, world in zip(made.served, (made.having, made.lacking), strict=True):
            signed.add(served.call(lambda world=world: _sign(world)))  # type: ignore[misc]
        ((written, given),) = signed
        path = "/taxii2/borealia/collections/" + collection_id(written, "main", giver=BOREALIA, recipient=AURELIA)
        tavria = "/taxii2/tavria/collections/" + collection_id(given, "main", giver=AURELIA, recipient=TAVRIA)
        yield made, path, tavria


def _sign(world: World) -> tuple[Any, Any]:
    written = sign_onward(world, "borealia", "aurelia", listed=["tavria"])
    given = world.sign_all(
        world.terms(
            receivers=("tavria",), title="To Tavria", channel_extra='originators = ["own", "borealia", "aurelia"]'
        )
    )
    return written, given


def test_who_takes_back_cannot_tell_what_others_gave(twins: tuple[Twins, str, str]) -> None:
    """In one world the ids are Meridia's: what Borealia writes under them clashes, and nothing of it is there to take.

    It sees that neither by what it writes, takes back and reads, nor together with whom Aurelia gives it.
    """
    made, base, tavria = twins
    names = ("given by meridia", "more of meridia", "second", "nobody has this")
    for name in names:
        for query in ("", "?match[version]=last", "?match[version]=x", "?match[spec_version]=2.0"):
            made.ask("borealia", "DELETE", f"{base}/objects/{of(name)}/{query}")
    for name in names:
        body = json.dumps({"objects": [make_object(name, day=4), make_object(name, day=6)]}).encode()
        posted = made.ask("borealia", "POST", f"{base}/objects/", body=body, headers={"Content-Type": TAXII})
        assert posted.startswith(b"HTTP/1.1 202 ")
    for query in ("?match[version]=first", "?match[version]=all", ""):
        for name in names:
            answer = made.ask("borealia", "DELETE", f"{base}/objects/{of(name)}/{query}")
            assert answer.startswith(b"HTTP/1.1 200 ")
            for method in ("GET", "HEAD"):
                made.ask("borealia", method, f"{base}/objects/{of(name)}/")
        made.ask("borealia", "GET", f"{made.open}/objects/")
        made.ask("tavria", "GET", f"{tavria}/objects/")
        made.ask("borealia", "GET", "/taxii2/borealia/collections/")
    held = [each.call(lambda each=each: _hold(each, of("given by meridia"))) for each in made.served]  # type: ignore[misc]
    assert held == [1, 0]


def _hold(served: Served, name: str) -> int:
    with served.node.store.read() as transaction:
        return len(transaction.rows("SELECT 1 FROM object WHERE id = ?", (name,)))


def test_each_request_is_one_entry_whether_it_finds_anything_or_not(twins: tuple[Twins, str, str]) -> None:
    made, base, _ = twins
    made.ask("borealia", "DELETE", f"{base}/objects/{of('first')}/")  # with it the heads of other logs are named
    before = made.count_entries()
    for name in ("given by meridia", "nobody has this"):
        made.ask("borealia", "DELETE", f"{base}/objects/{of(name)}/")
    assert [after - once for after, once in zip(made.count_entries(), before, strict=True)] == [2, 2]


def test_an_outsider_gets_the_bytes_of_nothing(twins: tuple[Twins, str, str]) -> None:
    made, base, _ = twins
    for who in ("nobody", "a wrong password", "tavria by token", "meridia"):
        nothing = made.ask(who, "DELETE", "/nothing/at/all")
        for query in ("", "?match[version]=x"):
            for path in (base, base.replace("borealia", "tavria"), base.replace("borealia", "meridia")):
                assert made.ask(who, "DELETE", f"{path}/objects/{of('given by meridia')}/{query}") == nothing
