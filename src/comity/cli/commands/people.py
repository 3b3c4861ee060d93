# SPDX-License-Identifier: Apache-2.0
"""Shell: `person`, and the acts that wait: `approvals`, `approve`, `decline`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from comity.cli.session import ActCommand, PersonCommand, Session
from comity.cli.words.matters import describe_approved
from comity.cli.words.people import (
    describe_added,
    describe_declined,
    describe_invited,
    describe_removed,
    describe_renewed,
    describe_signed_out,
    list_matters,
    list_people,
    list_sessions,
)
from comity.errors import ConflictError, MalformedRequest, UnavailableError
from comity.operations.reply import Exit, Json

__all__ = ["approvals", "approve", "decline", "person"]


@click.group()
def person() -> None:
    """People: who may act for this party, and their badges.

    Whoever controls the folder of the node decides who they are. Signing needs two of them, one as legal.
    """


@person.command(
    "add",
    cls=ActCommand,
    example="comity --node aurelia person add anna --name 'Anna Aalto' --role legal --badge anna.badge",
)
@click.argument("person_id", metavar="ID")
@click.option("--name", metavar="N", required=True, help="The person's name.")
@click.option(
    "--role",
    "roles",
    metavar="R",
    required=True,
    multiple=True,
    help="What the person may act as: analyst, liaison, legal, auditor or operator; may be given again.",
)
@click.option("--badge", metavar="FILE", required=True, help="Where the badge is written; FILE must not exist.")
@click.pass_obj
def add(session: Session, person_id: str, name: str, roles: tuple[str, ...], badge: str) -> int:
    """Register a person and write the badge that the person keeps: whoever has it can act as that person."""
    arguments: dict[str, Json] = {"person": person_id, "name": name, "roles": list[Json](roles)}
    return _run_with_badge(session, "person.add", arguments, badge)


@person.command("list", cls=ActCommand, example="comity --node aurelia person list")
@click.pass_obj
def list_command(session: Session) -> int:
    """List every person ever registered, the removed ones among them."""
    return session.run("person.list", {}, list_people)


@person.command("remove", cls=ActCommand, example="comity --node aurelia person remove anna")
@click.argument("person_id", metavar="ID")
@click.pass_obj
def remove(session: Session, person_id: str) -> int:
    """Let the person act no more, at once. What was approved and is not done dies; the record stays."""
    return session.run("person.remove", {"person": person_id}, describe_removed)


@person.command("renew", cls=ActCommand, example="comity --node aurelia person renew anna --badge anna.badge.2")
@click.argument("person_id", metavar="ID")
@click.option("--badge", metavar="FILE", required=True, help="Where the badge is written; FILE must not exist.")
@click.pass_obj
def renew(session: Session, person_id: str, badge: str) -> int:
    """Make another badge for the person. The one before is dead, and so is what waits with an approval by it."""
    return _run_with_badge(session, "person.renew", {"person": person_id}, badge)


@person.command("invite", cls=ActCommand, example="comity --node aurelia person invite anna --file anna.code")
@click.argument("person_id", metavar="ID")
@click.option("--file", "file", metavar="FILE", help="Write the code there instead of showing it; FILE must not exist.")
@click.pass_obj
def invite(session: Session, person_id: str, file: str | None) -> int:
    """Make a code by which the person enrols in the console: good once, for 24 hours.

    What the person signed in by before ends at once, and so do the person's sessions.
    """
    arguments: dict[str, Json] = {"person": person_id}
    if file is None:
        return session.run("person.invite", arguments, describe_invited)
    with _reserve(Path(file)) as handle:
        reply = session.carry_out("person.invite", arguments)
        if reply.result is None:
            Path(file).unlink()
        else:
            _write(handle, f"{reply.result.pop('code')}\n", file=file, again=f"person invite {person_id}")
            reply.result["file"] = file
            reply.result["url"] = str(reply.result["url"]).partition("#")[0] if reply.result["url"] else None
    return session.finish(reply, describe_invited)


@person.command("sessions", cls=ActCommand, example="comity --node aurelia person sessions anna")
@click.argument("person_id", metavar="[ID]", required=False)
@click.pass_obj
def sessions(session: Session, person_id: str | None) -> int:
    """List who is signed in to the console, and what happened at its door last."""
    return session.run("person.sessions", {"person": person_id}, list_sessions)


@person.command("sign-out", cls=ActCommand, example="comity --node aurelia person sign-out anna")
@click.argument("person_id", metavar="ID")
@click.pass_obj
def sign_out(session: Session, person_id: str) -> int:
    """End every session of the person in the console, at once. The person can sign in again."""
    return session.run("person.sign-out", {"person": person_id}, describe_signed_out)


@click.command("approvals", cls=ActCommand, example="comity --node aurelia approvals")
@click.pass_obj
def approvals(session: Session) -> int:
    """List the acts that wait for a second person: what exactly, who approved, who is missing, until when."""
    return session.run("approvals", {}, list_matters)


@click.command("approve", cls=PersonCommand, example="comity --node aurelia approve MATTER --why 'Basis seen.'")
@click.argument("matter", metavar="MATTER")
@click.pass_obj
def approve(session: Session, matter: str) -> int:
    """Approve an act that waits, as it stands: what the first person brought is signed, and no file is given again.

    MATTER is the whole of what `comity approvals` calls it: another act can be made whose name begins alike.
    """
    return session.run_as("approvals.approve", {"matter": matter}, describe_approved)


@click.command("decline", cls=PersonCommand, example="comity --node aurelia decline 3f2a91 --reason 'Too wide.'")
@click.argument("matter", metavar="MATTER")
@click.option("--reason", metavar="TEXT", required=True, help="Why; kept on this party's own record.")
@click.pass_obj
def decline(session: Session, matter: str, reason: str) -> int:
    """Decline an act that waits: it waits for nobody any more, and the log keeps who declined and why."""
    return session.run_as("approvals.decline", {"matter": matter, "reason": reason}, describe_declined)


def _run_with_badge(session: Session, operation: str, arguments: Mapping[str, Json], file: str) -> int:
    """Carry out, and put the badge that came back into FILE, whose place is taken before anything is done."""
    render = describe_added if operation == "person.add" else describe_renewed
    with _reserve(Path(file)) as handle:
        reply = session.carry_out(operation, arguments)
        if reply.result is None:
            # Nothing was done; an empty file must not be taken for a badge.
            Path(file).unlink()
        else:
            again = f"person renew {arguments['person']}"
            _write(handle, str(reply.result.pop("badge")), file=file, again=again)
            reply.result["file"] = file
    code = session.finish(reply, render)
    if code == Exit.DONE:
        session.note("For this person alone. It cannot be made again, only replaced (`person renew`).")
    return code


@contextmanager
def _reserve(path: Path) -> Iterator[int]:
    """A new, empty file that only its owner can read, open for writing; gone again if the block fails before that."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise ConflictError(f"{path} exists, and a badge never overwrites a file; name another") from error
    except OSError as error:
        raise MalformedRequest(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        yield handle
    except BaseException:
        with suppress(OSError):
            if os.fstat(handle).st_size == 0:
                path.unlink()
        raise
    finally:
        os.close(handle)


def _write(handle: int, text: str, *, file: str, again: str) -> None:
    try:
        os.write(handle, text.encode())
        os.fsync(handle)
    except OSError as error:
        raise UnavailableError(
            f"the secret could not be written to {file} ({error.strerror or error}), and nobody has it: see to the"
            f" room, and run `{again}` with another file"
        ) from error
