# SPDX-License-Identifier: Apache-2.0
"""Shell: `matrix`."""

import click

from comity.cli.session import ActCommand, Session
from comity.cli.words.matrix import describe_matrix, describe_seen

__all__ = ["matrix"]

_AXES = ("tlp", "subjects", "types", "originators", "regions", "kinds")


@click.group("matrix")
def matrix() -> None:
    """Who would get what of all that is held."""


@matrix.command("show", cls=ActCommand, example="comity --node aurelia matrix show --by subjects")
@click.option("--by", metavar="AXIS", type=click.Choice(_AXES), default="tlp", show_default=True, help="The columns.")
@click.option("--after", metavar="PARTY", help="Go on behind this party.")
@click.option("--parties", metavar="N", type=click.IntRange(1, 50), default=25, show_default=True, help="How many.")
@click.pass_obj
def show(session: Session, by: str, after: str | None, parties: int) -> int:
    """Show what each party would get now: whole, redacted, nothing, or nothing as long as a gate is closed.

    AXIS is tlp, subjects, types, originators, regions or kinds.
    """
    return session.run("matrix.show", {"by": by, "after": after, "parties": parties}, describe_matrix)


@matrix.command("see", cls=ActCommand, example="comity --node aurelia matrix see borealia")
@click.argument("party", metavar="PARTY")
@click.option("--collection", metavar="ID", help="Which of its collections; else the first that is open.")
@click.option("--before", metavar="NEXT", help="Go on where another list ended.")
@click.option("--last", metavar="N", type=click.IntRange(1, 100), default=20, show_default=True, help="How many.")
@click.pass_obj
def see(session: Session, party: str, collection: str | None, before: str | None, last: int) -> int:
    """Show exactly what PARTY would get now. Nothing leaves, and nothing goes on record."""
    asked = {"party": party, "collection": collection, "before": before, "last": last}
    return session.run("matrix.see", {**asked}, describe_seen)
