# SPDX-License-Identifier: Apache-2.0
"""Plain text becomes an article: parts with their places, the encoding said and never guessed, bounds."""

import pytest

from comity.canonical import sha256_digest
from comity.errors import MalformedArticle, MalformedRequest
from comity.ids import parse_instant
from comity.intake.article.text import (
    MAX_CHARACTERS,
    MAX_TEXT_BYTES,
    Article,
    Source,
    decode_text,
    parse_plain,
    read_host,
)

NOW = parse_instant("2032-01-01T00:00:00Z")
WHOLE = """
\t
Canal Toll Dispute Goes to Court

November 30, 2031


Ships wait at the mouth of the canal, Nov. 28, 2031.

Shipowners from Japan have asked a court to rule.
It will sit in May.

Tokyo expressed concern.

Original url:

https://ledger.example/2031/11/canal-to ll-dispute
-b2217"""


def read(text: str | bytes, **source: str) -> Article:
    data = text if isinstance(text, bytes) else text.encode()
    return parse_plain(data, source=Source(retrieved_at=NOW, **source))


def test_parts_have_their_places() -> None:
    article = read(WHOLE)
    assert article.text == WHOLE
    assert article.title is not None
    assert article.caption is not None
    assert article.quote(article.title) == "Canal Toll Dispute Goes to Court"
    assert article.quote(article.caption) == "Ships wait at the mouth of the canal, Nov. 28, 2031."
    assert [article.quote(one) for one in article.paragraphs] == [
        "Shipowners from Japan have asked a court to rule.\nIt will sit in May.",
        "Tokyo expressed concern.",
    ]
    assert article.published == "2031-11-30"
    assert article.published_at is not None
    assert article.quote(article.published_at) == "November 30, 2031"


def test_an_address_that_was_broken_is_whole_again() -> None:
    article = read(WHOLE)
    assert article.url == "https://ledger.example/2031/11/canal-toll-dispute-b2217"
    assert article.publisher == "ledger.example"


def test_what_was_received_is_kept() -> None:
    data = WHOLE.encode()
    article = read(data)
    assert article.received == data
    assert article.digest == sha256_digest(data)
    assert article.retrieved_at == NOW


def test_what_the_source_says_goes_before_what_is_read() -> None:
    article = read(WHOLE, url="https://other.example/a", publisher="Other", published="2031-12-01")
    assert (article.url, article.publisher, article.published) == ("https://other.example/a", "Other", "2031-12-01")
    assert article.published_at is None


@pytest.mark.parametrize("published", ["March", "2031-13-01", "2031"])
def test_a_source_says_a_day_or_none(published: str) -> None:
    with pytest.raises(MalformedRequest, match="is no day"):
        read(WHOLE, published=published)


def test_lines_of_the_head_tell_day_author_and_publisher() -> None:
    article = read("A bridge\n\nBy Petra Lund\nFjord Courier\n2 June 2031\n\nIt is open.")
    assert (article.published, article.publisher) == ("2031-06-02", "Fjord Courier")
    assert [article.quote(one) for one in article.paragraphs] == ["It is open."]


def test_a_text_of_one_line_is_a_title() -> None:
    article = read("Nothing else")
    assert article.title is not None
    assert article.paragraphs == ()
    assert article.published is None


def test_a_first_sentence_is_no_line_of_the_head() -> None:
    article = read("A bridge\n\nIt was opened on 2 June 2031 by the mayor of the town and nobody came.\n\nIt stands.")
    assert len(article.paragraphs) == 2
    assert article.published is None


def test_a_trailer_with_text_behind_it_is_none() -> None:
    article = read("A\n\nSource: https://a.example/b\n\nMore, and more of it, as a paragraph.")
    assert article.url is None


@pytest.mark.parametrize(
    ("data", "said", "encoding", "by"),
    [
        ("Málaga".encode(), None, "utf-8", "UTF-8 without a fault"),
        (b"\xef\xbb\xbfM\xc3\xa1laga", None, "utf-8", "byte order mark"),
        ("Málaga".encode("utf-16"), None, "utf-16-le", "byte order mark"),
        (b"\xfe\xff" + "Málaga".encode("utf-16-be"), None, "utf-16-be", "byte order mark"),
        (b"M\xe1laga", "ISO-8859-1", "cp1252", "said"),
        ("Малага".encode("koi8-r"), "koi8-r", "koi8-r", "said"),
    ],
)
def test_the_encoding_is_known_by_something(data: bytes, said: str | None, encoding: str, by: str) -> None:
    text, found, how = decode_text(data, said=said)
    assert text in {"Málaga", "Малага"}
    assert (found, how) == (encoding, by)


def test_bytes_in_an_encoding_that_nobody_said_are_refused() -> None:
    with pytest.raises(MalformedArticle, match=r"line 2: .* say the encoding"):
        read(b"A title\nM\xe1laga")


def test_an_encoding_that_is_not_known_is_refused() -> None:
    with pytest.raises(MalformedArticle, match="'ebcdic' is said and not known here"):
        read(b"a", encoding="ebcdic")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no text is in it"),
        (b" \n\t\n", "no text is in it"),
        (b"A\0B", "line 1: a NUL"),
        (b"a" * (MAX_TEXT_BYTES + 1), "bytes where at most"),
        (b"a" * (MAX_CHARACTERS + 1), "characters where at most"),
        (b"a\n\n" * 20_001, "over 20000 parts"),
    ],
)
def test_bounds(data: bytes, match: str) -> None:
    with pytest.raises(MalformedArticle, match=match):
        read(data)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.news.example/a", "news.example"),
        ("http://user@News.example:8080/", "news.example"),
        ("news.example", None),
        (None, None),
    ],
)
def test_the_publisher_is_the_machine_where_nobody_named_one(url: str | None, host: str | None) -> None:
    assert read_host(url) == host
