# SPDX-License-Identifier: Apache-2.0
"""Shell: `source`."""

import base64

import click

from comity.cli.session import ActCommand, PersonCommand, Session, read_input
from comity.cli.words.sources import describe_drawn, describe_dropped, describe_source, list_sources

__all__ = ["source"]


@click.group()
def source() -> None:
    """TAXII 2.1 servers that are no nodes, and feeds of MISP: they come in under this party's own terms of receipt."""


@source.command(
    "add",
    short_help="Follow a TAXII 2.1 server or a feed of MISP.",
    cls=PersonCommand,
    example="comity --node borealia --as anna.badge source add north --url https://taxii.north.example/api1/"
    " --collection 91a7b528-80eb-42ed-a74d-c6fbd5a26116 --terms north.toml --credential north.secret",
)
@click.argument("name")
@click.option("--url", required=True, metavar="URL", help="The API root; of a feed of MISP, its folder.")
@click.option("--collection", metavar="ID", help="The collection.")
@click.option("--misp", is_flag=True, help="It is a feed of MISP, which has no collections; needs comity[misp].")
@click.option("--terms", required=True, metavar="FILE", help="The terms of receipt, as TOML.")
@click.option("--credential", metavar="FILE", help="A file in the folder of the node: USER:PASSWORD, or a token.")
@click.option("--scheme", metavar="S", help="How the credential is shown: basic (unless said otherwise) or bearer.")
@click.pass_obj
def add(
    session: Session,
    name: str,
    *,
    url: str,
    collection: str | None,
    misp: bool,
    terms: str,
    credential: str | None,
    scheme: str | None,
) -> int:
    """Follow a collection of a TAXII 2.1 server that is no node, or a feed of MISP, under the terms of receipt in FILE.

    Two people, one of them as legal. The same NAME again goes on under the new terms. What they do not let in is not
    kept; what came before them stays under those it came under.
    """
    document = base64.b64encode(read_input(terms)).decode()
    return session.run_as(
        "source.add",
        {
            "name": name,
            "url": url,
            "collection": collection,
            "misp": misp,
            "terms": document,
            "credential": credential,
            "scheme": scheme,
        },
        describe_source,
    )


@source.command("list", cls=ActCommand, example="comity --node borealia source list")
@click.pass_obj
def list_command(session: Session) -> int:
    """List the sources that are followed, what their terms let in, and what was withheld."""
    return session.run("source.list", {}, list_sources)


@source.command("drop", cls=PersonCommand, example="comity --node borealia --as anna.badge source drop north")
@click.argument("name")
@click.pass_obj
def drop(session: Session, name: str) -> int:
    """Follow the source no more. What came from it stays, under its terms. One person is enough."""
    return session.run_as("source.drop", {"name": name}, describe_dropped)


@source.command("pull", cls=ActCommand, example="comity --node borealia source pull north")
@click.argument("name")
@click.pass_obj
def pull(session: Session, name: str) -> int:
    """Take in now what the source has that did not come yet; `comity serve` does it by itself."""
    return session.run("source.pull", {"name": name}, describe_drawn)
