# SPDX-License-Identifier: Apache-2.0
"""The speed of a served node, side by side with what it is held against, in one run.

    scripts/bench                                               10,000 objects, one agreement, one process
    scripts/bench --objects 10000 1000000 --agreements 1 1000   10,000 under one agreement, 1,000,000 under 1,000
    scripts/bench --only pages,ingest --workers 1 2 --rounds 7

What is measured, how, and what must be there for it: bench/README.md.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import growth
import machine
import memory
import others
import reads
import stops
import writes
from arms import Reader, run_comity
from rows import Row
from worlds import Built, copy_world, find_world

RESULTS = Path(__file__).resolve().parent / "results"
PARTS = ("pages", "cold", "gzip", "object", "small", "full", "memory", "ingest", "mixed", "suspend", "growth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much of everything."""

    parts: frozenset[str]
    sizes: Sequence[tuple[int, int]]
    workers: Sequence[int]
    concurrencies: Sequence[int]
    rounds: int
    seconds: float
    envelopes: int
    suspensions: int
    peer_objects: int


def main() -> None:
    """Build, serve, ask in turns, write."""
    options, kept, file = _read_options()
    with tempfile.TemporaryDirectory(prefix="comity-bench-") as scratch:
        rows = measure(options, kept=kept or Path(scratch) / "worlds", scratch=Path(scratch) / "run")
    described = {"machine": machine.describe(), "options": _describe(options), "rows": [asdict(row) for row in rows]}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def measure(options: Options, *, kept: Path, scratch: Path) -> list[Row]:
    """The rows of everything that the options ask for."""
    rows = list[Row]()

    def take(found: Sequence[Row]) -> None:
        rows.extend(found)
        for row in found:
            _print(row)

    worlds = [find_world(kept, objects=objects, agreements=agreements) for objects, agreements in options.sizes]
    for workers in options.workers:
        for built in worlds:
            for number, work in enumerate(_plan(options)):
                _in_world(built, scratch / f"{workers}-{built.folder.name}-{number}", work, workers=workers, take=take)
        if "growth" in options.parts and len(worlds) > 1:
            folder = scratch / f"{workers}-growth"
            take(growth.measure_growth(worlds, folder, workers=workers, rounds=options.rounds, seconds=options.seconds))
    return rows


Work = Callable[[Path, Reader], Sequence[Row]]


def _plan(options: Options) -> list[Work]:
    """What is done in a world, each with a copy of its own."""
    plan = list[Work]()
    if "memory" in options.parts:
        plan.append(lambda _, reader: memory.measure_memory(reader))
    if options.parts & (reads.PARTS | {"full"}):
        plan.append(lambda folder, reader: _read(options, folder, reader))
    if options.parts & {"ingest", "mixed"}:
        plan.append(
            lambda folder, reader: writes.measure_writes(
                folder,
                reader,
                parts=options.parts,
                rounds=options.rounds,
                seconds=options.seconds,
                envelopes=options.envelopes,
            )
        )
    if "suspend" in options.parts:
        plan.append(lambda _, reader: stops.measure_stops(reader, suspensions=options.suspensions))
    return plan


def _read(options: Options, folder: Path, reader: Reader) -> list[Row]:
    rows = list[Row]()
    if options.parts & reads.PARTS:
        known = reads.learn(reader)
        rows += reads.measure_reads(
            folder,
            reader,
            known,
            parts=options.parts,
            concurrencies=options.concurrencies,
            rounds=options.rounds,
            seconds=options.seconds,
        )
    if "full" in options.parts:
        rows += others.measure_full(folder, reader, rounds=options.rounds, peer_objects=options.peer_objects)
    return rows


def _in_world(built: Built, folder: Path, work: Work, *, workers: int, take: Callable[[Sequence[Row]], None]) -> None:
    folder.mkdir(parents=True)
    world = copy_world(built, folder / "world")
    with run_comity(world, workers=workers, log=folder / "server.log") as reader:
        take(work(folder, reader))
    shutil.rmtree(folder)


def _print(row: Row) -> None:
    its_cpu = "" if row.its_cpu_microseconds is None else f", CPU {row.its_cpu_microseconds:,.0f} µs"
    against = "" if row.its_value is None else f"  against {row.its_value:,.1f} {row.against}{its_cpu}"
    ratio = "" if row.ratio is None else f"  ratio {row.ratio:.2f}"
    cpu = "" if row.cpu_microseconds is None else f"  CPU {row.cpu_microseconds:,.0f} µs"
    verdict = "" if row.reached is None else f"  [{row.target}: {'reached' if row.reached else 'NOT reached'}]"
    where = f"{row.objects}×{row.agreements} w{row.workers} c{row.concurrency}"
    print(f"{where:24} {row.work:48} {row.value:,.1f} {row.unit}{cpu}{against}{ratio}{verdict}  {row.note}", flush=True)


_QUICK: Mapping[str, object] = {
    "objects": [2_000],
    "agreements": [2],
    "rounds": 1,
    "seconds": 1,
    "concurrency": [16],
    "envelopes": 6,
    "suspensions": 5,
    "peer_objects": 500,
}
"""What `--quick` takes where nothing else is said."""


# ---- options ---------------------------------------------------------------------------------------------------------


def _read_options() -> tuple[Options, Path | None, Path]:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n", maxsplit=1)[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--objects", type=int, nargs="+", default=[10_000], help="sizes of the worlds")
    parser.add_argument("--agreements", type=int, nargs="+", default=[1], help="of each world, in the same order")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="processes that serve")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[16, 1], help="connections at once")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of each asking")
    parser.add_argument("--envelopes", type=int, default=100, help="that are written, over all rounds")
    parser.add_argument("--suspensions", type=int, default=100)
    parser.add_argument("--peer-objects", type=int, default=5_000, help="that other servers hold")
    parser.add_argument("--world", type=Path, help="a folder in which built worlds are kept for the next run")
    parser.add_argument("--name", default="latest", help="of the file of results")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for that file")
    parser.add_argument("--quick", action="store_true", help="2,000 objects, a round of a second: does all of it run?")
    if "--quick" in sys.argv:
        parser.set_defaults(**_QUICK)
    given = parser.parse_args()
    parts = frozenset(filter(None, given.only.split(",")))
    if unknown := parts - set(PARTS):
        parser.error(f"no part is called {min(unknown)}; there are {', '.join(PARTS)}")
    if len(given.agreements) not in {1, len(given.objects)}:
        parser.error("give --agreements once, or as many as --objects")
    if len(given.agreements) == 1:
        given.agreements *= len(given.objects)
    for needed in ("wrk", "nginx"):
        if shutil.which(needed) is None:
            parser.error(f"{needed} is not installed; on Debian: apt-get install wrk nginx-light")
    options = Options(
        parts=parts,
        sizes=[*zip(given.objects, given.agreements, strict=True)],
        workers=given.workers,
        concurrencies=given.concurrency,
        rounds=given.rounds,
        seconds=given.seconds,
        envelopes=given.envelopes,
        suspensions=given.suspensions,
        peer_objects=given.peer_objects,
    )
    return options, given.world, given.results / f"{given.name}.json"


def _describe(options: Options) -> dict[str, object]:
    values = {name: getattr(options, name) for name in Options.__slots__}
    return {**values, "parts": [part for part in PARTS if part in options.parts]}


if __name__ == "__main__":
    main()
