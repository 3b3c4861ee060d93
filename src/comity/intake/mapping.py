# SPDX-License-Identifier: Apache-2.0
"""Pure: how the columns of a table become STIX 2.1 objects, as a person writes it down.

    format = "comity-mapping/1"
    source = "north-desk-watch-list"            # what the list is called: part of the ids of what is made
    encoding = "utf-8"                          # optional; one of ENCODINGS
    delimiter = ";"                             # optional: "," in a CSV file, a tab in a TSV file
    key = ["Number"]                            # optional: the columns that name a row for good
    nothing = ["-", "n/a"]                      # optional: cells that say nothing, besides empty ones
    marking = { column = "TLP" }                # optional; or { constant = "TLP:AMBER" }

    [tags]                                      # optional: the fields of the classification extension
    subjects = { column = "Group", split = ";" }
    regions = { constant = ["IQ"] }

    [[objects]]
    name = "who"                                # optional: how later objects of the row refer to this one
    type = "identity"
    [objects.properties]
    name = { column = "Name" }
    identity_class = { constant = "individual" }

    [[objects]]
    type = "indicator"
    [objects.properties]
    pattern = { column = "Address", pattern = "ipv4-addr:value" }
    pattern_type = { constant = "stix" }
    valid_from = { column = "Seen", time = "DD.MM.YYYY" }       # or { read_at = true }

An object of which every cell is empty is not made, nor is one that refers to one that was not made.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from comity.agreement.drafting import parse_toml, with_line
from comity.agreement.reader import Reader
from comity.canonical import Json
from comity.errors import MalformedFile, MalformedTerms
from comity.stix.tags import VOCABULARIES
from comity.vocabulary import TYPE

__all__ = [
    "ENCODINGS",
    "Cell",
    "Constant",
    "ObjectPlan",
    "Pattern",
    "ReadAt",
    "References",
    "TableMapping",
    "parse_mapping",
]

FORMAT: Final = "comity-mapping/1"

ENCODINGS: Final = (
    "utf-8",
    "utf-16",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-9",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1254",
    "windows-1256",
    "koi8-r",
)
"""What a table can be written in; what is not said is UTF-8, and nothing is guessed."""

_MOST_OBJECTS: Final = 20
_MOST_PROPERTIES: Final = 100
_PROPERTY: Final = re.compile(r"[a-z0-9_]{2,250}", re.ASCII)
_LEFT_TO_THE_MAKER: Final = frozenset(
    {"type", "spec_version", "id", "created", "modified", "object_marking_refs", "extensions", "granular_markings"}
)
_PATH: Final = re.compile(r"[a-z0-9-]{3,250}:[a-zA-Z0-9_.'\[\]*-]{1,250}", re.ASCII)
_TIME: Final = re.compile(r"YYYY|MM|DD|hh|mm|ss|[^A-Za-z0-9]", re.ASCII)
_DAY: Final = ("YYYY", "MM", "DD")
_READ_AS: Final = ("text", "integer", "boolean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What the cell in `column` says.

    `split` makes a list of it; `time` is how a time is written there, in UTC; `read_as` is what else it is read as.
    `words` say what stands for what; a cell with another word is refused.
    """

    column: str
    split: str | None = None
    time: str | None = None
    read_as: str = "text"
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The same in every row."""

    value: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A STIX pattern that compares one property of an observable with a cell."""

    column: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """The ids of earlier objects of the row; `listed` says that the property holds a list of them."""

    objects: tuple[str, ...]
    listed: bool


@dataclass(frozen=True, slots=True)
class ReadAt:
    """The time at which the row was read first."""


Source: TypeAlias = Cell | Constant | Pattern | References | ReadAt
"""Where the value of a property comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPlan:
    """One object to a row."""

    name: str
    type: str
    properties: Mapping[str, Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMapping:
    """How each row of a table is read."""

    source: str
    encoding: str
    delimiter: str | None
    key: tuple[str, ...]
    nothing: frozenset[str]
    marking: Cell | Constant | None
    tags: Mapping[str, Cell | Constant]
    objects: tuple[ObjectPlan, ...]

    def columns(self) -> list[str]:
        """Every column that it names, each once."""
        named = [*self.key]
        sources: list[Source | None] = [self.marking, *self.tags.values()]
        sources += [source for plan in self.objects for source in plan.properties.values()]
        named += [source.column for source in sources if isinstance(source, Cell | Pattern)]
        return [*dict.fromkeys(named)]


def parse_mapping(toml: bytes) -> TableMapping:
    """The mapping that a person wrote as TOML.

    Raises:
        MalformedFile: what is wrong, with its line, and what is allowed there.
    """
    try:
        text, value = parse_toml(toml)
        try:
            return _read_mapping(Reader(value, "", MalformedTerms).open())
        except MalformedTerms as error:
            raise with_line(error, text) from error
    except MalformedTerms as error:
        raise MalformedFile(f"the mapping: {error.detail}", where=error.where) from error


def _read_mapping(fields: Reader) -> TableMapping:
    fields.word("format", [FORMAT])
    mapping = TableMapping(
        source=fields.text("source", most=200),
        encoding=fields.word("encoding", ENCODINGS) if fields.has("encoding") else "utf-8",
        delimiter=_read_delimiter(fields),
        key=_read_columns(fields, "key"),
        nothing=frozenset(_read_columns(fields, "nothing")),
        marking=_read_plain(fields.item("marking")) if fields.has("marking") else None,
        tags=MappingProxyType(dict(_read_tags(fields.item("tags"))) if fields.has("tags") else {}),
        objects=tuple(_read_objects(fields)),
    )
    fields.close()
    return mapping


def _read_delimiter(fields: Reader) -> str | None:
    if not fields.has("delimiter"):
        return None
    found = fields.item("delimiter").value
    if not isinstance(found, str) or len(found) != 1 or found in '"\r\n\0':
        raise fields.refuse("delimiter", "give the one character that separates the cells of a row")
    return found


def _read_columns(fields: Reader, name: str) -> tuple[str, ...]:
    if not fields.has(name):
        return ()
    listed = fields.item(name).value
    if not isinstance(listed, list):
        raise fields.refuse(name, "give a list of texts")
    found = [item for item in listed if isinstance(item, str)]
    if len(found) != len(listed) or len(found) > _MOST_PROPERTIES:
        raise fields.refuse(name, f"give a list of at most {_MOST_PROPERTIES} texts")
    return tuple(found)


def _read_tags(fields: Reader) -> Iterator[tuple[str, Cell | Constant]]:
    opened = fields.open()
    for name in VOCABULARIES:
        if opened.has(name):
            yield name, _read_plain(opened.item(name))
    opened.close()


def _read_objects(fields: Reader) -> Iterator[ObjectPlan]:
    earlier = list[str]()
    for item in fields.items("objects", least=1, most=_MOST_OBJECTS):
        opened = item.open()
        kind = opened.text("type")
        if TYPE.fullmatch(kind) is None:
            raise opened.refuse("type", "give a STIX type, such as indicator")
        name = opened.text("name", most=100) if opened.has("name") else f"{kind} {len(earlier)}"
        if name in earlier:
            raise opened.refuse("name", f"{name} is the name of an earlier object of the row; give another one")
        properties = dict[str, Source]()
        for property_name, source in opened.entries("properties", most=_MOST_PROPERTIES):
            if _PROPERTY.fullmatch(property_name) is None or property_name in _LEFT_TO_THE_MAKER:
                raise opened.refuse(property_name, "is no property that a mapping can set")
            properties[property_name] = _read_source(source, earlier, listed=property_name.endswith("_refs"))
        opened.close()
        yield ObjectPlan(name=name, type=kind, properties=MappingProxyType(properties))
        earlier.append(name)


def _read_source(item: Reader, earlier: list[str], *, listed: bool) -> Source:
    fields = item.open()
    if fields.has("object") or fields.has("objects"):
        names = _read_columns(fields, "objects") if fields.has("objects") else (fields.text("object"),)
        for name in names:
            if name not in earlier:
                raise fields.refuse("object", f"{name[:80]} is the name of no earlier object of the row")
        fields.close()
        return References(objects=names, listed=listed)
    if fields.has("read_at"):
        if not fields.flag("read_at"):
            raise fields.refuse("read_at", "can only be true; leave it out otherwise")
        fields.close()
        return ReadAt()
    if fields.has("pattern"):
        path = fields.text("pattern")
        if _PATH.fullmatch(path) is None:
            raise fields.refuse("pattern", "give the property that is compared, such as ipv4-addr:value")
        found = Pattern(column=_read_column(fields), path=path)
        fields.close()
        return found
    return _read_plain(item)


def _read_plain(item: Reader) -> Cell | Constant:
    fields = item.open()
    if fields.has("constant"):
        constant = Constant(value=fields.item("constant").value)
        fields.close()
        return constant
    time = fields.text("time", most=40) if fields.has("time") else None
    if time is not None and ("".join(_TIME.findall(time)) != time or any(part not in time for part in _DAY)):
        raise fields.refuse(
            "time",
            "give how a time is written, with YYYY MM DD, and hh mm ss if they are there, such as DD.MM.YYYY hh:mm",
        )
    cell = Cell(
        column=_read_column(fields),
        split=_read_split(fields),
        time=time,
        read_as=fields.word("read_as", _READ_AS) if fields.has("read_as") else "text",
        words=_read_words(fields) if fields.has("words") else MappingProxyType({}),
    )
    fields.close()
    return cell


def _read_column(fields: Reader) -> str:
    """The name of a column, spaces and all."""
    column = fields.item("column").value
    if not isinstance(column, str):
        raise fields.refuse("column", "give the name of a column, as it stands in the first row")
    return column


def _read_split(fields: Reader) -> str | None:
    if not fields.has("split"):
        return None
    split = fields.item("split").value
    if not isinstance(split, str) or not split:
        raise fields.refuse("split", "give the text that stands between the parts of a cell")
    return split


def _read_words(fields: Reader) -> Mapping[str, str]:
    found = dict[str, str]()
    for word, item in fields.entries("words", most=1_000):
        if not isinstance(item.value, str):
            raise fields.refuse("words", "give a text for each word")
        found[word] = item.value
    return MappingProxyType(found)
