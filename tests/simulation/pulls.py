# SPDX-License-Identifier: Apache-2.0
"""What the invariants of disclosure are held against: every page that a node gave another, every letter it took."""

from collections.abc import Mapping
from dataclasses import dataclass

from comity.ids import AgreementId, Digest, ObjectId
from comity.letters.letter import Letter

__all__ = ["Given", "Pull", "Take", "Version"]

Version = tuple[ObjectId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One page that left its giver, whether it arrived or not; `by_twin`: its log is not the one that is audited."""

    giver: str
    recipient: str
    versions: tuple[Version, ...]
    leaked: bool
    by_twin: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One page that its recipient took in, and what its terms say of passing it on: to a list, or by consent.

    `kept` is what the recipient took in as a partner's: not what it gave that partner itself, nor what it refused.
    """

    giver: str
    recipient: str
    agreement: AgreementId
    terms: str
    kept: tuple[Version, ...]
    onward: frozenset[str]
    consent: bool
    ceiling: str
    digests: Mapping[Version, Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A letter that the node of `name` took."""

    name: str
    letter: Letter
