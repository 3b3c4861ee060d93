# SPDX-License-Identifier: Apache-2.0
"""Shell: `consent`."""

import click

from comity.cli.session import ActCommand, PersonCommand, Session
from comity.cli.words.consents import describe_consent, describe_said, list_consents
from comity.operations.reply import Json

__all__ = ["consent"]


@click.group()
def consent() -> None:
    """Ask to pass objects on to one more party; grant, refuse or revoke that."""


@consent.command(
    "request",
    cls=PersonCommand,
    example="comity --node borealia --as boris.badge consent request report--4b2e --to cimbria --purpose exchange"
    " --reason 'They hold the other half.'",
)
@click.argument("object_ids", metavar="OBJECT…", nargs=-1, required=True)
@click.option("--to", metavar="PARTY", required=True, help="The party that they are to go to.")
@click.option("--purpose", metavar="PURPOSE", required=True, help="One of the purposes of the terms they came under.")
@click.option("--reason", metavar="TEXT", required=True, help="Why; whoever gave them reads it.")
@click.option("--until", metavar="TIME", help="Until when that is wanted.")
@click.pass_obj
def request(  # one for each option
    session: Session, object_ids: tuple[str, ...], *, to: str, purpose: str, reason: str, until: str | None
) -> int:
    """Ask whoever gave this party OBJECT whether its newest version may go to one more party.

    OBJECT may be any unique beginning of its id. Everybody it came from under terms that need consent is asked.
    """
    arguments: dict[str, Json] = {
        "ids": [*object_ids],
        "to": to,
        "purpose": purpose,
        "reason": reason,
        "until": until,
    }
    return session.run_as("consent.request", arguments, describe_said)


@consent.command(
    "grant",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge consent grant 3f2a --until 2027-06-30T00:00:00Z",
)
@click.argument("letter", metavar="REQUEST")
@click.option("--until", metavar="TIME", help="Until when; needed, unless --sanitised is given.")
@click.option("--condition", metavar="TEXT", help="What is to be kept to.")
@click.option("--actions", metavar="WORD", help="What may be done by it at the most; without it what the terms permit.")
@click.option("--sanitised", metavar="OBJECT", help="Grant nothing, and name this object of your own instead.")
@click.pass_obj
def grant(  # one for each option
    session: Session,
    letter: str,
    *,
    until: str | None,
    condition: str | None,
    actions: str | None,
    sanitised: str | None,
) -> int:
    """Let what REQUEST asks for go, to that party alone: it takes two people, one of whom acts as legal.

    REQUEST may be any unique beginning of the name of its letter, of at least four characters.
    """
    arguments: dict[str, Json] = {
        "letter": letter,
        "until": until,
        "condition": condition,
        "actions": actions,
        "sanitised": sanitised,
    }
    return session.run_as("consent.grant", arguments, describe_said)


@consent.command("refuse", cls=PersonCommand, example="comity --node aurelia --as anna.badge consent refuse 3f2a")
@click.argument("letter", metavar="REQUEST")
@click.option("--reason", metavar="TEXT", help="Why; whoever asks reads it.")
@click.pass_obj
def refuse(session: Session, letter: str, reason: str | None) -> int:
    """Do not let what REQUEST asks for go."""
    return session.run_as("consent.refuse", {"letter": letter, "reason": reason}, describe_said)


@consent.command(
    "revoke", cls=PersonCommand, example="comity --node aurelia --as anna.badge consent revoke 3f2a --recall"
)
@click.argument("letter", metavar="GRANT")
@click.option("--reason", metavar="TEXT", help="Why; whoever was granted it reads it.")
@click.option("--recall", is_flag=True, help="What was passed on by it is recalled by whoever passed it on.")
@click.pass_obj
def revoke(session: Session, letter: str, reason: str | None, *, recall: bool) -> int:
    """End what was granted: GRANT names the letter of the grant, or of the request."""
    arguments: dict[str, Json] = {"letter": letter, "reason": reason, "recall": recall}
    return session.run_as("consent.revoke", arguments, describe_said)


@consent.command("list", cls=ActCommand, example="comity --node aurelia consent list")
@click.option("--last", metavar="N", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@click.option("--object", "object_id", metavar="ID", help="Only those about this object, by its whole id.")
@click.pass_obj
def list_command(session: Session, last: int, object_id: str | None) -> int:
    """List the requests for consent that this party sent and received, and how each was answered."""
    return session.run("consent.list", {"last": last, "object": object_id}, list_consents)


@consent.command("show", cls=ActCommand, example="comity --node aurelia consent show 3f2a")
@click.argument("letter", metavar="LETTER")
@click.pass_obj
def show(session: Session, letter: str) -> int:
    """Show a request for consent with every answer to it, and how the grants stand.

    LETTER may be any unique beginning of the name of the request, or of an answer to it.
    """
    return session.run("consent.show", {"letter": letter}, describe_consent)
