# SPDX-License-Identifier: Apache-2.0
"""Races picked by hand, and every history that once failed: what each comes to is written beside its steps."""

from pathlib import Path

import pytest

from tests.simulation import replay
from tests.simulation.play import play, read_history, save_history, set_stage

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_history(path: Path) -> None:
    steps = read_history(path)
    assert len(list(play(steps))) == len(steps)


def test_there_are_histories() -> None:
    assert len(HISTORIES) >= 20


def test_the_same_steps_come_to_the_same() -> None:
    steps = read_history(next(path for path in HISTORIES if path.stem == "joiners-of-each-other"))
    heads = list[dict[str, list[bytes]]]()
    for _ in range(2):
        with set_stage() as stage:
            for step in steps:
                stage.take(step)
            heads.append(stage.simulation.heads)
    assert heads[0] == heads[1]


def test_a_history_that_fails_is_told_and_made_shorter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it fails for here is a wrong expectation, which no history can meet."""
    steps = read_history(next(path for path in HISTORIES if path.stem == "two-suspensions-one-lifting"))
    path = tmp_path / "failing.json"
    wrong = {"do": "hold", "by": "borealia", "held": ["what nobody has"], "comes_to": "done"}
    save_history(path, [*steps, wrong], about="")
    assert replay.main([str(path)]) == 1
    assert replay.main(["--shorten", str(path)]) == 1
    assert read_history(path) == [steps[0], wrong]
    assert "✗" in capsys.readouterr().out
    save_history(path, steps, about="")
    assert replay.main([str(path)]) == 0
    assert replay.main([]) == 2
