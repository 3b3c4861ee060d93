# SPDX-License-Identifier: Apache-2.0
"""Shell: a proposal, signature, clarification or suspension becomes a recorded event.

An act of this party and a message of another party end in the same place: one signed event, on record once, in the log,
and, if it is ours, in the outbox for every other party. What is recorded is never judged by the order of arrival: the
state follows from the set of events (`agreement.lifecycle`).

A suspension is in force when `act_on` has returned; bytes already committed may still be on their way out of the
process, and whoever answers the operator waits for those first (`taxii.sends`).

An act of this party is signed only when enough of its people have approved exactly that act (`_authorise`); until then
it is `Waiting`, and nothing of it leaves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from comity.agreement.drafting import convert_terms
from comity.agreement.lifecycle import Event, EventKind, Standing, check_event
from comity.agreement.people import Approval, make_matter
from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms, parse_terms
from comity.canonical import Json
from comity.errors import AuthenticationError, ConflictError, NotFoundError, TransitionError, VerificationError
from comity.exchange import make_message, parse_message, verify_message
from comity.ids import Digest, PartyId
from comity.node.node import Act, Node
from comity.node.parties import read_manifests
from comity.node.people import Actor, Approved, Waiting, approve
from comity.node.standing import Dossier, find_agreement, judge_terms, read_dossier
from comity.release.disclosure import EntryType, format_event_content
from comity.signing import Role
from comity.store import agreements, parties

__all__ = ["Recorded", "act_on", "propose", "receive"]

_MAX_EVENTS_OF_A_PARTY = 1_000
"""Per agreement: far above any negotiation, and a bound on what a hostile partner can make this node keep."""

_MAX_VERSIONS = 100
_MAX_UNANSWERED = 100
"""Proposals of one partner that this party has not answered in any way."""

_NONCE_BYTES = 16

_STOPS = frozenset({EventKind.SUSPEND, EventKind.TERMINATE, EventKind.REJECT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The event now on record and the state it led to; `new` is False for a repeated message.

    `approvals` are those of this party's people that carried it, empty for an event of another party.
    """

    event: Event
    standing: Standing
    new: bool
    approvals: tuple[Approval, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether the event has just closed a gate, so that sends under way must be waited for."""
        return self.new and self.event.kind in _STOPS


def propose(node: Node, toml: bytes, *, by: Actor) -> Recorded | Waiting | Refusal:
    """The proposal, signed by this party and on record; or what it waits for; or a refusal of this party's policy.

    Raises:
        MalformedTerms: the document, with the line.
        NotFoundError: a party of it is not pinned here, or what it supersedes is not on record.
        VerificationError: it names another manifest than the pinned one for a party.
    """
    document = convert_terms(toml)
    terms = parse_terms(document)
    with node.act() as act:
        _check_parties(node, act, terms)
        refusal = judge_terms(node, terms, now=act.now)
        if isinstance(refusal, Refusal):
            return refusal
        dossier = read_dossier(node, act.transaction, terms.agreement_id)
        _check_lineage(terms, dossier)
        standing = dossier.standing(now=act.now) if dossier else None
        authorised = _authorise(node, act, EventKind.PROPOSE, by=by, terms=terms, standing=standing)
        if not isinstance(authorised, Approved):
            return authorised
        return _sign(node, act, EventKind.PROPOSE, terms=terms, standing=standing)


def act_on(
    node: Node,
    prefix: str,
    kind: EventKind,
    *,
    by: Actor,
    clause: str | None = None,
    text: str | None = None,
    re: str | None = None,
) -> Recorded | Waiting | Refusal:
    """The event of this party on the agreement that `prefix` names, on record; or what it waits for; or a refusal.

    A refusal is that of this party's own policy to accept, or says that the person's roles do not fit.

    `re` is a prefix of the digest of the question that an ANSWER answers; without it the only open question is meant.
    A RESUME lifts every lock that this party holds.

    Raises:
        NotFoundError, MalformedRequest: the agreement or question.
        TransitionError: not possible in this state; says what is.
        MalformedMessage: no such clause, or no text.
    """
    with node.act() as act:
        dossier = find_agreement(node, act.transaction, prefix)
        standing = dossier.standing(now=act.now)
        terms = _find_terms(kind, standing, prefix=prefix)
        if kind is EventKind.ACCEPT:
            _check_parties(node, act, terms)
            refusal = judge_terms(node, terms, now=act.now)
            if isinstance(refusal, Refusal):
                return refusal
        if kind is EventKind.RESUME:
            return _resume(node, act, terms, by=by, standing=standing, text=text)
        target = _find_question(standing, re) if kind is EventKind.ANSWER else None
        about = [target] if target else []
        authorised = _authorise(
            node, act, kind, by=by, terms=terms, standing=standing, clause=clause, text=text, re=about
        )
        if not isinstance(authorised, Approved):
            return authorised
        return _sign(node, act, kind, terms=terms, standing=standing, clause=clause, text=text, re=target)


def receive(node: Node, envelope: bytes) -> Recorded:
    """The event in a message of another node, verified and on record. A repeated message changes nothing.

    Raises:
        MalformedMessage, MalformedTerms: the bytes.
        VerificationError: not signed by the party it names, or that party or this one is not in the agreement.
        NotFoundError: an event on an agreement that is not on record here (yet): the sender tries again later.
    """
    message = parse_message(envelope)
    with node.act() as act:
        event, terms = verify_message(message, read_manifests(act.transaction), now=act.now)
        if event.party == node.party:
            raise VerificationError("a message of this node's own came back as another's")
        dossier = read_dossier(node, act.transaction, event.agreement)
        if terms is None and dossier is None:
            raise NotFoundError("the agreement of this event is not on record here")
        _check_members(node, event, dossier=dossier, terms=terms)
        _check_bounds(act, event, dossier=dossier, terms=terms)
        if terms is not None:
            _keep_terms(act, terms)
        new = _put(act, event, envelope=envelope)
        return _result(node, act, event, new=new)


def _check_members(node: Node, event: Event, *, dossier: Dossier | None, terms: Terms | None) -> None:
    """Both this party and the sender belong to the agreement: as on record, or, for a first proposal, as in its text.

    A text that names an agreement on record is no way into it: whoever is not yet a party of any version waits until a
    version that names it has come from one who is.
    """
    first = frozenset(party.id for party in terms.parties) if terms else frozenset[PartyId]()
    members = dossier.parties() if dossier else first
    if node.party not in members | first or event.party not in members:
        raise VerificationError(f"{event.party} and {node.party} are not both parties of the agreement")


def _check_bounds(act: Act, event: Event, *, dossier: Dossier | None, terms: Terms | None) -> None:
    """What one partner can make this node keep is bounded; a stop is always taken, whatever came before it.

    Raises:
        ConflictError: the partner has reached a bound.
    """
    if event.kind in _STOPS:
        return
    if dossier is None:
        if agreements.count_unanswered(act.transaction, event.party) >= _MAX_UNANSWERED:
            raise ConflictError(f"{event.party} has {_MAX_UNANSWERED} proposals here that wait for an answer")
        return
    if sum(1 for known in dossier.events if known.party == event.party) >= _MAX_EVENTS_OF_A_PARTY:
        raise ConflictError(f"{event.party} has reached the bound of events on this agreement")
    if (
        terms
        and len(dossier.versions) >= _MAX_VERSIONS
        and terms.hash not in {known.hash for known in dossier.versions}
    ):
        raise ConflictError(f"this agreement has {_MAX_VERSIONS} versions; negotiate a new one")


def _authorise(  # noqa: PLR0913 (the parts of one event)
    node: Node,
    act: Act,
    kind: EventKind,
    *,
    by: Actor,
    terms: Terms,
    standing: Standing | None,
    clause: str | None = None,
    text: str | None = None,
    re: Sequence[Digest] = (),
) -> Approved | Waiting | Refusal:
    """Whether enough people have approved exactly this act: everything that its events will say is in the matter.

    `re` are the questions or locks of the events, one for each. An act that is not possible is not approved either: it
    is held against the state before anybody's approval is kept, and again when it is signed.
    """
    about: list[Json] = list(re)
    facts: dict[str, Json] = {"terms": terms.hash, "title": terms.title, "version": terms.version}
    facts |= {"clause": clause, "text": text, "re": about}
    matter = make_matter(kind.value, agreement=terms.agreement_id, facts=facts)
    for target in re or (None,):
        event = Event(
            digest=matter.digest,
            kind=kind,
            agreement=terms.agreement_id,
            terms=terms.hash,
            party=node.party,
            at=act.now,
            clause=clause,
            text=text,
            re=target,
        )
        check_event(standing, event, terms)
    return approve(act, by if by.why else replace(by, why=text), matter)


def _resume(
    node: Node, act: Act, terms: Terms, *, by: Actor, standing: Standing, text: str | None
) -> Recorded | Waiting | Refusal:
    """Lift every lock of this party, one signed event each; the last one is the result."""
    own = [lock for lock in standing.locks if lock.party == node.party]
    lifted = [lock.event for lock in own or standing.locks[:1]]
    if not lifted:
        raise TransitionError(f"nothing is suspended: {standing.sentence}")
    authorised = _authorise(node, act, EventKind.RESUME, by=by, terms=terms, standing=standing, text=text, re=lifted)
    if not isinstance(authorised, Approved):
        return authorised
    results = [
        _sign(node, act, EventKind.RESUME, terms=terms, standing=standing, text=text, re=lock) for lock in lifted
    ]
    return results[-1]


def _sign(
    node: Node,
    act: Act,
    kind: EventKind,
    *,
    terms: Terms,
    standing: Standing | None,
    clause: str | None = None,
    text: str | None = None,
    re: Digest | None = None,
) -> Recorded:
    """The event, checked against the state, signed, on record, and queued for every other party."""
    if not act.approvals:
        raise AuthenticationError("nobody has approved this act, so it was not signed")
    envelope = make_message(
        kind,
        agreement=terms.agreement_id,
        terms=terms.hash,
        party=node.party,
        at=act.now,
        nonce=act.draw(_NONCE_BYTES),
        signers=[node.signers[Role.AGREEMENT]],
        clause=clause,
        text=text,
        re=re,
        document=terms.document if kind in {EventKind.PROPOSE, EventKind.ACCEPT} else None,
    )
    event = parse_message(envelope).event
    check_event(standing, event, terms)
    _keep_terms(act, terms)
    new = _put(act, event, envelope=envelope)
    for party in terms.parties:
        if party.id != node.party:
            agreements.put_outbox(act.transaction, party.id, envelope=envelope, now=act.now)
    return _result(node, act, event, new=new)


def _keep_terms(act: Act, terms: Terms) -> None:
    agreements.add_terms(
        act.transaction,
        terms.hash,
        agreement=terms.agreement_id,
        version=terms.version,
        document=terms.document,
        now=act.now,
    )


def _put(act: Act, event: Event, *, envelope: bytes) -> bool:
    """Whether the event is new; a new one is recorded in the log with the act."""
    new = agreements.add_event(act.transaction, event, envelope=envelope, now=act.now)
    if new:
        content = format_event_content(
            event=event.digest,
            kind=event.kind.value,
            party=event.party,
            agreement=event.agreement,
            approvals=act.approvals,
        )
        act.record(EntryType.AGREEMENT_EVENT, content, terms=event.terms, recipient=None, count=1)
    return new


def _result(node: Node, act: Act, event: Event, *, new: bool) -> Recorded:
    dossier = read_dossier(node, act.transaction, event.agreement)
    assert dossier is not None  # noqa: S101 (its terms were kept in this transaction)
    return Recorded(event=event, standing=dossier.standing(now=act.now), new=new, approvals=act.approvals)


def _check_parties(node: Node, act: Act, terms: Terms) -> None:
    """Every party of the terms is pinned here, by a manifest of its chain."""
    if node.party not in {party.id for party in terms.parties}:
        raise VerificationError(f"{node.party}, whose node this is, is not a party of these terms")
    for party in terms.parties:
        if parties.read_party(act.transaction, party.id) is None:
            raise NotFoundError(
                f"{party.id} is a party of these terms but not known here; pin it with `party add` first"
            )
        if not parties.has_manifest(act.transaction, party.id, party.manifest):
            raise VerificationError(
                f"the terms name the manifest {party.manifest[:12]}… for {party.id}, which is not one pinned here;"
                " compare digests with that party and correct the terms, or pin the newer manifest"
            )


def _check_lineage(terms: Terms, dossier: Dossier | None) -> None:
    if terms.version == 1:
        return
    known: frozenset[str] = frozenset(version.hash for version in dossier.versions) if dossier else frozenset()
    if terms.supersedes not in known:
        raise NotFoundError(
            f"these terms supersede {(terms.supersedes or '')[:12]}…, which is not a version on record here;"
            " `agreement show` gives the hashes"
        )


def _find_terms(kind: EventKind, standing: Standing, *, prefix: str) -> Terms:
    """The version an event is about: negotiation is about the latest, stopping about the one all signed.

    Raises:
        TransitionError: a version is to be signed or rejected, and `prefix` does not name the latest: who read one text
            must not sign another that came in the meantime.
    """
    latest = standing.latest
    if kind in {EventKind.ACCEPT, EventKind.REJECT} and not latest.hash.startswith(prefix.lower()):
        raise TransitionError(
            f"version {latest.version} is on record: read it (`agreement show`), and name it by its own hash,"
            f" {latest.hash[:12]}"
        )
    if kind in {EventKind.SUSPEND, EventKind.RESUME, EventKind.TERMINATE} and standing.current is not None:
        return standing.current
    return standing.latest


def _find_question(standing: Standing, prefix: str | None) -> Digest:
    asked = [event for event in standing.open_questions if event.digest.startswith(prefix or "")]
    if not asked:
        raise TransitionError("there is no open question to answer" + (f" that begins with {prefix}" if prefix else ""))
    if len(asked) > 1:
        raise TransitionError(
            "several questions are open; name one with --question: "
            + ", ".join(f"{event.digest[:12]} ({event.party} on {event.clause})" for event in asked)
        )
    return asked[0].digest
