# SPDX-License-Identifier: Apache-2.0
"""An operator alters what its node has seen and cosigned of the logs of others, and the audit names it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity import peers
from comity.ids import PartyId
from comity.node.cosigning import make_request, read_own_head
from comity.node.parties import add_party, export_manifest
from comity.node.soundness import examine_folder
from comity.node.witness import add_checkpoint
from tests.served import Served
from tests.unit.node.test_beside import edit, problems
from tests.worlds import World, make_object

A, B = PartyId("aurelia"), PartyId("borealia")
SOME = "substr(CAST(checkpoint AS TEXT), -20, 4)"
"""Four characters of the signature, which is another each time, and OTHERS in their place."""
OTHERS = f"CASE WHEN {SOME} = 'AAAA' THEN 'BBBB' ELSE 'AAAA' END"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Borealia has pulled from aurelia, with a receipt, and has cosigned the head of its house."""
    made = World(tmp_path)
    made.found(A, B)
    made.sign_all(made.terms())
    made.add(A, make_object("x"))
    with Served.start(made.nodes[A]) as served:
        add_party(made.nodes[B], export_manifest(made.nodes[A]), digest=None, url=served.url)
        for pulled in asyncio.run(peers.pull(made.nodes[B], A)):
            assert pulled.refused is None
    head = read_own_head(made.nodes[A])
    assert head is not None
    assert add_checkpoint(made.nodes[B], A, make_request(made.nodes[A], head, old_size=0)).status == 200
    yield made
    made.close()


def test_what_was_seen_and_cosigned_has_no_findings(world: World) -> None:
    assert problems(world, B) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE witnessed_head SET size = size - 1", "that was cosigned was altered: it is filed under"),
        ("UPDATE witnessed_head SET origin = 'comity/aurelia/9f86d081884c7d65'", "that was cosigned was altered"),
        (
            f"UPDATE witnessed_head SET checkpoint = CAST(replace(CAST(checkpoint AS TEXT), {SOME}, {OTHERS}) AS BLOB)",
            "that was cosigned was altered",
        ),
        (
            "INSERT INTO witnessed_earlier SELECT origin, size - 1, checkpoint, cosigned_at FROM witnessed_head",
            "that was cosigned was altered: it is filed under",
        ),
        ("UPDATE seen_checkpoint SET size = size + 1", "that was seen was altered: it is filed under"),
        ("UPDATE seen_checkpoint SET root = zeroblob(32)", "that was seen was altered: it is filed under"),
        (
            "UPDATE seen_checkpoint SET checkpoint = substr(checkpoint, 1, length(checkpoint) - 90)",
            "that was seen was altered",
        ),
        ("DELETE FROM seen_checkpoint", "and the greatest head kept as seen is over 0"),
        (
            "INSERT INTO lost_head SELECT party, origin, size + 1, checkpoint, 0, 1 FROM seen_checkpoint",
            "that was seen was altered: it is filed under",
        ),
    ],
)
def test_a_head_that_is_not_as_its_log_signed_it_is_found(world: World, statement: str, said: str) -> None:
    """What the log shows next is held against it."""
    edit(world, statement, name=B)
    assert any(said in problem for problem in problems(world, B)), problems(world, B)


def test_a_head_that_somebody_else_signed_is_found(world: World) -> None:
    with world.nodes[B].store.write() as transaction:
        (row,) = transaction.rows("SELECT checkpoint FROM seen_checkpoint")
    text = bytes(row[0])
    end = text[-12:]
    edit(world, "UPDATE seen_checkpoint SET checkpoint = ?", values=(text[:-12] + b"A" * 8 + end[8:],), name=B)
    assert any("no log key of aurelia has signed it" in problem for problem in problems(world, B))


def test_a_head_that_was_cosigned_and_is_not_kept_beside_the_store_is_found(world: World) -> None:
    """Of a store that is put back nobody would know then what was cosigned."""
    folder = world.nodes[B].folder
    assert examine_folder(folder).findings == ()
    (path,) = (folder / "witnessed").iterdir()
    note = path.read_bytes()
    for altered in (note[:-12] + b"A" * 8 + note[-4:], None):
        path.unlink() if altered is None else path.write_bytes(altered)
        (found,) = examine_folder(folder).findings
        assert (found.where, "which the store has as cosigned" in found.what) == (f"witnessed/{path.name}", True)
