# SPDX-License-Identifier: Apache-2.0
"""Nothing leaves a real node before its COMMIT: seen from outside, on every way on which bytes leave (LOG-FIRST).

Twice over. A wire between the ends reads the sender's store before it lets the first byte of anything pass: what is
sent must be on record by then. And strace writes down what the processes ask of the operating system: no byte goes to a
socket or to standard output while anything stands in the write-ahead log that is not on the disk.

Every place in the code from which bytes leave is in `tests/faults/ways_out.py`, which is held against the code.
"""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from comity.agreement.people import Role
from comity.exchange import parse_message
from comity.ids import PartyId
from comity.node.gate import list_open_collections
from comity.node.parties import create_credential, export_manifest
from comity.node.readers import add_reader
from comity.tlog.proof import parse_proof
from tests.e2e.conftest import COMITY, Serving, comity, entries, environment, read_objects, rows, serving, wait_until
from tests.faults.tracing import Call, need_strace, read_calls, trace
from tests.faults.wire import Message, Wire
from tests.worlds import World, badge_path, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

NAMES = ("a", "b", "c")
CONTENT = (
    "objects/",
    "manifest/",
    f"objects/{object_id('report', 'a')}/",
    f"objects/{object_id('report', 'a')}/versions/",
)
HEAD = re.compile(rb"^(?P<origin>comity/aurelia(?:/(?:house/)?[0-9a-f]{16})?)\n(?P<size>[0-9]+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two nodes with an agreement in force, and what each needs to be called."""

    giver: Path
    receiver: Path
    agreement: str
    collection: str
    secret: str
    reader: str
    manifests: dict[str, Path]

    def base(self, url: str) -> str:
        return f"{url}/taxii2/borealia/collections/{self.collection}/"

    def introduce(self, to: Path, party: str, url: str) -> None:
        """Let the node in `to` know where the node of `party` is."""
        assert comity(to, "party", "add", self.manifests[party], "--url", url, "--json").code == 0


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    agreement = world.sign_all(world.terms())
    world.add("aurelia", *[make_object(name) for name in NAMES])
    assert len(world.poll("borealia").items) == len(NAMES)
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    reader, _ = add_reader(node, "oversight")
    manifests = dict[str, Path]()
    for name, each in world.nodes.items():
        manifests[name] = tmp_path / f"{name}.manifest"
        manifests[name].write_bytes(export_manifest(each))
    world.close()
    return Pair(node.folder, world.folder / "borealia", agreement, collection, secret, reader, manifests)


# --- what a wire sees -------------------------------------------------------------------------------------------------


def name_head(match: re.Match[bytes]) -> tuple[str, int]:
    return match["origin"].decode(), int(match["size"])


def check_answer(pair: Pair, message: Message, *, number: int | None = None) -> None:
    """All that the answer gives was on record when its first byte came."""
    known = entries(pair.giver)[: message.moment.entries]
    if (told := message.header("comity-receipt")) or number:
        (entry,) = [
            entry
            for entry in known
            if (entry.leaf["recipient"], entry.leaf["sequence"]) == ("borealia", number or int(told))
        ]
        given = {(item["id"], item["version"]) for item in entry.content["objects"]}
        for item in read_objects(message.body):
            if number is None and item.version:
                assert (item.id, item.version) in given
    for match in HEAD.finditer(message.body):
        assert name_head(match) in message.moment.heads, "a head that was not committed"


def ask(url: str, secret: str) -> None:
    """A request whose answer names its number in the log; each on a connection of its own."""
    headers = {"authorization": f"Bearer {secret}", "comity-receipt": "?1", "accept-encoding": "identity"}
    answer = httpx.get(url, headers=headers, timeout=120, trust_env=False)
    assert answer.status_code == 200, (url, answer)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_answered_was_on_record_when_its_first_byte_came(pair: Pair, workers: int) -> None:
    with serving(pair.giver, workers=workers) as server, Wire.before(server.url, answers=pair.giver) as wire:
        size = len(entries(pair.giver))
        for number, path in enumerate(CONTENT, start=2):
            ask(pair.base(wire.url) + path, pair.secret)
            (*_, answer) = wire.answered()
            assert answer.moment.entries == size + number - 1, path
            assert answer.header("comity-receipt") == str(number)
            check_answer(pair, answer)
        for number in range(2, len(CONTENT) + 2):
            ask(f"{wire.url}/comity/receipts/{number}", pair.secret)
            (*_, answer) = wire.answered()
            check_answer(pair, answer, number=number)
            proven = HEAD.search(parse_proof(json.loads(answer.body)["proof"].encode()).checkpoint)
            assert proven is not None
            assert name_head(proven) in answer.moment.heads
        ((house,),) = rows(pair.giver, "SELECT MAX(size) FROM log_head WHERE log = 0")
        ((own, token),) = rows(
            pair.giver, "SELECT MAX(size), token FROM log_head JOIN relationship_log ON log = number GROUP BY number"
        )
        ask(f"{wire.url}/comity/consistency/{token}/{own - 1}/{own}", pair.secret)
        for name, last in (("aurelia", house), (f"aurelia/{token}", own)):
            for part in ("checkpoint", f"tile/0/000.p/{last}", f"tile/entries/000.p/{last}"):
                ask(f"{wire.url}/comity/log/{name}/{part}", pair.reader)
                (*_, answer) = wire.answered()
                assert answer.moment.entries >= house + own
                check_answer(pair, answer)
        assert sum(HEAD.search(answer.body) is not None for answer in wire.answered()) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_polls_that_come_together_share_commits_and_each_is_on_record(pair: Pair, workers: int) -> None:
    callers, each = 16, 8
    with serving(pair.giver, workers=workers) as server, Wire.before(server.url, answers=pair.giver) as wire:
        heads = rows(pair.giver, "SELECT COUNT(*) FROM log_head")[0][0]
        barrier = threading.Barrier(callers)

        def call() -> None:
            for _ in range(each):
                barrier.wait(30)
                ask(f"{pair.base(wire.url)}objects/", pair.secret)

        threads = [threading.Thread(target=call) for _ in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        answers = wire.answered()
        assert {answer.status for answer in answers} == {200}
        assert {int(answer.header("comity-receipt")) for answer in answers} == set(range(2, callers * each + 2))
        for answer in answers:
            check_answer(pair, answer)
        commits = rows(pair.giver, "SELECT COUNT(*) FROM log_head")[0][0] - heads
        assert commits < callers * each, "no two of them shared a commit"


def test_what_a_node_sends_was_on_record_when_its_first_byte_came(pair: Pair) -> None:
    """Messages to a partner, pages that it pulls, acknowledgements back: between two real nodes."""
    with (
        serving(pair.receiver) as receiving,
        Wire.before(receiving.url, calls=pair.giver, answers=pair.receiver) as out,
    ):
        pair.introduce(pair.giver, "borealia", out.url)
        for verb in ("suspend", "resume"):
            assert comity(pair.giver, "agreement", verb, pair.agreement, "--json").code == 0
        posted = [message for message in out.asked() if message.line.startswith("POST /comity/exchange/")]
        # One whose answer did not come in time is sent again.
        assert len({check_message(pair.giver, message) for message in posted}) == 2
    with serving(pair.giver) as server, Wire.before(server.url, calls=pair.receiver, answers=pair.giver) as wire:
        pair.introduce(pair.receiver, "aurelia", wire.url)
        done = comity(pair.receiver, "pull", "aurelia", "--json")
        assert (done.code, len(rows(pair.receiver, "SELECT id FROM object"))) == (0, len(NAMES)), done
        given = [answer for answer in wire.answered() if answer.header("comity-receipt")]
        assert [answer.header("comity-receipt") for answer in given] == ["2"]
        assert given[0].moment.entries == max(entry.position for entry in entries(pair.giver) if entry.given) + 1
        (said,) = [message for message in wire.asked() if message.line.startswith("POST /comity/acknowledgements/")]
        kinds = [entry.leaf["type"] for entry in entries(pair.receiver)[: said.moment.entries]]
        assert kinds[-1] == "acknowledgement"


def test_a_head_and_its_cosignature_were_on_record_when_their_first_bytes_came(pair: Pair) -> None:
    """Between a node and the partner that is its witness."""
    with (
        serving(pair.receiver) as witness,
        Wire.before(witness.url, calls=pair.giver, answers=pair.receiver) as wire,
    ):
        pair.introduce(pair.giver, "borealia", wire.url)
        settings = pair.giver / "node.toml"
        settings.write_text(settings.read_text(encoding="utf-8") + '\n[[witness]]\nparty = "borealia"\n')
        with serving(pair.giver) as server:
            wait_until(lambda: len(rows(pair.giver, "SELECT size FROM cosignature WHERE log = 1")) >= 1)
            ask(f"{pair.base(server.url)}objects/", pair.secret)
            wait_until(lambda: len(rows(pair.giver, "SELECT size FROM cosignature WHERE log = 1")) >= 2, seconds=30)
        heads = set[tuple[str, int]]()
        for message, answer in zip(wire.asked(), wire.answered(), strict=True):
            if not message.line.startswith("POST /comity/witness"):
                continue
            (head,) = map(name_head, HEAD.finditer(message.body))
            assert head in message.moment.heads, "a head was sent that was not committed"
            if answer.status == 200:
                kept = max(size for origin, size in answer.moment.witnessed if origin == head[0])
                assert kept >= head[1], "a cosignature was sent before its head was kept"
                heads.add(head)
        assert len({origin for origin, _ in heads}) == 2
        assert len(heads) >= 3


def check_message(sender: Path, message: Message) -> str:
    """The event that the message carries, which was in the sender's log when its first byte came."""
    known = [entry.content.get("event") for entry in entries(sender)[: message.moment.entries]]
    event = parse_message(message.body).event.digest
    assert event in known
    return event


# --- what the operating system is asked for ---------------------------------------------------------------------------

WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
SENDS = ("write", "writev", "sendto", "sendmsg", "sendfile")
SYNCS = ("fdatasync", "fsync")
TRACED = tuple(dict.fromkeys((*WRITES, *SENDS, *SYNCS, "recvfrom", "recvmsg", "read", "ftruncate")))
_WAL = re.compile(r"^\d+<[^>]*/store\.db-wal>")
_PARTNER = re.compile(r"^\d+<TCP:\[127\.0\.0\.1:\d+->127\.0\.0\.1:\d+\]>")
_STANDARD_OUTPUT = re.compile(r"^1<")


@dataclass(slots=True)
class Watch:
    """The calls of a process, read in order: what stood in the write-ahead log unsynced when bytes left."""

    leaves: re.Pattern[str]
    unsynced: bool = False
    syncs: int = 0
    sends: int = 0
    sends_after_sync: int = 0

    def read(self, calls: Iterator[Call]) -> None:
        for call in calls:
            if call.name in WRITES and _WAL.match(call.arguments):
                self.unsynced = True
            elif call.name in SYNCS and call.result == 0 and _WAL.match(call.arguments):
                self.unsynced = False
                self.syncs += 1
            elif call.name in SENDS and self.leaves.match(call.arguments):
                assert not self.unsynced, f"bytes left while the log was not on the disk: {call}"
                self.sends += 1
                self.sends_after_sync += self.syncs > 0


@contextmanager
def traced_serving(folder: Path, out: Path) -> Iterator[Serving]:
    """The node in `folder`, served under strace."""
    faults = folder.with_name(f"{folder.name}.faults")
    with faults.open("ab") as file:
        process = subprocess.Popen(
            [*trace(out, TRACED), *COMITY, "--node", folder, "serve", "--listen", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE,
            stderr=file,
            env=environment(),
        )
    server = Serving(process, folder, faults)
    try:
        yield server.wait_ready()
    finally:
        # strace does not hand signals on; it ends when what it traces has ended.
        (served,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
        os.kill(int(served), signal.SIGTERM)
        server.end(signal.Signals.SIGCONT)


def test_a_served_node_sends_nothing_while_its_log_is_not_on_the_disk(pair: Pair, tmp_path: Path) -> None:
    need_strace()
    with traced_serving(pair.giver, tmp_path / "calls") as server:
        polls = [threading.Thread(target=ask, args=(f"{pair.base(server.url)}objects/", pair.secret)) for _ in range(6)]
        for poll in polls:
            poll.start()
        for poll in polls:
            poll.join(120)
        for path in CONTENT:
            ask(pair.base(server.url) + path, pair.secret)
        ask(f"{server.url}/comity/receipts/3", pair.secret)
        ask(f"{server.url}/comity/log/aurelia/checkpoint", pair.reader)
    watch = Watch(_PARTNER)
    watch.read(read_calls(tmp_path / "calls"))
    # Every answer was seen, and enough commits: not one for each of those that came together, but one for each alone.
    assert watch.sends >= len(polls) + len(CONTENT) + 2
    assert watch.syncs > len(CONTENT)
    disclosures = sum(bool(entry.leaf["recipient"]) for entry in entries(pair.giver))
    assert disclosures == 1 + len(polls) + len(CONTENT)


OUT_OF_THE_PROGRAM = (
    ("agreement", "suspend", "AGREEMENT", "--json"),
    ("agreement", "export", "AGREEMENT"),
    ("agreement", "certificate", "AGREEMENT"),
    ("log", "checkpoint"),
    ("log", "receipt", "ENTRY"),
    ("log", "reader", "add", "another"),
    ("credential", "create", "borealia"),
    ("party", "export"),
    ("retention", "delete", object_id("report", "a"), "--reason", "asked for"),
)
CHANGES = {("agreement", "suspend"), ("log", "reader"), ("credential", "create"), ("retention", "delete")}


def test_a_command_says_nothing_while_its_act_is_not_on_the_disk(pair: Pair, tmp_path: Path) -> None:
    need_strace()
    position = max(entry.position for entry in entries(pair.giver) if entry.given)
    named = {"AGREEMENT": pair.agreement, "ENTRY": str(position)}
    who = ["--node", str(pair.giver), "--as", str(badge_path(pair.giver, Role.LIAISON))]
    for arguments in OUT_OF_THE_PROGRAM:
        size = len(entries(pair.giver))
        command = [*trace(tmp_path / "calls", TRACED), *COMITY, *who, *(named.get(word, word) for word in arguments)]
        done = subprocess.run(command, capture_output=True, timeout=300, check=False, env=environment())
        assert done.returncode == 0, done
        watch = Watch(_STANDARD_OUTPUT)
        watch.read(read_calls(tmp_path / "calls"))
        assert watch.sends, arguments
        assert len(entries(pair.giver)) == size + (arguments[:2] in CHANGES), arguments
        if arguments[:2] in CHANGES:
            assert watch.sends_after_sync == watch.sends, f"{arguments}: it spoke before its act was on the disk"
