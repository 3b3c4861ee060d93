# SPDX-License-Identifier: Apache-2.0
"""Shell: `agreement`."""

import base64

import click

from comity.cli.session import ActCommand, PersonCommand, Session, read_input
from comity.cli.words.agreements import describe_act, describe_agreement, describe_status, list_agreements

__all__ = ["agreement"]


@click.group()
def agreement() -> None:
    """Agreements: propose, negotiate, sign, suspend, end.

    ID is the agreement's id or any unique beginning of it, at least 4 characters.
    """


@agreement.command(
    "propose", cls=PersonCommand, example="comity --node aurelia --as anna.badge agreement propose terms.toml"
)
@click.argument("file")
@click.pass_obj
def propose(session: Session, file: str) -> int:
    """Sign the terms in FILE (TOML) and send them to every other party of them.

    Needs two different people, one of whom acts as legal: the second one gives the same command with the same file.
    Refused, with exit code 3, if this party's own policy does not recognise a legal basis of them.
    """
    terms = base64.b64encode(read_input(file)).decode()
    return session.run_as("agreement.propose", {"terms": terms}, describe_act)


@agreement.command("list", cls=ActCommand, example="comity --node aurelia agreement list")
@click.pass_obj
def list_command(session: Session) -> int:
    """List the agreements on record, and their states."""
    return session.run("agreement.list", {}, list_agreements)


@agreement.command("show", cls=ActCommand, example="comity --node aurelia agreement show 3f2a")
@click.argument("agreement_id", metavar="ID")
@click.pass_obj
def show(session: Session, agreement_id: str) -> int:
    """Show the terms, the versions and every event."""
    return session.run("agreement.show", {"id": agreement_id}, describe_agreement)


@agreement.command("status", cls=ActCommand, example="comity --node aurelia agreement status 3f2a")
@click.argument("agreement_id", metavar="ID")
@click.pass_obj
def status(session: Session, agreement_id: str) -> int:
    """Say who signed, what is open, what is suspended, and whether anything can be released now, or why not."""
    return session.run("agreement.status", {"id": agreement_id}, describe_status)


@agreement.command(
    "clarify",
    cls=PersonCommand,
    example="comity --node borealia agreement clarify 3f2a --clause channels.main.regions --text 'All of Iraq?'",
)
@click.argument("agreement_id", metavar="ID")
@click.option("--clause", metavar="C", required=True, help="The clause in question, for example channels.main.regions.")
@click.option("--text", metavar="T", required=True, help="The question.")
@click.pass_obj
def clarify(session: Session, agreement_id: str, clause: str, text: str) -> int:
    """Ask about one clause. While a question is open before all have signed, the agreement is in clarification."""
    return session.run_as("agreement.clarify", {"id": agreement_id, "clause": clause, "text": text}, describe_act)


@agreement.command(
    "answer", cls=PersonCommand, example="comity --node aurelia agreement answer 3f2a --text 'Yes, all of it.'"
)
@click.argument("agreement_id", metavar="ID")
@click.option("--text", metavar="T", required=True, help="The answer.")
@click.option("--question", metavar="D", help="The question's id, or its beginning, where several are open.")
@click.pass_obj
def answer(session: Session, agreement_id: str, text: str, question: str | None) -> int:
    """Answer a question. The answer is on record and changes nothing in the terms."""
    return session.run_as("agreement.answer", {"id": agreement_id, "text": text, "question": question}, describe_act)


@agreement.command("accept", cls=PersonCommand, example="comity --node borealia --as boris.badge agreement accept 3f2a")
@click.argument("agreement_id", metavar="ID")
@click.pass_obj
def accept(session: Session, agreement_id: str) -> int:
    """Sign the latest version.

    Needs two different people, one of whom acts as legal: the second one gives the same command.
    Refused, with exit code 3, if this party's own policy does not recognise a legal basis of it.
    """
    return session.run_as("agreement.accept", {"id": agreement_id}, describe_act)


@agreement.command(
    "reject", cls=PersonCommand, example="comity --node borealia agreement reject 3f2a --reason 'Too wide.'"
)
@click.argument("agreement_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def reject(session: Session, agreement_id: str, reason: str | None) -> int:
    """Reject the latest version."""
    return _act(session, "reject", agreement_id, reason)


@agreement.command(
    "suspend", cls=PersonCommand, example="comity --node aurelia agreement suspend 3f2a --reason 'Review.'"
)
@click.argument("agreement_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def suspend(session: Session, agreement_id: str, reason: str | None) -> int:
    """Stop the agreement, alone and at once: when this returns, nothing leaves under it any more."""
    return _act(session, "suspend", agreement_id, reason)


@agreement.command("resume", cls=PersonCommand, example="comity --node aurelia agreement resume 3f2a")
@click.argument("agreement_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def resume(session: Session, agreement_id: str, reason: str | None) -> int:
    """Lift this party's own suspension. Those of others stay: only who suspended can resume.

    Needs two different people, one of whom acts as legal: the second one gives the same command with the same reason.
    """
    return _act(session, "resume", agreement_id, reason)


@agreement.command(
    "terminate", cls=PersonCommand, example="comity --node aurelia agreement terminate 3f2a --reason 'Mandate ended.'"
)
@click.argument("agreement_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def terminate(session: Session, agreement_id: str, reason: str | None) -> int:
    """End the agreement for good. The record and the restrictions on what was given stay."""
    return _act(session, "terminate", agreement_id, reason)


def _act(session: Session, verb: str, agreement_id: str, reason: str | None) -> int:
    return session.run_as(f"agreement.{verb}", {"id": agreement_id, "reason": reason}, describe_act)
