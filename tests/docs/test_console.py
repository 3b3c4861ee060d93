# SPDX-License-Identifier: Apache-2.0
"""docs/howto/use-the-console.md says which screens there are and for whom."""

import re
from pathlib import Path

from comity.agreement.people import Role
from comity.console.pages import MENU
from comity.operations.sight import SIGHT

_DOCS = Path(__file__).parents[2] / "docs"
_HOWTO = (_DOCS / "howto" / "use-the-console.md").read_text(encoding="utf-8")


def test_every_screen_of_the_menu_stands_there_with_its_roles() -> None:
    rows = re.findall(r"^\| ([A-Z][a-z ]+) \| .* \| (.*) \|$", _HOWTO, flags=re.MULTILINE)
    said = {
        name: frozenset(Role) if roles == "all" else set(roles.split(", ")) for name, roles in rows if name != "Screen"
    }
    assert said == {name: set(SIGHT[operation]) for _, name, operation in MENU}


def test_every_picture_is_shown_and_has_words_for_those_who_do_not_see_it() -> None:
    shown = re.findall(r"^!\[([^\]]*)\]\(\.\./images/([^)]+)\)$", _HOWTO, flags=re.MULTILINE)
    pictures = {path.name: path.stat().st_size for path in (_DOCS / "images").glob("console-*.png")}
    assert {name for _, name in shown} == pictures.keys()
    assert all(len(words) > 20 for words, _ in shown)
    assert sum(pictures.values()) < 1_500_000
