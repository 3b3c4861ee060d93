# SPDX-License-Identifier: Apache-2.0
"""Every answer has a reason, and it is the one by which a poll decides."""

import pytest

from comity.agreement.events import EventKind
from comity.canonical import Json
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import PartyId
from comity.node.explain import Explanation, explain, list_recipients, see_object
from tests.worlds import World, make_object, object_id, tlp_id


def ask(world: World, name: str, *, kind: str = "report") -> Explanation:
    return explain(world.nodes["aurelia"], object_id(kind, name), to=PartyId("borealia"))


MARKED: dict[str, Json] = {
    "description": "for few",
    "granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["description"]}],
}
CASES: list[tuple[dict[str, Json], str, str | None]] = [
    (make_object("x"), "release", None),
    (make_object("x", tlp="red"), "withhold", "tlp_ceiling"),
    (make_object("x", tlp=None), "withhold", "tlp_ceiling"),
    (make_object("x", regions=("TR",)), "withhold", "regions"),
    (make_object("x", regions=()), "withhold", "regions"),
    (make_object("x", subjects=("national:other",)), "withhold", "subjects"),
    (make_object("x", more=MARKED), "redact", None),
    (
        make_object(
            "x", more={"object_marking_refs": ["marking-definition--" + "0" * 8 + "-0000-4000-8000-" + "0" * 12]}
        ),
        "withhold",
        "tlp_ceiling",
    ),
]


@pytest.mark.parametrize(("item", "decision", "clause"), CASES)
def test_the_explanation_is_what_the_poll_does(
    world: World, item: dict[str, Json], decision: str, clause: str | None
) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", item)
    verdict = ask(world, "x").verdict
    given = world.read("borealia").get(object_id("report", "x"))
    assert (verdict.decision, verdict.clause) == (decision, clause)
    assert (given is not None) == (decision != "withhold")
    if decision == "redact":
        assert verdict.redacted == ("description",)
        assert given is not None
        assert b"for few" not in given


def test_what_stands_again_elsewhere_in_an_object_is_named(world: World) -> None:
    world.sign_all(world.terms())
    red: dict[str, Json] = {
        "x_source": "Karim Holt",
        "granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["x_source"]}],
    }
    world.add("aurelia", make_object("a", more=red | {"description": "by karim holt"}))
    world.add("aurelia", make_object("Karim Holt's relay", more=red))
    told = ask(world, "a")
    (repeat,) = told.repeats
    assert told.verdict.redacted == ("description", "x_source")
    assert (repeat.tlp, sorted(repeat.marked), sorted(repeat.again)) == ("red", ["x_source"], ["description"])
    assert not repeat.whole
    told = ask(world, "Karim Holt's relay")
    (repeat,) = told.repeats
    assert (told.verdict.decision, told.verdict.clause) == ("withhold", "tlp_ceiling")
    assert (sorted(repeat.marked), sorted(repeat.fixed)) == (["x_source"], ["name"])
    assert repeat.whole
    assert world.read("borealia").keys() == {object_id("report", "a")}


def test_the_object_that_is_to_blame_is_named(world: World) -> None:
    world.sign_all(world.terms())
    world.add(
        "aurelia",
        make_object("a", refs=[object_id("report", "b")]),
        make_object("b", refs=[object_id("report", "c")]),
        make_object("c", tlp="red"),
    )
    told = ask(world, "a")
    assert told.readings[0].because == (object_id("report", "b"), object_id("report", "c"))
    assert object_id("report", "c") in (told.verdict.reason or "")
    world.add("aurelia", make_object("d", refs=[object_id("report", "nowhere")]))
    assert ask(world, "d").readings[0].because == (object_id("report", "nowhere"),)


def test_the_gate_is_named_first(world: World) -> None:
    world.add("aurelia", make_object("x", tlp="red"))
    assert ask(world, "x").verdict.clause == "status"
    agreement = world.sign_all(world.terms())
    world.act("borealia", agreement, EventKind.SUSPEND)
    world.deliver()
    told = ask(world, "x")
    assert told.verdict.clause == "status"
    assert "suspended by borealia" in (told.verdict.reason or "")
    assert {finding.clause: finding.holds for finding in told.readings[0].findings}["tlp_ceiling"] is False


def test_of_several_agreements_the_most_open_one_counts(world: World) -> None:
    world.sign_all(world.terms())
    world.sign_all(world.terms(regions=("TR",), title="Another"))
    world.add("aurelia", make_object("x", regions=("TR",)))
    told = ask(world, "x")
    assert told.verdict.decision == "release"
    assert sorted(reading.verdict.decision for reading in told.readings) == ["release", "withhold"]


@pytest.mark.parametrize("widest", range(3))
@pytest.mark.parametrize("more", [{}, MARKED])
def test_each_recipient_is_told_what_the_most_open_agreement_gives_it(
    world: World, widest: int, more: dict[str, Json]
) -> None:
    """Whichever of them comes first."""
    for number in range(3):
        tlp = ("red" if not more else "amber") if number == widest else "clear"
        world.sign_all(world.terms(tlp=tlp, title=f"Agreement {number}"))
    world.add("aurelia", make_object("x", tlp="amber", more=more))
    item, recipients = list_recipients(world.nodes["aurelia"], object_id("report", "x"))
    (recipient,) = recipients
    told = ask(world, "x")
    assert item == told.object
    assert (recipient.party, recipient.verdict) == (PartyId("borealia"), told.verdict)
    assert (recipient.title, recipient.verdict.decision) == (f"Agreement {widest}", "redact" if more else "release")


def test_of_two_refusals_the_one_of_the_agreement_in_force_is_told(world: World) -> None:
    agreement = world.sign_all(world.terms())
    world.sign_all(world.terms(title="Another"))
    world.act("aurelia", agreement, EventKind.SUSPEND)
    world.add("aurelia", make_object("x", tlp="red"))
    assert ask(world, "x").verdict.clause == "tlp_ceiling"


def test_of_many_channels_those_are_read_that_let_the_most_go(world: World) -> None:
    for region in ("TR", "GE", "AM"):
        world.sign_all(world.terms(regions=(region,), title=f"On {region}"))
    world.sign_all(world.terms(regions=("IR",), title="On IR"))
    ended = world.sign_all(world.terms(regions=("IR",), title="Suspended"))
    world.act("aurelia", ended, EventKind.SUSPEND)
    world.add("aurelia", make_object("x", regions=("IR",)), make_object("y", refs=[object_id("report", "nowhere")]))
    for name in ("x", "y"):
        whole = ask(world, name)
        assert (whole.channels, len(whole.readings)) == (5, 5)
        for most in (1, 2, 5, 9):
            part = see_object(
                world.nodes["aurelia"], object_id("report", name), to=PartyId("borealia"), most=most
            ).explanation
            assert (part.verdict, part.channels, part.best) == (whole.verdict, 5, whole.best)
            assert len(part.readings) == min(most, 5)
            assert set(part.readings) <= set(whole.readings)
    seen = see_object(world.nodes["aurelia"], object_id("report", "y"), to=PartyId("borealia"), most=9).explanation
    assert seen.readings[-1].title == "Suspended"


def test_what_this_party_recognises_is_asked_every_time(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("x"))
    policy = world.folder / "aurelia" / "recognition.toml"
    said = policy.read_bytes()
    assert ask(world, "x").verdict.decision == "release"
    policy.write_bytes(b"# nothing is recognised\n")
    assert ask(world, "x").verdict.clause == "legal_bases"
    policy.write_bytes(said)
    assert ask(world, "x").verdict.decision == "release"
    world.tick(20 * 365 * 86_400 * 1_000_000)  # manifests run out
    assert ask(world, "x").verdict.decision == "withhold"


def test_what_is_not_held_or_not_known_or_not_one_is_said_so(world: World) -> None:
    world.add("aurelia", make_object("x"), make_object("y"))
    with pytest.raises(NotFoundError, match="no object"):
        ask(world, "z")
    with pytest.raises(NotFoundError, match="meridia"):
        explain(world.nodes["aurelia"], object_id("report", "x"), to=PartyId("meridia"))
    with pytest.raises(MalformedRequest, match="several"):
        explain(world.nodes["aurelia"], "report--", to=PartyId("borealia"))
    with pytest.raises(NotFoundError):
        explain(world.nodes["aurelia"], "report--*", to=PartyId("borealia"))
