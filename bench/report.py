# SPDX-License-Identifier: Apache-2.0
"""bench/results: each file of figures becomes a table in README.md and a plot beside it. Needs matplotlib alone.

scripts/bench report
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

RESULTS = Path(__file__).resolve().parent / "results"
_REACHED, _MISSED = "#2a7f62", "#b3432b"
_LEAST = 1e-2
"""What is shorter than that would not be seen."""
_COLUMNS = (
    *("work", "objects", "agreements", "processes", "at once", "measured", "CPU"),
    *("held against", "its figure", "its CPU", "ratio", "target", "reached"),
)
_WORDS = {"work", "held against", "target", "reached"}
"""Columns that hold words; numbers stand to the right."""
_INTRODUCTION = """\
# How fast it serves

Written by `scripts/bench` (what is measured and how: [bench/README.md](../README.md)). Figures are medians over the
rounds of one run, in which everything is asked in turn; ratios are taken round by round. CPU is that of the server, all
its processes, in user mode and in the system. The load generator (wrk, or a client in Python) runs on the same machine
and takes up to one core of it; what else runs there takes from both sides of a ratio alike. Every answer was 200 and as
long as it had to be, and pages were held against the bytes that nginx gave.
"""


def main() -> None:
    """Write the page and the plots anew."""
    lines = [_INTRODUCTION]
    for file in sorted(RESULTS.glob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        lines += _format_run(file.stem, found)
        _draw(file.with_suffix(".svg"), [row for row in found["rows"] if row["target"]])
    (RESULTS / "README.md").write_text("\n".join(lines), encoding="utf-8")


def _format_run(name: str, found: Mapping[str, Any]) -> list[str]:
    options, rows = found["options"], found["rows"]
    judged = [row for row in rows if row["target"]]
    reached = sum(row["reached"] for row in judged)
    asked = f"{options['rounds']} rounds, {options['seconds']:g} s for each asking"
    facts = ", ".join(f"{key} {value}" for key, value in found["machine"].items() if value)
    return [
        f"## {name}",
        "",
        f"Machine: {facts}.  ",
        f"{asked}; {reached} of {len(judged)} targets are reached.",
        "",
        f"![Each figure over its target]({name}.svg)",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"| {' | '.join('---' if column in _WORDS else '---:' for column in _COLUMNS)} |",
        *(_format_row(row) for row in rows),
        "",
        *_format_notes(rows),
        "",
    ]


def _format_row(row: Mapping[str, Any]) -> str:
    cells = [
        row["work"],
        f"{row['objects']:,}",
        f"{row['agreements']:,}",
        row["workers"],
        row["concurrency"],
        f"{_number(row['value'])} {row['unit']}",
        _cpu(row["cpu_microseconds"]),
        row["against"],
        "" if row["its_value"] is None else _number(row["its_value"]),
        _cpu(row["its_cpu_microseconds"]),
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        row["target"],
        {True: "reached", False: "**not reached**", None: ""}[row["reached"]],
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _format_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"- {_name(row)}: {row['note']}." for row in rows if row["note"]]


def _name(row: Mapping[str, Any]) -> str:
    processes = f"{row['workers']} process{'es' if row['workers'] > 1 else ''}"
    return f"{row['work']} ({row['objects']:,} × {row['agreements']:,}, {processes}, {row['concurrency']} at once)"


def _cpu(microseconds: float | None) -> str:
    return "" if microseconds is None else f"{_number(microseconds)} µs"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004


def _draw(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A bar for each figure, as a multiple of its target; to the right of the line it is reached."""
    plt.rcParams.update({"svg.hashsalt": "comity", "svg.fonttype": "none", "font.size": 8})
    figure, axes = plt.subplots(figsize=(11, 0.8 + 0.22 * len(rows)), layout="constrained")
    bars = [max(_LEAST, _compare(row)) for row in rows]
    colours = [_REACHED if row["reached"] else _MISSED for row in rows]
    axes.barh(range(len(rows)), [bar - _LEAST for bar in bars], left=_LEAST, color=colours, height=0.7)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel("measured over target; where less is better, target over measured")
    axes.margins(y=0.01)
    for place, bar in enumerate(bars):
        axes.annotate(f" {bar:.2g}", (bar, place), va="center")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def _compare(row: Mapping[str, Any]) -> float:
    """How much of its target a figure is."""
    side, bound = row["target"][0], float(row["target"][1:].split()[0].replace(",", "").rstrip("×"))
    figure = row["ratio"] if row["target"].endswith("×") and row["ratio"] is not None else row["value"]
    if side == "≥":
        return float(figure / bound)
    return float(bound / figure) if figure else 1.0


if __name__ == "__main__":
    main()
