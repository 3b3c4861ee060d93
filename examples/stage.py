# SPDX-License-Identifier: Apache-2.0
"""What the demonstration runs on: node processes, shown commands, checked claims."""

import base64
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from taxii2client.v21 import Server, as_pages

__all__ = ["BUNDLE", "PEOPLE", "REAL_FILES", "Stage", "UnusableFileError", "read_raw", "read_with_taxii_client"]

_HERE = Path(__file__).resolve().parent
BUNDLE = _HERE / "bundle.json"
_REAL = _HERE.parents[1] / "shared" / "data" / "stix"
_REAL_NAMES = ("attack-ics.json", "poisonivy.json", "geography.json")
REAL_FILES = [_REAL / name for name in _REAL_NAMES if (_REAL / name).is_file()]

_COMITY = [sys.executable, "-m", "comity.cli"]
_WAIT_SECONDS = 20.0
PEOPLE = {"aurelia": ("anton", "livia"), "borealia": ("berit", "lasse"), "meridia": ("mira", "leon")}
"""Of each party two fictional people: one who acts as liaison, and one who acts as legal."""
_ROLES = ("liaison", "legal")
_WAITING = 9
_POLICIES = {
    "aurelia": '[[recognised]]\nkind = "unsc_resolution"\nreference = "*"\n\n'
    '[[recognised]]\nkind = "domestic_law"\nreference = "Aurelian Act 12 of 2024"\n',
    "borealia": 'refused_frameworks = ["coalition-dawn"]\n\n'
    '[[recognised]]\nkind = "unsc_resolution"\nreference = "*"\n',
    "meridia": '[[recognised]]\nkind = "host_consent"\nreference = "*"\n',
}
_T = TypeVar("_T")


class UnusableFileError(Exception):
    """A file of the user's of which nothing can be taken in; the message says why."""


class Stage:
    """Nodes in `folder`, served by processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.urls: dict[str, str] = {}
        self.digests: dict[str, str] = {}
        self.previewed = 0
        self._servers: list[subprocess.Popen[str]] = []
        self._began = time.monotonic()
        self._claims = 0

    # ---- what is shown --------------------------------------------------------------------------------------------

    def step(self, number: int, title: str) -> None:
        print(f"\n── {number}. {title} " + "─" * max(0, 100 - len(title)), flush=True)

    def say(self, text: str, *, indent: int = 0) -> None:
        print(textwrap.fill(text, 110, initial_indent=" " * indent, subsequent_indent=" " * indent), flush=True)

    def check(self, holds: bool, claim: str) -> None:  # noqa: FBT001 (the claim is the thing)
        if not holds:
            raise AssertionError(f"the demonstration failed: not true that {claim}")
        self._claims += 1
        print(f"  ✓ {claim}", flush=True)

    def run(self, party: str | None, *arguments: str, by: str | None = None, code: int = 0, lines: int = 40) -> str:
        """What the command printed, which must end with `code`; it and the first `lines` of its output are shown.

        `by` is the role of the person of `party` who gives it.
        """
        result, text = self._show(party, *arguments, by=by, lines=lines)
        if result.returncode != code:
            raise AssertionError(f"exit code {result.returncode}, expected {code}")
        if code:
            print(f"    (exit code {code})", flush=True)
        return text

    def run_by_two(self, party: str, *arguments: str) -> str:
        """What the command printed when the second of two people gave it; the first one's gets one line."""
        self.run(party, *arguments, by="liaison", code=_WAITING, lines=1)
        return self.run(party, *arguments, by="legal")

    def take_in(self, party: str, file: Path) -> None:
        """Take in a file of the user's: what is bad in it is shown, and the good is gone on with."""
        result, text = self._show(party, "object", "add", str(file))
        if result.returncode == 0:
            return
        again = self._call(party, "object", "add", str(file), "--json")
        if not again.stdout:
            raise UnusableFileError(text)
        intake = json.loads(again.stdout)
        if not intake["known"]:
            bad = intake["files"][0]["bad"][0]
            raise UnusableFileError(f"nothing in {file} can be taken in: {bad['where']}: {bad['message']}")

    def end(self, *, keep: bool) -> None:
        elapsed = time.monotonic() - self._began
        print(f"\nAll eight steps done, {self._claims} claims checked, in {elapsed:.0f} s.", flush=True)
        if keep:
            print("The nodes go on running:")
            for party, url in self.urls.items():
                print(f"  {party:9} {url}/taxii2/   comity --node {self.folder / party} agreement list")
            print(f"Stop them with: kill {' '.join(str(server.pid) for server in self._servers)}", flush=True)

    # ---- what is asked --------------------------------------------------------------------------------------------

    def ask(self, party: str, *arguments: str) -> dict[str, Any]:
        """The JSON document that a command prints."""
        result = self._call(party, *arguments, "--json")
        if result.returncode != 0:
            raise AssertionError(f"comity {shlex.join(arguments)}: {result.stderr}")
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    def find(self, party: str, title: str) -> str | None:
        found = self.ask(party, "agreement", "list")["agreements"]
        return next((item["agreement"] for item in found if item["title"].startswith(title)), None)

    def state(self, party: str, agreement: str) -> str:
        return str(self.ask(party, "agreement", "status", agreement)["state"])

    def wait_for(self, party: str, look: Callable[[], _T | None]) -> _T:
        """What `look` finds, once the message that brings it has arrived at the node of `party`."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.1)
        raise AssertionError(f"nothing reached {party} in {_WAIT_SECONDS:.0f} s")

    def disclosed(self, party: str) -> set[str]:
        """The ids of all objects that the log of `party` says were given."""
        entries = self.ask(party, "log", "list", "--last", "1000")["entries"]
        given = set[str]()
        for entry in entries:
            if entry["type"] == "disclosure":
                content = self.ask(party, "log", "show", str(entry["entry"]))["content"]
                given |= {item["id"] for item in content["objects"]}
        return given

    def collection(self, party: str, agreement: str) -> str:
        """The id of the collection that Borealia is offered under the agreement."""
        gives = self.ask(party, "agreement", "status", agreement)["gives"]
        return str(next(item["collection"] for item in gives if item["to"] == "borealia"))

    def read_page(self, url: str, login: str) -> dict[str, Any]:
        page: dict[str, Any] = json.loads(read_raw(url, login).split(b"\r\n\r\n", 1)[1])
        return page

    # ---- what is done ---------------------------------------------------------------------------------------------

    def badge(self, party: str, role: str) -> Path:
        """The badge file of the person of `party` who acts in this role."""
        return self.folder / f"{PEOPLE[party][_ROLES.index(role)]}.badge"

    def register(self, party: str) -> None:
        """Let the party have its two people; how that is done is shown once."""
        for person, role in zip(PEOPLE[party], _ROLES, strict=True):
            words = ("--name", person.title(), "--role", role, "--badge", str(self.badge(party, role)))
            if party == next(iter(PEOPLE)):
                self.run(party, "person", "add", person, *words, lines=1)
            else:
                self.ask(party, "person", "add", person, *words)

    def pull_by_hand(self, party: str) -> None:
        """Let nothing come in by itself, so that it is seen when it does."""
        with (self.folder / party / "node.toml").open("a", encoding="utf-8") as file:
            file.write("\n[follow]\non = false\n")

    def recognise(self, party: str) -> None:
        (self.folder / party / "recognition.toml").write_text(_POLICIES[party], encoding="utf-8")

    def fill(self, name: str) -> Path:
        """The agreement in the file, with the digests of the parties' manifests."""
        text = (_HERE / "agreements" / name).read_text(encoding="utf-8")
        for party, digest in self.digests.items():
            text = text.replace(f"MANIFEST-OF-{party.upper()}", digest)
        filled = self.folder / name
        filled.write_text(text, encoding="utf-8")
        return filled

    def serve(self, party: str) -> None:
        """Start the node's process and remember its address."""
        command = [*_COMITY, "--node", str(self.folder / party), "serve", "--listen", "127.0.0.1:0"]
        print(f"  $ comity --node {party} serve &", flush=True)
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self._servers.append(server)
        line = server.stdout.readline() if server.stdout else ""
        print(f"    {line.rstrip()}", flush=True)
        self.urls[party] = line.split(" on ")[1].split()[0]

    def stop(self) -> None:
        for server in self._servers:
            server.send_signal(signal.SIGTERM)
        for server in self._servers:
            server.wait(10)

    def copy_with_one_byte_changed(self, party: str, name: str) -> int:
        """The number of the entry that was changed in a copy of the node's store."""
        copy = self.folder / name
        copy.mkdir()
        for file in ("node.toml", "head"):
            (copy / file).write_bytes((self.folder / party / file).read_bytes())
        source = sqlite3.connect(f"file:{self.folder / party / 'store.db'}?mode=ro", uri=True)
        target = sqlite3.connect(copy / "store.db")
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
        entry, leaf = target.execute("SELECT position, leaf FROM log_entry ORDER BY position DESC LIMIT 1").fetchone()
        source.close()
        target.close()
        data = bytearray((copy / "store.db").read_bytes())
        place = data.index(leaf)
        data[place + leaf.index(b'"count":') + 8] ^= 1
        (copy / "store.db").write_bytes(data)
        return int(entry)

    def _show(
        self, party: str | None, *arguments: str, by: str | None = None, lines: int = 40
    ) -> tuple[subprocess.CompletedProcess[str], str]:
        """The command, run, with what it printed; both are shown."""
        who = ["--as", str(self.badge(party, by))] if party and by else []
        shown = ["comity", *(["--node", party] if party else []), *who, *arguments]
        print("  $ " + shlex.join(self._shorten(part) for part in shown), flush=True)
        result = self._call(party, *who, *arguments)
        text = (result.stdout + result.stderr).rstrip()
        shown_lines = self._shorten(text).splitlines()
        rest = ["…"] if len(shown_lines) > lines else []
        print(textwrap.indent("\n".join(shown_lines[:lines] + rest), "    "), flush=True)
        return result, text

    def _shorten(self, text: str) -> str:
        """The text without the folders that differ from machine to machine."""
        for folder in (self.folder, _HERE.parent, _REAL):
            text = text.replace(f"{folder}/", "")
        return text

    def _call(self, party: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
        node = ["--node", str(self.folder / party)] if party else []
        return subprocess.run([*_COMITY, *node, *arguments], capture_output=True, text=True, check=False, env=_plain())


def read_raw(url: str, login: str | None) -> bytes:
    """Status line, headers and body as they came, without the Date; `login` is USER:PASSWORD."""
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    try:
        answer = urlopen(Request(url, headers=headers), timeout=10)  # noqa: S310 (a loopback URL made here)
    except HTTPError as error:
        answer = error
    with answer:
        kept = [f"{name}: {value}" for name, value in answer.headers.items() if name.lower() != "date"]
        head = "\r\n".join([f"HTTP/1.1 {answer.status} {answer.reason}", *kept])
        body: bytes = answer.read()
        return head.encode() + b"\r\n\r\n" + body


def read_with_taxii_client(url: str, user: str, password: str) -> set[str]:
    """The ids of all objects of the one collection that a plain TAXII 2.1 client is offered."""
    (collection,) = Server(f"{url}/taxii2/", user=user, password=password).default.collections
    pages = as_pages(collection.get_objects, per_request=100)
    return {item["id"] for page in pages for item in page.get("objects", [])}


def _plain() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("COMITY_")}
