# SPDX-License-Identifier: Apache-2.0
"""Shell: agreements in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, join_words, outline, printable, shorten, shorten_time
from comity.cli.words.people import describe_approvals, describe_waiting_act

__all__ = ["describe_act", "describe_agreement", "describe_import", "describe_status", "list_agreements"]


def describe_act(result: dict[str, Any]) -> str:
    """What was recorded, the state it led to, and who has not got it yet; or what it waits for; or the refusal."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        refused = result["refused"]
        if refused["clause"] == "people":
            return f"refused: {printable(refused['reason'])}\nNothing was signed."
        return (
            f"refused by this party's own recognition policy, {refused['clause']}: {printable(refused['reason'])}\n"
            "Nothing was signed. Only a legal officer may change recognition.toml."
        )
    return "\n".join(
        [
            f"{result['kind']}: {printable(result['title'])} ({shorten(result['agreement'])})",
            *fields([("state", _state(result)), ("event", shorten(result["event"]))], indent="  "),
            *describe_approvals(result["approvals"]),
            *_describe_waiting(result["waiting"]),
        ]
    )


def describe_import(result: dict[str, Any]) -> str:
    """What was recorded, and what was not and why."""
    lines = [f"{len(result['recorded'])} recorded, {result['known']} known already, {len(result['refused'])} refused"]
    lines += [f"  {item['party']}: {item['kind']}; {_state(item)}" for item in result["recorded"]]
    lines += [f"  refused: {printable(reason)}" for reason in result["refused"]]
    return "\n".join([*lines, *_describe_waiting(result.get("waiting", []))])


def list_agreements(result: dict[str, Any]) -> str:
    """One line for each agreement."""
    if not result["agreements"]:
        return "No agreement is on record."
    rows = [("AGREEMENT", "STATE", "VERSION", "PARTIES", "TITLE")]
    rows += [
        (
            shorten(item["agreement"]),
            item["state"],
            str(item["version"]),
            ",".join(_name_parties(item)),
            printable(item["title"]),
        )
        for item in result["agreements"]
    ]
    return "\n".join(columns(rows))


def describe_agreement(result: dict[str, Any]) -> str:
    """The text that counts, the versions and the events."""
    versions = [(f"version {item['version']}", item["terms"], printable(item["title"])) for item in result["versions"]]
    events = [
        (
            shorten_time(item["at"]),
            item["party"],
            item["kind"],
            shorten(item["event"]),
            printable(" ".join(filter(None, (item["clause"], item["text"])))),
        )
        for item in result["events"]
    ]
    return "\n".join(
        [
            _title(result),
            *fields(_standing(result), indent="  "),
            "versions",
            *columns(versions, indent="  "),
            "events",
            *columns(events, indent="  "),
            f"terms {result['terms']}",
            *outline(result["document"], indent="  "),
        ]
    )


def describe_status(result: dict[str, Any]) -> str:
    """State, signatures, questions, suspensions, recognition, and what can be given now."""
    latest, current = result["latest"], result["current"]
    until = shorten_time(result["valid_until"]) if result["valid_until"] else "further notice"
    lines = [
        _title(result) + (f", as it stood on record at {shorten_time(result['at'])}" if result["at"] else ""),
        *fields(
            [
                *_standing(result),
                ("valid", f"{shorten_time(result['valid_from'])} until {until}"),
                ("latest", f"version {latest['version']}, terms {shorten(latest['terms'])}"),
                ("signed by", join_words(latest["signed_by"])),
                ("missing", join_words(latest["missing"])),
                ("confirmed", join_words(result["confirmed_by"])),
                ("recognised", _recognition(latest["recognition"])),
            ],
            indent="  ",
        ),
    ]
    if current is not None and current["terms"] != latest["terms"]:
        lines += fields(
            [
                ("agreed", f"version {current['version']}, terms {shorten(current['terms'])}"),
                ("recognised", _recognition(current["recognition"])),
            ],
            indent="  ",
        )
    for item in result["open_questions"]:
        text = printable(item["text"])
        lines.append(f"  open question {shorten(item['event'])} of {item['party']} on {item['clause']}: {text}")
    for item in result["suspensions"]:
        reason = f": {printable(item['reason'])}" if item["reason"] else ""
        what = f"channel {item['channel']} " if item["channel"] else ""
        lines.append(f"  {what}suspended by {item['party']} at {shorten_time(item['at'])}{reason}")
    lines += [f"  suspended by itself for {item['party']}: {printable(item['reason'])}" for item in result["lapses"]]
    lines += [_basis(item) for item in result["positions"]]
    for item in result["reservations"]:
        text = f": {printable(item['text'])}" if item["text"] else ""
        lines.append(f"  reservation of {item['party']} on {item['clause']}, {item['ground']}{text}")
    lines += [_give(item) for item in result["gives"]]
    lines += [f"  next: {item['party']} can {item['act']} ({printable(item['why'])})" for item in result["next_steps"]]
    return "\n".join([*lines, *_describe_waiting(result["waiting"])])


def _title(result: dict[str, Any]) -> str:
    return f"{printable(result['title'])} ({shorten(result['agreement'])})"


def _standing(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("agreement", result["agreement"]),
        ("state", _state(result)),
        ("parties", join_words(_name_parties(result))),
    ]


def _name_parties(result: dict[str, Any]) -> list[str]:
    """The parties; of those that are out it is said."""
    return [f"{party} (left)" if party in result.get("left", ()) else party for party in result["parties"]]


def _state(result: dict[str, Any]) -> str:
    """The state's sentence, behind its name where the sentence does not begin with it."""
    state, sentence = result["state"], result["sentence"]
    return str(sentence) if sentence.startswith(state) else f"{state}: {sentence}"


def _recognition(recognition: dict[str, Any]) -> str:
    if recognition["recognised"]:
        bases = join_words(f"{basis['kind']} {basis['reference']}" for basis in recognition["bases"])
        return f"by this party: {bases}"
    return f"not by this party, {recognition['clause']}: {recognition['reason']}"


def _basis(item: dict[str, Any]) -> str:
    """A legal basis, and who says what of it."""
    parties: dict[str, list[str]] = {}
    for party, position in item["positions"].items():
        parties.setdefault(position.replace("_", " "), []).append(party)
    said = "; ".join(f"{position} by {join_words(names)}" for position, names in sorted(parties.items(), reverse=True))
    return (
        f"  basis of {item['party']}: {item['kind']} {printable(item['reference'])} recorded, {said or 'no position'}"
    )


def _give(item: dict[str, Any]) -> str:
    if item["open"]:
        return f"  channel {item['channel']} to {item['to']}: open, what its scope admits can be released now"
    reason = printable(item["reason"] or "")
    return f"  channel {item['channel']} to {item['to']}: closed, nothing is released ({reason})"


def _describe_waiting(waiting: list[dict[str, Any]]) -> list[str]:
    return [
        f"  queued for {item['party']}: will be delivered when `comity serve` runs here and that node answers"
        + (f" (last try: {printable(item['problem'])})" if item["problem"] else "")
        for item in waiting
    ]
