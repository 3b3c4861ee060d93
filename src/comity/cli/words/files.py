# SPDX-License-Identifier: Apache-2.0
"""Shell: files that were taken in, in words."""

from collections.abc import Iterable
from typing import Any

from comity.cli.words.layout import columns, fields, printable, shorten, shorten_time
from comity.counting import say_count

__all__ = [
    "describe_bad",
    "describe_export",
    "describe_file",
    "describe_files",
    "describe_foreseen",
    "describe_intake",
    "describe_misp_export",
    "describe_patterns",
    "describe_source",
]


def describe_intake(result: dict[str, Any]) -> str:
    """Counts, and everything bad with its place."""
    lines = [f"{result['added']} added, {result['known']} known already, {result['bad']} bad"]
    for item in result["files"]:
        if item["already"]:
            lines.append(f"  {printable(item['file'])} was taken in before: nothing was done")
        lines += describe_bad(item["bad"], source=item["file"])
        lines += _describe_more(item)
        lines += [
            f"  {printable(item['file'])} {printable(note['place'])}: {printable(note['message'])}"
            for note in item["notes"]
        ]
        lines += describe_patterns(item)
    if result["bad"] and result["added"] + result["known"]:
        lines.append("The good objects were kept. Correct the bad ones and add the file again: what is known stays.")
    elif result["bad"]:
        lines.append("Correct what is bad and add the file again.")
    return "\n".join(lines)


def describe_files(result: dict[str, Any]) -> str:
    """One file a line."""
    rows = [
        (
            str(item["number"]),
            shorten_time(item["retrieved_at"]),
            item["format"],
            _describe_progress(item),
            f"{item['added']} added, {item['known']} known, {item['bad']} bad",
            printable(item["name"]),
        )
        for item in result["files"]
    ]
    return "\n".join(columns(rows, indent="")) or "no file was taken in"


def describe_file(result: dict[str, Any]) -> str:
    """What is on record of one file."""
    said = [
        ("digest", result["digest"]),
        ("bytes", str(result["bytes"])),
        ("format", result["format"]),
        ("retrieved", shorten_time(result["retrieved_at"])),
        ("by", result["taken_by"]),
        ("progress", _describe_progress(result)),
        ("objects", f"{result['added']} added, {result['known']} known already"),
        ("bad", str(result["bad"])),
        *((name.replace("_", " "), printable(text)) for name, text in sorted(result["facts"].items())),
    ]
    remarks = [f"  {printable(item['place'])}: {printable(item['message'])}" for item in result["bad_records"]]
    remarks += [f"  note {printable(item['place'])}: {printable(item['message'])}" for item in result["notes"]]
    return "\n".join([f"{result['number']} {printable(result['name'])}", *fields(said, indent="  "), *remarks])


def describe_foreseen(result: dict[str, Any]) -> str:
    """What would become of a file."""
    said = [
        ("format", result["format"]),
        ("bytes", result["bytes"]),
        ("digest", result["digest"]),
        ("objects", f"{result['added']} new, {result['known']} known already, {result['bad_count']} bad"),
        ("types", ", ".join(f"{count} {name}" for name, count in result["types"].items()) or None),
        ("markings", ", ".join(f"{count} {name}" for name, count in result["markings"].items()) or None),
        ("strictest", result["strictest"]),
        *((name.replace("_", " "), text) for name, text in sorted(result["facts"].items())),
    ]
    lines = fields(said)
    lines += [f"  bad {printable(item['place'])}: {printable(item['message'])}" for item in result["bad"]]
    lines += [f"  note {printable(item['place'])}: {printable(item['message'])}" for item in result["notes"]]
    done = "It was taken in before: adding it does nothing." if result["already"] else "Nothing was kept."
    return "\n".join([*lines, done])


def describe_export(result: dict[str, Any]) -> str:
    """How many objects went into which file."""
    if not result["objects"]:
        return "there is nothing of this party's own to write; no file was made"
    return f"{say_count(result['objects'], 'object')} of this party's own in {printable(result['file'])}"


def describe_misp_export(result: dict[str, Any]) -> str:
    """How many events went into which file, and what they do not say."""
    if result["events"]:
        own, events = say_count(result["objects"], "object"), say_count(result["events"], "MISP event")
        what = f"{own} of this party's own in {events}"
        lines = [f"{what} in {printable(result['file'])}"]
    else:
        lines = ["nothing of this party's own becomes a MISP event; no file was made"]
    lines += [
        f"  not carried over: {printable(item['id'] or 'of an event')}: {printable(item['message'])}"
        for item in result["lost"]
    ]
    return "\n".join(lines)


def describe_source(item: dict[str, Any]) -> str:
    """Which file said an object, and where in it."""
    how = "" if item["added"] else ", and it was held already"
    facts = "".join(f", {name.replace('_', ' ')} {printable(text)}" for name, text in sorted(item["facts"].items()))
    return (
        f"file {item['number']} {printable(item['name'])} ({shorten(item['digest'])}) at {printable(item['place'])},"
        f" read {shorten_time(item['retrieved_at'])}{facts}{how}"
    )


def describe_patterns(result: dict[str, Any]) -> list[str]:
    """Indicators that are held and go to nobody, because of their patterns."""
    lines = [
        f"  {printable(item['id'])} goes to nobody, its pattern does not parse: {printable(item['message'])}"
        for item in result.get("unparsable", [])
    ]
    if result.get("unparsable"):
        lines.append("Correct the pattern, and add a version with a later `modified`.")
    if waiting := result.get("unchecked"):
        lines.append(f"{say_count(waiting, 'pattern')} not read by a parser yet: withheld until then.")
    return lines


def describe_bad(bad: Iterable[dict[str, Any]], *, source: str) -> list[str]:
    """Each with its place and why."""
    lines = list[str]()
    for item in bad:
        place = "" if item["index"] is None else f" object {item['index']}"
        name = f" {printable(item['id'])}" if item["id"] else ""
        where = f" at {printable(item['where'])}" if item["where"] and item["where"] not in item["message"] else ""
        lines.append(f"  {printable(source)}{place}{name}{where}: {printable(item['message'])}")
    return lines


def _describe_more(item: dict[str, Any]) -> list[str]:
    more = item["bad_count"] - len(item["bad"])
    return [f"  and {more} more"] if more > 0 else []


def _describe_progress(item: dict[str, Any]) -> str:
    if item["done_at"] is not None:
        return "done"
    share = 100 * item["position"] // item["bytes"] if item["bytes"] else 0
    return f"{share} % ({say_count(item['records'], 'record')}); add the file again if nothing is at work on it"
