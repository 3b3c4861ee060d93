# SPDX-License-Identifier: Apache-2.0
"""Shell: calls of partners' nodes: messages to them, and pulls of what they give, page by page (`pages`).

Each call is bounded in time and in bytes and follows no redirect. What goes wrong at a partner stays with that partner:
the rest goes on.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import httpx

from comity.aside import Aside
from comity.calls import TOTAL_SECONDS, Room, open_client
from comity.canonical import OBJECT_LIMITS, parse_json
from comity.errors import ComityError, MalformedError, PeerUnreachable
from comity.ids import PartyId
from comity.node.acknowledge import acknowledge, settle_acknowledgement
from comity.node.allowance import check_allowance
from comity.node.follow import Target, plan_pull
from comity.node.node import Node
from comity.node.outbox import Outgoing, is_held, list_due, settle
from comity.pages import Pulled, Question, find_next, get, is_not_the_last, take_page

__all__ = [
    "Pulled",
    "deliver",
    "find_root",
    "pull",
    "pull_targets",
    "send_acknowledgement",
    "stop_held",
    "take_alone",
]

_MAX_DISCOVERY_BYTES = 64 * 1024
_MAX_PAGES = 100_000

_ALONE = WeakKeyDictionary[Node, dict[PartyId, asyncio.Lock]]()
"""Who takes in what a partner gave: its receipts have one order, in whatever channels it gives."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """The partner's node answers, and does not take this message; it may take others."""

    problem: str


_LEAVING = WeakKeyDictionary[Node, dict[asyncio.Task[str | _Refused | None], Outgoing]]()
"""The messages that are on their way, each with what sends it."""


class _Cut(Exception):
    """The message was on its way, and may not go any more."""


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


async def stop_held(node: Node) -> int:
    """How many messages had to be cut; when it returns, none is on its way that may not go any more (DRAIN).

    Call it after the COMMIT of what closed the gate. A partner that is slow to take the connection keeps nothing open.
    """
    held = [sending for sending, message in _LEAVING.get(node, {}).items() if is_held(node, message)]
    for sending in held:
        sending.cancel()
    if held:
        await asyncio.wait(held)
    return len(held)


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
    async with take_alone(node, targets[0].giver), aclosing(Aside()) as aside:
        for target in targets:
            result = Pulled(target=target, failed=failed)
            pulled.append(result)
            if failed is None:
                failed = await _pull_channel(client, node, result, root=root, room=room, aside=aside)
        if failed is None:
            await send_acknowledgement(client, node, targets[0])
    return pulled


async def _deliver_all(client: httpx.AsyncClient, node: Node, partner: PartyId) -> int:
    """How many of one partner's messages it acknowledged; where it does not answer, the others wait with the first.

    What it refuses keeps nothing waiting: a suspension may stand behind it.
    """
    delivered, problem = 0, None
    # What is queued while this partner is delivered to is delivered here: nobody else tries meanwhile.
    while problem is None and (waiting := list_due(node, party=partner)):
        taken, refused = delivered, 0
        for message in waiting:
            if is_held(node, message):  # it was suspended since, while another message was on its way
                continue
            try:
                sent = problem or await _send(client, node, message)
            except _Cut:
                continue
            if isinstance(sent, _Refused):
                settle(node, message, problem=sent.problem)
                refused += 1
                continue
            problem = sent
            settle(node, message, problem=problem)
            delivered += problem is None
        if refused and delivered == taken:
            break  # the next delivery goes on behind what was refused
    return delivered


async def _send(client: httpx.AsyncClient, node: Node, message: Outgoing) -> str | _Refused | None:
    """What `_deliver` gives.

    Raises:
        _Cut: it was cut by `stop_held`.
    """
    sending, leaving = asyncio.create_task(_deliver(client, message)), _LEAVING.setdefault(node, {})
    leaving[sending] = message
    try:
        await asyncio.wait({sending})
    finally:
        sending.cancel()  # which does nothing where it has ended
        await asyncio.gather(sending, return_exceptions=True)
        del leaving[sending]
    if sending.cancelled():
        raise _Cut
    return sending.result()


async def _deliver(client: httpx.AsyncClient, message: Outgoing) -> str | _Refused | None:
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
    problem = f"its node answered {status}: it does not know this party by the key used, or not yet the agreement"
    return _Refused(problem) if status == httpx.codes.NOT_FOUND else problem


async def find_root(client: httpx.AsyncClient, node: Node, target: Target) -> str:
    """The URL of the API root that the partner offers this party (TAXII 2.1 §4.1).

    Raises:
        PeerUnreachable: the partner's node did not answer, or not in TAXII.
    """
    answer = await get(client, node, target, f"{target.url}/taxii2/", most=_MAX_DISCOVERY_BYTES)
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
    client: httpx.AsyncClient, node: Node, result: Pulled, *, root: str, room: Room, aside: Aside
) -> ComityError | None:
    """Pages until an empty one: `date_added` is unique, so going on from the last one loses and repeats nothing.

    What ended it before that, if anything did; it stands in the result too.
    """
    target, reached = result.target, result.target.added_after
    ask = partial(Question, client, node, target, root=root, room=room, aside=aside)
    asked, following = ask(after=reached), None
    try:
        for _ in range(_MAX_PAGES):
            check_allowance(node, target.giver)
            given = await asked.hear()
            after = find_next(given, reached)
            if after is not None and is_not_the_last(node, target.giver, given):
                following = ask(after=after)
            reached = await take_page(client, node, given, result, reached=reached)
            await asked.close()
            if reached is None:
                return None
            asked = following or ask(after=reached)
            following = None
    except ComityError as error:
        result.failed = error
    finally:
        # What was given ahead of a page that was not taken in counts as never come.
        for question in (asked, following):
            if question is not None:
                await question.close()
    return result.failed


def take_alone(node: Node, giver: PartyId) -> asyncio.Lock:
    """Who has it is the only one in this process that takes in what `giver` gave."""
    return _ALONE.setdefault(node, {}).setdefault(giver, asyncio.Lock())


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


def _name(error: Exception) -> str:
    return str(error) or type(error).__name__
