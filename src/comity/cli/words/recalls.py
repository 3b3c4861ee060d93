# SPDX-License-Identifier: Apache-2.0
"""Shell: recalls in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, join_words, printable, shorten, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act
from comity.counting import say_count

__all__ = [
    "describe_handed",
    "describe_kept",
    "describe_recall",
    "describe_recalled",
    "describe_recalling",
    "list_recalls",
]

_STAGES = {
    None: "UNACKNOWLEDGED",
    "stopped": "stopped, not settled",
    "settled": "settled, not by all behind",
    "done": "done",
}
_CHANGES = {"withdraw": "withdrawn", "correct": "corrected"}


def describe_recalling(result: dict[str, Any]) -> str:
    """What was recalled, who is told, and who does not have the letter yet."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    many = len(result["versions"])
    what = f"{result['object']}, {say_count(many, 'version')}"
    lines = [
        f"{_CHANGES[result['change']]}: {what}, given to nobody from here on",
        *describe_approvals(result["approvals"]),
    ]
    waiting = {item["party"]: item["problem"] for item in result["waiting"]}
    for item in result["letters"]:
        party = item["to"]
        problem = f" (last try: {printable(waiting[party])})" if waiting.get(party) else ""
        has = f"does not have it yet{problem}" if party in waiting else "has it"
        lines.append(f"  {shorten(item['letter'])} to {party} under {shorten(item['agreement'])}: {has}")
    if not result["letters"]:
        lines.append("It was given to nobody, so there is nobody to tell.")
    return "\n".join(lines)


def list_recalls(result: dict[str, Any]) -> str:
    """One line for each letter: those sent, then those received; then for what was taken back over TAXII."""
    if not any(result.values()):
        return "Nothing was recalled."
    lines = list[str]()
    for head, items in (("SENT", result["sent"]), ("RECEIVED", result["received"])):
        if items:
            rows = [(head, "LETTER", "PARTY", "STAGE", "OBJECT")]
            rows += [
                (
                    shorten_time(item["recorded_at"]),
                    shorten(item["letter"]),
                    item["party"],
                    _stage(item),
                    _about(item),
                )
                for item in items
            ]
            lines += columns(rows)
    if result["taken_back"]:
        rows = [("TAKEN BACK", "NAME", "PARTY", "BECAME", "OBJECT")]
        rows += [
            (
                shorten_time(item["at"]),
                shorten(item["retraction"]),
                item["party"],
                _became(item),
                item["object"],
            )
            for item in result["taken_back"]
        ]
        lines += columns(rows)
    return "\n".join(lines)


def describe_recall(result: dict[str, Any]) -> str:
    """The letter, or what was taken back over TAXII, and what became of it."""
    if "retraction" in result:
        return "\n".join([_describe_taken_back(result), *describe_handed(result["handed"])])
    lines = fields(
        [
            ("letter", result["letter"]),
            ("to" if result["sent"] else "from", result["party"]),
            ("under", result["agreement"]),
            ("at", result["at"]),
            ("asks", result["change"]),
            ("newer", result["newer"]),
            ("reason", result["reason"]),
            ("stage", _stage(result)),
            ("due", shorten_time(result["due"]) if result["due"] else None),
            ("because", result["because"]),
        ]
    )
    lines.append("versions")
    results = result["results"] or [None] * len(result["about"])
    for about, item in zip(result["about"], results, strict=True):
        became = "nothing known" if item is None else _describe_outcome(item)
        why = f": {printable(item['reason'])}" if item and item["reason"] else ""
        lines.append(f"  {about['id']} {printable(about['version'])}  {became}{why}")
    lines += [
        f"acknowledged on {shorten_time(item['recorded_at'])}: {item['stage']} ({shorten(item['letter'])})"
        for item in result["acknowledgements"]
    ]
    lines += [
        f"passed on to {item['to']} ({shorten(item['letter'])}): {_STAGES[item['stage']]}"
        for item in result["passed_on"]
    ]
    return "\n".join([*lines, *describe_handed(result["handed"])])


def _describe_outcome(result: dict[str, Any]) -> str:
    """What became of it; and of what came from elsewhere, that this is what its sender hears."""
    said = str(result["outcome"])
    return f"{said} (so its sender hears; what is here from elsewhere stays)" if result["spared"] else said


def describe_kept(result: dict[str, Any]) -> str:
    """What is kept, and who is told."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    lines = [f"kept: {result['object']}, given to nobody if it is recalled ({printable(result['reason'])})"]
    if result["told"]:
        lines.append(f"  told: {join_words(result['told'])}")
    return "\n".join(lines)


def describe_handed(handed: list[dict[str, Any]]) -> list[str]:
    """A line for each program of this party that may have a copy."""
    return [
        f"  program {printable(item['name'])} ({item['program']}) of {item['person']} may have a copy, for"
        f" {item['actions']}; it last read at {shorten_time(item['at'])}"
        for item in handed
    ]


def describe_recalled(item: dict[str, Any]) -> str:
    """That a version is given to nobody any more, since when and why."""
    by = f" (recall show {shorten(item['letter'])})" if item["letter"] else ""
    return (
        f"version {printable(item['version'])} {_CHANGES[item['change']]} on {shorten_time(item['at'])}:"
        f" {printable(item['reason'])}{by}"
    )


def _describe_taken_back(result: dict[str, Any]) -> str:
    lines = fields(
        [
            ("retraction", result["retraction"]),
            ("by", result["party"]),
            ("under", result["agreement"]),
            ("channel", result["channel"]),
            ("at", result["at"]),
            ("object", result["object"]),
            ("versions", result["asked"]),
            ("due", shorten_time(result["due"]) if result["due"] else None),
        ]
    )
    lines.append("had from it" if result["versions"] else "nothing was had from it that it had not taken back before")
    for item in result["versions"]:
        why = f": {printable(item['reason'])}" if item["reason"] else ""
        lines.append(f"  {printable(item['version'])}  {item['outcome']}{why}")
    lines += [
        f"passed on to {item['to']} ({shorten(item['letter'])}): {_STAGES[item['stage']]}"
        for item in result["passed_on"]
    ]
    return "\n".join(lines)


def _became(item: dict[str, Any]) -> str:
    if item["due"]:
        return f"to be decided by {item['due'][:10]}"
    return join_words(sorted({one["outcome"] for one in item["versions"]})) if item["versions"] else "nothing had"


def _stage(item: dict[str, Any]) -> str:
    if item["state"] == "refused":
        return "REFUSED, not given by it"
    overdue = f", overdue since {item['due'][:10]}" if item["overdue"] else ""
    if not item["sent"] and item["stage"] == "stopped":
        if item["due"] is None:
            return "nothing to decide"
        return f"to be decided by {item['due'][:10]}{overdue}"
    return f"{_STAGES[item['stage']]}{overdue}"


def _about(item: dict[str, Any]) -> str:
    ids = sorted({about["id"] for about in item["about"]})
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more"
