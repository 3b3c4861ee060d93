# SPDX-License-Identifier: Apache-2.0
"""Shell: receipts in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, join_words, printable, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act
from comity.counting import say_count

__all__ = ["describe_receipt", "describe_verified", "describe_waived", "list_refused", "say_waived"]

_NO_WITNESS = (
    "No witness was asked for: whether the giver shows this same log to everybody, its own signature cannot say."
)


def describe_verified(result: dict[str, Any]) -> str:
    """What a receipt shows, and what of it nobody vouched for."""
    count = len(result["objects"])
    head = f"verified: {result['giver']} gave {say_count(count, 'object')} to {result['recipient']} at {result['at']}"
    facts = fields(
        [
            ("disclosure", f"{result['sequence']} to {result['recipient']}, answer {result['answer']}"),
            ("terms", result["terms"]),
            ("channel", result["channel"]),
            ("entry", f"{result['entry']} of {result['size']} in the log {result['log']}"),
            ("root", result["root"]),
            ("manifest", f"{result['manifest']} (compare it with what the party gave you)"),
        ],
        indent="  ",
    )
    lines = [head, *facts, *_describe_objects(result), *_describe_handling(result["handling"])]
    lines += [f"{printable(item['file'])} is {printable(item['id'])} as it left" for item in result.get("files", ())]
    return "\n".join([*lines, *_describe_witnesses(result["witnesses"])])


def describe_receipt(result: dict[str, Any]) -> str:
    """The receipt itself."""
    return str(result["receipt"])


def describe_waived(result: dict[str, Any]) -> str:
    """What stands without receipts from here on."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    lines = [say_waived(result["waived"]), "The next pull goes on after them; no object was taken in by this."]
    return "\n".join([*lines, *describe_approvals(result["approvals"])])


def say_waived(item: dict[str, Any]) -> str:
    """Which disclosures of whom stand without receipts, and where it is on record."""
    which = f"disclosure {item['first']}" if item["first"] == item["through"] else ""
    which = which or f"disclosures {item['first']} to {item['through']}"
    verb = "stands" if item["first"] == item["through"] else "stand"
    return f"{which} of {item['giver']} {verb} without receipt since {shorten_time(item['at'])} (entry {item['entry']})"


def list_refused(result: dict[str, Any]) -> str:
    """One refused page a line, with the reason below."""
    lines = list[str]()
    for item in result["refused"]:
        head = f"{item['number']}  {shorten_time(item['at'])}  {item['giver']} in channel {item['channel']}"
        lines += [head, f"  {printable(item['reason'])}"]
    return "\n".join(lines) or "no page of a partner was refused for its receipt"


def _describe_objects(result: dict[str, Any]) -> list[str]:
    rows = [
        (
            printable(item["id"]),
            printable(item["version"]),
            item["digest"] or "without its content",
            f"without {join_words(item['redacted'])}" if item["redacted"] else "",
        )
        for item in result["objects"]
    ]
    return ["objects", *columns(rows, indent="  ")] if rows else []


def _describe_handling(handling: dict[str, Any] | None) -> list[str]:
    if handling is None:
        return ["The receipt is without its terms: how the objects must be handled stands there."]
    kept = handling["delete_after"] or "no date"
    return [
        "handling, as the terms have it",
        *fields(
            [
                ("terms", handling["title"]),
                ("audience", join_words(handling["audience"])),
                ("onward", handling["onward"]),
                ("TLP at most", handling["tlp_ceiling"]),
                ("handling", join_words(handling["handling"])),
                ("originators", join_words(handling["originators"])),
                ("purposes", join_words(handling["purposes"])),
                ("actions", handling["permitted_actions"]),
                ("prohibited", join_words(handling["prohibited_uses"])),
                ("excluded", join_words(handling["excluded_frameworks"])),
                ("review after", handling["review_after"]),
                ("delete after", kept),
                ("survives", join_words(handling["survives"])),
                ("delete within", handling["delete_after_end"] and f"{handling['delete_after_end']} of the end"),
            ],
            indent="  ",
        ),
    ]


def _describe_witnesses(witnesses: list[dict[str, Any]] | None) -> list[str]:
    if witnesses is None:
        return [_NO_WITNESS]
    if not witnesses:
        return ["The policy asks for no witness, and none of those it names has cosigned."]
    said = ", ".join(f"{printable(item['name'])} at {shorten_time(item['at'])}" for item in witnesses)
    return [f"cosigned by {said}"]
