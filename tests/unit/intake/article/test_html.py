# SPDX-License-Identifier: Apache-2.0
"""The article in a page: what the page declares, its main text, and a page that is none."""

import sys

import pytest

from comity.errors import MalformedArticle, NotInstalled
from comity.intake.article.html import parse_html
from comity.intake.article.text import MAX_TEXT_BYTES, Article, Source
from tests.intake.annotated import RETRIEVED

BODY = "".join(
    f"<p>Paragraph {number} tells of Norway and of nothing else, at some length, so that it counts.</p>"
    for number in range(5)
)
PAGE = f"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>T | Site</title>
<meta property="og:title" content="A title"><meta property="og:site_name" content="The Site">
<meta property="article:published_time" content="2031-05-06T23:30:00-05:00">
<link rel="canonical" href="https://site.example/a"></head><body>
<nav><a href="/iceland">Iceland</a></nav><script>var state = "Brazil";</script>
<article><h1>A title</h1><figure><img alt=""><figcaption>A boat in Oslo.</figcaption></figure>{BODY}</article>
<footer>Copyright. Sweden.</footer></body></html>"""


def read(page: str | bytes, **source: str) -> Article:
    data = page if isinstance(page, bytes) else page.encode()
    return parse_html(data, source=Source(retrieved_at=RETRIEVED, **source))


def test_what_a_page_declares() -> None:
    article = read(PAGE)
    assert article.title is not None
    assert article.caption is not None
    assert article.quote(article.title) == "A title"
    assert article.quote(article.caption) == "A boat in Oslo."
    # The day that the publisher wrote, not that of another time zone.
    assert (article.published, article.publisher, article.url) == ("2031-05-06", "The Site", "https://site.example/a")


def test_the_text_is_without_what_stands_around_it() -> None:
    article = read(PAGE)
    assert len(article.paragraphs) == 5
    assert all(article.quote(one).startswith("Paragraph ") for one in article.paragraphs)
    assert not any(word in article.text for word in ("Iceland", "Brazil", "Sweden", "Copyright"))


def test_the_bytes_are_kept_as_received() -> None:
    assert read(PAGE).received == PAGE.encode()


def test_a_day_that_is_only_in_an_address_is_no_day() -> None:
    page = PAGE.replace('<meta property="article:published_time" content="2031-05-06T23:30:00-05:00">', "")
    assert read(page.replace("site.example/a", "site.example/2031/05/06/a")).published is None


def test_the_encoding_is_what_the_page_declares_or_what_was_said() -> None:
    page = PAGE.replace("A boat in Oslo", "Un bateau à Oslo")
    assert read(page).encoded_by == "declared"
    latin = page.replace('charset="utf-8"', "charset=iso-8859-1").encode("cp1252")
    assert "à" in read(latin).text
    undeclared = page.replace('<meta charset="utf-8">', "").encode("cp1252")
    with pytest.raises(MalformedArticle, match="say the encoding"):
        read(undeclared)
    article = read(undeclared, encoding="windows-1252")
    assert (article.encoded_by, "à" in article.text) == ("said", True)


@pytest.mark.parametrize(
    ("page", "match"),
    [
        ("<html></html>", "no article is found"),
        ("", "no text is in it"),
        (b"\xff\xfe\xff", "no text in utf-16-le"),
        ("a" * (MAX_TEXT_BYTES + 1), "bytes where at most"),
        ("<html>\0</html>", "NUL"),
    ],
)
def test_a_page_that_is_no_article(page: str | bytes, match: str) -> None:
    with pytest.raises(MalformedArticle, match=match):
        read(page)


@pytest.mark.parametrize("module", ["trafilatura", "lxml"])
def test_what_is_not_installed_is_named(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NotInstalled, match=r"pip install 'comity\[articles\]'"):
        read(PAGE)


def test_no_outer_document_is_read(tmp_path: object) -> None:
    page = PAGE.replace("<!DOCTYPE html>", '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]>').replace(
        "Paragraph 0", "&x; Paragraph 0"
    )
    assert "root:" not in read(page).text
