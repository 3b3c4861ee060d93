# SPDX-License-Identifier: Apache-2.0
"""What a node knows by itself is found in articles: its own organisations and groups, and the lists it loaded."""

import json

import pytest

from comity.agreement.people import Role
from comity.articles import read_rules
from comity.canonical import Json
from comity.cli.words.articles import describe_article
from comity.errors import MalformedRequest
from comity.ids import PartyId
from comity.intake.article.gazetteer import parse_gazetteer
from comity.intake.formats import Format
from comity.node import known
from comity.node.articles import ArticlePlan, add_article, describe_head, list_articles, show_article
from comity.node.known import learn_bodies, list_known
from comity.node.lists import load_list, read_list
from comity.node.retention import delete
from comity.operations.articles import show
from comity.operations.outcome import Arguments
from tests.worlds import World, make_object, object_id

A = PartyId("aurelia")
TEXT = "Talks\n\nMarch 4, 2031\n\nThe Border Group met the Rimward Front in Lisbon.\n"


def name(key: str, called: str, kind: str = "identity", **more: Json) -> dict[str, Json]:
    return make_object(key, kind=kind) | {"name": called, **more}


def load(world: World, *entries: dict[str, Json]) -> None:
    said = {"format": "comity-subject-list/1", "list": "national", "version": "1", "entries": [*entries]}
    by = world.actor(A, Role.LEGAL)
    load_list(world.nodes[A], read_list(world.nodes[A], json.dumps(said).encode()), reason="its first version", by=by)


def entity(subject: str, *names: str, kind: str = "entity") -> dict[str, Json]:
    return {"subject": subject, "kind": kind, "names": [*names]}


def find_names(world: World, given: bytes = b"") -> dict[str, str]:
    found = parse_gazetteer(list_known(world.nodes[A], given=given).data, rules=read_rules()).known
    return {one.name: one.id for one in found.values()}


def test_own_organisations_and_listed_entities_are_known(world: World) -> None:
    world.add(
        A,
        name("g", "Border Group", identity_class="group"),
        name("p", "Vera Holt", identity_class="individual"),
        name("u", "Nadia Vell", identity_class="unspecified"),
        name("t", "Harbour Trust", "intrusion-set", aliases=["HTrust"]),
    )
    load(
        world,
        entity("national:rimward", "Rimward Front"),
        entity("national:holt", "Otto Holt", kind="individual"),
    )
    assert find_names(world) == {
        "Border Group": f"stix:{object_id('identity', 'g')}",
        "Harbour Trust": f"stix:{object_id('intrusion-set', 't')}",
        "Rimward Front": "national:rimward",
    }


def test_an_article_is_read_by_what_is_known(world: World) -> None:
    world.add(A, name("g", "Border Group", identity_class="group"))
    load(world, entity("national:rimward", "Rimward Front"))
    added = add_article(world.nodes[A], TEXT.encode(), "talks.txt", ArticlePlan(form=Format.TEXT))
    found, _ = show_article(world.nodes[A], str(added.article.number))
    named = {each.item.draft.title for each in found.drafts if each.item.draft.kind.value == "organisation"}
    assert any("Border Group" in title for title in named), named
    assert any("Rimward Front" in title for title in named), named


@pytest.mark.parametrize("called", ["MARROW FORD", "THE MARROW FORD IN THE NORTH", "RIMWARD"])
def test_a_name_that_a_list_writes_in_capitals_is_found_as_articles_write_it(world: World, called: str) -> None:
    load(world, entity("national:ford", called), entity("national:us", "MET"))
    text = f"Talks\n\nMarch 4, 2031\n\nThey met {called.title().replace(' The ', ' the ').replace(' In ', ' in ')}.\n"
    added = add_article(world.nodes[A], text.encode(), "talks.txt", ArticlePlan(form=Format.TEXT))
    found, _ = show_article(world.nodes[A], str(added.article.number))
    named = [each.item.draft.title for each in found.drafts if each.item.draft.kind.value == "organisation"]
    assert len(named) == 1, named
    assert called in named[0], named


def test_what_a_person_gives_comes_first_and_a_name_counts_once(world: World) -> None:
    world.add(A, name("g", "Border Group", identity_class="group"))
    load(world, entity("national:border", "border group"), entity("national:rimward", "Rimward Front"))
    given = b'[[known]]\nid = "unsc:QDe.901"\nname = "Rimward Front"\n'
    assert find_names(world, given) == {
        "Rimward Front": "unsc:QDe.901",
        "Border Group": f"stix:{object_id('identity', 'g')}",
    }
    with pytest.raises(MalformedRequest):
        list_known(world.nodes[A], given=b"no toml")


def test_an_id_counts_once_whatever_it_is_called(world: World) -> None:
    """Twice in a gazetteer it would be refused, and no article could be added any more."""
    load(world, entity("national:rimward", "Rimward Front"))
    given = b'[[known]]\nid = "national:rimward"\nname = "The Front of the Rim"\n'
    assert find_names(world, given) == {"The Front of the Rim": "national:rimward"}


def test_what_no_gazetteer_may_hold_is_left_out_and_the_rest_stays(world: World) -> None:
    world.add(
        A,
        name("m", "Muslims", identity_class="group"),
        name("l", "L" * 300, identity_class="group"),
        name("c", "Border\u202eGroup", identity_class="group"),
        name("q", 'Quote " and \\ and é and 😀 Group', identity_class="group"),
    )
    assert list(find_names(world)) == ['Quote " and \\ and é and 😀 Group']


def test_it_is_bounded(world: World) -> None:
    many = [entity(f"national:n{number}", f"Organisation number {number} {'x' * 150}") for number in range(4_000)]
    load(world, *many)
    made = list_known(world.nodes[A])
    assert len(made.data) < 460_000
    found = parse_gazetteer(made.data, rules=read_rules()).known
    assert 1_000 < len(found) < 4_000
    assert len(found) + made.left_out == 4_000


def test_persons_take_no_place_from_organisations(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of the UN has hundreds of persons, and whoever takes it in knows the organisations of before still."""
    monkeypatch.setattr(known, "_MOST_OBJECTS", 2)
    world.add(
        A, name("g", "Border Group", identity_class="group"), name("o", "Rimward Front", identity_class="organization")
    )
    world.add(A, *(name(f"p{number}", f"Vera Holt {number}", identity_class="individual") for number in range(5)))
    world.add(
        A, *(name(f"u{number}", f"Nadia Vell {number}") | {"identity_class": "unspecified"} for number in range(3))
    )
    assert list_known(world.nodes[A]).left_out == 0
    assert [*find_names(world)] == ["Rimward Front", "Border Group"]


def test_who_came_or_went_since_is_known_at_the_next_article(world: World) -> None:
    node = world.nodes[A]
    world.add(A, name("g", "Border Group", identity_class="group"))
    assert [*find_names(world)] == ["Border Group"]
    world.add(A, name("o", "Rimward Front", identity_class="organization"))
    assert [*find_names(world)] == ["Rimward Front", "Border Group"]
    delete(node, object_id("identity", "o"), reason="Taken in by mistake.")
    assert [*find_names(world)] == ["Border Group"]


def test_others_get_turns_while_identities_are_looked_through(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_AT_ONCE", 2)
    world.add(A, *(name(f"p{number}", f"Vera Holt {number}", identity_class="individual") for number in range(7)))
    assert len([*learn_bodies(world.nodes[A])]) >= 3
    assert not [*learn_bodies(world.nodes[A])]


def test_what_is_not_looked_for_is_counted_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [name(f"g{number}", f"Border Group {number}", identity_class="group") for number in range(5)]
    world.add(A, *groups, name("t", "Harbour Trust", "intrusion-set"))
    assert list_known(world.nodes[A]).left_out == 0
    monkeypatch.setattr(known, "_MOST_OBJECTS", 2)
    made = list_known(world.nodes[A])
    assert len(parse_gazetteer(made.data, rules=read_rules()).known) == 3
    assert made.left_out == 3
    added = add_article(world.nodes[A], TEXT.encode(), "talks.txt", ArticlePlan(form=Format.TEXT))
    (listed, _) = list_articles(world.nodes[A], last=1)[0]
    assert describe_head(listed)["read_by"]["left_out"] == 3
    shown = show(world.nodes[A], Arguments({"id": str(added.article.number), "from": 0, "most": 1})).result
    assert "3 that the node knows were too many to be looked for" in describe_article(dict(shown or {}))
