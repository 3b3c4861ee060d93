# SPDX-License-Identifier: Apache-2.0
"""Shell: `purge`, `fsck`, `backup`, `restore`, `recover`: what a node forgets, and what keeps its folder whole."""

import sys
import time
from pathlib import Path

import click

from comity.cli.session import ActCommand, PersonCommand, Session, read_input, write_new
from comity.cli.words.keeping import (
    describe_backup,
    describe_examination,
    describe_forgotten,
    describe_purged_received,
    describe_recovered,
    describe_restored,
)
from comity.operations.reply import Exit, Json

__all__ = ["backup", "fsck", "purge", "recover", "restore"]

_PAUSE_SECONDS = 2.0


@click.group()
def purge() -> None:
    """Let the log forget what was in its entries; the entries and every proof stay."""


@purge.command("run", cls=ActCommand, example="comity --node aurelia purge run")
@click.pass_obj
def run(session: Session) -> int:
    """Purge the content of entries older than `content_days` in node.toml. `comity serve` does so by itself."""
    return session.run("purge.run", {}, describe_forgotten)


@purge.command(
    "order",
    short_help="Purge the content of some entries.",
    cls=PersonCommand,
    example="comity --node aurelia purge order --recipient borealia --before 2024-01-01T00:00:00Z --reason 'Art. 17'",
)
@click.option("--before", metavar="TIME", help="Entries recorded before then.")
@click.option("--agreement", metavar="ID", help="Entries under any version of the agreement.")
@click.option("--recipient", metavar="PARTY", help="Disclosures to the party.")
@click.option("--object", "object_id", metavar="OBJECT", help="Entries that name the object, by its whole id.")
@click.option("--entry", "entries", metavar="N", type=click.IntRange(0), multiple=True, help="The entry N; repeatable.")
@click.option("--reason", metavar="TEXT", required=True, help="On which order, or why.")
@click.option("--dry-run", is_flag=True, help="Only say which entries it would be.")
@click.pass_obj
def order(
    session: Session,
    *,
    before: str | None,
    agreement: str | None,
    recipient: str | None,
    object_id: str | None,
    entries: tuple[int, ...],
    reason: str,
    dry_run: bool,
) -> int:
    """Purge salt and content of the log entries that fit all that is said: at most 10,000. It cannot be undone.

    It takes two people, one as legal, who give the same command. The purge is an entry itself, which names what it
    purged. What agreements, purges of entries and recoveries recorded is never purged.
    """
    arguments: dict[str, Json] = {
        "before": before,
        "agreement": agreement,
        "recipient": recipient,
        "object": object_id,
        "entries": list[Json](map(str, entries)),
        "reason": reason,
        "dry_run": dry_run,
    }
    return session.run_as("purge.order", arguments, describe_forgotten)


@purge.command(
    "received",
    short_help="Purge what receipts of a partner list.",
    cls=PersonCommand,
    example="comity --node borealia purge received aurelia --before 2024-01-01T00:00:00Z --reason 'Art. 17'",
)
@click.argument("party_id", metavar="PARTY")
@click.option("--before", metavar="TIME", required=True, help="What came before then, a time that has come.")
@click.option("--reason", metavar="TEXT", required=True, help="On which order, or why.")
@click.pass_obj
def received(session: Session, party_id: str, before: str, reason: str) -> int:
    """Purge what PARTY's receipts list of what it gave, and what was refused of it. It cannot be undone.

    It takes two people, one as legal, who give the same command. Of a receipt its place in PARTY's log is left, which
    goes on to verify; of a refused page nothing. Objects go by their terms: `retention`.
    """
    arguments: dict[str, Json] = {"party": party_id, "before": before, "reason": reason}
    return session.run_as("purge.received", arguments, describe_purged_received)


@click.command(
    short_help="Examine the folder of a node.", cls=ActCommand, example="comity --node /media/evidence/aurelia fsck"
)
@click.pass_obj
def fsck(session: Session) -> int:
    """Examine everything in the folder of a node: files, database, objects, signatures, the log.

    Nothing is written and nothing is mended: each finding says what is wrong, where, and what to do. It works on a
    copy, and while the node is served. Exit code 7 when something is broken.
    """
    from comity.node.soundness import examine_folder

    done = examine_folder(session.node_folder(), _Told(session).tell)
    findings: list[Json] = [
        {
            "grade": item.grade.value,
            "check": item.check.value,
            "where": item.where,
            "what": item.what,
            "do": item.do,
            "count": item.count,
        }
        for item in done.findings
    ]
    session.show(
        {
            "sound": done.is_sound,
            "findings": findings,
            "objects": done.objects,
            "events": done.events,
            "entries": done.entries,
        },
        describe_examination,
    )
    return Exit.DONE if done.is_sound else Exit.VERIFICATION_FAILED


@click.command(
    short_help="Back a node up, also while it is served.",
    cls=ActCommand,
    example="comity --node aurelia backup /mnt/vault/aurelia-2026-11-26",
)
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--with-keys", is_flag=True, help="Back the private keys up too: who has them can sign as this party.")
@click.pass_obj
def backup(session: Session, target: Path, *, with_keys: bool) -> int:
    """Write a backup of the node to DIR, which must not exist yet, or be empty.

    It is of one moment, signed, and holds every object and the whole log in clear. Without --with-keys the keys have to
    be kept somewhere else: a node cannot go on without them.
    """
    from comity.node.backup import describe_backup as describe
    from comity.node.backup import make_backup

    told = _Told(session)
    made = make_backup(
        session.node_folder(),
        target,
        secrets=with_keys,
        unlock=session.unlock,
        progress=lambda done, of: told.tell("pages", done, of),
    )
    described: dict[str, Json] = describe(made)
    if with_keys:
        session.note(f"{target} holds the PRIVATE KEYS of {made.party}: whoever reads it can sign as {made.party}")
    reply = session.carry_out("backup", {**described, "place": str(target.absolute())})
    if reply.error is not None:
        session.note(f"the backup is good, but this node could not note that it was made: {reply.error['message']}")
    session.show({**described, "noted": reply.error is None}, describe_backup)
    return Exit.DONE


@click.command(
    short_help="Put a backup into a new folder, verified.",
    cls=ActCommand,
    example="comity restore /mnt/vault/aurelia-2026-11-26 aurelia",
)
@click.argument("source", metavar="BACKUP", type=click.Path(path_type=Path))
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--digest", metavar="D", help="The digest of the party's manifest, as you have it from elsewhere.")
@click.pass_obj
def restore(session: Session, source: Path, target: Path, digest: str | None) -> int:
    """Put BACKUP into DIR, which must not exist yet, or be empty, and verify all of it.

    The node does not start from there: this party may have signed more since, and its log must not fork. See `recover`.
    """
    from comity.ids import parse_digest
    from comity.node.backup import describe_backup as describe
    from comity.node.backup import restore_backup

    told = _Told(session)
    pinned = None if digest is None else parse_digest(digest)
    done = restore_backup(source, target, digest=pinned, progress=lambda done, of: told.tell("bytes", done, of))
    session.show({**describe(done.backup), "folder": str(target)}, describe_restored)
    return Exit.DONE


@click.command(
    short_help="Let a log that lost its end go on under another name.",
    cls=PersonCommand,
    example="comity --node aurelia recover --reason 'Disk lost on 26 November.' --statement succession.json",
)
@click.option("--reason", metavar="TEXT", required=True, help="What was lost, and how.")
@click.option(
    "--head",
    "heads",
    metavar="FILE",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A checkpoint of the lost log from elsewhere: the lost `head`, or one that a partner kept; repeatable.",
)
@click.option(
    "--statement",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write what partners are told, signed, to FILE too.",
)
@click.option("--without-witnesses", is_flag=True, help="Go on though witnesses do not answer; --reason says why.")
@click.pass_obj
def recover(
    session: Session, reason: str, heads: tuple[Path, ...], statement: Path | None, *, without_witnesses: bool
) -> int:
    """Let the log of a node that was restored go on under another name, and tell partners.

    The witnesses in node.toml are asked how many entries they have seen, for five seconds at most.

    Only when the newest store is lost: what it held and the backup did not is gone. Where people are registered it
    takes two, one as legal, who give the same command; the node must not be served. It cannot be undone.
    """
    from comity.operations.keeping import recover as act

    done = act(
        session.node_folder(),
        reason=reason,
        badge=session.read_badge(),
        role=session.role,
        why=session.why,
        heads={str(path): read_input(str(path)) for path in heads},
        unlock=session.unlock,
        without_witnesses=without_witnesses,
    )
    if statement is not None and "statement" in done.result:
        write_new(str(statement), str(done.result["statement"]))
    session.show(done.result, describe_recovered)
    return done.code


class _Told:
    """Progress of long work, said to a person at most every two seconds."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._said_at = time.monotonic()

    def tell(self, what: str, done: int, of: int) -> None:
        """So much of `of` is done; 0 where that is not known."""
        if not sys.stderr.isatty() or time.monotonic() < self._said_at + _PAUSE_SECONDS:
            return
        self._said_at = time.monotonic()
        self._session.note(f"{what}: {done} of {of}" if of else f"{what} …")
