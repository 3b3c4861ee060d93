# SPDX-License-Identifier: Apache-2.0
"""Shell: objects of this party's own, for its own people to keep or to work with elsewhere: as they are held.

It is no disclosure: there is no recipient, and nothing in it came from anybody. What came from a partner or a source,
also after this party had it, stays here under its terms: for that there is no way out but a channel.
"""

from dataclasses import dataclass

from comity.ids import ObjectId
from comity.node.node import Node
from comity.store import objects

__all__ = ["ExportPart", "export_part"]

_PART_BYTES = 8 * 1024 * 1024
_PART_OBJECTS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPart:
    """Some objects, each with its bytes as they are held; `after` is where the next part begins, None at the end."""

    objects: tuple[tuple[ObjectId, bytes], ...]
    after: int | None


def export_part(node: Node, *, after: int, types: frozenset[str] = frozenset(), file: int | None = None) -> ExportPart:
    """The next own objects behind `after` (0 at first), the newest version of each, in the order in which they came in.

    `types` and `file` narrow it to some types, and to what one file said.
    """
    found, size, last = list[tuple[ObjectId, bytes]](), 0, after
    with node.store.read() as transaction:
        rows = objects.list_own(transaction, node.party, after=after, limit=_PART_OBJECTS + 1, types=types, file=file)
        for key, name, data in rows[:_PART_OBJECTS]:
            if found and size + len(data) > _PART_BYTES:
                return ExportPart(objects=tuple(found), after=last)
            found.append((name, data))
            size, last = size + len(data), key
    return ExportPart(objects=tuple(found), after=last if len(rows) > _PART_OBJECTS else None)
