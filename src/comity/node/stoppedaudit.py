# SPDX-License-Identifier: Apache-2.0
"""Shell: what is given to nobody any more, held against the recalls and retractions of a log.

Each version that an entry stops must be kept as the first such entry says; whoever has the database could else let it
go again. Each that is kept must be in an entry.
"""

from collections.abc import Iterator
from typing import NamedTuple

from comity.canonical import Json
from comity.errors import MalformedError
from comity.ids import Instant, parse_instant
from comity.letters.recall import Change
from comity.node.retraction import describe_taken_back
from comity.store import Transaction, recalls

__all__ = ["StoppedAudit"]

_Version = tuple[str, Instant | str]
"""An id with the time that its version says; with its text, where that says none."""


class _Stop(NamedTuple):
    """Of which bytes a version was, and how, why, by which letter or retraction, and when it was stopped."""

    digest: str
    change: str
    reason: str
    letter: str | None
    at: Instant


class StoppedAudit:
    """The entries that stop versions, in their order, held against what `transaction` keeps of them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._stopped: dict[_Version, _Stop] = {}

    def note(self, said: Json, at: Instant) -> None:
        """Remember what an entry stops; that its content is in a known format is for the caller."""
        match said:
            case {
                "format": "comity-recall/1",
                "change": "withdraw" | "correct" as change,
                "objects": list(listed),
                "reason": str(reason),
                "letter": letter,
            }:
                self._note_all(listed, change, reason, letter, at)
            case {"format": "comity-retraction/1", "retraction": named, "giver": str(giver), "objects": list(listed)}:
                self._note_all(listed, Change.WITHDRAW.value, describe_taken_back(giver), named, at)
            case _:
                return

    def finish(self) -> Iterator[str]:
        """What is wrong with what is kept."""
        kept = dict[_Version, _Stop]()
        for one in recalls.iterate_recalled(self._transaction):
            kept[one.id, one.version_at] = _Stop(one.digest, one.change.value, one.reason, one.letter, one.recalled_at)
            if _tell(one.id, one.version) != (one.id, one.version_at):
                yield f"{one.id} {one.version} is kept as recalled under the time of another version"
        for key, stop in kept.items():
            said = self._stopped.get(key)
            if said is None:
                yield f"{key[0]} is kept as recalled in a version, and in no recall in the log"
            elif said != stop:
                yield f"the recall of {key[0]} is kept as another one than the log has put on record"
        for name, _ in sorted((self._stopped.keys() - kept.keys()), key=str):
            yield f"{name} was recalled by the log, in a version that is not kept as recalled"

    def _note_all(self, listed: list[Json], change: str, reason: str, letter: Json, at: Instant) -> None:
        for item in listed:
            match item:
                case {"id": str(name), "version": str(version), "digest": str(digest)}:
                    # What was stopped before stays as it was.
                    stop = _Stop(digest, change, reason, None if letter is None else str(letter), at)
                    self._stopped.setdefault(_tell(name, version), stop)
                case _:
                    continue


def _tell(name: str, version: str) -> _Version:
    try:
        return name, parse_instant(version)
    except MalformedError:
        return name, version
