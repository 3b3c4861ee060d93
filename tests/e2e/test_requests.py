# SPDX-License-Identifier: Apache-2.0
"""A request and its answer between two served nodes, one of which is away when it is asked."""

import signal
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.node.audit import audit_folder
from comity.node.clock import read_clock
from tests.chains import introduce, sign_onward
from tests.e2e.conftest import Serving, comity, comity_as, rows, start, wait_until
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A, B = "aurelia", "borealia"
X = object_id("report", "x")


def tell(folder: Path, server: Serving) -> None:
    """Let the party of the folder have the address of this server."""
    manifest = folder.with_name(f"{server.folder.name}.manifest")
    digest = comity(server.folder, "party", "export", manifest, "--json").result["digest"]
    done = comity(folder, "party", "add", manifest, "--digest", digest, "--url", server.url, "--json")
    assert done.code == 0, done.err


def states(folder: Path) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in rows(folder, "SELECT kind, state FROM letter ORDER BY position")]


def test_a_request_reaches_a_node_that_was_away_and_its_answer_comes_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found(A, B)
    introduce(world, [(A, B)])
    agreement = sign_onward(world, A, B, listed=[])
    world.add(A, make_object("x"))
    world.close()
    one, other = tmp_path / A, tmp_path / B
    servers = [start(one).wait_ready(), start(other).wait_ready()]
    try:
        tell(other, servers[0])
        tell(one, servers[1])
        assert comity(other, "pull", A, "--json").code == 0
        servers[0].end(signal.SIGTERM)
        words = ("request", "send", A, "--agreement", agreement, "--urgency", "immediate", "--question", "When?")
        sent = comity_as(Role.LIAISON, other, *words, "--object", X, "--json").result
        assert [item["party"] for item in sent["waiting"]] == [A]
        assert states(one) == []
        servers[0] = start(one).wait_ready()
        tell(other, servers[0])
        wait_until(lambda: states(one) == [("request", "open")])
        (item,) = [
            item for item in comity(one, "work", "--json").result["items"] if item["kind"] == "request-to-answer"
        ]
        assert item["party"] == B
        answer = ("request", "answer", sent["letter"], "--text", "In June.", "--object", X, "--json")
        assert comity_as(Role.LIAISON, one, *answer).code == 0
        wait_until(lambda: states(other) == [("request", "closed"), ("reply", "closed")])
        shown = comity(other, "request", "show", sent["letter"], "--json").result
        assert [item["text"] for item in shown["answers"]] == ["In June."]
        # Another is taken back while the node that was asked is away: it hears of both, and nobody has to answer.
        servers[0].end(signal.SIGTERM)
        second = comity_as(Role.LIAISON, other, *words, "--json").result["letter"]
        assert comity_as(Role.LIAISON, other, "request", "withdraw", second, "--json").code == 0
        servers[0] = start(one).wait_ready()
        tell(other, servers[0])
        wait_until(lambda: states(one)[2:] == [("request", "closed"), ("request-withdrawal", "closed")])
        for folder in (one, other):
            assert comity(folder, "request", "show", second, "--json").result["state"] == "withdrawn"
            kinds = {item["kind"] for item in comity(folder, "work", "--json").result["items"]}
            assert not kinds & {"request-to-answer", "request-unanswered"}
    finally:
        for server in servers:
            server.end(signal.SIGKILL)
    for folder in (one, other):
        audited = audit_folder(folder, now=read_clock())
        assert audited.found == 0, audited.findings
