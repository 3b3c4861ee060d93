# SPDX-License-Identifier: Apache-2.0
"""The rules in a node's folder count for the next article, what it was read by is kept, and a wrong file says so."""

import hashlib
import shutil
from pathlib import Path

import pytest

from comity.errors import MalformedRequest
from comity.ids import PartyId
from comity.intake.formats import Format
from comity.node.articles import ArticlePlan, add_article, show_article
from comity.node.wording import find_wording, write_rules
from tests.worlds import World

A = PartyId("aurelia")
TEXT = b"Talks\n\nMarch 4, 2031\n\nLusitania met the Rimward Front in Oslo, said paper %d of theirs.\n"
RULES = '[add.aliases.PT]\nnames = ["Lusitania"]\n'
KNOWN = '[[known]]\nid = "national:rimward"\nname = "Rimward Front"\n'


def add(world: World, number: int) -> tuple[set[str], dict[str, str | None]]:
    node = world.nodes[A]
    added = add_article(node, TEXT % number, "a.txt", ArticlePlan(form=Format.TEXT)).article
    found, _ = show_article(node, added.digest)
    return {each.item.draft.key for each in found.drafts}, dict(found.article.head["read_by"])


def write(world: World, name: str, text: str) -> Path:
    path = world.nodes[A].folder / name
    path.write_text(text)
    return path


def test_own_rules_and_organisations_count_for_the_next_article_and_are_kept_with_it(world: World) -> None:
    before, read_by = add(world, 1)
    assert not before & {"place/PT", "known/national:rimward"}
    assert read_by["own"] is None
    assert read_by["rules"] == hashlib.sha256(write_rules(world.nodes[A]).encode()).hexdigest()
    write(world, "article-rules.toml", RULES)
    write(world, "article-organisations.toml", KNOWN)
    after, then = add(world, 2)
    assert after - before == {"place/PT", "known/national:rimward"}
    assert then["own"] == hashlib.sha256(RULES.encode()).hexdigest()
    assert then["rules"] == hashlib.sha256(write_rules(world.nodes[A]).encode()).hexdigest()
    assert then["rules"] != read_by["rules"]
    assert then["organisations"] != read_by["organisations"]


def test_an_organisation_that_is_left_out_is_not_looked_for(world: World) -> None:
    write(world, "article-organisations.toml", KNOWN)
    assert "known/national:rimward" in add(world, 1)[0]
    write(world, "article-rules.toml", '[remove]\nknown = ["national:rimward"]\n')
    assert "known/national:rimward" not in add(world, 2)[0]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("article-rules.toml", "[remove.people]\nwords = ['a']\n", "article-rules.toml: .*never taken out"),
        ("article-rules.toml", "#" * (512 * 1024 + 1), "has more than 524288 bytes; shorten it"),
        ("article-organisations.toml", "[[known]]\nid = 'x'\n", "article-organisations.toml: "),
    ],
)
def test_a_file_that_is_wrong_is_named_and_nothing_is_taken_in(world: World, name: str, text: str, words: str) -> None:
    write(world, name, text)
    with pytest.raises(MalformedRequest, match=words):
        add(world, 1)


def test_a_folder_in_its_place_is_named(world: World) -> None:
    path = world.nodes[A].folder / "article-rules.toml"
    path.mkdir()
    with pytest.raises(MalformedRequest, match="cannot be read"):
        find_wording(world.nodes[A])
    shutil.rmtree(path)


def test_a_section_that_there_is_not_is_refused(world: World) -> None:
    assert write_rules(world.nodes[A], ["negations"]).startswith("negations = [")
    with pytest.raises(MalformedRequest, match="no section 'verbs'"):
        write_rules(world.nodes[A], ["verbs"])
