# SPDX-License-Identifier: Apache-2.0
"""WITNESS: no two heads of a log are cosigned without a consistency proof from the first to the second.

Whatever is asked, in whatever order, with whatever proofs, and wherever the witness is killed: before COMMIT, between
COMMIT and answer, or with its files left as they are.
"""

import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import pairwise
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from comity.node import witness
from comity.node.witness import Cosigner, list_evidence, list_witnessed, take_checkpoint
from comity.store import SqliteStore
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.evidence import parse_fork_evidence, verify_fork_evidence
from comity.tlog.note import Note, SignatureType, VerifierKey, parse_checkpoint, parse_note
from comity.tlog.witness import parse_add_checkpoint, parse_cosignatures
from tests.signers import NOW, SeedSigner
from tests.witnesses import History

SIZE = 24
ORIGINS = ("one.example", "two.example")
BRANCHES = (("", 0), ("fork", 5), ("late", 17))
WITNESS = SeedSigner("witness")
COSIGNER = Cosigner(
    key=VerifierKey(name="w.example", type=SignatureType.ED25519_COSIGNATURE, public_key=WITNESS.public_key),
    signer=WITNESS,
)

Head = tuple[int, bytes]


@cache
def history(origin: str, branch: int) -> History:
    name, common = BRANCHES[branch]
    return History(SIZE, origin=origin, branch=name, common=common, key_name=origin)


def follows(origin: str, first: Head, second: Head) -> bool:
    """Whether some history of the log has both heads, the first not after the second."""
    return first[0] <= second[0] and any(
        (log.root(first[0]), log.root(second[0])) == (first[1], second[1])
        for log in (history(origin, branch) for branch in range(len(BRANCHES)))
    )


class Killed(BaseException):
    """The process has gone."""


class Witnessing(RuleBasedStateMachine):
    """One witness of two logs, each of which has signed three histories."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="witness"))
        self.lives = 0
        self.cosigned: dict[str, list[Head]] = {origin: [] for origin in ORIGINS}
        self.open()

    @initialize()
    def begin(self) -> None:
        for origin in ORIGINS:
            for place in range(len(BRANCHES)):
                history(origin, place)

    def open(self) -> None:
        self.folder = self.place / str(self.lives)
        self.folder.mkdir(exist_ok=True)
        self.store = SqliteStore.open(self.folder / "store.db")

    @rule(
        origin=st.sampled_from(ORIGINS),
        branch=st.integers(0, len(BRANCHES) - 1),
        proof_branch=st.integers(0, len(BRANCHES) - 1),
        size=st.integers(0, SIZE),
        old=st.none() | st.integers(0, SIZE),
        damage=st.sampled_from(["none"] * 6 + ["flip", "cut", "longer"]),
        kill=st.sampled_from([None] * 6 + ["before", "after"]),
    )
    def ask(
        self,
        *,
        origin: str,
        branch: int,
        proof_branch: int,
        size: int,
        old: int | None,
        damage: str,
        kill: str | None,
    ) -> None:
        """A request of the log: most often from the size that the witness knows, else from any."""
        log = history(origin, branch)
        known = {head.origin: head.size for head in list_witnessed(self.store)}.get(origin, 0)
        old_size = known if old is None else old
        proof = list(history(origin, proof_branch).proof(old_size, size)) if old_size <= size else []
        if damage == "flip" and proof:
            proof[0] = bytes([proof[0][0] ^ 1]) + proof[0][1:]
        elif damage == "cut":
            proof = proof[:-1]
        elif damage == "longer":
            proof = [*proof, bytes(32)]
        request = parse_add_checkpoint(log.request(old_size, size, proof=proof))
        try:
            with self.killed(kill):
                answer = take_checkpoint(
                    self.store, request, keys=[log.key], cosigners=[COSIGNER], now=NOW, folder=self.folder
                )
        except Killed:
            self.rise()
            return
        if answer.status == 200:
            note = Note(text=request.note.text, signatures=parse_cosignatures(answer.body))
            assert verify_cosignature(note, COSIGNER.key) == NOW // 1_000_000
            self.cosigned[origin].append((size, log.root(size)))
        elif answer.status == 409:
            assert answer.body == b"%d\n" % known

    @staticmethod
    def killed(kill: str | None) -> AbstractContextManager[object]:
        """The process ends where `kill` says."""
        if kill == "before":
            return mock.patch.object(witness, "_keep", side_effect=Killed)
        if kill == "after":
            return mock.patch.object(witness, "sign_cosignature", side_effect=Killed)
        return nullcontext()

    @rule()
    def rise(self) -> None:
        """What a killed process leaves, opened by the next: the files are copied while they are open."""
        copy = self.place / str(self.lives + 1)
        shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("lock"))
        self.store.close()
        self.lives += 1
        self.open()

    @invariant()
    def every_cosigned_head_follows_from_the_one_before(self) -> None:
        for origin, heads in self.cosigned.items():
            assert all(follows(origin, first, second) for first, second in pairwise(heads)), heads

    @invariant()
    def what_was_cosigned_is_remembered(self) -> None:
        kept = {head.origin: head for head in list_witnessed(self.store)}
        for origin, heads in self.cosigned.items():
            if heads:
                root = parse_checkpoint(parse_note(kept[origin].checkpoint).text).root
                assert follows(origin, heads[-1], (kept[origin].size, root))

    @invariant()
    def evidence_shows_what_it_says(self) -> None:
        for found in list_evidence(self.store):
            evidence = parse_fork_evidence(found.evidence)
            shown = verify_fork_evidence(evidence, [history(found.origin, 0).key])
            assert (shown.verdict.value == "proved") == found.proved
            if found.proved:  # then no history of the log has both
                pair = [(checkpoint.size, checkpoint.root) for checkpoint in (shown.first, shown.second)]
                assert not follows(found.origin, *pair)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.place)


TestWitnessing = Witnessing.TestCase
TestWitnessing.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
