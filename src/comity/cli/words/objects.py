# SPDX-License-Identifier: Apache-2.0
"""Shell: objects, explanations and pulls in words."""

from typing import Any

from comity.cli.words.consents import describe_grant
from comity.cli.words.files import describe_bad, describe_patterns, describe_source
from comity.cli.words.layout import columns, fields, join_words, outline, printable, shorten, shorten_time
from comity.cli.words.recalls import describe_handed, describe_recalled
from comity.cli.words.receipts import say_waived
from comity.cli.words.retention import describe_stone
from comity.counting import say_count

__all__ = [
    "describe_explanation",
    "describe_object",
    "describe_pull",
    "describe_recipients",
    "describe_seen",
    "describe_unkept",
]

_USES = {"none": "people to look at"}
_MARKS = {True: "✓", False: "✗"}
_DECISIONS = {"release": "RELEASE", "redact": "RELEASE, REDACTED", "withhold": "WITHHOLD"}


def describe_object(result: dict[str, Any]) -> str:
    """The object, and what this node holds about it."""
    gone = [f"  {describe_stone(item)}" for item in result["deleted"]]
    gone += [f"  RECALLED: {describe_recalled(item)}" for item in result["recalled"]]
    if result["unacknowledged"]:
        gone.append(f"  not acknowledged by {join_words(result['unacknowledged'])}")
    gone += [f"  {describe_grant(item)}, by {item['party']}" for item in result["consents"]]
    if result["object"] is None:
        return "\n".join([f"{result['id']} was deleted here", *gone, *describe_handed(result["handed"])])
    label = result["label"]
    versions = result["versions"]
    held = [
        ("version", f"{result['version']} (newest of {len(versions)} held)"),
        ("received", _describe_holding(result)),
        ("added", shorten_time(result["added_at"])),
        ("digest", result["digest"]),
        ("originators", join_words(label["originators"])),
        ("tlp", label["tlp"]),
        ("markings", join_words(label["markings"])),
        ("pattern", printable(result["pattern"]) if result["pattern"] else None),
        ("subjects", _groups(label["subjects"])),
        ("regions", _groups(label["regions"])),
        ("kinds", join_words(label["kinds"])),
        ("persons", join_words(label["person_classes"]) if label["person_classes"] else None),
        ("special", join_words(label["special_categories"]) if label["special_categories"] else None),
        ("handling", join_words(label["handling"]) if label["handling"] else None),
        ("audience", "any party" if label["audience"] is None else join_words(label["audience"])),
        ("excluded", ", ".join(label.get("excluded_frameworks", [])) or None),
        ("redactable", ", ".join(f"{mark['property']} (TLP:{mark['tlp']})" for mark in label["granular"]) or None),
    ]
    told = [*gone, *(f"  {_describe_repeat(repeat)}" for repeat in result["repeats"])]
    told += [*_describe_provenance(result), *_describe_use(result)]
    return "\n".join(
        [result["id"], *fields(held, indent="  "), *told, "object", *outline(result["object"], indent="  ")]
    )


def _describe_provenance(result: dict[str, Any]) -> list[str]:
    """Each way that an object came, how it came back, what others said of it, and what it leads back to."""
    lines = list[str]()
    count = len(result["ways"])
    if count > 1:
        lines.append(f"  came by {count} ways: one source, of {join_words(result['source'])}")
    for way in result["ways"]:
        lines += [f"  came {_describe_way(way)}", *_describe_handling(way["handling"])]
    if result["came_back"]:
        lines.append("  this party gave it before it came back: that confirms nothing, and restricts nothing")
    lines += [f"  came back {_describe_way(way)}" for way in result["came_back"]]
    lines += [f"  said by {describe_source(item)}" for item in result["files"]]
    for item in result["disputes"]:
        lines.append(f"  DISPUTED at {shorten_time(item['at'])} by {item['giver']}, and not kept")
        lines.append(f"    {printable(item['reason'])}")
    for chain in result["circular"]:
        lines.append(f"  CIRCULAR: it rests on what this party said itself: {' → '.join(map(printable, chain))}")
    if kept := result["retention"]:
        until = shorten_time(kept["until"]) if kept["until"] else "no date"
        lines.append(f"  kept until {until}{' by ' + kept['clause'] if kept['clause'] else ''}")
    return lines


def _describe_use(result: dict[str, Any]) -> list[str]:
    """For what programs of this party may use it, or why not; and which may have a copy."""
    lines, use = list[str](), result["use"] or {}
    allowed = [_USES.get(actions, actions) for actions, reason in use.items() if reason is None]
    if allowed:
        lines.append(f"  programs may use it for {', '.join(allowed)}")
    for reason in dict.fromkeys(reason for reason in use.values() if reason):
        refused = [_USES.get(actions, actions) for actions, why in use.items() if why == reason]
        lines.append(f"  programs may not use it for {', '.join(refused)}: {printable(reason)}")
    return lines + describe_handed(result["handed"])


def _describe_way(way: dict[str, Any]) -> str:
    channel = f", channel {way['channel']}" if way["channel"] else ""
    shown = f", shown by its disclosure {way['receipt']}" if way["receipt"] else ", without a receipt"
    return f"from {way['giver']} at {shorten_time(way['at'])} under {shorten(way['terms'])}{channel}{shown}"


def _describe_handling(handling: dict[str, Any] | None) -> list[str]:
    if handling is None:
        return ["    in which channel of these terms is not on record; what it is restricted to stands above"]
    return fields(
        [
            ("audience", join_words(handling["audience"])),
            ("onward", handling["onward"]),
            ("originators", join_words(handling["originators"])),
            ("handling", join_words(handling["handling"])),
            ("actions", handling["permitted_actions"]),
            ("prohibited", join_words(handling["prohibited_uses"])),
            ("excluded", join_words(handling["excluded_frameworks"])),
            ("review after", handling["review_after"]),
            ("delete after", handling["delete_after"]),
        ],
        indent="    ",
    )


def describe_explanation(result: dict[str, Any]) -> str:
    """The decision, the clause that decided, and every channel's table."""
    lines = [f"{_DECISIONS[result['decision']]}: {result['object']} to {result['to']}"]
    lines += _reason(result, indent="  ")
    lines += [f"  {_describe_repeat(repeat)}" for repeat in result["repeats"]]
    lines += [f"  RECALLED: {describe_recalled(item)}" for item in result["recalled"]]
    lines += [f"  {describe_grant(item)}, by {item['party']}" for item in result["consents"]]
    for reading in result["readings"]:
        lines += ["", f"{printable(reading['title'])} ({shorten(reading['agreement'])}), channel {reading['channel']}"]
        lines += _reason(reading, indent="  ")
        table = [_gate(reading["gate"]), *_history(reading["history"]), *map(_finding, reading["clauses"])]
        lines += columns(table, indent="  ")
        if reading["because"]:
            lines.append(f"  because it refers to {' → '.join(reading['because'])}")
    return "\n".join(lines)


def describe_seen(result: dict[str, Any]) -> str:
    """The decision, and what would go."""
    lines = [f"{_DECISIONS[result['decision']]}: {result['object']} to {result['to']}", *_reason(result, indent="  ")]
    if result["received"] is not None:
        lines += [
            f"  by {shorten(result['agreement'])}, channel {result['channel']}",
            *map(printable, result["received"].split("\n")),
        ]
    return "\n".join(lines)


def describe_recipients(result: dict[str, Any]) -> str:
    """One party a line."""
    rows = [
        (
            item["party"],
            _DECISIONS[item["decision"]],
            item["clause"] or join_words(item["redacted"]),
            f"{printable(item['title'])} ({shorten(item['agreement'])}), channel {item['channel']}",
        )
        for item in result["parties"]
    ]
    return "\n".join([result["object"], *columns(rows, indent="  ")]) if rows else "no channel leads to any party"


def describe_pull(result: dict[str, Any]) -> str:
    """What each channel brought."""
    lines = list[str]()
    for item in result["channels"]:
        head = f"{printable(item['title'])} ({shorten(item['agreement'])}), channel {item['channel']}"
        if item["withheld"]:
            lines.append(f"{head}: {result['party']} releases nothing here now")
            continue
        lines.append(f"{head}: {len(item['added'])} added, {item['known']} known already, {len(item['bad'])} bad")
        lines += describe_bad(item["bad"], source=result["party"])
        lines += _describe_shown(item, result["party"])
    lines += [f"  {say_waived(item)}" for item in result["waived"]]
    lines += describe_patterns(result)
    return "\n".join(lines)


def _describe_shown(item: dict[str, Any], giver: str) -> list[str]:
    """What a giver's receipts showed beside what came, and what they did not show."""
    lines = list[str]()
    if item["missing"]:
        missing = say_count(item["missing"], "disclosure")
        lines.append(f"  {giver} has {missing} on record that never came here; the receipts are kept")
    if item["refused"]:
        lines.append(f"  REFUSED, and nothing of the page was kept: what {giver} sent does not match")
        lines.append(f"  {printable(item['refused']['reason'])}")
        what = "its receipt is" if item["refused"]["part"] == "witnesses" else "the bytes are"
        lines.append(f"  {what} kept apart: `log refused` lists them")
    return lines


def describe_unkept(result: dict[str, Any]) -> str:
    """One entry a line, with its reason below."""
    lines = list[str]()
    for item in result["unkept"]:
        lines.append(
            f"{shorten_time(item['at'])} {item['giver']} in channel {item['channel']}: {printable(item['id'])}"
        )
        lines.append(f"  {printable(item['reason'])}")
    return "\n".join(lines) or "everything that partners gave and that was well formed was kept"


def _describe_holding(result: dict[str, Any]) -> str:
    if result["received_under"] is None:
        return "added here"
    return f"from {result['originator']} under {shorten(result['received_under'])}"


def _reason(decided: dict[str, Any], *, indent: str) -> list[str]:
    if decided["decision"] == "withhold":
        return [f"{indent}{decided['clause']}: {printable(decided['reason'])}"]
    if decided["redacted"]:
        return [f"{indent}without {join_words(decided['redacted'])}, which the terms do not admit"]
    return []


def _describe_repeat(repeat: dict[str, Any]) -> str:
    """What is marked in one place of an object and stands again in another."""
    level = f"TLP:{repeat['tlp'].upper()}" if repeat["tlp"] != "unmarked" else printable(repeat["marking"])
    marked = f"what {level} marks in {join_words(repeat['marked'])}"
    if not repeat["again"]:
        return f"{marked} is too much to be looked for elsewhere: the marking counts for the whole object"
    counts = (
        "which cannot all be removed: it counts for the whole object" if repeat["whole"] else "and goes from there too"
    )
    return f"{marked} stands again in {join_words(repeat['again'])}, {counts}"


def _gate(gate: dict[str, Any] | None) -> tuple[str, str, str]:
    if gate is None:
        return (_MARKS[True], "gate", "in force, and its basis recognised by this party")
    return (_MARKS[False], "gate", f"{gate['clause']}: {printable(gate['reason'])}")


def _history(history: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    return [] if history is None else [(_MARKS[False], history["clause"], printable(history["reason"]))]


def _finding(item: dict[str, Any]) -> tuple[str, str, str]:
    mark, name = _MARKS[item["holds"]], item["clause"]
    if item["test"] == "within":
        audience = _groups(item["found"]) if item["found"] else "any party"
        return (mark, name, f"{audience}; the channel would let it go to {join_words(item['allowed'])}")
    found = _groups(item["found"]) if item["found"] else "nothing said"
    if name == "frameworks":
        excluded = join_words(item["allowed"]) if item["allowed"] else "none"
        return (mark, name, f"{found if item['found'] else 'none'} excluded; the terms exclude {excluded}")
    allowed = "no limit" if item["allowed"] is None else f"admits {join_words(item['allowed'])}"
    return (mark, name, f"{found}; {allowed}")


def _groups(groups: list[list[str]]) -> str:
    """Words of one object separated by commas, objects by " + "."""
    return " + ".join(join_words(group) if group else "(not said)" for group in groups)
