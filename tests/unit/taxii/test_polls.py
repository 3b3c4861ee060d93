# SPDX-License-Identifier: Apache-2.0
"""Polls that come together: whoever is over what one transaction takes is answered by the next, and nobody is lost."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from comity.errors import NotFoundError
from comity.ids import Instant, PartyId
from comity.node import poll
from comity.node.gate import list_open_collections
from comity.node.journal import list_entries
from comity.node.node import Node
from comity.node.poll import Page, PollRequest, Selection
from comity.release.disclosure import Answer, EntryType
from comity.taxii import polls
from comity.taxii.polls import Polls
from comity.taxii.sends import Sends
from tests.worlds import World, make_object

BOREALIA = PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia")
    made.sign_all(made.terms())
    made.add("aurelia", *(make_object(f"n{number}") for number in range(6)))
    yield made
    made.close()


def ask_for(collection: str, limit: int) -> PollRequest:
    selection = Selection(after=Instant(0))
    return PollRequest(
        recipient=BOREALIA, collection=collection, answer=Answer.OBJECTS, selection=selection, limit=limit
    )


@pytest.mark.parametrize(("most_seconds", "transactions"), [(-1.0, 6), (60.0, 1)])
def test_what_a_transaction_has_no_time_for_is_answered_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, most_seconds: float, transactions: int
) -> None:
    node, sends, sizes = world.nodes["aurelia"], Sends(), list[int]()
    real = poll.poll_together

    def together(given: Node, requests: Sequence[PollRequest], **rest: object) -> list[Page | None]:
        pages = real(given, requests, **rest)  # type: ignore[arg-type] # as it was called
        sizes.append(len(pages))
        return pages

    monkeypatch.setattr(polls, "_MOST_SECONDS", most_seconds)
    monkeypatch.setattr(polls, "poll_together", together)
    (collection,) = list_open_collections(node, BOREALIA)
    before = len(list_entries(node, start=0, limit=100))

    async def run() -> list[int | None]:
        waiting = Polls(node, sends)
        asked = [ask_for(collection.id if limit != 3 else "not-there", limit) for limit in range(1, 7)]
        given = await asyncio.gather(*(waiting.ask(each, lambda: None) for each in asked), return_exceptions=True)
        counts = list[int | None]()
        for one in given:
            if isinstance(one, NotFoundError):
                counts.append(None)
                continue
            assert not isinstance(one, BaseException)
            counts.append(len(one[0].items))
            sends.release(one[1])
        return counts

    assert asyncio.run(run()) == [1, 2, None, 4, 5, 6]
    assert sizes == [6] if transactions == 1 else sizes == [1] * 6
    entries = list_entries(node, start=0, limit=100)[before:]
    assert [entry.leaf.count for entry in entries if entry.leaf.type is EntryType.DISCLOSURE] == [1, 2, 4, 5, 6]
    assert not sends._under_way
