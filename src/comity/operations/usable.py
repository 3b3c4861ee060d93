# SPDX-License-Identifier: Apache-2.0
"""Shell: the programs of this party's own that may have a copy of something, as programs and people read it."""

from collections.abc import Collection

from comity.ids import ObjectId, format_instant
from comity.node.node import Node
from comity.node.usable import find_handed
from comity.operations.reply import Json

__all__ = ["describe_handed"]


def describe_handed(node: Node, items: Collection[ObjectId]) -> list[Json]:
    """Each of them, whose it is, what it does, and when it last got anything; those that have ended among them."""
    return [
        {
            "program": handed.program,
            "person": handed.person,
            "name": handed.name,
            "actions": handed.actions,
            "at": format_instant(handed.at),
        }
        for handed in find_handed(node, items)
    ]
