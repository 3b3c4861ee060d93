# SPDX-License-Identifier: Apache-2.0
import base64

import pytest

from comity.errors import MalformedNote
from comity.tlog.note import Note, format_note, parse_checkpoint, parse_note, sign_note
from comity.tlog.witness import (
    MAX_REQUEST_BYTES,
    Cosign,
    Decision,
    Reason,
    Refused,
    Seen,
    decide_checkpoint,
    format_answer,
    parse_add_checkpoint,
    parse_cosignatures,
    parse_size,
)
from tests.signers import SeedSigner
from tests.vectors.cosignatures.make import cosign
from tests.witnesses import History

TRUE = History(100)
FORK = History(100, branch="fork", common=50)
# The example in C2SP tlog-witness.
C2SP_REQUEST = (
    "old 20852014\n"
    "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
    "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
    "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
    "\n"
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— example.com/behind-the-sofa "
    "opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n"
).encode()
C2SP_ANSWER = (
    "— witness.example/w1 "
    "CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==\n"
    "— witness.example/w1 "
    "I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==\n"
    "— witness.example/w2 "
    "AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==\n"
).encode()


def seen(size: int, history: History = TRUE) -> Seen:
    note = history.checkpoint(size)
    return Seen(checkpoint=parse_checkpoint(parse_note(note).text), note=note)


def ask(body: bytes, last: Seen | None) -> Decision:
    return decide_checkpoint(parse_add_checkpoint(body), keys=[TRUE.key], seen=last)


def refuse(body: bytes, last: Seen | None) -> Refused:
    decision = ask(body, last)
    assert isinstance(decision, Refused), decision
    return decision


# --- requests -----------------------------------------------------------------------------------------------------


def test_the_c2sp_request_is_read() -> None:
    request = parse_add_checkpoint(C2SP_REQUEST)
    assert (request.old_size, len(request.proof), request.checkpoint.size) == (20852014, 4, 20852163)
    assert request.proof[0] == base64.b64decode("PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=")


def test_the_c2sp_answer_is_read() -> None:
    assert [line.name for line in parse_cosignatures(C2SP_ANSWER)] == [
        "witness.example/w1",
        "witness.example/w1",
        "witness.example/w2",
    ]


def test_a_request_is_read_as_it_was_written() -> None:
    request = parse_add_checkpoint(TRUE.request(37, 90))
    assert request.old_size == 37
    assert request.proof == TRUE.proof(37, 90)
    assert format_note(request.note) == TRUE.checkpoint(90)


GOOD = TRUE.request(37, 90)
LINE = base64.b64encode(bytes(32))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"old 37",
        GOOD.replace(b"old 37", b"old"),
        GOOD.replace(b"old 37", b"old "),
        GOOD.replace(b"old 37", b"old  37"),
        GOOD.replace(b"old 37", b"old 037"),
        GOOD.replace(b"old 37", b"old +37"),
        GOOD.replace(b"old 37", b"old -1"),
        GOOD.replace(b"old 37", b"old 37 "),
        GOOD.replace(b"old 37", b"old 37\r"),
        GOOD.replace(b"old 37", b"Old 37"),
        GOOD.replace(b"old 37", "old ٣".encode()),
        GOOD.replace(b"old 37", b"old 9223372036854775808"),
        GOOD.replace(b"old 37", b"old " + b"9" * 5000),
        GOOD.replace(b"old 37", b"\xff 37"),
        GOOD.replace(b"old 37\n", b"old 37\nAAAA\n"),
        GOOD.replace(b"old 37\n", b"old 37\n" + LINE[:-1] + b"\n"),
        GOOD.replace(b"old 37\n", b"old 37\n" + LINE + b" \n"),
        GOOD.replace(b"old 37\n", b"old 37\n" + LINE[:-2] + b"B=\n"),
        GOOD.replace(b"old 37\n", b"old 37\n" + "é".encode() + b"\n"),
        GOOD.replace(b"old 37\n", b"old 37\n\n"),
        GOOD.replace(b"old 37\n", b"old 37\n" + (LINE + b"\n") * 60),
        GOOD[:-1],
        GOOD + b"x",
        b"old 0\n\nno checkpoint\n\n" + GOOD.split(b"\n\n")[2],
        GOOD + b"x" * MAX_REQUEST_BYTES,
    ],
)
def test_a_malformed_request_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedNote):
        parse_add_checkpoint(body)


def test_sixty_three_hashes_are_read_and_no_more() -> None:
    most = b"old 1\n" + (LINE + b"\n") * 63 + b"\n" + TRUE.checkpoint(90)
    assert len(parse_add_checkpoint(most).proof) == 63
    with pytest.raises(MalformedNote, match="64 hashes"):
        parse_add_checkpoint(most.replace(b"old 1\n", b"old 1\n" + LINE + b"\n"))


# --- decisions ----------------------------------------------------------------------------------------------------


def test_the_first_head_is_taken_whatever_its_size() -> None:
    for size in (0, 1, 90):
        assert ask(TRUE.request(0, size), None) == Cosign(seen=seen(size))


def test_growth_with_its_proof_is_taken() -> None:
    for old, new in ((0, 90), (1, 90), (37, 90), (64, 90), (89, 90), (64, 65)):
        assert ask(TRUE.request(old, new), seen(old)) == Cosign(seen=seen(new))


def test_the_same_head_is_cosigned_again() -> None:
    assert ask(TRUE.request(90, 90), seen(90)) == Cosign(seen=seen(90))


def test_what_others_signed_beside_is_not_kept() -> None:
    note = parse_note(TRUE.checkpoint(90))
    beside = sign_note(note.text, "somebody", SeedSigner("x")).signatures
    crowded = format_note(Note(text=note.text, signatures=(*beside * 20, *note.signatures, *beside)))
    assert ask(b"old 0\n\n" + crowded, None) == Cosign(seen=seen(90))


def test_a_log_that_is_not_witnessed_is_unknown() -> None:
    decision = decide_checkpoint(parse_add_checkpoint(GOOD), keys=[], seen=None)
    assert decision == Refused(reason=Reason.UNKNOWN_LOG)


def test_a_head_that_the_log_did_not_sign_is_forbidden() -> None:
    forged = History(100, key_name="forger")
    assert refuse(forged.request(37, 90), seen(37)) == Refused(reason=Reason.FORBIDDEN, size=37)
    altered = GOOD.replace(b"\n90\n", b"\n91\n")
    assert refuse(altered, seen(37)).reason is Reason.FORBIDDEN
    assert refuse(altered, seen(37)).signed is None


def test_one_of_the_keys_of_a_log_is_enough() -> None:
    other = History(100, key_name="next")
    decision = decide_checkpoint(parse_add_checkpoint(GOOD), keys=[other.key, TRUE.key], seen=seen(37))
    assert isinstance(decision, Cosign)


def test_an_old_size_over_the_size_is_refused_as_such() -> None:
    assert refuse(TRUE.request(91, 90, proof=()), seen(91)).reason is Reason.OLD_SIZE


def test_another_old_size_is_a_conflict_that_says_the_right_one() -> None:
    for last, old in ((seen(37), 36), (seen(37), 38), (seen(37), 0), (None, 37)):
        decision = refuse(TRUE.request(old, 90), last)
        assert decision.reason is Reason.CONFLICT
        assert decision.size == (37 if last else 0)
        assert decision.against is None


def test_a_smaller_head_is_a_conflict_and_shows_nothing() -> None:
    """It may be an old one that comes late: the log signed it before."""
    decision = refuse(TRUE.request(30, 37), seen(90))
    assert (decision.reason, decision.size, decision.against) == (Reason.CONFLICT, 90, None)


def test_another_root_at_the_same_size_is_a_conflict_and_a_proof() -> None:
    for old in (90, 37, 0):
        decision = refuse(FORK.request(old, 90), seen(90))
        assert decision == Refused(reason=Reason.CONFLICT, size=90, against=seen(90), signed=seen(90, FORK))


def test_growth_of_another_history_is_unprocessable() -> None:
    decision = refuse(FORK.request(70, 90), seen(70))
    assert decision == Refused(reason=Reason.UNPROCESSABLE, size=70, against=seen(70), signed=seen(90, FORK))


@pytest.mark.parametrize("change", ["cut", "longer", "flipped", "none", "swapped"])
def test_a_proof_that_does_not_lead_there_is_unprocessable(change: str) -> None:
    proof = list(TRUE.proof(37, 90))
    changed = {
        "cut": proof[:-1],
        "longer": [*proof, bytes(32)],
        "flipped": [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]],
        "none": [],
        "swapped": [proof[1], proof[0], *proof[2:]],
    }[change]
    assert refuse(TRUE.request(37, 90, proof=changed), seen(37)).reason is Reason.UNPROCESSABLE


def test_a_proof_where_none_is_needed_is_unprocessable_and_shows_nothing() -> None:
    extra = [bytes(32)]
    for body, last in ((TRUE.request(0, 90, proof=extra), None), (TRUE.request(90, 90, proof=extra), seen(90))):
        decision = refuse(body, last)
        assert (decision.reason, decision.against) == (Reason.UNPROCESSABLE, None)


def test_an_empty_tree_has_one_root() -> None:
    text = f"comity/arvenia\n0\n{base64.b64encode(bytes(32)).decode()}\n"
    body = b"old 0\n\n" + format_note(sign_note(text, TRUE.origin, TRUE.signer))
    assert refuse(body, None).reason is Reason.CONFLICT


# --- answers ------------------------------------------------------------------------------------------------------


def test_answers_are_those_of_the_specification() -> None:
    def answer(body: bytes, last: Seen | None) -> tuple[int, bytes]:
        found = format_answer(ask(body, last))
        return found.status, found.body

    assert format_answer(Refused(reason=Reason.UNKNOWN_LOG)).status == 404
    assert answer(History(9, key_name="x").request(0, 9), None)[0] == 403
    assert answer(TRUE.request(91, 90, proof=()), seen(91))[0] == 400
    assert answer(TRUE.request(1, 90), seen(37)) == (409, b"37\n")
    assert answer(FORK.request(90, 90), seen(90)) == (409, b"90\n")
    assert answer(FORK.request(70, 90), seen(70))[0] == 422
    assert format_answer(refuse(TRUE.request(1, 90), seen(37))).media_type == "text/x.tlog.size"


def test_the_answer_to_a_good_one_is_the_cosignatures() -> None:
    lines = (cosign("borlund"), cosign("cardia"))
    answer = format_answer(Cosign(seen=seen(90)), lines)
    assert answer.status == 200
    assert parse_cosignatures(answer.body) == lines


def test_a_size_in_an_answer_is_read_strictly() -> None:
    assert parse_size(b"0\n") == 0
    assert parse_size(b"9223372036854775807\n") == 2**63 - 1
    for body in (b"", b"1", b"01\n", b"1\n\n", b"x\n", b"-1\n", b"9223372036854775808\n", b"\xff\n"):
        with pytest.raises(MalformedNote):
            parse_size(body)


def test_cosignatures_in_an_answer_are_bounded() -> None:
    with pytest.raises(MalformedNote, match="bytes"):
        parse_cosignatures(C2SP_ANSWER * 400)
