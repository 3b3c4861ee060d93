# SPDX-License-Identifier: Apache-2.0
"""Shell: `recall`."""

import click

from comity.cli.session import ActCommand, PersonCommand, Session
from comity.cli.words.recalls import describe_kept, describe_recall, describe_recalling, list_recalls
from comity.operations.reply import Json

__all__ = ["recall"]


@click.group()
def recall() -> None:
    """Withdraw or correct what was given, and see who has acknowledged it."""


@recall.command(
    "send",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge recall send report--4b2e --reason 'The source was not reliable.'",
)
@click.argument("object_id", metavar="OBJECT")
@click.option("--reason", metavar="TEXT", required=True, help="Why; whoever was given it by this party reads it.")
@click.option("--version", "versions", metavar="TIME", multiple=True, help="This version alone; may be repeated.")
@click.option("--newer", is_flag=True, help="The newest version held corrects the older ones: those are recalled.")
@click.pass_obj
def send(session: Session, object_id: str, reason: str, versions: tuple[str, ...], *, newer: bool) -> int:
    """Recall OBJECT: no version of it is given to anybody any more, and everybody who was given it is told.

    OBJECT may be any unique beginning of its id, also of one that was deleted here. It cannot be undone; a newer
    version may be given.
    """
    arguments: dict[str, Json] = {"id": object_id, "reason": reason, "versions": [*versions], "newer": newer}
    return session.run_as("recall.send", arguments, describe_recalling)


@recall.command("list", cls=ActCommand, example="comity --node aurelia recall list")
@click.option("--last", metavar="N", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@click.pass_obj
def list_command(session: Session, last: int) -> int:
    """List the letters of recall that this party sent and received, and how far each is.

    Behind them stands what partners took back over TAXII of what they had written here.
    """
    return session.run("recall.list", {"last": last}, list_recalls)


@recall.command("show", cls=ActCommand, example="comity --node aurelia recall show 3f2a")
@click.argument("letter", metavar="LETTER")
@click.pass_obj
def show(session: Session, letter: str) -> int:
    """Show a letter of recall: what it is about, what became of it, and every acknowledgement.

    Or what a partner took back over TAXII, by the name that recall list shows.

    LETTER may be any unique beginning of its name, of at least four characters.
    """
    return session.run("recall.show", {"letter": letter}, describe_recall)


@recall.command(
    "keep",
    cls=PersonCommand,
    example="comity --node borealia --as boris.badge recall keep report--4b2e --reason 'Evidence in case 12.'",
)
@click.argument("object_id", metavar="OBJECT")
@click.option("--reason", metavar="TEXT", required=True, help="Why it is kept; whoever recalls it reads it.")
@click.pass_obj
def keep(session: Session, object_id: str, reason: str) -> int:
    """Keep OBJECT though it is recalled, or should it be: it is given to nobody, and not deleted by a recall.

    What its terms say of retention goes on to hold.
    """
    return session.run_as("recall.keep", {"id": object_id, "reason": reason}, describe_kept)
