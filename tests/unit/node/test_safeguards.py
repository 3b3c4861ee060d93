# SPDX-License-Identifier: Apache-2.0
"""Special categories and minors go to nobody until two people decide; two persons are one only as a person says."""

import json

import pytest

from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.work import WorkKind
from comity.canonical import Json
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import ObjectId, PartyId
from comity.intake.formats import Format
from comity.intake.listing import LISTING_EXTENSION
from comity.node import identity
from comity.node.audit import audit_folder
from comity.node.classify import Classified, say, take_back
from comity.node.explain import explain, show_object
from comity.node.files import Bytes
from comity.node.identity import Judged, find_candidates, judge_persons, list_judged
from comity.node.intake import Plan, take_file
from comity.node.necessity import Decided, decide_necessity, end_necessity, list_necessity, list_undecided
from comity.node.people import Waiting
from comity.node.retention import delete
from comity.node.steps import advance, finish
from comity.node.work import list_work
from comity.stix.labels import UNDECIDED
from comity.vocabulary import PERSON_CLASSES
from tests.unit.node.test_beside import edit
from tests.worlds import World, make_object, object_id

A, B = PartyId("aurelia"), PartyId("borealia")
X, NOTE = object_id("identity", "x"), object_id("note", "n")
WHY = "to find a missing child"
SPECIAL = '[[channels.special_categories]]\ncategory = "health"\nnecessity = "an epidemic"\napprover = "the body"\n'


def make_person(key: str = "x", /, **more: Json) -> dict[str, Json]:
    return make_object(key, kind="identity") | {"name": "Ondrej Marrow", "identity_class": "individual"} | more


def list_as(key: str, **listing: Json) -> dict[str, Json]:
    """A person with what a list says."""
    value = make_person(key)
    extensions = value["extensions"]
    assert isinstance(extensions, dict)
    return value | {
        "extensions": {**extensions, LISTING_EXTENSION: {"extension_type": "property-extension", **listing}}
    }


def count_findings(world: World) -> int:
    return audit_folder(world.folder / A, now=world.now).found


def admit_all(world: World) -> None:
    """Terms that admit health and minors as far as terms can."""
    classes = "person_classes = [" + ", ".join(f'"{word}"' for word in sorted(PERSON_CLASSES)) + "]\n"
    world.sign_all(world.terms(types=("identity", "report", "note"), channel_extra=classes + SPECIAL))


def decided(world: World, *, reason: str = WHY, roles: tuple[Role, ...] = (Role.LIAISON, Role.LEGAL)) -> Decided:
    for role in roles:
        done = decide_necessity(world.nodes[A], X, reason=reason, by=world.actor(A, role))
        if isinstance(done, Decided):
            return done
        assert isinstance(done, Waiting), done
    raise AssertionError("they were not enough")


@pytest.mark.parametrize("item", [make_person(x_health="an illness"), list_as("x", dates_of_birth=[{"year": "2019"}])])
def test_what_is_found_in_a_field_waits_for_two_people(world: World, item: dict[str, Json]) -> None:
    admit_all(world)
    world.add(A, item)
    assert world.read(B) == {}
    assert UNDECIDED in show_object(world.nodes[A], X).label.markings
    assert "strictly necessary" in str(explain(world.nodes[A], X, to=B))
    alone = decide_necessity(world.nodes[A], X, reason=WHY, by=world.actor(A, Role.LIAISON))
    assert isinstance(alone, Waiting)
    again = decide_necessity(world.nodes[A], X, reason=WHY, by=world.actor(A, Role.LIAISON))
    assert isinstance(again, Waiting)  # nobody counts twice
    assert world.read(B) == {}
    done = decide_necessity(world.nodes[A], X, reason=WHY, by=world.actor(A, Role.LEGAL))
    assert isinstance(done, Decided)
    assert {approval.person for approval in done.approvals} == {"aurelia-liaison", "aurelia-legal"}
    assert X in world.read(B)
    assert count_findings(world) == 0


def test_what_a_column_is_called_waits_for_two_people_too(world: World) -> None:
    admit_all(world)
    mapping = b"""
        format = "comity-mapping/1"
        source = "desk"
        marking = { constant = "TLP:GREEN" }
        [tags]
        subjects = { constant = ["national:ashfall"] }
        regions = { constant = ["IQ"] }
        [[objects]]
        type = "identity"
        [objects.properties]
        name = { column = "Name" }
        identity_class = { constant = "individual" }
        labels = { column = "Religion", split = ";" }
    """
    table = Bytes("people.csv", b"Name,Religion\nOndrej Marrow,River Faith\nElin Varga,\n")
    take_file(world.nodes[A], table, Plan(form=Format.CSV, mapping=mapping))
    assert [json.loads(data)["name"] for data in world.read(B).values()] == ["Elin Varga"]


def test_a_reason_that_differs_is_another_matter(world: World) -> None:
    world.add(A, make_person(x_health="ill"))
    for role, why in ((Role.LIAISON, WHY), (Role.LEGAL, "another reason")):
        assert isinstance(decide_necessity(world.nodes[A], X, reason=why, by=world.actor(A, role)), Waiting)
    with pytest.raises(MalformedRequest):
        decide_necessity(world.nodes[A], X, reason=" ", by=world.actor(A, Role.LEGAL))


def test_what_people_say_of_an_object_waits_too(world: World) -> None:
    admit_all(world)
    world.add(A, make_person())
    assert X in world.read(B)
    say(world.nodes[A], X, {"special_categories": ["health"]}, reason="read it", by=world.actor(A, Role.LIAISON))
    assert [item.words for item in list_undecided(world.nodes[A])] == [{"health"}]
    assert UNDECIDED in show_object(world.nodes[A], X).label.markings
    decided(world)
    assert list_undecided(world.nodes[A]) == []
    say(world.nodes[A], X, {"person_classes": ["minor"]}, reason="born 2019", by=world.actor(A, Role.LIAISON))
    assert [item.words for item in list_undecided(world.nodes[A])] == [{"minor"}]


@pytest.mark.parametrize("words", [{"special_categories": ["health"]}, {"person_classes": ["minor"]}])
def test_what_keeps_it_back_is_taken_back_by_two_people(world: World, words: dict[str, list[str]]) -> None:
    admit_all(world)
    world.add(A, make_person())
    liaison, legal = world.actor(A, Role.LIAISON), world.actor(A, Role.LEGAL)
    say(world.nodes[A], X, {**words, "regions": ["IQ"]}, reason="read it", by=liaison)
    alone = take_back(world.nodes[A], X, {"regions": ["IQ"]}, reason="was wrong", by=liaison)
    assert isinstance(alone, Classified)
    say(world.nodes[A], X, {"regions": ["IQ"]}, reason="read it", by=liaison)
    both = {**words, "regions": ["IQ"]}
    for _ in range(2):  # nobody counts twice
        assert isinstance(take_back(world.nodes[A], X, both, reason="was wrong", by=liaison), Waiting)
        assert world.read(B) == {}
    assert isinstance(take_back(world.nodes[A], X, both, reason="was wrong", by=legal), Classified)
    assert UNDECIDED not in show_object(world.nodes[A], X).label.markings
    assert list_undecided(world.nodes[A]) == []
    assert count_findings(world) == 0


def test_a_decision_is_on_what_was_found_then(world: World) -> None:
    admit_all(world)
    world.add(A, make_person(x_health="ill"))
    decided(world)
    assert X in world.read(B)
    world.add(A, make_person(x_health="well", modified="2031-01-01T00:00:00.000Z"))
    assert list_undecided(world.nodes[A]) == []
    world.add(A, make_person(x_health="well", x_minor=True, modified="2032-01-01T00:00:00.000Z"))
    assert [item.words for item in list_undecided(world.nodes[A])] == [{"minor"}]


def test_what_refers_to_it_waits_with_it(world: World) -> None:
    admit_all(world)
    note = make_object("n", kind="note") | {"content": "x", "object_refs": [X]}
    world.add(A, make_person(x_health="ill"), note)
    assert world.read(B) == {}
    decided(world)
    assert {X, NOTE} <= world.read(B).keys()


def test_one_person_ends_it_at_once(world: World) -> None:
    admit_all(world)
    world.add(A, make_person(x_health="ill"))
    decided(world)
    done = end_necessity(world.nodes[A], X, reason="found", by=world.actor(A, Role.LIAISON))
    assert isinstance(done, Decided)
    assert world.read(B) == {}
    (kept,) = list_necessity(world.nodes[A])
    assert (kept.reason, kept.ended_why) == (WHY, "found")
    with pytest.raises(NotFoundError):
        end_necessity(world.nodes[A], X, reason="found", by=world.actor(A, Role.LIAISON))
    decided(world, reason="found again")
    assert X in world.read(B)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE necessity SET reason = 'heard'", f"the necessity of {X} is kept otherwise"),
        ("UPDATE necessity SET decided_by = 'aurelia-legal (legal)'", f"the necessity of {X} is kept otherwise"),
        ("UPDATE necessity SET words = '[\"health\"]'", f"the necessity of {X} is kept otherwise"),
        ("UPDATE necessity SET ended_at = NULL, ended_by = NULL, ended_why = NULL", "is kept otherwise"),
        ("DELETE FROM necessity", f"a decision on the necessity of {X} is in the log and not kept"),
        (
            "INSERT INTO necessity SELECT 9, object, words, 1, decided_by, reason, NULL, NULL, NULL FROM necessity",
            f"the necessity of {X} is kept otherwise",
        ),
    ],
)
def test_a_decision_that_people_did_not_make_is_found(world: World, statement: str, said: str) -> None:
    """Whoever writes the table lets special categories go without two people."""
    admit_all(world)
    world.add(A, make_person(x_health="an illness", x_ethnicity="a word"))
    decided(world)
    end_necessity(world.nodes[A], X, reason="found", by=world.actor(A, Role.LIAISON))
    assert count_findings(world) == 0
    edit(world, statement)
    found = [finding.problem for finding in audit_folder(world.folder / A, now=world.now).findings]
    assert any(said in problem for problem in found), found


def test_without_anything_to_decide_on_there_is_no_decision(world: World) -> None:
    world.add(A, make_person())
    with pytest.raises(ConflictError, match="nothing in it"):
        decide_necessity(world.nodes[A], X, reason=WHY, by=world.actor(A, Role.LEGAL))


def test_terms_still_have_to_admit_it(world: World) -> None:
    world.sign_all(world.terms(types=("identity",)))
    world.add(A, make_person(x_health="ill"))
    decided(world)
    assert world.read(B) == {}


def test_it_is_work_until_somebody_decides(world: World) -> None:
    world.add(A, make_person(x_health="ill"))
    (item,) = (item for item in list_work(world.nodes[A]) if item.kind is WorkKind.NECESSITY_TO_DECIDE)
    assert item.count == 1
    assert X in item.act
    decided(world)
    assert not [item for item in list_work(world.nodes[A]) if item.kind is WorkKind.NECESSITY_TO_DECIDE]


def test_what_another_party_gave_is_not_decided_here(world: World) -> None:
    world.sign_all(world.terms(types=("identity",), giver=A, receivers=(B,)))
    world.add(A, make_person())
    world.add(B, make_person("y", x_health="ill"))
    with pytest.raises(NotFoundError):
        decide_necessity(world.nodes[B], X, reason=WHY, by=world.actor(B, Role.LEGAL))


# --- who may be the same person ---------------------------------------------------------------------------------------


def judge(world: World, one: str, other: str, *, same: bool) -> Judged | Waiting | Refusal:
    by = world.actor(A, Role.LIAISON)
    return judge_persons(
        world.nodes[A], object_id("identity", one), object_id("identity", other), same=same, reason="looked", by=by
    )


def list_candidates(world: World, name: str) -> list[ObjectId]:
    return [item.id for item in finish(find_candidates(world.nodes[A], object_id("identity", name))).items]


def test_candidates_are_looked_at_and_only_two_identifiers_confirm(world: World) -> None:
    born: Json = [{"date": "1971-03-02"}]
    world.add(A, list_as("x", dates_of_birth=born), list_as("y", dates_of_birth=born), list_as("z"))
    world.add(A, make_person("other", name="Ben Roth"), make_person("firm", identity_class="organization"))
    assert list_candidates(world, "x") == sorted([object_id("identity", "y"), object_id("identity", "z")])
    with pytest.raises(MalformedRequest, match="agree: name"):
        judge(world, "x", "z", same=True)
    done = judge(world, "x", "y", same=True)
    assert isinstance(done, Judged)
    assert done.likeness.agreeing == {"name", "date_of_birth"}
    (kept,) = list_judged(world.nodes[A])
    assert (kept.same, kept.reason) == (True, "looked")
    assert count_findings(world) == 0


def test_others_get_a_turn_while_candidates_are_looked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(A, *(list_as(f"n{number}") for number in range(7)))
    monkeypatch.setattr(identity, "_READ_AT_ONCE", 2)
    steps, turns = find_candidates(world.nodes[A], object_id("identity", "n0")), 0
    while (done := advance(steps)) is None:
        turns += 1
    assert turns == 8, "four to read what all say, and four to look at those who can be one"
    assert [item.id for item in done.result.items] == sorted(object_id("identity", f"n{n}") for n in range(1, 7))
    assert not done.result.more


def test_that_two_are_not_one_is_a_record_and_takes_them_off(world: World) -> None:
    world.add(A, list_as("x"), list_as("y"))
    assert list_candidates(world, "x") == [object_id("identity", "y")]
    judge(world, "y", "x", same=False)
    assert list_candidates(world, "x") == []
    assert list_candidates(world, "y") == []
    assert [item.same for item in list_judged(world.nodes[A], object_id("identity", "x"))] == [False]


def test_nothing_follows_from_it_for_any_object(world: World) -> None:
    born: Json = [{"date": "1971-03-02"}]
    world.add(A, list_as("x", dates_of_birth=born), list_as("y", dates_of_birth=born))
    before = [show_object(world.nodes[A], object_id("identity", name)) for name in ("x", "y")]
    judge(world, "x", "y", same=True)
    after = [show_object(world.nodes[A], object_id("identity", name)) for name in ("x", "y")]
    assert [(item.data, item.label) for item in before] == [(item.data, item.label) for item in after]


def test_only_persons_are_judged(world: World) -> None:
    world.add(A, make_person(), make_object("r"))
    with pytest.raises(MalformedRequest, match="no identity"):
        judge_persons(world.nodes[A], X, object_id("report", "r"), same=False, reason="x", by=world.actor(A))
    with pytest.raises(MalformedRequest, match="same object"):
        judge_persons(world.nodes[A], X, X, same=False, reason="x", by=world.actor(A))


def test_what_is_deleted_takes_its_decisions_along(world: World) -> None:
    world.add(A, list_as("x"), list_as("y"))
    judge(world, "x", "y", same=False)
    world.add(A, make_person("z", x_health="ill"))
    decide_necessity(world.nodes[A], object_id("identity", "z"), reason=WHY, by=world.actor(A, Role.LIAISON))
    decide_necessity(world.nodes[A], object_id("identity", "z"), reason=WHY, by=world.actor(A, Role.LEGAL))
    assert list_judged(world.nodes[A])
    assert list_necessity(world.nodes[A])
    for name in ("x", "z"):
        delete(world.nodes[A], object_id("identity", name), reason="over")
    assert list_judged(world.nodes[A]) == []
    assert list_necessity(world.nodes[A]) == []
