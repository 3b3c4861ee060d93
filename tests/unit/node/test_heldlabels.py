# SPDX-License-Identifier: Apache-2.0
"""Whoever writes the store gives an object the label of another, or another name: it is found before it is given.

Nothing of the schema is taken away: what it keeps in step, it keeps in step with what was written.
"""

import asyncio
import re
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from comity import peers
from comity.ids import PartyId
from comity.node.classify import say
from comity.node.parties import add_party, export_manifest
from comity.node.soundness import Check, Grade, examine_folder
from tests.chains import introduce, sign_onward
from tests.served import Served
from tests.worlds import World, make_object, object_id

A, B, C = PartyId("aurelia"), PartyId("borealia"), PartyId("meridia")
RED, GREEN = object_id("report", "secret"), object_id("report", "open")
GIVEN = object_id("report", "given")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of B: something red, something green, what refers to red, and what A gave for B alone."""
    world = World(tmp_path)
    world.found(A, B, C)
    introduce(world, [(A, B), (B, C)])
    sign_onward(world, A, B, listed=[])
    sign_onward(world, B, C, listed=[])
    world.add(
        B, make_object("secret", tlp="red"), make_object("open"), make_object("plain"), make_object("near", refs=[RED])
    )
    world.add(A, make_object("given"))
    with Served.start(world.nodes[A]) as served:
        add_party(world.nodes[B], export_manifest(world.nodes[A]), digest=None, url=served.url)
        assert [pulled.refused for pulled in asyncio.run(peers.pull(world.nodes[B], A))] == [None]
    say(world.nodes[B], GREEN, {"handling": ["H2"]}, reason="read", by=world.actor(B))
    world.close()
    return tmp_path / B


def write(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as store:
        store.create_function("digest", 1, lambda data: sha256(data).hexdigest())
        for statement in statements:
            assert store.execute(statement).rowcount > 0, statement


def find(folder: Path) -> list[str]:
    found = [item for item in examine_folder(folder).findings if item.grade is Grade.BROKEN]
    assert all(item.check is Check.OBJECTS for item in found), found
    return [f"{item.where}: {item.what}" for item in found]


LABEL = "UPDATE object SET {} = (SELECT label FROM object WHERE id = '{}') WHERE id = '{}'"
WIDER = (
    'UPDATE label SET body = CAST(replace(CAST(body AS TEXT), \'["borealia"]\', \'["borealia","meridia"]\') AS BLOB)'
    f" WHERE id = (SELECT label FROM object WHERE id = '{GIVEN}')"
)
CAME = (
    "INSERT INTO arrival SELECT object, terms, 'meridia', received_at + 1, decided_at + 1, NULL FROM arrival"
    f" WHERE object = (SELECT pk FROM object WHERE id = '{GIVEN}')"
)
AS_ITS_OWN = "UPDATE label SET digest = digest(body)"


def test_a_sound_store_has_nothing_to_say(folder: Path) -> None:
    assert find(folder) == []


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        ([LABEL.format("label", GREEN, RED)], f"{RED}.*: its bytes are marked red"),
        (
            [LABEL.format("label", GREEN, RED), LABEL.format("own_label", GREEN, RED)],
            f"{RED}.*: its bytes are marked red",
        ),
        ([LABEL.format("label", GREEN, object_id("report", "near"))], "report.*: its label is not the one of itself"),
        (
            [LABEL.format("label", GREEN, GIVEN), LABEL.format("own_label", GREEN, GIVEN)],
            f"{GIVEN}.* lets it go to anybody",
        ),
        ([WIDER, AS_ITS_OWN], f"{GIVEN}.*go to meridia, whom no text"),
        (
            [LABEL.format(column, object_id("report", "plain"), GREEN) for column in ("label", "own_label")],
            f"{GREEN}.*not what people have said and decided",
        ),
        ([CAME], f"{GIVEN}.*come from meridia, who gives this party nothing"),
        ([f"UPDATE object SET originator = 'aurelia' WHERE id = '{GREEN}'"], f"{GREEN}.*own, and as of aurelia"),
        ([f"UPDATE object SET version = version || 'x' WHERE id = '{GREEN}'"], f"{GREEN}.*bytes do not say"),
        ([f"UPDATE object SET type = 'tool' WHERE id = '{GREEN}'"], f"{GREEN}.*bytes do not say"),
        (
            ["UPDATE label SET body = CAST('{}' AS BLOB) WHERE id = 1", AS_ITS_OWN],
            "labels that let them go cannot be read",
        ),
    ],
)
def test_what_is_kept_as_something_else_is_named(folder: Path, statements: list[str], what: str) -> None:
    write(folder, *statements)
    found = find(folder)
    assert any(re.search(what, each) for each in found), found
