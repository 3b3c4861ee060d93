# SPDX-License-Identifier: Apache-2.0
"""Pure: whether an object is as STIX 2.1 says: by the OASIS schema of its type, and by what no schema can say.

    schemas = compile_schemas(documents)
    validate_bundle(schemas, parse_bundle(data))
        -> ParsedBundle(good=…, bad=(BadObject(index=3, where="/objects/3/valid_until", detail="…"), …))

The schemas are those that OASIS publishes, unchanged as files (`stix/schemas`). Four things are changed in memory:

    identifier, core, …    any version of a UUID: the schemas know only 1 to 5, and producers use 7
    timestamp              only days that exist
    extension              whatever an extension holds: who defined it knows its rules
    granular-marking       left to `stix.markings`, which resolves selectors; the schema refuses `lang`

An object of a type that STIX 2.1 does not define is taken as it is: nobody here knows its rules. Not checked: open
vocabularies, the derivation of SCO ids. Checked elsewhere: what `stix.objects` reads, markings and their selectors
(`stix.markings`), the predefined TLP markings, keys given twice (`canonical`), patterns of indicators (`stix.grammar`).

Patterns are matched by an engine that takes linear time whatever the text, and no schema is ever fetched.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from jsonschema_rs import (
    Draft202012,
    Draft202012Validator,
    RegexOptions,
    Registry,
    ValidationError,
    ValidationErrorKind,
)

from comity.canonical import OBJECT_LIMITS, Json, parse_json
from comity.errors import CorruptionError, MalformedObject
from comity.stix.markings import TLP_IDS
from comity.stix.objects import BadObject, ParsedBundle, StixObject
from comity.stix.ways import format_pointer

__all__ = ["Schemas", "check_object", "compile_schemas", "validate_bundle"]

_UUID: Final = b"[1-5][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}"
_ANY_UUID: Final = b"[0-9a-fA-F]{4}-[0-9a-fA-F]{4}"
_DAY: Final = "[0-9]{4}-(0[1-9]|1[012])-(0[1-9]|[12][0-9]|3[01])T"
_REAL_DAY: Final = (
    "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)T"
)
_MILLISECONDS: Final = r"T\d{2}:\d{2}:\d{2}\.\d{3,}Z$"
_OF_A_TYPE: Final = re.compile(
    r"/schemas/(?:(?:sdos|sros|observables)/([a-z0-9-]+)|common/((?:marking|extension)-definition|language-content))\.json"
)
_MAX_MESSAGE: Final = 300

_ORDER: Final[Mapping[str, tuple[tuple[str, str, bool], ...]]] = {
    "campaign": (("first_seen", "last_seen", True),),
    "indicator": (("valid_from", "valid_until", False),),
    "infrastructure": (("first_seen", "last_seen", True),),
    "intrusion-set": (("first_seen", "last_seen", True),),
    "malware": (("first_seen", "last_seen", True),),
    "network-traffic": (("start", "end", True),),
    "observed-data": (("first_observed", "last_observed", True),),
    "relationship": (("start_time", "stop_time", False),),
    "sighting": (("first_seen", "last_seen", True),),
    "threat-actor": (("first_seen", "last_seen", True),),
}
"""Per type, what comes first, what comes after it, and whether the two may be equal (STIX 2.1 §4 to §6)."""


@dataclass(frozen=True, slots=True)
class Schemas:
    """The compiled schema of each type that STIX 2.1 defines."""

    validators: Mapping[str, Draft202012Validator]


def compile_schemas(documents: Iterable[bytes]) -> Schemas:
    """The schemas in the files that OASIS publishes, ready to be used; it takes about a tenth of a second.

    Raises:
        CorruptionError: a file is not one of those, or what is changed in it is not there.
    """
    found = dict[str, dict[str, Json]]()
    for document in documents:
        schema = parse_json(document.replace(_UUID, _ANY_UUID), limits=OBJECT_LIMITS)
        if not isinstance(schema, dict) or not isinstance(name := schema.get("$id"), str):
            raise CorruptionError("a STIX schema of this installation is damaged; install Comity again")
        found[name] = _change(name, schema)
    try:
        registry = Registry(list(found.items()), draft=Draft202012)
        return Schemas(
            {
                match[1] or match[2]: _compile(schema, registry)
                for name, schema in found.items()
                if (match := _OF_A_TYPE.search(name)) is not None
            }
        )
    except ValueError as error:
        raise CorruptionError("a STIX schema of this installation cannot be used; install Comity again") from error


def check_object(schemas: Schemas, value: dict[str, Json]) -> None:
    """Return when an object that `stix.objects.parse_object` gave is as STIX 2.1 says.

    Raises:
        MalformedObject: it is not; `where` is the JSON pointer, the detail names the rule.
    """
    kind, validator = value["type"], schemas.validators.get(str(value["type"]))
    # What the nine TLP markings say was compared word by word (`stix.markings.check_tlp_definition`).
    if validator is None or value["id"] in TLP_IDS:
        return
    try:
        validator.validate(value)
    except ValidationError as error:
        raise _refuse(error, str(kind)) from None
    _check_order(value, str(kind))


def validate_bundle(schemas: Schemas, parsed: ParsedBundle) -> ParsedBundle:
    """The bundle with each good object that is not as STIX 2.1 says among the bad ones."""
    good, places, bad = list[tuple[StixObject, dict[str, Json]]](), list[int](), list(parsed.bad)
    for place, (item, value) in zip(parsed.places, parsed.good, strict=True):
        try:
            check_object(schemas, value)
        except MalformedObject as error:
            where = f"/objects/{place}{error.where}"
            bad.append(BadObject(index=place, id=item.id, where=where, detail=error.detail))
            continue
        good.append((item, value))
        places.append(place)
    return replace(parsed, good=tuple(good), places=tuple(places), bad=tuple(sorted(bad, key=lambda one: one.index)))


def _compile(schema: dict[str, Json], registry: Registry) -> Draft202012Validator:
    return Draft202012Validator(
        schema,
        registry=registry,
        # The linear engine: a pattern that only a backtracking one could match is refused here.
        pattern_options=RegexOptions(),
        validate_formats=False,
        offline=True,
        mask="the value",
    )


def _change(name: str, schema: dict[str, Json]) -> dict[str, Json]:
    """A schema with what is changed of it here."""
    if name.endswith(("/common/granular-marking.json", "/common/extension.json")):
        return {"$id": name, "type": "object"}
    if name.endswith("/common/timestamp.json"):
        pattern = schema.get("pattern")
        if not isinstance(pattern, str) or _DAY not in pattern:
            raise CorruptionError("the STIX schema of timestamps is another one; install Comity again")
        return {**schema, "pattern": pattern.replace(_DAY, _REAL_DAY)}
    return schema


def _refuse(error: ValidationError, kind: str) -> MalformedObject:
    """What the schema says, in a bounded sentence without what the sender wrote, and where."""
    rule, steps = error.kind.name, [str(step) for step in error.instance_path]
    said = error.message if len(error.message) <= _MAX_MESSAGE else f"{error.message[:_MAX_MESSAGE]}…"
    match error.kind:
        case ValidationErrorKind.Required(property=missing):
            steps.append(missing)
            said = f"{missing} is missing"
        case ValidationErrorKind.Pattern(pattern=pattern) if _REAL_DAY in pattern:
            said = "the value is not a time of a day that exists, written YYYY-MM-DDTHH:MM:SS[.s…]Z"
        case ValidationErrorKind.Pattern(pattern=pattern) if pattern == _MILLISECONDS:
            said = "the value is not precise to the millisecond; give at least three digits of the second's fraction"
    return MalformedObject(f"{said} (STIX 2.1 schema of {kind}, rule {rule})", where=format_pointer(steps))


def _check_order(value: dict[str, Json], kind: str) -> None:
    for first, then, equal in _ORDER.get(kind, ()):
        early, late = value.get(first), value.get(then)
        if not isinstance(early, str) or not isinstance(late, str):
            continue
        if _moment(late) < _moment(early) or (_moment(late) == _moment(early) and not equal):
            wrong = "earlier" if equal else "not later"
            raise MalformedObject(
                f"{then} is {wrong} than {first}; correct one of them (STIX 2.1 on {kind})", where=f"/{then}"
            )


def _moment(text: str) -> tuple[str, str]:
    """What orders two timestamps of the form that the schema has let pass: the second, and the fraction of it."""
    return text[:19], text[20:-1].rstrip("0")
