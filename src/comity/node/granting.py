# SPDX-License-Identifier: Apache-2.0
"""Shell: what this party may grant of what was asked: its own, or what it holds a grant for itself, and no wider.

Nothing is recorded here; who approves, and what is sent, stands in `node.consent`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from comity.agreement.terms import Terms, parse_terms
from comity.errors import CorruptionError, MalformedRequest, TransitionError
from comity.ids import Digest, Instant, ObjectId, PartyId, format_instant
from comity.letters.consent import ConsentGrant, ConsentRequest, Sanitised, is_wider, rank_actions
from comity.node.explain import find_object
from comity.node.node import Act
from comity.node.people import read_prose
from comity.node.withdrawal import find_given
from comity.stix.labels import RECALLED
from comity.store import Transaction, agreements, consents, objects
from comity.store.consents import StoredGrant
from comity.store.letters import StoredLetter

__all__ = ["Offer", "check_authority", "check_given", "make_grant", "read_text", "was_given"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is to be granted: until when, what the recipient may do (None: what the terms let), on which conditions.

    `sanitised` begins the id of an object of this party that it releases itself: then nothing else is granted.
    """

    until: Instant | None = None
    actions: str | None = None
    conditions: str | None = None
    sanitised: str | None = None


def make_grant(act: Act, own: PartyId, request: StoredLetter, asked: ConsentRequest, offer: Offer) -> ConsentGrant:
    """What is granted, once it is no wider than what was asked for and the terms let."""
    if offer.sanitised is not None:
        if offer.until is not None or offer.actions is not None or offer.conditions is not None:
            raise MalformedRequest("with a sanitised version nothing else is granted: no time, no conditions")
        item = find_object(act.transaction, offer.sanitised)
        if item.originator != own:
            raise MalformedRequest(f"{item.id} is not of {own}, which can name only what it releases itself")
        sanitised = Sanitised(id=item.id, version=item.version)
        return ConsentGrant(recipient=asked.recipient, purpose=asked.purpose, sanitised=sanitised)
    if offer.until is None or offer.until <= act.now:
        raise MalformedRequest("say until when it is granted: a time that is still to come", where="until")
    most = read_text(act.transaction, request.letter.terms).permitted_actions
    actions = most if offer.actions is None else offer.actions
    if rank_actions(actions) > rank_actions(most):
        raise MalformedRequest(f"the terms let {most} be done at the most", where="actions")
    body = ConsentGrant(
        recipient=asked.recipient,
        purpose=asked.purpose,
        expires_at=offer.until,
        actions=actions,
        conditions=None if offer.conditions is None else read_prose(offer.conditions),
    )
    if is_wider(body, asked) and asked.until is not None:
        raise MalformedRequest(f"it was asked for until {format_instant(asked.until)} alone", where="until")
    return body


def check_given(transaction: Transaction, request: StoredLetter) -> None:
    """Nothing, once this party has given the sender all that its request is about.

    Raises:
        TransitionError: it has not.
    """
    if not was_given(transaction, request):
        raise TransitionError(
            f"the log does not show that {request.party} was given all that under these terms: refuse or leave it"
        )


def was_given(transaction: Transaction, request: StoredLetter) -> bool:
    """Whether this party's log shows that it gave whoever asks all that it asks about, under that very text.

    Another text of the agreement may let more be granted than the one that it was given under.
    """
    letter = request.letter
    held = objects.read_versions_of(transaction, {item.id for item in letter.about})
    wanted: dict[ObjectId, set[Instant]] = {}
    for item in held:
        wanted.setdefault(item.id, set()).add(item.version_at)
    given = {
        about
        for item in find_given(transaction, wanted)
        if (item.recipient, item.agreement) == (letter.sender, letter.agreement)
        for about, terms in item.under
        if terms in {letter.terms, None}
    }
    return set(letter.about) <= given


def check_authority(act: Act, request: StoredLetter, body: ConsentGrant) -> None:
    """Nothing, once all of it is this party's own, or whoever gave it lets the recipient have it that long.

    Raises:
        TransitionError: it is not this party's to grant, or not that much of it.
    """
    transaction = act.transaction
    ids = {item.id for item in request.letter.about}
    versions = {(item.id, item.version): item for item in objects.read_versions_of(transaction, ids)}
    granted = consents.list_granted(transaction, ids, now=act.now)
    for about in request.letter.about:
        item = versions.get((about.id, about.version))
        if item is None:
            raise TransitionError(f"that version of {about.id} is not held here any more")
        label = objects.read_label(transaction, item.own_label)
        if RECALLED in label.markings:
            raise TransitionError(f"{about.id} was recalled: it is given to nobody")
        if label.audience is None:
            continue
        if body.recipient not in label.audience:
            raise TransitionError(
                f"{about.id} was given to this party, and is not its own to grant: ask whoever gave it, in this party's"
                f" own name: consent request {about.id} --to {body.recipient} --purpose {body.purpose} --reason TEXT"
            )
        held = [one.grant for one in granted if (one.id, one.digest) == (item.id, item.digest)]
        _check_held(about.id, [grant for grant in held if grant.recipient == body.recipient], body)


def _check_held(name: ObjectId, held: Sequence[StoredGrant], body: ConsentGrant) -> None:
    """The grant is no wider than each of those by which this party may pass the object on itself; none, where listed.

    Raises:
        TransitionError: it is.
    """
    for giver in sorted({grant.party for grant in held}):
        fitting = [grant for grant in held if grant.party == giver and _covers(grant, body)]
        if not fitting:
            most = max(grant.expires_at for grant in held if grant.party == giver)
            raise TransitionError(
                f"this party may pass {name} on itself by a grant that is narrower: for its purpose and its actions"
                f" alone, before {format_instant(most)}, and with conditions where it has them; see consent show"
            )


def _covers(grant: StoredGrant, body: ConsentGrant) -> bool:
    return (
        body.expires_at is not None
        and body.actions is not None
        and grant.purpose == body.purpose
        and body.expires_at <= grant.expires_at
        and rank_actions(body.actions) <= rank_actions(grant.actions)
        and (grant.conditions is None or body.conditions is not None)
    )


def read_text(transaction: Transaction, digest: Digest) -> Terms:
    """The terms with that hash, which something was given under.

    Raises:
        CorruptionError: the store has lost them.
    """
    document = agreements.read_terms(transaction, digest)
    if document is None:
        raise CorruptionError("the terms of what was given are missing from the store; restore a backup")
    return parse_terms(document)
