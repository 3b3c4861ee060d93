# SPDX-License-Identifier: Apache-2.0
"""Who is out is out, by whatever way; who was never in has no way in; and who is in a group is known inside alone."""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from comity.agreement.drafting import convert_terms
from comity.agreement.events import EventKind
from comity.errors import MalformedTerms, NotFoundError
from comity.ids import AgreementId, ObjectId, PartyId
from comity.node.gate import list_open_collections
from comity.node.outbox import list_due
from comity.node.parties import create_credential
from comity.node.readers import add_reader
from comity.node.standing import collection_id, find_agreement
from comity.release.receipt import parse_receipt
from comity.tlog.origin import find_token
from tests.regressions.groups import EVERY_TYPE, Asked, add, ask_all, make, pull, read_told, see, tell
from tests.served import Served, basic
from tests.worlds import World, object_id

TITLE = "The quiet group"
OBJECT = make("report", "for members")


@pytest.fixture
def group(tmp_path: Path) -> Iterator[tuple[World, AgreementId]]:
    """Aurelia gives to all members of a group; Borealia also gives to Meridia by letters, what is its own."""
    world = World(tmp_path)
    world.found("aurelia", "borealia", "meridia", "tavria")
    terms = world.terms(
        receivers=("borealia", "meridia"),
        types=EVERY_TYPE,
        title=TITLE,
        extra='structure = {kind = "group", accession = "unanimous"}',
    )
    signed = world.sign_all(terms.replace(b'receivers = ["borealia", "meridia"]', b'receivers = ["members"]'))
    own = 'originators = ["aurelia", "borealia"]'
    letters = world.terms(giver="borealia", receivers=("meridia",), types=EVERY_TYPE, title="L", channel_extra=own)
    world.sign_all(letters, proposer="borealia")
    yield world, AgreementId(signed)
    world.close()


def test_a_member_that_left_receives_nothing_more_also_not_through_another_member(
    group: tuple[World, AgreementId],
) -> None:
    """Seen elsewhere: an expelled member went on receiving, from the giver or by way of a partner that still shared."""
    world, agreement = group
    add(world, "aurelia", OBJECT)
    assert set(world.read("meridia")) == {OBJECT["id"]}
    world.act("meridia", agreement, EventKind.LEAVE)
    world.deliver()
    add(world, "aurelia", make("report", "after it left"))
    assert list_open_collections(world.nodes["aurelia"], PartyId("meridia")) == []
    pull(world, "borealia", giver="aurelia", agreement=agreement)
    add(world, "borealia", make("report", "own of borealia", object_refs=[OBJECT["id"]]), make("report", "own"))
    about = [object_id("report", "after it left"), ObjectId(str(OBJECT["id"])), object_id("report", "own of borealia")]
    answers = see(world, "meridia", about=about, giver="borealia")
    assert tell(answers, "after it left", *about) == {}
    assert read_told(answers).keys() == {object_id("report", "own")}


@pytest.mark.slow
def test_who_left_in_the_middle_of_a_page_is_answered_like_who_never_was_in(group: tuple[World, AgreementId]) -> None:
    """Not by what it kept either: the next page, the last date, ids, and the log of what it was given."""
    world, agreement = group
    world.found("cimbria")  # whose name is as long
    node = world.nodes["aurelia"]
    add(world, "aurelia", *(make("report", f"for members {number}") for number in range(4)))
    about = [object_id("report", f"for members {number}") for number in range(5)]
    asks = {name: basic(name, create_credential(node, PartyId(name))) for name in ("meridia", "cimbria")}
    collection = collection_id(agreement, "main", giver=PartyId("aurelia"), recipient=PartyId("meridia"))
    with Served.start(node) as served:
        inside = Asked(served=served, party=PartyId("meridia"), headers=asks["meridia"], collection=collection)
        path = f"/taxii2/meridia/collections/{collection}/objects/"
        page = inside.ask(f"{path}?limit=1", **{"Comity-Receipt": "?1"})
        following, last = (re.findall(pattern, page) for pattern in (rb'"next":"([^"]+)"', rb"(?i)-last: (\S+)"))
        log = find_log(inside.ask("/comity/receipts/1"))
        before = inside.ask(f"{log}/checkpoint")
        left = served.call(lambda: world.act("meridia", agreement, EventKind.LEAVE))
        served.call(world.deliver)
        assert PartyId("meridia") in left.standing.left
        served.call(lambda: add(world, "aurelia", make("report", "for members 4")))
        served.call(lambda: world.read("borealia"))
        outside = {
            name: ask_all(
                Asked(served=served, party=PartyId(name), headers=asks[name], collection=collection), about=about
            )
            for name in asks
        }
        kept = [f"{path}?limit=1&next={following[0].decode()}", f"{path}?added_after={last[0].decode()}"]
        again = [inside.ask(each, **more) for each in kept for more in ({}, {"Prefer": "wait=1"})]
        after = inside.ask(f"{log}/checkpoint")
    assert {answer.replace(b"meridia", b"cimbria") for answer in outside["meridia"].values()} == set(
        outside["cimbria"].values()
    )
    assert set(again) == {outside["cimbria"][f"/taxii2/cimbria/collections/{collection}/objects/"]}
    assert after == before


def find_log(receipt: bytes) -> str:
    """The path of the log that a receipt is from."""
    origin = parse_receipt(receipt.partition(b"\r\n\r\n")[2]).checkpoint.origin
    return f"/comity/log/aurelia/{find_token(origin)}"


def test_what_members_know_of_who_left_is_the_same_everywhere_without_a_sync(group: tuple[World, AgreementId]) -> None:
    """Seen elsewhere: a list of members was only ever added to, where it was copied to."""
    world, agreement = group
    world.act("meridia", agreement, EventKind.LEAVE)
    world.deliver()
    for name in ("aurelia", "borealia"):
        with world.nodes[name].store.read() as transaction:
            standing = find_agreement(world.nodes[name], transaction, agreement).standing(now=world.now)
        assert "meridia" not in standing.members


@pytest.mark.parametrize("receivers", [b"[]", b'["nobody"]', b'["aurelia"]', b'["*"]'])
def test_a_channel_to_nobody_cannot_be_written(world: World, receivers: bytes) -> None:
    """Seen elsewhere: an event whose sharing group was empty went to every remote."""
    terms = world.terms(receivers=("meridia",)).replace(b'receivers = ["meridia"]', b"receivers = " + receivers)
    with pytest.raises(MalformedTerms):
        convert_terms(terms)


def test_a_group_that_all_others_left_is_given_to_nobody(group: tuple[World, AgreementId]) -> None:
    world, agreement = group
    for name in ("borealia", "meridia"):
        world.act(name, agreement, EventKind.LEAVE)
        world.deliver()
    add(world, "aurelia", OBJECT)
    for name in ("borealia", "meridia", "tavria"):
        assert list_open_collections(world.nodes["aurelia"], PartyId(name)) == []


def test_two_audiences_with_nobody_else_in_common_are_not_everybody(tmp_path: Path) -> None:
    """Two givers whose terms list no receiver in common: what both gave goes on to nobody."""
    world = World(tmp_path)
    world.found("aurelia", "borealia", "meridia", "tavria")
    signed = dict[str, AgreementId]()
    for giver, onward in (("borealia", "meridia"), ("tavria", "borealia")):
        terms = world.terms(
            giver=giver, receivers=("aurelia",), types=EVERY_TYPE, channel_extra=f'releasable_to = ["{onward}"]'
        )
        listed = terms.replace(b'onward = "none"', b'onward = "listed"')
        signed[giver] = AgreementId(world.sign_all(listed, proposer=giver))
    admits = 'originators = ["aurelia", "borealia", "tavria"]'
    for receiver in ("meridia", "borealia"):
        world.sign_all(world.terms(receivers=(receiver,), types=EVERY_TYPE, channel_extra=admits))
    for giver in ("borealia", "tavria"):
        add(world, giver, OBJECT)
        pull(world, "aurelia", giver=giver, agreement=signed[giver])
    add(world, "aurelia", make("report", "own"))
    for receiver in ("meridia", "borealia"):
        assert set(world.read(receiver)) == {object_id("report", "own")}
    world.close()


@pytest.mark.slow
def test_no_credential_of_another_kind_opens_a_collection(group: tuple[World, AgreementId]) -> None:
    """Seen elsewhere: who was no member pulled what was for members, by an account with a role that sees all."""
    world, agreement = group
    node = world.nodes["aurelia"]
    add(world, "aurelia", OBJECT)
    collections = [
        collection_id(agreement, "main", giver=PartyId("aurelia"), recipient=PartyId(name))
        for name in ("borealia", "meridia", "tavria")
    ]
    askers = {
        "a party that is no member": basic("tavria", create_credential(node, PartyId("tavria"))),
        "a reader of the log": basic("auditor", add_reader(node, "auditor")[0]),
        "an administrator": basic("admin", "admin"),
        "the node itself": basic("aurelia", "x"),
    }
    about = [ObjectId(str(OBJECT["id"]))]
    with Served.start(node) as served:
        for who, party, collection in product(askers, ("borealia", "tavria"), collections):
            asked = Asked(served=served, party=PartyId(party), headers=askers[who], collection=collection)
            answers = ask_all(asked, about=about, kinds=["report"])
            assert tell(answers, "for members", TITLE, *about) == {}, who
            opened = [path for path, answer in answers.items() if collection in path and b" 200 " in answer[:16]]
            assert not opened, who


def test_a_group_is_told_of_to_its_members_alone(group: tuple[World, AgreementId]) -> None:
    """Seen elsewhere: names and members of trust circles were delivered to installations that were in none of them."""
    world, agreement = group
    world.act("borealia", agreement, EventKind.SUSPEND)
    assert {message.party for message in list_due(world.nodes["borealia"])} == {"aurelia", "meridia"}
    world.deliver()
    world.admit("aurelia", agreement, "tavria")
    assert "tavria" not in {message.party for node in world.nodes.values() for message in list_due(node)}
    world.deliver()
    node = world.nodes["tavria"]
    with node.store.read() as transaction, pytest.raises(NotFoundError):
        find_agreement(node, transaction, agreement)


def test_a_stop_reaches_every_member(group: tuple[World, AgreementId]) -> None:
    """Seen elsewhere: what was revoked stayed in force wherever the list had been copied to."""
    world, agreement = group
    add(world, "aurelia", OBJECT)
    assert world.read("meridia")
    world.act("borealia", agreement, EventKind.SUSPEND)
    world.deliver()
    for name in ("borealia", "meridia"):
        assert list_open_collections(world.nodes["aurelia"], PartyId(name)) == []


def test_who_is_in_a_group_stands_in_no_answer_to_one_who_is_not(group: tuple[World, AgreementId]) -> None:
    """Seen elsewhere: the index of groups and a graph of distribution had the members of confidential ones."""
    world, agreement = group
    add(world, "aurelia", OBJECT)
    world.read("borealia")
    world.sign_all(world.terms(receivers=("tavria",), types=EVERY_TYPE, title="Letters with Tavria"))
    answers = see(world, "tavria", about=[ObjectId(str(OBJECT["id"]))])
    assert tell(answers, TITLE, agreement, "borealia", "meridia") == {}
    assert read_told(answers).keys() == {OBJECT["id"]}
