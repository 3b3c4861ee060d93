# SPDX-License-Identifier: Apache-2.0
"""Shell: what terms would do, in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, join_words, printable, shorten, shorten_ids
from comity.counting import say_count

__all__ = ["describe_check", "describe_comparison", "describe_preview"]

_MAX_ROWS = 30
"""Rows of a table on a terminal; `--json` has more."""

_RELATIONS = {
    "equal": "admits the same",
    "narrower": "narrower: admits nothing that was not admitted before",
    "wider": "wider: admits all that was admitted before",
    "neither": "neither narrower nor wider",
}


def describe_preview(result: dict[str, Any]) -> str:
    """For each channel and receiver what would be released, what withheld and why, and what changes."""
    lines = [_title(result), f"  {_state(result)}", *_problems(result), *_refusal(result)]
    if result["replaces"] is not None:
        lines.append(
            f"  would replace version {result['replaces']['version']} ({shorten(result['replaces']['terms'])})"
        )
    if not result["gives"]:
        lines.append("  This party gives nothing under these terms.")
    for item in result["gives"]:
        lines += ["", *_flow(item)]
    return "\n".join([*lines, *_conflicts(result["conflicts"]), "", "Nothing was signed and nothing was released."])


def describe_check(result: dict[str, Any]) -> str:
    """Whether this party could propose the terms, and each conflict."""
    lines = [_title(result), *_problems(result), "  draft: the terms can be read", *_refusal(result)]
    if not result["conflicts"]:
        lines.append("  conflicts with nothing that this party is bound by")
    return "\n".join([*lines, *_conflicts(result["conflicts"]), "", "Nothing was signed."])


def describe_comparison(result: dict[str, Any]) -> str:
    """The clauses that differ, then what becomes of each channel."""
    before, after = result["before"], result["after"]
    lines = [f"{name}  {_title(terms)}, version {terms['version']}" for name, terms in (("A", before), ("B", after))]
    lines += ["", "text"] if result["changes"] else ["", "The texts say the same."]
    for change in result["changes"]:
        lines.append(f"  {printable(change['clause'])}{_presence(change)}")
        lines += [f"    - {printable(word)}" for word in change["removed"]]
        lines += [f"    + {printable(word)}" for word in change["added"]]
    for item in result["channels"]:
        relation = _RELATIONS[item["relation"]]
        lines += ["", f"channel {item['channel']}, {item['giver']} to {item['to']}: {relation}"]
        lines += _effect(item["effect"]) if item["effect"] else ["  what it would release is not known to this party"]
    return "\n".join(lines)


def _title(terms: dict[str, Any]) -> str:
    return f"{printable(terms['title'])} ({shorten(terms['terms'])})"


def _state(result: dict[str, Any]) -> str:
    if result["sentence"] is None:
        return f"version {result['version']}, {result['state']}: not on record here"
    return f"version {result['version']}, agreement {shorten(result['agreement'])}: {printable(result['sentence'])}"


def _problems(result: dict[str, Any]) -> list[str]:
    return [f"  could not be proposed now, because {printable(problem)}" for problem in result["problems"]]


def _refusal(result: dict[str, Any]) -> list[str]:
    refused = result["refused"]
    if refused is None:
        return ["  recognised by this party"]
    return [f"  refused by this party's own recognition policy, {refused['clause']}: {printable(refused['reason'])}"]


def _presence(change: dict[str, Any]) -> str:
    if change["before"] is None:
        return " (only in B)"
    return " (only in A)" if change["after"] is None else ""


def _flow(item: dict[str, Any]) -> list[str]:
    head = f"channel {item['channel']} to {item['to']}"
    if item["withheld"] is None:
        return [f"{head}: not in these terms any more", *_effect(item["effect"])]
    # What every object of the channel goes without, if it has it, may not be there: labels do not say.
    bound = any(row["tear_line"] or "created_by_ref" in row["redacted"] for row in item["groups"])
    redacted = f"{'at most ' if bound else ''}{item['redacted']} of them redacted"
    counts = f"{say_count(item['released'], 'object')} would be released, {redacted}"
    lines = [f"{head}: {counts}; {item['withheld']} withheld", *_limits(item), *_groups(item)]
    if item["refusals"]:
        rows = [("WITHHELD BY", "OBJECTS", "FOR EXAMPLE")]
        rows += [
            (row["clause"], str(row["objects"]), shorten_ids(join_words(row["samples"]))) for row in item["refusals"]
        ]
        lines += columns(rows, indent="  ")
    return [*lines, *(_effect(item["effect"]) if item["effect"] else [])]


def _limits(item: dict[str, Any]) -> list[str]:
    """What holds for the whole channel, whatever the counts."""
    lines = list[str]()
    if item["closed"] is not None:
        lines.append(f"  closed, {item['closed']['clause']}: {printable(item['closed']['reason'])}")
    if item["history"] is not None:
        lines.append(f"  history: {item['history']}")
    return lines


def _groups(item: dict[str, Any]) -> list[str]:
    if not item["groups"]:
        return []
    rows = [("TYPE", "TLP", "ORIGINATOR", "SUBJECTS", "WITHOUT", "OBJECTS", "FOR EXAMPLE")]
    rows += [
        (
            row["type"],
            row["tlp"],
            row["originator"],
            shorten_ids(join_words(row["subjects"])),
            _left_out(row),
            str(row["objects"]),
            shorten_ids(join_words(row["samples"])) if row["samples"] else "",
        )
        for row in item["groups"][:_MAX_ROWS]
    ]
    lines = columns(rows, indent="  ")
    hidden = item["groups"][_MAX_ROWS:]
    more = len(hidden) + item["more"]["groups"]
    if more:
        objects = sum(row["objects"] for row in hidden) + item["more"]["objects"]
        lines.append(f"  and {say_count(objects, 'object')} in {say_count(more, 'smaller group')}")
    return lines


def _left_out(row: dict[str, Any]) -> str:
    if row["tear_line"]:
        return f"all but its tear line: {join_words(row['tear_line'])}"
    return join_words(row["redacted"]) if row["redacted"] else ""


def _effect(effect: dict[str, Any]) -> list[str]:
    names = (
        ("gained", "newly released"),
        ("lost", "newly refused"),
        ("changed", "redacted otherwise"),
        ("unchanged", "released as before"),
    )
    pairs = [(words, f"{effect[name]['objects']}{_examples(effect[name]['samples'])}") for name, words in names]
    return fields(pairs, indent="  ")


def _examples(samples: list[str]) -> str:
    return f"  {', '.join(samples)}" if samples else ""


def _conflicts(conflicts: list[dict[str, Any]]) -> list[str]:
    lines = list[str]()
    for item in conflicts:
        other = item["with"]
        lines += [
            "",
            f"CONFLICT ({item['kind']}) with {_title(other)}, {other['state']}",
            f"  {printable(item['sentence'])}",
            f"  clauses: {printable(item['clause'])} here, {printable(other['clause'])} there",
        ]
        if item["samples"]:
            lines.append(f"  for example {', '.join(item['samples'])}")
    return lines
