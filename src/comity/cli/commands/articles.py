# SPDX-License-Identifier: Apache-2.0
"""Shell: `article`."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from comity.cli.session import ActCommand, PersonCommand, Session, read_input
from comity.cli.words import articles as words
from comity.cli.words.layout import printable
from comity.node.steps import tell_nobody
from comity.operations.reply import Exit, Json, Reply

__all__ = ["article"]

_LONG_BYTES = 256 * 1024
"""What takes longer than a person waits without a word."""

_UNREADABLE = ("malformed-file", "malformed-article")
"""The file is at fault: the next one is taken in all the same."""


@click.group()
def article() -> None:
    """Articles: read into drafts, which people confirm, strike or correct, and then made a report."""


@article.command(
    "add",
    cls=ActCommand,
    example="comity --node aurelia article add talks.html --url https://wire.example/talks --published 2031-03-04",
)
@click.argument("files", metavar="FILE…", nargs=-1, required=True)
@click.option("--format", "form", metavar="F", help="html, pdf or text, where that cannot be told from the file.")
@click.option("--url", metavar="URL", help="Where it was retrieved.")
@click.option("--publisher", metavar="NAME", help="Who published it.")
@click.option("--published", metavar="DATE", help="The day of publication, as YYYY-MM-DD.")
@click.option("--retrieved", metavar="TIME", help="When it was retrieved; now, if nothing is said.")
@click.option("--encoding", metavar="E", help="The encoding of the text, as a server said it.")
@click.option("--known", metavar="FILE", help="Organisations to look for, as TOML.")
@click.pass_obj
def add(session: Session, /, files: Sequence[str], known: str | None, form: str | None, **said: Any) -> int:  # noqa: ANN401
    """Keep what each FILE holds, an article as HTML, PDF or plain text, and read it into drafts.

    Nothing of it is an object before people confirm it and `article make` is given. The same file again changes
    nothing. What is said by options goes before what is read in the file.
    """
    asked: dict[str, Json] = {**said, "format": form, "badge": session.read_badge()}
    if known is not None:
        asked["known"] = base64.b64encode(read_input(known)).decode()
    contents = [(file, read_input(file)) for file in files]
    added, bad = list[Json](), list[Json]()
    with (
        session.show_progress("reading articles") as tell,
        closing(session.carry_out_each("article.add", _ask_each(session, contents, asked))) as replies,
    ):
        for (file, _), reply in zip(contents, replies, strict=True):
            (tell or tell_nobody)(len(added) + len(bad) + 1, len(contents))
            if reply.error is not None and not str(reply.error["code"]).startswith(_UNREADABLE):
                return _stop(session, reply, added)
            if reply.result is not None:
                added.append({"file": file, **reply.result})
            else:
                error = reply.error or {}
                bad.append({"file": file, "where": error.get("where", ""), "message": error["message"]})
    session.show({"articles": added, "bad": bad}, words.describe_added)
    return Exit.FAILED if bad else Exit.DONE


def _ask_each(
    session: Session, contents: Sequence[tuple[str, bytes]], asked: Mapping[str, Json]
) -> Iterator[Mapping[str, Json]]:
    for file, data in contents:
        if len(data) >= _LONG_BYTES:
            session.note(f"reading {printable(file)} ({len(data) >> 10} KiB); partners are answered meanwhile")
        yield {**asked, "data": base64.b64encode(data).decode(), "name": Path(file).name}


def _stop(session: Session, reply: Reply, added: Sequence[Json]) -> int:
    """What is wrong with the command, and what was done before that showed."""
    if added:
        session.note(f"{len(added)} of the files before it {'was' if len(added) == 1 else 'were'} kept")
    return session.finish(reply, lambda _: "")


@article.command("list", cls=ActCommand, example="comity --node aurelia article list --last 5")
@click.option("--last", metavar="N", type=click.IntRange(min=0), default=20, show_default=True, help="How many.")
@click.pass_obj
def list_articles(session: Session, last: int) -> int:
    """List articles, oldest first, and how many of their drafts are open, confirmed and struck."""
    return session.run("article.list", {"last": last}, words.list_articles)


@article.command("show", cls=ActCommand, example="comity --node aurelia article show 3 --state open")
@click.argument("article_id", metavar="ID")
@click.option("--state", metavar="STATE", help="Only drafts that are open, confirmed or struck.")
@click.option("--kind", metavar="KIND", help="Only drafts of this kind.")
@click.option("--from", "first", metavar="N", type=click.IntRange(min=0), default=0, help="From this number on.")
@click.option("--most", metavar="N", type=click.IntRange(min=0), default=200, show_default=True, help="How many.")
@click.pass_obj
def show(session: Session, /, article_id: str, first: int, most: int, **said: Any) -> int:  # noqa: ANN401
    """Show an article and its drafts by number: the words, those around them, and what was decided of each.

    ID is the number of `article list`, or the beginning of a digest.
    """
    asked: dict[str, Json] = {**said, "id": article_id, "from": first, "most": most}
    return session.run("article.show", asked, words.describe_article)


@article.command("text", cls=ActCommand, example="comity --node aurelia article text 3")
@click.argument("article_id", metavar="ID")
@click.option("--from", "first", metavar="N", type=click.IntRange(min=0), default=0, help="From this character on.")
@click.option("--most", metavar="N", type=click.IntRange(min=1), default=100_000, show_default=True, help="How many.")
@click.pass_obj
def show_text(session: Session, article_id: str, first: int, most: int) -> int:
    """Print the text of an article, in which its drafts were found; what does not show is made visible.

    ID is the number of `article list`, or the beginning of a digest.
    """
    return session.run("article.text", {"id": article_id, "from": first, "most": most}, words.describe_text)


@article.command("rules", cls=ActCommand, example="comity --node aurelia article rules --section aliases")
@click.option("--section", "sections", metavar="S", multiple=True, help="Only this section, as offices.")
@click.pass_obj
def show_rules(session: Session, sections: Sequence[str]) -> int:
    """Show the rules that articles are read by, as TOML: those of the program, with the node's own laid over them.

    DIR/article-rules.toml adds, changes or takes out entries of them.
    """
    return session.run("article.rules", {"sections": [*sections]}, words.describe_rules)


@article.command(
    "confirm", cls=PersonCommand, example="comity --node aurelia --as anna.badge article confirm 3 1 4 7-9"
)
@click.argument("article_id", metavar="ID")
@click.argument("numbers", metavar="[N]...", nargs=-1)
@click.option("--all-of", "all_of", metavar="KIND", help="All drafts of this kind that are open.")
@click.pass_obj
def confirm(session: Session, article_id: str, numbers: Sequence[str], all_of: str | None) -> int:
    """Confirm drafts, by number or all open ones of one kind. They become objects with `article make`."""
    asked: dict[str, Json] = {"id": article_id, "numbers": [*numbers], "all_of": all_of}
    return session.run_as("article.confirm", asked, words.describe_confirmed)


@article.command(
    "strike",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge article strike 3 2 --reason 'another Georgia'",
)
@click.argument("article_id", metavar="ID")
@click.argument("numbers", metavar="N...", nargs=-1, required=True)
@click.option("--reason", metavar="TEXT", help="Why; it goes on record.")
@click.pass_obj
def strike(session: Session, article_id: str, numbers: Sequence[str], reason: str | None) -> int:
    """Strike drafts: they become no objects."""
    asked: dict[str, Json] = {"id": article_id, "numbers": [*numbers], "reason": reason}
    return session.run_as("article.strike", asked, words.describe_struck)


@article.command(
    "correct",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge article correct 3 5 --field speaker --value 2",
)
@click.argument("article_id", metavar="ID")
@click.argument("number", metavar="N")
@click.option("--value", metavar="V", help="What is right.")
@click.option("--field", "name", metavar="F", help="What of it: the first of its fields, if nothing is said.")
@click.option("--undo", is_flag=True, help="Take all corrections of the draft back.")
@click.pass_obj
def correct(session: Session, article_id: str, number: str, value: str | None, name: str | None, *, undo: bool) -> int:
    """Correct one field of a draft: a name, a role, a stance, who speaks, an opinion, an observable.

    With --field stands-for, V is an object that the node holds, and the draft becomes none of its own. `article show`
    lists the fields of each draft. A correction confirms nothing.
    """
    asked: dict[str, Json] = {"id": article_id, "number": number, "value": value, "field": name, "undo": undo}
    return session.run_as("article.correct", asked, words.describe_corrected)


@article.command(
    "make", cls=PersonCommand, example="comity --node aurelia --as anna.badge article make 3 --tlp amber --strike-open"
)
@click.argument("article_id", metavar="ID")
@click.option("--tlp", metavar="LEVEL", help="The marking of all that is made; without one it goes to nobody.")
@click.option("--subject", "subjects", metavar="S", multiple=True, help="Whom or what it is about, as scheme:id.")
@click.option("--region", "regions", metavar="R", multiple=True, help="Where, by ISO 3166-1 alpha-2 code.")
@click.option("--kind", "kinds", metavar="K", multiple=True, help="What kind of information it is.")
@click.option("--audience", "audience", metavar="PARTY", multiple=True, help="The only parties that it may reach.")
@click.option("--title", metavar="TEXT", help="The title, where another one was read.")
@click.option("--published", metavar="DATE", help="The day of publication, where none or another one was read.")
@click.option("--publisher", metavar="NAME", help="Who published it, where nobody or somebody else was read.")
@click.option("--url", metavar="URL", help="Where it was retrieved, where nothing or something else was read.")
@click.option("--strike-open", is_flag=True, help="Strike what is open; else nothing is made before all is decided.")
@click.pass_obj
def make(session: Session, /, article_id: str, **said: Any) -> int:  # noqa: ANN401
    """Make the report and the objects of what is confirmed, all in one act.

    Without --tlp all of it is marked as not marked yet, and goes to nobody. Again after other decisions, it makes a new
    version; what was said at the last making stays said.
    """
    asked: dict[str, Json] = {name: [*value] if isinstance(value, tuple) else value for name, value in said.items()}
    return session.run_as("article.make", {**asked, "id": article_id}, words.describe_made)


@article.command(
    "delete",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge article delete 3 --reason 'Taken in by mistake.'",
)
@click.argument("article_id", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True, help="Why it is deleted; it goes on record.")
@click.pass_obj
def delete(session: Session, article_id: str, reason: str) -> int:
    """Delete an article: what was received, its text, its drafts and what people decided. It cannot be undone.

    The report and the objects that were made of it stay: see `retention delete` and `recall send`. The same file can be
    taken in again, as another article.
    """
    return session.run_as("article.delete", {"id": article_id, "reason": reason}, words.describe_deleted)
