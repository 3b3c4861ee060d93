# SPDX-License-Identifier: Apache-2.0
"""Shell: a bundle is read in steps: each object held against the schemas, before any act takes it in."""

from dataclasses import replace

from comity.canonical import Json
from comity.certain import write_compact
from comity.classification.assessment import check_assessment
from comity.classification.safeguards import Sensitive, find_sensitive
from comity.errors import ComityError, MalformedObject
from comity.ids import Instant
from comity.node.parts import Other, ReadBundle
from comity.node.schemas import read_schemas
from comity.node.steps import Steps
from comity.stix.markings import find_inner
from comity.stix.objects import BadObject, BundleReading, ParsedBundle, StixObject, join_bundles
from comity.stix.patterns import find_unsettled
from comity.stix.validation import validate_bundle

__all__ = ["describe_bad", "read_in_steps"]

_READ_AT_ONCE = 250
_BYTES_AT_ONCE = 128 * 1024
"""Of objects that are read in one step: what was made to be dear costs some 250 ns a byte."""

_READ = ("type", "object_marking_refs", "extensions", "country", "definition_type", "definition")
"""What `stix.markings` and `stix.tags` read, where nothing is marked in part, and `find_statements`."""


def read_in_steps(
    reading: BundleReading, *, looks_at: Instant | None = None, compares: bool = False
) -> Steps[ReadBundle]:
    """The bundle, each object held against the schemas; of its JSON no more is left than `take_in` reads.

    What is left is one value in memory for all objects of which it is the same: they are labelled alike.

    With a time, what people have to decide on is looked for in each, as of then: in this party's own. What other bytes
    of a version say is read too in these, and where it `compares`: of a source, which nobody tells that it gave
    something twice. What partners give twice is theirs to correct, and they are told.
    """
    schemas, parts, versions = read_schemas(), list[ParsedBundle](), dict[int, str]()
    unsettled, sensitive, alike = dict[int, str](), dict[int, Sensitive](), dict[bytes, dict[str, Json]]()
    others = dict[int, list[Other]]()
    while not reading.is_done():
        if parts:
            yield
        parsed = reading.parse(_READ_AT_ONCE, most_bytes=_BYTES_AT_ONCE)
        checked = validate_bundle(schemas, parsed)
        if len(checked.good) < len(parsed.good):
            versions |= {place: item.version for place, (item, _) in zip(parsed.places, parsed.good, strict=True)}
        good, places, bad = list[tuple[StixObject, dict[str, Json]]](), list[int](), list[BadObject]()
        for place, (item, value) in zip(checked.places, checked.good, strict=True):
            try:
                check_assessment(value)
            except MalformedObject as error:
                bad.append(describe_bad(place, item, error))
                versions[place] = item.version
                continue
            if looks_at is not None and (found := find_sensitive(value, now=looks_at)):
                sensitive[place] = found
            if item.type == "indicator" and (pattern := find_unsettled(value)) is not None:
                unsettled[place] = pattern
            good.append((item, _trim(item, value, alike)))
            places.append(place)
        if looks_at is not None or compares:
            for place, (item, value) in checked.others:
                told = None if looks_at is None else find_sensitive(value, now=looks_at)
                others.setdefault(place, []).append((item, _trim(item, value, alike), told))
        parts.append(replace(checked, good=tuple(good), places=tuple(places), bad=(*checked.bad, *bad)))
    return ReadBundle(
        checked=join_bundles(parts), versions=versions, patterns=unsettled, sensitive=sensitive, others=others
    )


def _trim(item: StixObject, value: dict[str, Json], alike: dict[bytes, dict[str, Json]]) -> dict[str, Json]:
    """What of an object says how it is marked and tagged; selectors of granular markings can name anything in it."""
    if "granular_markings" in value or _is_marked_inside(item.data, value):
        return value
    left = {name: value[name] for name in _READ if name in value}
    said = write_compact(left)
    return left if said is None else alike.setdefault(said, left)


def _is_marked_inside(data: bytes, value: dict[str, Json]) -> bool:
    """Whether a marking stands elsewhere than at the top of the object, whose bytes are `data`."""
    # Where no character is written as a number, none stands inside that is not written so: nothing need be walked.
    if data.count(b"marking_ref") == ("object_marking_refs" in value) and not (b"\\" in data and b"\\u" in data):
        return False
    return next(find_inner(value), None) is not None


def describe_bad(place: int, item: StixObject, error: ComityError) -> BadObject:
    """What is wrong with one object of a bundle, with its place there."""
    inside = error.where if isinstance(error, MalformedObject) else ""
    return BadObject(index=place, id=item.id, where=f"/objects/{place}{inside}", detail=error.detail)
