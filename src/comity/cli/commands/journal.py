# SPDX-License-Identifier: Apache-2.0
"""Shell: `log`."""

import base64

import click

from comity.cli.reply import Exit
from comity.cli.session import ActCommand, Session
from comity.cli.words.journal import (
    describe_checkpoint,
    describe_entry,
    describe_reader,
    describe_removed,
    describe_verified,
    list_entries,
    list_readers,
)

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
            "manifest": verified.manifest,
        },
        describe_verified,
    )
    return Exit.DONE


@log.group("reader")
def reader() -> None:
    """Who may read the log over HTTP: nobody, until permitted here."""


@reader.command(
    "add",
    short_help="Permit READER to read the log.",
    cls=ActCommand,
    example="comity --node aurelia log reader add oversight --days 90",
)
@click.argument("name", metavar="READER")
@click.option("--days", metavar="N", type=int, default=365, show_default=True, help="How long it is good.")
@click.pass_obj
def add_reader(session: Session, name: str, days: int) -> int:
    """Permit READER, a body that oversees this party, to read the log over HTTP, and print its secret, this once.

    It sees every leaf: to whom this party gave, when, how much, under which terms; not what. A partner cannot be one.
    The secret is the password of HTTP Basic (with any user name), a Bearer token or X-API-Key.
    """
    reply = session.carry_out("log.reader.add", {"reader": name, "days": days})
    code = session.finish(reply, describe_reader)
    if reply.result is not None:
        session.note(
            f"For {name} alone, until {str(reply.result['expires_at'])[:10]}. It cannot be shown again; to remove it,"
            f" name {reply.result['id']}."
        )
    return code


@reader.command("list", cls=ActCommand, example="comity --node aurelia log reader list")
@click.pass_obj
def list_permitted(session: Session) -> int:
    """List who may read the log, and who might: until when, last used on which day. No secret is shown."""
    return session.run("log.reader.list", {}, list_readers)


@reader.command("remove", cls=ActCommand, example="comity --node aurelia log reader remove oversight")
@click.argument("name", metavar="READER")
@click.pass_obj
def remove_reader(session: Session, name: str) -> int:
    """Let READER read no more, from the next request on: a name, with all it was given, or the ID of one permission.

    What it has read it keeps.
    """
    return session.run("log.reader.remove", {"reader": name}, describe_removed)
