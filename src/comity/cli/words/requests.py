# SPDX-License-Identifier: Apache-2.0
"""Shell: requests for information in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, printable, shorten, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act

__all__ = ["describe_request", "describe_sent", "list_requests"]


def describe_sent(result: dict[str, Any]) -> str:
    """What was said to whom, and whether it has the letter."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    waiting = {item["party"]: item["problem"] for item in result["waiting"]}
    party = result["to"]
    problem = f" (last try: {printable(waiting[party])})" if waiting.get(party) else ""
    has = f"does not have it yet{problem}" if party in waiting else "has it"
    head = f"{result['kind']} {shorten(result['letter'])} to {party} under {shorten(result['agreement'])}: {has}"
    return "\n".join([head, *_list_about(result), *describe_approvals(result["approvals"])])


def list_requests(result: dict[str, Any]) -> str:
    """One line for each request: those sent, then those received."""
    if not result["sent"] and not result["received"]:
        return "Nobody has asked for information."
    lines = list[str]()
    for head, items in (("SENT", result["sent"]), ("RECEIVED", result["received"])):
        if items:
            rows = [(head, "LETTER", "PARTY", "URGENCY", "STATE", "DUE")]
            rows += [
                (
                    shorten_time(item["recorded_at"]),
                    shorten(item["letter"]),
                    item["party"],
                    item["urgency"],
                    _state(item),
                    shorten_time(item["due"]) if item["due"] else "",
                )
                for item in items
            ]
            lines += columns(rows)
    return "\n".join(lines)


def describe_request(result: dict[str, Any]) -> str:
    """The request, and what was answered."""
    lines = fields(
        [
            ("letter", result["letter"]),
            ("to" if result["sent"] else "from", result["party"]),
            ("under", result["agreement"]),
            ("at", result["recorded_at"]),
            ("urgency", result["urgency"]),
            ("state", _state(result)),
            ("due", shorten_time(result["due"]) if result["due"] else None),
            ("question", printable(result["question"])),
        ]
    )
    lines += _list_about(result)
    for item in result["answers"]:
        text = f": {printable(item['text'])}" if item["text"] else ""
        lines.append(f"{item['outcome']} on {shorten_time(item['recorded_at'])}{text} ({shorten(item['letter'])})")
        lines += _list_about(item)
    if result["obstacle"]:
        lines.append(f"it cannot be answered now: {printable(result['obstacle'])}")
    if result["withdrawn_at"]:
        lines.append(f"taken back on {shorten_time(result['withdrawn_at'])}")
    return "\n".join(lines)


def _state(item: dict[str, Any]) -> str:
    return f"{item['state']}, OVERDUE" if item["overdue"] else str(item["state"])


def _list_about(item: dict[str, Any]) -> list[str]:
    return [f"  {about['id']} {printable(about['version'])}{_known(about)}" for about in item["about"]]


def _known(about: dict[str, Any]) -> str:
    if about.get("known", True):
        return ""
    return "\n    NOT KNOWN through this node to who asks: answer as of something that you have never heard of"
