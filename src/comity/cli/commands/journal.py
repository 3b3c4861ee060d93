# SPDX-License-Identifier: Apache-2.0
"""Shell: `log`."""

import base64

import click

from comity.cli.reply import Exit
from comity.cli.session import ActCommand, Session
from comity.cli.words.journal import describe_checkpoint, describe_entry, describe_verified, list_entries

__all__ = ["log"]


@click.group()
def log() -> None:
    """The disclosure log: what left, to whom, when."""


@log.command("list", cls=ActCommand, example="comity --node aurelia log list --last 50")
@click.option("--last", metavar="N", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@click.pass_obj
def list_command(session: Session, last: int) -> int:
    """List the last entries, oldest first."""
    return session.run("log.list", {"last": last}, list_entries)


@log.command("show", cls=ActCommand, example="comity --node aurelia log show 12")
@click.argument("entry", metavar="ENTRY")
@click.pass_obj
def show(session: Session, entry: str) -> int:
    """Show ENTRY with its content: its number from 0, or a unique beginning of its commitment."""
    return session.run("log.show", {"entry": entry}, describe_entry)


@log.command(
    "checkpoint",
    short_help="Print the last signed checkpoint.",
    cls=ActCommand,
    example="comity --node aurelia log checkpoint",
)
@click.pass_obj
def checkpoint(session: Session) -> int:
    """Print the last checkpoint this party signed (C2SP tlog-checkpoint), byte for byte."""
    return session.run("log.checkpoint", {}, describe_checkpoint)


@log.command(
    "verify",
    short_help="Verify the whole log.",
    cls=ActCommand,
    example="comity --node /media/evidence/aurelia log verify --digest 8c78…",
)
@click.option("--digest", metavar="D", help="The digest of the party's manifest, as you have it from elsewhere.")
@click.pass_obj
def verify(session: Session, digest: str | None) -> int:
    """Verify every entry, tile and checkpoint against each other and against this party's log key.

    Nothing is written and no lock is taken: it works on a copy, and while the node is served. A mismatch names the
    entry and gives exit code 7.
    """
    from comity.ids import parse_digest
    from comity.node.journal import verify_folder

    pinned = None if digest is None else parse_digest(digest)
    verified = verify_folder(session.node_folder(), digest=pinned)
    session.show(
        {
            "size": verified.size,
            "root": base64.b64encode(verified.root).decode(),
            "checkpoints": verified.checkpoints,
            "disclosures": verified.disclosures,
            "opened": verified.opened,
            "purged": verified.purged,
            "origin": verified.origin,
            "manifest": verified.manifest,
        },
        describe_verified,
    )
    return Exit.DONE
