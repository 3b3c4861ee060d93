# SPDX-License-Identifier: Apache-2.0
"""A scenario says exactly what is understood; each error names the line and what is allowed there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.agreement.events import EventKind
from comity.errors import MalformedScenario
from comity.ids import AgreementId, PartyId, parse_instant
from comity.scenario.drafts import derive_digest
from comity.scenario.expectations import ExpectedFlow, ExpectedStanding
from comity.scenario.happenings import Short
from comity.scenario.parse import Scenario, parse_scenario
from comity.stix.labels import CLASSIFICATION_EXTENSION
from comity.stix.markings import TLP2_AMBER, TLP2_RED

AURELIA, BOREALIA = PartyId("aurelia"), PartyId("borealia")

WHOLE = """\
format: comity-scenario/1
title: A title
story: >
  Somebody does
  something.
parties:
  - aurelia
  - {id: borealia, manifest: ae9b91a4e30932fdd7e0c85a2661a37e44ea8e84f2acf1e7ff0dffa56d91951a}
policies:
  borealia: {not_recognised: [{kind: mou, reference: "*"}]}
agreements:
  first: &first
    form: mou
    parties: [aurelia, borealia]
    purposes: [exchange]
    permitted_actions: none
    validity: {from: 2026-01-01T00:00:00Z}
    legal_bases:
      - {party: aurelia, kind: mou, reference: MOU-1, force: contract}
      - {party: borealia, kind: mou, reference: MOU-1, force: contract}
      - {party: borealia, kind: unsc_resolution, reference: S/RES/9101, force: decides}
    assurances:
      - {kind: fair_trial, given_by: borealia, valid_until: 2030-01-01T00:00:00Z}
    channels:
      - {id: main, giver: aurelia, receivers: [borealia], types: [report], tlp_ceiling: amber,
         subjects: ["unsc:QDe.901"], regions: [SY], onward: none}
  second:
    replaces: first
    <<: *first
    title: The next one
objects:
  report: {type: report, from: aurelia, added: 2026-01-02T00:00:00Z, tlp: amber, regions: [NO], refers_to: [town],
           granular: {description: red}, stix: {confidence: 70}}
  town: {type: location, from: aurelia, added: 2026-01-02T00:00:00Z, country: SY}
  town-later: {updates: town, from: aurelia, added: 2026-01-03T00:00:00Z, country: SY}
events:
  - {at: 2026-01-20T00:00:00Z, by: all, kind: sign, agreement: first}
  - {at: 2026-01-21T00:00:00Z, by: borealia, kind: clarify, agreement: second, clause: form, text: "Why?", name: why}
  - {at: 2026-01-22T00:00:00Z, by: aurelia, kind: answer, agreement: second, re: why, text: So.}
  - {at: 2026-01-23T00:00:00Z, by: [borealia], kind: pull, from: aurelia}
expectations:
  - {at: 2026-01-24T00:00:00Z, agreement: first, state: in force, owes: {borealia: confirm}}
  - at: 2026-01-24T00:00:00Z
    from: aurelia
    to: borealia
    gets: [report]
    decisions:
      report: release
      town: "withhold: regions"
"""


def read(text: str = WHOLE) -> Scenario:
    return parse_scenario(text.encode())


def test_a_scenario_is_read_whole() -> None:
    scenario = read()
    assert (scenario.title, scenario.story) == ("A title", "Somebody does something.")
    assert scenario.manifests[AURELIA] == derive_digest("manifest", "aurelia")
    assert scenario.manifests[BOREALIA].startswith("ae9b91a4")
    first, second = scenario.agreements["first"], scenario.agreements["second"]
    assert (first.title, first.version, first.supersedes) == ("first", 1, None)
    assert (second.title, second.version, second.supersedes) == ("The next one", 2, first.hash)
    assert second.agreement_id == first.agreement_id == AgreementId(first.hash)
    assert [party.manifest for party in first.parties] == list(scenario.manifests.values())
    assert first.assurances[0].document == derive_digest("assurances", "0")


def test_who_has_no_policy_recognises_what_is_cited_for_it() -> None:
    policies = read().policies
    assert policies[AURELIA].recognised == {("mou", "MOU-1")}
    assert policies[BOREALIA].recognised == {("unsc_resolution", "S/RES/9101")}
    assert policies[BOREALIA].not_recognised == {("mou", "*")}


def test_objects_are_stix_with_their_tags_inside() -> None:
    report, town, later = read().items
    assert report.value["object_refs"] == [town.object.id]
    assert report.object.references == {town.object.id}
    assert report.value["object_marking_refs"] == [TLP2_AMBER]
    assert report.value["granular_markings"] == [{"marking_ref": TLP2_RED, "selectors": ["description"]}]
    assert report.value["extensions"] == {
        CLASSIFICATION_EXTENSION: {"extension_type": "property-extension", "regions": ["NO"]}
    }
    assert (report.value["name"], report.value["confidence"]) == ("report", 70)
    assert town.value["country"] == "SY"
    assert later.object.id == town.object.id
    assert later.object.modified == parse_instant("2026-01-03T00:00:00Z")


def test_events_and_expectations_keep_their_order_and_line() -> None:
    scenario = read()
    assert [happening.kind for happening in scenario.happenings] == [
        Short.SIGN,
        EventKind.CLARIFY,
        EventKind.ANSWER,
        Short.PULL,
    ]
    assert [happening.line for happening in scenario.happenings] == [37, 38, 39, 40]
    assert scenario.happenings[0].parties == ()
    assert scenario.happenings[3].parties == (BOREALIA,)
    standing, flow = scenario.expectations
    assert isinstance(standing, ExpectedStanding)
    assert isinstance(flow, ExpectedFlow)
    assert standing.owes == {BOREALIA: "confirm"}
    assert flow.decisions == {"report": ("release", 48), "town": ("withhold: regions", 49)}


BAD = [
    # (what stands there, what is written instead, the error, a piece of the line that the error names)
    ("format: comity-scenario/1", "format: comity-scenario/2", "write format: comity-scenario/1", "format: "),
    ("title: A title", "titel: A title", "title: is missing", "format: "),
    ("title: A title", "title: A title\nauthor: me", "author: is not a field this version knows here", "author: "),
    ("story: >\n  Somebody does\n  something.\n", "", "story: is missing", "format: "),
    ("  - aurelia\n", "  - Aurelia\n", "not a party id", "Aurelia"),
    ("  - aurelia\n", "  - aurelia\n  - aurelia\n", "aurelia is named twice", "parties:"),
    ("  borealia: {not", "  meridia: {not", "'meridia' is not one of the parties: aurelia, borealia", "meridia"),
    ("not_recognised:", "unrecognised:", "unrecognised: is not a field", "unrecognised"),
    ('kind: mou, reference: "*"', 'kind: memo, reference: "*"', "'memo' is unknown; use one of", "memo"),
    ("    form: mou", "    form: memo", "form: 'memo' is unknown; use one of .*treaty", "memo"),
    ("    permitted_actions: none\n", "", "permitted_actions: is missing", "  first: "),
    ("    parties: [aurelia, borealia]", "    parties: [aurelia, borealia, meridia]", "meridia is not one", "meridia"),
    ("tlp_ceiling: amber", "tlp_ceiling: orange", "tlp_ceiling: 'orange' is unknown", "orange"),
    ("regions: [SY], onward", "regions: [SY, XX], onward", "'XX' is unknown", "XX"),
    ("replaces: first", "replaces: third", "names a version written above it: first", "third"),
    ("validity: {from: 2026-01-01T00:00:00Z}", "validity: {from: 2026-01-01}", "is not a timestamp", "validity"),
    ("    legal_bases:", "    surplus: 1\n    legal_bases:", "surplus: is not a field", "surplus"),
    ("type: report, from", "type: reprot, from", "'reprot' is no type of STIX 2.1", "reprot"),
    ("type: report, from: aurelia", "type: report, from: tavria", "tavria is not one of the parties", "tavria"),
    ("added: 2026-01-02T00:00:00Z, tlp", "added: 2026-01-02 00:00:00, tlp", "is not a timestamp of", "added"),
    ("added: 2026-01-02T00:00:00Z, tlp", "added: 2026-01-02T00:00:00, tlp", "is not a timestamp of .*Z", "added"),
    ("tlp: amber, regions", "tlp: orange, regions", "tlp: 'orange' is unknown; use one of", "orange"),
    ("regions: [NO]", "regions: [Norway]", "'Norway' is unknown", "Norway"),
    ("refers_to: [town]", "refers_to: [city]", r"'city' is no object of the scenario \(report, town", "city"),
    ("granular: {description: red}", "granular: {description: purple}", "description has a TLP level", "purple"),
    ("stix: {confidence: 70}", "stix: {modified: x}", "report is no STIX object that can be kept", "report: {"),
    ("stix: {confidence: 70}", "subject: x", "subject: is not a field this version knows here; known", "subject: "),
    ("updates: town", "updates: village", "names an object written above it", "village"),
    ("by: all, kind: sign", "by: nobody, kind: sign", "nobody is not one of the parties", "nobody"),
    ("kind: sign", "kind: seal", "'seal' is unknown; use one of .*sign", "seal"),
    ("kind: sign, agreement: first", "kind: sign, agreement: third", "'third' is unknown; use one of", "third"),
    ("kind: sign, agreement: first", "kind: sign", "agreement: is missing", "kind: sign"),
    ("at: 2026-01-20T00:00:00Z", "at: 2026-01-20T00:00:00+02:00", "is not a timestamp", "+02:00"),
    ("re: why", "re: how", "'how' is the name of no event", "re: how"),
    ("by: [borealia], kind", "by: [borealia], arrives: 2020-01-01T00:00:00Z, kind", "is before the event", "arrives"),
    ("kind: pull, from: aurelia", "kind: pull", "from: is missing", "kind: pull"),
    ("kind: pull, from: aurelia", "kind: pull, from: aurelia, refused: rain", "'rain' is unknown; use one", "rain"),
    ("kind: sign", "kind: sign, refused: framework, unchecked: true", "nothing refuses it", "unchecked"),
    ("kind: sign", "kind: sign, unchecked: perhaps", "must be true or false", "perhaps"),
    ("state: in force", "state: inforce", "'inforce' is unknown; use one of .*in force", "inforce"),
    (", state: in force, owes: {borealia: confirm}", "", "expect a state, says or owes", "2026-01-24"),
    ("owes: {borealia", "owes: {tavria", "owes: says of parties", "tavria"),
    ("gets: [report]", "gets: [photo]", "'photo' is no object of the scenario: report, town", "photo"),
    ("      report: release", "      photo: release", "'photo' is no object of the scenario", "decisions:"),
    ("report: release", "report: released", 'report: write release, "redact: property', "report: released"),
    ('"withhold: regions"', '"withhold: region"', "with one of .*regions", 'town: "withhold'),
    ("    to: borealia\n", "", "to: is missing", "  - at: 2026-01-24"),
    ("    gets", "    under: third\n    gets", "'third' is unknown", "third"),
    ("    gets", "    under: first\n    channel: side\n    gets", "'side' is unknown; use one of main", "side"),
]


@pytest.mark.parametrize(("old", "new", "problem", "piece"), BAD, ids=[new.strip()[:40] for _, new, _, _ in BAD])
def test_what_is_wrong_is_refused_with_line_and_what_is_allowed(old: str, new: str, problem: str, piece: str) -> None:
    assert old in WHOLE
    text = WHOLE.replace(old, new, 1)
    line = next(number for number, written in enumerate(text.splitlines(), start=1) if piece in written)
    with pytest.raises(MalformedScenario, match=problem) as refused:
        read(text)
    assert refused.value.where == f"line {line}", refused.value.detail


@given(st.data())
def test_a_scenario_with_a_piece_missing_is_read_or_malformed(data: st.DataObject) -> None:
    lines = WHOLE.splitlines(keepends=True)
    start = data.draw(st.integers(0, len(lines)))
    end = data.draw(st.integers(start, len(lines)))
    piece = data.draw(st.sampled_from(["", "  - 7\n", "  x: [1, {y: 2}]\n", "?: [\n", "  report: release\n"]))
    try:
        read("".join([*lines[:start], piece, *lines[end:]]))
    except MalformedScenario as error:
        assert error.detail  # noqa: PT017 (it may raise, and then only this)
