# SPDX-License-Identifier: Apache-2.0
"""Shell: every outbound call but those to witnesses: messages to partners' nodes, and the pages of their collections.

Each call is bounded in time and in bytes and follows no redirect. What goes wrong at a partner stays with that partner:
the rest goes on.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import httpx

from comity.errors import ConfigError, MalformedError, MalformedRequest, PeerUnreachable, ReceiptRefused
from comity.ids import Instant, ObjectId, PartyId, format_instant, parse_instant
from comity.node.acknowledge import acknowledge, settle_acknowledgement
from comity.node.delivery import expect_receipt, keep_missing, keep_refused, say_uncounted
from comity.node.follow import Target, make_token, plan_pull
from comity.node.ingest import Intake
from comity.node.node import Node
from comity.node.outbox import Outgoing, list_due, settle
from comity.node.receive import Received, receive_shown
from comity.release.delivery import Expected, Shown, expect_next, find_sizes, verify_next
from comity.release.receipt import MAX_RECEIPT_BYTES
from comity.stix.objects import BadObject
from comity.tlog.origin import find_token

__all__ = ["Pulled", "deliver", "open_client", "pull"]

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_TOTAL_SECONDS = 120.0
"""For one whole call: a partner that sends a byte now and then cannot hold this node for ever."""

_MEDIA_TYPE = "application/taxii+json;version=2.1"
_MAX_PAGE_BYTES = 32 * 1024 * 1024
_EMPTY = b"{}"
"""An envelope with nothing in it (TAXII 2.1 §2, §3.7)."""

_RECEIPT = "comity-receipt"
"""The header by which the number of a disclosure is asked for, and told (`taxii.receipts`)."""

_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_MAX_PROOF_BYTES = 4_096
_MOST_MISSING = 1_000
"""Disclosures that never came, whose receipts are asked for with one page; the next pull goes on from there."""

_WITNESS_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds: witnesses may still be on their way to cosign what was disclosed just now."""

_MAX_PAGES = 100_000
_PAGE_OBJECTS = 1_000


@dataclass(slots=True, kw_only=True)
class Pulled:
    """What one pull brought from one channel; `withheld` when the partner's node showed no such collection.

    `missing` counts disclosures that never came, whose receipts were asked for; `refused` is why a page was not taken
    in, and what is kept of it stands apart from everything else.
    """

    target: Target
    pages: int = 0
    added: list[ObjectId] = field(default_factory=list)
    known: int = 0
    bad: list[BadObject] = field(default_factory=list)
    missing: int = 0
    withheld: bool = False
    refused: ReceiptRefused | None = None


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
    """
    targets = plan_pull(node, giver)
    async with open_client(node) as client:
        root = await _find_root(client, node, targets[0])
        pulled = [await _pull_channel(client, node, target, root=root) for target in targets]
        await _acknowledge(client, node, targets[0])
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
        async with asyncio.timeout(_TOTAL_SECONDS), client.stream("POST", url, content=message.envelope) as answer:
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return f"{message.url} did not answer ({_name(error)})"
    if status == httpx.codes.ACCEPTED:
        return None
    return f"its node answered {status}: it does not know this party by the key used, or not yet the agreement"


async def _find_root(client: httpx.AsyncClient, node: Node, target: Target) -> str:
    """The URL of the API root that the partner offers this party (TAXII 2.1 §4.1)."""
    answer = await _get(client, node, target, f"{target.url}/taxii2/")
    if answer.status_code != httpx.codes.OK:
        raise PeerUnreachable(
            f"{target.url} does not know this party (status {answer.status_code}); has {target.giver} pinned it?"
        )
    try:
        root = httpx.URL(f"{target.url}/taxii2/").join(answer.json()["default"])
    except (ValueError, KeyError, TypeError, httpx.InvalidURL) as error:
        raise PeerUnreachable(f"{target.url}/taxii2/ is not a TAXII 2.1 discovery resource") from error
    here = httpx.URL(target.url)
    if (root.scheme, root.host, root.port) != (here.scheme, here.host, here.port):
        # A partner must not be able to send this node, and its access tokens, to another host.
        raise PeerUnreachable(f"{target.url}/taxii2/ names an API root on another host; ask {target.giver} why")
    return str(root)


async def _pull_channel(client: httpx.AsyncClient, node: Node, target: Target, *, root: str) -> Pulled:
    """Pages until an empty one: `date_added` is unique, so going on from the last one loses and repeats nothing."""
    result = Pulled(target=target)
    reached = target.added_after
    for _ in range(_MAX_PAGES):
        parameters = {"limit": str(_PAGE_OBJECTS), "match[version]": "all"}
        if reached is not None:
            parameters["added_after"] = format_instant(reached)
        url = f"{root}collections/{target.collection}/objects/"
        answer = await _get(client, node, target, url, parameters=parameters, headers={_RECEIPT: "?1"})
        if answer.status_code == httpx.codes.NOT_FOUND:
            result.withheld = True
            return result
        if answer.status_code != httpx.codes.OK:
            raise PeerUnreachable(f"{url} answered {answer.status_code}; try again later")
        last = _read_last(answer, url)
        if last is None:
            return result
        if last == reached and answer.content == _EMPTY:
            return result  # an empty page gives back the position that it was asked from
        if reached is not None and last <= reached:
            raise PeerUnreachable(
                f"{url} goes back in time in X-TAXII-Date-Added-Last; ask {target.giver} to look into it"
            )
        if not await _take(client, node, target, answer, result, added_after=last):
            return result
        reached = last
    return result


async def _acknowledge(client: httpx.AsyncClient, node: Node, target: Target) -> None:
    """Let the giver know what is known here of what it gave; what it does not take is sent again with the next pull."""
    waiting = acknowledge(node, target.giver)
    if waiting is None:
        return
    number, envelope = waiting
    try:
        url = f"{target.url}/comity/acknowledgements/"
        async with asyncio.timeout(_TOTAL_SECONDS), client.stream("POST", url, content=envelope) as answer:
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
        _count(result, receive_shown(node, answer.content, received, shown))
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
        token, old, new = find_token(sizes[0]), *sizes[1:]
        url = f"{target.url}/comity/consistency/{f'{token}/' if token else ''}{old}/{new}"
        answer = await _get(client, node, target, url, most=_MAX_PROOF_BYTES)
        evidence.proof = answer.content if answer.status_code == httpx.codes.OK else b""
    return verify_next(evidence.receipt, evidence.proof, expected, now=node.clock())


def _read_number(answer: httpx.Response) -> int:
    """The number of the disclosure that the page is.

    Raises:
        ReceiptRefused: it is not told.
    """
    text = answer.headers.get(_RECEIPT, "")
    if _NUMBER.fullmatch(text) is None:
        raise ReceiptRefused("receipt: the page came without the number of its disclosure", part="receipt")
    return int(text)


def _count(result: Pulled, intake: Intake) -> None:
    result.pages += 1
    result.added.extend(intake.added)
    result.known += intake.known
    result.bad.extend(intake.bad)


async def _get(
    client: httpx.AsyncClient,
    node: Node,
    target: Target,
    url: str,
    *,
    parameters: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    most: int = _MAX_PAGE_BYTES,
) -> httpx.Response:
    """The whole answer, at most `most` bytes of it.

    Raises:
        PeerUnreachable: no answer, or one over the bound.
    """
    known = {"accept": _MEDIA_TYPE, "authorization": f"Bearer {make_token(node, target.giver)}", **(headers or {})}
    try:
        async with (
            asyncio.timeout(_TOTAL_SECONDS),
            client.stream("GET", url, params=parameters, headers=known) as answer,
        ):
            body = await _read(answer, most=most)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise PeerUnreachable(
            f"{url} did not answer ({_name(error)}); is the node running, and its URL right?"
        ) from error
    return httpx.Response(answer.status_code, headers=_plain(answer.headers), content=body)


async def _read(answer: httpx.Response, *, most: int) -> bytes:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > most:
            raise PeerUnreachable(f"{answer.url} answered with over {most} bytes; nothing of it was kept")
    return bytes(body)


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """The headers without those that speak of an encoding already undone."""
    return {name: value for name, value in headers.items() if name not in {"content-encoding", "content-length"}}


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


@asynccontextmanager
async def open_client(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    """One client per errand: no cookies, no redirects, no proxies from the environment."""
    verify = _trust(node.settings.authorities)
    async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False, verify=verify) as client:
        yield client


def _trust(authorities: Path | None) -> ssl.SSLContext:
    """Whose certificates partners' nodes have to show: those of the authorities in the file, else the usual ones.

    Raises:
        ConfigError: the file cannot be used.
    """
    try:
        # Read anew when the file has changed: to read all the usual ones takes longer than most errands.
        return _load_authorities(authorities, () if authorities is None else _mark(authorities))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"{authorities}: no certificate of an authority in PEM can be read there ({error}); correct authorities in"
            " node.toml"
        ) from error


def _mark(path: Path) -> tuple[int, ...]:
    """What is another one when the file is, also where it was given the time of the one before."""
    found = path.stat()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


@lru_cache(maxsize=4)
def _load_authorities(authorities: Path | None, _: tuple[int, ...]) -> ssl.SSLContext:
    if authorities is None:
        return httpx.create_ssl_context(trust_env=False)
    return ssl.create_default_context(cafile=authorities)
