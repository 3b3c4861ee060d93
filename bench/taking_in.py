# SPDX-License-Identifier: Apache-2.0
"""What it costs to take in files: a bundle beside the same objects written over TAXII; a long file in bounded memory.

    PYTHONPATH=. .venv/bin/python bench/taking_in.py [--long MIB]

The bundle and the envelopes hold the objects of `bench/writing.py`, in one process, in turns: a figure says little
without another from the same machine and minute. With `--long`, a bundle of so many MiB is taken in by a process of its
own, and the most memory that it ever had is printed. With `--rules`, bundles are taken in with a rule set in force.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.writing import ENVELOPE, KINDS, make_objects
from comity.agreement.people import Role
from comity.classification.rules import RuleSet, convert_rules
from comity.config import Address
from comity.ids import PartyId
from comity.node.accept import Status, accept_objects, list_write_collections
from comity.node.files import Bytes, PathFile
from comity.node.founding import found_node
from comity.node.intake import Plan, take_file
from comity.node.node import open_node
from comity.node.rules import apply_rules
from comity.node.steps import finish
from tests.worlds import World

ROUNDS = 5
_RULES = b'format = "comity-rules/1"\nname = "bench"\n' + b"".join(
    b'[[rules]]\nid = "r%d"\nwhy = "w"\nwhen = { labels = ["%s"] }\nsay = { regions = ["IQ"] }\n'
    % (number, b"relay" if number == 0 else b"never-%d" % number)
    for number in range(20)
)
_MEBIBYTE = 1 << 20


def time_both(envelopes: int) -> None:
    """Print both rates for as many objects, and the share."""
    with TemporaryDirectory() as folder, closing(World(Path(folder))) as world:
        world.found("aurelia", "borealia")
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), types=KINDS), proposer="borealia")
        node = world.nodes["aurelia"]
        (target,) = list_write_collections(node, PartyId("borealia"))
        written, taken = list[float](), list[float]()
        for number in range(ROUNDS):
            parts = [
                json.dumps({"objects": make_objects(1_000 + number * 100 + part)}).encode() for part in range(envelopes)
            ]
            started = time.perf_counter()
            for data in parts:
                assert isinstance(accept_objects(node, data, giver=PartyId("borealia"), collection=target.id), Status)  # noqa: S101
            written.append(time.perf_counter() - started)
            made = [item for part in range(envelopes) for item in make_objects(9_000 + number * 100 + part)]
            data = json.dumps({"type": "bundle", "id": "bundle--x", "objects": made}).encode()
            started = time.perf_counter()
            done = take_file(node, Bytes(f"{number}.json", data), Plan())
            taken.append(time.perf_counter() - started)
            assert done.added_count == envelopes * ENVELOPE  # noqa: S101
    objects = envelopes * ENVELOPE
    rates = [objects / sorted(times)[ROUNDS // 2] for times in (written, taken)]
    share = rates[1] / rates[0]
    print(f"written over TAXII (no HTTP) {rates[0]:,.0f} objects/s, from a bundle {rates[1]:,.0f}: {share:.0%}")


def time_rules(envelopes: int) -> None:
    """Print the rates of bundles with rule sets in force, and without, in turns; one object of ten meets a rule."""
    with TemporaryDirectory() as folder, closing(World(Path(folder))) as world:
        world.found("aurelia", "borealia")
        rates: dict[str, list[float]] = {"aurelia": [], "borealia": []}
        rules = convert_rules(_RULES)
        assert isinstance(rules, RuleSet)  # noqa: S101
        for role in (Role.LIAISON, Role.LEGAL):
            finish(apply_rules(world.nodes["aurelia"], rules, reason="bench", by=world.actor(PartyId("aurelia"), role)))
        for number in range(ROUNDS):
            made = [item for part in range(envelopes) for item in make_objects(20_000 + number * 100 + part)]
            for index, item in enumerate(made):
                item["labels"] = ["relay" if index % 10 == 0 else "other"]
            data = json.dumps({"type": "bundle", "id": "bundle--x", "objects": made}).encode()
            for name, times in rates.items():
                started = time.perf_counter()
                done = take_file(world.nodes[name], Bytes(f"{number}.json", data), Plan())
                times.append(envelopes * ENVELOPE / (time.perf_counter() - started))
                assert done.added_count == envelopes * ENVELOPE  # noqa: S101
    ruled, plain = (sorted(times)[ROUNDS // 2] for times in rates.values())
    print(f"from a bundle {plain:,.0f} objects/s without rules, {ruled:,.0f} with a set of 20: {ruled / plain:.0%}")


def write_long(path: Path, mebibytes: int) -> int:
    """How many objects the bundle has that was written to `path`."""
    count = 0
    with path.open("wb") as file:
        file.write(b'{"type":"bundle","id":"bundle--4b2e5f2e-8f0e-4a52-9d0c-111111111119","objects":[')
        while file.tell() < mebibytes * _MEBIBYTE:
            made = make_objects(count)
            file.write((b"," if count else b"") + json.dumps(made)[1:-1].encode())
            count += len(made)
        file.write(b"]}")
    return count


def take_long(folder: Path, path: Path) -> None:
    """Take it in, and print what came of it and the most memory of this process."""
    with closing(open_node(folder)) as node:
        before = read_most_memory()
        started = time.perf_counter()
        done = take_file(node, PathFile(path, name=path.name), Plan())
        seconds = time.perf_counter() - started
    said = {
        "added": done.added_count,
        "seconds": round(seconds, 1),
        "before_kib": before,
        "most_kib": read_most_memory(),
    }
    print(json.dumps(said))


def read_most_memory() -> int:
    """The most memory that this process had, in KiB; `ru_maxrss` would count that of whoever started it."""
    return int(
        next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    )


def _lines() -> Iterator[str]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envelopes", type=int, default=5)
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--long", type=int, default=0, metavar="MIB")
    parser.add_argument("--take", nargs=2, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.take:
        take_long(*map(Path, said.take))
        return
    if said.rules:
        time_rules(said.envelopes)
        return
    if said.envelopes:
        time_both(said.envelopes)
    if said.long:
        with TemporaryDirectory() as place:
            folder, path = Path(place) / "node", Path(place) / "long.json"
            found_node(
                folder, party=PartyId("aurelia"), name="Aurelia", state=None, listen=Address(host="127.0.0.1", port=0)
            )
            count = write_long(path, said.long)
            command = [sys.executable, __file__, "--take", str(folder), str(path)]
            yield (
                f"{path.stat().st_size:,} bytes, {count:,} objects: "
                + subprocess.check_output(command, text=True).strip()
            )


if __name__ == "__main__":
    for line in _lines():
        print(line)
