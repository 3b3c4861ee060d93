# SPDX-License-Identifier: Apache-2.0
"""Patterns that a parser has to read, at a node as it runs: nobody is given one before, and its writer is told."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from comity.ids import PartyId
from comity.node.accept import list_write_collections
from comity.node.gate import list_open_collections
from comity.node.parties import create_credential
from tests.e2e.conftest import PATIENCE, Serving, comity, get, read_objects, rows, wait_until
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.alone]

Serve = Callable[..., Serving]
GOOD = "[ipv4-addr:value = '192.0.2.1'] WITHIN 5 SECONDS"
BAD = "[ipv4-addr:value == '192.0.2.1']]"
LONG = "[" + " OR ".join(["(" * 50 + "a:b = 1" + ")" * 50] * 550) + "]"
"""About as long to parse as any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Aurelia's node, not served yet; Borealia may read one collection of it, and write another."""

    folder: Path
    reads: str
    writes: str
    secret: str

    def given(self, server: Serving) -> set[str]:
        """What Borealia is given."""
        return {item.id for item in read_objects(get(server.url + self.reads, self.secret).content)}

    def post(self, server: Serving, *objects: dict[str, Any]) -> dict[str, Any]:
        """The status of what Borealia writes."""
        headers = {"authorization": f"Bearer {self.secret}", "content-type": "application/taxii+json;version=2.1"}
        answer = httpx.post(
            server.url + self.writes,
            content=json.dumps({"objects": objects}),
            headers=headers,
            trust_env=False,
            timeout=PATIENCE,
        )
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return dict(answer.json())

    def read_status(self, server: Serving, status: dict[str, Any]) -> dict[str, Any]:
        """The status, asked for again."""
        return dict(get(f"{server.url}/taxii2/borealia/status/{status['id']}/", self.secret).json())


def indicator(name: str, pattern: str) -> dict[str, Any]:
    return make_object(name, kind="indicator", more={"pattern": pattern})


def find_parser(server: Serving) -> int | None:
    """The process that reads patterns for the one that serves."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command, status = (entry / "cmdline").read_bytes(), (entry / "status").read_text()
        except OSError:
            continue
        if b"comity.operations.parser" in command and f"PPid:\t{server.process.pid}\n" in status:
            return int(entry.name)
    return None


def has_ended(pid: int) -> bool:
    """Whether the process is there no more, or only until somebody asks what became of it."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


@pytest.fixture
def ground(tmp_path: Path) -> Field:
    world = World(tmp_path / "world")
    world.folder.mkdir()
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    node, borealia = world.nodes["aurelia"], PartyId("borealia")
    reads, writes = list_open_collections(node, borealia)[0].id, list_write_collections(node, borealia)[0].id
    secret = create_credential(node, borealia)
    world.close()
    path = "/taxii2/borealia/collections/{}/objects/".format
    return Field(folder=node.folder, reads=path(reads), writes=path(writes), secret=secret)


@pytest.mark.parametrize("workers", [1, 2])
def test_who_writes_is_told_and_who_reads_is_given_nothing_that_does_not_parse(
    ground: Field, tmp_path: Path, serve: Serve, workers: int
) -> None:
    server = serve(ground.folder, workers=workers)
    status = ground.post(server, indicator("usual", "[a:b = 1]"), indicator("good", GOOD), indicator("bad", BAD))
    assert (status["status"], status["success_count"], status["pending_count"]) == ("pending", 1, 2)
    wait_until(lambda: ground.read_status(server, status)["status"] == "complete")
    status = ground.read_status(server, status)
    assert (status["total_count"], status["success_count"], status["failure_count"]) == (3, 2, 1)
    (failure,) = status["failures"]
    assert failure["id"] == object_id("indicator", "bad")
    assert failure["message"].startswith("/pattern: line 1, column 33, in pattern: ")

    file = tmp_path / "own.json"
    file.write_text(json.dumps({"objects": [indicator("own", GOOD), indicator("own bad", BAD)]}), encoding="utf-8")
    said = comity(ground.folder, "object", "add", file)
    assert said.code == 1
    assert "2 added" in said.out
    assert f"{object_id('indicator', 'own bad')} goes to nobody, its pattern does not parse: line 1, col" in said.out
    assert ground.given(server) == {object_id("indicator", "own")}
    shown = comity(ground.folder, "object", "show", object_id("indicator", "own bad"))
    assert "does not parse: line 1, column 33" in shown.out
    why = comity(ground.folder, "explain", object_id("indicator", "own bad"), "--to", "borealia")
    assert "unparsable-pattern" in why.out
    assert "unparsable-pattern" in comity(ground.folder, "work", "--json").out
    assert server.end() == 0
    assert server.faults.read_text(encoding="utf-8") == ""


def test_a_command_that_is_alone_has_patterns_read_too(ground: Field, serve: Serve) -> None:
    data = json.dumps({"objects": [indicator("own", GOOD), indicator("own bad", BAD)]}).encode()
    result = json.loads(comity(ground.folder, "object", "add", "-", "--json", given=data).out)
    assert (result["added"], result["unparsable"]) == (2, 1)
    assert [item["id"] for item in result["files"][0]["unparsable"]] == [object_id("indicator", "own bad")]
    assert result["files"][0]["unchecked"] == 0
    assert ground.given(serve(ground.folder)) == {object_id("indicator", "own")}


def test_who_polls_does_not_wait_for_patterns_that_take_long(ground: Field, serve: Serve) -> None:
    server = serve(ground.folder)
    ground.given(server)
    status = ground.post(server, *(indicator(f"{number}", LONG.replace("1", f"{number}1")) for number in range(1, 6)))
    slowest, begun = 0.0, time.monotonic()
    while ground.read_status(server, status)["status"] == "pending":
        started = time.monotonic()
        ground.given(server)
        slowest = max(slowest, time.monotonic() - started)
        time.sleep(0.01)
    assert ground.read_status(server, status)["success_count"] == 5
    # Much less than one of the five takes, however much of the machine there is.
    assert slowest < max(1.0, (time.monotonic() - begun) / 10)


@pytest.mark.kill
@pytest.mark.parametrize("who", ["parser", "server"])
def test_after_a_kill_what_was_not_read_is_withheld_and_read_in_the_end(ground: Field, serve: Serve, who: str) -> None:
    server = serve(ground.folder)
    own = [indicator(f"{number}", LONG.replace("1", f"{number}1")) for number in range(1, 8)]
    status = ground.post(server, *own)
    wait_until(lambda: find_parser(server) is not None)
    pid = find_parser(server)
    assert pid is not None
    if who == "parser":
        os.kill(pid, signal.SIGKILL)
        assert ground.read_status(server, status)["pending_count"] > 0
        comity(ground.folder, "object", "add", "-", given=json.dumps({"objects": [indicator("x", GOOD)]}).encode())
    else:
        server.end(signal.SIGKILL)
        wait_until(lambda: has_ended(pid))  # the system ends it with its parent
        marks = rows(ground.folder, "SELECT COUNT(*) FROM pattern WHERE state = 0")
        assert marks[0][0] > 0
        server = serve(ground.folder)
    # Seven that are dear, read by one process that gives way to all others.
    wait_until(lambda: ground.read_status(server, status)["success_count"] == len(own), 5 * PATIENCE)
