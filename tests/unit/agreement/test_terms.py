# SPDX-License-Identifier: Apache-2.0
"""What a document says is read exactly; whatever else is in it is refused with its place."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from comity.agreement.channels import History, SpecialCategory
from comity.agreement.duration import parse_duration
from comity.agreement.duties import Assurance, QueryRules, Retention, Survival, Text
from comity.agreement.terms import (
    MAX_DOCUMENT_BYTES,
    Channel,
    LegalBasis,
    Scope,
    Structure,
    clause_names,
    parse_terms,
)
from comity.canonical import canonical_bytes, sha256_digest
from comity.errors import MalformedTerms
from comity.ids import AgreementId, Digest, parse_instant
from comity.release.clauses import CLAUSES
from comity.stix.markings import TLP_ORDER
from comity.vocabulary import DUTIES, PERSON_CLASSES, REGIONS, STIX_TYPES, TLP_LEVELS
from tests.parties import AURELIA, BASIS, BOREALIA, MANIFESTS, MERIDIA, change_terms, make_terms
from tests.vectors.terms.make import FOLDER, vectors

YEAR = "2027-01-01T00:00:00Z"
VECTORS = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_bytes())
    document = vector["in"]["document"].encode()
    if "error" not in vector["expect"]:
        terms = parse_terms(document)
        assert {"terms": terms.hash} == vector["expect"]
        assert terms.document == document
        return
    with pytest.raises(MalformedTerms) as refused:
        parse_terms(document)
    assert {"error": refused.value.code, "where": refused.value.where} == vector["expect"]


def test_vectors_are_what_their_maker_makes() -> None:
    assert {path.name: path.read_bytes() for path in VECTORS} == vectors()


def test_a_document_is_read_whole() -> None:
    terms = make_terms(framework="harbour-round-table")
    assert terms.hash == sha256_digest(terms.document)
    assert (terms.title, terms.version, terms.form) == ("Exchange on Ashfall", 1, "exchange_of_letters")
    assert terms.framework == "harbour-round-table"
    assert terms.excluded_frameworks == {"coalition-dawn"}
    assert [(party.id, party.manifest) for party in terms.parties] == [
        (party, MANIFESTS[party].digest) for party in (AURELIA, BOREALIA)
    ]
    assert terms.legal_bases[0] == LegalBasis(
        party=AURELIA,
        kind="unsc_resolution",
        reference=BASIS,
        paragraph="OP 3",
        force="decides",
        valid_from=None,
        valid_until=None,
    )
    assert terms.valid_from == parse_instant("2026-01-01T00:00:00Z")
    assert terms.valid_until == parse_instant("2036-01-01T00:00:00Z")
    assert terms.purposes == {"exchange", "warning"}
    assert terms.permitted_actions == "internally-visible-actions"
    assert terms.prohibited_uses == {"targeting"}
    assert terms.channels[0] == Channel(
        id="aurelia",
        giver=AURELIA,
        receivers=(BOREALIA,),
        scope=Scope(
            types=frozenset({"indicator", "report"}),
            tlp_ceiling="amber",
            markings=frozenset(),
            originators=frozenset(),
            subjects=frozenset({"unsc:QDe.901"}),
            regions=frozenset({"IQ", "SY"}),
            kinds=None,
            person_classes=frozenset({"suspect", "convicted", "reasonable_grounds", "associate"}),
            special_categories=frozenset(),
            handling=frozenset(),
            onward_to=frozenset(),
            excluded_frameworks=frozenset({"coalition-dawn"}),
        ),
        own=True,
        special_categories=(),
        onward="none",
        history=History(),
    )
    assert terms.channels[0].scope_for(AURELIA).originators == {AURELIA}


def test_what_a_channel_says_of_persons_replaces_the_usual() -> None:
    assert read_scope(person_classes=["minor"]).person_classes == {"minor"}
    assert read_scope(person_classes=[]).person_classes == frozenset()
    assert read_scope(person_classes=sorted(PERSON_CLASSES)).person_classes == PERSON_CLASSES


def test_a_special_category_is_admitted_with_its_reason_and_approver_alone() -> None:
    assert read_scope().special_categories == frozenset()
    named = {"category": "health", "necessity": "an epidemic", "approver": "the review body"}
    channel = read_channel(special_categories=[named])
    assert channel.scope.special_categories == {"health"}
    assert channel.special_categories == (SpecialCategory(**named),)


def test_what_binds_beside_the_scopes_is_read_whole() -> None:
    terms = parse_terms(
        change_terms(
            make_terms(),
            structure={"kind": "group", "accession": "unanimous"},
            assurances=[{"kind": "fair_trial", "given_by": BOREALIA, "document": "7" * 64, "valid_until": YEAR}],
            retention={"review_after": "P1Y", "maximum": "P3Y", "no_decision": "delete"},
            survival={"duties": ["onward"], "material": "delete", "within": "P30D"},
            existence="acknowledged",
            public_line="The parties consult.",
            response_times={"recall": "PT8H"},
            query_rules={"mode": "hit_no_hit", "min_identifiers": 3, "quota_per_day": 50},
            texts=[{"language": "ar", "digest": "7" * 64, "authentic": True}],
            reservations=["channels.aurelia", "purposes"],
        )
    )
    assert terms.structure == Structure(group=True, accession="unanimous")
    assert terms.assurances == (
        Assurance(kind="fair_trial", given_by=BOREALIA, document=Digest("7" * 64), valid_until=parse_instant(YEAR)),
    )
    assert terms.retention == Retention(review_after=parse_duration("P1Y"), maximum=parse_duration("P3Y"))
    assert terms.survival == Survival(duties=frozenset({"onward"}), delete_within=parse_duration("P30D"))
    assert (terms.existence, terms.public_line) == ("acknowledged", "The parties consult.")
    assert terms.response_times == {"recall": parse_duration("PT8H")}
    assert terms.query_rules == QueryRules(mode="hit_no_hit", min_identifiers=3, quota_per_day=50)
    assert terms.texts == (Text(language="ar", digest=Digest("7" * 64), authentic=True),)
    assert terms.reservable == {"channels.aurelia", "purposes"}


def test_what_is_left_out_gives_the_least() -> None:
    terms = make_terms()
    assert terms.structure == Structure(group=False, accession="closed")
    assert make_terms(AURELIA, BOREALIA, MERIDIA).structure == Structure(group=True, accession="closed")
    assert (terms.existence, terms.public_line, terms.retention, terms.query_rules) == ("ncnd", None, None, None)
    assert terms.survival == Survival(duties=DUTIES, delete_within=None)
    assert (terms.reservable, terms.response_times, terms.assurances) == (frozenset(), {}, ())
    (channel, _) = terms.channels
    assert channel.history == History(all=False, since=None)
    assert (channel.scope.sanitise, channel.scope.attribution) == ("tear_line_allowed", "may")


@pytest.mark.parametrize(
    ("written", "history"),
    [
        ("none", History()),
        ("all", History(all=True)),
        ("2025-01-01T00:00:00Z", History(since=parse_instant("2025-01-01T00:00:00Z"))),
    ],
)
def test_history_is_none_all_or_since(written: str, history: History) -> None:
    assert read_channel(history=written).history == history


def test_the_giver_of_what_it_got_from_others_names_them() -> None:
    channel = read_channel(originators=[MERIDIA])
    assert channel.scope_for(AURELIA).originators == {MERIDIA}
    assert read_channel(originators=["own", MERIDIA]).scope_for(AURELIA).originators == {AURELIA, MERIDIA}


def test_who_gives_to_whom_among_the_members() -> None:
    one = read_channel()
    assert one.pairs({AURELIA, BOREALIA}) == ((AURELIA, BOREALIA),)
    assert one.pairs({BOREALIA, MERIDIA}) == ()
    value = json.loads(make_terms(AURELIA, BOREALIA, MERIDIA).document)["channels"][0]
    every = {**value, "giver": "members", "receivers": ["members"]}
    terms = parse_terms(change_terms(make_terms(AURELIA, BOREALIA, MERIDIA), channels=[every]))
    assert terms.channels[0].pairs({MERIDIA, AURELIA}) == ((AURELIA, MERIDIA), (MERIDIA, AURELIA))


def test_who_may_be_told_need_not_be_a_party() -> None:
    channel = read_channel(onward="listed", releasable_to=["meridia", "cimbria"])
    assert channel.releasable_to == {MERIDIA, "cimbria"}


def test_every_version_has_the_id_of_the_first() -> None:
    first = make_terms()
    second = make_terms(replaces=first)
    assert first.agreement_id == AgreementId(first.hash)
    assert second.agreement_id == first.agreement_id
    assert (second.agreement, second.supersedes, second.version) == (first.agreement_id, first.hash, 2)


def test_a_document_is_bounded() -> None:
    filler = [f"national:{'n' * 200}{number}" for number in range(1000)]
    value = json.loads(make_terms().document)
    value["channels"] = [{**value["channels"][0], "id": f"c{number}", "subjects": filler} for number in range(2)]
    document = json.dumps(value).encode()
    assert len(document) > MAX_DOCUMENT_BYTES
    with pytest.raises(MalformedTerms, match=f"at most {MAX_DOCUMENT_BYTES}"):
        parse_terms(document)


def test_bounds_are_reached() -> None:
    value = json.loads(make_terms().document)
    subjects = [f"national:n{number}" for number in range(1000)]
    value |= {
        "title": "a" * 4000,
        "parties": [value["parties"][0]] + [{"id": f"party-{n}", "manifest": "7" * 64} for n in range(31)],
        "legal_bases": [value["legal_bases"][0]],
        "channels": [
            {**value["channels"][0], "id": f"c{n}", "receivers": ["party-30"], "subjects": subjects[: 1000 if n else 9]}
            for n in range(10)
        ],
    }
    value["channels"] += [{**value["channels"][0], "id": f"d{n}"} for n in range(54)]
    terms = parse_terms(canonical_bytes(value))
    assert (len(terms.parties), len(terms.channels), len(terms.channels[9].scope.subjects)) == (32, 64, 1000)


@pytest.mark.parametrize(
    "title", ["Échange\u00a0: Ashfall", "تبادل", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"]
)
def test_titles_are_in_any_language(title: str) -> None:
    assert parse_terms(change_terms(make_terms(), title=title)).title == title


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200b", "\u2028", "\n", "\x1b", "\u007f", "\ufeff"])
def test_what_does_not_show_is_refused(hidden: str) -> None:
    with pytest.raises(MalformedTerms, match=f"U\\+{ord(hidden):04X}"):
        parse_terms(change_terms(make_terms(), title=f"Exchange{hidden}"))
    with pytest.raises(MalformedTerms, match=f"U\\+{ord(hidden):04X}"):
        parse_terms(change_terms(make_terms(), excluded_frameworks=[f"dawn{hidden}"]))


def test_an_unknown_field_is_called_so_and_the_known_ones_are_named() -> None:
    with pytest.raises(MalformedTerms, match="weather: is not a field this version knows here; known are agreement, "):
        parse_terms(change_terms(make_terms(), weather="fair"))


def test_the_name_of_an_unknown_field_cannot_write_to_the_terminal() -> None:
    with pytest.raises(MalformedTerms) as refused:
        parse_terms(change_terms(make_terms(), **{"a\x1b[2J": 1}))
    assert refused.value.detail.isprintable()
    assert refused.value.where.isprintable()


def test_every_clause_that_decides_can_be_asked_about() -> None:
    names = clause_names(make_terms())
    assert {"legal_bases", "validity", "purposes", "channels.aurelia", "channels.borealia.onward"} <= set(names)
    named = {clause.name for clause in CLAUSES} - {"audience", "frameworks"} | {"history", "sanitise", "attribution"}
    assert {f"channels.aurelia.{name}" for name in named} | {"framework", "excluded_frameworks"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_scope_has_every_clause_that_decides() -> None:
    what_goes = {"sanitise", "attribution"} | {"onward_to", "excluded_frameworks"}
    decided = {clause.name for clause in CLAUSES} - {"audience", "frameworks"}
    assert {field.name for field in fields(Scope)} == decided | what_goes


def test_vocabularies_are_those_of_the_standards() -> None:
    assert len(REGIONS) == 249
    assert {"IQ", "SY", "PS", "TW"} <= REGIONS
    assert "XK" not in REGIONS
    assert TLP_ORDER[: len(TLP_LEVELS)] == TLP_LEVELS
    assert len(STIX_TYPES) == 19 + 2 + 3 + 18


def read_channel(**changes: object) -> Channel:
    value = json.loads(make_terms().document)
    first = {**value["channels"][0], **changes}
    return parse_terms(change_terms(make_terms(), channels=[first, *value["channels"][1:]])).channels[0]


def read_scope(**changes: object) -> Scope:
    return read_channel(**changes).scope
