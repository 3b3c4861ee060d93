# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on agreements: the acts of this party, and what stands on record."""

from collections.abc import Iterable

from comity.agreement.lifecycle import Event, EventKind, Standing, State
from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms
from comity.canonical import SIGNED_LIMITS, parse_json
from comity.cli.operations.people import conclude_waiting, describe_approvals, read_actor
from comity.cli.outcome import Arguments, Outcome
from comity.cli.reply import Exit, Json
from comity.ids import AgreementId, Instant, PartyId, format_instant
from comity.node import agree
from comity.node.agree import Recorded
from comity.node.node import Node
from comity.node.outbox import list_waiting
from comity.node.people import Waiting
from comity.node.poll import list_open_collections
from comity.node.standing import Dossier, collection_id, find_agreement, judge_terms, list_dossiers

__all__ = [
    "accept",
    "answer",
    "clarify",
    "describe_waiting",
    "list_all",
    "propose",
    "reject",
    "resume",
    "show",
    "status",
    "suspend",
    "terminate",
]


# --- acts -------------------------------------------------------------------------------------------------------------


def propose(node: Node, arguments: Arguments) -> Outcome:
    """Sign the terms and queue them for every other party."""
    return _conclude(agree.propose(node, arguments.data("terms"), by=read_actor(node, arguments)))


def clarify(node: Node, arguments: Arguments) -> Outcome:
    """Ask about one clause."""
    clause, text = arguments.text("clause"), arguments.text("text")
    by = read_actor(node, arguments)
    return _conclude(agree.act_on(node, arguments.text("id"), EventKind.CLARIFY, by=by, clause=clause, text=text))


def answer(node: Node, arguments: Arguments) -> Outcome:
    """Answer a question."""
    text, question = arguments.text("text"), arguments.optional("question")
    by = read_actor(node, arguments)
    return _conclude(agree.act_on(node, arguments.text("id"), EventKind.ANSWER, by=by, text=text, re=question))


def accept(node: Node, arguments: Arguments) -> Outcome:
    """Sign the latest version."""
    return _conclude(agree.act_on(node, arguments.text("id"), EventKind.ACCEPT, by=read_actor(node, arguments)))


def reject(node: Node, arguments: Arguments) -> Outcome:
    """Reject the latest version."""
    return _act(node, arguments, EventKind.REJECT)


def suspend(node: Node, arguments: Arguments) -> Outcome:
    """Suspend the agreement."""
    return _act(node, arguments, EventKind.SUSPEND)


def resume(node: Node, arguments: Arguments) -> Outcome:
    """Lift every suspension of this party."""
    return _act(node, arguments, EventKind.RESUME)


def terminate(node: Node, arguments: Arguments) -> Outcome:
    """End the agreement for good."""
    return _act(node, arguments, EventKind.TERMINATE)


def _act(node: Node, arguments: Arguments, kind: EventKind) -> Outcome:
    text, by = arguments.optional("reason"), read_actor(node, arguments)
    return _conclude(agree.act_on(node, arguments.text("id"), kind, by=by, text=text))


def _conclude(recorded: Recorded | Waiting | Refusal) -> Outcome:
    if isinstance(recorded, Refusal):
        refused: dict[str, Json] = {"clause": recorded.clause, "reason": recorded.reason}
        return Outcome(result={"refused": refused}, code=Exit.REFUSED)
    if isinstance(recorded, Waiting):
        return conclude_waiting(recorded)
    event, standing = recorded.event, recorded.standing
    return Outcome(
        result={
            "agreement": event.agreement,
            "title": standing.latest.title,
            "terms": event.terms,
            "event": event.digest,
            "kind": event.kind.value,
            "state": standing.state.value,
            "sentence": standing.sentence,
            "approvals": describe_approvals(recorded.approvals),
        },
        stops=event.agreement if recorded.stops else None,
        sends=event.agreement,
    )


# --- what stands on record --------------------------------------------------------------------------------------------


def list_all(node: Node, _: Arguments) -> Outcome:
    """Every agreement on record, oldest first."""
    now = node.clock()
    with node.store.read() as transaction:
        listed: list[Json] = [_summarise(dossier, now=now) for dossier in list_dossiers(node, transaction)]
    return Outcome(result={"agreements": listed})


def show(node: Node, arguments: Arguments) -> Outcome:
    """The terms that count, the versions, and every event."""
    dossier = _find(node, arguments.text("id"))
    standing = dossier.standing(now=node.clock())
    terms = standing.current or standing.latest
    return Outcome(
        result={
            **_summarise(dossier, now=node.clock()),
            "versions": [
                {"terms": item.hash, "version": item.version, "title": item.title} for item in dossier.versions
            ],
            "events": [_describe_event(event) for event in dossier.events],
            "document": parse_json(terms.document, limits=SIGNED_LIMITS),
        }
    )


def status(node: Node, arguments: Arguments) -> Outcome:
    """Where the agreement stands: who signed, what is open, what is suspended, and what can be given under it now."""
    dossier = _find(node, arguments.text("id"))
    now = node.clock()
    standing = dossier.standing(now=now)
    latest, current = standing.latest, standing.current
    signed = sorted(standing.signed_by)
    result: dict[str, Json] = {
        **_summarise(dossier, now=now),
        "valid_from": format_instant(latest.valid_from),
        "valid_until": None if latest.valid_until is None else format_instant(latest.valid_until),
        "latest": {
            **_describe_version(node, latest, now=now),
            "signed_by": list[Json](signed),
            "missing": [party for party in _members(latest) if party not in standing.signed_by],
        },
        "current": None if current is None else _describe_version(node, current, now=now),
        "open_questions": [_describe_event(event) for event in standing.open_questions],
        "suspensions": [
            {"party": lock.party, "event": lock.event, "at": format_instant(lock.at), "reason": lock.reason}
            for lock in standing.locks
        ],
        "gives": _list_gives(node, dossier, standing, now=now),
        "waiting": describe_waiting(node, dossier.id),
    }
    return Outcome(result=result)


def describe_waiting(node: Node, agreement: AgreementId) -> list[Json]:
    """The parties of the agreement that have not acknowledged every message of this node."""
    members = _find(node, agreement).parties()
    return [
        {"party": item.party, "messages": item.messages, "problem": item.problem}
        for item in list_waiting(node)
        if item.party in members
    ]


def _find(node: Node, prefix: str) -> Dossier:
    with node.store.read() as transaction:
        return find_agreement(node, transaction, prefix)


def _summarise(dossier: Dossier, *, now: Instant) -> dict[str, Json]:
    standing = dossier.standing(now=now)
    terms = standing.current or standing.latest
    return {
        "agreement": dossier.id,
        "title": terms.title,
        "version": terms.version,
        "terms": terms.hash,
        "state": standing.state.value,
        "sentence": standing.sentence,
        "parties": list[Json](_members(terms)),
    }


def _members(terms: Terms) -> list[PartyId]:
    return sorted(party.id for party in terms.parties)


def _describe_version(node: Node, terms: Terms, *, now: Instant) -> dict[str, Json]:
    """A version and this party's own recognition of it, by its policy of this moment."""
    judged = judge_terms(node, terms, now=now)
    recognition: dict[str, Json]
    if isinstance(judged, Refusal):
        recognition = {"recognised": False, "clause": judged.clause, "reason": judged.reason, "bases": []}
    else:
        bases: list[Json] = [{"kind": basis.kind, "reference": basis.reference} for basis in judged.bases]
        recognition = {"recognised": True, "clause": None, "reason": None, "bases": bases}
    return {"terms": terms.hash, "version": terms.version, "recognition": recognition}


def _describe_event(event: Event) -> dict[str, Json]:
    return {
        "event": event.digest,
        "kind": event.kind.value,
        "party": event.party,
        "at": format_instant(event.at),
        "terms": event.terms,
        "clause": event.clause,
        "text": event.text,
        "re": event.re,
    }


def _list_gives(node: Node, dossier: Dossier, standing: Standing, *, now: Instant) -> list[Json]:
    """The channels in which this party is the giver, to whom, and whether the gate is open: the poll's own answer."""
    terms = standing.current or standing.latest
    own = [channel for channel in terms.channels if channel.giver == node.party]
    open_now = _find_open(node, dossier, {receiver for channel in own for receiver in channel.receivers})
    reason = _find_obstacle(node, standing, terms, now=now)
    return [
        {
            "channel": channel.id,
            "to": receiver,
            "collection": collection_id(dossier.id, channel.id, giver=node.party, recipient=receiver),
            "open": (channel.id, receiver) in open_now,
            "reason": None if (channel.id, receiver) in open_now else reason,
        }
        for channel in own
        for receiver in channel.receivers
    ]


def _find_open(node: Node, dossier: Dossier, receivers: Iterable[PartyId]) -> frozenset[tuple[str, PartyId]]:
    return frozenset(
        (item.channel.id, receiver)
        for receiver in receivers
        for item in list_open_collections(node, receiver)
        if item.dossier.id == dossier.id
    )


def _find_obstacle(node: Node, standing: Standing, terms: Terms, *, now: Instant) -> str | None:
    if standing.state is not State.IN_FORCE:
        return f"the agreement is not in force: {standing.sentence}"
    judged = judge_terms(node, terms, now=now)
    return judged.reason if isinstance(judged, Refusal) else None
