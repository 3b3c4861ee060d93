# SPDX-License-Identifier: Apache-2.0
"""Pure: what the log says of the keys that count: this party's own, and those of a partner that is pinned anew."""

from collections.abc import Sequence

from comity.agreement.people import Approval
from comity.canonical import Json, canonical_bytes
from comity.ids import Digest, PartyId
from comity.release.disclosure import describe_approvals

__all__ = ["format_key_content", "format_pin_content"]


def format_key_content(
    *, party: PartyId, manifest: Digest, version: int, revoked: Sequence[str], approvals: Sequence[Approval] = ()
) -> bytes:
    """The content of a key-rotation entry, canonical: the manifest in force from here on, of this party or of another.

    `revoked` are the ids of the keys that it is the first to call revoked; `approvals` those of this party's people.
    """
    return canonical_bytes(
        {
            "format": "comity-key-record/1",
            "party": party,
            "manifest": manifest,
            "version": version,
            "revoked": list[Json](revoked),
            "approvals": describe_approvals(approvals),
        }
    )


def format_pin_content(
    *,
    party: PartyId,
    before: Digest,
    manifest: Digest,
    version: int,
    seen: bytes | None,
    set_aside: int,
    reason: str,
    approvals: Sequence[Approval],
) -> bytes:
    """The content of a key-rotation entry, canonical, by which a partner is pinned anew: nothing follows from `before`.

    `seen` is the largest checkpoint seen of its log until then, as it was signed; of so many receipts that log is
    evidence alone from here on.
    """
    return canonical_bytes(
        {
            "format": "comity-pin-record/1",
            "party": party,
            "before": before,
            "manifest": manifest,
            "version": version,
            "seen": None if seen is None else seen.decode("utf-8"),
            "set_aside": set_aside,
            "reason": reason,
            "approvals": describe_approvals(approvals),
        }
    )
