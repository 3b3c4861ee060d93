# SPDX-License-Identifier: Apache-2.0
"""Pulls between the nodes of a history, by all that a node runs over a real network, from honest givers and others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from unittest.mock import patch

import httpx

from comity import pages, peers
from comity.calls import Room
from comity.canonical import BUNDLE_LIMITS, split_members
from comity.errors import StoreFull
from comity.ids import Digest, ObjectId, PartyId
from comity.node import receive
from comity.node.delivery import list_refused_pages
from comity.node.follow import Target, plan_pull
from comity.node.ingest import Intake
from comity.node.node import Node
from comity.node.steps import Steps
from comity.release.delivery import Shown
from comity.store import feeds, objects
from tests.simulation.cheats import CHEATS
from tests.simulation.nodes import Nodes, Step
from tests.simulation.pulls import Pull, Version
from tests.simulation.wire import Wire

__all__ = ["Pulling"]


@dataclass
class Pulling(Nodes):
    """The steps in which a node asks another for what it has."""

    def _pull(self, step: Step) -> str | None:
        """Every channel that the record of `by` knows, page by page; `lose` loses the answers on their way.

        `anew` asks for everything from the beginning, as a node does that was restored.
        With `cheat` the giver answers as that cheat says; what was cheated with must not be taken in.
        """
        giver, name = step["from"], step["by"]
        if self.is_apart(giver, name):
            return "refused: apart"
        if step.get("cheat"):
            self.cheaters.add(giver)
        node, twin = self.nodes[name], bool(step.get("twin")) and giver in self.twins
        wire = Wire(
            self,
            giver,
            name,
            limit=step.get("limit", 2),
            lose=bool(step.get("lose")),
            cheat=CHEATS[step["cheat"]] if step.get("cheat") else None,
            twin=twin,
        )
        targets = plan_pull(node, PartyId(giver))
        if step.get("anew"):
            targets = [replace(target, added_after=None) for target in targets]
        pulled = self.ask_giver(node, targets, wire)
        for item in pulled:
            if item.refused is not None:
                kept = {page.part for page in list_refused_pages(node) if page.giver == giver}
                part = item.refused.facts["part"]
                assert part in kept or step.get("fault"), (
                    f"SHOWN: {name} has kept nothing of the {part} that it refused of {giver}"
                )
                return f"refused: {item.refused.detail}"
        failed = [item.failed.detail for item in pulled if item.failed is not None]
        return f"failed: {failed[0]}" if failed and not wire.lose else None

    def ask_giver(self, node: Node, targets: list[Target], wire: Wire) -> list[peers.Pulled]:
        """What the pull brought; what is taken in is noted, and is what the giver's node gave under that number."""
        real = receive.receive_in_steps

        def take(node: Node, page: receive.ReadPage, received: receive.Received, shown: Shown | None) -> Steps[Intake]:
            assert shown is not None
            listed = {(item.id, item.version): item.digest or Digest("") for item in shown.verified.objects}
            versions = tuple(listed)
            echoed = self._find_echoed(wire.recipient, versions, received.giver)
            try:
                intake = yield from real(node, page, received, shown)
            except StoreFull:
                # It may have been done all the same: then what is there says so.
                came = self._find_came(wire.recipient, received)
                self._note_pull(wire, targets, received, listed, besides=echoed | (set(versions) - came))
                raise
            self._check_taken(wire, page.data, shown.verified.sequence)
            refused = {versions[bad.index] for bad in intake.bad}
            self._note_pull(wire, targets, received, listed, besides=echoed | refused)
            return intake

        async def run() -> list[peers.Pulled]:
            root = f"{targets[0].url}/taxii2/{wire.recipient}/"
            async with httpx.AsyncClient(transport=wire) as client:
                return await peers.pull_targets(client, node, targets, root=root, room=Room(1))

        with patch.object(pages, "receive_in_steps", take):
            return self.runner.run(run())

    def _check_taken(self, wire: Wire, data: bytes, number: int) -> None:
        """What was taken in is what the giver's node gave, by a receipt and a proof that it gave."""
        given = self.pages.get((wire.giver, wire.recipient, number), [])
        what = f"SHOWN: {wire.recipient} took in a page of {wire.giver}, number {number},"
        assert _read_objects(data) in map(_read_objects, given), f"{what} that its node did not give"
        assert number not in wire.receipts, f"{what} with another receipt than its node gave"
        assert not wire.proof, f"{what} with another proof than its node gave"

    def _note_pull(
        self,
        wire: Wire,
        targets: list[Target],
        received: receive.Received,
        listed: Mapping[Version, Digest],
        *,
        besides: set[Version],
    ) -> None:
        name = wire.recipient
        self.pulls.append(
            Pull(
                giver=wire.giver,
                recipient=name,
                agreement=next(item.agreement for item in targets if item.collection == received.collection),
                terms=received.terms,
                kept=tuple(version for version in listed if version not in besides and self.own[version[0]] != name),
                onward=frozenset(received.channel.releasable_to),
                consent=received.channel.onward == "originator_consent",
                ceiling=received.channel.scope.tlp_ceiling,
                digests=listed,
            )
        )

    def _find_came(self, name: str, received: receive.Received) -> set[Version]:
        """What came to a node from a giver under terms, by its own record."""
        with self.nodes[name].store.read() as transaction:
            rows = transaction.rows(
                "SELECT o.id, o.version FROM arrival a JOIN object o ON o.pk = a.object WHERE giver = ? AND terms = ?",
                (received.giver, received.terms),
            )
        return {(ObjectId(row[0]), str(row[1])) for row in rows}

    def _find_echoed(self, name: str, versions: tuple[Version, ...], giver: PartyId) -> set[Version]:
        """What of a page its recipient has itself released to who gives it."""
        with self.nodes[name].store.read() as transaction:
            held = objects.read_versions_of(transaction, {item for item, _ in versions})
            return {(item.id, item.version) for item in held if feeds.was_released(transaction, item.pk, giver)}

    def _mislabel(self, step: Step) -> str | None:
        """A party that cheats has its node believe that something marked red is as free as something else it holds."""
        name = step["by"]
        wanted = [ObjectId(item[0]) for item, made in self.items.items() if made.get("tlp") == "red"]
        with self.nodes[name].store.write() as transaction:
            free = transaction.row(
                "SELECT o.own_label, o.label FROM object o JOIN body b ON b.object = o.pk WHERE o.originator = ?"
                " AND o.id NOT IN (SELECT value FROM json_each(?)) ORDER BY o.pk LIMIT 1",
                (name, json.dumps(wanted)),
            )
            held = transaction.rows(
                "SELECT pk FROM object WHERE originator = ? AND id IN (SELECT value FROM json_each(?))",
                (name, json.dumps(wanted)),
            )
            if free is None or not held:
                return "refused: nothing to mislabel"
            for (pk,) in held:
                transaction.run("UPDATE object SET own_label = ?, label = ? WHERE pk = ?", (*free, pk))
        self.cheaters.add(name)
        self.mislabelled.add(name)
        return None


def _read_objects(data: bytes) -> list[bytes]:
    """The objects of a page, as bytes."""
    return [member.data for member in split_members(data, array="objects", limits=BUNDLE_LIMITS)[1]]
