# SPDX-License-Identifier: Apache-2.0
"""Shell: sources in words."""

from typing import Any

from comity.cli.words.follow import PAUSED
from comity.cli.words.layout import fields, join_words, printable, shorten, shorten_time
from comity.cli.words.people import describe_refusal, describe_waiting_act

__all__ = ["describe_drawn", "describe_dropped", "describe_source", "list_sources"]

_REASONS = {
    "type": "of a type that is not listed",
    "ceiling": "marked over the ceiling",
    "unmarked": "without a TLP",
    "marking": "with a marking that is not understood",
    "bad": "that cannot be kept",
}


def describe_source(result: dict[str, Any]) -> str:
    """One source, and what its record lets in; or what that still lacks."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    unmarked, until = result["unmarked"], result["paused_until"]
    bases = [f"{basis['kind']} {basis['reference']}" for basis in result["legal_bases"]]
    lines = [
        f"{result['source']}: {printable(result['title'])}",
        *fields(
            [
                ("from", _describe_place(result)),
                ("record", shorten(result["record"])),
                ("counts as", f"of {result['originator']}"),
                ("takes in", join_words(result["types"])),
                ("ceiling", result["tlp_ceiling"]),
                ("unmarked", "not taken in" if unmarked is None else f"counts as {unmarked}"),
                ("onward to", join_words(result["onward_to"])),
                ("permitted", result["permitted_actions"]),
                ("prohibited", join_words(result["prohibited_uses"])),
                ("basis recorded", "; ".join(bases)),
                ("came until", result["position"] and shorten_time(result["position"])),
                ("PAUSED", until and f"until {shorten_time(until)}: {PAUSED}"),
            ],
            indent="  ",
        ),
    ]
    return "\n".join(lines + _describe_withheld(result["withheld"]))


def _describe_place(result: dict[str, Any]) -> str:
    place = result["collection"] if result["kind"] == "misp" else f"collections/{result['collection']}/"
    return f"{result['url']}{place}"


def describe_dropped(result: dict[str, Any]) -> str:
    """A source that is followed no more."""
    if "waits_for" in result:
        return describe_waiting_act(result)
    if "refused" in result:
        return describe_refusal(result["refused"])
    return f"{result['source']} is followed no more; what came from it stays, under its terms of receipt"


def list_sources(result: dict[str, Any]) -> str:
    """Each source, one after the other."""
    return "\n".join(map(describe_source, result["sources"])) or "no source is followed"


def describe_drawn(result: dict[str, Any]) -> str:
    """What one go through a source brought."""
    added, known, bad = len(result["added"]), result["known"], result["bad"]
    lines = [f"{result['source']}: {added} added, {known} known already, {len(bad)} bad"]
    lines += [f"  object {item['index']} {printable(item['id'] or '')}: {printable(item['message'])}" for item in bad]
    return "\n".join(lines + _describe_withheld(result["withheld"]))


def _describe_withheld(withheld: list[dict[str, Any]]) -> list[str]:
    return [
        f"  withheld so far: {item['count']} {_REASONS[item['reason']]}, the last {printable(item['last'])}"
        for item in withheld
    ]
