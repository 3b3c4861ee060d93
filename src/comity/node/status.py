# SPDX-License-Identifier: Apache-2.0
"""Shell: how it stands with this node and with those it talks to, and what of that is wrong; nothing of any object.

All is read from what is kept as things happen: nobody is asked over the network, and no table is read from end to end.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from comity.agreement.work import WorkItem
from comity.ids import Instant, PartyId
from comity.node import cosigning, outbox, witness
from comity.node.cosigning import WitnessState
from comity.node.follow import Followed, list_followed
from comity.node.node import Node
from comity.node.parties import list_parties
from comity.node.sources import list_followed_sources
from comity.node.work import list_node_work
from comity.signing import Manifest
from comity.store import acknowledgements, backups, log, receipts
from comity.store.acknowledgements import StoredAcknowledgement
from comity.store.backups import StoredBackup
from comity.store.receipts import LatestReceipt, SeenLogs
from comity.tlog.origin import is_origin

__all__ = ["PartnerState", "Problem", "Status", "read_status"]

_HOUR: Final = 3_600_000_000
_BACKUP_AGE: Final = 7 * 24 * _HOUR
_MOST_BEHIND: Final = _HOUR
_LEAST_FREE: Final = 1024 * 1024 * 1024
_FEW_FAILURES: Final = 3
_CLOCK_SKEW: Final = 60_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong, why it is thought so, and what to do about it; `party` where it is about one."""

    kind: str
    why: str
    act: str
    since: Instant | None = None
    party: PartyId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerState:
    """How it stands with one partner.

    `in_step_at` is since when it had nothing more of the channel that is longest behind, `taken_at` when something came
    in last. `given` is the number of the last disclosure to it; `acknowledged` what it says to know of those,
    `acknowledging` what this party said last of its own. `messages` wait for it.
    """

    manifest: Manifest
    url: str | None
    channels: int
    in_step_at: Instant | None
    taken_at: Instant | None
    receipt: LatestReceipt | None
    given: int
    acknowledged: StoredAcknowledgement | None
    acknowledging: StoredAcknowledgement | None
    seen: SeenLogs | None
    forked: bool
    messages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The node as it is at this moment; `problems` are the worst first."""

    at: Instant
    problems: Sequence[Problem]
    own: Manifest
    origin: str
    house: int
    entries: int
    store_bytes: int
    free_bytes: int
    backup: StoredBackup | None
    messages: int
    partners: Sequence[PartnerState]


def read_status(node: Node) -> Status:
    """How it stands now.

    Raises:
        UnavailableError, CorruptionError: the store cannot be read.
    """
    now = node.clock()
    followed = [*list_followed(node), *list_followed_sources(node)]
    waiting = {item.party: item.messages for item in outbox.list_waiting(node)}
    known = list_parties(node)
    forks = [one.origin for one in witness.list_evidence(node.store)]
    by_giver = defaultdict[str, list[Followed]](list)
    for item in followed:
        by_giver[item.giver].append(item)
    with node.store.read() as transaction:
        said = {(item.party, item.sent): item for item in acknowledgements.list_acknowledgements(transaction)}
        seen = receipts.sum_seen(transaction)
        made = backups.list_backups(transaction)
        partners = [
            PartnerState(
                manifest=item.manifest,
                url=item.url,
                receipt=receipts.read_latest(transaction, party),
                given=log.read_sequence(transaction, party),
                acknowledged=said.get((party, False)),
                acknowledging=said.get((party, True)),
                seen=seen.get(party),
                forked=any(is_origin(origin, party) for origin in forks),
                messages=waiting.get(party, 0),
                channels=len(open_channels := [each for each in by_giver[party] if each.closed is None]),
                in_step_at=_find_last_step(open_channels),
                taken_at=max(
                    (at for each in by_giver[party] if (at := each.progress.taken_at) is not None), default=None
                ),
            )
            for item in known
            for party in [item.manifest.party]
            if party != node.party
        ]
        house, entries = log.read_size(transaction), log.count_entries(transaction)
    stored = sum(path.stat().st_size for path in node.folder.glob("store.db*") if path.is_file())
    free = shutil.disk_usage(node.folder).free
    problems = [
        *_find_forks(forks),
        *_find_disk(node, free=free, stored=stored),
        *map(_describe_work, list_node_work(node)),
        *_find_backup(made, entries=entries, now=now),
        *_find_behind(followed, on=node.settings.follow.on, now=now),
        *_find_witnesses(cosigning.list_states(node)),
    ]
    return Status(
        at=now,
        problems=problems,
        own=next(item.manifest for item in known if item.manifest.party == node.party),
        origin=node.origin,
        house=house,
        entries=entries,
        store_bytes=stored,
        free_bytes=free,
        backup=made[0] if made else None,
        messages=sum(waiting.values()),
        partners=partners,
    )


def _find_last_step(channels: Sequence[Followed]) -> Instant | None:
    """Since when the channel that is longest behind was told to have nothing more; None: one never was."""
    steps = [item.progress.in_step_at for item in channels]
    known = [step for step in steps if step is not None]
    return min(known) if known and len(known) == len(steps) else None


def _describe_work(item: WorkItem) -> Problem:
    return Problem(kind=item.kind.value, why=item.why, act=item.act, since=item.since, party=item.party)


def _find_forks(forks: Sequence[str]) -> Iterator[Problem]:
    for origin in dict.fromkeys(forks):
        yield Problem(
            kind="evidence",
            why=f"the log {origin} was shown in two histories that cannot both be its own",
            act="stop, and show the evidence to its party and to others: witness list names the file",
        )


def _find_disk(node: Node, *, free: int, stored: int) -> Iterator[Problem]:
    machine, own = node.read_machine_clock(), node.clock()
    if machine < own - _CLOCK_SKEW:
        yield Problem(
            kind="clock",
            why="the clock of this machine is behind the last entry of the log",
            act="set the clock; until it has passed that time the node goes on at it",
            since=own,
        )
    if free < max(_LEAST_FREE, stored):
        yield Problem(
            kind="disk",
            why=f"{free // 2**20} MiB are free where the store of {stored // 2**20} MiB lies",
            act="make room: a node without room takes in and gives nothing, and a backup needs as much as the store",
        )


def _find_backup(made: Sequence[StoredBackup], *, entries: int, now: Instant) -> Iterator[Problem]:
    if entries and not made:
        yield Problem(
            kind="backup",
            why="no backup of this node is on record here",
            act="make one, on another disk: comity backup DIR",
        )
    elif made and made[0].made_at < now - _BACKUP_AGE:
        yield Problem(
            kind="backup",
            why=f"the last backup is {(now - made[0].made_at) // (24 * _HOUR)} days old",
            act="make one, on another disk: comity backup DIR",
            since=made[0].made_at,
        )


def _find_behind(followed: Sequence[Followed], *, on: bool, now: Instant) -> Iterator[Problem]:
    """Channels that fail, or that nobody has asked for in a while; one for each giver."""
    told = set[str]()
    for item in followed:
        progress, last = item.progress, item.progress.in_step_at
        failing = progress.failures >= _FEW_FAILURES and progress.problem is not None
        behind = on and last is not None and last < now - _MOST_BEHIND and (progress.paused_until or 0) <= now
        if item.closed is not None or item.giver in told or not (failing or behind):
            continue
        told.add(item.giver)
        yield Problem(
            kind="follow",
            why=f"{progress.failures} tries in a row have failed: {progress.problem}"
            if failing
            else "it was not asked for over an hour",
            act=f"see that the node of {item.giver} answers, then pull: comity pull {item.giver}"
            if failing
            else "see that `comity serve` runs: it follows by itself",
            since=last,
            party=PartyId(item.giver),
        )


def _find_witnesses(states: Sequence[WitnessState]) -> Iterator[Problem]:
    for state in states:
        problem = state.witness.problem or (state.problem[1] if state.problem else None)
        if problem is not None:
            yield Problem(
                kind="witness",
                why=f"{state.witness.name} does not cosign: {problem}",
                act="see that it is reached; partners who ask for its cosignature take nothing in without it",
                since=state.problem[0] if state.problem else None,
                party=state.witness.party,
            )
