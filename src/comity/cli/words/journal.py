# SPDX-License-Identifier: Apache-2.0
"""Shell: the disclosure log in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, outline, printable, shorten, shorten_time
from comity.counting import say_count

__all__ = [
    "describe_checkpoint",
    "describe_entry",
    "describe_given",
    "describe_proof",
    "describe_reader",
    "describe_removed",
    "describe_verified",
    "list_entries",
    "list_readers",
    "list_relationships",
]


def list_entries(result: dict[str, Any]) -> str:
    """One line for each entry."""
    more = "" if result["next"] is None else _say_more(result)
    if not result["entries"]:
        return f"There is no such entry.{more}"
    rows = [
        (
            str(item["entry"]),
            shorten_time(item["at"]),
            item["type"],
            _recipient(item),
            _what(item),
            f"terms {shorten(item['terms'])}" if item["terms"] else "",
        )
        for item in result["entries"]
    ]
    return "\n".join(columns(rows)) + (f"\n{more.strip()}" if result["looked"] > len(rows) else "")


def _say_more(result: dict[str, Any]) -> str:
    looked, place = result["looked"], result["next"]
    was = "was" if looked == 1 else "were"
    return f" {say_count(looked, 'entry')} {was} looked through, down to {place}; --before {place} reads on."


def describe_given(result: dict[str, Any]) -> str:
    """How many answers went out, by whom, what and when."""
    lines = [f"{say_count(result['answers'], 'answer')} went out"]
    if result["older"]:
        are = "is" if result["older"] == 1 else "are"
        older = say_count(result["older"], "entry")
        lines.append(f"{older} {are} from before each relationship had a log, and {are} not counted by whom")
    for heading, rows in (
        ("by recipient", [(item["party"], str(item["answers"])) for item in result["recipients"]]),
        (
            "by agreement",
            [
                (shorten(item["agreement"]), str(item["answers"]), printable(item["title"] or ""))
                for item in result["agreements"]
            ],
        ),
        ("by month", [(item["month"], str(item["answers"])) for item in result["months"] if item["answers"]]),
    ):
        if rows:
            lines += [heading, *columns(rows, indent="  ")]
    return "\n".join(lines)


def describe_proof(result: dict[str, Any]) -> str:
    """The proof of one entry, and one line for each check."""
    words = {True: "holds", False: "DOES NOT HOLD", None: "not there"}
    checks = [
        (f"{item['check']} {item['witness'] or ''}".strip(), words[item["holds"]], _say_check(item))
        for item in result["checks"]
    ]
    return "\n".join(
        [
            *fields(
                [
                    ("entry", result["entry"]),
                    ("log", f"{result['index']} of {result['log']}"),
                    ("leaf hash", result["leaf_hash"]),
                    ("tree", f"{say_count(result['size'], 'entry')}, root {result['root']}"),
                ]
            ),
            "proof",
            *(f"  {each}" for each in result["hashes"]),
            "checked",
            *columns(checks, indent="  "),
        ]
    )


def _say_check(item: dict[str, Any]) -> str:
    return printable(item["said"]) + (f" at {shorten_time(item['at'])}" if item["at"] else "")


def describe_entry(result: dict[str, Any]) -> str:
    """One entry and its content."""
    lines = fields(
        [
            ("entry", result["entry"]),
            ("log", f"{result['index']} of {result['log']}"),
            ("type", result["type"]),
            ("at", result["at"]),
            ("recipient", _recipient(result) if result["recipient"] else None),
            ("act", _act(result)),
            ("by", result["by"]),
            ("count", result["count"]),
            ("terms", result["terms"]),
            ("agreement", result["agreement"]),
            ("commitment", result["commitment"]),
        ]
    )
    if result["purged"]:
        return "\n".join([*lines, "The content was purged; the commitment still binds it."])
    return "\n".join([*lines, "content", *outline(result["content"], indent="  ")])


def describe_checkpoint(result: dict[str, Any]) -> str:
    """The checkpoint itself, byte for byte."""
    return str(result["checkpoint"]).removesuffix("\n")


def describe_verified(result: dict[str, Any]) -> str:
    """What was verified."""
    entries = say_count(result["size"], "entry")
    return "\n".join(
        [
            f"verified: {entries}, every hash, every signature and every sequence number fits",
            *fields(
                [
                    ("house's log", f"{say_count(result['house'], 'entry')}, {result['origin']}"),
                    ("root", result["root"]),
                    ("logs beside", _sum_up(result["logs"])),
                    ("checkpoints", result["checkpoints"]),
                    ("disclosures", result["disclosures"]),
                    ("purged", f"{result['purged']}, each by an entry on record" if result["purged"] else None),
                    ("manifest", f"{result['manifest']} (compare it with what the party gave you)"),
                ],
                indent="  ",
            ),
        ]
    )


def _sum_up(logs: list[dict[str, Any]]) -> str | None:
    """How many logs of relationships there are, and how much is in them."""
    if not logs:
        return None
    return f"{len(logs)}, with {say_count(sum(item['size'] for item in logs), 'entry')}"


def list_relationships(result: dict[str, Any]) -> str:
    """One line for each log beside the house's."""
    if not result["logs"]:
        return f"There is the house's log alone: {result['house']}"
    rows = [("LOG", "RECIPIENT", "AGREEMENT", "ENTRIES", "OPENED", "")]
    rows += [
        (
            item["origin"],
            item["recipient"],
            shorten(item["agreement"]),
            str(item["size"]),
            shorten_time(item["opened_at"]),
            "closed" if item["closed_at"] else "",
        )
        for item in result["logs"]
    ]
    return "\n".join([f"the house's log: {result['house']}", *columns(rows)])


def describe_reader(result: dict[str, Any]) -> str:
    """The secret alone, so that it can be handed on by a pipe."""
    return str(result["secret"])


def list_readers(result: dict[str, Any]) -> str:
    """One line for each permission."""
    if not result["readers"]:
        return "nobody was ever permitted to read the log"
    rows = [("ID", "READER", "MADE", "UNTIL", "LAST USED", "STATE")]
    rows += [
        (
            item["id"],
            item["reader"],
            item["created_at"][:10],
            item["expires_at"][:10],
            item["last_used"] or "never",
            "good" if item["good"] else "removed" if item["removed_at"] else "run out",
        )
        for item in result["readers"]
    ]
    return "\n".join(columns(rows))


def describe_removed(result: dict[str, Any]) -> str:
    """Permissions that let nobody read any more."""
    return "\n".join(
        f"{item['id']} of {item['reader']} is removed; the next request with it is that of an outsider"
        for item in result["readers"]
    )


def _act(item: dict[str, Any]) -> str | None:
    """What was done by which party, or with which of this party's people."""
    who = item["person"] or item["party"] or item["reader"]
    return f"{item['kind']} of {who}" if item["kind"] and who else item["kind"]


def _what(item: dict[str, Any]) -> str:
    if item["recipient"]:
        return say_count(item["count"], "object")
    return item["kind"] or item["clause"] or ""


def _recipient(item: dict[str, Any]) -> str:
    """To whom a disclosure went, with its number; whose act an event is; which person it is about; who did it."""
    who = item["party"] or item["person"] or item["reader"] or item["by"] or ""
    return f"{item['recipient']} #{item['sequence']}" if item["recipient"] else who
