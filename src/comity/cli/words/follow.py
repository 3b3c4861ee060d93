# SPDX-License-Identifier: Apache-2.0
"""Shell: what is followed in words."""

from typing import Any

from comity.cli.words.layout import fields, printable, shorten, shorten_time

__all__ = ["PAUSED", "describe_followed"]

PAUSED = "it has brought in today as much as it may ([follow] in node.toml); it goes on from where it is"


def describe_followed(result: dict[str, Any]) -> str:
    """Each channel with how far this node is in it; what is wrong stands last, where it is seen."""
    lines = list[str]()
    if not result["on"]:
        lines.append("node.toml says that nothing is followed ([follow] on = false); `pull` takes in by hand")
    for item in result["channels"]:
        lines.append(
            f"{item['giver']}: {printable(item['title'])} ({shorten(item['agreement'])}), channel {item['channel']}"
        )
        lines += _describe(item)
    return "\n".join(lines) or "no agreement on record lets a partner give this party anything"


def _describe(item: dict[str, Any]) -> list[str]:
    if item["closed"] is not None:
        return [f"  not followed: {printable(item['closed'])}"]
    behind, failures = item["seconds_behind"], item["failures"]
    known = [
        ("newest here", item["position"] and f"released {shorten_time(item['position'])}"),
        ("taken in", item["taken_at"] and f"{shorten_time(item['taken_at'])}, {item['delay_seconds']} s after that"),
        ("in step", "never yet" if behind is None else f"{shorten_time(item['in_step_at'])}, {behind:.0f} s ago"),
    ]
    if item["paused_until"] is not None:
        known.append(("PAUSED", f"until {shorten_time(item['paused_until'])}: {PAUSED}"))
    if item["problem"] is not None:
        tries = "1 try" if failures == 1 else f"{failures} tries"
        known.append(("FAILED", f"{shorten_time(item['failed_at'])}, after {tries}: {item['problem']}"))
        known.append(("next try", item["next_try_at"] and shorten_time(item["next_try_at"])))
    return fields(known, indent="  ")
