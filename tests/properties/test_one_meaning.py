# SPDX-License-Identifier: Apache-2.0
"""ONE-MEANING: decision, explanation and SQL say the same of every scope and label; planted mutants die.

DEFAULT-DENY: what is unknown, missing or empty is withheld. MONOTONE: narrower terms never admit more.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from comity.agreement.terms import Scope
from comity.ids import PartyId
from comity.release import clauses
from comity.release.clauses import CLAUSES, read_findings, read_sql
from comity.release.decision import Withhold, decide
from comity.stix.labels import Label, join, with_unresolved
from comity.stix.markings import TLP_ORDER
from comity.store import SqliteStore, Transaction, objects
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, SPECIAL_CATEGORIES
from tests.strategies import STIX_TYPES, labels

RECIPIENT = PartyId("borealia")
PARTIES = ("aurelia", "borealia", "meridia")


def some(words: Iterator[str] | tuple[str, ...] | frozenset[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(sorted(words)))


scopes = st.builds(
    Scope,
    types=some(STIX_TYPES),
    tlp_ceiling=st.sampled_from(TLP_ORDER[:5]),
    markings=some(("statement",)),
    originators=st.frozensets(st.sampled_from(PARTIES).map(PartyId)),
    subjects=some(("national:ashfall", "national:tidewater", "unsc:QDe.901")),
    regions=some(("IQ", "JO", "SY", "TR")),
    kinds=st.none() | some(KINDS),
    person_classes=some(PERSON_CLASSES),
    special_categories=some(SPECIAL_CATEGORIES),
    handling=some(HANDLING),
)


@contextmanager
def label_table(folder: Path) -> Iterator[Transaction]:
    store = SqliteStore.open(folder / "store.db")
    try:
        with store.write() as transaction:
            yield transaction
    finally:
        store.close()


def admits_by_sql(transaction: Transaction, scope: Scope, label: Label) -> bool:
    key = objects.intern_label(transaction, label)
    condition = read_sql(scope, recipient=RECIPIENT)
    row = transaction.row(
        f"SELECT 1 FROM label WHERE {condition.sql} AND label.id = ?",
        (*condition.parameters, key),
    )
    return row is not None


def admits(scope: Scope, label: Label) -> bool:
    return not isinstance(decide(scope, label, recipient=RECIPIENT), Withhold)


def likely(scope: Scope, label: Label) -> Label:
    """The label moved into the scope in most columns, so that about half of the pairs are admitted."""
    return dataclasses.replace(
        label,
        types=label.types & scope.types or scope.types,
        originators=label.originators & scope.originators or scope.originators,
        markings=label.markings & scope.markings,
        subjects=frozenset(group | frozenset(sorted(scope.subjects)[:1]) for group in label.subjects),
        regions=frozenset(group | frozenset(sorted(scope.regions)[:1]) for group in label.regions),
        kinds=label.kinds if scope.kinds is None else label.kinds & scope.kinds or scope.kinds,
        person_classes=label.person_classes & scope.person_classes,
        special_categories=label.special_categories & scope.special_categories,
        handling=label.handling & scope.handling,
        audience=None if label.audience is None else label.audience | {RECIPIENT},
    )


class DisagreeError(Exception):
    """Two readings of the clause table judge one pair differently."""


def compare_readings(folder: Path, *, examples: int) -> None:
    """Judge `examples` pairs by each reading; DisagreeError at the first pair that they judge differently."""
    with label_table(folder) as transaction:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(scopes, labels(), st.booleans())
        def compare(scope: Scope, label: Label, near: bool) -> None:
            shown = likely(scope, label) if near else label
            readings = {
                admits(scope, shown),
                all(finding.holds for finding in read_findings(scope, shown, recipient=RECIPIENT)),
                admits_by_sql(transaction, scope, shown),
            }
            if len(readings) > 1:
                raise DisagreeError

        compare()


def test_decision_explanation_and_sql_agree(tmp_path: Path) -> None:
    compare_readings(tmp_path, examples=500)


def _sql_mutant(old: str, new: str) -> Callable[[Callable[..., clauses.Condition]], Callable[..., clauses.Condition]]:
    def plant(original: Callable[..., clauses.Condition]) -> Callable[..., clauses.Condition]:
        def mutant(*arguments: object) -> clauses.Condition:
            condition = original(*arguments)
            assert old in condition.sql or "EXISTS (SELECT 1 FROM label_word w WHERE" in condition.sql
            return dataclasses.replace(condition, sql=condition.sql.replace(old, new))

        return mutant

    return plant


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("= 0)", "= 1)"),
        ("GROUP BY w.grp", "GROUP BY w.clause"),
        ("NOT EXISTS", "EXISTS"),
        ("MAX(CASE", "MIN(CASE"),
        ("AND w.clause = ? GROUP", "AND w.clause <> ? GROUP"),
    ],
)
def test_a_mutant_of_the_sql_reading_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    monkeypatch.setattr(clauses, "_condition", _sql_mutant(old, new)(clauses._condition))
    with pytest.raises(DisagreeError):
        compare_readings(tmp_path, examples=500)


@pytest.mark.parametrize("mutant", ["silence passes", "one word is enough", "any group is enough"])
def test_a_mutant_of_the_decision_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    mutants: dict[str, Callable[[clauses.Test, clauses.Groups, frozenset[str]], bool]] = {
        "silence passes": lambda test, found, allowed: all(not group.isdisjoint(allowed) for group in found),
        "one word is enough": lambda test, found, allowed: bool(frozenset().union(*found) & allowed),
        "any group is enough": lambda test, found, allowed: any(not group.isdisjoint(allowed) for group in found),
    }
    monkeypatch.setattr(clauses, "_holds", mutants[mutant])
    with pytest.raises(DisagreeError):
        compare_readings(tmp_path, examples=500)


@given(scopes, labels())
def test_a_label_that_stands_for_several_is_admitted_exactly_when_each_is(scope: Scope, label: Label) -> None:
    near = likely(scope, label)
    assert admits(scope, join(label, near)) == (admits(scope, label) and admits(scope, near))


@given(scopes, labels(), st.sampled_from(["types", "originators", "subjects", "regions", "kinds"]))
def test_saying_nothing_is_withheld(scope: Scope, label: Label, column: str) -> None:
    near = likely(scope, label)
    silent = dataclasses.replace(near, **{column: frozenset()})  # type: ignore[arg-type]
    assume(column != "kinds" or scope.kinds is not None)
    assert not admits(scope, silent)


@given(scopes, labels())
def test_no_terms_admit_what_is_unmarked_or_unresolved(scope: Scope, label: Label) -> None:
    near = likely(scope, label)
    assert not admits(scope, dataclasses.replace(near, tlp="unmarked"))
    assert not admits(scope, with_unresolved(near))


@given(scopes, labels(), st.data())
def test_a_narrower_scope_never_admits_more(scope: Scope, label: Label, data: st.DataObject) -> None:
    column = data.draw(st.sampled_from(["types", "markings", "originators", "subjects", "regions", "handling"]))
    words: frozenset[str] = getattr(scope, column)
    fewer = words - data.draw(st.frozensets(st.sampled_from(sorted(words) or [""])))
    narrower = dataclasses.replace(scope, **{column: fewer})  # type: ignore[arg-type]
    near = likely(scope, label)
    assert admits(scope, near) or not admits(narrower, near)


def test_every_clause_of_the_table_can_refuse_alone() -> None:
    """A clause that nothing can fail would be a decoration: each one refuses a label that all the others admit."""
    scope = Scope(
        types=frozenset({"report"}),
        tlp_ceiling="amber",
        markings=frozenset(),
        originators=frozenset({PartyId("aurelia")}),
        subjects=frozenset({"national:ashfall"}),
        regions=frozenset({"IQ"}),
        kinds=frozenset({"strategic"}),
        person_classes=frozenset(),
        special_categories=frozenset(),
        handling=frozenset(),
    )
    fits = Label(
        types=frozenset({"report"}),
        tlp="green",
        markings=frozenset(),
        originators=frozenset({PartyId("aurelia")}),
        subjects=frozenset({frozenset({"national:ashfall"})}),
        regions=frozenset({frozenset({"IQ"})}),
        kinds=frozenset({"strategic"}),
        person_classes=frozenset(),
        special_categories=frozenset(),
        handling=frozenset(),
        audience=None,
        granular=(),
    )
    off: dict[str, dict[str, object]] = {
        "types": {"types": frozenset({"tool"})},
        "tlp_ceiling": {"tlp": "red"},
        "markings": {"markings": frozenset({"statement"})},
        "originators": {"originators": frozenset({PartyId("meridia")})},
        "subjects": {"subjects": frozenset({frozenset({"national:tidewater"})})},
        "regions": {"regions": frozenset({frozenset({"TR"})})},
        "kinds": {"kinds": frozenset({"financing"})},
        "person_classes": {"person_classes": frozenset({"minor"})},
        "special_categories": {"special_categories": frozenset({min(SPECIAL_CATEGORIES)})},
        "handling": {"handling": frozenset({"H1"})},
        "audience": {"audience": frozenset({PartyId("aurelia")})},
    }
    assert off.keys() == {clause.name for clause in CLAUSES}
    assert admits(scope, fits)
    for name, change in off.items():
        decision = decide(scope, dataclasses.replace(fits, **change), recipient=RECIPIENT)  # type: ignore[arg-type]
        assert isinstance(decision, Withhold)
        assert decision.clause == name
        assert decision.reason
