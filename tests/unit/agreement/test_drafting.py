# SPDX-License-Identifier: Apache-2.0
"""TOML becomes the one document; what cannot be one is refused with the line it stands on."""

import json

import pytest

from comity.agreement.drafting import MAX_TOML_BYTES, convert_terms, parse_toml
from comity.agreement.terms import parse_terms
from comity.canonical import canonical_bytes
from comity.errors import MalformedTerms
from tests.parties import AURELIA, BOREALIA, MERIDIA, write_terms

TOML = write_terms().decode()


def find_line(text: str, wanted: str, *, nth: int = 1) -> int:
    """The number of the nth line that begins with `wanted`."""
    return [number for number, line in enumerate(text.split("\n"), start=1) if line.startswith(wanted)][nth - 1]


def refuse(text: str) -> MalformedTerms:
    with pytest.raises(MalformedTerms) as refused:
        convert_terms(text.encode())
    return refused.value


def test_a_document_is_canonical_and_the_same_however_it_is_written() -> None:
    document = convert_terms(TOML.encode())
    assert document == canonical_bytes(json.loads(document))
    spaced = "# a comment\n" + TOML.replace(" = ", "   =  ").replace("\n", "\r\n")
    assert convert_terms(spaced.encode()) == document
    inline = TOML.replace('[validity]\nfrom = "2026-01-01T00:00:00Z"\nuntil = "2036-01-01T00:00:00Z"\n', "")
    head = 'validity = {from = "2026-01-01T00:00:00Z", until = "2036-01-01T00:00:00Z"}\n'
    assert convert_terms((head + inline).encode()) == document


def test_a_time_of_toml_is_the_time_it_means() -> None:
    written = TOML.replace('from = "2026-01-01T00:00:00Z"', "from = 2026-01-01T03:00:00.5+03:00")
    document = json.loads(convert_terms(written.encode()))
    assert document["validity"]["from"] == "2026-01-01T00:00:00.500000Z"


@pytest.mark.parametrize(
    ("old", "new", "line_of", "told"),
    [
        ('form = "exchange_of_letters"', 'form = "letter"', "form =", "use one of exchange_of_letters, mou"),
        ("version = 1", "version = 1.0", "version", "a float has no place"),
        ("version = 1", "version = true", "version", "a whole number from 1"),
        ("version = 1", "version = 2", "version", "every later one names `agreement`"),
        ("version = 1", "version = 1\nversion = 1", "version = 1", "not TOML"),
        ("version = 1", "version = 1\ncolour = 3", "colour", "not a field this version knows"),
        ("version = 1", "version = 1\nretention.maximum = 'P3Y'", "retention", "review_after: is missing"),
        ('title = "Exchange on', 'title = "Exchange\u202e on', "title", "U+202E"),
        ('title = "Exchange', 'title = "E\u0301change', "title", "NFC"),
        ('from = "2026-01-01T00:00:00Z"', "from = 2026-01-01", "from", "a date has no place"),
        ('from = "2026-01-01T00:00:00Z"', "from = 2026-01-01T00:00:00", "from", "without an offset"),
        ('from = "2026-01-01T00:00:00Z"', "from = 0001-01-01T00:00:00+01:00", "from", "the years 1 to 9999"),
        ('until = "2036', 'until = "2016', "until", "not after the beginning"),
    ],
)
def test_the_line_is_named(old: str, new: str, line_of: str, told: str) -> None:
    text = TOML.replace(old, new, 1)
    error = refuse(text)
    nth = 2 if "\nversion" in new else 1  # of a repeated key, the second is the one too many
    assert error.where == f"line {find_line(text, line_of, nth=nth)}"
    assert error.detail.startswith("line ")
    assert told in error.detail


@pytest.mark.parametrize(
    ("name", "wanted", "changed"),
    [
        ("regions", 'regions = ["IQ", "SY"]', 'regions = ["IQ", "XK"]'),
        ("types", 'types = ["indicator", "report"]', 'types = ["indicater"]'),
        ("subjects", 'subjects = ["unsc:QDe.901"]', 'subjects = ["QDe.901"]'),
    ],
)
def test_the_line_is_that_of_the_channel_in_question(name: str, wanted: str, changed: str) -> None:
    first, second, third = write_terms(AURELIA, BOREALIA, MERIDIA).decode().split(wanted, 2)
    text = first + wanted + second + changed + third
    assert refuse(text).where == f"line {find_line(text, name, nth=2)}"


def test_a_missing_field_is_looked_for_at_its_table() -> None:
    text = TOML.replace('manifest = "', 'manifesto = "').replace('manifesto = "', 'manifest = "', 1)
    error = refuse(text)
    assert error.where == f"line {find_line(text, '[[parties]]', nth=2)}"
    assert "manifest: is missing" in error.detail


def test_a_missing_field_of_the_whole_is_named_without_a_line() -> None:
    assert refuse(TOML.replace('form = "exchange_of_letters"\n', "")).detail == "form: is missing"


def test_a_line_is_found_behind_other_line_separators() -> None:
    text = "# one\u2028# not two\u0085# nor three\n" + TOML.replace("version = 1", "version = 0")
    assert refuse(text).where == f"line {find_line(text, 'version')}"


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xff",
        b"a = [",
        b"a = " + b"[" * 5_000,
        b"a = " + b"[" * 40 + b"]" * 40,
        b"a = " + b"1" * 5_000,
        b"a" + b".a" * 17 + b" = 1",
        b"a" + b".a" * 200_000 + b" = 1",
        b"a = {b" + b" . 'a'" * 50_000 + b" = 1}",
        b"[" + b'"a".' * 50_000 + b"a]",
        b"x" * (MAX_TOML_BYTES + 1),
        b"a = nan",
        b"a = 12:00:00",
        b"a = 0x" + b"f" * 100,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_hostile_is_refused_and_quickly(hostile: bytes) -> None:
    with pytest.raises(MalformedTerms):
        convert_terms(hostile)


def test_an_unfinished_text_is_refused_at_its_last_line() -> None:
    assert refuse('format = "comity-terms/1"\ntitle').where == "line 2"


def test_toml_gives_its_text_back() -> None:
    text, value = parse_toml(b"a = [1, true, 'x']\n")
    assert text == "a = [1, true, 'x']\n"
    assert value == {"a": [1, True, "x"]}


def test_a_byte_order_mark_before_the_text_says_nothing() -> None:
    """Editors on Windows write one; it is no part of what people agree on."""
    windows = b"\xef\xbb\xbf" + TOML.replace("\n", "\r\n").encode()
    assert convert_terms(windows) == convert_terms(TOML.encode())
    assert parse_toml(b"\xef\xbb\xbfa = 1\n") == ("a = 1\n", {"a": 1})
    assert refuse("\ufeff\ufeff" + TOML).where == "line 1"


def test_what_was_converted_is_terms() -> None:
    assert parse_terms(convert_terms(TOML.encode())).title == "Exchange on Ashfall"
