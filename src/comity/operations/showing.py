# SPDX-License-Identifier: Apache-2.0
"""Shell: what receipts show: verified and described, without a node."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from comity.errors import MalformedError, MalformedReceipt, MalformedRequest, VerificationError
from comity.ids import Instant, format_instant
from comity.operations.reply import Json
from comity.release.disclosure import DisclosedObject
from comity.release.receipt import (
    Handling,
    Receipt,
    VerifiedReceipt,
    find_handling,
    parse_receipt,
    verify_object,
    verify_receipt,
)
from comity.signing import Manifest, parse_manifest, parse_signed_document, verify_manifest
from comity.tlog.policy import parse_trust_policy

__all__ = ["describe_handling", "describe_receipt", "verify_files"]

_RECEIPT: Final = b'"format":"comity-receipt/1"'
_GIVE: Final = "give the file that `log receipt ENTRY --out FILE` wrote at a node, byte for byte"


def verify_files(
    receipt: bytes,
    *,
    manifests: Mapping[str, bytes],
    policy: bytes | None,
    objects: Mapping[str, bytes],
    now: Instant | None = None,
) -> dict[str, Json]:
    """What a receipt shows, by the bytes of files; each of `objects` must be one that it lists.

    With `now` nothing counts that a witness says to have cosigned later.

    Raises:
        MalformedReceipt, MalformedPolicy: the file is not one.
        MalformedRequest: a manifest is not one, or not signed by itself.
        ReceiptRefused: a part does not match.
    """
    read = _read_receipt(receipt)
    trusted = [_read_manifest(path, data) for path, data in manifests.items()]
    asked = None if policy is None else parse_trust_policy(policy)
    verified = verify_receipt(read, manifests=trusted, policy=asked, now=now)
    handling = None if read.terms is None else find_handling(verified, read.terms)
    found: list[Json] = [
        {"file": path, **_describe_object(verify_object(verified, data))} for path, data in objects.items()
    ]
    return {**describe_receipt(verified, handling), "files": found}


def describe_receipt(verified: VerifiedReceipt, handling: Handling | None) -> dict[str, Json]:
    """What a receipt shows, as programs read it."""
    witnesses: list[Json] | None = None
    if verified.witnesses is not None:
        witnesses = [
            {"name": name.encode(errors="replace").decode(), "at": datetime.fromtimestamp(at, UTC).isoformat()}
            for name, at in sorted(verified.witnesses.items())
        ]
    return {
        "giver": verified.giver,
        "recipient": verified.recipient,
        "at": format_instant(verified.at),
        "terms": verified.terms,
        "channel": verified.channel,
        "answer": verified.answer.value,
        "sequence": verified.sequence,
        "log": verified.origin,
        "entry": verified.index,
        "size": verified.size,
        "root": verified.root.hex(),
        "manifest": verified.manifest,
        "witnesses": witnesses,
        "objects": [_describe_object(item) for item in verified.objects],
        "handling": None if handling is None else describe_handling(handling),
    }


def _read_receipt(data: bytes) -> Receipt:
    try:
        return parse_receipt(data)
    except MalformedReceipt as error:
        if _RECEIPT in data:
            raise
        raise MalformedReceipt(f"this is no receipt, but another file ({error.detail}); {_GIVE}") from error


def _read_manifest(path: str, data: bytes) -> Manifest:
    try:
        document = parse_signed_document(data)
        # Its own times do not matter here: a receipt is read long after the keys that signed it have run out.
        return verify_manifest(document, now=parse_manifest(document.payload).issued_at)
    except (MalformedError, VerificationError) as error:
        detail = f"{path} is not a manifest: {error.detail}; `party export` at the giver's node writes it"
        raise MalformedRequest(detail, where="--manifest") from error


def _describe_object(item: DisclosedObject) -> dict[str, Json]:
    return {"id": item.id, "version": item.version, "digest": item.digest, "redacted": list[Json](item.redacted)}


def describe_handling(handling: Handling) -> dict[str, Json]:
    """How terms have what was given handled, as programs read it."""
    return {
        "title": handling.title,
        "audience": list[Json](sorted(handling.audience)),
        "onward": handling.onward,
        "tlp_ceiling": handling.tlp_ceiling,
        "handling": list[Json](sorted(handling.handling)),
        "originators": list[Json](sorted(handling.originators)),
        "purposes": list[Json](sorted(handling.purposes)),
        "permitted_actions": handling.permitted_actions,
        "prohibited_uses": list[Json](sorted(handling.prohibited_uses)),
        "excluded_frameworks": list[Json](sorted(handling.excluded_frameworks)),
        "review_after": handling.review_after,
        "delete_after": handling.delete_after,
        "survives": list[Json](sorted(handling.survives)),
        "delete_after_end": handling.delete_after_end,
    }
