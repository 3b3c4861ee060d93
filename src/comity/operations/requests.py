# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on requests for information: sending them, answering them, and what stands of all."""

from comity.agreement.recognition import Refusal
from comity.errors import MalformedRequest
from comity.ids import Instant, format_instant, parse_party_id
from comity.letters.letter import About, Letter
from comity.letters.request import Reply, Request, Urgency
from comity.node import requests as requesting
from comity.node.node import Node
from comity.node.people import Waiting
from comity.node.requests import Asked, LetterState, Sent, StoredLetter
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json

__all__ = ["answer", "list_all", "send", "show", "withdraw"]

_MOST_LISTED = 10_000


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
    """The requests, newest first: those sent, and those received."""
    sent, received = requesting.list_requests(node, limit=arguments.number("last", most=_MOST_LISTED))
    now = node.clock()
    return Outcome(
        result={
            "sent": [_describe_asked(asked, now=now) for asked in sent],
            "received": [_describe_asked(asked, now=now) for asked in received],
        }
    )


def show(node: Node, arguments: Arguments) -> Outcome:
    """One request, with everything that answers it."""
    return Outcome(result=_describe_asked(requesting.show_request(node, arguments.text("letter")), now=node.clock()))


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


def _describe_asked(asked: Asked, *, now: Instant) -> dict[str, Json]:
    stored, body = asked.stored, asked.stored.letter.body
    assert isinstance(body, Request)  # noqa: S101 (only such letters are listed)
    due = stored.due_at
    return {
        "letter": stored.letter.digest,
        "sent": stored.sent,
        "party": stored.party,
        "agreement": stored.letter.agreement,
        "recorded_at": format_instant(stored.recorded_at),
        "urgency": body.urgency.value,
        "question": body.question,
        "about": _describe_about(stored.letter, known=asked.known),
        "state": stored.progress or "open",
        "due": None if due is None else format_instant(due),
        "overdue": due is not None and stored.state is LetterState.OPEN and due <= now,
        "answers": [_describe_answer(answer) for answer in asked.answers],
        "withdrawn_at": None if asked.withdrawal is None else format_instant(asked.withdrawal.recorded_at),
    }


def _describe_answer(stored: StoredLetter) -> Json:
    body = stored.letter.body
    assert isinstance(body, Reply)  # noqa: S101 (nothing else answers a request)
    return {
        "letter": stored.letter.digest,
        "recorded_at": format_instant(stored.recorded_at),
        "outcome": body.outcome.value,
        "text": body.text,
        "about": _describe_about(stored.letter),
    }


def _describe_about(letter: Letter, *, known: frozenset[About] | None = None) -> list[Json]:
    """What a letter is about; `known` says of a request received what whoever asks can know of through this node."""
    return [
        {
            "id": item.id,
            "version": item.version,
            "digest": item.digest,
            **({} if known is None else {"known": item in known}),
        }
        for item in letter.about
    ]
