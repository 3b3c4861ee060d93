# SPDX-License-Identifier: Apache-2.0
"""Shell: `purge` and `fsck`: what a node forgets, and what keeps its folder whole."""

import sys
import time

import click

from comity.cli.reply import Exit, Json
from comity.cli.session import ActCommand, PersonCommand, Session
from comity.cli.words.keeping import describe_examination, describe_forgotten

__all__ = ["fsck", "purge"]

_PAUSE_SECONDS = 2.0


@click.group()
def purge() -> None:
    """Let the log forget what was in its entries; the entries and every proof stay."""


@purge.command("run", cls=ActCommand, example="comity --node aurelia purge run")
@click.pass_obj
def run(session: Session) -> int:
    """Purge the content of entries older than `content_days` in node.toml. `comity serve` does so by itself."""
    return session.run("purge.run", {}, describe_forgotten)


@purge.command(
    "order",
    short_help="Purge the content of some entries.",
    cls=PersonCommand,
    example="comity --node aurelia purge order --recipient borealia --before 2024-01-01T00:00:00Z --reason 'Art. 17'",
)
@click.option("--before", metavar="TIME", help="Entries recorded before then.")
@click.option("--agreement", metavar="ID", help="Entries under any version of the agreement.")
@click.option("--recipient", metavar="PARTY", help="Disclosures to the party.")
@click.option("--object", "object_id", metavar="OBJECT", help="Entries that name the object, by its whole id.")
@click.option("--entry", "entries", metavar="N", type=click.IntRange(0), multiple=True, help="The entry N; repeatable.")
@click.option("--reason", metavar="TEXT", required=True, help="On which order, or why.")
@click.option("--dry-run", is_flag=True, help="Only say which entries it would be.")
@click.pass_obj
def order(
    session: Session,
    *,
    before: str | None,
    agreement: str | None,
    recipient: str | None,
    object_id: str | None,
    entries: tuple[int, ...],
    reason: str,
    dry_run: bool,
) -> int:
    """Purge salt and content of the log entries that fit all that is said: at most 10,000. It cannot be undone.

    It takes two people, one as legal, who give the same command. The purge is an entry itself, which names what it
    purged. What agreements, purges of entries and recoveries recorded is never purged.
    """
    arguments: dict[str, Json] = {
        "before": before,
        "agreement": agreement,
        "recipient": recipient,
        "object": object_id,
        "entries": list[Json](map(str, entries)),
        "reason": reason,
        "dry_run": dry_run,
    }
    return session.run_as("purge.order", arguments, describe_forgotten)


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
