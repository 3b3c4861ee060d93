# SPDX-License-Identifier: Apache-2.0
"""What programs of a party's own read over TAXII: what their use and its terms let them have, and nothing else."""

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from comity.agreement.people import Role
from comity.canonical import Json
from comity.console.usable import find_collection
from comity.errors import NotFoundError, StoreFull
from comity.ids import Instant, ObjectId, PartyId, PersonId, parse_instant
from comity.letters.recall import Change
from comity.node import classify, retention, usable
from comity.node.assess import Assessed, NewAssessment, assess
from comity.node.explain import find_object
from comity.node.journal import list_entries
from comity.node.people import Actor, identify, remove_person
from comity.node.programs import USES, StoredProgram, end_program, make_program
from comity.node.recall import list_recalls, recall
from comity.node.usable import find_handed, find_use
from comity.release.disclosure import EntryType
from comity.taxii.wire import MEDIA_TYPE
from comity.vocabulary import ACTIONS_ORDER
from tests.chains import introduce, pull_all, sign_onward
from tests.consoles import URL, Desk, make_person
from tests.worlds import World, make_object, object_id, tlp_id

A, B = PartyId("aurelia"), PartyId("borealia")
ANALYST = PersonId("borealia-analyst")
NONE, ASK, INSIDE, PASSIVE, ANY = ACTIONS_ORDER
X = object_id("report", "x")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Borealia is given what Aurelia has, for actions that Borealia alone sees."""
    made = World(tmp_path)
    made.found(A, B)
    introduce(made, [(A, B)])
    made.register(B, ANALYST, Role.ANALYST)
    sign_onward(made, A, B, listed=[])
    yield made
    made.close()


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.nodes[B])


class Client:
    """A program of Borealia's, which asks for one use."""

    def __init__(self, desk: Desk, actions: str = INSIDE, *more: str) -> None:
        may = [f"use:{actions}", *more]
        self.made = make_program(desk.node, ANALYST, name="Sensors", may=may, days=30)
        self.at = f"/taxii2/own/collections/{find_collection(B, actions)}/"
        self.desk = desk

    def ask(self, path: str = "", method: str = "GET", **headers: str) -> httpx.Response:
        sent = {"authorization": f"Bearer {self.made.token}", "accept": MEDIA_TYPE, **headers}
        return self.desk.visit(None).send(method, path if path.startswith("/") else self.at + path, headers=sent)

    def read(self, query: str = "") -> list[str]:
        """The ids of one page of objects."""
        answer = self.ask(f"objects/{query}")
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json().get("objects", [])]


def give(world: World, *items: dict[str, Json]) -> None:
    world.add(A, *items)
    pull_all(world, A, B)
    world.tick()


# ---- what is handed over ---------------------------------------------------------------------------------------------


def test_it_gets_own_and_received_objects_byte_for_byte(world: World, desk: Desk) -> None:
    give(world, make_object("x"))
    world.add(B, make_object("own", tlp="amber+strict"))
    body = Client(desk).ask("objects/").content
    assert {item["id"] for item in json.loads(body)["objects"]} == {X, object_id("report", "own")}
    for name in (X, object_id("report", "own")):
        with desk.node.store.read() as transaction:
            pk = find_object(transaction, name).pk
            ((data,),) = transaction.rows("SELECT data FROM body WHERE object = ?", (pk,))
        assert bytes(data) in body


@pytest.mark.parametrize(("actions", "gets"), [(NONE, 2), (ASK, 2), (INSIDE, 2), (PASSIVE, 1), (ANY, 1)])
def test_what_the_terms_do_not_permit_it_does_not_get(world: World, desk: Desk, actions: str, gets: int) -> None:
    give(world, make_object("x"))
    world.add(B, make_object("own"))
    assert set(Client(desk, actions).read()) == {object_id("report", "own"), *([X] if gets == 2 else [])}
    use = find_use(desk.node, find_object_of(desk, X))
    assert (use[actions] is None) == (gets == 2)


def test_terms_by_any_way_count_also_for_what_this_party_had_itself(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    assert Client(desk, ANY).read() == [X]
    give(world, make_object("x"))
    assert Client(desk, ANY).read() == []
    assert Client(desk, INSIDE).read() == [X]


def test_of_two_ways_the_narrower_counts(world: World, desk: Desk) -> None:
    """A text that permits nothing, by which the same object came too."""
    give(world, make_object("x"))
    client = Client(desk)
    assert client.read() == [X]
    with desk.node.store.write() as transaction:
        pk = find_object(transaction, X).pk
        transaction.run(
            "INSERT INTO arrival SELECT ?, ?, giver, received_at, decided_at, NULL FROM arrival LIMIT 1", (pk, "7" * 64)
        )
    assert client.read() == []
    assert "777777777777… under which it came is not on record" in str(
        find_use(desk.node, find_object_of(desk, X))[INSIDE]
    )


def test_what_was_received_and_has_lost_its_ways_is_judged_by_the_text_it_is_held_under(
    world: World, desk: Desk
) -> None:
    give(world, make_object("x"))
    with desk.node.store.write() as transaction:
        transaction.run("DELETE FROM arrival")
    assert Client(desk, ANY).read() == []
    assert Client(desk, INSIDE).read() == [X]


def partly(*marks: tuple[str, str], tlp: str | None = "green") -> dict[str, Json]:
    """A report of which some properties are marked on their own."""
    granular: list[Json] = [{"marking_ref": marking, "selectors": [name]} for name, marking in marks]
    return make_object("x", tlp=tlp, more={"description": "whom it is about", "granular_markings": granular})


RED, UNHEARD = tlp_id("red"), object_id("marking-definition", "unheard of")


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (make_object("x", tlp="red"), "TLP:RED"),
        (make_object("x", more={"object_marking_refs": [UNHEARD]}), "not"),
        (make_object("x", more={"object_marking_refs": [tlp_id("green"), UNHEARD]}), "not"),
        (make_object("x", more={"object_marking_refs": [tlp_id("green"), tlp_id("amber")]}), "contradict"),
        (make_object("x", tlp=None), "it bears no TLP"),
        (partly(("description", RED)), "a part of it is TLP:RED"),
        (partly(("description", UNHEARD)), "not held"),
        (partly(("description", UNHEARD), ("description", RED)), "not held"),
        (partly(("name", RED), tlp=None), ""),
        (make_object("x", refs=[object_id("report", "nowhere")]), "refers to something that is not held"),
        (make_object("x", refs=[object_id("report", "red")]), "TLP:RED"),
        (make_object("x", tlp=None, refs=[object_id("report", "red")]), "no TLP"),
        (make_object("x", refs=[object_id("report", "red"), object_id("report", "unmarked")]), "no TLP"),
    ],
)
def test_what_is_for_single_people_or_not_understood_is_for_no_program(
    world: World, desk: Desk, item: dict[str, Json], why: str
) -> None:
    world.add(B, make_object("red", tlp="red"), make_object("unmarked", tlp=None), make_object("other"), item)
    for actions in ACTIONS_ORDER:
        assert Client(desk, actions).read() == [object_id("report", "other")]
    use = find_use(desk.node, find_object_of(desk, X))
    assert all(reason is not None and why in reason for reason in use.values()), use


@pytest.mark.parametrize(
    "about",
    [
        {"person_classes": ["suspect"]},
        {"person_classes": ["associate"], "handling": ["H1"]},
        {"handling": ["H1", "H3"]},
    ],
)
def test_what_is_about_persons_or_restricted_in_words_is_to_be_looked_at_alone(
    world: World, desk: Desk, about: dict[str, Json]
) -> None:
    item = make_object("x")
    item["extensions"] = {
        name: {**said, **about} if isinstance(said, dict) else said
        for name, said in item["extensions"].items()  # type: ignore[union-attr]
    }
    world.add(B, item, make_object("y", refs=[X]))
    assert len(Client(desk, NONE).read()) == 2
    for actions in (ASK, INSIDE, PASSIVE, ANY):
        assert Client(desk, actions).read() == []
    use = find_use(desk.node, find_object_of(desk, X))
    assert [use[actions] is None for actions in ACTIONS_ORDER] == [True, False, False, False, False]
    assert "programs may only show it" in str(use[ANY])


def test_a_deletion_sets_nothing_free(world: World, desk: Desk) -> None:
    world.add(B, make_object("red", tlp="red"), make_object("x", refs=[object_id("report", "red")]))
    retention.delete(desk.node, object_id("report", "red"), reason="not needed")
    assert Client(desk, NONE).read() == []


def test_what_is_recalled_is_not_there_any_more(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    assert client.read() == [X]
    recall(desk.node, X, change=Change.WITHDRAW, versions=(), reason="wrong", by=world.actor(B, Role.LIAISON))
    assert client.read() == []
    assert client.ask(f"objects/{X}/").status_code == 404
    assert find_use(desk.node, find_object_of(desk, X))[INSIDE] == "it was recalled, or refers to what was"
    assert [(item.program, item.person, item.name, item.actions) for item in find_handed(desk.node, [X])] == [
        (client.made.program.id, ANALYST, "Sensors", INSIDE)
    ]


def test_what_is_said_later_shows_it_again_behind_what_was_read(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"), make_object("y"))
    client = Client(desk)
    page = client.ask("objects/")
    assert len(page.json()["objects"]) == 2
    last = page.headers["x-taxii-date-added-last"]
    assert client.read(f"?added_after={last}") == []
    world.tick()
    analyst = Actor(person=identify(desk.node, world.register(B, "borealia-other", Role.ANALYST)))
    said = classify.say(desk.node, X, {"regions": ["SY"]}, reason="it says so", by=analyst)
    assert isinstance(said, classify.Classified), said
    assert client.read(f"?added_after={last}") == [X]


# ---- pages, filters and resources ------------------------------------------------------------------------------------


def test_pages_follow_one_another_and_a_cursor_is_bound_to_its_question(world: World, desk: Desk) -> None:
    names = [object_id("report", f"r{n}") for n in range(7)]
    world.add(B, *(make_object(f"r{n}") for n in range(7)))
    client, found, query = Client(desk), list[str](), "?limit=3"
    for _ in range(4):
        page = client.ask(f"objects/{query}").json()
        found += [item["id"] for item in page.get("objects", [])]
        if not page.get("more"):
            break
        query = f"?limit=3&next={page['next']}"
    assert sorted(found) == sorted(names)
    first = client.ask("objects/?limit=3").json()["next"]
    assert client.ask(f"objects/?limit=3&match[type]=report&next={first}").status_code == 400
    assert client.ask(f"objects/?limit=3&next={first[:-2]}AA").status_code == 400
    assert client.ask(f"objects/?limit=5&next={first}").status_code == 200


def test_who_asks_by_time_misses_nothing_and_gets_nothing_twice(world: World, desk: Desk) -> None:
    client, seen, after = Client(desk), list[str](), "1970-01-01T00:00:00Z"
    for step in range(1, 5):
        world.add(B, *(make_object(f"{step}-{n}") for n in range(step)))
        answer = client.ask(f"objects/?added_after={after}")
        seen += [item["id"] for item in answer.json().get("objects", [])]
        after = answer.headers.get("x-taxii-date-added-last", after)
        world.now = max(0, world.now - 3_600_000_000)  # type: ignore[assignment]  # the clock is put back
    assert sorted(seen) == sorted(object_id("report", f"{step}-{n}") for step in range(1, 5) for n in range(step))


def test_what_comes_in_within_the_second_of_an_offer_waits_for_the_next_one(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    answer = client.ask("objects/")
    date = answer.headers["x-taxii-date-added-last"]
    assert date.endswith(".000000Z")
    world.add(B, make_object("y"))
    assert client.read(f"?added_after={date}") == []
    assert client.read() == [X]
    world.tick(2_000_000)
    assert client.read(f"?added_after={date}") == [object_id("report", "y")]


def test_the_dates_of_a_manifest_rise_and_its_records_are_those_of_the_objects(world: World, desk: Desk) -> None:
    client = Client(desk)
    for step in range(3):
        world.add(B, make_object(f"r{step}"))
        client.read()
        world.tick()
    listed = client.ask("manifest/").json()["objects"]
    assert [item["id"] for item in listed] == [object_id("report", f"r{n}") for n in range(3)]
    dates = [parse_instant(item["date_added"]) for item in listed]
    assert all(one < other for one, other in itertools.pairwise(dates))
    with desk.node.store.read() as transaction:
        assert {item["version"] for item in listed} == {find_object(transaction, listed[0]["id"]).version}


def test_one_object_its_versions_and_what_is_not_there(world: World, desk: Desk) -> None:
    world.add(B, make_object("x", day=1))
    world.add(B, make_object("x", day=2), make_object("y", kind="indicator"))
    client = Client(desk)
    (found,) = client.ask(f"objects/{X}/").json()["objects"]
    assert client.ask(f"objects/{X}/versions/").json()["versions"] == [found["modified"]]
    assert client.read(f"?match[version]={found['modified']}") == [X]
    assert client.read("?match[version]=2001-01-01T00:00:00Z") == []
    assert client.read("?match[type]=indicator") == [object_id("indicator", "y")]
    assert client.read(f"?match[id]={X}") == [X]
    assert client.read("?match[spec_version]=2.0") == []
    for path in (f"objects/{object_id('report', 'z')}/", "objects/nothing/", "nothing/", "/taxii2/borealia/"):
        assert client.ask(path).status_code == 404, path


def test_discovery_root_and_collections_say_what_it_may_use(desk: Desk) -> None:
    client = Client(desk, INSIDE, f"use:{NONE}")
    found = client.ask("/taxii2/").json()
    assert found["default"] == found["api_roots"][0] == "/taxii2/own/"
    assert client.ask("/taxii2/own").json()["versions"] == [MEDIA_TYPE]
    listed = client.ask("/taxii2/own/collections/").json()["collections"]
    assert {item["id"] for item in listed} == {find_collection(B, INSIDE), find_collection(B, NONE)}
    assert all(item["can_read"] and not item["can_write"] and "." not in item["title"] for item in listed)
    assert client.ask("").json() in listed


def test_a_page_is_compressed_for_who_asks_for_it(world: World, desk: Desk) -> None:
    world.add(B, *(make_object(f"r{n}") for n in range(9)))
    client = Client(desk)
    assert client.ask("objects/", **{"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"
    plain = client.ask("objects/", **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert client.ask("objects/", **{"accept-encoding": "gzip"}).content == plain.content


def test_many_that_are_not_for_it_end_in_a_page_all_the_same(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usable, "_LOOKED_AT", 5)
    world.add(B, *(make_object(f"r{n}", tlp="red") for n in range(19)), make_object("x"))
    assert Client(desk).read("?limit=1") == [X]


def test_a_client_that_goes_on_by_the_last_date_gets_all(world: World, desk: Desk) -> None:
    world.add(B, *(make_object(f"r{n}") for n in range(30)))
    client, found, after = Client(desk), list[str](), "1970-01-01T00:00:00Z"
    for _ in range(4):
        answer = client.ask(f"objects/?limit=10&added_after={after}")
        found += [item["id"] for item in answer.json().get("objects", [])]
        after = answer.headers["x-taxii-date-added-last"]
    assert len(found) == len(set(found)) == 30
    answer = client.ask(f"objects/?added_after={after}")
    assert (answer.content, answer.headers["x-taxii-date-added-last"]) == (b"{}", after)


def test_a_recall_while_a_page_is_filled_counts_for_it(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usable, "_LOOKED_AT", 2)
    world.add(B, make_object("x"), *(make_object(f"r{n}") for n in range(5)))
    client, list_part, looks = Client(desk), usable.list_part, itertools.count()

    def recall_in_between(*given: Any, **more: Any) -> usable.Part:  # noqa: ANN401
        if next(looks) == 1:
            recall(desk.node, X, change=Change.WITHDRAW, versions=(), reason="wrong", by=world.actor(B, Role.LIAISON))
        return list_part(*given, **more)

    monkeypatch.setattr(usable, "list_part", recall_in_between)
    found = client.read()
    assert X not in found
    assert len(found) >= 4


@pytest.mark.parametrize("resource", ["objects", "manifest"])
def test_an_assessment_whose_time_passes_while_a_program_waits_for_its_page_is_not_in_it(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    group, ends = object_id("intrusion-set", "group"), Instant(world.now + 60_000_000)
    world.add(B, make_object("group", kind="intrusion-set"))
    assessment = NewAssessment(
        assessed=group,
        title="What is expected of the group",
        text="It has said that it will come back.",
        author="Desk 3",
        threat="may attack shipping",
        may_go_to=[],
        may_return_to=[],
        basis="two reports of this year",
        evaluation="admiralty:B2",
        tlp="green",
        expires_at=ends,
    )
    written = assess(desk.node, assessment, by=world.actor(B))
    assert isinstance(written, Assessed)
    client, list_part = Client(desk, NONE), usable.list_part
    assert written.id in client.ask(f"{resource}/").text

    def wait_for_others(*given: Any, **more: Any) -> usable.Part:  # noqa: ANN401
        world.now = ends
        return list_part(*given, **more)

    monkeypatch.setattr(usable, "list_part", wait_for_others)
    read = client.ask(f"{resource}/").text
    assert group in read
    assert written.id not in read


def test_a_page_of_which_nothing_fits_any_more_is_followed_by_the_next(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(B, make_object("x"), make_object("y"))
    client, read_fitting, looks = Client(desk), usable.read_fitting, itertools.count()

    def lose_first(*given: Any) -> Any:  # noqa: ANN401
        return [] if next(looks) == 0 else read_fitting(*given)

    monkeypatch.setattr(usable, "read_fitting", lose_first)
    assert len(client.read("?limit=1")) == 1
    assert next(looks) == 2


def test_programs_that_ask_at_once_all_get_their_page(world: World, desk: Desk) -> None:
    world.add(B, *(make_object(f"r{n}") for n in range(5)))
    client = Client(desk)

    async def ask_all() -> int:
        app = desk.visit(None).app
        headers = {"authorization": f"Bearer {client.made.token}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=URL, headers=headers) as asking:
            answers = await asyncio.gather(*(asking.get(f"{client.at}objects/?limit=1") for _ in range(20)))
        return sum(answer.status_code == 200 for answer in answers)

    assert asyncio.run(ask_all()) == 20


def test_a_page_is_no_longer_than_its_bound(world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("comity.console.usable.MOST_BYTES", 10_000)
    monkeypatch.setattr(usable, "_LOOKED_AT", 5)
    world.add(B, *(make_object(f"r{n}", more={"description": "x" * 1_000}) for n in range(30)))
    assert len(Client(desk).ask("objects/").content) < 11_000


def test_many_labels_are_judged_in_steps_and_anew_after_a_change(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usable, "_LABELS_AT_ONCE", 2)
    regions = ["AF", "AL", "DZ", "AD", "AO", "AR", "AM"]
    world.add(B, *(make_object(f"r{n}", regions=[region]) for n, region in enumerate(regions)))
    steps = [usable.learn(desk.node, INSIDE) for _ in range(6)]
    assert steps.count(True) >= 3
    assert not steps[-1]
    client = Client(desk)
    assert len(client.read()) == 7
    retention.delete(desk.node, object_id("report", "r6"), reason="not needed")
    world.add(B, make_object("red", tlp="red", regions=["AZ"]))
    world.tick(2_000_000)
    assert len(client.read()) == 6


def test_long_objects_are_divided(world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usable, "MOST_BYTES", 1_000)
    monkeypatch.setattr("comity.console.usable.MOST_BYTES", 1_000)
    world.add(B, *(make_object(f"r{n}", more={"description": "x" * 600}) for n in range(3)))
    client, found, query = Client(desk), list[str](), ""
    for _ in range(5):
        page = client.ask(f"objects/{query}").json()
        found += [item["id"] for item in page.get("objects", [])]
        assert len(page.get("objects", [])) <= 1
        if not page.get("more"):
            break
        query = f"?next={page['next']}"
    assert len(found) == len(set(found)) == 3


# ---- who asks --------------------------------------------------------------------------------------------------------


def test_a_token_is_taken_in_every_way_that_clients_send_one(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    token = client.made.token
    basic = base64.b64encode(f"sensors:{token}".encode()).decode()
    for headers in (
        {"authorization": f"Bearer {token}"},
        {"authorization": f"token {token}"},
        {"authorization": f"Basic {basic}"},
        {"x-api-key": token, "authorization": ""},
    ):
        assert client.ask("objects/", **headers).status_code == 200, headers
    assert client.ask("/objects.json", authorization=f"Basic {basic}").status_code != 200
    bad = client.ask("objects/", authorization=f"Bearer {token[:-1]}{'0' if token[-1] != '0' else '1'}")
    assert (bad.status_code, bad.headers["content-type"]) == (401, MEDIA_TYPE)
    assert client.ask("objects/", authorization="").status_code == 303


def test_a_program_without_the_word_and_a_person_get_nothing(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client, other = Client(desk), Client(desk, NONE)
    others = make_program(desk.node, ANALYST, name="n", may=("objects", "take-in"), days=1)
    assert client.ask("objects/", authorization=f"Bearer {others.token}").status_code == 404
    assert other.ask(f"{client.at}objects/").status_code == 404
    browser = desk.visit(make_person(ANALYST, Role.ANALYST))
    assert browser.get(f"{client.at}objects/", accept=MEDIA_TYPE).status_code == 404
    assert client.ask("/objects.json").status_code == 404


def test_a_browser_that_keeps_what_was_typed_gets_nothing(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    assert client.ask("objects/", **{"sec-fetch-site": "cross-site"}).status_code == 404
    assert client.ask("objects/", **{"sec-fetch-site": "none"}).status_code == 404
    assert find_handed(desk.node, [X]) == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_is_written(world: World, desk: Desk, method: str) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    assert client.ask("objects/", method).status_code == 404
    assert client.ask(f"objects/{X}/", method).status_code == 404


def test_whose_roles_see_no_objects_has_no_program_that_does(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    world.register(B, "borealia-operator", Role.OPERATOR)
    made = make_program(desk.node, PersonId("borealia-operator"), name="n", may=[f"use:{NONE}"], days=1)
    client = Client(desk, NONE)
    assert client.ask("objects/").status_code == 200
    assert client.ask("objects/", authorization=f"Bearer {made.token}").status_code == 404
    assert client.ask("/taxii2/", authorization=f"Bearer {made.token}").status_code == 404


def test_one_that_ends_while_its_page_is_filled_gets_none(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(B, make_object("x"))
    client, list_part = Client(desk), usable.list_part

    def end_first(*given: Any, **more: Any) -> usable.Part:  # noqa: ANN401
        end_program(desk.node, ANALYST, client.made.program.id)
        return list_part(*given, **more)

    monkeypatch.setattr(usable, "list_part", end_first)
    assert client.ask("objects/").status_code == 404
    assert find_handed(desk.node, [X]) == []


def test_with_its_person_it_ends(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    remove_person(desk.node, ANALYST)
    assert client.ask("objects/").status_code == 401


# ---- what is kept of it ----------------------------------------------------------------------------------------------


def test_what_it_may_have_is_kept_before_it_gets_it(world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)

    def fail(*_: object, **__: object) -> None:
        raise StoreFull("no room")

    monkeypatch.setattr(usable, "note_handed", fail)
    answer = client.ask("objects/")
    assert answer.status_code == 503
    assert X.encode() not in answer.content


def test_a_manifest_gives_nothing_and_is_not_kept_as_if_it_did(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    client.ask("manifest/")
    client.ask(f"objects/{X}/versions/")
    assert find_handed(desk.node, [X]) == []
    client.ask(f"objects/{X}/")
    assert len(find_handed(desk.node, [X])) == 1


def test_a_version_that_came_again_and_went_again_keeps_its_place(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    Client(desk).read()
    for _ in range(2):
        retention.delete(desk.node, X, reason="not needed")
        assert [item.name for item in find_handed(desk.node, [X])] == ["Sensors"]
        world.add(B, make_object("x"))


def test_who_may_have_a_copy_is_known_after_the_program_has_ended(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    client.read()
    world.add(B, make_object("later"))
    end_program(desk.node, ANALYST, client.made.program.id)
    assert [item.name for item in find_handed(desk.node, [X])] == ["Sensors"]
    assert find_handed(desk.node, [object_id("report", "later")]) == []


def test_it_is_no_disclosure_and_asking_again_writes_nothing(world: World, desk: Desk) -> None:
    world.add(B, make_object("x"))
    client = Client(desk)
    before = [
        entry for entry in list_entries(desk.node, start=0, limit=1_000) if entry.leaf.type is EntryType.DISCLOSURE
    ]
    client.read()
    version = desk.node.store.read_version()
    assert client.read() == [X]
    assert desk.node.store.read_version() == version
    assert [
        entry for entry in list_entries(desk.node, start=0, limit=1_000) if entry.leaf.type is EntryType.DISCLOSURE
    ] == before


def test_there_is_a_word_for_each_use(desk: Desk) -> None:
    assert [*USES.values()] == [*ACTIONS_ORDER]
    assert len({find_collection(B, actions) for actions in ACTIONS_ORDER}) == 5
    assert find_collection(A, NONE) != find_collection(B, NONE)
    assert isinstance(Client(desk, NONE).made.program, StoredProgram)


def test_a_recall_that_comes_names_the_programs_also_when_the_object_is_gone(world: World, desk: Desk) -> None:
    give(world, make_object("x"))
    client = Client(desk)
    assert client.read() == [X]
    recall(world.nodes[A], X, change=Change.WITHDRAW, versions=(), reason="wrong", by=world.actor(A, Role.LIAISON))
    world.deliver()
    browser = desk.visit(make_person(ANALYST, Role.ANALYST))
    assert client.read() == []
    with pytest.raises(NotFoundError, match="was deleted"):
        find_object_of(desk, X)
    shown = browser.get(f"/objects/{X}.json").json()
    assert shown["use"] is None
    assert [each["name"] for each in shown["handed"]] == ["Sensors"]
    assert "Sensors" in browser.get(f"/objects/{X}").text
    (letter,) = [told.stored.letter.digest for told in list_recalls(desk.node, limit=9)[1]]
    liaison = desk.visit(make_person("borealia-liaison", Role.LIAISON))
    assert [each["name"] for each in liaison.get(f"/recalls/{letter}.json").json()["handed"]] == ["Sensors"]
    assert "Sensors" in liaison.get(f"/recalls/{letter}").text


def test_the_page_of_an_object_says_for_what_it_may_be_used_and_why_not(world: World, desk: Desk) -> None:
    give(world, make_object("x"))
    browser = desk.visit(make_person(ANALYST, Role.ANALYST))
    use = browser.get(f"/objects/{X}.json").json()["use"]
    assert [use[actions] is None for actions in ACTIONS_ORDER] == [True, True, True, False, False]
    page = browser.get(f"/objects/{X}").text
    assert "Externally visible direct actions" in page
    assert "under which it came, permits internally-visible-actions at most" in page


def find_object_of(desk: Desk, name: ObjectId) -> Any:  # noqa: ANN401
    with desk.node.store.read() as transaction:
        return find_object(transaction, name)
