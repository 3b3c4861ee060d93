# SPDX-License-Identifier: Apache-2.0
"""One line of the table: what was measured, what it is held against, and whether the target is reached."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["TARGETS", "Row", "Target", "find_rank", "make_row"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must at least, or at most, be; of a ratio, where there is one, else of the value."""

    bound: float
    side: Literal["least", "most"] = "least"
    unit: str = "×"

    def holds(self, figure: float) -> bool:
        """Whether it is reached."""
        return figure >= self.bound if self.side == "least" else figure <= self.bound

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit[0].isalpha() else self.unit
        return f"{'≥' if self.side == 'least' else '≤'} {self.bound:,.10g}{unit}"


TARGETS = {
    "pages": Target(0.50),
    "pages-cold": Target(0.28),
    "pages-again": Target(0.28),
    "gzip": Target(1.3),
    "full-opentaxii": Target(60),
    "full-again-opentaxii": Target(60),
    "full-again-medallion": Target(60),
    "full-medallion": Target(60),
    "object": Target(0.5),
    "small": Target(0.5),
    "ingest": Target(25_000, unit="objects/s"),
    "ingest-p99": Target(50, "most", unit="ms"),
    "ingest-stix2": Target(30),
    "mixed": Target(0.70),
    "growth": Target(1.2, "most"),
    "growth-cold": Target(1.2, "most"),
    "growth-object": Target(1.2, "most"),
    "growth-small": Target(1.2, "most"),
    "suspend": Target(50, "most", unit="ms"),
    "suspend-bytes": Target(0, "most", unit="bytes"),
    "memory": Target(200, "most", unit="MB"),
}
"""By the key of a row; a row whose key is not here is for information."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A figure: the median over the rounds, whose figures are `samples`.

    `against` is what it is held against, `its_value` its figure, and `ratio` the median of the ratios of each round.
    CPU is the server's for each answer, or object written.
    """

    key: str
    work: str
    objects: int
    agreements: int
    workers: int
    concurrency: int
    value: float
    unit: str
    against: str = ""
    its_value: float | None = None
    ratio: float | None = None
    cpu_microseconds: float | None = None
    its_cpu_microseconds: float | None = None
    note: str = ""
    target: str = ""
    reached: bool | None = None
    samples: Sequence[float] = ()


def find_rank(figures: Sequence[float], share: float) -> float:
    """The figure that `share` of all are not over (nearest rank)."""
    return sorted(figures)[max(0, math.ceil(share * len(figures)) - 1)]


def make_row(
    key: str,
    work: str,
    *,
    at: tuple[int, int, int, int],
    value: float,
    unit: str,
    judged: bool = True,
    **more: object,
) -> Row:
    """A row that says of itself whether its target is reached; `at`: objects, agreements, workers, at once."""
    objects, agreements, workers, concurrency = at
    row = Row(
        key=key,
        work=work,
        objects=objects,
        agreements=agreements,
        workers=workers,
        concurrency=concurrency,
        value=value,
        unit=unit,
        **more,  # type: ignore[arg-type] # the optional fields, as they are named there
    )
    target = TARGETS.get(key) if judged else None
    if target is None:
        return row
    figure = row.ratio if target.unit == "×" and row.ratio is not None else value
    values = {name: getattr(row, name) for name in Row.__slots__}
    return Row(**{**values, "target": str(target), "reached": target.holds(figure)})
