# SPDX-License-Identifier: Apache-2.0
"""Shell: `agreement`."""

import base64
import re
from pathlib import Path

import click

from comity.cli.commands.scenarios import check_scenarios
from comity.cli.session import ActCommand, PersonCommand, Session, read_input, write_new, write_private
from comity.cli.words.agreements import (
    describe_act,
    describe_agreement,
    describe_import,
    describe_status,
    list_agreements,
)
from comity.cli.words.certificate import describe_certificate, warn_of_problems
from comity.cli.words.previews import describe_check, describe_comparison, describe_preview
from comity.cli.words.retention import describe_review
from comity.counting import say_count
from comity.errors import MalformedRequest
from comity.operations.reply import Json

__all__ = ["agreement"]

_NAME = re.compile(r"[0-9A-Fa-f]{1,64}")
_SAMPLES = "How many ids are shown as examples of each group."


@click.group()
def agreement() -> None:
    """Agreements: propose, negotiate, sign, suspend, end.

    ID is the agreement's id or any unique beginning of it, at least 4 characters.
    """


agreement.add_command(check_scenarios)

_reserve = click.option(
    "--reserve",
    "reservations",
    metavar="C:G",
    multiple=True,
    help="Sign with a reservation on clause C. G: national_law, international_obligation or essential_interest.",
)
_channel = click.option("--channel", metavar="C", help="This channel alone.")


@agreement.command("propose", cls=PersonCommand, example="comity --node aurelia agreement propose terms.toml")
@click.argument("file")
@_reserve
@click.pass_obj
def propose(session: Session, file: str, reservations: tuple[str, ...]) -> int:
    """Sign the terms in FILE (TOML) and send them to every other party of them.

    Needs two different people, one of whom acts as legal: the second one gives the same command with the same file.
    The next version of a text that is still open is a counter-proposal, which refuses the one before. Refused, with
    exit code 3, if this party's own policy does not recognise a legal basis of them.
    """
    terms = base64.b64encode(read_input(file)).decode()
    return session.run_as("agreement.propose", {"terms": terms, "reservations": list(reservations)}, describe_act)


@agreement.command("check", cls=ActCommand, example="comity --node aurelia agreement check terms.toml")
@click.argument("file")
@click.pass_obj
def check(session: Session, file: str) -> int:
    """Read the terms in FILE (TOML), and say whether this party could propose them and what they conflict with.

    Nothing is signed. The exit code is 3 if they could not be proposed now or this party's own policy refuses them,
    else 11 if they conflict with an agreement that this party is bound by.
    """
    terms = base64.b64encode(read_input(file)).decode()
    return session.run("agreement.check", {"terms": terms}, describe_check)


@agreement.command("preview", cls=ActCommand, example="comity --node aurelia agreement preview terms.toml")
@click.argument("terms", metavar="FILE|ID")
@click.option("--samples", metavar="N", type=click.IntRange(0, 100), default=3, show_default=True, help=_SAMPLES)
@click.pass_obj
def preview(session: Session, terms: str, samples: int) -> int:
    """Show what terms would release of what is held now, to whom, and what they would change; nothing is signed.

    FILE has the terms as TOML. ID is the id of an agreement on record, for its latest version, or a version's hash. The
    exit code is 3 if this party's own policy refuses them.
    """
    return session.run("agreement.preview", {**_read_source(terms, ""), "samples": samples}, describe_preview)


@agreement.command("diff", cls=ActCommand, example="comity --node aurelia agreement diff 3f2a terms.toml")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--samples", metavar="N", type=click.IntRange(0, 100), default=3, show_default=True, help=_SAMPLES)
@click.pass_obj
def diff(session: Session, before: str, after: str, samples: int) -> int:
    """Show how the terms B differ from A: clause by clause, and in what they would release of what is held now.

    Each is a file with terms as TOML, or the hash of a version on record or its beginning.
    """
    sources = {**_read_source(before, "before_"), **_read_source(after, "after_")}
    return session.run("agreement.diff", {**sources, "samples": samples}, describe_comparison)


@agreement.command("list", cls=ActCommand, example="comity --node aurelia agreement list --state 'in force'")
@click.option("--state", metavar="STATE", help="Those in this state alone, for example 'in force' or suspended.")
@click.option("--party", metavar="PARTY", help="Those with this party alone.")
@click.pass_obj
def list_command(session: Session, state: str | None, party: str | None) -> int:
    """List the agreements on record, and their states."""
    return session.run("agreement.list", {"state": state, "party": party}, list_agreements)


@agreement.command("show", cls=ActCommand, example="comity --node aurelia agreement show 3f2a")
@click.argument("agreement_id", metavar="ID")
@click.pass_obj
def show(session: Session, agreement_id: str) -> int:
    """Show the terms, the versions and every event."""
    return session.run("agreement.show", {"id": agreement_id}, describe_agreement)


@agreement.command("status", cls=ActCommand, example="comity --node aurelia agreement status 3f2a")
@click.argument("agreement_id", metavar="ID")
@click.option("--at", metavar="TIME", help="As it stood at TIME, by what this node had on record then.")
@click.pass_obj
def status(session: Session, agreement_id: str, at: str | None) -> int:
    """Say who signed, what is open or suspended, whose turn it is, and whether anything can be released, or why not."""
    return session.run("agreement.status", {"id": agreement_id, "at": at}, describe_status)


@agreement.command("export", cls=ActCommand, example="comity --node aurelia agreement export 3f2a 3f2a.messages.json")
@click.argument("agreement_id", metavar="ID")
@click.argument("file", required=False)
@click.pass_obj
def export(session: Session, agreement_id: str, file: str | None) -> int:
    """Write every signed message of the agreement to FILE, or to standard output, for a node without a connection."""
    reply = session.carry_out("agreement.export", {"id": agreement_id})
    if reply.result is None or file is None:
        return session.finish(reply, lambda result: str(result["messages"]).rstrip("\n"))
    write_new(file, str(reply.result.pop("messages")))
    reply.result["file"] = file
    return session.finish(reply, lambda result: f"{say_count(result['count'], 'message')} written to {file}")


@agreement.command(
    "certificate", cls=ActCommand, example="comity --node aurelia agreement certificate 3f2a certificate.pdf"
)
@click.argument("agreement_id", metavar="ID")
@click.argument("file", required=False)
@click.option("--at", metavar="TIME", help="As it stood at TIME, by what this node had on record then.")
@click.option("--format", "form", type=click.Choice(["html", "pdf"]), help="Without it, what the name of FILE ends in.")
@click.pass_obj
def certificate(session: Session, agreement_id: str, file: str | None, at: str | None, form: str | None) -> int:
    """Write all that is on record of the agreement, every signature verified again, as a document to print.

    HTML goes to standard output when no FILE is named. Exit code 7 when something does not verify: the document says
    what, and is written all the same.
    """
    as_pdf = (form or ("pdf" if (file or "").lower().endswith(".pdf") else "html")) == "pdf"
    if as_pdf and file is None:
        raise MalformedRequest("name the FILE that the PDF is written to")
    reply = session.carry_out("agreement.certificate", {"id": agreement_id, "at": at})
    if reply.result is None:
        return session.finish(reply, describe_certificate)
    if problems := warn_of_problems(reply.result):
        session.note(problems)
    if file is None and session.as_json:
        return session.finish(reply, describe_certificate)
    from comity.operations.printing import format_html, format_pdf

    document = format_pdf(reply.result) if as_pdf else format_html(reply.result)
    if file is None:
        return session.finish(reply, lambda _: document.decode().rstrip("\n"))
    write_private(file, document)
    reply.result["file"] = file
    return session.finish(reply, describe_certificate)


@agreement.command("import", cls=ActCommand, example="comity --node borealia agreement import 3f2a.messages.json")
@click.argument("file")
@click.pass_obj
def import_command(session: Session, file: str) -> int:
    """Record the messages in FILE, which another party exported. Those that are known already change nothing."""
    messages = base64.b64encode(read_input(file)).decode()
    return session.run("agreement.import", {"messages": messages}, describe_import)


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


@agreement.command("accept", cls=PersonCommand, example="comity --node borealia agreement accept 3f2a")
@click.argument("agreement_id", metavar="ID")
@_reserve
@click.pass_obj
def accept(session: Session, agreement_id: str, reservations: tuple[str, ...]) -> int:
    """Sign the latest version.

    Needs two different people, one of whom acts as legal: the second one gives the same command. Refused, with exit
    code 3, if this party's own policy does not recognise a legal basis of it.
    """
    return session.run_as("agreement.accept", {"id": agreement_id, "reservations": list(reservations)}, describe_act)


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
    "withdraw", cls=PersonCommand, example="comity --node aurelia agreement withdraw 3f2a --reason 'Under review.'"
)
@click.argument("agreement_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def withdraw(session: Session, agreement_id: str, reason: str | None) -> int:
    """Take back this party's signature on the latest version, which not all have signed."""
    return _act(session, "withdraw", agreement_id, reason)


@agreement.command(
    "suspend", cls=PersonCommand, example="comity --node aurelia agreement suspend 3f2a --reason 'Review.'"
)
@click.argument("agreement_id", metavar="ID")
@_channel
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def suspend(session: Session, agreement_id: str, channel: str | None, reason: str | None) -> int:
    """Stop the agreement, alone and at once: when this returns, nothing leaves under it any more."""
    return _act(session, "suspend", agreement_id, reason, channel=channel)


@agreement.command("resume", cls=PersonCommand, example="comity --node aurelia agreement resume 3f2a")
@click.argument("agreement_id", metavar="ID")
@_channel
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def resume(session: Session, agreement_id: str, channel: str | None, reason: str | None) -> int:
    """Lift this party's own suspensions. Those of others stay: only who suspended can resume.

    Needs two different people, one of whom acts as legal: the second one gives the same command with the same reason.
    """
    return _act(session, "resume", agreement_id, reason, channel=channel)


@agreement.command(
    "terminate", cls=PersonCommand, example="comity --node aurelia agreement terminate 3f2a --reason 'Mandate ended.'"
)
@click.argument("agreement_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def terminate(session: Session, agreement_id: str, reason: str | None) -> int:
    """End the agreement for good. The record and the restrictions on what was given stay."""
    return _act(session, "terminate", agreement_id, reason)


@agreement.command(
    "leave", cls=PersonCommand, example="comity --node meridia agreement leave 3f2a --reason 'Mandate ended.'"
)
@click.argument("agreement_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; sent to the other parties.")
@click.pass_obj
def leave(session: Session, agreement_id: str, reason: str | None) -> int:
    """Leave a group for good. The others go on; what this party gave stays under its terms."""
    return _act(session, "leave", agreement_id, reason)


@agreement.command("admit", cls=PersonCommand, example="comity --node aurelia agreement admit 3f2a tavria")
@click.argument("agreement_id", metavar="ID")
@click.argument("party_id", metavar="PARTY")
@click.pass_obj
def admit(session: Session, agreement_id: str, party_id: str) -> int:
    """Admit PARTY to a group that can be joined, as one of its founders.

    When as many founders as the terms ask for have done so, the text is sent to PARTY, and not before. Needs two
    different people, one of whom acts as legal.
    """
    return session.run_as("agreement.admit", {"id": agreement_id, "party": party_id}, describe_act)


@agreement.command("accede", cls=PersonCommand, example="comity --node tavria agreement accede 3f2a --bases bases.toml")
@click.argument("agreement_id", metavar="ID")
@click.option("--bases", metavar="FILE", required=True, help="The legal bases that this party cites (TOML).")
@_reserve
@click.pass_obj
def accede(session: Session, agreement_id: str, bases: str, reservations: tuple[str, ...]) -> int:
    """Join a group by signing its text; the founders that the terms ask for must have admitted this party.

    What the members gave one another before is not given to a joiner. Needs two different people, one of whom acts as
    legal.
    """
    data = base64.b64encode(read_input(bases)).decode()
    arguments: dict[str, Json] = {"id": agreement_id, "bases": data, "reservations": list(reservations)}
    return session.run_as("agreement.accede", arguments, describe_act)


@agreement.command(
    "review",
    cls=PersonCommand,
    example="comity --node aurelia agreement review 3f2a --reason 'Still needed; as agreed.'",
)
@click.argument("agreement_id", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True, help="What the review found.")
@click.pass_obj
def review(session: Session, agreement_id: str, reason: str) -> int:
    """Record that the agreement was reviewed, as its terms ask on certain dates. No partner is told."""
    return session.run_as("agreement.review", {"id": agreement_id, "reason": reason}, describe_review)


def _act(session: Session, verb: str, agreement_id: str, reason: str | None, *, channel: str | None = None) -> int:
    arguments: dict[str, Json] = {"id": agreement_id, "reason": reason, "channel": channel}
    return session.run_as(f"agreement.{verb}", arguments, describe_act)


def _read_source(name: str, prefix: str) -> dict[str, Json]:
    """What `name` stands for: the file of that name if there is one, else something on record."""
    if _NAME.fullmatch(name) and not Path(name).exists():
        return {f"{prefix}id": name}
    return {f"{prefix}terms": base64.b64encode(read_input(name)).decode()}
