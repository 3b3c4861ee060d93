# SPDX-License-Identifier: Apache-2.0
"""The article in a PDF: paragraphs from lines, and files that are bombs, scans, encrypted or none."""

import sys
import zlib

import pytest

from comity.errors import MalformedArticle, NotInstalled
from comity.intake.article.pdf import MAX_PAGES, MAX_PDF_BYTES, parse_pdf
from comity.intake.article.text import Article, Source
from tests.intake.annotated import RETRIEVED
from tests.intake.pdfs import assemble, make_pdf

TEXT = """A title that says it

Lucent, 8 January 2031

The customs services of Aurelia and Borealia met in Lucent on 7 January 2031. They spoke for a long time and in the end
they parted as they had come, which surprised nobody who knows them.

They will meet again in May.
"""


def read(data: bytes) -> Article:
    return parse_pdf(data, source=Source(retrieved_at=RETRIEVED))


@pytest.mark.parametrize("packed", [True, False])
def test_paragraphs_are_whole_again(packed: bool) -> None:
    article = read(make_pdf(TEXT, packed=packed))
    assert article.title is not None
    assert article.quote(article.title) == "A title that says it"
    assert article.published == "2031-01-08"
    paragraphs = [article.quote(one) for one in article.paragraphs]
    assert paragraphs == [" ".join(one.split()) for one in TEXT.split("\n\n")[2:]]


def test_a_word_that_was_divided_is_one_again() -> None:
    page = b"BT /F1 11 Tf 14 TL 60 780 Td\n(The cus-) Tj T*\n(toms house) Tj T*\nET"
    assert read(assemble([(page, b"")])).text == "The customs house"


def test_a_paragraph_goes_on_over_the_end_of_a_page() -> None:
    pages = [
        b"BT /F1 11 Tf 14 TL 60 780 Td\n(It rained all day and) Tj T*\nET",
        b"BT /F1 11 Tf 14 TL 60 780 Td\n(all night, they said.) Tj T*\nET",
    ]
    assert read(assemble([(page, b"") for page in pages])).text == "It rained all day and all night, they said."


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "do not begin as a PDF"),
        (b"<html>", "do not begin as a PDF"),
        (b"%PDF-1.4\n", "could not be read"),
        (b"%PDF-" + b"x" * MAX_PDF_BYTES, "bytes where at most"),
        (make_pdf(TEXT)[:300], "could not be read"),
        (assemble([(b"", b"")]), "no text is in it"),
        (make_pdf("a", pages=MAX_PAGES + 1), f"pages where at most {MAX_PAGES}"),
        (make_pdf(TEXT).replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 1 0 R"), "PDF"),
    ],
)
def test_a_file_that_is_no_article(data: bytes, match: str) -> None:
    with pytest.raises(MalformedArticle, match=match):
        read(data)


def test_a_stream_that_unpacks_to_too_much_is_refused_before_it_is_there() -> None:
    # Less than pypdf itself would refuse, more than is unpacked here.
    bomb = zlib.compress(b"BT (" + b"a" * (40 << 20) + b") Tj ET", 9)
    assert len(bomb) < 60_000
    with pytest.raises(MalformedArticle, match="unpacks to more than is read"):
        read(assemble([(bomb, b"/Filter /FlateDecode")]))


def test_a_bomb_in_a_bomb_is_refused() -> None:
    bomb = zlib.compress(zlib.compress(b"a" * (40 << 20), 9), 9)
    with pytest.raises(MalformedArticle):
        read(assemble([(bomb, b"/Filter [/FlateDecode /FlateDecode]")]))


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(NotInstalled, match=r"pip install 'comity\[articles\]'"):
        read(make_pdf(TEXT))
