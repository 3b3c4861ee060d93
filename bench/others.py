# SPDX-License-Identifier: Apache-2.0
"""Full polls, held against two other TAXII 2.1 servers: objects for each second of the server's processor."""

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from itertools import count, repeat
from pathlib import Path

import httpx
from arms import Reader
from processes import list_tree, read_cpu
from rows import Row, make_row
from worlds import ENVELOPE, make_envelope

from tests.conformance.peers import Material, make_venv, serve_medallion, serve_opentaxii
from tests.conformance.target import TAXII

__all__ = ["measure_full"]

_LEAST_CPU = 0.5
"""Seconds of processor that a figure is taken from; the system counts hundredths."""
_MEDALLION_OBJECTS = 1_000
"""What it does for one page grows with the square of what it holds; more would only make it slower."""

Serve = Callable[[Path, Material], AbstractContextManager[Mapping[str, str]]]


def measure_full(folder: Path, reader: Reader, *, rounds: int, peer_objects: int) -> list[Row]:
    """A row for each of the others; all are served at once and polled in turn, by one client."""
    if problem := make_venv():
        sys.exit(problem)
    peers: dict[str, tuple[str, Serve, int]] = {
        "full-opentaxii": ("OpenTAXII 0.9.3", serve_opentaxii, peer_objects),
        "full-medallion": (
            "medallion 3.0.0",
            lambda where, material: serve_medallion(where, material, page=ENVELOPE),
            min(peer_objects, _MEDALLION_OBJECTS),
        ),
    }
    limits, taken, own, again = count(), dict[str, list[float]](), list[float](), list[float]()
    with ExitStack() as stack:
        served = {
            key: (*_start(folder / key, serve, objects, stack=stack), objects)
            for key, (_, serve, objects) in peers.items()
        }
        for _ in range(rounds):
            own.append(_poll_own(reader, limits))
            again.append(_poll_own(reader, repeat(0)))
            for key, (client, pid, objects) in served.items():
                taken.setdefault(key, []).append(_time(pid, lambda: _poll_other(client, objects)))  # noqa: B023
    return [
        make_row(
            key if polled is own else key.replace("full", "full-again"),
            f"full poll, {work}; {name} holds {objects:,} objects",
            at=(reader.built.objects, reader.built.agreements, reader.workers, 1),
            value=statistics.median(polled),
            unit="objects/CPU s",
            against=name,
            its_value=statistics.median(taken[key]),
            ratio=statistics.median(one / other for one, other in zip(polled, taken[key], strict=True)),
            samples=polled,
        )
        for key, (name, _, objects) in peers.items()
        for polled, work in ((own, "no page of it ever given before"), (again, "the same as the last one"))
    ]


def _time(pid: int, poll: Callable[[], int]) -> float:
    """Objects that were received for each second of the server's processor, over as many polls as it takes."""
    before, objects = read_cpu(pid), 0
    while (used := read_cpu(pid) - before) < _LEAST_CPU:
        objects += poll()
    return objects / used


def _poll_own(reader: Reader, limits: Iterator[int]) -> float:
    def poll() -> int:
        # With another limit each time no page is one that was asked for before, and with the same each is.
        pages = [body for _, body in reader.read_pages(limit=ENVELOPE - next(limits) % 500)]
        found = sum(body.count(b'"spec_version":"2.1"') for body in pages)
        if found != reader.built.objects:
            sys.exit(f"a full poll gave {found} objects of {reader.built.objects}")
        return found

    return _time(reader.pid, poll)


def _start(folder: Path, serve: Serve, objects: int, *, stack: ExitStack) -> tuple[httpx.Client, int]:
    """A client at the collection of another server, which holds so many objects, and the server's process."""
    folder.mkdir(parents=True)
    material = [
        json.loads(make_envelope(first, min(ENVELOPE, objects - first)))["objects"]
        for first in range(0, objects, ENVELOPE)
    ]
    before = set(list_tree(os.getpid()))
    named = stack.enter_context(serve(folder, material))
    pid = min(set(list_tree(os.getpid())) - before)
    client = httpx.Client(
        auth=(named["COMITY_TAXII_USER"], named["COMITY_TAXII_PASSWORD"]), headers={"Accept": TAXII}, timeout=600
    )
    stack.enter_context(client)
    (root,) = client.get(named["COMITY_TAXII_URL"]).raise_for_status().json()["api_roots"]
    client.base_url = httpx.URL(named["COMITY_TAXII_URL"]).join(
        f"{root}collections/{named['COMITY_TAXII_COLLECTION']}/objects/"
    )
    return client, pid


def _poll_other(client: httpx.Client, objects: int) -> int:
    found, cursor = 0, ""
    while True:
        named: dict[str, str | int] = {"limit": ENVELOPE, **({"next": cursor} if cursor else {})}
        body = client.get("", params=named).raise_for_status().json()
        found += len(body["objects"])
        if not body.get("more"):
            break
        cursor = body["next"]
    if found != objects:
        sys.exit(f"{client.base_url.path}: a full poll gave {found} objects of {objects}")
    return found
