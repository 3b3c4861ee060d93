# SPDX-License-Identifier: Apache-2.0
"""Whether an answer costs more where more is held, and under more agreements: all worlds are served, asked in turn."""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from arms import Arm, Asked, ask, run_comity
from reads import learn, make_arms
from rows import Row, make_row
from worlds import Built, copy_world

__all__ = ["measure_growth"]

_KINDS = {
    "pages": ("growth", "CPU of a page in memory"),
    "cold": ("growth-cold", "CPU of a page that is composed"),
    "object": ("growth-object", "CPU of an object by its id"),
    "small": ("growth-small", "CPU of a poll of 1 to 10 objects"),
}


def measure_growth(worlds: Sequence[Built], scratch: Path, *, workers: int, rounds: int, seconds: float) -> list[Row]:
    """The server's CPU for each answer in each world, held against the first world."""
    with ExitStack() as stack:
        arms = [_serve(built, scratch / built.folder.name, workers=workers, stack=stack) for built in worlds]
        taken = [
            [{kind: ask(arm, concurrency=16, seconds=seconds) for kind, arm in each.items()} for each in arms]
            for _ in range(rounds + 1)
        ][1:]
    rows = list[Row]()
    for kind, (key, work) in _KINDS.items():
        for place, built in enumerate(worlds[1:], start=1):
            rows.append(
                _make_row(
                    key, work, (worlds[0], built), [(one[0][kind], one[place][kind]) for one in taken], workers=workers
                )
            )
    return rows


def _make_row(
    key: str, work: str, worlds: tuple[Built, Built], taken: Sequence[tuple[Asked, Asked]], *, workers: int
) -> Row:
    least, built = worlds
    samples = [more.cpu_microseconds for _, more in taken]
    return make_row(
        key,
        work,
        at=(built.objects, built.agreements, workers, 16),
        value=statistics.median(samples),
        unit="µs",
        against=f"the same with {least.objects:,} objects and {least.agreements:,} agreements",
        its_value=statistics.median(less.cpu_microseconds for less, _ in taken),
        ratio=statistics.median(more.cpu_microseconds / less.cpu_microseconds for less, more in taken),
        samples=samples,
    )


def _serve(built: Built, folder: Path, *, workers: int, stack: ExitStack) -> dict[str, Arm]:
    folder.mkdir(parents=True)
    world = copy_world(built, folder / "world")
    reader = stack.enter_context(run_comity(world, workers=workers, log=folder / "server.log"))
    known = learn(reader)
    return make_arms(folder, reader, known, wanted={*_KINDS}, stack=stack)
