# SPDX-License-Identifier: Apache-2.0
r"""Pure: entities of FollowTheMoney, one JSON object to a line.

    read_money([b'{"id":"q-1","schema":"Person","properties":{"name":["Ondrej Fictional"]}}\n'], source="watch", …)
        -> Converted(records=(Record(place="line 1 (q-1)", objects=(b'{"type":"identity",…}',)),))

    Person                                   identity, individual
    Organization, Company, LegalEntity, …    identity, organization
    Vessel, Airplane, Vehicle                infrastructure
    Address                                  location, where it says a country
    Sanction, Passport, Identification       note on the entity that it is about
    Membership, Ownership, Family, …         relationship between two entities

What an entity refers to may stand behind it in the file. So what links others waits for the end, and an entity that is
in no line leaves it unread. A schema that is not in the table is unread; nothing is guessed from its name. Religion,
ethnicity and political opinion of a person are not carried over (norms.md, `THREATMODEL.md`).
"""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from comity.canonical import OBJECT_LIMITS, Json, Limits, parse_json
from comity.errors import MalformedError, MalformedFile, MalformedObject
from comity.ids import ObjectId
from comity.intake.listing import make_listing
from comity.intake.making import Made, Maker
from comity.intake.records import Converted, Record, Unread, pack

__all__ = ["DATA_SET", "find_data_set", "read_money"]

DATA_SET: Final = "FollowTheMoney"
"""What a data set is called that nobody has named."""

_LIMITS: Final = Limits(max_bytes=256 * 1024, max_depth=6, max_items=10_000)
_MOST_ENTITIES: Final = 300_000
_MOST_WAITING: Final = 100_000
_MOST_WAITING_BYTES: Final = 128 * 1024 * 1024
_LONGEST_ID: Final = 255
_SHOWN: Final = 80

_IDENTITIES: Final = {
    "Person": "individual",
    "Organization": "organization",
    "Company": "organization",
    "LegalEntity": "organization",
    "PublicBody": "organization",
}
_THINGS: Final = frozenset({"Vessel", "Airplane", "Vehicle"})
_LINKS: Final[Mapping[str, tuple[str, str, str]]] = {
    "Membership": ("member", "organization", "member-of"),
    "Ownership": ("owner", "asset", "owns"),
    "Directorship": ("director", "organization", "director-of"),
    "Employment": ("employee", "employer", "employed-by"),
    "Family": ("person", "relative", "relative-of"),
    "Associate": ("person", "associate", "associate-of"),
    "Representation": ("agent", "client", "represents"),
    "UnknownLink": ("subject", "object", "linked-to"),
    "Occupancy": ("holder", "post", "holds"),
}
"""Of each schema that links two entities: the two properties, and the type of the relationship."""

_NOTES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "Sanction": (
        "entity",
        (
            "authority",
            "program",
            "programId",
            "unscId",
            "listingDate",
            "startDate",
            "endDate",
            "status",
            "provisions",
            "reason",
            "sourceUrl",
        ),
    ),
    "Passport": ("holder", ("type", "country", "number", "passportNumber", "startDate", "endDate")),
    "Identification": ("holder", ("type", "country", "number", "authority", "startDate", "endDate")),
}
"""Of each schema that says something of one entity: the property that names it, and those that are said."""

_NOT_CARRIED: Final = frozenset({"religion", "ethnicity", "political"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entity:
    """One line."""

    place: str
    id: str
    schema: str
    properties: Mapping[str, list[str]]

    def first(self, *names: str) -> str | None:
        """The first value of the first of these properties that has one."""
        return next((values[0] for name in names if (values := self.properties.get(name))), None)

    def all(self, *names: str) -> list[str]:
        """Every value of these properties, each once."""
        return [*dict.fromkeys(value for name in names for value in self.properties.get(name, ()))]


def read_money(chunks: Iterable[bytes], *, source: str, maker: Maker) -> Iterator[Converted]:
    """What the lines became, some at a time; `source` is what the data set is called.

    Raises:
        MalformedFile: over a bound of entities, or of links.
    """
    return pack(_Reading(source, maker).read(chunks))


class _Reading:
    """The lines of one file, and what is known of the entities behind them."""

    def __init__(self, source: str, maker: Maker) -> None:
        self._source = source
        self._maker = maker
        self._made: dict[str, ObjectId] = {}
        self._waiting = list[_Entity]()
        self._waiting_bytes = 0

    def read(self, chunks: Iterable[bytes]) -> Iterator[Record | Unread | None]:
        """What became of each line, None of those that wait for others; at the end, what became of these."""
        for number, line in enumerate(_split_lines(chunks), start=1):
            yield _attempt(f"line {number}", partial(self._read, line, number)) if line.strip() else None
        for entity in self._waiting:
            yield _attempt(entity.place, partial(self._link, entity))

    def _read(self, line: bytes, number: int) -> Record | None:
        entity = _parse(line, number)
        if entity.id in self._made:
            raise MalformedObject(f"{entity.id[:_SHOWN]} is in an earlier line too; keep one of them")
        waits = entity.schema in _LINKS or entity.schema in _NOTES
        self._waiting_bytes += len(line) if waits else 0
        if (
            len(self._made) == _MOST_ENTITIES
            or len(self._waiting) == _MOST_WAITING
            or self._waiting_bytes > _MOST_WAITING_BYTES
        ):
            raise MalformedFile(
                f"over {_MOST_ENTITIES} entities are in it, or over {_MOST_WAITING} that link others, or these are over"
                f" {_MOST_WAITING_BYTES} bytes; split the file"
            )
        if waits:
            self._waiting.append(entity)
            return None
        made, notes = self._convert(entity)
        self._made[entity.id] = made.id
        return Record(place=entity.place, objects=(made.data,), notes=notes)

    def _convert(self, entity: _Entity) -> tuple[Made, tuple[str, ...]]:
        dropped = sorted(_NOT_CARRIED & entity.properties.keys())
        notes = (f"{', '.join(dropped)}: not carried over; nobody is selected by it",) if dropped else ()
        if entity.schema in _IDENTITIES:
            return self._make("identity", entity, {"identity_class": _IDENTITIES[entity.schema]}), notes
        if entity.schema in _THINGS:
            return self._make("infrastructure", entity, {"infrastructure_types": ["unknown"]}), notes
        if entity.schema == "Address":
            return self._make_location(entity), notes
        known = ", ".join(sorted({*_IDENTITIES, *_THINGS, *_LINKS, *_NOTES, "Address"}))
        raise MalformedObject(f"the schema {entity.schema[:_SHOWN]!r} is not understood; known are {known}")

    def _make(self, kind: str, entity: _Entity, said: Mapping[str, Json]) -> Made:
        title = entity.first("name", "caption", "registrationNumber", "imoNumber")
        if title is None:
            raise MalformedObject("it has no name; give it a property `name`")
        aliases = [alias for alias in entity.all("name", "alias", "previousName") if alias != title]
        listing = make_listing(
            {
                "list": self._source,
                "reference": entity.id,
                "aliases": [{"name": alias} for alias in aliases],
                "weak_aliases": [*entity.all("weakAlias")],
                "titles": [*entity.all("title")],
                "nationalities": [*entity.all("nationality", "citizenship")],
                "countries": [*entity.all("country", "jurisdiction", "flag")],
                "dates_of_birth": [{"date": date} for date in entity.all("birthDate")],
                "places_of_birth": [{"city": place} for place in entity.all("birthPlace")],
                "documents": [
                    {"kind": kind, "number": number}
                    for kind, name in (("passport", "passportNumber"), ("identification", "idNumber"))
                    for number in entity.all(name)
                ],
                "addresses": [{"note": address} for address in entity.all("address")],
                "gender": entity.first("gender"),
                "numbers": [*entity.all("registrationNumber", "imoNumber", "taxNumber", "leiCode")],
            }
        )
        return self._make_object(
            kind,
            entity,
            {
                "name": title,
                "description": "\n".join(entity.all("notes", "description")) or None,
                **said,
                "roles": ([*entity.all("position")] or None) if kind == "identity" else None,
                "labels": [*entity.all("topics")] or None,
                "extensions": listing,
            },
        )

    def _make_location(self, entity: _Entity) -> Made:
        country = entity.first("country")
        if country is None:
            raise MalformedObject("it says no country, which a location needs; add the property `country`")
        return self._make_object(
            "location",
            entity,
            {
                "name": entity.first("full", "name"),
                "country": country.upper(),
                "administrative_area": entity.first("state", "region"),
                "city": entity.first("city"),
                "street_address": entity.first("street"),
                "postal_code": entity.first("postalCode"),
            },
        )

    def _link(self, entity: _Entity) -> Record:
        if entity.schema in _NOTES:
            about, names = _NOTES[entity.schema]
            said = [f"{name}: {', '.join(values)}" for name in names if (values := entity.all(name))]
            ends = self._find(entity, about)
            made = self._make_object(
                "note",
                entity,
                {
                    "abstract": entity.schema,
                    "content": "\n".join([entity.schema, *said]),
                    "object_refs": [*ends],
                },
            )
        else:
            source, target, kind = _LINKS[entity.schema]
            made = self._make_object(
                "relationship",
                entity,
                {
                    "relationship_type": kind,
                    "description": "; ".join(entity.all("role", "relationship", "summary", "status")) or None,
                    "source_ref": self._find(entity, source)[0],
                    "target_ref": self._find(entity, target)[0],
                },
            )
        return Record(place=entity.place, objects=(made.data,))

    def _find(self, entity: _Entity, name: str) -> list[ObjectId]:
        """What the entities that a property names have become."""
        named = entity.all(name)
        if not named:
            raise MalformedObject(f"it says no {name}, which a {entity.schema} links")
        for one in named:
            if one not in self._made:
                raise MalformedObject(
                    f"its {name} {one[:_SHOWN]!r} is in no line that could be read; add it to the file"
                )
        return [self._made[one] for one in named]

    def _make_object(self, kind: str, entity: _Entity, said: Mapping[str, Json]) -> Made:
        references: list[Json] = [{"source_name": self._source, "external_id": entity.id}]
        return self._maker.make(kind, ("ftm", self._source, entity.id), {**said, "external_references": references})


def find_data_set(made: bytes) -> str | None:
    """What the data set is called of which an object was made here."""
    match parse_json(made, limits=OBJECT_LIMITS):
        case {"external_references": [{"source_name": str(name)}, *_]}:
            return name
        case _:
            return None


def _attempt(place: str, read: Callable[[], Record | None]) -> Record | Unread | None:
    """What was read, or why not; what is wrong with the file as a whole is raised."""
    try:
        return read()
    except MalformedFile:
        raise
    except MalformedError as error:
        return Unread(place=place, reason=error.detail)


def _split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Each line; of one that is over the bound so much that it is told to be."""
    rest, is_first = b"", True
    for chunk in chunks:
        if is_first and len(rest + chunk) >= len(BOM_UTF8):
            rest, chunk, is_first = b"", (rest + chunk).removeprefix(BOM_UTF8), False  # noqa: PLW2901
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        rest = rest[: _LIMITS.max_bytes + 1]
    yield rest


def _parse(line: bytes, number: int) -> _Entity:
    """The entity in a line.

    Raises:
        MalformedError: it is none.
    """
    if len(line) > _LIMITS.max_bytes:  # of which the rest was not kept, so that nobody knows how long it is
        raise MalformedObject(
            f"more bytes where at most {_LIMITS.max_bytes} are taken of one entity; leave out what is long"
        )
    value = parse_json(line, limits=_LIMITS)
    match value:
        case {"id": str(name)} if len(name) > _LONGEST_ID:
            raise MalformedObject(f"its id is over {_LONGEST_ID} characters long; give it a shorter one")
        case {"id": str(name), "schema": str(schema), "properties": dict(properties)} if name:
            place = f"line {number} ({name[:_SHOWN]})"
            return _Entity(place=place, id=name, schema=schema, properties=_read_properties(properties))
    raise MalformedObject('not an entity: give {"id": "…", "schema": "…", "properties": {"name": ["…"]}}')


def _read_properties(properties: Mapping[str, Json]) -> dict[str, list[str]]:
    found = dict[str, list[str]]()
    for name, values in properties.items():
        listed = values if isinstance(values, list) else [values]
        # An entity that is nested in another one counts by its id.
        ids = [value.get("id") if isinstance(value, dict) else value for value in listed]
        texts = [value for value in ids if isinstance(value, str) and value]
        if len(texts) != len(listed):
            raise MalformedObject(
                f"the property {name[:_SHOWN]!r} holds something that is not text; give a list of texts"
            )
        found[name] = texts
    return found
