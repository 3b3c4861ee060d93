# SPDX-License-Identifier: Apache-2.0
"""Shell: an audit in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, printable, shorten, shorten_time
from comity.cli.words.receipts import say_waived
from comity.counting import name_counted, say_count

__all__ = ["describe_audit", "warn_of_findings"]

_MOST_SHOWN = 20
_SUMS = (
    ("agreement", "By agreement"),
    ("basis", "By legal basis, recorded and recognised by this party; who gives on several is counted under each"),
    ("recipient", "By recipient"),
    ("month", "By month"),
)


def warn_of_findings(result: dict[str, Any]) -> str:
    """The first findings, a line each."""
    lines = [f"NOT CLEAN: {_count(result['found'], 'finding')}"]
    lines += [f"  {_name(item)}: {printable(item['problem'])}" for item in result["findings"][:_MOST_SHOWN]]
    if result["found"] > _MOST_SHOWN:
        lines.append(f"  and {result['found'] - _MOST_SHOWN} more; --json has up to 1,000 of them")
    return "\n".join(lines)


def describe_audit(result: dict[str, Any]) -> str:
    """What was verified, and the figures."""
    log = result["log"]
    verdict = "clean: everything fits" if result["clean"] else f"not clean: {_count(result['found'], 'finding')}"
    lines = [
        verdict,
        *fields(
            [
                (
                    "log",
                    _say_size(log),
                ),
                ("decided again", f"{result['decided']} of {_count(log['disclosures'], 'disclosure')}"),
                ("manifest", f"{log['manifest']} (compare it with what the party gave you)"),
                ("figures from", result["since"] and shorten_time(result["since"])),
                ("figures until", result["until"] and shorten_time(result["until"])),
                (
                    "cosignatures",
                    result["unverified_cosignatures"] and _say_unverified(result["unverified_cosignatures"]),
                ),
                ("report", result.get("file")),
            ],
            indent="  ",
        ),
    ]
    lines += [f"  open: {_count(item['disclosures'], 'disclosure')}: {item['why']}" for item in result["open"]]
    for key, heading in _SUMS:
        if result["sums"][key]:
            lines += ["", heading, *columns([_row(item) for item in result["sums"][key]], indent="  ")]
    if result["taken"]:
        lines += ["", "Received, and held"]
        rows = [
            (item["giver"], item["month"], f"terms {shorten(item['terms'])}", say_count(item["objects"], "object"))
            for item in result["taken"]
        ]
        lines += columns(rows, indent="  ")
    others = [item for item in result["trusted"] if item["party"] != result["party"]]
    if others:
        lines += ["", "Believed for the others (compare each with what that party gave you)"]
        named = [(item["party"], f"version {item['version']}", item["manifest"]) for item in others]
        lines += columns(named, indent="  ")
    if result["waived"]:
        lines += ["", "Let stand by people", *(f"  {say_waived(item)}" for item in result["waived"])]
    return "\n".join(lines)


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    named = shorten(item["of"]) if item["title"] is not None else item["of"]
    return (
        printable(named if item["title"] is None else f"{named} {item['title']}"),
        _count(item["answers"], "answer"),
        _count(item["objects"], "object"),
        _count(item["ids"], "id") + " alone" if item["ids"] else "",
    )


def _name(item: dict[str, Any]) -> str:
    if item["entry"] is not None:
        return f"entry {item['entry']}"
    return f"agreement {shorten(item['agreement'])}" if item["agreement"] else "store"


def _count(number: int, what: str) -> str:
    return f"{number:,} {name_counted(number, what)}"


def _say_unverified(number: int) -> str:
    return f"{_count(number, 'cosignature')} by witnesses whose keys are not known here, not verified"


def _say_size(log: dict[str, Any]) -> str:
    logs, heads = _count(log["relationships"] + 1, "log"), _count(log["checkpoints"], "checkpoint")
    return f"{_count(log['size'], 'entry')} of {logs} under {heads}, all verified"
