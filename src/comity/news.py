# SPDX-License-Identifier: Apache-2.0
"""Shell: what a partner releases is known here at once: questions that wait at its node (RFC 7240 §4.3).

Each answer is a page like any other, with its receipt (`pages`). A node of a party that does not know how to wait
answers at once, and says so by not saying that it waited.
"""

import asyncio
from collections.abc import Sequence

import httpx

from comity.calls import TOTAL_SECONDS, Room, describe_failure, read_body
from comity.errors import ComityError
from comity.node.delivery import expect_receipt
from comity.node.follow import Target
from comity.node.node import Node
from comity.pages import RECEIPT, Given, Pulled, make_headers, name_page, read_number, take_page
from comity.peers import send_acknowledgement, take_alone

__all__ = ["pull_news"]

_TOGETHER_SECONDS = 0.05
"""How long after the first answer others may come that were given with it: what one act released in two channels."""


async def pull_news(
    client: httpx.AsyncClient,
    node: Node,
    targets: Sequence[Target],
    *,
    root: str,
    room: Room,
    seconds: int,
    stir: asyncio.Event,
) -> list[Pulled]:
    """What came in the first channels of one giver that had something, or ended their wait, within `seconds`.

    All are asked at once, and wait at the giver's node where it knows how to (RFC 7240 §4.3). Of those that have not
    answered with the first nothing is said, nor of any once `stir` is set: the questions are taken back. What was given
    in answer to one of them all the same is shown by its receipt, and asked for again.
    """
    giver = targets[0].giver
    known = expect_receipt(node, giver, 0).sequence
    asking = {asyncio.create_task(_open_page(client, node, each, root=root, seconds=seconds)): each for each in targets}
    stirred = asyncio.create_task(stir.wait())
    try:
        await asyncio.wait({*asking, stirred}, return_when=asyncio.FIRST_COMPLETED)
        if not stirred.done() and len(asking) > 1:
            await asyncio.wait(asking, timeout=_TOGETHER_SECONDS)
        async with take_alone(node, giver):
            done = [(asking[task], task) for task in asking if task.done()]
            pulled = [
                await _take_news(client, node, target, task, known=known, room=room)
                for target, task in sorted(done, key=_read_order)
            ]
            if any(item.pages for item in pulled):
                await send_acknowledgement(client, node, targets[0])
        return pulled
    finally:
        await _take_back([stirred, *asking])


async def _open_page(
    client: httpx.AsyncClient, node: Node, target: Target, *, root: str, seconds: int
) -> httpx.Response:
    """The head of the answer to a question that may wait; its body is still to come, and it has to be closed.

    Raises:
        PeerUnreachable: no answer.
    """
    url, parameters = name_page(target, root, target.added_after)
    headers = {**make_headers(node, target), RECEIPT: "?1", "prefer": f"wait={seconds}"}
    request = client.build_request(
        "GET", url, params=parameters, headers=headers, timeout=httpx.Timeout(30.0, connect=5.0, read=seconds + 30.0)
    )
    try:
        return await client.send(request, stream=True)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise describe_failure(url, error) from error


def _read_order(asked: tuple[Target, "asyncio.Task[httpx.Response]"]) -> int:
    """The number of the disclosure that an answer is; those without one, which say nothing, go first."""
    _, task = asked
    return 0 if task.exception() is not None else read_number(task.result()) or 0


async def _take_news(
    client: httpx.AsyncClient,
    node: Node,
    target: Target,
    task: "asyncio.Task[httpx.Response]",
    *,
    known: int,
    room: Room,
) -> Pulled:
    """What one answer brought. `known` is the number that came next when it was asked for."""
    result = Pulled(target=target)
    try:
        opened = task.result()
        result.waits = "wait" in opened.headers.get("preference-applied", "")
        if known <= _read_order((target, task)) < expect_receipt(node, target.giver, 0).sequence:
            return result  # another pull of this party asked for the receipt meanwhile, and it is asked again
        async with asyncio.timeout(TOTAL_SECONDS), room.enter() as hold:
            answer = await read_body(opened, hold=hold)
            await take_page(client, node, Given(answer), result, reached=target.added_after)
    except ComityError as error:
        result.failed = error
    except (httpx.HTTPError, OSError) as error:
        result.failed = describe_failure(f"the collection {target.collection} of {target.giver}", error)
    return result


async def _take_back(tasks: "Sequence[asyncio.Task[httpx.Response] | asyncio.Task[bool]]") -> None:
    """End what was asked, and the connections of what was not read to its end."""
    for task in tasks:
        task.cancel()
    for done in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(done, httpx.Response):
            await done.aclose()
