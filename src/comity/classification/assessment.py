# SPDX-License-Identifier: Apache-2.0
"""Pure: threat assessments: a STIX note with our extension, held against a schema of its own.

    {"type": "note", …, "abstract": "What is expected of Marrow Ford", "content": "…", "authors": ["Desk 3"],
     "object_refs": ["intrusion-set--c22ec0f0-7f60-581d-876e-4b8c48fee29b"],
     "extensions": {"extension-definition--e143f32b-df9b-470d-89b7-c3c0a5b2236a": {
       "extension_type": "property-extension",
       "assessed_ref": "intrusion-set--c22ec0f0-7f60-581d-876e-4b8c48fee29b",
       "threat": "may attack shipping", "may_go_to": ["JO"], "may_return_to": ["AM"], "basis": "two reports of 2026",
       "evaluation": "admiralty:B2", "expires_at": "2026-12-01T00:00:00Z"}}}

It says what a group or a person may do, where it may go or return to, and what that rests on, in words. No number is
taken anywhere in it, nor a field that scores or ranks: people are not ranked, and what cannot be said in words is not
said. It ends at a time and is given to nobody after it (docs/spec/threat-assessment.md).
"""

import uuid
from dataclasses import dataclass
from typing import Final

from comity.agreement.reader import Reader
from comity.canonical import Json
from comity.classification.words import check_evaluation
from comity.errors import MalformedObject, MalformedRequest
from comity.ids import Instant, ObjectId, format_instant, parse_object_id
from comity.stix.tags import CLASSIFICATION_EXTENSION
from comity.vocabulary import REGIONS

__all__ = ["ASSESSMENT_EXTENSION", "Assessment", "check_assessment", "find_expiry", "make_note", "read_assessment"]

ASSESSMENT_EXTENSION: Final = "extension-definition--e143f32b-df9b-470d-89b7-c3c0a5b2236a"
"""The property-extension that makes a note a threat assessment."""

_WHERE = f"/extensions/{ASSESSMENT_EXTENSION}"
_ASSESSED = frozenset({"campaign", "identity", "intrusion-set", "threat-actor"})
_TEXT = 4_000
_DEPTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What one version of a threat assessment says; `title` and `text` are the note's abstract and content."""

    assessed: ObjectId
    title: str
    text: str
    authors: tuple[str, ...]
    threat: str
    may_go_to: frozenset[str]
    may_return_to: frozenset[str]
    basis: str
    evaluation: str
    expires_at: Instant


def find_expiry(value: dict[str, Json]) -> Instant | None:
    """When the assessment in `value` ends; None for an object that is none.

    Raises:
        MalformedObject: its extension is not of its form.
    """
    extension = _find_extension(value)
    return None if extension is None else _read_extension(extension)[-1]


def check_assessment(value: dict[str, Json]) -> None:
    """Nothing, when the whole object is either no assessment or one by the schema.

    Raises:
        MalformedObject: what is wrong, and where.
    """
    if _find_extension(value) is not None:
        read_assessment(value)


def read_assessment(value: dict[str, Json]) -> Assessment:
    """The assessment in a note.

    Raises:
        MalformedObject: what is wrong, and where.
    """
    extension = _find_extension(value)
    if extension is None:
        raise MalformedObject("not a threat assessment: it has no such extension", where="/extensions")
    if value.get("type") != "note":
        raise MalformedObject("a threat assessment is a note", where="/type")
    if (where := _find_number(value, "", 0)) is not None:
        raise MalformedObject("a threat assessment holds no number: people are not scored or ranked", where=where)
    note = Reader(value, "", MalformedObject).open()
    assessed, threat, to, back, basis, evaluation, expires_at = _read_extension(extension)
    if assessed not in note.texts("object_refs", least=1):
        raise note.refuse("object_refs", f"must name {assessed}, which is assessed")
    return Assessment(
        assessed=assessed,
        title=note.text("abstract", most=_TEXT),
        text=note.maybe_prose("content") or "",
        authors=tuple(sorted(note.texts("authors", least=1))),
        threat=threat,
        may_go_to=to,
        may_return_to=back,
        basis=basis,
        evaluation=evaluation,
        expires_at=expires_at,
    )


def make_note(
    assessment: Assessment,
    *,
    name: uuid.UUID,
    created: Instant,
    modified: Instant,
    markings: tuple[str, ...],
    subjects: frozenset[str],
) -> dict[str, Json]:
    """The note that says it, as JSON; `subjects` and the regions it speaks of stand in the classification extension."""
    note: dict[str, Json] = {
        "type": "note",
        "spec_version": "2.1",
        "id": f"note--{name}",
        "created": format_instant(created),
        "modified": format_instant(modified),
        "abstract": assessment.title,
        "content": assessment.text,
        "authors": [*assessment.authors],
        "object_refs": [assessment.assessed],
        "object_marking_refs": [*markings],
        "extensions": {
            ASSESSMENT_EXTENSION: {
                "extension_type": "property-extension",
                "assessed_ref": assessment.assessed,
                "threat": assessment.threat,
                "may_go_to": [*sorted(assessment.may_go_to)],
                "may_return_to": [*sorted(assessment.may_return_to)],
                "basis": assessment.basis,
                "evaluation": assessment.evaluation,
                "expires_at": format_instant(assessment.expires_at),
            },
            CLASSIFICATION_EXTENSION: {
                "extension_type": "property-extension",
                "kinds": ["threat_assessment"],
                "regions": [*sorted(assessment.may_go_to | assessment.may_return_to)],
                "subjects": [*sorted(subjects)],
            },
        },
    }
    check_assessment(note)
    return note


_Read = tuple[ObjectId, str, frozenset[str], frozenset[str], str, str, Instant]


def _read_extension(extension: Json) -> _Read:
    if (where := _find_number(extension, _WHERE, 0)) is not None:
        raise MalformedObject("a threat assessment holds no number: people are not scored or ranked", where=where)
    reader = Reader(extension, _WHERE, MalformedObject).open()
    if reader.text("extension_type") != "property-extension":
        raise reader.refuse("extension_type", "must be 'property-extension'")
    try:
        assessed = parse_object_id(reader.text("assessed_ref"))
        evaluation = check_evaluation(reader.text("evaluation"))
    except MalformedRequest as error:
        raise MalformedObject(error.detail, where=_WHERE) from error
    if assessed.partition("--")[0] not in _ASSESSED:
        raise reader.refuse("assessed_ref", f"is not of a type that is assessed: {', '.join(sorted(_ASSESSED))}")
    read = (
        assessed,
        reader.text("threat", most=_TEXT),
        reader.words("may_go_to", REGIONS),
        reader.words("may_return_to", REGIONS),
        reader.text("basis", most=_TEXT),
        evaluation,
        reader.instant("expires_at"),
    )
    reader.close()
    return read


def _find_extension(value: dict[str, Json]) -> Json:
    extensions = value.get("extensions")
    if not isinstance(extensions, dict) or ASSESSMENT_EXTENSION not in extensions:
        return None
    return extensions[ASSESSMENT_EXTENSION] or {}


def _find_number(value: Json, where: str, depth: int) -> str | None:
    """Where in `value` a number stands."""
    if depth > _DEPTH or (isinstance(value, int | float) and not isinstance(value, bool)):
        return where
    if isinstance(value, dict):
        inner = [(f"{where}/{name}", item) for name, item in value.items()]
    elif isinstance(value, list):
        inner = [(f"{where}/{index}", item) for index, item in enumerate(value)]
    else:
        return None
    return next((found for place, item in inner if (found := _find_number(item, place, depth + 1)) is not None), None)
