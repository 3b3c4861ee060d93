# SPDX-License-Identifier: Apache-2.0
"""What was received is reviewed or deleted as its terms say; each deletion is on record, and nothing of it is left."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from comity.agreement.duration import add_duration, parse_duration
from comity.agreement.events import EventKind
from comity.agreement.retention import Delete, Review
from comity.canonical import Json
from comity.errors import MalformedRequest, NotFoundError, TransitionError
from comity.ids import Instant, PartyId, format_instant, parse_instant
from comity.node import ingest
from comity.node.due import Due, count_due, find_end, look_through_due
from comity.node.explain import find_deleted, show_object
from comity.node.files import Bytes
from comity.node.follow import Target, plan_pull
from comity.node.intake import Plan, take_file
from comity.node.journal import list_entries, verify_store
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest
from comity.node.receive import Received, receive_page
from comity.node.retention import delete, delete_due, keep
from comity.node.standing import Dossier, list_dossiers
from comity.node.steps import finish
from comity.node.work import review_agreement
from comity.release.disclosure import EntryType, parse_leaf
from comity.store import SqliteStore
from tests.worlds import World, make_object, object_id, tlp_id

DAY = 86_400_000_000
REVIEWED = 'retention = { review_after = "P90D", maximum = "P300D", no_decision = "delete" }'
ENDING = 'survival = { duties = ["onward", "retention"], material = "delete", within = "P30D" }'
FORGOTTEN = 'survival = { duties = ["onward"], material = "keep" }'
NODE = "http://127.0.0.1:1"


@pytest.fixture
def world(world: World) -> World:
    """Two parties, and Borealia knows where Aurelia's node is."""
    meet(world, "borealia", "aurelia")
    return world


def meet(world: World, name: str, other: str) -> None:
    add_party(world.nodes[name], export_manifest(world.nodes[other]), digest=world.manifests[other].digest, url=NODE)


def find_target(world: World, agreement: str, *, giver: str = "aurelia", receiver: str = "borealia") -> Target:
    (target,) = [each for each in plan_pull(world.nodes[receiver], PartyId(giver)) if each.agreement == agreement]
    return target


def list_due(node: Node) -> tuple[Due, ...]:
    """All that is due within the time of notice, the earliest first."""
    return finish(look_through_due(node, after=None, most=1_000)).items


def receive(world: World, target: Target, *items: dict[str, Json], receiver: str = "borealia") -> ingest.Intake:
    """What a pull brings, without the network."""
    data = json.dumps({"objects": [*items]}).encode()
    received = Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=world.now,
    )
    intake = receive_page(world.nodes[receiver], data, received)
    assert not intake.bad
    return intake


def agree(world: World, *clauses: str, onward: str = "none", **fields: Any) -> Target:  # noqa: ANN401 (a world's terms)
    giver = fields.get("giver", "aurelia")
    toml = world.terms(extra="\n".join(clauses), **fields).replace(b'onward = "none"', f'onward = "{onward}"'.encode())
    return find_target(world, world.sign_all(toml, proposer=giver), giver=giver)


def held(world: World, name: str = "borealia") -> set[str]:
    with world.nodes[name].store.read() as transaction:
        return {row[0] for row in transaction.rows("SELECT id FROM object")}


def ids(*names: str) -> set[str]:
    return {object_id("report", name) for name in names}


def run(world: World, name: str = "borealia") -> int:
    """How many were deleted."""
    count = 0
    while True:
        purged = delete_due(world.nodes[name])
        count += len(purged.stones)
        if not purged.more:
            assert purged.gone
            return count


def purges(world: World, name: str = "borealia") -> list[dict[str, Any]]:
    return [
        cast("dict[str, Any]", entry.content)
        for entry in list_entries(world.nodes[name], start=0, limit=1_000)
        if entry.leaf.type is EntryType.PURGE
    ]


# --- the rules, on real nodes -----------------------------------------------------------------------------------------


def test_what_nobody_reviews_is_work_thirty_days_before_and_deleted_on_its_date(world: World) -> None:
    receive(world, agree(world, REVIEWED), make_object("a"))
    assert list_due(world.nodes["borealia"]) == ()
    world.tick(60 * DAY - 1)
    assert list_due(world.nodes["borealia"]) == ()
    world.tick(1)
    (due,) = list_due(world.nodes["borealia"])
    assert isinstance(due.judged, Review)
    assert due.judged.due == world.now + 30 * DAY
    world.tick(30 * DAY - 1)
    assert run(world) == 0
    world.tick(1)
    assert run(world) == 1
    assert held(world) == set()
    assert run(world) == 0


def test_all_that_is_due_is_read_part_by_part_the_earliest_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a part holds less than a text, and the text that is read first is not the one that is due first."""
    monkeypatch.setattr("comity.node.due.MAX_COUNTED", 2)
    monkeypatch.setattr("comity.node.due._READ", 3)
    target, other = agree(world, REVIEWED), agree(world, REVIEWED, title="Another")
    for number in range(10):
        receive(world, target if number % 3 else other, make_object(f"n{number}"))
        world.tick(DAY)
    receive(world, target, make_object("n0"))  # what came twice is due once
    world.tick(65 * DAY)
    node = world.nodes["borealia"]

    def read(most: int, *, keeps: str | None = None) -> list[str]:
        seen, after = list[str](), None
        for _ in range(12):
            part = finish(look_through_due(node, after=after, most=most))
            assert len(part.items) <= most
            seen += [item.object.id for item in part.items]
            if keeps in seen:
                keep(node, str(keeps), reason="Open.")
                keeps = None
            if part.next is None:
                return seen
            after = part.next
        return seen

    expected = [object_id("report", f"n{number}") for number in range(10)]
    assert [(item.count, found.more) for found in [count_due(node)] for item in found.counts] == [(3, True)]
    for most in (1, 2, 3, 9, 10, 11):
        assert read(most) == expected, most
    # What is decided on meanwhile moves nothing that is still to be shown out of sight.
    assert read(4, keeps=expected[2]) == expected
    assert expected[2] not in read(4)


def test_a_deletion_is_on_record_with_clause_and_terms_and_without_an_id_in_the_leaf(world: World) -> None:
    target = agree(world, REVIEWED)
    receive(world, target, make_object("a"))
    with world.nodes["borealia"].store.read() as transaction:
        digest = transaction.rows("SELECT digest FROM object")[0][0]
    due = world.now + 90 * DAY
    world.tick(91 * DAY)
    run(world)
    (purge,) = purges(world)
    made = make_object("a")
    assert purge["id"] == made["id"]
    assert purge["version"] == made["modified"]
    assert purge["digest"] == digest
    assert purge["originator"] == "aurelia"
    assert purge["agreement"] == target.agreement
    assert purge["clause"] == "retention.review_after"
    assert parse_instant(purge["due"]) == due
    assert purge["reason"] is purge["by"] is None
    with world.nodes["borealia"].store.read() as transaction:
        leaf = bytes(transaction.rows("SELECT leaf FROM log_entry ORDER BY position DESC LIMIT 1")[0][0])
    assert parse_leaf(leaf).terms == target.terms
    assert b"report--" not in leaf
    assert str(made["id"]).partition("--")[2].encode() not in leaf
    verify_store(world.nodes["borealia"].store, origin="comity/borealia", party=PartyId("borealia"))


def test_a_decision_to_keep_holds_until_the_next_review_and_never_beyond_the_maximum(world: World) -> None:
    receive(world, agree(world, REVIEWED), make_object("a"))
    name = object_id("report", "a")
    received = world.now
    for day in (80, 160, 240):
        world.now = Instant(received + day * DAY)
        (kept,) = keep(world.nodes["borealia"], name, reason="Needed for an open case.")
        assert kept.until == min(world.now + 90 * DAY, received + 300 * DAY)
        assert run(world) == 0
    world.now = Instant(received + 299 * DAY)
    with pytest.raises(TransitionError, match=r"deleted on .* by retention.maximum, whatever is decided"):
        keep(world.nodes["borealia"], name, reason="Still needed.")
    (due,) = list_due(world.nodes["borealia"])
    assert isinstance(due.judged, Delete)
    assert run(world) == 0
    world.tick(DAY)
    assert run(world) == 1
    assert [purge["clause"] for purge in purges(world)] == ["retention.maximum"]
    reviews = [
        entry for entry in list_entries(world.nodes["borealia"], start=0, limit=99) if entry.leaf.type == "review"
    ]
    assert [cast("dict[str, Any]", entry.content)["reason"] for entry in reviews] == ["Needed for an open case."] * 3


def test_a_decision_that_comes_after_the_date_comes_too_late(world: World) -> None:
    receive(world, agree(world, REVIEWED), make_object("a"))
    world.tick(90 * DAY)
    with pytest.raises(TransitionError, match=r"retention\.review_after"):
        keep(world.nodes["borealia"], object_id("report", "a"), reason="Forgotten.")
    assert run(world) == 1


def test_a_decision_needs_a_reason_and_an_object_that_terms_ask_about(world: World) -> None:
    receive(world, agree(world), make_object("a"))
    world.add("borealia", make_object("own"))
    for reason in ("", "  ", "x" * 5_000, "no text \ud800"):
        with pytest.raises(MalformedRequest):
            keep(world.nodes["borealia"], object_id("report", "a"), reason=reason)
        with pytest.raises(MalformedRequest):
            delete(world.nodes["borealia"], object_id("report", "a"), reason=reason)
    with pytest.raises(TransitionError, match="ask for a review"):
        keep(world.nodes["borealia"], object_id("report", "a"), reason="Needed.")
    with pytest.raises(TransitionError, match="by this party itself"):
        keep(world.nodes["borealia"], object_id("report", "own"), reason="Needed.")
    with pytest.raises(NotFoundError):
        keep(world.nodes["borealia"], object_id("report", "none"), reason="Needed.")


@pytest.mark.parametrize("who", ["aurelia", "borealia"])
def test_after_a_termination_material_is_deleted_within_the_time_it_gives(world: World, who: str) -> None:
    target = agree(world, REVIEWED, ENDING)
    receive(world, target, make_object("a"), make_object("b"))
    world.tick(10 * DAY)
    world.act(who, target.agreement, EventKind.TERMINATE)
    world.tick(3 * DAY)  # the other node hears of it three days later
    world.deliver()
    recorded = world.now if who == "aurelia" else Instant(world.now - 3 * DAY)
    world.now = Instant(recorded + 30 * DAY - 1)
    assert {type(due.judged) for due in list_due(world.nodes["borealia"])} == {Delete}
    assert run(world) == 0
    world.tick(1)
    assert run(world) == 2
    assert {purge["clause"] for purge in purges(world)} == {"survival.within"}


def test_after_its_last_day_material_is_deleted_within_the_time_it_gives(world: World) -> None:
    until = Instant(world.now + 100 * DAY)
    receive(world, agree(world, ENDING, until=format_instant(until)), make_object("a"))
    world.now = Instant(until + 30 * DAY - 1)
    assert run(world) == 0
    world.tick(1)
    assert run(world) == 1


def test_an_agreement_that_was_renewed_after_its_last_day_has_not_ended(world: World) -> None:
    until = Instant(world.now + 100 * DAY)
    target = agree(world, ENDING, until=format_instant(until))
    receive(world, target, make_object("a"))
    world.now = Instant(until + DAY)
    assert find_end(dossier(world), PartyId("borealia"), now=world.now) == until
    renewed = world.terms(extra=ENDING, version=2, agreement=target.agreement, supersedes=target.terms)
    world.sign_all(renewed)
    assert find_end(dossier(world), PartyId("borealia"), now=world.now) is None
    world.tick(60 * DAY)
    assert run(world) == 0


def dossier(world: World, name: str = "borealia") -> Dossier:
    node = world.nodes[name]
    with node.store.read() as transaction:
        return list_dossiers(node, transaction)[0]


def test_who_leaves_a_group_deletes_and_who_stays_does_not(world: World) -> None:
    world.found("meridia")
    for name in ("borealia", "meridia"):
        meet(world, name, "aurelia")
    group = 'structure = { kind = "group", accession = "closed" }'
    agreement = world.sign_all(world.terms(receivers=("borealia", "meridia"), extra=f"{group}\n{ENDING}"))
    for name in ("borealia", "meridia"):
        receive(world, find_target(world, agreement, receiver=name), make_object("a"), receiver=name)
    world.act("meridia", agreement, EventKind.LEAVE)
    world.deliver()
    world.tick(30 * DAY)
    assert (run(world, "borealia"), run(world, "meridia")) == (0, 1)


def test_where_retention_does_not_outlive_the_end_a_review_is_not_owed_but_the_maximum_stays(world: World) -> None:
    target = agree(world, REVIEWED, FORGOTTEN)
    receive(world, target, make_object("a"))
    world.tick(10 * DAY)
    world.act("aurelia", target.agreement, EventKind.TERMINATE)
    world.deliver()
    world.tick(100 * DAY)
    assert run(world) == 0
    world.tick(190 * DAY)
    assert run(world) == 1
    assert [purge["clause"] for purge in purges(world)] == ["retention.maximum"]


def test_a_review_that_was_missed_before_the_end_is_a_deletion_though_nobody_ran_it(world: World) -> None:
    target = agree(world, REVIEWED, FORGOTTEN)
    receive(world, target, make_object("a"))
    world.tick(91 * DAY)
    world.act("aurelia", target.agreement, EventKind.TERMINATE)
    world.deliver()
    assert run(world) == 1


def test_terms_count_as_they_were_when_the_object_came(world: World) -> None:
    first = agree(world, REVIEWED)
    receive(world, first, make_object("a"))
    longer = 'retention = { review_after = "P200D", no_decision = "delete" }'
    world.sign_all(world.terms(extra=longer, version=2, agreement=first.agreement, supersedes=first.terms))
    receive(world, find_target(world, first.agreement), make_object("b"))
    world.tick(90 * DAY)
    assert run(world) == 1
    assert held(world) == ids("b")


def test_of_two_agreements_the_stricter_one_counts_and_a_decision_counts_for_both(world: World) -> None:
    strict = agree(world, 'retention = { review_after = "P50D", maximum = "P70D", no_decision = "delete" }')
    wide = agree(world, REVIEWED, title="A second exchange", types=("report",))
    receive(world, wide, make_object("a"), make_object("b"))
    world.tick(DAY)
    receive(world, strict, make_object("a"))
    world.tick(40 * DAY)
    keep(world.nodes["borealia"], object_id("report", "a"), reason="Needed.")
    world.tick(30 * DAY - 1)
    assert run(world) == 0
    world.tick(1)
    assert run(world) == 1
    assert held(world) == ids("b")
    assert [purge["agreement"] for purge in purges(world)] == [strict.agreement]


def test_the_same_way_again_does_not_start_the_time_anew(world: World) -> None:
    target = agree(world, REVIEWED)
    receive(world, target, make_object("a"))
    world.tick(80 * DAY)
    receive(world, target, make_object("a"))
    world.tick(10 * DAY)
    assert run(world) == 1


def test_what_this_party_took_in_itself_is_deleted_by_nobodys_terms(world: World) -> None:
    target = agree(world, REVIEWED, ENDING)
    world.add("borealia", make_object("own"))
    assert receive(world, target, make_object("own"), make_object("a")).known == 1
    world.tick(400 * DAY)
    assert [due.object.id for due in list_due(world.nodes["borealia"])] == [object_id("report", "a")]
    world.act("aurelia", target.agreement, EventKind.TERMINATE)
    world.deliver()
    world.tick(400 * DAY)
    assert run(world) == 1
    assert held(world) == ids("own")


def test_what_a_partner_gives_back_sets_no_rule_for_it(world: World) -> None:
    world.found("meridia")
    for name in ("borealia", "meridia"):
        meet(world, name, "aurelia")
    meet(world, "borealia", "meridia")
    onward = world.terms(giver="borealia", receivers=("meridia",), title="Onward")
    world.sign_all(onward, proposer="borealia")
    back = agree(world, REVIEWED, giver="meridia", receivers=("borealia",), title="Back")
    world.add("borealia", make_object("own"))
    assert set(world.read("meridia", giver="borealia")) == ids("own")
    receive(world, back, make_object("own"))
    with world.nodes["borealia"].store.read() as transaction:
        assert transaction.rows("SELECT * FROM arrival") == []


def test_a_predefined_marking_is_the_same_for_everyone_and_stays(world: World) -> None:
    definition: dict[str, Json] = {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": tlp_id("green"),
        "created": "2022-10-01T00:00:00.000Z",
        "name": "TLP:GREEN",
        "extensions": {
            "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {
                "extension_type": "property-extension",
                "tlp_2_0": "green",
            }
        },
    }
    receive(world, agree(world, REVIEWED, types=("report", "marking-definition")), definition, make_object("a"))
    world.tick(91 * DAY)
    assert run(world) == 1
    assert held(world) == {tlp_id("green")}


def test_a_clock_that_goes_back_deletes_nothing_early(world: World) -> None:
    receive(world, agree(world, REVIEWED), make_object("a"))
    start = world.now
    world.now = Instant(start + 80 * DAY)
    keep(world.nodes["borealia"], object_id("report", "a"), reason="Needed.")
    world.now = Instant(start + 40 * DAY)
    keep(world.nodes["borealia"], object_id("report", "a"), reason="Needed, says a clock that went back.")
    for day in (0, 89, 90, 129, 169):
        world.now = Instant(start + day * DAY)
        assert run(world) == 0
    world.now = Instant(start + 170 * DAY)
    assert run(world) == 1


def test_months_are_months_of_the_calendar(world: World) -> None:
    receive(world, agree(world, 'retention = { review_after = "P1M", no_decision = "delete" }'), make_object("a"))
    world.now = Instant(add_duration(world.now, parse_duration("P1M")) - 1)
    assert run(world) == 0
    world.tick(1)
    assert run(world) == 1


# --- what a deletion leaves -------------------------------------------------------------------------------------------


def read_files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("way", ["rule", "person"])
def test_nothing_of_what_was_deleted_is_left_in_any_file_of_the_node(world: World, way: str) -> None:
    world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), title="Back"), proposer="borealia")
    target = agree(world, REVIEWED, subjects=("national:ashfall", "national:zz-marked-subject"))
    secret: dict[str, Json] = {"description": "the-marked-words " * 4_000}
    marked = make_object("a", subjects=("national:zz-marked-subject",), more=secret)
    receive(world, target, marked, make_object("b"), make_object("c", refs=[object_id("report", "a")]))
    for marker in (b"the-marked-words", b"zz-marked-subject"):
        assert marker in read_files(world.nodes["borealia"].folder)
    keep(world.nodes["borealia"], object_id("report", "b"), reason="Needed.")
    if way == "person":
        purged = delete(world.nodes["borealia"], object_id("report", "a"), reason="Found to be wrong.")
        assert purged.gone
    else:
        world.tick(90 * DAY)
        assert run(world) >= 1
    assert object_id("report", "a") not in held(world)
    for table in ("body", "arrival", "release", "reference"):
        with world.nodes["borealia"].store.read() as transaction:
            column = "object"
            rows = transaction.rows(f"SELECT 1 FROM {table} WHERE {column} NOT IN (SELECT pk FROM object)")
        assert rows == []
    left = read_files(world.nodes["borealia"].folder)
    assert b"the-marked-words" not in left
    # The terms name the subject: they are signed, and stay. No label does.
    with world.nodes["borealia"].store.read() as transaction:
        bodies = [bytes(row[0]) for row in transaction.rows("SELECT body FROM label")]
        words = [row[0] for row in transaction.rows("SELECT word FROM label_word")]
    assert not [body for body in bodies if b"zz-marked" in body]
    assert not [word for word in words if "zz-marked" in word]
    with world.nodes["borealia"].store.read() as transaction:
        facets = [row[0] for row in transaction.rows("SELECT said FROM facet")]
    assert not [said for said in facets if "zz-marked" in said]
    if way == "person":
        assert [said for said in facets if "ashfall" in said], "what is still held keeps what a preview reads"


def test_nothing_is_left_of_a_version_that_a_file_had_and_that_could_not_be_read(world: World) -> None:
    node = world.nodes["borealia"]
    bad = [{**make_object(name), "object_marking_refs": [f"marked-{name}"]} for name in ("a", "b", "never")]
    bundle = {"type": "bundle", "id": "bundle--4b2e5f2e-8f0e-4a52-9d0c-111111111119", "objects": bad}
    world.add("borealia", make_object("a", day=2), make_object("b", day=2))
    take_file(node, Bytes("bad.json", json.dumps(bundle).encode()), Plan())
    assert {*re.findall(rb"marked-(?:a|b|never)", read_files(node.folder))} >= {b"marked-a", b"marked-b"}
    world.tick()
    assert delete(node, object_id("report", "a"), reason="Found to be wrong.").gone
    left = read_files(node.folder)
    assert b"marked-a" not in left
    assert b"marked-b" in left, "what is still held keeps what its files said"


def test_a_reason_that_is_not_in_form_nfc_goes_on_record_so_that_the_log_can_be_read(world: World) -> None:
    node, target = world.nodes["borealia"], agree(world, REVIEWED)
    receive(world, target, make_object("a"))
    keep(node, object_id("report", "a"), reason="Verifie\u0301.")
    review_agreement(node, target.agreement, reason="Verifie\u0301.")
    delete(node, object_id("report", "a"), reason="Verifie\u0301.")
    said = [entry.content for entry in list_entries(node, start=0, limit=100)]
    assert sum(isinstance(content, dict) and content.get("reason") == "Verifi\u00e9." for content in said) == 3


def test_what_a_reader_keeps_from_being_cleared_is_cleared_by_the_next_run(world: World) -> None:
    receive(world, agree(world, REVIEWED), make_object("a", more={"description": "the-marked-words " * 400}))
    folder = world.nodes["borealia"].folder
    reader = SqliteStore.inspect(folder / "store.db")
    with reader.read() as transaction:
        transaction.rows("SELECT * FROM object")
        world.tick(90 * DAY)
        purged = delete_due(world.nodes["borealia"])
        assert len(purged.stones) == 1
        assert not purged.gone
        assert b"the-marked-words" in read_files(folder)
    reader.close()
    again = delete_due(world.nodes["borealia"])
    assert again.stones == ()
    assert again.gone
    assert b"the-marked-words" not in read_files(folder)


def test_what_refers_to_a_deleted_object_is_withheld_until_it_is_there_again(world: World) -> None:
    world.found("meridia")
    meet(world, "meridia", "borealia")
    meet(world, "borealia", "aurelia")
    world.sign_all(world.terms(giver="borealia", receivers=("meridia",), title="Own"), proposer="borealia")
    world.add("borealia", make_object("far", refs=[object_id("report", "near")]))
    world.add("borealia", make_object("near", refs=[object_id("report", "gone")]), make_object("gone"))
    assert set(world.read("meridia", giver="borealia")) == ids("far", "near", "gone")
    delete(world.nodes["borealia"], object_id("report", "gone"), reason="Found to be wrong.")
    assert world.read("meridia", giver="borealia") == {}
    world.add("borealia", make_object("gone"))
    assert set(world.read("meridia", giver="borealia")) == ids("far", "near", "gone")


def test_what_refers_to_what_a_rule_deleted_is_withheld(world: World) -> None:
    world.found("meridia")
    meet(world, "borealia", "aurelia")
    source = agree(world, REVIEWED, onward="listed", channel_extra='releasable_to = ["meridia"]')
    onward = world.terms(
        giver="borealia", receivers=("meridia",), title="Onward", channel_extra='originators = ["aurelia", "borealia"]'
    )
    world.sign_all(onward, proposer="borealia")
    receive(world, source, make_object("a"))
    world.add("borealia", make_object("b", refs=[object_id("report", "a")]))
    assert set(world.read("meridia", giver="borealia")) == ids("a", "b")
    world.tick(90 * DAY)
    assert run(world) == 1
    assert held(world) == ids("b")
    assert world.read("meridia", giver="borealia") == {}


def test_an_older_version_whose_newest_was_deleted_is_not_given_as_if_nothing_newer_had_been(world: World) -> None:
    world.found("meridia")
    meet(world, "borealia", "aurelia")
    source = agree(
        world,
        'retention = { review_after = "P50D", no_decision = "delete" }',
        onward="listed",
        channel_extra='releasable_to = ["meridia"]',
        tlp="red",
    )
    other = agree(
        world,
        REVIEWED,
        title="A second exchange",
        types=("report",),
        onward="listed",
        channel_extra='releasable_to = ["meridia"]',
    )
    onward = world.terms(
        giver="borealia", receivers=("meridia",), title="Onward", channel_extra='originators = ["aurelia", "borealia"]'
    )
    world.sign_all(onward, proposer="borealia")
    receive(world, other, make_object("a", day=1))
    receive(world, source, make_object("a", day=2, tlp="red"))
    world.add("borealia", make_object("b", refs=[object_id("report", "a")]))
    assert world.read("meridia", giver="borealia") == {}
    world.tick(50 * DAY)
    assert run(world) == 1
    assert held(world) == ids("a", "b")
    assert len(show_object(world.nodes["borealia"], object_id("report", "a")).deleted) == 1
    assert world.read("meridia", giver="borealia") == {}
    # The originator takes the restriction back by a version of its own.
    receive(world, other, make_object("a", day=3))
    assert set(world.read("meridia", giver="borealia")) == ids("a", "b")


def test_a_deleted_object_leaves_every_feed_and_cursors_go_on(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"), make_object("b"), make_object("c"))
    first = world.poll("borealia", limit=1)
    cursor = first.items[-1].at
    delete(world.nodes["aurelia"], first.items[0].id, reason="Found to be wrong.")
    rest = world.poll("borealia", after=cursor)
    assert len(rest.items) == 2
    assert set(world.read("borealia")) == {item.id for item in rest.items}
    last = rest.items[-1].at
    delete(world.nodes["aurelia"], rest.items[-1].id, reason="Found to be wrong.")
    world.now = Instant(world.now - 1)
    world.add("aurelia", make_object("d"))
    (later,) = world.poll("borealia", after=last).items
    assert later.at > last


def test_what_was_deleted_is_explained_by_what_stays_of_it(world: World) -> None:
    target = agree(world, REVIEWED)
    receive(world, target, make_object("a"))
    world.add("borealia", make_object("own"))
    world.tick(90 * DAY)
    run(world)
    delete(world.nodes["borealia"], object_id("report", "own"), reason="Found to be wrong.", by="L. Officer")
    with pytest.raises(NotFoundError, match="was deleted here on"):
        show_object(world.nodes["borealia"], object_id("report", "a"))
    (stone,) = find_deleted(world.nodes["borealia"], object_id("report", "a"))
    assert (stone.clause, stone.terms, stone.by) == ("retention.review_after", target.terms, None)
    (own,) = find_deleted(world.nodes["borealia"], object_id("report", "own"))
    assert (own.clause, own.terms, own.reason, own.by) == (None, None, "Found to be wrong.", "L. Officer")
    assert find_deleted(world.nodes["borealia"], object_id("report", "never")) == ()
    assert [purge["by"] for purge in purges(world)] == [None, "L. Officer"]


def test_the_giver_gives_a_deleted_object_again_with_a_time_of_its_own(world: World) -> None:
    target = agree(world, REVIEWED)
    receive(world, target, make_object("a"))
    world.tick(90 * DAY)
    assert run(world) == 1
    assert receive(world, target, make_object("a")).added == (object_id("report", "a"),)
    world.tick(89 * DAY)
    assert run(world) == 0
    world.tick(DAY)
    assert run(world) == 1
    assert len(purges(world)) == 2


def test_a_deleted_object_is_no_way_out_of_its_givers_terms(world: World) -> None:
    target = agree(world, REVIEWED)
    receive(world, target, make_object("a"))
    delete(world.nodes["borealia"], object_id("report", "a"), reason="To take it in anew.")
    intake = world.add("borealia", make_object("a"))
    assert intake.added == ()
    assert "only aurelia may give it again" in intake.bad[0].detail
    again = receive_bad(world, target, make_object("a", tlp="clear"))
    assert "other bytes" in again.bad[0].detail


def receive_bad(world: World, target: Target, item: dict[str, Json]) -> ingest.Intake:
    data = json.dumps({"objects": [item]}).encode()
    received = Received(
        giver=target.giver, terms=target.terms, channel=target.channel, collection=target.collection, added_after=None
    )
    return receive_page(world.nodes["borealia"], data, received)


def test_many_are_deleted_a_part_at_a_time(world: World) -> None:
    receive(world, agree(world, REVIEWED), *(make_object(f"object {number}") for number in range(25)))
    world.tick(90 * DAY)
    counts = list[int]()
    while True:
        purged = delete_due(world.nodes["borealia"], most=10)
        counts.append(len(purged.stones))
        if not purged.more:
            break
    assert counts == [10, 10, 5]
    assert len(purges(world)) == 25
    verify_store(world.nodes["borealia"].store, origin="comity/borealia", party=PartyId("borealia"))


def test_what_this_party_held_too_is_no_way_out_of_its_givers_terms_either(world: World) -> None:
    target = find_target(world, world.sign_all(world.terms()))
    world.add("borealia", make_object("a"))
    receive(world, target, make_object("a"))
    delete(world.nodes["borealia"], object_id("report", "a"), reason="no longer needed")
    for day in (1, 2):
        intake = world.add("borealia", make_object("a", day=day))
        assert (intake.added, len(intake.bad)) == ((), 1)
        assert "would take those terms off it" in intake.bad[0].detail
    world.add("borealia", make_object("b"))
    delete(world.nodes["borealia"], object_id("report", "b"), reason="no longer needed")
    assert world.add("borealia", make_object("b")).added, "its own alone"


def test_no_page_that_is_remembered_holds_what_was_deleted(world: World) -> None:
    world.add("aurelia", make_object("a", more={"x_said": "SECRET"}))
    world.sign_all(world.terms())
    assert b"SECRET" in world.poll("borealia").filled.data
    pages = world.nodes["aurelia"].pages
    assert any(b"SECRET" in filled.data for filled, _, _ in pages._kept.values())
    delete(world.nodes["aurelia"], object_id("report", "a"), reason="Found to be wrong.")
    assert not any(b"SECRET" in filled.data for filled, _, _ in pages._kept.values())
