# SPDX-License-Identifier: Apache-2.0
r"""Pure: CSV and TSV with a mapping: each row becomes the objects that the mapping plans (RFC 4180).

    read_table([b"Name;TLP\nOndrej Fictional;AMBER\n"], mapping, delimiter=";", maker=maker)
        -> Converted(records=(Record(place="row 2", objects=(b'{"type":"identity",…}',)),))

Rows are counted as a spreadsheet counts them, the names of the columns being row 1. A row that is not as long as the
first, holds a NUL or bytes that are not of the encoding, or runs over more lines than any cell has, is left out and
said. A quote that is not closed spoils its row, and not those that it takes in. What a cell holds is text, also where a
spreadsheet would calculate it.
"""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Final, NamedTuple, Self

from comity.canonical import Json
from comity.classification.safeguards import MINOR, find_sensitive, is_sensitive_name
from comity.counting import say_count
from comity.errors import MalformedError, MalformedFile, MalformedObject
from comity.ids import ObjectId, parse_instant
from comity.intake.making import Maker, format_object
from comity.intake.mapping import (
    Cell,
    Constant,
    ObjectPlan,
    Pattern,
    ReadAt,
    References,
    Source,
    TableMapping,
)
from comity.intake.marking import Marked, read_marking
from comity.intake.records import Converted, Record, Unread, pack
from comity.stix.tags import VOCABULARIES, Tags, join_tags, make_tags

__all__ = ["read_table"]

_MOST_LINE: Final = 256 * 1024
_MOST_LINES_OF_A_ROW: Final = 64
_MOST_ROW: Final = 1024 * 1024
_MOST_COLUMNS: Final = 1_000
_CREDIT: Final = 4
_LEAST_CREDIT: Final = 16 * 1024 * 1024
"""Characters that are read again at most: so many, and for each that was read so many."""
_SHOWN: Final = 80
_BOM: Final = "\ufeff"
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_YES: Final = frozenset({"1", "true", "yes", "y"})
_NO: Final = frozenset({"0", "false", "no", "n"})
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
_TIME_PART_OR_SIGN: Final = re.compile(r"YYYY|MM|DD|hh|mm|ss|.")
_DIGITS: Final = {"YYYY": 4, "MM": 2, "DD": 2, "hh": 2, "mm": 2, "ss": 2}


def read_table(chunks: Iterable[bytes], mapping: TableMapping, *, delimiter: str, maker: Maker) -> Iterator[Converted]:
    """What the rows became, some at a time.

    Raises:
        MalformedFile: it has no first row with the names of the columns, or lacks one that the mapping names.
    """
    rows = _read_rows(_read_lines(chunks, mapping.encoding), mapping.delimiter or delimiter)
    columns = _read_header(rows, mapping)
    table = _Table(mapping, maker, frozenset(filter(is_sensitive_name, mapping.columns())))
    return pack(_read_row(place, row, columns, table) for place, row in rows)


def _read_row(place: str, row: list[str] | str, columns: Sequence[str], table: "_Table") -> Record | Unread:
    if isinstance(row, str):
        return Unread(place=place, reason=row)
    try:
        return _Row(_name_cells(columns, row), table).convert(place)
    except MalformedError as error:
        return Unread(place=place, reason=error.detail)


# --- lines and rows -----------------------------------------------------------------------------------------------


def _read_lines(chunks: Iterable[bytes], encoding: str) -> Iterator[str]:
    """Each line with its end. What is not of the encoding is lone surrogates in it; what is too long ends in a NUL."""
    # An error that stops at one line must not spoil the others: such bytes are kept so that the row can be refused.
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    decoder = codecs.getincrementaldecoder(encoding)(errors=errors)
    rest, is_first = "", True
    for chunk in chain(chunks, [None]):
        if is_first and encoding != "utf-16" and chunk and chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise MalformedFile('it is written in UTF-16; say `encoding = "utf-16"` in the mapping', where="1:1")
        try:
            rest += decoder.decode(chunk or b"", final=chunk is None)
        except UnicodeError as error:
            raise MalformedFile(f"it is not written in {encoding}: {error}", where="1:1") from None
        if is_first and rest:
            rest, is_first = rest.removeprefix(_BOM), False
        *lines, rest = rest.split("\n")
        for line in lines:
            yield _cut(f"{line}\n")
        if len(rest) > _MOST_LINE:
            rest = f"{rest[:_MOST_LINE]}\0"
    if rest:
        yield _cut(rest)


def _cut(line: str) -> str:
    return line if len(line) <= _MOST_LINE else f"{line[:_MOST_LINE]}\0\n"


class _Lines:
    """The lines of a table, of which those behind the first of a row that is none are given again.

    A quote that is not closed takes in what follows, up to the next quote: the rows there are rows all the same. What
    is given again is little beside what was read: of a file that is made of such quotes the rest is refused with them.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again = deque[str]()
        self._row = list[str]()
        self._size = 0
        self._credit = _LEAST_CREDIT
        self.count = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        """The next line of the row.

        Raises:
            csv.Error: the row is over the bound.
        """
        if self._size > _MOST_ROW:
            raise csv.Error(f"it is over {_MOST_ROW} characters long")
        if self._again:
            line = self._again.popleft()
        else:
            line = next(self._lines)
            self._credit += _CREDIT * len(line)
        self._row.append(line)
        self._size += len(line)
        return line

    def __len__(self) -> int:
        """How many lines the row has so far."""
        return len(self._row)

    def begin(self) -> None:
        """From here on lines are of another row."""
        self.count += len(self._row)
        self._row, self._size = [], 0

    def give_back(self) -> int:
        """Have all but the first line of the row given again, where that may be; how many lines the row has left."""
        if len(self._row) > 1 and self._size <= self._credit:
            self._credit -= self._size
            self._again.extendleft(reversed(self._row[1:]))
            del self._row[1:]
        return len(self._row)


def _read_rows(lines: Iterator[str], delimiter: str) -> Iterator[tuple[str, list[str] | str]]:
    """Each row with its place; a text, which says why, instead of one that cannot be read. Empty lines are no rows."""
    given = _Lines(lines)
    reader = csv.reader(given, delimiter=delimiter, strict=True)
    for number in count(1):
        row: list[str] | str = []
        while row == []:
            given.begin()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                row = f"not a row of this table: {_explain(error)}"
        over = given.give_back() if isinstance(row, str) else len(given)
        place = f"row {number}" if over <= 1 else f"row {number} (lines {given.count + 1} to {given.count + over})"
        yield place, _check_row(row, over)


def _explain(error: csv.Error) -> str:
    """What is wrong, and what to do about it."""
    if "new-line character" in str(error):
        return "a line in it ends in a CR alone, outside quotes; save the file with lines that end in LF or CRLF"
    return f"{error}; look for a quote that is not closed, or is not doubled"


def _check_row(row: list[str] | str, lines: int) -> list[str] | str:
    if isinstance(row, str):
        return row
    if lines > _MOST_LINES_OF_A_ROW:
        return f"it runs over {lines} lines, which no cell does; look for a quote that is not closed"
    if any("\0" in cell for cell in row):
        return f"a cell holds a NUL, or the row is over {_MOST_LINE} characters long; take that out"
    if any(_SURROGATE.search(cell) is not None or "\ufffd" in cell for cell in row):
        return "it holds bytes that are not of the encoding; say the right one in the mapping, as `encoding`"
    return row


def _read_header(rows: Iterator[tuple[str, list[str] | str]], mapping: TableMapping) -> list[str]:
    place, row = next(rows, ("row 1", "there is none"))
    if isinstance(row, str):
        raise MalformedFile(f"the first row has to hold the names of the columns: {row}", where=place)
    columns = [cell.strip() for cell in row]
    if len(columns) > _MOST_COLUMNS:
        raise MalformedFile(f"{len(columns)} columns where at most {_MOST_COLUMNS} are taken", where=place)
    for name in mapping.columns():
        if columns.count(name) != 1:
            raise MalformedFile(
                f"the mapping names the column {name[:_SHOWN]!r}, and {columns.count(name)} columns are called so;"
                f" there are {', '.join(columns)[:400]}",
                where=place,
            )
    return columns


def _name_cells(columns: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    if len(row) != len(columns):
        cells = say_count(len(row), "cell")
        raise MalformedObject(f"{cells} where the first row has {len(columns)}; make them as many")
    return dict(zip(columns, row, strict=True))


# --- one row ------------------------------------------------------------------------------------------------------


class _Table(NamedTuple):
    """What is the same for every row; the cells of `sensitive` columns may be what people have to decide on."""

    mapping: TableMapping
    maker: Maker
    sensitive: frozenset[str]


class _Row:
    """One row of a table, becoming objects."""

    def __init__(self, cells: Mapping[str, str], table: _Table) -> None:
        self._cells = cells
        self._mapping, self._maker, self._sensitive = table
        self._made: dict[str, ObjectId] = {}
        self._notes: list[str] = []

    def convert(self, place: str) -> Record:
        """The record.

        Raises:
            MalformedObject: a cell cannot be read as the mapping says, or the row names nothing that can be made.
        """
        marked, tags = self._read_marking(), self._read_tags()
        objects = [made for plan in self._mapping.objects if (made := self._make(plan, marked, tags)) is not None]
        if not objects:
            raise MalformedObject("no object can be made of it: the cells that the mapping names are empty")
        return Record(
            place=place, objects=(*marked.definitions, *objects), notes=(*marked.notes, *dict.fromkeys(self._notes))
        )

    def _read_marking(self) -> Marked:
        source = self._mapping.marking
        if source is None:
            return Marked()
        value = self._find(source)
        return Marked() if value is None else read_marking(_as_text(value), maker=self._maker)

    def _read_tags(self) -> Tags:
        words = {name: self._find(source) for name, source in self._mapping.tags.items()}
        said = {name: _as_words(value) for name, value in words.items() if value is not None}
        return make_tags(**{name: said.get(name, ()) for name in VOCABULARIES})

    def _make(self, plan: ObjectPlan, marked: Marked, tags: Tags) -> bytes | None:
        values = {name: self._find(source) for name, source in plan.properties.items()}
        said = {name: value for name, value in values.items() if value is not None}
        sources = plan.properties
        if any(isinstance(sources[name], References) and values[name] is None for name in sources):
            return None
        cells = [name for name in sources if isinstance(sources[name], Cell | Pattern)]
        if cells and not any(name in said for name in cells):
            return None
        key = [self._cells[column].strip() for column in self._mapping.key]
        if self._mapping.key and not any(key):
            raise MalformedObject(f"the key ({', '.join(self._mapping.key)}) is empty; give each row one")
        named = ["table", self._mapping.source, plan.name, *(key or [format_object(said).decode()])]
        if key:
            said.setdefault(
                "external_references", [{"source_name": self._mapping.source, "external_id": " ".join(key)}]
            )
        tags = join_tags(tags, self._find_sensitive(plan))
        made = self._maker.make(plan.type, named, said, markings=marked.markings, tags=tags)
        self._made[plan.name] = made.id
        return made.data

    def _find_sensitive(self, plan: ObjectPlan) -> Tags:
        """What its cells are by the names of their columns, of which the object need say nothing.

        The key of the row is in each of its objects, and so are the words of the table `tags`.
        """
        if not self._sensitive:
            return make_tags()
        sources = [*plan.properties.values(), *self._mapping.tags.values()]
        columns = {source.column for source in sources if isinstance(source, Cell | Pattern)} | {*self._mapping.key}
        cells = {column: self._read_cell(column) for column in columns & self._sensitive}
        found = find_sensitive(dict(cells), now=self._maker.at)
        return make_tags(special_categories=found.special_categories, person_classes=(MINOR,) if found.minor else ())

    def _find(self, source: Source) -> Json:
        """The value of a property, or None where the row says none."""
        match source:
            case Constant(value=value):
                return value
            case ReadAt():
                return self._maker.written_at
            case References(objects=names, listed=listed):
                found: list[Json] = [self._made[name] for name in names if name in self._made]
                return (found or None) if listed else next(iter(found), None)
            case Pattern(column=column, path=path):
                text = self._read_cell(column)
                return None if text is None else f"[{path} = '{_escape(text)}']"
            case Cell():
                return self._find_cell(source)

    def _find_cell(self, cell: Cell) -> Json:
        text = self._read_cell(cell.column)
        if text is None:
            return None
        if cell.split is None:
            return _read_value(text, cell)
        parts = [part.strip() for part in text.split(cell.split)]
        return [_read_value(part, cell) for part in parts if part] or None

    def _read_cell(self, column: str) -> str | None:
        text = self._cells[column].strip()
        return None if not text or text in self._mapping.nothing else text


def _read_value(text: str, cell: Cell) -> Json:
    """What one text of a cell is read as.

    Raises:
        MalformedObject: it cannot be.
    """
    if cell.words:
        if text not in cell.words:
            raise MalformedObject(
                f"{text[:_SHOWN]!r} in {cell.column} is none of the `words` of the mapping; add it there, or correct it"
            )
        text = cell.words[text]
    if cell.time is not None:
        return _read_time(text, cell.time, cell.column)
    if cell.read_as == "integer":
        if _INTEGER.fullmatch(text) is None:
            raise MalformedObject(f"{text[:_SHOWN]!r} in {cell.column} is not a whole number of at most 15 digits")
        return int(text)
    if cell.read_as == "boolean":
        if text.lower() not in _YES | _NO:
            raise MalformedObject(f"{text[:_SHOWN]!r} in {cell.column} is neither yes nor no (true/false, 1/0, y/n)")
        return text.lower() in _YES
    return text


def _read_time(text: str, written: str, column: str) -> str:
    """A time in UTC as STIX writes it; what is not written counts as its beginning."""
    pattern = "".join(
        f"(?P<{part}>[0-9]{{{_DIGITS[part]}}})" if part in _DIGITS else re.escape(part)
        for part in _TIME_PART_OR_SIGN.findall(written)
    )
    try:
        found = re.fullmatch(pattern, text, re.ASCII)
        if found is None:
            raise MalformedObject("")
        said = {"YYYY": "1970", "MM": "01", "DD": "01", "hh": "00", "mm": "00", "ss": "00", **found.groupdict()}
        time = "{YYYY}-{MM}-{DD}T{hh}:{mm}:{ss}.000Z".format_map(said)
        parse_instant(time)
    except (MalformedError, re.error):
        raise MalformedObject(f"{text[:_SHOWN]!r} in {column} is not a time written {written}") from None
    return time


def _as_text(value: Json) -> str:
    return ";".join(_as_words(value)) if isinstance(value, list) else str(value)


def _as_words(value: Json) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _escape(text: str) -> str:
    """A text inside a pattern (STIX 2.1 §9.2)."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
