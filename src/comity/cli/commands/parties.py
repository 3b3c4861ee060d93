# SPDX-License-Identifier: Apache-2.0
"""Shell: `party` and `credential`."""

import base64

import click

from comity.cli.reply import Exit
from comity.cli.session import ActCommand, Session, read_input, write_new
from comity.cli.words.parties import describe_added, describe_credential, list_parties

__all__ = ["credential", "party"]


@click.group()
def party() -> None:
    """Parties: this one, and the partners that are pinned."""


@party.command("export", cls=ActCommand, example="comity --node aurelia party export aurelia.manifest.json")
@click.argument("file", required=False)
@click.pass_obj
def export(session: Session, file: str | None) -> int:
    """Write this party's signed manifest to FILE, or to standard output, and say its digest.

    Partners need both: the file by any way, the digest over a channel on which they know you.
    """
    reply = session.carry_out("party.export", {})
    if reply.result is None:
        return session.finish(reply, lambda _: "")
    text = str(reply.result["manifest"])
    if file is None:
        session.note(f"digest {reply.result['digest']}")
        return session.finish(reply, lambda _: text)
    write_new(file, text)
    del reply.result["manifest"]
    reply.result["file"] = file
    return session.finish(reply, lambda result: f"digest {result['digest']}")


@party.command(
    "add",
    cls=ActCommand,
    example="comity --node aurelia party add borealia.manifest.json --digest 5e1f… --url https://borealia.example",
)
@click.argument("file")
@click.option("--digest", metavar="D", help="The manifest's digest, received over another channel; needed at first.")
@click.option("--url", metavar="URL", help="Where the party's node is.")
@click.pass_obj
def add(session: Session, file: str, digest: str | None, url: str | None) -> int:
    """Pin the party whose signed manifest is in FILE.

    A later manifest of a pinned party follows without a digest, if the keys of the pinned one signed it.
    """
    manifest = base64.b64encode(read_input(file)).decode()
    return session.run("party.add", {"manifest": manifest, "digest": digest, "url": url}, describe_added)


@party.command("list", cls=ActCommand, example="comity --node aurelia party list")
@click.pass_obj
def list_command(session: Session) -> int:
    """List the parties that are pinned, this one among them."""
    return session.run("party.list", {}, list_parties)


@click.group()
def credential() -> None:
    """Credentials, for partners whose TAXII client cannot sign."""


@credential.command("create", cls=ActCommand, example="comity --node aurelia credential create borealia")
@click.argument("party_id", metavar="PARTY")
@click.pass_obj
def create(session: Session, party_id: str) -> int:
    """Make a credential for PARTY and print it, this once.

    The partner gives it as the password of HTTP Basic, with any user name. Only its hash is kept here.
    """
    code = session.run("credential.create", {"party": party_id}, describe_credential)
    if code == Exit.DONE:
        session.note(f"For {party_id} alone. It cannot be shown again.")
    return code
