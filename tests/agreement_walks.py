# SPDX-License-Identifier: Apache-2.0
"""Parties that negotiate, each by its own record: every move is one that `check_event` lets it make.

walk       at random: messages travel in any order and late, so that moves cross on the way
situations one by one: how the version that counts stands, what is proposed beside it, who holds a lock
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product

from comity.agreement.events import CARRIES_TERMS, Event, EventKind
from comity.agreement.lifecycle import Standing, compute_standing
from comity.agreement.moves import check_event
from comity.agreement.terms import Terms, parse_terms
from comity.agreement.transitions import State
from comity.canonical import Json, canonical_bytes
from comity.errors import MalformedMessage, TransitionError
from comity.ids import Instant, PartyId, parse_instant
from tests.agreement_strategies import GROUP, TAVRIA, TAVRIA_MANIFEST, event, join, sign_all
from tests.parties import AURELIA, BOREALIA, MERIDIA, make_terms

__all__ = ["Step", "Tick", "find_situations", "list_steps", "list_ticks", "walk"]

Step = tuple[State, EventKind, State]
"""What a party stood at, what it said, and where that led by its own record."""

Tick = tuple[State, State]
"""Where time alone led."""

Move = tuple[Event, Terms]
Parties = tuple[PartyId, ...]

_TIMES = tuple(parse_instant(f"{day}T00:00:00Z") for day in ("2026-02-01", "2026-05-15", "2026-09-01"))
_LIKELY = frozenset({EventKind.ACCEPT, EventKind.CONFIRM, EventKind.ADMIT, EventKind.ACCEDE})
_PAIR, _TRIO = (AURELIA, BOREALIA), (AURELIA, BOREALIA, MERIDIA)
_FIRST, _LAST = "2026-01-01T00:00:00.000000Z", "2036-01-01T00:00:00.000000Z"
_APRIL, _MAY, _AUGUST = (f"2026-{month}-01T00:00:00.000000Z" for month in ("04", "05", "08"))
_CHOICES = (
    (_FIRST, _LAST, _FIRST, _LAST),
    (_FIRST, _AUGUST, _FIRST, _LAST),
    (_MAY, _LAST, _FIRST, _LAST),
    (_FIRST, _LAST, _FIRST, _MAY),
    (_FIRST, _LAST, _MAY, _LAST),
    (_MAY, _LAST, _FIRST, _APRIL),
)
"""How one text differs from another: its validity, and that of the basis of its first party."""

_MOMENTS = (
    (_TIMES[0], _TIMES[2]),
    (_TIMES[0], _TIMES[2]),
    *([(_TIMES[0], _TIMES[1])] * 4),
)
"""For each of them: before and after what time does to it."""


def list_moves(party: PartyId, standing: Standing | None, texts: Iterable[Terms], *, at: Instant) -> Iterator[Move]:
    """What `party` may say at the time `at`; `texts` are those it could propose next."""
    for move in _try(party, standing, texts, at=at):
        try:
            check_event(standing, *move)
        except (TransitionError, MalformedMessage):
            continue
        yield move


def _try(party: PartyId, standing: Standing | None, texts: Iterable[Terms], *, at: Instant) -> Iterator[Move]:
    for text in texts:
        for kind in (EventKind.PROPOSE, EventKind.COUNTER):
            yield event(kind, party, text, at=at), text
    if standing is None:
        return
    latest, counts = standing.latest, standing.current or standing.latest
    for kind in (EventKind.ACCEPT, EventKind.REJECT, EventKind.WITHDRAW, EventKind.CLARIFY):
        yield event(kind, party, latest, at=at), latest
    for kind in (EventKind.SUSPEND, EventKind.TERMINATE, EventKind.LEAVE, EventKind.CONFIRM):
        yield event(kind, party, counts, at=at), counts
    yield event(EventKind.SUSPEND, party, counts, at=at, channel=counts.channels[0].id), counts
    for lock in standing.locks:
        yield event(EventKind.RESUME, party, counts, at=at, re=lock.event), counts
    for question in standing.open_questions:
        yield event(EventKind.ANSWER, party, latest, at=at, re=question.digest), latest
    yield event(EventKind.ADMIT, party, counts, at=at, joiner=TAVRIA, manifest=TAVRIA_MANIFEST), counts
    yield replace(join(counts, by=())[0], party=party), counts


# --- at random --------------------------------------------------------------------------------------------------------


@dataclass
class _View:
    """What one party has on record."""

    party: PartyId
    versions: dict[str, Terms] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)

    def standing(self, now: Instant) -> Standing | None:
        if not self.versions:
            return None
        return compute_standing([*self.versions.values()], [*self.events.values()], now=now)

    def take(self, move: Move) -> None:
        """Record the message, as a node does: one without a text waits until there is one."""
        said, terms = move
        if said.kind in CARRIES_TERMS:
            self.versions[terms.hash] = terms
        if self.versions:
            self.events[said.digest] = said


def walk(seed: int, *, steps: int = 40) -> Iterator[Step | Tick]:
    """What happened in one negotiation between two to four parties; the same for the same seed."""
    dice = random.Random(seed)
    founders = dice.choice((_PAIR, _TRIO))
    views = [_View(party) for party in (*founders, *((TAVRIA,) if founders == _TRIO else ()))]
    sent = list[Move]()
    months = sorted(dice.choice(_TIMES) for _ in range(steps))
    for number, now in enumerate(months):
        if number:
            yield from _tick(views, months[number - 1], now)
        view = dice.choice(views)
        before = view.standing(now)
        texts = _draft_next(founders, before, dice.randrange(len(_CHOICES)), view.party)
        if before is None and view.party != founders[0]:
            texts = []  # one agreement to a walk: whoever comes first proposes it
        if moves := [*list_moves(view.party, before, texts, at=Instant(now + number))]:
            move = _choose(moves, dice)
            view.take(move)
            sent.append(move)
            after = view.standing(now)
            assert after is not None
            yield (State.DRAFT if before is None else before.state, move[0].kind, after.state)
        _send(views, founders, sent, dice)


def _tick(views: Sequence[_View], now: Instant, later: Instant) -> Iterator[Tick]:
    for view in views:
        before, after = view.standing(now), view.standing(later)
        if before is not None and after is not None and before.state is not after.state:
            yield (before.state, after.state)


def _send(views: Sequence[_View], founders: Parties, sent: Sequence[Move], dice: random.Random) -> None:
    """Some of the messages arrive; to a joiner none before somebody has admitted it."""
    admitted = any(said.kind is EventKind.ADMIT for said, _ in sent)
    for view in views:
        for message in sent:
            if (view.party in founders or admitted) and dice.random() < 0.4:
                view.take(message)


def _choose(moves: Sequence[Move], dice: random.Random) -> Move:
    """Signing and confirming more often than stopping: else nothing is ever in force."""
    likely = [move for move in moves if move[0].kind in _LIKELY]
    return dice.choice(likely if likely and dice.random() < 0.6 else moves)


def _draft_next(founders: Parties, standing: Standing | None, choice: int, author: str) -> list[Terms]:
    """The next text, which nobody else writes in the same words."""
    if standing is None:
        return [make_text(founders, choice=choice)]
    latest = standing.latest
    lineage = (latest.agreement_id, latest.hash, latest.version + 1)
    return [make_text(founders, lineage, choice=choice, author=author)]


@cache
def make_text(
    founders: Parties, lineage: tuple[str, str, int] | None = None, *, choice: int = 0, author: str = ""
) -> Terms:
    """A text of the parties, in one of the ways of _CHOICES; three of them are a group that can be joined."""
    value: dict[str, Json] = json.loads(make_terms(*founders).document)
    valid_from, valid_until, basis_from, basis_until = _CHOICES[choice]
    bases: list[dict[str, Json]] = json.loads(make_terms(*founders).document)["legal_bases"]
    value["legal_bases"] = [{**bases[0], "valid_from": basis_from, "valid_until": basis_until}, *bases[1:]]
    value["validity"] = {"from": valid_from, "until": valid_until}
    if founders == _TRIO:
        value |= {"structure": {"kind": "group", "accession": "any_member"}}
        value["channels"] = json.loads(GROUP.document)["channels"]
    if lineage is not None:
        agreement, supersedes, version = lineage
        value |= {"version": version, "agreement": agreement, "supersedes": supersedes}
    value["title"] = f"Exchange on Ashfall, {author or 'first'} text {choice}"
    return parse_terms(canonical_bytes(value))


# --- one by one -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Situation:
    """What is on record of one agreement, at one time."""

    founders: Parties
    versions: tuple[Terms, ...]
    said: tuple[Event, ...]

    def standing(self, now: Instant) -> Standing:
        return compute_standing(self.versions, self.said, now=now)


def list_steps(situation: Situation, now: Instant) -> Iterator[Step]:
    """Every move that any party may make now, and where it leads."""
    before = situation.standing(now)
    texts = [
        text
        for choice in range(len(_CHOICES))
        for text in _draft_next(situation.founders, before, choice, "the following")
    ]
    for party in (*situation.founders, TAVRIA):
        for said, terms in list_moves(party, before, texts, at=Instant(now + 1)):
            versions = (*situation.versions, *([terms] if said.kind in CARRIES_TERMS else []))
            after = compute_standing(versions, (*situation.said, said), now=now)
            yield before.state, said.kind, after.state


def list_ticks(situation: Situation) -> Iterator[Tick]:
    """Where time alone leads."""
    states = [situation.standing(now).state for now in _TIMES]
    for number, before in enumerate(states):
        yield from ((before, after) for after in states[number + 1 :] if after is not before)


def find_situations() -> Iterator[tuple[Situation, Instant]]:
    """How the version that counts stands, with what is proposed beside it, and with who holds a lock, at what time."""
    for founders, (choice, times) in product((_PAIR, _TRIO), enumerate(_MOMENTS)):
        head = make_text(founders, choice=choice)
        beside = _beside(founders, head)
        free, *locked = _locks(head)
        among = [*product(_signings(head), beside[:1], [free, *locked[:1]])]
        if choice == 0:
            among += [*product(_signings(head), beside, [free]), *product(_signings(head), beside[:4], locked)]
        if choice in {1, 3}:
            among += [*product(_signings(head), beside[1:6], [free, *locked[:1]])]
        for signed, (versions, more), held in among:
            situation = Situation(founders, (head, *versions), (*signed, *more, *held))
            yield from ((situation, now) for now in times)


def _signings(head: Terms) -> list[list[Event]]:
    """From proposed to in force, refused in each way, left by one, joined by a fourth."""
    first, second = sorted(head.founders)[:2]
    proposed = [event(EventKind.PROPOSE, first, head)]
    whole = sign_all(head)
    signed = [one for one in whole if one.kind is not EventKind.CONFIRM]
    lacking = [one for one in whole if one.kind is not EventKind.CONFIRM or one.party != second]
    question = event(EventKind.CLARIFY, second, head)
    found = [
        proposed,
        [event(EventKind.ACCEPT, second, head)],
        [*proposed, question],
        [*proposed, question, event(EventKind.CLARIFY, first, head)],
        [*proposed, event(EventKind.ACCEPT, second, head)],
        [*proposed, event(EventKind.ACCEPT, second, head), question],
        signed,
        lacking,
        whole,
        [*whole, question],
        [*whole, event(EventKind.LEAVE, first, head)],
        [*whole, event(EventKind.REJECT, first, head)],
        [*whole, event(EventKind.REJECT, first, head), event(EventKind.LEAVE, first, head)],
        [*whole, event(EventKind.WITHDRAW, first, head)],
        [*whole, event(EventKind.WITHDRAW, first, head), event(EventKind.LEAVE, first, head)],
        [*proposed, event(EventKind.REJECT, second, head)],
        [*proposed, event(EventKind.WITHDRAW, first, head)],
        [*proposed, event(EventKind.TERMINATE, first, head)],
    ]
    if head.structure.group:
        found += [[*whole, *join(head, by=[first])], [*whole, *join(head, by=[first])[1:]]]
    return found


def _beside(founders: Parties, head: Terms) -> list[tuple[list[Terms], list[Event]]]:
    """Nothing; a next version proposed, questioned, countered, accepted, refused, run out; two that all signed."""
    first, second = founders[:2]
    lineage = (head.agreement_id, head.hash, head.version + 1)
    next_one, short = (make_text(founders, lineage, choice=choice, author=first) for choice in (0, 1))
    rival = make_text(founders, lineage, author=second)
    lineage = (head.agreement_id, next_one.hash, head.version + 2)
    last, short_last = (make_text(founders, lineage, choice=choice, author=second) for choice in (0, 1))
    proposed = event(EventKind.PROPOSE, first, next_one)
    countered = [proposed, event(EventKind.COUNTER, second, last)]
    question = event(EventKind.CLARIFY, second, next_one)
    questions = [question, event(EventKind.CLARIFY, second, rival)]
    return [
        ([], []),
        ([next_one], [proposed]),
        ([next_one, last], countered),
        ([next_one, rival], [*sign_all(next_one), *sign_all(rival), *questions]),
        ([next_one], [proposed, question]),
        ([next_one], [proposed, event(EventKind.ACCEPT, second, next_one)]),
        ([next_one], [proposed, event(EventKind.REJECT, second, next_one)]),
        ([next_one], [event(EventKind.COUNTER, first, next_one)]),
        ([next_one, last], [*countered, event(EventKind.CLARIFY, first, last)]),
        ([next_one, last], [*countered, *(event(EventKind.ACCEPT, party, last) for party in founders[2:])]),
        ([next_one, short_last], [proposed, event(EventKind.COUNTER, second, short_last)]),
        ([short], [event(EventKind.PROPOSE, first, short)]),
    ]


def _locks(head: Terms) -> list[list[Event]]:
    first, second = sorted(head.founders)[:2]
    mine, theirs = (event(EventKind.SUSPEND, party, head) for party in (first, second))
    return [[], [mine], [mine, theirs], [event(EventKind.SUSPEND, first, head, channel=head.channels[0].id)]]
