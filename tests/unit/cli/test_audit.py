# SPDX-License-Identifier: Apache-2.0
"""`comity audit`: the same result as text, as JSON and as a page to print; hostile titles are text in all of them."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.cli import run
from comity.ids import parse_instant
from comity.operations.reply import Exit
from comity.store import agreements
from tests.unit.node.test_audit import Forgery
from tests.worlds import BASIS, World, make_object

TITLE = "Exchange <script>alert(1)</script> & 'more'"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.found("aurelia", "borealia", at=parse_instant("2026-06-01T00:00:00Z"))
    made.sign_all(made.terms(title=TITLE))
    made.add("aurelia", make_object("a"))
    made.now = parse_instant("2027-02-03T00:00:00Z")
    made.poll("borealia")
    yield made
    made.close()


def folder(world: World) -> str:
    return str(world.nodes["aurelia"].folder)


def test_the_result_is_the_same_in_all_forms(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--node", folder(world), "audit"]) == Exit.DONE
    text = capsys.readouterr()
    assert text.out.startswith("clean: everything fits")
    assert f"unsc_resolution {BASIS}  1 answer  1 object" in text.out
    assert world.manifests["borealia"].digest in text.out
    assert text.err == ""
    page = world.folder / "report.html"
    assert run(["--node", folder(world), "audit", str(page), "--json", "--since", "2027", "--until", "2027-03"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["clean"], result["decided"], result["log"]["disclosures"]) == (True, 1, 1)
    assert [(row["month"], row["objects"], row["bases"]) for row in result["given"]] == [
        ("2027-02", 1, [f"unsc_resolution {BASIS}"])
    ]
    assert [(item["party"], item["pin"], item["version"], item["manifest"]) for item in result["trusted"]] == [
        (name, 0, 1, world.manifests[name].digest) for name in ("aurelia", "borealia")
    ]
    assert result["unverified_cosignatures"] == 0
    assert result["file"] == str(page)
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "Exchange &lt;script&gt;" in html
    assert world.manifests["borealia"].digest in html
    assert "default-src 'none'" in html
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_cosignatures_that_nobody_can_verify_are_counted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator no longer names that witness: nobody here has its key."""
    with world.nodes["aurelia"].store.write() as transaction:
        transaction.run("INSERT INTO cosignature SELECT log, size, 'press', 1, x'00' FROM log_head WHERE size = 1")
    assert run(["--node", folder(world), "audit"]) == Exit.DONE
    assert "2 cosignatures by witnesses whose keys are not known here, not verified" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bounds", "answers"),
    [
        (["--since", "2027-02-03"], 1),
        (["--since", "2027-02-04"], 0),
        (["--until", "2027-02-03"], 0),
        (["--until", "2027-02-03T00:00:00.000001Z"], 1),
        (["--since", "2026", "--until", "2027"], 0),
    ],
)
def test_times_bound_the_figures_alone(
    world: World, bounds: list[str], answers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--node", folder(world), "audit", "--json", *bounds]) == 0
    result = json.loads(capsys.readouterr().out)
    assert sum(row["answers"] for row in result["given"]) == answers
    assert result["decided"] == 1


def test_what_does_not_fit_is_named_and_written_all_the_same(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    node = world.nodes["aurelia"]
    with node.store.read() as transaction:
        (agreement,) = agreements.list_agreements(transaction)
    Forgery(name="never").record(node, agreement)
    page = world.folder / "report.html"
    assert run(["--node", folder(world), "audit", str(page)]) == Exit.VERIFICATION_FAILED
    shown = capsys.readouterr()
    assert "NOT CLEAN: 1 finding" in shown.err
    assert "neither held nor deleted" in shown.err
    assert shown.out.startswith("not clean: 1 finding")
    assert "NOT CLEAN: 1" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["20", "2027-13", "yesterday", "2027-02-30", "02027"])
def test_what_is_no_time_is_said(world: World, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--node", folder(world), "audit", "--since", text]) == Exit.USAGE
    assert text in capsys.readouterr().err


def test_a_manifest_that_is_not_the_one_known_ends_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--node", folder(world), "audit", "--digest", "ab" * 32]) == Exit.VERIFICATION_FAILED
    assert "not the one pinned" in capsys.readouterr().err
