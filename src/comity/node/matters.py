# SPDX-License-Identifier: Apache-2.0
"""Shell: an act that waits for a second person: shown with what the first one brought, completed, or declined.

Whoever completes it brings nothing: the act is made again from what is kept, and is signed only if it is the very same
to the last byte (`Actor.completes`). What has changed since, a recognition policy say, makes it another act, and then
nothing is approved.

One person who declines ends it for everybody: approvals and what was brought go, and the log keeps who declined, why,
and who had approved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from comity.agreement.drafting import convert_terms
from comity.agreement.events import EventKind, Reservation
from comity.agreement.people import Role, choose_role, find_need
from comity.agreement.recognition import Refusal
from comity.agreement.terms import LegalBasis, parse_terms
from comity.canonical import Json
from comity.errors import AuthenticationError, MalformedRequest, NotFoundError, TransitionError
from comity.ids import Digest, PersonId, parse_instant, parse_party_id
from comity.node import agree, lists, necessity
from comity.node.agree import Recorded
from comity.node.classify import Classified, take_back
from comity.node.consent import Said, grant_consent
from comity.node.granting import Offer
from comity.node.node import Node
from comity.node.people import Actor, PendingMatter, Waiting, normalise_text, read_pending
from comity.node.standing import find_agreement
from comity.release.declined import format_declined
from comity.release.disclosure import EntryType
from comity.store import agreements, people
from comity.store.subjects import KEEP

__all__ = [
    "COMPLETED_HERE",
    "Brought",
    "Completed",
    "Declined",
    "approve_matter",
    "decline_matter",
    "read_bases",
    "say_gone",
    "show_matter",
]

Completed = Recorded | Said | necessity.Decided | lists.Decided | Classified
"""What came of an act that is completed here."""

COMPLETED_HERE = frozenset({"propose", "counter", "accept", "accede", "admit", "resume", "consent"}) | {
    "decide-necessity",
    "keep-subject",
    "take-back-safeguard",
}
"""The kinds of acts that are completed here. Every other is completed by the same command or form as it was begun."""

_MAX_REASON = 2_000
_LEAST = 4
"""As many characters of a name as name anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """An act that waits, and the bytes that the first person brought to it (None: it takes none)."""

    matter: PendingMatter
    data: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """An act that waits no more: who declined it, as what and why."""

    matter: PendingMatter
    person: PersonId
    role: Role
    reason: str


def show_matter(node: Node, prefix: str) -> Brought:
    """The act whose name is or begins with `prefix`, with what was brought to it.

    Raises:
        NotFoundError: no such act waits.
        MalformedRequest: several do.
    """
    wanted = prefix.lower()
    with node.store.read() as transaction:
        waiting = people.list_matters(transaction, now=node.clock())
        found = [item for item in waiting if len(wanted) >= _LEAST and item.digest.startswith(wanted)]
        data = people.read_brought(transaction, found[0].digest) if len(found) == 1 else None
    if len(found) > 1:
        raise MalformedRequest(f"{len(found)} acts that wait begin with {prefix[:64]}; name more of it", where="matter")
    if not found:
        raise say_gone()
    return Brought(matter=read_pending(found[0]), data=data)


def read_bases(node: Node, matter: PendingMatter) -> tuple[LegalBasis, ...]:
    """The legal bases that this party's positions in the act are on, in their order.

    None where it takes no positions, or where the text that it is about is kept no more.
    """
    if not _read_said(matter).get("positions"):
        return ()
    with node.store.read() as transaction:
        document = agreements.read_terms(transaction, Digest(_read_texts(matter).get("terms", "")))
        brought = people.read_brought(transaction, matter.digest)
    if document is None and brought is not None:
        document = convert_terms(brought)
    return () if document is None else parse_terms(document).legal_bases


def approve_matter(node: Node, digest: Digest, *, by: Actor) -> Completed | Waiting | Refusal:
    """The act on record, by one more approval of the very same; or what it still waits for; or a refusal.

    Raises:
        NotFoundError: no such act waits.
        TransitionError: it can be done no more, or would not be the same.
        ComityError: as the act itself (`node.agree`, `node.consent`, `node.necessity`, `node.lists`, `node.classify`).
    """
    shown = show_matter(node, digest)
    by = replace(by, completes=digest)
    said = _read_texts(shown.matter)
    about, reason = said.get("object", ""), said.get("reason", "")
    match shown.matter.kind:
        case "consent":
            return _grant(node, shown.matter, by=by)
        case "decide-necessity":
            return necessity.decide_necessity(node, about, reason=reason, by=by)
        case "keep-subject":
            return lists.decide_subject(node, said.get("subject", ""), KEEP, reason=reason, by=by)
        case "take-back-safeguard":
            return take_back(node, about, _read_words(shown.matter), reason=reason, by=by)
        case _:
            return _act(node, shown, by=by)


def decline_matter(node: Node, digest: Digest, *, by: Actor, reason: str) -> Declined | Refusal:
    """The act, which waits no more, for nobody; or a refusal, as the person could not approve it either.

    Raises:
        NotFoundError: no such act waits.
        AuthenticationError: the person was removed.
        MalformedRequest: there is no reason, or it is too long.
    """
    why = normalise_text(reason, most=_MAX_REASON, where="reason")
    with node.act() as act:
        known = people.read_person(act.transaction, by.person.id)
        if known is None or known.removed_at is not None:
            raise AuthenticationError(f"{by.person.id} is no person of this node any more")
        stored = people.read_matter(act.transaction, digest, now=act.now)
        if stored is None:
            raise say_gone()
        matter, need = read_pending(stored), find_need(stored.kind)
        role = None if need is None else choose_role(need, known.person, (), named=by.role)
        if role is None:
            return Refusal(clause="people", reason=f"{by.person.id} could not approve it, and so cannot decline it")
        people.delete_approvals(act.transaction, digest)
        content = format_declined(
            matter=digest,
            kind=matter.kind,
            agreement=matter.agreement,
            person=by.person.id,
            role=role,
            reason=why,
            approvals=matter.approvals,
        )
        act.record(EntryType.PEOPLE, content, terms=None, recipient=None, count=1)
        return Declined(matter=matter, person=by.person.id, role=role, reason=why)


def _act(node: Node, shown: Brought, *, by: Actor) -> Recorded | Waiting | Refusal:
    """The act of this party on an agreement, made again from what is kept of it."""
    matter, said = shown.matter, _read_said(shown.matter)
    match matter.kind:
        case "propose" | "counter":
            return agree.propose(node, _require(shown), by=by, reservations=_read_reservations(said))
        case "accede":
            return agree.accede(
                node, str(matter.agreement), _require(shown), by=by, reservations=_read_reservations(said)
            )
        case "accept":
            terms = str(matter.facts["terms"]) if isinstance(matter.facts, dict) else ""
            return agree.act_on(node, terms, EventKind.ACCEPT, by=by, reservations=_read_reservations(said))
        case "admit":
            return agree.admit(node, str(matter.agreement), parse_party_id(str(said.get("joiner"))), by=by)
        case "resume":
            text, channel = said.get("text"), _find_channel(node, matter)
            return agree.act_on(
                node,
                str(matter.agreement),
                EventKind.RESUME,
                by=by,
                channel=channel,
                text=text if isinstance(text, str) else None,
            )
        case _:
            raise TransitionError(f"an act of the kind {matter.kind} is completed by the command that began it")


def _grant(node: Node, matter: PendingMatter, *, by: Actor) -> Said | Waiting | Refusal:
    facts: Mapping[str, Json] = matter.facts if isinstance(matter.facts, dict) else {}
    texts = _read_texts(matter)
    match facts.get("sanitised"):
        case {"id": str(item)}:
            offer = Offer(sanitised=item)
        case _:
            until = texts.get("expires_at")
            offer = Offer(
                until=None if until is None else parse_instant(until),
                actions=texts.get("actions"),
                conditions=texts.get("conditions"),
            )
    return grant_consent(node, texts.get("request", ""), offer, by=by)


def say_gone() -> NotFoundError:
    """What is answered alike where no such act waits and where it is not for whoever asks."""
    return NotFoundError("no such act waits: it was done or declined, or the approvals of it have run out")


def _require(shown: Brought) -> bytes:
    if shown.data is None:
        raise TransitionError(
            "it was approved before what is brought to an act was kept: give the same file again, or decline it"
        )
    return shown.data


def _read_texts(matter: PendingMatter) -> dict[str, str]:
    """The facts that are texts."""
    facts: Mapping[str, Json] = matter.facts if isinstance(matter.facts, dict) else {}
    return {name: value for name, value in facts.items() if isinstance(value, str)}


def _read_words(matter: PendingMatter) -> dict[str, list[str]]:
    """The words that are to be said no more, by field."""
    listed = matter.facts.get("words") if isinstance(matter.facts, dict) else None
    found = dict[str, list[str]]()
    for item in listed if isinstance(listed, list) else ():
        match item:
            case {"field": str(field), "word": str(word)}:
                found.setdefault(field, []).append(word)
            case _:
                pass
    return found


def _read_said(matter: PendingMatter) -> Mapping[str, Json]:
    """What the first of its events says beside its kind and terms."""
    says = matter.facts.get("says") if isinstance(matter.facts, dict) else None
    first = says[0] if isinstance(says, list) and says else None
    return first if isinstance(first, dict) else {}


def _read_reservations(said: Mapping[str, Json]) -> list[Reservation]:
    found, listed = list[Reservation](), said.get("reservations", [])
    for item in listed if isinstance(listed, list) else []:
        match item:
            case {"clause": str(clause), "ground": str(ground), **rest}:
                text = rest.get("text")
                found.append(Reservation(clause=clause, ground=ground, text=text if isinstance(text, str) else None))
            case _:
                pass
    return found


def _find_channel(node: Node, matter: PendingMatter) -> str | None:
    """The one channel whose suspensions it lifts; None: it lifts all that this party holds."""
    says = matter.facts.get("says") if isinstance(matter.facts, dict) else None
    lifted = {item.get("re") for item in says if isinstance(item, dict)} if isinstance(says, list) else set()
    with node.store.read() as transaction:
        standing = find_agreement(node, transaction, str(matter.agreement)).standing(now=node.clock())
    held = [lock for lock in standing.locks if lock.party == node.party]
    if lifted == {lock.event for lock in held}:
        return None
    channels = {lock.channel for lock in held if lock.event in lifted}
    return channels.pop() if len(channels) == 1 else None
