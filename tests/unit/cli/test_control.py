# SPDX-License-Identifier: Apache-2.0
"""The control socket, both sides, with what a hostile or broken program could write to it."""

import asyncio
import json
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from comity.cli.control import LENGTH, MAX_FRAME_BYTES, SOCKET_NAME, ask, format_frame, named, parse_request
from comity.cli.listener import Listener
from comity.errors import MalformedRequest, TransitionError, UnavailableError
from comity.node.steps import Tell
from comity.operations.reply import Json, Reply, fail_with, parse_reply

T = TypeVar("T")


async def echo(operation: str, arguments: dict[str, Json], tell: Tell | None = None) -> Reply:
    if tell is not None:
        for done in range(1, 4):
            tell(done, 3)
            await asyncio.sleep(0.25)
    if operation == "fail":
        return fail_with(TransitionError("not now"))
    return Reply(code=0, result={"operation": operation, "arguments": arguments})


async def while_listening(folder: Path, talk: Callable[[Path], T]) -> T:
    """What `talk` gives, in a thread of its own, while a listener serves `folder`."""
    listener = Listener(folder, echo)
    await listener.start()
    try:
        return await asyncio.to_thread(talk, folder)
    finally:
        await listener.stop()


def listening(folder: Path, talk: Callable[[Path], T]) -> T:
    return asyncio.run(while_listening(folder, talk))


def send_raw(folder: Path, data: bytes) -> Reply:
    """The reply to bytes that are no proper request."""
    with socket.socket(socket.AF_UNIX) as connection, named(folder) as name:
        connection.settimeout(10)
        connection.connect(name)
        connection.sendall(data)
        (length,) = LENGTH.unpack(connection.recv(LENGTH.size, socket.MSG_WAITALL))
        return parse_reply(connection.recv(length, socket.MSG_WAITALL))


def test_a_request_is_answered(tmp_path: Path) -> None:
    reply = listening(tmp_path, lambda folder: ask(folder, "object.show", {"id": "report--ü"}))
    assert reply == Reply(code=0, result={"operation": "object.show", "arguments": {"id": "report--ü"}})


def test_a_failure_is_answered(tmp_path: Path) -> None:
    reply = listening(tmp_path, lambda folder: ask(folder, "fail", {}))
    assert reply is not None
    assert (reply.code, reply.result) == (6, None)


def test_a_large_request_and_answer_pass(tmp_path: Path) -> None:
    text = "x" * (8 * 1024 * 1024)
    reply = listening(tmp_path, lambda folder: ask(folder, "echo", {"text": text}))
    assert reply is not None
    assert reply.result == {"operation": "echo", "arguments": {"text": text}}


def test_only_the_owner_can_open_the_socket(tmp_path: Path) -> None:
    mode = listening(tmp_path, lambda folder: (folder / SOCKET_NAME).stat().st_mode)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_folder_with_a_long_path_works(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120) / ("e" * 120)
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as connection, pytest.raises(OSError, match="too long"):
        connection.connect(str(folder / SOCKET_NAME))
    reply = listening(folder, lambda named_folder: ask(named_folder, "echo", {}))
    assert reply is not None


def test_no_socket_means_that_nobody_serves(tmp_path: Path) -> None:
    assert ask(tmp_path, "echo", {}) is None
    assert ask(tmp_path / "absent", "echo", {}) is None


def leave_socket(folder: Path) -> None:
    """The socket of a process that was killed: bound and never removed."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / SOCKET_NAME))


def test_a_stale_socket_means_that_nobody_serves(tmp_path: Path) -> None:
    leave_socket(tmp_path)
    assert ask(tmp_path, "echo", {}) is None


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    leave_socket(tmp_path)
    assert listening(tmp_path, lambda folder: ask(folder, "echo", {})) is not None
    assert not (tmp_path / SOCKET_NAME).exists()


def test_a_frame_over_the_bound_is_refused_before_it_is_read(tmp_path: Path) -> None:
    reply = listening(tmp_path, lambda folder: send_raw(folder, LENGTH.pack(MAX_FRAME_BYTES + 1)))
    assert reply.code == 2
    assert reply.error is not None
    assert str(MAX_FRAME_BYTES) in str(reply.error["message"])


def test_a_request_over_the_bound_is_not_sent() -> None:
    with pytest.raises(MalformedRequest, match="handed over"):
        format_frame(bytes(MAX_FRAME_BYTES + 1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'{"operation":"x"}',
        b'{"operation":1,"arguments":{}}',
        b'{"operation":"x","arguments":[]}',
        b'{"operation":"x","arguments":{},"more":1}',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_garbage_is_answered_as_a_bad_request(tmp_path: Path, body: bytes) -> None:
    reply = listening(tmp_path, lambda folder: send_raw(folder, format_frame(body)))
    assert (reply.code, reply.result) == (2, None)


def test_a_client_that_hangs_up_does_no_harm(tmp_path: Path) -> None:
    def hang_up_and_ask(folder: Path) -> Reply | None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(folder / SOCKET_NAME))
            connection.sendall(b"\0\0\0")
        return ask(folder, "echo", {})

    assert listening(tmp_path, hang_up_and_ask) is not None


def test_a_process_that_dies_over_a_request_leaves_its_fate_open(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / SOCKET_NAME))
        server.listen()

        def accept_and_close() -> None:
            server.accept()[0].close()

        async def both() -> None:
            asked = asyncio.create_task(asyncio.to_thread(ask, tmp_path, "echo", {}))
            await asyncio.to_thread(accept_and_close)
            with pytest.raises(UnavailableError, match="did not answer"):
                await asked

        asyncio.run(both())


def test_stopping_ends_what_is_under_way(tmp_path: Path) -> None:
    async def never(_: str, __: dict[str, Json], ___: Tell | None) -> Reply:
        await asyncio.sleep(3_600)
        raise AssertionError

    async def stop_early(handle: Callable[[str, dict[str, Json], Tell | None], Awaitable[Reply]]) -> None:
        listener = Listener(tmp_path, handle)
        await listener.start()
        asked = asyncio.create_task(asyncio.to_thread(ask, tmp_path, "pull", {}))
        await asyncio.sleep(0.2)
        await listener.stop()
        with pytest.raises(UnavailableError):
            await asked

    asyncio.run(asyncio.wait_for(stop_early(never), 60))


def test_a_request_is_what_was_asked() -> None:
    body = json.dumps({"operation": "a", "arguments": {"b": [1]}}).encode()
    assert parse_request(body) == ("a", {"b": [1]}, False)
    assert parse_request(body[:-1] + b', "tell": true}') == ("a", {"b": [1]}, True)


@pytest.mark.parametrize("said", ["false", "1", '"yes"', "null", 'true, "more": 1'])
def test_a_request_that_says_more_is_none(said: str) -> None:
    with pytest.raises(MalformedRequest, match="JSON object"):
        parse_request(b'{"operation": "a", "arguments": {}, "tell": ' + said.encode() + b"}")


def test_who_asks_for_it_is_told_how_far_the_work_is(tmp_path: Path) -> None:
    told = list[tuple[int, int]]()
    reply = listening(tmp_path, lambda folder: ask(folder, "work", {}, tell=lambda *far: told.append(far)))
    assert reply == Reply(code=0, result={"operation": "work", "arguments": {}})
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_answer_that_looks_like_progress_is_an_answer_still(tmp_path: Path) -> None:
    """Progress is a frame of its own; what an operation says within its answer is none."""
    told = list[tuple[int, int]]()
    reply = listening(
        tmp_path, lambda folder: ask(folder, "x", {"done": 1, "of": 2}, tell=lambda *far: told.append(far))
    )
    assert reply is not None
    assert reply.result == {"operation": "x", "arguments": {"done": 1, "of": 2}}
    assert len(told) == 3


def test_who_does_not_listen_holds_nothing_up(tmp_path: Path) -> None:
    async def chatter(_: str, __: dict[str, Json], tell: Tell | None) -> Reply:
        assert tell is not None
        for done in range(300_000):
            tell(done, 300_000)
        return Reply(code=0, result={})

    async def send_and_wait() -> Reply:
        listener = Listener(tmp_path, chatter)
        await listener.start()
        try:
            body = json.dumps({"operation": "x", "arguments": {}, "tell": True}).encode()
            with socket.socket(socket.AF_UNIX) as connection, named(tmp_path) as name:
                connection.connect(name)
                connection.sendall(format_frame(body))
                await asyncio.sleep(2)
                return await asyncio.to_thread(read_last, connection)
        finally:
            await listener.stop()

    assert asyncio.run(send_and_wait()) == Reply(code=0, result={})


def read_last(connection: socket.socket) -> Reply:
    """The last of the frames that came; the other side closes the connection behind it."""
    data = bytearray()
    while part := connection.recv(1 << 16):
        data += part
    assert len(data) < 10_000
    frames = list[bytes]()
    while data:
        (length,) = LENGTH.unpack(data[: LENGTH.size])
        frames.append(bytes(data[LENGTH.size : LENGTH.size + length]))
        del data[: LENGTH.size + length]
    assert len(frames) > 1
    return parse_reply(frames[-1])
