# SPDX-License-Identifier: Apache-2.0
"""What must hold after every step of a history, and when the network has healed at its end.

SAME        nodes with the same record compute the same standing; in the end all members do
SIGNED      in force anywhere: every founder's signature and confirmation is on that node's record
IN-FORCE    what left a node left while its own record had the agreement in force for it
STOPPED     nothing left a node after its own suspension, ending or refusal had returned
ADMITTED    every object that left was admitted by the terms, and nothing of it that is marked higher
LOG-FIRST   what was received is in its giver's log
HISTORY     a joiner gets nothing that its giver held before; nor does anybody where the terms say none
CHAIN       no object comes to a party that the terms of every hop before did not name
REMEMBERED  what a node remembers of an agreement is what its store holds
HEADS       no checkpoint that a node signed is ever lost; every log verifies
DRAIN       nothing waits for ever
LIVE        in the end every honest party is given and takes in what the others' nodes have for it, whoever cheats
AUDIT       in the end an audit of every node finds nothing, but of one that was made to believe what is not so
QUIET       nobody has been told what was said of a text that it was not given, except what stops
What letters promise is in `tests.simulation.holding`.
"""

from dataclasses import dataclass, field
from typing import Any, cast

from comity.agreement.lifecycle import Standing, compute_standing
from comity.agreement.transitions import State
from comity.ids import ObjectId
from comity.node.audit import audit_folder
from comity.node.journal import Entry, list_entries
from comity.node.standing import Dossier
from comity.release.disclosure import EntryType
from comity.store import log
from tests.simulation.holding import Holding
from tests.simulation.oracle import Account, read_account, say_why_closed
from tests.simulation.pulls import Pull, Version
from tests.simulation.simulation import Simulation, Step
from tests.worlds import object_id

__all__ = ["Invariants"]

_OF_ALL_VERSIONS = frozenset({"suspend", "resume", "terminate", "leave"})
_TLP = ("clear", "green", "amber", "amber+strict", "red")


@dataclass
class Invariants:
    """The checks of one history, with what they have to remember from step to step."""

    simulation: Simulation
    read: dict[str, int] = field(default_factory=dict)
    disclosures: int = 0
    logged: set[tuple[str, str, Version]] = field(default_factory=set)
    held_before: dict[tuple[str, str, str], frozenset[Version]] = field(default_factory=dict)
    holding: Holding = field(init=False)
    pulls: int = 0
    given: int = 0

    def __post_init__(self) -> None:
        self.holding = Holding(self.simulation)

    def check(self) -> None:
        """Everything that must hold between two steps.

        Raises:
            AssertionError: what does not, named by its invariant.
        """
        accounts = {
            (name, handle): account
            for name in self.simulation.names
            for handle, agreement in self.simulation.agreements.items()
            if (account := read_account(self.simulation.nodes[name], agreement)) is not None
        }
        for name in self.simulation.names:
            self._check_disclosures(name, accounts)
        self._check_given()
        for pull in self.simulation.pulls[self.pulls :]:
            self.holding.note_pull(pull)
            self._check_kept(pull)
        self.pulls = len(self.simulation.pulls)
        self.holding.note_letters()
        self.holding.check_recalled()
        self.holding.check_grants()
        self.holding.check_shown()
        for (name, handle), account in accounts.items():
            self._check_record(name, handle, account)
            self._note_history(name, handle, account)
        self._check_same(accounts)

    def check_end(self) -> None:
        """What must hold once everything is delivered, after `Simulation.settle`."""
        self.check()
        simulation = self.simulation
        for handle, agreement in simulation.agreements.items():
            accounts = {
                name: account
                for name in simulation.names
                if (account := read_account(simulation.nodes[name], agreement)) is not None
            }
            self._check_agreed(handle, accounts)
            for name, account in accounts.items():
                # What a party forged it handed to everybody itself: no node has told anybody of it.
                heard = [event for event in account.said if event["terms"] not in account.texts]
                told = {e["kind"] for e in heard if (e["party"], e["kind"], e["terms"]) not in simulation.forged}
                assert told <= _OF_ALL_VERSIONS, f"QUIET: {name} has been told {told} of texts it was not given"
        for name in simulation.names:
            self._check_heads(name)

    def check_over(self) -> None:
        """What must hold when all dates have passed too, after `Simulation.settle` again."""
        self.check()
        simulation = self.simulation
        self.holding.check_end(self.logged)
        for name in set(simulation.names) - simulation.mislabelled:
            audited = audit_folder(simulation.folder / name, now=simulation.clock(name))
            assert audited.found == 0, f"AUDIT: {name}: {[finding.problem for finding in audited.findings]}"

    def check_live(self, giver: str, name: str, outcome: str) -> None:
        """What came of a pull in the end."""
        honest = not {giver, name} & self.simulation.cheaters
        well = outcome == "done" or outcome.startswith(("refused: no", "refused: the address"))
        assert well or not honest, f"LIVE: {name} asks {giver} for what it has, and: {outcome}"

    # ---- what is on record -----------------------------------------------------------------------------------------

    def _check_same(self, accounts: dict[tuple[str, str], Account]) -> None:
        for handle in self.simulation.agreements:
            seen = dict[tuple[frozenset[str], frozenset[str]], tuple[str, Standing]]()
            for name in self.simulation.names:
                if (name, handle) not in accounts:
                    continue
                standing = self._standing(name, handle)
                other, known = seen.setdefault(accounts[name, handle].key, (name, standing))
                assert standing == known, f"SAME: {name} and {other} have one record of {handle} and two standings"

    def _check_agreed(self, handle: str, accounts: dict[str, Account]) -> None:
        """In the end: one record among those bound from the beginning, one standing among all members."""
        standings = {name: self._standing(name, handle) for name in accounts}
        founders = [account.founders(terms) for account in accounts.values() for terms in account.texts]
        gone = frozenset[str]().union(*(account.left() for account in accounts.values()))
        gone |= self.simulation.forgers
        always = [name for name in accounts if name not in gone and all(name in each for each in founders)]
        # Whoever makes a claim has told each of it what it liked, and in any order; it may be admitted since.
        records = {accounts[name].without(self.simulation.claims).key for name in always}
        assert len(records) <= 1, f"SAME: {handle}: {always} have not the same record"
        members = frozenset[str]().union(
            *(each.members for name, each in standings.items() if each.current is not None and name in each.members)
        )
        for name in sorted(members):
            assert name in standings, f"SAME: {name} is a member of {handle} and has nothing on record"
        told = {name: _sum_up(standings[name]) for name in sorted(members - self.simulation.forgers)}
        assert len(set(told.values())) <= 1, f"SAME: members see {handle} differently: {told}"
        for name in members:
            self._check_waiting(handle, standings[name])

    def _check_waiting(self, handle: str, standing: Standing) -> None:
        """Who recognises what all have signed has confirmed it."""
        if standing.state is State.AGREED and standing.current is not None:
            missing = standing.current.founders - standing.left - standing.confirmed_by
            able = {party for party in missing if self.simulation.policies[party] == "recognises"}
            able -= {lapse.party for lapse in standing.lapses} | self.simulation.forgers
            assert not able, f"DRAIN: {handle} waits for the confirmation of {able} for ever"

    def _standing(self, name: str, handle: str) -> Standing:
        """What the node has on record, at one time for all."""
        dossier = self.simulation.dossier(name, handle)
        assert dossier is not None
        return compute_standing(dossier.versions, dossier.events, now=self.simulation.now)

    def _check_record(self, name: str, handle: str, account: Account) -> None:
        dossier = self.simulation.dossier(name, handle)
        assert isinstance(dossier, Dossier)
        remembered = {terms.hash for terms in dossier.versions}, {event.digest for event in dossier.events}
        assert tuple(map(frozenset, remembered)) == account.key, f"REMEMBERED: {name} remembers another {handle}"
        standing = dossier.standing(now=self.simulation.clock(name))
        if standing.state is not State.IN_FORCE:
            return
        current = standing.current
        assert current is not None
        founders = account.founders(current.hash)
        assert account.signers(current.hash) == founders, f"SIGNED: {handle} is in force at {name}, not signed by all"
        confirmed = {event["party"] for event in account.of(current.hash, "confirm")}
        assert founders - account.left() <= confirmed, f"SIGNED: {handle} is in force at {name}, not confirmed by all"

    # ---- what left -------------------------------------------------------------------------------------------------

    def _check_disclosures(self, name: str, accounts: dict[tuple[str, str], Account]) -> None:
        start = self.read.get(name, 0)
        entries = list_entries(self.simulation.nodes[name], start=start, limit=10_000)
        self.read[name] = start + len(entries)
        for entry in entries:
            if entry.leaf.type is not EntryType.DISCLOSURE:
                continue
            handle, account = next(
                (handle, account)
                for (party, handle), account in accounts.items()
                if party == name and entry.leaf.terms in account.texts
            )
            self.disclosures += 1
            if name in self.simulation.mislabelled:
                self._note_logged(name, entry)
                continue
            self._check_disclosure(name, handle, account, entry)

    def _check_disclosure(self, giver: str, handle: str, account: Account, entry: Entry) -> None:
        simulation, terms, receiver = self.simulation, str(entry.leaf.terms), str(entry.leaf.recipient)
        content = cast("dict[str, Any]", entry.content)
        channel = str(content["channel"])
        what = f"{giver} gave {receiver} under {handle}, channel {channel}"
        now = simulation.clock(giver)
        closed = list(say_why_closed(account, terms, channel, giver=giver, receiver=receiver, now=now))
        assert not closed, f"IN-FORCE: {what}: {closed}"
        recognises = self._recognises(giver, account, terms, receiver=receiver)
        assert recognises, f"IN-FORCE: {what}, which it does not recognise"
        agreement = simulation.agreements[handle]
        locks = simulation.stopped.get((giver, agreement), set())
        assert not locks & {None, channel}, f"STOPPED: {what}, which it had suspended"
        assert (giver, agreement) not in simulation.ended, f"STOPPED: {what}, which it had ended"
        assert (giver, terms) not in simulation.refused, f"STOPPED: {what}, which it had refused"
        text = account.texts[terms]
        found = next(item for item in text["channels"] if item["id"] == channel)
        self._note_logged(giver, entry)
        for item in content["objects"]:
            version = ObjectId(item["id"]), str(item["version"])
            self._check_object(giver, receiver, version, found, what=what)
            if receiver not in account.founders(terms) or found.get("history", "none") == "none":
                before = self.held_before.get((giver, handle, receiver), frozenset())
                assert version not in before, f"HISTORY: {what} {version}, held before"

    def _note_logged(self, giver: str, entry: Entry) -> None:
        content = cast("dict[str, Any]", entry.content)
        for item in content["objects"]:
            self.logged.add((giver, str(entry.leaf.recipient), (ObjectId(item["id"]), str(item["version"]))))

    def _recognises(self, name: str, account: Account, terms: str, *, receiver: str) -> bool:
        match self.simulation.policies[name]:
            case "recognises":
                return True
            case "demands":
                given = {
                    item["given_by"]
                    for item in account.texts[terms].get("assurances", ())
                    if item["kind"] == "no_torture"
                }
                return given >= (account.founders(terms) | {receiver}) - {name}
            case _:
                return False

    def _check_object(self, giver: str, receiver: str, version: Version, channel: dict[str, Any], *, what: str) -> None:
        """The version itself, the newest one of it, and all it refers to were admitted."""
        newest = self._newest(giver)
        seen, waiting = set[Version](), [version, newest[version[0]]]
        while waiting:
            each = waiting.pop()
            if each in seen:
                continue
            seen.add(each)
            step = self.simulation.items[each]
            tlp = _TLP.index(step.get("tlp", "green"))
            assert tlp <= _TLP.index(channel["tlp_ceiling"]), f"ADMITTED: {what} {each}, which is {_TLP[tlp]}"
            assert step.get("about", True), f"ADMITTED: {what} {each}, which is about another subject"
            self._check_way(giver, receiver, each, channel, what=what)
            for target in _list_targets(step):
                assert target in newest, f"ADMITTED: {what} {each}, which refers to what it does not hold"
                waiting.append(newest[target])

    def _check_way(self, giver: str, receiver: str, version: Version, channel: dict[str, Any], *, what: str) -> None:
        """Originators, recalls, and the terms of every hop before."""
        assert version not in self.simulation.recalled.get(giver, ()), f"RECALLED: {what} {version}"
        origin = self.simulation.own[version[0]]
        if origin == giver:
            return
        assert origin in channel.get("originators", ("own",)), f"ADMITTED: {what} what is {origin}'s"
        audience = self.holding.find_audience(giver, version)
        if audience is None:
            return
        assert receiver in audience, f"CHAIN: {what} {version}, which may reach {sorted(audience)} only"
        # Whoever gets it may do with it what this channel says, and must not be let do more than its giver may.
        onward = set(channel.get("releasable_to", ())) - {receiver}
        assert onward <= audience, (
            f"CHAIN: {what} {version} to be given on to {onward}, which may reach {audience} only"
        )

    def _newest(self, name: str) -> dict[ObjectId, Version]:
        with self.simulation.nodes[name].store.read() as transaction:
            rows = transaction.rows("SELECT id, version FROM object ORDER BY version_at")
        return {ObjectId(row[0]): (ObjectId(row[0]), str(row[1])) for row in rows}

    # ---- what came in ----------------------------------------------------------------------------------------------

    def _check_given(self) -> None:
        """Whatever left is on record as given, and is nothing that is marked higher."""
        for given in self.simulation.given[self.given :]:
            assert not given.leaked, f"ADMITTED: {given.giver} gave {given.recipient} what is marked red in a report"
            for version in given.versions:
                entry = given.giver, given.recipient, version
                assert given.by_twin or entry in self.logged, f"LOG-FIRST: {version} is not in the log"
        self.given = len(self.simulation.given)

    def _check_kept(self, pull: Pull) -> None:
        """Nothing comes in that shows by itself that its giver was not to give it."""
        for version in pull.kept:
            tlp = self.simulation.items[version].get("tlp", "green")
            over = _TLP.index(tlp) > _TLP.index(pull.ceiling)
            assert not over, f"ADMITTED: {pull.recipient} took in {version} of {pull.giver}, which is {tlp}"

    def _note_history(self, name: str, handle: str, account: Account) -> None:
        """What a giver held when a receiver first came to be bound by a text that all had signed."""
        for terms in account.sealed():
            bound = {(name, handle, receiver) for receiver in account.founders(terms) | account.joined(terms).keys()}
            for key in bound - self.held_before.keys():
                with self.simulation.nodes[name].store.read() as transaction:
                    rows = transaction.rows("SELECT id, version FROM object")
                self.held_before[key] = frozenset((ObjectId(row[0]), str(row[1])) for row in rows)

    # ---- logs ------------------------------------------------------------------------------------------------------

    def _check_heads(self, name: str) -> None:
        node = self.simulation.nodes[name]
        with node.store.read() as transaction:
            kept = {head for _, head in log.read_heads(transaction)}
        signed = self.simulation.heads[name]
        lost = [head for head in signed if head not in kept and not head.startswith(f"comity/{name}\n0\n".encode())]
        assert not lost, f"HEADS: {name} has lost {len(lost)} checkpoints"


def _list_targets(step: Step) -> list[ObjectId]:
    return [object_id("report", ref) for ref in step.get("refs", ())]


def _sum_up(standing: Standing) -> tuple[object, ...]:
    """What all members must see alike; a joiner is not told the questions and drafts of before."""
    return (
        standing.state,
        standing.current and standing.current.hash,
        standing.members,
        frozenset(lock.event for lock in standing.locks),
        standing.lapses,
        standing.confirmed_by,
    )
