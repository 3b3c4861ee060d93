# SPDX-License-Identifier: Apache-2.0
"""What people alone can say of a partner, as they type it: pinned anew, shown no more, purged of what it was given."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from comity.agreement.people import Role
from comity.ids import format_instant
from comity.node.clock import read_clock
from tests.e2e.conftest import COMITY, PATIENCE, Ended, Serving, comity, comity_as, environment, get, rows
from tests.worlds import World, badge_path, make_object, object_id

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Aurelia gives to borealia."""
    world = World(tmp_path)
    world.found("aurelia", "borealia")
    world.sign_all(world.terms())
    world.add("aurelia", make_object("first"))
    world.close()
    return tmp_path


def introduce(folder: Path, server: Serving) -> None:
    file = folder / f"{server.url.rpartition(':')[2]}.json"
    assert comity(server.folder, "party", "export", file).code == 0
    done = comity(folder / "borealia", "party", "add", file, "--url", server.url)
    assert done.code == 0, done.err


def as_analyst(folder: Path, *arguments: str | Path) -> Ended:
    badge = badge_path(folder, Role.ANALYST)
    if not badge.exists():
        added = comity(folder, "person", "add", "an-analyst", "--name", "An", "--role", "analyst", "--badge", badge)
        assert added.code == 0, added.err
    return comity_as(Role.ANALYST, folder, *arguments)


def test_a_partner_that_lost_its_keys_is_pinned_anew(folder: Path, serve: Callable[..., Serving]) -> None:
    borealia, fresh, file = folder / "borealia", folder / "fresh", folder / "fresh.json"
    founded = subprocess.run(
        [*COMITY, "init", fresh, "--party", "aurelia", "--name", "Aurelia", "--json"],
        capture_output=True,
        timeout=PATIENCE,
        check=True,
        env=environment(),
    )
    assert b"aurelia" in founded.stdout
    digest = str(comity(fresh, "party", "export", file, "--json").result["digest"])
    served = serve(borealia)  # by the process that serves, as commands go
    made = comity(borealia, "credential", "create", "aurelia", "--json")
    secret = str(made.result["credential"])
    assert get(f"{served.url}/taxii2/", secret).status_code == 200
    order = ("party", "repin", file, "--digest", digest, "--reason", "all keys lost, note 12")

    refused = comity(borealia, "party", "add", file, "--digest", digest, "--json")
    assert refused.code == 7
    assert "party repin" in refused.error["message"]
    refused = as_analyst(borealia, *order)
    assert (refused.code, refused.out.splitlines()[-1]) == (3, "Nothing was done.")
    refused = as_analyst(borealia, "party", "rotate")
    assert (refused.code, refused.out.splitlines()[-1]) == (3, "Nothing was done.")
    waits = comity_as(Role.LIAISON, borealia, *order)
    assert waits.code == 9, waits
    assert "legal" in waits.out
    assert get(f"{served.url}/taxii2/", secret).status_code == 200
    done = comity_as(Role.LEGAL, borealia, *order)
    assert done.code == 0, done
    assert "aurelia is pinned anew" in done.out
    assert "Credentials revoked: 1." in done.out
    assert "Its log begins anew: 0 receipts" in done.out
    assert "Exchange on Ashfall" in done.out

    outsider = get(f"{served.url}/taxii2/", "nobody")
    now = get(f"{served.url}/taxii2/", secret)
    assert (now.status_code, now.content) == (outsider.status_code, outsider.content)
    listed = comity(borealia, "party", "list", "--json").result["parties"]
    assert [item["digest"] for item in listed if item["party"] == "aurelia"] == [digest]
    again = comity_as(Role.LEGAL, borealia, *order, "--json")
    assert (again.code, again.error["code"]) == (6, "conflict")
    assert comity(borealia, "log", "verify").code == 0
    assert comity(borealia, "fsck", "--json").result["sound"]
    assert comity(borealia, "agreement", "list", "--json").code == 0


def test_what_can_never_be_shown_is_let_stand_and_what_was_received_is_purged(
    folder: Path, serve: Callable[..., Serving]
) -> None:
    aurelia, borealia = folder / "aurelia", folder / "borealia"
    server = serve(aurelia)
    introduce(folder, server)
    assert comity(borealia, "pull", "aurelia").code == 0
    # A page is lost on its way, and the giver purges what its receipt would be made of.
    made = comity(aurelia, "credential", "create", "borealia", "--json")
    ((collection,),) = rows(borealia, "SELECT collection FROM pull_position")
    url = f"{server.url}/taxii2/borealia/collections/{collection}/objects/"
    assert get(url, str(made.result["credential"])).status_code == 200
    ((position,),) = rows(
        aurelia,
        "SELECT MAX(position) FROM log_entry WHERE CAST(leaf AS TEXT) LIKE '%disclosure\"}'",
    )
    purged = comity(aurelia, "purge", "order", "--entry", str(position), "--reason", "order 12")
    assert purged.code == 0, purged
    bundle = folder / "more.json"
    bundle.write_text(make_bundle("second"), encoding="utf-8")
    assert comity(aurelia, "object", "add", bundle).code == 0
    refused = comity(borealia, "pull", "aurelia")
    assert refused.code == 7
    assert "log waive aurelia --through 2" in refused.out
    assert "its disclosure 2" in comity(borealia, "work").out

    order = ("log", "waive", "aurelia", "--through", "2", "--reason", "purged there, letter 12")
    assert as_analyst(borealia, *order).code == 3
    waits = comity_as(Role.LEGAL, borealia, *order)
    assert waits.code == 9, waits
    done = comity_as(Role.LIAISON, borealia, *order)
    assert done.code == 0, done
    assert "disclosure 2 of aurelia stands without receipt" in done.out
    pulled = comity(borealia, "pull", "aurelia")
    assert pulled.code == 0, pulled
    assert object_id("report", "second") in str(comity(borealia, "object", "show", object_id("report", "second")).out)
    for command in (("pull", "aurelia"), ("audit",), ("work",)):
        shown = comity(borealia, *command)
        assert shown.code == 0, shown
        assert "without receipt" in shown.out

    # What the receipts list is purged, and the next pull goes on from their places.
    now = format_instant(read_clock())
    purge = comity(borealia, "purge", "received", "aurelia", "--before", now, "--reason", "order 13")
    assert purge.code == 0, purge
    assert "what the receipts for disclosures 1, 3 to 4 list" in purge.out
    assert "gone: the salts of 3 of these entries" in purge.out
    none = comity(borealia, "log", "receipt", "1", "--from", "aurelia", "--json")
    assert (none.code, none.error["code"]) == (5, "not-found")
    bundle.write_text(make_bundle("third"), encoding="utf-8")
    assert comity(aurelia, "object", "add", bundle).code == 0
    assert comity(borealia, "pull", "aurelia").code == 0
    assert comity(borealia, "log", "receipt", "5", "--from", "aurelia").code == 0
    for node in (aurelia, borealia):
        assert comity(node, "log", "verify").code == 0
        assert comity(node, "fsck", "--json").result["sound"]


def make_bundle(name: str) -> str:
    bundle = {"type": "bundle", "id": object_id("bundle", name), "objects": [make_object(name)]}
    return json.dumps(bundle)
