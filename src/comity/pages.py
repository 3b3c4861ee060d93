# SPDX-License-Identifier: Apache-2.0
"""Shell: the pages of partners' collections: asked for, shown by their receipts, and taken in.

    Question(after) ──▶ Given(page, receipt) ──read──▶ shown by its receipt ──▶ one act: objects, receipt, place

A page is read before its receipt is: its receipt lists it then by the very bytes, or is looked into object by object.
Nothing of a page is kept before all that its giver has to show for it was verified. While one page is taken in the next
is on its way, with its receipt: it is disclosed to this party by then. Where it is not taken in after all, its receipt
is asked for as that of any page that never came, and the page is asked for again.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from comity.aside import Aside
from comity.calls import MAX_PAGE_BYTES, Hold, Room, fetch, run_steps
from comity.errors import ComityError, MalformedError, MalformedRequest, PeerUnreachable, ReceiptRefused
from comity.ids import Instant, ObjectId, PartyId, format_instant, parse_instant
from comity.node.allowance import check_allowance, outlasts
from comity.node.delivery import expect_receipt, keep_missing, keep_refused, say_uncounted
from comity.node.follow import Target, make_token
from comity.node.node import Node
from comity.node.receive import ReadPage, Received, read_page, receive_in_steps
from comity.release.contents import Listing
from comity.release.delivery import Expected, Shown, expect_next, find_sizes, name_proof, verify_next
from comity.release.receipt import MAX_RECEIPT_BYTES, parse_receipt
from comity.stix.objects import BadObject

__all__ = [
    "RECEIPT",
    "Given",
    "Pulled",
    "Question",
    "find_next",
    "get",
    "is_not_the_last",
    "make_headers",
    "name_page",
    "read_number",
    "take_page",
]

_MEDIA_TYPE = "application/taxii+json;version=2.1"
_EMPTY = b"{}"
"""An envelope with nothing in it (TAXII 2.1 §2, §3.7)."""
_MORE = b'{"more":true'

RECEIPT = "comity-receipt"
"""The header by which the number of a disclosure is asked for, and told (`taxii.receipts`)."""

_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_MAX_PROOF_BYTES = 4_096
_MOST_MISSING = 1_000
"""Disclosures that never came, whose receipts are asked for with one page; the next pull goes on from there."""

_BATCH = 32
_BATCH_BYTES = 8 * 1024 * 1024
"""Of their receipts, kept in one act: with the last one over it, at most twice as much."""

_WITNESS_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds: witnesses may still be on their way to cosign what was disclosed just now."""

_PAGE_OBJECTS = 1_000


@dataclass(slots=True, kw_only=True)
class Pulled:
    """What one pull brought from one channel; `withheld` when the partner's node showed no such collection.

    `missing` counts disclosures that never came, whose receipts were asked for; `refused` is why a page was not taken
    in, and what is kept of it stands apart from everything else. `in_step` says that nothing was left to be taken in;
    `waits` that the partner's node knows how to wait; `failed` is what kept the channel from being asked to the end.
    """

    target: Target
    pages: int = 0
    added: list[ObjectId] = field(default_factory=list)
    known: int = 0
    bad: list[BadObject] = field(default_factory=list)
    missing: int = 0
    withheld: bool = False
    refused: ReceiptRefused | None = None
    in_step: bool = False
    waits: bool = False
    failed: ComityError | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An answer to a question for a page; with its receipt, where that was asked for with it and came.

    `page` is what was read of it meanwhile, if anything.
    """

    answer: httpx.Response
    receipt: httpx.Response | None = None
    page: ReadPage | None = None


class Question:
    """The page behind `after`, asked for: it comes while others are taken in, with its receipt; and then `close`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        node: Node,
        target: Target,
        *,
        root: str,
        room: Room,
        after: Instant | None,
        aside: Aside,
    ) -> None:
        self._hold = room.begin()
        page = name_page(target, root, after)
        self._task = asyncio.create_task(_ask(client, node, target, page, hold=self._hold, aside=aside))

    async def hear(self) -> Given:
        """What was given.

        Raises:
            PeerUnreachable: no answer.
        """
        return await self._task

    async def close(self) -> None:
        """Give up what it holds of the room, and take it back if nothing has come."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._hold.release()


async def _ask(
    client: httpx.AsyncClient,
    node: Node,
    target: Target,
    page: tuple[str, dict[str, str]],
    *,
    hold: Hold,
    aside: Aside,
) -> Given:
    url, parameters = page
    answer = await get(client, node, target, url, parameters=parameters, headers={RECEIPT: "?1"}, hold=hold)
    if answer.status_code != httpx.codes.OK or (number := read_number(answer)) is None:
        return Given(answer)
    reading = asyncio.create_task(aside.read(answer.content, most=_PAGE_OBJECTS))
    try:
        url, receipt = f"{target.url}{_name_receipt(number)}", None
        with suppress(PeerUnreachable):  # it is asked for again when the page is taken in
            receipt = await get(client, node, target, url, most=MAX_RECEIPT_BYTES)
        return Given(answer, receipt, await reading)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def name_page(target: Target, root: str, reached: Instant | None) -> tuple[str, dict[str, str]]:
    """The URL and the parameters of the page behind `reached`."""
    parameters = {"limit": str(_PAGE_OBJECTS), "match[version]": "all"}
    if reached is not None:
        parameters["added_after"] = format_instant(reached)
    return f"{root}collections/{target.collection}/objects/", parameters


def find_next(given: Given, reached: Instant | None) -> Instant | None:
    """From where the next page can be asked for while this one, asked for from `reached`, is still taken in.

    None where there may be none, or this one is not as it must be: `take_page` says why.
    """
    answer = given.answer
    if answer.status_code != httpx.codes.OK or not answer.content.startswith(_MORE):
        return None
    try:
        last = _read_last(answer, "")
    except PeerUnreachable:
        return None
    return last if last is not None and (reached is None or last > reached) else None


def is_not_the_last(node: Node, giver: PartyId, given: Given) -> bool:
    """Whether the giver may bring in more today, whatever is new in this page: else the next is disclosed in vain."""
    size = sum(len(each.content) for each in (given.answer, given.receipt) if each is not None)
    return outlasts(node, giver, size=size, objects=_PAGE_OBJECTS)


async def take_page(
    client: httpx.AsyncClient, node: Node, given: Given, result: Pulled, *, reached: Instant | None
) -> Instant | None:
    """How far the page that was asked for from `reached` brings this node; None where it is the last of its channel.

    Raises:
        PeerUnreachable: it is no page, or leads back.
    """
    target, answer = result.target, given.answer
    url = f"the collection {target.collection} of {target.giver}"
    if answer.status_code == httpx.codes.NOT_FOUND:
        result.withheld = True
        return None
    if answer.status_code != httpx.codes.OK:
        raise PeerUnreachable(f"{url} answered {answer.status_code}; try again later")
    if not _is_taxii(answer.headers.get("content-type", "")):
        raise PeerUnreachable(f"{url} answered with another content type than {_MEDIA_TYPE}")
    last = _read_last(answer, url)
    if last is None or (last == reached and answer.content == _EMPTY):
        # An empty page gives back the position that it was asked from.
        result.in_step = True
        return None
    if reached is not None and last <= reached:
        raise PeerUnreachable(f"{url} goes back in time in X-TAXII-Date-Added-Last; ask {target.giver} to look into it")
    if not await _take(client, node, given, result, added_after=last):
        return None
    # As `taxii.wire` writes it. Who writes it otherwise says of itself that it has nothing more, and is asked again.
    result.in_step = not answer.content.startswith(_MORE)
    return last


def _is_taxii(content_type: str) -> bool:
    kind, _, parameters = content_type.lower().replace(" ", "").partition(";")
    return kind == "application/taxii+json" and parameters in {"", "version=2.1"}


@dataclass(slots=True)
class _Taking:
    """One page on its way in: from whom, the receipt that came with it and what lists it, if any is there.

    `receipt` and `proof` are what the giver sent last for it.
    """

    client: httpx.AsyncClient
    node: Node
    target: Target
    given: httpx.Response | None
    listing: Listing | None = None
    receipt: bytes = b""
    proof: bytes = b""

    async def get(self, path: str, *, most: int) -> httpx.Response:
        """What the giver answers there."""
        return await get(self.client, self.node, self.target, f"{self.target.url}{path}", most=most)


async def _take(client: httpx.AsyncClient, node: Node, given: Given, result: Pulled, *, added_after: Instant) -> bool:
    """Whether the page was taken in, with the receipt for it; if not, nothing of it was, and its bytes are evidence."""
    target, answer = result.target, given.answer
    received = Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=added_after,
    )
    taking = _Taking(client, node, target, given.receipt)
    try:
        page = given.page
        if page is None:
            page = await run_steps(read_page(answer.content, most=_PAGE_OBJECTS))
        taking.listing = page.listing
        shown = await _show(taking, answer, result)
        intake = await run_steps(receive_in_steps(node, page, received, shown))
    except ReceiptRefused as refused:
        result.refused = refused
        keep_refused(
            node,
            refused,
            giver=target.giver,
            terms=target.terms,
            channel=target.channel.id,
            # Against whom witnesses are slow the page says nothing: its receipt has the head that they did not cosign.
            page=b"" if refused.facts.get("part") == "witnesses" else answer.content,
            receipt=taking.receipt,
            proof=taking.proof,
        )
        return False
    result.pages += 1
    result.added.extend(intake.added)
    result.known += intake.known
    result.bad.extend(intake.bad)
    return True


async def _show(taking: _Taking, answer: httpx.Response, result: Pulled) -> Shown:
    """What the receipt for the page shows, after those for all that was disclosed to this party before it.

    Raises:
        ReceiptRefused: one of them does not match what was seen before; those before it were kept.
    """
    node, giver, number = taking.node, taking.target.giver, _read_number(answer)
    expected = expect_receipt(node, giver, number)
    if number < expected.sequence:
        said = f"sequence: the page is said to be disclosure {number}, and {expected.sequence} comes next"
        raise ReceiptRefused(said, part="sequence")
    last = min(number, expected.sequence + _MOST_MISSING)
    while expected.sequence < last:
        expected = await _take_missing(taking, expected, result, last)
    if expected.sequence < number:
        raise ReceiptRefused(
            f"sequence: {number - expected.sequence} more disclosures of {giver} to this party never came here;"
            " pull again, and their receipts are asked for",
            part="sequence",
        )
    return await _ask_receipt(taking, expected, taking.given)


async def _take_missing(taking: _Taking, expected: Expected, result: Pulled, last: int) -> Expected:
    """What comes behind the next few receipts, all before `last`: no more of them are in memory before they are kept.

    Raises:
        ReceiptRefused: one of them does not match; those before it were kept.
        ConflictError: other receipts of this giver were kept meanwhile, and none of these.
        QuotaReached: it has brought in today as much as it may; the next are asked for with the next pull.
    """
    check_allowance(taking.node, taking.target.giver)
    missing, size = list[Shown](), 0
    try:
        while expected.sequence < last and len(missing) < _BATCH and size < _BATCH_BYTES:
            missing.append(await _ask_receipt(taking, expected, None))
            size += len(missing[-1].receipt.data)
            expected = expect_next(expected, missing[-1])
    finally:
        keep_missing(taking.node, missing)
        result.missing += len(missing)
    return expected


async def _ask_receipt(taking: _Taking, expected: Expected, given: httpx.Response | None) -> Shown:
    """What the next receipt shows; one that witnesses have not cosigned yet is asked for again for some seconds.

    `given` is the answer to the question for it, where that was asked before.

    Raises:
        ReceiptRefused: it is not given, or does not match.
    """
    waits = [*_WITNESS_WAITS] if expected.policy is not None else []
    while True:
        try:
            return await _ask_receipt_once(taking, expected, given)
        except ReceiptRefused as refused:
            if refused.facts.get("part") != "witnesses":
                raise
            if not waits:
                raise _say_awaited(taking.node, refused, taking.target.giver) from refused
        await asyncio.sleep(waits.pop(0))
        given = None


def _say_awaited(node: Node, refused: ReceiptRefused, giver: PartyId) -> ReceiptRefused:
    """The refusal, with what to wait for: the next pull asks for the same receipt, and for a new page."""
    return ReceiptRefused(
        f"{refused.detail}. Nothing of the page was stored, and nothing is lost: {giver} asks its witnesses again every"
        f" few seconds while it is served, so pull again later. If it lasts, ask {giver} for its `witness list`."
        f"{say_uncounted(node, giver)}",
        part="witnesses",
    )


async def _ask_receipt_once(taking: _Taking, expected: Expected, given: httpx.Response | None) -> Shown:
    taking.receipt = taking.proof = b""
    number, giver = expected.sequence, taking.target.giver
    answer = await taking.get(_name_receipt(number), most=MAX_RECEIPT_BYTES) if given is None else given
    if answer.status_code != httpx.codes.OK:
        said = (
            f"receipt: {giver} gives no receipt for its disclosure {number} ({answer.status_code}). Ask it why;"
            f" if it never can, two people let it stand without: `log waive {giver} --through {number}`"
        )
        raise ReceiptRefused(said, part="receipt")
    taking.receipt = answer.content
    try:
        receipt = parse_receipt(answer.content, known=taking.listing)
    except MalformedError as error:
        raise ReceiptRefused(f"receipt: {error.detail}", part="receipt") from error
    sizes = find_sizes(receipt, expected.seen)
    if sizes is not None:
        answer = await taking.get(f"/comity/consistency/{name_proof(*sizes)}", most=_MAX_PROOF_BYTES)
        taking.proof = answer.content if answer.status_code == httpx.codes.OK else b""
    return verify_next(receipt, taking.proof, expected, now=taking.node.clock())


def _name_receipt(number: int) -> str:
    return f"/comity/receipts/{number}"


def _read_number(answer: httpx.Response) -> int:
    """The number of the disclosure that the page is.

    Raises:
        ReceiptRefused: it is not told.
    """
    number = read_number(answer)
    if number is None:
        raise ReceiptRefused("receipt: the page came without the number of its disclosure", part="receipt")
    return number


def read_number(answer: httpx.Response) -> int | None:
    """The number of the disclosure that the page is said to be; None where none is told."""
    text = answer.headers.get(RECEIPT, "")
    return int(text) if _NUMBER.fullmatch(text) is not None else None


async def get(
    client: httpx.AsyncClient,
    node: Node,
    target: Target,
    url: str,
    *,
    parameters: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    most: int = MAX_PAGE_BYTES,
    hold: Hold | None = None,
) -> httpx.Response:
    """The whole answer, at most `most` bytes of it.

    Raises:
        PeerUnreachable: no answer, or one over the bound.
    """
    known = {**make_headers(node, target), **(headers or {})}
    return await fetch(client, url, parameters=parameters, headers=known, most=most, hold=hold)


def make_headers(node: Node, target: Target) -> dict[str, str]:
    """Those of every question to a giver, with a token for this one."""
    return {
        "accept": _MEDIA_TYPE,
        "accept-encoding": "gzip",
        "authorization": f"Bearer {make_token(node, target.giver)}",
    }


def _read_last(answer: httpx.Response, url: str) -> Instant | None:
    """The `date_added` of the page's last object; None for an empty page (TAXII 2.1 §3.2)."""
    text = answer.headers.get("x-taxii-date-added-last")
    if text is None:
        return None
    try:
        return parse_instant(text)
    except MalformedRequest as error:
        raise PeerUnreachable(f"{url} sent an X-TAXII-Date-Added-Last that is no timestamp: {error.detail}") from error
