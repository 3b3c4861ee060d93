# SPDX-License-Identifier: Apache-2.0
"""Pure: who the organisations, communities and sharing groups of a MISP are here, as a person writes it in TOML.

    format = "comity-misp-mapping/1"

    [distribution]                 # whom a level may reach; what is not listed reaches nobody but this party
    community = ["borealia"]       # 1, this community only
    connected = ["borealia"]       # 2, connected communities
    all = "any"                    # 3, all communities; left out: any party
    missing = []                   # events that say nothing

    [sharing_groups]               # by uuid
    "5a9f9c3e-0b7c-4a2b-9a39-0f3a0f6c1c11" = ["borealia", "meridia"]

    [organisations]                # by uuid; a sharing group that is not listed reaches those of its members that are
    "7d1f6a54-3c41-4d8e-8f0e-2f5b6a7c8d90" = "borealia"

Level 0, "your organisation only", is always this party alone. Nothing here widens what terms admit: an audience is who
an object may ever reach, and terms decide who it does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from comity.agreement.drafting import parse_toml, with_line
from comity.agreement.reader import Reader
from comity.errors import MalformedRequest, MalformedTerms
from comity.ids import PartyId

__all__ = ["LEVELS", "MISP_MAPPING", "MISSING", "UUID", "Audience", "MispMapping", "parse_misp_mapping"]

MISP_MAPPING: Final = "comity-misp-mapping/1"

Audience = frozenset[PartyId] | None
"""Whom something may reach beside this party; None: any party."""

LEVELS: Final[Mapping[str, str]] = MappingProxyType({"1": "community", "2": "connected", "3": "all"})
"""The levels of distribution that a mapping may say something of."""

MISSING: Final = "missing"
"""The word for an event that has no distribution."""

UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)

_MOST = 10_000
_NOBODY: Final[frozenset[PartyId]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class MispMapping:
    """Whom the levels of distribution reach, by their words, and who groups and organisations are, by UUID."""

    levels: Mapping[str, Audience] = field(default_factory=lambda: MappingProxyType({"all": None}))
    sharing_groups: Mapping[str, frozenset[PartyId]] = field(default_factory=lambda: MappingProxyType({}))
    organisations: Mapping[str, PartyId] = field(default_factory=lambda: MappingProxyType({}))

    def reach_level(self, level: str) -> Audience:
        """Whom a level of distribution reaches."""
        return self.levels.get(level, _NOBODY)


def parse_misp_mapping(toml: bytes) -> MispMapping:
    """The mapping that a person wrote.

    Raises:
        MalformedRequest: what is wrong, with its line.
    """
    try:
        text, value = parse_toml(toml)
        try:
            return _read(Reader(value, "", MalformedTerms).open())
        except MalformedTerms as error:
            raise with_line(error, text) from error
    except MalformedTerms as error:
        raise MalformedRequest(f"not a mapping of MISP: {error.detail}", where=error.where) from error


def _read(fields: Reader) -> MispMapping:
    if fields.text("format") != MISP_MAPPING:
        raise fields.refuse("format", f'must be "{MISP_MAPPING}"')
    levels: dict[str, Audience] = {"all": None}
    if fields.has("distribution"):
        said = fields.item("distribution").open()
        for name in (*LEVELS.values(), MISSING):
            if said.has(name):
                levels[name] = _read_audience(said, name)
        said.close()
    groups = fields.item("sharing_groups").open() if fields.has("sharing_groups") else None
    organisations = fields.item("organisations").open() if fields.has("organisations") else None
    mapping = MispMapping(
        levels=levels,
        sharing_groups={}
        if groups is None
        else {name: groups.parties(uuid, None) for uuid, name in _list_uuids(groups)},
        organisations={}
        if organisations is None
        else {name: organisations.party(uuid) for uuid, name in _list_uuids(organisations)},
    )
    fields.close()
    return mapping


def _read_audience(fields: Reader, name: str) -> Audience:
    if fields.item(name).value == "any":
        return None
    return fields.parties(name, None)


def _list_uuids(fields: Reader) -> list[tuple[str, str]]:
    """The names of a table, as they stand and as they are looked up."""
    value = fields.value
    assert isinstance(value, dict)  # noqa: S101 (it was opened)
    if len(value) > _MOST:
        raise fields.refuse("", f"must be a table of at most {_MOST} names")
    if wrong := next((name for name in value if UUID.fullmatch(name) is None), None):
        raise fields.refuse(wrong, "must be a UUID, as MISP shows it")
    return [(name, name.lower()) for name in value]
