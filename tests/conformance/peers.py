# SPDX-License-Identifier: Apache-2.0
"""Other TAXII 2.1 servers as processes on the loopback interface, and the suite of the standard run against them.

    scripts/peers && .venv/bin/python -m tests.conformance.peers      writes docs/taxii-peers.md

What the suite finds there shows that it can fail. It says nothing of later versions of these servers.
"""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from comity.ids import Instant, format_instant, parse_instant
from tests.conformance import test_standard, test_standard_writing
from tests.conformance.target import TAXII, make_material
from tests.ports import find_port

__all__ = ["PAGE", "PEERS", "VENV", "Outcomes", "format_page", "make_venv", "read_date", "run_all"]

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv" / "peers"
PAGE = ROOT / "docs" / "taxii-peers.md"

_MODULES = (test_standard, test_standard_writing)
_USER, _PASSWORD = "suite", "not-a-secret"
_COLLECTION = "8c49f14d-8ea3-4f03-ab28-19dbca973dda"
_START_SECONDS, _RUN_SECONDS = 120.0, 1_800.0
_LINE = re.compile(r"::(test_\w+)(\[.*\])? (PASSED|FAILED|ERROR|SKIPPED)")
_SECTION = re.compile(r"test_(\d+(?:_\d+)*)_")

Material = Sequence[Sequence[Mapping[str, Any]]]
"""Objects, in the envelopes they come in."""

Outcomes = Mapping[str, str]
"""Test, with its parameters, to PASSED, FAILED, ERROR or SKIPPED."""


def make_venv() -> str | None:
    """None when the servers are installed, else why they are not."""
    made = subprocess.run([ROOT / "scripts" / "peers"], capture_output=True, text=True, check=False)
    return None if made.returncode == 0 else made.stderr.strip()


# ---- the servers -----------------------------------------------------------------------------------------------------


@contextmanager
def serve_medallion(folder: Path, material: Material | None = None, *, page: int = 100) -> Iterator[Mapping[str, str]]:
    """medallion with its backend in memory, filled from a file; what names it to the suite."""
    port = find_port()
    (folder / "data.json").write_text(json.dumps(_make_data(make_material() if material is None else material)))
    backend = {"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend"}
    config = {
        "backend": {**backend, "filename": str(folder / "data.json")},
        "users": {_USER: _PASSWORD},
        "taxii": {"max_page_size": page},
    }
    (folder / "config.json").write_text(json.dumps(config))
    with _run([VENV / "bin" / "medallion", "--port", str(port), folder / "config.json"], port, folder):
        yield _name(port, _COLLECTION)


@contextmanager
def serve_opentaxii(folder: Path, material: Material | None = None) -> Iterator[Mapping[str, str]]:
    """OpenTAXII with its store in SQLite, filled by POST; what names it to the suite."""
    port, data = find_port(), folder / "data.db"
    config = {
        "domain": f"127.0.0.1:{port}",
        "auth_api": {
            "class": "opentaxii.auth.sqldb.SQLDatabaseAPI",
            "parameters": {"db_connection": f"sqlite:///{folder}/auth.db", "create_tables": True, "secret": _PASSWORD},
        },
        "taxii1": None,
        "taxii2": {
            "title": "OpenTAXII",
            "max_content_length": 10 * 1024 * 1024,
            "public_discovery": False,
            "persistence_api": {
                "class": "opentaxii.persistence.sqldb.Taxii2SQLDatabaseAPI",
                "parameters": {"db_connection": f"sqlite:///{data}", "create_tables": True},
            },
        },
        "logging": {"opentaxii": "error", "root": "error"},
    }
    (folder / "config.json").write_text(json.dumps(config))  # JSON is YAML
    named = {"OPENTAXII_CONFIG": str(folder / "config.json"), "PYTHONWARNINGS": "ignore"}

    def command(name: str, *arguments: str) -> None:
        line: list[str | Path] = [VENV / "bin" / f"opentaxii-{name}", *arguments]
        subprocess.run(line, env={**os.environ, **named}, capture_output=True, check=True)

    def first_id(table: str) -> str:
        with closing(sqlite3.connect(data)) as store:
            (found,) = store.execute(f"SELECT id FROM {table}").fetchone()
        return (
            f"{found[:8]}-{found[8:12]}-{found[12:16]}-{found[16:20]}-{found[20:]}" if "-" not in found else str(found)
        )

    command("create-account", "--username", _USER, "--password", _PASSWORD)
    command("add-api-root", "--title", "Root", "--default")
    root = first_id("opentaxii_api_root")
    command("add-collection", "--rootid", root, "--title", "Material", "--public", "--public-write")
    collection = first_id("opentaxii_collection")
    serve: list[str | Path] = [VENV / "bin" / "flask", "--app", "opentaxii.http", "run", "--port", str(port)]
    with _run(serve, port, folder, environment=named):
        for objects in make_material() if material is None else material:
            # It answers 500 and has stored them all the same.
            httpx.post(
                f"http://127.0.0.1:{port}/taxii2/{root}/collections/{collection}/objects/",
                json={"objects": objects},
                headers={"Content-Type": TAXII, "Accept": TAXII},
                auth=(_USER, _PASSWORD),
                timeout=60,
            )
        yield _name(port, collection)


@contextmanager
def serve_comity(folder: Path) -> Iterator[Mapping[str, str]]:
    """Nothing names it: the suite makes a node of its own."""
    yield {}


PEERS: Mapping[str, Callable[[Path], AbstractContextManager[Mapping[str, str]]]] = {
    "Comity": serve_comity,
    "medallion 3.0.0": serve_medallion,
    "OpenTAXII 0.9.3": serve_opentaxii,
}
"""The servers by name and version, as requirements/peers.txt locks them."""


def _make_data(material: Material) -> dict[str, Any]:
    objects, manifest = list[dict[str, Any]](), list[dict[str, Any]]()
    at = parse_instant("2026-01-01T00:00:00Z")
    for item in (item for together in material for item in together):
        at = Instant(at + 1_234_567)
        date = format_instant(at)
        version = item.get("modified", item.get("created"))
        objects.append(dict(item) if version else {**item, "_date_added": date})
        media = "application/stix+json;version=2.1"
        manifest.append({"id": item["id"], "date_added": date, "version": version or date, "media_type": media})
    return {
        "/discovery": {"title": "medallion", "default": "/trust/", "api_roots": ["/trust/"]},
        "trust": {
            "information": {"title": "Root", "versions": [TAXII], "max_content_length": 10 * 1024 * 1024},
            "status": [],
            "collections": [
                {
                    "id": _COLLECTION,
                    "title": "Material",
                    "can_read": True,
                    "can_write": True,
                    "media_types": ["application/stix+json;version=2.1"],
                    "objects": objects,
                    "manifest": manifest,
                }
            ],
        },
    }


def _name(port: int, collection: str) -> Mapping[str, str]:
    return {
        "COMITY_TAXII_URL": f"http://127.0.0.1:{port}/taxii2/",
        "COMITY_TAXII_USER": _USER,
        "COMITY_TAXII_PASSWORD": _PASSWORD,
        "COMITY_TAXII_COLLECTION": collection,
    }


@contextmanager
def _run(
    command: Sequence[str | Path], port: int, folder: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """The process, from when it listens on `port` to the end of the block."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _listens(port):
                assert process.poll() is None, (folder / "server.log").read_text()
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(60)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ---- the suite, and what it found ------------------------------------------------------------------------------------


def run_suite(named: Mapping[str, str]) -> Outcomes:
    """What became of each test against the server that `named` names."""
    files = [str(module.__file__) for module in _MODULES]
    command = [sys.executable, "-m", "pytest", "-v", "--tb=no", "-p", "no:cacheprovider", *files]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COMITY_TAXII_")}
    ran = subprocess.run(
        command, env={**clean, **named}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_RUN_SECONDS
    )
    found = {f"{name}{case or ''}": outcome for name, case, outcome in _LINE.findall(ran.stdout)}
    assert len(found) > 100, ran.stdout[-2000:] + ran.stderr[-2000:]
    return found


def run_all() -> Mapping[str, Outcomes]:
    """What the suite found at each server."""
    found = dict[str, Outcomes]()
    for name, serve in PEERS.items():
        with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as named:
            found[name] = run_suite(named)
    return found


def format_page(found: Mapping[str, Outcomes], *, date: str) -> str:
    """docs/taxii-peers.md."""
    lines = [
        "# TAXII 2.1 at Comity and two other servers",
        "",
        "What the tests of `tests/conformance/test_standard.py` and `test_standard_writing.py` found. They are of",
        "our own making, one or more for each demand of the OASIS Standard of 10 June 2021, run against any server;",
        "that they fail elsewhere shows that they can fail. A server may have changed since the version named here.",
        "",
        "Made by `scripts/peers && .venv/bin/python -m tests.conformance.peers`; `tests/conformance/test_peers.py`",
        f"finds the same again. Date: {date}.",
        "",
        "Cells: tests that fail, of those that ran; ✓ when none does; – when none could run (nothing can be written,",
        "or the collection holds nothing of the kind).",
        "",
        f"| Section | {' | '.join(found)} |",
        f"| --- |{' --- |' * len(found)}",
    ]
    tests = sorted({test for outcomes in found.values() for test in outcomes}, key=lambda test: (_order(test), test))
    for section in dict.fromkeys(map(_order, tests)):
        of_section = [test for test in tests if _order(test) == section]
        cells = [_format_cell([outcomes.get(test, "SKIPPED") for test in of_section]) for outcomes in found.values()]
        lines.append(f"| {'.'.join(map(str, section))} | {' | '.join(cells)} |")
    for name, outcomes in found.items():
        lines += ["", f"## {name}", "", *_format_failures(outcomes)]
    return "\n".join(lines) + "\n"


def read_date(page: str) -> str:
    """The date that stands in the page."""
    found = re.search(r"Date: ([\d-]+)\.", page)
    assert found is not None
    return found[1]


def _order(test: str) -> tuple[int, ...]:
    found = _SECTION.match(test)
    assert found is not None, f"{test} names no section"
    return tuple(map(int, found[1].split("_")))


def _format_cell(outcomes: Sequence[str]) -> str:
    ran = [outcome for outcome in outcomes if outcome != "SKIPPED"]
    failed = sum(outcome != "PASSED" for outcome in ran)
    return "–" if not ran else f"{failed} of {len(ran)}" if failed else "✓"


def _format_failures(outcomes: Outcomes) -> list[str]:
    failed: dict[str, list[str]] = {}
    for test, outcome in outcomes.items():
        name, bracket, case = test.partition("[")
        if outcome in {"FAILED", "ERROR"}:
            failed.setdefault(name, []).append(case.removesuffix("]") if bracket else "")
    lines = []
    for name in sorted(failed, key=_order):
        says = next(getattr(module, name) for module in _MODULES if hasattr(module, name)).__doc__
        cases = [case for case in failed[name] if case]
        lines.append(
            f"- `{name}`: {says.removeprefix('TAXII 2.1 ')}" + (f" Fails: {', '.join(cases)}." if cases else "")
        )
    return lines or ["Nothing fails."]


def main() -> None:
    """Write the page anew."""
    problem = make_venv()
    if problem is not None:
        raise SystemExit(problem)
    PAGE.write_text(format_page(run_all(), date=datetime.now(UTC).date().isoformat()), encoding="utf-8")


if __name__ == "__main__":
    main()
