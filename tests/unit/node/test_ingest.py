# SPDX-License-Identifier: Apache-2.0
"""Received bytes become objects: good ones kept, bad ones listed, nothing twice, no way round a giver's terms."""

import json
from collections.abc import Iterator
from unittest.mock import patch

import pytest

from comity.canonical import Json
from comity.errors import MalformedError
from comity.ids import PartyId
from comity.node import classify, ingest, receive
from comity.node.audiences import Audiences
from comity.node.explain import explain, find_object, show_object
from comity.node.follow import plan_pull
from comity.node.matrix import find_matrix
from comity.node.parties import add_party, export_manifest
from comity.node.parts import Parts
from comity.node.reading import read_in_steps
from comity.node.retention import delete
from comity.node.steps import finish
from comity.release.facets import parse_facet
from comity.release.receiving import Restrictions
from comity.stix import labels, tags
from comity.stix.labels import make_tags
from comity.stix.objects import BadObject, BundleReading
from comity.stix.tags import CLASSIFICATION_EXTENSION
from comity.store import arrivals, letters
from comity.store.objects import Holding
from tests.worlds import World, make_object, object_id, tlp_id

HEALTH = '[[channels.special_categories]]\ncategory = "health"\nnecessity = "an epidemic"\napprover = "the body"\n'


def count(world: World, name: str) -> int:
    with world.nodes[name].store.read() as transaction:
        row = transaction.row("SELECT COUNT(*) FROM object")
    assert row is not None
    return int(row[0])


def test_the_good_objects_of_a_bundle_are_kept_and_the_bad_ones_listed_with_their_place(world: World) -> None:
    broken = make_object("b") | {"modified": "yesterday"}
    unread = make_object("c") | {"extensions": {"x": 1}}
    intake = world.add("aurelia", make_object("a"), broken, unread, make_object("d"))
    assert set(intake.added) >= {object_id("report", "a"), object_id("report", "d")}
    assert [(bad.index, bad.id) for bad in intake.bad if bad.index == 1] == [(1, object_id("report", "b"))]
    assert all(bad.where.startswith(f"/objects/{bad.index}") for bad in intake.bad)


def test_an_object_whose_classification_is_not_understood_is_bad_at_its_place_in_the_bundle(world: World) -> None:
    item = make_object("b")
    (extension,) = item["extensions"].values()  # type: ignore[union-attr]
    extension["regions"] = ["Atlantis"]  # type: ignore[index, call-overload]
    intake = world.add("aurelia", make_object("a") | {"modified": 1}, item)
    assert [bad.index for bad in intake.bad] == [0, 1]
    assert isinstance(intake.bad[1], BadObject)
    assert intake.bad[1].where.startswith("/objects/1/extensions/")
    assert count(world, "aurelia") == 0


def test_the_same_bundle_twice_changes_nothing(world: World) -> None:
    first = world.add("aurelia", make_object("a"), make_object("b"))
    second = world.add("aurelia", make_object("a"), make_object("b"))
    assert (len(first.added), len(second.added), second.known) == (2, 0, 2)
    assert count(world, "aurelia") == 2


def report(name: str, *refs: str, tlp: str = "green", day: int = 1) -> dict[str, Json]:
    return make_object(name, tlp=tlp, refs=[object_id("report", ref) for ref in refs], day=day)


def add_in_parts(world: World, *objects: dict[str, Json]) -> Iterator[None]:
    """Take objects in one by one, with a turn in between."""
    data = json.dumps({"objects": [*objects]}).encode()
    with patch.object(ingest, "PART_OBJECTS", 1):
        yield from ingest.add_in_steps(world.nodes["aurelia"], data, tags=make_tags())


def test_what_is_held_by_way_of_others_is_renewed_before_what_is_judged_by_it(world: World) -> None:
    """`a` refers to `h`, which is held and refers to `b`, of which a stricter version comes with `a`."""
    world.sign_all(world.terms())
    world.add("aurelia", report("b"), report("h", "b"))
    for _ in add_in_parts(world, report("x"), report("a", "h"), report("b", tlp="red", day=2)):
        assert object_id("report", "a") not in world.read("borealia")
    assert object_id("report", "x") in world.read("borealia")
    assert object_id("report", "a") not in world.read("borealia")


def test_what_comes_from_elsewhere_between_two_parts_divides_the_rest_anew(world: World) -> None:
    """As before, but `b` is held only since the first part was taken in."""
    world.sign_all(world.terms())
    world.add("aurelia", report("h", "b"))
    for number, _ in enumerate(add_in_parts(world, report("x"), report("a", "h"), report("b", tlp="red", day=2))):
        if number == 1:
            assert object_id("report", "x") in world.read("borealia")
            world.add("aurelia", report("b"))
            assert object_id("report", "h") in world.read("borealia")
        assert object_id("report", "a") not in world.read("borealia")
    assert count(world, "aurelia") == 5


def test_a_file_of_many_objects_is_kept_in_parts_and_told_as_one(world: World) -> None:
    objects: list[dict[str, Json]] = [report("a", "e"), report("b"), {"id": 5}, report("b"), report("e")]
    steps = add_in_parts(world, *objects)
    counts = [count(world, "aurelia") for _ in steps]
    assert counts == [0, 1, 2]
    intake = world.add("aurelia", *objects)
    assert (intake.added, intake.known, [bad.index for bad in intake.bad]) == ((), 3, [2])


def test_each_object_of_a_bundle_has_the_label_that_it_has_alone(world: World) -> None:
    made = [report("a"), report("b", tlp="red"), make_object("c", subjects=["national:other"]), report("d")]
    world.add("aurelia", *made)
    node = world.nodes["aurelia"]
    labels = [show_object(node, object_id("report", name)).label for name in "abcd"]
    assert [label.tlp for label in labels] == ["green", "red", "green", "green"]
    assert [label.subjects for label in labels] == [
        frozenset({frozenset({f"national:{word}"})}) for word in ("ashfall", "ashfall", "other", "ashfall")
    ]
    assert labels[0] == labels[3]


_CACHES = (labels._remember_bytes, labels._remember_label, tags._remember_words, parse_facet, letters._parse_short)


def test_of_what_is_deleted_no_label_stays_in_memory(world: World) -> None:
    world.add("aurelia", make_object("a", subjects=["national:secret"]))
    finish(find_matrix(world.nodes["aurelia"], "subjects", after=None, limit=10))
    assert labels._remember_bytes.cache_info().currsize > 0
    assert parse_facet.cache_info().currsize > 0
    delete(world.nodes["aurelia"], object_id("report", "a"), reason="asked to")
    sizes = [cached.cache_info().currsize for cached in _CACHES]
    assert sizes == [0, 0, 0, 0, 0]


def test_statements_are_known_by_their_definitions_wherever_they_are(world: World) -> None:
    definition: dict[str, Json] = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": object_id("marking-definition", "s"),
        "created": "2025-01-01T00:00:00.000Z",
        "definition_type": "statement",
        "definition": {"statement": "Ashfall"},
    }
    marked = {name: {**report(name), "object_marking_refs": [definition["id"]]} for name in "abc"}
    world.add("aurelia", marked["a"])
    world.add("aurelia", marked["b"], definition)
    world.add("aurelia", marked["c"])
    words = {
        name: show_object(world.nodes["aurelia"], object_id("report", name)).label.markings & {"statement"}
        for name in "abc"
    }
    assert words["b"] == words["c"] == {"statement"}


def test_a_version_with_other_bytes_is_refused_and_the_first_kept(world: World) -> None:
    world.add("aurelia", make_object("a"))
    intake = world.add("aurelia", make_object("a", tlp="clear"))
    assert not intake.added
    assert "other bytes" in intake.bad[0].detail
    assert json.loads(show_object(world.nodes["aurelia"], object_id("report", "a")).data) == make_object("a")


def test_a_file_that_is_no_bundle_is_refused_whole(world: World) -> None:
    for data in (b"", b"[]", b'{"type":"bundle","objects":[', b"\xff\xfe", b'{"objects":{}}'):
        with pytest.raises(MalformedError):
            ingest.add_objects(world.nodes["aurelia"], data, tags=make_tags())
    assert count(world, "aurelia") == 0


def test_what_people_say_on_the_command_line_counts_beside_what_the_object_says(world: World) -> None:
    world.sign_all(world.terms())
    data = json.dumps(make_object("a", subjects=(), regions=())).encode()
    tags = make_tags(subjects=["national:ashfall"], regions=["IQ"])
    ingest.add_objects(world.nodes["aurelia"], data, tags=tags)
    assert object_id("report", "a") in world.read("borealia")


def pull(world: World, giver: str, receiver: str) -> ingest.Intake:
    """What a pull over the network brings, without the network."""
    page = world.poll(receiver, giver=giver, every=True)
    (target,) = plan_pull(world.nodes[receiver], PartyId(giver))
    envelope = b'{"objects":[' + b",".join(item.data for item in page.items) + b"]}"
    received = receive.Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=page.items[-1].at,
    )
    return receive.receive_page(world.nodes[receiver], envelope, received)


@pytest.fixture
def chain(world: World) -> World:
    """Aurelia gives to Borealia; Borealia gives to Meridia."""
    world.found("meridia")
    for name, node in world.nodes.items():
        if name != "aurelia":
            digest = world.manifests["aurelia"].digest
            url = "http://127.0.0.1:1"
            add_party(node, export_manifest(world.nodes["aurelia"]), digest=digest, url=url)
    world.sign_all(world.terms())
    world.sign_all(world.terms(giver="borealia", receivers=("meridia",), title="Onward"), proposer="borealia")
    world.add("aurelia", make_object("a"))
    assert len(pull(world, "aurelia", "borealia").added) == 1
    return world


def test_what_was_received_does_not_go_on_to_a_third_party(chain: World) -> None:
    assert chain.read("meridia", giver="borealia") == {}
    told = explain(chain.nodes["borealia"], object_id("report", "a"), to=PartyId("meridia"))
    assert told.verdict.decision == "withhold"
    assert told.verdict.clause in {"originators", "audience"}


def test_taking_a_received_object_in_again_is_no_way_out_of_its_givers_terms(chain: World) -> None:
    assert chain.add("borealia", make_object("a")).known == 1
    newer = chain.add("borealia", make_object("a", day=9))
    assert not newer.added
    assert "only aurelia may give a new version" in newer.bad[0].detail
    assert chain.read("meridia", giver="borealia") == {}


def test_an_own_object_that_refers_to_a_received_one_does_not_go_on_either(chain: World) -> None:
    chain.add("borealia", make_object("b", refs=[object_id("report", "a")]))
    chain.add("borealia", make_object("c"))
    assert set(chain.read("meridia", giver="borealia")) == {object_id("report", "c")}


def test_what_was_held_before_comes_under_the_givers_terms_when_the_giver_gives_it_too(chain: World) -> None:
    chain.add("borealia", make_object("b"))
    chain.add("aurelia", make_object("b"))
    assert pull(chain, "aurelia", "borealia").known >= 1
    assert chain.read("meridia", giver="borealia") == {}
    assert list_returns(chain, "borealia", "b") == []


def test_what_was_given_before_and_comes_from_elsewhere_stays_this_partys_own(chain: World) -> None:
    """Else a partner could take from all others what it has got hold of, and they would see what it gives."""
    chain.add("borealia", make_object("b"))
    assert set(chain.read("meridia", giver="borealia")) == {object_id("report", "b")}
    chain.add("aurelia", make_object("b"))
    for _ in range(2):
        assert pull(chain, "aurelia", "borealia").known >= 1
        assert set(chain.read("meridia", giver="borealia")) == {object_id("report", "b")}
        assert [entry.giver for entry in list_returns(chain, "borealia", "b")] == ["aurelia"]


def test_what_came_under_terms_before_it_was_given_on_is_restricted_by_whatever_way_it_comes_again(
    chain: World,
) -> None:
    chain.add("borealia", make_object("c"))
    add_way(chain, "c", giver="aurelia", audience=("borealia", "meridia"))
    assert object_id("report", "c") in chain.read("meridia", giver="borealia")
    add_way(chain, "c", giver="aurelia", audience=("borealia",))
    assert show_object(chain.nodes["borealia"], object_id("report", "c")).label.audience == frozenset({"borealia"})
    assert chain.read("meridia", giver="borealia") == {}


def add_way(world: World, name: str, *, giver: str, audience: tuple[str, ...]) -> None:
    """Borealia takes the object in as one that `giver` gave it under terms that restrict it to these."""
    node = world.nodes["borealia"]
    data = json.dumps(make_object(name)).encode()
    restrictions = Restrictions(
        originators=frozenset({PartyId("borealia")}),
        audience=frozenset(map(PartyId, audience)),
        excluded_frameworks=frozenset(),
    )
    parts = Parts(finish(read_in_steps(BundleReading(data))), most=None)
    with node.act() as act:
        (terms, *_) = (row[0] for row in act.transaction.rows("SELECT hash FROM terms ORDER BY hash"))
        holding = Holding(originator=PartyId(giver), received_under=terms, added_at=act.now)
        ingest.take_part(act, parts, holding=holding, tags=make_tags(), restrictions=restrictions)


def hand(world: World, *items: dict[str, Json]) -> ingest.Intake:
    """What becomes of a page that Aurelia's node made by itself, whatever the terms say."""
    (target,) = plan_pull(world.nodes["borealia"], PartyId("aurelia"))
    received = receive.Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=None,
    )
    return receive.receive_page(world.nodes["borealia"], json.dumps({"objects": [*items]}).encode(), received)


@pytest.mark.parametrize(
    ("tlp", "modified"),
    [
        ("red", "2025-01-02T00:00:00.000000Z"),
        ("red", "2026-01-02T00:00:00.000Z"),
        ("amber", "2025-01-02T00:00:00.000000Z"),
    ],
)
@pytest.mark.parametrize("amended", [False, True])
def test_what_a_giver_marks_more_strictly_holds_back_what_it_gave_though_the_terms_do_not_let_it_come(
    world: World, tlp: str, modified: str, *, amended: bool
) -> None:
    world.found("meridia")
    digest = world.manifests["aurelia"].digest
    add_party(world.nodes["meridia"], export_manifest(world.nodes["aurelia"]), digest=digest, url=None)
    url = "http://127.0.0.1:1"
    add_party(world.nodes["borealia"], export_manifest(world.nodes["aurelia"]), digest=digest, url=url)
    listed = b'onward = "listed"\nreleasable_to = ["meridia"]'
    agreement = world.sign_all(world.terms().replace(b'onward = "none"', listed))
    onward = world.terms(
        giver="borealia",
        receivers=("meridia",),
        title="Onward",
        tlp="green",
        channel_extra='originators = ["aurelia"]',
    )
    world.sign_all(onward, proposer="borealia")
    assert len(hand(world, make_object("a"), make_object("b")).added) == 2
    assert set(world.read("meridia", giver="borealia")) == {object_id("report", name) for name in "ab"}
    if amended:
        newer = world.terms(version=2, agreement=agreement, supersedes=agreement)
        world.sign_all(newer.replace(b'onward = "none"', listed))
    intake = hand(world, make_object("a", tlp=tlp, more={"modified": modified}))
    assert (intake.added, len(intake.bad)) == ((), 1)
    assert set(world.read("meridia", giver="borealia")) == {object_id("report", "b")}


def list_returns(world: World, holder: str, name: str) -> list[arrivals.Return]:
    with world.nodes[holder].store.read() as transaction:
        return arrivals.read_returns(transaction, find_object(transaction, object_id("report", name)).pk)


def test_a_stricter_classification_of_an_object_held_already_counts(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    assert world.read("borealia")
    data = json.dumps(make_object("a")).encode()
    intake = ingest.add_objects(world.nodes["aurelia"], data, tags=make_tags(handling=["H3"]))
    assert intake.known == 1
    assert world.read("borealia") == {}


def test_what_the_same_version_says_more_strictly_in_other_bytes_holds_for_it(world: World) -> None:
    """A tool marked a property and left the time as it was."""
    world.sign_all(world.terms())
    item, name = make_object("a", more={"description": "run by Karim Holt"}), object_id("report", "a")
    world.add("aurelia", item)
    assert b"Karim Holt" in world.read("borealia")[name]
    mark: Json = [{"marking_ref": tlp_id("red"), "selectors": ["description"]}]
    intake = world.add("aurelia", item | {"granular_markings": mark})
    assert len(intake.clashing) == 1
    assert b"Karim Holt" not in world.read("borealia")[name]


def test_what_people_have_to_decide_on_waits_also_where_other_bytes_of_the_version_say_it(world: World) -> None:
    world.sign_all(world.terms(channel_extra=HEALTH))
    world.add("aurelia", make_object("a"))
    assert world.read("borealia") != {}
    world.add("aurelia", make_object("a", more={"x_health": "an illness"}))
    assert world.read("borealia") == {}


def test_what_other_bytes_of_the_version_say_lasts_when_people_say_more(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    node, by = world.nodes["aurelia"], world.actor("aurelia")
    classify.say(node, object_id("report", "a"), {"regions": ["SY"]}, reason="r", by=by)
    world.add(
        "aurelia", tag(make_object("a"), handling=["H2"]), tag(make_object("a"), handling=["H3"]), make_object("a")
    )
    for act in (classify.take_back, classify.say):
        act(node, object_id("report", "a"), {"regions": ["SY"]}, reason="r", by=by)
        assert world.read("borealia") == {}
        assert show_object(node, object_id("report", "a")).label.handling == {"H2", "H3"}


@pytest.mark.parametrize("stricter", [{"object_marking_refs": [tlp_id("red")]}, {"x_health": "an illness"}])
@pytest.mark.parametrize("turned", [False, True])
def test_of_one_version_twice_in_a_bundle_the_strictest_holds_whichever_comes_first(
    world: World, stricter: dict[str, Json], turned: bool
) -> None:
    world.sign_all(world.terms(channel_extra=HEALTH))
    pair = [make_object("a"), make_object("a") | stricter]
    intake = world.add("aurelia", make_object("b"), *(reversed(pair) if turned else pair))
    assert [bad.index for bad in intake.bad] == [2]
    assert set(world.read("borealia")) == {object_id("report", "b")}


def test_a_property_marked_in_the_second_of_two_is_marked_in_what_is_held(world: World) -> None:
    world.sign_all(world.terms())
    item = make_object("a", more={"description": "run by Karim Holt"})
    mark: Json = [{"marking_ref": tlp_id("red"), "selectors": ["description"]}]
    for _ in range(2):
        world.add("aurelia", item)
        world.add("aurelia", item, item | {"granular_markings": mark})
        assert b"Karim Holt" not in world.read("borealia")[object_id("report", "a")]


def test_of_a_version_in_very_many_bytes_nothing_is_given(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", *(make_object("a", more={"description": str(number)}) for number in range(66)))
    assert world.read("borealia") == {}


def tag(item: dict[str, Json], **words: list[Json]) -> dict[str, Json]:
    """The object with these words in its classification."""
    extensions = item["extensions"]
    assert isinstance(extensions, dict)
    said = extensions[CLASSIFICATION_EXTENSION]
    assert isinstance(said, dict)
    return item | {"extensions": {CLASSIFICATION_EXTENSION: {**said, **words}}}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("day", [1, 2])
def test_a_definition_that_also_says_something_else_is_no_statement(world: World, together: bool, day: int) -> None:
    world.sign_all(world.terms(types=("report", "marking-definition"), channel_extra='markings = ["statement"]\n'))
    name = object_id("marking-definition", "m")
    plain = {key: value for key, value in make_object("m", kind="marking-definition").items() if key != "modified"}
    plain["extensions"] = {**tag(plain)["extensions"], "extension-definition--" + name[-36:]: {"eyes": "the desk"}}  # type: ignore[dict-item]
    other: dict[str, Json] = {
        **tag(make_object("m", kind="marking-definition")),
        "created": f"2025-01-0{day}T00:00:00.000000Z",
        "definition_type": "statement",
        "definition": {"statement": "for all"},
    }
    del other["modified"]
    item = make_object("a") | {"object_marking_refs": [tlp_id("green"), name]}
    if together and day == 1:
        world.add("aurelia", other, plain, item)
    else:
        world.add("aurelia", plain)
        world.add("aurelia", other, item)
    assert object_id("report", "a") not in world.read("borealia")


def test_more_regions_said_later_of_one_object_are_one_objects_regions(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a", regions=("TR",)))
    assert world.read("borealia") == {}
    ingest.add_objects(
        world.nodes["aurelia"], json.dumps(make_object("a", regions=("TR",))).encode(), tags=make_tags(regions=["IQ"])
    )
    assert set(world.read("borealia")) == {object_id("report", "a")}


def test_a_partner_that_gives_back_what_it_was_given_says_nothing_new(world: World) -> None:
    digest = world.manifests["borealia"].digest
    add_party(world.nodes["aurelia"], export_manifest(world.nodes["borealia"]), digest=digest, url="http://127.0.0.1:1")
    world.sign_all(world.terms())
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), title="Back"), proposer="borealia")
    world.add("aurelia", make_object("a"))
    assert set(world.read("borealia")) == {object_id("report", "a")}
    world.add("borealia", make_object("a"))
    assert pull(world, "borealia", "aurelia").known == 1
    assert set(world.read("borealia")) == {object_id("report", "a")}


def test_what_is_not_as_stix_says_is_listed_with_its_rule_and_place(world: World) -> None:
    world.sign_all(world.terms())
    bad = make_object("bad", more={"confidence": 101})
    intake = world.add("aurelia", make_object("good"), bad)
    assert intake.added == (object_id("report", "good"),)
    (found,) = intake.bad
    assert (found.index, found.id, found.where) == (1, bad["id"], "/objects/1/confidence")
    assert "rule maximum" in found.detail
    assert intake.clashing == frozenset()


def test_a_new_version_writes_no_more_than_what_it_changes(world: World) -> None:
    """A partner may give thousands of versions of one object: each must not cost a write for each before it."""
    connection = world.nodes["aurelia"].store._connection

    def count_changes(first: int, count: int) -> int:
        before = connection.total_changes()
        world.add("aurelia", *[make_object("a", day=first + number) for number in range(count)])
        return connection.total_changes() - before

    few, many = count_changes(1, 50), count_changes(1_001, 500)
    assert many < 12 * few


def test_what_is_marked_alike_and_of_another_type_or_marked_otherwise_has_a_label_of_its_own(world: World) -> None:
    made = [make_object("a"), make_object("b", tlp="amber"), make_object("c", kind="tool"), make_object("d")]
    for item in made:
        del item["extensions"]
    world.add("aurelia", *made, make_object("e"))
    shown = [show_object(world.nodes["aurelia"], str(item["id"])).label for item in (*made, make_object("e"))]
    assert [(*label.types, label.tlp, len(frozenset().union(*label.subjects))) for label in shown] == [
        ("report", "green", 0),
        ("report", "amber", 0),
        ("tool", "green", 0),
        ("report", "green", 0),
        ("report", "green", 1),
    ]


# --- audiences ----------------------------------------------------------------------------------------------------


def add_to(world: World, item: dict[str, Json], audiences: Audiences) -> None:
    data = json.dumps({"type": "bundle", "id": object_id("bundle", "x"), "objects": [item]}).encode()
    intake = ingest.add_objects(
        world.nodes["aurelia"], data, tags=make_tags(subjects=["national:ashfall"]), audiences=audiences
    )
    assert intake.bad == ()


def find_audience(world: World, name: str) -> frozenset[PartyId] | None:
    return show_object(world.nodes["aurelia"], object_id("report", name)).label.audience


def test_an_object_reaches_nobody_but_its_audience_whatever_terms_admit(world: World) -> None:
    world.sign_all(world.terms())
    add_to(world, make_object("a"), {object_id("report", "a"): frozenset({PartyId("aurelia")})})
    add_to(world, make_object("b"), {object_id("report", "b"): frozenset({PartyId("aurelia"), PartyId("borealia")})})
    add_to(world, make_object("c"), {})
    assert world.read("borealia").keys() == {object_id("report", "b"), object_id("report", "c")}


def test_an_audience_goes_on_to_the_next_version_unless_another_is_said(world: World) -> None:
    only = frozenset({PartyId("aurelia")})
    add_to(world, make_object("a"), {object_id("report", "a"): only})
    later = make_object("a") | {"modified": "2031-01-01T00:00:00.000Z"}
    add_to(world, later, {})
    assert find_audience(world, "a") == only
    add_to(world, later, {object_id("report", "a"): None})
    assert find_audience(world, "a") == only  # of a version that is held it only shrinks
    add_to(world, later | {"modified": "2032-01-01T00:00:00.000Z"}, {object_id("report", "a"): None})
    assert find_audience(world, "a") is None


def test_an_audience_of_what_is_referred_to_is_that_of_what_refers_to_it(world: World) -> None:
    add_to(world, make_object("a"), {object_id("report", "a"): frozenset({PartyId("aurelia")})})
    note = {"type": "note", "spec_version": "2.1", "id": object_id("note", "n"), "content": "x"}
    times = {"created": "2030-01-01T00:00:00.000Z", "modified": "2030-01-01T00:00:00.000Z"}
    add_to(world, note | times | {"object_refs": [object_id("report", "a")]}, {})
    assert show_object(world.nodes["aurelia"], object_id("note", "n")).label.audience == frozenset({PartyId("aurelia")})


@pytest.mark.parametrize("name", [b"object_marking_refs", b"object\\u005fmarking_refs"])
def test_what_is_marked_inside_an_object_is_held_back_with_it(world: World, name: bytes) -> None:
    """An observable inside observed data has markings of its own (STIX 2.1 §4.14); the object is marked green."""
    world.sign_all(world.terms(types=["observed-data"]))
    address: dict[str, Json] = {
        "type": "ipv4-addr",
        "id": object_id("ipv4-addr", "inside"),
        "value": "198.51.100.7",
        "marked": [tlp_id("red")],
    }
    seen = make_object("x", kind="observed-data", more={"number_observed": 1, "objects": {"0": address}})
    seen |= {"first_observed": "2025-01-01T00:00:00Z", "last_observed": "2025-01-01T00:00:00Z"}
    data = json.dumps({"objects": [seen]}).encode()
    assert ingest.add_objects(world.nodes["aurelia"], data.replace(b'"marked"', b'"%s"' % name), tags=make_tags()).added
    assert world.read("borealia") == {}
