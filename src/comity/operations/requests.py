# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on requests for information: sending them, answering them, and what stands of all."""

from comity.agreement.recognition import Refusal
from comity.errors import MalformedRequest
from comity.ids import Instant, ObjectId, format_instant, parse_party_id
from comity.letters.letter import About, Letter
from comity.letters.request import Reply, Request, Urgency
from comity.node import requests as requesting
from comity.node.node import Node
from comity.node.people import Waiting
from comity.node.requests import Asked, LetterState, Sent, StoredLetter
from comity.operations.letters import format_spot, read_side, read_spot
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json

__all__ = ["answer", "list_all", "send", "show", "withdraw"]

_MOST_LISTED = 10_000
_SIDES = ("received", "sent")


def send(node: Node, arguments: Arguments) -> Outcome:
    """Ask a partner."""
    urgency = arguments.text("urgency")
    if urgency not in [*Urgency]:
        raise MalformedRequest(f"{urgency[:80]!r} is none of {', '.join(Urgency)}", where="urgency")
    done = requesting.send_request(
        node,
        arguments.text("agreement"),
        to=parse_party_id(arguments.text("party")),
        question=arguments.text("question"),
        urgency=Urgency(urgency),
        about=arguments.texts("objects"),
        by=read_actor(node, arguments),
    )
    return _conclude(done)


def answer(node: Node, arguments: Arguments) -> Outcome:
    """Answer a partner, or decline to."""
    done = requesting.answer_request(
        node,
        arguments.text("letter"),
        text=arguments.optional("text"),
        objects_given=arguments.texts("objects"),
        declines=arguments.flag("decline"),
        by=read_actor(node, arguments),
    )
    return _conclude(done)


def withdraw(node: Node, arguments: Arguments) -> Outcome:
    """Take a request of this party back."""
    return _conclude(requesting.withdraw_request(node, arguments.text("letter"), by=read_actor(node, arguments)))


def list_all(node: Node, arguments: Arguments) -> Outcome:
    """The requests, newest first: those sent, and those received.

    Of one `side` alone, those in front that wait: a part of them, and where the `next` one begins.
    """
    limit, now = arguments.number("last", most=_MOST_LISTED), node.clock()
    side = read_side(arguments, _SIDES)
    if side is not None:
        after = read_spot(arguments)
        part, following = requesting.list_request_part(node, sent=side == "sent", after=after, limit=limit)
        listed: list[Json] = [_describe_asked(asked, now=now) for asked in part]
        return Outcome(result={"sent": [], "received": [], side: listed, "next": format_spot(following)})
    sent, received = requesting.list_requests(node, limit=limit)
    return Outcome(
        result={
            "sent": [_describe_asked(asked, now=now) for asked in sent],
            "received": [_describe_asked(asked, now=now) for asked in received],
        }
    )


def show(node: Node, arguments: Arguments) -> Outcome:
    """One request, with everything that answers it, and the act that is possible: to answer or decline, to withdraw."""
    asked = requesting.show_request(node, arguments.text("letter"))
    waits, possible = asked.stored.state is LetterState.OPEN, list[Json]()
    if waits and asked.obstacle is None:
        possible.append("withdraw" if asked.stored.sent else "answer")
    described = _describe_asked(asked, now=node.clock(), held=asked.held)
    return Outcome(result={**described, "possible": possible, "obstacle": asked.obstacle})


def _conclude(done: Sent | Waiting | Refusal) -> Outcome:
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    letter = done.letter
    return Outcome(
        result={
            "letter": letter.digest,
            "kind": letter.kind.value,
            "to": letter.to,
            "agreement": letter.agreement,
            "about": _describe_about(letter),
            "told": [letter.to],
            "approvals": describe_approvals(done.approvals),
        },
        tells=True,
    )


def _describe_asked(asked: Asked, *, now: Instant, held: frozenset[ObjectId] | None = None) -> dict[str, Json]:
    stored, body = asked.stored, asked.stored.letter.body
    assert isinstance(body, Request)  # noqa: S101 (only such letters are listed)
    due = stored.due_at
    return {
        "letter": stored.letter.digest,
        "sent": stored.sent,
        "party": stored.party,
        "agreement": stored.letter.agreement,
        "title": asked.title,
        "recorded_at": format_instant(stored.recorded_at),
        "urgency": body.urgency.value,
        "question": body.question,
        "about": _describe_about(stored.letter, known=asked.known, held=held),
        "state": stored.progress or "open",
        "due": None if due is None else format_instant(due),
        "overdue": due is not None and stored.state is LetterState.OPEN and due <= now,
        "answers": [_describe_answer(answer, held=held) for answer in asked.answers],
        "withdrawn_at": None if asked.withdrawal is None else format_instant(asked.withdrawal.recorded_at),
    }


def _describe_answer(stored: StoredLetter, *, held: frozenset[ObjectId] | None) -> Json:
    body = stored.letter.body
    assert isinstance(body, Reply)  # noqa: S101 (nothing else answers a request)
    return {
        "letter": stored.letter.digest,
        "recorded_at": format_instant(stored.recorded_at),
        "outcome": body.outcome.value,
        "text": body.text,
        "about": _describe_about(stored.letter, held=held),
    }


def _describe_about(
    letter: Letter, *, known: frozenset[About] | None = None, held: frozenset[ObjectId] | None = None
) -> list[Json]:
    """What a letter is about; `known` says of a request received what whoever asks can know of through this node.

    What it cannot know of is not said to be `held` or not: the answer must not depend on that.
    """
    return [
        {
            "id": item.id,
            "version": item.version,
            "digest": item.digest,
            **({} if known is None else {"known": item in known}),
            **({} if held is None else {"held": item.id in held if known is None or item in known else None}),
        }
        for item in letter.about
    ]
