# SPDX-License-Identifier: Apache-2.0
"""Files on the command line: what is said of each, what of it is documented, and what comes back out."""

import json
import stat
from pathlib import Path

import pytest

from comity.conversion import events as converting
from comity.node import export as exporting
from comity.stix.markings import TLP2_RED
from tests.unit.cli.conftest import Party
from tests.unit.cli.test_commands import documented
from tests.worlds import make_object

LIST = """<CONSOLIDATED_LIST dateGenerated="2026-11-01"><INDIVIDUALS>
<INDIVIDUAL><FIRST_NAME>Ondrej</FIRST_NAME><REFERENCE_NUMBER>QDi.901</REFERENCE_NUMBER></INDIVIDUAL>
<INDIVIDUAL><DATAID>7</DATAID></INDIVIDUAL></INDIVIDUALS></CONSOLIDATED_LIST>"""
MAPPING = """
format = "comity-mapping/1"
source = "watch"
marking = { column = "TLP" }
[[objects]]
type = "identity"
[objects.properties]
name = { column = "Name" }
"""


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "list.xml"
    path.write_text(LIST)
    return path


def test_a_list_is_taken_in_and_found_again(aurelia: Party, listed: Path) -> None:
    done = aurelia.do("object", "add", listed, "--tlp", "amber")
    assert done.code == 1
    assert "1 added, 0 known already, 1 bad" in done.out
    assert "list.xml at INDIVIDUAL 7: it has no REFERENCE_NUMBER" in done.out
    files = aurelia.ask("object", "files")
    assert files.keys() == documented("object files")
    (file,) = files["files"]
    assert (file["name"], file["format"], file["added"], file["bad"]) == ("list.xml", "un-list", 1, 1)
    one = aurelia.ask("object", "file", "1")
    assert one.keys() == documented("object file NUMBER")
    assert [item["place"] for item in one["bad_records"]] == ["INDIVIDUAL 7"]
    shown = aurelia.ask("object", "show", "identity--")
    assert (shown["files"][0]["place"], shown["files"][0]["facts"]["list_version"]) == (
        "INDIVIDUAL QDi.901",
        "2026-11-01",
    )
    assert shown["label"]["tlp"] == "amber"
    words = aurelia.do("object", "show", "identity--").out
    assert "said by file 1 list.xml" in words
    assert "list version 2026-11-01" in words
    assert "un-list" in aurelia.do("object", "files").out
    assert "INDIVIDUAL 7: it has no" in aurelia.do("object", "file", "1").out


def test_a_table_needs_its_mapping(aurelia: Party, tmp_path: Path) -> None:
    table, mapping = tmp_path / "watch.csv", tmp_path / "watch.toml"
    table.write_text("Name,TLP\nOndrej,RED\nJarmila,Desk only\n")
    mapping.write_text(MAPPING)
    refused = aurelia.do("object", "add", table)
    assert (refused.code, "--mapping FILE" in refused.err) == (2, True)
    done = aurelia.ask("object", "add", table, "--mapping", mapping)
    assert (done["added"], done["files"][0]["notes"][0]["place"]) == (3, "row 3")


def test_what_cannot_be_done_with_one_of_several_files_names_it(aurelia: Party, tmp_path: Path, listed: Path) -> None:
    article, last = tmp_path / "article.html", tmp_path / "last.json"
    article.write_text("<html><body>Rain.</body></html>")
    last.write_text(json.dumps(make_object("last")))
    done = aurelia.do("object", "add", listed, article, last)
    assert (done.code, f"{article}: html is how articles come" in done.err) == (2, True)
    error = json.loads(aurelia.do("object", "add", listed, article, last, "--json").err)["error"]
    assert error["facts"] == {"file": str(article), "files_before": 1}
    assert error["message"].startswith(f"{article}: html is how articles come")
    assert [file["name"] for file in aurelia.ask("object", "files")["files"]] == ["list.xml"]


def test_a_doubt_is_said_and_the_other_files_are_taken_in(aurelia: Party, tmp_path: Path, listed: Path) -> None:
    doubtful = tmp_path / "doubtful"
    doubtful.write_text("Name,TLP\nOndrej,RED\n")
    done = aurelia.do("object", "add", doubtful, listed, "--json")
    assert (done.code, done.result["added"], done.result["bad"]) == (1, 1, 2)
    (bad,) = done.result["files"][0]["bad"]
    assert (bad["where"], "csv or text" in bad["message"]) == ("--format", True)


def test_own_objects_are_written_out_for_their_owner_alone(aurelia: Party, tmp_path: Path) -> None:
    bundle, out = tmp_path / "in.json", tmp_path / "out.json"
    made = [make_object(name, kind="identity") for name in "ab"]
    bundle.write_text(json.dumps({"type": "bundle", "id": "bundle--x", "objects": made}))
    empty = aurelia.do("object", "export", out)
    assert (empty.code, out.exists()) == (0, False)
    aurelia.ask("object", "add", bundle)
    done = aurelia.ask("object", "export", out)
    assert done.keys() == documented("object export")
    assert json.loads(out.read_text())["objects"] == made
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = aurelia.ask("object", "add", out)
    assert (again["added"], again["known"], again["bad"]) == (0, 2, 0)


def test_own_objects_are_written_out_as_misp_events_and_what_is_lost_is_told(aurelia: Party, tmp_path: Path) -> None:
    bundle, out = tmp_path / "in.json", tmp_path / "out.json"
    made = [make_object(name, kind="identity") for name in "ab"]
    made[1]["object_marking_refs"] = [TLP2_RED]
    bundle.write_text(json.dumps({"type": "bundle", "id": "bundle--x", "objects": made}))
    empty = aurelia.do("object", "export", out, "--format", "misp")
    assert (empty.code, out.exists()) == (0, False)
    aurelia.ask("object", "add", bundle)
    done = aurelia.do("object", "export", out, "--format", "misp", "--json")
    assert done.result.keys() == documented("object export") | {"events", "lost"}
    assert (done.result["events"], done.result["objects"]) == (1, 2)
    (event,) = [one["Event"] for one in json.loads(out.read_text())["response"]]
    assert {one["uuid"] for one in event["Object"]} == {str(one["id"]).partition("--")[2] for one in made}
    assert ({"name": "tlp:red"} in event["Tag"], event["distribution"]) == (True, "0")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert done.code == (1 if done.result["lost"] else 0)
    sighting = make_object("c", kind="sighting", more={"sighting_of_ref": made[0]["id"]})
    bundle.write_text(json.dumps({"type": "bundle", "id": "bundle--y", "objects": [sighting]}))
    aurelia.ask("object", "add", bundle)
    told = aurelia.do("object", "export", out, "--format", "misp")
    assert (told.code, f"not carried over: {sighting['id']}" in told.out) == (1, True)


def test_what_is_too_much_for_misp_at_once_is_refused(
    aurelia: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, out = tmp_path / "in.json", tmp_path / "out.json"
    made = [make_object(name, kind="identity") for name in "abc"]
    bundle.write_text(json.dumps({"type": "bundle", "id": "bundle--x", "objects": made}))
    aurelia.ask("object", "add", bundle)
    monkeypatch.setattr(exporting, "_MOST_OBJECTS", 2)
    refused = aurelia.do("object", "export", out, "--format", "misp")
    assert (refused.code, "--from NUMBER" in refused.err, out.exists()) == (2, True, False)


def test_without_misp_stix_nothing_is_written(aurelia: Party, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, out = tmp_path / "in.json", tmp_path / "out.json"
    bundle.write_text(json.dumps({"type": "bundle", "id": "bundle--x", "objects": [make_object("a", kind="identity")]}))
    aurelia.ask("object", "add", bundle)
    monkeypatch.setattr(converting, "find_spec", lambda _: None)
    refused = aurelia.do("object", "export", out, "--format", "misp")
    assert (refused.code, "comity[misp]" in refused.err, out.exists()) == (10, True, False)


def test_an_export_that_fails_leaves_what_was_there(aurelia: Party, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("before")
    assert aurelia.do("object", "export", out, "--from", "9").code == 5
    assert aurelia.do("object", "export", tmp_path / "no" / "out.json").code == 2
    assert [out.read_text(), sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("."))] == [
        "before",
        [],
    ]
