# SPDX-License-Identifier: Apache-2.0
"""What it costs to take in envelopes of 1,000 realistic objects: validation alone, and the whole act of writing.

    PYTHONPATH=. .venv/bin/python bench/writing.py [FILE …]     FILE: STIX 2.1 bundles; without any, objects made here

Validation is the check of parsed objects against the schemas; the act is everything that a POST does but HTTP.
"""

import json
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from comity.canonical import Json
from comity.ids import PartyId
from comity.node.accept import Status, accept_objects, list_write_collections
from comity.node.schemas import read_schemas
from comity.stix.objects import parse_bundle
from comity.stix.validation import validate_bundle
from tests.worlds import World, make_object, object_id

ENVELOPE = 1_000
ROUNDS = 10


def make_objects(number: int) -> list[dict[str, Json]]:
    """Indicators, reports, identities and relationships, about as long as public ones."""
    made = list[dict[str, Json]]()
    for place in range(ENVELOPE):
        kind = ("indicator", "report", "identity", "relationship")[place % 4]
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
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
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


def main() -> None:
    """Print the figures."""
    started = time.perf_counter()
    read_schemas()
    print(f"schemas     compiled in {time.perf_counter() - started:.3f} s, once in a process")
    time_validation("made here", json.dumps({"objects": make_objects(0)}).encode())
    for name in sys.argv[1:]:
        time_validation(name, Path(name).read_bytes())
    for objects in (ENVELOPE, 10 * ENVELOPE):
        time_writing(objects)


if __name__ == "__main__":
    main()
