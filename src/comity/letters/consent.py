# SPDX-License-Identifier: Apache-2.0
"""Pure: what is said of consent to pass versions of objects on to one more party: asked, granted, refused, revoked.

    {"purpose":"exchange","reason":"they hold the other half","recipient":"cimbria","until":"2027-01-01T00:00:00Z"}
    {"actions":"none","conditions":"orally only","expires_at":"…","purpose":"exchange","recipient":"cimbria"}
    {"purpose":"exchange","recipient":"cimbria","sanitised":{"id":"report--…","version":"…"}}
    {"reason":"the source could be known by it"}
    {"grant":"…","reason":"they have published it","recall":true}

A grant answers a request, and is for what the request names alone: that recipient, that purpose, and no longer than was
asked for. It says until when it holds; or, where it names a sanitised version that its sender releases itself, it
grants nothing for what was asked about. A revocation answers the request too and names the grant, so that it is
understood whichever of the two comes first.

Not here: who may grant (`node.consent`), and what a grant does where it comes (`node.consented`).
"""

from dataclasses import dataclass

from comity.agreement.reader import Reader
from comity.canonical import Json
from comity.errors import MalformedRequest
from comity.ids import Digest, Instant, ObjectId, PartyId, format_instant, parse_object_id
from comity.vocabulary import ACTIONS_ORDER, PURPOSES

__all__ = [
    "ConsentGrant",
    "ConsentRefusal",
    "ConsentRequest",
    "ConsentRevocation",
    "Sanitised",
    "describe_grant",
    "describe_refusal",
    "describe_request",
    "describe_revocation",
    "is_wider",
    "rank_actions",
    "read_grant",
    "read_refusal",
    "read_request",
    "read_revocation",
]

_MAX_VERSION = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRequest:
    """To whom it is to be passed on, for what, why, and until when that is wanted; `until` None sets no limit."""

    recipient: PartyId
    purpose: str
    reason: str
    until: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitised:
    """A version of another object, or a newer one of the same, that the sender of a grant releases itself."""

    id: ObjectId
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentGrant:
    """To whom it may be passed on, for what, and until when, which is not included.

    `actions` is what the recipient may do by it, at the most, and `conditions` what people are to keep to. Where
    `sanitised` is there, nothing is granted, and `expires_at`, `actions` and `conditions` are None.
    """

    recipient: PartyId
    purpose: str
    expires_at: Instant | None = None
    actions: str | None = None
    conditions: str | None = None
    sanitised: Sanitised | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRefusal:
    """That it may not be passed on; why, where somebody says so."""

    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRevocation:
    """That the grant with the name `grant` ends; `recall` asks to take back what was passed on by it."""

    grant: Digest
    recall: bool
    reason: str | None = None


def rank_actions(actions: str) -> int:
    """The place of a word of permitted actions in their order, the narrowest first."""
    return ACTIONS_ORDER.index(actions)


def is_wider(grant: ConsentGrant, request: ConsentRequest) -> bool:
    """Whether a grant is of anything that was not asked for."""
    if (grant.recipient, grant.purpose) != (request.recipient, request.purpose):
        return True
    return request.until is not None and grant.expires_at is not None and grant.expires_at > request.until


def read_request(fields: Reader) -> ConsentRequest:
    """The request that the fields of a body say.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    reason = fields.maybe_prose("reason")
    if reason is None or not reason.strip():
        raise fields.refuse("reason", "is missing: a request says why")
    return ConsentRequest(
        recipient=fields.party("recipient"),
        purpose=fields.word("purpose", PURPOSES),
        reason=reason,
        until=fields.maybe_instant("until"),
    )


def describe_request(body: ConsentRequest) -> dict[str, Json]:
    """The body as it is written."""
    until: dict[str, Json] = {} if body.until is None else {"until": format_instant(body.until)}
    return {"recipient": body.recipient, "purpose": body.purpose, "reason": body.reason, **until}


def read_grant(fields: Reader) -> ConsentGrant:
    """The grant that the fields of a body say.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    recipient, purpose = fields.party("recipient"), fields.word("purpose", PURPOSES)
    if fields.has("sanitised"):
        return ConsentGrant(recipient=recipient, purpose=purpose, sanitised=_read_sanitised(fields.item("sanitised")))
    return ConsentGrant(
        recipient=recipient,
        purpose=purpose,
        expires_at=fields.instant("expires_at"),
        actions=fields.word("actions", ACTIONS_ORDER),
        conditions=fields.maybe_prose("conditions"),
    )


def describe_grant(body: ConsentGrant) -> dict[str, Json]:
    """The body as it is written."""
    said: dict[str, Json] = {"recipient": body.recipient, "purpose": body.purpose}
    if body.sanitised is not None:
        return said | {"sanitised": {"id": body.sanitised.id, "version": body.sanitised.version}}
    if body.expires_at is not None:
        said["expires_at"] = format_instant(body.expires_at)
    if body.actions is not None:
        said["actions"] = body.actions
    if body.conditions is not None:
        said["conditions"] = body.conditions
    return said


def read_refusal(fields: Reader) -> ConsentRefusal:
    """The refusal that the fields of a body say.

    Raises:
        MalformedError: a field is wrong.
    """
    return ConsentRefusal(reason=fields.maybe_prose("reason"))


def describe_refusal(body: ConsentRefusal) -> dict[str, Json]:
    """The body as it is written."""
    return {} if body.reason is None else {"reason": body.reason}


def read_revocation(fields: Reader) -> ConsentRevocation:
    """The revocation that the fields of a body say.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    return ConsentRevocation(
        grant=fields.digest("grant"), recall=fields.flag("recall"), reason=fields.maybe_prose("reason")
    )


def describe_revocation(body: ConsentRevocation) -> dict[str, Json]:
    """The body as it is written."""
    reason: dict[str, Json] = {} if body.reason is None else {"reason": body.reason}
    return {"grant": body.grant, "recall": body.recall, **reason}


def _read_sanitised(item: Reader) -> Sanitised:
    inner = item.open()
    text = inner.text("id")
    try:
        name = parse_object_id(text)
    except MalformedRequest as error:
        raise inner.refuse("id", error.detail) from error
    sanitised = Sanitised(id=name, version=inner.text("version", most=_MAX_VERSION))
    inner.close()
    return sanitised
