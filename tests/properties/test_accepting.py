# SPDX-License-Identifier: Apache-2.0
"""Envelopes with one mutation in some of their objects: the good are kept, the bad are named, nothing is half done."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.ids import PartyId
from comity.node.accept import Status, accept_objects, list_write_collections
from comity.node.node import Node
from tests.worlds import World, make_object

BOREALIA = PartyId("borealia")

MUTATIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "/id": lambda item: item.update(id="no id"),
    "/type": lambda item: item.pop("type"),
    "/modified": lambda item: item.update(modified="2024-01-01T00:00:00.000Z"),
    "/created": lambda item: item.update(created="2025-02-30T00:00:00.000Z"),
    "/spec_version": lambda item: item.update(spec_version="2.0"),
    "/object_marking_refs/0": lambda item: item.update(object_marking_refs=[item["id"]]),
    "/granular_markings/0/selectors/0": lambda item: item.update(
        granular_markings=[{"marking_ref": item["object_marking_refs"][0], "selectors": ["absent"]}]
    ),
    "/confidence": lambda item: item.update(confidence=101),
    "/labels": lambda item: item.update(labels=[]),
    "/revoked": lambda item: item.update(revoked="yes"),
    "/pattern": lambda item: item.pop("pattern"),
    "/valid_until": lambda item: item.update(valid_until=item["valid_from"]),
    "/x_ref": lambda item: item.update(x_ref="nobody"),
    "/external_references/0": lambda item: item.update(external_references=[{}]),
    "": lambda item: item.update({"X": 1}),
}

envelopes = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([None, None, *sorted(MUTATIONS)])),
    min_size=1,
    max_size=12,
    unique_by=lambda item: item[0],
)


def make_objects(envelope: list[tuple[int, str | None]]) -> list[dict[str, Any]]:
    """The objects of one envelope, each with the mutation that is named by the place it is to be found at."""
    objects: list[dict[str, Any]] = []
    for number, where in envelope:
        objects.append(make_object(str(number), kind="indicator"))
        if where is not None:
            MUTATIONS[where](objects[-1])
    return objects


def check_status(status: Status, objects: list[dict[str, Any]], envelope: list[tuple[int, str | None]]) -> set[str]:
    """The ids of the good objects, once the status names them and each of the others with its place."""
    good = [str(item["id"]) for item, (_, where) in zip(objects, envelope, strict=True) if where is None]
    assert [item.id for item in status.successes] == good
    wrong = [(place, where) for place, (_, where) in enumerate(envelope) if where is not None]
    places = [item.message.partition(":")[0] for item in status.failures]
    assert places == [f"/objects/{place}{where}" for place, where in wrong]
    named = [objects[place]["id"] if where != "/id" else f"objects/{place}" for place, where in wrong]
    assert [item.id for item in status.failures] == named
    return set(good)


def check_store(node: Node, kept: set[str]) -> None:
    with node.store.read() as transaction:
        assert {name for (name,) in transaction.rows("SELECT id FROM object")} == kept
        for table in ("body", "arrival"):
            assert transaction.row(f"SELECT COUNT(*) FROM {table}") == (len(kept),)


@settings(max_examples=60, deadline=None)
@given(st.lists(envelopes, min_size=1, max_size=3))
def test_the_good_are_kept_and_the_bad_named(sent: list[list[tuple[int, str | None]]]) -> None:
    with TemporaryDirectory() as folder, closing(World(Path(folder))) as world:
        world.found("aurelia", "borealia")
        world.sign_all(world.terms(giver="borealia", receivers=("aurelia",)), proposer="borealia")
        node = world.nodes["aurelia"]
        (target,) = list_write_collections(node, BOREALIA)
        kept = set[str]()
        for envelope in sent:
            objects = make_objects(envelope)
            data = json.dumps({"objects": objects}).encode()
            status = accept_objects(node, data, giver=BOREALIA, collection=target.id)
            assert isinstance(status, Status)
            kept |= check_status(status, objects, envelope)
            check_store(node, kept)
