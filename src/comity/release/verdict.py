# SPDX-License-Identifier: Apache-2.0
"""Pure: a decision in words, with what is really removed; and which of several counts.

What a decision removes is what stands in the object and the terms do not admit: a decision to redact that finds nothing
to remove is a release of the whole object.
"""

from dataclasses import dataclass
from typing import Final

from comity.release.decision import Decision, Redact, Release, Withhold
from comity.release.redaction import redact

__all__ = ["GOES_WHOLE", "Verdict", "put_in_words", "rank_verdict"]

_WORDS = ("release", "redact", "withhold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A decision in words: "release", "redact" (with what is removed) or "withhold" (with clause and reason)."""

    decision: str
    clause: str | None = None
    reason: str | None = None
    redacted: tuple[str, ...] = ()


def put_in_words(decision: Decision, *, data: bytes) -> Verdict:
    """The decision, with what would really be removed of `data`."""
    match decision:
        case Release():
            return Verdict(decision="release")
        case Redact(properties=properties, only=only):
            removed = redact(data, properties, only=only).removed
            return Verdict(decision="redact" if removed else "release", redacted=removed)
        case Withhold(clause=clause, reason=reason):
            return Verdict(decision="withhold", clause=clause, reason=reason)


GOES_WHOLE: Final = (0, False)
"""The lowest rank: there is none by which more goes."""


def rank_verdict(verdict: Verdict, *, gated: bool) -> tuple[int, bool]:
    """How little goes: of several verdicts the lowest counts.

    Of those by which nothing goes, the ones whose gate is open (not `gated`) have the better reason.
    """
    return _WORDS.index(verdict.decision), gated
