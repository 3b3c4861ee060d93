# SPDX-License-Identifier: Apache-2.0
"""Shell: `retention` and `work`."""

import click

from comity.cli.session import ActCommand, PersonCommand, Session
from comity.cli.words.retention import describe_kept, describe_purged, list_reviews, list_work

__all__ = ["retention", "work"]


@click.group()
def retention() -> None:
    """Received objects: review them, delete them, as the terms say that they came under."""


@retention.command("list", cls=ActCommand, example="comity --node borealia retention list")
@click.option("--after", metavar="NEXT", help="Go on where another list ended; it says by what.")
@click.option("--most", metavar="N", type=click.IntRange(1, 1_000), default=1_000, show_default=True, help="How many.")
@click.pass_obj
def list_command(session: Session, after: str | None, most: int) -> int:
    """List the objects whose review or deletion is due within 30 days, or overdue, the earliest first."""
    return session.run("retention.list", {"after": after, "most": most}, list_reviews)


@retention.command(
    "keep",
    cls=PersonCommand,
    example="comity --node borealia retention keep report--4b2e --reason 'Case 12 is open; needed until the hearing.'",
)
@click.argument("object_id", metavar="OBJECT")
@click.option("--reason", metavar="TEXT", required=True, help="Why it is still needed.")
@click.pass_obj
def keep(session: Session, object_id: str, reason: str) -> int:
    """Decide to keep a received OBJECT until its next review. The maximum that its terms set stays.

    OBJECT may be any unique beginning of its id. Once the date of its review has passed it cannot be kept any more.
    """
    return session.run_as("retention.keep", {"id": object_id, "reason": reason}, describe_kept)


@retention.command(
    "delete",
    cls=PersonCommand,
    example="comity --node borealia retention delete report--4b2e --reason 'Found to be wrong.'",
)
@click.argument("object_id", metavar="OBJECT")
@click.option("--reason", metavar="TEXT", required=True, help="Why it is deleted.")
@click.pass_obj
def delete(session: Session, object_id: str, reason: str) -> int:
    """Delete OBJECT, every version of it, received or this party's own. It cannot be undone.

    What refers to it is withheld from then on. Partners who were given it are not told, and keep it.
    """
    return session.run_as("retention.delete", {"id": object_id, "reason": reason}, describe_purged)


@retention.command("run", cls=ActCommand, example="comity --node borealia retention run")
@click.pass_obj
def run(session: Session) -> int:
    """Delete everything that is due. `comity serve` does so by itself."""
    return session.run("retention.run", {}, describe_purged)


@click.command(
    short_help="List what waits for this party.", cls=ActCommand, example="comity --node aurelia work --json"
)
@click.pass_obj
def work(session: Session) -> int:
    """List what waits for this party's people over all agreements, oldest first.

    Steps it owes, reviews, what ends or runs out within 30 days, messages that do not arrive, and what was deleted in
    the last 7 days.
    """
    return session.run("work", {}, list_work)
