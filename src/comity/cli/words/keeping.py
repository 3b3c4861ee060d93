# SPDX-License-Identifier: Apache-2.0
"""Shell: what keeps a node's folder whole, in words."""

from typing import Any

from comity.cli.words.layout import printable

__all__ = ["describe_examination"]


def describe_examination(result: dict[str, Any]) -> str:
    """Each finding in three lines, the broken ones first, and what was examined."""
    lines = list[str]()
    for item in sorted(result["findings"], key=lambda item: item["grade"] != "broken"):
        lines += [f"{item['grade']}: {printable(item['where'])}", f"  {printable(item['what'])}", f"  do: {item['do']}"]
    examined = f"{result['objects']} objects, {result['events']} events, {result['entries']} log entries"
    lines.append(f"{'sound' if result['sound'] else 'BROKEN'}: examined {examined}")
    return "\n".join(lines)
