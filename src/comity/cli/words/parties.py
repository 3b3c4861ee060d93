# SPDX-License-Identifier: Apache-2.0
"""Shell: parties and credentials in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, printable, shorten_time
from comity.cli.words.people import describe_approvals, describe_refusal, describe_waiting_act
from comity.counting import say_count

__all__ = [
    "describe_added",
    "describe_credential",
    "describe_founded",
    "describe_protected",
    "describe_repinned",
    "describe_revoked",
    "describe_rotated",
    "list_credentials",
    "list_parties",
]


_PLAIN = "The keys are NOT ENCRYPTED: whoever has a copy of them can sign as this party; see `party protect-keys`."


def describe_founded(result: dict[str, Any]) -> str:
    """A new node, and what to do next."""
    lines = [
        f"{printable(result['folder'])} is now the node of {result['party']}.",
        *fields([("digest", result["digest"]), ("expires", shorten_time(result["expires_at"]))], indent="  "),
        *([] if result["encrypted"] else [_PLAIN]),
        "Give partners your manifest (`party export FILE`), and the digest over another channel.",
        "A legal officer writes into recognition.toml what this party recognises; now it recognises nothing.",
    ]
    return "\n".join(lines)


def describe_added(result: dict[str, Any]) -> str:
    """A party that is now pinned."""
    lines = [
        f"{result['party']} is pinned: {printable(result['name'])}",
        *fields(
            [
                ("state", result["state"]),
                ("digest", result["digest"]),
                ("manifest", f"version {result['version']}, until {shorten_time(result['expires_at'])}"),
                ("node", result["url"] or "address not known; set it with --url"),
            ],
            indent="  ",
        ),
    ]
    return "\n".join(lines)


def describe_repinned(result: dict[str, Any]) -> str:
    """A party that is pinned anew, what ended, and what goes on under the new keys."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    party, count = result["party"], result["receipts_set_aside"]
    lines = [
        f"{party} is pinned anew: {printable(result['name'])}",
        *fields(
            [
                ("digest", result["digest"]),
                ("before", result["before"]),
                ("manifest", f"version {result['version']}, until {shorten_time(result['expires_at'])}"),
                ("node", result["url"] or "address not known; set it with `party add FILE --url URL`"),
            ],
            indent="  ",
        ),
        "What the keys before signed stays on record; they sign nothing more here.",
        f"Credentials revoked: {result['credentials_revoked']}. Where a client needs one: `credential create`.",
        f"Its log begins anew: {say_count(count, 'receipt')} of the one before kept as evidence."
        if result["log_begins_anew"]
        else "Its log goes on under the same key.",
    ]
    lines += [
        f"In force, and the new keys speak in it: {item['agreement'][:12]} {printable(item['title'])}"
        for item in result["in_force"]
    ]
    if result["in_force"]:
        lines.append("Suspend what is not to go on: `agreement suspend`.")
    return "\n".join([*lines, *describe_approvals(result["approvals"])])


def describe_rotated(result: dict[str, Any]) -> str:
    """The next manifest, whose keys were replaced, and who does not know of it yet."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    roles = ", ".join(result["roles"])
    lines = [
        f"version {result['version']} of the manifest of {result['party']} is in force"
        + (f", with other keys for {roles}" if roles else ", with the same keys"),
        *fields([("digest", result["digest"]), ("expires", shorten_time(result["expires_at"]))], indent="  "),
        *[f"  its server shows the TLS key {key}" for key in result["tls"]],
        *describe_approvals(result["approvals"]),
    ]
    waiting = {item["party"]: item["problem"] for item in result["waiting"]}
    for party in result["told"]:
        if party not in waiting:
            lines.append(f"  {party} has it")
            continue
        problem = f" (last try: {printable(waiting[party])})" if waiting[party] else ""
        lines.append(
            f"  {party} does not have it yet: it is sent when `comity serve` runs here and its node answers{problem}"
        )
    for item in result["uncosigned"]:
        problem = f" (last try: {printable(item['problem'])})" if item["problem"] else ""
        lines.append(f"  the witness {printable(item['witness'])} has not cosigned under it yet{problem}")
    if result["uncosigned"]:
        lines.append("Until enough witnesses have, partners that ask for them take in nothing; `witness list` tells.")
    lines.append("Give partners the digest over another channel; `party export` has the file for those not reached.")
    return "\n".join(lines)


def describe_protected(result: dict[str, Any]) -> str:
    """Whether the keys are encrypted."""
    if result["encrypted"]:
        return f"the keys of {result['party']} are encrypted; without the passphrase nobody can use them, you included"
    return (
        f"the keys of {result['party']} are not encrypted: whoever has a copy of {printable(result['keys'])} can sign"
    )


def list_parties(result: dict[str, Any]) -> str:
    """One line for each party."""
    rows = [("PARTY", "STATE", "DIGEST", "UNTIL", "NODE", "NAME")]
    rows += [
        (
            item["party"] + (" (own)" if item["own"] else ""),
            item["state"] or "-",
            item["digest"][:16],
            item["expires_at"][:10],
            printable(item["url"] or "-"),
            printable(item["name"]),
        )
        for item in result["parties"]
    ]
    return "\n".join(columns(rows))


def describe_credential(result: dict[str, Any]) -> str:
    """The secret alone, so that it can be handed on by a pipe."""
    return str(result["credential"])


def list_credentials(result: dict[str, Any]) -> str:
    """One line for each credential."""
    if not result["credentials"]:
        return "no credential was given to anybody"
    rows = [("ID", "PARTY", "MADE", "UNTIL", "LAST USED", "STATE")]
    rows += [
        (
            item["id"],
            item["party"],
            item["created_at"][:10],
            "no end" if item["expires_at"] is None else item["expires_at"][:10],
            item["last_used"] or "never",
            "good" if item["good"] else "revoked" if item["revoked_at"] else "run out",
        )
        for item in result["credentials"]
    ]
    return "\n".join(columns(rows))


def describe_revoked(result: dict[str, Any]) -> str:
    """A credential that lets nobody in any more."""
    return f"{result['id']} of {result['party']} is revoked; the next request with it is that of an outsider"
