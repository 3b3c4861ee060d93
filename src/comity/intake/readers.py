# SPDX-License-Identifier: Apache-2.0
"""Pure: the one table of formats and their readers.

A reader is given the bytes of a file, some at a time, and gives what it read, some records at a time, so that neither
has to be in memory as a whole. What is wrong with one record is an `Unread`; what is wrong with the file as a whole is
raised before the first record is given, wherever that can be told.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from comity.errors import MalformedRequest
from comity.intake.elevation import read_stix_20
from comity.intake.formats import Format
from comity.intake.making import Maker
from comity.intake.mapping import TableMapping, parse_mapping
from comity.intake.money import DATA_SET, read_money
from comity.intake.records import Converted
from comity.intake.sanctions import read_un_list
from comity.intake.stix import read_stix
from comity.intake.tables import read_table

__all__ = ["READERS", "Reader", "Request", "read_file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a reader is given beside the bytes: who makes the objects, and how they are named."""

    maker: Maker
    source: str = DATA_SET
    """What a data set of FollowTheMoney is called, for good: part of the ids of what is made of it."""
    mapping: bytes | None = None
    """The mapping of a table (`intake.mapping`), as TOML."""


Reader: TypeAlias = Callable[[Iterable[bytes], Request], Iterator[Converted]]
"""What was read, part by part.

Raises:
    MalformedFile, MalformedRequest: the file as a whole cannot be read, or what was asked does not fit it.
"""


def _read_csv(chunks: Iterable[bytes], request: Request) -> Iterator[Converted]:
    return read_table(chunks, _read_mapping(request), delimiter=",", maker=request.maker)


def _read_tsv(chunks: Iterable[bytes], request: Request) -> Iterator[Converted]:
    return read_table(chunks, _read_mapping(request), delimiter="\t", maker=request.maker)


def _read_mapping(request: Request) -> TableMapping:
    if request.mapping is None:
        raise MalformedRequest(
            "a table needs a mapping, which says what each column is: write one, and name it by --mapping FILE",
            where="--mapping",
        )
    return parse_mapping(request.mapping)


READERS: Final[Mapping[Format, Reader]] = {
    Format.STIX_21: lambda chunks, _: read_stix(chunks),
    Format.STIX_20: lambda chunks, request: read_stix_20(chunks, maker=request.maker),
    Format.CSV: _read_csv,
    Format.TSV: _read_tsv,
    Format.UN_LIST: lambda chunks, request: read_un_list(chunks, maker=request.maker),
    Format.FOLLOW_THE_MONEY: lambda chunks, request: read_money(chunks, source=request.source, maker=request.maker),
}


_ARTICLES: Final = frozenset({Format.HTML, Format.PDF, Format.TEXT})


def read_file(chunks: Iterable[bytes], form: Format, request: Request) -> Iterator[Converted]:
    """What the reader of that format reads in a file.

    Raises:
        MalformedRequest: there is no reader of it here.
        MalformedFile: the file as a whole cannot be read.
    """
    reader = READERS.get(form)
    if form in _ARTICLES:
        raise MalformedRequest(
            f"{form.value} is how articles come: `comity article add` reads one into drafts, which people confirm"
        )
    if form is Format.MISP_MANIFEST:
        raise MalformedRequest(
            "the manifest of a MISP feed holds no event, so it cannot be taken in here: follow the feed with"
            " `comity source add NAME --url URL --misp --terms FILE`, or take in the files of its events"
        )
    if reader is None:
        raise MalformedRequest(f"files in the format {form.value} cannot be taken in here")
    return reader(chunks, request)
