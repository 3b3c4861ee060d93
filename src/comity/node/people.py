# SPDX-License-Identifier: Apache-2.0
"""Shell: who acts for this party, and whether enough people have approved exactly this act.

A person shows a badge; `identify` says whose it is. `approve` puts that person's yes to one matter beside those of
others, in the transaction of the act itself: either the act is done and the approvals that carried it are gone from
here and named in its log entry, or nothing was signed and the approval waits for somebody else's.

Nobody is registered when a node is made, and then nobody can act: people are added by whoever controls the folder.

Not here: what an act needs (`agreement.people`), and what it signs (the caller, who makes the matter).
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from comity.agreement.people import (
    SECRET_BYTES,
    Approval,
    Badge,
    Matter,
    Missing,
    Person,
    Role,
    Satisfied,
    choose_role,
    find_need,
    hash_badge,
    matches_badge,
    weigh_approvals,
)
from comity.agreement.reader import Reader
from comity.agreement.recognition import Refusal
from comity.canonical import SIGNED_LIMITS, Json, canonical_bytes, parse_json, sha256_digest
from comity.errors import (
    AuthenticationError,
    ConflictError,
    CorruptionError,
    MalformedRequest,
    NotFoundError,
    TransitionError,
)
from comity.ids import AgreementId, Digest, Instant, PersonId
from comity.node.node import Act, Node
from comity.release.disclosure import EntryType, PeopleChange, format_people_content
from comity.store import Transaction, people, programs, sign_ins
from comity.store.people import StoredMatter, StoredPerson
from comity.store.programs import StoredProgram

__all__ = [
    "APPROVAL_LIFETIME",
    "Actor",
    "Approved",
    "PendingMatter",
    "Waiting",
    "act_alone",
    "add_person",
    "approve",
    "find_present",
    "identify",
    "is_present",
    "list_matters",
    "list_people",
    "normalise_text",
    "read_pending",
    "read_prose",
    "record_change",
    "remove_person",
    "renew_person",
]

APPROVAL_LIFETIME = Instant(14 * 86_400 * 1_000_000)
"""Fourteen days: a colleague on leave is back within them, and what the first person had in mind is not forgotten."""

_MAX_WAITING_OF_A_PERSON = 100
_MAX_PEOPLE = 1_000
_MAX_NAME_CHARACTERS = 200
_MAX_REASON_CHARACTERS = 2_000
_MAX_MATTER_BYTES = 65_536

_NOBODY = Digest("0" * 64)
"""Compared with where the person is not on record, so that both ways take the same time; no badge has this hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """An identified person, the role to act in (None: the one that satisfies best), and why.

    `completes` is the matter that the person saw and approves: nothing else is approved in its place, nor when nobody
    else's approval of it waits any more.
    """

    person: Person
    role: Role | None = None
    why: str | None = None
    completes: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Enough people said yes: the act may be signed in this transaction, and these go on record with it."""

    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The approval is kept; nothing was signed. `expires_at` is when the first of `approvals` ends."""

    matter: Matter
    approvals: tuple[Approval, ...]
    missing: Missing
    expires_at: Instant

    @property
    def sentence(self) -> str:
        """What it waits for."""
        return f"waits for {self.missing.sentence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingMatter:
    """One act that waits for somebody: what it would sign, who approved, who is missing, and until when."""

    kind: str
    agreement: AgreementId | None
    digest: Digest
    facts: Json
    approvals: tuple[Approval, ...]
    missing: str
    expires_at: Instant


# --- who acts ---------------------------------------------------------------------------------------------------------


def identify(node: Node, badge: Badge | None) -> Person:
    """The person whose badge this is.

    Raises:
        AuthenticationError: no badge, or not one of a person of this node. Whether the person is unknown, was removed,
            or has another badge now is never told.
    """
    with node.store.read() as transaction:
        if not any(item.removed_at is None for item in people.list_persons(transaction)):
            raise AuthenticationError(
                "no person is registered at this node, and this act needs people: add at least two, one of them with"
                " the role legal, by `comity person add ID --name NAME --role legal --badge FILE`"
            )
        if badge is None:
            raise AuthenticationError(
                "this act needs a person: say who acts by `comity --as BADGE …`, or set COMITY_AS"
            )
        stored = people.read_person(transaction, badge.person)
    if badge.party != node.party:
        raise AuthenticationError(f"this badge is for the node of {badge.party}, and this is the node of {node.party}")
    matches = matches_badge(badge, _NOBODY if stored is None else stored.secret_hash)
    if stored is None or stored.removed_at is not None or not matches:
        raise AuthenticationError(
            "this badge is not, or no longer, one of this node; whoever controls the node's folder can make another by"
            " `comity person renew` or `comity person add`"
        )
    return stored.person


def approve(act: Act, by: Actor, matter: Matter, *, brought: bytes | None = None) -> Approved | Waiting | Refusal:
    """What became of the matter by one person's approval, in the transaction of the act.

    The same person again replaces the earlier approval and never counts twice. Approvals of removed people and those
    that have run out do not count. `brought` are the bytes that the person brought, kept for whoever comes second.

    Raises:
        AuthenticationError: the person was removed in the meantime.
        ConflictError: the person has too many approvals that wait.
        MalformedRequest: the reason or the matter is over its bound.
        TransitionError: it is not the matter that the person means to complete, or waits no more.
    """
    need = find_need(matter.kind)
    if need is None:
        return Refusal(clause="people", reason=f"no rule says who may {matter.kind}, so nobody may")
    if len(matter.text) > _MAX_MATTER_BYTES:
        raise MalformedRequest(f"what is to be approved is over {_MAX_MATTER_BYTES} bytes; say it shorter")
    why = None if by.why is None else normalise_text(by.why, most=_MAX_REASON_CHARACTERS, where="why")
    person = by.person.id
    stored = people.read_person(act.transaction, person)
    if stored is None or stored.removed_at is not None:
        raise AuthenticationError(f"{person} is no person of this node any more")
    people.delete_expired(act.transaction, now=act.now)
    found = people.read_approvals(act.transaction, matter.digest, now=act.now)
    others = [(approval, end) for approval, end in found if approval.person != person]
    _check_completed(by, matter, others=len(others))
    chosen = choose_role(need, stored.person, [approval for approval, _ in others], named=by.role)
    if chosen is None:
        return _refuse_role(matter, stored.person, need.roles, named=by.role)
    own = Approval(person=person, role=chosen, reason=why, at=act.now)
    weighed = weigh_approvals(need, [*(approval for approval, _ in others), own])
    if isinstance(weighed, Satisfied):
        people.delete_approvals(act.transaction, matter.digest)
        return Approved(approvals=weighed.approvals)
    expires_at = Instant(act.now + APPROVAL_LIFETIME)
    if len(found) == len(others) and people.count_approvals(act.transaction, person) >= _MAX_WAITING_OF_A_PERSON:
        raise ConflictError(
            f"{person} has approved {_MAX_WAITING_OF_A_PERSON} acts that wait for somebody else; `comity approvals`"
            " lists them. Have some done, or let them run out"
        )
    people.put_approval(act.transaction, matter, own, expires_at=expires_at)
    if brought is not None:
        people.keep_brought(act.transaction, matter.digest, brought)
    return Waiting(
        matter=matter,
        approvals=(*(approval for approval, _ in others), own),
        missing=weighed,
        expires_at=min([expires_at, *(end for _, end in others)]),
    )


def _check_completed(by: Actor, matter: Matter, *, others: int) -> None:
    if by.completes is None:
        return
    if matter.digest != by.completes:
        raise TransitionError(
            "what would be signed now is not what was approved: what it rests on (the recognition policy, a manifest,"
            " a suspension, a decision) has changed since. Decline it, and begin anew"
        )
    if not others:
        raise TransitionError(
            "nobody else's approval of it waits: it was done, declined or has run out, or you alone have approved it"
        )


def act_alone(by: Actor, kind: str) -> str | Refusal:
    """The person and the role acted in, as a record names them, for an act that one person can do alone; or a refusal.

    Whether the person is one of this node was asked by `identify`.
    """
    need = find_need(kind)
    if need is None or need.people > 1:
        return Refusal(clause="people", reason=f"no rule says that one person may {kind}, so nobody may alone")
    role = choose_role(need, by.person, (), named=by.role)
    if role is None:
        wanted = " or ".join(sorted(need.roles))
        return Refusal(clause="people", reason=f"{by.person.id} does not act as {wanted}, which {kind} needs")
    return f"{by.person.id} ({role})"


def list_matters(node: Node) -> list[PendingMatter]:
    """Every act that waits for somebody, the one approved first in front.

    Raises:
        CorruptionError: what is kept of one is not what was approved.
    """
    with node.store.read() as transaction:
        kept = people.list_matters(transaction, now=node.clock())
    return [read_pending(item) for item in kept]


def read_pending(item: StoredMatter) -> PendingMatter:
    """What is kept of an act that waits, read.

    Raises:
        CorruptionError: it is not what was approved.
    """
    if sha256_digest(item.body) != item.digest:
        raise CorruptionError(f"the matter {item.digest[:12]}… in the store is not the one that was approved")
    # What has its digest was read strictly when it was approved: it is not held against its canonical form again.
    text, need = parse_json(item.body, limits=SIGNED_LIMITS), find_need(item.kind)
    weighed = None if need is None else weigh_approvals(need, item.approvals)
    return PendingMatter(
        kind=item.kind,
        agreement=item.agreement,
        digest=item.digest,
        facts=text["facts"] if isinstance(text, dict) else None,
        approvals=item.approvals,
        missing=weighed.sentence if isinstance(weighed, Missing) else "nobody: give the command again",
        expires_at=item.expires_at,
    )


def normalise_text(text: str, *, most: int, where: str) -> str:
    """The text as it can stand in the log, which is read strictly: in Unicode form NFC, and within its bound.

    Raises:
        MalformedRequest: it is empty, over `most` characters, or holds what is no text.
    """
    normal = unicodedata.normalize("NFC", text)
    if not normal.strip() or len(normal) > most or any(unicodedata.category(char) == "Cs" for char in normal):
        raise MalformedRequest(f"{where} holds 1 to {most} characters that are text", where=where)
    return normal


def read_prose(text: str) -> str:
    """The text as partners can be told it: lines and tabs are allowed, other characters that do not show are not.

    Raises:
        MalformedRequest: it is empty or too long, or holds characters that do not show.
    """
    normal = normalise_text(text, most=_MAX_REASON_CHARACTERS, where="text")
    return Reader({"text": normal}, "", MalformedRequest).open().maybe_prose("text") or ""


def _refuse_role(matter: Matter, person: Person, roles: Iterable[Role], *, named: Role | None) -> Refusal:
    fitting, held = " or ".join(roles), ", ".join(sorted(person.roles))
    tried = f", not as {named}" if named is not None else ""
    return Refusal(
        clause="people",
        reason=f"{matter.kind} is for people who act as {fitting}{tried}; {person.id} may act as {held}",
    )


# --- who is registered ------------------------------------------------------------------------------------------------


def add_person(node: Node, person: Person) -> Badge:
    """The badge of a person now registered and on record in the log; its secret can be read here and never again.

    Raises:
        ConflictError: the id was given before, be it to somebody removed; or there are too many people.
        MalformedRequest: no role, or a name that is empty or too long.
    """
    if not person.roles:
        raise MalformedRequest("a person needs at least one role", where="role")
    person = replace(person, name=normalise_text(person.name, most=_MAX_NAME_CHARACTERS, where="name"))
    badge = _draw_badge(node, person.id)
    with node.act() as act:
        if len(people.list_persons(act.transaction)) >= _MAX_PEOPLE:
            raise ConflictError(f"{_MAX_PEOPLE} people are on record here, which is the bound")
        if not people.add_person(act.transaction, person, secret_hash=hash_badge(badge), now=act.now):
            raise ConflictError(_say_given(act.transaction, person.id))
        record_change(act, PeopleChange.ADD, person)
    return badge


def _say_given(transaction: Transaction, person: PersonId) -> str:
    stored = people.read_person(transaction, person)
    if stored is not None and stored.removed_at is not None:
        return f"the id {person} was given before, to somebody removed, and is never given again; choose another"
    return (
        f"the id {person} was given before, and is never given again; choose another, or `person renew {person}` if it"
        " is the same person"
    )


def renew_person(node: Node, person: PersonId) -> Badge:
    """A new badge; the one before is dead, and what was approved with it and is not done; sessions and programs end.

    Raises:
        NotFoundError: no such person, or removed.
    """
    badge = _draw_badge(node, person)
    with node.act() as act:
        stored = find_present(act.transaction, person)
        people.renew_person(act.transaction, person, secret_hash=hash_badge(badge))
        people.delete_approvals_of(act.transaction, person)
        sign_ins.delete_sessions_of(act.transaction, person)
        drop_programs(act, stored.person)
        record_change(act, PeopleChange.RENEW, stored.person)
    node.shut_out[person] += 1
    return badge


def remove_person(node: Node, person: PersonId) -> int:
    """How many approvals died with it: from here on the person cannot act or sign in. What was done stays on record.

    Raises:
        NotFoundError: no such person, or removed already.
    """
    with node.act() as act:
        stored = find_present(act.transaction, person)
        people.remove_person(act.transaction, person, now=act.now)
        dropped = people.delete_approvals_of(act.transaction, person)
        sign_ins.delete_sessions_of(act.transaction, person)
        drop_programs(act, stored.person)
        sign_ins.delete_factors(act.transaction, person)
        record_change(act, PeopleChange.REMOVE, stored.person)
    return dropped


def list_people(node: Node) -> list[StoredPerson]:
    """Every person ever registered, in the order of adding."""
    with node.store.read() as transaction:
        return people.list_persons(transaction)


def _draw_badge(node: Node, person: PersonId) -> Badge:
    return Badge(party=node.party, person=person, secret=node.draw(SECRET_BYTES))


def is_present(node: Node, person: PersonId) -> bool:
    """Whether the person is on record and was not removed."""
    with node.store.read() as transaction:
        stored = people.read_person(transaction, person)
    return stored is not None and stored.removed_at is None


def find_present(transaction: Transaction, person: PersonId) -> StoredPerson:
    """The person, who is one of this node's.

    Raises:
        NotFoundError: no such person, or removed.
    """
    stored = people.read_person(transaction, person)
    if stored is None or stored.removed_at is not None:
        raise NotFoundError(f"there is no person {person} at this node; `person list` shows those there are")
    return stored


def drop_programs(act: Act, person: Person) -> int:
    """How many programs could ask in the person's name: none does any more."""
    dropped = programs.list_programs(act.transaction, person.id)
    for program in dropped:
        programs.delete_program(act.transaction, program.hash)
        record_change(act, PeopleChange.DROP, person, factor=name_program(program))
    return sum(act.now < program.expires_at for program in dropped)


def name_program(program: StoredProgram) -> str:
    """What the log calls a program, by its token, what it may ask for and its times: none of that can be altered."""
    # The times as numbers in text: what was altered in the store has a name too, which is not that on record.
    may, times = list[Json](sorted(program.may)), [str(program.made_at), str(program.expires_at)]
    said: dict[str, Json] = {"token": program.hash, "may": may, "times": list[Json](times)}
    return f"program:{sha256_digest(canonical_bytes(said))}"


def record_change(act: Act, change: PeopleChange, person: Person, *, factor: str | None = None) -> None:
    """Put on record what was done with a person; `factor` is what the person signs in by from here on, or no more."""
    content = format_people_content(change, person=person.id, name=person.name, roles=person.roles, factor=factor)
    act.record(EntryType.PEOPLE, content, terms=None, recipient=None, count=1)
