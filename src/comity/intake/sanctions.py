# SPDX-License-Identifier: Apache-2.0
"""Pure: the consolidated list of the UN Security Council, as it is published in XML.

    read_un_list([b'<CONSOLIDATED_LIST dateGenerated="2026-11-01T…"><INDIVIDUALS><INDIVIDUAL>…'], maker=maker)
        -> Converted(records=(Record(place="INDIVIDUAL QDi.901", objects=(b'{"type":"identity",…}',)),),
                     facts={"list_version": "2026-11-01T…"})

A person becomes an identity, and so does an entity: to be listed makes nobody a threat actor, which is for people to
say. Each has the subject tag `unsc:` and its reference number. What STIX has no property for stands in an extension
(`intake.listing`), aliases of low quality apart from the others. The date of the list is a fact of the file and not of
its objects: a record that did not change is the same object in every list.

No entity, no document type and nothing outside the file is ever read (`defusedxml`), and nothing lies deeper in it than
the published schema has it.
"""

from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from typing import Final
from xml.etree.ElementTree import Element, ParseError  # only the names: nothing is parsed by it
from xml.parsers.expat import ErrorString  # likewise

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from comity.canonical import Json
from comity.errors import MalformedError, MalformedFile, MalformedObject
from comity.intake.listing import make_listing
from comity.intake.making import Maker
from comity.intake.records import Converted, Record, Unread
from comity.stix.tags import make_tags

__all__ = ["UN_LIST", "read_un_list"]

UN_LIST: Final = "UN Security Council Consolidated List"

_ROOT: Final = "CONSOLIDATED_LIST"
_KINDS: Final = {"INDIVIDUAL": "individual", "ENTITY": "organization"}
_RECORD_DEPTH: Final = 2
"""A record lies in the list of its kind, and that in the root."""
_MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_DEPTH: Final = 8
_MOST_RECORDS: Final = 100_000
_MOST_INSIDE: Final = 5_000
"""Elements in one record."""
_AT_ONCE: Final = 200
_AT_END: Final = frozenset({3, 5, 20})
"""Codes of expat for what the end of the file cuts off: an element, a token, CDATA."""
_GOOD: Final = frozenset({"good", "a.k.a.", "aka"})
_FORMER: Final = frozenset({"f.k.a.", "fka"})
_NAMES: Final = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")


def read_un_list(chunks: Iterable[bytes], *, maker: Maker) -> Iterator[Converted]:
    """What its records became, some at a time; all of it is read before the first is given, with empty parts meanwhile.

    Raises:
        MalformedFile: it is no such list, not well formed, or over a bound.
    """
    version, records, unread = yield from _read_all(chunks, maker)
    facts = {"list": UN_LIST, "list_version": version}
    yield Converted(records=(), unread=tuple(unread), facts=facts)
    left = iter(records)
    while part := tuple(islice(left, _AT_ONCE)):
        yield Converted(records=part, facts=facts)


class _Pieces:
    """The bytes of a file as the parser of XML asks for them."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._count = 0

    def read(self, _: int = -1) -> bytes:
        """Some more of it, and nothing at its end."""
        chunk = next(self._chunks, b"")
        self._count += len(chunk)
        if self._count > _MOST_BYTES:
            raise MalformedFile(f"the list is over {_MOST_BYTES} bytes, which is the bound; split it")
        return chunk


def _read_all(
    chunks: Iterable[bytes], maker: Maker
) -> Generator[Converted, None, tuple[str, list[Record], list[Unread]]]:
    records, unread = list[Record](), list[Unread]()
    open_elements, inside, root = list[Element](), 0, None
    try:
        for event, element in iterparse(_Pieces(chunks), events=("start", "end"), forbid_dtd=True):
            if event == "start":
                open_elements.append(element)
                root = element if root is None else root
                inside += 1
                _check_bounds(open_elements, inside, len(records) + len(unread))
                continue
            open_elements.pop()
            depth, is_record = len(open_elements), element.tag in _KINDS
            stands_as_one = depth == _RECORD_DEPTH and open_elements[-1].tag not in _KINDS
            # What bears another name, or lies elsewhere, would else be left out without a word.
            if not stands_as_one and not (is_record and depth < _RECORD_DEPTH):
                continue
            if is_record and stands_as_one:
                _read_one(element, maker, records, unread)
            else:
                unread.append(_describe_stranger(element, len(records) + len(unread) + 1))
            # What was read is not kept beside what it became. The root says which version of the list it is.
            (open_elements[-1] if stands_as_one else element).clear()
            inside = 0
            if (len(records) + len(unread)) % _AT_ONCE == 0:
                yield Converted(records=())
    except DefusedXmlException as error:
        raise MalformedFile(
            f"it declares a document type or an entity ({type(error).__name__}), as no such list does; it is not read"
        ) from None
    except ParseError as error:
        line, column = error.position
        end = "; the file ends there: was it cut short?" if error.code in _AT_END else ""
        raise MalformedFile(
            f"line {line}: not well formed: {ErrorString(error.code)}{end}", where=f"{line}:{column + 1}"
        ) from None
    except (LookupError, ValueError) as error:
        raise MalformedFile(f"it is in an encoding that is not known here: {error}") from None
    return _read_version(root), records, unread


def _describe_stranger(element: Element, number: int) -> Unread:
    return Unread(
        place=f"{element.tag[:80]} no. {number}",
        reason="no record of this list: that is an INDIVIDUAL in INDIVIDUALS, or an ENTITY in ENTITIES",
    )


def _check_bounds(open_elements: list[Element], inside: int, count: int) -> None:
    if open_elements[0].tag != _ROOT:
        raise MalformedFile(f"its first element is {open_elements[0].tag[:80]!r} and not {_ROOT}; is it this list?")
    if len(open_elements) > _MOST_DEPTH:
        raise MalformedFile(f"elements lie more than {_MOST_DEPTH} deep inside one another, as in no such list")
    if inside > _MOST_INSIDE:
        raise MalformedFile(f"a record has over {_MOST_INSIDE} elements, as in no such list; it is record {count + 1}")
    if count >= _MOST_RECORDS:
        raise MalformedFile(f"over {_MOST_RECORDS} records are in it, which is the bound")


def _read_version(root: Element | None) -> str:
    version = "" if root is None else (root.get("dateGenerated") or "")
    if not version:
        raise MalformedFile(f"{_ROOT} has no dateGenerated: which version of the list it is cannot be told")
    return version[:80]


def _read_one(element: Element, maker: Maker, records: list[Record], unread: list[Unread]) -> None:
    reference = _text(element, "REFERENCE_NUMBER")
    place = f"{element.tag} {reference or _text(element, 'DATAID') or f'no. {len(records) + len(unread) + 1}'}"
    try:
        if not reference:
            raise MalformedObject("it has no REFERENCE_NUMBER; the number names it in every version of the list")
        name = " ".join(part for part in (_text(element, tag) for tag in _NAMES) if part)
        if not name:
            raise MalformedObject("it has no name (FIRST_NAME)")
        made = maker.make(
            "identity",
            ("un-list", reference),
            {
                "name": name,
                "identity_class": _KINDS[element.tag],
                "description": _text(element, "COMMENTS1") or None,
                "roles": [*_values(element, "DESIGNATION")] or None,
                "external_references": [{"source_name": UN_LIST, "external_id": reference}],
                "extensions": make_listing(_read_listing(element, reference)),
            },
            tags=make_tags(subjects=[f"unsc:{reference}"]),
        )
    except MalformedError as error:
        unread.append(Unread(place=place[:200], reason=error.detail))
        return
    records.append(Record(place=place[:200], objects=(made.data,), notes=()))


def _read_listing(element: Element, reference: str) -> dict[str, Json]:
    prefix = element.tag
    good, weak = _read_aliases(element, f"{prefix}_ALIAS")
    return {
        "list": _text(element, "UN_LIST_TYPE"),
        "reference": reference,
        "record": _text(element, "DATAID"),
        "version": _text(element, "VERSIONNUM"),
        "listed_on": _text(element, "LISTED_ON"),
        "updated_on": [*_values(element, "LAST_DAY_UPDATED")],
        "original_script": _text(element, "NAME_ORIGINAL_SCRIPT"),
        "titles": [*_values(element, "TITLE")],
        "aliases": good,
        "weak_aliases": weak,
        "nationalities": [*_values(element, "NATIONALITY")],
        "dates_of_birth": [*_read_fields(element, f"{prefix}_DATE_OF_BIRTH", _BIRTH)],
        "places_of_birth": [*_read_fields(element, f"{prefix}_PLACE_OF_BIRTH", _PLACE)],
        "documents": [*_read_fields(element, f"{prefix}_DOCUMENT", _DOCUMENT)],
        "addresses": [*_read_fields(element, f"{prefix}_ADDRESS", _PLACE)],
        "gender": _text(element, "GENDER"),
    }


_BIRTH: Final = {
    "TYPE_OF_DATE": "kind",
    "DATE": "date",
    "YEAR": "year",
    "FROM_YEAR": "from",
    "TO_YEAR": "to",
    "NOTE": "note",
}
_PLACE: Final = {
    "STREET": "street",
    "CITY": "city",
    "STATE_PROVINCE": "province",
    "ZIP_CODE": "postal_code",
    "COUNTRY": "country",
    "NOTE": "note",
}
_DOCUMENT: Final = {
    "TYPE_OF_DOCUMENT": "kind",
    "TYPE_OF_DOCUMENT2": "kind_note",
    "NUMBER": "number",
    "ISSUING_COUNTRY": "country",
    "COUNTRY_OF_ISSUE": "country_of_issue",
    "CITY_OF_ISSUE": "city_of_issue",
    "DATE_OF_ISSUE": "issued_on",
    "NOTE": "note",
}


def _read_aliases(element: Element, tag: str) -> tuple[list[Json], list[Json]]:
    """Those of good quality, each with what the list says of it, and those that alone match nobody.

    A quality that is not known counts as low.
    """
    good, weak = list[Json](), list[Json]()
    for alias in element.findall(tag):
        name, quality = _text(alias, "ALIAS_NAME"), _text(alias, "QUALITY")
        if not name:
            continue
        if quality.lower() in _GOOD | _FORMER:
            former: dict[str, Json] = {"former": True} if quality.lower() in _FORMER else {}
            good.append({"name": name, "quality": quality, **former})
        else:
            weak.append(name)
    return good, weak


def _read_fields(element: Element, tag: str, names: dict[str, str]) -> Iterator[Json]:
    for item in element.findall(tag):
        said: dict[str, Json] = {name: text for inner, name in names.items() if (text := _text(item, inner))}
        if said:
            yield said


def _values(element: Element, tag: str) -> Iterator[Json]:
    for value in element.findall(f"{tag}/VALUE"):
        if text := _bare(value.text):
            yield text


def _text(element: Element, tag: str) -> str:
    return _bare(element.findtext(tag))


def _bare(text: str | None) -> str:
    return " ".join((text or "").split())
