# SPDX-License-Identifier: Apache-2.0
"""HTML and PDF are read by a process of its own: the same article as here, and an end to what takes too long."""

import json
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from comity import articles
from comity.articles import extract_article, read_tables
from comity.errors import MalformedArticle, NotInstalled
from comity.intake.article.html import parse_html
from comity.intake.article.pdf import parse_pdf
from comity.intake.article.text import Source, parse_plain
from comity.intake.formats import Format
from tests.intake.annotated import CORPUS, RETRIEVED
from tests.intake.pdfs import make_pdf

SOURCE = Source(retrieved_at=RETRIEVED, publisher="Said")
PAGE = (CORPUS / "first" / "04-news-page.html").read_bytes()
PDF = make_pdf((CORPUS / "first" / "12-statement.pdf.txt").read_text())


def test_text_is_read_here() -> None:
    data = b"A title\n\n3 May 2031\n\nIt rained."
    assert extract_article(data, SOURCE, form=Format.TEXT) == parse_plain(data, source=SOURCE)


@pytest.mark.slow
def test_a_page_and_a_pdf_are_the_same_as_if_they_were_read_here() -> None:
    assert extract_article(PAGE, SOURCE, form=Format.HTML) == parse_html(PAGE, source=SOURCE)
    assert extract_article(PDF, SOURCE, form=Format.PDF) == parse_pdf(PDF, source=SOURCE)


@pytest.mark.slow
def test_what_is_refused_there_is_refused_here_with_the_same_words() -> None:
    with pytest.raises(MalformedArticle, match="do not begin as a PDF does"):
        extract_article(b"x", SOURCE, form=Format.PDF)


def test_other_formats_are_none_of_articles() -> None:
    with pytest.raises(MalformedArticle, match="csv is no format of articles"):
        extract_article(b"a,b", SOURCE, form=Format.CSV)


class Answers:
    """Stands for the process: what it wrote before it ended."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.given: dict[str, object] = {}

    def __call__(self, command: object, **given: object) -> subprocess.CompletedProcess[bytes]:
        self.given = given
        return subprocess.CompletedProcess([], -9, self.answer, b"")


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"text": "cut'])
def test_a_process_that_ended_without_a_word_is_a_page_that_took_too_much(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", Answers(answer))
    with pytest.raises(MalformedArticle, match="took more than 20 seconds or 1024 MiB"):
        extract_article(PAGE, SOURCE, form=Format.HTML)


def test_the_process_sees_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers(b"")
    monkeypatch.setattr(subprocess, "run", answers)
    monkeypatch.setenv("COMITY_PASSPHRASE", "secret")
    with pytest.raises(MalformedArticle):
        extract_article(PAGE, SOURCE, form=Format.HTML)
    assert answers.given["env"] == {}


def test_a_process_that_says_what_is_not_installed_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Answers(b'{"error": "not-installed", "detail": "no lxml"}'))
    with pytest.raises(NotInstalled, match="no lxml"):
        extract_article(PAGE, SOURCE, form=Format.HTML)


def test_places_outside_of_the_text_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process read a stranger's page: what it says is checked as a stranger's."""
    value = {name: one for name, one in asdict(parse_html(PAGE, source=SOURCE)).items() if name != "received"}
    value |= {"title": [0, 10**9], "caption": [9, 3], "paragraphs": [[0, 5], [-1, 2], "x", [1]], "digest": "0" * 64}
    monkeypatch.setattr(subprocess, "run", Answers(json.dumps(value).encode()))
    article = extract_article(PAGE, SOURCE, form=Format.HTML)
    assert (article.title, article.caption, article.paragraphs) == (None, None, ((0, 5),))
    assert article.digest == parse_html(PAGE, source=SOURCE).digest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "seconds"),
    [("while True: pass", 1), ("x = bytearray(2 << 30)", 20), ("open('written', 'wb').write(b'a' * 9000)", 20)],
)
def test_the_process_may_not_take_the_machine(body: str, seconds: int, tmp_path: Path) -> None:
    """The bounds that `main` sets, over a parser that does its worst."""
    program = (
        "import comity.articles as a\n"
        f"a.PROCESSOR_SECONDS = {seconds}\n"
        f"def worst(data, source):\n    {body}\n"
        "a._PARSERS = {a.Format.HTML: worst}\n"
        "a.main()\n"
    )
    head = json.dumps({"form": "html", **asdict(SOURCE)}).encode() + b"\n"
    done = subprocess.run(
        [sys.executable, "-c", program], input=head, capture_output=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode != 0
    assert done.stdout == b""
    written = tmp_path / "written"
    assert not written.exists() or written.stat().st_size == 0


def test_this_process_is_not_bounded_by_it() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 0
    assert articles.PROCESSOR_SECONDS == 20


def test_the_rules_that_come_with_the_program_are_read_once() -> None:
    assert read_tables() is read_tables()
    assert {"names", "aliases", "regions", "stances", "safeguards", "iban"} <= {
        section for document in read_tables() for section in document
    }
