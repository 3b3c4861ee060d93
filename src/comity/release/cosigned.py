# SPDX-License-Identifier: Apache-2.0
"""Pure: which cosignatures under the checkpoint of a receipt count, and which logs a trust policy lets it be from.

A witness says of a head that it was the largest one that it had seen, and when. So a cosignature from before the
disclosure says nothing: no tree with it was there to be seen. Nor does one from the future, and one that is long past
says nothing of what the log has shown to others since. Where a receipt is read years later, the time of the disclosure
alone is a measure; whoever takes something in now asks for cosignatures of these days.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from comity.errors import MalformedNote, ReceiptRefused, VerificationError
from comity.ids import Instant, PartyId
from comity.tlog.note import Note, SignatureType, VerifierKey
from comity.tlog.origin import is_origin
from comity.tlog.policy import TrustPolicy, verify_quorum

__all__ = ["Span", "find_span", "verify_cosigned"]

_SECOND = 1_000_000
_DAY_SECONDS = 86_400
_SKEW_SECONDS = 300
"""How far the clocks of giver, witness and reader may be apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """When a cosignature counts, in seconds since 1970, both ends included; without `until` however late."""

    since: int
    until: int | None


def find_span(at: Instant, *, now: Instant | None, fresh_days: int | None) -> Span:
    """When cosignatures over a tree with an entry of the time `at` count for who reads them `now`.

    Without `now` however late they are; without `fresh_days` however old, but for the entry itself.
    """
    since = at // _SECOND - _SKEW_SECONDS
    if now is None:
        return Span(since=since, until=None)
    if fresh_days is not None:
        since = max(since, now // _SECOND - fresh_days * _DAY_SECONDS)
    return Span(since=since, until=now // _SECOND + _SKEW_SECONDS)


def verify_cosigned(
    note: Note, origin: str, key: bytes, *, giver: PartyId, policy: TrustPolicy, span: Span
) -> Mapping[str, int]:
    """Who cosigned the checkpoint of the log `origin` of `giver` when, after the quorum has; `key` has signed it.

    Raises:
        ReceiptRefused: it has not, or the policy lists logs of the giver and not this one.
    """
    listed = sorted({entry.key.name for entry in policy.logs if is_origin(entry.key.name, giver)})
    if listed and origin not in listed:
        raise ReceiptRefused(
            f"checkpoint: it is of the log {origin}, and of {giver} the trust policy lists {', '.join(listed)} alone:"
            " list this one too, if it is the log that you expect, or none of them",
            part="checkpoint",
        )
    log = VerifierKey(name=origin, type=SignatureType.ED25519, public_key=key)
    try:
        return verify_quorum(note, policy, logs=[log], since=span.since, until=span.until).timestamps
    except (MalformedNote, VerificationError) as error:
        raise ReceiptRefused(f"witnesses: {error.detail}", part="witnesses") from error
