# SPDX-License-Identifier: Apache-2.0
"""Entries of the log as people name them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from comity.errors import NotFoundError
from comity.node.journal import Entry, find_entry, list_entries
from comity.node.node import Node
from comity.release.disclosure import EntryType
from tests.worlds import World

_DIGITS = 6


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    world = World(tmp_path)
    world.found("aurelia")
    yield world.nodes["aurelia"]
    world.close()


def put_in_digits(node: Node) -> Entry:
    """An entry whose commitment begins with digits alone, which are the number of none."""
    for number in range(2_000):
        with node.act() as act:
            content = f'{{"number":{number}}}'.encode()
            act.record(EntryType.PEOPLE, content, terms=None, recipient=None, count=1)
        (entry,) = list_entries(node, start=-1, limit=1)
        begins = entry.leaf.commitment[:_DIGITS]
        if begins.isdigit() and int(begins) > 2 * entry.position:
            return entry
    pytest.fail("no commitment began with digits alone")


def test_a_commitment_that_begins_with_digits_names_its_entry(node: Node) -> None:
    entry = put_in_digits(node)
    begins = entry.leaf.commitment[:_DIGITS]
    assert find_entry(node, begins) == entry
    assert find_entry(node, str(entry.position)) == entry
    with pytest.raises(NotFoundError, match="entries are counted from 0"):
        find_entry(node, str(entry.position + 1))
    # A number is meant where there is such an entry.
    assert find_entry(node, f"{entry.position:0{_DIGITS}}") == entry
