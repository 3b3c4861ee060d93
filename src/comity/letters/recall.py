# SPDX-License-Identifier: Apache-2.0
"""Pure: what a recall says, and what its acknowledgement says of every version that the recall was about.

    {"change":"withdraw","reason":"the source was not reliable"}
    {"change":"correct","newer":"2026-02-01T00:00:00.000Z","reason":"the region was wrong"}
    {"results":[{"outcome":"deleted"},{"outcome":"kept","reason":"held as evidence"}],"stage":"done"}

A withdrawal asks for all of what it is about: nothing of it may be used or passed on. A correction says that a newer
version of the one object exists, and takes its place. An acknowledgement is of its sender alone: to whom it has passed
an object on it does not say, only whether all of them have acknowledged (`Stage.DONE`).
"""

from dataclasses import dataclass
from enum import StrEnum

from comity.agreement.reader import Reader
from comity.canonical import Json

__all__ = [
    "MAX_KEPT_REASON",
    "MAX_VERSION",
    "Change",
    "Outcome",
    "Recall",
    "RecallAcknowledgement",
    "Result",
    "Stage",
    "describe_acknowledgement",
    "describe_recall",
    "read_acknowledgement",
    "read_recall",
]

MAX_VERSION = 64
"""Characters of the version of an object, as in the listing of a disclosure (`release.contents`)."""

MAX_KEPT_REASON = 500
"""Characters, on one line: an acknowledgement may have to give one for each version."""


class Change(StrEnum):
    """What a recall asks for."""

    WITHDRAW = "withdraw"
    CORRECT = "correct"


class Stage(StrEnum):
    """How far the receiver of a recall is; each says more than the one before.

    STOPPED: it gives nothing of it to anybody any more. SETTLED: what it holds itself is deleted, replaced or kept for
    a reason. DONE: SETTLED, and all to whom it had passed it on have said DONE.
    """

    STOPPED = "stopped"
    SETTLED = "settled"
    DONE = "done"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return (*Stage,).index(self)


class Outcome(StrEnum):
    """What became of one version at the receiver. ABSENT: it held nothing of it that the sender had given."""

    STOPPED = "stopped"
    DELETED = "deleted"
    REPLACED = "replaced"
    KEPT = "kept"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """What is asked for, and why; `newer` is the version that takes the place of others, of a correction."""

    change: Change
    reason: str
    newer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one version; `reason` is there where it is kept."""

    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAcknowledgement:
    """How far the receiver is; `results` are of the versions that the recall was about, in its order."""

    stage: Stage
    results: tuple[Result, ...]


def read_recall(fields: Reader) -> Recall:
    """The recall that the fields of a body say.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    change = Change(fields.word("change", [*Change]))
    reason = fields.maybe_prose("reason")
    if reason is None:
        raise fields.refuse("reason", "is missing")
    newer = fields.text("newer", most=MAX_VERSION) if fields.has("newer") else None
    if (newer is not None) != (change is Change.CORRECT):
        raise fields.refuse("newer", "is there exactly where a newer version corrects others")
    return Recall(change=change, reason=reason, newer=newer)


def describe_recall(recall: Recall) -> dict[str, Json]:
    """The body that says so."""
    newer: dict[str, Json] = {} if recall.newer is None else {"newer": recall.newer}
    return {"change": recall.change.value, "reason": recall.reason, **newer}


def read_acknowledgement(fields: Reader, *, count: int) -> RecallAcknowledgement:
    """The acknowledgement that the fields of a body say, of a recall of `count` versions.

    Raises:
        MalformedError: a field is missing or wrong.
    """
    stage = Stage(fields.word("stage", [*Stage]))
    results = tuple(map(_read_result, fields.items("results", least=count, most=count)))
    if stage is not Stage.STOPPED and any(result.outcome is Outcome.STOPPED for result in results):
        raise fields.refuse("results", f"holds 'stopped', which is not the end that {stage.value!r} says")
    return RecallAcknowledgement(stage=stage, results=results)


def describe_acknowledgement(acknowledgement: RecallAcknowledgement) -> dict[str, Json]:
    """The body that says so."""
    results: list[Json] = [
        {"outcome": item.outcome.value, **({} if item.reason is None else {"reason": item.reason})}
        for item in acknowledgement.results
    ]
    return {"stage": acknowledgement.stage.value, "results": results}


def _read_result(item: Reader) -> Result:
    inner = item.open()
    outcome = Outcome(inner.word("outcome", [*Outcome]))
    reason = inner.text("reason", most=MAX_KEPT_REASON) if inner.has("reason") else None
    if (reason is not None) != (outcome is Outcome.KEPT):
        raise inner.refuse("reason", "is there exactly where something is kept")
    inner.close()
    return Result(outcome=outcome, reason=reason)
