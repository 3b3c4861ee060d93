# SPDX-License-Identifier: Apache-2.0
"""Shell: letters of partners on consent: what is asked of this party, and what a giver grants, refuses and revokes.

A request waits for people, whatever it asks for; whether this party holds that or gave it is not looked up when it
comes, so that nobody learns it from how it is answered. One that the terms cannot be about is shown and not waited for.

A grant counts only as an answer to a request of this party, from whom it asked, of no more than it asked for: for those
versions, each once, that recipient, that purpose, and no longer. Whatever is more is kept, and has no effect. Whichever
of a grant and its revocation comes first, the grant is over then.

Where a grant is revoked, what this party had granted by it ends in the same transaction, and whoever was given such a
grant is told so in this party's own words.
"""

from collections.abc import Sequence
from contextlib import suppress

from comity.agreement.people import Approval
from comity.errors import ConflictError, MalformedError, NotFoundError, TransitionError
from comity.ids import Digest, Instant, ObjectId, parse_instant
from comity.letters.bodies import LetterKind
from comity.letters.consent import ConsentGrant, ConsentRequest, ConsentRevocation, is_wider, rank_actions
from comity.letters.letter import Draft, Letter
from comity.letters.recall import Change, Recall
from comity.node.granting import check_authority
from comity.node.grants import begin_grant, end_grants
from comity.node.letters import send_letter
from comity.node.node import Act, Node
from comity.node.standing import Dossier
from comity.node.withdrawal import find_given, tell
from comity.release.receiving import find_carriers, needs_consent
from comity.store import Transaction, consents, letters
from comity.store.consents import GrantState, StoredGrant
from comity.store.letters import LetterState, StoredLetter

__all__ = ["is_revocable", "revoke", "take_grant", "take_refusal", "take_request", "take_revocation"]

_MOST_EARLY = 16
"""Revocations that come before what they revoke, in answer to one request."""

_PASSED_ON = "whoever it came from has ended the consent"
"""The words of a revocation that is passed on: those of the one that came say who they are of."""


def take_request(node: Node, act: Act, letter: Letter, body: ConsentRequest, dossier: Dossier) -> None:
    """A request, on record already: it waits for people, or the terms cannot be about what it asks for."""
    (terms,) = (version for version in dossier.versions if version.hash == letter.terms)
    fits = body.purpose in terms.purposes and body.recipient not in {node.party, letter.sender}
    for kind in {item.id.split("--")[0] for item in letter.about}:
        fits &= needs_consent(find_carriers(terms.channels, giver=node.party, receiver=letter.sender, kind=kind))
    if not fits:
        letters.settle_letter(act.transaction, letter.digest, LetterState.REFUSED, progress=None, answered_by=None)


def take_grant(node: Node, act: Act, letter: Letter, body: ConsentGrant, dossier: Dossier) -> None:
    """A grant, on record already: what it is about may go to one more party, as far as this party has asked.

    Raises:
        NotFoundError: what it answers is no request for consent, or was not about all that it grants.
    """
    request = _read_request(act.transaction, letter)
    asked = request.letter.body
    assert isinstance(asked, ConsentRequest)  # noqa: S101 (`_read_request`)
    (terms,) = (version for version in dossier.versions if version.hash == request.letter.terms)
    actions, until = body.actions, body.expires_at
    if is_wider(body, asked) or (actions is not None and rank_actions(actions) > rank_actions(terms.permitted_actions)):
        letters.settle_letter(act.transaction, letter.digest, LetterState.REFUSED, progress="wider", answered_by=None)
        return
    if actions is None or until is None:
        _conclude(act, letter, request, "sanitised")
    elif _is_revoked(act.transaction, letter):
        _close(act, letter, "revoked")
    elif until <= act.now:
        _close(act, letter, "expired")
    elif _was_granted(act.transaction, letter, request):
        letters.settle_letter(act.transaction, letter.digest, LetterState.REFUSED, progress="again", answered_by=None)
    else:
        grant = StoredGrant(
            letter=letter.digest,
            request=request.letter.digest,
            sent=False,
            party=letter.sender,
            agreement=letter.agreement,
            recipient=body.recipient,
            purpose=body.purpose,
            actions=actions,
            conditions=body.conditions,
            expires_at=until,
            state=GrantState.GOOD,
            ended_at=None,
        )
        begin_grant(act, node.party, grant)
        _conclude(act, letter, request, "granted")


def take_refusal(act: Act, letter: Letter) -> None:
    """A refusal, on record already; it ends no grant: that is what a revocation is for.

    Raises:
        NotFoundError: what it answers is no request for consent.
    """
    request = _read_request(act.transaction, letter)
    if request.state is LetterState.OPEN:
        _conclude(act, letter, request, "refused")
    else:
        _close(act, letter, "refused")


def take_revocation(node: Node, act: Act, letter: Letter, body: ConsentRevocation) -> None:
    """A revocation, on record already: what its grant let go goes no more, and what rests on that here ends too.

    Raises:
        NotFoundError: what it answers is no request for consent.
        ConflictError: so many came before what they revoke that no more are taken until it has come.
    """
    transaction = act.transaction
    request = _read_request(transaction, letter)
    grant = _find_revoked(transaction, letter, body)
    if grant is None:
        _check_early(transaction, request)
    _close(act, letter, "revoked")
    if grant is None or grant.state is GrantState.REVOKED:
        return
    end_grants(act, node.party, [grant], GrantState.REVOKED)
    letters.settle_letter(
        transaction, request.letter.digest, LetterState.CLOSED, progress="revoked", answered_by=letter.digest
    )
    _pass_on(node, act, grant, because=letter.digest, takes_back=body.recall)
    if body.recall:
        _take_back(node, act, grant, because=letter.digest)


def _check_early(transaction: Transaction, request: StoredLetter) -> None:
    """All of them are read whenever a grant comes: it may be one that was revoked before."""
    name = request.letter.digest
    known = len(consents.list_grants(transaction, name))
    if letters.count_answers(transaction, name, LetterKind.CONSENT_REVOCATION) > known + _MOST_EARLY:
        raise ConflictError(f"{_MOST_EARLY} revocations of {request.party} wait for what they revoke already")


def is_revocable(act: Act, letter: Letter, body: ConsentRevocation) -> bool:
    """Whether the letter would end a grant that its sender gave and that lets something go."""
    grant = _find_revoked(act.transaction, letter, body)
    return grant is not None and grant.state is GrantState.GOOD


def _read_request(transaction: Transaction, letter: Letter) -> StoredLetter:
    """The request that the letter answers, once it was about all that the letter is about.

    That this party sent it to this sender under this agreement was asked before (`node.letterbox`).
    """
    answered = None if letter.answers is None else letters.read_letter(transaction, letter.answers)
    if answered is None or answered.letter.kind is not LetterKind.CONSENT_REQUEST:
        raise NotFoundError("it answers what is no request for consent")
    if not set(letter.about) <= set(answered.letter.about):
        raise NotFoundError("it is about something that was not asked about")
    return answered


def _find_revoked(transaction: Transaction, letter: Letter, body: ConsentRevocation) -> StoredGrant | None:
    """The grant that the letter ends: one that came from its sender, as an answer to the same request."""
    grant = consents.read_grant(transaction, body.grant)
    if grant is None or grant.sent or (grant.party, grant.request) != (letter.sender, letter.answers):
        return None
    return grant


def _was_granted(transaction: Transaction, letter: Letter, request: StoredLetter) -> bool:
    """Whether a version that the letter is about was granted before in answer to the same request.

    So the grants that are asked about a version are no more than the requests that this party sent for it.
    """
    before = consents.list_grants(transaction, request.letter.digest)
    return any(not set(letter.about).isdisjoint(consents.read_about(transaction, grant.letter)) for grant in before)


def _is_revoked(transaction: Transaction, letter: Letter) -> bool:
    """Whether the revocation of this grant came before it."""
    assert letter.answers is not None  # noqa: S101 (`_read_request`)
    return any(
        isinstance(answer.letter.body, ConsentRevocation) and answer.letter.body.grant == letter.digest
        for answer in letters.list_answers(transaction, letter.answers, kind=LetterKind.CONSENT_REVOCATION)
    )


def _pass_on(node: Node, act: Act, ended: StoredGrant, *, because: Digest, takes_back: bool) -> None:
    """End what this party has granted of the same objects to the same recipient, and could not grant now.

    What was passed on by a grant that has run out is still where it went: it is taken back with the rest.
    """
    transaction = act.transaction
    about = {item.id for item in consents.read_about(transaction, ended.letter)}
    listed = consents.list_granted(transaction, about, sent=True, past=takes_back, now=act.now)
    for grant in {item.grant.letter: item.grant for item in listed}.values():
        if grant.recipient == ended.recipient and not _is_covered(act, grant):
            body = ConsentRevocation(grant=grant.letter, recall=takes_back, reason=_PASSED_ON)
            revoke(node, act, grant, body, because=because)


def _is_covered(act: Act, grant: StoredGrant) -> bool:
    """Whether this party could still grant all that it has by `grant`: what else lets it may be narrower."""
    kept, request = (letters.read_letter(act.transaction, name) for name in (grant.letter, grant.request))
    assert kept is not None  # noqa: S101 (letters are kept for good)
    assert request is not None  # noqa: S101 (likewise)
    assert isinstance(kept.letter.body, ConsentGrant)  # noqa: S101 (it is the letter of a grant)
    try:
        check_authority(act, request, kept.letter.body)
    except TransitionError:
        return False
    return True


def revoke(
    node: Node,
    act: Act,
    grant: StoredGrant,
    body: ConsentRevocation,
    *,
    because: Digest | None,
    approvals: Sequence[Approval] = (),
) -> Letter:
    """The letter that ends a grant which this party sent."""
    request = letters.read_letter(act.transaction, grant.request)
    kept = letters.read_letter(act.transaction, grant.letter)
    assert request is not None  # noqa: S101 (letters are kept for good)
    assert kept is not None  # noqa: S101 (likewise)
    draft = Draft(
        body=body,
        to=grant.party,
        agreement=grant.agreement,
        terms=kept.letter.terms,
        about=kept.letter.about,
        answers=grant.request,
    )
    letter = send_letter(node, act, draft, because=because, approvals=approvals)
    end_grants(act, node.party, [grant], GrantState.REVOKED)
    letters.settle_letter(
        act.transaction, grant.request, LetterState.CLOSED, progress="revoked", answered_by=letter.digest
    )
    return letter


def _take_back(node: Node, act: Act, grant: StoredGrant, *, because: Digest) -> None:
    """Recall from the recipient what this party has given it of what the grant was about."""
    wanted: dict[ObjectId, set[Instant]] = {}
    for item in consents.read_about(act.transaction, grant.letter):
        with suppress(MalformedError):  # what its giver calls a version is no time: nothing of it can be held
            wanted.setdefault(item.id, set()).add(parse_instant(item.version))
    given = [item for item in find_given(act.transaction, wanted) if item.recipient == grant.recipient]
    tell(node, act, given, Recall(change=Change.WITHDRAW, reason=_PASSED_ON), because=because)


def _conclude(act: Act, letter: Letter, request: StoredLetter, progress: str) -> None:
    """The request is answered by the letter; nothing more is waited for of either."""
    _close(act, letter, progress)
    letters.settle_letter(
        act.transaction, request.letter.digest, LetterState.CLOSED, progress=progress, answered_by=letter.digest
    )


def _close(act: Act, letter: Letter, progress: str) -> None:
    letters.settle_letter(act.transaction, letter.digest, LetterState.CLOSED, progress=progress, answered_by=None)
