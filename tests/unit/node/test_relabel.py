# SPDX-License-Identifier: Apache-2.0
"""CLOSED: an object goes only where everything it refers to would go, whatever arrives when."""

from comity.agreement.events import EventKind
from comity.canonical import Json
from comity.node.retention import delete
from comity.store import objects
from tests.worlds import World, make_object, object_id


def report(name: str, *refs: str, tlp: str = "green", day: int = 1) -> dict[str, Json]:
    return make_object(name, tlp=tlp, refs=[object_id("report", ref) for ref in refs], day=day)


def names(world: World) -> set[str]:
    """The names of the objects that Borealia is given when it reads everything."""
    return {name for name in "abcdef" if object_id("report", name) in world.read("borealia")}


def test_what_refers_to_something_not_held_waits_for_it(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", report("a", "b"))
    assert names(world) == set()
    world.add("aurelia", report("b"))
    assert names(world) == {"a", "b"}


def test_what_was_polled_past_is_released_when_what_it_refers_to_arrives(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", report("a", "b"), report("c"))
    first = world.poll("borealia")
    assert {item.id for item in first.items} == {object_id("report", "c")}
    world.add("aurelia", report("b"))
    later = world.poll("borealia", after=first.items[-1].at)
    assert {item.id for item in later.items} == {object_id("report", "a"), object_id("report", "b")}


def test_a_restriction_far_away_reaches_everything_that_leads_to_it(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", report("a", "b"), report("b", "c"), report("c"))
    assert names(world) == {"a", "b", "c"}
    world.add("aurelia", report("c", tlp="red", day=2))
    assert names(world) == set()
    world.add("aurelia", report("c", day=3))
    assert names(world) == {"a", "b", "c"}


def test_references_in_a_circle_are_judged_together(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", report("a", "b"), report("b", "c"), report("c", "a"))
    assert names(world) == {"a", "b", "c"}
    world.add("aurelia", report("b", "c", tlp="red", day=2))
    assert names(world) == set()
    world.add("aurelia", report("b", "c", day=3))
    assert names(world) == {"a", "b", "c"}


def test_an_older_version_carries_what_the_newest_restricts(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", report("a"))
    assert len(world.poll("borealia").items) == 1
    world.add("aurelia", report("a", tlp="red", day=2))
    assert world.poll("borealia", every=True).items == ()


def test_a_new_version_that_says_the_same_leaves_its_referrers_alone(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", report("a", "b"), report("b"))
    first = world.poll("borealia")
    world.add("aurelia", report("b", day=2))
    later = world.poll("borealia", after=first.items[-1].at)
    assert [item.id for item in later.items] == [object_id("report", "b")]


def test_a_label_that_changes_while_suspended_counts_after_resuming(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.add("aurelia", report("a", "b"), report("b"))
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.add("aurelia", report("b", tlp="red", day=2))
    world.act("aurelia", agreement, EventKind.RESUME)
    assert names(world) == set()


def test_an_older_version_that_comes_after_the_newest_was_deleted_is_given_to_nobody(world: World) -> None:
    """Nobody knows any more what the newest restricted; also where the older one refers to nothing."""
    world.sign_all(world.terms())
    world.add("aurelia", report("a", day=2), report("c", day=2))
    for name in "ac":
        delete(world.nodes["aurelia"], object_id("report", name), reason="wrong")
    world.add("aurelia", report("a"), report("b"), report("c", "b"), report("d", "a"))
    assert names(world) == {"b"}
    world.add("aurelia", report("a", day=3))
    assert names(world) == {"a", "b", "d"}


def test_of_several_versions_that_come_together_each_is_judged_by_the_newest(world: World) -> None:
    """Also where none of them refers to anything."""
    world.sign_all(world.terms())
    world.add("aurelia", report("a"), report("a", tlp="red", day=2), report("b"))
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        held = objects.read_versions_of(transaction, {object_id("report", "a")})
        assert [objects.read_label(transaction, item.label).tlp for item in held] == ["red", "red"]
    assert names(world) == {"b"}
