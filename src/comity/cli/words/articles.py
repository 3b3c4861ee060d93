# SPDX-License-Identifier: Apache-2.0
"""Shell: articles and their drafts, in words. All that was read in one is a stranger's: it goes through `printable`."""

from typing import Any

from comity.cli.words.layout import columns, fields, join_words, printable, shorten, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act
from comity.counting import say_count

__all__ = [
    "describe_added",
    "describe_article",
    "describe_confirmed",
    "describe_corrected",
    "describe_deleted",
    "describe_made",
    "describe_struck",
    "describe_text",
    "list_articles",
]

_WIDTH = 60
"""Characters of the words around a draft in one line."""

_MOST_ENTRIES = 20


def describe_added(result: dict[str, Any]) -> str:
    """Each article, and what is to be done next."""
    lines = list[str]()
    for item in result["articles"]:
        if item["already"]:
            lines.append(f"{printable(item['file'])} is article {item['number']} already: nothing was done")
            continue
        lines.append(f"{printable(item['file'])} is article {item['number']}: {_count(item)}")
        lines.append(f"  {_describe_head(item)}")
        if many := (item["read_by"] or {}).get("left_out"):
            lines.append(
                f"  not looked for: {say_count(many, 'organisation')} that this node knows; name them by --known"
            )
        if item["published"] is None:
            lines.append("  no day of publication was read: say it with `article make --published`")
    lines += [f"{printable(item['file'])} cannot be read: {printable(str(item['message']))}" for item in result["bad"]]
    if any(not item["already"] and item["open"] for item in result["articles"]):
        lines.append("Nothing of it is an object yet: see `article show`, then confirm or strike each draft.")
    return "\n".join(lines)


def list_articles(result: dict[str, Any]) -> str:
    """One article a line."""
    rows = [
        (
            str(item["number"]),
            shorten_time(item["added_at"]),
            _count(item),
            "report to make" if item["unmade"] else "made" if item["report"] else "",
            printable(_cut(item["title"] or item["name"])),
        )
        for item in result["articles"]
    ]
    return "\n".join(columns(rows) or ["no article was added"])


def describe_article(result: dict[str, Any]) -> str:
    """What is known of the article, and its drafts."""
    said = [
        ("published", result["published"]),
        ("publisher", result["publisher"]),
        ("url", result["url"]),
        ("caption", result["caption"]),
        ("retrieved", shorten_time(result["retrieved_at"])),
        ("digest", shorten(result["digest"])),
        ("format", f"{result['format']}, {say_count(result['bytes'], 'byte')}"),
        ("encoding", f"{result['encoding']} ({result['encoded_by']})"),
        ("rules", _describe_rules(result["read_by"])),
        ("added", f"{shorten_time(result['added_at'])} by {result['added_by'] or 'nobody named'}"),
        ("title or caption may hold", join_words(result["special"]) if result["special"] else None),
        ("drafts", _count(result)),
        ("report", result["report"]),
        ("made", f"{shorten_time(result['made_at'])} by {result['made_by']}" if result["made_at"] else None),
        ("tlp", (result["tlp"] or "not marked: it goes to nobody") if result["report"] else None),
        ("audience", join_words(result["audience"]) if result["audience"] else None),
    ]
    lines = [f"{result['number']} {printable(result['title'] or result['name'])}", *fields(said, indent="  ")]
    for item in result["drafts"]:
        lines += _describe_draft(item)
    if result["next"] is not None:
        lines.append(f"more: article show {result['number']} --from {result['next']}")
    return "\n".join(lines)


def describe_text(result: dict[str, Any]) -> str:
    """The text line by line, and where it goes on."""
    lines = [printable(line) for line in result["text"].replace("\r\n", "\n").split("\n")]
    if result["next"] is not None:
        lines.append(f"more: article text {result['number']} --from {result['next']}")
    return "\n".join(lines)


def describe_rules(result: dict[str, Any]) -> str:
    """The rules as they are: what does not show is written as TOML does."""
    return "".join(_escape(char) for char in result["toml"]).rstrip("\n")


def _escape(char: str) -> str:
    return char if char.isprintable() or char == "\n" else f"\\U{ord(char):08X}"


def describe_confirmed(result: dict[str, Any]) -> str:
    """What is confirmed, and what is left."""
    return _describe_decided(result, "confirmed")


def describe_struck(result: dict[str, Any]) -> str:
    """What is struck, and what is left."""
    return _describe_decided(result, "struck")


def describe_corrected(result: dict[str, Any]) -> str:
    """What is corrected, and what is left."""
    return _describe_decided(result, "corrected")


def describe_made(result: dict[str, Any]) -> str:
    """The report, and who can be given it."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    if result["already"]:
        return f"{result['report']} is made so already: nothing was done"
    lines = [f"{result['report']}: {say_count(len(result['added']), 'object')} added, {result['known']} known already"]
    if result["struck"]:
        lines.append(f"  {say_count(len(result['struck']), 'open draft')} struck")
    lines += [f"  {printable(note)}" for note in result["notes"]]
    if result["tlp"] is None:
        lines.append("  not marked: it goes to nobody until you say `article make --tlp LEVEL`")
    else:
        lines.append(f"  marked TLP:{result['tlp'].upper()}; it goes where terms admit that")
    if result["audience"] is not None:
        lines.append(f"  it may never reach others than {join_words(result['audience'])}")
    lines += [
        f"  {name} goes to nobody until two people have decided: necessity decide" for name in result["undecided"]
    ]
    return "\n".join([*lines, *describe_approvals(result["approvals"])])


def describe_deleted(result: dict[str, Any]) -> str:
    """What is gone, what stays, and where words of people are left."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    many = result["drafts"]
    lines = [f"article {result['number']} deleted, with its text and {say_count(many, 'draft')}"]
    if result["report"] is not None:
        lines.append(f"  {result['report']} and what is in it stays: retention delete, recall send")
    if result["entries"]:
        shown = ", ".join(map(str, result["entries"][:_MOST_ENTRIES]))
        more = f" and {len(result['entries']) - _MOST_ENTRIES} more" if len(result["entries"]) > _MOST_ENTRIES else ""
        lines.append(f"  what people wrote about it stays in entries of the log ({shown}{more}): purge order --entry N")
    if not result["gone"]:
        lines.append("Another process reads the store: what was deleted leaves its files with the next retention run.")
    return "\n".join([*lines, *describe_approvals(result["approvals"])])


def _describe_decided(result: dict[str, Any], said: str) -> str:
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    if not result["drafts"]:
        return f"article {result['number']}: nothing to do, that is so already; {_count(result)}"
    many = len(result["drafts"])
    lines = [f"article {result['number']}: {say_count(many, 'draft')} {said}; {_count(result)}"]
    lines += describe_approvals(result["approvals"])
    if not result["open"] and result["unmade"]:
        lines.append(f"Every draft is decided on: article make {result['number']}")
    return "\n".join(lines)


def _describe_draft(item: dict[str, Any]) -> list[str]:
    mark = {"open": "?", "confirmed": "+", "struck": "-"}[item["state"]]
    many = f", {say_count(item['places'], 'time')}" if item["places"] > 1 else ""
    title = printable(_cut(item["title"], most=2 * _WIDTH))
    lines = [f"{mark} {item['number']} {item['kind']} {title} ({item['type']}, {printable(item['rule'])}{many})"]
    before, after = _flat(item["before"])[-_WIDTH:], _flat(item["after"])[:_WIDTH]
    lines.append(f"    {printable(before)}[{printable(_cut(_flat(item['text']), most=4 * _WIDTH))}]{printable(after)}")
    said = [
        ("doubt", item["doubt"]),
        ("may hold", join_words(item["warnings"]) + ": two people decide before it goes" if item["warnings"] else None),
        ("about", join_words(map(str, item["refers"])) if item["refers"] else None),
        ("held as", item["held"]),
        *(("note", note) for note in item["notes"]),
        *((f"corrected {one['field']}", f"{one['value']} by {one['by']}") for one in item["corrections"]),
        (item["state"], _describe_decision(item) if item["by"] else None),
    ]
    return [*lines, *fields(said, indent="    ")]


def _describe_decision(item: dict[str, Any]) -> str:
    reason = f": {item['reason']}" if item["reason"] else ""
    return f"{shorten_time(item['at'])} by {item['by']}{reason}"


def _describe_rules(read_by: dict[str, Any] | None) -> str | None:
    """By what it was read; an article of an older version does not say."""
    if read_by is None:
        return None
    own = f"with own ones, {shorten(read_by['own'])}" if read_by["own"] else "those of the program"
    many = read_by.get("left_out")
    left_out = f"; {many} that the node knows were too many to be looked for" if many else ""
    return f"{shorten(read_by['rules'])}, {own}; organisations {shorten(read_by['organisations'])}{left_out}"


def _describe_head(item: dict[str, Any]) -> str:
    known = [item["title"], item["published"], item["publisher"], item["url"]]
    return ", ".join(printable(_cut(str(word))) for word in known if word)


def _count(item: dict[str, Any]) -> str:
    return f"{item['open']} open, {item['confirmed']} confirmed, {item['struck']} struck"


def _flat(text: str) -> str:
    """The text with its line ends as spaces: what is left that does not show is shown as what it is."""
    return text.replace("\r\n", " ").replace("\n", " ")


def _cut(text: str, *, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
