# SPDX-License-Identifier: Apache-2.0
"""Shell: recalls of partners, and their acknowledgements: what is done here, what is passed on, what is answered.

A recall of what its sender gave under that agreement stops it here in the transaction that takes the letter, and in
the same one letters go to everybody to whom this party had passed it on, under its own agreements, in its own words: no
letter tells of another agreement, of the first giver, or of another holder. Nobody but who gave something may recall
it; a recall by anybody else is answered as one of what was never held, and shown to people here.

What becomes of it, version by version:

 - somebody decided to keep the object (`recall_hold`): it stays, and is given to nobody;
 - a correction: deleted once a newer version is held;
 - a withdrawal, under terms that set no review (`retention`): deleted in the same transaction;
 - under terms that do: work for people, who decide to keep it or let it be deleted; by the date in `response_times`, or
   after two weeks, it is deleted.

The acknowledgement is sent at once, and again with each stage that is reached (`letters.recall.Stage`). Whoever is told
first is answered by all it told: a second recall of the same thing, along another way, waits for nobody.

What this party took in by itself is not recalled by a partner that gave the same: that it came from there too is
struck out. Nor is what clashes with what a partner gave. Both are spared, and the partner hears what it would hear if
it alone had given it: else a recall would tell that the object is held here from elsewhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from comity.errors import CorruptionError, NotFoundError
from comity.ids import Digest, Instant, ObjectId
from comity.letters.bodies import LetterKind
from comity.letters.letter import Draft, Letter
from comity.letters.recall import Change, Outcome, Recall, RecallAcknowledgement, Result, Stage
from comity.node.letters import send_letter
from comity.node.node import Act, Node
from comity.node.retention import delete_versions
from comity.node.standing import Dossier
from comity.node.withdrawal import DECISION_TIME, PASSED_ON, Demand, find_given, judge_all_stopped, may_wait, stop, tell
from comity.stix.markings import TLP_IDS
from comity.store import Transaction, agreements, arrivals, deletions, letters, objects, recalls
from comity.store.arrivals import Arrival
from comity.store.deletions import Tombstone, Way
from comity.store.letters import Filed, LetterState, StoredLetter
from comity.store.objects import StoredObject
from comity.store.recalls import Recalled

__all__ = [
    "DECISION_TIME",
    "find_deadline",
    "is_recallable",
    "settle",
    "settle_due",
    "take_acknowledgement",
    "take_recall",
]


_LOOKED_AT = 256 * 1024
"""Bytes of letters that wait and are looked at in one go: a partner can have very many wait."""


@dataclass(slots=True)
class _Matched:
    """What of a letter is held or was held as given by its sender.

    `stopped` is to be stopped and passed on, `own` are keys of what this party holds by itself too. `spared` are places
    of results that only the sender hears. `foreign` says that something of it is held that its sender did not give.
    """

    results: list[Result] = field(default_factory=list)
    stopped: list[Recalled] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    spared: set[int] = field(default_factory=set)
    foreign: bool = False


def take_recall(node: Node, act: Act, letter: Letter, body: Recall, dossier: Dossier) -> None:
    """A recall, on record already: stopped, passed on, and answered."""
    transaction = act.transaction
    texts = {terms.hash for terms in dossier.versions}
    matched = _match(act, letter, body, texts)
    recalls.put_results(transaction, letter.digest, matched.results, spared=matched.spared, now=act.now)
    arrivals.strike(transaction, matched.own, giver=letter.sender, terms=texts)
    if matched.stopped:
        # What was recalled before was told of then: by the letter that told of it, its receivers answer.
        before = recalls.read_recalled(transaction, {item.id for item in matched.stopped})
        known = {(item.id, item.version_at) for items in before.values() for item in items}
        fresh = [item for item in matched.stopped if (item.id, item.version_at) not in known]
        stop(act, matched.stopped, change=body.change, reason=body.reason, letter=letter.digest, terms=letter.terms)
        wanted: dict[ObjectId, set[Instant]] = {}
        for item in fresh:
            wanted.setdefault(item.id, set()).add(item.version_at)
        onward = Recall(change=body.change, reason=PASSED_ON[body.change], newer=body.newer)
        tell(node, act, find_given(transaction, wanted), onward, because=letter.digest)
    refused = matched.foreign and all(result.outcome is Outcome.ABSENT for result in matched.results)
    if refused:
        letters.settle_letter(transaction, letter.digest, LetterState.REFUSED, progress=None, answered_by=None)
    settle(node, act, letter.digest)


def is_recallable(act: Act, letter: Letter) -> bool:
    """Whether the letter would stop something that its sender gave and that is not stopped yet."""
    if not isinstance(letter.body, Recall):
        return False
    texts = {name for name, _ in agreements.read_texts(act.transaction, letter.agreement)}
    matched = _match(act, letter, letter.body, texts)
    known = recalls.read_recalled(act.transaction, {item.id for item in matched.stopped})
    return any(item.version_at not in {one.version_at for one in known.get(item.id, ())} for item in matched.stopped)


def take_acknowledgement(node: Node, act: Act, letter: Letter, body: RecallAcknowledgement) -> None:
    """An acknowledgement of a recall that this party sent: how far its receiver is; one that says less changes nothing.

    Raises:
        NotFoundError: what it answers is no recall, or was about something else.
    """
    answered = None if letter.answers is None else letters.read_letter(act.transaction, letter.answers)
    if answered is None or answered.letter.kind is not LetterKind.RECALL or answered.letter.about != letter.about:
        raise NotFoundError("it acknowledges what was not recalled")
    letters.settle_letter(act.transaction, letter.digest, LetterState.CLOSED, progress=body.stage, answered_by=None)
    if answered.progress is not None and Stage(answered.progress).rank >= body.stage.rank:
        return
    state = LetterState.CLOSED if body.stage is Stage.DONE else LetterState.ANSWERED
    letters.settle_letter(
        act.transaction, answered.letter.digest, state, progress=body.stage, answered_by=letter.digest
    )
    cause = None if answered.because is None else letters.read_letter(act.transaction, answered.because)
    if cause is not None and cause.letter.kind is LetterKind.RECALL:  # else a consent was revoked (`node.consented`)
        settle(node, act, cause.letter.digest)


def settle_due(node: Node) -> int:
    """Of how many recalls something was settled because its time had come, or because of what came in meanwhile.

    What is past its date comes first, and then the letters behind those of the last time, as far as one look goes.
    """
    with node.store.read() as transaction:
        now, last = node.clock(), recalls.read_passed(transaction)
        late = letters.list_late(
            transaction, LetterKind.RECALL, now=now, undated=Instant(now - DECISION_TIME), most=_LOOKED_AT
        )
        others, passed = letters.list_open(transaction, LetterKind.RECALL, after=last, most=_LOOKED_AT)
        waiting = (letters.read_letter(transaction, digest) for digest in dict.fromkeys([*late, *others]))
        due = [item.letter.digest for item in waiting if item is not None and _is_due(transaction, item, now=now)]
    if passed != last:
        with node.act() as act:
            recalls.mark_passed(act.transaction, passed)
    for digest in due:
        with node.act() as act:
            settle(node, act, digest)
    return len(due)


def settle(node: Node, act: Act, digest: Digest) -> None:
    """The recall that came as `digest`: what can be settled is, and its sender is told of a stage that is reached."""
    transaction = act.transaction
    stored = letters.read_letter(transaction, digest)
    if stored is None or not isinstance(stored.letter.body, Recall):
        raise CorruptionError("a letter of recall is missing from the store; restore a backup")
    before = recalls.read_results(transaction, digest)
    judged = [*_judge(transaction, stored, before, now=act.now)]
    settled = {place: result for place, result, _ in judged if result.outcome is not Outcome.STOPPED}
    doomed = [version for _, _, version in judged if version is not None]
    if doomed:
        delete_versions(act, doomed, reason=f"recalled by {stored.letter.sender}", by=None)
    recalls.settle_results(transaction, digest, settled, now=act.now)
    results = [settled.get(place, result) for place, result in enumerate(before)]
    stage = _find_stage(transaction, digest, results)
    if stored.progress is not None and Stage(stored.progress).rank >= stage.rank:
        return
    draft = Draft(
        body=RecallAcknowledgement(stage=stage, results=tuple(results)),
        to=stored.letter.sender,
        agreement=stored.letter.agreement,
        terms=stored.letter.terms,
        about=stored.letter.about,
        answers=digest,
    )
    answer = send_letter(node, act, draft)
    state = stored.state if stored.state is LetterState.REFUSED else _STATES[stage]
    letters.settle_letter(transaction, digest, state, progress=stage, answered_by=answer.digest)


_STATES = {Stage.STOPPED: LetterState.OPEN, Stage.SETTLED: LetterState.ANSWERED, Stage.DONE: LetterState.CLOSED}


def find_deadline(stored: StoredLetter | Filed) -> Instant:
    """When what nobody has decided on is deleted."""
    return stored.due_at if stored.due_at is not None else Instant(stored.recorded_at + DECISION_TIME)


def _find_stage(transaction: Transaction, digest: Digest, results: Sequence[Result]) -> Stage:
    if any(result.outcome is Outcome.STOPPED for result in results):
        return Stage.STOPPED
    told = [item for item in letters.list_caused(transaction, digest) if item.letter.kind is LetterKind.RECALL]
    return Stage.DONE if all(item.state is LetterState.CLOSED for item in told) else Stage.SETTLED


def _is_due(transaction: Transaction, stored: StoredLetter, *, now: Instant) -> bool:
    results = recalls.read_results(transaction, stored.letter.digest)
    judged = _judge(transaction, stored, results, now=now)
    return any(result.outcome is not Outcome.STOPPED for _, result, _ in judged)


def _judge(
    transaction: Transaction, stored: StoredLetter, results: Sequence[Result], *, now: Instant
) -> Iterator[tuple[int, Result, StoredObject | None]]:
    """What becomes now of each version that was stopped, with its place, and which is to be deleted for that."""
    body = stored.letter.body
    assert isinstance(body, Recall)  # noqa: S101 (whoever asks has read that it is one)
    letter = stored.letter
    demand = Demand(change=body.change, terms=letter.terms, due_at=find_deadline(stored))
    stopped: dict[ObjectId, dict[int, Digest]] = {}
    for place, (about, result) in enumerate(zip(letter.about, results, strict=True)):
        if result.outcome is Outcome.STOPPED:
            stopped.setdefault(about.id, {})[place] = about.digest
    spared = recalls.read_spared(transaction, letter.digest)
    before = _read_spared_before(transaction, letter) if spared else {}
    for name, places in stopped.items():
        given = _list_given(transaction, letter, name) if body.change is Change.CORRECT else {}
        newest = max((at for at, came in given.values() if came), default=None)
        for place in spared & places.keys():
            digest = places.pop(place)
            at, _ = given.get(digest, (None, False))
            ended = before[name, digest]
            yield place, _judge_spared(transaction, demand, at, newest, ended=ended, now=now), None
        judged = judge_all_stopped(transaction, name, [*places.values()], demand, newest=newest, now=now)
        for place, (result, version) in zip(places, judged, strict=True):
            yield place, result, version


def _list_given(transaction: Transaction, letter: Letter, name: ObjectId) -> dict[Digest, tuple[Instant, bool]]:
    """The time of each version of the object that is held or clashed, and whether the letter's sender gave it."""
    versions = objects.read_versions_of(transaction, [name])
    came = arrivals.read_arrivals(transaction, [item.pk for item in versions])
    givers = {item.pk: {way.giver for way in came.get(item.pk, ())} for item in versions}
    given = {item.digest: (item.version_at, letter.sender in givers[item.pk]) for item in versions}
    clashed = recalls.read_clashed(transaction, [name], giver=letter.sender)
    return given | {digest: (at, True) for (_, digest), at in clashed.items()}


def _read_spared_before(transaction: Transaction, letter: Letter) -> dict[tuple[ObjectId, Digest], bool]:
    ids = {about.id for about in letter.about}
    return recalls.read_spared_before(transaction, ids, giver=letter.sender, agreement=letter.agreement)


def _judge_spared(
    transaction: Transaction,
    demand: Demand,
    at: Instant | None,
    newest: Instant | None,
    *,
    ended: bool,
    now: Instant,
) -> Result:
    """What the sender hears of a version of the time `at`: what would become of it if it alone had given it.

    `ended`: it has heard before that nothing of it is held any more.
    """
    if ended:
        return Result(outcome=Outcome.DELETED)
    if demand.change is Change.CORRECT and at is not None and newest is not None and newest > at:
        return Result(outcome=Outcome.REPLACED)
    return Result(outcome=Outcome.STOPPED if may_wait(transaction, demand, now=now) else Outcome.DELETED)


def _match(act: Act, letter: Letter, body: Recall, texts: set[Digest]) -> _Matched:
    """What of the letter was given by its sender under its agreement, version by version."""
    ids = {about.id for about in letter.about}
    versions = objects.read_versions_of(act.transaction, ids)
    held = {(item.id, item.digest): item for item in versions}
    came = arrivals.read_arrivals(act.transaction, [item.pk for item in versions])
    stones = deletions.read_tombstones(act.transaction, ids)
    gone = {(stone.id, stone.digest): stone for listed in stones.values() for stone in listed}
    before = deletions.read_ways(act.transaction, ids)
    # What was deleted is recalled by each that gave it, also where it is held again.
    given = {
        *(place for place, item in held.items() if _gave(came.get(item.pk, ()), letter, texts)),
        *(place for place, stone in gone.items() if _gave(before.get((stone.id, stone.version_at), ()), letter, texts)),
    }
    # Other bytes of a version that was kept clash with that, whoever else gave it.
    kept = {(name, (held.get((name, digest)) or gone[name, digest]).version_at) for name, digest in given}
    first = recalls.read_clashed(act.transaction, ids, giver=letter.sender, terms=texts)
    clashed = {place for place, at in first.items() if (place[0], at) not in kept}
    # What was spared before is spared again, though that it had come from there is struck out by now.
    clashed |= _read_spared_before(act.transaction, letter).keys()
    recalled = recalls.read_recalled(act.transaction, ids)
    matched = _Matched()
    for number, about in enumerate(letter.about):
        place = about.id, about.digest
        version, stone = held.get(place), gone.get(place)
        if version is not None and place in given and (version.received_under is None or version.id in TLP_IDS):
            matched.own.append(version.pk)
            matched.spared.add(number)
            matched.results.append(Result(outcome=Outcome.STOPPED))
        elif version is not None and place in given:
            matched.stopped.append(_describe(act, letter, body, version))
            matched.results.append(Result(outcome=Outcome.STOPPED))
        elif version is None and stone is not None and place in given:
            matched.stopped.append(_describe(act, letter, body, stone))
            matched.results.append(Result(outcome=Outcome.DELETED))
        elif place in clashed:
            matched.spared.add(number)
            matched.results.append(Result(outcome=Outcome.STOPPED))
        else:
            matched.results.append(Result(outcome=Outcome.ABSENT))
            # What this party has recalled itself comes back to it as a recall by whoever had given it back.
            known = {item.version_at for item in recalled.get(about.id, ())}
            matched.foreign |= version is not None and version.version_at not in known
    return matched


def _gave(ways: Iterable[Arrival | Way], letter: Letter, texts: set[Digest]) -> bool:
    return any(way.giver == letter.sender and way.terms in texts for way in ways)


def _describe(act: Act, letter: Letter, body: Recall, item: StoredObject | Tombstone) -> Recalled:
    return Recalled(
        id=item.id,
        version_at=item.version_at,
        version=item.version,
        digest=item.digest,
        change=body.change,
        newer=body.newer,
        reason=body.reason,
        letter=letter.digest,
        recalled_at=act.now,
    )
