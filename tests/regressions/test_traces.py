# SPDX-License-Identifier: Apache-2.0
"""Nothing that happened to an object, and nobody else who has it, shows in what a partner can ask.

Where a feature of others does not exist here, the nearest that does is tried: there is no history to be read over the
network, but there are versions, times of release, receipts, and messages between nodes.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from comity.canonical import Json
from comity.ids import AgreementId, Instant, ObjectId, PartyId, parse_instant
from comity.node import accept, ingest
from comity.node.accept import Status
from comity.node.gate import list_open_collections
from comity.node.journal import list_entries
from comity.node.outbox import list_waiting
from comity.node.poll import PollRequest, Selection, VersionChoice, poll
from comity.node.standing import list_dossiers
from comity.release.disclosure import Answer
from comity.stix.labels import make_tags
from comity.store import feeds
from tests.regressions.groups import EVERY_TYPE, add, ask_all, ask_partner, make, pull, read_told, see, tell
from tests.worlds import World, object_id, tlp_id

NAME = "Ministry of Tides"
HIDDEN = make("report", NAME)
STRICT: dict[str, Json] = {**HIDDEN, "modified": "2025-03-01T00:00:00.000000Z", "object_marking_refs": [tlp_id("red")]}


@pytest.fixture
def both(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives to Borealia and to Meridia, who do not know of each other."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    for name in ("borealia", "meridia"):
        made.sign_all(made.terms(receivers=(name,), types=EVERY_TYPE, title=f"Letters with {name.title()}"))
    yield made
    made.close()


def test_what_was_made_and_then_restricted_leaves_no_trace_with_who_was_never_given_it(world: World) -> None:
    """Seen elsewhere: a stream showed both the making and the taking away to those who may never know of it."""
    add(world, "aurelia", make("report", "before"))
    world.read("meridia")
    world.tick()
    add(world, "aurelia", HIDDEN, make("note", "on it", object_refs=[HIDDEN["id"]]))
    add(world, "aurelia", STRICT)
    world.tick()
    add(world, "aurelia", make("report", "after"))
    answers = see(world, "meridia", about=[ObjectId(str(HIDDEN["id"])), object_id("note", "on it")])
    assert tell(answers, NAME, str(HIDDEN["id"]), object_id("note", "on it")) == {}
    assert read_told(answers).keys() == {object_id("report", "before"), object_id("report", "after")}


def test_what_was_given_and_then_restricted_is_gone_with_all_its_versions(world: World) -> None:
    """It cannot be unseen; but nothing says when, why or into what it was changed."""
    add(world, "aurelia", HIDDEN, make("report", "other"))
    assert set(world.read("meridia")) == {HIDDEN["id"], object_id("report", "other")}
    add(world, "aurelia", STRICT)
    answers = see(world, "meridia", about=[ObjectId(str(HIDDEN["id"]))])
    answers = {path: answer for path, answer in answers.items() if "/comity/receipts/" not in path}
    assert tell(answers, NAME, str(HIDDEN["id"]), "2025-03-01") == {}


def test_a_version_that_was_restricted_before_it_was_read_shows_by_no_gap(world: World) -> None:
    """It was released, and not yet read: who asks for the first version of each object is given the first there is."""
    add(world, "aurelia", make("report", "other"), HIDDEN)
    assert [item.id for item in world.poll("meridia", limit=1).items] == [object_id("report", "other")]
    add(world, "aurelia", {**HIDDEN, "modified": "2025-03-01T00:00:00.000000Z"})
    world.poll("meridia", limit=1)
    other_bytes: dict[str, Json] = {**HIDDEN, "description": "the same time", "object_marking_refs": [tlp_id("red")]}
    assert world.add("aurelia", other_bytes).clashing
    answers = see(world, "meridia", about=[ObjectId(str(HIDDEN["id"]))])
    (first,) = [answer for path, answer in answers.items() if path.endswith("objects/?match[version]=first,last")]
    assert first.count(b'"modified":') == 2
    collection = list_open_collections(world.nodes["aurelia"], PartyId("meridia"))[0].id
    asked = PollRequest(
        recipient=PartyId("meridia"),
        collection=collection,
        answer=Answer.OBJECTS,
        selection=Selection(after=Instant(0), versions=VersionChoice(last=False, first=True)),
    )
    assert [item.version[:7] for item in poll(world.nodes["aurelia"], asked).items] == ["2025-01", "2025-03"]


def test_whom_else_an_object_was_given_to_stands_in_no_answer(both: World) -> None:
    """Seen elsewhere: the history of an object named the other organisations that it was shared with."""
    add(both, "aurelia", HIDDEN)
    agreements = _list_agreements(both)
    for name in ("borealia", "meridia"):
        assert set(both.read(name)) == {HIDDEN["id"]}
    both.tick()
    add(both, "aurelia", {**HIDDEN, "modified": "2025-03-01T00:00:00.000000Z"})
    both.read("borealia")
    answers = see(both, "meridia", about=[ObjectId(str(HIDDEN["id"]))])
    (shared,) = [one for one in agreements if tell(answers, one)]
    assert tell(answers, "Letters with Meridia", shared)
    assert tell(answers, "borealia", *(one for one in agreements if one != shared)) == {}


def _list_agreements(world: World) -> list[AgreementId]:
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        return [dossier.id for dossier in list_dossiers(node, transaction)]


def test_when_an_object_was_given_to_another_shows_in_no_time_of_the_feed(both: World) -> None:
    """Seen elsewhere: one object was in several groups, and its times were those of all of them."""
    add(both, "aurelia", HIDDEN)
    both.read("borealia")
    both.tick(60_000_000)
    with ask_partner(both, "meridia") as asked:
        head, _, _ = asked.ask(f"/taxii2/meridia/collections/{asked.collection}/objects/").partition(b"\r\n\r\n")
    (first,) = re.findall(rb"(?i)x-taxii-date-added-first: (\S+)\r", head)
    assert read_instant(first) == both.now


def read_instant(text: bytes) -> int:
    return parse_instant(text.decode())


def test_an_object_that_another_gives_too_stays_where_it_is_in_a_feed(tmp_path: Path) -> None:
    """Seen elsewhere: an object came to the top, with a new time, when a second organisation gave it as well."""
    world = World(tmp_path)
    world.found("aurelia", "borealia", "cimbria", "meridia")
    listed = {"borealia": ["meridia"], "cimbria": ["meridia", "borealia"]}
    agreements = {giver: _sign_onward(world, giver, "aurelia", listed=listed[giver]) for giver in listed}
    _sign_onward(world, "aurelia", "meridia")
    shared = make("report", "shared")
    add(world, "cimbria", shared, make("report", "other"))
    pull(world, "aurelia", giver="cimbria", agreement=agreements["cimbria"])
    before = world.poll("meridia").items
    world.tick()
    add(world, "borealia", shared)
    assert pull(world, "aurelia", giver="borealia", agreement=agreements["borealia"]).known == 1
    world.tick()
    assert len(before) == 2
    assert world.poll("meridia").items == before
    assert world.poll("meridia", after=before[-1].at).items == ()
    world.close()


def _sign_onward(world: World, giver: str, receiver: str, *, listed: Sequence[str] = ()) -> AgreementId:
    """The agreement by which `giver` gives `receiver` what anybody gave it, to be passed on to those `listed`."""
    originators = 'originators = ["own", "borealia", "cimbria"]'
    terms = world.terms(
        giver=giver, receivers=(receiver,), types=EVERY_TYPE, title=f"{giver} to {receiver}", channel_extra=originators
    )
    if listed:
        terms = terms.replace(b'onward = "none"', f'onward = "listed"\nreleasable_to = {[*listed]}'.encode())
    return AgreementId(world.sign_all(terms, proposer=giver))


def test_what_people_say_of_an_object_moves_it_in_no_feed(world: World) -> None:
    """Seen elsewhere: what was changed in an organisation's own notes on an object showed outside as a change of it."""
    add(world, "aurelia", HIDDEN, make("report", "other"))
    before = world.poll("meridia").items
    world.tick()
    node, data = world.nodes["aurelia"], json.dumps({"type": "bundle", "objects": [HIDDEN]}).encode()
    assert ingest.add_objects(node, data, tags=make_tags(regions=["SY"])).known == 1
    assert world.poll("meridia").items == before
    assert world.poll("meridia", after=before[-1].at).items == ()


def test_nobody_is_notified_of_what_it_may_not_read(both: World) -> None:
    """Seen elsewhere: users were notified of a report that they could not open."""
    waiting = [len(list_waiting(node)) for node in both.nodes.values()]
    add(both, "aurelia", STRICT, make("report", "open"), make("note", "n", object_refs=[HIDDEN["id"]]))
    both.read("meridia")
    add(both, "aurelia", {**STRICT, "modified": "2025-04-01T00:00:00.000000Z", "revoked": True})
    assert [len(list_waiting(node)) for node in both.nodes.values()] == waiting


def test_who_writes_an_object_is_not_told_that_another_has_given_it(tmp_path: Path) -> None:
    """Seen elsewhere: similar cases of organisations that one is not linked with were shown beside one's own."""
    told = list[Status]()
    for hides in (True, False):
        world = World(tmp_path / str(hides))
        world.found("aurelia", "borealia", "meridia")
        for giver in ("borealia", "meridia"):
            world.sign_all(
                world.terms(giver=giver, receivers=("aurelia",), types=EVERY_TYPE, title=giver, tlp="red"),
                proposer=giver,
            )
        node = world.nodes["aurelia"]
        node.draw = bytes
        written = make("report", "x", object_refs=[HIDDEN["id"]]), make("indicator", "y"), HIDDEN, STRICT
        if hides:
            write(world, "borealia", *written)
            write(world, "borealia", {**HIDDEN, "name": "other bytes", "modified": "2025-02-01T00:00:00.000000Z"})
        told.append(write(world, "meridia", *written))
        told.append(write(world, "meridia", {**HIDDEN, "name": "again", "modified": "2025-02-01T00:00:00.000000Z"}))
        world.close()
    having, lacking = told[:2], told[2:]
    assert [replace(status, at=lacking[0].at) for status in having] == [
        replace(status, at=lacking[0].at) for status in lacking
    ]
    assert [len(status.successes) for status in having] == [4, 1]


def write(world: World, giver: str, *items: dict[str, Json]) -> Status:
    """What `giver` is told of an envelope that it writes at Aurelia's node."""
    node = world.nodes["aurelia"]
    (target,) = accept.list_write_collections(node, PartyId(giver))
    data = json.dumps({"objects": list(items)}).encode()
    done = accept.accept_objects(node, data, giver=PartyId(giver), collection=target.id)
    assert isinstance(done, Status)
    return done


ASKS: dict[str, Callable[[str, str], str]] = {
    "a page": lambda base, _: f"{base}/objects/",
    "a manifest": lambda base, _: f"{base}/manifest/",
    "one object": lambda base, name: f"{base}/objects/{name}/",
    "its versions": lambda base, name: f"{base}/objects/{name}/versions/",
}


@pytest.mark.parametrize("what", ASKS)
def test_every_reading_is_on_record_whatever_was_asked(world: World, what: str) -> None:
    """Seen elsewhere: what was read over TAXII stood in no log, so that nobody could say who had had an object."""
    add(world, "aurelia", HIDDEN)
    world.read("meridia")
    with ask_partner(world, "meridia") as asked:
        node = world.nodes["aurelia"]
        before = asked.served.call(lambda: len(list_entries(node, start=0, limit=1_000)))
        answer = asked.ask(ASKS[what](f"/taxii2/meridia/collections/{asked.collection}", str(HIDDEN["id"])))
        assert answer.startswith(b"HTTP/1.1 200 ")
        entries = asked.served.call(lambda: list_entries(node, start=0, limit=1_000))
    assert len(entries) == before + 1
    assert entries[-1].leaf.recipient == "meridia"


def test_the_number_of_what_is_hidden_stands_in_no_answer(world: World) -> None:
    """Seen elsewhere: a page said how many of its objects the reader may not see."""
    add(world, "aurelia", make("report", "open"), *(make("report", f"{NAME} {n}", **_red()) for n in range(137)))
    with ask_partner(world, "meridia") as asked:
        answers = ask_all(asked, about=[object_id("report", f"{NAME} 0")])
    # A receipt is numbered by what its party was given, which may come to any number.
    bodies = [answer.partition(b"\r\n\r\n")[2] for path, answer in answers.items() if "/comity/receipts/" not in path]
    assert not [body for body in bodies if re.search(rb"\b13[678]\b", body)]
    assert read_told(answers).keys() == {object_id("report", "open")}


@pytest.mark.parametrize("hides", [0, 1, 3])
def test_what_is_hidden_between_shows_in_no_time_of_a_long_feed(
    world: World, monkeypatch: pytest.MonkeyPatch, hides: int
) -> None:
    """Seen elsewhere: where the pages of a long answer began told how many rows had been passed over for them."""
    monkeypatch.setattr(feeds, "_MOST_AT_ONCE", 20)
    monkeypatch.setattr(feeds, "_FEW", 3)
    for number in range(30):
        hidden = [make("report", f"{NAME} {number} {more}", **_red()) for more in range(hides * (number % 2))]
        add(world, "aurelia", make("report", f"own {number}"), *hidden)
    times, more = list[int](), True
    while more:
        page = world.poll("meridia", after=times[-1] if times else 0, limit=4)
        times += [item.at for item in page.items]
        world.tick()
        more = page.more
    assert times == [*range(times[0], times[0] + 30)]
    add(world, "aurelia", make("report", "later"))
    assert [item.at for item in world.poll("meridia", after=times[-1]).items] == [world.now]


def _red() -> dict[str, Json]:
    return {"object_marking_refs": [tlp_id("red")]}
