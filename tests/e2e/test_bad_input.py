# SPDX-License-Identifier: Apache-2.0
"""Bad input at the command line: one clear answer with a place and a remedy, the documented code, and nothing changed.

Each is given to a command that is alone with the store, and to one that goes through the serving process.
"""

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comity.agreement.drafting import convert_terms
from comity.node.journal import verify_folder
from comity.node.parties import export_manifest
from tests.e2e.conftest import COMITY, Counts, Ended, comity, count, digest, environment, rows, serving
from tests.worlds import World, make_object, object_id, tlp_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

BUNDLE = "bundle--5b2e5f2e-8f0e-4a52-9d0c-111111111111"
LEVELS = 100_000
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """A node, and what its tests name: an agreement, two agreements that begin alike, and files of a third party."""

    folder: Path
    agreement: str
    alike: str
    terms: bytes
    manifest: bytes
    digest: str

    def do(self, *arguments: str | Path, given: bytes = b"") -> Ended:
        done = comity(self.folder, *arguments, given=given)
        assert "Traceback" not in done.out + done.err
        assert "bug" not in done.err
        return done

    @contextmanager
    def unchanged(self, **grown: int) -> Iterator[Counts]:
        """The store holds as much afterwards, but for what is said to have grown, and its log verifies."""
        before = count(self.folder)
        yield before
        after = count(self.folder)
        for name in Counts.__dataclass_fields__:
            assert getattr(after, name) == getattr(before, name) + grown.get(name, 0), name
        assert verify_folder(self.folder).size == before.entries


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Place:
    world = World(tmp_path_factory.mktemp("bad"))
    world.found("aurelia", "borealia")
    world.add("aurelia", make_object("a"), make_object("b"))
    agreement = world.sign_all(world.terms())
    drafts = find_alike(world)
    for toml in drafts:
        world.propose("aurelia", toml)
    terms, folder = world.terms(title="Another"), world.nodes["aurelia"].folder
    world.close()
    strangers = World(tmp_path_factory.mktemp("strangers"))
    strangers.found("meridia")
    manifest = export_manifest(strangers.nodes["meridia"])
    strangers.close()
    pinned = strangers.manifests["meridia"].digest
    return Place(folder, agreement, digest(convert_terms(drafts[0]))[:4], terms, manifest, pinned)


def find_alike(world: World) -> tuple[bytes, bytes]:
    """Two drafts whose ids begin with the same four digits."""
    seen: dict[str, bytes] = {}
    number = 0
    while True:
        toml = world.terms(title=f"Draft {number}")
        begins = digest(convert_terms(toml))[:4]
        if begins in seen:
            return seen[begins], toml
        seen[begins] = toml
        number += 1


@pytest.fixture(scope="module", params=["alone", "served"])
def place(original: Place, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Place]:
    """The node with nobody serving it, and served."""
    folder = tmp_path_factory.mktemp(str(request.param)) / "aurelia"
    shutil.copytree(original.folder, folder)
    here = Place(folder, original.agreement, original.alike, original.terms, original.manifest, original.digest)
    if request.param == "alone":
        yield here
    else:
        with serving(folder) as server:
            yield here
            assert server.faults.read_text(encoding="utf-8") == ""
    assert here.do("log", "verify", "--json").code == 0


# --- objects ----------------------------------------------------------------------------------------------------------


def bundle(*objects: str | dict[str, Any]) -> bytes:
    """A bundle of objects, some given as their text."""
    listed = ",".join(item if isinstance(item, str) else json.dumps(item) for item in objects)
    return f'{{"type":"bundle","id":"{BUNDLE}","objects":[{listed}]}}'.encode()


def bad(**more: object) -> dict[str, Any]:
    """An object of its own that is wrong in one way."""
    return make_object("bad") | more


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in bad().items() if name not in names}


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + closing * levels


IN_AN_OBJECT: dict[str, tuple[str | dict[str, Any], str, str]] = {
    "a key twice": (json.dumps(bad())[:-1] + ', "name": "again"}', "/objects/1/name", "already in this object"),
    "not strict JSON": (json.dumps(bad())[:-1] + ', "x": NaN}', "/objects/1/x", "not JSON"),
    "a later spec_version": (bad(spec_version="2.2"), "/objects/1/spec_version", "convert the object to STIX 2.1"),
    "STIX 2.0": (without("spec_version"), "/objects/1/spec_version", "convert the object to STIX 2.1"),
    "no type": (without("type"), "/objects/1/type", "every STIX object names its type"),
    "no id": (without("id"), "/objects/1/id", "give type--uuid"),
    "an id of another type": (bad(id=object_id("tool", "x")), "/objects/1/id", "they must be equal"),
    "a time that is none": (bad(modified="yesterday"), "/objects/1/modified", "give a time in UTC"),
    "markings that are no list": (bad(object_marking_refs="red"), "/objects/1/object_marking_refs", "give a list"),
    "a marking that is no id": (bad(object_marking_refs=["red"]), "/objects/1/object_marking_refs/0", "give marking-"),
    "a granular marking on nothing": (
        bad(granular_markings=[{"marking_ref": tlp_id("red"), "selectors": []}]),
        "/objects/1/granular_markings/0/selectors",
        "name what the marking holds on",
    ),
    "a region that is none": (make_object("bad", regions=["Iraq"]), "/regions/0", "two-letter|alpha-2"),
    "deep": (f'{{"type":"report","x":{nested(LEVELS)}}}', "/objects/1", "at most|flatten them"),
    "less deep": (f'{{"type":"report","x":{nested(20_000)}}}', "/objects/1", "flatten them"),
    "another thing": ("17", "/objects/1", "a STIX object is one"),
}


@pytest.mark.parametrize("case", IN_AN_OBJECT)
def test_one_bad_object_is_listed_and_the_good_ones_are_kept(place: Place, case: str) -> None:
    wrong, where, remedy = IN_AN_OBJECT[case]
    first, last = make_object(f"first, {case}"), make_object(f"last, {case}")
    with place.unchanged(objects=2, bodies=2):
        done = place.do("object", "add", "-", "--json", given=bundle(first, wrong, last))
        again = place.do("object", "add", "-", given=bundle(first, wrong, last))
    assert (done.code, done.result["added"], done.result["bad"]) == (1, 2, 1)
    (item,) = done.result["files"][0]["bad"]
    assert item["index"] == 1
    assert where in item["where"]
    assert any(words in item["message"] for words in remedy.split("|"))
    held = {name for (name,) in rows(place.folder, "SELECT id FROM object")}
    assert {first["id"], last["id"]} <= held
    assert bad()["id"] not in held
    assert (again.code, again.err) == (1, "")
    assert "0 added, 2 known already, 1 bad" in again.out
    assert "object 1" in again.out
    assert "Correct the bad ones and add the file again" in again.out


WHOLE: dict[str, tuple[bytes, str, str]] = {
    "cut short": (bundle(make_object("whole"))[:-40], "1:", "not JSON"),
    "cut inside the list": (bundle(make_object("whole"))[:-2], "1:", "not JSON"),
    "a key twice": (b'{"type":"bundle","objects":[],"type":"bundle"}', "/type", "already in this object"),
    "the list twice": (b'{"objects":[],"objects":[]}', "/objects", "already in this object"),
    "nothing": (b"", "--format", "no format that is known here"),
    "no JSON": (b"id,type\n1,2\n", "--format", "could be csv or text"),
    "a byte order mark": (b"\xef\xbb\xbf" + bundle(make_object("whole")), "1:1", "send UTF-8 without it"),
    "not UTF-8": (b'{"type":"\xe9"}', "1:10", "not UTF-8"),
    "more after it": (bundle(make_object("whole")) + b"{}", "1:", "more follows"),
    "no objects": (bundle(), "/objects", "send a STIX 2.1 bundle"),
    "objects that are no list": (b'{"type":"bundle","objects":{}}', "/objects", "not an array"),
    "deep": (b"[" * LEVELS + b"]" * LEVELS, "--format", "no format that is known here"),
    "deep and cut short": (b'{"objects":' + b"[" * LEVELS, "1:13", "never closed"),
    "deep in an object alone": (f'{{"type":"report","x":{nested(LEVELS)}}}'.encode(), "", "flatten them"),
    "deep in objects": (('{"x":' * LEVELS + "1" + "}" * LEVELS).encode(), "--format", "no format that is known here"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_file_that_is_bad_as_a_whole_is_said_to_be_and_nothing_of_it_is_kept(place: Place, case: str) -> None:
    data, where, problem = WHOLE[case]
    with place.unchanged():
        done = place.do("object", "add", "-", "--json", given=data)
        told = place.do("object", "add", "-", given=data)
    assert (done.code, done.result["added"], done.result["known"], done.result["bad"]) == (1, 0, 0, 1)
    (item,) = done.result["files"][0]["bad"]
    assert (item["index"], item["id"]) == (None, None)
    assert where in item["where"]
    assert problem in item["message"]
    assert (told.code, told.err) == (1, "")
    assert item["message"] in told.out
    assert "Correct what is bad and add the file again" in told.out


def test_the_list_in_a_list_is_one_bad_object(place: Place) -> None:
    with place.unchanged():
        done = place.do("object", "add", "-", "--json", given=b'{"objects":' + nested(20_000).encode() + b"}")
    (item,) = done.result["files"][0]["bad"]
    assert (done.code, item["where"]) == (1, "/objects/0")
    assert "flatten them" in item["message"]


def test_a_marking_that_nobody_knows_is_kept_with_its_object_and_lets_it_go_nowhere(place: Place) -> None:
    name = "marking-definition--5b2e5f2e-8f0e-4a52-9d0c-222222222222"
    marked = make_object("marked", more={"object_marking_refs": [tlp_id("green"), name]})
    told = place.do("object", "add", "-", "--json", given=bundle(marked)).result
    assert (told["added"] + told["known"], told["bad"]) == (1, 0)
    told = place.do("explain", str(marked["id"]), "--to", "borealia", "--json").result
    assert told["decision"] == "withhold"
    (reading,) = (item for item in told["readings"] if item["agreement"] == place.agreement)
    assert (reading["decision"], reading["clause"], reading["gate"]) == ("withhold", "markings", None)
    plain = place.do("explain", object_id("report", "a"), "--to", "borealia", "--json").result
    assert plain["decision"] == "release"


@pytest.mark.parametrize("as_file", [True, False], ids=["file", "standard input"])
def test_a_hundred_megabytes_of_nothing_cost_no_memory(place: Place, tmp_path: Path, *, as_file: bool) -> None:
    """A file is read in pieces, as far as it is one; what comes on standard input has a bound."""
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.write(b'{"type":"bundle","objects":[')
        file.truncate(100 * MEBIBYTE)
    with place.unchanged():
        done, peak, seconds = run_measured(place.folder, path, as_file=as_file)
    assert seconds < 5
    if as_file:
        (item,) = done.result["files"][0]["bad"]
        assert (done.code, item["where"]) == (1, "/objects/0")
        assert "not JSON" in item["message"]
    else:
        assert (done.code, done.error["code"]) == (2, "malformed-request")
        assert f"- is over {64 * MEBIBYTE} bytes; split it into several" in done.error["message"]
    assert peak < 200 * MEBIBYTE


MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
with open(sys.argv[1], "w") as peak:
    peak.write(f"{usage.ru_maxrss} {usage.ru_utime + usage.ru_stime}")
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A process is said to have had as much memory as the one that made it: so it is made by one that has little."""


def run_measured(folder: Path, path: Path, *, as_file: bool) -> tuple[Ended, int, float]:
    """`object add` with the most memory it ever had, in bytes, and the seconds of processor time that it took."""
    command = [*COMITY, "--node", str(folder), "object", "add", str(path) if as_file else "-", "--json"]
    peak = path.with_name("peak")
    with path.open("rb") as given:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, peak, *command],
            stdin=given,
            capture_output=True,
            check=False,
            env=environment(),
        )
    ended = Ended(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())
    most, seconds = peak.read_text(encoding="ascii").split()
    return ended, int(most) * 1024, float(seconds)


# --- agreements and parties -------------------------------------------------------------------------------------------

Change = Callable[[Place], bytes]
Arguments = Callable[[Place], list[str]]


def replaced(old: str, new: str) -> Change:
    def change(place: Place) -> bytes:
        text = place.terms.decode()
        assert old in text
        return text.replace(old, new, 1).encode()

    return change


def line_of(place: Place, text: str) -> str:
    """The line in the terms that begins with `text`."""
    lines = place.terms.decode().splitlines()
    return f"line {next(number for number, line in enumerate(lines, 1) if line.startswith(text))}"


TERMS: dict[str, tuple[Change, str, str]] = {
    "not TOML": (replaced('form = "', 'form = = "'), "form =", "not TOML"),
    "a text never closed": (replaced('form = "exchange_of_letters"', 'form = "exchange'), "form =", "not TOML"),
    "a key twice": (replaced("version = 1", "version = 1\nversion = 1"), "form =", "not TOML"),
    "an unknown field": (replaced("version = 1", "version = 1\nsecret = true"), "form =", "secret"),
    "an unknown clause of a channel": (
        replaced('onward = "none"', 'onward = "none"\nphase = "new"'),
        "onward",
        "phase",
    ),
    "an unknown word": (replaced('"exchange_of_letters"', '"handshake"'), "form =", "exchange_of_letters"),
    "an unknown purpose": (replaced('["exchange"]', '["profit"]'), "purposes", "strategic_analysis"),
    "no such time": (replaced("2036-01-01", "2036-13-01"), "until", ""),
    "not UTF-8": (lambda place: place.terms.replace(b"Another", b"\xe9"), "title", "save the file as UTF-8"),
}


@pytest.mark.parametrize("case", TERMS)
def test_terms_that_are_wrong_are_refused_with_the_line(place: Place, case: str) -> None:
    change, line, words = TERMS[case]
    with place.unchanged():
        done = place.do("agreement", "propose", "-", "--json", given=change(place))
        told = place.do("agreement", "propose", "-", given=change(place))
    assert (done.code, done.error["code"]) == (1, "malformed-terms")
    named = done.error["message"] + done.error.get("where", "")
    number = int(line_of(place, line).split()[1])
    assert f"line {number}" in named or f"line {number + 1}" in named
    assert words in named
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1


def flipped(envelope: bytes, member: str, before: bytes = b"") -> bytes:
    """The signed document with one bit changed in what one of its members says, at the first `before`."""
    document = json.loads(envelope)
    owner = document["signatures"][0] if member == "sig" else document
    data = bytearray(base64.b64decode(owner[member]))
    data[data.index(before)] ^= 1
    owner[member] = base64.b64encode(data).decode()
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def signed_type(envelope: bytes) -> bytes:
    document = json.loads(envelope)
    document["payloadType"] += "x"
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


REFUSED: dict[str, tuple[Arguments, Change, int, str, str]] = {
    # name: (arguments, standard input, exit code, error code, words of the message)
    "a manifest with a byte of its text changed": (
        lambda place: ["party", "add", "-", "--digest", place.digest],
        lambda place: flipped(place.manifest, "payload", b"Meridia"),
        7,
        "digest-mismatch",
        "ask the party for its own",
    ),
    "a manifest with a byte of its signature changed": (
        lambda place: ["party", "add", "-", "--digest", place.digest],
        lambda place: flipped(place.manifest, "sig"),
        7,
        "bad-signature",
        "",
    ),
    "a manifest that says it is something else": (
        lambda place: ["party", "add", "-", "--digest", place.digest],
        lambda place: signed_type(place.manifest),
        7,
        "bad-signature",
        "",
    ),
    "a manifest cut short": (
        lambda place: ["party", "add", "-", "--digest", place.digest],
        lambda place: place.manifest[:-9],
        1,
        "malformed-message",
        "1:",
    ),
    "a manifest with another digest": (
        lambda _: ["party", "add", "-", "--digest", "0" * 64],
        lambda place: place.manifest,
        7,
        "digest-mismatch",
        "ask the party for its own",
    ),
    "a manifest with half a digest": (
        lambda place: ["party", "add", "-", "--digest", place.digest[:32]],
        lambda place: place.manifest,
        2,
        "malformed-request",
        "64",
    ),
    "a manifest of somebody new without a digest": (
        lambda _: ["party", "add", "-"],
        lambda place: place.manifest,
        2,
        "malformed-request",
        "--digest",
    ),
    "a party that nobody knows, asked for": (
        lambda _: ["pull", "meridia"],
        lambda _: b"",
        5,
        "not-found",
        "party add",
    ),
    "a party that nobody knows, given a credential": (
        lambda _: ["credential", "create", "meridia"],
        lambda _: b"",
        5,
        "not-found",
        "party add",
    ),
    "a party that nobody knows, explained to": (
        lambda _: ["explain", object_id("report", "a"), "--to", "meridia"],
        lambda _: b"",
        5,
        "not-found",
        "party add",
    ),
    "a party in the terms that nobody knows": (
        lambda _: ["agreement", "propose", "-"],
        lambda place: place.terms.replace(b"borealia", b"meridia"),
        5,
        "not-found",
        "party add",
    ),
    "a manifest in the terms that is not the pinned one": (
        lambda _: ["agreement", "propose", "-"],
        lambda place: re.sub(rb'(id = "borealia"\nmanifest = ")[0-9a-f]{64}', rb"\g<1>" + b"0" * 64, place.terms),
        7,
        "verification-failed",
        "compare digests",
    ),
    "a clause that there is not": (
        lambda place: ["agreement", "clarify", place.agreement, "--clause", "channels.main.colour", "--text", "?"],
        lambda _: b"",
        1,
        "malformed-message",
        "channels.main.regions",
    ),
    "an agreement by a beginning that two have": (
        lambda place: ["agreement", "suspend", place.alike],
        lambda _: b"",
        2,
        "malformed-request",
        "give more characters",
    ),
    "an agreement by too short a beginning": (
        lambda place: ["agreement", "suspend", place.agreement[:3]],
        lambda _: b"",
        2,
        "malformed-request",
        "at least 4",
    ),
    "an object by a beginning that several have": (
        lambda _: ["object", "show", "report--"],
        lambda _: b"",
        2,
        "malformed-request",
        "report--",
    ),
    "an object that there is not": (
        lambda _: ["object", "show", "tool--"],
        lambda _: b"",
        5,
        "not-found",
        "",
    ),
    "a log entry that there is not": (
        lambda _: ["log", "show", "4711"],
        lambda _: b"",
        5,
        "not-found",
        "counted from 0",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_in_one_sentence_with_the_remedy(place: Place, case: str) -> None:
    arguments, given, code, error, words = REFUSED[case]
    with place.unchanged():
        done = place.do(*arguments(place), "--json", given=given(place))
        told = place.do(*arguments(place), given=given(place))
    assert (done.code, done.error["code"]) == (code, error)
    assert words in done.error["message"]
    assert (told.code, told.out) == (code, "")
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1
    assert done.error["message"] in told.err


@pytest.mark.parametrize("case", REFUSED)
def test_the_table_says_the_codes_of_the_manual(case: str) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    assert f"\n| {REFUSED[case][2]} | " in manual


def test_a_node_cannot_be_made_where_nothing_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (Path("/proc/nowhere/node"), tmp_path / "file" / "node"):
        done = comity(tmp_path, "init", folder, "--party", "aurelia", "--name", "Aurelia", "--json")
        assert (done.code, done.error["code"]) == (1, "config")
        assert str(folder) in done.error["message"]
        assert "permissions" in done.error["message"]
