# SPDX-License-Identifier: Apache-2.0
"""An article in the console: read into drafts, decided on by people, and nothing before the report is made."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from comity.agreement.people import Role
from comity.console.articles import Piece, cut_pieces
from comity.console.visit import Visit
from comity.intake.formats import Format
from comity.node import articles
from comity.node.articles import ArticlePlan, add_article
from comity.node.explain import show_object
from tests.consoles import URL, Browser, Desk, make_person
from tests.worlds import World

TEXT = """Lucent and Norrhaven talk

March 4, 2031

Russian Foreign Minister Ivan Petrov denied reports that Germany had paid the rebels in Lisbon.

Halcyon said that it had seen hxxp://a[.]example/x and the hash
3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea.

Original url:
https://wire.example/a
"""
ANALYST = make_person("aurelia-analyst", Role.ANALYST)
ACTED = "aurelia-analyst (analyst)"

pytestmark = pytest.mark.slow


@pytest.fixture
def analyst(world: World, desk: Desk) -> Browser:
    world.register("aurelia", ANALYST.id, Role.ANALYST)
    return desk.visit(ANALYST)


def count(world: World) -> int:
    with world.nodes["aurelia"].store.read() as transaction:
        return len(transaction.rows("SELECT id FROM object"))


def add(world: World, text: str = TEXT) -> None:
    add_article(world.nodes["aurelia"], text.encode(), "talks.txt", ArticlePlan(form=Format.TEXT))


def find_key(browser: Browser, desk: Desk) -> str:
    return Visit(person=ANALYST, token=browser.cookies["comity"], ask_as=desk.ask).form_key


def test_a_file_is_kept_and_read_and_is_no_object(world: World, desk: Desk, analyst: Browser) -> None:
    assert "No article is kept." in analyst.get("/articles").text
    headers = {"origin": URL, "sec-fetch-site": "same-origin"}

    async def click() -> dict[str, object]:
        transport = httpx.ASGITransport(app=analyst.app)
        async with httpx.AsyncClient(transport=transport, base_url=URL, cookies=analyst.cookies) as client:
            fields = {"form_key": find_key(analyst, desk), "publisher": "Fictional Wire", "published": "", "url": ""}
            files = {"file": ("talks.txt", TEXT.encode())}
            begun = await client.post("/articles", data=fields, files=files, headers=headers)
            assert begun.status_code == 303, begun.text
            path = begun.headers["location"]
            while 'http-equiv="refresh"' in (await client.get(path)).text:  # noqa: ASYNC110 (its page says when)
                await asyncio.sleep(0.05)
            result: dict[str, object] = (await client.get(f"{path}.json")).json()["result"]
            return result

    result = asyncio.run(click())
    assert (result["publisher"], result["already"]) == ("Fictional Wire", False)
    (listed,) = analyst.get("/articles.json").json()["articles"]
    assert (listed["title"], listed["added_by"]) == ("Lucent and Norrhaven talk", ANALYST.id)
    assert listed["open"] > 5
    assert count(world) == 0


def test_drafts_are_decided_on_and_the_report_is_made(world: World, analyst: Browser) -> None:
    add(world)
    drafts = analyst.get("/articles/1.json").json()["drafts"]
    page = analyst.get("/articles/1").text
    assert "<mark><bdi" in page
    assert "Ivan Petrov" in page
    by_kind = {item["kind"]: str(item["number"]) for item in drafts}
    first, second, third = by_kind["person"], by_kind["observable"], by_kind["statement"]
    assert "said=done" in analyst.post("/articles/1/confirm", "/articles/1", number=first).headers["location"]
    assert "said=done" in analyst.post("/articles/1/confirm", "/articles/1", number=second).headers["location"]
    struck = analyst.post("/articles/1/strike", "/articles/1", number=third, reason="another Lisbon")
    assert "said=done" in struck.headers["location"]
    states = {item["number"]: (item["state"], item["by"], item["reason"]) for item in read(analyst)}
    assert states[int(first)][:2] == ("confirmed", ACTED)
    assert states[int(third)] == ("struck", ACTED, "another Lisbon")
    assert count(world) == 0
    refused = analyst.post("/articles/1/make", "/articles/1", tlp="green")
    assert refused.status_code == 409
    assert count(world) == 0
    made = analyst.post("/articles/1/make", "/articles/1", tlp="green", regions="IQ", strike_open="yes")
    assert made.status_code == 303, made.text[-700:]
    report = analyst.get("/articles/1.json").json()["report"]
    assert show_object(world.nodes["aurelia"], report).label.tlp == "green"
    assert re.search(rf'href="/objects/{report}">made', analyst.get("/articles/1").text)


def read(browser: Browser) -> list[dict[str, Any]]:
    drafts: list[dict[str, Any]] = browser.get("/articles/1.json").json()["drafts"]
    return drafts


def test_a_reason_to_strike_confirms_nothing(world: World, analyst: Browser) -> None:
    """Enter in the field of the reason presses the button that stands before it."""
    add(world)
    sent = analyst.post("/articles/1/confirm", "/articles/1", number="1", reason="another Lisbon")
    assert sent.status_code == 400
    assert "a reason to strike is written, and nothing was confirmed" in sent.text
    assert "another Lisbon</textarea>" in sent.text
    assert {item["state"] for item in read(analyst)} == {"open"}
    assert "Where: <code>reason</code>" in sent.text


def test_no_page_names_the_option_of_a_command(world: World, analyst: Browser) -> None:
    add(world)
    sent = analyst.post("/articles/1/correct", "/articles/1", one="1", value="x" * 5_000)
    assert (sent.status_code, "Where: <code>value</code>" in sent.text) == (400, True)


def test_what_is_noted_of_a_draft_is_shown(world: World, analyst: Browser) -> None:
    """A day that was told from the day of publication is looked at first; who confirms it has to know."""
    add(world, TEXT.replace("denied reports", "denied on Thursday reports"))
    day = next(item for item in read(analyst) if item["notes"])
    page = analyst.get("/articles/1").text
    row = page[page.index(f'id="draft-{day["number"]}"') :].partition("</tr>")[0]
    assert day["notes"][0] in row
    assert f"; about {', '.join(map(str, day['refers']))}" in row


def test_whom_a_report_is_limited_to_is_shown(world: World, analyst: Browser) -> None:
    """The field is empty when it is made again: that widens nothing, and the page says so."""
    add(world)
    before = analyst.get("/articles/1").text
    assert "none: any party that terms admit" in before
    assert '<option value="">none</option>' in before
    assert "what is left empty stays as it was then" not in before
    drafts = [str(item["number"]) for item in read(analyst) if item["kind"] == "observable"]
    analyst.post("/articles/1/confirm", "/articles/1", number=drafts[0])
    fields = {"tlp": "green", "strike_open": "yes"}
    assert analyst.post("/articles/1/make", "/articles/1", audience="aurelia", **fields).status_code == 303
    page = analyst.get("/articles/1").text
    assert "for good it reaches nobody but" in page
    assert "none: as before; a limit is never widened" in page
    assert "none: any party that terms admit" not in page
    assert "what is left empty stays as it was then" in page
    assert '<option value="">none</option>' not in page, "a marking is not taken away: that would be a promise not kept"
    assert analyst.post("/articles/1/make", "/articles/1", **fields).status_code == 303
    made = analyst.get("/articles/1.json").json()
    assert (made["audience"], made["tlp"]) == (["aurelia"], "green")


def test_a_draft_is_corrected_and_again_what_was_read(world: World, analyst: Browser) -> None:
    add(world)
    person = next(item for item in read(analyst) if item["kind"] == "person")
    fields = {"one": str(person["number"]), "value": "Iwan Petrow", "field": ""}
    assert analyst.post("/articles/1/correct", "/articles/1", **fields).status_code == 303
    (said,) = next(item for item in read(analyst) if item["kind"] == "person")["corrections"]
    assert (said["value"], said["by"]) == ("Iwan Petrow", ACTED)
    assert "corrected to" in analyst.get("/articles/1").text
    assert analyst.post("/articles/1/correct", "/articles/1", **{**fields, "value": ""}).status_code == 303
    assert next(item for item in read(analyst) if item["kind"] == "person")["corrections"] == []


def test_pages_are_bounded_and_lead_on(world: World, analyst: Browser) -> None:
    seen = "\n".join(f"See hxxp://a{number}[.]example/x now." for number in range(250))
    add(world, f"Long\n\nMarch 4, 2031\n\n{seen}")
    page = analyst.get("/articles/1").text
    assert page.count('type="checkbox" name="number"') == 100
    path = re.search(r'<a href="(/articles/1\?[^"]+)" rel="next"', page)
    assert path is not None
    more = analyst.get(path[1].replace("&amp;", "&")).text
    assert more.count('type="checkbox" name="number"') == 100
    assert analyst.get("/articles/1?from=99999999999999").status_code == 200
    assert "There is no such draft." in analyst.get("/articles/1?state=struck").text
    assert analyst.get("/articles/1?state=nothing").status_code == 400


def test_who_may_not_read_objects_finds_no_article(world: World, desk: Desk) -> None:
    add(world)
    for role in (Role.AUDITOR, Role.OPERATOR):
        browser = desk.visit(make_person("somebody", role))
        for path in ("/articles", "/articles.json", "/articles/1", "/articles/1.json"):
            assert "Lucent" not in browser.get(path).text
            assert browser.get(path).status_code == 404
        assert 'href="/articles"' not in browser.get("/").text


def test_what_a_stranger_wrote_is_text(world: World, analyst: Browser) -> None:
    evil = "<script>alert(1)</script>"
    said = f"Russian Foreign Minister Ivan Petrov {evil} denied it in Lisbon. \u202egnp.exe"
    add(world, f"{evil}\n\nMarch 4, 2031\n\n{said}\n")
    assert articles.list_articles(world.nodes["aurelia"], last=1)
    for path in ("/articles", "/articles/1"):
        page = analyst.get(path).text
        assert evil not in page
        assert "\u202e" not in page


def test_nothing_chosen_is_told(world: World, analyst: Browser) -> None:
    add(world)
    assert analyst.post("/articles/1/confirm", "/articles/1").status_code == 400


def test_the_text_is_read_whole_with_each_draft_in_its_place(world: World, analyst: Browser) -> None:
    add(world)
    shown = analyst.get("/articles/1/text.json").json()
    assert shown["text"].startswith("Lucent and Norrhaven talk")
    drafts = {item["number"]: item for item in analyst.get("/articles/1.json").json()["drafts"]}
    assert {item["number"] for item in shown["drafts"]} == drafts.keys()
    for item in shown["drafts"]:
        assert shown["text"][item["offset"] :].startswith(drafts[item["number"]]["text"][:20])
    page = analyst.get("/articles/1/text").text
    person = next(item["number"] for item in drafts.values() if item["kind"] == "person")
    assert re.search(rf">Ivan Petrov</bdi></mark><sup><a href=\"/articles/1\?from={person}#draft-{person}\">", page)
    assert f'id="draft-{person}"' in analyst.get(f"/articles/1?from={person}").text
    assert f'id="at-{person}"' in page


def test_a_long_text_is_read_by_pages(world: World, analyst: Browser) -> None:
    add(world, f"{TEXT}\n{'word ' * 12_000}\nGermany said so.\n")
    page = analyst.get("/articles/1/text").text
    assert 'href="/articles/1/text?from=50000"' in page
    first, rest = (analyst.get(f"/articles/1/text.json?from={place}").json() for place in (0, 50_000))
    assert (first["next"], rest["next"], len(first["text"])) == (50_000, None, 50_000)
    assert len(first["text"] + rest["text"]) == first["characters"]
    for place in ("999999", "9999999999", "x", "-1"):
        assert analyst.get(f"/articles/1/text?from={place}").status_code in {200, 400}


def test_nothing_of_a_text_is_markup(world: World, analyst: Browser) -> None:
    add(world, "<img src=x> talks\n\nMarch 4, 2031\n\nGermany <script>said</script> \u202e so in Lisbon.\n")
    page = analyst.get("/articles/1/text").text
    assert "<img" not in page
    assert "<script>said" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize(
    ("drafts", "pieces"),
    [
        ([], [Piece("abcdef", marked=False, begins=(), ends=())]),
        (
            [(1, 10, 3), (2, 11, 2)],
            [
                Piece("a", marked=True, begins=(1,), ends=()),
                Piece("bc", marked=True, begins=(2,), ends=(1, 2)),
                Piece("def", marked=False, begins=(), ends=()),
            ],
        ),
        (
            [(1, 8, 4), (2, 15, 9)],
            [
                Piece("ab", marked=True, begins=(), ends=(1,)),
                Piece("cde", marked=False, begins=(), ends=()),
                Piece("f", marked=True, begins=(2,), ends=()),
            ],
        ),
    ],
)
def test_pieces_are_cut_where_drafts_begin_and_end(drafts: list[tuple[int, int, int]], pieces: list[Piece]) -> None:
    """Also where one began on the page before, or ends on the next."""
    said = [{"number": number, "offset": offset, "length": length} for number, offset, length in drafts]
    assert list(cut_pieces("abcdef", 10, said)) == pieces


def test_the_rules_are_read(analyst: Browser) -> None:
    page = analyst.get("/articles/rules")
    assert page.status_code == 200
    assert "[offices]" in page.text
    assert "[offices]" not in analyst.get("/articles/rules?section=aliases").text
    assert analyst.get("/articles/rules?section=nothing").status_code == 400


def test_an_article_is_deleted_on_a_page_that_says_what_goes_and_what_stays(world: World, analyst: Browser) -> None:
    add(world)
    person = next(str(item["number"]) for item in read(analyst) if item["kind"] == "person")
    analyst.post("/articles/1/confirm", "/articles/1", number=person)
    analyst.post("/articles/1/make", "/articles/1", tlp="green", strike_open="yes")
    shown, kept = analyst.get("/articles/1.json").json(), count(world)
    assert 'href="/articles/1/delete"' in analyst.get("/articles/1").text
    page = analyst.get("/articles/1/delete").text
    assert "It cannot be taken back." in page
    assert f'href="/objects/{shown["report"]}"' in page
    fields = {"seen": str(shown["decisions"]), "made": shown["made_at"]}
    assert analyst.post("/articles/1/delete", "/articles/1/delete", reason="  ", **fields).status_code == 400
    assert analyst.get("/articles/1").status_code == 200
    done = analyst.post("/articles/1/delete", "/articles/1/delete", reason="Order 12", **fields)
    assert done.headers["location"] == "/articles?said=deleted"
    after = analyst.get("/articles?said=deleted").text
    assert "Deleted, and on record." in after
    assert "No article is kept." in after
    assert count(world) == kept
    assert analyst.get(f"/objects/{shown['report']}").status_code == 200


def test_a_page_of_an_article_that_was_deleted_meanwhile_finds_none(world: World, analyst: Browser) -> None:
    """Nor does it find another one that was added since."""
    add(world)
    assert analyst.post("/articles/1/delete", "/articles/1/delete", reason="by mistake").status_code == 303
    add(world, TEXT.replace("Lisbon", "Porto"))
    for act in ("confirm", "strike", "correct", "make", "delete"):
        fields = {"number": "1", "one": "1", "value": "x", "tlp": "green", "reason": "r", "seen": "0"}
        answer = analyst.post(f"/articles/1/{act}", "/articles", **fields)
        assert (act, answer.status_code) == (act, 404)
    for path in ("/articles/1", "/articles/1/text", "/articles/1/delete", "/articles/1.json"):
        assert analyst.get(path).status_code == 404
    assert {item["state"] for item in analyst.get("/articles/2.json").json()["drafts"]} == {"open"}


def test_what_was_decided_since_the_page_was_opened_is_not_deleted(world: World, analyst: Browser) -> None:
    add(world)
    analyst.post("/articles/1/confirm", "/articles/1", number="1")
    old = {"seen": "0", "made": ""}
    assert analyst.post("/articles/1/delete", "/articles/1/delete", reason="r", **old).status_code == 409
    assert analyst.get("/articles/1").status_code == 200


def test_who_may_not_decide_on_drafts_deletes_no_article(world: World, desk: Desk) -> None:
    add(world)
    for role in (Role.AUDITOR, Role.OPERATOR):
        browser = desk.visit(make_person("somebody", role))
        assert browser.get("/articles/1/delete").status_code == 404
        key = Visit(person=make_person("somebody", role), token=browser.cookies["comity"], ask_as=desk.ask).form_key
        assert browser.send_form("/articles/1/delete", form_key=key, reason="r").status_code == 404
    assert [item.number for item, _ in articles.list_articles(world.nodes["aurelia"], last=5)] == [1]
