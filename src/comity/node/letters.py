# SPDX-License-Identifier: Apache-2.0
"""Shell: letters of this party are signed, on record and queued, all in the transaction of the act that needs them.

A letter leaves only after the COMMIT of that transaction, by the outbox, which tries until the receiver's node has it
(`node.outbox`). No gate is asked: what was given under an agreement stays bound by it when the agreement is suspended
or has ended, and so do letters on it. Only what asks and answers in words gives something: it goes while the agreement
is in force.

Not here: letters of partners (`node.letterbox`), and what a kind of letter is for.
"""

from collections.abc import Sequence

from comity.agreement.duration import add_duration
from comity.agreement.people import Approval
from comity.agreement.terms import parse_terms
from comity.errors import MalformedRequest, NotFoundError
from comity.ids import Digest, Instant
from comity.letters.bodies import find_response, find_wanted_time, is_answer
from comity.letters.letter import Draft, Letter, make_letter, parse_letter
from comity.node.lineage import tell_lineage
from comity.node.node import Act, Node
from comity.release.disclosure import EntryType
from comity.release.letters import format_letter_content
from comity.signing import Role
from comity.store import Transaction, agreements, letters
from comity.store.letters import LetterState, StoredLetter

__all__ = ["find_letter", "record_letter", "send_letter"]

_NONCE_BYTES = 16
_MIN_PREFIX = 4
_MAX_SHOWN = 10


def send_letter(
    node: Node,
    act: Act,
    draft: Draft,
    *,
    because: Digest | None = None,
    approvals: Sequence[Approval] = (),
) -> Letter:
    """The letter, signed, in the log and queued for whom it is to.

    One that is no answer stands open until it is answered, by when the terms say. `because` is the letter received that
    makes this party send it: that stays in this store.
    """
    envelope = make_letter(
        draft,
        sender=node.party,
        at=act.now,
        nonce=act.draw(_NONCE_BYTES),
        signers=[node.signers[Role.AGREEMENT]],
    )
    # What is sent is what a partner's node will read: a letter that it would refuse must not be signed.
    letter, _ = parse_letter(envelope)
    record_letter(
        act,
        letter,
        envelope=envelope,
        sent=True,
        because=because,
        state=LetterState.CLOSED if is_answer(letter.kind) else LetterState.OPEN,
        approvals=approvals,
    )
    tell_lineage(node, act, draft.to, signer=node.signers[Role.TRANSPORT])
    agreements.put_outbox(act.transaction, draft.to, letter.digest, envelope=envelope, now=act.now)
    return letter


def record_letter(
    act: Act,
    letter: Letter,
    *,
    envelope: bytes,
    sent: bool,
    because: Digest | None = None,
    state: LetterState,
    approvals: Sequence[Approval] = (),
) -> None:
    """The letter in the store, due when its terms say, and its entry in the log with the act."""
    letters.add_letter(
        act.transaction,
        letter,
        envelope=envelope,
        sent=sent,
        because=because,
        state=state,
        due_at=_find_due(act, letter),
        now=act.now,
    )
    content = format_letter_content(
        letter=letter.digest,
        kind=letter.kind.value,
        sent=sent,
        party=letter.to if sent else letter.sender,
        agreement=letter.agreement,
        approvals=approvals,
    )
    act.record(EntryType.LETTER, content, terms=letter.terms, recipient=None, count=len(letter.about))


def _find_due(act: Act, letter: Letter) -> Instant | None:
    """By when it is to be answered: as the terms say, or as its sender wants, whichever is earlier; None for never."""
    response = find_response(letter.kind)
    document = agreements.read_terms(act.transaction, letter.terms)
    time = None if response is None or document is None else parse_terms(document).response_times.get(response)
    wanted = find_wanted_time(letter.body)
    dates = [
        *([] if time is None else [add_duration(act.now, time)]),
        *([] if wanted is None else [Instant(act.now + wanted)]),
    ]
    return min(dates, default=None)


def find_letter(transaction: Transaction, prefix: str) -> StoredLetter:
    """The one letter whose name begins with `prefix`.

    Raises:
        MalformedRequest: the prefix is too short, or fits several.
        NotFoundError: it fits none.
    """
    if len(prefix) < _MIN_PREFIX:
        raise MalformedRequest(f"{prefix!r} is too short to name a letter; give at least {_MIN_PREFIX} characters")
    found = letters.find_letters(transaction, prefix.lower(), limit=_MAX_SHOWN)
    if not found:
        raise NotFoundError(f"no letter {prefix!r} is on record here")
    if len(found) > 1:
        raise MalformedRequest(f"{prefix!r} fits several letters; give more characters")
    return found[0]
