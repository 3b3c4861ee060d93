# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party says of objects, in words: rules, lists of subjects and threat assessments too."""

from collections.abc import Iterable
from typing import Any

from comity.cli.words.layout import columns, fields, join_words, printable, shorten, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act
from comity.counting import say_count

__all__ = [
    "describe_applied",
    "describe_assessed",
    "describe_assessment",
    "describe_classification",
    "describe_classified",
    "describe_decided",
    "describe_foreseen",
    "describe_list",
    "describe_loaded",
    "describe_preview",
    "describe_reviewed",
    "describe_rules_preview",
    "describe_taken_back",
    "list_assessments",
    "list_questions",
    "list_rules",
    "list_versions",
]

_CLOSED = "the channel is closed now"


def describe_classified(result: dict[str, Any]) -> str:
    """What is said of an object from here on."""
    return _describe_words(result, "said of", "nothing new: all of it is said of")


def describe_taken_back(result: dict[str, Any]) -> str:
    """What is said of an object no more."""
    return _describe_words(result, "said no more of", "nothing was taken back of")


def describe_classification(result: dict[str, Any]) -> str:
    """What an object or its giver says, and what is and was said here."""
    lines = [result["object"], "by itself, its giver, or when it was taken in:"]
    lines += fields([(field, join_words(words)) for field, words in result["plain"].items() if words], indent="  ")
    lines.append("here" + (", which can only keep it back:" if result["restricts_only"] else ":"))
    for tag in result["said"]:
        lines += _describe_tag(tag)
    return "\n".join(lines if result["said"] else [*lines, "  nothing"])


def describe_preview(result: dict[str, Any]) -> str:
    """Which releases would be gained or lost."""
    return "\n".join(_describe_effects(result["effects"]))


def describe_rules_preview(result: dict[str, Any]) -> str:
    """What a rule set would say, and which releases would be gained or lost."""
    if "refused" in result:
        return describe_refusal(result["refused"])
    of = say_count(result["looked_at"], "object")
    many = f"{say_count(result['words'], 'word')} on {result['objects']} of {of} of this party"
    lines = [f"{printable(result['name'])}: {many}", f"  set {result['rules']}"]
    lines += [f"  looks names up on {name}, version {printable(version)}" for name, version in result["lists"].items()]
    for matter in result["matters"]:
        who = ", ".join(item["person"] for item in matter["approvals"])
        lines.append(f"  {who} has approved to apply it: {printable(matter['facts']['reason'])}")
    for step in result["steps"][:_SHOWN]:
        sign = "-" if step["ends"] else "+"
        lines.append(f"  {sign} {step['object']} {step['field']} {printable(step['word'])}  {printable(step['why'])}")
    if result["words"] > _SHOWN:
        lines.append(f"  and {result['words'] - _SHOWN} more; --json has them")
    return "\n".join([*lines, *_describe_effects(result["effects"]), "Nothing was changed."])


def describe_applied(result: dict[str, Any]) -> str:
    """What a rule set began and ended to say."""
    if (other := _describe_other(result)) is not None:
        return other
    name = f"{printable(result['name'])} ({shorten(result['rules'])})"
    if not result["said"] and not result["ended"]:
        return "\n".join([f"{name}: nothing changes", *describe_approvals(result["approvals"])])
    said, many = say_count(result["said"], "word"), say_count(result["objects"], "object")
    return "\n".join(
        [
            f"{name}: {said} said, {result['ended']} taken back, on {many}",
            *describe_approvals(result["approvals"]),
        ]
    )


def list_rules(result: dict[str, Any]) -> str:
    """One line for each rule set."""
    if not result["sets"]:
        return "No rule set was applied."
    rows = [("APPLIED", "RULES", "WORDS", "LATER", "ENDED", "NAME")]
    rows += [
        (
            shorten_time(item["applied_at"]),
            shorten(item["rules"]),
            str(item["words"]),
            "yes" if item["standing"] else "no",
            "-" if item["ended_at"] is None else item["ended_at"][:10],
            printable(item["name"]),
        )
        for item in result["sets"]
    ]
    return "\n".join(columns(rows))


def describe_foreseen(result: dict[str, Any]) -> str:
    """What a version of a list would change, and what it would stop."""
    lines = [f"{result['list']} {printable(result['version'])}: {say_count(result['entries'], 'entry')}"]
    if result["before"] is None:
        lines.append("  no version of it is held: nobody leaves, and nothing is stopped")
    else:
        lines += [f"  held: {printable(result['before'])}", *_describe_changes(result)]
    lines += [
        f"  {item['subject']} would leave: {say_count(item['objects'], 'object')} about it"
        for item in result["leaving"][:_SHOWN]
    ]
    if len(result["leaving"]) > _SHOWN:
        lines.append(f"  and {len(result['leaving']) - _SHOWN} more that would leave")
    many = result["stopped"]
    lines.append(f"  {say_count(many, 'object')} would go to nobody until people decide")
    return "\n".join([*lines, f"  digest {result['digest']}"])


def describe_loaded(result: dict[str, Any]) -> str:
    """A version of a list that was taken in, and what it stops."""
    if (other := _describe_other(result)) is not None:
        return other
    lines = [f"{result['list']} {printable(result['version'])}: {say_count(result['entries'], 'entry')}"]
    if not result["first"]:
        lines += _describe_changes(result)
    if result["delisted"]:
        many = result["stopped"]
        lines.append(
            f"  {say_count(many, 'object')} about who left, and what refers to them, go to nobody until"
            " people decide: list questions"
        )
    return "\n".join([*lines, *describe_approvals(result["approvals"])])


def list_versions(result: dict[str, Any]) -> str:
    """One line for each version of a list."""
    if not result["versions"]:
        return "No list of subjects is held."
    rows = [("LOADED", "LIST", "VERSION", "LISTED", "LEFT", "CHANGED", "LOOKED AT")]
    rows += [
        (
            shorten_time(item["loaded_at"]),
            item["list"],
            printable(item["version"]),
            str(len(item["listed"])),
            str(len(item["delisted"])),
            str(len(item["changed"])),
            "-" if item["reviewed_at"] is None else item["reviewed_at"][:10],
        )
        for item in result["versions"]
    ]
    return "\n".join(columns(rows))


def describe_list(result: dict[str, Any]) -> str:
    """A version of a list, with its entries."""
    lines = [f"{result['list']} {printable(result['version'])}, loaded by {printable(result['by'])}"]
    lines += _describe_changes(result)
    for entry in result["entries"]:
        names = [*entry["names"], *(f"{alias['name']} ({alias['quality']})" for alias in entry["aliases"])]
        lines.append(f"{printable(entry['subject'])}  {entry['kind']}  {join_words(names)}")
    return "\n".join(lines)


def list_questions(result: dict[str, Any]) -> str:
    """One line for each subject that left a list."""
    if not result["questions"]:
        return "No subject has left a list."
    rows = [("SINCE", "SUBJECT", "LEFT WITH", "OBJECTS", "DECIDED")]
    rows += [
        (
            shorten_time(item["asked_at"]),
            printable(item["subject"]),
            printable(f"{item['list']} {item['version']}"),
            str(item["objects"]),
            "NOBODY YET: stopped"
            if item["decision"] is None
            else printable(f"{item['decision']} by {item['by']}: {item['reason']}"),
        )
        for item in result["questions"]
    ]
    return "\n".join(columns(rows))


def describe_decided(result: dict[str, Any]) -> str:
    """What people decided of a subject."""
    if (other := _describe_other(result)) is not None:
        return other
    many = say_count(result["objects"], "object")
    what = f"what is about {printable(result['subject'])}, {many},"
    goes = f"{what} goes on as terms say" if result["decision"] == "keep" else f"{what} goes to nobody"
    return "\n".join([goes, *describe_approvals(result["approvals"])])


def describe_reviewed(result: dict[str, Any]) -> str:
    """That a person has looked at what a list changes."""
    if (other := _describe_other(result)) is not None:
        return other
    return f"{result['list']} {printable(result['version'])}: looked at"


def describe_assessed(result: dict[str, Any]) -> str:
    """An assessment that was written."""
    if (other := _describe_other(result)) is not None:
        return other
    head = f"{result['object']}, version {result['version']}, good before {shorten_time(result['expires_at'])}"
    return "\n".join([head, *describe_approvals(result["approvals"])])


def describe_assessment(result: dict[str, Any]) -> str:
    """An assessment, in full."""
    return "\n".join(
        [
            f"{result['object']}, version {result['version']}, of {result['originator']}",
            *fields(
                [
                    ("assesses", result["assessed"]),
                    ("title", result["title"]),
                    ("threat", result["threat"]),
                    ("may go to", join_words(result["may_go_to"])),
                    ("may return to", join_words(result["may_return_to"])),
                    ("basis", result["basis"]),
                    ("evaluation", result["evaluation"]),
                    ("authors", join_words(result["authors"])),
                    ("good before", shorten_time(result["expires_at"]) + _past(result)),
                    ("text", result["text"]),
                ],
                indent="  ",
            ),
        ]
    )


def list_assessments(result: dict[str, Any]) -> str:
    """One line for each assessment."""
    if not result["assessments"]:
        return "No threat assessment is held."
    rows = [("GOOD BEFORE", "OBJECT", "ASSESSES", "OF", "TITLE")]
    rows += [
        (
            shorten_time(item["expires_at"]) + _past(item),
            item["object"],
            item["assessed"],
            item["originator"],
            printable(item["title"]),
        )
        for item in result["assessments"]
    ]
    return "\n".join(columns(rows))


_SHOWN = 40


def _past(item: dict[str, Any]) -> str:
    return ", PAST: goes to nobody" if item["lapsed"] else ""


def _describe_other(result: dict[str, Any]) -> str | None:
    if "waits_for" in result:
        return describe_waiting_act(result)
    return describe_refusal(result["refused"]) if "refused" in result else None


def _describe_words(result: dict[str, Any], done: str, nothing: str) -> str:
    if (other := _describe_other(result)) is not None:
        return other
    if not result["words"]:
        return f"{nothing} {result['object']}"
    lines = [f"{done} {result['object']}:"]
    lines += [f"  {item['field']} {printable(item['word'])}" for item in result["words"]]
    if result["restricts_only"]:
        lines.append("  It is not of this party alone: what is said here can only keep it back.")
    return "\n".join([*lines, *describe_approvals(result["approvals"])])


def _describe_tag(tag: dict[str, Any]) -> list[str]:
    by = tag["person"] or f"rules {shorten(tag['rules'])}"
    on = f" (on {tag['list']} {printable(tag['version'])})" if tag["list"] else ""
    said = f"by {printable(by)} at {shorten_time(tag['at'])}: {printable(tag['reason'])}"
    lines = [f"  {tag['field']} {printable(tag['word'])}{on}, {said}"]
    if tag["ended_at"] is not None:
        ended = f"    TAKEN BACK at {shorten_time(tag['ended_at'])} by {printable(tag['ended_by'])}"
        lines.append(f"{ended}: {printable(tag['ended_why'])}")
    return lines


def _describe_changes(result: dict[str, Any]) -> list[str]:
    heads = ("listed", "delisted", "changed")
    return [f"  {head}: {join_words(result[head][:_SHOWN])}" for head in heads if result[head]]


def _describe_effects(effects: Iterable[dict[str, Any]]) -> list[str]:
    lines = list[str]()
    for effect in effects:
        closed = f" ({_CLOSED}: {printable(effect['closed'])})" if effect["closed"] else ""
        lines.append(
            f"{effect['recipient']}, channel {effect['channel']} of {printable(effect['title'])}"
            f" ({shorten(effect['agreement'])}): {effect['gained']} gained, {effect['lost']} lost,"
            f" {effect['changed']} given without other properties{closed}"
        )
        lines += [f"  + {name}" for name in effect["gained_objects"]]
        lines += [f"  - {item['object']} ({item['clause']})" for item in effect["lost_objects"]]
    return lines or ["No release would be gained or lost."]
