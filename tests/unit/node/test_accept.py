# SPDX-License-Identifier: Apache-2.0
"""What a partner writes: what is kept, what it is told, and that it learns nothing of others."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.events import EventKind
from comity.canonical import Json
from comity.errors import MalformedError, NotFoundError
from comity.ids import Instant, PartyId
from comity.node import accept, parts, receive
from comity.node.accept import (
    OverQuota,
    Status,
    accept_in_steps,
    accept_objects,
    list_write_collections,
    read_status,
)
from comity.node.explain import show_object
from comity.node.journal import list_entries
from comity.node.retention import delete
from comity.node.steps import Steps
from comity.node.upkeep import keep_up
from comity.release.receiving import find_outside
from comity.stix.labels import Label
from tests.worlds import World, make_object, object_id

BOREALIA = PartyId("borealia")
HOUR = 3_600_000_000


def sign(world: World, **more: Any) -> str:  # noqa: ANN401
    """An agreement in which Borealia gives to Aurelia."""
    return world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), **more), proposer="borealia")


def envelope(*objects: object) -> bytes:
    return json.dumps({"objects": list(objects)}).encode()


def write(world: World, *objects: object, giver: str = "borealia") -> Status:
    done = write_bytes(world, envelope(*objects), giver=giver)
    assert isinstance(done, Status), done
    return done


def write_bytes(world: World, data: bytes, *, giver: str = "borealia") -> Status | OverQuota:
    (target,) = list_write_collections(world.nodes["aurelia"], PartyId(giver))
    return accept_objects(world.nodes["aurelia"], data, giver=PartyId(giver), collection=target.id)


def count(world: World, table: str) -> int:
    with world.nodes["aurelia"].store.read() as transaction:
        row = transaction.row(f"SELECT COUNT(*) FROM {table}")
    assert row is not None
    return int(row[0])


def set_quota(world: World, **quota: Any) -> None:  # noqa: ANN401
    node = world.nodes["aurelia"]
    node.settings = dataclasses.replace(node.settings, **quota)


def test_it_is_held_as_a_pulled_page_is(tmp_path: Path) -> None:
    shown = []
    for way in ("written", "pulled"):
        world = World(tmp_path / way)
        world.found("aurelia", "borealia")
        sign(world)
        node, made = world.nodes["aurelia"], envelope(make_object("a", tlp="amber"))
        (target,) = list_write_collections(node, BOREALIA)
        if way == "written":
            write_bytes(world, made)
        else:
            received = receive.Received(
                giver=BOREALIA,
                terms=target.terms.hash,
                channel=target.channel,
                collection=target.id,
                added_after=None,
            )
            receive.receive_page(node, made, received)
        item = show_object(node, object_id("report", "a"))
        assert item.object.received_under == target.terms.hash
        with node.store.read() as transaction:
            came = transaction.rows("SELECT object, giver FROM arrival")
        shown.append((item.label, item.object.originator, item.data, came, len(list_entries(node, start=0, limit=99))))
        world.close()
    assert shown[0] == shown[1]


def test_each_object_is_in_one_list_under_its_id_and_version(world: World) -> None:
    sign(world)
    good, bad = make_object("good", day=3), make_object("bad", more={"labels": []})
    nameless = {"type": "report", "id": "no id"}
    status = write(world, good, bad, nameless, good, bad, 5)
    assert [(item.id, item.version) for item in status.successes] == [(good["id"], good["modified"])] * 2
    assert [(item.id, item.version) for item in status.failures] == [
        (bad["id"], bad["modified"]),
        ("objects/2", "1970-01-01T00:00:00.000Z"),
        (bad["id"], bad["modified"]),
        ("objects/5", "1970-01-01T00:00:00.000Z"),
    ]
    assert [item.message.split(":")[0] for item in status.failures] == [
        "/objects/1/labels",
        "/objects/2/id",
        "/objects/1/labels",
        "/objects/5",
    ]
    assert count(world, "object") == 1
    kept = read_status(world.nodes["aurelia"], party=BOREALIA, name=status.id)
    said = "refused; why was said in the answer to the envelope, and is not kept: send the object again to be told"
    told = tuple(failure._replace(message=said) for failure in status.failures)
    assert kept == dataclasses.replace(status, failures=told)


def test_nothing_of_what_was_refused_is_kept_in_any_file(world: World) -> None:
    """Who is ordered to delete an object cannot find it in what was never taken in."""
    sign(world)
    quoted = ("TOKTIME", "TOKID", "TOKMARK", "TOKTYPE", "TOKKEY")
    status = write(
        world,
        make_object("a", more={"created": quoted[0]}),
        {"type": "report", "id": quoted[1]},
        make_object("b", more={"object_marking_refs": [quoted[2]]}),
        {"type": quoted[3], "id": object_id("report", "c")},
        make_object("d", more={quoted[4]: {"": 1}, "labels": []}),
    )
    assert len(status.failures) == 5
    assert sum(word in failure.message for failure in status.failures for word in quoted) >= 3
    files = [path for path in world.nodes["aurelia"].folder.rglob("*") if path.is_file()]
    assert [word for word in quoted for path in files if word.encode() in path.read_bytes()] == []


def test_what_an_earlier_version_kept_of_refusals_goes_with_the_migration(world: World) -> None:
    sign(world)
    status = write(world, make_object("good"), make_object("bad", more={"labels": []}))
    (failure,) = status.failures
    text = (resources.files("comity.store") / "migrations" / "0029_refused.sql").read_text()
    with world.nodes["aurelia"].store.write() as transaction:
        row = transaction.row("SELECT body FROM write_status")
        assert row is not None
        before = json.loads(row[0]) | {"failures": [[failure.id, failure.version, "it quoted TOKTEXT"]]}
        transaction.run("UPDATE write_status SET body = ?", (json.dumps(before).encode(),))
        transaction.run(text)
        after = transaction.row("SELECT body FROM write_status")
    assert after is not None
    assert json.loads(after[0]) == json.loads(row[0])
    assert [read.id for read in read_status(world.nodes["aurelia"], party=BOREALIA, name=status.id).failures] == [
        failure.id
    ]


def test_the_same_envelope_again_is_no_error(world: World) -> None:
    sign(world)
    first, second = (write(world, make_object("a"), make_object("b")) for _ in range(2))
    assert first.successes == second.successes
    assert (first.failures, second.failures) == ((), ())
    assert first.id != second.id
    assert count(world, "object") == 2


def test_not_even_a_clash_with_an_own_version_is_told(world: World) -> None:
    """If it were, whoever is told of none would know that its first version was not kept."""
    sign(world)
    write(world, make_object("a"))
    assert write(world, make_object("a", tlp="clear")).failures == ()
    (unkept,) = accept.list_unkept(world.nodes["aurelia"], last=10)
    assert "held in this version with other bytes" in unkept.reason


def test_what_shows_that_the_terms_do_not_let_it_come_is_refused_and_the_rest_is_kept(world: World) -> None:
    sign(world)
    status = write(world, make_object("a"), make_object("b", tlp="red"), make_object("c", kind="campaign"))
    assert [failure.message for failure in status.failures] == [
        "/objects/1: outside of the terms it was given under: tlp_ceiling admits no red",
        "/objects/2: outside of the terms it was given under: types admits no campaign",
    ]
    assert [success.id for success in status.successes] == [object_id("report", "a")]
    assert count(world, "object") == 1


def test_two_versions_in_one_envelope_that_clash_are_told(world: World) -> None:
    sign(world)
    (failure,) = write(world, make_object("a"), make_object("a", tlp="red")).failures
    assert "twice, with different bytes" in failure.message


@pytest.mark.parametrize("held", ["theirs", "ours", "deleted"])
@pytest.mark.parametrize("day", [1, 2])
def test_what_clashes_with_others_is_not_kept_and_not_told(world: World, held: str, day: int) -> None:
    world.found("meridia")
    sign(world)
    if held == "ours":
        world.add("aurelia", make_object("a"))
    else:
        world.sign_all(world.terms(giver="meridia", receivers=("aurelia",)), proposer="meridia")
        write(world, make_object("a"), giver="meridia")
    if held == "deleted":
        delete(world.nodes["aurelia"], object_id("report", "a"), reason="asked to")
    before = count(world, "object")
    status = write(world, make_object("a", tlp="amber", day=day), make_object("b"))
    assert [item.id for item in status.successes] == [object_id("report", "a"), object_id("report", "b")]
    assert status.failures == ()
    assert count(world, "object") == before + 1
    (unkept,) = accept.list_unkept(world.nodes["aurelia"], last=10)
    assert (unkept.giver, unkept.id, unkept.channel) == (BOREALIA, object_id("report", "a"), "main")
    assert unkept.reason


def test_what_is_held_from_another_with_the_same_bytes_came_from_both(world: World) -> None:
    world.found("meridia")
    sign(world)
    world.sign_all(world.terms(giver="meridia", receivers=("aurelia",)), proposer="meridia")
    for giver in ("meridia", "borealia"):
        assert write(world, make_object("a"), giver=giver).failures == ()
    assert (count(world, "arrival"), count(world, "unkept")) == (2, 0)


def test_the_gate_is_asked_each_time(world: World) -> None:
    agreement = sign(world)
    node = world.nodes["aurelia"]
    (target,) = list_write_collections(node, BOREALIA)
    for party, kind in (("borealia", EventKind.SUSPEND), ("aurelia", EventKind.TERMINATE)):
        write(world, make_object(party))
        world.act(party, agreement, kind)
        world.deliver()
        before = count(world, "object")
        assert list_write_collections(node, BOREALIA) == []
        with pytest.raises(NotFoundError):
            accept_objects(node, envelope(make_object("late")), giver=BOREALIA, collection=target.id)
        assert count(world, "object") == before
        if kind is EventKind.SUSPEND:
            world.act(party, agreement, EventKind.RESUME)
            world.deliver()


def start_writing(world: World, *objects: Any, alone: Iterable[bool] = ()) -> Steps[Status | OverQuota]:  # noqa: ANN401
    node = world.nodes["aurelia"]
    (target,) = list_write_collections(node, BOREALIA)
    said = iter(alone)
    return accept_in_steps(
        node, envelope(*objects), giver=BOREALIA, collection=target.id, is_alone=lambda: next(said, False)
    )


def count_by_turns(world: World, *objects: Any, alone: Iterable[bool]) -> list[int]:  # noqa: ANN401
    """How many objects there are at each turn for others, and at the end."""
    return [*(count(world, "object") for _ in start_writing(world, *objects, alone=alone)), count(world, "object")]


def test_while_nobody_polls_what_is_left_of_an_envelope_is_one_part(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(world)
    monkeypatch.setattr(accept, "PART_OBJECTS", 2)
    first, second, third = ([make_object(f"{kind}{name}") for name in "abcdef"] for kind in "xyz")
    assert count_by_turns(world, *first, alone=[True]) == [0, 6]
    assert count_by_turns(world, *second, alone=[False, True]) == [6, 8, 12]
    assert count_by_turns(world, *third, alone=[False, False, False]) == [12, 14, 16, 18]
    with world.nodes["aurelia"].store.read() as transaction:
        assert transaction.rows("SELECT objects FROM write_use") == [(18,)]


def test_what_is_labelled_in_many_ways_is_divided_also_while_nobody_polls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(world, types=("report", *(f"x-{place}" for place in range(6))))
    monkeypatch.setattr(accept, "PART_OBJECTS", 2)
    monkeypatch.setattr(parts, "_MOST_LABELS", 3)
    marked = [f"marking-definition--00000000-0000-4000-8000-00000000000{place}" for place in range(6)]
    many = [plain(f"m{place}", markings=[marking]) for place, marking in enumerate(marked)]
    few = [plain(f"f{place}", markings=[marked[place % 3]]) for place in range(6)]
    kinds = [{**plain(f"k{place}"), "type": f"x-{place}", "id": object_id(f"x-{place}", "k")} for place in range(6)]
    partly: Json = [{"marking_ref": marked[0], "selectors": ["description"]}]
    granular = [{**plain(f"p{place}"), "description": "d", "granular_markings": partly} for place in range(6)]
    tags = ([f"national:group-{place}"] for place in range(6))
    tagged = [make_object(f"t{place}", subjects=subjects) for place, subjects in enumerate(tags)]
    assert count_by_turns(world, *few, alone=[True] * 9) == [0, 6]
    for place, divided in enumerate((many, kinds, granular, tagged), start=1):
        assert count_by_turns(world, *divided, alone=[True] * 9) == [6 * place + more for more in (0, 2, 4, 6)]
    monkeypatch.setattr(parts, "_MOST_WHOLE", 5)
    assert count_by_turns(world, *(plain(f"g{place}") for place in range(6)), alone=[True] * 9) == [30, 32, 34, 36]


def plain(name: str, *, markings: Sequence[str] = ()) -> dict[str, Json]:
    """An object without tags."""
    made = make_object(name) | {"object_marking_refs": [*markings]}
    del made["extensions"]
    return made if markings else {key: value for key, value in made.items() if key != "object_marking_refs"}


def test_an_envelope_is_taken_in_by_parts_and_counted_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sign(world)
    monkeypatch.setattr(accept, "PART_OBJECTS", 2)
    made = [make_object("a", refs=[object_id("report", "e")]), *(make_object(name) for name in "bcde"), {"id": 5}]
    counts = []
    for _ in start_writing(world, *made):
        with world.nodes["aurelia"].store.read() as transaction:
            names = {name for (name,) in transaction.rows("SELECT id FROM object")}
        counts.append((len(names), count(world, "write_status"), count(world, "write_use")))
        assert object_id("report", "a") not in names or object_id("report", "e") in names
    assert counts == [(0, 0, 0), (2, 0, 1), (4, 0, 1)]
    assert (count(world, "object"), count(world, "write_status")) == (5, 1)
    with world.nodes["aurelia"].store.read() as transaction:
        assert transaction.rows("SELECT objects FROM write_use") == [(6,)]
        ((body,),) = transaction.rows("SELECT body FROM write_status")
    status = json.loads(body)
    assert [item[0] for item in status["successes"]] == [object_id("report", name) for name in "abcde"]
    assert [item[0] for item in status["failures"]] == ["objects/5"]


def test_a_gate_that_closes_in_the_middle_leaves_what_came_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = sign(world)
    monkeypatch.setattr(accept, "PART_OBJECTS", 2)
    steps = start_writing(world, *(make_object(name) for name in "abcd"))
    next(steps)
    next(steps)
    world.act("aurelia", agreement, EventKind.SUSPEND)
    with pytest.raises(NotFoundError):
        next(steps)
    assert (count(world, "object"), count(world, "write_status")) == (2, 0)
    world.act("aurelia", agreement, EventKind.RESUME)
    again = write(world, *(make_object(name) for name in "abcd"))
    assert len(again.successes) == 4
    assert count(world, "object") == 4


def test_a_clash_in_a_later_part_is_kept_apart_and_not_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sign(world)
    world.add("aurelia", make_object("d"))
    monkeypatch.setattr(accept, "PART_OBJECTS", 1)
    status = write(world, *(make_object(name, tlp="amber") for name in "abcd"))
    assert ([item.id for item in status.successes], status.failures) == ([object_id("report", n) for n in "abcd"], ())
    (unkept,) = accept.list_unkept(world.nodes["aurelia"], last=10)
    assert (unkept.id, unkept.version) == (object_id("report", "d"), make_object("d")["modified"])


def test_over_the_quota_not_even_the_first_part_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sign(world)
    set_quota(world, write_objects_per_day=3)
    monkeypatch.setattr(accept, "PART_OBJECTS", 1)
    write(world, make_object("a"))
    assert isinstance(write_bytes(world, envelope(*(make_object(name) for name in "bcd"))), OverQuota)
    assert count(world, "object") == 1


def test_nobody_writes_where_it_does_not_give(world: World) -> None:
    world.found("meridia")
    sign(world)
    world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    (target,) = list_write_collections(node, BOREALIA)
    assert list_write_collections(node, PartyId("meridia")) == []
    assert list_write_collections(world.nodes["borealia"], PartyId("meridia")) == []
    with pytest.raises(NotFoundError):
        accept_objects(node, envelope(make_object("a")), giver=PartyId("meridia"), collection=target.id)
    with pytest.raises(NotFoundError):
        accept_objects(node, envelope(make_object("a")), giver=BOREALIA, collection="main")
    assert count(world, "object") == 0


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"objects":[]}', b'{"objects":{}}', b'{"objects":[1],"objects":[2]}', b"\xff"]
)
def test_what_is_no_envelope_keeps_nothing(world: World, data: bytes) -> None:
    sign(world)
    with pytest.raises(MalformedError):
        write_bytes(world, data)
    assert (count(world, "write_status"), count(world, "write_use")) == (0, 0)


def test_an_envelope_of_too_many_keeps_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sign(world)
    monkeypatch.setattr(accept, "MAX_ENVELOPE_OBJECTS", 3)
    assert len(write(world, *(make_object(str(n)) for n in range(3))).successes) == 3
    with pytest.raises(MalformedError, match="send 1 to 3"):
        write(world, *(make_object(str(n)) for n in range(4)))


def test_the_quota_is_of_a_party_and_a_day(world: World) -> None:
    sign(world)
    set_quota(world, write_objects_per_day=3)
    write(world, make_object("a"), make_object("a"), 5)
    before = count(world, "object")
    refused = write_bytes(world, envelope(make_object("b")))
    assert isinstance(refused, OverQuota)
    assert (count(world, "object"), count(world, "write_status")) == (before, 1)
    world.tick((refused.retry_after - 2) * 1_000_000)
    assert isinstance(write_bytes(world, envelope(make_object("b"))), OverQuota)
    world.tick(2_000_000)
    assert len(write(world, make_object("b")).successes) == 1
    with pytest.raises(MalformedError, match="send 1 to 3"):
        write(world, 1, 2, 3, 4)


def test_the_quota_counts_bytes(world: World) -> None:
    sign(world)
    data = envelope(make_object("a"))
    set_quota(world, write_bytes_per_day=2 * len(data))
    assert isinstance(write_bytes(world, data), Status)
    assert isinstance(write_bytes(world, data), Status)
    assert isinstance(write_bytes(world, data), OverQuota)


def test_a_status_is_kept_for_a_day_and_for_its_party(world: World) -> None:
    sign(world)
    node = world.nodes["aurelia"]
    status = write(world, make_object("a"))
    with pytest.raises(NotFoundError):
        read_status(node, party=PartyId("meridia"), name=status.id)
    world.tick(24 * HOUR)
    keep_up(node)
    assert read_status(node, party=BOREALIA, name=status.id) == status
    world.tick(HOUR)
    with pytest.raises(NotFoundError):
        read_status(node, party=BOREALIA, name=status.id)
    keep_up(node)
    assert count(world, "write_status") == 0
    world.tick(48 * HOUR - world.now % (24 * HOUR))  # to a midnight: what is counted by days is kept for two of them
    write(world, make_object("a"))
    world.tick(26 * HOUR)
    keep_up(node)
    assert count(world, "write_use") == 1


def test_what_was_not_kept_is_shown_for_90_days(world: World) -> None:
    sign(world)
    world.add("aurelia", make_object("a"))
    write(world, make_object("a", day=2))
    node = world.nodes["aurelia"]
    world.tick(89 * 24 * HOUR)
    keep_up(node)
    assert len(accept.list_unkept(node, last=10)) == 1
    world.now = Instant(world.now + 2 * 24 * HOUR)
    keep_up(node)
    assert accept.list_unkept(node, last=10) == []


def test_what_is_behind_too_many_objects_is_not_looked_at(world: World) -> None:
    """Nothing of it is counted towards a quota: then it must cost next to nothing."""
    sign(world)
    with pytest.raises(MalformedError, match="over 1000 objects"):
        write_bytes(world, b'{"objects":[' + b"0," * 1_000 + b"0,%%%")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"objects":[' + b"[" * 200_000 + b"]" * 200_000 + b"]}", "too deep"),
        (b'{"x":[' + b"[]," * 60_000 + b'0],"objects":[1]}', "beside `objects`"),
        (b'{"objects":[NaN,"' + b"x" * 200_000 + b'"]}', "not JSON"),
        (b'{"objects":[' + b"[]," * 100_000 + b"[]]}", "over 1000 objects"),
        (b'{"objects":"' + b"x" * 200_000 + b'"}', "not an array"),
        (b'{"objects":[1],"objects":["' + b"x" * 200_000 + b'"]}', "already"),
    ],
)
def test_a_long_envelope_that_only_a_slow_reading_could_follow_is_refused(world: World, body: bytes, said: str) -> None:
    sign(world)
    with pytest.raises(MalformedError, match=said):
        write_bytes(world, body)
    assert count(world, "object") == 0


def test_a_long_envelope_with_objects_in_the_middle_is_taken_in(world: World) -> None:
    sign(world)
    made = json.dumps([make_object("a", more={"description": "x" * 200_000}), {"id": 1}])
    status = write_bytes(world, b'{"more":false,"objects":' + made.encode() + b',"x":[1,2,{}]}')
    assert isinstance(status, Status)
    assert ([item.id for item in status.successes], len(status.failures)) == ([object_id("report", "a")], 1)


def test_who_is_over_its_quota_is_told_so_before_anything_is_read(world: World) -> None:
    """Else it could have others wait for the reading of as many envelopes as it likes."""
    sign(world)
    set_quota(world, write_objects_per_day=1)
    write(world, make_object("a"))
    assert isinstance(write_bytes(world, b"{"), OverQuota)


def test_whether_terms_let_something_come_is_asked_once_for_all_that_is_labelled_alike(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign(world)
    asked = list[object]()

    def find(label: Label, **how: Any) -> str | None:  # noqa: ANN401
        asked.append(label.types)
        return find_outside(label, **how)

    monkeypatch.setattr(accept, "find_outside", find)
    strays = [{**plain(name), "type": "x-stray", "id": object_id("x-stray", name)} for name in "fg"]
    write(world, *(plain(name) for name in "abcde"), *strays)
    assert asked == [{"report"}, {"x-stray"}]
    assert count(world, "object") == 5
