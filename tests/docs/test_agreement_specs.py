# SPDX-License-Identifier: Apache-2.0
"""The specifications of agreements, messages and policies say what the code reads."""

import base64
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from comity import vocabulary
from comity.agreement.drafting import convert_terms
from comity.agreement.events import Event, EventKind, Position
from comity.agreement.recognition import Recognised, judge, parse_policy
from comity.agreement.terms import MAX_DOCUMENT_BYTES, Scope, Terms, parse_terms
from comity.agreement.transitions import State, draw_states
from comity.canonical import canonical_bytes, sha256_digest
from comity.errors import MalformedTerms
from comity.exchange import ACCESS_TYPE, EVENT_TYPE, parse_message, verify_access
from comity.ids import PartyId
from comity.signing import format_signed_document, sign_document
from tests.parties import AURELIA, MANIFESTS, MERIDIA, SIGNERS, TRANSPORT, change_terms, make_terms
from tests.signers import NOW

FOLDER = Path(__file__).parents[2] / "docs" / "spec"
DOCUMENT = (FOLDER / "agreement-document.md").read_text(encoding="utf-8")
MESSAGES = (FOLDER / "exchange-messages.md").read_text(encoding="utf-8")
LIFE_CYCLE = (FOLDER / "life-cycle.md").read_text(encoding="utf-8")
POLICY = (FOLDER / "recognition-policy.md").read_text(encoding="utf-8")


def read_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def read_words(text: str, *names: str) -> set[str]:
    """Every word in backquotes in the last cell of the row that `names` open."""
    row = next(line for line in text.splitlines() if line.startswith("| " + ", ".join(f"`{name}`" for name in names)))
    return set(re.findall(r"`([^`]+)`", row.split(" | ", 1)[1]))


def read_example() -> Terms:
    (toml,) = read_blocks(DOCUMENT, "toml")
    return parse_terms(convert_terms(toml.encode()))


def test_the_toml_becomes_the_json_and_has_the_hash() -> None:
    (shown,) = read_blocks(DOCUMENT, "json")
    assert read_example().document == canonical_bytes(json.loads(shown))
    assert f"`{read_example().hash}`" in DOCUMENT


def test_the_closed_lists_are_those_of_the_code() -> None:
    assert read_words(DOCUMENT, "form") == vocabulary.FORMS
    assert read_words(DOCUMENT, "purposes") == vocabulary.PURPOSES
    assert read_words(DOCUMENT, "permitted_actions") == vocabulary.PERMITTED_ACTIONS
    assert read_words(DOCUMENT, "prohibited_uses") == vocabulary.PROHIBITED_USES
    assert read_words(DOCUMENT, "tlp_ceiling") == set(vocabulary.TLP_LEVELS)
    assert read_words(DOCUMENT, "markings") == vocabulary.MARKINGS
    assert read_words(DOCUMENT, "onward", "releasable_to") == vocabulary.ONWARD | {"listed"}
    assert read_words(DOCUMENT.replace("| | `kind`: ", "| `kind` | "), "kind") == vocabulary.LEGAL_BASIS_KINDS
    assert read_words(DOCUMENT.replace("| | `force`: ", "| `force` | "), "force") == vocabulary.FORCES
    assert read_words(DOCUMENT, "response_times") == vocabulary.RESPONSES
    assert read_words(DOCUMENT, "existence", "public_line") == vocabulary.EXISTENCE | {"ncnd"}
    assert read_words(DOCUMENT, "sanitise") == vocabulary.SANITISE
    assert read_words(DOCUMENT, "attribution") == vocabulary.ATTRIBUTION
    assert read_words(DOCUMENT, "survival") >= vocabulary.DUTIES
    assert read_words(DOCUMENT, "query_rules") >= vocabulary.QUERY_MODES
    kinds = re.findall(r"^\| \| `(kind|accession|category)`: (.*) \|$", DOCUMENT, flags=re.MULTILINE)
    assert [(name, frozenset(re.findall(r"`([^`]+)`", words))) for name, words in kinds] == [
        ("accession", vocabulary.ACCESSION),
        ("kind", vocabulary.LEGAL_BASIS_KINDS),
        ("kind", vocabulary.ASSURANCES),
        ("category", vocabulary.SPECIAL_CATEGORIES),
    ]


def test_every_member_is_named_and_no_other() -> None:
    opened = re.findall(r"^\| (`[^|]*`) \| ", DOCUMENT, flags=re.MULTILINE)
    named = {name for cell in opened for name in re.findall(r"`(\w+)`", cell)}
    with pytest.raises(MalformedTerms) as refused:
        parse_terms(change_terms(make_terms(), surplus=1))
    known = re.search(r"known are (.*)", refused.value.detail)
    assert known is not None
    scope = {field.name for field in fields(Scope)}
    assert named == set(known[1].split(", ")) | scope | {"giver", "receivers", "onward", "releasable_to", "history"}


def test_the_bound_is_the_one_that_is_checked() -> None:
    assert f"at most {MAX_DOCUMENT_BYTES:,} bytes" in DOCUMENT


def test_the_event_is_one_and_has_the_identity_it_says() -> None:
    event, _ = read_blocks(MESSAGES, "json")
    payload = canonical_bytes(json.loads(event))
    message = parse_message(format_signed_document(sign_document(EVENT_TYPE, payload, SIGNERS[MERIDIA])))
    assert f"`{sha256_digest(payload)}`" in MESSAGES
    assert message.event.digest == sha256_digest(payload)
    assert (message.event.party, message.event.terms) == (MERIDIA, read_example().hash)


def test_every_kind_and_member_of_an_event_is_named() -> None:
    opened = set(re.findall(r"^\| `(\w+)` \|", MESSAGES, flags=re.MULTILINE))
    assert {kind.value for kind in EventKind} <= opened
    members = {field.name for field in fields(Event)} - {"digest", "bases"} | {"legal_bases"}
    assert members <= set(re.findall(r"`(\w+)`", MESSAGES))
    assert {word.value for word in Position} | vocabulary.RESERVATION_GROUNDS <= set(re.findall(r"`(\w+)`", MESSAGES))


def test_the_life_cycle_is_drawn_as_the_table_says() -> None:
    (drawn,) = re.findall(r"<!-- states -->\n```mermaid\n(.*?)```\n<!-- /states -->", LIFE_CYCLE, flags=re.DOTALL)
    assert drawn == draw_states()
    rows = re.findall(r"^\| ([a-z, ]+) \| ", LIFE_CYCLE, flags=re.MULTILINE)
    assert {name for row in rows for name in row.split(", ")} == {state.value for state in State}
    assert {EVENT_TYPE, ACCESS_TYPE} <= set(re.findall(r"`([^`\n]+)`", MESSAGES))


def test_the_access_token_shows_its_maker() -> None:
    _, access = read_blocks(MESSAGES, "json")
    document = sign_document(ACCESS_TYPE, canonical_bytes(json.loads(access)), TRANSPORT[MERIDIA])
    token = encode(format_signed_document(document))
    assert verify_access(token, MANIFESTS, audience=AURELIA, now=NOW) == MERIDIA


@pytest.mark.parametrize(("party", "recognised"), [(AURELIA, True), (MERIDIA, True), (PartyId("borealia"), False)])
def test_the_policy_recognises_the_example(party: PartyId, recognised: bool) -> None:
    (toml,) = read_blocks(POLICY, "toml")
    judged = judge(parse_policy(toml.encode()), read_example(), party=party, now=NOW)
    assert isinstance(judged, Recognised) == recognised


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
