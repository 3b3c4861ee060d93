# SPDX-License-Identifier: Apache-2.0
"""Every public function of Comity that is called `parse_*`, found by its name, and what counts as a finding in it.

A parser is given bytes, or text, and must give a value or raise an error that its docstring names: anything else, and
anything that takes too long, is a finding. What a parser needs beside its input is in `_BESIDE`; one that is not found
to take bytes or text needs a reading of its own in `_READINGS`, or nothing here loads.
"""

import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import comity
from comity.agreement.drafting import convert_terms
from comity.articles import read_tables
from comity.canonical import BUNDLE_LIMITS, OBJECT_LIMITS, split_members
from comity.errors import ComityError
from comity.exchange import verify_access
from comity.ids import Digest, PartyId
from comity.intake.article.reading import read_article
from comity.intake.article.rules import join_tables
from comity.intake.article.text import Source, parse_plain
from comity.intake.elevation import read_stix_20
from comity.intake.formats import recognise_format
from comity.intake.making import Maker
from comity.intake.mapping import parse_mapping
from comity.intake.marking import read_marking
from comity.intake.money import read_money
from comity.intake.records import Converted
from comity.intake.sanctions import read_un_list
from comity.intake.stix import read_stix
from comity.intake.tables import read_table
from comity.lineage import LINEAGE_TYPE
from comity.release.clauses import CLAUSES
from comity.release.disclosure import EntryType, Leaf
from comity.signing import SignedDocument
from comity.stix.markings import TLP2_GREEN
from comity.taxii import wire
from tests.intake.annotated import read_gazetteer, read_rules
from tests.parties import AURELIA, MANIFESTS
from tests.processor import measure_million
from tests.signers import NOW

__all__ = ["MOST", "TARGETS", "Finding", "Target", "attempt", "find_parsers"]

MOST = 300.0
"""For one input of up to a mebibyte: so many times the time in which this processor adds up a million numbers here."""

_LEAST_SECONDS = 1.0
"""Of the processor: what takes no longer is not held against anything."""

_CURSOR: Mapping[str, Any] = {
    "key": bytes(32),
    "party": PartyId("borealia"),
    "collection": "00000000-0000-4000-8000-000000000000",
    "filters": wire.parse_filters([]),
}
_LEAF = Leaf(
    type=EntryType.PURGE,
    terms=None,
    recipient=None,
    sequence=None,
    count=5,
    at=NOW,
    commitment=Digest("0a" * 32),
)
_ARTICLE = Source(retrieved_at=NOW)
_PIECE, _MOST_PIECES = 100, 256
"""Bytes of a file that come at once: few, so that everything is cut somewhere; of a long one more, as from a disk."""

_MAKER = Maker(party=PartyId("aurelia"), at=NOW, markings=[TLP2_GREEN])
_MAPPING = parse_mapping(
    b"""
    format = "comity-mapping/1"
    source = "list"
    marking = { column = "c" }
    [tags]
    regions = { column = "c", split = "|" }
    [[objects]]
    type = "identity"
    [objects.properties]
    name = { column = "a" }
    x_number = { column = "b", read_as = "integer" }
    """
)
_BESIDE: Mapping[str, Mapping[str, Any]] = {
    "agreement.drafting.parse_bases": {"party": AURELIA},
    "agreement.receiving.parse_receipt_terms": {"party": PartyId("borealia")},
    "canonical.parse_json": {"limits": OBJECT_LIMITS},
    "intake.article.gazetteer.parse_gazetteer": {"rules": read_rules()},
    "intake.article.own.parse_own_rules": {"below": join_tables(read_tables())},
    "intake.article.html.parse_html": {"source": _ARTICLE},
    "intake.article.pdf.parse_pdf": {"source": _ARTICLE},
    "intake.article.text.parse_plain": {"source": _ARTICLE},
    "taxii.queries.parse_query": {"route": wire.Route(resource=wire.Resource.OBJECTS)},
    "taxii.wire.parse_cursor": _CURSOR,
}


class Finding(Exception):
    """What a parser did that none may do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser: `read` gives it an input made of any bytes; `raises` are the names of the errors it may raise."""

    name: str
    read: Callable[[bytes], object]
    raises: frozenset[str]


def find_parsers() -> dict[str, Callable[..., object]]:
    """Every public `parse_*` of every module, by its name below `comity`."""
    found: dict[str, Callable[..., object]] = {}
    for module in pkgutil.walk_packages(comity.__path__, "comity."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if name.startswith("parse_") and callable(value) and getattr(value, "__module__", "") == module.name:
                found[f"{module.name.removeprefix('comity.')}.{name}"] = value
    return found


def attempt(target: Target, data: bytes, *, most: float = MOST, least: float = _LEAST_SECONDS) -> None:
    """Let the parser read the bytes.

    Raises:
        Finding: an error that it does not name, or too long a time.
    """
    started = time.process_time()
    try:
        target.read(data)
    except ComityError as error:
        named = {kind.__name__ for kind in type(error).__mro__}
        if named.isdisjoint(target.raises):
            raise Finding(f"{target.name} raised {type(error).__name__}, which it does not name: {error}") from error
    except Exception as error:
        raise Finding(f"{target.name} raised {type(error).__name__}: {error}") from error
    seconds = time.process_time() - started
    if seconds > least and seconds > most * measure_million():
        raise Finding(f"{target.name} took {seconds:.1f} s for {len(data)} bytes")


def _as_text(data: bytes) -> str:
    """The bytes as text; also text that cannot be written down, for a path or a header may be any."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _read_facet(parse: Callable[..., object], data: bytes) -> object:
    clause, _, said = _as_text(data).partition("\n")
    return parse(clause or CLAUSES[0].name, said)


def _read_filters(parse: Callable[..., object], data: bytes) -> object:
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=64)
    except ValueError:
        return None
    return parse(pairs)


def _read_content(parse: Callable[..., object], data: bytes) -> object:
    """As the content of an entry of each type: for most it is none that this parser is about."""
    return [parse(replace(_LEAF, type=kind), data) for kind in EntryType]


def _read_payload(parse: Callable[..., object], data: bytes) -> object:
    return parse(SignedDocument(payload_type=LINEAGE_TYPE, payload=data, signatures=()))


_READINGS: Mapping[str, Callable[[Callable[..., object], bytes], object]] = {
    "lineage.parse_lineage": _read_payload,
    "release.facets.parse_facet": _read_facet,
    "release.logs.parse_heads": _read_content,
    "release.logs.parse_opening": _read_content,
    "release.purge.parse_log_purge": _read_content,
    "release.recovery.parse_recovery": _read_content,
    "taxii.wire.parse_filters": _read_filters,
}


def _make_target(name: str, parse: Callable[..., object]) -> Target:
    if name in _READINGS:
        read = partial(_READINGS[name], parse)
    else:
        first = next(iter(inspect.signature(parse).parameters.values())).annotation
        beside = _BESIDE.get(name, {})
        match first if isinstance(first, str) else getattr(first, "__name__", str(first)):
            case "bytes":
                read = partial(parse, **beside)
            case "str" | "str | None":
                read = partial(_read_text, parse, beside)
            case other:
                raise TypeError(f"{name} takes {other}: say in tests/fuzz/targets.py how bytes become one")
    return Target(name=name, read=read, raises=_find_raises(parse))


def _read_text(parse: Callable[..., object], beside: Mapping[str, Any], data: bytes) -> object:
    return parse(_as_text(data), **beside)


def _find_raises(parse: Callable[..., object]) -> frozenset[str]:
    """The errors that stand below "Raises:" in the docstring, before each colon."""
    _, _, below = (inspect.getdoc(parse) or "").partition("Raises:")
    lines = re.findall(r"^    ([A-Z]\w+(?:, [A-Z]\w+)*):", below, flags=re.MULTILINE)
    return frozenset(name for line in lines for name in line.split(", "))


def _verify_token(data: bytes) -> object:
    return verify_access(_as_text(data), dict(MANIFESTS), audience=AURELIA, now=NOW)


def _read_article(data: bytes) -> object:
    """Any bytes as the text of an article, read by the rules that come with the program."""
    return read_article(parse_plain(data, source=_ARTICLE), read_rules(), read_gazetteer())


def _read_file(read: Callable[..., Iterator[Converted]], data: bytes) -> object:
    """A file that comes in pieces; what is said of each record has to name it, and say something."""
    piece = max(_PIECE, len(data) // _MOST_PIECES)
    chunks = [data[at : at + piece] for at in range(0, len(data), piece)]
    found = [*read(chunks)]
    for part in found:
        if not all(one.place and one.reason for one in part.unread):
            raise ValueError("a record was left out without a place or a reason")
        if not all(one.place and one.objects for one in part.records):
            raise ValueError("a record became nothing, and was not said to be unread")
    return found


def _target(name: str, read: Callable[[bytes], object], function: Callable[..., object]) -> Target:
    return Target(name=name, read=read, raises=_find_raises(function))


_OTHERS = (
    # What strangers send and no `parse_*` reads alone.
    _target("canonical.split_members", partial(split_members, array="objects", limits=BUNDLE_LIMITS), split_members),
    _target("agreement.drafting.convert_terms", convert_terms, convert_terms),
    _target("exchange.verify_access", _verify_token, verify_access),
    _target("intake.article.reading.read_article", _read_article, parse_plain),
    _target("intake.elevation.read_stix_20", partial(_read_file, partial(read_stix_20, maker=_MAKER)), read_stix_20),
    _target(
        "intake.formats.recognise_format",
        lambda data: recognise_format(data, _as_text(data)[:40]),
        recognise_format,
    ),
    _target("intake.marking.read_marking", lambda data: read_marking(_as_text(data), maker=_MAKER), read_marking),
    _target("intake.money.read_money", partial(_read_file, partial(read_money, source="x", maker=_MAKER)), read_money),
    _target("intake.sanctions.read_un_list", partial(_read_file, partial(read_un_list, maker=_MAKER)), read_un_list),
    _target("intake.stix.read_stix", partial(_read_file, read_stix), read_stix),
    _target(
        "intake.tables.read_table",
        partial(_read_file, partial(read_table, mapping=_MAPPING, delimiter=",", maker=_MAKER)),
        read_table,
    ),
    _target("taxii.wire.choose_coding", lambda data: wire.choose_coding(_as_text(data)), wire.choose_coding),
    _target("taxii.wire.is_acceptable", lambda data: wire.is_acceptable(_as_text(data)), wire.is_acceptable),
    _target("taxii.wire.is_content", lambda data: wire.is_content(_as_text(data)), wire.is_content),
)

TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in [*(_make_target(name, parse) for name, parse in sorted(find_parsers().items())), *_OTHERS]
}
