# SPDX-License-Identifier: Apache-2.0
"""Pure: what the log says of an act that people of this party had approved and another one declined.

    content  {"agreement":"…","approvals":[…],"format":"comity-declined-record/1","kind":"propose","matter":"…",
              "person":"anna","reason":"…","role":"legal"}

It is the content of a people entry. `matter` is the SHA-256 of what would have been signed, and `approvals` are those
that it had by then.
"""

from collections.abc import Sequence

from comity.agreement.people import Approval, Role
from comity.canonical import canonical_bytes
from comity.ids import AgreementId, Digest, PersonId
from comity.release.disclosure import describe_approvals

__all__ = ["DECLINED_FORMAT", "format_declined"]

DECLINED_FORMAT = "comity-declined-record/1"


def format_declined(
    *,
    matter: Digest,
    kind: str,
    agreement: AgreementId | None,
    person: PersonId,
    role: Role,
    reason: str,
    approvals: Sequence[Approval],
) -> bytes:
    """The content of the entry, canonical: who declined the matter, as what and why, and who had approved it."""
    return canonical_bytes(
        {
            "format": DECLINED_FORMAT,
            "matter": matter,
            "kind": kind,
            "agreement": agreement,
            "person": person,
            "role": role.value,
            "reason": reason,
            "approvals": describe_approvals(approvals),
        }
    )
