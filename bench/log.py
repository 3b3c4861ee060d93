# SPDX-License-Identifier: Apache-2.0
"""What the disclosure log costs: an append that is on the disk, many at once, proofs, an audit; and what size changes.

    scripts/bench-log [--entries 1000000] [--sizes 10000 100000 1000000 10000000] [--rounds 5] [--results DIR]

A node is founded in a temporary folder below the working directory, on whose disk everything is. Appends are acts of
the node as a poll makes them, in the log of one relationship; a bare fdatasync of 4 KiB at the end of a file, asked in
turn with them, is what they are held against. Of the sizes only tiles and a signed head are there: of the rest of a log
neither an append nor a proof reads anything. The log that is audited has everything, and its audit is measured in
seconds of the processor.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import machine

from comity.canonical import sha256_digest
from comity.config import Address
from comity.ids import AgreementId, Digest, PartyId
from comity.node.founding import found_node
from comity.node.heads import sign_head
from comity.node.journal import verify_store
from comity.node.node import Act, Node, open_node
from comity.release.disclosure import Answer, EntryType, format_disclosure
from comity.release.grounds import format_grounds
from comity.signing import Role
from comity.store import log, logs
from comity.tlog import merkle
from comity.tlog.merkle import append_leaves, consistency_proof, inclusion_proof, root_hash
from comity.tlog.tiles import TILE_WIDTH

RESULTS = Path(__file__).resolve().parent / "results" / "log"
_BATCH = 1_000
_FILL = 65_536
_PARTY, _PARTNER = PartyId("aurelia"), PartyId("borealia")
_TERMS, _AGREEMENT = Digest("9c" * 32), AgreementId("8b" * 32)
_TOKEN = "ab" * 8
_LISTING = log.Text(b'{"format":"comity-listing/1","objects":[]}')
_POLICY = log.Text(b"")
_GROUNDS = log.Grounds(
    text=log.Text(format_grounds(floor=0, labels=[_POLICY.digest], policy=_POLICY.digest)), policy=_POLICY
)
_CONTENT = format_disclosure(
    answer=Answer.OBJECTS, channel="main", epoch=3, grounds=_GROUNDS.digest, listing=_LISTING.digest
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `better` says on which side of the target a figure has to be: "≤" or "≥"."""

    work: str
    entries: int
    value: float
    unit: str
    against: str = ""
    its_value: float | None = None
    better: str = ""
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        """The figure over what it is held against."""
        return None if self.its_value is None else self.value / self.its_value

    @property
    def is_reached(self) -> bool | None:
        """Whether the target is; a target beside something else is one of the ratio."""
        if self.target is None:
            return None
        figure = self.value if self.ratio is None else self.ratio
        return figure <= self.target if self.better == "≤" else figure >= self.target


def main() -> int:
    """0; what was measured is printed and written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the log that is audited")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--appends", type=int, default=40, help="appends of one entry in a round")
    parser.add_argument("--proofs", type=int, default=100)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    found = machine.describe()
    rows: list[Row] = []
    for size in given.sizes:
        with _found_node() as node:
            _simulate(node, size)
            rows += _measure_size(node, size, rounds=given.rounds, appends=given.appends, proofs=given.proofs)
    rows += _hold_against_first(rows)
    rows += _measure_whole(given.entries)
    _write(given.results, rows, machine=found, options={"rounds": given.rounds, "appends": given.appends})
    return 0


@contextmanager
def _found_node() -> Iterator[Node]:
    with tempfile.TemporaryDirectory(prefix="bench-log-", dir=Path.cwd()) as folder:
        place = Path(folder) / "aurelia"
        found_node(place, party=_PARTY, name="Aurelia", state=None, listen=Address(host="127.0.0.1", port=0))
        node = open_node(place)
        try:
            yield node
        finally:
            node.close()


def _simulate(node: Node, size: int) -> None:
    """Let the log have the tiles and the head of `size` entries; but for the last few, only their hashes ever were."""
    start = 0
    with node.act() as act:
        number = logs.add_log(act.transaction, _TOKEN, agreement=_AGREEMENT, recipient=_PARTNER, now=act.now).number
    last = size % TILE_WIDTH
    while start < size - last:
        count = min(_FILL, size - last - start)
        hashes = os.urandom(32 * count)
        with node.store.write() as transaction:
            leaves = [hashes[place : place + 32] for place in range(0, len(hashes), 32)]
            log.write_tiles(transaction, append_leaves(_reader(transaction, number), start, leaves), number)
        start += count
    with node.store.write() as transaction:
        opening = log.Opening(salt=os.urandom(32), content=b"{}")
        entries = [log.Entry(leaf=os.urandom(290), opening=opening, log=number) for _ in range(last)]
        log.add_entries(transaction, log.count_entries(transaction), entries, range(start, size))
        root = root_hash(_reader(transaction, number), size)
        origin = f"{node.origin}/{_TOKEN}"
        log.add_head(transaction, size, sign_head(origin, size, root, signer=node.signers[Role.LOG]), number)


def _measure_size(node: Node, size: int, *, rounds: int, appends: int, proofs: int) -> list[Row]:
    bare, single, kept, many, busy = [list[float]() for _ in range(5)]
    with tempfile.TemporaryFile(dir=node.folder) as file:
        for _ in range(rounds):
            bare += [_time(lambda: _sync(file.fileno())) for _ in range(appends)]
            single += [_time(lambda: _append(node, 1, keeps_head=False)) for _ in range(appends)]
            kept += [_time(lambda: _append(node, 1, keeps_head=True)) for _ in range(appends // 4)]
            for _ in range(appends // 4):
                started = time.process_time()
                many.append(_time(lambda: _append(node, _BATCH, keeps_head=False)))
                busy.append(time.process_time() - started)
    node.keep_head()
    millisecond = 1_000
    alone = statistics.median(bare) * millisecond
    rows = [
        Row(
            work="one entry, on the disk when it returns",
            entries=size,
            value=statistics.median(single) * millisecond,
            unit="ms",
            against="a bare fdatasync of 4 KiB",
            its_value=alone,
            better="≤",
            target=2,
        ),
        Row(
            work="the same, with the head kept outside the store too",
            entries=size,
            value=statistics.median(kept) * millisecond,
            unit="ms",
            against="a bare fdatasync of 4 KiB",
            its_value=alone,
        ),
        Row(
            work=f"{_BATCH:,} entries in one commit",
            entries=size,
            value=_BATCH / statistics.median(many),
            unit="entries/s",
            better="≥",
            target=100_000,
        ),
        Row(
            work=f"{_BATCH:,} entries in one commit, by the processor",
            entries=size,
            value=_BATCH / statistics.median(busy),
            unit="entries/CPU s",
        ),
    ]
    return rows + _measure_proofs(node, size, proofs=proofs)


def _measure_proofs(node: Node, size: int, *, proofs: int) -> list[Row]:
    """Proofs at any places, nothing being remembered: neither subtrees here nor pages in the store's connection."""
    inclusion, consistency = list[float](), list[float]()
    for number in range(proofs):
        place = int.from_bytes(sha256_digest(str(number).encode()).encode()[:8]) % size
        for times, prove in (
            (inclusion, lambda read, place=place: inclusion_proof(read, place, size)),
            (consistency, lambda read, place=place: consistency_proof(read, place, size)),
        ):
            merkle._fold.cache_clear()  # noqa: SLF001 (what is remembered is not measured)
            times.append(_time(lambda prove=prove: _prove(node, prove)))
    return [
        Row(
            work=f"{kind} proof, nothing remembered",
            entries=size,
            value=statistics.median(times) * 1_000,
            unit="ms",
            better="≤",
            target=1,
        )
        for kind, times in (("inclusion", inclusion), ("consistency", consistency))
    ]


def _prove(node: Node, prove: Callable[[merkle.ReadTile], object]) -> None:
    with node.store.read() as transaction:
        prove(_reader(transaction, 1))


def _hold_against_first(rows: Sequence[Row]) -> list[Row]:
    """What each work costs at the largest size, over what it costs at the smallest."""
    sizes = sorted({row.entries for row in rows})
    first = {row.work: row for row in rows if row.entries == sizes[0]}
    last = [row for row in rows if row.entries == sizes[-1] and sizes[-1] != sizes[0]]
    return [
        Row(
            work=f"{row.work}: growth",
            entries=row.entries,
            value=row.value,
            unit=row.unit,
            against=f"the same at {sizes[0]:,}",
            its_value=first[row.work].value,
        )
        for row in last
    ]


def _measure_whole(entries: int) -> list[Row]:
    """A log with everything: bytes for each page, and its audit."""
    with _found_node() as node:
        while _read_size(node) < entries:
            _append(node, min(10 * _BATCH, entries - _read_size(node)), keeps_head=False)
        node.keep_head()
        leaf, opening = _read_bytes(node)
        seconds = _audit(node)
        size = _read_size(node)
    alone, heads = _audit_alone(max(1, size // 100))
    return [
        Row(work="an entry of a page: its leaf", entries=size, value=leaf, unit="bytes", better="≤", target=300),
        Row(work="an entry of a page: its part of all tiles", entries=size, value=32 * 256 / 255, unit="bytes"),
        Row(work="an entry of a page: its opening, without its listing", entries=size, value=opening, unit="bytes"),
        Row(
            work="audit: every entry, opening, tile and head",
            entries=size,
            value=size / seconds,
            unit="entries/CPU s",
            better="≥",
            target=100_000,
        ),
        Row(
            work="the same where each entry has a head of its own, whose signature is verified",
            entries=heads,
            value=alone,
            unit="entries/CPU s",
        ),
    ]


def _audit_alone(entries: int) -> tuple[float, int]:
    """Entries in a second of the processor, of a log in which each was an act of its own; and how many there are."""
    with _found_node() as node:
        for _ in range(entries):
            _append(node, 1, keeps_head=False)
        node.keep_head()
        seconds, size = _audit(node), _read_size(node)
    return size / seconds, size


def _audit(node: Node) -> float:
    """Seconds of the processor."""
    started = time.process_time()
    verify_store(node.store, origin=node.origin, party=_PARTY)
    return time.process_time() - started


def _append(node: Node, count: int, *, keeps_head: bool) -> None:
    with node.act(keeps_head=keeps_head) as act:
        for _ in range(count):
            _record(act)


def _record(act: Act) -> None:
    act.record(
        EntryType.DISCLOSURE,
        _CONTENT,
        terms=_TERMS,
        recipient=_PARTNER,
        count=1_000,
        listing=_LISTING,
        grounds=_GROUNDS,
        agreement=_AGREEMENT,
    )


def _sync(handle: int) -> None:
    os.write(handle, bytes(4_096))
    os.fdatasync(handle)


def _read_size(node: Node) -> int:
    with node.store.read() as transaction:
        return log.count_entries(transaction)


def _read_bytes(node: Node) -> tuple[float, float]:
    """The mean length of a disclosure's leaf, and of its salt and content."""
    row = node.store.row(
        "SELECT AVG(LENGTH(leaf)), AVG(LENGTH(salt) + LENGTH(content)) FROM log_entry JOIN log_opening USING (position)"
    )
    assert row is not None  # noqa: S101 (there are entries)
    return float(row[0]), float(row[1])


def _reader(transaction: Any, number: int) -> merkle.ReadTile:  # noqa: ANN401 (the store's own)
    return lambda level, index: log.read_tile(transaction, level, index, number)


def _time(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _write(folder: Path, rows: Sequence[Row], *, machine: dict[str, str], options: dict[str, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    written = [{**asdict(row), "ratio": row.ratio, "reached": row.is_reached} for row in rows]
    found = {"machine": machine, "options": options, "rows": written}
    (folder / "log.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    judged = [row for row in rows if row.target is not None]
    lines = [
        "# What the log costs",
        "",
        "Written by `scripts/bench-log` (what is measured and how: [bench/log.py](../../log.py)). Medians of one run.",
        "",
        f"Machine: {', '.join(f'{key} {value}' for key, value in machine.items() if value)}.  ",
        f"{sum(bool(row.is_reached) for row in judged)} of {len(judged)} targets are reached.",
        "",
        "| work | entries | measured | held against | its figure | ratio | target | reached |",
        "| --- | ---: | ---: | --- | ---: | ---: | --- | --- |",
        *map(_format_row, rows),
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")
    sys.stdout.write("\n".join(lines))


def _format_row(row: Row) -> str:
    times = "×" if row.ratio is not None else f" {row.unit}"
    cells = [
        row.work,
        f"{row.entries:,}",
        f"{_number(row.value)} {row.unit}",
        row.against,
        "" if row.its_value is None else _number(row.its_value),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.target is None else f"{row.better} {row.target:,g}{times}",
        {True: "reached", False: "**not reached**", None: ""}[row.is_reached],
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 (three digits)


if __name__ == "__main__":
    sys.exit(main())
