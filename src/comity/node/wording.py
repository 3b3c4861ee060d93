# SPDX-License-Identifier: Apache-2.0
"""Shell: the rules that a node reads articles by: those of the program, and what its people have put into its folder.

`article-rules.toml` adds, changes or takes out entries (`intake.article.own`); `article-organisations.toml` is a
gazetteer (`intake.article.gazetteer`), before what the node knows by itself. Both are looked at for every article.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from comity.agreement.drafting import MAX_TOML_BYTES
from comity.articles import read_own_rules, read_rules, write_own_rules
from comity.canonical import sha256_digest
from comity.errors import MalformedRequest
from comity.ids import Digest
from comity.intake.article.own import format_tables
from comity.intake.article.rules import Rules
from comity.node.node import Node

__all__ = ["Wording", "find_rules", "find_wording", "read_organisations", "write_rules"]

_RULES: Final = "article-rules.toml"
_ORGANISATIONS: Final = "article-organisations.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The rules in force: `own` is the file of own ones, empty where there is none, `digest` that of all of them.

    `digest` is the SHA-256 of what `write_rules` gives, and `no_known` are organisations that are not looked for.
    """

    own: bytes
    own_digest: Digest | None
    digest: Digest
    no_known: frozenset[str]


def find_wording(node: Node) -> Wording:
    """The rules that the next article is read by.

    Raises:
        MalformedRequest: the file of own rules, with the place.
    """
    own = _read(node, _RULES)
    try:
        rules = read_own_rules(own)
    except MalformedRequest as error:
        raise _place(error, _RULES) from error
    return Wording(
        own=own,
        own_digest=rules.digest if own else None,
        digest=sha256_digest(write_own_rules(own).encode()),
        no_known=rules.no_known,
    )


def find_rules(node: Node) -> Rules:
    """The same, made into what finds mentions.

    Raises:
        MalformedRequest: the file of own rules, with the place.
    """
    return read_rules(find_wording(node).own)


def read_organisations(node: Node) -> bytes:
    """The gazetteer in the node's folder, as TOML; empty where there is none."""
    return _read(node, _ORGANISATIONS)


def write_rules(node: Node, sections: Collection[str] = ()) -> str:
    """The rules in force as TOML, all of them or these sections.

    Raises:
        MalformedRequest: a section that there is not, or the file of own rules.
    """
    tables = read_own_rules(find_wording(node).own).tables
    for section in sections:
        if section not in tables:
            raise MalformedRequest(
                f"the rules have no section {section[:40]!r}; use one of {', '.join(tables)}", where="--section"
            )
    return format_tables({name: part for name, part in tables.items() if not sections or name in sections})


def _read(node: Node, name: str) -> bytes:
    path = node.folder / name
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TOML_BYTES + 1)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise MalformedRequest(
            f"{name} cannot be read ({error.strerror}); repair it, or take it away", where=f"{name}"
        ) from error
    if len(data) > MAX_TOML_BYTES:
        raise MalformedRequest(f"{name} has more than {MAX_TOML_BYTES} bytes; shorten it", where=f"{name}")
    return data


def _place(error: MalformedRequest, name: str) -> MalformedRequest:
    return MalformedRequest(f"{name}: {error.detail}", where=f"{name}{error.where or ''}")
