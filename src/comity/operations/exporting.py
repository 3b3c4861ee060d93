# SPDX-License-Identifier: Apache-2.0
"""Shell: operations that write out this party's own objects, for its own people."""

import asyncio
import base64
import json

from comity.node import intake
from comity.node.export import export_misp_in_steps, export_part
from comity.node.node import Node
from comity.node.steps import advance
from comity.operations.outcome import Arguments, Outcome
from comity.operations.reply import Exit

__all__ = ["export", "export_misp"]


def export(node: Node, arguments: Arguments) -> Outcome:
    """Some of this party's own objects as they are held, and where the next ones begin."""
    number = arguments.optional("file")
    part = export_part(
        node,
        after=arguments.number("after", most=2**62),
        types=frozenset(arguments.texts("types")),
        file=None if number is None else intake.find_file(node, number)[0].number,
    )
    data = b",\n".join(data for _, data in part.objects)
    return Outcome(
        result={"objects": len(part.objects), "data": base64.b64encode(data).decode(), "after": part.after},
    )


async def export_misp(node: Node, arguments: Arguments) -> Outcome:
    """This party's own objects as MISP events; an exit code of failure when the events do not say all of them.

    Partners are answered while they are made.
    """
    number = arguments.optional("file")
    steps = export_misp_in_steps(
        node,
        types=frozenset(arguments.texts("types")),
        file=None if number is None else intake.find_file(node, number)[0].number,
    )
    while (done := advance(steps)) is None:  # noqa: ASYNC110 (nothing is waited for: others get their turn)
        await asyncio.sleep(0)
    made = done.result
    data = json.dumps({"response": [{"Event": event} for event in made.events]}, ensure_ascii=False, indent=1)
    return Outcome(
        result={
            "events": len(made.events),
            "objects": made.objects,
            "data": base64.b64encode(data.encode()).decode(),
            "lost": [{"id": item.id or None, "message": item.reason} for item in made.lost],
        },
        code=Exit.FAILED if made.lost else Exit.DONE,
    )
