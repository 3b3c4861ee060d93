# SPDX-License-Identifier: Apache-2.0
"""Articles are read by a process of its own: the same article as here, and an end to what takes too long."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from comity import articles
from comity.articles import ReadArticle, close_reader, read_in_turns, read_rules, read_tables
from comity.conversion.child import Bounds
from comity.errors import MalformedArticle, MalformedRequest, NotInstalled, UnavailableError
from comity.intake.article.gazetteer import EMPTY, parse_gazetteer
from comity.intake.article.html import parse_html
from comity.intake.article.numbering import number_drafts
from comity.intake.article.pdf import parse_pdf
from comity.intake.article.reading import read_article
from comity.intake.article.rules import compile_rules
from comity.intake.article.text import Source, parse_plain
from comity.intake.formats import Format
from comity.node.steps import advance, finish
from tests.intake.annotated import CORPUS, RETRIEVED
from tests.intake.pdfs import make_pdf

SOURCE = Source(retrieved_at=RETRIEVED, publisher="Said")
PAGE = (CORPUS / "first" / "04-news-page.html").read_bytes()
PDF = make_pdf((CORPUS / "first" / "12-statement.pdf.txt").read_text())
TEXT = (
    b"A title\n\n3 May 2031\n\nGermany denied that it had seen hxxp://a[.]example/x. Germany said so in Muslim Lisbon."
)
OWN = b'[add.aliases.DE]\nnames = ["Teutonia"]\n'
KNOWN = b'[[known]]\nid = "national:rain"\nname = "Rimward Front"\n'


def read(data: bytes, form: Format, known: bytes = b"", own: bytes = b"") -> ReadArticle:
    return finish(read_in_turns(data, SOURCE, form=form, known=known, own=own))


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """No reader is left from another test, or for one."""
    close_reader()
    yield
    close_reader()


def test_a_text_and_its_drafts_are_the_same_as_if_they_were_read_here() -> None:
    done, here = read(TEXT, Format.TEXT), parse_plain(TEXT, source=SOURCE)
    assert done.article == here
    assert done.drafts == number_drafts(read_article(here, compile_rules(read_tables()), EMPTY))
    assert [item.number for item in done.drafts] == [*range(1, len(done.drafts) + 1)]
    assert any(item.draft.warnings for item in done.drafts)


@pytest.mark.slow
def test_a_page_and_a_pdf_are_the_same_as_if_they_were_read_here() -> None:
    assert read(PAGE, Format.HTML).article == parse_html(PAGE, source=SOURCE)
    assert read(PDF, Format.PDF).article == parse_pdf(PDF, source=SOURCE)


def test_an_organisation_is_found_where_it_is_said_to_be_known() -> None:
    data = TEXT + b" The Rimward Front agreed."
    assert not [item for item in read(data, Format.TEXT).drafts if item.draft.kind.value == "organisation"]
    (found,) = [item for item in read(data, Format.TEXT, KNOWN).drafts if item.draft.kind.value == "organisation"]
    assert data.decode()[found.start : found.end] == "Rimward Front"


@pytest.mark.parametrize("known", [b"[[known", b'[[known]]\nid = "a:b"\nname = "Muslims"\n', b"\xff"])
def test_what_is_wrong_with_the_gazetteer_is_said(known: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read(TEXT, Format.TEXT, known)


@pytest.mark.slow
def test_what_is_refused_there_is_refused_here_with_the_same_words() -> None:
    with pytest.raises(MalformedArticle, match="do not begin as a PDF does"):
        read(b"x", Format.PDF)


def test_one_reader_reads_many_and_each_article_is_read_by_a_copy_of_it() -> None:
    first = read(TEXT, Format.TEXT)
    ((_, _, child),) = articles._KEPT
    assert read(TEXT, Format.TEXT) == first
    assert [kept[2] for kept in articles._KEPT] == [child]
    assert not child.ended
    with pytest.raises(MalformedArticle, match="do not begin as a PDF does"):
        read(b"x", Format.PDF)
    assert [kept[2] for kept in articles._KEPT] == [child]


def test_a_reader_that_is_ready_for_something_else_is_ended() -> None:
    read(TEXT, Format.TEXT)
    ((_, _, child),) = articles._KEPT
    changed = read(TEXT.replace(b"Germany", b"Teutonia"), Format.TEXT, own=OWN)
    assert child.ended
    assert "place/DE" in {item.draft.key for item in changed.drafts}


def test_a_reader_that_waited_long_or_has_ended_is_asked_no_more() -> None:
    done = read(TEXT, Format.TEXT)
    ((ready, since, child),) = articles._KEPT
    articles._KEPT[:] = [(ready, since - 11, child)]
    assert read(TEXT, Format.TEXT) == done
    assert child.ended
    articles._KEPT[0][2].close()
    assert read(TEXT, Format.TEXT) == done


def test_a_copy_of_this_process_leaves_the_reader_alone() -> None:
    done = read(TEXT, Format.TEXT)
    ((_, _, child),) = articles._KEPT
    if (copy := os.fork()) == 0:
        kept = len(articles._KEPT)
        close_reader()
        os._exit(kept)
    assert os.waitpid(copy, 0)[1] == 0
    assert not child.ended
    assert read(TEXT, Format.TEXT) == done
    assert articles._KEPT[0][2] is child


def test_a_reader_whose_article_is_given_up_is_ended() -> None:
    read(TEXT, Format.TEXT)
    ((_, _, child),) = articles._KEPT
    steps = read_in_turns(TEXT * 1_000, SOURCE, form=Format.TEXT, turn=0.0)
    assert advance(steps) is None
    steps.close()
    assert child.ended
    assert articles._KEPT == []


def test_own_rules_that_are_wrong_are_said() -> None:
    with pytest.raises(MalformedRequest, match="never taken out"):
        read(TEXT, Format.TEXT, own=b"[people]\nwords = []\n")


def test_other_formats_are_none_of_articles() -> None:
    with pytest.raises(MalformedArticle, match="csv is no format of articles"):
        read(b"a,b", Format.CSV)


def test_others_get_turns_while_it_is_read() -> None:
    steps, turns = read_in_turns(TEXT, SOURCE, form=Format.TEXT, turn=0.001), 0
    while advance(steps) is None:
        turns += 1
    assert turns > 3


def answering(monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception) -> None:
    """Let the process say that, whatever it is asked."""

    class Fake:
        def __init__(self, module: str, *, bounds: Bounds) -> None:
            pass

        ended = False
        asked = 0

        def close(self) -> None:
            pass

        def ask(self, frame: bytes) -> None:
            self.asked += 1

        def answer(self, *, wait: float) -> bytes:
            if self.asked == 1:
                return b"{}"  # it is ready
            if isinstance(answer, Exception):
                raise answer
            return answer

    close_reader()
    monkeypatch.setattr(articles, "Child", Fake)


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"text": "cut', MalformedRequest("it ended before it answered")])
def test_a_process_that_ended_without_a_word_is_a_page_that_took_too_much(
    answer: bytes | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, answer)
    with pytest.raises(MalformedArticle, match="took more than 60 seconds or 1024 MiB"):
        read(PAGE, Format.HTML)


def test_a_process_that_cannot_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(UnavailableError, match="could not be started"):
        read(TEXT, Format.TEXT)


def test_a_process_that_says_what_is_not_installed_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, b'{"error": "not-installed", "detail": "no lxml"}')
    with pytest.raises(NotInstalled, match="no lxml"):
        read(PAGE, Format.HTML)


def answer_with(**more: object) -> bytes:
    value = {name: one for name, one in asdict(parse_html(PAGE, source=SOURCE)).items() if name != "received"}
    return json.dumps({**value, "drafts": [], "special": [], **more}).encode()


def test_places_outside_of_the_text_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process read a stranger's page: what it says is checked as a stranger's."""
    places = {"title": [0, 10**9], "caption": [9, 3], "paragraphs": [[0, 5], [-1, 2], "x", [1]], "digest": "0" * 64}
    answering(monkeypatch, answer_with(**places))
    article = read(PAGE, Format.HTML).article
    assert (article.title, article.caption, article.paragraphs) == (None, None, ((0, 5),))
    assert article.digest == parse_html(PAGE, source=SOURCE).digest


def change(item: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    return {**item, name: value}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda item: change(item, "end", 10**9),
        lambda item: change(item, "start", -1),
        lambda item: change(item, "kind", "class"),
        lambda item: change(item, "held", "identity--no"),
        lambda item: change(item, "refers", [1]),
        lambda item: change(item, "properties", "x"),
        lambda item: "x",
        lambda item: {},
    ],
)
def test_a_draft_that_is_none_is_not_believed(
    spoil: Callable[[dict[str, Any]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = json.loads(articles._Reader().respond(b'{"form":"text","retrieved_at":1}\n' + TEXT))["drafts"][0]
    answering(monkeypatch, answer_with(drafts=[good]))
    assert read(PAGE, Format.HTML).drafts[0].number == 1
    answering(monkeypatch, answer_with(drafts=[spoil(good)]))
    with pytest.raises(MalformedArticle, match="not of the form that drafts have"):
        read(PAGE, Format.HTML)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body", ["while True: pass", "x = bytearray(2 << 30)", "open('written', 'wb').write(b'a' * 9000)"]
)
def test_the_process_may_not_take_the_machine(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bounds of the child, over a parser that does its worst."""
    program = tmp_path / "python"
    (tmp_path / "worst.py").write_text(
        "import comity.articles as a\n"
        f"import os\nos.chdir({str(tmp_path)!r})\ndef worst(data, source):\n    {body}\n"
        "a._PARSERS = {a.Format.HTML: worst}\n"
        "a.main()\n"
    )
    program.write_text(f'#!/bin/sh\nshift 3\nexec "{sys.executable}" "{tmp_path / "worst.py"}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(articles, "_BOUNDS", Bounds(memory=1 << 30, seconds=3, answer=1 << 20))
    with pytest.raises(MalformedArticle, match="took more than 3 seconds"):
        read(PAGE, Format.HTML)
    written = tmp_path / "written"
    assert not written.exists() or written.stat().st_size == 0


def test_the_rules_that_come_with_the_program_are_read_once() -> None:
    assert read_tables() is read_tables()
    assert {"names", "aliases", "regions", "stances", "safeguards", "iban"} <= {
        section for document in read_tables() for section in document
    }
    assert "denies" in read_rules().stances


def test_the_gazetteer_of_the_tests_is_one() -> None:
    assert parse_gazetteer(KNOWN, rules=compile_rules(read_tables())).known.keys() == {"national:rain"}
