# SPDX-License-Identifier: Apache-2.0
"""Shell: `necessity` and `identity`."""

import click

from comity.cli.session import ActCommand, PersonCommand, Session, ask_reason, name_object
from comity.cli.words import safeguards as words

__all__ = ["identity", "necessity"]


@click.group()
def necessity() -> None:
    """Data of special categories and of minors: decide whether it is strictly necessary to give it."""


@necessity.command(
    "decide",
    cls=PersonCommand,
    example="comity --node aurelia --as leo.badge necessity decide identity--4b2e --reason 'To find the child.'",
)
@name_object
@ask_reason
@click.pass_obj
def decide(session: Session, object_id: str, reason: str) -> int:
    """Decide that it is strictly necessary to give what OBJECT holds of special categories, or of a minor.

    Two people, one of them as legal, with the same reason. It goes then where terms admit it; a word or a version that
    adds another category is held back again.
    """
    return session.run_as("necessity.decide", {"id": object_id, "reason": reason}, words.describe_decided)


@necessity.command(
    "end",
    cls=PersonCommand,
    example="comity --node aurelia --as leo.badge necessity end identity--4b2e --reason 'Found.'",
)
@name_object
@ask_reason
@click.pass_obj
def end(session: Session, object_id: str, reason: str) -> int:
    """End every decision on OBJECT: from here on it goes to nobody. One person is enough."""
    return session.run_as("necessity.end", {"id": object_id, "reason": reason}, words.describe_ended)


@necessity.command("list", cls=ActCommand, example="comity --node aurelia necessity list")
@click.pass_obj
def list_command(session: Session) -> int:
    """List the objects that wait for a decision, and every decision there was."""
    return session.run("necessity.list", {}, words.list_necessity)


@click.group()
def identity() -> None:
    """Persons who may be one: candidates, and what people say of two."""


@identity.command("candidates", cls=ActCommand, example="comity --node aurelia identity candidates identity--4b2e")
@name_object
@click.pass_obj
def candidates(session: Session, object_id: str) -> int:
    """List whom else to look at: what agrees, what differs. Names that sound alike are no identifiers."""
    return session.run("identity.candidates", {"id": object_id}, words.list_candidates)


@identity.command(
    "same",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge identity same identity--4b2e identity--77c0 --reason 'Seen.'",
)
@name_object
@click.argument("other", metavar="OTHER")
@ask_reason
@click.pass_obj
def same(session: Session, object_id: str, other: str, reason: str) -> int:
    """Say that OBJECT and OTHER are about one person; two identifiers of different kinds have to agree.

    It goes on record and is shown; no object changes by it.
    """
    return session.run_as("identity.same", {"id": object_id, "other": other, "reason": reason}, words.describe_judged)


@identity.command(
    "differ",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge identity differ identity--4b2e identity--77c0 --reason 'Brothers.'",
)
@name_object
@click.argument("other", metavar="OTHER")
@ask_reason
@click.pass_obj
def differ(session: Session, object_id: str, other: str, reason: str) -> int:
    """Say that OBJECT and OTHER are not about the same person: they are no candidates of each other any more."""
    return session.run_as("identity.differ", {"id": object_id, "other": other, "reason": reason}, words.describe_judged)


@identity.command("list", cls=ActCommand, example="comity --node aurelia identity list")
@click.pass_obj
def list_judged(session: Session) -> int:
    """List what people ever said of two persons, oldest first; the last word on two counts."""
    return session.run("identity.list", {}, words.list_judged)
