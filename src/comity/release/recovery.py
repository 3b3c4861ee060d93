# SPDX-License-Identifier: Apache-2.0
"""Pure: what a recovery of the log puts on record, and the statement by which partners learn of it.

    content    {"approvals":[…],"format":"comity-recovery/1","known":"comity/aurelia 420 …",
                "origin":"comity/aurelia/9f86d081884c7d65","previous":"comity/aurelia","reason":"…"}
    statement  {"at":"…","format":"comity-succession/1","known":"…","origin":"…","party":"aurelia","position":412,
                "previous":"…"}

A store that was restored may lack entries that this party has signed for. It must not sign other ones in their place
under the same origin. So the log goes on under another (`tlog.origin`): its first entries are those that were restored,
the next is the recovery, which names the log that it follows and the newest checkpoint of it that is `known`. From that
entry on every checkpoint is of the new origin, and what was signed of the old one verifies as before.

Not here: the signature on a statement (`node.succession`), and the name itself (`tlog.origin`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from comity.agreement.people import Approval
from comity.canonical import Json, canonical_bytes, parse_signed_json
from comity.errors import MalformedError, MalformedJson
from comity.ids import Instant, PartyId, format_instant, parse_instant, parse_party_id
from comity.release.disclosure import EntryType, Leaf
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.origin import parse_origin

__all__ = [
    "SUCCESSION_TYPE",
    "Asked",
    "Recovery",
    "Succession",
    "format_recovery",
    "format_succession",
    "parse_recovery",
    "parse_succession",
]

SUCCESSION_TYPE = "application/vnd.comity.succession+json"

_RECOVERY = "comity-recovery/1"
_SUCCESSION = "comity-succession/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The log that goes on as `origin`, the one before, and the newest checkpoint of that which is known, as signed."""

    origin: str
    previous: str
    known: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a witness of the lost log said: how many entries of it it has cosigned, or why that is not known."""

    name: str
    size: int | None
    problem: str | None
    answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """A recovery as its party tells it: the entry at `position` is it, so that entries before are of both logs."""

    party: PartyId
    recovery: Recovery
    position: int
    at: Instant


def format_recovery(
    recovery: Recovery, *, reason: str, approvals: Sequence[Approval], witnesses: Sequence[Asked] = ()
) -> bytes:
    """The content of a recovery entry, canonical; it names the witnesses where this party has any."""
    asked: list[Json] = [{"name": each.name, "size": each.size, "problem": each.problem} for each in witnesses]
    return canonical_bytes(
        {
            "format": _RECOVERY,
            **({"witnesses": asked} if asked else {}),
            **_describe(recovery),
            "reason": reason,
            "approvals": [
                {"person": item.person, "role": item.role.value, "reason": item.reason, "at": format_instant(item.at)}
                for item in approvals
            ],
        }
    )


def parse_recovery(leaf: Leaf, content: bytes) -> Recovery | None:
    """The recovery that an entry with this leaf and content is; None for every other type.

    Raises:
        MalformedJson: it is of the type and says no recovery that this version knows.
    """
    if leaf.type is not EntryType.RECOVERY:
        return None
    match parse_signed_json(content):
        case {
            "format": "comity-recovery/1",
            "origin": str(origin),
            "previous": str(previous),
            "known": str(known),
            "reason": str(),
            "approvals": list(),
            **rest,
        } if rest.keys() <= {"witnesses"}:
            return _build(origin, previous, known)
        case _:
            raise MalformedJson(f"not a recovery of the format {_RECOVERY}")


def format_succession(succession: Succession) -> bytes:
    """The payload of a statement, canonical."""
    return canonical_bytes(
        {
            "format": _SUCCESSION,
            **_describe(succession.recovery),
            "party": succession.party,
            "position": succession.position,
            "at": format_instant(succession.at),
        }
    )


def parse_succession(payload: bytes) -> Succession:
    """The statement in a payload; nothing in it is believed yet.

    Raises:
        MalformedJson: of another form, or of logs that are not of the party it names.
    """
    match parse_signed_json(payload):
        case {
            "format": "comity-succession/1",
            "origin": str(origin),
            "previous": str(previous),
            "known": str(known),
            "party": str(party),
            "position": int(position),
            "at": str(at),
            **rest,
        } if not rest and position >= 0 and not isinstance(position, bool):
            try:
                said = Succession(
                    party=parse_party_id(party),
                    recovery=_build(origin, previous, known),
                    position=position,
                    at=parse_instant(at),
                )
                if parse_origin(origin) == said.party:
                    return said
            except MalformedError as error:
                raise MalformedJson(f"a statement of succession is wrong: {error.detail}") from error
            raise MalformedJson(f"{origin} is no log of {party}")
        case _:
            raise MalformedJson(f"not a statement of the format {_SUCCESSION}")


def _describe(recovery: Recovery) -> dict[str, Json]:
    return {"origin": recovery.origin, "previous": recovery.previous, "known": recovery.known.decode("utf-8")}


def _build(origin: str, previous: str, known: str) -> Recovery:
    try:
        checkpoint = parse_checkpoint(parse_note(known.encode("utf-8")).text)
        same = parse_origin(origin) == parse_origin(previous)
    except MalformedError as error:
        raise MalformedJson(f"a recovery is wrong: {error.detail}") from error
    if checkpoint.origin != previous or origin == previous or not same:
        raise MalformedJson("a recovery is wrong: its logs are not one after the other")
    return Recovery(origin=origin, previous=previous, known=known.encode("utf-8"))
