# SPDX-License-Identifier: Apache-2.0
"""Shell: this party's people ask partners for information, and answer what partners ask.

Asking and answering take one person, who acts as analyst or liaison. What is said in words is information given: it
goes to one party of an agreement that is in force, and stands in the log as a letter. Objects go by the feeds of the
agreement alone: an answer names only what its receiver was given there.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from comity.agreement.people import Approval, make_matter
from comity.agreement.reader import Reader
from comity.agreement.recognition import Refusal
from comity.agreement.transitions import State
from comity.canonical import Json
from comity.errors import MalformedError, MalformedRequest, NotFoundError, TransitionError
from comity.ids import Digest, Instant, ObjectId, PartyId, parse_instant
from comity.letters.bodies import LetterKind
from comity.letters.letter import MAX_ABOUT, About, Draft, Letter
from comity.letters.request import Reply, ReplyOutcome, Request, RequestWithdrawal, Urgency
from comity.node.explain import find_object
from comity.node.letters import find_letter, send_letter
from comity.node.node import Node
from comity.node.people import Actor, Approved, Waiting, approve, normalise_text
from comity.node.requested import WITHDRAWN
from comity.node.standing import Dossier, find_agreement, read_dossier, read_titles
from comity.node.withdrawal import find_given
from comity.store import Transaction, agreements, arrivals, letters, objects
from comity.store.letters import LetterState, Spot, StoredLetter

__all__ = [
    "Asked",
    "LetterState",
    "Sent",
    "Spot",
    "StoredLetter",
    "answer_request",
    "check_open",
    "list_request_part",
    "list_requests",
    "send_request",
    "show_request",
    "withdraw_request",
]

_MAX_TEXT = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The letter that says it, on record and queued, and who decided that."""

    letter: Letter
    approvals: tuple[Approval, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request with the letters that answer it, the oldest first, and the one that took it back, where that counts.

    `title` is that of its agreement (None: it is not on record). What `show_request` alone looks at: `held` are the
    objects that it or an answer names and that are held here; `obstacle` is why nobody can answer it although it waits
    for that, or None; `known` are those of what it is about that whoever asks can know of through this node, under its
    agreement: this party has given it that, or was given it. None where that was not looked at, or where this party
    asked.
    """

    stored: StoredLetter
    answers: tuple[StoredLetter, ...]
    withdrawal: StoredLetter | None
    title: str | None
    held: frozenset[ObjectId] = frozenset()
    obstacle: str | None = None
    known: frozenset[About] | None = None


def send_request(  # one for each thing a request says
    node: Node,
    agreement: str,
    *,
    to: PartyId,
    question: str,
    urgency: Urgency,
    about: Sequence[str] = (),
    by: Actor,
) -> Sent | Waiting | Refusal:
    """The request to the party `to` under the agreement that `agreement` names, about what came from it there.

    Raises:
        NotFoundError, MalformedRequest: the agreement, an object, or the question; or `to` is no party of it.
        TransitionError: the agreement is not in force.
    """
    body = Request(question=_read_text(question, "question"), urgency=urgency)
    if len(about) > MAX_ABOUT:
        raise MalformedRequest(f"a request is about {MAX_ABOUT} objects at most; send several", where="objects")
    with node.act() as act:
        dossier = find_agreement(node, act.transaction, agreement)
        terms = check_open(node, dossier, to, now=act.now)
        named = tuple(dict.fromkeys(_find_received(act.transaction, dossier, prefix, giver=to) for prefix in about))
        facts: dict[str, Json] = {
            "to": to,
            "question": body.question,
            "urgency": urgency.value,
            "about": [{"id": item.id, "version": item.version} for item in named],
        }
        authorised = approve(act, by, make_matter("request", agreement=dossier.id, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        draft = Draft(body=body, to=to, agreement=dossier.id, terms=terms, about=named)
        letter = send_letter(node, act, draft, approvals=authorised.approvals)
        return Sent(letter=letter, approvals=authorised.approvals)


def answer_request(
    node: Node, prefix: str, *, text: str | None, objects_given: Sequence[str] = (), declines: bool = False, by: Actor
) -> Sent | Waiting | Refusal:
    """The answer to the request whose name begins with `prefix`, which waits for none after it.

    Raises:
        NotFoundError, MalformedRequest: the request, an object, or the text.
        TransitionError: it is answered, its agreement is not in force, or an object was not given to its sender.
    """
    said = None if text is None else _read_text(text, "text")
    if declines and (said is None or objects_given):
        raise MalformedRequest("what declines gives the reason as its text, and names no object", where="text")
    if said is None and not objects_given:
        raise MalformedRequest("say something, or name an object that was given as the answer", where="text")
    if len(objects_given) > MAX_ABOUT:
        raise MalformedRequest(f"an answer names {MAX_ABOUT} objects at most", where="objects")
    outcome = ReplyOutcome.DECLINED if declines else ReplyOutcome.ANSWERED
    with node.act() as act:
        request = _find_open(act.transaction, prefix)
        dossier = read_dossier(node, act.transaction, request.letter.agreement)
        if dossier is None:
            raise NotFoundError("the agreement of this request is not on record here")
        terms = check_open(node, dossier, request.party, now=act.now)
        named = tuple(
            dict.fromkeys(_find_given(act.transaction, dossier, one, to=request.party) for one in objects_given)
        )
        facts: dict[str, Json] = {
            "request": request.letter.digest,
            "to": request.party,
            "outcome": outcome.value,
            "text": said,
            "about": [{"id": item.id, "version": item.version} for item in named],
        }
        authorised = approve(act, by, make_matter("reply", agreement=dossier.id, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        draft = Draft(
            body=Reply(outcome=outcome, text=said),
            to=request.party,
            agreement=dossier.id,
            terms=terms,
            about=named,
            answers=request.letter.digest,
        )
        letter = send_letter(node, act, draft, approvals=authorised.approvals)
        letters.settle_letter(
            act.transaction,
            request.letter.digest,
            LetterState.CLOSED,
            progress=outcome.value,
            answered_by=letter.digest,
        )
        return Sent(letter=letter, approvals=authorised.approvals)


def withdraw_request(node: Node, prefix: str, *, by: Actor) -> Sent | Waiting | Refusal:
    """What takes back the request of this party whose name begins with `prefix`: nobody waits for an answer any more.

    It gives nothing, and so no gate is asked.

    Raises:
        NotFoundError, MalformedRequest: the request.
        TransitionError: it is answered, or was taken back before.
    """
    with node.act() as act:
        request = _find_request(act.transaction, prefix)
        name = request.letter.digest
        if not request.sent:
            raise NotFoundError(
                f"the request {prefix!r} is one of {request.party}, and only {request.party} takes it back"
            )
        _check_waits(request, prefix)
        facts: dict[str, Json] = {"request": name, "to": request.party}
        authorised = approve(act, by, make_matter("withdraw-request", agreement=request.letter.agreement, facts=facts))
        if not isinstance(authorised, Approved):
            return authorised
        draft = Draft(
            body=RequestWithdrawal(request=name),
            to=request.party,
            agreement=request.letter.agreement,
            terms=request.letter.terms,
            about=(),
        )
        letter = send_letter(node, act, draft, approvals=authorised.approvals)
        closed = LetterState.CLOSED
        letters.settle_letter(act.transaction, letter.digest, closed, progress=None, answered_by=None)
        letters.settle_letter(act.transaction, name, closed, progress=WITHDRAWN, answered_by=letter.digest)
        return Sent(letter=letter, approvals=authorised.approvals)


def list_requests(node: Node, *, limit: int) -> tuple[list[Asked], list[Asked]]:
    """The last requests that this party sent, and those that it received, newest first."""
    with node.store.read() as transaction:
        sent, received = (
            _read_all(node, transaction, letters.list_letters(transaction, LetterKind.REQUEST, sent=side, limit=limit))
            for side in (True, False)
        )
        return sent, received


def list_request_part(node: Node, *, sent: bool, after: Spot | None, limit: int) -> tuple[list[Asked], Spot | None]:
    """A part of the requests that this party sent, or received, those in front that wait; where the next one begins."""
    with node.store.read() as transaction:
        kind = LetterKind.REQUEST
        found, following = letters.list_waiting_first(transaction, kind, sent=sent, after=after, limit=limit)
        return _read_all(node, transaction, found), following


def show_request(node: Node, prefix: str) -> Asked:
    """The request whose name, or the name of an answer to which, begins with `prefix`; of one received, what is known.

    Raises:
        NotFoundError, MalformedRequest: there is none, or several.
    """
    with node.store.read() as transaction:
        (asked,) = _read_all(node, transaction, [_find_request(transaction, prefix)])
        stored = asked.stored
        named = {about.id for one in (stored, *asked.answers) for about in one.letter.about}
        asked = replace(asked, held=frozenset(objects.read_current(transaction, named)))
        if stored.sent:
            return asked
        obstacle = _find_obstacle(node, transaction, stored) if stored.state is LetterState.OPEN else None
        return replace(asked, known=_find_known(transaction, stored.letter), obstacle=obstacle)


def _find_obstacle(node: Node, transaction: Transaction, request: StoredLetter) -> str | None:
    """Why nothing can be answered to it now."""
    dossier = read_dossier(node, transaction, request.letter.agreement)
    if dossier is None:
        return "the agreement of this request is not on record here"
    try:
        check_open(node, dossier, request.party, now=node.clock())
    except (NotFoundError, TransitionError) as error:
        return error.detail
    return None


def _read_all(node: Node, transaction: Transaction, found: Sequence[StoredLetter]) -> list[Asked]:
    titles = read_titles(node, transaction, (stored.letter.agreement for stored in found), now=node.clock())
    return [_read_asked(transaction, stored, title=titles.get(stored.letter.agreement)) for stored in found]


def _read_asked(transaction: Transaction, stored: StoredLetter, *, title: str | None) -> Asked:
    taken_back = stored.progress == WITHDRAWN and stored.answered_by is not None
    return Asked(
        stored=stored,
        answers=tuple(letters.list_answers(transaction, stored.letter.digest)),
        withdrawal=letters.read_letter(transaction, stored.answered_by) if taken_back and stored.answered_by else None,
        title=title,
    )


def _find_known(transaction: Transaction, letter: Letter) -> frozenset[About]:
    """What of the letter its sender can know of through this node, version by version, by the bytes that went or came.

    Whether anything else is held here plays no part in it.
    """
    wanted: dict[ObjectId, set[Instant]] = {}
    for about in letter.about:
        with suppress(MalformedError):  # a version that is no time was never given
            wanted.setdefault(about.id, set()).add(parse_instant(about.version))
    known = {
        about
        for given in find_given(transaction, wanted)
        if (given.recipient, given.agreement) == (letter.sender, letter.agreement)
        for about in given.about
    }
    texts = {name for name, _ in agreements.read_texts(transaction, letter.agreement)}
    held = objects.read_versions_of(transaction, wanted)
    came = arrivals.read_arrivals(transaction, [item.pk for item in held])
    known |= {
        About(id=item.id, version=item.version, digest=item.digest)
        for item in held
        if any(way.giver == letter.sender and way.terms in texts for way in came.get(item.pk, ()))
    }
    return frozenset(about for about in letter.about if about in known)


def _read_text(text: str, where: str) -> str:
    """The text as partners can be told it: lines and tabs are allowed, other characters that do not show are not."""
    normal = normalise_text(text, most=_MAX_TEXT, where=where)
    return Reader({where: normal}, "", MalformedRequest).open().maybe_prose(where) or ""


def check_open(node: Node, dossier: Dossier, partner: PartyId, *, now: Instant) -> Digest:
    """The text of the agreement that is in force, once both are parties of it for whom nothing has run out.

    Raises:
        MalformedRequest: `partner` is this party.
        NotFoundError: it is no party of the agreement.
        TransitionError: nothing may be said under it.
    """
    standing = dossier.standing(now=now)
    if partner == node.party:
        raise MalformedRequest(f"{partner} is this party itself", where="party")
    if not {partner, node.party} <= standing.members - standing.left:
        raise NotFoundError(f"{partner} and {node.party} are not both parties of {standing.latest.title!r}")
    if standing.state is not State.IN_FORCE or standing.current is None:
        raise TransitionError(f"nothing is asked or answered under an agreement not in force: {standing.sentence}")
    for lapse in standing.lapses:
        if lapse.party in {partner, node.party}:
            raise TransitionError(f"nothing is asked or answered under this agreement: {lapse.reason}")
    return standing.current.hash


def _find_received(transaction: Transaction, dossier: Dossier, prefix: str, *, giver: PartyId) -> About:
    """The newest version of the object, once it came from `giver` under the agreement."""
    item = find_object(transaction, prefix)
    texts = {terms.hash for terms in dossier.versions}
    came = arrivals.read_arrivals(transaction, [item.pk]).get(item.pk, ())
    if not any(way.giver == giver and way.terms in texts for way in came):
        raise MalformedRequest(f"{item.id} did not come from {giver} under this agreement", where="objects")
    return About(id=item.id, version=item.version, digest=item.digest)


def _find_given(transaction: Transaction, dossier: Dossier, prefix: str, *, to: PartyId) -> About:
    """The newest version of the object that `to` was given under the agreement, as it left."""
    item = find_object(transaction, prefix)
    wanted: dict[ObjectId, set[Instant]] = {item.id: set()}
    for version in objects.read_versions_of(transaction, {item.id}):
        wanted[item.id].add(version.version_at)
    given = [
        about
        for one in find_given(transaction, wanted)
        if (one.recipient, one.agreement) == (to, dossier.id)
        for about in one.about
    ]
    if not given:
        raise TransitionError(
            f"{item.id} was not given to {to} under this agreement: name it once its node has pulled it; see explain"
        )
    return max(given, key=lambda about: parse_instant(about.version))


def _find_request(transaction: Transaction, prefix: str) -> StoredLetter:
    """The request that `prefix` names, by itself or by an answer to it."""
    stored = find_letter(transaction, prefix)
    named = stored.letter.answers if stored.letter.kind is LetterKind.REPLY else None
    if isinstance(stored.letter.body, RequestWithdrawal):
        named = stored.letter.body.request
    if named is not None:
        stored = letters.read_letter(transaction, named) or stored
    if stored.letter.kind is not LetterKind.REQUEST:
        raise NotFoundError(f"the letter {prefix!r} is no request for information, nor an answer to one")
    return stored


def _find_open(transaction: Transaction, prefix: str) -> StoredLetter:
    """The request that came and that nobody here has answered."""
    stored = _find_request(transaction, prefix)
    if stored.sent:
        raise NotFoundError(f"the request {prefix!r} is this party's own; {stored.letter.to} answers it")
    _check_waits(stored, prefix)
    return stored


def _check_waits(stored: StoredLetter, prefix: str) -> None:
    if stored.state is LetterState.OPEN:
        return
    how = "was taken back" if stored.progress == WITHDRAWN else "is answered already"
    raise TransitionError(f"the request {prefix!r} {how}")
