# SPDX-License-Identifier: Apache-2.0
"""Words that keep an object back stay with its later versions until people take them back."""

import json
from typing import Any

import pytest

from comity.agreement.people import Role
from comity.ids import PartyId
from comity.node.audit import audit_folder
from comity.node.classify import Classified, list_classification, take_back
from comity.node.explain import show_object
from comity.node.files import Bytes
from comity.node.intake import Plan, take_file
from comity.node.lasting import EARLIER
from comity.node.people import Waiting
from comity.stix.labels import Label, make_tags
from comity.stix.tags import CLASSIFICATION_EXTENSION
from comity.store.tags import StoredTag, add_tags
from tests.chains import introduce, pull_all
from tests.unit.node.test_rules import GUARD, apply, parse
from tests.worlds import World, make_object, object_id

A, B = map(PartyId, ("aurelia", "borealia"))
X = object_id("report", "x")


def make(day: int, key: str = "x", /, **words: list[str]) -> dict[str, Any]:
    value = make_object(key, day=day)
    extensions = value["extensions"]
    assert isinstance(extensions, dict)
    extension = extensions[CLASSIFICATION_EXTENSION]
    assert isinstance(extension, dict)
    return value | {"extensions": {CLASSIFICATION_EXTENSION: {**extension, **words}}}


def label(world: World) -> Label:
    return show_object(world.nodes[A], X).label


def said(world: World) -> list[StoredTag]:
    return [tag for tag in list_classification(world.nodes[A], X).said if tag.ended_at is None]


def take_back_at(world: World, party: PartyId) -> Classified:
    """The next version, without the handling code, with which people there let it go."""
    world.add(party, make(2))
    done = take_back(world.nodes[party], X, {"handling": ["H2"]}, reason="an error", by=world.actor(party))
    assert isinstance(done, Classified), done
    return done


def findings(world: World) -> int:
    return audit_folder(world.folder / A, now=world.now).found


@pytest.mark.parametrize(
    ("field", "word"), [("special_categories", "health"), ("person_classes", "minor"), ("handling", "H2")]
)
def test_what_keeps_back_stays_though_the_next_version_does_not_say_it(world: World, field: str, word: str) -> None:
    world.sign_all(world.terms())
    world.add(A, make(1, **{field: [word]}))
    world.tick()
    world.add(A, make(2))
    assert getattr(label(world), field) >= {word}
    assert world.read(B) == {}
    (tag,) = said(world)
    assert (tag.field, tag.word, tag.person, "2025-01-02" in tag.reason) == (field, word, EARLIER, True)
    world.tick()
    world.add(A, make(3))
    assert getattr(label(world), field) >= {word}
    assert len(said(world)) == 1
    assert findings(world) == 0


def test_a_safeguard_of_an_earlier_version_is_taken_back_by_two_people_and_then_stays_so(world: World) -> None:
    world.sign_all(world.terms())
    world.add(A, make(1, special_categories=["health"]))
    world.tick()
    world.add(A, make(2))
    world.tick()
    words = {"special_categories": ["health"]}
    first = take_back(world.nodes[A], X, words, reason="an error", by=world.actor(A, Role.LIAISON))
    assert isinstance(first, Waiting)
    assert world.read(B) == {}
    done = take_back(world.nodes[A], X, words, reason="an error", by=world.actor(A, Role.LEGAL))
    assert isinstance(done, Classified)
    assert set(world.read(B)) == {X}
    world.tick()
    world.add(A, make(3))
    assert (said(world), label(world).special_categories) == ([], frozenset())
    assert findings(world) == 0


def test_versions_that_come_together_or_the_wrong_way_round_lose_nothing_either(world: World) -> None:
    world.add(A, make(2), make(1, special_categories=["health"]))
    assert label(world).special_categories == {"health"}
    world.tick()
    world.add(A, make(4))
    world.add(A, make(3, handling=["H1"]))
    assert label(world).special_categories == {"health"}
    assert label(world).handling == {"H1"}


def test_what_lets_an_object_go_and_what_is_still_said_are_not_said_again(world: World) -> None:
    world.add(A, make(1, special_categories=["health"], kinds=["identity"]))
    world.tick()
    world.add(A, make(2, special_categories=["health"]))
    assert said(world) == []
    assert "identity" not in label(world).kinds


def test_what_people_or_rules_say_is_not_said_by_a_version_too(world: World) -> None:
    world.add(A, make(1, handling=["H2"]), make_object("Clinic list"))
    apply(world, parse(GUARD))
    world.tick()
    world.add(A, make(3), make_object("Clinic list", day=2))
    world.add(A, make(2, handling=["H2"]))
    assert [(tag.word, tag.person) for tag in said(world)] == [("H2", EARLIER)]
    (tag,) = list_classification(world.nodes[A], object_id("report", "Clinic list")).said
    assert tag.rules == parse(GUARD).digest


def test_what_is_found_in_a_field_stays_when_the_field_goes(world: World) -> None:
    world.add(A, make_object("x", more={"x_health": "an illness"}))
    world.tick()
    world.add(A, make_object("x", day=2))
    assert label(world).special_categories == {"health"}


def test_words_that_were_given_to_a_file_do_not_make_a_later_one_go(world: World) -> None:
    def take(day: int, **more: Any) -> None:  # noqa: ANN401 (what a plan says)
        data = json.dumps(make_object("x", subjects=[], regions=[], day=day)).encode()
        take_file(world.nodes[A], Bytes(f"{day}.json", data), Plan(**more))

    world.sign_all(world.terms())
    take(1, tags=make_tags(subjects=["national:ashfall"], regions=["IQ"], handling=["H2"]))
    assert world.read(B) == {}
    take(2)
    assert (said(world)[0].word, label(world).subjects) == ("H2", frozenset({frozenset()}))


def test_what_a_partner_gave_is_as_its_giver_says(world: World) -> None:
    terms = world.terms(giver="borealia", receivers=("aurelia",), channel_extra='handling = ["H2"]\n')
    world.sign_all(terms, proposer="borealia")
    world.add(B, make(1, handling=["H2"]))
    introduce(world, [(A, B)])
    assert pull_all(world, B, A)
    assert label(world).handling == {"H2"}
    world.tick()
    assert take_back_at(world, B).id == X
    assert pull_all(world, B, A)
    assert (len(list_classification(world.nodes[A], X).said), label(world).handling) == (0, frozenset())


def test_an_audit_finds_a_word_that_no_version_said(world: World) -> None:
    world.add(A, make(1, handling=["H2"]))
    world.tick()
    world.add(A, make(2))
    (tag,) = said(world)
    assert findings(world) == 0
    with world.nodes[A].act() as act:
        forged = {"key": 0, "word": "H3", "said_at": act.now}
        fields = {name: getattr(tag, name) for name in StoredTag.__slots__} | forged
        add_tags(act.transaction, [StoredTag(**fields)])
    assert findings(world) == 1
