# SPDX-License-Identifier: Apache-2.0
"""What letters and pages say that each node may do, worked out a second time from their words alone.

RECALLED    once a recall by whoever gave it has come, or one's own has returned, nothing of that version leaves again;
            and nobody else's letter stops anything
CONSENTED   to whom each way a version came lets it go: a list, or a grant for it and for that party, good at that time
GRANTED     nobody grants what is not its own, and what its own giver has not let go to that party
SHOWN       what was recalled and is not acknowledged stands among the work of people, until it is; in the end so does
            what was asked and nobody has answered, while its agreement is not over
TOLD        in the end everybody who was given what is recalled has been told, and has acknowledged
BOTH        in the end each letter is on record at both sides, but for what asks and answers in words under an agreement
            that is not in force: that stays where it was said
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from comity.agreement.transitions import State
from comity.agreement.work import WorkKind
from comity.ids import Digest
from comity.letters.consent import ConsentGrant, ConsentRequest, ConsentRevocation
from comity.letters.letter import Letter
from comity.letters.recall import Recall
from comity.node.standing import list_dossiers
from comity.node.work import list_work
from tests.simulation.letters import read_letter
from tests.simulation.pulls import Pull, Version
from tests.simulation.simulation import Simulation

__all__ = ["Holding"]

_OVER = {State.TERMINATED, State.EXPIRED}
_WORDS = {"request", "reply", "request-withdrawal"}
_Way = tuple[str, str, str]
"""A giver, the agreement, and the terms."""


@dataclass
class Holding:
    """What is known of every version that came to anybody, and of every letter that was taken."""

    simulation: Simulation
    came: dict[tuple[str, Version], dict[_Way, frozenset[str] | None]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    digests: dict[tuple[str, str, str, Version], Digest] = field(default_factory=dict)
    grants: dict[str, list[Letter]] = field(default_factory=lambda: defaultdict(list))
    ended: set[tuple[str, str, Digest]] = field(default_factory=set)
    takes: int = 0
    granted: int = 0

    def note_pull(self, pull: Pull) -> None:
        """A page that came: to whom each version of it may go on from here."""
        for version in pull.kept:
            way = pull.giver, pull.agreement, pull.terms
            allowed = pull.onward | {pull.recipient}
            before = self.find_audience(pull.giver, version)
            self.came[pull.recipient, version][way] = allowed if before is None else allowed & before
            if pull.consent:
                self.came[pull.recipient, version][way] = None
            self.digests[pull.giver, pull.recipient, pull.agreement, version] = pull.digests[version]

    def note_letters(self) -> None:
        """The letters that were taken since, and what follows from each at whoever took it."""
        for take in self.simulation.taken[self.takes :]:
            letter, name = take.letter, take.name
            match letter.body:
                case Recall():
                    self._note_recall(name, letter)
                case ConsentGrant():
                    self.grants[name].append(letter)
                case ConsentRevocation():
                    self.ended.add((name, letter.sender, letter.body.grant))
                case _:
                    pass
        self.takes = len(self.simulation.taken)

    def check_recalled(self) -> None:
        """What letters have stopped at any node was given by who sent them."""
        for name, node in self.simulation.nodes.items():
            with node.store.read() as transaction:
                rows = transaction.rows("SELECT id, version FROM recalled WHERE letter IS NOT NULL")
            wrong = {(row[0], str(row[1])) for row in rows} - self.simulation.recalled.get(name, set())
            assert not wrong, f"RECALLED: {name} has stopped {wrong} by the word of who did not give it"

    def check_grants(self) -> None:
        """Who has granted something could."""
        for name, letter in self.simulation.granted[self.granted :]:
            assert isinstance(letter.body, ConsentGrant)
            for about in letter.about:
                audience = self.find_audience(name, (about.id, about.version))
                own = self.simulation.own[about.id] == name
                assert own or letter.body.recipient in (audience or ()), f"GRANTED: {name} has granted {about}"
        self.granted = len(self.simulation.granted)

    def find_audience(self, name: str, version: Version) -> frozenset[str] | None:
        """To whom `name` may let a version go now; None where it never came to it."""
        ways = self.came.get((name, version))
        if not ways:
            return None
        allowed = [
            frozenset(self._find_granted(name, way, version)) | {name} if listed is None else listed
            for way, listed in ways.items()
        ]
        return frozenset.intersection(*allowed)

    def _find_granted(self, name: str, way: _Way, version: Version) -> Iterator[str]:
        giver, agreement, _ = way
        for letter in self.grants[name]:
            body = letter.body
            assert isinstance(body, ConsentGrant)
            asked = self._find_sent(name, letter.answers)
            if (
                asked is not None
                and isinstance(asked.body, ConsentRequest)
                and (letter.sender, letter.agreement) == (giver, agreement)
                and (asked.to, asked.agreement) == (giver, agreement)
                and (body.recipient, body.purpose) == (asked.body.recipient, asked.body.purpose)
                and body.expires_at is not None
                and self.simulation.clock(name) < body.expires_at
                and (asked.body.until is None or body.expires_at <= asked.body.until)
                and all(version in {(item.id, item.version) for item in one.about} for one in (letter, asked))
                and (name, giver, letter.digest) not in self.ended
            ):
                yield body.recipient

    def _find_sent(self, name: str, digest: Digest | None) -> Letter | None:
        """The letter that `name` sent, as it is on its own record."""
        with self.simulation.nodes[name].store.read() as transaction:
            row = transaction.row("SELECT envelope FROM letter WHERE sent = 1 AND digest = ?", (digest,))
        return None if row is None else read_letter(bytes(row[0]))

    def _note_recall(self, name: str, letter: Letter) -> None:
        """Who gave a version under that agreement may take it back, and nobody else."""
        for about in letter.about:
            version = about.id, about.version
            given = self.digests.get((letter.sender, name, letter.agreement, version)) == about.digest
            if given and self.simulation.own[about.id] != name:
                self.simulation.recalled.setdefault(name, set()).add(version)

    # ---- what people see -------------------------------------------------------------------------------------------

    def check_shown(self) -> None:
        """A recall that nobody has acknowledged is work from the first moment on."""
        for name, node in self.simulation.nodes.items():
            with node.store.read() as transaction:
                rows = transaction.rows(
                    "SELECT DISTINCT party FROM letter l WHERE kind = 'recall' AND sent = 1 AND NOT EXISTS"
                    " (SELECT 1 FROM letter a WHERE a.answers = l.digest AND a.sent = 0 AND a.kind ="
                    " 'recall-acknowledgement')"
                )
            waiting = {str(row[0]) for row in rows}
            if waiting:
                shown = {item.party for item in list_work(node) if item.kind is WorkKind.RECALL_UNACKNOWLEDGED}
                assert waiting <= shown, f"SHOWN: {name} is not shown that {waiting - shown} has not acknowledged"

    def check_end(self, logged: set[tuple[str, str, Version]]) -> None:
        """Once every letter has arrived and all dates have passed: everybody was told, has stopped, and has said so."""
        simulation = self.simulation
        told, letters = set[tuple[str, str, Version]](), dict[Digest, dict[str, bool]]()
        forged, stays = {*simulation.forged_letters}, set[Digest]()
        for name, node in simulation.nodes.items():
            with node.store.read() as transaction:
                rows = transaction.rows("SELECT digest, sent, party, kind, state, answers, agreement FROM letter")
                about = transaction.rows(
                    "SELECT l.party, o.id, o.version FROM letter l JOIN letter_object o ON o.letter = l.position"
                    " WHERE l.kind = 'recall' AND l.sent = 1"
                )
            told |= {(name, str(row[0]), (row[1], str(row[2]))) for row in about}
            closed = self._list_closed(name)
            for digest, sent, party, kind, state, answers, agreement in rows:
                stays |= {Digest(digest)} if sent and kind in _WORDS and (agreement, party) in closed else set()
                # What answers a letter that no node has sent is taken by none.
                forged |= {Digest(digest)} if answers in simulation.forged_letters else set()
                letters.setdefault(Digest(digest), {})[name] = bool(sent)
                done = kind != "recall" or not sent or state == "closed"
                assert done, f"TOLD: {party} has not done what {name} recalled: {state}"
        for name in simulation.names:
            self._check_work(name)
        for giver, recipient, version in logged:
            if version in simulation.recalled.get(giver, ()):
                assert (giver, recipient, version) in told, f"TOLD: {giver} has not told {recipient} of {version}"
        for digest, sides in letters.items():
            both = sorted(sides.values()) == [False, True]
            assert both or digest in forged | stays, f"BOTH: the letter {digest} is at {sides} alone"

    def _list_closed(self, name: str) -> set[tuple[str, str]]:
        """Under which agreements, and to whom, nothing is asked and answered now by what `name` has on record."""
        node, closed = self.simulation.nodes[name], set[tuple[str, str]]()
        with node.store.read() as transaction:
            dossiers = list_dossiers(node, transaction)
        for dossier in dossiers:
            standing = dossier.standing(now=self.simulation.clock(name))
            lapsed = {lapse.party for lapse in standing.lapses}
            for other in self.simulation.names:
                both = {name, other}
                good = standing.state is State.IN_FORCE and both <= standing.members - standing.left
                closed |= set() if good and both.isdisjoint(lapsed) else {(dossier.id, other)}
        return closed

    def _check_work(self, name: str) -> None:
        """All dates have passed: what was asked is overdue, and nothing that was recalled is waited for any more."""
        node = self.simulation.nodes[name]
        with node.store.read() as transaction:
            rows = transaction.rows(
                "SELECT party, agreement FROM letter l WHERE kind = 'request' AND sent = 1 AND NOT EXISTS"
                " (SELECT 1 FROM letter a WHERE a.answers = l.digest AND a.sent = 0 AND a.kind = 'reply')"
            )
            now = self.simulation.clock(name)
            states = {dossier.id: dossier.standing(now=now).state for dossier in list_dossiers(node, transaction)}
        waiting = {(str(party), agreement) for party, agreement in rows if states[agreement] not in _OVER}
        work = list_work(node)
        shown = {(item.party, item.agreement) for item in work if item.kind is WorkKind.REQUEST_UNANSWERED}
        assert waiting <= shown, f"SHOWN: {name} is not shown that nobody has answered: {waiting - shown}"
        wrong = [item.why for item in work if item.kind is WorkKind.RECALL_UNACKNOWLEDGED]
        assert not wrong, f"SHOWN: {name} is shown what has been acknowledged: {wrong}"
