# SPDX-License-Identifier: Apache-2.0
"""What the vectors in tests/vectors/cosignatures do not say of trust policies: see test_cosignature.py for these."""

import pytest

from comity.errors import MalformedPolicy, ThresholdNotMet, UnknownKey
from comity.tlog.note import SignatureType, VerifierKey, format_vkey
from comity.tlog.policy import Group, parse_trust_policy, verify_quorum
from tests.signers import SeedSigner
from tests.vectors.cosignatures.make import CHECKPOINT, LOG, LOG_VKEY, ORIGIN, TIME, cosign, listing, note, witness_key

BORLUND = format_vkey(witness_key("borlund"))


def test_a_policy_says_what_its_lines_say() -> None:
    text = listing("group two 2 borlund cardia delmar", "quorum two").replace(
        BORLUND, f"{BORLUND} https://borlund.example"
    )
    policy = parse_trust_policy(text.encode())
    assert [entry.key.name for entry in policy.logs] == [ORIGIN]
    assert [(witness.name, witness.url) for witness in policy.witnesses] == [
        ("borlund", "https://borlund.example"),
        ("cardia", None),
        ("delmar", None),
    ]
    assert policy.groups == (Group(name="two", threshold=2, members=("borlund", "cardia", "delmar")),)
    assert policy.quorum == "two"


def test_all_and_any_are_numbers() -> None:
    policy = parse_trust_policy(listing("group a all borlund cardia", "group b any a delmar", "quorum b").encode())
    assert [group.threshold for group in policy.groups] == [2, 1]


def test_names_are_octets() -> None:
    """A name that is not UTF-8, or that looks like another, is a name of its own."""
    key = BORLUND.encode()
    text = b"witness \xe2\x84\xaa " + key + b"\ngroup \xff all \xe2\x84\xaa\nquorum \xff\n"
    assert parse_trust_policy(text).groups[0].members == ("\u212a",)
    with pytest.raises(MalformedPolicy, match="K is no witness"):
        parse_trust_policy(b"witness \xe2\x84\xaa " + key + b"\nquorum K\n")
    with pytest.raises(ThresholdNotMet, match="\ufffd"):
        verify_quorum(note(), parse_trust_policy(f"log {LOG_VKEY}\n".encode() + text))


def test_no_space_but_space_and_tab_separates() -> None:
    with pytest.raises(MalformedPolicy, match="line 1"):
        parse_trust_policy(f"witness\u00a0w {BORLUND}\nquorum none\n".encode())


def test_the_line_at_fault_is_named() -> None:
    with pytest.raises(MalformedPolicy) as caught:
        parse_trust_policy(b"# a comment\n\nquorum none\nlog x\n")
    assert caught.value.where == "line 4"


def test_a_policy_has_a_bound() -> None:
    comment = b"#" * (512 * 1024 - len(b"\nquorum none\n")) + b"\nquorum none\n"
    assert parse_trust_policy(comment).quorum is None
    with pytest.raises(MalformedPolicy, match="bytes"):
        parse_trust_policy(b"#" + comment)


@pytest.mark.parametrize("kind", ["log", "witness"])
def test_no_more_than_64_of_a_kind(kind: str) -> None:
    def write(count: int) -> bytes:
        lines = []
        for place in range(count):
            signer = SeedSigner(f"{kind} {place}")
            type_ = SignatureType.ED25519 if kind == "log" else SignatureType.ED25519_COSIGNATURE
            vkey = format_vkey(VerifierKey(name=f"n{place}", type=type_, public_key=signer.public_key))
            lines.append(f"log {vkey}\n" if kind == "log" else f"witness n{place} {vkey}\n")
        return "".join([*lines, "quorum none\n"]).encode()

    assert parse_trust_policy(write(64)).quorum is None
    with pytest.raises(MalformedPolicy, match="line 65"):
        parse_trust_policy(write(65))


def test_a_log_may_be_known_from_elsewhere() -> None:
    policy = parse_trust_policy(f"witness borlund {BORLUND}\nquorum borlund\n".encode())
    key = VerifierKey(name=ORIGIN, type=SignatureType.ED25519, public_key=LOG.public_key)
    cosigned = note(cosign("borlund"))
    with pytest.raises(UnknownKey):
        verify_quorum(cosigned, policy)
    found = verify_quorum(cosigned, policy, logs=[key])
    assert found.timestamps == {"borlund": TIME}
    assert found.log == key
    assert found.checkpoint.size == int(CHECKPOINT.split("\n")[1])


def test_any_key_of_a_log_that_is_listed_is_enough() -> None:
    """A log may have more keys than one while it rotates them."""
    other = VerifierKey(name=ORIGIN, type=SignatureType.ED25519, public_key=SeedSigner("next").public_key)
    policy = parse_trust_policy(f"log {format_vkey(other)}\nlog {LOG_VKEY}\nquorum none\n".encode())
    assert format_vkey(verify_quorum(note(), policy).log) == LOG_VKEY


def test_who_is_missing_is_said() -> None:
    policy = parse_trust_policy(listing("group two 2 borlund cardia delmar", "quorum two").encode())
    with pytest.raises(ThresholdNotMet, match="cosigned by cardia, which is not the quorum two"):
        verify_quorum(note(cosign("cardia")), policy)
    with pytest.raises(ThresholdNotMet, match="cosigned by none"):
        verify_quorum(note(), policy)
