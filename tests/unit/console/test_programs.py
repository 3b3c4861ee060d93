# SPDX-License-Identifier: Apache-2.0
"""Programs that ask in a person's name: what each is let to, what it never is, and how its token ends."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from comity.agreement.people import Person, Role
from comity.canonical import Json
from comity.console.app import SCREENS
from comity.console.jobs import Jobs
from comity.console.programs import EXPLAINED, READS, is_let_to, list_offered
from comity.console.visit import Failed, Visit
from comity.errors import ConflictError, MalformedRequest, NotFoundError
from comity.ids import Digest, Instant, PersonId
from comity.node import passwords
from comity.node.invitations import invite_person
from comity.node.people import remove_person, renew_person
from comity.node.programs import (
    MOST_PROGRAMS,
    PERMITS,
    TOKEN_BEGINS,
    USES,
    MadeProgram,
    StoredProgram,
    end_program,
    find_program,
    list_programs,
    make_program,
)
from comity.node.sessions import list_records, sign_out
from comity.node.steps import Steps, advance
from comity.operations.outcome import Tell
from comity.operations.reply import Exit, Reply
from comity.taxii.wire import is_taxii
from tests.consoles import URL, Desk, make_person
from tests.unit.console.test_signing_in import Guest
from tests.worlds import World, make_object

ANALYST, LEGAL = PersonId("aurelia-analyst"), PersonId("aurelia-legal")
EVERYTHING = frozenset(PERMITS)


@pytest.fixture
def desk(world: World) -> Desk:
    world.register("aurelia", ANALYST, Role.ANALYST)
    return Desk(world.nodes["aurelia"])


def make(desk: Desk, *may: str, person: PersonId = ANALYST, days: int = 30) -> MadeProgram:
    return make_program(desk.node, person, name="Feeds of the watch", may=may, days=days)


def ask(desk: Desk, token: str, path: str, method: str = "GET", **more: Any) -> httpx.Response:  # noqa: ANN401
    browser = desk.visit(None)
    return browser.send(method, path, headers={"authorization": f"Bearer {token}"}, **more)


def bundle(*objects: dict[str, Json]) -> bytes:
    return json.dumps(
        {"type": "bundle", "id": "bundle--6a1f2c1e-0000-4000-8000-000000000001", "objects": list(objects)}
    ).encode()


def take_in(desk: Desk, token: str, data: bytes, **fields: str) -> httpx.Response:
    return ask(desk, token, "/intake.json", "POST", data=fields, files={"file": ("feed.json", data)})


# ---- what it is let to -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("objects", "/objects.json"),
        ("articles", "/articles.json"),
        ("work", "/work.json"),
    ],
)
def test_a_program_reads_what_it_was_let_to_and_nothing_else(desk: Desk, word: str, path: str) -> None:
    one, others = make(desk, word), make(desk, *(EVERYTHING - {word}))
    assert ask(desk, one.token, path).status_code == 200
    assert ask(desk, others.token, path).status_code == 404


def test_an_object_is_read_with_its_bytes(desk: Desk, world: World) -> None:
    (item,) = [make_object("one")]
    world.add("aurelia", item)
    answer = ask(desk, make(desk, "objects").token, f"/objects/{item['id']}.json")
    assert json.loads(answer.json()["received"]) == item


def test_what_the_roles_of_its_person_do_not_see_it_does_not_either(desk: Desk) -> None:
    made = make(desk, *PERMITS)
    assert desk.visit(make_person(ANALYST, Role.ANALYST)).get("/log.json").status_code == 404
    assert ask(desk, made.token, "/log.json").status_code == 404
    legal = make(desk, "log", person=LEGAL)
    assert ask(desk, legal.token, "/log/figures.json").status_code == 200


def test_every_page_is_there_for_programs_by_one_word_or_by_none() -> None:
    named = [page for pages in READS.values() for page in pages]
    assert len(named) == len(set(named))
    there = {str(route.path) for screen in SCREENS for route in screen}  # type: ignore[attr-defined]
    assert {f"{page}.json" for page in named} <= there
    program = StoredProgram(
        hash=Digest("0" * 64),
        id="1",
        person=ANALYST,
        name="x",
        may=EVERYTHING,
        made_at=Instant(0),
        expires_at=Instant(1),
        used_at=None,
    )
    unused = replace(program, may=EVERYTHING - USES.keys())
    for path in sorted(there):
        concrete = re.sub(r"\{[^}]*\}", "1", path)
        is_named = path.removesuffix(".json") in named and path.endswith(".json")
        assert is_let_to(program, "GET", concrete) == (is_named or is_taxii(concrete))
        assert not is_let_to(unused, "GET", concrete) or is_named
        assert is_let_to(program, "POST", concrete) == (path in {"/intake.json", "/articles.json"}), path
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            assert not is_let_to(program, method, concrete), path
    for path in ("/objects/1/say.json", "/intake/take.json", "/log/1/receipt", "/log.csv", "/objects/1/2.json"):
        assert not is_let_to(program, "GET", path), path
    assert not is_let_to(replace(program, may=frozenset({"sign"})), "GET", "/log.json")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/objects.json?tpl=red", "no 'tpl' in the query of this address; it may have type, originator, tlp, subject"),
        ("/objects.json?tlp=red&tlp=green", "'tlp' is in the query more than once"),
        ("/articles.json?last=3", "no 'last' in the query of this address, which has none"),
        ("/articles/rules.json?state=open", "it may have section"),
        ("/work.json?only=ends&pages=2", "no 'pages'"),
        (f"/objects.json?{'x' * 5_000}=1", f"no '{'x' * 60}' in the query"),
    ],
)
def test_what_nobody_would_read_of_a_query_is_refused_and_named(desk: Desk, path: str, words: str) -> None:
    told = ask(desk, make(desk, "objects", "articles", "work").token, path)
    assert told.status_code == 400
    error = told.json()["error"]
    assert (error["code"], error["where"]) == ("malformed-request", "query")
    assert words in error["message"]


@pytest.mark.parametrize(
    "path",
    ["/objects.json?type=report&tlp=red&id=report--1&before=", "/articles/rules.json?section=", "/work.json?only="],
)
def test_what_a_query_may_name_is_read(desk: Desk, path: str) -> None:
    assert ask(desk, make(desk, "objects", "articles", "work").token, path).status_code == 200


def test_a_marking_in_the_query_of_what_is_sent_is_refused(desk: Desk) -> None:
    token = make(desk, "take-in").token
    sent = ask(desk, token, "/intake.json?tlp=red", "POST", files={"file": ("feed.json", bundle(make_object("one")))})
    assert (sent.status_code, sent.json()["error"]["where"]) == (400, "query")
    assert desk.asked == []


@pytest.mark.parametrize("path", ["/me.json", "/people.json", "/approvals.json", "/agreements.json", "/audit.json"])
def test_a_program_with_all_words_reads_nothing_of_the_door_and_of_agreements(desk: Desk, path: str) -> None:
    assert ask(desk, make(desk, *PERMITS).token, path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/objects", "/sign-in", "/static/console.css", "/me"])
def test_a_program_gets_no_page(desk: Desk, path: str) -> None:
    assert ask(desk, make(desk, *PERMITS).token, path).status_code == 404


def test_a_program_makes_no_program_and_ends_none(desk: Desk) -> None:
    made = make(desk, *PERMITS)
    for path in ("/me/programs", "/me/programs/end", "/me/sessions/end-all"):
        assert ask(desk, made.token, path, "POST", data={"program": made.program.id}).status_code == 404
    assert len(list_programs(desk.node)) == 1


# ---- taking in -------------------------------------------------------------------------------------------------------


def test_a_program_takes_in_a_file_and_reads_what_became_of_it(desk: Desk, world: World) -> None:
    made = make(desk, "take-in")
    item = make_object("one")
    answer = take_in(desk, made.token, bundle(item), tlp="amber", regions="AU, BO", kinds="incident")
    assert answer.status_code == 202
    assert answer.headers["location"] == answer.json()["at"]
    assert desk.asked[-1][0] == "object.add"
    assert {name: desk.asked[-1][1][name] for name in ("tlp", "regions", "kinds")} == {
        "tlp": "amber",
        "regions": ["AU", "BO"],
        "kinds": ["incident"],
    }


def test_a_program_without_the_word_takes_nothing_in(desk: Desk) -> None:
    made = make(desk, *(EVERYTHING - {"take-in"}))
    assert take_in(desk, made.token, bundle(make_object("one"))).status_code == 404
    assert desk.asked == []


def test_work_of_programs_is_apart_from_that_of_people(desk: Desk) -> None:
    made, other = make(desk, "take-in"), make(desk, "take-in")

    async def work() -> None:
        jobs, going = Jobs(), asyncio.Event()

        async def wait(operation: str, arguments: Mapping[str, Json], by: Person, tell: Tell | None = None) -> Reply:
            assert (operation, arguments, by.id, tell is None) == (operation, {}, ANALYST, False)
            await going.wait()
            return Reply(code=Exit.DONE, result={})

        def visit(program: str | None) -> Visit:
            return Visit(person=make_person(ANALYST, Role.ANALYST), token="t", ask_as=wait, program=program)

        own, first, second = visit(None), visit(made.program.id), visit(other.program.id)
        begun = jobs.start(own, "object.look", {}, title="x", to="/")
        for of in (first, second, first):
            jobs.start(of, "object.add", {}, title="x", to="/")
        with pytest.raises(Failed):
            jobs.start(second, "object.add", {}, title="x", to="/")
        for _ in range(3):
            jobs.start(own, "object.look", {}, title="x", to="/")
        assert len(jobs.list_own(own)) == 7
        assert len(jobs.list_own(first)) == 2
        with pytest.raises(Failed):
            jobs.find_own(first, str(begun.number))
        going.set()
        await asyncio.gather(*(job.task for job in jobs.list_own(own) if job.task is not None))
        for _ in range(30):
            started = jobs.start(first, "object.add", {}, title="x", to="/")
            assert started.task is not None
            await started.task
        # What programs do pushes nothing of the person's out.
        assert jobs.find_own(own, str(begun.number)) is begun

    asyncio.run(work())


@pytest.mark.parametrize("how", ["end", "sign-out", "remove"])
@pytest.mark.parametrize("path", ["/intake.json", "/articles.json"])
def test_long_work_stops_between_its_steps_when_the_token_has_ended(
    desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch, path: str, how: str
) -> None:
    made, seen = make(desk, "take-in"), list[int]()

    def end() -> None:
        match how:
            case "end":
                end_program(desk.node, ANALYST, made.program.id)
            case "sign-out":
                sign_out(desk.node, ANALYST)
            case _:
                remove_person(desk.node, ANALYST)

    def advance_and_end(steps: Steps[Any]) -> Any:  # noqa: ANN401
        done = advance(steps)
        seen.append(len(seen))
        if len(seen) == 1:
            end()
        return done

    for module in ("objects", "articles"):
        monkeypatch.setattr(f"comity.operations.{module}.advance", advance_and_end)
    data = bundle(*[make_object(f"item {number}") for number in range(3_000)])
    sent = data if path == "/intake.json" else b"Somebody said something in Port Marrow. " * 200
    name = "feed.json" if path == "/intake.json" else "article.txt"

    async def send() -> None:
        headers = {"authorization": f"Bearer {made.token}"}
        transport = httpx.ASGITransport(app=desk.visit(None).app)
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as client:
            begun = await client.post(path, files={"file": (name, sent)}, data={} if name == "feed.json" else ARTICLE)
            assert begun.status_code == 202, begun.text
            jobs = [job for jobs in transport.app._pages.state.jobs._jobs.values() for job in jobs.values()]  # type: ignore[attr-defined]
            (job,) = jobs
            assert job.task is not None
            reply = await job.task
            assert reply.error is not None, reply
            assert str(reply.error["message"]).endswith("what was done stands")

    asyncio.run(send())
    assert seen == [0]
    with desk.node.store.read() as transaction:
        for table in ("object", "article"):
            assert transaction.row(f"SELECT 1 FROM {table}") is None


ARTICLE = {"format": "text", "publisher": "Watch", "published": "2026-01-01"}


@pytest.mark.parametrize(
    ("path", "fields", "where", "words"),
    [
        ("/intake.json", {"tpl": "red"}, "tpl", "no field 'tpl'; the fields are file, format, source, mapping, tlp"),
        ("/intake.json", {"tlp": ["red", "green"]}, "tlp", "is there 2 times"),
        ("/intake.json", {"regions": ["IQ", "SY"]}, "regions", "is there 2 times"),
        ("/articles.json", {"publishr": "Watch"}, "publishr", "the fields are file, format, url, publisher, published"),
        ("/articles.json", {"url": ["a", "b"]}, "url", "is there 2 times"),
    ],
)
def test_a_field_that_nobody_would_read_is_refused_and_named(
    desk: Desk, path: str, fields: dict[str, Any], where: str, words: str
) -> None:
    token = make(desk, "take-in").token
    sent = ask(desk, token, path, "POST", data=fields, files={"file": ("feed.json", bundle(make_object("one")))})
    assert sent.status_code == 400
    error = sent.json()["error"]
    assert (error["code"], error["where"]) == ("malformed-request", where)
    assert words in error["message"]
    assert desk.asked == []


@pytest.mark.parametrize(("path", "name"), [("/intake.json", "mapping"), ("/articles.json", "url")])
def test_a_text_that_came_as_a_file_is_refused_with_the_way_to_send_it(desk: Desk, path: str, name: str) -> None:
    token = make(desk, "take-in").token
    files = {"file": ("a.csv", b"a,b\n1,2\n"), name: ("mapping.toml", b"x")}
    error = ask(desk, token, path, "POST", files=files).json()["error"]
    assert error["where"] == name
    assert f"-F '{name}=<FILE'" in error["message"]
    twice = [("file", ("a.csv", b"a")), ("file", ("b.csv", b"b"))]
    assert "'file' is there 2 times" in ask(desk, token, path, "POST", files=twice).json()["error"]["message"]
    assert desk.asked == []


def test_kinds_are_as_often_as_there_are(desk: Desk) -> None:
    fields: dict[str, Any] = {"kinds": ["identity", "financing"]}
    sent = take_in(desk, make(desk, "take-in").token, bundle(make_object("one")), **fields)
    assert sent.status_code == 202
    assert desk.asked[-1][1]["kinds"] == ["identity", "financing"]


@pytest.mark.parametrize("data", [b"", b'{"objects":[', b"\0"])
def test_a_file_that_cannot_be_read_is_the_senders_fault(desk: Desk, data: bytes) -> None:
    browser, headers = desk.visit(None), {"authorization": f"Bearer {make(desk, 'take-in').token}"}
    fields = {"format": "stix-2.1"} if data[:1] == b"{" else {}
    begun = browser.send("POST", "/intake.json", headers=headers, data=fields, files={"file": ("feed.json", data)})
    assert begun.status_code == 202
    answer = browser.send("GET", begun.json()["at"], headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"][:9]) == (400, "malformed")


def test_a_browser_cannot_send_what_programs_send(desk: Desk) -> None:
    browser = desk.visit(make_person(ANALYST, Role.ANALYST))
    for path in ("/intake.json", "/articles.json"):
        answer = browser.send(
            "POST",
            path,
            files={"file": ("feed.json", bundle(make_object("one")))},
            headers={"origin": browser.url, "sec-fetch-site": "same-origin"},
        )
        assert answer.status_code == 400
        assert "programs alone" in answer.json()["error"]["message"]
    assert desk.asked == []


def test_a_cookie_beside_a_bad_token_counts_for_nothing(desk: Desk) -> None:
    browser = desk.visit(make_person(ANALYST, Role.ANALYST))
    headers = {"authorization": f"Bearer {TOKEN_BEGINS}{'0' * 64}"}
    assert browser.send("GET", "/objects.json", headers=headers).status_code == 401
    # What a proxy of this party puts there is no token of a program.
    assert browser.send("GET", "/objects.json", headers={"authorization": "Bearer of a proxy"}).status_code == 200


# ---- how it ends -----------------------------------------------------------------------------------------------------


def test_a_token_ends_with_its_day(desk: Desk, world: World) -> None:
    made = make(desk, "objects", days=1)
    world.now = Instant(made.program.expires_at - 1)
    assert ask(desk, made.token, "/objects.json").status_code == 200
    world.now = made.program.expires_at
    assert ask(desk, made.token, "/objects.json").status_code == 401
    assert list_programs(desk.node) == []


@pytest.mark.parametrize("how", ["end", "sign-out", "remove", "renew", "invite"])
def test_a_token_ends_when_its_person_or_who_controls_the_folder_ends_it(desk: Desk, how: str) -> None:
    made = make(desk, "objects")
    other = make(desk, "objects", person=LEGAL)
    assert ask(desk, made.token, "/objects.json").status_code == 200
    match how:
        case "end":
            end_program(desk.node, ANALYST, made.program.id)
        case "sign-out":
            assert sign_out(desk.node, ANALYST) == (0, 1)
        case "remove":
            remove_person(desk.node, ANALYST)
        case "renew":
            renew_person(desk.node, ANALYST)
        case _:
            invite_person(desk.node, ANALYST)
    assert ask(desk, made.token, "/objects.json").status_code == 401
    assert ask(desk, other.token, "/objects.json").status_code == 200


def test_nobody_ends_the_program_of_another(desk: Desk) -> None:
    made = make(desk, "objects")
    with pytest.raises(NotFoundError):
        end_program(desk.node, LEGAL, made.program.id)
    assert ask(desk, made.token, "/objects.json").status_code == 200


def test_what_was_under_way_when_it_ended_is_not_done(desk: Desk) -> None:
    made = make(desk, "take-in")
    way = desk.visit(None).app._ask_for_program(made.token)
    found = find_program(desk.node, made.token)
    assert found is not None
    end_program(desk.node, ANALYST, made.program.id)

    async def go_on() -> Reply:
        return await way("object.files", {}, found[1])

    reply = asyncio.run(go_on())
    assert reply.error is not None
    assert "may not ask any more" in str(reply.error["message"])


# ---- made ------------------------------------------------------------------------------------------------------------


def test_its_token_is_nowhere_but_on_the_page_that_shows_it(desk: Desk) -> None:
    made = make(desk, "objects", "work")
    assert made.token not in repr(made)
    with desk.node.store.read() as transaction:
        rows = [*transaction.rows("SELECT * FROM program")]
    assert made.token not in str(rows)
    assert made.token.removeprefix(TOKEN_BEGINS) not in str(rows)
    browser = desk.visit(make_person(ANALYST, Role.ANALYST))
    (listed,) = browser.get("/me.json").json()["programs"]
    assert listed["may"] == ["objects", "work"]
    assert listed["used_at"] is None
    assert made.token not in browser.get("/me").text


def test_that_it_asked_is_noted_once_a_minute(desk: Desk, world: World) -> None:
    made = make(desk, "objects")
    seen = list[Instant | None]()
    for seconds in (1, 59, 61):
        world.now = Instant(made.program.made_at + seconds * 1_000_000)
        assert ask(desk, made.token, "/objects.json").status_code == 200
        seen.append(list_programs(desk.node)[0].used_at)
    assert seen[0] == seen[1] == made.program.made_at + 1_000_000
    assert seen[2] == made.program.made_at + 61_000_000


@pytest.mark.parametrize(
    ("name", "may", "days"),
    [("", {"log"}, 1), ("x" * 61, {"log"}, 1), ("a\u202eb", {"log"}, 1), ("x", set(), 1), ("x", {"log", "sign"}, 1)]
    + [("x", {"log"}, days) for days in (0, -1, 366)],
)
def test_what_a_program_must_be_made_with(desk: Desk, name: str, may: set[str], days: int) -> None:
    with pytest.raises(MalformedRequest):
        make_program(desk.node, ANALYST, name=name, may=may, days=days)
    assert list_programs(desk.node) == []


def test_a_person_has_so_many_and_those_that_are_over_do_not_count(desk: Desk, world: World) -> None:
    made = make(desk, "log", days=1)
    for _ in range(MOST_PROGRAMS - 1):
        make(desk, "log", days=1)
    with pytest.raises(ConflictError):
        make(desk, "log")
    world.now = made.program.expires_at
    make(desk, "log")
    assert len(list_programs(desk.node, ANALYST)) == 1


def test_that_it_was_made_and_ended_is_on_record(desk: Desk) -> None:
    made = make(desk, "log")
    end_program(desk.node, ANALYST, made.program.id)
    records = [(item.what, item.factor, item.failed) for item in list_records(desk.node, ANALYST)]
    assert records == [("end", "program", False), ("made", "program", False)]


def test_each_word_is_explained() -> None:
    assert set(EXPLAINED) == EVERYTHING


# ---- on the page -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("may", "there", "missing"),
    [("use:none", "/taxii2/", ".json"), ("articles", "/articles.json", "/taxii2/"), ("log", "/log.json", "/taxii2/")],
)
def test_the_page_of_a_token_says_how_what_it_may_is_asked(guest: Guest, may: str, there: str, missing: str) -> None:
    page = guest.browser.post("/me/programs", "/me", name="Feeds", may=may, days="90")
    assert page.status_code == 200
    assert f"{URL}{there}" in page.text
    assert missing not in page.text


@pytest.fixture
def guest(desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch) -> Guest:
    """Who has just signed in."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    guest = Guest(desk, world)
    assert guest.enrol(ANALYST).status_code == 303
    return guest


def test_a_person_makes_a_program_sees_its_token_once_and_ends_it(guest: Guest, desk: Desk) -> None:
    page = guest.browser.post("/me/programs", "/me", name="<b>Feeds</b>", may="objects", days="90")
    assert page.status_code == 200
    assert "&lt;b&gt;Feeds&lt;/b&gt;" in page.text
    assert page.headers["cache-control"] == "no-store"
    (token,) = re.findall(rf"{TOKEN_BEGINS}[0-9a-f]{{64}}", page.text)
    assert ask(desk, token, "/objects.json").status_code == 200
    assert ask(desk, token, "/articles.json").status_code == 404
    own = guest.browser.get("/me").text
    assert token not in own
    (program,) = re.findall(r'name="program" value="([0-9a-f]{8})"', own)
    answer = guest.browser.post("/me/programs/end", "/me", program=program)
    assert answer.headers["location"] == "/me?said=ended"
    assert ask(desk, token, "/objects.json").status_code == 401


@pytest.mark.parametrize(
    ("role", "missing"),
    [(Role.ANALYST, {"log", "node"}), (Role.OPERATOR, EVERYTHING - {"node", "work"})],
)
def test_only_what_its_person_sees_is_offered(desk: Desk, role: Role, missing: set[str]) -> None:
    assert (
        EVERYTHING - list_offered(Visit(person=make_person(ANALYST, role), token="t", ask_as=desk.ask)).keys()
        == missing
    )


def test_who_finds_a_screen_unlocked_makes_no_program(guest: Guest, desk: Desk, world: World) -> None:
    world.tick(15 * 60 * 1_000_000)
    page = guest.browser.post("/me/programs", "/me", name="Feeds", may="objects", days="90")
    assert page.status_code == 403
    assert list_programs(desk.node) == []


@pytest.mark.parametrize("days", ["", "0", "366", "1e2", "9999", "²"])
def test_a_program_that_cannot_be_is_refused_by_the_page(guest: Guest, desk: Desk, days: str) -> None:
    page = guest.browser.post("/me/programs", "/me", name="Feeds", may="objects", days=days)
    assert page.status_code == 400
    assert "1 to 365 days" in page.text
    assert list_programs(desk.node) == []
