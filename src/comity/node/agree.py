# SPDX-License-Identifier: Apache-2.0
"""Shell: a proposal, signature, clarification, suspension of this party becomes a recorded event.

A suspension is in force when `act_on` has returned; bytes already committed may still be on their way out of the
process, and whoever answers the operator waits for those first (`taxii.sends`). Messages of other parties come in by
`node.correspond`.

An act is signed only when enough people of this party have approved exactly that act (`_carry_out`); until then it is
`Waiting`, and nothing of it leaves.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from comity.agreement.drafting import convert_terms, parse_bases
from comity.agreement.events import Event, EventKind, Reservation
from comity.agreement.lifecycle import Standing
from comity.agreement.moves import check_event, choose_proposal, choose_terms
from comity.agreement.people import make_matter
from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms, TermsParty, parse_terms
from comity.canonical import Json
from comity.errors import ComityError, NotFoundError, TransitionError, VerificationError
from comity.exchange import describe_event
from comity.ids import Digest, Instant, PartyId
from comity.node.node import Act, Node
from comity.node.parties import read_manifests
from comity.node.people import Actor, Approved, Waiting, approve
from comity.node.recording import Recorded, draft_event, sign_event
from comity.node.standing import Dossier, find_agreement, judge_signing, read_dossier
from comity.store import Transaction, parties

__all__ = ["Recorded", "accede", "act_on", "admit", "find_problems", "propose"]


def propose(
    node: Node, toml: bytes, *, by: Actor, reservations: Collection[Reservation] = ()
) -> Recorded | Waiting | Refusal:
    """The proposal, or counter-proposal to a text still open, signed by this party and on record.

    Or what it waits for; or the refusal of this party's own recognition policy, or of the person's roles.

    Raises:
        MalformedTerms: the document, with the line.
        NotFoundError: a party of it is not pinned here, or what it supersedes is not on record.
        VerificationError: it names another manifest than the pinned one for a party.
    """
    document = convert_terms(toml)
    terms = parse_terms(document)
    with node.act() as act:
        _check_parties(node, act, terms)
        refusal = judge_signing(node, terms, now=act.now)
        if isinstance(refusal, Refusal):
            return refusal
        dossier = read_dossier(node, act.transaction, terms.agreement_id)
        _check_lineage(terms, dossier)
        standing = dossier.standing(now=act.now) if dossier and _is_begun(dossier, terms) else None
        draft = draft_event(node, act, choose_proposal(standing), terms)
        draft = replace(draft, reservations=tuple(reservations))
        return _carry_out(node, act, [draft], terms, by=by, standing=standing, brought=toml)


def act_on(  # noqa: PLR0913 (the parts of one event)
    node: Node,
    prefix: str,
    kind: EventKind,
    *,
    by: Actor,
    clause: str | None = None,
    channel: str | None = None,
    text: str | None = None,
    re: str | None = None,
    reservations: Collection[Reservation] = (),
    shown: Collection[str] | None = None,
) -> Recorded | Waiting | Refusal:
    """The event of this party on the agreement that `prefix` names, on record; or what it waits for; or a refusal.

    A refusal is that of this party's own policy to accept, or says that the person's roles do not fit.

    `re` is a prefix of the digest of the question that an ANSWER answers; without it the only open question is meant.
    A RESUME lifts every lock that this party holds, or those on `channel`. `shown` are the events of the suspensions
    that the person saw, where it was said: no other one is lifted.

    Raises:
        NotFoundError, MalformedRequest: the agreement or question.
        TransitionError: not possible in this state; says what is.
        MalformedMessage: no such clause or channel, or no text.
    """
    with node.act() as act:
        dossier = find_agreement(node, act.transaction, prefix)
        standing = dossier.standing(now=act.now)
        terms = _find_terms(kind, standing, versions=dossier.versions, prefix=prefix)
        if kind is EventKind.ACCEPT:
            _check_parties(node, act, terms)
            refusal = judge_signing(node, terms, now=act.now)
            if isinstance(refusal, Refusal):
                return refusal
        draft = replace(draft_event(node, act, kind, terms), text=text)
        if kind is EventKind.RESUME:
            locks = _find_locks(node, standing, channel=channel)
            if shown is not None and not set(locks) <= set(shown):
                raise TransitionError(
                    "it was suspended anew since you looked: read why, and begin anew; what was not seen is not lifted"
                )
            drafts = [replace(draft, re=lock) for lock in locks]
            return _carry_out(node, act, drafts, terms, by=by, standing=standing)
        if kind is EventKind.ANSWER:
            draft = replace(draft, re=_find_question(standing, re))
        draft = replace(draft, clause=clause, channel=channel, reservations=tuple(reservations))
        return _carry_out(node, act, [draft], terms, by=by, standing=standing)


def admit(
    node: Node, prefix: str, joiner: PartyId, *, by: Actor, terms: str | None = None, manifest: str | None = None
) -> Recorded | Waiting | Refusal:
    """This founder's admission of `joiner`, by the manifest pinned for it here; or what it waits for, or a refusal.

    `terms` and `manifest` are the hashes of what the person was shown, where it was.

    Raises:
        NotFoundError: the agreement, or the joiner is not pinned here.
        TransitionError: not a group that can be joined, or said already; or not what was shown.
    """
    with node.act() as act:
        dossier = find_agreement(node, act.transaction, prefix)
        standing = dossier.standing(now=act.now)
        text = _find_shown(standing, terms)
        pinned = parties.read_party(act.transaction, joiner)
        if pinned is None:
            raise NotFoundError(f"{joiner} is not known here; pin it with `party add` first")
        if manifest not in {None, pinned.manifest}:
            raise TransitionError(
                f"the manifest pinned here for {joiner} is {pinned.manifest[:12]}… by now, and not the one that was"
                " shown; compare digests with that party, and begin anew"
            )
        draft = draft_event(node, act, EventKind.ADMIT, text)
        draft = replace(draft, joiner=joiner, manifest=pinned.manifest)
        return _carry_out(node, act, [draft], text, by=by, standing=standing)


def accede(
    node: Node,
    prefix: str,
    bases: bytes,
    *,
    by: Actor,
    reservations: Collection[Reservation] = (),
    terms: str | None = None,
) -> Recorded | Waiting | Refusal:
    """This party's signature on the text of a group that it joins, with the legal bases it cites (TOML).

    Or what it waits for; or a refusal, as in `propose`. `terms` is the hash of the text that was shown, where it was.

    Raises:
        MalformedTerms: the bases, with the line.
        NotFoundError: the agreement, or a party of it is not pinned here.
        TransitionError: not a group that can be joined, or a member already; or another text than was shown.
    """
    cited = parse_bases(bases, party=node.party)
    with node.act() as act:
        dossier = find_agreement(node, act.transaction, prefix)
        standing = dossier.standing(now=act.now)
        text = _find_shown(standing, terms)
        _check_pinned(act, text)
        refusal = judge_signing(node, text, now=act.now, joining=cited)
        if isinstance(refusal, Refusal):
            return refusal
        own = read_manifests(act.transaction)[node.party]
        draft = replace(
            draft_event(node, act, EventKind.ACCEDE, text),
            manifest=own.digest,
            bases=cited,
            reservations=tuple(reservations),
        )
        return _carry_out(node, act, [draft], text, by=by, standing=standing, brought=bases)


def _carry_out(
    node: Node,
    act: Act,
    drafts: Sequence[Event],
    terms: Terms,
    *,
    by: Actor,
    standing: Standing | None,
    brought: bytes | None = None,
) -> Recorded | Waiting | Refusal:
    """The events signed and on record, the last one of them, once enough people have approved what they will say.

    Everything in a draft but its time is what people approve. An act that is not possible is not approved either: it is
    held against the state before anybody's approval is kept.
    """
    for draft in drafts:
        check_event(standing, draft, terms)
    says: list[Json] = [describe_event(draft) for draft in drafts]
    facts: dict[str, Json] = {"terms": terms.hash, "title": terms.title, "version": terms.version, "says": says}
    matter = make_matter(drafts[0].kind.value, agreement=terms.agreement_id, facts=facts)
    authorised = approve(act, by if by.why else replace(by, why=drafts[0].text), matter, brought=brought)
    if not isinstance(authorised, Approved):
        return authorised
    carried = authorised.approvals
    return [sign_event(node, act, draft, terms, standing=standing, approvals=carried) for draft in drafts][-1]


def _find_locks(node: Node, standing: Standing, *, channel: str | None) -> list[Digest]:
    """This party's locks, all of them or those on `channel`; else one that it cannot lift, so that it is told why.

    Raises:
        TransitionError: there is none.
    """
    held = [lock for lock in standing.locks if channel is None or lock.channel == channel]
    own = [lock for lock in held if lock.party == node.party]
    if not held:
        raise TransitionError(f"nothing is suspended: {standing.sentence}")
    return [lock.event for lock in own or held[:1]]


def find_problems(node: Node, transaction: Transaction, terms: Terms, *, now: Instant) -> tuple[ComityError, ...]:
    """Why `propose` would refuse the terms at `now`, each reason once; this party's own policy is not asked."""
    dossier = read_dossier(node, transaction, terms.agreement_id)
    standing = dossier.standing(now=now) if dossier and _is_begun(dossier, terms) else None
    kind = choose_proposal(standing)
    draft = Event(
        digest=terms.hash, kind=kind, agreement=terms.agreement_id, terms=terms.hash, party=node.party, at=now
    )
    checks: list[Callable[[], None]] = [
        partial(_check_own, node, terms),
        *(partial(_check_party, transaction, party) for party in terms.parties),
        partial(_check_lineage, terms, dossier),
        partial(check_event, standing, draft, terms),
    ]
    found = list[ComityError]()
    for check in checks:
        try:
            check()
        except ComityError as error:
            found.append(error)
    return tuple(found)


def _check_parties(node: Node, act: Act, terms: Terms) -> None:
    """Every party of the terms is pinned here, by a manifest of its chain."""
    _check_own(node, terms)
    _check_pinned(act, terms)


def _check_own(node: Node, terms: Terms) -> None:
    if node.party not in terms.founders:
        raise VerificationError(f"{node.party}, whose node this is, is not a party of these terms")


def _check_pinned(act: Act, terms: Terms) -> None:
    for party in terms.parties:
        _check_party(act.transaction, party)


def _check_party(transaction: Transaction, party: TermsParty) -> None:
    if parties.read_party(transaction, party.id) is None:
        raise NotFoundError(f"{party.id} is a party of these terms but not known here; pin it with `party add` first")
    if not parties.has_manifest(transaction, party.id, party.manifest):
        raise VerificationError(
            f"the terms name the manifest {party.manifest[:12]}… for {party.id}, which is not one pinned here;"
            " compare digests with that party and correct the terms, or pin the newer manifest"
        )


def _is_begun(dossier: Dossier, terms: Terms) -> bool:
    """Whether something of the agreement stands before `terms`. What claims to follow a first version is not it."""
    return terms.version > 1 or any(known.version == 1 for known in dossier.versions)


def _check_lineage(terms: Terms, dossier: Dossier | None) -> None:
    if terms.version == 1:
        return
    known: frozenset[str] = frozenset(version.hash for version in dossier.versions) if dossier else frozenset()
    if terms.supersedes not in known:
        raise NotFoundError(
            f"these terms supersede {(terms.supersedes or '')[:12]}…, which is not a version on record here;"
            " `agreement show` gives the hashes"
        )


def _find_terms(kind: EventKind, standing: Standing, *, versions: Collection[Terms], prefix: str) -> Terms:
    """The version an event is about.

    Raises:
        TransitionError: a version is to be signed or refused, and `prefix` does not name the latest, and it alone: who
            read one text must not sign another that came in the meantime, be it made so that its hash begins alike.
    """
    latest = standing.latest
    about_latest = {EventKind.ACCEPT, EventKind.REJECT, EventKind.WITHDRAW}
    if kind in about_latest and not latest.hash.startswith(prefix.lower()):
        raise TransitionError(
            f"version {latest.version} is on record: read it (`agreement show`), and name it by its own hash,"
            f" {latest.hash[:12]}"
        )
    if kind in about_latest and sum(known.hash.startswith(prefix.lower()) for known in versions) > 1:
        raise TransitionError(f"the hashes of several versions begin with {prefix}: name the one that you read in full")
    return choose_terms(kind, standing)


def _find_shown(standing: Standing, shown: str | None) -> Terms:
    """The text of a group that is joined now.

    Raises:
        TransitionError: it is not the one whose hash is `shown`, where one is.
    """
    terms = standing.current or standing.latest
    if shown not in {None, terms.hash}:
        raise TransitionError(
            f"version {terms.version} counts by now, {terms.hash[:12]}, and not the text that was shown: read it, and"
            " begin anew"
        )
    return terms


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
