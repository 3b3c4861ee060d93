# SPDX-License-Identifier: Apache-2.0
"""Every field that a text can have has a meaning in words, and the words follow the field."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pytest

from comity import vocabulary
from comity.agreement import phrases
from comity.agreement.channels import Channel, Scope
from comity.agreement.drafting import convert_terms
from comity.agreement.meaning import CHANNEL_FIELDS, GATE_FIELDS, Meaning, explain_channel, explain_gate
from comity.agreement.terms import Terms, parse_terms
from comity.canonical import Json, canonical_bytes
from comity.errors import MalformedTerms
from comity.ids import PartyId
from comity.release.clauses import CLAUSES

FOLDER = Path(__file__).parents[2] / "vectors" / "meanings"
FULL = parse_terms(convert_terms((FOLDER / "full.toml").read_bytes()))

GATE_CHANGES: Mapping[str, Json] = {
    "version": 3,
    "agreement": "3" * 64,
    "supersedes": "3" * 64,
    "form": "treaty",
    "structure": {"kind": "group", "accession": "unanimous"},
    "framework": None,
    "excluded_frameworks": [],
    "parties": [{"id": "aurelia", "manifest": "4" * 64}, {"id": "borealia", "manifest": "4" * 64}],
    "legal_bases": [{"party": "aurelia", "kind": "treaty", "reference": "T 1", "force": "consent"}],
    "validity": {"from": "2026-12-01T00:00:00Z"},
    "purposes": ["research"],
    "permitted_actions": "none",
    "prohibited_uses": None,
    "assurances": None,
    "retention": {"review_after": "P1Y", "no_decision": "delete"},
    "survival": None,
    "existence": "public",
    "public_line": None,
    "response_times": {"acceptance": "P15D"},
    "query_rules": None,
    "reservations": None,
    "texts": None,
}
CHANNEL_CHANGES: Mapping[str, Json] = {
    "id": "other",
    "giver": "borealia",
    "receivers": ["members"],
    "types": ["note"],
    "tlp_ceiling": "red",
    "markings": [],
    "originators": ["own"],
    "subjects": ["stix:x"],
    "regions": ["JO"],
    "kinds": None,
    "person_classes": [],
    "special_categories": None,
    "handling": ["H2"],
    "onward": "originator_consent",
    "releasable_to": ["arvenia"],
    "history": None,
    "sanitise": "none",
    "attribution": "must",
}
TOGETHER: Mapping[str, Mapping[str, Json]] = {
    "giver": {"receivers": ["aurelia"]},
    "onward": {"releasable_to": None},
}
"""What has to change with a field for the text to be one."""

READ_INTO = {
    "hash": None,  # of the document, which is no field of it
    "document": None,
    "valid_from": "validity",
    "valid_until": "validity",
    "reviews": "validity",
    "reservable": "reservations",
    "scope": None,  # its attributes are asked below
    "own": "originators",
    "onward_to": "releasable_to",
    "excluded_frameworks": None,  # of the gate; its sentence is there
}
"""The attributes of terms that are not named as their field is."""


def change(value: dict[str, Json], changes: Mapping[str, Json]) -> dict[str, Json]:
    return {name: item for name, item in {**value, **changes}.items() if item is not None}


def read_document() -> dict[str, Json]:
    value = json.loads(FULL.document)
    assert isinstance(value, dict)
    return value


def find(meanings: Iterable[Meaning], field: str) -> Meaning:
    (found,) = [each for each in meanings if each.clause.rpartition(".")[2] == field]
    return found


def list_known(document: dict[str, Json]) -> set[str]:
    """The fields that the reader says it knows, where it is given one that it does not."""
    with pytest.raises(MalformedTerms, match="known are") as refused:
        parse_terms(canonical_bytes(document))
    return set(refused.value.detail.partition("known are ")[2].split(", "))


def test_the_meaning_of_a_full_agreement_is_the_golden_text() -> None:
    parts = [explain_gate(FULL), *(explain_channel(FULL, channel) for channel in FULL.channels)]
    lines = [
        line
        for part in parts
        for each in part
        for line in (each.clause, f"  {each.written or '(left out)'}", *(f"    {said}" for said in each.sentences))
    ]
    assert "\n".join(lines) + "\n" == (FOLDER / "full.txt").read_text(encoding="utf-8")


def test_every_field_of_a_document_has_a_meaning_and_no_other() -> None:
    assert list_known({**read_document(), "surplus": 1}) == GATE_FIELDS.keys()


def test_every_field_of_a_channel_has_a_meaning_and_no_other() -> None:
    document = read_document()
    channels = document["channels"]
    assert isinstance(channels, list)
    assert isinstance(channels[0], dict)
    channels[0]["surplus"] = 1
    assert list_known(document) == CHANNEL_FIELDS.keys()


@pytest.mark.parametrize(("kind", "fields"), [(Terms, GATE_FIELDS), (Channel, CHANNEL_FIELDS), (Scope, CHANNEL_FIELDS)])
def test_every_attribute_that_terms_are_read_into_belongs_to_a_field(kind: type, fields: Mapping[str, object]) -> None:
    names = {READ_INTO.get(item.name, item.name) for item in dataclasses.fields(kind)} - {None}
    assert names <= fields.keys()


def test_every_field_that_decides_something_is_changed_below() -> None:
    assert GATE_CHANGES.keys() == GATE_FIELDS.keys() - {"format", "title", "channels"}
    assert CHANNEL_CHANGES.keys() == CHANNEL_FIELDS.keys()


@pytest.mark.parametrize("field", GATE_CHANGES)
def test_another_value_of_a_field_has_another_meaning(field: str) -> None:
    changed = parse_terms(canonical_bytes(change(read_document(), {field: GATE_CHANGES[field]})))
    assert find(explain_gate(changed), field).sentences != find(explain_gate(FULL), field).sentences


@pytest.mark.parametrize("field", CHANNEL_CHANGES)
def test_another_value_of_a_field_of_a_channel_has_another_meaning(field: str) -> None:
    document = change(read_document(), {"reservations": None})
    channels = document["channels"]
    assert isinstance(channels, list)
    assert isinstance(channels[0], dict)
    channels[0] = change(channels[0], {**TOGETHER.get(field, {}), field: CHANNEL_CHANGES[field]})
    changed = parse_terms(canonical_bytes(document))
    before = find(explain_channel(FULL, FULL.channels[0]), field)
    assert find(explain_channel(changed, changed.channels[0]), field).sentences != before.sentences


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (vocabulary.FORMS, phrases.FORM),
        (vocabulary.LEGAL_BASIS_KINDS, phrases.BASES),
        (vocabulary.FORCES, phrases.FORCE),
        (vocabulary.PURPOSES, phrases.PURPOSE),
        (vocabulary.PERMITTED_ACTIONS, phrases.ACTIONS),
        (vocabulary.PROHIBITED_USES, phrases.USES),
        (vocabulary.TLP_LEVELS, phrases.TLP),
        (vocabulary.MARKINGS, phrases.MARKED),
        (vocabulary.KINDS, phrases.INFORMATION),
        (vocabulary.PERSON_CLASSES, phrases.PERSONS),
        (vocabulary.SPECIAL_CATEGORIES, phrases.CATEGORIES),
        (vocabulary.HANDLING, phrases.HANDLED),
        (vocabulary.ASSURANCES, phrases.ASSURED),
        (vocabulary.ACCESSION, phrases.ADMITTING),
        (vocabulary.EXISTENCE, phrases.EXISTING),
        (vocabulary.DUTIES, phrases.DUTY),
        (vocabulary.RESPONSES, phrases.RESPONSE),
        (vocabulary.QUERY_MODES, phrases.QUESTIONS),
    ],
)
def test_every_word_of_a_vocabulary_has_its_own_phrase(words: Collection[str], told: Mapping[str, str]) -> None:
    assert told.keys() == set(words)
    assert len(set(told.values())) == len(told)


@pytest.mark.parametrize("field", ["onward", "sanitise", "attribution"])
def test_every_word_of_the_other_vocabularies_is_explained(field: str) -> None:
    words = {"onward": vocabulary.ONWARD, "sanitise": vocabulary.SANITISE, "attribution": vocabulary.ATTRIBUTION}[field]
    channel = FULL.channels[0]
    told = set[str]()
    for word in sorted(words):
        changed = (
            dataclasses.replace(channel, onward=word)
            if field == "onward"
            else dataclasses.replace(channel, scope=dataclasses.replace(channel.scope, **{field: word}))  # type: ignore[arg-type]
        )
        told.add(" ".join(CHANNEL_FIELDS[field](changed)))
    assert len(told) == len(words)


@pytest.mark.parametrize("ceiling", vocabulary.TLP_LEVELS)
def test_the_levels_named_are_those_the_clause_table_admits(ceiling: str) -> None:
    channel = FULL.channels[0]
    scope = dataclasses.replace(channel.scope, tlp_ceiling=ceiling)
    (clause,) = [clause for clause in CLAUSES if clause.name == "tlp_ceiling"]
    allowed = clause.allowed(scope, PartyId("borealia"))
    (sentence,) = CHANNEL_FIELDS["tlp_ceiling"](dataclasses.replace(channel, scope=scope))
    named = sentence.removeprefix("Objects marked ").partition(";")[0].replace(" or ", ", ").split(", ")
    assert frozenset(word.removeprefix("TLP:").lower() for word in named) == allowed


def test_the_two_examples_that_the_module_gives() -> None:
    main, picture = FULL.channels
    ceiling = find(explain_channel(FULL, main), "tlp_ceiling")
    assert ceiling.written == 'tlp_ceiling = "amber"'
    assert ceiling.sentences == ("Objects marked TLP:CLEAR, GREEN or AMBER; unmarked and stricter ones are withheld.",)
    history = find(explain_channel(FULL, picture), "history")
    assert history.written is None
    assert history.sentences[0] == "Nothing that the giver held before every party had signed."


def test_nothing_is_called_lawful() -> None:
    said = " ".join(
        sentence
        for part in (explain_gate(FULL), *(explain_channel(FULL, channel) for channel in FULL.channels))
        for each in part
        for sentence in each.sentences
    )
    assert "lawful" not in said
    assert "legal" not in said
