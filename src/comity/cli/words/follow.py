# SPDX-License-Identifier: Apache-2.0
"""Shell: what is followed in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, printable, shorten, shorten_time
from comity.counting import say_count

__all__ = ["PAUSED", "describe_followed", "describe_status"]

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


def describe_status(result: dict[str, Any]) -> str:
    """What is wrong first, then the node, then one line for each partner."""
    node, backup = result["node"], result["backup"]
    lines = ["nothing is wrong that this node knows of"] if not result["problems"] else []
    for item in result["problems"]:
        lines += [f"WRONG  {item['kind']}: {printable(item['why'])}", f"       {printable(item['act'])}"]
    lines += fields(
        [
            ("node", f"{node['party']}, {node['name']}, software {node['software']}"),
            ("log", f"{say_count(node['entries'], 'entry')}, {node['size']} of them in the log of the house"),
            ("manifest", f"version {node['version']}, good until {shorten_time(node['expires_at'])}"),
            ("store", f"{_mebibytes(node['store_bytes'])}, {_mebibytes(node['free_bytes'])} free"),
            ("backup", "never" if backup is None else f"{shorten_time(backup['made_at'])}, {backup['place']}"),
            ("undelivered", node["undelivered"]),
            ("following", "by itself" if node["following"] else "no: [follow] on = false in node.toml"),
        ]
    )
    rows = [("PARTNER", "IN STEP", "RECEIPT", "GIVEN", "KNOWN THERE", "WAITING", "UNTIL")]
    rows += [
        (
            item["party"],
            "-" if item["seconds_behind"] is None else f"{item['seconds_behind']} s ago",
            f"#{item['receipt']['sequence']}" if item["receipt"] else "-",
            f"#{item['given']}" if item["given"] else "-",
            f"#{item['acknowledged']['sequence']}" if item["acknowledged"] else "-",
            str(item["undelivered"]),
            item["expires_at"][:10],
        )
        for item in result["partners"]
    ]
    return "\n".join([*lines, *(columns(rows) if result["partners"] else ["no partner is pinned here"])])


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
