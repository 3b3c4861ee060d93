# SPDX-License-Identifier: Apache-2.0
"""A consent along three served nodes, as people type it: asked for, granted with a condition, used, revoked, run out.

Aurelia gives borealia what is passed on by consent alone; borealia gives cimbria, which has never heard of aurelia.
"""

import base64
import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from comity.agreement.people import Role
from comity.ids import Instant, format_instant
from comity.node.audit import audit_folder
from comity.node.clock import read_clock
from comity.operations.reply import Exit
from tests.chains import introduce, sign_consent, sign_onward
from tests.e2e.conftest import Serving, comity, comity_as, entries, rows, start, wait_until
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A, B, C = "aurelia", "borealia", "cimbria"
NAMES = (A, B, C)
X, Y = object_id("report", "x"), object_id("report", "y")
SECOND = 1_000_000
HOUR = 3_600 * SECOND


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Three nodes, not served, with two objects at aurelia and agreements along the chain."""
    world = World(tmp_path)
    world.found(*NAMES)
    introduce(world, [(A, B), (B, C)])
    sign_consent(world, A, B)
    sign_onward(world, B, C, listed=[])
    world.add(A, make_object("x"), make_object("y"))
    world.close()
    for name, other in ((C, A), (A, C)):
        connection = apsw.Connection(str(tmp_path / name / "store.db"))
        connection.execute("DELETE FROM party WHERE id = ?", (other,))
        connection.close()
    return {name: tmp_path / name for name in NAMES}


@contextlib.contextmanager
def served(folders: dict[str, Path]) -> Iterator[dict[str, Serving]]:
    """The nodes, each served by a process, with the addresses of those that they know."""
    servers = {name: start(folder) for name, folder in folders.items()}
    try:
        for server in servers.values():
            server.wait_ready()
        for name, other in ((A, B), (B, A), (B, C), (C, B)):
            manifest = folders[other].with_name(f"{other}.manifest")
            digest = comity(folders[other], "party", "export", manifest, "--json").result["digest"]
            words = ("party", "add", manifest, "--digest", digest, "--url", servers[other].url, "--json")
            assert comity(folders[name], *words).code == 0
        yield servers
    finally:
        for server in servers.values():
            server.end(signal.SIGKILL)


def pull(folders: dict[str, Path], name: str, giver: str) -> set[str]:
    """What a pull, or what followed by itself before it, brought."""
    assert comity(folders[name], "pull", giver, "--json").code == 0
    return held(folders[name])


def held(folder: Path) -> set[str]:
    return {row[0] for row in rows(folder, "SELECT id FROM object")}


def ask(folders: dict[str, Path], item: str) -> str:
    """The name of the letter by which borealia asks, once aurelia has it."""
    words = ("consent", "request", item, "--to", C, "--purpose", "exchange", "--reason", "They hold the other half.")
    done = comity_as(Role.LIAISON, folders[B], *words, "--json").result
    (letter,) = done["letters"]
    assert letter["to"] == A
    name = str(letter["letter"])
    wait_until(lambda: bool(rows(folders[A], "SELECT 1 FROM letter WHERE digest = ?", name)))
    return name


def grant(folders: dict[str, Path], letter: str, until: Instant) -> None:
    """Two people of aurelia grant it: the first alone brings nothing about."""
    words = ("consent", "grant", letter, "--until", format_instant(until), "--condition", "Shut in a safe.", "--json")
    assert comity_as(Role.LIAISON, folders[A], *words).code == Exit.WAITING
    assert state(folders[B], letter) == "open"
    assert comity_as(Role.LEGAL, folders[A], *words).code == 0
    wait_until(lambda: state(folders[B], letter) == "closed")


def state(folder: Path, letter: str) -> str:
    """How the letter stands, without the program's words for it."""
    return str(rows(folder, "SELECT state FROM letter WHERE digest = ?", letter)[0][0])


def explain(folders: dict[str, Path], item: str) -> str:
    return str(comity(folders[B], "explain", item, "--to", C, "--json").result["decision"])


def show(folders: dict[str, Path], name: str, letter: str) -> dict[str, Any]:
    return comity(folders[name], "consent", "show", letter, "--json").result


def given_after(folders: dict[str, Path], position: int) -> set[str]:
    """What borealia's log says that it gave cimbria from an entry on."""
    found = [entry for entry in entries(folders[B], position) if entry.leaf["recipient"] == C]
    return {item.id for entry in found for item in entry.given}


def check(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        audited = audit_folder(folder, now=read_clock())
        assert audited.found == 0, (folder.name, audited.findings)
        done = comity(folder, "audit", "--json")
        assert done.code == 0, done.out
    # Who is third learns nothing of the first.
    assert not [row for row in rows(folders[C], "SELECT envelope FROM letter") if A.encode() in decode(row[0])]


def test_what_was_granted_goes_on_until_it_is_revoked(folders: dict[str, Path]) -> None:
    with served(folders):
        assert pull(folders, B, A) == {X, Y}
        assert pull(folders, C, B) == set()
        assert explain(folders, X) == "withhold"
        letter = ask(folders, X)
        kinds = {item["kind"] for item in comity(folders[A], "work", "--json").result["items"]}
        assert "consent-to-decide" in kinds
        assert show(folders, A, letter)["given"] is True
        assert pull(folders, C, B) == set()
        grant(folders, letter, Instant(read_clock() + HOUR))
        (kept,) = show(folders, B, letter)["grants"]
        assert (kept["conditions"], kept["recipient"], kept["state"]) == ("Shut in a safe.", C, "good")
        assert (explain(folders, X), explain(folders, Y)) == ("release", "withhold")
        assert pull(folders, C, B) == {X}
        assert comity_as(Role.LIAISON, folders[A], "consent", "revoke", letter, "--json").code == 0
        wait_until(lambda: show(folders, B, letter)["grants"][0]["state"] == "revoked")
        position = len(entries(folders[B]))
        assert explain(folders, X) == "withhold"
        # What was given stays with whoever was given it, but whoever asks from the beginning is not given it again.
        forget_position(folders[C])
        assert pull(folders, C, B) == {X}
        assert given_after(folders, position) == set()
    check(folders)


def test_a_revocation_that_recalls_takes_it_back_from_who_was_given_it(folders: dict[str, Path]) -> None:
    with served(folders):
        pull(folders, B, A)
        letter = ask(folders, X)
        grant(folders, letter, Instant(read_clock() + HOUR))
        assert pull(folders, C, B) == {X}
        words = ("consent", "revoke", letter, "--recall", "--reason", "They talked.", "--json")
        assert comity_as(Role.LEGAL, folders[A], *words).code == 0
        wait_until(lambda: held(folders[C]) == set())
        wait_until(lambda: [row[0] for row in rows(folders[B], RECALLS)] == ["done"])
        # Cimbria is told in borealia's words, not in aurelia's.
        assert not [row for row in rows(folders[C], "SELECT envelope FROM letter") if b"They talked." in decode(row[0])]
        assert held(folders[B]) == {X, Y}
    check(folders)


def test_a_grant_that_has_run_out_lets_nothing_go_whatever_runs(folders: dict[str, Path]) -> None:
    """Nobody pulls while it is good, and nothing of borealia runs when it ends: the next question sees its end."""
    with served(folders) as servers:
        pull(folders, B, A)
        servers[C].end(signal.SIGTERM)
        began = time.monotonic()
        letter = ask(folders, X)
        # What has to be done before it runs out takes some times as long as this on any machine.
        until = Instant(read_clock() + int(max(8.0, 10 * (time.monotonic() - began)) * SECOND))
        grant(folders, letter, until)
        assert explain(folders, X) == "release"
        servers[B].end(signal.SIGTERM)
        time.sleep(max(0.0, (until - read_clock()) / SECOND) + 0.2)
        servers[B] = start(folders[B]).wait_ready()
        manifest = folders[B].with_name(f"{B}.manifest")
        assert comity(folders[C], "party", "add", manifest, "--url", servers[B].url, "--json").code == 0
        assert pull(folders, C, B) == set()
        assert (explain(folders, X), given_after(folders, 0)) == ("withhold", set())
        ends = [entry.content["change"] for entry in entries(folders[B]) if entry.leaf["type"] == "consent"]
        assert ends == ["begin", "end"]
    check(folders)


RECALLS = "SELECT progress FROM letter WHERE kind = 'recall' AND sent = 1"


def decode(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])


def forget_position(folder: Path) -> None:
    """Let the node ask from the beginning, as one that was restored would."""
    connection = apsw.Connection(str(folder / "store.db"))
    connection.set_busy_timeout(5_000)
    connection.execute("DELETE FROM pull_position")
    connection.close()
