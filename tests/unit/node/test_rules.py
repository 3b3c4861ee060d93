# SPDX-License-Identifier: Apache-2.0
"""Rule sets are shown before they are applied, applied as one act, applied again to no effect, and taken back."""

import json

import pytest

from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.classification import traits
from comity.classification.lists import parse_subject_list
from comity.classification.rules import RuleSet, convert_rules
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import PartyId
from comity.node import effects, ruled
from comity.node import rules as ruling
from comity.node.audit import audit_folder
from comity.node.classify import Classified, list_classification, say, take_back
from comity.node.files import Bytes
from comity.node.intake import Plan, take_file
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
from comity.node.tagging import settle
from comity.release.disclosure import EntryType
from comity.store.rulesets import RuleStep
from comity.store.tags import add_tags
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


def test_effects_that_are_worked_out_by_parts_are_those_of_the_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for title in ("One", "Another"):
        world.sign_all(world.terms(title=title))
    add(world, "Relay one", "Relay two", "Relay three")
    world.add(A, make_object("Open", more={"labels": ["closed-source"]}), make_object("Relay on", refs=[]))
    whole, steps = foresee(world, parse()), len([*foresee_rules(world.nodes[A], parse())])
    monkeypatch.setattr(effects, "_AT_ONCE", 1)
    assert foresee(world, parse()) == whole
    assert len({effect.agreement for effect in whole.effects}) == 2
    assert all(len(effect.gained) == 3 and len(effect.lost) == 1 for effect in whole.effects)
    assert len([*foresee_rules(world.nodes[A], parse())]) > steps


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


# --- what comes in later ----------------------------------------------------------------------------------------------

GUARD = """
format = "comity-rules/1"
name = "guard"
[[rules]]
id = "clinic"
why = "files of the clinic"
[rules.when]
name_words = ["clinic"]
[rules.say]
special_categories = ["health"]
"""


def test_what_comes_in_later_is_restricted_before_it_can_go(world: World) -> None:
    world.sign_all(world.terms())
    apply(world, parse(GUARD))
    entries = len(list_entries(world.nodes[A], start=0, limit=99))
    world.add(A, make_object("Clinic list"), make_object("Open list"))
    assert set(world.read(B)) == {object_id("report", "Open list")}
    (tag,) = list_classification(world.nodes[A], object_id("report", "Clinic list")).said
    assert (tag.word, tag.rules, tag.reason) == ("health", parse(GUARD).digest, "clinic: files of the clinic")
    entered = list_entries(world.nodes[A], start=entries, limit=99)
    assert all(one.leaf.type is not EntryType.CLASSIFICATION for one in entered)
    assert audit_folder(world.folder / A, now=world.now).found == 0


def test_a_set_that_stands_and_is_refused_by_now_is_ended_before_anything_comes_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(world, parse())
    monkeypatch.setattr(traits, "_WORDS", traits._WORDS | {"relay"})
    ruled._parse.cache_clear()
    with pytest.raises(ConflictError, match="rules end"):
        add(world, "a")
    end(world)
    add(world, "a")
    monkeypatch.undo()
    ruled._parse.cache_clear()


def test_a_newer_version_is_restricted_with_all_before_it(world: World) -> None:
    world.sign_all(world.terms())
    apply(world, parse(GUARD))
    world.add(A, make_object("List"))
    assert set(world.read(B)) == {object_id("report", "List")}
    world.tick()
    world.add(A, make_object("List", day=2, more={"name": "Clinic list"}))
    assert words(world, "List") == {"health"}
    world.tick()
    world.add(A, make_object("List", day=3, more={"name": "List again"}))
    assert words(world, "List") == {"health"}  # a word never goes because an object was written anew


def test_a_set_that_lets_go_says_so_of_later_ones_too_until_it_ends(world: World) -> None:
    world.sign_all(world.terms())
    apply(world, parse())
    add(world, "Relay one")
    assert set(world.read(B)) == {object_id("report", "Relay one")}
    world.tick()
    end(world)
    world.tick()
    add(world, "Relay two")
    assert words(world, "Relay two") == set()
    assert audit_folder(world.folder / A, now=world.now).found == 0


def test_a_set_that_nobody_applied_for_later_objects_says_nothing_of_them(world: World) -> None:
    add(world, "Relay one")
    apply(world, parse())
    with world.nodes[A].act() as act:
        act.transaction.run("UPDATE rule_set SET standing = 0")  # as one that was applied before there was such a thing
    # Nothing would change of what is held, and yet two people are asked: it is to stand.
    assert isinstance(finish(apply_rules(world.nodes[A], parse(), reason="r", by=world.actor(A))), Waiting)
    add(world, "Relay two")
    assert words(world, "Relay two") == set()
    first = finish(apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A)))
    assert isinstance(first, Waiting)
    apply(world, parse())
    add(world, "Relay three")
    assert words(world, "Relay two") == words(world, "Relay three") == {"national:ashfall", "IQ"}


def test_what_comes_in_while_a_set_is_being_applied_gets_its_words(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruling, "_READ_AT_ONCE", 1)
    add(world, "Relay one", "Relay two")
    finish(apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A)))
    steps = apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A, Role.LIAISON))
    assert advance(steps) is None
    assert advance(steps) is None
    world.tick()
    add(world, "Relay three")
    world.add(A, make_object("Relay one", subjects=[], regions=[], day=2, more={"name": "Something else"}))
    while advance(steps) is None:
        pass
    assert words(world, "Relay two") == words(world, "Relay three") == {"national:ashfall", "IQ"}
    assert words(world, "Relay one") == set()


def test_a_word_that_was_to_end_stays_where_a_newer_version_meets_the_rule(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ruling, "_SAID_AT_ONCE", 1)
    add(world, "Relay one", "Relay two")
    apply(world, parse())
    world.tick()
    for name in ("Relay one", "Relay two"):
        world.add(A, make_object(name, subjects=[], regions=[], day=2, more={"name": "Something else"}))
    finish(apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A)))
    steps = apply_rules(world.nodes[A], parse(), reason="case 12", by=world.actor(A, Role.LIAISON))
    while not find_unfinished(world.nodes[A]):
        assert advance(steps) is None
    left = {name for name in ("Relay one", "Relay two") if words(world, name)}
    world.tick()
    for name in left:
        add(world, name, day=3)
    while advance(steps) is None:
        pass
    assert left
    assert all(words(world, name) == {"national:ashfall", "IQ"} for name in left)


def test_a_word_that_a_person_took_off_is_not_said_again_by_the_set(world: World) -> None:
    add(world, "Relay one")
    apply(world, parse())
    taken = take_back(
        world.nodes[A], object_id("report", "Relay one"), {"regions": ["IQ"]}, reason="r", by=world.actor(A)
    )
    assert isinstance(taken, Classified)
    world.tick()
    add(world, "Relay one", day=2)
    assert words(world, "Relay one") == {"national:ashfall"}


def test_an_older_version_and_what_a_partner_gave_say_nothing(world: World) -> None:
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
    apply(world, parse())
    world.add(A, make_object("Relay old", subjects=[], regions=[], day=3, more={"name": "Something else"}))
    add(world, "Relay old", day=2)
    assert words(world, "Relay old") == set()
    world.add(B, make_object("Relay theirs"))
    introduce(world, [(A, B)])
    assert pull_all(world, B, A)
    assert words(world, "Relay theirs") == set()
    data = json.dumps(make_object("Relay theirs")).encode()
    take_file(world.nodes[A], Bytes("theirs.json", data), Plan())
    assert words(world, "Relay theirs") == set()


def test_rules_may_ask_for_the_file_also_where_the_object_was_held(world: World) -> None:
    rules = parse(RULES.replace('name_words = ["relay"]', 'files = ["harbour.json"]'))
    apply(world, rules)
    data = json.dumps(make_object("Plain", subjects=[], regions=[])).encode()
    take_file(world.nodes[A], Bytes("other.json", data), Plan())
    assert words(world, "Plain") == set()
    take_file(world.nodes[A], Bytes("harbour.json", b'{"objects":[' + data + b"]}"), Plan())
    assert words(world, "Plain") == {"national:ashfall", "IQ"}


def test_an_object_with_too_many_words_is_not_taken_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    apply(world, parse())
    monkeypatch.setattr(ruled, "MAX_SAID", 1)
    data = json.dumps(make_object("Relay one", subjects=[], regions=[])).encode()
    taken = take_file(world.nodes[A], Bytes("a.json", data), Plan())
    assert [("rules in force" in one.reason, taken.added) for one in taken.bad] == [(True, ())]


def test_whom_a_later_version_lists_is_not_let_go_by_a_set_that_stands_until_two_people_apply_it(world: World) -> None:
    def load(version: str, name: str) -> None:
        entry: Json = {"subject": "national:ashfall", "kind": "entity", "names": [name], "aliases": []}
        listed: Json = {"format": "comity-subject-list/1", "list": "national", "version": version, "entries": [entry]}
        load_list(world.nodes[A], parse_subject_list(json.dumps(listed).encode()), reason="r", by=world.actor(A))

    text = (
        'format = "comity-rules/1"\nname = "on"\n[[rules]]\nid = "on"\nwhy = "w"\n[rules.when]\nnamed_on = "national"\n'
        '[rules.say]\nregions = ["IQ"]\nhandling = ["H2"]\n'
    )
    load("2026-01-01", "Ashfall Front")
    apply(world, parse(text))
    load("2026-02-01", "Front of Ash")
    add(world, "Ashfall Front", "Front of Ash")
    every = {"national:ashfall", "IQ", "H2"}
    assert (words(world, "Ashfall Front"), words(world, "Front of Ash")) == (every, {"H2"})
    done = apply(world, parse(text))
    assert (done.said, done.ended) == (2, 3)
    add(world, "FRONT of ash")
    assert words(world, "FRONT of ash") == every
    # The same names: nothing changes of what is held, and yet two people are asked, as it stands by that version then.
    load("2026-03-01", "Front of Ash")
    again = finish(apply_rules(world.nodes[A], parse(text), reason="r", by=world.actor(A)))
    assert isinstance(again, Waiting)


def test_an_audit_finds_a_word_that_a_set_said_after_its_end(world: World) -> None:
    add(world, "Relay one", "Relay two")
    apply(world, parse())
    world.tick()
    end(world)
    world.tick()
    assert audit_folder(world.folder / A, now=world.now).found == 0
    with world.nodes[A].act() as act:
        step = RuleStep(object=object_id("report", "Relay two"), field="regions", word="IQ", why="w", ends=False)
        add_tags(act.transaction, [ruled.make_tag(act.transaction, step, parse().digest, now=act.now)])
        settle(act.transaction, [step.object], A)
    assert audit_folder(world.folder / A, now=world.now).found == 1


# --- safeguards -------------------------------------------------------------------------------------------------------


def test_a_set_that_says_a_safeguard_is_ended_by_two_people_one_of_them_legal(world: World) -> None:
    world.sign_all(world.terms())
    world.add(A, make_object("Clinic list"))
    apply(world, parse(GUARD))
    world.tick()
    first = finish(end_rules(world.nodes[A], "guard", reason="closed", by=world.actor(A, Role.LIAISON)))
    assert isinstance(first, Waiting)
    assert words(world, "Clinic list") == {"health"}
    assert world.read(B) == {}
    done = finish(end_rules(world.nodes[A], "guard", reason="closed", by=world.actor(A, Role.LEGAL)))
    assert isinstance(done, AppliedRules)
    assert {item.role for item in done.approvals} == {Role.LIAISON, Role.LEGAL}
    assert words(world, "Clinic list") == set()
    assert audit_folder(world.folder / A, now=world.now).found == 0


def test_a_set_applied_again_takes_a_safeguard_back_by_as_many(world: World) -> None:
    world.add(A, make_object("Clinic list"))
    apply(world, parse(GUARD))
    world.tick()
    world.add(A, make_object("Clinic list", day=2, more={"name": "List"}))
    analysts = [Actor(person=identify(world.nodes[A], world.register(A, name, Role.ANALYST))) for name in ("x", "y")]
    for by in analysts:
        assert isinstance(finish(apply_rules(world.nodes[A], parse(GUARD), reason="again", by=by)), Waiting)
    assert words(world, "Clinic list") == {"health"}
    done = finish(apply_rules(world.nodes[A], parse(GUARD), reason="again", by=world.actor(A, Role.LEGAL)))
    assert isinstance(done, AppliedRules)
    assert words(world, "Clinic list") == set()
