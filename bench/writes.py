# SPDX-License-Identifier: Apache-2.0
"""Writing: envelopes POSTed by one partner, each answered when it is on the disk; and what polls lose meanwhile."""

import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arms import Arm, Asked, Reader, ask
from processes import read_cpu
from reads import learn, make_warm_arm
from rows import Row, find_rank, make_row
from worlds import ENVELOPE, make_envelope, make_mixed_envelope

from tests.conformance.peers import VENV, make_venv

__all__ = ["PARTS", "Writer", "measure_writes"]

PARTS = frozenset({"ingest", "mixed"})
_MEDIA_TYPE = "application/taxii+json;version=2.1"
_SPARE = 10_000_000
"""The first number of an object that no world holds."""
_MOST_PER_SECOND = 40
"""Envelopes that are made ready for each second of writing without a pause."""
_ALONE = 5
"""Envelopes that are written in each round while nobody polls."""
_PARSE = """
import json, sys, time, stix2
objects = json.load(sys.stdin)["objects"]
started = time.perf_counter()
for item in objects:
    stix2.parse(item, allow_custom=True)
print(len(objects) / (time.perf_counter() - started))
"""

Make = Callable[[int], bytes]


@dataclass(slots=True, kw_only=True)
class Writer:
    """The partner that writes, with one connection; `numbers` gives objects that were not sent before."""

    reader: Reader
    first: int = _SPARE
    waits: list[float] = field(default_factory=list)

    def prepare(self, count: int, make: Make = make_envelope) -> list[bytes]:
        """So many envelopes, made before the clock runs."""
        made = [make(self.first + number * ENVELOPE) for number in range(count)]
        self.first += count * ENVELOPE
        return made

    def write(self, envelopes: Sequence[bytes], *, until: threading.Event | None = None) -> int:
        """How many were written: all of them, or those before `until`; the waiting time of each is noted, in seconds.

        Raises:
            SystemExit: an envelope was not taken whole.
        """
        built = self.reader.built
        headers = {"Authorization": f"Bearer {built.write_secret}", "Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE}
        connection = http.client.HTTPConnection("127.0.0.1", self.reader.port, timeout=120)
        count = 0
        for body in envelopes:
            if until is not None and until.is_set():
                break
            started = time.perf_counter()
            connection.request("POST", built.write_path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            self.waits.append(time.perf_counter() - started)
            count += 1
            if answer.status != http.client.ACCEPTED or json.loads(said)["success_count"] != ENVELOPE:
                sys.exit(f"an envelope was not taken whole: {answer.status} {said[:300]!r}")
        connection.close()
        return count


def measure_writes(
    folder: Path, reader: Reader, *, parts: frozenset[str], rounds: int, seconds: float, envelopes: int
) -> list[Row]:
    """The rows of `parts`."""
    if problem := make_venv():
        sys.exit(problem)
    writer = Writer(reader=reader)
    writer.write(writer.prepare(2))  # schemas are compiled when they are first asked for
    rows = list[Row]()
    if "ingest" in parts:
        for make, kinds in (
            (make_envelope, "indicators"),
            (make_mixed_envelope, "four kinds that refer to each other"),
        ):
            judged = make is make_envelope
            rows += _measure_ingest(writer, make, kinds, rounds=rounds, envelopes=envelopes, judged=judged)
    if "mixed" in parts:
        rows += _measure_mixed(folder, writer, rounds=rounds, seconds=seconds)
    return rows


def _measure_ingest(writer: Writer, make: Make, kinds: str, *, rounds: int, envelopes: int, judged: bool) -> list[Row]:
    reader, rates, parsed, costs = writer.reader, list[float](), list[float](), list[float]()
    writer.waits = []
    for _ in range(rounds):
        made = writer.prepare(max(1, envelopes // rounds), make)
        used, started = read_cpu(reader.pid), time.perf_counter()
        count = writer.write(made) * ENVELOPE
        rates.append(count / (time.perf_counter() - started))
        costs.append((read_cpu(reader.pid) - used) / count * 1e6)
        parsed.append(_parse(made[0]))
    waits = sorted(wait * 1e3 for wait in writer.waits)
    at = (reader.built.objects, reader.built.agreements, reader.workers, 1)
    p50, p99 = statistics.median(waits), find_rank(waits, 0.99)
    work = f"envelopes of 1,000 written: {kinds}"
    rows: list[tuple[str, str, float, str, dict[str, object]]] = [
        ("ingest", "", statistics.median(rates), "objects/s", {"cpu_microseconds": statistics.median(costs)}),
        ("ingest-p50", ": wait, median", p50, "ms", {}),
        ("ingest-p99", ": wait, 99 %", p99, "ms", {"note": f"{len(waits)} envelopes, longest {waits[-1]:.1f} ms"}),
        (
            "ingest-stix2",
            ", over parsing alone",
            statistics.median(rates),
            "objects/s",
            {
                "against": "stix2.parse alone",
                "its_value": statistics.median(parsed),
                "ratio": statistics.median(one / other for one, other in zip(rates, parsed, strict=True)),
                "samples": rates,
            },
        ),
    ]
    return [
        make_row(key, work + what, at=at, value=value, unit=unit, judged=judged, **more)
        for key, what, value, unit, more in rows
    ]


def _parse(envelope: bytes) -> float:
    """Objects a second that stix2 parses, in a Python of its own."""
    python = VENV / "bin" / "python"
    said = subprocess.run([python, "-c", _PARSE], input=envelope, capture_output=True, check=True).stdout
    return float(said)


def _measure_mixed(folder: Path, writer: Writer, *, rounds: int, seconds: float) -> list[Row]:
    reader = writer.reader
    arm = make_warm_arm(folder, reader, learn(reader))
    alone, undisturbed, busy, written = list[Asked](), list[float](), list[Asked](), list[float]()
    for _ in range(rounds + 1):
        alone.append(ask(arm, concurrency=16, seconds=seconds))
        few, started = writer.prepare(_ALONE), time.perf_counter()
        undisturbed.append(writer.write(few) * ENVELOPE / (time.perf_counter() - started))
        meanwhile = _ask_and_write(writer, arm, seconds=seconds)
        busy.append(meanwhile[0])
        written.append(meanwhile[1])
    del alone[0], undisturbed[0], busy[0], written[0]  # the first round fills caches
    kept = [asked.rate for asked in busy]
    at = (reader.built.objects, reader.built.agreements, reader.workers, 16)
    return [
        make_row(
            "mixed",
            "pages in memory, while a partner writes without a pause",
            at=at,
            value=statistics.median(kept),
            unit="answers/s",
            against="the same while nobody writes",
            its_value=statistics.median(asked.rate for asked in alone),
            ratio=statistics.median(one.rate / other.rate for one, other in zip(busy, alone, strict=True)),
            note=f"p99 {statistics.median(asked.p99_ms for asked in busy):.0f} ms",
            samples=kept,
        ),
        make_row(
            "mixed-written",
            "what that partner writes meanwhile",
            at=at,
            value=statistics.median(written),
            unit="objects/s",
            against="the same while nobody polls",
            its_value=statistics.median(undisturbed),
            ratio=statistics.median(one / other for one, other in zip(written, undisturbed, strict=True)),
            samples=written,
        ),
    ]


def _ask_and_write(writer: Writer, arm: Arm, *, seconds: float) -> tuple[Asked, float]:
    """What comes of asking while envelopes are written, and how many objects a second are."""
    envelopes, stop, done = writer.prepare(round(_MOST_PER_SECOND * (seconds + 1))), threading.Event(), list[int]()
    thread = threading.Thread(target=lambda: done.append(writer.write(envelopes, until=stop)))
    started = time.perf_counter()
    thread.start()
    busy = ask(arm, concurrency=16, seconds=seconds)
    still_writing = thread.is_alive()
    stop.set()
    thread.join()
    taken = time.perf_counter() - started
    if not done or not still_writing:
        sys.exit("the writer ended before the time was up: it was refused (see above), or had nothing left to write")
    return busy, done[0] * ENVELOPE / taken
