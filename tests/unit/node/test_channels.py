# SPDX-License-Identifier: Apache-2.0
"""What one channel lets go at a real node: suspension and reservation, history, tear lines, attribution, categories."""

import json

import pytest

from comity.agreement.events import EventKind, Reservation
from comity.agreement.people import Role
from comity.agreement.transitions import State
from comity.canonical import Json
from comity.errors import NotFoundError
from comity.ids import AgreementId, Instant, PartyId, format_instant
from comity.node.agree import Recorded
from comity.node.audit import audit_folder
from comity.node.explain import explain
from comity.node.gate import list_open_collections
from comity.node.necessity import Decided, decide_necessity
from comity.node.poll import Page, PollRequest, Selection, poll
from comity.node.standing import collection_id
from comity.release.disclosure import Answer
from comity.stix.labels import CLASSIFICATION_EXTENSION
from tests.unit.node.test_agree import proposal
from tests.unit.node.test_group import check_same
from tests.worlds import World, make_object, object_id, tlp_id

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")
BOTH = ("aurelia", "borealia")


def write_two_channels(world: World, *, extra: str = "") -> bytes:
    """The usual terms, and a second channel, named side, for the same objects."""
    toml = world.terms(extra=extra)
    channel = toml[toml.index(b"[[channels]]") :]
    return toml + b"\n" + channel.replace(b'id = "main"', b'id = "side"')


def ask(world: World, agreement: str, channel: str, after: int = 0) -> Page:
    name = collection_id(AgreementId(agreement), channel, giver=AURELIA, recipient=BOREALIA)
    request = PollRequest(
        recipient=BOREALIA, collection=name, answer=Answer.OBJECTS, selection=Selection(after=Instant(after))
    )
    return poll(world.nodes["aurelia"], request)


def list_open(world: World) -> list[str]:
    return [item.channel.id for item in list_open_collections(world.nodes["aurelia"], BOREALIA)]


def is_given(world: World, name: str, *, kind: str = "report") -> bool:
    return object_id(kind, name) in world.read("borealia")


def explain_one(world: World, name: str, *, kind: str = "report") -> tuple[str, str | None]:
    verdict = explain(world.nodes["aurelia"], object_id(kind, name), to=BOREALIA).verdict
    return verdict.decision, verdict.clause


# --- suspension and reservation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", BOTH)
def test_one_channel_is_suspended_while_the_other_goes_on(world: World, holder: str) -> None:
    world.add("aurelia", make_object("a"))
    agreement = world.sign_all(write_two_channels(world))
    assert [len(ask(world, agreement, channel).items) for channel in ("main", "side")] == [1, 1]
    world.act(holder, agreement, EventKind.SUSPEND, channel="main")
    world.deliver()
    assert check_same(world, agreement, BOTH).state is State.IN_FORCE
    assert list_open(world) == ["side"]
    with pytest.raises(NotFoundError):
        ask(world, agreement, "main")
    world.add("aurelia", make_object("b"))
    assert len(ask(world, agreement, "side").items) == 2
    world.act(holder, agreement, EventKind.RESUME, channel="main")
    world.deliver()
    assert len(ask(world, agreement, "main").items) == 2


def test_a_resumption_of_one_channel_leaves_the_whole_suspended(world: World) -> None:
    agreement = world.sign_all(write_two_channels(world))
    world.act("aurelia", agreement, EventKind.SUSPEND, channel="main")
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.act("aurelia", agreement, EventKind.RESUME, channel="main")
    assert list_open(world) == []
    world.act("aurelia", agreement, EventKind.RESUME)
    assert list_open(world) == ["main", "side"]


def test_a_reservation_closes_its_channel_alone(world: World) -> None:
    agreement = proposal(world, write_two_channels(world, extra='reservations = ["channels.main.regions"]'))
    world.deliver()
    reserved = Reservation(clause="channels.main.regions", ground="national_law", text="Under review.")
    accepted = world.act_on("borealia", agreement, EventKind.ACCEPT, reservations=[reserved])
    assert isinstance(accepted, Recorded)
    world.deliver()
    told = check_same(world, agreement, BOTH)
    assert (told.state, told.reservations) == (State.IN_FORCE, ((BOREALIA, reserved),))
    world.add("aurelia", make_object("a"))
    assert list_open(world) == ["side"]
    assert explain_one(world, "a") == ("release", None)
    readings = explain(world.nodes["aurelia"], object_id("report", "a"), to=BOREALIA).readings
    assert {reading.channel: reading.gate and reading.gate.clause for reading in readings} == {
        "main": "reservations",
        "side": None,
    }


# --- history ----------------------------------------------------------------------------------------------------------


def test_without_history_what_came_in_before_the_last_signature_stays(world: World) -> None:
    world.add("aurelia", make_object("before"))
    agreement = proposal(world, world.terms(history="none"))
    world.deliver()
    world.add("aurelia", make_object("between"))
    world.act("borealia", agreement, EventKind.ACCEPT)
    world.deliver()
    world.add("aurelia", make_object("after"))
    assert world.read("borealia").keys() == {object_id("report", "after")}
    assert explain_one(world, "between") == ("withhold", "history")
    world.add("aurelia", make_object("before", day=2))
    assert is_given(world, "before")


def test_history_since_a_time_is_what_was_taken_in_from_then_on(world: World) -> None:
    world.add("aurelia", make_object("old"))
    world.tick()
    since = world.now
    world.add("aurelia", make_object("young"))
    world.tick()
    world.sign_all(world.terms(history=format_instant(since)))
    assert world.read("borealia").keys() == {object_id("report", "young")}
    assert explain_one(world, "old") == ("withhold", "history")


def test_a_new_label_does_not_make_an_old_object_new(world: World) -> None:
    """A report from before whose label changes because what it refers to came in later."""
    target = object_id("indicator", "target")
    world.add("aurelia", make_object("old", refs=[target]))
    world.sign_all(world.terms(history="none"))
    world.add("aurelia", make_object("target", kind="indicator"))
    assert world.read("borealia").keys() == {target}


# --- tear lines and attribution ---------------------------------------------------------------------------------------


def mark(name: str, **levels: str) -> dict[str, Json]:
    """A report with two properties of which each is marked as said."""
    markings: list[Json] = [
        {"marking_ref": tlp_id(level), "selectors": [selector]} for selector, level in levels.items()
    ]
    more: dict[str, Json] = {"description": "described", "labels": ["labelled"]}
    return make_object(name, more=more | ({"granular_markings": markings} if markings else {}))


@pytest.mark.parametrize(
    ("sanitise", "plain", "marked"),
    [
        ("none", {"description", "labels"}, None),
        ("tear_line_allowed", {"description", "labels"}, {"labels"}),
        ("tear_line_required", None, {"labels"}),
    ],
)
def test_what_of_an_object_goes(world: World, sanitise: str, plain: set[str] | None, marked: set[str] | None) -> None:
    world.sign_all(world.terms(channel_extra=f'sanitise = "{sanitise}"'))
    world.add("aurelia", mark("plain"), mark("marked", description="red", labels="green"))
    given = world.read("borealia")
    for name, kept in (("plain", plain), ("marked", marked)):
        data = given.get(object_id("report", name))
        assert (data is None) == (kept is None)
        assert kept is None or json.loads(data or b"").keys() & {"description", "labels"} == kept
        decided = explain_one(world, name)
        assert decided[0] == ("withhold" if kept is None else "release" if len(kept) > 1 else "redact")
        assert decided[1] == ("sanitise" if kept is None else None)


def test_a_tear_line_lets_go_what_the_object_cannot_lack_and_it_and_nothing_else(world: World) -> None:
    world.sign_all(world.terms(channel_extra='sanitise = "tear_line_required"'))
    world.add("aurelia", mark("marked", labels="green"))
    given = json.loads(world.read("borealia")[object_id("report", "marked")])
    assert "description" not in given
    assert given["labels"] == ["labelled"]
    assert {"type", "id", "created", "modified", "name", "published", "object_refs"} <= given.keys()


@pytest.mark.parametrize(("attribution", "named"), [("may", True), ("must", True), ("must-not", False)])
def test_who_made_it_goes_unless_the_terms_forbid_that(world: World, attribution: str, named: bool) -> None:
    source = object_id("identity", "source")
    world.sign_all(world.terms(channel_extra=f'attribution = "{attribution}"'))
    more: dict[str, Json] = {"created_by_ref": source, "x_desk": {"deep": [{"created_by_ref": source}]}}
    world.add("aurelia", make_object("source", kind="identity"), make_object("a", more=more))
    given = world.read("borealia")[object_id("report", "a")]
    assert (source in given.decode()) == named
    assert audit_folder(world.folder / "aurelia", now=world.now).found == 0


# --- whose objects, and which categories ------------------------------------------------------------------------------


def classify(name: str, *categories: str) -> dict[str, Json]:
    value = make_object(name)
    extensions = value["extensions"]
    assert isinstance(extensions, dict)
    classification = extensions[CLASSIFICATION_EXTENSION]
    assert isinstance(classification, dict)
    classification["special_categories"] = list[Json](sorted(categories))
    return value


def decide(world: World, name: str) -> None:
    """Two people say that it is strictly necessary to give what is in it."""
    liaison, legal = (
        decide_necessity(
            world.nodes["aurelia"], object_id("report", name), reason="an epidemic", by=world.actor("aurelia", role)
        )
        for role in (Role.LIAISON, Role.LEGAL)
    )
    assert not isinstance(liaison, Decided)
    assert isinstance(legal, Decided)


def test_a_special_category_goes_where_it_was_named_with_its_reason_and_approver(world: World) -> None:
    named = '[[channels.special_categories]]\ncategory = "health"\nnecessity = "an epidemic"\napprover = "the body"'
    world.add("aurelia", classify("health", "health"), classify("both", "health", "biometric_data"), classify("none"))
    for name in ("health", "both"):
        decide(world, name)
    agreement = world.sign_all(world.terms())
    assert world.read("borealia").keys() == {object_id("report", "none")}
    assert explain_one(world, "health") == ("withhold", "special_categories")
    world.act("aurelia", agreement, EventKind.TERMINATE)
    world.deliver()
    world.sign_all(world.terms(channel_extra=named, title="With health"))
    assert world.read("borealia").keys() == {object_id("report", "none"), object_id("report", "health")}
    assert explain_one(world, "both") == ("withhold", "special_categories")


@pytest.mark.parametrize(
    ("originators", "given"), [('["own"]', True), ('["own", "meridia"]', True), ('["meridia"]', False)]
)
def test_the_giver_gives_its_own_where_own_is_named(world: World, originators: str, given: bool) -> None:
    world.sign_all(world.terms(channel_extra=f"originators = {originators}"))
    world.add("aurelia", make_object("a"))
    assert (explain_one(world, "a") == ("release", None)) == given
    if given:
        assert is_given(world, "a")
    else:
        assert explain_one(world, "a") == ("withhold", "originators")
        assert world.read("borealia") == {}


def test_nothing_of_this_is_a_way_around_the_label(world: World) -> None:
    world.sign_all(world.terms(channel_extra='sanitise = "tear_line_required"\nattribution = "must-not"'))
    world.add("aurelia", make_object("red", tlp="red"), make_object("elsewhere", regions=["JO"]))
    assert world.read("borealia") == {}
    assert {explain_one(world, name)[1] for name in ("red", "elsewhere")} == {"tlp_ceiling", "regions"}
