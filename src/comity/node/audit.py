# SPDX-License-Identifier: Apache-2.0
"""Shell: a node's log and store read whole: does everything fit, and was every disclosure decided as it had to be.

    audit_folder(Path("aurelia"))

 1. the log: entries, openings, tiles, checkpoints, sequence numbers (`comity.audit`);
 2. each disclosure: decided again (`comity.replay`), and what lies beside the log held against it (`node.beside`);
 3. each agreement: every signature verified again, each event held against the log (`comity.certificate`);
 4. the figures (`comity.report`).

Nothing is written and no lock is taken: it works on a copy, and while the node is served. The first step ends the audit
where something does not fit; of the others every problem is kept, up to a bound.

Not here: whether the file is sound, and what lies in it of which the log says nothing (`node.soundness`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from comity.agreement.events import CARRIES_TERMS
from comity.certificate import Certificate, LoggedEvent
from comity.config import load_settings
from comity.errors import ComityError
from comity.ids import AgreementId, Digest, Instant, PartyId
from comity.node.beside import Beside
from comity.node.certificate import gather_evidence, verify_evidence
from comity.node.journal import VerifiedLog, verify_folder
from comity.node.keyaudit import Trusted
from comity.node.parties import read_node_key
from comity.node.records import StoredRecords
from comity.node.waiving import Waiver, verify_waivers
from comity.release.disclosure import EntryType, Leaf, parse_leaf
from comity.replay import Replay
from comity.replayed import Judged, ReplayedEntry
from comity.report import Given, Tally
from comity.store import SqliteStore, Transaction, agreements, arrivals, log, logs
from comity.store.arrivals import Taken
from comity.tlog.origin import find_token

__all__ = ["AgreementAudit", "Audit", "Finding", "audit_folder"]

_CHUNK = 500
_MOST_FINDINGS = 1_000
_SKEW = 60_000_000
_AHEAD = "it is dated later than the clock of this audit: one of the two was wrong, and what is due by date follows it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What does not fit: of an entry by its position, of an agreement by its id, or (both None) of neither."""

    entry: int | None
    agreement: AgreementId | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementAudit:
    """One agreement: its state by what is on record, how much was verified of it, and its events in the time asked."""

    id: AgreementId
    title: str
    parties: tuple[PartyId, ...]
    state: str
    checked: int
    events: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What came of it. `decided` disclosures were decided again, `open` counts why not all of it could be told.

    `trusted` are the manifests on which everything about each party rests, `unverified` is how many cosignatures are by
    keys that are not known here. `found` is how many findings there are, of which `findings` has the first. `since` and
    `until` bound the figures alone: everything is verified.
    """

    party: PartyId
    at: Instant
    since: Instant | None
    until: Instant | None
    log: VerifiedLog
    decided: int
    open: Mapping[str, int]
    found: int
    findings: tuple[Finding, ...]
    agreements: tuple[AgreementAudit, ...]
    given: tuple[Given, ...]
    taken: tuple[Taken, ...]
    waived: tuple[Waiver, ...]
    trusted: tuple[Trusted, ...]
    unverified: int
    kinds: Mapping[EntryType, int]


@dataclass(slots=True)
class _Findings:
    """The first findings, and how many there are."""

    count: int = 0
    kept: list[Finding] = field(default_factory=list)

    def add(self, problem: str, *, entry: int | None = None, agreement: AgreementId | None = None) -> None:
        self.count += 1
        if len(self.kept) < _MOST_FINDINGS:
            self.kept.append(Finding(entry=entry, agreement=agreement, problem=problem))

    def add_all(self, problems: Iterable[tuple[int | None, str]]) -> None:
        """Each behind the position of its entry; None where it is of none."""
        for entry, problem in problems:
            self.add(problem, entry=entry)


def audit_folder(
    folder: Path,
    *,
    now: Instant,
    digest: Digest | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    tell: Callable[[int, int], object] = lambda _done, _of: None,
) -> Audit:
    """What came of an audit of the node in `folder`, its own or a copy.

    `digest` is that of the party's manifest, from wherever the reader has it. `tell` is called with how many entries of
    how many were decided again.

    Raises:
        NotFoundError: no node there.
        LogMismatch: the log does not fit together; names the entry.
        CorruptionError: the file is not even a database.
    """
    verified = verify_folder(folder, digest=digest)
    party, clock = load_settings(folder).party, now
    findings, tally, skipped = _Findings(), Tally(since=since, until=until), Counter[str]()
    with closing(SqliteStore.inspect(folder / "store.db")) as store, store.read() as transaction:
        beside = Beside(transaction, load_settings(folder))
        records = StoredRecords(transaction, folder, party, beside)
        replay = Replay(party, records, key=read_node_key(transaction))
        of = _name_logs(transaction, verified, findings)
        logged: dict[AgreementId, list[LoggedEvent]] = {}
        decided = 0
        for entry, read in _read_entries(transaction):
            if read.leaf.type is EntryType.AGREEMENT_EVENT:
                _note_event(logged, records, entry, read.leaf)
            # All that the store holds in this view: what has come in since has its letters here too.
            findings.add_all(beside.judge(read))
            if entry.position >= verified.size:
                continue  # it has come in since the log was verified, and is of the next audit
            now = max(now, read.leaf.at)  # the clock of this machine may be behind that of the log
            judged = _hold_against_log(replay.judge(read), of.get(entry.number))
            tally.note(read.leaf)
            if judged is not None:
                decided += judged.disclosure is not None
                skipped[_AHEAD] += read.leaf.at > clock + _SKEW
                _note(judged, findings, tally, skipped)
            if not entry.position % _CHUNK:
                tell(entry.position, verified.size)
        findings.add_all(beside.finish())
        told = tuple(
            _audit_agreement(transaction, agreement, logged.get(agreement, []), findings, tally, party=party, now=now)
            for agreement in agreements.list_agreements(transaction)
        )
        taken = tuple(arrivals.count_taken(transaction, since=since, until=until))
        waived, wrong = verify_waivers(transaction)
        findings.add_all(wrong)
    return Audit(
        party=party,
        at=now,
        since=since,
        until=until,
        log=verified,
        decided=decided,
        open={why: count for why, count in skipped.most_common() if count},
        found=findings.count,
        findings=tuple(findings.kept),
        agreements=tuple(item for item in told if item is not None),
        given=tally.given(),
        taken=taken,
        waived=tuple(waived),
        trusted=beside.keys.trusted,
        unverified=beside.unverified,
        kinds=tally.kinds(),
    )


def _name_logs(transaction: Transaction, verified: VerifiedLog, findings: _Findings) -> dict[int, AgreementId]:
    """The agreement of each log by its number, as the entry that opened it says; where the table differs is found.

    A log that was opened since the others were verified is of the next audit.
    """
    opened = {find_token(each.origin): each for each in verified.logs}
    found = dict[int, AgreementId]()
    for each in logs.list_logs(transaction):
        said = opened.get(each.token)
        if said is None:
            continue
        found[each.number] = said.agreement
        if (said.agreement, said.recipient) != (each.agreement, each.recipient):
            findings.add(f"the log {said.origin} is kept as another one than the entry says that opened it")
    return found


def _hold_against_log(judged: Judged | None, agreement: AgreementId | None) -> Judged | None:
    """The judgement, with a problem more where the disclosure is in the log of another agreement than its terms."""
    if judged is None or agreement is None or judged.agreement is None or judged.agreement.id == agreement:
        return judged
    said = f"it is in the log of what is given under {agreement}"
    return replace(judged, problems=(*judged.problems, said))


def _note(judged: Judged, findings: _Findings, tally: Tally, skipped: Counter[str]) -> None:
    agreement = None if judged.agreement is None else judged.agreement.id
    for problem in judged.problems:
        findings.add(problem, entry=judged.position, agreement=agreement)
    skipped.update(judged.open)
    if judged.leaf.type is EntryType.DISCLOSURE:
        tally.add(judged)


def _note_event(
    logged: dict[AgreementId, list[LoggedEvent]], records: StoredRecords, entry: "_Stored", leaf: Leaf
) -> None:
    found = None if leaf.terms is None else records.find_agreement(leaf.terms)
    if found is not None:
        opening = None if entry.opening is None else (entry.opening.salt, entry.opening.content)
        event = LoggedEvent(position=entry.place, leaf=entry.leaf, opening=opening)
        logged.setdefault(found.id, []).append(event)


def _audit_agreement(
    transaction: Transaction,
    agreement: AgreementId,
    logged: list[LoggedEvent],
    findings: _Findings,
    tally: Tally,
    *,
    party: PartyId,
    now: Instant,
) -> AgreementAudit | None:
    """The agreement with every signature of it verified again; None where nothing of it can be read."""
    try:
        evidence = gather_evidence(transaction, agreement, at=now, logged=tuple(logged))
        certificate = verify_evidence(evidence, now=now)
    except ComityError as error:
        findings.add(f"what is on record of it cannot be read: {error.detail}", agreement=agreement)
        return None
    said = [entry.event for entry in certificate.entries if entry.event is not None]
    signed = {event.terms for event in said if event.party == party and event.kind in CARRIES_TERMS}
    for check in certificate.problems:
        # Whatever others propose, what this party has not signed is nothing that it gave by.
        if check.terms is None or check.terms in signed:
            findings.add(f"{check.covers}: {check.problem}", agreement=agreement)
    standing = certificate.standing
    terms = standing.current or standing.latest
    return AgreementAudit(
        id=agreement,
        title=terms.title,
        parties=tuple(sorted(standing.members | terms.founders)),
        state=standing.state.value,
        checked=len(certificate.checks),
        events=_count_events(certificate, tally),
    )


def _count_events(certificate: Certificate, tally: Tally) -> dict[str, int]:
    said = [entry.event for entry in certificate.entries if entry.event is not None and tally.spans(entry.recorded_at)]
    return dict(sorted(Counter(event.kind.value for event in said).items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    position: int
    number: int
    place: int
    leaf: bytes
    opening: log.Opening | None


def _read_entries(transaction: Transaction) -> Iterator[tuple[_Stored, ReplayedEntry]]:
    """Every entry, as it lies there and as it is replayed."""
    size = log.count_entries(transaction)
    for start in range(0, size, _CHUNK):
        stop = min(start + _CHUNK, size)
        openings = log.read_openings(transaction, start, stop)
        grounds = log.read_grounds(transaction, start, stop)
        places = log.read_places(transaction, start, stop)
        for position, leaf in log.read_entries(transaction, start, stop):
            opening = openings.get(position)
            yield (
                _Stored(
                    position=position,
                    number=places[position][0],
                    place=places[position][1],
                    leaf=leaf,
                    opening=opening,
                ),
                ReplayedEntry(
                    position=position,
                    leaf=parse_leaf(leaf),
                    content=None if opening is None else opening.content,
                    listing=b"" if opening is None else opening.listing,
                    grounds=grounds.get(position),
                ),
            )
