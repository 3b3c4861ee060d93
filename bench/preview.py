# SPDX-License-Identifier: Apache-2.0
"""How long a preview takes, held against reading how many objects carry each label.

    .venv/bin/python bench/preview.py                       1,000,000 objects, 5,000 labels
    .venv/bin/python bench/preview.py --objects 100000 --labels 500

It founds a node in a temporary folder, fills its store through the store's own modules, and measures in turns:

    preview   the whole of `comity agreement preview` for one channel and one receiver, samples and all, where all that
              is held counts (`history = "all"`)
    none      the same where nothing that is held counts (`history = "none"`)
    since     the same where the younger half counts
    labels    SELECT label, COUNT(*) … GROUP BY label over the objects, by the index that serves it best
    groups    the same by label, type and originator, which is what a preview shows
    kept      the counts of `groups` as the triggers keep them, which is what a preview reads
    intake    objects taken in by a node a second, with the triggers and without them (`--intake`)

The ratio of preview to labels is the promise: at most 1, where no channel limits history. Else an index over all
objects is read, as `groups` reads one. It prints medians, and the ratio to each.
"""

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from comity.canonical import canonical_bytes, sha256_digest
from comity.config import Address
from comity.ids import Instant, ObjectId, PartyId, format_instant
from comity.node.founding import found_node
from comity.node.ingest import add_objects
from comity.node.node import Node, open_node
from comity.node.preview import preview_terms
from comity.stix.labels import Label, make_tags
from comity.stix.markings import GranularMarking
from comity.stix.objects import StixObject
from comity.store import Transaction, objects
from comity.store.objects import Holding

OWN, OTHER = PartyId("aurelia"), PartyId("borealia")
TYPES = ("indicator", "report", "identity", "malware", "threat-actor", "relationship", "note", "location")
TLPS = ("clear", "green", "amber", "amber+strict", "red", "unmarked")
REGIONS = ("IQ", "SY", "JO", "TR", "LY", "ML", "NE", "SO")
KINDS = ("indicator", "strategic", "financing", "arms", "identity", "communications")
SUBJECTS = tuple(f"national:group-{number}" for number in range(200))
HOUR = 3_600_000_000


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--labels", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--intake", action="store_true", help="also measure intake with and without the triggers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as folder:
        node = make_node(Path(folder) / OWN)
        try:
            started = time.perf_counter()
            fill(node, count=options.objects, labels=options.labels)
            print(f"filled with {options.objects} objects in {time.perf_counter() - started:.0f} s")
            measure(node, middle=Instant(options.objects * 500), rounds=options.rounds)
        finally:
            node.close()
        if options.intake:
            measure_intake(Path(folder), rounds=options.rounds)


def make_node(folder: Path) -> Node:
    """A node that recognises the basis of `make_terms`."""
    found_node(folder, party=OWN, name="Aurelia", state=None, listen=Address(host="127.0.0.1", port=0))
    (folder / "recognition.toml").write_text('[[recognised]]\nkind = "mou"\nreference = "M1"\n', encoding="utf-8")
    return open_node(folder)


def make_terms(history: str = "all") -> bytes:
    """Terms that admit about a third of the labels of `make_labels`, some of them without a property."""
    parties = "".join(
        f'[[parties]]\nid = "{party}"\nmanifest = "{"0" * 64}"\n[[legal_bases]]\nparty = "{party}"\n'
        'kind = "mou"\nreference = "M1"\nforce = "contract"\n'
        for party in (OWN, OTHER)
    )
    return (
        'format = "comity-terms/1"\ntitle = "Benchmark"\nversion = 1\nform = "mou"\npurposes = ["exchange"]\n'
        'permitted_actions = "none"\nprohibited_uses = []\n[validity]\nfrom = "2020-01-01T00:00:00Z"\n'
        f'{parties}[[channels]]\nid = "main"\ngiver = "{OWN}"\nreceivers = ["{OTHER}"]\n'
        f'types = {json.dumps(TYPES)}\ntlp_ceiling = "amber"\nsubjects = {json.dumps(SUBJECTS[:150])}\n'
        f'regions = {json.dumps(REGIONS[:6])}\nonward = "none"\nhistory = "{history}"\n'
    ).encode()


def make_labels(count: int) -> Iterator[tuple[str, Label]]:
    """So many different labels, each with a type that carries it; one in twenty is marked in part."""
    draw = random.Random(1)  # noqa: S311 (the same store every time)
    seen = set[Label]()
    while len(seen) < count:
        kind = draw.choice(TYPES)
        label = Label(
            types=frozenset({kind, *draw.sample(TYPES, draw.choice((0, 0, 1)))}),
            tlp=draw.choice(TLPS),
            markings=frozenset(),
            originators=frozenset({draw.choice((OWN, OWN, OWN, OTHER))}),
            subjects=frozenset({frozenset(draw.sample(SUBJECTS, draw.choice((1, 1, 2))))}),
            regions=frozenset(
                frozenset(draw.sample(REGIONS, draw.choice((1, 2)))) for _ in range(draw.choice((1, 1, 2)))
            ),
            kinds=frozenset({draw.choice(KINDS)}),
            person_classes=frozenset(),
            special_categories=frozenset(),
            handling=frozenset(),
            audience=draw.choice((None, None, frozenset({OWN, OTHER}))),
            excluded_frameworks=draw.choice((frozenset[str](), frozenset[str](), frozenset({"coalition-dawn"}))),
            granular=(GranularMarking(property="description", tlp="red"),) if draw.random() < 1 / 20 else (),
        )
        if label not in seen:
            seen.add(label)
            yield kind, label


def fill(node: Node, *, count: int, labels: int) -> None:
    """So many objects, spread over the labels as a few are common and most are rare."""
    made = list(make_labels(labels))
    draw = random.Random(2)  # noqa: S311 (the same store every time)
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(labels)))
    places = itertools.chain(range(labels), iter(lambda: draw.choices(range(labels), cum_weights=weights)[0], None))
    numbered = enumerate(itertools.islice(places, count))
    while chunk := list(itertools.islice(numbered, 50_000)):
        with node.store.write() as transaction:
            keys = [objects.intern_label(transaction, label) for _, label in made]
            for number, place in chunk:
                kind, label = made[place]
                add(transaction, number, kind=kind, key=keys[place], originator=min(label.originators))
    with node.store.write() as transaction:
        transaction.run("ANALYZE")


def add(transaction: Transaction, number: int, *, kind: str, key: int, originator: PartyId) -> None:
    """One object as intake would store it."""
    name = ObjectId(f"{kind}--{uuid.UUID(int=number)}")
    data = canonical_bytes({"id": name, "type": kind})
    item = StixObject(
        id=name,
        type=kind,
        spec_version="2.1",
        version="2026-01-01T00:00:00.000Z",
        created=Instant(HOUR),
        modified=None,
        references=frozenset(),
        revoked=False,
        digest=sha256_digest(data),
        data=data,
    )
    holding = Holding(originator=originator, received_under=None, added_at=Instant(number * 1_000))
    (pk,) = objects.reserve_keys(transaction, 1)
    new = objects.make_new(pk, item, own_label=key, current=True, first=True)
    objects.add_objects(transaction, [new], {pk: key}, holding=holding)


def measure(node: Node, *, middle: Instant, rounds: int) -> None:
    """The readings in turns."""
    toml = make_terms()
    readings: dict[str, Callable[[], object]] = {
        "preview": lambda: preview_terms(node, toml),
        "none": lambda: preview_terms(node, make_terms("none")),
        "since": lambda: preview_terms(node, make_terms(format_instant(middle))),
        "labels": lambda: read(node, "SELECT label, COUNT(*) FROM object WHERE current = 1 GROUP BY label"),
        "groups": lambda: read(
            node,
            "SELECT label, type, originator, COUNT(*) FROM object WHERE current = 1 GROUP BY label, type, originator",
        ),
        "kept": lambda: read(node, "SELECT label, type, originator, objects FROM label_count"),
    }
    taken: dict[str, list[float]] = {name: [] for name in readings}
    for _ in range(rounds + 1):
        for name, reading in readings.items():
            started = time.perf_counter()
            reading()
            taken[name].append(time.perf_counter() - started)
    median = {name: statistics.median(times[1:]) for name, times in taken.items()}  # the first one fills caches
    (shown,) = preview_terms(node, toml).flows
    assert shown.counts is not None  # noqa: S101 (the terms have this one flow)
    print(
        f"released {shown.counts.released}, of it redacted {shown.counts.redacted}, withheld {shown.counts.withheld},"
        f" in {len(shown.counts.groups) + shown.counts.more_groups} groups"
    )
    for name, seconds in median.items():
        print(f"{name:8} {seconds * 1_000:8.1f} ms")
    for name in ("labels", "groups", "kept"):
        print(f"ratio preview/{name:7} {median['preview'] / median[name]:.2f}")
    for name in ("none", "since"):
        print(f"ratio {name}/groups {median[name] / median['groups']:.2f}")


def read(node: Node, sql: str) -> int:
    """How many rows there are."""
    with node.store.read() as transaction:
        return len(transaction.rows(sql))


def measure_intake(folder: Path, *, rounds: int) -> None:
    """Bundles taken in by a whole node, in turns with and without what a preview reads."""
    nodes = {name: make_node(folder / name) for name in ("with", "without")}
    with nodes["without"].store.write() as transaction:
        for name in ("object_counted", "object_uncounted", "object_recounted"):
            transaction.run(f"DROP TRIGGER {name}")
        transaction.run("DROP INDEX object_by_count")
    taken: dict[str, list[float]] = {name: [] for name in nodes}
    size = 2_000
    for number in range(rounds):
        data = make_bundle(number * size, size)
        for name, node in nodes.items():
            started = time.perf_counter()
            add_objects(node, data, tags=make_tags())
            taken[name].append(time.perf_counter() - started)
    rates = {name: size / statistics.median(times) for name, times in taken.items()}
    for node in nodes.values():
        node.close()
    print(f"intake   with {rates['with']:.0f}/s, without {rates['without']:.0f}/s")


def make_bundle(first: int, size: int) -> bytes:
    """A bundle of so many indicators."""
    items = [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{uuid.UUID(int=number)}",
            "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z",
            "name": f"indicator {number}",
            "pattern": f"[ipv4-addr:value = '192.0.2.{number % 256}']",
            "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00.000Z",
            "labels": [f"label-{number % 50}"],
        }
        for number in range(first, first + size)
    ]
    return json.dumps({"type": "bundle", "id": f"bundle--{uuid.UUID(int=0)}", "objects": items}).encode()


if __name__ == "__main__":
    main()
