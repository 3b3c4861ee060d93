# SPDX-License-Identifier: Apache-2.0
"""WITNESS: no two heads of a log are cosigned without a consistency proof from the first to the second.

Whatever is asked, in whatever order, under whichever of its names, with whatever proofs; wherever the witness is killed
(before COMMIT, between COMMIT and answer, with its files left as they are); and whichever older store is put back.
"""

import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from comity.config import Address
from comity.ids import PartyId
from comity.node import kept, witness
from comity.node.witness import list_evidence
from comity.tlog.cosignature import verify_cosignature
from comity.tlog.evidence import parse_fork_evidence, verify_fork_evidence
from comity.tlog.note import Checkpoint, Note, format_vkey, parse_note
from comity.tlog.origin import house_origin
from comity.tlog.witness import parse_cosignatures
from comity.witness.folder import add_log, found_witness, open_witness
from tests.signers import NOW
from tests.witnesses import History

SIZE = 24
ARVENIA = PartyId("arvenia")
LOGS = {
    "one.example": ("one.example",),
    "comity/arvenia": (
        "comity/arvenia",
        house_origin(ARVENIA, b"\x01" * 8),
        house_origin(ARVENIA, b"\x02" * 8),
    ),
}
"""What each log may be called: the second goes on under other names."""
NAMES = [(log, name) for log, names in LOGS.items() for name in names]
BRANCHES = (("", 0), ("fork", 5), ("late", 17))

Head = tuple[int, bytes]


@cache
def history(log: str, branch: int, name: str = "") -> History:
    own, common = BRANCHES[branch]
    return History(SIZE, origin=name or log, branch=own, common=common, key_name=log)


def follows(log: str, first: Head, second: Head) -> bool:
    """Whether some history of the log has both heads, the first not after the second."""
    return first[0] <= second[0] and any(
        (one.root(first[0]), one.root(second[0])) == (first[1], second[1])
        for one in (history(log, branch) for branch in range(len(BRANCHES)))
    )


class Killed(BaseException):
    """The process has gone."""


class Witnessing(RuleBasedStateMachine):
    """One witness of two logs, each of which has signed three histories, one of them under three names."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="witness"))
        self.lives = 0
        self.cosigned: dict[str, list[Head]] = {log: [] for log in LOGS}
        self.copies = list[Path]()
        self.folder = self.place / "0"
        found_witness(self.folder, name="w.example", listen=Address(host="127.0.0.1", port=0))
        for log in LOGS:
            add_log(self.folder, format_vkey(history(log, 0).key))
        self.open()

    @initialize()
    def begin(self) -> None:
        for log, name in NAMES:
            for branch in range(len(BRANCHES)):
                history(log, branch, name)

    def open(self) -> None:
        self.witness = open_witness(self.folder)
        self.witness.clock = lambda: NOW

    @rule(
        which=st.sampled_from(NAMES),
        branch=st.integers(0, len(BRANCHES) - 1),
        proof_branch=st.integers(0, len(BRANCHES) - 1),
        size=st.integers(0, SIZE),
        old=st.none() | st.integers(0, SIZE),
        damage=st.sampled_from(["none"] * 6 + ["flip", "cut", "longer"]),
        kill=st.sampled_from([None] * 6 + ["before", "file", "after"]),
    )
    def ask(
        self,
        *,
        which: tuple[str, str],
        branch: int,
        proof_branch: int,
        size: int,
        old: int | None,
        damage: str,
        kill: str | None,
    ) -> None:
        """A request of the log: most often from the size that the witness knows, else from any."""
        log, name = which
        one = history(log, branch, name)
        old_size = self.find_known(log) if old is None else old
        proof = list(history(log, proof_branch).proof(old_size, size)) if old_size <= size else []
        if damage == "flip" and proof:
            proof[0] = bytes([proof[0][0] ^ 1]) + proof[0][1:]
        elif damage == "cut":
            proof = proof[:-1]
        elif damage == "longer":
            proof = [*proof, bytes(32)]
        try:
            with self.killed(kill):
                answer = self.witness.add_checkpoint(one.request(old_size, size, proof=proof))
        except Killed:
            self.rise()
            return
        if answer.status == 200:
            note = Note(text=parse_note(one.checkpoint(size)).text, signatures=parse_cosignatures(answer.body))
            assert verify_cosignature(note, self.witness.cosigner.key) == NOW // 1_000_000
            self.cosigned[log].append((size, one.root(size)))
        elif answer.status == 409:
            assert answer.body == b"%d\n" % self.find_known(log)

    def find_known(self, log: str) -> int:
        """The size of the greatest head of the log that the witness has kept, under whichever name."""
        return max((head.size for head in self.read_kept(log)), default=0)

    def read_kept(self, log: str) -> list[Checkpoint]:
        found = (head for _, head in kept.list_kept(self.folder))
        return [head for head in found if head is not None and head.origin in LOGS[log]]

    @staticmethod
    def killed(kill: str | None) -> AbstractContextManager[object]:
        """The process ends where `kill` says."""
        if kill == "before":
            return mock.patch.object(witness, "_keep", side_effect=Killed)
        if kill == "file":
            real = kept.write_kept

            def write(*args: Any) -> None:  # noqa: ANN401
                real(*args)
                raise Killed

            return mock.patch.object(witness, "write_kept", write)
        if kill == "after":
            return mock.patch.object(witness, "sign_cosignature", side_effect=Killed)
        return nullcontext()

    @rule()
    def rise(self) -> None:
        """What a killed process leaves, opened by the next: the files are copied while they are open."""
        self.lives += 1
        copy = self.place / str(self.lives)
        shutil.copytree(self.folder, copy, ignore=shutil.ignore_patterns("lock"))
        self.witness.close()
        self.folder = copy
        self.open()

    @rule()
    def back_up(self) -> None:
        """A copy of the store alone."""
        self.witness.close()
        copy = self.place / f"copy{len(self.copies)}"
        shutil.copyfile(self.folder / "store.db", copy)
        self.copies.append(copy)
        self.open()

    @rule(number=st.integers(0, 3))
    def put_back(self, number: int) -> None:
        """The store is one from before; the files beside it are not."""
        if number >= len(self.copies):
            return
        self.witness.close()
        for name in ("store.db-wal", "store.db-shm"):
            (self.folder / name).unlink(missing_ok=True)
        shutil.copyfile(self.copies[number], self.folder / "store.db")
        self.open()

    @invariant()
    def every_cosigned_head_follows_from_the_one_before(self) -> None:
        for log, heads in self.cosigned.items():
            assert all(follows(log, first, second) for first, second in pairwise(heads)), heads

    @invariant()
    def what_was_cosigned_is_remembered(self) -> None:
        for log, heads in self.cosigned.items():
            if heads:
                greatest = max(self.read_kept(log), key=lambda head: head.size)
                assert follows(log, heads[-1], (greatest.size, greatest.root))

    @invariant()
    def evidence_shows_what_it_says(self) -> None:
        for found in list_evidence(self.witness.store):
            evidence = parse_fork_evidence(found.evidence)
            log = next(log for log, name in NAMES if name == found.origin)
            keys = [history(log, 0, name).key for name in LOGS[log]]
            shown = verify_fork_evidence(evidence, keys)
            assert (shown.verdict.value == "proved") == found.proved
            if found.proved:  # then no history of the log has both
                pair = [(checkpoint.size, checkpoint.root) for checkpoint in (shown.first, shown.second)]
                assert not follows(log, *pair)

    def teardown(self) -> None:
        self.witness.close()
        shutil.rmtree(self.place)


TestWitnessing = Witnessing.TestCase
TestWitnessing.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
