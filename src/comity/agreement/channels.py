# SPDX-License-Identifier: Apache-2.0
"""Pure: the channels of an agreement: who gives to whom, and the scope that an object's label is held against.

A channel is severable: it can be suspended by itself, and a party can make a reservation on it. In a group its giver or
its receivers can be "members": whoever is a member at the time, joiners among them.

Not here: who is a member (`agreement.lifecycle`), what a clause means (`release.clauses`).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

from comity.agreement.reader import Reader
from comity.errors import MalformedRequest
from comity.ids import Instant, PartyId, parse_instant
from comity.vocabulary import (
    ATTRIBUTION,
    HANDLING,
    KINDS,
    MARKINGS,
    ONWARD,
    PERSON_CLASSES,
    REGIONS,
    SANITISE,
    SPECIAL_CATEGORIES,
    STIX_TYPES,
    SUBJECT,
    TLP_LEVELS,
    TYPE,
)

__all__ = [
    "CHANNEL_CLAUSES",
    "MEMBERS",
    "Channel",
    "History",
    "Scope",
    "SpecialCategory",
    "read_channels",
]

MEMBERS = "members"
"""In place of a giver or of receivers: every member of the group."""

_OWN = "own"
"""Among the originators of a channel: its giver."""

_USUAL_PERSONS = frozenset({"suspect", "convicted", "reasonable_grounds", "associate"})
"""The classes a channel admits unless it names others; victims, witnesses, missing persons and minors must be named."""

_MAX_CHANNELS = 64
_MAX_SPECIAL = 16

CHANNEL_CLAUSES = (
    "types",
    "tlp_ceiling",
    "markings",
    "originators",
    "subjects",
    "regions",
    "kinds",
    "person_classes",
    "special_categories",
    "handling",
    "giver",
    "receivers",
    "onward",
    "releasable_to",
    "history",
    "sanitise",
    "attribution",
)
"""What a clarification or a reservation can name in a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The terms that an object's label is held against; `kinds` None sets no limit. Read by `release.clauses`.

    `onward_to` are the parties that a receiver may pass things on to, and `excluded_frameworks` those inside which
    nothing given here may be used or passed on: what was received with a narrower promise does not go here. `sanitise`
    and `attribution` say what of an admitted object goes (`release.decision`).
    """

    types: frozenset[str]
    tlp_ceiling: str
    markings: frozenset[str]
    originators: frozenset[PartyId]
    subjects: frozenset[str]
    regions: frozenset[str]
    kinds: frozenset[str] | None
    person_classes: frozenset[str]
    special_categories: frozenset[str]
    handling: frozenset[str]
    onward_to: frozenset[PartyId]
    excluded_frameworks: frozenset[str]
    sanitise: str = "tear_line_allowed"
    attribution: str = "may"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What of the giver's store from before counts: all of it, none, or what was taken in at `since` or later."""

    all: bool = False
    since: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialCategory:
    """A category of data that the channel lets through beside other data: why it must, and who approved it."""

    category: str
    necessity: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A severable part: who gives to whom, what, and whether the receivers may pass it on.

    `giver` None is each member, `receivers` None every other member; `own` says that the giver's own objects count.
    """

    id: str
    giver: PartyId | None
    receivers: tuple[PartyId, ...] | None
    scope: Scope
    own: bool
    special_categories: tuple[SpecialCategory, ...]
    onward: str
    history: History

    def pairs(self, members: Collection[PartyId]) -> tuple[tuple[PartyId, PartyId], ...]:
        """Who gives to whom among `members`, in order; whoever is not a member neither gives nor receives."""
        givers = [self.giver] if self.giver is not None else sorted(members)
        receivers = self.receivers if self.receivers is not None else sorted(members)
        return tuple(
            (giver, receiver)
            for giver in givers
            for receiver in receivers
            if giver != receiver and giver in members and receiver in members
        )

    def scope_for(self, giver: PartyId) -> Scope:
        """The scope of what `giver` gives in this channel."""
        return _add_originator(self.scope, giver) if self.own else self.scope

    @property
    def releasable_to(self) -> frozenset[PartyId]:
        """Whom the receivers may pass things on to; nobody where that needs the originator's consent."""
        return self.scope.onward_to


@lru_cache(maxsize=4_096)
def _add_originator(scope: Scope, giver: PartyId) -> Scope:
    """Asked again and again of the same channels, by every poll and every page that explains."""
    return replace(scope, originators=scope.originators | {giver})


def read_channels(
    fields: Reader, members: Collection[PartyId], *, group: bool, excluded_frameworks: frozenset[str]
) -> tuple[Channel, ...]:
    """The channels of an agreement between `members`; those of a `group` may name "members"."""
    channels = tuple(
        _read_channel(item, members, group=group, excluded_frameworks=excluded_frameworks)
        for item in fields.items("channels", least=1, most=_MAX_CHANNELS)
    )
    if len({channel.id for channel in channels}) < len(channels):
        raise fields.refuse("channels", "two channels have the same id")
    return channels


def _read_channel(
    reader: Reader, members: Collection[PartyId], *, group: bool, excluded_frameworks: frozenset[str]
) -> Channel:
    fields = reader.open()
    giver, receivers = _read_giver(fields, members, group=group), _read_receivers(fields, members, group=group)
    if receivers is not None and giver in receivers:
        raise fields.refuse("receivers", f"{giver} is the giver and cannot receive in its own channel")
    if giver is None and receivers is not None and len(receivers) < 1:
        raise fields.refuse("receivers", "names nobody")
    onward = fields.word("onward", ONWARD)
    releasable = fields.parties("releasable_to", None)
    if (onward == "listed") != bool(releasable):
        raise fields.refuse("releasable_to", "names parties exactly when onward is 'listed'")
    originators = fields.texts("originators", least=1) if fields.has("originators") else frozenset({_OWN})
    special = _read_special(fields)
    channel = Channel(
        id=fields.label("id"),
        giver=giver,
        receivers=receivers,
        scope=_read_scope(
            fields,
            _read_originators(fields, originators),
            special,
            onward_to=releasable,
            excluded_frameworks=excluded_frameworks,
        ),
        own=_OWN in originators,
        special_categories=special,
        onward=onward,
        history=_read_history(fields),
    )
    fields.close()
    return channel


def _read_giver(fields: Reader, members: Collection[PartyId], *, group: bool) -> PartyId | None:
    if group and fields.text("giver") == MEMBERS:
        return None
    return fields.party("giver", members)


def _read_receivers(fields: Reader, members: Collection[PartyId], *, group: bool) -> tuple[PartyId, ...] | None:
    if group and fields.texts("receivers", least=1) == {MEMBERS}:
        return None
    return tuple(sorted(fields.parties("receivers", members, least=1)))


def _read_originators(fields: Reader, words: frozenset[str]) -> frozenset[PartyId]:
    return frozenset(fields.as_party("originators", word) for word in words - {_OWN})


def _read_special(fields: Reader) -> tuple[SpecialCategory, ...]:
    """Each with its reason and its approver: data of these kinds goes only beside other data that is asked for."""
    if not fields.has("special_categories"):
        return ()
    found = list[SpecialCategory]()
    for item in fields.items("special_categories", least=1, most=_MAX_SPECIAL):
        inner = item.open()
        category = inner.word("category", SPECIAL_CATEGORIES)
        found.append(
            SpecialCategory(category=category, necessity=inner.text("necessity"), approver=inner.text("approver"))
        )
        inner.close()
    if len({item.category for item in found}) < len(found):
        raise fields.refuse("special_categories", "a category is named twice")
    return tuple(found)


def _read_history(fields: Reader) -> History:
    """Absent means none: what the giver held before all had signed stays with it."""
    text = fields.text("history") if fields.has("history") else "none"
    if text in {"none", "all"}:
        return History(all=text == "all")
    try:
        return History(since=parse_instant(text))
    except MalformedRequest as error:
        raise fields.refuse("history", "must be 'none', 'all', or a time such as 2026-01-01T00:00:00Z") from error


def _read_scope(
    fields: Reader,
    originators: frozenset[PartyId],
    special: Collection[SpecialCategory],
    *,
    onward_to: frozenset[PartyId],
    excluded_frameworks: frozenset[str],
) -> Scope:
    return Scope(
        types=_read_types(fields),
        tlp_ceiling=fields.word("tlp_ceiling", TLP_LEVELS),
        markings=fields.words("markings", MARKINGS),
        originators=originators,
        subjects=fields.matching("subjects", SUBJECT, what="scheme:id with unsc, stix or national", least=1),
        regions=fields.words("regions", REGIONS, least=1),
        kinds=fields.words("kinds", KINDS, least=1) if fields.has("kinds") else None,
        person_classes=(
            fields.words("person_classes", PERSON_CLASSES) if fields.has("person_classes") else _USUAL_PERSONS
        ),
        special_categories=frozenset(item.category for item in special),
        handling=fields.words("handling", HANDLING),
        onward_to=onward_to,
        excluded_frameworks=excluded_frameworks,
        sanitise=fields.word("sanitise", SANITISE) if fields.has("sanitise") else "tear_line_allowed",
        attribution=fields.word("attribution", ATTRIBUTION) if fields.has("attribution") else "may",
    )


def _read_types(fields: Reader) -> frozenset[str]:
    """STIX 2.1 types, and types of one's own, which begin with "x-" (STIX 2.1 §11.2): a misspelt type is refused."""
    types = fields.matching("types", TYPE, what="a STIX type", least=1)
    if unknown := sorted(name for name in types if name not in STIX_TYPES and not name.startswith("x-")):
        raise fields.refuse("types", f"{unknown[0][:64]!r} is no type of STIX 2.1; a type of your own begins with 'x-'")
    return types
