# SPDX-License-Identifier: Apache-2.0
"""Shell: what came of scenarios, in words."""

from typing import Any

from comity.cli.words.layout import columns, printable

__all__ = ["describe_run", "draw_matrices"]


def describe_run(result: dict[str, Any]) -> str:
    """One line for each scenario, and under it what is not as it says."""
    lines = list[str]()
    heads = columns(
        [
            ("holds" if one["held"] else "FAILS", printable(one["file"]), printable(one["title"] or "not a scenario"))
            for one in result["scenarios"]
        ]
    )
    for head, one in zip(heads, result["scenarios"], strict=True):
        lines.append(head)
        if one["error"] is not None:
            lines.append(f"  {printable(one['error']['message'])}")
        for failure in one["failures"]:
            lines += _describe_failure(failure)
    checks = sum(one["checks"] for one in result["scenarios"])
    lines.append(f"{result['held']} of {len(result['scenarios'])} scenarios hold, {checks} things looked at")
    return "\n".join(lines)


def draw_matrices(result: dict[str, Any]) -> str:
    """The release matrix of each scenario, and after them what is not as it says."""
    drawn = [one["matrix"] for one in result["scenarios"] if one["matrix"] is not None]
    return "\n".join([*drawn, *([describe_run(result)] if result["failed"] else [])]).rstrip("\n")


def _describe_failure(failure: dict[str, Any]) -> list[str]:
    lines = [
        f"  line {failure['line']}",
        f"    expected  {printable(failure['expected'])}",
        f"    found     {printable(failure['found'])}",
    ]
    if failure["reason"] is not None:
        lines.append(f"    because   {printable(failure['reason'])}")
    return lines
