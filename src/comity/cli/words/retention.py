# SPDX-License-Identifier: Apache-2.0
"""Shell: reviews, deletions and work in words."""

from typing import Any

from comity.cli.words.layout import columns, printable, shorten, shorten_time
from comity.cli.words.people import describe_refusal

__all__ = ["describe_kept", "describe_purged", "describe_review", "describe_stone", "list_reviews", "list_work"]


def list_reviews(result: dict[str, Any]) -> str:
    """One line for each object that something is due of."""
    if not result["objects"]:
        behind = f" behind this; {result['count']} in all" if result["count"] else ""
        return f"Nothing is to be reviewed or deleted within 30 days{behind}."
    rows = [("DUE", "ACT", "OBJECT", "FROM", "UNDER", "BY")]
    rows += [
        (
            _date(item),
            item["act"],
            item["id"],
            item["giver"],
            shorten(item["agreement"]),
            item["clause"],
        )
        for item in result["objects"]
    ]
    lines = columns(rows)
    if result["next"] is not None:
        lines.append(f"{result['count']} in all, the earliest first; to go on: --after {result['next']}")
    lines.append("A review that nobody decides by its date is a deletion: `retention keep OBJECT --reason TEXT`.")
    return "\n".join(lines)


def describe_kept(result: dict[str, Any]) -> str:
    """What is kept, and until when."""
    if "refused" in result:
        return describe_refusal(result["refused"])
    return "\n".join(
        f"kept: {item['id']}, version {printable(item['version'])}, until {shorten_time(item['until'])}"
        f" ({item['clause']})"
        for item in result["versions"]
    )


def describe_purged(result: dict[str, Any]) -> str:
    """What was deleted, and whether anything of it may still be in the files."""
    if "refused" in result:
        return describe_refusal(result["refused"])
    lines = [f"{result['count']} deleted"]
    lines += [f"  {item['id']}: {describe_stone(item)}" for item in result["deleted"]]
    if result["count"] > len(result["deleted"]):
        lines.append("  and more; the log has each")
    if not result["gone"]:
        lines.append("Another process reads the store: what was deleted leaves its files with the next run.")
    return "\n".join(lines)


def describe_stone(item: dict[str, Any]) -> str:
    """When a version was deleted, and why."""
    why = f"by {item['clause']} of the terms {shorten(item['terms'])}" if item["clause"] else printable(item["reason"])
    person = f", by {printable(item['by'])}" if item["by"] else ""
    return f"version {printable(item['version'])} deleted on {shorten_time(item['deleted_at'])}: {why}{person}"


def describe_review(result: dict[str, Any]) -> str:
    """The review that was recorded."""
    if "refused" in result:
        return describe_refusal(result["refused"])
    return f"reviewed: {printable(result['title'])} ({shorten(result['agreement'])}), version {result['version']}"


def list_work(result: dict[str, Any]) -> str:
    """Two lines for each thing that waits: what and about what, then why and what to do."""
    if not result["items"]:
        return "Nothing waits."
    lines = list[str]()
    for item in result["items"]:
        about = f"{printable(item['title'])} ({shorten(item['agreement'])})" if item["title"] else item["party"] or ""
        due = f"due {_date(item)}" if item["due"] else f"since {shorten_time(item['since'])[:10]}"
        lines += [f"{due}  {item['kind']}  {about}".rstrip(), f"  {printable(item['why'])}: {printable(item['act'])}"]
    return "\n".join(lines)


def _date(item: dict[str, Any]) -> str:
    return f"{item['due'][:10]}{' (overdue)' if item['overdue'] else ''}"
