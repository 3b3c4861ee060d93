# SPDX-License-Identifier: Apache-2.0
"""Pure: what the log says of a file of messages that a person brought: before anything of it is taken.

    content  {"agreement":"…","digest":"…","format":"comity-import-record/1","messages":4,"person":"anna",
              "reason":"…","role":"legal"}

It is the content of a people entry. `digest` is the SHA-256 of the file, which names `agreement`; what was taken of it
follows in entries of its own.
"""

from comity.agreement.people import Role
from comity.canonical import canonical_bytes
from comity.ids import AgreementId, Digest, PersonId

__all__ = ["IMPORT_FORMAT", "format_imported"]

IMPORT_FORMAT = "comity-import-record/1"


def format_imported(
    *, agreement: AgreementId, digest: Digest, messages: int, person: PersonId, role: Role, reason: str
) -> bytes:
    """The content of the entry, canonical: who brought which file, as what, why, and how many messages it has."""
    return canonical_bytes(
        {
            "format": IMPORT_FORMAT,
            "agreement": agreement,
            "digest": digest,
            "messages": messages,
            "person": person,
            "role": role.value,
            "reason": reason,
        }
    )
