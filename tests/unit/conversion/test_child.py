# SPDX-License-Identifier: Apache-2.0
"""A converter in a process of its own does no harm to this one."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from comity.conversion.child import Bounds, Child
from comity.errors import MalformedRequest

BOUNDS = Bounds(memory=1 << 30, seconds=2, answer=1 << 20)
PROGRAM = """
import os, sys, time
from comity.conversion.child import serve_frames

def respond(frame):
    word = frame.partition(b" ")[0]
    if word == b"memory":
        return b"x" * (1 << 31)
    if word == b"loop":
        while True:
            pass
    if word == b"sleep":
        time.sleep(60)
    if word == b"exit":
        os._exit(0)
    if word == b"long":
        return b"y" * (1 << 22)
    if word == b"print":
        print("noise" * 1000)
    if word == b"write":
        try:
            with open(frame.split()[1], "wb") as file:
                file.write(b"z")
        except OSError as error:
            return type(error).__name__.encode()
    if word == b"environment":
        return repr(sorted(os.environ)).encode()
    return frame[::-1]

serve_frames(respond)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A converter that does what it is told to, found by the child beside its own."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "converter.py").write_text(PROGRAM, encoding="utf-8")
    starter = tmp_path / "python"
    starter.write_text(f'#!/bin/sh\nshift\nexec env PYTHONPATH={site} "{sys.executable}" "$@"\n', encoding="utf-8")
    starter.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(starter))
    return "converter"


def ask(child: Child, frame: bytes, *, wait: float = 60.0) -> bytes | None:
    child.ask(frame)
    return child.answer(wait=wait)


def test_questions_are_answered_one_after_another(module: str) -> None:
    with Child(module, bounds=BOUNDS) as child:
        assert ask(child, b"abc") == b"cba"
        long = os.urandom(900_000)
        assert ask(child, long) == long[::-1]
        assert ask(child, b"print") == b"tnirp"


def test_who_asks_need_not_wait(module: str) -> None:
    with Child(module, bounds=BOUNDS) as child:
        started = time.monotonic()
        assert ask(child, b"sleep", wait=0.01) is None
        assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("word", "said"), [(b"memory", "memory"), (b"exit", "ended"), (b"long", "longer"), (b"sleep", "longer than 2 s")]
)
def test_a_child_that_fails_is_one_refusal(module: str, word: bytes, said: str) -> None:
    with Child(module, bounds=BOUNDS) as child, pytest.raises(MalformedRequest, match=said):
        assert ask(child, word) is None


def test_a_child_that_loops_is_ended(module: str) -> None:
    with Child(module, bounds=BOUNDS) as child, pytest.raises(MalformedRequest):
        ask(child, b"loop")


def test_a_child_writes_no_file(module: str, tmp_path: Path) -> None:
    with Child(module, bounds=BOUNDS) as child:
        assert ask(child, b"write " + os.fsencode(tmp_path / "left")) == b"OSError"
    assert (tmp_path / "left").read_bytes() == b""


def test_a_child_knows_nothing_of_this_process(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMITY_SECRET", "x")
    with Child(module, bounds=BOUNDS) as child:
        said = ask(child, b"environment")
    assert said is not None
    assert b"COMITY" not in said


# --- one that is asked many times -------------------------------------------------------------------------------------

_APART = """
import os, time
from comity.conversion.child import serve_frames_apart

kept = [b""]

def prepare(frame):
    kept[0] = frame
    return b"ready"

def respond(frame):
    word, _, rest = frame.partition(b" ")
    if word == b"exit":
        os._exit(3)
    if word == b"long":
        return b"x" * (1 << 22)
    if word == b"linger" and os.fork() == 0:
        time.sleep(600)
    if word == b"sleep":
        time.sleep(600)
    if word == b"streams":
        return b" ".join(str(fd).encode() for fd in range(3, 64) if is_open(fd) and is_pipe(fd)) + b"|" + b" ".join(
            str(fd).encode() for fd in (0, 1) if is_open(fd)
        )
    before, kept[0] = kept[0], rest
    return before + b" " + str(os.getpid()).encode()

def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True

def is_pipe(fd):
    import stat
    return stat.S_ISFIFO(os.fstat(fd).st_mode)

serve_frames_apart(prepare, respond, idle=IDLE)
"""


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], str]:
    def write(idle: float) -> str:
        (tmp_path / "apart.py").write_text(_APART.replace("IDLE", str(idle)))
        program = tmp_path / "python"
        program.write_text(f'#!/bin/sh\nshift 3\nexec "{sys.executable}" "{tmp_path / "apart.py"}" "$@"\n')
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        return "apart"

    return write


def test_each_frame_is_answered_by_a_process_that_leaves_nothing_behind(apart: Callable[[float], str]) -> None:
    with Child(apart(60), bounds=BOUNDS) as child:
        assert ask(child, b"first") == b"ready"
        one, other = (ask(child, b"write other") or b"").split(), (ask(child, b"write other") or b"").split()
        assert (one[0], other[0]) == (b"first", b"first")
        assert one[1] != other[1]


def test_what_answers_has_no_stream_but_its_answer(apart: Callable[[float], str]) -> None:
    with Child(apart(60), bounds=BOUNDS) as child:
        ask(child, b"")
        pipes, _, standard = (ask(child, b"streams") or b"").partition(b"|")
        assert (len(pipes.split()), standard) == (1, b"")


@pytest.mark.parametrize("word", [b"exit", b"long", b"sleep", b"linger"])
def test_one_that_fails_apart_is_one_refusal_and_nothing_is_left(word: bytes, apart: Callable[[float], str]) -> None:
    with Child(apart(60), bounds=BOUNDS) as child:
        ask(child, b"")
        group = child._process.pid
        with pytest.raises(MalformedRequest):
            ask(child, word)
    wait_for_end(group)


def wait_for_end(group: int) -> None:
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("a process of the child is left")


def test_when_who_asked_is_killed_nothing_of_it_is_left(apart: Callable[[float], str]) -> None:
    """As `kill -9` has it: no word is said to the child, and no process of its group is ended."""
    child = Child(apart(60), bounds=BOUNDS)
    ask(child, b"")
    group = child._process.pid
    child.ask(b"sleep")
    assert child.answer(wait=0.5) is None
    for stream in (child._process.stdin, child._process.stdout):
        assert stream is not None
        stream.close()
    assert child._process.wait(60) == 0
    wait_for_end(group)


def test_a_copy_of_who_asks_does_not_end_the_child(apart: Callable[[float], str]) -> None:
    with Child(apart(60), bounds=BOUNDS) as child:
        ask(child, b"first")
        if (copy := os.fork()) == 0:
            child.close()
            os._exit(0)
        assert os.waitpid(copy, 0)[1] == 0
        assert (ask(child, b"write other") or b"").split()[0] == b"first"


def test_one_that_nobody_asks_ends(apart: Callable[[float], str]) -> None:
    with Child(apart(0.1), bounds=BOUNDS) as child:
        ask(child, b"")
        for _ in range(100):
            if child.ended:
                return
            time.sleep(0.05)
    pytest.fail("it waits for ever")
