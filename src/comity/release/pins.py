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
    seen: Sequence[bytes],
    set_aside: int,
    reason: str,
    approvals: Sequence[Approval],
) -> bytes:
    """The content of a key-rotation entry, canonical, by which a partner is pinned anew: nothing follows from `before`.

    `seen` are the largest checkpoints seen of its logs until then, as they were signed; of so many receipts those logs
    are evidence alone from here on.
    """
    return canonical_bytes(
        {
            "format": "comity-pin-record/1",
            "party": party,
            "before": before,
            "manifest": manifest,
            "version": version,
            "seen": [note.decode("utf-8") for note in seen],
            "set_aside": set_aside,
            "reason": reason,
            "approvals": describe_approvals(approvals),
        }
    )
