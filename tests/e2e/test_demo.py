# SPDX-License-Identifier: Apache-2.0
"""The demonstration, run as a user runs it; what it claims is looked for again in what it left behind."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comity.stix.labels import CLASSIFICATION_EXTENSION
from tests.e2e.conftest import (
    PATIENCE,
    Entry,
    Given,
    comity,
    digest,
    disclosed,
    entries,
    environment,
    get,
    read_objects,
    read_payload,
    rows,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "examples" / "bundle.json"
PARTIES = ("aurelia", "borealia", "meridia")
ASHFALL = "stix:intrusion-set--c22ec0f0-7f60-581d-876e-4b8c48fee29b"
TLP = {
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
}
UP_TO_AMBER = {"clear", "green", "amber"}
ADMITTED_CLASSES = {"associate", "convicted", "reasonable_grounds", "suspect"}
WITHOUT_IT_NO_OBJECT = {"pattern", "name", "value", "relationship_type", "source_ref", "target_ref"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A demonstration that has ended."""

    folder: Path
    code: int
    out: str
    err: str

    def step(self, number: int) -> str:
        """What it showed in one step."""
        return re.split(r"\n── \d\. ", self.out)[number]

    def urls(self) -> dict[str, str]:
        """Where each party's node listened."""
        return dict(re.findall(r"serving (\w+) on (http://127\.0\.0\.1:\d+) ", self.out))


def demonstrate(folder: Path, *options: str | Path) -> Shown:
    """`python -m examples.demo --dir FOLDER …`, with its output in files, which nodes that go on running may hold."""
    folder.mkdir()
    command = [sys.executable, "-m", "examples.demo", "--dir", folder / "nodes", *options]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        path = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
        done = subprocess.run(
            command, stdout=out, stderr=err, cwd=ROOT, timeout=5 * PATIENCE, check=False, env=environment() | path
        )
    return Shown(
        folder=folder / "nodes",
        code=done.returncode,
        out=(folder / "out").read_text(encoding="utf-8"),
        err=without_warning((folder / "err").read_text(encoding="utf-8")),
    )


def without_warning(err: str) -> str:
    """Standard error without what a node says that is served with plain keys, as those of the demonstration are."""
    return "".join(line for line in err.splitlines(keepends=True) if "keys are NOT ENCRYPTED" not in line)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return demonstrate(tmp_path_factory.mktemp("demo") / "plain")


@pytest.fixture
def aurelia(shown: Shown) -> Path:
    return shown.folder / "aurelia"


@pytest.fixture
def borealia(shown: Shown) -> Path:
    return shown.folder / "borealia"


def find_running(shown: Shown) -> list[str]:
    """The processes that name a folder of the demonstration."""
    found = list[str]()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(command.read_bytes().decode(errors="replace").replace("\0", " "))
    return [command for command in found if str(shown.folder) in command]


def read_bodies(folder: Path) -> dict[str, bytes]:
    """The bytes of the newest version of each object held, by id."""
    return dict(rows(folder, "SELECT o.id, b.data FROM object o JOIN body b ON b.object = o.pk WHERE o.current = 1"))


def read_envelopes(folder: Path, agreement: str) -> dict[str, dict[str, Any]]:
    """The events on record of an agreement, by digest, in the order recorded."""
    found = rows(folder, "SELECT envelope FROM event WHERE agreement = ? ORDER BY position", agreement)
    return dict(read_payload(envelope) for (envelope,) in found)


def find_agreement(folder: Path, title: str) -> str:
    (found,) = (
        agreement
        for agreement, document in rows(folder, "SELECT agreement, document FROM terms")
        if json.loads(document)["title"].startswith(title)
    )
    return str(found)


def events_in_log(folder: Path, agreement: str) -> list[Entry | str]:
    """The log as far as it is about one agreement: a disclosure as it stands, an event as "party kind"."""
    return [
        entry if "answer" in entry.content else f"{entry.content['party']} {entry.content['kind']}"
        for entry in entries(folder)
        if entry.leaf["terms"] == agreement
    ]


# --- step by step -----------------------------------------------------------------------------------------------------


def test_it_ends_well_and_leaves_nothing_running(shown: Shown) -> None:
    assert (shown.code, shown.err) == (0, "")
    assert len(re.findall(r"\n── \d\. ", shown.out)) == 8
    assert set(shown.urls()) == set(PARTIES)
    assert find_running(shown) == []


def test_1_three_nodes_know_each_other_by_digests_of_their_own(shown: Shown) -> None:
    pinned = {}
    for party in PARTIES:
        found = rows(
            shown.folder / party, "SELECT p.id, m.envelope FROM party p JOIN manifest m ON m.digest = p.manifest"
        )
        pinned[party] = {name: read_payload(envelope)[0] for name, envelope in found}
        assert {read_payload(envelope)[1]["party"] for _, envelope in found} == set(PARTIES)
    assert pinned["aurelia"] == pinned["borealia"] == pinned["meridia"]
    assert len(set(pinned["aurelia"].values())) == 3
    for party in PARTIES:
        assert f"digest   {pinned['aurelia'][party]}" in shown.step(1)


def test_2_what_was_taken_in_is_there_byte_for_byte(aurelia: Path) -> None:
    held = {
        Given(name, version, digest(data))
        for name, version, data in rows(aurelia, "SELECT id, version, data FROM object, body WHERE object = pk")
    }
    given = set(read_objects(BUNDLE.read_bytes()))
    assert len(given) == 349
    assert given <= held
    assert rows(aurelia, "SELECT DISTINCT originator FROM object") == [("aurelia",)]


def test_3_nothing_moved_before_both_had_signed(aurelia: Path, borealia: Path) -> None:
    agreement = find_agreement(aurelia, "Exchange of letters")
    told = read_envelopes(aurelia, agreement)
    first = [(event["party"], event["kind"]) for event in told.values()][:4]
    assert first == [
        ("aurelia", "propose"),
        ("borealia", "clarify"),
        ("aurelia", "answer"),
        ("borealia", "accept"),
    ]
    question, answer = list(told.items())[1], list(told.values())[2]
    assert (question[1]["clause"], answer["re"]) == ("channels.main.regions", question[0])
    assert read_envelopes(borealia, agreement) == told
    happened = events_in_log(aurelia, agreement)
    assert happened.index("borealia accept") == 3
    assert happened[:4] == [f"{party} {kind}" for party, kind in first]
    assert happened[4:6] == ["aurelia confirm", "borealia confirm"]
    assert isinstance(happened[6], Entry)


def test_4_the_partner_holds_exactly_what_the_log_says(shown: Shown, aurelia: Path, borealia: Path) -> None:
    held = {
        Given(name, version, digest(data))
        for name, version, data in rows(
            borealia, "SELECT id, version, data FROM object JOIN body ON object = pk WHERE originator = 'aurelia'"
        )
    }
    assert held == disclosed(aurelia, "borealia")
    assert len(held) == len(read_bodies(borealia)) == rows(borealia, "SELECT COUNT(*) FROM object")[0][0]
    assert f"{len(held)} added, 0 known already, 0 bad" in shown.step(4)
    assert f"with a credential: {len(held)} objects" in " ".join(shown.step(4).split())


def test_4_what_was_redacted_lacks_just_that(aurelia: Path, borealia: Path) -> None:
    removed = {
        item["id"]: set(item["redacted"]) for entry in entries(aurelia) for item in entry.content.get("objects", [])
    }
    own, received = read_bodies(aurelia), read_bodies(borealia)
    assert sum(1 for properties in removed.values() if properties) >= 5
    for name, properties in removed.items():
        if not properties:
            assert received[name] == own[name]
            continue
        before, after = json.loads(own[name]), json.loads(received[name])
        assert properties <= before.keys()
        assert before.keys() - after.keys() in (properties, properties | {"granular_markings"})
        assert all(after[key] == before[key] for key in after.keys() - {"granular_markings"})
        assert not any(
            str(before[key]).encode() in received[name] for key in properties if isinstance(before[key], str)
        )


def test_4_what_the_partner_holds_is_what_the_terms_admit_and_nothing_else(aurelia: Path, borealia: Path) -> None:
    """The terms, applied once more by a few lines that know nothing of labels, clauses or SQL."""
    document = json.loads(
        rows(aurelia, "SELECT document FROM terms WHERE agreement = ?", find_agreement(aurelia, "Exch"))[0][0]
    )
    types = set(document["channels"][0]["types"])
    values = {name: json.loads(data) for name, data in read_bodies(aurelia).items()}
    admitted = {name for name, value in values.items() if value["type"] in types and is_admitted(value)}
    while lost := {name for name in admitted if set(find_references(values[name])) - {name} - admitted - TLP.keys()}:
        admitted -= lost
    received = {name: json.loads(data) for name, data in read_bodies(borealia).items()}
    assert received.keys() == admitted
    for value in received.values():
        said = value["extensions"][CLASSIFICATION_EXTENSION]
        assert ASHFALL in said["subjects"]
        assert {"IQ", "SY"} & set(said["regions"])
        assert {TLP[marking] for marking in value["object_marking_refs"]} <= UP_TO_AMBER
    refused = values.keys() - admitted
    assert any("object_marking_refs" not in values[name] for name in refused)
    assert any("red" in levels(values[name]) for name in refused)


def levels(value: dict[str, Any]) -> set[str]:
    """The TLP levels on an object as a whole; "unmarked" when there is none, "other" for what is not TLP."""
    refs = set(value.get("object_marking_refs", []))
    refs |= {
        mark["marking_ref"]
        for mark in value.get("granular_markings", [])
        if WITHOUT_IT_NO_OBJECT & {selector.split(".")[0] for selector in mark["selectors"]}
    }
    markings = {TLP.get(ref, "other") for ref in refs}
    return markings if markings - {"other"} else {"unmarked"}


def is_admitted(value: dict[str, Any]) -> bool:
    """Whether an object by itself is within the channel of examples/agreements/bilateral.toml, its types apart."""
    said = value.get("extensions", {}).get(CLASSIFICATION_EXTENSION, {})
    regions = {*said.get("regions", []), *([value["country"]] if "country" in value else [])}
    return (
        levels(value) <= UP_TO_AMBER
        and ASHFALL in said.get("subjects", [])
        and bool({"IQ", "SY"} & regions)
        and set(said.get("person_classes", [])) <= ADMITTED_CLASSES
        and not said.get("special_categories")
        and not said.get("handling")
    )


def find_references(value: object, name: str = "") -> Iterator[str]:
    """Every id that an object refers to."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from find_references(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from find_references(item, name)
    elif isinstance(value, str) and name.endswith(("_ref", "_refs")):
        yield value


def test_5_the_coalition_was_rejected_and_never_signed(shown: Shown, aurelia: Path, borealia: Path) -> None:
    coalition = find_agreement(borealia, "Coalition Dawn")
    told = [(event["party"], event["kind"]) for event in read_envelopes(borealia, coalition).values()]
    assert told == [("aurelia", "propose"), ("borealia", "reject")]
    assert "'coalition-dawn'" in shown.step(5)
    assert "(exit code 3)" in shown.step(5)
    assert not any(isinstance(item, Entry) for item in events_in_log(aurelia, coalition))
    assert comity(borealia, "agreement", "status", coalition, "--json").result["state"] == "rejected"


def test_6_the_third_party_got_one_answer_and_nothing_else(shown: Shown, aurelia: Path) -> None:
    answers = re.findall(r"asks for [a-z ]+: (HTTP/1\.1 .+ bytes)", shown.step(6))
    assert len(answers) == 9
    assert set(answers) == {answers[0]}
    assert " 404 " in answers[0]
    assert disclosed(aurelia, "meridia") == set()
    assert rows(shown.folder / "meridia", "SELECT COUNT(*) FROM object") == [(0,)]


def test_7_nothing_left_while_it_was_suspended(aurelia: Path, borealia: Path) -> None:
    agreement = find_agreement(aurelia, "Exchange of letters")
    happened = events_in_log(aurelia, agreement)
    place = happened.index("aurelia suspend")
    page, lifted, next_page = happened[place - 1], happened[place + 1], happened[place + 2]
    assert lifted == "aurelia resume"
    assert isinstance(page, Entry)
    assert isinstance(next_page, Entry)
    assert len(page.given) == len(next_page.given) == 50
    assert set(page.given).isdisjoint(next_page.given)
    told = [(event["party"], event["kind"]) for event in read_envelopes(borealia, agreement).values()]
    assert told[-2:] == [("aurelia", "suspend"), ("aurelia", "resume")]


def test_8_the_logs_verify_and_the_altered_copy_does_not(shown: Shown, aurelia: Path) -> None:
    for party in PARTIES:
        done = comity(shown.folder / party, "log", "verify", "--json")
        assert (done.code, done.result["size"]) == (0, len(entries(shown.folder / party)))
    true, altered = (
        rows(folder, "SELECT position, leaf FROM log_entry") for folder in (aurelia, shown.folder / "copy")
    )
    changed = [
        (position, leaf, other) for (position, leaf), (_, other) in zip(true, altered, strict=True) if leaf != other
    ]
    ((position, leaf, other),) = changed
    assert sum(a != b for a, b in zip(leaf, other, strict=True)) == 1
    done = comity(shown.folder / "copy", "log", "verify", "--json")
    assert (done.code, done.error["facts"]) == (7, {"entry": position})


# --- what a user can ask of it ----------------------------------------------------------------------------------------


def write_bundle(path: Path, objects: Iterable[dict[str, Any]]) -> Path:
    name = "bundle--5b2e5f2e-8f0e-4a52-9d0c-111111111111"
    path.write_text(json.dumps({"type": "bundle", "id": name, "objects": list(objects)}), encoding="utf-8")
    return path


def make_report(number: int, **more: object) -> dict[str, Any]:
    """A report of the user's own within the terms of the demonstration, but for its marking."""
    name = f"report--5b2e5f2e-8f0e-4a52-9d0c-{number:012}"
    said = {"extension_type": "property-extension", "subjects": [ASHFALL], "regions": ["IQ"]}
    return {
        "type": "report",
        "spec_version": "2.1",
        "id": name,
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "name": f"Of my own, {number}",
        "published": "2026-01-01T00:00:00Z",
        "object_refs": [name],
        "extensions": {CLASSIFICATION_EXTENSION: said},
        **more,
    }


@pytest.fixture
def stop() -> Iterator[Callable[[list[int]], None]]:
    """Ends nodes that the demonstration left running, by the ids that it printed."""
    left = list[int]()
    yield left.extend
    for pid in left:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not any(is_running(pid) for pid in left))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def test_keep_leaves_the_nodes_running_with_a_bundle_of_the_users(
    tmp_path: Path, stop: Callable[[list[int]], None]
) -> None:
    green = next(marking for marking, level in TLP.items() if level == "green")
    objects = [make_report(1, object_marking_refs=[green]), make_report(2), make_report(3, spec_version="2.0")]
    shown = demonstrate(tmp_path / "kept", "--keep", "--bundle", write_bundle(tmp_path / "own.json", objects))
    assert (shown.code, shown.err) == (0, "")
    pids = [int(text) for text in shown.out.rpartition("Stop them with: kill ")[2].split()]
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in pids]
    assert [
        str(shown.folder / party).encode() in command for party, command in zip(PARTIES, commands, strict=True)
    ] == [True] * 3
    assert len(find_running(shown)) == 3
    stop(pids)
    tail = shown.out.rpartition("The nodes go on running:")[2]
    for party, url in shown.urls().items():
        assert f"{url}/taxii2/" in tail
        assert get(f"{url}/taxii2/", None).status_code == 401
        assert comity(shown.folder / party, "agreement", "list", "--json").code == 0
    mine = {item.id for item in read_objects((tmp_path / "own.json").read_bytes())}
    good, unmarked, _ = sorted(mine)
    assert mine & read_bodies(shown.folder / "aurelia").keys() == {good, unmarked}
    assert mine & read_bodies(shown.folder / "borealia").keys() == {good}
    assert "2 added, 0 known already, 1 bad" in shown.step(2)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{"type": "bundle", "objects": [{"type":', "line 1:"),
        ('{"type": "bundle", "objects": [{"id": "x"}]}', "/objects/0"),
    ],
    ids=["cut short", "of nothing good"],
)
def test_a_broken_bundle_ends_it_with_the_place_and_leaves_nothing_running(
    content: str, place: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.json").write_text(content, encoding="utf-8")
    shown = demonstrate(tmp_path / "broken", "--bundle", tmp_path / "broken.json")
    assert shown.code == 1
    assert shown.err.startswith("error: nothing in ")
    assert shown.err.count("\n") == 1
    assert "broken.json" in shown.err
    assert place in shown.err
    assert find_running(shown) == []


def test_a_bundle_that_is_not_there_is_said_before_anything_is_done(tmp_path: Path) -> None:
    shown = demonstrate(tmp_path / "absent", "--bundle", tmp_path / "absent.json")
    assert (shown.code, shown.out) == (2, "")
    assert "absent.json is not a file" in shown.err
    assert not shown.folder.exists()
