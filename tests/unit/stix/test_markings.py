# SPDX-License-Identifier: Apache-2.0

import pytest

from comity.canonical import Json
from comity.errors import MalformedObject
from comity.ids import ObjectId
from comity.stix.markings import (
    CONTRADICTORY,
    REQUIRED_PROPERTIES,
    TLP1_AMBER,
    TLP1_RED,
    TLP1_WHITE,
    TLP2_AMBER,
    TLP2_AMBER_STRICT,
    TLP2_CLEAR,
    TLP2_GREEN,
    TLP2_RED,
    TLP_IDS,
    TLP_ORDER,
    GranularMarking,
    Markings,
    add_markings,
    read_markings,
    tlp_rank,
)

_STATEMENT = ObjectId("marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f")
_UNKNOWN = ObjectId("marking-definition--00000000-0000-4000-8000-000000000000")


def indicator(**changes: Json) -> dict[str, Json]:
    value: dict[str, Json] = {
        "type": "indicator",
        "id": "indicator--1ed8caa7-a708-4706-b651-f1186ede6ca1",
        "name": "Relay",
        "description": "A host in use.",
        "labels": ["one", "two"],
        "pattern": "[ipv4-addr:value = '192.0.2.1']",
        "pattern_type": "stix",
        "valid_from": "2020-01-01T00:00:00Z",
        "external_references": [{"source_name": "desk", "url": "https://desk.example/1"}],
    }
    return value | changes


def granular(marking: str, *selectors: str) -> dict[str, Json]:
    return {"granular_markings": [{"marking_ref": marking, "selectors": [*selectors]}]}


def read(**changes: Json) -> Markings:
    return read_markings(indicator(**changes), definitions={_STATEMENT: "statement"})


def test_the_ranks_rise_from_clear_to_unmarked() -> None:
    assert [tlp_rank(name) for name in TLP_ORDER] == [0, 1, 2, 3, 4, 5]
    assert tlp_rank("amber") < tlp_rank("amber+strict") < tlp_rank("red") < tlp_rank("unmarked")


@pytest.mark.parametrize("name", ["", "AMBER", "white", "TLP:RED", "unknown"])
def test_an_unknown_word_has_no_rank(name: str) -> None:
    with pytest.raises(MalformedObject, match="not a TLP level"):
        tlp_rank(name)


@pytest.mark.parametrize(
    ("refs", "tlp"),
    [
        ([TLP2_CLEAR], "clear"),
        ([TLP2_GREEN], "green"),
        ([TLP2_AMBER], "amber"),
        ([TLP2_AMBER_STRICT], "amber+strict"),
        ([TLP2_RED], "red"),
        ([TLP1_WHITE], "clear"),
        ([TLP1_AMBER], "amber"),
        ([TLP1_RED], "red"),
        ([TLP2_RED, TLP2_CLEAR], "red"),
        ([TLP1_WHITE, TLP2_AMBER_STRICT, TLP2_AMBER], "amber+strict"),
        ([], "unmarked"),
        ([_UNKNOWN], "unmarked"),
        ([_STATEMENT], "unmarked"),
        ([_UNKNOWN, TLP2_GREEN], "green"),
    ],
)
def test_the_strictest_tlp_holds(refs: list[Json], tlp: str) -> None:
    assert read(object_marking_refs=refs).tlp == tlp


@pytest.mark.parametrize(
    ("refs", "others"),
    [
        ([TLP2_CLEAR, TLP2_RED], {CONTRADICTORY}),
        ([TLP2_RED, TLP2_CLEAR], {CONTRADICTORY}),
        ([TLP2_AMBER, TLP2_AMBER_STRICT], {CONTRADICTORY}),
        ([TLP1_WHITE, TLP2_GREEN, _STATEMENT], {CONTRADICTORY, "statement"}),
        ([TLP1_AMBER, TLP2_AMBER], set()),
        ([TLP1_WHITE, TLP2_CLEAR, TLP2_CLEAR], set()),
    ],
)
def test_levels_contradict_each_other_unless_they_are_one(refs: list[Json], others: set[str]) -> None:
    assert read(object_marking_refs=refs).others == others


@pytest.mark.parametrize("selector", ["name", "pattern"])
def test_a_level_on_a_part_contradicts_nothing(selector: str) -> None:
    markings = read(object_marking_refs=[TLP2_GREEN], **granular(TLP2_RED, selector))
    assert markings.others == frozenset()


@pytest.mark.parametrize(
    ("own", "around", "borne"),
    [
        ([], [], []),
        ([TLP2_GREEN], [TLP2_AMBER], [TLP2_AMBER]),
        ([TLP2_RED], [TLP2_AMBER], [TLP2_RED]),
        ([_UNKNOWN, TLP2_GREEN], [TLP2_AMBER, _STATEMENT], [TLP2_AMBER, _STATEMENT, _UNKNOWN]),
        ([TLP1_AMBER], [TLP2_AMBER], [TLP2_AMBER, TLP1_AMBER]),
        ([TLP2_CLEAR, TLP2_RED], [TLP2_AMBER], [TLP2_AMBER, TLP2_CLEAR, TLP2_RED]),
        ([TLP2_AMBER], [TLP2_CLEAR, TLP2_RED], [TLP2_CLEAR, TLP2_RED, TLP2_AMBER]),
    ],
)
def test_what_is_around_adds_markings_and_makes_no_contradiction(
    own: list[ObjectId], around: list[ObjectId], borne: list[ObjectId]
) -> None:
    assert add_markings(own, around) == borne


def test_no_marking_at_all_is_unmarked() -> None:
    assert read() == Markings(tlp="unmarked", others=frozenset(), granular=())


def test_other_markings_are_words() -> None:
    markings = read(object_marking_refs=[_UNKNOWN, _STATEMENT, TLP2_GREEN])
    assert markings.others == {"statement", f"unknown:{_UNKNOWN}"}


def test_only_a_statement_is_believed_of_a_definition() -> None:
    value = indicator(object_marking_refs=[_UNKNOWN])
    for claimed in ("green", "clear", "tlp", ""):
        assert read_markings(value, definitions={_UNKNOWN: claimed}).others == {f"unknown:{_UNKNOWN}"}
    assert read_markings(indicator(object_marking_refs=[TLP2_RED]), definitions={TLP2_RED: "statement"}).tlp == "red"


def test_names_say_nothing() -> None:
    value: dict[str, Json] = {"type": "marking-definition", "id": _UNKNOWN, "name": "TLP:CLEAR"}
    value |= {"definition_type": "tlp", "object_marking_refs": [_UNKNOWN]}
    assert read_markings(value, definitions={}).tlp == "unmarked"


def test_granular_markings_name_the_top_level_property_with_its_strictest_level() -> None:
    entries: list[Json] = [
        {"marking_ref": TLP2_RED, "selectors": ["external_references.[0].url", "labels.[1]"]},
        {"marking_ref": TLP2_AMBER, "selectors": ["labels.[0]", "description"]},
        {"marking_ref": _UNKNOWN, "selectors": ["name"]},
        {"marking_ref": TLP2_CLEAR, "selectors": ["name"]},
    ]
    markings = read(object_marking_refs=[TLP2_GREEN], granular_markings=entries)
    assert markings == Markings(
        tlp="green",
        others=frozenset(),
        granular=(
            GranularMarking(property="description", tlp="amber"),
            GranularMarking(property="external_references", tlp="red"),
            GranularMarking(property="labels", tlp="red"),
            GranularMarking(property="name", tlp="unmarked"),
        ),
    )


@pytest.mark.parametrize(
    "selector", ["pattern", "pattern_type", "valid_from", "id", "type", "granular_markings", "object_marking_refs"]
)
def test_a_granular_marking_on_what_cannot_be_lacking_is_one_of_the_whole(selector: str) -> None:
    refs: dict[str, Json] = {"object_marking_refs": [TLP2_GREEN]}
    assert read(**refs, **granular(TLP2_RED, selector)) == Markings(tlp="red", others=frozenset(), granular=())
    assert read(**refs, **granular(_UNKNOWN, selector)).others == {f"unknown:{_UNKNOWN}"}
    assert read(**refs, **granular(_STATEMENT, selector)).others == {"statement"}


@pytest.mark.parametrize("name", ["created", "modified", "spec_version", "created_by_ref", "revoked", "extensions"])
def test_common_properties_cannot_be_lacking_in_any_type(name: str) -> None:
    value = indicator(**{name: "x"}, object_marking_refs=[TLP2_CLEAR], **granular(TLP2_AMBER, name))
    assert read_markings(value, definitions={}) == Markings(tlp="amber", others=frozenset(), granular=())


def test_one_marking_on_both_kinds_of_property_holds_on_the_whole_and_on_the_part() -> None:
    markings = read(object_marking_refs=[TLP2_CLEAR], **granular(TLP2_AMBER, "description", "pattern"))
    assert markings.tlp == "amber"
    assert markings.granular == (GranularMarking(property="description", tlp="amber"),)


def test_of_a_type_that_is_not_known_every_property_counts() -> None:
    value: dict[str, Json] = {"type": "x-example-thing", "colour": "grey", "object_marking_refs": [TLP2_CLEAR]}
    assert read_markings(value | granular(TLP2_RED, "colour"), definitions={}).tlp == "red"


def test_what_is_marked_counts_as_marked_wherever_it_stands_again() -> None:
    said: dict[str, Json] = {"description": "Karim Holt's relay", "x_note": "of KARIM HOLT", "aliases": ["Karim Holt"]}
    markings = read(object_marking_refs=[TLP2_GREEN], **said, **granular(TLP2_RED, "aliases.[0]"))
    assert markings.tlp == "green"
    assert markings.granular == (
        GranularMarking(property="aliases", tlp="red"),
        GranularMarking(property="description", tlp="red", repeats=True),
        GranularMarking(property="x_note", tlp="red", repeats=True),
    )


@pytest.mark.parametrize("name", ["name", "pattern", "extensions", "created_by_ref"])
def test_what_is_marked_and_stands_again_in_what_cannot_be_lacking_marks_the_whole(name: str) -> None:
    said: Json = {"x": ["203.0.113.9"]} if name == "extensions" else "at 203.0.113.9:80"
    value = indicator(
        type="tool" if name == "name" else "indicator",
        object_marking_refs=[TLP2_GREEN],
        x_hidden="203.0.113.9",
        **{name: said},
        **granular(TLP2_AMBER, "x_hidden"),
    )
    assert read_markings(value, definitions={}).tlp == "amber"


def test_a_property_that_is_marked_itself_has_the_stricter_level_and_is_its_own() -> None:
    entries: list[Json] = [
        {"marking_ref": TLP2_AMBER, "selectors": ["description"]},
        {"marking_ref": TLP2_RED, "selectors": ["aliases"]},
    ]
    said: dict[str, Json] = {"description": "by Karim Holt", "aliases": ["Karim Holt"]}
    markings = read(object_marking_refs=[TLP2_CLEAR], **said, granular_markings=entries)
    assert [(mark.property, mark.tlp, mark.repeats) for mark in markings.granular] == [
        ("aliases", "red", False),
        ("description", "red", False),
    ]


@pytest.mark.parametrize("whole", [TLP2_AMBER, TLP2_RED])
def test_a_marking_that_restricts_nothing_marks_nothing_elsewhere(whole: str) -> None:
    """A tear line: what everybody who has the object may see may stand in it twice."""
    said: dict[str, Json] = {"description": "by Karim Holt", "x_line": "Karim Holt"}
    markings = read(object_marking_refs=[whole], **said, **granular(TLP2_AMBER, "x_line"))
    assert markings.granular == (GranularMarking(property="x_line", tlp="amber"),)


def test_what_cannot_be_looked_for_marks_the_whole() -> None:
    many: list[Json] = [f"text number {number}" for number in range(300)]
    markings = read(object_marking_refs=[TLP2_GREEN], labels=many, **granular(TLP2_RED, "labels"))
    assert markings.tlp == "red"


def test_more_markings_than_can_be_looked_for_mark_the_whole() -> None:
    """32 mark the property alone, since what it says stands nowhere else; with one more it may stand anywhere."""
    for count, others in ((32, 0), (33, 33)):
        entries: list[Json] = [
            {"marking_ref": f"marking-definition--{number:08x}-0000-4000-8000-000000000000", "selectors": ["labels"]}
            for number in range(1, count + 1)
        ]
        markings = read(object_marking_refs=[TLP2_GREEN], granular_markings=entries)
        assert (len(markings.others), [one.property for one in markings.granular]) == (others, ["labels"])


def test_a_granular_marking_never_loosens() -> None:
    assert read(object_marking_refs=[TLP2_RED], **granular(TLP2_CLEAR, "pattern")).tlp == "red"
    assert read(**granular(TLP2_CLEAR, "pattern")).tlp == "unmarked"


@pytest.mark.parametrize(
    "inner",
    [
        {"objects": {"0": {"type": "ipv4-addr", "object_marking_refs": [TLP2_RED]}}},
        {"x_parts": [[{"object_marking_refs": [TLP2_CLEAR, TLP2_RED]}]]},
        {"x_part": {"granular_markings": [{"marking_ref": TLP2_RED, "selectors": ["value"]}]}},
        {"extensions": {"extension-definition--1": {"object_marking_refs": [TLP2_RED]}}},
        {"x_part": {"object_marking_refs": [TLP2_RED]}, **granular(TLP2_AMBER, "description")},
    ],
)
def test_what_is_marked_inside_a_property_marks_the_whole(inner: dict[str, Json]) -> None:
    marked = read(object_marking_refs=[TLP2_GREEN], **inner)
    assert (marked.tlp, marked.others) == ("red", frozenset())
    assert read(**inner).tlp == "unmarked"


def test_a_marking_inside_is_a_word_and_never_loosens() -> None:
    inner: dict[str, Json] = {"x_part": {"object_marking_refs": [_UNKNOWN, TLP2_CLEAR]}}
    marked = read(object_marking_refs=[TLP2_AMBER], **inner)
    assert (marked.tlp, marked.others) == ("amber", frozenset({f"unknown:{_UNKNOWN}"}))
    with pytest.raises(MalformedObject) as caught:
        read(x_part={"object_marking_refs": ["TLP:RED"]})
    assert caught.value.where == "/x_part/object_marking_refs"


def test_a_language_alone_restricts_nothing() -> None:
    entries: list[Json] = [{"lang": "fr", "selectors": ["description"]}]
    assert read(granular_markings=entries) == read()


@pytest.mark.parametrize(
    ("refs", "where"),
    [
        ("x", "/object_marking_refs"),
        (None, "/object_marking_refs"),
        ([TLP2_RED, None], "/object_marking_refs/1"),
        (["TLP:RED"], "/object_marking_refs/0"),
        ([TLP2_RED.upper()], "/object_marking_refs/0"),
        (["marking-definition--1"], "/object_marking_refs/0"),
        (["identity--d81f86b9-975b-4c0b-875e-810c5ad45a4f"], "/object_marking_refs/0"),
    ],
)
def test_broken_marking_refs_are_refused(refs: Json, where: str) -> None:
    with pytest.raises(MalformedObject) as caught:
        read(object_marking_refs=refs)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("entries", "where"),
    [
        ({}, ""),
        (None, ""),
        ([3], "/0"),
        ([{"marking_ref": TLP2_RED}], "/0/selectors"),
        ([{"marking_ref": TLP2_RED, "selectors": []}], "/0/selectors"),
        ([{"marking_ref": TLP2_RED, "selectors": "name"}], "/0/selectors"),
        ([{"marking_ref": TLP2_RED, "selectors": ["name", 1]}], "/0/selectors/1"),
        ([{"marking_ref": TLP2_RED, "selectors": ["descriptoin"]}], "/0/selectors/0"),
        ([{"marking_ref": TLP2_RED, "selectors": [""]}], "/0/selectors/0"),
        ([{"marking_ref": TLP2_RED, "selectors": ["name."]}], "/0/selectors/0"),
        ([{"marking_ref": TLP2_RED, "selectors": ["labels.[2]"]}], "/0/selectors/0"),
        ([{"marking_ref": TLP2_RED, "selectors": ["labels.[00]"]}], "/0/selectors/0"),
        ([{"marking_ref": TLP2_RED, "selectors": ["labels.0"]}], "/0/selectors/0"),
        ([{"marking_ref": TLP2_RED, "selectors": ["name.[0]"]}], "/0/selectors/0"),
        ([{"marking_ref": TLP2_RED, "selectors": ["[0]"]}], "/0/selectors/0"),
        ([{"selectors": ["name"]}], "/0"),
        ([{"marking_ref": TLP2_RED, "lang": "fr", "selectors": ["name"]}], "/0"),
        ([{"lang": 3, "selectors": ["name"]}], "/0/lang"),
        ([{"marking_ref": "red", "selectors": ["name"]}], "/0/marking_ref"),
        ([{"marking_ref": None, "selectors": ["name"]}], "/0/marking_ref"),
    ],
)
def test_a_restriction_that_cannot_be_placed_is_refused(entries: Json, where: str) -> None:
    with pytest.raises(MalformedObject) as caught:
        read(granular_markings=entries)
    assert caught.value.where == f"/granular_markings{where}"


def test_the_published_ids_are_nine_and_all_are_marking_definitions() -> None:
    assert len(TLP_IDS) == 9
    assert set(TLP_IDS.values()) == set(TLP_ORDER) - {"unmarked"}
    assert all(one.startswith("marking-definition--") for one in TLP_IDS)


def test_every_type_of_stix_2_1_has_its_required_properties() -> None:
    assert len(REQUIRED_PROPERTIES) == 24
    # The only types without a property that must be there.
    assert not {"process", "user-account", "windows-registry-key", "x509-certificate"} & REQUIRED_PROPERTIES.keys()
