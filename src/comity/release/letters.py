# SPDX-License-Identifier: Apache-2.0
"""Pure: what the log says of letters, and of what is not given to anybody any more.

A letter's entry names the letter; the store keeps it. The entry of a recall names every version that it is about: from
it on this party gives none of them, to nobody; so does that of a retraction, by which a partner took back what it had
written here, and which may name none. The entry of a consent names every version that one more party may be
given from it on, or may not any more.
"""

from collections.abc import Iterable, Sequence

from comity.agreement.people import Approval
from comity.canonical import canonical_bytes
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId, format_instant
from comity.release.disclosure import DisclosedObject, describe_approvals

__all__ = ["format_consent", "format_letter_content", "format_recall", "format_retraction"]


def format_letter_content(
    *, letter: Digest, kind: str, sent: bool, party: PartyId, agreement: str, approvals: Sequence[Approval] = ()
) -> bytes:
    """The content of a letter entry, canonical: which letter, to or from `party`; the store keeps the letter itself.

    `approvals` are those of this party's own people, where people had it sent.
    """
    return canonical_bytes(
        {
            "format": "comity-letter-record/1",
            "change": "send" if sent else "receive",
            "letter": letter,
            "kind": kind,
            "party": party,
            "agreement": agreement,
            "approvals": describe_approvals(approvals),
        }
    )


def format_recall(
    *,
    change: str,
    objects: Iterable[DisclosedObject],
    reason: str,
    letter: Digest | None,
    approvals: Sequence[Approval] = (),
) -> bytes:
    """The content of a recall, canonical: what this party gives to nobody any more from this entry on, and why.

    `letter` is that of the giver that asked for it; None where it is an act of this party's own people.
    """
    return canonical_bytes(
        {
            "format": "comity-recall/1",
            "change": change,
            "objects": [{"id": item.id, "version": item.version, "digest": item.digest} for item in objects],
            "reason": reason,
            "letter": letter,
            "approvals": describe_approvals(approvals),
        }
    )


def format_retraction(
    *,
    name: Digest,
    giver: PartyId,
    agreement: AgreementId,
    channel: str,
    item: ObjectId,
    asked: str,
    objects: Iterable[DisclosedObject],
) -> bytes:
    """The content of a retraction, canonical: what `giver` asked to take back of an object, in the words of TAXII.

    `objects` are the versions of it that this party had from it and gives to nobody any more from this entry on.
    """
    return canonical_bytes(
        {
            "format": "comity-retraction/1",
            "change": "retract",
            "retraction": name,
            "giver": giver,
            "agreement": agreement,
            "channel": channel,
            "object": item,
            "asked": asked,
            "objects": [{"id": one.id, "version": one.version, "digest": one.digest} for one in objects],
        }
    )


def format_consent(
    *, change: str, objects: Iterable[DisclosedObject], recipient: PartyId, grant: Digest, until: Instant
) -> bytes:
    """The content of a consent, canonical: what `recipient` may be given from this entry on, by the letter `grant`.

    `change` is `begin`; or `end`, from which on the grant lets nothing of it go. It is good before `until`.
    """
    return canonical_bytes(
        {
            "format": "comity-consent/1",
            "change": change,
            "objects": [{"id": item.id, "version": item.version, "digest": item.digest} for item in objects],
            "recipient": recipient,
            "grant": grant,
            "until": format_instant(until),
        }
    )
