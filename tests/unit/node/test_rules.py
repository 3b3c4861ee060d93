# SPDX-License-Identifier: Apache-2.0
"""Rule sets are shown before they are applied, applied as one act, applied again to no effect, and taken back."""

import json

import pytest

from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.classification.lists import parse_subject_list
from comity.classification.rules import RuleSet, convert_rules
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import PartyId
from comity.node import rules as ruling
from comity.node.audit import audit_folder
from comity.node.classify import Classified, list_classification, say
from comity.node.journal import list_entries
from comity.node.lists import Loaded, load_list
from comity.node.people import Actor, Waiting, identify
from comity.node.rules import (
    AppliedRules,
    Foreseen,
    apply_rules,
    end_rules,
    find_unfinished,
    foresee_rules,
    resume_rules,
)
from comity.node.steps import advance, finish
from comity.release.disclosure import EntryType
from tests.chains import introduce, pull_all
from tests.worlds import World, make_object, object_id

A, B = map(PartyId, ("aurelia", "borealia"))
RULES = """
format = "comity-rules/1"
name = "harbour"

[[rules]]
id = "relays"
why = "relays of the harbour"
[rules.when]
types = ["report"]
name_words = ["relay"]
[rules.say]
subjects = ["national:ashfall"]
regions = ["IQ"]

[[rules]]
id = "closed"
why = "the source asked for it"
[rules.when]
labels = ["closed-source"]
[rules.say]
handling = ["H2"]
"""


def parse(text: str = RULES) -> RuleSet:
    rules = convert_rules(text.encode())
    assert isinstance(rules, RuleSet), rules
    return rules


def add(world: World, *names: str, **more: object) -> None:
    world.add(A, *(make_object(name, subjects=[], regions=[], **more) for name in names))  # type: ignore[arg-type]


def foresee(world: World, rules: RuleSet) -> Foreseen:
    return finish(foresee_rules(world.nodes[A], rules))


def apply(world: World, rules: RuleSet) -> AppliedRules:
    done: object = None
    for role in (Role.LIAISON, Role.LEGAL):
        done = finish(apply_rules(world.nodes[A], rules, reason="case 12", by=world.actor(A, role)))
        if isinstance(done, AppliedRules):
            return done
    raise AssertionError(done)


def end(world: World, name: str = "harbour") -> AppliedRules:
    done = finish(end_rules(world.nodes[A], name, reason="closed", by=world.actor(A)))
    assert isinstance(done, AppliedRules), done
    return done


def words(world: World, name: str) -> set[str]:
    said = list_classification(world.nodes[A], object_id("report", name)).said
    return {tag.word for tag in said if tag.ended_at is None}


def test_what_is_foreseen_is_what_then_happens(world: World) -> None:
    world.sign_all(world.terms())
    add(world, "Relay one", "Relay two", "Other")
    world.add(A, make_object("Open", more={"labels": ["closed-source"]}))
    given = set(world.read(B))
    seen = foresee(world, parse())
    assert seen.looked_at == 4
    (effect,) = seen.effects
    assert set(effect.gained) == {object_id("report", name) for name in ("Relay one", "Relay two")}
    assert effect.lost == ((object_id("report", "Open"), "handling"),)
    assert set(world.read(B)) == given
    done = apply(world, parse())
    assert (done.said, done.ended, done.objects) == (len(seen.steps), 0, 3)
    assert set(world.read(B)) == (given | set(effect.gained)) - {name for name, _ in effect.lost}
    assert audit_folder(world.folder / A, now=world.now).found == 0


def test_two_people_apply_it_and_one_act_is_on_record(world: World) -> None:
    add(world, "Relay one", "Relay two")
    first = finish(apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A)))
    assert isinstance(first, Waiting)
    assert words(world, "Relay one") == set()
    second = finish(apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A, Role.LIAISON)))
    assert isinstance(second, AppliedRules)
    assert words(world, "Relay one") == {"national:ashfall", "IQ"}
    entries = [e for e in list_entries(world.nodes[A], start=0, limit=99) if e.leaf.type is EntryType.CLASSIFICATION]
    assert len(entries) == 1
    assert isinstance(entries[0].content, dict)
    assert entries[0].content["about"] == {"rules": parse().digest, "name": "harbour"}
    assert entries[0].leaf.count == 2


def test_applied_again_it_changes_nothing_and_needs_nobody(world: World) -> None:
    add(world, "Relay one")
    apply(world, parse())
    entries = len(list_entries(world.nodes[A], start=0, limit=99))
    again = finish(apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A)))
    assert isinstance(again, AppliedRules)
    assert (again.said, again.ended, again.objects) == (0, 0, 0)
    assert len(list_entries(world.nodes[A], start=0, limit=99)) == entries


def test_what_meets_it_no_more_loses_its_words(world: World) -> None:
    add(world, "Relay one")
    apply(world, parse())
    world.tick()
    world.add(
        A,
        make_object("Relay one", subjects=[], regions=[], day=2, more={"name": "Something else"}),
    )
    done = apply(world, parse())
    assert (done.said, done.ended) == (0, 2)
    assert words(world, "Relay one") == set()


def test_taken_back_only_what_it_alone_said_goes(world: World) -> None:
    add(world, "Relay one", "Relay two")
    done = say(world.nodes[A], object_id("report", "Relay one"), {"regions": ["IQ"]}, reason="seen", by=world.actor(A))
    assert isinstance(done, Classified)
    apply(world, parse())
    apply(world, parse(RULES.replace("harbour", "second")))
    ended = end(world)
    assert (ended.said, ended.ended, ended.objects) == (0, 4, 2)
    assert words(world, "Relay two") == {"national:ashfall", "IQ"}
    end(world, "second")
    assert words(world, "Relay one") == {"IQ"}
    assert words(world, "Relay two") == set()


def test_it_is_done_by_parts_and_goes_on_after_a_crash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruling, "_SAID_AT_ONCE", 2)
    monkeypatch.setattr(ruling, "_READ_AT_ONCE", 2)
    world.sign_all(world.terms())
    names = [f"Relay {number}" for number in range(5)]
    add(world, *names)
    finish(apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A)))
    steps = apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A, Role.LIAISON))
    turns = 0
    while not find_unfinished(world.nodes[A]) or not any(words(world, name) for name in names):
        assert advance(steps) is None
        turns += 1
    steps.close()
    assert turns > 2
    assert 0 < sum(bool(words(world, name)) for name in names) < 5
    world.nodes[A].close()
    world.open(A)
    (digest,) = find_unfinished(world.nodes[A])
    finish(resume_rules(world.nodes[A], digest))
    assert all(words(world, name) == {"national:ashfall", "IQ"} for name in names)
    assert len(world.read(B)) == 5


def test_what_another_party_gave_is_left_to_people(world: World) -> None:
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    world.add(B, make_object("Relay one"))
    introduce(world, [(A, B)])
    assert pull_all(world, B, A)
    assert foresee(world, parse()).steps == ()


def test_names_on_a_list_say_its_subject_and_poor_aliases_say_nothing(world: World) -> None:
    listed = {
        "format": "comity-subject-list/1",
        "list": "national",
        "version": "2026-01-01",
        "entries": [
            {
                "subject": "national:ashfall",
                "kind": "entity",
                "names": ["Ashfall Front"],
                "aliases": [{"name": "AF", "quality": "low"}, {"name": "Front of Ash", "quality": "good"}],
            }
        ],
    }
    head = 'format = "comity-rules/1"\nname = "listed"\n[[rules]]\nid = "on"\nwhy = "w"\n'
    text = f'{head}[rules.when]\nnamed_on = "national"'
    add(world, "ASHFALL  Front", "AF", "Front of Ash")
    with pytest.raises(NotFoundError, match="no list national"):
        foresee(world, parse(text))
    loaded = load_list(world.nodes[A], parse_subject_list(json.dumps(listed).encode()), reason="r", by=world.actor(A))
    assert isinstance(loaded, Loaded)
    apply(world, parse(text))
    assert words(world, "ASHFALL  Front") == {"national:ashfall"}
    assert words(world, "Front of Ash") == {"national:ashfall"}
    assert words(world, "AF") == set()
    (tag,) = list_classification(world.nodes[A], object_id("report", "Front of Ash")).said
    assert (tag.list, tag.version, tag.rules, tag.person) == ("national", "2026-01-01", parse(text).digest, None)
    with pytest.raises(MalformedRequest, match="is not on the list"):
        foresee(world, parse(text + '\n[rules.say]\nsubjects = ["national:nobody"]'))


def test_a_role_that_may_not_is_refused(world: World) -> None:
    add(world, "Relay one")
    badge = world.register(A, "op", Role.OPERATOR)
    done = finish(apply_rules(world.nodes[A], parse(), reason="r", by=Actor(person=identify(world.nodes[A], badge))))
    assert isinstance(done, Refusal)
    assert words(world, "Relay one") == set()
