# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on consent: asking for it, granting, refusing and revoking it, and what stands of all."""

from collections.abc import Sequence

from comity.agreement.recognition import Refusal
from comity.errors import MalformedRequest
from comity.ids import Instant, ObjectId, format_instant, parse_instant, parse_party_id
from comity.letters.consent import ConsentGrant, ConsentRefusal, ConsentRequest, ConsentRevocation
from comity.node import consent as consenting
from comity.node.consent import Asked, LetterState, Said, StoredGrant, StoredLetter
from comity.node.granting import Offer
from comity.node.node import Node
from comity.node.people import Waiting
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import conclude_refused, conclude_waiting, describe_approvals, read_actor
from comity.operations.reply import Json
from comity.vocabulary import ACTIONS_ORDER

__all__ = ["conclude", "describe_grants", "grant", "list_all", "refuse", "request", "revoke", "show"]

_MOST_LISTED = 10_000


def request(node: Node, arguments: Arguments) -> Outcome:
    """Ask whoever gave some objects to let them be passed on to one more party; `newest` is the version shown."""
    done = consenting.request_consent(
        node,
        arguments.texts("ids"),
        to=parse_party_id(arguments.text("to")),
        purpose=arguments.text("purpose"),
        reason=arguments.text("reason"),
        until=_read_time(arguments, "until"),
        by=read_actor(node, arguments),
        newest=arguments.optional("newest"),
    )
    return conclude(done)


def grant(node: Node, arguments: Arguments) -> Outcome:
    """Let what was asked for go."""
    actions = arguments.optional("actions")
    if actions is not None and actions not in ACTIONS_ORDER:
        raise MalformedRequest(f"{actions[:80]!r} is none of {', '.join(ACTIONS_ORDER)}", where="actions")
    offer = Offer(
        until=_read_time(arguments, "until"),
        actions=actions,
        conditions=arguments.optional("condition"),
        sanitised=arguments.optional("sanitised"),
    )
    return conclude(consenting.grant_consent(node, arguments.text("letter"), offer, by=read_actor(node, arguments)))


def refuse(node: Node, arguments: Arguments) -> Outcome:
    """Do not let it go."""
    done = consenting.refuse_consent(
        node, arguments.text("letter"), reason=arguments.optional("reason"), by=read_actor(node, arguments)
    )
    return conclude(done)


def revoke(node: Node, arguments: Arguments) -> Outcome:
    """End what was granted."""
    done = consenting.revoke_consent(
        node,
        arguments.text("letter"),
        reason=arguments.optional("reason"),
        takes_back=arguments.flag("recall"),
        by=read_actor(node, arguments),
    )
    return conclude(done)


def list_all(node: Node, arguments: Arguments) -> Outcome:
    """The requests, newest first: those sent, and those received."""
    limit, about = arguments.number("last", most=_MOST_LISTED), arguments.optional("object")
    if about is None:
        sent, received = consenting.list_consents(node, limit=limit)
    else:
        sent, received = (some[:limit] for some in consenting.list_requests_about(node, ObjectId(about)))
    now = node.clock()
    return Outcome(
        result={
            "sent": [_describe_asked(asked, now=now) for asked in sent],
            "received": [_describe_asked(asked, now=now) for asked in received],
        }
    )


def show(node: Node, arguments: Arguments) -> Outcome:
    """One request, with everything that answers it."""
    return Outcome(result=_describe_asked(consenting.show_consent(node, arguments.text("letter")), now=node.clock()))


def describe_grants(grants: Sequence[StoredGrant], *, now: Instant) -> list[Json]:
    """Grants, with how each stands at `now`."""
    return [
        {
            "letter": item.letter,
            "request": item.request,
            "party": item.party,
            "recipient": item.recipient,
            "purpose": item.purpose,
            "actions": item.actions,
            "conditions": item.conditions,
            "until": format_instant(item.expires_at),
            "state": "expired" if item.state == "good" and not item.is_good(now) else item.state.value,
        }
        for item in grants
    ]


def conclude(done: Said | Waiting | Refusal) -> Outcome:
    """What was said, waits for somebody, or is refused."""
    if isinstance(done, Refusal):
        return conclude_refused(done)
    if isinstance(done, Waiting):
        return conclude_waiting(done)
    return Outcome(
        result={
            "letters": [
                {
                    "letter": letter.digest,
                    "kind": letter.kind.value,
                    "to": letter.to,
                    "agreement": letter.agreement,
                    "about": [{"id": item.id, "version": item.version} for item in letter.about],
                }
                for letter in done.letters
            ],
            "told": list[Json](sorted({letter.to for letter in done.letters})),
            "approvals": describe_approvals(done.approvals),
        },
        tells=True,
    )


def _describe_asked(asked: Asked, *, now: Instant) -> dict[str, Json]:
    stored, body = asked.stored, asked.stored.letter.body
    assert isinstance(body, ConsentRequest)  # noqa: S101 (only such letters are listed)
    due = stored.due_at
    return {
        "letter": stored.letter.digest,
        "sent": stored.sent,
        "party": stored.party,
        "agreement": stored.letter.agreement,
        "terms": stored.letter.terms,
        "recorded_at": format_instant(stored.recorded_at),
        "recipient": body.recipient,
        "purpose": body.purpose,
        "reason": body.reason,
        "until": None if body.until is None else format_instant(body.until),
        "about": [{"id": item.id, "version": item.version, "digest": item.digest} for item in stored.letter.about],
        "given": asked.given,
        "left": asked.left,
        "state": stored.state.value,
        "answer": _name_answer(asked, now=now),
        "due": None if due is None else format_instant(due),
        "overdue": due is not None and stored.state is LetterState.OPEN and due <= now,
        "answers": [_describe_answer(answer) for answer in asked.answers],
        "grants": describe_grants(asked.grants, now=now),
    }


def _name_answer(asked: Asked, *, now: Instant) -> str | None:
    """What counts of all answers: `granted` as long as a grant is good."""
    if any(item.is_good(now) for item in asked.grants):
        return "granted"
    if asked.stored.progress == "granted":
        return "expired"
    return asked.stored.progress


def _describe_answer(answer: StoredLetter) -> Json:
    body = answer.letter.body
    said: dict[str, Json] = {}
    if isinstance(body, ConsentGrant) and body.sanitised is not None:
        said = {"sanitised": {"id": body.sanitised.id, "version": body.sanitised.version}}
    elif isinstance(body, ConsentRefusal):
        said = {"reason": body.reason}
    elif isinstance(body, ConsentRevocation):
        said = {"grant": body.grant, "recall": body.recall, "reason": body.reason}
    return {
        "letter": answer.letter.digest,
        "kind": answer.letter.kind.value,
        "recorded_at": format_instant(answer.recorded_at),
        "state": answer.state.value,
        "note": None if answer.sent else answer.progress,
        **said,
    }


def _read_time(arguments: Arguments, name: str) -> Instant | None:
    text = arguments.optional(name)
    return None if text is None else parse_instant(text)
