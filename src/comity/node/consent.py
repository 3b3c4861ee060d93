# SPDX-License-Identifier: Apache-2.0
"""Shell: this party's people ask for consent to pass something on, grant it, refuse it, revoke it.

A grant lets something of this party go to somebody it has not chosen itself: it takes two different people, one of whom
acts as legal. Asking, refusing and revoking take one.

Whoever received something under terms that need consent cannot grant it by itself: it asks its own giver in its own
name, and passes on no more than it was granted: not to another recipient, nor for another purpose, nor for longer. No
letter says who stands behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from comity.agreement.people import Approval, make_matter
from comity.agreement.recognition import Refusal
from comity.canonical import Json
from comity.errors import ConflictError, MalformedRequest, NotFoundError, TransitionError
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId, format_instant
from comity.letters.bodies import LetterKind
from comity.letters.consent import (
    ConsentGrant,
    ConsentRefusal,
    ConsentRequest,
    ConsentRevocation,
)
from comity.letters.letter import MAX_ABOUT, About, Draft, Letter
from comity.node.bounds import Onward, read_every_way, read_onward
from comity.node.consented import revoke
from comity.node.explain import explain, find_object
from comity.node.granting import Offer, check_authority, check_given, make_grant, read_text, was_given
from comity.node.grants import keep_grants
from comity.node.letters import find_letter, send_letter
from comity.node.node import Act, Node
from comity.node.people import Actor, Approved, Waiting, approve, read_prose
from comity.node.standing import read_dossier
from comity.stix.labels import RECALLED
from comity.store import Transaction, consents, letters, objects
from comity.store.arrivals import Arrival
from comity.store.consents import GrantState, StoredGrant
from comity.store.deletions import Way
from comity.store.letters import LetterState, StoredLetter
from comity.store.objects import StoredObject
from comity.vocabulary import PURPOSES

__all__ = [
    "Asked",
    "GrantState",
    "LetterState",
    "Offer",
    "Said",
    "StoredGrant",
    "StoredLetter",
    "grant_consent",
    "list_consents",
    "list_consents_of",
    "list_requests_about",
    "refuse_consent",
    "request_consent",
    "revoke_consent",
    "show_consent",
]

_MAX_OBJECTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said, in letters that are on record and queued, by whom."""

    letters: tuple[Letter, ...]
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, with the letters that answer it and the grants among them; the newest last.

    `given` says of a request that came whether this party has given its sender all that it is about, by its own log;
    None where that was not looked up. So with `left`: whether the other party has left the agreement.
    """

    stored: StoredLetter
    answers: tuple[StoredLetter, ...]
    grants: tuple[StoredGrant, ...]
    given: bool | None = None
    left: bool | None = None


def request_consent(
    node: Node,
    prefixes: Sequence[str],
    *,
    to: PartyId,
    purpose: str,
    reason: str,
    until: Instant | None,
    by: Actor,
    newest: str | None = None,
) -> Said | Waiting | Refusal:
    """The requests to everybody that the newest versions of these objects came from, to pass them on to `to`.

    `newest` is the version that the person saw of them, where there is one and that was said.

    Raises:
        NotFoundError, MalformedRequest: an object, the purpose, the reason or the time.
        TransitionError: nobody's consent is needed for one, or nobody's would be enough.
        ConflictError: another version is the newest than the person saw.
    """
    reason = read_prose(reason)
    if purpose not in PURPOSES:
        raise MalformedRequest(
            f"{purpose[:80]!r} is no purpose; they are {', '.join(sorted(PURPOSES))}", where="purpose"
        )
    if to == node.party:
        raise MalformedRequest(f"{to} is this party, which holds it already", where="to")
    if not 1 <= len(prefixes) <= _MAX_OBJECTS:
        raise MalformedRequest(f"name 1 to {_MAX_OBJECTS} objects", where="objects")
    keep_grants(node)
    with node.act() as act:
        if until is not None and until <= act.now:
            raise MalformedRequest("that time has passed already", where="until")
        body = ConsentRequest(recipient=to, purpose=purpose, reason=reason, until=until)
        items = {item.id: item for prefix in prefixes for item in [find_object(act.transaction, prefix)]}
        if newest is not None and {item.version for item in items.values()} != {newest}:
            raise ConflictError("another version is the newest than when you looked; look at it, and ask for that")
        drafts = _draft_requests(act.transaction, node.party, tuple(items.values()), body)
        facts: dict[str, Json] = {
            "objects": [{"id": item.id, "version": item.version} for item in items.values()],
            "recipient": to,
            "purpose": purpose,
            "reason": reason,
            "until": None if until is None else format_instant(until),
        }
        authorised = approve(act, by, make_matter("request-consent", agreement=None, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        sent = tuple(send_letter(node, act, draft, approvals=authorised.approvals) for draft in drafts)
        return Said(letters=sent, approvals=authorised.approvals)


def grant_consent(node: Node, prefix: str, offer: Offer, *, by: Actor) -> Said | Waiting | Refusal:
    """The grant that answers the request whose name begins with `prefix`, once two people have approved it.

    Raises:
        NotFoundError, MalformedRequest: the request, or what is offered.
        TransitionError: it is answered, or this party cannot grant it.
    """
    keep_grants(node)
    if offer.sanitised is not None:
        _check_nameable(node, prefix, offer.sanitised)
    with node.act() as act:
        request, asked = _find_open(act.transaction, prefix)
        body = make_grant(act, node.party, request, asked, offer)
        check_given(act.transaction, request)
        if body.sanitised is None:
            check_authority(act, request, body)
        facts: dict[str, Json] = {
            "request": request.letter.digest,
            "to": request.party,
            "recipient": body.recipient,
            "purpose": body.purpose,
            "expires_at": None if body.expires_at is None else format_instant(body.expires_at),
            "actions": body.actions,
            "conditions": body.conditions,
            "sanitised": None
            if body.sanitised is None
            else {"id": body.sanitised.id, "version": body.sanitised.version},
            "about": [{"id": item.id, "version": item.version} for item in request.letter.about],
        }
        authorised = approve(act, by, make_matter("consent", agreement=request.letter.agreement, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        letter = send_letter(node, act, _answer(request, body), approvals=authorised.approvals)
        if body.expires_at is not None and body.actions is not None:
            grant = StoredGrant(
                letter=letter.digest,
                request=request.letter.digest,
                sent=True,
                party=request.party,
                agreement=letter.agreement,
                recipient=body.recipient,
                purpose=body.purpose,
                actions=body.actions,
                conditions=body.conditions,
                expires_at=body.expires_at,
                state=GrantState.GOOD,
                ended_at=None,
            )
            consents.add_grant(act.transaction, grant)
        _close(act, request, letter, "granted" if body.sanitised is None else "sanitised")
        return Said(letters=(letter,), approvals=authorised.approvals)


def refuse_consent(node: Node, prefix: str, *, reason: str | None, by: Actor) -> Said | Waiting | Refusal:
    """The refusal that answers the request whose name begins with `prefix`.

    Raises:
        NotFoundError, MalformedRequest: the request, or the reason.
        TransitionError: it is answered.
    """
    said = None if reason is None else read_prose(reason)
    with node.act() as act:
        request, _ = _find_open(act.transaction, prefix)
        facts: dict[str, Json] = {"request": request.letter.digest, "reason": said}
        authorised = approve(act, by, make_matter("refuse-consent", agreement=request.letter.agreement, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        letter = send_letter(node, act, _answer(request, ConsentRefusal(reason=said)), approvals=authorised.approvals)
        _close(act, request, letter, "refused")
        return Said(letters=(letter,), approvals=authorised.approvals)


def revoke_consent(
    node: Node, prefix: str, *, reason: str | None, takes_back: bool, by: Actor
) -> Said | Waiting | Refusal:
    """The end of the grant that `prefix` names, by its letter or by the request that it answers.

    With `takes_back` what was passed on by it is recalled by whoever passed it on.

    Raises:
        NotFoundError, MalformedRequest: the grant, or the reason.
        TransitionError: it was revoked before.
    """
    said = None if reason is None else read_prose(reason)
    keep_grants(node)
    with node.act() as act:
        grant = _find_sent(act.transaction, prefix)
        facts: dict[str, Json] = {"grant": grant.letter, "recall": takes_back, "reason": said}
        authorised = approve(act, by, make_matter("revoke-consent", agreement=grant.agreement, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        body = ConsentRevocation(grant=grant.letter, recall=takes_back, reason=said)
        letter = revoke(node, act, grant, body, because=None, approvals=authorised.approvals)
        return Said(letters=(letter,), approvals=authorised.approvals)


def list_consents(node: Node, *, limit: int) -> tuple[list[Asked], list[Asked]]:
    """The last requests that this party sent, and those that it received, newest first."""
    with node.store.read() as transaction:
        sent, received = (
            letters.list_letters(transaction, LetterKind.CONSENT_REQUEST, sent=sent, limit=limit)
            for sent in (True, False)
        )
        return [_read_asked(transaction, item) for item in sent], [_read_asked(transaction, item) for item in received]


def list_requests_about(node: Node, item: ObjectId) -> tuple[list[Asked], list[Asked]]:
    """The requests for versions of an object that this party sent, and those that it received, newest first."""
    with node.store.read() as transaction:
        sent, received = (
            letters.list_about(transaction, item, LetterKind.CONSENT_REQUEST, sent=sent)[::-1] for sent in (True, False)
        )
        return [_read_asked(transaction, one) for one in sent], [_read_asked(transaction, one) for one in received]


def list_consents_of(node: Node, item: ObjectId) -> tuple[StoredGrant, ...]:
    """The grants that this party received for versions of an object, oldest request first."""
    with node.store.read() as transaction:
        asked = letters.list_about(transaction, item, LetterKind.CONSENT_REQUEST, sent=True)
        return tuple(grant for one in asked for grant in consents.list_grants(transaction, one.letter.digest))


def show_consent(node: Node, prefix: str) -> Asked:
    """The request whose name, or the name of an answer to which, begins with `prefix`.

    Raises:
        NotFoundError, MalformedRequest: there is none, or several.
    """
    with node.store.read() as transaction:
        stored = _find_request(transaction, prefix)
        given = None if stored.sent else was_given(transaction, stored)
        dossier = read_dossier(node, transaction, stored.letter.agreement)
        left = None if dossier is None else stored.party in dossier.left()
        return replace(_read_asked(transaction, stored), given=given, left=left)


# --- asking -----------------------------------------------------------------------------------------------------------


def _draft_requests(
    transaction: Transaction, own: PartyId, items: Sequence[StoredObject], body: ConsentRequest
) -> list[Draft]:
    """One for each giver and text that it came under, or several where it would be about too much."""
    came = read_every_way(transaction, items)
    asked: dict[tuple[PartyId, AgreementId, Digest], list[About]] = {}
    for item in items:
        ways = _find_ways(transaction, own, item, came.get(item.pk, ()), body)
        for (giver, agreement), terms in ways.items():
            about = asked.setdefault((giver, agreement, terms), [])
            about.append(About(id=item.id, version=item.version, digest=item.digest))
    return [
        Draft(body=body, to=giver, agreement=agreement, terms=terms, about=tuple(about[start : start + MAX_ABOUT]))
        for (giver, agreement, terms), about in sorted(asked.items())
        for start in range(0, len(about), MAX_ABOUT)
    ]


def _find_ways(
    transaction: Transaction, own: PartyId, item: StoredObject, came: Sequence[Arrival | Way], body: ConsentRequest
) -> dict[tuple[PartyId, AgreementId], Digest]:
    """Whose consent is needed for the object, under which agreement and text."""
    label = objects.read_label(transaction, item.own_label)
    if label.audience is None:
        raise TransitionError(f"{item.id} is this party's own: nobody's consent is needed")
    if body.recipient in label.audience:
        raise TransitionError(f"{item.id} may be given to {body.recipient} already, as far as its givers are concerned")
    if RECALLED in label.markings:
        raise TransitionError(f"{item.id} was recalled: it is given to nobody, whoever consents")
    found: dict[tuple[PartyId, AgreementId], Digest] = {}
    # What its giver's log shows counts before what it only wrote here: it grants by its log.
    for way in sorted(came, key=lambda way: way.receipt is not None):
        if way.giver == body.recipient:
            raise TransitionError(f"{item.id} came from {way.giver} itself")
        onward = read_onward(transaction, own, way, kind=item.type)
        if body.recipient in onward.listed:
            continue
        if not onward.by_consent:
            raise TransitionError(_say_without_consent(item.id, way, onward))
        terms = read_text(transaction, way.terms)
        if body.purpose not in terms.purposes:
            known = ", ".join(sorted(terms.purposes))
            raise MalformedRequest(f"{item.id} came for the purposes {known}, and not {body.purpose}", where="purpose")
        found[way.giver, terms.agreement_id] = way.terms
    return found


def _say_without_consent(name: ObjectId, way: Arrival | Way, onward: Onward) -> str:
    """Why nobody's consent would let it go that came that way."""
    if not onward.channels:
        return (
            f"{name} came from {way.giver}, a source that signs no agreements and consents to nothing: this party's own"
            " terms of receipt say whom it may reach"
        )
    names = ", ".join(f"{channel.id} ({channel.onward})" for channel in onward.channels)
    return (
        f"{name} came from {way.giver} under terms that know no consent for it: the channels are {names};"
        " propose other terms"
    )


# --- granting ---------------------------------------------------------------------------------------------------------


def _check_nameable(node: Node, prefix: str, sanitised: str) -> None:
    """Nothing, once whoever asks would be given the sanitised version: the letter tells it that there is one.

    Raises:
        NotFoundError, MalformedRequest: the request or the object, or it would be withheld.
        TransitionError: the request is answered.
    """
    with node.store.read() as transaction:
        request, _ = _find_open(transaction, prefix)
    said = explain(node, sanitised, to=request.party)
    if said.verdict.decision == "withhold":
        raise MalformedRequest(
            f"{said.object.id} would not be given to {request.party}, which must not learn of it then:"
            f" {said.verdict.clause}: {said.verdict.reason}",
            where="sanitised",
        )


# --- finding ----------------------------------------------------------------------------------------------------------


def _find_request(transaction: Transaction, prefix: str) -> StoredLetter:
    """The request that `prefix` names, by itself or by an answer to it."""
    stored = find_letter(transaction, prefix)
    if stored.letter.kind is not LetterKind.CONSENT_REQUEST and stored.letter.answers is not None:
        answered = letters.read_letter(transaction, stored.letter.answers)
        stored = stored if answered is None else answered
    if stored.letter.kind is not LetterKind.CONSENT_REQUEST:
        raise NotFoundError(f"the letter {prefix!r} is no request for consent, nor an answer to one")
    return stored


def _find_open(transaction: Transaction, prefix: str) -> tuple[StoredLetter, ConsentRequest]:
    """The request that came and that nobody here has answered."""
    stored = _find_request(transaction, prefix)
    body = stored.letter.body
    if stored.sent or not isinstance(body, ConsentRequest):
        raise NotFoundError(f"the request {prefix!r} is this party's own; {stored.letter.to} answers it")
    if stored.state is LetterState.REFUSED:
        raise TransitionError("what it asks for the terms cannot let anybody grant: consent show says what that is")
    if stored.state is not LetterState.OPEN:
        raise TransitionError(f"it was answered: {stored.progress}")
    return stored, body


def _find_sent(transaction: Transaction, prefix: str) -> StoredGrant:
    """The grant of this party that `prefix` names and that was not revoked."""
    stored = _find_request(transaction, prefix)
    grants = [grant for grant in consents.list_grants(transaction, stored.letter.digest) if grant.sent]
    if not grants:
        raise NotFoundError(f"this party has granted nothing by {prefix!r}")
    (grant,) = grants  # a request is answered once (`_find_open`)
    if grant.state is GrantState.REVOKED:
        raise TransitionError("it was revoked before")
    return grant


def _read_asked(transaction: Transaction, stored: StoredLetter) -> Asked:
    digest = stored.letter.digest
    return Asked(
        stored=stored,
        answers=tuple(letters.list_answers(transaction, digest)),
        grants=tuple(consents.list_grants(transaction, digest)),
    )


def _close(act: Act, request: StoredLetter, answer: Letter, progress: str) -> None:
    letters.settle_letter(
        act.transaction, request.letter.digest, LetterState.CLOSED, progress=progress, answered_by=answer.digest
    )


def _answer(request: StoredLetter, body: ConsentGrant | ConsentRefusal) -> Draft:
    letter = request.letter
    return Draft(
        body=body,
        to=letter.sender,
        agreement=letter.agreement,
        terms=letter.terms,
        about=letter.about,
        answers=letter.digest,
    )
