# SPDX-License-Identifier: Apache-2.0
"""Long work in steps: each is run to its end, and the collector of garbage is as it was before."""

import gc

import pytest

from comity.node.steps import Done, Steps, advance, finish, set_aside


def count_to(most: int, seen: list[tuple[int, bool]]) -> Steps[str]:
    for number in range(most):
        seen.append((number, gc.isenabled()))
        yield
    return "done"


def test_one_step_at_a_time_and_then_the_result() -> None:
    seen: list[tuple[int, bool]] = []
    steps = count_to(2, seen)
    assert advance(steps) is None
    assert seen == [(0, False)]
    assert gc.isenabled()
    assert advance(steps) is None
    assert advance(steps) == Done("done")
    assert gc.isenabled()


def test_finish_runs_all_of_them() -> None:
    seen: list[tuple[int, bool]] = []
    assert finish(count_to(3, seen)) == "done"
    assert [number for number, _ in seen] == [0, 1, 2]


def test_a_failure_comes_out_and_garbage_is_collected_again() -> None:
    def fail() -> Steps[None]:
        yield
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        finish(fail())
    assert gc.isenabled()


def test_where_nobody_collects_nobody_is_made_to() -> None:
    gc.disable()
    try:
        finish(count_to(1, []))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_was_set_aside_is_looked_through_again_in_the_end() -> None:
    """And what a process set aside when it began to serve stays so."""
    gc.unfreeze()
    with set_aside() as keep_aside:
        made = [[number] for number in range(1_000)]
        keep_aside()
        assert gc.get_freeze_count() >= len(made)
    assert gc.get_freeze_count() == 0
    gc.freeze()
    try:
        with pytest.raises(ValueError, match="bad"), set_aside():
            raise ValueError("bad")
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
