# SPDX-License-Identifier: Apache-2.0
"""Pure: what happens in a scenario, in the order written: who says or does what, and when.

{at: …, by: borealia, kind: accept, agreement: pact}            an event of the life cycle (`agreement.events`)
{at: …, by: all, kind: sign, agreement: pact}                   who is first proposes or counters, the rest accept
{at: …, by: meridia, kind: pull, from: aurelia}                 takes in all that the giver lets go at that time
{at: …, by: borealia, kind: accept, agreement: dawn, refused: framework}    its own node does not let it
"""

from dataclasses import dataclass
from enum import StrEnum

from comity.agreement.events import EventKind, Reservation
from comity.agreement.reader import Reader
from comity.agreement.terms import LegalBasis, read_bases
from comity.canonical import Json
from comity.errors import MalformedError, MalformedMessage, MalformedScenario, NotFoundError, TransitionError
from comity.ids import Instant, PartyId
from comity.scenario.document import Document
from comity.scenario.expectations import Names
from comity.vocabulary import RESERVATION_GROUNDS

__all__ = ["REFUSALS", "Happening", "Short", "read_happenings"]

_MAX_HAPPENINGS = 500
_MAX_RESERVATIONS = 16


class Short(StrEnum):
    """What a scenario says in one word beside the kinds of event."""

    SIGN = "sign"
    PULL = "pull"


REFUSALS = frozenset(
    {"assurances", "framework", "legal_bases", TransitionError.code, MalformedMessage.code, NotFoundError.code}
)
"""Why a node does not let its own party say something: a clause of its policy, or the code of the error."""

_KINDS = [*(kind.value for kind in EventKind), *(short.value for short in Short)]
_ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of the story.

    `parties` do it one after another; empty means every founder of the version. `agreement` names the version, None for
    a pull `giver` is asked for. Others learn of it at `arrives`; `refused` says that it must not be possible, and why;
    `unchecked` that it is said by a node which keeps to no rule.
    """

    line: int
    at: Instant
    arrives: Instant
    parties: tuple[PartyId, ...]
    kind: EventKind | Short
    agreement: str | None
    giver: PartyId | None
    name: str | None
    re: str | None
    channel: str | None
    clause: str | None
    text: str | None
    joiner: PartyId | None
    bases: tuple[LegalBasis, ...]
    reservations: tuple[Reservation, ...]
    refused: str | None
    unchecked: bool


def read_happenings(fields: Reader, names: Names, document: Document) -> tuple[Happening, ...]:
    """The events, in the order written; at one time they happen in that order."""
    if not fields.has("events"):
        return ()
    readers = fields.items("events", least=1, most=_MAX_HAPPENINGS)
    found = tuple(_read(reader, names, document.find_line(reader.where)) for reader in readers)
    known = {happening.name for happening in found}
    for index, happening in enumerate(found):
        if happening.re is not None and happening.re not in known:
            raise MalformedScenario(f"{happening.re!r} is the name of no event", where=f"/events/{index}/re")
    return found


def _read(reader: Reader, names: Names, line: int) -> Happening:
    fields = reader.open()
    at, kind = fields.instant("at"), _read_kind(fields)
    pulls = kind is Short.PULL
    parties = _read_parties(fields, names)
    happening = Happening(
        line=line,
        at=at,
        arrives=_read_arrival(fields, at),
        parties=parties,
        kind=kind,
        agreement=None if pulls else fields.word("agreement", names.agreements),
        giver=fields.party("from", names.parties) if pulls else None,
        name=fields.label("name") if fields.has("name") else None,
        re=fields.label("re") if fields.has("re") else None,
        channel=fields.maybe_text("channel"),
        clause=fields.maybe_text("clause"),
        text=fields.maybe_text("text"),
        joiner=fields.party("joiner", names.parties) if kind is EventKind.ADMIT else None,
        bases=_read_bases(fields, parties) if kind is EventKind.ACCEDE else (),
        reservations=_read_reservations(fields),
        refused=fields.word("refused", REFUSALS) if fields.has("refused") else None,
        unchecked=fields.flag("unchecked"),
    )
    if happening.unchecked and happening.refused is not None:
        raise fields.refuse("unchecked", "is said without a check, so nothing refuses it")
    fields.close()
    return happening


def _read_kind(fields: Reader) -> EventKind | Short:
    word = fields.word("kind", _KINDS)
    return Short(word) if word in {Short.SIGN.value, Short.PULL.value} else EventKind(word)


def _read_arrival(fields: Reader, at: Instant) -> Instant:
    if not fields.has("arrives"):
        return at
    arrives = fields.instant("arrives")
    if arrives < at:
        raise fields.refuse("arrives", "is before the event itself")
    return arrives


def _read_parties(fields: Reader, names: Names) -> tuple[PartyId, ...]:
    """One party, a list of them, or "all" for every founder of the version."""
    fields.has("by")
    value = fields.item("by").value
    if value == _ALL:
        return ()
    if not isinstance(value, list):
        return (fields.party("by", names.parties),)
    fields.parties("by", names.parties, least=1)
    return tuple(PartyId(str(party)) for party in value)


def _read_bases(fields: Reader, parties: tuple[PartyId, ...]) -> tuple[LegalBasis, ...]:
    """The bases that a joiner cites for itself, written without its name."""
    if len(parties) != 1:
        raise fields.refuse("by", "one party accedes at a time")
    written = fields.item("bases").value
    listed: list[Json] = [
        {"party": parties[0], **item} if isinstance(item, dict) else item for item in _as_list(fields, written)
    ]
    inner = Reader({"legal_bases": listed}, "", MalformedScenario)
    try:
        return read_bases(inner.open(), parties)
    except MalformedError as error:
        raise fields.refuse("bases", error.detail) from error


def _as_list(fields: Reader, written: Json) -> list[Json]:
    if not isinstance(written, list):
        raise fields.refuse("bases", "must be a list of legal bases")
    return written


def _read_reservations(fields: Reader) -> tuple[Reservation, ...]:
    if not fields.has("reservations"):
        return ()
    found = list[Reservation]()
    for item in fields.items("reservations", least=1, most=_MAX_RESERVATIONS):
        inner = item.open()
        found.append(
            Reservation(
                clause=inner.text("clause"),
                ground=inner.word("ground", RESERVATION_GROUNDS),
                text=inner.maybe_text("text"),
            )
        )
        inner.close()
    return tuple(found)
