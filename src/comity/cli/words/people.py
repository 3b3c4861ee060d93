# SPDX-License-Identifier: Apache-2.0
"""Shell: people, their approvals, and what waits for somebody, in words."""

from collections.abc import Iterable
from typing import Any

from comity.cli.words.layout import columns, fields, join_words, outline, printable, shorten, shorten_time
from comity.counting import say_count

__all__ = [
    "describe_added",
    "describe_approvals",
    "describe_declined",
    "describe_invited",
    "describe_refusal",
    "describe_removed",
    "describe_renewed",
    "describe_signed_out",
    "describe_waiting_act",
    "list_matters",
    "list_people",
    "list_sessions",
]


def describe_added(result: dict[str, Any]) -> str:
    """A person now registered, and where the badge is."""
    return f"{result['person']} ({printable(result['name'])}) may act as {_roles(result)}; badge {_file(result)}"


def describe_renewed(result: dict[str, Any]) -> str:
    """A person with another badge."""
    return f"{result['person']} has another badge in {_file(result)}; the one before is dead"


def describe_removed(result: dict[str, Any]) -> str:
    """A person who acts no more."""
    dropped = result["approvals_dropped"]
    died = f", and {say_count(dropped, 'approval')} of acts not done died" if dropped else ""
    return f"{result['person']} acts no more{died}"


def describe_invited(result: dict[str, Any]) -> str:
    """An invitation: where the code is, and what to do with it."""
    where = result["url"] or "/enrol of the console, which [console] in node.toml turns on"
    lines = [
        f"{result['person']} can enrol once until {shorten_time(result['expires_at'])}",
        "  What the person signed in by before is dead.",
        *fields([("code", result.get("code") or f"in {_file(result)}"), ("at", where)], indent="  "),
        "For this person alone, by a way that others do not read. It cannot be shown again, only replaced.",
    ]
    return "\n".join(lines)


def describe_signed_out(result: dict[str, Any]) -> str:
    """A person whose sessions and programs have ended."""
    ended, stopped = result["ended"], result["programs"]
    counted = f"{say_count(ended, 'session')} and {say_count(stopped, 'program')}"
    return f"{counted} of {result['person']} ended"


def list_sessions(result: dict[str, Any]) -> str:
    """One line for each session, for each program, and for each thing that happened at the door."""
    if not result["sessions"] and not result["programs"] and not result["records"]:
        return "Nobody is signed in to the console, and nobody has tried."
    rows = [("SESSION", "PERSON", "BY", "SINCE", "LAST USED")]
    rows += [
        (
            item["session"],
            item["person"],
            item["factor"],
            shorten_time(item["began_at"]),
            shorten_time(item["used_at"]),
        )
        for item in result["sessions"]
    ]
    asking = [("PROGRAM", "PERSON", "NAME", "MAY", "UNTIL", "LAST ASKED")]
    asking += [
        (
            item["program"],
            item["person"],
            printable(item["name"]),
            ", ".join(item["may"]),
            shorten_time(item["expires_at"]),
            "-" if item["used_at"] is None else shorten_time(item["used_at"]),
        )
        for item in result["programs"]
    ]
    door = [("AT", "PERSON", "WHAT", "BY")]
    door += [
        (shorten_time(item["at"]), item["person"] or "(nobody)", item["what"], item["factor"] or "-")
        for item in result["records"]
    ]
    middle = [*columns(asking), ""] if result["programs"] else []
    return "\n".join([*columns(rows), "", *middle, *columns(door)])


def list_people(result: dict[str, Any]) -> str:
    """One line for each person."""
    if not result["people"]:
        return "No person is registered: nobody can act for this party. Add people with `person add`."
    rows = [("PERSON", "ROLES", "ADDED", "REMOVED", "SIGNS IN BY", "LAST", "NAME")]
    rows += [
        (
            item["person"],
            ",".join(item["roles"]),
            item["added_at"][:10],
            (item["removed_at"] or "-")[:10],
            _ways(item),
            (item["last_sign_in"] or "-")[:10],
            printable(item["name"]),
        )
        for item in result["people"]
    ]
    return "\n".join(columns(rows))


def describe_waiting_act(result: dict[str, Any]) -> str:
    """An approval that is kept, and what it waits for."""
    return "\n".join(
        [
            f"recorded: {result['kind']} of {_about(result)} waits for {result['waits_for']}",
            *describe_approvals(result["approvals"]),
            *fields([("terms", result["terms"]), ("until", shorten_time(result["expires_at"]))], indent="  "),
            "Nothing was signed yet. The other person reads the same terms and gives the same command."
            if result["terms"]
            else "Nothing was done yet. The other person gives the same command.",
        ]
    )


def describe_approvals(approvals: Iterable[dict[str, Any]]) -> list[str]:
    """One line for each approval."""
    return [
        f"  by {item['person']} as {item['role']}" + (f": {printable(item['reason'])}" if item["reason"] else "")
        for item in approvals
    ]


def describe_declined(result: dict[str, Any]) -> str:
    """An act that waits no more, and who had approved it; or why it could not be declined."""
    if "refused" in result:
        return describe_refusal(result["refused"])
    return "\n".join(
        [
            f"declined: {result['kind']} of {_about(result)}, by {result['declined_by']} as {result['role']}",
            *describe_approvals(result["approvals"]),
            "It waits for nobody any more. Nothing was signed.",
        ]
    )


def list_matters(result: dict[str, Any]) -> str:
    """What waits, as much of each as tells it from every other."""
    if not result["matters"]:
        return "Nothing waits for a second person."
    return "\n".join(line for item in result["matters"] for line in _describe_matter(item))


def _describe_matter(item: dict[str, Any]) -> list[str]:
    said = {name: value for name, value in item["facts"].items() if value and name not in {"title", "terms"}}
    if "says" in said:
        said["says"] = [_name_positions(each, item["bases"]) for each in said["says"]]
    return [
        f"{item['kind']} of {_about(item)} waits for {item['waits_for']}",
        *describe_approvals(item["approvals"]),
        *fields([("matter", item["matter"]), ("terms", item["terms"])], indent="  "),
        *fields([("until", shorten_time(item["expires_at"]))], indent="  "),
        *(outline(said, indent="  ") if said else []),
    ]


def _name_positions(said: dict[str, Any], bases: list[dict[str, Any]]) -> dict[str, Any]:
    """What an event would say, each position with the legal basis that it is on, where the text is at hand."""
    if not bases:
        return said
    named = [
        {f"basis of {basis['party']}, {basis['kind']} {basis['reference']}": position.replace("_", " ")}
        for position, basis in zip(said["positions"], bases, strict=True)
    ]
    return {**said, "positions": named}


def _about(item: dict[str, Any]) -> str:
    title = printable(item["title"] or "this party")
    return f"{title} ({shorten(item['agreement'])})" if item["agreement"] else title


def _roles(result: dict[str, Any]) -> str:
    return join_words(result["roles"])


def _ways(item: dict[str, Any]) -> str:
    count = item["passkeys"]
    ways = [*(["password"] if item["password"] else []), *([f"{count} passkey{'s'[: count > 1]}"] if count else [])]
    ways += ["account"] if item["account"] else []
    return " and ".join(ways) or ("(invited)" if item["invited_until"] else "-")


def _file(result: dict[str, Any]) -> str:
    return printable(result["file"])


def describe_refusal(refused: dict[str, Any]) -> str:
    """Why a person may not do it; nothing was done."""
    return f"refused: {printable(refused['reason'])}\nNothing was done."
