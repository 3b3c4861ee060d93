# SPDX-License-Identifier: Apache-2.0
"""Shell: every outbound call but those to witnesses: messages to partners' nodes, and the pages of their collections.

Each call is bounded in time and in bytes and follows no redirect. What goes wrong at a partner stays with that partner:
the rest goes on.
"""

import asyncio
import re
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import httpx

from comity.calls import MAX_PAGE_BYTES, TOTAL_SECONDS, Hold, Room, fetch, open_client
from comity.canonical import OBJECT_LIMITS, parse_json
from comity.errors import ComityError, MalformedError, MalformedRequest, PeerUnreachable, ReceiptRefused
from comity.ids import Instant, ObjectId, PartyId, format_instant, parse_instant
from comity.node.acknowledge import acknowledge, settle_acknowledgement
from comity.node.allowance import check_allowance
from comity.node.delivery import expect_receipt, keep_missing, keep_refused, say_uncounted
from comity.node.follow import Target, make_token, plan_pull
from comity.node.node import Node
from comity.node.outbox import Outgoing, list_due, settle
from comity.node.receive import Received, receive_shown
from comity.release.delivery import Expected, Shown, expect_next, find_sizes, name_proof, verify_next
from comity.release.receipt import MAX_RECEIPT_BYTES
from comity.stix.objects import BadObject

__all__ = [
    "RECEIPT",
    "Pulled",
    "deliver",
    "find_root",
    "make_headers",
    "name_page",
    "pull",
    "pull_targets",
    "read_number",
    "send_acknowledgement",
    "take_alone",
    "take_page",
]

_MEDIA_TYPE = "application/taxii+json;version=2.1"
_EMPTY = b"{}"
"""An envelope with nothing in it (TAXII 2.1 §2, §3.7)."""
_MORE = b'{"more":true'

RECEIPT = "comity-receipt"
"""The header by which the number of a disclosure is asked for, and told (`taxii.receipts`)."""

_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_MAX_PROOF_BYTES, _MAX_DISCOVERY_BYTES = 4_096, 64 * 1024
_MOST_MISSING = 1_000
"""Disclosures that never came, whose receipts are asked for with one page; the next pull goes on from there."""

_WITNESS_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds: witnesses may still be on their way to cosign what was disclosed just now."""

_MAX_PAGES = 100_000
_PAGE_OBJECTS = 1_000

_ALONE = WeakKeyDictionary[Node, dict[PartyId, asyncio.Lock]]()
"""Who takes in what a partner gave: its receipts have one order, in whatever channels it gives."""


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


@dataclass(slots=True)
class _Evidence:
    """What the giver sent last for a page."""

    receipt: bytes = b""
    proof: bytes = b""


async def deliver(node: Node, *, busy: set[PartyId] | None = None) -> int:
    """How many messages partners acknowledged; the others are noted and due again later.

    Partners in `busy` are left out, and those that are being delivered to stand in it meanwhile: whose node does not
    answer keeps no message to another waiting.
    """
    under_way = set[PartyId]() if busy is None else busy
    partners = {message.party for message in list_due(node, besides=under_way)}
    if not partners:
        return 0
    under_way |= partners
    left = set(partners)

    async def take(partner: PartyId) -> int:
        try:
            return await _deliver_all(client, node, partner)
        finally:
            # At once, and by name: another delivery may have begun with this partner before the last of these ends.
            under_way.discard(partner)
            left.discard(partner)

    try:
        async with open_client(node) as client:
            done = await asyncio.gather(*map(take, sorted(partners)), return_exceptions=True)
    finally:
        under_way -= left
    for failure in done:
        if isinstance(failure, BaseException):
            raise failure
    return sum(count for count in done if isinstance(count, int))


async def pull(node: Node, giver: PartyId) -> list[Pulled]:
    """What each channel in force brought, page by page; every page is kept before the next is asked for.

    With each page comes the receipt for it. A page that its receipt does not show is refused whole, and ends its
    channel; the other channels go on.

    Raises:
        NotFoundError, TransitionError: there is nothing to pull, and why.
        PeerUnreachable: the partner's node did not answer, or not in TAXII; pages taken in before are kept.
        QuotaReached: it has brought in today as much as it may; so are those.
    """
    targets = plan_pull(node, giver)
    async with open_client(node) as client:
        root = await find_root(client, node, targets[0])
        pulled = await pull_targets(client, node, targets, root=root, room=Room(1))
    for item in pulled:
        if item.failed is not None:
            raise item.failed
    return pulled


async def pull_targets(
    client: httpx.AsyncClient, node: Node, targets: list[Target], *, root: str, room: Room
) -> list[Pulled]:
    """What each of the channels of one giver brought; a failure ends what is asked of it, and stands in the rest."""
    pulled, failed = list[Pulled](), None
    async with take_alone(node, targets[0].giver):
        for target in targets:
            result = Pulled(target=target, failed=failed)
            pulled.append(result)
            if failed is None:
                failed = await _pull_channel(client, node, result, root=root, room=room)
        if failed is None:
            await send_acknowledgement(client, node, targets[0])
    return pulled


async def _deliver_all(client: httpx.AsyncClient, node: Node, partner: PartyId) -> int:
    """How many of one partner's messages it acknowledged; after the first failure the others wait with it."""
    delivered, problem = 0, None
    # What is queued while this partner is delivered to is delivered here: nobody else tries meanwhile.
    while problem is None and (waiting := list_due(node, party=partner)):
        for message in waiting:
            problem = problem or await _deliver(client, message)
            settle(node, message, problem=problem)
            delivered += problem is None
    return delivered


async def _deliver(client: httpx.AsyncClient, message: Outgoing) -> str | None:
    """None when the partner's node has the message, else what happened."""
    if message.url is None:
        return "the address of its node is not known; set it with `party add FILE --url URL`"
    url = f"{message.url}/comity/exchange/"
    try:
        # The status says all: whatever body comes with it is not read.
        async with asyncio.timeout(TOTAL_SECONDS), client.stream("POST", url, content=message.envelope) as answer:
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return f"{message.url} did not answer ({_name(error)})"
    if status == httpx.codes.ACCEPTED:
        return None
    return f"its node answered {status}: it does not know this party by the key used, or not yet the agreement"


async def find_root(client: httpx.AsyncClient, node: Node, target: Target) -> str:
    """The URL of the API root that the partner offers this party (TAXII 2.1 §4.1).

    Raises:
        PeerUnreachable: the partner's node did not answer, or not in TAXII.
    """
    answer = await _get(client, node, target, f"{target.url}/taxii2/", most=_MAX_DISCOVERY_BYTES)
    if (status := answer.status_code) != httpx.codes.OK:
        raise PeerUnreachable(f"{target.url} does not know this party (status {status}); has {target.giver} pinned it?")
    try:
        discovery = parse_json(answer.content, limits=OBJECT_LIMITS)
        default = discovery.get("default") if isinstance(discovery, dict) else None
        root = httpx.URL(f"{target.url}/taxii2/").join(default if isinstance(default, str) else "")
    except (MalformedError, httpx.InvalidURL) as error:
        raise PeerUnreachable(f"{target.url}/taxii2/ is not a TAXII 2.1 discovery resource") from error
    here = httpx.URL(target.url)
    if (root.scheme, root.host, root.port) != (here.scheme, here.host, here.port):
        # A partner must not be able to send this node, and its access tokens, to another host.
        raise PeerUnreachable(f"{target.url}/taxii2/ names an API root on another host; ask {target.giver} why")
    return str(root)


async def _pull_channel(
    client: httpx.AsyncClient, node: Node, result: Pulled, *, root: str, room: Room
) -> ComityError | None:
    """Pages until an empty one: `date_added` is unique, so going on from the last one loses and repeats nothing.

    What ended it before that, if anything did; it stands in the result too.
    """
    target = result.target
    reached = target.added_after
    try:
        for _ in range(_MAX_PAGES):
            check_allowance(node, target.giver)
            async with room.enter() as hold:
                url, parameters = name_page(target, root, reached)
                answer = await _get(
                    client, node, target, url, parameters=parameters, headers={RECEIPT: "?1"}, hold=hold
                )
                reached = await take_page(client, node, answer, result, reached=reached)
            if reached is None:
                return None
    except ComityError as error:
        result.failed = error
    return result.failed


def name_page(target: Target, root: str, reached: Instant | None) -> tuple[str, dict[str, str]]:
    """The URL and the parameters of the page behind `reached`."""
    parameters = {"limit": str(_PAGE_OBJECTS), "match[version]": "all"}
    if reached is not None:
        parameters["added_after"] = format_instant(reached)
    return f"{root}collections/{target.collection}/objects/", parameters


async def take_page(
    client: httpx.AsyncClient, node: Node, answer: httpx.Response, result: Pulled, *, reached: Instant | None
) -> Instant | None:
    """How far the page that was asked for from `reached` brings this node; None where it is the last of its channel.

    Raises:
        PeerUnreachable: it is no page, or leads back.
    """
    target = result.target
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
    if not await _take(client, node, target, answer, result, added_after=last):
        return None
    # As `taxii.wire` writes it. Who writes it otherwise says of itself that it has nothing more, and is asked again.
    result.in_step = not answer.content.startswith(_MORE)
    return last


def take_alone(node: Node, giver: PartyId) -> asyncio.Lock:
    """Who has it is the only one in this process that takes in what `giver` gave."""
    return _ALONE.setdefault(node, {}).setdefault(giver, asyncio.Lock())


def _is_taxii(content_type: str) -> bool:
    kind, _, parameters = content_type.lower().replace(" ", "").partition(";")
    return kind == "application/taxii+json" and parameters in {"", "version=2.1"}


async def send_acknowledgement(client: httpx.AsyncClient, node: Node, target: Target) -> None:
    """Let the giver know what is known here of what it gave; what it does not take is sent again with the next pull."""
    waiting = acknowledge(node, target.giver)
    if waiting is None:
        return
    number, envelope = waiting
    try:
        url = f"{target.url}/comity/acknowledgements/"
        async with asyncio.timeout(TOTAL_SECONDS), client.stream("POST", url, content=envelope) as answer:
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return  # people see it as work when it lasts
    if status == httpx.codes.ACCEPTED:
        settle_acknowledgement(node, target.giver, number)


async def _take(
    client: httpx.AsyncClient,
    node: Node,
    target: Target,
    answer: httpx.Response,
    result: Pulled,
    *,
    added_after: Instant,
) -> bool:
    """Whether the page was taken in, with the receipt for it; if not, nothing of it was, and its bytes are evidence."""
    received = Received(
        giver=target.giver,
        terms=target.terms,
        channel=target.channel,
        collection=target.collection,
        added_after=added_after,
    )
    evidence = _Evidence()
    try:
        shown = await _show(client, node, target, answer, result=result, evidence=evidence)
        intake = receive_shown(node, answer.content, received, shown)
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
            receipt=evidence.receipt,
            proof=evidence.proof,
        )
        return False
    result.pages += 1
    result.added.extend(intake.added)
    result.known += intake.known
    result.bad.extend(intake.bad)
    return True


async def _show(
    client: httpx.AsyncClient,
    node: Node,
    target: Target,
    answer: httpx.Response,
    *,
    result: Pulled,
    evidence: _Evidence,
) -> Shown:
    """What the receipt for the page shows, after those for all that was disclosed to this party before it.

    Raises:
        ReceiptRefused: one of them does not match what was seen before; those before it were kept.
    """
    number = _read_number(answer)
    expected = expect_receipt(node, target.giver, number)
    if number < expected.sequence:
        said = f"sequence: the page is said to be disclosure {number}, and {expected.sequence} comes next"
        raise ReceiptRefused(said, part="sequence")
    missing = list[Shown]()
    try:
        while expected.sequence < number and len(missing) < _MOST_MISSING:
            missing.append(await _ask_receipt(client, node, target, expected, evidence))
            expected = expect_next(expected, missing[-1])
    finally:
        keep_missing(node, missing)
        result.missing += len(missing)
    if expected.sequence < number:
        raise ReceiptRefused(
            f"sequence: {number - expected.sequence} more disclosures of {target.giver} to this party never came here;"
            " pull again, and their receipts are asked for",
            part="sequence",
        )
    return await _ask_receipt(client, node, target, expected, evidence)


async def _ask_receipt(
    client: httpx.AsyncClient, node: Node, target: Target, expected: Expected, evidence: _Evidence
) -> Shown:
    """What the next receipt shows; one that witnesses have not cosigned yet is asked for again for some seconds.

    Raises:
        ReceiptRefused: it is not given, or does not match.
    """
    waits = [*_WITNESS_WAITS] if expected.policy is not None else []
    while True:
        try:
            return await _ask_receipt_once(client, node, target, expected, evidence)
        except ReceiptRefused as refused:
            if refused.facts.get("part") != "witnesses":
                raise
            if not waits:
                raise _say_awaited(node, refused, target.giver) from refused
        await asyncio.sleep(waits.pop(0))


def _say_awaited(node: Node, refused: ReceiptRefused, giver: PartyId) -> ReceiptRefused:
    """The refusal, with what to wait for: the next pull asks for the same receipt, and for a new page."""
    return ReceiptRefused(
        f"{refused.detail}. Nothing of the page was stored, and nothing is lost: {giver} asks its witnesses again every"
        f" few seconds while it is served, so pull again later. If it lasts, ask {giver} for its `witness list`."
        f"{say_uncounted(node, giver)}",
        part="witnesses",
    )


async def _ask_receipt_once(
    client: httpx.AsyncClient, node: Node, target: Target, expected: Expected, evidence: _Evidence
) -> Shown:
    evidence.receipt = evidence.proof = b""
    number = expected.sequence
    url = f"{target.url}/comity/receipts/{number}"
    answer = await _get(client, node, target, url, most=MAX_RECEIPT_BYTES)
    if answer.status_code != httpx.codes.OK:
        said = (
            f"receipt: {target.giver} gives no receipt for its disclosure {number} ({answer.status_code}). Ask it why;"
            f" if it never can, two people let it stand without: `log waive {target.giver} --through {number}`"
        )
        raise ReceiptRefused(said, part="receipt")
    evidence.receipt = answer.content
    try:
        sizes = find_sizes(answer.content, expected.seen)
    except MalformedError as error:
        raise ReceiptRefused(f"receipt: {error.detail}", part="receipt") from error
    if sizes is not None:
        url = f"{target.url}/comity/consistency/{name_proof(*sizes)}"
        answer = await _get(client, node, target, url, most=_MAX_PROOF_BYTES)
        evidence.proof = answer.content if answer.status_code == httpx.codes.OK else b""
    return verify_next(evidence.receipt, evidence.proof, expected, now=node.clock())


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


async def _get(
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


def _name(error: Exception) -> str:
    return str(error) or type(error).__name__
