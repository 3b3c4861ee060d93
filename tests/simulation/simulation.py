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

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comity.agreement.events import EventKind, Reservation
from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.agreement.terms import Terms
from comity.errors import ComityError, StoreFull
from comity.exchange import parse_message
from comity.ids import AgreementId, Digest, Instant, ObjectId, PartyId
from comity.node import agree, correspond, ingest, receive
from comity.node.follow import plan_pull
from comity.node.journal import read_checkpoint
from comity.node.node import Node, open_node
from comity.node.outbox import Outgoing, list_due, list_waiting, settle
from comity.node.people import Actor, Waiting
from comity.node.poll import Page, PollRequest, Selection, VersionChoice, poll
from comity.node.recording import Recorded
from comity.node.standing import Dossier, find_agreement
from comity.node.upkeep import keep_up
from comity.release.disclosure import Answer
from comity.signing import Role as KeyRole
from comity.stix.labels import make_tags
from comity.store import agreements, feeds, objects
from comity.taxii.wire import format_envelope
from tests.simulation.drafts import HOUR, POLICIES, SECRET, make_bases, make_item, write_terms
from tests.simulation.forging import TALK_OF_STRANGERS, forge_message, make_claim
from tests.simulation.pulls import Pull
from tests.simulation.stores import FaultyStore, make_faulty
from tests.simulation.template import PARTIES, PEOPLE, START, copy_nodes, manifests
from tests.worlds import object_id

__all__ = ["Simulation", "Step"]

Step = Mapping[str, Any]
"""One step of a history, as JSON holds it; `do` names it."""

_SECOND = 1_000_000
_ROUNDS = 60


@dataclass
class Simulation:
    """The nodes of one history. Time moves by steps only; every step takes a millisecond of it."""

    folder: Path
    names: tuple[str, ...] = ()
    nodes: dict[str, Node] = field(default_factory=dict)
    stores: dict[str, FaultyStore] = field(default_factory=dict)
    now: Instant = START
    skew: dict[str, int] = field(default_factory=dict)
    drawn: dict[str, int] = field(default_factory=dict)
    agreements: dict[str, AgreementId] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    apart: frozenset[frozenset[str]] = frozenset()
    late: list[tuple[str, bytes]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    # What the invariants are held against, kept apart from what any node has on record.
    stopped: dict[tuple[str, str], set[str | None]] = field(default_factory=dict)
    ended: set[tuple[str, str]] = field(default_factory=set)
    refused: set[tuple[str, str]] = field(default_factory=set)
    forgers: set[str] = field(default_factory=set)
    forged: set[tuple[str, str, str]] = field(default_factory=set)
    claims: set[Digest] = field(default_factory=set)
    own: dict[ObjectId, str] = field(default_factory=dict)
    items: dict[tuple[ObjectId, str], Step] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)
    heads: dict[str, list[bytes]] = field(default_factory=dict)

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

    def clock(self, name: str) -> Instant:
        """What the clock of `name` shows."""
        return Instant(self.now + self.skew.get(name, 0))

    def dossier(self, name: str, handle: str) -> Dossier | None:
        """What is on record of an agreement at the node of `name`."""
        node = self.nodes[name]
        with node.store.read() as transaction, suppress(ComityError):
            return find_agreement(node, transaction, self.agreements[handle])
        return None

    def close(self) -> None:
        """Close every node."""
        for node in self.nodes.values():
            node.close()

    def settle(self) -> None:
        """Heal the network, hand over what is late, and let everybody deliver until nothing is due, or for ever.

        Raises:
            AssertionError: something still waits after days of trying.
        """
        self.apart = frozenset()
        for _ in range(_ROUNDS):
            while self.late:
                self._receive(*self.late.pop())
            for name in self.names:
                with suppress(ComityError):
                    self._note_upkeep(name)
            self._exchange({"backwards": True})
            if not self.late and not any(self._list_owed(name) for name in self.names):
                return
            self.now = Instant(self.now + 301 * _SECOND)
        waiting = {name: list_waiting(self.nodes[name]) for name in self.names}
        raise AssertionError(f"DRAIN: messages wait for ever: {waiting}")

    def _list_owed(self, name: str) -> list[bytes]:
        """What is still to be delivered; whoever answers a stranger's claim talks to who has put it on no record."""
        with self.nodes[name].store.read() as transaction:
            waiting = [message.envelope for message in agreements.read_undelivered(transaction)]
        return [envelope for envelope in waiting if parse_message(envelope).event.terms not in self.claims]

    # ---- the stage -------------------------------------------------------------------------------------------------

    def _found(self, step: Step) -> None:
        self.names = PARTIES[: step["parties"]]
        copy_nodes(self.folder, len(self.names))
        for name in self.names:
            self.skew[name] = step.get("skew", {}).get(name, 0) * _SECOND
            self.heads[name] = []
            self._set_policy(name, "recognises")
            self._open(name)

    def _open(self, name: str) -> None:
        node = open_node(self.folder / name)
        node.clock = lambda: self.clock(name)
        node.draw = lambda count: self._draw(name, count)
        self.stores[name] = make_faulty(node)
        self.nodes[name] = node

    def _draw(self, name: str, count: int) -> bytes:
        self.drawn[name] = self.drawn.get(name, 0) + 1
        return hashlib.shake_256(f"{name} {self.drawn[name]}".encode()).digest(count)

    def _crash(self, step: Step) -> None:
        """The process is gone and comes again; what it had said it had done must be there."""
        self.nodes[step["by"]].close()
        self._open(step["by"])

    def _advance(self, step: Step) -> None:
        self.now = Instant(self.now + step.get("hours", 0) * HOUR + step.get("seconds", 0) * _SECOND)

    def _skew(self, step: Step) -> None:
        self.skew[step["by"]] = step["seconds"] * _SECOND

    def _policy(self, step: Step) -> None:
        self._set_policy(step["by"], step["policy"])

    def _set_policy(self, name: str, policy: str) -> None:
        path = self.folder / name / "recognition.toml"
        path.write_text(POLICIES[policy])
        # A node reads its policy anew when the file's time has changed, and files of one instant have one time.
        os.utime(path, ns=(0, len(self.history) + 1))
        self.policies[name] = policy

    # ---- what people do --------------------------------------------------------------------------------------------

    def _propose(self, step: Step) -> str | None:
        toml = write_terms(step["terms"], manifests(), title=step["as"])
        node = self.nodes[step["by"]]
        made = _carry_out(lambda by: agree.propose(node, toml, by=by, reservations=_reserve(step)))
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
        made = _carry_out(lambda by: agree.propose(node, toml, by=by, reservations=_reserve(step)))
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
        made = _carry_out(lambda by: agree.act_on(node, prefix, kind, by=by, reservations=reserved, **words))
        return self._note(name, step, made)

    def _find_question(self, name: str, handle: str) -> Digest | None:
        dossier = self.dossier(name, handle)
        asked = dossier.standing(now=self.clock(name)).open_questions if dossier else ()
        return asked[0].digest if asked else None

    def _admit(self, step: Step) -> str | None:
        node, agreement, joiner = self.nodes[step["by"]], self.agreements[step["agreement"]], PartyId(step["joiner"])
        return self._note(step["by"], step, _carry_out(lambda by: agree.admit(node, agreement, joiner, by=by)))

    def _accede(self, step: Step) -> str | None:
        bases = make_bases(step["by"], step.get("until"))
        node, agreement, reserved = self.nodes[step["by"]], self.agreements[step["agreement"]], _reserve(step)
        made = _carry_out(lambda by: agree.accede(node, agreement, bases, by=by, reservations=reserved))
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
        signer, nonce = self.nodes[name].signers[KeyRole.AGREEMENT], self._draw(name, 16)
        envelope = forge_message(name, kind, terms, at=self.clock(name), nonce=nonce, signer=signer, **words)
        self.forgers.add(name)
        self.forged.add((name, kind, terms.hash))
        self.late += [(other, envelope) for other in self.names if other != name]

    # ---- what nodes do to each other -------------------------------------------------------------------------------

    def _pull(self, step: Step) -> str | None:
        """Every channel that the record of `by` knows, page by page; `lose` loses the answers on their way."""
        giver, name = step["from"], step["by"]
        if self._is_apart(giver, name):
            return "refused: apart"
        for target in plan_pull(self.nodes[name], PartyId(giver)):
            after = target.added_after or Instant(0)
            while page := self._poll(giver, name, target.collection, after=after, limit=step.get("limit", 2)):
                after = page.items[-1].at
                if step.get("lose"):
                    continue
                received = receive.Received(
                    giver=target.giver,
                    terms=target.terms,
                    channel=target.channel,
                    collection=target.collection,
                    added_after=after,
                )
                self._keep(name, page, received)
        return None

    def _keep(self, name: str, page: Page, received: receive.Received) -> None:
        echoed = self._find_echoed(name, page, received.giver)
        data = b"".join(format_envelope(b",".join(item.data for item in page.items), cursor=None))
        intake = receive.receive_page(self.nodes[name], data, received)
        refused = {bad.index for bad in intake.bad}
        kept = tuple((item.id, item.version) for place, item in enumerate(page.items) if place not in refused)
        self.pulls.append(
            Pull(
                giver=received.giver,
                recipient=name,
                versions=tuple((item.id, item.version) for item in page.items),
                kept=tuple(version for version in kept if version not in echoed and self.own[version[0]] != name),
                onward=frozenset(received.channel.releasable_to),
                leaked=SECRET.encode() in data,
            )
        )

    def _find_echoed(self, name: str, page: Page, giver: PartyId) -> set[tuple[ObjectId, str]]:
        """What of a page its recipient has itself released to who gives it."""
        with self.nodes[name].store.read() as transaction:
            held = objects.read_versions_of(transaction, {item.id for item in page.items})
            return {(item.id, item.version) for item in held if feeds.was_released(transaction, item.pk, giver)}

    def _poll(self, giver: str, name: str, collection: str, *, after: Instant, limit: int) -> Page | None:
        """The next page with anything on it. Only what `poll` returned has left the giver."""
        request = PollRequest(
            recipient=PartyId(name),
            collection=collection,
            answer=Answer.OBJECTS,
            selection=Selection(after=after, versions=VersionChoice(every=True)),
            limit=limit,
        )
        try:
            page = poll(self.nodes[giver], request)
        except ComityError:
            return None
        return page if page.items else None

    def _deliver(self, step: Step) -> str | None:
        """One message that is due, any of them, comes to one of four ends, or is cut off by a division."""
        name, fate = step["from"], step.get("fate", "ok")
        due = list_due(self.nodes[name])
        if not due:
            return "refused: nothing is due"
        return self._carry(name, due[step.get("pick", 0) % len(due)], fate)

    def _carry(self, name: str, message: Outgoing, fate: str) -> str:
        if message.party not in self.names or fate == "lost" or self._is_apart(name, message.party):
            problem: str | None = "lost"
        elif fate == "late":
            self.late.append((message.party, message.envelope))
            problem = "no answer in time"
        else:
            problem = self._receive(message.party, message.envelope)
            if fate == "twice":
                self._receive(message.party, message.envelope)
            problem = "the answer was lost" if fate == "unheard" else problem
        settle(self.nodes[name], message, problem=problem)
        return problem or "done"

    def _receive(self, name: str, envelope: bytes) -> str | None:
        """None when the node of `name` has the message, else what it said."""
        try:
            correspond.receive(self.nodes[name], envelope)
        except ComityError as error:
            return error.detail
        return None

    def _arrive(self, step: Step) -> str | None:
        """A message that was given up for lost arrives after all, in any order; `keep` lets it arrive once more."""
        if not self.late:
            return "refused: nothing is late"
        place = step.get("pick", 0) % len(self.late)
        name, envelope = self.late[place] if step.get("keep") else self.late.pop(place)
        return self._receive(name, envelope)

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

    def _divide(self, step: Step) -> None:
        """Parties of different groups do not reach each other until the network is divided anew."""
        groups = step["groups"]
        self.apart = frozenset(
            frozenset({left, right})
            for place, group in enumerate(groups)
            for other in groups[place + 1 :]
            for left in group
            for right in other
        )

    def _is_apart(self, left: str, right: str) -> bool:
        return frozenset({left, right}) in self.apart

    def _file(self, step: Step) -> str | None:
        """Everything on record carried by hand, past every division."""
        data = correspond.export_messages(self.nodes[step["from"]], self.agreements[step["agreement"]])
        refused = correspond.import_messages(self.nodes[step["by"]], data).refused
        return f"refused: {refused[0]}" if refused else None


_UUID = "00000000-0000-4000-8000-000000000000"


def _carry_out(act: Callable[[Actor], Recorded | Waiting | Refusal]) -> Recorded | Refusal:
    """What becomes of an act by the liaison and, where it takes two, the legal officer."""
    done = act(Actor(person=PEOPLE[Role.LIAISON]))
    if isinstance(done, Waiting):
        done = act(Actor(person=PEOPLE[Role.LEGAL]))
    assert not isinstance(done, Waiting), done
    return done


def _reserve(step: Step) -> tuple[Reservation, ...]:
    if not step.get("reserve"):
        return ()
    return (Reservation(clause="channels.back", ground="national_law", text=None),)
