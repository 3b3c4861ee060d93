# SPDX-License-Identifier: Apache-2.0
"""Shell: operations that say what would become of something, and keep nothing of it."""

import asyncio

from comity.node.beforehand import foresee_steps
from comity.node.node import Node
from comity.node.steps import advance, set_aside
from comity.operations.objects import find_input, read_plan
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Exit

__all__ = ["look"]


async def look(node: Node, arguments: Arguments) -> Outcome:
    """What would become of a file, of which nothing is kept; an exit code of failure when any of it is bad."""
    steps = foresee_steps(node, find_input(arguments), read_plan(node, arguments))
    with set_aside() as keep_aside:
        while (done := advance(steps)) is None:
            keep_aside()
            await asyncio.sleep(0)
    seen = done.result
    return Outcome(
        result={
            "format": seen.look.form.value,
            "digest": seen.look.digest,
            "bytes": seen.look.bytes,
            "already": seen.already,
            "added": seen.added,
            "known": seen.known,
            "bad": [{"place": item.place, "message": item.reason} for item in seen.bad],
            "bad_count": seen.bad_count,
            "notes": [{"place": item.place, "message": item.remark} for item in seen.notes],
            "types": dict(seen.types),
            "markings": dict(seen.markings),
            "strictest": seen.strictest,
            "examples": [{"id": item.id, "tlp": item.tlp, "place": item.place} for item in seen.examples],
            "facts": dict(seen.facts),
        },
        code=Exit.FAILED if seen.bad_count else Exit.DONE,
    )
