# SPDX-License-Identifier: Apache-2.0
"""Shell: objects by the beginning of their ids: some steps into an index, whatever is held.

The index holds the ids in runs of the rows that came in together (migration 0045): ids are random, and in one index of
all of them each new object would have a page to be written for itself. So a beginning is looked for in each run, and of
each run no more is read than what can be among the first.
"""

import json
from typing import Final

from comity.store.objects import COLUMNS, StoredObject, build_object
from comity.store.transaction import Transaction

__all__ = ["find_objects"]

_BEHIND_ALL: Final = chr(0x10FFFF)
"""No id has it: behind a beginning, it is behind all ids that begin so."""

_SQL: Final = (
    "WITH RECURSIVE run (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM run"
    " WHERE number < (SELECT MAX(pk) >> 14 FROM object)),"
    " found (pk) AS (SELECT o.pk FROM run CROSS JOIN json_each(?1) AS span CROSS JOIN object o WHERE o.pk IN"
    " (SELECT i.pk FROM object i INDEXED BY object_by_id_in_runs WHERE i.current = 1 AND i.pk >> 14 = run.number"
    " AND i.id >= span.value ->> 0 AND i.id < span.value ->> 1 ORDER BY i.id LIMIT ?2))"
    f" SELECT {COLUMNS} FROM object o WHERE o.pk IN (SELECT pk FROM found) ORDER BY o.id LIMIT ?2"
)
_TYPES: Final = (
    "WITH RECURSIVE held (type) AS (SELECT MIN(type) FROM object UNION ALL"
    " SELECT (SELECT MIN(o.type) FROM object o WHERE o.type > held.type) FROM held WHERE held.type IS NOT NULL)"
    " SELECT type FROM held WHERE type IS NOT NULL"
)


def find_objects(transaction: Transaction, prefix: str, *, limit: int) -> list[StoredObject]:
    """Newest versions whose id, or the part of the id behind "--", begins with `prefix`: the first `limit` by id."""
    types = [] if "--" in prefix else [row[0] for row in transaction.rows(_TYPES)]
    spans = [(start, start + _BEHIND_ALL) for start in (prefix, *(f"{kind}--{prefix}" for kind in types))]
    return [build_object(row) for row in transaction.rows(_SQL, (json.dumps(spans), limit))]
