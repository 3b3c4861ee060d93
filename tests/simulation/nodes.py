# SPDX-License-Identifier: Apache-2.0
"""The nodes of one history, each with a clock of its own, and what the invariants are held against beside them."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from comity.agreement.people import Role
from comity.errors import ComityError
from comity.ids import AgreementId, Digest, Instant, ObjectId
from comity.letters.letter import Letter
from comity.node.node import Node, open_node
from comity.node.people import Actor, Waiting
from comity.node.standing import Dossier, find_agreement
from tests.simulation.drafts import HOUR, POLICIES
from tests.simulation.pulls import Given, Pull, Take
from tests.simulation.stores import FaultyStore, make_faulty
from tests.simulation.template import PARTIES, PEOPLE, START, copy_nodes

__all__ = ["SECOND", "Nodes", "Step", "carry_out"]

Step = Mapping[str, Any]
"""One step of a history, as JSON holds it; `do` names it."""

SECOND = 1_000_000


@dataclass
class Nodes:
    """The nodes of one history. Time moves by steps only; every step takes a millisecond of it."""

    folder: Path
    names: tuple[str, ...] = ()
    nodes: dict[str, Node] = field(default_factory=dict)
    twins: dict[str, Node] = field(default_factory=dict)
    stores: dict[str, FaultyStore] = field(default_factory=dict)
    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    now: Instant = START
    skew: dict[str, int] = field(default_factory=dict)
    drawn: dict[str, int] = field(default_factory=dict)
    agreements: dict[str, AgreementId] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    apart: frozenset[frozenset[str]] = frozenset()
    late: list[tuple[str, bytes]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    # What the invariants are held against, kept apart from what any node has on record.
    stopped: dict[tuple[str, str], set[str | None]] = field(default_factory=dict)
    ended: set[tuple[str, str]] = field(default_factory=set)
    refused: set[tuple[str, str]] = field(default_factory=set)
    forgers: set[str] = field(default_factory=set)
    forged: set[tuple[str, str, str]] = field(default_factory=set)
    claims: set[Digest] = field(default_factory=set)
    own: dict[ObjectId, str] = field(default_factory=dict)
    items: dict[tuple[ObjectId, str], Step] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    pages: dict[tuple[str, str, int], list[bytes]] = field(default_factory=dict)
    heads: dict[str, list[bytes]] = field(default_factory=dict)
    # Who gives what it may not, or not as it says; and the letters that no node has sent.
    cheaters: set[str] = field(default_factory=set)
    replayed: dict[tuple[str, str, str], httpx.Response] = field(default_factory=dict)
    mislabelled: set[str] = field(default_factory=set)
    forged_letters: dict[Digest, str] = field(default_factory=dict)
    # Letters as they were said and taken, by their bytes alone.
    recalled: dict[str, set[tuple[ObjectId, str]]] = field(default_factory=dict)
    granted: list[tuple[str, Letter]] = field(default_factory=list)
    taken: list[Take] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)

    def clock(self, name: str) -> Instant:
        """What the clock of `name` shows."""
        return Instant(self.now + self.skew.get(name, 0))

    def dossier(self, name: str, handle: str) -> Dossier | None:
        """What is on record of an agreement at the node of `name`."""
        node = self.nodes[name]
        with node.store.read() as transaction, suppress(ComityError):
            return find_agreement(node, transaction, self.agreements[handle])
        return None

    def close(self) -> None:
        """Close every node."""
        self.runner.close()
        for node in (*self.nodes.values(), *self.twins.values()):
            node.close()

    def is_apart(self, left: str, right: str) -> bool:
        """Whether the network is divided between the two."""
        return frozenset({left, right}) in self.apart

    def draw(self, name: str, count: int) -> bytes:
        """Bytes for `name`, the same ones in every run."""
        self.drawn[name] = self.drawn.get(name, 0) + 1
        return hashlib.shake_256(f"{name} {self.drawn[name]}".encode()).digest(count)

    def _found(self, step: Step) -> None:
        self.names = PARTIES[: step["parties"]]
        copy_nodes(self.folder, len(self.names))
        for name in self.names:
            self.skew[name] = step.get("skew", {}).get(name, 0) * SECOND
            self.heads[name] = []
            self._set_policy(name, "recognises")
            self._open(name)

    def _open(self, name: str) -> None:
        node = open_node(self.folder / name)
        self._tame(name, node)
        self.stores[name] = make_faulty(node)
        self.nodes[name] = node

    def _tame(self, name: str, node: Node) -> None:
        node.clock = lambda: self.clock(name)
        node.draw = lambda count: self.draw(name, count)

    def _crash(self, step: Step) -> None:
        """The process is gone and comes again; what it had said it had done must be there."""
        self.nodes[step["by"]].close()
        self._open(step["by"])

    def _twin(self, step: Step) -> str | None:
        """A party that cheats goes on with a copy of its node beside it: two logs from here on, with one key."""
        name = step["by"]
        if name in self.twins:
            return "refused: it has one"
        self.nodes[name].close()
        shutil.copytree(self.folder / name, self.folder / f"{name}.twin")
        self._open(name)
        self.twins[name] = open_node(self.folder / f"{name}.twin")
        self._tame(name, self.twins[name])
        self.cheaters.add(name)
        return None

    def _advance(self, step: Step) -> None:
        self.now = Instant(self.now + step.get("hours", 0) * HOUR + step.get("seconds", 0) * SECOND)

    def _skew(self, step: Step) -> None:
        self.skew[step["by"]] = step["seconds"] * SECOND

    def _policy(self, step: Step) -> None:
        self._set_policy(step["by"], step["policy"])

    def _set_policy(self, name: str, policy: str) -> None:
        path = self.folder / name / "recognition.toml"
        path.write_text(POLICIES[policy])
        # A node reads its policy anew when the file's time has changed, and files of one instant have one time.
        os.utime(path, ns=(0, len(self.history) + 1))
        self.policies[name] = policy

    def _divide(self, step: Step) -> None:
        """Parties of different groups do not reach each other until the network is divided anew."""
        groups = step["groups"]
        self.apart = frozenset(
            frozenset({left, right})
            for place, group in enumerate(groups)
            for other in groups[place + 1 :]
            for left in group
            for right in other
        )


def carry_out(act: Callable[[Actor], Any]) -> Any:  # noqa: ANN401 (what the act gives)
    """What becomes of an act by the liaison and, where it takes two, the legal officer."""
    done = act(Actor(person=PEOPLE[Role.LIAISON]))
    if isinstance(done, Waiting):
        done = act(Actor(person=PEOPLE[Role.LEGAL]))
    assert not isinstance(done, Waiting), done
    return done
