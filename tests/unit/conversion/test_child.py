# SPDX-License-Identifier: Apache-2.0
"""A converter in a process of its own does no harm to this one."""

import os
import sys
import time
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
