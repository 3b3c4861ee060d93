# SPDX-License-Identifier: Apache-2.0
"""Shell: `follow`."""

import click

from comity.cli.session import ActCommand, Session
from comity.cli.words.follow import describe_followed, describe_status

__all__ = ["follow", "show_status"]


@click.group()
def follow() -> None:
    """What `comity serve` takes in by itself: how far it is, and what went wrong."""


@follow.command("status", cls=ActCommand, example="comity --node borealia follow status")
@click.pass_obj
def status(session: Session) -> int:
    """Show, for each channel that is followed, how far this node is in it, and the last error.

    "in step" is when its giver last had nothing more: what is missing here was released after that.
    """
    return session.run("follow.status", {}, describe_followed)


@click.command("status", short_help="Show how the node stands.", cls=ActCommand, example="comity --node aurelia status")
@click.pass_obj
def show_status(session: Session) -> int:
    """Show how it stands with this node and with each partner; what is wrong first, with what to do.

    Nobody is asked for it: it is what this node knows from its own work.
    """
    return session.run("status", {}, describe_status)
