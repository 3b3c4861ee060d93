# SPDX-License-Identifier: Apache-2.0
"""Three fictional parties with fixed keys: aurelia and borealia, two powers, and meridia, a state of the region.

Aurelia's agreement role needs two of its three keys; the others need their one key.
"""

import json
from collections.abc import Mapping, Sequence

from comity.agreement.drafting import convert_terms
from comity.agreement.terms import Terms, parse_terms
from comity.canonical import Json, canonical_bytes
from comity.ids import PartyId
from comity.signing import Manifest, Role, Signer, parse_manifest
from tests.signers import SeedSigner, make_payload, make_role_keys

__all__ = [
    "AURELIA",
    "BASIS",
    "BOREALIA",
    "MANIFESTS",
    "MERIDIA",
    "SIGNERS",
    "STRANGER",
    "TRANSPORT",
    "change_channel",
    "change_terms",
    "make_terms",
    "write_terms",
]

AURELIA, BOREALIA, MERIDIA = PartyId("aurelia"), PartyId("borealia"), PartyId("meridia")
BASIS = "S/RES/9101"

_AURELIA_KEYS = ("aurelia first officer", "aurelia second officer", "aurelia third officer")

MANIFESTS: Mapping[PartyId, Manifest] = {
    AURELIA: parse_manifest(make_payload("aurelia", agreement=make_role_keys(_AURELIA_KEYS, threshold=2))),
    BOREALIA: parse_manifest(make_payload("borealia")),
    MERIDIA: parse_manifest(make_payload("meridia")),
}
SIGNERS: Mapping[PartyId, Sequence[Signer]] = {
    AURELIA: tuple(SeedSigner(name) for name in _AURELIA_KEYS[:2]),
    BOREALIA: (SeedSigner(f"borealia {Role.AGREEMENT}"),),
    MERIDIA: (SeedSigner(f"meridia {Role.AGREEMENT}"),),
}
"""Enough keys of each party's agreement role."""
TRANSPORT: Mapping[PartyId, Sequence[Signer]] = {
    party: (SeedSigner(f"{party} {Role.TRANSPORT}"),) for party in MANIFESTS
}
STRANGER = SeedSigner("a stranger")


def write_terms(
    *parties: PartyId,
    version: int = 1,
    replaces: Terms | None = None,
    title: str = "Exchange on Ashfall",
    valid_from: str = "2026-01-01T00:00:00Z",
    valid_until: str | None = "2036-01-01T00:00:00Z",
    framework: str | None = None,
) -> bytes:
    """Terms as TOML: each party gives to all others in a channel named after it; aurelia and borealia by default."""
    members = parties or (AURELIA, BOREALIA)
    lines = [
        'format = "comity-terms/1"',
        f"title = {json.dumps(title)}",
        f"version = {version}",
        *([f'agreement = "{replaces.agreement_id}"', f'supersedes = "{replaces.hash}"'] if replaces else []),
        'form = "exchange_of_letters"',
        *([f'framework = "{framework}"'] if framework else []),
        'excluded_frameworks = ["coalition-dawn"]',
        'purposes = ["exchange", "warning"]',
        'permitted_actions = "internally-visible-actions"',
        'prohibited_uses = ["targeting"]',
        "[validity]",
        f'from = "{valid_from}"',
        *([f'until = "{valid_until}"'] if valid_until else []),
    ]
    for party in members:
        lines += ["[[parties]]", f'id = "{party}"', f'manifest = "{MANIFESTS[party].digest}"']
    for party in members:
        lines += ["[[legal_bases]]", f'party = "{party}"', 'kind = "unsc_resolution"']
        lines += [f'reference = "{BASIS}"', 'paragraph = "OP 3"', 'force = "decides"']
    for party in members:
        lines += ["[[channels]]", f'id = "{party}"', f'giver = "{party}"']
        lines += [f"receivers = {json.dumps([other for other in members if other != party])}"]
        lines += ['types = ["indicator", "report"]', 'tlp_ceiling = "amber"', 'subjects = ["unsc:QDe.901"]']
        lines += ['regions = ["IQ", "SY"]', 'onward = "none"']
    return "\n".join(lines).encode()


def make_terms(
    *parties: PartyId,
    replaces: Terms | None = None,
    title: str = "Exchange on Ashfall",
    valid_from: str = "2026-01-01T00:00:00Z",
    valid_until: str | None = "2036-01-01T00:00:00Z",
    framework: str | None = None,
) -> Terms:
    """The same, read; a version that replaces another is the next one."""
    toml = write_terms(
        *parties,
        version=replaces.version + 1 if replaces else 1,
        replaces=replaces,
        title=title,
        valid_from=valid_from,
        valid_until=valid_until,
        framework=framework,
    )
    return parse_terms(convert_terms(toml))


def change_terms(terms: Terms, **fields: Json) -> bytes:
    """The document of `terms` with top-level fields set anew; None takes a field out."""
    value: dict[str, Json] = json.loads(terms.document)
    return canonical_bytes({name: item for name, item in (value | fields).items() if item is not None})


def change_channel(terms: Terms, name: str, **fields: Json) -> Terms:
    """The terms with fields of one channel set anew."""
    document = json.loads(terms.document)
    (channel,) = (item for item in document["channels"] if item["id"] == name)
    channel.update(fields)
    return parse_terms(canonical_bytes(document))
