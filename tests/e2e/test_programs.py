# SPDX-License-Identifier: Apache-2.0
"""A program of this party's own at a served node: it sends a file, waits until it is taken in, reads what is held."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from comity.agreement.people import Role
from comity.ids import PersonId
from comity.node.programs import make_program
from tests.e2e.conftest import PATIENCE, Serving, comity
from tests.ports import find_port
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

ANALYST = PersonId("aurelia-analyst")
MOST = 2_000
BUNDLE = {"type": "bundle", "id": "bundle--6a1f2c1e-0000-4000-8000-000000000001"}


@pytest.fixture
def token(tmp_path: Path) -> str:
    world = World(tmp_path)
    world.found("aurelia")
    world.register("aurelia", ANALYST, Role.ANALYST)
    made = make_program(world.nodes["aurelia"], ANALYST, name="Feeds", may=("objects", "take-in"), days=365)
    world.close()
    with (tmp_path / "aurelia" / "node.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[console]\nlisten = "127.0.0.1:{find_port()}"\n')
    return made.token


def test_a_program_feeds_a_served_node_and_reads_it(
    tmp_path: Path, token: str, serve: Callable[[Path], Serving]
) -> None:
    server = serve(tmp_path / "aurelia")
    assert server.console is not None
    data = json.dumps({**BUNDLE, "objects": [make_object(f"item {n}") for n in range(MOST)]}).encode()
    with httpx.Client(
        base_url=server.console, headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE
    ) as client:
        begun = client.post("/intake.json", files={"file": ("feed.json", data)})
        assert begun.status_code == 202
        result, deadline = None, time.monotonic() + PATIENCE
        while result is None:
            assert time.monotonic() < deadline
            answer = client.get(begun.json()["at"])
            assert answer.status_code == 200, answer.text
            result = answer.json()["result"]
        assert len(result["added"]) == MOST
        objects, following = set[str](), None
        for _ in range(MOST):
            page = client.get("/objects.json", params={"before": following} if following else {}).json()
            objects |= {item["id"] for item in page["objects"]}
            if (following := page["next"]) is None:
                break
        assert len(objects) == MOST
        again = client.post("/intake.json", files={"file": ("feed.json", data)})
        assert client.get(again.json()["at"]).status_code == 200
        assert client.get("/log.json").status_code == 404
    assert httpx.get(f"{server.console}/objects.json", timeout=PATIENCE).status_code == 401
    listed = comity(tmp_path / "aurelia", "person", "sessions", "--json").result
    assert [item["name"] for item in listed["programs"]] == ["Feeds"]
    out = comity(tmp_path / "aurelia", "person", "sign-out", ANALYST, "--json").result
    assert out == {"person": ANALYST, "ended": 0, "programs": 1}
    answer = httpx.get(f"{server.console}/objects.json", headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE)
    assert answer.status_code == 401
    assert server.end() == 0
