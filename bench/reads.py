# SPDX-License-Identifier: Apache-2.0
"""Reading: pages that are in memory, pages that are not, compressed ones, single objects, small polls."""

import json
import random
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from arms import Arm, Asked, Reader, ask, run_bare, run_nginx
from least import run_least
from rows import Row, make_row

__all__ = ["PARTS", "Known", "learn", "make_arms", "make_warm_arm", "measure_reads"]

PARTS = frozenset({"pages", "cold", "gzip", "object", "small"})
_PAGES = 10
"""So many pages are asked for in turn where they are to be in memory."""
_MOST_PATHS = 9_000
_PAGE = 1_000

_AS_MANY = "nginx, as many bytes"
_AGAIN = 200
"""So many pages in turn are more than a node has in memory, and all were put on record once they were asked for."""

Ratio = tuple[str, str, str, str, str]
"""Key of the row, what is done, the arm, the arm it is held against, and that one in words."""

_LEAST = "the least that records"
"""The application of `least.py`."""

_RATIOS: Mapping[str, Sequence[Ratio]] = {
    "pages": [
        ("pages", "pages of 1,000 objects, in memory", "pages", "nginx", "nginx, the same bytes"),
        ("pages-over-least", "pages of 1,000 objects, in memory", "pages", "least-kept", _LEAST),
        ("least-pages", "the least: pages of 1,000 objects, in memory", "least-kept", "nginx", _AS_MANY),
    ],
    "cold": [
        ("pages-cold", "pages of 1,000 objects never given before, each composed", "cold", "nginx", _AS_MANY),
        ("pages-again", "pages of 1,000 objects given before, each composed again", "again", "nginx", _AS_MANY),
        ("pages-again-over-least", "pages given before, each composed again", "again", "least-page", _LEAST),
        ("least-cold", "the least: pages of 1,000 objects, each composed", "least-page", "nginx", _AS_MANY),
    ],
    "gzip": [("gzip", "pages of 1,000 objects, gzip, in memory", "gzip", "nginx", "nginx, the same bytes, plain")],
    "object": [
        ("object", "one object by its id, another each time", "object", "bare-object", "a bare application"),
        ("object-over-least", "one object by its id, another each time", "object", "least-object", _LEAST),
        ("least-object", "the least: one object by its id", "least-object", "bare-object", "a bare application"),
    ],
    "small": [
        ("small", "polls of 1 to 10 objects, others each time", "small", "bare-small", "a bare application"),
        ("small-over-least", "polls of 1 to 10 objects, others each time", "small", "least-small", _LEAST),
        ("least-small", "the least: polls of 1 to 10 objects", "least-small", "bare-small", "a bare application"),
        ("empty", "polls that find nothing", "empty", "bare-empty", "a bare application"),
    ],
}


@dataclass(frozen=True, slots=True)
class Known:
    """What a reader learnt of a world: its first pages by path, their objects, and when each object was added."""

    pages: Mapping[str, bytes]
    ids: Sequence[str]
    objects: Sequence[Mapping[str, object]]
    dates: Sequence[str]

    @property
    def page_bytes(self) -> int:
        """Of a full page, on average."""
        full = [len(body) for body in self.pages.values()]
        return round(statistics.mean(full))


def learn(reader: Reader) -> Known:
    """What a reader learns by reading."""
    pages = dict(reader.read_pages(most=min(_PAGES, reader.built.objects // _PAGE)))
    objects = [item for body in pages.values() for item in json.loads(body)["objects"]]
    path, dates, ids = f"{reader.built.objects_path[: -len('objects/')]}manifest/", list[str](), list[str]()
    after = ""
    while True:
        found = reader.get(f"{path}?limit={_PAGE}{after}").json()
        dates += [item["date_added"] for item in found["objects"]]
        ids += [item["id"] for item in found["objects"]]
        if not found.get("more"):
            break
        after = f"&next={found['next']}"
    if len(dates) != reader.built.objects:
        sys.exit(f"the manifest lists {len(dates)} objects of {reader.built.objects}")
    return Known(pages, ids, objects, dates)


def make_warm_arm(folder: Path, reader: Reader, known: Known) -> Arm:
    """The first pages, in turn."""
    return reader.arm(folder, "pages", {path: len(body) for path, body in known.pages.items()})


def _make_cold_arm(folder: Path, reader: Reader, known: Known) -> Arm:
    """Full pages that begin at any object: so many that none is in memory any more when it is asked for again."""
    places = _pick(len(known.dates) - _PAGE)
    paths = {f"{reader.built.objects_path}?added_after={quote(known.dates[place])}": place for place in places}
    for path, place in paths.items():
        if place + 1 + _PAGE <= len(known.objects):
            _verify(reader, path, known.objects[place + 1 : place + 1 + _PAGE])
            break
    return reader.arm(folder, "cold", dict.fromkeys(paths, known.page_bytes))


def _make_again_arm(folder: Path, reader: Reader, known: Known) -> Arm:
    """Some of these pages, in turn: none is in memory, but what was given in each is on record already."""
    places = _pick(len(known.dates) - _PAGE)[:_AGAIN]
    paths = [f"{reader.built.objects_path}?added_after={quote(known.dates[place])}" for place in places]
    return reader.arm(folder, "again", dict.fromkeys(paths, known.page_bytes))


def measure_reads(
    folder: Path,
    reader: Reader,
    known: Known,
    *,
    parts: frozenset[str],
    concurrencies: Sequence[int],
    rounds: int,
    seconds: float,
) -> list[Row]:
    """The rows of `parts`, all arms asked in turn in every round."""
    ratios = [ratio for part, found in _RATIOS.items() if part in parts for ratio in found]
    wanted = {arm for ratio in ratios for arm in ratio[2:4]}
    rows = list[Row]()
    with ExitStack() as stack:
        arms = make_arms(folder, reader, known, wanted=wanted, stack=stack)
        for concurrency in concurrencies:
            taken = [
                {name: ask(arm, concurrency=concurrency, seconds=seconds) for name, arm in arms.items()}
                for _ in range(rounds + 1)
            ][1:]  # the first round fills caches
            rows += [_make_row(ratio, reader, taken, concurrency=concurrency) for ratio in ratios]
        _verify_again(reader, known)
    return rows


def _make_row(ratio: Ratio, reader: Reader, taken: Sequence[Mapping[str, Asked]], *, concurrency: int) -> Row:
    key, work, one, other, words = ratio
    built = reader.built
    samples = [each[one].rate for each in taken]
    waits = (
        f"p50 {_median(taken, one, lambda a: a.p50_ms):.1f} ms, p99 {_median(taken, one, lambda a: a.p99_ms):.1f} ms"
    )
    return make_row(
        key,
        work,
        # Alone, each small answer waits for the disk once; the targets of small answers are about many at once.
        judged=concurrency > 1 or key not in {"object", "small"},
        at=(built.objects, built.agreements, reader.workers, concurrency),
        value=statistics.median(samples),
        unit="answers/s",
        against=words,
        its_value=_median(taken, other, lambda asked: asked.rate),
        ratio=statistics.median(each[one].rate / each[other].rate for each in taken),
        cpu_microseconds=_median(taken, one, lambda asked: asked.cpu_microseconds),
        its_cpu_microseconds=_median(taken, other, lambda asked: asked.cpu_microseconds),
        note=waits,
        samples=samples,
    )


def _median(taken: Sequence[Mapping[str, Asked]], name: str, read: Callable[[Asked], float]) -> float:
    return statistics.median(read(each[name]) for each in taken)


def make_arms(folder: Path, reader: Reader, known: Known, *, wanted: set[str], stack: ExitStack) -> dict[str, Arm]:
    """The arms whose names are wanted; what they need is served until `stack` is closed."""
    arms = dict[str, Arm]()
    base = reader.built.objects_path
    if "nginx" in wanted:
        names = {f"{number}.json": body for number, body in enumerate(known.pages.values())}
        arms["nginx"] = stack.enter_context(run_nginx(folder / "nginx", names))
    if "pages" in wanted:
        arms["pages"] = make_warm_arm(folder, reader, known)
    if "cold" in wanted:
        arms["cold"] = _make_cold_arm(folder, reader, known)
    if "again" in wanted:
        arms["again"] = _make_again_arm(folder, reader, known)
    if "gzip" in wanted:
        sizes = {path: _read_compressed(reader, path, body) for path, body in known.pages.items()}
        arms["gzip"] = reader.arm(folder, "gzip", sizes, encoding="gzip")
    size = known.page_bytes // _PAGE
    if "object" in wanted:
        ids = [known.ids[place] for place in _pick(len(known.ids))]
        _verify(reader, f"{base}{known.objects[0]['id']}/?limit=1", known.objects[:1])
        arms["object"] = reader.arm(folder, "object", {f"{base}{item}/?limit=": size + 14 for item in ids}, vary=True)
    if "small" in wanted:
        places = _pick(len(known.dates) - _PAGE)
        counts = [(place, number % 10 + 1) for number, place in enumerate(places)]
        paths = {
            f"{base}?limit={count}&added_after={quote(known.dates[place])}": 120 + count * size
            for place, count in counts
        }
        arms["small"] = reader.arm(folder, "small", paths)
        arms["empty"] = reader.arm(folder, "empty", {f"{base}?added_after={quote(known.dates[-1])}": 2})
    bodies = {"bare-object": b"x" * (size + 14), "bare-small": b"x" * (120 + 11 * size // 2), "bare-empty": b"{}"}
    bodies = {name: body for name, body in bodies.items() if name in wanted}
    if bodies:
        arms |= stack.enter_context(run_bare(folder / "bare", bodies, workers=reader.workers))
    if any(name.startswith("least-") for name in wanted):
        objects = [(str(item["id"]), json.dumps(item, separators=(",", ":")).encode()) for item in known.objects]
        places = _pick(max(1, len(objects) - _PAGE))
        arms |= stack.enter_context(run_least(folder / "least", objects, places=places))
    return arms


def _pick(count: int) -> list[int]:
    """At most so many places that LuaJIT takes them, all over the feed, in no order, the same every time."""
    places = random.Random(1).sample(range(count), min(count, _MOST_PATHS))  # noqa: S311 (the same every time)
    # One that is within the pages that are known stands first, so that it can be held against them.
    return sorted(places, key=lambda place: place >= _PAGE * (_PAGES - 1))


def _verify(reader: Reader, path: str, expected: Sequence[Mapping[str, object]]) -> None:
    if reader.get(path).json()["objects"] != [*expected]:
        sys.exit(f"{path} does not give what the pages gave")


def _verify_again(reader: Reader, known: Known) -> None:
    """The pages are still what nginx gave all the time."""
    for path, body in known.pages.items():
        if reader.get(path).content != body:
            sys.exit(f"{path} gives other bytes than before")


def _read_compressed(reader: Reader, path: str, body: bytes) -> int:
    """Bytes of the page compressed, which unfolds to the same."""
    answer = reader.get(path, encoding="gzip")
    if answer.content != body or answer.headers.get("content-encoding") != "gzip":
        sys.exit(f"{path} compressed is not the page")
    return int(answer.headers["content-length"])
