# SPDX-License-Identifier: Apache-2.0
"""Drafts of articles: kept, decided on by people, and objects only when a person has made the report of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import apsw
import pytest

from comity.agreement.people import Role
from comity.agreement.recognition import Refusal
from comity.articles import read_rules
from comity.errors import ConflictError, MalformedArticle, MalformedRequest, NotFoundError, StoreFull
from comity.ids import Instant, PartyId, parse_instant
from comity.intake.article.mentions import Kind
from comity.intake.article.review import State
from comity.intake.formats import Format
from comity.intake.making import Maker
from comity.node import articles
from comity.node.articles import AddedArticle, ArticlePlan, Decided, ReviewedArticle, add_article, show_article
from comity.node.audit import audit_folder
from comity.node.explain import explain, show_object
from comity.node.files import Bytes
from comity.node.ingest import add_objects
from comity.node.intake import Plan, take_file
from comity.node.necessity import decide_necessity, list_undecided
from comity.node.people import Waiting
from comity.node.reports import Made, ReportPlan, make_report
from comity.node.work import list_work
from comity.stix.labels import UNDECIDED, make_tags
from comity.store import articles as kept
from tests.chains import introduce, pull_all
from tests.worlds import World, make_object, object_id

A, B = PartyId("aurelia"), PartyId("borealia")
TYPES = ("report", "location", "note", "opinion", "identity", "url", "file", "marking-definition")
TEXT = """Lucent and Norrhaven talk

March 4, 2031

Russian Foreign Minister Ivan Petrov denied reports that Germany had paid the rebels in Lisbon.

Halcyon said that it had seen hxxp://a[.]example/x and the hash
3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea.

Original url:
https://wire.example/a
"""
OTHER = "Rain again\n\nMarch 5, 2031\n\nGermany said that it would rain in Lisbon."
SPECIAL = 'category = "religious_or_philosophical_beliefs"\nnecessity = "to protect"\napprover = "the body"\n'
SAID = ReportPlan(tlp="green", subjects=["national:ashfall"], regions=["IQ"], strikes_open=True)


def add(world: World, text: str = TEXT, plan: ArticlePlan | None = None) -> AddedArticle:
    return add_article(world.nodes[A], text.encode(), "talks.txt", plan or ArticlePlan())


def find(world: World, article: str = "1") -> ReviewedArticle:
    return show_article(world.nodes[A], article)[0]


def number(world: World, start: str, article: str = "1") -> int:
    """The number of the one draft whose key begins so."""
    (found,) = [each.item.number for each in find(world, article).drafts if each.item.draft.key.startswith(start)]
    return found


def numbers(world: World, *starts: str) -> list[int]:
    return [number(world, start) for start in starts]


def confirm(world: World, *starts: str, role: Role = Role.LEGAL, article: str = "1") -> Decided:
    wanted = [number(world, start, article) for start in starts]
    done = articles.confirm(world.nodes[A], article, wanted, by=world.actor(A, role))
    assert isinstance(done, Decided), done
    return done


def make(world: World, plan: ReportPlan = SAID, article: str = "1") -> Made:
    done = make_report(world.nodes[A], article, plan, by=world.actor(A))
    assert isinstance(done, Made), done
    return done


def count(world: World, what: str) -> int:
    row = world.nodes[A].store.read
    with row() as transaction:
        found = transaction.row(f"SELECT COUNT(*) FROM {what}")
    return int(found[0]) if found else 0


def entries(world: World) -> int:
    return count(world, "log_entry")


def findings(world: World) -> tuple[str, ...]:
    return tuple(item.problem for item in audit_folder(world.folder / A, now=world.now).findings)


def read_object(world: World, name: str) -> dict[str, Any]:
    value = json.loads(show_object(world.nodes[A], name).data)
    assert isinstance(value, dict)
    return value


# --- kept, and nothing of it an object --------------------------------------------------------------------------------


def test_an_article_is_told_in_the_encoding_that_was_said(world: World) -> None:
    data = TEXT.replace("\n", " \u00e9\n", 1).encode("iso-8859-1")
    added = add_article(world.nodes[A], data, "article.txt", ArticlePlan(encoding="iso-8859-1"))
    assert (added.article.format, added.already) == ("plain text", False)
    with pytest.raises(MalformedArticle, match=r"'odd' is said and not known here"):
        add_article(world.nodes[A], data + b"\n", "article.txt", ArticlePlan(encoding="odd"))


def test_an_article_is_kept_as_received_with_its_drafts_and_none_is_an_object(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    added = add(world)
    assert (added.already, added.counts.open, added.article.bytes) == (False, 8, len(TEXT.encode()))
    found = find(world)
    for each in found.drafts:
        item = each.item
        assert each.state is State.OPEN
        assert found.text[item.start : item.end]
        assert item.rule
    named = {each.item.draft.key: found.text[each.item.start : each.item.end] for each in found.drafts}
    assert named["person/Ivan Petrov/Foreign Minister/RU"] == "Ivan Petrov"
    assert named["observable/url/http://a.example/x"] == "hxxp://a[.]example/x"
    assert named["claim/42/denies"].startswith("Russian Foreign Minister")
    with world.nodes[A].store.read() as transaction:
        assert transaction.rows("SELECT received FROM article") == [(TEXT.encode(),)]
    assert count(world, "object") == 0
    assert world.read(B) == {}


def test_the_same_bytes_twice_change_nothing_whatever_is_said_of_them(world: World) -> None:
    first = add(world)
    confirm(world, "person/")
    before = count(world, "article"), count(world, "article_draft"), count(world, "article_decision")
    again = add(world, plan=ArticlePlan(publisher="Somebody else", published="2030-01-01"))
    assert (again.already, again.article, again.counts.confirmed) == (True, first.article, 1)
    assert (count(world, "article"), count(world, "article_draft"), count(world, "article_decision")) == before


def test_two_who_add_the_same_at_once_keep_one(world: World) -> None:
    steps = [
        articles.add_article_in_steps(world.nodes[A], TEXT.encode(), name, ArticlePlan()) for name in ("one", "other")
    ]
    done = list[AddedArticle]()
    while len(done) < 2:
        for each in list(steps):
            try:
                next(each)
            except StopIteration as stop:
                steps.remove(each)
                done.append(stop.value)
    assert sorted(item.already for item in done) == [False, True]
    assert count(world, "article") == 1


@pytest.mark.parametrize("text", ["Somebody said something in Port Marrow.", TEXT])
def test_others_have_a_turn_before_it_is_kept_however_fast_it_was_read(world: World, text: str) -> None:
    add(world, "Somebody else said something.")  # what reads is ready from here on
    steps = articles.add_article_in_steps(world.nodes[A], text.encode(), "one", ArticlePlan())
    assert next(steps, "kept") is None
    steps.close()
    assert count(world, "article") == 1
    assert not add(world, text).already


def test_what_is_said_of_the_source_goes_before_what_is_read(world: World) -> None:
    at = parse_instant("2025-01-02T03:04:05Z")
    plan = ArticlePlan(url="https://other.example/b", publisher="Wire", published="2031-03-05", retrieved_at=at)
    stored = add(world, plan=plan).article
    assert (stored.head["url"], stored.head["publisher"], stored.head["published"], stored.retrieved_at) == (
        "https://other.example/b",
        "Wire",
        "2031-03-05",
        at,
    )


@pytest.mark.parametrize(
    "plan",
    [
        ArticlePlan(url="javascript:alert(1)"),
        ArticlePlan(url="https://x.example/a b"),
        ArticlePlan(published="yesterday"),
        ArticlePlan(publisher="x" * 300),
        ArticlePlan(retrieved_at=Instant(2**52)),
        ArticlePlan(known=b"[[known"),
    ],
)
def test_what_is_said_wrong_keeps_nothing(world: World, plan: ArticlePlan) -> None:
    with pytest.raises(MalformedRequest):
        add(world, plan=plan)
    assert count(world, "article") == 0


def test_what_is_no_article_keeps_nothing(world: World) -> None:
    with pytest.raises(MalformedArticle):
        add(world, " \n ", ArticlePlan(form=Format.TEXT))
    with pytest.raises(MalformedArticle, match="csv is no format"):
        add(world, plan=ArticlePlan(form=Format.CSV))
    assert count(world, "article") == 0


def test_an_article_is_taken_in_one_way(world: World) -> None:
    with pytest.raises(MalformedRequest, match="comity article add"):
        take_file(world.nodes[A], Bytes("talks.txt", TEXT.encode()), Plan())


def test_what_was_received_and_decided_is_not_rewritten(world: World) -> None:
    add(world)
    confirm(world, "person/")
    for change in ("UPDATE article SET text = 'x'", "UPDATE article_decision SET step = 'strike'"):
        with pytest.raises(Exception, match="is kept"), world.nodes[A].act() as act:
            act.transaction.run(change)


# --- people decide ----------------------------------------------------------------------------------------------------


def test_a_decision_is_of_a_person_on_record_and_can_be_changed(world: World) -> None:
    add(world)
    before = entries(world)
    done = confirm(world, "person/", "place/DE", role=Role.LIAISON)
    assert (done.counts.confirmed, done.counts.open) == (2, 6)
    world.tick()
    struck = articles.strike(
        world.nodes[A], "1", numbers(world, "person/"), reason="another Petrov", by=world.actor(A, Role.LEGAL)
    )
    assert isinstance(struck, Decided)
    person = find(world).drafts[number(world, "person/") - 1]
    assert person.state is State.STRUCK
    assert person.last is not None
    assert (person.last.by, person.last.reason, person.last.at) == (
        "aurelia-legal (legal)",
        "another Petrov",
        world.now,
    )
    assert entries(world) == before + 2
    with world.nodes[A].store.read() as transaction:
        content = transaction.rows("SELECT content FROM log_opening ORDER BY position DESC LIMIT 1")[0][0]
    assert json.loads(content)["about"]["drafts"] == str(number(world, "person/"))
    assert findings(world) == ()


def test_to_decide_what_is_decided_records_nothing(world: World) -> None:
    add(world)
    confirm(world, "person/")
    before = entries(world)
    assert confirm(world, "person/").numbers == ()
    assert entries(world) == before


def test_all_of_a_kind_leaves_what_is_struck(world: World) -> None:
    add(world)
    articles.strike(world.nodes[A], "1", numbers(world, "observable/url"), by=world.actor(A))
    done = articles.confirm(world.nodes[A], "1", (), all_of=Kind.OBSERVABLE, by=world.actor(A))
    assert isinstance(done, Decided)
    assert done.numbers == tuple(numbers(world, "observable/sha256"))


def test_all_of_a_kind_are_those_that_were_seen(world: World) -> None:
    add(world)
    by = world.actor(A)
    articles.correct(world.nodes[A], "1", numbers(world, "observable/url")[0], "https://other.example/", by=by)
    with pytest.raises(ConflictError, match="since you looked"):
        articles.confirm(world.nodes[A], "1", (), all_of=Kind.OBSERVABLE, by=by, seen=0)
    done = articles.confirm(world.nodes[A], "1", (), all_of=Kind.OBSERVABLE, by=by, seen=1)
    assert isinstance(done, Decided)


def test_a_number_that_no_article_has_is_not_the_beginning_of_a_digest(world: World) -> None:
    texts = (f"{TEXT}\n{count}" for count in range(1000))
    add(world, next(text for text in texts if sha256(text.encode()).hexdigest().startswith("9")))
    assert find(world, find(world).article.digest) == find(world)
    with pytest.raises(NotFoundError, match="no article"):
        find(world, "9")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_who_has_no_role_for_it_decides_and_makes_nothing(world: World, role: Role) -> None:
    add(world)
    world.badges[A, role] = world.register(A, f"aurelia-{role}", role)
    by, before = world.actor(A, role), entries(world)
    done = [
        articles.confirm(world.nodes[A], "1", [1], by=by),
        articles.strike(world.nodes[A], "1", [1], by=by),
        articles.correct(world.nodes[A], "1", number(world, "person/"), "X", by=by),
        make_report(world.nodes[A], "1", SAID, by=by),
    ]
    assert all(isinstance(each, Refusal) for each in done), done
    assert {each.state for each in find(world).drafts} == {State.OPEN}
    assert (entries(world), count(world, "object")) == (before, 0)


def test_numbers_that_are_none_are_refused(world: World) -> None:
    add(world)
    by = world.actor(A)
    with pytest.raises(NotFoundError, match="has 8 drafts, and none is number 9"):
        articles.confirm(world.nodes[A], "1", [1, 9], by=by)
    with pytest.raises(NotFoundError, match="no article"):
        articles.confirm(world.nodes[A], "7", [1], by=by)
    with pytest.raises(MalformedRequest, match="or all of one kind"):
        articles.confirm(world.nodes[A], "1", [], by=by)
    assert count(world, "article_decision") == 0


def correct(world: World, start: str, value: str, name: str | None = None) -> Decided:
    done = articles.correct(world.nodes[A], "1", number(world, start), value, name=name, by=world.actor(A))
    assert isinstance(done, Decided), done
    return done


def test_corrections_are_made(world: World) -> None:
    add(world)
    correct(world, "person/", "Iwan Petrow")
    correct(world, "statement/", "refuses")
    correct(world, "opinion/", "strongly-disagree")
    correct(world, "observable/url", "http://a.example/y")
    confirm(world, "person/", "statement/", "claim/", "opinion/", "place/DE", "observable/url")
    made = [read_object(world, name) for name in make(world).added]
    by_type = {item["type"]: item for item in made}
    assert by_type["identity"]["name"] == "Iwan Petrow"
    assert by_type["opinion"]["opinion"] == "strongly-disagree"
    assert by_type["url"]["value"] == "http://a.example/y"
    (said,) = [item["abstract"] for item in made if item["type"] == "note" and "authors" in item]
    assert said == f"Iwan Petrow: {read_rules().stances['refuses']}"
    assert {tuple(item["authors"]) for item in made if "authors" in item} == {("Iwan Petrow",)}
    assert findings(world) == ()


def test_another_speaker_is_whom_the_statement_is_about(world: World) -> None:
    add(world, TEXT.replace("Halcyon said", "Moscow said"))
    correct(world, "statement/42", str(number(world, "government/RU")), "speaker")
    confirm(world, "statement/42", "government/RU")
    made = [read_object(world, name) for name in make(world).added]
    (government,) = [item for item in made if item["type"] == "identity"]
    (note,) = [item for item in made if item["type"] == "note"]
    assert (note["object_refs"], note["authors"]) == ([government["id"]], ["Government of Russia"])
    assert note["abstract"].startswith("Government of Russia: ")


def test_a_draft_can_stand_for_what_is_held(world: World) -> None:
    world.add(A, make_object("petrov", kind="identity") | {"identity_class": "individual"})
    add(world)
    held = object_id("identity", "petrov")
    correct(world, "person/", held[:20], "stands-for")
    confirm(world, "person/", "statement/")
    made = make(world)
    assert {name.partition("--")[0] for name in made.added} == {"note", "report"}
    assert read_object(world, made.report)["object_refs"] == [held, *(n for n in made.added if n.startswith("note"))]


def test_corrections_are_taken_back_together(world: World) -> None:
    add(world)
    correct(world, "person/", "Iwan Petrow")
    done = articles.restore(world.nodes[A], "1", number(world, "person/"), by=world.actor(A))
    assert isinstance(done, Decided)
    confirm(world, "person/")
    assert "Ivan Petrov" in {read_object(world, name).get("name") for name in make(world).added}
    assert findings(world) == ()


@pytest.mark.parametrize(
    ("start", "name", "value"),
    [
        ("person/", "value", "x"),
        ("person/", "name", " "),
        ("person/", "name", "a\x1b[2Jb"),
        ("person/", "name", "\u202eabc"),
        ("person/", "name", "x" * 3_000),
        ("statement/", "stance", "lies"),
        ("statement/", "speaker", "999"),
        ("statement/", "speaker", "1"),
        ("statement/", "speaker", "²"),
        ("opinion/", "opinion", "maybe"),
        ("observable/sha256", "value", "00"),
        ("observable/url", "value", "no address"),
        ("observable/url", "value", "198.51.100.7"),
        ("observable/url", "value", "hxxp://a[.]example/y"),
        ("place/DE", "country", "FR"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(world: World, start: str, name: str, value: str) -> None:
    add(world)
    with pytest.raises(MalformedRequest):
        correct(world, start, value, name)
    assert count(world, "article_decision") == 0


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_is_made_in_one_act_and_says_where_it_is_from(world: World) -> None:
    add(world, plan=ArticlePlan(retrieved_at=parse_instant("2025-01-02T03:04:05Z")))
    confirm(world, "person/", "place/DE")
    before = entries(world)
    made = make(world)
    assert entries(world) == before + 1
    report = read_object(world, made.report)
    assert (report["name"], report["published"]) == ("Lucent and Norrhaven talk", "2031-03-04T00:00:00.000Z")
    (source,) = report["external_references"]
    assert (source["source_name"], source["url"]) == ("wire.example", "https://wire.example/a")
    assert "retrieved 2025-01-02T03:04:05" in source["description"]
    assert source["hashes"] == {"SHA-256": find(world).article.digest}
    assert {name.partition("--")[0] for name in report["object_refs"]} == {"identity", "location"}
    assert show_object(world.nodes[A], made.report).object.originator == A
    assert made.struck == tuple(each.item.number for each in find(world).drafts if each.state is State.STRUCK)
    assert findings(world) == ()


def test_the_caption_is_in_the_report(world: World) -> None:
    caption = "Ministers meet in Lisbon, March 3, 2031."
    add(world, TEXT.replace("Russian Foreign", f"{caption}\n\nRussian Foreign"))
    confirm(world, "person/")
    assert read_object(world, make(world).report)["description"] == caption


def test_while_a_draft_is_open_nothing_is_made(world: World) -> None:
    add(world)
    confirm(world, "person/")
    before = entries(world)
    with pytest.raises(ConflictError, match="7 drafts are open"):
        make(world, replace(SAID, strikes_open=False))
    assert (entries(world), count(world, "object")) == (before, 0)
    assert make(world).struck != ()


def test_what_is_struck_is_in_no_object(world: World) -> None:
    add(world)
    confirm(world, "person/", "place/DE", "place/PT/Lisbon")
    articles.strike(world.nodes[A], "1", numbers(world, "place/PT/Lisbon"), by=world.actor(A))
    made = make(world)
    assert not [name for name in made.added if "Lisbon" in json.dumps(read_object(world, name))]


def test_nothing_confirmed_makes_nothing_and_strikes_nothing(world: World) -> None:
    add(world)
    before = entries(world)
    with pytest.raises(MalformedRequest, match="nothing is confirmed"):
        make(world)
    assert (entries(world), count(world, "article_decision"), count(world, "object")) == (before, 0, 0)


def test_a_day_of_publication_that_nobody_knows_has_to_be_said(world: World) -> None:
    add(world, "Rain\n\nIt rained in Germany, and the rain went on for days.")
    confirm(world, "place/DE")
    with pytest.raises(MalformedRequest, match="no day of publication"):
        make(world)
    made = make(world, replace(SAID, published="2031-03-09", title="Rain"))
    assert read_object(world, made.report)["published"].startswith("2031-03-09")
    assert make(world).already  # what was said stays said


def test_without_a_marking_it_goes_to_nobody_whatever_terms_admit(world: World) -> None:
    world.sign_all(world.terms(types=TYPES, tlp="red"))
    add(world)
    confirm(world, "person/", "statement/", "place/DE", "observable/url")
    made = make(world, replace(SAID, tlp=None))
    assert made.tlp is None
    for name in made.added:
        if not name.startswith("marking-definition--"):
            assert explain(world.nodes[A], name, to=B).verdict.decision == "withhold", name
    assert not [name for name in world.read(B) if not name.startswith("marking-definition--")]
    world.tick()
    marked = make(world)
    assert set(world.read(B)) >= set(marked.added)
    assert marked.report in marked.added


def test_nothing_is_released_before_it_is_made(world: World) -> None:
    world.sign_all(world.terms(types=TYPES, tlp="red"))
    add(world)
    confirm(world, "person/", "place/DE")
    assert world.read(B) == {}
    made = make(world)
    assert made.report in world.read(B)


def test_making_twice_changes_nothing(world: World) -> None:
    add(world)
    confirm(world, "person/", "place/DE")
    made = make(world)
    world.tick()
    before = entries(world), count(world, "object")
    again = make(world)
    assert (again.already, again.report, again.added) == (True, made.report, ())
    assert make(world, ReportPlan()).already
    assert (entries(world), count(world, "object")) == before


def test_a_stricter_marking_holds_for_all_that_is_of_the_article(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    add(world)
    confirm(world, "person/", "place/DE")
    first = make(world)
    assert first.report in world.read(B)
    world.tick()
    made = make(world, replace(SAID, tlp="red"))
    assert {name.partition("--")[0] for name in made.added} == {"report", "identity"}
    for name in made.added:
        assert show_object(world.nodes[A], name).label.tlp == "red"
        assert name not in world.read(B)


def test_a_later_decision_makes_a_new_version(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    add(world)
    confirm(world, "person/", "place/DE")
    first = make(world)
    world.tick()
    articles.strike(world.nodes[A], "1", numbers(world, "place/DE"), by=world.actor(A))
    confirm(world, "place/PT/Lisbon")
    made = make(world, ReportPlan())
    assert (made.already, made.report, made.tlp) == (False, first.report, "green")
    report = show_object(world.nodes[A], made.report)
    assert len(report.versions) == 2
    names = {read_object(world, name)["name"] for name in json.loads(report.data)["object_refs"]}
    assert names == {"Ivan Petrov", "Lisbon"}
    assert made.report in world.read(B)
    assert findings(world) == ()


def test_a_decision_that_changes_no_object_is_made_too(world: World) -> None:
    """Else the article would wait for ever."""
    add(world)
    confirm(world, "person/", "place/DE")
    make(world)
    confirm(world, "opinion/")  # its claim is struck, so it is left out
    made = make(world, ReportPlan())
    assert (made.already, made.added) == (False, ())
    assert "left out" in made.notes[0]
    assert not articles.is_unmade(find(world).article, show_article(world.nodes[A], "1")[1])
    assert make(world, ReportPlan()).already


def test_a_failure_in_the_middle_leaves_nothing_and_it_can_be_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(world)
    confirm(world, "person/", "place/DE")
    before = entries(world)

    def fail(*_: object, **__: object) -> None:
        raise StoreFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(kept, "set_made", fail)
        with pytest.raises(StoreFull):
            make(world)
    assert (entries(world), count(world, "object")) == (before, 0)
    assert {each.state for each in find(world).drafts} == {State.OPEN, State.CONFIRMED}
    assert not make(world).already


def test_an_id_that_a_partner_has_taken_refuses_the_whole_and_nothing_of_the_partner_is_used(world: World) -> None:
    """Ids follow from the name of this party and what is said, so that a partner can make one first."""
    name = Maker(party=A, at=world.now).find_id("location", ("place", "DE"))
    made_first = make_object("x", kind="location", tlp="green")
    fields = ("type", "spec_version", "created", "modified", "object_marking_refs")
    said = make_tags(subjects=["national:ashfall"], regions=["IQ"])
    taken = {field: made_first[field] for field in fields} | {"id": name, "name": "Germany", "country": "DE"}
    assert add_objects(world.nodes[B], json.dumps(taken).encode(), tags=said).added == (name,)
    world.sign_all(world.terms(giver=B, receivers=(A,), types=TYPES))
    introduce(world, [(B, A)])
    assert pull_all(world, B, A) == {name}
    add(world)
    confirm(world, "place/DE", "person/")
    before = entries(world), count(world, "object")
    with pytest.raises(ConflictError, match=r"cannot be made: .* came from borealia"):
        make(world)
    assert (entries(world), count(world, "object")) == before
    correct(world, "place/DE", "Deutschland")
    assert make(world).report
    assert findings(world) == ()


def test_a_party_that_is_not_pinned_here_is_no_audience(world: World) -> None:
    add(world)
    confirm(world, "person/")
    before = entries(world), count(world, "object")
    for audience in ({A, PartyId("borealis")}, {PartyId("borealis")}):
        with pytest.raises(NotFoundError, match=r"borealis is not a party this node knows.*party list.*party add"):
            make_report(world.nodes[A], "1", replace(SAID, audience=frozenset(audience)), by=world.actor(A))
    assert (entries(world), count(world, "object")) == before
    assert make(world, replace(SAID, audience=frozenset({A, B}))).audience == frozenset({A, B})
    world.tick()
    assert make(world).audience == frozenset({A, B}), "what was said before stays said"


def test_an_audience_is_for_good_and_not_of_what_articles_share(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    add(world)
    confirm(world, "person/", "place/DE")
    made = make(world, replace(SAID, audience=frozenset({A})))
    (place,) = [name for name in made.added if name.startswith("location")]
    assert set(world.read(B)) == {place}
    verdict = explain(world.nodes[A], made.report, to=B).verdict
    assert (verdict.decision, verdict.clause) == ("withhold", "audience")


@pytest.mark.parametrize("plan", [ReportPlan(tlp="purple"), ReportPlan(regions=["XX"]), ReportPlan(url="x:y")])
def test_what_is_said_of_a_report_has_to_be_words_of_it(world: World, plan: ReportPlan) -> None:
    add(world)
    confirm(world, "person/")
    with pytest.raises(MalformedRequest):
        make(world, replace(plan, strikes_open=True))
    assert count(world, "object") == 0


# --- what articles share ----------------------------------------------------------------------------------------------


def test_a_second_article_takes_nothing_away_from_the_first(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    add(world)
    confirm(world, "person/", "place/DE")
    first = make(world)
    assert first.report in world.read(B)
    add(world, OTHER)
    confirm(world, "place/DE", "place/PT/Lisbon", article="2")
    second = make(world, replace(SAID, tlp=None), article="2")
    assert explain(world.nodes[A], first.report, to=B).verdict.decision == "release"
    assert explain(world.nodes[A], second.report, to=B).verdict.decision == "withhold"


def test_what_was_not_marked_for_one_article_is_for_the_next_with_what_was_said_before(world: World) -> None:
    world.sign_all(world.terms(types=TYPES))
    add(world)
    confirm(world, "person/", "place/DE")
    first = make(world, replace(SAID, tlp=None, subjects=["national:other"]))
    add(world, OTHER)
    confirm(world, "place/DE", "government/DE", article="2")
    world.tick()
    second = make(world, article="2")
    assert second.report in world.read(B)
    (place,) = [name for name in second.added if name.startswith("location")]
    assert show_object(world.nodes[A], place).label.subjects == {frozenset({"national:ashfall", "national:other"})}
    assert explain(world.nodes[A], first.report, to=B).verdict.decision == "withhold"


def test_a_corrected_place_is_one_of_its_own(world: World) -> None:
    add(world)
    confirm(world, "place/DE")
    first = make(world)
    (shared,) = [name for name in first.added if name.startswith("location")]
    correct(world, "place/DE", "Deutschland")
    second = make(world, ReportPlan())
    assert read_object(world, shared)["name"] == "Germany"
    (own,) = [name for name in second.added if name.startswith("location")]
    assert (own != shared, read_object(world, own)["name"]) == (True, "Deutschland")


# --- special categories -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["statement", "title"])
def test_words_of_a_special_category_wait_for_two_people(world: World, where: str) -> None:
    world.sign_all(world.terms(types=TYPES, channel_extra=f"[[channels.special_categories]]\n{SPECIAL}"))
    sentence = "Moscow said that it would not stop Muslims from praying."
    add(world, TEXT.replace("Halcyon", f"{sentence} Halcyon") if where == "statement" else f"Muslims and {TEXT}")
    start = "statement/1" if where == "statement" else "person/"
    confirm(world, start, "government/RU") if where == "statement" else confirm(world, start)
    made = make(world)
    (held_back,) = made.undecided
    assert held_back.startswith("note" if where == "statement" else "report")
    assert UNDECIDED in show_object(world.nodes[A], held_back).label.markings
    assert not {held_back, made.report} & set(world.read(B))
    assert [item.id for item in list_undecided(world.nodes[A])] == [held_back]
    assert "special_categories" not in json.dumps(read_object(world, held_back))
    for role in (Role.LIAISON, Role.LEGAL):
        assert not {held_back, made.report} & set(world.read(B))
        done = decide_necessity(world.nodes[A], held_back, reason="to protect them", by=world.actor(A, role))
        assert isinstance(done, Waiting) == (role is Role.LIAISON)
    assert {held_back, made.report} <= set(world.read(B))
    assert findings(world) == ()


@pytest.mark.parametrize("where", ["title", "role"])
def test_words_of_a_special_category_that_people_put_in_wait_too(world: World, where: str) -> None:
    world.sign_all(world.terms(types=TYPES, channel_extra=f"[[channels.special_categories]]\n{SPECIAL}"))
    add(world)
    confirm(world, "person/", "place/PT")
    if where == "role":
        (at,) = numbers(world, "person/")
        assert isinstance(
            articles.correct(world.nodes[A], "1", at, "A Muslim cleric", name="role", by=world.actor(A)), Decided
        )
    made = make(world, replace(SAID, title="Muslims talk") if where == "title" else SAID)
    (held_back,) = made.undecided
    assert held_back.startswith("report" if where == "title" else "identity")
    assert not {held_back, made.report} & set(world.read(B))


# --- work, and what is on record --------------------------------------------------------------------------------------


def list_kinds(world: World) -> dict[str, int]:
    return {
        item.kind.value: item.count
        for item in list_work(world.nodes[A])
        if item.kind.value in {"article-to-review", "report-to-make"}
    }


def test_what_waits_is_work(world: World) -> None:
    add(world)
    assert list_kinds(world) == {"article-to-review": 8}
    (item,) = [one for one in list_work(world.nodes[A]) if one.kind.value == "article-to-review"]
    assert item.since == find(world).article.added_at
    world.tick()
    articles.strike(world.nodes[A], "1", range(1, 8), by=world.actor(A))
    articles.confirm(world.nodes[A], "1", [8], by=world.actor(A))
    assert list_kinds(world) == {"report-to-make": 1}
    make(world)
    assert list_kinds(world) == {}
    confirm(world, "place/DE")
    assert list_kinds(world) == {"report-to-make": 2}
    articles.strike(world.nodes[A], "1", range(1, 9), by=world.actor(A))
    assert list_kinds(world) == {}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            "INSERT INTO article_decision VALUES (99, 1, 2, 'confirm', NULL, NULL, NULL, 5, 'nobody')",
            "no act of people in the log says so",
        ),
        ("UPDATE article SET made_at = 7", "a report of the article"),
    ],
)
def test_what_nobody_decided_is_found(world: World, change: str, problem: str) -> None:
    add(world)
    confirm(world, "person/")
    make(world)
    assert findings(world) == ()
    world.nodes[A].store.close()
    connection = apsw.Connection(str(world.folder / A / "store.db"))
    connection.execute(change)
    connection.close()
    assert any(problem in item for item in findings(world)), findings(world)


def test_the_log_names_no_words_of_the_article(world: World) -> None:
    add(world)
    confirm(world, "person/", "place/DE")
    make(world)
    with world.nodes[A].store.read() as transaction:
        contents = [bytes(row[0]) for row in transaction.rows("SELECT content FROM log_opening")]
    kinds = [json.loads(content).get("change") for content in contents if b"comity-classification" in content]
    assert kinds == ["confirm-drafts", "make-report"]
    assert not [content for content in contents if b"Petrov" in content]


# --- hostile input ----------------------------------------------------------------------------------------------------

HOSTILE: dict[str, Callable[[], str]] = {
    "one place ten thousand times": lambda: "T\n\n3 May 2031\n\n" + "Germany denied it in Lisbon. " * 3_300,
    "ten thousand addresses": lambda: (
        "T\n\n3 May 2031\n\n" + " ".join(f"http://h{index}.example.com/x" for index in range(9_990))
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_ten_thousand_mentions_are_reviewed_and_made(world: World, name: str) -> None:
    added = add(world, HOSTILE[name]())
    assert added.counts.open <= 10_000
    done = articles.confirm(world.nodes[A], "1", range(1, added.counts.open + 1), by=world.actor(A))
    assert isinstance(done, Decided)
    made = make(world)
    assert len(read_object(world, made.report)["object_refs"]) >= added.counts.open
    assert findings(world) == ()


def test_more_than_anybody_can_review_is_refused(world: World) -> None:
    text = "T\n\n3 May 2031\n\n" + " ".join(f"http://h{index}.example.com/x" for index in range(10_100))
    with pytest.raises(MalformedArticle, match="at most 10000"):
        add(world, text)
