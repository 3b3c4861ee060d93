# SPDX-License-Identifier: Apache-2.0
"""What it costs to take in envelopes of 1,000 realistic objects: validation alone, and the whole act of writing.

    PYTHONPATH=. .venv/bin/python bench/writing.py [--stream N] [FILE …]

FILE: STIX 2.1 bundles to validate besides objects made here. Validation is the check of parsed objects against the
schemas; the act is everything that a POST does but HTTP. With `--stream`, N envelopes of 1,000 objects are posted, one
after another, to a node that is served in a process of its own. Where `stix2` is installed, its `parse` of the same
objects is timed in the same run, since a figure says little without another from the same machine and minute.
"""

import argparse
import importlib
import json
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from comity.canonical import Json
from comity.ids import PartyId
from comity.node.accept import Status, accept_objects, list_write_collections
from comity.node.parties import create_credential
from comity.node.schemas import read_schemas
from comity.stix.objects import parse_bundle
from comity.stix.validation import validate_bundle
from tests.e2e.conftest import start
from tests.worlds import World, make_object, object_id

ENVELOPE = 1_000
ROUNDS = 10
KINDS = ("indicator", "report", "identity", "relationship")


def make_objects(number: int) -> list[dict[str, Json]]:
    """Indicators, reports, identities and relationships, about as long as public ones."""
    made = list[dict[str, Json]]()
    for place in range(ENVELOPE):
        kind = KINDS[place % 4]
        more: dict[str, Json] = {
            "description": "What is known of the Ashfall Column, its depots and its tolls. " * 5,
            "created_by_ref": object_id("identity", "author"),
            "external_references": [{"source_name": "journal", "url": "https://journal.example/7", "external_id": "7"}],
            "labels": ["first", "second"],
            "confidence": 70,
        }
        if kind == "relationship":
            ends = [object_id("indicator", f"{number} {place - 3}"), object_id("identity", f"{number} {place - 1}")]
            more |= {"relationship_type": "indicates", "source_ref": ends[0], "target_ref": ends[1]}
        if kind == "report":
            more["object_refs"] = [object_id("indicator", f"{number} {place - 1}")]
        made.append(make_object(f"{number} {place}", kind=kind, more=more))
    return made


def time_validation(name: str, data: bytes) -> None:
    """Print the rate over the objects of one bundle."""
    parsed = parse_bundle(data)
    checked, started = parsed, time.perf_counter()
    for _ in range(ROUNDS):
        checked = validate_bundle(read_schemas(), parsed)
    taken = (time.perf_counter() - started) / ROUNDS
    count = len(parsed.good)
    print(f"validation  {name}: {count} objects, {len(checked.bad)} bad, {count / taken:,.0f} objects/s")


def time_writing(objects: int) -> None:
    """Print the rate of the whole act, for envelopes of `objects`."""
    with TemporaryDirectory() as folder, closing(World(Path(folder))) as world:
        world.found("aurelia", "borealia")
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), types=KINDS), proposer="borealia")
        node = world.nodes["aurelia"]
        (target,) = list_write_collections(node, PartyId("borealia"))
        taken, data = list[float](), b""
        for number in range(5):
            made = [item for part in range(objects // ENVELOPE) for item in make_objects(number * 100 + part)]
            data = json.dumps({"objects": made}).encode()
            started = time.perf_counter()
            done = accept_objects(node, data, giver=PartyId("borealia"), collection=target.id)
            taken.append(time.perf_counter() - started)
            assert isinstance(done, Status)  # noqa: S101
            assert len(done.successes) == objects  # noqa: S101
    middle = sorted(taken)[2]
    print(f"writing     {objects} objects, {len(data):,} bytes: {middle:.2f} s, {objects / middle:,.0f} objects/s")


def time_stream(envelopes: int) -> None:
    """Print the rate of one stream of envelopes over HTTP, and how long each took."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.found("aurelia", "borealia")
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",), types=KINDS), proposer="borealia")
        node = world.nodes["aurelia"]
        (target,) = list_write_collections(node, PartyId("borealia"))
        secret = create_credential(node, PartyId("borealia"))
        world.close()
        with (node.folder / "node.toml").open("a") as file:
            file.write("\nwrite_bytes_per_day = 1000000000000\nwrite_objects_per_day = 1000000000\n")
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/taxii+json;version=2.1"}
        server = start(node.folder).wait_ready()
        path = f"{server.url}/taxii2/borealia/collections/{target.id}/objects/"
        taken = list[float]()
        with httpx.Client(headers=headers, trust_env=False, timeout=60) as client:
            for number in range(envelopes + 2):
                data = json.dumps({"objects": make_objects(number)}).encode()
                started = time.perf_counter()
                answer = client.post(path, content=data)
                taken.append(time.perf_counter() - started)
                assert answer.status_code == httpx.codes.ACCEPTED, answer.text  # noqa: S101
        server.end()
    del taken[:2]
    ordered = sorted(taken)
    half, most = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    print(
        f"stream      {envelopes} envelopes over HTTP: {envelopes * ENVELOPE / sum(taken):,.0f} objects/s,"
        f" an envelope p50 {half * 1_000:.0f} ms, p99 {most * 1_000:.0f} ms"
    )


def time_stix2() -> None:
    """Print the rate of `stix2.parse` over the same objects, where it is installed."""
    try:
        parse = importlib.import_module("stix2").parse
    except ImportError:
        return
    made = make_objects(0)
    started = time.perf_counter()
    for item in made:
        parse(item, allow_custom=True)
    print(f"stix2.parse {len(made) / (time.perf_counter() - started):,.0f} objects/s, parsed and nothing else")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What it costs to take in what a partner writes.")
    parser.add_argument("--stream", type=int, default=0, metavar="N", help="post N envelopes to a served node")
    parser.add_argument("files", nargs="*", type=Path)
    chosen = parser.parse_args()
    started = time.perf_counter()
    read_schemas()
    print(f"schemas     compiled in {time.perf_counter() - started:.3f} s, once in a process")
    time_validation("made here", json.dumps({"objects": make_objects(0)}).encode())
    for path in chosen.files:
        time_validation(path.name, path.read_bytes())
    time_stix2()
    time_writing(ENVELOPE)
    if chosen.stream:
        time_stream(chosen.stream)


if __name__ == "__main__":
    main()
