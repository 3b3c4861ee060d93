# SPDX-License-Identifier: Apache-2.0
"""A format is told from content; what could be two things, or none, is refused and the way out is named."""

import json

import pytest

from comity.errors import MalformedFile, MalformedRequest
from comity.intake.formats import HEAD_BYTES, Format, parse_format, recognise_format

REPORT = {"type": "report", "spec_version": "2.1", "id": "report--4b2e5f2e-8f0e-4a52-9d0c-111111111119", "created": "x"}
OLD = {name: value for name, value in REPORT.items() if name != "spec_version"}
ADDRESS = {"type": "ipv4-addr", "id": "ipv4-addr--4b2e5f2e-8f0e-4a52-9d0c-111111111119", "value": "198.51.100.1"}
EVENT = {"Event": {"uuid": "e2e6a6ea-f69b-4d93-8564-f51d67cafe51", "info": "i"}}
ENTITY = {"id": "q-1", "schema": "Person", "properties": {"name": ["Ondrej Fictional"]}}


def bundle(*objects: object, **more: object) -> bytes:
    return json.dumps({"type": "bundle", "id": "bundle--1", **more, "objects": [*objects]}).encode()


RECOGNISED = [
    (bundle(REPORT), Format.STIX_21),
    (bundle(ADDRESS, REPORT, indent=1), Format.STIX_21),
    (json.dumps({"objects": [REPORT]}, indent=2).encode(), Format.STIX_21),
    (json.dumps({"objects": []}).encode(), Format.STIX_21),
    (json.dumps(REPORT).encode(), Format.STIX_21),
    (json.dumps(ADDRESS).encode(), Format.STIX_21),
    (b"  \n" + bundle(OLD, REPORT), Format.STIX_21),
    (bundle(OLD, spec_version="2.0"), Format.STIX_20),
    (bundle(OLD), Format.STIX_20),
    (json.dumps(OLD).encode(), Format.STIX_20),
    (bundle({**OLD, "spec_version": "2.0"}), Format.STIX_20),
    (json.dumps(EVENT).encode(), Format.MISP_EVENT),
    (json.dumps({"response": [EVENT]}).encode(), Format.MISP_EVENT),
    (json.dumps([EVENT]).encode(), Format.MISP_EVENT),
    (json.dumps({"e2e6a6ea-f69b-4d93-8564-f51d67cafe51": {"info": "i", "Orgc": {}}}).encode(), Format.MISP_MANIFEST),
    (json.dumps(ENTITY).encode() + b"\n" + json.dumps(ENTITY).encode(), Format.FOLLOW_THE_MONEY),
    (b'<?xml version="1.0"?>\n<!-- x -->\n<CONSOLIDATED_LIST dateGenerated="1">', Format.UN_LIST),
    (b"<!DOCTYPE html>\n<html><body>", Format.HTML),
    (b"<html lang='en'>", Format.HTML),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", Format.PDF),
    (b"In the valley of the Reed nothing moved before dawn.\nThe tolls were taken at the ford.\n", Format.TEXT),
]


@pytest.mark.parametrize(("head", "form"), RECOGNISED)
@pytest.mark.parametrize("name", ["file", "file.csv", "file.pdf", "-"])
def test_content_says_what_it_is_whatever_it_is_called(head: bytes, form: Format, name: str) -> None:
    assert recognise_format(head, name) is form


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"Name;TLP\nOndrej Fictional;RED\n", ("csv", "text")),
        (b"Name\tTLP\nOndrej Fictional\tRED\n", ("tsv", "text")),
        (b"a,b\tc\nd,e\tf\n", ("csv", "tsv", "text")),
        (bundle(REPORT, spec_version="2.0"), ("stix-2.1", "stix-2.0")),
    ],
)
def test_what_could_be_two_things_is_refused_with_both(head: bytes, words: tuple[str, ...]) -> None:
    with pytest.raises(MalformedFile) as refused:
        recognise_format(head, "list")
    assert refused.value.where == "--format"
    assert all(word in refused.value.detail for word in (*words, "--format"))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"   \n",
        b"\0\1\2",
        b"{}",
        b'{"a":1}',
        b"[]",
        b"[1]",
        b'"x"\xff\xfe',
        b"<feed xmlns='x'>",
        b"\xff\xfea\0b\0",
    ],
)
def test_what_is_nothing_known_is_refused_and_the_way_out_named(head: bytes) -> None:
    with pytest.raises(MalformedFile, match=r"no format that is known here.*--format") as refused:
        recognise_format(head, "file.json")
    assert refused.value.where == "--format"


def test_a_way_out_that_is_named_is_one() -> None:
    with pytest.raises(MalformedFile) as refused:
        recognise_format(bundle(REPORT, spec_version="2.0"), "feed.json")
    assert "ends in" not in refused.value.detail, "no ending says which STIX a file is in"


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "windows-1252", "utf-16", "utf-16-le"])
def test_a_text_is_told_in_the_encoding_that_was_said(encoding: str) -> None:
    data = "Name;TLP\nOnd\u00e9j Fictional;RED\n".encode(encoding)
    assert recognise_format(data, "list", among=(Format.CSV, Format.TSV), encoding=encoding) is Format.CSV


def test_a_text_in_another_encoding_is_called_so() -> None:
    data = "Name;TLP\nOnd\u00e9j Fictional;RED\n".encode("iso-8859-1")
    with pytest.raises(MalformedFile, match=r"is not written in utf-8 .* `encoding`"):
        recognise_format(data, "list.csv")


@pytest.mark.parametrize(
    ("name", "form"), [("a.csv", Format.CSV), ("A.CSV", Format.CSV), ("a.txt", Format.TEXT), ("b.a.text", Format.TEXT)]
)
def test_a_name_settles_what_content_leaves_open(name: str, form: Format) -> None:
    assert recognise_format(b"Name;TLP\nOndrej Fictional;RED\n", name) is form


def test_a_name_never_overrules_content() -> None:
    with pytest.raises(MalformedFile):
        recognise_format(b"Name;TLP\nOndrej Fictional;RED\n", "a.pdf")


def test_who_gives_a_mapping_has_a_table() -> None:
    tables = (Format.CSV, Format.TSV)
    assert recognise_format(b"Name;TLP\nOndrej Fictional;RED\n", "list", among=tables) is Format.CSV
    with pytest.raises(MalformedFile):
        recognise_format(bundle(REPORT), "list.csv", among=tables)


def test_a_character_that_the_head_cuts_is_no_reason_to_refuse() -> None:
    text = ("é" * HEAD_BYTES).encode()
    assert recognise_format(b"x" + text[: HEAD_BYTES - 1], "a.txt") is Format.TEXT


def test_one_ragged_row_makes_a_table_no_article() -> None:
    assert recognise_format(b"a;b\nc;d\ne\nf;g\n", "list.csv") is Format.CSV


def test_every_format_has_a_word() -> None:
    assert [parse_format(one.value) for one in Format] == [*Format]
    with pytest.raises(MalformedRequest, match=r"use one of stix-2\.1"):
        parse_format("excel")


@pytest.mark.parametrize("head", [b"", b" \n\t"])
def test_a_file_with_nothing_in_it_is_called_empty(head: bytes) -> None:
    with pytest.raises(MalformedFile, match=r"'watch\.csv' is empty"):
        recognise_format(head, "watch.csv")


def test_what_is_written_in_utf_16_is_called_so() -> None:
    with pytest.raises(MalformedFile, match=r"'watch\.csv' is written in UTF-16 \(save it as UTF-8\), and so in no"):
        recognise_format("Name;TLP\n".encode("utf-16"), "watch.csv")


def test_the_formats_that_are_named_are_those_that_are_possible() -> None:
    with pytest.raises(MalformedFile, match=r"known are html, pdf, text: if") as refused:
        recognise_format(b"<CONSOLIDATED_LIST>", "list.xml", among=(Format.HTML, Format.PDF, Format.TEXT))
    assert "un-list" not in refused.value.detail
