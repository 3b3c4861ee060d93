# SPDX-License-Identifier: Apache-2.0
"""Shell: lists of objects, what is around one, and who may fetch it, in words."""

from typing import Any

from comity.cli.words.layout import columns, printable, shorten, shorten_time

__all__ = ["describe_around", "describe_given", "describe_listing"]


def describe_listing(result: dict[str, Any]) -> str:
    """One object a line, and how to go on."""
    rows = [
        (
            shorten_time(item["added_at"]),
            printable(item["id"]),
            item["tlp"],
            item["originator"],
            printable(item["name"] or ""),
        )
        for item in result["objects"]
    ]
    lines = columns(rows) if rows else []
    if result["next"]:
        lines.append(f"more with --before {result['next']}")
    return "\n".join(lines) or "nothing that is held is what was looked for"


def describe_around(result: dict[str, Any]) -> str:
    """One link a line."""
    names = {item["id"]: item["name"] for item in result["objects"]}
    rows = [(_call(link["from"], names), "refers to", _call(link["to"], names)) for link in result["links"]]
    lines = columns(rows) if rows else [f"{result['object']} refers to nothing, and nothing refers to it"]
    if result["more"]:
        lines.append("there is more than this")
    return "\n".join(lines)


def describe_given(result: dict[str, Any]) -> str:
    """One release a line."""
    rows = [
        (
            shorten_time(item["at"]),
            item["party"],
            item["version"],
            f"{printable(item['title'] or '')} ({shorten(item['agreement'])}), channel {item['channel']}",
        )
        for item in result["released"]
    ]
    lines = columns(rows) if rows else [f"no version of {result['object']} was released to anybody"]
    if result["more"]:
        lines.append("there are more")
    return "\n".join(lines)


def _call(name: str, names: dict[str, Any]) -> str:
    called = names.get(name)
    return f"{printable(name)} (not held)" if called is None else f"{printable(name)} {printable(called)}".rstrip()
