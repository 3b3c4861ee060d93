# SPDX-License-Identifier: Apache-2.0
"""What terms leave out is left out on every path, after every restart, and whatever a request asks for."""

from pathlib import Path

import pytest

from comity.agreement.drafting import convert_terms
from comity.canonical import Json
from comity.errors import MalformedTerms
from comity.ids import Instant, ObjectId, PartyId
from comity.node.explain import explain
from comity.node.gate import list_open_collections
from comity.node.poll import PollRequest, Selection, poll
from comity.node.retention import delete
from comity.release.disclosure import Answer
from tests.regressions.groups import add, ask_partner, make, read_told, see, tell
from tests.worlds import World, make_object, object_id, tlp_id

NAME = "Ministry of Tides"
OUTSIDE: dict[str, dict[str, Json]] = {
    "another type": make_object(NAME, kind="campaign"),
    "another subject": make_object(NAME, subjects=("national:other",)),
    "no subject": make_object(NAME, subjects=()),
    "another region": make_object(NAME, regions=("TR",)),
    "a region too many": make("report", "x") | {"name": NAME, "object_refs": [object_id("location", "elsewhere")]},
    "a stricter marking": make_object(NAME, tlp="amber+strict"),
    "no marking": make_object(NAME, tlp=None),
    "a special category": make_object(NAME),
}
ELSEWHERE = make_object("elsewhere", kind="location", regions=("TR",), more={"country": "TR"})
EXTENSIONS = OUTSIDE["a special category"]["extensions"]
assert isinstance(EXTENSIONS, dict)
for _extension in EXTENSIONS.values():
    assert isinstance(_extension, dict)
    _extension["special_categories"] = ["health"]


@pytest.mark.parametrize("what", OUTSIDE)
def test_what_the_terms_leave_out_shows_on_no_path_and_for_no_filter_of_a_request(world: World, what: str) -> None:
    """Seen elsewhere: the filters of a collection held for the list and not for the single object, or not at all."""
    item = OUTSIDE[what]
    add(world, "aurelia", make("report", "inside"), ELSEWHERE, item)
    name = ObjectId(str(item["id"]))
    answers = see(world, "meridia", about=[name])
    assert tell(answers, NAME, name) == {}
    assert read_told(answers).keys() == {object_id("report", "inside")}
    # Seen elsewhere: a preview said that it would go, and nothing said why it did not.
    told = explain(world.nodes["aurelia"], name, to=PartyId("meridia")).verdict
    assert (told.decision, bool(told.clause), bool(told.reason)) == ("withhold", True, True)


def test_the_same_is_left_out_after_a_restart(world: World) -> None:
    """Seen elsewhere: after an update the filters were silently ignored, and everything was pulled."""
    items = [item for what, item in OUTSIDE.items() if what != "a region too many"]
    add(world, "aurelia", make("report", "inside"), ELSEWHERE)
    for item in items:
        world.add("aurelia", {**item, "id": object_id(str(item["type"]), str(items.index(item)))})
    given = set(world.read("meridia"))
    assert given == {object_id("report", "inside")}
    for _ in range(2):
        world.nodes["aurelia"].close()
        world.open("aurelia")
        assert set(world.read("meridia")) == given


@pytest.mark.parametrize(
    "line",
    [
        'regoins = ["IQ"]',
        'filter = "none"',
        "regions = []",
        'regions = ["everywhere"]',
        'types = "all"',
        "tlp_ceiling = 4",
    ],
)
def test_a_filter_that_is_not_understood_is_an_error_and_not_no_filter(world: World, line: str) -> None:
    """Seen elsewhere: a rule that could not be read was as if there were none."""
    name = line.partition(" ")[0]
    lines = world.terms(receivers=("meridia",)).decode().splitlines()
    changed = [line if item.startswith(f"{name} = ") else item for item in lines]
    changed += [] if line in changed else [line]
    with pytest.raises(MalformedTerms):
        convert_terms("\n".join(changed).encode())


def test_what_was_blocked_stays_blocked_whoever_gives_it_again(world: World) -> None:
    """Seen elsewhere: the rules that blocked events stopped working. Here an object that was deleted stays away."""
    item = make("report", NAME)
    add(world, "aurelia", item, make("report", "inside"))
    assert item["id"] in world.read("meridia")
    delete(world.nodes["aurelia"], str(item["id"]), reason="an error of ours")
    add(world, "aurelia", make("note", "on it", object_refs=[item["id"]]))
    answers = see(world, "meridia", about=[ObjectId(str(item["id"]))])
    answers = {path: answer for path, answer in answers.items() if "/comity/receipts/" not in path}
    assert tell(answers, NAME, str(item["id"]), object_id("note", "on it")) == {}
    again = world.add("aurelia", {**item, "name": "other bytes"})
    assert not again.added


@pytest.mark.parametrize("asking", ["match[id]", "match[type]", "match[version]=all&match[id]", "match[spec_version]"])
def test_no_filter_of_a_request_adds_to_what_is_given(world: World, asking: str) -> None:
    """Seen elsewhere: a filter of the reader took the place of the collection's own."""
    hidden = make("report", NAME, object_marking_refs=[tlp_id("red")])
    add(world, "aurelia", make("report", "inside"), hidden)
    value = {"match[type]": "report,indicator", "match[spec_version]": "2.1"}.get(asking, str(hidden["id"]))
    with ask_partner(world, "meridia") as asked:
        for what in ("objects", "manifest"):
            path = f"/taxii2/meridia/collections/{asked.collection}/{what}/?{asking}={value}"
            assert tell({path: asked.ask(path)}, NAME, f'"id":"{hidden["id"]}') == {}


def test_what_is_left_out_of_one_channel_does_not_come_by_another(tmp_path: Path) -> None:
    """Two agreements with one partner: each gives what it admits, and no relation of one brings what the other has."""
    world = World(tmp_path)
    world.found("aurelia", "meridia")
    for types, title in ((("report", "note"), "Reports"), (("indicator",), "Indicators")):
        world.sign_all(world.terms(receivers=("meridia",), types=types, title=title))
    indicator = make("indicator", "i")
    add(world, "aurelia", indicator, make("report", "on it", object_refs=[indicator["id"]]), make("report", "open"))
    node = world.nodes["aurelia"]
    given = dict[str, set[str]]()
    for collection in list_open_collections(node, PartyId("meridia")):
        asked = PollRequest(
            recipient=PartyId("meridia"),
            collection=collection.id,
            answer=Answer.OBJECTS,
            selection=Selection(after=Instant(0)),
        )
        given[collection.terms.title] = {item.id for item in poll(node, asked).items}
    assert given == {"Reports": {object_id("report", "open")}, "Indicators": {str(indicator["id"])}}
    world.close()
