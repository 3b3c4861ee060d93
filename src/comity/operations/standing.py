# SPDX-License-Identifier: Apache-2.0
"""Shell: what stands on record of agreements, and how they stand now or stood then."""

from collections.abc import Sequence

from comity.agreement.events import Event, EventKind
from comity.agreement.lifecycle import Standing
from comity.agreement.moves import find_next_steps
from comity.agreement.people import find_need
from comity.agreement.possible import can_accede, find_admissible, find_possible_acts
from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms, clause_names
from comity.agreement.transitions import State
from comity.canonical import SIGNED_LIMITS, parse_json
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import AgreementId, Instant, PartyId, format_instant, parse_instant
from comity.node.correspond import export_messages
from comity.node.gate import ask_gate
from comity.node.node import Node
from comity.node.outbox import list_waiting
from comity.node.parties import read_manifests
from comity.node.standing import Dossier, collection_id, find_agreement, judge_terms, list_dossiers
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Json

__all__ = ["describe_waiting", "export", "list_all", "show", "status"]


def list_all(node: Node, arguments: Arguments) -> Outcome:
    """Every agreement on record, oldest first; those in one state, or with one party, where it is named."""
    state, party = arguments.optional("state"), arguments.optional("party")
    if state is not None and state not in {known.value for known in State}:
        known = ", ".join(item.value for item in State if item is not State.DRAFT)
        raise MalformedRequest(f"{state[:40]!r} is not a state of an agreement; the states are {known}", where="state")
    now = node.clock()
    with node.store.read() as transaction:
        dossiers = list_dossiers(node, transaction)
    listed = [(dossier, dossier.standing(now=now)) for dossier in dossiers]
    found: list[Json] = [
        _describe_listed(dossier, standing, now=now)
        for dossier, standing in listed
        if (state is None or standing.state.value == state) and (party is None or party in _name_parties(standing))
    ]
    return Outcome(result={"agreements": found})


def export(node: Node, arguments: Arguments) -> Outcome:
    """Every signed message of the agreement, to be carried to a party as a file."""
    dossier = _find(node, arguments.text("id"))
    messages = export_messages(node, dossier.id).decode()
    return Outcome(result={"agreement": dossier.id, "count": len(dossier.events), "messages": messages})


def show(node: Node, arguments: Arguments) -> Outcome:
    """The terms that count, the versions, and every event."""
    dossier = _find(node, arguments.text("id"))
    standing = dossier.standing(now=node.clock())
    terms = standing.current or standing.latest
    return Outcome(
        result={
            **_summarise(standing),
            "versions": [
                {"terms": item.hash, "version": item.version, "title": item.title} for item in dossier.versions
            ],
            "events": [_describe_event(event) for event in dossier.events],
            "document": parse_json(terms.document, limits=SIGNED_LIMITS),
        }
    )


def status(node: Node, arguments: Arguments) -> Outcome:
    """Where the agreement stands: who signed, what is open, what is suspended, and what can be given under it now.

    With `at`, where it stood by what this node had on record at that time; what could be given then is not said.
    """
    dossier = _find(node, arguments.text("id"))
    at = arguments.optional("at")
    if at is not None:
        return _status_at(node, dossier, parse_instant(at))
    now = node.clock()
    standing = dossier.standing(now=now)
    result = {
        **_describe_standing(node, dossier.events, standing, now=now),
        "since": _optional(dossier.state_since(standing.state)),
        "possible": _list_possible(standing, node.party, now=now),
        "joining": _describe_joining(node, standing, now=now),
        "gives": _list_gives(node, dossier, standing),
        "waiting": describe_waiting(node, dossier.id),
    }
    return Outcome(result=result)


def _status_at(node: Node, dossier: Dossier, at: Instant) -> Outcome:
    standing = dossier.standing_at(at)
    if standing is None:
        raise NotFoundError(f"nothing of {dossier.id[:12]} was on record here at {format_instant(at)}")
    described = _describe_standing(node, dossier.events_at(at), standing, now=at)
    nothing: dict[str, Json] = {"since": None, "possible": [], "joining": None, "gives": [], "waiting": []}
    return Outcome(result={**described, "at": format_instant(at), **nothing})


def _describe_standing(node: Node, said: Sequence[Event], standing: Standing, *, now: Instant) -> dict[str, Json]:
    latest, current = standing.latest, standing.current
    return {
        **_summarise(standing),
        "at": None,
        "valid_from": format_instant(latest.valid_from),
        "valid_until": _optional(latest.valid_until),
        "clauses": list[Json](clause_names(latest)),
        "reservable": list[Json](sorted(latest.reservable)),
        "latest": {
            **_describe_version(node, standing, latest, now=now),
            "signed_by": list[Json](sorted(standing.signed_by)),
            "missing": list[Json](sorted(latest.founders - standing.signed_by)),
        },
        "current": None if current is None else _describe_version(node, standing, current, now=now),
        "confirmed_by": list[Json](sorted(standing.confirmed_by)),
        "members": list[Json](sorted(standing.members)),
        "open_questions": [_describe_event(event) for event in standing.open_questions],
        "suspensions": [
            {
                "party": lock.party,
                "event": lock.event,
                "at": format_instant(lock.at),
                "reason": lock.reason,
                "channel": lock.channel,
            }
            for lock in standing.locks
        ],
        "lapses": [{"party": lapse.party, "clause": lapse.clause, "reason": lapse.reason} for lapse in standing.lapses],
        "positions": _describe_positions(said, current or latest),
        "reservations": [
            {"party": party, "clause": item.clause, "ground": item.ground, "text": item.text}
            for party, item in standing.reservations
        ],
        "next_steps": [{"party": step.party, "act": step.act, "why": step.why} for step in find_next_steps(standing)],
    }


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


def _summarise(standing: Standing) -> dict[str, Json]:
    terms = standing.current or standing.latest
    return {
        "agreement": terms.agreement_id,
        "title": terms.title,
        "version": terms.version,
        "terms": terms.hash,
        "state": standing.state.value,
        "sentence": standing.sentence,
        "parties": list[Json](sorted(_name_parties(standing))),
        "left": list[Json](sorted(standing.left)),
    }


def _name_parties(standing: Standing) -> frozenset[PartyId]:
    return (standing.current or standing.latest).founders | standing.members


def _describe_listed(dossier: Dossier, standing: Standing, *, now: Instant) -> dict[str, Json]:
    """A line of the list; what ends and is reviewed is said of the version that counts."""
    terms = standing.current or standing.latest
    return {
        **_summarise(standing),
        "since": _optional(dossier.state_since(standing.state)),
        "valid_until": _optional(terms.valid_until),
        "next_review": _optional(min((date for date in terms.reviews if date > now), default=None)),
        "suspended_channels": list[Json](sorted({lock.channel for lock in standing.locks if lock.channel})),
    }


def _list_possible(standing: Standing, party: PartyId, *, now: Instant) -> list[Json]:
    """What this party could do now, and how many of its people that takes, in which roles."""
    found = list[Json]()
    for act in find_possible_acts(standing, party, now=now):
        need = find_need(act.kind.value)
        roles = () if need is None else need.roles
        found.append(
            {
                "act": act.kind.value,
                "channel": act.channel,
                "question": act.question,
                "people": None if need is None else need.people,
                "roles": [role.value for role in roles],
            }
        )
    return found


def _describe_joining(node: Node, standing: Standing, *, now: Instant) -> Json:
    """Whom this party could admit now, by which manifest; whether it could join itself; and who has said so of whom."""
    with node.store.read() as transaction:
        known = {party: item.digest for party, item in read_manifests(transaction).items()}
    return {
        "admissible": [
            {"party": party, "manifest": known[party]}
            for party in find_admissible(standing, node.party, known, now=now)
        ],
        "can_accede": can_accede(standing, node.party, known[node.party], now=now),
        "admissions": [
            {"party": said.party, "joiner": said.joiner, "manifest": said.manifest, "at": format_instant(said.at)}
            for said in standing.admissions
            if said.kind is EventKind.ADMIT
        ],
    }


def _optional(at: Instant | None) -> str | None:
    return None if at is None else format_instant(at)


def _describe_version(node: Node, standing: Standing, terms: Terms, *, now: Instant) -> dict[str, Json]:
    """A version and this party's own recognition of it, by its policy of this moment."""
    judged = judge_terms(node, terms, now=now, joining=standing.joining_bases(node.party))
    recognition: dict[str, Json]
    if isinstance(judged, Refusal):
        recognition = {"recognised": False, "clause": judged.clause, "reason": judged.reason, "bases": []}
    else:
        bases: list[Json] = [{"kind": basis.kind, "reference": basis.reference} for basis in judged.bases]
        recognition = {"recognised": True, "clause": None, "reason": None, "bases": bases}
    return {"terms": terms.hash, "version": terms.version, "recognition": recognition}


def _describe_positions(said: Sequence[Event], terms: Terms) -> list[Json]:
    """Each legal basis of the text, and what each party that signed it says of it."""
    latest: dict[PartyId, Event] = {
        event.party: event for event in said if event.terms == terms.hash and event.positions
    }
    return [
        {
            "party": basis.party,
            "kind": basis.kind,
            "reference": basis.reference,
            "paragraph": basis.paragraph,
            "force": basis.force,
            "positions": {
                party: event.positions[index].value
                for party, event in sorted(latest.items())
                if index < len(event.positions)
            },
        }
        for index, basis in enumerate(terms.legal_bases)
    ]


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
        "channel": event.channel,
        "joiner": event.joiner,
    }


def _list_gives(node: Node, dossier: Dossier, standing: Standing) -> list[Json]:
    """The channels in which this party is the giver, to whom, and whether the gate is open: the poll's own answer."""
    terms = standing.current or standing.latest
    own = [
        (channel, receiver)
        for channel in terms.channels
        for giver, receiver in channel.pairs(standing.members)
        if giver == node.party
    ]
    gives = list[Json]()
    with node.store.read() as transaction:
        for channel, receiver in own:
            closed = ask_gate(node, transaction, standing, channel, recipient=receiver)
            gives.append(
                {
                    "channel": channel.id,
                    "to": receiver,
                    "collection": collection_id(dossier.id, channel.id, giver=node.party, recipient=receiver),
                    "open": closed is None,
                    "reason": None if closed is None else closed.reason,
                }
            )
    return gives
