# SPDX-License-Identifier: Apache-2.0
"""Pure: what a recovery of the log puts on record, and the statement by which partners learn of it.

    content    {"approvals":[…],"format":"comity-recovery/1","known":"comity/aurelia 420 …",
                "origin":"comity/aurelia/house/9f86d081884c7d65","others":["…"],"previous":"comity/aurelia","reason":"…"}
    statement  {"at":"…","format":"comity-succession/1","known":"…","logs":[{"agreement":"…","next":"…","origin":"…",
                "size":7}],"origin":"…","party":"aurelia","position":412,"previous":"…"}

A store that was restored may lack entries that this party has signed for. It must not sign other ones in their place
under the same origin. So the log goes on under another (`tlog.origin`): its first entries are those that were restored,
the next is the recovery, which names the log that it follows and the newest checkpoint of it that is `known`. From that
entry on every checkpoint is of the new origin, and what was signed of the old one verifies as before. The logs of
relationships end: the statement for a partner names those of what it was given, with how many entries of them there
are, and what follows each. One that nothing was given in yet, as far as the store has it, ends with 0: there may have
been entries that were lost. `others`, the newest known checkpoints of such logs, and `logs` are left out where there
are none; so are `agreement` and `next` in statements of before.

Not here: the signature on a statement (`node.succession`), and the name itself (`tlog.origin`).

A log goes on once. Two statements of one party that cannot stand beside one another are kept: they say that it goes on
as two others, from two places or in a circle, or name two ends of a log of a relationship:

    {"first":STATEMENT,"format":"comity-succession-contradiction/1","noted_at":"…","second":STATEMENT}
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

from comity.agreement.people import Approval
from comity.canonical import Json, Limits, canonical_bytes, parse_json, parse_signed_json
from comity.errors import MalformedError, MalformedJson, VerificationError
from comity.ids import AgreementId, Instant, PartyId, format_instant, parse_digest, parse_instant, parse_party_id
from comity.release.disclosure import EntryType, Leaf
from comity.signing import Manifest, Role, parse_signed_document, verify_signed_document
from comity.tlog.note import parse_checkpoint, parse_note
from comity.tlog.origin import find_token, first_origin, parse_origin

__all__ = [
    "CONTRADICTION",
    "SUCCESSION_TYPE",
    "Asked",
    "EndedLog",
    "Recovery",
    "Succession",
    "contradict",
    "format_contradiction",
    "format_recovery",
    "format_succession",
    "parse_recovery",
    "parse_succession",
    "verify_contradiction",
]

SUCCESSION_TYPE = "application/vnd.comity.succession+json"

CONTRADICTION = "comity-succession-contradiction/1"
_CONTRADICTION_LIMITS = Limits(max_bytes=8 << 20, max_depth=2, max_items=16)

_RECOVERY = "comity-recovery/1"
_SUCCESSION = "comity-succession/1"
_MOST_ENDED = 4_096
"""In one statement: a log for each agreement with the party that is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The log that goes on as `origin`, the one before, and the newest checkpoint of that which is known, as signed.

    `others` are those of logs of relationships.
    """

    origin: str
    previous: str
    known: bytes
    others: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedLog:
    """A log that gets no more entries than these; it is for `agreement`, and goes on as `next`."""

    origin: str
    size: int
    agreement: AgreementId | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a witness of the lost logs said: how many entries it has cosigned, or why that is not known.

    `size` is of the house's log, None where it did not say; `others` are those of relationships that it was shown and
    has cosigned, by their origin.
    """

    name: str
    size: int | None
    problem: str | None
    answered: bool
    others: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Succession:
    """A recovery as its party tells it: the entry at `position` is it, so that entries before are of both logs.

    `logs` are those of whom it is told that have ended.
    """

    party: PartyId
    recovery: Recovery
    position: int
    at: Instant
    logs: tuple[EndedLog, ...] = ()


def format_recovery(
    recovery: Recovery, *, reason: str, approvals: Sequence[Approval], witnesses: Sequence[Asked] = ()
) -> bytes:
    """The content of a recovery entry, canonical; it names the witnesses where this party has any."""
    others: dict[str, Json] = {"others": [note.decode("utf-8") for note in recovery.others]} if recovery.others else {}
    asked: list[Json] = [_describe_asked(each) for each in witnesses]
    return canonical_bytes(
        {
            "format": _RECOVERY,
            **({"witnesses": asked} if asked else {}),
            **_describe(recovery),
            **others,
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
        } if not rest.keys() - {"others", "witnesses"}:
            return replace(
                _build(origin, previous, known), others=_read_others(cast("Json", rest.get("others", [])), previous)
            )
        case _:
            raise MalformedJson(f"not a recovery of the format {_RECOVERY}")


def format_succession(succession: Succession) -> bytes:
    """The payload of a statement, canonical."""
    ended: list[Json] = [_describe_ended(each) for each in succession.logs]
    return canonical_bytes(
        {
            **({"logs": ended} if ended else {}),
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
        } if not rest.keys() - {"logs"} and position >= 0 and not isinstance(position, bool):
            try:
                said = Succession(
                    party=parse_party_id(party),
                    recovery=_build(origin, previous, known),
                    position=position,
                    at=parse_instant(at),
                    logs=_read_ended(cast("Json", rest.get("logs", [])), party),
                )
                if parse_origin(origin) == said.party:
                    return said
            except MalformedError as error:
                raise MalformedJson(f"a statement of succession is wrong: {error.detail}") from error
            raise MalformedJson(f"{origin} is no log of {party}")
        case _:
            raise MalformedJson(f"not a statement of the format {_SUCCESSION}")


def contradict(one: Succession, other: Succession) -> bool:
    """Whether no party can say both of its logs.

    Of one recovery each partner is told the logs of its own: other ones contradict nothing, another end of one does.
    """
    if one.party != other.party:
        return False
    ends = {each.origin: each for each in one.logs}
    if any(_differ(ends.get(each.origin, each), each) for each in other.logs):
        return True
    if (one.recovery, one.position) == (other.recovery, other.position):
        begun = {each.next for each in one.logs}, {each.next for each in other.logs}
        return any(each.origin in begun[1] for each in one.logs) or any(each.origin in begun[0] for each in other.logs)
    first = first_origin(one.party)
    return (
        one.recovery.origin == other.recovery.origin
        or one.recovery.previous == other.recovery.previous
        or (one.recovery.origin == first and other.recovery.previous == first)
        or (other.recovery.origin == first and one.recovery.previous == first)
    )


def _differ(one: EndedLog, other: EndedLog) -> bool:
    """Whether two ends of one log are not the same; what one of them leaves out it says nothing of."""
    return (
        one.size != other.size
        or len({one.agreement, other.agreement} - {None}) > 1
        or len({one.next, other.next} - {None}) > 1
    )


def format_contradiction(first: bytes, second: bytes, *, noted_at: Instant) -> bytes:
    """The bytes of a file that holds two signed statements; `verify_contradiction` reads them."""
    said: dict[str, Json] = {"first": first.decode("utf-8"), "second": second.decode("utf-8")}
    return canonical_bytes({**said, "format": CONTRADICTION, "noted_at": format_instant(noted_at)})


def verify_contradiction(data: bytes, manifests: Sequence[Manifest]) -> tuple[Succession, Succession]:
    """The two statements in a file, each signed by a party's manifest keys, that cannot stand beside one another.

    The time at which the manifests ran out plays no part.

    Raises:
        MalformedJson: not such a file, or a statement that is none.
        VerificationError: one is not signed by any of `manifests`, or they can stand beside one another.
    """
    match parse_json(data, limits=_CONTRADICTION_LIMITS):
        case {"first": str(first), "second": str(second), "noted_at": str(), "format": str(kind), **rest} if (
            not rest and kind == CONTRADICTION
        ):
            one, other = _verify_statement(first, manifests), _verify_statement(second, manifests)
        case _:
            raise MalformedJson(f"not two statements of the format {CONTRADICTION}")
    if not contradict(one, other):
        raise VerificationError("the two statements can stand beside one another: this shows nothing")
    return one, other


def _verify_statement(text: str, manifests: Sequence[Manifest]) -> Succession:
    document = parse_signed_document(text.encode("utf-8"))
    said = parse_succession(document.payload)
    for manifest in manifests:
        if manifest.party == said.party:
            with suppress(VerificationError):
                when = manifest.issued_at
                verify_signed_document(document, manifest, role=Role.MANIFEST, payload_type=SUCCESSION_TYPE, now=when)
                return said
    raise VerificationError(f"no manifest that is given has signed the statement of {said.party}")


def _read_others(value: Json, previous: str) -> tuple[bytes, ...]:
    notes = list[bytes]()
    for item in value if isinstance(value, list) else [None]:
        if not isinstance(item, str):
            raise MalformedJson("a recovery is wrong: another checkpoint is a text")
        try:
            origin = parse_checkpoint(parse_note(item.encode("utf-8")).text).origin
            same = parse_origin(origin) == parse_origin(previous)
        except MalformedError as error:
            raise MalformedJson(f"a recovery is wrong: {error.detail}") from error
        if not same:
            raise MalformedJson(f"a recovery is wrong: {origin} is no log of the same party")
        notes.append(item.encode("utf-8"))
    return tuple(notes)


def _read_ended(value: Json, party: str) -> tuple[EndedLog, ...]:
    ended = list[EndedLog]()
    for item in value if isinstance(value, list) else [None]:
        match item:
            case {"origin": str(origin), "size": int(size), **rest} if (
                not rest.keys() - {"agreement", "next"}
                and size >= 0
                and not isinstance(size, bool)
                and parse_origin(origin) == party
            ):
                agreement, follows = rest.get("agreement"), rest.get("next")
                if follows is not None and (find_token(str(follows)) is None or parse_origin(str(follows)) != party):
                    raise MalformedJson("what follows the log of a relationship is another such log of the party")
                ended.append(
                    EndedLog(
                        origin=origin,
                        size=size,
                        agreement=None if agreement is None else AgreementId(parse_digest(str(agreement))),
                        next=None if follows is None else str(follows),
                    )
                )
            case _:
                raise MalformedJson("a log that has ended is named by its origin and its size, and is of the party")
    if len({each.origin for each in ended}) < len(ended) or len(ended) > _MOST_ENDED:
        raise MalformedJson(f"a log that has ended is named twice, or more than {_MOST_ENDED} are")
    return tuple(ended)


def _describe_ended(ended: EndedLog) -> Json:
    more: dict[str, Json] = {} if ended.agreement is None else {"agreement": ended.agreement}
    return {"origin": ended.origin, "size": ended.size, **more, **({} if ended.next is None else {"next": ended.next})}


def _describe_asked(asked: Asked) -> Json:
    """What a witness said; of logs of relationships only where it was shown some."""
    logs: list[Json] = [{"origin": origin, "size": size} for origin, size in sorted(asked.others.items())]
    said: dict[str, Json] = {"name": asked.name, "size": asked.size, "problem": asked.problem}
    return {**said, **({"logs": logs} if logs else {})}


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
