# SPDX-License-Identifier: Apache-2.0
"""Shell: `object`, `explain` and `pull`."""

import base64
from collections.abc import Sequence
from typing import Any

import click

from comity.cli.reply import Exit, Json, Reply
from comity.cli.session import ActCommand, Session, read_input
from comity.cli.words.objects import (
    describe_explanation,
    describe_intake,
    describe_object,
    describe_pull,
    describe_unkept,
)

__all__ = ["explain", "objects", "pull"]


@click.group("object")
def objects() -> None:
    """Objects: take in this party's own, look at what is held."""


@objects.command(
    "add",
    cls=ActCommand,
    example="comity --node aurelia object add bundle.json --subject unsc:QDe.901 --region IQ --kind threat_assessment",
)
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@click.option("--subject", "subjects", metavar="S", multiple=True, help="Whom or what it is about, as scheme:id.")
@click.option("--region", "regions", metavar="R", multiple=True, help="Where, by ISO 3166-1 alpha-2 code.")
@click.option("--kind", "kinds", metavar="K", multiple=True, help="What kind of information it is.")
@click.pass_obj
def add(
    session: Session, files: Sequence[str], subjects: Sequence[str], regions: Sequence[str], kinds: Sequence[str]
) -> int:
    """Take in STIX 2.1 objects from each FILE: a bundle, a TAXII envelope or one object; "-" is standard input.

    Subjects, regions and kinds are said of every object in the files, besides what each says of itself. Bad objects are
    listed and the good ones kept; an indicator whose pattern does not parse is kept, goes to nobody, and is listed. The
    exit code is 1 if anything is listed.
    """
    words: dict[str, Json] = {"subjects": [*subjects], "regions": [*regions], "kinds": [*kinds]}
    contents = [(file, base64.b64encode(read_input(file)).decode()) for file in files]
    taken_in = list[dict[str, Any]]()
    for file, data in contents:
        reply = session.carry_out("object.add", {"data": data, **words})
        if reply.error is not None and not str(reply.error["code"]).startswith(_UNREADABLE):
            _tell_kept(session, taken_in)
            return session.finish(reply, describe_intake)
        taken_in.append({"file": file, **_read_intake(reply)})
    result: dict[str, Json] = {
        "added": sum(len(item["added"]) for item in taken_in),
        "known": sum(item["known"] for item in taken_in),
        "bad": sum(len(item["bad"]) for item in taken_in),
        "unparsable": sum(len(item["unparsable"]) for item in taken_in),
        "files": [*taken_in],
    }
    session.show(result, describe_intake)
    return Exit.FAILED if result["bad"] or result["unparsable"] else Exit.DONE


@objects.command("show", cls=ActCommand, example="comity --node aurelia object show report--4b2e")
@click.argument("object_id", metavar="ID")
@click.pass_obj
def show(session: Session, object_id: str) -> int:
    """Show an object, what it counts as, and where it came from. ID may be any unique beginning."""
    return session.run("object.show", {"id": object_id}, describe_object)


@objects.command("unkept", cls=ActCommand, example="comity --node aurelia object unkept --last 20")
@click.option("--last", metavar="N", type=click.IntRange(min=0), default=20, show_default=True, help="How many.")
@click.pass_obj
def unkept(session: Session, last: int) -> int:
    """List what partners wrote here and this node did not keep, because it clashed with what was held.

    The partner is not told. An entry is there for 90 days.
    """
    return session.run("object.unkept", {"last": last}, describe_unkept)


@click.command(
    short_help="Say why an object goes, or not, to PARTY.",
    cls=ActCommand,
    example="comity --node aurelia explain report--4b2e --to borealia",
)
@click.argument("object_id", metavar="OBJECT")
@click.option("--to", "party_id", metavar="PARTY", required=True, help="The party it would go to.")
@click.pass_obj
def explain(session: Session, object_id: str, party_id: str) -> int:
    """Say why an object goes, or does not go, to PARTY now: which clause of which agreement decides."""
    return session.run("explain", {"id": object_id, "to": party_id}, describe_explanation)


@click.command(
    short_help="Take in what PARTY's node has released.", cls=ActCommand, example="comity --node borealia pull aurelia"
)
@click.argument("party_id", metavar="PARTY")
@click.pass_obj
def pull(session: Session, party_id: str) -> int:
    """Take in what PARTY's node has released to this party since the last time."""
    return session.run("pull", {"party": party_id}, describe_pull)


_UNREADABLE = ("malformed-json", "malformed-object")
"""The file as a whole is at fault: the next one is taken in all the same."""


def _read_intake(reply: Reply) -> dict[str, Json]:
    """What became of one file; a file that cannot be read at all is one bad item without an index."""
    if reply.result is not None:
        return reply.result
    error = reply.error or {}
    bad: list[Json] = [
        {"index": None, "id": None, "where": error.get("where", ""), "message": error["message"]},
    ]
    return {"added": [], "known": 0, "bad": bad, "unparsable": [], "unchecked": 0}


def _tell_kept(session: Session, taken_in: Sequence[dict[str, Any]]) -> None:
    for item in taken_in:
        session.note(f"{item['file']}: {len(item['added'])} added, {item['known']} known already")
