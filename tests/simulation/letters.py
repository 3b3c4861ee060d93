# SPDX-License-Identifier: Apache-2.0
"""Letters between the nodes of a history: what people send, what comes of it, and letters that no node would send."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from comity.agreement.recognition import Refusal
from comity.errors import ComityError
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.letters.bodies import Body, LetterKind
from comity.letters.consent import ConsentGrant, ConsentRevocation
from comity.letters.letter import LETTER_TYPE, About, Draft, Letter, make_letter, parse_letter
from comity.letters.recall import Change, Outcome, Recall, RecallAcknowledgement, Result, Stage
from comity.letters.request import Reply, ReplyOutcome, Request, Urgency
from comity.node import consent, correspond, recall, requests
from comity.node.granting import Offer
from comity.signing import Role as KeyRole
from comity.signing import parse_signed_document
from comity.store import Transaction
from comity.store import letters as kept
from comity.store.letters import LetterState, StoredLetter
from tests.simulation.drafts import HOUR
from tests.simulation.nodes import Nodes, Step, carry_out
from tests.simulation.pulls import Take
from tests.worlds import object_id

__all__ = ["Writing", "read_letter"]


_ANSWERED = {
    "acknowledgement": "recall",
    "grant": "consent-request",
    "revocation": "consent-request",
    "reply": "request",
}
"""What a kind of letter answers; the others answer none."""


def read_letter(envelope: bytes) -> Letter | None:
    """The letter that travels in the bytes; None where it is another message."""
    if parse_signed_document(envelope).payload_type != LETTER_TYPE:
        return None
    return parse_letter(envelope)[0]


@dataclass
class Writing(Nodes):
    """The steps in which people write letters, nodes take them, and who cheats makes them up."""

    def _recall(self, step: Step) -> str | None:
        """An object of one's own, or of somebody else's that one holds, with every older version of it."""
        name, item = step["by"], _find_object(step)
        change = Change(step.get("change", "withdraw"))
        node = self.nodes[name]
        done = carry_out(lambda by: recall.recall(node, item, change=change, versions=(), reason="wrong", by=by))
        if isinstance(done, Refusal):
            return f"refused: {done.reason}"
        self.recalled.setdefault(name, set()).update((item, version) for version in done.versions)
        return None

    def _keep(self, step: Step) -> str | None:
        """People decide to keep what is recalled, and give it to nobody."""
        node, item = self.nodes[step["by"]], _find_object(step)
        return _say(carry_out(lambda by: recall.keep_recalled(node, item, reason="a court says so", by=by)))

    def _ask(self, step: Step) -> str | None:
        """Whoever was given an object asks its givers to let it go to one more party, perhaps until some hour."""
        name, item = step["by"], _find_object(step)
        until = None if step.get("hours") is None else Instant(self.clock(name) + step["hours"] * HOUR)
        node, to = self.nodes[name], PartyId(step["to"])
        done = carry_out(
            lambda by: consent.request_consent(
                node, [item], to=to, purpose="exchange", reason="wanted", until=until, by=by
            )
        )
        return _say(done)

    def _grant(self, step: Step) -> str | None:
        """One of the requests that wait is granted, for so many hours."""
        name, request = step["by"], self._choose(step, LetterKind.CONSENT_REQUEST, sent=False)
        if request is None:
            return "refused: nothing is asked"
        offer = Offer(until=Instant(self.clock(name) + step["hours"] * HOUR), conditions=step.get("conditions"))
        node = self.nodes[name]
        done = carry_out(lambda by: consent.grant_consent(node, request.letter.digest, offer, by=by))
        if not isinstance(done, Refusal):
            self.granted += [(name, letter) for letter in done.letters]
        return _say(done)

    def _deny(self, step: Step) -> str | None:
        """One of the requests that wait is refused."""
        node, request = self.nodes[step["by"]], self._choose(step, LetterKind.CONSENT_REQUEST, sent=False)
        if request is None:
            return "refused: nothing is asked"
        digest = request.letter.digest
        return _say(carry_out(lambda by: consent.refuse_consent(node, digest, reason="no", by=by)))

    def _revoke(self, step: Step) -> str | None:
        """One of the grants of this party ends, perhaps with what was passed on by it."""
        node = self.nodes[step["by"]]
        with node.store.read() as transaction:
            sent = kept.list_letters(transaction, LetterKind.CONSENT_GRANT, sent=True, limit=50)
        if not sent:
            return "refused: nothing is granted"
        grant, back = _pick(step, sent).letter.digest, bool(step.get("back"))
        return _say(carry_out(lambda by: consent.revoke_consent(node, grant, reason=None, takes_back=back, by=by)))

    def _question(self, step: Step) -> str | None:
        """A request for information, under an agreement that is in force, perhaps about an object."""
        node, about = self.nodes[step["by"]], [_find_object(step)] if step.get("object") else []
        agreement, to = self.agreements[step["agreement"]], PartyId(step["to"])
        urgency = Urgency(step.get("urgency", "immediate"))
        return _say(
            carry_out(
                lambda by: requests.send_request(
                    node, agreement, to=to, question="When?", urgency=urgency, about=about, by=by
                )
            )
        )

    def _reply(self, step: Step) -> str | None:
        """One of the questions that wait is answered, or the answer is declined."""
        node, request = self.nodes[step["by"]], self._choose(step, LetterKind.REQUEST, sent=False)
        if request is None:
            return "refused: nothing is asked"
        digest, declines = request.letter.digest, bool(step.get("decline"))
        return _say(
            carry_out(lambda by: requests.answer_request(node, digest, text="In June.", declines=declines, by=by))
        )

    def _choose(self, step: Step, kind: LetterKind, *, sent: bool) -> StoredLetter | None:
        with self.nodes[step["by"]].store.read() as transaction:
            found = kept.list_letters(transaction, kind, sent=sent, states={LetterState.OPEN}, limit=50)
        return _pick(step, found) if found else None

    # ---- what nodes do ---------------------------------------------------------------------------------------------

    def receive(self, name: str, envelope: bytes) -> str | None:
        """None when the node of `name` has the message, else what it said."""
        letter = read_letter(envelope)
        if letter is not None:
            self.letters.append(envelope)
        try:
            correspond.receive_any(self.nodes[name], envelope)
        except ComityError as error:
            return error.detail
        if letter is not None:
            self.taken.append(Take(name=name, letter=letter))
        return None

    # ---- what no node would do -------------------------------------------------------------------------------------

    def _forge_letter(self, step: Step) -> str | None:
        """A party that does not keep to the rules signs a letter that its own node would not, and sends it.

        It is about what the receiver holds, by its digest there, whoever gave it, or about what nobody holds.
        """
        name, to = step["by"], step["to"]
        draft = self._draft_forged(step)
        if draft is None:
            return "refused: no agreement to name"
        node, nonce = self.nodes[name], self.draw(name, 16)
        signers = [node.signers[KeyRole.AGREEMENT]]
        envelope = make_letter(draft, sender=node.party, at=self.clock(name), nonce=nonce, signers=signers)
        with suppress(ComityError):  # what cannot be read as a letter is refused by whoever gets it
            self.forged_letters[parse_letter(envelope)[0].digest] = name
            self.cheaters.add(name)
            self.late.append((to, envelope))
        return None

    def _draft_forged(self, step: Step) -> Draft | None:
        """An answer to a letter that the receiver sent to this very party, where there is one; or to any."""
        to, pick, kind = step["to"], step.get("pick", 0), _ANSWERED.get(step["kind"], "")
        with self.nodes[to].store.read() as transaction:
            about = _find_about(transaction, _find_object(step))
            found = transaction.rows(
                "SELECT agreement.id, terms.hash FROM agreement JOIN terms ON terms.agreement = agreement.id"
                " ORDER BY EXISTS (SELECT 1 FROM event WHERE event.agreement = agreement.id AND party = ?) DESC, 1, 2",
                (step["by"],),
            )
            asked = transaction.rows(
                "SELECT envelope FROM letter WHERE sent = 1 ORDER BY party = ? AND kind = ? DESC, position",
                (step["by"], kind),
            )
        if not found:
            return None
        agreement, terms = found[pick % min(len(found), 3)]
        answered = read_letter(bytes(asked[pick % min(len(asked), 3)][0])) if asked and kind else None
        if answered is not None:
            agreement, terms, about = answered.agreement, answered.terms, answered.about
        answers = Digest("00" * 32) if answered is None else answered.digest
        body = _make_body(step, now=self.clock(step["by"]), answers=answers, count=len(about))
        return Draft(
            body=body,
            to=PartyId(to),
            agreement=AgreementId(agreement),
            terms=Digest(terms),
            about=about,
            answers=answers if kind else None,
        )

    def _replay_letter(self, step: Step) -> str | None:
        """A letter that somebody was sent is handed to somebody, once more or for the first time."""
        if not self.letters:
            return "refused: no letters yet"
        self.late.append((step["to"], self.letters[step.get("pick", 0) % len(self.letters)]))
        return None


def _make_body(step: Step, *, now: Instant, answers: str, count: int) -> Body:
    until = Instant(now + step.get("hours", 3) * HOUR)
    match step["kind"]:
        case "recall":
            return Recall(change=Change.WITHDRAW, reason="because I say so")
        case "acknowledgement":
            results = tuple(Result(outcome=Outcome.DELETED) for _ in range(count))
            return RecallAcknowledgement(stage=Stage.DONE, results=results)
        case "grant":
            return ConsentGrant(
                recipient=PartyId(step["recipient"]), purpose="exchange", expires_at=until, actions="none"
            )
        case "revocation":
            return ConsentRevocation(grant=Digest(answers), recall=True)
        case "question":
            return Request(question="What do you have?", urgency=Urgency.SOON)
        case _:
            return Reply(outcome=ReplyOutcome.ANSWERED, text="Nothing.")


def _find_about(transaction: Transaction, item: ObjectId) -> tuple[About, ...]:
    rows = transaction.rows("SELECT version, digest FROM object WHERE id = ? ORDER BY version_at", (item,))
    held = tuple(About(id=item, version=row[0], digest=Digest(row[1])) for row in rows)
    return held or (About(id=item, version="2025-02-01T00:00:00.000Z", digest=Digest("ab" * 32)),)


def _find_object(step: Step) -> ObjectId:
    """The object by the name that steps gave it: its owner, and a name."""
    return object_id("report", step["object"])


def _pick(step: Step, found: Sequence[StoredLetter]) -> StoredLetter:
    """One of them, counted from the oldest."""
    place: int = step.get("pick", 0) % len(found)
    return sorted(found, key=lambda stored: stored.position)[place]


def _say(done: Any) -> str | None:  # noqa: ANN401 (what an act gives)
    return f"refused: {done.reason}" if isinstance(done, Refusal) else None
