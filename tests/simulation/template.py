# SPDX-License-Identifier: Apache-2.0
"""Nodes that are the same in every run: founded once with fixed keys at a fixed time, then copied for each history.

Terms name manifests by digest, and events are ordered by digest where nothing else orders them. With keys of chance the
same steps would be another history each time.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from comity.agreement.people import Person, Role
from comity.config import Address
from comity.ids import Digest, Instant, PartyId, PersonId, parse_instant
from comity.node.founding import found_node
from comity.node.node import open_node
from comity.node.parties import add_party, export_manifest
from comity.node.people import add_person
from comity.signing import Manifest

__all__ = ["FOUNDED", "PARTIES", "PEOPLE", "START", "copy_nodes", "manifests", "scratch"]

PARTIES = ("aurelia", "borealia", "corvania", "doria", "esteria", "fenmark", "galdria", "hestia")
"""Fictional parties; a history is played by the first two to eight of them."""

FOUNDED = parse_instant("2026-01-01T00:00:00Z")
START = parse_instant("2026-01-02T00:00:00Z")
"""When every history begins, by a clock that goes right."""

PEOPLE = {
    role: Person(id=PersonId(f"the-{role.value}"), name=f"The {role.value}", roles=frozenset({role}))
    for role in (Role.LIAISON, Role.LEGAL)
}
"""Each party has one of each, which is as many as any act needs."""

_SHM = Path("/dev/shm")
_NOWHERE = Address(host="127.0.0.1", port=0)


def copy_nodes(folder: Path, number: int) -> None:
    """The folders of the first `number` parties, each with all of them pinned, below `folder`."""
    template, _ = _found()
    for name in PARTIES[:number]:
        shutil.copytree(template / name, folder / name)


def manifests() -> dict[PartyId, Manifest]:
    """The manifest of every party."""
    return _found()[1]


def scratch() -> Path | None:
    """Where nodes of a simulation live: in memory, where the machine has such a place."""
    return _SHM if _SHM.is_dir() else None


@cache
def _found() -> tuple[Path, dict[PartyId, Manifest]]:
    kept = tempfile.TemporaryDirectory(dir=scratch(), prefix="comity-simulation-")
    _KEPT.append(kept)
    folder = Path(kept.name)
    found = dict[PartyId, Manifest]()
    for name in PARTIES:
        with _fixed(name):
            found[PartyId(name)] = found_node(
                folder / name, party=PartyId(name), name=name.title(), state=None, listen=_NOWHERE
            )
    nodes = {name: open_node(folder / name) for name in PARTIES}
    try:
        envelopes = {name: export_manifest(node) for name, node in nodes.items()}
        for name, node in nodes.items():
            node.clock = lambda: FOUNDED
            node.draw = _make_draw(f"people of {name}")
            for person in PEOPLE.values():
                add_person(node, person)
            for other in sorted(envelopes.keys() - {name}):
                digest: Digest = found[PartyId(other)].digest
                add_party(node, envelopes[other], digest=digest, url=f"http://{other}.example")
    finally:
        for node in nodes.values():
            node.close()
    return folder, found


_KEPT: list[tempfile.TemporaryDirectory[str]] = []
"""Held until the process ends, which removes them."""


def _make_draw(name: str) -> Callable[[int], bytes]:
    """Bytes that are the same each time for `name`."""
    numbers = count(1)
    return lambda size: hashlib.shake_256(f"{name} {next(numbers)}".encode()).digest(size)


@contextmanager
def _fixed(name: str) -> Iterator[None]:
    """Chance and time as `found_node` meets them, the same each time for `name`."""
    draw = _make_draw(name)

    def generate() -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(draw(32))

    def read() -> Instant:
        return FOUNDED

    with ExitStack() as stack:
        stack.enter_context(patch("comity.node.founding.read_clock", read))
        stack.enter_context(patch("comity.node.founding.draw_bytes", draw))
        stack.enter_context(patch("comity.keys.Ed25519PrivateKey.generate", generate, create=True))
        yield
