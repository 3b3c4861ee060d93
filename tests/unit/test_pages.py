# SPDX-License-Identifier: Apache-2.0
"""Where the next page is asked for while one is still taken in; receipts of what never came are kept as they come."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from comity import pages
from comity.errors import ComityError, NotFoundError, QuotaReached
from comity.ids import PartyId, parse_instant
from comity.node import delivery
from comity.node.follow import plan_pull
from comity.node.node import Node
from comity.node.parties import add_party, export_manifest
from comity.node.receipts import give_consistency, give_receipt
from comity.node.receive import read_page
from comity.node.steps import finish
from comity.pages import Given, Pulled, find_next, is_not_the_last, take_page
from comity.release.delivery import Shown
from tests.worlds import World, make_object

AT = "2026-01-01T00:00:00.000001Z"
MORE = b'{"more":true,"next":"x","objects":[]}'


def given(*, status: int = 200, body: bytes = MORE, last: str | None = AT) -> Given:
    headers = {} if last is None else {"x-taxii-date-added-last": last}
    return Given(httpx.Response(status, content=body, headers=headers))


@pytest.mark.parametrize("reached", [None, "2025-12-31T00:00:00Z", "2026-01-01T00:00:00.000000Z"])
def test_a_page_with_more_behind_it_leads_to_the_next(reached: str | None) -> None:
    assert find_next(given(), None if reached is None else parse_instant(reached)) == parse_instant(AT)


@pytest.mark.parametrize(
    "answer",
    [
        given(status=404),
        given(body=b'{"objects":[]}'),
        given(body=b"{}"),
        given(last=None),
        given(last="yesterday"),
        given(last="2025-12-31T23:59:59Z"),
        given(last="2026-01-01T00:00:00Z"),
    ],
)
def test_what_is_no_such_page_leads_nowhere(answer: Given) -> None:
    assert find_next(answer, parse_instant("2026-01-01T00:00:00Z")) is None


GIVER, RECEIVER = PartyId("aurelia"), PartyId("borealia")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found(GIVER, RECEIVER)
    made.add(GIVER, make_object("a"))
    made.sign_all(made.terms())
    add_party(made.nodes[RECEIVER], export_manifest(made.nodes[GIVER]), digest=None, url="http://127.0.0.1:1")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("much", "leaves"),
    [
        ({}, True),
        ({"objects_per_day": 1_000}, False),
        ({"objects_per_day": 1_001}, True),
        ({"bytes_per_day": len(MORE)}, False),
        ({"bytes_per_day": len(MORE) + 1}, True),
    ],
)
def test_what_may_be_the_last_page_of_a_day_leads_to_none_before_it_is_taken_in(
    world: World, much: dict[str, Any], leaves: bool
) -> None:
    node = world.nodes[RECEIVER]
    node.settings = replace(node.settings, follow=replace(node.settings.follow, **much))
    assert is_not_the_last(node, GIVER, given()) is leaves


class Giver:
    """What is disclosed and taken in, with the batches in which receipts of what never came are kept."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.batches, self.absent = world, list[list[int]](), set[int]()
        keep = delivery.keep_missing

        def note(node: Node, shown: Sequence[Shown]) -> None:
            keep(node, shown)
            self.batches.append([each.verified.sequence for each in shown])

        monkeypatch.setattr(pages, "keep_missing", note)
        monkeypatch.setattr(pages, "get", self.get)

    async def get(self, *asked: Any, **_: object) -> httpx.Response:  # noqa: ANN401
        """Receipts and proofs."""
        node, parts = self.world.nodes[GIVER], asked[-1].removeprefix("http://127.0.0.1:1/comity/").split("/")
        try:
            if parts[0] == "receipts":
                assert int(parts[1]) not in self.absent
                return httpx.Response(200, content=give_receipt(node, RECEIVER, int(parts[1])))
            origin = f"comity/{GIVER}/{parts[1]}"
            return httpx.Response(200, content=give_consistency(node, RECEIVER, origin, int(parts[2]), int(parts[3])))
        except (AssertionError, NotFoundError):
            return httpx.Response(404)

    def disclose(self, times: int) -> bytes:
        """The page, after it was given so many times."""
        *_, items = [self.world.poll(RECEIVER).items for _ in range(times)]
        return b'{"objects":[' + b",".join(item.data for item in items) + b"]}"

    def take(self, number: int, page: bytes, read: bytes | None = None) -> Pulled:
        """What becomes of the page that is said to be that disclosure; where `read` is given, it was read as that."""
        node = self.world.nodes[RECEIVER]
        (target,) = plan_pull(node, GIVER)
        headers = {
            "content-type": "application/taxii+json;version=2.1",
            "x-taxii-date-added-last": f"2030-01-01T00:00:{number:02}Z",
            "comity-receipt": str(number),
        }
        result = Pulled(target=target)
        answer = httpx.Response(200, headers=headers, content=page)

        async def run() -> None:
            async with httpx.AsyncClient() as client:
                try:
                    known = None if read is None else finish(read_page(read))
                    await take_page(client, node, Given(answer, page=known), result, reached=None)
                except ComityError as error:
                    result.failed = error

        asyncio.run(run())
        return result

    def kept(self) -> list[tuple[int, int]]:
        """Number and whether it arrived, of each receipt."""
        with self.world.nodes[RECEIVER].store.read() as transaction:
            return list(transaction.rows("SELECT sequence, arrived FROM receipt ORDER BY sequence"))


@pytest.fixture
def giver(world: World, monkeypatch: pytest.MonkeyPatch) -> Giver:
    made = Giver(world, monkeypatch)
    assert made.take(1, made.disclose(1)).refused is None
    made.batches.clear()
    return made


def test_receipts_of_what_never_came_are_kept_in_small_batches(giver: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_BATCH", 3)
    result = giver.take(9, giver.disclose(8))
    assert (result.refused, result.failed, result.missing) == (None, None, 7)
    assert giver.batches == [[2, 3, 4], [5, 6, 7], [8]]
    assert giver.kept() == [(1, 1), *((number, 0) for number in range(2, 9)), (9, 1)]


def test_a_batch_is_bounded_by_bytes_too(giver: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    page = giver.disclose(5)
    size = len(give_receipt(giver.world.nodes[GIVER], RECEIVER, 2))
    monkeypatch.setattr(pages, "_BATCH_BYTES", size + 1)
    assert giver.take(6, page).missing == 4
    assert giver.batches == [[2, 3], [4, 5]]


def test_those_before_one_that_is_not_given_are_kept(giver: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_BATCH", 3)
    page = giver.disclose(8)
    giver.absent.add(6)
    result = giver.take(9, page)
    assert result.refused is not None
    assert "gives no receipt for its disclosure 6" in result.refused.detail
    assert (giver.batches, result.missing) == ([[2, 3, 4], [5]], 4)
    giver.absent.clear()
    assert giver.take(9, page).missing == 3
    assert giver.kept() == [(1, 1), *((number, 0) for number in range(2, 9)), (9, 1)]


def test_no_more_are_asked_for_with_one_page_than_the_bound(giver: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_BATCH", 3)
    monkeypatch.setattr(pages, "_MOST_MISSING", 4)
    result = giver.take(9, giver.disclose(8))
    assert result.refused is not None
    assert "3 more disclosures" in result.refused.detail
    assert giver.batches == [[2, 3, 4], [5]]


def test_who_has_used_up_its_day_is_asked_for_no_more_of_them(giver: Giver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_BATCH", 3)
    node, page = giver.world.nodes[RECEIVER], giver.disclose(8)
    with node.store.read() as transaction:
        ((used,),) = transaction.rows("SELECT bytes FROM pull_use")
    node.settings = replace(node.settings, follow=replace(node.settings.follow, bytes_per_day=used + 1))
    result = giver.take(9, page)
    assert isinstance(result.failed, QuotaReached)
    assert giver.batches == [[2, 3, 4]]
    giver.world.tick(86_400 * 1_000_000)
    node.settings = replace(node.settings, follow=replace(node.settings.follow, bytes_per_day=1 << 30))
    assert giver.take(9, page).missing == 4


def test_a_page_that_was_read_beside_is_shown_by_its_receipt_as_any(giver: Giver) -> None:
    page = giver.disclose(1)
    other = page.replace(b'"name": "', b'"name": "Another ')
    assert page != other
    result = giver.take(2, other, read=other)
    assert result.refused is not None
    assert result.refused.facts["part"] == "listing"
    assert giver.kept() == [(1, 1)]
    assert giver.take(2, page, read=page).refused is None
    assert giver.kept() == [(1, 1), (2, 1)]
