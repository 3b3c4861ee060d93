# SPDX-License-Identifier: Apache-2.0
"""Shell: writes examples/bundle.json, what the fictional party "aurelia" holds about two fictional groups.

Everything in it is invented: the groups, persons, parties, posts and places. Regions are real ISO 3166-1 codes because
terms name such codes; nothing is said of the real places. Addresses are from the documentation ranges (RFC 5737) and
names end in .example (RFC 2606). The same bundle comes out every time: ids are UUIDv5, and no clock is read.

    python examples/make_bundle.py        writes bundle.json beside this file and prints what is in it

The material is a row of dossiers: one cell of one group in one region, with the indicators, sightings, reports, notes
and relationships about it. `EXAMPLES` names one object for each thing that terms can say about an object.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from uuid import UUID, uuid5

__all__ = ["EXAMPLES", "SUBJECT_ASHFALL", "SUBJECT_TIDEWATER", "format_bundle", "main", "make_bundle"]

Value: TypeAlias = "bool | int | str | list[Value] | dict[str, Value] | None"
Object: TypeAlias = dict[str, Value]

NAMESPACE = UUID("5db4700a-2c50-4daa-a0b8-9905470c4976")
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
CLASSIFICATION = "extension-definition--77b577be-cae3-44af-8f74-64e0b45e3272"
TLP_EXTENSION = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
TLP = {
    "clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "amber+strict": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "red": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}
NOBODY_KNOWS = "marking-definition--0f0e0d0c-0b0a-4908-8706-050403020100"
REGIONS = ("IQ", "SY", "JO", "TR")


def make_id(object_type: str, key: str) -> str:
    """The same id for the same key, every time."""
    return f"{object_type}--{uuid5(NAMESPACE, f'{object_type}/{key}')}"


DESK = make_id("identity", "desk")
STATEMENT = make_id("marking-definition", "statement")
GROUPS = {name: make_id("intrusion-set", name) for name in ("ashfall", "tidewater")}
SUBJECT_ASHFALL = f"stix:{GROUPS['ashfall']}"
SUBJECT_TIDEWATER = f"stix:{GROUPS['tidewater']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said of an object: markings and classification."""

    tlp: str | None = "green"
    groups: tuple[str, ...] = ("ashfall",)
    regions: tuple[str, ...] = ("IQ",)
    kind: str = "threat_assessment"
    more: tuple[tuple[str, str], ...] = ()
    """Further words of the classification, as (field, word)."""
    markings: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    """Granular markings, as (property, TLP level)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """What a dossier is about."""

    kind: str
    title: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """One cell of one group in one region."""

    number: int
    cell: str
    place: str
    group: str
    region: str
    levels: tuple[str, ...]
    theme: Theme

    def say(self, slot: int, *, kind: str | None = None) -> Said:
        """The usual markings and tags of this dossier's object in `slot`."""
        return Said(
            tlp=self.levels[slot % len(self.levels)],
            groups=(self.group,),
            regions=(self.region,),
            kind=kind or self.theme.kind,
        )


THEMES = (
    Theme(kind="travel_documents", title="blank booklets", sentence="Blank travel booklets were offered to a courier."),
    Theme(kind="financing", title="the lamp trade", sentence="A trader in lamps paid the same invoice four times."),
    Theme(kind="communications", title="a relay", sentence="A relay answered on two addresses in the same week."),
    Theme(
        kind="actions_movements", title="the spring convoy", sentence="Three vehicles left the depot and two returned."
    ),
    Theme(kind="arms", title="a missing crate", sentence="A crate left a depot on paper and never arrived."),
    Theme(kind="threat_assessment", title="intentions", sentence="The cell speaks of a pause until the autumn."),
    Theme(kind="strategic", title="the year ahead", sentence="The group seeks income that does not cross a border."),
)
# fmt: off
CELLS = (
    "Cinder", "Amberley", "Brasslock", "Candlewick", "Driftmoor", "Emberhay", "Flintwater", "Gorsefold", "Hollowmere",
    "Inkwell", "Jackdaw", "Kilnbrook", "Larkspur", "Millrace", "Nettlebed", "Oakhollow", "Pebblecross", "Quarrylight",
    "Rushlight", "Saltmarsh", "Thimble", "Undertow",
)
PLACES = (
    "Marrow Ford", "Nine Wells", "Old Kiln Depot", "Halfway Mill", "Copper Gate", "Thornby Crossing", "Grey Orchard",
    "Lantern Yard", "Dry Harbour", "Slate Bridge", "Milestone Seven", "Low Granary", "Tanner's Row", "Wick Station",
    "Fallow Camp", "Stone Ferry", "Rook Hill", "Bellfounder Lane", "Winter Market", "Salt Stair", "Cooper's Landing",
    "Far Pump House",
)
# fmt: on
# (group, region, TLP levels): fourteen dossiers that a partner for Ashfall in IQ and SY is meant to receive, eight not.
_OPEN = (("green", "amber"), ("amber", "green", "clear"), ("green", "clear"), ("amber",))
_SETTINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    *(("ashfall", "IQ" if number % 2 == 0 else "SY", _OPEN[number % 4]) for number in range(14)),
    ("ashfall", "JO", ("green", "amber")),
    ("ashfall", "TR", ("green",)),
    ("ashfall", "JO", ("amber", "red")),
    ("tidewater", "IQ", ("green", "amber")),
    ("tidewater", "SY", ("green",)),
    ("tidewater", "TR", ("amber", "amber+strict")),
    ("ashfall", "IQ", ("red", "amber+strict")),
    ("ashfall", "SY", ("amber+strict",)),
)
DOSSIERS = tuple(
    Dossier(
        number=number,
        cell=CELLS[number],
        place=PLACES[number],
        group=group,
        region=region,
        levels=levels,
        theme=THEMES[number % len(THEMES)],
    )
    for number, (group, region, levels) in enumerate(_SETTINGS)
)
POSTS = (
    ("lantern", "Lantern Post", "IQ"),
    ("beacon", "Beacon Post", "SY"),
    ("well", "Well Post", "JO"),
    ("mirror", "Mirror Post", "TR"),
)
PERSONS = ("Maro Venn", "Tessel Oray", "Ilan Quist", "Dova Marsh")
SOFTWARE = (
    ("malware", "Dustlamp", "ashfall"),
    ("malware", "Softkiln", "ashfall"),
    ("malware", "Gull", "tidewater"),
    ("tool", "Packhorse", "ashfall"),
    ("tool", "Ledgerleaf", "ashfall"),
    ("tool", "Buoy", "tidewater"),
)

EXAMPLES = {
    "released": make_id("indicator", "0/1"),
    "redacted": make_id("indicator", "0/0"),
    "out_of_region": make_id("location", "14"),
    "other_subject": make_id("threat-actor", "17"),
    "above_ceiling": make_id("indicator", "0/3"),
    "above_ceiling_strict": make_id("indicator", "1/3"),
    "unmarked": make_id("indicator", "2/3"),
    "refers_to_withheld": make_id("report", "0/1"),
    "statement": make_id("note", "0"),
    "unknown_marking": make_id("note", "1"),
    "person_class": make_id("identity", "person/0"),
    "handling": make_id("note", "handling"),
    "special_category": make_id("note", "special"),
    "type_not_listed": CLASSIFICATION,
}
"""One object for each case, under terms for Ashfall in IQ and SY up to TLP:AMBER that list no further markings."""


# --- one object ---------------------------------------------------------------------------------------------------


def stamp(number: int) -> str:
    """A time of its own for each object of the bundle."""
    return (START + timedelta(minutes=37 * number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def classify(said: Said) -> Object:
    """The classification extension (docs/spec/classification.md)."""
    words: dict[str, list[Value]] = {
        "subjects": [f"stix:{GROUPS[group]}" for group in said.groups],
        "regions": [*said.regions],
        "kinds": [said.kind],
    }
    for field, word in said.more:
        words.setdefault(field, []).append(word)
    return {CLASSIFICATION: {"extension_type": "property-extension", **words}}


def make_object(object_type: str, key: str, said: Said, **properties: Value) -> Object:
    """An object of the desk; `created` and `modified` are filled in by `make_bundle`, in order."""
    value: Object = {
        "type": object_type,
        "spec_version": "2.1",
        "id": make_id(object_type, key),
        "created_by_ref": DESK,
        "created": "",
        "modified": "",
        **properties,
    }
    refs: list[Value] = [*([TLP[said.tlp]] if said.tlp else []), *said.markings]
    if refs:
        value["object_marking_refs"] = refs
    if said.parts:
        value["granular_markings"] = [{"marking_ref": TLP[level], "selectors": [name]} for name, level in said.parts]
    value["extensions"] = classify(said)
    return value


def relate(source: str, verb: str, target: str, *, key: str, said: Said) -> Object:
    """A relationship between two objects."""
    return make_object("relationship", key, said, relationship_type=verb, source_ref=source, target_ref=target)


# --- what is not in a dossier -------------------------------------------------------------------------------------


def make_tlp_definitions() -> Iterator[Object]:
    """The five TLP 2.0 definitions, exactly as published; they carry no classification."""
    for level, marking in TLP.items():
        yield {
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": marking,
            "created": "2022-10-01T00:00:00.000Z",
            "name": f"TLP:{level.upper()}",
            "extensions": {TLP_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": level}},
        }


def make_frame() -> Iterator[Object]:
    """The desk, its statement, the definition of the extension, the groups, observing posts, and software."""
    everything = Said(tlp="clear", groups=("ashfall", "tidewater"), regions=REGIONS, kind="identity")
    desk = make_object("identity", "desk", everything, name="Aurelia Liaison Desk", identity_class="organization")
    del desk["created_by_ref"]
    yield desk
    statement = make_object(
        "marking-definition",
        "statement",
        everything,
        name="Aurelia statement",
        definition_type="statement",
        definition={"statement": "Invented by the makers of Comity for demonstrations; describes nobody."},
    )
    del statement["modified"]
    yield statement
    extension = make_object(
        "extension-definition",
        "classification",
        everything,
        name="Comity classification",
        schema="docs/spec/classification.md",
        version="1.0",
        extension_types=["property-extension"],
    )
    yield extension | {"id": CLASSIFICATION}
    for group, name, aliases in (("ashfall", "Ashfall Column", "Grey Column"), ("tidewater", "Tidewater Ring", "Ebb")):
        yield make_object(
            "intrusion-set",
            group,
            Said(groups=(group,), regions=REGIONS, parts=(("goals", "red"),)),
            name=name,
            description=f"{name} is an invented armed group that lives off depots, lamps and tolls.",
            aliases=[aliases],
            goals=["Hold the depots through the winter"],
        )
    for key, name, region in POSTS:
        said = Said(tlp="green", groups=("ashfall", "tidewater"), regions=(region,), kind="identity")
        yield make_object("identity", key, said, name=f"Aurelia {name}", identity_class="organization")
    for object_type, name, group in SOFTWARE:
        said = Said(tlp="amber", groups=(group,), regions=("IQ", "SY"), kind="communications")
        own: Object = {"is_family": False} if object_type == "malware" else {"tool_types": ["information-gathering"]}
        yield make_object(object_type, name, said, name=name, description=f"{name}, seen in messages of a cell.", **own)


def make_safeguarded() -> Iterator[Object]:
    """Persons, and notes under handling codes or about special categories: what terms must name to admit."""
    for number, name in enumerate(PERSONS):
        dossier = DOSSIERS[number]
        person = make_id("identity", f"person/{number}")
        said = Said(tlp="amber", regions=(dossier.region,), kind="identity", more=(("person_classes", "suspect"),))
        yield make_object(
            "identity", f"person/{number}", said, name=f"{name} (invented person)", identity_class="individual"
        )
        yield relate(
            person, "related-to", make_id("threat-actor", str(number)), key=f"person/{number}", said=dossier.say(1)
        )
    actor: list[Value] = [make_id("threat-actor", "0")]
    notes = (
        ("handling", ("handling", "H2"), "Ask the desk before this is passed on."),
        ("special", ("special_categories", "biometric_data"), "A fingerprint record exists and is not attached."),
    )
    for key, words, content in notes:
        said = Said(tlp="green", kind="identity", more=(words,))
        yield make_object("note", key, said, content=content, object_refs=actor)


# --- a dossier ----------------------------------------------------------------------------------------------------


def make_dossier(dossier: Dossier) -> Iterator[Object]:
    """Everything about one cell."""
    key = str(dossier.number)
    yield make_object(
        "location",
        key,
        dossier.say(0, kind="actions_movements"),
        name=f"{dossier.place} (invented place)",
        description="A depot and a crossing; named so by the desk.",
        country=dossier.region,
    )
    yield make_object(
        "threat-actor",
        key,
        dossier.say(0, kind="threat_assessment"),
        name=f"{dossier.cell} cell",
        description=f"{dossier.theme.sentence} The desk believes that the cell acts for the whole group.",
        threat_actor_types=["crime-syndicate"],
        sophistication="intermediate",
    )
    yield from make_indicators(dossier)
    yield from make_sightings(dossier)
    yield from make_reports(dossier)
    yield from make_notes(dossier)
    yield from make_relationships(dossier)


def choose_pattern(dossier: Dossier, slot: int) -> tuple[str, str]:
    """A name and a STIX pattern; only documentation ranges and names."""
    host = 4 * dossier.number + slot + 1
    patterns = (
        (f"Relay 192.0.2.{host}", f"[ipv4-addr:value = '192.0.2.{host}']"),
        (f"Relay 198.51.100.{host}", f"[ipv4-addr:value = '198.51.100.{host}']"),
        (f"Drop {dossier.cell.lower()}", f"[domain-name:value = '{dossier.cell.lower()}.example']"),
        (f"Page of {dossier.cell}", f"[url:value = 'https://{dossier.cell.lower()}.example/lamps/{host}']"),
    )
    return patterns[slot]


def make_indicators(dossier: Dossier) -> Iterator[Object]:
    """Four indicators; the first may be redacted, the last is often one that must stay."""
    usual = dossier.levels[3 % len(dossier.levels)]
    last: str | None = ("red", "amber+strict", None, usual)[dossier.number % 4]
    for slot in range(4):
        name, pattern = choose_pattern(dossier, slot)
        level = last if slot == 3 else dossier.levels[slot % len(dossier.levels)]  # noqa: PLR2004 - the last of four
        parts = (("description", "red"), ("name", "green")) if slot == 0 and dossier.number % 2 == 0 else ()
        said = Said(tlp=level, groups=(dossier.group,), regions=(dossier.region,), kind="indicator", parts=parts)
        yield make_object(
            "indicator",
            f"{dossier.number}/{slot}",
            said,
            name=name,
            description=f"Given to the desk by someone who works at {dossier.place}.",
            indicator_types=["anomalous-activity"],
            pattern=pattern,
            pattern_type="stix",
            valid_from=stamp(dossier.number),
        )


def make_sightings(dossier: Dossier) -> Iterator[Object]:
    """What the post of the region saw of the first indicator and, in every second dossier, of the last."""
    posts: list[Value] = [make_id("identity", key) for key, _, region in POSTS if region == dossier.region]
    for slot in (0, 3) if dossier.number % 2 == 0 else (0,):
        yield make_object(
            "sighting",
            f"{dossier.number}/{slot}",
            dossier.say(slot, kind="communications"),
            sighting_of_ref=make_id("indicator", f"{dossier.number}/{slot}"),
            where_sighted_refs=posts,
            count=dossier.number + slot + 1,
        )


def make_reports(dossier: Dossier) -> Iterator[Object]:
    """One report on the cell and, in every second dossier, one that rests on the last indicator too."""
    group = GROUPS[dossier.group]
    own = [make_id("threat-actor", str(dossier.number)), make_id("location", str(dossier.number))]
    for slot, indicators in enumerate(((0, 1), (1, 3)) if dossier.number % 2 == 0 else ((0, 1),)):
        refs: list[Value] = [group, *own, *(make_id("indicator", f"{dossier.number}/{one}") for one in indicators)]
        yield make_object(
            "report",
            f"{dossier.number}/{slot}",
            dossier.say(slot),
            name=f"{dossier.cell} cell: {dossier.theme.title}",
            description=f"{dossier.theme.sentence} Read with the indicators; both come from one source.",
            report_types=["threat-report"],
            published=stamp(dossier.number),
            object_refs=refs,
        )


def make_notes(dossier: Dossier) -> Iterator[Object]:
    """A note on the cell: some under a statement, some under a marking that nobody knows, some partly red."""
    usual = dossier.say(1, kind="threat_assessment")
    markings = ((STATEMENT,), (NOBODY_KNOWS,), (), (), ())[dossier.number % 5]
    parts = (("abstract", "red"),) if dossier.number % 5 == 2 else ()  # noqa: PLR2004 - the third of five
    said = Said(
        tlp=usual.tlp, groups=usual.groups, regions=usual.regions, kind=usual.kind, markings=markings, parts=parts
    )
    yield make_object(
        "note",
        str(dossier.number),
        said,
        abstract=f"How the desk came to know of {dossier.cell}",
        content="One source, reporting twice; nothing else corroborates it yet.",
        object_refs=[make_id("threat-actor", str(dossier.number))],
    )


def make_relationships(dossier: Dossier) -> Iterator[Object]:
    """The cell within its group, at its place, with its indicators and its software."""
    key, say = str(dossier.number), dossier.say(0)
    actor, group = make_id("threat-actor", key), GROUPS[dossier.group]
    yield relate(group, "attributed-to", actor, key=f"{key}/group", said=say)
    yield relate(actor, "located-at", make_id("location", key), key=f"{key}/place", said=say)
    for slot in (0, 3):
        indicator = make_id("indicator", f"{key}/{slot}")
        yield relate(indicator, "indicates", actor, key=f"{key}/indicates/{slot}", said=dossier.say(slot))
    if dossier.number % 2 == 0:
        own = [(object_type, name) for object_type, name, owner in SOFTWARE if owner == dossier.group]
        object_type, name = own[dossier.number // 2 % len(own)]
        yield relate(actor, "uses", make_id(object_type, name), key=f"{key}/uses", said=say)


# --- the bundle ---------------------------------------------------------------------------------------------------


def make_bundle() -> Object:
    """The whole bundle, in a fixed order."""
    objects = [*make_frame(), *make_safeguarded()]
    for dossier in DOSSIERS:
        objects += make_dossier(dossier)
    for number, value in enumerate(objects):
        value["created"] = stamp(number)
        if "modified" in value:
            value["modified"] = stamp(number)
    listed: list[Value] = [*make_tlp_definitions(), *objects]
    return {"type": "bundle", "id": make_id("bundle", "aurelia"), "objects": listed}


def format_bundle(bundle: Object) -> bytes:
    """The bytes of examples/bundle.json: readable, one final newline."""
    return (json.dumps(bundle, indent=1, ensure_ascii=False) + "\n").encode()


def count(objects: Sequence[Object]) -> Iterator[str]:
    """A table of types by TLP level, and the named examples."""
    names = {marking: level for level, marking in TLP.items()}
    cells: Counter[tuple[str, str]] = Counter()
    for value in objects:
        refs = value.get("object_marking_refs", [])
        levels = [names[ref] for ref in refs if isinstance(ref, str) and ref in names] if isinstance(refs, list) else []
        cells[str(value["type"]), levels[0] if levels else "unmarked"] += 1
    columns = (*TLP, "unmarked")
    yield f"{'type':22}" + "".join(f"{column:>14}" for column in (*columns, "all"))
    for object_type in sorted({name for name, _ in cells}):
        row = [cells[object_type, column] for column in columns]
        yield f"{object_type:22}" + "".join(f"{number:14}" for number in (*row, sum(row)))
    row = [sum(cells[name, column] for name in {name for name, _ in cells}) for column in columns]
    yield f"{'all':22}" + "".join(f"{number:14}" for number in (*row, sum(row)))
    yield ""
    yield "Under terms for Ashfall Column in IQ and SY up to TLP:AMBER:"
    yield from (f"  {case:22}{object_id}" for case, object_id in EXAMPLES.items())


def main() -> None:
    """Write the file and print what is in it."""
    bundle = make_bundle()
    path = Path(__file__).with_name("bundle.json")
    data = format_bundle(bundle)
    path.write_bytes(data)
    objects = bundle["objects"]
    assert isinstance(objects, list)
    print("\n".join(count([value for value in objects if isinstance(value, dict)])))
    print(f"\n{path.name}: {len(objects)} objects, {len(data)} bytes")


if __name__ == "__main__":
    main()
