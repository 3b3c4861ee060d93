# SPDX-License-Identifier: Apache-2.0
"""A button that is pressed twice sends one letter; what failed, what differs, and what comes later is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from comity.console import letters
from comity.console.letters import LETTERS, Letters
from comity.errors import ConflictError
from comity.ids import PersonId
from comity.operations.reply import Exit, Reply, fail_with
from comity.operations.table import OPERATIONS

ANNA, BORIS = PersonId("anna"), PersonId("boris")
ASKED = {"agreement": "a", "question": "Was it seen?"}


class Post:
    """Sends letters: each reply names how many there were; it takes as long as `held` says."""

    def __init__(self, *codes: Exit) -> None:
        self.codes = list(codes)
        self.count = 0
        self.held = asyncio.Event()
        self.held.set()

    async def send(self) -> Reply:
        self.count += 1
        number = self.count
        await self.held.wait()
        code = self.codes.pop(0) if self.codes else Exit.DONE
        return fail_with(ConflictError("no")) if code is Exit.FAILED else Reply(code=code, result={"letter": number})


def run(use: Callable[[Letters, Post], Awaitable[Any]], *codes: Exit) -> Post:
    async def go() -> Post:
        post = Post(*codes)
        await use(Letters(), post)
        return post

    return asyncio.run(go())


def test_every_operation_that_sends_a_letter_is_one_that_there_is() -> None:
    assert OPERATIONS.keys() >= LETTERS


@pytest.mark.parametrize("code", [Exit.DONE, Exit.WAITING])
def test_the_second_gets_the_reply_of_the_first(code: Exit) -> None:
    async def use(made: Letters, post: Post) -> None:
        first = await made.ask_once(ANNA, "request.send", ASKED, post.send)
        assert await made.ask_once(ANNA, "request.send", dict(ASKED), post.send) is first

    assert run(use, code).count == 1


def test_the_second_waits_for_the_first_however_long_though_whoever_pressed_first_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(letters, "_SECONDS", 0.0)

    async def use(made: Letters, post: Post) -> None:
        post.held.clear()
        both = [asyncio.create_task(made.ask_once(ANNA, "request.send", ASKED, post.send)) for _ in range(2)]
        await asyncio.sleep(0)
        both[0].cancel()
        await asyncio.sleep(0)
        post.held.set()
        assert (await both[1]).result == {"letter": 1}
        with pytest.raises(asyncio.CancelledError):
            await both[0]

    assert run(use).count == 1


def test_what_failed_is_sent_again_at_once() -> None:
    async def use(made: Letters, post: Post) -> None:
        assert (await made.ask_once(ANNA, "request.send", ASKED, post.send)).error is not None
        assert (await made.ask_once(ANNA, "request.send", ASKED, post.send)).result == {"letter": 2}

    assert run(use, Exit.FAILED).count == 2


def test_another_person_or_operation_or_word_is_another_letter() -> None:
    async def use(made: Letters, post: Post) -> None:
        await made.ask_once(ANNA, "request.send", ASKED, post.send)
        await made.ask_once(BORIS, "request.send", ASKED, post.send)
        await made.ask_once(ANNA, "consent.request", ASKED, post.send)
        await made.ask_once(ANNA, "request.send", ASKED | {"question": "Was it seen"}, post.send)

    assert run(use).count == 4


def test_what_no_text_can_hold_is_for_the_operation_to_refuse() -> None:
    async def use(made: Letters, post: Post) -> None:
        for _ in range(2):
            await made.ask_once(ANNA, "request.send", {"question": "\ud83d", "objects": [None, 1]}, post.send)

    assert run(use).count == 1


def test_later_the_same_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_SECONDS", 0.0)

    async def use(made: Letters, post: Post) -> None:
        await made.ask_once(ANNA, "request.send", ASKED, post.send)
        await made.ask_once(ANNA, "request.send", ASKED, post.send)

    assert run(use).count == 2


def test_so_many_letters_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_MOST", 2)

    async def use(made: Letters, post: Post) -> None:
        for question in "abca":
            await made.ask_once(ANNA, "request.send", {"question": question}, post.send)

    assert run(use).count == 4
