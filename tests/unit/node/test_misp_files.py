# SPDX-License-Identifier: Apache-2.0
"""A file of MISP events is taken in as strict as MISP says, once, and goes on where it was cut off."""

import json
from typing import Any

import pytest

from comity.canonical import Json
from comity.errors import MalformedRequest
from comity.ids import ObjectId, PartyId
from comity.node.explain import show_object
from comity.node.files import Bytes
from comity.node.intake import Plan, Taken, take_file
from comity.stix.labels import make_tags
from tests.unit.intake.misp_events import Fields, make_attribute, make_event, name_part, tag, write
from tests.unit.intake.misp_rich import make_cluster, make_galaxy
from tests.worlds import World, tlp_id

A, B = PartyId("aurelia"), PartyId("borealia")
TAGS = make_tags(subjects=["national:ashfall"], regions=["IQ"])
MAPPING = b'format = "comity-misp-mapping/1"\n[distribution]\ncommunity = ["borealia"]\n'


def take(world: World, *events: Fields, **more: Any) -> Taken:  # noqa: ANN401 (what a plan says)
    return take_file(world.nodes[A], Bytes("events.json", write(*events)), Plan(tags=TAGS, **more))


def indicator(number: int) -> ObjectId:
    return ObjectId(f"indicator--{name_part(number)}")


def test_only_what_misp_lets_go_goes(world: World) -> None:
    world.sign_all(world.terms())
    event = make_event(
        make_attribute(1),
        make_attribute(2, distribution="0"),
        make_attribute(3, distribution="1"),
        make_attribute(4, Tag=tag("tlp:red")),
        make_attribute(5, Tag=tag("tlp:ex:chr")),
        Tag=tag("tlp:green"),
    )
    taken = take(world, event, mapping=MAPPING)
    assert taken.bad == ()
    released = {name for name in world.read(B) if name.startswith("indicator")}
    assert released == {indicator(1), indicator(3)}


def test_without_a_mapping_a_community_is_nobody(world: World) -> None:
    world.sign_all(world.terms())
    take(world, make_event(make_attribute(3), distribution="1", Tag=tag("tlp:green")))
    assert show_object(world.nodes[A], indicator(3)).label.audience == frozenset({A})
    assert world.read(B) == {}


def test_the_same_file_changes_nothing_and_a_later_event_is_a_new_version(world: World) -> None:
    event = make_event(make_attribute(1), Tag=tag("tlp:green"))
    first = take(world, event)
    assert first.added_count > 2
    assert take(world, event).already
    later = make_event(make_attribute(1, timestamp="1703642920"), Tag=tag("tlp:green"), timestamp="1703642920")
    assert indicator(1) in take(world, later).added
    assert len(show_object(world.nodes[A], indicator(1)).versions) == 2


def test_an_event_whose_parts_stand_in_another_order_is_the_same(world: World) -> None:
    parts, tags = (
        [make_attribute(number, Tag=tag("a:b", "c:d")) for number in (1, 2, 3)],
        tag("tlp:green", "x:y", "z:w"),
    )
    first = take(world, make_event(*parts, Tag=tags))
    turned = [{**part, "Tag": tag("c:d", "a:b")} for part in reversed(parts)]
    again = take(world, make_event(*turned, Tag=tags[::-1]))
    assert (again.added, again.known, again.bad) == ((), first.added_count, ())


def test_what_people_say_of_the_file_makes_it_stricter(world: World) -> None:
    take(world, make_event(make_attribute(1), Tag=tag("tlp:clear")), tlp="amber")
    assert show_object(world.nodes[A], indicator(1)).label.tlp == "amber"


def test_one_bad_event_is_listed_and_the_others_are_kept(world: World) -> None:
    bad = make_event(make_attribute(7), uuid="x")
    taken = take(world, make_event(make_attribute(1)), bad, make_event(make_attribute(2), uuid=name_part(9)))
    assert [one.place for one in taken.bad] == ["/response/1/Event"]
    assert {indicator(1), indicator(2)} <= set(taken.added)


def test_a_mapping_of_tables_is_none_of_misp(world: World) -> None:
    with pytest.raises(MalformedRequest, match="comity-misp-mapping/1"):
        take(world, make_event(), mapping=b'format = "comity-mapping/1"\nsource = "x"\n')


@pytest.mark.parametrize("more", [{"Tag": tag("tlp:red")}, {"distribution": "0"}, {"published": False}])
def test_an_event_that_is_stricter_now_is_stricter_though_its_time_is_the_same(world: World, more: Fields) -> None:
    world.sign_all(world.terms())
    event = make_event(make_attribute(1), Tag=tag("tlp:green"))
    take(world, event)
    assert indicator(1) in world.read(B)
    taken = take(world, event | more)
    assert taken.bad  # it is another version under the same time, and is not kept
    assert indicator(1) not in world.read(B)


def test_an_event_that_is_looser_now_is_as_strict_as_it_was(world: World) -> None:
    world.sign_all(world.terms())
    event = make_event(make_attribute(1), Tag=tag("tlp:red"))
    take(world, event)
    take(world, event | {"Tag": tag("tlp:green")})
    assert show_object(world.nodes[A], indicator(1)).label.tlp == "red"
    assert indicator(1) not in world.read(B)


CLUSTER = ObjectId(f"threat-actor--{name_part(111)}")


def make_clustered(number: int, **more: Json) -> Fields:
    """An event of its own with one attribute, on which the one cluster hangs."""
    galaxy = make_galaxy(101, "threat-actor", "Actor", make_cluster(111, "threat-actor", "Ashfall"))
    return make_event(make_attribute(number, Galaxy=[galaxy]), uuid=name_part(900 + number)) | more


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize(
    ("levels", "held"), [(("red", "green"), 1), (("green", "red"), 2), (("green", "amber", "red", "green"), 3)]
)
def test_a_cluster_of_events_of_one_second_is_as_strict_as_the_strictest(
    world: World, levels: tuple[str, ...], held: int, at_once: bool
) -> None:
    """Nothing of it is refused, and what leaves says the strictest level in its own bytes."""
    world.sign_all(world.terms(types=["threat-actor"], tlp="red"))
    events = [make_clustered(number, Tag=tag(f"tlp:{level}")) for number, level in enumerate(levels, start=1)]
    taken = [take(world, *events)] if at_once else [take(world, event) for event in events]
    assert [one for file in taken for one in file.bad] == []
    found = show_object(world.nodes[A], CLUSTER)
    assert (found.label.tlp, len(found.versions)) == ("red", held)
    assert json.loads(world.read(B)[CLUSTER])["object_marking_refs"] == [tlp_id("red")]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("level", ["green", "amber"])
def test_a_cluster_of_events_of_one_second_reaches_whom_all_of_them_let(
    world: World, level: str, at_once: bool
) -> None:
    world.sign_all(world.terms(types=["threat-actor"]))
    events = [
        make_clustered(1, Tag=tag("tlp:green"), distribution="0"),
        make_clustered(2, Tag=tag(f"tlp:{level}"), distribution="1"),
    ]
    taken = [take(world, *group, mapping=MAPPING) for group in ([events] if at_once else [[one] for one in events])]
    assert [one for file in taken for one in file.bad] == []
    assert show_object(world.nodes[A], CLUSTER).label.audience == frozenset({A})
    assert CLUSTER not in world.read(B)


def test_an_event_of_one_second_that_says_other_things_is_refused_still(world: World) -> None:
    take(world, make_event(make_attribute(1)))
    taken = take(world, make_event(make_attribute(1, value="198.51.100.9")))
    assert indicator(1) in {one.id for one in taken.bad}
