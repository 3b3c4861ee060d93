# SPDX-License-Identifier: Apache-2.0
"""Articles by the program, on a served node whose partner pulls: nothing goes before people have made it."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest

from comity.agreement.people import Role
from comity.node.audit import audit_folder
from comity.node.clock import read_clock
from comity.node.journal import verify_folder
from comity.operations.reply import Exit
from tests.chains import introduce
from tests.e2e.conftest import COMITY, PATIENCE, comity, comity_as, environment, rows, serving
from tests.worlds import World, badge_path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

A, B = "aurelia", "borealia"
TYPES = ("report", "location", "note", "opinion", "identity", "url", "file")
PAGE = """<!doctype html><html><head><title>Lucent and Norrhaven talk</title>
<meta property="article:published_time" content="2031-03-04"><meta property="og:site_name" content="Wire"></head>
<body><article><h1>Lucent and Norrhaven talk</h1>
<p>Russian Foreign Minister Ivan Petrov denied reports that Germany had paid the rebels in Lisbon on Tuesday.</p>
<p>The talks went on for a second day, and it rained in the harbour, so that the ministers stayed indoors.</p>
<p>Moscow said that it would go on. Observers had seen the address hxxp://a[.]example/x in the papers.</p>
</article></body></html>"""
SHARED = ("--tlp", "green", "--subject", "national:ashfall", "--region", "IQ")


@dataclass(frozen=True, slots=True)
class Desk:
    """Aurelia's node, served, and that of borealia, which pulls from it."""

    at: Path
    partner: Path
    url: str

    def run(self, *arguments: str | Path) -> dict[str, Any]:
        """What came of a command that is done."""
        done = comity(self.at, "article", *arguments, "--json")
        assert done.code == Exit.DONE, (arguments, done.err, done.out)
        return done.result

    def pull(self) -> set[str]:
        """What borealia gets."""
        done = comity(self.partner, "pull", A, "--json").result
        return {name for channel in done["channels"] for name in channel["added"]}

    def held(self) -> set[str]:
        """What borealia has, whoever asked for it."""
        return {row[0] for row in rows(self.partner, "SELECT id FROM object")}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "talks.html"
    path.write_text(PAGE)
    return path


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two nodes; after the test both are audited and their logs verified."""
    world = World(tmp_path)
    world.found(A, B)
    introduce(world, [(A, B)])
    world.sign_all(world.terms(types=TYPES))
    world.close()
    with serving(tmp_path / A) as server:
        made = Desk(tmp_path / A, tmp_path / B, server.url)
        manifest = tmp_path / "aurelia.manifest"
        digest = comity(made.at, "party", "export", manifest, "--json").result["digest"]
        assert comity(made.partner, "party", "add", manifest, "--digest", digest, "--url", server.url).code == 0
        yield made
    for folder in (made.at, made.partner):
        audited = audit_folder(folder, now=read_clock())
        assert audited.found == 0, (folder.name, audited.findings)
        verify_folder(folder)


def test_a_partner_gets_what_people_confirmed_made_and_marked_and_nothing_before(desk: Desk, page: Path) -> None:
    added = desk.run("add", page, "--url", "https://wire.example/talks")["articles"][0]
    assert (added["format"], added["publisher"], added["published"]) == ("HTML", "Wire", "2031-03-04")
    assert desk.run("add", page)["articles"][0]["already"]
    assert desk.pull() == set()
    drafts = {item["title"]: item for item in desk.run("show", "1")["drafts"]}
    person, place = drafts["Ivan Petrov, Foreign Minister of Russia"], drafts["Germany"]
    desk.run("confirm", "1", str(person["number"]), str(place["number"]))
    assert desk.pull() == set()
    made = desk.run("make", "1", "--strike-open")
    assert desk.pull() == set()  # nobody has marked it
    marked = desk.run("make", "1", *SHARED)
    assert marked["report"] == made["report"]
    assert desk.pull() == set(marked["added"]) == desk.held()
    assert {name.partition("--")[0] for name in desk.held()} == {"report", "identity", "location"}
    assert comity_as(Role.LEGAL, desk.at, "article", "strike", "1", str(place["number"]), "--json").code == 0
    again = desk.run("make", "1")
    assert again["added"] == [made["report"]]
    assert desk.pull() == {made["report"]}


def test_partners_are_answered_while_a_long_text_is_read(desk: Desk, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    sentence = "Germany denied that Ivan Petrov had seen the rebels in Lisbon, and it rained for days on end. "
    long.write_text("Talks\n\n3 May 2031\n\n" + (sentence * 60 + "\n\n") * 40 + "It rained and rained. " * 70_000)
    who: list[str | Path] = ["--as", badge_path(desk.at, Role.LIAISON)]
    process = subprocess.Popen(
        [*COMITY, "--node", desk.at, *who, "article", "add", long], stdout=subprocess.DEVNULL, env=environment()
    )
    answered = 0
    while process.poll() is None:
        assert httpx.get(f"{desk.url}/taxii2/", timeout=PATIENCE).status_code == HTTPStatus.UNAUTHORIZED
        answered += process.poll() is None
    assert process.wait() == 0
    assert answered > 1
    assert rows(desk.at, "SELECT COUNT(*) FROM article") == [(1,)]


def test_what_is_deleted_is_in_no_file_of_the_served_node_and_what_was_made_stays(desk: Desk, page: Path) -> None:
    words = b"it rained in the harbour"
    desk.run("add", page)
    drafts = {item["title"]: item for item in desk.run("show", "1")["drafts"]}
    desk.run("confirm", "1", str(drafts["Ivan Petrov, Foreign Minister of Russia"]["number"]))
    made = desk.run("make", "1", "--strike-open", *SHARED)
    assert made["report"] in desk.pull()
    assert words in read_files(desk.at)
    deleted = desk.run("delete", "1", "--reason", "Order 12")
    assert (deleted["gone"], deleted["report"]) == (True, made["report"])
    assert words not in read_files(desk.at)
    assert desk.run("list")["articles"] == []
    done = comity(desk.at, "article", "make", "1", "--json")
    assert (done.code, done.error["code"]) == (Exit.NOT_FOUND, "not-found")
    assert comity(desk.at, "object", "show", made["report"], "--json").result["object"] is not None
    assert not desk.run("add", page)["articles"][0]["already"]
    assert desk.run("list")["articles"][0]["number"] == 2


def read_files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_wherever_the_deletion_is_killed_it_is_whole_or_not_there(tmp_path: Path, page: Path) -> None:
    world = World(tmp_path)
    world.found(A)
    world.close()
    folder = tmp_path / A
    badge = badge_path(folder, Role.LIAISON)
    tables, number = ("article", "article_draft", "article_decision"), 0
    for milliseconds in (300, 500, 700, 900, 1_100):
        assert comity(folder, "article", "add", page).code == 0
        number = rows(folder, "SELECT MAX(number) FROM article")[0][0]
        assert comity(folder, "article", "confirm", str(number), "1-4").code == 0
        command: list[str | Path] = [*COMITY, "--node", folder, "--as", badge, "article", "delete", str(number)]
        process = subprocess.Popen(
            [*command, "--reason", "r"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        )
        time.sleep(milliseconds / 1_000)
        process.send_signal(SIGKILL)
        process.wait()
        left = [rows(folder, f"SELECT COUNT(*) FROM {table}")[0][0] for table in tables]
        assert left == [0, 0, 0] or (left[0] == 1 and left[1] > 4 and left[2] >= 4), left
        assert audit_folder(folder, now=read_clock()).found == 0
    if rows(folder, "SELECT 1 FROM article"):
        assert comity(folder, "article", "delete", str(number), "--reason", "r").code == 0
    assert comity(folder, "retention", "run").code == 0
    assert b"it rained in the harbour" not in read_files(folder)
    assert comity(folder, "fsck").code == 0


def test_wherever_the_making_is_killed_it_is_whole_or_not_there(tmp_path: Path, page: Path) -> None:
    world = World(tmp_path)
    world.found(A)
    world.close()
    folder = tmp_path / A
    assert comity(folder, "article", "add", page).code == 0
    assert comity(folder, "article", "confirm", "1", "1-4").code == 0
    counts = ["SELECT COUNT(*) FROM object", "SELECT COUNT(*) FROM article_decision WHERE step = 'strike'"]
    seen = set[tuple[int, ...]]()
    command: list[str | Path] = [
        *COMITY,
        "--node",
        folder,
        "--as",
        badge_path(folder, Role.LIAISON),
        "article",
        "make",
        "1",
    ]
    for milliseconds in (300, 500, 700, 900, 1_100):
        process = subprocess.Popen(
            [*command, "--strike-open"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        )
        time.sleep(milliseconds / 1_000)
        process.send_signal(SIGKILL)
        process.wait()
        seen.add(tuple(rows(folder, count)[0][0] for count in counts))
    done = comity(folder, "article", "make", "1", "--strike-open", "--json")
    assert done.code == 0
    whole = tuple(rows(folder, count)[0][0] for count in counts)
    assert seen <= {(0, 0), whole}
    assert comity(folder, "article", "make", "1", "--json").result["already"]
    assert rows(folder, "SELECT COUNT(*) FROM object") == [(whole[0],)]
    assert comity(folder, "fsck").code == 0
    assert audit_folder(folder, now=read_clock()).found == 0
