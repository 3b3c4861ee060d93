# SPDX-License-Identifier: Apache-2.0
"""Threat assessments: written by people, in words alone, given until their time is past, renewed by people."""

import json
from dataclasses import replace

import pytest

from comity.agreement.work import WorkItem, WorkKind
from comity.canonical import Json
from comity.classification.assessment import ASSESSMENT_EXTENSION
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import Instant, PartyId
from comity.node import classifywork, ingest
from comity.node.assess import Assessed, NewAssessment, assess, list_assessments, renew, show_assessment
from comity.node.audit import audit_folder
from comity.node.explain import explain, show_object
from comity.node.work import list_work
from comity.stix.labels import make_tags
from tests.chains import introduce, pull_all
from tests.unit.node.test_beside import edit
from tests.worlds import World, make_object, object_id

A, B = map(PartyId, ("aurelia", "borealia"))
GROUP = object_id("intrusion-set", "group")
DAY = 86_400_000_000
TYPES = ("note", "intrusion-set", "report")


def prepare(world: World) -> NewAssessment:
    world.add(A, make_object("group", kind="intrusion-set"))
    return NewAssessment(
        assessed=GROUP,
        title="What is expected of the group",
        text="It has said that it will come back.",
        author="Desk 3",
        threat="may attack shipping",
        may_go_to=["JO"],
        may_return_to=["IQ"],
        basis="two reports of this year",
        evaluation="admiralty:B2",
        tlp="green",
        expires_at=Instant(world.now + 30 * DAY),
    )


def write(world: World, new: NewAssessment | None = None) -> Assessed:
    done = assess(world.nodes[A], new or prepare(world), by=world.actor(A))
    assert isinstance(done, Assessed), done
    return done


def test_it_is_an_object_that_goes_as_terms_say(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    done = write(world)
    given = world.read(B)
    assert done.id in given
    said = json.loads(given[done.id])
    assert said["type"] == "note"
    assert said["object_refs"] == [GROUP]
    extension = said["extensions"][ASSESSMENT_EXTENSION]
    assert (extension["may_go_to"], extension["may_return_to"]) == (["JO"], ["IQ"])
    assert extension["evaluation"] == "admiralty:B2"
    label = show_object(world.nodes[A], done.id).label
    assert label.kinds == {"threat_assessment", "unspecified"}
    shown = show_assessment(world.nodes[A], done.id)
    assert (shown.says, shown.lapsed) == (done.says, False)


def test_it_goes_to_nobody_from_its_end_on_and_again_when_renewed(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    done = write(world)
    world.tick(30 * DAY - 1_000_001)
    assert done.id in world.read(B)
    world.tick(1_000_001)
    assert done.id not in world.read(B)
    verdict = explain(world.nodes[A], done.id, to=B).verdict
    assert (verdict.decision, verdict.clause) == ("withhold", "markings")
    assert verdict.reason is not None
    assert "whose time has passed" in verdict.reason
    (item,) = list_assessments(world.nodes[A])
    assert item.lapsed
    assert [one.kind.value for one in list_work(world.nodes[A]) if one.kind.value == "assessment-ends"]
    again = renew(world.nodes[A], done.id, expires_at=Instant(world.now + DAY), reason="still so", by=world.actor(A))
    assert isinstance(again, Assessed)
    assert (again.id, again.says.title) == (done.id, done.says.title)
    assert done.id in world.read(B)
    assert audit_folder(world.folder / A, now=world.now).found == 0


@pytest.mark.parametrize("statement", ["UPDATE assessment SET expires_at = expires_at + 1", "DELETE FROM assessment"])
def test_an_end_that_it_does_not_say_is_found(world: World, statement: str) -> None:
    """Whoever puts it off gives away for longer what nobody has renewed."""
    done = write(world)
    assert audit_folder(world.folder / A, now=world.now).found == 0
    edit(world, statement)
    (found,) = audit_folder(world.folder / A, now=world.now).findings
    assert found.problem.startswith(f"the assessment {done.id}")


def test_so_many_that_end_are_named_and_the_others_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifywork, "_MOST_ENDING", 2)
    ids = [
        write(world, replace(prepare(world), title=f"No {day}", expires_at=Instant(world.now + day * DAY))).id
        for day in (9, 7, 8, 6)
    ]
    world.tick(8 * DAY)
    *named, rest = find_ending(world)
    assert [one.act.rpartition(" ")[2] for one in named] == [ids[3], ids[1]]
    assert (rest.count, rest.due) == (2, named[-1].due)
    assert "2 more" in rest.why
    monkeypatch.setattr(classifywork, "_MOST_ENDING", 4)
    assert [one.act.rpartition(" ")[2] for one in find_ending(world)] == [ids[3], ids[1], ids[2], ids[0]]


def find_ending(world: World) -> list[WorkItem]:
    return [one for one in list_work(world.nodes[A]) if one.kind is WorkKind.ASSESSMENT_ENDS]


def test_explain_knows_of_the_end_where_nobody_has_polled(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    done = write(world)
    assert explain(world.nodes[A], done.id, to=B).verdict.decision == "release"
    world.tick(30 * DAY)
    assert explain(world.nodes[A], done.id, to=B).verdict.decision == "withhold"
    assert "expired-assessment" in show_object(world.nodes[A], done.id).label.markings


def test_what_was_given_by_others_ends_here_too(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    introduce(world, [(A, B)])
    done = write(world)
    assert done.id in pull_all(world, A, B)
    (item,) = list_assessments(world.nodes[B])
    assert not item.lapsed
    world.tick(31 * DAY)
    (item,) = list_assessments(world.nodes[B])
    assert item.lapsed
    with pytest.raises(MalformedRequest, match="which alone can renew it"):
        renew(world.nodes[B], done.id, expires_at=Instant(world.now + DAY), reason="r", by=world.actor(B))


def test_what_comes_in_too_late_goes_to_nobody(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    done = write(world)
    data = show_object(world.nodes[A], done.id).data
    value = json.loads(data)
    value["id"] = object_id("note", "late")
    value["extensions"][ASSESSMENT_EXTENSION]["expires_at"] = "2020-01-01T00:00:00Z"
    intake = ingest.add_objects(world.nodes[A], json.dumps(value).encode(), tags=make_tags())
    assert intake.added == (value["id"],)
    assert value["id"] not in world.read(B)
    assert done.id in world.read(B)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"score": 7}, "no number"),
        ({"rank": "high"}, "rank"),
        ({"threat": 3}, "no number"),
        ({"evaluation": "B2"}, "no evaluation"),
        ({"expires_at": None}, "expires_at"),
        ({"may_go_to": ["Jordan"]}, "may_go_to"),
    ],
)
def test_a_bad_one_is_not_taken_in(world: World, change: dict[str, Json], match: str) -> None:
    done = write(world)
    value = json.loads(show_object(world.nodes[A], done.id).data)
    value["id"] = object_id("note", "bad")
    value["extensions"][ASSESSMENT_EXTENSION] |= change
    intake = ingest.add_objects(world.nodes[A], json.dumps(value).encode(), tags=make_tags())
    assert intake.added == ()
    assert match in intake.bad[0].detail


def test_a_number_beside_the_extension_is_refused_as_well(world: World) -> None:
    done = write(world)
    value = json.loads(show_object(world.nodes[A], done.id).data)
    value |= {"id": object_id("note", "bad"), "confidence": 80}
    intake = ingest.add_objects(world.nodes[A], json.dumps(value).encode(), tags=make_tags())
    assert (intake.added, intake.bad[0].where) == ((), "/objects/0/confidence")


def test_what_is_said_wrongly_is_told(world: World) -> None:
    new = prepare(world)
    for change, match in (
        ({"expires_at": world.now}, "passed already"),
        ({"tlp": "white"}, "no TLP level"),
        ({"evaluation": "good"}, "no evaluation"),
        ({"may_go_to": ["Jordan"]}, "may_go_to"),
    ):
        with pytest.raises(MalformedRequest, match=match):
            write(world, replace(new, **change))
    with pytest.raises(NotFoundError):
        write(world, replace(new, assessed="intrusion-set--nobody"))
    world.add(A, make_object("x"))
    with pytest.raises(MalformedRequest, match="not of a type that is assessed"):
        write(world, replace(new, assessed=object_id("report", "x")))
    assert list_assessments(world.nodes[A]) == []
