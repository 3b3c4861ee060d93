# SPDX-License-Identifier: Apache-2.0
"""Shell: what keeps a node's folder whole, in words."""

from collections import Counter
from typing import Any, Final

from comity.cli.words.layout import printable, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act
from comity.counting import say_count

__all__ = [
    "describe_backup",
    "describe_examination",
    "describe_forgotten",
    "describe_purged_received",
    "describe_recovered",
    "describe_restored",
]


_NONE_LOST: Final = "no lost entry of it is known"


def describe_forgotten(result: dict[str, Any]) -> str:
    """What was purged, or would be, and where something of it still is."""
    if "refused" in result:
        return describe_refusal(result["refused"])
    if "waits_for" in result:
        return describe_waiting_act(result)
    ranges = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in result["entries"][:20])
    if "purges" not in result:
        return (
            f"{say_count(result['count'], 'entry')} would be purged: {ranges}" if result["count"] else "No entry fits."
        )
    if not result["count"]:
        return "Nothing is to be purged."
    many = say_count(result["count"], "entry")
    lines = [f"purged: the content of {many} ({ranges}); on record as {_number(result['purges'])}"]
    lines += describe_approvals(result["approvals"])
    if result["more"]:
        lines.append("More entries fit: give the same order again.")
    return "\n".join([*lines, *_describe_gone(result), *_describe_backups(result)])


def describe_purged_received(result: dict[str, Any]) -> str:
    """What was purged of what a partner's receipts list, and what is left."""
    if "refused" in result:
        return describe_refusal(result["refused"])
    if "waits_for" in result:
        return describe_waiting_act(result)
    which = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in result["receipts"][:20])
    lost, refused = say_count(result["set_aside"], "receipt"), say_count(result["refused_pages"], "refused page")
    lines = [
        f"purged, on record as entry {result['purge']}: what the receipts for disclosures {which or 'none'} list",
        f"  and {lost} of a lost log, {refused}",
        "Their places in the giver's log are left, and go on to verify.",
        *describe_approvals(result["approvals"]),
    ]
    if result["more"]:
        lines.append("More fit: give the same order again.")
    return "\n".join([*lines, *_describe_gone(result), *_describe_backups(result)])


def _describe_backups(result: dict[str, Any]) -> list[str]:
    if not result["backups"]:
        return []
    return [
        "These backups were made by this node and hold it still, unless somebody destroyed them:",
        *(f"  {shorten_time(item['made_at'])}  {printable(item['place'])}" for item in result["backups"]),
    ]


def _describe_gone(result: dict[str, Any]) -> list[str]:
    searched = result["searched"]
    if searched is not None and searched["found_in"]:
        return [f"IT IS NOT GONE: its salts are still in {', '.join(map(printable, searched['found_in']))}"]
    if not result["gone"]:
        return ["NOT GONE YET: another process reads the store. It leaves the files when that ends: `retention run`."]
    if searched is None:
        return []
    looked = f"{say_count(searched['files'], 'file')} of the folder ({say_count(searched['bytes'], 'byte')} read)"
    return [f"gone: the salts of {searched['salts']} of these entries were looked for, and are in none of the {looked}"]


def _number(entries: list[int]) -> str:
    return "entry " + ", ".join(map(str, entries[:20]))


def describe_backup(result: dict[str, Any]) -> str:
    """What was backed up, and what was not."""
    keys = "with the PRIVATE KEYS" if result["with_keys"] else "without keys: keep those somewhere else"
    entries, size = say_count(result["size"], "log entry"), say_count(result["bytes"], "byte")
    return f"backed up: {result['party']}, {entries}, {size}, {keys}"


def describe_restored(result: dict[str, Any]) -> str:
    """What was restored, and what to do before it starts."""
    folder = printable(result["folder"])
    at, entries = shorten_time(result["made_at"]), say_count(result["size"], "entry")
    lines = [f"restored and verified: {result['party']} as of {at}, {entries}"]
    if not result["with_keys"]:
        lines.append(f"The private keys are not in this backup: put them into {folder}/keys, mode 600.")
    lines += [
        "It does not start: this party may have signed more since, and its log must not fork.",
        f"Once it is certain that the newest store is lost: comity --node {folder} recover --reason TEXT",
    ]
    return "\n".join(lines)


def describe_recovered(result: dict[str, Any]) -> str:
    """Under which name the log goes on, and what is known to be lost."""
    if "refused" in result:
        return describe_refusal(result["refused"])
    if "waits_for" in result:
        return describe_waiting_act(result)
    are = "is" if result["lost"] == 1 else "are"
    lost = f"at least {say_count(result['lost'], 'entry')} of it {are} lost" if result["lost"] else _NONE_LOST
    told = ", ".join(result["told"]) or "nobody was given anything"
    stopped = ["This node cosigns nothing for others until it has another key for it: comity party rotate witness."]
    return "\n".join(
        [
            f"recovered: the log {result['previous']} goes on as {result['origin']}; {lost}",
            *map(_say_witness, result["witnesses"]),
            *describe_approvals(result["approvals"]),
            f"On record as entry {result['entry']}. Partners are told when the node is served: {told}.",
            *(stopped if result["cosigning_stopped"] else []),
            *([_say_suspended(len(result["suspended"]))] if result["suspended"] else []),
            *_say_let_in(result["persons"], result["credentials"]),
        ]
    )


def _say_suspended(many: int) -> str:
    what = "1 agreement is" if many == 1 else f"{many} agreements are"
    return (
        f"{what} suspended: what was said since the backup can be lost here."
        " Ask each partner for it (agreement export there, agreement import here), then: agreement resume."
    )


def _say_let_in(persons: list[str], credentials: list[str]) -> list[str]:
    """Whom the node lets in as the backup has it, and what takes away who should be let in no more."""
    lines = (
        ["BEFORE YOU SERVE: these are let in as the backup has them, also if that was ended since."]
        if (persons or credentials)
        else []
    )
    if persons:
        lines.append(f"  people, by badge, passkey or password: {', '.join(persons)} (comity person remove)")
    if credentials:
        of = (f"{party} ({many})" for party, many in sorted(Counter(credentials).items()))
        lines.append(
            f"  partners' clients, by credentials: {', '.join(of)} (comity credential list, credential revoke)"
        )
    return lines


def _say_witness(item: dict[str, Any]) -> str:
    name = printable(item["name"])
    if item["size"] is not None:
        return f"  the witness {name} has seen {say_count(item['size'], 'entry')} of it"
    said = "contradicts what was restored" if item["answered"] else "WAS NOT HEARD"
    return f"  the witness {name} {said}: {printable(item['problem'] or '')}"


def describe_examination(result: dict[str, Any]) -> str:
    """Each finding in three lines, the broken ones first, and what was examined."""
    lines = list[str]()
    for item in sorted(result["findings"], key=lambda item: item["grade"] != "broken"):
        lines += [f"{item['grade']}: {printable(item['where'])}", f"  {printable(item['what'])}", f"  do: {item['do']}"]
    counted = ((result["objects"], "object"), (result["events"], "event"), (result["entries"], "log entry"))
    examined = ", ".join(say_count(number, what) for number, what in counted)
    lines.append(f"{'sound' if result['sound'] else 'BROKEN'}: examined {examined}")
    return "\n".join(lines)
