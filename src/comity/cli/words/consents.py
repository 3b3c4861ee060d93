# SPDX-License-Identifier: Apache-2.0
"""Shell: consent in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, printable, shorten, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act

__all__ = ["describe_consent", "describe_grant", "describe_said", "list_consents"]

_KINDS = {
    "consent-request": "asked",
    "consent-grant": "granted",
    "consent-refusal": "refused",
    "consent-revocation": "revoked",
}
_ANSWERS = {
    None: "not answered",
    "granted": "granted",
    "expired": "granted, and over",
    "sanitised": "a sanitised version instead",
    "refused": "refused",
    "revoked": "revoked",
}


def describe_said(result: dict[str, Any]) -> str:
    """What was said to whom, and who does not have the letter yet."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    lines = list[str]()
    waiting = {item["party"]: item["problem"] for item in result["waiting"]}
    for item in result["letters"]:
        party = item["to"]
        problem = f" (last try: {printable(waiting[party])})" if waiting.get(party) else ""
        has = f"does not have it yet{problem}" if party in waiting else "has it"
        lines.append(f"{_KINDS[item['kind']]}: {_about(item)}")
        lines.append(f"  {shorten(item['letter'])} to {party} under {shorten(item['agreement'])}: {has}")
    return "\n".join([*lines, *describe_approvals(result["approvals"])])


def list_consents(result: dict[str, Any]) -> str:
    """One line for each request: those sent, then those received."""
    if not result["sent"] and not result["received"]:
        return "Nobody has asked for consent."
    lines = list[str]()
    for head, items in (("SENT", result["sent"]), ("RECEIVED", result["received"])):
        if items:
            rows = [(head, "LETTER", "PARTY", "FOR", "ANSWER", "OBJECT")]
            rows += [
                (
                    shorten_time(item["recorded_at"]),
                    shorten(item["letter"]),
                    item["party"],
                    item["recipient"],
                    _answer(item),
                    _about(item),
                )
                for item in items
            ]
            lines += columns(rows)
    return "\n".join(lines)


def describe_consent(result: dict[str, Any]) -> str:
    """The request, and what was answered."""
    lines = fields(
        [
            ("letter", result["letter"]),
            ("to" if result["sent"] else "from", result["party"]),
            ("under", result["agreement"]),
            ("at", result["recorded_at"]),
            ("for", result["recipient"]),
            ("purpose", result["purpose"]),
            ("reason", printable(result["reason"])),
            ("until", result["until"]),
            ("answer", _answer(result)),
            ("due", shorten_time(result["due"]) if result["due"] else None),
        ]
    )
    if result["given"] is False:
        lines.append("NOT GIVEN: the log does not show that this party was given all that")
    if result.get("left"):
        lines.append(f"LEFT: {result['party']} is in this agreement no more; what it was given stays bound by it")
    lines.append("versions")
    lines += [f"  {item['id']} {printable(item['version'])}" for item in result["about"]]
    lines += [f"{describe_grant(item)} ({shorten(item['letter'])})" for item in result["grants"]]
    granted = {item["letter"] for item in result["grants"]}
    lines += [_describe_answer(item) for item in result["answers"] if item["letter"] not in granted]
    return "\n".join(lines)


def describe_grant(item: dict[str, Any]) -> str:
    """To whom a version may go, until when, and on which conditions."""
    under = f"; conditions: {printable(item['conditions'])}" if item["conditions"] else ""
    state = "" if item["state"] == "good" else f", {item['state']}"
    return (
        f"granted for {item['recipient']}, {item['purpose']}, {item['actions']},"
        f" until {shorten_time(item['until'])}{state}{under}"
    )


def _describe_answer(item: dict[str, Any]) -> str:
    reason = f": {printable(item['reason'])}" if item.get("reason") else ""
    what = _KINDS[item["kind"]]
    if item.get("sanitised"):
        what = f"instead {item['sanitised']['id']} {printable(item['sanitised']['version'])} is released"
    note = ""
    if item["kind"] == "consent-grant" and item["note"] in {"again", "wider", "expired", "revoked"}:
        note = f", without effect ({item['note']})"
    return f"{what} on {shorten_time(item['recorded_at'])}{note}{reason} ({shorten(item['letter'])})"


def _answer(item: dict[str, Any]) -> str:
    if item["state"] == "refused":
        return "CANNOT BE GRANTED under these terms"
    overdue = f", overdue since {item['due'][:10]}" if item["overdue"] else ""
    return f"{_ANSWERS[item['answer']]}{overdue}"


def _about(item: dict[str, Any]) -> str:
    ids = sorted({about["id"] for about in item["about"]})
    return ids[0] if len(ids) == 1 else f"{ids[0]} and {len(ids) - 1} more"
