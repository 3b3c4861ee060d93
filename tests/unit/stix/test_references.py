# SPDX-License-Identifier: Apache-2.0
"""Labels over references are what a plain walk over everything that is reached comes to."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from comity.ids import ObjectId, PartyId
from comity.stix.labels import Label, format_label, join, parse_label, with_unresolved
from comity.stix.markings import GranularMarking, tlp_rank
from comity.stix.references import Version, settle_labels
from tests.worlds import object_id


def make_label(tlp: str, word: str, *, mark: str = "", level: str = "red") -> Label:
    return Label(
        types=frozenset({"report"}),
        tlp=tlp,
        markings=frozenset(),
        originators=frozenset({PartyId("aurelia")}),
        subjects=frozenset({frozenset({f"s:{word}"})}),
        regions=frozenset({frozenset[str]()}),
        kinds=frozenset({"unspecified"}),
        person_classes=frozenset(),
        special_categories=frozenset(),
        handling=frozenset(),
        audience=None,
        excluded_frameworks=frozenset(),
        granular=(GranularMarking(property=mark, tlp=level),) if mark else (),
    )


OUTSIDE = {object_id("report", "o"): make_label("amber", "outside"), object_id("report", "p"): make_label("red", "p")}

ENTRIES = st.lists(
    st.tuples(
        st.sampled_from("abcdefghij"),
        st.integers(1, 2),
        st.sampled_from(("clear", "green", "red")),
        st.sampled_from(("", "description", "name")),
        st.sets(st.sampled_from("abcdefghijopz"), max_size=3),
        st.sampled_from((False, False, False, True)),
    ),
    max_size=16,
    unique_by=lambda entry: entry[:2],
)


def make_versions(listed: list[tuple[str, int, str, str, set[str], bool]]) -> list[Version]:
    newest = {name: max(day for other, day, *_ in listed if other == name) for name, *_ in listed}
    return [
        Version(
            key=key,
            id=object_id("report", name),
            type="report",
            own=make_label(tlp, f"{name}{day}", mark=mark, level=("amber", "red")[(day + key) % 2]),
            references=frozenset(object_id("report", ref) for ref in refs if ref != name),
            newest=day == newest[name],
            outlived=outlived and day == newest[name],
        )
        for key, (name, day, tlp, mark, refs, outlived) in enumerate(listed)
    ]


def walk(versions: list[Version], start: Version) -> Label:
    """The join of everything that is reached, one label after another."""
    newest: dict[ObjectId, Version] = {item.id: item for item in versions if item.newest}
    marks = sorted({*start.own.granular, *newest[start.id].own.granular}, key=lambda mark: tlp_rank(mark.tlp))
    label = replace(start.own, granular=tuple(sorted({mark.property: mark for mark in marks}.values())))
    reached, left = {start.key}, [start]
    while left:
        item = left.pop()
        label = join(label, item.own)
        if item.outlived or any(target not in newest and target not in OUTSIDE for target in item.references):
            label = with_unresolved(label)
        label = join(label, *(OUTSIDE[target] for target in sorted(item.references) if target in OUTSIDE))
        further = [newest[target] for target in item.references if target in newest] + [newest[item.id]]
        fresh = {one.key: one for one in further if one.key not in reached}
        reached |= fresh.keys()
        left += fresh.values()
    return label


@settings(max_examples=300, deadline=None)
@given(ENTRIES)
def test_every_label_is_the_join_of_all_that_is_reached(
    listed: list[tuple[str, int, str, str, set[str], bool]],
) -> None:
    versions = make_versions(listed)
    settled = settle_labels(versions, outside=OUTSIDE)
    assert settled == {item.key: walk(versions, item) for item in versions}
    assert all(parse_label(format_label(label)) == label for label in settled.values())


def test_a_long_chain_written_backwards_is_labelled_too() -> None:
    count = 3_000
    versions = [
        Version(
            key=number,
            id=object_id("report", str(number)),
            type="report",
            own=make_label("red" if number == count - 1 else "green", "same"),
            references=frozenset({object_id("report", str(number + 1))} if number < count - 1 else ()),
            newest=True,
        )
        for number in range(count)
    ]
    assert {label.tlp for label in settle_labels(versions, outside={}).values()} == {"red"}
