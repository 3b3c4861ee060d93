# SPDX-License-Identifier: Apache-2.0
"""The witnesses of a node are asked over real HTTP: partners' nodes, and servers that say what they please."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from comity import witnessing
from comity.agreement.people import Role
from comity.config import Address, WitnessedLogs, WitnessSetting
from comity.errors import RolledBack
from comity.ids import PartyId
from comity.node.cosigning import find_cosigned, list_states, list_witnesses, read_own_head
from comity.node.founding import found_node
from comity.node.journal import list_relationships, read_checkpoint
from comity.node.node import Node, open_node
from comity.node.parties import add_party, export_manifest
from comity.node.receipts import give_receipt
from comity.node.rotation import Rotated, rotate_keys
from comity.node.succession import publish_succession
from comity.node.witness import find_log_keys, find_witness_keys, list_witnessed
from comity.release.disclosure import EntryType
from comity.release.receipt import parse_receipt
from comity.release.recovery import Recovery, Succession
from comity.signing import Role as KeyRole
from comity.store import SqliteStore, log, witness
from comity.tlog.cosignature import sign_cosignature, verify_cosignature
from comity.tlog.note import (
    SignatureType,
    VerifierKey,
    format_signature_line,
    format_vkey,
    parse_checkpoint,
    parse_note,
    verify_note,
)
from comity.tlog.origin import house_origin
from comity.tlog.policy import parse_trust_policy, verify_quorum
from comity.tlog.witness import parse_add_checkpoint
from comity.witnessing import Cosigned, Rounds, ask_last_sizes, gather_cosignatures, verify_not_behind
from tests.served import Served
from tests.signers import SeedSigner
from tests.unit.node.test_rotation import rotate
from tests.worlds import World, make_object

T = TypeVar("T")
NORTH = SeedSigner("witness north")
NORTH_KEY = VerifierKey(
    name="witness.north.example", type=SignatureType.ED25519_COSIGNATURE, public_key=NORTH.public_key
)
BOREALIA = "comity/borealia/witness"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", "meridia")
    made.sign_all(made.terms())
    yield made
    made.close()


@contextmanager
def witnessed(world: World, *names: str) -> Iterator[dict[str, Served]]:
    """Nodes of these names are served, and are the witnesses of aurelia."""
    with ExitStack() as stack:
        served = {name: stack.enter_context(Served.start(world.nodes[name])) for name in names}
        for one in served.values():
            locate(world, one.node.party, one.url)
        name_witnesses(world, *(WitnessSetting(party=PartyId(name)) for name in names))
        yield served


def locate(world: World, name: str, url: str) -> None:
    add_party(world.nodes["aurelia"], export_manifest(world.nodes[name]), digest=None, url=url)


def name_witnesses(world: World, *settings: WitnessSetting) -> None:
    node = world.nodes["aurelia"]
    node.settings = replace(node.settings, witnesses=settings)


def grow(world: World) -> int:
    """The size of aurelia's log after one more entry."""
    world.tick()
    world.register("aurelia", f"person-{world.now}", Role.OPERATOR)
    head = read_own_head(world.nodes["aurelia"])
    assert head is not None
    return head.size


def cosigned(node: Node, **wanted: int) -> bytes | None:
    with node.store.read() as transaction:
        return find_cosigned(transaction, **wanted)


class Pretender:
    """A server that answers each request with what a test gives it."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.heads: list[bytes] = []
        self.url = ""
        self.serving = set[asyncio.Task[None] | None]()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                body = await reader.readexactly(length)
                self.heads.append(head)
                self.asked.append(body)
                writer.write(self.answer(body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def answer(self, _: bytes) -> bytes:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class North(Pretender):
    """One that cosigns whatever it is asked for, at the time `at`."""

    def __init__(self, at: int, *, signer: SeedSigner = NORTH) -> None:
        super().__init__()
        self.at, self.signer = at, signer

    def answer(self, body: bytes) -> bytes:
        text = parse_add_checkpoint(body).note.text
        return say(
            200, format_signature_line(sign_cosignature(text, NORTH_KEY, self.signer, timestamp=self.at)).encode()
        )


def say(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def ask_pretender(world: World, pretender: Pretender, act: Callable[[Node], Awaitable[T]]) -> T:
    """What `act` gives while a pretender is the one witness of aurelia."""

    async def run() -> T:
        server = await asyncio.start_server(pretender.take, "127.0.0.1", 0)
        pretender.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        name_witnesses(world, WitnessSetting(key=NORTH_KEY, url=pretender.url))
        try:
            return await act(world.nodes["aurelia"])
        finally:
            server.close()
            if pretender.serving:
                await asyncio.wait({task for task in pretender.serving if task is not None}, timeout=60)
                pretender.serving.clear()

    return asyncio.run(run())


# --- partners -----------------------------------------------------------------------------------------------------


def test_partners_cosign_the_head_and_the_next_one(world: World) -> None:
    node = world.nodes["aurelia"]
    with witnessed(world, "borealia", "meridia") as served:
        first = asyncio.run(gather_cosignatures(node))
        assert first.cosigned == (BOREALIA, "comity/meridia/witness")
        size = grow(world)
        second = asyncio.run(gather_cosignatures(node))
        assert (second.cosigned, second.problems) == (first.cosigned, {})
        seen = served["borealia"].call(lambda: list_witnessed(served["borealia"].node.store))
    assert [(head.origin, head.size) for head in seen] == [("comity/aurelia", size)]
    assert [state.size for state in list_states(node)] == [size, size]


def test_the_cosigned_head_satisfies_a_policy_of_others(world: World) -> None:
    node = world.nodes["aurelia"]
    with witnessed(world, "borealia", "meridia"):
        asyncio.run(gather_cosignatures(node))
    (log_key,) = find_log_keys(world.manifests["aurelia"])
    lines = [f"log {format_vkey(log_key)}"]
    for name in ("borealia", "meridia"):
        (key,) = find_witness_keys(world.manifests[name])
        lines.append(f"witness {name} {format_vkey(key)}")
    policy = parse_trust_policy("\n".join([*lines, "group both all borealia meridia", "quorum both", ""]).encode())
    note = cosigned(node, witnesses=2)
    assert note is not None
    found = verify_quorum(parse_note(note), policy)
    assert found.timestamps.keys() == {"borealia", "meridia"}
    assert set(found.timestamps.values()) == {world.now // 1_000_000}


def test_of_two_heads_the_one_is_shown_that_more_have_cosigned(world: World) -> None:
    node = world.nodes["aurelia"]
    with witnessed(world, "borealia", "meridia"):
        asyncio.run(gather_cosignatures(node))
        both = cosigned(node)
        size = grow(world)
        asyncio.run(gather_cosignatures(node, besides=["comity/meridia/witness"]))
    assert both is not None
    assert cosigned(node) == both
    newer = cosigned(node, at_least=size)
    assert newer is not None
    assert [line.name for line in parse_note(newer).signatures] == ["comity/aurelia", BOREALIA]
    assert cosigned(node, at_least=size, witnesses=2) is None


def test_a_head_under_a_key_before_a_rotation_is_shown_to_nobody(world: World) -> None:
    node = world.nodes["aurelia"]
    with witnessed(world, "borealia"):
        asyncio.run(gather_cosignatures(node))
        assert cosigned(node) is not None
        rotate_keys(node, [KeyRole.LOG], by=world.actor("aurelia", Role.LIAISON))
        done = rotate_keys(node, [KeyRole.LOG], by=world.actor("aurelia", Role.LEGAL))
        assert isinstance(done, Rotated)
        assert cosigned(node) is None
        assert "not yet its newest manifest" in asyncio.run(gather_cosignatures(node)).problems[BOREALIA]
        world.deliver()
        assert asyncio.run(gather_cosignatures(node)).cosigned == (BOREALIA,)
    note = cosigned(node)
    assert note is not None
    verify_note(parse_note(note), node.origin, node.signers[KeyRole.LOG].public_key)


def test_who_has_cosigned_is_not_asked_again_until_an_hour_has_gone(world: World) -> None:
    pretender = North(world.now // 1_000_000)
    ask_pretender(world, pretender, gather_cosignatures)
    ask_pretender(world, pretender, gather_cosignatures)
    assert len(pretender.asked) == 1
    world.tick(3_600_000_000)
    pretender.at += 3_600
    assert ask_pretender(world, pretender, gather_cosignatures).cosigned == ("witness.north.example",)
    assert len(pretender.asked) == 2
    note = cosigned(world.nodes["aurelia"])
    assert note is not None
    assert verify_cosignature(parse_note(note), NORTH_KEY) == world.now // 1_000_000


def test_a_witness_that_forgot_is_told_by_its_answer_what_is_asked_of_it(world: World) -> None:
    """What this node remembers of a witness is a hint: the size that the witness names is what it is asked from."""
    node = world.nodes["aurelia"]
    with witnessed(world, "borealia"):
        asyncio.run(gather_cosignatures(node))
        size = grow(world)
        with node.store.write() as transaction:
            transaction.run("DELETE FROM cosignature")
        assert asyncio.run(gather_cosignatures(node)).cosigned == (BOREALIA,)
    assert list_states(node)[0].size == size


def rename(node: Node) -> tuple[PartyId, ...]:
    """The log goes on under another name, and the parties that are told."""
    origin, known = house_origin(PartyId("aurelia"), bytes(8)), read_checkpoint(node)
    size = parse_checkpoint(parse_note(known).text).size
    with node.act() as act:
        act.record(EntryType.CREDENTIAL, b"{}", terms=None, recipient=None, count=1)
        node.rename_log(act, origin)
        recovery = Recovery(origin=origin, previous="comity/aurelia", known=known)
        said = Succession(party=node.party, recovery=recovery, position=size, at=act.now)
        return publish_succession(node, act, said, ended={})[1]


def test_after_a_recovery_witnesses_go_on_with_the_log_under_its_next_name(world: World) -> None:
    """Once its party has said so: and from what they cosigned under the name before."""
    node = world.nodes["aurelia"]
    with witnessed(world, "borealia") as served:
        asyncio.run(gather_cosignatures(node))
        size = grow(world)
        assert rename(node) == ("borealia",)  # it was given nothing, and is a witness
        with node.store.write() as transaction:  # as if a greater head of the old log had been cosigned
            transaction.run("UPDATE cosignature SET size = 1000")
        asyncio.run(verify_not_behind(node))
        (problem,) = asyncio.run(gather_cosignatures(node)).problems.values()
        assert "has not heard yet that its log goes on under another name" in problem
        served["borealia"].call(world.deliver)
        asyncio.run(verify_not_behind(node))
        assert asyncio.run(gather_cosignatures(node)).problems == {}
        seen = served["borealia"].call(lambda: list_witnessed(served["borealia"].node.store))
    assert [(head.origin, head.size) for head in seen] == [("comity/aurelia", size - 1), (node.origin, size + 1)]


def test_a_log_that_lost_its_end_keeps_the_next_one_from_nothing(world: World, tmp_path: Path) -> None:
    """The witness has seen more of a log that was closed: that is on record, and it cosigns what goes on."""
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    with witnessed(world, "borealia") as served:
        copy = keep_whole(world, tmp_path / "copy")
        world.add("aurelia", make_object("b"))
        for _ in range(3):
            world.tick()
            world.poll("borealia")
        assert asyncio.run(gather_cosignatures(world.nodes["aurelia"])).cosigned == (BOREALIA,)
        put_back_whole(world, copy)
        rename(world.nodes["aurelia"])
        served["borealia"].call(world.deliver)
        world.tick()
        world.poll("borealia")
        found = asyncio.run(gather_cosignatures(world.nodes["aurelia"]))
        assert (found.cosigned, found.contradicted, found.others) == ((BOREALIA,), {}, {})
        assert [head.closed for head in found.heads] == [False, False, True]
        assert list_states(world.nodes["aurelia"])[0].problem is None
        # A day later it is not asked for any more.
        world.tick(2 * 86_400_000_000)
        found = asyncio.run(gather_cosignatures(world.nodes["aurelia"]))
        assert [head.closed for head in found.heads] == [False]


def test_a_log_that_does_not_grow_is_cosigned_again_after_a_week(world: World) -> None:
    node = world.nodes["aurelia"]
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    with witnessed(world, "borealia"):
        for days, logs in ((0, 2), (6, 1), (2, 2), (6, 1)):
            world.tick(days * 86_400_000_000)
            assert len(asyncio.run(gather_cosignatures(node)).heads) == logs
    ((_, _, at, _),) = cosigned_lines(node, 1)
    assert at > world.now // 1_000_000 - 7 * 86_400


def cosigned_lines(node: Node, number: int) -> list[tuple[int, str, int, bytes]]:
    with node.store.read() as transaction:
        return witness.read_lines(transaction, number)


def test_what_a_witness_that_is_gone_has_cosigned_counts_only_where_none_is_younger(world: World) -> None:
    """A giver shows heads that who reads them still counts."""
    node = world.nodes["aurelia"]
    with witnessed(world, "borealia", "meridia"):
        asyncio.run(gather_cosignatures(node))
    first = cosigned(node, witnesses=2)
    assert first is not None
    with witnessed(world, "borealia"):
        world.tick(8 * 86_400_000_000)
        grow(world)
        asyncio.run(gather_cosignatures(node))
    assert cosigned(node, witnesses=2) is None
    newer = cosigned(node)
    assert newer is not None
    assert newer != first


def test_one_that_does_not_answer_keeps_nothing_from_the_others(world: World) -> None:
    node = world.nodes["aurelia"]
    with witnessed(world, "borealia"):
        locate(world, "meridia", "http://127.0.0.1:1")
        name_witnesses(world, *(WitnessSetting(party=PartyId(name)) for name in ("meridia", "borealia")))
        found = asyncio.run(gather_cosignatures(node))
    assert found.cosigned == (BOREALIA,)
    assert "did not answer" in found.problems["comity/meridia/witness"]
    states = {state.witness.name: state.problem for state in list_states(node)}
    assert states[BOREALIA] is None
    assert states["comity/meridia/witness"] is not None


def test_a_witness_that_cannot_be_asked_says_why(world: World) -> None:
    name_witnesses(world, *(WitnessSetting(party=PartyId(name)) for name in ("borealia", "nobody")))
    problems = [each.problem or "" for each in list_witnesses(world.nodes["aurelia"])]
    assert "address of borealia's node" in problems[0]
    assert "nobody is not pinned" in problems[1]
    assert asyncio.run(gather_cosignatures(world.nodes["aurelia"])).heads == ()


def test_rounds_leave_in_peace_who_does_not_answer(world: World) -> None:
    pretender = Pretender(say(503, b""))

    async def run(node: Node) -> None:
        rounds = Rounds(node)
        for _ in range(5):
            await rounds.ask()

    ask_pretender(world, pretender, run)
    assert len(pretender.asked) == 1


def test_who_rests_is_asked_at_once_when_what_kept_it_may_be_gone(world: World) -> None:
    """After a rotation, and when a partner has got a message: it may not have had the manifest before."""
    pretender = Pretender(say(403, b""))

    async def run(node: Node) -> None:
        rounds = Rounds(node)
        await rounds.ask()
        await rounds.ask()
        assert len(pretender.asked) == 1
        rounds.wake()
        found = await rounds.ask()
        assert "does not know the key of this log" in found.problems[NORTH_KEY.name]

    ask_pretender(world, pretender, run)
    assert len(pretender.asked) == 2


def test_nothing_is_asked_for_before_it_is_committed(world: World) -> None:
    """While an act is under way its entry is in no head that a witness could be shown."""
    node = world.nodes["aurelia"]
    before = read_own_head(node)
    with closing(SqliteStore.inspect(node.folder / "store.db")) as other, node.act() as act:
        act.record(EntryType.CREDENTIAL, b"{}", terms=None, recipient=None, count=1)
        with other.read() as transaction:
            assert log.read_head(transaction) == (before and before.note)
    after = read_own_head(node)
    assert before is not None
    assert after is not None
    assert after.size == before.size + 1


# --- witnesses that say what they please --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        say(200, b""),
        say(200, b"nonsense\n"),
        say(200, "— witness.north.example AAAAAAAA\n".encode()),
        say(200, b"x" * 200_000),
        say(409, b"nonsense\n"),
        say(409, b"0\n"),
        say(403, b""),
        say(404, b""),
        say(500, b""),
        say(302, b""),
        b"nonsense\r\n\r\n",
    ],
)
def test_what_is_no_cosignature_is_a_problem_and_not_kept(world: World, answer: bytes) -> None:
    found = ask_pretender(world, Pretender(answer), gather_cosignatures)
    assert found.cosigned == ()
    assert found.problems.keys() | found.contradicted.keys() == {"witness.north.example"}
    assert cosigned(world.nodes["aurelia"]) is None


def test_a_cosignature_by_another_key_or_at_another_time_is_not_kept(world: World) -> None:
    now = world.now // 1_000_000
    for pretender in (North(now, signer=SeedSigner("x")), North(now + 301), North(now - 301), North(0)):
        assert ask_pretender(world, pretender, gather_cosignatures).cosigned == ()
    for skew in (300, -300):
        assert ask_pretender(world, North(now + skew), gather_cosignatures).cosigned
        with world.nodes["aurelia"].store.write() as transaction:
            transaction.run("DELETE FROM cosignature")


def test_a_stand_alone_witness_is_shown_no_token(world: World) -> None:
    pretender = North(world.now // 1_000_000)
    ask_pretender(world, pretender, gather_cosignatures)
    assert b"authorization" not in pretender.heads[0].lower()


# --- a store that was put back ------------------------------------------------------------------------------------


def put_back(world: World, copy: Path) -> None:
    """The node of aurelia becomes the older copy, with its own kept head: nothing here shows that it is old."""
    node = world.nodes["aurelia"]
    settings = node.settings
    node.close()
    for name in ("store.db", "head"):
        shutil.copyfile(copy / name, node.folder / name)
    for name in ("store.db-wal", "store.db-shm"):
        (node.folder / name).unlink(missing_ok=True)
    world.open("aurelia").settings = settings


def keep(world: World, place: Path) -> Path:
    node = world.nodes["aurelia"]
    settings = node.settings
    node.close()
    place.mkdir()
    for name in ("store.db", "head"):
        shutil.copyfile(node.folder / name, place / name)
    world.open("aurelia").settings = settings
    return place


def test_a_store_older_than_what_a_witness_saw_is_not_served(world: World, tmp_path: Path) -> None:
    with witnessed(world, "borealia"):
        copy = keep(world, tmp_path / "copy")
        size = grow(world)
        assert asyncio.run(gather_cosignatures(world.nodes["aurelia"])).cosigned
        asyncio.run(verify_not_behind(world.nodes["aurelia"]))
        put_back(world, copy)
        with pytest.raises(
            RolledBack, match=f"it has cosigned a head over {size} entries, and this node has {size - 1}"
        ):
            asyncio.run(verify_not_behind(world.nodes["aurelia"]))
        grow(world)  # as large as before, and another history
        with pytest.raises(RolledBack, match=f"another head over {size} entries"):
            asyncio.run(verify_not_behind(world.nodes["aurelia"]))
        grow(world)
        with pytest.raises(RolledBack, match=f"to follow from the one it cosigned over {size}"):
            asyncio.run(verify_not_behind(world.nodes["aurelia"]))


def put_back_whole(world: World, copy: Path) -> None:
    """The folder of aurelia, with its keys, as it was."""
    node = world.nodes["aurelia"]
    settings = node.settings
    node.close()
    shutil.rmtree(node.folder)
    shutil.copytree(copy, node.folder)
    world.open("aurelia").settings = settings


def keep_whole(world: World, place: Path) -> Path:
    node = world.nodes["aurelia"]
    settings = node.settings
    node.close()
    shutil.copytree(node.folder, place)
    world.open("aurelia").settings = settings
    return place


@pytest.mark.parametrize("grown", [0, 1, 9])
def test_a_store_from_before_a_rotation_of_its_log_key_is_not_served(world: World, tmp_path: Path, grown: int) -> None:
    """The witness knows the key that followed: it cosigns nothing by the one before, and says how much it has seen."""
    with witnessed(world, "borealia") as served:
        asyncio.run(gather_cosignatures(world.nodes["aurelia"]))
        copy = keep_whole(world, tmp_path / "copy")
        rotate(world, "aurelia", KeyRole.LOG)
        served["borealia"].call(world.deliver)
        asyncio.run(verify_not_behind(world.nodes["aurelia"]))
        for _ in range(3):
            grow(world)
        assert asyncio.run(gather_cosignatures(world.nodes["aurelia"])).cosigned
        put_back_whole(world, copy)
        for _ in range(grown):
            grow(world)
        with pytest.raises(RolledBack, match="comity/borealia/witness"):
            asyncio.run(verify_not_behind(world.nodes["aurelia"]))


def test_a_store_that_went_back_and_has_a_key_that_the_witness_does_not_know_is_not_served(
    world: World, tmp_path: Path
) -> None:
    """The witness knows who asks by the token, and tells how much it has seen, though it cosigns nothing."""
    with witnessed(world, "borealia"):
        copy = keep_whole(world, tmp_path / "copy")
        for _ in range(9):
            grow(world)
        asyncio.run(gather_cosignatures(world.nodes["aurelia"]))
        put_back_whole(world, copy)
        rotate(world, "aurelia", KeyRole.LOG)
        with pytest.raises(RolledBack, match="it has cosigned a head over"):
            asyncio.run(verify_not_behind(world.nodes["aurelia"]))


def test_a_witness_that_has_not_heard_of_a_rotation_stops_no_start(world: World) -> None:
    with witnessed(world, "borealia"):
        asyncio.run(gather_cosignatures(world.nodes["aurelia"]))
        rotate(world, "aurelia", KeyRole.LOG)
        asyncio.run(verify_not_behind(world.nodes["aurelia"]))
        assert (
            "does not have this party pinned"
            in asyncio.run(gather_cosignatures(world.nodes["aurelia"])).problems[BOREALIA]
        )


def test_a_witness_that_refuses_the_key_it_has_cosigned_under_stops_a_start(world: World) -> None:
    """One that is no node names no size: that it takes a key no more which it took says enough."""
    north = North(world.now // 1_000_000)
    refusing = Pretender(say(403, b"forbidden\n"))
    ask_pretender(world, refusing, verify_not_behind)
    assert ask_pretender(world, north, gather_cosignatures).cosigned
    with pytest.raises(RolledBack, match="takes it no more"):
        ask_pretender(world, refusing, verify_not_behind)
    rotate(world, "aurelia", KeyRole.LOG)
    ask_pretender(world, refusing, verify_not_behind)


def test_a_store_as_founded_is_not_served_where_a_witness_saw_more(world: World, tmp_path: Path) -> None:
    pretender = Pretender(say(409, b"1\n"))
    made = World(tmp_path / "founded")
    found_node(
        made.folder / "x", party=PartyId("aurelia"), name="A", state=None, listen=Address(host="127.0.0.1", port=0)
    )
    node = open_node(made.folder / "x")
    world.nodes["aurelia"].close()
    world.nodes["aurelia"] = node
    with pytest.raises(RolledBack, match="a head over 1 entry, and this node has 0"):
        ask_pretender(world, pretender, verify_not_behind)


def test_witnesses_that_do_not_answer_do_not_stop_a_start(world: World) -> None:
    name_witnesses(world, WitnessSetting(key=NORTH_KEY, url="http://127.0.0.1:1"), WitnessSetting(party=PartyId("x")))
    asyncio.run(verify_not_behind(world.nodes["aurelia"]))
    for answer in (say(500, b""), say(404, b""), say(409, b"x"), say(200, b"")):
        ask_pretender(world, Pretender(answer), verify_not_behind)


def test_a_witness_that_says_nothing_stops_a_start_for_seconds_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witnessing, "_START_SECONDS", 0.2)

    async def run() -> None:
        gone = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1 << 16):
                pass
            writer.close()
            await writer.wait_closed()
            gone.set()

        server = await asyncio.start_server(wait, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        name_witnesses(world, WitnessSetting(key=NORTH_KEY, url=url))
        async with asyncio.timeout(15):
            await verify_not_behind(world.nodes["aurelia"])
            await gone.wait()
        server.close()

    asyncio.run(run())


def test_a_contradiction_while_serving_is_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def run(node: Node) -> None:
        rounds = Rounds(node)
        for _ in range(2):
            rounds._resting.clear()
            await rounds.ask()

    with caplog.at_level(logging.ERROR, "comity.witness"):
        ask_pretender(world, Pretender(say(409, b"99999\n")), run)
    assert [record.message for record in caplog.records if "contradicts" in record.message] == [
        caplog.records[0].message
    ]
    assert "99999 entries" in caplog.records[0].message


# --- which logs a witness is shown ------------------------------------------------------------------------------------


def test_a_witness_is_shown_the_logs_that_it_may_see_and_no_other(world: World) -> None:
    """Borealia is given something and meridia is: the size of its log is told to nobody else."""
    world.add("aurelia", make_object("a"))
    world.sign_all(world.terms(receivers=["meridia"], title="Of another"))
    node = world.nodes["aurelia"]
    for _ in range(3):
        world.poll("borealia")
    world.poll("meridia")
    logs = {each.recipient: each.origin for each in list_relationships(node)}
    size = read_house_size(world)
    house, own, other = "comity/aurelia", logs[PartyId("borealia")], logs[PartyId("meridia")]
    for said, shown in (
        (WitnessedLogs.OWN, {own: 3}),
        (WitnessedLogs.HOUSE, {house: size, own: 3}),
        (WitnessedLogs.ALL, {house: size, own: 3, other: 1}),
    ):
        with witnessed(world, "borealia") as served:
            name_witnesses(world, WitnessSetting(party=PartyId("borealia"), logs=said))
            asyncio.run(verify_not_behind(node))
            found = asyncio.run(gather_cosignatures(node))
            assert (found.problems, found.others, found.contradicted) == ({}, {}, {})
            heads = served["borealia"].call(lambda: list_witnessed(world.nodes["borealia"].store))
        seen = {head.origin: head.size for head in heads}
        assert seen == shown
        assert asyncio.run(gather_cosignatures(node)).heads == ()
    receipt = parse_receipt(give_receipt(node, PartyId("borealia"), 1))
    assert len(receipt.note.signatures) == 2


class HouseOnly(North):
    """One that knows the log of the house and no other, as a witness does that is told of logs one by one."""

    def answer(self, body: bytes) -> bytes:
        return super().answer(body) if b"\ncomity/aurelia\n" in body else say(404, b"")


def test_who_knows_the_house_alone_goes_on_cosigning_it(world: World) -> None:
    """It refuses the heads of other logs, is left in peace with them, and is asked for the house's all the same."""
    world.add("aurelia", make_object("a"))
    world.poll("borealia")

    async def ask(node: Node) -> list[Cosigned]:
        (setting,) = node.settings.witnesses
        name_witnesses(world, replace(setting, logs=WitnessedLogs.ALL))
        rounds, found = Rounds(node), list[Cosigned]()
        for _ in range(2):
            found.append(await rounds.ask())
            grow(world)
        return [*found, await rounds.ask()]

    found = ask_pretender(world, HouseOnly(world.now // 1_000_000), ask)
    assert [[head.log for head in each.heads] for each in found] == [[0, 1], [0], [0]]
    assert [each.others.keys() for each in found] == [{NORTH_KEY.name}, set(), set()]
    assert [each.problems for each in found] == [{}] * 3
    (state,) = list_states(world.nodes["aurelia"])
    assert (state.size, state.logs) == (read_house_size(world), 0)


def read_house_size(world: World) -> int:
    head = read_own_head(world.nodes["aurelia"])
    assert head is not None
    return head.size


def test_a_witness_says_what_it_has_seen_of_each_log_that_it_is_shown(world: World, tmp_path: Path) -> None:
    """What contradicts this store in one log is no reason not to ask for the next one."""
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    with witnessed(world, "borealia"):
        copy = keep(world, tmp_path / "copy")
        size = grow(world)
        for _ in range(2):
            world.poll("borealia")
        assert asyncio.run(gather_cosignatures(world.nodes["aurelia"])).cosigned
        put_back(world, copy)
        (asked,) = asyncio.run(ask_last_sizes(world.nodes["aurelia"]))
    (log,) = list_relationships(world.nodes["aurelia"])
    assert (asked.answered, asked.size, log.size) == (True, size, 1)
    assert asked.others == {log.origin: 3}
    (away,) = asyncio.run(ask_last_sizes(world.nodes["aurelia"]))
    assert (away.answered, away.size, dict(away.others)) == (False, None, {})
    assert "did not answer" in (away.problem or "")
