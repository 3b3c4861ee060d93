# SPDX-License-Identifier: Apache-2.0
"""The matrix shows every decision that there is, lined up, in lines that fit."""

from itertools import pairwise

from comity.scenario.parse import parse_scenario
from comity.scenario.run import run_scenario

PARTIES = ["aurelia", "borealia", "calderia", "tavria", "corvia"]
TEXT = """\
format: comity-scenario/1
title: A title
story: Somebody does something.
parties: [aurelia, borealia, calderia, tavria, corvia]
agreements:
  table: &table
    form: mou
    parties: [aurelia, borealia, calderia, tavria, corvia]
    purposes: [exchange]
    permitted_actions: none
    validity: {from: 2026-01-01T00:00:00Z}
    legal_bases: [BASES]
    channels:
      - {id: main, giver: members, receivers: [members], types: [report], tlp_ceiling: amber,
         subjects: ["unsc:QDe.901"], regions: [SY], onward: none, history: all}
  other: {<<: *table, form: treaty}
objects:
  report:
    {type: report, from: aurelia, added: 2026-01-02T00:00:00Z, tlp: red, subjects: ["unsc:QDe.901"], regions: [SY, IQ],
     kinds: [arms, financing], person_classes: [minor], handling: [H1], special_categories: [health],
     granular: {description: red}}
  of-borealia:
    {type: report, from: borealia, added: 2026-01-02T00:00:00Z, tlp: amber, subjects: ["unsc:QDe.901"], regions: [SY]}
  later:
    {type: report, from: aurelia, added: 2027-01-02T00:00:00Z, tlp: red}
events:
  - {at: 2026-01-20T00:00:00Z, by: all, kind: sign, agreement: table}
  - {at: 2026-01-21T00:00:00Z, by: aurelia, kind: propose, agreement: other}
expectations:
  - {at: 2026-01-19T00:00:00Z, from: aurelia, to: borealia, gets: []}
  - {at: 2026-01-22T00:00:00Z, from: aurelia, to: borealia, gets: []}
""".replace("BASES", ", ".join(f"{{party: {party}, kind: mou, reference: M, force: contract}}" for party in PARTIES))


def draw() -> str:
    outcome = run_scenario(parse_scenario(TEXT.encode()))
    assert outcome.failures == ()
    return outcome.matrix


def test_every_time_stands_with_the_state_of_every_agreement() -> None:
    first, second = draw().split("2026-01-22T00:00:00Z\n")
    assert "2026-01-19T00:00:00Z" in first
    assert "table: nothing is on record\nother: nothing is on record" in first
    assert "No agreement on record has a channel: nothing goes." in first
    assert "table: in force: agreed by all (aurelia, borealia, calderia, corvia, tavria), version 1" in second
    assert "other: proposed by aurelia; borealia, calderia, corvia, tavria have not signed" in second


def test_every_pair_and_agreement_has_a_column_and_each_cell_its_decision() -> None:
    text = draw()
    for receiver in PARTIES[1:]:
        assert text.count(f"aurelia -> {receiver}") == 2
    assert text.count("(table)") == text.count("(other)") == 8  # of the givers, those that hold something
    rows = [line.split("  ") for line in text.splitlines() if line.startswith("report ")]
    cells = [cell.strip() for row in rows for cell in row[1:] if cell.strip()]
    assert cells.count("withhold: tlp_ceiling") == cells.count("withhold: status") == 4
    assert cells.count("-") == 8
    assert "later" not in text


def test_the_facts_of_a_label_stand_below_its_object() -> None:
    facts = (
        "from aurelia; report; TLP red; unsc:QDe.901; IQ+SY; kinds arms, financing; persons minor; special health;"
        " handling H1; in part description red"
    )
    assert facts in " ".join(draw().split())


def test_columns_line_up_and_lines_fit() -> None:
    lines = draw().splitlines()
    assert max(map(len, lines)) <= 120
    for rule, row in pairwise(lines):
        if set(rule) <= {"-", " "} and "  " in rule:
            edges = [index for index in range(2, len(rule)) if rule[index - 2 : index] == "  "]
            assert all(row[edge - 1] == " " for edge in edges if edge < len(row))
            assert all(row[edge] != " " for edge in edges if edge < len(row))
