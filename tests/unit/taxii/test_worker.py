# SPDX-License-Identifier: Apache-2.0
"""What a worker does for the first process, on a real node and server."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comity.ids import AgreementId
from comity.node.node import Node
from comity.stix.labels import _remember_bytes, _remember_label
from comity.taxii.listen import TaxiiServer
from comity.taxii.worker import _Working
from tests.worlds import World, make_object


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("held"))
    with closing(world):
        yield world


def make_worker(node: Node) -> _Working:
    worker = _Working.__new__(_Working)
    worker._server = TaxiiServer(node, node.settings.listen)
    worker._stopped = asyncio.Event()
    return worker


def test_what_is_to_be_forgotten_is_in_no_memory(world: World) -> None:
    node = world.nodes["aurelia"]
    world.poll("borealia")
    assert node.pages._kept
    assert _remember_bytes.cache_info().currsize

    async def run() -> None:
        assert await make_worker(node).handle("forget", {}) == {}
        assert _remember_bytes.cache_info().currsize == _remember_label.cache_info().currsize == 0

    asyncio.run(run())
    assert not node.pages._kept


def test_a_drain_is_answered_when_nothing_is_under_way(world: World) -> None:
    agreement = AgreementId("a" * 64)

    async def run() -> None:
        worker = make_worker(world.nodes["aurelia"])
        assert worker._server is not None
        sending = worker._server.sends.register(agreement, lambda: None)
        draining = asyncio.create_task(worker.handle("drain", {"agreement": agreement}))
        await asyncio.sleep(0.05)
        assert not draining.done()
        worker._server.sends.release(sending)
        assert await draining == {}

    asyncio.run(run())


@pytest.mark.parametrize("word", ["", "Drain", "exit"])
def test_what_is_not_understood_is_no_answer(world: World, word: str) -> None:
    async def run() -> None:
        worker = make_worker(world.nodes["aurelia"])
        with pytest.raises(RuntimeError):
            await worker.handle(word, {})

    asyncio.run(run())
