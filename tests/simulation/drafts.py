# SPDX-License-Identifier: Apache-2.0
"""What a step says of terms, of a policy, of an object, written out as people would write it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from comity.canonical import Json
from comity.ids import Instant, PartyId, format_instant
from comity.signing import Manifest
from tests.simulation.template import START
from tests.worlds import BASIS, make_object, object_id, tlp_id

__all__ = ["HOUR", "POLICIES", "SECRET", "SUBJECT", "make_bases", "make_item", "write_terms"]

HOUR = 3_600_000_000
SECRET = "not for partners"
SUBJECT = "national:ashfall"
OTHER_SUBJECT = "national:tidewater"
ASSURANCE = "no_torture"

_RECOGNISED = f'[[recognised]]\nkind = "unsc_resolution"\nreference = "{BASIS}"\n'
POLICIES = {
    "recognises": _RECOGNISED,
    "demands": f'{_RECOGNISED}[[demanded_assurances]]\nkind = "{ASSURANCE}"\nof = "*"\n',
    "nothing": "",
    "broken": "recognised = all of it",
}
"""What a party's policy can be in a history; every text cites BASIS for everybody."""

Spec = Mapping[str, Any]
"""`founders`, and where they are given: `group`, `accession`, `until`, `bases` and `assurances` (hours by party),
`reservable`, `history`, `tlp`, `originators`, `onward` (parties), `consent` (passed on by consent alone), `retention`
(people are asked before what is recalled is deleted) and `response` (hours for each answer). Hours count from START."""


def write_terms(
    spec: Spec,
    manifests: Mapping[PartyId, Manifest],
    *,
    title: str,
    version: int = 1,
    agreement: str | None = None,
    supersedes: str | None = None,
) -> bytes:
    """The terms that `spec` describes, as TOML."""
    founders = [PartyId(name) for name in spec["founders"]]
    lines = [
        'format = "comity-terms/1"',
        f"title = {json.dumps(title)}",
        f"version = {version}",
        'form = "exchange_of_letters"',
        'purposes = ["exchange"]',
        'permitted_actions = "none"',
        *([f'agreement = "{agreement}"', f'supersedes = "{supersedes}"'] if agreement else []),
        *(['reservations = ["channels.back"]'] if spec.get("reservable") else []),
        "[validity]",
        'from = "2020-01-01T00:00:00Z"',
        *([f'until = "{_hour(spec["until"])}"'] if spec.get("until") is not None else []),
    ]
    if is_group(spec):
        lines += ["[structure]", 'kind = "group"', f'accession = "{spec.get("accession", "closed")}"']
    if spec.get("retention"):
        lines += ["[retention]", 'review_after = "P6M"', 'no_decision = "delete"']
    if spec.get("response"):
        span = f'"PT{spec["response"]}H"'
        lines += ["[response_times]", *(f"{name} = {span}" for name in ("consent", "recall", "request"))]
    for party in founders:
        lines += ["[[parties]]", f'id = "{party}"', f'manifest = "{manifests[party].digest}"']
    lines += [line for party in founders for line in _basis(party, spec.get("bases", {}).get(party))]
    for party, hours in spec.get("assurances", {}).items():
        if party in founders:
            lines += ["[[assurances]]", f'kind = "{ASSURANCE}"', f'given_by = "{party}"', f'document = "{"0" * 64}"']
            lines += [f'valid_until = "{_hour(hours)}"']
    return "\n".join([*lines, *_channels(spec, founders)]).encode()


def is_group(spec: Spec) -> bool:
    """Whether the text is a group's: more than two parties are."""
    return bool(spec.get("group")) or len(spec["founders"]) > 2


def make_bases(party: str, hours: int | None) -> bytes:
    """What a joiner cites for itself."""
    return "\n".join(_basis(PartyId(party), hours)).encode()


def make_item(owner: str, step: Mapping[str, Any], *, day: int) -> dict[str, Json]:
    """The object that a step adds: a report of `owner`, with what it refers to."""
    more: dict[str, Json] = {}
    if step.get("granular"):
        more = {
            "description": SECRET,
            "granular_markings": [{"marking_ref": tlp_id("red"), "selectors": ["description"]}],
        }
    return make_object(
        f"{owner} {step['name']}",
        tlp=step.get("tlp", "green"),
        subjects=(SUBJECT if step.get("about", True) else OTHER_SUBJECT,),
        refs=[object_id("report", ref) for ref in step.get("refs", ())],
        day=day,
        more=more,
    )


def _channels(spec: Spec, founders: Sequence[PartyId]) -> list[str]:
    first, second = founders[:2]
    if is_group(spec):
        return [*_channel(spec, "main", "members", ["members"]), *_channel(spec, "back", first, ["members"])]
    return [*_channel(spec, "main", first, [second]), *_channel(spec, "back", second, [first])]


def _channel(spec: Spec, name: str, giver: str, receivers: Sequence[str]) -> list[str]:
    onward = [] if spec.get("consent") else sorted(spec.get("onward", ()))
    return [
        "[[channels]]",
        f'id = "{name}"',
        f'giver = "{giver}"',
        f"receivers = {json.dumps(list(receivers))}",
        'types = ["report"]',
        f'tlp_ceiling = "{spec.get("tlp", "amber")}"',
        f'subjects = ["{SUBJECT}"]',
        'regions = ["IQ"]',
        f"originators = {json.dumps(['own', *sorted(spec.get('originators', ()))])}",
        f'onward = "{_find_onward(spec)}"',
        *([f"releasable_to = {json.dumps(onward)}"] if onward else []),
        f'history = "{spec.get("history", "all")}"',
    ]


def _find_onward(spec: Spec) -> str:
    if spec.get("consent"):
        return "originator_consent"
    return "listed" if spec.get("onward") else "none"


def _basis(party: PartyId, hours: int | None) -> list[str]:
    lines = ["[[legal_bases]]", f'party = "{party}"', 'kind = "unsc_resolution"', f'reference = "{BASIS}"']
    lines += ['force = "decides"']
    return lines if hours is None else [*lines, f'valid_until = "{_hour(hours)}"']


def _hour(hours: int) -> str:
    return format_instant(Instant(START + hours * HOUR))
