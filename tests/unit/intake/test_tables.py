# SPDX-License-Identifier: Apache-2.0
"""Rows become what their mapping plans; a bad one is said by its row and takes no good one with it."""

import json
import time
from typing import Any

import pytest

from comity.errors import MalformedFile
from comity.ids import PartyId, parse_instant
from comity.intake.making import Maker
from comity.intake.mapping import parse_mapping
from comity.intake.records import Record, Unread
from comity.intake.tables import read_table
from comity.node.schemas import read_schemas
from comity.stix.markings import TLP2_AMBER, TLP2_GREEN, read_markings
from comity.stix.objects import parse_object
from comity.stix.tags import read_tags
from comity.stix.validation import check_object

MAPPING = b"""
format = "comity-mapping/1"
source = "north-desk-watch-list"
delimiter = ";"
key = ["Number"]
nothing = ["-"]
marking = { column = "TLP" }

[tags]
subjects = { column = "Group", split = "," }
regions = { constant = ["IQ"] }

[[objects]]
name = "who"
type = "identity"
[objects.properties]
name = { column = "Name" }
identity_class = { constant = "group" }

[[objects]]
name = "address"
type = "indicator"
[objects.properties]
pattern = { column = "Address", pattern = "ipv4-addr:value" }
pattern_type = { constant = "stix" }
valid_from = { column = "Seen", time = "DD.MM.YYYY" }

[[objects]]
type = "relationship"
[objects.properties]
relationship_type = { constant = "indicates" }
source_ref = { object = "address" }
target_ref = { object = "who" }
"""
HEAD = "Number;Name;Address;Seen;TLP;Group\n"
GOOD = "1;Reed Cutters;198.51.100.1;02.01.2026;GREEN;unsc:QDe.901,unsc:QDe.902\n"


def read(
    rows: str | bytes, mapping: bytes = MAPPING, *, size: int = 1 << 20, delimiter: str = ","
) -> tuple[list[Record], list[Unread]]:
    data = rows if isinstance(rows, bytes) else (HEAD + rows).encode()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    maker = Maker(party=PartyId("aurelia"), at=parse_instant("2026-11-23T09:00:00Z"))
    parts = [*read_table(chunks, parse_mapping(mapping), delimiter=delimiter, maker=maker)]
    return [one for part in parts for one in part.records], [one for part in parts for one in part.unread]


def values(record: Record) -> list[dict[str, Any]]:
    for data in record.objects:
        check_object(read_schemas(), parse_object(data)[1])
    return [json.loads(data) for data in record.objects]


@pytest.mark.parametrize("size", [1, 10, 1 << 20])
def test_a_row_becomes_what_the_mapping_plans(size: int) -> None:
    (record,), unread = read(GOOD, size=size)
    who, address, link = values(record)
    assert (record.place, record.notes, unread) == ("row 2", (), [])
    assert (who["name"], who["identity_class"]) == ("Reed Cutters", "group")
    assert who["external_references"] == [{"source_name": "north-desk-watch-list", "external_id": "1"}]
    assert address["pattern"] == "[ipv4-addr:value = '198.51.100.1']"
    assert address["valid_from"] == "2026-01-02T00:00:00.000Z"
    assert (link["source_ref"], link["target_ref"]) == (address["id"], who["id"])
    for made in (who, address, link):
        assert made["object_marking_refs"] == [TLP2_GREEN]
        assert read_tags(made).subjects == {"unsc:QDe.901", "unsc:QDe.902"}
        assert read_tags(made).regions == {"IQ"}


def test_three_bad_rows_of_many_leave_the_others() -> None:
    rows = [GOOD.replace("1;", f"{number};", 1) for number in range(10_000)]
    rows[17], rows[400], rows[9_000] = "17;short\n", "400;a\0b;198.51.100.1;02.01.2026;;\n", "9000;x;y;31.02.2026;;\n"
    records, unread = read("".join(rows))
    assert len(records) == 9_997
    assert [one.place for one in unread] == ["row 19", "row 402", "row 9002"]
    assert "2 cells where the first row has 6" in unread[0].reason
    assert "NUL" in unread[1].reason
    assert "'31.02.2026' in Seen is not a time written DD.MM.YYYY" in unread[2].reason


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "+1+1", "-1", "@SUM(A1)", "=HYPERLINK(1)"])
def test_what_a_spreadsheet_would_calculate_is_text(cell: str) -> None:
    (record,), _ = read(f"1;{cell};-;-;;\n")
    assert values(record)[0]["name"] == cell


def test_cells_that_say_nothing_make_no_object() -> None:
    (record,), _ = read("1;Reed Cutters;-;;AMBER;\n")
    (who,) = values(record)
    assert (who["type"], who["object_marking_refs"]) == ("identity", [TLP2_AMBER])


def test_a_quote_in_a_cell_cannot_leave_its_pattern() -> None:
    (record,), _ = read("1;-;a' OR url:value = 'b\\;02.01.2026;;\n")
    pattern = values(record)[0]["pattern"]
    assert pattern == "[ipv4-addr:value = 'a\\' OR url:value = \\'b\\\\']"


def test_a_marking_that_is_not_understood_withholds_the_row_and_is_said() -> None:
    (record,), _ = read("1;Reed Cutters;-;;Desk only;\n")
    definition, who = values(record)
    assert who["object_marking_refs"] == [definition["id"]]
    assert read_markings(who, definitions={}).others == {f"unknown:{definition['id']}"}
    assert "'Desk only' is not understood" in record.notes[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (";Reed Cutters;-;;;\n", "the key (Number) is empty"),
        ("1;-;-;;;\n", "no object can be made of it"),
        ("1;Reed Cutters;-;;;QDe.901\n", "'QDe.901' in subjects is not understood"),
        ('1;"Reed" Cutters;-;;;\n', "not a row of this table"),
        (f"1;{'x' * 300_000};-;;;\n", "field larger than"),
        ("1;Reed\rCutters;-;;;\n", "not a row of this table"),
    ],
)
def test_a_bad_row_says_where_and_what(row: str, words: str) -> None:
    records, unread = read(row + GOOD)
    assert ([one.place for one in records], [one.place for one in unread]) == (["row 3"], ["row 2"])
    assert words in unread[0].reason


def test_bytes_of_another_encoding_spoil_their_row_alone() -> None:
    data = (HEAD + GOOD).encode() + b"2;Stra\xdfe;-;;;\n" + GOOD.replace("1;", "3;", 1).encode()
    records, unread = read(data)
    assert ([one.place for one in records], [one.place for one in unread]) == (["row 2", "row 4"], ["row 3"])
    assert "encoding" in unread[0].reason


@pytest.mark.parametrize(
    ("name", "codec"), [("iso-8859-1", "latin-1"), ("windows-1252", "cp1252"), ("utf-16", "utf-16")]
)
def test_the_encoding_that_was_said_is_used(name: str, codec: str) -> None:
    mapping = MAPPING.replace(b"key =", f'encoding = "{name}"\nkey ='.encode())
    (record,), unread = read((HEAD + "1;Straße;-;;;\n").encode(codec), mapping)
    assert (values(record)[0]["name"], unread) == ("Straße", [])


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    (record,), _ = read(b"\xef\xbb\xbf" + (HEAD + GOOD).encode())
    assert record.place == "row 2"


def test_a_file_of_another_encoding_as_a_whole_is_refused() -> None:
    with pytest.raises(MalformedFile, match="utf-16"):
        read((HEAD + GOOD).encode(), MAPPING.replace(b"key =", b'encoding = "utf-16"\nkey ='))


def test_a_quote_that_is_not_closed_is_told_by_its_lines() -> None:
    rows = (
        '1;"Reed Cutters;-;;;\n'
        + "".join(GOOD.replace("1;", f"{n};", 1) for n in range(2, 100))
        + '100;x";-;;;\n'
        + GOOD
    )
    records, unread = read(rows)
    assert [one.place for one in records] == ["row 3"]
    assert unread[0].place == "row 2 (lines 2 to 101)"
    assert "quote that is not closed" in unread[0].reason


@pytest.mark.parametrize("bad", ['{n};"Reed Cutters;-;;;\n', '{n};"Reed" Cutters;-;;;\n'])
def test_a_quote_takes_no_row_behind_its_own_with_it(bad: str) -> None:
    rows = [GOOD.replace("1;", f"{number};", 1) for number in range(10_000)]
    for number in (5, 3_000, 9_000):
        rows[number] = bad.format(n=number)
    records, unread = read("".join(rows))
    assert [one.place for one in unread] == ["row 7", "row 3002", "row 9002"]
    assert all("quote that is not closed" in one.reason for one in unread)
    assert len(records) == 9_997


def test_the_last_row_of_a_file_may_be_the_one_with_the_quote() -> None:
    records, unread = read(GOOD + '2;"Reed Cutters;-;;;\n' + GOOD.replace("1;", "3;", 1))
    assert ([one.place for one in records], [one.place for one in unread]) == (["row 2", "row 4"], ["row 3"])


@pytest.mark.parametrize("line", ['x";"\n', '";"\n'])
def test_a_row_without_an_end_is_held_no_farther_than_a_bound(line: str) -> None:
    """Each line closes one cell and opens another: all of the file could be one row, or one from each line on."""
    rows = ('"\n' if line.startswith('"') else "") + line * 400_000
    started = time.process_time()
    records, unread = read(rows)
    assert records == []
    assert "over 1048576 characters" in unread[0].reason
    assert time.process_time() - started < 60  # read again and again it would be hours


def test_a_cell_of_two_lines_is_a_cell() -> None:
    (record,), unread = read('1;"Reed\nCutters";-;;;\n')
    assert (values(record)[0]["name"], record.place, unread) == ("Reed\nCutters", "row 2 (lines 2 to 3)", [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the first row has to hold the names"),
        (b"Number;Name\n1;x\n", "the mapping names the column 'TLP', and 0 columns"),
        (HEAD.replace("\n", ";Name\n").encode(), "the mapping names the column 'Name', and 2 columns"),
    ],
)
def test_a_table_without_its_columns_is_refused_whole(data: bytes, words: str) -> None:
    with pytest.raises(MalformedFile, match=r"row|column") as refused:
        read(data)
    assert words in refused.value.detail


def test_the_same_row_is_the_same_objects_and_a_corrected_one_too() -> None:
    first, again, corrected = (read(row)[0][0] for row in (GOOD, GOOD, GOOD.replace("Cutters", "Mowers")))
    assert first == again
    assert [one["id"] for one in values(first)] == [one["id"] for one in values(corrected)]
    assert first.objects[0] != corrected.objects[0]


def test_without_a_key_another_content_is_another_object() -> None:
    mapping = MAPPING.replace(b'key = ["Number"]\n', b"")
    first, corrected = (read(row, mapping)[0][0] for row in (GOOD, GOOD.replace("Cutters", "Mowers")))
    assert values(first)[0]["id"] != values(corrected)[0]["id"]
    assert values(first)[1]["id"] == values(corrected)[1]["id"]


def test_a_cell_can_be_a_list_a_number_or_another_word() -> None:
    mapping = b"""
format = "comity-mapping/1"
source = "s"
[[objects]]
type = "threat-actor"
[objects.properties]
name = { column = "a" }
aliases = { column = "b", split = "|" }
confidence = { column = "c", read_as = "integer" }
sophistication = { column = "d", words = { "1" = "minimal" } }
revoked = { column = "e", read_as = "boolean" }
first_seen = { column = "f", time = "YYYY-MM-DD hh:mm" }
"""
    head = b"a,b,c,d,e,f\n"
    (record,), _ = read(head + b"x,y| z|,70,1,no,2026-01-02 03:04\n", mapping)
    (value,) = values(record)
    assert {name: value[name] for name in ("aliases", "confidence", "sophistication", "revoked", "first_seen")} == {
        "aliases": ["y", "z"],
        "confidence": 70,
        "sophistication": "minimal",
        "revoked": False,
        "first_seen": "2026-01-02T03:04:00.000Z",
    }
    _, unread = read(head + b"x,,many,,,\nx,,,9,,\nx,,,,perhaps,\n", mapping)
    assert [one.reason.split(" in ")[0] for one in unread] == ["'many'", "'9'", "'perhaps'"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (b'"comity-mapping/1"', b'"x"', "line 2"),
        (b'delimiter = ";"', b'delimiter = ";;"', "one character"),
        (b'key = ["Number"]', b'key = "Number"', "list of texts"),
        (b'time = "DD.MM.YYYY"', b'time = "DD.MM.YY"', "how a time is written"),
        (b'pattern = "ipv4-addr:value"', b"pattern = \"x' OR '\"", "the property that is compared"),
        (b'{ object = "who" }', b'{ object = "nobody" }', "no earlier object"),
        (b"identity_class =", b"id =", "no property that a mapping can set"),
        (b"identity_class =", b"object_marking_refs =", "no property that a mapping can set"),
        (b'type = "identity"', b'type = "Identity"', "STIX type"),
        (b"[tags]", b"[tags]\nreligions = { constant = [] }", "religions"),
        (b"format", b"= format", "not TOML"),
        (b'source = "north-desk-watch-list"\n', b"", "source"),
    ],
)
def test_a_mapping_that_is_not_understood_is_refused_with_its_line(before: bytes, after: bytes, words: str) -> None:
    with pytest.raises(MalformedFile, match="the mapping: ") as refused:
        parse_mapping(MAPPING.replace(before, after, 1))
    assert words in refused.value.detail


# --- what people have to decide on, by the name of a column -----------------------------------------------------------

BARE = b"""
format = "comity-mapping/1"
source = "desk"
[[objects]]
type = "identity"
[objects.properties]
name = { column = "Name" }
identity_class = { constant = "individual" }
%b
"""


def tag(head: str, row: str, more: bytes) -> tuple[set[str], set[str]]:
    (record,), unread = read(f"Name,{head}\nOndrej Marrow,{row}\n".encode(), BARE % more)
    assert not unread
    tags = read_tags(values(record)[0])
    return {*tags.special_categories}, {*tags.person_classes}


@pytest.mark.parametrize(
    "more",
    [
        b'labels = { column = "Religion", split = ";" }',
        b'description = { column = "Religion" }',
        b'labels = { column = "Religion", split = ";", words = { "River Faith" = "rf" } }',
        b'x_desk_pattern = { column = "Religion", pattern = "x-desk:value" }',
    ],
)
def test_a_column_says_what_its_cells_are_wherever_they_go(more: bytes) -> None:
    assert tag("Religion", "River Faith", more) == ({"religious_or_philosophical_beliefs"}, set())
    assert tag("Religion", "", more) == (set(), set())
    assert tag("Origin", "River Faith", more.replace(b"Religion", b"Origin")) == (set(), set())


def test_a_birth_in_a_text_is_that_of_a_minor_if_it_may_be() -> None:
    more = b'description = { column = "Date of birth" }'
    assert tag("Date of birth", "2019-04-01", more) == (set(), {"minor"})
    assert tag("Date of birth", "1970-04-01", more) == (set(), set())


def test_the_key_and_the_tags_of_a_row_are_in_each_of_its_objects() -> None:
    mapping = BARE.replace(b'source = "desk"', b'source = "desk"\nkey = ["Ethnic group"]') % b""
    (record,), _ = read(b"Name,Ethnic group\nOndrej Marrow,Reed People\n", mapping)
    assert read_tags(values(record)[0]).special_categories == {"racial_or_ethnic_origin"}
    mapping = BARE.replace(b'source = "desk"', b'source = "desk"\ntags = { subjects = { column = "Religion" } }') % b""
    (record,), _ = read(b"Name,Religion\nOndrej Marrow,national:river\n", mapping)
    assert read_tags(values(record)[0]).special_categories == {"religious_or_philosophical_beliefs"}


def test_what_a_row_says_for_one_object_says_nothing_of_another() -> None:
    more = b'[[objects]]\ntype = "identity"\nname = "other"\n[objects.properties]\nname = { column = "Religion" }\n'
    (record,), _ = read(b"Name,Religion\nOndrej Marrow,River Faith\n", BARE % more)
    assert [bool(read_tags(value).special_categories) for value in values(record)] == [False, True]


def test_lines_that_end_in_a_return_alone_are_called_so() -> None:
    with pytest.raises(
        MalformedFile, match="ends in a CR alone, outside quotes; save the file with lines that end in LF"
    ):
        read((HEAD + GOOD).replace("\n", "\r").encode())
