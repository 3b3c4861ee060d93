# SPDX-License-Identifier: Apache-2.0
"""Envelopes made to cost whoever reads them as much as they can, each within the limits of a write."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from comity.canonical import Json
from comity.node.accept import MAX_ENVELOPE_OBJECTS
from comity.stix.markings import TLP2_GREEN
from comity.stix.tags import CLASSIFICATION_EXTENSION
from comity.taxii.wire import MAX_CONTENT_LENGTH
from comity.vocabulary import REGIONS
from tests.worlds import make_object, object_id

__all__ = ["BODIES", "make_body"]

OBJECT_BYTES = 1_000_000
"""A little under what one object may have."""

OBJECTS = MAX_ENVELOPE_OBJECTS
UNKNOWN_MARKING = "marking-definition--{:08x}-0000-4000-8000-000000000000"


def make_body(name: str, *, most: int = MAX_CONTENT_LENGTH) -> bytes:
    """The envelope of that name, of at most `most` bytes."""
    body = BODIES[name](most)
    assert len(body) <= most, name
    return body


def _envelope(objects: bytes, *, before: bytes = b"", after: bytes = b"") -> bytes:
    return b"{" + before + b'"objects":[' + objects + b"]" + after + b"}"


def _fill(piece: bytes, most: int, *, around: int = 64) -> bytes:
    """As many of `piece`, with commas between, as there is room for."""
    return b",".join([piece] * max(1, (most - around) // (len(piece) + 1)))


def _plain(number: int = 0) -> bytes:
    return json.dumps(make_object(f"plain {number}"), separators=(",", ":")).encode()


def _with(name: str, value: bytes, *, number: int = 0, kind: str = "indicator") -> bytes:
    """An object with one more member, written as it is given."""
    item = json.dumps(make_object(f"{kind} {number}", kind=kind), separators=(",", ":")).encode()
    return item[:-1] + b',"' + name.encode() + b'":' + value + b"}"


def _large(make: Callable[[int], bytes], most: int) -> bytes:
    """As many large objects as there is room for, each of a number of its own."""
    objects = list[bytes]()
    size = 64
    while True:
        item = make(len(objects))
        size += len(item) + 1
        if size > most:
            return _envelope(b",".join(objects))
        objects.append(item)


def _small(make: Callable[[int], bytes], most: int) -> bytes:
    objects = [make(number) for number in range(OBJECTS)]
    size = 64
    for place, item in enumerate(objects):
        size += len(item) + 1
        if size > most:
            return _envelope(b",".join(objects[:place]))
    return _envelope(b",".join(objects))


def _reference_list(number: int, *, kind: str = "report", name: str = "object_refs") -> bytes:
    listed = [object_id("indicator", f"{number} {place}") for place in range(OBJECT_BYTES // 60)]
    item: dict[str, Json] = make_object(f"{kind} {number}", kind=kind)
    return json.dumps({**item, name: listed}, separators=(",", ":")).encode()


def _granular(number: int, *, same: bool) -> bytes:
    entries: list[Json] = [
        {
            "marking_ref": UNKNOWN_MARKING.format(number * 20_000 + place) if not same else str(TLP2_GREEN),
            "selectors": ["x_a.[0].b"],
        }
        for place in range(OBJECT_BYTES // 110 - 100)
    ]
    item = make_object(f"granular {number}", more={"x_a": [{"b": 1}], "granular_markings": entries})
    return json.dumps(item, separators=(",", ":")).encode()


def _selectors(number: int) -> bytes:
    deep: Json = 1
    for _ in range(26):
        deep = {"a": deep}
    listed: list[Json] = [".".join(["x", *["a"] * (1 + place % 26)]) for place in range(OBJECT_BYTES // 60)]
    marks: list[Json] = [{"marking_ref": str(TLP2_GREEN), "selectors": listed[:17_000]}]
    item = make_object(f"selectors {number}", more={"x": deep, "granular_markings": marks})
    return json.dumps(item, separators=(",", ":")).encode()[: OBJECT_BYTES + 40_000]


def _partly(number: int) -> bytes:
    names = [f"x_{'p' * 20}{place:05}" for place in range(OBJECT_BYTES // 160)]
    marks: list[Json] = [{"marking_ref": UNKNOWN_MARKING.format(number), "selectors": [name]} for name in names]
    item = make_object(f"partly {number}", more={**dict.fromkeys(names, 1), "granular_markings": marks})
    return json.dumps(item, separators=(",", ":")).encode()


def _marked(number: int) -> bytes:
    listed: list[Json] = [UNKNOWN_MARKING.format(number * 20_000 + place) for place in range(OBJECT_BYTES // 62)]
    item = make_object(f"marked {number}", more={"object_marking_refs": listed})
    return json.dumps(item, separators=(",", ":")).encode()


def _external(number: int) -> bytes:
    entries: list[Json] = [{"source_name": "a"} for _ in range(OBJECT_BYTES // 22)]
    item = make_object(f"external {number}", more={"external_references": entries[:24_000]})
    return json.dumps(item, separators=(",", ":")).encode()


def _long_names(number: int) -> bytes:
    """Whoever wrote down the way to each thing in it would write 30 GB."""
    names = 20
    name = b"n" * (OBJECT_BYTES // 2 // names)
    inside = b"[" + _fill(b"[]", 140_000) + b"]"
    return _with("x_ref", b'"",' + (b'"' + name + b'":{') * names + b'"a":' + inside + b"}" * names, number=number)


def _circle(number: int) -> bytes:
    return json.dumps(
        make_object(
            f"circle {number}",
            kind="report",
            more={"object_refs": [object_id("report", f"circle {(number + 1) % OBJECTS}")]},
        ),
        separators=(",", ":"),
    ).encode()


def _woven(number: int) -> bytes:
    listed: list[Json] = [object_id("report", f"woven {(number * 7 + place * 13) % OBJECTS}") for place in range(12)]
    item = make_object(f"woven {number}", kind="report", more={"object_refs": listed})
    return json.dumps({"description": "", **item}, separators=(",", ":")).encode()


def _chain(number: int) -> bytes:
    """Each refers to the next, so that the last in the envelope is the first to be judged."""
    target = object_id("report", f"chain {number + 1}") if number < OBJECTS - 1 else object_id("indicator", "end")
    item = make_object(f"chain {number}", kind="report", more={"object_refs": [target]})
    return json.dumps(item, separators=(",", ":")).encode()


def _versions(number: int) -> bytes:
    item = make_object("versions") | {
        "modified": f"2031-01-01T00:{number // 60 % 60:02}:{number % 60:02}.{number // 3600:03}Z"
    }
    return json.dumps(item, separators=(",", ":")).encode()


def _labels(number: int) -> bytes:
    """Each is marked like no other, so that nothing that was computed serves twice."""
    listed: list[Json] = [UNKNOWN_MARKING.format(number * 10 + place) for place in range(8)]
    return json.dumps(make_object(f"l {number}", more={"object_marking_refs": listed}), separators=(",", ":")).encode()


def _hub(number: int) -> bytes:
    """All refer to one that is marked in hundreds of ways, and each is marked in one more."""
    marks: list[Json] = [UNKNOWN_MARKING.format(place) for place in range(500)]
    if number == 0:
        item = make_object("hub", kind="identity", more={"object_marking_refs": marks})
    else:
        more: dict[str, Json] = {"object_marking_refs": [UNKNOWN_MARKING.format(number + 1_000)]}
        item = make_object(f"h {number}", more={**more, "created_by_ref": object_id("identity", "hub")})
    return json.dumps(item, separators=(",", ":")).encode()


def _tagged_hub(number: int) -> bytes:
    regions = sorted(REGIONS)
    words = regions[:240] if number == 0 else [regions[number % 240], regions[number // 240 % 240]]
    tags: dict[str, Json] = {"extension_type": "property-extension", "regions": sorted(set(words))}
    more: dict[str, Json] = {"extensions": {CLASSIFICATION_EXTENSION: tags}}
    if number:
        more["created_by_ref"] = object_id("identity", "tagged hub")
    item = make_object(
        f"th {number}" if number else "tagged hub", kind="indicator" if number else "identity", more=more
    )
    return json.dumps(item, separators=(",", ":")).encode()


def _joined_labels(number: int) -> bytes:
    """Labels of their own, and references to a dozen others, so that joins are all different too."""
    listed: list[Json] = [UNKNOWN_MARKING.format(number)]
    refs: list[Json] = [object_id("report", f"jl {(number * 7 + place * 13) % OBJECTS}") for place in range(8)]
    item = make_object(f"jl {number}", kind="report", more={"object_refs": refs, "object_marking_refs": listed})
    return json.dumps(item, separators=(",", ":")).encode()


BODIES: Mapping[str, Callable[[int], bytes]] = MappingProxyType(
    {
        "deep element": lambda most: _envelope(b"[" * (most // 2 - 32) + b"]" * (most // 2 - 32)),
        "deep objects": lambda most: _envelope(b'{"a":' * (most // 6 - 32) + b"1" + b"}" * (most // 6 - 32)),
        "many deep elements": lambda most: _envelope(_fill(b"[" * 900 + b"]" * 900, most)),
        "many very deep elements": lambda most: _envelope(_fill(b"[" * 20_000 + b"]" * 20_000, most)),
        "open brackets": lambda most: b'{"objects":[' + b"[" * (most - 12),
        "open objects": lambda most: b'{"objects":[' + b'{"a":' * ((most - 12) // 5),
        "open string": lambda most: b'{"objects":["' + b"a" * (most - 13),
        "foreign lists": lambda most: _envelope(_plain(), before=b'"x":[' + _fill(b"[]", most, around=600) + b"],"),
        "foreign objects": lambda most: _envelope(_plain(), before=b'"x":[' + _fill(b"{}", most, around=600) + b"],"),
        "foreign numbers": lambda most: _envelope(_plain(), after=b',"x":[' + _fill(b"1", most, around=600) + b"]"),
        "foreign deep": lambda most: _envelope(
            _plain(), after=b',"x":' + b"[" * (most // 2 - 400) + b"]" * (most // 2 - 400)
        ),
        "foreign surrogates": lambda most: _envelope(
            _plain(), after=b',"x":[' + _fill(b'"\\ud83d\\ude00"', most, around=600) + b"]"
        ),
        "foreign twice": lambda most: _envelope(
            _plain(), after=b',"x":[' + _fill(b"[]", most, around=700) + b',{"a":1,"a":2}]'
        ),
        "foreign members": lambda most: (
            b"{" + b",".join(b'"%07d":1' % n for n in range((most - 700) // 12)) + b',"objects":[' + _plain() + b"]}"
        ),
        "foreign floats": lambda most: _envelope(_plain(), after=b',"x":[' + _fill(b"1e9", most, around=600) + b"]"),
        "huge numbers": lambda most: _envelope(_fill(b"9" * 4_000, most)),
        "one huge number": lambda most: _envelope(b"9" * (most - 64)),
        "many numbers": lambda most: _envelope(_fill(b"1", min(most, 2 * OBJECTS))),
        "more than may be": lambda most: _envelope(_fill(b"1", most)),
        "more than may be, then something": lambda most: _envelope(
            _fill(b"[]", most, around=300), after=b',"x":"' + b"z" * 128 + b'"'
        ),
        "escapes": lambda most: _envelope(_fill(b'"' + b"\\n" * 5_000 + b'"', most)),
        "bad objects": lambda most: _small(lambda n: b'{"type":"x","id":"%d"}' % n, most),
        "bad large objects": lambda most: _small(
            lambda n: _with("x", b'"' + b"a" * 600 + b'"', number=n)[:-1] + b',"revoked":3}', most
        ),
        "object of lists": lambda most: _large(
            lambda n: _with("x_a", b"[" + _fill(b"[]", 140_000) + b"]", number=n), most
        ),
        "object of scalars": lambda most: _large(
            lambda n: _with("x_a", b"[" + _fill(b"1", 98_000) + b"]", number=n), most
        ),
        "object of floats": lambda most: _large(
            lambda n: _with("x_a", b"[" + _fill(b"1.5", 190_000) + b"]", number=n), most
        ),
        "too many items": lambda most: _large(
            lambda n: _with("x_a", b"[" + _fill(b"[]", OBJECT_BYTES) + b"]", number=n), most
        ),
        "object with a key twice": lambda most: _large(
            lambda n: _with("x_a", b"[" + _fill(b"[]", 140_000) + b',{"a":1,"a":1}]', number=n), most
        ),
        "object of surrogates": lambda most: _large(
            lambda n: _with("x_a", b"[" + _fill(b'"\\ud83d\\ude00"', 700_000) + b"]", number=n), most
        ),
        "object of a lone surrogate": lambda most: _large(
            lambda n: _with("x_a", b"[" + _fill(b'"\\ud83d\\ude00"', 700_000) + b',"\\ud800"]', number=n), most
        ),
        "object of long strings": lambda most: _large(
            lambda n: _with("x_a", b'"' + b"a" * OBJECT_BYTES + b'"', number=n), most
        ),
        "object of escapes": lambda most: _large(
            lambda n: _with("x_a", b'"' + b"\\u0041" * (OBJECT_BYTES // 6) + b'"', number=n), most
        ),
        "object of newlines": lambda most: _large(lambda n: _with("x_a", b"\n" * OBJECT_BYTES + b"1", number=n), most),
        "object of names": lambda most: _large(
            lambda n: _with("x_a", b"{" + b",".join(b'"%d_ref":""' % k for k in range(49_000)) + b"}", number=n), most
        ),
        "object of deep names": lambda most: _large(
            lambda n: _with(
                "x_a",
                b'{"a":' * 25
                + b"["
                + _fill(b"[]", 140_000)
                + b"]"
                + b"}" * 25
                + b',"x_ref":"%s"' % object_id("indicator", "x").encode(),
                number=n,
            ),
            most,
        ),
        "object of long deep names": lambda most: _large(_long_names, most),
        "object of a large wrong type": lambda most: _large(
            lambda n: _with("x_refs", b"{" + b",".join(b'"%d":1' % k for k in range(49_000)) + b"}", number=n), most
        ),
        "object of a wrong id": lambda most: _large(
            lambda n: b'{"type":[' + _fill(b"[]", 140_000) + b'],"id":"x"}', most
        ),
        "references": lambda most: _large(_reference_list, most),
        "odd references": lambda most: _large(lambda n: _reference_list(n, kind="indicator", name="x_odd_refs"), most),
        "granular": lambda most: _large(lambda n: _granular(n, same=False), most),
        "granular the same": lambda most: _large(lambda n: _granular(n, same=True), most),
        "selectors": lambda most: _large(_selectors, most),
        "partly marked": lambda most: _large(_partly, most),
        "marked": lambda most: _large(_marked, most),
        "external references": lambda most: _large(_external, most),
        "circle": lambda most: _small(_circle, most),
        "woven": lambda most: _small(_woven, most),
        "chain": lambda most: _small(_chain, most),
        "versions": lambda most: _small(_versions, most),
        "labels": lambda most: _small(_labels, most),
        "joined labels": lambda most: _small(_joined_labels, most),
        "hub": lambda most: _small(_hub, most),
        "tagged hub": lambda most: _small(_tagged_hub, most),
        "plain": lambda most: _small(_plain, most),
        "unknown types": lambda most: _small(
            lambda n: b'{"type":"x-a","id":"x-a--%08x-0000-4000-8000-000000000000","spec_version":"2.1"}' % n, most
        ),
    }
)
