# SPDX-License-Identifier: Apache-2.0
"""People say what objects are about: labels follow at once, own objects may go by it, those of others never."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import PartyId
from comity.node import ingest, retention
from comity.node.audit import audit_folder
from comity.node.classify import (
    MAX_SAID,
    Classified,
    Words,
    foresee_said,
    list_classification,
    say,
    take_back,
)
from comity.node.explain import explain, show_object
from comity.node.journal import list_entries
from comity.node.people import Waiting
from comity.release.disclosure import EntryType
from comity.stix.labels import make_tags
from tests.chains import introduce, pull_all, sign_onward
from tests.worlds import World, make_object, object_id

A, B, C = map(PartyId, ("aurelia", "borealia", "cimbria"))
X = object_id("report", "x")
FULL: Words = {"subjects": ["national:ashfall"], "regions": ["IQ"]}


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[World]:
    """Three nodes; aurelia gives borealia, and borealia gives cimbria."""
    made = World(tmp_path)
    made.found(A, B, C)
    introduce(made, [(A, B), (B, C), (A, C)])
    yield made
    made.close()


def said(world: World, name: str, words: Words, prefix: str = X) -> Classified:
    done = say(world.nodes[name], prefix, words, reason="read it", by=world.actor(name, Role.LIAISON))
    assert isinstance(done, Classified), done
    return done


def taken_back(world: World, name: str, words: Words, prefix: str = X) -> Classified:
    done = take_back(world.nodes[name], prefix, words, reason="was wrong", by=world.actor(name, Role.LIAISON))
    if isinstance(done, Waiting):
        done = take_back(world.nodes[name], prefix, words, reason="was wrong", by=world.actor(name, Role.LEGAL))
    assert isinstance(done, Classified), done
    return done


def bare(name: str = "x", *, day: int = 1) -> dict[str, Json]:
    return make_object(name, subjects=[], regions=[], day=day)


def test_what_is_said_lets_an_own_object_go_and_taken_back_keeps_it(world: World) -> None:
    world.sign_all(world.terms())
    world.add(A, bare())
    assert X not in world.read(B)
    done = said(world, A, FULL)
    assert (done.id, done.restricts_only) == (X, False)
    assert done.words == (("regions", "IQ"), ("subjects", "national:ashfall"))
    assert X in world.read(B)
    taken_back(world, A, {"regions": ["IQ"]})
    assert X not in world.read(B)


def test_every_word_is_kept_with_who_said_it_when_and_why(world: World) -> None:
    world.add(A, bare())
    said(world, A, {**FULL, "evaluation": ["europol-4x4:B2"]})
    at = world.now
    world.tick()
    taken_back(world, A, {"regions": ["IQ"]})
    shown = list_classification(world.nodes[A], X)
    kept = {tag.word: tag for tag in shown.said}
    assert kept["IQ"].person == "aurelia-liaison (liaison)"
    assert (kept["IQ"].said_at, kept["IQ"].reason) == (at, "read it")
    assert (kept["IQ"].ended_at, kept["IQ"].ended_why) == (world.now, "was wrong")
    assert kept["europol-4x4:B2"].ended_at is None
    assert shown.plain == make_tags()
    entries = [
        item for item in list_entries(world.nodes[A], start=0, limit=10) if item.leaf.type is EntryType.CLASSIFICATION
    ]
    contents = [item.content for item in entries if isinstance(item.content, dict)]
    assert [item["change"] for item in contents] == ["say", "take-back"]
    assert contents[0]["approvals"] == [
        {"person": "aurelia-liaison", "role": "liaison", "reason": None, "at": contents[0]["approvals"][0]["at"]}  # type: ignore[index,call-overload]
    ]


def test_an_evaluation_stays_in_its_own_words_and_out_of_the_object(world: World) -> None:
    world.add(A, make_object("x"))
    before = show_object(world.nodes[A], X)
    said(world, A, {"evaluation": ["admiralty:F6", "europol-4x4:X4"]})
    after = show_object(world.nodes[A], X)
    assert after.data == before.data
    assert "confidence" not in json.loads(after.data)
    assert after.label == before.label
    with pytest.raises(MalformedRequest, match="no evaluation"):
        said(world, A, {"evaluation": ["admiralty:X4"]})


def test_said_again_changes_nothing_and_is_not_on_record(world: World) -> None:
    world.add(A, bare())
    said(world, A, FULL)
    entries = len(list_entries(world.nodes[A], start=0, limit=100))
    assert said(world, A, FULL).words == ()
    assert len(list_entries(world.nodes[A], start=0, limit=100)) == entries


def test_what_the_object_says_of_itself_is_not_taken_off(world: World) -> None:
    world.add(A, make_object("x"))
    with pytest.raises(NotFoundError, match="not said of"):
        taken_back(world, A, {"regions": ["IQ"]})
    said(world, A, {"regions": ["IQ"]})
    taken_back(world, A, {"regions": ["IQ"]})
    assert show_object(world.nodes[A], X).label.regions == {frozenset({"IQ"})}


def test_a_later_version_has_the_same_words(world: World) -> None:
    world.sign_all(world.terms())
    world.add(A, bare())
    said(world, A, {**FULL, "special_categories": ["health"]})
    world.add(A, bare(day=2))
    label = show_object(world.nodes[A], X).label
    assert label.special_categories == {"health"}
    assert label.regions == {frozenset({"IQ"})}
    assert X not in world.read(B)
    taken_back(world, A, {"special_categories": ["health"]})
    assert X in world.read(B)


def test_what_refers_to_it_follows_at_once(world: World) -> None:
    world.sign_all(world.terms())
    world.add(A, make_object("x"), make_object("y", refs=[X]))
    assert object_id("report", "y") in world.read(B)
    said(world, A, {"handling": ["H1"]})
    assert world.read(B) == {}
    explained = explain(world.nodes[A], object_id("report", "y"), to=B)
    assert explained.readings[0].because == (X,)


def test_words_on_what_another_gave_only_keep_it_back(chain: World) -> None:
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, B, C, listed=[])
    chain.add(A, make_object("x", regions=["IQ"]))
    chain.add(A, make_object("untold", subjects=[], regions=["IQ"]))
    assert X in pull_all(chain, A, B)
    before = show_object(chain.nodes[B], X).label
    done = said(chain, B, {"subjects": ["national:other"], "regions": ["JO"], "kinds": ["arms"]})
    assert done.restricts_only
    label = show_object(chain.nodes[B], X).label
    assert before.subjects < label.subjects
    assert label.subjects == before.subjects | {frozenset({"national:other"})}
    assert (label.audience, label.originators) == (before.audience, before.originators)
    assert label.kinds == {"unspecified", "arms"}
    assert X not in pull_all(chain, B, C)
    taken_back(chain, B, {"subjects": ["national:other"], "regions": ["JO"], "kinds": ["arms"]})
    assert show_object(chain.nodes[B], X).label == before
    assert X in pull_all(chain, B, C)


def test_words_stay_restrictions_when_it_comes_again_another_way(chain: World) -> None:
    """What is said of it here, by people or with a file, makes no group with what its giver says."""
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, B, C, listed=[])
    chain.add(A, make_object("x", regions=["IQ"]))
    pull_all(chain, A, B)
    said(chain, B, {"regions": ["JO"]})
    ingest.add_objects(
        chain.nodes[B], json.dumps(make_object("x", regions=["IQ"])).encode(), tags=make_tags(regions=["SY"])
    )
    label = show_object(chain.nodes[B], X).label
    assert label.regions == {frozenset({"IQ"}), frozenset({"JO"})}
    assert X not in pull_all(chain, B, C)


def test_own_words_widen_no_more_once_a_partner_gave_the_same(chain: World) -> None:
    sign_onward(chain, A, B, listed=[C])
    sign_onward(chain, B, C, listed=[])
    chain.add(B, make_object("x", subjects=["national:other"], regions=["IQ"]))
    said(chain, B, {"subjects": ["national:ashfall"]})
    assert explain(chain.nodes[B], X, to=C).verdict.decision == "release"
    chain.add(A, make_object("x", subjects=["national:other"], regions=["IQ"]))
    said(chain, A, {"subjects": ["national:ashfall"]})
    assert X in pull_all(chain, A, B)
    label = show_object(chain.nodes[B], X).label
    assert label.subjects == {frozenset({"national:other"}), frozenset({"national:ashfall"})}
    assert X not in pull_all(chain, B, C)


def test_only_people_of_a_role_may(world: World) -> None:
    world.add(A, bare())
    operator = replace(world.actor(A, Role.LIAISON), role=Role.OPERATOR)
    assert isinstance(say(world.nodes[A], X, FULL, reason="x", by=operator), Refusal)
    assert list_classification(world.nodes[A], X).said == ()


def test_bad_words_are_refused_and_nothing_is_kept(world: World) -> None:
    world.add(A, bare())
    for words, match in (
        ({"regions": ["Iraq"]}, "ISO 3166"),
        ({"religion": ["any"]}, "cannot be said"),
        ({"subjects": ["no scheme"]}, "scheme:id"),
        ({}, "at least one word"),
    ):
        with pytest.raises(MalformedRequest, match=match):
            said(world, A, words)
    assert list_classification(world.nodes[A], X).said == ()


def test_an_object_has_room_for_so_many_words(world: World) -> None:
    world.add(A, bare())
    said(world, A, {"subjects": [f"national:s{number}" for number in range(MAX_SAID)]})
    with pytest.raises(ConflictError, match="which is the bound"):
        said(world, A, {"subjects": ["national:one-more"]})
    assert len(list_classification(world.nodes[A], X).said) == MAX_SAID


def test_what_is_foreseen_is_what_then_happens(world: World) -> None:
    world.sign_all(world.terms())
    world.add(A, bare(), make_object("y", refs=[X]), make_object("z"))
    given = world.read(B)
    (effect,) = foresee_said(world.nodes[A], X, FULL)
    assert set(effect.gained) == {X, object_id("report", "y")}
    assert (effect.lost, effect.changed, effect.closed) == ((), (), None)
    assert world.read(B) == given
    said(world, A, FULL)
    assert set(world.read(B)) - set(given) == set(effect.gained)
    (effect,) = foresee_said(world.nodes[A], X, {"handling": ["H2"]})
    assert dict(effect.lost) == dict.fromkeys([X, object_id("report", "y")], "handling")
    said(world, A, {"handling": ["H2"]})
    assert set(world.read(B)) == {object_id("report", "z")}


def test_with_the_object_goes_what_was_said_of_it(world: World) -> None:
    world.add(A, bare())
    said(world, A, {"special_categories": ["health"]})
    retention.delete(world.nodes[A], X, reason="not needed")
    with world.nodes[A].store.read() as transaction:
        assert transaction.rows("SELECT * FROM tag") == []
        assert transaction.rows("SELECT * FROM said") == []


def test_the_audit_finds_nothing(world: World) -> None:
    world.sign_all(world.terms())
    world.add(A, bare())
    said(world, A, FULL)
    assert X in world.read(B)
    taken_back(world, A, FULL)
    assert world.read(B) == {}
    audited = audit_folder(world.folder / A, now=world.now)
    assert audited.found == 0
