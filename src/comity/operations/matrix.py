# SPDX-License-Identifier: Apache-2.0
"""Shell: operations on who would get what: every party by what objects say, and all that one party would get."""

import asyncio

from comity.errors import MalformedRequest
from comity.ids import parse_party_id
from comity.node import matrix
from comity.node.matrix import AXES, Cell, Offered, Shown
from comity.node.node import Node
from comity.node.steps import advance
from comity.operations.browsing import read_position
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Json

__all__ = ["see", "show"]

_MOST_PARTIES = 50
_MOST_SEEN = 100


async def show(node: Node, arguments: Arguments) -> Outcome:
    """What each party would get now of what is held. Partners are answered between two parties."""
    axis, after = arguments.optional("by") or "tlp", arguments.optional("after")
    if axis not in AXES:
        raise MalformedRequest(f"by must be one of {', '.join(AXES)}", where="by")
    limit = max(1, arguments.number("parties", most=_MOST_PARTIES))
    steps = matrix.find_matrix(node, axis, after=None if after is None else parse_party_id(after), limit=limit)
    while (done := advance(steps)) is None:  # noqa: ASYNC110 (nothing is waited for: others get their turn)
        await asyncio.sleep(0)
    found = done.result
    return Outcome(
        result={
            "by": axis,
            "columns": [{"word": column.word, "objects": column.objects} for column in found.columns],
            "more_columns": found.more_columns,
            "parties": [
                {"party": row.party, "cells": [_describe_cell(cell) for cell in row.cells]} for row in found.rows
            ],
            "next": found.next,
        }
    )


def see(node: Node, arguments: Arguments) -> Outcome:
    """What one party would get now of one collection."""
    found = matrix.see_as(
        node,
        parse_party_id(arguments.text("party")),
        collection=arguments.optional("collection"),
        before=read_position(arguments.optional("before")),
        limit=max(1, arguments.number("last", most=_MOST_SEEN)),
    )
    return Outcome(
        result={
            "party": found.party,
            "collections": [_describe_offered(item) for item in found.collections],
            "collection": None if found.collection is None else found.collection.id,
            "objects": [_describe_shown(item) for item in found.objects],
            "next": None if found.next is None else f"{found.next.pk}-{found.next.first_seq}",
        }
    )


def _describe_cell(cell: Cell) -> Json:
    return {
        "way": cell.way.value,
        "full": cell.full,
        "redacted": cell.redacted,
        "waiting": cell.waiting,
        "withheld": cell.withheld,
        "at_most": cell.is_most,
        "reasons": [
            {
                "agreement": reason.agreement,
                "title": reason.title,
                "channel": reason.channel,
                "clause": reason.clause,
                "objects": reason.objects,
            }
            for reason in cell.reasons
        ],
        "example": cell.example,
    }


def _describe_offered(item: Offered) -> Json:
    return {
        "id": item.id,
        "agreement": item.agreement,
        "title": item.title,
        "channel": item.channel,
        "gate": None if item.gate is None else {"clause": item.gate.clause, "reason": item.gate.reason},
    }


def _describe_shown(item: Shown) -> Json:
    return {
        "id": item.id,
        "type": item.type,
        "version": item.version,
        "removed": list[Json](item.removed),
        "received": item.data.decode(),
    }
