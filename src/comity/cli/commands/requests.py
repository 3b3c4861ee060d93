# SPDX-License-Identifier: Apache-2.0
"""Shell: `request`."""

import click

from comity.cli.session import ActCommand, PersonCommand, Session
from comity.cli.words.requests import describe_request, describe_sent, list_requests
from comity.operations.reply import Json
from comity.vocabulary import URGENCIES

__all__ = ["request"]


@click.group()
def request() -> None:
    """Ask partners for information, and answer what they ask."""


@request.command(
    "send",
    cls=PersonCommand,
    example="comity --node borealia --as boris.badge request send aurelia --agreement 3f2a --urgency soon"
    " --question 'Was it seen after May?'",
)
@click.argument("party", metavar="PARTY")
@click.option("--agreement", metavar="ID", required=True, help="The agreement, in force, that it is asked under.")
@click.option("--object", "objects", metavar="ID", multiple=True, help="What it is about, got from PARTY; repeatable.")
@click.option("--urgency", type=click.Choice(URGENCIES), required=True, help="8 hours, 3 days or 7 days.")
@click.option("--question", metavar="TEXT", required=True, help="What is asked; PARTY reads it.")
@click.pass_obj
def send(  # one for each option
    session: Session, party: str, *, agreement: str, objects: tuple[str, ...], urgency: str, question: str
) -> int:
    """Ask PARTY, under an agreement with it: about objects that came from it there, or about none."""
    arguments: dict[str, Json] = {
        "party": party,
        "agreement": agreement,
        "objects": [*objects],
        "urgency": str(urgency),
        "question": question,
    }
    return session.run_as("request.send", arguments, describe_sent)


@request.command(
    "answer", cls=PersonCommand, example="comity --node aurelia --as anna.badge request answer 3f2a --text 'Twice.'"
)
@click.argument("letter", metavar="REQUEST")
@click.option("--text", metavar="TEXT", help="What is answered; with --decline, why it is not.")
@click.option("--object", "objects", metavar="ID", multiple=True, help="What was given as the answer; repeatable.")
@click.option("--decline", is_flag=True, help="It cannot be answered; the text says why.")
@click.pass_obj
def answer(session: Session, letter: str, *, text: str | None, objects: tuple[str, ...], decline: bool) -> int:
    """Answer REQUEST: in words, by objects that whoever asks was given under the agreement, or both.

    REQUEST may be any unique beginning of the name of its letter, of at least four characters.
    """
    arguments: dict[str, Json] = {"letter": letter, "text": text, "objects": [*objects], "decline": decline}
    return session.run_as("request.answer", arguments, describe_sent)


@request.command("withdraw", cls=PersonCommand, example="comity --node borealia --as boris.badge request withdraw 3f2a")
@click.argument("letter", metavar="REQUEST")
@click.pass_obj
def withdraw(session: Session, letter: str) -> int:
    """Take REQUEST, which this party sent, back: nobody waits for an answer any more, here or there.

    REQUEST may be any unique beginning of the name of its letter, of at least four characters.
    """
    return session.run_as("request.withdraw", {"letter": letter}, describe_sent)


@request.command("list", cls=ActCommand, example="comity --node aurelia request list")
@click.option("--last", metavar="N", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@click.pass_obj
def list_command(session: Session, last: int) -> int:
    """List the requests that this party sent and received, and how each was answered."""
    return session.run("request.list", {"last": last}, list_requests)


@request.command("show", cls=ActCommand, example="comity --node aurelia request show 3f2a")
@click.argument("letter", metavar="LETTER")
@click.pass_obj
def show(session: Session, letter: str) -> int:
    """Show a request with every answer to it.

    LETTER may be any unique beginning of the name of the request, or of an answer to it.
    """
    return session.run("request.show", {"letter": letter}, describe_request)
