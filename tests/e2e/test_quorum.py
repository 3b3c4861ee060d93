# SPDX-License-Identifier: Apache-2.0
"""Pulls of a receiver that demands cosignatures: a giver, a partner and a stand-alone witness, each its own process."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from comity.ids import PartyId
from comity.node.parties import find_party
from comity.node.witness import find_witness_keys
from comity.tlog.note import format_vkey, parse_note
from tests.e2e.conftest import Ended, Serving, comity, rows, wait_until
from tests.e2e.test_witness import Standing, log_key, run
from tests.worlds import World, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

KEPT = ("object", "body", "label", "reference", "arrival", "pull_position", "receipt WHERE arrived = 1")


@dataclass(slots=True)
class Quorum:
    """Aurelia gives to borealia, which demands that meridia and north have cosigned. Borealia is not served."""

    folder: Path
    north: Standing
    serve: Callable[[Path], Serving]
    aurelia: Serving
    meridia: Serving

    def meet(self) -> None:
        """Aurelia and meridia learn where the other is, and borealia where aurelia is."""
        for name, other in (("aurelia", self.meridia), ("meridia", self.aurelia), ("borealia", self.aurelia)):
            file = other.folder / "own.json"
            assert comity(other.folder, "party", "export", file).code == 0
            assert comity(self.folder / name, "party", "add", file, "--url", other.url).code == 0

    def give(self, name: str) -> None:
        bundle = {"type": "bundle", "id": object_id("bundle", name), "objects": [make_object(name)]}
        assert comity(self.folder / "aurelia", "object", "add", "-", given=json.dumps(bundle).encode()).code == 0

    def pull(self) -> Ended:
        """What borealia's pull came to."""
        return comity(self.folder / "borealia", "pull", "aurelia", "--json")

    def holds(self, name: str) -> bool:
        held = rows(self.folder / "borealia", "SELECT 1 FROM object WHERE id = ?", object_id("report", name))
        return bool(held)

    def stored(self) -> dict[str, list[tuple[Any, ...]]]:
        """What could tell that a page was taken in."""
        return {table: rows(self.folder / "borealia", f"SELECT * FROM {table}") for table in KEPT}

    def uncosigned(self) -> set[str]:
        """Who has not cosigned all of aurelia's logs."""
        listed = comity(self.folder / "aurelia", "witness", "list", "--json").result
        sizes = dict(rows(self.folder / "aurelia", "SELECT log, MAX(size) FROM log_head GROUP BY log"))
        seen = "SELECT log, MAX(size) FROM cosignature WHERE witness = ? GROUP BY log"
        names = [each["name"] for each in listed["witnesses"]]
        return {name for name in names if dict(rows(self.folder / "aurelia", seen, name)) != sizes}


@pytest.fixture
def quorum(tmp_path: Path, serve: Callable[[Path], Serving]) -> Iterator[Quorum]:
    world = World(tmp_path)
    world.found("aurelia", "borealia", "meridia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("first"))
    (meridia,) = find_witness_keys(find_party(world.nodes["borealia"], PartyId("meridia")).manifest)
    world.close()
    north = Standing(tmp_path / "north").start()
    (tmp_path / "borealia" / "witnesses.policy").write_text(
        f"witness meridia {format_vkey(meridia)}\nwitness north {format_vkey(north.key)}\n"
        "group both all meridia north\nquorum both\n"
    )
    with (tmp_path / "aurelia" / "node.toml").open("a") as settings:
        settings.write(
            '\n[[witness]]\nparty = "meridia"\nlogs = "all"\n\n'
            f'[[witness]]\nkey = "{format_vkey(north.key)}"\nurl = "{north.url}"\n'
        )
    assert run("witness", "add-log", north.folder, log_key(tmp_path / "aurelia")).code == 0
    made = Quorum(tmp_path, north, serve, serve(tmp_path / "aurelia"), serve(tmp_path / "meridia"))
    made.meet()
    yield made
    north.end(SIGKILL)


def own_log(folder: Path) -> str:
    """The one log of a relationship that the node in `folder` has."""
    ((token,),) = rows(folder, "SELECT token FROM relationship_log")
    return f"comity/{folder.name}/{token}"


def say_refused(done: Ended) -> str:
    assert done.code == 7, done.err
    (channel,) = done.result["channels"]
    assert channel["refused"]["part"] == "witnesses"
    return str(channel["refused"]["reason"])


def test_a_pull_waits_for_its_quorum_and_goes_on_when_it_is_there(quorum: Quorum) -> None:
    done = quorum.pull()
    assert done.code == 0, done
    assert quorum.holds("first")
    ((receipt,),) = rows(quorum.folder / "borealia", "SELECT data FROM receipt WHERE arrived = 1")
    names = {line.name for line in parse_note(json.loads(receipt)["proof"].encode().split(b"\n\n", 1)[1]).signatures}
    assert names - {"comity/meridia/witness", quorum.north.key.name} == {own_log(quorum.folder / "aurelia")}
    assert len(names) == 3

    # One of the two goes away: what is given from here on has one cosignature, and is not taken in.
    quorum.meridia.end()
    before = quorum.stored()
    quorum.give("second")
    reason = say_refused(quorum.pull())
    assert "cosigned by north, which is not the quorum both; not by meridia" in reason
    assert "pull again" in reason
    assert quorum.stored() == before
    (refused,) = comity(quorum.folder / "borealia", "log", "refused", "--json").result["refused"]
    assert refused["part"] == "witnesses"
    assert rows(quorum.folder / "borealia", "SELECT length(page), length(receipt) > 0 FROM refused_page") == [(0, 1)]
    assert quorum.uncosigned() == {"comity/meridia/witness"}

    # It is back, at another address: the next pull takes in what was given meanwhile, and nothing is missing.
    quorum.meridia = quorum.serve(quorum.folder / "meridia")
    quorum.meet()
    wait_until(lambda: not quorum.uncosigned())
    done = quorum.pull()
    assert done.code == 0, done
    assert quorum.holds("second")
    assert done.result["channels"][0]["missing"] == 1  # the page that was refused: its receipt is here
    sound = comity(quorum.folder / "borealia", "fsck", "--json")
    assert sound.result["sound"], sound


def test_a_receipt_is_of_the_head_that_the_quorum_cosigned(quorum: Quorum) -> None:
    """A witness that is away holds nothing up that it has cosigned before, however the log grows since."""
    assert quorum.pull().code == 0
    wait_until(lambda: not quorum.uncosigned())
    quorum.meridia.end()
    ((agreement,),) = rows(quorum.folder / "aurelia", "SELECT id FROM agreement")
    assert comity(quorum.folder / "aurelia", "agreement", "suspend", str(agreement)).code == 0
    wait_until(lambda: quorum.uncosigned() == {"comity/meridia/witness"})
    ((position,),) = rows(
        quorum.folder / "aurelia", "SELECT position FROM log_entry WHERE CAST(leaf AS TEXT) LIKE '%disclosure\"}'"
    )
    out = quorum.folder / "receipt.json"
    done = comity(quorum.folder / "aurelia", "log", "receipt", str(position), "--out", out)
    assert done.code == 0, done
    note = json.loads(out.read_bytes())["proof"]
    assert "comity/meridia/witness" in note
    assert quorum.north.key.name in note


def test_after_a_rotation_nothing_is_taken_in_before_the_new_key_is_cosigned(quorum: Quorum) -> None:
    assert quorum.pull().code == 0
    # North does not know the new key: who runs it has to add it. Meridia is told by the rotation itself.
    rotated = comity(quorum.folder / "aurelia", "party", "rotate", "log", "--json")
    assert rotated.code == 0, rotated
    left = {item["witness"]: item["problem"] for item in rotated.result["uncosigned"]}
    assert list(left) == [quorum.north.key.name]
    assert "does not know the key of this log" in left[quorum.north.key.name]
    file = quorum.folder / "next.json"
    assert comity(quorum.folder / "aurelia", "party", "export", file).code == 0
    assert comity(quorum.folder / "borealia", "party", "add", file).code == 0
    quorum.give("second")
    before = quorum.stored()
    reason = say_refused(quorum.pull())
    assert "cosigned by meridia, which is not the quorum both; not by north" in reason
    assert quorum.stored() == before
    # What was given before the rotation has a receipt under the new key too.
    assert run("witness", "add-log", quorum.north.folder, log_key(quorum.folder / "aurelia")).code == 0
    wait_until(lambda: not quorum.uncosigned())
    done = quorum.pull()
    assert done.code == 0, done
    assert quorum.holds("second")
