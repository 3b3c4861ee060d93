# SPDX-License-Identifier: Apache-2.0
"""Two nodes over real HTTP: what a receipt shows is taken in; a giver that cheats is refused, and nothing is stored."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comity import pages, peers
from comity.canonical import canonical_bytes
from comity.errors import PeerUnreachable
from comity.ids import PartyId
from comity.node import delivery
from comity.node.node import Node, open_node
from comity.node.parties import add_party, export_manifest
from comity.node.receipts import give_receipt
from comity.release.receipt import parse_receipt, verify_receipt
from comity.taxii import receipts as served_receipts
from comity.taxii import server
from comity.tlog.note import SignatureType, VerifierKey, format_vkey
from tests.served import Served
from tests.signers import SeedSigner
from tests.worlds import World, make_object

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

GIVER, RECEIVER = PartyId("aurelia"), PartyId("borealia")
Cheat = Callable[..., Any]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia gives to borealia in two agreements, and to meridia in a third."""
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.add("aurelia", make_object("a"), make_object("b"))
    made.add("aurelia", make_object("c", subjects=("national:other",)))
    made.sign_all(made.terms(title="First"))
    made.sign_all(made.terms(title="Second", subjects=("national:other",)))
    made.sign_all(made.terms(title="Third", receivers=("meridia",)))
    yield made
    made.close()


def pull(world: World, served: Served) -> dict[str, peers.Pulled]:
    """What a pull of borealia from the served node brought, by the title of the agreement."""
    node = world.nodes["borealia"]
    add_party(node, export_manifest(world.nodes["aurelia"]), digest=None, url=served.url)
    return {item.target.title: item for item in asyncio.run(peers.pull(node, GIVER))}


def read_stored(node: Node) -> dict[str, list[tuple[Any, ...]]]:
    """What could tell that something was taken in. A receipt of what never came may be kept: it is one."""
    tables = ("object", "body", "label", "reference", "arrival", "pull_position", "receipt WHERE arrived = 1")
    with node.store.read() as transaction:
        return {table: transaction.rows(f"SELECT * FROM {table}") for table in tables}


def say_refused(pulled: dict[str, peers.Pulled]) -> dict[str, str | None]:
    return {title: None if item.refused is None else str(item.refused.facts["part"]) for title, item in pulled.items()}


def test_what_receipts_show_is_taken_in_and_kept_with_them(world: World) -> None:
    node = world.nodes["borealia"]
    with Served.start(world.nodes["aurelia"]) as served:
        pulled = pull(world, served)
        assert {title: len(item.added) for title, item in pulled.items()} == {"First": 2, "Second": 1}
        assert say_refused(pulled) == {"First": None, "Second": None}
        assert [row[1:2] for row in read_stored(node)["receipt WHERE arrived = 1"]] == [(1,), (2,)]
        with node.store.read() as transaction:
            came = transaction.rows("SELECT COUNT(*), receipt FROM arrival GROUP BY receipt ORDER BY receipt")
        assert sorted(came) in ([(1, 2), (2, 1)], [(1, 1), (2, 2)])
        kept, data = delivery.find_kept_receipt(node, GIVER, 1)
        assert (kept.arrived, kept.sequence) == (True, 1)
        verified = verify_receipt(parse_receipt(data), manifests=[world.manifests["aurelia"]])
        assert (verified.giver, verified.recipient, verified.sequence) == (GIVER, RECEIVER, 1)
        assert pull(world, served)["First"].pages == 0
        with node.store.read() as transaction:
            sent = transaction.rows("SELECT sequence, taken_at IS NOT NULL FROM acknowledgement WHERE sent = 1")
        taken = served.call(lambda: world.nodes["aurelia"].store.row("SELECT party, sequence FROM acknowledgement"))
        assert (sent, taken) == ([(2, 1)], ("borealia", 2))


def test_what_never_came_is_known_by_its_receipt(world: World) -> None:
    with Served.start(world.nodes["aurelia"]) as served:
        pull(world, served)
        served.call(lambda: [world.poll("borealia") for _ in range(3)])
        served.call(lambda: world.add("aurelia", make_object("d")))
        world.tick()
        pulled = pull(world, served)
    assert (pulled["First"].missing, len(pulled["First"].added), pulled["First"].refused) == (3, 1, None)
    with world.nodes["borealia"].store.read() as transaction:
        kept = transaction.rows("SELECT * FROM receipt")
    assert [(row[1], row[5]) for row in kept] == [(1, 1), (2, 1), (3, 0), (4, 0), (5, 0), (6, 1)]


# --- cheats -------------------------------------------------------------------------------------------------------


def no_number(_: int | None) -> tuple[tuple[bytes, bytes], ...]:
    return ()


def a_number_too_far(sequence: int | None) -> tuple[tuple[bytes, bytes], ...]:
    return () if sequence is None else ((b"comity-receipt", b"%d" % (sequence + 1)),)


def a_number_that_was(sequence: int | None) -> tuple[tuple[bytes, bytes], ...]:
    return () if sequence is None else ((b"comity-receipt", b"1"),)


def the_first_receipt(node: Node, recipient: PartyId, _: int) -> bytes:
    return give_receipt(node, recipient, 1)


def anothers_receipt(node: Node, _: PartyId, sequence: int) -> bytes:
    return give_receipt(node, PartyId("meridia"), sequence)


def another_listing(node: Node, recipient: PartyId, sequence: int) -> bytes:
    value = json.loads(give_receipt(node, recipient, sequence))
    listing = json.loads(value["listing"])
    listing["objects"] = listing["objects"][1:]
    value["listing"] = canonical_bytes(listing).decode()
    return canonical_bytes(value)


def nonsense(*_: object) -> bytes:
    return b"{}"


CHEATS: dict[str, tuple[str, Cheat, str]] = {
    "no number": ("name_receipt", no_number, "receipt"),
    "a number too far": ("name_receipt", a_number_too_far, "receipt"),
    "a number that was": ("name_receipt", a_number_that_was, "sequence"),
    "an earlier receipt": ("give_receipt", the_first_receipt, "sequence"),
    "a receipt of another": ("give_receipt", anothers_receipt, "recipient"),
    "a listing that was cut": ("give_receipt", another_listing, "listing"),
    "no receipt": ("give_receipt", nonsense, "receipt"),
    "no proof": ("give_consistency", nonsense, "consistency"),
}


@pytest.mark.parametrize("name", CHEATS)
def test_a_giver_that_cheats_is_refused_and_nothing_is_stored(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, cheat, part = CHEATS[name]
    node = world.nodes["borealia"]
    with Served.start(world.nodes["aurelia"]) as served:
        pull(world, served)
        served.call(lambda: [world.poll("meridia") for _ in range(4)])
        served.call(lambda: world.add("aurelia", make_object("d")))
        before = read_stored(node)
        monkeypatch.setattr(served_receipts, function, cheat)
        pulled = pull(world, served)
        assert say_refused(pulled) == {"First": part, "Second": None}
        assert pulled["First"].refused is not None
        assert read_stored(node) == before
        (page,) = delivery.list_refused_pages(node)
        assert (page.giver, page.channel, page.part) == (GIVER, "main", part)
        assert page.terms == pulled["First"].target.terms
        assert b'"d"' in page.page
        monkeypatch.undo()
        pulled = pull(world, served)
        assert (say_refused(pulled)["First"], len(pulled["First"].added)) == (None, 1)


def alter(data: bytes) -> bytes:
    return data.replace(b'"name": "d"', b'"name": "D"').replace(b'"name":"d"', b'"name":"D"')


@pytest.mark.parametrize("change", [alter, lambda data: b'{"objects":[]}', lambda data: data[:-2] + b",{}]}"])
def test_a_page_that_is_not_what_the_receipt_lists_is_refused_and_other_channels_go_on(
    world: World, change: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world.nodes["borealia"]
    format_page = server._format_page

    def cheat(filled: Any, *arguments: Any, **named: Any) -> tuple[bytes, ...]:  # noqa: ANN401 (whatever it takes)
        data = b"".join(format_page(filled, *arguments, **named))
        return (change(data) if b'"d"' in data else data,)

    with Served.start(world.nodes["aurelia"]) as served:
        pull(world, served)
        served.call(lambda: world.add("aurelia", make_object("d"), make_object("e", subjects=("national:other",))))
        monkeypatch.setattr(server, "_format_page", cheat)
        pulled = pull(world, served)
    assert say_refused(pulled) == {"First": "listing", "Second": None}
    assert (pulled["First"].added, len(pulled["Second"].added)) == ([], 1)
    with node.store.read() as transaction:
        assert transaction.row("SELECT COUNT(*) FROM object WHERE id = ?", (make_object("d")["id"],)) == (0,)  # type: ignore[arg-type]


def test_what_was_given_ahead_of_a_page_that_is_refused_is_given_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a page is taken in the next ones are on their way: nothing of them is kept, and nothing is lost."""
    node, format_page = world.nodes["borealia"], server._format_page
    monkeypatch.setattr(pages, "_PAGE_OBJECTS", 2)

    def cheat(filled: Any, *arguments: Any, **named: Any) -> tuple[bytes, ...]:  # noqa: ANN401 (whatever it takes)
        return (alter(b"".join(format_page(filled, *arguments, **named))),)

    with Served.start(world.nodes["aurelia"]) as served:
        pull(world, served)
        served.call(lambda: world.add("aurelia", *(make_object(name) for name in "defgh")))
        before = read_stored(node)
        monkeypatch.setattr(server, "_format_page", cheat)
        assert say_refused(pull(world, served)) == {"First": "listing", "Second": None}
        assert read_stored(node) == before
        monkeypatch.setattr(server, "_format_page", format_page)
        # A page that a giver made is remembered there with its answer: it is another question now.
        monkeypatch.setattr(pages, "_PAGE_OBJECTS", 3)
        pulled = pull(world, served)["First"]
    assert (pulled.refused, pulled.pages, len(pulled.added)) == (None, 2, 5)
    with node.store.read() as transaction:
        kept = transaction.rows("SELECT sequence, arrived FROM receipt")
    assert [number for number, _ in kept] == list(range(1, len(kept) + 1))
    assert sum(arrived == 0 for _, arrived in kept) == pulled.missing >= 1


def test_a_number_that_the_giver_left_out_of_its_log_is_missed(world: World) -> None:
    node = world.nodes["borealia"]
    with Served.start(world.nodes["aurelia"]) as served:
        pull(world, served)
        before = read_stored(node)

        def skip() -> None:
            with world.nodes["aurelia"].store.write() as transaction:
                transaction.run("UPDATE recipient_sequence SET last = last + 1 WHERE party = 'borealia'")
            world.add("aurelia", make_object("d"))

        served.call(skip)
        pulled = pull(world, served)
    assert say_refused(pulled) == {"First": "receipt", "Second": None}
    assert read_stored(node) == before


def test_a_log_of_two_histories_is_refused(world: World, tmp_path: Path) -> None:
    """The giver shows meridia one log, and borealia after its first page another, by the same keys."""
    node = world.nodes["borealia"]
    fork = tmp_path / "fork"
    world.nodes["aurelia"].keep_head()
    world.nodes["aurelia"].store.empty_wal()
    shutil.copytree(tmp_path / "aurelia", fork)
    with Served.start(world.nodes["aurelia"]) as served:
        pull(world, served)
    before = read_stored(node)
    other = open_node(fork)
    other.clock = lambda: world.now
    world.nodes["aurelia"].close()
    world.nodes["aurelia"] = other
    world.tick()
    for _ in range(2):
        world.poll("borealia")
    world.add("aurelia", make_object("d"))
    with Served.start(other) as served:
        pulled = pull(world, served)
    assert set(say_refused(pulled).values()) == {"consistency"}
    assert read_stored(node) == before
    assert "not one history" in str(pulled["First"].refused)
    assert delivery.list_refused_pages(node)[0].proof != b""


def test_a_giver_that_went_back_is_refused(world: World, tmp_path: Path) -> None:
    node = world.nodes["borealia"]
    world.nodes["aurelia"].keep_head()
    world.nodes["aurelia"].store.empty_wal()
    shutil.copytree(tmp_path / "aurelia", tmp_path / "older")
    with Served.start(world.nodes["aurelia"]) as served:
        pull(world, served)
    before = read_stored(node)
    world.nodes["aurelia"].close()
    world.nodes["aurelia"] = older = open_node(tmp_path / "older")
    older.clock = lambda: world.now
    world.add("aurelia", make_object("d"))
    with Served.start(older) as served:
        pulled = pull(world, served)
    assert say_refused(pulled)["First"] == "sequence"
    assert read_stored(node) == before


def test_witnesses_that_are_asked_for_and_did_not_cosign_are_missed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = world.nodes["borealia"]
    monkeypatch.setattr(pages, "_WITNESS_WAITS", (0.01,))
    north = VerifierKey(
        name="north.example", type=SignatureType.ED25519_COSIGNATURE, public_key=SeedSigner("north").public_key
    )
    (node.folder / "witnesses.policy").write_text(f"witness north {format_vkey(north)}\nquorum north\n")
    with Served.start(world.nodes["aurelia"]) as served:
        pulled = pull(world, served)
    assert say_refused(pulled) == {"First": "witnesses", "Second": "witnesses"}
    assert read_stored(node)["object"] == []


def test_a_node_that_does_not_answer_is_no_cheat(world: World) -> None:
    with Served.start(world.nodes["aurelia"]) as served:
        url = served.url
    add_party(world.nodes["borealia"], export_manifest(world.nodes["aurelia"]), digest=None, url=url)
    with pytest.raises(PeerUnreachable):
        asyncio.run(peers.pull(world.nodes["borealia"], GIVER))
    assert delivery.list_refused_pages(world.nodes["borealia"]) == []
