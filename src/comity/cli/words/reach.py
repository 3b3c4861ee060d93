# SPDX-License-Identifier: Apache-2.0
"""Shell: where an object could end up, in words."""

from typing import Any

from comity.cli.words.layout import columns, join_words, printable, shorten
from comity.counting import say_count

__all__ = ["describe_reach"]

_CONSENT = {
    "granted": "consent is granted wherever the terms ask for it",
    "refused": "consent is refused wherever the terms ask for it",
}


def describe_reach(result: dict[str, Any]) -> str:
    """Each party that could be given one with a chain, and those that never are."""
    counted = len(result["agreements"])
    versions = f"{say_count(counted, 'version')} of agreements known here"
    lines = [
        f"such an object: {join_words(result['attributes']) if result['attributes'] else 'any'}",
        f"counted: {versions}; {_CONSENT[result['consent']]}",
    ]
    for item in result["reached"]:
        steps = [
            (
                f"{hop['giver']} → {hop['receiver']}",
                f"{printable(hop['title'])} ({shorten(hop['terms'])}), channel {hop['channel']}{_as(hop)}",
            )
            for hop in item["chain"]
        ]
        lines += ["", f"{item['party']} could be given one", *columns(steps, indent="  ")]
    if result["never"]:
        lines += ["", f"never: {join_words(result['never'])}", f"  {_proof(result['proof'])}"]
    return "\n".join(lines)


def _as(hop: dict[str, Any]) -> str:
    """As whose object it arrives, where it may be another's than the giver's."""
    return "" if hop["originators"] == [hop["giver"]] else f", as an object of {' or '.join(hop['originators'])}"


def _proof(proof: dict[str, Any] | None) -> str:
    said = "no chain of these agreements leads there, however long"
    if proof is None:
        return f"{said}; have it checked independently with --certify"
    return f"{said}; {proof['solver']} confirms it ({proof['implications']} implications)"
