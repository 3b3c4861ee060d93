# SPDX-License-Identifier: Apache-2.0
"""Pure: the persons of one party, and how many of them, in which roles, an act of that party needs.

    find_need("accept")                       -> two different people, one of whom acts as legal
    weigh_approvals(need, [anna as liaison])  -> Missing(sentence="a second person, who acts as legal")
    weigh_approvals(need, [anna, boris as legal]) -> Satisfied((anna, boris))

An approval is about one matter: everything that the act will sign, as canonical bytes, named by their SHA-256.
Approvals of different matters never add up, so that nobody can be made to complete a text that he has not read.

Not here: who somebody is, whether he is still there, and whether his approval has run out (`node.people`).
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from comity.canonical import Json, canonical_bytes, parse_signed_json, sha256_digest
from comity.errors import MalformedError, MalformedRequest
from comity.ids import AgreementId, Digest, Instant, PartyId, PersonId, parse_digest, parse_party_id, parse_person_id

__all__ = [
    "NEEDS",
    "SECRET_BYTES",
    "Approval",
    "Badge",
    "Matter",
    "Missing",
    "Need",
    "Person",
    "Role",
    "Satisfied",
    "choose_role",
    "find_need",
    "format_badge",
    "hash_badge",
    "make_matter",
    "matches_badge",
    "parse_badge",
    "parse_role",
    "weigh_approvals",
]

_BADGE_FORMAT = "comity-badge/1"
_MATTER_FORMAT = "comity-matter/1"
_MAX_BADGE_BYTES = 1_024
SECRET_BYTES = 32


class Role(StrEnum):
    """What a person may act as. A key's role is another thing (`comity.signing`)."""

    ANALYST = "analyst"
    LIAISON = "liaison"
    LEGAL = "legal"
    AUDITOR = "auditor"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person of this party. `id` is given once and never again; `roles` are those the person may act in."""

    id: PersonId
    name: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who said yes, acting as what, why (None: nothing was said), and when."""

    person: PersonId
    role: Role
    reason: str | None
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """How many different people an act needs, in which roles (the first to choose in front), one of them `one_as`."""

    people: int
    roles: tuple[Role, ...]
    one_as: Role | None


_TWO = Need(people=2, roles=(Role.LEGAL, Role.LIAISON), one_as=Role.LEGAL)
_ONE = Need(people=1, roles=(Role.LIAISON, Role.LEGAL), one_as=None)
_KEYS = Need(people=2, roles=(Role.LEGAL, Role.LIAISON, Role.OPERATOR), one_as=Role.LEGAL)
# Whoever finds that something is wrong must be able to take it back, and whoever answers for partners.
_ASK = Need(people=1, roles=(Role.LIAISON, Role.ANALYST), one_as=None)
_RECALL = Need(people=1, roles=(Role.LIAISON, Role.LEGAL, Role.ANALYST), one_as=None)
_DESK = Need(people=1, roles=(Role.ANALYST, Role.LIAISON, Role.LEGAL), one_as=None)
_NECESSITY = Need(people=2, roles=(Role.LEGAL, Role.LIAISON, Role.ANALYST), one_as=Role.LEGAL)
_RULES = Need(people=2, roles=(Role.ANALYST, Role.LIAISON, Role.LEGAL), one_as=None)
# Whoever watches the machine at night must be able to stop it.
_STOP = Need(people=1, roles=(Role.LIAISON, Role.LEGAL, Role.OPERATOR), one_as=None)

NEEDS: Mapping[str, Need] = {
    "propose": _TWO,
    "counter": _TWO,
    "accept": _TWO,
    "resume": _TWO,
    "accede": _TWO,
    "admit": _TWO,
    "consent": _TWO,
    # What takes evidence away, or gives the log another name.
    "purge": _TWO,
    "recover": _TWO,
    # What lets other keys speak for a partner, or lets something stand that its giver does not show.
    "repin": _TWO,
    "waive": _TWO,
    # What this party may do with what comes in under no agreement.
    "source": _TWO,
    # A manifest binds the party: by it partners know whose signatures are its own.
    "rotate": _KEYS,
    "renew": _KEYS,
    "tls": _KEYS,
    "suspend": _STOP,
    "revoke-key": _STOP,
    "recall": _RECALL,
    "request": _ASK,
    "reply": _ASK,
    "withdraw-request": _ASK,
    "keep-recalled": _ONE,
    "drop-source": _STOP,
    "request-consent": _RECALL,
    "refuse-consent": _ONE,
    "revoke-consent": _ONE,
    "import": _ONE,
    "terminate": _ONE,
    "reject": _ONE,
    "withdraw": _ONE,
    "leave": _ONE,
    "clarify": _ONE,
    "answer": _ONE,
    # Whoever reads a report says what it is about; a rule says it of all at once, and a subject that left its list goes
    # on only if two people say so.
    "say": _DESK,
    "take-back": _DESK,
    "assess": _DESK,
    "apply-rules": _RULES,
    "end-rules": _DESK,
    "load-list": _DESK,
    "review-list": _DESK,
    "keep-subject": _TWO,
    "stop-subject": _DESK,
    # No machine can tell whether it is strictly necessary to give such data: two people say so, one of them as legal.
    "decide-necessity": _NECESSITY,
    # Without the word nobody would have to decide any more.
    "take-back-safeguard": _NECESSITY,
    "apply-rules-safeguard": _NECESSITY,
    "end-rules-safeguard": _NECESSITY,
    "end-necessity": _DESK,
    "same-person": _DESK,
    "other-person": _DESK,
    # What an article says is for whoever reads it to say; it lets nothing out that terms and markings do not.
    "confirm-drafts": _DESK,
    "strike-drafts": _DESK,
    "correct-draft": _DESK,
    "make-report": _DESK,
    "delete-article": _DESK,
    "retain": _ONE,
    "delete": _ONE,
    "review": _ONE,
}
"""Kind of act → what it needs. What lets more out, or binds the party, needs two; what stops needs one. A kind that is
not here may be done by nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Satisfied:
    """Enough people approved: these, one approval each, in the order of time."""

    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """How many more people are needed, as which role one must act (None: any that fits), and both as a sentence."""

    people: int
    role: Role | None
    sentence: str


def find_need(kind: str) -> Need | None:
    """What acts of this kind need; None when nobody may do them."""
    return NEEDS.get(kind)


def weigh_approvals(need: Need, approvals: Iterable[Approval]) -> Satisfied | Missing:
    """Whether these approvals of one matter satisfy `need`, or what is missing.

    A person counts once, whatever roles the approvals name; an approval in a role that does not fit counts for nothing.
    """
    counted = _count_each_once(need, approvals)
    lacks_role = need.one_as is not None and need.one_as not in {approval.role for approval in counted}
    # With everybody there but the one role, one more person is needed: nobody acts twice.
    people = max(need.people - len(counted), 1 if lacks_role else 0)
    if people == 0:
        return Satisfied(approvals=counted)
    role = need.one_as if lacks_role else None
    return Missing(people=people, role=role, sentence=_describe_missing(need, len(counted), people, role))


def choose_role(need: Need, person: Person, others: Iterable[Approval], *, named: Role | None = None) -> Role | None:
    """The role in which `person` acts: the one `named`, if it is held and fits, else the one that satisfies best.

    Best is the role that is still missing among `others`; then the first of the need's roles that the person holds.
    None when the person holds no role that fits.
    """
    fitting = [role for role in need.roles if role in person.roles]
    if named is not None:
        return named if named in fitting else None
    filled = {approval.role for approval in others if approval.person != person.id}
    if need.one_as in fitting and need.one_as not in filled:
        return need.one_as
    return fitting[0] if fitting else None


def parse_role(text: str) -> Role:
    """The role of a person that `text` is.

    Raises:
        MalformedRequest: no such role.
    """
    try:
        return Role(text)
    except ValueError as error:
        known = ", ".join(Role)
        raise MalformedRequest(f"{text[:80]!r} is not a role of people; the roles are {known}", where="role") from error


def _count_each_once(need: Need, approvals: Iterable[Approval]) -> tuple[Approval, ...]:
    """One approval for each person: that in the role which satisfies most, and of equal ones the first."""
    chosen: dict[PersonId, Approval] = {}
    for approval in sorted(approvals, key=lambda item: (item.at, item.person, item.role)):
        if approval.role not in need.roles:
            continue
        known = chosen.get(approval.person)
        if known is None or (approval.role is need.one_as and known.role is not need.one_as):
            chosen[approval.person] = approval
    return tuple(sorted(chosen.values(), key=lambda item: (item.at, item.person)))


def _describe_missing(need: Need, counted: int, people: int, role: Role | None) -> str:
    if people > 1:
        tail = f", one of whom acts as {role}" if role else ""
        return f"{people} {'more' if counted else 'different'} people{tail}"
    who = {0: "one person", 1: "a second person"}.get(counted, "one more person")
    return f"{who}, who acts as {role or ' or '.join(need.roles)}"


# --- what is approved -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What exactly people approve: the kind of act, its agreement if there is one, and all that will be signed.

    `text` is canonical JSON and `digest` its SHA-256, under which approvals are kept.
    """

    kind: str
    agreement: AgreementId | None
    facts: Mapping[str, Json]
    text: bytes

    @property
    def digest(self) -> Digest:
        """The name of the matter."""
        return sha256_digest(self.text)


def make_matter(kind: str, *, agreement: AgreementId | None, facts: Mapping[str, Json]) -> Matter:
    """The matter of an act of `kind`; `facts` must hold everything that tells two acts apart which sign other things.

    Raises:
        MalformedJson: a fact has no canonical form or could not be read again: a text must be in Unicode form NFC.
    """
    text = canonical_bytes({"format": _MATTER_FORMAT, "kind": kind, "agreement": agreement, "facts": dict(facts)})
    parse_signed_json(text)
    return Matter(kind=kind, agreement=agreement, facts=dict(facts), text=text)


# --- badges -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """What a person shows: whose node it is for, who the person says to be, and 32 random bytes that prove it."""

    party: PartyId
    person: PersonId
    secret: bytes

    def __repr__(self) -> str:
        """Without the secret: a traceback or a log must not give it away."""
        return f"Badge(party={self.party!r}, person={self.person!r})"


def format_badge(badge: Badge) -> bytes:
    """The bytes of a badge file: one line of canonical JSON."""
    value: Json = {
        "format": _BADGE_FORMAT,
        "party": badge.party,
        "person": badge.person,
        "secret": badge.secret.hex(),
    }
    return canonical_bytes(value) + b"\n"


def parse_badge(data: bytes) -> Badge:
    """The badge in the bytes of a badge file; nothing in it is believed yet.

    Raises:
        MalformedRequest: it is none. What stands in it is never repeated in the message: it may be a secret.
    """
    refused = MalformedRequest(
        "what was given with --as is not a badge; name the file that `comity person add … --badge FILE` wrote",
        where="--as",
    )
    if len(data) > _MAX_BADGE_BYTES:
        raise refused
    try:
        match parse_signed_json(data.removesuffix(b"\n")):
            case {
                "format": "comity-badge/1",
                "party": str(party),
                "person": str(person),
                "secret": str(secret),
                **rest,
            } if not rest:
                return Badge(
                    party=parse_party_id(party),
                    person=parse_person_id(person),
                    secret=bytes.fromhex(parse_digest(secret)),  # 32 bytes have the form of a digest
                )
            case _:
                pass
    except MalformedError:
        pass
    raise refused


def hash_badge(badge: Badge) -> Digest:
    """What is kept of a badge: SHA-256 over a domain line, party, person and secret.

    The secret is 256 random bits, so that a plain hash cannot be searched; a slow one is for what people can remember.
    """
    text = f"{_BADGE_FORMAT}\n{badge.party}\n{badge.person}\n".encode() + badge.secret
    return Digest(hashlib.sha256(text).hexdigest())


def matches_badge(badge: Badge, kept: Digest) -> bool:
    """Whether `kept` is the hash of this badge, in a time that does not tell how much of it agrees."""
    return hmac.compare_digest(hash_badge(badge), kept)
