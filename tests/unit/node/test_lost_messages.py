# SPDX-License-Identifier: Apache-2.0
"""What a party said itself, and its restored store has lost, comes back by a partner as far as it only stops."""

import shutil
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.ids import PartyId
from comity.node.audit import audit_folder
from comity.node.backup import make_backup, restore_backup
from comity.node.correspond import Imported, export_messages, import_messages
from comity.node.gate import list_open_collections
from tests.unit.node.test_recovery import recover
from tests.worlds import World, make_object


def lose(world: World, agreement: str, *kinds: EventKind) -> Imported:
    """What became of the file of borealia at aurelia's restored node, which has lost that it said these."""
    node = world.nodes["aurelia"]
    make_backup(node.folder, world.folder / "backup", secrets=True)
    last: dict[str, str] = {}
    for kind in kinds:
        last = {"re": world.act("aurelia", agreement, kind, **last).event.digest}
    world.deliver()
    node.close()
    node.folder.rename(world.folder / "destroyed")
    restore_backup(world.folder / "backup", node.folder)
    shutil.copytree(world.folder / "destroyed" / "badges", node.folder / "badges")
    recover(world)
    world.open("aurelia")
    return import_messages(world.nodes["aurelia"], export_messages(world.nodes["borealia"], agreement))


def test_a_suspension_that_was_lost_holds_again_when_a_partner_gives_it_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    imported = lose(world, agreement, EventKind.SUSPEND)
    assert [(each.event.party, each.event.kind, each.stops) for each in imported.recorded] == [
        ("aurelia", EventKind.SUSPEND, True)
    ]
    node = world.nodes["aurelia"]
    assert list_open_collections(node, PartyId("borealia")) == []
    world.act("aurelia", agreement, EventKind.RESUME, re=imported.recorded[0].event.digest)
    world.deliver()
    assert world.read("borealia")
    now = node.clock()
    world.close()
    assert audit_folder(node.folder, now=now).findings == ()


@pytest.mark.parametrize("kinds", [(EventKind.TERMINATE,), (EventKind.SUSPEND, EventKind.RESUME)])
def test_what_else_was_lost_is_told_and_not_taken(tmp_path: Path, kinds: tuple[EventKind, ...]) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    imported = lose(world, world.sign_all(world.terms()), *kinds)
    assert [each.event.kind for each in imported.recorded] == [*kinds[:-1]]
    (refused,) = imported.refused
    assert refused.startswith(f"{kinds[-1]} of this party, of ")
    assert "do it again" in refused
    world.close()
