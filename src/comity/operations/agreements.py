# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on agreements: the acts of this party. What stands on record is in `standing`."""

import asyncio

from comity.agreement.events import EventKind, Reservation
from comity.agreement.recognition import Refusal
from comity.errors import MalformedMessage, MalformedRequest, NotFoundError, TransitionError
from comity.ids import parse_party_id
from comity.node import agree, correspond
from comity.node.correspond import Imported
from comity.node.node import Node
from comity.node.people import Waiting
from comity.node.recording import Recorded
from comity.node.steps import Steps, advance
from comity.operations.outcome import Arguments, Outcome
from comity.operations.people import (
    conclude_refused,
    conclude_waiting,
    describe_approvals,
    read_actor,
    require_present,
)
from comity.operations.reply import Json
from comity.operations.sight import may_ask

__all__ = [
    "accede",
    "accept",
    "admit",
    "answer",
    "clarify",
    "conclude",
    "import_messages",
    "leave",
    "propose",
    "reject",
    "resume",
    "suspend",
    "terminate",
    "withdraw",
]

_RESERVATION_PARTS = 3


def propose(node: Node, arguments: Arguments) -> Outcome:
    """Sign the terms and queue them for every other party."""
    by, reservations = read_actor(node, arguments), _read_reservations(arguments)
    return conclude(agree.propose(node, arguments.data("terms"), by=by, reservations=reservations))


def clarify(node: Node, arguments: Arguments) -> Outcome:
    """Ask about one clause."""
    clause, text, by = arguments.text("clause"), arguments.text("text"), read_actor(node, arguments)
    return conclude(agree.act_on(node, arguments.text("id"), EventKind.CLARIFY, by=by, clause=clause, text=text))


def answer(node: Node, arguments: Arguments) -> Outcome:
    """Answer a question."""
    text, question, by = arguments.text("text"), arguments.optional("question"), read_actor(node, arguments)
    return conclude(agree.act_on(node, arguments.text("id"), EventKind.ANSWER, by=by, text=text, re=question))


def accept(node: Node, arguments: Arguments) -> Outcome:
    """Sign the latest version."""
    by, reservations = read_actor(node, arguments), _read_reservations(arguments)
    return conclude(agree.act_on(node, arguments.text("id"), EventKind.ACCEPT, by=by, reservations=reservations))


def reject(node: Node, arguments: Arguments) -> Outcome:
    """Reject the latest version."""
    return _act(node, arguments, EventKind.REJECT)


def withdraw(node: Node, arguments: Arguments) -> Outcome:
    """Take back this party's signature on a version that not all have signed."""
    return _act(node, arguments, EventKind.WITHDRAW)


def suspend(node: Node, arguments: Arguments) -> Outcome:
    """Suspend the agreement, or one channel of it.

    A person who may stop but not read agreements stops the whole of one, and learns nothing of it when that fails, nor
    whether there is one, or several, of that name.
    """
    by = arguments.by
    if by is None or may_ask(by, "agreement.show"):
        return _act(node, arguments, EventKind.SUSPEND)
    if arguments.optional("channel") is not None:
        raise MalformedRequest("your roles do not read agreements: suspend the whole of it", where="channel")
    try:
        return _act(node, arguments, EventKind.SUSPEND)
    except (TransitionError, MalformedMessage, MalformedRequest, NotFoundError) as error:
        raise TransitionError(
            "nothing was suspended: no agreement, or several, begin so, or it cannot be suspended as it stands; ask"
            " somebody who may read it"
        ) from error


def resume(node: Node, arguments: Arguments) -> Outcome:
    """Lift every suspension of this party, or those of one channel; with `shown`, none but these events."""
    channel, reason, by = arguments.optional("channel"), arguments.optional("reason"), read_actor(node, arguments)
    name, shown = arguments.text("id"), arguments.texts("shown") or None
    return conclude(agree.act_on(node, name, EventKind.RESUME, by=by, channel=channel, text=reason, shown=shown))


def terminate(node: Node, arguments: Arguments) -> Outcome:
    """End the agreement for good."""
    return _act(node, arguments, EventKind.TERMINATE)


def leave(node: Node, arguments: Arguments) -> Outcome:
    """Leave the group, which goes on without this party."""
    return _act(node, arguments, EventKind.LEAVE)


def admit(node: Node, arguments: Arguments) -> Outcome:
    """Admit a joiner, by the manifest that is pinned here for it; `terms` and `manifest` are those that were shown."""
    joiner, by = parse_party_id(arguments.text("party")), read_actor(node, arguments)
    terms, manifest = arguments.optional("terms"), arguments.optional("manifest")
    return conclude(agree.admit(node, arguments.text("id"), joiner, by=by, terms=terms, manifest=manifest))


def accede(node: Node, arguments: Arguments) -> Outcome:
    """Join a group by signing its text, with the bases this party cites; `terms` is the text that was shown."""
    by, bases, reservations = read_actor(node, arguments), arguments.data("bases"), _read_reservations(arguments)
    name, terms = arguments.text("id"), arguments.optional("terms")
    return conclude(agree.accede(node, name, bases, by=by, reservations=reservations, terms=terms))


async def import_messages(node: Node, arguments: Arguments) -> Outcome:
    """Record the messages in a file that another party exported; a person who brings it says why.

    Partners are answered, and others can stop what they have to, between its messages.
    """
    data = arguments.data("messages")
    if arguments.by is None:
        steps: Steps[Imported | Refusal] = correspond.import_steps(node, data)
    else:
        by = read_actor(node, arguments)
        steps = correspond.import_steps_as(node, data, by=by, reason=arguments.text("reason"))
    while (done := advance(steps)) is None:
        await asyncio.sleep(0)
        require_present(node, arguments)
    imported = done.result
    if isinstance(imported, Refusal):
        return conclude_refused(imported)
    recorded: list[Json] = [_describe(item) for item in imported.recorded]
    return Outcome(
        result={
            "agreement": imported.agreement,
            "recorded": recorded,
            "known": imported.known,
            "refused": list[Json](imported.refused),
        },
        stops=imported.agreement if any(item.stops for item in imported.recorded) else None,
        sends=imported.agreement if imported.recorded else None,
    )


def _act(node: Node, arguments: Arguments, kind: EventKind) -> Outcome:
    channel, reason, by = arguments.optional("channel"), arguments.optional("reason"), read_actor(node, arguments)
    return conclude(agree.act_on(node, arguments.text("id"), kind, by=by, channel=channel, text=reason))


def _read_reservations(arguments: Arguments) -> list[Reservation]:
    """Each as CLAUSE:GROUND or CLAUSE:GROUND:TEXT."""
    found = list[Reservation]()
    for written in arguments.texts("reservations"):
        parts = written.split(":", _RESERVATION_PARTS - 1)
        if len(parts) < _RESERVATION_PARTS - 1:
            raise MalformedRequest(f"{written!r} is no reservation; write CLAUSE:GROUND or CLAUSE:GROUND:TEXT")
        text = parts[2] if len(parts) == _RESERVATION_PARTS else None
        found.append(Reservation(clause=parts[0], ground=parts[1], text=text))
    return found


def conclude(recorded: Recorded | Waiting | Refusal) -> Outcome:
    """What became of an act of this party: on record, waiting for somebody, or refused."""
    if isinstance(recorded, Refusal):
        return conclude_refused(recorded)
    if isinstance(recorded, Waiting):
        return conclude_waiting(recorded)
    event = recorded.event
    return Outcome(
        result=_describe(recorded),
        stops=event.agreement if recorded.stops else None,
        sends=event.agreement,
    )


def _describe(recorded: Recorded) -> dict[str, Json]:
    event, standing = recorded.event, recorded.standing
    return {
        "agreement": event.agreement,
        "title": standing.latest.title,
        "terms": event.terms,
        "event": event.digest,
        "kind": event.kind.value,
        "party": event.party,
        "state": standing.state.value,
        "sentence": standing.sentence,
        "approvals": describe_approvals(recorded.approvals),
    }
