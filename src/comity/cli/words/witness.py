# SPDX-License-Identifier: Apache-2.0
"""Shell: witnesses in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, join_words, printable, shorten_time
from comity.counting import say_count

__all__ = ["describe_log", "describe_shown", "describe_witness", "list_witnesses"]


def list_witnesses(result: dict[str, Any]) -> str:
    """Who cosigns this node's log, whose logs it cosigns, and evidence."""
    entries = say_count(result["size"], "entry")
    lines = [f"the log has {entries}; its key, for a witness that is no node:", f"  {result['log']}"]
    if not result["witnesses"]:
        lines.append("no witness is asked to cosign it: name some in node.toml")
    for item in result["witnesses"]:
        beside = f", and heads of {say_count(item['logs'], 'more log')}" if item["logs"] else ""
        cosigned = f"{say_count(item['size'], 'entry')} of the house's log"
        lines.append(f"witness {printable(item['name'])}: cosigned {cosigned}{beside}")
        if item["problem"]:
            lines.append(f"  {printable(item['problem'])}")
    return "\n".join([*lines, *_list_witnessed(result)])


def describe_witness(result: dict[str, Any]) -> str:
    """A witness that is no node: its key and, where they are known, its logs."""
    lines = fields([("witness", result["name"]), ("key", result["key"]), ("folder", result.get("folder"))])
    if "logs" not in result:
        return "\n".join(lines)
    return "\n".join([*lines, f"logs: {join_words(result['logs'])}", *_list_witnessed(result)])


def describe_log(result: dict[str, Any]) -> str:
    """What is witnessed from here on."""
    return f"the log {printable(result['origin'])} is witnessed"


def describe_shown(result: dict[str, Any]) -> str:
    """What evidence shows, in a sentence, and of which heads."""
    origin = printable(result["origin"])
    if "statements" in result:
        rows = [("goes on as", f"{item['origin']} from entry {item['position']} on") for item in result["statements"]]
        head = f"proved: {printable(result['statements'][0]['party'])} signed two statements of what follows {origin}"
        return "\n".join([head, *fields(rows, indent="  ")])
    if result["second_origin"] != result["origin"]:
        origin += f" and of {printable(result['second_origin'])}, which is of the same party,"
    said = {
        "proved": f"proved: the log {origin} signed two histories",
        "accused": f"accused: nothing here shows that the heads of {origin} are of one history; ask it for a proof",
    }
    rows = [
        ("first", f"{say_count(result['first_size'], 'entry')}, root {result['first_root']}"),
        ("second", f"{say_count(result['second_size'], 'entry')}, root {result['second_root']}"),
        ("root of the second at the size of the first", result["true_root"]),
    ]
    return "\n".join([said[result["verdict"]], *fields(rows, indent="  ")])


def _list_witnessed(result: dict[str, Any]) -> list[str]:
    heads = [
        ("cosigned", printable(item["origin"]), str(item["size"]), shorten_time(item["cosigned_at"]))
        for item in result["witnessed"]
    ]
    found = [
        ("FORK" if item["proved"] else "accusation", printable(item["origin"]), item["file"] or "in the store")
        for item in result["evidence"]
    ]
    return [*(columns(heads) if heads else []), *(columns(found) if found else [])]
