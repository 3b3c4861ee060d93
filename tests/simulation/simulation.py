# SPDX-License-Identifier: Apache-2.0
"""Several real nodes, each with a clock of its own, and a network that loses, repeats, reorders, delays and divides.

A history is a list of plain steps, as JSON holds them. `Simulation.take` takes one and says what came of it; the same
steps always come to the same, so that a history that failed once can be played again:

    {"do": "found", "parties": 3, "skew": {"borealia": 40}}
    {"do": "propose", "by": "aurelia", "as": "a0", "terms": {"founders": ["aurelia", "borealia"]}}
    {"do": "deliver", "from": "aurelia", "pick": 0, "fate": "late"}

A step that a node refuses is an outcome and no failure: people try what is not possible. What must hold after every
step is in `tests.simulation.invariants`.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from comity.agreement.events import EventKind, Reservation
from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms
from comity.errors import ComityError, StoreFull
from comity.exchange import parse_message
from comity.ids import Digest, Instant, ObjectId, PartyId
from comity.node import agree, correspond, ingest
from comity.node.journal import read_checkpoint
from comity.node.outbox import Outgoing, find_held, list_due, list_waiting, settle
from comity.node.recording import Recorded
from comity.node.upkeep import keep_up
from comity.signing import Role as KeyRole
from comity.stix.labels import make_tags
from comity.store import agreements
from tests.simulation.drafts import make_bases, make_item, write_terms
from tests.simulation.forging import TALK_OF_STRANGERS, forge_message, make_claim
from tests.simulation.letters import Writing, read_letter
from tests.simulation.nodes import SECOND, Step, carry_out
from tests.simulation.pulling import Pulling
from tests.simulation.template import manifests
from tests.worlds import object_id

__all__ = ["Simulation", "Step"]

_ROUNDS = 60


@dataclass
class Simulation(Pulling, Writing):
    """The nodes of one history, and every step that can be taken."""

    def take(self, step: Step) -> str:
        """What came of one step: "done", or why not."""
        self.history.append(dict(step))
        self.now = Instant(self.now + 1_000)
        act: Callable[[Step], str | None] = getattr(self, f"_{step['do']}")
        name = step.get("by")
        if name is not None and step.get("fault"):
            self.stores[name].fault, self.stores[name].spared = step["fault"], step.get("spared", 0)
        try:
            outcome = act(step) or "done"
        except StoreFull as error:
            outcome = f"failed: {error.detail}"
        except ComityError as error:
            outcome = f"refused: {error.detail}"
        finally:
            for store in self.stores.values():
                store.fault, store.spared = None, 0
        for party in self.names:
            head = read_checkpoint(self.nodes[party])
            if self.heads[party][-1:] != [head]:
                self.heads[party].append(head)
        return outcome

    def settle(self) -> None:
        """Heal the network, hand over what is late, and let everybody deliver until nothing is due, or for ever.

        Raises:
            AssertionError: something still waits after days of trying.
        """
        self.apart = frozenset()
        for _ in range(_ROUNDS):
            while self.late:
                self.receive(*self.late.pop())
            for name in self.names:
                with suppress(ComityError):
                    self._note_upkeep(name)
            self._exchange({"backwards": True})
            if not self.late and not any(self._list_owed(name) for name in self.names):
                return
            self.now = Instant(self.now + 301 * SECOND)
        waiting = {name: list_waiting(self.nodes[name]) for name in self.names}
        raise AssertionError(f"DRAIN: messages wait for ever: {waiting}")

    def _list_owed(self, name: str) -> list[bytes]:
        """What is still to be delivered; whoever answers a stranger's claim talks to who has put it on no record.

        What may not be said while its agreement is not in force is owed to nobody.
        """
        node = self.nodes[name]
        with node.store.read() as transaction:
            held = find_held(node, transaction)
            waiting = [
                message.envelope for message in agreements.read_undelivered(transaction) if message.position not in held
            ]
        return [envelope for envelope in waiting if not self._is_owed_to_nobody(envelope)]

    def _is_owed_to_nobody(self, envelope: bytes) -> bool:
        """An answer to what no node has sent is not taken by the node of whoever forged it."""
        letter = read_letter(envelope)
        if letter is not None:
            return letter.answers in self.forged_letters
        return parse_message(envelope).event.terms in self.claims

    # ---- what people do --------------------------------------------------------------------------------------------

    def _propose(self, step: Step) -> str | None:
        toml = write_terms(step["terms"], manifests(), title=step["as"])
        node = self.nodes[step["by"]]
        made = carry_out(lambda by: agree.propose(node, toml, by=by, reservations=_reserve(step)))
        if isinstance(made, agree.Recorded):
            self.agreements[step["as"]] = made.event.agreement
        return self._note(step["by"], step, made)

    def _amend(self, step: Step) -> str | None:
        """The next version by the record of who proposes it."""
        dossier = self.dossier(step["by"], step["agreement"])
        if dossier is None:
            return "refused: not on record"
        latest = dossier.standing(now=self.clock(step["by"])).latest
        toml = write_terms(
            step["terms"],
            manifests(),
            title=f"{step['agreement']} of {step['by']}",
            version=latest.version + 1,
            agreement=dossier.id,
            supersedes=latest.hash,
        )
        node = self.nodes[step["by"]]
        made = carry_out(lambda by: agree.propose(node, toml, by=by, reservations=_reserve(step)))
        return self._note(step["by"], step, made)

    def _act(self, step: Step) -> str | None:
        """An act that people name by its kind, about the newest text that its party has read."""
        kind, name = EventKind(step["kind"]), step["by"]
        prefix = str(self.agreements[step["agreement"]])
        if kind in {EventKind.ACCEPT, EventKind.REJECT, EventKind.WITHDRAW}:
            dossier = self.dossier(name, step["agreement"])
            prefix = dossier.standing(now=self.clock(name)).latest.hash if dossier else prefix
        words: dict[str, Any] = {"channel": step.get("channel")}
        if kind in {EventKind.CLARIFY, EventKind.ANSWER}:
            words = {"text": "Why?"} | ({"clause": "purposes"} if kind is EventKind.CLARIFY else {})
            asked = self._find_question(name, step["agreement"]) if kind is EventKind.ANSWER else None
            words |= {"re": asked} if asked else {}
        node, reserved = self.nodes[name], _reserve(step)
        made = carry_out(lambda by: agree.act_on(node, prefix, kind, by=by, reservations=reserved, **words))
        return self._note(name, step, made)

    def _find_question(self, name: str, handle: str) -> Digest | None:
        dossier = self.dossier(name, handle)
        asked = dossier.standing(now=self.clock(name)).open_questions if dossier else ()
        return asked[0].digest if asked else None

    def _admit(self, step: Step) -> str | None:
        node, agreement, joiner = self.nodes[step["by"]], self.agreements[step["agreement"]], PartyId(step["joiner"])
        return self._note(step["by"], step, carry_out(lambda by: agree.admit(node, agreement, joiner, by=by)))

    def _accede(self, step: Step) -> str | None:
        bases = make_bases(step["by"], step.get("until"))
        node, agreement, reserved = self.nodes[step["by"]], self.agreements[step["agreement"]], _reserve(step)
        made = carry_out(lambda by: agree.accede(node, agreement, bases, by=by, reservations=reserved))
        return self._note(step["by"], step, made)

    def _keep_up(self, step: Step) -> None:
        self._note_upkeep(step["by"])

    def _note_upkeep(self, name: str) -> None:
        for recorded in keep_up(self.nodes[name]):
            if recorded.event.kind is EventKind.SUSPEND and recorded.event.party == name:
                self.stopped.setdefault((name, recorded.event.agreement), set()).add(None)

    def _note(self, name: str, step: Step, made: Recorded | Refusal) -> str | None:
        """Remember what the act promised when it returned."""
        if isinstance(made, Refusal):
            return f"refused: {made.reason}"
        agreement, channel = made.event.agreement, step.get("channel")
        match made.event.kind:
            case EventKind.SUSPEND:
                self.stopped.setdefault((name, agreement), set()).add(channel)
            case EventKind.TERMINATE | EventKind.LEAVE:
                self.ended.add((name, agreement))
            case EventKind.REJECT | EventKind.WITHDRAW:
                self.refused.add((name, made.event.terms))
            case _:
                pass
        return None

    def _resume(self, step: Step) -> str | None:
        """Lift one's own locks. A failure that was none may have lifted them, so from here on they promise nothing."""
        held = self.stopped.get((step["by"], self.agreements[step["agreement"]]), set())
        before, channel = set(held), step.get("channel")
        held -= {channel} if channel else set(held)
        try:
            return self._act({**step, "kind": "resume"})
        except ComityError as error:
            if not isinstance(error, StoreFull) or step.get("fault") == "not done":
                held |= before
            raise

    def _add(self, step: Step) -> None:
        """An object of one's own, or of somebody else's name: then a new version is refused object by object."""
        item = make_item(step["by"], step, day=len(self.history))
        data = json.dumps({"type": "bundle", "id": f"bundle--{_UUID}", "objects": [item]}).encode()
        key = (ObjectId(str(item["id"])), str(item["modified"]))
        # Before the act: one that failed and was done all the same has the object in the store.
        self.items[key] = step
        self.own.setdefault(key[0], step["by"])
        ingest.add_objects(self.nodes[step["by"]], data, tags=make_tags())

    # ---- what a history written by hand looks at -------------------------------------------------------------------

    def _see(self, step: Step) -> str | None:
        """The state at a node by its own clock, as text that begins with the one that the step names."""
        dossier = self.dossier(step["by"], step["agreement"])
        standing = dossier.standing(now=self.clock(step["by"])) if dossier else None
        seen = "nothing" if standing is None else f"{standing.state}, {', '.join(sorted(standing.members))}"
        return None if seen == step["seen"] else f"refused: {step['by']} sees {seen}"

    def _hold(self, step: Step) -> str | None:
        """The objects a node holds, by the names that steps gave them."""
        with self.nodes[step["by"]].store.read() as transaction:
            rows = transaction.rows("SELECT DISTINCT id FROM object")
        names = {
            object_id("report", f"{item['by']} {item['name']}"): f"{item['by']} {item['name']}"
            for item in self.items.values()
        }
        held = sorted(names[ObjectId(row[0])] for row in rows)
        return None if held == step["held"] else f"refused: {step['by']} holds {held}"

    def _forge(self, step: Step) -> str | None:
        """A party that does not keep to the rules signs what its own node would refuse, and sends it to everybody.

        A lifting is that of the oldest lock of another party. From here on nobody counts on its record.
        """
        name = step["by"]
        dossier = self.dossier(name, step["agreement"])
        if dossier is None:
            return "refused: not on record"
        standing = dossier.standing(now=self.clock(name))
        kind, locks = EventKind(step["kind"]), [lock for lock in standing.locks if lock.party != name]
        if kind is EventKind.RESUME and not locks:
            return "refused: nobody else has a lock"
        terms = standing.current or standing.latest
        self._send_forged(name, kind, terms, re=locks[0].event if kind is EventKind.RESUME else None)
        return None

    def _intrude(self, step: Step) -> None:
        """Who knows no more of an agreement than its name proposes a next version of it, and says more about that."""
        name = step["by"]
        terms = make_claim(step["named"], self.agreements[step["agreement"]], title=f"As {name} would have it")
        self.claims.add(terms.hash)
        for kind, words in TALK_OF_STRANGERS:
            self._send_forged(name, kind, terms, **words)

    def _send_forged(self, name: str, kind: EventKind, terms: Terms, **words: Any) -> None:  # noqa: ANN401
        signer, nonce = self.nodes[name].signers[KeyRole.AGREEMENT], self.draw(name, 16)
        envelope = forge_message(name, kind, terms, at=self.clock(name), nonce=nonce, signer=signer, **words)
        self.forgers.add(name)
        self.forged.add((name, kind, terms.hash))
        self.late += [(other, envelope) for other in self.names if other != name]

    # ---- what nodes do to each other -------------------------------------------------------------------------------

    def _deliver(self, step: Step) -> str | None:
        """One message that is due, any of them, comes to one of four ends, or is cut off by a division."""
        name, fate = step["from"], step.get("fate", "ok")
        due = list_due(self.nodes[name])
        if not due:
            return "refused: nothing is due"
        return self._carry(name, due[step.get("pick", 0) % len(due)], fate)

    def _carry(self, name: str, message: Outgoing, fate: str) -> str:
        if message.party not in self.names or fate == "lost" or self.is_apart(name, message.party):
            problem: str | None = "lost"
        elif fate == "late":
            self.late.append((message.party, message.envelope))
            problem = "no answer in time"
        else:
            problem = self.receive(message.party, message.envelope)
            if fate == "twice":
                self.receive(message.party, message.envelope)
            problem = "the answer was lost" if fate == "unheard" else problem
        settle(self.nodes[name], message, problem=problem)
        return problem or "done"

    def _arrive(self, step: Step) -> str | None:
        """A message that was given up for lost arrives after all, in any order; `keep` lets it arrive once more."""
        if not self.late:
            return "refused: nothing is late"
        place = step.get("pick", 0) % len(self.late)
        name, envelope = self.late[place] if step.get("keep") else self.late.pop(place)
        return self.receive(name, envelope)

    def _exchange(self, step: Step) -> None:
        """Everything that is due and can be delivered, and what follows from it; `backwards`, the newest first."""
        tried = set[tuple[str, int]]()
        while due := [
            (name, message)
            for name in self.names
            for message in list_due(self.nodes[name])
            if (name, message.position) not in tried
        ]:
            for name, message in reversed(due) if step.get("backwards") else due:
                tried.add((name, message.position))
                self._carry(name, message, "ok")

    def _file(self, step: Step) -> str | None:
        """Everything on record carried by hand, past every division."""
        data = correspond.export_messages(self.nodes[step["from"]], self.agreements[step["agreement"]])
        refused = correspond.import_messages(self.nodes[step["by"]], data).refused
        return f"refused: {refused[0]}" if refused else None


_UUID = "00000000-0000-4000-8000-000000000000"


def _reserve(step: Step) -> tuple[Reservation, ...]:
    if not step.get("reserve"):
        return ()
    return (Reservation(clause="channels.back", ground="national_law", text=None),)
