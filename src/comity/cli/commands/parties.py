# SPDX-License-Identifier: Apache-2.0
"""Shell: `party` and `credential`."""

import base64
from pathlib import Path

import click

from comity.cli.session import ActCommand, PersonCommand, Session, read_input, write_new
from comity.cli.words.parties import (
    describe_added,
    describe_credential,
    describe_protected,
    describe_repinned,
    describe_revoked,
    describe_rotated,
    list_credentials,
    list_parties,
)
from comity.operations.reply import Exit, Json

__all__ = ["credential", "party"]


@click.group()
def party() -> None:
    """Parties: this one, and the partners that are pinned."""


@party.command("export", cls=ActCommand, example="comity --node aurelia party export aurelia.manifest.json")
@click.argument("file", required=False)
@click.option("--of", metavar="PARTY", help="That of a party that is pinned here, as it was received.")
@click.option("--number", metavar="N", type=int, help="An earlier one: the version N.")
@click.option("--at", metavar="TIME", help="An earlier one: that of the TIME.")
@click.pass_obj
def export(session: Session, file: str | None, of: str | None, number: int | None, at: str | None) -> int:
    """Write this party's signed manifest to FILE, or to standard output, and say its digest.

    Partners need both: the file by any way, the digest over a channel on which they know you. What was signed before
    keys were replaced is verified by the manifest of its time: all of them are kept.
    """
    reply = session.carry_out("party.export", {"of": of, "number": number, "at": at})
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


@party.command(
    "repin",
    cls=PersonCommand,
    example='comity --node aurelia --as anna.badge party repin borealia.json --digest 5e1f… --reason "keys lost"',
)
@click.argument("file")
@click.option("--digest", metavar="D", required=True, help="The manifest's digest, received over another channel.")
@click.option("--reason", metavar="TEXT", required=True, help="Why; it goes into the log.")
@click.option("--url", metavar="URL", help="Where the party's node is, if that has changed.")
@click.pass_obj
def repin(session: Session, file: str, digest: str, reason: str, url: str | None) -> int:
    """Pin anew a partner that has lost its keys, by the manifest in FILE, which follows from nothing.

    It takes two people, one of them as legal. What was pinned stays on record and verifies what it signed; its keys,
    and the credentials given to the party, are good for nothing from here on. Agreements stay as they are.
    """
    arguments: dict[str, Json] = {
        "manifest": base64.b64encode(read_input(file)).decode(),
        "digest": digest,
        "url": url,
        "reason": reason,
    }
    return session.run_as("party.repin", arguments, describe_repinned)


@party.command("list", cls=ActCommand, example="comity --node aurelia party list")
@click.pass_obj
def list_command(session: Session) -> int:
    """List the parties that are pinned, this one among them."""
    return session.run("party.list", {}, list_parties)


_DAYS = click.option(
    "--days", metavar="N", type=int, default=730, show_default=True, help="How long the next manifest is good."
)


@party.command("rotate", cls=PersonCommand, example="comity --node aurelia --as anna.badge party rotate log transport")
@click.argument("roles", metavar="[KEYROLE]...", nargs=-1)
@_DAYS
@click.pass_obj
def rotate(session: Session, roles: tuple[str, ...], days: int) -> int:
    """Make other keys, and the next manifest that names them; partners are told.

    KEYROLE is manifest, agreement, log, transport or witness; where none is named, all five are replaced. The old keys
    are destroyed: what they signed stays good, and they sign nothing more.
    """
    return session.run_as("party.rotate", {"roles": list[Json](roles), "days": days}, describe_rotated)


@party.command("renew", cls=PersonCommand, example="comity --node aurelia --as anna.badge party renew --days 365")
@_DAYS
@click.pass_obj
def renew(session: Session, days: int) -> int:
    """Make the next manifest with the same keys and a later end; partners are told."""
    return session.run_as("party.renew", {"days": days}, describe_rotated)


@party.command("tls", cls=PersonCommand, example="comity --node aurelia --as anna.badge party tls /etc/comity/tls.pem")
@click.argument("certificates", metavar="[FILE]...", nargs=-1)
@click.option("--any", "any_key", is_flag=True, help="Name none: partners take any that an authority vouches for.")
@_DAYS
@click.pass_obj
def tls(session: Session, certificates: tuple[str, ...], days: int, *, any_key: bool) -> int:
    """Name the TLS keys of this party's server in the next manifest; partners connect to no other.

    FILE holds a certificate in PEM; its key is named, and may get another certificate later. Where the key is to be
    replaced, name both, the old one and the new one, before that, and the new one alone after it.
    """
    files = list[Json](read_input(file).decode("utf-8", "replace") for file in certificates)
    return session.run_as("party.tls", {"certificates": files, "any": any_key, "days": days}, describe_rotated)


@party.command(
    "revoke-key",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge party revoke-key agreement --since 2026-11-20T00:00:00Z",
)
@click.argument("key_role", metavar="KEYROLE")
@click.option("--since", metavar="TIME", required=True, help="From when on the key may have been in other hands.")
@_DAYS
@click.pass_obj
def revoke_key(session: Session, key_role: str, since: str, days: int) -> int:
    """Say that a key is in other hands, and replace it; partners are told, and take nothing more that it signs.

    One person is enough. KEYROLE is manifest, agreement, log or transport.
    """
    arguments: dict[str, Json] = {"key_role": key_role, "since": since, "days": days}
    return session.run_as("party.revoke-key", arguments, describe_rotated)


@party.command(
    "protect-keys",
    cls=ActCommand,
    example="comity --node aurelia party protect-keys --new-passphrase-file /run/credentials/comity",
)
@click.option(
    "--new-passphrase-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The passphrase; without it, it is asked for.",
)
@click.pass_obj
def protect_keys(session: Session, new_passphrase_file: Path | None) -> int:
    """Encrypt the keys of this node under a passphrase, or under another one. The node must not be served meanwhile.

    Copies made before stay as they are: rotate the keys after it, if somebody may have one.
    """
    return _protect(session, session.choose_passphrase(new_passphrase_file))


@party.command("unprotect-keys", cls=ActCommand, example="comity --node aurelia party unprotect-keys")
@click.pass_obj
def unprotect_keys(session: Session) -> int:
    """Leave the keys of this node without encryption. The node must not be served meanwhile."""
    return _protect(session, None)


def _protect(session: Session, passphrase: bytes | None) -> int:
    from comity.node.node import open_node
    from comity.node.rotation import protect_keys as protect

    # Not by way of the process that serves: a passphrase goes through as few hands as can be.
    node = open_node(session.node_folder(), session.unlock)
    try:
        protect(node, passphrase)
        encrypted = not node.keyring.list_plain()
    finally:
        node.close()
    session.show({"party": node.party, "keys": str(node.keyring.folder), "encrypted": encrypted}, describe_protected)
    return Exit.DONE


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
