# SPDX-License-Identifier: Apache-2.0
"""A partner without a node writes to a served one and takes it back; whoever had it from there loses it too."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL, SIGTERM

import httpx
import pytest
from taxii2client.v21 import Server

from comity.ids import PartyId
from comity.node.audit import audit_folder
from comity.node.clock import read_clock
from comity.node.parties import create_credential
from tests.chains import introduce, sign_onward
from tests.e2e.conftest import PATIENCE, Serving, comity, rows, start, wait_until
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A, B, C = "aurelia", "borealia", "cimbria"
TAXII = "application/taxii+json;version=2.1"


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path, str]:
    """The folders of aurelia and cimbria, and the credential by which borealia, which serves no node, writes."""
    world = World(tmp_path)
    world.found(A, B, C)
    introduce(world, [(A, C)])
    sign_onward(world, B, A, listed=[C])
    sign_onward(world, A, C, listed=[])
    secret = create_credential(world.nodes[A], PartyId(B))
    world.close()
    return tmp_path / A, tmp_path / C, secret


def _tell(server: Serving, others: list[Path]) -> None:
    manifest = server.folder.with_name(f"{server.folder.name}.manifest")
    digest = comity(server.folder, "party", "export", manifest, "--json").result["digest"]
    for other in others:
        done = comity(other, "party", "add", manifest, "--digest", digest, "--url", server.url, "--json")
        assert done.code == 0, done.err


@contextlib.contextmanager
def served(*folders: Path, workers: int = 1) -> Iterator[list[Serving]]:
    """The nodes, served; each knows where the other is."""
    servers = [start(folder, workers=workers) for folder in folders]
    try:
        for server in servers:
            server.wait_ready()
            _tell(server, [folder for folder in folders if folder != server.folder])
        yield servers
    finally:
        for server in servers:
            server.end(SIGKILL)


def held(folder: Path) -> set[str]:
    return {row[0] for row in rows(folder, "SELECT id FROM object")}


def check(*folders: Path) -> None:
    for folder in folders:
        audited = audit_folder(folder, now=read_clock())
        assert audited.found == 0, (folder.name, audited.findings)


@pytest.mark.parametrize("workers", [1, 2])
def test_written_pulled_on_and_taken_back(made: tuple[Path, Path, str], workers: int) -> None:
    aurelia, cimbria, secret = made
    mine, other = object_id("report", "mine"), object_id("report", "other")
    with served(aurelia, cimbria, workers=workers) as (giving, _):
        with Server(f"{giving.url}/taxii2/", user=B, password=secret) as server:
            (collection,) = server.default.collections
            collection.add_objects({"objects": [make_object("mine"), make_object("other")]}, timeout=PATIENCE)
            wait_until(lambda: held(cimbria) == {mine, other})
            collection.delete_object(mine)
        assert mine not in held(aurelia)
        wait_until(lambda: held(cimbria) == {other})
        wait_until(lambda: rows(aurelia, "SELECT progress FROM letter WHERE kind = 'recall'") == [("done",)])
        listed = comity(aurelia, "recall", "list", "--json").result["taken_back"]
        assert [(item["party"], item["object"], item["asked"]) for item in listed] == [(B, mine, "all")]
        assert [version["outcome"] for version in listed[0]["versions"]] == ["deleted"]
        shown = comity(aurelia, "recall", "show", listed[0]["retraction"][:10])
        assert "passed on to cimbria" in shown.out
        assert "TAKEN BACK" in comity(aurelia, "recall", "list").out
    check(aurelia, cimbria)


@pytest.mark.kill
def test_what_was_answered_is_taken_back_wherever_the_process_is_killed(made: tuple[Path, Path, str]) -> None:
    aurelia, _, secret = made
    headers = {"authorization": f"Bearer {secret}", "content-type": TAXII, "accept": TAXII}
    names = [f"killed {number}" for number in range(6)]
    for number, name in enumerate(names):
        server = start(aurelia).wait_ready()
        try:
            with httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=PATIENCE) as client:
                (listed,) = client.get(f"/taxii2/{B}/collections/").json()["collections"]
                base = f"/taxii2/{B}/collections/{listed['id']}/objects/"
                client.post(base, content=json.dumps({"objects": [make_object(name)]})).raise_for_status()
                answer = client.delete(f"{base}{object_id('report', name)}/")
                assert (answer.status_code, answer.content) == (200, b"")
        finally:
            server.end(SIGKILL if number % 2 else SIGTERM)
        assert object_id("report", name) not in held(aurelia)
    check(aurelia)
