# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import fields, replace

import pytest

from comity.canonical import OBJECT_LIMITS, Json, canonical_bytes, parse_json
from comity.errors import MalformedError, MalformedObject
from comity.ids import PartyId
from comity.stix.labels import (
    CLASSIFICATION_EXTENSION,
    MAX_MARKINGS,
    MAX_WORDS,
    OVERFULL,
    Label,
    Tags,
    format_label,
    join,
    join_tags,
    make_label,
    make_tags,
    parse_label,
    read_tags,
    restate,
    with_unresolved,
)
from comity.stix.markings import TLP2_AMBER, TLP2_RED, GranularMarking, Markings, read_markings
from comity.stix.objects import parse_object
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, REGIONS, SPECIAL_CATEGORIES

_AURELIA, _BOREALIS, _CIMBRIA = PartyId("aurelia"), PartyId("borealis"), PartyId("cimbria")
_EXTENSION = f"/extensions/{CLASSIFICATION_EXTENSION}"


def tagged(**words: Json) -> dict[str, Json]:
    extension: dict[str, Json] = {"extension_type": "property-extension"}
    return {"type": "note", "extensions": {CLASSIFICATION_EXTENSION: extension | words}}


def label_of(
    tags: Tags,
    *,
    tlp: str = "green",
    audience: frozenset[PartyId] | None = None,
    excluded: frozenset[str] = frozenset(),
) -> Label:
    data = b'{"type":"x-thing","id":"x-thing--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}'
    markings = Markings(tlp=tlp, others=frozenset(), granular=())
    return make_label(
        parse_object(data)[0],
        markings,
        tags,
        originators=frozenset({_AURELIA}),
        audience=audience,
        excluded_frameworks=excluded,
    )


def test_reads_every_field_of_the_extension() -> None:
    tags = read_tags(
        tagged(
            subjects=["national:ashfall", "stix:intrusion-set--1", "unsc:QDe.901"],
            regions=["IQ", "SY"],
            kinds=["indicator"],
            person_classes=["suspect"],
            special_categories=["health"],
            handling=["H1", "H2"],
        )
    )
    assert tags == Tags(
        subjects=frozenset({"national:ashfall", "stix:intrusion-set--1", "unsc:QDe.901"}),
        regions=frozenset({"IQ", "SY"}),
        kinds=frozenset({"indicator"}),
        person_classes=frozenset({"suspect"}),
        special_categories=frozenset({"health"}),
        handling=frozenset({"H1", "H2"}),
    )


def test_without_the_extension_nothing_is_said() -> None:
    nothing = make_tags()
    assert read_tags({"type": "note"}) == nothing
    assert read_tags({"type": "note", "extensions": {"extension-definition--x": {"regions": ["IQ"]}}}) == nothing
    assert read_tags({"type": "note", "regions": ["IQ"], "labels": ["IQ"], "country": "IQ"}) == nothing


def test_a_location_lies_in_its_country() -> None:
    assert read_tags({"type": "location", "country": "IQ"}).regions == {"IQ"}
    assert read_tags({"type": "location", "country": "iq"}).regions == {"IQ"}
    assert read_tags(tagged(regions=["SY"]) | {"type": "location", "country": "IQ"}).regions == {"IQ", "SY"}
    for unknown in ("IRQ", "Iraq", "ZZ", "", 368, None):
        assert read_tags({"type": "location", "country": unknown}).regions == set()


@pytest.mark.parametrize(
    ("value", "where", "says"),
    [
        ({"extensions": []}, "/extensions", "not a JSON object"),
        ({"extensions": {CLASSIFICATION_EXTENSION: []}}, _EXTENSION, "not a JSON object"),
        ({"extensions": {CLASSIFICATION_EXTENSION: {}}}, f"{_EXTENSION}/extension_type", "property-extension"),
        (tagged(extension_type="new-sdo"), f"{_EXTENSION}/extension_type", "property-extension"),
        (tagged(region=["IQ"]), f"{_EXTENSION}/region", "has no field 'region'"),
        (tagged(regions="IQ"), f"{_EXTENSION}/regions", "not a list"),
        (tagged(regions=["IQ", 7]), f"{_EXTENSION}/regions", "not text"),
        (tagged(regions=["IQ", "iq"]), f"{_EXTENSION}/regions/1", "upper case"),
        (tagged(regions=["XX"]), f"{_EXTENSION}/regions/0", "ISO 3166-1"),
        (tagged(subjects=["ashfall"]), f"{_EXTENSION}/subjects/0", "scheme:id"),
        (tagged(subjects=["national:ash fall"]), f"{_EXTENSION}/subjects/0", "scheme:id"),
        (tagged(kinds=["unspecified"]), f"{_EXTENSION}/kinds/0", "one of actions_movements"),
        (tagged(person_classes=["neighbour"]), f"{_EXTENSION}/person_classes/0", "suspect"),
        (tagged(special_categories=["none"]), f"{_EXTENSION}/special_categories/0", "health"),
        (tagged(handling=["H4"]), f"{_EXTENSION}/handling/0", "H0, H1, H2, H3"),
    ],
)
def test_what_is_not_understood_in_the_extension_is_refused(value: dict[str, Json], where: str, says: str) -> None:
    with pytest.raises(MalformedObject, match=says) as caught:
        read_tags(value)
    assert caught.value.where == where


def test_tags_from_two_sources_add_up() -> None:
    both = join_tags(make_tags(regions=["IQ"], kinds=["arms"]), make_tags(regions=["SY"], handling=["H0"]))
    assert both == make_tags(regions=["SY", "IQ"], kinds=["arms"], handling=["H0"])
    with pytest.raises(MalformedObject) as caught:
        make_tags(regions=["IQ", "Iraq"])
    assert caught.value.where == "/regions/1"


def test_the_label_of_one_object() -> None:
    obj, value = parse_object(
        json.dumps(
            {
                "type": "intrusion-set",
                "spec_version": "2.1",
                "id": "intrusion-set--11111111-1111-4111-8111-111111111111",
                "created": "2020-01-01T00:00:00Z",
                "modified": "2020-01-01T00:00:00Z",
                "name": "Ashfall Column",
                "description": "x",
                "object_marking_refs": [TLP2_AMBER],
                "granular_markings": [{"marking_ref": TLP2_RED, "selectors": ["description"]}],
            }
        ).encode()
    )
    tags = make_tags(subjects=["national:ashfall"], regions=["IQ", "SY"], person_classes=["suspect"])
    label = make_label(
        obj,
        read_markings(value, definitions={}),
        tags,
        originators=frozenset({_AURELIA}),
        audience=frozenset({_BOREALIS}),
    )
    assert label == Label(
        types=frozenset({"intrusion-set"}),
        tlp="amber",
        markings=frozenset(),
        originators=frozenset({_AURELIA}),
        subjects=frozenset({frozenset({"national:ashfall"})}),
        regions=frozenset({frozenset({"IQ", "SY"})}),
        kinds=frozenset({"unspecified"}),
        person_classes=frozenset({"suspect"}),
        special_categories=frozenset(),
        handling=frozenset(),
        audience=frozenset({_BOREALIS}),
        excluded_frameworks=frozenset(),
        granular=(GranularMarking(property="description", tlp="red"),),
    )


def test_nothing_said_is_a_group_without_a_word_and_not_no_group() -> None:
    label = label_of(make_tags())
    assert label.subjects == label.regions == {frozenset()}
    assert label_of(make_tags(kinds=["arms"])).kinds == {"arms"}


def test_join_keeps_a_group_for_each_object_and_the_strictest_of_the_rest() -> None:
    report = label_of(make_tags(subjects=["national:a"], regions=["IQ"], kinds=["strategic"]), tlp="amber")
    place = label_of(make_tags(regions=["JO", "SY"], handling=["H1"]), tlp="red", audience=frozenset({_BOREALIS}))
    joined = join(report, place)
    assert joined.regions == {frozenset({"IQ"}), frozenset({"JO", "SY"})}
    assert joined.subjects == {frozenset({"national:a"}), frozenset()}
    assert joined.kinds == {"strategic", "unspecified"}
    assert joined.tlp == "red"
    assert joined.handling == {"H1"}
    assert joined.audience == frozenset({_BOREALIS})


def test_audiences_only_shrink() -> None:
    anyone, two, one = (
        label_of(make_tags(), audience=audience)
        for audience in (None, frozenset({_BOREALIS, _CIMBRIA}), frozenset({_CIMBRIA}))
    )
    assert join(anyone, anyone).audience is None
    assert join(anyone, two).audience == join(two, anyone).audience == frozenset({_BOREALIS, _CIMBRIA})
    assert join(two, one).audience == frozenset({_CIMBRIA})
    assert join(one, replace(one, audience=frozenset({_BOREALIS}))).audience == frozenset()
    # Nobody is not anybody, also not when joined with anybody.
    assert join(replace(one, audience=frozenset()), anyone).audience == frozenset()


def test_an_unresolved_reference_is_a_marking_that_no_terms_name() -> None:
    assert with_unresolved(label_of(make_tags())).markings == {"unresolved-reference"}


def test_the_canonical_form_of_a_label_is_fixed() -> None:
    label = join(
        label_of(make_tags(regions=["SY", "IQ"], subjects=["national:a"], kinds=["arms"])),
        label_of(make_tags(regions=["IQ"]), audience=frozenset({_BOREALIS})),
    )
    assert format_label(replace(label, granular=(GranularMarking(property="name", tlp="red"),))) == (
        b'{"audience":["borealis"],"granular":[{"property":"name","tlp":"red"}],"handling":[],'
        b'"kinds":["arms","unspecified"],"markings":[],"originators":["aurelia"],"person_classes":[],'
        b'"regions":[["IQ"],["IQ","SY"]],"special_categories":[],"subjects":[[],["national:a"]],"tlp":"green",'
        b'"types":["x-thing"]}'
    )


def test_that_a_property_repeats_what_another_says_stands_in_its_label() -> None:
    mark = GranularMarking(property="name", tlp="red", repeats=True)
    label = replace(label_of(make_tags()), granular=(mark,))
    assert b'{"property":"name","repeats":true,"tlp":"red"}' in format_label(label)
    assert parse_label(format_label(label)) == label


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"tlp": "white"}, "/tlp"),
        ({"tlp": None}, "/tlp"),
        ({"types": ["Tool"]}, "/types"),
        ({"types": "tool"}, "/types"),
        ({"markings": ["unknown"]}, "/markings"),
        ({"markings": ["unknown:tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]}, "/markings"),
        ({"originators": ["Aurelia"]}, "/originators"),
        ({"subjects": ["national:a"]}, "/subjects/0"),
        ({"subjects": None}, "/subjects"),
        ({"regions": [["IQ"], ["XX"]]}, "/regions/1"),
        ({"kinds": ["other"]}, "/kinds"),
        ({"person_classes": ["other"]}, "/person_classes"),
        ({"special_categories": ["other"]}, "/special_categories"),
        ({"handling": ["H9"]}, "/handling"),
        ({"audience": "borealis"}, "/audience"),
        ({"audience": ["Borealis"]}, "/audience"),
        ({"excluded_frameworks": "coalition-dawn"}, "/excluded_frameworks"),
        ({"excluded_frameworks": [""]}, "/excluded_frameworks"),
        ({"excluded_frameworks": []}, "/"),
        ({"granular": None}, "/granular"),
        ({"granular": [7]}, "/granular/0"),
        ({"granular": [{"property": "name", "tlp": "white"}]}, "/granular/0/tlp"),
        ({"granular": [{"property": "", "tlp": "red"}]}, "/granular/0/property"),
        ({"granular": [{"property": "name", "tlp": "red", "repeats": False}]}, "/granular/0/repeats"),
        ({"granular": [{"property": "name", "tlp": "red", "other": True}]}, "/granular/0"),
        ({"granular": [{"property": "b", "tlp": "red"}, {"property": "a", "tlp": "red"}]}, "/granular"),
        ({"granular": [{"property": "a", "tlp": "green"}, {"property": "a", "tlp": "red"}]}, "/granular"),
        ({"regions": [["SY", "IQ"]]}, "/"),
        ({"kinds": ["arms", "arms"]}, "/"),
        ({"extra": 1}, "/"),
    ],
)
def test_a_label_that_was_altered_is_refused(change: dict[str, Json], where: str) -> None:
    value = json.loads(format_label(label_of(make_tags(regions=["IQ"]))))
    data = json.dumps(value | change, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(MalformedObject) as caught:
        parse_label(data)
    assert caught.value.where == where


def test_excluded_frameworks_stay_excluded_in_every_join_and_are_written_only_where_there_are_any() -> None:
    plain = label_of(make_tags())
    bound = replace(plain, excluded_frameworks=frozenset({"coalition-dawn"}))
    other = replace(plain, excluded_frameworks=frozenset({"coalition-dusk"}))
    assert join(plain, bound, other).excluded_frameworks == {"coalition-dawn", "coalition-dusk"}
    assert restate(bound, plain).excluded_frameworks == {"coalition-dawn"}
    assert b"excluded_frameworks" not in format_label(plain)
    assert parse_label(format_label(bound)) == bound


def test_a_label_that_would_exclude_more_frameworks_than_it_can_hold_is_overfull() -> None:
    few = frozenset(f"coalition-{number}" for number in range(MAX_WORDS // 2))
    long = frozenset(f"{number:04}" * 256 for number in range(MAX_WORDS // 4))
    plain = label_of(make_tags())
    assert join(replace(plain, excluded_frameworks=few), plain) != OVERFULL
    for many in (long, few | {f"other-{number}" for number in range(MAX_WORDS // 2)}):
        assert join(replace(plain, excluded_frameworks=many), plain) == OVERFULL
        assert label_of(make_tags(), excluded=many) == OVERFULL


def test_a_label_that_would_name_a_larger_audience_than_it_can_hold_is_overfull() -> None:
    parties = [PartyId(f"party-{number}") for number in range(MAX_WORDS)]
    assert label_of(make_tags(), audience=frozenset(parties[: MAX_WORDS // 2])) != OVERFULL
    assert label_of(make_tags(), audience=frozenset(parties)) == OVERFULL


def test_a_label_with_more_markings_than_it_can_hold_is_overfull() -> None:
    """Each is a row of the store, and long: else an object of 500 bytes that refers to another costs 150 kB there."""
    words = [
        f"unknown:marking-definition--{number:08}-0000-4000-8000-000000000000" for number in range(MAX_MARKINGS + 1)
    ]
    data = b'{"type":"x-thing","id":"x-thing--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}'

    def mark(others: list[str]) -> Label:
        markings = Markings(tlp="green", others=frozenset(others), granular=())
        return make_label(
            parse_object(data)[0], markings, make_tags(), originators=frozenset({_AURELIA}), audience=None
        )

    assert mark(words[1:]).markings == frozenset(words[1:])
    assert mark(words) == OVERFULL
    assert join(mark(words[:20]), mark(words[1:])) == OVERFULL
    assert join(mark(words[:20]), mark(words[10:30])).markings == frozenset(words[:30])


@pytest.mark.parametrize("word", ['\u00e9\x1f"\\/', "\x7f \b\n\t", "\ufb33", "\U0001f600"])
def test_a_label_is_written_as_rfc_8785_says_whatever_is_in_it(word: str) -> None:
    label = replace(label_of(make_tags()), excluded_frameworks=frozenset({word, "z", "A"}))
    data = format_label(label)
    assert data == canonical_bytes(parse_json(data, limits=OBJECT_LIMITS))
    assert parse_label(data) == label


def test_a_label_is_only_its_canonical_bytes() -> None:
    data = format_label(label_of(make_tags()))
    for other in (data + b"\n", data.replace(b",", b", ", 1), data[:-1], b"[]", b""):
        with pytest.raises(MalformedError):
            parse_label(other)


def test_the_vocabularies() -> None:
    assert len(REGIONS) == 249
    assert {"IQ", "SY", "JO", "TR", "PS"} <= REGIONS
    assert not {"XK", "UK", "EU", "ZZ"} & REGIONS
    assert frozenset({"H0", "H1", "H2", "H3"}) == HANDLING
    assert (len(KINDS), len(PERSON_CLASSES), len(SPECIAL_CATEGORIES)) == (9, 8, 8)
    assert {field.name for field in fields(Tags)} < {field.name for field in fields(Label)}
