# SPDX-License-Identifier: Apache-2.0
"""Shell: parties and credentials in words."""

from typing import Any

from comity.cli.words.layout import columns, fields, printable, shorten_time

__all__ = [
    "describe_added",
    "describe_credential",
    "describe_founded",
    "describe_revoked",
    "list_credentials",
    "list_parties",
]


def describe_founded(result: dict[str, Any]) -> str:
    """A new node, and what to do next."""
    lines = [
        f"{printable(result['folder'])} is now the node of {result['party']}.",
        *fields([("digest", result["digest"]), ("expires", shorten_time(result["expires_at"]))], indent="  "),
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
