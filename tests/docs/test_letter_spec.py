# SPDX-License-Identifier: Apache-2.0
"""The specification of letters says what the code reads."""

import json
import re
from dataclasses import fields
from pathlib import Path

from comity.canonical import canonical_bytes
from comity.letters.bodies import LetterKind
from comity.letters.consent import ConsentGrant, ConsentRefusal, ConsentRequest, ConsentRevocation
from comity.letters.letter import LETTER_TYPE, MAX_ABOUT, parse_letter, verify_letter
from comity.letters.recall import MAX_KEPT_REASON, MAX_VERSION, Change, Outcome, Recall, RecallAcknowledgement, Stage
from comity.letters.request import Reply, ReplyOutcome, Request, RequestWithdrawal, Urgency
from comity.node import consented, letterbox
from comity.node.requested import MAX_OPEN_REQUESTS
from comity.node.withdrawal import DECISION_TIME, PASSED_ON
from comity.signing import format_signed_document, sign_document
from tests.parties import BOREALIA, MANIFESTS, MERIDIA, SIGNERS
from tests.signers import NOW

TEXT = (Path(__file__).parents[2] / "docs" / "spec" / "letter.md").read_text(encoding="utf-8")
PAYLOAD = canonical_bytes(json.loads(re.findall(r"^```json\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)[0]))


def read_rows(head: str) -> dict[str, str]:
    """The rows of the table whose head says so: names to what stands beside them."""
    table = TEXT.partition(head)[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ", 1) for line in table.splitlines() if line.startswith("| `")]
    return {name: said for names, said in rows for name in re.findall(r"`([a-z_]+)`", names)}


def test_the_letter_is_one_and_has_the_name_it_says() -> None:
    envelope = format_signed_document(sign_document(LETTER_TYPE, PAYLOAD, SIGNERS[MERIDIA]))
    letter = verify_letter(*parse_letter(envelope), MANIFESTS[MERIDIA], to=BOREALIA, now=NOW)
    assert f"`{letter.digest}`" in TEXT
    assert f"`{LETTER_TYPE}`" in TEXT


def test_every_member_and_kind_is_named_and_no_other() -> None:
    members = read_rows("| Member | |")
    assert members.keys() == {*json.loads(PAYLOAD), "answers"}
    assert set(re.findall(r"`([a-z-]+)`", members["kind"])) == {*LetterKind}
    assert f"1 to {MAX_ABOUT} versions" in members["about"]
    assert f"1 to {MAX_VERSION} characters" in members["about"]


def test_the_bodies_are_those_of_the_code() -> None:
    recall = read_rows("| `body` of a `recall` | |")
    assert recall.keys() == {field.name for field in fields(Recall)}
    assert {*Change} <= set(re.findall(r"`([a-z]+)`", recall["change"]))
    acknowledgement = read_rows("| `body` of a `recall-acknowledgement` | |")
    assert acknowledgement.keys() == {field.name for field in fields(RecallAcknowledgement)}
    assert set(re.findall(r"`([a-z]+)`:", acknowledgement["stage"])) == {*Stage}
    assert f"1 to {MAX_KEPT_REASON} characters" in acknowledgement["results"]
    request = read_rows("| `body` of a `request` | |")
    assert request.keys() == {field.name for field in fields(Request)}
    assert set(re.findall(r"`([a-z]+)` \(", request["urgency"])) == {*Urgency}
    reply = read_rows("| `body` of a `reply` | |")
    assert reply.keys() == {field.name for field in fields(Reply)}
    withdrawal = read_rows("| `body` of a `request-withdrawal` | |")
    assert withdrawal.keys() == {field.name for field in fields(RequestWithdrawal)}
    assert {*ReplyOutcome} <= set(re.findall(r"`([a-z]+)`", reply["outcome"]))
    listed = TEXT.partition("`outcome` is ")[2].partition("**Verification**")[0]
    assert {*Outcome} <= set(re.findall(r"`([a-z]+)`", listed))


def test_the_bodies_of_consent_are_those_of_the_code() -> None:
    for kind, body in (
        ("consent-request", ConsentRequest),
        ("consent-grant", ConsentGrant),
        ("consent-refusal", ConsentRefusal),
        ("consent-revocation", ConsentRevocation),
    ):
        assert read_rows(f"| `body` of a `{kind}` | |").keys() == {field.name for field in fields(body)}
    assert f"`{consented._PASSED_ON}`" in " ".join(TEXT.split())


def test_the_bounds_and_words_are_those_of_the_code() -> None:
    assert f"fewer than {letterbox._MAX_LETTERS_OF_A_PARTY:,} letters" in TEXT
    assert f"{letterbox._MAX_BYTES_OF_A_PARTY >> 20} MiB" in TEXT
    assert f"after {DECISION_TIME // 86_400_000_000} days" in TEXT
    assert f"{MAX_OPEN_REQUESTS} requests may wait" in TEXT
    spoken = " ".join(TEXT.split())
    assert all(f"`{words}`" in spoken for words in PASSED_ON.values())
