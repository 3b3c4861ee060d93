# SPDX-License-Identifier: Apache-2.0
"""The clock of a machine goes back, by seconds, hours, a year, or after it was far ahead.

It does so between acts and while the node is served.

Dates of a feed rise strictly and times in the log never fall; what has run out stays out: credentials, access tokens,
terms; nothing is deleted by a date before that date has come on this machine; `fsck` and `audit` find nothing; and the
operator is told.
"""

import json
import logging
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comity.agreement.events import EventKind
from comity.errors import AuthenticationError, ComityError
from comity.exchange import make_access, verify_access
from comity.ids import Instant, PartyId, format_instant
from comity.node import purge, retention
from comity.node.follow import make_token
from comity.node.gate import list_open_collections
from comity.node.node import Node, join_node
from comity.node.parties import authenticate, create_credential
from comity.node.soundness import Grade, examine_folder
from comity.release.disclosure import parse_leaf
from comity.signing import Role
from tests.faults.acts import received_long_ago
from tests.faults.folders import check_sound, read_tables
from tests.served import Served, bearer
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow]

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")
SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
YEAR = 365 * DAY
BACK = {"seconds": 5 * SECOND, "hours": 7 * HOUR, "a year": YEAR}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    made.add("aurelia", make_object("a"))
    made.tick(DAY)
    yield made
    made.close()


def set_back(world: World, by: int) -> None:
    world.now = Instant(world.now - by)


def times(node: Node) -> list[Instant]:
    """When each entry of the log was recorded, in order."""
    return [parse_leaf(bytes(leaf)).at for _, leaf, *_ in sorted(read_tables(node.folder)["log_entry"])]


def check_order(node: Node, dates: set[int]) -> None:
    """The log is in order, and what was released since `dates` was read has later dates; they are added to it."""
    assert times(node) == sorted(times(node)), "an entry is before the one before it"
    with node.store.read() as transaction:
        every = {int(at) for (at,) in transaction.rows("SELECT at FROM release")}
    assert dates <= every
    assert not dates or all(at > max(dates) for at in every - dates), "the dates of a feed do not rise"
    dates |= every


@pytest.mark.parametrize("by", BACK.values(), ids=BACK)
def test_acts_go_on_in_order_when_the_clock_goes_back(world: World, by: int) -> None:
    node = world.nodes["aurelia"]
    agreement, dates = world.sign_all(world.terms()), set[int]()
    assert set(world.read("borealia")) == {make_object("a")["id"]}
    since = read_tables(node.folder)
    check_order(node, dates)
    set_back(world, by)
    world.add("aurelia", make_object("b"))
    page = world.poll("borealia")
    assert len(page.items) == 2
    check_order(node, dates)
    # Whoever has read up to the last date is given what came after it.
    world.add("aurelia", make_object("c"))
    assert [item.id for item in world.poll("borealia", after=page.items[-1].at).items] == [make_object("c")["id"]]
    world.act("aurelia", agreement, EventKind.SUSPEND)
    assert not list_open_collections(node, BOREALIA)
    world.act("aurelia", agreement, EventKind.RESUME)
    create_credential(node, BOREALIA)
    world.deliver()
    check_order(node, dates)
    world.close()
    check_sound(node.folder, since=since, now=world.now)
    check_sound(world.nodes["borealia"].folder, since={}, now=world.now)


@pytest.mark.parametrize("seed", range(6))
def test_a_clock_that_goes_anywhere_leaves_an_order(world: World, seed: int) -> None:
    chance = random.Random(seed)
    agreement, dates = world.sign_all(world.terms()), set[int]()
    node = world.nodes["aurelia"]

    def open_again() -> None:
        world.nodes["aurelia"].close()
        world.open("aurelia")

    steps: dict[str, Callable[[], object]] = {
        "add": lambda: world.add("aurelia", make_object(f"object {chance.random()}")),
        "poll": lambda: world.poll("borealia"),
        "suspend": lambda: world.act("aurelia", agreement, EventKind.SUSPEND),
        "resume": lambda: world.act("aurelia", agreement, EventKind.RESUME),
        "theirs": lambda: world.act("borealia", agreement, EventKind.SUSPEND),
        "theirs too": lambda: world.act("borealia", agreement, EventKind.RESUME),
        "deliver": world.deliver,
        "open again": open_again,
    }
    for _ in range(30):
        world.now = Instant(max(1, world.now + chance.choice([-1, 1, 1]) * chance.choice([SECOND, HOUR, DAY, 9 * DAY])))
        try:
            steps[chance.choice([*steps])]()
        except (ComityError, AssertionError, IndexError):
            continue  # what is not possible in this state
        node = world.nodes["aurelia"]
        check_order(node, dates)
    world.close()
    check_sound(node.folder, since={}, now=world.now)


@pytest.mark.parametrize("by", BACK.values(), ids=BACK)
def test_what_has_run_out_stays_out(world: World, by: int) -> None:
    """An entry of the log says that its time has come; no clock that goes back undoes that."""
    node = world.nodes["aurelia"]
    secret = create_credential(node, BOREALIA, days=1)
    until = world.now + 2 * DAY
    world.sign_all(world.terms(until=format_time(until)))
    assert list_open_collections(node, BOREALIA)
    token = make_access(
        BOREALIA, AURELIA, now=world.now, nonce=b"x" * 16, signers=[world.nodes["borealia"].signers[Role.TRANSPORT]]
    )
    assert authenticate(node, secret=token) == BOREALIA
    world.tick(3 * DAY)
    create_credential(node, BOREALIA)  # an entry
    for back in (0, by, 3 * DAY):
        set_back(world, back)
        for shown in (secret, token):
            with pytest.raises(AuthenticationError):
                authenticate(node, secret=shown)
        assert not list_open_collections(node, BOREALIA)
    # What this party shows to others is of the time that it is for them.
    manifests = {AURELIA: world.manifests["aurelia"]}
    assert verify_access(make_token(node, BOREALIA), manifests, audience=BOREALIA, now=world.now) == AURELIA
    # Also for a process that comes to it now.
    node.close()
    assert not list_open_collections(world.open("aurelia"), BOREALIA)


def format_time(at: int) -> str:
    return format_instant(Instant(at // SECOND * SECOND))


def test_a_clock_that_was_far_ahead_deletes_nothing_once_it_is_right(world: World) -> None:
    """While it was ahead it deleted what it took for due; from then on each date has to come on this machine."""
    world.sign_all(world.terms())
    received_long_ago(world)
    set_back(world, 200 * DAY)  # they have come in a moment ago
    node, before = world.nodes["aurelia"], world.now
    world.tick(2 * YEAR)
    create_credential(node, BOREALIA)  # an entry of that time
    world.now = before
    assert node.clock() == before + 2 * YEAR
    assert not retention.delete_due(node).stones
    world.tick(100 * DAY)
    assert len(retention.delete_due(node).stones) == 2
    check_order(node, set())
    assert not purge.purge_due(node).ranges
    world.close()
    check_sound(node.folder, since={}, now=world.now)


def test_other_processes_of_the_node_know_the_last_time_too(world: World) -> None:
    node = world.nodes["aurelia"]
    lock, turns = node.share()
    joined = join_node(node.folder, node.settings, lock=os.dup(lock), turns=os.dup(turns), passphrase=None)
    joined.clock = lambda: Instant(world.now - HOUR)
    try:
        create_credential(node, BOREALIA)
        create_credential(joined, BOREALIA)
        create_credential(node, BOREALIA)
    finally:
        joined.close()
    check_order(node, set())


def test_the_operator_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """By whoever opens the node, and by `fsck`; not of a difference that clocks have."""
    node = world.nodes["aurelia"]
    world.tick(40 * YEAR)
    create_credential(node, BOREALIA)
    node.close()
    with caplog.at_level(logging.WARNING, "comity.node"):
        world.open("aurelia")
    (record,) = caplog.records
    assert "set the clock" in record.getMessage()
    assert "goes on at it" in record.getMessage()
    told = [finding for finding in examine_folder(node.folder).findings if "clock" in finding.what]
    assert [finding.grade for finding in told] == [Grade.NOTICE]
    assert "when-a-disk-or-clock-fails.md" in told[0].do
    caplog.clear()
    reopened = world.nodes["aurelia"]
    near = Instant(reopened.clock() - 30 * SECOND)
    reopened.clock = lambda: near
    reopened.tell_of_clock()
    assert not caplog.records


def test_a_served_node_answers_in_order_while_its_clock_goes_back(world: World) -> None:
    node = world.nodes["aurelia"]
    world.sign_all(world.terms())
    secret = create_credential(node, BOREALIA)
    collection = list_open_collections(node, BOREALIA)[0].id
    last, seen = "", list[str]()
    with Served.start(node) as served:
        for number, by in enumerate((0, 5 * SECOND, 7 * HOUR, YEAR)):
            served.call(lambda by=by: set_back(world, by))  # type: ignore[misc]
            served.call(lambda number=number: world.add("aurelia", make_object(f"n{number}")))  # type: ignore[misc]
            path = f"/taxii2/borealia/collections/{collection}/objects/"
            answer = served.ask("GET", f"{path}?added_after={last}" if last else path, headers=bearer(secret))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            named = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            date = named[b"x-taxii-date-added-last"].decode().upper()
            assert date > last
            last = date
            seen += [item["id"] for item in json.loads(body)["objects"]]
    assert len(seen) == len(set(seen)) == 5
    check_order(node, set())
    world.close()
    check_sound(node.folder, since={}, now=world.now)
