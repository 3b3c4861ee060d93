# SPDX-License-Identifier: Apache-2.0
"""Shell: `fsck`: what keeps a node's folder whole."""

import sys
import time

import click

from comity.cli.reply import Exit, Json
from comity.cli.session import ActCommand, Session
from comity.cli.words.keeping import describe_examination

__all__ = ["fsck"]

_PAUSE_SECONDS = 2.0


@click.command(
    short_help="Examine the folder of a node.", cls=ActCommand, example="comity --node /media/evidence/aurelia fsck"
)
@click.pass_obj
def fsck(session: Session) -> int:
    """Examine everything in the folder of a node: files, database, objects, signatures, the log.

    Nothing is written and nothing is mended: each finding says what is wrong, where, and what to do. It works on a
    copy, and while the node is served. Exit code 7 when something is broken.
    """
    from comity.node.soundness import examine_folder

    done = examine_folder(session.node_folder(), _Told(session).tell)
    findings: list[Json] = [
        {
            "grade": item.grade.value,
            "check": item.check.value,
            "where": item.where,
            "what": item.what,
            "do": item.do,
            "count": item.count,
        }
        for item in done.findings
    ]
    session.show(
        {
            "sound": done.is_sound,
            "findings": findings,
            "objects": done.objects,
            "events": done.events,
            "entries": done.entries,
        },
        describe_examination,
    )
    return Exit.DONE if done.is_sound else Exit.VERIFICATION_FAILED


class _Told:
    """Progress of long work, said to a person at most every two seconds."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._said_at = time.monotonic()

    def tell(self, what: str, done: int, of: int) -> None:
        """So much of `of` is done; 0 where that is not known."""
        if not sys.stderr.isatty() or time.monotonic() < self._said_at + _PAUSE_SECONDS:
            return
        self._said_at = time.monotonic()
        self._session.note(f"{what}: {done} of {of}" if of else f"{what} …")
