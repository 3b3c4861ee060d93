# SPDX-License-Identifier: Apache-2.0
"""ONE-MEANING: decision, explanation, SQL, bits and z3 say the same of every scope and label; planted mutants die.

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
from comity.release import bitset, clauses, proof
from comity.release.bitset import admits_bits, intern_words, read_label_bits, read_scope_bits
from comity.release.clauses import CLAUSES, read_findings, read_sql
from comity.release.decision import Withhold, decide, read_decision_sql
from comity.release.proof import load_z3, make_symbols, read_z3, state_label
from comity.stix.labels import Label, join, with_unresolved
from comity.stix.markings import TLP_ORDER, GranularMarking, tlp_rank
from comity.store import SqliteStore, Transaction, objects
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, SANITISE, SPECIAL_CATEGORIES
from tests.strategies import FRAMEWORKS, STIX_TYPES, granular_markings, labels

RECIPIENT = PartyId("borealia")
PARTIES = ("aurelia", "borealia", "meridia")
ONWARD = tuple(map(PartyId, ("aurelia", "cimbria", "meridia")))


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
    onward_to=st.frozensets(st.sampled_from(ONWARD)),
    excluded_frameworks=some(FRAMEWORKS),
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


def admits_by_bits(scope: Scope, label: Label, *others: Label) -> bool:
    """By the bits of `label` among those of other labels, so that not every word is its own."""
    bits = intern_words([*others, label])
    return admits_bits(read_scope_bits(scope, recipient=RECIPIENT, bits=bits), read_label_bits(label, bits))


def admits_by_z3(scope: Scope, label: Label) -> bool:
    """Whether the formula of the scope can be true when the symbols are this label."""
    symbols = make_symbols(gather_words([label], [scope]), groups=3)
    solver = load_z3().Solver()
    solver.add(state_label(symbols, label), read_z3(scope, symbols, recipient=RECIPIENT))
    return bool(solver.check() == load_z3().sat)


def gather_words(some_labels: list[Label], some_scopes: list[Scope]) -> dict[str, set[str]]:
    """Every word that one of them says or allows, by clause."""
    words: dict[str, set[str]] = {clause.name: set() for clause in CLAUSES}
    for clause in CLAUSES:
        words[clause.name].update(*(group for label in some_labels for group in clause.found(label)))
        words[clause.name].update(*(clause.allowed(scope, RECIPIENT) or () for scope in some_scopes))
    return words


def likely(scope: Scope, label: Label) -> Label:
    """The label moved into the scope in every column, as far as the scope admits anything at all."""
    return dataclasses.replace(
        label,
        types=label.types & scope.types or scope.types,
        tlp=min(label.tlp, scope.tlp_ceiling, key=tlp_rank),
        originators=label.originators & scope.originators or scope.originators,
        markings=label.markings & scope.markings,
        subjects=frozenset(group | frozenset(sorted(scope.subjects)[:1]) for group in label.subjects),
        regions=frozenset(group | frozenset(sorted(scope.regions)[:1]) for group in label.regions),
        kinds=label.kinds if scope.kinds is None else label.kinds & scope.kinds or scope.kinds,
        person_classes=label.person_classes & scope.person_classes,
        special_categories=label.special_categories & scope.special_categories,
        handling=label.handling & scope.handling,
        audience=None if label.audience is None else label.audience | {RECIPIENT} | scope.onward_to,
        excluded_frameworks=label.excluded_frameworks & scope.excluded_frameworks,
    )


COLUMNS = tuple(field.name for field in dataclasses.fields(Label) if field.name != "granular")
SOME_OF_THE_AUDIENCE = "some of the audience"
"""The recipient may have it, and of those whom the channel lists some may and some may not."""


class DisagreeError(Exception):
    """Two readings of the clause table judge one pair differently."""


def compare_readings(folder: Path, *, examples: int, by_z3: bool = False) -> None:
    """Judge `examples` pairs by each reading; DisagreeError at the first pair that they judge differently.

    The labels are moved into the scope, but for everything, or but for one column: what that one says decides.
    """
    with label_table(folder) as transaction:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(scopes, labels(), st.sampled_from(["nothing", "everything", *[SOME_OF_THE_AUDIENCE] * 4, *COLUMNS]))
        def compare(scope: Scope, label: Label, left: str) -> None:
            near = label if left == "everything" else likely(scope, label)
            shown = dataclasses.replace(near, **{left: getattr(label, left)}) if left in COLUMNS else near
            if left == SOME_OF_THE_AUDIENCE:
                shown = dataclasses.replace(near, audience=(label.audience or frozenset()) | {RECIPIENT})
            readings = {
                admits(scope, shown),
                all(finding.holds for finding in read_findings(scope, shown, recipient=RECIPIENT)),
                admits_by_sql(transaction, scope, shown),
                admits_by_bits(scope, shown, label),
                *([admits_by_z3(scope, shown)] if by_z3 else []),
            }
            if len(readings) > 1:
                raise DisagreeError

        compare()


def test_decision_explanation_sql_and_bits_agree(tmp_path: Path) -> None:
    compare_readings(tmp_path, examples=500)


@pytest.mark.slow
def test_z3_agrees_with_all_of_them(tmp_path: Path) -> None:
    compare_readings(tmp_path, examples=250, by_z3=True)


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
        ("< ?)", ">= ?)"),
        ("< ?)", "< min(?, 1))"),
        ("GROUP BY w.grp", "GROUP BY w.clause"),
        ("NOT EXISTS", "EXISTS"),
        ("SUM(CASE", "MAX(CASE"),
        ("SUM(CASE", "MIN(CASE"),
        ("AND w.clause = ? GROUP", "AND w.clause <> ? GROUP"),
    ],
)
def test_a_mutant_of_the_sql_reading_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    monkeypatch.setattr(clauses, "_condition", _sql_mutant(old, new)(clauses._condition))
    with pytest.raises(DisagreeError):
        compare_readings(tmp_path, examples=500)


MUTANTS: dict[str, Callable[[clauses.Test, clauses.Groups, frozenset[str]], bool]] = {
    "silence passes": lambda test, found, allowed: all(hits(test, group, allowed) for group in found),
    "one word is enough": lambda test, found, allowed: bool(frozenset().union(*found) & allowed),
    "any group is enough": lambda test, found, allowed: any(hits(test, group, allowed) for group in found),
    "one within is enough": lambda test, found, allowed: (
        test in clauses.SILENCE_PASSES if not found else all(not group.isdisjoint(allowed) for group in found)
    ),
    "all are needed": lambda test, found, allowed: (
        test in clauses.SILENCE_PASSES if not found else all(allowed <= group for group in found)
    ),
}


def hits(test: clauses.Test, group: frozenset[str], allowed: frozenset[str]) -> bool:
    return allowed <= group if test is clauses.Test.WITHIN else not group.isdisjoint(allowed)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_of_the_decision_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    monkeypatch.setattr(clauses, "_holds", MUTANTS[mutant])
    with pytest.raises(DisagreeError):
        compare_readings(tmp_path, examples=500)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda test, found, allowed: all(group & allowed != 0 for group in found),
        lambda test, found, allowed: bool(found) and all(group & allowed != 0 for group in found),
        lambda test, found, allowed: test in clauses.SILENCE_PASSES or any(group & allowed for group in found),
        lambda test, found, allowed: test in clauses.SILENCE_PASSES or all(group & ~allowed == 0 for group in found),
        lambda test, found, allowed: (
            all(group & allowed for group in found) if found else test in clauses.SILENCE_PASSES
        ),
    ],
)
def test_a_mutant_of_the_bits_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: Callable[[clauses.Test, tuple[int, ...], int], bool]
) -> None:
    monkeypatch.setattr(bitset, "_holds", mutant)
    with pytest.raises(DisagreeError):
        compare_readings(tmp_path, examples=500)


def test_bits_that_forget_what_only_the_scope_says_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listed party that no label names is not in any audience."""

    def forget(scope: Scope, *, recipient: PartyId, bits: bitset.Bits) -> bitset.ScopeBits:
        return tuple(
            None if allowed is None else sum(known.get(word, 0) for word in allowed)
            for clause, known in zip(CLAUSES, bits, strict=True)
            for allowed in [clause.allowed(scope, recipient)]
        )

    monkeypatch.setitem(globals(), "read_scope_bits", forget)
    with pytest.raises(DisagreeError):
        compare_readings(tmp_path, examples=500)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", ["silence passes", "one group is enough", "one within is enough"])
def test_a_mutant_of_z3_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    z3, holds = load_z3(), proof._holds

    def plant(test: clauses.Test, slots: tuple[proof.Slot, ...], allowed: frozenset[str]) -> object:
        match mutant:
            case "silence passes":
                return z3.Or(holds(test, slots, allowed), z3.Not(z3.Or([slot.present for slot in slots])))
            case "one group is enough":
                return z3.Or([holds(test, (slot,), allowed) for slot in slots])
            case _:
                return holds(clauses.Test.ONLY if test is clauses.Test.WITHIN else test, slots, allowed)

    monkeypatch.setattr(proof, "_holds", plant)
    with pytest.raises(DisagreeError):
        compare_readings(tmp_path, examples=250, by_z3=True)


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


@given(scopes, labels(), st.frozensets(st.sampled_from(ONWARD)), some(FRAMEWORKS))
def test_a_channel_that_lets_go_further_on_never_admits_more(
    scope: Scope, label: Label, others: frozenset[PartyId], dropped: frozenset[str]
) -> None:
    looser = dataclasses.replace(
        scope, onward_to=scope.onward_to | others, excluded_frameworks=scope.excluded_frameworks - dropped
    )
    for near in (likely(scope, label), likely(looser, label)):
        assert admits(scope, near) or not admits(looser, near)


NARROWED = ("types", "markings", "originators", "subjects", "regions", "kinds", "person_classes", "handling")


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(scopes, st.sampled_from([*NARROWED, "tlp_ceiling", "onward_to", "excluded_frameworks"]), st.data())
def test_z3_finds_no_label_that_a_narrower_scope_admits_and_the_wider_does_not(
    scope: Scope, column: str, data: st.DataObject
) -> None:
    words: frozenset[str] | None = getattr(scope, column) if column in NARROWED else None
    change: dict[str, object] = {}
    if column == "tlp_ceiling":
        change[column] = data.draw(st.sampled_from(TLP_ORDER[: TLP_ORDER.index(scope.tlp_ceiling) + 1]))
    elif column == "onward_to":  # who lists more parties is given less of what others restricted
        change[column] = scope.onward_to | data.draw(st.frozensets(st.sampled_from(ONWARD)))
    elif column == "excluded_frameworks":
        change[column] = scope.excluded_frameworks & data.draw(some(FRAMEWORKS))
    else:
        change[column] = data.draw(st.frozensets(st.sampled_from(sorted(words or {"arms"})), max_size=2))
        assume(words is None or change[column] <= words)  # type: ignore[operator]
    narrower = dataclasses.replace(scope, **change)  # type: ignore[arg-type]
    symbols = make_symbols(gather_words([], [scope, narrower]), groups=2)
    assert not finds_between(narrower, scope, symbols)
    assume(change[column] != getattr(scope, column))
    # The other way about it finds one, unless something else lets nothing through at all.
    assert finds_between(scope, narrower, symbols) == finds_between(scope, None, symbols)


def finds_between(admitting: Scope, refusing: Scope | None, symbols: proof.SymbolicLabel) -> bool:
    """Whether there is a label that the one scope admits and the other one, if any, does not."""
    z3 = load_z3()
    solver = z3.Solver()
    solver.add(read_z3(admitting, symbols, recipient=RECIPIENT))
    if refusing is not None:
        solver.add(z3.Not(read_z3(refusing, symbols, recipient=RECIPIENT)))
    return bool(solver.check() == z3.sat)


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
        onward_to=frozenset({PartyId("meridia")}),
        excluded_frameworks=frozenset({"coalition-dusk"}),
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
        audience=frozenset({RECIPIENT, PartyId("meridia")}),
        excluded_frameworks=frozenset({"coalition-dusk"}),
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
        "audience": {"audience": frozenset({RECIPIENT})},
        "frameworks": {"excluded_frameworks": frozenset({"coalition-dawn"})},
    }
    assert off.keys() == {clause.name for clause in CLAUSES}
    assert admits(scope, fits)
    for name, change in off.items():
        decision = decide(scope, dataclasses.replace(fits, **change), recipient=RECIPIENT)  # type: ignore[arg-type]
        assert isinstance(decision, Withhold)
        assert decision.clause == name
        assert decision.reason


WIDE = Scope(
    types=frozenset({"report"}),
    tlp_ceiling="amber",
    markings=frozenset(),
    originators=frozenset({PartyId("aurelia")}),
    subjects=frozenset({"national:ashfall"}),
    regions=frozenset({"IQ"}),
    kinds=None,
    person_classes=frozenset(),
    special_categories=frozenset(),
    handling=frozenset(),
    onward_to=frozenset(),
    excluded_frameworks=frozenset(),
)
ADMITTED = Label(
    types=frozenset({"report"}),
    tlp="clear",
    markings=frozenset(),
    originators=frozenset({PartyId("aurelia")}),
    subjects=frozenset({frozenset({"national:ashfall"})}),
    regions=frozenset({frozenset({"IQ"})}),
    kinds=frozenset({"unspecified"}),
    person_classes=frozenset(),
    special_categories=frozenset(),
    handling=frozenset(),
    audience=None,
    excluded_frameworks=frozenset(),
    granular=(),
)


def test_nothing_is_proposed_that_is_withheld_for_what_is_marked_in_it(tmp_path: Path) -> None:
    """By a gap in the times of release a recipient could count it."""
    seen = set[tuple[str, bool]]()
    with label_table(tmp_path) as transaction:

        @settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
        @given(st.sampled_from(sorted(SANITISE)), st.sampled_from(TLP_ORDER[:5]), granular_markings(), st.booleans())
        def check(sanitise: str, ceiling: str, granular: tuple[GranularMarking, ...], other: bool) -> None:
            scope = dataclasses.replace(WIDE, sanitise=sanitise, tlp_ceiling=ceiling)
            label = dataclasses.replace(ADMITTED, granular=granular, types=frozenset({"note" if other else "report"}))
            key = objects.intern_label(transaction, label)
            found = read_decision_sql(scope, recipient=RECIPIENT)
            row = transaction.row(f"SELECT 1 FROM label WHERE {found.sql} AND label.id = ?", (*found.parameters, key))
            assert (row is not None) is admits(scope, label)
            seen.add((sanitise, row is not None))

        check()
    assert len(seen) == 2 * len(SANITISE)
