# SPDX-License-Identifier: Apache-2.0
"""Pages: what leaves is what is decided at this moment, of every version, with every property."""

import os
import tracemalloc
import uuid
from collections.abc import Iterator, Sequence

import pytest

from comity.canonical import Json
from comity.errors import NotFoundError
from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.node.gate import list_open_collections
from comity.node.pages import Filled, Pages
from comity.node.poll import PollRequest, Selection, poll
from comity.node.retention import delete
from comity.release.disclosure import Answer
from comity.store import feeds
from comity.store.feeds import Feed
from comity.store.log import Text
from comity.store.sqlite import SqliteTransaction
from comity.store.transaction import Row, SqlValue
from tests.worlds import World, make_object, object_id, tlp_id

SECRET: dict[str, Json] = {"description": "SECRET"}
MARK: dict[str, Json] = {"granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["description"]}]}


def test_a_property_restricted_since_is_restricted_in_the_older_version_too(world: World) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a", more=SECRET))
    assert b"SECRET" in world.poll("borealia").items[0].data
    world.add("aurelia", make_object("a", more=SECRET | MARK, day=2))
    items = world.poll("borealia", every=True).items
    assert [item.redacted for item in items] == [("description",), ("description",)]
    assert not any(b"SECRET" in item.data for item in items)


def test_of_two_markings_on_one_property_in_two_versions_the_stricter_holds_on_both(world: World) -> None:
    strict: dict[str, Json] = {
        "granular_markings": [{"marking_ref": tlp_id("amber+strict"), "selectors": ["description"]}]
    }
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a", more=SECRET | strict))
    assert [item.redacted for item in world.poll("borealia").items] == [("description",)]
    world.add("aurelia", make_object("a", more=SECRET | MARK, day=2))
    items = world.poll("borealia", every=True).items
    assert [item.redacted for item in items] == [("description",), ("description",)]


def test_a_higher_ceiling_gives_the_properties_that_were_removed_before(world: World) -> None:
    amber: dict[str, Json] = {"granular_markings": [{"marking_ref": tlp_id("amber"), "selectors": ["description"]}]}
    agreement = world.sign_all(world.terms(tlp="green"))
    world.add("aurelia", make_object("a", more=SECRET | amber))
    first = world.poll("borealia").items
    assert b"SECRET" not in first[0].data
    world.sign_all(world.terms(tlp="amber", version=2, agreement=agreement, supersedes=agreement))
    again = world.poll("borealia", after=first[-1].at).items
    assert b"SECRET" in again[0].data


def test_a_translation_counts_the_marking_of_what_it_translates(world: World) -> None:
    world.sign_all(world.terms(types=("report", "language-content")))
    translation: dict[str, Json] = make_object("t", kind="language-content") | {
        "object_ref": object_id("report", "a"),
        "contents": {"de": {"description": "GEHEIM"}},
    }
    world.add("aurelia", make_object("a", more=SECRET | MARK), translation)
    assert [item.id for item in world.poll("borealia").items] == [object_id("report", "a")]
    world.add("aurelia", make_object("a", more=SECRET, day=2))
    given: set[ObjectId] = {item.id for item in world.poll("borealia").items}
    assert given == {object_id("report", "a"), object_id("language-content", "t")}


@pytest.mark.parametrize("later", [False, True])
def test_a_translation_of_an_older_version_counts_what_that_one_marks(world: World, later: bool) -> None:
    world.sign_all(world.terms(types=("report", "language-content")))
    first, second = make_object("a", more=SECRET | MARK), make_object("a", day=2)
    translations = [
        make_object(name, kind="language-content", day=3)
        | {"object_ref": first["id"], "object_modified": of["modified"], "contents": {"de": {"description": "GEHEIM"}}}
        for name, of in (("old", first), ("new", second))
    ]
    world.add("aurelia", first, *([] if later else translations))
    world.add("aurelia", second)
    world.add("aurelia", *translations)
    world.add("aurelia", make_object("a", day=4))
    given: set[ObjectId] = {item.id for item in world.poll("borealia").items}
    assert given == {object_id("report", "a"), object_id("language-content", "new")}


def test_what_a_channel_removed_and_put_back_admits_is_given_again(world: World) -> None:
    first = world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    at = world.poll("borealia").items[-1].at
    other = world.terms(version=2, agreement=first, supersedes=first).replace(b'id = "main"', b'id = "side"')
    second = world.sign_all(other)
    assert second == first
    assert [item.id for item in world.poll("borealia").items] == [object_id("report", "a")]
    assert world.nodes["aurelia"].store is not None
    assert at > 0


def test_references_without_number_are_withheld_rather_than_paid_for(world: World) -> None:
    world.sign_all(world.terms())
    many = [make_object(f"n{i}", subjects=("national:ashfall", f"national:s{i}")) for i in range(600)]
    world.add("aurelia", *many, make_object("all", refs=[str(item["id"]) for item in many]), make_object("a"))
    given = {item.id for item in world.poll("borealia", limit=1_000).items}
    assert object_id("report", "all") not in given
    assert object_id("report", "a") in given
    assert len(given) == 601


def fill(world: World, monkeypatch: pytest.MonkeyPatch, *, at_once: int) -> list[str]:
    """Seven reports that wait for a first poll, where a feed catches up by so many at once; their ids, in order."""
    monkeypatch.setattr(feeds, "_MOST_AT_ONCE", at_once)
    world.sign_all(world.terms())
    names = [f"n{number}" for number in range(7)]
    for name in names:
        world.add("aurelia", make_object(name))
    return [object_id("report", name) for name in names]


def count_released(world: World) -> int:
    with world.nodes["aurelia"].store.read() as transaction:
        (count,) = transaction.row("SELECT count(*) FROM release") or (0,)
    return int(count)


@pytest.mark.parametrize(("limit", "at_once"), [(1, 2), (2, 2), (3, 2), (2, 3), (6, 3), (7, 3), (10, 2)])
def test_a_feed_that_catches_up_by_parts_says_more_until_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: int, at_once: int
) -> None:
    ids = fill(world, monkeypatch, at_once=at_once)
    given, after, more = list[str](), 0, True
    while more:
        page = world.poll("borealia", after=after, limit=limit)
        given += [item.id for item in page.items]
        if not after and limit < at_once:
            assert count_released(world) == at_once, "the first page took more than it needs"
        after, more = page.items[-1].at, page.more
    assert given == ids
    assert len(world.poll("borealia", limit=10).items) == len(ids)


@pytest.mark.parametrize("few", [0, 500])
def test_what_comes_to_a_feed_in_step_is_the_same_label_by_label_as_all_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """What is admitted, what is not, what becomes so and what is no more; in whatever order labels come and go."""
    monkeypatch.setattr(feeds, "_FEW", few)
    world.sign_all(world.terms())
    node, place, seen = world.nodes["aurelia"], 0, list[set[str]]()

    def look() -> None:
        nonlocal place
        items = world.poll("borealia", after=place).items
        place = items[-1].at if items else place
        seen.append({item.id for item in items})

    a, b, c, e = (object_id("report", name) for name in "abce")
    world.add("aurelia", make_object("a"))
    look()
    world.add("aurelia", make_object("b", subjects=("national:other",)))
    look()
    world.add("aurelia", make_object("b", day=2), make_object("c", tlp="red"))
    look()
    world.add("aurelia", make_object("a", day=3, subjects=("national:other",)))
    look()
    world.add("aurelia", make_object("d", tlp="red"), make_object("e"))
    look()
    assert seen == [{a}, set(), {b}, set(), {e}]
    assert world.read("borealia").keys() == {b, e}
    assert c not in world.read("borealia")
    # The label of what is deleted is gone, and its key is free for another one.
    world.add("aurelia", make_object("f", subjects=("national:one",)))
    look()
    delete(node, object_id("report", "f"), reason="a mistake")
    world.add("aurelia", make_object("g", more={"lang": "en"}, regions=("IQ", "SY")))
    look()
    assert seen[5:] == [set(), {object_id("report", "g")}]


@pytest.mark.parametrize("few", [0, 500])
def test_a_full_page_in_memory_is_not_given_once_something_on_it_was_labelled_anew(
    world: World, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(feeds, "_FEW", few)
    world.sign_all(world.terms())
    name = object_id("report", "x")
    world.add("aurelia", make_object("x"), make_object("a", refs=(name,)))
    world.add("aurelia", make_object("b"))
    page = world.poll("borealia", limit=2)
    assert (len(page.items), page.more) == (2, True)
    world.add("aurelia", make_object("c"))
    assert {item.id for item in world.poll("borealia", limit=2).items} == {item.id for item in page.items}
    world.add("aurelia", make_object("x", day=2, tlp="red"))
    given = {item.id for item in world.poll("borealia", limit=2).items}
    assert given == {object_id("report", "b"), object_id("report", "c")}


def test_of_what_a_feed_in_step_is_not_given_nothing_is_written(world: World) -> None:
    world.sign_all(world.terms())
    node = world.nodes["aurelia"]
    world.poll("borealia", after=2**60)
    world.add("aurelia", *(make_object(f"o{number}", subjects=("national:other",)) for number in range(200)))
    before = node.store.read_version()
    assert not world.poll("borealia").items
    assert node.store.read_version() == before
    world.add("aurelia", *(make_object(f"p{number}", subjects=("national:other",)) for number in range(200)))
    before = node.store.read_version()
    assert not world.poll("borealia").items
    assert node.store.read_version() != before  # else so many places would be looked through again and again
    world.add("aurelia", make_object("a"))
    assert world.read("borealia").keys() == {object_id("report", "a")}


def test_what_is_asked_for_by_name_is_found_behind_what_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = fill(world, monkeypatch, at_once=2)
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    request = PollRequest(
        recipient=PartyId("borealia"),
        collection=collection,
        answer=Answer.OBJECT,
        selection=Selection(after=Instant(0), ids=frozenset({ObjectId(ids[-1])})),
    )
    page = poll(node, request)
    assert [item.id for item in page.items] == ids[-1:]
    assert not page.more


def test_who_asks_from_a_time_to_come_gets_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(world, monkeypatch, at_once=2)
    page = world.poll("borealia", after=2**60)
    assert (page.items, page.more) == ((), False)
    assert count_released(world) == 7


def test_questions_without_an_answer_are_remembered_within_the_same_bound(world: World) -> None:
    """A page with nothing on it takes no room; what it was asked for by does."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    node = world.nodes["aurelia"]
    node.pages = Pages(1_000_000)
    (collection,) = list_open_collections(node, PartyId("borealia"))
    for number in range(60):
        ids = frozenset(ObjectId(f"report--{uuid.UUID(int=1_000 * number + each)}") for each in range(500))
        selection = Selection(after=Instant(0), ids=ids)
        request = PollRequest(
            recipient=PartyId("borealia"), collection=collection.id, answer=Answer.OBJECTS, selection=selection
        )
        assert poll(node, request).items == ()
    kept = 500 * len(node.pages._kept)
    assert kept * 44 <= 1_000_000  # each has that many characters


def test_many_short_words_count_as_the_room_that_they_take() -> None:
    """A word of three letters takes some eighty bytes of memory, and a request can have a thousand of them."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        selection = Selection(after=Instant(0), types=frozenset(f"t{number:03}" for number in range(1_000)))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    pages, feed = Pages(10 * taken), Feed(id=1, through=0, under=None, last_at=Instant(0), floor=0, generation=0)
    for number in range(100):
        asked = (number, selection)
        filled = Filled(at=(), id=(), version=(), sizes=(), redacted={}, data=b"", more=False, listing=Text(b""))
        pages.keep(filled, feed, Digest("9c" * 32), asked, characters=selection.count_characters())
    assert 1 <= len(pages._kept) <= 10


def test_a_policy_that_changed_is_read_anew_whatever_time_its_file_says(world: World) -> None:
    """Files that are unpacked, or put there by an image, have the time that somebody gave them."""
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    assert len(world.poll("borealia").items) == 1
    node = world.nodes["aurelia"]
    (collection,) = list_open_collections(node, PartyId("borealia"))
    path = node.folder / "recognition.toml"
    before = path.stat()
    path.write_text("")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    request = PollRequest(
        recipient=PartyId("borealia"),
        collection=collection.id,
        answer=Answer.OBJECTS,
        selection=Selection(after=Instant(0)),
    )
    with pytest.raises(NotFoundError):
        poll(node, request)


def test_what_terms_admit_no_more_is_not_read_one_by_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of one object must not cost a query for each that was given before and is not any more."""
    agreement = world.sign_all(world.terms())
    world.add("aurelia", *[make_object(f"i{number}", kind="indicator") for number in range(300)])
    assert len(world.poll("borealia").items) == 300
    narrower = world.terms(types=("report",), version=2, agreement=agreement, supersedes=agreement)
    world.sign_all(narrower)
    assert world.poll("borealia").items == ()
    queries = list[str]()
    really = SqliteTransaction.iterate

    def iterate(self: SqliteTransaction, sql: str, parameters: Sequence[SqlValue] = ()) -> Iterator[Row]:
        queries.append(sql)
        return really(self, sql, parameters)

    monkeypatch.setattr(SqliteTransaction, "iterate", iterate)
    assert world.poll("borealia", limit=1).items == ()
    assert len(queries) <= 10


@pytest.mark.parametrize("few", [True, False])
def test_what_was_away_takes_a_new_place_and_what_never_was_keeps_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch, few: bool
) -> None:
    if not few:
        monkeypatch.setattr(feeds, "_FEW", 0)
    world.sign_all(world.terms())
    world.add("aurelia", make_object("away"), make_object("on it", refs=(object_id("report", "away"),)))
    world.add("aurelia", make_object("other"))
    (_, about, other) = world.poll("borealia").items
    world.add("aurelia", make_object("away", day=2, tlp="red"))
    world.tick()
    assert [item.id for item in world.poll("borealia").items] == [other.id]
    world.add("aurelia", make_object("away", day=3), make_object("on it, too", refs=(object_id("report", "away"),)))
    world.tick()
    later = world.poll("borealia", after=other.at).items
    assert {item.id for item in later} == {about.id, object_id("report", "away"), object_id("report", "on it, too")}
    world.tick()
    world.add("aurelia", make_object("away", day=4, regions=("IQ", "SY")))
    assert [item.version[:10] for item in world.poll("borealia", after=later[-1].at).items] == ["2025-01-05"]


def test_what_went_and_came_back_behind_what_waits_takes_a_new_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sign_all(world.terms())
    world.add("aurelia", make_object("x"), make_object("on it", refs=(object_id("report", "x"),)))
    assert len(world.poll("borealia").items) == 2
    monkeypatch.setattr(feeds, "_MOST_AT_ONCE", 2)
    monkeypatch.setattr(feeds, "_FEW", 0)
    world.add("aurelia", *(make_object(f"n{number}") for number in range(8)))
    world.add("aurelia", make_object("x", day=2, tlp="red"))
    page = world.poll("borealia", limit=1, after=world.poll("borealia", limit=1).items[-1].at)
    assert page.more
    world.add("aurelia", make_object("x", day=3))
    rest = world.poll("borealia", after=page.items[-1].at).items
    assert {item.id for item in rest} >= {object_id("report", "x"), object_id("report", "on it")}


def test_what_lost_a_property_on_its_way_is_given_whole_when_it_may(world: World) -> None:
    world.sign_all(world.terms())
    name = object_id("report", "a")
    world.add("aurelia", make_object("a", more=SECRET | MARK))
    first = world.poll("borealia").items
    assert first[0].redacted == ("description",)
    world.add("aurelia", make_object("a", more=SECRET, day=2))
    items = world.poll("borealia", after=first[-1].at).items
    assert [(item.id, item.redacted) for item in items] == [(name, ())]


@pytest.mark.parametrize("sanitise", ["none", "tear_line_required"])
def test_what_is_withheld_for_a_part_of_it_leaves_no_gap_between_times_of_release(world: World, sanitise: str) -> None:
    tear_line: Json = [{"marking_ref": tlp_id("green"), "selectors": ["x_open"]}]
    world.sign_all(world.terms(channel_extra=f'sanitise = "{sanitise}"'))
    more: dict[str, Json] = {"x_open": "goes", "granular_markings": tear_line}
    world.add("aurelia", make_object("a", more=more), make_object("b", more=SECRET | MARK), make_object("c", more=more))
    first, second = world.poll("borealia").items
    assert (first.id, second.id) == (object_id("report", "a"), object_id("report", "c"))
    assert second.at - first.at == 1
