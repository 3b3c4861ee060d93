# SPDX-License-Identifier: Apache-2.0
"""Shell: what is strictly necessary to give, and who may be the same person, in words."""

from typing import Any

from comity.cli.words.layout import columns, join_words, printable, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act

__all__ = [
    "describe_decided",
    "describe_ended",
    "describe_judged",
    "list_candidates",
    "list_judged",
    "list_necessity",
]

_NAMES = {"same": "same name", "variant": "sounds alike", "weak": "weak alias", "different": "other name"}


def describe_decided(result: dict[str, Any]) -> str:
    """What may be given from here on, or what that still lacks."""
    return _describe(result, "may be given from here on, where terms admit it")


def describe_ended(result: dict[str, Any]) -> str:
    """What goes to nobody from here on."""
    return _describe(result, "goes to nobody from here on")


def list_necessity(result: dict[str, Any]) -> str:
    """What waits, and what was decided."""
    lines = [f"waits  {item['object']}  {join_words(item['words'])}" for item in result["undecided"]]
    for item in result["decisions"]:
        ended = "" if item["ended_at"] is None else f"; ended {shorten_time(item['ended_at'])} by {item['ended_by']}"
        lines.append(
            f"{shorten_time(item['at'])}  {item['object']}  {join_words(item['words'])}  by {printable(item['by'])}:"
            f" {printable(item['reason'])}{ended}"
        )
    return "\n".join(lines or ["nothing waits, and nothing was decided"])


def list_candidates(result: dict[str, Any]) -> str:
    """Whom else to look at."""
    rows = [
        (
            item["object"],
            printable(item["name"]),
            _NAMES[item["names"]],
            f"agree: {join_words(item['agreeing']) or 'nothing'}",
            f"differ: {join_words(item['differing']) or 'nothing'}",
            "said to be the same" if item["same"] else "may be confirmed" if item["may_be_confirmed"] else "",
        )
        for item in result["candidates"]
    ]
    return "\n".join(columns(rows) or ["nobody else looks like this person"])


def describe_judged(result: dict[str, Any]) -> str:
    """What was said of two persons."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    said = "are about one person" if result["same"] else "are not about the same person"
    return f"{result['one']}\n{result['other']}\n{said}; on record, and no object changes by it"


def list_judged(result: dict[str, Any]) -> str:
    """What people ever said of two."""
    rows = [
        (
            shorten_time(item["at"]),
            item["one"],
            item["other"],
            "same" if item["same"] else "differ",
            printable(f"by {item['by']}: {item['reason']}"),
        )
        for item in result["judged"]
    ]
    return "\n".join(columns(rows) or ["nothing was said of any two persons"])


def _describe(result: dict[str, Any], said: str) -> str:
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    return "\n".join(
        [f"{result['object']}: {join_words(result['words'])}: {said}", *describe_approvals(result["approvals"])]
    )
