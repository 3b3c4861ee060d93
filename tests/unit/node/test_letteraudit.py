# SPDX-License-Identifier: Apache-2.0
"""The audit finds letters that are not as the log says or that it does not have, and what left after a recall."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.ids import Digest, PartyId
from comity.letters.recall import Change
from comity.node import audit
from comity.node.audit import audit_folder
from comity.node.journal import VerifiedLog, verify_folder
from comity.node.recall import Recalling, recall
from comity.release.disclosure import Answer, EntryType, format_disclosure, format_listing
from comity.release.letters import format_letter_content
from comity.store import log
from tests.chains import introduce, pull_all, sign_onward
from tests.worlds import World, make_object, object_id

A, B = PartyId("aurelia"), PartyId("borealia")
X = object_id("report", "x")
VERSION = "2025-01-02T00:00:00.000000Z"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Aurelia recalled what it had given borealia, and borealia has acknowledged."""
    made = World(tmp_path)
    made.found(A, B)
    introduce(made, [(A, B)])
    sign_onward(made, A, B, listed=[])
    made.add(A, make_object("x"), make_object("y"))
    pull_all(made, A, B)
    by = made.actor(A, Role.LIAISON)
    done = recall(made.nodes[A], X, change=Change.WITHDRAW, versions=(), reason="wrong", by=by)
    assert isinstance(done, Recalling)
    made.deliver()
    yield made
    made.close()


ANOTHER = (
    "INSERT INTO letter SELECT 9, 'ab', sent, party, kind, agreement, terms, NULL, NULL, state, NULL, NULL, NULL,"
    " recorded_at, envelope FROM letter LIMIT 1"
)


RECALLED_TOO = (
    "INSERT INTO recalled SELECT 'report--y', version_at, version, digest, change, newer, reason, letter, recalled_at"
    " FROM recalled"
)


def problems(world: World, name: str = A) -> list[str]:
    return [finding.problem for finding in audit_folder(world.nodes[name].folder, now=world.now).findings]


def alter(world: World, *statements: str) -> None:
    with world.nodes[A].store.write() as transaction:
        for trigger in ("letter_kept", "letter_stays"):
            transaction.run(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            assert transaction.run(statement) > 0


def record(world: World, kind: EntryType, content: bytes, *, terms: Digest | None) -> None:
    with world.nodes[A].act() as act:
        act.record(kind, content, terms=terms, recipient=None, count=1)


def terms_of(world: World) -> Digest:
    row = world.nodes[A].store.row("SELECT terms FROM letter LIMIT 1")
    assert row is not None
    return Digest(row[0])


def test_what_was_done_as_it_should_be_has_no_findings(world: World) -> None:
    assert problems(world) == []
    assert problems(world, B) == []


def test_what_comes_in_while_the_audit_runs_is_no_finding(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter that is sent between the verification of the log and the reading of the store."""
    verify = verify_folder

    def verify_and_act(folder: Path, *, digest: Digest | None = None) -> VerifiedLog:
        verified = verify(folder, digest=digest)
        by = world.actor(A, Role.LIAISON)
        recall(world.nodes[A], object_id("report", "y"), change=Change.WITHDRAW, versions=(), reason="r", by=by)
        return verified

    monkeypatch.setattr(audit, "verify_folder", verify_and_act)
    assert problems(world) == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM letter WHERE sent = 1", "is in the log and not kept"),
        ("UPDATE letter SET kind = 'rumour' WHERE sent = 1", "kept as another one"),
        ("UPDATE letter SET party = 'meridia' WHERE sent = 0", "kept as another one"),
        ("UPDATE letter SET sent = 0 WHERE sent = 1", "kept as another one"),
        ("UPDATE letter SET recorded_at = recorded_at + 1 WHERE sent = 1", "kept as another one"),
        ("UPDATE letter SET answers = NULL WHERE sent = 0", "filed under something"),
        ("DELETE FROM letter_object", "filed under something"),
        ("UPDATE letter_object SET id = 'report--y'", "filed under something"),
        ("UPDATE letter_object SET version = '2025-01-03T00:00:00.000000Z'", "filed under something"),
        ("UPDATE letter_object SET digest = 'ab'", "filed under something"),
        ("UPDATE letter SET envelope = x'00' WHERE sent = 1", "not a signed document"),
        (
            "UPDATE letter SET envelope = (SELECT envelope FROM letter WHERE sent = 0) WHERE sent = 1",
            "under the name of another",
        ),
        (
            'UPDATE letter SET envelope = CAST(replace(envelope, \'"sig":"\', \'"sig":"AAAA\') AS BLOB)',
            "does not verify",
        ),
        (
            ANOTHER,
            "is in no entry of the log",
        ),
    ],
)
def test_a_letter_that_is_not_as_the_log_says_is_found(world: World, statement: str, found: str) -> None:
    alter(world, statement)
    said = problems(world)
    assert any(found in problem for problem in said), said


@pytest.mark.parametrize("name", [A, B])
@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM recalled", f"{X} was recalled by the log"),
        ("UPDATE recalled SET reason = 'of no use'", f"the recall of {X} is kept as another one"),
        ("UPDATE recalled SET change = 'correct'", f"the recall of {X} is kept as another one"),
        ("UPDATE recalled SET recalled_at = recalled_at + 1", f"the recall of {X} is kept as another one"),
        (
            "UPDATE recalled SET letter = CASE WHEN letter IS NULL THEN 'ab' END",
            f"the recall of {X} is kept as another one",
        ),
        ("UPDATE recalled SET version_at = 1", "under the time of another version"),
        (
            RECALLED_TOO,
            "report--y is kept as recalled in a version, and in no recall in the log",
        ),
    ],
)
def test_what_is_kept_as_recalled_is_what_the_log_says(world: World, name: str, statement: str, found: str) -> None:
    with world.nodes[name].store.write() as transaction:
        assert transaction.run(statement) > 0
    said = problems(world, name)
    assert any(found in problem for problem in said), said


def test_an_entry_of_a_letter_again_or_of_another_form_is_found(world: World) -> None:
    row = world.nodes[A].store.row("SELECT digest, agreement FROM letter WHERE sent = 1")
    assert row is not None
    again = format_letter_content(letter=Digest(row[0]), kind="recall", sent=True, party=B, agreement=row[1])
    record(world, EntryType.LETTER, again, terms=terms_of(world))
    record(world, EntryType.LETTER, b"{}", terms=terms_of(world))
    record(world, EntryType.RECALL, b"{}", terms=None)
    assert [problem.partition(" ")[0] for problem in problems(world)] == ["the"] * 3
    assert "is in the log twice" in problems(world)[0]


def test_a_disclosure_after_the_recall_is_found(world: World) -> None:
    """As a node would have it on record that had given it all the same; what was given before is none."""
    listing = log.Text(format_listing([(X, VERSION, Digest("ab" * 32), ())]))
    with world.nodes[A].act() as act:
        content = format_disclosure(
            answer=Answer.OBJECTS, channel="main", epoch=1, grounds=Digest("ab" * 32), listing=listing.digest
        )
        act.record(EntryType.DISCLOSURE, content, terms=terms_of(world), recipient=B, count=1, listing=listing)
    assert any("after it had been recalled" in problem for problem in problems(world))
