# SPDX-License-Identifier: Apache-2.0
"""Shell: letters of partners, verified, on record, and handed to whoever acts on their kind, in one transaction.

Who sends a letter on an agreement that it is not a party of gets the answer of one on an agreement that nobody here has
heard of, and nothing is kept. A repeated letter changes nothing, and a letter that overtook another does no harm: what
follows from a kind is made so that the order of arrival does not matter. What one partner can make this node keep is
bounded, but for what stops something that its sender gave.

The one table of what a node does with a kind is `_act_on`; the kinds are in `letters.bodies`.
"""

from dataclasses import dataclass
from typing import assert_never

from comity.agreement.events import CARRIES_TERMS
from comity.errors import ConflictError, NotFoundError, UnknownKey, VerificationError
from comity.ids import Digest, PartyId
from comity.letters.consent import ConsentGrant, ConsentRefusal, ConsentRequest, ConsentRevocation
from comity.letters.letter import Letter, parse_letter, verify_letter
from comity.letters.recall import Recall, RecallAcknowledgement
from comity.letters.request import Reply, Request, RequestWithdrawal
from comity.node import requested
from comity.node.consented import is_revocable, take_grant, take_refusal, take_request, take_revocation
from comity.node.letters import record_letter
from comity.node.node import Act, Node
from comity.node.parties import read_manifests
from comity.node.recalled import is_recallable, take_acknowledgement, take_recall
from comity.node.standing import Dossier, read_dossier
from comity.store import letters
from comity.store.letters import LetterState

__all__ = ["TakenLetter", "take_letter"]

_MAX_LETTERS_OF_A_PARTY = 10_000
_MAX_BYTES_OF_A_PARTY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenLetter:
    """A letter on record here; `new` is False for a repeated one. `state` is how it stands after it was acted on."""

    letter: Letter
    state: LetterState
    new: bool


def take_letter(node: Node, envelope: bytes) -> TakenLetter:
    """The letter in the bytes, on record here, with all that follows from it at once.

    Raises:
        MalformedMessage: the bytes, or a kind that this version does not know.
        VerificationError: it is not signed by a party that is pinned here, or not for this party.
        NotFoundError: its agreement is not on record here, or either is no party of it, or it answers a letter that
            was not sent to its sender under that agreement.
        ConflictError: the partner has reached a bound.
    """
    letter, signed = parse_letter(envelope)
    with node.act() as act:
        manifest = read_manifests(act.transaction).get(letter.sender)
        if manifest is None:
            raise UnknownKey(f"{letter.sender} is not a party this node has pinned")
        if letter.sender == node.party:
            raise VerificationError("a letter of this node's own came back as another's")
        verify_letter(letter, signed, manifest, to=node.party, now=act.now)
        dossier = _find_common(node, act, letter)
        known = letters.read_letter(act.transaction, letter.digest)
        if known is not None:
            return TakenLetter(letter=letter, state=known.state, new=False)
        _check_answered(act, letter)
        _check_bounds(node, act, letter)
        record_letter(act, letter, envelope=envelope, sent=False, state=LetterState.OPEN)
        _act_on(node, act, letter, dossier)
        kept = letters.read_letter(act.transaction, letter.digest)
        assert kept is not None  # noqa: S101 (it was recorded in this transaction)
        return TakenLetter(letter=letter, state=kept.state, new=True)


def _act_on(node: Node, act: Act, letter: Letter, dossier: Dossier) -> None:
    """What follows from a letter, by its kind; each leaves its letter in the state in which it then stands."""
    match letter.body:
        case Recall():
            take_recall(node, act, letter, letter.body, dossier)
        case RecallAcknowledgement():
            take_acknowledgement(node, act, letter, letter.body)
        case ConsentRequest():
            take_request(node, act, letter, letter.body, dossier)
        case ConsentGrant():
            take_grant(node, act, letter, letter.body, dossier)
        case ConsentRefusal():
            take_refusal(act, letter)
        case ConsentRevocation():
            take_revocation(node, act, letter, letter.body)
        case Request():
            requested.take_request(act, letter)
        case Reply():
            requested.take_reply(act, letter, letter.body)
        case RequestWithdrawal():
            requested.take_withdrawal(act, letter, letter.body)
        case _:
            assert_never(letter.body)


def _is_needed(act: Act, letter: Letter) -> bool:
    """Whether the letter is taken whatever its sender has sent before, by its kind."""
    match letter.body:
        case Recall():
            return is_recallable(act, letter)
        case ConsentRevocation():
            return is_revocable(act, letter, letter.body)
        case RequestWithdrawal():
            return requested.is_withdrawable(act, letter, letter.body)
        case RecallAcknowledgement() | ConsentRequest() | ConsentGrant() | ConsentRefusal() | Request() | Reply():
            return False
        case _:
            assert_never(letter.body)


def _find_common(node: Node, act: Act, letter: Letter) -> Dossier:
    """The agreement, once both are parties of it, in force or not, and have both signed the text that the letter names.

    That text says how long people have to decide, and what may be granted at the most: nobody sets it alone by what it
    only proposes. And where an agreement is not on record, whoever claims one of that name would be a party of its own
    claim, and could tell by the answer that there is no other.

    Raises:
        NotFoundError: the one answer for whatever is missing.
    """
    dossier = read_dossier(node, act.transaction, letter.agreement)
    if dossier is None or not {letter.sender, node.party} <= dossier.parties() & _find_signers(dossier, letter.terms):
        raise NotFoundError("the agreement of this letter is not on record here")
    return dossier


def _find_signers(dossier: Dossier, terms: Digest) -> frozenset[PartyId]:
    """Who has signed that text of the agreement, whatever it said of it later."""
    return frozenset(event.party for event in dossier.events if event.kind in CARRIES_TERMS and event.terms == terms)


def _check_answered(act: Act, letter: Letter) -> None:
    """What it answers was sent to its sender under this agreement.

    Raises:
        NotFoundError: it was not.
    """
    if letter.answers is None:
        return
    answered = letters.read_letter(act.transaction, letter.answers)
    if answered is None or not answered.sent:
        raise NotFoundError("it answers a letter that was not sent")
    sent = answered.letter
    if (sent.to, sent.agreement) != (letter.sender, letter.agreement):
        raise NotFoundError("it answers a letter that was not sent to its sender under this agreement")


def _check_bounds(node: Node, act: Act, letter: Letter) -> None:
    count, size = letters.measure_letters(act.transaction, letter.sender)
    reached = count >= _MAX_LETTERS_OF_A_PARTY or size >= _MAX_BYTES_OF_A_PARTY
    if reached and not _is_needed(act, letter):
        raise ConflictError(f"{letter.sender} has reached the bound of letters that are kept of it at {node.party}")
