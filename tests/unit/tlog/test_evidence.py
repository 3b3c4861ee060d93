# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from comity.errors import BadSignature, MalformedNote, ProofMismatch, UnknownKey
from comity.tlog.evidence import (
    ForkEvidence,
    Verdict,
    format_fork_evidence,
    parse_fork_evidence,
    verify_fork_evidence,
)
from comity.tlog.merkle import EMPTY_ROOT, find_old_root, node_hash
from tests.signers import NOW
from tests.witnesses import History

TRUE = History(100)
FORK = History(100, branch="fork", common=50)


def evidence(first: bytes, second: bytes, proof: tuple[bytes, ...] = ()) -> ForkEvidence:
    return ForkEvidence(first=first, second=second, proof=proof, noted_at=NOW, noted_by="comity/borlund/witness")


SAME_SIZE = evidence(TRUE.checkpoint(90), FORK.checkpoint(90))
OTHER_HISTORY = evidence(TRUE.checkpoint(70), FORK.checkpoint(90), FORK.proof(70, 90))


def test_two_roots_for_one_size_are_a_proof() -> None:
    shown = verify_fork_evidence(SAME_SIZE, [TRUE.key])
    assert (shown.verdict, shown.first.size, shown.second.size) == (Verdict.PROVED, 90, 90)


def test_a_proof_from_another_root_is_a_proof() -> None:
    shown = verify_fork_evidence(OTHER_HISTORY, [TRUE.key])
    assert shown.verdict is Verdict.PROVED
    assert shown.true_root == FORK.root(70)


@pytest.mark.parametrize(
    "proof",
    [(), FORK.proof(70, 90)[:-1], TRUE.proof(70, 90), (*FORK.proof(70, 90), bytes(32)), (bytes(32),) * 5],
    ids=["none", "cut", "of the other history", "longer", "made up"],
)
def test_a_proof_that_leads_nowhere_is_an_accusation(proof: tuple[bytes, ...]) -> None:
    shown = verify_fork_evidence(replace(OTHER_HISTORY, proof=proof), [TRUE.key])
    assert (shown.verdict, shown.true_root) == (Verdict.ACCUSED, None)


def test_from_a_power_of_two_no_proof_shows_the_old_root() -> None:
    """The old root is not part of such a proof, so that the log's refusal to give one is all there is."""
    found = evidence(TRUE.checkpoint(64), FORK.checkpoint(90), FORK.proof(64, 90))
    assert verify_fork_evidence(found, [TRUE.key]).verdict is Verdict.ACCUSED


def test_a_made_up_old_root_is_not_found_in_a_made_up_tree() -> None:
    """Whatever a log signs as its root, what is no part of a proof is not read out of one."""
    other = bytes(range(32))
    assert find_old_root(64, 128, (other,), node_hash(EMPTY_ROOT, other)) is None


def test_an_honest_log_cannot_be_proved_to_have_forked() -> None:
    """Whatever proof is put beside two heads of one history, it is no proof of a fork."""
    first, second = TRUE.checkpoint(70), TRUE.checkpoint(90)
    for proof in ((), FORK.proof(70, 90), (bytes(32),) * 6):
        assert verify_fork_evidence(evidence(first, second, proof), [TRUE.key]).verdict is Verdict.ACCUSED
    with pytest.raises(ProofMismatch, match="one history"):
        verify_fork_evidence(evidence(first, second, TRUE.proof(70, 90)), [TRUE.key])
    with pytest.raises(ProofMismatch, match="one root"):
        verify_fork_evidence(evidence(first, first), [TRUE.key])


def test_the_smaller_stands_first() -> None:
    with pytest.raises(ProofMismatch, match="order"):
        verify_fork_evidence(replace(OTHER_HISTORY, first=OTHER_HISTORY.second, second=OTHER_HISTORY.first), [TRUE.key])


def test_both_were_signed_by_the_log() -> None:
    forged = History(100, key_name="forger")
    for found in (replace(SAME_SIZE, first=forged.checkpoint(90)), replace(SAME_SIZE, second=forged.checkpoint(90))):
        with pytest.raises(UnknownKey):
            verify_fork_evidence(found, [TRUE.key])
    altered = SAME_SIZE.second.replace(b"\n90\n", b"\n91\n")
    with pytest.raises(BadSignature):
        verify_fork_evidence(replace(SAME_SIZE, second=altered), [TRUE.key])
    with pytest.raises(UnknownKey):
        verify_fork_evidence(SAME_SIZE, [])


def test_two_logs_of_one_key_are_no_fork() -> None:
    other = History(100, origin="comity/aurelia", branch="x")
    with pytest.raises(UnknownKey, match="comity/aurelia"):
        verify_fork_evidence(replace(SAME_SIZE, second=other.checkpoint(90)), [TRUE.key])


def test_any_key_of_the_log_counts() -> None:
    later = History(100, branch="later", key_name="next")
    found = replace(SAME_SIZE, second=later.checkpoint(90))
    assert verify_fork_evidence(found, [TRUE.key, later.key]).verdict is Verdict.PROVED


def test_evidence_comes_back_from_its_bytes() -> None:
    for found in (SAME_SIZE, OTHER_HISTORY):
        assert parse_fork_evidence(format_fork_evidence(found)) == found


GOOD = format_fork_evidence(OTHER_HISTORY).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        GOOD.replace("evidence/1", "evidence/2"),
        GOOD.replace('"noted_by"', '"noted_bye"'),
        GOOD[:-1] + ',"more":1}',
        GOOD.replace('"comity/borlund/witness"', '""'),
        GOOD.replace('"comity/borlund/witness"', "1"),
        GOOD.replace('"comity/borlund/witness"', '"a\\u0007"'),
        GOOD.replace("2026-", "yesterday-"),
        GOOD.replace('"proof":["', '"proof":["x'),
        GOOD.replace('"proof":["', '"proof":[1,"'),
        GOOD.replace('"proof":[', '"proof":[' + f'"{"A" * 43}=",' * 60),
        GOOD.replace('"first":"', '"first":1,"first":"'),
    ],
)
def test_malformed_evidence_is_refused(text: str) -> None:
    assert text != GOOD
    with pytest.raises(MalformedNote):
        parse_fork_evidence(text.encode())


def test_no_proof_of_a_tree_shows_another_old_root_than_it_has() -> None:
    history = History(40)
    for new in range(1, 40):
        for old in range(new + 1):
            found = find_old_root(old, new, history.proof(old, new), history.root(new))
            power = not old & (old - 1)
            assert found == (None if power or old == new else history.root(old))
