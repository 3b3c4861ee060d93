# SPDX-License-Identifier: Apache-2.0
"""Shell: `object`, `explain` and `pull`."""

import base64
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from comity.cli.session import MAX_INPUT_BYTES, ActCommand, Session, read_input, write_parts
from comity.cli.words.browsing import describe_around, describe_given, describe_listing
from comity.cli.words.files import (
    describe_export,
    describe_file,
    describe_files,
    describe_foreseen,
    describe_intake,
    describe_misp_export,
)
from comity.cli.words.objects import (
    describe_explanation,
    describe_object,
    describe_pull,
    describe_recipients,
    describe_seen,
    describe_unkept,
)
from comity.operations.reply import Exit, Json, Reply

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
@click.option("--format", "form", metavar="F", help="What the files are, where that cannot be told from them.")
@click.option("--mapping", metavar="FILE", help="For tables and MISP: what becomes of each column or level, as TOML.")
@click.option("--source", metavar="NAME", help="For FollowTheMoney: what the data set is called, always the same.")
@click.option("--tlp", metavar="LEVEL", help="A marking of all that is in the files; not for STIX 2.1.")
@click.option("--subject", "subjects", metavar="S", multiple=True, help="Whom or what it is about, as scheme:id.")
@click.option("--region", "regions", metavar="R", multiple=True, help="Where, by ISO 3166-1 alpha-2 code.")
@click.option("--kind", "kinds", metavar="K", multiple=True, help="What kind of information it is.")
@click.pass_obj
def add(session: Session, /, files: Sequence[str], mapping: str | None, form: str | None, **said: Any) -> int:  # noqa: ANN401
    """Take in what each FILE holds: STIX, MISP events, a table, the UN list, FollowTheMoney; "-" is standard input.

    The format is told from the file; where that leaves a doubt, nothing is taken in until --format says it. What is not
    STIX 2.1 becomes STIX 2.1, with the strictest marking of all around it. Subjects, regions and kinds are said of
    every object in the files, besides what each says of itself.

    What is bad is listed and the rest kept; an indicator whose pattern does not parse is kept, goes to nobody, and is
    listed. The exit code is 1 if anything is listed. The same file again changes nothing; one that was cut off goes on.
    """
    words: dict[str, Json] = {name: [*value] if isinstance(value, tuple) else value for name, value in said.items()}
    words |= {"format": form, "badge": session.read_badge()}
    if mapping is not None:
        words["mapping"] = base64.b64encode(read_input(mapping)).decode()
    contents = [(file, _read_contents(file)) for file in files]
    taken_in = list[dict[str, Any]]()
    for file, content in contents:
        arguments: dict[str, Json] = {**words, **content, "name": Path(file).name}
        with session.show_progress(f"taking in {file}") as tell:
            reply = session.carry_out("object.add", arguments, seconds=_LONG_SECONDS, tell=tell)
        if reply.error is not None and not str(reply.error["code"]).startswith(_UNREADABLE):
            _tell_kept(session, taken_in)
            return session.finish(_name_file(reply, file, before=len(taken_in)), describe_intake)
        taken_in.append({"file": file, **_read_intake(reply)})
    result: dict[str, Json] = {
        "added": sum(item["added_count"] for item in taken_in),
        "known": sum(item["known"] for item in taken_in),
        "bad": sum(item["bad_count"] for item in taken_in),
        "unparsable": sum(len(item["unparsable"]) for item in taken_in),
        "files": [*taken_in],
    }
    session.show(result, describe_intake)
    return Exit.FAILED if result["bad"] or result["unparsable"] else Exit.DONE


@objects.command(
    "look",
    short_help="Show what FILE would become.",
    cls=ActCommand,
    example="comity --node aurelia object look list.csv --mapping list.toml",
)
@click.argument("file", metavar="FILE")
@click.option("--format", "form", metavar="F", help="What the file is, where that cannot be told from it.")
@click.option("--mapping", metavar="FILE", help="For tables and MISP: what becomes of each column or level, as TOML.")
@click.option("--source", metavar="NAME", help="For FollowTheMoney: what the data set is called, always the same.")
@click.option("--tlp", metavar="LEVEL", help="A marking of all that is in the file; not for STIX 2.1.")
@click.pass_obj
def look(
    session: Session, file: str, *, form: str | None, mapping: str | None, source: str | None, tlp: str | None
) -> int:
    """Show what `object add` would make of FILE: how many objects of which types and markings, and what is bad.

    Nothing is kept. It is read, and held against what is here, as when it is added.
    """
    words: dict[str, Json] = {"format": form, "source": source, "tlp": tlp, "name": Path(file).name}
    if mapping is not None:
        words["mapping"] = base64.b64encode(read_input(mapping)).decode()
    reply = session.carry_out("object.look", {**words, **_read_contents(file)}, seconds=_LONG_SECONDS)
    return session.finish(reply, describe_foreseen)


@objects.command("files", cls=ActCommand, example="comity --node aurelia object files --last 5")
@click.option("--last", metavar="N", type=click.IntRange(min=0), default=20, show_default=True, help="How many.")
@click.pass_obj
def list_files(session: Session, last: int) -> int:
    """List files that were taken in, or are being, oldest first: how far each is, and what came of it."""
    return session.run("object.files", {"last": last}, describe_files)


@objects.command("file", cls=ActCommand, example="comity --node aurelia object file 3")
@click.argument("file", metavar="NUMBER")
@click.pass_obj
def show_file(session: Session, file: str) -> int:
    """Show a file that was taken in: what of it was not read and why, and what was not carried over.

    NUMBER is that of `object files`, or the beginning of its digest.
    """
    return session.run("object.file", {"file": file}, describe_file)


@objects.command("export", cls=ActCommand, example="comity --node aurelia object export own.json --type indicator")
@click.argument("file", metavar="FILE")
@click.option("--type", "types", metavar="T", multiple=True, help="Only objects of this STIX type.")
@click.option("--from", "source", metavar="NUMBER", help="Only what this file said (`object files`).")
@click.option(
    "--format", "form", type=click.Choice(["stix", "misp"]), default="stix", show_default=True, help="What FILE is."
)
@click.pass_obj
def export(session: Session, file: str, types: Sequence[str], source: str | None, form: str) -> int:
    """Write this party's own objects to FILE: as one STIX bundle, each byte for byte as held, or as MISP events.

    Nothing that came from a partner or a source is in it: that stays under its terms. Only the owner of FILE can read
    it. MISP events bear the marking of each object as a tag, the strictest on the event, and are for "your organisation
    only"; what they do not say of an object is listed, and the exit code is 1.
    """
    if form == "misp":
        return _export_misp(session, file, {"types": [*types], "file": source})
    failed, count = list[Reply](), 0

    def make_parts() -> Iterator[bytes]:
        nonlocal count
        after: Json = 0
        yield b'{"type":"bundle","id":"bundle--%s","objects":[' % str(uuid.uuid4()).encode()
        while after is not None:
            words: dict[str, Json] = {"after": after, "types": [*types], "file": source}
            reply = session.carry_out("object.export", words)
            if reply.result is None:
                failed.append(reply)
                return
            data = base64.b64decode(str(reply.result["data"]))
            yield (b",\n" if count and data else b"\n") + data
            count += int(str(reply.result["objects"]))
            after = reply.result["after"]
        yield b"\n]}\n"

    write_parts(file, make_parts(), keep=lambda: not failed and count > 0)
    if failed:
        return session.finish(failed[0], lambda _: "")
    session.show({"file": file, "objects": count}, describe_export)
    return Exit.DONE


def _export_misp(session: Session, file: str, words: dict[str, Json]) -> int:
    reply = session.carry_out("object.export_misp", words, seconds=_LONG_SECONDS)
    if reply.result is None:
        return session.finish(reply, describe_misp_export)
    data = base64.b64decode(str(reply.result.pop("data")))
    write_parts(file, [data], keep=lambda: bool(reply.result and reply.result["events"]))
    session.show({"file": file, **reply.result}, describe_misp_export)
    return reply.code


@objects.command("show", cls=ActCommand, example="comity --node aurelia object show report--4b2e")
@click.argument("object_id", metavar="ID")
@click.pass_obj
def show(session: Session, object_id: str) -> int:
    """Show an object, what it counts as, and where it came from. ID may be any unique beginning."""
    return session.run("object.show", {"id": object_id}, describe_object)


@objects.command("list", cls=ActCommand, example="comity --node aurelia object list --type report --tlp green")
@click.argument("prefix", metavar="ID", required=False)
@click.option("--type", "kind", metavar="T", help="Only of this STIX type.")
@click.option("--originator", metavar="PARTY", help="Only what was received from this party, or is this one's own.")
@click.option("--tlp", metavar="LEVEL", help="Only of this TLP level, counting what it refers to.")
@click.option("--subject", metavar="S", help="Only what is about this subject, as scheme:id.")
@click.option("--before", metavar="NEXT", help="Go on where another list ended.")
@click.option("--last", metavar="N", type=click.IntRange(1, 200), default=50, show_default=True, help="How many.")
@click.pass_obj
def list_objects(session: Session, /, prefix: str | None, kind: str | None, last: int, **wanted: str | None) -> int:
    """List what is held, the last taken in first; with ID, what has an id that begins so."""
    return session.run("object.list", {"prefix": prefix, "type": kind, "last": last, **wanted}, describe_listing)


@objects.command("around", cls=ActCommand, example="comity --node aurelia object around report--4b2e --steps 2")
@click.argument("object_id", metavar="ID")
@click.option("--steps", metavar="N", type=click.IntRange(1, 3), default=1, show_default=True, help="How far.")
@click.pass_obj
def show_around(session: Session, object_id: str, steps: int) -> int:
    """Show what an object refers to and what refers to it: at most 60 objects."""
    return session.run("object.around", {"id": object_id, "steps": steps}, describe_around)


@objects.command("given", cls=ActCommand, example="comity --node aurelia object given report--4b2e")
@click.argument("object_id", metavar="ID")
@click.pass_obj
def show_given(session: Session, object_id: str) -> int:
    """List to whom versions of an object were released, when, and under which agreement.

    Released is what its recipient may fetch. What left, and the proof of it, is in the log.
    """
    return session.run("object.given", {"id": object_id}, describe_given)


@objects.command("see", cls=ActCommand, example="comity --node aurelia object see report--4b2e --to borealia")
@click.argument("object_id", metavar="ID")
@click.option("--to", "party_id", metavar="PARTY", required=True, help="The party it would go to.")
@click.pass_obj
def see(session: Session, object_id: str, party_id: str) -> int:
    """Show what PARTY would receive of an object now, byte for byte. Nothing leaves, and nothing goes on record."""
    return session.run("object.see", {"id": object_id, "to": party_id}, describe_seen)


@objects.command("recipients", cls=ActCommand, example="comity --node aurelia object recipients report--4b2e")
@click.argument("object_id", metavar="ID")
@click.pass_obj
def list_recipients(session: Session, object_id: str) -> int:
    """List what each party would be given of an object now, and by which agreement or clause."""
    return session.run("object.recipients", {"id": object_id}, describe_recipients)


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


_LONG_SECONDS = 24 * 3_600.0
"""A file of gigabytes takes long; `object files` says meanwhile how far it is."""

_UNREADABLE = ("malformed-file", "malformed-json", "malformed-object")
"""The file as a whole is at fault: the next one is taken in all the same."""


def _read_intake(reply: Reply) -> dict[str, Json]:
    """What became of one file; a file that cannot be read at all is one bad item without an index."""
    if reply.result is not None:
        return reply.result
    error = reply.error or {}
    bad: list[Json] = [
        {"index": None, "id": None, "where": error.get("where", ""), "message": error["message"]},
    ]
    return {
        "added": [],
        "added_count": 0,
        "known": 0,
        "bad": bad,
        "bad_count": 1,
        "notes": [],
        "already": False,
        "taken": None,
        "unparsable": [],
        "unchecked": 0,
    }


def _read_contents(file: str) -> dict[str, Json]:
    """The bytes of a file as they are handed over, or, of what is too long for that, where it is."""
    path = Path(file)
    if file != "-" and path.is_file() and path.stat().st_size > MAX_INPUT_BYTES:
        return {"path": str(path.resolve())}
    return {"data": base64.b64encode(read_input(file)).decode()}


def _name_file(reply: Reply, file: str, *, before: int) -> Reply:
    """The error with the file that it is about, and how many of those named before it were taken in."""
    error = dict(reply.error or {})
    facts = error.get("facts")
    told: dict[str, Json] = {"file": file, "files_before": before, **(facts if isinstance(facts, dict) else {})}
    return replace(reply, error={**error, "message": f"{file}: {error.get('message')}", "facts": told})


def _tell_kept(session: Session, taken_in: Sequence[dict[str, Any]]) -> None:
    for item in taken_in:
        session.note(f"{item['file']}: {item['added_count']} added, {item['known']} known already")
