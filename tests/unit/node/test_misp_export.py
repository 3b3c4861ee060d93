# SPDX-License-Identifier: Apache-2.0
"""A file of MISP events leaves a node as it came in, and what was said beside an object goes with it."""

import pytest

from comity.ids import ObjectId, PartyId
from comity.node.classify import Classified, say
from comity.node.export import MispExport, export_misp_in_steps
from comity.node.files import Bytes
from comity.node.intake import Plan, take_file
from comity.node.retention import delete
from comity.node.steps import finish
from comity.stix.labels import make_tags
from comity.store.relations import RELATIONS
from tests.unit.conversion.test_misp_round import fold, list_uuids
from tests.unit.intake.misp_events import Fields, make_attribute, make_event, name_part, tag, write
from tests.unit.intake.misp_rich import make_cluster, make_galaxy, make_rich_event
from tests.worlds import World

A, B = PartyId("aurelia"), PartyId("borealia")
TAGS = make_tags(subjects=["national:ashfall"], regions=["IQ"])
FIRST = ObjectId(f"indicator--{name_part(1)}")


def take(world: World, data: bytes) -> None:
    assert take_file(world.nodes[A], Bytes("events.json", data), Plan(tags=TAGS)).bad == ()


def export(world: World) -> MispExport:
    return finish(export_misp_in_steps(world.nodes[A]))


def count_sayings(world: World, words: bytes) -> int:
    with world.nodes[A].store.read() as transaction:
        (row,) = transaction.rows("SELECT COUNT(*) FROM saying WHERE instr(data, ?) > 0", (words,))
    return int(row[0])


def list_makers(world: World) -> list[ObjectId]:
    with world.nodes[A].store.read() as transaction:
        return [ObjectId(str(row[0])) for row in transaction.rows("SELECT id FROM object WHERE type = 'identity'")]


def test_a_file_leaves_as_it_came_in_and_may_come_back(world: World) -> None:
    event = make_rich_event()
    take(world, write(event))
    made = export(world)
    assert made.lost == ()
    (given,) = made.events
    assert fold(given) == fold(event)
    before = made.objects
    take(world, write(dict(given)))
    again = export(world)
    assert (again.events, again.objects, again.lost) == (made.events, before, ())


def test_a_later_event_is_said_as_it_is_later(world: World) -> None:
    take(world, write(make_rich_event()))
    later = make_rich_event(timestamp="1703642920", analysis="2", info="Relays, again")
    take(world, write(later))
    (given,) = export(world).events
    assert fold(given) == fold(later)


def test_what_was_said_beside_an_object_goes_with_it_and_to_nobody(world: World) -> None:
    world.sign_all(world.terms())
    take(world, write(make_rich_event(Tag=tag("tlp:green"))))
    said = b"seen by the desk"
    assert count_sayings(world, said) == 1
    released = world.read(B)
    assert str(FIRST) in released
    assert not any(b"disable_correlation" in data or name_part(22).encode() in data for data in released.values())
    delete(world.nodes[A], FIRST, reason="an error")
    assert count_sayings(world, said) == 0
    with world.nodes[A].store.read() as transaction:
        assert [row for one in RELATIONS if "saying" in one.table for row in transaction.rows(one.finds)] == []
    (given,) = export(world).events
    assert name_part(1) in set(list_uuids(given))  # what else it became is there, and is converted


def find_attribute(made: MispExport) -> Fields:
    (found,) = (
        one
        for event in made.events
        for one in event["Attribute"]  # type: ignore[union-attr]
        if isinstance(one, dict) and one["uuid"] == name_part(1)
    )
    assert isinstance(found, dict)
    return found


def test_what_became_stricter_under_the_same_time_leaves_as_strict(world: World) -> None:
    plain = make_event(make_attribute(1), make_attribute(2), Tag=tag("tlp:green"))
    take(world, write(plain))
    assert find_attribute(export(world))["Tag"] == tag("tlp:green")
    strict = make_event(make_attribute(1, Tag=tag("tlp:red")), make_attribute(2), Tag=tag("tlp:green"))
    assert take_file(world.nodes[A], Bytes("events.json", write(strict)), Plan(tags=TAGS)).bad
    assert find_attribute(export(world))["Tag"] == tag("tlp:red")


@pytest.mark.parametrize("words", [{"handling": ["H2"]}, {"special_categories": ["health"]}])
def test_what_people_keep_back_stays_in_the_organisation(world: World, words: dict[str, list[str]]) -> None:
    take(world, write(make_event(make_attribute(1), Tag=tag("tlp:green"), distribution="3")))
    assert find_attribute(export(world))["distribution"] != "0"
    assert isinstance(say(world.nodes[A], FIRST, words, reason="read it", by=world.actor(A)), Classified)
    assert find_attribute(export(world))["distribution"] == "0"


def test_a_selection_says_what_it_has(world: World) -> None:
    take(world, write(make_event(make_attribute(1), Tag=tag("tlp:green"))))
    made = finish(export_misp_in_steps(world.nodes[A], types=frozenset({"indicator"})))
    (given,) = made.events
    assert [item["uuid"] for item in given["Attribute"]] == [name_part(1)]  # type: ignore[union-attr, index, call-overload]


def test_a_name_goes_from_what_was_said_with_whom_or_what_it_names(world: World) -> None:
    cluster = make_galaxy(101, "threat-actor", "Actor", make_cluster(111, "threat-actor", "Millrace"))
    hung: Fields = {"Galaxy": [cluster], "Tag": tag('misp-galaxy:threat-actor="Millrace"')}
    events = [
        make_event(make_attribute(number, to_ids=False, **hung), uuid=name_part(900 + number), Tag=tag("tlp:green"))
        for number in (1, 2)
    ]
    take(world, write(*events))
    assert (count_sayings(world, b"Millrace"), count_sayings(world, b"Marrow Ford CERT")) == (3, 2)
    delete(world.nodes[A], ObjectId(f"threat-actor--{name_part(111)}"), reason="an error")
    assert (count_sayings(world, b"Millrace"), count_sayings(world, b"Marrow Ford CERT")) == (0, 2)
    made = export(world)
    assert "Millrace" not in str(made.events)
    for maker in list_makers(world):
        delete(world.nodes[A], maker, reason="by order")
    assert count_sayings(world, b"Marrow Ford CERT") == 0
