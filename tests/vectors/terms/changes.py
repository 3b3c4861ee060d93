# SPDX-License-Identifier: Apache-2.0
"""A good document, and one that differs from it in one thing."""

import json
from collections.abc import Callable

from comity.canonical import Json, canonical_bytes
from tests.parties import AURELIA, BOREALIA, make_terms

__all__ = [
    "GOOD",
    "HASH",
    "Case",
    "Table",
    "at",
    "change_document",
    "change_text",
    "drop_field",
    "list_of",
    "repeat",
    "set_field",
    "set_in",
]

HASH = "7" * 64
Case = tuple[str, str, str]
"""What is wrong, the document, and where it is wrong; nowhere when the document is good."""

Table = dict[str, Json]
GOOD = make_terms(AURELIA, BOREALIA)


def change_document(change: Callable[[Table], object]) -> str:
    value: Table = json.loads(GOOD.document)
    change(value)
    return canonical_bytes(value).decode()


def change_text(old: str, new: str) -> str:
    """The good document with one place written otherwise."""
    document = GOOD.document.decode()
    assert document.count(old) >= 1
    return document.replace(old, new, 1)


def set_field(name: str, item: Json) -> str:
    return change_document(lambda value: value.update({name: item}))


def drop_field(name: str) -> str:
    return change_document(lambda value: value.pop(name))


def at(value: Table, name: str, index: int) -> Table:
    """The table at a place of a list of tables."""
    items = value[name]
    assert isinstance(items, list)
    item = items[index]
    assert isinstance(item, dict)
    return item


def list_of(value: Table, name: str) -> list[Json]:
    items = value[name]
    assert isinstance(items, list)
    return items


def set_in(name: str, index: int, **fields: Json) -> str:
    """The good document with fields set in one table of a list; None takes a field out."""

    def change(value: Table) -> None:
        item = at(value, name, index)
        item.update(fields)
        for field in [field for field, given in fields.items() if given is None]:
            del item[field]

    return change_document(change)


def repeat(name: str, count: int, **fields: Json) -> str:
    def change(value: Table) -> None:
        value[name] = [{**at(value, name, 0), **fields} for _ in range(count)]

    return change_document(change)
