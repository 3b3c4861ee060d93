# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on recalls: sending them, what stands of them, and keeping what is recalled."""

from collections.abc import Sequence

from comity.agreement.recognition import Refusal
from comity.ids import Instant, format_instant, parse_digest
from comity.letters.recall import Change, Recall, RecallAcknowledgement, Result
from comity.letters.recall import Outcome as Became
from comity.node import recall as recalling
from comity.node.node import Node
from comity.node.people import Waiting
from comity.node.recall import LetterState, Recalled, StoredLetter, TakenBack, Told
from comity.node.recalled import find_deadline
from comity.operations.letters import format_spot, read_side, read_spot
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json
from comity.operations.usable import describe_handed

__all__ = ["describe_recalled", "describe_told", "keep", "list_all", "send", "show"]

_MOST_LISTED = 10_000
_SIDES = ("received", "sent", "taken_back")


def send(node: Node, arguments: Arguments) -> Outcome:
    """Recall an object, and tell everybody who was given it; `newest` is the one shown to correct others."""
    done = recalling.recall(
        node,
        arguments.text("id"),
        change=Change.CORRECT if arguments.flag("newer") else Change.WITHDRAW,
        versions=arguments.texts("versions"),
        reason=arguments.text("reason"),
        by=read_actor(node, arguments),
        newest=arguments.optional("newest"),
    )
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    sent: list[Json] = [
        {"letter": letter.digest, "to": letter.to, "agreement": letter.agreement, "terms": letter.terms}
        for letter in done.letters
    ]
    return Outcome(
        result={
            "object": done.id,
            "change": done.change.value,
            "versions": list[Json](done.versions),
            "newer": done.newer,
            "letters": sent,
            "told": list[Json](sorted({letter.to for letter in done.letters})),
            "approvals": describe_approvals(done.approvals),
        },
        tells=True,
    )


def list_all(node: Node, arguments: Arguments) -> Outcome:
    """The letters of recall, newest first: those sent, those received; and what was taken back over TAXII.

    Of one `side` alone a part, letters in front of which something is still to come; and where the `next` one begins.
    """
    limit = arguments.number("last", most=_MOST_LISTED)
    side = read_side(arguments, _SIDES)
    if side is not None:
        listed, following = _list_side(node, side, arguments, limit=limit)
        return Outcome(result={**{name: [] for name in _SIDES}, side: listed, "next": following})
    sent, received = recalling.list_recalls(node, limit=limit)
    now = node.clock()
    return Outcome(
        result={
            "sent": [describe_told(told, now=now) for told in sent],
            "received": [describe_told(told, now=now) for told in received],
            "taken_back": [_describe_taken_back(item) for item in recalling.list_taken_back(node, limit=limit)],
        }
    )


def show(node: Node, arguments: Arguments) -> Outcome:
    """One letter of recall, or what a partner took back over TAXII."""
    found = recalling.show_recall(node, arguments.text("letter"))
    if isinstance(found, TakenBack):
        handed = describe_handed(node, [found.retraction.object])
        return Outcome(result={**_describe_taken_back(found), "handed": handed})
    handed = describe_handed(node, [item.id for item in found.stored.letter.about])
    return Outcome(result={**describe_told(found, now=node.clock()), "handed": handed})


def keep(node: Node, arguments: Arguments) -> Outcome:
    """Keep an object though it is recalled."""
    done = recalling.keep_recalled(
        node, arguments.text("id"), reason=arguments.text("reason"), by=read_actor(node, arguments)
    )
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    hold = done.hold
    return Outcome(
        result={
            "object": hold.id,
            "reason": hold.reason,
            "by": hold.by,
            "at": format_instant(hold.held_at),
            "recalls": done.told,
            "told": list[Json](done.givers),
        },
        tells=True,
    )


def describe_told(told: Told, *, now: Instant) -> dict[str, Json]:
    """A letter of recall with all that is known of it."""
    stored = told.stored
    letter, body = stored.letter, stored.letter.body
    assert isinstance(body, Recall)  # noqa: S101 (only such letters are listed)
    undecided = _list_undecided(told)
    due = _find_due(stored, waits=bool(undecided))
    results: list[Json] = [
        {"outcome": item.outcome.value, "reason": item.reason, "spared": place in told.spared}
        for place, item in enumerate(_find_results(told))
    ]
    return {
        "letter": letter.digest,
        "sent": stored.sent,
        "party": stored.party,
        "agreement": letter.agreement,
        "title": told.title,
        "terms": letter.terms,
        "at": format_instant(letter.at),
        "recorded_at": format_instant(stored.recorded_at),
        "change": body.change.value,
        "reason": body.reason,
        "newer": body.newer,
        "about": [{"id": item.id, "version": item.version, "digest": item.digest} for item in letter.about],
        "state": stored.state.value,
        "stage": stored.progress,
        "due": None if due is None else format_instant(due),
        "overdue": due is not None and stored.state is LetterState.OPEN and due <= now,
        "results": results,
        "undecided": undecided,
        "because": stored.because,
        "acknowledgements": [_describe_answer(answer) for answer in told.answers],
        "passed_on": [_describe_passed_on(item) for item in told.caused],
    }


def _list_side(node: Node, side: str, arguments: Arguments, *, limit: int) -> tuple[list[Json], str | None]:
    """A part of one side, and where the next one begins: what was taken back has a name, and letters a spot."""
    if side == "taken_back":
        named = arguments.optional("before")
        before = None if named is None else parse_digest(named)
        items = recalling.list_taken_back(node, limit=limit + 1, before=before)
        following = items[limit - 1].retraction.name if len(items) > limit > 0 else None
        return [_describe_taken_back(item) for item in items[:limit]], following
    part, spot = recalling.list_recall_part(node, sent=side == "sent", after=read_spot(arguments), limit=limit)
    now = node.clock()
    return [describe_told(told, now=now) for told in part], format_spot(spot)


def _describe_taken_back(item: TakenBack) -> dict[str, Json]:
    """What a partner took back over TAXII, and what became of it."""
    retraction = item.retraction
    return {
        "retraction": retraction.name,
        "party": retraction.giver,
        "agreement": retraction.agreement,
        "title": item.title,
        "terms": retraction.terms,
        "channel": retraction.channel,
        "at": format_instant(retraction.at),
        "object": retraction.object,
        "asked": retraction.asked,
        "due": None if retraction.due_at is None else format_instant(retraction.due_at),
        "versions": [
            {
                "version": one.version,
                "digest": one.digest,
                "outcome": one.result.outcome.value,
                "reason": one.result.reason,
            }
            for one in retraction.versions
        ],
        "undecided": [] if retraction.due_at is None else [retraction.object],
        "passed_on": [_describe_passed_on(letter) for letter in item.caused],
    }


def describe_recalled(items: Sequence[Recalled]) -> list[Json]:
    """Versions of an object that are given to nobody any more."""
    return [
        {
            "version": item.version,
            "digest": item.digest,
            "change": item.change.value,
            "newer": item.newer,
            "reason": item.reason,
            "letter": item.letter,
            "at": format_instant(item.recalled_at),
        }
        for item in items
    ]


def _find_due(stored: StoredLetter, *, waits: bool) -> Instant | None:
    """By when something is to be done: where it came and something `waits`, by when it is deleted."""
    if not stored.sent and stored.state is LetterState.OPEN:
        return find_deadline(stored) if waits else None
    return stored.due_at


def _find_results(told: Told) -> Sequence[Result]:
    """What became of each version: here, where the letter came here; else there, as the last answer says."""
    if not told.stored.sent:
        return told.results
    counts = [answer for answer in told.answers if answer.letter.digest == told.stored.answered_by]
    return [
        result
        for answer in counts
        if isinstance(answer.letter.body, RecallAcknowledgement)
        for result in answer.letter.body.results
    ]


def _list_undecided(told: Told) -> list[Json]:
    """The objects that a recall which came has stopped, and of which people here have to say what becomes."""
    results = enumerate(zip(told.stored.letter.about, told.results, strict=False))
    return list[Json](
        dict.fromkeys(
            about.id
            for place, (about, result) in results
            if result.outcome is Became.STOPPED and place not in told.spared
        )
    )


def _describe_passed_on(item: StoredLetter) -> Json:
    return {"letter": item.letter.digest, "to": item.party, "state": item.state.value, "stage": item.progress}


def _describe_answer(answer: StoredLetter) -> Json:
    body = answer.letter.body
    stage = body.stage.value if isinstance(body, RecallAcknowledgement) else None
    return {
        "letter": answer.letter.digest,
        "stage": stage,
        "at": format_instant(answer.letter.at),
        "recorded_at": format_instant(answer.recorded_at),
    }
