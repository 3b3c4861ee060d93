# SPDX-License-Identifier: Apache-2.0
"""An article that was taken in is deleted, by one person and on record: nothing of it is left, what was made stays."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import count as count_from
from pathlib import Path

import apsw
import pytest

from comity.agreement.people import Approval, Role, make_matter
from comity.agreement.recognition import Refusal
from comity.canonical import sha256_digest
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import Instant
from comity.node import articledeletion, articles, retention
from comity.node.articledeletion import DeletedArticle, delete_article
from comity.node.articles import show_article
from comity.node.node import Node
from comity.node.people import list_matters
from comity.node.reports import make_report
from comity.node.soundness import examine_folder
from comity.node.steps import Steps, advance, finish
from comity.node.work import list_work
from comity.store import Transaction, people, purges
from comity.store.articles import StoredArticle
from comity.store.sqlite import SqliteStore
from comity.store.waivers import find_contents
from tests.unit.node.test_articles import OTHER, SAID, A, add, confirm, correct, count, findings, make
from tests.worlds import World

TABLES = ("article", "article_draft", "article_decision")
MARKED = """Norrhaven talks

March 4, 2031

Russian Foreign Minister Zebulon Quarkwright denied reports that Germany had paid the rebels in Lisbon.

""" + "\n\n".join(f"On day {number} Zebulon Quarkwright said that Germany would pay." for number in range(400))
WORDS = (b"Quarkwright", b"would pay", b"Norrhaven")


def delete(world: World, article: str = "1", *, role: Role = Role.LEGAL, reason: str = "by mistake") -> DeletedArticle:
    world.tick()
    done = finish(delete_article(world.nodes[A], article, reason=reason, by=world.actor(A, role)))
    assert isinstance(done, DeletedArticle), done
    return done


def register(world: World, role: Role) -> None:
    if (A, role) not in world.badges:
        world.badges[A, role] = world.register(A, f"aurelia-{role}", role)


def counts(world: World) -> list[int]:
    return [count(world, table) for table in TABLES]


def read_files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def edit(world: World, *changes: str) -> None:
    world.nodes[A].store.close()
    with closing(apsw.Connection(str(world.folder / A / "store.db"))) as connection:
        for change in changes:
            connection.execute(change)


def copy_tables(world: World) -> Callable[[], None]:
    """What puts back what is in the tables of articles now."""
    with world.nodes[A].store.read() as transaction:
        rows = {table: transaction.rows(f"SELECT * FROM {table}") for table in TABLES}

    def put_back() -> None:
        world.nodes[A].store.close()
        with closing(apsw.Connection(str(world.folder / A / "store.db"))) as connection:
            for table, kept in rows.items():
                for row in kept:
                    connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    return put_back


# --- what goes --------------------------------------------------------------------------------------------------------


def test_nothing_of_the_article_is_left_in_any_file_of_the_node(world: World) -> None:
    add(world, MARKED)
    kept = add(world, OTHER)
    confirm(world, "person/")
    for words in WORDS:
        assert words in read_files(world.nodes[A].folder)
    done = delete(world)
    assert (done.gone, done.counts.confirmed, done.entries) == (True, 1, ())
    left = read_files(world.nodes[A].folder)
    assert not [words for words in WORDS if words in left]
    assert [item.article.digest for item in (show_article(world.nodes[A], "2")[0],)] == [kept.article.digest]
    assert findings(world) == ()
    assert examine_folder(world.folder / A).is_sound


def test_it_is_there_for_nobody_any_more(world: World) -> None:
    digest = add(world).article.digest
    assert any(item.kind.value == "article-to-review" for item in list_work(world.nodes[A]))
    delete(world)
    assert counts(world) == [0, 0, 0]
    assert articles.list_articles(world.nodes[A], last=10) == []
    assert not any(item.kind.value == "article-to-review" for item in list_work(world.nodes[A]))
    node, by = world.nodes[A], world.actor(A)
    begun = "no article is kept that begins with"
    for name, missing in (("1", "no article has the number 1;"), (digest, begun), (digest[:16], begun)):
        for act in (
            lambda name=name: show_article(node, name),
            lambda name=name: articles.confirm(node, name, [1], by=by),
            lambda name=name: articles.strike(node, name, [1], by=by),
            lambda name=name: articles.correct(node, name, 1, "x", by=by),
            lambda name=name: make_report(node, name, SAID, by=by),
            lambda name=name: finish(delete_article(node, name, reason="again", by=by)),
        ):
            with pytest.raises(NotFoundError, match=missing):
                act()


def test_its_number_names_no_other_one(world: World) -> None:
    """Neither one that is added later, nor one whose digest begins so."""
    texts = (f"{OTHER} {number}" for number in count_from(1))
    other = next(text for text in texts if sha256_digest(text.encode()).startswith("1"))
    add(world)
    assert add(world, other).article.number == 2
    delete(world)
    delete(world, "2")
    assert add(world, other).article.number == 3
    for name in ("1", "2"):
        with pytest.raises(NotFoundError):
            show_article(world.nodes[A], name)


def test_the_same_file_is_another_article_afterwards(world: World) -> None:
    first = add(world)
    confirm(world, "person/")
    made = make(world)
    deleted = delete(world)
    assert deleted.article.report == made.report
    world.tick()
    again = add(world)
    assert (again.already, again.article.number, again.article.digest) == (False, 2, first.article.digest)
    assert (again.counts.open, again.counts.decisions, again.article.report) == (8, 0, None)
    assert findings(world) == ()
    world.tick()
    confirm(world, "person/", article="2")
    assert make(world, article="2").report == made.report
    assert findings(world) == ()
    delete(world, "2")
    assert findings(world) == ()


def test_what_was_made_of_it_stays(world: World) -> None:
    add(world)
    confirm(world, "person/", "place/DE")
    make(world)
    before = count(world, "object")
    delete(world)
    assert count(world, "object") == before > 2


def test_an_approval_that_is_about_it_goes_and_no_other(world: World) -> None:
    digest = add(world).article.digest
    node, by = world.nodes[A], world.actor(A)
    for article in (digest, "0" * 64):
        with node.act() as act:
            matter = make_matter("keep-subject", agreement=None, facts={"article": article, "value": "Quarkwright"})
            approval = Approval(person=by.person.id, role=Role.LEGAL, reason=None, at=act.now)
            people.put_approval(act.transaction, matter, approval, expires_at=Instant(act.now + 10**12))
    delete(world)
    assert [item.facts for item in list_matters(node)] == [{"article": "0" * 64, "value": "Quarkwright"}]


# --- who, and on record -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.ANALYST, Role.LIAISON, Role.LEGAL])
def test_it_is_of_one_person_of_the_desk_and_on_record_without_content(world: World, role: Role) -> None:
    digest = add(world).article.digest
    register(world, role)
    done = delete(world, role=role, reason="Order 12")
    assert [item.role for item in done.approvals] == [role]
    with world.nodes[A].store.read() as transaction:
        contents = [bytes(row[0]) for row in transaction.rows("SELECT content FROM log_opening ORDER BY position")]
    said = json.loads(contents[-1])
    assert (said["change"], said["reason"]) == ("delete-article", "Order 12")
    assert said["about"] == {"article": digest, "number": 1, "drafts": 8, "report": None}
    assert [item["role"] for item in said["approvals"]] == [role.value]


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_who_has_no_role_for_it_deletes_nothing(world: World, role: Role) -> None:
    add(world)
    register(world, role)
    before = counts(world), count(world, "log_entry")
    assert isinstance(finish(delete_article(world.nodes[A], "1", reason="r", by=world.actor(A, role))), Refusal)
    assert (counts(world), count(world, "log_entry")) == before


def test_one_that_is_not_named_is_not_deleted(world: World) -> None:
    """A variable of a shell that is not set, say, where there is one article alone."""
    add(world)
    with pytest.raises(NotFoundError):
        finish(delete_article(world.nodes[A], "", reason="r", by=world.actor(A)))
    assert counts(world)[0] == 1


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2_001, "\ud800"])
def test_a_reason_has_to_be_given(world: World, reason: str) -> None:
    add(world)
    with pytest.raises(MalformedRequest):
        finish(delete_article(world.nodes[A], "1", reason=reason, by=world.actor(A)))
    assert counts(world)[0] == 1


def test_what_was_decided_since_it_was_seen_is_not_deleted_with_it(world: World) -> None:
    add(world)
    confirm(world, "person/")
    for seen in ({"seen": 0}, {"seen": 1, "made": "2031-01-01T00:00:00Z"}):
        with pytest.raises(ConflictError, match="since you looked"):
            finish(delete_article(world.nodes[A], "1", reason="r", by=world.actor(A), **seen))
    make(world)
    with pytest.raises(ConflictError, match="since you looked"):
        finish(delete_article(world.nodes[A], "1", reason="r", by=world.actor(A), made=""))
    assert counts(world)[0] == 1


def test_the_entries_that_hold_words_of_people_are_named(world: World) -> None:
    """A correction or a reason can name a person: it stands in the log, which keeps it until it is purged."""
    add(world)
    add(world, OTHER)
    confirm(world, "person/")
    correct(world, "person/", "Zebulon Quarkwright")
    articles.strike(world.nodes[A], "1", [1], reason="not Quarkwright", by=world.actor(A))
    articles.strike(world.nodes[A], "2", [1], reason="another article", by=world.actor(A))
    by = replace(world.actor(A), why="he is not Quarkwright")
    articles.confirm(world.nodes[A], "1", [1], by=by)
    make(world, replace(SAID, title="Quarkwright talks"))
    with world.nodes[A].store.read() as transaction:
        rows = transaction.rows("SELECT position FROM log_opening WHERE instr(content, 'Quarkwright') > 0")
    named = tuple(row[0] for row in rows)
    assert len(named) == 4
    assert delete(world).entries == named


# --- the log is looked through in steps -------------------------------------------------------------------------------


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Which entries are looked at, three at once."""
    looked, look = list[tuple[int, int]](), find_contents

    def note(transaction: Transaction, text: bytes, *, start: int, stop: int) -> list[tuple[int, bytes]]:
        looked.append((start, stop))
        return look(transaction, text, start=start, stop=stop)

    monkeypatch.setattr(articledeletion, "_ENTRIES_AT_ONCE", 3)
    monkeypatch.setattr(articledeletion, "find_contents", note)
    return looked


def strike(world: World, number: int, *, article: str = "1") -> int:
    """The entry with the reason why that draft was struck."""
    done = articles.strike(world.nodes[A], article, [number], reason="not Quarkwright", by=world.actor(A))
    assert isinstance(done, articles.Decided)
    return count(world, "log_entry") - 1


def test_every_entry_is_looked_at_once_and_in_the_act_those_that_came_since(
    world: World, ranges: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(world)
    words = [strike(world, number) for number in (1, 2, 3, 4)]
    search = articledeletion._search_log

    def be_late(node: Node, article: StoredArticle) -> Steps[tuple[list[int], int]]:
        found = yield from search(node, article)
        words.append(strike(world, 6))  # another process
        return found

    monkeypatch.setattr(articledeletion, "_search_log", be_late)
    steps = delete_article(world.nodes[A], "1", reason="r", by=world.actor(A))
    assert advance(steps) is None
    words.append(strike(world, 5))  # others have their turn between two steps
    done = finish(steps)
    assert isinstance(done, DeletedArticle)
    assert done.entries == tuple(sorted(words))
    first, *between, last = ranges
    assert (first, last) == ((0, 3), (words[-1], words[-1] + 1))
    assert len(between) >= 2
    assert [stop for _, stop in ranges[:-1]] == [start for start, _ in ranges[1:]]
    assert all(stop - start <= 3 for start, stop in ranges)


def test_one_that_is_deleted_meanwhile_is_not_deleted_again(world: World, ranges: list[tuple[int, int]]) -> None:
    digest = add(world).article.digest
    for number in (1, 2, 3, 4):
        strike(world, number)
    steps = delete_article(world.nodes[A], digest, reason="r", by=world.actor(A))
    assert advance(steps) is None
    delete(world)
    add(world)  # the same bytes, which are another article
    with pytest.raises(NotFoundError):
        finish(steps)
    assert counts(world)[0] == 1
    assert ranges


def test_what_is_decided_meanwhile_is_not_deleted_with_it(world: World, ranges: list[tuple[int, int]]) -> None:
    add(world)
    for number in (1, 2, 3, 4):
        strike(world, number)
    steps = delete_article(world.nodes[A], "1", reason="r", by=world.actor(A), seen=4)
    assert advance(steps) is None
    strike(world, 5)
    with pytest.raises(ConflictError, match="since you looked"):
        finish(steps)
    assert counts(world)[0] == 1
    assert ranges


def test_an_entry_that_is_purged_meanwhile_holds_no_words(world: World, ranges: list[tuple[int, int]]) -> None:
    add(world)
    words = [strike(world, number) for number in (1, 2, 3, 4)]
    steps = delete_article(world.nodes[A], "1", reason="r", by=world.actor(A))
    assert advance(steps) is None
    assert ranges == [(0, words[0] + 1)]
    with world.nodes[A].act() as act:
        purges.delete_openings(act.transaction, words[:1])
    done = finish(steps)
    assert isinstance(done, DeletedArticle)
    assert done.entries == tuple(words[1:])


# --- the audit --------------------------------------------------------------------------------------------------------


def test_one_that_was_put_back_by_hand_is_found(world: World) -> None:
    add(world)
    confirm(world, "person/")
    make(world)
    put_back = copy_tables(world)
    delete(world)
    assert findings(world) == ()
    put_back()
    found = findings(world)
    for problem in (
        "is on record as deleted, and is kept",
        "decided to confirm, and no act",
        "a report of the article",
    ):
        assert any(problem in item for item in found), found


def test_what_was_decided_before_the_deletion_counts_for_nothing_that_came_after(world: World) -> None:
    add(world)
    confirm(world, "person/")
    with world.nodes[A].store.read() as transaction:
        ((number, at),) = transaction.rows("SELECT number, decided_at FROM article_decision")
    delete(world)
    world.tick()
    add(world)
    assert findings(world) == ()
    edit(world, f"INSERT INTO article_decision VALUES (9, 2, {number}, 'confirm', NULL, NULL, NULL, {at}, 'nobody')")
    assert any("no act of people in the log says so" in item for item in findings(world))


@pytest.mark.parametrize("made", [False, True])
def test_one_that_is_gone_and_no_entry_says_so_is_found(world: World, *, made: bool) -> None:
    add(world)
    confirm(world, "person/")
    if made:
        make(world)
    edit(world, *(f"DELETE FROM {table}" for table in TABLES))
    (found,) = findings(world)
    assert "it is not kept, and no entry says that it was deleted" in found


def test_one_that_nobody_decided_on_is_missed_too(world: World) -> None:
    for number in range(6):
        add(world, f"{OTHER} {number}")
    delete(world, "1")
    assert findings(world) == ()
    edit(world, "DELETE FROM article WHERE number IN (2, 4, 5)")
    assert findings(world) == (
        "article 2 is not kept, and no entry says that it was deleted",
        "articles 4 to 5 are not kept, and no entry says that they were deleted",
    )


def test_what_is_left_of_one_that_is_gone_is_found(world: World) -> None:
    add(world)
    confirm(world, "person/")
    edit(world, "DELETE FROM article")
    found = {item.where.partition(" ")[0] for item in examine_folder(world.folder / A).findings}
    assert found >= {"article_draft", "article_decision"}


# --- cut short --------------------------------------------------------------------------------------------------------


def test_what_a_reader_keeps_from_being_cleared_is_cleared_by_the_next_run(world: World) -> None:
    add(world, MARKED)
    folder = world.nodes[A].folder
    reader = SqliteStore.inspect(folder / "store.db")
    with reader.read() as transaction:
        transaction.rows("SELECT * FROM article")
        assert not delete(world).gone
        assert WORDS[0] in read_files(folder)
    reader.close()
    assert retention.delete_due(world.nodes[A]).gone
    assert WORDS[0] not in read_files(folder)


def test_a_crash_after_the_commit_leaves_the_rest_to_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(world, MARKED)

    def die(_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(articledeletion, "finish_deletions", die)
    with pytest.raises(KeyboardInterrupt):
        delete(world)
    world.nodes[A].close()
    node = world.open(A)
    assert any("retention run" in item.do for item in examine_folder(node.folder).findings)
    assert retention.delete_due(node).gone
    assert WORDS[0] not in read_files(node.folder)
