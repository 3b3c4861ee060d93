# SPDX-License-Identifier: Apache-2.0
"""Shell: who would get what, in words."""

from typing import Any

from comity.cli.words.layout import columns, join_words, printable, shorten
from comity.counting import say_count

__all__ = ["describe_matrix", "describe_seen"]


def describe_matrix(result: dict[str, Any]) -> str:
    """Each party with one line for each word."""
    if not result["parties"]:
        return "no channel that binds this party leads to anybody"
    lines = list[str]()
    for row in result["parties"]:
        lines.append(row["party"])
        pairs = zip(result["columns"], row["cells"], strict=True)
        table = [(printable(column["word"] or "(not said)"), *_describe_cell(cell)) for column, cell in pairs]
        lines += columns(table, indent="  ") if table else ["  nothing is held"]
    if result["more_columns"]:
        lines.append(f"{say_count(result['more_columns'], 'more word')} with fewer objects")
    if result["next"]:
        lines.append(f"more with --after {result['next']}")
    return "\n".join(lines)


def describe_seen(result: dict[str, Any]) -> str:
    """What goes, object by object, each as its bytes."""
    lines = list[str]()
    for item in result["collections"]:
        state = "open" if item["gate"] is None else f"{item['gate']['clause']}: {printable(item['gate']['reason'])}"
        lines.append(f"{printable(item['title'])} ({shorten(item['agreement'])}), channel {item['channel']}: {state}")
    if not lines:
        return f"no agreement in force lets this node give {result['party']} anything"
    for item in result["objects"]:
        without = f", without {join_words(item['removed'])}" if item["removed"] else ""
        lines += [f"{item['id']} {item['version']}{without}", f"  {printable(item['received'])}"]
    if result["next"]:
        lines.append(f"more with --before {result['next']}")
    return "\n".join(lines)


def _describe_cell(cell: dict[str, Any]) -> tuple[str, str, str]:
    most = "at most " if cell["at_most"] else ""
    counts = f"{most}{cell['full']} whole, {most}{cell['redacted']} redacted, {cell['waiting']} waiting"
    return cell["way"], f"{counts}, {cell['withheld']} withheld", join_words(map(_describe_reason, cell["reasons"]))


def _describe_reason(reason: dict[str, Any]) -> str:
    return f"{shorten(reason['agreement'])} {reason['channel']} {reason['clause'] or 'lets go'} ({reason['objects']})"
