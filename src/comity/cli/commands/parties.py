# SPDX-License-Identifier: Apache-2.0
"""Shell: `party` and `credential`."""

import base64

import click

from comity.cli.session import ActCommand, Session, read_input, write_new
from comity.cli.words.parties import (
    describe_added,
    describe_credential,
    describe_revoked,
    list_credentials,
    list_parties,
)

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


@credential.command("create", cls=ActCommand, example="comity --node aurelia credential create borealia --days 90")
@click.argument("party_id", metavar="PARTY")
@click.option("--days", metavar="N", type=int, default=365, show_default=True, help="How long it is good.")
@click.pass_obj
def create(session: Session, party_id: str, days: int) -> int:
    """Make a credential for PARTY and print it, this once.

    The partner gives it as the password of HTTP Basic (with any user name), as a Bearer token or as X-API-Key. Only its
    hash is kept here. Those that PARTY has go on: have it change over, then revoke the old one.
    """
    reply = session.carry_out("credential.create", {"party": party_id, "days": days})
    code = session.finish(reply, describe_credential)
    if reply.result is not None:
        session.note(
            f"For {party_id} alone, until {str(reply.result['expires_at'])[:10]}. It cannot be shown again; to revoke"
            f" it, name {reply.result['id']}."
        )
    return code


@credential.command("list", cls=ActCommand, example="comity --node aurelia credential list borealia")
@click.argument("party_id", metavar="[PARTY]", required=False)
@click.pass_obj
def list_given(session: Session, party_id: str | None) -> int:
    """List the credentials given to partners, or to PARTY: until when, last used on which day. No secret is shown."""
    return session.run("credential.list", {"party": party_id}, list_credentials)


@credential.command("revoke", cls=ActCommand, example="comity --node aurelia credential revoke 5e1f")
@click.argument("credential_id", metavar="ID")
@click.pass_obj
def revoke(session: Session, credential_id: str) -> int:
    """Let the credential let nobody in, from the next request on. ID is what `credential list` shows, or its beginning.

    An answer that is under way goes on; `agreement suspend` cuts it.
    """
    return session.run("credential.revoke", {"id": credential_id}, describe_revoked)
