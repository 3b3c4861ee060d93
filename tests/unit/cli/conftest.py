# SPDX-License-Identifier: Apache-2.0
"""Nodes of fictional parties, and the program run on them as a user would."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from comity.cli import run
from comity.operations.reply import Exit

BASIS = 'kind = "unsc_resolution"\nreference = "S/RES/9101"\n'
CREATED = "2026-01-01T00:00:00.000Z"
TLP_GREEN = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
LOCATION = "location--4b2e5f2e-8f0e-4a52-9d0c-111111111112"
REPORT = "report--4b2e5f2e-8f0e-4a52-9d0c-111111111113"
WORDS = ("--subject", "unsc:QDe.901", "--region", "IQ", "--kind", "threat_assessment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What one command came to."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> dict[str, Any]:
        """The one JSON document on standard error; then standard output is empty."""
        assert self.out == ""
        value = json.loads(self.err)
        assert list(value) == ["error"]
        return dict(value["error"])


Comity = Callable[..., Done]


@pytest.fixture
def comity(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Comity:
    """The program, run in this process: its exit code and both outputs."""
    for name in ("COMITY_NODE", "COMITY_AS"):
        monkeypatch.delenv(name, raising=False)

    def type_in(*arguments: str | Path) -> Done:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Done(code=code, out=captured.out, err=captured.err)

    return type_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A node in a folder, and the program on it."""

    id: str
    folder: Path
    manifest: Path
    digest: str
    comity: Comity

    def do(self, *arguments: str | Path) -> Done:
        """Run a command on the node, by as many of its people as it takes."""
        done = self.do_as("liaison", *arguments)
        return self.do_as("legal", *arguments) if done.code == Exit.WAITING else done

    def do_as(self, role: str, *arguments: str | Path) -> Done:
        """Run a command on the node, by the one person with this role."""
        return self.comity("--node", self.folder, "--as", self.badge(role), *arguments)

    def badge(self, role: str) -> Path:
        """The badge file of the person with this role."""
        return self.folder / "badges" / f"{role}.badge"

    def register(self, role: str) -> None:
        """Let there be a person with this role, called by it."""
        self.badge(role).parent.mkdir(exist_ok=True)
        added = self.comity(
            *("--node", self.folder, "person", "add", role, "--name", role.title(), "--role", role),
            *("--badge", self.badge(role)),
        )
        assert added.code == 0, added.err

    def ask(self, *arguments: str | Path) -> dict[str, Any]:
        """The JSON result of a command that is done."""
        done = self.do(*arguments, "--json")
        assert done.code == 0, done.err
        return done.result

    def recognise(self) -> None:
        """Recognise the one basis that the terms of these tests cite."""
        (self.folder / "recognition.toml").write_text(f"[[recognised]]\n{BASIS}", encoding="utf-8")

    def pin(self, other: "Party", *url: str) -> None:
        """Pin the other party, and say where its node is."""
        done = self.do("party", "add", other.manifest, "--digest", other.digest, *(("--url", *url) if url else ()))
        assert done.code == 0, done.err


@pytest.fixture
def found(tmp_path: Path, comity: Comity) -> Callable[[str], Party]:
    """Found the node of a party."""

    def found_one(name: str) -> Party:
        folder, manifest = tmp_path / name, tmp_path / f"{name}.manifest.json"
        assert comity("init", folder, "--party", name, "--name", name.title()).code == 0
        with (folder / "node.toml").open("a", encoding="utf-8") as file:
            file.write("[follow]\non = false\n")  # what comes in, comes in by the commands of the test
        done = comity("--node", folder, "party", "export", manifest, "--json")
        party = Party(id=name, folder=folder, manifest=manifest, digest=done.result["digest"], comity=comity)
        for role in ("liaison", "legal"):
            party.register(role)
        return party

    return found_one


@pytest.fixture
def aurelia(found: Callable[[str], Party]) -> Party:
    """The party that gives."""
    return found("aurelia")


@pytest.fixture
def borealia(found: Callable[[str], Party]) -> Party:
    """The party that receives."""
    return found("borealia")


@pytest.fixture
def terms(tmp_path: Path, aurelia: Party, borealia: Party) -> Path:
    """Terms between the two, which both would recognise; each has pinned the other."""
    aurelia.pin(borealia)
    borealia.pin(aurelia)
    aurelia.recognise()
    borealia.recognise()
    parties = (aurelia, borealia)
    lines = [
        'format = "comity-terms/1"\ntitle = "Exchange on the Grey Column"\nversion = 1\nform = "mou"',
        'excluded_frameworks = []\npurposes = ["strategic_analysis"]',
        'permitted_actions = "internally-visible-actions"\nprohibited_uses = ["targeting"]',
        '[validity]\nfrom = "2026-01-01T00:00:00Z"',
        *(f'[[parties]]\nid = "{party.id}"\nmanifest = "{party.digest}"' for party in parties),
        *(f'[[legal_bases]]\nparty = "{party.id}"\n{BASIS}force = "decides"' for party in parties),
        '[[channels]]\nid = "main"\ngiver = "aurelia"\nreceivers = ["borealia"]\ntypes = ["report", "location"]',
        'tlp_ceiling = "amber"\nsubjects = ["unsc:QDe.901"]\nregions = ["IQ"]\nonward = "none"\n',
    ]
    path = tmp_path / "terms.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def make_object(name: str, /, **values: object) -> dict[str, object]:
    """A STIX object in TLP:GREEN."""
    return {
        "type": name.partition("--")[0],
        "spec_version": "2.1",
        "id": name,
        "created": CREATED,
        "modified": CREATED,
        "object_marking_refs": [TLP_GREEN],
        **values,
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A report and the location that it is about."""
    objects = [
        make_object(LOCATION, country="IQ"),
        make_object(REPORT, name="Movements", published=CREATED, object_refs=[LOCATION]),
    ]
    return write_bundle(tmp_path / "bundle.json", objects)


def write_bundle(path: Path, objects: list[dict[str, object]]) -> Path:
    """A bundle of these objects in a file."""
    name = "bundle--4b2e5f2e-8f0e-4a52-9d0c-111111111111"
    path.write_text(json.dumps({"type": "bundle", "id": name, "objects": objects}), encoding="utf-8")
    return path


@dataclass(slots=True, kw_only=True)
class Server:
    """A process that serves a node."""

    process: subprocess.Popen[str]
    url: str = ""
    line: str = ""
    faults: str = field(default="")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code, after a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, self.faults = self.process.communicate(timeout=120)
        return self.process.returncode


def start_server(folder: Path, *arguments: str) -> Server:
    """`comity serve` on a free port, ready."""
    command = [sys.executable, "-m", "comity.cli", "--node", str(folder), "serve", "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    server = Server(process=process, line=process.stdout.readline())
    if not server.line:
        server.stop()
        raise AssertionError(server.faults)
    if "--json" in arguments:
        server.url = json.loads(server.line)["url"]
    return server


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Serve a party's node until the test ends."""
    servers = list[Server]()

    def serve_one(party: Party, *arguments: str) -> Server:
        servers.append(start_server(party.folder, *(arguments or ("--json",))))
        return servers[-1]

    yield serve_one
    for server in servers:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)
        for stream in (server.process.stdout, server.process.stderr):
            if stream is not None:
                stream.close()
