# SPDX-License-Identifier: Apache-2.0
"""Shell: `init` and `serve`."""

from pathlib import Path

import click

from comity.cli.session import ActCommand, Session
from comity.cli.words.parties import describe_founded
from comity.operations.reply import Exit

__all__ = ["init", "serve"]

_DEFAULT_LISTEN = "127.0.0.1:8440"


@click.command(
    short_help="Make a node in DIR.",
    cls=ActCommand,
    example="comity init aurelia --party aurelia --name 'Aurelia, Liaison Service' --state XA",
)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--party", required=True, metavar="ID", help="The party's id: lower-case letters, digits, '.' and '-'.")
@click.option("--name", required=True, metavar="NAME", help="The party's name, as people know it.")
@click.option("--state", metavar="CC", help="Its state, by ISO 3166-1 alpha-2 code; none for an organisation.")
@click.option("--protect", is_flag=True, help="Encrypt the keys under a passphrase.")
@click.pass_obj
def init(session: Session, folder: Path, party: str, name: str, state: str | None, *, protect: bool) -> int:
    """Make a node in DIR: keys, a signed manifest, an empty store, and a policy that recognises nothing.

    DIR must not exist yet, or be empty. With --protect the keys are encrypted under the passphrase that `comity
    --key-passphrase-file` names, or one that is typed; else they are plain, and whoever reads DIR can sign.
    """
    from comity.config import find_passphrase_file, parse_address
    from comity.errors import MalformedRequest
    from comity.ids import parse_party_id
    from comity.node.founding import found_node
    from comity.operations.parties import describe_manifest

    if not name.isprintable():
        raise MalformedRequest("a name is text in UTF-8, and all of it shows", where="--name")
    passphrase = session.choose_passphrase(find_passphrase_file(session.passphrase_file)) if protect else None
    manifest = found_node(
        folder,
        party=parse_party_id(party),
        name=name,
        state=state,
        listen=parse_address(_DEFAULT_LISTEN),
        passphrase=passphrase,
    )
    session.show({**describe_manifest(manifest), "folder": str(folder), "encrypted": protect}, describe_founded)
    return Exit.DONE


@click.command(
    short_help="Answer partners over TAXII 2.1.",
    cls=ActCommand,
    example="comity --node aurelia serve --listen 127.0.0.1:8440",
)
@click.option("--listen", metavar="HOST:PORT", help="Where to listen, instead of `listen` in node.toml.")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many processes answer partners.",
)
@click.pass_obj
def serve(session: Session, listen: str | None, workers: int) -> int:
    """Answer partners over TAXII 2.1, take and deliver messages, until stopped by SIGTERM or ctrl-C.

    Prints one line when it is ready. While it runs it owns the store; other commands go through it.
    """
    from comity.cli.serve import serve_node

    return serve_node(session, listen=listen, workers=workers)
