# SPDX-License-Identifier: Apache-2.0
"""The drill: back up under load, lose everything, restore, be refused, recover, go on; and a purge while served."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

import pytest

from comity.agreement.people import Role
from comity.ids import Instant, PartyId
from comity.node.clock import read_clock
from comity.node.gate import list_open_collections
from comity.node.heads import split_heads
from comity.node.node import Node
from comity.node.parties import create_credential
from comity.store import SqliteStore, log
from tests.e2e.conftest import Serving, comity, comity_as, get, rows, wait_until
from tests.worlds import World, badge_path, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

OBJECTS = 300
WORD = "kestrel-under-the-bridge"


@dataclass(slots=True)
class Load:
    """Polls that go on: how long each took, and what came."""

    url: str
    secret: str
    seconds: list[float] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopping.is_set():
            began = time.monotonic()
            self.statuses.add(get(self.url, self.secret, limit="50").status_code)
            self.seconds.append(time.monotonic() - began)


@contextmanager
def loaded(url: str, secret: str) -> Iterator[Load]:
    load = Load(url, secret)
    threads = [threading.Thread(target=load.run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two nodes with an agreement in force, and a credential of the receiver."""

    giver: Path
    receiver: Path
    collection: str
    secret: str

    def objects(self, server: Serving) -> str:
        return f"{server.url}/taxii2/borealia/collections/{self.collection}/objects/"


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", *[make_object(f"o{number}", more={"description": WORD * 20}) for number in range(OBJECTS)])
    node = world.nodes["aurelia"]
    collection = list_open_collections(node, PartyId("borealia"))[0].id
    secret = create_credential(node, PartyId("borealia"))
    world.close()
    return Pair(node.folder, world.nodes["borealia"].folder, collection, secret)


def introduce(pair: Pair, server: Serving, tmp_path: Path) -> None:
    """Let the receiver know where the giver's node is."""
    manifest = tmp_path / "aurelia.manifest"
    assert comity(pair.giver, "party", "export", manifest).code == 0
    digest = str(rows(pair.giver, "SELECT manifest FROM party WHERE id = 'aurelia'")[0][0])
    done = comity(pair.receiver, "party", "add", manifest, "--digest", digest, "--url", server.url)
    assert done.code == 0, done.err


def find_agreement(pair: Pair) -> str:
    return str(rows(pair.giver, "SELECT id FROM agreement")[0][0])


def test_the_drill(pair: Pair, tmp_path: Path, serve: Callable[..., Serving]) -> None:
    # Served and under load, a backup is made.
    server = serve(pair.giver)
    introduce(pair, server, tmp_path)
    assert comity(pair.receiver, "pull", "aurelia").code == 0
    assert holds(pair.receiver, "o7")
    with loaded(pair.objects(server), pair.secret) as load:
        wait_until(lambda: len(load.seconds) > 10)
        made = comity(pair.giver, "backup", tmp_path / "backup", "--with-keys", "--json")
        assert (made.code, made.result["noted"]) == (0, True), made.err
    assert load.statuses == {200}
    assert comity(pair.giver, "fsck", "--json").result["sound"]

    # More is given, with the number after those in the backup: then everything is lost.
    more = json.dumps({"type": "bundle", "id": object_id("bundle", "x"), "objects": [make_object("later")]}).encode()
    assert comity(pair.giver, "object", "add", "-", given=more).code == 0
    assert comity(pair.receiver, "pull", "aurelia").code == 0
    kept = tmp_path / "kept-head"
    shutil.copyfile(pair.giver / "head", kept)
    badges = tmp_path / "badges"
    shutil.copytree(pair.giver / "badges", badges)
    server.end(SIGKILL)
    shutil.rmtree(pair.giver)

    # Restored, it is verified, and does not start.
    restored = comity(pair.giver, "restore", tmp_path / "backup", pair.giver, "--json")
    assert restored.code == 0, restored.err
    assert restored.result["size"] == made.result["size"]
    refuse_to_start(pair)

    # Recovered by two people, with the checkpoint that was kept elsewhere.
    shutil.copytree(badges, pair.giver / "badges")
    origin = recover(pair, kept, statement=tmp_path / "statement.json")

    # Nothing is given before people have resumed what can have been stopped since.
    resume(pair, serve)

    # It goes on: the partner is told, and pulls what is given again.
    go_on(pair, serve, tmp_path)
    assert comity(pair.giver, "log", "checkpoint", "--json").result["origin"] == origin


def refuse_to_start(pair: Pair) -> None:
    for command in (("serve", "--listen", "127.0.0.1:0"), ("agreement", "list"), ("purge", "run")):
        refused = comity(pair.giver, *command, "--json")
        assert (refused.code, refused.error["code"]) == (7, "rolled-back")
        assert "comity recover" in refused.error["message"]
    assert not (pair.giver / "head").exists()


def recover(pair: Pair, kept: Path, *, statement: Path) -> str:
    """The log's name from here on."""
    alone = comity_as(Role.LEGAL, pair.giver, "recover", "--reason", "disk lost", "--head", kept, "--json")
    assert alone.code == 9
    done = comity_as(
        Role.LIAISON, pair.giver, "recover", "--reason", "disk lost", "--head", kept, "--statement", statement, "--json"
    )
    assert done.code == 0, done.err
    assert done.result["previous"] == "comity/aurelia"
    assert done.result["known"] == split_heads(kept.read_bytes())[0].decode()
    assert done.result["lost"] > 0
    assert done.result["told"] == ["borealia"]
    assert done.result["suspended"] == [find_agreement(pair)]
    assert (len(done.result["persons"]), done.result["credentials"]) == (2, ["borealia"])
    assert statement.read_text() == done.result["statement"]
    return str(done.result["origin"])


def resume(pair: Pair, serve: Callable[..., Serving]) -> None:
    server = serve(pair.giver)
    assert get(pair.objects(server), pair.secret).status_code == 404
    for role, code in ((Role.LEGAL, 9), (Role.LIAISON, 0)):
        done = comity_as(role, pair.giver, "agreement", "resume", find_agreement(pair), "--json")
        assert done.code == code, done.err
    assert get(pair.objects(server), pair.secret).status_code == 200
    server.end()


def go_on(pair: Pair, serve: Callable[..., Serving], tmp_path: Path) -> None:
    receiver = serve(pair.receiver)
    server = serve(pair.giver)
    tell_where(pair, receiver, tmp_path)
    introduce(pair, server, tmp_path)
    wait_until(lambda: bool(rows(pair.receiver, "SELECT 1 FROM succession WHERE party = 'aurelia'")))
    again = json.dumps({"type": "bundle", "id": object_id("bundle", "y"), "objects": [make_object("after")]}).encode()
    assert comity(pair.giver, "object", "add", "-", given=again).code == 0
    assert comity(pair.receiver, "pull", "aurelia").code == 0
    assert holds(pair.receiver, "after")
    assert not holds(pair.giver, "later")  # it came after the backup, and only the partner has it
    assert holds(pair.receiver, "later")
    for folder in (pair.giver, pair.receiver):
        assert comity(folder, "log", "verify", "--json").code == 0
        assert comity(folder, "fsck", "--json").result["sound"]


def holds(folder: Path, name: str) -> bool:
    return bool(rows(folder, "SELECT 1 FROM object WHERE id = ?", object_id("report", name)))


def tell_where(pair: Pair, receiver: Serving, tmp_path: Path) -> None:
    manifest = tmp_path / "borealia.manifest"
    assert comity(pair.receiver, "party", "export", manifest).code == 0
    digest = str(rows(pair.receiver, "SELECT manifest FROM party WHERE id = 'borealia'")[0][0])
    done = comity(pair.giver, "party", "add", manifest, "--digest", digest, "--url", receiver.url)
    assert done.code == 0, done.err


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_purged_while_served_is_gone(pair: Pair, workers: int, serve: Callable[..., Serving]) -> None:
    server = serve(pair.giver, workers=workers)
    for _ in range(3):
        assert get(pair.objects(server), pair.secret).status_code == 200
    store = SqliteStore.inspect(pair.giver / "store.db")
    with store.read() as transaction:
        openings = log.read_openings(transaction, 0, 1_000)
    store.close()
    given = [int(row[0]) for row in rows(
        pair.giver, "SELECT position FROM log_entry WHERE CAST(leaf AS TEXT) LIKE '%disclosure\"}'"
    )]  # fmt: skip
    order = ("purge", "order", "--recipient", "borealia", "--reason", "order 12", "--json")
    shown = comity_as(Role.LEGAL, pair.giver, *order, "--dry-run")
    assert shown.result["count"] == len(given)
    done = comity(pair.giver, *order)
    assert done.code == 0, done.err
    assert (done.result["gone"], done.result["searched"]["found_in"]) == (True, [])
    assert done.result["searched"]["files"] > 5
    left = b"".join(path.read_bytes() for path in pair.giver.rglob("*") if path.is_file())
    for position in given:
        opening = openings[position]
        assert opening.salt not in left
        assert opening.content not in left
        assert opening.listing not in left
    # Partners go on, and so does the log.
    assert get(pair.objects(server), pair.secret).status_code == 200
    assert comity(pair.giver, "log", "verify", "--json").result["purged"] == len(given)
    assert comity(pair.giver, "fsck", "--json").result["sound"]


def test_what_a_reader_holds_is_not_said_to_be_gone(pair: Pair, serve: Callable[..., Serving]) -> None:
    server = serve(pair.giver)
    assert get(pair.objects(server), pair.secret).status_code == 200
    reader = SqliteStore.inspect(pair.giver / "store.db")
    with reader.read() as transaction:
        log.read_size(transaction)
        done = comity(pair.giver, "purge", "order", "--recipient", "borealia", "--reason", "order 12")
        assert done.code == 0, done.err
        assert "NOT GONE YET" in done.out
        assert "gone: " not in done.out
    reader.close()
    assert comity(pair.giver, "retention", "run", "--json").result["gone"]


def test_a_backup_is_listed_when_what_is_in_it_is_purged(
    pair: Pair, tmp_path: Path, serve: Callable[..., Serving]
) -> None:
    server = serve(pair.giver)
    assert get(pair.objects(server), pair.secret).status_code == 200
    made = comity(pair.giver, "backup", tmp_path / "backup")
    assert made.code == 0, made.err
    assert "without keys" in made.out
    assert badge_path(pair.giver, Role.LEGAL).exists()
    done = comity(pair.giver, "purge", "order", "--recipient", "borealia", "--reason", "order 12", "--json")
    assert [item["place"] for item in done.result["backups"]] == [str(tmp_path / "backup")]


class Past(World):
    """A world whose nodes were founded before their manifests say: the clock was set since."""

    def open(self, name: str) -> Node:
        now = self.now
        node = super().open(name)
        self.now = now
        return node


def test_the_rule_of_the_node_is_kept_while_it_serves(tmp_path: Path, serve: Callable[..., Serving]) -> None:
    """Nobody orders anything: what is older than `content_days` goes, and what is younger stays."""
    today = read_clock()
    world = Past(tmp_path, now=Instant(today - 5 * 86_400_000_000))
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("a"))
    world.poll("borealia")
    world.now = today
    world.poll("borealia")
    folder = world.nodes["aurelia"].folder
    world.close()
    with (folder / "node.toml").open("a") as file:
        file.write("content_days = 3\n")
    server = serve(folder)
    first, second = [int(row[0]) for row in rows(
        folder, "SELECT position FROM log_entry WHERE CAST(leaf AS TEXT) LIKE '%disclosure\"}' ORDER BY position"
    )]  # fmt: skip
    wait_until(lambda: not rows(folder, "SELECT 1 FROM log_opening WHERE position = ?", first))
    wait_until(lambda: not rows(folder, "SELECT 1 FROM meta WHERE name = 'deletion-unfinished'"))
    assert rows(folder, "SELECT 1 FROM log_opening WHERE position = ?", second)
    shown = comity(folder, "log", "show", str(second + 1), "--json").result["content"]
    assert shown["rule"] == "content_days = 3"
    assert shown["ranges"][-1] == [first, first]
    assert server.end() == 0
    assert comity(folder, "log", "verify", "--json").result["purged"] == 3  # with two people
