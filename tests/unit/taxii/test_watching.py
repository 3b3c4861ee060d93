# SPDX-License-Identifier: Apache-2.0
"""What an operator's machines are told: health, figures, the access log. None of it holds what was asked or given."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from comity.agreement.events import EventKind
from comity.config import Address
from comity.errors import ConfigError, CorruptionError
from comity.ids import AgreementId, Digest, PartyId
from comity.node.parties import create_credential
from comity.node.standing import collection_id
from comity.taxii.access import AccessLog
from comity.taxii.guard import Visit
from tests.certificates import Authority
from tests.served import Served
from tests.worlds import World, make_object, object_id

Labels = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    world: World
    served: Served
    agreement: AgreementId
    collection: str
    password: str
    log: Path

    @property
    def admin(self) -> str:
        site = self.served.server._admin
        assert site is not None
        assert site._server is not None
        host, port = site._server.servers[0].sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    def ask(self, path: str, *, secret: str | None = None, method: str = "GET") -> httpx.Response:
        auth = None if secret is None else ("anybody", secret)
        return httpx.request(method, f"{self.served.url}{path}", auth=auth, verify=False, timeout=60)

    def figures(self) -> dict[str, list[tuple[Labels, float]]]:
        """Every sample, by its name, as the library's own parser reads it."""
        text = httpx.get(f"{self.admin}/metrics", timeout=60).text
        found: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return found

    def lines(self, count: int) -> list[dict[str, object]]:
        """The lines of the access log: a line is written when its answer has left, which the client may see first."""
        deadline = time.monotonic() + 60
        while len(self.log.read_text(encoding="utf-8").splitlines()) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    world = World(tmp_path / "world")
    world.folder.mkdir()
    world.found("aurelia", "borealia")
    agreement = AgreementId(world.sign_all(world.terms()))
    world.add("aurelia", *[make_object(f"r{number}") for number in range(3)])
    node = world.nodes["aurelia"]
    node.settings = replace(
        node.settings,
        admin=Address(host="127.0.0.1", port=0),
        access_log=str(tmp_path / "access.log"),
        tls=Authority.found(tmp_path / "authority").issue("aurelia"),
    )
    password = create_credential(node, PartyId("borealia"))
    found = collection_id(agreement, "main", giver=PartyId("aurelia"), recipient=PartyId("borealia"))
    with closing(world), Served.start(node) as served:
        yield Site(
            world=world,
            served=served,
            agreement=agreement,
            collection=found,
            password=password,
            log=tmp_path / "access.log",
        )


def poll(site: Site, query: str = "") -> httpx.Response:
    return site.ask(f"/taxii2/borealia/collections/{site.collection}/objects/{query}", secret=site.password)


# --- health -----------------------------------------------------------------------------------------------------------


def test_a_node_that_serves_is_healthy_and_ready(site: Site) -> None:
    assert httpx.get(f"{site.admin}/health", timeout=60).json() == {"status": "ok"}
    answer = httpx.get(f"{site.admin}/ready", timeout=60)
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    assert httpx.get(f"{site.admin}/nothing", timeout=60).status_code == 404
    assert httpx.post(f"{site.admin}/health", timeout=60).status_code == 404


def test_a_node_that_cannot_serve_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = site.served.server._tls
    assert tls is not None
    tls.certificate = replace(tls.certificate, expires_at=site.world.now)
    monkeypatch.setattr(site.served.server._site, "_server", None)

    def fail(_: object) -> None:
        raise CorruptionError("the store is damaged")

    for module in ("admin", "listen"):
        monkeypatch.setattr(f"comity.taxii.{module}.read_figures", fail)
    answer = httpx.get(f"{site.admin}/ready", timeout=60)
    assert answer.status_code == 503
    problems = answer.json()["problems"]
    assert problems[0] == "it does not listen for partners"
    assert problems[1].startswith("its certificate ran out at ")
    assert problems[2] == "the store is damaged"
    assert httpx.get(f"{site.admin}/health", timeout=60).status_code == 200
    metrics = httpx.get(f"{site.admin}/metrics", timeout=60)
    assert (metrics.status_code, metrics.json()["problems"]) == (503, ["the store is damaged"])
    monkeypatch.undo()


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_partners_and_outsiders_are_told_nothing_of_it(site: Site, path: str) -> None:
    nothing = site.ask("/nothing/at/all")
    for secret in (None, site.password):
        answer = site.ask(path, secret=secret)
        assert (answer.status_code, answer.content) == (404, nothing.content)


# --- figures ----------------------------------------------------------------------------------------------------------


def test_requests_are_counted_by_what_and_who(site: Site) -> None:
    given = poll(site)
    poll(site, "?limit=1")
    site.ask("/taxii2/", secret="guess")
    site.ask("/nothing/")
    site.ask(f"/taxii2/borealia/collections/{site.collection}/objects/", secret="guess")
    found = site.figures()
    of = {"resource": "objects", "party": "borealia"}
    assert ({**of, "status": "200"}, 2) in found["comity_requests_total"]
    assert ({"resource": "discovery", "party": "", "status": "401"}, 1) in found["comity_requests_total"]
    assert ({"resource": "none", "party": "", "status": "404"}, 1) in found["comity_requests_total"]
    assert found["comity_polls_total"] == [({"party": "borealia"}, 2)]
    assert (of, 4) in found["comity_objects_released_total"]
    (octets,) = [value for labels, value in found["comity_response_bytes_total"] if labels == of]
    assert octets > given.num_bytes_downloaded
    assert ({"resource": "objects"}, 3) in found["comity_request_seconds_count"]
    assert ({"resource": "objects", "le": "+Inf"}, 3) in found["comity_request_seconds_bucket"]


def test_what_is_taken_back_is_counted_as_that_and_as_no_poll(site: Site) -> None:
    def sign() -> str:
        toml = site.world.terms(giver="borealia", receivers=("aurelia",), title="Back")
        return site.world.sign_all(toml, proposer="borealia")

    written = collection_id(
        AgreementId(Digest(site.served.call(sign))), "main", giver=PartyId("borealia"), recipient=PartyId("aurelia")
    )
    path = f"/taxii2/borealia/collections/{written}/objects/{object_id('report', 'nowhere')}/"
    assert site.ask(path, secret=site.password, method="DELETE").status_code == 200
    found = site.figures()
    assert ({"resource": "deletion", "party": "borealia", "status": "200"}, 1) in found["comity_requests_total"]
    assert "comity_polls_total" not in found


def test_the_state_of_the_store_is_told(site: Site) -> None:
    before = site.figures()
    assert before["comity_outbox_messages"] == [({}, 0)]
    assert ({"state": "in force"}, 1) in before["comity_agreements"]
    assert ({"state": "suspended"}, 0) in before["comity_agreements"]
    assert {labels["party"] for labels, _ in before["comity_manifest_expiry_timestamp_seconds"]} == {
        "aurelia",
        "borealia",
    }
    tls = site.served.server._tls
    assert tls is not None
    assert before["comity_tls_certificate_expiry_timestamp_seconds"] == [({}, tls.certificate.expires_at / 1e6)]
    site.served.call(lambda: site.world.act("aurelia", site.agreement, EventKind.SUSPEND))
    after = site.figures()
    assert after["comity_outbox_messages"] == [({}, 1)]
    assert ({"state": "suspended"}, 1) in after["comity_agreements"]
    assert after["comity_log_entries"][0][1] == before["comity_log_entries"][0][1] + 1


def test_figures_tell_nothing_of_any_object_or_agreement(site: Site) -> None:
    poll(site)
    text = httpx.get(f"{site.admin}/metrics", timeout=60).text
    for secret in (object_id("report", "r0"), site.agreement, site.collection, site.password, "main", "ashfall"):
        assert secret not in text


# --- the access log ---------------------------------------------------------------------------------------------------


def test_one_line_for_each_request_and_none_of_its_content(site: Site) -> None:
    path = f"/taxii2/borealia/collections/{site.collection}/objects/{object_id('report', 'r0')}/?match[version]=all"
    answer = site.ask(path, secret=site.password)
    site.ask("/taxii2/borealia/?secret=guess", secret="guess")
    first, second = site.lines(2)
    assert first == {
        "time": first["time"],
        "address": "127.0.0.1",
        "party": "borealia",
        "method": "GET",
        "resource": "object",
        "status": 200,
        "bytes": len(answer.content),
        "ms": first["ms"],
    }
    assert isinstance(first["ms"], int)
    assert (second["party"], second["resource"], second["status"]) == (None, "api-root", 404)
    text = site.log.read_text(encoding="utf-8")
    for secret in (object_id("report", "r0"), site.agreement, site.collection, site.password, "match", "guess"):
        assert secret not in text
    assert site.log.stat().st_mode & 0o777 == 0o600


def test_a_log_that_was_renamed_is_begun_anew_when_told(site: Site) -> None:
    site.ask("/nothing/")
    site.lines(1)
    old = site.log.rename(site.log.with_suffix(".1"))
    site.ask("/nothing/")
    assert not site.log.exists()
    done = site.served.run(site.served.server.reload())
    assert [sentence.split(" ")[0] for sentence in done] == ["the", "new"]
    site.ask("/nothing/")
    assert len(site.lines(1)) == 1
    assert len(old.read_text(encoding="utf-8").splitlines()) == 2


def test_a_log_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set another file as access_log"):
        AccessLog(str(tmp_path / "none" / "access.log"), lambda: World(tmp_path).now)


def test_a_log_on_a_full_disk_keeps_no_node_from_serving(world_now: int, caplog: pytest.LogCaptureFixture) -> None:
    log = AccessLog("/dev/full", lambda: world_now)  # type: ignore[arg-type,return-value] # an instant
    for _ in range(3):
        log.write(Visit(address="", method="GET"))
    assert [record.name for record in caplog.records] == ["comity.access"]
    log.close()


@pytest.fixture
def world_now() -> int:
    return 1_700_000_000_000_000
