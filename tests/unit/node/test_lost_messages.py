# SPDX-License-Identifier: Apache-2.0
"""What was said and a restored store has lost: nothing is given over it, and what stops comes back by a partner."""

import shutil
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.ids import PartyId
from comity.node.audit import audit_folder
from comity.node.backup import make_backup, restore_backup
from comity.node.correspond import Imported, export_messages, import_messages
from comity.node.gate import list_open_collections
from comity.node.recording import Recorded
from comity.node.recovery import Recovered
from tests.unit.node.test_recovery import recover
from tests.worlds import World, make_object


def lose(world: World, agreement: str, *kinds: EventKind, said_by: str = "aurelia") -> Recovered:
    """The recovery of aurelia's node, which has lost that these were said."""
    node = world.nodes["aurelia"]
    make_backup(node.folder, world.folder / "backup", secrets=True)
    last: dict[str, str] = {}
    for kind in kinds:
        last = {"re": world.act(said_by, agreement, kind, **last).event.digest}
    world.deliver()
    node.close()
    node.folder.rename(world.folder / "destroyed")
    restore_backup(world.folder / "backup", node.folder)
    shutil.copytree(world.folder / "destroyed" / "badges", node.folder / "badges")
    recovered = recover(world)
    world.open("aurelia")
    return recovered


def take_back(world: World, agreement: str) -> Imported:
    """What became of the file of borealia at aurelia's node."""
    return import_messages(world.nodes["aurelia"], export_messages(world.nodes["borealia"], agreement))


def is_open(world: World) -> bool:
    return list_open_collections(world.nodes["aurelia"], PartyId("borealia")) != []


@pytest.mark.parametrize(
    ("said_by", "kinds"),
    [
        ("aurelia", (EventKind.SUSPEND,)),
        ("borealia", (EventKind.SUSPEND,)),
        ("borealia", (EventKind.TERMINATE,)),
        ("borealia", ()),
    ],
)
def test_nothing_is_given_over_what_was_lost_before_people_resume_it(
    tmp_path: Path, said_by: str, kinds: tuple[EventKind, ...]
) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia", "meridia")
    agreement = world.sign_all(world.terms())
    left = world.sign_all(world.terms(title="Left", receivers=("meridia",)))
    world.act("aurelia", left, EventKind.TERMINATE)
    proposed = world.propose("aurelia", world.terms(title="Proposed"))
    assert isinstance(proposed, Recorded)
    world.add("aurelia", make_object("a"))
    world.deliver()
    recovered = lose(world, agreement, *kinds, said_by=said_by)
    assert recovered.suspended == (agreement,)
    assert not is_open(world)
    world.deliver()
    assert not is_open(world)
    take_back(world, agreement)
    assert not is_open(world)
    # What people resume is this party's own; what a partner stopped it has stopped.
    if EventKind.TERMINATE not in kinds:
        world.resume_all("aurelia")
    assert is_open(world) == (said_by == "aurelia" or not kinds)
    node, now = world.nodes["aurelia"], world.nodes["aurelia"].clock()
    world.close()
    assert audit_folder(node.folder, now=now).findings == ()


def test_what_this_party_had_suspended_or_left_is_not_suspended(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia", "meridia")
    agreement, in_part = world.sign_all(world.terms()), world.sign_all(world.terms(title="In part"))
    left = world.sign_all(world.terms(receivers=("borealia", "meridia"), extra='structure = { kind = "group" }'))
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.act("aurelia", in_part, EventKind.SUSPEND, channel="main")
    world.act("aurelia", left, EventKind.LEAVE)
    world.deliver()
    # What was suspended in part can have been so as a whole since.
    assert lose(world, agreement, EventKind.RESUME).suspended == (in_part,)
    assert not is_open(world)
    world.close()


def test_a_suspension_that_was_lost_holds_again_when_a_partner_gives_it_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    lose(world, agreement, EventKind.SUSPEND)
    imported = take_back(world, agreement)
    assert [(each.event.party, each.event.kind, each.stops) for each in imported.recorded] == [
        ("aurelia", EventKind.SUSPEND, True)
    ]
    node = world.nodes["aurelia"]
    assert not is_open(world)
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
    agreement = world.sign_all(world.terms())
    lose(world, agreement, *kinds)
    imported = take_back(world, agreement)
    assert [each.event.kind for each in imported.recorded] == [*kinds[:-1]]
    (refused,) = imported.refused
    assert refused.startswith(f"{kinds[-1]} of this party, of ")
    assert "do it again" in refused
    world.close()
