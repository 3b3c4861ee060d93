# SPDX-License-Identifier: Apache-2.0
"""What the invariants of disclosure are held against: every page that a node gave another."""

from dataclasses import dataclass

from comity.ids import ObjectId

__all__ = ["Pull"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One page that reached its recipient, and whom its terms let it be passed on to.

    `kept` is what the recipient took in as a partner's: not what it gave that partner itself, nor what it refused.
    """

    giver: str
    recipient: str
    versions: tuple[tuple[ObjectId, str], ...]
    kept: tuple[tuple[ObjectId, str], ...]
    onward: frozenset[str]
    leaked: bool
