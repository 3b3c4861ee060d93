# SPDX-License-Identifier: Apache-2.0
"""What others published as STIX is taken in as its name says, and what was taken in comes out as it was.

It lies beside the repository and is no part of it; where it is absent these tests are skipped. Fictional twins are in
`tests/unit/intake` and `tests/unit/node`, and always run.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from comity.canonical import BUNDLE_LIMITS, split_members
from comity.errors import MalformedError
from comity.node.export import export_part
from comity.node.files import Bytes
from comity.node.intake import Plan, Taken, take_file
from comity.node.node import Node
from tests.worlds import World

SHARED = Path(__file__).parents[3] / "shared" / "data" / "stix"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared/data/stix beside the repository")

EXAMPLES = sorted(SHARED.glob("validator/*.json"))
BUNDLES = sorted(SHARED.glob("*.json"))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with closing(World(tmp_path)) as world:
        world.found("aurelia")
        yield world.nodes["aurelia"]


def take(node: Node, path: Path) -> Taken:
    return take_file(node, Bytes(path.name, path.read_bytes()), Plan())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_of_the_validator_is_judged_as_its_name_says(node: Node, path: Path) -> None:
    try:
        done = take(node, path)
    except MalformedError:
        kept = False
    else:
        kept = done.bad_count == 0
        assert bool(done.added) == kept
    assert kept == (not path.stem.startswith("invalid"))


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.stem)
def test_a_bundle_comes_out_byte_for_byte(node: Node, path: Path) -> None:
    data = path.read_bytes()
    if json.loads(data).get("type") != "bundle":
        pytest.skip("one object, whose bytes are the file")
    given = [member.data for member in split_members(data, array="objects", limits=BUNDLE_LIMITS)[1]]
    done = take(node, path)
    found, after = list[bytes](), 0
    while after is not None:
        part = export_part(node, after=after)
        found += [item for _, item in part.objects]
        after = part.after  # type: ignore[assignment]
    bad = {one.index for one in done.bad}
    newest = {json.loads(item)["id"]: item for place, item in enumerate(given) if place not in bad}
    assert {json.loads(item)["id"]: item for item in found} == newest
    assert len(found) == len(newest)
